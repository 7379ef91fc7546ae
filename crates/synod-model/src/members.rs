//! The members of every instance, as the history knows them: by what is chosen, whatever a server takes them for.

use crate::history::{Evidence, Happened, History};
use crate::walk::is_of_a_peer;
use synod::{
    AcceptorSet, Instance, Log, LogEntry, Msg, Phase, ProcessState, Quorums, ServerState, Value, Votes,
};
use synod_explore::{Step, Subject, Trigger};

/// What a step means to the members of its instance.
pub(crate) fn evidence(history: &History, quorums: &Quorums, happened: &Happened) -> Option<Evidence> {
    let walk = history.members.as_ref()?;
    match happened {
        Happened::Counted { instance, by, decides } => {
            let (instance, by, members) = (*instance, *by, walk.known(*instance));
            let chooses = history.quorums_at(quorums, instance).is_phase2(by);
            Some(Evidence::Counted { instance, by, members, falls_short: *decides && !chooses })
        }
        Happened::Heeded { next, acceptor } => {
            let (next, acceptor, members) = (*next, *acceptor, walk.in_force(*next));
            Some(Evidence::Heeded { next, acceptor, members })
        }
        Happened::Issued { instance, quorum, value, .. } => {
            let (instance, members) = (*instance, walk.known(*instance));
            let is_met = members.is_some() && history.quorums_at(quorums, instance).is_met_by(*quorum);
            let (value, quorum) = (value.clone(), *quorum);
            Some(Evidence::Rests { instance, value, quorum, members, is_met })
        }
        Happened::Changed((caller, number), said) => {
            let outcome = walk.heard.get(caller).filter(|(last, _)| last >= number);
            let is_said = |words: &str| said.as_bytes().starts_with(words.as_bytes());
            // This says that a server knows nothing of it.
            let is_open = is_said("unknown");
            let is_judged = !is_open && outcome.is_none_or(|(last, _)| last == number);
            let has_effect = outcome.map(|(_, has_effect)| *has_effect);
            is_judged.then(|| Evidence::ToldOfChange {
                call: (*caller, *number),
                said: said.clone(),
                has_effect,
            })
        }
        Happened::MayGo(number) => {
            let (from, quorums) = walk.sets.get(*number as usize)?;
            let members = quorums.everyone();
            let saved =
                members.iter().filter(|id| walk.saved.get(id).is_some_and(|below| below >= from)).collect();
            let is_enough = quorums.is_phase2(saved);
            Some(Evidence::MayGo { from: *from, members, saved, is_enough })
        }
        _ => None,
    }
}

/// The commands in a value that the machine beside the members executes.
pub(crate) fn without_changes(log: &Log, value: &Value) -> Vec<Value> {
    let mut commands = synod::commands(value);
    if let Some(members) = &log.members {
        let is_change = |logged: LogEntry| {
            let words = String::from_utf8_lossy(logged.command.as_bytes()).into_owned();
            members.is_operator(logged.call.client) || is_of_a_peer(&words.split(' ').collect::<Vec<_>>())
        };
        commands.retain(|command| !LogEntry::read(command).is_some_and(is_change));
    }
    commands
}

/// What a step shows of members, where they change.
pub(crate) fn noted<A>(
    step: &Step<'_, A>,
    before: Option<&ProcessState>,
    after: Option<&ProcessState>,
) -> Vec<Happened>
where
    A: Subject<Msg = Msg>,
{
    let (Some(before), Some(after)) =
        (before.and_then(ProcessState::server), after.and_then(ProcessState::server))
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    found.extend(counted(step, before, after));
    found.extend(counted_later(step, before, after));
    found.extend(heeded(step, before, after));
    let saved = |server: &ServerState| Some(server.log.as_ref()?.snapshots.as_ref()?.saved.as_ref()?.next);
    found.extend(
        saved(after)
            .filter(|_| saved(after) > saved(before))
            .map(|below| Happened::Saved(step.actor.into(), below)),
    );
    let may_go = |server: &ServerState| {
        let membership = server.log.as_ref()?.replica.membership()?;
        Some(membership.number()).filter(|number| *number > 0 && membership.may_go())
    };
    found.extend(may_go(after).filter(|_| may_go(after) != may_go(before)).map(Happened::MayGo));
    let leads = |server: &ServerState| matches!(server.proposer.phase, Phase::Accepting { .. });
    let governed = after.log.as_ref().and_then(|log| {
        let membership = log.replica.membership()?;
        Some(membership.governing(log.next)?.members.contains(usize::from(step.actor)))
    });
    if leads(before) && after.proposer.phase == Phase::Idle && governed == Some(false) {
        found.push(Happened::SteppedDown);
    }
    let is_pushed =
        !matches!(step.trigger, Trigger::Timeout(..) | Trigger::Deliver { msg: Msg::Nack { .. }, .. });
    if leads(before) && matches!(after.proposer.phase, Phase::Preparing { .. }) && is_pushed {
        found.push(Happened::AskedAgain);
    }
    found
}

/// The acceptance that a server counts in this step, with those that it had counted.
fn counted<A>(step: &Step<'_, A>, before: &ServerState, after: &ServerState) -> Option<Happened>
where
    A: Subject<Msg = Msg>,
{
    let Trigger::Deliver { src, msg: Msg::Accepted { ballot, instance, .. } } = &step.trigger else {
        return None;
    };
    let by_proposer = |server: &ServerState| match &server.proposer.phase {
        Phase::Accepting { ballot: current, accepted, .. } if current == ballot => {
            accepted.get(instance).copied().unwrap_or_default()
        }
        _ => AcceptorSet::EMPTY,
    };
    let by_learner = |server: &ServerState| {
        let votes = server.learner.votes.get(instance);
        votes.and_then(|votes| votes.get(ballot)).map(|(by, _)| *by).unwrap_or_default()
    };
    let knows = |server: &ServerState| server.learner.learned.contains_key(instance);
    let decides = knows(after) && !knows(before);
    let had = by_proposer(before).with(by_learner(before));
    let has = by_proposer(after).with(by_learner(after));
    let by = has.with(had).with([usize::from(*src)].into_iter().collect());
    // What is kept until the members are known is not counted yet.
    let is_kept = after.log.as_ref().is_some_and(|log| {
        log.replica.membership().is_some_and(|membership| !membership.knows(log.next, *instance))
    });
    let is_new = has.contains(usize::from(*src)) && !had.contains(usize::from(*src));
    (decides || is_new && !is_kept).then_some(Happened::Counted { instance: *instance, by, decides })
}

/// The promise or the confirmation that a server counts in this step.
fn heeded<A>(step: &Step<'_, A>, before: &ServerState, after: &ServerState) -> Option<Happened>
where
    A: Subject<Msg = Msg>,
{
    let Trigger::Deliver { src, msg } = &step.trigger else { return None };
    let next = before.log.as_ref()?.next;
    let acceptor = usize::from(*src);
    let is_counted = match msg {
        Msg::Promise { ballot, .. } => {
            let promised = |server: &ServerState| match &server.proposer.phase {
                Phase::Preparing { ballot: current, promised, .. } if current == ballot => Some(*promised),
                Phase::Accepting { ballot: current, quorum, .. } if current == ballot => Some(*quorum),
                _ => None,
            };
            let has = |server| promised(server).is_some_and(|promised| promised.contains(acceptor));
            has(after) && !has(before)
        }
        Msg::Confirmed { round, .. } => {
            let questions = |server: &'_ ServerState| server.log.as_ref().map(|log| log.questions.clone());
            let (was, is) = (questions(before)?, questions(after)?);
            was.round == *round && !was.confirmed.contains(acceptor) && was != is
        }
        _ => false,
    };
    is_counted.then_some(Happened::Heeded { next, acceptor })
}

/// What a server learns in this step from acceptances that it had kept.
fn counted_later<A>(step: &Step<'_, A>, before: &ServerState, after: &ServerState) -> Vec<Happened>
where
    A: Subject<Msg = Msg>,
{
    let told = |at: &Instance| match &step.trigger {
        Trigger::Deliver { msg: Msg::Accepted { instance, .. } | Msg::Chosen { instance, .. }, .. } => {
            instance == at
        }
        Trigger::Deliver { msg: Msg::CatchUpReply { values, .. }, .. } => values.contains_key(at),
        _ => false,
    };
    let kept = before.learner.votes.iter().filter(|(at, _)| !told(at));
    let decided = |(at, votes): (&Instance, &Votes)| {
        let value = after.learner.learned.get(at)?;
        let by = votes.values().filter(|(_, voted)| voted == value);
        let by = by.fold(AcceptorSet::EMPTY, |all, (by, _)| all.with(*by));
        Some(Happened::Counted { instance: *at, by, decides: true })
    };
    kept.filter_map(decided).collect()
}
