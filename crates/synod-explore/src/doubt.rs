//! Functions of a stateright model whose meaning does not show from outside, and is found out by calls.
//!
//! A model whose author never set a boundary has one all the same, a function that admits everything. And a function does not show whether
//! it looks at the message that was delivered last. So the boundary is taken for none until it refuses a state, and some states are shown
//! to the functions twice, with one last message and another.

use crate::Subject;
use crate::observer::Observer;
use crate::state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of first states that are looked at closely, and the stride among the rest.
const CLOSELY: u32 = 1 << 10;
const OF_THE_REST: u32 = 1 << 6;

/// True if a state is within a boundary.
type Within<A, O> = Arc<dyn Fn(&State<A, O>) -> bool + Send + Sync>;

/// Looks closely at a state.
///
/// # Errors
/// If a function looks at something that is no part of a state here. The message names it.
type Probe<A, O> = Arc<dyn Fn(&State<A, O>) -> Result<(), String> + Send + Sync>;

/// The doubtful boundary of a stateright model, which may be none, and other open questions about its functions. [`actor_model`](crate::actor_model) makes and explains it.
pub struct Doubt<A: Subject, O: Observer<A>> {
    words: &'static str,
    within: Within<A, O>,
    refused: Refused,
    probe: Probe<A, O>,
}

/// True if a boundary has ever refused a state, and so is one. Its callers record that here.
#[derive(Clone, Default)]
pub(crate) struct Refused(Arc<AtomicBool>);

impl Refused {
    /// Remembers an answer of the boundary, and gives it back.
    pub(crate) fn heard(&self, within: bool) -> bool {
        if !within {
            self.0.store(true, Ordering::Relaxed);
        }
        within
    }
}

impl<A: Subject, O: Observer<A>> Clone for Doubt<A, O> {
    fn clone(&self) -> Self {
        let (within, probe) = (Arc::clone(&self.within), Arc::clone(&self.probe));
        Self { words: self.words, within, refused: self.refused.clone(), probe }
    }
}

impl<A: Subject, O: Observer<A>> Doubt<A, O> {
    /// The same of a system whose states stand for states of this one.
    pub fn of<B: Subject, P: Observer<B>>(
        &self,
        stands_for: impl Fn(&State<B, P>) -> State<A, O> + Send + Sync + 'static,
    ) -> Doubt<B, P> {
        let (stands_for, this) = (Arc::new(stands_for), self.clone());
        let (within, probe) = (this.clone(), this);
        let of_within = Arc::clone(&stands_for);
        Doubt {
            words: self.words,
            within: Arc::new(move |state| (within.within)(&of_within(state))),
            refused: self.refused.clone(),
            probe: Arc::new(move |state| (probe.probe)(&stands_for(state))),
        }
    }

    /// Takes a boundary in words and as a function, the record of its refusals, and the function that looks at a state closely and asks the
    /// boundary too.
    pub(crate) fn new(
        words: &'static str,
        within: impl Fn(&State<A, O>) -> bool + Send + Sync + 'static,
        refused: Refused,
        probe: impl Fn(&State<A, O>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { words, within: Arc::new(within), refused, probe: Arc::new(probe) }
    }

    /// The boundary in words, if it is known to be one.
    pub(crate) fn bound(&self) -> Option<&'static str> {
        self.refused.0.load(Ordering::Relaxed).then_some(self.words)
    }

    /// True if the boundary admits a state.
    pub(crate) fn admits(&self, state: &State<A, O>) -> bool {
        self.refused.heard((self.within)(state))
    }

    /// Looks closely at a state, and asks the boundary.
    ///
    /// # Errors
    /// See [`Probe`].
    pub(crate) fn probe(&self, state: &State<A, O>) -> Result<(), String> {
        (self.probe)(state)
    }
}

/// True if a state is to be looked at closely, by its number.
pub(crate) fn is_probed(number: u32) -> bool {
    number < CLOSELY || number.is_multiple_of(OF_THE_REST)
}
