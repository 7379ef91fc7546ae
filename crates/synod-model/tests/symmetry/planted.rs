//! A permutation that forgets to rewrite something is found out, whatever it forgets.

use crate::equivariance::equivariant;
use std::convert::Infallible;
use std::sync::Arc;
use synod::Phase;
use synod::{Msg, Process, ProcessState, Stable, Timer};
use synod_explore::{Permutation, Permute, Symmetry, System};
use synod_model::{Built, Exchange, Ghost, History, Model, Note};

/// The values that a wrong exchange leaves as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgets {
    Nothing,
    Promised,
    Quorum,
    Acceptances,
    LearnersVotes,
    Issued,
    Answered,
    Voted,
    Votes,
    Learned,
    Notes,
}

/// Rewrites all but one thing.
struct Planted {
    whole: Exchange,
    forgets: Forgets,
}

impl Permute<Process, Ghost> for Planted {
    fn state(&self, by: &Permutation, state: &ProcessState) -> ProcessState {
        let mut next = Permute::<Process, Ghost>::state(&self.whole, by, state);
        match (&mut next, state) {
            (ProcessState::Proposer(next), ProcessState::Proposer(old)) => {
                match (&mut next.phase, &old.phase) {
                    (Phase::Preparing { promised, .. }, Phase::Preparing { promised: old, .. })
                        if self.forgets == Forgets::Promised =>
                    {
                        *promised = *old;
                    }
                    (Phase::Accepting { quorum, .. }, Phase::Accepting { quorum: old, .. })
                        if self.forgets == Forgets::Quorum =>
                    {
                        *quorum = *old;
                    }
                    (Phase::Accepting { accepted, .. }, Phase::Accepting { accepted: old, .. })
                        if self.forgets == Forgets::Acceptances =>
                    {
                        accepted.clone_from(old);
                    }
                    _ => {}
                }
            }
            (ProcessState::Learner(next), ProcessState::Learner(old))
                if self.forgets == Forgets::LearnersVotes =>
            {
                next.votes.clone_from(&old.votes);
            }
            _ => {}
        }
        next
    }

    fn storage(&self, by: &Permutation, storage: &Stable) -> Stable {
        Permute::<Process, Ghost>::storage(&self.whole, by, storage)
    }

    fn message(&self, by: &Permutation, message: &Msg) -> Msg {
        Permute::<Process, Ghost>::message(&self.whole, by, message)
    }

    fn timer(&self, _: &Permutation, timer: &Timer) -> Timer {
        *timer
    }

    fn choice(&self, _: &Permutation, choice: &Infallible) -> Infallible {
        *choice
    }

    fn history(&self, by: &Permutation, history: &History) -> History {
        let mut next = Permute::<Process, Ghost>::history(&self.whole, by, history);
        match self.forgets {
            Forgets::Issued => next.issued.clone_from(&history.issued),
            Forgets::Answered => next.answered.clone_from(&history.answered),
            Forgets::Voted => next.voted.clone_from(&history.voted),
            Forgets::Votes => next.votes.clone_from(&history.votes),
            Forgets::Learned => next.learned.clone_from(&history.learned),
            _ => {}
        }
        next
    }

    fn note(&self, by: &Permutation, note: &Note) -> Note {
        match self.forgets {
            Forgets::Notes => note.clone(),
            _ => Permute::<Process, Ghost>::note(&self.whole, by, note),
        }
    }
}

/// Everything that acceptors and learners leave behind somewhere.
fn system() -> System<Process, Ghost> {
    let text = r#"
about = "Two learners, two proposers that try again, acceptors that crash."
tier = "fast"

[system]
layout = "separate"
acceptors = 3
proposers = 2
learners = 2
values = ["x", "y"]
responses = true
retry = "on-either"

[network]
delivery = "multiset"

[faults]
crash = ["acceptors"]

[reduce]
symmetry = ["acceptors", "learners"]

[expect]
verdict = "holds"
"#;
    match Model::read("planted", text).expect("a model").build() {
        Built::Plain(system) => system,
        _ => panic!("no mutant is named"),
    }
}

#[test]
fn whatever_is_forgotten_is_found_out() {
    let system = system();
    let alike = system.symmetry.as_ref().expect("it is declared").alike.clone();
    assert_eq!(alike, [vec![0, 1, 2], vec![5, 6]]);
    let found = |forgets: Forgets| {
        let whole = Exchange { cluster: Arc::clone(&system.observer.cluster) };
        let permute = Arc::new(Planted { whole, forgets });
        equivariant(&system, &Symmetry { alike: alike.clone(), permute }, 0..8, 60)
    };
    assert_eq!(found(Forgets::Nothing), Ok(()));
    for forgets in [
        Forgets::Promised,
        Forgets::Quorum,
        Forgets::Acceptances,
        Forgets::LearnersVotes,
        Forgets::Issued,
        Forgets::Answered,
        Forgets::Voted,
        Forgets::Votes,
        Forgets::Learned,
        Forgets::Notes,
    ] {
        assert!(found(forgets).is_err(), "{forgets:?} goes unnoticed");
    }
}
