//! What must come about, on every fair run: decided on the graph of all states, with a lasso where it is not so.
//!
//! A *run* is an infinite sequence of states, each the one before or after a step of it; so to stand still for ever is
//! a run too, wherever one is. Without assumptions nothing has to come about. An [`Assumption`] is about a *class*
//! of steps, such as the deliveries of a channel, the timer of an actor or its recovery:
//!
//! - *weak* fairness: if from some point on steps of the class are always possible, one of them is taken again and again;
//! - *strong* fairness: if steps of the class are possible again and again, one of them is taken again and again;
//! - *ceases*: steps of the class are taken only finitely often.
//!
//! A step that a bound cuts off is possible, and what follows it is not known: so a run that may only go on beyond the
//! bound is no counterexample, and the verdict says what the bound is. If no run meets the assumptions, as they exclude one another
//! or because all that do leave the bound, the verdict is *vacuous*.
//!
//! A counterexample is a [`Lasso`]: a way to a state, and a cycle from there to the same state that is fair and on which what
//! is due never comes about. It is run again through the actors, and every condition is looked at again, before it is reported.
//!
//! ```
//! use stateright::actor::{Actor, Id, Out};
//! use std::borrow::Cow;
//! use std::time::Duration;
//! use synod_explore::liveness::{Assumption, LiveProperty, check};
//! use synod_explore::{Action, Options, System, Verdict};
//!
//! /// Counts to two by its timer, unless its other timer sends it back to one.
//! struct Counter;
//!
//! impl Actor for Counter {
//!     type Msg = ();
//!     type State = u8;
//!     type Timer = &'static str;
//!     type Random = ();
//!     type Storage = ();
//!
//!     fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
//!         for timer in ["up", "back"] {
//!             o.set_timer(timer, Duration::ZERO..Duration::ZERO);
//!         }
//!         0
//!     }
//!
//!     fn on_timeout(&self, _: Id, count: &mut Cow<u8>, timer: &&'static str, o: &mut Out<Self>) {
//!         *count.to_mut() = if *timer == "up" { (**count + 1).min(2) } else { (**count).min(1) };
//!         o.set_timer(timer, Duration::ZERO..Duration::ZERO);
//!     }
//! }
//!
//! let mut system = System::new(vec![Counter], ());
//! system.liveness.properties.push(LiveProperty::eventually_state("two", |state| {
//!     state.locals[0].state.as_deref() == Some(&2)
//! }));
//! let report = check(&system, &Options::default());
//! assert_eq!(report.verdict, Verdict::Violated { property: "two" });
//! // It may stand still.
//! assert!(report.findings[0].lasso.as_ref().unwrap().cycle.is_empty());
//!
//! let up = |action: &Action<Counter>| matches!(action, Action::<Counter>::Timeout(_, timer) if *timer == "up");
//! system.liveness.assumptions.push(Assumption::weak("its timer runs out", up));
//! assert_eq!(check(&system, &Options::default()).verdict, Verdict::Holds);
//! # let _: Verdict<Counter> = Verdict::Holds;
//! ```

mod build;
mod check;
mod fair;
mod lasso;
mod verify;

pub use check::check;
pub use verify::{Breach, verify};

use crate::observer::Observer;
use crate::report::{Rerun, Status, Verdict};
use crate::state::{Local, State};
use crate::{Action, Subject};
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

/// What must come about in a system, and what is taken for granted of its runs.
pub struct Liveness<A: Subject, O: Observer<A>> {
    /// What must come about.
    pub properties: Vec<LiveProperty<A, O>>,
    /// What is assumed of every run.
    pub assumptions: Vec<Assumption<A, O>>,
}

impl<A: Subject, O: Observer<A>> Default for Liveness<A, O> {
    fn default() -> Self {
        Self { properties: Vec::new(), assumptions: Vec::new() }
    }
}

impl<A: Subject, O: Observer<A>> Clone for Liveness<A, O> {
    fn clone(&self) -> Self {
        Self { properties: self.properties.clone(), assumptions: self.assumptions.clone() }
    }
}

/// How often steps of a class are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fairness {
    /// Infinitely often, if from some point on they are always possible.
    Weak,
    /// Infinitely often, if they are possible infinitely often.
    Strong,
    /// Finitely often.
    Ceases,
}

impl Display for Fairness {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Weak => "weakly fair",
            Self::Strong => "strongly fair",
            Self::Ceases => "ceases",
        })
    }
}

/// Says which class a step belongs to, by its action and what the observer noted of it; `None` if it is not meant.
pub type ClassOf<A, O> =
    Arc<dyn Fn(&Action<A>, Option<&<O as Observer<A>>::Note>) -> Option<String> + Send + Sync>;

/// Says in which states a step belongs to its class.
pub type When<A, O> = Arc<dyn Fn(&State<A, O>, &Action<A>) -> bool + Send + Sync>;

/// What is assumed of every run: a fairness, of one class of steps or of several.
pub struct Assumption<A: Subject, O: Observer<A>> {
    /// Its name.
    pub name: String,
    /// How often steps of each class are taken.
    pub fairness: Fairness,
    /// The class of a step, by name.
    pub class: ClassOf<A, O>,
    /// Only steps out of such states are meant; all if there is nothing here. Asked for each of them: it is slow.
    pub when: Option<When<A, O>>,
}

impl<A: Subject, O: Observer<A>> Assumption<A, O> {
    fn of(
        name: &str,
        fairness: Fairness,
        meant: impl Fn(&Action<A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let class: ClassOf<A, O> = Arc::new(move |action, _| meant(action).then(String::new));
        Self { name: name.to_owned(), fairness, class, when: None }
    }

    /// One class, weakly fair.
    pub fn weak(name: &str, meant: impl Fn(&Action<A>) -> bool + Send + Sync + 'static) -> Self {
        Self::of(name, Fairness::Weak, meant)
    }

    /// One class, strongly fair.
    pub fn strong(name: &str, meant: impl Fn(&Action<A>) -> bool + Send + Sync + 'static) -> Self {
        Self::of(name, Fairness::Strong, meant)
    }

    /// One class, taken only finitely often.
    pub fn ceases(name: &str, meant: impl Fn(&Action<A>) -> bool + Send + Sync + 'static) -> Self {
        Self::of(name, Fairness::Ceases, meant)
    }

    /// As many classes as there are names for steps.
    pub fn each(
        name: &str,
        fairness: Fairness,
        class: impl Fn(&Action<A>, Option<&O::Note>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), fairness, class: Arc::new(class), when: None }
    }

    /// The same, of steps out of such states only.
    #[must_use]
    pub fn when(mut self, when: impl Fn(&State<A, O>, &Action<A>) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(when));
        self
    }
}

impl<A: Subject, O: Observer<A>> Clone for Assumption<A, O> {
    fn clone(&self) -> Self {
        let Self { name, fairness, class, when } = self;
        Self { name: name.clone(), fairness: *fairness, class: Arc::clone(class), when: when.clone() }
    }
}

/// A set, as a function that says what is in it.
pub type SetOf<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// A set of actors' indices and what they are and have.
pub type LocalsOf<A> = Arc<dyn Fn(usize, &Local<A>) -> bool + Send + Sync>;

/// A set of states. The less it looks at, the less often it has to be asked.
pub enum Goal<A: Subject, O: Observer<A>> {
    /// Asked once per distinct history.
    History(SetOf<O::History>),
    /// To be true of every actor; asked once per actor and distinct [`Local`] of it.
    Locals(LocalsOf<A>),
    /// Asked of every state.
    State(SetOf<State<A, O>>),
}

impl<A: Subject, O: Observer<A>> Goal<A, O> {
    /// Whether a state is among them.
    pub fn holds(&self, state: &State<A, O>) -> bool {
        match self {
            Self::History(goal) => goal(&state.history),
            Self::Locals(goal) => state.locals.iter().enumerate().all(|(actor, local)| goal(actor, local)),
            Self::State(goal) => goal(state),
        }
    }
}

impl<A: Subject, O: Observer<A>> Clone for Goal<A, O> {
    fn clone(&self) -> Self {
        match self {
            Self::History(goal) => Self::History(Arc::clone(goal)),
            Self::Locals(goal) => Self::Locals(Arc::clone(goal)),
            Self::State(goal) => Self::State(Arc::clone(goal)),
        }
    }
}

/// What must come about.
pub enum Shape<A: Subject, O: Observer<A>> {
    /// Every run comes to the goal at least once.
    Eventually,
    /// Whenever a run is in one of these states, it comes to the goal then or later.
    LeadsTo(Goal<A, O>),
    /// From every reachable state every run comes to the goal: again and again, unless it stays there.
    FromEverywhere,
    /// Every run comes to the goal in the end and stays there.
    StaysAtLast,
}

impl<A: Subject, O: Observer<A>> Clone for Shape<A, O> {
    fn clone(&self) -> Self {
        match self {
            Self::Eventually => Self::Eventually,
            Self::LeadsTo(goal) => Self::LeadsTo(goal.clone()),
            Self::FromEverywhere => Self::FromEverywhere,
            Self::StaysAtLast => Self::StaysAtLast,
        }
    }
}

/// Something that must come about on every run for which the assumptions hold.
pub struct LiveProperty<A: Subject, O: Observer<A>> {
    /// Its name, unique in a system.
    pub name: &'static str,
    /// From where on, and for how long.
    pub shape: Shape<A, O>,
    /// Where runs must come to.
    pub goal: Goal<A, O>,
}

impl<A: Subject, O: Observer<A>> LiveProperty<A, O> {
    /// Every run comes to such a state.
    pub fn eventually_state(
        name: &'static str,
        goal: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, shape: Shape::Eventually, goal: Goal::State(Arc::new(goal)) }
    }

    /// Whenever a run is in a state of the first kind, it comes to one of the second then or later.
    pub fn leads_to_state(
        name: &'static str,
        from: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
        goal: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let shape = Shape::LeadsTo(Goal::State(Arc::new(from)));
        Self { name, shape, goal: Goal::State(Arc::new(goal)) }
    }

    /// From every reachable state every run comes to one where the history is such.
    pub fn from_everywhere_history(
        name: &'static str,
        goal: impl Fn(&O::History) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, shape: Shape::FromEverywhere, goal: Goal::History(Arc::new(goal)) }
    }

    /// From every reachable state every run comes to one where every actor is such.
    pub fn from_everywhere_locals(
        name: &'static str,
        goal: impl Fn(usize, &Local<A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, shape: Shape::FromEverywhere, goal: Goal::Locals(Arc::new(goal)) }
    }

    /// Every run stays in such states in the end.
    pub fn stays_at_last_state(
        name: &'static str,
        goal: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, shape: Shape::StaysAtLast, goal: Goal::State(Arc::new(goal)) }
    }
}

impl<A: Subject, O: Observer<A>> Clone for LiveProperty<A, O> {
    fn clone(&self) -> Self {
        Self { name: self.name, shape: self.shape.clone(), goal: self.goal.clone() }
    }
}

/// How a cycle meets a fairness condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// A step of the class is taken: this one of the cycle, from 1.
    Taken(usize),
    /// No step of the class is possible before this step of the cycle, from 1; 1 also where nothing is done any more.
    Impossible(usize),
    /// No step of the class is possible anywhere on the cycle.
    Never,
    /// It is to cease, and no step of it is on the cycle.
    Ceased,
}

/// A fairness condition, and how a cycle meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meets {
    /// The name of the assumption.
    pub assumption: String,
    /// The name of the class, where there are several.
    pub class: String,
    /// What is assumed of it.
    pub fairness: Fairness,
    /// How it is met.
    pub how: How,
}

impl Display for Meets {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.assumption)?;
        if !self.class.is_empty() {
            write!(f, " [{}]", self.class)?;
        }
        write!(f, ", {}: ", self.fairness)?;
        match &self.how {
            How::Taken(step) => write!(f, "taken in step {step} of the cycle"),
            How::Impossible(step) => write!(f, "not possible before step {step} of the cycle"),
            How::Never => f.write_str("possible nowhere on the cycle"),
            How::Ceased => f.write_str("not on the cycle"),
        }
    }
}

/// A run that goes on for ever: a way to a state, and a cycle from there back to it.
pub struct Lasso<A: Subject> {
    /// The way to the cycle.
    pub stem: Vec<Action<A>>,
    /// The cycle; empty if nothing is done any more.
    pub cycle: Vec<Action<A>>,
    /// After how many steps of the stem what never comes about was due.
    pub due: usize,
    /// Whether the stem is a shortest one, and the cycle a shortest fair one from where it begins.
    pub shortest: bool,
    /// Every fairness condition, and how the cycle meets it.
    pub meets: Vec<Meets>,
}

impl<A: Subject> Clone for Lasso<A> {
    fn clone(&self) -> Self {
        Self {
            stem: self.stem.clone(),
            cycle: self.cycle.clone(),
            due: self.due,
            shortest: self.shortest,
            meets: self.meets.clone(),
        }
    }
}

impl<A: Subject> Debug for Lasso<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasso")
            .field("stem", &self.stem)
            .field("cycle", &self.cycle)
            .field("meets", &self.meets)
            .finish_non_exhaustive()
    }
}

/// What was found out about one property.
pub struct LiveFinding<A: Subject> {
    /// Its name.
    pub property: &'static str,
    /// What became of it: it holds, is violated, is hollow as nothing was ever due or no run meets the assumptions, or is undecided. Where
    /// all runs leave the bounds, it holds only if they come to it before they do.
    pub status: Status,
    /// A fair run on which it does not come about.
    pub lasso: Option<Lasso<A>>,
}

/// What was found out about what must come about.
pub struct LiveReport<A: Subject> {
    /// What it comes to. *Vacuous* names properties for which nothing was ever due, or says that no run meets the assumptions.
    pub verdict: Verdict<A>,
    /// One finding a property, in the order of the system's.
    pub findings: Vec<LiveFinding<A>>,
    /// Each class of each assumption that has a step: the assumption's name, and the class's.
    pub classes: Vec<(String, String)>,
    /// Distinct states.
    pub unique_states: u64,
    /// Steps, those out of bounds left out.
    pub steps: u64,
    /// The greatest depth of a state; the initial state has depth 1.
    pub depth: usize,
    /// Time it took.
    pub elapsed: Duration,
    /// Bytes it took.
    pub memory_bytes: u64,
    /// How often an actor's handler was run.
    pub handler_calls: u64,
    /// How much of it was done twice, to see whether it comes to the same.
    pub rerun: Rerun,
}

impl<A: Subject> LiveReport<A> {
    /// What was found out about a property.
    pub fn finding(&self, property: &str) -> Option<&LiveFinding<A>> {
        self.findings.iter().find(|finding| finding.property == property)
    }
}
