//! The whole graph of a system, state by state, for checks that keep it. This is the only door from outside to the tables.
//!
//! Unlike the search it never reduces anything. It also reports steps that a bound cuts off, since a step that is possible and not
//! followed differs from a step that is not possible.

use super::retrace::{Again, Impure, action_of};
use super::values::Semantics;
use crate::doubt::is_probed;
use crate::engine::door::Door;
use crate::engine::expand::{Candidates, Expanding, Kind, Known, expand};
use crate::engine::intern::NONE;
use crate::engine::memoise::Memoising;
use crate::engine::origins::Origins;
use crate::engine::plan::{Doubtful, Plan};
use crate::engine::reductions::sleep::Asleep;
use crate::engine::scheme::{Hashed, Scheme};
use crate::engine::seen::Table;
use crate::engine::tables::Tables;
use crate::engine::views::{How, Step, TICK};
use crate::observer::Observer;
use crate::report::Rerun;
use crate::state::{Local, State};
use crate::system::System;
use crate::{Action, Subject};
use hashbrown::HashTable;
use std::borrow::Cow;
use std::sync::Arc;

/// A step out of a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    /// Its place among the steps of the state.
    pub ordinal: u32,
    /// Steps with the same number are the same action with the same note.
    pub kind: u32,
    /// The state it leads to; `None` if a bound cuts it off.
    pub to: Option<u32>,
}

/// A panic of user code: the state, its step, and the message.
pub(crate) struct Failed {
    pub state: u32,
    pub ordinal: u32,
    pub message: String,
}

/// Every state found so far, by number, and the means to find more.
pub(crate) struct Steps<'s, A: Subject, O: Observer<A>> {
    semantics: Semantics<'s, A, O>,
    tables: Tables,
    vectors: Vec<u32>,
    index: HashTable<(u64, u32)>,
    origins: Origins,
    found: Candidates<[u64; 1]>,
    /// An empty table: seen states are looked up here as whole vectors.
    seen: Table<Hashed<1>>,
}

impl<'s, A: Subject, O: Observer<A>> Steps<'s, A, O> {
    /// Starts with the initial state, which gets number 0.
    pub(crate) fn new(
        system: &'s System<A, O>,
        initial: &State<A, O>,
        bounded: bool,
    ) -> Result<Self, String> {
        let plan = Arc::new(Plan::whole(system, bounded));
        let mut semantics = Semantics::new(system, &plan, bounded);
        let mut tables = Tables::new(plan);
        tables.reactions.expanding = 0;
        let initial = semantics.whole(initial)?;
        let first = Memoising { tables: &mut tables, door: &mut semantics }.vector(&initial);
        let hash = Hashed::<1>.key(&tables.columns, &first)[0];
        let mut steps = Self {
            semantics,
            tables,
            vectors: Vec::new(),
            index: HashTable::new(),
            origins: Origins::default(),
            found: Candidates::new(),
            seen: Table::new(),
        };
        steps.index.insert_unique(hash, (hash, 0), |&(hash, _)| hash);
        steps.vectors.extend_from_slice(&first);
        steps.origins.push(0, 0);
        Ok(steps)
    }

    /// The number of states so far.
    pub(crate) fn len(&self) -> usize {
        self.origins.len() as usize
    }

    fn vector(&self, state: u32) -> &[u32] {
        let width = self.tables.width();
        &self.vectors[state as usize * width..][..width]
    }

    /// The steps out of a state, in order; states that are new get the next numbers. States must be asked about in order.
    pub(crate) fn expand(&mut self, state: u32, outs: &mut Vec<Out>) -> Result<(), Failed> {
        outs.clear();
        self.tables.reactions.expanding = state;
        let width = self.tables.width();
        let vector = self.vector(state).to_vec();
        self.found.clear();
        let known = Known { scheme: &Hashed::<1>, seen: &self.seen, notes: None, with_vectors: true };
        let key = known.scheme.key(&self.tables.columns, &vector);
        let expanding = Expanding { number: state, vector: &vector, key, asleep: Asleep::NOBODY };
        let mut memoising = Memoising { tables: &mut self.tables, door: &mut self.semantics };
        expand(&mut memoising, expanding, &known, &mut self.found).expect("whatever is missing is found out");
        let found = std::mem::replace(&mut self.found, Candidates::new());
        let mut candidates = found.found.iter().zip(&found.keys).peekable();
        let mut vectors = found.vectors.chunks_exact(width);
        let mut ordinal = 0;
        let crash_fits = self.tables.crash_fits(&vector);
        for (column, &view) in vector.iter().enumerate().take(self.tables.movers()) {
            let (start, end) = self.tables.columns[column].steps[view as usize];
            for kind in start..end {
                let candidate = candidates.next_if(|(candidate, _)| candidate.ordinal == ordinal);
                match candidate.map(|(candidate, key)| (candidate.kind(), key[0])) {
                    Some((Kind::Successor { .. }, hash)) => {
                        let vector = vectors.next().expect("each successor has a row");
                        let to = self.number(hash, vector, state, ordinal);
                        outs.push(Out { ordinal, kind, to: Some(to) });
                    }
                    Some((Kind::Failed(failure), _)) => {
                        let message = self.tables.reactions.failures[failure as usize].clone();
                        return Err(Failed { state, ordinal, message });
                    }
                    None if self.is_cut(&vector, kind, crash_fits) => {
                        outs.push(Out { ordinal, kind, to: None });
                    }
                    Some((Kind::Noted(_), _)) | None => {}
                }
                ordinal += 1;
            }
        }
        match candidates.next().map(|(candidate, key)| (candidate.kind(), key[0])) {
            Some((Kind::Successor { .. }, hash)) => {
                let vector = vectors.next().expect("each successor has a row");
                let to = self.number(hash, vector, state, ordinal);
                outs.push(Out { ordinal, kind: TICK, to: Some(to) });
            }
            Some((Kind::Failed(failure), _)) => {
                let message = self.tables.reactions.failures[failure as usize].clone();
                return Err(Failed { state, ordinal, message });
            }
            None if self.tables.tick_fits(&vector) => outs.push(Out { ordinal, kind: TICK, to: None }),
            Some((Kind::Noted(_), _)) | None => {}
        }
        self.found = found;
        Ok(())
    }

    /// True if a step that leads nowhere is possible all the same: neither ignored nor a crash too many.
    fn is_cut(&self, vector: &[u32], kind: u32, crash_fits: bool) -> bool {
        let Step { how, note, .. } = self.tables.steps.hot[kind as usize];
        let history = vector[self.tables.history_column()];
        match how {
            How::Plain | How::Pruned | How::Tick => true,
            How::Crash => crash_fits,
            // It is a step if it changes the history.
            How::Ignored if note != NONE => self.tables.histories.updated(history, note) != Some(history),
            How::Ignored | How::Nothing | How::Failed => false,
        }
    }

    fn number(&mut self, hash: u64, vector: &[u32], parent: u32, ordinal: u32) -> u32 {
        let (width, vectors) = (vector.len(), &self.vectors);
        let same = |&(h, at): &(u64, u32)| h == hash && vectors[at as usize * width..][..width] == *vector;
        if let Some(&(_, known)) = self.index.find(hash, same) {
            return known;
        }
        let new = self.origins.len();
        self.index.insert_unique(hash, (hash, new), |&(hash, _)| hash);
        self.vectors.extend_from_slice(vector);
        self.origins.push(parent, ordinal);
        new
    }

    /// Probes the doubtful boundary with a state, and looks at some states closely. True if it has refused one.
    pub(crate) fn is_refused(&self, state: u32) -> Result<bool, String> {
        let closely = self.tables.plan.doubt != Doubtful::Nothing && is_probed(state);
        if closely || self.tables.plan.doubt == Doubtful::Boundary {
            self.semantics.probe(&self.tables.whole(self.vector(state)), closely)?;
        }
        Ok(self.semantics.is_refused())
    }

    /// The state behind a number.
    pub(crate) fn state(&self, state: u32) -> State<A, O> {
        self.semantics.state(&self.tables.whole(self.vector(state)))
    }

    /// True if the system knows time.
    pub(crate) fn is_timed(&self) -> bool {
        self.tables.plan.world.is_timed()
    }

    /// The number of actors.
    pub(crate) fn actors(&self) -> usize {
        self.tables.actors()
    }

    /// The number of the history of a state.
    pub(crate) fn history(&self, state: u32) -> u32 {
        self.vector(state)[self.tables.history_column()]
    }

    /// A history by its number.
    pub(crate) fn history_of(&self, history: u32) -> Cow<'_, O::History> {
        self.semantics.history(self.tables.histories.components(&history))
    }

    /// The number of an actor's local in a state.
    pub(crate) fn local(&self, state: u32, actor: usize) -> u32 {
        self.tables.local_and_inbox(self.vector(state), actor).0
    }

    /// A local by its number.
    pub(crate) fn local_of(&self, local: u32) -> &Arc<Local<A>> {
        self.semantics.locals.get(local)
    }

    /// The action of a step of an expanded state, and the observer's note of it.
    pub(crate) fn action(&self, state: u32, out: Out) -> (Action<A>, Option<&O::Note>) {
        let note = self.tables.steps.hot[out.kind as usize].note;
        let note = (note != NONE).then(|| self.semantics.notes.get(note));
        (self.action_of(state, out.kind), note)
    }

    /// The action of a step of an expanded state, by its kind.
    fn action_of(&self, state: u32, kind: u32) -> Action<A> {
        let Step { column, .. } = self.tables.steps.hot[kind as usize];
        let (local, _) = self.tables.local_and_inbox(self.vector(state), column.into());
        action_of(&self.semantics, u32::from(column), local, self.tables.steps.causes[kind as usize])
    }

    /// The action of a step of an expanded state, by its place.
    pub(crate) fn action_at(&self, state: u32, ordinal: u32) -> Action<A> {
        let step = self.tables.step_at(self.vector(state), ordinal);
        self.action_of(state, step.expect("a state that was left has all its steps").1)
    }

    /// The path to a state, run again with the real actors.
    pub(crate) fn trace(&mut self, state: u32, ordinal: Option<u32>) -> Result<Vec<Action<A>>, Impure<A>> {
        self.again(|again| again.trace(state, ordinal))
    }

    /// Repeats a sample of the handler calls, for so many steps.
    pub(crate) fn verify(&mut self, steps: u64) -> Result<Rerun, Impure<A>> {
        self.again(|again| again.verify(steps))
    }

    fn again<T>(&mut self, what: impl FnOnce(&mut Again<'_, 's, A, O>) -> T) -> T {
        let first = self.vector(0).to_vec();
        let Self { semantics, tables, origins, .. } = self;
        what(&mut Again { semantics, tables, origins, first: &first })
    }

    /// The number of handler calls.
    pub(crate) fn handler_calls(&self) -> u64 {
        self.tables.reactions.calls
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.vectors.capacity() * 4
            + self.index.allocation_size()
            + self.origins.bytes()
            + self.tables.bytes()
            + self.semantics.bytes()
            + self.found.bytes()
    }
}
