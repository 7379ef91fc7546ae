//! What nobody should ask of real members, by clients with other limits than theirs, with sessions that are over, of another cluster, and by those who speak
//! the protocol of Redis badly or not at all. Each has a clear answer, the members go on, and their memory stays flat.

use crate::cluster::{Cluster, client};
use stateright::actor::Id;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use synod::{Answer, Asking, Client, Instance, Process, Value, Want};
use synod_client::{Doubt, Error, Reading, Refusal};
use synod_groups::Groups;
use synod_machine::{
    Blob, Lives, Operation, SessionCommand, SessionOutput, StoreCommand, StoreOutput, decode, encode,
};
use synod_runtime::disk::DirDisk;
use synod_runtime::groups::ByGroup;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::ClientKeys;
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::standing::Standing;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::UdpWire;
use synod_server::{Config, PaxosChanges};

/// How long anything may take before a test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

type Said = Option<SessionOutput<StoreOutput>>;

/// A command in just these bytes, by a client that knows of no sessions and no limits. `None` if no answer comes for a while.
fn raw(config: &Config, command: &[u8], patience: Duration) -> Option<Said> {
    raw_in_groups(config, 1, command, patience).remove(0)
}

/// The same command to so many groups, and what each answers.
pub(crate) fn raw_in_groups(
    config: &Config,
    groups: usize,
    command: &[u8],
    patience: Duration,
) -> Vec<Option<Said>> {
    let members: Vec<Id> = config.members.iter().map(|member| Id::from(member.id as usize)).collect();
    let asks = Client {
        number: 1,
        instance: Instance::FIRST,
        want: Want::Submit(Value::from(command)),
        asks: members.clone(),
        heeds: members,
        asking: Asking::InTurn,
        pause: None,
        resend: Some(Duration::from_millis(100)..Duration::from_millis(200)),
    };
    let mut rng = fastrand::Rng::new();
    let mut session = [0; 16];
    rng.fill(&mut session);
    let settings = transport::Config {
        cluster: config.tag(),
        me: FIRST_CLIENT | rng.u64(..),
        peers: config.members.iter().map(|member| (member.id, member.address)).collect(),
        first: None,
        cluster_keys: None,
        client_keys: Some(ClientKeys::load(&config.client_key).expect("a key")),
        datagram: config.datagram,
        max_message: 1 << 24,
        max_client_message: 1 << 24,
        standing: Standing::default(),
        session,
    };
    let wire = UdpWire::bind("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let transport = Transport::new(settings, rng.fork());
    let actors = Groups::new(vec![Process::Client(asks); groups]);
    let mut node: Node<Groups<Process>, ByGroup<PaxosChanges>, DirDisk, UdpWire> =
        Node::new(actors, transport, wire, None, None, Limits::default(), rng);
    let began = Instant::now();
    let mut said = vec![None; groups];
    while said.contains(&None) && began.elapsed() < patience {
        let until = node.now() + Duration::from_millis(20);
        node.turn(until).expect("a client goes on");
        for (group, state) in node.state().into_iter().flat_map(synod_groups::States::all) {
            if let Some(Answer::Output(output)) = state.client().and_then(|client| client.answer.clone()) {
                said[usize::from(group)] = Some(decode(output.as_bytes()).expect("an answer"));
            }
        }
    }
    said
}

fn said(config: &Config, command: &SessionCommand<StoreCommand>) -> Said {
    raw(config, &encode(command), PATIENCE).expect("an answer")
}

fn put(key: &str, value: &str) -> StoreCommand {
    let put = Operation::Put { key: Blob::from(key), value: Blob::from(value), lives: Lives::Forever };
    StoreCommand::Transact { when: Vec::new(), then: vec![put] }
}

fn open(config: &Config, client: u64) -> u64 {
    match said(config, &SessionCommand::Open { client }) {
        Some(SessionOutput::Opened { session }) => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_that_is_over_or_never_was_is_said_to_be_so_and_garbage_is_not_understood() {
    let mut cluster = Cluster::new(3, None, "[sessions]\nmost = 2");
    cluster.start_all();
    let config = &cluster.config;
    let first = open(config, 1);
    let apply = |session, number, command| SessionCommand::Apply { session, number, command };
    let done = said(config, &apply(first, 1, put("k", "1")));
    assert!(matches!(done, Some(SessionOutput::Output(StoreOutput::Done(_)))), "{done:?}");
    assert_eq!(said(config, &apply(first, 1, put("k", "2"))), done, "a copy has the answer of the first");
    let never = said(config, &apply(first + 100, 1, put("k", "3")));
    assert_eq!(never, Some(SessionOutput::Unknown));
    // Two more take the place of the first.
    for other in [2, 3] {
        open(config, other);
    }
    assert_eq!(said(config, &apply(first, 2, put("k", "4"))), Some(SessionOutput::Expired));
    assert_eq!(said(config, &SessionCommand::Query(put("k", "5"))), Some(SessionOutput::NeedsSession));
    let tick = StoreCommand::Tick { now: u64::MAX, given: 0 };
    let second = open(config, 2);
    assert_eq!(
        said(config, &apply(second, 1, tick)),
        Some(SessionOutput::NotAdmitted),
        "the time is told by members"
    );
    let settings = StoreCommand::Settings(synod_machine::Settings { bytes: 1, ..Default::default() });
    let told = said(config, &apply(second, 2, settings));
    assert_eq!(told, Some(SessionOutput::NotAdmitted), "and so are settings");
    let stored = said(config, &apply(second, 3, put("other", "1")));
    assert!(
        matches!(stored, Some(SessionOutput::Output(StoreOutput::Done(_)))),
        "no store is full: {stored:?}"
    );
    assert_eq!(raw(config, b"\xff\xfe no command", PATIENCE), Some(None));
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
    // A client whose session was taken opens another, and no command is done twice.
    let patient = cluster.client(PATIENCE);
    for number in 0..4 {
        patient.put("n", number.to_string().as_str()).expect("it is stored");
        for other in [10, 20] {
            open(&cluster.config, other + number);
        }
        let error = patient.put("n", "lost").expect_err("its session was taken");
        assert!(error.may_have_taken_effect() && error.to_string().contains("session expired"), "{error}");
    }
    assert_eq!(cluster.get("n"), Some(b"3".to_vec()));
    drop(patient);
    cluster.stop_and_replay();
}

/// A client that takes the cluster for one with these limits.
fn with_limits(cluster: &Cluster, max_key: usize, max_value: usize) -> synod_client::Client {
    let mut config = cluster.config.clone();
    config.max_value = max_value;
    config.log.max_key = max_key;
    client(&config, PATIENCE)
}

#[test]
fn what_is_too_long_for_the_cluster_is_refused_by_name_whatever_the_client_takes_for_its_limits() {
    let mut cluster = Cluster::new(3, None, "max-value = 1000\n[store]\nmax-key = 100");
    cluster.start_all();
    cluster.put("k", b"x");
    let generous = with_limits(&cluster, 500, 1300);
    let long = |length: usize| "x".repeat(length);
    for (key, value) in
        [(long(101), long(1)), (long(500), long(1)), (long(1), long(1001)), (long(100), long(1300))]
    {
        let error = generous.put(key.as_str(), value.as_str()).expect_err("it is too long");
        assert_eq!(error, Error::Refused(Refusal::NotAdmitted), "{} {}", key.len(), value.len());
        assert!(error.to_string().contains("max-key") && error.to_string().contains("max-value"), "{error}");
    }
    let error = generous.lock(long(101).as_str(), "me", None).expect_err("its name is too long");
    assert_eq!(error, Error::Refused(Refusal::NotAdmitted));
    // The session goes on.
    generous.put(long(100).as_str(), long(1000).as_str()).expect("it is not too long");
    // What is too long even for the log is refused by the member that is asked.
    let most = cluster.config.longest_command() as u64;
    let refused = Some(Some(SessionOutput::LongCommand { most }));
    assert_eq!(raw(&cluster.config, &vec![7; 500_000], PATIENCE), refused);
    let long = long(500_000);
    let very_generous = with_limits(&cluster, 100, 1_000_000);
    let error = very_generous.put("k", long.as_str()).expect_err("it is too long");
    let is_long = matches!(
        error,
        // If the answer took long, the client has asked another one, and cannot know what that one takes.
        Error::Refused(Refusal::LongCommand(_)) | Error::MayHaveTakenEffect(Doubt::LongCommand(_))
    );
    assert!(is_long && error.to_string().contains(&format!("{most} bytes that a member takes")), "{error}");
    let asks = Operation::Get { key: Blob::from(long.as_str()) };
    let asks = StoreCommand::Transact { when: Vec::new(), then: vec![asks] };
    let most_generous = with_limits(&cluster, 1_000_000, 1_000_000);
    for reading in [Reading::Linearizable, Reading::Stale] {
        let error = most_generous.query(asks.clone(), reading, PATIENCE).expect_err("it is too long");
        assert_eq!(error, Error::Refused(Refusal::LongCommand(most)));
    }
    very_generous.put("k2", "x").expect("the session goes on");
    assert_eq!(cluster.get("k"), Some(b"x".to_vec()));
    drop((generous, very_generous, most_generous));
    cluster.stop_and_replay();
}

#[test]
fn an_answer_that_is_too_long_is_said_to_be_instead_of_never_sent() {
    let (mut cluster, redis) = with_redis("max-value = 1500000\n[redis]\nrequest-bytes = 4000000\n");
    cluster.start_all();
    let client = cluster.client(PATIENCE);
    for key in ["a", "b", "c"] {
        client.put(key, vec![b'x'; 1_400_000]).expect("it is stored");
    }
    let get =
        |keys: &[&str]| keys.iter().map(|key| Operation::Get { key: Blob::from(*key) }).collect::<Vec<_>>();
    let asks = |keys: &[&str]| StoreCommand::Transact { when: Vec::new(), then: get(keys) };
    client.query(asks(&["a", "b"]), Reading::Linearizable, PATIENCE).expect("two are not too long");
    for reading in [Reading::Linearizable, Reading::Stale] {
        let error = client.query(asks(&["a", "b", "c"]), reading, PATIENCE).expect_err("three are");
        assert!(matches!(error, Error::Refused(Refusal::LongAnswer(4_200_000..))), "{error}");
        assert!(error.to_string().contains("ask for less at a time"), "{error}");
    }
    let mut then = get(&["a", "b", "c"]);
    then.push(Operation::Add { key: Blob::from("n"), by: 1 });
    let error = client.transaction(Vec::new(), then).expect_err("its answer is too long");
    assert!(error.may_have_taken_effect() && error.to_string().contains("took effect"), "{error}");
    assert_eq!(cluster.get("n"), Some(b"1".to_vec()), "once");
    let mut stream = connect(redis[0]);
    assert!(asked(&mut stream, "MGET a b c\r\n").starts_with("-ERR nothing was done: the answer has 42"));
    assert_eq!(asked(&mut stream, "PING\r\n"), "+PONG");
    drop(client);
    let memory = cluster.memory(0).expect("it runs");
    assert!(memory < 256 << 20, "{memory} bytes of memory");
    cluster.stop_and_replay();
}

#[test]
fn a_message_that_no_member_takes_is_not_sent_by_the_library_and_counted_by_members_who_drop_it() {
    let mut cluster = Cluster::new(1, None, "");
    cluster.start_all();
    let mut settings =
        synod_client::Config::new(cluster.config.cluster.clone(), cluster.config.client_key.clone())
            .member(0, cluster.config.members[0].address);
    settings.max_command = 1 << 30;
    let client = synod_client::Client::connect(&settings).expect("a client can be started");
    let put = |number: usize| Operation::Put {
        key: Blob::from(number.to_string().as_str()),
        value: Blob::from(vec![7; 60_000]),
        lives: Lives::Forever,
    };
    // It would be in vain to wait for an answer, and the library knows.
    let error =
        client.with_timeout(Duration::from_hours(1)).transaction(Vec::new(), (0..80).map(put).collect());
    let error = error.expect_err("it is too long").to_string();
    assert!(error.starts_with("the command has 480") && error.ends_with("takes 4194240 at most"), "{error}");
    cluster.put("k", b"1");
    // Whoever sends it all the same hears nothing. The member goes on, and tells what it dropped.
    assert_eq!(raw(&cluster.config, &vec![7; 5 << 20], Duration::from_secs(1)), None);
    cluster.put("k", b"2");
    let memory = cluster.memory(0).expect("it runs");
    assert!(memory < 64 << 20, "{memory} bytes of memory");
    let (status, log) = cluster.stop(0);
    let dropped = log.iter().find(|line| line.contains("and dropped")).expect("it says what it dropped");
    assert!(status == Some(0) && dropped.contains("longer than the longest message"), "{dropped}");
    cluster.stop_and_replay();
}

#[test]
fn a_member_of_another_cluster_is_not_heard_and_says_that_it_waits() {
    let mut cluster = Cluster::new(3, None, "");
    cluster.start_all();
    cluster.put("k", b"1");
    cluster.stop(2);
    // Of another name, of another key, and of both: in the place of member 2, with a directory of its own.
    let path = cluster.folder.path().join("member-2.toml");
    let right = fs::read_to_string(&path).expect("a configuration");
    let other = Cluster::new(1, None, "");
    let [members, clients] =
        [&other.config.cluster_key, &other.config.client_key].map(|key| key.display().to_string());
    let other_key = right
        .replace("\"cluster.key\"", &format!("{members:?}"))
        .replace("\"client.key\"", &format!("{clients:?}"));
    for text in [right.replace("cluster = \"test\"", "cluster = \"best\""), other_key] {
        assert_ne!(text, right);
        fs::rename(cluster.data(2), cluster.folder.path().join("kept")).expect("it is there");
        fs::write(&path, text).expect("a configuration");
        cluster.start(2);
        cluster.wait_for(2, "waits to hear from member 0, 1");
        cluster.put("k", b"2");
        cluster.kill(2);
        fs::remove_dir_all(cluster.data(2)).expect("it made one");
        fs::rename(cluster.folder.path().join("kept"), cluster.data(2)).expect("it was kept");
    }
    // With the right directory and another name, the directory is refused.
    fs::write(&path, right.replace("cluster = \"test\"", "cluster = \"best\"")).expect("a configuration");
    cluster.start(2);
    let (status, log) = cluster.ended(2);
    assert!(
        status == Some(2) && log.len() == 1 && log[0].contains("belongs to member 2 of cluster"),
        "{log:?}"
    );
    fs::write(&path, right).expect("a configuration");
    cluster.start(2);
    cluster.wait_for(2, "takes part");
    let (status, log) = cluster.stop(0);
    let dropped = log.iter().find(|line| line.contains("and dropped")).expect("it says what it dropped");
    assert!(status == Some(0) && dropped.contains("of another cluster"), "{dropped}");
    cluster.stop_and_replay();
}

/// A cluster of one that speaks the protocol of Redis, and the address where it does.
fn with_redis(more: &str) -> (Cluster, Vec<SocketAddr>) {
    let mut cluster = Cluster::new(1, None, more);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a loopback socket");
    for file in ["member-0.toml", "cluster.toml"] {
        let path = cluster.folder.path().join(file);
        let text = fs::read_to_string(&path).expect("a configuration");
        fs::write(&path, text.replace("id = 0\n", &format!("id = 0\nredis = \"{address}\"\n")))
            .expect("a configuration");
    }
    cluster.config = Config::load(&cluster.folder.path().join("cluster.toml")).expect("it is right");
    (cluster, vec![address])
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                return stream;
            }
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The first line of the answer to a request.
pub(crate) fn asked(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("it is sent");
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") && stream.read(&mut byte).expect("an answer") == 1 {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// All that is said until the end.
fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A connection that is closed while bytes of ours wait is reset.
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn who_speaks_badly_is_told_so_and_who_says_nothing_or_reads_nothing_is_closed() {
    let (mut cluster, redis) = with_redis(
        "[redis]\npassword-file = \"password\"\nidle-seconds = 2\nstalled-seconds = 3\nbuffered-bytes = 1048576\n",
    );
    fs::write(cluster.folder.path().join("password"), "secret\n").expect("a file");
    cluster.start_all();
    let known = || {
        let mut stream = connect(redis[0]);
        assert_eq!(asked(&mut stream, "AUTH secret\r\n"), "+OK");
        stream
    };
    // A wrong password, up to the end of the connection.
    let mut guesses = connect(redis[0]);
    assert_eq!(asked(&mut guesses, "GET k\r\n"), "-NOAUTH Authentication required.");
    for guess in 0..5 {
        assert!(asked(&mut guesses, &format!("AUTH wrong{guess}\r\n")).starts_with("-WRONGPASS"));
    }
    assert_eq!(rest(&mut guesses), "");
    // Garbage.
    for garbage in ["*9999999\r\n", "*1\r\n$99999999999\r\n", "*1\r\n*1\r\n"] {
        assert!(asked(&mut known(), garbage).starts_with("-ERR Protocol error"), "{garbage:?}");
    }
    let mut noise = known();
    let _ = noise.write_all(&vec![0xff; 100_000]);
    let said = rest(&mut noise);
    assert!(said.is_empty() || said.starts_with("-ERR"), "{said}");
    // Someone who holds half a long request keeps its room for a time; who finds none is told.
    let (head, long) = ("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$60000\r\n", "x".repeat(30_000));
    let mut first = known();
    first.write_all(head.as_bytes()).expect("it is sent");
    std::thread::sleep(Duration::from_millis(1500));
    let mut half = known();
    half.write_all(format!("{head}{long}").as_bytes()).expect("it is sent");
    std::thread::sleep(Duration::from_millis(500));
    first.write_all(long.as_bytes()).expect("it is sent");
    assert_eq!(rest(&mut first), "-BUSY too many long requests are under way\r\n");
    assert_eq!(rest(&mut half), "", "who never ends is closed");
    // Someone who reads nothing.
    let mut good = known();
    assert_eq!(asked(&mut good, &format!("{head}{long}{long}\r\n")), "+OK");
    let mut deaf = known();
    deaf.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let questions = "GET a\r\n".repeat(1000);
    while deaf.write_all(questions.as_bytes()).is_ok() {}
    // Someone who says nothing is closed after a time, and the others are served all along.
    let mut idle = known();
    assert_eq!(asked(&mut known(), "SET b 1\r\n"), "+OK");
    assert_eq!(idle.read(&mut [0]).expect("an end and no error"), 0);
    assert_eq!(cluster.get("b"), Some(b"1".to_vec()));
    let memory = cluster.memory(0).expect("it runs");
    assert!(memory < 64 << 20, "{memory} bytes of memory");
    cluster.stop_and_replay();
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_keep_nobody_out_of_the_log() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: files.maximum, maximum: files.maximum };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let room = files.maximum.unwrap_or(u64::MAX).saturating_sub(500);
    let connections = usize::try_from(room.min(10_000)).expect("a small number");
    let (mut cluster, redis) =
        with_redis(&format!("[redis]\nconnections = {connections}\nstalled-seconds = 3600\n"));
    cluster.start_all();
    cluster.put("k", b"1");
    let before = cluster.memory(0).expect("it runs");
    let mut held = Vec::new();
    for index in 0..connections {
        let mut stream = connect(redis[0]);
        if index % 3 == 0 && index + 1 < connections {
            stream.write_all(b"*2\r\n$3\r\nGET\r\n").expect("it is sent");
        }
        held.push(stream);
    }
    // The last one may still wait to be taken in.
    assert_eq!(asked(held.last_mut().expect("one"), "\r\nPING\r\n"), "+PONG");
    let mut more = connect(redis[0]);
    assert_eq!(rest(&mut more), "-ERR max number of clients reached\r\n");
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
    let each = (cluster.memory(0).expect("it runs") - before) / connections as u64;
    eprintln!("{connections} connections, {each} bytes of memory each");
    assert!(each < 16 << 10, "{each} bytes for each of {connections}");
    let served = held.iter_mut().skip(1).step_by(1000);
    for stream in served {
        let answer = asked(stream, "GET k\r\n");
        assert!(answer == "$1" || answer.starts_with("-ERR Protocol"), "{answer}");
    }
    drop(held);
    let began = Instant::now();
    loop {
        let mut stream = connect(redis[0]);
        stream.write_all(b"PING\r\n").expect("it is sent");
        let mut answer = [0; 5];
        match stream.read_exact(&mut answer) {
            Ok(()) if &answer == b"+PONG" => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer"),
            _ => assert!(began.elapsed() < PATIENCE, "the places are free again"),
        }
    }
    let (status, log) = cluster.stop(0);
    assert_eq!(status, Some(0), "{log:?}");
}
