//! etcd as Debian packages it: three members, asked over gRPC by a task per client, over four connections.

use crate::load::{Meter, VALUE, key, tasks};
use crate::members::{Members, free};
use etcd_client::Client;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub struct Etcd {
    pub members: Members,
    clients: Vec<SocketAddr>,
}

/// Starts three members.
pub fn start(data: &Path) -> io::Result<Etcd> {
    let places = free(6)?;
    let (clients, peers) = places.split_at(3);
    let all: Vec<String> = peers.iter().enumerate().map(|(i, peer)| format!("m{i}=http://{peer}")).collect();
    let mut members = Members(Vec::new());
    for node in 0..3 {
        let (client, peer) = (format!("http://{}", clients[node]), format!("http://{}", peers[node]));
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{node}"), "--initial-cluster", &all.join(",")])
            .args(["--initial-cluster-state", "new", "--data-dir"])
            .arg(data.join(format!("etcd{node}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        members.start(&mut command, &data.join(format!("etcd{node}.log")))?;
    }
    Ok(Etcd { members, clients: clients.to_vec() })
}

impl Etcd {
    /// The flushes of all members' write-ahead logs.
    pub fn flushes(&self) -> Option<u64> {
        let one = |at: &SocketAddr| -> Option<u64> {
            let mut stream = TcpStream::connect(at).ok()?;
            write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            let line =
                text.lines().find(|line| line.starts_with("etcd_disk_wal_fsync_duration_seconds_count "))?;
            line.rsplit(' ').next()?.parse::<f64>().ok().map(|count| count as u64)
        };
        self.clients.iter().map(one).sum()
    }

    /// The members, once they answer; the one that leads first.
    pub fn connect(&self, runtime: &tokio::runtime::Runtime) -> io::Result<Vec<Client>> {
        let until = Instant::now() + Duration::from_secs(20);
        runtime.block_on(async {
            let leader = loop {
                let mut leader = None;
                for at in &self.clients {
                    if let Ok(mut client) = Client::connect([at.to_string()], None).await
                        && let Ok(status) = client.status().await
                        && status.leader() != 0
                        && status.header().is_some_and(|header| header.member_id() == status.leader())
                    {
                        leader = Some(*at);
                    }
                }
                match leader {
                    Some(leader) => break leader,
                    None if Instant::now() > until => return Err(io::Error::other("etcd has no leader")),
                    None => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            };
            let mut connections = Vec::new();
            for _ in 0..4 {
                connections
                    .push(Client::connect([leader.to_string()], None).await.map_err(io::Error::other)?);
            }
            Ok(connections)
        })
    }
}

/// Closed loops at the member that leads.
pub fn load(
    runtime: &tokio::runtime::Runtime,
    connections: &[Client],
    clients: usize,
    reads: bool,
    meter: &mut Meter,
) -> io::Result<()> {
    let connections = connections.to_vec();
    tasks(runtime, clients, meter, move |client, number| {
        let mut connection = connections[client % connections.len()].clone();
        async move {
            if reads {
                connection.get(key(client, number), None).await.map_err(io::Error::other)?;
            } else {
                connection.put(key(client, number), [7u8; VALUE], None).await.map_err(io::Error::other)?;
            }
            Ok(())
        }
    })
}
