//! The log of a model file: the window, the machine, and the past of the first state.

use crate::file::{BeforeFile, Layout, LogFile, ModelError, ModelFile, TruncateFile};
use crate::history::{Happened, History};
use crate::judge::Judge;
use crate::ledger::{Ledger, Otherwise};
use crate::mutants::Rule;
use crate::sequential::{Sequential, Told};
use crate::spoken;
use crate::walk::Walk;
use stateright::actor::{Envelope, Id};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    AcceptorSet, AcceptorState, Ask, Ballot, Call, Change, Cluster, Instance, Log, LogEntry, Machine,
    Members, Msg, PerInstance, Process, Proposal, Stable, Truncate, Value,
};
use synod_machine::{Bank, Kv, Locks};
use toml::Spanned;

/// The most instances that may have been before.
const MOST: u64 = 10_000;

/// The past of the first state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// The history.
    pub(crate) history: History,
    /// The saved state of each process.
    pub(crate) saved: Vec<Option<Stable>>,
    /// The messages on their way.
    pub(crate) told: Vec<Envelope<Msg>>,
}

/// The log of the servers, if the file says that they keep one.
pub(crate) fn log(judge: &Judge<'_>, file: &ModelFile) -> Result<Option<Log>, ModelError> {
    let Some(given) = &file.log else { return Ok(None) };
    let log = given.get_ref();
    let system = &file.system;
    if system.layout != Layout::CoLocated {
        return judge.error(given.span(), "log: only servers keep one, in the co-located layout");
    }
    if log.alpha == 0 {
        let place = judge.place(&["log", "alpha"]);
        return judge.error(place, "alpha = 0: nothing could ever be proposed; it must be 1 or more");
    }
    if log.batch == 0 {
        let place = judge.place(&["log", "batch"]);
        return judge.error(place, "batch = 0: nothing could ever be proposed; it must be 1 or more");
    }
    let is_nothing = |given: &TruncateFile| given.every == 0 || given.part == Some(0) || given.ahead == 0;
    if log.truncate.as_ref().is_some_and(is_nothing) {
        let place = judge.place(&["log", "truncate"]);
        return judge.error(place, "truncate: `every`, `part` and `ahead` must be 1 or more");
    }
    if system.responses {
        return judge.error(given.span(), "responses: whoever keeps a log answers clients when it executes");
    }
    if let Some(empty) = system.values.get_ref().iter().find(|value| value.is_empty()) {
        return judge.error(
            system.values.span(),
            format!("values: {empty:?} is the no-op, which no client asks for"),
        );
    }
    let question = log.question.as_ref().map(|question| Value::from(question.as_str()));
    let words = system.values.get_ref().iter().map(|value| Value::from(value.as_str()));
    let asked = question.iter().map(|question| (["log", "question"], question.clone()));
    let operators = operators(judge, file, log)?;
    let changes = operators.len();
    let words = words.take(system.values.get_ref().len() - changes);
    let mut words = words.map(|command| (["system", "values"], command)).chain(asked);
    if let Some((place, unheard)) = words.find(|(_, command)| !log.machine.hears(command)) {
        let unheard = String::from_utf8_lossy(unheard.as_bytes()).into_owned();
        let message =
            format!("{}: the machine does not understand {unheard:?}; {}", place[1], log.machine.speech());
        return judge.error(judge.place(&place), message);
    }
    if log.machine != Sequential::Register && log.question.is_none() && system.readers.is_some() {
        let what = format!(
            "readers: what they ask is missing; add question = \"...\" in [log]: {}",
            log.machine.speech()
        );
        return judge.error(judge.place(&["system", "readers"]), what);
    }
    if log.question.is_some() && system.readers.is_none() {
        let what = "question: nobody asks it; say who does with readers in [system], or leave it out";
        return judge.error(judge.place(&["log", "question"]), what);
    }
    let machine = machine(file, log, false);
    if let Some(given) =
        log.question.as_ref().filter(|given| machine.query(&Value::from(given.as_str())).is_none())
    {
        let what =
            format!("question: {given:?} cannot be answered without the log; {}", log.machine.speech());
        return judge.error(judge.place(&["log", "question"]), what);
    }
    let any = || Duration::ZERO..Duration::ZERO;
    Ok(Some(Log {
        alpha: log.alpha,
        batch: log.batch,
        machine,
        hold_off: log.hold_off.then(any),
        catch_up: log.catch_up.then(any),
        truncate: log.truncate.as_ref().map(|given| Truncate {
            every: given.every,
            every_bytes: given.bytes.unwrap_or(u64::MAX),
            spare: given.spare,
            spare_bytes: u64::MAX,
            chunk: given.part.unwrap_or(usize::MAX),
            ahead: given.ahead,
            most: u64::MAX,
        }),
        master: None,
        members: log.members.map(|given| Members {
            operators,
            lag: given.lag,
            directory: None,
            relays: given.relays,
        }),
    }))
}

/// The ids of the operators: of the clients that ask for changes of members.
fn operators(judge: &Judge<'_>, file: &ModelFile, log: &LogFile) -> Result<Range<usize>, ModelError> {
    let (values, servers) = (&file.system.values, *file.system.acceptors.get_ref() as usize);
    let end = servers + values.get_ref().len();
    let Some(given) = &log.members else { return Ok(end..end) };
    let place = judge.place(&["log", "members"]);
    if given.first == 0 || given.first > servers {
        return judge.error(place, format!("members: the first are 1 to {servers} servers"));
    }
    let refused = [
        (log.machine != Sequential::Register, "members: only beside a register so far; leave machine out"),
        (log.before.is_some(), "members: not together with a past of the first state"),
        (file.reduce.symmetry.is_some(), "members: not together with symmetry"),
        (file.system.numbers.is_some(), "members: ballots carry the numbers 1, 2 and so on"),
    ];
    if let Some((_, why)) = refused.into_iter().find(|(is_refused, _)| *is_refused) {
        return judge.error(place, why);
    }
    let is_change = |value: &String| Change::read(&Value::from(value.as_str())).is_some();
    let first = values.get_ref().iter().position(is_change).unwrap_or(values.get_ref().len());
    if !values.get_ref()[first..].iter().all(is_change) {
        return judge.error(values.span(), "values: changes of members stand last");
    }
    Ok(servers + first..end)
}

/// The machine that a file names, which may forget who was told what.
fn machine(file: &ModelFile, log: &LogFile, forgets_sessions: bool) -> Arc<dyn Machine> {
    let clients = file.system.values.get_ref().len();
    match log.machine {
        Sequential::Register => Arc::new(Ledger { forgets_sessions, ..Ledger::default() }),
        Sequential::Bank => spoken::with_sessions::<Bank>(clients, forgets_sessions),
        Sequential::Kv => spoken::with_sessions::<Kv>(clients, forgets_sessions),
        Sequential::Lock => spoken::with_sessions::<Locks>(clients, forgets_sessions),
    }
}

/// The question of a reader; of a register, told apart from others by its place.
pub(crate) fn question(file: &ModelFile, place: usize) -> Value {
    let given = file.log.as_ref().and_then(|log| log.get_ref().question.as_ref());
    given.map_or_else(
        || Value::from(format!("get{}", place + 1).as_bytes()),
        |given| Value::from(given.as_str()),
    )
}

/// Clients that hang up: they are down from the first state on, and have asked before.
pub(crate) fn hang_up(processes: &[Process], before: &mut Before, down: &mut [bool]) {
    for (index, process) in processes.iter().enumerate() {
        let Process::Client(client) = process else { continue };
        down[index] = true;
        let ask = client.question();
        if let Ask::Submit { number, command } = &ask {
            let call = Call { client: Id::from(index), number: *number };
            before.history.submitted.insert(LogEntry { call, command: command.clone() }.value());
        }
        let (src, msg) = (Id::from(index), Msg::from(ask));
        before.told.extend(client.asks.iter().map(|dst| Envelope { src, dst: *dst, msg: msg.clone() }));
    }
}

/// A process as a mutant makes it, where what is broken is what it is made with.
pub(crate) fn doctored(process: &Process, rule: Rule, file: &ModelFile) -> Process {
    let mut process = process.clone();
    if let Process::Server { cluster, number, .. } = &mut process
        && let (Some(log), Some(given)) = (&cluster.log, &file.log)
    {
        let mut log = rule.doctor_log_of(log);
        if rule == Rule::ForgetsSessions {
            log.machine = machine(file, given.get_ref(), true);
        }
        if rule == Rule::ExecutesOtherwise && *number == 1 {
            log.machine = Arc::new(Otherwise(log.machine.copy()));
        }
        if let Some(members) = &mut log.members
            && given.get_ref().members.is_some_and(|given| given.directories)
        {
            members.directory = Some(u64::from(*number));
        }
        let log = Some(log);
        *cluster = Arc::new(Cluster { log, ..Cluster::clone(cluster) });
    }
    process
}

/// The past of the first state, as the file says.
pub(crate) fn before(
    judge: &Judge<'_>,
    file: &ModelFile,
    cluster: &Cluster,
    names: &[String],
) -> Result<Before, ModelError> {
    let Some(log) = &file.log else { return Ok(Before::default()) };
    let machine = log.get_ref().machine;
    let told = (machine != Sequential::Register).then(|| Told::new(machine));
    let history = History { told, members: Walk::first(cluster), ..History::default() };
    let mut before = Before { history, ..Before::default() };
    let Some(given) = &log.get_ref().before else { return Ok(before) };
    let BeforeFile { chosen, accepted, told } = given;
    let index = |name: &String, place: std::ops::Range<usize>| {
        let index = names.iter().position(|known| known == name).map(Id::from);
        match index.and_then(|id| cluster.acceptors.iter().position(|acceptor| *acceptor == id)) {
            Some(index) => Ok(index),
            None => judge.error(place, format!("before: no server is named {name:?}")),
        }
    };
    let everyone = 0..cluster.acceptors.len();
    let all_chosen = instances(judge, chosen)?;
    let mut votes: Vec<(Instance, AcceptorSet)> = Vec::new();
    votes.extend(all_chosen.iter().map(|instance| (*instance, everyone.clone().collect())));
    for (name, given) in accepted {
        let by = index(name, given.span())?;
        for instance in instances(judge, given)? {
            if all_chosen.contains(&instance) {
                return judge.error(given.span(), format!("before: {instance:?} is chosen anyway"));
            }
            votes.push((instance, [by].into_iter().collect()));
        }
    }
    let ballot = Ballot { round: 1, proposer: 1 };
    // The call of a client that is not among the processes any more.
    let value = |Instance(at): Instance| {
        let call = Call { client: Id::from(names.len()), number: at };
        LogEntry { call, command: Value::from(format!("c{at}").as_str()) }.value()
    };
    let mut stable = vec![Stable::default(); cluster.acceptors.len()];
    let record = |history: &mut History, happened| history.record(&cluster.quorums, &happened);
    record(&mut before.history, Happened::Begun(ballot));
    for acceptor in everyone.clone() {
        record(&mut before.history, Happened::Answered(acceptor, ballot));
        let AcceptorState { promised, .. } = &mut stable[acceptor].acceptor;
        *promised = Some(ballot);
    }
    for (instance, by) in &votes {
        let (instance, value, quorum) = (*instance, value(*instance), everyone.clone().collect());
        before.history.submitted.insert(value.clone());
        let issued =
            Happened::Issued { instance, ballot, value: value.clone(), quorum, reported: false, own: true };
        record(&mut before.history, issued);
        for acceptor in by.iter() {
            record(&mut before.history, Happened::Voted(acceptor, instance, ballot, value.clone()));
            let state = &mut stable[acceptor].acceptor;
            state.accepted_in = Some(ballot);
            state.accepted.insert(instance, Proposal { ballot, value: value.clone() });
        }
    }
    stable[0].tried = ballot.round;
    before.saved = stable.into_iter().map(Some).collect();
    let values: PerInstance<Value> = all_chosen.iter().map(|i| (*i, value(*i))).collect();
    let next = (0..=MOST).map(Instance).find(|i| !all_chosen.contains(i)).unwrap_or(Instance::FIRST);
    for (from, to) in told.get_ref() {
        let (src, dst) = (index(from, told.span())?, index(to, told.span())?);
        let (src, dst) = (cluster.acceptors[src], cluster.acceptors[dst]);
        before.told.push(Envelope { src, dst, msg: Msg::CatchUpReply { values: values.clone(), next } });
    }
    Ok(before)
}

/// Instances, written as numbers and ranges of them.
fn instances(judge: &Judge<'_>, given: &Spanned<String>) -> Result<BTreeSet<Instance>, ModelError> {
    let mut found = BTreeSet::new();
    for word in given.get_ref().split_whitespace() {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last && last <= MOST => {
                found.extend((first..=last).map(Instance));
            }
            _ => {
                let message = format!(
                    "before: {word:?} is no instance and no range of them, at most {MOST}; write `0-134 138`"
                );
                return judge.error(given.span(), message);
            }
        }
    }
    Ok(found)
}
