//! States are counted over the rows that they share by threads of their own, a little behind those that explore the rows.
//!
//! Whoever explores says which steps there are, some states at a time, and is told which of them lead to rows that are new. Until then
//! there are other states to leave, except at the end of a block. Whoever is behind has states to count in the meantime.

use super::blocks::{Ended, PORTION, Run, runs};
use super::budget::Budget;
use super::expand::Candidates;
use super::fibers::Count;
use super::graph::Graph;
use super::key::Hashed;
use super::search::Search;
use super::sets::Seen;
use crate::Subject;
use crate::observer::Observer;
use crate::report::{Ending, Options, Why};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};

/// So often counting goes on a little before the clock is looked at again.
const PATIENCE: usize = 16;
/// Portions that are found out about at the same time: enough that one is ready when it is asked for.
const WAITING: usize = 8;

/// The steps out of some states, which follow one another.
#[derive(Default)]
struct Portion {
    found: Vec<Candidates<[u64; 1]>>,
    runs: Vec<Run>,
    /// The states up to this one are left.
    end: u32,
    /// How many levels of rows were explored before that of these states.
    explored: usize,
}

/// The rows with the steps between them, and the states over them.
pub(super) struct Counting {
    pub graph: Graph,
    pub count: Count,
    pub pool: Option<rayon::ThreadPool>,
}

/// Who is behind, to talk to.
pub(super) struct Behind {
    portions: Sender<Portion>,
    /// Never locked: it is only wrapped up so that threads may look at the search that it is part of.
    back: Mutex<Receiver<(Portion, Told)>>,
    thread: JoinHandle<Counting>,
    waiting: usize,
    /// Portions to be used again.
    spare: Vec<Portion>,
    pub told: Told,
}

/// What is told of the counting.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    pub bytes: usize,
    pub full: bool,
}

impl Behind {
    /// Begins to count, in so many threads.
    pub(super) fn begin(counting: Counting) -> Self {
        let (portions, coming) = mpsc::channel();
        let (done, back) = mpsc::channel();
        let thread = thread::Builder::new().name("counting".to_owned());
        let thread = thread.spawn(move || counting.follow(&coming, &done)).expect("the system has threads");
        Self {
            portions,
            back: Mutex::new(back),
            thread,
            waiting: 0,
            spare: Vec::new(),
            told: Told::default(),
        }
    }

    fn send(&mut self, portion: Portion) {
        self.waiting += 1;
        self.portions.send(portion).expect("somebody is behind");
    }

    /// The portion that was sent first, with what is new marked.
    fn next(&mut self) -> Option<Portion> {
        self.waiting = self.waiting.checked_sub(1)?;
        let back = self.back.get_mut().expect("it is never locked");
        let (portion, told) = back.recv().expect("somebody is behind");
        self.told = told;
        Some(portion)
    }

    /// No more steps come.
    pub(super) fn end(self) -> Counting {
        drop(self.portions);
        self.thread.join().expect("nothing there panics")
    }
}

impl Counting {
    /// Looks up the steps that come, and counts as long as none do.
    fn follow(mut self, coming: &Receiver<Portion>, done: &Sender<(Portion, Told)>) -> Self {
        let mut explored = 0;
        loop {
            let next = match coming.try_recv() {
                Err(TryRecvError::Empty) if self.count.go_on(&self.graph, self.pool.as_ref(), explored) => {
                    continue;
                }
                Err(TryRecvError::Empty) => coming.recv().ok(),
                next => next.ok(),
            };
            let Some(portion) = next else { return self };
            explored = portion.explored;
            self.graph.extend(self.pool.as_ref(), &portion.found, &portion.runs, portion.end);
            let told = Told { bytes: self.graph.bytes() + self.count.bytes(), full: self.graph.is_full() };
            // Nobody waits for it if something went wrong.
            _ = done.send((portion, told));
        }
    }
}

impl<A: Subject, O: Observer<A>> Search<'_, A, O> {
    /// Leaves the states of a block, with somebody behind. Gives up half-way if the time is up.
    pub(super) fn explore_ahead(&mut self, block: Range<u32>, budget: &Budget<'_>) -> Option<Why> {
        let mut behind = self.behind.take().expect("somebody is behind");
        let (mut ahead, mut given_up) = (block.start, None);
        loop {
            let is_enough = behind.waiting == WAITING || ahead == block.end || given_up.is_some();
            if !is_enough {
                let end = block.end.min(ahead + self.portion(PORTION));
                let mut portion = behind.spare.pop().unwrap_or_default();
                given_up = self.expand_portion(&mut portion, ahead..end, budget);
                if given_up.is_none() {
                    behind.send(portion);
                    ahead = end;
                }
            } else if let Some(mut portion) = behind.next() {
                // What comes after a failure is not taken in.
                if self.failure.is_none() {
                    self.take_in_all::<Hashed<1>>(&mut portion.found, &portion.runs);
                    self.level.start = portion.end;
                }
                if self.failure.is_some() {
                    ahead = block.end;
                }
                behind.spare.push(portion);
            } else {
                self.behind = Some(behind);
                return given_up;
            }
        }
    }

    fn expand_portion(
        &mut self,
        portion: &mut Portion,
        states: Range<u32>,
        budget: &Budget<'_>,
    ) -> Option<Why> {
        (portion.end, portion.explored) = (states.end, self.depth - 1);
        let seen = self.seen.take().expect("only one block is at work");
        let Seen::Hashed64(set) = &seen else { unreachable!("only hashes are summed up") };
        let given_up = loop {
            match self.expand_all(&set.scheme, &set.table, &mut portion.found, &states, budget) {
                Ended::Done => break None,
                Ended::GivenUp(why) => break Some(why),
                Ended::TooLarge => self.widen(),
            }
        };
        portion.runs = runs(&portion.found);
        self.seen = Some(seen);
        given_up
    }

    /// Counts the states that are left to count, if rows stand for more than one and all of them were explored.
    pub(super) fn count_states(
        &mut self,
        options: &Options<'_>,
        budget: &Budget<'_>,
        ending: &mut Ending<A>,
    ) {
        let bound = self.tables.system.bounds.depth;
        let here =
            self.graph.take().map(|graph| Counting { count: Count::new(&graph, bound), graph, pool: None });
        let counting = here.or_else(|| self.behind.take().map(Behind::end));
        let Some(Counting { mut graph, mut count, pool }) =
            counting.filter(|_| ending.exhausted && self.failure.is_none())
        else {
            return;
        };
        // What there is to be known of rows is known.
        self.seen = None;
        graph.finish();
        let bytes = self.bytes() + graph.bytes();
        // There are at least as many as there are rows, however few were counted yet.
        let (rows, generated, depth) = (u64::from(self.origins.len()), self.generated, self.depth);
        let at_least = |count: &Count| {
            let counted = &count.counted;
            (counted.unique.max(rows), counted.generated.max(generated), counted.depth.max(depth))
        };
        let mut given_up = None;
        for n in 1.. {
            if !count.go_on(&graph, pool.as_ref(), usize::MAX) {
                given_up = count.counted.full.then_some(Why::Memory);
                break;
            }
            if n % PATIENCE == 0 {
                given_up = budget.check_all(bytes + count.bytes());
                if given_up.is_some() {
                    break;
                }
                let (unique, generated, depth) = at_least(&count);
                self.tell_counts(options, budget, (unique, generated, depth, count.frontier()));
            }
        }
        let counted = &count.counted;
        let mut counts = (counted.unique, counted.generated, counted.depth);
        ending.cut |= counted.cut;
        if given_up.is_some() {
            (ending.incomplete, ending.exhausted) = (given_up, false);
            counts = at_least(&count);
        }
        (self.counted, self.generated, self.depth) = (Some(counts.0), counts.1, counts.2);
    }
}
