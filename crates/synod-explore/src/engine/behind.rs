//! States are counted over the rows that they share by threads of their own, a little behind those that explore the rows.
//!
//! Whoever explores says which steps there are, some states at a time, and is told which of them lead to rows that are new. Until then
//! there are other states to leave, except at the end of a block. Whoever is behind has states to count in the meantime. If that has
//! become so much that there is no end to it, whoever explores looks up the rows too, and only says how it came out.

use super::blocks::{Ended, Run, runs};
use super::budget::Budget;
use super::expand::Candidates;
use super::fibers::Count;
use super::graph::{Graph, LookedUp, Numbers};
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
    /// Where they lead, if that was looked up by who sends them.
    looked_up: LookedUp,
    is_looked_up: bool,
}

/// What somebody behind is asked for.
enum Errand {
    /// To take in some steps.
    Extend(Portion),
    /// To lend the numbers of rows, if possible.
    Lend,
    /// To take them back.
    TakeBack(Numbers),
}

enum Reply {
    Extended(Portion, Told),
    Lent(Option<Numbers>),
}

/// The rows with the steps between them, and the states over them.
pub(super) struct Counting {
    pub graph: Graph,
    pub count: Count,
    pub pool: Option<rayon::ThreadPool>,
}

/// Who is behind, to talk to.
pub(super) struct Behind {
    errands: Sender<Errand>,
    /// Never locked: they are only wrapped up so that threads may look at the search that this is part of.
    replies: Mutex<Receiver<Reply>>,
    thread: JoinHandle<Counting>,
    waiting: usize,
    /// Portions to be used again.
    spare: Vec<Portion>,
    /// The numbers of rows, if they are looked up by who explores.
    numbers: Option<Numbers>,
    told: Told,
}

/// What is told of the counting.
#[derive(Clone, Copy, Default)]
struct Told {
    bytes: usize,
    full: bool,
    /// Whether there has been more to do all the time.
    busy: bool,
}

impl Behind {
    /// Begins to count, in so many threads.
    pub(super) fn begin(counting: Counting) -> Self {
        let (errands, coming) = mpsc::channel();
        let (done, replies) = mpsc::channel();
        let thread = thread::Builder::new().name("counting".to_owned());
        let thread = thread.spawn(move || counting.follow(&coming, &done)).expect("the system has threads");
        let (replies, told) = (Mutex::new(replies), Told::default());
        Self { errands, replies, thread, waiting: 0, spare: Vec::new(), numbers: None, told }
    }

    fn ask(&self, errand: Errand) {
        self.errands.send(errand).expect("somebody is behind");
    }

    fn reply(&mut self) -> Reply {
        self.replies.get_mut().expect("it is never locked").recv().expect("somebody is behind")
    }

    fn send(&mut self, portion: Portion) {
        self.waiting += 1;
        self.ask(Errand::Extend(portion));
    }

    /// The portion that was sent first, with what is new marked.
    fn next(&mut self) -> Option<Portion> {
        self.waiting = self.waiting.checked_sub(1)?;
        let Reply::Extended(portion, told) = self.reply() else { unreachable!("it was sent first") };
        self.told = told;
        Some(portion)
    }

    /// Says who looks up rows next: whoever has less to do.
    fn share_out(&mut self) {
        match self.numbers.take() {
            None if self.told.busy && self.waiting == 0 => {
                self.ask(Errand::Lend);
                let Reply::Lent(numbers) = self.reply() else { unreachable!("nothing else was asked for") };
                self.numbers = numbers;
            }
            Some(numbers) if !self.told.busy => self.ask(Errand::TakeBack(numbers)),
            numbers => self.numbers = numbers,
        }
    }

    /// Looks up the rows that some steps lead to, unless others do.
    fn look_up(&mut self, portion: &mut Portion) {
        portion.is_looked_up = self.numbers.is_some();
        if let Some(numbers) = &mut self.numbers {
            numbers.look_up(&portion.found, &portion.runs, &mut portion.looked_up);
        }
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.told.bytes + self.numbers.as_ref().map_or(0, Numbers::bytes)
    }

    /// Whether there is no number left for another step.
    pub(super) fn is_full(&self) -> bool {
        self.told.full
    }

    /// No more steps come.
    pub(super) fn end(self) -> Counting {
        drop(self.errands);
        self.thread.join().expect("nothing there panics")
    }
}

impl Counting {
    /// Does what is asked for, and counts as long as nothing is.
    fn follow(mut self, errands: &Receiver<Errand>, replies: &Sender<Reply>) -> Self {
        let (mut explored, mut busy) = (0, true);
        loop {
            let errand = match errands.try_recv() {
                Err(TryRecvError::Empty) if self.count.go_on(&self.graph, self.pool.as_ref(), explored) => {
                    continue;
                }
                Err(TryRecvError::Empty) => {
                    busy = false;
                    errands.recv().ok()
                }
                errand => errand.ok(),
            };
            let reply = match errand {
                None => return self,
                Some(Errand::TakeBack(numbers)) => {
                    self.graph.take_back(numbers);
                    continue;
                }
                Some(Errand::Lend) => Reply::Lent(self.graph.lend()),
                Some(Errand::Extend(portion)) => {
                    explored = portion.explored;
                    let Portion { found, runs, end, .. } = &portion;
                    if portion.is_looked_up {
                        self.graph.extend_to(&portion.looked_up, found, runs, *end);
                    } else {
                        self.graph.extend(self.pool.as_ref(), found, runs, *end);
                    }
                    let (bytes, full) = (self.graph.bytes() + self.count.bytes(), self.graph.is_full());
                    Reply::Extended(portion, Told { bytes, full, busy: std::mem::replace(&mut busy, true) })
                }
            };
            // Nobody waits for it if something went wrong.
            _ = replies.send(reply);
        }
    }
}

impl<A: Subject, O: Observer<A>> Search<'_, A, O> {
    /// Leaves the states of a block, with somebody behind. Gives up half-way if the time is up.
    pub(super) fn explore_ahead(&mut self, block: Range<u32>, budget: &Budget<'_>) -> Option<Why> {
        let mut behind = self.behind.take().expect("somebody is behind");
        behind.share_out();
        let (mut ahead, mut given_up) = (block.start, None);
        loop {
            let ended = ahead == block.end || given_up.is_some();
            if !ended && behind.waiting < WAITING {
                let end = block.end.min(ahead + self.portion(self.pace.portion));
                let mut portion = behind.spare.pop().unwrap_or_default();
                given_up = self.expand_portion(&mut portion, ahead..end, budget);
                if given_up.is_some() {
                    continue;
                }
                ahead = end;
                behind.look_up(&mut portion);
                if portion.is_looked_up {
                    given_up = self.take_in_portion(&mut portion, budget);
                }
                behind.send(portion);
            } else if ended && behind.numbers.is_some() {
                break;
            } else if let Some(mut portion) = behind.next() {
                if !portion.is_looked_up {
                    given_up = given_up.or(self.take_in_portion(&mut portion, budget));
                }
                behind.spare.push(portion);
            } else {
                break;
            }
            if self.failure.is_some() {
                ahead = block.end;
            }
        }
        self.behind = Some(behind);
        given_up
    }

    /// Takes in what was found, unless it comes after a failure.
    fn take_in_portion(&mut self, portion: &mut Portion, budget: &Budget<'_>) -> Option<Why> {
        if self.failure.is_some() {
            return None;
        }
        self.take_in_all::<Hashed<1>>(&mut portion.found, &portion.runs, &(self.level.start..portion.end));
        self.level.start = portion.end;
        self.ask_states(budget)
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
        let (rows, generated, depth) = (u64::from(self.origins.len()), self.generated, self.reached);
        let at_least = |count: &Count| {
            let counted = &count.counted;
            (counted.unique.max(rows), counted.generated.max(generated), counted.depth.max(depth))
        };
        let tell = |count: &Count| {
            let (unique, generated, depth) = at_least(count);
            self.tell_counts(options, budget, (unique, generated, depth, count.frontier()));
        };
        let given_up = count.finish(&graph, pool.as_ref(), (budget, bytes), tell);
        let counted = &count.counted;
        let mut counts = (counted.unique, counted.generated, counted.depth);
        ending.cut |= counted.cut;
        if given_up.is_some() {
            (ending.incomplete, ending.exhausted) = (given_up, false);
            counts = at_least(&count);
        }
        (self.counted, self.generated, self.reached) = (Some(counts.0), counts.1, counts.2);
    }
}
