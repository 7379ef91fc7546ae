//! The states of all groups of a process.

use std::sync::Arc;

/// The states of all groups, and what each of them has saved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct States<S, P> {
    pub(crate) groups: Vec<S>,
    /// A save is of the whole process, so that what the others saved goes with it.
    pub(crate) stables: Stables<P>,
}

impl<S, P> States<S, P> {
    /// The state of a group, if there is such a group.
    pub fn of(&self, group: u8) -> Option<&S> {
        self.groups.get(usize::from(group))
    }

    /// The groups and their states, in order.
    pub fn all(&self) -> impl Iterator<Item = (u8, &S)> {
        (0..=u8::MAX).zip(&self.groups)
    }
}

/// The stable states of all groups: nothing for a group that has not saved yet. Copies share them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stables<P>(pub Vec<Option<Arc<P>>>);

impl<P> Stables<P> {
    /// The stable state of a group, if it has saved one.
    pub fn of(&self, group: u8) -> Option<&P> {
        self.0.get(usize::from(group))?.as_deref()
    }

    /// The groups that have saved, with their stable states, in order.
    pub fn all(&self) -> impl Iterator<Item = (u8, &Arc<P>)> {
        (0..=u8::MAX).zip(&self.0).filter_map(|(group, stable)| Some((group, stable.as_ref()?)))
    }
}
