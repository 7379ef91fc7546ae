//! Guarantees that a connection does what its client may do, in the order in which it asked: who it is, what it queued and watches,
//! and what is to be done next. It does no input or output.

use crate::commands::{COMMANDS, Command};
use crate::cursors::Cursors;
use crate::password::Password;
use crate::reply::{Reply, Version};
use crate::translate::{Work, full, strange};
use std::sync::{Mutex, MutexGuard};
use synod_machine::{Blob, Condition, Operation, Outcome, StoreCommand, StoreOutput};
use synod_server::RedisLimits;

/// Wrong passwords after which a connection ends.
const MOST_ATTEMPTS: u32 = 5;
/// The version of Redis of which these commands are a part. Some clients look at it to know what they may send.
const LIKE_REDIS: &str = "7.0.0";

/// What all connections of a server share.
#[derive(Debug)]
pub struct Shared {
    /// The bounds.
    pub limits: RedisLimits,
    /// The password, if there is one.
    pub password: Option<Password>,
    cursors: Mutex<Cursors>,
}

impl Shared {
    /// Nothing but this so far.
    pub fn new(limits: RedisLimits, password: Option<Password>, cursors: Cursors) -> Self {
        Shared { limits, password, cursors: Mutex::new(cursors) }
    }

    fn cursors(&self) -> MutexGuard<'_, Cursors> {
        self.cursors.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing of the store: this is the reply.
    Reply(Reply),
    /// One command for the store.
    Work(Work),
    /// The [latest version](latest_version), for [`Conversation::watched`] with the keys.
    Watch(Vec<Blob>),
    /// All that was queued, as one command of the log.
    Exec(Transaction),
}

/// What was queued, to be done together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    when: Vec<Condition>,
    queued: Vec<Queued>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Queued {
    Work(Work),
    Reply(Reply),
}

/// A queue between MULTI and EXEC.
#[derive(Debug, Default)]
struct Queue {
    queued: Vec<Queued>,
    operations: usize,
    bytes: usize,
    /// True if a command could not be queued, so that none is done.
    is_spoilt: bool,
}

/// One connection's side of the talk.
#[derive(Debug)]
pub struct Conversation {
    id: u64,
    version: Version,
    is_known: bool,
    attempts: u32,
    name: Blob,
    queue: Option<Queue>,
    /// Keys, and the versions since which they must not change.
    watched: Vec<(Blob, u64)>,
    ends: bool,
}

impl Conversation {
    /// The start of a connection with a number of its own.
    pub fn new(id: u64, shared: &Shared) -> Self {
        Conversation {
            id,
            version: Version::Two,
            is_known: shared.password.is_none(),
            attempts: 0,
            name: Blob::from(""),
            queue: None,
            watched: Vec::new(),
            ends: false,
        }
    }

    /// The version of the protocol for the reply to the request that was taken last.
    pub fn version(&self) -> Version {
        self.version
    }

    /// True if the connection ends after the replies to what was taken.
    pub fn ends(&self) -> bool {
        self.ends
    }

    /// True if the client has said the password, or needs none.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Takes a request of at least one word.
    pub fn take(&mut self, words: &[Blob], shared: &Shared) -> Step {
        let command = match Command::find(&words[0], words.len()) {
            Ok(command) => command,
            Err(reply) if self.is_known => return Step::Reply(self.spoilt(reply)),
            Err(_) => return Step::Reply(no_auth()),
        };
        if !self.is_known && !matches!(command.name, "auth" | "hello" | "quit" | "reset") {
            return Step::Reply(no_auth());
        }
        match Work::of(command, words, &shared.cursors()) {
            Err(reply) => Step::Reply(self.spoilt(reply)),
            Ok(Some(work)) if self.queue.is_some() => Step::Reply(self.queue_up(Queued::Work(work), shared)),
            Ok(Some(work)) => Step::Work(work),
            Ok(None) if self.queue.is_some() => self.in_queue(command, words, shared),
            Ok(None) => self.now(command, words, shared),
        }
    }

    /// An error, after which the queue, if there is one, is not done.
    fn spoilt(&mut self, reply: Reply) -> Reply {
        if let Some(queue) = &mut self.queue {
            queue.is_spoilt = true;
        }
        reply
    }

    fn queue_up(&mut self, queued: Queued, shared: &Shared) -> Reply {
        let Some(queue) = &mut self.queue else { return strange() };
        let (operations, bytes) = match &queued {
            Queued::Work(work) => (work.operations().len(), work.size()),
            Queued::Reply(_) => (1, 64),
        };
        queue.operations += operations;
        queue.bytes += bytes;
        if queue.operations > shared.limits.queued || queue.bytes > shared.limits.request_bytes {
            queue.queued = Vec::new();
            queue.is_spoilt = true;
            return Reply::error(format!(
                "ERR a transaction has at most {} operations and {} bytes",
                shared.limits.queued, shared.limits.request_bytes
            ));
        }
        queue.queued.push(queued);
        Reply::Simple("QUEUED")
    }

    /// A command that is not for the store, between MULTI and EXEC.
    fn in_queue(&mut self, command: &Command, words: &[Blob], shared: &Shared) -> Step {
        match command.name {
            "exec" => self.exec(),
            "discard" => {
                self.forget();
                Step::Reply(Reply::OK)
            }
            "quit" | "reset" => self.now(command, words, shared),
            "multi" => Step::Reply(Reply::error("ERR MULTI calls can not be nested")),
            "watch" => Step::Reply(Reply::error("ERR WATCH inside MULTI is not allowed")),
            "ping" | "echo" | "command" | "info" | "unwatch" => match self.now(command, words, shared) {
                Step::Reply(reply) => Step::Reply(self.queue_up(Queued::Reply(reply), shared)),
                step => step,
            },
            name => {
                let upper = name.to_ascii_uppercase();
                Step::Reply(self.spoilt(Reply::error(format!("ERR {upper} is not served inside MULTI"))))
            }
        }
    }

    fn exec(&mut self) -> Step {
        let Some(queue) = self.queue.take() else { return Step::Reply(strange()) };
        let watched = std::mem::take(&mut self.watched);
        if queue.is_spoilt {
            let said = "EXECABORT Transaction discarded because of previous errors.";
            return Step::Reply(Reply::error(said));
        }
        let when = watched.into_iter().map(|(key, since)| Condition::Unchanged { key, since });
        Step::Exec(Transaction { when: when.collect(), queued: queue.queued })
    }

    fn forget(&mut self) {
        self.queue = None;
        self.watched = Vec::new();
    }

    /// Takes the outcome of [`Step::Watch`].
    pub fn watched(&mut self, keys: Vec<Blob>, output: StoreOutput) -> Reply {
        let StoreOutput::Done(outcomes) = output else { return strange() };
        let [.., Outcome::Latest { version }] = outcomes[..] else { return strange() };
        for key in keys {
            // What was watched before stays: a change since then counts.
            if !self.watched.iter().any(|(other, _)| *other == key) {
                self.watched.push((key, version));
            }
        }
        Reply::OK
    }

    /// A command that is not for the store.
    fn now(&mut self, command: &Command, words: &[Blob], shared: &Shared) -> Step {
        Step::Reply(match command.name {
            "ping" => match words {
                [_] => Reply::Simple("PONG"),
                [_, word] => Reply::Bulk(word.clone()),
                _ => command.wrong_number(),
            },
            "echo" => Reply::Bulk(words[1].clone()),
            "auth" => self.auth(&words[1..], shared).err().unwrap_or(Reply::OK),
            "hello" => self.hello(&words[1..], shared).unwrap_or_else(|reply| reply),
            "client" => self.client(&words[1..]),
            "command" => about_commands(&words[1..]),
            "info" => info(),
            "select" if &*words[1] == b"0" => Reply::OK,
            "select" => Reply::error("ERR DB index is out of range: synod serves SELECT 0"),
            "quit" => {
                self.ends = true;
                Reply::OK
            }
            "reset" => {
                *self = Conversation { attempts: self.attempts, ..Conversation::new(self.id, shared) };
                Reply::Simple("RESET")
            }
            "multi" => {
                self.queue = Some(Queue::default());
                Reply::OK
            }
            "exec" => Reply::error("ERR EXEC without MULTI"),
            "discard" => Reply::error("ERR DISCARD without MULTI"),
            "watch" => {
                let keys = words[1..].to_vec();
                if self.watched.len() + keys.len() > shared.limits.queued {
                    let most = shared.limits.queued;
                    return Step::Reply(Reply::error(format!("ERR at most {most} keys can be watched")));
                }
                return Step::Watch(keys);
            }
            // Between MULTI and EXEC it changes nothing any more.
            "unwatch" => {
                if self.queue.is_none() {
                    self.watched = Vec::new();
                }
                Reply::OK
            }
            _ => strange(),
        })
    }

    fn auth(&mut self, words: &[Blob], shared: &Shared) -> Result<(), Reply> {
        let (user, given) = match words {
            [given] => (&b"default"[..], given),
            [user, given] => (&**user, given),
            _ => return Err(Reply::error("ERR syntax error")),
        };
        let Some(password) = &shared.password else {
            return Err(Reply::error("ERR Client sent AUTH, but no password is set"));
        };
        if user == b"default" && password.is(given) {
            self.is_known = true;
            return Ok(());
        }
        self.attempts += 1;
        self.ends |= self.attempts >= MOST_ATTEMPTS;
        Err(Reply::error("WRONGPASS invalid username-password pair or user is disabled."))
    }

    fn hello(&mut self, words: &[Blob], shared: &Shared) -> Result<Reply, Reply> {
        let (mut version, mut options, mut name) = (self.version, &[][..], None);
        if let [wanted, rest @ ..] = words {
            options = rest;
            version = match &**wanted {
                b"2" => Version::Two,
                b"3" => Version::Three,
                _ => return Err(Reply::error("NOPROTO unsupported protocol version")),
            };
        }
        while let [option, rest @ ..] = options {
            match (option.to_ascii_uppercase().as_slice(), rest) {
                (b"AUTH", [user, password, rest @ ..]) => {
                    self.auth(&[user.clone(), password.clone()], shared)?;
                    options = rest;
                }
                (b"SETNAME", [given, rest @ ..]) => {
                    name = Some(checked_name(given)?);
                    options = rest;
                }
                _ => return Err(Reply::error("ERR syntax error in HELLO")),
            }
        }
        if !self.is_known {
            return Err(Reply::error(
                "NOAUTH HELLO must be called with the client already authenticated, or with AUTH default <password>",
            ));
        }
        self.version = version;
        if let Some(name) = name {
            self.name = name;
        }
        let proto = if version == Version::Three { 3 } else { 2 };
        let pairs = [
            ("server", Reply::text("synod")),
            ("version", Reply::text(LIKE_REDIS)),
            ("proto", Reply::Integer(proto)),
            ("id", Reply::Integer(self.id as i64)),
            ("mode", Reply::text("standalone")),
            ("role", Reply::text("master")),
            ("modules", Reply::Array(Vec::new())),
        ];
        Ok(Reply::Map(pairs.into_iter().map(|(key, value)| (Reply::text(key), value)).collect()))
    }

    fn client(&mut self, words: &[Blob]) -> Reply {
        match (words[0].to_ascii_uppercase().as_slice(), &words[1..]) {
            (b"ID", []) => Reply::Integer(self.id as i64),
            (b"GETNAME", []) if self.name.is_empty() => Reply::Nil,
            (b"GETNAME", []) => Reply::Bulk(self.name.clone()),
            (b"SETNAME", [name]) => match checked_name(name) {
                Ok(name) => {
                    self.name = name;
                    Reply::OK
                }
                Err(reply) => reply,
            },
            // The library's name and version are of no use here.
            (b"SETINFO", [_, _]) => Reply::OK,
            _ => Reply::error("ERR unknown subcommand of CLIENT, synod serves ID, GETNAME, SETNAME, SETINFO"),
        }
    }
}

fn no_auth() -> Reply {
    Reply::error("NOAUTH Authentication required.")
}

/// A name that a client may have: short, and without blanks.
fn checked_name(name: &Blob) -> Result<Blob, Reply> {
    if name.len() <= 64 && name.iter().all(u8::is_ascii_graphic) {
        Ok(name.clone())
    } else {
        Err(Reply::error(
            "ERR a client's name has at most 64 characters and no spaces, newlines or special ones",
        ))
    }
}

fn info() -> Reply {
    Reply::text(&format!(
        "# Server\r\nredis_version:{LIKE_REDIS}\r\nredis_mode:standalone\r\nsynod_version:{}\r\n\r\n\
         # Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
        env!("CARGO_PKG_VERSION")
    ))
}

fn about_commands(words: &[Blob]) -> Reply {
    let [word, names @ ..] = words else {
        return Reply::Array(COMMANDS.iter().map(Command::told).collect());
    };
    match (word.to_ascii_uppercase().as_slice(), names) {
        (b"COUNT", []) => Reply::Integer(COMMANDS.len() as i64),
        (b"LIST", []) => Reply::Array(COMMANDS.iter().map(|command| Reply::text(command.name)).collect()),
        (b"DOCS", _) => Reply::Map(Vec::new()),
        (b"INFO", []) => Reply::Array(COMMANDS.iter().map(Command::told).collect()),
        (b"INFO", names) => {
            let find = |name: &Blob| {
                COMMANDS.iter().find(|command| name.eq_ignore_ascii_case(command.name.as_bytes()))
            };
            Reply::Array(names.iter().map(|name| find(name).map_or(Reply::NoArray, Command::told)).collect())
        }
        _ => Reply::error("ERR unknown subcommand of COMMAND, synod serves COUNT, DOCS, INFO, LIST"),
    }
}

/// The question for [`Step::Watch`].
pub fn latest_version() -> StoreCommand {
    StoreCommand::Transact { when: Vec::new(), then: vec![Operation::Latest] }
}

/// The same where keys are divided among groups: of the group of the keys that are to be watched. The questions for locks of the same names only say which group that is.
pub(crate) fn latest_version_of(keys: &[Blob]) -> StoreCommand {
    let places = keys.iter().map(|key| Operation::Holder { lock: key.clone() });
    StoreCommand::Transact { when: Vec::new(), then: places.chain([Operation::Latest]).collect() }
}

/// Commands that are put together, as one command of the log without conditions: each has the outcome that it would have alone.
pub(crate) fn together(works: &[Work]) -> StoreCommand {
    let then = works.iter().flat_map(|work| work.operations().iter().cloned()).collect();
    StoreCommand::Transact { when: Vec::new(), then }
}

/// The replies to commands that were put [`together`].
pub(crate) fn replies(works: Vec<Work>, output: StoreOutput, shared: &Shared) -> Vec<Reply> {
    if let Some(full) = full(&output) {
        return vec![full; works.len()];
    }
    let outcomes = match output {
        StoreOutput::Done(outcomes) => outcomes,
        _ => Vec::new(),
    };
    let (mut outcomes, mut cursors) = (outcomes.into_iter(), shared.cursors());
    works.into_iter().map(|work| work.reply(&mut outcomes, &mut cursors)).collect()
}

impl Transaction {
    /// The command; nothing if there is nothing to do.
    pub fn command(&self) -> Option<StoreCommand> {
        let works = self.queued.iter().filter_map(|queued| match queued {
            Queued::Work(work) => Some(work.operations()),
            Queued::Reply(_) => None,
        });
        let then: Vec<Operation> = works.flatten().cloned().collect();
        let is_empty = then.is_empty() && self.when.is_empty();
        (!is_empty).then(|| StoreCommand::Transact { when: self.when.clone(), then })
    }

    /// The reply to the output of the command; without a command there is none.
    pub fn reply(self, output: Option<StoreOutput>, shared: &Shared) -> Reply {
        let outcomes = match output {
            None => Vec::new(),
            Some(StoreOutput::Done(outcomes)) => outcomes,
            // A key that was watched has changed.
            Some(StoreOutput::NotMet { .. }) => return Reply::NoArray,
            Some(output) => return full(&output).unwrap_or_else(strange),
        };
        let (mut outcomes, mut cursors) = (outcomes.into_iter(), shared.cursors());
        let reply = |queued| match queued {
            Queued::Work(work) => Work::reply(work, &mut outcomes, &mut cursors),
            Queued::Reply(reply) => reply,
        };
        Reply::Array(self.queued.into_iter().map(reply).collect())
    }
}
