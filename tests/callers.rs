//! Clients of a simulated cluster: the very actor that `synod-client` runs, with several calls under way, and a book of what each asked and was
//! told.

use crate::histories::{Histories, Written, value};
use crate::simulated::ms;
use crate::world::MAX_VALUE;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use synod_client::session::SessionClient;
use synod_client::{Call, Message, Outcome, Reading, Refusal};
use synod_groups::{Groups, InGroup};
use synod_linear::{OpId, RegisterOp, RegisterRet};
use synod_machine::{Blob, Condition, Expect, Lives, Operation, Store, StoreCommand, StoreOutput, group_of};
use synod_runtime::changes::Whole;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox::Limits;
use synod_runtime::node::Node;
use synod_runtime::sim::{SimNode, SimWire};
use synod_runtime::transport::Transport;

/// The records of all clients.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) histories: Histories,
    /// The length of values, in bytes. They are numbers with zeros before them.
    width: Cell<usize>,
    /// True if nobody makes a call any more.
    is_hushed: Cell<bool>,
    /// Clients' pauses between two calls.
    pause: Cell<u64>,
}

impl Book {
    /// Has values be so long.
    pub(crate) fn widen(&self, width: usize) {
        self.width.set(width.min(MAX_VALUE));
    }

    /// Has clients pause for up to so many milliseconds between calls.
    pub(crate) fn slow_down(&self, pause: u64) {
        self.pause.set(pause);
    }

    pub(crate) fn hush(&self) {
        self.is_hushed.set(true);
    }

    fn text(&self, number: Written) -> Blob {
        Blob::from(format!("{number:0>width$}", width = self.width.get()).as_str())
    }

    /// The calls that had an answer.
    pub(crate) fn answered(&self) -> u64 {
        self.histories.answered.load(Ordering::Relaxed)
    }

    /// The calls of which nobody knows if they took effect.
    pub(crate) fn unknown(&self) -> u64 {
        self.histories.unknown.load(Ordering::Relaxed)
    }
}

/// A call that is under way.
struct Open {
    key: String,
    /// Its place in the key's history, unless it is of a key that ends by itself, which no history is kept of.
    op: Option<(OpId, RegisterOp<Written>)>,
    until: Duration,
}

impl Open {
    /// The key as the store has it.
    fn name(&self) -> &str {
        if self.op.is_some() { &self.key } else { SHORT_LIVED }
    }
}

/// The key that ends by itself.
const SHORT_LIVED: &str = "short-lived";

/// A client.
pub(crate) struct Caller {
    node: SimNode<Groups<SessionClient<Store>>, ByGroup<Whole>>,
    groups: usize,
    book: Rc<Book>,
    rng: fastrand::Rng,
    /// The keys that are left to be read, for one that does nothing else.
    reads: Option<Vec<String>>,
    open: BTreeMap<u64, Open>,
    /// The value that each key had when it was last read.
    seen: BTreeMap<String, Option<Written>>,
    calls: u64,
    /// The outcomes that were taken, of each group.
    taken: Vec<u64>,
    /// The time of its next call.
    next: Duration,
}

/// The most calls of a client that are under way.
const MOST: usize = 3;
/// The number of keys.
const KEYS: u64 = 40;

impl Caller {
    pub(crate) fn new(
        (transport, wire): (Transport, SimWire),
        (members, groups): (usize, usize),
        book: Rc<Book>,
        reads: Option<Vec<String>>,
        mut rng: fastrand::Rng,
    ) -> Caller {
        let mut ids: Vec<_> = (0..members).map(stateright::actor::Id::from).collect();
        ids.rotate_left(rng.usize(..members));
        let mut actor = || {
            let mut actor = SessionClient::new(ids.clone(), rng.u64(..));
            actor.window = 4;
            actor.resend = ms(40)..ms(80);
            actor.idle = ms(500)..ms(900);
            actor
        };
        let actors = Groups::new((0..groups).map(|_| actor()).collect());
        let node = Node::new(actors, transport, wire, None, None, Limits::default(), rng.fork());
        Caller {
            node,
            groups,
            book,
            rng,
            reads,
            open: BTreeMap::new(),
            seen: BTreeMap::new(),
            calls: 0,
            taken: vec![0; groups],
            next: Duration::ZERO,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.open.is_empty() && self.reads.as_ref().is_none_or(Vec::is_empty)
    }

    fn may_call(&self) -> bool {
        let has_more = self.reads.as_ref().map_or(!self.book.is_hushed.get(), |reads| !reads.is_empty());
        has_more && self.open.len() < MOST
    }

    pub(crate) fn wakes(&mut self) -> Duration {
        let call = if self.may_call() { self.next } else { Duration::MAX };
        let until = self.open.values().map(|open| open.until).min().unwrap_or(Duration::MAX);
        self.node.wakes().min(call).min(until)
    }

    pub(crate) fn turn(&mut self) {
        let now = self.node.now();
        for (group, outcomes) in (0..).zip(self.taken.clone()).filter(|(_, taken)| *taken > 0) {
            self.tell(group, Call::Taken { outcomes });
        }
        if self.may_call() && self.next <= now {
            self.call(now);
            self.next = now + ms(self.rng.u64(0..=self.book.pause.get()));
        }
        let late: Vec<u64> =
            self.open.iter().filter(|(_, open)| open.until <= now).map(|(call, _)| *call).collect();
        for call in late {
            let open = self.open.get_mut(&call).expect("it is open");
            open.until = Duration::MAX;
            let group = group_of(open.name().as_bytes(), self.groups);
            self.tell(group, Call::GiveUp { call });
        }
        self.node.turn(Duration::ZERO).unwrap_or_else(|stopped| panic!("a client stopped: {stopped}"));
        self.take();
    }

    fn tell(&mut self, group: u8, call: Call<StoreCommand>) {
        let me = self.node.transport().me();
        assert!(self.node.tell(me, &InGroup { group, what: Message::Call(call) }), "there is room");
    }

    fn call(&mut self, now: Duration) {
        let (number, dice) = (self.calls, self.rng.u8(..10));
        self.calls += 1;
        let last = self.reads.as_mut().map(|reads| reads.pop().expect("it has more"));
        let is_reader = last.is_some();
        let key = last.unwrap_or_else(|| format!("k{}", self.rng.u64(..KEYS)));
        let new = self.book.histories.number();
        let put =
            |key: &str, lives| Operation::Put { key: Blob::from(key), value: self.book.text(new), lives };
        let (op, when, then) = match dice {
            0..=3 if !is_reader => (Some(RegisterOp::Write(new)), Vec::new(), put(&key, Lives::Forever)),
            4 if !is_reader => {
                let old = self.seen.get(&key).copied().flatten();
                let expect = old.map_or(Expect::Absent, |old| Expect::Value(self.book.text(old)));
                let when = vec![Condition::Key { key: Blob::from(key.as_str()), expect }];
                (Some(RegisterOp::Swap(old, new)), when, put(&key, Lives::Forever))
            }
            5 if !is_reader => {
                let lives = Lives::For(self.rng.u64(1..800));
                (None, Vec::new(), put(SHORT_LIVED, lives))
            }
            _ => (Some(RegisterOp::Read), Vec::new(), Operation::Get { key: Blob::from(key.as_str()) }),
        };
        let command = StoreCommand::Transact { when, then: vec![then] };
        let is_question = op == Some(RegisterOp::Read);
        let op = op.map(|op| (self.book.histories.begin(&key, op.clone()), op));
        let synod_machine::Lies::In(group) = command.lies(self.groups) else {
            panic!("{command:?} has one key")
        };
        self.tell(
            group,
            if is_question {
                Call::Query { call: number, command, reading: Reading::Linearizable }
            } else {
                Call::Submit { call: number, command }
            },
        );
        // In the end nobody gives up.
        let patience = if is_reader { Duration::MAX } else { ms(self.rng.u64(500..4000)) };
        self.open.insert(number, Open { key, op, until: now.saturating_add(patience) });
    }

    /// Takes the outcomes that are new.
    fn take(&mut self) {
        let Some(states) = self.node.state() else { return };
        let mut new: Vec<(u64, Outcome<StoreOutput>)> = Vec::new();
        for ((_, state), taken) in states.all().zip(&mut self.taken) {
            let old = (*taken - state.taken) as usize;
            new.extend(state.outcomes.range(old..).cloned());
            *taken += (state.outcomes.len() - old) as u64;
        }
        for (call, outcome) in new {
            let Some(Open { key, op, .. }) = self.open.remove(&call) else { continue };
            let histories = &self.book.histories;
            let count = match (outcome, op) {
                (Outcome::Output(output), op) => {
                    if let Some((id, op)) = op {
                        let ret = answer(&op, &output);
                        if let RegisterRet::Value(value) = &ret {
                            self.seen.insert(key.clone(), *value);
                        }
                        histories.end(&key, id, ret);
                    }
                    &histories.answered
                }
                (Outcome::Unknown(_), _) => &histories.unknown,
                (Outcome::Refused(Refusal::NotSent | Refusal::NotAnswered), op) => {
                    if let Some((id, _)) = op {
                        histories.dismiss(&key, id);
                    }
                    &histories.refused
                }
                (Outcome::Refused(refusal), _) => {
                    panic!("the log lost a session or understands nothing: {refusal}")
                }
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn answer(op: &RegisterOp<Written>, output: &StoreOutput) -> RegisterRet<Written> {
    use synod_machine::Outcome::{Absent, Found, Stored};
    let done = match output {
        StoreOutput::Done(done) => done.as_slice(),
        StoreOutput::NotMet { .. } if matches!(op, RegisterOp::Swap(..)) => {
            return RegisterRet::Swapped(false);
        }
        other => panic!("{op:?} was answered by {other:?}"),
    };
    match (op, done) {
        (RegisterOp::Read, [Found(item)]) => RegisterRet::Value(Some(value(item))),
        (RegisterOp::Read, [Absent]) => RegisterRet::Value(None),
        (RegisterOp::Write(_), [Stored { .. }]) => RegisterRet::Written,
        (RegisterOp::Swap(..), [Stored { .. }]) => RegisterRet::Swapped(true),
        (op, other) => panic!("{op:?} was answered by {other:?}"),
    }
}

/// The places of clients in a cluster of so many members, and of the one that reads everything at the end behind them.
pub(crate) fn places(members: usize) -> Range<usize> {
    members..members + 4
}
