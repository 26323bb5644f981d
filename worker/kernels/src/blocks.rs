//! Values that are made of blocks, each of which another task reads: one buffer, which begins with a table of where the blocks
//! are. So a value is kept, written to the disk and checked there as any other is, and of a block no more is read than its
//! place in the table and its bytes.
//!
//! The table has the first byte of each block and the end of the last, as little-endian `u64`, from the buffer's start; the
//! first block follows it, so that its own place says how many there are. Owns this layout. Must not know what is in a block.

use crate::chunk::{Chunk, Plane};
use std::io;
use std::ops::Range;
use tilework_expr::DType;

/// Bytes of a place in the table.
const PLACE: usize = size_of::<u64>();

/// Why there is no such block.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoBlock {
    /// It has fewer.
    #[error("block {number} of a value of {n}")]
    Beyond {
        /// Which was asked for.
        number: u64,
        /// How many there are.
        n: u64,
    },
    /// The value is not made of blocks.
    #[error("a value that is not made of blocks")]
    Malformed,
}

impl From<NoBlock> for io::Error {
    /// Of another kind than what a disk gives that has lost something.
    fn from(error: NoBlock) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

/// A value that is written block by block.
#[derive(Debug)]
pub struct BlockWriter {
    out: Vec<u8>,
    written: usize,
}

impl BlockWriter {
    /// One of so many blocks.
    #[must_use]
    pub fn new(n: usize) -> BlockWriter {
        let mut out = vec![0; (n + 1) * PLACE];
        let start = out.len() as u64;
        out[..PLACE].copy_from_slice(&start.to_le_bytes());
        BlockWriter { out, written: 0 }
    }

    /// Where the bytes of the next block are appended.
    pub fn block(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The next block is complete.
    ///
    /// # Panics
    /// If there are more than were announced.
    pub fn end(&mut self) {
        let n = self.out[..PLACE].try_into().map_or(0, u64::from_le_bytes) as usize / PLACE - 1;
        assert!(self.written < n, "more than {n} blocks");
        self.written += 1;
        let (end, at) = (self.out.len() as u64, self.written * PLACE);
        self.out[at..at + PLACE].copy_from_slice(&end.to_le_bytes());
    }

    /// The value.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

fn place(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.first_chunk::<PLACE>()?))
}

/// Where a block lies in a value of `len` bytes, of which `read` gives those of a range.
///
/// # Errors
/// What `read` gives, or that there is no such block.
pub fn block_range<E: From<NoBlock>>(
    number: u64,
    len: usize,
    mut read: impl FnMut(Range<usize>) -> Result<Vec<u8>, E>,
) -> Result<Range<usize>, E> {
    let malformed = || E::from(NoBlock::Malformed);
    if len < PLACE {
        return Err(malformed());
    }
    let first = place(&read(0..PLACE)?).filter(|first| *first <= len as u64).ok_or_else(malformed)? as usize;
    if first < PLACE || !first.is_multiple_of(PLACE) {
        return Err(malformed());
    }
    let n = (first / PLACE - 1) as u64;
    if number >= n {
        return Err(E::from(NoBlock::Beyond { number, n }));
    }
    let at = number as usize * PLACE;
    let places = read(at..at + 2 * PLACE)?;
    let (start, end) = (place(&places), places.get(PLACE..).and_then(place));
    match start.zip(end) {
        Some((start, end)) if first as u64 <= start && start <= end && end <= len as u64 => {
            Ok(start as usize..end as usize)
        }
        _ => Err(malformed()),
    }
}

/// A block of a value, by its number. Shares the bytes.
///
/// # Errors
/// There is no such block.
pub fn block_of(value: &Plane, number: u64) -> Result<Plane, NoBlock> {
    let bytes = bytes_of(value)?;
    let range = block_range(number, bytes.len(), |range| Ok::<_, NoBlock>(bytes[range].to_vec()))?;
    Ok(value.slice(&[range]))
}

impl Chunk {
    /// A block of a value, by its number. Shares the bytes.
    ///
    /// # Errors
    /// There is no such block.
    pub fn block(&self, number: u64) -> Result<Chunk, NoBlock> {
        let value = self.planes.first().ok_or(NoBlock::Malformed)?;
        Ok(Chunk { planes: vec![block_of(value, number)?] })
    }
}

fn bytes_of(value: &Plane) -> Result<&[u8], NoBlock> {
    let is_value = value.dtype() == DType::U8 && value.shape().len() == 1;
    value.contiguous_bytes().filter(|_| is_value).ok_or(NoBlock::Malformed)
}

/// How many blocks a value is made of; every one of them is where the table says.
///
/// # Errors
/// It is not made of blocks.
pub fn n_blocks(value: &Plane) -> Result<u64, NoBlock> {
    let bytes = bytes_of(value)?;
    let first = place(bytes).filter(|first| *first >= PLACE as u64).ok_or(NoBlock::Malformed)?;
    let table = usize::try_from(first).ok().and_then(|first| bytes.get(..first)).ok_or(NoBlock::Malformed)?;
    let (places, rest) = table.as_chunks::<PLACE>();
    let mut before = first;
    for at in places.iter().map(|place| u64::from_le_bytes(*place)) {
        if at < before {
            return Err(NoBlock::Malformed);
        }
        before = at;
    }
    let fits = rest.is_empty() && before == bytes.len() as u64;
    if fits { Ok(places.len() as u64 - 1) } else { Err(NoBlock::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Chunk;

    fn plane(bytes: &[u8]) -> Plane {
        Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).unwrap().planes.remove(0)
    }

    fn value(blocks: &[&[u8]]) -> Vec<u8> {
        let mut writer = BlockWriter::new(blocks.len());
        for block in blocks {
            writer.block().extend_from_slice(block);
            writer.end();
        }
        writer.finish()
    }

    #[test]
    fn blocks_are_what_was_written() {
        for blocks in [&[][..], &[&b""[..]], &[b"abc", b"", b"d"], &[b"", b""]] {
            let bytes = value(blocks);
            let plane = plane(&bytes);
            assert_eq!(n_blocks(&plane), Ok(blocks.len() as u64));
            for (i, want) in (0..).zip(blocks) {
                let got = block_of(&plane, i).unwrap();
                assert_eq!(got.contiguous_bytes().unwrap(), *want);
                assert!(want.is_empty() || std::sync::Arc::ptr_eq(got.buffer(), plane.buffer()));
            }
            let n = blocks.len() as u64;
            assert_eq!(block_of(&plane, n).unwrap_err(), NoBlock::Beyond { number: n, n });
            assert!(block_of(&plane, u64::MAX).is_err());
        }
    }

    #[test]
    fn bytes_of_another_kind_are_no_blocks() {
        let good = value(&[b"abc", b"de"]);
        for at in 0..good.len().min(24) {
            for bit in [1, 128] {
                let mut bad = good.clone();
                bad[at] ^= bit;
                assert!(n_blocks(&plane(&bad)).is_err() || at % 8 < 2, "byte {at} of a place");
                // What is found lies within the value, whatever the table says.
                (0..4).for_each(|i| drop(block_of(&plane(&bad), i)));
            }
        }
        for bad in [&b""[..], b"1234567", &[0; 40], &[255; 40], &good[..good.len() - 1]] {
            assert_eq!(n_blocks(&plane(bad)), Err(NoBlock::Malformed), "{bad:?}");
        }
        for bad in [&b""[..], b"1234567", &[0; 40], &[255; 40], &[9, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(block_of(&plane(bad), 0).unwrap_err(), NoBlock::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn a_chunk_of_an_array_is_no_value_of_blocks() {
        let numbers: Vec<u8> = [16i64, 24, 7].iter().flat_map(|x| x.to_le_bytes()).collect();
        let chunk = Chunk::from_bytes(&[DType::I64], &[3], &numbers).unwrap();
        assert_eq!(block_of(&chunk.planes[0], 0).unwrap_err(), NoBlock::Malformed);
        assert_eq!(n_blocks(&chunk.planes[0]), Err(NoBlock::Malformed));
    }

    #[test]
    fn of_a_value_elsewhere_no_more_is_read_than_two_places() {
        let bytes = value(&[&[1; 1000], &[2; 3000], &[3; 10]]);
        let mut n_read = 0;
        let range = block_range(1, bytes.len(), |range| {
            n_read += range.len();
            Ok::<_, NoBlock>(bytes[range].to_vec())
        });
        assert_eq!(range.map(|range| bytes[range].to_vec()), Ok(vec![2; 3000]));
        assert_eq!(n_read, 24);
    }
}
