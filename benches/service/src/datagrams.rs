//! The load on the two systems that are asked by bare datagrams: the floor and the harness.

use crate::floor::ASKS_FLUSHES;
use crate::load::{Meter, VALUE, threads};
use crate::udp::Udp;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// The flushes of all nodes.
pub fn flushes(nodes: &[SocketAddr]) -> Option<u64> {
    let mut udp = Udp::bind("127.0.0.1:0".parse().expect("an address")).ok()?;
    let mut sum = 0;
    for node in nodes {
        udp.send(*node, ASKS_FLUSHES).ok()?;
        udp.flush().ok()?;
        let mut told = None;
        udp.receive(Duration::from_millis(500), 1, |_, frame| told = frame.first_chunk().copied()).ok()?;
        sum += u64::from_le_bytes(told?);
    }
    Some(sum)
}

/// Closed loops of puts at the first node: a thread and a socket per client.
pub fn puts(leader: SocketAddr, clients: usize, meter: &mut Meter) -> io::Result<()> {
    threads(clients, meter, |client| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(leader)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut frame = vec![7; 4 + 8 + VALUE];
        frame[..4].copy_from_slice(&(8 + VALUE as u32).to_le_bytes());
        Ok(move |number: u64| {
            frame[4..12].copy_from_slice(&((client as u64) << 32 | number).to_le_bytes());
            let mut answer = [0; 64];
            for _ in 0..5 {
                socket.send(&frame)?;
                match socket.recv(&mut answer) {
                    Ok(_) => return Ok(()),
                    // The leader may not have been elected yet, and a datagram may be lost.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Err(io::Error::other("no answer for 5 s"))
        })
    })
}
