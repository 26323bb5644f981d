//! LZF, the filter that h5py brings along: runs of bytes as they are, and copies of what came before.
//!
//! Source: the format of LibLZF, of Marc Lehmann.

/// The number of the filter.
pub(super) const LZF: u16 = 32000;

/// The bytes that were packed, of which there are at most so many.
pub(super) fn unpacked(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, &'static str> {
    const SHORT: &str = "the packed bytes end early";
    let mut bytes = packed.iter().copied();
    let mut out = Vec::new();
    while let Some(control) = bytes.next() {
        let n = usize::from(control >> 5);
        if n == 0 {
            for _ in 0..=control {
                out.push(bytes.next().ok_or(SHORT)?);
            }
        } else {
            let more = if n == 7 { usize::from(bytes.next().ok_or(SHORT)?) } else { 0 };
            let back = (usize::from(control & 0x1f) << 8) + usize::from(bytes.next().ok_or(SHORT)?) + 1;
            let from = out.len().checked_sub(back).ok_or("a copy of what is before the beginning")?;
            // It may reach into what it makes.
            for at in from..from + n + more + 2 {
                out.push(out[at]);
            }
        }
        if out.len() > bytes_max {
            return Err("more bytes than a chunk has");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::unpacked;

    #[test]
    fn runs_and_copies_are_undone_and_bad_ones_told() {
        assert_eq!(unpacked(&[], 0), Ok(vec![]));
        assert_eq!(unpacked(&[1, b'a', b'b', 0x20, 1], 5), Ok(b"ababa".to_vec()));
        assert_eq!(unpacked(&[0, b'a', 0xe0, 3, 0], 13), Ok(vec![b'a'; 13]));
        for (packed, bytes_max) in
            [(&[2, 1][..], 9), (&[0x20], 9), (&[0xe0, 1], 9), (&[0, 7, 0x20, 1], 9), (&[1, 1, 1], 1)]
        {
            assert!(unpacked(packed, bytes_max).is_err(), "{packed:?}");
        }
    }
}
