//! Workloads whose series end.

use super::*;

/// A scene with so many more workloads that have models; they measure what the first one does.
async fn with_others(n_others: usize) -> Scene {
    let mut scene = Scene::at_noon().await;
    let (cart, model) = scene.models.iter().next().map(|(cart, model)| (cart.clone(), model.clone())).expect("a model");
    for idx in 0..n_others {
        scene.models.insert(Subject { name: format!("another-{idx}"), ..cart.clone() }, model.clone());
    }
    scene.change(|behaviour| behaviour.n_others = n_others);
    scene.restart().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_vanishes_is_told_once_until_it_is_back_and_a_silent_source_is_none() {
    let mut scene = with_others(3).await;
    scene.minutes(10).await;
    scene.change(|behaviour| behaviour.n_others = 2);
    scene.minutes(15).await;
    assert_eq!(scene.incidents(), [], "a roll-out may take a while");
    scene.minutes(15).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
    let metrics = scene.service.metrics.text();
    for line in [
        "homeostat_subjects_gone 1",
        "homeostat_source_state{state=\"healthy\"} 1",
        "homeostat_incident_changes_total{type=\"workload-gone\",change=\"opened\"} 1",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    let mut scene = scene.restart().await;
    scene.minutes(20).await;
    assert_eq!(scene.incidents(), [IncidentState::Open], "told before the restart");
    scene.change(|behaviour| behaviour.n_others = 3);
    scene.minutes(3).await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved]);
    assert!(scene.service.metrics.text().contains("homeostat_subjects_gone 0"));
    scene.change(|behaviour| behaviour.is_empty = true);
    scene.minutes(30).await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved], "nobody answers for anybody");
}
