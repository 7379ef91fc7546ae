//! States that differ only in names, or in facts that can no longer matter, can be taken for one. Declarations of a system are checked, as
//! far as each item says.

use crate::Subject;
use crate::observer::Observer;
use crate::state::{Local, State};
use stateright::actor::{Envelope, Id};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// A permutation of actors: it gives each actor's index another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permutation(Vec<usize>);

impl Permutation {
    /// Takes the new index of each actor.
    ///
    /// # Panics
    /// If these are not the indices of all actors, each once.
    pub fn new(to: Vec<usize>) -> Self {
        let mut sorted = to.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..to.len()), "{to:?} is no permutation");
        Self(to)
    }

    /// The new index of an actor. An index beyond the system's actors stays.
    pub fn index(&self, actor: usize) -> usize {
        self.0.get(actor).copied().unwrap_or(actor)
    }

    /// The new id of an actor.
    pub fn id(&self, actor: Id) -> Id {
        Id::from(self.index(actor.into()))
    }

    /// The number of actors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are no actors.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Applies permutations of actors to values.
///
/// Each function must do no more than exchange ids: the engine checks that what it declares is a symmetry of the actors and
/// of the observer (see [`Symmetry`]), but it takes the composition of two permutations for granted.
pub trait Permute<A: Subject, O: Observer<A>>: Send + Sync + 'static {
    /// The volatile state of an actor.
    fn state(&self, by: &Permutation, state: &A::State) -> A::State;
    /// The storage of an actor.
    fn storage(&self, by: &Permutation, storage: &A::Storage) -> A::Storage;
    /// A message; its sender and receiver are exchanged by the engine.
    fn message(&self, by: &Permutation, message: &A::Msg) -> A::Msg;
    /// A timer.
    fn timer(&self, by: &Permutation, timer: &A::Timer) -> A::Timer;
    /// An open choice.
    fn choice(&self, by: &Permutation, choice: &A::Random) -> A::Random;
    /// The history.
    fn history(&self, by: &Permutation, history: &O::History) -> O::History;
    /// A note.
    fn note(&self, by: &Permutation, note: &O::Note) -> O::Note;
}

/// Actors that are alike: states in which they have changed places are explored once.
///
/// The declaration is checked: every step that an actor takes in the explored graph is taken again with the actors exchanged,
/// and must have the same outcome but for names; so must the observer's note of it, and every property. If
/// one does not, the verdict is *panicked*, with the step.
pub struct Symmetry<A: Subject, O: Observer<A>> {
    /// Sets of actors that may change places among themselves.
    pub alike: Vec<Vec<usize>>,
    /// Values after a permutation.
    pub permute: Arc<dyn Permute<A, O>>,
}

impl<A: Subject, O: Observer<A>> Clone for Symmetry<A, O> {
    fn clone(&self) -> Self {
        Self { alike: self.alike.clone(), permute: Arc::clone(&self.permute) }
    }
}

impl<A: Subject, O: Observer<A>> Symmetry<A, O> {
    /// All permutations of so many actors that exchange only those that are alike, the identity first.
    pub fn group(&self, actors: usize) -> Vec<Permutation> {
        let mut group = vec![(0..actors).collect::<Vec<usize>>()];
        for set in &self.alike {
            let orders = orders(set);
            group = group
                .iter()
                .flat_map(|base| {
                    orders.iter().map(|order| {
                        let mut to = base.clone();
                        for (from, place) in set.iter().zip(order) {
                            to[*from] = *place;
                        }
                        to
                    })
                })
                .collect();
        }
        group.into_iter().map(Permutation::new).collect()
    }

    /// Exchanges of neighbours, which all others are made of.
    pub fn generators(&self, actors: usize) -> Vec<Permutation> {
        let swaps = self.alike.iter().flat_map(|set| set.windows(2));
        swaps
            .map(|pair| {
                let mut to: Vec<usize> = (0..actors).collect();
                to.swap(pair[0], pair[1]);
                Permutation::new(to)
            })
            .collect()
    }

    /// An actor's share of a state, after a permutation.
    pub fn local(&self, by: &Permutation, local: &Local<A>) -> Local<A> {
        Local {
            state: local.state.as_ref().map(|state| Arc::new(self.permute.state(by, state))),
            timers: local.timers.iter().map(|timer| self.permute.timer(by, timer)).collect(),
            dues: local.dues.iter().map(|(timer, due)| (self.permute.timer(by, timer), *due)).collect(),
            randoms: local
                .randoms
                .iter()
                .map(|(key, choices)| {
                    (key.clone(), choices.iter().map(|choice| self.permute.choice(by, choice)).collect())
                })
                .collect(),
            storage: local.storage.as_ref().map(|storage| self.permute.storage(by, storage)),
        }
    }

    /// An envelope after a permutation.
    pub fn envelope(&self, by: &Permutation, envelope: &Envelope<A::Msg>) -> Envelope<A::Msg> {
        Envelope {
            src: by.id(envelope.src),
            dst: by.id(envelope.dst),
            msg: self.permute.message(by, &envelope.msg),
        }
    }
}

/// Every order of some things, the given one first.
fn orders(set: &[usize]) -> Vec<Vec<usize>> {
    let [first, rest @ ..] = set else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, *first);
            all.push(order);
        }
    }
    all.sort_by_key(|order| order.iter().map(|n| set.iter().position(|m| m == n)).collect::<Vec<_>>());
    all
}

/// Rewrites each state, as soon as it is reached, to one that stands for all of its kind. Unlike a [`Symmetry`] it is part of
/// the system's *meaning*: every walk, trace and search sees rewritten states only. The author of the system has to show which conclusions
/// about the actors themselves follow.
///
/// It must be a function of the state alone, and map a rewritten state to itself: a state is compared with others only
/// after it was rewritten, and may be rewritten again. A step to a state that is out of bounds is no step, nothing that
/// happened in it counts for a property, and the verdict is *holds within the bound* at best. The initial state must be within.
pub trait Normal<A: Subject, O: Observer<A>>: Send + Sync + 'static {
    /// The bound in words, for the verdict; such as "at most 3 live ballots".
    fn bound(&self) -> String;

    /// The state that stands for this one; `None` if it is out of bounds.
    fn normal(&self, state: State<A, O>) -> Option<State<A, O>>;

    /// The renaming of messages when this state is rewritten; `None` if they stay, which is the default. Diagrams need it,
    /// to show which message is called otherwise when it arrives than when it was sent.
    fn renaming(&self, _state: &State<A, O>) -> Option<Renaming<A::Msg>> {
        None
    }
}

/// The renaming that comes with rewriting a state.
pub struct Renaming<M> {
    /// The renaming in words, such as "3.1 is now 2.1".
    pub words: String,
    /// A message after the renaming.
    pub message: Box<dyn Fn(&M) -> M>,
}

impl<M> Debug for Renaming<M> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_all_there_and_the_given_one_is_first() {
        let all = orders(&[4, 2, 9]);
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], [4, 2, 9]);
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 6);
    }

    #[test]
    #[should_panic(expected = "no permutation")]
    fn a_permutation_has_everyone_once() {
        let _ = Permutation::new(vec![0, 0]);
    }
}
