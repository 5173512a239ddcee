use homeostat_core::Seed;
use ndarray::{Array2, array};
use rand::Rng;

use super::*;
use crate::contract::{history, next_score, noise, scored};

fn uniform(n_rows: usize, n_columns: usize) -> Array2<f64> {
    let mut rng = Seed::new(5).rng();
    Array2::from_shape_fn((n_rows, n_columns), |_| rng.random::<f64>())
}

#[test]
fn two_dense_regions_are_two_clusters_and_the_stray_row_is_no_core() {
    let mut rows = uniform(401, 2);
    rows.slice_mut(ndarray::s![200..400, ..]).mapv_inplace(|value| value + 10.0);
    rows.row_mut(400).fill(5.0);
    let spec = DbscanSpec::default().with_min_points(5).and_then(|spec| spec.with_epsilon(Epsilon::Quantile(0.95)));
    let found = cores::find(rows.view(), &spec.expect("options")).expect("cores");
    assert_eq!(found.n_clusters, 2);
    assert!(found.cores.rows().into_iter().all(|core| (core[0] - 5.0).abs() > 3.0));
    // About the 95 % that ε was chosen for.
    assert!((370..=395).contains(&found.cores.nrows()), "{}", found.cores.nrows());
}

#[test]
fn a_core_has_as_many_neighbours_as_the_definition_asks() {
    let rows = uniform(200, 3);
    let spec = DbscanSpec::default()
        .with_min_points(7)
        .and_then(|spec| spec.with_epsilon(Epsilon::Quantile(0.8)))
        .expect("options");
    let found = cores::find(rows.view(), &spec).expect("cores");
    let neighbours = |row: ndarray::ArrayView1<'_, f64>| {
        rows.rows().into_iter().filter(|other| (other - &row).mapv(|x| x * x).sum().sqrt() <= found.epsilon).count()
    };
    let cores: Vec<_> = rows.rows().into_iter().filter(|row| neighbours(*row) >= 7).collect();
    assert_eq!(cores.len(), found.cores.nrows());
    assert!(cores.iter().zip(found.cores.rows()).all(|(by_definition, core)| by_definition == core));
}

#[test]
fn a_rare_regime_is_kept_whole_and_a_long_one_is_thinned() {
    // One feature: level, and two residuals that play no part here.
    let mut rows = Array2::zeros((20_000, 3));
    rows.slice_mut(ndarray::s![7_000..7_030, 0]).fill(12.0);
    let chosen = sample::chosen(rows.view(), &[0, 1, 2], 2_000, 10);
    assert_eq!(chosen.len(), 2_000);
    assert_eq!(chosen.iter().filter(|row| (7_000..7_030).contains(*row)).count(), 30);
    assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "each row once, in order");
}

#[test]
fn a_glitch_of_a_few_rows_gets_no_share_of_its_own() {
    let mut rows = Array2::zeros((20_000, 3));
    rows.slice_mut(ndarray::s![100..103, 0]).fill(12.0);
    rows.slice_mut(ndarray::s![200..204, 0]).fill(-12.0);
    let chosen = sample::chosen(rows.view(), &[0, 1, 2], 2_000, 10);
    assert!(chosen.iter().filter(|row| (100..204).contains(*row)).count() <= 110);
    assert_eq!(chosen.len(), 2_000);
}

#[test]
fn shares_are_fair_and_never_more_than_asked() {
    let groups = [(0..5).collect::<Vec<_>>(), (5..105).collect(), (105..1105).collect()];
    let kept = sample::thinned(&groups, 205);
    assert_eq!(kept.len(), 205);
    assert_eq!(kept.iter().filter(|idx| **idx < 5).count(), 5);
    assert_eq!(kept.iter().filter(|idx| (5..105).contains(*idx)).count(), 100);
    assert!(sample::thinned(&groups, 0).is_empty());
}

#[test]
fn training_rows_lie_within_and_a_far_row_far_outside() {
    let values = noise(1_500, 2, Seed::new(2));
    let (extractor, extracted) = history(values.slice(ndarray::s![..1_000, ..]).to_owned());
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
    let (mut extractor, mut within) = (extractor, 0);
    let mut at = extractor.row_buffer().newest_at().expect("rows");
    for row in values.slice(ndarray::s![1_000.., ..]).rows() {
        at = at + extractor.step();
        extractor.push(at, row.iter().copied());
        let Ok(Scoring::Scored(raw)) = dbscan.score(extractor.row_buffer()) else { panic!("no score") };
        within += usize::from(raw.value() <= 2.0_f64.ln());
    }
    assert!(within > 440, "{within} of 500 new normal rows lie within ε of a core");
    extractor.push(at + extractor.step(), [9.0, -9.0].into_iter());
    let Ok(Scoring::Scored(raw)) = dbscan.score(extractor.row_buffer()) else { panic!("no score") };
    assert!(raw.value() > 20.0_f64.ln_1p(), "{}", raw.value());
}

#[test]
fn a_feature_training_hardly_had_is_left_out() {
    let mut values = noise(500, 2, Seed::new(2));
    values.slice_mut(ndarray::s![10.., 1]).fill(f64::NAN);
    let (_, extracted) = history(values);
    let (columns, rows) = sample::complete_rows(&[&extracted], extracted.n_features());
    assert_eq!(columns, vec![0, 1, 2]);
    assert!(rows.nrows() > 400);
}

#[test]
fn bad_options_are_refused() {
    let spec = DbscanSpec::default;
    for spec in [
        spec().with_min_points(1),
        spec().with_min_points(101),
        spec().with_epsilon(Epsilon::Quantile(f64::NAN)),
        spec().with_epsilon(Epsilon::Quantile(1.0)),
        spec().with_epsilon(Epsilon::Deviations(0.0)),
        spec().with_epsilon(Epsilon::Deviations(f64::INFINITY)),
        spec().with_rows_max(20_000, 1_000),
        spec().with_rows_max(2_000, 2_001),
        spec().with_rows_max(2_000, 0),
    ] {
        assert!(matches!(spec, Err(TrainError::BadOption { .. })), "{spec:?}");
    }
    let (_, extracted) = history(array![[1.0], [2.0]]);
    let trained = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1));
    assert!(matches!(trained, Err(TrainError::TooFewRows { .. })));
}

/// Clusters and cores against scikit-learn's, kept in `fixtures/dbscan` with the script that made them.
#[test]
fn labels_and_cores_are_scikit_learns() {
    for text in [
        include_str!("../../fixtures/dbscan/blobs.csv"),
        include_str!("../../fixtures/dbscan/moons.csv"),
        include_str!("../../fixtures/dbscan/grid.csv"),
        include_str!("../../fixtures/dbscan/wide.csv"),
        include_str!("../../fixtures/dbscan/duplicates.csv"),
    ] {
        let (head, body) = text.trim_end().split_once('\n').expect("a head");
        let (epsilon, min_points) = head.trim_start_matches("# ").split_once(' ').expect("two options");
        let (epsilon, min_points) = (epsilon.parse().expect("epsilon"), min_points.parse().expect("min_points"));
        let lines: Vec<Vec<f64>> =
            body.lines().map(|line| line.split(',').map(|cell| cell.parse().expect("a number")).collect()).collect();
        let n_columns = lines[0].len() - 2;
        let rows = Array2::from_shape_fn((lines.len(), n_columns), |(row, column)| lines[row][column]);
        let distances = cores::distances_to_kth(rows.view(), min_points);
        let found = cores::clustered(rows.view(), epsilon, min_points, &distances).expect("a clustering");
        let mut names = std::collections::BTreeMap::new();
        for (idx, line) in lines.iter().enumerate() {
            assert_eq!(found.is_core[idx], line[n_columns + 1] == 1.0, "{head}: core {idx}");
            let theirs = (line[n_columns] >= 0.0).then_some(line[n_columns] as usize);
            assert_eq!(found.labels[idx].is_some(), theirs.is_some(), "{head}: noise {idx}");
            if let (Some(ours), Some(theirs)) = (found.labels[idx], theirs) {
                assert_eq!(*names.entry(ours).or_insert(theirs), theirs, "{head}: cluster of row {idx}");
            }
        }
        let distinct: std::collections::BTreeSet<_> = names.values().collect();
        assert_eq!(distinct.len(), names.len(), "{head}: two clusters became one");
    }
}

/// Noise whose first feature is 9 higher in these rows.
fn with_a_regime(n_rows: usize, n_features: usize, seed: u64, higher: impl Fn(usize) -> bool) -> Array2<f64> {
    let mut values = noise(n_rows, n_features, Seed::new(seed));
    values.column_mut(0).iter_mut().enumerate().for_each(|(row, value)| *value += if higher(row) { 9.0 } else { 0.0 });
    values
}

fn median(mut scores: Vec<f64>) -> f64 {
    scores.sort_by(f64::total_cmp);
    scores[scores.len() / 2]
}

#[test]
fn a_regime_of_one_row_in_a_hundred_has_cores_and_is_not_novel() {
    for n_features in [1, 4, 12] {
        let seen = with_a_regime(16_000, n_features, 31, |row| (8_000..8_160).contains(&row));
        let (mut extractor, extracted) = history(seen);
        let mut dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
        let (mut rare, mut never_seen) = (Vec::new(), Vec::new());
        let next = with_a_regime(4_000, n_features, 32, |row| row % 1_000 >= 900);
        for (idx, row) in next.rows().into_iter().enumerate() {
            // Once the regime has lasted longer than the residuals look back; and the same row on the other side.
            let settled = idx % 1_000 >= 925;
            if settled {
                let mut mirrored = row.to_vec();
                mirrored[0] = -mirrored[0];
                never_seen.extend(scored(next_score(&mut dbscan, &mut extractor.clone(), &mirrored)));
            }
            let score = scored(next_score(&mut dbscan, &mut extractor, &row.to_vec()));
            rare.extend(score.filter(|_| settled));
        }
        let (rare, never_seen) = (median(rare), median(never_seen));
        // Within one and a half ε. Fewer than 100 such rows in three dimensions are sparser than the main regime's, whose
        // density sets ε: with one feature the median lies just outside the balls.
        assert!(rare <= 2.25, "{n_features} features: half of the regime's rows lie beyond {rare} ε²");
        assert!(never_seen > 1.25 * rare, "{n_features} features: {never_seen}, the regime {rare}");
    }
}

#[test]
fn a_thousand_features_train_in_bounded_time_and_score() {
    let values = noise(700, 1_000, Seed::new(3));
    let (mut extractor, extracted) = history(values.slice(ndarray::s![..699, ..]).to_owned());
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
    assert!(dbscan.memory_bytes() < DbscanSpec::default().core_bytes_max(1_000) + 100_000);
    let calm = scored(next_score(&mut dbscan, &mut extractor, &values.row(699).to_vec()));
    assert!(calm.is_some_and(|score| score < 1.5_f64.ln_1p()), "{calm:?}");
    let wild = scored(next_score(&mut dbscan, &mut extractor, &[9.0; 1_000]));
    assert!(wild.is_some_and(|score| score > 10.0_f64.ln_1p()), "{wild:?}");
}

#[test]
fn gaps_in_a_row_take_part_in_no_distance() {
    let (mut extractor, extracted) = history(noise(1_000, 4, Seed::new(2)));
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
    let far_but_for = |gap: bool| [if gap { f64::NAN } else { 1e300 }, 0.0, 0.0, 0.0];
    let mut other = extractor.clone();
    let with_gap = scored(next_score(&mut dbscan, &mut other, &far_but_for(true)));
    let without = scored(next_score(&mut dbscan, &mut extractor, &far_but_for(false)));
    assert!(with_gap.is_some_and(|score| score < 2.0), "{with_gap:?}");
    assert!(without > with_gap);
}

#[test]
fn what_was_not_saved_by_it_is_refused() {
    let (_, extracted) = history(noise(300, 2, Seed::new(2)));
    let dbscan = Dbscan::train(&DbscanSpec::default(), &extracted, Seed::new(1)).expect("a model");
    let load = |change: &dyn Fn(&mut SavedDbscan)| {
        let mut saved = SavedDbscan::from(dbscan.clone());
        change(&mut saved);
        Dbscan::try_from(saved)
    };
    assert_eq!(load(&|_| {}).as_ref(), Ok(&dbscan));
    assert!(load(&|saved| saved.n_features = 1).is_err());
    assert!(load(&|saved| saved.columns.swap(0, 1)).is_err());
    assert!(load(&|saved| saved.columns.truncate(2)).is_err());
    assert!(load(&|saved| saved.epsilon_squared = f64::NAN).is_err());
    assert!(load(&|saved| saved.epsilon_squared = 0.0).is_err());
    let bytes = postcard::to_stdvec(&dbscan).expect("bytes");
    assert!((0..bytes.len().min(200)).all(|cut| postcard::from_bytes::<Dbscan>(&bytes[..cut]).is_err()));
}

#[test]
fn fixed_epsilon_and_points_are_taken_as_they_are() {
    let (_, extracted) = history(noise(500, 1, Seed::new(2)));
    let spec = DbscanSpec::default().with_epsilon(Epsilon::Deviations(0.6)).and_then(|spec| spec.with_min_points(3));
    let dbscan = Dbscan::train(&spec.expect("options"), &extracted, Seed::new(1)).expect("a model");
    assert!((dbscan.epsilon() * 3.0_f64.sqrt() - 0.6).abs() < 1e-12, "{}", dbscan.epsilon());
}
