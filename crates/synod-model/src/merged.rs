//! The states that are taken for one while liveness is explored. Processes ask and answer again and again, which would otherwise make an infinite
//! number of states.
//!
//! One of several equal messages on their way is kept if more of them say nothing new. Of a log two more things are forgotten. A message that its receiver ignores
//! for ever is as good as lost: nothing that fairness asks for depends on it. Clients never lose their answers. So once all have them, everything that must come about
//! has come about, and the run may end.

use crate::leads;
use crate::observer::{Ghost, Inside};
use stateright::actor::{Envelope, Id};
use std::collections::BTreeSet;
use std::sync::Arc;
use synod::{
    AcceptorSet, Ask, Ballot, Beat, Cluster, Learning, Msg, Needs, Phase, ProcessState, Question, Questions,
    ServerState,
};
use synod_explore::{InFlight, Local, Normal, State, Subject};

/// Takes equal questions on their way for one, and heartbeats: who asks or beats again and again says nothing new, and any but one may
/// be lost. In a log all messages, as servers say again what may have been lost.
pub(crate) struct Merged {
    /// The rules for a log whose liveness is explored.
    pub(crate) log: Option<Forgets>,
}

/// The rules by which a log forgets while its liveness is explored.
pub(crate) struct Forgets {
    pub(crate) cluster: Arc<Cluster>,
    /// True if the guards of the roles are whole, so that it is known what they ignore.
    pub(crate) dead: bool,
    /// True if the only property is that clients are answered, so that there is nothing more to see once all are.
    pub(crate) answered: bool,
    /// Servers that hear no other.
    pub(crate) deaf: Vec<Id>,
}

impl<A> Normal<A, Ghost> for Merged
where
    A: Subject<Msg = Msg>,
    A::State: Inside,
{
    fn bound(&self) -> String {
        match &self.log {
            None => "equal questions and heartbeats on their way are one".to_owned(),
            Some(Forgets { answered: false, .. }) => "equal messages on their way are one, and none that is out of date arrives".to_owned(),
            Some(Forgets { answered: true, .. }) => {
                "equal messages on their way are one, and none that is out of date arrives; nothing after all are answered".to_owned()
            }
        }
    }

    fn normal(&self, mut state: State<A, Ghost>) -> Option<State<A, Ghost>> {
        if let InFlight::Multiset(counts) = &mut state.network {
            let questions = counts
                .iter_mut()
                .filter(|(envelope, _)| matches!(envelope.msg, Msg::Ask(Ask::Request { .. })));
            questions.for_each(|(_, count)| *count = 1);
        }
        leads::merge_heartbeats(&mut state.network);
        let Some(forgets) = &self.log else { return Some(state) };
        if forgets.answered && state.locals.iter().all(|local| is_answered(local)) {
            if let InFlight::Multiset(counts) = &mut state.network {
                counts.clear();
            }
            for local in state.locals.iter_mut().filter(|local| !local.timers.is_empty()) {
                *local = Arc::new(Local { timers: BTreeSet::new(), ..Local::clone(local) });
            }
            return Some(state);
        }
        if let InFlight::Multiset(counts) = &mut state.network {
            let inside = |id: Id| {
                state.locals.get(usize::from(id)).and_then(|local| local.state.as_deref()).map(Inside::inside)
            };
            counts.retain(|envelope, count| {
                *count = 1;
                let ends = (inside(envelope.src), inside(envelope.dst));
                let is_dead = forgets.dead && forgets.is_ignored_for_ever(ends, envelope);
                !(is_dead || forgets.is_lost(ends, envelope))
            });
            if forgets.dead {
                state.locals.iter_mut().for_each(forget_rounds);
            }
        }
        Some(state)
    }
}

/// The sender and the receiver of a message, if they are up.
type Ends<'s> = (Option<&'s ProcessState>, Option<&'s ProcessState>);

/// True if a process waits for no answer: a client that has its own, or any other process.
pub(crate) fn is_answered<A: Subject>(local: &Local<A>) -> bool
where
    A::State: Inside,
{
    let client = local.state.as_deref().and_then(|state| state.inside().client());
    client.is_none_or(|client| client.answer.is_some())
}

/// No message of a round of confirmation is left that nobody waits for, so that the next may bear any number.
fn forget_rounds<A: Subject>(local: &mut Arc<Local<A>>)
where
    A::State: Inside,
{
    let Some(state) = &local.state else { return };
    let Some(questions) = state.inside().server().and_then(asked) else { return };
    let is_blank = questions.round == 0 && questions.confirmed == AcceptorSet::EMPTY;
    if is_blank || waits_for(questions, None) {
        return;
    }
    let mut inner = state.inside().clone();
    if let ProcessState::Server(server) = &mut inner
        && let Some(log) = &mut server.log
    {
        (log.questions.round, log.questions.confirmed) = (0, AcceptorSet::EMPTY);
    }
    let state = Some(Arc::new(state.with(inner)));
    *local = Arc::new(Local { state, ..Local::clone(local) });
}

fn asked(server: &ServerState) -> Option<&Questions> {
    Some(&server.log.as_ref()?.questions)
}

/// True if a question waits for this round of confirmation, or for any.
fn waits_for(questions: &Questions, round: Option<u64>) -> bool {
    let waits = |question: &Question| match question.needs {
        Needs::Round(needed, _) => round.is_none_or(|round| round == needed),
        _ => false,
    };
    questions.open.values().any(waits)
}

/// The ballot that a proposer has come to.
fn current(process: Option<&ProcessState>) -> Option<Ballot> {
    match &process?.proposer()?.phase {
        Phase::Preparing { ballot, .. } | Phase::Accepting { ballot, .. } => Some(*ballot),
        Phase::Idle => None,
    }
}

impl Forgets {
    /// True if a message never arrives. Its receiver is deaf; or leaders are backed and it says something about its sender's place in the election that is not so any
    /// more. Only the last message about that is kept.
    fn is_lost(&self, (from, to): Ends<'_>, envelope: &Envelope<Msg>) -> bool {
        let (src, dst) = (envelope.src, envelope.dst);
        if src != dst && self.deaf.contains(&dst) && self.cluster.acceptors.contains(&src) {
            return true;
        }
        let (Some(election), Msg::Beat(beat)) = (&self.cluster.election, &envelope.msg) else { return false };
        if election.backing.is_none() {
            return false;
        }
        let Some(sender) = from.and_then(ProcessState::proposer).map(|proposer| &proposer.election) else {
            return true;
        };
        let followed = sender.followed(election.members.len()).map(|place| election.members[place]);
        match beat {
            Beat::Heartbeat { backed } => followed != Some(src) || sender.ready != *backed,
            // A member that has suspected itself has to hear from somebody before it tries again, also from one that follows it no more.
            Beat::Follow => {
                let receiver = to.and_then(ProcessState::proposer).map(|proposer| &proposer.election);
                let place = election.members.iter().position(|member| *member == dst);
                let waits = receiver
                    .zip(place)
                    .is_some_and(|(receiver, place)| !receiver.heard && receiver.suspected.contains(&place));
                followed != Some(dst) && !waits
            }
            Beat::Cede(heir) => followed != Some(*heir),
        }
    }

    /// True if the receiver of a message ignores it from now on, whatever happens. That rests on three things that only grow: an acceptor's promise, the
    /// ballot that a proposer has come to, each of which it comes to once, and its rounds of confirmation. A process that comes back from a crash has come to no ballot.
    fn is_ignored_for_ever(&self, (from, to): Ends<'_>, envelope: &Envelope<Msg>) -> bool {
        let phase = to.and_then(ProcessState::proposer).map(|proposer| &proposer.phase);
        let index = self.cluster.acceptors.iter().position(|acceptor| *acceptor == envelope.src);
        let counted = |set: &AcceptorSet| index.is_none_or(|index| set.contains(index));
        let has_left = |process: Option<&ProcessState>, ballot: &Ballot| current(process) != Some(*ballot);
        let waits = |process: Option<&ProcessState>, round: u64| {
            let questions = process.and_then(ProcessState::server).and_then(asked);
            questions.is_some_and(|questions| questions.round == round && waits_for(questions, Some(round)))
        };
        let is_refused = |ballot: &Ballot| {
            let promised = to.and_then(ProcessState::acceptor).and_then(|acceptor| acceptor.promised);
            promised.is_some_and(|promised| promised > *ballot)
        };
        match &envelope.msg {
            Msg::Nack { ballot, .. } => has_left(to, ballot),
            Msg::Promise { ballot, .. } => match phase {
                Some(Phase::Preparing { ballot: now, promised, .. }) => now != ballot || counted(promised),
                _ => true,
            },
            Msg::Accepted { ballot, instance, .. } if self.cluster.learning == Learning::Proposer => {
                match phase {
                    Some(Phase::Accepting { ballot: now, issued, accepted, .. }) => {
                        let is_closed = !issued.contains_key(instance)
                            && to
                                .and_then(ProcessState::learner)
                                .is_some_and(|learner| learner.learned.contains_key(instance));
                        now != ballot || is_closed || accepted.get(instance).is_some_and(counted)
                    }
                    _ => true,
                }
            }
            Msg::Confirmed { ballot, round } => {
                let has_counted = to
                    .and_then(ProcessState::server)
                    .and_then(asked)
                    .is_some_and(|questions| counted(&questions.confirmed));
                has_left(to, ballot) || has_counted || !waits(to, *round)
            }
            // A refusal matters only to a sender that hears of it and is still in that ballot.
            Msg::Prepare { ballot, .. } | Msg::Accept { ballot, .. } => {
                is_refused(ballot) && (!self.cluster.nacks || has_left(from, ballot))
            }
            // It changes nothing where it arrives. Its answer matters only to a sender that waits for it.
            Msg::Confirm { ballot, round } => {
                has_left(from, ballot) || !waits(from, *round) || is_refused(ballot) && !self.cluster.nacks
            }
            Msg::Output { .. } | Msg::Redirect { .. } => {
                to.and_then(ProcessState::client).is_none_or(|client| client.answer.is_some())
            }
            _ => false,
        }
    }
}
