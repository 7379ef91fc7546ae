//! What came, went and was dropped, by reason.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// Why a datagram, or a message in it, was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Dropped {
            $($(#[$doc])* $name,)*
        }

        impl Dropped {
            /// Every reason there is.
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
    /// Shorter than a header.
    TooShort: "too short",
    /// Not of this protocol, or of another version of it.
    OtherVersion: "of another protocol or version",
    /// For another cluster.
    OtherCluster: "of another cluster",
    /// For somebody else.
    OtherReceiver: "for another receiver",
    /// From nobody that is configured.
    UnknownSender: "from an unknown sender",
    /// Under a key that is not in the file.
    UnknownKey: "under an unknown key",
    /// Not sealed by who it says.
    Forged: "forged or damaged",
    /// In no session.
    NoSession: "without a session",
    /// In a session that is over.
    StaleSession: "of an earlier session",
    /// From a client under the id of another one that is there.
    OtherClient: "under the id of another client",
    /// Seen before, or too old to tell.
    Replayed: "replayed",
    /// Sealed rightly, and yet not readable.
    Malformed: "malformed",
    /// A message longer than the longest.
    Oversized: "longer than the longest message",
    /// A piece of a message for which there is no room.
    NoRoom: "without room to put it together",
    /// From a member that does not take part.
    NotAdmitted: "from a member that does not take part",
    /// From a member that takes others for members than this one does.
    OtherMembers: "from a member with another list of members",
    /// From a member whose start cannot follow what is known of it.
    Contradicted: "from a member that others have heard on another disk or at a later start",
    /// A greeting too soon after another.
    TooOften: "greetings too soon after others",
}

/// What came, went and was dropped since the start.
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

    /// How many were dropped for a reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize]
    }

    /// How many were dropped for any reason.
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

impl fmt::Display for Counts {
    /// One line for what came and went, one for each reason for which something was dropped.
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
