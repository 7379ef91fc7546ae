//! Session tables with one rule broken. Each must fall under the property that the right one holds.

use crate::falls;
use crate::sessions::{Command, Output, Replica, TIGHT, Tally, exactly_once, happenings, replica};
use std::marker::PhantomData;
use synod_machine::{
    Blob, Limits, NotRestored, Reply, SessionCommand, SessionOutput, Sessions, Sorted, StateMachine, decode,
    encode,
};

/// Which rule.
trait Rule: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash + Send + Sync + 'static {
    const SETTLES: bool = true;
    fn apply(sessions: &mut Sessions<Tally>, command: &Command) -> Output {
        sessions.apply(command)
    }
    fn restore(sessions: &mut Sessions<Tally>, snapshot: &[u8]) -> Result<(), NotRestored> {
        sessions.restore(snapshot)
    }
    fn locally(_: &mut Sessions<Tally>) {}
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mutant<R>(Sessions<Tally>, PhantomData<R>);

impl<R: Rule> StateMachine for Mutant<R> {
    type Command = Command;
    type Output = Output;
    fn apply(&mut self, command: &Command) -> Output {
        R::apply(&mut self.0, command)
    }
    fn query(&self, command: &Command) -> Option<Output> {
        self.0.query(command)
    }
    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        R::restore(&mut self.0, snapshot)
    }
}

impl<R: Rule> Replica for Mutant<R> {
    const SETTLES: bool = R::SETTLES;
    fn sessions(&self) -> &Sessions<Tally> {
        &self.0
    }
    fn locally(&mut self) {
        R::locally(&mut self.0);
    }
}

fn reason<R: Rule>(name: &str, limits: Limits) -> String {
    let mutant = Mutant::<R>(replica(limits), PhantomData);
    falls(name, 2000, &happenings(), |happenings| exactly_once(&mutant, &happenings))
}

type Rows = Vec<(u64, u64, u64, Sorted<u64, Reply<(u32, Blob)>>)>;

/// Forgets all answers that a table has.
fn forget(sessions: &mut Sessions<Tally>) {
    let (limits, now, next, mut rows, machine): (Limits, u64, u64, Rows, Blob) =
        decode(&sessions.snapshot()).expect("a snapshot");
    for (_, _, _, replies) in &mut rows {
        *replies = Sorted::new();
    }
    sessions.restore(&encode(&(limits, now, next, rows, machine))).expect("a table without answers");
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NoTable;
impl Rule for NoTable {
    fn apply(sessions: &mut Sessions<Tally>, command: &Command) -> Output {
        forget(sessions);
        sessions.apply(command)
    }
}

#[test]
fn without_a_table_commands_are_executed_twice() {
    let why = reason::<NoTable>("no table", TIGHT);
    assert!(why.contains("executed twice"), "{why}");
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NotInSnapshot;
impl Rule for NotInSnapshot {
    fn restore(sessions: &mut Sessions<Tally>, snapshot: &[u8]) -> Result<(), NotRestored> {
        sessions.restore(snapshot)?;
        forget(sessions);
        Ok(())
    }
}

#[test]
fn a_table_that_is_not_in_the_snapshot_makes_replicas_differ() {
    let why = reason::<NotInSnapshot>("answers not in the snapshot", TIGHT);
    assert!(why.contains("replicas"), "{why}");
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LocalExpiry;
impl Rule for LocalExpiry {
    fn locally(sessions: &mut Sessions<Tally>) {
        let oldest = sessions.open().min_by_key(|(_, session)| session.used).map(|(id, _)| id);
        if let Some(session) = oldest {
            sessions.apply(&SessionCommand::Close { session });
        }
    }
}

#[test]
fn expiry_by_a_clock_of_ones_own_makes_replicas_differ() {
    let why = reason::<LocalExpiry>("expiry outside of the log", TIGHT);
    assert!(why.contains("replicas"), "{why}");
}

/// Takes a command of a session that is over for one of a new session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ComesBack;
impl Rule for ComesBack {
    const SETTLES: bool = false;
    fn apply(sessions: &mut Sessions<Tally>, command: &Command) -> Output {
        let output = sessions.apply(command);
        let SessionCommand::Apply { session, number, command } = command else { return output };
        if output != SessionOutput::Expired {
            return output;
        }
        let SessionOutput::Opened { session } =
            sessions.apply(&SessionCommand::Open { client: 1000 + session })
        else {
            return output;
        };
        sessions.apply(&SessionCommand::Apply { session, number: *number, command: command.clone() })
    }
}

#[test]
fn sessions_that_come_back_execute_a_late_copy_again() {
    let why = reason::<ComesBack>("a session that comes back", TIGHT);
    assert!(why.contains("executed twice"), "{why}");
}

/// Forgets an answer as soon as a higher number was executed, though the window is 3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KeepsOne;
impl Rule for KeepsOne {
    fn apply(sessions: &mut Sessions<Tally>, command: &Command) -> Output {
        let output = sessions.apply(command);
        let (limits, now, next, mut rows, machine): (Limits, u64, u64, Rows, Blob) =
            decode(&sessions.snapshot()).expect("a snapshot");
        for (_, _, _, replies) in &mut rows {
            if let Some((highest, reply)) = replies.get_max().cloned() {
                *replies = [(highest, reply)].into_iter().collect();
            }
        }
        sessions.restore(&encode(&(limits, now, next, rows, machine))).expect("a table with one answer each");
        output
    }
}

#[test]
fn keeping_fewer_answers_than_the_window_executes_again() {
    let why = reason::<KeepsOne>(
        "answers kept for less than the window",
        Limits { window: 3, bytes: 4096, ..TIGHT },
    );
    assert!(why.contains("executed twice"), "{why}");
}
