//! Reading boxes of a Zarr array.
//!
//! Owns the opened array. Must not write.

use super::dir::Dir;
use super::metadata::{self, Node};
use super::remote::{Objects, Sharding, ahead};
use super::storage::Storage;
use super::store::{self, Store};
use super::{chunk_error, codec_options, codecs, dtype_of, object_error, open_error};
use crate::elements::{self, ByteOrder};
use crate::{ArrayInfo, ArrayMeta, FormatError, ZarrVersion, region};
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tilework_expr::{DType, Scalar};
use tilework_plan::{Steps, Stored};
use unsafe_cell_slice::UnsafeCellSlice;
use zarrs::array::codec::api::ArrayToBytesCodecTraits;
use zarrs::array::{
    Array, ArrayBytes, ArrayBytesFixedDisjointView, ArrayError, ArrayShardedExt, ArraySubset,
};
use zarrs::metadata::ArrayMetadata;

/// What a chunk's file may have beside what it must have.
const FILE_SLACK_BYTES: u64 = 16 * 1024 * 1024;

/// An open Zarr array.
pub(crate) struct ZarrReader {
    pub(crate) path: String,
    pub(crate) array: Array<Storage>,
    pub(crate) meta: ArrayMeta,
    pub(crate) info: ArrayInfo,
    pub(crate) version: ZarrVersion,
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
        let path = store::target_of(root).unwrap_or_else(|| store::display_name(root, array));
        let dir = Dir::of(root, array)?;
        let documents = match dir.node(&path)? {
            Node::Array(documents) => documents,
            other => return Err(metadata::no_array(&dir, &path, &other)),
        };
        codecs::register();
        let about = (documents.version, documents.time(), documents.attributes().clone());
        let says_fill = !documents.array["fill_value"].is_null();
        let names = documents.array["shape"].as_array().map(|shape| documents.dims(shape.len()));
        let sharding = Sharding::of(&documents);
        let metadata = documents.into_metadata(&path)?;
        let storage = match dir {
            Dir::Files(dir) => Storage::Files(Store::new(dir)),
            Dir::Objects(place) => Storage::Objects(Objects::new(&place, sharding)?),
        };
        let array =
            Array::new_with_metadata(Arc::new(storage), "/", metadata).map_err(|e| open_error(&path, e))?;
        let meta = meta(&path, &array)?;
        array.storage().limit_bytes(file_bytes_max(&array, &meta));
        let (version, time, attributes) = about;
        let info = ArrayInfo {
            name: path.clone(),
            zarr: Some(version),
            dtype: meta.dtype,
            fill_value: says_fill.then(|| fill_value(&array, meta.dtype)),
            time,
            dims: names.unwrap_or_default(),
            attributes,
        };
        Ok(ZarrReader { path, array, meta, info, version })
    }

    /// Reads a box whose bounds and buffer size were checked.
    pub(crate) fn read(&self, region: &[Range<usize>], out: &mut [u8]) -> Result<(), FormatError> {
        // Of an object store, what it needs is asked for together.
        let ahead = ahead::of_boxes(&self.array, &self.meta, &[region.to_vec()]);
        self.read_from(ahead.as_ref().unwrap_or(&self.array), region, out)
    }

    fn read_from(
        &self,
        array: &Array<Storage>,
        region: &[Range<usize>],
        out: &mut [u8],
    ) -> Result<(), FormatError> {
        if out.is_empty() {
            return Ok(());
        }
        let ranges: Vec<Range<u64>> = region.iter().map(|r| r.start as u64..r.end as u64).collect();
        let shape: Vec<u64> = region.iter().map(|r| r.len() as u64).collect();
        let whole = ArraySubset::new_with_shape(shape.clone());
        let failed = |e: ArrayError| self.damaged(&ArraySubset::new_with_ranges(&ranges), region, e);
        {
            let bytes = UnsafeCellSlice::new(out);
            // SAFETY: this is the only view of `out` while it lives, and it covers the whole of it.
            let view =
                unsafe { ArrayBytesFixedDisjointView::new(bytes, self.meta.dtype.size(), &shape, whole) };
            let mut view = view.map_err(|e| failed(e.into()))?;
            array
                .retrieve_array_subset_into_opt(
                    &ArraySubset::new_with_ranges(&ranges),
                    (&mut view).into(),
                    &codec_options(),
                )
                .map_err(failed)?;
        }
        elements::normalise(out, self.meta.dtype, ByteOrder::Little);
        Ok(())
    }

    /// The error of a read, with the file of the first chunk that cannot be decoded.
    fn damaged(&self, subset: &ArraySubset, region: &[Range<usize>], error: ArrayError) -> FormatError {
        if let Some(error) = object_error(&error) {
            return error;
        }
        let chunks = self.array.chunks_in_array_subset(subset).ok().flatten();
        for index in chunks.iter().flat_map(|chunks| chunks.indices()) {
            if let Err(error) = self.array.retrieve_chunk_opt::<ArrayBytes>(&index, &codec_options()) {
                let file = self.array.storage().shown(&self.array.chunk_key(&index));
                return chunk_error(&self.path, &format!("reading {region:?}: `{file}`"), &error);
            }
        }
        chunk_error(&self.path, &format!("reading {region:?}"), &error)
    }
}

/// The element that was never written.
fn fill_value(array: &Array<Storage>, dtype: DType) -> Scalar {
    let bytes = array.fill_value().as_ne_bytes().iter().rev();
    Scalar::from_bits(dtype, bytes.fold(0, |bits, &byte| (bits << 8) | u128::from(byte)))
}

/// The most bytes that the file of a chunk or shard can have: twice what its codecs say, or many times its elements
/// where they cannot say.
fn file_bytes_max(array: &Array<Storage>, meta: &ArrayMeta) -> u64 {
    let first = vec![0; meta.shape.len()];
    let shape = array.chunk_shape(&first);
    let encoded = shape.ok().and_then(|shape| {
        let encoded = array.codecs().encoded_representation(&shape, array.data_type(), array.fill_value());
        encoded.ok()?.size()
    });
    let elements = region::n_bytes(&meta.chunks, meta.dtype.size()).unwrap_or(usize::MAX) as u64;
    encoded.map_or(elements.saturating_mul(32), |n| n.saturating_mul(2)).saturating_add(FILE_SLACK_BYTES)
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
        if spans.iter().any(Vec::is_empty) {
            return Ok(());
        }
        let boxes = combinations(&spans);
        let parts = |numbers: &[Range<usize>]| -> Vec<Steps> {
            steps.iter().zip(numbers).map(|(s, r)| s.part(r)).collect()
        };
        let hull = |numbers: &Vec<Range<usize>>| parts(numbers).iter().map(Steps::hull).collect();
        let hulls: Vec<Vec<Range<usize>>> = boxes.iter().map(hull).collect();
        let ahead = ahead::of_boxes(&self.array, &self.meta, &hulls);
        let mut scratch = Vec::new();
        for (numbers, hull) in boxes.iter().zip(&hulls) {
            scratch.resize(hull.iter().map(Range::len).product::<usize>() * self.meta.dtype.size(), 0);
            self.read_from(ahead.as_ref().unwrap_or(&self.array), hull, &mut scratch)?;
            region::take_steps(&scratch, &parts(numbers), (out, steps, numbers), self.meta.dtype.size());
        }
        Ok(())
    }
}

/// Each with each, the last axis fastest.
fn combinations(spans: &[Vec<Range<usize>>]) -> Vec<Vec<Range<usize>>> {
    let mut all = vec![Vec::new()];
    for axis in spans {
        let with = |so_far: &Vec<Range<usize>>| {
            let so_far = so_far.clone();
            axis.iter().map(move |span| so_far.iter().chain([span]).cloned().collect()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
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
fn meta(path: &str, array: &Array<Storage>) -> Result<ArrayMeta, FormatError> {
    let dtype = dtype_of(array.data_type()).ok_or_else(|| FormatError::UnsupportedDType {
        path: path.to_owned(),
        got: match array.metadata() {
            ArrayMetadata::V3(metadata) => metadata.data_type.name().to_owned(),
            ArrayMetadata::V2(metadata) => format!("{:?}", metadata.dtype),
        },
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
