//! The channels at work, as they are configured now. A reload replaces them all; the queue of a channel that stays goes on.

use std::sync::Arc;

use crate::channels::Channels;
use crate::lane::Lane;
use crate::mirroring::{MirrorTask, StreamTask};
use crate::outlet::Outlet;

/// The channels at work, by what they do.
#[derive(Default)]
pub(crate) struct Outlets {
    pub(crate) lanes: Vec<Arc<Lane>>,
    /// The lanes that get every change.
    pub(crate) for_changes: Vec<Arc<Lane>>,
    pub(crate) mirrors: Vec<Arc<MirrorTask>>,
    pub(crate) streams: Vec<Arc<StreamTask>>,
}

impl Outlets {
    /// What is configured. A lane that was at work before keeps its queue, and leads to where it leads now.
    pub(crate) fn of(channels: &Channels, before: &[Arc<Lane>]) -> Self {
        let mut outlets = Self::default();
        for (name, channel) in channels.iter() {
            match &channel.outlet {
                Outlet::Deliver(deliver) => {
                    let lane = match before.iter().find(|lane| lane.name == name) {
                        Some(lane) => {
                            lane.lead_to(channel.kind, Arc::clone(deliver));
                            Arc::clone(lane)
                        }
                        None => Arc::new(Lane::new(name, channel.kind, Arc::clone(deliver))),
                    };
                    if channel.changes {
                        outlets.for_changes.push(Arc::clone(&lane));
                    }
                    outlets.lanes.push(lane);
                }
                Outlet::Mirror(mirror) => {
                    outlets.mirrors.push(Arc::new(MirrorTask::new(name, channel.kind, Arc::clone(mirror))));
                }
                Outlet::Stream(stream) => {
                    outlets.streams.push(Arc::new(StreamTask::new(name, channel.kind, Arc::clone(stream))));
                }
            }
        }
        outlets
    }

    /// The lane of this name.
    pub(crate) fn lane(&self, name: &str) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.name == name)
    }
}
