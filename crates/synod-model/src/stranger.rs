//! A stranger: a sender whose id belongs to no process of the system, and which may say anything to anyone at any time.
//!
//! Its messages are finitely many: every kind of message, with the values and the first instance of the model, a value that nobody asked for,
//! and ballots of every proposer, one of them with a round that no proposer can have come to. All are on their way from the first state on,
//! so a run delivers any of them at any time, or never. A message that is ignored changes no state. So a model with a
//! stranger has as many states as one without, apart from those that its questions make, which a stranger may rightly ask.

use crate::file::{DeliveryFile, ModelError, ModelFile, StrangerFile};
use crate::judge::Judge;
use crate::log_file::Before;
use stateright::actor::{Envelope, Id};
use synod::{
    Ask, Asking, Ballot, Beat, Client, Cluster, Instance, Msg, PerInstance, Process, Proposal, Value, Want,
};

/// The value that nobody asks for.
const FORGED: &str = "forged";

/// Rounds that a proposer may have come to in a small model, and one that none can have come to.
const ROUNDS: [u64; 3] = [1, 2, Ballot::ROUNDS];

/// True if there is one.
pub(crate) fn is_there(file: &ModelFile) -> bool {
    file.faults.as_ref().is_some_and(|faults| faults.stranger.is_some())
}

/// It stands last among the processes, and is down: what it says is on its way from the first state on.
pub(crate) fn process() -> Process {
    Process::Client(Client {
        number: 1,
        instance: Instance::FIRST,
        want: Want::Read,
        asks: Vec::new(),
        heeds: Vec::new(),
        asking: Asking::Everyone,
        pause: None,
        resend: None,
    })
}

/// Lets a stranger with this id say all that it may.
pub(crate) fn admit(
    judge: &Judge<'_>,
    file: &ModelFile,
    cluster: &Cluster,
    stranger: Id,
    before: &mut Before,
) -> Result<(), ModelError> {
    let Some(given) = file.faults.as_ref().and_then(|faults| faults.stranger.as_ref()) else { return Ok(()) };
    if file.network.delivery == DeliveryFile::Ordered {
        let why = "what it says first would have to be heard first; set delivery to \"set\" or \"multiset\" in [network]";
        return judge.error(given.span(), format!("stranger: {why}"));
    }
    let asked: Vec<Value> =
        file.system.values.get_ref().iter().map(|value| Value::from(value.as_str())).collect();
    let mut said = statements(cluster, &asked);
    if *given.get_ref() == StrangerFile::Any {
        said.extend(questions(&asked).map(Msg::from));
    }
    for dst in (0..usize::from(stranger)).map(Id::from) {
        before.told.extend(said.iter().map(|msg| Envelope { src: stranger, dst, msg: msg.clone() }));
    }
    Ok(())
}

/// The messages that only members may send.
fn statements(cluster: &Cluster, asked: &[Value]) -> Vec<Msg> {
    let instance = Instance::FIRST;
    let numbers = cluster.proposers.iter().map(|(_, number)| *number);
    let ballots: Vec<Ballot> =
        numbers.flat_map(|proposer| ROUNDS.map(|round| Ballot { round, proposer })).collect();
    let forged = Value::from(FORGED);
    let values: Vec<Value> = asked.iter().cloned().chain([forged.clone()]).collect();
    let mut said = vec![
        Msg::Unset { instance },
        Msg::CatchUp { from: instance },
        Msg::Fetch { of: Instance(1), sum: 1, at: 0 },
        Msg::Checksum { below: Instance(1), sum: 1 },
        Msg::Give { since: instance, heir: Id::from(0) },
        Msg::Yield { token: instance },
        Msg::Chunk { of: Instance(1), sum: 1, length: 1, at: 0, bytes: Value::from("s") },
        Msg::Beat(Beat::Heartbeat { backed: true }),
        Msg::Beat(Beat::Follow),
        Msg::Beat(Beat::Cede(Id::from(0))),
    ];
    said.extend(cluster.learners.iter().map(|id| Msg::Redirect { leader: *id }));
    for value in values {
        said.push(Msg::Chosen { instance, value: value.clone() });
        said.push(Msg::Response { instance, value: value.clone() });
        said.push(Msg::Output { number: 1, output: value.clone() });
        let known: PerInstance<Value> = [(instance, value.clone())].into_iter().collect();
        said.push(Msg::CatchUpReply { values: known, next: Instance(1) });
        for ballot in &ballots {
            let (ballot, value) = (*ballot, value.clone());
            said.push(Msg::Accept { ballot, instance, value: value.clone() });
            said.push(Msg::Accepted { ballot, instance, value });
        }
    }
    for ballot in &ballots {
        let (ballot, round) = (*ballot, 1);
        said.push(Msg::Prepare { ballot, from: instance });
        said.push(Msg::Confirm { ballot, round });
        said.push(Msg::Confirmed { ballot, round });
        said.push(Msg::Promise { ballot, accepted: PerInstance::new(), rest: None });
        for other in &ballots {
            said.push(Msg::Nack { ballot, promised: *other });
            let proposal = Proposal { ballot: *other, value: forged.clone() };
            let accepted = [(instance, proposal)].into_iter().collect();
            said.push(Msg::Promise { ballot, accepted, rest: None });
        }
    }
    said
}

/// The questions that anybody may ask. A stranger asks a log only for what a log does not keep.
fn questions(asked: &[Value]) -> impl Iterator<Item = Ask> {
    let instance = Instance::FIRST;
    let each = asked.iter().cloned().map(move |value| Ask::Request { instance, value });
    each.chain([Ask::Read { instance }])
}
