//! A run as a message diagram: one lifeline an actor, one row a step, the same layout in every form.
//!
//! Rows are numbered like the steps of the trace. An arrow starts at the step that sent its message and ends at the step that
//! received it; a message that never arrives is left out. Each form of drawing is a file of its own.

mod svg;
mod text;

use crate::observer::Observer;
use crate::step::Raw;
use crate::symmetry::Renaming;
use crate::system::System;
use crate::{Action, Subject, panics};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A diagram as rows and columns, before it is drawn.
// Files: the layout stands here, and each form in which it is drawn has a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagram {
    /// The name of each lifeline.
    names: Vec<String>,
    /// The actions, one per row, from row 1.
    rows: Vec<Row>,
    /// The number of rows before those that repeat for ever, if there are any.
    cycle: Option<usize>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// The lifeline it happened on.
    actor: usize,
    mark: Mark,
    /// The label.
    label: String,
    /// It was possible, but the actor ignored it.
    ignored: bool,
    /// The renaming that happens after it, in words.
    renamed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// A message from this lifeline, sent in this row (0 for the start), arrived.
    Arrow {
        from: usize,
        sent: usize,
    },
    /// Such a message was lost on its path to `Row::actor`.
    Lost {
        from: usize,
        sent: usize,
    },
    Timeout,
    Choice,
    Crash,
    Recover,
    /// Time passes for all lifelines.
    Tick,
}

/// A place without a lifeline: a sender or a receiver that is no actor of the system.
const OUTSIDE: usize = usize::MAX;

impl Diagram {
    /// Lays out a run. If the actions do not fit the system, they are shown without sends.
    pub fn new<A: Subject, O: Observer<A>>(system: &System<A, O>, actions: &[Action<A>]) -> Self {
        let column = |id: stateright::actor::Id| {
            let index = usize::from(id);
            if index < system.actors.len() { index } else { OUTSIDE }
        };
        let mut state = panics::capture(|| system.initial()).ok();
        // Of each envelope, the rows it was sent in and did not arrive from yet, the earliest first.
        let mut sent: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        if let Some(state) = &state {
            for envelope in state.network.all() {
                sent.entry(envelope.to_cloned_msg()).or_default().push(0);
            }
        }
        let stays = system.network.delivery == crate::Delivery::Set;
        let mut rows = Vec::new();
        for (row, action) in (1..).zip(actions) {
            let taken = state.as_ref().and_then(|state| {
                let possible = system.is_possible(state, action);
                let taken = || panics::capture(|| system.take_raw(state, action)).ok();
                if possible { taken() } else { None }
            });
            let mut sending = |envelope| {
                let rows = sent.entry(envelope).or_default();
                match rows.len() {
                    0 => 0,
                    // A message that stays may arrive again, and then most likely the last copy does.
                    n if stays => rows[n - 1],
                    _ => rows.remove(0),
                }
            };
            let (actor, mark, label) = match action {
                Action::<A>::Deliver { src, dst, msg } => {
                    let sent =
                        sending(stateright::actor::Envelope { src: *src, dst: *dst, msg: msg.clone() });
                    (column(*dst), Mark::Arrow { from: column(*src), sent }, one_line(msg))
                }
                Action::<A>::Drop(envelope) => {
                    let sent = sending(envelope.clone());
                    let label = format!("lost {}", one_line(&envelope.msg));
                    (column(envelope.dst), Mark::Lost { from: column(envelope.src), sent }, label)
                }
                Action::<A>::Timeout(id, timer) => {
                    (column(*id), Mark::Timeout, format!("timeout {}", one_line(timer)))
                }
                Action::<A>::Crash(id) => (column(*id), Mark::Crash, "crash".to_owned()),
                Action::<A>::Recover(id) => (column(*id), Mark::Recover, "recover".to_owned()),
                Action::<A>::SelectRandom { actor, key, random } => {
                    (column(*actor), Mark::Choice, format!("{key} = {}", one_line(random)))
                }
                Action::<A>::Tick => (OUTSIDE, Mark::Tick, "a tick passes".to_owned()),
            };
            let ignored = taken.as_ref().is_some_and(Option::is_none);
            let mut renamed = None;
            if let Some(Raw { next, sent: sends }) = taken.flatten() {
                for envelope in sends {
                    sent.entry(envelope).or_default().push(row);
                }
                let renaming = || system.normal.as_ref()?.renaming(&next);
                if let Some(Renaming { words, message }) = panics::capture(renaming).ok().flatten() {
                    let mut after: BTreeMap<_, Vec<usize>> = BTreeMap::new();
                    for (envelope, rows) in sent {
                        let msg = message(&envelope.msg);
                        after
                            .entry(stateright::actor::Envelope { msg, ..envelope })
                            .or_default()
                            .extend(rows);
                    }
                    for rows in after.values_mut() {
                        rows.sort_unstable();
                    }
                    (sent, renamed) = (after, Some(words));
                }
                state = panics::capture(|| system.rewritten(next)).ok().flatten().or(state);
            }
            rows.push(Row { actor, mark, label, ignored, renamed });
        }
        let names = (0..system.actors.len()).map(|index| system.name(index.into())).collect();
        Self { names, rows, cycle: None }
    }

    /// Puts a bracket around the rows that repeat for ever: all after so many.
    #[must_use]
    pub fn with_cycle(mut self, after: Option<usize>) -> Self {
        self.cycle = after;
        self
    }

    /// True if nothing is done any more after the last row.
    fn stands_still(&self) -> bool {
        self.cycle == Some(self.rows.len())
    }

    /// The rows in which an actor is down, as ranges that start with its crash.
    fn downtimes(&self, actor: usize) -> Vec<(usize, usize)> {
        let mut downtimes = Vec::new();
        let mut since = None;
        for (row, step) in (1..).zip(&self.rows).filter(|(_, step)| step.actor == actor) {
            match step.mark {
                Mark::Crash => since = since.or(Some(row)),
                Mark::Recover => downtimes.extend(since.take().map(|since| (since, row))),
                _ => {}
            }
        }
        downtimes.extend(since.map(|since| (since, self.rows.len() + 1)));
        downtimes
    }
}

fn one_line(value: &impl Debug) -> String {
    format!("{value:?}").split_whitespace().collect::<Vec<_>>().join(" ")
}
