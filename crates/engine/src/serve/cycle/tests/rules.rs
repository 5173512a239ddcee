//! A policy's own rule opens an incident, is decided on by that policy, and goes on after a restart.

use homeostat_core::{Direction, Feature, Grid, Schema};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{KillSwitch, load_policies};

use super::*;
use crate::pretend_executor::PretendExecutor;

const RULES: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: healing-policies, namespace: shop}
data:
  policies.yaml: |
    - name: hot
      condition: {metric: cpu, operator: '>', threshold: 0.8, window: 3m}
      action: {type: restart-pod}
";

/// A whole minute, as the rows of a grid have it.
fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(12_000 + secs)
}

/// One row a minute.
fn row(name: &str, namespace: &str, minute: i64, value: f64) -> Window {
    let feature = Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Up, deviation_min: 0.0 };
    let grid = Grid::new(at(60 * minute), Duration::from_secs(60), 1).unwrap();
    let schema = Arc::new(Schema::new(vec![feature]).unwrap());
    Window::new(Subject::deployment(namespace, name), grid, schema, ndarray::array![[value]]).unwrap()
}

fn cycle(journal: &Arc<Journal>) -> Cycle {
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    let monitor = Arc::new(Mutex::new(Monitor::new(BTreeMap::new(), tracker)));
    let policies = load_policies(RULES, "p.yaml", &homeostat_execute::actions()).unwrap();
    let driver = Driver::new(Arc::new(PretendExecutor::new()), Arc::clone(journal), policies, SafetyLimits::default());
    Cycle::new(monitor, driver, Mode::Recommend, ClusterContext::default())
}

async fn minute(cycle: &mut Cycle, minute: i64, value: f64) -> Tick {
    let windows = [row("cart", "shop", minute, value), row("cart", "bank", minute, value)];
    cycle.tick(at(60 * minute), &windows, &[], &KillSwitch::default()).await
}

/// No model is needed for a rule, and the detectors have no say in it.
#[tokio::test]
async fn a_rule_opens_an_incident_that_its_policy_decides_on_and_that_outlives_a_restart() {
    let journal = Arc::new(Journal::in_memory().unwrap());
    let mut before = cycle(&journal);
    for n in 0..2 {
        assert!(minute(&mut before, n, 0.9).await.changes.is_empty(), "{n}");
    }
    let tick = minute(&mut before, 2, 0.9).await;
    let names: Vec<_> =
        tick.changes.iter().map(|change| (change.name(), change.incident().subject.to_string())).collect();
    assert_eq!(
        names,
        [("opened", "shop/deployment/cart".to_owned())],
        "the other namespace is none of this ConfigMap's business"
    );
    let decided = |tick: &Tick| {
        tick.events.iter().find_map(|event| match event {
            DriverEvent::Decided { decision, .. } => Some(decision.clone()),
            _ => None,
        })
    };
    let decision = decided(&tick).expect("it is decided on");
    let codes: Vec<&str> = decision.objections().iter().map(|objection| objection.code.as_ref()).collect();
    assert_eq!(codes, ["mode"], "{decision:?}");
    let plan = decision.plan().expect("a proposal");
    assert_eq!((plan.policy.as_str(), plan.verify.features.as_slice()), ("hot", ["cpu > 0.8".to_owned()].as_slice()));
    let id = tick.open[0].id.clone();

    let mut after = cycle(&journal);
    after.reconcile(at(180)).unwrap();
    let tick = minute(&mut after, 3, 0.9).await;
    assert!(tick.changes.is_empty(), "it isn't opened again: {:?}", tick.changes);
    assert_eq!(tick.open.iter().map(|open| &open.id).collect::<Vec<_>>(), [&id]);
    for n in 4..6 {
        minute(&mut after, n, 0.5).await;
    }
    let tick = minute(&mut after, 6, 0.5).await;
    let names: Vec<_> = tick.changes.iter().map(|change| change.name()).collect();
    assert_eq!((names.as_slice(), tick.open.len()), (["resolved"].as_slice(), 0));
    assert!(journal.incident(&id).unwrap().unwrap().is_over());
}
