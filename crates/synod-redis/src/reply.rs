//! Guarantees that a reply reads the same in both versions of the protocol.

use synod_machine::Blob;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// RESP2, in which every connection begins.
    #[default]
    Two,
    /// RESP3, after `HELLO 3`.
    Three,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A short word.
    Simple(&'static str),
    /// An error: a word in capitals, and what to know. Line ends in it are written as spaces.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Blob),
    /// Nothing.
    Nil,
    /// Nothing, where an array would be.
    NoArray,
    /// Replies.
    Array(Vec<Reply>),
    /// Pairs: an array of twice the length in RESP2.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// The usual word for a command that was done.
    pub const OK: Reply = Reply::Simple("OK");

    /// An error.
    pub fn error(what: impl Into<String>) -> Reply {
        Reply::Error(what.into())
    }

    /// A text.
    pub fn text(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    /// Writes the reply behind what is there.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) {
        let line = |out: &mut Vec<u8>, kind: u8, text: &str| {
            out.push(kind);
            out.extend(text.bytes().map(|byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Reply::Simple(text) => line(out, b'+', text),
            Reply::Error(text) => line(out, b'-', text),
            Reply::Integer(number) => line(out, b':', &number.to_string()),
            Reply::Bulk(bytes) => {
                line(out, b'$', &bytes.len().to_string());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Reply::Nil | Reply::NoArray if version == Version::Three => line(out, b'_', ""),
            Reply::Nil => line(out, b'$', "-1"),
            Reply::NoArray => line(out, b'*', "-1"),
            Reply::Array(replies) => {
                line(out, b'*', &replies.len().to_string());
                for reply in replies {
                    reply.write(version, out);
                }
            }
            Reply::Map(pairs) => {
                match version {
                    Version::Two => line(out, b'*', &(2 * pairs.len()).to_string()),
                    Version::Three => line(out, b'%', &pairs.len().to_string()),
                }
                for (key, value) in pairs {
                    key.write(version, out);
                    value.write(version, out);
                }
            }
        }
    }
}
