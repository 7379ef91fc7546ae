//! `synod cluster`: the members of a whole cluster as processes of this machine, for trying out.

use crate::args::Cluster;
use crate::output::{DIM, YELLOW, line, paint};
use crate::{serve, words};
use std::fmt::Write;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use synod_server::Config;

/// The number of members where nobody says another.
const NODES: u16 = 3;
/// The time between two looks at the members' processes.
const LOOK: Duration = Duration::from_millis(50);
/// The pause before an ended member is started again. It doubles with each start that comes to nothing, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A member that ran for this long did not end for a reason that it started with.
const STEADY: Duration = Duration::from_secs(10);
/// The time that members have to end before they are killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// A member's process.
struct Member {
    id: u64,
    address: SocketAddr,
    running: Option<Child>,
    started: Instant,
    /// The pause before the next start, and its moment while there is no process.
    pause: Duration,
    again: Instant,
    /// True if it was removed from the cluster: then it is not started again.
    is_removed: bool,
}

/// Runs the command until Ctrl-C.
pub fn run(args: &Cluster) -> Result<u8, String> {
    // A folder that nobody named goes with the cluster.
    let temporary =
        args.data.is_none().then(|| tempfile::Builder::new().prefix("synod-cluster-").tempdir()).transpose();
    let temporary = temporary.map_err(|error| format!("cannot make a folder for the data: {error}"))?;
    let folder =
        temporary.as_ref().map_or_else(|| args.data.clone().unwrap_or_default(), |dir| dir.path().to_owned());
    let file = folder.join("cluster.toml");
    let is_new = !file.exists();
    if is_new {
        make(&folder, &file, (args.nodes.unwrap_or(NODES), args.groups.unwrap_or(1)))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let config = words::config(&file)?;
    if let Some(nodes) = args.nodes.filter(|nodes| usize::from(*nodes) != config.members.len()) {
        return Err(format!(
            "{}: a cluster of {} members, and not {nodes}; leave --nodes away, or choose another --data",
            file.display(),
            config.members.len()
        ));
    }
    if let Some(groups) = args.groups.filter(|groups| usize::from(*groups) != config.groups) {
        return Err(format!(
            "{}: a cluster of {} groups, and not {groups}, which is fixed; leave --groups away, or choose another --data",
            file.display(),
            config.groups
        ));
    }
    serve::make_keys(&config)?;
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
        .map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let mut members = Vec::new();
    for member in &config.members {
        let mut member = Member::new(member.id, member.address);
        let started = member.start(&file);
        members.push(member);
        if let Err(error) = started {
            end(&mut members);
            return Err(format!("a member cannot be started: {error}"));
        }
    }
    line(&told(&members, &file, args.data.as_deref(), &config));
    while !STOP.load(Ordering::Relaxed) {
        sleep(LOOK);
        for member in &mut members {
            member.look(&file);
        }
    }
    end(&mut members);
    Ok(crate::status::OK)
}

/// Writes the configuration of a new cluster, at addresses that are free now.
fn make(folder: &Path, file: &Path, (nodes, groups): (u16, u16)) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // They are all held until the last one is chosen, so that no two are the same.
    let sockets: Vec<UdpSocket> =
        (0..nodes).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let listeners: Vec<TcpListener> =
        (0..2 * nodes).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    let mut text = "# Made by `synod cluster`. `synod serve --example-config` shows what may stand here.\n\
                    cluster = \"local\"\ncluster-key = \"cluster.key\"\nclient-key = \"client.key\"\n"
        .to_owned();
    if groups > 1 {
        let _ = writeln!(text, "groups = {groups}");
    }
    for (id, (socket, listeners)) in sockets.iter().zip(listeners.chunks(2)).enumerate() {
        let (address, http) = (socket.local_addr()?, listeners[0].local_addr()?);
        let redis = listeners[1].local_addr()?;
        let _ = write!(
            text,
            "\n[[member]]\nid = {id}\naddress = \"{address}\"\ndata = \"member-{id}\"\nhttp = \"{http}\"\nredis = \"{redis}\"\n"
        );
    }
    std::fs::write(file, text)
}

/// What can be done with the cluster.
fn told(members: &[Member], file: &Path, data: Option<&Path>, config: &Config) -> String {
    let mut text =
        format!("{} members, data in {}\n", members.len(), file.parent().unwrap_or(file).display());
    for Member { id, address, running, .. } in members {
        let process = running.as_ref().map_or(0, Child::id);
        let _ = write!(text, "\n  member {id}   {address:<21}   process {process}");
    }
    if let Some(page) = config.members.iter().find_map(|member| member.http) {
        let _ = write!(text, "\n\nA page about them: http://{page}/");
    }
    if let Some(redis) = config.members.iter().find_map(|member| member.redis) {
        let _ = write!(text, "\nFor clients of Redis: redis-cli -h {} -p {}", redis.ip(), redis.port());
    }
    let first = members.first().and_then(|member| member.running.as_ref()).map_or(0, Child::id);
    let kept = data.map_or_else(
        || "and removes its data; with --data DIR they stay".to_owned(),
        |data| format!("`synod cluster --data {}` goes on with the same data", data.display()),
    );
    let _ = write!(
        text,
        "\n\nIn another terminal:\n\n  export SYNOD_CONFIG={}\n  synod put greeting hello\n  synod get greeting\n  synod cas greeting --expect hello goodbye\n  synod lock door --ttl 1m\n  synod watch ''\n  synod status\n\n\
         A member that ends is started again: try `kill -9 {first}`.\nCtrl-C ends all, {kept}.",
        file.display()
    );
    text
}

impl Member {
    fn new(id: u64, address: SocketAddr) -> Self {
        let now = Instant::now();
        Self { id, address, running: None, started: now, pause: FIRST_PAUSE, again: now, is_removed: false }
    }

    fn start(&mut self, file: &Path) -> io::Result<()> {
        self.started = Instant::now();
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--attached", "--id", &self.id.to_string(), "--config"])
            .arg(file)
            // It ends when this process does, whatever ends that. Ctrl-C is for this process alone.
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()?;
        self.running = Some(child);
        Ok(())
    }

    /// Notes that the process has ended, or starts it again when it is time.
    fn look(&mut self, file: &Path) {
        let ended = match &mut self.running {
            Some(child) => child.try_wait().ok().flatten(),
            None if self.is_removed => None,
            None if Instant::now() >= self.again => return self.start_again(file),
            None => None,
        };
        if let Some(status) = ended {
            self.running = None;
            if status.code() == Some(i32::from(crate::status::REMOVED)) {
                self.is_removed = true;
                return self.tell(DIM, "was removed from the cluster, and is not started again");
            }
            self.pause = if self.started.elapsed() >= STEADY { FIRST_PAUSE } else { self.pause };
            self.wait(&how(status));
        }
    }

    fn start_again(&mut self, file: &Path) {
        match self.start(file) {
            Ok(()) => {
                let process = self.running.as_ref().map_or(0, Child::id);
                self.tell(anstyle::Style::new(), &format!("is started again as process {process}"));
            }
            Err(error) => self.wait(&format!("cannot be started: {error}")),
        }
    }

    fn tell(&self, style: anstyle::Style, text: &str) {
        anstream::eprintln!("{} {}", paint(DIM, &format!("member {}", self.id)), paint(style, text));
    }

    /// Leaves the member alone for a while, each time for longer.
    fn wait(&mut self, why: &str) {
        let text = format!("{why}; it is started again in {} ms", self.pause.as_millis());
        self.tell(YELLOW, &text);
        self.again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn how(status: ExitStatus) -> String {
    format!("has ended ({status})")
}

/// Ends all members: by closing their standard input, and by force where that is not enough.
fn end(members: &mut [Member]) {
    let running = members.iter_mut().filter_map(|member| member.running.as_mut());
    let mut running: Vec<&mut Child> = running.collect();
    for child in &mut running {
        drop(child.stdin.take());
    }
    let until = Instant::now() + FAREWELL;
    while Instant::now() < until && running.iter_mut().any(|child| matches!(child.try_wait(), Ok(None))) {
        sleep(LOOK);
    }
    for child in running {
        let _ = child.kill();
        let _ = child.wait();
    }
}
