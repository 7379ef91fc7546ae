//! A cluster of three members in threads of this process, over real sockets and disks.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use synod::{Log, Process, Retry};
use synod_apply::{Applied, Compact};
use synod_client::Config;
use synod_machine::{Limits, Sessions, Store};
use synod_runtime::disk::DirDisk;
use synod_runtime::keys::{self, ClientKeys, Keys};
use synod_runtime::store::Identity;
use synod_runtime::transport::{self, Transport};
use synod_runtime::wire::{UdpWire, Waker};
use synod_server::{MemberStore, UdpMember, Wiring};

const MEMBERS: u64 = 3;

/// A cluster. It ends with its value.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    members: Vec<Option<Member>>,
    folder: tempfile::TempDir,
    limits: Limits,
}

struct Member {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: JoinHandle<()>,
}

impl Cluster {
    /// Starts all members, whose table of sessions has these limits.
    pub(crate) fn start(limits: Limits) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder");
        let client_key = folder.path().join("client.key");
        let line = keys::client_line(&[8; 32], &Keys::single([7; 32]));
        keys::create(&client_key, &line).expect("a key");
        let sockets: Vec<UdpSocket> =
            (0..MEMBERS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
        let mut config = Config::new("test", client_key);
        for (id, socket) in (0..).zip(&sockets) {
            config = config.member(id, socket.local_addr().expect("an address"));
        }
        config.window = limits.window;
        drop(sockets);
        let mut cluster = Cluster { config, members: Vec::new(), folder, limits };
        for id in 0..MEMBERS {
            cluster.members.push(None);
            cluster.restart(id);
        }
        cluster
    }

    /// Ends a member as a crash does: between two turns of its loop.
    pub(crate) fn end(&mut self, id: u64) {
        if let Some(member) = self.members[id as usize].take() {
            member.stop.store(true, Ordering::Relaxed);
            member.waker.wake().expect("it can be woken");
            member.thread.join().expect("it does not panic");
        }
    }

    /// Starts a member, with what it had saved.
    pub(crate) fn restart(&mut self, id: u64) {
        let (folder, members, limits) =
            (self.folder.path().join(id.to_string()), self.config.members.clone(), self.limits);
        let stop = Arc::new(AtomicBool::new(false));
        let (told, hears) = std::sync::mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut node = member(&folder, &members, id, limits);
            told.send(node.wire().waker()).expect("it is waited for");
            while !stopped.load(Ordering::Relaxed) {
                node.turn(Duration::MAX).expect("nothing goes wrong with it");
            }
        });
        let waker = hears.recv().expect("the member starts");
        self.members[id as usize] = Some(Member { stop, waker, thread });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for id in 0..self.members.len() as u64 {
            self.end(id);
        }
    }
}

fn member(folder: &Path, members: &[(u64, SocketAddr)], id: u64, limits: Limits) -> UdpMember {
    let ms = Duration::from_millis;
    let ids: Vec<u64> = members.iter().map(|(id, _)| *id).collect();
    let tag = synod_runtime::groups::cluster_tag("test", 1);
    let address = members[id as usize].1;
    let wire = UdpWire::bind(address).expect("its address is free");
    let disk = DirDisk::open(folder).expect("a disk");
    let who = Identity { cluster: tag, member: id };
    let (store, _) = MemberStore::open(disk, who, &ids, id + 1).expect("its data");
    let text = format!(
        "cluster = \"test\"\ncluster-key = \"a\"\nclient-key = \"b\"\nmember = [{{ id = 0, address = \"{address}\" }}]\n"
    );
    let config = synod_server::Config::read("cluster.toml", &text, folder).expect("it is right");
    let mut cluster = Wiring { members: ids, max_value: 256 << 10, ..Wiring::from(&config) }.cluster();
    let sessions = Sessions::new(Store::default(), limits).expect("there is room");
    cluster.log = Some(Log {
        alpha: 1024,
        batch: 1,
        machine: Arc::new(Applied::<Store, Compact>::new(sessions)),
        hold_off: None,
        catch_up: Some(ms(50)..ms(100)),
        truncate: None,
        master: None,
        members: None,
    });
    let retry = Retry { on_nack: true, after: Some(ms(100)..ms(300)), doublings: 7 };
    let process = Process::Server { cluster: Arc::new(cluster), number: id as u16, retry };
    let settings = transport::Config {
        cluster: tag,
        me: id,
        peers: members.iter().copied().filter(|(other, _)| *other != id).collect(),
        first: None,
        cluster_keys: Some(Keys::single([7; 32])),
        client_keys: Some(ClientKeys::single([8; 32], &Keys::single([7; 32]))),
        datagram: 1200,
        max_message: 4 << 20,
        max_client_message: 4 << 20,
        standing: store.standing(),
        session: fastrand::u128(..).to_le_bytes(),
    };
    let transport = Transport::new(settings, fastrand::Rng::new());
    UdpMember::new(
        synod_groups::Groups::new(vec![process]),
        transport,
        wire,
        Some(store),
        None,
        synod_runtime::inbox::Limits::default(),
        fastrand::Rng::new(),
    )
}
