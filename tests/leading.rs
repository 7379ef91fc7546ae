//! Who leads in a network in which not everyone hears everyone, and with a leader that falls silent again and again.

use crate::simulated::{RealSim, leaders, ms, real, real_answer};
use std::time::Duration;
use synod::{Pace, Value, Want};
use synod_runtime::sim::address;

fn sim(seed: u64) -> RealSim {
    let mut sim = RealSim::new(seed, 3, real, real_answer);
    let pace =
        Pace { beat: ms(20)..ms(30), suspect: ms(120)..ms(200), hold_off: ms(10)..ms(20), doublings: 4 };
    sim.wiring.election = Some(pace);
    (0..3).for_each(|place| sim.start(place));
    sim.run(ms(3000));
    assert!((0..3).all(|place| takes_part(&mut sim, place)), "seed {seed}");
    assert_eq!(leaders(&mut sim), [0]);
    sim
}

/// Whether all peers let it take part.
fn takes_part(sim: &mut RealSim, place: usize) -> bool {
    sim.world.node(place).is_some_and(|node| node.state().is_some())
}

/// One question after another, each of which is to be answered within this time.
fn ask(sim: &mut RealSim, instances: std::ops::Range<u64>, within: Duration) {
    for instance in instances {
        let (answers, until) = (sim.answers, sim.world.now() + within);
        sim.ask(3, instance, Want::Write(Value::from(format!("v{instance}").as_bytes())));
        sim.run(until);
        sim.hear();
        assert_eq!(sim.answers, answers + 1, "instance {instance}");
    }
}

#[test]
fn a_member_that_is_heard_and_hears_nobody_keeps_the_others_from_nothing() {
    for seed in 1..6 {
        let mut sim = sim(seed);
        sim.world.net(|net| net.cuts.extend([1, 2].map(|place| (address(place), address(0)))));
        ask(&mut sim, 1..6, ms(3_000));
        assert_eq!(leaders(&mut sim), [1], "seed {seed}");
        // The leader stops: now there is no majority that hears each other, and nobody leads.
        sim.world.net(|net| net.cuts.clear());
        sim.kill(1);
        ask(&mut sim, 6..8, ms(3_000));
    }
}

#[test]
fn two_that_do_not_hear_each_other_do_not_duel_at_the_third() {
    for seed in 1..6 {
        let mut sim = sim(seed);
        sim.world.net(|net| net.cuts.extend([(address(0), address(1)), (address(1), address(0))]));
        ask(&mut sim, 1..6, ms(3_000));
        assert_eq!(leaders(&mut sim).len(), 1, "seed {seed}");
    }
}

#[test]
fn a_leader_that_falls_silent_again_and_again_is_not_followed_again() {
    for seed in 1..6 {
        let mut sim = sim(seed);
        let from_first = [(address(0), address(1)), (address(0), address(2))];
        for _ in 0..20 {
            // As with a disk that takes half a second for each flush.
            sim.world.net(|net| net.cuts.extend(from_first));
            let until = sim.world.now() + ms(500);
            sim.run(until);
            sim.world.net(|net| net.cuts.clear());
            let until = sim.world.now() + ms(500);
            sim.run(until);
            assert_eq!(leaders(&mut sim), [1], "seed {seed}");
        }
        ask(&mut sim, 1..3, ms(2_000));
    }
}
