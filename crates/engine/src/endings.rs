//! Says which series end before their files do: nothing is scored there, or nothing is learned of them, and that isn't the same as
//! being well.

use homeostat_core::Window;
use homeostat_incidents::SOURCE_GAP_REACH;

/// Rows without any measurement at the end of a file that are worth a word: half an hour of minutes is no late sample.
const SILENT_ROWS_MIN: usize = 30;

/// Lines about single workloads; of more there is one line.
const NAMED_MAX: usize = 5;

/// Says which workloads' series end before the others': no row of theirs can be scored from there on, and that isn't the same as being
/// well.
pub(crate) fn tell_subjects(windows: &[Window]) {
    let silent: Vec<(&Window, usize)> = windows.iter().filter_map(|window| Some((window, n_silent(window)?))).collect();
    for (window, n_silent) in silent.iter().take(NAMED_MAX) {
        let since = window.grid().at(window.grid().n_steps() - n_silent);
        tracing::warn!(
            subject = %window.subject(), %since, rows = n_silent,
            "the series of this subject end before the end of the files; nothing is scored from there on"
        );
    }
    if silent.len() > NAMED_MAX {
        let more = silent.len() - NAMED_MAX;
        tracing::warn!(subjects = more, "the series of more subjects end before the end of the files");
    }
}

/// How many rows at its end have no measurement, if that is worth a word.
fn n_silent(window: &Window) -> Option<usize> {
    let n_steps = window.grid().n_steps();
    let is_measured = |step_idx: &usize| window.row(*step_idx).iter().any(|value| !value.is_nan());
    let n_silent = (0..n_steps).rev().find(is_measured).map_or(n_steps, |newest| n_steps - 1 - newest);
    (n_silent >= SILENT_ROWS_MIN.min(n_steps) && n_silent > 0).then_some(n_silent)
}

/// Says which features of a history have no value in its last third, by which models are calibrated, though they had some before: an
/// exporter that was changed, a query that finds nothing any more.
pub(crate) fn tell_features(history: &[Window]) {
    let of_window = |window: &'_ Window| -> Vec<(String, usize)> {
        let n_steps = window.grid().n_steps();
        let newest = |idx: usize| (0..n_steps).rev().find(|step_idx| window.is_present(*step_idx, idx));
        // A subject that is gone as a whole is trained on its own time.
        let newest_of_all = (0..window.schema().n_features()).filter_map(newest).max();
        let ended = |newest: usize| newest_of_all.is_some_and(|of_all| newest < of_all - of_all / 3);
        let names = window.schema().features().iter().enumerate();
        names.filter_map(|(idx, feature)| Some((feature.name.clone(), newest(idx).filter(|at| ended(*at))?))).collect()
    };
    let ended: Vec<(&Window, String, usize)> = history
        .iter()
        .flat_map(|window| of_window(window).into_iter().map(move |(feature, newest)| (window, feature, newest)))
        .collect();
    for (window, feature, newest) in ended.iter().take(NAMED_MAX) {
        tracing::warn!(
            subject = %window.subject(), feature, newest = %window.grid().at(*newest),
            "the history has no value of this feature in its last third, so what is usual for it isn't known; check its query, or leave it out"
        );
    }
    if ended.len() > NAMED_MAX {
        tracing::warn!(
            features = ended.len() - NAMED_MAX,
            "more features have no value in the last third of the history"
        );
    }
}

/// Rows without any measurement of any subject from which on they are a gap of the source: a single one is a row that wasn't written.
const GAP_ROWS_MIN: usize = 2;

/// Which rows lie so shortly before a gap of all subjects, of which there must be several, that rates in them may be made of fewer
/// samples. The service knows when the source scraped; in a file only the gap itself shows it.
pub(crate) fn before_source_gaps(windows: &[Window]) -> Vec<bool> {
    let n_steps = windows.first().map_or(0, |window| window.grid().n_steps());
    let mut near = vec![false; n_steps];
    let (Some(first), true) = (windows.first(), windows.len() > 1) else { return near };
    let step_ms = first.grid().step().as_millis().max(1);
    let n_before = usize::try_from(SOURCE_GAP_REACH.as_millis().div_ceil(step_ms)).unwrap_or(usize::MAX);
    let is_measured = |window: &Window, step_idx| window.row(step_idx).iter().any(|value| !value.is_nan());
    let is_silent: Vec<bool> =
        (0..n_steps).map(|step_idx| !windows.iter().any(|window| is_measured(window, step_idx))).collect();
    for start in 1..n_steps {
        let begins = is_silent[start] && !is_silent[start - 1];
        if begins && is_silent[start..].iter().take(GAP_ROWS_MIN).all(|is_silent| *is_silent) {
            near[start.saturating_sub(n_before)..start].fill(true);
        }
    }
    near
}
