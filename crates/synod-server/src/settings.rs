//! The settings of the log, its sessions and its store: the `[log]`, `[sessions]` and `[store]` tables of a configuration file.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;
use synod::{Lease, LogEntry};
use synod_machine::{Lengths, Limits, Settings};
use toml::Spanned;

/// The settings of the log that members keep, and those of the machine that it is applied to, as a configuration has them.
///
/// The latter hold once they were told to the log, at the same instance for all: see [`LogSettings::told`].
// Fields: the keys of four tables of the file.
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
    /// Mastership by lease, if members take it.
    pub master: Option<MasterSettings>,
    /// The longest key, and the longest name of a lock or an account, in bytes.
    pub max_key: usize,
    /// The limits of clients' sessions.
    pub sessions: Limits,
    /// The most bytes that the store may come to hold, as [`Settings::bytes`] says.
    pub most_bytes: u64,
}

/// The `[master]` table of a configuration file: the lease by which one member is master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterSettings {
    /// The milliseconds for which others leave mastership alone, counted from when they hear that it was taken.
    pub lease_ms: u64,
    /// The most parts in a million by which a clock gains or loses.
    pub drift: u64,
}

/// The drift, in parts in a million, where the file says nothing. Clocks of machines drift by some tens, but a time daemon that corrects an offset slews them by far more:
/// chronyd by up to 83,333 unless `maxslewrate` says otherwise, and ntpd by 500.
const DRIFT: u64 = 100_000;

impl MasterSettings {
    /// The rule for servers. A master counts for so long that its time is over before anybody else's begins, whatever two clocks gain and lose: `hold` / (1 - e) is less than
    /// `lease` / (1 + e), where e is the drift.
    pub(crate) fn lease(self) -> Lease {
        let (lease, drift) = (Duration::from_millis(self.lease_ms), u128::from(self.drift));
        let million = 1_000_000;
        let hold = lease.as_nanos() * (million - drift) / (million + drift) - 1;
        let hold = Duration::from_nanos(u64::try_from(hold).unwrap_or(u64::MAX));
        // Only one that is elected takes mastership, so there is no crowd at the first one.
        let seek = Duration::ZERO..Duration::from_millis(10);
        Lease { hold, lease, renew: Some(hold / 4..hold / 2), seek: Some(seek) }
    }
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        let Settings { lengths, sessions, bytes } = Settings::default();
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
            master: None,
            max_key: lengths.key,
            sessions,
            most_bytes: bytes,
        }
    }
}

/// The bytes that a command of one operation has beside its keys and values: three numbers of at most ten bytes for the session, the command
/// and the time to live, four for lengths, and a few for the kinds of things. Tests hold it.
const COMMAND_COSTS: usize = 96;

/// The most that `max-key` and `max-value` may be, in bytes.
const MOST_KEY: i64 = 1 << 20;
pub(crate) const MOST_VALUE: i64 = 16 << 20;

/// The most members: quorums cannot count more.
pub(crate) const MOST_MEMBERS: usize = synod::MAX_ACCEPTORS;

/// The most instances that may be under way at a time.
pub(crate) const MOST_ALPHA: i64 = 65_536;

/// The longest value that stands in any log, in bytes, whatever the settings.
///
/// Members accept, report and send each other so much. Their own `max-key` and `max-value` bound what they take from clients and put into
/// one instance, and nothing else. Otherwise, while these are raised by a rolling restart, a leader with the new file would propose what those
/// with the old one drop: the instance would never be chosen, and nothing after it executed.
pub(crate) const LONGEST_COMMAND: usize =
    2 * (MOST_KEY as usize + MOST_VALUE as usize) + COMMAND_COSTS + LogEntry::COSTS;

/// The bytes that a snapshot may have beside what the store and its sessions are charged with: those of changes that are kept, and a few.
const SNAPSHOT_COSTS: u64 = 64 << 20;

impl LogSettings {
    /// The settings that the member tells to the log when it leads, where stored values have at most so many bytes.
    pub fn told(&self, max_value: usize) -> Settings {
        let lengths = Lengths { key: self.max_key, value: max_value };
        Settings { lengths, sessions: self.sessions, bytes: self.most_bytes }
    }

    /// True if members with the one and the other can keep one log: they differ in what is told to it at most, and in how they take mastership.
    pub fn keeps_log_of(&self, other: &LogSettings) -> bool {
        let LogSettings { master, max_key, sessions, most_bytes, .. } = *other;
        *other == LogSettings { master, max_key, sessions, most_bytes, ..self.clone() }
    }

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
pub(crate) struct MasterFile {
    pub(crate) lease: Option<Spanned<i64>>,
    drift: Option<Spanned<i64>>,
}

impl MasterFile {
    fn read(&self) -> Result<Option<MasterSettings>, Wrong> {
        let Some(lease) = &self.lease else {
            let drift = self.drift.as_ref();
            return drift.map_or(Ok(None), |drift| {
                Err((drift.span(), "drift: means nothing without a lease; give `lease` too".to_owned()))
            });
        };
        Ok(Some(MasterSettings {
            lease_ms: number("lease", Some(lease), (100, 3_600_000), 0)?,
            drift: number("drift", self.drift.as_ref(), (0, 500_000), DRIFT)?,
        }))
    }
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
    most_bytes: Option<Spanned<i64>>,
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
        (log, master): (&LogFile, &MasterFile),
        sessions: &Spanned<SessionsFile>,
        store: &StoreFile,
    ) -> Result<LogSettings, Wrong> {
        let or = LogSettings::default();
        let (place, sessions) = (sessions.span(), sessions.get_ref());
        let most = i64::from(u32::MAX);
        let settings = LogSettings {
            alpha: number("alpha", log.alpha.as_ref(), (1, MOST_ALPHA), or.alpha)?,
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
            master: master.read()?,
            max_key: number("max-key", store.max_key.as_ref(), (1, MOST_KEY), or.max_key as u64)? as usize,
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
            most_bytes: number("most-bytes", store.most_bytes.as_ref(), (1024, 1 << 40), or.most_bytes)?,
        };
        settings.sessions.check().map_err(|error| (place, format!("sessions: {error}")))?;
        let LogSettings { most_bytes, longest_snapshot, .. } = settings;
        let snapshot = most_bytes + settings.sessions.bytes + SNAPSHOT_COSTS;
        if snapshot > longest_snapshot {
            let given = store.most_bytes.as_ref().or(log.longest_snapshot.as_ref());
            let given = given.or(sessions.bytes.as_ref());
            let message = format!(
                "a store of most-bytes = {most_bytes} and its sessions can come to a snapshot of {snapshot} bytes, and members that are \
                 behind take over longest-snapshot = {longest_snapshot} at most; lower [store] most-bytes or raise [log] longest-snapshot"
            );
            return Err((given.map_or(0..0, Spanned::span), message));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// chronyd takes an offset away at a twelfth of real time, unless it is told otherwise.
    #[test]
    fn the_drift_where_the_file_says_nothing_is_more_than_time_daemons_slew_by() {
        const { assert!(DRIFT > 1_000_000 / 12) }
    }

    /// In whole numbers: hold / (1 - e) is less than lease / (1 + e), and no less than it has to be.
    #[test]
    fn a_master_stops_before_anybody_else_begins_whatever_two_clocks_gain_and_lose() {
        for lease_ms in [100, 101, 1000, 3_600_000] {
            for drift in [0, 1, 333, 10_000, DRIFT, 499_999, 500_000] {
                let lease = MasterSettings { lease_ms, drift }.lease();
                let (hold, wait) = (lease.hold.as_nanos(), lease.lease.as_nanos());
                let (gains, loses) = (1_000_000 + u128::from(drift), 1_000_000 - u128::from(drift));
                assert!(hold * gains < wait * loses, "{lease:?}");
                assert!((hold + 2) * gains >= wait * loses, "{lease:?} gives more away than it must");
                assert!(lease.renew.is_some_and(|renew| renew.end < lease.hold), "it renews in time");
            }
        }
    }
}
