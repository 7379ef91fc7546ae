//! Greetings: who I am at, which session I am in, which of yours I have heard of, and what I durably know of you.

use super::counts::Dropped;
use super::seal::{self, HEADER, Header, Kind, SEAL, Secrets};
use crate::standing::{Known, Standing};
use ring::aead::LessSafeKey;

const SESSION: usize = 16;
/// Header and session are in the clear, and authenticated.
const CLEAR: usize = HEADER + SESSION;
const BODY: usize = 25 + 16 + 25;

/// What a greeting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) standing: Standing,
    /// The receiver's session, as far as the sender knows it.
    pub(super) echo: [u8; 16],
    pub(super) known: Option<Known>,
}

/// Each session greets under a key of its own, so that its counter can serve as nonce.
fn key(secret: &crate::keys::Key, session: &[u8; 16], (cluster, from, to): (u64, u64, u64)) -> LessSafeKey {
    let names = [cluster.to_le_bytes(), from.to_le_bytes(), to.to_le_bytes()].concat();
    seal::derive(secret, session, &[b"synod 2 hello", &names])
}

impl Hello {
    /// A sealed greeting; an empty datagram if there is no key to seal it with.
    pub(super) fn seal(
        &self,
        secrets: &Secrets,
        (cluster, from, to): (u64, u64, u64),
        session: &[u8; 16],
        counter: u64,
    ) -> Vec<u8> {
        let Some(secret) = secrets.first() else { return Vec::new() };
        let header = Header {
            kind: Kind::Hello,
            key: secret.id(),
            cluster,
            from,
            to,
            session: seal::tag(session),
            counter,
        };
        let mut datagram = Vec::with_capacity(CLEAR + BODY + SEAL);
        datagram.resize(HEADER, 0);
        header.write(&mut datagram);
        datagram.extend_from_slice(session);
        let Standing { disk, boot, saves, admitted } = self.standing;
        for field in [disk, boot, saves] {
            datagram.extend_from_slice(&field.to_le_bytes());
        }
        datagram.push(u8::from(admitted));
        datagram.extend_from_slice(&self.echo);
        let known = self.known.unwrap_or_default();
        datagram.push(u8::from(self.known.is_some()));
        for field in [known.disk, known.boot, known.saves] {
            datagram.extend_from_slice(&field.to_le_bytes());
        }
        seal::seal(&key(secret, session, (cluster, from, to)), counter, &mut datagram, CLEAR);
        datagram
    }

    /// Opens a greeting: the sender's session, and what it says.
    pub(super) fn open(
        secrets: &Secrets,
        header: &Header,
        datagram: &mut [u8],
    ) -> Result<([u8; 16], Hello), Dropped> {
        if datagram.len() != CLEAR + BODY + SEAL {
            return Err(Dropped::TooShort);
        }
        let session: [u8; 16] = datagram[HEADER..CLEAR].try_into().expect("sixteen bytes");
        let secret = secrets.find(header.key).ok_or(Dropped::UnknownKey)?;
        let key = key(secret, &session, (header.cluster, header.from, header.to));
        let body = seal::open(&key, header.counter, datagram, CLEAR)?;
        Ok((session, Hello::read(body)?))
    }

    /// Reads what was sealed.
    pub(super) fn read(body: &[u8]) -> Result<Hello, Dropped> {
        let body: &[u8; BODY] = body.try_into().map_err(|_| Dropped::Malformed)?;
        let u64_at = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let flag = |at: usize| match body[at] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Dropped::Malformed),
        };
        let standing = Standing { disk: u64_at(0), boot: u64_at(8), saves: u64_at(16), admitted: flag(24)? };
        let echo = body[25..41].try_into().expect("sixteen bytes");
        let known = Known { disk: u64_at(42), boot: u64_at(50), saves: u64_at(58) };
        Ok(Hello { standing, echo, known: flag(41)?.then_some(known) })
    }
}
