//! `spec.calendar`: when the policy may act.

use homeostat_core::{Timestamp, Weekday};
use homeostat_settings::{Reader, Timezone};

use crate::policy::calendar::{AllowedHours, Freeze, PolicyCalendar, TimeOfDay};
use crate::policy::read;

pub(super) fn read(calendar: &mut Reader<'_>) -> PolicyCalendar {
    let timezone = calendar.parsed::<Timezone>("timezone").unwrap_or_default();
    let allowed = calendar.sections("allow", read_hours);
    let freezes = calendar.sections("freezes", read_freeze);
    PolicyCalendar {
        timezone,
        allowed: allowed.into_iter().flatten().collect(),
        freezes: freezes.into_iter().flatten().collect(),
    }
}

fn read_hours(reader: &mut Reader<'_>) -> Option<AllowedHours> {
    let days = read::set_of::<Weekday>(reader, "days");
    if days.is_empty() {
        reader.require_such_as("days", None::<()>, "[monday, tuesday, wednesday, thursday, friday]");
    }
    let from = reader.parsed::<TimeOfDay>("from");
    reader.require_such_as("from", from, "\"08:00\"");
    let to = reader.parsed::<TimeOfDay>("to");
    reader.require_such_as("to", to, "\"18:00\"");
    let (from, to) = (from?, to?);
    if to <= from {
        reader.reject("to", "must be after from; write hours over midnight as two entries");
        return None;
    }
    (!days.is_empty()).then_some(AllowedHours { days, from, to })
}

fn read_freeze(reader: &mut Reader<'_>) -> Option<Freeze> {
    let name = reader.text("name");
    reader.require_such_as("name", name.as_ref(), "christmas");
    let from = reader.parsed::<Timestamp>("from");
    reader.require_such_as("from", from, "2026-12-20T00:00:00Z");
    let to = reader.parsed::<Timestamp>("to");
    reader.require_such_as("to", to, "2027-01-03T00:00:00Z");
    let (name, from, to) = (name?, from?, to?);
    if to <= from {
        reader.reject("to", "must be after from");
        return None;
    }
    Some(Freeze { name, from, to })
}
