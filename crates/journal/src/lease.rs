//! Who leads: one Lease, by the protocol of client-go's leader election. Pure: time comes in, what to send comes out.
//!
//! A Lease alone is no fence: whoever stands still between looking at it and writing writes too late. So the leader stops by
//! its own monotonic clock, well before anybody else may take over, and the journal refuses rows of an earlier term.

use std::time::Duration;

use homeostat_core::Timestamp;
use serde_json::{Value, json};

use crate::objects::Verb;
use crate::row::Head;

/// Where the leader writes the journal's head, so that whoever keeps copies of the Lease can prove later that no rows were
/// cut off.
const HEAD_ANNOTATION: &str = "homeostat.io/journal-head";

/// How long a lease lasts, and how often it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long others wait after a change that they saw before they take over.
    pub lease_duration: Duration,
    /// After so long without a renewal the leader stops leading.
    pub renew_deadline: Duration,
    /// Time between two attempts.
    pub retry_period: Duration,
}

impl Default for LeaseTimes {
    /// Those of Kubernetes' own components.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// One period of leading: what no other period has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The Lease's UID: a Lease that was deleted and made again begins to count anew.
    pub lease_uid: String,
    /// How often the Lease changed hands before.
    pub transitions: i64,
    /// Who holds it.
    pub holder: String,
}

impl Term {
    /// Whether this term is surely over, since `other` is a later one of the same Lease.
    pub fn is_before(&self, other: &Self) -> bool {
        self.lease_uid == other.lease_uid && self.transitions < other.transitions
    }
}

/// Follows one Lease, and says what to send.
#[derive(Clone, Debug)]
pub struct Elector {
    name: String,
    namespace: String,
    identity: String,
    times: LeaseTimes,
    observed: Option<Observed>,
}

/// What the Lease last said, and when that was seen first by our own clock: clocks of machines needn't agree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Observed {
    holder: String,
    renew_time: String,
    uid: String,
    transitions: i64,
    /// By the monotonic clock.
    at: Duration,
    lasts: Duration,
}

impl Elector {
    /// A candidate of this identity, which must be another one in each process.
    pub fn new(namespace: &str, name: &str, identity: &str, times: LeaseTimes) -> Self {
        let (namespace, name, identity) = (namespace.to_owned(), name.to_owned(), identity.to_owned());
        Self { name, namespace, identity, times, observed: None }
    }

    /// Who holds the lease, as it was last seen; nobody when it was given back, or before the first look.
    pub fn holder(&self) -> Option<&str> {
        self.observed.as_ref().map(|observed| observed.holder.as_str()).filter(|holder| !holder.is_empty())
    }

    /// What to send, having read the Lease as `seen` at `elapsed` of the monotonic clock. `None`: somebody else leads.
    pub fn attempt(
        &mut self,
        seen: Option<&Value>,
        elapsed: Duration,
        now: Timestamp,
        head: Option<&Head>,
    ) -> Option<Verb> {
        let Some(lease) = seen else {
            self.observed = None;
            return Some(Verb::Create { object: self.lease(None, 0, now, head) });
        };
        let observed = self.observe(lease, elapsed);
        let is_ours = observed.holder == self.identity;
        if !is_ours && !observed.holder.is_empty() && elapsed < observed.at + observed.lasts {
            return None;
        }
        let transitions = observed.transitions + i64::from(!is_ours);
        Some(Verb::Replace {
            name: self.name.clone(),
            object: self.lease(Some((lease, is_ours)), transitions, now, head),
        })
    }

    /// The term that an accepted attempt began or renewed.
    pub fn accepted(&mut self, lease: &Value, elapsed: Duration) -> Term {
        let observed = self.observe(lease, elapsed);
        Term { lease_uid: observed.uid, transitions: observed.transitions, holder: observed.holder }
    }

    /// Gives the lease back, so that others needn't wait for its end: only if it is still ours.
    pub fn release(&self, lease: &Value, now: Timestamp) -> Option<Verb> {
        if lease["spec"]["holderIdentity"] != self.identity.as_str() {
            return None;
        }
        let mut object = lease.clone();
        object["spec"]["holderIdentity"] = json!("");
        object["spec"]["leaseDurationSeconds"] = json!(1);
        object["spec"]["renewTime"] = json!(micro_time(now));
        Some(Verb::Replace { name: self.name.clone(), object })
    }

    fn observe(&mut self, lease: &Value, elapsed: Duration) -> Observed {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spec = &lease["spec"];
        let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or(self.times.lease_duration.as_secs());
        let mut seen = Observed {
            holder: text(&spec["holderIdentity"]),
            renew_time: text(&spec["renewTime"]),
            uid: text(&lease["metadata"]["uid"]),
            transitions: spec["leaseTransitions"].as_i64().unwrap_or(0),
            at: elapsed,
            lasts: Duration::from_secs(seconds),
        };
        if let Some(before) = &self.observed {
            let says = |one: &Observed| (one.holder.clone(), one.renew_time.clone(), one.uid.clone(), one.transitions);
            if says(before) == says(&seen) {
                seen.at = before.at;
            }
        }
        self.observed = Some(seen.clone());
        seen
    }

    /// The Lease with us as its holder. What others put into it stays.
    fn lease(&self, before: Option<(&Value, bool)>, transitions: i64, now: Timestamp, head: Option<&Head>) -> Value {
        let mut lease = before.map_or_else(
            || {
                json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": self.namespace},
                    "spec": {},
                })
            },
            |(lease, _)| lease.clone(),
        );
        let now = micro_time(now);
        let acquired = match before {
            Some((lease, true)) => lease["spec"]["acquireTime"].clone(),
            Some((_, false)) | None => json!(now),
        };
        lease["spec"]["holderIdentity"] = json!(self.identity);
        lease["spec"]["leaseDurationSeconds"] = json!(self.times.lease_duration.as_secs());
        lease["spec"]["acquireTime"] = acquired;
        lease["spec"]["renewTime"] = json!(now);
        lease["spec"]["leaseTransitions"] = json!(transitions);
        if let Some(head) = head {
            lease["metadata"]["annotations"][HEAD_ANNOTATION] = json!(format!("{} {}", head.seq, head.hash));
        }
        lease
    }
}

/// As Kubernetes writes a `MicroTime`.
fn micro_time(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{part:0<6}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn elector(identity: &str) -> Elector {
        Elector::new("ops", "homeostat", identity, LeaseTimes::default())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    /// The object that an attempt sends, as the API server then has it.
    fn stored(verb: Option<Verb>) -> Value {
        let Some(Verb::Create { mut object } | Verb::Replace { mut object, .. }) = verb else { panic!("no attempt") };
        object["metadata"]["uid"] = json!("u1");
        object
    }

    #[test]
    fn a_lease_is_taken_kept_and_taken_over_only_when_it_has_not_changed_for_its_whole_duration() {
        let (mut a, mut b) = (elector("a"), elector("b"));
        let lease = stored(a.attempt(None, Duration::ZERO, at(0), None));
        assert_eq!(lease["spec"]["renewTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(a.accepted(&lease, SECOND), Term { lease_uid: "u1".into(), transitions: 0, holder: "a".into() });
        // B's wall clock is years ahead: that says nothing.
        assert_eq!(b.attempt(Some(&lease), 100 * SECOND, at(100_000_000), None), None);
        assert_eq!(b.holder(), Some("a"));
        let renewed = stored(a.attempt(Some(&lease), 9 * SECOND, at(9), None));
        assert_eq!(renewed["spec"]["acquireTime"], lease["spec"]["acquireTime"]);
        assert_eq!(renewed["spec"]["leaseTransitions"], 0, "a renewal is no change of hands");
        assert_eq!(b.attempt(Some(&renewed), 114 * SECOND, at(0), None), None, "it changed just now");
        assert_eq!(b.attempt(Some(&renewed), 128 * SECOND, at(0), None), None, "14 s later");
        let taken = stored(b.attempt(Some(&renewed), 129 * SECOND, at(29), None));
        let term = b.accepted(&taken, 130 * SECOND);
        assert_eq!(term, Term { lease_uid: "u1".into(), transitions: 1, holder: "b".into() });
        assert!(a.accepted(&renewed, 9 * SECOND).is_before(&term));
        assert_eq!(a.attempt(Some(&taken), 40 * SECOND, at(40), None), None, "A waits like everybody else");
    }

    #[test]
    fn who_ends_gives_it_back_and_the_next_one_does_not_wait() {
        let (mut a, mut b) = (elector("a"), elector("b"));
        let lease = stored(a.attempt(None, SECOND, at(0), None));
        assert_eq!(b.release(&lease, at(1)), None, "what isn't ours isn't given back");
        let released = stored(a.release(&lease, at(1)));
        assert!(b.attempt(Some(&released), SECOND, at(1), None).is_some());
        assert_eq!(b.holder(), None);
    }

    #[test]
    fn the_journals_head_is_noted_in_the_lease_and_what_others_noted_stays() {
        let mut a = elector("a");
        let mut lease = stored(a.attempt(None, SECOND, at(0), None));
        lease["metadata"]["annotations"] = json!({"team": "sre"});
        let head = Head { seq: 7, hash: "ab".into() };
        let renewed = stored(a.attempt(Some(&lease), 2 * SECOND, at(2), Some(&head)));
        assert_eq!(renewed["metadata"]["annotations"], json!({"team": "sre", "homeostat.io/journal-head": "7 ab"}));
    }
}
