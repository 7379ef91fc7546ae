//! Ghost history: an observer sees every step of every actor and can influence none of them.
//!
//! The subject of a property ("was this value ever proposed?") is often not in any actor's state. An
//! [`Observer`] keeps it beside the actors, so that nothing has to be added to the actors for checking.

use stateright::actor::{Actor, Command, Id};
use std::fmt::Debug;
use std::hash::Hash;

/// The commands an actor of type `A` emits.
pub type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// The trigger of a step: a message, a timer, a choice, a crash or a start.
pub enum Trigger<'a, A: Actor> {
    /// The actor was started, before anything else happened.
    Start,
    /// The actor was started again after a crash, with what it had saved.
    Recover,
    /// The actor lost everything but what it had saved.
    Crash,
    /// A message arrived.
    Deliver {
        /// The sender.
        src: Id,
        /// The message.
        msg: &'a A::Msg,
    },
    /// A timer of the actor ran out.
    Timeout(&'a A::Timer),
    /// One of the actor's open choices was made.
    Random {
        /// The key of the choice.
        key: &'a str,
        /// The chosen value.
        choice: &'a A::Random,
    },
}

impl<A: Actor> Clone for Trigger<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Actor> Copy for Trigger<'_, A> {}

impl<A: Actor> Debug for Trigger<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("Start"),
            Self::Recover => f.write_str("Recover"),
            Self::Crash => f.write_str("Crash"),
            Self::Deliver { src, msg } => write!(f, "Deliver {msg:?} from {src:?}"),
            Self::Timeout(timer) => write!(f, "Timeout {timer:?}"),
            Self::Random { key, choice } => write!(f, "Random {key} {choice:?}"),
        }
    }
}

/// One step of one actor: its trigger, the states before and after it, and the commands that the actor put out.
pub struct Step<'a, A: Actor> {
    /// The actor that took the step.
    pub actor: Id,
    /// Its state before; `None` at [`Trigger::Start`] and [`Trigger::Recover`].
    pub before: Option<&'a A::State>,
    /// The trigger of the step.
    pub trigger: Trigger<'a, A>,
    /// Its state after; `None` at [`Trigger::Crash`]. The same reference as `before` if the handler left the
    /// state alone.
    pub after: Option<&'a A::State>,
    /// The commands that the handler put out, in order.
    pub outputs: &'a [CommandOf<A>],
}

impl<A: Actor> Step<'_, A> {
    /// True if the handler neither touched the state nor put anything out.
    pub fn is_no_op(&self) -> bool {
        let untouched = matches!((self.before, self.after), (Some(a), Some(b)) if std::ptr::eq(a, b));
        untouched && self.outputs.is_empty()
    }
}

/// Keeps a history of a run, outside the actors.
///
/// The work is split in two because steps of single actors are few and states of the whole system are many:
/// [`note`](Observer::note) is asked once per distinct local step, and [`update`](Observer::update) once per
/// distinct pair of history and note. Both must be functions of their arguments alone.
pub trait Observer<A: Actor>: Send + Sync + 'static {
    /// The facts that are kept of a run. They belong to the explored state: keep them few.
    type History: Clone + Debug + PartialEq + Hash + Send + Sync;
    /// The meaning of one step to the history.
    type Note: Clone + Debug + PartialEq + Hash + Send + Sync;

    /// The history before anything happened.
    fn initial(&self) -> Self::History;

    /// The meaning of `step` to the history, if it has any.
    ///
    /// Also asked for a delivery that the actor ignores ([`Step::is_no_op`]), so that "was ignored" can be
    /// noticed; and for [`Trigger::Start`] of each actor, in actor order, when the system is set up.
    fn note(&self, step: &Step<'_, A>) -> Option<Self::Note>;

    /// The history after a step that was noted as `note`; `None` if it stays as it is.
    fn update(&self, history: &Self::History, note: &Self::Note) -> Option<Self::History>;

    /// The components of histories, if they have any. They change only the time and memory that an exploration takes: of
    /// many histories the components may be few.
    fn components(&self) -> Option<&dyn Components<Self::History, Self::Note>> {
        None
    }
}

/// A component of a history after a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentUpdate<H> {
    /// The component stays the same.
    Same,
    /// The component becomes this one.
    Changed(H),
    /// The answer depends on the whole history, so that [`Observer::update`] has to be asked.
    Whole,
}

/// Histories that consist of independent components: a component after a note depends on that component and the note alone. A component
/// is a history, too, in which nothing else ever happened.
///
/// All histories have the same number of components, 16 at most (with more, they stay whole). For every history h, components c and note n:
/// joining the components of h gives h; splitting the join of c gives c; and unless one of them needs the whole history, the components of
/// h after n are those of h, with those that n is about updated. The exploration takes this for granted of a component and a note
/// after it has compared it once with the whole history at hand. If they differ, the exploration reports an
/// error and stops. That is a sample: it shows nothing about the same component among others.
pub trait Components<H, N>: Sync {
    /// The components of a history.
    fn split(&self, history: &H) -> Vec<H>;
    /// The history with these components.
    fn join(&self, components: &[&H]) -> H;
    /// The components that a note is about, by index. It leaves all others as they are.
    fn about(&self, note: &N) -> Vec<usize>;
    /// A component that a note is about, after the note.
    fn update(&self, component: usize, history: &H, note: &N) -> ComponentUpdate<H>;
}

/// Observes nothing.
impl<A: Actor> Observer<A> for () {
    type History = ();
    type Note = ();

    fn initial(&self) {}

    fn note(&self, _: &Step<'_, A>) -> Option<()> {
        None
    }

    fn update(&self, (): &(), (): &()) -> Option<()> {
        None
    }
}
