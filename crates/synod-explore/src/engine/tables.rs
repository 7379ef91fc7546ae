//! Memoised facts about the system, as numbers. Reading them calls no user code; a fact that is missing is reported as a [`Miss`].
//!
//! A state vector is `[view of each actor, stray inbox, crashes, history]`. A *local* is everything about an actor, an *inbox* the
//! messages on their way to it, and a *view* is a local with an inbox: it has the same steps wherever it occurs. The
//! *stray* inbox holds the messages to receivers that do not exist; it is the view of one more actor, in local 0.

use super::door::{Cause, Door, Standing, Whole};
use super::histories::Histories;
use super::inboxes::Inboxes;
use super::intern::NONE;
use super::plan::Plan;
use super::reactions::Reactions;
use super::reductions::dead::DeadMessages;
use super::views::{Column, Effect, How, Step, Steps, TICK, URGENT};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An entry that is missing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Miss {
    /// The steps of a view.
    Moves { column: usize, view: u32 },
    /// A view with some more envelopes in its inbox.
    Append { column: usize, view: u32, list: u32 },
    /// A view after a tick.
    Age { column: usize, view: u32 },
    /// A history after a note.
    Update { history: u32, note: u32 },
    /// A number of a column after a permutation.
    Image { column: usize, number: u32, by: usize },
    /// A result that is not memoised, and has to be computed each time.
    Rest,
}

/// A change of the tables, for checkpoints.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Memoise(Miss),
    /// Dropped messages were checked.
    Refute,
    /// The exploration started again.
    Restart,
}

pub(super) struct Tables {
    pub plan: Arc<Plan>,
    pub locals: Vec<Standing>,
    pub inboxes: Inboxes,
    pub histories: Histories,
    pub reactions: Reactions,
    /// One per actor, and one for the stray inbox.
    pub columns: Vec<Column>,
    pub steps: Steps,
    pub dead: DeadMessages,
    /// With symmetry: each history after each permutation. Images of views are kept with their columns.
    pub images: Vec<u32>,
    /// The most crashes that any state vector has.
    pub most_crashes: u32,
    /// All changes of the tables after the first state vector, if checkpoints need them.
    pub log: Option<Vec<Change>>,
}

/// No steps of views. With time, there is the step of no view.
fn no_steps(plan: &Plan) -> Steps {
    let mut steps = Steps::default();
    if plan.world.is_timed() {
        // It stands in the column of the stray inbox, which takes no steps with time.
        let step = Step { delta: 0, note: NONE, column: plan.world.actors as u16, how: How::Tick };
        steps.push(step, Effect { view: 0, posts: (0, 0), wakes: 0 }, [0; 2], Cause::Tick);
    }
    steps
}

impl Tables {
    /// Tables without any entry.
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            locals: Vec::new(),
            inboxes: Inboxes::new(plan.world.delivery),
            histories: Histories::new(),
            reactions: Reactions::new(),
            columns: std::iter::repeat_with(Column::new).take(plan.world.actors + 1).collect(),
            steps: no_steps(&plan),
            dead: DeadMessages::default(),
            images: Vec::new(),
            most_crashes: 0,
            log: None,
            plan,
        }
    }

    /// Takes in the facts about locals and envelopes that are new.
    pub(super) fn learn(&mut self, door: &dyn Door) {
        while let Some(standing) = door.standing(self.locals.len() as u32) {
            self.locals.push(standing);
        }
        while let Some(ends) = door.ends(self.inboxes.envelopes() as u32) {
            self.inboxes.learn(ends);
        }
    }

    /// Records a change of the tables, if checkpoints need it.
    pub(super) fn note_down(&mut self, change: Change) {
        if let Some(log) = &mut self.log {
            log.push(change);
        }
    }

    /// Forgets the views and everything made of them, and keeps the outcomes of handlers.
    pub(super) fn forget_views(&mut self) {
        self.columns = std::iter::repeat_with(Column::new).take(self.actors() + 1).collect();
        self.steps = no_steps(&self.plan);
        self.dead.forget_dropped();
        self.most_crashes = 0;
        // States are numbered again, so that the state of a handler's first run is unknown; the first state stands in for it.
        for reaction in &mut self.reactions.all {
            reaction.first_seen = 0;
        }
        self.images.clear();
    }

    pub(super) fn actors(&self) -> usize {
        self.plan.world.actors
    }

    /// The column of an actor, or that of the stray inbox for any other receiver.
    pub(super) fn column(&self, actor: u32) -> usize {
        (actor as usize).min(self.actors())
    }

    pub(super) fn crashes_column(&self) -> usize {
        self.actors() + 1
    }

    pub(super) fn history_column(&self) -> usize {
        self.actors() + 2
    }

    pub(super) fn width(&self) -> usize {
        self.actors() + 3
    }

    /// The number of values in each column at present.
    pub(super) fn counts(&self) -> Vec<u64> {
        let views = self.columns.iter().map(|column| column.len() as u64);
        views.chain([u64::from(self.most_crashes) + 1, self.histories.len() as u64]).collect()
    }

    /// The number of columns with steps. The stray inbox has steps only if messages can be lost.
    pub(super) fn movers(&self) -> usize {
        self.actors() + usize::from(self.plan.world.loss)
    }

    /// The local and the inbox behind a column of a state vector.
    pub(super) fn local_and_inbox(&self, vector: &[u32], column: usize) -> (u32, u32) {
        self.columns[column].of[vector[column] as usize]
    }

    /// True if another crash is possible in a state vector.
    #[inline]
    pub(super) fn crash_fits(&self, vector: &[u32]) -> bool {
        let is_down = |actor: &usize| self.locals[self.local_and_inbox(vector, *actor).0 as usize].down;
        self.plan.world.faults.max_down > 0
            && self
                .plan
                .world
                .faults
                .crash_fits((0..self.actors()).filter(is_down).count(), vector[self.crashes_column()])
    }

    /// The step at a place among those of an expanded state vector: its column and its number.
    pub(super) fn step_at(&self, vector: &[u32], ordinal: u32) -> Option<(usize, u32)> {
        let mut left = ordinal;
        for (column, &view) in vector.iter().enumerate().take(self.movers()) {
            let (start, end) = self.columns[column].steps[view as usize];
            if left < end - start {
                return Some((column, start + left));
            }
            left -= end - start;
        }
        (left == 0 && self.plan.world.is_timed()).then_some((self.actors(), TICK))
    }

    /// True if time can pass in an expanded state vector.
    pub(super) fn tick_fits(&self, vector: &[u32]) -> bool {
        let ages = |(column, view): (&Column, &u32)| {
            column.aged.get(*view as usize).is_some_and(|aged| *aged < URGENT)
        };
        self.plan.world.is_timed() && self.columns.iter().zip(vector).all(ages)
    }

    /// The numbers of all actors' locals.
    pub(super) fn locals_of(&self, vector: &[u32]) -> Vec<u32> {
        (0..self.actors()).map(|actor| self.local_and_inbox(vector, actor).0).collect()
    }

    /// The state that a state vector stands for.
    pub(super) fn whole(&self, vector: &[u32]) -> Whole {
        let inboxes =
            (0..=self.actors()).map(|column| self.inboxes.lists.get(self.local_and_inbox(vector, column).1));
        Whole {
            locals: self.locals_of(vector),
            envelopes: inboxes.flatten().copied().collect(),
            history: self.histories.components(&vector[self.history_column()]).to_vec(),
            crashes: vector[self.crashes_column()],
        }
    }

    /// True if a change can be carried out: its numbers are known.
    pub(super) fn knows(&self, change: Change) -> bool {
        let is_view = |column: usize, view: u32| {
            self.columns.get(column).is_some_and(|column| (view as usize) < column.len())
        };
        let is_history = |history: u32| (history as usize) < self.histories.len();
        match change {
            Change::Memoise(Miss::Moves { column, view } | Miss::Age { column, view }) => {
                is_view(column, view)
            }
            Change::Memoise(Miss::Append { column, view, list }) => {
                is_view(column, view) && (list as usize) < self.inboxes.lists.len()
            }
            Change::Memoise(Miss::Update { history, note }) => {
                is_history(history) && (note as usize) < self.histories.notes()
            }
            Change::Memoise(Miss::Image { column, number, by }) => {
                let known =
                    is_view(column, number) || (column == self.history_column() && is_history(number));
                known && self.plan.symmetry.as_ref().is_some_and(|group| by < group.len())
            }
            Change::Memoise(Miss::Rest) | Change::Refute | Change::Restart => true,
        }
    }

    /// A digest of the tables.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = rustc_hash::FxHasher::default();
        let counts = [
            self.locals.len(),
            self.inboxes.envelopes(),
            self.inboxes.lists.len(),
            self.histories.len(),
            self.histories.notes(),
            self.reactions.failures.len(),
            self.reactions.posts.len(),
            self.histories.known(),
            self.dead.kept(),
        ];
        (counts, self.counts(), self.steps.len()).hash(&mut hasher);
        for reaction in &self.reactions.all {
            let numbers = (reaction.actor, reaction.local, reaction.cause, reaction.next, reaction.sends);
            (numbers, reaction.note, reaction.ignored, reaction.failure).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>()
            + self.locals.capacity() * size_of::<Standing>()
            + self.inboxes.bytes()
            + self.histories.bytes()
            + self.reactions.bytes()
            + self.steps.bytes()
            + self.dead.bytes()
    }
}
