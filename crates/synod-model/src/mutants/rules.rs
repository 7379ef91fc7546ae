//! Each mutant doctors the state and the message before the real handler runs, or the state and the outputs after it.

use super::logs::{
    answer_by_words, due, execute_at_once, execute_firsts, forget_votes_above, forget_what_is_due,
    install_older,
};
use stateright::actor::{Command, Id, Out};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use synod::{
    AcceptorSet, AcceptorState, Ask, Cluster, Instance, LearnerState, Log, Msg, Needs, Phase, Process,
    ProcessState, Proposal, ProposerState, ServerState, Stable, Timer, Value,
};

/// The broken rule; see [`super::MUTANTS`] for what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is told of in the table of mutants")]
pub enum Rule {
    LastValue,
    LowestValue,
    AnyValue,
    OtherBallotsPromises,
    LatePromise,
    CountsPromises,
    ChangesItsMind,
    ForgetsBallot,
    SameBallotRetry,
    AnnouncesFirst,
    AnnouncesOtherBallots,
    AnnouncesByMessages,
    AcceptsBelowPromise,
    AcceptsWithoutRaising,
    LowersPromise,
    AnswersBelowPromise,
    PromiseNotKept,
    ReportsNothing,
    KeepsFirst,
    RejectsFirst,
    RefusesPromised,
    EchoesPrepare,
    ForgetsPromise,
    ForgetsAccepted,
    Amnesia,
    LearnsFirst,
    LearnsByMessages,
    LearnsAcrossBallots,
    SendsBeforeSave,
    StaleDisk,
    SavesLast,
    ReadsLocally,
    ReadsOlderBallot,
    ReadsBound,
    CountsParts,
    ForgetsInstance,
    FillsOver,
    ExceedsWindow,
    ExecutesPastGap,
    ExecutesOutOfOrder,
    ExecutesFirstOfBatch,
    AnswersBatchAlike,
    ForgetsSessions,
    TruncatesUnchosen,
    ForgetsWithoutSnapshot,
    ForgetsBeforeSnapshot,
    InstallsOlderSnapshot,
    SnapshotDropsVotes,
    PromiseHidesTruncation,
    ExecutesOtherwise,
    PromisePerInstance,
    AnswersUnconfirmed,
    ConfirmsAnyway,
    AnswersTooEarly,
    AnswersByWords,
    HearsStrangersBallots,
    HearsStrangersVotes,
    HearsStrangersNews,
    BeginsAsFollower,
    TakesNothingOver,
    NeverSuspects,
    NeverTrustsAgain,
    NeverHoldsOff,
    Control,
    IgnoresNack,
    SendsOnce,
    RefusesSilently,
    DropsQuestions,
    HoldsOffForEver,
    NeverFollows,
    NeverDoubtsItself,
    IgnoresHalf,
    GovernsAtOnce,
    GovernsLate,
    JoinsUnseen,
    CountsLearners,
    CountsRemoved,
    ReusesIds,
    ChangesInFlight,
    TakesAccepted,
    KeepsRight,
    ForgetsAnswers,
    RestoresNoMembers,
    IgnoresBasis,
    FillsNothing,
    SaysSaved,
    ReadsWithoutRight,
    KeepsConfirmations,
}

pub(super) type ProcessCommand = Command<Msg, Timer, Infallible, Stable>;

impl Rule {
    /// True if it takes the first acceptors, in their order, for others: then acceptors are not alike.
    pub(crate) fn picks_acceptors(self) -> bool {
        matches!(
            self,
            Rule::CountsPromises | Rule::AnnouncesByMessages | Rule::AnnouncesFirst | Rule::LearnsByMessages
        )
    }

    /// Before the real handler. `false`: the message is swallowed.
    pub(super) fn doctor_input(
        self,
        process: &Process,
        state: &mut ProcessState,
        src: &mut Id,
        msg: &mut Msg,
    ) -> bool {
        if let Some(cluster) = cluster_of(process) {
            *src = self.takes_for(cluster, *src, msg).unwrap_or(*src);
        }
        if !self.doctor_election(process, state, (*src, msg)) {
            return false;
        }
        match msg {
            Msg::Prepare { ballot, .. } if self == Rule::IgnoresHalf => return ballot.proposer % 2 == 1,
            Msg::Nack { .. } if self == Rule::IgnoresNack => return false,
            Msg::Ask(Ask::Read { instance }) if self == Rule::ReadsLocally => {
                return state.learner().is_some_and(|learner| learner.learned.contains_key(instance));
            }
            // The answer is in doctor_answers.
            Msg::Ask(Ask::Query { .. }) if self == Rule::AnswersUnconfirmed => return false,
            _ => {}
        }
        if let ProcessState::Server(server) = state {
            self.doctor_log(server, msg);
        }
        if let Some(acceptor) = acceptor_of(state)
            && !self.doctor_acceptor(acceptor, msg)
        {
            return false;
        }
        if let (Rule::ReadsOlderBallot, Some(proposer), Msg::Promise { .. }) =
            (self, proposer_of(state), &*msg)
        {
            forget_when(proposer);
        }
        let Some(cluster) = cluster_of(process) else { return true };
        let Some(index) = cluster.acceptors.iter().position(|id| id == src) else {
            if let (Some(proposer), Rule::ChangesItsMind) = (proposer_of(state), self) {
                change_mind(proposer, msg);
            }
            return true;
        };
        // A mutant that counts messages instead of acceptors takes a repeated one for that of the next acceptor.
        let mut counted = None;
        if let Some(proposer) = proposer_of(state) {
            counted = self.doctor_proposer(cluster, proposer, index, msg);
        }
        if let Some(learner) = learner_of(state) {
            counted = counted.or(self.doctor_learner(cluster, learner, index, msg));
        }
        if let Some(index) = counted {
            *src = cluster.acceptors[index];
        }
        true
    }

    /// The member for which it takes somebody who is none, in what that says.
    fn takes_for(self, cluster: &Cluster, src: Id, msg: &Msg) -> Option<Id> {
        let is_proposer = cluster.proposers.iter().any(|(id, _)| *id == src);
        if is_proposer || cluster.acceptors.contains(&src) || cluster.learners.contains(&src) {
            return None;
        }
        match (self, msg) {
            (
                Rule::HearsStrangersBallots,
                Msg::Prepare { ballot, .. } | Msg::Accept { ballot, .. } | Msg::Confirm { ballot, .. },
            ) => {
                let owner = cluster.proposers.iter().find(|(_, number)| *number == ballot.proposer);
                owner.map(|(id, _)| *id)
            }
            (
                Rule::HearsStrangersVotes,
                Msg::Promise { .. } | Msg::Accepted { .. } | Msg::Nack { .. } | Msg::Confirmed { .. },
            ) => cluster.acceptors.first().copied(),
            (
                Rule::HearsStrangersNews,
                Msg::Chosen { .. } | Msg::CatchUpReply { .. } | Msg::Chunk { .. } | Msg::Checksum { .. },
            ) => cluster.learners.first().copied(),
            _ => None,
        }
    }

    /// The log of a server that keeps one.
    fn doctor_log(self, server: &mut ServerState, msg: &Msg) {
        let ServerState { learner, log: Some(log), .. } = server else { return };
        match (self, msg) {
            (Rule::ExecutesPastGap, Msg::Chosen { instance, .. }) if *instance > log.next => {
                log.next = *instance;
            }
            (Rule::AnswersTooEarly, _) => {
                for question in log.questions.open.values_mut() {
                    match &mut question.needs {
                        Needs::Round(_, index) | Needs::Index(index) => *index = Instance::FIRST,
                        Needs::Ballot => {}
                    }
                }
            }
            (Rule::ExecutesOutOfOrder, _) => {
                // A command that was executed already is not to be executed again when its turn comes.
                let early = learner.learned.range(log.next..).next().is_some_and(|(i, _)| *i == log.next);
                if early {
                    log.next = log.next.plus(1);
                }
            }
            _ => {}
        }
    }

    fn doctor_acceptor(self, acceptor: &mut AcceptorState, msg: &Msg) -> bool {
        match (self, msg) {
            (Rule::AcceptsBelowPromise, Msg::Accept { .. })
            | (Rule::LowersPromise | Rule::AnswersBelowPromise, Msg::Prepare { .. }) => {
                acceptor.promised = None;
            }
            (Rule::EchoesPrepare, Msg::Prepare { .. }) => acceptor.accepted_in = None,
            // So does where the log begins.
            (Rule::PromiseHidesTruncation, Msg::Prepare { .. }) => acceptor.log_start = Instance::FIRST,
            // `doctor_state` restores the promise.
            (Rule::ConfirmsAnyway, Msg::Confirm { .. }) => acceptor.promised = None,
            (Rule::RejectsFirst, Msg::Accept { .. }) => {
                return acceptor.promised.is_some() || !acceptor.accepted.is_empty();
            }
            (Rule::RefusesPromised, Msg::Accept { ballot, .. }) => {
                return acceptor.promised != Some(*ballot);
            }
            _ => {}
        }
        true
    }

    /// May return the acceptor for which the message is to be taken.
    fn doctor_proposer(
        self,
        cluster: &Cluster,
        proposer: &mut ProposerState,
        index: usize,
        msg: &mut Msg,
    ) -> Option<usize> {
        match (&mut proposer.phase, msg) {
            (
                Phase::Preparing { ballot: current, promised, reports, .. },
                Msg::Promise { ballot, accepted, rest },
            ) => match self {
                Rule::LastValue => reports.retain(|instance, _| !accepted.contains_key(&instance)),
                Rule::LowestValue => {
                    accepted.retain(|i, new| reports.get(&i).is_none_or(|old| new.ballot < old.ballot));
                    reports.retain(|i, _| !accepted.contains_key(&i));
                }
                Rule::AnyValue => accepted.clear(),
                Rule::CountsParts => *rest = None,
                Rule::ForgetsInstance => {
                    drop(accepted.keys().next_back().copied().map(|i| accepted.remove(&i)));
                }
                Rule::FillsOver => {
                    let empty = |proposal: &Proposal| Proposal { value: Value::no_op(), ..proposal.clone() };
                    *accepted = accepted.iter().map(|(i, proposal)| (*i, empty(proposal))).collect();
                }
                Rule::OtherBallotsPromises => *ballot = *current,
                Rule::CountsPromises if ballot == current => return another(cluster, *promised, index),
                _ => {}
            },
            (
                Phase::Accepting { ballot: current, from, quorum, reports, gaps, .. },
                Msg::Promise { ballot, .. },
            ) if self == Rule::LatePromise && ballot == current && !quorum.contains(index) => {
                let (ballot, from, promised) = (*current, *from, *quorum);
                let (partly, reports, gaps) = (BTreeMap::new(), reports.clone(), gaps.clone());
                proposer.phase = Phase::Preparing { ballot, from, promised, partly, reports, gaps };
            }
            (Phase::Accepting { ballot: current, accepted, .. }, Msg::Accepted { ballot, instance, .. }) => {
                match self {
                    Rule::AnnouncesOtherBallots => *ballot = *current,
                    Rule::AnnouncesByMessages if ballot == current => {
                        return another(cluster, accepted.get(instance).copied().unwrap_or_default(), index);
                    }
                    Rule::AnnouncesFirst if ballot == current => {
                        accepted.insert(*instance, all_but_enough(cluster, index));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        None
    }

    /// The configuration of a process, if that is what the mutant breaks.
    pub(crate) fn doctor_log_of(self, log: &Log) -> Log {
        let mut log = log.clone();
        if self == Rule::ExceedsWindow {
            log.alpha += 1;
        }
        log
    }

    fn doctor_learner(
        self,
        cluster: &Cluster,
        learner: &mut LearnerState,
        index: usize,
        msg: &mut Msg,
    ) -> Option<usize> {
        let Msg::Accepted { ballot, instance, value } = msg else { return None };
        if learner.learned.contains_key(instance) {
            return None;
        }
        let votes = learner.votes.get(instance);
        match self {
            Rule::LearnsAcrossBallots => {
                let first = votes.and_then(|votes| votes.keys().next());
                *ballot = first.copied().unwrap_or(*ballot);
            }
            Rule::LearnsByMessages => {
                let by = votes.and_then(|votes| votes.get(ballot)).map(|(by, _)| *by).unwrap_or_default();
                return another(cluster, by, index);
            }
            Rule::LearnsFirst => {
                let entry = (all_but_enough(cluster, index), value.clone());
                learner.votes.entry(*instance).or_default().insert(*ballot, entry);
            }
            _ => {}
        }
        None
    }

    /// After the real handler: what it should not have changed, or should have.
    pub(super) fn doctor_state(self, msg: &Msg, before: &ProcessState, after: &mut ProcessState) {
        self.undo_election(msg, before, after);
        if let ProcessState::Server(server) = &mut *after {
            match self {
                Rule::ExecutesOutOfOrder => execute_at_once(before, server),
                Rule::ExecutesFirstOfBatch => execute_firsts(before, server),
                Rule::ForgetsBeforeSnapshot => forget_what_is_due(server),
                Rule::InstallsOlderSnapshot => install_older(msg, server),
                Rule::SnapshotDropsVotes => forget_votes_above(msg, before, server),
                _ => {}
            }
        }
        if let (Some(old), ProcessState::Server(server)) = (before.learner(), &mut *after) {
            let knows_more = server.learner.learned.len() > old.learned.len();
            match self {
                Rule::PromisePerInstance if knows_more => {
                    server.acceptor.promised = None;
                    server.acceptor.accepted_in = None;
                }
                Rule::TruncatesUnchosen if knows_more => {
                    let last = server.learner.learned.keys().next_back().map(|last| last.plus(1));
                    let log = server.log.as_mut();
                    if let Some((last, log)) = last.zip(log).filter(|(last, log)| *last > log.next) {
                        let due = Some((last, log.replica.clone()));
                        log.snapshots.get_or_insert_default().due = due;
                    }
                }
                _ => {}
            }
        }
        let (Some(old), Some(new)) = (before.acceptor(), acceptor_of(after)) else { return };
        match (self, msg) {
            (Rule::AcceptsBelowPromise, Msg::Accept { .. })
            | (Rule::AnswersBelowPromise, Msg::Prepare { .. }) => {
                new.promised = new.promised.max(old.promised);
            }
            (Rule::AcceptsWithoutRaising, Msg::Accept { .. })
            | (Rule::PromiseNotKept, Msg::Prepare { .. })
            | (Rule::ConfirmsAnyway, Msg::Confirm { .. }) => new.promised = old.promised,
            (Rule::EchoesPrepare, Msg::Prepare { .. }) => new.accepted_in = old.accepted_in,
            (Rule::PromiseHidesTruncation, Msg::Prepare { .. }) => new.log_start = old.log_start,
            (Rule::KeepsFirst, Msg::Accept { instance, .. }) => {
                if let Some(first) = old.accepted.get(instance) {
                    new.accepted.insert(*instance, first.clone());
                }
            }
            _ => {}
        }
    }

    /// After the real handler: answers that it should not have given.
    pub(super) fn doctor_answers(
        self,
        (src, msg): (Id, &Msg),
        before: &ProcessState,
        after: &ProcessState,
        out: &mut Out<Process>,
    ) {
        let (Some(old), Some(new)) = (before.server(), after.server()) else { return };
        if self == Rule::AnswersByWords {
            answer_by_words(old, new, out);
        }
        if self == Rule::TruncatesUnchosen && due(new) > due(old) {
            out.set_timer(Timer::Snapshot, Duration::ZERO..Duration::ZERO);
        }
        match (self, msg) {
            (Rule::AnswersUnconfirmed, Msg::Ask(Ask::Query { number, command })) => {
                let replica = old.log.as_ref().map(|log| &log.replica);
                if let Some(output) = replica.and_then(|replica| replica.machine().query(command)) {
                    out.send(src, Msg::Output { number: *number, output });
                }
            }
            (Rule::ReadsLocally, Msg::Ask(Ask::Read { instance }))
                if !old.learner.learned.contains_key(instance) =>
            {
                out.send(src, Msg::Unset { instance: *instance });
            }
            (Rule::ReadsBound, Msg::Promise { .. }) if old.proposer.phase != new.proposer.phase => {
                let Phase::Accepting { issued, .. } = &new.proposer.phase else { return };
                for (instance, readers) in &new.proposer.reads {
                    for client in readers.keys().filter(|_| issued.contains_key(instance)) {
                        out.send(*client, Msg::Unset { instance: *instance });
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn doctor_timeout(self, state: &mut ProcessState) {
        if let (Rule::SameBallotRetry, Some(proposer)) = (self, proposer_of(state)) {
            proposer.tried = proposer.tried.saturating_sub(1);
            proposer.heard = 0;
        }
    }

    pub(super) fn doctor_start(self, found: &mut Option<Stable>) {
        if matches!(self, Rule::Amnesia | Rule::ReusesIds) {
            *found = None;
        }
        let Some(stable) = found else { return };
        match self {
            Rule::ForgetsBallot => stable.tried = 0,
            Rule::ForgetsPromise => stable.acceptor.promised = None,
            Rule::ForgetsAccepted => {
                stable.acceptor.accepted.clear();
                stable.acceptor.accepted_in = None;
            }
            _ => {}
        }
    }

    pub(super) fn doctor_started(self, process: &Process, state: &mut ProcessState) {
        if self == Rule::ForgetsWithoutSnapshot
            && let Some(settings) = cluster_of(process).and_then(|cluster| cluster.log.as_ref())
            && let ProcessState::Server(server) = state
            && let Some(log) = &mut server.log
        {
            log.replica = log.replica.with_machine(settings.machine.clone());
        }
    }

    pub(super) fn doctor_commands(self, commands: &mut [ProcessCommand]) {
        match self {
            Rule::SavesLast => commands.sort_by_key(|command| matches!(command, Command::Save(_))),
            Rule::AnswersBatchAlike => {
                let mut first = None;
                for command in commands {
                    if let Command::Send(_, Msg::Output { output, .. }) = command {
                        *output = first.get_or_insert_with(|| output.clone()).clone();
                    }
                }
            }
            Rule::ReportsNothing => {
                for command in commands {
                    if let Command::Send(_, Msg::Promise { accepted, .. }) = command {
                        accepted.clear();
                    }
                }
            }
            _ => {}
        }
    }
}

/// Lets every read look as if it had come before any ballot was begun.
fn forget_when(proposer: &mut ProposerState) {
    let instances: Vec<_> = proposer.reads.keys().copied().collect();
    for instance in instances {
        if let Some(readers) = proposer.reads.get_mut(&instance) {
            for begun in readers.values_mut() {
                *begun = 0;
            }
        }
    }
}

/// A second client's request pushes the first one's value aside.
fn change_mind(proposer: &mut ProposerState, msg: &Msg) {
    let Msg::Ask(Ask::Request { instance, value }) = msg else { return };
    if proposer.wanted.get(instance).is_some_and(|wanted| wanted != value) {
        proposer.wanted.remove(instance);
        if let Phase::Accepting { issued, .. } = &mut proposer.phase {
            issued.remove(instance);
        }
    }
}

/// If this acceptor is counted already, one that is not.
fn another(cluster: &Cluster, counted: AcceptorSet, index: usize) -> Option<usize> {
    counted.contains(index).then(|| (0..cluster.acceptors.len()).find(|i| !counted.contains(*i))).flatten()
}

/// As many other acceptors as it takes for this one to complete a phase-2 quorum.
fn all_but_enough(cluster: &Cluster, index: usize) -> AcceptorSet {
    let mut counted = AcceptorSet::EMPTY;
    for other in (0..cluster.acceptors.len()).filter(|other| *other != index) {
        let mut with_it = counted;
        with_it.insert(index);
        if cluster.quorums.is_phase2(with_it) {
            break;
        }
        counted.insert(other);
    }
    counted
}

pub(super) fn cluster_of(process: &Process) -> Option<&Cluster> {
    match process {
        Process::Acceptor(cluster)
        | Process::Learner(cluster)
        | Process::Proposer { cluster, .. }
        | Process::Server { cluster, .. } => Some(cluster),
        Process::Client(_) => None,
    }
}

fn acceptor_of(state: &mut ProcessState) -> Option<&mut AcceptorState> {
    match state {
        ProcessState::Acceptor(acceptor) => Some(acceptor),
        ProcessState::Server(server) => Some(&mut server.acceptor),
        _ => None,
    }
}

pub(super) fn proposer_of(state: &mut ProcessState) -> Option<&mut ProposerState> {
    match state {
        ProcessState::Proposer(proposer) => Some(proposer),
        ProcessState::Server(server) => Some(&mut server.proposer),
        _ => None,
    }
}

fn learner_of(state: &mut ProcessState) -> Option<&mut LearnerState> {
    match state {
        ProcessState::Learner(learner) => Some(learner),
        ProcessState::Server(server) => Some(&mut server.learner),
        _ => None,
    }
}

/// The stable state that the real process would have to save in this state.
pub(super) fn stable(state: &ProcessState) -> Stable {
    Stable {
        acceptor: state.acceptor().cloned().unwrap_or_default(),
        tried: state.proposer().map_or(0, |proposer| proposer.tried),
        snapshot: state.server().and_then(|server| server.log.as_ref()?.snapshots.as_ref()?.saved.clone()),
    }
}
