use homeostat_core::{IncidentType, Signal};
use proptest::prelude::*;

use super::*;
use crate::cluster::ShopProgress;
use crate::fault::{Cure, Severity};
use crate::fixture::{MINUTE, after, bits, ledger, mean, noon, restart, service, shop, undo, with};
use crate::truth::EndedBy;

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let run = |seed| {
        let mut shop = shop(seed);
        shop.schedule(Fault::new(FaultKind::OomKill, service("cart"), noon() + 30 * MINUTE, Severity::FULL))
            .expect("ok");
        bits(&after(shop, 180))
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn stepping_one_by_one_is_the_same_as_going_there_at_once() {
    let mut one_by_one = shop(3);
    for _ in 0..90 {
        one_by_one.advance();
    }
    assert_eq!(bits(&one_by_one), bits(&after(shop(3), 90)));
}

#[test]
fn a_fault_moves_only_what_it_reaches() {
    let (calm, leaking) =
        (after(shop(11), 150), after(with(FaultKind::MemoryLeak, service("orders"), Severity::FULL), 30));
    let values = |shop: &Shop, name: &str| {
        let window = shop.window(&service(name), 150).expect("a window");
        window.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    for untouched in ["catalog", "cart", "payment-api", "email-worker"] {
        assert_eq!(values(&calm, untouched), values(&leaking, untouched), "{untouched}");
    }
    assert_ne!(values(&calm, "orders"), values(&leaking, "orders"));
}

#[test]
fn a_quiet_week_is_quiet() {
    let week = after(shop(1), 7 * 1440);
    for window in week.history() {
        let subject = window.subject();
        let n_gaps = window.grid().n_steps() * window.schema().n_features() - window.n_present();
        assert!(n_gaps < 8 * 20, "{subject}: {n_gaps} gaps");
        for row in window.values().rows().into_iter().filter(|row| !row[0].is_nan()) {
            let [memory, cpu, restarts, oom, errors, latency, traffic, gone] = row.to_vec()[..] else {
                panic!("8 features")
            };
            assert!((0.3..0.75).contains(&memory), "{subject}: memory {memory}");
            assert!(cpu > 0.0 && latency > 0.0 && latency < 0.6 && traffic > 0.0, "{subject}: {row}");
            assert!(errors < 0.03, "{subject}: errors {errors}");
            assert!(restarts == 0.0 && oom == 0.0 && gone == 0.0, "{subject}: {row}");
        }
    }
    assert!(week.truths().is_empty());
}

#[test]
fn traffic_follows_the_hours_and_reaches_what_is_called() {
    let day = after(shop(1), 1440);
    let window = |name: &str| day.window(&service(name), 1440).expect("a window");
    let traffic = |name: &str, step_idx: usize| window(name).values()[[step_idx, 6]];
    // From noon: row 419 is 19:00, row 959 is 04:00.
    for name in ["frontend", "checkout", "payment-api", "inventory"] {
        assert!(traffic(name, 419) > 3.0 * traffic(name, 959), "{name}");
    }
}

/// A signal of a subject before a fault and 25 minutes into it.
fn moved(kind: FaultKind, at: &str, severity: Severity, seen_at: &str, signal: Signal) -> (f64, f64) {
    let shop = with(kind, service(at), severity);
    let before = mean(&shop, &service(seen_at), signal, 20);
    (before, mean(&after(shop, 25), &service(seen_at), signal, 5))
}

#[test]
fn each_fault_moves_its_own_signal_the_bad_way() {
    for (kind, signal, by_at_least) in [
        (FaultKind::MemoryLeak, Signal::Memory, 0.3),
        (FaultKind::OomKill, Signal::OomKills, 3.0),
        (FaultKind::OomKill, Signal::Restarts, 3.0),
        (FaultKind::BadDeployment, Signal::ErrorRatio, 0.2),
        (FaultKind::BadDeployment, Signal::Latency, 0.1),
        (FaultKind::DependencyFailure, Signal::ErrorRatio, 0.6),
        (FaultKind::CpuSpike, Signal::Cpu, 0.7),
        (FaultKind::TrafficSurge, Signal::Traffic, 15.0),
        (FaultKind::ErrorBurst, Signal::ErrorRatio, 0.3),
        (FaultKind::Latency, Signal::Latency, 0.2),
        (FaultKind::ReplicaLoss, Signal::ReplicasUnavailable, 1.9),
        (FaultKind::CrashLoop, Signal::Restarts, 1.9),
    ] {
        let (before, during) = moved(kind, "payment-api", Severity::FULL, "payment-api", signal);
        assert!(during - before >= by_at_least, "{kind:?}: {signal:?} from {before} to {during}");
    }
    let (before, during) = moved(FaultKind::TrafficDrop, "payment-api", Severity::FULL, "payment-api", Signal::Traffic);
    assert!(during < 0.3 * before, "{before} to {during}");
}

#[test]
fn a_harder_fault_moves_more() {
    let errors = |severity| moved(FaultKind::ErrorBurst, "cart", severity, "cart", Signal::ErrorRatio).1;
    assert!(errors(Severity::MILD) < errors(Severity::MODERATE) && errors(Severity::MODERATE) < errors(Severity::FULL));
}

#[test]
fn a_failing_database_hurts_its_callers_and_theirs() {
    let shop = with(FaultKind::DependencyFailure, ledger(), Severity::MODERATE);
    let callers = ["payment-api", "orders", "checkout", "frontend"].map(service);
    let before: Vec<f64> = callers.iter().map(|caller| mean(&shop, caller, Signal::ErrorRatio, 20)).collect();
    let shop = after(shop, 10);
    for (caller, before) in callers.iter().zip(before) {
        let during = mean(&shop, caller, Signal::ErrorRatio, 5);
        assert!(during > before + 0.02, "{caller}: {before} to {during}");
    }
    assert!(mean(&shop, &service("catalog"), Signal::ErrorRatio, 5) < 0.01);
    let truth = &shop.truths()[0];
    assert_eq!(truth.affected, ["checkout", "frontend", "orders", "payment-api"].map(service));
    assert_eq!(truth.incident_types[0], IncidentType::DependencyFailure);
}

#[test]
fn a_restart_cures_what_sits_in_the_pods() {
    for (kind, signal) in [
        (FaultKind::MemoryLeak, Signal::Memory),
        (FaultKind::OomKill, Signal::OomKills),
        (FaultKind::CpuSpike, Signal::Cpu),
        (FaultKind::ErrorBurst, Signal::ErrorRatio),
        (FaultKind::Latency, Signal::Latency),
        (FaultKind::DependencyFailure, Signal::ErrorRatio),
    ] {
        let shop = with(kind, service("payment-api"), Severity::FULL);
        let before = mean(&shop, &service("payment-api"), signal, 20);
        let mut shop = after(shop, 20);
        let during = mean(&shop, &service("payment-api"), signal, 3);
        restart(&mut shop, &service("payment-api"), "act-1");
        let shop = after(shop, 20);
        let cured = mean(&shop, &service("payment-api"), signal, 3);
        assert!((cured - before).abs() < 0.2 * (during - before), "{kind:?}: {before}, {during}, {cured}");
        assert_eq!(shop.truths()[0].cured_by(), Some("act-1"), "{kind:?}");
    }
}

#[test]
fn a_restart_cures_no_bad_deployment_but_undoing_it_does() {
    let mut shop = after(with(FaultKind::BadDeployment, service("catalog"), Severity::FULL), 15);
    let catalog = service("catalog");
    assert!(shop.rollouts().any(|rollout| rollout.subject == catalog && !rollout.by_us && rollout.revision == "2"));
    let good = shop.inspect(&catalog).and_then(|seen| seen.revision_previous).expect("the good revision");
    restart(&mut shop, &catalog, "act-1");
    let mut shop = after(shop, 15);
    assert!(mean(&shop, &catalog, Signal::ErrorRatio, 3) > 0.2 && shop.truths()[0].end.is_none());
    // The restart made a revision too: the one before the current is bad as well.
    let seen = shop.inspect(&catalog).expect("an object");
    assert_ne!(seen.revision_previous.as_ref(), Some(&good));
    shop.undo_to(&catalog, &seen.uid, &seen.resource_version, &good, "act-2").expect("accepted");
    let shop = after(shop, 15);
    assert!(mean(&shop, &catalog, Signal::ErrorRatio, 3) < 0.01);
    assert_eq!(shop.truths()[0].cured_by(), Some("act-2"));
}

#[test]
fn time_ends_what_no_action_cures() {
    let fault = |shop: &Shop| {
        let fault = Fault::new(FaultKind::CrashLoop, service("cart"), shop.now(), Severity::FULL);
        fault.lasting(60 * MINUTE)
    };
    let mut shop = after(shop(2), 30);
    let fault = fault(&shop);
    shop.schedule(fault).expect("scheduled");
    let mut shop = after(shop, 20);
    restart(&mut shop, &service("cart"), "m");
    let mut shop = after(shop, 20);
    assert!(shop.inspect(&service("cart")).expect("an object").replicas_available == 0);
    let seen = shop.inspect(&service("cart")).expect("an object");
    assert_eq!(shop.progress(&service("cart"), &seen.uid, "m"), ShopProgress::Stalled);
    shop.advance_to(shop.now() + 40 * MINUTE);
    let end = shop.truths()[0].end.clone().expect("it ended");
    assert_eq!((end.by, end.at), (EndedBy::Itself, shop.truths()[0].runs_until));
    assert_eq!(shop.inspect(&service("cart")).expect("an object").replicas_available, 3);
}

#[test]
fn a_leak_that_no_restart_cures_comes_back() {
    let mut shop = after(shop(2), 30);
    let fault = Fault::new(FaultKind::MemoryLeak, service("cart"), shop.now(), Severity::FULL).cured_by(Cure::Time);
    shop.schedule(fault).expect("scheduled");
    let mut shop = after(shop, 20);
    restart(&mut shop, &service("cart"), "m");
    let fresh = after(shop, 6);
    let memory = mean(&fresh, &service("cart"), Signal::Memory, 2);
    let later = after(fresh, 15);
    assert!(mean(&later, &service("cart"), Signal::Memory, 2) > memory + 0.1 && later.truths()[0].end.is_none());
}

#[test]
fn a_leak_left_alone_is_killed_and_goes_on() {
    let shop = after(with(FaultKind::MemoryLeak, service("email-worker"), Severity::FULL), 120);
    assert!(mean(&shop, &service("email-worker"), Signal::OomKills, 90) > 0.1);
    assert!(
        shop.truths()[0].is_rightly(IncidentType::MemoryLeak) && shop.truths()[0].is_rightly(IncidentType::OomKilled)
    );
    assert_eq!(shop.truths()[0].end, None);
}

#[test]
fn a_campaign_is_planned_and_does_no_harm() {
    let shop = with(FaultKind::Campaign, service("frontend"), Severity::FULL);
    let traffic_before = mean(&shop, &service("frontend"), Signal::Traffic, 20);
    let cpu_before = mean(&shop, &service("checkout"), Signal::Cpu, 20);
    let shop = after(shop, 30);
    assert!(shop.truths()[0].harmless);
    assert!(mean(&shop, &service("frontend"), Signal::Traffic, 5) > 1.4 * traffic_before);
    assert!(mean(&shop, &service("checkout"), Signal::Cpu, 5) > 1.3 * cpu_before);
    for subject in shop.subjects() {
        assert!(shop.calendar().covering(subject, shop.now()).is_some(), "{subject}");
        assert!(mean(&shop, subject, Signal::ErrorRatio, 20) < 0.01, "{subject}");
        assert!(mean(&shop, subject, Signal::Latency, 20) < 0.6, "{subject}");
    }
}

#[test]
fn what_cannot_be_scheduled_is_refused() {
    let mut shop = after(shop(2), 5);
    let fault = |subject, start| Fault::new(FaultKind::BadDeployment, subject, start, Severity::FULL);
    let now = shop.now();
    assert!(matches!(shop.schedule(fault(service("nowhere"), now)), Err(ScheduleError::NoSuchService(_))));
    assert!(matches!(shop.schedule(fault(ledger(), now)), Err(ScheduleError::Impossible { .. })));
    assert!(matches!(shop.schedule(fault(service("cart"), now - MINUTE)), Err(ScheduleError::InThePast { .. })));
    for _ in 0..FAULTS_MAX {
        shop.schedule(fault(service("cart"), now + MINUTE)).expect("room");
    }
    assert_eq!(shop.schedule(fault(service("cart"), now + MINUTE)), Err(ScheduleError::TooMany));
}

#[test]
fn history_is_bounded_and_windows_end_now() {
    let spec = ShopSpec { history_steps: 30, ..ShopSpec::default() };
    let mut shop = Shop::new(spec, Seed::new(1), noon()).expect("a shop");
    assert!(shop.windows(10).is_empty());
    shop.advance();
    assert!(shop.windows(10).iter().all(|window| window.grid().n_steps() == 1));
    let shop = after(shop, 100);
    let windows = shop.windows(1000);
    assert!(windows.iter().all(|window| window.grid().n_steps() == 30 && window.grid().end() == shop.now()));
    assert!(windows.is_sorted_by_key(|window| window.subject().clone()) && windows.len() == 9);
    assert!(shop.windows(0).is_empty());
}

#[test]
fn circles_strangers_and_impossible_numbers_are_no_shop() {
    let refused = |change: fn(&mut ShopSpec)| {
        let mut spec = ShopSpec::default();
        change(&mut spec);
        Shop::new(spec, Seed::new(1), noon()).map(|_| ()).expect_err("refused")
    };
    let circle = refused(|spec| {
        let back = crate::spec::Call { to: "frontend".into(), per_request: 1.0, criticality: 1.0, waits: true };
        spec.services[8].calls.push(back);
    });
    assert!(matches!(circle, ShopSpecError::Cycle(_)), "{circle}");
    assert!(matches!(refused(|spec| spec.services[0].calls[0].to = "x".into()), ShopSpecError::UnknownCallee { .. }));
    assert!(matches!(refused(|spec| spec.services[1].name = "frontend".into()), ShopSpecError::Duplicate(_)));
    assert!(matches!(refused(|spec| spec.step = Duration::from_secs(5)), ShopSpecError::Step(_)));
    assert!(matches!(refused(|spec| spec.history_steps = 0), ShopSpecError::History(0)));
    assert!(matches!(refused(|spec| spec.services.clear()), ShopSpecError::NoServices));
    assert!(matches!(refused(|spec| spec.scrape_loss = f64::NAN), ShopSpecError::OutOfRange { .. }));
    assert!(matches!(refused(|spec| spec.services[0].memory_load = f64::NAN), ShopSpecError::OutOfRange { .. }));
}

#[test]
fn an_export_has_every_sample_and_no_gap() {
    let shop = after(shop(1), 600);
    let answer: serde_json::Value =
        serde_json::from_str(&shop.query_range_json("memory").expect("a feature")).expect("JSON");
    assert_eq!(answer["data"]["resultType"], "matrix");
    let series = answer["data"]["result"].as_array().expect("series");
    assert_eq!(series.len(), 9);
    for (series, window) in series.iter().zip(shop.history()) {
        assert_eq!(series["metric"]["workload"], window.subject().name);
        let samples = series["values"].as_array().expect("samples");
        assert_eq!(samples.len(), window.present().column(0).iter().filter(|present| **present).count());
        for sample in samples {
            let at = Timestamp::from_secs(sample[0].as_i64().expect("whole seconds"));
            let value: f64 = sample[1].as_str().and_then(|text| text.parse().ok()).expect("a number as text");
            assert_eq!(window.values()[[window.grid().index_of(at).expect("on the grid"), 0]], value);
        }
    }
    assert_eq!(shop.query_range_json("nothing"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever strikes and whatever is done about it, measurements mean what they say.
    #[test]
    fn measurements_stay_in_their_ranges(
        seed in 0_u64..1000,
        faults in prop::collection::vec((0_usize..12, 0_usize..8, 0_u32..120, 0.05_f64..1.0), 0..4),
        actions in prop::collection::vec((0_usize..8, 0_u32..180, any::<bool>()), 0..4),
        step_s in 15_u64..=60,
    ) {
        let spec = ShopSpec { step: Duration::from_secs(step_s), ..ShopSpec::default() };
        let mut shop = Shop::new(spec, Seed::new(seed), noon()).expect("a shop");
        let subjects: Vec<Subject> = shop.subjects().filter(|subject| **subject != ledger()).cloned().collect();
        for (kind, place, minute, severity) in faults {
            let severity = Severity::new(severity).expect("in range");
            let fault = Fault::new(FaultKind::ALL[kind], subjects[place].clone(), shop.now() + minute * MINUTE, severity);
            shop.schedule(fault.lasting(90 * MINUTE)).expect("scheduled");
        }
        let mut actions = actions;
        actions.sort_by_key(|action| action.1);
        for (idx, (place, minute, is_undo)) in actions.into_iter().enumerate() {
            shop.advance_to(noon() + minute * MINUTE);
            let can_undo = shop.inspect(&subjects[place]).is_some_and(|seen| seen.revision_previous.is_some());
            if is_undo && can_undo {
                undo(&mut shop, &subjects[place], &format!("act-{idx}"));
            } else {
                restart(&mut shop, &subjects[place], &format!("act-{idx}"));
            }
        }
        shop.advance_to(noon() + 260 * MINUTE);
        for window in shop.history() {
            let wanted = shop.inspect(window.subject()).map_or(1.0, |seen| f64::from(seen.replicas_wanted));
            for row in window.values().rows().into_iter().filter(|row| !row[4].is_nan()) {
                prop_assert!(row[0].is_nan() || (0.0..=1.0).contains(&row[0]), "memory {}", row[0]);
                prop_assert!(row[1] >= 0.0 && row[5] >= 0.0 && row[6] >= 0.0, "{row}");
                prop_assert!(row[3] <= row[2], "more OOM kills than restarts: {row}");
                prop_assert!((0.0..=1.0).contains(&row[4]), "errors {}", row[4]);
                prop_assert!((0.0..=wanted).contains(&row[7]), "{} of {wanted} unavailable", row[7]);
            }
        }
        prop_assert!(shop.truths().iter().all(|truth| truth.end.is_some()));
    }
}
