//! The records of a journal, and the state that they add up to.

use crate::apart::Named;
use crate::changes::{Changes, decode};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use synod_admission::{Begun, MOST_STARTS, Memory, Mine};

pub use crate::standing::Known;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// The first record of each file: the number of the first start that is listed, the number of saves, whether the member was admitted, and the length of the
    /// snapshot that follows.
    Base(u64, u64, bool, Option<u64>),
    /// The next piece of that snapshot.
    Piece(&'a [u8]),
    /// The next member of the cluster, in the order of ids.
    Member(u64),
    /// A start that is listed: its random number, and the number of saves it found.
    Past(u64, u64),
    /// The directory was opened for this time, by the process with this random number.
    Boot(u64, u64),
    Admitted,
    Known(u64, Known),
    /// The number of a save and its change.
    Save(u64, &'a [u8]),
    /// A change from the snapshot towards the state that the file opens with.
    Part(&'a [u8]),
}

const BASE: u8 = 1;
const PIECE: u8 = 2;
const BOOT: u8 = 3;
const ADMITTED: u8 = 4;
const KNOWN: u8 = 5;
const SAVE: u8 = 6;
const MEMBER: u8 = 7;
const PAST: u8 = 8;
const PART: u8 = 9;

/// Writes the bytes of a save that stand before its change.
pub(super) fn begin_save(number: u64, out: &mut Vec<u8>) {
    out.push(SAVE);
    out.extend_from_slice(&number.to_le_bytes());
}

impl<'a> Record<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut words = |kind: u8, words: &[u64]| {
            out.push(kind);
            out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        match *self {
            Self::Base(first, saves, admitted, snapshot) => {
                let (there, length) = (u64::from(snapshot.is_some()), snapshot.unwrap_or(0));
                words(BASE, &[first, saves, u64::from(admitted), there, length]);
            }
            Self::Piece(bytes) => {
                words(PIECE, &[]);
                out.extend_from_slice(bytes);
            }
            Self::Member(id) => words(MEMBER, &[id]),
            Self::Past(nonce, saves) => words(PAST, &[nonce, saves]),
            Self::Boot(boot, nonce) => words(BOOT, &[boot, nonce]),
            Self::Admitted => words(ADMITTED, &[]),
            Self::Known(peer, Known { disk, boot, nonce, saves }) => {
                words(KNOWN, &[peer, disk, boot, nonce, saves]);
            }
            Self::Part(change) => {
                words(PART, &[]);
                out.extend_from_slice(change);
            }
            Self::Save(number, change) => {
                begin_save(number, out);
                out.extend_from_slice(change);
            }
        }
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, String> {
        let (&kind, body) = bytes.split_first().ok_or("an empty record")?;
        let wrong = || format!("a record of kind {kind} with {} bytes", body.len());
        let record = match kind {
            BASE => {
                let [first, saves, admitted, there, length] = words(body).ok_or_else(wrong)?;
                if admitted > 1 || there > 1 || (there == 0 && length > 0) {
                    return Err("a base that says neither yes nor no".into());
                }
                Self::Base(first, saves, admitted == 1, (there == 1).then_some(length))
            }
            PIECE => Self::Piece(body),
            PART => Self::Part(body),
            BOOT => {
                let [boot, nonce] = words(body).ok_or_else(wrong)?;
                Self::Boot(boot, nonce)
            }
            MEMBER => {
                let [id] = words(body).ok_or_else(wrong)?;
                Self::Member(id)
            }
            PAST => {
                let [nonce, saves] = words(body).ok_or_else(wrong)?;
                Self::Past(nonce, saves)
            }
            ADMITTED => {
                let [] = words(body).ok_or_else(wrong)?;
                Self::Admitted
            }
            KNOWN => {
                let [peer, disk, boot, nonce, saves] = words(body).ok_or_else(wrong)?;
                Self::Known(peer, Known { disk, boot, nonce, saves })
            }
            SAVE => {
                let (number, change) = body.split_first_chunk().ok_or_else(wrong)?;
                Self::Save(u64::from_le_bytes(*number), change)
            }
            _ => return Err(format!("a record of the unknown kind {kind}")),
        };
        Ok(record)
    }
}

/// Exactly `N` numbers.
fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = [0; N];
    if bytes.len() != 8 * N {
        return None;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    Some(words)
}

/// The knowledge of a member besides its stable state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The ids of all members in order.
    pub(super) members: Vec<u64>,
    /// The starts, and whether the member was admitted. The disk's id is the journal's.
    pub(super) mine: Mine,
    pub(super) saves: u64,
    pub(super) memory: Memory,
}

/// No honest count reaches this, and below it none can overflow while a process lives.
const ABSURD: u64 = 1 << 62;

/// The records read so far.
pub(super) struct Replay<S, C> {
    facts: Option<Facts>,
    known: BTreeMap<u64, Known>,
    state: Option<S>,
    /// The bytes that the state names.
    apart: Named,
    snapshot: Vec<u8>,
    /// The length of the snapshot while it is being read.
    awaited: Option<u64>,
    way: PhantomData<C>,
}

impl<S, C: Changes<S>> Replay<S, C> {
    pub(super) fn new() -> Self {
        Self {
            facts: None,
            known: BTreeMap::new(),
            state: None,
            apart: Named::new(),
            snapshot: Vec::new(),
            awaited: None,
            way: PhantomData,
        }
    }

    pub(super) fn record(&mut self, bytes: &[u8]) -> Result<(), String> {
        let record = Record::decode(bytes)?;
        let Some(facts) = &mut self.facts else {
            let Record::Base(first, saves, admitted, awaited) = record else {
                return Err("a journal that does not start with a base".into());
            };
            if first >= ABSURD || saves >= ABSURD {
                return Err(format!("{first} starts and {saves} saves"));
            }
            let mine = Mine { first, admitted, ..Mine::default() };
            self.facts = Some(Facts { mine, saves, ..Facts::default() });
            self.awaited = awaited;
            return self.restore();
        };
        match record {
            Record::Base(..) => Err("a second base".into()),
            Record::Known(peer, known) => {
                self.known.insert(peer, known);
                Ok(())
            }
            Record::Member(id) if facts.members.last().is_none_or(|last| *last < id) => {
                facts.members.push(id);
                Ok(())
            }
            Record::Member(id) => Err(format!("member {id} out of order")),
            Record::Past(nonce, saves) if saves <= facts.saves && facts.mine.starts.len() < MOST_STARTS => {
                facts.mine.starts.push(Begun { nonce, saves });
                Ok(())
            }
            Record::Past(..) => Err("a start that cannot have been".into()),
            Record::Piece(piece) => {
                let Some(awaited) = self.awaited else { return Err("a piece of no snapshot".into()) };
                self.snapshot.extend_from_slice(piece);
                if self.snapshot.len() as u64 > awaited {
                    return Err(format!("more than the {awaited} bytes of a snapshot"));
                }
                self.restore()
            }
            _ if self.awaited.is_some() => Err("a snapshot that is not whole".into()),
            Record::Boot(boot, nonce) if boot == facts.mine.boot() + 1 => {
                facts.mine.count_start(Begun { nonce, saves: facts.saves });
                Ok(())
            }
            Record::Boot(boot, _) => Err(format!("boot {boot} after boot {}", facts.mine.boot())),
            Record::Part(change) => decode::<S, C>(&mut self.state, change, &mut self.apart)
                .map_err(|what| format!("a part: {what}")),
            Record::Admitted => {
                facts.mine.admitted = true;
                Ok(())
            }
            Record::Save(number, change) if number == facts.saves + 1 => {
                facts.saves = number;
                decode::<S, C>(&mut self.state, change, &mut self.apart)
                    .map_err(|what| format!("save {number}: {what}"))
            }
            Record::Save(number, _) => Err(format!("save {number} after save {}", facts.saves)),
        }
    }

    /// Takes the snapshot as soon as it is whole.
    fn restore(&mut self) -> Result<(), String> {
        if self.awaited == Some(self.snapshot.len() as u64) {
            self.awaited = None;
            let snapshot = std::mem::take(&mut self.snapshot);
            self.state =
                Some(C::restore(&snapshot, &mut self.apart).map_err(|what| format!("the snapshot: {what}"))?);
        }
        Ok(())
    }

    /// The state still lacks the bytes that it names.
    pub(super) fn finish(self) -> Result<(Facts, Option<S>, Named), String> {
        match self.facts {
            None => Err("a journal without a base".into()),
            Some(_) if self.awaited.is_some() => Err("a snapshot that is not whole".into()),
            Some(facts) => Ok((Facts { memory: Memory::read(self.known), ..facts }, self.state, self.apart)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Whole;

    const KNOWN: Known = Known { disk: 1, boot: 2, nonce: 9, saves: 3 };

    fn replayed(records: &[Record<'_>]) -> Result<(Facts, Option<u8>), String> {
        let mut replay = Replay::<u8, Whole>::new();
        for record in records {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            assert_eq!(Record::decode(&bytes).as_ref(), Ok(record));
            replay.record(&bytes)?;
        }
        replay.finish().map(|(facts, state, _)| (facts, state))
    }

    #[test]
    fn records_add_up() {
        let (facts, state) = replayed(&[
            Record::Base(3, 6, false, Some(1)),
            Record::Member(2),
            Record::Member(9),
            Record::Past(30, 5),
            Record::Past(40, 6),
            Record::Known(9, Known { saves: 0, ..KNOWN }),
            Record::Piece(&[5]),
            Record::Part(&[1, 6]),
            Record::Boot(5, 50),
            Record::Known(9, KNOWN),
            Record::Admitted,
            Record::Save(7, &[0, 8]),
            Record::Save(8, &[1, 9]),
        ])
        .unwrap();
        let starts = [(30, 5), (40, 6), (50, 6)].map(|(nonce, saves)| Begun { nonce, saves });
        let mine = Mine { disk: 0, first: 3, starts: starts.to_vec(), admitted: true };
        assert_eq!((facts.mine, facts.saves, facts.members), (mine, 8, vec![2, 9]));
        assert_eq!((facts.memory.all().collect::<Vec<_>>(), state), (vec![(9, KNOWN)], Some(9)));
        assert!(facts.memory.is_durable(9));
    }

    #[test]
    fn what_no_store_writes_is_refused() {
        let base = Record::Base(0, 0, false, None);
        for (records, says) in [
            (&[][..], "without a base"),
            (&[Record::Boot(1, 0)], "does not start with a base"),
            (&[base, base], "second base"),
            (&[Record::Base(0, ABSURD, false, None)], "saves"),
            (&[Record::Base(0, 0, false, Some(2)), Record::Piece(&[1])], "not whole"),
            (&[Record::Base(0, 0, false, Some(2)), Record::Boot(1, 0)], "not whole"),
            (&[Record::Base(0, 0, false, Some(1)), Record::Piece(&[1, 2])], "more than"),
            (&[Record::Base(0, 0, false, Some(0))], "the snapshot"),
            (&[base, Record::Piece(&[])], "a piece of no snapshot"),
            (&[base, Record::Part(&[1, 6])], "a part: a difference from a state that there is not"),
            (&[Record::Base(0, 0, false, Some(2)), Record::Part(&[1, 6])], "not whole"),
            (&[base, Record::Boot(2, 0)], "boot 2 after boot 0"),
            (&[base, Record::Member(2), Record::Member(2)], "member 2 out of order"),
            (&[base, Record::Past(0, 1)], "cannot have been"),
            (&[base, Record::Save(2, &[0, 1])], "save 2 after save 0"),
            (&[base, Record::Save(1, &[1, 1])], "that there is not"),
            (&[base, Record::Save(1, &[])], "an empty change"),
        ] {
            let refused = replayed(records).unwrap_err();
            assert!(refused.contains(says), "{refused:?} says {says:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let mut bytes = Vec::new();
        Record::Base(0, 0, true, Some(9)).encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(Record::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        bytes[17] = 2;
        assert!(Record::decode(&bytes).is_err(), "neither yes nor no");
        for bytes in
            [&[0][..], &[10], &[SAVE, 1], &[ADMITTED, 0], &[BOOT, 1], &[super::KNOWN; 32], &[MEMBER, 2]]
        {
            assert!(Record::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
