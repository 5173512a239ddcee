//! `global.holidays`: dates that are like another day of the week.

use homeostat_core::{Holiday, Weekday};
use homeostat_settings::Reader;

/// Reads the list; every problem is told.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Holiday> {
    let mut holidays: Vec<(String, Holiday)> = Vec::new();
    reader.sections("holidays", |entry| {
        let like = entry.parsed::<Weekday>("like").unwrap_or_default();
        let dates = entry.texts("dates");
        for date in entry.require("dates", dates).unwrap_or_default() {
            match Holiday::new(&date, like) {
                Err(error) => entry.reject("dates", error),
                Ok(_) if holidays.iter().any(|(known, _)| *known == date) => {
                    entry.reject("dates", format_args!("{date} is named twice"));
                }
                Ok(holiday) => holidays.push((date, holiday)),
            }
        }
    });
    holidays.into_iter().map(|(_, holiday)| holiday).collect()
}
