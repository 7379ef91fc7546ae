//! Writes the first files of each corpus, with the real encoders.
//!
//! `cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds`

use std::fs;
use std::path::Path;
use synod::{Ask, Ballot, Instance, Msg, PerInstance, Proposal, Stable, Value};
use synod_fuzz::LIMITS;
use synod_machine::{
    Bank, BankCommand, Blob, Chain, Expect, Kv, KvCommand, LockCommand, Locks, SessionCommand, Sessions,
    Snapshot, StateMachine,
};
use synod_runtime::changes::Changes;
use synod_runtime::record::{Change, Entries, Output, Trigger};
use synod_runtime::sim_disk::{SimDir, SimDisk};
use synod_runtime::store::{Identity, Store};
use synod_server::PaxosChanges;

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain data")
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn frame(tag: u8, numbers: &[u64], bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    numbers.iter().for_each(|number| out.extend(varint(*number)));
    out.extend(bytes);
    out
}

fn main() {
    let ballot = Ballot { round: 3, proposer: 1 };
    let value = Value::from("hello");
    let (instance, from) = (Instance(4), Instance::FIRST);
    let mut accepted = PerInstance::new();
    for at in 0..3 {
        accepted.insert(Instance(at * 200), Proposal { ballot, value: value.clone() });
    }
    let messages = [
        ("request", Ask::Request { instance, value: value.clone() }.into()),
        ("prepare", Msg::Prepare { ballot, from }),
        ("promise", Msg::Promise { ballot, accepted: accepted.clone(), rest: Some(from) }),
        ("accept", Msg::Accept { ballot, instance, value: value.clone() }),
        ("accepted", Msg::Accepted { ballot, instance, value: value.clone() }),
        ("nack", Msg::Nack { ballot, promised: ballot }),
        ("chosen", Msg::Chosen { instance, value: value.clone() }),
        ("response", Msg::Response { instance, value: value.clone() }),
        ("read", Ask::Read { instance }.into()),
        ("unset", Msg::Unset { instance }),
        ("submit", Ask::Submit { number: 1, command: value.clone() }.into()),
        ("query", Ask::Query { number: 1, command: value.clone() }.into()),
        ("stale-query", Ask::StaleQuery { number: 1, command: value.clone() }.into()),
        ("output", Msg::Output { number: 1, output: value.clone() }),
        ("redirect", Msg::Redirect { leader: 2_usize.into() }),
        ("catch-up", Msg::CatchUp { from }),
        (
            "catch-up-reply",
            Msg::CatchUpReply {
                values: (0..3).map(|at| (Instance(at), value.clone())).collect(),
                next: instance,
            },
        ),
        ("confirm", Msg::Confirm { ballot, round: 7 }),
        ("confirmed", Msg::Confirmed { ballot, round: 7 }),
        ("chunk", Msg::Chunk { of: instance, sum: 7, length: 9, at: 4, bytes: value.clone() }),
        ("fetch", Msg::Fetch { of: instance, sum: 7, at: 4 }),
        ("checksum", Msg::Checksum { below: instance, sum: 7 }),
    ];
    for (name, msg) in &messages {
        write("message", name, &encode(msg));
    }

    // Stable states, their changes, and a journal of both.
    let disk = SimDisk::new();
    let who = Identity { cluster: 1, member: 0 };
    let open = || Store::<Stable, PaxosChanges, SimDir>::open(disk.open().expect("it is free"), who, &[0], 5);
    let (mut store, _) = open().expect("it can be opened");
    let mut state = Stable::default();
    store.admit();
    for round in 1..6 {
        let before = state.clone();
        state.tried = round;
        state.acceptor.promised = Some(Ballot { round, proposer: 1 });
        state.acceptor.accepted.insert(Instance(round), Proposal { ballot, value: value.clone() });
        store.save(&state);
        store.commit().expect("the disk works");
        let mut change = Vec::new();
        PaxosChanges::difference(&state, &before, &mut change);
        write("message", &format!("change-{round}"), &change);
    }
    drop(store);
    drop(open().expect("it can be opened"));
    let mut snapshot = Vec::new();
    PaxosChanges::snapshot(&state, &mut snapshot);
    write("message", "snapshot", &snapshot);
    for name in disk.names().iter().filter(|name| name.starts_with("journal")) {
        let mut bytes = disk.read(name).expect("it is there");
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        write("journal", &format!("{name}-short"), &bytes[..end / 2]);
        // What is prepared and not yet written is zeros; a few of them are enough.
        bytes.truncate(end + 64);
        write("journal", name, &bytes);
        write("journal", "zeros", &[0; 600]);
    }

    // Entries of a flight record: a start, a question, a ballot begun, a timer.
    let mut entries = Entries::default();
    entries.event(Trigger::Start { saves: 0, stable: 0 });
    entries.end();
    write("record", "start", entries.bytes());
    let client = 1 << 63 | 9;
    entries.event(Trigger::Deliver { src: client, msg: &encode(&messages[0].1) });
    let mut change = Vec::new();
    let tried = Stable { tried: 1, ..Stable::default() };
    PaxosChanges::difference(&tried, &Stable::default(), &mut change);
    entries.output(Output::Save { change: Change::of(&change) });
    let prepare = encode(&Msg::Prepare { ballot: Ballot { round: 1, proposer: 0 }, from });
    for to in 0..3 {
        entries.output(Output::Send { to, msg: &prepare });
    }
    let (first, last) = (20_000_000, 60_000_000);
    entries.output(Output::SetTimer { timer: &encode(&synod::Timer::Retry), from: first, to: last });
    entries.end();
    write("record", "request", entries.bytes());
    entries.event(Trigger::Deliver { src: 0, msg: &prepare });
    entries.end();
    entries.event(Trigger::Timeout { timer: &encode(&synod::Timer::Retry) });
    entries.output(Output::CancelTimer { timer: &encode(&synod::Timer::Retry) });
    entries.end();
    entries.event(Trigger::Random { key: "draw", index: 1 });
    entries.output(Output::Choose { key: "draw", choices: 3 });
    entries.end();
    write("record", "more", entries.bytes());
    write("record", "header", &synod_fuzz::header());
    // A long message, saved, and once more as the place where it stood: behind the header and a chunk's head.
    let mut entries = Entries::default();
    entries.event(Trigger::Start { saves: 0, stable: 0 });
    entries.end();
    let long = encode(&Msg::Accept { ballot, instance: from, value: Value::from([9; 200].as_slice()) });
    entries.event(Trigger::Deliver { src: 1, msg: &long });
    let place = synod_fuzz::header().len() + 12 + entries.bytes().len() - long.len();
    entries.output(Output::Save { change: Change::of(&long) });
    entries.end();
    let same = frame(11, &[2, place as u64, long.len() as u64], &[0]);
    write("record", "same", &[entries.bytes(), &same].concat());

    // Payloads: messages, pieces of one, and busy.
    let begin = |saves: u64| frame(1, &[saves], &[]);
    let whole = [begin(5), frame(0, &[3], b"one"), frame(0, &[0], b""), vec![2]].concat();
    write("payload", "messages", &whole);
    let piece = |offset: u64, bytes: &[u8]| {
        [begin(300), frame(1, &[7, offset, 900, bytes.len() as u64], bytes)].concat()
    };
    let pieces = [piece(0, &[1; 300]), piece(600, &[3; 300]), piece(300, &[2; 300])];
    write("payload", "pieces", &pieces.join(&0xee));
    write("payload", "piece", &pieces[0]);

    // A list of members for a client, and one that is too long.
    let members = |count: u8| -> Vec<u8> {
        [7].into_iter().chain((0..count).flat_map(|id| [id, 4, 127, 0, 0, 1, id, 27])).collect()
    };
    for (name, count) in [("listed", 3), ("too-many", 17)] {
        let list = members(count);
        write("payload", name, &[begin(5), frame(3, &[list.len() as u64], &list)].concat());
    }
    let numbered = frame(3, &[300, 9], &[]);
    write("payload", "numbered", &[numbered, frame(0, &[3], b"one")].concat());

    write("hello", "zeros", &[0; 93]);
    let mut greeting = [1; 96];
    (greeting[94], greeting[95]) = (2, 3);
    write("hello", "known", &greeting);
    write("hello", "short", &[1; 40]);
    // A client's knock has 76 bytes before its proof, a welcome 48.
    write(
        "hello",
        "knock",
        &[[5; 48].as_slice(), &[1, 0, 0, 0], &[6; 16], &[7, 0, 0, 0, 0, 0, 0, 0]].concat(),
    );
    write("hello", "welcome", &[[5; 16].as_slice(), &[1; 8], &[2; 8], &[6; 16]].concat());

    for (index, datagram) in synod_fuzz::connected().1.iter().enumerate() {
        write("datagram", &format!("sealed-{index}"), datagram);
        write("datagram", &format!("over-{index}"), &[index as u8, 3, 1]);
    }

    let (one, two) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
    write("keys", "one", format!("{one}\n").as_bytes());
    write("keys", "two", format!("# the new one\n{two}\n\n{one}\n").as_bytes());
    write("keys", "short", b"0123456789abcdef\n");
    write("keys", "client", format!("# of a client\n{one} {two}\n").as_bytes());

    let config = "cluster = \"demo\"\ncluster-key = \"a\"\nclient-key = \"b\"\nrecord = true\nretry = [30, 90]\n\
                  max-value = 1000\ndatagram = 1200\nmember = [\n    { id = 0, address = \"127.0.0.1:1\" },\n    \
                  { id = 7, address = \"[::1]:2\", data = \"d\" },\n]\n";
    write("config", "inline", config.as_bytes());
    let tables = "cluster = \"x\"\ncluster-key = \"a\"\nclient-key = \"b\"\n\n[[member]]\nid = 1\naddress = \"10.0.0.1:65535\"\n";
    write("config", "tables", tables.as_bytes());
    write("config", "wrong", b"cluster = 1\nmember = [{ id = -1, address = \"x\" }]\n");
    snapshots();
}

/// A log of a store with sessions, its snapshot, and the parts of that; and the other machines.
fn snapshots() {
    let command = |number, command| SessionCommand::Apply { session: 1, number, command };
    let (key, value) = (Blob::from("k"), Blob::from("v"));
    let log = [
        SessionCommand::Open { client: 7 },
        command(1, KvCommand::Put { key: key.clone(), value: value.clone() }),
        command(2, KvCommand::Cas { key: key.clone(), expect: Expect::Version(1), value }),
        command(2, KvCommand::Get { key: key.clone() }),
        SessionCommand::Open { client: 8 },
        SessionCommand::Expire { session: 2, used: 3 },
        command(3, KvCommand::Delete { key: key.clone(), expect: Some(Expect::Absent) }),
        SessionCommand::Query(KvCommand::Get { key: key.clone() }),
        SessionCommand::Close { session: 2 },
    ];
    let (mut store, mut chain) = (Sessions::new(Kv::default(), LIMITS).expect("room"), Chain::new());
    for command in &log {
        let output = store.apply(command);
        chain.extend(&encode(command), &encode(&output));
    }
    let all = |kind: u8, snapshot: &[u8], commands: Vec<u8>| {
        [&[kind], &(snapshot.len() as u16).to_le_bytes()[..], snapshot, &commands].concat()
    };
    let commands: Vec<u8> = log.iter().flat_map(encode).collect();
    write("snapshot", "store", &all(1, &store.snapshot(), commands));
    let sealed = Snapshot { chain, machine: store.snapshot().into() }.seal();
    write("snapshot", "sealed", &all(0, &sealed, log.iter().flat_map(encode).collect()));

    let mut bank = Sessions::new(Bank::default(), LIMITS).expect("room");
    let open = SessionCommand::Open { client: 7 };
    let deposit = |number| SessionCommand::Apply {
        session: 1,
        number,
        command: BankCommand::Deposit { account: 1, amount: 5 },
    };
    bank.apply(&open);
    bank.apply(&deposit(1));
    write("snapshot", "bank", &all(2, &bank.snapshot(), [encode(&deposit(1)), encode(&deposit(2))].concat()));
    let acquire = LockCommand::Acquire { lock: key.clone(), owner: "a".into() };
    let release = LockCommand::Release { lock: key, token: 1, owner: "a".into() };
    let mut locks = Locks::default();
    locks.apply(&acquire);
    write("snapshot", "locks", &all(3, &locks.snapshot(), [encode(&release), encode(&acquire)].concat()));
}
