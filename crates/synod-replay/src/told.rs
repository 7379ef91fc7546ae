//! A real run of a log in words, as a trace tells the run of a model: what each member took and what it did then, with instance, ballot and
//! commands.
//!
//! A long run has millions of steps. So an instance is named, and only those steps are told that speak of it or of ballots, or ask for the commands
//! in it; or else the last steps of the run.

use crate::member::Happening;
use crate::merge::{Seen, follow};
use crate::records::Records;
use crate::verdict::{Unreadable, Verdict};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::{Command, Id};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use synod::{Ask, Call, Instance, LogEntry, Msg, Process, ProcessState, Value, commands};
use synod_explore::Subject;
use synod_machine::{SessionCommand, SessionOutput, StoreCommand, StoreOutput, decode};
use synod_model::Inside;
use synod_runtime::changes::Changes;
use synod_runtime::node::LOCAL_CLIENT;
use synod_server::{PaxosChanges, Wiring};

/// Steps in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// A line per step, and lines further in for what the member did then.
    pub text: String,
    /// The steps that are told.
    pub steps: usize,
    /// The earlier steps that would have been told, had there been room.
    pub left_out: u64,
    /// What is wrong with the run, which is told up to there; `None` if nothing is.
    pub verdict: Option<Verdict>,
}

/// The steps that are to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Those of this group; without one, those of all.
    pub group: Option<u8>,
    /// Those that speak of this instance; without one, all but heartbeats. Each group has an instance of this number.
    pub instance: Option<Instance>,
}

/// The longest command or message that is told whole, in characters.
const LONGEST: usize = 200;

/// Tells steps of recorded members. Of more than `most` it tells the last.
///
/// # Errors
/// When a record is damaged, or there is no such group. A run that went wrong is told up to there.
pub fn tell(records: &Records, which: Which, most: usize) -> Result<Told, Unreadable> {
    tell_as::<Process, PaxosChanges>(records, Wiring::server, which, most)
}

/// The same of other actors.
///
/// # Errors
/// As [`tell`].
pub fn tell_as<A, C>(
    records: &Records,
    actor: impl Fn(&Wiring, u64) -> A,
    which: Which,
    most: usize,
) -> Result<Told, Unreadable>
where
    A: Subject<Msg = Msg, State: Inside, Timer: Serialize + DeserializeOwned>,
    C: Changes<A::Storage>,
{
    let Which { group, instance } = which;
    let groups = records.lives()?.wiring.groups;
    if let Some(group) = group.filter(|group| usize::from(*group) >= groups) {
        let what = format!("there is no group {group}: they are of groups 0 to {}", groups - 1);
        return Err(Unreadable { file: "records".to_owned(), what });
    }
    let mut teller = Teller {
        group,
        is_divided: groups > 1,
        instance,
        spoken_of: BTreeSet::new(),
        calls: BTreeSet::new(),
        most,
        steps: VecDeque::new(),
        number: 0,
    };
    if instance.is_some() {
        follow::<A, C>(records.lives()?, &actor, &mut |seen| teller.learn(&seen))?;
    }
    let done = follow::<A, C>(records.lives()?, &actor, &mut |seen| teller.add(&seen))?;
    let Teller { steps, number, .. } = teller;
    let (text, left_out) = (steps.iter().map(String::as_str).collect(), number - steps.len() as u64);
    Ok(Told { text, steps: steps.len(), left_out, verdict: done.verdict })
}

struct Teller {
    group: Option<u8>,
    /// True if there are several groups, so that each step names its own.
    is_divided: bool,
    instance: Option<Instance>,
    /// The groups in which there was ever a value in the instance. Of others nothing is told: ballots and starts alone are about any instance.
    spoken_of: BTreeSet<u8>,
    /// The calls whose commands were proposed in the instance, by group: one client has the same numbers in each.
    calls: BTreeSet<(u8, Call)>,
    most: usize,
    steps: VecDeque<String>,
    number: u64,
}

impl Teller {
    /// Takes note of the commands in the instance.
    fn learn<A: Subject<Msg = Msg>>(&mut self, seen: &Seen<'_, A>) {
        // What was sent may have come to nobody.
        let sent = seen.step.outputs.iter().filter_map(|output| match output {
            Command::Send(_, msg) => Some(msg),
            _ => None,
        });
        let messages = sent.chain(seen.step.delivered().map(|(_, msg)| msg));
        for (_, value) in messages.flat_map(values).filter(|(instance, _)| Some(*instance) == self.instance) {
            self.spoken_of.insert(seen.group);
            let read = commands(value).into_iter().filter_map(|command| LogEntry::read(&command));
            self.calls.extend(read.map(|logged| (seen.group, logged.call)));
        }
    }

    fn add<A: Subject<Msg = Msg, State: Inside>>(&mut self, seen: &Seen<'_, A>) {
        let Seen { group, member, step } = seen;
        let of = if self.is_divided { format!(" in group {group}") } else { String::new() };
        let is_spoken_of = self.instance.is_none() || self.spoken_of.contains(group);
        if !is_spoken_of || self.group.is_some_and(|only| only != *group) {
            return;
        }
        let mut did = Vec::new();
        let (before, after) = (step.before.and_then(executed), executed(step.after));
        if let Some((from, to)) = before.zip(after).filter(|(from, to)| from < to) {
            let is_told = self.instance.is_none_or(|it| (from..to).contains(&it.0));
            if is_told {
                did.push(if to == from + 1 {
                    format!("executes instance {from}")
                } else {
                    format!("has executed all below instance {to}, from {from} on")
                });
            }
        }
        // Equal messages to several are one line.
        let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for output in step.outputs {
            if let Command::Send(to, msg) = output
                && self.is_told(*group, msg, *to)
            {
                sent.entry(words(msg)).or_default().push(name(*to));
            }
        }
        did.extend(sent.into_iter().map(|(msg, to)| format!("sends {msg} to {}", to.join(", "))));
        let took = match &step.event {
            Happening::Start if step.first => "starts".to_owned(),
            Happening::Start => "starts again".to_owned(),
            Happening::Deliver(src, msg) if self.is_told(*group, msg, *src) => {
                format!("takes {} from {}", words(msg), name(*src))
            }
            _ if did.is_empty() => return,
            Happening::Deliver(src, msg) => format!("takes {} from {}", words(msg), name(*src)),
            Happening::Timeout(timer) => format!("hears its timer {timer:?}"),
            Happening::Random(key, choice) => format!("draws {choice:?} for {key}"),
        };
        self.number += 1;
        let mut text = format!("{:6}  member {member}{of} {took}\n", self.number);
        for line in did {
            let _ = writeln!(text, "            {line}");
        }
        if self.steps.len() == self.most {
            self.steps.pop_front();
        }
        self.steps.push_back(text);
    }

    /// True if a message to or from somebody is among what is told.
    fn is_told(&self, group: u8, msg: &Msg, other: Id) -> bool {
        let Some(instance) = self.instance else { return !matches!(msg, Msg::Beat(_)) };
        match msg {
            Msg::Ask(Ask::Submit { number, .. }) | Msg::Output { number, .. } => {
                self.calls.contains(&(group, Call { client: other, number: *number }))
            }
            Msg::Prepare { from, .. } => *from <= instance,
            Msg::Promise { rest, .. } => rest.is_none_or(|rest| rest > instance),
            Msg::Nack { .. } => true,
            Msg::Chunk { of, .. } | Msg::Fetch { of, .. } => *of > instance,
            _ => values(msg).iter().any(|(at, _)| *at == instance),
        }
    }
}

/// The first instance that a member has not executed.
fn executed(state: &impl Inside) -> Option<u64> {
    let state: &ProcessState = state.inside();
    Some(state.server()?.log.as_ref()?.next.0)
}

/// The values in a message, with their instances.
fn values(msg: &Msg) -> Vec<(Instance, &Value)> {
    match msg {
        Msg::Accept { instance, value, .. }
        | Msg::Accepted { instance, value, .. }
        | Msg::Chosen { instance, value } => vec![(*instance, value)],
        Msg::Promise { accepted, .. } => accepted.iter().map(|(at, it)| (*at, &it.value)).collect(),
        Msg::CatchUpReply { values, .. } => values.iter().map(|(at, value)| (*at, value)).collect(),
        _ => Vec::new(),
    }
}

fn name(id: Id) -> String {
    let id = usize::from(id) as u64;
    if id < LOCAL_CLIENT { format!("member {id}") } else { format!("client {id:x}") }
}

/// A message in words, with the commands in its values as clients gave them.
fn words(msg: &Msg) -> String {
    let text = match msg {
        Msg::Accept { ballot, instance, value } => {
            format!("Accept(ballot {ballot:?}, instance {}: {})", instance.0, in_words(value))
        }
        Msg::Accepted { ballot, instance, value } => {
            format!("Accepted(ballot {ballot:?}, instance {}: {})", instance.0, in_words(value))
        }
        Msg::Chosen { instance, value } => format!("Chosen(instance {}: {})", instance.0, in_words(value)),
        Msg::Promise { ballot, accepted, rest } => {
            let report = |(at, it): (&Instance, &synod::Proposal)| {
                format!("instance {}: ballot {:?}, {}", at.0, it.ballot, in_words(&it.value))
            };
            let reports: Vec<String> = accepted.iter().map(report).collect();
            let reports = if reports.is_empty() { "nothing".to_owned() } else { reports.join("; ") };
            let rest = rest.map_or_else(String::new, |rest| format!("; more from instance {} on", rest.0));
            format!("Promise(ballot {ballot:?}, accepted {reports}{rest})")
        }
        Msg::Ask(Ask::Submit { number, command }) => {
            format!("Submit({number}: {})", command_in_words(command))
        }
        Msg::Ask(Ask::Query { number, command }) => format!("Query({number}: {})", command_in_words(command)),
        Msg::Output { number, output } => {
            match decode::<Option<SessionOutput<StoreOutput>>>(output.as_bytes()) {
                Ok(Some(output)) => format!("Output({number}: {output:?})"),
                _ => format!("{msg:?}"),
            }
        }
        other => format!("{other:?}"),
    };
    shortened(&text)
}

/// The commands in a value, each with its call.
fn in_words(value: &Value) -> String {
    let command = |value: &Value| match LogEntry::read(value) {
        Some(LogEntry { call: Call { client, number }, command }) => {
            format!("{} asks {number}: {}", name(client), command_in_words(&command))
        }
        None => format!("{value:?}"),
    };
    match commands(value).as_slice() {
        [] => "no-op".to_owned(),
        all => all.iter().map(command).collect::<Vec<_>>().join("; "),
    }
}

fn command_in_words(command: &Value) -> String {
    match decode::<SessionCommand<StoreCommand>>(command.as_bytes()) {
        Ok(SessionCommand::Apply { session, number, command }) => {
            format!("{command:?} (session {session}, {number})")
        }
        Ok(command) => format!("{command:?}"),
        Err(_) => format!("{command:?}"),
    }
}

fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let kept: String = characters.by_ref().take(LONGEST).collect();
    match characters.count() {
        0 => kept,
        more => format!("{kept}… and {more} more characters"),
    }
}
