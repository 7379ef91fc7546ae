//! A simulated world of one or two processes that run a scripted actor.

use serde::{Deserialize, Serialize};
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synod_runtime::apart::Named;
use synod_runtime::changes::{Changes, Whole};
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::record::{Header, Recorder};
use synod_runtime::sim::{SimNode, World, address};
use synod_runtime::sim_disk::SimDisk;
use synod_runtime::standing::Standing;
use synod_runtime::store::{Identity, Store};
use synod_runtime::transport::{Config, Transport};

/// The orders to the scripted actor, and its answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Do {
    /// Say this back.
    Echo(u32),
    /// Say this to another member.
    Pass(u64, u32),
    /// Save this, then say it.
    Save(u32),
    /// Say this, then save: against the contract.
    SaveLate(u32),
    /// Save twice: against the contract.
    SaveTwice(u32),
    /// Panic.
    Panic(u32),
    /// Let a timer ring at once, for ever.
    Spin,
    /// Draw one of these, and say which.
    Draw(Vec<u32>),
    /// Draw one of the first, then one of the second under the same name.
    DrawAgain(Vec<u32>, Vec<u32>),
    /// Send oneself so many messages.
    Flood(u32),
    /// The answer.
    Said(u32),
}

/// Does what it is told. A client tells its server one thing after another.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    /// The orders that a client sends, all at once, and their receivers.
    pub(crate) script: Vec<(Id, Do)>,
    /// Breaks down at its start.
    pub(crate) panics: bool,
}

/// The timer at which a client says what it has to say: when it has greeted everyone.
const SPEAK: u8 = 2;
const AFTER: Duration = Duration::from_millis(60);
const GREETED: Duration = Duration::from_micros(59_500);

/// The messages it heard, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Heard {
    pub(crate) said: Vec<u32>,
    pub(crate) spins: u64,
    pub(crate) asked_by: Option<Id>,
    pub(crate) saved: Option<u32>,
}

impl Actor for Scripted {
    type Msg = Do;
    type Timer = u8;
    type State = Heard;
    type Storage = u32;
    type Random = u32;

    fn on_start(&self, _: Id, saved: &Option<u32>, out: &mut Out<Self>) -> Heard {
        assert!(!self.panics, "it was told to break down");
        if !self.script.is_empty() {
            out.set_timer(SPEAK, AFTER..AFTER);
        }
        Heard { saved: *saved, ..Heard::default() }
    }

    fn on_msg(&self, me: Id, state: &mut Cow<'_, Heard>, src: Id, msg: Do, out: &mut Out<Self>) {
        state.to_mut().asked_by = Some(src);
        match msg {
            Do::Echo(n) => out.send(src, Do::Said(n)),
            Do::Pass(to, n) => out.send(Id::from(to as usize), Do::Said(n)),
            Do::Save(n) => {
                out.save(n);
                out.send(src, Do::Said(n));
            }
            Do::SaveLate(n) => {
                out.send(src, Do::Said(n));
                out.save(n);
            }
            Do::SaveTwice(n) => {
                out.save(n);
                out.save(n);
            }
            Do::Panic(n) => panic!("it was told to: {n}"),
            Do::Spin => out.set_timer(1, Duration::ZERO..Duration::ZERO),
            Do::Draw(choices) => out.choose_random("draw", choices),
            Do::DrawAgain(first, second) => {
                out.choose_random("draw", first);
                out.choose_random("draw", second);
            }
            Do::Flood(n) => (0..n).for_each(|n| out.send(me, Do::Said(n))),
            Do::Said(n) => state.to_mut().said.push(n),
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, Heard>, timer: &u8, out: &mut Out<Self>) {
        if *timer == SPEAK {
            for (to, what) in &self.script {
                out.send(*to, what.clone());
            }
            return;
        }
        state.to_mut().spins += 1;
        out.set_timer(1, Duration::ZERO..Duration::ZERO);
    }

    fn on_random(&self, _: Id, state: &mut Cow<'_, Heard>, random: &u32, out: &mut Out<Self>) {
        if let Some(client) = state.asked_by {
            out.send(client, Do::Said(*random));
        }
    }
}

/// A record in memory.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) type Scene = World<SimNode<Scripted, Whole>>;

pub(crate) fn settings(me: u64, peers: &[u64], standing: Standing) -> Config {
    Config {
        cluster: 1,
        me,
        peers: peers.iter().map(|peer| (*peer, address(*peer as usize))).collect(),
        first: None,
        cluster_keys: Some(Keys::single([1; 32])),
        client_keys: Some(ClientKeys::single([2; 32], &Keys::single([1; 32]))),
        datagram: 1200,
        max_message: 1 << 16,
        max_client_message: 1 << 16,
        standing,
        session: [me as u8; 16],
    }
}

/// Starts member 0, alone in its cluster, at place 0.
pub(crate) fn member(scene: &mut Scene, disk: &SimDisk, actor: Scripted, limits: Limits) -> Tape {
    member_among(scene, 0, &[], (disk, 7), actor, limits)
}

/// Starts a member at the place of its id, with a disk and the id the disk gets if it is new.
pub(crate) fn member_among(
    scene: &mut Scene,
    me: u64,
    peers: &[u64],
    (disk, number): (&SimDisk, u64),
    actor: Scripted,
    limits: Limits,
) -> Tape {
    let who = Identity { cluster: 1, member: me };
    let members: Vec<u64> = peers.iter().copied().chain([me]).collect();
    let (store, _) =
        Store::open(disk.open().expect("it is free"), who, &members, number).expect("it can be opened");
    let tape = Tape::default();
    let standing = store.standing();
    let header =
        Header { cluster: 1, member: me, disk: number, boot: standing.boot, application: Vec::new() };
    let recorder = Recorder::create(Box::new(tape.clone()), &header).expect("memory takes everything");
    let mut config = settings(me, peers, standing);
    scene.rng().fill(&mut config.session);
    let transport = Transport::new(config, fastrand::Rng::with_seed(1));
    let rng = fastrand::Rng::with_seed(2);
    let wire = scene.wire(me as usize);
    let node = Node::new(actor, transport, wire, Some(store), Some(recorder), limits, rng);
    scene.start(me as usize, node);
    tape
}

/// Starts a client at place 1 that has greeted member 0 when this returns, and is about to say all this.
pub(crate) fn client(scene: &mut Scene, script: &[Do]) {
    scene.kill(1);
    let id = FIRST_CLIENT | scene.rng().u64(..1 << 60);
    let mut config = settings(id, &[0], Standing::default());
    config.cluster_keys = None;
    let mut session = [0; 16];
    scene.rng().fill(&mut session);
    config.session = session;
    let transport = Transport::new(config, fastrand::Rng::with_seed(3));
    let wire = scene.wire(1);
    let script = script.iter().map(|what| (Id::from(0), what.clone())).collect();
    let actor = Scripted { script, panics: false };
    let node = Node::new(actor, transport, wire, None, None, Limits::default(), fastrand::Rng::with_seed(4));
    scene.start(1, node);
    let until = scene.now() + GREETED;
    scene.run(until).unwrap_or_else(|(place, stopped)| panic!("{place} stopped: {stopped}"));
}

/// Lets so much time pass; the world's error if a process stopped.
pub(crate) fn pass(scene: &mut Scene, ms: u64) -> Result<(), String> {
    let until = scene.now() + Duration::from_millis(ms);
    scene.run(until).map_err(|(place, stopped)| format!("{place}: {stopped}"))
}

/// The numbers that the client heard.
pub(crate) fn said(scene: &mut Scene) -> Vec<u32> {
    scene.node(1).and_then(|node| node.state()).map(|state| state.said.clone()).unwrap_or_default()
}

pub(crate) fn plain() -> Scripted {
    Scripted { script: Vec::new(), panics: false }
}

/// The changes of [`Whole`], and a door of one's own.
pub(crate) struct With<D>(PhantomData<D>);

impl<D> Changes<u32> for With<D> {
    fn difference(new: &u32, old: &u32, out: &mut Vec<u8>) {
        Whole::difference(new, old, out);
    }
    fn apply(state: &mut u32, bytes: &[u8], apart: &mut Named) -> Result<(), String> {
        Whole::apply(state, bytes, apart)
    }
    fn snapshot(state: &u32, out: &mut Vec<u8>) {
        Whole::snapshot(state, out);
    }
    fn restore(bytes: &[u8], apart: &mut Named) -> Result<u32, String> {
        Whole::restore(bytes, apart)
    }
}
