//! The judge of replayed logs, shown to notice what it is there for: servers that break one rule of the log, in a simulated world, whose records say
//! so when they are replayed.

use crate::simulated::{MutantSim, broken, ms, mutant_answer};
use std::sync::Arc;
use synod::{Pace, Process};
use synod_model::mutants::Decorated;
use synod_replay::Verdict;
use synod_runtime::changes::Whole;
use synod_server::LogSettings;

/// A storm over servers that keep a log.
fn stormed(seed: u64, make: fn(Process) -> Decorated) -> MutantSim {
    let mut sim = MutantSim::new(seed, 3, make, mutant_answer);
    let log = LogSettings {
        alpha: 1,
        batch: 4,
        catch_up: ms(30)..ms(80),
        snapshot_every: 1000,
        keep: 100,
        ..LogSettings::default()
    };
    sim.wiring.max_value = log.longest_command(64);
    sim.wiring.log = Some((log, 64));
    let pace =
        Pace { beat: ms(20)..ms(30), suspect: ms(120)..ms(200), hold_off: ms(10)..ms(20), doublings: 4 };
    sim.wiring.election = Some(pace);
    sim.trusted = false;
    sim.storm(80, 4);
    sim
}

/// Storms with servers that break a rule, until the claim falls in a replay by the same broken servers.
fn falls(make: fn(Process) -> Decorated, claim: &str, says: &str) {
    let mut others = Vec::new();
    for seed in 1..100 {
        match stormed(seed, make).replay_as::<Decorated, Whole>(make).verdict {
            Some(Verdict::Violated(found)) if found.claim == claim && found.breach.contains(says) => {
                eprintln!("seed {seed}: {found}");
                return;
            }
            other => others.extend(other),
        }
    }
    panic!("{claim} never fell so: {:?}", others.iter().take(5).collect::<Vec<_>>());
}

#[test]
fn a_proposal_beyond_the_window_is_found_in_the_records() {
    fn make(process: Process) -> Decorated {
        let process = match process {
            Process::Server { cluster, number, retry } => {
                let mut wider = (*cluster).clone();
                wider.log.as_mut().expect("it keeps a log").alpha += 1;
                Process::Server { cluster: Arc::new(wider), number, retry }
            }
            other => other,
        };
        Decorated { process, rule: broken("control"), draws: false }
    }
    falls(make, "W1", "or more below");
}

#[test]
fn half_a_batch_at_one_member_is_found_in_the_records() {
    fn make(process: Process) -> Decorated {
        // All together would do the same.
        let is_broken = matches!(process, Process::Server { number: 1, .. });
        let rule = if is_broken { broken("executes-first-of-batch") } else { broken("control") };
        Decorated { process, rule, draws: false }
    }
    falls(make, "X1", "has the checksum");
}

#[test]
fn servers_of_a_log_that_break_nothing_are_found_to_break_nothing() {
    fn make(process: Process) -> Decorated {
        Decorated { process, rule: broken("control"), draws: false }
    }
    for seed in 1..4 {
        let sim = stormed(seed, make);
        let replayed = sim.replay_as::<Decorated, Whole>(make);
        assert!(replayed.verdict.is_none() && replayed.chosen > 5, "seed {seed}: {replayed:?}");
    }
}
