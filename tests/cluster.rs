//! A cluster of real processes on loopback, with real disks, for tests that hurt it.

use crate::proxy::Proxy;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use synod_client::{Client, Error};
use synod_server::Config;

/// A cluster and all that belongs to it; ends its processes when it goes.
pub(crate) struct Cluster {
    /// Its folder: configurations, keys, data.
    pub(crate) folder: tempfile::TempDir,
    /// What clients use.
    pub(crate) config: Config,
    members: Vec<Member>,
    /// The network between the members, if it can be made to misbehave.
    pub(crate) proxy: Option<Proxy>,
}

struct Member {
    config: PathBuf,
    /// Variables of its environment.
    environment: Vec<(String, String)>,
    running: Option<(Child, Receiver<String>)>,
    stopped: bool,
    log: Vec<String>,
}

/// How long anything may take before a test is given up; never how long something should take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Loopback addresses that were free a moment ago.
pub(crate) fn free_addresses(count: usize, ip: &str) -> Vec<SocketAddr> {
    let sockets: Vec<UdpSocket> =
        (0..count).map(|_| UdpSocket::bind(format!("{ip}:0")).expect("a loopback socket")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("its address")).collect()
}

impl Cluster {
    /// Lays out a cluster of so many members; starts nothing.
    pub(crate) fn new(members: usize, through_proxy: Option<u64>, more: &str) -> Cluster {
        Cluster::at("127.0.0.1", members, through_proxy, more)
    }

    /// The same at another loopback address.
    pub(crate) fn at(ip: &str, members: usize, through_proxy: Option<u64>, more: &str) -> Cluster {
        Cluster::laid_out((ip, members, members), through_proxy, more)
    }

    /// Lays out a cluster that begins with so many members, and the files of as many others as make so many. Clients know the first ones, and so do those that
    /// come later, beside themselves.
    pub(crate) fn changing(first: usize, all: usize, more: &str) -> Cluster {
        let ids: Vec<String> = (0..first).map(|id| id.to_string()).collect();
        let more = format!("{more}\n[members]\nfirst = [{}]\n", ids.join(", "));
        Cluster::laid_out(("127.0.0.1", first, all), None, &more)
    }

    fn laid_out(
        (ip, first, members): (&str, usize, usize),
        through_proxy: Option<u64>,
        more: &str,
    ) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder");
        let real = free_addresses(members, ip);
        let proxy = through_proxy.map(|seed| Proxy::between(&real, seed));
        let write = |name: &str, me: Option<usize>, address: &dyn Fn(usize) -> SocketAddr| {
            let mut text = format!(
                "cluster = \"test\"\ncluster-key = \"cluster.key\"\nclient-key = \"client.key\"\nrecord = true\n{more}\n"
            );
            for id in (0..first).chain(me.filter(|me| *me >= first)) {
                let _ = write!(text, "\n[[member]]\nid = {id}\naddress = \"{}\"\n", address(id));
            }
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let clients = write("cluster.toml", None, &|id| real[id]);
        let configs = (0..members).map(|me| {
            // A member listens at its own address and sends to the others' sides of the proxy.
            write(&format!("member-{me}.toml"), Some(me), &|id| match &proxy {
                Some(proxy) if id != me => proxy.address(me, id),
                _ => real[id],
            })
        });
        let member = |config| Member {
            config,
            environment: Vec::new(),
            running: None,
            stopped: false,
            log: Vec::new(),
        };
        let members = configs.map(member).collect();
        let made = synod().args(["keygen", "--config"]).arg(&clients).output().expect("synod runs");
        assert!(made.status.success(), "{made:?}");
        let config = Config::load(&clients).expect("the configuration is right");
        Cluster { folder, config, members, proxy }
    }

    /// Changes a member's configuration file, which it reads when it starts.
    pub(crate) fn amend(&mut self, id: usize, from: &str, to: &str) {
        let path = &self.members[id].config;
        let text = fs::read_to_string(path).expect("it was written");
        assert!(text.contains(from), "{from:?} stands in {text}");
        fs::write(path, text.replace(from, to)).expect("a file");
    }

    /// The configuration file of a member.
    pub(crate) fn file(&self, id: usize) -> &Path {
        &self.members[id].config
    }

    /// Has a member start in another environment from now on.
    pub(crate) fn set_environment(&mut self, id: usize, environment: Vec<(String, String)>) {
        self.members[id].environment = environment;
    }

    /// Starts a member.
    pub(crate) fn start(&mut self, id: usize) {
        let member = &mut self.members[id];
        assert!(member.running.is_none(), "member {id} runs");
        let mut child = synod()
            .args(["serve", "--id", &id.to_string(), "--config"])
            .arg(&member.config)
            .envs(member.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("synod runs");
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        member.running = Some((child, lines));
        member.stopped = false;
    }

    /// Starts every member and waits until all take part.
    pub(crate) fn start_all(&mut self) {
        for id in 0..self.members.len() {
            self.start(id);
        }
        for id in 0..self.members.len() {
            self.wait_for(id, "takes part");
        }
    }

    /// Waits until a member has said something on stderr.
    ///
    /// # Panics
    /// When it ends, or does not say it for a long time.
    pub(crate) fn wait_for(&mut self, id: usize, says: &str) {
        let began = Instant::now();
        loop {
            let member = &mut self.members[id];
            if member.log.iter().any(|line| line.contains(says)) {
                return;
            }
            let Some((_, lines)) = &member.running else {
                panic!("member {id} does not run: {:?}", member.log)
            };
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => member.log.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("member {id} ended and did not say {says:?}: {:?}", member.log)
                }
            }
            assert!(began.elapsed() < PATIENCE, "member {id} did not say {says:?}: {:?}", member.log);
        }
    }

    /// Ends a member as a power cut would, as far as the process is concerned.
    pub(crate) fn kill(&mut self, id: usize) {
        if let Some((mut child, lines)) = self.members[id].running.take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            self.members[id].log.clear();
            drop(lines);
        }
    }

    /// The member that said last that it leads, if it runs.
    pub(crate) fn leader(&mut self) -> Option<usize> {
        let mut latest = None;
        for (id, member) in self.members.iter_mut().enumerate() {
            let Some((_, lines)) = &member.running else { continue };
            member.log.extend(lines.try_iter());
            let round = |line: &String| line.split_once("leads in round ")?.1.parse::<u64>().ok();
            latest = latest.max(member.log.iter().filter_map(round).max().map(|round| (round, id)));
        }
        latest.map(|(_, id)| id)
    }

    /// The number of lines of all running members that say something.
    pub(crate) fn count(&mut self, says: &str) -> usize {
        let lines = self.members.iter_mut().map(|member| {
            let Some((_, lines)) = &member.running else { return 0 };
            member.log.extend(lines.try_iter());
            member.log.iter().filter(|line| line.contains(says)).count()
        });
        lines.sum()
    }

    /// Asks a member to stop, and waits until it has: its exit status and what it said.
    pub(crate) fn stop(&mut self, id: usize) -> (Option<i32>, Vec<String>) {
        let member = &mut self.members[id];
        let Some((mut child, lines)) = member.running.take() else { return (None, Vec::new()) };
        signal(&child, Signal::CONT);
        signal(&child, Signal::TERM);
        let status = child.wait().expect("it is ours");
        let mut log = std::mem::take(&mut member.log);
        log.extend(lines);
        (status.code(), log)
    }

    /// Waits until a member has ended of itself: its exit status and what it said.
    pub(crate) fn ended(&mut self, id: usize) -> (Option<i32>, Vec<String>) {
        let member = &mut self.members[id];
        let (mut child, lines) = member.running.take().expect("it was started");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("it is ours") {
                break status;
            }
            if began.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!(
                    "member {id} did not end: {:?}, {:?}",
                    member.log,
                    lines.try_iter().collect::<Vec<_>>()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut log = std::mem::take(&mut member.log);
        log.extend(lines);
        (status.code(), log)
    }

    /// Whether a member that was started has ended by itself.
    pub(crate) fn has_ended(&mut self, id: usize) -> bool {
        let running = self.members[id].running.as_mut();
        running.is_some_and(|(child, _)| child.try_wait().expect("it is ours").is_some())
    }

    /// The process id of a member that runs.
    pub(crate) fn pid(&self, id: usize) -> u32 {
        self.members[id].running.as_ref().expect("it runs").0.id()
    }

    /// Whether a member runs.
    pub(crate) fn runs(&self, id: usize) -> bool {
        self.members[id].running.is_some()
    }

    /// Sends a signal to a member that runs.
    pub(crate) fn signal(&mut self, id: usize, which: Signal) {
        if let Some((child, _)) = &self.members[id].running {
            signal(child, which);
            self.members[id].stopped = which == Signal::STOP;
        }
    }

    /// Whether a member is held by SIGSTOP.
    pub(crate) fn is_held(&self, id: usize) -> bool {
        self.members[id].stopped
    }

    /// A member's resident memory, in bytes.
    pub(crate) fn memory(&self, id: usize) -> Option<u64> {
        let (child, _) = self.members[id].running.as_ref()?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// How often these bytes stand in memory that a member may write to; none where the system does not show it.
    pub(crate) fn found_in_memory(&self, id: usize, wanted: &[u8]) -> Option<usize> {
        use std::os::unix::fs::FileExt;
        let (child, _) = self.members[id].running.as_ref()?;
        let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).ok()?;
        let memory = fs::File::open(format!("/proc/{}/mem", child.id())).ok()?;
        let mut found = 0;
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
            let mut bytes = vec![0; (to - from) as usize];
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                found += bytes.windows(wanted.len()).filter(|part| *part == wanted).count();
            }
        }
        Some(found)
    }

    /// A member's data directory.
    pub(crate) fn data(&self, id: usize) -> PathBuf {
        self.folder.path().join(format!("data/{id}"))
    }

    /// A new client, whose calls take no longer than this.
    pub(crate) fn client(&self, timeout: Duration) -> Client {
        client(&self.config, timeout)
    }

    /// Stores a value.
    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        self.client(PATIENCE).put(key, value).unwrap_or_else(|error| panic!("{key}: {error}"));
    }

    /// Tries to store a value for a while.
    pub(crate) fn try_put(&self, key: &str, value: &[u8], timeout: Duration) -> Result<u64, Error> {
        self.client(timeout).put(key, value)
    }

    /// Asks for a value.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let found = self.client(PATIENCE).get(key).unwrap_or_else(|error| panic!("{key}: {error}"));
        found.map(|item| item.value.to_vec())
    }

    /// Stops what runs, and replays everything that was recorded.
    ///
    /// # Panics
    /// When a member does not stop cleanly, or the replay finds anything.
    pub(crate) fn stop_and_replay(&mut self) -> synod_replay::Replayed {
        for id in 0..self.members.len() {
            if self.runs(id) {
                let (status, log) = self.stop(id);
                assert_eq!(status, Some(0), "member {id}: {log:?}");
            }
        }
        replay(&self.folder.path().join("data"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for id in 0..self.members.len() {
            self.kill(id);
        }
        if std::thread::panicking() {
            // What was recorded is what one wants to see then.
            eprintln!("the cluster's files are kept in {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

/// A client of the cluster of a configuration, whose calls take no longer than this.
pub(crate) fn client(config: &Config, timeout: Duration) -> Client {
    let mut settings = synod_client::Config::new(config.cluster.clone(), config.client_key.clone());
    settings.members = config.members.iter().map(|member| (member.id, member.address)).collect();
    settings.groups = config.groups;
    settings.changing = config.changing.as_ref().map(|changing| synod_client::Changing {
        first: changing.first.clone(),
        lag: changing.lag,
        alpha: config.log.alpha,
    });
    (settings.max_key, settings.max_value) = (config.log.max_key, config.max_value);
    (settings.max_command, settings.datagram) = (config.longest_command(), config.datagram);
    Client::connect(&settings).expect("a client can be started").with_timeout(timeout)
}

/// Replays flight records, and expects nothing to be wrong with them.
pub(crate) fn replay(folder: &Path) -> synod_replay::Replayed {
    let records = synod_replay::Records::read(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"));
    let lives = records.lives().unwrap_or_else(|error| panic!("{error}"));
    let replayed = synod_replay::replay::<synod::Process, synod_server::PaxosChanges>(
        lives,
        synod_server::Wiring::server,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(replayed.verdict, None, "{}", folder.display());
    replayed
}

fn signal(child: &Child, which: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process id");
    // It may just have ended; whoever cares looks at how.
    let _ = kill_process(pid, which);
}

/// The command under test.
pub(crate) fn synod() -> Command {
    Command::new(env!("CARGO_BIN_EXE_synod"))
}
