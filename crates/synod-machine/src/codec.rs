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
    match postcard::take_from_bytes(bytes) {
        Ok((data, [])) => Ok(data),
        Ok((_, rest)) => Err(Undecodable(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(Undecodable(error.to_string())),
    }
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
