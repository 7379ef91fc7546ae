//! The crate `omnipaxos` over UDP: take what has come, flush once, send.

use crate::floor::ASKS_FLUSHES;
use crate::udp::Udp;
use crate::wal::Wal;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Put {
    #[serde(with = "serde_bytes_like")]
    bytes: Vec<u8>,
}

/// Bytes as one piece, and not one by one.
mod serde_bytes_like {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

impl Entry for Put {
    type Snapshot = NoSnapshot;
}

/// The storage of the crate's own, in memory, and a log file beside it of what must not be forgotten.
struct Logged {
    memory: MemoryStorage<Put>,
    wal: Rc<RefCell<Wal>>,
}

impl Logged {
    fn note(&self, what: u8, data: &impl Serialize) {
        let bytes = postcard::to_allocvec(&(what, data)).expect("plain data");
        self.wal.borrow_mut().append(&bytes);
    }
}

impl Storage<Put> for Logged {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Put>>) -> StorageResult<()> {
        for op in ops {
            match op {
                StorageOp::AppendEntry(entry) => self.append_entry(entry)?,
                StorageOp::AppendEntries(entries) => self.append_entries(entries)?,
                StorageOp::AppendOnPrefix(from, entries) => self.append_on_prefix(from, entries)?,
                StorageOp::SetPromise(ballot) => self.set_promise(ballot)?,
                StorageOp::SetDecidedIndex(index) => self.set_decided_idx(index)?,
                StorageOp::SetAcceptedRound(ballot) => self.set_accepted_round(ballot)?,
                StorageOp::SetCompactedIdx(index) => self.set_compacted_idx(index)?,
                StorageOp::Trim(index) => self.trim(index)?,
                StorageOp::SetStopsign(sign) => self.set_stopsign(sign)?,
                StorageOp::SetSnapshot(snapshot) => self.set_snapshot(snapshot)?,
            }
        }
        Ok(())
    }
    fn append_entry(&mut self, entry: Put) -> StorageResult<()> {
        self.note(0, &entry);
        self.memory.append_entry(entry)
    }
    fn append_entries(&mut self, entries: Vec<Put>) -> StorageResult<()> {
        entries.iter().for_each(|entry| self.note(0, entry));
        self.memory.append_entries(entries)
    }
    fn append_on_prefix(&mut self, from: usize, entries: Vec<Put>) -> StorageResult<()> {
        self.note(1, &(from, &entries));
        self.memory.append_on_prefix(from, entries)
    }
    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.note(2, &ballot);
        self.memory.set_promise(ballot)
    }
    // The index that was decided is found out again after a crash, and needs no flush.
    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.memory.set_decided_idx(index)
    }
    fn get_decided_idx(&self) -> StorageResult<usize> {
        self.memory.get_decided_idx()
    }
    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.note(3, &ballot);
        self.memory.set_accepted_round(ballot)
    }
    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        self.memory.get_accepted_round()
    }
    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Put>> {
        self.memory.get_entries(from, to)
    }
    fn get_log_len(&self) -> StorageResult<usize> {
        self.memory.get_log_len()
    }
    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Put>> {
        self.memory.get_suffix(from)
    }
    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        self.memory.get_promise()
    }
    fn set_stopsign(&mut self, sign: Option<StopSign>) -> StorageResult<()> {
        self.memory.set_stopsign(sign)
    }
    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        self.memory.get_stopsign()
    }
    fn trim(&mut self, index: usize) -> StorageResult<()> {
        self.memory.trim(index)
    }
    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.memory.set_compacted_idx(index)
    }
    fn get_compacted_idx(&self) -> StorageResult<usize> {
        self.memory.get_compacted_idx()
    }
    fn set_snapshot(&mut self, snapshot: Option<NoSnapshot>) -> StorageResult<()> {
        self.memory.set_snapshot(snapshot)
    }
    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        self.memory.get_snapshot()
    }
}

/// The most requests per turn, so that what they become fits into one datagram.
const TURN: usize = 128;
const TICK: Duration = Duration::from_millis(10);

/// Runs a node until it is killed. Node 0 has the highest priority, and leads.
pub fn serve(node: usize, nodes: &[SocketAddr], data: &Path) -> io::Result<()> {
    let mut udp = Udp::bind(nodes[node])?;
    let wal = Rc::new(RefCell::new(Wal::create(&data.join("wal"))?));
    let storage = Logged { memory: MemoryStorage::default(), wal: wal.clone() };
    let config = OmniPaxosConfig {
        cluster_config: ClusterConfig {
            configuration_id: 1,
            nodes: (1..=nodes.len() as u64).collect(),
            flexible_quorum: None,
        },
        server_config: ServerConfig {
            pid: node as u64 + 1,
            election_tick_timeout: 20,
            resend_message_tick_timeout: 50,
            leader_priority: u32::from(node == 0),
            ..ServerConfig::default()
        },
    };
    let mut omni = config.build(storage).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let mut waiting: HashMap<[u8; 8], SocketAddr> = HashMap::new();
    let (mut decided, mut next_tick) = (0, Instant::now() + TICK);
    let mut outgoing: Vec<Message<Put>> = Vec::new();
    let mut requests: VecDeque<(SocketAddr, Vec<u8>)> = VecDeque::new();
    loop {
        let mut asked = Vec::new();
        let wait = next_tick.saturating_duration_since(Instant::now());
        let wait = if requests.is_empty() { wait } else { Duration::ZERO };
        udp.receive(wait, 1024, |from, frame| {
            if frame == ASKS_FLUSHES {
                asked.push(from);
            } else if nodes.contains(&from) {
                if let Ok(message) = postcard::from_bytes(frame) {
                    omni.handle_incoming(message);
                }
            } else {
                requests.push_back((from, frame.to_vec()));
            }
        })?;
        let leads = omni.get_current_leader().is_some_and(|(leader, _)| leader == node as u64 + 1);
        for (from, bytes) in requests.drain(..requests.len().min(TURN)).filter(|_| leads) {
            waiting.insert(*bytes.first_chunk().expect("a number"), from);
            let _ = omni.append(Put { bytes });
        }
        if Instant::now() >= next_tick {
            omni.tick();
            next_tick = Instant::now() + TICK;
        }
        wal.borrow_mut().flush()?;
        omni.take_outgoing_messages(&mut outgoing);
        for message in outgoing.drain(..) {
            let to = nodes[message.get_receiver() as usize - 1];
            udp.send(to, &postcard::to_allocvec(&message).expect("plain data"))?;
        }
        if omni.get_decided_idx() > decided {
            for entry in omni.read_decided_suffix(decided).unwrap_or_default() {
                decided += 1;
                let (LogEntry::Decided(put) | LogEntry::Undecided(put)) = entry else { continue };
                let number = *put.bytes.first_chunk().expect("a number");
                if let Some(client) = waiting.remove(&number) {
                    udp.send(client, &number)?;
                }
            }
        }
        for from in asked {
            udp.send(from, &wal.borrow().flushes.to_le_bytes())?;
        }
        udp.flush()?;
    }
}
