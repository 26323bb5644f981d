//! Reading boxes of a Zarr array.
//!
//! Owns the opened array. Must not write.

use super::store::{self, EmptyDirs, Store};
use super::{codec_options, dtype_of, open_error, zarr_error};
use crate::elements::{self, ByteOrder};
use crate::{ArrayMeta, FormatError, region};
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use tilework_expr::{Steps, Stored};
use unsafe_cell_slice::UnsafeCellSlice;
use zarrs::array::{Array, ArrayBytesFixedDisjointView, ArrayShardedExt, ArraySubset};

/// An open Zarr array.
pub(crate) struct ZarrReader {
    pub(crate) path: String,
    pub(crate) array: Array<Store>,
    pub(crate) meta: ArrayMeta,
}

impl fmt::Debug for ZarrReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZarrReader")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl ZarrReader {
    /// Reads the array's metadata, and no chunk.
    pub(crate) fn open(root: &Path, array: &str) -> Result<ZarrReader, FormatError> {
        let node = store::node_path(root, array)?;
        let path = store::display_name(root, &node);
        let store = store::open(root, EmptyDirs::Keep)?;
        let array = Array::open(store, &node).map_err(|e| open_error(&path, e))?;
        let meta = meta(&path, &array)?;
        Ok(ZarrReader { path, array, meta })
    }

    /// Reads a box whose bounds and buffer size were checked.
    pub(crate) fn read(&self, region: &[Range<usize>], out: &mut [u8]) -> Result<(), FormatError> {
        if out.is_empty() {
            return Ok(());
        }
        let ranges: Vec<Range<u64>> = region.iter().map(|r| r.start as u64..r.end as u64).collect();
        let shape: Vec<u64> = region.iter().map(|r| r.len() as u64).collect();
        let whole = ArraySubset::new_with_shape(shape.clone());
        let failed = |e: &dyn fmt::Display| zarr_error(&self.path, format!("reading {region:?}: {e}"));
        {
            let bytes = UnsafeCellSlice::new(out);
            // SAFETY: this is the only view of `out` while it lives, and it covers the whole of it.
            let view =
                unsafe { ArrayBytesFixedDisjointView::new(bytes, self.meta.dtype.size(), &shape, whole) };
            let mut view = view.map_err(|e| failed(&e))?;
            self.array
                .retrieve_array_subset_into_opt(
                    &ArraySubset::new_with_ranges(&ranges),
                    (&mut view).into(),
                    &codec_options(),
                )
                .map_err(|e| failed(&e))?;
        }
        elements::normalise(out, self.meta.dtype, ByteOrder::Little);
        Ok(())
    }
}

impl ZarrReader {
    /// Reads positions whose bounds and buffer size were checked: along an axis on which they lie apart, stored chunk
    /// by stored chunk.
    pub(crate) fn read_steps(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let spans: Vec<Vec<Range<usize>>> =
            steps.iter().zip(&self.meta.read_chunks).map(|(s, &len)| spans(*s, len.max(1))).collect();
        if spans.iter().all(|s| s.len() == 1) && steps.iter().all(|s| s.step == 1 || s.len == 1) {
            return self.read(&steps.iter().map(Steps::hull).collect::<Vec<_>>(), out);
        }
        let mut scratch = Vec::new();
        let mut at = vec![0; spans.len()];
        if spans.iter().any(Vec::is_empty) {
            return Ok(());
        }
        loop {
            let numbers: Vec<Range<usize>> = spans.iter().zip(&at).map(|(s, &i)| s[i].clone()).collect();
            let here: Vec<Steps> = steps.iter().zip(&numbers).map(|(s, r)| s.part(r)).collect();
            let hull: Vec<Range<usize>> = here.iter().map(Steps::hull).collect();
            scratch.resize(hull.iter().map(Range::len).product::<usize>() * self.meta.dtype.size(), 0);
            self.read(&hull, &mut scratch)?;
            region::take_steps(&scratch, &here, (out, steps, &numbers), self.meta.dtype.size());
            // The next combination of spans, the last axis fastest.
            let Some(axis) = (0..at.len()).rev().find(|&a| at[a] + 1 < spans[a].len()) else { return Ok(()) };
            at[axis] += 1;
            at[axis + 1..].fill(0);
        }
    }
}

/// Positions by their numbers, cut where a stored chunk of `len` ends if they lie apart.
fn spans(steps: Steps, len: usize) -> Vec<Range<usize>> {
    if steps.step == 1 || steps.len < 2 {
        return if steps.len == 0 { Vec::new() } else { vec![0..steps.len] };
    }
    let mut spans = Vec::new();
    let mut from = 0;
    while from < steps.len {
        let end_of_chunk = ((steps.start + from * steps.step) / len + 1) * len;
        let to = (end_of_chunk - steps.start).div_ceil(steps.step).min(steps.len);
        spans.push(from..to);
        from = to;
    }
    spans
}

/// The array's facts, with every size that is later multiplied checked.
fn meta(path: &str, array: &Array<Store>) -> Result<ArrayMeta, FormatError> {
    let dtype = dtype_of(array.data_type()).ok_or_else(|| FormatError::UnsupportedDType {
        path: path.to_owned(),
        got: format!("{:?}", array.data_type()),
    })?;
    let (shape, _) = region::checked_shape(path, array.shape(), dtype.size())?;
    let lens = |chunk: &[NonZeroU64]| -> Result<Vec<usize>, FormatError> {
        let lens: Vec<u64> = chunk.iter().map(|n| n.get()).collect();
        Ok(region::checked_shape(path, &lens, dtype.size())?.0)
    };
    // A grid of unequal chunks says the shape of its first one; an array without elements may have none.
    let first = vec![0; shape.len()];
    let chunks = match array.chunk_shape(&first) {
        Ok(chunk) => lens(&chunk)?,
        Err(_) => shape.iter().map(|&n| n.max(1)).collect(),
    };
    let read_chunks = match array.effective_subchunk_shape() {
        Some(chunk) => lens(&chunk)?,
        None => chunks.clone(),
    };
    let stored = Stored::Boxes(read_chunks.iter().map(|&n| n.max(1)).collect());
    Ok(ArrayMeta { shape, dtype, chunks, read_chunks, stored })
}
