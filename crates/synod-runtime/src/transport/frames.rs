//! The payload sealed in a datagram: the sender's standing, then messages, whole or in pieces.

use super::counts::Dropped;
use crate::standing::Standing;
use crate::varint;
use std::collections::BTreeMap;

const MESSAGE: u8 = 0;
const PIECE_TAG: u8 = 1;
const BUSY: u8 = 2;
const LISTED: u8 = 3;

/// The bit of a preamble's first byte that says that its sender takes part, and the one that says that a number follows.
const ADMITTED: u8 = 1;
const NUMBER: u8 = 2;

/// The most bytes of a piece besides its contents.
pub(super) const PIECE: usize = 1 + 10 + 5 + 5 + 5;
/// The bytes that [`busy`] writes.
pub(super) const BUSY_LEN: usize = 1;

/// One frame of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A whole message.
    Message(&'a [u8]),
    /// A piece of a message.
    Piece(Piece<'a>),
    /// The sender of this frame dropped a message of the receiver.
    Busy,
    /// The members, as the sender of this frame tells them to a client.
    Listed(&'a [u8]),
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    number: u64,
    offset: usize,
    total: usize,
    bytes: &'a [u8],
}

/// The most bytes that [`write_preamble`] writes.
pub(super) fn most_preamble(number: Option<u64>) -> usize {
    if number.is_some() { 21 } else { 11 }
}

/// Begins a payload.
pub(super) fn write_preamble(standing: &Standing, number: Option<u64>, to: &mut Vec<u8>) {
    to.push(if standing.admitted { ADMITTED } else { 0 } | if number.is_some() { NUMBER } else { 0 });
    varint::write(standing.saves, to);
    if let Some(number) = number {
        varint::write(number, to);
    }
}

/// Reads the beginning of a payload: the sender's standing, and the number of its last configuration if it says so. Returns both and the rest.
pub(super) fn preamble(payload: &[u8]) -> Result<(Standing, Option<u64>, &[u8]), Dropped> {
    let (flags, mut rest) = payload.split_first().ok_or(Dropped::Malformed)?;
    if flags & !(ADMITTED | NUMBER) != 0 {
        return Err(Dropped::Malformed);
    }
    let mut read = || varint::read(&mut rest).ok_or(Dropped::Malformed);
    let saves = read()?;
    let number = if flags & NUMBER != 0 { Some(read()?) } else { None };
    Ok((Standing { saves, admitted: flags & ADMITTED != 0, ..Standing::default() }, number, rest))
}

/// The length of a whole message's frame.
pub(super) fn message_len(len: usize) -> usize {
    // A length of 2^21 and more never fits a datagram.
    1 + if len < 1 << 7 {
        1
    } else if len < 1 << 14 {
        2
    } else {
        3
    } + len
}

pub(super) fn message(bytes: &[u8], to: &mut Vec<u8>) {
    to.push(MESSAGE);
    varint::write(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

pub(super) fn piece(number: u64, offset: usize, total: usize, bytes: &[u8], to: &mut Vec<u8>) {
    to.push(PIECE_TAG);
    for field in [number, offset as u64, total as u64, bytes.len() as u64] {
        varint::write(field, to);
    }
    to.extend_from_slice(bytes);
}

pub(super) fn busy(to: &mut Vec<u8>) {
    to.push(BUSY);
}

/// A list of members. It takes as many bytes as a message does.
pub(super) fn listed(bytes: &[u8], to: &mut Vec<u8>) {
    to.push(LISTED);
    varint::write(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// Takes the next frame off a payload that is not empty.
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Result<Frame<'a>, Dropped> {
    let (tag, after) = rest.split_first().ok_or(Dropped::Malformed)?;
    *rest = after;
    let mut number = || varint::read(rest).ok_or(Dropped::Malformed);
    match *tag {
        MESSAGE => {
            let len = number()?;
            Ok(Frame::Message(bytes(rest, len)?))
        }
        PIECE_TAG => {
            let (message, offset, total, len) = (number()?, number()?, number()?, number()?);
            let small = |n: u64| usize::try_from(n).map_err(|_| Dropped::Malformed);
            let (offset, total) = (small(offset)?, small(total)?);
            Ok(Frame::Piece(Piece { number: message, offset, total, bytes: bytes(rest, len)? }))
        }
        BUSY => Ok(Frame::Busy),
        LISTED => {
            let len = number()?;
            Ok(Frame::Listed(bytes(rest, len)?))
        }
        _ => Err(Dropped::Malformed),
    }
}

fn bytes<'a>(rest: &mut &'a [u8], len: u64) -> Result<&'a [u8], Dropped> {
    let len = usize::try_from(len).map_err(|_| Dropped::Malformed)?;
    let (taken, after) = rest.split_at_checked(len).ok_or(Dropped::Malformed)?;
    *rest = after;
    Ok(taken)
}

/// Messages of one sender of which some pieces are missing.
#[derive(Default)]
pub(super) struct Partials(BTreeMap<u64, Partial>);

struct Partial {
    bytes: Vec<u8>,
    /// The place of each piece that came, and its length.
    came: BTreeMap<usize, usize>,
    missing: usize,
}

/// The shortest piece that is not a message's last. The shortest datagram has room for more.
const SHORTEST_PIECE: usize = 256;
/// The most messages of one sender that are put together at a time. The oldest makes room.
const MOST_PARTIALS: usize = 4;

impl Partials {
    /// The bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(|partial| partial.bytes.len()).sum()
    }

    /// Adds a piece, and returns the message if it was the last one missing. Refuses a message longer than `max`, and
    /// one for which there is no `room`.
    pub(super) fn take(
        &mut self,
        piece: &Piece<'_>,
        max: usize,
        room: usize,
    ) -> Result<Option<Vec<u8>>, Dropped> {
        let Piece { number, offset, total, bytes } = *piece;
        if total > max {
            return Err(Dropped::Oversized);
        }
        let end = offset.checked_add(bytes.len()).filter(|end| *end <= total && !bytes.is_empty());
        let end = end.ok_or(Dropped::Malformed)?;
        // A sender of pieces fills datagrams. Smaller pieces would cost more to keep than they carry.
        if bytes.len() < SHORTEST_PIECE && end != total {
            return Err(Dropped::Malformed);
        }
        if !self.0.contains_key(&number) {
            if self.0.len() >= MOST_PARTIALS {
                // A message older than everything under way has been given up already.
                match self.0.first_key_value() {
                    Some((oldest, _)) if *oldest > number => return Err(Dropped::NoRoom),
                    _ => drop(self.0.pop_first()),
                }
            }
            if total > room.saturating_sub(self.bytes()) {
                return Err(Dropped::NoRoom);
            }
        }
        let partial = self.0.entry(number).or_insert_with(|| Partial {
            bytes: vec![0; total],
            came: BTreeMap::new(),
            missing: total,
        });
        let before = partial.came.range(..=offset).next_back().map_or(0, |(at, len)| at + len);
        let overlaps =
            before > offset || partial.came.range(offset..).next().is_some_and(|(at, _)| *at < end);
        if partial.bytes.len() != total || overlaps {
            return Err(Dropped::Malformed);
        }
        partial.bytes[offset..end].copy_from_slice(bytes);
        partial.came.insert(offset, bytes.len());
        partial.missing -= bytes.len();
        if partial.missing > 0 {
            return Ok(None);
        }
        Ok(self.0.remove(&number).map(|partial| partial.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 10_000;

    fn piece(number: u64, offset: usize, total: usize, bytes: &[u8]) -> Piece<'_> {
        Piece { number, offset, total, bytes }
    }

    #[test]
    fn pieces_in_any_order_make_a_message_once() {
        let message: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
        let mut partials = Partials::default();
        for offset in [600, 0, 300] {
            let end = (offset + 300).min(1000);
            let end = if offset == 600 { 1000 } else { end };
            let whole = partials.take(&piece(1, offset, 1000, &message[offset..end]), MAX, MAX);
            let expected = (offset == 300).then(|| message.clone());
            assert_eq!(whole, Ok(expected), "at {offset}");
        }
        assert_eq!(partials.bytes(), 0);
    }

    #[test]
    fn pieces_that_do_not_fit_each_other_are_refused() {
        let bytes = [1; 300];
        let refused =
            |partials: &mut Partials, piece: &Piece<'_>| partials.take(piece, MAX, MAX).expect_err("no");
        let mut partials = Partials::default();
        assert_eq!(partials.take(&piece(1, 300, 1000, &bytes), MAX, MAX), Ok(None));
        for (offset, total) in
            [(300, 1000), (200, 1000), (500, 1000), (0, 999), (900, 1000), (usize::MAX, 1000)]
        {
            let dropped = refused(&mut partials, &piece(1, offset, total, &bytes));
            assert_eq!(dropped, Dropped::Malformed, "{offset} of {total}");
        }
        assert_eq!(refused(&mut partials, &piece(2, 0, 1000, &[])), Dropped::Malformed, "nothing in it");
        assert_eq!(refused(&mut partials, &piece(2, 0, 1000, &[1; 255])), Dropped::Malformed, "too short");
        assert_eq!(refused(&mut partials, &piece(2, 0, MAX + 1, &bytes)), Dropped::Oversized);
        assert_eq!(partials.take(&piece(1, 0, 1000, &bytes), MAX, MAX), Ok(None), "and the first goes on");
    }

    #[test]
    fn the_oldest_makes_room_and_what_is_older_still_is_refused() {
        let bytes = [1; 300];
        let mut partials = Partials::default();
        for number in 10..20 {
            assert_eq!(partials.take(&piece(number, 0, 1000, &bytes), MAX, MAX), Ok(None));
        }
        assert_eq!(partials.bytes(), MOST_PARTIALS * 1000);
        assert_eq!(partials.take(&piece(9, 0, 1000, &bytes), MAX, MAX), Err(Dropped::NoRoom));
        assert_eq!(partials.take(&piece(20, 0, 1000, &bytes), MAX, 3500), Err(Dropped::NoRoom));
        assert!(partials.bytes() <= 3500);
    }

    #[test]
    fn whatever_is_said_is_read_or_refused() {
        for seed in 0..2000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..rng.usize(..60)).map(|_| rng.u8(..)).collect();
            let Ok((_, _, mut rest)) = preamble(&bytes) else { continue };
            let mut before = rest.len();
            while !rest.is_empty() && next(&mut rest).is_ok() {
                assert!(rest.len() < before, "seed {seed}: a frame takes at least a byte");
                before = rest.len();
            }
        }
    }
}
