use homeostat_core::Seed;

use super::*;

fn space() -> Space {
    let option = |name: &str, values: &[&str]| TunedOption {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    Space::new(vec![option("depth", &["2", "4", "8"]), option("colour", &["red", "blue"]), option("fixed", &["1"])])
}

/// Three sets of six series.
fn spec(n_trials: usize) -> SearchSpec {
    let sets = ["a", "b", "c"].iter().flat_map(|set| std::iter::repeat_n((*set).to_owned(), 6)).collect();
    SearchSpec { n_trials, sets, seeds: vec![1], budget_per_day: 1.0, seed: Seed::new(1) }
}

fn outcome(vus_pr: f64, n_false: usize) -> TrialOutcome {
    let events = EventCounts { n_events: 1, n_found: 1, n_episodes: n_false + 1, n_true: 1, delays_rows: vec![0] };
    TrialOutcome { vus_pr: Some(vus_pr), events: Some(events), days: 1.0, failure: None }
}

/// Runs a search whose jobs end as `run` says, `at_once` jobs at a time; counts the jobs.
fn finish(search: &Search, at_once: usize, run: impl Fn(Job) -> TrialOutcome) -> (Finished, usize) {
    let mut known = Outcomes::new();
    loop {
        match search.step(&known) {
            Step::Run(jobs) => known.extend(jobs.into_iter().take(at_once).map(|job| (job, run(job)))),
            Step::Done(finished) => return (*finished, known.len()),
        }
    }
}

/// Noise of a series that options don't change, and some that they do.
fn quality(job: Job, gain: f64) -> f64 {
    0.3 + 0.02 * (job.series % 5) as f64 + gain + 0.001 * ((job.trial * 7 + job.series * 3) % 5) as f64
}

#[test]
fn draws_begin_with_the_defaults_and_are_all_different_and_repeatable() {
    let trials = space().draw(6, Seed::new(3));
    assert!(trials[0].is_default() && trials.len() == 6, "{trials:?}");
    assert!((1..6).all(|idx| !trials[..idx].contains(&trials[idx])), "{trials:?}");
    assert_eq!(space().draw(4, Seed::new(3)), trials[..4]);
    assert_eq!(space().draw(50, Seed::new(3)).len(), 6, "the space has six");
}

#[test]
fn the_better_trial_is_chosen_on_every_fold_for_far_fewer_runs_than_all() {
    let search = Search::new(spec(27));
    let run = |job: Job| outcome(quality(job, if job.trial == 5 { 0.1 } else { 0.0 }), 0);
    let (finished, n_jobs) = finish(&search, usize::MAX, run);
    assert_eq!((finished.chosen.trial, finished.chosen.best), (5, 5));
    assert!(finished.held_out.iter().all(|one| one.chosen.trial == 5) && finished.held_out.len() == 3);
    let loso = finished.loso.expect("three sets");
    assert!((loso.value - finished.chosen.worth.vus_pr).abs() < 1e-9, "the same trial on all: {finished:?}");
    assert!(loso.low < loso.value && loso.value < loso.high);
    assert!(n_jobs < 27 * 18 * 2 / 3, "{n_jobs} of {}", 27 * 18);
}

#[test]
fn it_ends_the_same_in_whatever_portions_its_jobs_are_run() {
    let search = Search::new(spec(18));
    let run = |job: Job| outcome(quality(job, 0.01 * (job.trial % 7) as f64), job.trial % 3);
    let (finished, n_jobs) = finish(&search, usize::MAX, run);
    assert_eq!(finish(&search, 5, run), (finished, n_jobs));
}

#[test]
fn a_choice_that_suits_some_sets_is_judged_on_the_others() {
    // Each trial but the defaults suits one set only; whoever chooses on the other two mustn't be paid by that set.
    let search = Search::new(spec(4));
    let suits = |job: Job| job.trial > 0 && job.series / 6 == job.trial - 1;
    let run = |job: Job| outcome(0.4 + if suits(job) { 0.3 } else { -0.02 * f64::from(u8::from(job.trial > 0)) }, 0);
    let (finished, _) = finish(&search, usize::MAX, run);
    let loso = finished.loso.expect("three sets").value;
    assert!((loso - 0.38).abs() < 1e-9, "{loso}");
    assert!(finished.chosen.worth.vus_pr > loso + 0.05, "{finished:?}");
}

#[test]
fn what_is_better_within_noise_leaves_the_defaults() {
    let search = Search::new(spec(9));
    let run = |job: Job| {
        // Trial 3 is far better on one series and a little worse on the rest.
        let gain = if job.trial == 3 { if job.series == 4 { 0.6 } else { -0.01 } } else { 0.0 };
        outcome(0.3 + gain, 0)
    };
    let (finished, _) = finish(&search, usize::MAX, run);
    assert_eq!(finished.chosen.trial, 0, "{finished:?}");
}

#[test]
fn false_alarms_over_the_budget_cost_more_than_a_better_ranking_gains() {
    let search = Search::new(spec(4));
    let run = |job: Job| match job.trial {
        1 => outcome(0.36, 3),
        2 => outcome(0.34, 1),
        _ => outcome(0.3, 1),
    };
    let (finished, _) = finish(&search, usize::MAX, run);
    assert_eq!(finished.chosen.trial, 2, "{finished:?}");
}

#[test]
fn one_set_alone_has_no_figure_of_a_set_left_out() {
    let search = Search::new(SearchSpec { sets: vec!["a".into(); 4], ..spec(3) });
    let (finished, _) = finish(&search, usize::MAX, |job| outcome(quality(job, 0.0), 0));
    assert_eq!((finished.loso, finished.held_out.len()), (None, 0));
}

#[test]
fn an_option_that_decides_is_told_from_one_that_does_nothing() {
    let space = space();
    let trials = space.draw(6, Seed::new(3));
    let worth: Vec<f64> =
        trials.iter().enumerate().map(|(idx, trial)| trial.value_idx(0) as f64 + 0.01 * (idx % 2) as f64).collect();
    let found = effects(&space, &trials, &worth);
    assert_eq!(found.iter().map(|one| one.option.as_str()).collect::<Vec<_>>(), ["depth", "colour"]);
    assert!(found[0].share > 0.9 && found[1].share < 0.1, "{found:?}");
}

#[test]
fn the_report_names_what_was_chosen_and_prints_the_figure() {
    let space = space();
    let trials = space.draw(6, Seed::new(3));
    let search = Search::new(spec(6));
    let (finished, _) = finish(&search, usize::MAX, |job| {
        outcome(quality(job, if trials[job.trial].value_idx(0) == 2 { 0.1 } else { 0.0 }), 0)
    });
    let text = tuning_text(&finished, Named { space: &space, trials: &trials }, 1.0);
    assert!(text.contains("depth=8") && text.contains("chosen: #"), "{text}");
    assert!(
        tuning_figure_lines(&finished).starts_with("figure eval.vus_pr.loso 0."),
        "{}",
        tuning_figure_lines(&finished)
    );
}
