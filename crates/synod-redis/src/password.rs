//! Guarantees that the time of a comparison tells nothing of the password.

use ring::hmac;
use ring::rand::SystemRandom;
use std::fmt;

/// A password, kept as a keyed digest; the caller wipes what it was given.
pub struct Password {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// A password.
    ///
    /// # Errors
    /// It is empty, or the operating system has no randomness.
    pub fn new(password: &[u8]) -> Result<Self, String> {
        if password.is_empty() {
            return Err("the password is empty".to_owned());
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| "no randomness".to_owned())?;
        let tag = hmac::sign(&key, password);
        Ok(Password { key, tag })
    }

    /// True if it is this one.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        hmac::verify(&self.key, given, self.tag.as_ref()).is_ok()
    }
}
