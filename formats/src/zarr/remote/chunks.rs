//! The chunks of one array in an object store, by name, as `zarrs` asks for them.
//!
//! Owns objects below one place, and what is known of how shards are laid out. Must not know elements.

use super::array_of;
use crate::FormatError;
use crate::objects::{Part, Place};
use crate::spec::ZarrVersion;
use crate::zarr::metadata::Documents;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zarrs::storage::byte_range::{ByteRange, InvalidByteRangeError};
use zarrs::storage::{Bytes, MaybeBytes, MaybeBytesIterator, StorageError, StoreKey};

/// Bytes of the two numbers that an index has for each chunk of a shard: where it begins, and how long it is.
pub(crate) const ENTRY_BYTES: u64 = 16;
/// Bytes of the checksum behind an index.
const CHECKSUM_BYTES: u64 = 4;

/// Where the index of each shard is, if it is written as nearly all are: little-endian, with a checksum or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sharding {
    /// Lengths of the chunks in a shard.
    pub(crate) chunks: Vec<u64>,
    /// Whether it lies at the shard's end.
    at_end: bool,
    has_checksum: bool,
}

impl Sharding {
    pub(crate) fn of(documents: &Documents) -> Option<Sharding> {
        let codecs = documents.array["codecs"].as_array()?;
        let ([codec], ZarrVersion::V3) = (codecs.as_slice(), documents.version) else { return None };
        let said = &codec["configuration"];
        let chunks = said["chunk_shape"].as_array()?.iter().map(|n| n.as_u64().filter(|&n| n > 0));
        let name = |codec: &Value| codec["name"].as_str().map(str::to_owned);
        let index: Vec<String> = said["index_codecs"].as_array()?.iter().filter_map(name).collect();
        let little = said["index_codecs"][0]["configuration"]["endian"] == "little";
        let has_checksum = index.get(1).is_some();
        let known = codec["name"] == "sharding_indexed"
            && little
            && matches!(
                index.iter().map(String::as_str).collect::<Vec<_>>()[..],
                ["bytes"] | ["bytes", "crc32c"]
            );
        let chunks = chunks.collect::<Option<Vec<u64>>>()?;
        known.then_some(Sharding { chunks, at_end: said["index_location"] != "start", has_checksum })
    }

    /// The bytes of the index of a shard of so many chunks.
    pub(crate) fn index(&self, n_chunks: u64) -> Part {
        let bytes = n_chunks.saturating_mul(ENTRY_BYTES) + if self.has_checksum { CHECKSUM_BYTES } else { 0 };
        if self.at_end { Part::Last(bytes) } else { Part::Range(0..bytes) }
    }
}

/// Objects below one place.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    place: Place,
    pub(crate) sharding: Option<Sharding>,
    /// Bytes of the largest object that is read.
    bytes_max: Arc<AtomicU64>,
}

impl Objects {
    /// Those of the array whose documents lie at a place. While an array is written for which there was none, they lie
    /// beside its chunks.
    pub(crate) fn new(documents: &Place, sharding: Option<Sharding>) -> Result<Objects, FormatError> {
        let place = match array_of(Path::new(documents.url())) {
            Some((array, true)) => Place::open(&array.to_string_lossy())?,
            _ => documents.clone(),
        };
        Ok(Objects { place, sharding, bytes_max: Arc::new(AtomicU64::new(u64::MAX)) })
    }

    pub(crate) fn limit_bytes(&self, max: u64) {
        self.bytes_max.store(max, Ordering::Relaxed);
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// The object that a key names.
    pub(crate) fn at(&self, key: &StoreKey) -> Result<Place, StorageError> {
        self.place.join(key.as_str()).map_err(failed)
    }

    /// What errors call it.
    pub(crate) fn shown(&self, key: &StoreKey) -> String {
        format!("{}/{}", self.place.url(), key.as_str())
    }

    pub(crate) fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        self.at(key)?.get_at_most(self.bytes_max()).map_err(failed)
    }

    pub(crate) fn get_partial_many<'a>(
        &self,
        key: &StoreKey,
        ranges: Vec<ByteRange>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let place = self.at(key)?;
        let part = |range: &ByteRange| match *range {
            ByteRange::FromStart(0, None) => Part::Whole,
            ByteRange::FromStart(start, None) => Part::Range(start..u64::MAX),
            ByteRange::FromStart(start, Some(n)) => Part::Range(start..start.saturating_add(n)),
            ByteRange::Suffix(n) => Part::Last(n),
        };
        let wanted = ranges.iter().map(|range| (place.clone(), part(range))).collect();
        let mut pieces = Vec::new();
        for (got, range) in Place::get_many(wanted, self.bytes_max()).into_iter().zip(&ranges) {
            let Some(bytes) = got.map_err(failed)? else { return Ok(None) };
            pieces.push(whole_range(bytes, range));
        }
        Ok(Some(Box::new(pieces.into_iter())))
    }

    pub(crate) fn size(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        self.at(key)?.size().map_err(failed)
    }

    pub(crate) fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        self.at(key)?.put(value).map_err(failed)
    }

    pub(crate) fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        self.at(key)?.delete().map_err(failed)
    }
}

/// Bytes of a range, which must be as many as it says.
pub(crate) fn whole_range(bytes: Bytes, range: &ByteRange) -> Result<Bytes, StorageError> {
    let got = bytes.len() as u64;
    match *range {
        ByteRange::FromStart(_, Some(n)) | ByteRange::Suffix(n) if n != got => {
            Err(InvalidByteRangeError::new(*range, got).into())
        }
        _ => Ok(bytes),
    }
}

/// A failure that `zarrs` hands on.
pub(crate) fn failed(error: FormatError) -> StorageError {
    StorageError::IOError(Arc::new(io::Error::other(error)))
}
