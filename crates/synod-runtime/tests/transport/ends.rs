//! Transports that talk to each other through the hands of a test.

use std::net::SocketAddr;
use std::time::Duration;
use synod_runtime::admission::Answer;
use synod_runtime::keys::{ClientKeys, Keys};
use synod_runtime::node::FIRST_CLIENT;
use synod_runtime::standing::Standing;
use synod_runtime::transport::{Arrival, Config, Dropped, Refused, Transport};

pub(crate) const CLUSTER: u64 = 77;
pub(crate) const MEMBER_KEY: [u8; 32] = [1; 32];
pub(crate) const CLIENT_KEY: [u8; 32] = [2; 32];
pub(crate) const MAX: usize = 100_000;
pub(crate) const DATAGRAM: usize = 1200;
/// A client's id.
pub(crate) const CLIENT: u64 = FIRST_CLIENT | 5;

/// The seed of a random test: given from outside to run it again, or fixed.
pub(crate) fn seeded(name: &str) -> fastrand::Rng {
    let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("{name}: SYNOD_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

pub(crate) fn address(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1000 + (id % 60_000) as u16))
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flying {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The outcome of a datagram at a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Message { from: u64, bytes: Vec<u8> },
    Learner { from: u64, bytes: Vec<u8> },
    Hello { from: u64, standing: Standing, answer: Option<Answer> },
    OtherMembers { from: u64, members: Vec<u64> },
    Busy { from: u64 },
}

/// One process's transport.
pub(crate) struct End {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// A member's settings; its peers are members 0, 1 and 2.
pub(crate) fn member(id: u64, start: u64) -> Config {
    let mut session = [id as u8 + 1; 16];
    session[1..9].copy_from_slice(&start.to_le_bytes());
    Config {
        cluster: CLUSTER,
        me: id,
        peers: (0..3).filter(|peer| *peer != id).map(|peer| (peer, address(peer))).collect(),
        first: None,
        cluster_keys: Some(Keys::single(MEMBER_KEY)),
        client_keys: Some(ClientKeys::single(CLIENT_KEY, &Keys::single(MEMBER_KEY))),
        datagram: DATAGRAM,
        max_message: MAX,
        max_client_message: MAX,
        standing: Standing { disk: 900 + id, boot: start, nonce: 70 + start, saves: 0, admitted: true },
        session,
    }
}

/// A client's settings.
pub(crate) fn client(id: u64) -> Config {
    let mut session = [0xcc; 16];
    session[..8].copy_from_slice(&id.to_le_bytes());
    Config {
        me: id,
        peers: (0..3).map(|peer| (peer, address(peer))).collect(),
        cluster_keys: None,
        standing: Standing::default(),
        session,
        ..member(0, 1)
    }
}

impl End {
    pub(crate) fn new(config: Config) -> End {
        let address = address(config.me);
        End { transport: Transport::new(config, fastrand::Rng::with_seed(3)), address }
    }

    /// The datagrams that it wants sent.
    pub(crate) fn flush(&mut self) -> Vec<Flying> {
        let (mut out, from) = (Vec::new(), self.address);
        self.transport.flush(&mut |to, bytes| out.push(Flying { from, to, bytes: bytes.to_vec() }));
        out
    }

    pub(crate) fn take(&mut self, now: Duration, flying: &Flying) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut bytes = flying.bytes.clone();
        self.transport.receive(now, flying.from, &mut bytes, &mut |event| {
            heard.push(match event {
                Arrival::Message { from, bytes, admitted: true } => {
                    Heard::Message { from, bytes: bytes.to_vec() }
                }
                Arrival::Message { from, bytes, admitted: false } => {
                    Heard::Learner { from, bytes: bytes.to_vec() }
                }
                Arrival::Hello { from, standing, answer, .. } => Heard::Hello { from, standing, answer },
                Arrival::OtherMembers { from, members } => {
                    Heard::OtherMembers { from, members: members.to_vec() }
                }
                Arrival::Busy { from } => Heard::Busy { from },
            });
        });
        heard
    }

    pub(crate) fn send(&mut self, to: u64, bytes: &[u8]) -> Result<(), Refused> {
        self.transport.send(to, bytes)
    }

    pub(crate) fn dropped(&self, reason: Dropped) -> u64 {
        self.transport.counts().dropped(reason)
    }
}

/// The test's clock: goes on a little with each round.
#[derive(Default)]
pub(crate) struct Clock(pub(crate) Duration);

impl Clock {
    /// Everyone greets, and all that is sent arrives in order, for so many rounds. Returns what was heard, and by whom.
    pub(crate) fn rounds(&mut self, ends: &mut [&mut End], rounds: usize) -> Vec<(u64, Heard)> {
        self.through(ends, rounds, |flying| vec![flying])
    }

    /// Exchanges datagrams through a network that may change each as it likes.
    pub(crate) fn through(
        &mut self,
        ends: &mut [&mut End],
        rounds: usize,
        mut network: impl FnMut(Flying) -> Vec<Flying>,
    ) -> Vec<(u64, Heard)> {
        let mut heard = Vec::new();
        for _ in 0..rounds {
            self.0 += Duration::from_millis(30);
            let mut all = Vec::new();
            for end in ends.iter_mut() {
                end.transport.tick(self.0);
                all.extend(end.flush());
            }
            for flying in all.into_iter().flat_map(&mut network) {
                for end in ends.iter_mut().filter(|end| end.address == flying.to) {
                    let me = end.transport.me();
                    heard.extend(end.take(self.0, &flying).into_iter().map(|heard| (me, heard)));
                }
            }
        }
        heard
    }
}

/// The messages among what was heard: to whom, from whom, what.
pub(crate) fn messages(heard: &[(u64, Heard)]) -> Vec<(u64, u64, &[u8])> {
    let messages = heard.iter().filter_map(|(to, heard)| match heard {
        Heard::Message { from, bytes } => Some((*to, *from, bytes.as_slice())),
        _ => None,
    });
    messages.collect()
}

/// Two members in a session, and the clock.
pub(crate) fn pair() -> (End, End, Clock) {
    let (mut a, mut b, mut clock) = (End::new(member(0, 1)), End::new(member(1, 1)), Clock::default());
    clock.rounds(&mut [&mut a, &mut b], 5);
    assert!(a.transport.connected(1) && b.transport.connected(0));
    (a, b, clock)
}
