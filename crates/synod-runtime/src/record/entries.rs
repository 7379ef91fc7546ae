//! Entries as bytes: the encoding of events and outputs, and its reading.

use super::kinds::{Change, LONG, Output, Trigger};
use crate::varint;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_128;

/// The number of places of long messages that are remembered. A newer place may replace an older one.
const PLACES: usize = 4096;

pub(super) const END: u8 = 0;
const START: u8 = 1;
const DELIVER: u8 = 2;
const TIMEOUT: u8 = 3;
const RANDOM: u8 = 4;
const SAVE: u8 = 5;
const SEND: u8 = 6;
const SEND_SAME: u8 = 7;
const SET_TIMER: u8 = 8;
const CANCEL_TIMER: u8 = 9;
const CHOOSE: u8 = 10;
const DELIVER_SAME: u8 = 11;
const SAVE_LONG: u8 = 12;

/// Collects one entry after another. The same code writes records and, when they are replayed, makes the entries that they
/// are compared with.
#[derive(Default)]
pub struct Entries {
    bytes: Vec<u8>,
    last_msg: Option<Range<usize>>,
    /// The places of long messages in the file, if a file is written.
    places: Option<Places>,
}

/// The places of long messages in a file, with their checksum and length.
struct Places {
    /// The place in the file at which the collected bytes will stand.
    base: u64,
    known: Vec<(u128, u64, usize)>,
}

impl Places {
    /// The place of the same bytes, if a remembered place has them.
    fn of(&self, msg: &[u8]) -> Option<u64> {
        let sum = xxh3_128(msg);
        let (known, place, len) = self.known[sum as usize % PLACES];
        ((known, len) == (sum, msg.len())).then_some(place)
    }

    /// Remembers the bytes that were collected at `at`.
    fn remember(&mut self, msg: &[u8], at: usize) {
        let sum = xxh3_128(msg);
        self.known[sum as usize % PLACES] = (sum, self.base + at as u64, msg.len());
    }
}

impl Entries {
    /// Entries of a chunk that begins at `base` of its file, behind `room` bytes for its head.
    pub(super) fn of_file(base: u64, room: usize) -> Entries {
        let places = Places { base, known: vec![(0, 0, 0); PLACES] };
        Entries { bytes: vec![0; room], last_msg: None, places: Some(places) }
    }

    /// The chunk with the room for its head.
    pub(super) fn chunk(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Begins the chunk that follows in the file.
    pub(super) fn go_on(&mut self, room: usize) {
        if let Some(places) = &mut self.places {
            places.base += self.bytes.len() as u64;
        }
        self.bytes.truncate(room);
        self.last_msg = None;
    }

    /// The bytes collected so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last_msg = None;
    }

    /// Begins an entry.
    pub fn event(&mut self, event: Trigger<'_>) {
        self.last_msg = None;
        match event {
            Trigger::Start { saves, stable } => {
                self.bytes.push(START);
                self.number(saves);
                self.bytes.extend_from_slice(&stable.to_le_bytes());
            }
            Trigger::Deliver { src, msg } => {
                let places = self.places.as_ref().filter(|_| msg.len() >= LONG);
                if let Some(place) = places.and_then(|places| places.of(msg)) {
                    self.bytes.push(DELIVER_SAME);
                    self.number(src);
                    self.number(place);
                    self.number(msg.len() as u64);
                } else {
                    self.bytes.push(DELIVER);
                    self.number(src);
                    self.text(msg);
                    self.remember(msg);
                }
            }
            Trigger::Timeout { timer } => {
                self.bytes.push(TIMEOUT);
                self.text(timer);
            }
            Trigger::Random { key, index } => {
                self.bytes.push(RANDOM);
                self.text(key.as_bytes());
                self.number(index);
            }
        }
    }

    /// Adds an output to the entry.
    pub fn output(&mut self, output: Output<'_>) {
        match output {
            Output::Save { change: Change::Whole(change) } => {
                self.bytes.push(SAVE);
                self.text(change);
            }
            Output::Save { change: Change::Checksum { len, sum } } => {
                self.bytes.push(SAVE_LONG);
                self.number(len);
                self.bytes.extend_from_slice(&sum.to_le_bytes());
            }
            Output::Send { to, msg } => {
                // A broadcast costs its message once.
                if self.last_msg.clone().is_some_and(|last| &self.bytes[last] == msg) {
                    self.bytes.push(SEND_SAME);
                    self.number(to);
                } else {
                    self.bytes.push(SEND);
                    self.number(to);
                    self.text(msg);
                    self.last_msg = Some(self.bytes.len() - msg.len()..self.bytes.len());
                    // A message to itself will come back, and peers often send the same message.
                    self.remember(msg);
                }
            }
            Output::SetTimer { timer, from, to } => {
                self.bytes.push(SET_TIMER);
                self.text(timer);
                self.number(from);
                self.number(to);
            }
            Output::CancelTimer { timer } => {
                self.bytes.push(CANCEL_TIMER);
                self.text(timer);
            }
            Output::Choose { key, choices } => {
                self.bytes.push(CHOOSE);
                self.text(key.as_bytes());
                self.number(choices);
            }
        }
    }

    /// Ends an entry.
    pub fn end(&mut self) {
        self.bytes.push(END);
    }

    /// Remembers the place of a long message that was just collected.
    fn remember(&mut self, msg: &[u8]) {
        if let Some(places) = self.places.as_mut().filter(|_| msg.len() >= LONG) {
            places.remember(msg, self.bytes.len() - msg.len());
        }
    }

    fn number(&mut self, number: u64) {
        varint::write(number, &mut self.bytes);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }
}

pub(super) fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

pub(super) fn take_u64(from: &mut &[u8]) -> Option<u64> {
    take(from, 8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
}

pub(super) fn take_u32(from: &mut &[u8]) -> Option<u32> {
    take(from, 4).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
}

fn take_text<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = varint::read(from)?;
    take(from, usize::try_from(len).ok()?)
}

/// Takes an event. A message that came before is looked up in `before`.
pub(super) fn take_event<'a>(rest: &mut &'a [u8], before: &'a [u8]) -> Option<Trigger<'a>> {
    Some(match take(rest, 1)?[0] {
        START => Trigger::Start { saves: varint::read(rest)?, stable: take_u64(rest)? },
        DELIVER => Trigger::Deliver { src: varint::read(rest)?, msg: take_text(rest)? },
        DELIVER_SAME => {
            let src = varint::read(rest)?;
            let (place, len) = (varint::read(rest)?, varint::read(rest)?);
            let place = usize::try_from(place).ok()?;
            let end = place.checked_add(usize::try_from(len).ok()?)?;
            Trigger::Deliver { src, msg: before.get(place..end)? }
        }
        TIMEOUT => Trigger::Timeout { timer: take_text(rest)? },
        RANDOM => {
            Trigger::Random { key: std::str::from_utf8(take_text(rest)?).ok()?, index: varint::read(rest)? }
        }
        _ => return None,
    })
}

pub(super) fn take_output<'a>(rest: &mut &'a [u8], last: &mut &'a [u8]) -> Option<Output<'a>> {
    Some(match take(rest, 1)?[0] {
        SAVE => Output::Save { change: Change::Whole(take_text(rest)?) },
        SAVE_LONG => {
            let len = varint::read(rest)?;
            let sum = take(rest, 16)?.try_into().expect("sixteen bytes were taken");
            Output::Save { change: Change::Checksum { len, sum: u128::from_le_bytes(sum) } }
        }
        SEND => {
            let to = varint::read(rest)?;
            *last = take_text(rest)?;
            Output::Send { to, msg: last }
        }
        SEND_SAME => Output::Send { to: varint::read(rest)?, msg: last },
        SET_TIMER => {
            Output::SetTimer { timer: take_text(rest)?, from: varint::read(rest)?, to: varint::read(rest)? }
        }
        CANCEL_TIMER => Output::CancelTimer { timer: take_text(rest)? },
        CHOOSE => {
            Output::Choose { key: std::str::from_utf8(take_text(rest)?).ok()?, choices: varint::read(rest)? }
        }
        _ => return None,
    })
}

/// The outputs of an [`Recorded`](super::Recorded), one by one.
pub fn outputs(encoded: &[u8]) -> impl Iterator<Item = Output<'_>> {
    let (mut rest, mut last) = (encoded, &[][..]);
    std::iter::from_fn(move || take_output(&mut rest, &mut last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_change_is_kept_as_a_checksum_that_tells_it_from_others() {
        let (mut one, mut other) = (Entries::default(), Entries::default());
        for len in [0, 1, LONG - 1, LONG, 5000] {
            let mut change = vec![7; len];
            one.clear();
            one.output(Output::Save { change: Change::of(&change) });
            let read: Vec<_> = outputs(one.bytes()).collect();
            assert_eq!(read, [Output::Save { change: Change::of(&change) }]);
            assert!(one.bytes().len() < LONG + 4 && Change::of(&change).len() == len as u64);
            for index in 0..len {
                change[index] ^= 1;
                other.clear();
                other.output(Output::Save { change: Change::of(&change) });
                assert_ne!(one.bytes(), other.bytes(), "byte {index} of {len}");
                change[index] ^= 1;
            }
        }
    }

    #[test]
    fn a_place_that_is_not_before_is_refused() {
        let file = [5; 100];
        let event = |place: u64, len: u64| {
            let mut bytes = vec![DELIVER_SAME, 1];
            varint::write(place, &mut bytes);
            varint::write(len, &mut bytes);
            take_event(&mut bytes.as_slice(), &file)
                .map(|event| event == Trigger::Deliver { src: 1, msg: &[5; 60] })
        };
        assert_eq!((event(40, 60), event(0, 60), event(40, 59)), (Some(true), Some(true), Some(false)));
        for (place, len) in [(41, 60), (101, 0), (0, 101), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(event(place, len), None, "{place} {len}");
        }
    }
}
