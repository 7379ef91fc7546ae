//! How much memory a check may take where nobody says: three quarters of what there is.

use rustix::process::{Resource, getrlimit};
use sysinfo::{MemoryRefreshKind, System};

/// What the allocator reserves for each thread, used or not.
const THREAD: u64 = 128 << 20;
/// The least limit, in which something at least can be explored.
const LEAST: u64 = 16 << 20;

/// Three quarters of the memory that the machine has, or this process's control group; `None` where the system does not tell. Where the
/// address space is limited, half of what is left of it for so many threads, if that is less: tables that grow are there twice.
pub fn share(threads: usize) -> Option<u64> {
    let mut system = System::new().ok();
    if let Some(system) = &mut system {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    }
    let machine = system.as_ref().map(System::total_memory);
    let group = system.as_ref().and_then(System::cgroup_limits).map(|limits| limits.total_memory);
    let addresses = getrlimit(Resource::As).current;
    least([machine, group], addresses, status("VmSize:").unwrap_or(0) + threads as u64 * THREAD)
}

/// The share of the least of these limits, where so much of the addresses is taken; a limit of zero is none.
fn least(memory: [Option<u64>; 2], addresses: Option<u64>, taken: u64) -> Option<u64> {
    let memory = memory.into_iter().flatten().filter(|bytes| *bytes > 0).map(|bytes| bytes / 4 * 3);
    let addresses = addresses.map(|bytes| bytes.saturating_sub(taken) / 2);
    memory.chain(addresses).min().map(|bytes| bytes.max(LEAST))
}

/// The most memory this process ever had, where the system tells.
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// A size that the system tells of this process, in bytes.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|text| text.strip_prefix(name))?;
    kib.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_counts_and_none_is_no_limit() {
        assert_eq!(least([Some(8 << 30), Some(4 << 30)], None, 0), Some(3 << 30));
        assert_eq!(least([Some(8 << 30), Some(0)], Some(1 << 30), 0), Some(1 << 29));
        assert_eq!(least([Some(8 << 30), None], Some(1 << 30), 1 << 29), Some(1 << 28));
        assert_eq!(least([None, None], Some(1 << 20), 1 << 29), Some(LEAST));
        assert_eq!(least([Some(0), None], None, 0), None);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(share(2).is_some_and(|bytes| bytes >= LEAST) && peak().is_some());
    }
}
