//! The bounds of a server, which hold before a byte is believed.

use crate::request::Bounds;
use std::time::Duration;

/// What a server spends on its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections. One beyond gets an error and is closed.
    pub connections: usize,
    /// The most bytes of one request, and of all that one transaction has queued.
    pub request_bytes: usize,
    /// The most words of one request.
    pub words: usize,
    /// The most operations that one transaction has queued, and the most keys that a connection watches.
    pub queued: usize,
    /// The most bytes of requests longer than 16 KiB that are under way, and of replies that clients do not take, of all connections.
    pub buffered_bytes: usize,
    /// The time after which a connection is closed that sent nothing.
    pub idle: Duration,
    /// The time that a client may take to send the rest of a request, or to take the replies.
    pub stalled: Duration,
    /// The most requests of one connection that are under way at once.
    pub pipeline: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 10_000,
            request_bytes: 1 << 20,
            words: 4096,
            queued: 4096,
            buffered_bytes: 64 << 20,
            idle: Duration::from_hours(1),
            stalled: Duration::from_secs(30),
            pipeline: 64,
        }
    }
}

impl Limits {
    /// The bounds of a request. They are narrow before the client has said the password.
    pub(crate) fn bounds(&self, is_known: bool) -> Bounds {
        if is_known {
            Bounds { bytes: self.request_bytes, words: self.words }
        } else {
            Bounds { bytes: self.request_bytes.min(16 << 10), words: self.words.min(16) }
        }
    }
}
