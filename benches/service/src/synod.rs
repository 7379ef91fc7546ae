//! The served store: three members as `synod cluster` starts them, asked through the client library by a thread per client.

use crate::load::{Meter, VALUE, key, threads};
use crate::members::{Members, free};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use synod_client::{Client, Config};

pub struct Synod {
    pub members: Members,
    config: Config,
    http: Vec<SocketAddr>,
}

/// Starts three members by the command, with so many groups and these lines in their configuration.
pub fn start(command: &Path, groups: usize, settings: &str, data: &Path) -> io::Result<Synod> {
    let folder = data.join("synod");
    std::fs::create_dir(&folder)?;
    let mut text =
        "cluster = \"bench\"\ncluster-key = \"cluster.key\"\nclient-key = \"client.key\"\n".to_owned();
    text += &format!("groups = {groups}\n{settings}");
    for (id, place) in free(6)?.chunks(2).enumerate() {
        let [address, http] = place else { continue };
        text += &format!(
            "\n[[member]]\nid = {id}\naddress = \"{address}\"\ndata = \"{id}\"\nhttp = \"{http}\"\n"
        );
    }
    std::fs::write(folder.join("cluster.toml"), text)?;
    let mut members = Members(Vec::new());
    let mut run = Command::new(command);
    run.args(["cluster", "--data"]).arg(&folder);
    members.start(&mut run, &data.join("synod.log"))?;
    let file = folder.join("cluster.toml");
    let until = Instant::now() + Duration::from_secs(20);
    let served = loop {
        match synod_server::Config::load(&file) {
            Ok(config) if config.client_key.exists() => break config,
            _ if Instant::now() > until => {
                let said = std::fs::read_to_string(data.join("synod.log")).unwrap_or_default();
                return Err(io::Error::other(format!("no cluster: {said}")));
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    let mut config = Config::new(served.cluster.clone(), served.client_key.clone());
    config.datagram = served.datagram;
    config.groups = served.groups;
    for member in &served.members {
        config = config.member(member.id, member.address);
    }
    let http = served.members.iter().filter_map(|member| member.http).collect();
    let synod = Synod { members, config, http };
    // The cluster is up once it has done something.
    let client = synod.connect()?.with_timeout(Duration::from_secs(20));
    client.put("ready", "yes").map_err(io::Error::other)?;
    Ok(synod)
}

impl Synod {
    fn connect(&self) -> io::Result<Client> {
        Client::connect(&self.config).map_err(io::Error::other)
    }

    /// The flushes of all members.
    pub fn flushes(&self) -> Option<u64> {
        self.sum("synod_flushes_total")
    }

    /// A metric, summed over all members.
    pub fn sum(&self, metric: &str) -> Option<u64> {
        let one = |at: &SocketAddr| -> Option<u64> {
            let mut stream = TcpStream::connect(at).ok()?;
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            let line = text.lines().find(|line| line.starts_with(metric))?;
            line.rsplit(' ').next()?.parse::<f64>().ok().map(|count| count as u64)
        };
        self.http.iter().map(one).sum()
    }

    /// Closed loops, spread over this many connections.
    pub fn load(&self, clients: usize, connections: usize, reads: bool, meter: &mut Meter) -> io::Result<()> {
        let connections: Vec<Client> =
            (0..connections.min(clients)).map(|_| self.connect()).collect::<io::Result<_>>()?;
        threads(clients, meter, |client| {
            let connection = &connections[client % connections.len()];
            Ok(move |number: u64| {
                let key = key(client, number);
                if reads {
                    connection.get(key.as_str()).map(drop).map_err(io::Error::other)
                } else {
                    connection.put(key.as_str(), &[7u8; VALUE][..]).map(drop).map_err(io::Error::other)
                }
            })
        })
    }
}

/// The command, as the workspace builds it.
pub fn built() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/synod")
}
