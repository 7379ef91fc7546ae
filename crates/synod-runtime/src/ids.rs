//! The ids of processes: members below, clients above.

/// Ids from here on belong to clients, which come and go. Ids below belong to members, which are configured.
pub const FIRST_CLIENT: u64 = 1 << 63;
