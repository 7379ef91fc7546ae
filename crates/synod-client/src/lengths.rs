//! Guarantees that nothing is sent which the cluster would ignore for its length.

use crate::config::Config;
use crate::error::Error;
use synod_machine::{Lengths, StoreCommand, TooLong, encoded_len};

/// The greatest lengths that a cluster takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Longest {
    lengths: Lengths,
    command: usize,
}

/// The bytes that stand before a command: the kind of session command, the session and the number in it.
const BEFORE: usize = 21;

impl Longest {
    pub(crate) fn of(config: &Config) -> Longest {
        let lengths = Lengths { key: config.max_key, value: config.max_value };
        Longest { lengths, command: config.max_command }
    }

    /// Checks a command: its names, its values, and all of it.
    pub(crate) fn admit(&self, command: &StoreCommand) -> Result<(), Error> {
        self.lengths.admit(command).map_err(Error::TooLong)?;
        let (bytes, most) = (encoded_len(command) + BEFORE, self.command);
        if bytes > most { Err(Error::TooLong(TooLong { what: "command", bytes, most })) } else { Ok(()) }
    }
}
