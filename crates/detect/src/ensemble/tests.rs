use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Seed, Signal, Subject};
use ndarray::Array2;
use rand::Rng;

use super::*;
use crate::detector::TrainError;
use crate::detectors::DetectorSpec;
use crate::fitted::NoOptions;
use crate::load_options::LoadOptions;
use crate::scripted::Script;

const STEP: Duration = Duration::from_secs(60);

fn feature(name: &str, signal: Signal) -> Feature {
    Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 }
}

/// A window of `(n_steps, n_features)` values that starts at row `from` of all time.
fn window(from: usize, values: Array2<f64>) -> Window {
    let signals = [Signal::Latency, Signal::Memory, Signal::Other];
    let features =
        (0..values.ncols()).map(|idx| feature(&format!("f{idx}"), signals[idx % signals.len()])).collect::<Vec<_>>();
    let start = Timestamp::from_secs(60 * from as i64);
    let grid = Grid::new(start, STEP, values.nrows()).expect("a grid");
    let schema = Arc::new(Schema::new(features).expect("a schema"));
    Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window")
}

/// Roughly normal noise around 10 and 100.
fn noise(seed: u64, n_rows: usize) -> Array2<f64> {
    let mut rng = Seed::new(seed).rng();
    Array2::from_shape_fn((n_rows, 2), |(_, idx)| {
        let bell: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        [10.0, 100.0][idx] + bell
    })
}

fn spec(detectors: Vec<DetectorSpec>) -> EnsembleSpec {
    EnsembleSpec { detectors, ..EnsembleSpec::default() }
}

fn two() -> EnsembleSpec {
    spec(vec![DetectorSpec::Residual(NoOptions {}), DetectorSpec::Scripted(Script::default())])
}

fn trained(spec: &EnsembleSpec, n_rows: usize) -> Ensemble {
    Ensemble::train(spec, &window(0, noise(1, n_rows)), Seed::new(3)).expect("enough history")
}

/// `n_rows` of noise from row `from`, with 20 added to the first feature in the rows `fault`.
fn live(from: usize, n_rows: usize, fault: std::ops::Range<usize>) -> Window {
    let mut values = noise(2, n_rows);
    for row in fault {
        values[[row, 0]] += 20.0;
    }
    window(from, values)
}

#[test]
fn a_fault_alarms_at_once_and_noise_does_not() {
    let mut ensemble = trained(&two(), 600);
    let rows = ensemble.assess_rows(&live(600, 60, 30..40)).expect("the same features");
    let alarming: Vec<usize> =
        (0..60).filter(|idx| rows[*idx].assessment.score().is_some_and(|score| score.is_alarming())).collect();
    assert_eq!(alarming.first(), Some(&30), "{alarming:?}");
    assert!(alarming.contains(&31));
}

#[test]
fn online_scores_equal_the_batch_scores_of_the_same_prefix() {
    let whole = live(600, 90, 40..50);
    let mut batch = trained(&two(), 600);
    let mut online = batch.clone();
    let wanted = batch.assess_rows(&whole).expect("the same features");
    let mut found = Vec::new();
    for end in 1..=90_usize {
        // Windows overlap, as those of a service do.
        let part = whole.slice_steps(end.saturating_sub(1 + end % 7), end).expect("rows");
        found.extend(online.assess_rows(&part).expect("the same features"));
    }
    assert_eq!(found, wanted);
}

#[test]
fn missing_rows_are_the_same_whether_they_come_as_gaps_or_not_at_all() {
    let mut gappy = noise(2, 200);
    gappy.slice_mut(ndarray::s![20..120, ..]).fill(f64::NAN);
    let whole = window(600, gappy);
    let mut batch = trained(&two(), 600);
    let mut cut = batch.clone();
    let wanted = batch.assess_rows(&whole).expect("the same features");
    let mut found = cut.assess_rows(&whole.slice_steps(0, 20).expect("rows")).expect("the same features");
    found.extend(cut.assess_rows(&whole.slice_steps(120, 200).expect("rows")).expect("the same features"));
    assert_eq!(wanted.len(), 20 + BUFFER_ROWS_MAX + 80, "at most a row_buffer full of gaps");
    assert_eq!(found, wanted);
}

#[test]
fn a_row_that_is_not_there_yet_is_taken_when_it_comes() {
    let mut ensemble = trained(&two(), 600);
    let mut values = noise(2, 10);
    values.row_mut(9).fill(f64::NAN);
    assert_eq!(ensemble.assess(&window(600, values)).at, Timestamp::from_secs(60 * 608));
    assert_eq!(ensemble.assess(&window(600, noise(2, 10))).at, Timestamp::from_secs(60 * 609));
}

#[test]
fn a_detector_that_breaks_is_a_missing_vote() {
    let breaking = Script { fails_after: 610, ..Script::default() };
    let mut ensemble = trained(
        &spec(vec![
            DetectorSpec::Residual(NoOptions {}),
            DetectorSpec::Scripted(Script::default()),
            DetectorSpec::Scripted(breaking),
        ]),
        600,
    );
    let rows = ensemble.assess_rows(&live(600, 30, 20..25)).expect("the same features");
    assert!(matches!(rows[5].assessment.votes[2].vote, Vote::Scored { .. }));
    assert!(matches!(rows[15].assessment.votes[2].vote, Vote::Failed { .. }));
    assert!(rows[20].assessment.score().expect("two votes are left").is_alarming());
}

#[test]
fn a_detector_that_cannot_be_trained_is_listed_and_votes_failed() {
    let untrainable = Script { untrainable: true, ..Script::default() };
    let mut three = two();
    three.detectors.insert(0, DetectorSpec::Scripted(untrainable.clone()));
    let mut ensemble = trained(&three, 600);
    assert_eq!(ensemble.missing().len(), 1);
    let votes = ensemble.assess(&live(600, 5, 0..0)).votes;
    assert!(votes.iter().any(|named| matches!(&named.vote, Vote::Failed { why } if why.contains("not trained"))));
    let too_few = spec(vec![DetectorSpec::Residual(NoOptions {}), DetectorSpec::Scripted(untrainable)]);
    let error = Ensemble::train(&too_few, &window(0, noise(1, 600)), Seed::new(3));
    assert!(matches!(error, Err(TrainError::Failed { detector: "ensemble", .. })));
}

#[test]
fn another_schema_or_step_is_failed_votes_and_changes_nothing() {
    let mut ensemble = trained(&two(), 600);
    let before = ensemble.newest_at();
    let other = window(700, Array2::zeros((5, 3)));
    let assessment = ensemble.assess(&other);
    assert!(assessment.votes.iter().all(|named| matches!(named.vote, Vote::Failed { .. })));
    assert_eq!((assessment.score(), ensemble.newest_at()), (None, before));
}

#[test]
fn a_short_history_is_refused_and_says_what_is_needed() {
    let error = Ensemble::train(&two(), &window(0, noise(1, 100)), Seed::new(3));
    assert!(matches!(error, Err(TrainError::TooFewRows { found: 100, needed: 120, .. })), "{error:?}");
}

#[test]
fn a_feature_far_above_its_normal_stays_not_normal_however_long_it_lasts() {
    let mut ensemble = trained(&two(), 600);
    ensemble.assess(&live(600, 80, 20..80));
    let latency = ensemble.feature_states().expect("rows were seen")[0];
    assert!(!latency.normal && latency.deviation.expect("measured") > 10.0);
    let mut values = noise(2, 1);
    values[[0, 0]] = f64::NAN;
    ensemble.assess(&window(680, values));
    let latency = ensemble.feature_states().expect("rows were seen")[0];
    assert!(!latency.normal, "a gap is not normal");
    ensemble.assess(&live(681, 5, 0..0));
    assert!(ensemble.feature_states().expect("rows were seen")[0].normal);
}

#[test]
fn one_shot_scoring_keeps_nothing() {
    let ensemble = trained(&two(), 600);
    let fault = live(600, 40, 39..40);
    let first = ensemble.assess_once(&fault);
    assert!(first.score().expect("scored").is_alarming());
    assert_eq!(ensemble.assess_once(&fault), first);
    assert_eq!(ensemble.newest_at(), Some(Timestamp::from_secs(60 * 599)));
}

#[test]
fn the_extractor_and_the_forecast_hold_their_statistics_once_trained_and_restored() {
    let ensemble = trained(&EnsembleSpec::default(), 400);
    let saved = ensemble.save().expect("plain data");
    let restored = Ensemble::restore(&saved, &LoadOptions::default()).expect("what was saved");
    for one in [&ensemble, &restored] {
        assert_eq!(one.extractor.scaler().n_holders(), 2);
    }
}

#[test]
fn the_next_scores_after_save_and_load_are_the_same_bit_for_bit() {
    let mut ensemble = trained(&two(), 600);
    ensemble.assess(&live(600, 50, 40..50));
    let mut loaded =
        Ensemble::restore(&ensemble.save().expect("plain data"), &LoadOptions::default()).expect("what was saved");
    let next = live(650, 50, 10..20);
    assert_eq!(loaded.assess_rows(&next), ensemble.assess_rows(&next));
}

#[test]
fn every_prefix_of_a_saved_state_is_refused_without_a_panic() {
    let SavedEnsemble { state, models } = trained(&two(), 150).save().expect("plain data");
    for end in (0..state.len()).step_by(97) {
        let cut = SavedEnsemble { state: state[..end].to_vec(), models: models.clone() };
        assert!(Ensemble::restore(&cut, &LoadOptions::default()).is_err(), "{end} of {}", state.len());
    }
}

/// How often incidents open in these rows. Either path opens one; each has half of the budget.
fn n_openings(ensemble: &mut Ensemble, rows: &Window) -> u32 {
    use crate::hysteresis::{Gate, Hysteresis};
    let (rule, mut gates) = (Hysteresis::default(), [Gate::default(), Gate::default()]);
    let (mut open, mut n_openings) = (false, 0);
    for row in ensemble.assess_rows(rows).expect("the same features") {
        let scores = [row.assessment.score(), row.assessment.lasting_score()];
        for (gate, score) in gates.iter_mut().zip(scores) {
            gate.push(&rule, score.map(homeostat_core::Score::value));
        }
        if !open && gates.iter().any(|gate| gate.opens(&rule)) {
            (open, n_openings) = (true, n_openings + 1);
        } else if gates.iter().all(|gate| gate.is_calm(&rule)) {
            open = false;
        }
    }
    n_openings
}

/// Trained on three days for one false incident a day.
fn daily(round: u64) -> Ensemble {
    let daily = EnsembleSpec { budget: "1 per 1d".parse().expect("a budget"), ..two() };
    Ensemble::train(&daily, &window(0, noise(100 + round, 3 * 1440)), Seed::new(round)).expect("enough history")
}

#[test]
fn the_budget_is_roughly_realised_from_training_to_openings() {
    let n_days = 40;
    let of_round = |round| n_openings(&mut daily(round), &window(3 * 1440, noise(200 + round, n_days * 1440)));
    let per_day = f64::from((0..5).map(of_round).sum::<u32>()) / (5 * n_days) as f64;
    assert!((0.2..=2.5).contains(&per_day), "{per_day} a day");
}

#[test]
fn many_quiet_ensembles_together_keep_within_the_budget_of_all_without_being_trained_anew() {
    let (n_subjects, n_days) = (20_usize, 20);
    let budgets = crate::Budgets {
        each: "1 per 1d".parse().expect("a budget"),
        fleet: Some("1 per 4d".parse().expect("a budget")),
    };
    let (mut together, mut each_for_itself) = (0, 0);
    for subject in 0..n_subjects as u64 {
        let rows = window(3 * 1440, noise(200 + subject, n_days * 1440));
        let mut ensemble = daily(subject);
        each_for_itself += n_openings(&mut ensemble.clone(), &rows);
        ensemble.hold_to(&budgets.of_each(n_subjects));
        together += n_openings(&mut ensemble, &rows);
    }
    // One in four days.
    assert!(together <= 5 && each_for_itself > 15, "{together} in {n_days} days, otherwise {each_for_itself}");
}

#[test]
fn every_detector_trains_votes_and_goes_by_its_own_name() {
    let mut ensemble = trained(&EnsembleSpec::default(), 900);
    assert_eq!(ensemble.missing(), []);
    let wanted: Vec<&str> = EnsembleSpec::default().detectors.iter().map(DetectorSpec::name).collect();
    assert_eq!(ensemble.detectors().collect::<Vec<_>>(), wanted);
    assert_eq!(DetectorSpec::by_name("forest").map(|spec| spec.name()), Some("forest"));
    assert_eq!(DetectorSpec::by_name("oracle"), None);
    let rows = ensemble.assess_rows(&live(900, 60, 40..56)).expect("the same features");
    for (idx, detector) in wanted.iter().enumerate() {
        let nats = rows[40..56].iter().map(|row| match &row.assessment.votes[idx].vote {
            Vote::Scored { tail, .. } => tail.surprisal_nats(),
            vote @ (Vote::NotReady { .. } | Vote::Failed { .. }) => panic!("{detector}: {vote:?}"),
        });
        let most = nats.fold(0.0, f64::max);
        assert!(most > 4.0, "{detector}: {most}");
    }
    assert!(rows[40].assessment.score().is_some_and(|score| score.is_alarming()));
    assert!(rows[..40].iter().all(|row| row.assessment.score().is_some_and(|score| !score.is_alarming())));
}

#[test]
fn training_twice_gives_the_same_bytes() {
    let save = || trained(&EnsembleSpec::default(), 400).save().expect("plain data");
    assert_eq!(save(), save());
}

#[test]
fn an_option_out_of_range_is_the_configs_fault_not_a_missing_vote() {
    let mut bad = two();
    bad.hysteresis.of_rows = 99;
    let error = Ensemble::train(&bad, &window(0, noise(1, 600)), Seed::new(3));
    assert!(matches!(error, Err(TrainError::BadOption { .. })), "{error:?}");
}

#[test]
fn a_history_of_constants_and_one_of_gaps_train_or_say_why_not() {
    let flat = Ensemble::train(&EnsembleSpec::default(), &window(0, Array2::from_elem((400, 2), 7.0)), Seed::new(3));
    let mut flat = flat.expect("what never moved is known well");
    let mut moved = Array2::from_elem((10, 2), 7.0);
    moved[[9, 0]] = 8.0;
    let rows = flat.assess_rows(&window(400, moved)).expect("the same features");
    assert!(rows[8].assessment.score().is_some_and(|score| !score.is_alarming()));
    assert!(rows[9].assessment.score().is_some_and(|score| score.is_alarming()));
    let gaps = Array2::from_elem((400, 2), f64::NAN);
    assert!(matches!(
        Ensemble::train(&EnsembleSpec::default(), &window(0, gaps), Seed::new(3)),
        Err(TrainError::TooFewRows { found: 0, .. })
    ));
}

#[test]
fn a_subject_that_began_or_ended_within_the_history_is_trained_on_its_own_time() {
    let (all, rows) = (noise(3, 600), 200..600);
    let mut late = all.clone();
    late.slice_mut(ndarray::s![..200, ..]).fill(f64::NAN);
    let mut ended = all.clone();
    ended.slice_mut(ndarray::s![400.., ..]).fill(f64::NAN);
    let own = |range: std::ops::Range<usize>| window(range.start, all.slice(ndarray::s![range, ..]).to_owned());
    for (whole, own) in [(late, own(rows)), (ended, own(0..400))] {
        let train = |history: &Window| Ensemble::train(&two(), history, Seed::new(7)).expect("enough of its own");
        let (mut of_whole, mut of_own) = (train(&window(0, whole)), train(&own));
        let next = live(600, 40, 20..30);
        assert_eq!(of_whole.threshold_nats(), of_own.threshold_nats());
        assert_eq!(of_whole.assess(&next), of_own.assess(&next));
    }
}

#[test]
fn a_column_that_is_empty_throughout_takes_no_detector_away() {
    let with_empty =
        |values: Array2<f64>| {
            let (n_rows, n_measured) = values.dim();
            Array2::from_shape_fn((n_rows, n_measured + 1), |(row, idx)| {
                if idx == n_measured { f64::NAN } else { values[[row, idx]] }
            })
        };
    let mut ensemble = Ensemble::train(&EnsembleSpec::default(), &window(0, with_empty(noise(1, 900))), Seed::new(3))
        .expect("enough history");
    assert!(ensemble.missing().is_empty(), "{:?}", ensemble.missing());
    let mut values = with_empty(noise(2, 60));
    for row in 40..45 {
        values[[row, 0]] += 20.0;
    }
    values.row_mut(20).fill(f64::NAN);
    let rows = ensemble.assess_rows(&window(900, values)).expect("the same features");
    let alarms: Vec<bool> =
        rows.iter().map(|row| row.assessment.score().is_some_and(|score| score.is_alarming())).collect();
    assert!(alarms.iter().position(|is_alarm| *is_alarm) >= Some(38), "{alarms:?}");
    assert!(alarms.iter().any(|is_alarm| *is_alarm));
    assert!(rows.iter().all(|row| row.features.iter().take(1).all(|state| state.value.is_some() || !state.normal)));
}

mod habits;
mod holidays;
mod local_time;
