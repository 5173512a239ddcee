//! Shops for the tests of this crate, and what is read off them.

use std::time::Duration;

use homeostat_core::{Seed, Signal, Subject, Timestamp, WorkloadKind};

use crate::fault::{Fault, FaultKind, Severity};
use crate::shop::Shop;
use crate::spec::ShopSpec;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// A Tuesday, noon.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_secs(1_763_467_200)
}

pub(crate) fn shop(seed: u64) -> Shop {
    Shop::new(ShopSpec::default(), Seed::new(seed), noon()).expect("the standard shop")
}

pub(crate) fn service(name: &str) -> Subject {
    Subject::deployment("shop", name)
}

pub(crate) fn ledger() -> Subject {
    Subject { namespace: "shop".into(), kind: WorkloadKind::External, name: "ledger-db".into() }
}

/// A shop of two quiet hours with one fault, which begins with the next step.
pub(crate) fn with(kind: FaultKind, subject: Subject, severity: Severity) -> Shop {
    let mut shop = shop(11);
    shop.advance_to(noon() + 120 * MINUTE);
    shop.schedule(Fault::new(kind, subject, shop.now(), severity)).expect("scheduled");
    shop
}

pub(crate) fn after(mut shop: Shop, minutes: u32) -> Shop {
    let until = shop.now() + minutes * MINUTE;
    shop.advance_to(until);
    shop
}

/// The mean of a signal over the last `n_steps` rows; gaps don't count.
pub(crate) fn mean(shop: &Shop, subject: &Subject, signal: Signal, n_steps: usize) -> f64 {
    let window = shop.window(subject, n_steps).expect("a window");
    let column = window.schema().features().iter().position(|feature| feature.signal == signal).expect("a column");
    let values: Vec<f64> = window.values().column(column).iter().copied().filter(|value| !value.is_nan()).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn restart(shop: &mut Shop, subject: &Subject, marker: &str) {
    let seen = shop.inspect(subject).expect("an object");
    shop.restart(subject, &seen.uid, &seen.resource_version, marker).expect("accepted");
}

pub(crate) fn undo(shop: &mut Shop, subject: &Subject, marker: &str) {
    let seen = shop.inspect(subject).expect("an object");
    let back_to = seen.revision_previous.expect("an earlier revision");
    shop.undo_to(subject, &seen.uid, &seen.resource_version, &back_to, marker).expect("accepted");
}

/// Every value of every window, bit for bit.
pub(crate) fn bits(shop: &Shop) -> Vec<u64> {
    shop.history()
        .iter()
        .flat_map(|window| window.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        .collect()
}
