//! Any graph as a system: one actor, whose states are the nodes and whose timers are the steps.

use stateright::actor::{Actor, Id, Out, model_timeout};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use synod_explore::liveness::{Assumption, Fairness, Goal, LiveProperty, Shape};
use synod_explore::{Action, System};

/// A step: where it leads, and which classes it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) to: usize,
    pub(crate) classes: Vec<usize>,
}

/// A graph whose runs begin at node 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// The steps of each node.
    pub(crate) edges: Vec<Vec<Edge>>,
    /// The fairness of each class.
    pub(crate) fairness: Vec<Fairness>,
    /// The nodes in which the goal becomes due. Some shapes do not use them.
    pub(crate) from: BTreeSet<usize>,
    /// The goal.
    pub(crate) goal: BTreeSet<usize>,
    /// Nodes that are out of bounds.
    pub(crate) beyond: BTreeSet<usize>,
}

/// The kind of a liveness property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Eventually,
    LeadsTo,
    FromEverywhere,
    StaysAtLast,
}

pub(crate) const ALL: [Asks; 4] = [Asks::Eventually, Asks::LeadsTo, Asks::FromEverywhere, Asks::StaysAtLast];

/// Walks a graph.
#[derive(Clone)]
pub(crate) struct Walker(pub(crate) Arc<Graph>);

impl Walker {
    fn timers(&self, node: usize, o: &mut Out<Self>) {
        for step in 0..self.0.edges[node].len() {
            o.set_timer((node, step), model_timeout());
        }
    }
}

impl Actor for Walker {
    type Msg = ();
    type State = usize;
    type Timer = (usize, usize);
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> usize {
        self.timers(0, o);
        0
    }

    fn on_timeout(&self, _: Id, node: &mut Cow<'_, usize>, timer: &(usize, usize), o: &mut Out<Self>) {
        let (at, step) = *timer;
        for other in 0..self.0.edges[at].len() {
            o.cancel_timer((at, other));
        }
        *node.to_mut() = self.0.edges[at][step].to;
        self.timers(**node, o);
    }
}

impl Graph {
    /// A graph from its steps, each from a node to another with the classes it is in.
    pub(crate) fn new(nodes: usize, steps: &[(usize, usize, &[usize])]) -> Self {
        let mut edges = vec![Vec::new(); nodes];
        for (from, to, classes) in steps {
            edges[*from].push(Edge { to: *to, classes: classes.to_vec() });
        }
        Self { edges, ..Self::default() }
    }

    pub(crate) fn fairness(mut self, fairness: &[Fairness]) -> Self {
        self.fairness = fairness.to_vec();
        self
    }

    pub(crate) fn goal(mut self, goal: &[usize]) -> Self {
        self.goal = goal.iter().copied().collect();
        self
    }

    pub(crate) fn from(mut self, from: &[usize]) -> Self {
        self.from = from.iter().copied().collect();
        self
    }

    pub(crate) fn beyond(mut self, beyond: &[usize]) -> Self {
        self.beyond = beyond.iter().copied().collect();
        self
    }

    /// The system that walks it, with one property.
    pub(crate) fn system(&self, asks: Asks) -> System<Walker, ()> {
        let graph = Arc::new(self.clone());
        let mut system = System::new(vec![Walker(Arc::clone(&graph))], ());
        let set = |nodes: &BTreeSet<usize>| {
            let nodes = nodes.clone();
            Goal::Locals(Arc::new(move |_, local: &synod_explore::Local<Walker>| {
                local.state.as_deref().is_some_and(|node| nodes.contains(node))
            }))
        };
        let shape = match asks {
            Asks::Eventually => Shape::Eventually,
            Asks::LeadsTo => Shape::LeadsTo(set(&self.from)),
            Asks::FromEverywhere => Shape::FromEverywhere,
            Asks::StaysAtLast => Shape::StaysAtLast,
        };
        system.liveness.properties.push(LiveProperty { name: "goal", shape, goal: set(&self.goal) });
        for (class, fairness) in self.fairness.iter().enumerate() {
            let graph = Arc::clone(&graph);
            let meant = move |action: &Action<Walker>, _: Option<&()>| match action {
                Action::<Walker>::Timeout(_, (at, step)) => {
                    graph.edges[*at][*step].classes.contains(&class).then(String::new)
                }
                _ => None,
            };
            system.liveness.assumptions.push(Assumption::each(&format!("class {class}"), *fairness, meant));
        }
        if !self.beyond.is_empty() {
            let beyond = self.beyond.clone();
            let within = move |node: &usize| !beyond.contains(node);
            system.bounds.local = Some(("a part of the graph".to_owned(), Arc::new(within)));
        }
        system
    }
}

/// The answer for a set of nodes that a run visits for ever, and its distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The steps of a shortest way to a fair run on which the goal is missed; `None` if there is none.
    pub(crate) stem: Option<usize>,
}

/// Decides by trying every set of nodes. Knows nothing of components.
pub(crate) fn naive(graph: &Graph, asks: Asks) -> Answer {
    let nodes = graph.edges.len();
    let is_goal = |node: usize| graph.goal.contains(&node);
    let stays = asks == Asks::StaysAtLast;
    let inside = |node: usize| !graph.beyond.contains(&node);
    // The least number of steps to each node: before anything is due, and with it due.
    let far = usize::MAX / 2;
    let (mut before, mut due) = (vec![far; nodes], vec![far; nodes]);
    before[0] = 0;
    for _ in 0..=2 * nodes {
        for node in 0..nodes {
            let becomes = match asks {
                Asks::Eventually | Asks::StaysAtLast => node == 0 && before[0] == 0,
                Asks::LeadsTo => graph.from.contains(&node),
                Asks::FromEverywhere => true,
            };
            if becomes && (stays || !is_goal(node)) {
                let only_at_first = matches!(asks, Asks::Eventually | Asks::StaysAtLast);
                due[node] = due[node].min(if only_at_first { 0 } else { before[node] });
            }
            for edge in graph.edges[node].iter().filter(|edge| inside(edge.to)) {
                before[edge.to] = before[edge.to].min(before[node] + 1);
                if due[node] < far && (stays || !is_goal(edge.to)) {
                    due[edge.to] = due[edge.to].min(due[node] + 1);
                }
            }
        }
    }
    let mut best = None;
    for set in 1_u32..1 << nodes {
        let members: Vec<usize> = (0..nodes).filter(|node| set >> node & 1 == 1).collect();
        let nearest = members.iter().map(|node| due[*node]).min().unwrap_or(far);
        if nearest < far && members.iter().all(|node| inside(*node)) && is_fair(graph, &members, stays) {
            best = Some(best.map_or(nearest, |best: usize| best.min(nearest)));
        }
    }
    Answer { stem: best }
}

/// True if a fair run may visit just these nodes infinitely often.
fn is_fair(graph: &Graph, members: &[usize], stays: bool) -> bool {
    let ceases = |edge: &Edge| edge.classes.iter().any(|class| graph.fairness[*class] == Fairness::Ceases);
    let steps = || {
        members
            .iter()
            .flat_map(|node| graph.edges[*node].iter().map(move |edge| (*node, edge)))
            .filter(|(_, edge)| members.contains(&edge.to) && !ceases(edge))
    };
    // Everything can be reached from everything, without leaving.
    let nodes = graph.edges.len();
    let mut reach = vec![vec![false; nodes]; nodes];
    (0..nodes).for_each(|node| reach[node][node] = true);
    for _ in 0..nodes {
        for (from, edge) in steps() {
            for row in &mut reach {
                row[edge.to] |= row[from];
            }
        }
    }
    let connected = members.iter().all(|a| members.iter().all(|b| reach[*a][*b]));
    let on_goal = |node: &usize| graph.goal.contains(node);
    let misses = if stays { !members.iter().all(on_goal) } else { !members.iter().any(on_goal) };
    let is_possible =
        |node: &usize, class: usize| graph.edges[*node].iter().any(|e| e.classes.contains(&class));
    let met = graph.fairness.iter().enumerate().all(|(class, fairness)| {
        let taken = steps().any(|(_, edge)| edge.classes.contains(&class));
        match fairness {
            Fairness::Ceases => true,
            Fairness::Weak => taken || !members.iter().all(|node| is_possible(node, class)),
            Fairness::Strong => taken || !members.iter().any(|node| is_possible(node, class)),
        }
    });
    connected && misses && met
}
