//! States that do not fit into the granted memory wait on disk. A process of its own, whose memory is measured.

use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use synod_explore::{Options, Progress, Property, System, Table, Verdict, Why, explore};

/// Chooses one number out of many, once.
#[derive(Clone)]
struct Chooser;

const CHOICES: u64 = 26;
const CHOOSERS: u32 = 4;

impl Actor for Chooser {
    type Msg = ();
    type Timer = ();
    type State = u64;
    type Storage = ();
    type Random = u64;

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> u64 {
        o.choose_random("number", (1..=CHOICES).collect());
        0
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, u64>, number: &u64, _: &mut Out<Self>) {
        *state.to_mut() = *number;
    }
}

#[test]
fn an_exploration_that_memory_is_too_small_for_ends_with_a_folder_to_wait_in() {
    // Most states are in the last level, and wait there all at once.
    let system = System::new(vec![Chooser; CHOOSERS as usize], ())
        .property(Property::sometimes_local("26", |_, local| local.state.as_deref() == Some(&CHOICES)));
    let most = AtomicU64::new(0);
    let progress = |at: &Progress| {
        most.fetch_max(at.memory_bytes, Ordering::Relaxed);
    };
    let options = Options { table: Table::Fingerprint128, ..Options::default() };
    let unlimited = explore(&system, &Options { progress: Some(&progress), ..options.clone() });
    assert_eq!((&unlimited.verdict, unlimited.unique_states), (&Verdict::Holds, (CHOICES + 1).pow(CHOOSERS)));

    let memory = Some(most.load(Ordering::Relaxed) * 3 / 4);
    let limited = explore(&system, &Options { memory, ..options.clone() });
    assert_eq!(limited.verdict, Verdict::Incomplete(Why::Memory), "{memory:?} bytes are too few");
    let folder = tempfile::tempdir().expect("a folder");
    let spilled = explore(&system, &Options { memory, spill: Some(folder.path()), ..options });
    assert_eq!(spilled.verdict, Verdict::Holds, "{memory:?} bytes and a disk are enough");
    assert_eq!(
        (spilled.unique_states, spilled.generated_states, spilled.depth, spilled.handler_calls),
        (unlimited.unique_states, unlimited.generated_states, unlimited.depth, unlimited.handler_calls)
    );
}
