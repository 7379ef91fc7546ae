//! Builds the graph of all states in little memory: the successor and the classes of each step.

use super::fair::{Classes, Demands, Graph, Label, TICKS};
use super::property::{Assumption, Fairness, Goal, Liveness, Shape};
use crate::engine::budget::Budget;
use crate::engine::semantics::retrace::Impure;
use crate::engine::semantics::steps::{Failed, Out, Steps};
use crate::observer::Observer;
use crate::report::{Options, Progress, Why};
use crate::{Subject, panics};
use rustc_hash::FxHashMap;

/// Bytes that deciding takes for each state, beside the graph.
pub(super) const BYTES_A_STATE: usize = 48;

/// States between two looks at the clock and the memory.
const PATIENCE: u32 = 1 << 12;
/// States are numbered up to here.
const MOST: usize = 1 << 30;

/// One class of one assumption.
pub(super) struct Class {
    pub assumption: usize,
    pub name: String,
}

/// Everything there is to know of a system's runs.
pub(super) struct Built<'s, A: Subject, O: Observer<A>> {
    pub steps: Steps<'s, A, O>,
    pub graph: Graph,
    /// The place of each step among those of its state.
    pub ordinals: Vec<u16>,
    pub classes: Vec<Class>,
    pub demands: Demands,
    /// Per property: the states in which it becomes due (if not only the first one), and the goal.
    pub marks: Vec<(Option<Vec<bool>>, Vec<bool>)>,
    pub depth: usize,
    /// Of each state, whether a bound cut off a step out of it.
    pub escapes: Vec<bool>,
}

impl<A: Subject, O: Observer<A>> Built<'_, A, O> {
    /// True if a bound cut something off.
    pub(super) fn is_cut(&self) -> bool {
        self.escapes.contains(&true)
    }
}

/// Why there is no graph.
pub(super) enum NotBuilt<A: Subject> {
    GaveUp(Why),
    Panicked(Impure<A>),
    /// The function that was taken for no boundary is one.
    Bounded,
}

/// The facts about steps that are the same action.
enum Kind {
    Always(u16),
    /// It depends on the state which label it has: the classes at any rate, and those that depend, with their assumptions.
    Depends {
        at_any_rate: Label,
        if_so: Vec<(usize, Option<u32>)>,
    },
}

/// The label of each step.
struct Classing<'l, A: Subject, O: Observer<A>> {
    liveness: &'l Liveness<A, O>,
    kinds: FxHashMap<u32, Kind>,
    ids: FxHashMap<Label, u16>,
    labels: Vec<Label>,
    classes: Vec<Class>,
    class_ids: FxHashMap<(usize, String), u32>,
}

impl<'l, A: Subject, O: Observer<A>> Classing<'l, A, O> {
    fn new(liveness: &'l Liveness<A, O>) -> Self {
        Self {
            liveness,
            kinds: FxHashMap::default(),
            ids: FxHashMap::default(),
            labels: Vec::new(),
            classes: Vec::new(),
            class_ids: FxHashMap::default(),
        }
    }

    fn label(&mut self, label: Label) -> Result<u16, String> {
        let next = self.labels.len();
        if let Some(&id) = self.ids.get(&label) {
            return Ok(id);
        }
        let id =
            u16::try_from(next).map_err(|_| "assumptions tell too many sorts of steps apart".to_owned())?;
        self.labels.push(label);
        self.ids.insert(label, id);
        Ok(id)
    }

    fn class(&mut self, assumption: usize, name: String) -> Result<u32, String> {
        let next = self.classes.len() as u32;
        if let Some(&id) = self.class_ids.get(&(assumption, name.clone())) {
            return Ok(id);
        }
        if 1 << next == TICKS {
            let which = &self.liveness.assumptions[assumption].name;
            return Err(format!(
                "assumptions have more than {next} classes; {which:?} is one too many with {name:?}: name fewer classes"
            ));
        }
        self.class_ids.insert((assumption, name.clone()), next);
        self.classes.push(Class { assumption, name });
        Ok(next)
    }

    /// The label of a step, and the classes that are possible by it.
    fn of(&mut self, steps: &Steps<'_, A, O>, state: u32, out: Out) -> Result<u16, String> {
        if !self.kinds.contains_key(&out.kind) {
            let kind = self.kind(steps, state, out)?;
            self.kinds.insert(out.kind, kind);
        }
        let (mut label, if_so) = match &self.kinds[&out.kind] {
            Kind::Always(label) => return Ok(*label),
            Kind::Depends { at_any_rate, if_so } => (*at_any_rate, if_so.clone()),
        };
        let (whole, action) = (steps.state(state), steps.action_at(state, out.ordinal));
        for (assumption, class) in if_so {
            let when = self.liveness.assumptions[assumption].when.as_ref();
            if when.is_some_and(|when| when(&whole, &action)) {
                match class {
                    Some(class) => label.classes |= 1 << class,
                    None => label.ceases = true,
                }
            }
        }
        self.label(label)
    }

    fn kind(&mut self, steps: &Steps<'_, A, O>, state: u32, out: Out) -> Result<Kind, String> {
        let (action, note) = steps.action(state, out);
        let mut at_any_rate = Label::default();
        if matches!(action, crate::Action::<A>::Tick) {
            at_any_rate.classes = TICKS;
        }
        let mut if_so = Vec::new();
        let liveness = self.liveness;
        for (index, Assumption { fairness, class, when, .. }) in liveness.assumptions.iter().enumerate() {
            let Some(name) = class(&action, note) else { continue };
            let id = self.class(index, name)?;
            let ceases = *fairness == Fairness::Ceases;
            match (when, ceases) {
                (Some(_), _) => if_so.push((index, (!ceases).then_some(id))),
                (None, true) => at_any_rate.ceases = true,
                (None, false) => at_any_rate.classes |= 1 << id,
            }
        }
        if if_so.is_empty() {
            self.label(at_any_rate).map(Kind::Always)
        } else {
            Ok(Kind::Depends { at_any_rate, if_so })
        }
    }

    fn demands(&self) -> Demands {
        let mut demands = Demands::default();
        for (id, class) in self.classes.iter().enumerate() {
            match self.liveness.assumptions[class.assumption].fairness {
                Fairness::Weak => demands.weak |= 1 << id,
                Fairness::Strong => demands.strong |= 1 << id,
                Fairness::Ceases => {}
            }
        }
        demands
    }
}

/// The answers of one goal, as far as it was asked.
struct Asked<'g, A: Subject, O: Observer<A>> {
    goal: &'g Goal<A, O>,
    histories: FxHashMap<u32, bool>,
    locals: FxHashMap<(usize, u32), bool>,
    answers: Vec<bool>,
}

impl<'g, A: Subject, O: Observer<A>> Asked<'g, A, O> {
    fn new(goal: &'g Goal<A, O>) -> Self {
        Self { goal, histories: FxHashMap::default(), locals: FxHashMap::default(), answers: Vec::new() }
    }

    fn ask(&mut self, steps: &Steps<'_, A, O>, state: u32) {
        let answer = match self.goal {
            Goal::History(goal) => {
                let history = steps.history(state);
                *self.histories.entry(history).or_insert_with(|| goal(&steps.history_of(history)))
            }
            Goal::Locals(goal) => (0..steps.actors()).all(|actor| {
                let local = steps.local(state, actor);
                *self.locals.entry((actor, local)).or_insert_with(|| goal(actor, steps.local_of(local)))
            }),
            Goal::State(goal) => goal(&steps.state(state)),
        };
        self.answers.push(answer);
    }

    fn bytes(&self) -> usize {
        self.answers.capacity() + self.histories.capacity() * 6 + self.locals.capacity() * 17
    }
}

/// The states in which a goal becomes due, if not only the first one, and those in which it is reached.
type Asking<'g, A, O> = (Option<Asked<'g, A, O>>, Asked<'g, A, O>);

fn panicked<A: Subject>(message: String) -> NotBuilt<A> {
    NotBuilt::Panicked(Impure { message, trace: Vec::new() })
}

/// Finds every state and every step.
pub(super) fn build<'s, A: Subject, O: Observer<A>>(
    mut steps: Steps<'s, A, O>,
    liveness: &Liveness<A, O>,
    depth_bound: Option<usize>,
    options: &Options<'_>,
    budget: &Budget<'_>,
) -> Result<Built<'s, A, O>, NotBuilt<A>> {
    let mut graph = Graph { starts: vec![0], ..Graph::default() };
    let mut ordinals = Vec::new();
    let mut labels = Classing::new(liveness);
    let mut goals: Vec<Asking<'_, A, O>> = liveness
        .properties
        .iter()
        .map(|property| {
            let from = match &property.shape {
                Shape::LeadsTo(from) => Some(Asked::new(from)),
                _ => None,
            };
            (from, Asked::new(&property.goal))
        })
        .collect();
    let mut outs = Vec::new();
    let (mut depth, mut level_end) = (1, 1);
    let mut escapes = Vec::new();
    let mut state = 0_u32;
    while (state as usize) < steps.len() {
        if state as usize == level_end {
            depth += 1;
            level_end = steps.len();
        }
        let bytes = || {
            let goals: usize =
                goals.iter().map(|(from, to)| from.as_ref().map_or(0, Asked::bytes) + to.bytes()).sum();
            let bytes = steps.bytes() + graph.bytes() + ordinals.capacity() * 2 + escapes.capacity() + goals;
            // As much again for deciding, per state.
            bytes + steps.len() * BYTES_A_STATE
        };
        if let Some(why) = budget.look(bytes) {
            return Err(NotBuilt::GaveUp(why));
        }
        if state.is_multiple_of(PATIENCE) {
            let bytes = bytes();
            let full = (steps.len() >= MOST).then_some(Why::Memory);
            if let Some(why) = full.or_else(|| budget.check_all(bytes)) {
                return Err(NotBuilt::GaveUp(why));
            }
            if let Some(progress) = options.progress {
                progress(&Progress {
                    unique: steps.len() as u64,
                    generated: graph.to.len() as u64,
                    depth,
                    frontier: steps.len() as u64 - u64::from(state),
                    memory_bytes: budget.memory(bytes),
                    elapsed: budget.elapsed(),
                });
            }
        }
        for (from, to) in &mut goals {
            let ask = || {
                if let Some(from) = from {
                    from.ask(&steps, state);
                }
                to.ask(&steps, state);
            };
            panics::capture(ask).map_err(|message| {
                let trace = steps.trace(state, None).unwrap_or_else(|impure| impure.trace);
                NotBuilt::Panicked(Impure { message, trace })
            })?;
        }
        match panics::capture(|| steps.is_refused(state)).and_then(|refused| refused) {
            Ok(false) => {}
            Ok(true) => return Err(NotBuilt::Bounded),
            Err(message) => {
                let trace = steps.trace(state, None).unwrap_or_else(|impure| impure.trace);
                return Err(NotBuilt::Panicked(Impure { message, trace }));
            }
        }
        if depth_bound == Some(depth) {
            // The possible steps of this state are not known, so that none is called impossible.
            graph.enabled.push(Classes::MAX);
            escapes.push(true);
        } else {
            if let Err(Failed { state, ordinal, message }) = steps.expand(state, &mut outs) {
                return Err(NotBuilt::Panicked(match steps.trace(state, Some(ordinal)) {
                    Ok(trace) => Impure { message, trace },
                    Err(impure) => impure,
                }));
            }
            let (mut enabled, mut cut) = (0, false);
            for &out in &outs {
                let label = panics::capture(|| labels.of(&steps, state, out))
                    .and_then(|label| label)
                    .map_err(panicked)?;
                enabled |= labels.labels[usize::from(label)].classes;
                match out.to {
                    Some(to) => {
                        graph.to.push(to);
                        graph.label.push(label);
                        ordinals.push(
                            u16::try_from(out.ordinal)
                                .map_err(|_| panicked("a state has more than 65,535 steps".to_owned()))?,
                        );
                    }
                    None => cut = true,
                }
            }
            graph.enabled.push(enabled | if steps.is_timed() { TICKS } else { 0 });
            escapes.push(cut);
        }
        graph.starts.push(graph.to.len());
        state += 1;
    }
    let mut demands = labels.demands();
    if steps.is_timed() {
        demands.weak |= TICKS;
    }
    graph.labels = labels.labels;
    let marks = goals.into_iter().map(|(from, to)| (from.map(|from| from.answers), to.answers));
    let marks = marks.collect();
    Ok(Built { steps, graph, ordinals, classes: labels.classes, demands, marks, depth, escapes })
}
