//! stateright's `eventually` in an unchanged model, also on cycles and where paths join.

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use stateright::{Checker, Expectation, Model};
use std::borrow::Cow;
use synod_explore::actor_model::{from_actor_model, with_liveness};
use synod_explore::liveness::{Assumption, check};
use synod_explore::{Action, Options, Verdict};

/// Turns round and round between 0, 1 and 2, and leaves for 3 if its other timer runs out at 2.
#[derive(Clone)]
struct Spinner;

impl Actor for Spinner {
    type Msg = ();
    type State = u8;
    type Timer = char;
    type Random = ();
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.set_timer('s', model_timeout());
        0
    }

    fn on_timeout(&self, _: Id, at: &mut Cow<'_, u8>, timer: &char, o: &mut Out<Self>) {
        if *timer == 'l' {
            o.cancel_timer('s');
            *at.to_mut() = 3;
            return;
        }
        *at.to_mut() = (**at + 1) % 3;
        o.set_timer('s', model_timeout());
        if **at == 2 {
            o.set_timer('l', model_timeout());
        } else {
            o.cancel_timer('l');
        }
    }
}

fn model() -> ActorModel<Spinner, (), ()> {
    ActorModel::new((), ()).actor(Spinner).init_network(Network::new_unordered_nonduplicating([])).property(
        Expectation::Eventually,
        "leaves",
        |_, state| *state.actor_states[0] == 3,
    )
}

#[test]
fn a_cycle_that_stateright_misses_is_found() {
    let checker = model().checker().spawn_bfs().join();
    assert!(checker.discovery("leaves").is_none(), "then this is not needed any more");
    let error = from_actor_model(&model()).err().expect("exploring would not look at it");
    assert!(error.to_string().contains("with_liveness"), "{error}");

    let mut system = with_liveness(&model());
    let report = check(&system, &Options::default());
    assert_eq!(report.verdict, Verdict::Violated { property: "leaves" });
    let lasso = report.findings[0].lasso.as_ref().expect("it falls");
    assert_eq!((lasso.stem.len(), lasso.cycle.len()), (0, 3));
    // Weak fairness is not enough, as it is possible to leave at 2 alone.
    let leaves = |action: &Action<Spinner>| matches!(action, Action::<Spinner>::Timeout(_, 'l'));
    system.liveness.assumptions.push(Assumption::weak("it leaves", leaves));
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Violated { property: "leaves" });
    system.liveness.assumptions.push(Assumption::strong("it leaves in the end", leaves));
    assert_eq!(check(&system, &Options::default()).verdict, Verdict::Holds);
}
