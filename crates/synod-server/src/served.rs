//! The machine that is served: the store behind sessions, and the guards that look at who asks.
//!
//! A client may ask for anything but the time. What a member's own local client says of the time moves the clock of all: so a client's
//! tick is refused at apply, by every replica alike, since who asks stands beside the command in the log.

use crate::settings::LogSettings;
use std::sync::Arc;
use synod::{Instance, LogEntry, Machine, Value};
use synod_apply::{Applied, Compact};
use synod_machine::{Condition, Operation, SessionCommand, Sessions, Store, StoreCommand, decode};
use synod_runtime::node::is_local_client;

/// The question for the numbers of keys and of sessions, and for the store's clock. No command begins like it.
pub(crate) const SIZES: &[u8] = b"\xff sizes";

/// The store behind sessions, as servers execute it.
#[derive(Clone, Debug)]
pub struct Served {
    applied: Applied<Store, Compact>,
    max_key: usize,
    max_value: usize,
}

impl Served {
    /// The machine before the first command, for values of at most so many bytes.
    ///
    /// # Panics
    /// When the limits leave no room for a session; configurations and flight records are checked for that.
    pub fn new(settings: &LogSettings, max_value: usize) -> Served {
        let sessions = Sessions::new(Store::default(), settings.sessions)
            .expect("the limits were checked when they came");
        Served { applied: Applied::new(sessions), max_key: settings.max_key, max_value }
    }

    /// The same, to be shared.
    ///
    /// # Panics
    /// Like [`Served::new`].
    pub fn shared(settings: &LogSettings, max_value: usize) -> Arc<dyn Machine> {
        Arc::new(Served::new(settings, max_value))
    }

    /// The machine with its sessions.
    pub fn sessions(&self) -> &Sessions<Store> {
        self.applied.machine()
    }

    /// True if a command may be executed. Bytes that hold no command are for the machine to answer.
    fn admits(&self, logged: &LogEntry) -> bool {
        let Ok(SessionCommand::Apply { command, .. }) = decode(logged.command.as_bytes()) else {
            return true;
        };
        match &command {
            // Enforces that the time is a member's to tell.
            StoreCommand::Tick { .. } => is_local_client(usize::from(logged.call.client) as u64),
            StoreCommand::Transact { when, then } => {
                when.iter().all(|condition| self.has_room(condition_lengths(condition)))
                    && then.iter().all(|operation| self.has_room(lengths(operation)))
            }
        }
    }

    fn has_room(&self, (name, value): (usize, usize)) -> bool {
        name <= self.max_key && value <= self.max_value
    }
}

/// The lengths of the name and of the value in a condition. A value that is too long to be stored is just not there.
fn condition_lengths(condition: &Condition) -> (usize, usize) {
    match condition {
        Condition::Key { key, .. } | Condition::Unchanged { key, .. } => (key.len(), 0),
        Condition::Lock { lock, .. } => (lock.len(), 0),
    }
}

/// The lengths of the longest name and of the value in an operation.
fn lengths(operation: &Operation) -> (usize, usize) {
    match operation {
        Operation::Put { key, value, .. } | Operation::PutIf { key, value, .. } => (key.len(), value.len()),
        Operation::Add { key, .. }
        | Operation::Live { key, .. }
        | Operation::Delete { key }
        | Operation::Get { key } => (key.len(), 0),
        Operation::Acquire { lock, owner, .. } => (lock.len().max(owner.len()), 0),
        Operation::Release { lock, .. } | Operation::Holder { lock } => (lock.len(), 0),
        Operation::Bank(_)
        | Operation::List { .. }
        | Operation::Changes { .. }
        | Operation::Latest
        | Operation::Clock => (0, 0),
    }
}

impl Machine for Served {
    /// A command that is not admitted is answered as bytes are that hold no command. It changes nothing but the checksum.
    fn execute(&mut self, instance: Instance, logged: &LogEntry) -> Value {
        if self.admits(logged) { self.applied.execute(instance, logged) } else { self.applied.refuse(logged) }
    }

    fn said(&self, logged: &LogEntry) -> Option<Value> {
        self.applied.said(logged)
    }

    fn query(&self, command: &Value) -> Option<Value> {
        if command.as_bytes() == SIZES {
            let sessions = self.sessions();
            let store = sessions.machine();
            let sizes = (store.len() as u64, sessions.open().count() as u64, store.clock());
            return postcard::to_allocvec(&sizes).ok().map(|bytes| Value::from(bytes.as_slice()));
        }
        self.applied.query(command)
    }

    fn snapshot(&self) -> Vec<u8> {
        self.applied.snapshot()
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        let applied = self.applied.with_snapshot(snapshot)?;
        Some(Box::new(Served { applied, ..self.clone() }))
    }

    fn checksum(&self) -> u64 {
        self.applied.checksum()
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Call;
    use synod_machine::{Blob, Expect, Lives, SessionOutput, StoreOutput, encode};
    use synod_runtime::node::{FIRST_CLIENT, LOCAL_CLIENT};

    fn says(machine: &mut Served, client: u64, command: &SessionCommand<StoreCommand>) -> Said {
        let call = Call { client: (client as usize).into(), number: 1 };
        let logged = LogEntry { call, command: Value::from(encode(command).as_slice()) };
        decode(machine.execute(Instance(0), &logged).as_bytes()).expect("an answer")
    }

    type Said = Option<SessionOutput<StoreOutput>>;

    fn machine() -> (Served, u64) {
        let mut machine = Served::new(&LogSettings { max_key: 5, ..LogSettings::default() }, 10);
        match says(&mut machine, FIRST_CLIENT | 1, &SessionCommand::Open { client: 7 }) {
            Some(SessionOutput::Opened { session }) => (machine, session),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_local_client_tells_the_time() {
        let (mut machine, session) = machine();
        let tick = |number, now| {
            let command = StoreCommand::Tick { now, given: 0 };
            SessionCommand::Apply { session, number, command }
        };
        for other in [0, 2, FIRST_CLIENT, FIRST_CLIENT | 1, u64::MAX] {
            let (clock, sum) = (machine.sessions().machine().clock(), machine.checksum());
            assert_eq!(says(&mut machine, other, &tick(1, 1000)), None, "{other:x}");
            assert_eq!(machine.sessions().machine().clock(), clock);
            assert_ne!(machine.checksum(), sum, "it is in the log all the same");
        }
        let said = says(&mut machine, LOCAL_CLIENT | 2, &tick(1, 1000));
        assert!(matches!(said, Some(SessionOutput::Output(StoreOutput::Time { now: 1000, .. }))), "{said:?}");
    }

    #[test]
    fn names_and_values_that_are_too_long_are_refused_and_the_longest_are_not() {
        let (mut machine, session) = machine();
        let put = |key: usize, value: usize| {
            let (key, value) = (Blob::from(vec![b'k'; key]), Blob::from(vec![b'v'; value]));
            Operation::Put { key, value, lives: Lives::Forever }
        };
        let lock = |name: usize, owner: usize| {
            let (lock, owner) = (Blob::from(vec![b'l'; name]), Blob::from(vec![b'o'; owner]));
            Operation::Acquire { lock, owner, lives: Lives::Forever }
        };
        let key = |length: usize| {
            vec![Condition::Key { key: Blob::from(vec![b'k'; length]), expect: Expect::Absent }]
        };
        let cases = [
            (vec![], put(5, 10), true),
            (vec![], put(6, 10), false),
            (vec![], put(5, 11), false),
            (vec![], lock(5, 5), true),
            (vec![], lock(6, 1), false),
            (vec![], lock(1, 6), false),
            (key(5), put(1, 1), true),
            (key(6), put(1, 1), false),
        ];
        for (number, (when, then, fits)) in (1..).zip(cases) {
            let command = StoreCommand::Transact { when: when.clone(), then: vec![then.clone()] };
            let said = says(&mut machine, FIRST_CLIENT, &SessionCommand::Apply { session, number, command });
            assert_eq!(said.is_some(), fits, "{when:?} {then:?}");
        }
    }

    #[test]
    fn a_command_with_the_longest_names_and_values_fits_and_no_byte_is_left_for_more_of_it() {
        for (max_key, max_value) in [(1, 1), (127, 128), (1024, 64 << 10), (1 << 20, 16 << 20)] {
            let settings = LogSettings { max_key, ..LogSettings::default() };
            let (name, value) = (Blob::from(vec![7; max_key]), Blob::from(vec![7; max_value]));
            let when = vec![Condition::Key { key: name.clone(), expect: Expect::Value(value.clone()) }];
            let then = vec![Operation::Put { key: name, value, lives: Lives::For(u64::MAX) }];
            let command = StoreCommand::Transact { when, then };
            let command = SessionCommand::Apply { session: u64::MAX, number: u64::MAX, command };
            let call = Call { client: usize::MAX.into(), number: u64::MAX };
            let logged = LogEntry { call, command: Value::from(encode(&command).as_slice()) };
            let (length, most) = (logged.value().as_bytes().len(), settings.longest_command(max_value));
            assert!(length <= most && most - length < 64, "{length} bytes, and {most} is the most");
        }
    }

    #[test]
    fn a_snapshot_comes_back_with_the_same_guards() {
        let (machine, _) = machine();
        let restored = machine.restored(&machine.snapshot()).expect("it is its own");
        assert_eq!(restored.snapshot(), machine.snapshot());
        assert_eq!(restored.checksum(), machine.checksum());
    }
}
