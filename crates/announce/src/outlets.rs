//! The channels at work, as they are configured now. A reload replaces them all; the queue of a channel that stays goes on.

use std::sync::Arc;

use crate::channels::Channels;
use crate::event::Event;
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

    /// The lanes that are told of changes, and whether only of incidents' ends.
    pub(crate) fn told_of_changes(&self) -> impl Iterator<Item = (&Arc<Lane>, bool)> {
        let gets_all = |lane: &Arc<Lane>| self.for_changes.iter().any(|other| Arc::ptr_eq(other, lane));
        let only_ends = self.lanes.iter().filter(move |lane| lane.wants_ends() && !gets_all(lane));
        self.for_changes.iter().map(|lane| (lane, false)).chain(only_ends.map(|lane| (lane, true)))
    }

    /// The lanes that are told of this one.
    pub(crate) fn told_of(&self, event: &Event) -> impl Iterator<Item = &Arc<Lane>> {
        let closes = event.closes();
        self.told_of_changes().filter(move |(_, only_ends)| closes || !only_ends).map(|(lane, _)| lane)
    }

    /// The lane of this name.
    pub(crate) fn lane(&self, name: &str) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.name == name)
    }
}
