//! What people say of incidents: how a label gets into the journal, and what comes of it.
//!
//! `incident label` writes the journal itself where no service runs. Where one does, the journal is the service's: the command leaves a
//! file in the storage directory ([`Inbox`](crate::inbox::Inbox)), which the service takes within a step, and the HTTP API hands labels to the [`Desk`]
//! at once. All three end in [`record()`].

mod desk;
mod effect;
mod record;

pub(crate) use desk::Desk;
pub(crate) use effect::Effect;
pub(crate) use record::{LabelError, check, record};
