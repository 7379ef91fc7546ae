//! One session with one other process: the keys of both directions, the counter of sent datagrams, and the window of received
//! ones.

use super::counts::Dropped;
use super::seal::{self, HEADER, Header, Kind, Secrets};
use crate::keys::Key;
use ring::aead::LessSafeKey;

/// The distance behind the newest within which a datagram can still be told from a repetition.
const WINDOW: u64 = 2048;
const WORDS: usize = (WINDOW / 64) as usize;

/// One session.
pub(super) struct Link {
    /// The tags by which datagrams of mine and of theirs name their session.
    tags: (u64, u64),
    theirs: [u8; 16],
    their_boot: u64,
    /// The id of the secret that seals, and the key; none if no secrets are left.
    sends: Option<(u32, LessSafeKey)>,
    opens: Vec<(u32, LessSafeKey)>,
    counter: u64,
    messages: u64,
    newest: u64,
    seen: [u64; WORDS],
}

type Session<'a> = (&'a [u8; 16], u64);

/// The key of one direction. Both sessions are in it, so no two runs ever share one. The counts of starts are in
/// it, too, so that a generator that repeats itself after a start does not repeat the key.
fn key(
    secret: &Key,
    from: Session<'_>,
    to: Session<'_>,
    (cluster, src, dst): (u64, u64, u64),
) -> LessSafeKey {
    let salt = [from.0.as_slice(), to.0.as_slice()].concat();
    let names: Vec<u8> = [cluster, src, dst, from.1, to.1].iter().flat_map(|n| n.to_le_bytes()).collect();
    seal::derive(secret, &salt, &[b"synod 2 data", &names])
}

impl Link {
    /// A new session, made of both ends' sessions, each with its count of starts.
    pub(super) fn new(
        secrets: &Secrets,
        (cluster, me, other): (u64, u64, u64),
        mine: ([u8; 16], u64),
        theirs: ([u8; 16], u64),
    ) -> Link {
        let mut link = Link::unkeyed((seal::tag(&mine.0), seal::tag(&theirs.0)));
        (link.theirs, link.their_boot) = theirs;
        link.rekey(secrets, (cluster, me, other), (&mine.0, mine.1));
        link
    }

    /// A session between a client and a member: tags and keys of what goes out and of what comes in, and the id of the secret
    /// under which they agreed.
    pub(super) fn of_client(id: u32, tags: (u64, u64), sends: LessSafeKey, opens: LessSafeKey) -> Link {
        Link { sends: Some((id, sends)), opens: vec![(id, opens)], ..Link::unkeyed(tags) }
    }

    fn unkeyed(tags: (u64, u64)) -> Link {
        Link {
            tags,
            theirs: [0; 16],
            their_boot: 0,
            sends: None,
            opens: Vec::new(),
            counter: 0,
            messages: 0,
            newest: 0,
            seen: [0; WORDS],
        }
    }

    /// True if anything was heard in it.
    pub(super) fn is_heard(&self) -> bool {
        self.newest > 0
    }

    /// True if a datagram is the newest that was heard in it. The datagram must have been opened.
    pub(super) fn is_newest(&self, header: &Header) -> bool {
        header.counter == self.newest
    }

    /// The other's session.
    pub(super) fn theirs(&self) -> &[u8; 16] {
        &self.theirs
    }

    /// Replaces the secrets. Counters and window go on.
    pub(super) fn rekey(
        &mut self,
        secrets: &Secrets,
        (cluster, me, other): (u64, u64, u64),
        mine: Session<'_>,
    ) {
        let theirs = (&self.theirs, self.their_boot);
        self.sends =
            secrets.first().map(|secret| (secret.id(), key(secret, mine, theirs, (cluster, me, other))));
        self.opens = secrets
            .iter()
            .map(|secret| (secret.id(), key(secret, theirs, mine, (cluster, other, me))))
            .collect();
    }

    /// A number for a message that goes in pieces.
    pub(super) fn next_message(&mut self) -> u64 {
        self.messages += 1;
        self.messages
    }

    /// Seals a datagram whose payload follows room for the header. True if it could.
    pub(super) fn seal(&mut self, (cluster, from, to): (u64, u64, u64), datagram: &mut Vec<u8>) -> bool {
        let (Some((id, key)), Some(counter)) = (&self.sends, self.counter.checked_add(1)) else {
            return false;
        };
        self.counter = counter;
        Header { kind: Kind::Data, key: *id, cluster, from, to, session: self.tags.0, counter }
            .write(&mut datagram[..HEADER]);
        seal::seal(key, counter, datagram, HEADER);
        true
    }

    /// Opens a datagram, once.
    pub(super) fn open<'a>(&mut self, header: &Header, datagram: &'a mut [u8]) -> Result<&'a [u8], Dropped> {
        if header.session != self.tags.1 {
            return Err(Dropped::StaleSession);
        }
        if self.is_seen(header.counter) {
            return Err(Dropped::Replayed);
        }
        let (_, key) = self.opens.iter().find(|(id, _)| *id == header.key).ok_or(Dropped::UnknownKey)?;
        let payload = seal::open(key, header.counter, datagram, HEADER)?;
        // Only an authentic datagram may move the window.
        self.note(header.counter);
        Ok(payload)
    }

    fn is_seen(&self, counter: u64) -> bool {
        if counter > self.newest {
            return false;
        }
        if self.newest - counter >= WINDOW {
            return true;
        }
        let bit = counter % WINDOW;
        counter == 0 || self.seen[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    fn note(&mut self, counter: u64) {
        if counter > self.newest {
            if counter - self.newest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for passed in self.newest + 1..counter {
                    let bit = passed % WINDOW;
                    self.seen[(bit / 64) as usize] &= !(1 << (bit % 64));
                }
            }
            self.newest = counter;
        }
        let bit = counter % WINDOW;
        self.seen[(bit / 64) as usize] |= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use std::collections::BTreeSet;

    #[test]
    fn the_window_takes_each_counter_once_and_none_from_long_ago() {
        let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        eprintln!("SYNOD_SEED={seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let secrets = Secrets::new(Some(&Keys::single([1; 32])));
        let mut link = Link::new(&secrets, (1, 2, 3), ([1; 16], 1), ([2; 16], 1));
        let (mut taken, mut newest) = (BTreeSet::new(), 0_u64);
        for _ in 0..200_000 {
            let counter = match rng.u8(..20) {
                0 => newest + rng.u64(..3 * WINDOW),
                1 => newest.saturating_sub(rng.u64(..2 * WINDOW)),
                _ => (newest + 3).saturating_sub(rng.u64(..40)),
            };
            let expected = counter == 0 || newest >= counter + WINDOW || taken.contains(&counter);
            assert_eq!(link.is_seen(counter), expected, "{counter} when the newest is {newest}");
            if !expected {
                link.note(counter);
                taken.insert(counter);
                newest = newest.max(counter);
            }
        }
    }
}
