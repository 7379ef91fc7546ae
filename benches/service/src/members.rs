//! The processes of a system under measurement.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Processes that end when this is dropped.
pub struct Members(pub Vec<Child>);

impl Members {
    /// Starts a process, with its output in a file.
    pub fn start(&mut self, command: &mut Command, log: &Path) -> io::Result<()> {
        let log = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let program = command.get_program().to_string_lossy().into_owned();
        self.0.push(child.map_err(|error| io::Error::other(format!("{program}: {error}")))?);
        Ok(())
    }

    /// The ids of the processes, each with those of its children.
    pub fn ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.0.iter().map(Child::id).collect();
        let children: Vec<u32> = ids.iter().flat_map(|id| children(*id)).collect();
        ids.extend(children);
        ids
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // A process that starts others ends them when it is asked to end.
        for child in &mut self.0 {
            if let Some(id) = rustix::process::Pid::from_raw(child.id() as i32) {
                let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        for child in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn children(id: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Seconds of processor time that processes have used.
pub fn processor_seconds(ids: &[u32]) -> f64 {
    let ticks = |id: &u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    ids.iter().filter_map(ticks).sum::<u64>() as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Addresses that are free now.
pub fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    let sockets: Vec<UdpSocket> =
        (0..count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<io::Result<_>>()?;
    sockets.iter().map(UdpSocket::local_addr).collect()
}
