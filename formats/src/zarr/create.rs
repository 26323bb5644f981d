//! Creating a Zarr array: its metadata, once, before any chunk is written.
//!
//! Owns the metadata documents and the policy for what is there already. Must not write chunks, nor know how an array
//! takes its place.

use super::metadata::{Documents, Node};
use super::place::{Levels, StagedFiles};
use super::read::ZarrReader;
use super::remote::{Places, StagedObjects};
use super::staged::Staged;
use super::{ArrayWriter, ZarrStaged, store, v3_name};
use crate::about::V2_DIMS;
use crate::elements::numpy_name;
use crate::spec::{IfExists, ZarrCodec, ZarrSpec, ZarrTarget, ZarrVersion};
use crate::time::TimeType;
use crate::{FormatError, packing, region};
use serde_json::{Value, json};
use tilework_expr::{DType, Scalar};

/// The most bytes that Blosc takes at once: 2 GiB, less its header.
const BLOSC_BYTES_MAX: usize = i32::MAX as usize - 16;

impl ZarrTarget {
    /// Starts writing the array beside its place, which it takes when it is [finished](ZarrStaged::finish). What is
    /// there stays as it is until then, and for good where the writing is given up. The directories above are made
    /// with it.
    ///
    /// What writers of this array left behind before is cleared.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] for a spec that makes no sense or cannot be written (a level that a codec does not
    /// have), [`FormatError::TooLarge`], [`FormatError::Exists`], [`FormatError::WrongShape`] and
    /// [`FormatError::WrongDType`] by the policy for what is there already, [`FormatError::Folder`] and
    /// [`FormatError::Io`] from the file system.
    pub fn begin(&self, spec: &ZarrSpec, if_exists: IfExists) -> Result<ZarrStaged, FormatError> {
        let name = store::display_name(&self.path, &self.array);
        store::check_new_name(&self.path, &self.array)?;
        check_spec(&name, spec, self.version)?;
        if let Some(places) = Places::of(&self.path, &self.array)? {
            let there = StagedObjects::look(&places, self.version, &name)?;
            let documents = self.documents(&name, (spec, if_exists), &there)?;
            let staged = StagedObjects::begin((name, places), &documents, if_exists, &there)?;
            return Ok(ZarrStaged(Staged::Objects(staged)));
        }
        let levels = Levels::of(&self.path, &self.array, &name)?;
        levels.recover();
        let there = levels.check_above(self.version, &name)?;
        let documents = self.documents(&name, (spec, if_exists), &there)?;
        let staged = StagedFiles::begin(name, levels, &documents, if_exists)?;
        Ok(ZarrStaged(Staged::Files(staged)))
    }

    /// The documents of the array that is to be, where this is there.
    fn documents(
        &self,
        name: &str,
        (spec, if_exists): (&ZarrSpec, IfExists),
        there: &Node,
    ) -> Result<Documents, FormatError> {
        let exists = |reason: &str| FormatError::Exists { path: name.to_owned(), reason: reason.to_owned() };
        let documents = match (there, if_exists) {
            (Node::Nothing, _) | (Node::Array(_), IfExists::Replace) => documents(spec, self.version),
            (Node::Group(_), _) => return Err(exists("a group, which is never replaced by an array")),
            (Node::Array(_), IfExists::Fail) => {
                return Err(exists("an array, and it was not to be replaced"));
            }
            (Node::Array(kept), IfExists::Keep) => {
                self.check_kept(spec)?;
                kept.clone()
            }
        };
        // What the reader would refuse is not begun either.
        documents.check(name)?;
        Ok(documents)
    }

    /// Makes the array, without elements: all of them are the fill value. An array that is kept keeps its elements.
    ///
    /// # Errors
    /// Those of [`ZarrTarget::begin`].
    pub fn create(&self, spec: &ZarrSpec, if_exists: IfExists) -> Result<(), FormatError> {
        let staged = self.begin(spec, if_exists)?;
        if if_exists == IfExists::Keep && self.open().is_ok() {
            return Ok(());
        }
        staged.finish()
    }

    /// Opens the array, which is there, for writing where it is: chunk by chunk, and at once.
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
    let (codec, level, levels) = match spec.codec {
        ZarrCodec::None => ("none", 0, 0..=0),
        ZarrCodec::Zstd { level } => ("zstd", level, 0..=22),
        ZarrCodec::Gzip { level } => ("gzip", level, 0..=9),
        ZarrCodec::Blosc { level } => ("blosc", level, 0..=9),
    };
    if !levels.contains(&level) {
        return invalid(format!(
            "got {codec} level {level}, expected {} to {}",
            levels.start(),
            levels.end()
        ));
    }
    let chunk_bytes = region::n_bytes(&spec.chunks, itemsize).unwrap_or(usize::MAX);
    if matches!(spec.codec, ZarrCodec::Blosc { .. }) && chunk_bytes > BLOSC_BYTES_MAX {
        return invalid(format!(
            "got chunks of {chunk_bytes} bytes, expected at most {BLOSC_BYTES_MAX} with blosc"
        ));
    }
    if let Some(fill) = spec.fill_value
        && fill.dtype() != spec.dtype
    {
        return invalid(format!("got fill value {fill:?}, expected one of {}", spec.dtype));
    }
    if let Some(time) = spec.time
        && spec.dtype != DType::I64
    {
        return invalid(format!("got {time} for elements of {}, expected i64", spec.dtype));
    }
    if !spec.dims.is_empty() && spec.dims.len() != rank {
        return invalid(format!("got {} axis names, expected none or {rank}", spec.dims.len()));
    }
    Ok(())
}

fn as_u64(lens: &[usize]) -> Vec<u64> {
    lens.iter().map(|&n| n as u64).collect()
}

/// The documents of a new array.
fn documents(spec: &ZarrSpec, version: ZarrVersion) -> Documents {
    match version {
        ZarrVersion::V3 => Documents { version, array: v3_metadata(spec), attributes: None },
        ZarrVersion::V2 => {
            let mut attributes = spec.attributes.clone();
            if !spec.dims.is_empty() {
                // The convention of xarray, which version 2 has no field for.
                attributes.insert(V2_DIMS.to_owned(), json!(spec.dims));
            }
            let attributes = (!attributes.is_empty()).then_some(Value::Object(attributes));
            Documents { version, array: v2_metadata(spec), attributes }
        }
    }
}

/// The fill value as a document has it.
fn fill_value(spec: &ZarrSpec) -> Value {
    packing::json(spec.fill_value.unwrap_or(Scalar::from_bits(spec.dtype, 0)))
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
    json!({
        "zarr_format": 2,
        "shape": spec.shape,
        "chunks": spec.chunks,
        "dtype": spec.time.map_or_else(|| numpy_name(spec.dtype).to_owned(), TimeType::numpy_name),
        "compressor": compressor,
        "fill_value": fill_value(spec),
        "order": "C",
        "filters": null,
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
        "data_type": spec.time.map_or_else(|| json!(v3_name(spec.dtype)), TimeType::v3_type),
        "chunk_grid": {"name": "regular", "configuration": {
            "chunk_shape": spec.shards.as_ref().unwrap_or(&spec.chunks),
        }},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value(spec),
        "codecs": codecs,
        "attributes": spec.attributes,
    });
    if !spec.dims.is_empty() {
        metadata["dimension_names"] = json!(spec.dims);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (codec, expected) in [
            (ZarrCodec::Gzip { level: 10 }, "got gzip level 10, expected 0 to 9"),
            (ZarrCodec::Zstd { level: 23 }, "got zstd level 23, expected 0 to 22"),
            (ZarrCodec::Blosc { level: 10 }, "got blosc level 10, expected 0 to 9"),
        ] {
            let bad = ZarrSpec { codec, ..good.clone() };
            assert!(check(&bad, ZarrVersion::V3).unwrap_err().contains(expected));
        }
        let bad =
            ZarrSpec { codec: ZarrCodec::Blosc { level: 1 }, ..ZarrSpec::new(&[1], DType::F64, &[1 << 30]) };
        assert!(check(&bad, ZarrVersion::V3).unwrap_err().contains("with blosc"));
    }
}
