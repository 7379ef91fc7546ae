//! Guarantees that the log is forgotten only below what is safe.

/// Below which instance a log may be forgotten: the highest for which all of the following hold.
///
/// - Everything below was **executed** here (`applied` is the first instance that was not). So it was chosen, and what is forgotten can
///   be no acceptance that a later leader may depend on, and none that this replica has yet to execute.
/// - Everything below is in a **snapshot on this member's disk** (`snapshot` is the first instance that is not in it).
///   After a crash the machine begins there, and a member that is behind, or new, gets it.
/// - No member is known to **want** it, except such as are more than `spare` instances behind: `held` says for each member the first
///   instance that it is not known to have. A member that is within `spare` can catch up from the log, and one that
///   never comes back holds up no more than so much of it.
///
/// The first two are needed for safety, the third one saves a transfer.
pub fn forget_below(applied: u64, snapshot: u64, held: &[u64], spare: u64) -> u64 {
    let safe = applied.min(snapshot);
    let wanted = held.iter().copied().min().unwrap_or(safe);
    safe.min(wanted.max(safe.saturating_sub(spare)))
}

#[cfg(test)]
mod tests {
    use super::forget_below;

    #[test]
    fn the_log_is_kept_for_whoever_is_near() {
        assert_eq!(forget_below(10, 8, &[], 3), 8);
        assert_eq!(forget_below(10, 8, &[9, 10], 3), 8);
        assert_eq!(forget_below(10, 8, &[7, 10], 3), 7);
        assert_eq!(forget_below(10, 8, &[0, 10], 3), 5, "too far behind to wait for");
        assert_eq!(forget_below(6, 8, &[9], 3), 6, "a snapshot that is not restored yet");
        assert_eq!(forget_below(0, 0, &[0], u64::MAX), 0);
        assert_eq!(forget_below(u64::MAX, u64::MAX, &[u64::MAX], 0), u64::MAX);
    }
}
