//! The server on a socket, with good and bad clients.

use crate::local::Local;
use std::time::Duration;
use synod_machine::StoreCommand;
use synod_redis::{Cursors, Limits, Server, Shared, Submit, SubmitError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Far more than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn limits() -> Limits {
    Limits { stalled: Duration::from_millis(300), idle: Duration::from_mins(1), ..Limits::default() }
}

/// Runs a test beside a server.
fn beside<F: Future<Output = ()>>(limits: Limits, test: impl FnOnce(std::net::SocketAddr, Local) -> F) {
    beside_of(limits, Local::default(), test);
}

/// The same with another cluster.
pub(crate) fn beside_of<S: Submit, F: Future<Output = ()>>(
    limits: Limits,
    local: S,
    test: impl FnOnce(std::net::SocketAddr, S) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it has one");
        let shared = Shared::new(limits, None, Cursors::starting_at(1));
        tokio::spawn(Server::new(shared, None).serve(listener, local.clone()));
        timeout(PATIENCE, test(address, local)).await.expect("it ends");
    });
}

pub(crate) async fn connect(address: std::net::SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

/// Sends, and reads as many bytes as are expected.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str, expected: &str) {
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut reply = vec![0; expected.len()];
    let read = stream.read_exact(&mut reply).await;
    assert!(read.is_ok(), "{request:?}: {read:?} {}", reply.escape_ascii());
    assert_eq!(String::from_utf8_lossy(&reply), expected, "{request:?}");
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A connection that is closed while bytes of ours wait is reset; what it said before may still be there.
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn pipelined_commands_go_together_and_each_has_its_own_outcome() {
    beside(limits(), |address, local| async move {
        let mut stream = connect(address).await;
        let request = "set a x\r\nincr a\r\nincr b\r\nset b 5 nx\r\nget a\r\nget b\r\nping\r\ndel a\r\n";
        let expected = "+OK\r\n-ERR value is not an integer or out of range\r\n:1\r\n$-1\r\n$1\r\nx\r\n$1\r\n1\r\n+PONG\r\n:1\r\n";
        ask(&mut stream, request, expected).await;
        let sizes: Vec<usize> = local
            .commands()
            .iter()
            .map(|command| match command {
                StoreCommand::Transact { then, .. } => then.len(),
                StoreCommand::Tick { .. } | StoreCommand::Settings(_) => panic!("nothing is told"),
            })
            .collect();
        assert_eq!(
            sizes,
            [4, 1, 1, 1],
            "writes together, questions beside each other, and the rest behind them"
        );
        ask(&mut stream, "get o\r\nset o 1\r\nget o\r\n", "$-1\r\n+OK\r\n$1\r\n1\r\n").await;
        local.commands();
        let many = "incr c\r\n".repeat(1000);
        let sums = (1..=1000).fold(String::new(), |sums, sum| sums + &format!(":{sum}\r\n"));
        ask(&mut stream, &many, &sums).await;
        assert!(local.commands().len() < 100, "far fewer commands than requests");
    });
}

#[test]
fn a_refused_command_takes_no_other_with_it_and_the_unknown_is_said() {
    beside(limits(), |address, local| async move {
        let mut stream = connect(address).await;
        let refused = || Some(SubmitError::Refused("too long".to_owned()));
        local.fails(&[refused(), None, refused()]);
        ask(&mut stream, "set a 1\r\nset b 2\r\n", "+OK\r\n-ERR nothing was done: too long\r\n").await;
        ask(&mut stream, "mget a b\r\n", "*2\r\n$1\r\n1\r\n$-1\r\n").await;
        local.fails(&[Some(SubmitError::Unknown("no answer".to_owned()))]);
        let unknown = "-UNKNOWN the command may have taken effect: no answer\r\n";
        ask(&mut stream, "set a 1\r\nincr b\r\n", &unknown.repeat(2)).await;
        local.fails(&[Some(SubmitError::Busy("full".to_owned()))]);
        ask(&mut stream, "set a 1\r\n", "-BUSY nothing was done: full\r\n").await;
        local.fails(&[None, Some(SubmitError::Unknown("no answer".to_owned()))]);
        let request = "watch a\r\nmulti\r\nset a 2\r\nexec\r\n";
        ask(&mut stream, request, &format!("+OK\r\n+OK\r\n+QUEUED\r\n{unknown}")).await;
    });
}

#[test]
fn a_full_store_refuses_what_grows_it_and_nothing_else() {
    beside(limits(), |address, local| async move {
        let mut stream = connect(address).await;
        ask(&mut stream, "mset a 123 b 123\r\n", "+OK\r\n").await;
        local.may_hold(300);
        let oom = "-OOM the store is full, so nothing was done: it holds 264 bytes, and most-bytes in its configuration allows 300; delete something \
                   or raise that\r\n";
        // They go together; each has the outcome that it would have alone.
        ask(
            &mut stream,
            "set a 1\r\nset c 1\r\nset b 2\r\n",
            &format!("+OK\r\n{}+OK\r\n", oom.replace("264", "262")),
        )
        .await;
        let request = "multi\r\nset a 3\r\nset c 1\r\nexec\r\n";
        ask(&mut stream, request, &format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n{}", oom.replace("264", "260")))
            .await;
        ask(&mut stream, "get a\r\ndel b\r\nset c 1\r\n", "$1\r\n1\r\n:1\r\n+OK\r\n").await;
    });
}

#[test]
fn a_watched_key_that_changes_stops_the_transaction() {
    beside(limits(), |address, _| async move {
        let (mut mine, mut other) = (connect(address).await, connect(address).await);
        ask(&mut mine, "watch a\r\nmulti\r\nset b 1\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n").await;
        ask(&mut other, "set a 1\r\n", "+OK\r\n").await;
        ask(&mut mine, "exec\r\nget b\r\n", "*-1\r\n$-1\r\n").await;
        ask(
            &mut mine,
            "watch a\r\nmulti\r\nset b 1\r\nincr a\r\nget b\r\nexec\r\n",
            "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:2\r\n$1\r\n1\r\n",
        )
        .await;
    });
}

#[test]
fn garbage_gets_an_answer_and_the_end() {
    beside(limits(), |address, _| async move {
        for (garbage, says) in [
            ("ping\r\n*9999999\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length"),
            ("*1\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length"),
            (&"*1\r\n".repeat(1000), "-ERR Protocol error: expected '$', got '*'"),
            ("get a\0\u{1}\r\nquit\r\nget b\r\n", "$-1\r\n+OK\r\n"),
        ] {
            let mut stream = connect(address).await;
            stream.write_all(garbage.as_bytes()).await.expect("it is sent");
            let said = rest(&mut stream).await;
            assert!(said.starts_with(says), "{garbage:?}: {said:?}");
        }
    });
}

#[test]
fn connections_are_bounded_and_half_a_request_is_not_waited_for_long() {
    beside(Limits { connections: 50, ..limits() }, |address, _| async move {
        let mut held = Vec::new();
        for _ in 0..50 {
            let mut stream = connect(address).await;
            ask(&mut stream, "ping\r\n", "+PONG\r\n").await;
            held.push(stream);
        }
        let mut one_more = connect(address).await;
        assert_eq!(rest(&mut one_more).await, "-ERR max number of clients reached\r\n");
        held.pop();
        // The place is free as soon as the server saw that.
        let mut next = loop {
            let mut stream = connect(address).await;
            stream.write_all(b"ping\r\n").await.expect("it is sent");
            let mut first = [0];
            if stream.read(&mut first).await.is_ok_and(|read| read == 1 && first[0] == b'+') {
                break stream;
            }
        };
        ask(&mut next, "", "PONG\r\n").await;
        for stream in &mut held {
            stream.write_all(b"*2\r\n$3\r\nGET\r\n$100\r\nhal").await.expect("it is sent");
        }
        for stream in &mut held {
            assert_eq!(rest(stream).await, "", "it was closed");
        }
        ask(&mut next, "ping\r\n", "+PONG\r\n").await;
    });
}

#[test]
fn long_requests_have_room_for_some_at_once_and_the_others_wait_their_turn() {
    let limits = Limits { request_bytes: 64 << 10, buffered_bytes: 128 << 10, stalled: PATIENCE, ..limits() };
    beside(limits, |address, _| async move {
        let head = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50000\r\n";
        let (first, second) = ("x".repeat(40_000), "x".repeat(10_000));
        let mut halves = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(address).await;
            stream.write_all(format!("{head}{first}").as_bytes()).await.expect("it is sent");
            halves.push(stream);
        }
        // The two have all the room as soon as the server has read so far; then it reads no more of others.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut third = connect(address).await;
        third.write_all(format!("{head}{first}{second}\r\n").as_bytes()).await.expect("it is sent");
        let early = timeout(Duration::from_millis(200), third.read(&mut [0])).await;
        assert!(early.is_err(), "it waits: {early:?}");
        ask(&mut halves[0], &format!("{second}\r\n"), "+OK\r\n").await;
        ask(&mut third, "", "+OK\r\n").await;
        // Short ones need no room.
        ask(&mut third, "ping\r\n", "+PONG\r\n").await;
    });
}

#[test]
fn a_long_request_that_finds_no_room_in_time_is_told_busy() {
    let stalled = Duration::from_secs(3);
    let limits = Limits { request_bytes: 64 << 10, buffered_bytes: 128 << 10, stalled, ..limits() };
    beside(limits, |address, _| async move {
        let (head, long) = ("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50000\r\n", "x".repeat(40_000));
        // Its time runs from its first byte on. Those that come later hold the room for longer than it waits.
        let mut first = connect(address).await;
        first.write_all(head.as_bytes()).await.expect("it is sent");
        tokio::time::sleep(stalled / 2).await;
        let mut halves = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(address).await;
            stream.write_all(format!("{head}{long}").as_bytes()).await.expect("it is sent");
            halves.push(stream);
        }
        tokio::time::sleep(stalled / 6).await;
        first.write_all(long.as_bytes()).await.expect("it is sent");
        assert_eq!(rest(&mut first).await, "-BUSY too many long requests are under way\r\n");
        for half in &mut halves {
            assert_eq!(rest(half).await, "", "it never ended and was closed");
        }
    });
}

#[test]
fn who_says_nothing_is_closed_after_a_time_and_who_asks_now_and_then_is_not() {
    let limits = Limits { idle: Duration::from_secs(1), ..limits() };
    beside(limits, |address, _| async move {
        let (mut silent, mut other) = (connect(address).await, connect(address).await);
        ask(&mut silent, "ping\r\n", "+PONG\r\n").await;
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ask(&mut other, "ping\r\n", "+PONG\r\n").await;
        }
        assert_eq!(rest(&mut silent).await, "");
        ask(&mut other, "ping\r\n", "+PONG\r\n").await;
    });
}

#[test]
fn a_client_that_never_reads_is_not_read_either_and_then_closed() {
    beside(limits(), |address, local| async move {
        let mut good = connect(address).await;
        let value = "x".repeat(100_000);
        ask(&mut good, &format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n{value}\r\n"), "+OK\r\n").await;
        local.commands();
        let mut bad = connect(address).await;
        let asked = "get a\r\n".repeat(10_000);
        // The buffers between the two hold some; then it waits, until the server closes the connection.
        while bad.write_all(asked.as_bytes()).await.is_ok() {}
        let done = local.commands().len();
        assert!(done < 2000, "{done} questions were asked for replies that nobody takes");
        ask(&mut good, "ping\r\n", "+PONG\r\n").await;
    });
}
