//! The mutants of elections and leaders. None of them can hurt safety. Each must cost some run its progress, or do no harm at all.

use super::rules::{ProcessCommand, Rule, cluster_of, proposer_of};
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use synod::{Ask, Beat, ElectionTimer, Msg, Phase, Process, ProcessState, Timer};

impl Rule {
    /// True if the guards of the roles are left whole. Only the moments at which ballots begin may be others.
    pub(crate) fn leaves_roles(self) -> bool {
        matches!(
            self,
            Rule::Control
                | Rule::BeginsAsFollower
                | Rule::TakesNothingOver
                | Rule::NeverSuspects
                | Rule::NeverTrustsAgain
                | Rule::NeverHoldsOff
                | Rule::SendsOnce
                | Rule::RefusesSilently
                | Rule::DropsQuestions
                | Rule::HoldsOffForEver
                | Rule::NeverFollows
                | Rule::NeverDoubtsItself
        )
    }

    /// Before the real handler. `false`: the message is swallowed.
    pub(super) fn doctor_election(
        self,
        process: &Process,
        state: &mut ProcessState,
        (src, msg): (Id, &Msg),
    ) -> bool {
        if let (Rule::RefusesSilently, Msg::Confirm { ballot, .. }, Some(acceptor)) =
            (self, msg, state.acceptor())
        {
            return acceptor.promised.is_none_or(|promised| promised <= *ballot);
        }
        let Some(proposer) = proposer_of(state) else { return true };
        match (self, msg) {
            (Rule::DropsQuestions, Msg::Ask(Ask::Query { .. })) => proposer.phase != Phase::Idle,
            (Rule::NeverTrustsAgain, Msg::Beat(_)) => {
                let election = cluster_of(process).and_then(|cluster| cluster.election.as_ref());
                let place = election.and_then(|e| e.members.iter().position(|member| *member == src));
                place.is_none_or(|place| !proposer.election.suspected.contains(&place))
            }
            // `undo_election` puts its own belief right.
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

    /// True if a timer that ran out is set again and has no other effect.
    pub(super) fn stays(
        self,
        process: &Process,
        (me, timer): (Id, Timer),
        state: &ProcessState,
        out: &mut Out<Process>,
    ) -> bool {
        let Some(election) = cluster_of(process).and_then(|cluster| cluster.election.as_ref()) else {
            return false;
        };
        let leads = |members: &[Id]| {
            let followed = state.proposer()?.election.followed(members.len())?;
            members.get(followed).copied()
        };
        let stays = self == Rule::NeverDoubtsItself
            && timer == Timer::Election(ElectionTimer::Suspect)
            && leads(&election.members) == Some(me);
        if stays {
            out.set_timer(timer, election.pace.suspect.clone());
        }
        stays
    }

    /// Takes out what it does not say, and the timers that it does not set.
    pub(super) fn doctor_leading(self, commands: &mut Vec<ProcessCommand>) {
        let begins = commands.iter().any(|command| matches!(command, Command::Send(_, Msg::Prepare { .. })));
        commands.retain(|command| match (self, command) {
            (Rule::SendsOnce, Command::SetTimer(Timer::Retry, _)) => begins,
            (Rule::NeverSuspects, Command::SetTimer(Timer::Election(ElectionTimer::Suspect), _))
            | (
                Rule::HoldsOffForEver,
                Command::SetTimer(Timer::Election(ElectionTimer::HoldOff) | Timer::HoldOff, _),
            )
            | (Rule::NeverFollows, Command::Send(_, Msg::Beat(Beat::Follow))) => false,
            _ => true,
        });
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
