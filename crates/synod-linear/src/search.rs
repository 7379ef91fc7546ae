//! Guarantees the right verdict on any history: searches for an order, and gives up only where it says so.
//!
//! The algorithm is that of Wing and Gong (1993) with Lowe's two improvements (*Testing for linearizability*, 2017). An operation is
//! placed *just in time*, when one that is about to return needs it. The search remembers what it tried, as a state and the set of operations
//! that are placed and have not returned. So its memory does not grow with the history: the operations that have
//! returned are all placed, and need not be listed. Four rules are added:
//!
//! - An operation that only reads, and reads what is there, is placed at once. An order that has it in a later place stays right when it
//!   moves to this one.
//! - Of two equal configurations the one that has used fewer operations without an answer is as good as the other or better, since
//!   leftovers need not be placed. So the other is not looked at.
//! - An operation without an answer is placed only just before one that needs it. If the next one can be placed without it, and no less
//!   is possible afterwards, that comes first.
//! - A configuration leads nowhere if it is too late in it for an operation that is open, or still has to be placed.
//!
//! The search looks first at the configuration that has come farthest, and among several at the one that has placed least. But before it brings in an operation
//! without an answer, it questions the choices made a little earlier.

use crate::history::{Event, OpId, Operation, events};
use crate::sets::{EMPTY, ENTRY, Numbered, Sets, insert};
use crate::spec::Measured;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The result of a search.
pub(crate) enum Outcome<State> {
    /// An order of operations, without those that need not have happened.
    Order(Vec<OpId>),
    /// There is none.
    Stuck(Stuck<State>),
    /// There may be one.
    GaveUp { configurations: usize, bytes: usize },
}

/// The farthest point that a search can reach.
pub(crate) struct Stuck<State> {
    /// The operation whose return cannot be reached in any order.
    pub(crate) operation: OpId,
    /// Operations that were open at that moment.
    pub(crate) open: Vec<OpId>,
    /// The states that were possible just before, each with an order that leads there.
    pub(crate) before: Vec<(State, Vec<OpId>)>,
}

/// A configuration: it stands just before a return, after all that precedes it.
struct Node {
    /// The return before which it stands.
    at: u32,
    state: u32,
    /// The set of placed operations, of those that are open and will return.
    placed: u32,
    /// The set of placed operations, of those without an answer.
    lost: u32,
    /// The number of operations placed since the return before.
    level: u32,
    parent: u32,
    /// The operations placed since the parent: their place in `Search::orders`, and their number.
    order: (u32, u32),
    /// The previous configuration that is equal except for `lost`.
    like: u32,
    /// The state before an operation without an answer, if nothing was placed after it.
    without: u32,
}

/// No configuration.
const NONE: u32 = u32::MAX;

/// The moves to try with a configuration, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Try {
    /// Place the operation that is about to return.
    Return,
    /// Place another one that will return.
    Open,
    /// Place one without an answer, for the sake of one that will return.
    Lost,
    /// Place one without an answer, for the sake of another such.
    Chain,
}

/// A configuration in the queue: its distance, the number of placed operations, the next move, and its number.
type Due = (u32, Reverse<(u32, Try, u32)>);

impl Try {
    /// The number of returns by which a configuration counts as less far when this move is next. A choice made a little earlier is wrong more
    /// often than an operation is missing, of which there may be many.
    fn held_back(self) -> u32 {
        match self {
            Try::Return | Try::Open => 0,
            Try::Lost => 32,
            Try::Chain => 128,
        }
    }
}

/// The search for one history.
struct Search<'a, S: Measured> {
    spec: &'a S,
    operations: &'a [Operation<S::Op, S::Ret>],
    /// Operations by their return.
    returns: Vec<OpId>,
    /// At each return, the operations that are open and will return, by return; the first is the one that does now.
    open: Vec<u32>,
    /// The places in `open` at which these begin.
    begins: Vec<usize>,
    /// Operations without an answer, by invocation.
    lost: Vec<OpId>,
    /// The number of them that were invoked before each return.
    lost_before: Vec<usize>,
    /// Their questions, by number. Of several that ask the same only one need be tried.
    kinds: Vec<u32>,
    states: Numbered<S::State>,
    sets: Sets,
    nodes: Vec<Node>,
    /// The operations placed from one configuration to the next.
    orders: Vec<u32>,
    /// The last of the configurations that are equal except for `lost`.
    met: FxHashMap<(u32, u32, u32), u32>,
    /// The queue: farthest first, then least placed, then by next move, then first come.
    queue: BinaryHeap<Due>,
    farthest: u32,
}

/// Looks for an order of these operations, and gives up when that takes more than so many bytes.
pub(crate) fn search<S: Measured>(
    spec: &S,
    operations: &[Operation<S::Op, S::Ret>],
    bytes: usize,
) -> Outcome<S::State> {
    let mut search = match Search::new(spec, operations, bytes) {
        Ok(search) => search,
        Err(bytes) => return Outcome::GaveUp { configurations: 0, bytes },
    };
    let initial = search.states.number(spec.initial(), |state| spec.bytes(state));
    let root = Node {
        at: 0,
        state: initial,
        placed: EMPTY,
        lost: EMPTY,
        level: 0,
        parent: NONE,
        order: (0, 0),
        like: NONE,
        without: NONE,
    };
    if let Some(last) = search.add(root, None) {
        return Outcome::Order(search.order(last));
    }
    while let Some((_, Reverse((_, next, node)))) = search.queue.pop() {
        let taken = search.bytes();
        if taken > bytes {
            return Outcome::GaveUp { configurations: search.nodes.len(), bytes: taken };
        }
        if let Some(last) = search.expand(node, next) {
            return Outcome::Order(search.order(last));
        }
    }
    Outcome::Stuck(search.stuck())
}

impl<'a, S: Measured> Search<'a, S> {
    /// Prepares a search. The error is the number of bytes it would take to list the operations that are open at each return, if that is more than allowed.
    fn new(spec: &'a S, operations: &'a [Operation<S::Op, S::Ret>], bytes: usize) -> Result<Self, usize> {
        // A short history is listed whatever the limit is.
        let room = (bytes / size_of::<u32>()).saturating_add(1 << 18);
        let mut search = Search {
            spec,
            operations,
            returns: Vec::new(),
            open: Vec::new(),
            begins: Vec::new(),
            lost: Vec::new(),
            lost_before: Vec::new(),
            kinds: Vec::new(),
            states: Numbered::new(),
            sets: Sets::new(),
            nodes: Vec::new(),
            orders: Vec::new(),
            met: FxHashMap::default(),
            queue: BinaryHeap::new(),
            farthest: 0,
        };
        let events = events(operations);
        let mut rank = vec![usize::MAX; operations.len()];
        for event in &events {
            if let Event::Return(id) = event {
                rank[*id] = search.returns.len();
                search.returns.push(*id);
            }
        }
        let mut open: Vec<u32> = Vec::new();
        let mut kinds = Numbered::new();
        for event in events {
            match event {
                Event::Invoke(id) if rank[id] == usize::MAX => {
                    search.lost.push(id);
                    search.kinds.push(kinds.number(operations[id].op.clone(), |_| 0));
                }
                Event::Invoke(id) => {
                    let at = open.partition_point(|other| rank[*other as usize] < rank[id]);
                    open.insert(at, id as u32);
                }
                Event::Return(_) => {
                    if search.open.len() + open.len() > room {
                        return Err((search.open.len() + open.len()) * size_of::<u32>());
                    }
                    search.begins.push(search.open.len());
                    search.open.extend_from_slice(&open);
                    search.lost_before.push(search.lost.len());
                    // Returns come in order, so the one that returns is the first.
                    open.remove(0);
                }
            }
        }
        search.begins.push(search.open.len());
        Ok(search)
    }

    /// Bytes in use.
    fn bytes(&self) -> usize {
        self.states.bytes()
            + self.sets.bytes()
            + self.nodes.capacity() * size_of::<Node>()
            + (self.orders.capacity() + self.open.capacity()) * size_of::<u32>()
            + self.met.capacity() * ENTRY
            + self.queue.capacity() * size_of::<Due>()
    }

    fn step(&self, state: u32, op: OpId) -> Option<S::State> {
        let Operation { op, returned, .. } = &self.operations[op];
        self.spec.step(self.states.get(state), op, returned.as_ref().map(|(_, ret)| ret))
    }

    /// Takes in a configuration, in which `placed` was placed, unless another one leads everywhere that it leads. Returns it if nothing is
    /// left to place.
    fn add(&mut self, mut node: Node, placed: Option<OpId>) -> Option<u32> {
        let begin = self.orders.len();
        self.orders.extend(placed.map(|id| id as u32));
        // The set gets its number when it is whole.
        let mut members = self.sets.members(node.placed).to_vec();
        if let Some(id) = placed.filter(|id| self.operations[*id].returned.is_some()) {
            insert(&mut members, id as u32);
        }
        let done = loop {
            if node.at as usize == self.returns.len() {
                break true;
            }
            self.place_reads(&mut node, &mut members);
            let returning = self.returns[node.at as usize] as u32;
            let Ok(at) = members.binary_search(&returning) else { break false };
            members.remove(at);
            node.at += 1;
            node.level = 0;
        };
        let number = self.nodes.len() as u32;
        if !done {
            if self.leads_nowhere(&node, &members) {
                self.orders.truncate(begin);
                return None;
            }
            node.placed = self.sets.number(members);
            let met = self.met.entry((node.at, node.state, node.placed)).or_insert(NONE);
            let mut like = *met;
            while like != NONE {
                let other = &self.nodes[like as usize];
                if self.sets.is_subset(other.lost, node.lost) {
                    self.orders.truncate(begin);
                    return None;
                }
                like = other.like;
            }
            node.like = std::mem::replace(met, number);
            self.farthest = self.farthest.max(node.at);
        }
        node.order = (begin as u32, (self.orders.len() - begin) as u32);
        self.nodes.push(node);
        if !done {
            self.push(number, Try::Return);
        }
        done.then_some(number)
    }

    /// Places the operations that only read, and read what is there.
    fn place_reads(&mut self, node: &mut Node, placed: &mut Vec<u32>) {
        let state = self.states.get(node.state);
        for id in &self.open[self.open_at(node.at)] {
            let Operation { op, returned, .. } = &self.operations[*id as OpId];
            let Some((_, ret)) = returned else { continue };
            if self.spec.only_reads(op, ret)
                && self.spec.step(state, op, Some(ret)).as_ref() == Some(state)
                && insert(placed, *id)
            {
                self.orders.push(*id);
                // It could not be placed before, or it would have been.
                node.without = NONE;
            }
        }
    }

    /// True if some operation that is open and not placed can never be placed.
    fn leads_nowhere(&self, node: &Node, placed: &[u32]) -> bool {
        let state = self.states.get(node.state);
        self.open[self.open_at(node.at)].iter().any(|id| {
            let Operation { op, returned, .. } = &self.operations[*id as OpId];
            let too_late = returned.as_ref().is_some_and(|(_, ret)| self.spec.too_late(state, op, ret));
            too_late && placed.binary_search(id).is_err()
        })
    }

    fn push(&mut self, number: u32, next: Try) {
        let Node { at, level, .. } = self.nodes[number as usize];
        self.queue.push((at.saturating_sub(next.held_back()), Reverse((level, next, number))));
    }

    /// Tries the next move with a configuration.
    fn expand(&mut self, number: u32, next: Try) -> Option<u32> {
        let Node { at, placed, lost, .. } = self.nodes[number as usize];
        let open = self.open_at(at);
        match next {
            Try::Return => {
                self.push(number, Try::Open);
                return self.place(number, self.returns[at as usize]);
            }
            Try::Open => {
                if self.lost_before[at as usize] > 0 {
                    self.push(number, Try::Lost);
                }
                for index in open.start + 1..open.end {
                    let id = self.open[index] as OpId;
                    if !self.sets.contains(placed, id)
                        && let Some(last) = self.place(number, id)
                    {
                        return Some(last);
                    }
                }
            }
            Try::Lost | Try::Chain => {
                let lost = self.lost_at(at, lost);
                let chained = lost.iter().filter(|id| !self.spec.overwrites(&self.operations[**id].op));
                let chained: Vec<OpId> = chained.copied().collect();
                if next == Try::Lost && !chained.is_empty() {
                    self.push(number, Try::Chain);
                }
                for id in lost {
                    if self.helps(number, id, &chained, next)
                        && let Some(last) = self.place(number, id)
                    {
                        return Some(last);
                    }
                }
            }
        }
        None
    }

    /// The operations without an answer that can be placed before a return: of each kind the first that is not placed.
    fn lost_at(&self, at: u32, placed: u32) -> Vec<OpId> {
        let mut kinds = FxHashSet::default();
        let invoked = self.lost.iter().zip(&self.kinds).take(self.lost_before[at as usize]);
        let free = invoked.filter(|(id, kind)| !self.sets.contains(placed, **id) && kinds.insert(**kind));
        free.map(|(id, _)| *id).collect()
    }

    /// True if an operation without an answer should be placed for the sake of one that will return, or else, in a chain, of one that will
    /// not: without it that one could not be placed here, or less would be possible afterwards. (Two of one kind may be a chain.)
    fn helps(&self, number: u32, id: OpId, chained: &[OpId], next: Try) -> bool {
        let Node { at, state, placed, .. } = self.nodes[number as usize];
        let Some(with) = self.step(state, id) else { return false };
        let needs = |other: OpId| {
            let Operation { op, returned, .. } = &self.operations[other];
            let ret = returned.as_ref().map(|(_, ret)| ret);
            let Some(after) = self.spec.step(&with, op, ret) else { return false };
            !self.step(state, other).is_some_and(|without| self.spec.covers(&without, &after))
        };
        let open = &self.open[self.open_at(at)];
        let by_open = open
            .iter()
            .map(|other| *other as OpId)
            .any(|other| !self.sets.contains(placed, other) && needs(other));
        if next == Try::Lost || by_open {
            return next == Try::Lost && by_open;
        }
        chained.iter().any(|other| needs(*other))
    }

    /// The places in `open` of the operations that are open before a return.
    fn open_at(&self, at: u32) -> std::ops::Range<usize> {
        self.begins[at as usize]..self.begins[at as usize + 1]
    }

    /// Places one more operation, if its answer is right.
    fn place(&mut self, number: u32, id: OpId) -> Option<u32> {
        let Node { at, state, placed, mut lost, level, without, .. } = self.nodes[number as usize];
        let next = self.step(state, id)?;
        if without != NONE && self.step(without, id).is_some_and(|other| self.spec.covers(&other, &next)) {
            return None;
        }
        let next = self.states.number(next, |state| self.spec.bytes(state));
        let mut before = NONE;
        if self.operations[id].returned.is_none() {
            // An operation without an answer and without effect need not have happened.
            if next == state {
                return None;
            }
            lost = self.sets.with(lost, id);
            before = state;
        }
        let node = Node {
            at,
            state: next,
            placed,
            lost,
            level: level + 1,
            parent: number,
            order: (0, 0),
            like: NONE,
            without: before,
        };
        self.add(node, Some(id))
    }

    /// The operations placed on the way to a configuration.
    fn order(&self, mut number: u32) -> Vec<OpId> {
        let mut order = Vec::new();
        while number != NONE {
            let node = &self.nodes[number as usize];
            let (begin, length) = (node.order.0 as usize, node.order.1 as usize);
            order.extend(self.orders[begin..begin + length].iter().rev().map(|id| *id as usize));
            number = node.parent;
        }
        order.reverse();
        order
    }

    fn stuck(&self) -> Stuck<S::State> {
        let at = self.farthest as usize;
        // The first is the one that returns.
        let open = self.open[self.begins[at] + 1..self.begins[at + 1]].iter().map(|id| *id as OpId);
        let open = open.chain(self.lost[..self.lost_before[at]].iter().copied()).collect();
        let arrived = |(_, node): &(usize, &Node)| node.at == self.farthest && node.level == 0;
        let mut before: Vec<(S::State, Vec<OpId>)> = Vec::new();
        for (number, node) in self.nodes.iter().enumerate().filter(arrived) {
            let state = self.states.get(node.state);
            if before.len() < MOST_STATES && before.iter().all(|(other, _)| other != state) {
                before.push((state.clone(), self.order(number as u32)));
            }
        }
        Stuck { operation: self.returns[at], open, before }
    }
}

/// The number of possible states that an explanation names.
const MOST_STATES: usize = 4;
