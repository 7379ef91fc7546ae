//! The messages and timers of the protocol.

use crate::ballot::{Ballot, Instance, Proposal, Value};
use crate::election::{Beat, ElectionTimer};
use crate::per_instance::PerInstance;
use serde::{Deserialize, Serialize};
use stateright::actor::Id;
use std::fmt;

/// The messages that a client may send. A message from an id that is no member's is read as one of these or not at all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ask {
    /// To a proposer or server: please have this value chosen.
    Request {
        /// The instance in which it is to be chosen.
        instance: Instance,
        /// The value to be chosen.
        value: Value,
    },
    /// To a server: which value was chosen here? Nothing is proposed.
    Read {
        /// The instance.
        instance: Instance,
    },
    /// To a server that keeps a log: please have this command chosen, in whatever instance, and executed.
    Submit {
        /// The number of the call among the client's calls.
        number: u64,
        /// The command.
        command: Value,
    },
    /// To a server that keeps a log: please answer this command, which changes nothing, from what was executed.
    Query {
        /// The number of the call among the client's calls.
        number: u64,
        /// The command.
        command: Value,
    },
    /// To a server that keeps a log: please answer this command, which changes nothing, at once, from what you have executed. That may be
    /// any beginning of the log.
    StaleQuery {
        /// The number of the call among the client's calls.
        number: u64,
        /// The command.
        command: Value,
    },
}

/// Every message of the protocol. A reply carries the ballot or the call that it answers, so that replies cannot be confused
/// (PMS §2.5).
///
#[doc = include_str!("../MESSAGES.md")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Msg {
    /// A client's message. It is the first variant: a client's datagram begins with this variant's number and can hold nothing
    /// else.
    Ask(Ask),
    /// Phase 1(a): promise me, for every instance from `from` on.
    Prepare {
        /// The ballot to be promised.
        ballot: Ballot,
        /// The first instance to report on.
        from: Instance,
    },
    /// Phase 1(b): a promise never again to accept below `ballot`, with what was accepted so far.
    Promise {
        /// The ballot that is promised.
        ballot: Ballot,
        /// For each instance that is reported on, the highest-numbered proposal accepted, if any.
        accepted: PerInstance<Proposal>,
        /// The instance from which the report has to be asked for again, because it would grow too long for one message. `None`:
        /// nothing was accepted beyond.
        rest: Option<Instance>,
    },
    /// Phase 2(a): accept this proposal.
    Accept {
        /// The proposal's number.
        ballot: Ballot,
        /// The instance it is for.
        instance: Instance,
        /// The proposal's value.
        value: Value,
    },
    /// Phase 2(b): I have accepted this proposal.
    Accepted {
        /// The proposal's number.
        ballot: Ballot,
        /// The instance it is for.
        instance: Instance,
        /// The proposal's value.
        value: Value,
    },
    /// A courtesy: your `ballot` was refused because I promised `promised`.
    Nack {
        /// The ballot that was refused.
        ballot: Ballot,
        /// The promise it would have broken: a hint which ballots are worth trying.
        promised: Ballot,
    },
    /// To a learner, from a process that knows: this value was chosen.
    Chosen {
        /// The instance.
        instance: Instance,
        /// The value that was chosen.
        value: Value,
    },
    /// Learner or server to client: this was chosen.
    Response {
        /// The instance.
        instance: Instance,
        /// The value that was chosen, which need not be the one asked for.
        value: Value,
    },
    /// Server to client: at a moment after you asked, nothing was chosen.
    Unset {
        /// The instance.
        instance: Instance,
    },
    /// Server to client: the machine's output of your command.
    Output {
        /// The number of the client's call that is answered.
        number: u64,
        /// The machine's output.
        output: Value,
    },
    /// Server to client: another server leads. Please ask there.
    Redirect {
        /// The server that leads, as far as the sender knows.
        leader: Id,
    },
    /// Server to server: which values were chosen from this instance on?
    CatchUp {
        /// The first instance that the sender does not know.
        from: Instance,
    },
    /// The answer, as far as it fits into one message.
    CatchUpReply {
        /// Values that were chosen.
        values: PerInstance<Value>,
        /// All instances below are known to the sender.
        next: Instance,
    },
    /// Leader to acceptor: have you promised nothing above my ballot yet?
    Confirm {
        /// The leader's ballot.
        ballot: Ballot,
        /// The number of its round of confirmation.
        round: u64,
    },
    /// The answer, if it is yes.
    Confirmed {
        /// The ballot that was asked about.
        ballot: Ballot,
        /// The round that was asked in.
        round: u64,
    },
    /// Server to server: a chunk of my snapshot, which takes the place of what I have forgotten.
    Chunk {
        /// The snapshot: all commands below this instance were executed.
        of: Instance,
        /// The machine's checksum there.
        sum: u64,
        /// The snapshot's length in bytes.
        length: u64,
        /// The place of the chunk's first byte.
        at: u64,
        /// The chunk's bytes.
        bytes: Value,
    },
    /// Server to server: please send the chunk of that snapshot from this byte on, and keep the snapshot as long as I ask for it.
    Fetch {
        /// The snapshot: all commands below this instance were executed.
        of: Instance,
        /// The machine's checksum there.
        sum: u64,
        /// The first byte that is missing.
        at: u64,
    },
    /// Server to server: what I executed below that instance has this checksum.
    Checksum {
        /// The instance.
        below: Instance,
        /// The checksum.
        sum: u64,
    },
    /// Member to member of an election.
    Beat(Beat),
    /// Server to server: I am not master by this take of mine any more, and will not be again.
    Yield {
        /// The token of the take.
        token: Instance,
    },
    /// The owner of a server to it: if this is your tenure, please hand leadership and mastership to that server.
    Give {
        /// The first instance of the tenure.
        since: Instance,
        /// The server that is to be master next.
        heir: Id,
    },
    /// Server to server: you are no member any more.
    Removed {
        /// The number of the last configuration that the sender knows. The receiver is not in it.
        number: u64,
    },
    /// Server to server that leads: my operator asks for this change.
    Relay {
        /// The number of the operator's call.
        number: u64,
        /// The change.
        command: Value,
    },
    /// Server to server: what your operator is told.
    Relayed {
        /// The number of the operator's call.
        number: u64,
        /// What it is told.
        output: Value,
    },
}

impl From<Ask> for Msg {
    fn from(ask: Ask) -> Msg {
        Msg::Ask(ask)
    }
}

/// An instance as a prefix of a message's text; left out if it is the first, as in single-decree Paxos.
struct At(Instance);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Instance::FIRST { Ok(()) } else { write!(f, "{:?}, ", self.0) }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Request { instance, value } => write!(f, "Request({}{value:?})", At(*instance)),
            Ask::Read { instance } => write!(f, "Read({instance:?})"),
            Ask::Submit { number, command } => write!(f, "Submit({number}: {command:?})"),
            Ask::Query { number, command } => write!(f, "Query({number}: {command:?})"),
            Ask::StaleQuery { number, command } => write!(f, "StaleQuery({number}: {command:?})"),
        }
    }
}

impl fmt::Debug for Msg {
    /// As in the paper: `Accept(1.2, x)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Msg::Ask(ask) => ask.fmt(f),
            Msg::Prepare { ballot, from } if *from == Instance::FIRST => write!(f, "Prepare({ballot:?})"),
            Msg::Prepare { ballot, from } => write!(f, "Prepare({ballot:?}, {from:?}..)"),
            Msg::Promise { ballot, accepted, rest } => {
                write!(f, "Promise({ballot:?}, ")?;
                match accepted.len() {
                    0 => f.write_str("null")?,
                    1 => {
                        for (instance, proposal) in accepted {
                            write!(f, "{}{proposal:?}", At(*instance))?;
                        }
                    }
                    _ => write!(f, "{accepted:?}")?,
                }
                if let Some(rest) = rest {
                    write!(f, ", {rest:?}..")?;
                }
                f.write_str(")")
            }
            Msg::Accept { ballot, instance, value } => {
                write!(f, "Accept({ballot:?}, {}{value:?})", At(*instance))
            }
            Msg::Accepted { ballot, instance, value } => {
                write!(f, "Accepted({ballot:?}, {}{value:?})", At(*instance))
            }
            Msg::Nack { ballot, promised } => write!(f, "Nack({ballot:?}, promised {promised:?})"),
            Msg::Chosen { instance, value } => write!(f, "Chosen({}{value:?})", At(*instance)),
            Msg::Response { instance, value } => write!(f, "Response({}{value:?})", At(*instance)),
            Msg::Unset { instance } => write!(f, "Unset({instance:?})"),
            Msg::Output { number, output } => write!(f, "Output({number}: {output:?})"),
            Msg::Redirect { leader } => write!(f, "Redirect({})", usize::from(*leader)),
            Msg::CatchUp { from } => write!(f, "CatchUp({from:?}..)"),
            Msg::CatchUpReply { values, next } => {
                // A message may hold thousands of values: long runs of instances are only named.
                let mut runs: Vec<(u64, u64)> = Vec::new();
                for Instance(at) in values.keys() {
                    match runs.last_mut() {
                        Some((_, last)) if last.checked_add(1) == Some(*at) => *last = *at,
                        _ => runs.push((*at, *at)),
                    }
                }
                f.write_str("CatchUpReply(")?;
                for (first, last) in runs {
                    if last - first < 4 {
                        for (instance, value) in values.range(Instance(first)..=Instance(last)) {
                            write!(f, "{instance:?}: {value:?}, ")?;
                        }
                    } else {
                        write!(f, "{:?} to {:?}, ", Instance(first), Instance(last))?;
                    }
                }
                write!(f, "all below {next:?})")
            }
            Msg::Confirm { ballot, round } => write!(f, "Confirm({ballot:?}, {round})"),
            Msg::Confirmed { ballot, round } => write!(f, "Confirmed({ballot:?}, {round})"),
            Msg::Chunk { of, sum, length, at, bytes } => {
                let end = at.saturating_add(bytes.as_bytes().len() as u64);
                write!(f, "Chunk({at} to {end} of {length}, all below {of:?}, {sum:016x})")
            }
            Msg::Fetch { of, sum, at } => write!(f, "Fetch({at}.., all below {of:?}, {sum:016x})"),
            Msg::Checksum { below, sum } => write!(f, "Checksum(all below {below:?}, {sum:016x})"),
            Msg::Beat(beat) => beat.fmt(f),
            Msg::Yield { token } => write!(f, "Yield({token:?})"),
            Msg::Give { since, heir } => write!(f, "Give({since:?}, {})", usize::from(*heir)),
            Msg::Removed { number } => write!(f, "Removed({number})"),
            Msg::Relay { number, command } => write!(f, "Relay({number}: {command:?})"),
            Msg::Relayed { number, output } => write!(f, "Relayed({number}: {output:?})"),
        }
    }
}

/// Timers that a process may set. Their durations matter to the runtime only: a model lets them ring at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A proposer gives up on its ballot and tries a higher one.
    Retry,
    /// A client asks, or asks once more.
    Resend,
    /// A server no longer holds its submissions back for the sake of somebody else's.
    HoldOff,
    /// A server asks the others what it has missed.
    CatchUp,
    /// A server writes the snapshot that is due.
    Snapshot,
    /// A timer of an election.
    Election(ElectionTimer),
    /// A server no longer believes itself master by one of its takes.
    Hold(Slot),
    /// A server no longer leaves mastership to the one that took it.
    Respect,
    /// A server wants to be master, or to remain it.
    Seek,
}

/// One of the two timers that end a server's mastership, which its takes use by turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// The one.
    #[default]
    A,
    /// The other.
    B,
}

impl Slot {
    /// The timer of the next take.
    pub(crate) fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}
