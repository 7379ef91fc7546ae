//! Servers, and the messages between them, which are delivered in the order of sending.

use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use synod::{
    Ask, Call, Cluster, Election, Instance, Learning, Lease, Log, LogEntry, Machine, Members, Msg, Pace,
    Process, ProcessState, QuorumRule, Quorums, Retry, ServerState, Stable, Timer, Truncate, Value,
};

/// A machine that writes down what it executes, and outputs how much that is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape {
    executed: Vec<(u64, Value)>,
    /// True if it takes each command for another, and so diverges from its replicas.
    otherwise: bool,
}

impl Tape {
    fn length(&self) -> Value {
        Value::from(self.executed.len().to_string().as_str())
    }
}

impl Machine for Tape {
    fn execute(&mut self, instance: Instance, entry: &LogEntry) -> Value {
        if let Some(said) = self.said(entry) {
            return said;
        }
        let command = if self.otherwise { Value::from("another") } else { entry.value() };
        self.executed.push((instance.0, command));
        self.length()
    }
    fn said(&self, entry: &LogEntry) -> Option<Value> {
        let value = entry.value();
        let place = self.executed.iter().position(|(_, executed)| *executed == value)?;
        Some(Value::from((place + 1).to_string().as_str()))
    }
    fn query(&self, command: &Value) -> Option<Value> {
        (command.as_bytes() == b"length").then(|| self.length())
    }
    fn too_long(&self, most: usize) -> Option<Value> {
        Some(Value::from(format!("at most {most}").as_str()))
    }
    fn snapshot(&self) -> Vec<u8> {
        let line =
            |(at, command): &(u64, Value)| format!("{at} {}\n", String::from_utf8_lossy(command.as_bytes()));
        self.executed.iter().map(line).collect::<String>().into_bytes()
    }
    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        let line = |line: &str| {
            let (at, command) = line.split_once(' ')?;
            Some((at.parse().ok()?, Value::from(command)))
        };
        let executed = std::str::from_utf8(snapshot).ok()?.lines().map(line).collect::<Option<_>>()?;
        Some(Box::new(Tape { executed, ..*self }))
    }
    fn checksum(&self) -> u64 {
        let add = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        self.snapshot().iter().fold(7, add)
    }
    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

pub(crate) const CLIENT: usize = 100;

/// The process that changes members.
pub(crate) const OPERATOR: usize = 200;

/// The number of the call in which [`CLIENT`] submits these words.
pub(crate) fn number(command: &str) -> u64 {
    command.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into()))
}

/// These words as they stand in the log. No words are the no-op.
pub(crate) fn in_log(command: &str) -> Value {
    if command.is_empty() { Value::no_op() } else { logged(command).value() }
}

pub(crate) fn logged(command: &str) -> LogEntry {
    let call = Call { client: CLIENT.into(), number: number(command) };
    LogEntry { call, command: Value::from(command) }
}

// Fields: one for each thing that may differ from test to test.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Settings {
    pub(crate) servers: usize,
    pub(crate) alpha: u64,
    pub(crate) report: usize,
    pub(crate) hold_off: bool,
    pub(crate) catch_up: bool,
    pub(crate) truncate: Option<Truncate>,
    pub(crate) master: Option<Lease>,
    /// The pace at which servers elect a leader, if they do.
    pub(crate) election: Option<Pace>,
    /// The number of servers that are members at first, if members change.
    pub(crate) first: Option<usize>,
    /// True if each server has an operator of its own, and a data directory.
    pub(crate) relays: bool,
    /// True if server 0 executes something else than the others.
    pub(crate) diverges: bool,
    pub(crate) learning: Learning,
}

pub(crate) const PLAIN: Settings = Settings {
    servers: 3,
    alpha: 4,
    report: usize::MAX,
    hold_off: false,
    catch_up: false,
    truncate: None,
    master: None,
    election: None,
    first: None,
    relays: false,
    diverges: false,
    learning: Learning::Proposer,
};

/// Servers, and the messages between them, which are delivered in the order of sending.
pub(crate) struct World {
    pub(crate) servers: Vec<Process>,
    pub(crate) states: Vec<Option<ProcessState>>,
    pub(crate) disks: Vec<Option<Stable>>,
    pub(crate) timers: Vec<BTreeSet<Timer>>,
    pub(crate) flying: VecDeque<(Id, Id, Msg)>,
    /// All that was sent.
    pub(crate) sent: Vec<(Id, Id, Msg)>,
}

fn otherwise(cluster: &Cluster) -> Arc<Cluster> {
    let mut cluster = cluster.clone();
    if let Some(log) = &mut cluster.log {
        log.machine = Arc::new(Tape { otherwise: true, ..Tape::default() });
    }
    Arc::new(cluster)
}

/// The number of the data directory of server 0, where servers have one. Those of the others follow.
pub(crate) const DIRECTORY: u64 = 7000;

fn with_directory(cluster: &Cluster, directory: u64) -> Arc<Cluster> {
    let mut cluster = cluster.clone();
    if let Some(members) = cluster.log.as_mut().and_then(|log| log.members.as_mut()) {
        members.directory = Some(directory);
    }
    Arc::new(cluster)
}

impl World {
    pub(crate) fn new(settings: &Settings) -> World {
        let any = Duration::ZERO..Duration::ZERO;
        let ids: Vec<Id> = (0..settings.servers).map(Id::from).collect();
        let log = Log {
            alpha: settings.alpha,
            batch: 1,
            machine: Arc::new(Tape::default()),
            hold_off: settings.hold_off.then(|| any.clone()),
            catch_up: settings.catch_up.then(|| any.clone()),
            truncate: settings.truncate.clone(),
            master: settings.master.clone(),
            members: settings.first.map(|_| Members {
                operators: OPERATOR..OPERATOR + if settings.relays { settings.servers } else { 2 },
                lag: 4,
                directory: None,
                relays: settings.relays,
            }),
        };
        let quorums = Quorums::new(
            settings.first.unwrap_or(settings.servers),
            QuorumRule::Majority,
            QuorumRule::Majority,
        )
        .expect("majorities meet");
        let election = settings.election.clone().map(|pace| Election {
            members: ids.clone(),
            among: None,
            backing: Some(quorums.clone()),
            pace,
        });
        let cluster = Arc::new(Cluster {
            acceptors: ids.clone(),
            proposers: ids.iter().zip(1..).map(|(id, number)| (*id, number)).collect(),
            learners: ids,
            clients: Vec::new(),
            waiting_limit: 64,
            quorums,
            learning: settings.learning.clone(),
            nacks: true,
            report: settings.report,
            max_value: usize::MAX,
            max_accepted: usize::MAX,
            keeps: usize::MAX,
            log: Some(log),
            election,
        });
        let server = |number: u16| Process::Server {
            cluster: if settings.diverges && number == 1 {
                otherwise(&cluster)
            } else if settings.relays {
                with_directory(&cluster, DIRECTORY + u64::from(number) - 1)
            } else {
                Arc::clone(&cluster)
            },
            number,
            retry: Retry { on_nack: true, after: Some(any.clone()), doublings: 0 },
        };
        let mut world = World {
            servers: (0..settings.servers as u16).map(|i| server(i + 1)).collect(),
            states: vec![None; settings.servers],
            disks: vec![None; settings.servers],
            timers: vec![BTreeSet::new(); settings.servers],
            flying: VecDeque::new(),
            sent: Vec::new(),
        };
        (0..settings.servers).for_each(|i| world.start(i));
        world
    }

    pub(crate) fn start(&mut self, at: usize) {
        let mut out = Out::new();
        let state = self.servers[at].on_start(at.into(), &self.disks[at], &mut out);
        self.states[at] = Some(state);
        self.timers[at].clear();
        self.done(at, out);
    }

    fn done(&mut self, at: usize, out: Out<Process>) {
        for command in out {
            match command {
                Command::Send(to, msg) => {
                    self.sent.push((at.into(), to, msg.clone()));
                    self.flying.push_back((at.into(), to, msg));
                }
                Command::SetTimer(timer, _) => drop(self.timers[at].insert(timer)),
                Command::CancelTimer(timer) => drop(self.timers[at].remove(&timer)),
                Command::Save(stable) => self.disks[at] = Some(stable),
                Command::ChooseRandom(..) => {}
            }
        }
    }

    pub(crate) fn tell(&mut self, at: usize, src: Id, msg: Msg) {
        let Some(Some(state)) = self.states.get(at).cloned() else { return };
        let (mut out, mut next) = (Out::new(), Cow::Owned(state));
        self.servers[at].on_msg(at.into(), &mut next, src, msg, &mut out);
        self.states[at] = Some(next.into_owned());
        self.done(at, out);
    }

    pub(crate) fn ring(&mut self, at: usize, timer: Timer) {
        assert!(self.timers[at].remove(&timer), "{timer:?} is set at {at}");
        let (mut out, state) = (Out::new(), self.states[at].clone().expect("it is up"));
        let mut next = Cow::Owned(state);
        self.servers[at].on_timeout(at.into(), &mut next, &timer, &mut out);
        self.states[at] = Some(next.into_owned());
        self.done(at, out);
    }

    /// Submits a command as a call of its own. The same words are the same call.
    pub(crate) fn submit(&mut self, at: usize, command: &str) {
        self.call(at, CLIENT, number(command), command);
    }

    /// Submits a command as this call of this client.
    pub(crate) fn call(&mut self, at: usize, client: usize, number: u64, command: &str) {
        self.tell(at, client.into(), Ask::Submit { number, command: Value::from(command) }.into());
    }

    /// Delivers until no message is on its way, except for those that are lost.
    pub(crate) fn run_losing(&mut self, mut lost: impl FnMut(Id, Id, &Msg) -> bool) {
        let mut delivered = 0;
        while let Some((src, dst, msg)) = self.flying.pop_front() {
            delivered += 1;
            assert!(delivered < 100_000, "they talk without end: {src:?} says {msg:?} to {dst:?}");
            if !lost(src, dst, &msg) {
                self.tell(dst.into(), src, msg);
            }
        }
    }

    pub(crate) fn run(&mut self) {
        self.run_losing(|_, _, _| false);
    }

    pub(crate) fn server(&self, at: usize) -> &ServerState {
        self.states[at].as_ref().and_then(ProcessState::server).expect("a server that is up")
    }

    pub(crate) fn next(&self, at: usize) -> u64 {
        self.server(at).log.as_ref().expect("a log").next.0
    }

    pub(crate) fn tape(&self, at: usize) -> String {
        let machine = self.server(at).log.as_ref().expect("a log").replica.machine();
        String::from_utf8(machine.snapshot()).expect("text")
    }

    /// The number of messages of a kind that were sent since.
    pub(crate) fn count(&self, since: usize, what: impl Fn(&Msg) -> bool) -> usize {
        self.sent[since..].iter().filter(|(_, _, msg)| what(msg)).count()
    }

    pub(crate) fn answers(&self) -> Vec<String> {
        self.told(CLIENT)
    }

    /// The answers to a client.
    pub(crate) fn told(&self, client: usize) -> Vec<String> {
        let output = |(_, to, msg): &(Id, Id, Msg)| match msg {
            Msg::Output { output, .. } if usize::from(*to) == client => Some(format!("{output:?}")),
            _ => None,
        };
        self.sent.iter().filter_map(output).collect()
    }
}
