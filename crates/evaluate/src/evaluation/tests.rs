use super::*;
use crate::dataset::SeriesEntry;
use crate::metrics::EventCounts;
use crate::scores::Scores;

fn entry(set: &str, series: &str) -> SeriesEntry {
    SeriesEntry {
        set: set.into(),
        series: series.into(),
        path: "x.csv".into(),
        rows: 1540,
        train_rows: 100,
        interval_s: 60,
    }
}

/// A judged day with an event of 60 rows, scored `height` there and 0 elsewhere, with these metrics.
fn judged(set: &str, series: &str, vus_pr: f64, height: f64) -> Judged {
    let mut one = Judged::failed(&entry(set, series), 1, String::new());
    one.judgement.failure = None;
    one.judgement.vus_pr = Some(vus_pr);
    one.judgement.auc_pr = Some(vus_pr / 2.0);
    one.judgement.events =
        Some(EventCounts { n_events: 1, n_found: 1, n_episodes: 2, n_true: 1, delays_rows: vec![1] });
    one.judgement.detectors =
        BTreeMap::from([("forest".to_owned(), DetectorWorth { alone: Some(vus_pr - 0.1), cost: Some(0.02) })]);
    one.labels = (0..1440).map(|row| (600..660).contains(&row)).collect();
    let score = one.labels.iter().enumerate().map(|(row, label)| {
        let noise = (row % 7) as f64 / 10.0;
        if *label { height + noise } else { noise }
    });
    let score: Vec<f64> = score.collect();
    let alert = (0..1440).map(|row| row == 601 || row == 100).collect();
    one.scores = Scores { score, alert: Some(alert), ..Scores::default() };
    one.episodes = vec![(100, 100, false), (601, 601, true)];
    one
}

fn dataset() -> Vec<Judged> {
    let mut all = Vec::new();
    for (set, base) in [("a", 0.2), ("b", 0.6), ("c", 0.4)] {
        for idx in 0..6 {
            all.push(judged(set, &format!("s{idx}"), base + 0.02 * f64::from(idx), 20.0));
        }
    }
    all
}

fn protocol() -> Protocol {
    Protocol { scored_by: "homeostat".into(), budget: "1 per 1d".into(), budget_per_day: 1.0, ..Protocol::default() }
}

#[test]
fn the_overall_figure_is_the_mean_over_sets_not_over_series() {
    let mut all = dataset();
    all.retain(|one| one.judgement.set != "a" || one.judgement.series == "s0");
    let evaluation = Evaluation::of(protocol(), &all);
    let overall = evaluation.overall.vus_pr.expect("a metric");
    assert!((overall.value - (0.2 + 0.65 + 0.45) / 3.0).abs() < 1e-12, "{overall:?}");
    assert!(overall.low < overall.value && overall.value < overall.high, "{overall:?}");
    let events = evaluation.overall.events.expect("alerts");
    assert!((events.false_alarms_per_day - 1.0).abs() < 1e-12 && events.precision == 0.5, "{events:?}");
}

#[test]
fn seeds_are_averaged_and_do_not_count_as_more_series() {
    let mut all = dataset();
    let mut again = all.clone();
    for one in &mut again {
        one.judgement.seed = 2;
        one.judgement.vus_pr = one.judgement.vus_pr.map(|value| value + 0.1);
    }
    let single = Evaluation::of(protocol(), &all).overall.vus_pr.expect("a metric");
    all.extend(again);
    let evaluation = Evaluation::of(protocol(), &all);
    let double = evaluation.overall.vus_pr.expect("a metric");
    assert!((double.value - single.value - 0.05).abs() < 1e-12);
    assert!(((double.high - double.low) - (single.high - single.low)).abs() < 1e-9, "{single:?} {double:?}");
    assert_eq!(evaluation.sets[0].n_series, 6);
}

#[test]
fn the_order_of_judgements_does_not_matter_and_json_reads_back() {
    let mut all = dataset();
    let evaluation = Evaluation::of(protocol(), &all);
    all.reverse();
    assert_eq!(Evaluation::of(protocol(), &all), evaluation);
    let json = serde_json::to_string(&evaluation).expect("plain data");
    assert_eq!(serde_json::from_str::<Evaluation>(&json).expect("plain data"), evaluation);
}

#[test]
fn a_series_that_failed_is_counted_and_named() {
    let mut all = dataset();
    all.push(Judged::failed(&entry("a", "broken"), 1, "its gzip stream is cut off".into()));
    let evaluation = Evaluation::of(protocol(), &all);
    assert_eq!((evaluation.sets[0].n_series, evaluation.sets[0].n_failed), (7, 1));
    let text = table(&evaluation, None);
    assert!(text.contains("7 (1 failed)") && text.contains("failed: a/broken (seed 1): its gzip stream"), "{text}");
}

#[test]
fn a_change_beyond_noise_is_told_from_noise() {
    let before = Evaluation::of(protocol(), &dataset());
    let mut all = dataset();
    for one in &mut all {
        let moved = match (one.judgement.set.as_str(), one.judgement.series.as_str()) {
            ("a", _) => -0.05,
            // One series alone makes no change of a set.
            ("b", "s0") => 0.2,
            ("c", _) => 0.005,
            _ => 0.0,
        };
        one.judgement.vus_pr = one.judgement.vus_pr.map(|value| value + moved);
    }
    let comparison = Comparison::of(&before, &Evaluation::of(protocol(), &all));
    let verdict = |metric: &str| comparison.changes.iter().find(|one| one.metric == metric).map(|one| one.verdict);
    assert_eq!(verdict("eval.vus_pr.a"), Some(Verdict::Worse));
    assert_eq!(verdict("eval.vus_pr.b"), Some(Verdict::Noise));
    assert_eq!(verdict("eval.vus_pr.c"), Some(Verdict::Noise), "below what means anything");
    assert_eq!(verdict("eval.auc_pr.macro"), Some(Verdict::Noise));
    assert_eq!(comparison.n_unmatched, 0);
    all.pop();
    assert_eq!(Comparison::of(&before, &Evaluation::of(protocol(), &all)).n_unmatched, 1);
}

#[test]
fn more_false_alarms_are_worse_and_another_protocol_is_told() {
    let before = Evaluation::of(protocol(), &dataset());
    let mut all = dataset();
    for one in all.iter_mut().filter(|one| one.judgement.set == "a") {
        let events = one.judgement.events.as_mut().expect("events");
        (events.n_episodes, events.n_found) = (4, 0);
    }
    let after = Evaluation::of(Protocol { budget: "1 per 7d".into(), ..protocol() }, &all);
    let comparison = Comparison::of(&before, &after);
    let verdict = |metric: &str| comparison.changes.iter().find(|one| one.metric == metric).map(|one| one.verdict);
    assert_eq!(verdict("eval.false_alarms.a"), Some(Verdict::Worse));
    assert_eq!(verdict("eval.event_f1.a"), Some(Verdict::Worse));
    assert_eq!(verdict("eval.false_alarms.b"), Some(Verdict::Noise));
    assert!(comparison.verdict().contains("worse by more than noise: eval.event_f1.macro"), "{}", comparison.verdict());
    assert!(table(&after, Some(&comparison)).contains("budget: 1 per 1d before, 1 per 7d now"));
    let back = Comparison::of(&after, &before);
    assert!(back.changes.iter().any(|one| one.metric == "eval.false_alarms.a" && one.verdict == Verdict::Better));
    assert_eq!(back.verdict(), "nothing got worse by more than noise");
}

#[test]
fn confidence_is_learned_from_other_sets_only() {
    let mut all = dataset();
    let claimed = claims(&all.iter().map(|judged| Claimant { judged }).collect::<Vec<_>>());
    for (one, claimed) in all.iter_mut().zip(claimed) {
        let claimed = claimed.expect("there are other sets");
        assert!(claimed[610] > 0.35 && claimed[610] <= 0.4 && claimed[5] < 0.05, "{} {}", claimed[610], claimed[5]);
        let alerts = (claimed[601], claimed[100]);
        assert!(alerts.0 == alerts.1 && (alerts.0 - 0.5).abs() < 0.01, "half of such alerts are true: {alerts:?}");
        one.scores.confidence = Some(claimed);
    }
    let evaluation = Evaluation::of(protocol(), &all);
    assert!(evaluation.overall.confidence.brier_skill.expect("claims") > 0.5);
    // With its own labels turned around, a set's claims stay what the others taught.
    let mut turned = dataset();
    for one in turned.iter_mut().filter(|one| one.judgement.set == "a") {
        one.labels.iter_mut().for_each(|label| *label = !*label);
    }
    let claimed = claims(&turned.iter().map(|judged| Claimant { judged }).collect::<Vec<_>>());
    assert_eq!(claimed[0], all[0].scores.confidence);
    assert_eq!(claims(&[Claimant { judged: &turned[0] }]), [None], "one set alone has no others");
}

#[test]
fn figures_and_markdown_name_every_set_and_detector() {
    let mut all = dataset();
    all[0].judgement.n_masked = Some(1);
    all[1].judgement.n_masked = Some(2);
    let evaluation = Evaluation::of(protocol(), &all);
    let lines = figure_lines(&evaluation);
    for wanted in [
        "figure eval.events_masked.a 3.0000 events",
        "figure eval.budget_kept 3.0000 sets",
        "figure eval.vus_pr.macro 0.4500 ratio",
        "figure eval.vus_pr.b 0.6500 ratio",
        "figure eval.auc_pr.macro 0.2250 ratio",
        "figure eval.event_f1.a 0.6667 ratio",
        "figure eval.ablation.forest 0.0200 vus_pr",
    ] {
        assert!(lines.lines().any(|line| line == wanted), "{wanted} isn't in\n{lines}");
    }
    let text = markdown(&evaluation, Some(&Comparison::of(&evaluation, &evaluation)));
    assert!(text.contains("| macro |") && text.contains("| forest |") && text.contains("budget 1 per 1d"), "{text}");
}

#[test]
fn the_page_has_every_plot_needs_nothing_else_and_escapes_names() {
    let mut all = dataset();
    all.push(Judged::failed(&entry("a", "<script>"), 1, "bad & worse".into()));
    for one in &mut all {
        one.trace.columns = vec![
            TraceColumn { low: 0.0, high: 1.0, score: 0.5, labelled: false, alert: false },
            TraceColumn { low: f64::NAN, high: f64::NAN, score: 9.0, labelled: true, alert: true },
        ];
    }
    let evaluation = Evaluation::of(protocol(), &all);
    let page = html(&evaluation, None, &all);
    assert!(!page.contains("<script") && !page.contains("http") && page.contains("&lt;script&gt;"), "{page}");
    assert!(page.contains("bad &amp; worse") && !page.contains("NaN"));
    for title in ["VUS-PR by set", "Precision over recall", "Delay of detection", ">signal<", ">score<"] {
        assert!(page.contains(title), "{title}");
    }
    let count = |tag: &str| page.matches(tag).count();
    for tag in ["svg", "table", "section", "figure", "p"] {
        assert_eq!(count(&format!("<{tag} ")) + count(&format!("<{tag}>")), count(&format!("</{tag}>")), "{tag}");
    }
}

#[test]
fn peers_stand_beside_ours_with_what_they_lack_and_what_failed() {
    let ours = dataset();
    let mut evaluation = Evaluation::of(protocol(), &ours);
    let mut theirs = ours.clone();
    for one in &mut theirs {
        one.judgement.vus_pr = one.judgement.vus_pr.map(|vus_pr| vus_pr - 0.1);
        one.alerts_by = Some(AlertsBy::Policy);
    }
    theirs[0] = Judged::failed(&entry("a", "s0"), 1, "no scores".into());
    evaluation.add_peer("other<1>".into(), &theirs, Some(&theirs));
    let mut mute = ours.clone();
    mute.iter_mut().for_each(|one| one.judgement.events = None);
    evaluation.add_peer("mute".into(), &mute, None);

    let peer = &evaluation.peers[0];
    let lead = peer.lead.as_ref().expect("the same series");
    assert!((lead.difference.value - 0.1).abs() < 1e-9 && lead.verdict == Verdict::Better, "{lead:?}");
    assert_eq!(evaluation.peers[1].lead.as_ref().map(|lead| lead.verdict), Some(Verdict::Noise));
    let json = serde_json::to_string(&evaluation).expect("JSON");
    assert_eq!(serde_json::from_str::<Evaluation>(&json).expect("reads back"), evaluation);

    let text = table(&evaluation, None);
    assert!(text.contains("side by side") && text.contains("+0.100") && text.contains("homeostat's policy"), "{text}");
    assert!(text.contains("other<1>: 1 series couldn't be judged and are in none of its metrics: a/s0: no scores"));
    let row = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(row("homeostat").len(), 2, "ours in both tables: {text}");
    assert!(row("mute")[1].ends_with("-  -  -  -  -  -") || !row("mute")[1].contains('@'), "{text}");
    assert!(markdown(&evaluation, None).contains("## Side by side"));
    assert!(html(&evaluation, None, &ours).contains("other&lt;1&gt;"));
    assert!(figure_lines(&evaluation).contains("figure eval.peer.event_f1.other<1> "));
    assert!(!figure_lines(&evaluation).contains("event_f1.mute"));
}

/// Two days at a minute, the second judged, with an event of 30 rows; its file has one feature.
fn minutes() -> (SeriesEntry, crate::LabelledSeries) {
    let entry = SeriesEntry { rows: 2880, train_rows: 1440, ..entry("a", "one") };
    let rows = (0..2880).map(|row| format!("{},{},{}\n", row * 60, row % 7, u8::from((2000..2030).contains(&row))));
    let csv = std::iter::once("timestamp,x,label\n".to_owned()).chain(rows).collect::<String>();
    let series = crate::LabelledSeries::read(&entry, csv.as_bytes(), crate::Placement::Strict).expect("a series");
    (entry, series)
}

#[test]
fn a_peer_without_alerts_gets_our_policy_on_its_surprisals_or_a_threshold_and_its_own_alerts_stay() {
    let (entry, series) = minutes();
    let nats = (0..2880).map(|row| if (2000..2030).contains(&row) { 60.0 } else { f64::from(row * 7919 % 97) / 20.0 });
    let nats: Vec<f64> = nats.collect();
    let all = Scores { score: nats.clone(), surprisal_nats: Some(nats), ..Scores::default() };
    let judged = |scores: &Scores, alerts: AlertRule| {
        let (train, scores) = scores.clone().split(2880, 1440).expect("all rows");
        let options = JudgeOptions { ablation: false, budget: "1 per 1d".parse().expect("a budget"), alerts };
        let judged = Judged::of_scores(&entry, &series, 1, train.as_ref(), scores, options);
        let alert = judged.scores.alert.clone().unwrap_or_default();
        let n_alerts = alert.iter().filter(|alert| **alert).count();
        (judged.alerts_by, n_alerts, judged.judgement.events.map(|events| events.n_found))
    };
    let policy = AlertRule::Policy(homeostat_detect::Hysteresis::default());
    assert_eq!(judged(&all, policy), (Some(AlertsBy::Policy), 1, Some(1)), "one call for one incident");
    assert_eq!(judged(&all, AlertRule::FixedThreshold), (Some(AlertsBy::FixedThreshold), 30, Some(1)));
    let plain = Scores { surprisal_nats: None, ..all.clone() };
    assert_eq!(judged(&plain, policy), (Some(AlertsBy::FixedThreshold), 30, Some(1)));
    let own = Scores { alert: Some(vec![false; 2880]), ..all };
    assert_eq!(judged(&own, policy), (Some(AlertsBy::Itself), 0, Some(0)));
}
