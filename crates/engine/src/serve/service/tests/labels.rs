//! What people say of incidents, and what comes of it.

use homeostat_core::{Incident, IncidentLabel, IncidentType, Verdict};

use super::*;

impl Scene {
    /// The journal's newest incident.
    fn newest(&mut self) -> Incident {
        let journal = Arc::clone(self.service.cycle.driver().journal());
        journal.incidents().expect("readable").pop().expect("an incident")
    }

    /// As `incident label` says it to a running service.
    fn label(&mut self, verdict: Verdict) {
        let label = IncidentLabel {
            incident: self.newest().id,
            verdict: Some(verdict),
            by: "anna".into(),
            note: "the backup".into(),
            at: self.true_now(),
        };
        crate::inbox::Inbox::new(&self.service.config.storage).put(&label).expect("written");
    }

    /// A fault of so many minutes, and a pause after it.
    async fn fault_and_pause(&mut self, n_minutes: u32) {
        self.fault(i64::from(n_minutes));
        self.minutes(n_minutes + 30).await;
    }

    /// The process ends; on the next day, five minutes before the same time, another one starts.
    async fn next_day(self, before: Timestamp) -> Self {
        let day = Duration::from_secs(86_400);
        self.clock.pass((before + day).since(self.true_now()) - MINUTE * 5);
        let mut scene = self.restart().await;
        scene.minutes(5).await;
        scene
    }
}

/// Waiting labels in the storage directory.
fn n_waiting(scene: &Scene) -> usize {
    crate::inbox::Inbox::<IncidentLabel>::new(&scene.service.config.storage).waiting().len()
}

/// A day on which a fault of ten minutes came at 12:05, was labelled like this, and was over.
async fn first_day(verdict: Verdict) -> (Scene, Timestamp) {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    let at = scene.true_now();
    scene.fault_and_pause(10).await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved]);
    scene.label(verdict);
    assert_eq!(n_waiting(&scene), 1);
    scene.minutes(1).await;
    assert_eq!(n_waiting(&scene), 0, "the service took it");
    (scene, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_daily_calls_nobody_at_that_time_of_the_next_day_also_after_a_restart() {
    let (scene, at) = first_day(Verdict::ExpectedDaily).await;
    let mut scene = scene.next_day(at).await;
    scene.fault_and_pause(10).await;
    assert_eq!(scene.incidents().len(), 1, "the same at the same time");
    scene.minutes(60).await;
    scene.fault_and_pause(10).await;
    assert_eq!(scene.incidents().len(), 2, "the same at another time");
    let mut scene = scene.next_day(at + Duration::from_secs(86_400)).await;
    assert_eq!(scene.incidents().len(), 2);
    scene.fault(60);
    scene.minutes(20).await;
    assert_eq!(scene.incidents().len(), 2, "as long as it was");
    scene.minutes(40).await;
    assert_eq!(scene.incidents().len(), 3, "much longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_no_false_alarm_calls_again_on_the_next_day() {
    let (scene, at) = first_day(Verdict::TruePositive).await;
    let mut scene = scene.next_day(at).await;
    scene.fault_and_pause(10).await;
    assert_eq!(scene.incidents().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_shift_the_confidence_of_incidents_to_come_and_are_counted() {
    let (mut scene, _) = first_day(Verdict::TruePositive).await;
    let first = scene.newest();
    assert_eq!(first.confidence.n_outcomes, 0, "nobody had judged anything");
    let shown = scene.snapshot.borrow().incidents.page(None, 1, |_| true).expect("a page").0[0].json.clone();
    assert!(shown.contains(r#""verdict":"true-positive""#) && shown.contains(r#""by":"anna""#), "{shown}");
    scene.minutes(60).await;
    scene.fault_and_pause(10).await;
    let second = scene.newest();
    assert_eq!((second.confidence.n_outcomes, second.confidence.n_verdicts), (1, 1));
    assert!((second.confidence.confidence.value() - 2.0 / 3.0).abs() < 1e-9, "{:?}", second.confidence);
    scene.label(Verdict::FalsePositive);
    scene.minutes(60).await;
    let metrics = scene.service.metrics.text();
    assert_eq!(second.incident_type, IncidentType::Latency);
    for line in [
        "homeostat_incidents_labelled{verdict=\"true-positive\",type=\"latency\"} 1",
        "homeostat_incidents_labelled{verdict=\"false-positive\",type=\"latency\"} 1",
        "homeostat_incident_precision_ratio{} 0.5",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    scene.fault_and_pause(10).await;
    assert!((scene.newest().confidence.confidence.value() - 0.5).abs() < 1e-9, "{:?}", scene.newest().confidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_means_nothing_is_taken_away_and_changes_nothing() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(2).await;
    let storage = scene.service.config.storage.clone();
    std::fs::write(storage.join("LABEL.0.1.x"), "half a lab").expect("written");
    let incident = IncidentId::of(&Subject::deployment("shop", "nobody"), scene.true_now());
    let (by, note, at) = ("anna".to_owned(), String::new(), scene.true_now());
    let unknown = IncidentLabel { incident, verdict: Some(Verdict::TruePositive), by, note, at };
    crate::inbox::Inbox::new(&storage).put(&unknown).expect("written");
    scene.minutes(1).await;
    assert_eq!(n_waiting(&scene), 0);
    let journal = Arc::clone(scene.service.cycle.driver().journal());
    assert!(journal.labels().expect("readable").is_empty());
    assert!(!scene.service.metrics.text().contains("homeostat_incident_precision_ratio{"), "nothing was judged");
}
