//! Liveness on fair runs, decided on the graph of all states, with a lasso as the counterexample.
//!
//! A *run* is an infinite sequence of states, each the one before or after a step of it; so to stand still for ever is
//! a run too, wherever one is. Without assumptions nothing has to come about. An [`Assumption`] is about a *class*
//! of steps, such as the deliveries of a channel, the timer of an actor or its recovery:
//!
//! - *weak* fairness: if from some point on steps of the class are always possible, one of them is taken again and again;
//! - *strong* fairness: if steps of the class are possible again and again, one of them is taken again and again;
//! - *ceases*: steps of the class are taken only finitely often.
//!
//! In a system with [`clocks`](crate::clocks) a run is one on which time passes without end. It never stands still, and what has a latest moment happens
//! by then without any assumption. A model in which time can get stuck is reported as an error.
//!
//! A step that a bound cuts off is possible, and its successor is not known. So a run that may only go on beyond the
//! bound is no counterexample, and the verdict names the bound. If no run meets the assumptions, as they exclude one another
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
mod outcome;
mod property;
mod time;
mod verify;

pub use check::check;
pub use outcome::{How, Lasso, LiveFinding, LiveReport, Meets};
pub use property::{
    Assumption, ClassOf, Fairness, Goal, LiveProperty, Liveness, LocalsOf, SetOf, Shape, When,
};
pub use verify::{Breach, verify};
