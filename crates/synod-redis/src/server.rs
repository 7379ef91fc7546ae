//! Guarantees that no client costs more than the limits say: the connections, the bytes that wait, and the time that a client may keep
//! them waiting.

use crate::conversation::{Conversation, Shared, Step, latest_version, latest_version_of};
use crate::pipeline::{self, Waiting};
use crate::reply::{Reply, Version};
use crate::request::{Bounds, Reader};
use crate::submit::Submit;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synod_server::RedisLimits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

/// The bytes that every connection may have waiting. More needs room of all connections' own, in such units.
const SMALL: usize = 16 << 10;
/// The time after which a client counts as one that does not take its replies.
const SLOW: Duration = Duration::from_millis(20);

/// A server that listens.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    room: Arc<Semaphore>,
    ids: Arc<AtomicU64>,
}

impl Server {
    /// A server without connections so far.
    pub fn new(shared: Shared, tls: Option<TlsAcceptor>) -> Self {
        let RedisLimits { connections, buffered_bytes, request_bytes, .. } = shared.limits;
        Server {
            tls,
            connections: Arc::new(Semaphore::new(connections)),
            // At least one long request has room, or none would ever be served.
            room: Arc::new(Semaphore::new(units(buffered_bytes.max(request_bytes)) as usize)),
            ids: Arc::new(AtomicU64::new(1)),
            shared: Arc::new(shared),
        }
    }

    /// Serves all that connect, for ever.
    pub async fn serve<S: Submit>(self, listener: TcpListener, submit: S) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Most likely there are too many open files; one may be closed soon.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            match self.connections.clone().try_acquire_owned() {
                Ok(place) => {
                    let (server, submit) = (self.clone(), submit.clone());
                    tokio::spawn(async move {
                        server.connected(stream, submit).await;
                        drop(place);
                    });
                }
                Err(_) => self.turn_away(stream).await,
            }
        }
    }

    async fn turn_away(&self, mut stream: TcpStream) {
        // Without a handshake there is nobody to talk to.
        if self.tls.is_none() {
            let said = b"-ERR max number of clients reached\r\n";
            let _ = timeout(SLOW, stream.write_all(said)).await;
        }
    }

    async fn connected<S: Submit>(&self, stream: TcpStream, submit: S) {
        let _ = stream.set_nodelay(true);
        // Errors of a connection end it, and there is nobody else to tell.
        let _ = match &self.tls {
            None => self.talk(stream, submit).await,
            Some(tls) => match timeout(self.shared.limits.stalled, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.talk(stream, submit).await,
                _ => Ok(()),
            },
        };
    }

    async fn talk<S: Submit>(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        submit: S,
    ) -> io::Result<()> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut talk = Conversation::new(id, &self.shared);
        let (mut reader, mut buffer, mut out) = (Reader::default(), Vec::new(), Vec::new());
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut since = Instant::now();
        loop {
            let was_empty = buffer.is_empty();
            let mut taken = 0;
            let goes_on = self.take(&mut talk, &mut reader, &buffer, &mut taken, &submit, &mut out).await;
            if taken > 0 {
                buffer.drain(..taken);
                since = Instant::now();
            }
            if !out.is_empty() {
                self.write(&mut stream, &out).await?;
                out = Vec::new();
            }
            if !goes_on {
                return stream.shutdown().await;
            }
            if taken > 0 && buffer.len() <= SMALL {
                room = None;
                buffer.shrink_to(buffer.len().max(1024));
            }
            if taken > 0 && !buffer.is_empty() {
                // There may be more whole ones than may be under way at once.
                continue;
            }
            if buffer.len() > SMALL && room.is_none() {
                match self.room(since + self.shared.limits.stalled).await {
                    Some(there) => room = Some(there),
                    None => {
                        let said = Reply::error("BUSY too many long requests are under way");
                        said.write(Version::Two, &mut out);
                        self.write(&mut stream, &out).await?;
                        return stream.shutdown().await;
                    }
                }
            }
            let idles = buffer.is_empty();
            if idles && !was_empty {
                since = Instant::now();
            }
            let patience = if idles { self.shared.limits.idle } else { self.shared.limits.stalled };
            buffer.reserve(buffer.len().clamp(1024, SMALL));
            match timeout_at(since + patience, stream.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) if idles => since = Instant::now(),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return stream.shutdown().await,
            }
        }
    }

    /// Room for a long request.
    async fn room(&self, until: Instant) -> Option<OwnedSemaphorePermit> {
        let wanted = units(self.shared.limits.request_bytes);
        timeout_at(until, self.room.clone().acquire_many_owned(wanted)).await.ok()?.ok()
    }

    /// Takes and does the whole requests of a buffer, as many as may be under way at once each time. False if the connection ends.
    async fn take<S: Submit>(
        &self,
        talk: &mut Conversation,
        reader: &mut Reader,
        buffer: &[u8],
        taken: &mut usize,
        submit: &S,
        out: &mut Vec<u8>,
    ) -> bool {
        let shared = &*self.shared;
        let mut waiting = Vec::new();
        while !talk.ends() && waiting.len() < shared.limits.pipeline.max(1) && out.len() <= SMALL {
            let words = match reader.read(&buffer[*taken..], Bounds::of(&shared.limits, talk.is_known())) {
                Ok(None) => break,
                Ok(Some((words, length))) => {
                    *taken += length;
                    words
                }
                Err(malformed) => {
                    pipeline::run(waiting, submit, shared, out).await;
                    Reply::error(format!("ERR Protocol error: {}", malformed.0)).write(talk.version(), out);
                    return false;
                }
            };
            if words.is_empty() {
                continue;
            }
            let step = talk.take(&words, shared);
            let version = talk.version();
            match step {
                Step::Reply(reply) => waiting.push((Waiting::Reply(reply), version)),
                Step::Work(work) => waiting.push((Waiting::Work(work), version)),
                Step::Watch(keys) => {
                    pipeline::run(std::mem::take(&mut waiting), submit, shared, out).await;
                    let latest =
                        if submit.groups() > 1 { latest_version_of(&keys) } else { latest_version() };
                    let reply = match submit.submit(latest).await {
                        Ok(output) => talk.watched(keys, output),
                        Err(error) => error.reply(),
                    };
                    reply.write(version, out);
                }
                Step::Exec(transaction) => {
                    pipeline::run(std::mem::take(&mut waiting), submit, shared, out).await;
                    let reply = match transaction.command() {
                        None => transaction.reply(None, shared),
                        Some(command) => match submit.submit(command).await {
                            Ok(output) => transaction.reply(Some(output), shared),
                            Err(error) => error.reply(),
                        },
                    };
                    reply.write(version, out);
                }
            }
        }
        pipeline::run(waiting, submit, shared, out).await;
        !talk.ends()
    }

    /// Writes replies. While a client does not take them, nothing more is read of it; it is closed after a time, or when those of
    /// others need the room.
    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), out: &[u8]) -> io::Result<()> {
        let end = Instant::now() + self.shared.limits.stalled;
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut rest = out;
        while !rest.is_empty() {
            let is_small = rest.len() <= SMALL || room.is_some();
            let until = if is_small { end } else { end.min(Instant::now() + SLOW) };
            match timeout_at(until, stream.write(rest)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => rest = &rest[written..],
                Ok(Err(error)) => return Err(error),
                Err(_) if is_small => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => {
                    let wanted = units(rest.len());
                    let there = self.room.clone().try_acquire_many_owned(wanted);
                    room = Some(there.map_err(|_| io::ErrorKind::TimedOut)?);
                }
            }
        }
        stream.flush().await
    }
}

/// The number of units of room for some bytes.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SMALL).max(1)).unwrap_or(u32::MAX).min(1 << 20)
}
