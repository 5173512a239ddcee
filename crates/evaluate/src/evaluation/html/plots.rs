//! The page's plots.

use crate::evaluation::Evaluation;
use crate::evaluation::judgement::Judged;
use crate::evaluation::trace::{Trace, TraceColumn};
use crate::metrics::Run;

use super::plot::{Plot, escaped, ticks};

const WIDTH: f64 = 900.0;
const SHARES: [f64; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
/// Colours there are; further sets begin again.
const COLOURS: usize = 8;

/// VUS-PR of each set.
pub(super) fn bars(evaluation: &Evaluation) -> String {
    let named: Vec<(&str, _)> = evaluation
        .sets
        .iter()
        .map(|set| (set.set.as_str(), set.metrics.vus_pr))
        .chain([("macro", evaluation.overall.vus_pr)])
        .collect();
    let mut plot = Plot::new(WIDTH, 240.0, (0.0, named.len() as f64), (0.0, 1.0));
    plot.y_axis(&ticks(&SHARES));
    let names: Vec<(f64, String)> =
        named.iter().enumerate().map(|(idx, (name, _))| (idx as f64 + 0.5, (*name).to_owned())).collect();
    plot.x_axis(&names, "");
    for (idx, (name, estimate)) in named.iter().enumerate() {
        let Some(estimate) = estimate else { continue };
        let (left, tip) =
            (idx as f64, format!("{name}: {:.3} ({:.3} to {:.3})", estimate.value, estimate.low, estimate.high));
        plot.area("bar", (left + 0.2, 0.0), (left + 0.8, estimate.value), &tip);
        plot.area("whisker", (left + 0.49, estimate.low), (left + 0.51, estimate.high), &tip);
    }
    plot.finish("VUS-PR by set")
}

/// Recalls at which curves are averaged.
const RECALLS: usize = 50;

/// The mean curve of each set's series: the best precision at each recall or above it.
pub(super) fn precision_recall(sets: &[&str], judged: &[Judged]) -> String {
    let mut plot = Plot::new(WIDTH, 300.0, (0.0, 1.0), (0.0, 1.0));
    plot.y_axis(&ticks(&SHARES));
    plot.x_axis(&ticks(&SHARES), "recall");
    for (idx, set) in sets.iter().enumerate() {
        let members = judged.iter().filter(|one| one.judgement.set == *set);
        let curves: Vec<Vec<f64>> = members.filter_map(curve).collect();
        let mean = |at: usize| curves.iter().map(|curve| curve[at]).sum::<f64>() / curves.len() as f64;
        let points: Vec<(f64, f64)> = if curves.is_empty() {
            vec![]
        } else {
            (0..=RECALLS).map(|at| (at as f64 / RECALLS as f64, mean(at))).collect()
        };
        plot.line(&colour(idx), &points);
    }
    format!("{}{}", plot.finish("Precision over recall"), key(sets))
}

/// The best precision at each recall or above it; `None` without a labelled row.
fn curve(one: &Judged) -> Option<Vec<f64>> {
    let n_labelled = one.labels.iter().filter(|label| **label).count();
    if n_labelled == 0 {
        return None;
    }
    let score = crate::metrics::ranked(&one.scores.score);
    let mut order: Vec<usize> = (0..score.len()).collect();
    order.sort_by(|a, b| score[*b].total_cmp(&score[*a]));
    let mut best = vec![0.0_f64; RECALLS + 1];
    let mut n_true = 0;
    for (rank, row) in order.iter().enumerate() {
        n_true += usize::from(one.labels[*row]);
        if order.get(rank + 1).is_none_or(|next| score[*next] != score[*row]) {
            let reached = n_true * RECALLS / n_labelled;
            best[reached] = best[reached].max(n_true as f64 / (rank + 1) as f64);
        }
    }
    for at in (0..RECALLS).rev() {
        best[at] = best[at].max(best[at + 1]);
    }
    Some(best)
}

/// Claimed against true share, of all rows and of all alerts.
pub(super) fn reliability(judged: &[Judged]) -> String {
    let mut plot = Plot::new(420.0, 340.0, (0.0, 1.0), (0.0, 1.0));
    plot.y_axis(&ticks(&SHARES));
    plot.x_axis(&ticks(&SHARES), "claimed");
    plot.line("even", &[(0.0, 0.0), (1.0, 1.0)]);
    let rows = judged.iter().flat_map(Judged::row_claims);
    let alerts = judged.iter().flat_map(Judged::alert_claims);
    points(&mut plot, "rows", rows, crate::metrics::ROW_BINS);
    points(&mut plot, "alerts", alerts, crate::metrics::ALERT_BINS);
    let key = r#"<p><span class="key"><svg width="10" height="10"><circle class="rows" cx="5" cy="5" r="5"/></svg>rows</span><span class="key"><svg width="10" height="10"><circle class="alerts" cx="5" cy="5" r="5"/></svg>alerts; a larger disc is more of them</span></p>"#;
    format!("{}{key}", plot.finish("Reliability of confidence"))
}

fn points(plot: &mut Plot, class: &str, claims: impl Iterator<Item = (f64, bool)>, n_bins: usize) {
    let mut bins = vec![(0.0, 0.0, 0.0); n_bins];
    for (claimed, happened) in claims {
        let bin = &mut bins[((claimed * n_bins as f64) as usize).min(n_bins - 1)];
        *bin = (bin.0 + 1.0, bin.1 + claimed, bin.2 + f64::from(u8::from(happened)));
    }
    let total: f64 = bins.iter().map(|bin| bin.0).sum();
    for (n, claimed, happened) in bins.into_iter().filter(|bin| bin.0 > 0.0) {
        let tip = format!("{n:.0} {class}: claimed {:.3}, true {:.3}", claimed / n, happened / n);
        plot.point(class, claimed / n, happened / n, 3.0 + 12.0 * (n / total).sqrt(), &tip);
    }
}

/// Delays on the axis, in seconds.
const DELAYS_S: [(f64, &str); 6] =
    [(60.0, "1m"), (300.0, "5m"), (900.0, "15m"), (3600.0, "1h"), (14_400.0, "4h"), (86_400.0, "1d")];

/// The share of all events that were found within a time: ends at the recall.
pub(super) fn delays(sets: &[&str], judged: &[Judged]) -> String {
    let position = |seconds: f64| seconds.clamp(30.0, 86_400.0).ln();
    let mut plot = Plot::new(WIDTH, 300.0, (position(30.0), position(86_400.0)), (0.0, 1.0));
    plot.y_axis(&ticks(&SHARES));
    let marks: Vec<(f64, String)> = DELAYS_S.iter().map(|(s, name)| (position(*s), (*name).to_owned())).collect();
    plot.x_axis(&marks, "after the event began");
    for (idx, set) in sets.iter().enumerate() {
        let members = judged.iter().filter(|one| one.judgement.set == *set);
        let counted = members.filter_map(|one| Some((one.judgement.events.as_ref()?, one.judgement.interval_s)));
        let (mut n_events, mut delays) = (0, Vec::new());
        for (events, interval_s) in counted {
            n_events += events.n_events;
            delays.extend(events.delays_rows.iter().map(|rows| *rows as f64 * interval_s as f64));
        }
        delays.sort_by(f64::total_cmp);
        let share = |n: usize| n as f64 / n_events.max(1) as f64;
        let mut line = vec![(position(0.0), 0.0)];
        for (n, delay) in delays.iter().enumerate() {
            line.extend([(position(*delay), share(n)), (position(*delay), share(n + 1))]);
        }
        line.push((position(86_400.0), share(delays.len())));
        plot.line(&colour(idx), &line);
    }
    format!("{}{}", plot.finish("Delay of detection"), key(sets))
}

/// Columns an alert is drawn wide: one alone is lost beside the line of the score.
const ALERT_COLUMNS: f64 = 3.0;

/// The signal above, the score below, labelled rows shaded, alerts as ticks.
pub(super) fn trace(trace: &Trace) -> String {
    let n = trace.columns.len().max(1) as f64;
    let range = |of: fn(&TraceColumn) -> f64, start: f64, fold: fn(f64, f64) -> f64| {
        trace.columns.iter().map(of).filter(|value| value.is_finite()).fold(start, fold)
    };
    let (low, high) =
        (range(|one| one.low, f64::INFINITY, f64::min), range(|one| one.high, f64::NEG_INFINITY, f64::max));
    let values = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
    let mut signal = Plot::new(WIDTH, 130.0, (0.0, n), values);
    let score_of = |one: &TraceColumn| (0.1 + one.score.clamp(0.0, 1e12)).ln();
    let scores = (0.1_f64.ln(), trace.columns.iter().map(score_of).fold(0.0, f64::max));
    let mut score = Plot::new(WIDTH, 110.0, (0.0, n), scores);
    // One area for neighbouring columns: side by side, their edges would show as stripes.
    let labelled: Vec<bool> = trace.columns.iter().map(|column| column.labelled).collect();
    for run in Run::all(&labelled) {
        let (from, to) = (run.first as f64, run.last as f64 + 1.0);
        signal.area("fault", (from, values.0), (to, values.1), "labelled");
        score.area("fault", (from, scores.0), (to, scores.1), "labelled");
    }
    signal.y_axis(&[(values.0, short(values.0)), (values.1, short(values.1))]);
    score.y_axis(&[(scores.0, "0".to_owned()), (1.1_f64.ln(), "1".to_owned()), (scores.1, short(scores.1.exp()))]);
    let points = |of: &dyn Fn(&TraceColumn) -> Vec<f64>| -> Vec<(f64, f64)> {
        let at = |(idx, column): (usize, &TraceColumn)| {
            of(column).into_iter().map(move |y| (idx as f64 + 0.5, y)).collect::<Vec<_>>()
        };
        trace.columns.iter().enumerate().flat_map(at).collect()
    };
    signal.line("signal", &points(&|one| vec![one.low, one.high]));
    score.line("score", &points(&|one| vec![score_of(one)]));
    for (idx, _) in trace.columns.iter().enumerate().filter(|(_, column)| column.alert) {
        score.area(
            "alert",
            (idx as f64, scores.0 + 0.8 * (scores.1 - scores.0)),
            (idx as f64 + ALERT_COLUMNS, scores.1),
            "alert",
        );
    }
    signal.x_axis(&[], "signal, labelled rows shaded");
    score.x_axis(&[], "score (logarithmic, 1 is the alarm threshold), alerts on top");
    format!("{}{}", signal.finish("signal"), score.finish("score"))
}

fn short(value: f64) -> String {
    if value != 0.0 && !(1e-2..1e4).contains(&value.abs()) { format!("{value:.1e}") } else { format!("{value:.2}") }
}

fn colour(idx: usize) -> String {
    format!("c{}", idx % COLOURS)
}

fn key(names: &[&str]) -> String {
    let entries: String = names
        .iter()
        .enumerate()
        .map(|(idx, name)| {
            format!(
                r#"<span class="key"><svg width="18" height="8"><path class="line {}" d="M0 4L18 4"/></svg>{}</span>"#,
                colour(idx),
                escaped(name)
            )
        })
        .collect();
    format!("<p>{entries}</p>")
}
