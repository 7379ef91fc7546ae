//! Guarantees that no request costs more than it is long, however it is made: requests are read without recursion, nothing is
//! allocated for a length that a client only claims, and the bytes of half a request are looked at once.
//!
//! A request is an array of strings, or one line of words ("inline"), as people type it.

use synod_machine::Blob;
use synod_server::RedisLimits;

/// The longest line: an inline command, or the length of something.
const MOST_LINE: usize = 16 << 10;
/// The longest line of a length: a sign, digits and room for zeros.
const MOST_HEAD: usize = 32;

/// Bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most bytes, as they are sent.
    pub bytes: usize,
    /// The most words, the name of the command among them.
    pub words: usize,
}

impl Bounds {
    /// The bounds of a request. They are narrow before the client has said the password.
    pub(crate) fn of(limits: &RedisLimits, is_known: bool) -> Bounds {
        if is_known {
            Bounds { bytes: limits.request_bytes, words: limits.words }
        } else {
            Bounds { bytes: limits.request_bytes.min(16 << 10), words: limits.words.min(16) }
        }
    }
}

/// Reads requests from bytes as they come.
#[derive(Debug, Default)]
pub struct Reader {
    /// The words of the present request that are known, as ranges of the buffer.
    words: Vec<(usize, usize)>,
    /// The words that it has, once that is known.
    expected: Option<usize>,
    /// The position up to which the buffer was read.
    at: usize,
}

/// A request that is none. The connection has to end, since nobody knows where the next would begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

fn malformed<T>(what: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(what.into()))
}

impl Reader {
    /// The next request at the start of the buffer, and the number of its bytes; nothing if it is not whole yet. Then the
    /// caller adds bytes at the end of the buffer and comes again. A request without words is skipped by the caller.
    ///
    /// # Errors
    /// The bytes are no request, or one beyond the bounds.
    pub fn read(&mut self, buffer: &[u8], bounds: Bounds) -> Result<Option<(Vec<Blob>, usize)>, Malformed> {
        let Some(&first) = buffer.first() else { return Ok(None) };
        if first != b'*' {
            return inline(buffer, bounds);
        }
        let expected = match self.expected {
            Some(expected) => expected,
            None => {
                let Some(count) = head(buffer, &mut self.at, "multibulk length")? else { return Ok(None) };
                // Less than nothing counts as nothing, as with Redis.
                let count = usize::try_from(count).unwrap_or(0);
                if count > bounds.words {
                    return malformed(format!(
                        "invalid multibulk length: at most {} are allowed",
                        bounds.words
                    ));
                }
                *self.expected.insert(count)
            }
        };
        while self.words.len() < expected {
            let mut at = self.at;
            match buffer.get(at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(other) => return malformed(format!("expected '$', got '{}'", other.escape_ascii())),
            }
            let Some(length) = head(buffer, &mut at, "bulk length")? else { return Ok(None) };
            let Some(end) = usize::try_from(length).ok().and_then(|length| at.checked_add(length)) else {
                return malformed("invalid bulk length");
            };
            if end.saturating_add(2) > bounds.bytes {
                return malformed(format!(
                    "invalid bulk length: a request has at most {} bytes",
                    bounds.bytes
                ));
            }
            let Some(behind) = buffer.get(end..end + 2) else { return Ok(None) };
            if behind != b"\r\n" {
                return malformed("expected the end of a line behind a string");
            }
            self.words.push((at, end));
            self.at = end + 2;
        }
        let words = self.words.drain(..).map(|(from, to)| Blob::from(&buffer[from..to])).collect();
        let length = self.at;
        *self = Reader { words: std::mem::take(&mut self.words), ..Reader::default() };
        Ok(Some((words, length)))
    }
}

/// The number on the line that begins at a position, behind the sign of its kind. Moves the position behind the line.
fn head(buffer: &[u8], at: &mut usize, what: &str) -> Result<Option<i64>, Malformed> {
    let rest = &buffer[*at + 1..];
    let Some(length) = rest.iter().take(MOST_HEAD).position(|byte| *byte == b'\r') else {
        return if rest.len() >= MOST_HEAD { malformed(format!("invalid {what}")) } else { Ok(None) };
    };
    match rest.get(length + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return malformed(format!("invalid {what}")),
    }
    let number = std::str::from_utf8(&rest[..length]).ok().and_then(|text| text.parse().ok());
    *at += length + 3;
    number.map_or_else(|| malformed(format!("invalid {what}")), |number| Ok(Some(number)))
}

/// One line of words between blanks. Quotes have no meaning; programs send arrays.
fn inline(buffer: &[u8], bounds: Bounds) -> Result<Option<(Vec<Blob>, usize)>, Malformed> {
    let most = MOST_LINE.min(bounds.bytes);
    let Some(end) = buffer.iter().take(most).position(|byte| *byte == b'\n') else {
        return if buffer.len() >= most { malformed("too big inline request") } else { Ok(None) };
    };
    let words: Vec<Blob> = buffer[..end]
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take(bounds.words + 1)
        .map(Blob::from)
        .collect();
    if words.len() > bounds.words {
        return malformed(format!("too many words: at most {} are allowed", bounds.words));
    }
    Ok(Some((words, end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { bytes: 1000, words: 10 };

    fn whole(bytes: &[u8]) -> Result<Option<(Vec<Blob>, usize)>, Malformed> {
        Reader::default().read(bytes, BOUNDS)
    }

    fn words(words: &[&str]) -> Vec<Blob> {
        words.iter().map(|word| Blob::from(*word)).collect()
    }

    #[test]
    fn garbage_is_refused_by_name_and_half_a_request_waits() {
        for (bytes, says) in [
            (&b"*x\r\n"[..], "invalid multibulk length"),
            (b"*11\r\n", "at most 10"),
            (b"*99999999999999999999\r\n", "invalid multibulk length"),
            (b"*0000000000000000000000000000000000000000000", "invalid multibulk length"),
            (b"*1\rx", "invalid multibulk length"),
            (b"*1\r\n*1\r\n", "expected '$', got '*'"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
            (b"*1\r\n$1000\r\n", "at most 1000 bytes"),
            (b"*1\r\n$1\r\nabc", "expected the end of a line"),
            (b"a b c d e f g h i j k\n", "too many words"),
            (&[b'x'; 1000], "too big inline"),
        ] {
            let said = whole(bytes).expect_err("it is no request").0;
            assert!(said.contains(says), "{}: {said}", bytes.escape_ascii());
        }
        for half in [
            &b""[..],
            b"*",
            b"*1",
            b"*1\r",
            b"*1\r\n",
            b"*1\r\n$1",
            b"*1\r\n$1\r\na",
            b"*1\r\n$1\r\na\r",
            b"ping",
        ] {
            assert_eq!(whole(half), Ok(None), "{}", half.escape_ascii());
        }
        assert_eq!(whole(b"set  a b\r\nrest"), Ok(Some((words(&["set", "a", "b"]), 10))));
        for empty in [&b"\r\n"[..], b"*0\r\n", b"*-1\r\n"] {
            assert_eq!(whole(empty), Ok(Some((Vec::new(), empty.len()))));
        }
    }

    proptest! {
        /// A crate that others keep reads the same from what is a request by its reckoning.
        #[test]
        fn requests_are_read_as_another_reader_reads_them(
            strings in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..8),
            cut in 0..300usize,
        ) {
            use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
            let mut bytes = format!("*{}\r\n", strings.len()).into_bytes();
            for string in &strings {
                bytes.extend(format!("${}\r\n", string.len()).bytes());
                bytes.extend(string);
                bytes.extend(b"\r\n");
            }
            let mut reader = Reader::default();
            let cut = cut.min(bytes.len() - 1);
            prop_assert_eq!(reader.read(&bytes[..cut], BOUNDS), Ok(None));
            let (mine, length) = reader.read(&bytes, BOUNDS).expect("a request").expect("a whole one");
            let Some((OwnedFrame::Array(theirs), their_length)) = decode(&bytes).expect("a frame") else {
                panic!("an array")
            };
            let string = |frame| match frame {
                OwnedFrame::BulkString(bytes) => Blob::from(bytes),
                other => panic!("no string: {other:?}"),
            };
            let theirs: Vec<Blob> = theirs.into_iter().map(string).collect();
            prop_assert_eq!((mine, length), (theirs, their_length));
            prop_assert_eq!(reader.at, 0);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), any::<u8>()], 0..60)) {
            let mut reader = Reader::default();
            for end in 0..=bytes.len() {
                match reader.read(&bytes[..end], BOUNDS) {
                    Ok(None) => {}
                    Ok(Some((_, length))) => { prop_assert!(length <= end); break }
                    Err(_) => break,
                }
            }
        }
    }
}
