//! Frames packed into datagrams, as many per datagram as there are to send.

use rustix::net::{RecvFlags, recvfrom};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The most bytes that are packed into one datagram.
const LONGEST: usize = 60_000;

pub struct Udp {
    socket: UdpSocket,
    buffer: Vec<u8>,
    out: HashMap<SocketAddr, Vec<u8>>,
}

impl Udp {
    pub fn bind(at: SocketAddr) -> io::Result<Udp> {
        let socket = UdpSocket::bind(at)?;
        // The kernel gives what its limit allows.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 8 << 20);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, 8 << 20);
        Ok(Udp { socket, buffer: vec![0; 65_536], out: HashMap::new() })
    }

    /// Waits up to `most` for a datagram, and takes it and up to `limit - 1` more that are there. Hands over each frame.
    pub fn receive(
        &mut self,
        most: Duration,
        limit: usize,
        mut take: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<()> {
        self.socket.set_read_timeout(Some(most.max(Duration::from_micros(1))))?;
        let mut flags = RecvFlags::empty();
        for _ in 0..limit {
            let (length, from) = match recvfrom(&self.socket, self.buffer.as_mut_slice(), flags) {
                Ok((length, _, from)) => (length, from),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let from = from.and_then(|from| SocketAddr::try_from(from).ok()).expect("IP has addresses");
            flags = RecvFlags::DONTWAIT;
            let mut rest = &self.buffer[..length];
            while let Some((head, tail)) = rest.split_first_chunk::<4>() {
                let Some((frame, tail)) = tail.split_at_checked(u32::from_le_bytes(*head) as usize) else {
                    break;
                };
                take(from, frame);
                rest = tail;
            }
        }
        Ok(())
    }

    /// Packs a frame for an address.
    pub fn send(&mut self, to: SocketAddr, frame: &[u8]) -> io::Result<()> {
        let out = self.out.entry(to).or_default();
        if out.len() + frame.len() + 4 > LONGEST && !out.is_empty() {
            self.socket.send_to(out, to)?;
            out.clear();
        }
        out.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        out.extend_from_slice(frame);
        Ok(())
    }

    /// Sends all that is packed.
    pub fn flush(&mut self) -> io::Result<()> {
        for (to, out) in &mut self.out {
            if !out.is_empty() {
                self.socket.send_to(out, to)?;
                out.clear();
            }
        }
        Ok(())
    }
}
