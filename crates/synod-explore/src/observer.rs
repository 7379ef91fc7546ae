//! Ghost history: an observer sees every step of every actor and can influence none of them.
//!
//! What a property speaks about ("was this value ever proposed?") is often not in any actor's state. An
//! [`Observer`] keeps it beside the actors, so that nothing has to be added to the actors for checking.

use stateright::actor::{Actor, Command, Id};
use std::fmt::Debug;
use std::hash::Hash;

/// The commands an actor of type `A` emits.
pub type CommandOf<A> =
    Command<<A as Actor>::Msg, <A as Actor>::Timer, <A as Actor>::Random, <A as Actor>::Storage>;

/// What happened to an actor.
pub enum Trigger<'a, A: Actor> {
    /// The actor was started, before anything else happened.
    Start,
    /// The actor was started again after a crash, with what it had saved.
    Recover,
    /// The actor lost everything but what it had saved.
    Crash,
    /// A message arrived.
    Deliver {
        /// Who sent it.
        src: Id,
        /// What it says.
        msg: &'a A::Msg,
    },
    /// A timer of the actor ran out.
    Timeout(&'a A::Timer),
    /// One of the choices the actor left open was made.
    Random {
        /// Which choice.
        key: &'a str,
        /// What was chosen.
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

/// One step of one actor: an event, the state before and after it, and what the actor put out.
pub struct Step<'a, A: Actor> {
    /// The actor that took the step.
    pub actor: Id,
    /// Its state before; `None` at [`Trigger::Start`] and [`Trigger::Recover`].
    pub before: Option<&'a A::State>,
    /// What happened to it.
    pub trigger: Trigger<'a, A>,
    /// Its state after; `None` at [`Trigger::Crash`]. The same reference as `before` if the handler left the
    /// state alone.
    pub after: Option<&'a A::State>,
    /// What it put out, in order.
    pub outputs: &'a [CommandOf<A>],
}

impl<A: Actor> Step<'_, A> {
    /// Whether the handler neither touched the state nor put anything out.
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
    /// What is remembered of a run. Part of the state that is explored: keep it small.
    type History: Clone + Debug + PartialEq + Hash + Send + Sync;
    /// What one step means to the history.
    type Note: Clone + Debug + PartialEq + Hash + Send + Sync;

    /// The history before anything happened.
    fn initial(&self) -> Self::History;

    /// What `step` means to the history, if anything.
    ///
    /// Also asked for a delivery that the actor ignores ([`Step::is_no_op`]), so that "was ignored" can be
    /// noticed; and for [`Trigger::Start`] of each actor, in actor order, when the system is set up.
    fn note(&self, step: &Step<'_, A>) -> Option<Self::Note>;

    /// The history after a step that was noted as `note`; `None` if it stays as it is.
    fn update(&self, history: &Self::History, note: &Self::Note) -> Option<Self::History>;

    /// How histories come apart, if they do. Nothing depends on it but how long an exploration takes, and how much memory: of
    /// many histories the parts may be few.
    fn components(&self) -> Option<&dyn Components<Self::History, Self::Note>> {
        None
    }
}

/// What a note makes of one part of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentUpdate<H> {
    /// Nothing else.
    Same,
    /// This.
    Changed(H),
    /// It takes the whole history to know, so that [`Observer::update`] has to be asked.
    Whole,
}

/// Histories that consist of parts, of which each goes its own way: what a note makes of a part depends on that part and the
/// note alone. A part is a history, too, in which nothing else ever happened.
///
/// All histories have as many parts, 16 at most (with more, they stay whole). For every history h, parts p and note n:
/// joining the parts of h gives h; splitting what p were joined to gives p; and unless one of them needs the whole history, the parts of h
/// after n are the parts of h, of which those that n is about are updated. The exploration takes this for granted of a value of a part
/// and a note, after it has held it once against the whole history that has that part then; where it does not hold, the exploration
/// says so and stops. That is a sample: it shows nothing of the same part among others.
pub trait Components<H, N>: Sync {
    /// The parts of a history.
    fn split(&self, history: &H) -> Vec<H>;
    /// The history that has these parts.
    fn join(&self, components: &[&H]) -> H;
    /// The parts that a note is about, by index. It leaves all others as they are.
    fn about(&self, note: &N) -> Vec<usize>;
    /// What a note makes of a part that it is about.
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
