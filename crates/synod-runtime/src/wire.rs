//! The wire and the clock: the source and destination of datagrams, and the time.
//!
//! The loop knows nothing else of the outside, so the same loop runs over sockets ([`UdpWire`]) and over the
//! simulated network of [`crate::sim`].

pub use mio::Waker;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A source and sink of datagrams, with a clock that never goes back.
pub trait Wire {
    /// Time since this process began, from a monotonic clock that goes on while the machine sleeps. A lease that ended meanwhile has to have ended.
    fn now(&mut self) -> Duration;

    /// Waits until something comes or `until` has come (in the terms of [`Wire::now`]), and then hands over what is
    /// there. One call takes a bounded number of datagrams, so that nobody can keep the loop from its timers. A time that has
    /// passed means: do not wait.
    ///
    /// # Errors
    /// When the socket is unusable. A failure that concerns one datagram only is counted.
    fn receive(
        &mut self,
        until: Duration,
        take: &mut dyn FnMut(Duration, SocketAddr, &mut [u8]),
    ) -> io::Result<()>;

    /// Takes a datagram to be sent. The wire may keep it until [`Wire::flush`], to send it together with others.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);

    /// Sends the datagrams that were kept. UDP promises nothing: a datagram that cannot be sent is lost, and counted.
    fn flush(&mut self);
}

/// Counts of one wire's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounts {
    /// Datagrams given to the kernel.
    pub sent: u64,
    /// Calls in which they were given.
    pub send_calls: u64,
    /// Datagrams that the kernel refused, for lack of buffer space or of a route; they are lost.
    pub refused: u64,
    /// Datagrams received.
    pub received: u64,
    /// Calls in which they were received.
    pub receive_calls: u64,
}

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// The most calls of the kernel in one go.
const MOST_CALLS: usize = 16;

/// A UDP socket with batched calls: many datagrams per call in either direction, and segmentation offload where the
/// kernel has it.
pub struct UdpWire {
    began: Duration,
    poll: Poll,
    events: Events,
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    waker: Arc<Waker>,
    /// True if the socket may still hold something. The poll tells only once.
    readable: bool,
    buffer: Vec<u8>,
    slots: usize,
    /// Datagrams for one receiver and of one size (the last may be shorter), not yet sent.
    staged: Vec<u8>,
    staged_for: Option<(SocketAddr, usize)>,
    most_segments: usize,
    counts: WireCounts,
}

/// The longest datagram that UDP can carry.
pub(crate) const MOST_DATAGRAM: usize = 65_535;

/// A monotonic clock of the machine. On Linux it goes on while the machine is suspended; but where a virtual machine is paused, or brought back from a saved
/// state, no clock of its own goes on.
fn uptime() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl UdpWire {
    /// Binds a socket.
    ///
    /// # Errors
    /// When the address cannot be bound, with the address in the message.
    pub fn bind(address: SocketAddr) -> io::Result<UdpWire> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on UDP {address}: {error}"))
        };
        let mut socket = mio::net::UdpSocket::bind(address).map_err(named)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // The kernel keeps bursts, as far as it allows. What does not fit is lost, which the protocol must bear anyway.
        for set in [UdpSocketState::set_recv_buffer_size, UdpSocketState::set_send_buffer_size] {
            let _ = set(&state, UdpSockRef::from(&socket), 4 << 20);
        }
        // With receive offload one buffer can take many datagrams, up to the longest that IP can carry.
        let slots = if state.gro_segments() > 1 { 8 } else { BATCH_SIZE };
        let most_segments = state.max_gso_segments();
        Ok(UdpWire {
            began: uptime(),
            poll,
            events: Events::with_capacity(8),
            socket,
            state,
            waker,
            readable: true,
            buffer: vec![0; slots * MOST_DATAGRAM],
            slots,
            staged: Vec::new(),
            staged_for: None,
            most_segments,
            counts: WireCounts::default(),
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Ends a wait of [`Wire::receive`] from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Counts of its work so far.
    pub fn counts(&self) -> WireCounts {
        self.counts
    }

    fn wait(&mut self, until: Duration) -> io::Result<()> {
        let wait = if self.readable { Duration::ZERO } else { until.saturating_sub(self.now()) };
        if self.readable && wait.is_zero() {
            return Ok(());
        }
        match self.poll.poll(&mut self.events, Some(wait)) {
            // A signal arrived. Its sender has left word where the loop looks.
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        self.readable |= self.events.iter().any(|event| event.token() == SOCKET);
        Ok(())
    }

    /// Takes the datagrams of one call.
    fn take(&mut self, take: &mut dyn FnMut(Duration, SocketAddr, &mut [u8])) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let metas = &mut metas[..self.slots];
        let got = {
            let mut slices: Vec<IoSliceMut<'_>> =
                self.buffer.chunks_exact_mut(MOST_DATAGRAM).map(IoSliceMut::new).collect();
            self.state.recv(UdpSockRef::from(&self.socket), &mut slices, metas)
        };
        let got = match got {
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(());
            }
            // A receiver of ours does not listen, which does not concern the receiving side.
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.counts.receive_calls += 1;
        let now = self.now();
        for (meta, bytes) in metas[..got].iter().zip(self.buffer.chunks_exact_mut(MOST_DATAGRAM)) {
            for datagram in bytes[..meta.len].chunks_mut(meta.stride.max(1)) {
                self.counts.received += 1;
                take(now, meta.addr, datagram);
            }
        }
        Ok(())
    }
}

impl Wire for UdpWire {
    fn now(&mut self) -> Duration {
        uptime().saturating_sub(self.began)
    }

    fn receive(
        &mut self,
        until: Duration,
        take: &mut dyn FnMut(Duration, SocketAddr, &mut [u8]),
    ) -> io::Result<()> {
        self.wait(until)?;
        // The kernel loses whatever it has no room for, whoever sent it; here each sender has room. So everything that is there
        // is taken before anything is done about it, up to a bound.
        for _ in 0..MOST_CALLS {
            if !self.readable {
                break;
            }
            self.take(take)?;
        }
        Ok(())
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        let fits = self.staged_for.is_some_and(|(staged_for, size)| {
            staged_for == to
                && datagram.len() <= size
                // Only the last segment may be shorter.
                && self.staged.len().is_multiple_of(size)
                && self.staged.len() / size < self.most_segments
                && self.staged.len() + datagram.len() <= MOST_DATAGRAM - 64
        });
        if !fits {
            self.flush();
            self.staged_for = Some((to, datagram.len().max(1)));
        }
        self.staged.extend_from_slice(datagram);
    }

    fn flush(&mut self) {
        let Some((to, size)) = self.staged_for.take() else { return };
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: &self.staged,
            segment_size: Some(size),
            src_ip: None,
        };
        let datagrams = self.staged.len().div_ceil(size) as u64;
        self.counts.send_calls += 1;
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Ok(()) => self.counts.sent += datagrams,
            Err(_) => self.counts.refused += datagrams,
        }
        // A driver without segmentation shows only in use. quinn-udp then lowers its limit.
        self.most_segments = self.state.max_gso_segments();
        self.staged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/proc/uptime` counts the time in which the machine slept, too.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_clock_counts_from_when_the_machine_was_started_asleep_or_not() {
        let told = || -> f64 {
            let text = std::fs::read_to_string("/proc/uptime").expect("Linux has it");
            text.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("a number of seconds")
        };
        let (before, now, after) = (told(), uptime().as_secs_f64(), told());
        assert!(before - 0.02 <= now && now <= after + 0.02, "{before} {now} {after}");
    }
}
