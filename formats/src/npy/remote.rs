//! The bytes of an `.npy` file in an object store: blocks that a box needs are asked for together, some at a time.
//!
//! Must not know what the bytes mean.

use crate::FormatError;
use crate::objects::{Part, Place};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// The most bytes that are here at a time, but for one block that is larger.
const BYTES_MAX: u64 = 32 << 20;
/// The most blocks that are asked for at a time.
const BLOCKS_MAX: usize = 256;
/// Larger blocks are asked for in pieces of this size.
const PIECE_BYTES: u64 = 4 << 20;

/// An object.
#[derive(Debug)]
pub(crate) struct Remote {
    place: Place,
    pub(crate) len: u64,
}

impl Remote {
    pub(crate) fn open(url: &str) -> Result<Remote, FormatError> {
        let place = Place::open(url)?;
        let len = place.size()?.ok_or_else(|| FormatError::Missing { path: url.to_owned() })?;
        Ok(Remote { place, len })
    }

    /// The bytes of some blocks.
    fn fetch(&self, blocks: &[Range<u64>]) -> Result<Vec<Vec<u8>>, FormatError> {
        let pieces = |block: &Range<u64>| {
            let end = block.end;
            block.clone().step_by(PIECE_BYTES as usize).map(move |start| start..end.min(start + PIECE_BYTES))
        };
        let wanted = blocks.iter().flat_map(pieces).map(|piece| (self.place.clone(), Part::Range(piece)));
        let mut got = Place::get_many(wanted.collect(), PIECE_BYTES).into_iter();
        let mut whole = Vec::new();
        for block in blocks {
            let mut bytes = Vec::with_capacity((block.end - block.start) as usize);
            for piece in pieces(block) {
                let gone = || FormatError::Missing { path: self.place.url().to_owned() };
                let piece_bytes = got.next().transpose()?.flatten().ok_or_else(gone)?;
                if piece_bytes.len() as u64 != piece.end - piece.start {
                    // It has become shorter since it was opened.
                    let got = piece.start + piece_bytes.len() as u64;
                    let path = self.place.url().to_owned();
                    return Err(FormatError::Truncated { path, expected: piece.end, got });
                }
                bytes.extend_from_slice(&piece_bytes);
            }
            whole.push(bytes);
        }
        Ok(whole)
    }
}

/// The reading of blocks of which it is known which ones will be asked for, in order.
pub(crate) struct Blocks<'a> {
    remote: &'a Remote,
    coming: Box<dyn Iterator<Item = Range<u64>> + 'a>,
    here: HashMap<u64, Vec<u8>>,
}

impl fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("remote", self.remote).finish_non_exhaustive()
    }
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(remote: &'a Remote, coming: Box<dyn Iterator<Item = Range<u64>> + 'a>) -> Blocks<'a> {
        Blocks { remote, coming, here: HashMap::new() }
    }

    /// Reads one block, and with it those that come next.
    pub(crate) fn read(&mut self, buf: &mut [u8], offset: u64) -> Result<(), FormatError> {
        if buf.is_empty() {
            return Ok(());
        }
        let block = offset..offset + buf.len() as u64;
        let found = self.here.remove(&offset).filter(|bytes| bytes.len() == buf.len());
        let bytes = match found {
            Some(bytes) => bytes,
            None => {
                let mut blocks = vec![block.clone()];
                let mut bytes = block.end - block.start;
                for next in self.coming.by_ref().skip_while(|next| next.start <= offset) {
                    bytes += next.end - next.start;
                    blocks.push(next);
                    if bytes > BYTES_MAX || blocks.len() >= BLOCKS_MAX {
                        break;
                    }
                }
                let got = self.remote.fetch(&blocks)?;
                self.here = blocks.into_iter().map(|block| block.start).zip(got).collect();
                self.here.remove(&offset).expect("it was fetched")
            }
        };
        buf.copy_from_slice(&bytes);
        Ok(())
    }
}
