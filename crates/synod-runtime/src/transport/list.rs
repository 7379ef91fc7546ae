//! A list of members and their addresses, as its bytes.

use super::counts::Dropped;
use crate::ids::MOST_IDS;
use crate::varint;
use std::net::{IpAddr, SocketAddr};

/// The most members that a list names: as many as a configuration has.
pub(super) const MOST: usize = 16;

/// A list, and the first instance that its teller had not executed when it came to know it. Whoever has a list from further on knows of later changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) below: u64,
    pub(super) members: Vec<(u64, SocketAddr)>,
}

impl Listed {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::write(self.below, &mut bytes);
        for (id, address) in &self.members {
            varint::write(*id, &mut bytes);
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(address.port().to_le_bytes());
        }
        bytes
    }

    /// Reads a list: at least one member and no more than a configuration has, in the order of their ids.
    pub(super) fn read(mut bytes: &[u8]) -> Result<Listed, Dropped> {
        let below = varint::read(&mut bytes).ok_or(Dropped::Malformed)?;
        let mut members: Vec<(u64, SocketAddr)> = Vec::new();
        while !bytes.is_empty() {
            let id = varint::read(&mut bytes).filter(|id| *id < MOST_IDS).ok_or(Dropped::Malformed)?;
            let (kind, rest) = bytes.split_first().ok_or(Dropped::Malformed)?;
            bytes = rest;
            let ip: IpAddr = match kind {
                4 => take::<4>(&mut bytes)?.into(),
                6 => take::<16>(&mut bytes)?.into(),
                _ => return Err(Dropped::Malformed),
            };
            let port = u16::from_le_bytes(take(&mut bytes)?);
            if members.len() == MOST || members.last().is_some_and(|(last, _)| *last >= id) {
                return Err(Dropped::Malformed);
            }
            members.push((id, SocketAddr::new(ip, port)));
        }
        if members.is_empty() { Err(Dropped::Malformed) } else { Ok(Listed { below, members }) }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Dropped> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(Dropped::Malformed)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{frames, seal::OVERHEAD};

    fn listed(members: usize, ip: impl Fn(u8) -> IpAddr) -> Listed {
        let members =
            (0..members).map(|at| (at as u64 + 100, SocketAddr::new(ip(at as u8), 7000 + at as u16)));
        Listed { below: u64::MAX, members: members.collect() }
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_fits_the_shortest_datagram() {
        let longest = listed(MOST, |at| [9, 8, 7, 6, 5, 4, 3, u16::from(at)].into());
        let short = listed(1, |at| [127, 0, 0, at].into());
        for list in [&longest, &short] {
            let bytes = list.write();
            assert!(frames::most_preamble(None) + frames::message_len(bytes.len()) + OVERHEAD <= 508);
            assert_eq!(Listed::read(&bytes).as_ref(), Ok(list));
            for cut in 0..bytes.len() {
                assert_ne!(Listed::read(&bytes[..cut]).as_ref(), Ok(list), "{cut}");
            }
        }
    }

    #[test]
    fn lists_that_no_member_sends_are_refused() {
        let ip = |at| IpAddr::from([127, 0, 0, at]);
        let refused =
            |list: &Listed| assert_eq!(Listed::read(&list.write()), Err(Dropped::Malformed), "{list:?}");
        refused(&Listed { below: 1, members: Vec::new() });
        refused(&listed(MOST + 1, ip));
        let two = listed(2, ip).members;
        refused(&Listed { below: 1, members: vec![two[1], two[0]] });
        refused(&Listed { below: 1, members: vec![two[0], two[0]] });
        refused(&Listed { below: 1, members: vec![(MOST_IDS, two[0].1)] });
        for bytes in [&[][..], &[1, 0], &[1, 0, 5, 1, 2, 3, 4, 0, 0], &[1, 0, 4, 1, 2, 3, 4, 0], &[0x80; 11]]
        {
            assert_eq!(Listed::read(bytes), Err(Dropped::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn whatever_is_said_is_read_or_refused() {
        for seed in 0..5000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut bytes = listed(rng.usize(1..=MOST), |at| [1, 2, 3, at].into()).write();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..bytes.len());
                bytes[at] = rng.u8(..);
            }
            bytes.truncate(rng.usize(..=bytes.len()));
            if let Ok(list) = Listed::read(&bytes) {
                assert!((1..=MOST).contains(&list.members.len()), "seed {seed}");
            }
        }
    }
}
