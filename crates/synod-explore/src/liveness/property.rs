//! Liveness properties and fairness assumptions.

use crate::observer::Observer;
use crate::state::{Local, State};
use crate::{Action, Subject};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

/// The liveness properties of a system, and the assumptions about its runs.
pub struct Liveness<A: Subject, O: Observer<A>> {
    /// The liveness properties.
    pub properties: Vec<LiveProperty<A, O>>,
    /// The assumptions about every run.
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

/// The fairness of a class of steps.
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

/// Gives the class of a step, by its action and the observer's note of it; `None` if it has none.
pub type ClassOf<A, O> =
    Arc<dyn Fn(&Action<A>, Option<&<O as Observer<A>>::Note>) -> Option<String> + Send + Sync>;

/// Gives the states in which a step belongs to its class.
pub type When<A, O> = Arc<dyn Fn(&State<A, O>, &Action<A>) -> bool + Send + Sync>;

/// An assumption about every run: a fairness of one class of steps or of several.
pub struct Assumption<A: Subject, O: Observer<A>> {
    /// Its name.
    pub name: String,
    /// The fairness of each class.
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

/// A set, as a function that is true of its elements.
pub type SetOf<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// A set of actors' indices with their locals.
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
    /// True if a state is among them.
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

/// The liveness properties.
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
    /// The states in which the goal becomes due, and how long it must last.
    pub shape: Shape<A, O>,
    /// The states that runs must reach.
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

    /// From every reachable state every run comes to one whose history is such.
    pub fn from_everywhere_history(
        name: &'static str,
        goal: impl Fn(&O::History) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { name, shape: Shape::FromEverywhere, goal: Goal::History(Arc::new(goal)) }
    }

    /// From every reachable state every run comes to one whose actors all are such.
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
