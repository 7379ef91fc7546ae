//! The boundary of a stateright model is asked about every state, even if no property is left to be asked.

use crate::erased::explore;
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Out, model_timeout};
use std::borrow::Cow;
use synod_explore::{Options, Stop, Verdict, actor_model};

/// Counts to 40, a tick at a time.
#[derive(Clone)]
struct Clock;

const LAST: u8 = 40;

impl Actor for Clock {
    type Msg = ();
    type State = u8;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.set_timer((), model_timeout());
        0
    }

    fn on_timeout(&self, _: Id, count: &mut Cow<'_, u8>, (): &(), o: &mut Out<Self>) {
        *count.to_mut() += 1;
        if **count < LAST {
            o.set_timer((), model_timeout());
        }
    }
}

#[test]
fn a_single_state_late_in_the_search_is_refused_though_every_property_was_decided_before() {
    let counts = (usize::from(LAST) + 1) as u64;
    // Each of these is found after the first thousand states, and not every one can be among those that are looked at closely.
    for refused in (30..38).map(|one| [one, LAST]) {
        let model = ActorModel::new(refused, ())
            .actors([Clock, Clock])
            .within_boundary(|refused, state| [*state.actor_states[0], *state.actor_states[1]] != *refused)
            .property(Expectation::Sometimes, "it begins", |_, _| true);
        let system = actor_model::from_actor_model(&model).expect("it can be explored");
        for threads in [1, 2] {
            let options = Options { threads, stop: Stop::Exhausted, ..Options::default() };
            let report = explore(&system, &options);
            assert!(
                matches!(report.verdict, Verdict::HoldsWithinBound(_)),
                "{refused:?}: {:?}",
                report.verdict
            );
            assert_eq!(report.unique_states, counts * counts - 1, "{refused:?}");
        }
    }
}
