//! The thread that runs a client: the only place with a socket and a clock.
//!
//! Any thread leaves calls in a list and wakes the loop. The loop hands them to the actor, turns once, and passes the outcomes on. It sleeps
//! until a datagram, a timer, a deadline or a call comes.

use crate::config::Config;
use crate::error::Error;
use crate::lengths::Longest;
use crate::message::{Call, Message, Reading};
use crate::outcome::{Outcome, Refusal};
use crate::session::SessionClient;
use stateright::actor::Id;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use synod_machine::{Store, StoreCommand, StoreOutput};
use synod_runtime::changes::Whole;
use synod_runtime::disk::DirDisk;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::ClientKeys;
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::standing::Standing;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::{UdpWire, Waker};

type UdpClient = Node<SessionClient<Store>, Whole, DirDisk, UdpWire>;

/// The function that takes the result of a call. It runs in the client's own thread, so it must not wait for anything.
pub(crate) type Then = Box<dyn FnOnce(Result<StoreOutput, Error>) + Send>;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Submit,
    Query(Reading),
}

struct Asked {
    kind: Kind,
    command: StoreCommand,
    deadline: Instant,
    then: Then,
}

/// The calls that the loop has not seen yet.
#[derive(Default)]
struct List {
    calls: Vec<Asked>,
    /// The reason why the loop has ended, once it has.
    ended: Option<String>,
}

/// The state that callers and the loop share.
struct Shared {
    list: Mutex<List>,
    /// True if the loop will look at the list without being woken.
    is_awake: AtomicBool,
    finish: AtomicBool,
    waker: Arc<Waker>,
    longest: Longest,
}

/// A running client. It ends when the last handle is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The actor is told at the latest now that outcomes were taken.
const MOST_KEPT: usize = 4096;
/// The time that a client waits for its last message to be on its way when it ends.
const FAREWELL: Duration = Duration::from_millis(20);

fn stopped(why: impl std::fmt::Display) -> Error {
    Error::Stopped { why: why.to_string(), is_sent: false }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| stopped(format!("no randomness: {error}")))?;
    Ok(bytes)
}

impl Running {
    pub(crate) fn start(config: &Config) -> Result<Running, Error> {
        if let Some(complaint) = config.complaint() {
            return Err(stopped(complaint));
        }
        // A node does not leave the thread that made it.
        let ((said, hears), config) = (sync_channel(1), config.clone());
        let thread = std::thread::Builder::new().name("synod-client".to_owned());
        let thread = thread.spawn(move || match Turning::new(&config) {
            Ok(mut turning) => {
                let _ = said.send(Ok(turning.shared.clone()));
                turning.run();
            }
            Err(error) => {
                let _ = said.send(Err(error));
            }
        });
        let thread = thread.map_err(stopped)?;
        let shared = hears.recv().unwrap_or_else(|_| Err(stopped("the client's thread has gone")))?;
        Ok(Running { shared, thread: Some(thread) })
    }

    /// Hands a call to the loop.
    pub(crate) fn call(&self, kind: Kind, command: StoreCommand, timeout: Duration, then: Then) {
        if let Err(error) = self.shared.longest.admit(&command) {
            return then(Err(error));
        }
        if matches!(kind, Kind::Query(_)) && !command.only_asks() {
            return then(Err(Error::Refused(Refusal::NoQuestion)));
        }
        let now = Instant::now();
        // A time beyond the clock's end is as good as none: a year.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(365 * 24));
        let mut list = self.shared.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = list.ended.clone() {
            drop(list);
            return then(Err(stopped(why)));
        }
        list.calls.push(Asked { kind, command, deadline, then });
        drop(list);
        self.shared.wake();
    }
}

impl Shared {
    fn wake(&self) {
        if !self.is_awake.swap(true, Ordering::AcqRel) {
            // A failure would leave the call to the loop's next turn, which a timer brings about soon.
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Running {
    /// Has the session closed. Calls without an outcome get one.
    fn drop(&mut self) {
        self.shared.finish.store(true, Ordering::Release);
        self.shared.is_awake.store(false, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // The loop catches what the actor does, and says why it ended.
            let _ = thread.join();
        }
    }
}

/// A process that runs the actor, over a socket of its own.
fn node(config: &Config) -> Result<UdpClient, Error> {
    let id = FIRST_CLIENT | u64::from_le_bytes(random()?);
    let mut rng = fastrand::Rng::with_seed(u64::from_le_bytes(random()?));
    let mut members: Vec<Id> = config.members.iter().map(|(id, _)| Id::from(*id as usize)).collect();
    // Clients should not all ask the same member first.
    let first = rng.usize(..members.len());
    members.rotate_left(first);
    let mut actor = SessionClient::new(members, u64::from_le_bytes(random()?));
    actor.window = config.window.into();
    actor.resend = config.resend.clone();
    let settings = transport::Config {
        cluster: config.tag(),
        me: id,
        peers: config.members.clone(),
        cluster_keys: None,
        client_keys: Some(ClientKeys::load(&config.client_key).map_err(stopped)?),
        datagram: config.datagram,
        max_message: config.max_message(),
        standing: Standing::default(),
        session: random()?,
    };
    let is_v4 = config.members.iter().all(|(_, address)| address.is_ipv4());
    let anywhere: IpAddr = if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let wire = UdpWire::bind(SocketAddr::new(anywhere, 0)).map_err(stopped)?;
    let transport = Transport::new(settings, rng.fork());
    Ok(Node::new(actor, transport, wire, None, None, Limits::default(), rng))
}

/// A call that the actor has.
struct Open {
    then: Then,
    deadline: Instant,
    /// The number of times that a member had said that it was too busy when the call began.
    busy: u64,
}

/// The loop.
struct Turning {
    node: UdpClient,
    shared: Arc<Shared>,
    members: Vec<u64>,
    /// Calls that the actor does not have yet, oldest first.
    new: VecDeque<Asked>,
    /// The number of the next call.
    next: u64,
    open: HashMap<u64, Open>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// The number of outcomes that were taken since the start.
    taken: u64,
}

impl Turning {
    fn new(config: &Config) -> Result<Turning, Error> {
        let node = node(config)?;
        let shared = Arc::new(Shared {
            list: Mutex::default(),
            is_awake: AtomicBool::new(false),
            finish: AtomicBool::new(false),
            waker: node.wire().waker(),
            longest: Longest::of(config),
        });
        Ok(Turning {
            node,
            shared,
            members: config.members.iter().map(|(id, _)| *id).collect(),
            new: VecDeque::new(),
            next: 0,
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            taken: 0,
        })
    }

    fn run(&mut self) {
        let why = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break "the client was ended".to_owned(),
                Err(why) => break why,
            }
        };
        let mut list = self.shared.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.ended = Some(why.clone());
        let unseen = mem::take(&mut list.calls);
        drop(list);
        for (_, open) in self.open.drain() {
            (open.then)(Err(Error::Stopped { why: why.clone(), is_sent: true }));
        }
        for asked in self.new.drain(..).chain(unseen) {
            (asked.then)(Err(stopped(&why)));
        }
    }

    /// One turn. Returns false once the client is to end.
    fn turn(&mut self) -> Result<bool, String> {
        // First the mark is taken away and then the list is read: a call that comes in between wakes the loop for nothing.
        self.shared.is_awake.store(false, Ordering::Release);
        let new = {
            let mut list = self.shared.list.lock().unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut list.calls)
        };
        self.new.extend(new);
        if !self.new.is_empty() || self.kept() > MOST_KEPT {
            self.tell(Call::Taken { outcomes: self.taken });
        }
        while let Some(asked) = self.new.pop_front() {
            if let Err(asked) = self.begin(asked) {
                self.new.push_front(asked);
                break;
            }
        }
        let now = Instant::now();
        while let Some((_, call)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            if !self.tell(Call::GiveUp { call }) {
                break;
            }
            self.deadlines.pop_first();
        }
        if self.shared.finish.load(Ordering::Acquire) {
            return self.finish().map(|()| false);
        }
        let until = match self.deadlines.first() {
            // The turn makes room for the calls that had none.
            _ if !self.new.is_empty() => Duration::ZERO,
            Some((at, _)) => self.node.now() + at.saturating_duration_since(now),
            None => Duration::MAX,
        };
        self.node.turn(until).map_err(|stopped| format!("the client had to stop: {stopped}"))?;
        self.take_outcomes();
        Ok(true)
    }

    /// Tells the actor something. False if too much is waiting already.
    fn tell(&mut self, call: Call<StoreCommand>) -> bool {
        let me = self.node.transport().me();
        self.node.tell(me, &Message::Call(call))
    }

    /// Hands a call to the actor; gives it back if too much is waiting already.
    fn begin(&mut self, asked: Asked) -> Result<(), Asked> {
        let (me, call) = (self.node.transport().me(), self.next);
        let Asked { kind, command, deadline, then } = asked;
        let msg = Message::Call(match kind {
            Kind::Submit => Call::Submit { call, command },
            Kind::Query(reading) => Call::Query { call, command, reading },
        });
        if !self.node.tell(me, &msg) {
            let Message::Call(Call::Submit { command, .. } | Call::Query { command, .. }) = msg else {
                unreachable!("it was made just now")
            };
            return Err(Asked { kind, command, deadline, then });
        }
        self.next += 1;
        self.open.insert(call, Open { then, deadline, busy: self.node.counts().busy });
        self.deadlines.insert((deadline, call));
        Ok(())
    }

    /// The number of outcomes that the actor keeps though they were taken.
    fn kept(&self) -> usize {
        self.node.state().map_or(0, |state| state.outcomes.len())
    }

    fn take_outcomes(&mut self) {
        let Some(state) = self.node.state() else { return };
        let old = (self.taken - state.taken) as usize;
        let new: Vec<(u64, Outcome<StoreOutput>)> = state.outcomes.range(old..).cloned().collect();
        self.taken += new.len() as u64;
        for (call, outcome) in new {
            let Some(open) = self.open.remove(&call) else { continue };
            self.deadlines.remove(&(open.deadline, call));
            let result = self.result(outcome, open.busy);
            (open.then)(result);
        }
    }

    /// The result of a call. Where no answer came, it says the reason that is known.
    fn result(&mut self, outcome: Outcome<StoreOutput>, busy: u64) -> Result<StoreOutput, Error> {
        match outcome {
            Outcome::Output(output) => Ok(output),
            Outcome::Refused(Refusal::NotSent | Refusal::NotAnswered) if self.is_alone() => {
                Err(Error::NotReached)
            }
            Outcome::Refused(Refusal::NotSent | Refusal::NotAnswered) if self.node.counts().busy > busy => {
                Err(Error::Busy)
            }
            Outcome::Refused(refusal) => Err(Error::Refused(refusal)),
            Outcome::Unknown(doubt) => Err(Error::MayHaveTakenEffect(doubt)),
        }
    }

    /// True if no member answers at all.
    fn is_alone(&mut self) -> bool {
        let transport = self.node.transport();
        !self.members.iter().any(|member| transport.connected(*member))
    }

    /// Gives all calls an outcome, and has the session closed.
    fn finish(&mut self) -> Result<(), String> {
        for call in self.open.keys().copied().collect::<Vec<_>>() {
            self.tell(Call::GiveUp { call });
        }
        self.tell(Call::Finish);
        let until = self.node.now() + FAREWELL;
        // One turn takes a bounded number of events, and the last one sends.
        while self.node.wakes().is_zero() && self.node.now() < until {
            self.node.turn(Duration::ZERO).map_err(|stopped| stopped.to_string())?;
        }
        self.take_outcomes();
        Ok(())
    }
}
