//! One Redis server that flushes its log before each answer. It is one node and no replica, so it shows what a client gives up.

use crate::load::{Meter, VALUE, key, tasks};
use crate::members::Members;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

pub struct Redis {
    pub members: Members,
    at: SocketAddr,
}

pub fn start(data: &Path) -> io::Result<Redis> {
    let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut members = Members(Vec::new());
    let folder = data.join("redis");
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &at.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(&folder);
    members.start(&mut command, &data.join("redis.log"))?;
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(at).is_err() {
        if Instant::now() > until {
            return Err(io::Error::other("redis-server does not answer"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Redis { members, at })
}

impl Redis {
    /// Closed loops, each over a connection of its own.
    pub fn load(
        &self,
        runtime: &tokio::runtime::Runtime,
        clients: usize,
        reads: bool,
        meter: &mut Meter,
    ) -> io::Result<()> {
        speak(runtime, self.at, clients, reads, meter)
    }
}

/// Closed loops in the Redis protocol, each over a connection of its own.
pub fn speak(
    runtime: &tokio::runtime::Runtime,
    at: SocketAddr,
    clients: usize,
    reads: bool,
    meter: &mut Meter,
) -> io::Result<()> {
    let connect = async {
        let mut streams = Vec::new();
        for _ in 0..clients {
            let stream = tokio::net::TcpStream::connect(at).await?;
            stream.set_nodelay(true)?;
            streams.push(Mutex::new((stream, Vec::new())));
        }
        Ok::<_, io::Error>(streams)
    };
    let streams = Rc::new(runtime.block_on(connect)?);
    let value = "7".repeat(VALUE);
    tasks(runtime, clients, meter, move |client, number| {
        let (streams, key) = (streams.clone(), key(client, number));
        let ask = if reads {
            format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())
        } else {
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${VALUE}\r\n{value}\r\n", key.len())
        };
        async move {
            // A client has one operation at a time, so nobody else borrows its stream meanwhile.
            let (stream, read) = &mut *streams[client].lock().await;
            stream.write_all(ask.as_bytes()).await?;
            read.clear();
            while !is_whole(read)? {
                if stream.read_buf(read).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        }
    })
}

/// True if one answer has come: a line, or a line with the length of what follows it.
fn is_whole(read: &[u8]) -> io::Result<bool> {
    let Some(end) = read.windows(2).position(|pair| pair == b"\r\n") else { return Ok(false) };
    let line = std::str::from_utf8(&read[..end]).map_err(io::Error::other)?;
    match line.split_at_checked(1) {
        Some(("+" | ":" | "_", _)) => Ok(true),
        Some(("$", "-1")) => Ok(true),
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            Ok(read.len() >= end + 2 + length + 2)
        }
        _ => Err(io::Error::other(format!("it answers {line:?}"))),
    }
}
