//! The kill switch: files in the storage directory that say whether remediation is stopped.
//!
//! A file works without the service, without the network and without the cluster, and survives a restart. Whoever can
//! write the directory can stop homeostat; only `homeostat resume` with a reason takes it back. A directory that can't
//! be read counts as engaged (invariants I11, I12).
//!
//! `stop` writes `STOP`; `resume` leaves a note `RESUMED.<time>` that names the stop it releases, and removes `STOP`. The
//! service ([`Watch`]) records both in the journal and removes the note, so that no old note can ever release a later
//! stop. A `STOP` that vanishes in any other way is put back.

mod files;
mod watch;

pub(crate) use files::{Files, Note, Stopped};
pub(crate) use watch::Watch;
