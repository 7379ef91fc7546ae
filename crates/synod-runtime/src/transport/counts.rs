//! Counts of what came, went and was dropped, by reason.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// The reasons why a datagram, or a message in it, was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Dropped {
            $($(#[$doc])* $name,)*
        }

        impl Dropped {
            /// All reasons.
            pub const ALL: &[Dropped] = &[$(Dropped::$name,)*];
        }

        impl fmt::Display for Dropped {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Dropped::$name => $text,)*
                })
            }
        }
    };
}

reasons! {
    /// It was shorter than a header.
    TooShort: "too short",
    /// It belonged to another protocol, or to another version of this one.
    OtherVersion: "of another protocol or version",
    /// It was for another cluster.
    OtherCluster: "of another cluster",
    /// It was for another receiver.
    OtherReceiver: "for another receiver",
    /// Its sender is not configured.
    UnknownSender: "from an unknown sender",
    /// Its key is not in the file.
    UnknownKey: "under an unknown key",
    /// Its sender did not seal it.
    Forged: "forged or damaged",
    /// It came in no session.
    NoSession: "without a session",
    /// It came in a session that is over.
    StaleSession: "of an earlier session",
    /// It came from a client under the id of another client that is present.
    OtherClient: "under the id of another client",
    /// It was seen before, or is too old to tell.
    Replayed: "replayed",
    /// It was sealed rightly, and yet is not readable.
    Malformed: "malformed",
    /// The message was longer than the longest allowed.
    Oversized: "longer than the longest message",
    /// It was a piece of a message for which there is no room.
    NoRoom: "without room to put it together",
    /// It came from a member that does not take part.
    NotAdmitted: "from a member that does not take part",
    /// It came from a member with another list of members.
    OtherMembers: "from a member with another list of members",
    /// It came from a member whose start cannot follow what is known of that member.
    Contradicted: "from a member that others have heard on another disk or at a later start",
    /// It was a greeting too soon after another.
    TooOften: "greetings too soon after others",
}

/// Counts of what came, went and was dropped since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that came.
    pub received: u64,
    /// Datagrams handed out.
    pub sent: u64,
    /// Messages that came.
    pub messages_received: u64,
    /// Messages that went.
    pub messages_sent: u64,
    /// Times a client was told that too much was waiting.
    pub refusals: u64,
    /// Clients that were forgotten to make room for others.
    pub forgotten_clients: u64,
    dropped: [u64; Dropped::ALL.len()],
}

impl Counts {
    pub(crate) fn drop(&mut self, why: Dropped) {
        self.dropped[why as usize] += 1;
    }

    /// The number dropped for a reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize]
    }

    /// The number dropped for any reason.
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

impl fmt::Display for Counts {
    /// Prints one line for what came and went, and one for each reason for which something was dropped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages in {} datagrams received, {} in {} sent",
            self.messages_received, self.received, self.messages_sent, self.sent
        )?;
        for why in Dropped::ALL.iter().filter(|why| self.dropped(**why) > 0) {
            write!(f, "\ndropped {}: {why}", self.dropped(*why))?;
        }
        Ok(())
    }
}
