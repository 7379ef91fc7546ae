//! The observer watches single steps of processes and says what happened in them, in the words of the paper.

use crate::history::{Happened, History, Note};
use crate::keep;
use crate::ledger::Ledger;
use crate::members;
use stateright::actor::{Command, Id};
use std::collections::BTreeSet;
use std::sync::Arc;
use synod::{
    AcceptorSet, Ask, Call, Cluster, DiffItem, LogEntry, Msg, PerInstance, Phase, ProcessState, ServerState,
};
use synod_explore::{Components, Observer, Step, Subject, Trigger};

/// States that hold a process's state, possibly with something around it.
pub trait Inside {
    /// The process's state.
    fn inside(&self) -> &ProcessState;
    /// The same around another state of the process.
    #[must_use]
    fn with(&self, inner: ProcessState) -> Self;
}

impl Inside for ProcessState {
    fn inside(&self) -> &ProcessState {
        self
    }
    fn with(&self, inner: ProcessState) -> Self {
        inner
    }
}

/// Keeps the ghost history of any system whose actors are processes, or decorated ones.
#[derive(Clone, Debug)]
pub struct Ghost {
    /// The ids and numbers of all processes.
    pub cluster: Arc<Cluster>,
    /// The history before the first state.
    pub before: History,
    /// The claims that the history is kept for; `None`: for all. What no other needs is forgotten, which makes fewer states.
    pub claims: Option<Vec<&'static str>>,
}

impl<A> Observer<A> for Ghost
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    type History = History;
    type Note = Note;

    fn initial(&self) -> History {
        self.before.clone()
    }

    fn note(&self, step: &Step<'_, A>) -> Option<Note> {
        let mut note = Note::new();
        let before = step.before.map(Inside::inside);
        let after = step.after.map(Inside::inside);
        if let (Trigger::Recover, Some(after)) = (&step.trigger, after) {
            note.extend(after.acceptor().map(|_| Happened::AcceptorRecovered));
            note.extend(after.proposer().map(|_| Happened::ProposerRecovered));
        }
        let sent = step.outputs.iter().filter_map(|output| match output {
            Command::Send(_, msg) => Some(msg),
            _ => None,
        });
        // A broadcast is one thing that happened, however many were told.
        let sent: BTreeSet<&Msg> = sent.collect();
        let acceptor = self.cluster.acceptors.iter().position(|id| *id == step.actor);
        // The proposer whose ballot it carries offers a proposal. Anybody else who says the same offers nothing.
        if let (Some(me), Trigger::Deliver { src, msg: Msg::Accept { ballot, instance, value } }) =
            (acceptor, &step.trigger)
            && self.cluster.proposers.contains(&(*src, ballot.proposer))
        {
            let answer = Msg::Accepted { ballot: *ballot, instance: *instance, value: value.clone() };
            note.push(Happened::Offered(me, *instance, *ballot, value.clone(), sent.contains(&answer)));
        }
        if let (Trigger::Deliver { src, msg: Msg::Ask(Ask::Read { instance }) }, Some(_)) =
            (&step.trigger, after.and_then(ProcessState::server))
        {
            note.push(Happened::Asked(step.actor.into(), (*src).into(), *instance));
        }
        if let (
            Trigger::Deliver {
                src,
                msg: Msg::Ask(ask @ (Ask::Submit { number, command } | Ask::Query { number, command })),
            },
            Some(_),
        ) = (&step.trigger, after.and_then(ProcessState::server))
        {
            let is_query = matches!(ask, Ask::Query { .. });
            if !self.changes_members(*src) {
                note.push(Happened::Called(((*src).into(), *number), command.clone(), is_query));
            }
        }
        for msg in sent {
            note.extend(Self::said(step.actor, msg, acceptor, before, after));
        }
        note.extend(step.outputs.iter().filter_map(|output| match output {
            Command::Send(client, Msg::Output { number, output }) if self.changes_members(*client) => {
                Some(Happened::Changed(((*client).into(), *number), output.clone()))
            }
            Command::Send(client, msg) => Self::told(step.actor, *client, msg),
            _ => None,
        }));
        if self.cluster.log.as_ref().is_some_and(|log| log.members.is_some()) {
            note.extend(members::noted(step, before, after));
        }
        note.extend(self.found_out(step.actor, before, after));
        if let (Some(before), Some(after)) =
            (before.and_then(ProcessState::server), after.and_then(ProcessState::server))
        {
            let (old, new) = (&before.acceptor, &after.acceptor);
            note.extend(
                (new.log_start > old.log_start && !old.accepted.is_empty()).then_some(Happened::Forgot),
            );
            let saved =
                |server: &ServerState| Some(server.log.as_ref()?.snapshots.as_ref()?.saved.as_ref()?.next);
            let came = matches!(step.trigger, Trigger::Deliver { msg: Msg::Chunk { .. }, .. });
            note.extend((came && saved(after) > saved(before)).then_some(Happened::Restored));
        }
        note.extend(Self::led(step.actor, before, after));
        (!note.is_empty()).then_some(note)
    }

    fn update(&self, history: &History, note: &Note) -> Option<History> {
        let mut next = history.clone();
        for happened in note {
            keep::record(&self.cluster, &mut next, happened);
        }
        if let Some(claims) = &self.claims {
            keep::forget_unasked(&self.cluster.quorums, &mut next, claims);
        }
        (next != *history).then_some(next)
    }

    fn components(&self) -> Option<&dyn Components<History, Note>> {
        // A log is judged against everybody's votes, and what some claims do not need is forgotten of all parts at once.
        (self.cluster.log.is_none() && self.claims.is_none()).then_some(self)
    }
}

impl Ghost {
    /// True if what a process asks for is a change of members: it is an operator, or a server that is to join.
    fn changes_members(&self, id: Id) -> bool {
        let members = self.cluster.log.as_ref().and_then(|log| log.members.as_ref());
        members.is_some_and(|members| members.is_operator(id) || self.cluster.acceptors.contains(&id))
    }

    /// The meaning of a message that a process sent.
    fn said(
        actor: Id,
        msg: &Msg,
        acceptor: Option<usize>,
        before: Option<&ProcessState>,
        after: Option<&ProcessState>,
    ) -> Option<Happened> {
        match (msg, acceptor) {
            (Msg::Ask(Ask::Request { instance, value }), _) => {
                Some(Happened::Proposed(*instance, value.clone()))
            }
            (Msg::Prepare { ballot, from }, _) => {
                // A prepare that asks for the rest of a long report begins nothing.
                let rest = |state: &ProcessState| {
                    let phase = state.proposer().map(|proposer| &proposer.phase);
                    matches!(phase, Some(Phase::Preparing { ballot: b, from: first, .. }) if b == ballot && from > first)
                };
                if after.is_some_and(rest) {
                    return None;
                }
                // A prepare that is repeated within its ballot begins nothing.
                let preparing = |state: &ProcessState| {
                    let phase = state.proposer().map(|proposer| &proposer.phase);
                    matches!(phase, Some(Phase::Preparing { ballot: b, promised, .. }) if b == ballot && promised.is_empty())
                };
                (!before.is_some_and(preparing)).then_some(Happened::Begun(*ballot))
            }
            (Msg::Promise { ballot, .. }, Some(me)) => Some(Happened::Answered(me, *ballot)),
            (Msg::Accepted { ballot, instance, value }, Some(me)) => {
                Some(Happened::Voted(me, *instance, *ballot, value.clone()))
            }
            (Msg::Accept { ballot, instance, value }, _) => {
                // One that issues may begin its next ballot in the same step. Then the promises are those that it had before.
                let in_ballot = |state: &&ProcessState| {
                    let phase = state.proposer().map(|proposer| &proposer.phase);
                    matches!(phase, Some(Phase::Accepting { ballot: b, .. }) if b == ballot)
                };
                let issuing = after.filter(in_ballot).or(before.filter(in_ballot)).or(after);
                let proposer = issuing.and_then(ProcessState::proposer);
                let (quorum, reported) = match proposer.map(|p| &p.phase) {
                    Some(Phase::Accepting { quorum, reports, .. }) => {
                        (*quorum, reports.contains_key(instance))
                    }
                    _ => (AcceptorSet::EMPTY, false),
                };
                let own = proposer.and_then(|p| p.wanted.get(instance)) == Some(value);
                Some(Happened::Issued {
                    instance: *instance,
                    ballot: *ballot,
                    value: value.clone(),
                    quorum,
                    reported,
                    own,
                })
            }
            (Msg::Nack { .. }, _) => Some(Happened::Nacked),
            (Msg::Ask(Ask::Submit { number, command }), _) => {
                let call = Call { client: actor, number: *number };
                Some(Happened::Submitted(LogEntry { call, command: command.clone() }.value()))
            }
            (Msg::Redirect { .. }, _) => Some(Happened::Redirected),
            (Msg::Removed { .. }, _) => Some(Happened::ToldRemoved),
            (Msg::Relay { .. }, _) => Some(Happened::Relayed),
            _ => None,
        }
    }

    /// The answer that a client was told.
    fn told(actor: Id, client: Id, msg: &Msg) -> Option<Happened> {
        let (instance, value) = match msg {
            Msg::Response { instance, value } => (*instance, Some(value.clone())),
            Msg::Unset { instance } => (*instance, None),
            Msg::Output { number, output } => {
                return Some(Happened::Returned((client.into(), *number), output.clone()));
            }
            _ => return None,
        };
        Some(Happened::Told(actor.into(), client.into(), instance, value))
    }

    /// The change, if a process came to lead or does not lead any more.
    fn led(actor: Id, before: Option<&ProcessState>, after: Option<&ProcessState>) -> Option<Happened> {
        let leads = |state: Option<&ProcessState>| {
            state.and_then(ProcessState::proposer).is_some_and(|proposer| proposer.election.ready)
        };
        match (leads(before), leads(after)) {
            (false, true) => Some(Happened::Leads(actor.into())),
            (true, false) => Some(Happened::Follows(actor.into())),
            _ => None,
        }
    }

    /// The facts that a process knows now and did not know before.
    fn found_out<'a>(
        &self,
        actor: Id,
        before: Option<&'a ProcessState>,
        after: Option<&'a ProcessState>,
    ) -> Vec<Happened> {
        let answer = |state: Option<&ProcessState>| {
            state.and_then(ProcessState::client).is_some_and(|client| client.answer.is_some())
        };
        // The diff skips what two copies share: a long run knows many values, and a step adds one at most.
        let none = PerInstance::new();
        let known =
            |state: Option<&'a ProcessState>| state.and_then(ProcessState::learner).map(|l| &l.learned);
        let mut found = Vec::new();
        for item in known(before).unwrap_or(&none).diff(known(after).unwrap_or(&none)) {
            if let DiffItem::Add(instance, value) | DiffItem::Update { new: (instance, value), .. } = item {
                found.push(Happened::Learned(usize::from(actor), *instance, value.clone()));
            }
        }
        let machine = |state: Option<&'a ProcessState>| {
            state
                .and_then(ProcessState::server)
                .and_then(|server| server.log.as_ref())
                .map(|log| &log.replica)
        };
        if self.cluster.log.is_some()
            && let (Some(new), Some(old)) = (machine(after), machine(before))
            && new != old
        {
            found.push(Happened::Executed(actor.into(), Ledger::executed_in(&new.machine().snapshot())));
        }
        found.extend((answer(after) && !answer(before)).then_some(Happened::Served));
        found
    }
}
