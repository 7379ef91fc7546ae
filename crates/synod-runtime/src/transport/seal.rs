//! The header of a datagram, and the keys that seal the bytes after it.

use super::counts::Dropped;
use crate::keys::{self, Key, Keys};
use crate::standing::Standing;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

/// Bytes of a header: two of protocol and version, one of kind, one unused, then key id, cluster, sender, receiver,
/// the sender's session tag and the counter.
pub(super) const HEADER: usize = 48;
/// Bytes that a datagram has besides its payload: the header and the seal.
pub(super) const OVERHEAD: usize = HEADER + SEAL;
pub(super) const SEAL: usize = 16;

const PROTOCOL: [u8; 2] = [b'S', 4];

/// The kinds of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A greeting between members.
    Hello,
    /// Messages.
    Data,
    /// A client's greeting to a member.
    Knock,
    /// A member's answer to it.
    Welcome,
}

/// A header. It is authenticated together with the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) key: u32,
    pub(super) cluster: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) session: u64,
    pub(super) counter: u64,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Header {
    pub(super) fn read(datagram: &[u8]) -> Result<Header, Dropped> {
        if datagram.len() < OVERHEAD {
            return Err(Dropped::TooShort);
        }
        let kind = match (datagram[..2] == PROTOCOL, datagram[2], datagram[3]) {
            (true, 1, 0) => Kind::Hello,
            (true, 2, 0) => Kind::Data,
            (true, 3, 0) => Kind::Knock,
            (true, 4, 0) => Kind::Welcome,
            _ => return Err(Dropped::OtherVersion),
        };
        Ok(Header {
            kind,
            key: u32::from_le_bytes(datagram[4..8].try_into().expect("four bytes")),
            cluster: u64_at(datagram, 8),
            from: u64_at(datagram, 16),
            to: u64_at(datagram, 24),
            session: u64_at(datagram, 32),
            counter: u64_at(datagram, 40),
        })
    }

    pub(super) fn write(&self, to: &mut [u8]) {
        to[..2].copy_from_slice(&PROTOCOL);
        to[2] = match self.kind {
            Kind::Hello => 1,
            Kind::Data => 2,
            Kind::Knock => 3,
            Kind::Welcome => 4,
        };
        to[3] = 0;
        to[4..8].copy_from_slice(&self.key.to_le_bytes());
        for (at, field) in [self.cluster, self.from, self.to, self.session, self.counter].iter().enumerate() {
            to[8 + 8 * at..16 + 8 * at].copy_from_slice(&field.to_le_bytes());
        }
    }
}

/// The tag by which headers name a session. The whole session is in the keys.
pub(super) fn tag(session: &[u8; 16]) -> u64 {
    u64_at(session, 0)
}

/// Seals the bytes after the first `clear` ones, and appends the seal.
pub(super) fn seal(key: &LessSafeKey, counter: u64, datagram: &mut Vec<u8>, clear: usize) {
    let (head, body) = datagram.split_at_mut(clear);
    let sealed = key.seal_in_place_separate_tag(nonce(counter), Aad::from(&*head), body);
    let tag = sealed.expect("no datagram is as long as AES-GCM's limit");
    datagram.extend_from_slice(tag.as_ref());
}

/// Opens the bytes after the first `clear` ones.
pub(super) fn open<'a>(
    key: &LessSafeKey,
    counter: u64,
    datagram: &'a mut [u8],
    clear: usize,
) -> Result<&'a [u8], Dropped> {
    let (head, body) = datagram.split_at_mut_checked(clear).ok_or(Dropped::TooShort)?;
    match key.open_in_place(nonce(counter), Aad::from(&*head), body) {
        Ok(body) => Ok(body),
        Err(_) => Err(Dropped::Forged),
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// The session of a start. It follows from what was drawn for the start and from the count of starts. So equal draws make
/// equal sessions only where the count of starts came back, too. It reveals nothing of what was drawn.
pub(super) fn session(drawn: &[u8; 16], me: u64, standing: &Standing) -> [u8; 16] {
    let names: Vec<u8> = [me, standing.disk, standing.boot].iter().flat_map(|n| n.to_le_bytes()).collect();
    let whole = keys::expand(drawn, &[], &[b"synod 2 session", &names]);
    whole[..16].try_into().expect("sixteen bytes")
}

/// The secrets of members: the first seals, and all open.
pub(super) struct Secrets(Vec<Key>);

impl Secrets {
    pub(super) fn new(keys: Option<&Keys>) -> Secrets {
        Secrets(keys.map(|keys| keys.iter().cloned().collect()).unwrap_or_default())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// The secret that seals, if there is any.
    pub(super) fn first(&self) -> Option<&Key> {
        self.0.first()
    }

    pub(super) fn find(&self, id: u32) -> Option<&Key> {
        self.0.iter().find(|key| key.id() == id)
    }
}

/// Derives a key for one purpose, which `salt` and `info` name.
pub(super) fn derive(secret: &Key, salt: &[u8], info: &[&[u8]]) -> LessSafeKey {
    aead(&keys::expand(secret.bytes(), salt, info))
}

pub(super) fn aead(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("a key of 32 bytes"))
}

pub(super) fn mac(bytes: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, bytes)
}
