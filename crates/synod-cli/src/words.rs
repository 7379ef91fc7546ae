//! Reads what stands on the command line; whatever cannot be read is complained of in plain words, with an example.

use bytesize::ByteSize;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use synod_model::ModelError;
use synod_server::{Config, ConfigError};

/// A cluster's configuration.
pub fn config(file: &Path) -> Result<Config, String> {
    Config::load(file).map_err(|error| {
        let message = synod_model::plain(&error.message);
        ConfigError { message, ..error }.to_string()
    })
}

/// Everything that is wrong with model files, an error a line.
pub fn all(errors: &[ModelError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

/// A number of threads.
pub fn threads(text: &str) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count| (1..=256).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 256".to_owned())
}

/// A number of members on one machine.
pub fn nodes(text: &str) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count| (1..=9).contains(count));
    count.ok_or_else(|| "must be a whole number from 1 to 9".to_owned())
}

/// A whole number.
pub fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("must be a whole number from 0 to {}", u64::MAX))
}

/// A lock and its fencing token.
pub fn fence(text: &str) -> Result<(String, u64), String> {
    let parts = text.rsplit_once('=').and_then(|(lock, token)| Some((lock.to_owned(), token.parse().ok()?)));
    parts.ok_or_else(|| {
        "must be a lock and the token that `synod lock` printed for it, such as backup=7".to_owned()
    })
}

/// A length of time.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "must be a time with its unit, such as 500ms, 90s or 10m".to_owned())
}

/// A size.
pub fn bytes(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "must be a size, such as 512MiB or 8GiB".to_owned())
}

/// An address to listen on.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an address with a port, such as 127.0.0.1:3000".to_owned())
}
