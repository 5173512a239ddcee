//! The shop as a cluster that can be looked at and acted on, with the preconditions of the real API.
//!
//! It judges nothing: an action that helps nobody is carried out like any other.

#[cfg(test)]
mod tests;

use homeostat_core::Subject;

use crate::deployment::{Deployment, Revision};
use crate::shop::Shop;

/// A Deployment as the cluster's API shows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopObject {
    /// Its UID: stays while the object lives.
    pub uid: String,
    /// Its version: changes with every write and every change of status.
    pub resource_version: String,
    /// Current revision of the template.
    pub revision: String,
    /// The revision before it, if it's still there. It may be just as bad: a restart makes a revision too.
    pub revision_previous: Option<String>,
    /// Replicas wanted.
    pub replicas_wanted: u32,
    /// Replicas that serve.
    pub replicas_available: u32,
    /// Not all pods are of the current revision yet.
    pub rollout_in_progress: bool,
    /// The marker of homeostat's latest write, as long as no other has overwritten the template.
    pub marker: Option<String>,
}

/// A write was accepted, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The object's version after it.
    pub resource_version: String,
    /// The same marker had written before: nothing was changed this time.
    pub already: bool,
}

/// Why a write wasn't accepted; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is no such object, or it's external: nothing can be done to it.
    #[error("{0} isn't a Deployment of this shop")]
    NotFound(Subject),
    /// It isn't what was looked at any more: look and decide again.
    #[error("{subject} changed: {what} is {found}, the write was for {expected}")]
    Stale {
        /// The object.
        subject: Subject,
        /// `uid` or `resourceVersion`.
        what: &'static str,
        /// What it was when it was looked at.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The revision isn't kept any more, or is the current one: there is nothing to go back to.
    #[error("{subject} has no earlier revision {revision}")]
    NoSuchRevision {
        /// The object.
        subject: Subject,
        /// The revision asked for.
        revision: String,
    },
}

/// What became of a write whose outcome isn't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopTrace {
    /// The marker is on the object.
    Written,
    /// The template is as it was at that version.
    NotWritten,
    /// Somebody else has changed the template since.
    ChangedByOther,
    /// There is no object with this UID.
    Gone,
}

/// How far a roll-out has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShopProgress {
    /// Still replacing pods.
    Rolling {
        /// New pods that serve.
        updated_available: u32,
        /// Pods wanted.
        wanted: u32,
    },
    /// All pods are new and serve.
    Complete {
        /// Pods wanted.
        wanted: u32,
    },
    /// Nothing has moved for ten minutes.
    Stalled,
    /// Somebody overwrote the template.
    Overridden,
    /// There is no object with this UID, or it doesn't bear the marker.
    Gone,
}

impl Shop {
    /// The object of a service; `None` for what isn't a Deployment of this shop.
    pub fn inspect(&self, subject: &Subject) -> Option<ShopObject> {
        let service = &self.services[self.place(subject)?];
        let deployment = service.deployment.as_ref()?;
        Some(ShopObject {
            uid: deployment.uid.clone(),
            resource_version: deployment.resource_version.to_string(),
            revision: deployment.current.number.to_string(),
            revision_previous: deployment.previous().map(|revision| revision.number.to_string()),
            replicas_wanted: service.spec.replicas,
            replicas_available: count(service.pods.iter().filter(|pod| pod.is_ready()).count()),
            rollout_in_progress: deployment.is_rolling(),
            marker: deployment.written_now().map(|written| written.marker.clone()),
        })
    }

    /// Replaces all pods with new ones of the same code, a quarter at a time, starting with the next step.
    /// Once per marker: the same again changes nothing.
    pub fn restart(
        &mut self,
        subject: &Subject,
        uid: &str,
        resource_version: &str,
        marker: &str,
    ) -> Result<Written, WriteError> {
        self.write(subject, uid, resource_version, marker, |_| Ok(None))
    }

    /// Rolls back to a revision that is still kept, in the way of [`Shop::restart`].
    pub fn undo_to(
        &mut self,
        subject: &Subject,
        uid: &str,
        resource_version: &str,
        revision: &str,
        marker: &str,
    ) -> Result<Written, WriteError> {
        self.write(subject, uid, resource_version, marker, |deployment| {
            let kept = revision.parse().ok().and_then(|number| deployment.revision(number));
            match kept.filter(|kept| kept.number != deployment.current.number) {
                Some(kept) => Ok(Some(kept)),
                None => Err(WriteError::NoSuchRevision { subject: subject.clone(), revision: revision.to_owned() }),
            }
        })
    }

    /// Looks for a marker: what became of a write that was meant for this version of the object.
    pub fn trace(&self, subject: &Subject, uid: &str, resource_version: &str, marker: &str) -> ShopTrace {
        let Some(deployment) = self.deployment(subject).filter(|deployment| deployment.uid == uid) else {
            return ShopTrace::Gone;
        };
        if deployment.written.as_ref().is_some_and(|written| written.marker == marker) {
            return ShopTrace::Written;
        }
        match resource_version.parse::<u64>() {
            Ok(version) if version >= deployment.template_version => ShopTrace::NotWritten,
            Ok(_) | Err(_) => ShopTrace::ChangedByOther,
        }
    }

    /// How far the roll-out with this marker has come.
    pub fn progress(&self, subject: &Subject, uid: &str, marker: &str) -> ShopProgress {
        let Some(place) = self.place(subject) else { return ShopProgress::Gone };
        let service = &self.services[place];
        let Some(deployment) = service.deployment.as_ref().filter(|deployment| deployment.uid == uid) else {
            return ShopProgress::Gone;
        };
        let Some(written) = deployment.written.as_ref().filter(|written| written.marker == marker) else {
            return ShopProgress::Gone;
        };
        if written.revision != deployment.current.number {
            return ShopProgress::Overridden;
        }
        let is_new = |revision: u64| revision == written.revision;
        let updated = service.pods.iter().filter(|pod| is_new(pod.revision) && pod.is_ready()).count();
        let (updated_available, wanted) = (count(updated), service.spec.replicas);
        if updated_available == wanted {
            ShopProgress::Complete { wanted }
        } else if deployment.has_stalled(self.now) {
            ShopProgress::Stalled
        } else {
            ShopProgress::Rolling { updated_available, wanted }
        }
    }

    fn deployment(&self, subject: &Subject) -> Option<&Deployment> {
        self.services[self.place(subject)?].deployment.as_ref()
    }

    /// A write with its preconditions; `to` says which revision to go back to, `None` for a restart.
    fn write(
        &mut self,
        subject: &Subject,
        uid: &str,
        resource_version: &str,
        marker: &str,
        to: impl FnOnce(&Deployment) -> Result<Option<Revision>, WriteError>,
    ) -> Result<Written, WriteError> {
        let now = self.now;
        let not_found = || WriteError::NotFound(subject.clone());
        let place = self.place(subject).ok_or_else(not_found)?;
        let deployment = self.services[place].deployment.as_mut().ok_or_else(not_found)?;
        let stale = |what, expected: &str, found: String| {
            Err(WriteError::Stale { subject: subject.clone(), what, expected: expected.to_owned(), found })
        };
        if deployment.uid != uid {
            return stale("uid", uid, deployment.uid.clone());
        }
        // Before the version: the first write itself has changed it.
        if deployment.written_now().is_some_and(|written| written.marker == marker) {
            return Ok(Written { resource_version: deployment.resource_version.to_string(), already: true });
        }
        if deployment.resource_version.to_string() != resource_version {
            return stale("resourceVersion", resource_version, deployment.resource_version.to_string());
        }
        match to(deployment)? {
            None => deployment.restart(now, marker),
            Some(revision) => deployment.undo_to(revision, now, marker),
        }
        let (resource_version, revision) = (deployment.resource_version.to_string(), deployment.current.number);
        self.note_rollout(place, now, revision, true);
        Ok(Written { resource_version, already: false })
    }
}

/// Counts are bounded by `REPLICAS_MAX`.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
