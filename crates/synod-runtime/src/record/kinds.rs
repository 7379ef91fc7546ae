//! The events and outputs that a flight record holds.

use xxhash_rust::xxh3::xxh3_128;

/// From this length on, in bytes, a message is looked up among those before it, and a change is kept as a checksum.
pub(super) const LONG: usize = 128;

/// An event of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger<'a> {
    /// It started, from stable storage of so many saves, whose snapshot has this checksum.
    Start {
        /// Saves found.
        saves: u64,
        /// `xxh3` of the snapshot of what was found; zero if there was nothing.
        stable: u64,
    },
    /// A message came.
    Deliver {
        /// The sender.
        src: u64,
        /// The message, encoded.
        msg: &'a [u8],
    },
    /// A timer rang.
    Timeout {
        /// The timer, encoded.
        timer: &'a [u8],
    },
    /// One of the offered choices was drawn.
    Random {
        /// The choice's name.
        key: &'a str,
        /// The index of the choice.
        index: u64,
    },
}

/// A difference between two stable states, as it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// A short one: itself.
    Whole(&'a [u8]),
    /// A long one.
    Checksum {
        /// Its length in bytes.
        len: u64,
        /// Their 128-bit `xxh3`.
        sum: u128,
    },
}

impl<'a> Change<'a> {
    /// The form in which a difference is recorded.
    pub fn of(change: &'a [u8]) -> Change<'a> {
        if change.len() < LONG {
            Change::Whole(change)
        } else {
            Change::Checksum { len: change.len() as u64, sum: xxh3_128(change) }
        }
    }

    /// The length of the difference in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Change::Whole(change) => change.len() as u64,
            Change::Checksum { len, .. } => *len,
        }
    }

    /// True if it is no difference at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One output of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// The stable storage changed by this difference.
    Save {
        /// The difference, or its checksum.
        change: Change<'a>,
    },
    /// A message was sent.
    Send {
        /// The receiver.
        to: u64,
        /// The message, encoded.
        msg: &'a [u8],
    },
    /// A timer was set, to a moment between these durations.
    SetTimer {
        /// The timer, encoded.
        timer: &'a [u8],
        /// Nanoseconds from now, at least.
        from: u64,
        /// Nanoseconds from now, at most.
        to: u64,
    },
    /// A timer was cancelled.
    CancelTimer {
        /// The timer, encoded.
        timer: &'a [u8],
    },
    /// Choices were offered.
    Choose {
        /// The choice's name.
        key: &'a str,
        /// The number of choices.
        choices: u64,
    },
}
