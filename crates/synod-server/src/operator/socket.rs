//! The socket of the operator: a thread that listens, one per connection, and a bounded queue to the member's loop, which waits for none of them.

use super::words::{LONGEST_LINE, LONGEST_WAIT, Reply, Request};
use std::fmt;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use synod_runtime::wire::Waker;

/// The name of the socket in a data directory.
const NAME: &str = "operator";
/// The most connections at a time, and the most questions that wait for the loop.
const MOST: usize = 8;
/// The time within which a line must be there, and within which an answer must be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// The path of a name in an open directory, however long the directory's own path is: a socket's has 107 bytes at most.
fn within(directory: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

/// A question, and where its answer goes.
pub(crate) type Asked = (Request, SyncSender<Reply>);

/// The end of the queue at the member's loop. The socket is there as long as this is.
pub(crate) struct Desk {
    questions: Receiver<Asked>,
    stop: Arc<AtomicBool>,
    directory: File,
}

/// What the thread and its connections share.
#[derive(Clone)]
struct Served {
    questions: SyncSender<Asked>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

impl Desk {
    /// Listens in a data directory that this process alone uses. The socket of an earlier process is replaced.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn open(data: &Path, waker: Arc<Waker>) -> io::Result<Desk> {
        let directory = File::open(data)?;
        let (private, path) = (within(&directory, "operator.new"), within(&directory, NAME));
        let fresh = private.join(NAME);
        for left in [std::fs::remove_file(&fresh), std::fs::remove_dir(&private)] {
            match left {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // A socket is made with whatever the process leaves to others. Nobody else comes near it here before that is taken away.
        DirBuilder::new().mode(0o700).create(&private)?;
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, &path)?;
        std::fs::remove_dir(&private)?;
        let (sender, questions) = sync_channel(MOST);
        let stop = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let served = Served { questions: sender, waker, stop: stop.clone(), open };
        std::thread::Builder::new().name("operator".to_owned()).spawn(move || served.listen(&listener))?;
        Ok(Desk { questions, stop, directory })
    }

    /// The questions that have come.
    pub(crate) fn questions(&self) -> impl Iterator<Item = Asked> + '_ {
        self.questions.try_iter()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let path = within(&self.directory, NAME);
        // This wakes the thread. Where it cannot be woken, it ends with the process.
        let _ = UnixStream::connect(&path);
        let _ = std::fs::remove_file(&path);
    }
}

impl Served {
    fn listen(&self, listener: &UnixListener) {
        for stream in listener.incoming() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else {
                // Such as too many open files. Those that are there go on.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            if self.open.fetch_add(1, Ordering::Relaxed) >= MOST {
                self.open.fetch_sub(1, Ordering::Relaxed);
                let _ = answer(&stream, &Reply::Refused("too many ask at once; ask again".to_owned()));
                continue;
            }
            let served = self.clone();
            let thread = std::thread::Builder::new().name("operator".to_owned());
            let spawned = thread.spawn(move || {
                // Whoever does not say what it wants, or does not take the answer, gets none.
                let _ = served.serve(&stream);
                served.open.fetch_sub(1, Ordering::Relaxed);
            });
            if spawned.is_err() {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn serve(&self, stream: &UnixStream) -> io::Result<()> {
        let line = read_line(stream, Instant::now() + PATIENCE)?;
        let request: Request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                return answer(stream, &Reply::Refused(format!("the question cannot be read: {error}")));
            }
        };
        let wait = match &request {
            Request::List => PATIENCE,
            // The loop gives up first.
            Request::Change { timeout_ms, .. } => {
                Duration::from_millis((*timeout_ms).min(LONGEST_WAIT)) + PATIENCE
            }
        };
        let (to, reply) = sync_channel(1);
        if self.questions.try_send((request, to)).is_err() {
            return answer(stream, &Reply::Refused("the member is busy, or stops; ask again".to_owned()));
        }
        let _ = self.waker.wake();
        let reply = reply.recv_timeout(wait).unwrap_or_else(|error| {
            let why = match error {
                RecvTimeoutError::Timeout => "the member has not answered in time",
                RecvTimeoutError::Disconnected => "the member has stopped",
            };
            Reply::Unknown(format!("{why}; it may still be executed"))
        });
        answer(stream, &reply)
    }
}

fn answer(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&line)
}

/// Reads a line of bounded length until some moment.
fn read_line(stream: &UnixStream, until: Instant) -> io::Result<String> {
    let mut reader = BufReader::new(stream.take(LONGEST_LINE));
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let more = reader.fill_buf()?;
        if more.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let end = more.iter().position(|byte| *byte == b'\n').map_or(more.len(), |end| end + 1);
        line.extend_from_slice(&more[..end]);
        reader.consume(end);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// A question to the member whose data directory this is.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The question.
    pub request: &'a Request,
}

/// The reason why there is no answer.
#[derive(Debug)]
pub enum NotAsked {
    /// Nothing was asked: no member listens there, or it may not be asked.
    Unreached(String),
    /// The question was sent, and no answer came.
    Lost(String),
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAsked::Unreached(why) | NotAsked::Lost(why) => f.write_str(why),
        }
    }
}

/// Asks a member of this machine.
///
/// # Errors
/// When there is no answer.
pub fn ask(Asking { data, request }: Asking<'_>) -> Result<Reply, NotAsked> {
    let path = data.join(NAME);
    let unreached = |error: io::Error| {
        let why = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => "no member listens there".to_owned(),
            _ => error.to_string(),
        };
        NotAsked::Unreached(format!("{}: {why}", path.display()))
    };
    let directory = File::open(data).map_err(unreached)?;
    let stream = UnixStream::connect(within(&directory, NAME)).map_err(unreached)?;
    let lost = |error: io::Error| {
        let why = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "the member does not answer".to_owned(),
            ErrorKind::UnexpectedEof => "the member has ended the connection without an answer".to_owned(),
            _ => error.to_string(),
        };
        NotAsked::Lost(format!("{}: {why}", path.display()))
    };
    let mut line = serde_json::to_vec(request).map_err(|error| unreached(error.into()))?;
    line.push(b'\n');
    let wait = match request {
        Request::List => PATIENCE,
        Request::Change { timeout_ms, .. } => Duration::from_millis(*timeout_ms) + PATIENCE,
    };
    stream.set_write_timeout(Some(PATIENCE)).map_err(unreached)?;
    (&stream).write_all(&line).map_err(lost)?;
    let line = read_line(&stream, Instant::now() + wait + PATIENCE).map_err(lost)?;
    serde_json::from_str(&line).map_err(|error| lost(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;
    use synod_runtime::wire::UdpWire;

    fn waker() -> Arc<Waker> {
        UdpWire::bind("127.0.0.1:0".parse().expect("an address")).expect("a loopback socket").waker()
    }

    /// Answers each question with its own words, until it is dropped.
    fn echo(desk: Desk) -> std::thread::JoinHandle<Desk> {
        std::thread::spawn(move || {
            while let Ok((request, to)) = desk.questions.recv_timeout(Duration::from_mins(1)) {
                let Request::Change { words, .. } = request else { return desk };
                to.try_send(Reply::Done(words)).expect("there is room for one");
            }
            desk
        })
    }

    fn change(words: &str) -> Request {
        Request::Change { words: words.to_owned(), timeout_ms: 60_000 }
    }

    #[test]
    fn a_member_is_asked_where_its_data_are_however_long_that_path_is_and_by_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("a".repeat(200)).join("b".repeat(200));
        std::fs::create_dir_all(&data).expect("a folder");
        let asked = change("remove 1");
        let none = ask(Asking { data: &data, request: &asked });
        assert!(matches!(none, Err(NotAsked::Unreached(why)) if why.contains("no member listens there")));
        // What a process that was killed has left behind.
        drop(UnixListener::bind(within(&File::open(&data).expect("it is there"), NAME)).expect("a socket"));
        let stale = ask(Asking { data: &data, request: &asked });
        assert!(matches!(stale, Err(NotAsked::Unreached(why)) if why.contains("no member listens there")));
        let desk = Desk::open(&data, waker()).expect("it is replaced");
        let socket = std::fs::metadata(data.join(NAME)).expect("it is there");
        assert!(socket.file_type().is_socket() && socket.permissions().mode() & 0o777 == 0o600);
        let echo = echo(desk);
        for words in ["add 3", "remove 1"] {
            let reply = ask(Asking { data: &data, request: &change(words) }).expect("it is answered");
            assert_eq!(reply, Reply::Done(words.to_owned()));
        }
        let lost = ask(Asking { data: &data, request: &Request::List }).expect("it is answered");
        assert!(matches!(lost, Reply::Unknown(why) if why.contains("the member has stopped")));
        drop(echo.join().expect("it ends"));
        assert!(!data.join(NAME).exists(), "nothing is left behind");
    }

    #[test]
    fn whoever_says_nothing_that_can_be_read_is_told_so_or_let_go_and_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let echo = echo(Desk::open(folder.path(), waker()).expect("a socket"));
        let connect = || {
            let directory = File::open(folder.path()).expect("it is there");
            UnixStream::connect(within(&directory, NAME)).expect("it listens")
        };
        let answer = |said: &[u8]| {
            let mut stream = connect();
            // One that says too much may find the connection closed.
            let _ = stream.write_all(said);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        for said in [&b"\n"[..], b"{}\n", b"\"list\" 7\n", b"{\"change\":{\"words\":\"x\"}}\n"] {
            assert!(answer(said).contains("the question cannot be read"), "{said:?}");
        }
        assert_eq!(answer(&vec![b' '; 2 * LONGEST_LINE as usize]), "", "no line is so long");
        assert_eq!(answer(b"\xff\n"), "", "no text");
        // As many as there may be say nothing; the next one is told, and once they have gone all is as before.
        let idle: Vec<UnixStream> = (0..MOST).map(|_| connect()).collect();
        let began = Instant::now();
        while !answer(b"").contains("too many ask at once") {
            assert!(began.elapsed() < Duration::from_mins(1), "they count");
        }
        drop(idle);
        let reply = || ask(Asking { data: folder.path(), request: &change("add 3") });
        let began = Instant::now();
        while !matches!(reply(), Ok(Reply::Done(_))) {
            assert!(began.elapsed() < Duration::from_mins(1), "they have gone");
        }
        let _ = ask(Asking { data: folder.path(), request: &Request::List });
        drop(echo.join().expect("it ends"));
    }

    #[test]
    fn a_loop_that_does_not_answer_is_asked_by_a_bounded_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let desk = Desk::open(folder.path(), waker()).expect("a socket");
        let ask_for = |timeout_ms| {
            let request = Request::Change { words: "remove 1".to_owned(), timeout_ms };
            ask(Asking { data: folder.path(), request: &request })
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ask_for(60_000));
            let (_, to) = desk.questions.recv_timeout(Duration::from_mins(1)).expect("it is asked");
            drop(to);
            let said = waiting.join().expect("it ends").expect("it is answered");
            assert!(matches!(said, Reply::Unknown(why) if why.contains("the member has stopped")));
        });
    }
}
