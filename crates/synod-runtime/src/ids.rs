//! The ids of processes: members below, then clients in the same program as a member, then clients elsewhere.

/// Ids from here on, below [`FIRST_CLIENT`], belong to local clients: parts of a member's own program that speak through
/// [`Node::tell`](crate::node::Node::tell). Nobody can speak in their name from outside. Ids below belong to members, which are configured.
pub const LOCAL_CLIENT: u64 = 1 << 62;

/// Ids from here on belong to clients elsewhere, which come and go.
pub const FIRST_CLIENT: u64 = 1 << 63;

/// True for the id of a local client.
pub fn is_local_client(id: u64) -> bool {
    (LOCAL_CLIENT..FIRST_CLIENT).contains(&id)
}

/// The ids that members can have where members change: those below.
pub const MOST_IDS: u64 = 128;
