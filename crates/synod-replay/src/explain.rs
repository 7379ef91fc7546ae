//! Turns a run in which a claim fell into a model and a shortest-possible trace of it, to be opened in the Explorer.
//!
//! The records are replayed once more; what concerns the instance in question becomes a schedule for a model of the
//! same cluster with that one instance. The schedule is followed leniently and shrunk, so the result is a run of the model that can be
//! checked, shown and turned into a test like any other, or nothing, if the model does not fail by it.

use crate::member::Happening;
use crate::merge::{Seen, follow};
use crate::records::{Lives, Records};
use crate::verdict::Violation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use synod::{Ask, Instance, Msg, PerInstance, Process, Proposal, Value};
use synod_explore::trace::TraceText;
use synod_explore::walk;
use synod_explore::{Action, Subject, System};
use synod_model::mutants::Decorated;
use synod_model::{Built, Ghost, Inside, Model};
use synod_runtime::changes::Changes;
use synod_runtime::node::LOCAL_CLIENT;
use synod_server::Wiring;

/// Actors of which there are models.
pub trait Replayable: Subject<Msg = Msg, State: Inside, Timer: Serialize + DeserializeOwned> {
    /// The model's line that asks for this kind of actor; empty for the real one.
    fn mutant(mutant: Option<&str>) -> String {
        mutant.map(|name| format!("mutant = {name:?}\n")).unwrap_or_default()
    }

    /// The model's system, if it is of this kind.
    fn system(built: Built) -> Option<System<Self, Ghost>>;
}

impl Replayable for Process {
    fn system(built: Built) -> Option<System<Self, Ghost>> {
        match built {
            Built::Plain(system) => Some(system),
            _ => None,
        }
    }
}

impl Replayable for Decorated {
    fn system(built: Built) -> Option<System<Self, Ghost>> {
        match built {
            Built::Decorated(system) => Some(system),
            _ => None,
        }
    }
}

/// A model and a trace of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The text of the model file.
    pub model: String,
    /// The text of the trace.
    pub trace: String,
    /// Its steps.
    pub steps: usize,
}

/// A stretch of the run, in the model's terms.
struct Schedule<A: Subject> {
    members: Vec<u64>,
    group: u8,
    instance: Instance,
    claim: Option<&'static str>,
    /// The values asked for, and whom they were first asked of.
    values: Vec<(Value, usize)>,
    /// Clients that read.
    readers: Vec<u64>,
    actions: Vec<Action<A>>,
    starts: BTreeMap<u64, usize>,
}

/// Stands for the first reader until it is known how many clients want a value.
const FIRST_READER: usize = 1 << 32;
/// So many clients that read are told apart; more share their places.
const MOST_READERS: usize = 8;
/// The longest schedule that is tried; beyond it shrinking would take hours.
const MOST_ACTIONS: usize = 20_000;
/// The longest run that is shown whole; nobody looks at a longer one.
const MOST_SHOWN: usize = 2_000;

/// Explains a violation. The trace will say that its model is in the file `name`; `mutant` names the broken rule if the
/// actors have one.
///
/// # Errors
/// The reason why there is no explanation: nobody asked for a value in that instance, the run is too long to be shrunk, or the model
/// does not fail by the same schedule.
pub fn explain<A, C>(
    lives: Lives<'_>,
    actor: impl Fn(&Wiring, u64) -> A,
    violation: &Violation,
    name: &str,
    mutant: Option<&str>,
) -> Result<Explained, String>
where
    A: Replayable,
    C: Changes<A::Storage>,
{
    let schedule = Schedule::of::<C>(
        lives,
        actor,
        (violation.group.unwrap_or(0), violation.instance, Some(violation.claim)),
        MOST_ACTIONS,
    )?;
    let (text, system) = schedule.build(name, mutant)?;
    let falls = |walk: &walk::Walk<A>| {
        walk.violation.as_ref().is_some_and(|(property, _)| *property == violation.claim)
    };
    let actions = walk::shrink(&system, &schedule.actions, falls);
    if !falls(&walk::follow(&system, &actions)) {
        return Err(format!(
            "a model of one instance does not break {} by the same schedule",
            violation.claim
        ));
    }
    let trace = TraceText::record(&system, &actions)
        .header("model", name)
        .header("breaks", format!("{}: {}", violation.claim, violation.breach));
    Ok(Explained { model: text, trace: trace.to_string(), steps: actions.len() })
}

/// Shows a run that could not be replayed to its end, up to there: as a run of a model with the one instance of which a
/// client wanted a value and a step spoke last. What the records say beyond it is not in it.
///
/// # Errors
/// The reason why it cannot be shown: nobody asked for a value, or the run is too long to look at.
pub fn show<A, C>(
    records: &Records,
    actor: &dyn Fn(&Wiring, u64) -> A,
    name: &str,
    mutant: Option<&str>,
) -> Result<Explained, String>
where
    A: Replayable,
    C: Changes<A::Storage>,
{
    let lives = || records.lives().map_err(|error| error.to_string());
    let (mut wanted, mut last) = (BTreeSet::new(), None);
    follow::<A, C>(lives()?, actor, &mut |seen| {
        let Some((_, msg)) = seen.step.delivered() else { return };
        if let Msg::Ask(Ask::Request { instance, .. }) = msg {
            wanted.insert((seen.group, *instance));
        }
        let of = instance_of(msg).map(|instance| (seen.group, instance));
        last = of.filter(|instance| wanted.contains(instance)).or(last);
    })
    .map_err(|error| error.to_string())?;
    let (group, instance) =
        last.ok_or("no client asked for a value of a register, and runs of a log are not made into models")?;
    let schedule = Schedule::of::<C>(lives()?, actor, (group, instance, None), MOST_SHOWN)?;
    let (text, system) = schedule.build(name, mutant)?;
    let actions = walk::follow(&system, &schedule.actions).actions;
    let trace = TraceText::record(&system, &actions).header("model", name);
    Ok(Explained { model: text, trace: trace.to_string(), steps: actions.len() })
}

fn instance_of(msg: &Msg) -> Option<Instance> {
    match msg {
        Msg::Ask(Ask::Request { instance, .. } | Ask::Read { instance })
        | Msg::Accept { instance, .. }
        | Msg::Accepted { instance, .. }
        | Msg::Chosen { instance, .. }
        | Msg::Response { instance, .. }
        | Msg::Unset { instance } => Some(*instance),
        Msg::Ask(Ask::Submit { .. } | Ask::Query { .. } | Ask::StaleQuery { .. })
        | Msg::Prepare { .. }
        | Msg::Promise { .. }
        | Msg::Nack { .. }
        | Msg::Output { .. }
        | Msg::Redirect { .. }
        | Msg::CatchUp { .. }
        | Msg::CatchUpReply { .. }
        | Msg::Confirm { .. }
        | Msg::Confirmed { .. }
        | Msg::Chunk { .. }
        | Msg::Fetch { .. }
        | Msg::Checksum { .. }
        | Msg::Beat(_)
        | Msg::Give { .. }
        | Msg::Yield { .. }
        | Msg::Removed { .. }
        | Msg::Relay { .. }
        | Msg::Relayed { .. } => None,
    }
}

impl<A: Replayable> Schedule<A> {
    /// The events of a run that concern one instance.
    fn of<C: Changes<A::Storage>>(
        lives: Lives<'_>,
        actor: impl Fn(&Wiring, u64) -> A,
        (group, instance, claim): (u8, Instance, Option<&'static str>),
        most: usize,
    ) -> Result<Self, String> {
        let mut schedule = Schedule {
            members: lives.wiring.of_group(group).members,
            group,
            instance,
            claim,
            values: Vec::new(),
            readers: Vec::new(),
            actions: Vec::new(),
            starts: BTreeMap::new(),
        };
        follow::<A, C>(lives, actor, &mut |seen| schedule.add(&seen)).map_err(|error| error.to_string())?;
        schedule.place_readers();
        if schedule.values.is_empty() {
            return Err(
                "no client asked for a value of a register there, and runs of a log are not made into models"
                    .to_owned(),
            );
        }
        let actions = schedule.actions.len();
        if actions > most {
            return Err(format!("the run has {actions} steps that may matter, and {most} is the most"));
        }
        Ok(schedule)
    }

    /// The model's text, and its system.
    fn build(&self, name: &str, mutant: Option<&str>) -> Result<(String, System<A, Ghost>), String> {
        let text = self.model(&A::mutant(mutant));
        let model = Model::read(name, &text).map_err(|error| error.to_string())?;
        let system = A::system(model.build()).ok_or("there is no model of these actors")?;
        Ok((text, system))
    }
}

impl<A: Subject<Msg = Msg>> Schedule<A> {
    fn place(&self, member: u64) -> Option<Id> {
        self.members.iter().position(|id| *id == member).map(Id::from)
    }

    /// A value by the name that the model has for it.
    fn value(&self, value: &Value) -> Option<Value> {
        let index = self.values.iter().position(|(known, _)| known == value)?;
        Some(Value::from(format!("v{}", index + 1).as_bytes()))
    }

    fn add(&mut self, seen: &Seen<'_, A>) {
        let Some(me) = self.place(seen.member).filter(|_| seen.group == self.group) else { return };
        match &seen.step.event {
            Happening::Start => {
                let starts = self.starts.entry(seen.member).or_default();
                *starts += 1;
                if *starts > 1 {
                    self.actions.push(Action::<A>::Crash(me));
                    self.actions.push(Action::<A>::Recover(me));
                }
            }
            Happening::Timeout(timer) => {
                self.actions.push(Action::<A>::Timeout(me, timer.clone()));
            }
            Happening::Deliver(src, msg) => {
                let src = usize::from(*src) as u64;
                let from = if src >= LOCAL_CLIENT { self.client(src, msg, me) } else { self.place(src) };
                if let (Some(from), Some(msg)) = (from, self.translate(msg)) {
                    self.actions.push(Action::<A>::Deliver { src: from, dst: me, msg });
                }
            }
            Happening::Random(..) => {}
        }
    }

    /// The model's client that asks for what a client asked for: one a value, as in every model.
    fn client(&mut self, src: u64, msg: &Msg, asked: Id) -> Option<Id> {
        let (instance, value) = match msg {
            Msg::Ask(Ask::Request { instance, value }) => (instance, value),
            Msg::Ask(Ask::Read { instance }) if *instance == self.instance => return Some(self.reader(src)),
            _ => return None,
        };
        if *instance != self.instance {
            return None;
        }
        let known = self.values.iter().position(|(known, _)| known == value);
        let index = known.unwrap_or_else(|| {
            self.values.push((value.clone(), usize::from(asked)));
            self.values.len() - 1
        });
        Some(Id::from(self.members.len() + index))
    }

    /// The model's client that reads as this one does. The place of readers is after all values, of which there may be more.
    fn reader(&mut self, src: u64) -> Id {
        let known = self.readers.iter().position(|known| *known == src);
        let index = known.unwrap_or_else(|| {
            self.readers.push(src);
            self.readers.len() - 1
        });
        Id::from(FIRST_READER + index % MOST_READERS)
    }

    fn place_readers(&mut self) {
        let first = self.members.len() + self.values.len();
        for action in &mut self.actions {
            if let Action::<A>::Deliver { src, .. } = action
                && let Some(index) = usize::from(*src).checked_sub(FIRST_READER)
            {
                *src = Id::from(first + index);
            }
        }
    }

    /// A message as the model says it: its one instance is the first, its values are named.
    fn translate(&self, msg: &Msg) -> Option<Msg> {
        let here = |instance: &Instance| *instance == self.instance;
        let instance = Instance::FIRST;
        Some(match msg {
            Msg::Ask(Ask::Request { instance: at, value }) if here(at) => {
                Ask::Request { instance, value: self.value(value)? }.into()
            }
            Msg::Ask(Ask::Read { instance: at }) if here(at) => Ask::Read { instance }.into(),
            Msg::Prepare { ballot, .. } => Msg::Prepare { ballot: *ballot, from: instance },
            // A part of a report that breaks off before the instance says nothing about it yet.
            Msg::Promise { rest: Some(rest), .. } if *rest <= self.instance => return None,
            Msg::Promise { ballot, accepted, .. } => {
                let mut reports = PerInstance::new();
                if let Some(Proposal { ballot, value }) = accepted.get(&self.instance) {
                    reports.insert(instance, Proposal { ballot: *ballot, value: self.value(value)? });
                }
                Msg::Promise { ballot: *ballot, accepted: reports, rest: None }
            }
            Msg::Accept { ballot, instance: at, value } if here(at) => {
                Msg::Accept { ballot: *ballot, instance, value: self.value(value)? }
            }
            Msg::Accepted { ballot, instance: at, value } if here(at) => {
                Msg::Accepted { ballot: *ballot, instance, value: self.value(value)? }
            }
            Msg::Chosen { instance: at, value } if here(at) => {
                Msg::Chosen { instance, value: self.value(value)? }
            }
            Msg::Nack { .. } => msg.clone(),
            _ => return None,
        })
    }

    /// A model file of the same cluster.
    fn model(&self, mutant: &str) -> String {
        let servers: Vec<String> = (1..=self.members.len()).map(|i| format!("S{i}")).collect();
        let values: Vec<String> = (1..=self.values.len()).map(|i| format!("v{i}")).collect();
        let asks: Vec<&[String]> = values.iter().map(|_| servers.as_slice()).collect();
        let crashes: usize = self.starts.values().map(|starts| starts - 1).sum();
        let readers = vec![servers.as_slice(); self.readers.len().min(MOST_READERS)];
        let readers = if readers.is_empty() { String::new() } else { format!("readers = {readers:?}\n") };
        let mut text = format!(
            "about = \"A run of {} servers, from their flight records.\"\ntier = \"nightly\"\n{mutant}\n[system]\n\
             layout = \"co-located\"\nacceptors = {}\nvalues = {values:?}\nasks = {asks:?}\nretry = \"on-either\"\n\
             numbers = {:?}\n{readers}",
            servers.len(),
            servers.len(),
            self.members,
        );
        if crashes > 0 {
            let _ = write!(
                text,
                "\n[faults]\ncrash = {servers:?}\nat_once = {}\nin_all = {crashes}\n",
                servers.len().min(crashes)
            );
        }
        let _ = match self.claim {
            Some(claim) => write!(text, "\n[expect]\nverdict = \"violated\"\nproperty = {claim:?}\n"),
            None => write!(text, "\n[expect]\nverdict = \"holds\"\n"),
        };
        text
    }
}
