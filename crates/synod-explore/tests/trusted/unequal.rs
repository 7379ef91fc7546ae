//! Values on which `Ord`, `Eq` and `Debug` disagree are refused with an error, before states are lost or invented.

use crate::erased::explore;
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use synod_explore::actor_model::from_actor_model;
use synod_explore::{Options, Verdict};

/// Goes by its priority in `Ord`, by all of it in `Eq`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Urgent {
    priority: u8,
    body: u8,
}

impl PartialOrd for Urgent {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Urgent {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority)
    }
}

/// The actors' order of two things that are equally urgent.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    SendBoth,
    SetBoth,
    CancelTheOther,
    /// The second once the first has arrived: they never meet.
    SendLater,
}

#[derive(Clone)]
struct Inbox(Habit);

impl Actor for Inbox {
    type Msg = Urgent;
    type State = Vec<u8>;
    type Timer = Urgent;
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Vec<u8> {
        let [first, second] = [1, 2].map(|body| Urgent { priority: 0, body });
        match self.0 {
            _ if usize::from(id) != 0 => {}
            Habit::SendBoth => {
                o.send(Id::from(1), first);
                o.send(Id::from(1), second);
            }
            Habit::SetBoth => {
                o.set_timer(first, model_timeout());
                o.set_timer(second, model_timeout());
            }
            Habit::CancelTheOther => {
                o.set_timer(first, model_timeout());
                o.cancel_timer(second);
            }
            Habit::SendLater => o.send(Id::from(1), first),
        }
        Vec::new()
    }

    fn on_msg(&self, _: Id, got: &mut Cow<'_, Vec<u8>>, src: Id, msg: Urgent, o: &mut Out<Self>) {
        got.to_mut().push(msg.body);
        if msg.body == 1 {
            o.send(src, Urgent { priority: 0, body: 2 });
        }
    }

    fn on_timeout(&self, _: Id, got: &mut Cow<'_, Vec<u8>>, timer: &Urgent, _: &mut Out<Self>) {
        got.to_mut().push(timer.body);
    }
}

#[test]
fn messages_and_timers_that_the_order_takes_for_the_same() {
    for network in [
        Network::new_unordered_nonduplicating([]),
        Network::new_unordered_duplicating([]),
        Network::new_ordered([]),
    ] {
        for habit in [Habit::SendBoth, Habit::SetBoth, Habit::CancelTheOther, Habit::SendLater] {
            let model = ActorModel::new((), ())
                .actors([Inbox(habit), Inbox(habit)])
                .init_network(network.clone())
                .property(Expectation::Always, "nobody gets 2", |_, s| {
                    s.actor_states.iter().all(|got| !got.contains(&2))
                });
            let report = explore(&from_actor_model(&model).unwrap(), &Options::default());
            let Verdict::Panicked { message, .. } = report.verdict else { panic!("{}", report.verdict) };
            let what =
                if matches!(habit, Habit::SetBoth | Habit::CancelTheOther) { "timers" } else { "messages" };
            assert!(
                message.contains(&format!("`Ord` takes two {what} for the same that `Eq` tells apart")),
                "{message}"
            );
            assert!(message.contains("body: 1 ") && message.contains("body: 2 "), "{message}");
        }
    }
}

/// The messages heard are not compared, and perhaps not shown.
#[derive(Clone)]
struct Heard<const SHOWN: bool> {
    something: bool,
    what: u32,
}

impl<const SHOWN: bool> fmt::Debug for Heard<SHOWN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heard({}", self.something)?;
        if SHOWN { write!(f, ", {})", self.what) } else { f.write_str(")") }
    }
}

impl<const SHOWN: bool> PartialEq for Heard<SHOWN> {
    fn eq(&self, other: &Self) -> bool {
        self.something == other.something
    }
}

impl<const SHOWN: bool> Hash for Heard<SHOWN> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.something.hash(hasher);
    }
}

/// 0 keeps the first word that it hears. 1 says one at the start, and another when its timer rings.
#[derive(Clone)]
struct Listener<const SHOWN: bool>;

impl<const SHOWN: bool> Actor for Listener<SHOWN> {
    type Msg = u32;
    type State = Heard<SHOWN>;
    type Timer = ();
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, o: &mut Out<Self>) -> Self::State {
        if usize::from(id) == 1 {
            o.send(Id::from(0), 1);
            o.set_timer((), model_timeout());
        }
        Heard { something: false, what: 0 }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, Self::State>, _: Id, what: u32, _: &mut Out<Self>) {
        if !state.something {
            *state.to_mut() = Heard { something: true, what };
        }
    }

    fn on_timeout(&self, _: Id, _: &mut Cow<'_, Self::State>, (): &(), o: &mut Out<Self>) {
        o.send(Id::from(0), 2);
    }
}

fn listeners<const SHOWN: bool>() -> Verdict<Listener<SHOWN>> {
    let model = ActorModel::new((), ())
        .actors([Listener, Listener])
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "2 is never what was heard", |_, s| s.actor_states[0].what != 2);
    explore(&from_actor_model(&model).unwrap(), &Options::default()).verdict
}

#[test]
fn a_field_that_is_shown_and_not_compared() {
    let Verdict::Panicked { message, trace } = listeners::<true>() else {
        panic!("a property saw what no run has")
    };
    assert!(message.contains("two equal values are not alike"), "{message}");
    assert!(message.contains("state Heard(true, 1) and Heard(true, 2)"), "{message}");
    assert_eq!(trace.len(), 2, "the timer, and the word that it sent");
    // A field that is left out of `Debug` too is taken for one that no property reads.
    assert_eq!(listeners::<false>(), Verdict::Holds);
}
