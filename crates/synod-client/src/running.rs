//! The loop of a client: the only place with a socket and a clock.
//!
//! Any thread leaves calls in a list and wakes the loop. The loop hands them to the actor, turns once, and passes the outcomes on. It sleeps
//! until a datagram, a timer, a deadline or a call comes.
//!
//! One thread at a time turns the loop. A thread that waits for its call turns it itself, if nobody does, so that no other thread has to be woken
//! for the question or for the answer. The client's own thread, its keeper, turns the loop for calls that nobody waits for here, and when a
//! timer is due.

use crate::config::Config;
use crate::division::{Then, To, divide};
use crate::error::Error;
use crate::following::Following;
use crate::lengths::Longest;
use crate::message::{Call, Message, Reading};
use crate::outcome::{Outcome, Refusal};
use crate::session::{ClientState, SessionClient};
use stateright::actor::Id;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use synod_groups::{Groups, InGroup};
use synod_machine::{Store, StoreCommand, StoreOutput};
use synod_runtime::changes::Whole;
use synod_runtime::disk::DirDisk;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::ClientKeys;
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::standing::Standing;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::{UdpWire, Waker};

type UdpClient = Node<Groups<SessionClient<Store>>, ByGroup<Whole>, DirDisk, UdpWire>;

type State = ClientState<StoreCommand, StoreOutput>;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Submit,
    Query(Reading),
}

struct Asked {
    group: u8,
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
    /// The loop, for whoever turns it. None once it has ended.
    turning: Mutex<Option<Turning>>,
    /// True if the loop will look at the list without being woken.
    is_awake: AtomicBool,
    finish: AtomicBool,
    waker: Arc<Waker>,
    longest: Longest,
    /// The number of groups.
    groups: usize,
    /// True if the keeper has to turn the loop now.
    wanted: Mutex<bool>,
    wants: Condvar,
}

/// A running client. It ends when the last handle is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The actor is told at the latest now that outcomes were taken.
const MOST_KEPT: usize = 4096;
/// The longest time for which the keeper does not look after the loop.
const UNATTENDED: Duration = Duration::from_secs(1);
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
        let shared = Arc::new(Shared::new(config)?);
        let keeps = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("synod-client".to_owned());
        let thread = thread.spawn(move || keeps.keep()).map_err(stopped)?;
        Ok(Running { shared, thread: Some(thread) })
    }

    /// The number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.shared.groups
    }

    /// Hands a call to the loop, and does not wait for it.
    pub(crate) fn call(&self, to: To, kind: Kind, command: StoreCommand, timeout: Duration, then: Then) {
        self.leave(to, kind, command, timeout, then);
        self.shared.wake();
        self.shared.call_keeper();
    }

    /// Hands a call to the loop, and waits for its result.
    pub(crate) fn wait_for(
        &self,
        to: To,
        kind: Kind,
        command: StoreCommand,
        timeout: Duration,
    ) -> Result<StoreOutput, Error> {
        let (then, result) = sync_channel(1);
        let then = Box::new(move |output| {
            let _ = then.try_send(output);
        });
        self.leave(to, kind, command, timeout, then);
        if let Some(place) = self.shared.place() {
            let mut output = None;
            self.shared.turn_until(place, || {
                output = result.try_recv().ok();
                output.is_some()
            });
            if let Some(output) = output {
                return output;
            }
        }
        self.shared.wake();
        // The loop gives every call its result. Only a loop that was killed from outside would not.
        let gone = |_| Error::Stopped { why: "the client has gone".to_owned(), is_sent: true };
        result.recv().unwrap_or_else(|error| Err(gone(error)))
    }

    /// Leaves a call in the list. One that cannot be sent has its result at once.
    fn leave(&self, to: To, kind: Kind, command: StoreCommand, timeout: Duration, then: Then) {
        if let Err(error) = self.shared.longest.admit(&command) {
            return then(Err(error));
        }
        if matches!(kind, Kind::Query(_)) && !command.only_asks() {
            return then(Err(Error::Refused(Refusal::NoQuestion)));
        }
        let now = Instant::now();
        // A time beyond the clock's end is as good as none: a year.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(365 * 24));
        divide(self.shared.groups, to, command, then, |group, command, then| {
            let mut list = self.shared.list();
            if let Some(why) = list.ended.clone() {
                drop(list);
                return then(Err(stopped(why)));
            }
            list.calls.push(Asked { group, kind, command, deadline, then });
        });
    }
}

impl Shared {
    fn new(config: &Config) -> Result<Shared, Error> {
        let turning = Turning::new(config)?;
        Ok(Shared {
            list: Mutex::default(),
            is_awake: AtomicBool::new(false),
            finish: AtomicBool::new(false),
            waker: turning.node.wire().waker(),
            longest: Longest::of(config),
            groups: config.groups,
            turning: Mutex::new(Some(turning)),
            wanted: Mutex::new(true),
            wants: Condvar::new(),
        })
    }

    /// The loop, unless another thread turns it.
    fn place(&self) -> Option<MutexGuard<'_, Option<Turning>>> {
        match self.turning.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Turns the loop until something is done or the loop ends. Then the keeper goes on with whatever is open.
    fn turn_until(&self, mut place: MutexGuard<'_, Option<Turning>>, mut is_done: impl FnMut() -> bool) {
        while !is_done() {
            let Some(turning) = &mut *place else { return };
            let ended = match turning.turn(self, Duration::MAX) {
                Ok(true) => continue,
                Ok(false) => "the client was ended".to_owned(),
                Err(why) => why,
            };
            place.take().expect("it was there").end(self, &ended);
        }
        let is_idle = place.as_ref().is_none_or(Turning::is_idle);
        drop(place);
        // A call that came before the loop was given back found it taken.
        if !is_idle || !self.list().calls.is_empty() {
            self.call_keeper();
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_keeper(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wants.notify_one();
    }

    /// Turns the loop when nobody else does: as long as a call is open, and when a timer is due.
    fn keep(&self) {
        let mut rest = Duration::ZERO;
        loop {
            let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.wants.wait_timeout_while(wanted, rest, |wanted| !*wanted);
            *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
            // Whoever turns the loop calls the keeper if it is needed.
            rest = UNATTENDED;
            if let Some(place) = self.place() {
                let Some(next) = self.attend(place) else { return };
                rest = next;
            }
        }
    }

    /// Turns the loop for as long as a call is open or something is due. Returns the time until something will be; none if the loop has ended.
    fn attend(&self, mut place: MutexGuard<'_, Option<Turning>>) -> Option<Duration> {
        let mut most = Duration::ZERO;
        loop {
            let turning = place.as_mut()?;
            let ended = match turning.turn(self, most) {
                Ok(true) if turning.is_idle() && self.list().calls.is_empty() => {
                    let rest = turning.rest();
                    if !rest.is_zero() {
                        drop(place);
                        let is_called = !self.list().calls.is_empty();
                        return Some(if is_called { Duration::ZERO } else { rest.min(UNATTENDED) });
                    }
                    most = Duration::ZERO;
                    continue;
                }
                Ok(true) => {
                    most = Duration::MAX;
                    continue;
                }
                Ok(false) => "the client was ended".to_owned(),
                Err(why) => why,
            };
            place.take()?.end(self, &ended);
            return None;
        }
    }

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
        self.shared.call_keeper();
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
    let mut actors = Vec::new();
    for group in 0..config.groups {
        // Each group has a leader of its own, most likely.
        let mut members = members.clone();
        let first = group % members.len();
        members.rotate_left(first);
        let mut actor = SessionClient::new(members, u64::from_le_bytes(random()?));
        actor.window = config.window.into();
        actor.resend = config.resend.clone();
        actors.push(actor);
    }
    let settings = transport::Config {
        cluster: config.tag(),
        me: id,
        peers: config.members.clone(),
        first: None,
        cluster_keys: None,
        client_keys: Some(ClientKeys::load(&config.client_key).map_err(stopped)?),
        datagram: config.datagram,
        max_message: config.max_message(),
        max_client_message: config.max_message(),
        standing: Standing::default(),
        session: random()?,
    };
    let is_v4 = config.members.iter().all(|(_, address)| address.is_ipv4());
    let anywhere: IpAddr = if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let wire = UdpWire::bind(SocketAddr::new(anywhere, 0)).map_err(stopped)?;
    let transport = Transport::new(settings, rng.fork());
    Ok(Node::new(Groups::new(actors), transport, wire, None, None, Limits::default(), rng))
}

/// A call that the actor has.
struct Open {
    group: u8,
    then: Then,
    deadline: Instant,
    /// The number of times that a member had said that it was too busy when the call began.
    busy: u64,
}

/// The loop.
struct Turning {
    node: UdpClient,
    members: Following,
    /// Calls that the actor does not have yet, oldest first.
    new: VecDeque<Asked>,
    /// The number of the next call.
    next: u64,
    open: HashMap<u64, Open>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// The number of outcomes of each group that were taken since the start.
    taken: Vec<u64>,
}

impl Turning {
    fn new(config: &Config) -> Result<Turning, Error> {
        Ok(Turning {
            node: node(config)?,
            members: Following::new(config),
            new: VecDeque::new(),
            next: 0,
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            taken: vec![0; config.groups],
        })
    }

    /// Gives all calls an outcome. None can be made any more.
    fn end(mut self, shared: &Shared, why: &str) {
        let unseen = {
            let mut list = shared.list();
            list.ended = Some(why.to_owned());
            mem::take(&mut list.calls)
        };
        for (_, open) in self.open.drain() {
            (open.then)(Err(Error::Stopped { why: why.to_owned(), is_sent: true }));
        }
        for asked in self.new.drain(..).chain(unseen) {
            (asked.then)(Err(stopped(why)));
        }
    }

    /// True if no call waits for an outcome.
    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.new.is_empty()
    }

    /// The time until there is something to do even if nothing comes.
    fn rest(&mut self) -> Duration {
        let wakes = self.node.wakes();
        wakes.saturating_sub(self.node.now())
    }

    /// One turn, which waits no longer than until `most`, by the time of the wire. Returns false once the client is to end.
    fn turn(&mut self, shared: &Shared, most: Duration) -> Result<bool, String> {
        // First the mark is taken away and then the list is read: a call that comes in between wakes the loop for nothing.
        shared.is_awake.store(false, Ordering::Release);
        let new = mem::take(&mut shared.list().calls);
        self.new.extend(new);
        self.tell_taken();
        while let Some(asked) = self.new.pop_front() {
            if let Err(asked) = self.begin(asked) {
                self.new.push_front(asked);
                break;
            }
        }
        let now = Instant::now();
        while let Some((_, call)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            let group = self.open.get(&call).map_or(0, |open| open.group);
            if !self.tell(group, Call::GiveUp { call }) {
                break;
            }
            self.deadlines.pop_first();
        }
        if shared.finish.load(Ordering::Acquire) {
            return self.finish().map(|()| false);
        }
        let until = match self.deadlines.first() {
            // The turn makes room for the calls that had none.
            _ if !self.new.is_empty() => Duration::ZERO,
            Some((at, _)) => self.node.now() + at.saturating_duration_since(now),
            None => Duration::MAX,
        };
        self.node.turn(until.min(most)).map_err(|stopped| format!("the client had to stop: {stopped}"))?;
        self.take_outcomes();
        self.follow();
        Ok(true)
    }

    /// Goes over to the members that there are now, if a member has told of others.
    fn follow(&mut self) {
        let Some(listed) = self.node.transport().listed() else { return };
        let listed = self.members.is_news(listed).then(|| listed.to_vec());
        let groups = (0..=u8::MAX).take(self.taken.len());
        let is_lost = groups.clone().any(|group| self.state(group).is_some_and(ClientState::is_lost));
        if let Some(peers) = self.members.follow(listed, is_lost) {
            self.node.set_peers(&peers);
        }
        if self.members.is_due {
            let members: Vec<Id> = self.members.ids().map(|id| Id::from(id as usize)).collect();
            let mut told = groups.map(|group| self.tell(group, Call::Members { members: members.clone() }));
            // Told twice, an actor does nothing.
            self.members.is_due = !told.all(|is_told| is_told);
        }
    }

    /// Tells the actor something. False if too much is waiting already.
    fn tell(&mut self, group: u8, call: Call<StoreCommand>) -> bool {
        let me = self.node.transport().me();
        self.node.tell(me, &InGroup { group, what: Message::Call(call) })
    }

    /// Tells the actors which outcomes they need not keep: where there are many, or where something else is to be said anyway.
    fn tell_taken(&mut self) {
        for group in (0..=u8::MAX).take(self.taken.len()) {
            let kept = self.state(group).map_or(0, |state| state.outcomes.len());
            let is_asked = kept > 0 && self.new.iter().any(|asked| asked.group == group);
            if is_asked || kept > MOST_KEPT {
                self.tell(group, Call::Taken { outcomes: self.taken[usize::from(group)] });
            }
        }
    }

    fn state(&self, group: u8) -> Option<&State> {
        self.node.state()?.of(group)
    }

    /// Hands a call to the actor; gives it back if too much is waiting already.
    fn begin(&mut self, asked: Asked) -> Result<(), Asked> {
        let (me, call) = (self.node.transport().me(), self.next);
        let Asked { group, kind, command, deadline, then } = asked;
        let what = Message::Call(match kind {
            Kind::Submit => Call::Submit { call, command },
            Kind::Query(reading) => Call::Query { call, command, reading },
        });
        let msg = InGroup { group, what };
        if !self.node.tell(me, &msg) {
            let Message::Call(Call::Submit { command, .. } | Call::Query { command, .. }) = msg.what else {
                unreachable!("it was made just now")
            };
            return Err(Asked { group, kind, command, deadline, then });
        }
        self.next += 1;
        self.open.insert(call, Open { group, then, deadline, busy: self.node.counts().busy });
        self.deadlines.insert((deadline, call));
        Ok(())
    }

    fn take_outcomes(&mut self) {
        for group in (0..=u8::MAX).take(self.taken.len()) {
            self.take_outcomes_of(group);
        }
    }

    fn take_outcomes_of(&mut self, group: u8) {
        let taken = self.taken[usize::from(group)];
        let Some(state) = self.state(group) else { return };
        let old = (taken - state.taken) as usize;
        let new: Vec<(u64, Outcome<StoreOutput>)> = state.outcomes.range(old..).cloned().collect();
        self.taken[usize::from(group)] += new.len() as u64;
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
        !self.members.ids().any(|member| transport.connected(member))
    }

    /// Gives all calls an outcome, and has the session closed.
    fn finish(&mut self) -> Result<(), String> {
        for (call, group) in self.open.iter().map(|(call, open)| (*call, open.group)).collect::<Vec<_>>() {
            self.tell(group, Call::GiveUp { call });
        }
        for group in (0..=u8::MAX).take(self.taken.len()) {
            self.tell(group, Call::Finish);
        }
        let until = self.node.now() + FAREWELL;
        // One turn takes a bounded number of events, and the last one sends.
        while self.node.wakes().is_zero() && self.node.now() < until {
            self.node.turn(Duration::ZERO).map_err(|stopped| stopped.to_string())?;
        }
        self.take_outcomes();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_runtime::keys::{self, Keys};

    /// A thread that has its own answer calls the keeper exactly if it leaves something to be done. No keeper runs here.
    #[test]
    fn whoever_gives_the_loop_back_calls_the_keeper_for_what_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("client.key");
        keys::create(&key, &keys::client_line(&[8; 32], &Keys::single([7; 32]))).expect("a key");
        // Nobody listens there.
        let config = Config::new("test", key).member(0, ([127, 0, 0, 1], 9).into());
        let shared = Arc::new(Shared::new(&config).expect("a client"));
        let running = Running { shared: Arc::clone(&shared), thread: None };
        let is_called = |turns: u32| {
            *shared.wanted.lock().expect("no panic") = false;
            let mut left = turns;
            shared.turn_until(shared.place().expect("nobody turns it"), || {
                left = left.saturating_sub(1);
                left == 0
            });
            *shared.wanted.lock().expect("no panic")
        };
        assert!(!is_called(1), "nothing is open");
        let command = StoreCommand::Transact { when: Vec::new(), then: Vec::new() };
        running.leave(To::WhereItLies, Kind::Submit, command, Duration::from_hours(1), Box::new(|_| ()));
        assert!(is_called(1), "a call is in the list");
        assert!(is_called(2), "the actor has the call");
        assert!(shared.list().calls.is_empty());
    }
}
