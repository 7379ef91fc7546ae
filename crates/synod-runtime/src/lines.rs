//! Waiting messages, one line per sender. Senders take turns, and the sender with the most waiting makes room.
//!
//! The amount that one sender says decides how long its own line gets, and nothing else. Another sender's next message waits for one turn of
//! every sender, and finds room however much the first has waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Limits of how much of clients may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Senders with something waiting.
    pub senders: usize,
    /// Messages of one sender.
    pub messages: usize,
    /// Bytes of one sender, beyond its first message.
    pub bytes: usize,
    /// Bytes of all senders together; when there are more, the longest line loses its last messages.
    pub all: usize,
}

/// The waiting messages of one sender, each with its weight in bytes.
struct Line<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
}

/// One line per sender.
pub(crate) struct Lines<T> {
    waiting: BTreeMap<u64, Line<T>>,
    /// Each sender with something waiting, once, in the order in which they are served.
    turns: VecDeque<u64>,
    /// The same senders, by the length of their lines in bytes.
    lengths: BTreeSet<(usize, u64)>,
    bytes: usize,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Lines { waiting: BTreeMap::new(), turns: VecDeque::new(), lengths: BTreeSet::new(), bytes: 0 }
    }
}

impl<T> Lines<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds to a sender's line. Returns a sender for each message that was dropped for lack of room: this sender, or those
    /// with the longest lines.
    pub(crate) fn push(&mut self, sender: u64, weight: usize, item: T, room: &Room) -> Vec<u64> {
        let full = match self.waiting.get(&sender) {
            None => self.waiting.len() >= room.senders || room.messages == 0,
            Some(line) => line.waiting.len() >= room.messages || line.bytes + weight > room.bytes,
        };
        if full {
            return vec![sender];
        }
        let line = self.waiting.entry(sender).or_insert_with(|| {
            self.turns.push_back(sender);
            Line { waiting: VecDeque::new(), bytes: 0 }
        });
        line.waiting.push_back((weight, item));
        self.resize(sender, |bytes| bytes + weight);
        let mut dropped = Vec::new();
        while self.bytes > room.all
            && let Some((_, longest)) = self.lengths.last().copied()
        {
            self.take(longest, VecDeque::pop_back);
            if !self.waiting.contains_key(&longest) {
                self.turns.retain(|other| *other != longest);
            }
            dropped.push(longest);
        }
        dropped
    }

    /// The next message. Its sender's next turn comes after everyone else's.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let sender = self.turns.pop_front()?;
        let item = self.take(sender, VecDeque::pop_front);
        if self.waiting.contains_key(&sender) {
            self.turns.push_back(sender);
        }
        item
    }

    /// Takes a message of a sender away. A sender that has none left has no line. Turns are the caller's concern.
    fn take(
        &mut self,
        sender: u64,
        end: impl FnOnce(&mut VecDeque<(usize, T)>) -> Option<(usize, T)>,
    ) -> Option<T> {
        let line = self.waiting.get_mut(&sender)?;
        let (weight, item) = end(&mut line.waiting)?;
        let done = line.waiting.is_empty();
        self.resize(sender, |bytes| bytes - weight);
        if done {
            self.remove(sender);
        }
        Some(item)
    }

    /// Changes the length of a line, in all places that record it.
    fn resize(&mut self, sender: u64, to: impl FnOnce(usize) -> usize) {
        let Some(line) = self.waiting.get_mut(&sender) else { return };
        self.lengths.remove(&(line.bytes, sender));
        self.bytes -= line.bytes;
        line.bytes = to(line.bytes);
        self.bytes += line.bytes;
        self.lengths.insert((line.bytes, sender));
    }

    /// Takes a line away, with all that waits in it.
    fn remove(&mut self, sender: u64) {
        let Some(line) = self.waiting.remove(&sender) else { return };
        self.lengths.remove(&(line.bytes, sender));
        self.bytes -= line.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { senders: 4, messages: 10, bytes: 100, all: 150 };

    fn served(lines: &mut Lines<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lines.pop()).collect()
    }

    #[test]
    fn senders_take_turns_however_much_each_has_waiting() {
        let mut lines = Lines::default();
        for n in 0..5 {
            assert_eq!(lines.push(1, 1, 100 + n, &ROOM), [0_u64; 0]);
        }
        assert_eq!(lines.push(2, 1, 200, &ROOM), [0_u64; 0]);
        assert_eq!(lines.push(3, 1, 300, &ROOM), [0_u64; 0]);
        assert_eq!(lines.push(3, 1, 301, &ROOM), [0_u64; 0]);
        assert_eq!(served(&mut lines), [100, 200, 300, 101, 301, 102, 103, 104]);
        assert!(lines.is_empty());
    }

    #[test]
    fn a_line_is_bounded_by_messages_and_by_bytes_and_the_others_are_not_touched() {
        let mut lines = Lines::default();
        for n in 0..10 {
            assert_eq!(lines.push(1, 1, n, &ROOM), [0_u64; 0]);
        }
        assert_eq!(lines.push(1, 1, 10, &ROOM), [1], "ten are the most");
        assert_eq!(lines.push(2, 60, 20, &ROOM), [0_u64; 0]);
        assert_eq!(lines.push(2, 41, 21, &ROOM), [2], "a hundred bytes are the most");
        assert_eq!(lines.push(2, 40, 22, &ROOM), [0_u64; 0]);
        let mut lines = Lines::default();
        assert_eq!(lines.push(1, 140, 1, &ROOM), [0_u64; 0], "one message of any length has room");
        assert_eq!(lines.push(1, 1, 2, &ROOM), [1]);
    }

    #[test]
    fn so_many_senders_may_wait_and_who_was_served_makes_room() {
        let mut lines = Lines::default();
        (1..=4).for_each(|sender| assert_eq!(lines.push(sender, 1, sender as u32, &ROOM), [0_u64; 0]));
        assert_eq!(lines.push(5, 1, 5, &ROOM), [5]);
        assert_eq!(lines.pop(), Some(1));
        assert_eq!(lines.push(5, 1, 5, &ROOM), [0_u64; 0]);
        assert_eq!(served(&mut lines), [2, 3, 4, 5]);
    }

    #[test]
    fn the_longest_line_makes_room_for_the_others() {
        let mut lines = Lines::default();
        for n in 0..10 {
            assert_eq!(lines.push(1, 10, n, &ROOM), [0_u64; 0]);
        }
        assert_eq!(lines.push(2, 50, 20, &ROOM), [0_u64; 0], "that makes 150");
        assert_eq!(lines.push(3, 25, 30, &ROOM), [1, 1, 1], "and three of the longest line go");
        assert_eq!(lines.push(4, 200, 40, &ROOM), [4], "what never fits is dropped itself");
        assert_eq!(served(&mut lines), [0, 20, 30, 1, 2, 3, 4, 5, 6]);
    }

    /// The bookkeeping agrees with the lines, whatever comes and goes.
    #[test]
    fn sums_agree_after_any_course() {
        let seed = std::env::var("SYNOD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        eprintln!("SYNOD_SEED={seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut lines = Lines::default();
        for n in 0..20_000 {
            match rng.u8(..10) {
                0..=4 => drop(lines.pop()),
                _ => drop(lines.push(rng.u64(..6), rng.usize(..60), n, &ROOM)),
            }
            let bytes: usize = lines.waiting.values().map(|line| line.bytes).sum();
            assert_eq!(lines.bytes, bytes);
            assert!(bytes <= ROOM.all && lines.waiting.len() <= ROOM.senders);
            let mut turns: Vec<u64> = lines.turns.iter().copied().collect();
            turns.sort_unstable();
            let senders: Vec<u64> = lines.waiting.keys().copied().collect();
            assert_eq!(turns, senders);
            let mut sized: Vec<u64> = lines.lengths.iter().map(|(_, sender)| *sender).collect();
            sized.sort_unstable();
            assert_eq!(sized, senders);
            for line in lines.waiting.values() {
                assert_eq!(line.bytes, line.waiting.iter().map(|(weight, _)| weight).sum::<usize>());
                assert!(!line.waiting.is_empty() && line.waiting.len() <= ROOM.messages);
            }
        }
    }

    /// Waiting messages as one list in the order in which they came, and the senders in the order of their turns.
    #[derive(Clone, Default)]
    struct Naive {
        waiting: Vec<(u64, usize, u32)>,
        turns: Vec<u64>,
    }

    impl Naive {
        fn of(&self, sender: u64) -> (usize, usize) {
            let weights = self.waiting.iter().filter(|one| one.0 == sender).map(|one| one.1);
            (weights.clone().count(), weights.sum())
        }

        fn push(&mut self, sender: u64, weight: usize, item: u32, room: &Room) -> Vec<u64> {
            let (messages, bytes) = self.of(sender);
            let has_place = if messages == 0 {
                self.turns.len() < room.senders
            } else {
                messages < room.messages && bytes + weight <= room.bytes
            };
            if !has_place {
                return vec![sender];
            }
            if messages == 0 {
                self.turns.push(sender);
            }
            self.waiting.push((sender, weight, item));
            let mut dropped = Vec::new();
            while self.waiting.iter().map(|one| one.1).sum::<usize>() > room.all {
                let longest = self.turns.iter().map(|sender| (self.of(*sender).1, *sender)).max();
                let (_, longest) = longest.expect("somebody waits");
                let last = self.waiting.iter().rposition(|one| one.0 == longest).expect("it waits");
                self.waiting.remove(last);
                if self.of(longest).0 == 0 {
                    self.turns.retain(|other| *other != longest);
                }
                dropped.push(longest);
            }
            dropped
        }

        fn pop(&mut self) -> Option<u32> {
            if self.turns.is_empty() {
                return None;
            }
            let sender = self.turns.remove(0);
            let first = self.waiting.iter().position(|one| one.0 == sender).expect("it waits");
            let (_, _, item) = self.waiting.remove(first);
            if self.of(sender).0 > 0 {
                self.turns.push(sender);
            }
            Some(item)
        }
    }

    /// The number of answers that differ, and of senders that were told that their message is dropped, of all histories of so many steps
    /// with more senders than have room. The naive one has this room.
    fn differ(steps: u32, naive_room: &Room) -> (usize, usize) {
        const FEW: Room = Room { senders: 2, messages: 2, bytes: 4, all: 6 };
        let said = [Some((1, 1)), Some((1, 3)), Some((2, 1)), Some((2, 3)), Some((3, 1)), Some((3, 7)), None];
        let (mut differ, mut dropped) = (0, 0);
        for history in 0..said.len().pow(steps) {
            let (mut lines, mut naive, mut rest) = (Lines::default(), Naive::default(), history);
            for item in 0..steps {
                match said[rest % said.len()] {
                    Some((sender, weight)) => {
                        let told = lines.push(sender, weight, item, &FEW);
                        dropped += told.len();
                        differ += usize::from(told != naive.push(sender, weight, item, naive_room));
                    }
                    None => differ += usize::from(lines.pop() != naive.pop()),
                }
                rest /= said.len();
            }
            differ +=
                usize::from(served(&mut lines) != std::iter::from_fn(|| naive.pop()).collect::<Vec<_>>());
        }
        (differ, dropped)
    }

    #[test]
    fn more_senders_than_have_room_are_served_or_told_to_wait_as_by_one_list_whatever_the_order() {
        let (differ, dropped) = differ(6, &Room { senders: 2, messages: 2, bytes: 4, all: 6 });
        assert_eq!(differ, 0);
        assert!(dropped > 10_000, "{dropped}");
    }

    /// Each limit counts: with one of them wider, something differs.
    #[test]
    fn lines_with_one_limit_wider_differ() {
        let few = Room { senders: 2, messages: 2, bytes: 4, all: 6 };
        for wider in [
            Room { senders: 3, ..few },
            Room { messages: 3, ..few },
            Room { bytes: 6, ..few },
            Room { all: 7, ..few },
        ] {
            assert!(differ(4, &wider).0 > 0, "{wider:?}");
        }
    }
}
