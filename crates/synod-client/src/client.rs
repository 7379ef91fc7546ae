//! The front for threads: a call returns with its result.

use crate::config::Config;
use crate::division::To;
use crate::error::Error;
use crate::message::Reading;
use crate::requests::{self, Changed, Listed, Locked, Request, Swap, Unlocked};
use crate::running::{Kind, Running};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use synod_machine::{
    BankCommand, BankOutput, Blob, Condition, Expect, Item, Lives, Operation, StoreCommand, StoreOutput,
};

/// A client of a cluster. Copies share one session, and any number of threads may call at a time.
///
/// Calls of several threads are under way together, as far as the window allows. A thread that calls twice has the first answer
/// before the second command is sent. When the last copy is dropped, the session is closed.
#[derive(Clone)]
pub struct Client {
    pub(crate) running: Arc<Running>,
    pub(crate) timeout: Duration,
}

/// A call that is under way.
#[derive(Debug)]
pub struct Pending(Receiver<Result<StoreOutput, Error>>);

impl Pending {
    /// Waits for the result, which comes at the call's deadline at the latest.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub fn wait(self) -> Result<StoreOutput, Error> {
        // The loop gives every call its result. Only a loop that was killed from outside would not.
        let gone = |_| Error::Stopped { why: "the client has gone".to_owned(), is_sent: true };
        self.0.recv().unwrap_or_else(|error| Err(gone(error)))
    }
}

impl Client {
    /// Starts a client. It does not wait for a member to answer: the first call does.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the settings make no sense, the key cannot be read, or there is no socket to be had.
    pub fn connect(config: &Config) -> Result<Client, Error> {
        Ok(Client { running: Arc::new(Running::start(config)?), timeout: Duration::from_secs(10) })
    }

    /// The same client with another time that calls with a name of their own may take. It is 10 seconds otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// Has a command executed, once, and waits for its output.
    ///
    /// # Errors
    /// Any of [`Error`]. [`Error::may_have_taken_effect`] tells if the command may have taken effect.
    pub fn submit(&self, command: StoreCommand, timeout: Duration) -> Result<StoreOutput, Error> {
        self.running.wait_for(To::WhereItLies, Kind::Submit, command, timeout)
    }

    /// Has a command executed, and does not wait.
    pub fn send(&self, command: StoreCommand, timeout: Duration) -> Pending {
        self.start(Kind::Submit, command, timeout)
    }

    /// Has a command answered that changes nothing.
    ///
    /// # Errors
    /// Any of [`Error`]; the command has no effect in any case.
    pub fn query(
        &self,
        command: StoreCommand,
        reading: Reading,
        timeout: Duration,
    ) -> Result<StoreOutput, Error> {
        self.running.wait_for(To::WhereItLies, Kind::Query(reading), command, timeout)
    }

    /// Has a command answered that changes nothing, and does not wait.
    pub fn ask(&self, command: StoreCommand, reading: Reading, timeout: Duration) -> Pending {
        self.start(Kind::Query(reading), command, timeout)
    }

    fn start(&self, kind: Kind, command: StoreCommand, timeout: Duration) -> Pending {
        let (then, result) = sync_channel(1);
        let then = Box::new(move |output| {
            // Nobody may be waiting any more.
            let _ = then.try_send(output);
        });
        self.running.call(To::WhereItLies, kind, command, timeout, then);
        Pending(result)
    }

    /// Runs a request and waits for its result.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn run<T>(&self, request: Request<T>) -> Result<T, Error> {
        self.run_in(To::WhereItLies, request)
    }

    pub(crate) fn run_in<T>(&self, to: To, request: Request<T>) -> Result<T, Error> {
        let output = self.running.wait_for(to, request.kind, request.command, self.timeout)?;
        Request::result(request.read, output)
    }

    /// Runs a request in a group and does not wait: its result comes to `then`, in a thread that must not be kept waiting.
    pub(crate) fn start_in<T: 'static>(
        &self,
        to: To,
        request: Request<T>,
        then: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) {
        let Request { kind, command, read, .. } = request;
        let then = move |output: Result<StoreOutput, Error>| {
            then(output.and_then(|output| Request::result(read, output)));
        };
        self.running.call(to, kind, command, self.timeout, Box::new(then));
    }

    /// The number of groups among which the cluster divides keys.
    pub fn groups(&self) -> usize {
        self.running.groups()
    }

    /// The entry of a key, if it has a value: with all that was answered before the call.
    ///
    /// # Errors
    /// Any of [`Error`]. For an answer that may be old, run [`requests::get`].
    pub fn get(&self, key: impl Into<Blob>) -> Result<Option<Item>, Error> {
        self.run(requests::get(key, Reading::Linearizable))
    }

    /// Stores a value, whatever was there, and returns the version of the change.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn put(&self, key: impl Into<Blob>, value: impl Into<Blob>) -> Result<u64, Error> {
        self.run(requests::put(key, value, Lives::Forever))
    }

    /// Stores a value that is gone after a time. The time is counted by the cluster.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn put_for(
        &self,
        key: impl Into<Blob>,
        value: impl Into<Blob>,
        time: Duration,
    ) -> Result<u64, Error> {
        self.run(requests::put(key, value, lives(Some(time))))
    }

    /// Stores a value if the expected is there. The entry lives for ever.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn compare_and_swap(
        &self,
        key: impl Into<Blob>,
        expect: Expect,
        value: impl Into<Blob>,
    ) -> Result<Swap, Error> {
        self.run(requests::compare_and_swap(key, expect, value, Lives::Forever))
    }

    /// Deletes a key. The result is false if there was nothing to delete.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn delete(&self, key: impl Into<Blob>) -> Result<bool, Error> {
        self.run(requests::delete(key))
    }

    /// Entries of the keys with a prefix, from the first key after `after`: as many as the cluster gives at a time. Of several groups each
    /// answers for its own keys, so the list is then no cut through all of them at one moment.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn list(&self, prefix: impl Into<Blob>, after: Option<Blob>) -> Result<Listed, Error> {
        self.run(requests::list(prefix, after, u32::MAX, Reading::Linearizable))
    }

    /// Takes a lock if it is free: for a time, or until it is given back.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn lock(
        &self,
        name: impl Into<Blob>,
        owner: impl Into<Blob>,
        time: Option<Duration>,
    ) -> Result<Locked, Error> {
        self.run(requests::lock(name, owner, lives(time)))
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn unlock(&self, name: impl Into<Blob>, token: u64) -> Result<Unlocked, Error> {
        self.run(requests::unlock(name, token))
    }

    /// Does something with accounts.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn bank(&self, command: BankCommand) -> Result<BankOutput, Error> {
        self.run(requests::bank(command))
    }

    /// Moves an amount from one account to another, if it is covered.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn transfer(&self, from: u64, to: u64, amount: u64) -> Result<BankOutput, Error> {
        self.run(requests::transfer(from, to, amount))
    }

    /// Does all operations, in this order, if every condition is met; otherwise none.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn transaction(&self, when: Vec<Condition>, then: Vec<Operation>) -> Result<StoreOutput, Error> {
        self.run(requests::transaction(when, then))
    }

    /// The changes of keys with a prefix after a version, oldest first.
    ///
    /// # Errors
    /// Any of [`Error`]; [`Error::Across`] where there are several groups, each with versions of its own: use a [`Watch`](crate::Watch).
    pub fn changes(&self, prefix: impl Into<Blob>, after: u64) -> Result<Changed, Error> {
        self.run(requests::changes(prefix, after, u32::MAX, Reading::Linearizable))
    }
}

/// The life of something that ends after a time, or never.
pub fn lives(time: Option<Duration>) -> Lives {
    time.map_or(Lives::Forever, |time| Lives::For(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}
