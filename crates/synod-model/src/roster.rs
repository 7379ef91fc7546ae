//! The processes of a model: its quorums, the numbers of its proposers, and the processes that a list names.

use crate::file::{Layout, ModelError, ModelFile, RetryFile, RuleFile};
use crate::judge::Judge;
use crate::log_file;
use stateright::actor::Id;
use std::sync::Arc;
use std::time::Duration;
use synod::{
    AcceptorSet, Asking, Client, Cluster, Process, QuorumError, QuorumRule, Quorums, Retry, Value, Want,
};
use toml::Spanned;

/// The quorum system, or why it is refused.
pub(crate) fn quorums(judge: &Judge<'_>, file: &ModelFile, acceptors: usize) -> Result<Quorums, ModelError> {
    let Some(given) = &file.quorums else {
        return Ok(
            Quorums::new(acceptors, QuorumRule::Majority, QuorumRule::Majority).expect("majorities meet")
        );
    };
    let rule = |rule: &Spanned<RuleFile>| match rule.get_ref() {
        RuleFile::Majority => QuorumRule::Majority,
        RuleFile::AtLeast(count) => QuorumRule::AtLeast(*count),
        RuleFile::Fraction(part, whole) => QuorumRule::Fraction(*part, *whole),
        RuleFile::Weighted { weights, at_least } => QuorumRule::Weight(weights.clone(), *at_least),
        RuleFile::Row { columns } => QuorumRule::Row(*columns),
        RuleFile::Column { columns } => QuorumRule::Column(*columns),
        RuleFile::RowAndColumn { columns } => QuorumRule::RowAndColumn(*columns),
        RuleFile::Listed(sets) => {
            let set = |set: &Vec<usize>| set.iter().map(|a| a - 1).collect::<AcceptorSet>();
            QuorumRule::Listed(sets.iter().map(set).collect())
        }
    };
    let place = [&given.both, &given.phase1, &given.phase2].into_iter().flatten().next().map(Spanned::span);
    let place = place.unwrap_or_default();
    for rule in [&given.both, &given.phase1, &given.phase2].into_iter().flatten() {
        let RuleFile::Listed(sets) = rule.get_ref() else { continue };
        if let Some(wrong) = sets.iter().flatten().find(|a| !(1..=acceptors).contains(*a)) {
            let message =
                format!("listed: there is no acceptor {wrong}; they are numbered from 1 to {acceptors}");
            return judge.error(rule.span(), message);
        }
    }
    let (phase1, phase2) = match (&given.both, &given.phase1, &given.phase2) {
        (Some(both), None, None) => (rule(both), rule(both)),
        (None, Some(phase1), Some(phase2)) => (rule(phase1), rule(phase2)),
        _ => return judge.error(place, "[quorums] needs either `both`, or `phase1` and `phase2`"),
    };
    let made = if given.forced { Quorums::forced } else { Quorums::new };
    made(acceptors, phase1, phase2).or_else(|error| {
        let advice = match error {
            QuorumError::Disjoint { .. } => "; set `forced = true` to see what breaks",
            _ => "",
        };
        judge.error(place, format!("{error}{advice}"))
    })
}

/// The number that each proposer's ballots carry.
pub(crate) fn numbers(judge: &Judge<'_>, file: &ModelFile, proposers: usize) -> Result<Vec<u16>, ModelError> {
    match &file.system.numbers {
        None => Ok((1..=proposers as u16).collect()),
        Some(given) if given.get_ref().len() == proposers => Ok(given.get_ref().clone()),
        Some(given) => {
            let message = format!("numbers: {proposers} proposers need as many numbers");
            judge.error(given.span(), message)
        }
    }
}

/// One process a role and one a client, in the order of their ids.
pub(crate) fn processes(
    judge: &Judge<'_>,
    file: &ModelFile,
    cluster: &Arc<Cluster>,
    names: &[String],
    proposers: &[Id],
    learners: usize,
) -> Result<Vec<Process>, ModelError> {
    let system = &file.system;
    let numbers: Vec<u16> = cluster.proposers.iter().map(|(_, number)| *number).collect();
    // Durations mean nothing to a model: its timers ring at any moment.
    let any = || Duration::ZERO..Duration::ZERO;
    let retry = match system.retry {
        RetryFile::Never => Retry::default(),
        RetryFile::OnNack => Retry { on_nack: true, after: None, ..Retry::default() },
        RetryFile::OnTimeout => Retry { on_nack: false, after: Some(any()), ..Retry::default() },
        RetryFile::OnEither => Retry { on_nack: true, after: Some(any()), ..Retry::default() },
    };
    let lists = |what: &str, given: &Spanned<Vec<Vec<String>>>| {
        let id = |name: &String| {
            let index = names.iter().position(|known| known == name).map(Id::from);
            match index.filter(|id| proposers.contains(id)) {
                Some(id) => Ok(id),
                None => judge.error(given.span(), format!("{what}: no proposer is named {name:?}")),
            }
        };
        let lists = given.get_ref().iter().map(|list| list.iter().map(id).collect::<Result<_, _>>());
        lists.collect::<Result<Vec<Vec<Id>>, _>>()
    };
    let asks: Vec<Vec<Id>> = match &system.asks {
        None => (0..system.values.get_ref().len()).map(|i| vec![proposers[i % proposers.len()]]).collect(),
        Some(given) => {
            let asks = lists("asks", given)?;
            if asks.len() != system.values.get_ref().len() {
                return judge.error(given.span(), "asks: needs one list of names for each value");
            }
            asks
        }
    };
    let readers = system.readers.as_ref().map_or(Ok(Vec::new()), |given| lists("readers", given))?;
    let mut processes = Vec::new();
    if system.layout == Layout::Separate {
        processes.extend(cluster.acceptors.iter().map(|_| Process::Acceptor(Arc::clone(cluster))));
        processes.extend(numbers.iter().map(|number| Process::Proposer {
            cluster: Arc::clone(cluster),
            number: *number,
            retry: retry.clone(),
        }));
        processes.extend((0..learners).map(|_| Process::Learner(Arc::clone(cluster))));
    } else {
        processes.extend(numbers.iter().map(|number| Process::Server {
            cluster: Arc::clone(cluster),
            number: *number,
            retry: retry.clone(),
        }));
    }
    let logs = file.log.is_some();
    let wants = system.values.get_ref().iter().map(|value| {
        let value = Value::from(value.as_str());
        if logs { Want::Submit(value) } else { Want::Write(value) }
    });
    // Questions are told apart by their words, as commands are.
    let read = |place: usize| if logs { Want::Query(log_file::question(file, place)) } else { Want::Read };
    let readers = readers.into_iter().enumerate().map(|(place, asks)| (read(place), asks));
    let questions: Vec<_> = wants.zip(asks).chain(readers).collect();
    let instances = judge.instances(file, questions.len())?;
    processes.extend(questions.into_iter().zip(instances).map(|((want, asks), instance)| {
        let asking = Asking::Everyone;
        let resend = system.resend.then(any);
        let heeds = cluster.learners.clone();
        Process::Client(Client { number: 1, instance, want, asks, heeds, asking, pause: None, resend })
    }));
    Ok(processes)
}

/// Which processes a list names.
pub(crate) fn listed(
    judge: &Judge<'_>,
    what: &str,
    given: Option<&Spanned<Vec<String>>>,
    names: &[String],
) -> Result<Vec<bool>, ModelError> {
    let mut listed = vec![false; names.len()];
    let Some(given) = given else { return Ok(listed) };
    for wanted in given.get_ref() {
        let letter = match wanted.as_str() {
            "acceptors" => Some('A'),
            "proposers" => Some('P'),
            "learners" => Some('L'),
            "servers" => Some('S'),
            _ => None,
        };
        let mut found = false;
        for (index, name) in names.iter().enumerate() {
            if name == wanted || letter.is_some_and(|letter| name.starts_with(letter)) {
                listed[index] = true;
                found = true;
            }
        }
        if !found {
            return judge.error(given.span(), format!("{what}: there is no {wanted:?} in this system"));
        }
    }
    Ok(listed)
}
