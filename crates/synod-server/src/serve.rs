//! One member: its disk, its keys, its socket, and the loop until it is told to stop.

use crate::beside::{Beside, WriterThread};
use crate::config::{Config, Member};
use crate::following::{Following, is_over};
use crate::member::{MemberStore, UdpMember};
use crate::notice::{Notice, ServeError};
use crate::status::{Board, Watch};
use crate::ticks::Ticker;
use crate::wiring::Wiring;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use synod::{Msg, Process};
use synod_groups::{Groups, InGroup};
use synod_runtime::admission::Admission;
use synod_runtime::disk::DirDisk;
use synod_runtime::inbox::Limits;
use synod_runtime::keys::{ClientKeys, KeyError, Keys};
use synod_runtime::node::Node;
use synod_runtime::private;
use synod_runtime::record::{Header, Recorder};
use synod_runtime::refusal::{Refusal, Why};
use synod_runtime::store::Identity;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::UdpWire;
use synod_runtime::{Counts, Stopped};

/// Orders to a running member from another thread.
#[derive(Clone, Default)]
pub struct Orders {
    /// Stop after the present batch.
    pub stop: Arc<AtomicBool>,
    /// Read the keys anew.
    pub read_keys: Arc<AtomicBool>,
}

fn because(error: impl std::fmt::Display) -> ServeError {
    ServeError::new(error.to_string())
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ServeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| ServeError::new(format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// Opens a member: everything but the loop.
///
/// # Errors
/// One clear message, for any obstacle.
pub fn open(config: &Config, id: u64) -> Result<(UdpMember, Vec<Notice>), ServeError> {
    let Some(member) = config.member(id) else {
        let ids: Vec<String> = config.members.iter().map(|member| member.id.to_string()).collect();
        return Err(ServeError::new(format!("no member has id {id}; there are {}", ids.join(", "))));
    };
    let (cluster_keys, client_keys) = load_keys(config).map_err(because)?;
    // The socket is bound first: a member that is started twice by mistake must leave no trace in its journal.
    let wire = UdpWire::bind(member.address).map_err(because)?;
    let disk = DirDisk::open(&member.data).map_err(because)?;
    let who = Identity { cluster: config.tag(), member: id };
    let (store, opened) = MemberStore::open(disk, who, &config.named(), u64::from_le_bytes(random()?))
        .map_err(|refusal| refused(config, &refusal))?;
    let mut notices = Vec::new();
    if opened.journal.cut > 0 {
        notices.push(Notice::Cut(opened.journal.cut));
    }
    let recorder = if config.record { Some(recorder(config, member, &store)?) } else { None };
    let settings = transport::Config {
        cluster: config.tag(),
        me: id,
        peers: others(config, id),
        first: config.changing.as_ref().map(|changing| changing.first.clone()),
        cluster_keys: Some(cluster_keys),
        client_keys: Some(client_keys),
        datagram: config.datagram,
        max_message: config.max_message(),
        max_client_message: config.max_client_message(),
        standing: store.standing(),
        session: random()?,
    };
    let directory = config.changing.as_ref().map(|_| store.standing().disk);
    let transport = Transport::new(settings, seeded()?);
    let processes = Wiring { directory, ..Wiring::from(config) }.servers(id);
    let node = Node::new(processes, transport, wire, Some(store), recorder, Limits::default(), seeded()?);
    Ok((node, notices))
}

/// The words for why a data directory is refused.
fn refused(config: &Config, refusal: &Refusal) -> ServeError {
    if let Why::Foreign { cluster, .. } = refusal.why
        && let Some(groups) = config.groups_of(cluster).filter(|groups| *groups != config.groups)
    {
        return ServeError::new(format!(
            "{}: it was made with groups = {groups}, and the configuration has groups = {}. The number is fixed for the life of a cluster, \
             since it decides in which log a key is. If the other members run with groups = {groups}, set that here; if they do not, this member \
             has never taken part with this directory: remove it",
            refusal.file, config.groups
        ));
    }
    if let Why::Foreign { cluster, member, expected } = refusal.why
        && member == expected.1
    {
        const FIXED: &str = "[members] and alpha beside it are fixed for the life of a cluster, since they say who the members of each instance are";
        if let Some(other) = config.differs_in(cluster) {
            return ServeError::new(format!(
                "{}: it was made with {other}. {FIXED}. Set here what the other members run with; if that is what stands here, this member has never \
                 taken part with this directory: remove it",
                refusal.file
            ));
        }
        if config.changing.is_some() {
            return ServeError::new(format!(
                "{}: it was made for another cluster: another name, or `first`, `lag` or [log] `alpha` were others. {FIXED}; start with the \
                 configuration that the directory was made with",
                refusal.file
            ));
        }
    }
    because(refusal)
}

/// A generator for moments of timers and jitter, which need not be secret.
pub(crate) fn seeded() -> Result<fastrand::Rng, ServeError> {
    Ok(fastrand::Rng::with_seed(u64::from_le_bytes(random()?)))
}

/// Every member but one, and its address.
pub(crate) fn others(config: &Config, me: u64) -> Vec<(u64, std::net::SocketAddr)> {
    let others = config.members.iter().filter(|member| member.id != me);
    others.map(|member| (member.id, member.address)).collect()
}

fn recorder(config: &Config, member: &Member, store: &MemberStore<DirDisk>) -> Result<Recorder, ServeError> {
    let standing = store.standing();
    let path = member.data.join(format!("flight-{}.rec", standing.boot));
    let header = Header {
        cluster: config.tag(),
        member: member.id,
        disk: standing.disk,
        boot: standing.boot,
        application: postcard::to_allocvec(&Wiring::from(config)).expect("a wiring is plain data"),
    };
    // A start that ended before its first event may have left an empty record of the same number.
    private::create(&path)
        .and_then(|file| Recorder::create(Box::new(file), &header))
        .map_err(|error| ServeError::new(format!("{}: {error}", path.display())))
}

/// The end of a member's run.
#[derive(Debug)]
pub struct Ended {
    /// The counts of its work.
    pub counts: Counts,
    /// The counts of its datagrams.
    pub datagrams: transport::Counts,
    /// True if it has ended since the log says that it was removed, and may be switched off.
    pub is_removed: bool,
}

/// Runs a member until it is told to stop. It puts its status on the board.
///
/// # Errors
/// One clear message, for any reason to stop. If the actor went wrong, the event at which it did is written into
/// the data directory.
pub fn run(
    config: &Config,
    id: u64,
    orders: &Orders,
    board: &Board,
    ready: &mut dyn FnMut(&UdpMember),
    notice: &mut dyn FnMut(Notice),
) -> Result<Ended, ServeError> {
    let (mut node, notices) = open(config, id)?;
    for one in notices {
        notice(one);
    }
    let mut beside = beside(config, &mut node)?;
    let mut following = Following::new(config, id, &node)?;
    ready(&node);
    let mut watch = Watch::new(config, id, board.clone());
    let boot = node.store().map_or(0, |store| store.standing().boot);
    let settings = config.log.told(config.max_value);
    let mut tickers = Vec::new();
    for group in (0..=u8::MAX).take(config.groups) {
        tickers.push(Ticker::new((group, id), boot, u64::from_le_bytes(random()?), settings));
    }
    let (mut last, mut too_large, mut strange) = (None, false, false);
    let mut leads = vec![None; config.groups];
    let (mut leaves, mut warned) = (None, false);
    let mut is_removed = false;
    while !orders.stop.load(Ordering::Relaxed) || makes_room(&mut node, tickers[0].id(), &mut leaves) {
        if orders.read_keys.swap(false, Ordering::Relaxed) {
            notice(read_keys(config, &mut node));
        }
        if last != Some(Notice::TakesPart) {
            let now = match node.admission() {
                Admission::Waiting { silent, .. } => Notice::Waiting(silent),
                Admission::Learns(until) => Notice::Learns(until),
                Admission::Admitted => Notice::TakesPart,
                Admission::Abstains(reason) => Notice::Abstains(reason),
            };
            if last.as_ref() != Some(&now) {
                notice(now.clone());
                last = Some(now);
            }
        }
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tick =
            tickers.iter_mut().map(|ticker| ticker.turn(&mut node, unix)).min().unwrap_or(Duration::MAX);
        let attended = following.as_mut().map(|following| following.attend(&mut node, notice));
        let wakes = leaves.map_or(tick, |until| tick.min(until)).min(watch.wakes());
        let wakes = attended.map_or(wakes, |attended| wakes.min(attended));
        if let Err(stopped) = node.turn(wakes) {
            return Err(explain(config, id, &node, &stopped));
        }
        for (to, msg) in node.told() {
            if let Some(ticker) = tickers.get_mut(usize::from(msg.group)).filter(|ticker| ticker.id() == to) {
                ticker.hear(&msg.what);
            } else if let Some(following) = &mut following {
                following.hear(&mut node, to, &msg.what);
            }
        }
        watch.look(&mut node);
        beside.attend(&mut node).map_err(because)?;
        let now = node.now();
        let first = node.state().and_then(|all| all.of(0));
        if following.is_some() && first.is_some_and(|first| is_over(first, id)) {
            is_removed = true;
            if now >= *leaves.get_or_insert(now + LINGERS) {
                break;
            }
        }
        if config.log.master.is_none() && first.is_some_and(has_master) {
            if first.is_some_and(is_elected_after_a_take) {
                return Err(ServeError::new(format!(
                    "member {id} was elected, has no lease in its configuration, and the log says that members take mastership: it would answer \
                     no client as long as it leads; set `lease` in [master] as at the other members (any value will do, and it may be \
                     changed from one restart to the next)"
                )));
            }
            if !warned {
                warned = true;
                notice(Notice::NoLease);
            }
        }
        for (group, state) in node.state().into_iter().flat_map(synod_groups::States::all) {
            let (ballot, led) = (leading(state), &mut leads[usize::from(group)]);
            if ballot != *led {
                *led = ballot;
                if let Some(ballot) = ballot {
                    let group = (config.groups > 1).then_some(group);
                    notice(Notice::Leads { group, round: ballot.round });
                }
            }
        }
        if !strange && let Some((from, theirs)) = node.other_members() {
            strange = true;
            let (theirs, ours) = (theirs.to_vec(), node.transport().members().to_vec());
            notice(Notice::OtherMembers { from, theirs, ours });
        }
        if !too_large && node.counts().too_large > 0 {
            too_large = true;
            notice(Notice::TooLarge(config.max_client_message()));
        }
    }
    if let Some(mut following) = following {
        following.end();
    }
    Ok(Ended { counts: node.counts().clone(), datagrams: node.transport().counts().clone(), is_removed })
}

/// Has a member's snapshots written by a thread of their own.
fn beside(config: &Config, node: &mut UdpMember) -> Result<Beside<WriterThread>, ServeError> {
    let disk = node.store().expect("a member has stable storage").disk().clone();
    let thread = WriterThread::start(disk, node.wire().waker());
    let thread = thread.map_err(|error| ServeError::new(format!("no thread to write snapshots: {error}")))?;
    Ok(Beside::new(node, config.groups, thread))
}

/// The ballot in which a member leads.
fn leading(state: &synod::ProcessState) -> Option<synod::Ballot> {
    match state.proposer()?.phase {
        synod::Phase::Accepting { ballot, .. } => Some(ballot),
        _ => None,
    }
}

/// True if a peer has been admitted.
fn takes_part(transport: &transport::Transport, peer: u64) -> bool {
    transport.peer_standing(peer).is_some_and(|standing| standing.admitted)
}

/// The time that a member which was removed goes on, so that its operator sees that it may go.
const LINGERS: Duration = Duration::from_secs(1);

/// The time that a master which is told to stop takes at most to hand mastership over.
const FAREWELL: Duration = Duration::from_millis(500);

/// Hands leadership and mastership over before a member stops. Otherwise the others would wait for the end of the lease. Returns true until the tenure is another's, or for a
/// while: until then it tells them that it has yielded, as often as it has to.
fn makes_room(node: &mut UdpMember, client: u64, leaves: &mut Option<Duration>) -> bool {
    // Where there are several groups, nobody takes mastership.
    let log = node.state().and_then(|all| all.of(0)?.server()).and_then(|server| server.log.as_ref());
    let Some((lease, last)) = log.and_then(|log| Some((log.lease.as_ref()?, log.replica.mastership()?)))
    else {
        return false;
    };
    // While a take is open, nothing is given away.
    let may_give = lease.is_master() && lease.open.is_none();
    if usize::from(last.member()) as u64 != node.transport().me() {
        return false;
    }
    let now = node.now();
    let until = *leaves.get_or_insert(now + FAREWELL);
    // Each peer keeps being heard, as it answers the leader's heartbeats. One that was stopped is heard no more. One that may not take part would be no leader.
    let transport = node.transport();
    let peers: Vec<u64> = transport.peers().filter(|peer| takes_part(transport, *peer)).collect();
    let heard = peers.into_iter().filter_map(|peer| Some((node.transport().heard(peer)?, peer)));
    let Some((_, heir)) = heard.max() else { return false };
    if may_give {
        let what = Msg::Give { since: last.since, heir: (heir as usize).into() };
        node.tell(client, &InGroup { group: 0, what });
    }
    now < until
}

/// True if a member knows of a take of mastership.
fn has_master(state: &synod::ProcessState) -> bool {
    let log = state.server().and_then(|server| server.log.as_ref());
    log.is_some_and(|log| log.replica.mastership().is_some())
}

/// True if a member leads in a ballot above the one in which mastership was taken last. One that leads in a ballot below it was deposed, and follows once it hears so.
fn is_elected_after_a_take(state: &synod::ProcessState) -> bool {
    let last = || state.server()?.log.as_ref()?.replica.mastership();
    let above = |ballot: synod::Ballot| {
        let ballot = (ballot.round, usize::from(ballot.proposer));
        last().is_some_and(|last| ballot > (last.by.number, usize::from(last.member())))
    };
    leading(state).is_some_and(above)
}

/// A member's keys. They must belong together.
fn load_keys(config: &Config) -> Result<(Keys, ClientKeys), KeyError> {
    let cluster = Keys::load(&config.cluster_key)?;
    let clients = ClientKeys::load(&config.client_key)?;
    clients.fits(&cluster, &config.client_key)?;
    Ok((cluster, clients))
}

fn read_keys(config: &Config, node: &mut UdpMember) -> Notice {
    match load_keys(config) {
        Ok((cluster, client)) => {
            node.transport().replace_keys(Some(&cluster), Some(&client));
            Notice::KeysRead
        }
        Err(error) => Notice::KeysKept(error.to_string()),
    }
}

/// The words for why a member stopped. Keeps the event if the actor is to blame.
fn explain(config: &Config, id: u64, node: &UdpMember, stopped: &Stopped<Groups<Process>>) -> ServeError {
    let Some(member) = config.member(id).filter(|_| stopped.is_actors_fault()) else {
        return because(stopped);
    };
    let boot = node.store().map_or(0, |store| store.standing().boot);
    let path = member.data.join(format!("stopped-{boot}.txt"));
    match keep(&path, stopped) {
        Ok(()) => ServeError::new(format!("{stopped}\nThis was written to {}.", path.display())),
        Err(error) => {
            ServeError::new(format!("{stopped}\nIt could not be written to {}: {error}", path.display()))
        }
    }
}

fn keep(path: &Path, stopped: &Stopped<Groups<Process>>) -> io::Result<()> {
    let mut file = private::create(path)?;
    writeln!(file, "{stopped}")?;
    file.sync_all()
}

/// Lets SIGTERM and SIGINT stop a member, and SIGHUP make it read its keys anew. Call it once, with the waker of the member's loop.
///
/// # Errors
/// When the signals cannot be caught.
pub fn obey_signals(orders: &Orders, waker: Arc<synod_runtime::wire::Waker>) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGXFSZ])?;
    let orders = orders.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in &mut signals {
            // A file that is as long as it may be is an error of its write, which says more than the signal.
            if signal == SIGXFSZ {
                continue;
            }
            let order = if signal == SIGHUP { &orders.read_keys } else { &orders.stop };
            order.store(true, Ordering::Relaxed);
            // Without a wake-up the order waits for the loop's next turn; nothing is lost.
            let _ = waker.wake();
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A member whose actor is to blame for stopping. The real actor gives no occasion.
    #[test]
    fn what_an_actor_went_wrong_at_is_kept_beside_its_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = |name: &str, line: &str| {
            synod_runtime::keys::create(&folder.path().join(name), line).expect("a key file");
        };
        key("a", &synod_runtime::keys::line(&[7; 32]));
        key("b", &synod_runtime::keys::client_line(&[8; 32], &Keys::single([9; 32])));
        let free = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let free = free.expect("a loopback socket");
        let text = format!(
            "cluster = \"x\"\ncluster-key = \"a\"\nclient-key = \"b\"\n\
             record = true\nmember = [{{ id = 0, address = \"{free}\", data = \"d\" }}]\n"
        );
        let config = Config::read("cluster.toml", &text, folder.path()).expect("it is right");
        let other = open(&config, 0).map(|_| ()).expect_err("no client would believe it").to_string();
        assert!(other.contains("b: no line is of this cluster's key"), "{other}");
        std::fs::remove_file(folder.path().join("b")).expect("it is ours");
        key("b", &synod_runtime::keys::client_line(&[8; 32], &Keys::single([7; 32])));
        let (node, _) = open(&config, 0).expect("it can be opened");
        let ballot = synod::Ballot { round: 1, proposer: 9 };
        let msg = synod::Msg::Prepare { ballot, from: synod::Instance::FIRST };
        let msg = synod_groups::InGroup { group: 0, what: msg };
        let event = synod_runtime::inbox::Trigger::Deliver { src: 9, msg, bytes: Box::default() };
        let stopped: Stopped<Groups<Process>> = Stopped::Panicked { event: Some(event) };
        let said = explain(&config, 0, &node, &stopped).to_string();
        let path = folder.path().join("d").join("stopped-1.txt");
        assert!(said.contains(&path.display().to_string()), "{said}");
        let kept = std::fs::read_to_string(&path).expect("it was written");
        assert!(kept.contains("panicked") && kept.contains("Prepare(1.9)"), "{kept}");
        // Both the event and the record hold what clients stored.
        for kept in ["stopped-1.txt", "flight-1.rec"] {
            use std::os::unix::fs::PermissionsExt;
            let metadata = std::fs::metadata(folder.path().join("d").join(kept)).expect("it is there");
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{kept}");
        }
        // A failure that is not the actor's fault is said, and kept nowhere.
        let stopped: Stopped<Groups<Process>> = Stopped::Wire(io::Error::other("no network"));
        assert!(explain(&config, 0, &node, &stopped).to_string().contains("no network"));
    }
}
