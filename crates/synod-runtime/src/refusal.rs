//! The error type of storage, which names the file, the place, and what the operator can do.

use std::fmt;
use std::io;

/// The words for a member that may not go on with what its disk still has.
pub const LOST: &str = "this member must not take part with less than it had: bring back the right data directory, or leave it stopped; \
    the others go on as long as a majority of all members is up. In a cluster with [members], `synod member replace` puts a new one in its place";

/// Ids as they are printed for an operator.
pub fn ids(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Storage refuses to start on what it found, or to go on after a failure.
///
/// After a refusal, nothing that was not durable before it may be acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of the refusal.
    pub why: Why,
    /// The file or directory in question.
    pub file: String,
    /// The place in the file, in bytes from its start, where there is one.
    pub offset: Option<u64>,
}

/// The kinds of [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Another process holds the lock of the data directory.
    InUse,
    /// The operating system failed an operation.
    Io {
        /// The operation, as in "cannot *write*".
        doing: &'static str,
        /// The class of the failure (disk full, read-only and so on).
        kind: io::ErrorKind,
        /// The words of the operating system.
        message: String,
    },
    /// The file is not as it was written, and no crash leaves it so.
    Damaged(String),
    /// The journal is that of another cluster or member.
    Foreign {
        /// The cluster tag found.
        cluster: u64,
        /// The member id found.
        member: u64,
        /// The cluster tag and the member id expected.
        expected: (u64, u64),
    },
    /// The journal was made for other members.
    Members {
        /// The ids that are in it, in order.
        found: Vec<u64>,
        /// The ids of the members now, in order.
        expected: Vec<u64>,
    },
    /// The journal has a format version that this program does not read.
    Version(u32),
    /// The data directory had a journal, which is gone.
    Lost,
    /// One batch was larger than a journal takes.
    TooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The greatest length in bytes.
        max: u64,
    },
    /// A write or a flush failed earlier. What the disk has is unknown, so the process must stop.
    Stopped,
}

impl Refusal {
    /// A failed operation of the operating system on `file`.
    pub fn io(doing: &'static str, file: impl Into<String>, error: &io::Error) -> Self {
        let why = Why::Io { doing, kind: error.kind(), message: error.to_string() };
        Self { why, file: file.into(), offset: None }
    }

    /// Damage at a byte of `file`.
    pub fn damaged(file: impl Into<String>, offset: u64, what: impl Into<String>) -> Self {
        Self { why: Why::Damaged(what.into()), file: file.into(), offset: Some(offset) }
    }

    /// A refusal that concerns the whole of `file`.
    pub fn whole(file: impl Into<String>, why: Why) -> Self {
        Self { why, file: file.into(), offset: None }
    }

    /// The action that the operator can take.
    pub fn advice(&self) -> &'static str {
        match &self.why {
            Why::InUse => "stop the other process first, or give this one a data directory of its own",
            Why::Io { kind: io::ErrorKind::FileTooLarge, .. } => {
                "raise the limit on the length of files (`ulimit -f`) and start again; \
                 nothing that was acknowledged is lost"
            }
            Why::Io { kind: io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, .. } => {
                "free some space and start again; nothing that was acknowledged is lost"
            }
            Why::Io { kind: io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied, .. } => {
                "make the data directory writable for this user and start again; \
                 nothing that was acknowledged is lost"
            }
            Why::Io { .. } => "look at the disk and the kernel's log before starting again",
            Why::Damaged(_) | Why::Lost => LOST,
            Why::Members { .. } => {
                "start with the members that this directory was made for; they change only where the cluster was made with [members]"
            }
            Why::Foreign { .. } => "start with the data directory of this member of this cluster",
            Why::Version(_) => "start with the version of the program that wrote it",
            Why::TooLarge { .. } => "lower the limits of values and batches",
            Why::Stopped => "start the process again; it goes on from what is durable",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        match &self.why {
            Why::InUse => write!(f, ": another process uses it"),
            Why::Io { doing, message, .. } => write!(f, ": cannot {doing}: {message}"),
            Why::Damaged(what) => write!(f, ": damaged: {what}"),
            Why::Foreign { cluster, member, expected } => write!(
                f,
                ": belongs to member {member} of cluster {cluster:016x}, not to member {} of cluster {:016x}",
                expected.1, expected.0
            ),
            Why::Members { found, expected } => {
                write!(f, ": made for members {}, not for members {}", ids(found), ids(expected))
            }
            Why::Version(version) => write!(f, ": has format version {version}, which is not read here"),
            Why::Lost => write!(f, ": the journal of this data directory is gone"),
            Why::TooLarge { bytes, max } => write!(f, ": a batch of {bytes} bytes; at most {max} are taken"),
            Why::Stopped => write!(f, ": storage failed earlier"),
        }?;
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for Refusal {}
