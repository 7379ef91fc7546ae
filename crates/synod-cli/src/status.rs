//! The exit statuses of the command.

/// Every model came out as its file expects.
pub const OK: u8 = 0;
/// Some model did not.
pub const FAILED: u8 = 1;
/// It could not be run: bad usage, a bad model file, a missing file.
pub const UNUSABLE: u8 = 2;
/// Time or memory ran out before a verdict.
pub const INCOMPLETE: u8 = 3;
/// The member that was run was removed from its cluster.
pub const REMOVED: u8 = 4;
