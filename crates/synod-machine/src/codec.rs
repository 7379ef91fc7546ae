//! Guarantees that what is decoded is all there was, and that no bytes can make the decoder panic or allocate more than in
//! proportion to them.
//!
//! The format is postcard's. Its reader believes no length beyond the bytes that are there, and serde's collections make
//! room for a bounded number of entries before the first has come.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes were not what was expected, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable(String);

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Undecodable {}

/// The bytes of some plain data.
///
/// # Panics
/// When the type's own `Serialize` fails; none of this crate does.
pub fn encode<T: Serialize>(data: &T) -> Vec<u8> {
    postcard::to_allocvec(data).expect("plain data can be serialised")
}

/// The number of bytes that [`encode`] would write, without writing them.
///
/// # Panics
/// Like [`encode`].
pub fn encoded_len<T: Serialize>(data: &T) -> usize {
    postcard::serialize_with_flavor(data, postcard::ser_flavors::Size::default())
        .expect("plain data can be serialised")
}

/// The data that [`encode`] wrote.
///
/// # Errors
/// The bytes are no such data, or there are more of them.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Undecodable> {
    match decode_first(bytes)? {
        (data, []) => Ok(data),
        (_, rest) => Err(Undecodable(format!("{} bytes too many", rest.len()))),
    }
}

/// The data that some bytes begin with, and the bytes that follow it.
pub(crate) fn decode_first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Undecodable> {
    postcard::take_from_bytes(bytes).map_err(|error| Undecodable(error.to_string()))
}

/// Data that stands at the end of a snapshot only where it differs from what holds without it, so that a state has one encoding, and snapshots of
/// versions that did not know of it are read.
pub(crate) fn encode_unless<T: Serialize + PartialEq>(usual: &T, data: &T, into: &mut Vec<u8>) {
    if data != usual {
        into.extend(encode(data));
    }
}

/// The data that [`encode_unless`] wrote.
pub(crate) fn decode_unless<'a, T: Deserialize<'a> + PartialEq>(
    usual: T,
    bytes: &'a [u8],
) -> Result<T, Undecodable> {
    if bytes.is_empty() {
        return Ok(usual);
    }
    let data = decode(bytes)?;
    if data == usual {
        return Err(Undecodable("what holds without being written is written".to_owned()));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back_and_nothing_beside_it() {
        let data = (7u64, "seven".to_owned(), vec![1u8, 2, 3]);
        let mut bytes = encode(&data);
        assert_eq!(bytes.len(), encoded_len(&data));
        assert_eq!(decode(&bytes), Ok(data));
        bytes.push(0);
        let error = decode::<(u64, String, Vec<u8>)>(&bytes).expect_err("a byte too many");
        assert_eq!(error.to_string(), "1 bytes too many");
        assert!(decode::<(u64, String, Vec<u8>)>(&bytes[..3]).is_err());
    }
}
