//! Writing a Zarr array, one whole storage chunk or shard at a time.
//!
//! Owns the rule that a chunk is written whole, so that two tasks never read, change and write the same file.
//! Must not create arrays.

use super::read::ZarrReader;
use super::{chunk_error, codec_options};
use crate::{ArrayMeta, FormatError, region};
use std::borrow::Cow;
use std::ops::Range;
use zarrs::array::ArrayBytes;

/// An array that exists in a store and is being filled. Several threads, and several processes, may write
/// different chunks at once; a chunk that two of them write holds what one of them wrote.
#[derive(Debug)]
pub struct ArrayWriter {
    open: ZarrReader,
}

impl ArrayWriter {
    pub(super) fn new(open: ZarrReader) -> ArrayWriter {
        ArrayWriter { open }
    }

    /// Shape, dtype and chunks of the array.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        &self.open.meta
    }

    /// Writes one chunk (or shard): `region` is its box, cut at the array's end, and `bytes` its elements,
    /// little-endian, in C order. A chunk that holds the fill value alone is not stored.
    ///
    /// # Errors
    /// [`FormatError::OutOfBounds`], [`FormatError::Unaligned`] where the box is not exactly one chunk,
    /// [`FormatError::WrongLength`], [`FormatError::Zarr`] from the codecs and [`FormatError::Io`] from the files.
    pub fn write_chunk(&self, region: &[Range<usize>], bytes: &[u8]) -> Result<(), FormatError> {
        let ZarrReader { path, array, meta, .. } = &self.open;
        let elements = region::check(path, region, &meta.shape)?;
        let itemsize = meta.dtype.size();
        let index = chunk_index(region, meta).ok_or_else(|| FormatError::Unaligned {
            path: path.clone(),
            region: region.to_vec(),
            chunks: meta.chunks.clone(),
        })?;
        region::check_buffer(path, elements, itemsize, bytes.len())?;
        let whole = region.iter().zip(&meta.chunks).all(|(r, &n)| r.len() == n);
        let bytes = if whole {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned(pad(bytes, region, &meta.chunks, array.fill_value().as_ne_bytes()))
        };
        array
            .store_chunk_opt(&index, ArrayBytes::new_flen(bytes), &codec_options())
            .map_err(|e| chunk_error(path, &format!("writing {region:?}"), &e))
    }
}

/// The index of the chunk that is exactly this box.
fn chunk_index(region: &[Range<usize>], meta: &ArrayMeta) -> Option<Vec<u64>> {
    let axes = region.iter().zip(&meta.chunks).zip(&meta.shape);
    axes.map(|((r, &chunk), &len)| {
        let aligned = r.start % chunk == 0 && !r.is_empty() && r.end == len.min(r.start + chunk);
        aligned.then_some((r.start / chunk) as u64)
    })
    .collect()
}

/// The box at the start of a whole chunk, the rest of it filled.
fn pad(bytes: &[u8], region: &[Range<usize>], chunk: &[usize], fill: &[u8]) -> Vec<u8> {
    let mut padded = fill.repeat(chunk.iter().product());
    let at_start: Vec<Range<usize>> = region.iter().map(|r| 0..r.len()).collect();
    let runs = region::Runs::new(chunk, &at_start);
    let run_bytes = runs.run_len() * fill.len();
    for (start, run) in runs.zip(bytes.chunks_exact(run_bytes)) {
        padded[start * fill.len()..][..run_bytes].copy_from_slice(run);
    }
    padded
}
