//! Finds lassos: a shortest path to a state on a fair cycle, and the shortest fair cycle through it that can be afforded.

use super::fair::{Classes, Demands, Graph, NOWHERE};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// The states of a property, which decide the runs it is about.
pub(super) struct Ask<'g> {
    /// The states in which something becomes due. `None`: in the initial state alone.
    pub from: Option<&'g [bool]>,
    /// The states in which it is done.
    pub to: &'g [bool],
    /// The goal must stay reached in the end: a run that leaves these states again and again, for ever, is at fault.
    pub stays: bool,
}

/// States in which a goal can be due, in the order of their distance, and a shortest path to each.
pub(super) struct Due {
    /// The goal states.
    pub region: Vec<bool>,
    /// The same, the nearest first.
    pub nearest: Vec<u32>,
    /// (state, whether it is due) to the same of the state before, packed; itself for the first.
    parent: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

fn pack(state: u32, due: bool) -> u32 {
    state * 2 + u32::from(due)
}

impl Due {
    /// Finds them, breadth first.
    pub(super) fn find(graph: &Graph, ask: &Ask<'_>) -> Due {
        let mut due = Due {
            region: vec![false; graph.len()],
            nearest: Vec::new(),
            parent: vec![UNSEEN; graph.len() * 2],
        };
        let mut queue = VecDeque::new();
        let waits = |state: u32| ask.stays || !ask.to[state as usize];
        let starts = |state: u32| match ask.from {
            _ if ask.stays => state == 0,
            Some(from) => from[state as usize] && waits(state),
            None => state == 0 && waits(state),
        };
        let see = |due: &mut Due, queue: &mut VecDeque<u32>, node: u32, parent: u32| {
            if due.parent[node as usize] != UNSEEN {
                return;
            }
            due.parent[node as usize] = parent;
            queue.push_back(node);
            if node % 2 == 1 {
                due.region[node as usize / 2] = true;
                due.nearest.push(node / 2);
            }
        };
        // If the goal is due in the first state only, no path to another state is needed.
        let anywhere = ask.from.is_some() && !ask.stays;
        if anywhere || !starts(0) {
            if anywhere {
                see(&mut due, &mut queue, pack(0, false), pack(0, false));
            }
        } else {
            see(&mut due, &mut queue, pack(0, true), pack(0, true));
        }
        while let Some(node) = queue.pop_front() {
            let (state, is_due) = (node / 2, node % 2 == 1);
            if !is_due && starts(state) {
                see(&mut due, &mut queue, pack(state, true), node);
            }
            for step in graph.steps(state) {
                let next = graph.to[step];
                if !is_due || waits(next) {
                    see(&mut due, &mut queue, pack(next, is_due), node);
                }
            }
        }
        due
    }

    /// The states on a shortest path to a state in which the goal is due, both ends included; and the place on it at which it
    /// became due.
    pub(super) fn path(&self, state: u32) -> (Vec<u32>, usize) {
        let mut path = Vec::new();
        let mut node = pack(state, true);
        let mut since = 0;
        loop {
            if path.last() != Some(&(node / 2)) {
                path.push(node / 2);
            }
            if node % 2 == 1 {
                since = path.len();
            }
            let parent = self.parent[node as usize];
            // Becoming due takes no step; and a step from a state to itself is on no shortest path.
            if parent == node {
                break;
            }
            node = parent;
        }
        path.reverse();
        let since = path.len() - since;
        (path, since)
    }
}

/// The most pairs of a state and met conditions that are looked at for a shortest cycle, before any cycle will do.
const AFFORDABLE: usize = 1 << 20;

/// The conditions that a path along a cycle has met so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Met {
    /// Weak classes that were disabled somewhere or taken.
    weak: Classes,
    /// Strong classes that were enabled somewhere.
    asked: Classes,
    /// Strong classes that were taken.
    taken: Classes,
    /// A state was visited that has to be.
    visited: bool,
}

/// The graph and the demands of a search for a cycle.
pub(super) struct Cycles<'g> {
    pub graph: &'g Graph,
    pub demands: Demands,
    /// The fair component of each state.
    pub fair: &'g [u32],
    pub visit: Option<&'g [bool]>,
}

impl Cycles<'_> {
    fn at(&self, state: u32, met: Met) -> Met {
        let enabled = self.graph.enabled[state as usize];
        Met {
            weak: met.weak | self.demands.weak & !enabled,
            asked: met.asked | self.demands.strong & enabled,
            taken: met.taken,
            visited: met.visited || self.visit.is_none_or(|visit| visit[state as usize]),
        }
    }

    fn through(&self, step: usize, met: Met) -> Met {
        let classes = self.graph.label_of(step).classes;
        Met {
            weak: met.weak | self.demands.weak & classes,
            taken: met.taken | self.demands.strong & classes,
            ..met
        }
    }

    fn is_fair(&self, met: Met) -> bool {
        met.visited && met.weak == self.demands.weak && met.asked & !met.taken == 0
    }

    fn start(&self, state: u32) -> Met {
        self.at(state, Met { weak: 0, asked: 0, taken: 0, visited: false })
    }

    /// The steps of a state that stay in its component.
    fn inside(&self, state: u32) -> impl Iterator<Item = usize> {
        let component = self.fair[state as usize];
        debug_assert_ne!(component, NOWHERE);
        let stays = move |step: &usize| {
            self.fair[self.graph.to[*step] as usize] == component && !self.graph.label_of(*step).ceases
        };
        self.graph.steps(state).filter(stays)
    }

    /// A fair cycle from a state of a fair component to itself, as steps: a shortest one, or if that costs too much some
    /// one. No step at all if it is fair to stay there for ever. The second result is true if the cycle is a shortest one.
    pub(super) fn through_state(&self, home: u32) -> (Vec<usize>, bool) {
        if self.is_fair(self.start(home)) {
            return (Vec::new(), true);
        }
        match self.shortest(home) {
            Some(steps) => (steps, true),
            None => (self.some(home), false),
        }
    }

    fn shortest(&self, home: u32) -> Option<Vec<usize>> {
        let start = (home, self.start(home));
        let mut nodes: Vec<(u32, Met, usize, usize)> = vec![(start.0, start.1, usize::MAX, usize::MAX)];
        let mut seen = FxHashSet::from_iter([start]);
        let mut at = 0;
        while at < nodes.len() {
            let (state, met, ..) = nodes[at];
            for step in self.inside(state) {
                let next = self.graph.to[step];
                let met = self.at(next, self.through(step, met));
                if next == home && self.is_fair(met) {
                    let mut steps = vec![step];
                    let mut back = at;
                    while nodes[back].3 != usize::MAX {
                        steps.push(nodes[back].2);
                        back = nodes[back].3;
                    }
                    steps.reverse();
                    return Some(steps);
                }
                if seen.insert((next, met)) {
                    nodes.push((next, met, step, at));
                }
            }
            if nodes.len() > AFFORDABLE {
                return None;
            }
            at += 1;
        }
        unreachable!("a run that takes every step of a fair component is fair")
    }

    /// From one thing that is still to be met to the nearest next, and home.
    fn some(&self, home: u32) -> Vec<usize> {
        let mut steps = Vec::new();
        let (mut state, mut met) = (home, self.start(home));
        while !self.is_fair(met) {
            let lacking = met;
            let is_news = |now: Met| {
                now.weak & !lacking.weak != 0
                    || now.taken & lacking.asked & !lacking.taken != 0
                    || now.visited && !lacking.visited
            };
            for step in self.nearest(state, &|step, next| is_news(self.at(next, self.through(step, lacking))))
            {
                met = self.at(self.graph.to[step], self.through(step, met));
                state = self.graph.to[step];
                steps.push(step);
            }
        }
        // The path home may ask for more than was met; then once more around.
        while state != home || steps.is_empty() || !self.is_fair(met) {
            let home = self.nearest(state, &|_, next| next == home);
            for step in home {
                met = self.at(self.graph.to[step], self.through(step, met));
                state = self.graph.to[step];
                steps.push(step);
            }
            if !self.is_fair(met) {
                let lacking = met;
                for step in self.nearest(state, &|step, _| {
                    self.through(step, lacking).taken & lacking.asked & !lacking.taken != 0
                }) {
                    met = self.at(self.graph.to[step], self.through(step, met));
                    state = self.graph.to[step];
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// The shortest path within the component to a step that will do, that step included.
    fn nearest(&self, from: u32, will_do: &dyn Fn(usize, u32) -> bool) -> Vec<usize> {
        let mut parent: FxHashMap<u32, usize> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        let mut source: FxHashMap<usize, u32> = FxHashMap::default();
        while let Some(state) = queue.pop_front() {
            for step in self.inside(state) {
                let next = self.graph.to[step];
                if will_do(step, next) {
                    let mut steps = vec![step];
                    let mut at = state;
                    while at != from {
                        let step = parent[&at];
                        steps.push(step);
                        at = source[&step];
                    }
                    steps.reverse();
                    return steps;
                }
                if next != from && !parent.contains_key(&next) {
                    parent.insert(next, step);
                    source.insert(step, state);
                    queue.push_back(next);
                }
            }
        }
        unreachable!("a fair component has what it lacks, and every state of it can be reached")
    }
}
