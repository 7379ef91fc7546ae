//! The first client. It asks one question about one instance of the write-once register, of one member after another, with the
//! very client that the models explore.

use crate::config::Config;
use crate::serve::{others, random, seeded};
use crate::stable::PaxosChanges;
use stateright::actor::Id;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use synod::{Asking, Client, Instance, Process, Value, Want};
use synod_runtime::disk::DirDisk;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::ClientKeys;
use synod_runtime::node::{FIRST_CLIENT, Node};
use synod_runtime::standing::Standing;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::UdpWire;

/// A process that asks on behalf of a caller.
type UdpClient = Node<Process, PaxosChanges, DirDisk, UdpWire>;

/// The questions about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Have this value chosen, unless another one was or is.
    Put(Vec<u8>),
    /// Tell the chosen value.
    Get,
}

/// The outcome of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This value was chosen, now or before; nothing changes it any more.
    Value(Vec<u8>),
    /// Nothing had been chosen at some moment after the question was asked.
    Unset,
    /// No answer came in time. A value that was to be put may yet be chosen.
    Unknown {
        /// The number of members that answered a greeting at all.
        reached: usize,
        /// The number of times that a member said it was too busy.
        busy: u64,
    },
}

/// The reasons why a question could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskError(String);

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AskError {}

fn because(error: impl fmt::Display) -> AskError {
    AskError(error.to_string())
}

/// The time that a member may take before the next one is asked.
const PATIENCE: std::ops::Range<Duration> = Duration::from_millis(300)..Duration::from_millis(500);

/// Asks one question and waits for the answer, but no longer than `timeout`.
///
/// # Errors
/// When the value is longer than the cluster allows, the keys cannot be read, or there is no socket to be had.
pub fn ask(
    config: &Config,
    instance: u64,
    question: &Question,
    timeout: Duration,
) -> Result<Answer, AskError> {
    let want = match question {
        Question::Put(value) if value.len() > config.max_value => {
            let (len, most) = (value.len(), config.max_value);
            return Err(AskError(format!(
                "the value has {len} bytes; this cluster takes {most} at most (max-value in its configuration)"
            )));
        }
        Question::Put(value) => Want::Write(Value::from(value.as_slice())),
        Question::Get => Want::Read,
    };
    let id = FIRST_CLIENT | u64::from_le_bytes(random().map_err(because)?);
    let mut asks: Vec<Id> = config.members.iter().map(|member| Id::from(member.id as usize)).collect();
    // Clients should not all choose the same member first.
    let mut rng = seeded().map_err(because)?;
    let first = rng.usize(..asks.len());
    asks.rotate_left(first);
    let client = Client {
        number: 1,
        instance: Instance(instance),
        want,
        heeds: asks.clone(),
        asks,
        asking: Asking::InTurn,
        pause: None,
        resend: Some(PATIENCE),
    };
    let settings = transport::Config {
        cluster: config.tag(),
        me: id,
        peers: others(config, id),
        cluster_keys: None,
        client_keys: Some(ClientKeys::load(&config.client_key).map_err(because)?),
        datagram: config.datagram,
        max_message: config.max_message(),
        standing: Standing::default(),
        session: random().map_err(because)?,
    };
    let anywhere: IpAddr = if config.members[0].address.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let wire = UdpWire::bind(SocketAddr::new(anywhere, 0)).map_err(because)?;
    let transport = Transport::new(settings, rng.fork());
    let mut node: UdpClient =
        Node::new(Process::Client(client), transport, wire, None, None, Limits::default(), rng);
    loop {
        node.turn(timeout).map_err(because)?;
        let answer = node.state().and_then(|state| state.client()).and_then(|client| client.answer.clone());
        match answer {
            Some(synod::Answer::Chosen(value)) => return Ok(Answer::Value(value.as_bytes().to_vec())),
            Some(synod::Answer::Unset) => return Ok(Answer::Unset),
            Some(synod::Answer::Output(_)) => {
                return Err(because("a member answered for a log, and was not asked"));
            }
            None if node.now() >= timeout => {
                let reached = config.members.iter().filter(|member| node.transport().connected(member.id));
                return Ok(Answer::Unknown { reached: reached.count(), busy: node.counts().busy });
            }
            None => {}
        }
    }
}
