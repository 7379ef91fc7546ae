//! Tests: an exploration that is interrupted anywhere, once or at every opportunity, and resumed from its checkpoint finds the same as one
//! without interruption.
//!
//! Blocks are small here, so that small systems have levels of many blocks. With blocks of the usual size no test would stop within a level.

use super::budget::Budget;
use super::explore_at;
use super::search::Pace;
use crate::clocks::{Clocks, Delay};
use crate::{
    Checkpoint, Delivery, Local, Network, Observer, Options, Permutation, Permute, Progress, Property,
    Report, Step, Stop, Symmetry, System, Table, Trigger, Verdict, Why,
};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Several blocks per level, several portions per block, and several looks while states are asked about.
const PACE: Pace = Pace { block: 7, portion: 3, chunk: 1, always_due: false };

/// Goes up by one or two, and sends its height to the others. An actor that receives more than its height goes up by one, and ignores the rest.
#[derive(Clone)]
struct Climber {
    others: Vec<Id>,
    top: u8,
    panics_at: u8,
}

impl Actor for Climber {
    type Msg = u8;
    type State = u8;
    type Timer = ();
    type Random = u8;
    type Storage = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u8 {
        o.choose_random("by", vec![1, 2]);
        0
    }

    fn on_msg(&self, _: Id, at: &mut Cow<'_, u8>, _: Id, heard: u8, _: &mut Out<Self>) {
        if heard > **at {
            *at.to_mut() += 1;
        }
    }

    fn on_random(&self, _: Id, at: &mut Cow<'_, u8>, by: &u8, o: &mut Out<Self>) {
        *at.to_mut() += by;
        assert!(**at < self.panics_at, "too high");
        o.broadcast(&self.others, &**at);
        if **at < self.top {
            o.choose_random("by", vec![1, 2]);
        }
    }
}

/// Counts deliveries, up to three.
#[derive(Clone)]
struct Heard;

impl Observer<Climber> for Heard {
    type History = u8;
    type Note = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn note(&self, step: &Step<'_, Climber>) -> Option<u8> {
        match step.trigger {
            Trigger::Deliver { msg, .. } if !step.is_no_op() => Some(*msg),
            _ => None,
        }
    }

    fn update(&self, heard: &u8, _: &u8) -> Option<u8> {
        (*heard < 3).then_some(heard + 1)
    }
}

struct Alike;

impl Permute<Climber, Heard> for Alike {
    fn state(&self, _: &Permutation, state: &u8) -> u8 {
        *state
    }
    fn storage(&self, _: &Permutation, (): &()) {}
    fn message(&self, _: &Permutation, message: &u8) -> u8 {
        *message
    }
    fn timer(&self, _: &Permutation, (): &()) {}
    fn choice(&self, _: &Permutation, choice: &u8) -> u8 {
        *choice
    }
    fn history(&self, _: &Permutation, history: &u8) -> u8 {
        *history
    }
    fn note(&self, _: &Permutation, note: &u8) -> u8 {
        *note
    }
}

fn climbers(count: usize, top: u8) -> System<Climber, Heard> {
    let others = |me| (0..count).filter(|other| *other != me).map(Id::from).collect();
    let climber = |me| Climber { others: others(me), top, panics_at: u8::MAX };
    let mut system = System::new((0..count).map(climber).collect(), Heard)
        .property(Property::sometimes_history("heard twice", |heard| *heard == 2))
        .property(Property::sometimes_note("heard of 2", |heard| *heard == 2));
    system.network = Network { delivery: Delivery::Set, loss: false };
    system
}

/// A property of two actors together: it falls at a depth close to a bound.
fn below(sum: u8) -> Property<Climber, Heard> {
    Property::always_locals("low", move |locals: &[Arc<Local<Climber>>]| {
        let all: u8 = locals.iter().filter_map(|local| local.state.as_deref()).sum();
        if all < sum { Ok(()) } else { Err(format!("{all} together")) }
    })
}

fn run(
    (system, options): (&System<Climber, Heard>, &Options<'_>),
    checkpoint: Option<(&Path, bool)>,
    look: Option<u64>,
) -> Report<Climber> {
    let checkpoint = checkpoint.map(|(file, resume)| Checkpoint {
        file,
        identity: "climbers",
        resume,
        every: Duration::from_hours(1 << 20),
        keep: false,
    });
    let options = Options { checkpoint, ..options.clone() };
    let budget = Budget::start(&options);
    let budget = if let Some(look) = look { budget.until(look) } else { budget };
    explore_at(system, &options, PACE, &budget)
}

fn assert_same(one: &Report<Climber>, other: &Report<Climber>, what: &str) {
    assert_eq!(one.verdict, other.verdict, "{what}");
    assert_eq!(one.findings, other.findings, "{what}");
    let counts = |r: &Report<_>| (r.unique_states, r.generated_states, r.depth, r.handler_calls, r.passes);
    assert_eq!(counts(one), counts(other), "{what}");
}

/// Interrupts an exploration at each look at its limits, first at the first one, then at the second one, and so on. Returns the number
/// of looks.
fn interrupt_everywhere(system: &System<Climber, Heard>, options: &Options<'_>) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    let asked = (system, options);
    let whole = run(asked, None, None);
    let (mut looks, mut kept) = (1, None);
    loop {
        let first = run(asked, Some((&file, false)), Some(looks));
        if !file.exists() && first.verdict != Verdict::Incomplete(Why::Interrupted) {
            assert_same(&first, &whole, "not interrupted any more");
            break;
        }
        // While it scouts there is nothing to resume.
        if file.exists() {
            kept.get_or_insert(looks);
            let rest = run(asked, Some((&file, true)), None);
            assert!(!file.exists());
            assert_same(&rest, &whole, &format!("interrupted at look {looks}"));
        }
        looks += 1;
    }
    // A piece has to be long enough for one portion, which is a whole block if properties look at whole states.
    for every in [12, 40] {
        let mut last = run(asked, Some((&file, false)), Some(every.max(kept.expect("it was interrupted"))));
        let mut pieces = 1;
        while file.exists() {
            last = run(asked, Some((&file, true)), Some(every));
            pieces += 1;
            assert!(pieces < 3_000, "it gets nowhere in {every} looks at a time");
        }
        assert_same(&last, &whole, &format!("{pieces} pieces of {every} looks"));
    }
    looks
}

fn options<'a>() -> Options<'a> {
    Options { stop: Stop::Exhausted, ..Options::default() }
}

#[test]
fn wherever_it_is_interrupted() {
    for table in [Table::Exact, Table::Fingerprint64] {
        assert!(interrupt_everywhere(&climbers(2, 4), &Options { table, ..options() }) > 40);
    }
}

#[test]
fn wherever_it_is_interrupted_with_a_bound_on_depth() {
    let mut system = climbers(3, 3).property(below(7));
    for depth in [5, 6] {
        system.bounds.depth = Some(depth);
        for stop in [Stop::Exhausted, Stop::FirstViolation] {
            interrupt_everywhere(&system, &Options { stop, ..options() });
        }
    }
}

#[test]
fn wherever_it_is_interrupted_with_two_threads() {
    let system = climbers(2, 4).property(below(6));
    interrupt_everywhere(&system, &Options { threads: 2, ..options() });
}

#[test]
fn wherever_it_is_interrupted_with_dead_messages() {
    let system = climbers(2, 4);
    interrupt_everywhere(&system, &Options { dead_messages: true, ..options() });
}

#[test]
fn wherever_it_is_interrupted_with_like_actors() {
    let mut system = climbers(3, 2);
    system.symmetry = Some(Symmetry { alike: vec![vec![0, 1, 2]], permute: Arc::new(Alike) });
    system.bounds.depth = Some(6);
    interrupt_everywhere(&system, &options());
}

#[test]
fn wherever_it_is_interrupted_with_time() {
    let mut system = climbers(2, 1);
    system.network.delivery = Delivery::Multiset;
    let delay = Some(Delay { least: 1, most: 2 });
    system.clocks = Some(Clocks { delay, ..Clocks::new(Duration::from_secs(1)) });
    interrupt_everywhere(&system, &options());
}

#[test]
fn wherever_it_is_interrupted_before_something_falls() {
    let system = climbers(2, 4).property(Property::always_state("low", |state: &crate::State<_, _>| {
        if state.history < 3 { Ok(()) } else { Err("heard three times".to_owned()) }
    }));
    interrupt_everywhere(&system, &Options { stop: Stop::FirstViolation, ..options() });
}

/// A violation in a block is found before the block is over, and yet the whole block is expanded: the number of states must not depend on
/// interruptions.
#[test]
fn wherever_it_is_interrupted_in_the_block_in_which_something_falls() {
    for most in 1..3 {
        let system = climbers(2, 4).property(Property::always_history("seldom heard", move |heard| {
            if *heard < most { Ok(()) } else { Err(format!("heard {heard} times")) }
        }));
        interrupt_everywhere(&system, &Options { stop: Stop::FirstViolation, ..options() });
    }
}

/// A process that is killed leaves the last checkpoint, which may be any that was ever written.
#[test]
fn whenever_it_was_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    let mut system = climbers(2, 4).property(below(6));
    for depth in [None, Some(6)] {
        system.bounds.depth = depth;
        let asked = (&system, &options());
        let whole = run(asked, None, None);
        let written = AtomicU64::new(0);
        let keep = |_: &Progress| {
            if file.exists() {
                let n = written.fetch_add(1, Ordering::Relaxed);
                std::fs::copy(&file, folder.path().join(n.to_string())).expect("a copy");
            }
        };
        let checkpoint = Some(Checkpoint {
            file: &file,
            identity: "climbers",
            resume: false,
            every: Duration::ZERO,
            keep: false,
        });
        let options = Options { progress: Some(&keep), checkpoint, ..options() };
        let pace = Pace { always_due: true, ..PACE };
        assert_same(&explore_at(&system, &options, pace, &Budget::start(&options)), &whole, "in one go");
        let written = written.into_inner();
        assert!(written > 20, "{written}");
        for n in 0..written {
            std::fs::rename(folder.path().join(n.to_string()), &file).expect("it is there");
            let rest = run(asked, Some((&file, true)), None);
            assert_same(&rest, &whole, &format!("killed after block {n}"));
        }
    }
}

/// An exploration that asks for more decisions finds the end of the earlier one in the file, and is over at once.
#[test]
fn a_checkpoint_that_is_kept_is_of_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("checkpoint");
    let with = |system: &System<Climber, Heard>, resume, stop: Stop, look: Option<u64>| {
        let checkpoint =
            Checkpoint { file: &file, identity: "climbers", resume, every: Duration::ZERO, keep: true };
        let options = Options { checkpoint: Some(checkpoint), stop, ..Options::default() };
        let budget = Budget::start(&options);
        let budget = if let Some(look) = look { budget.until(look) } else { budget };
        explore_at(system, &options, PACE, &budget)
    };
    let mut bounded = climbers(2, 4);
    bounded.bounds.depth = Some(4);
    let mut panics = climbers(2, 5);
    panics.actors[1].panics_at = 5;
    let whole = with(&panics, false, Stop::Exhausted, None);
    assert!(matches!(whole.verdict, Verdict::Panicked { .. }) && !file.exists(), "{whole:?}");
    for system in [climbers(2, 4), climbers(2, 4).property(below(6)), bounded] {
        for stop in [Stop::Exhausted, Stop::FirstViolation] {
            let whole = with(&system, false, stop.clone(), None);
            assert!(file.exists());
            for _ in 0..2 {
                let again = with(&system, true, stop.clone(), Some(4));
                assert_same(&again, &whole, "nothing is left to be done");
                assert!(file.exists());
            }
            std::fs::remove_file(&file).expect("it is there");
        }
    }
}
