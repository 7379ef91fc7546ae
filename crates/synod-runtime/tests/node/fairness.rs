//! Two clients at one member: one asks as much as it can, the other one thing after another. Steps are counted, not seconds.

use crate::world::settings;
use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::time::Duration;
use synod_runtime::changes::Whole;
use synod_runtime::inbox::Limits;
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::sim::{SimNode, Weather, World};
use synod_runtime::sim_disk::SimDisk;
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::Transport;

/// A question, its answer, and what members tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Say {
    Ask(u32),
    Told(u32),
}

#[derive(Clone, Debug)]
enum Party {
    /// Answers, and says each thing to itself once more before it does.
    Server,
    /// Asks so many things at a time, and for each answer the next.
    Asks { at_a_time: u32 },
}

/// The questions that it has heard or asked, and who asked a server, in the order in which they were served.
type Course = (u32, Vec<u64>);

impl Actor for Party {
    type Msg = Say;
    type Timer = ();
    type State = Course;
    type Storage = u32;
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<u32>, out: &mut Out<Self>) -> Course {
        if matches!(self, Party::Asks { .. }) {
            out.set_timer((), Duration::from_millis(60)..Duration::from_millis(60));
        }
        Course::default()
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, Course>, src: Id, msg: Say, out: &mut Out<Self>) {
        match (self, msg) {
            (Party::Server, Say::Ask(n)) => {
                state.to_mut().1.push(usize::from(src) as u64);
                out.send(src, Say::Told(n));
            }
            (Party::Asks { .. }, Say::Told(n)) => {
                state.to_mut().0 += 1;
                out.send(Id::from(0), Say::Ask(n + 1));
            }
            _ => {}
        }
    }

    fn on_timeout(&self, _: Id, _: &mut Cow<'_, Course>, (): &(), out: &mut Out<Self>) {
        if let Party::Asks { at_a_time } = self {
            (0..*at_a_time).for_each(|n| out.send(Id::from(0), Say::Ask(n)));
        }
    }
}

#[test]
fn a_client_that_asks_without_a_pause_does_not_keep_another_waiting() {
    let mut world: World<SimNode<Party, Whole>> = World::new(1);
    // A message takes as long as a turn on its way, so that waiting is waiting at the member.
    let turn = Duration::from_micros(1);
    world.net(|net| net.weather = Weather { delay: turn..turn, ..Weather::default() });
    let few = Limits { batch: 4, ..Limits::default() };
    let who = Identity { cluster: 1, member: 0 };
    let (store, _) =
        Store::open(SimDisk::new().open().expect("it is free"), who, &[0], 7).expect("it is new");
    let transport = Transport::new(settings(0, &[], store.standing()), fastrand::Rng::with_seed(1));
    let rng = fastrand::Rng::with_seed(2);
    let wire = world.wire(0);
    world.start(0, Node::new(Party::Server, transport, wire, Some(store), None, few, rng));
    let ids = [FIRST_CLIENT + 11, FIRST_CLIENT + 12];
    for (place, at_a_time) in [(1, 3000), (2, 1)] {
        let mut settings = settings(ids[place - 1], &[0], Standing::default());
        settings.cluster_keys = None;
        settings.session = [place as u8 + 50; 16];
        let transport = Transport::new(settings, fastrand::Rng::with_seed(3));
        let (wire, rng) = (world.wire(place), fastrand::Rng::with_seed(4));
        let limits = Limits::default();
        world.start(place, Node::new(Party::Asks { at_a_time }, transport, wire, None, None, limits, rng));
    }
    world.run(Duration::from_micros(61_500)).unwrap_or_else(|(place, stopped)| panic!("{place}: {stopped}"));
    let course = world.node(0).and_then(|node| node.state().cloned()).expect("it takes part").1;
    let turns: Vec<usize> = (0..course.len()).filter(|at| course[*at] == ids[1]).collect();
    assert!(turns.len() > 100 && course.len() > 1000, "{} of {} turns", turns.len(), course.len());
    // Under service in the order of arrival, 3000 others would come between two.
    let longest = turns.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(usize::MAX);
    assert!(longest <= 40, "{longest} others were served between two questions of one client");
    let counts = world.node(0).expect("it runs").counts();
    assert_eq!(counts.inbox_full, 0, "3000 at a time have room");
}
