//! What is fuzzed: one function a decoder. Each takes any bytes, and panics if something goes wrong with them.
//!
//! The same functions run over the corpora, and over mutations of them, in the ordinary tests (`tests/decoders.rs`).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synod::{Msg, Process, Stable};
use synod_groups::{InGroup, Stables};
use synod_machine::{Bank, Kv, Limits, Locks, Sessions, Snapshot, StateMachine};
use synod_replay::Records;
use synod_runtime::apart::Named;
use synod_runtime::changes::Changes;
use synod_runtime::groups::ByGroup;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::FIRST_CLIENT;
use synod_runtime::record::{Header, Recorder};
use synod_runtime::standing::Standing;
use synod_runtime::store;
use synod_runtime::transport::{Arrival, Config, Transport, decoders};
use synod_server::{PaxosChanges, Wiring};

/// A decoder's name, and what tries it.
pub type Target = (&'static str, fn(&[u8]));

/// Every decoder.
pub const TARGETS: [Target; 9] = [
    ("datagram", datagram),
    ("payload", payload),
    ("hello", hello),
    ("keys", keys),
    ("journal", journal),
    ("record", record),
    ("config", config),
    ("message", message),
    ("snapshot", snapshot),
];

fn address(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1000 + (id % 60_000) as u16))
}

fn end(id: u64) -> Transport {
    let settings = Config {
        cluster: 77,
        me: id,
        peers: (0..3).filter(|peer| *peer != id).map(|peer| (peer, address(peer))).collect(),
        first: None,
        cluster_keys: (id < FIRST_CLIENT).then(|| Keys::single([1; 32])),
        client_keys: Some(ClientKeys::single([2; 32], &Keys::single([1; 32]))),
        datagram: 1200,
        max_message: 100_000,
        max_client_message: 100_000,
        standing: Standing { disk: id, boot: 1, nonce: 1, saves: 0, admitted: true },
        session: [id as u8; 16],
    };
    Transport::new(settings, fastrand::Rng::with_seed(id))
}

/// A member that has sessions with another member and with a client, and what they sent it last.
pub fn connected() -> (Transport, Vec<Vec<u8>>) {
    const CLIENT: u64 = FIRST_CLIENT | 9;
    let mut ends = [end(0), end(1), end(CLIENT)];
    let mut kept = Vec::new();
    for round in 1..6 {
        let now = Duration::from_millis(round * 30);
        let mut flying = Vec::new();
        for from in &mut ends {
            from.tick(now);
            let sender = address(from.me());
            from.flush(&mut |to, bytes| flying.push((sender, to, bytes.to_vec())));
        }
        for (from, to, mut bytes) in flying {
            for end in ends.iter_mut().filter(|end| address(end.me()) == to) {
                if to == address(0) {
                    kept.push(bytes.clone());
                }
                end.receive(now, from, &mut bytes, &mut |_| {});
            }
        }
    }
    let [member, mut peer, mut client] = ends;
    assert!(member.connected(1) && member.connected(CLIENT), "they greeted each other");
    // These are never delivered: what is made of them must not be believed.
    for other in [&mut peer, &mut client] {
        other.send(0, b"short").expect("there is a session");
        other.send(0, &[7; 3000]).expect("there is a session");
        other.flush(&mut |_, bytes| kept.push(bytes.to_vec()));
    }
    (member, kept)
}

/// Datagrams from anywhere: the first byte says which authentic one they are laid over, if any, and where.
///
/// Unless it is one of those as it was, it delivers nothing.
pub fn datagram(data: &[u8]) {
    let (mut member, kept) = connected();
    let mut bytes = data.to_vec();
    if let [which, at, change @ ..] = data
        && usize::from(*which) < kept.len()
    {
        bytes.clone_from(&kept[usize::from(*which)]);
        for (byte, change) in bytes.iter_mut().skip(usize::from(*at) * 4).zip(change) {
            *byte ^= change;
        }
    }
    let authentic = kept.contains(&bytes);
    let mut heard = 0;
    member.receive(Duration::from_secs(1), address(1), &mut bytes, &mut |event| {
        heard += usize::from(matches!(event, Arrival::Message { .. }));
    });
    assert!(authentic || heard == 0, "a message came of a datagram that nobody sealed");
}

/// What a holder of the key may have sealed, as one datagram or as several.
pub fn payload(data: &[u8]) {
    decoders::payloads(data.chunks(1100), 10_000, 40_000);
    decoders::payloads(data.split(|byte| *byte == 0xee), 10_000, 20_000);
}

/// The sealed part of a greeting among members, and what a client and a member greet each other with.
pub fn hello(data: &[u8]) {
    decoders::hello(data);
    decoders::greeting(data);
}

/// A key file of members, and one of clients.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let errors = [Keys::read("keys", text).err(), ClientKeys::read("keys", text).err()];
    for error in errors.into_iter().flatten() {
        // A key must not be in a message, not even a wrong one.
        let said = error.to_string();
        let leaked = text.split_whitespace().filter(|word| word.len() > 16 && !word.starts_with('#'));
        assert!(leaked.clone().all(|word| !said.contains(word)), "{said}");
    }
}

/// A journal file, and the records in one.
pub fn journal(data: &[u8]) {
    let _ = store::read_journal::<Stables<Stable>, ByGroup<PaxosChanges>>(data);
    let _ = store::read_records::<Stables<Stable>, ByGroup<PaxosChanges>>(data);
}

/// The wiring of the records that are made of fuzzed entries.
pub fn wiring() -> Wiring {
    let retry = Duration::from_millis(20)..Duration::from_millis(60);
    Wiring {
        groups: 1,
        members: vec![0, 1, 2],
        retry,
        election: None,
        max_value: 64 << 10,
        log: None,
        changing: None,
        directory: None,
    }
}

/// A flight record: as it is, and as the entries of a chunk that is otherwise right.
pub fn record(data: &[u8]) {
    let replay = |bytes: Vec<u8>| {
        let mut records = Records::default();
        records.add("fuzzed", bytes);
        let Ok(lives) = records.lives() else { return };
        let _ = synod_replay::replay::<Process, PaxosChanges>(lives, synod_server::Wiring::server);
    };
    replay(data.to_vec());
    if data.is_empty() || data.len() > 1 << 16 {
        return;
    }
    let mut bytes = header();
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(xxhash_rust::xxh3::xxh3_64(data).to_le_bytes());
    bytes.extend(data);
    replay(bytes);
}

/// The beginning of a record of member 0.
pub fn header() -> Vec<u8> {
    let application = postcard::to_allocvec(&wiring()).expect("plain data");
    let header = Header { cluster: 1, member: 0, disk: 5, boot: 1, application };
    let sink = Arc::new(Mutex::new(Vec::new()));
    Recorder::create(Box::new(Tape(sink.clone())), &header).expect("memory takes everything");
    std::mem::take(&mut sink.lock().expect("nobody panicked"))
}

struct Tape(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A configuration file.
pub fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(config) = synod_server::Config::read("cluster.toml", text, Path::new("."))
    {
        // What is right can be wired.
        for member in &config.members {
            Wiring::from(&config).servers(member.id);
        }
    }
}

/// A message, and a change of a stable state: what is read and written again is the same.
pub fn message(data: &[u8]) {
    if let Ok(msg) = postcard::from_bytes::<InGroup<Msg>>(data) {
        let again = postcard::to_allocvec(&msg).expect("plain data");
        assert_eq!(postcard::from_bytes::<InGroup<Msg>>(&again).as_ref(), Ok(&msg));
        let _ = format!("{msg:?}");
    }
    groups(data);
    let mut state = Stable::default();
    let _ = PaxosChanges::apply(&mut state, data, &mut Named::new());
    let mut apart = Named::new();
    if let Ok(state) = PaxosChanges::restore(data, &mut apart)
        && apart.is_empty()
    {
        let mut again = Vec::new();
        PaxosChanges::snapshot(&state, &mut again);
        assert_eq!(PaxosChanges::restore(&again, &mut Named::new()), Ok(state));
    }
}

/// A change of the stable states of several groups, and all of them.
fn groups(data: &[u8]) {
    type Groups = ByGroup<PaxosChanges>;
    let mut named = Named::new();
    let read: Result<Stables<Stable>, String> = Groups::restore(data, &mut named);
    if let Ok(mut state) = read {
        if named.is_empty() {
            let mut again = Vec::new();
            Groups::snapshot(&state, &mut again);
            assert_eq!(Groups::restore(&again, &mut Named::new()).as_ref(), Ok(&state));
        }
        let _ = Groups::apply(&mut state, data, &mut named);
    }
}

/// Bounds of a table of sessions: small, so that each is met soon.
pub const LIMITS: Limits = Limits { sessions: 3, window: 2, reply_bytes: 16, bytes: 400, idle: Some(20) };

/// What a peer sends as its snapshot, sealed; or a machine's own snapshot, and commands after it.
pub fn snapshot(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 4 {
        0 => sealed(rest),
        1 => restored(Sessions::new(Kv::default(), LIMITS).expect("room for a session"), rest),
        2 => restored(Sessions::new(Bank::default(), LIMITS).expect("room for a session"), rest),
        _ => restored(Locks::default(), rest),
    }
}

/// The first two bytes say how long it is; commands follow.
fn sealed(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (sealed, commands) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    if let Some(snapshot) = Snapshot::unseal(sealed) {
        assert_eq!(snapshot.seal(), sealed, "what is read was written so");
        follow(
            Sessions::new(Kv::default(), LIMITS).expect("room for a session"),
            &snapshot.machine,
            commands,
        );
    }
}

/// The first two bytes say how long the snapshot is; commands follow.
fn restored<M: StateMachine>(machine: M, bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (snapshot, commands) = rest.split_at(length);
    follow(machine, snapshot, commands);
}

fn follow<M: StateMachine>(mut machine: M, snapshot: &[u8], mut commands: &[u8]) {
    let mut other = machine.clone();
    if machine.restore(snapshot).is_err() {
        assert_eq!(machine, other, "an error leaves a machine as it was");
    }
    while let Ok((command, after)) = postcard::take_from_bytes::<M::Command>(commands) {
        machine.apply(&command);
        commands = after;
    }
    other.restore(&machine.snapshot()).expect("what a machine writes it can read");
    assert_eq!(machine, other);
}
