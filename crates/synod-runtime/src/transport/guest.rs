//! The greetings by which a client and a member come to a session: a knock, a welcome, and a knock that repeats what the welcome said.
//!
//! All clients have the same secret, so the secret alone shows only that somebody is a client. The public half of the cluster key, in the
//! client's file, binds answers to members. From it and from a half of its own, drawn for its start, the client makes a
//! secret (X25519) that only it and members can make. Every key and both proofs below follow from that, the shared secret
//! and all that both said. So another client can neither read nor say anything in the session, in either direction.
//!
//! 1. *Knock*: the client's id and its half. It proves nothing yet, and the member keeps nothing of it.
//! 2. *Welcome*: the member's session and a number that it gives out once, with a proof. From here on the client may send.
//! 3. *Knock* again, with session and number repeated, and a proof. Only now does the member keep anything: a session that is
//!    named by the number, and begins once.
//!
//! All greetings are authenticated, not sealed: they hold nothing secret, and an authentication code has no nonce that could
//! be used twice. Sessions are sealed under keys with the member's number in them, so a client whose randomness repeats
//! itself still has other keys in each session.

use super::counts::Dropped;
use super::link::Link;
use super::seal::{self, HEADER, Header};
use crate::keys::{self, Key};
use ring::hmac;
use std::time::Duration;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const SESSION: usize = 16;
const HALF: usize = 32;
const CODE: usize = 32;
/// The bytes of a knock between header and proof: session, half, the id of the cluster key, and the member's session and number.
const KNOCK: usize = SESSION + HALF + 4 + SESSION + 8;
/// The bytes of a welcome between header and proof: session, start, number, and the client's session.
const WELCOME: usize = SESSION + 8 + 8 + SESSION;

/// A client's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Knock {
    /// The client's session.
    pub(super) session: [u8; SESSION],
    /// The client's half.
    pub(super) half: [u8; HALF],
    /// The id of the cluster's key that its file names.
    pub(super) cluster_key: u32,
    /// The member's session to which it was welcomed; zeros if there is none.
    pub(super) echo: [u8; SESSION],
    /// The number with which it was welcomed.
    pub(super) number: u64,
}

/// A member's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// The member's session.
    pub(super) session: [u8; SESSION],
    /// The member's count of starts.
    pub(super) boot: u64,
    /// The number that it gave out.
    pub(super) number: u64,
    /// The client's session.
    pub(super) echo: [u8; SESSION],
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Dropped> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Dropped::TooShort)?;
    *bytes = rest;
    Ok(*taken)
}

impl Knock {
    pub(super) fn read(mut bytes: &[u8]) -> Result<Knock, Dropped> {
        let bytes = &mut bytes;
        let (session, half, cluster_key) = (take(bytes)?, take(bytes)?, u32::from_le_bytes(take(bytes)?));
        let (echo, number) = (take(bytes)?, u64::from_le_bytes(take(bytes)?));
        Ok(Knock { session, half, cluster_key, echo, number })
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.session);
        to.extend_from_slice(&self.half);
        to.extend_from_slice(&self.cluster_key.to_le_bytes());
        to.extend_from_slice(&self.echo);
        to.extend_from_slice(&self.number.to_le_bytes());
    }

    /// A knock as a datagram. It has no proof as long as there is nothing to prove.
    pub(super) fn seal(&self, secret: &Key, header: &Header, proof: Option<&hmac::Key>) -> Vec<u8> {
        seal(secret, header, proof, |to| self.write(to))
    }

    /// Reads a knock of a process that has this secret.
    pub(super) fn open(secret: &Key, datagram: &[u8]) -> Result<Knock, Dropped> {
        Knock::read(&open(secret, datagram, KNOCK)?[HEADER..])
    }
}

impl Welcome {
    pub(super) fn read(mut bytes: &[u8]) -> Result<Welcome, Dropped> {
        let bytes = &mut bytes;
        let (session, boot) = (take(bytes)?, u64::from_le_bytes(take(bytes)?));
        Ok(Welcome { session, boot, number: u64::from_le_bytes(take(bytes)?), echo: take(bytes)? })
    }

    pub(super) fn seal(&self, secret: &Key, header: &Header, proof: &hmac::Key) -> Vec<u8> {
        seal(secret, header, Some(proof), |to| {
            to.extend_from_slice(&self.session);
            to.extend_from_slice(&self.boot.to_le_bytes());
            to.extend_from_slice(&self.number.to_le_bytes());
            to.extend_from_slice(&self.echo);
        })
    }

    /// Reads a welcome of a process that has this secret.
    pub(super) fn open(secret: &Key, datagram: &[u8]) -> Result<Welcome, Dropped> {
        Welcome::read(&open(secret, datagram, WELCOME)?[HEADER..])
    }
}

/// The key under which any process with the clients' secret authenticates a greeting.
fn outer(secret: &Key) -> hmac::Key {
    seal::mac(&keys::expand(secret.bytes(), &[], &[b"synod 2 greeting"]))
}

fn seal(
    secret: &Key,
    header: &Header,
    proof: Option<&hmac::Key>,
    body: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HEADER + KNOCK + 2 * CODE);
    datagram.resize(HEADER, 0);
    header.write(&mut datagram);
    body(&mut datagram);
    match proof {
        Some(key) => {
            let code = hmac::sign(key, &datagram);
            datagram.extend_from_slice(code.as_ref());
        }
        None => datagram.extend_from_slice(&[0; CODE]),
    }
    let code = hmac::sign(&outer(secret), &datagram);
    datagram.extend_from_slice(code.as_ref());
    datagram
}

/// Returns the contents of a greeting of the right length that is authentic.
fn open<'a>(secret: &Key, datagram: &'a [u8], body: usize) -> Result<&'a [u8], Dropped> {
    if datagram.len() != HEADER + body + 2 * CODE {
        return Err(Dropped::TooShort);
    }
    let (said, code) = datagram.split_at(HEADER + body + CODE);
    hmac::verify(&outer(secret), said, code).map_err(|_| Dropped::Forged)?;
    Ok(&said[..HEADER + body])
}

/// Checks that a greeting, which is authentic, has this proof.
pub(super) fn is_proven(datagram: &[u8], proof: &hmac::Key) -> Result<(), Dropped> {
    let end = datagram.len().saturating_sub(CODE);
    let (said, code) = datagram[..end].split_at_checked(end.saturating_sub(CODE)).ok_or(Dropped::TooShort)?;
    hmac::verify(proof, said, code).map_err(|_| Dropped::Forged)
}

/// All that a client and a member have said when they agree, and their ids.
pub(super) struct Agreed {
    pub(super) cluster: u64,
    pub(super) client: u64,
    pub(super) member: u64,
    /// The public half of the cluster key.
    pub(super) cluster_half: [u8; HALF],
    /// The client's half, as last heard.
    pub(super) half: [u8; HALF],
    pub(super) visit: [u8; SESSION],
    /// The member's answer: session, start and number.
    pub(super) session: [u8; SESSION],
    pub(super) boot: u64,
    pub(super) number: u64,
}

/// A secret that two halves make. An error if one of them is no proper half.
pub(super) fn shared(mine: &StaticSecret, theirs: &[u8; HALF]) -> Result<Zeroizing<[u8; 32]>, Dropped> {
    let shared = mine.diffie_hellman(&PublicKey::from(*theirs));
    if !shared.was_contributory() {
        return Err(Dropped::Malformed);
    }
    Ok(Zeroizing::new(shared.to_bytes()))
}

/// The keys and proofs that follow from an agreement.
pub(super) struct Pact {
    pub(super) welcome: hmac::Key,
    pub(super) knock: hmac::Key,
    key: u32,
    tags: (u64, u64),
    secrets: (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>),
}

impl Agreed {
    /// Derives each key from both secrets: the one that the halves make, and the one that all clients have.
    pub(super) fn pact(&self, shared: &[u8; 32], secret: &Key) -> Pact {
        let numbers = [self.cluster, self.client, self.member, self.boot, self.number];
        let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let said = [&self.cluster_half[..], &self.half, &self.visit, &self.session, &numbers].concat();
        let key = |label: &[u8]| keys::expand(secret.bytes(), shared, &[b"synod 2 client ", label, &said]);
        let tag = |session| seal::tag(session).wrapping_add(self.number);
        Pact {
            welcome: seal::mac(&key(b"welcome")),
            knock: seal::mac(&key(b"knock")),
            key: secret.id(),
            tags: (tag(&self.visit), tag(&self.session)),
            secrets: (key(b"to member"), key(b"to client")),
        }
    }
}

impl Pact {
    /// The client's end of the session.
    pub(super) fn clients_link(&self) -> Link {
        let (to_member, to_client) = &self.secrets;
        Link::of_client(self.key, self.tags, seal::aead(to_member), seal::aead(to_client))
    }

    /// The member's end of the session.
    pub(super) fn members_link(&self) -> Link {
        let ((to_member, to_client), (visit, session)) = (&self.secrets, self.tags);
        Link::of_client(self.key, (session, visit), seal::aead(to_client), seal::aead(to_member))
    }
}

/// A session between a client and a member: its half, its keys, and the number of the client's last knock.
pub(super) struct Met {
    /// The other's session.
    pub(super) session: [u8; SESSION],
    pub(super) number: u64,
    /// The client's half.
    pub(super) half: [u8; HALF],
    /// The ids of the secret and of the cluster key.
    pub(super) keys: (u32, u32),
    /// The last knock that counts: at the member the last it heard, at the client the last before the session began.
    pub(super) knocks: u64,
    /// The key with which the client proves a knock in this session.
    pub(super) proof: hmac::Key,
}

/// Limits how often something is done: so often for all clients together. A client's share can be used up only by a client that happens
/// to fall into the same place.
pub(super) struct Turnstile(Vec<Duration>);

/// Places of a turnstile.
const PLACES: usize = 256;
/// The time between two turns of one place. So it turns at most 2560 times per second.
const BETWEEN: Duration = Duration::from_millis(100);

impl Turnstile {
    pub(super) fn new() -> Turnstile {
        Turnstile(vec![Duration::ZERO; PLACES])
    }

    pub(super) fn pass(&mut self, id: u64, now: Duration) -> Result<(), Dropped> {
        // Ids are drawn, but a client may like some better than others.
        let place = xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes()) as usize % PLACES;
        if now < self.0[place] {
            return Err(Dropped::TooOften);
        }
        self.0[place] = now + BETWEEN;
        Ok(())
    }
}
