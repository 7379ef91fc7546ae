//! The loop: receive a batch, step each event through the actor, make what was saved durable with one flush, send.
//!
//! Nothing that follows from a save leaves before the save is durable (spec G1). Nothing that rests on a peer's message leaves for
//! another member before the number of saves that the peer had made is durable here. Both wait for the same flush. Other messages do not
//! wait, so a leader's proposal is on the wire while its own acceptance is being flushed ([`Rests`]).

mod start;

use crate::admission::{Admission, Admittance, Members, Mine, Order, Owed, Rests};
use crate::apart::Apart;
use crate::changes::Changes;
use crate::disk::Disk;
use crate::door::Door;
use crate::inbox::{Limits, Queues, Trigger};
use crate::record::{self, Change, Output, Recorder};
use crate::store::Store;
use crate::timers::Timers;
use crate::timings::Timings;
use crate::transport::{self, Transport};
use crate::wire::Wire;
use crate::{Counts, Stopped};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stateright::actor::{Actor, Command, Id, Out};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use crate::ids::{FIRST_CLIENT, LOCAL_CLIENT, is_local_client};

/// One actor with its disk, its wire and its timers.
pub struct Node<A: Actor, C: Changes<A::Storage>, D: Disk, W: Wire> {
    actor: A,
    me: Id,
    state: Option<A::State>,
    timers: Timers<A::Timer>,
    queues: Queues<A>,
    limits: Limits,
    store: Option<Store<A::Storage, C, D>>,
    admittance: Admittance,
    /// True as long as the actor runs and only learns.
    learns: bool,
    transport: Transport,
    wire: W,
    recorder: Option<Recorder>,
    rng: fastrand::Rng,
    batch: Batch,
    /// Encoded messages to local clients that their owner has not taken yet.
    outlet: VecDeque<(u64, Box<[u8]>)>,
    outlet_bytes: usize,
    counts: Counts,
    timings: Timings,
    /// The first member heard with another list of members, and its list.
    strange: Option<(u64, Vec<u64>)>,
}

/// The sends of one batch's steps.
#[derive(Default)]
struct Batch {
    /// Encoded messages, one after another.
    bytes: Vec<u8>,
    /// The messages that leave before the flush.
    free: Vec<(u64, Range<usize>)>,
    /// The messages that leave after it.
    held: Vec<(u64, Range<usize>)>,
    /// The order of sends and saves: it says before which sends something must be durable.
    order: Order,
}

impl<A, C, D, W> Node<A, C, D, W>
where
    A: Actor,
    A::Msg: Serialize + DeserializeOwned,
    A::Timer: Serialize,
    C: Changes<A::Storage> + Door<A>,
    D: Disk,
    W: Wire,
{
    /// Puts a process together. A process without a store cannot save; that is for clients, which take part at once.
    ///
    /// `rng` draws the moments of timers and random choices.
    pub fn new(
        actor: A,
        transport: Transport,
        wire: W,
        store: Option<Store<A::Storage, C, D>>,
        recorder: Option<Recorder>,
        limits: Limits,
        rng: fastrand::Rng,
    ) -> Self {
        let mine = store.as_ref().map_or_else(Mine::default, |store| store.mine().clone());
        let peers: Vec<u64> = if store.is_some() { transport.peers().collect() } else { Vec::new() };
        let (me, first) = (transport.me(), transport.members().iter().copied());
        let admittance = if transport.changes() {
            Admittance::changing(mine, me, first)
        } else {
            Admittance::new(mine, peers.iter().copied())
        };
        let mut node = Node {
            actor,
            me: Id::from(transport.me() as usize),
            state: None,
            timers: Timers::new(),
            queues: Queues::default(),
            limits,
            admittance,
            learns: false,
            store,
            transport,
            wire,
            recorder,
            rng,
            batch: Batch::default(),
            outlet: VecDeque::new(),
            outlet_bytes: 0,
            counts: Counts::default(),
            timings: Timings::default(),
            strange: None,
        };
        let remembered = node.store.iter().flat_map(|store| store.memory().all().map(|(peer, _)| peer));
        for peer in peers.into_iter().chain(remembered.collect::<Vec<_>>()) {
            node.tell_known(peer);
        }
        node
    }

    /// The actor's state; `None` as long as it may not take part.
    pub fn state(&self) -> Option<&A::State> {
        self.state.as_ref()
    }

    /// The answer to whether it may take part.
    pub fn admission(&mut self) -> Admission {
        self.admittance.verdict()
    }

    /// True if the actor runs and only learns: it hears nothing but what was chosen, says nothing but that it wants to learn and to join, and what
    /// local clients tell it waits.
    pub fn learns(&self) -> bool {
        self.learns
    }

    /// Takes note of the members as they follow from what the actor has executed. Its owner has to call this once the actor has started, and when
    /// any of that has changed; where members are fixed, never.
    pub fn configure(&mut self, members: Members) {
        self.transport.set_number(members.number);
        self.admittance.configure(members);
    }

    /// Names the peers, where members change, and the place where each is to be found. See [`Transport::set_peers`].
    ///
    /// # Panics
    /// Where members do not change.
    pub fn set_peers(&mut self, peers: &[(u64, SocketAddr)]) {
        self.transport.set_peers(peers);
    }

    /// The first member heard whose list of members differs from this one's, and the ids on that list.
    pub fn other_members(&self) -> Option<(u64, &[u64])> {
        self.strange.as_ref().map(|(from, members)| (*from, members.as_slice()))
    }

    /// Counts of the work done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The durations of the work done so far.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// The transport, which handles its datagrams.
    pub fn transport(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// The wire.
    pub fn wire(&self) -> &W {
        &self.wire
    }

    /// The wire's time.
    pub fn now(&mut self) -> Duration {
        self.wire.now()
    }

    /// Its stable storage.
    pub fn store(&self) -> Option<&Store<A::Storage, C, D>> {
        self.store.as_ref()
    }

    /// Hands the actor a message of a local client, or of the owner of a client's node in the client's own name. It waits for its turn
    /// like a message that was received, and is recorded like one. Returns false, and does nothing, if too much is waiting already or
    /// nobody may speak so.
    ///
    /// A member's own name is not for its owner: everything that a member says to itself follows from its record.
    pub fn tell(&mut self, src: u64, msg: &A::Msg) -> bool {
        let is_own = src == self.transport.me() && src >= FIRST_CLIENT;
        if !is_own && !is_local_client(src) {
            return false;
        }
        self.queues.tell(src, msg.clone(), encode(msg).into(), &self.limits)
    }

    /// Takes the messages that the actor sent to local clients, in their order. Each was handed out only when everything that
    /// it follows from was durable. If nobody takes them, later ones are dropped and counted.
    pub fn told(&mut self) -> impl Iterator<Item = (u64, A::Msg)> + use<A, C, D, W> {
        self.outlet_bytes = 0;
        let taken = std::mem::take(&mut self.outlet);
        taken.into_iter().filter_map(|(to, bytes)| Some((to, postcard::from_bytes(&bytes).ok()?)))
    }

    /// Has a timer wait for what its owner does beside the loop: from now on it rings only after [`Node::release`].
    pub fn hold(&mut self, timer: A::Timer) {
        self.timers.hold(timer);
    }

    /// Lets a timer ring once that is held and set.
    pub fn release(&mut self, timer: &A::Timer) {
        self.timers.release(timer);
    }

    /// Takes note that these bytes are durable in a file of their own. See [`Store::wrote`].
    pub fn wrote(&mut self, apart: Apart) {
        if let Some(store) = &mut self.store {
            store.wrote(apart);
        }
    }

    /// The time at which there will be something to do even if nothing comes, in the wire's time.
    pub fn wakes(&mut self) -> Duration {
        if self.begins() || (self.state.is_some() && self.queues.pending(!self.learns)) {
            return Duration::ZERO;
        }
        let greeting = self.transport.next_greeting();
        self.timers.next().map_or(greeting, |timer| timer.min(greeting))
    }

    /// Runs one round of the loop. Waits until something is due, but no longer than `most`.
    ///
    /// # Errors
    /// Any failure that stops the process. No further call is allowed after an error.
    pub fn turn(&mut self, most: Duration) -> Result<(), Stopped<A>> {
        let until = self.wakes().min(most);
        self.receive(until)?;
        let now = self.wire.now();
        self.transport.tick(now);
        self.forget_silent(now);
        self.judge(now)?;
        let before = self.counts.steps;
        self.steps(now, |node| node.queues.next(&mut node.timers, now, !node.learns))?;
        self.steps(now, |node| node.queues.next_to_itself())?;
        if self.counts.steps > before {
            let took = self.wire.now().saturating_sub(now);
            self.timings.steps.add(took);
        }
        self.commit()?;
        if self.timings.is_waited_for() {
            let now = self.wire.now();
            self.timings.sent(now);
        }
        Ok(())
    }

    /// Steps events of one kind, as many as a batch may hold.
    fn steps(
        &mut self,
        now: Duration,
        next: impl Fn(&mut Self) -> Option<Trigger<A>>,
    ) -> Result<(), Stopped<A>> {
        for _ in 0..self.limits.batch {
            // What was told before the start waits for it.
            if self.state.is_none() || self.staged() >= self.limits.batch_bytes {
                break;
            }
            // The time when the batch began may be long ago.
            let now = if self.timers.any(C::rings_first) { self.wire.now() } else { now };
            let first = self.timers.due_first(now, C::rings_first).map(|timer| Trigger::Timeout { timer });
            let Some(event) = first.or_else(|| next(self)) else { break };
            self.step(now, event)?;
        }
        Ok(())
    }

    /// Bytes of the batch so far, to be saved or to be sent.
    fn staged(&self) -> usize {
        self.batch.bytes.len() + self.store.as_ref().map_or(0, |store| store.pending() as usize)
    }

    /// Takes what the network has: messages into the inbox, and the peers' words about this member into its admittance.
    fn receive(&mut self, until: Duration) -> Result<(), Stopped<A>> {
        let Node {
            actor,
            wire,
            transport,
            queues,
            limits,
            admittance,
            learns,
            state,
            counts,
            store,
            batch,
            strange,
            ..
        } = self;
        let saves = store.as_ref().map_or(0, Store::saves);
        let mut busy = Vec::new();
        let received = wire.receive(until, &mut |now, from, datagram| {
            transport.receive(now, from, datagram, &mut |event| match event {
                transport::Arrival::Hello { from, standing, binds, answer, begins } => {
                    if begins && from < LOCAL_CLIENT {
                        // The peer may have less now than it had, and is told how much was heard of it. So nothing that it
                        // said before may have an effect from here on.
                        counts.outdated += queues.forget(from);
                        if let Some(store) = store.as_mut().filter(|_| binds) {
                            store.memory_mut().greet(from, &standing);
                            if !store.memory().is_recorded(from) {
                                // A new directory waits until this is durable.
                                batch.order.flush();
                            }
                        }
                    }
                    if let Some(answer) = answer {
                        admittance.hear(from, answer, saves);
                    }
                }
                transport::Arrival::OtherMembers { from, members } => {
                    strange.get_or_insert_with(|| (from, members.to_vec()));
                }
                // Before the start there is no actor to hear it. The sender will send it again.
                transport::Arrival::Message { .. } if state.is_none() => counts.early += 1,
                transport::Arrival::Message { from, .. } if *learns && from >= FIRST_CLIENT => {
                    counts.early += 1;
                }
                transport::Arrival::Message { from, bytes, admitted } => {
                    let passes =
                        |msg: &A::Msg| (!*learns || C::teaches(msg)) && (admitted || C::asks_to_learn(msg));
                    let dropped = queues.receive::<C>(actor, (from, bytes), passes, limits, counts);
                    busy.extend(dropped.into_iter().filter(|sender| *sender >= FIRST_CLIENT));
                }
                transport::Arrival::Busy { .. } => counts.busy += 1,
            });
        });
        for client in busy {
            self.transport.refuse(client);
        }
        received.map_err(Stopped::Wire)
    }

    /// Steps one event through the actor.
    fn step(&mut self, now: Duration, event: Trigger<A>) -> Result<(), Stopped<A>> {
        self.counts.steps += 1;
        match &event {
            Trigger::Deliver { src, msg, bytes } => {
                self.note_peer(*src, if C::is_vote(msg) { Owed::Vote } else { Owed::Peer });
                if *src >= LOCAL_CLIENT
                    && let Some(call) = C::call(msg)
                {
                    self.timings.heard(*src, call, now);
                }
                self.record(record::Trigger::Deliver { src: *src, msg: bytes });
            }
            Trigger::Timeout { timer } => {
                let timer = encode(timer);
                self.record(record::Trigger::Timeout { timer: &timer });
            }
            Trigger::Random { key, index, .. } => {
                self.record(record::Trigger::Random { key, index: *index as u64 });
            }
        }
        let state = self.state.take().expect("no event is stepped before the start");
        let mut out = Out::new();
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            let mut state = Cow::Owned(state);
            match &event {
                Trigger::Deliver { src, msg, .. } => {
                    self.actor.on_msg(self.me, &mut state, Id::from(*src as usize), msg.clone(), &mut out);
                }
                Trigger::Timeout { timer } => self.actor.on_timeout(self.me, &mut state, timer, &mut out),
                Trigger::Random { random, .. } => self.actor.on_random(self.me, &mut state, random, &mut out),
            }
            state.into_owned()
        }));
        match stepped {
            Ok(state) => self.state = Some(state),
            Err(_) => return Err(Stopped::Panicked { event: Some(event) }),
        }
        self.outputs(now, out, Some(event))
    }

    /// Remembers how many saves the peer had made, before its message has any effect. Otherwise the peer could come
    /// back with less, and nobody would know.
    fn note_peer(&mut self, src: u64, owed: Owed) {
        let (Some(store), Some(standing)) = (&mut self.store, self.transport.peer_standing(src)) else {
            return;
        };
        if !self.transport.binds(src, &standing) {
            return;
        }
        store.memory_mut().rest_on(src, &standing);
        if !store.memory().is_durable(src) {
            self.batch.order.owe(owed);
        }
    }

    /// True if a process that only learns may say this to a member.
    fn may_say(&self, msg: &A::Msg) -> bool {
        C::asks_to_learn(msg) || (C::tells_chosen(msg) && self.admittance.may_teach())
    }

    /// Carries out the outputs of a step, and holds the step to its contract: at most one save, before every send.
    fn outputs(&mut self, now: Duration, out: Out<A>, event: Option<Trigger<A>>) -> Result<(), Stopped<A>> {
        let (mut saved, mut sent) = (false, false);
        let mut last: Option<(A::Msg, Range<usize>)> = None;
        for command in out {
            match command {
                Command::Save(state) => {
                    if saved || sent {
                        let what = if saved { "it saved twice" } else { "it sent before it saved" };
                        return Err(Stopped::Contract { what, event });
                    }
                    saved = true;
                    let Some(store) = &mut self.store else {
                        return Err(Stopped::Contract { what: "it saved, and has no stable storage", event });
                    };
                    let change = store.save(&state);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.entries.output(Output::Save { change: Change::of(change) });
                    }
                    self.counts.saves += 1;
                    self.batch.order.owe(Owed::Save);
                    self.batch.order.flush();
                }
                Command::Send(to, msg) => {
                    sent = true;
                    let range = match last.take() {
                        Some((same, range)) if same == msg => range,
                        _ => self.batch.encode(&msg),
                    };
                    let (to, bytes) = (usize::from(to) as u64, &self.batch.bytes[range.clone()]);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.entries.output(Output::Send { to, msg: bytes });
                    }
                    if to == usize::from(self.me) as u64 {
                        self.queues.local(to, msg.clone(), bytes, &self.limits, &mut self.counts);
                    } else if self.learns && (to >= LOCAL_CLIENT || !self.may_say(&msg)) {
                        self.counts.unsaid += 1;
                    } else {
                        if to >= LOCAL_CLIENT
                            && let Some(call) = C::call(&msg)
                        {
                            self.timings.answers(to, call);
                        }
                        let rests = if to >= LOCAL_CLIENT { Rests::OnSaves } else { C::rests(&msg) };
                        self.batch.push(to, range.clone(), rests);
                    }
                    last = Some((msg, range));
                }
                Command::SetTimer(timer, after) => {
                    if let Some(recorder) = &mut self.recorder {
                        let (from, to) = (record::nanoseconds(after.start), record::nanoseconds(after.end));
                        recorder.entries.output(Output::SetTimer { timer: &encode(&timer), from, to });
                    }
                    self.timers.set(timer, now, &after, &mut self.rng);
                }
                Command::CancelTimer(timer) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.entries.output(Output::CancelTimer { timer: &encode(&timer) });
                    }
                    self.timers.cancel(&timer);
                }
                Command::ChooseRandom(key, choices) => {
                    if let Some(recorder) = &mut self.recorder {
                        let choices = choices.len() as u64;
                        recorder.entries.output(Output::Choose { key: &key, choices });
                    }
                    self.queues.choose(key, choices, &mut self.rng);
                }
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.entries.end();
        }
        Ok(())
    }

    /// Ends the batch: sends what need not wait, flushes the saves once, and sends the rest.
    fn commit(&mut self) -> Result<(), Stopped<A>> {
        if let Some(recorder) = &mut self.recorder {
            recorder.write().map_err(Stopped::Record)?;
        }
        let flush = self.batch.order.needs_flush();
        let (free, held) = (std::mem::take(&mut self.batch.free), std::mem::take(&mut self.batch.held));
        self.send(&free);
        if let Some(store) = self.store.as_mut() {
            let peers: Vec<u64> = self.transport.met().collect();
            if flush {
                // The latest claims of peers ride along.
                for peer in &peers {
                    let standing = self.transport.peer_standing(*peer);
                    if let Some(standing) = standing.filter(|standing| self.transport.binds(*peer, standing))
                    {
                        store.memory_mut().greet(*peer, &standing);
                    }
                }
                let (before, flushes) = (self.wire.now(), store.counts().flushes);
                store.commit().map_err(Stopped::Disk)?;
                if store.counts().flushes > flushes {
                    self.timings.flush.add(self.wire.now().saturating_sub(before));
                }
                self.counts.flushes += 1;
                self.transport.set_standing(store.standing());
            }
            for peer in peers {
                self.tell_known(peer);
            }
        }
        self.send(&held);
        self.batch.clear(flush, free, held);
        Ok(())
    }

    /// Lets a peer hear what is known of it.
    fn tell_known(&mut self, peer: u64) {
        if let Some(memory) = self.store.as_ref().map(Store::memory) {
            self.transport.set_known(peer, memory.known(peer), memory.is_recorded(peer));
        }
    }

    fn send(&mut self, which: &[(u64, Range<usize>)]) {
        let Node { batch, transport, wire, counts, outlet, outlet_bytes, limits, .. } = self;
        for (to, range) in which {
            if is_local_client(*to) {
                if outlet.len() >= limits.local || *outlet_bytes + range.len() > limits.local_bytes {
                    counts.local_full += 1;
                } else {
                    *outlet_bytes += range.len();
                    outlet.push_back((*to, batch.bytes[range.clone()].into()));
                }
                continue;
            }
            counts.sends += 1;
            if let Err(refused) = transport.send(*to, &batch.bytes[range.clone()]) {
                counts.refuse(&refused);
            }
        }
        transport.flush(&mut |to, datagram| wire.send(to, datagram));
        wire.flush();
    }

    fn record(&mut self, event: record::Trigger<'_>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.entries.event(event);
        }
    }
}

impl Batch {
    fn encode(&mut self, msg: &impl Serialize) -> Range<usize> {
        let start = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(msg, bytes).expect(ENCODES);
        start..self.bytes.len()
    }

    fn push(&mut self, to: u64, range: Range<usize>, rests: Rests) {
        let sends = if self.order.holds(rests) { &mut self.held } else { &mut self.free };
        sends.push((to, range));
    }

    /// Ends the batch. These lists were taken from it, and are used again.
    fn clear(
        &mut self,
        flushed: bool,
        mut free: Vec<(u64, Range<usize>)>,
        mut held: Vec<(u64, Range<usize>)>,
    ) {
        self.bytes.clear();
        free.clear();
        held.clear();
        (self.free, self.held) = (free, held);
        self.order.end(flushed);
    }
}

/// Messages and timers are plain data. A type that refuses to be encoded is a mistake in the program.
const ENCODES: &str = "messages and timers can be encoded";

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect(ENCODES)
}
