//! The state of a whole system: everything that can still matter, in one canonical form.
//!
//! Equal situations are equal values with equal hashes: collections are ordered, a crashed actor keeps only
//! its storage, and the network does not remember deliveries.

use crate::clocks::Due;
use crate::network::Delivery;
use crate::observer::Observer;
use crate::{Subject, panics};
use stateright::actor::{Actor, Envelope, Id};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Everything about one actor, apart from the messages on their way to it.
pub struct Local<A: Actor> {
    /// The volatile state; `None` while the actor is down. It is lost in a crash, and no property sees it afterwards.
    pub state: Option<Arc<A::State>>,
    /// The timers that are set.
    pub timers: BTreeSet<A::Timer>,
    /// The time that those timers have left whose durations are kept; see [`clocks`](crate::clocks).
    pub dues: BTreeMap<A::Timer, Due>,
    /// The choices that are open, by their keys.
    pub randoms: BTreeMap<String, Vec<A::Random>>,
    /// The last saved storage.
    pub storage: Option<A::Storage>,
}

impl<A: Actor> Local<A> {
    /// An actor that was never started.
    pub(crate) fn blank() -> Self {
        let (timers, dues, randoms) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { state: None, timers, dues, randoms, storage: None }
    }

    /// True if the actor is down.
    pub fn is_down(&self) -> bool {
        self.state.is_none()
    }
}

impl<A: Subject> Local<A> {
    /// True if a timer can run out now.
    pub(crate) fn is_ripe(&self, timer: &A::Timer) -> bool {
        self.timers.contains(timer) && self.dues.get(timer).is_none_or(|due| due.is_ripe())
    }

    /// The same after a tick; `None` if a timer has to run out first.
    pub(crate) fn aged(&self) -> Option<Self> {
        let aged = self.dues.iter().map(|(timer, due)| due.aged().map(|due| (timer.clone(), due)));
        let dues = aged.collect::<Option<_>>()?;
        Some(Self { dues, ..self.clone() })
    }
}

impl<A: Subject> Clone for Local<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            timers: self.timers.clone(),
            dues: self.dues.clone(),
            randoms: self.randoms.clone(),
            storage: self.storage.clone(),
        }
    }
}

impl<A: Subject> PartialEq for Local<A> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
            && self.timers == other.timers
            && self.dues == other.dues
            && self.randoms == other.randoms
            && self.storage == other.storage
    }
}

impl<A: Subject> Hash for Local<A> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.timers.hash(hasher);
        self.dues.hash(hasher);
        self.randoms.hash(hasher);
        self.storage.hash(hasher);
    }
}

impl<A: Subject> Debug for Local<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // A running actor without timers, choices or storage, the usual case, reads as its state.
        let plain = self.timers.is_empty() && self.randoms.is_empty() && self.storage.is_none();
        match &self.state {
            Some(state) if plain => return state.fmt(f),
            None if plain => return f.write_str("Down"),
            _ => {}
        }
        let mut out = f.debug_struct(if self.is_down() { "Down" } else { "Up" });
        if let Some(state) = &self.state {
            out.field("state", state);
        }
        if !self.timers.is_empty() && self.dues.is_empty() {
            out.field("timers", &self.timers);
        } else if !self.timers.is_empty() {
            out.field("timers", &Timed(self));
        }
        if !self.randoms.is_empty() {
            out.field("open", &self.randoms);
        }
        if let Some(storage) = &self.storage {
            out.field("saved", storage);
        }
        out.finish()
    }
}

/// Timers with the time that they have left.
struct Timed<'l, A: Actor>(&'l Local<A>);

impl<A: Subject> Debug for Timed<'_, A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for timer in &self.0.timers {
            match self.0.dues.get(timer) {
                Some(due) => set.entry(&format_args!("{timer:?} {due}")),
                None => set.entry(timer),
            };
        }
        set.finish()
    }
}

/// The messages on their way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum InFlight<M> {
    /// See [`Delivery::Set`].
    Set(BTreeSet<Envelope<M>>),
    /// See [`Delivery::Multiset`]: the number of copies of each envelope, never zero.
    Multiset(BTreeMap<Envelope<M>, usize>),
    /// A [`Delivery::Multiset`] with bounded delays: the number of copies of each envelope that have so much time left. One to a receiver that
    /// does not exist never arrives, and its time is `None`.
    Timed(BTreeMap<(Envelope<M>, Option<Due>), usize>),
    /// See [`Delivery::Ordered`]: the queue of each sender and receiver, never empty.
    Ordered(BTreeMap<(Id, Id), VecDeque<M>>),
}

impl<M: Clone + Ord> InFlight<M> {
    /// A network without messages.
    pub fn new(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Set => Self::Set(BTreeSet::new()),
            Delivery::Multiset => Self::Multiset(BTreeMap::new()),
            Delivery::Ordered => Self::Ordered(BTreeMap::new()),
        }
    }

    /// The envelopes that can arrive or be lost next, each once, ordered by sender, receiver and message.
    pub fn heads(&self) -> Vec<Envelope<&M>> {
        match self {
            Self::Set(set) => set.iter().map(borrowed).collect(),
            Self::Multiset(counts) => counts.keys().map(borrowed).collect(),
            Self::Timed(counts) => {
                let ripe = counts.keys().filter(|(_, due)| due.is_none_or(Due::is_ripe));
                let mut heads: Vec<_> = ripe.map(|(envelope, _)| borrowed(envelope)).collect();
                heads.dedup();
                heads
            }
            Self::Ordered(queues) => queues
                .iter()
                .filter_map(|(&(src, dst), queue)| queue.front().map(|msg| Envelope { src, dst, msg }))
                .collect(),
        }
    }

    /// True if an envelope is among the [`heads`](Self::heads).
    pub fn is_head(&self, envelope: &Envelope<M>) -> bool {
        match self {
            Self::Set(set) => set.contains(envelope),
            Self::Multiset(counts) => counts.contains_key(envelope),
            Self::Timed(counts) => {
                oldest(counts, envelope).is_some_and(|(_, due)| due.is_none_or(Due::is_ripe))
            }
            Self::Ordered(queues) => {
                let queue = queues.get(&(envelope.src, envelope.dst));
                queue.and_then(VecDeque::front) == Some(&envelope.msg)
            }
        }
    }

    /// All envelopes, repeats included, a queue in its order.
    pub fn all(&self) -> Vec<Envelope<&M>> {
        match self {
            Self::Set(set) => set.iter().map(borrowed).collect(),
            Self::Multiset(counts) => {
                counts.iter().flat_map(|(e, &n)| std::iter::repeat_n(borrowed(e), n)).collect()
            }
            Self::Timed(counts) => {
                counts.iter().flat_map(|((e, _), &n)| std::iter::repeat_n(borrowed(e), n)).collect()
            }
            Self::Ordered(queues) => queues
                .iter()
                .flat_map(|(&(src, dst), queue)| queue.iter().map(move |msg| Envelope { src, dst, msg }))
                .collect(),
        }
    }

    /// The time that each of [`all`](Self::all) has left, in that order.
    pub(crate) fn dues(&self) -> Vec<Option<Due>> {
        match self {
            Self::Timed(counts) => {
                counts.iter().flat_map(|((_, due), &n)| std::iter::repeat_n(*due, n)).collect()
            }
            _ => vec![None; self.all().len()],
        }
    }

    /// A network without messages whose delays are bounded.
    pub(crate) fn timed() -> Self {
        Self::Timed(BTreeMap::new())
    }

    /// Lets a tick pass; false if some message has to arrive first.
    pub(crate) fn age(&mut self) -> bool {
        let Self::Timed(counts) = self else { return true };
        let aged = counts.iter().map(|((envelope, due), count)| {
            let due = due.map(|due| due.aged().ok_or(())).transpose().ok()?;
            Some(((envelope.clone(), due), *count))
        });
        let Some(aged) = aged.collect::<Option<Vec<_>>>() else { return false };
        // Times that differ still differ later, but for the least ones.
        let mut all = BTreeMap::new();
        for (key, count) in aged {
            *all.entry(key).or_insert(0) += count;
        }
        *counts = all;
        true
    }

    /// Adds a message.
    ///
    /// # Panics
    /// If another message on its way is equal by `Ord` and not by `Eq`.
    pub fn send(&mut self, envelope: Envelope<M>)
    where
        M: Debug,
    {
        self.send_due(envelope, None);
    }

    /// Adds a message that has so much time.
    ///
    /// # Panics
    /// See [`send`](Self::send).
    pub(crate) fn send_due(&mut self, envelope: Envelope<M>, due: Option<Due>)
    where
        M: Debug,
    {
        match self {
            Self::Timed(counts) => {
                let known = counts.range((envelope.clone(), None)..).next().map(|((known, _), _)| known);
                tell_apart("messages", known.filter(|known| known.cmp(&&envelope).is_eq()), &envelope);
                *counts.entry((envelope, due)).or_insert(0) += 1;
            }
            Self::Set(set) => {
                tell_apart("messages", set.get(&envelope), &envelope);
                set.insert(envelope);
            }
            Self::Multiset(counts) => {
                tell_apart("messages", counts.get_key_value(&envelope).map(|(known, _)| known), &envelope);
                *counts.entry(envelope).or_insert(0) += 1;
            }
            Self::Ordered(queues) => {
                queues.entry((envelope.src, envelope.dst)).or_default().push_back(envelope.msg);
            }
        }
    }

    /// Records that a message arrived: it is removed, unless messages are never removed.
    pub fn deliver(&mut self, envelope: &Envelope<M>) {
        if !matches!(self, Self::Set(_)) {
            self.lose(envelope);
        }
    }

    /// Takes a message out. In a queue it is the first of its kind; with bounded delays, the oldest.
    pub fn lose(&mut self, envelope: &Envelope<M>) {
        match self {
            Self::Set(set) => {
                set.remove(envelope);
            }
            Self::Multiset(counts) => take_one(counts, envelope.clone()),
            Self::Timed(counts) => {
                if let Some(oldest) = oldest(counts, envelope).cloned() {
                    take_one(counts, oldest);
                }
            }
            Self::Ordered(queues) => {
                if let Entry::Occupied(mut queue) = queues.entry((envelope.src, envelope.dst)) {
                    if let Some(at) = queue.get().iter().position(|msg| *msg == envelope.msg) {
                        queue.get_mut().remove(at);
                    }
                    if queue.get().is_empty() {
                        queue.remove();
                    }
                }
            }
        }
    }
}

/// The oldest of equal messages: all have the same bounds, so that it is the first in every respect.
fn oldest<'c, M: Clone + Ord>(
    counts: &'c BTreeMap<(Envelope<M>, Option<Due>), usize>,
    envelope: &Envelope<M>,
) -> Option<&'c (Envelope<M>, Option<Due>)> {
    let first = counts.range((envelope.clone(), None)..).next().map(|(key, _)| key);
    first.filter(|(known, _)| known == envelope)
}

/// Takes one copy away.
fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// Takes care that a collection which goes by `Ord` does not take one value for another.
///
/// # Panics
/// If it would.
pub(crate) fn tell_apart<T: PartialEq + Debug>(what: &str, known: Option<&T>, new: &T) {
    if let Some(known) = known.filter(|known| *known != new) {
        panics::reject(unequal(what, known, new));
    }
}

/// The complaint about values that are equal by `Ord` and not by `Eq`.
pub(crate) fn unequal(what: &str, a: &impl Debug, b: &impl Debug) -> String {
    format!(
        "`Ord` takes two {what} for the same that `Eq` tells apart, so that one would get lost: {a:?} and {b:?}. `Ord` has to compare \
         all that `Eq` does"
    )
}

fn borrowed<M>(envelope: &Envelope<M>) -> Envelope<&M> {
    Envelope { src: envelope.src, dst: envelope.dst, msg: &envelope.msg }
}

impl<M: Debug + Clone + Ord> Debug for InFlight<M> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        struct Line<'a, M>(Envelope<&'a M>, usize, Option<Due>);
        impl<M: Debug> Debug for Line<'_, M> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, "{} → {} ", usize::from(self.0.src), usize::from(self.0.dst))?;
                // One line a message even in the pretty form: a network is read as a list.
                write!(f, "{:?}", self.0.msg)?;
                if let Some(due) = self.2 {
                    write!(f, " {due}")?;
                }
                if self.1 > 1 { write!(f, " ×{}", self.1) } else { Ok(()) }
            }
        }
        let mut list = f.debug_list();
        match self {
            Self::Multiset(counts) => list.entries(counts.iter().map(|(e, &n)| Line(borrowed(e), n, None))),
            Self::Timed(counts) => {
                list.entries(counts.iter().map(|((e, due), &n)| Line(borrowed(e), n, *due)))
            }
            _ => list.entries(self.all().into_iter().map(|e| Line(e, 1, None))),
        };
        list.finish()
    }
}

/// The state of a whole system.
pub struct State<A: Subject, O: Observer<A>> {
    /// The local of each actor.
    pub locals: Vec<Arc<Local<A>>>,
    /// The messages on their way.
    pub network: InFlight<A::Msg>,
    /// The observer's history.
    pub history: O::History,
    /// The number of crashes so far. It stays 0 if crashes are not limited, so that it distinguishes no states.
    pub crashes: u32,
}

impl<A: Subject, O: Observer<A>> Clone for State<A, O> {
    fn clone(&self) -> Self {
        Self {
            locals: self.locals.clone(),
            network: self.network.clone(),
            history: self.history.clone(),
            crashes: self.crashes,
        }
    }
}

impl<A: Subject, O: Observer<A>> PartialEq for State<A, O> {
    fn eq(&self, other: &Self) -> bool {
        self.locals == other.locals
            && self.network == other.network
            && self.history == other.history
            && self.crashes == other.crashes
    }
}

impl<A: Subject, O: Observer<A>> Hash for State<A, O> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.locals.hash(hasher);
        self.network.hash(hasher);
        self.history.hash(hasher);
        self.crashes.hash(hasher);
    }
}

impl<A: Subject, O: Observer<A>> Debug for State<A, O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let locals: BTreeMap<usize, &Local<A>> = self.locals.iter().map(|l| &**l).enumerate().collect();
        let mut out = f.debug_struct("State");
        out.field("actors", &locals).field("network", &self.network);
        if size_of::<O::History>() > 0 {
            out.field("history", &self.history);
        }
        if self.crashes > 0 {
            out.field("crashes", &self.crashes);
        }
        out.finish()
    }
}
