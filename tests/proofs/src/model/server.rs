//! The API server: takes a request at some moment after it was sent, or never.

use homeostat_remediate::Stage;

use super::Protocol;
use super::inputs::{TICK, at, uid};
use super::mutation::Mutation;
use super::replica::LANDS_WITHIN;
use super::state::{Answer, Content, Doing, Object, Request, State, What};

impl Protocol {
    /// Handles one request and answers whoever still waits for it.
    pub(super) fn deliver(&self, state: &mut State, request: &Request) {
        let target = self.target(&request.planned);
        let (after, answer) = match request.what {
            What::Apply => self.apply(state, request, target),
            What::Undo => self.undo(state, request, target),
        };
        if let Some(after) = after {
            state.before[target] = Some(std::mem::replace(&mut state.objects[target], after));
        }
        if let Some(me) = request.waits {
            state.replica(me).doing = Doing::Answered(request.planned.clone(), request.what, answer);
        }
    }

    fn apply(&self, state: &mut State, request: &Request, target: usize) -> (Option<Object>, Answer) {
        let (object, planned) = (state.objects[target].clone(), &request.planned);
        if object.marker.as_ref() == Some(planned) {
            return (None, Answer::Written);
        }
        let decided_on = &planned.plan.target;
        let is_as_decided = uid(&object) == decided_on.uid && object.version.to_string() == decided_on.resource_version;
        if !is_as_decided {
            if !self.is_broken(Mutation::Precondition) {
                return (None, Answer::Stale);
            }
            state.violate(8);
        }
        let slack = TICK * u32::from(state.skew_max + LANDS_WITHIN);
        if at(state.now, 0) >= planned.plan.apply_before + slack {
            state.violate(8);
        }
        // What the journal says it never wrote, or isn't in the journal, must not have an effect.
        match state.log.stage(planned) {
            Some(Stage::NotApplied) => state.violate(6),
            Some(_) => {}
            None => state.violate(5),
        }
        if self.count(state, request) > 1 {
            state.violate(6);
        }
        let version = object.version + 1;
        let after =
            Object { version, marker: Some(planned.clone()), undone: None, content: Content::Written, ..object };
        (Some(after), Answer::Written)
    }

    fn undo(&self, state: &mut State, request: &Request, target: usize) -> (Option<Object>, Answer) {
        let (object, planned) = (state.objects[target].clone(), &request.planned);
        if object.undone.as_ref() == Some(planned) && !self.is_broken(Mutation::UndoOnce) {
            return (None, Answer::Written);
        }
        let is_as_left = object.marker.as_ref() == Some(planned) && object.content == Content::Written;
        let is_again = object.undone.as_ref() == Some(planned);
        if !is_as_left && !is_again {
            if !self.is_broken(Mutation::UndoPrecondition) {
                return (None, Answer::Stale);
            }
            state.violate(16);
        }
        if self.count(state, request) > 1 {
            state.violate(16);
        }
        let version = object.version + 1;
        let after = Object { version, undone: Some(planned.clone()), content: Content::Undone, ..object };
        (Some(after), Answer::Written)
    }

    /// Counts an effect, and says how often it was there.
    fn count(&self, state: &mut State, request: &Request) -> u8 {
        let same = |(planned, what, _): &&mut (_, What, u8)| *planned == request.planned && *what == request.what;
        match state.effects.iter_mut().find(same) {
            Some((_, _, n)) => {
                *n += 1;
                *n
            }
            None => {
                state.effects.push((request.planned.clone(), request.what, 1));
                1
            }
        }
    }
}
