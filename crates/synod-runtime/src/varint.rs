//! Numbers of one to ten bytes. Each byte has seven bits, the lowest first, and its top bit says that more follow.

/// Appends a number.
pub(crate) fn write(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Takes a number off the front, if there is one that fits 64 bits.
pub(crate) fn read(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (index, byte) in from.iter().enumerate() {
        let low = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(index).ok()?;
        if shift > 63 || (shift == 63 && low > 1) {
            return None;
        }
        number |= low << shift;
        if byte & 0x80 == 0 {
            *from = &from[index + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                write(number, &mut bytes);
                bytes.push(0xaa);
                let mut rest = bytes.as_slice();
                assert_eq!(read(&mut rest), Some(number));
                assert_eq!(rest, [0xaa]);
            }
        }
    }

    #[test]
    fn what_does_not_end_or_does_not_fit_is_refused() {
        assert_eq!(read(&mut &[0x80u8; 3][..]), None);
        assert_eq!(read(&mut &[0xffu8; 11][..]), None);
        assert_eq!(read(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]), None);
        assert_eq!(read(&mut &[][..]), None);
    }
}
