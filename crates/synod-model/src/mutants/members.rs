//! What broken servers take for the members of an instance.

use super::kinds::{Mutant, roles};
use super::rules::Rule;
use stateright::actor::{Command, Id, Out};
use synod::{
    AcceptorSet, Ask, Call, Change, ChangeKind, Instance, LogEntry, Membership, Msg, Needs, Phase, Process,
    Replica, ServerState, Value,
};

pub(super) const GOVERNS_AT_ONCE: Mutant = roles(
    "governs-at-once",
    Rule::GovernsAtOnce,
    "members: a change governs from i + alpha on",
    "lets it govern from i + 1 on",
);
pub(super) const GOVERNS_LATE: Mutant = roles(
    "governs-late",
    Rule::GovernsLate,
    "members: a change governs from i + alpha on",
    "uses the old quorums for that instance too",
);
pub(super) const JOINS_UNSEEN: Mutant = roles(
    "joins-unseen",
    Rule::JoinsUnseen,
    "members: a learner that has caught up joins by a command of its own",
    "lets it count as soon as it is added",
);
pub(super) const COUNTS_LEARNERS: Mutant = roles(
    "counts-learners",
    Rule::CountsLearners,
    "members: learners count nowhere",
    "counts learners in every quorum",
);
pub(super) const COUNTS_REMOVED: Mutant = roles(
    "counts-removed",
    Rule::CountsRemoved,
    "members: a removed member counts no more",
    "goes on counting it",
);
pub(super) const REUSES_IDS: Mutant = roles(
    "reuses-ids",
    Rule::ReusesIds,
    "members: an id is never used again",
    "lets a removed id join again, on an empty disk",
);
pub(super) const CHANGES_IN_FLIGHT: Mutant = roles(
    "changes-in-flight",
    Rule::ChangesInFlight,
    "members: one change is in flight at a time",
    "takes a second one before the first governs",
);
pub(super) const TAKES_ACCEPTED: Mutant = roles(
    "takes-accepted",
    Rule::TakesAccepted,
    "members: only what is chosen and executed changes them",
    "takes a change for decided once it accepted it",
);
pub(super) const KEEPS_RIGHT: Mutant = roles(
    "keeps-right",
    Rule::KeepsRight,
    "sequence: promises meet every quorum of the instance's members (H2)",
    "skips phase 1 whoever the members are",
);

pub(super) const FORGETS_ANSWERS: Mutant = roles(
    "forgets-answers",
    Rule::ForgetsAnswers,
    "members: a change that was answered has no effect when it comes again",
    "remembers only the last answer, whoever asked",
);
pub(super) const RESTORES_NO_MEMBERS: Mutant = roles(
    "restores-no-members",
    Rule::RestoresNoMembers,
    "snapshot: the members are a part of it",
    "goes on from a snapshot with the members that it knew",
);
pub(super) const IGNORES_BASIS: Mutant = roles(
    "ignores-basis",
    Rule::IgnoresBasis,
    "members: a change that rests on another configuration than the last has no effect",
    "executes it whatever it rests on",
);
pub(super) const FILLS_NOTHING: Mutant = roles(
    "fills-nothing",
    Rule::FillsNothing,
    "sequence: a leader fills the window, so that a change governs (I4)",
    "sends no no-op",
);
pub(super) const SAYS_SAVED: Mutant = roles(
    "says-saved",
    Rule::SaysSaved,
    "members: a member says that it has saved what is on its disk",
    "says so as soon as it has executed it",
);

pub(super) const READS_WITHOUT_RIGHT: Mutant = roles(
    "reads-without-right",
    Rule::ReadsWithoutRight,
    "confirm: a question waits for a ballot whose promises meet every quorum of the members",
    "asks the members whether it leads, whoever promised its ballot",
);
pub(super) const KEEPS_CONFIRMATIONS: Mutant = roles(
    "keeps-confirmations",
    Rule::KeepsConfirmations,
    "sequence: a change of members puts off all questions",
    "answers by what the members before have confirmed",
);

fn membership(server: &ServerState) -> Option<&Membership> {
    server.log.as_ref().and_then(|log| log.replica.membership())
}

fn set(server: &mut ServerState, membership: Membership) {
    if let Some(log) = &mut server.log {
        let replica: Replica = log.replica.clone();
        log.replica = replica.with_membership(Some(membership.seen()));
    }
}

/// Before the real handler: the promises by which a leader skips phase 1.
pub(super) fn doctor_right(rule: Rule, server: &mut ServerState, msg: &Msg) {
    if let (true, Phase::Accepting { quorum, .. }) = (has_right(rule, msg), &mut server.proposer.phase) {
        *quorum = (0..synod::MAX_ACCEPTORS).collect();
    }
}

/// True if a leader takes its promises for enough in a step.
fn has_right(rule: Rule, msg: &Msg) -> bool {
    rule == Rule::KeepsRight || rule == Rule::ReadsWithoutRight && matches!(msg, Msg::Ask(Ask::Query { .. }))
}

/// After the real handler: the questions that members confirmed before they changed. Returns the answers.
pub(super) fn keep_confirmations(
    rule: Rule,
    before: &ServerState,
    server: &mut ServerState,
) -> Vec<(Id, Msg)> {
    let number = |server: &ServerState| membership(server).map(Membership::number);
    if rule != Rule::KeepsConfirmations || number(before) == number(server) {
        return Vec::new();
    }
    let (Some(old), Some(log)) = (&before.log, &mut server.log) else { return Vec::new() };
    let mut answers = Vec::new();
    for (call, question) in &old.questions.open {
        let is_confirmed = matches!(question.needs, Needs::Index(index) if index <= log.next);
        let output = log.replica.machine().query(&question.command);
        if let (true, Some(output)) = (is_confirmed, output) {
            log.questions.open.remove(call);
            answers.push((call.client, Msg::Output { number: call.number, output }));
        }
    }
    answers
}

/// After the real handler: a member says that it has saved what it has only executed. Returns what it says, and to whom.
pub(super) fn says_saved(
    rule: Rule,
    me: Id,
    before: &ServerState,
    server: &ServerState,
) -> Option<(AcceptorSet, Msg)> {
    let executed = |server: &ServerState| {
        let log = server.log.as_ref()?;
        let membership = log.replica.membership()?;
        let latest = membership.latest()?.members;
        let is_due =
            latest.contains(me.into()) && membership.number() > 0 && log.next >= membership.latest_from();
        is_due.then_some((membership.number(), log.next, latest))
    };
    let (number, next, members) = executed(server).filter(|_| rule == Rule::SaysSaved)?;
    if executed(before).is_some_and(|(earlier, ..)| earlier == number) {
        return None;
    }
    Some((members, Msg::Ask(Ask::Submit { number: next.0, command: Value::from("saved") })))
}

/// After the real handler: the members that a server knows.
pub(super) fn doctor_members(
    rule: Rule,
    msg: &Msg,
    before: &ServerState,
    server: &mut ServerState,
    alpha: u64,
) {
    if let (
        true,
        Phase::Accepting { ballot: old, quorum: promised, .. },
        Phase::Accepting { ballot, quorum, .. },
    ) = (has_right(rule, msg), &before.proposer.phase, &mut server.proposer.phase)
        && old == ballot
    {
        *quorum = *promised;
    }
    let (Some(old), Some(new)) = (membership(before), membership(server)) else { return };
    let mut next = new.clone();
    let is_new = new.number() > old.number();
    let (from, latest) = (new.latest_from(), new.latest().cloned());
    let Some(latest) = latest else { return };
    match rule {
        Rule::GovernsAtOnce if is_new => {
            next.configurations.remove(&from);
            next.configurations.insert(Instance(from.0 + 1 - alpha), latest);
        }
        Rule::GovernsLate if is_new => {
            next.configurations.extend(old.latest().cloned().map(|before| (from, before)));
            next.configurations.insert(from.plus(1), latest);
        }
        Rule::JoinsUnseen if !new.learners.is_empty() => {
            let Some((learner, replaces)) = next.learners.pop_first() else { return };
            let gone: AcceptorSet = replaces.into_iter().collect();
            let members = latest.members.without(gone).with([learner].into_iter().collect());
            let from = server.log.as_ref().map_or(from, |log| Instance(log.next.0 - 1).plus(alpha));
            insert(&mut next, from, latest.number + 1, members);
        }
        Rule::CountsLearners => {
            let learners: AcceptorSet = new.learners.keys().copied().collect();
            for (from, it) in new.configurations.clone() {
                insert(&mut next, from, it.number, it.members.with(learners));
            }
        }
        Rule::CountsRemoved if is_new => {
            let all = old.members().with(latest.members);
            insert(&mut next, from, latest.number, all);
        }
        Rule::ReusesIds => next.used = new.members().with(new.learners.keys().copied().collect()),
        Rule::ChangesInFlight => change_anyway(old, &mut next, server, alpha),
        Rule::TakesAccepted => {
            let Msg::Accept { instance, value, .. } = msg else { return };
            let took = server.acceptor.accepted.get(instance).is_some_and(|it| it.value == *value);
            let Some(members) = removed(value, latest.members).filter(|_| took) else { return };
            insert(&mut next, instance.plus(alpha), latest.number + 1, members);
        }
        Rule::RestoresNoMembers if matches!(msg, Msg::Chunk { .. }) => next = old.clone(),
        Rule::ForgetsAnswers if next.answers != old.answers => {
            next.answers.retain(|caller, answer| old.answers.get(caller) != Some(answer));
        }
        _ => {}
    }
    if next != *new {
        set(server, next);
    }
}

/// After the real handler: a change that was refused because it rests on another configuration is executed all the same.
pub(super) fn ignore_basis(
    rule: Rule,
    before: &ServerState,
    server: &mut ServerState,
    out: &mut Out<Process>,
) {
    let (Rule::IgnoresBasis, Some(old), Some(new)) = (rule, membership(before), membership(server)) else {
        return;
    };
    let refused = |said: &Value| said.as_bytes().starts_with(b"refused: it rests on");
    let is_new = |(caller, answer): &(&Id, &(u64, Value))| {
        refused(&answer.1) && old.answers.get(caller) != Some(answer)
    };
    let Some((client, (number, _))) = new.answers.iter().find(is_new) else { return };
    let call = Call { client: *client, number: *number };
    let entry = |(at, value): (&Instance, &Value)| Some((*at, LogEntry::read(value)?));
    let mut known = server.learner.learned.iter().filter_map(entry);
    let Some((at, logged)) = known.find(|(_, logged)| logged.call == call) else { return };
    let Some(change) = Change::read(&logged.command) else { return };
    let command = Value::from(Change { on: None, ..change }.words().as_str());
    let mut next = new.clone();
    next.answers.remove(&call.client);
    let said = next.execute(at, &LogEntry { call, command });
    set(server, next);
    let mut told = Out::new();
    for command in std::mem::take(out) {
        match command {
            Command::Send(to, Msg::Output { number, output }) if to == call.client && refused(&output) => {
                told.send(to, Msg::Output { number, output: said.clone() });
            }
            Command::Send(to, msg) => told.send(to, msg),
            Command::SetTimer(timer, after) => told.set_timer(timer, after),
            Command::CancelTimer(timer) => told.cancel_timer(timer),
            Command::Save(stable) => told.save(stable),
            Command::ChooseRandom(_, never) => debug_assert!(never.is_empty()),
        }
    }
    *out = told;
}

/// A change that was refused because another one is in flight takes effect all the same.
fn change_anyway(old: &Membership, next: &mut Membership, server: &ServerState, alpha: u64) {
    let answered = next.answers.iter().find(|(caller, answer)| old.answers.get(caller) != Some(answer));
    let Some((call, said)) =
        answered.map(|(client, (number, said))| (Call { client: *client, number: *number }, said.clone()))
    else {
        return;
    };
    let mut known = server.learner.learned.iter();
    let found = known.find(|(_, value)| LogEntry::read(value).is_some_and(|it| it.call == call));
    let (Some((at, value)), Some(latest)) = (found, next.latest().cloned()) else { return };
    if let (true, Some(members)) =
        (said.as_bytes().starts_with(b"refused: an earlier change"), removed(value, latest.members))
    {
        insert(next, at.plus(alpha), latest.number + 1, members);
    }
}

/// Has these members govern from an instance on, if quorums can be made of them.
fn insert(membership: &mut Membership, from: Instance, number: u64, members: AcceptorSet) {
    let configuration = membership.configuration(number, members);
    membership.configurations.extend(configuration.ok().map(|configuration| (from, configuration)));
}

/// The members without the one whose removal a value asks for.
fn removed(value: &Value, members: AcceptorSet) -> Option<AcceptorSet> {
    match Change::read(&LogEntry::read(value)?.command)?.kind {
        ChangeKind::Remove(gone) => Some(members.without([gone].into_iter().collect())),
        _ => None,
    }
}
