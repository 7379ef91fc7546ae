//! A process that learns before it takes part: what it hears and says, and what makes it take part.

use crate::world::{Do, Heard, Scripted, With, settings};
use stateright::actor::Id;
use std::io::ErrorKind;
use std::time::Duration;
use synod_runtime::admission::{Admission, Members, Until};
use synod_runtime::door::Door;
use synod_runtime::inbox::Limits;
use synod_runtime::node::{LOCAL_CLIENT, Node};
use synod_runtime::sim::{SimNode, World};
use synod_runtime::sim_disk::{Fault, Op, SimDisk};
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{Config, Transport};

/// An answer teaches, and a question asks to learn.
struct Taught;

impl Door<Scripted> for With<Taught> {
    type Ask = Do;

    fn teaches(msg: &Do) -> bool {
        matches!(msg, Do::Said(_) | Do::Pass(..))
    }

    fn asks_to_learn(msg: &Do) -> bool {
        matches!(msg, Do::Echo(_))
    }

    fn tells_chosen(msg: &Do) -> bool {
        matches!(msg, Do::Said(_))
    }
}

type Scene = World<SimNode<Scripted, With<Taught>>>;

/// Starts a member of a cluster that began with members 0 and 2. It says all this after sixty milliseconds.
fn start(scene: &mut Scene, me: u64, peers: &[u64], (disk, fresh): (&SimDisk, u64), script: &[(u64, Do)]) {
    scene.kill(me as usize);
    let first = vec![0, 2];
    let who = Identity { cluster: 1, member: me };
    let (store, _) =
        Store::open(disk.open().expect("it is free"), who, &first, fresh).expect("it can be opened");
    let mut config = Config { first: Some(first), ..settings(me, peers, store.standing()) };
    scene.rng().fill(&mut config.session);
    let transport = Transport::new(config, fastrand::Rng::with_seed(1));
    let script = script.iter().map(|(to, what)| (Id::from(*to as usize), what.clone())).collect();
    let actor = Scripted { script, panics: false };
    let (limits, rng) = (Limits::default(), fastrand::Rng::with_seed(2));
    let wire = scene.wire(me as usize);
    scene.start(me as usize, Node::new(actor, transport, wire, Some(store), None, limits, rng));
}

fn pass(scene: &mut Scene, ms: u64) -> Result<(), String> {
    let until = scene.now() + Duration::from_millis(ms);
    scene.run(until).map_err(|(place, stopped)| format!("{place}: {stopped}"))
}

fn node(scene: &mut Scene, me: usize) -> &mut SimNode<Scripted, With<Taught>> {
    scene.node(me).expect("it runs")
}

fn heard(scene: &mut Scene, me: usize) -> Option<Heard> {
    node(scene, me).state().cloned()
}

fn members(number: u64, configurations: &[&[u64]], directory: Option<u64>) -> Members {
    let configurations = configurations.iter().map(|ids| ids.iter().copied().collect()).collect();
    Members { number, configurations, directory }
}

/// Members 0 and 2 take part, and member 5 learns. It has said all this.
fn learner(script: &[(u64, Do)], others: &[(u64, Do)]) -> (Scene, [SimDisk; 3]) {
    let (mut scene, disks) = (Scene::new(1), [SimDisk::new(), SimDisk::new(), SimDisk::new()]);
    start(&mut scene, 0, &[2], (&disks[0], 70), &[]);
    start(&mut scene, 2, &[0], (&disks[1], 72), &[]);
    pass(&mut scene, 100).expect("nobody stops");
    for at in [0, 2] {
        assert_eq!(node(&mut scene, at).admission(), Admission::Admitted);
    }
    // It takes part from its second start on only once it is told what it has executed.
    start(&mut scene, 0, &[2, 5], (&disks[0], 70), others);
    start(&mut scene, 5, &[0, 2], (&disks[2], 75), script);
    pass(&mut scene, 50).expect("nobody stops");
    assert_eq!(node(&mut scene, 0).admission(), Admission::Learns(Until::Executes { number: 0 }));
    node(&mut scene, 0).configure(members(0, &[&[0, 2]], None));
    assert_eq!(node(&mut scene, 0).admission(), Admission::Admitted);
    pass(&mut scene, 150).expect("nobody stops");
    assert!(node(&mut scene, 5).learns() && !node(&mut scene, 0).learns());
    (scene, disks)
}

#[test]
fn one_that_learns_asks_and_is_told_and_nothing_else_passes_either_way() {
    let script =
        [(0, Do::Save(1)), (0, Do::Echo(2)), (0, Do::Pass(2, 3)), (2, Do::Said(4)), (5, Do::Said(6))];
    let others = [(5, Do::Save(7)), (5, Do::Said(8)), (5, Do::Echo(9)), (5, Do::Pass(2, 10))];
    let (mut scene, _) = learner(&script, &others);
    let learned = heard(&mut scene, 5).expect("its actor runs");
    let mut said = learned.said.clone();
    said.sort_unstable();
    assert_eq!(said, [2, 6, 8], "the answer, its own word, and what it was told");
    assert_eq!(node(&mut scene, 5).store().expect("it has a disk").state(), None, "it was not told to save");
    let unsaid = node(&mut scene, 5).counts().unsaid;
    assert_eq!(unsaid, 4, "three messages of its own, and what it was to pass on");
    assert_eq!(node(&mut scene, 5).counts().early, 2);
    for at in [0, 2] {
        assert_eq!(heard(&mut scene, at).expect("it takes part").said, [0_u32; 0], "at {at}");
    }
    assert!(!node(&mut scene, 5).store().expect("it has a disk").admitted());
}

#[test]
fn what_one_that_does_not_take_part_says_is_not_heard_even_if_it_says_it() {
    let (mut scene, _) = learner(&[], &[]);
    for what in [Do::Said(1), Do::Echo(2)] {
        let bytes = postcard::to_allocvec(&what).expect("plain data");
        node(&mut scene, 5).transport().send(0, &bytes).expect("there is a session");
    }
    // Something must make it send.
    pass(&mut scene, 3000).expect("nobody stops");
    assert_eq!(heard(&mut scene, 0).expect("it takes part").said, [0_u32; 0]);
    assert_eq!((node(&mut scene, 0).counts().early, node(&mut scene, 0).counts().steps), (1, 1));
    assert_eq!(heard(&mut scene, 5).expect("its actor runs").said, [2]);
}

#[test]
fn a_local_client_waits_until_it_takes_part() {
    let (mut scene, disks) = learner(&[], &[]);
    assert!(node(&mut scene, 5).tell(LOCAL_CLIENT, &Do::Echo(1)));
    pass(&mut scene, 10).expect("nobody stops");
    assert_eq!(node(&mut scene, 5).told().count(), 0);
    assert_ne!(node(&mut scene, 5).wakes(), Duration::ZERO, "nothing is to be done about it");
    node(&mut scene, 5).configure(members(1, &[&[0, 2], &[0, 2, 5]], Some(75)));
    assert_eq!(node(&mut scene, 5).wakes(), Duration::ZERO);
    pass(&mut scene, 10).expect("nobody stops");
    assert_eq!(node(&mut scene, 5).told().collect::<Vec<_>>(), [(LOCAL_CLIENT, Do::Said(1))]);
    assert!(node(&mut scene, 5).store().expect("it has a disk").admitted() && !node(&mut scene, 5).learns());
    // From its next start on it was admitted before, and learns until it is told what it has executed.
    start(&mut scene, 5, &[0, 2], (&disks[2], 76), &[]);
    pass(&mut scene, 100).expect("nobody stops");
    assert!(node(&mut scene, 5).learns());
    node(&mut scene, 5).configure(members(0, &[&[0, 2]], None));
    assert_eq!(node(&mut scene, 5).admission(), Admission::Learns(Until::Joins));
}

#[test]
fn that_it_takes_part_is_durable_before_it_says_anything_that_counts() {
    let (mut scene, disks) = learner(&[], &[]);
    assert!(node(&mut scene, 5).tell(LOCAL_CLIENT, &Do::Pass(2, 1)));
    disks[2].fail(Fault { op: Op::Sync, after: 0, error: ErrorKind::Other, forever: true });
    node(&mut scene, 5).configure(members(1, &[&[0, 2], &[0, 2, 5]], Some(75)));
    pass(&mut scene, 100).expect_err("it cannot be made durable");
    pass(&mut scene, 100).expect("the others go on");
    assert_eq!(heard(&mut scene, 2).expect("it takes part").said, [0_u32; 0]);
}

#[test]
fn one_that_the_log_does_not_mean_is_put_to_rest_and_stays_up() {
    let (mut scene, _) = learner(&[], &[]);
    node(&mut scene, 5).configure(members(1, &[&[0, 2, 5]], Some(74)));
    pass(&mut scene, 100).expect("it stays up");
    assert!(heard(&mut scene, 5).is_none() && !node(&mut scene, 5).learns());
    let Admission::Abstains(reason) = node(&mut scene, 5).admission() else { panic!("it must abstain") };
    assert!(reason.to_string().contains("another data directory joined as member 5"), "{reason}");
    pass(&mut scene, 3000).expect("it stays up");
    assert!(node(&mut scene, 0).transport().connected(5), "the others hear of it");
}

#[test]
fn one_that_comes_back_on_less_than_a_peer_knows_stops_while_it_learns() {
    let (mut scene, disks) = learner(&[], &[]);
    let before = SimDisk::new();
    for name in disks[0].names() {
        before.put(&name, &disks[0].read(&name).expect("it has this file"));
    }
    start(&mut scene, 0, &[2, 5], (&disks[0], 77), &[(2, Do::Said(1))]);
    pass(&mut scene, 50).expect("nobody stops");
    node(&mut scene, 0).configure(members(0, &[&[0, 2]], None));
    pass(&mut scene, 100).expect("nobody stops");
    assert_eq!(heard(&mut scene, 2).expect("it takes part").said, [1]);
    start(&mut scene, 0, &[2, 5], (&before, 78), &[]);
    let stopped = pass(&mut scene, 100).expect_err("it has to stay away");
    assert!(stopped.starts_with("0:") && stopped.contains("older copy"), "{stopped}");
}

#[test]
fn a_wiped_member_of_the_beginning_waits_without_its_actor() {
    let (mut scene, _) = learner(&[], &[]);
    start(&mut scene, 2, &[0], (&SimDisk::new(), 99), &[]);
    pass(&mut scene, 100).expect("it stays up");
    assert!(matches!(node(&mut scene, 2).admission(), Admission::Abstains(reason) if reason.peer == 0));
    assert!(heard(&mut scene, 2).is_none());
    // A learner is known by one directory, too, and needs another id for another.
    start(&mut scene, 5, &[0], (&SimDisk::new(), 98), &[]);
    pass(&mut scene, 100).expect("it stays up");
    assert!(matches!(node(&mut scene, 5).admission(), Admission::Abstains(reason) if reason.peer == 0));
    assert!(heard(&mut scene, 5).is_none());
}

/// As [`learner`], and member 5 has joined.
fn joined() -> (Scene, [SimDisk; 3]) {
    let (mut scene, disks) = learner(&[], &[]);
    node(&mut scene, 5).configure(members(1, &[&[0, 2], &[0, 2, 5]], Some(75)));
    pass(&mut scene, 10).expect("nobody stops");
    assert!(node(&mut scene, 5).store().expect("it has a disk").admitted());
    (scene, disks)
}

#[test]
fn after_a_crash_of_all_the_one_that_has_executed_most_teaches_the_others_though_it_lacks_its_own_joining() {
    let (mut scene, disks) = joined();
    start(&mut scene, 0, &[2, 5], (&disks[0], 70), &[]);
    start(&mut scene, 2, &[0, 5], (&disks[1], 72), &[]);
    start(
        &mut scene,
        5,
        &[0, 2],
        (&disks[2], 75),
        &[(0, Do::Said(1)), (0, Do::Pass(2, 2)), (2, Do::Said(3))],
    );
    node(&mut scene, 5).configure(members(1, &[&[0, 2]], None));
    pass(&mut scene, 40).expect("nobody stops");
    node(&mut scene, 0).configure(members(0, &[&[0, 2]], None));
    node(&mut scene, 2).configure(members(0, &[&[0, 2]], None));
    pass(&mut scene, 1000).expect("nobody stops");
    assert_eq!(node(&mut scene, 5).admission(), Admission::Learns(Until::Joins));
    for (at, said) in [(0, 1), (2, 3)] {
        assert_eq!(node(&mut scene, at).admission(), Admission::Learns(Until::Executes { number: 1 }));
        assert_eq!(heard(&mut scene, at).expect("its actor runs").said, [said], "at {at}");
    }
    assert_eq!(node(&mut scene, 5).counts().unsaid, 1, "nothing but what was chosen");
    for at in [0, 2] {
        node(&mut scene, at).configure(members(1, &[&[0, 2]], None));
        assert_eq!(node(&mut scene, at).admission(), Admission::Admitted);
    }
}

#[test]
fn whoever_has_executed_more_and_is_gone_holds_nobody_up() {
    let (mut scene, disks) = joined();
    start(&mut scene, 0, &[2, 5], (&disks[0], 70), &[]);
    start(&mut scene, 2, &[0, 5], (&disks[1], 72), &[]);
    pass(&mut scene, 100).expect("nobody stops");
    for at in [0, 2] {
        node(&mut scene, at).configure(members(0, &[&[0, 2]], None));
        assert_eq!(node(&mut scene, at).admission(), Admission::Learns(Until::Executes { number: 1 }));
    }
    scene.kill(5);
    pass(&mut scene, 8000).expect("nobody stops");
    assert_eq!(node(&mut scene, 0).admission(), Admission::Learns(Until::Executes { number: 1 }));
    pass(&mut scene, 4000).expect("nobody stops");
    for at in [0, 2] {
        assert!(node(&mut scene, at).store().expect("it has a disk").admitted());
        assert_eq!(
            (node(&mut scene, at).admission(), node(&mut scene, at).learns()),
            (Admission::Admitted, false)
        );
    }
}

#[test]
fn a_directory_is_recorded_once_it_is_admitted() {
    let (mut scene, _) = learner(&[(0, Do::Echo(1))], &[]);
    let known = |scene: &mut Scene, of| node(scene, 0).store().expect("it has a disk").memory().known(of);
    assert!(known(&mut scene, 2).is_some() && known(&mut scene, 5).is_none());
    assert_eq!(heard(&mut scene, 5).expect("its actor runs").said, [1], "it was heard all the same");
    node(&mut scene, 5).configure(members(1, &[&[0, 2], &[0, 2, 5]], Some(75)));
    pass(&mut scene, 10).expect("nobody stops");
    assert!(node(&mut scene, 5).tell(LOCAL_CLIENT, &Do::Pass(0, 2)));
    pass(&mut scene, 100).expect("nobody stops");
    assert_eq!(known(&mut scene, 5).map(|known| known.disk), Some(75));
}

#[test]
fn whoever_meets_an_empty_directory_first_takes_the_true_one_for_what_it_is() {
    let (mut scene, disks) = joined();
    scene.kill(5);
    start(&mut scene, 7, &[0, 2, 5], (&SimDisk::new(), 77), &[]);
    start(&mut scene, 5, &[0, 2, 7], (&SimDisk::new(), 99), &[]);
    pass(&mut scene, 100).expect("nobody stops");
    assert!(node(&mut scene, 7).transport().connected(5));
    assert!(matches!(node(&mut scene, 5).admission(), Admission::Abstains(_)), "member 0 knows better");
    start(&mut scene, 5, &[0, 2, 7], (&disks[2], 75), &[]);
    pass(&mut scene, 1000).expect("nobody stops");
    node(&mut scene, 5).configure(members(1, &[&[0, 2, 5]], Some(75)));
    assert_eq!(node(&mut scene, 5).admission(), Admission::Admitted);
    assert!(node(&mut scene, 7).transport().connected(5) && node(&mut scene, 5).transport().connected(7));
    // The other way round nothing gives way.
    start(&mut scene, 5, &[0, 2, 7], (&SimDisk::new(), 98), &[]);
    pass(&mut scene, 1000).expect("nobody stops");
    let standing = node(&mut scene, 7).transport().peer_standing(5).expect("there is a session");
    assert_eq!((standing.disk, standing.admitted), (75, true));
}
