//! The fate of a member whose disk was wiped, lost its end or is another's, in a simulated world of the served actors.

use stateright::actor::Id;
use std::collections::BTreeMap;
use std::time::Duration;
use synod::{Answer, Asking, Client, Instance, Pace, Phase, Process, Stable, Value, Want};
use synod_runtime::Stopped;
use synod_runtime::admission::Admission;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::sim::{SimNode, World, address};
use synod_runtime::sim_disk::{SimDir, SimDisk};
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{self, Dropped, Transport};
use synod_server::{PaxosChanges, Wiring};

const CLUSTER: u64 = 0xadd1;
const IDS: [u64; 3] = [0, 1, 2];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Three members, their disks, and where each is.
struct Scene {
    world: World<SimNode<Process, PaxosChanges>>,
    disks: Vec<SimDisk>,
    wiring: Wiring,
    /// The place at which a member is thought to be, if not that of its id.
    moved: BTreeMap<usize, usize>,
}

impl Scene {
    /// All three are admitted, and member 0 leads.
    fn new(seed: u64) -> Scene {
        let pace =
            Pace { beat: ms(20)..ms(30), suspect: ms(120)..ms(200), hold_off: ms(10)..ms(20), doublings: 4 };
        let wiring = Wiring {
            groups: 1,
            members: IDS.to_vec(),
            retry: ms(100)..ms(300),
            election: Some(pace),
            max_value: 64 << 10,
            log: None,
            changing: None,
            directory: None,
        };
        let disks = IDS.map(|_| SimDisk::new()).to_vec();
        let mut scene = Scene { world: World::new(seed), disks, wiring, moved: BTreeMap::new() };
        for id in 0..3 {
            scene.start(id);
        }
        scene.go(500);
        scene
    }

    fn settings(&mut self, me: u64, peers: &[u64], standing: Standing) -> transport::Config {
        let mut session = [0; 16];
        self.world.rng().fill(&mut session);
        let (members, clients) = (Keys::single([1; 32]), [2; 32]);
        let is_client = me >= FIRST_CLIENT;
        transport::Config {
            cluster: CLUSTER,
            me,
            peers: peers.iter().map(|peer| (*peer, address(*peer as usize))).collect(),
            client_keys: Some(ClientKeys::single(clients, &members)),
            first: None,
            cluster_keys: (!is_client).then_some(members),
            datagram: 1200,
            max_message: 1 << 20,
            max_client_message: 1 << 20,
            standing,
            session,
        }
    }

    fn start(&mut self, id: usize) {
        self.start_among(id, &IDS).unwrap_or_else(|refusal| panic!("member {id}: {refusal}"));
    }

    /// Starts a member whose configuration has these members.
    fn start_among(&mut self, id: usize, members: &[u64]) -> Result<(), String> {
        let who = Identity { cluster: CLUSTER, member: id as u64 };
        let fresh = self.world.rng().u64(..);
        let disk = self.disks[id].open().expect("it is free");
        let (store, _) = Store::<Stable, PaxosChanges, SimDir>::open(disk, who, members, fresh)
            .map_err(|refusal| refusal.to_string())?;
        let peers: Vec<u64> = members.iter().copied().filter(|peer| *peer != id as u64).collect();
        let settings = self.settings(id as u64, &peers, store.standing());
        let wiring = Wiring { members: members.to_vec(), ..self.wiring.clone() };
        let transport = Transport::new(settings, self.world.rng().fork());
        let place = self.place(id);
        let (wire, rng) = (self.world.wire(place), self.world.rng().fork());
        let server = wiring.server(id as u64);
        let node = Node::new(server, transport, wire, Some(store), None, Limits::default(), rng);
        self.world.start(place, node);
        Ok(())
    }

    fn place(&self, id: usize) -> usize {
        self.moved.get(&id).copied().unwrap_or(id)
    }

    /// A client that asks for instance 0, at a place of its own.
    fn ask(&mut self, place: usize, asks: &[usize], want: Want) {
        let id = FIRST_CLIENT | self.world.rng().u64(..1 << 60);
        let settings = self.settings(id, &IDS, Standing::default());
        let asks: Vec<Id> = asks.iter().map(|id| Id::from(*id)).collect();
        let client = Client {
            number: 0,
            instance: Instance(0),
            want,
            heeds: asks.clone(),
            asks,
            asking: Asking::InTurn,
            pause: None,
            resend: Some(ms(60)..ms(120)),
        };
        let transport = Transport::new(settings, self.world.rng().fork());
        let (wire, rng) = (self.world.wire(place), self.world.rng().fork());
        let node = Node::new(Process::Client(client), transport, wire, None, None, Limits::default(), rng);
        self.world.start(place, node);
    }

    fn answer(&mut self, place: usize) -> Option<Answer> {
        self.world.node(place)?.state()?.client()?.answer.clone()
    }

    /// Lets time pass, in milliseconds; who stops meanwhile, and why.
    fn run(&mut self, more: u64) -> Vec<(usize, Stopped<Process>)> {
        let (until, mut stopped) = (self.world.now() + ms(more), Vec::new());
        while let Err(one) = self.world.run(until) {
            stopped.push(one);
        }
        stopped
    }

    fn go(&mut self, more: u64) {
        let stopped = self.run(more);
        assert!(stopped.is_empty(), "{stopped:?}");
    }

    /// Goes on until something is so.
    fn until(&mut self, what: &str, is: impl Fn(&mut Scene) -> bool) {
        for _ in 0..2_000_000 {
            if is(self) {
                return;
            }
            let until = self.world.now() + Duration::from_micros(1);
            if let Err((place, stopped)) = self.world.run(until) {
                panic!("{place} stopped: {stopped}");
            }
        }
        panic!("{what} did not come");
    }

    fn crash(&mut self, id: usize) {
        let place = self.place(id);
        assert!(self.world.kill(place), "member {id} runs");
        self.disks[id].crash(&mut fastrand::Rng::with_seed(1));
    }

    fn admission(&mut self, id: usize) -> Admission {
        let place = self.place(id);
        self.world.node(place).expect("it runs").admission()
    }

    fn takes_part(&mut self, id: usize) -> bool {
        let place = self.place(id);
        self.world.node(place).is_some_and(|node| node.state().is_some())
    }

    /// True if member 0 has issued its proposal.
    fn issued(&mut self) -> bool {
        let proposer = self.world.node(0).and_then(|node| node.state()?.proposer());
        proposer.is_some_and(|proposer| matches!(proposer.phase, Phase::Accepting { .. }))
    }
}

fn write(value: &str) -> Want {
    Want::Write(Value::from(value))
}

fn chosen(value: &str) -> Answer {
    Answer::Chosen(Value::from(value))
}

fn copy(disk: &SimDisk) -> SimDisk {
    let other = SimDisk::new();
    for name in disk.names() {
        other.put(&name, &disk.read(&name).expect("it has this file"));
    }
    other
}

/// The same disk without its last batch, as if its sectors were lost. That looks like a write that never came.
fn without_its_end(disk: &SimDisk) -> SimDisk {
    let other = copy(disk);
    let name = disk.names().into_iter().find(|name| name.starts_with("journal-")).expect("a journal");
    let mut bytes = disk.read(&name).expect("it is there");
    let last = bytes.windows(4).rposition(|four| four == b"bat:").expect("a batch");
    bytes[last..].fill(0);
    other.put(&name, &bytes);
    other
}

#[test]
fn a_wiped_disk_is_noticed_though_its_only_effect_was_on_a_client() {
    let mut scene = Scene::new(1);
    // What member 2 says to the others is lost from here on, and member 1 stops as soon as it has promised: what is chosen then
    // is chosen by 0 and 2, and only the client hears so from member 2.
    scene.world.net(|net| net.cuts.extend([0, 1].map(|id| (address(2), address(id)))));
    scene.ask(3, &[2], write("x"));
    scene.until("a proposal", Scene::issued);
    scene.crash(1);
    scene.go(50);
    assert_eq!(scene.answer(3), Some(chosen("x")));
    scene.crash(0);
    scene.crash(2);
    scene.disks[2] = SimDisk::new();
    scene.world.net(|net| net.cuts.clear());
    for id in 0..3 {
        scene.start(id);
    }
    scene.go(1500);
    assert!(matches!(scene.admission(2), Admission::Abstains(_)), "{:?}", scene.admission(2));
    // Without member 0 nothing can be said, least of all something else.
    scene.crash(0);
    scene.ask(4, &[1, 2], write("y"));
    scene.go(2000);
    assert_eq!(scene.answer(4), None);
    scene.start(0);
    scene.go(2000);
    assert_eq!(scene.answer(4), Some(chosen("x")));
}

/// Member 2 loses what `lose` takes from its disk, though member 0 acted on it. What `lose` is given is the disk at its end, and
/// as it was when member 2 had promised and not accepted.
fn a_lost_end(lose: fn(&SimDisk, &SimDisk) -> SimDisk) {
    let mut scene = Scene::new(2);
    scene.ask(3, &[0], write("x"));
    scene.until("a promise", |scene| {
        let acceptor = scene.world.node(2).and_then(|node| node.state()?.acceptor());
        acceptor.is_some_and(|acceptor| acceptor.promised.is_some())
            && scene.world.node(2).and_then(|node| node.store()).is_some_and(|store| store.saves() == 1)
    });
    let before = copy(&scene.disks[2]);
    scene.until("a proposal", Scene::issued);
    scene.crash(1);
    scene.until("an answer", |scene| scene.answer(3).is_some());
    assert_eq!(scene.answer(3), Some(chosen("x")));
    let saves = scene.world.node(2).and_then(|node| node.store()).map(Store::saves);
    let known = |scene: &mut Scene| {
        let zero = scene.world.node(0).and_then(|node| node.store()).expect("it runs");
        (zero.memory().known(2).map(|known| known.saves), zero.memory().is_durable(2))
    };
    assert_eq!(known(&mut scene), (saves, false), "it has told a client, and no member");
    scene.crash(2);
    scene.disks[2] = lose(&scene.disks[2], &before);
    scene.start(2);
    let stopped = scene.run(1500);
    let [(2, Stopped::Older(reason))] = stopped.as_slice() else { panic!("{stopped:?}") };
    assert!(reason.to_string().contains("lost its end"), "{reason}");
    // The same if member 0 was down meanwhile and has only its disk to go by, once a heartbeat had it flush.
    assert_eq!(known(&mut scene), (saves, true));
    scene.crash(0);
    for id in [0, 2] {
        scene.start(id);
    }
    let stopped = scene.run(1500);
    assert!(matches!(stopped.as_slice(), [(2, Stopped::Older(_))]), "{stopped:?}");
    scene.start(1);
    scene.ask(4, &[1, 0], write("y"));
    scene.go(2000);
    assert_eq!(scene.answer(4), Some(chosen("x")));
}

#[test]
fn an_older_copy_is_noticed_by_who_acted_on_what_it_lacks() {
    a_lost_end(|_, before| copy(before));
}

#[test]
fn a_last_batch_that_is_lost_is_noticed_by_who_acted_on_it() {
    a_lost_end(|disk, _| without_its_end(disk));
}

#[test]
fn a_first_start_that_is_broken_off_goes_on_with_the_same_directories() {
    for cut in (0..40).map(|step| step * 1500) {
        let mut scene = Scene::new(3);
        for id in 0..3 {
            scene.crash(id);
            scene.disks[id] = SimDisk::new();
        }
        for id in 0..3 {
            scene.start(id);
        }
        let until = scene.world.now() + Duration::from_micros(cut);
        scene.world.run(until).unwrap_or_else(|(place, stopped)| panic!("{place}: {stopped}"));
        for id in 0..3 {
            scene.crash(id);
        }
        for id in 0..3 {
            scene.start(id);
        }
        scene.go(1500);
        for id in 0..3 {
            assert!(scene.takes_part(id), "after {cut} microseconds: {:?}", scene.admission(id));
        }
    }
}

#[test]
fn two_that_were_wiped_at_once_do_not_vouch_for_each_other() {
    let mut scene = Scene::new(4);
    scene.ask(3, &[0], write("x"));
    scene.until("an answer", |scene| scene.answer(3).is_some());
    for id in 0..3 {
        scene.crash(id);
    }
    for id in [1, 2] {
        scene.disks[id] = SimDisk::new();
        scene.start(id);
    }
    scene.go(2000);
    // Alone they wait for the one that may know better, and it does.
    for id in [1, 2] {
        assert!(matches!(scene.admission(id), Admission::Waiting { .. }), "{:?}", scene.admission(id));
    }
    scene.start(0);
    scene.go(2000);
    for id in [1, 2] {
        assert!(matches!(scene.admission(id), Admission::Abstains(_)), "{:?}", scene.admission(id));
    }
    // Nor does what they say make up a majority for the one that is left.
    assert!(matches!(scene.admission(0), Admission::Waiting { .. }), "{:?}", scene.admission(0));
}

#[test]
fn of_two_copies_of_a_directory_one_takes_part() {
    let mut scene = Scene::new(5);
    scene.crash(2);
    let other = copy(&scene.disks[2]);
    scene.start(2);
    scene.go(500);
    assert!(scene.takes_part(2));
    // Its copy is started at another address, and counts the same start.
    let first = std::mem::replace(&mut scene.disks[2], other);
    scene.moved.insert(2, 5);
    scene.start(2);
    let stopped = scene.run(1500);
    let [(5, Stopped::Older(reason))] = stopped.as_slice() else { panic!("{stopped:?}") };
    assert!(reason.to_string().contains("was another"), "{reason}");
    scene.disks[2] = first;
    scene.moved.clear();
    assert!(scene.takes_part(2));
}

#[test]
fn members_with_other_lists_do_not_talk_and_both_say_so() {
    let mut scene = Scene::new(6);
    scene.crash(2);
    let refused = scene.start_among(2, &[0, 1, 2, 3]).expect_err("its directory was made for others");
    assert!(refused.contains("made for members 0, 1, 2, not for members 0, 1, 2, 3"), "{refused}");
    // A directory that was made for others is not listened to, whether its id is in the list or not.
    for (id, members) in [(2, &[0, 1, 2, 3][..]), (3, &[0, 1, 3])] {
        scene.disks.truncate(2);
        scene.disks.resize_with(id + 1, SimDisk::new);
        scene.start_among(id, members).expect("it is new");
        scene.go(1500);
        assert!(!scene.takes_part(id));
        let said = |scene: &mut Scene, id: usize| {
            let node = scene.world.node(id).expect("it runs");
            let dropped = node.transport().counts().dropped(Dropped::OtherMembers);
            let said = node.other_members().map(|(from, members)| (from, members.to_vec()));
            (dropped > 0, said)
        };
        let (dropped, other) = said(&mut scene, id);
        assert!(dropped && other.is_some_and(|(_, members)| members == IDS), "member {id}");
        let (dropped, other) = said(&mut scene, 0);
        assert!(dropped && other.is_some(), "member 0 of {id}");
        scene.world.kill(id);
    }
    let other = scene.world.node(0).and_then(|node| node.other_members());
    assert_eq!(other, Some((2, &[0, 1, 2, 3][..])), "it is said of the first");
    scene.ask(4, &[0], write("x"));
    scene.go(1000);
    assert_eq!(scene.answer(4), Some(chosen("x")), "the others go on");
}

#[test]
fn a_member_is_found_at_its_new_address() {
    let mut scene = Scene::new(7);
    scene.crash(2);
    scene.moved.insert(2, 5);
    scene.start(2);
    scene.go(1500);
    assert!(scene.takes_part(2), "{:?}", scene.admission(2));
    // It is needed, and reached.
    scene.crash(1);
    scene.ask(4, &[0], write("x"));
    scene.go(2000);
    assert_eq!(scene.answer(4), Some(chosen("x")));
    // One that starts later has the old address, and is found by the one that moved.
    scene.start(1);
    scene.go(1500);
    scene.crash(0);
    scene.ask(6, &[1], write("y"));
    scene.go(3000);
    assert_eq!(scene.answer(6), Some(chosen("x")));
}
