//! Creating a Zarr array: its metadata, once, before any chunk is written.
//!
//! Owns the metadata documents and the policy for what is there already. Must not write chunks.

use super::read::ZarrReader;
use super::store::{self, EmptyDirs, Store};
use super::{ArrayWriter, open_error, v3_name, zarr_error};
use crate::elements::numpy_name;
use crate::spec::{IfExists, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion};
use crate::{FormatError, region};
use serde_json::{Value, json};
use std::sync::Arc;
use tilework_expr::DType;
use zarrs::array::{Array, ArrayMetadataOptions};
use zarrs::metadata::ArrayMetadata;
use zarrs::storage::{
    ListableStorageTraits, ReadableStorageTraits, StoreKey, StorePrefix, WritableStorageTraits,
};

const V3_METADATA: &str = "zarr.json";
const V2_METADATA: [&str; 3] = [".zarray", ".zattrs", ".zgroup"];

impl ZarrTarget {
    /// Writes the array's metadata, and that of the groups above it. Called once, before the first
    /// [`ZarrTarget::open`]; creates the store's directory if need be.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] for a spec that makes no sense, [`FormatError::TooLarge`],
    /// [`FormatError::Exists`], [`FormatError::WrongShape`] and [`FormatError::WrongDType`] by the policy for
    /// what is there already, [`FormatError::Io`] and [`FormatError::Zarr`] from the store.
    pub fn create(&self, spec: &ZarrSpec, if_exists: IfExists) -> Result<(), FormatError> {
        let node = store::node_path(&self.path, &self.array)?;
        let name = store::display_name(&self.path, &node);
        check_spec(&name, spec, self.version)?;
        std::fs::create_dir_all(&self.path).map_err(|e| FormatError::io(&name, e))?;
        let place = Place { store: store::open(&self.path, EmptyDirs::Remove)?, name, node };
        match place.metadata()? {
            Some(Found::Group) => return Err(place.exists("a group, which is never replaced by an array")),
            Some(Found::Array) => match if_exists {
                IfExists::Fail => return Err(place.exists("an array, and it was not to be replaced")),
                IfExists::Keep => return self.check_kept(spec),
                IfExists::Replace => place.remove()?,
            },
            None => {}
        }
        place.create_groups(self.version)?;
        let metadata = match self.version {
            ZarrVersion::V2 => serde_json::from_value(v2_metadata(spec)).map(ArrayMetadata::V2),
            ZarrVersion::V3 => serde_json::from_value(v3_metadata(spec)).map(ArrayMetadata::V3),
        };
        let metadata = metadata.map_err(|e| zarr_error(&place.name, e))?;
        let array = Array::new_with_metadata(place.store.clone(), &place.node, metadata)
            .map_err(|e| open_error(&place.name, e))?;
        array
            .store_metadata_opt(&ArrayMetadataOptions::default().with_include_zarrs_metadata(false))
            .map_err(|e| zarr_error(&place.name, e))
    }

    /// Opens the array, which was created before, for writing.
    ///
    /// # Errors
    /// Those of [`ArraySource::open`](crate::ArraySource::open).
    pub fn open(&self) -> Result<ArrayWriter, FormatError> {
        Ok(ArrayWriter::new(ZarrReader::open(&self.path, &self.array)?))
    }

    fn check_kept(&self, spec: &ZarrSpec) -> Result<(), FormatError> {
        let ZarrReader { path, meta, .. } = ZarrReader::open(&self.path, &self.array)?;
        if meta.dtype != spec.dtype {
            return Err(FormatError::WrongDType { path, expected: spec.dtype, got: meta.dtype });
        }
        if meta.shape != spec.shape {
            return Err(FormatError::WrongShape { path, expected: spec.shape.clone(), got: meta.shape });
        }
        let chunks = spec.shards.as_ref().unwrap_or(&spec.chunks);
        if meta.chunks != *chunks {
            let reason = format!("an array with chunks {:?}, expected {chunks:?}", meta.chunks);
            return Err(FormatError::Exists { path, reason });
        }
        Ok(())
    }
}

fn check_spec(path: &str, spec: &ZarrSpec, version: ZarrVersion) -> Result<(), FormatError> {
    let invalid = |reason: String| Err(FormatError::Invalid { path: path.to_owned(), reason });
    let itemsize = spec.dtype.size();
    let rank = spec.shape.len();
    for (what, lens) in [("chunks", Some(&spec.chunks)), ("shards", spec.shards.as_ref())] {
        let Some(lens) = lens else { continue };
        if lens.len() != rank || lens.contains(&0) {
            return invalid(format!("got {what} {lens:?}, expected {rank} lengths of at least 1"));
        }
        region::checked_shape(path, &as_u64(lens), itemsize)?;
    }
    region::checked_shape(path, &as_u64(&spec.shape), itemsize)?;
    if let Some(shards) = &spec.shards {
        if version == ZarrVersion::V2 {
            return invalid("got shards for zarr version 2, expected version 3".into());
        }
        if shards.iter().zip(&spec.chunks).any(|(shard, chunk)| shard % chunk != 0) {
            return invalid(format!("got shards {shards:?}, expected multiples of chunks {:?}", spec.chunks));
        }
    }
    if !spec.dims.is_empty() && spec.dims.len() != rank {
        return invalid(format!("got {} axis names, expected none or {rank}", spec.dims.len()));
    }
    Ok(())
}

fn as_u64(lens: &[usize]) -> Vec<u64> {
    lens.iter().map(|&n| n as u64).collect()
}

fn zero(dtype: DType) -> Value {
    match dtype {
        DType::Bool => json!(false),
        d if d.is_complex() => json!([0.0, 0.0]),
        d if d.is_float() => json!(0.0),
        _ => json!(0),
    }
}

fn v2_metadata(spec: &ZarrSpec) -> Value {
    let compressor = match spec.codec {
        ZarrCodec::None => Value::Null,
        ZarrCodec::Zstd { level } => json!({"id": "zstd", "level": level}),
        ZarrCodec::Gzip { level } => json!({"id": "gzip", "level": level}),
        ZarrCodec::Blosc { level } => {
            json!({"id": "blosc", "cname": "zstd", "clevel": level, "shuffle": 1, "blocksize": 0})
        }
    };
    // The convention of xarray, which version 2 has no field for.
    let attributes = if spec.dims.is_empty() { json!({}) } else { json!({"_ARRAY_DIMENSIONS": spec.dims}) };
    json!({
        "zarr_format": 2,
        "node_type": "array",
        "shape": spec.shape,
        "chunks": spec.chunks,
        "dtype": numpy_name(spec.dtype),
        "compressor": compressor,
        "fill_value": zero(spec.dtype),
        "order": "C",
        "filters": null,
        "attributes": attributes,
    })
}

fn v3_metadata(spec: &ZarrSpec) -> Value {
    let itemsize = spec.dtype.size();
    let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": "little"}})];
    match spec.codec {
        ZarrCodec::None => {}
        ZarrCodec::Zstd { level } => {
            codecs.push(json!({"name": "zstd", "configuration": {"level": level, "checksum": true}}));
        }
        ZarrCodec::Gzip { level } => codecs.push(json!({"name": "gzip", "configuration": {"level": level}})),
        ZarrCodec::Blosc { level } => codecs.push(json!({"name": "blosc", "configuration": {
            "cname": "zstd", "clevel": level, "shuffle": "shuffle", "typesize": itemsize, "blocksize": 0,
        }})),
    }
    if spec.shards.is_some() {
        codecs = vec![json!({"name": "sharding_indexed", "configuration": {
            "chunk_shape": spec.chunks,
            "codecs": codecs,
            "index_codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                {"name": "crc32c"},
            ],
            "index_location": "end",
        }})];
    }
    let mut metadata = json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": spec.shape,
        "data_type": v3_name(spec.dtype),
        "chunk_grid": {"name": "regular", "configuration": {
            "chunk_shape": spec.shards.as_ref().unwrap_or(&spec.chunks),
        }},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": zero(spec.dtype),
        "codecs": codecs,
        "attributes": {},
    });
    if !spec.dims.is_empty() {
        metadata["dimension_names"] = json!(spec.dims);
    }
    metadata
}

/// What the metadata at a path describes.
enum Found {
    Array,
    Group,
}

/// A path in a store.
struct Place {
    store: Arc<Store>,
    name: String,
    node: String,
}

impl Place {
    fn exists(&self, reason: &str) -> FormatError {
        FormatError::Exists { path: self.name.clone(), reason: reason.to_owned() }
    }

    fn zarr<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Result<T, FormatError> {
        result.map_err(|e| zarr_error(&self.name, e))
    }

    /// The key of a file at `node` in the store.
    fn key(&self, node: &str, file: &str) -> Result<StoreKey, FormatError> {
        let key = format!("{}/{file}", node.trim_end_matches('/'));
        self.zarr(StoreKey::new(&key[1..]))
    }

    fn has(&self, node: &str, file: &str) -> Result<bool, FormatError> {
        let size = self.store.size_key(&self.key(node, file)?);
        Ok(self.zarr(size)?.is_some())
    }

    fn metadata(&self) -> Result<Option<Found>, FormatError> {
        self.metadata_at(&self.node)
    }

    fn metadata_at(&self, node: &str) -> Result<Option<Found>, FormatError> {
        if let Some(bytes) = self.zarr(self.store.get(&self.key(node, V3_METADATA)?))? {
            let text: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            // What cannot be understood is not replaced either.
            return Ok(Some(if text["node_type"] == "array" { Found::Array } else { Found::Group }));
        }
        if self.has(node, ".zarray")? {
            return Ok(Some(Found::Array));
        }
        Ok(self.has(node, ".zgroup")?.then_some(Found::Group))
    }

    /// Writes the metadata of the groups above the array, where there is none.
    fn create_groups(&self, version: ZarrVersion) -> Result<(), FormatError> {
        let (file, text) = match version {
            ZarrVersion::V2 => (".zgroup", json!({"zarr_format": 2})),
            ZarrVersion::V3 => {
                (V3_METADATA, json!({"zarr_format": 3, "node_type": "group", "attributes": {}}))
            }
        };
        let mut above = self.node.as_str();
        while above != "/" {
            let end = above.rfind('/').expect("a node path starts with `/`");
            above = if end == 0 { "/" } else { &above[..end] };
            match self.metadata_at(above)? {
                Some(Found::Array) => {
                    return Err(self.exists(&format!("`{above}` above it is an array, expected a group")));
                }
                Some(Found::Group) if self.has(above, file)? => {}
                Some(Found::Group) => {
                    let reason =
                        format!("`{above}` above it is of another zarr version, expected {version:?}");
                    return Err(self.exists(&reason));
                }
                None => {
                    let bytes = serde_json::to_vec_pretty(&text).expect("a literal document");
                    self.zarr(self.store.set(&self.key(above, file)?, bytes.into()))?;
                }
            }
        }
        Ok(())
    }

    /// Removes the array's chunks, then its metadata: what is left after a failure is still seen as an array.
    fn remove(&self) -> Result<(), FormatError> {
        let prefix = match &self.node[1..] {
            "" => StorePrefix::root(),
            inner => self.zarr(StorePrefix::new(format!("{inner}/")))?,
        };
        let keys = self.zarr(self.store.list_prefix(&prefix))?;
        for key in keys {
            let inner = key.as_str().strip_prefix(prefix.as_str()).unwrap_or(key.as_str());
            if is_chunk_name(inner) {
                self.zarr(self.store.erase(&key))?;
            }
        }
        for file in V2_METADATA.into_iter().chain([V3_METADATA]) {
            self.zarr(self.store.erase(&self.key(&self.node, file)?))?;
        }
        Ok(())
    }
}

/// Whether a key below an array names one of its chunks: `c/0/1`, `c`, `0.1` or `0/1`.
fn is_chunk_name(key: &str) -> bool {
    let index = key.strip_prefix("c/").unwrap_or(key);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    key == "c" || index.split(['.', '/']).all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_told_from_other_files() {
        for yes in ["c", "c/0", "c/10/2", "0.0", "3", "4/5/6"] {
            assert!(is_chunk_name(yes), "{yes}");
        }
        for no in ["", "README.md", "c/", "c/x", "0.0.txt", "zarr.json", ".zarray", "child/c/0", "0..1"] {
            assert!(!is_chunk_name(no), "{no}");
        }
    }

    #[test]
    fn senseless_specs_are_refused() {
        let check = |spec: &ZarrSpec, version| check_spec("x", spec, version).map_err(|e| e.to_string());
        let good = ZarrSpec::new(&[10, 0], DType::F64, &[4, 1]);
        assert_eq!(check(&good, ZarrVersion::V2), Ok(()));
        let sharded = |shards: &[usize]| ZarrSpec { shards: Some(shards.to_vec()), ..good.clone() };
        assert_eq!(check(&sharded(&[8, 3]), ZarrVersion::V3), Ok(()));
        assert!(check(&sharded(&[8, 3]), ZarrVersion::V2).unwrap_err().contains("expected version 3"));
        assert!(
            check(&sharded(&[9, 3]), ZarrVersion::V3).unwrap_err().contains("multiples of chunks [4, 1]")
        );
        let bad = ZarrSpec::new(&[10], DType::F64, &[0]);
        assert!(check(&bad, ZarrVersion::V3).unwrap_err().contains("got chunks [0]"));
        let bad = ZarrSpec::new(&[usize::MAX, 2], DType::F64, &[1, 1]);
        assert!(check(&bad, ZarrVersion::V3).unwrap_err().contains("too large"));
    }
}
