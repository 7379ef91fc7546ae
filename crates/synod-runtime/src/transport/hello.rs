//! Greetings: the sender's standing, its session, the receiver's session as far as it has heard of it, its knowledge of the receiver, and its
//! list of members.

use super::counts::Dropped;
use super::seal::{self, HEADER, Header, Kind, SEAL, Secrets};
use crate::standing::{Known, Standing};
use crate::varint;
use ring::aead::LessSafeKey;

const SESSION: usize = 16;
/// Header and session are in the clear, and authenticated.
const CLEAR: usize = HEADER + SESSION;
/// The bytes of a body before its list of members.
const BODY: usize = 33 + 16 + 2 + 34 + 8;
/// The longest list of members that is sent, in bytes: 64 ids of up to three bytes each. With it a greeting fits the shortest
/// datagram.
const MOST_LIST: usize = 64 * 3;

/// The contents of a greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) standing: Standing,
    /// The receiver's session, as far as the sender knows it.
    pub(super) echo: [u8; 16],
    /// True if the sender is in that session: of what the receiver said before it, nothing will have an effect any more that
    /// `known` does not tell of.
    pub(super) settled: bool,
    /// True if the sender has heard such a greeting of the receiver; if not, it waits for one.
    pub(super) hears: bool,
    /// The sender's knowledge of the receiver.
    pub(super) known: Option<Known>,
    /// True if the receiver's directory is durably recorded at the sender.
    pub(super) recorded: bool,
    /// The number of the last configuration that the sender has executed; 0 where members do not change.
    pub(super) number: u64,
    /// The ids of all members in order, between members; empty between a member and a client.
    pub(super) members: Vec<u64>,
}

/// Writes ids in order. `None` if there are too many, or the largest are too large, for any honest configuration.
pub(super) fn write_members(members: &[u64]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for id in members {
        varint::write(*id, &mut bytes);
    }
    (bytes.len() <= MOST_LIST).then_some(bytes)
}

fn read_members(mut bytes: &[u8]) -> Result<Vec<u64>, Dropped> {
    if bytes.len() > MOST_LIST {
        return Err(Dropped::Malformed);
    }
    let mut members = Vec::new();
    while !bytes.is_empty() {
        members.push(varint::read(&mut bytes).ok_or(Dropped::Malformed)?);
    }
    if members.is_sorted_by(|one, next| one < next) { Ok(members) } else { Err(Dropped::Malformed) }
}

/// The key of a greeting. Each session greets under its own, so that its counter can serve as nonce.
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
        let mut datagram = Vec::with_capacity(CLEAR + BODY + MOST_LIST + SEAL);
        datagram.resize(HEADER, 0);
        header.write(&mut datagram);
        datagram.extend_from_slice(session);
        let Standing { disk, boot, nonce, saves, admitted } = self.standing;
        for field in [disk, boot, nonce, saves] {
            datagram.extend_from_slice(&field.to_le_bytes());
        }
        datagram.push(u8::from(admitted));
        datagram.extend_from_slice(&self.echo);
        let known = self.known.unwrap_or_default();
        datagram.extend([self.settled, self.hears, self.known.is_some(), self.recorded].map(u8::from));
        for field in [known.disk, known.boot, known.nonce, known.saves] {
            datagram.extend_from_slice(&field.to_le_bytes());
        }
        datagram.extend_from_slice(&self.number.to_le_bytes());
        datagram.extend(write_members(&self.members).unwrap_or_default());
        seal::seal(&key(secret, session, (cluster, from, to)), counter, &mut datagram, CLEAR);
        datagram
    }

    /// Opens a greeting. Returns the sender's session and the contents.
    pub(super) fn open(
        secrets: &Secrets,
        header: &Header,
        datagram: &mut [u8],
    ) -> Result<([u8; 16], Hello), Dropped> {
        if datagram.len() < CLEAR + BODY + SEAL {
            return Err(Dropped::TooShort);
        }
        let session: [u8; 16] = datagram[HEADER..CLEAR].try_into().expect("sixteen bytes");
        let secret = secrets.find(header.key).ok_or(Dropped::UnknownKey)?;
        let key = key(secret, &session, (header.cluster, header.from, header.to));
        let body = seal::open(&key, header.counter, datagram, CLEAR)?;
        Ok((session, Hello::read(body)?))
    }

    /// Reads the contents of a greeting that was opened.
    pub(super) fn read(body: &[u8]) -> Result<Hello, Dropped> {
        let (body, members) = body.split_at_checked(BODY).ok_or(Dropped::Malformed)?;
        let u64_at = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let flag = |at: usize| match body[at] {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Dropped::Malformed),
        };
        let [disk, boot, nonce, saves] = [0, 8, 16, 24].map(u64_at);
        let standing = Standing { disk, boot, nonce, saves, admitted: flag(32)? };
        let echo = body[33..49].try_into().expect("sixteen bytes");
        let (settled, hears, recorded) = (flag(49)?, flag(50)?, flag(52)?);
        let [disk, boot, nonce, saves] = [53, 61, 69, 77].map(u64_at);
        let known = flag(51)?.then_some(Known { disk, boot, nonce, saves });
        let (number, members) = (u64_at(85), read_members(members)?);
        Ok(Hello { standing, echo, settled, hears, known, recorded, number, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;

    fn opened(hello: &Hello) -> (usize, Result<Hello, Dropped>) {
        let secrets = Secrets::new(Some(&Keys::single([1; 32])));
        let mut datagram = hello.seal(&secrets, (1, 2, 3), &[5; 16], 9);
        let header = Header::read(&datagram).expect("a header");
        (datagram.len(), Hello::open(&secrets, &header, &mut datagram).map(|(_, hello)| hello))
    }

    #[test]
    fn what_a_greeting_says_is_read_back_and_fits_the_shortest_datagram() {
        let standing = Standing { disk: u64::MAX, boot: 2, nonce: 3, saves: 4, admitted: true };
        let known = Some(Known { disk: 5, boot: 6, nonce: 7, saves: u64::MAX });
        let members: Vec<u64> = (0..64).map(|at| 65_472 + at).collect();
        let all = Hello {
            standing,
            echo: [8; 16],
            settled: true,
            hears: true,
            known,
            recorded: true,
            number: 9,
            members,
        };
        let (length, read) = opened(&all);
        assert!(length <= 508, "{length} bytes");
        assert_eq!(read.as_ref(), Ok(&all));
        let none =
            Hello { settled: false, hears: false, known: None, recorded: false, members: Vec::new(), ..all };
        assert_eq!(opened(&none).1.as_ref(), Ok(&none));
    }

    #[test]
    fn lists_that_no_member_sends_are_refused() {
        let standing = Standing::default();
        let with = |members| {
            let (settled, hears, known, recorded) = (false, false, None, false);
            opened(&Hello { standing, echo: [0; 16], settled, hears, known, recorded, number: 0, members }).1
        };
        assert!(with(vec![0, 3, 500]).is_ok());
        assert_eq!(with(vec![3, 3]), Err(Dropped::Malformed));
        assert_eq!(with(vec![3, 2]), Err(Dropped::Malformed));
        assert_eq!(write_members(&(0..65).map(|at| at + 60_000).collect::<Vec<_>>()), None);
        assert_eq!(read_members(&[1; 193]), Err(Dropped::Malformed));
        assert_eq!(read_members(&[0x80]), Err(Dropped::Malformed));
    }
}
