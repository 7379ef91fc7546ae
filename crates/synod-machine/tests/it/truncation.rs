//! What a log may be forgotten below: a member that crashes, falls behind and catches up, under the rule and under wrong ones.

use crate::{falls, holds};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;
use synod_machine::forget_below;

type Rule = fn(u64, u64, &[u64], u64) -> u64;

/// What a member has.
#[derive(Debug)]
struct Member {
    /// Instances in its log.
    log: BTreeSet<u64>,
    /// Everything below was chosen.
    chosen: u64,
    /// Everything below was executed.
    applied: u64,
    /// Everything below is in the snapshot on its disk.
    snapshot: u64,
    /// What the others are known to have.
    held: [u64; 2],
    spare: u64,
    /// What is asked of whatever it forgets.
    asked: Asked,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// That nothing is lost.
    Safety,
    /// Besides, that members which are near find what they want, and that not much is kept for others.
    Thrift,
}

#[derive(Clone, Debug)]
enum Happening {
    /// It accepts something for the next instance, or for the one after, so that there is a gap.
    Accepts(u64),
    /// It learns what was chosen in an instance.
    Learns,
    Executes,
    /// It writes its own snapshot.
    Snapshots,
    /// A snapshot from another member is on its disk, and not restored yet.
    Fetched(u64),
    /// The machine begins with what is on the disk.
    Restarts,
    /// Another member says what it has.
    Heard(usize, u64),
    Forgets,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (0..3u64).prop_map(Happening::Accepts),
        4 => Just(Happening::Learns),
        4 => Just(Happening::Executes),
        2 => Just(Happening::Snapshots),
        1 => (1..6u64).prop_map(Happening::Fetched),
        1 => Just(Happening::Restarts),
        3 => (0..2usize, 0..12u64).prop_map(|(who, back)| Happening::Heard(who, back)),
        3 => Just(Happening::Forgets),
    ];
    vec(one, 0..80)
}

impl Member {
    fn happen(&mut self, happening: &Happening, rule: Rule) -> Result<(), TestCaseError> {
        match *happening {
            Happening::Accepts(ahead) => {
                self.log.insert(self.chosen + ahead);
            }
            Happening::Learns => {
                self.log.insert(self.chosen);
                self.chosen += 1;
            }
            Happening::Executes if self.applied < self.chosen => self.applied += 1,
            Happening::Snapshots => self.snapshot = self.snapshot.max(self.applied),
            Happening::Fetched(ahead) => {
                self.snapshot = self.snapshot.max(self.applied + ahead);
                // It was executed elsewhere, so it was chosen.
                self.chosen = self.chosen.max(self.snapshot);
            }
            Happening::Restarts => self.applied = self.snapshot,
            Happening::Heard(who, back) => {
                self.held[who] = self.held[who].max(self.chosen.saturating_sub(back));
            }
            Happening::Forgets => {
                let below = rule(self.applied, self.snapshot, &self.held, self.spare);
                let kept = self.log.split_off(&below);
                let forgotten = std::mem::replace(&mut self.log, kept);
                self.judge(&forgotten)?;
            }
            Happening::Executes => {}
        }
        Ok(())
    }

    fn judge(&self, forgotten: &BTreeSet<u64>) -> Result<(), TestCaseError> {
        for instance in forgotten {
            prop_assert!(*instance < self.chosen, "{} was forgotten and not chosen", instance);
            prop_assert!(*instance < self.applied, "{} was forgotten before it was executed", instance);
            prop_assert!(*instance < self.snapshot, "{} was forgotten: a crash loses it", instance);
            if self.asked == Asked::Safety {
                continue;
            }
            let near = |held: &u64| held <= instance && held + self.spare >= self.snapshot.min(self.applied);
            prop_assert!(!self.held.iter().any(near), "{} is wanted by a member that is near", instance);
        }
        if self.asked == Asked::Safety {
            return Ok(());
        }
        let safe = self.snapshot.min(self.applied);
        let spared = self.log.range(..safe).count() as u64;
        prop_assert!(spared <= self.spare, "{} instances are kept for nobody near", spared);
        Ok(())
    }
}

fn only_what_is_safe(rule: Rule, asked: Asked, happenings: &[Happening]) -> Result<(), TestCaseError> {
    let mut member =
        Member { log: BTreeSet::new(), chosen: 0, applied: 0, snapshot: 0, held: [0, 0], spare: 3, asked };
    for happening in happenings {
        member.happen(happening, rule)?;
    }
    Ok(())
}

#[test]
fn the_log_is_forgotten_only_below_what_is_safe() {
    holds("truncation", 4000, &happenings(), |happenings| {
        only_what_is_safe(forget_below, Asked::Thrift, &happenings)
    });
}

#[test]
fn wrong_rules_forget_too_much_or_too_little() {
    let mutants: [(&str, Rule, Asked, &str); 6] = [
        (
            "below what was executed, without a snapshot",
            |applied, _, held, spare| forget_below(applied, applied, held, spare),
            Asked::Safety,
            "a crash loses it",
        ),
        (
            "below a snapshot that is not restored",
            |_, snapshot, held, spare| forget_below(snapshot, snapshot, held, spare),
            Asked::Safety,
            "before it was executed",
        ),
        (
            "below what all others have",
            |_, _, held, _| held.iter().copied().min().unwrap_or(0),
            Asked::Safety,
            "was forgotten",
        ),
        (
            "one instance too many",
            |applied, snapshot, held, spare| forget_below(applied, snapshot, held, spare) + 1,
            Asked::Safety,
            "was forgotten",
        ),
        (
            "whatever others want",
            |applied, snapshot, _, _| applied.min(snapshot),
            Asked::Thrift,
            "wanted by a member that is near",
        ),
        (
            "waits for members that never come back",
            |applied, snapshot, held, _| forget_below(applied, snapshot, held, u64::MAX),
            Asked::Thrift,
            "kept for nobody near",
        ),
    ];
    for (name, rule, asked, wanted) in mutants {
        let why = falls(name, 4000, &happenings(), |happenings| only_what_is_safe(rule, asked, &happenings));
        assert!(why.contains(wanted), "{name}: {why}");
    }
}
