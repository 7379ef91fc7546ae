//! The settings of the front for clients of Redis: `redis` of a member, and the `[redis]` table of a configuration file.

use serde::Deserialize;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// What all members' fronts for clients of Redis have in common. A member has one if it has an address for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisSettings {
    /// The file of the password that clients must say, on its first line.
    pub password_file: Option<PathBuf>,
    /// The files of the certificate and of its key, in PEM: then connections are TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The bounds of what it spends.
    pub limits: RedisLimits,
}

/// The bounds of what such a front spends on its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedisLimits {
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
    /// The most requests of one connection that are under way at once. No configuration file changes it.
    pub pipeline: usize,
}

impl Default for RedisLimits {
    fn default() -> Self {
        RedisLimits {
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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RedisFile {
    password_file: Option<PathBuf>,
    tls_cert: Option<Spanned<PathBuf>>,
    tls_key: Option<Spanned<PathBuf>>,
    connections: Option<Spanned<i64>>,
    request_bytes: Option<Spanned<i64>>,
    words: Option<Spanned<i64>>,
    queued: Option<Spanned<i64>>,
    buffered_bytes: Option<Spanned<i64>>,
    idle_seconds: Option<Spanned<i64>>,
    stalled_seconds: Option<Spanned<i64>>,
}

type Wrong = (Range<usize>, String);

impl RedisSettings {
    /// The settings of a table. Paths in it are relative to `folder`.
    pub(crate) fn read(file: RedisFile, folder: &Path) -> Result<RedisSettings, Wrong> {
        let or = RedisLimits::default();
        let number = |what: &str, given: Option<Spanned<i64>>, (least, most): (i64, i64), or: usize| {
            let Some(given) = given else { return Ok(or) };
            let number = *given.get_ref();
            if (least..=most).contains(&number) {
                Ok(number as usize)
            } else {
                Err((given.span(), format!("{what} = {number}: must be from {least} to {most}")))
            }
        };
        let seconds = |what, given, or: Duration| {
            number(what, given, (1, 31_536_000), or.as_secs() as usize)
                .map(|seconds| Duration::from_secs(seconds as u64))
        };
        let tls = match (file.tls_cert, file.tls_key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((folder.join(cert.into_inner()), folder.join(key.into_inner()))),
            (Some(only), None) => return Err((only.span(), "tls-cert: needs tls-key beside it".to_owned())),
            (None, Some(only)) => return Err((only.span(), "tls-key: needs tls-cert beside it".to_owned())),
        };
        let limits = RedisLimits {
            connections: number("connections", file.connections, (1, 1 << 20), or.connections)?,
            request_bytes: number("request-bytes", file.request_bytes, (1024, 1 << 30), or.request_bytes)?,
            words: number("words", file.words, (3, 1 << 20), or.words)?,
            queued: number("queued", file.queued, (1, 1 << 20), or.queued)?,
            buffered_bytes: number(
                "buffered-bytes",
                file.buffered_bytes,
                (1 << 20, 1 << 32),
                or.buffered_bytes,
            )?,
            idle: seconds("idle-seconds", file.idle_seconds, or.idle)?,
            stalled: seconds("stalled-seconds", file.stalled_seconds, or.stalled)?,
            ..or
        };
        Ok(RedisSettings { password_file: file.password_file.map(|path| folder.join(path)), tls, limits })
    }

    /// A member's address for clients of Redis.
    pub(crate) fn address(&self, text: &str) -> Result<SocketAddr, String> {
        let address: SocketAddr = text.parse().map_err(|_| {
            "must be an IP address and a port, such as \"127.0.0.1:6379\" or \"[::1]:6379\"".to_owned()
        })?;
        if address.port() == 0 {
            return Err("needs a port".to_owned());
        }
        if !address.ip().is_loopback() && (self.password_file.is_none() || self.tls.is_none()) {
            return Err("is not a loopback address, and whoever reaches it may read and change everything; set password-file, tls-cert and \
                        tls-key in the [redis] table"
                .to_owned());
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use std::path::Path;

    fn read(redis: &str, member: &str) -> Result<Config, String> {
        let text = format!(
            "cluster = \"a\"\ncluster-key = \"k\"\nclient-key = \"c\"\n{redis}\n[[member]]\nid = 0\naddress = \"127.0.0.1:7000\"\n{member}\n"
        );
        Config::read("c.toml", &text, Path::new("/etc")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_front_that_others_reach_needs_a_password_and_tls() {
        let whole = "[redis]\npassword-file = \"p\"\ntls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nidle-seconds = 60";
        let config = read(whole, "redis = \"0.0.0.0:6379\"").expect("it is safe");
        assert_eq!(config.members[0].redis, Some("0.0.0.0:6379".parse().expect("an address")));
        assert_eq!(config.redis.tls, Some(("/etc/cert.pem".into(), "/etc/key.pem".into())));
        assert_eq!(config.redis.limits.idle.as_secs(), 60);
        assert!(read("", "redis = \"127.0.0.1:6379\"").is_ok());
        assert_eq!(read("", "").expect("it is off").members[0].redis, None);
        let wide = "redis = \"192.0.2.1:6379\"";
        for (redis, member, says) in [
            ("", wide, "c.toml:8:9: redis = \"192.0.2.1:6379\": is not a loopback address"),
            ("[redis]\npassword-file = \"p\"", wide, "set password-file, tls-cert and tls-key"),
            ("[redis]\ntls-cert = \"c\"\ntls-key = \"k\"", wide, "set password-file, tls-cert and tls-key"),
            ("[redis]\ntls-cert = \"c\"", "", "needs tls-key beside it"),
            ("[redis]\ntls-key = \"c\"", "", "needs tls-cert beside it"),
            ("[redis]\nconnections = 0", "", "must be from 1 to"),
            ("[redis]\ncolour = 0", "", "unknown field"),
            ("", "redis = \"localhost:6379\"", "must be an IP address and a port"),
            ("", "redis = \"127.0.0.1:0\"", "needs a port"),
        ] {
            let said = read(redis, member).expect_err("it makes no sense");
            assert!(said.contains(says), "{redis} {member}: {said}");
        }
    }
}
