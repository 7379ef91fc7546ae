//! Real members whose real disks are slow or fail: `strace` delays their flushes, or has them fail, for as long as a test wants it. What slow
//! disks cost is as `README.md` says, and the status tells it. A failed flush ends its member. Nothing is lost.

use crate::cluster::Cluster;
use crate::observed::{observed_with, told, until_seen};
use crate::soak::{Load, SMALL, recover_and_judge, seed};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A member under `strace`, which interferes with its flushes. They are as before when this goes.
struct Traced(Child);

impl Traced {
    /// Delays each flush by so much.
    fn slow(cluster: &Cluster, id: usize, by: Duration) -> Traced {
        let inject = format!("inject=fsync,fdatasync:delay_enter={}", by.as_micros());
        Traced::attach(cluster, id, &["-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject])
    }

    /// Has flushes fail: of those of each thread the ones that `when` says, in the words of `strace`. Its calls that write, flush and
    /// send are listed in the file `calls`.
    fn failing(cluster: &Cluster, id: usize, when: &str, calls: &Path) -> Traced {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={when}");
        let traced = "trace=fsync,fdatasync,pwrite64,sendto,sendmsg,sendmmsg";
        let calls = calls.to_str().expect("a path of text");
        Traced::attach(cluster, id, &["-yy", "-s", "0", "-o", calls, "-e", traced, "-e", &inject])
    }

    /// # Panics
    /// Where there is no `strace`, or it may not trace. These tests are ignored unless they are asked for, so none passes for one that
    /// ran.
    fn attach(cluster: &Cluster, id: usize, args: &[&str]) -> Traced {
        let mut strace = Command::new("strace")
            .arg("-f")
            .args(args)
            .args(["-p", &cluster.pid(id).to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace runs; install Debian's package `strace`");
        let stderr = strace.stderr.take().expect("it is piped");
        // The others of its lines are read so that it can go on.
        let (send, attached) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(" attached")) {
            let line = attached.recv_timeout(Duration::from_mins(1));
            said.push(line.unwrap_or_else(|_| {
                panic!(
                    "strace may not trace member {id}: run as root, or set kernel.yama.ptrace_scope to 0: {said:?}"
                )
            }));
        }
        Traced(strace)
    }

    /// Waits until `strace` has ended, as it does after its member.
    fn finish(mut self) {
        until_seen("strace ends with its member", || {
            let ended = self.0.try_wait().expect("it is ours");
            ended.map(|_| ()).ok_or_else(|| "it runs".to_owned())
        });
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It lets go of its member then.
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            let _ = self.0.wait();
        }
    }
}

/// The longest time for which this machine left a thread waiting that had something to do, in milliseconds.
struct Stalls {
    longest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Stalls {
    fn watch() -> Stalls {
        let (longest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, until) = (longest.clone(), stop.clone());
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(Duration::from_millis(5));
                seen.fetch_max(began.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
        });
        Stalls { longest, stop }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.longest.load(Ordering::Relaxed)
    }
}

fn leader(cluster: &mut Cluster, but: Option<usize>) -> usize {
    until_seen("a member leads", || {
        let leader = cluster.leader();
        leader.filter(|leader| Some(*leader) != but).ok_or_else(|| format!("{leader:?}, and not {but:?}"))
    })
}

/// Waits until so many more calls had their answers.
fn goes_on(load: &Load, more: u64) {
    let answered = || load.histories.answered.load(Ordering::Relaxed);
    let most = answered() + more;
    until_seen("calls are answered", || {
        let answered = answered();
        (answered >= most).then_some(()).ok_or_else(|| format!("{answered} of {most}"))
    });
}

/// Waits until the status of a member tells that flushes take so long.
fn tells(cluster: &Cluster, id: usize, flush: Duration) {
    until_seen("the status tells how long a flush takes", || {
        let told = told(cluster);
        let status = told.iter().find(|status| status["member"] == id).ok_or("no status")?;
        let flushes = &status["latency"]["flush"];
        let is_so = flushes["p99_seconds"].as_f64() >= Some(flush.as_secs_f64())
            && flushes["longest_seconds"].as_f64() >= Some(flush.as_secs_f64());
        is_so.then_some(()).ok_or_else(|| format!("{flushes}"))
    });
}

#[test]
#[ignore = "needs Debian's package `strace`, and leave to trace; .ci/run has both"]
fn slow_disks_are_told_and_lose_nothing_and_a_leader_that_is_silent_for_long_loses_its_followers() {
    let ms = Duration::from_millis;
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = observed_with(3, SMALL);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    goes_on(&load, 50);

    // Slow, but never silent for as long as a suspicion takes.
    let first = leader(&mut cluster, None);
    let (stalls, slow) = (Stalls::watch(), Traced::slow(&cluster, first, ms(60)));
    goes_on(&load, 50);
    tells(&cluster, first, ms(60));
    drop(slow);
    let (stalled, now) = (stalls.end(), leader(&mut cluster, None));
    eprintln!(
        "member {first} led with a flush of 60 ms; then member {now} leads; {stalled} ms at most without a turn"
    );
    assert!(now == first || stalled > 50, "a leader whose disk is only slow is not replaced");

    // Silent for longer than that, again and again.
    let first = now;
    let slow = Traced::slow(&cluster, first, ms(2000));
    let second = leader(&mut cluster, Some(first));
    goes_on(&load, 50);
    tells(&cluster, first, ms(2000));
    cluster.wait_for(first, "ms for its disk");
    // It ends in the midst of a flush, and comes back.
    cluster.kill(first);
    drop(slow);
    cluster.start(first);
    cluster.wait_for(first, "takes part");
    eprintln!("member {first} led with a flush of 2 s, and member {second} after it");

    // All are slow.
    let slow: Vec<Traced> = (0..3).map(|id| Traced::slow(&cluster, id, ms(150))).collect();
    goes_on(&load, 20);
    (0..3).for_each(|id| tells(&cluster, id, ms(150)));
    drop(slow);
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}

/// A flush that failed, as the calls of its thread tell of it.
struct Failed {
    file: PathBuf,
    /// The bytes that it should have made durable: places and lengths.
    unflushed: Vec<(u64, u64)>,
    /// The calls after it.
    after: Vec<String>,
}

impl Failed {
    /// Reads the list of calls that `strace` made.
    fn read(calls: &Path) -> Failed {
        let text = fs::read_to_string(calls).expect("strace made a list");
        let is_failed = |line: &&str| line.contains("sync") && line.contains("= -1 EIO");
        let failed = text.lines().find(is_failed).expect("a flush failed");
        let thread = failed.split(' ').next().expect("a thread");
        // A call during which another thread made one stands on two lines.
        let mut of_thread: Vec<String> = Vec::new();
        for line in text.lines().filter(|line| line.split(' ').next() == Some(thread)) {
            let line = line[thread.len()..].trim_start();
            if line.starts_with("+++") {
                continue; // The end of the thread.
            }
            match (line.split_once(" resumed>"), of_thread.last_mut()) {
                (Some((_, rest)), Some(start)) => *start = start.replace(" <unfinished ...>", rest),
                _ => of_thread.push(line.to_owned()),
            }
        }
        let is_flush = |call: &str| call.starts_with("fsync(") || call.starts_with("fdatasync(");
        let place = of_thread.iter().position(|call| is_flush(call) && call.contains("= -1 EIO"));
        let after = of_thread.split_off(place.expect("it is of this thread") + 1);
        let failed = of_thread.pop().expect("the flush that failed");
        let file = |call: &str| Some(call.split_once('<')?.1.split_once('>')?.0.to_owned());
        let path = file(&failed).unwrap_or_else(|| panic!("{failed}"));
        let mut unflushed = Vec::new();
        for call in of_thread.iter().filter(|call| file(call).as_ref() == Some(&path)) {
            if is_flush(call) {
                unflushed.clear();
            } else if let Some(call) = call.strip_prefix("pwrite64(") {
                let mut args = call.split(')').next().unwrap_or_default().rsplit(", ");
                let mut number = || args.next()?.parse::<u64>().ok();
                let (at, length) = (number(), number());
                unflushed.push((at.expect(call), length.expect(call)));
            }
        }
        Failed { file: path.into(), unflushed, after }
    }

    /// Has the file lose what was not flushed, as a kernel may that could not write it.
    fn lose(&self) {
        let file = OpenOptions::new().write(true).open(&self.file).expect("it is there");
        for (at, length) in &self.unflushed {
            file.write_all_at(&vec![0; *length as usize], *at).expect("it is ours");
        }
    }
}

/// Has a flush of a member fail: it stops at once and says why, and nothing leaves it any more.
fn fails(cluster: &mut Cluster, id: usize, when: &str) -> Failed {
    let calls = cluster.folder.path().join(format!("calls-{id}-{when}"));
    let failing = Traced::failing(cluster, id, when, &calls);
    let (status, log) = cluster.ended(id);
    failing.finish();
    let (failed, said) = (Failed::read(&calls), log.last().cloned().unwrap_or_default());
    eprintln!("member {id}, {when}: {} writes not flushed; {said}", failed.unflushed.len());
    assert_eq!(status, Some(2), "{log:?}");
    let name = failed.file.file_name().expect("a file").to_string_lossy();
    assert!(name.starts_with("journal-") && !failed.unflushed.is_empty(), "{name}");
    assert!(said.contains(&format!("data/{id}/{name} at byte ")), "{said}");
    assert!(said.contains(": cannot flush: Input/output error"), "{said}");
    assert!(said.ends_with("look at the disk and the kernel's log before starting again"), "{said}");
    assert!(failed.after.is_empty(), "after the flush that failed: {:?}", failed.after);
    failed
}

/// A member that ended is back, and is needed for everything, since another is away.
fn is_back(cluster: &mut Cluster, load: &Load, id: usize) {
    cluster.start(id);
    cluster.wait_for(id, "takes part");
    let other = (id + 1) % 3;
    cluster.kill(other);
    goes_on(load, 30);
    cluster.start(other);
    cluster.wait_for(other, "takes part");
}

#[test]
#[ignore = "needs Debian's package `strace`, and leave to trace; .ci/run has both"]
fn a_flush_that_fails_ends_its_member_before_anything_rests_on_it_and_no_other() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut cluster = observed_with(3, SMALL);
    cluster.start_all();
    let load = Load::start(&cluster.config, 4, 60, &mut rng);
    goes_on(&load, 50);

    // A follower: each flush fails from some time on, and what it wrote can be read all the same.
    let follower = (leader(&mut cluster, None) + 1) % 3;
    fails(&mut cluster, follower, "20+");
    goes_on(&load, 50);
    is_back(&mut cluster, &load, follower);

    // The leader: one flush fails, the next would not, and what it wrote is lost.
    let first = leader(&mut cluster, None);
    let failed = fails(&mut cluster, first, "20");
    failed.lose();
    leader(&mut cluster, Some(first));
    goes_on(&load, 50);
    is_back(&mut cluster, &load, first);
    eprintln!("{}", recover_and_judge(&mut cluster, 3, load));
}
