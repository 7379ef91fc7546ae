//! A machine of `synod-machine`, with its clients' sessions, as a machine of `synod`.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use synod::{Instance, LogEntry, Machine, Value};
use synod_machine::{Chain, SessionCommand, SessionOutput, Sessions, Snapshot, StateMachine, decode, encode};

/// The encoding of commands and outputs of a machine with sessions. Outputs that differ must be written differently.
pub trait Wording<M: StateMachine>: Send + Sync + 'static {
    /// The command in some bytes, if they hold one. They come from clients, and may be anything.
    fn command(bytes: &[u8]) -> Option<SessionCommand<M::Command>>;

    /// The bytes of an output. Without an output, the bytes for a command that says nothing.
    fn output(output: Option<&SessionOutput<M::Output>>) -> Vec<u8>;
}

/// The shortest encoding, for serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compact;

impl<M: StateMachine> Wording<M> for Compact {
    fn command(bytes: &[u8]) -> Option<SessionCommand<M::Command>> {
        decode(bytes).ok()
    }

    fn output(output: Option<&SessionOutput<M::Output>>) -> Vec<u8> {
        encode(&output)
    }
}

/// A machine with sessions, written in the words of `W`, and the chained checksum of all that it executed.
pub struct Applied<M: StateMachine, W> {
    machine: Sessions<M>,
    chain: Chain,
    wording: PhantomData<fn() -> W>,
}

impl<M: StateMachine, W: Wording<M>> Applied<M, W> {
    /// A machine that no log was applied to yet.
    pub fn new(machine: Sessions<M>) -> Self {
        Applied { machine, chain: Chain::new(), wording: PhantomData }
    }

    /// The machine with its sessions.
    pub fn machine(&self) -> &Sessions<M> {
        &self.machine
    }

    /// The same, to change what no command of the machine's own words changes.
    pub(crate) fn machine_mut(&mut self) -> &mut Sessions<M> {
        &mut self.machine
    }

    /// The checksum of all that was executed.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Answers a command of a session that is not to be executed: with [`SessionOutput::NotAdmitted`], unless it was answered before.
    pub fn refuse(&mut self, entry: &LogEntry, session: u64, number: u64) -> Value {
        let said = Self::say(Some(&self.machine.refuse(session, number)));
        self.extend(entry, &said);
        said
    }

    /// The machine that wrote a snapshot, if it is one of a machine like this. The bytes may be anything.
    pub fn with_snapshot(&self, snapshot: &[u8]) -> Option<Self> {
        let Snapshot { chain, machine } = Snapshot::unseal(snapshot)?;
        let mut restored = Applied { chain, ..self.clone() };
        restored.machine.restore(&machine).ok()?;
        Some(restored)
    }

    /// Takes an entry and its output into the checksum.
    fn extend(&mut self, entry: &LogEntry, said: &Value) {
        self.chain.extend_with([entry.head().as_bytes(), entry.command.as_bytes()], said.as_bytes());
    }

    /// An output in this wording.
    pub fn say(output: Option<&SessionOutput<M::Output>>) -> Value {
        Value::from(W::output(output).as_slice())
    }
}

impl<M: StateMachine, W> Clone for Applied<M, W> {
    fn clone(&self) -> Self {
        Applied { machine: self.machine.clone(), chain: self.chain, wording: PhantomData }
    }
}

impl<M: StateMachine, W> Debug for Applied<M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applied").field("machine", &self.machine).field("chain", &self.chain).finish()
    }
}

impl<M: StateMachine, W: Wording<M>> Machine for Applied<M, W> {
    /// Bytes that hold no command change nothing but the checksum: they are in the log like any other command.
    fn execute(&mut self, _: Instance, entry: &LogEntry) -> Value {
        let output = W::command(entry.command.as_bytes()).map(|command| self.machine.apply(&command));
        let said = Self::say(output.as_ref());
        self.extend(entry, &said);
        said
    }

    /// Answers from the table of sessions: see [`Sessions::final_answer`]. The call decides who is told. The session and its number decide whether a
    /// command is the same as an earlier one, so a client that comes back with another id takes its session with it.
    fn said(&self, entry: &LogEntry) -> Option<Value> {
        let SessionCommand::Apply { session, number, .. } = W::command(entry.command.as_bytes())? else {
            return None;
        };
        self.machine.final_answer(session, number).map(|output| Self::say(Some(&output)))
    }

    fn query(&self, command: &Value) -> Option<Value> {
        let command = W::command(command.as_bytes())?;
        self.machine.query(&command).map(|output| Self::say(Some(&output)))
    }

    /// Holds a digest of the whole, since the snapshot may come in chunks from elsewhere.
    fn snapshot(&self) -> Vec<u8> {
        Snapshot::seal_bytes(self.chain, &self.machine.snapshot())
    }

    fn restored(&self, snapshot: &[u8]) -> Option<Box<dyn Machine>> {
        Some(Box::new(self.with_snapshot(snapshot)?))
    }

    fn checksum(&self) -> u64 {
        self.chain.sum.0
    }

    fn copy(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
