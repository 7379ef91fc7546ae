//! Decoders of sealed contents, for fuzzing. In service they see only what a holder of the key has sent.

use super::frames::{self, Frame, Partials};
use super::guest::{Knock, Welcome};
use super::hello::Hello;
use super::list::Listed;

/// Reads payloads of one sender, one after another, and returns how many messages they made. Panics if more is kept than may be.
pub fn payloads<'a>(payloads: impl Iterator<Item = &'a [u8]>, max_message: usize, room: usize) -> usize {
    let (mut partials, mut messages) = (Partials::default(), 0);
    for payload in payloads {
        let Ok((_, _, mut rest)) = frames::preamble(payload) else { continue };
        while !rest.is_empty() {
            match frames::next(&mut rest) {
                Ok(Frame::Message(_)) => messages += 1,
                Ok(Frame::Piece(piece)) => match partials.take(&piece, max_message, room) {
                    Ok(whole) => messages += usize::from(whole.is_some()),
                    Err(_) => break,
                },
                Ok(Frame::Busy) => {}
                Ok(Frame::Listed(bytes)) => drop(Listed::read(bytes)),
                Err(_) => break,
            }
        }
        assert!(partials.bytes() <= room, "{} bytes are kept", partials.bytes());
    }
    messages
}

/// Reads what a client or a member says to the other in a greeting. True if it is readable.
pub fn greeting(bytes: &[u8]) -> bool {
    Knock::read(bytes).is_ok() | Welcome::read(bytes).is_ok()
}

/// Reads the body of a greeting. True if it is one.
pub fn hello(body: &[u8]) -> bool {
    Hello::read(body).is_ok()
}
