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

/// The array's facts, with every size that is later multiplied checked.
fn meta(path: &str, array: &Array<Store>) -> Result<ArrayMeta, FormatError> {
    let dtype = dtype_of(array.data_type()).ok_or_else(|| FormatError::UnsupportedDType {
        path: path.to_owned(),
        got: array.data_type().to_string(),
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
    Ok(ArrayMeta { shape, dtype, chunks, read_chunks })
}
