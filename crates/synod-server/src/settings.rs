//! The settings of the log, its sessions and its store: the `[log]`, `[sessions]` and `[store]` tables of a configuration file.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;
use synod::LogEntry;
use synod_machine::Limits;
use toml::Spanned;

/// The settings of the log that members keep, and of the machine that it is applied to. They decide what replicas do, so they are the same at
/// every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// The window: the number of instances that may be under way at a time.
    pub alpha: u64,
    /// The most commands that share an instance, where they wait anyway since the window is full.
    pub batch: usize,
    /// The time between two questions of a member to the others about what it has missed.
    pub catch_up: Range<Duration>,
    /// The most instances between two snapshots.
    pub snapshot_every: u64,
    /// The bytes of executed values after which a snapshot is due before that.
    pub snapshot_bytes: u64,
    /// The most instances below a snapshot that are kept for members that are behind.
    pub keep: u64,
    /// The most bytes of values that are kept of these.
    pub keep_bytes: u64,
    /// The bytes of a snapshot that one message holds.
    pub chunk: usize,
    /// The longest snapshot, in bytes, that a member takes over from another.
    pub longest_snapshot: u64,
    /// The longest key, and the longest name of a lock or an account, in bytes.
    pub max_key: usize,
    /// The limits of clients' sessions.
    pub sessions: Limits,
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings {
            // Few instances under way at a time, so that commands that wait share the next one.
            alpha: 8,
            batch: 256,
            catch_up: Duration::from_millis(100)..Duration::from_millis(300),
            snapshot_every: 20_000,
            snapshot_bytes: 128 << 20,
            keep: 5_000,
            keep_bytes: 32 << 20,
            chunk: 32 << 10,
            longest_snapshot: 4 << 30,
            max_key: 1024,
            sessions: Limits { window: 64, ..Limits::default() },
        }
    }
}

/// The bytes that a command of one operation has beside its keys and values: three numbers of at most ten bytes for the session, the command
/// and the time to live, four for lengths, and a few for the kinds of things. Tests hold it.
const COMMAND_COSTS: usize = 96;

/// The longest message, in bytes, unless values are so long that one may be longer.
pub(crate) const LONG_MESSAGE: usize = 4 << 20;

impl LogSettings {
    /// The longest value that stands in the log, in bytes, where a stored value has at most so many: a command that puts such a value in the
    /// place of another one, under a condition on another key.
    pub fn longest_command(&self, max_value: usize) -> usize {
        2 * (self.max_key + max_value) + COMMAND_COSTS + LogEntry::COSTS
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct LogFile {
    alpha: Option<Spanned<i64>>,
    batch: Option<Spanned<i64>>,
    catch_up: Option<Spanned<[u64; 2]>>,
    snapshot_every: Option<Spanned<i64>>,
    snapshot_bytes: Option<Spanned<i64>>,
    keep: Option<Spanned<i64>>,
    keep_bytes: Option<Spanned<i64>>,
    chunk: Option<Spanned<i64>>,
    longest_snapshot: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct SessionsFile {
    most: Option<Spanned<i64>>,
    window: Option<Spanned<i64>>,
    reply_bytes: Option<Spanned<i64>>,
    bytes: Option<Spanned<i64>>,
    idle: Option<Spanned<i64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct StoreFile {
    max_key: Option<Spanned<i64>>,
}

/// A complaint about what stands somewhere in the file.
pub(crate) type Wrong = (Range<usize>, String);

/// The number that is given, if it is within bounds, or what holds otherwise.
pub(crate) fn number(
    what: &str,
    given: Option<&Spanned<i64>>,
    (least, most): (i64, i64),
    otherwise: u64,
) -> Result<u64, Wrong> {
    match given {
        Some(given) if !(least..=most).contains(given.get_ref()) => {
            Err((given.span(), format!("{what} = {}: must be from {least} to {most}", given.get_ref())))
        }
        given => Ok(given.map_or(otherwise, |given| *given.get_ref() as u64)),
    }
}

/// The range of milliseconds that is given, or what holds otherwise.
pub(crate) fn milliseconds(
    what: &str,
    given: Option<&Spanned<[u64; 2]>>,
    otherwise: Range<Duration>,
) -> Result<Range<Duration>, Wrong> {
    let Some(given) = given else { return Ok(otherwise) };
    let [from, to] = *given.get_ref();
    if from == 0 || to <= from || to > 86_400_000 {
        let message =
            format!("{what}: needs two numbers of milliseconds, the second larger, neither 0, at most a day");
        return Err((given.span(), message));
    }
    Ok(Duration::from_millis(from)..Duration::from_millis(to))
}

impl LogSettings {
    /// The complaint about settings under which no log can be kept; they may come from a flight record.
    pub fn complaint(&self) -> Option<String> {
        let snapshots = [self.snapshot_every, self.snapshot_bytes, self.chunk as u64];
        if self.alpha == 0 || self.batch == 0 || snapshots.contains(&0) {
            return Some("a window, a batch, a distance of snapshots or a chunk is 0".to_owned());
        }
        self.sessions.check().err().map(|error| error.to_string())
    }

    /// The settings that these tables hold.
    pub(crate) fn read(
        log: &LogFile,
        sessions: &Spanned<SessionsFile>,
        store: &StoreFile,
    ) -> Result<LogSettings, Wrong> {
        let or = LogSettings::default();
        let (place, sessions) = (sessions.span(), sessions.get_ref());
        let most = i64::from(u32::MAX);
        let settings = LogSettings {
            alpha: number("alpha", log.alpha.as_ref(), (1, 65_536), or.alpha)?,
            batch: number("batch", log.batch.as_ref(), (1, 65_536), or.batch as u64)? as usize,
            catch_up: milliseconds("catch-up", log.catch_up.as_ref(), or.catch_up)?,
            snapshot_every: number(
                "snapshot-every",
                log.snapshot_every.as_ref(),
                (1, 1 << 40),
                or.snapshot_every,
            )?,
            snapshot_bytes: number(
                "snapshot-bytes",
                log.snapshot_bytes.as_ref(),
                (1024, 1 << 40),
                or.snapshot_bytes,
            )?,
            keep: number("keep", log.keep.as_ref(), (0, 1 << 40), or.keep)?,
            keep_bytes: number("keep-bytes", log.keep_bytes.as_ref(), (0, 1 << 40), or.keep_bytes)?,
            chunk: number("chunk", log.chunk.as_ref(), (1024, 4 << 20), or.chunk as u64)? as usize,
            longest_snapshot: number(
                "longest-snapshot",
                log.longest_snapshot.as_ref(),
                (1 << 20, 1 << 40),
                or.longest_snapshot,
            )?,
            max_key: number("max-key", store.max_key.as_ref(), (1, 1 << 20), or.max_key as u64)? as usize,
            sessions: Limits {
                sessions: number("most", sessions.most.as_ref(), (2, most), or.sessions.sessions.into())?
                    as u32,
                window: number("window", sessions.window.as_ref(), (1, 65_536), or.sessions.window.into())?
                    as u32,
                reply_bytes: number(
                    "reply-bytes",
                    sessions.reply_bytes.as_ref(),
                    (0, most),
                    or.sessions.reply_bytes.into(),
                )? as u32,
                bytes: number("bytes", sessions.bytes.as_ref(), (1, 1 << 40), or.sessions.bytes)?,
                idle: match &sessions.idle {
                    None => or.sessions.idle,
                    given => Some(number("idle", given.as_ref(), (1, 1 << 40), 0)?),
                },
            },
        };
        settings.sessions.check().map_err(|error| (place, format!("sessions: {error}")))?;
        Ok(settings)
    }
}
