//! Real members whose real disk takes no more, or cannot be read: each ends at once with one line that says which file and why, the others go on, and it
//! comes back on the same directory.

use crate::cluster::Cluster;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Three members without records, so that it is the journal that grows. They take snapshots often.
fn unrecorded() -> Cluster {
    let mut cluster = Cluster::new(3, None, "[log]\nsnapshot-every = 100\nkeep = 10\n");
    for id in 0..3 {
        let path = cluster.folder.path().join(format!("member-{id}.toml"));
        let text = fs::read_to_string(&path).expect("a configuration");
        fs::write(&path, text.replace("record = true", "record = false")).expect("a configuration");
    }
    cluster.start_all();
    cluster
}

/// Stores values until member 0 has ended by itself. Returns what it said at the end.
fn fill(cluster: &mut Cluster) -> String {
    let client = cluster.client(std::time::Duration::from_mins(1));
    let mut written = 0_u64;
    while !cluster.has_ended(0) {
        client.put(format!("k{}", written % 64).as_str(), vec![b'x'; 30_000]).expect("the others go on");
        written += 1;
        assert!(written < 2000, "it never ended");
    }
    for number in 0..20 {
        client.put("later", number.to_string().as_str()).expect("the others go on");
    }
    let (status, log) = cluster.ended(0);
    assert_eq!(status, Some(2), "{log:?}");
    log.last().cloned().expect("it says why")
}

/// Member 0 is back, and is needed for everything.
fn is_back(cluster: &mut Cluster) {
    cluster.start(0);
    cluster.wait_for(0, "takes part");
    cluster.kill(2);
    assert_eq!(cluster.get("later"), Some(b"19".to_vec()));
    assert_eq!(cluster.get("k7"), Some(vec![b'x'; 30_000]));
    cluster.put("again", b"1");
    for id in 0..2 {
        let (status, log) = cluster.stop(id);
        assert_eq!(status, Some(0), "{log:?}");
    }
}

#[test]
fn a_file_that_may_grow_no_more_ends_its_member_with_a_word_and_no_other() {
    let mut cluster = unrecorded();
    let pid = Pid::from_raw(cluster.pid(0) as i32).expect("a process id");
    let limit = Rlimit { current: Some(1 << 20), maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).expect("it is ours");
    let said = fill(&mut cluster);
    assert!(said.contains("data/0/") && said.contains("cannot write: File too large"), "{said}");
    assert!(said.ends_with("nothing that was acknowledged is lost"), "{said}");
    is_back(&mut cluster);
}

/// A file system in memory. It goes when this does.
struct Mount(PathBuf);

impl Mount {
    /// One of so many bytes, if this machine lets us.
    fn new(at: &Path, bytes: usize) -> Option<Mount> {
        fs::create_dir_all(at).expect("a folder");
        let size = format!("size={bytes},mode=700");
        let ran = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        ran.status.success().then(|| Mount(at.to_owned()))
    }

    fn resize(&self, bytes: usize) {
        let size = format!("remount,size={bytes}");
        let ran = Command::new("mount").args(["-o", &size]).arg(&self.0).status().expect("mount runs");
        assert!(ran.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever still has a file there keeps it, and nobody else.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// `SYNOD_MOUNT=1` has this test mount a file system, which only root may.
#[test]
fn a_full_disk_ends_its_member_with_a_word_and_no_other() {
    if std::env::var_os("SYNOD_MOUNT").is_none() {
        eprintln!("not run: SYNOD_MOUNT is not set");
        return;
    }
    let mut cluster = Cluster::new(3, None, "");
    let mount = Mount::new(&cluster.data(0), 3 << 20).expect("root may mount");
    cluster.start_all();
    let said = fill(&mut cluster);
    assert!(said.contains("No space left on device"), "{said}");
    // Full as it is, it says so again.
    cluster.start(0);
    let (status, log) = cluster.ended(0);
    assert!(status == Some(2) && log.len() == 1 && log[0].contains("No space left on device"), "{log:?}");
    mount.resize(64 << 20);
    is_back(&mut cluster);
}

#[test]
fn a_journal_that_cannot_be_read_is_refused_by_its_name() {
    let mut cluster = Cluster::new(1, None, "");
    cluster.start_all();
    cluster.put("k", b"1");
    cluster.stop(0);
    let journal = fs::read_dir(cluster.data(0))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal-")))
        .expect("a journal");
    let kept = cluster.folder.path().join("kept");
    fs::rename(&journal, &kept).expect("it is there");
    let refused = |cluster: &mut Cluster, says: &str| {
        cluster.start(0);
        let (status, log) = cluster.ended(0);
        assert!(status == Some(2) && log.len() == 1, "{log:?}");
        assert!(log[0].contains(&cluster.data(0).display().to_string()) && log[0].contains(says), "{log:?}");
    };
    refused(&mut cluster, "the journal of this data directory is gone");
    // What reads as an error of the disk.
    fs::create_dir(&journal).expect("a folder in its place");
    refused(&mut cluster, "cannot");
    fs::remove_dir(&journal).expect("it is ours");
    fs::rename(&kept, &journal).expect("it was kept");
    cluster.start(0);
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
    cluster.stop_and_replay();
}
