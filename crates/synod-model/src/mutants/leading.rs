//! What is broken about who leads. None of it can hurt safety; each must cost some run its progress, or do no harm at all.

use super::rules::{Rule, cluster_of, proposer_of};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use synod::{Ask, ElectionTimer, Msg, Process, ProcessState, Timer};

impl Rule {
    /// Whether the roles' guards are left whole: only when ballots are begun may be another matter.
    pub(crate) fn leaves_roles(self) -> bool {
        matches!(
            self,
            Rule::Control
                | Rule::BeginsAsFollower
                | Rule::TakesNothingOver
                | Rule::NeverSuspects
                | Rule::NeverTrustsAgain
                | Rule::NeverHoldsOff
        )
    }

    /// Before the real handler. `false`: the message is swallowed.
    pub(super) fn doctor_election(
        self,
        process: &Process,
        state: &mut ProcessState,
        (src, msg): (Id, &Msg),
    ) -> bool {
        let Some(proposer) = proposer_of(state) else { return true };
        match (self, msg) {
            (Rule::NeverTrustsAgain, Msg::Beat(_)) => {
                let election = cluster_of(process).and_then(|cluster| cluster.election.as_ref());
                let place = election.and_then(|e| e.members.iter().position(|member| *member == src));
                place.is_none_or(|place| !proposer.election.suspected.contains(&place))
            }
            // What it takes itself for is put right in undo_election.
            (Rule::BeginsAsFollower, Msg::Ask(Ask::Request { .. }) | Msg::Nack { .. }) => {
                proposer.election.ready = true;
                true
            }
            _ => true,
        }
    }

    /// After the real handler.
    pub(super) fn undo_election(self, msg: &Msg, before: &ProcessState, after: &mut ProcessState) {
        if let (Rule::BeginsAsFollower, Msg::Ask(Ask::Request { .. }) | Msg::Nack { .. }) = (self, msg)
            && let (Some(old), Some(new)) = (before.proposer(), proposer_of(after))
        {
            new.election.ready = old.election.ready;
        }
    }

    /// After a timer of the real process ran out.
    pub(super) fn doctor_turn(
        self,
        process: &Process,
        (me, timer): (Id, Timer),
        before: &ProcessState,
        after: &mut Cow<'_, ProcessState>,
        out: &mut Out<Process>,
    ) {
        match (self, timer) {
            (Rule::TakesNothingOver, Timer::Election(ElectionTimer::HoldOff)) => {
                if let (Some(old), Some(new)) = (before.proposer(), proposer_of(after.to_mut())) {
                    let election = std::mem::take(&mut new.election);
                    *new = old.clone();
                    new.election = election;
                    *out = Out::new();
                }
            }
            (Rule::NeverHoldsOff, Timer::Election(ElectionTimer::Suspect)) => {
                process.on_timeout(me, after, &Timer::Election(ElectionTimer::HoldOff), out);
            }
            _ => {}
        }
    }
}
