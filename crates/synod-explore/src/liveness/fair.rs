//! Fair cycles: strongly connected components are split until each is fair or gone.
//!
//! The question is whether a run that stays for ever in some set of states can meet every fairness condition (a Streett
//! condition on steps). Such a run visits some states and takes some steps infinitely often, and these are strongly
//! connected. So it is enough to look at components:
//!
//! - *weak*: if a class is enabled in every state of a component and no step of it stays inside, then this is also so of
//!   each subset of it, and no run that stays there is fair.
//! - *strong*: if a class is enabled in some states of a component and no step of it stays inside, then a fair run that
//!   stays there leaves these states for good. They are removed, and the rest is split again.
//! - else a run that takes every step of the component for ever meets every condition.
//!
//! Standing still for ever is always possible; so a single state without a step to itself is a component too, and
//! fair if none of the classes that are to be fair is enabled in it.

use crate::report::Why;

/// Classes of steps, as a set.
pub(super) type Classes = u128;

/// The class of ticks, in a system with time; see `time.rs`.
pub(super) const TICKS: Classes = 1 << (Classes::BITS - 1);

/// The graph: of each state its steps, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// The index of the first step of each state, and at the end the number of steps.
    pub starts: Vec<usize>,
    /// The successor by each step.
    pub to: Vec<u32>,
    /// The label of each step.
    pub label: Vec<u16>,
    /// The meaning of each label.
    pub labels: Vec<Label>,
    /// The classes that are enabled in each state, also by steps that lead out of bounds.
    pub enabled: Vec<Classes>,
}

/// The facts about a step that fairness needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Label {
    /// The classes that it belongs to.
    pub classes: Classes,
    /// It is taken only finitely often, and so not on a cycle.
    pub ceases: bool,
}

/// The classes that are to be fair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demands {
    pub weak: Classes,
    pub strong: Classes,
}

impl Graph {
    pub(super) fn len(&self) -> usize {
        self.enabled.len()
    }

    /// The steps of a state, by number.
    pub(super) fn steps(&self, state: u32) -> std::ops::Range<usize> {
        self.starts[state as usize]..self.starts[state as usize + 1]
    }

    pub(super) fn label_of(&self, step: usize) -> Label {
        self.labels[usize::from(self.label[step])]
    }

    pub(super) fn bytes(&self) -> usize {
        self.starts.capacity() * 8
            + self.to.capacity() * 4
            + self.label.capacity() * 2
            + self.labels.capacity() * size_of::<Label>()
            + self.enabled.capacity() * 16
    }
}

/// A state that belongs to nothing.
pub(super) const NOWHERE: u32 = 0;

/// Of each state the fair component that it lies in, from 1; [`NOWHERE`] if it lies in none.
///
/// Only states of the region are looked at. With `visit`, a component must have one of these states.
///
/// # Errors
/// If `give_up` gives a reason.
pub(super) fn components(
    graph: &Graph,
    demands: Demands,
    region: &[bool],
    visit: Option<&[bool]>,
    give_up: &mut dyn FnMut() -> Option<Why>,
) -> Result<Vec<u32>, Why> {
    let mut components = StrongComponents {
        graph,
        component: region.iter().map(|&inside| u32::from(inside)).collect(),
        order: vec![0; graph.len()],
        low: vec![0; graph.len()],
        next_component: 1,
    };
    let mut fair = vec![NOWHERE; graph.len()];
    let mut next_fair = NOWHERE;
    let all: Vec<u32> = (0..graph.len() as u32).filter(|&state| region[state as usize]).collect();
    let mut pending = vec![(1, all)];
    while let Some((component, states)) = pending.pop() {
        let mut found = Vec::new();
        components.split(component, &states, give_up, &mut |component| found.push(component.to_vec()))?;
        for component in found {
            let id = components.fresh();
            components.put(&component, id);
            let (mut taken, mut always, mut ever) = (0, Classes::MAX, 0);
            for &state in &component {
                always &= graph.enabled[state as usize];
                ever |= graph.enabled[state as usize];
                for step in graph.steps(state) {
                    let label = graph.label_of(step);
                    if !label.ceases && components.component[graph.to[step] as usize] == id {
                        taken |= label.classes;
                    }
                }
            }
            let visits = visit.is_none_or(|visit| component.iter().any(|&state| visit[state as usize]));
            if !visits || demands.weak & always & !taken != 0 {
                components.put(&component, NOWHERE);
                continue;
            }
            let neglected = demands.strong & ever & !taken;
            if neglected == 0 {
                next_fair += 1;
                for &state in &component {
                    fair[state as usize] = next_fair;
                    components.component[state as usize] = NOWHERE;
                }
                continue;
            }
            let (gone, left): (Vec<u32>, Vec<u32>) =
                component.into_iter().partition(|&state| graph.enabled[state as usize] & neglected != 0);
            components.put(&gone, NOWHERE);
            if !left.is_empty() {
                pending.push((id, left));
            }
        }
    }
    Ok(fair)
}

/// States in components; only steps within a component count.
struct StrongComponents<'g> {
    graph: &'g Graph,
    /// The component of each state; [`NOWHERE`] if it was removed.
    component: Vec<u32>,
    /// The order in which states were first visited, from 1; 0 if not yet. Tarjan's algorithm.
    order: Vec<u32>,
    /// The earliest state that can be reached and is still open.
    low: Vec<u32>,
    next_component: u32,
}

/// States that are looked at before the clock is.
const PATIENCE: u32 = 1 << 14;

impl StrongComponents<'_> {
    fn put(&mut self, states: &[u32], component: u32) {
        for &state in states {
            self.component[state as usize] = component;
        }
    }

    fn fresh(&mut self) -> u32 {
        self.next_component += 1;
        self.next_component
    }

    /// Finds the strongly connected components of a component (Tarjan 1972), without recursion.
    fn split(
        &mut self,
        component: u32,
        states: &[u32],
        give_up: &mut dyn FnMut() -> Option<Why>,
        report: &mut dyn FnMut(&[u32]),
    ) -> Result<(), Why> {
        for &state in states {
            self.order[state as usize] = 0;
        }
        let mut met = 0;
        let mut open: Vec<u32> = Vec::new();
        let mut closed = vec![];
        // The path to the present state: each state with its next step.
        let mut path: Vec<(u32, usize)> = Vec::new();
        for &root in states {
            if self.order[root as usize] != 0 {
                continue;
            }
            path.push((root, self.graph.starts[root as usize]));
            while let Some((state, step)) = path.last_mut() {
                let (state, at) = (*state, *step);
                if self.order[state as usize] == 0 {
                    met += 1;
                    if met % PATIENCE == 0
                        && let Some(why) = give_up()
                    {
                        return Err(why);
                    }
                    self.order[state as usize] = met;
                    self.low[state as usize] = met;
                    open.push(state);
                }
                if at < self.graph.starts[state as usize + 1] {
                    *step += 1;
                    let next = self.graph.to[at];
                    if self.component[next as usize] != component || self.graph.label_of(at).ceases {
                        continue;
                    }
                    match self.order[next as usize] {
                        0 => path.push((next, self.graph.starts[next as usize])),
                        CLOSED => {}
                        order => self.low[state as usize] = self.low[state as usize].min(order),
                    }
                    continue;
                }
                path.pop();
                let low = self.low[state as usize];
                if let Some((parent, _)) = path.last() {
                    self.low[*parent as usize] = self.low[*parent as usize].min(low);
                }
                if low == self.order[state as usize] {
                    let from = open.iter().rposition(|&other| other == state).expect("it is open");
                    for &member in &open[from..] {
                        self.order[member as usize] = CLOSED;
                    }
                    closed.clear();
                    closed.extend(open.drain(from..));
                    report(&closed);
                }
            }
        }
        Ok(())
    }
}

/// The order of a state whose component is known.
const CLOSED: u32 = u32::MAX;
