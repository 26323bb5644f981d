//! What a Zarr array is that is to be written: plain data.
//!
//! Must not know how it is written.

use crate::time::TimeType;
use serde_json::{Map, Value};
use std::path::PathBuf;
use tilework_expr::{DType, Scalar};

/// The version of the Zarr format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ZarrVersion {
    /// Version 2: `.zarray` beside chunks named `0.0`.
    V2,
    /// Version 3: `zarr.json` beside chunks named `c/0/0`.
    V3,
}

/// An array in a Zarr store that is to be written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ZarrTarget {
    /// The store's directory.
    pub path: PathBuf,
    /// The array's path within the store, `""` for the root.
    pub array: String,
    /// The version to write.
    pub version: ZarrVersion,
}

/// How chunks are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ZarrCodec {
    /// Not at all; a damaged chunk of the right length is not noticed.
    None,
    /// Zstandard, with a checksum in version 3.
    Zstd {
        /// 1 (fast) to 22 (small).
        level: u8,
    },
    /// Gzip, with a checksum.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
    /// Blosc with Zstandard after a byte shuffle; good for floats.
    Blosc {
        /// 1 (fast) to 9 (small).
        level: u8,
    },
}

/// What a new array is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ZarrSpec {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its element type.
    pub dtype: DType,
    /// The chunk shape: the unit of compression, and of writing unless there are shards.
    pub chunks: Vec<usize>,
    /// The shard shape, a multiple of `chunks` on every axis: one file each, the unit of writing. Version 3 only.
    pub shards: Option<Vec<usize>>,
    /// The compression.
    pub codec: ZarrCodec,
    /// The axes' names, or none.
    pub dims: Vec<String>,
    /// What is said of it.
    pub attributes: Map<String, Value>,
    /// The elements that are never written, of the array's type; zero where absent. Chunks of nothing else take no
    /// file.
    pub fill_value: Option<Scalar>,
    /// What elements of type `i64` mean that are times.
    pub time: Option<TimeType>,
}

impl ZarrSpec {
    /// Whole-array facts with Zstandard, no shards, names or attributes, and a fill value of zero.
    #[must_use]
    pub fn new(shape: &[usize], dtype: DType, chunks: &[usize]) -> ZarrSpec {
        ZarrSpec {
            shape: shape.to_vec(),
            dtype,
            chunks: chunks.to_vec(),
            shards: None,
            codec: ZarrCodec::Zstd { level: 3 },
            dims: Vec::new(),
            attributes: Map::new(),
            fill_value: None,
            time: None,
        }
    }
}

/// What to do where an array exists already.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IfExists {
    /// Refuse.
    Fail,
    /// Keep its metadata (codecs, attributes) if it has this shape, dtype and chunk (or shard) shape, and give it new
    /// elements; refuse otherwise.
    Keep,
    /// Put the new array in its place. Groups and files that are no part of an array are never removed.
    Replace,
}
