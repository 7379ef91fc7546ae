//! Mastership that is handed over, in a simulated world: how long that takes is counted in messages that follow one another.

use crate::simulated::ms;
use crate::world::Cluster;
use std::time::Duration;
use synod::{LeaseState, Msg};
use synod_groups::InGroup;
use synod_runtime::node::LOCAL_CLIENT;
use synod_runtime::sim::Weather;
use synod_server::MasterSettings;

/// A lease so long that nobody waits for its end.
const LEASE: MasterSettings = MasterSettings { lease_ms: 600_000, drift: 100_000 };

/// The time that a message takes: all else is short beside it.
const DELAY: Duration = Duration::from_millis(20);

fn is_master(cluster: &mut Cluster, place: usize) -> bool {
    let log = cluster.member(place).and_then(|member| member.log());
    log.and_then(|log| log.lease.as_ref()).is_some_and(LeaseState::is_master)
}

/// Has the master give mastership to another member. Returns the time until that one is master.
fn gives(cluster: &mut Cluster, master: usize, heir: usize) -> Duration {
    let member = cluster.member(master).expect("it runs");
    let since = member.log().and_then(|log| log.replica.mastership()).expect("it took mastership").since;
    let what = Msg::Give { since, heir: heir.into() };
    assert!(member.node.tell(LOCAL_CLIENT, &InGroup { group: 0, what }));
    let asked = cluster.world.now();
    while !is_master(cluster, heir) {
        cluster.run(Duration::from_micros(200));
        assert!(cluster.world.now() < asked + ms(10_000), "{heir} is to be master");
        assert!(!is_master(cluster, heir) || !is_master(cluster, master), "one at a time");
    }
    cluster.world.now().saturating_sub(asked)
}

#[test]
fn mastership_is_handed_over_in_a_few_round_trips() {
    let mut most = Duration::ZERO;
    for seed in 1..=5 {
        let mut cluster = Cluster::new(seed, 3).with_lease(LEASE);
        cluster.start_all();
        cluster.world.net(|net| {
            net.weather = Weather { delay: DELAY..DELAY + Duration::from_micros(1), ..Weather::default() }
        });
        cluster.run_until("somebody is master", |cluster| (0..3).any(|place| is_master(cluster, place)));
        for round in 0..6 {
            cluster.run(ms(1000));
            let master = (0..3).find(|place| is_master(&mut cluster, *place)).expect("its lease is long");
            let took = gives(&mut cluster, master, (master + 1 + round % 2) % 3);
            eprintln!("seed {seed}: {:.1} times a message", took.as_secs_f64() / DELAY.as_secs_f64());
            most = most.max(took);
        }
    }
    // The word of the old one, a prepare and a promise, a proposal and its acceptance; and the wait of one that is to lead.
    assert!(most < 10 * DELAY, "five round trips are a few: {most:?}");
}
