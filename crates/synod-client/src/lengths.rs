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
        Longest { lengths, command: config.longest_command() }
    }

    /// Checks a command: its names, its values, and all of it.
    pub(crate) fn admit(&self, command: &StoreCommand) -> Result<(), Error> {
        self.lengths.admit(command).map_err(Error::TooLong)?;
        let (bytes, most) = (encoded_len(command) + BEFORE, self.command);
        if bytes > most { Err(Error::TooLong(TooLong { what: "command", bytes, most })) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_machine::{Blob, Lives, Operation};

    /// A transaction that stores so many values of 60,000 bytes.
    fn puts(values: usize) -> StoreCommand {
        let put = |number: usize| Operation::Put {
            key: Blob::from(number.to_string().as_str()),
            value: Blob::from(vec![7; 60_000]),
            lives: Lives::Forever,
        };
        StoreCommand::Transact { when: Vec::new(), then: (0..values).map(put).collect() }
    }

    #[test]
    fn what_no_member_takes_is_told_before_it_is_sent_whatever_the_settings_allow() {
        let of = |max_value, max_command| {
            let config = Config { max_value, max_command, ..Config::new("test", "client.key") };
            Longest::of(&config)
        };
        let refused = |longest: Longest, values: usize| match longest.admit(&puts(values)) {
            Ok(()) => None,
            Err(Error::TooLong(TooLong { what, bytes, most })) => {
                assert!(what == "command" && bytes > most && bytes > values * 60_000, "{bytes} of {most}");
                Some(most)
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused(of(64 << 10, 128 << 10), 2), None);
        assert_eq!(refused(of(64 << 10, 128 << 10), 3), Some(128 << 10));
        // 4 MiB are 4,194,304 bytes.
        assert_eq!(refused(of(64 << 10, usize::MAX), 69), None);
        assert_eq!(refused(of(64 << 10, usize::MAX), 70), Some((4 << 20) - 64));
        // Members that take longer values take longer messages.
        assert_eq!(refused(of(3 << 20, usize::MAX), 100), None);
        assert_eq!(refused(of(3 << 20, usize::MAX), 110), Some(2 * ((3 << 20) + 1024) + 96));
    }
}
