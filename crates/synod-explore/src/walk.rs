//! One run at a time, each step chosen from outside: by a seed, by a fuzzer, or from a trace.
//!
//! Many runs may find an error although there are too many states to explore. A run is decided by
//! the choices alone, and [`shrink`] makes one that found something short.

use crate::observer::Observer;
use crate::state::State;
use crate::step::{Outcome, Reaction};
use crate::system::System;
use crate::watch::Watch;
use crate::{Action, Subject, panics};
use rustc_hash::FxHashMap;
use stateright::actor::Id;
use std::fmt::{self, Debug, Formatter};

/// A run.
pub struct Walk<A: Subject> {
    /// The actions that were taken, ignored ones left out.
    pub actions: Vec<Action<A>>,
    /// The property that is violated at the end, and how.
    pub violation: Option<(&'static str, String)>,
    /// The message of a panic of user code, at the last action or at the state after it.
    pub panicked: Option<String>,
}

impl<A: Subject> Walk<A> {
    /// True if the run found something.
    pub fn failed(&self) -> bool {
        self.violation.is_some() || self.panicked.is_some()
    }
}

impl<A: Subject> Clone for Walk<A> {
    fn clone(&self) -> Self {
        let Self { actions, violation, panicked } = self;
        Self { actions: actions.clone(), violation: violation.clone(), panicked: panicked.clone() }
    }
}

impl<A: Subject> Debug for Walk<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("actions", &self.actions)
            .field("violation", &self.violation)
            .field("panicked", &self.panicked)
            .finish()
    }
}

/// The effect of an action, as far as it is computed before the action is taken.
enum Ahead<A: Subject, O: Observer<A>> {
    /// This will happen to the actor that it is about.
    Reaction(Reaction<A, O>),
    /// The state afterwards, rewritten, and the observer's note.
    State(Box<State<A, O>>, Option<O::Note>),
}

/// A run in progress.
struct Runner<'s, A: Subject, O: Observer<A>> {
    system: &'s System<A, O>,
    watch: Watch<'s, A, O>,
    state: State<A, O>,
    walk: Walk<A>,
}

impl<'s, A: Subject, O: Observer<A>> Runner<'s, A, O> {
    /// Starts a run; the walk itself if it fails at once.
    fn start(system: &'s System<A, O>) -> Result<Self, Walk<A>> {
        let mut walk = Walk { actions: Vec::new(), violation: None, panicked: None };
        match panics::capture(|| system.initial()) {
            Ok(state) => {
                let mut runner = Self { system, watch: Watch::new(system), state, walk };
                runner.look(None);
                if runner.walk.failed() { Err(runner.walk) } else { Ok(runner) }
            }
            Err(message) => {
                walk.panicked = Some(message);
                Err(walk)
            }
        }
    }

    fn look(&mut self, note: Option<&O::Note>) {
        let (watch, state, step) = (&mut self.watch, &self.state, self.walk.actions.len());
        match panics::capture(|| watch.see(step, state, note)) {
            Ok(()) => self.walk.violation = self.watch.violation(),
            Err(message) => self.walk.panicked = Some(message),
        }
    }

    /// The effect of an action; `None` if it is ignored or leads out of bounds. A panic counts as an effect.
    fn outcome(&self, action: &Action<A>) -> Option<Result<Ahead<A, O>, String>> {
        let ahead = panics::capture(|| {
            // Only the state itself shows whether it can be rewritten, so it is made at once.
            if self.system.normal.is_some() {
                let taken = self.system.take(&self.state, action);
                return taken.next.map(|state| Ahead::State(Box::new(state), taken.note));
            }
            match self.system.outcome(&self.state, action) {
                Outcome::Nothing(_) => None,
                Outcome::Change(reaction) => Some(Ahead::Reaction(reaction)),
            }
        });
        ahead.transpose()
    }

    /// Takes a step; false if the run ends with it.
    fn take(&mut self, action: Action<A>, outcome: Result<Ahead<A, O>, String>) -> bool {
        let taken = outcome.and_then(|ahead| match ahead {
            Ahead::State(state, note) => {
                self.state = *state;
                Ok(note)
            }
            Ahead::Reaction(reaction) => {
                let (system, state, note) = (self.system, &mut self.state, reaction.note.clone());
                panics::capture(|| system.commit(state, &action, reaction)).map(|()| note)
            }
        });
        self.walk.actions.push(action);
        match taken {
            Ok(note) => self.look(note.as_ref()),
            Err(message) => self.walk.panicked = Some(message),
        }
        !self.walk.failed()
    }
}

/// Runs a system by choices: each time one of `n` possible actions that are not ignored, by its index.
///
/// The run ends with the first violation or panic, when nothing is possible, or after `max_steps`.
pub fn walk<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    mut choices: impl FnMut(usize) -> usize,
    max_steps: usize,
) -> Walk<A> {
    let mut runner = match Runner::start(system) {
        Ok(runner) => runner,
        Err(walk) => return walk,
    };
    for _ in 0..max_steps {
        let possible = system.possible(&runner.state).into_iter();
        let mut effective: Vec<_> =
            possible.filter_map(|action| runner.outcome(&action).map(|outcome| (action, outcome))).collect();
        if effective.is_empty() {
            break;
        }
        let choice = choices(effective.len()) % effective.len();
        let (action, outcome) = effective.swap_remove(choice);
        if !runner.take(action, outcome) {
            break;
        }
    }
    runner.walk
}

/// Runs a system by a scheduler that sees the possible actions, those that will be ignored included, and
/// names one by its index. It is asked again, without that one, if the action turns out to be ignored; so
/// this is faster than [`walk`].
pub fn walk_by<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    mut pick: impl FnMut(&[Action<A>]) -> usize,
    max_steps: usize,
) -> Walk<A> {
    let mut runner = match Runner::start(system) {
        Ok(runner) => runner,
        Err(walk) => return walk,
    };
    for _ in 0..max_steps {
        let mut possible = system.possible(&runner.state);
        let (action, outcome) = loop {
            if possible.is_empty() {
                return runner.walk;
            }
            let choice = pick(&possible) % possible.len();
            let action = possible.swap_remove(choice);
            if let Some(outcome) = runner.outcome(&action) {
                break (action, outcome);
            }
        };
        if !runner.take(action, outcome) {
            break;
        }
    }
    runner.walk
}

/// Runs a system along some actions, and skips those that are not possible or ignored at their place.
pub fn follow<A: Subject, O: Observer<A>>(system: &System<A, O>, actions: &[Action<A>]) -> Walk<A> {
    let mut runner = match Runner::start(system) {
        Ok(runner) => runner,
        Err(walk) => return walk,
    };
    for action in actions {
        if system.is_possible(&runner.state, action)
            && let Some(outcome) = runner.outcome(action)
            && !runner.take(action.clone(), outcome)
        {
            break;
        }
    }
    runner.walk
}

/// Removes steps from a run as long as the rest, followed leniently, still fails. The result cannot be
/// shortened by removing any one step.
pub fn shrink<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    actions: &[Action<A>],
    still_fails: impl Fn(&Walk<A>) -> bool,
) -> Vec<Action<A>> {
    let first = follow(system, actions);
    if !still_fails(&first) {
        return actions.to_vec();
    }
    let mut best = first.actions;
    let mut chunk = best.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shortened = false;
        while at < best.len() {
            let end = (at + chunk).min(best.len());
            let candidate: Vec<_> = best[..at].iter().chain(&best[end..]).cloned().collect();
            let walk = follow(system, &candidate);
            if still_fails(&walk) && walk.actions.len() < best.len() {
                // The following steps moved here, so the same place is tried again.
                best = walk.actions;
                shortened = true;
            } else {
                at = end;
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if !shortened {
            return best;
        }
    }
}

/// Random numbers that depend on a seed alone (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers that belong to a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }
}

/// The owner of a priority.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Channel(Id, Id),
    Loss(Id, Id),
    Timers(Id),
    Faults(Id),
    Choices(Id),
    Time,
}

fn lane<A: Subject>(action: &Action<A>) -> Lane {
    match action {
        Action::<A>::Deliver { src, dst, .. } => Lane::Channel(*src, *dst),
        Action::<A>::Drop(envelope) => Lane::Loss(envelope.src, envelope.dst),
        Action::<A>::Timeout(id, _) => Lane::Timers(*id),
        Action::<A>::Crash(id) | Action::<A>::Recover(id) => Lane::Faults(*id),
        Action::<A>::SelectRandom { actor, .. } => Lane::Choices(*actor),
        Action::<A>::Tick => Lane::Time,
    }
}

/// A scheduler by random priorities: one for each channel, and for the timers, faults and choices of each
/// actor. The highest goes first, and at a few random steps the one that would go first becomes the lowest.
///
/// A bug that needs few actors to be slow at the right moment is found by that sooner than by choosing evenly,
/// which makes every actor about equally slow.
pub struct Priorities {
    dice: Dice,
    lanes: FxHashMap<Lane, u64>,
    /// Out of how many steps one changes a priority.
    every: usize,
    lowest: u64,
}

impl Priorities {
    /// The scheduler that belongs to a seed, for runs of about `steps` steps with about `changes` changes.
    pub fn new(seed: u64, steps: usize, changes: usize) -> Self {
        let every = (steps / changes.max(1)).max(1);
        Self { dice: Dice::new(seed), lanes: FxHashMap::default(), every, lowest: 1 << 32 }
    }

    /// The index of the action to take.
    pub fn pick<A: Subject>(&mut self, possible: &[Action<A>]) -> usize {
        if self.dice.below(self.every) == 0
            && let Some(first) = self.first::<A>(possible)
        {
            self.lowest -= 1;
            self.lanes.insert(lane::<A>(&possible[first]), self.lowest);
        }
        self.first::<A>(possible).unwrap_or(0)
    }

    fn first<A: Subject>(&mut self, possible: &[Action<A>]) -> Option<usize> {
        // Messages of one channel share a lane; which of them goes first is even odds.
        let offset = self.dice.below(possible.len());
        let mut best: Option<(u64, usize)> = None;
        for n in 0..possible.len() {
            let index = (n + offset) % possible.len();
            let dice = &mut self.dice;
            let new = || (1 << 32) + (dice.roll() >> 1);
            let priority = *self.lanes.entry(lane::<A>(&possible[index])).or_insert_with(new);
            if best.is_none_or(|(highest, _)| priority > highest) {
                best = Some((priority, index));
            }
        }
        best.map(|(_, index)| index)
    }
}
