//! How much memory a check may take where nobody says: three quarters of what there is.

use rustix::process::{Resource, getrlimit};
use sysinfo::{MemoryRefreshKind, System};

/// Three quarters of the memory that this process may have: of the machine's, of its control group's, or of its address space,
/// whichever is least; `None` where the system does not tell.
pub fn share() -> Option<u64> {
    let mut system = System::new().ok();
    if let Some(system) = &mut system {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    }
    let machine = system.as_ref().map(System::total_memory);
    let group = system.as_ref().and_then(System::cgroup_limits).map(|limits| limits.total_memory);
    three_quarters([machine, group, getrlimit(Resource::As).current])
}

/// Of the least of these limits; one of zero is none.
fn three_quarters(limits: [Option<u64>; 3]) -> Option<u64> {
    let least = limits.into_iter().flatten().filter(|bytes| *bytes > 0).min()?;
    Some(least / 4 * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_counts_and_none_is_no_limit() {
        assert_eq!(three_quarters([Some(8 << 30), Some(4 << 30), None]), Some(3 << 30));
        assert_eq!(three_quarters([Some(8 << 30), Some(0), Some(1 << 30)]), Some(3 << 28));
        assert_eq!(three_quarters([Some(0), None, None]), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(share().is_some_and(|bytes| bytes > 64 << 20));
    }
}
