//! Exactly once: arbitrary interleavings of new requests, copies of old ones, lost answers, expiry and restored replicas.

use crate::holds;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use synod_machine::{
    Blob, Limits, NotRestored, SessionCommand, SessionOutput, Sessions, StateMachine, decode, encode,
};

/// A machine that remembers all that it executed, in order, and answers with the place and so much padding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) executed: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: u32,
    padding: u8,
}

impl StateMachine for Tally {
    type Command = Task;
    type Output = (u32, Blob);
    fn apply(&mut self, task: &Task) -> (u32, Blob) {
        self.executed.push(task.id);
        (self.executed.len() as u32, Blob::from(vec![7; usize::from(task.padding)]))
    }
    fn query(&self, _: &Task) -> Option<(u32, Blob)> {
        None
    }
    fn snapshot(&self) -> Vec<u8> {
        encode(self)
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        *self = decode(snapshot)?;
        Ok(())
    }
}

pub(crate) type Command = SessionCommand<Task>;
pub(crate) type Output = SessionOutput<(u32, Blob)>;

/// A replica: [`Sessions`], or one that is broken.
pub(crate) trait Replica: StateMachine<Command = Command, Output = Output> {
    /// Whether [`Sessions::final_answer`] is to be believed of it.
    const SETTLES: bool = true;
    fn sessions(&self) -> &Sessions<Tally>;
    /// Something that happens to one replica and not to others.
    fn locally(&mut self) {}
}

impl Replica for Sessions<Tally> {
    fn sessions(&self) -> &Sessions<Tally> {
        self
    }
}

/// What happens next. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A client sends a new request, if it may: its task has so much padding.
    Send {
        client: usize,
        padding: u8,
    },
    /// A copy of some request sent so far comes to be in the log; the client hears the answer, or does not.
    Logged {
        request: usize,
        heard: bool,
    },
    /// A client asks for a session once more, or has done with it.
    Open {
        client: usize,
        heard: bool,
    },
    Close {
        client: usize,
    },
    /// Somebody proposes that a session be expired.
    Expire {
        session: u64,
        back: u64,
    },
    /// One of the replicas is restored from the other's snapshot.
    Restored,
    /// Time passes on one of the replicas only.
    Locally,
}

pub(crate) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let client = 0..3usize;
    let one = prop_oneof![
        6 => (client.clone(), prop_oneof![4 => Just(1u8), 1 => Just(30)])
            .prop_map(|(client, padding)| Happening::Send { client, padding }),
        // Mostly recent requests: from the end.
        12 => (0..6usize, any::<bool>()).prop_map(|(request, heard)| Happening::Logged { request, heard }),
        3 => (0..99usize, any::<bool>()).prop_map(|(request, heard)| Happening::Logged { request, heard }),
        3 => (client.clone(), any::<bool>()).prop_map(|(client, heard)| Happening::Open { client, heard }),
        1 => client.prop_map(|client| Happening::Close { client }),
        1 => (0..9u64, 0..9u64).prop_map(|(session, back)| Happening::Expire { session, back }),
        1 => Just(Happening::Restored),
        1 => Just(Happening::Locally),
    ];
    vec(one, 0..120)
}

/// A client that keeps to the rules.
#[derive(Default)]
struct Client {
    session: Option<u64>,
    sent: u64,
    /// Numbers of this session without an answer yet.
    open: BTreeSet<u64>,
}

struct World<R> {
    replicas: [R; 2],
    clients: Vec<Client>,
    /// Requests sent so far: whose, and what.
    requests: Vec<(usize, Command)>,
    /// Of each task, how it was answered the first time.
    answers: BTreeMap<u32, (u32, Blob)>,
    next_task: u32,
}

impl<R: Replica> World<R> {
    /// Puts a command into the log: both replicas apply it.
    fn log(&mut self, command: &Command) -> Result<Output, TestCaseError> {
        let settled: Vec<_> = match command {
            SessionCommand::Apply { session, number, .. } if R::SETTLES => self
                .replicas
                .iter()
                .map(|replica| replica.sessions().final_answer(*session, *number))
                .collect(),
            _ => Vec::new(),
        };
        let [one, two] = &mut self.replicas;
        let before = one.sessions().machine().executed.len();
        let (output, other) = (one.apply(command), two.apply(command));
        prop_assert_eq!(&output, &other, "replicas answer alike to {:?}", command);
        prop_assert_eq!(&*one, &*two, "replicas are alike after {:?}", command);
        let after = &one.sessions().machine().executed;
        prop_assert_eq!(
            after.iter().collect::<BTreeSet<_>>().len(),
            after.len(),
            "executed twice: {:?}",
            after
        );
        for answer in settled.into_iter().flatten() {
            prop_assert_eq!(after.len(), before, "settled, and yet executed");
            // Idle sessions expire when the next command is applied; until then their answers are still told.
            prop_assert!(answer == output || output == SessionOutput::Expired, "{:?} {:?}", answer, output);
        }
        let (limits, sessions) = (one.sessions().limits(), one.sessions());
        prop_assert!(sessions.bytes() <= limits.bytes && sessions.open().count() <= limits.sessions as usize);
        Ok(output)
    }

    /// What a client concludes from an answer to its request, if it gets to hear it.
    fn judge(
        &mut self,
        who: usize,
        command: &Command,
        output: Output,
        heard: bool,
    ) -> Result<(), TestCaseError> {
        let SessionCommand::Apply { session, number, command } = command else { return Ok(()) };
        let client = &mut self.clients[who];
        let waits = client.session == Some(*session) && client.open.contains(number);
        let executed = self.replicas[0].sessions().machine().executed.contains(&command.id);
        match output {
            SessionOutput::Output(output) => {
                let first = self.answers.entry(command.id).or_insert_with(|| output.clone());
                prop_assert_eq!(first, &output, "every copy has the answer of the first");
                prop_assert!(executed);
            }
            SessionOutput::NotKept => prop_assert!(executed && command.padding == 30),
            SessionOutput::Answered => {
                prop_assert!(executed && !waits, "an answer that was not heard is kept");
            }
            SessionOutput::Expired => {
                prop_assert!(self.replicas[0].sessions().session(*session).is_none());
                if heard && client.session == Some(*session) {
                    *client = Client::default();
                }
                return Ok(());
            }
            other => {
                return Err(TestCaseError::fail(format!("{other:?} to a client that keeps to the rules")));
            }
        }
        if heard {
            client.open.remove(number);
        }
        Ok(())
    }

    fn happen(&mut self, happening: &Happening) -> Result<(), TestCaseError> {
        match *happening {
            Happening::Send { client: who, padding } => {
                let window = u64::from(self.replicas[0].sessions().limits().window);
                let client = &mut self.clients[who];
                let Some(session) = client.session else { return Ok(()) };
                let number = client.sent + 1;
                if client.open.first().is_some_and(|oldest| number - oldest >= window) {
                    return Ok(());
                }
                client.sent = number;
                client.open.insert(number);
                self.next_task += 1;
                let command = Task { id: self.next_task, padding };
                self.requests.push((who, SessionCommand::Apply { session, number, command }));
            }
            Happening::Logged { request, heard } => {
                let Some(at) = self.requests.len().checked_sub(request + 1) else { return Ok(()) };
                let (who, command) = self.requests[at].clone();
                let output = self.log(&command)?;
                self.judge(who, &command, output, heard)?;
            }
            Happening::Open { client: who, heard } => {
                let SessionOutput::Opened { session } =
                    self.log(&SessionCommand::Open { client: who as u64 })?
                else {
                    return Err(TestCaseError::fail("no session"));
                };
                let client = &mut self.clients[who];
                if heard && client.session != Some(session) {
                    *client = Client { session: Some(session), ..Client::default() };
                }
            }
            Happening::Close { client } => {
                if let Some(session) = self.clients[client].session {
                    self.clients[client] = Client::default();
                    self.log(&SessionCommand::Close { session })?;
                }
            }
            Happening::Expire { session, back } => {
                let used = self.replicas[0].sessions().applied().saturating_sub(back);
                self.log(&SessionCommand::Expire { session, used })?;
            }
            Happening::Restored => {
                let [one, two] = &mut self.replicas;
                two.restore(&one.snapshot()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            }
            Happening::Locally => self.replicas[1].locally(),
        }
        Ok(())
    }
}

/// Whatever happens, each task is executed once at most, every answer is the first one's, and clients that keep to the rules are
/// told nothing but answers, or that their session is over.
pub(crate) fn exactly_once<R: Replica>(replica: &R, happenings: &[Happening]) -> Result<(), TestCaseError> {
    let mut world = World {
        replicas: [replica.clone(), replica.clone()],
        clients: (0..3).map(|_| Client::default()).collect(),
        requests: Vec::new(),
        answers: BTreeMap::new(),
        next_task: 0,
    };
    for happening in happenings {
        world.happen(happening)?;
    }
    Ok(())
}

pub(crate) fn replica(limits: Limits) -> Sessions<Tally> {
    Sessions::new(Tally::default(), limits).expect("limits that leave room")
}

pub(crate) const TIGHT: Limits = Limits { sessions: 2, window: 1, reply_bytes: 12, bytes: 400, idle: None };

#[test]
fn every_command_is_executed_once() {
    for (name, limits) in [
        ("two sessions, one at a time", TIGHT),
        ("window of 3", Limits { window: 3, ..TIGHT }),
        ("room by bytes", Limits { sessions: 99, window: 2, bytes: 300, ..TIGHT }),
        ("idle sessions expire", Limits { sessions: 99, bytes: 4096, idle: Some(6), ..TIGHT }),
        ("room for all", Limits { sessions: 9, window: 2, bytes: 4096, ..TIGHT }),
    ] {
        let replica = replica(limits);
        holds(name, 400, &happenings(), |happenings| exactly_once(&replica, &happenings));
    }
}

/// What is executed is executed by the first copy in the log, as long as the session lives: nothing is lost either.
#[test]
fn the_first_copy_in_a_living_session_is_executed() {
    let log = vec((0..3u64, 1..4u64), 0..60);
    holds("first copies", 400, &log, |log| {
        let mut replica = replica(Limits { sessions: 3, window: 8, bytes: 4096, ..TIGHT });
        let mut expected = Vec::new();
        for client in 0..3 {
            replica.apply(&SessionCommand::Open { client });
        }
        for (client, number) in log {
            let id = (client * 10 + number) as u32;
            if !expected.contains(&id) {
                expected.push(id);
            }
            let place = expected.iter().position(|task| *task == id).expect("it is there") as u32 + 1;
            let command = Task { id, padding: 1 };
            let output = replica.apply(&SessionCommand::Apply { session: client + 1, number, command });
            prop_assert_eq!(output, SessionOutput::Output((place, Blob::from(vec![7]))));
        }
        prop_assert_eq!(&replica.machine().executed, &expected);
        Ok(())
    });
}

/// What the table is charged with is what its sessions come to, after whatever happened.
#[test]
fn the_table_is_charged_with_what_it_holds() {
    let replica = replica(Limits { sessions: 3, window: 2, bytes: 4096, ..TIGHT });
    holds("charges", 256, &happenings(), |happenings| {
        let mut world = World {
            replicas: [replica.clone(), replica.clone()],
            clients: (0..3).map(|_| Client::default()).collect(),
            requests: Vec::new(),
            answers: BTreeMap::new(),
            next_task: 0,
        };
        for happening in &happenings {
            world.happen(happening)?;
            let sessions = world.replicas[0].sessions();
            let of = |reply: &synod_machine::Reply<(u32, Blob)>| match reply {
                synod_machine::Reply::Kept(output) => 32 + encode(output).len() as u64,
                synod_machine::Reply::NotKept | synod_machine::Reply::Refused => 32,
            };
            let charged: u64 =
                sessions.open().map(|(_, session)| 96 + session.replies.values().map(of).sum::<u64>()).sum();
            prop_assert_eq!(charged, sessions.bytes());
        }
        Ok(())
    });
}
