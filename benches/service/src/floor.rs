//! The floor: a fixed leader, which appends, sends to two followers, flushes once per turn, and answers when one of them has
//! flushed as well. There is no protocol: nobody takes over, nothing is sent again, no state is kept. So it shows what sockets and disk
//! of the machine allow.

use crate::udp::Udp;
use crate::wal::Wal;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// A frame without content asks for the number of flushes. All others begin with a number of 8 bytes.
pub const ASKS_FLUSHES: &[u8] = &[];

/// Runs a node until it is killed. Node 0 leads.
pub fn serve(node: usize, nodes: &[SocketAddr], data: &Path) -> io::Result<()> {
    let mut udp = Udp::bind(nodes[node])?;
    let mut wal = Wal::create(&data.join("wal"))?;
    let leads = node == 0;
    // The number of entries that are here, that are durable here, and that are durable at each follower.
    let (mut here, mut durable, mut told) = (0u64, 0u64, [0u64; 2]);
    let mut waiting: VecDeque<(u64, SocketAddr, [u8; 8])> = VecDeque::new();
    let mut answered = 0;
    loop {
        let mut out: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        udp.receive(Duration::from_secs(1), 1024, |from, frame| {
            if frame == ASKS_FLUSHES {
                out.push((from, wal.flushes.to_le_bytes().to_vec()));
            } else if let Some(follower) = nodes[1..].iter().position(|node| *node == from).filter(|_| leads)
            {
                let count = u64::from_le_bytes(frame.try_into().expect("a count"));
                told[follower] = told[follower].max(count);
            } else {
                here += 1;
                wal.append(frame);
                if leads {
                    waiting.push_back((here, from, *frame.first_chunk().expect("a number")));
                    out.extend(nodes[1..].iter().map(|follower| (*follower, frame.to_vec())));
                }
            }
        })?;
        for (to, frame) in out {
            udp.send(to, &frame)?;
        }
        udp.flush()?;
        wal.flush()?;
        if leads {
            durable = here;
            answered = answered.max(durable.min(told[0].max(told[1])));
            while let Some((at, from, number)) = waiting.front().copied().filter(|(at, ..)| *at <= answered) {
                debug_assert!(at <= durable);
                udp.send(from, &number)?;
                waiting.pop_front();
            }
        } else if durable < here {
            durable = here;
            udp.send(nodes[0], &here.to_le_bytes())?;
        }
        udp.flush()?;
    }
}
