//! Arrays in files: `.npy`, `.npz` and Zarr, with the groups and attributes of Zarr stores; and with the feature `netcdf`
//! those of NetCDF and HDF5 files, to be read ([`NetcdfFile`], [`Array::read_netcdf`]).
//!
//! With the feature `object-store`, a path may be the URL of an object store: `s3://bucket/store.zarr`, `gs://..`, and for
//! reading `http://..`; `file:///data/x` is `/data/x`. Credentials are those of each process's environment. What differs from
//! files is told in `docs/object-stores.md`: there are no locks, so that one program at a time writes an array.
//!
//! Knows which chunks suit a file. Must not know how formats are laid out; the workers do the reading and
//! writing, so that a path must mean the same file to them.
//!
//! ```
//! use tilework::io::{ZarrArray, ZarrGroup, json};
//! use tilework::prelude::*;
//!
//! # fn main() -> tilework::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let store = dir.path().join("climate.zarr");
//! let group = ZarrGroup::create(&store, "")?;
//! group.update_attributes(json!({"title": "two days of July"}))?;
//! let options = ZarrOptions {
//!     axis_names: vec!["time".into(), "station".into()],
//!     attributes: json!({"units": "K"}),
//!     ..ZarrOptions::default()
//! };
//! arr2(&[[285.0, 287.5], [284.0, 288.0]]).write_zarr_with(&store, "t", &options)?;
//!
//! // A third day behind the others; what dies half-way leaves two.
//! arr2(&[[290.0, 291.5]]).append_zarr(&store, "t", Axis(0))?;
//! // What was measured again takes its place.
//! arr2(&[[284.5]]).write_zarr_region(&store, "t", s![1..2, 0..1])?;
//!
//! assert_eq!(group.arrays()?, ["t"]);
//! let t = ZarrArray::open(&store, "t")?;
//! assert_eq!((t.shape(), t.axis_names()), (&[3, 2][..], vec![Some("time"), Some("station")]));
//! assert_eq!(t.attributes()?["units"], "K");
//! let mean = t.read::<f64, Ix2>()?.mean_axis(Axis(0)).unwrap();
//! assert_eq!(mean.compute(), ndarray::arr1(&[286.5, 289.0]));
//! # Ok(())
//! # }
//! ```

mod many;
mod netcdf;
mod nodes;
mod packed;
mod part;

use crate::array::{Array, chunks_of};
use crate::error::{Error, Result};
use crate::session;
use ndarray::Dimension;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tilework_expr::{
    AUTO_CHUNK_BYTES, AxisChunks, Chunks, DType, Element, Expr, FileKind, FileRef, run_grid,
};
use tilework_formats::{ArrayMeta, ArrayReader, ArraySource, ZarrSpec, ZarrTarget};
use tilework_plan::{ChunkIdx, Grid, Stored};

pub use netcdf::{NetcdfFile, NetcdfVariable};
pub use nodes::{ZarrArray, ZarrGroup};
/// The attributes of arrays and groups in files, and how they are written in a program.
pub use serde_json::{Map, Value as Json, json};
/// A value of one of the elements' types, as a fill value: `Scalar::new(-1i16)`.
pub use tilework_expr::Scalar;
pub use tilework_formats::{IfExists, TimeKind, TimeType, TimeUnit, ZarrCodec, ZarrVersion};

/// How a Zarr array is written. The default: version 3, compressed by Zstandard, in the array's own chunks,
/// refusing to replace what is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZarrOptions {
    /// The version of the format.
    pub version: ZarrVersion,
    /// Lengths of the stored chunks, or the array's own.
    pub chunks: Option<Vec<usize>>,
    /// Lengths of the shards (version 3), multiples of the chunks': one file each, of several chunks.
    pub shards: Option<Vec<usize>>,
    /// The compression.
    pub codec: ZarrCodec,
    /// What to do with an array that is there already.
    pub if_exists: IfExists,
    /// Names of the axes, or none.
    pub axis_names: Vec<String>,
    /// What is said of the array: an object, `json!({"units": "K"})`, or `Json::Null` for nothing. What is no number
    /// is written as text, `"NaN"`.
    pub attributes: Json,
    /// The element that is never written, of the array's type: chunks of nothing else take no file. Zero where absent.
    /// In version 2 xarray takes it for a missing element, which is NaN for it.
    pub fill_value: Option<Scalar>,
    /// What `i64` elements mean that are times, as NumPy's `datetime64` and `timedelta64`.
    pub time: Option<TimeType>,
}

impl Default for ZarrOptions {
    fn default() -> Self {
        ZarrOptions {
            version: ZarrVersion::V3,
            chunks: None,
            shards: None,
            codec: ZarrCodec::Zstd { level: 3 },
            if_exists: IfExists::Fail,
            axis_names: Vec::new(),
            attributes: Json::Null,
            fill_value: None,
            time: None,
        }
    }
}

impl ZarrOptions {
    /// What an array of this shape is with these options, in these chunks where they say none.
    fn spec(&self, shape: &[usize], dtype: DType, own: impl FnOnce() -> Vec<usize>) -> Result<ZarrSpec> {
        // Shards alone may be given: one chunk each.
        let chunks = self.chunks.clone().or_else(|| self.shards.clone()).unwrap_or_else(own);
        Ok(ZarrSpec {
            shape: shape.to_vec(),
            dtype,
            chunks,
            shards: self.shards.clone(),
            codec: self.codec,
            dims: self.axis_names.clone(),
            attributes: object(&self.attributes)?,
            fill_value: self.fill_value,
            time: self.time,
        })
    }
}

/// Attributes, which are an object, or nothing.
fn object(attributes: &Json) -> Result<Map<String, Json>> {
    match attributes {
        Json::Null => Ok(Map::new()),
        Json::Object(attributes) => Ok(attributes.clone()),
        other => {
            let (what, got, expected) = ("attributes", other.to_string(), "a JSON object");
            Err(tilework_expr::ExprError::Parameter { what, got, expected }.into())
        }
    }
}

/// # Reading files
impl<A: Element, D: Dimension> Array<A, D> {
    /// The array of an `.npy` file, in automatic chunks of whole rows. The file is opened at once and read
    /// when a computation needs it.
    ///
    /// # Errors
    /// [`Error::Format`] for a file that cannot be read, [`Error::DType`] for other elements,
    /// [`Error::Dimensions`] for another number of dimensions.
    pub fn read_npy(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(ArraySource::npy(path.as_ref()), None)
    }

    /// [`Array::read_npy`] in the given chunks.
    ///
    /// # Errors
    /// As [`Array::read_npy`]; chunks that do not fit the shape.
    pub fn read_npy_chunked(path: impl AsRef<Path>, chunks: impl Into<Chunks>) -> Result<Self> {
        Self::read(ArraySource::npy(path.as_ref()), Some(chunks.into()))
    }

    /// One array of an `.npz` file, in automatic chunks of whole rows. The file is opened at once and read
    /// when a computation needs it. A compressed member is read fastest in these chunks.
    ///
    /// # Errors
    /// As [`Array::read_npy`]; a member that is not there, with the names of those that are.
    pub fn read_npz(path: impl AsRef<Path>, member: &str) -> Result<Self> {
        Self::read(ArraySource::npz(path.as_ref(), member), None)
    }

    /// [`Array::read_npz`] in the given chunks.
    ///
    /// # Errors
    /// As [`Array::read_npz`]; chunks that do not fit the shape.
    pub fn read_npz_chunked(path: impl AsRef<Path>, member: &str, chunks: impl Into<Chunks>) -> Result<Self> {
        Self::read(ArraySource::npz(path.as_ref(), member), Some(chunks.into()))
    }

    /// An array of a Zarr store of version 2 or 3: `array` is its path within the store, `""` for the root.
    /// In chunks that are multiples of the stored ones. Its metadata are read at once, its chunks when a
    /// computation needs them. The path may be an URL of an object store, `s3://bucket/store.zarr` (feature
    /// `object-store`).
    ///
    /// The elements are those that are stored. Where the array's attributes say that they are packed (`scale_factor`,
    /// `add_offset`, `_FillValue`), which xarray would undo, a warning says so, once an array.
    ///
    /// # Errors
    /// [`Error::Format`] for a store that cannot be read, [`Error::DType`] for other elements,
    /// [`Error::Dimensions`] for another number of dimensions.
    pub fn read_zarr(path: impl AsRef<Path>, array: &str) -> Result<Self> {
        Self::read(ArraySource::zarr(path.as_ref(), array), None)
    }

    /// [`Array::read_zarr`] in the given chunks. Chunks that cut stored ones make them be read several times.
    ///
    /// # Errors
    /// As [`Array::read_zarr`]; chunks that do not fit the shape.
    pub fn read_zarr_chunked(path: impl AsRef<Path>, array: &str, chunks: impl Into<Chunks>) -> Result<Self> {
        Self::read(ArraySource::zarr(path.as_ref(), array), Some(chunks.into()))
    }

    fn read(source: ArraySource, chunks: Option<Chunks>) -> Result<Self> {
        let source = source.absolute()?;
        let reader = source.open()?;
        if let Some(packed) = reader.info().and_then(|info| info.packed()) {
            warn_of_packing(&source, &packed);
        }
        Self::of_reader(&source, &reader, chunks)
    }

    /// The array of a file that was opened.
    fn of_reader(source: &ArraySource, reader: &ArrayReader, chunks: Option<Chunks>) -> Result<Self> {
        let got = reader.meta().dtype;
        if got != A::DTYPE {
            return Err(Error::DType { what: name_of(source), got, expected: A::DTYPE });
        }
        Ok(Self::of_expr(stored::<D>(source, reader, chunks)?))
    }
}

/// The elements of a file that was opened, of whatever type they are.
fn stored<D: Dimension>(source: &ArraySource, reader: &ArrayReader, chunks: Option<Chunks>) -> Result<Expr> {
    let meta = reader.meta();
    let got = meta.shape.len();
    if let Some(expected) = D::NDIM
        && expected != got
    {
        return Err(Error::Dimensions { what: name_of(source), got, expected });
    }
    let chunks = chunks.unwrap_or_else(|| chunks_for(source, meta));
    Ok(Expr::read((file_ref(source)?, meta.stored.clone()), &meta.shape, &chunks, meta.dtype)?)
}

/// # Writing files
impl<A: Element, D: Dimension> Array<A, D> {
    /// Computes the array, gathers it into this process and writes it as an `.npy` file, which appears whole
    /// or not at all: until then it is `.NAME.tilework-HOST-ID` beside it. A file that it replaces gives it its mode,
    /// and its owner where this process may.
    ///
    /// # Errors
    /// [`Error::NotWritten`] for a failed computation or a result above the session's limit for gathering, after which
    /// the file is as it was; [`Error::Format`] for a file that cannot be written.
    pub fn write_npy(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let writer = tilework_formats::NpyWriter::create(path, self.shape(), A::DTYPE)?;
        let expr = self.leaf()?;
        let chunks =
            session::run(std::slice::from_ref(&expr)).map_err(|why| Error::not_written(path, why))?;
        let grid = expr.grid();
        for (i, chunk) in chunks[0].iter().enumerate() {
            let plane = chunk.planes[0].to_contiguous();
            writer.write(&grid.region(ChunkIdx(i as u64)), plane.contiguous_bytes().unwrap_or_default())?;
        }
        Ok(writer.finish()?)
    }

    /// Computes the array and writes it to a Zarr store as [`ZarrOptions::default`] says, chunk by chunk on
    /// the workers: it is never in one place. `array` is its path within the store, `""` for the root.
    ///
    /// # Errors
    /// As [`Array::write_zarr_with`].
    pub fn write_zarr(&self, path: impl AsRef<Path>, array: &str) -> Result<()> {
        self.write_zarr_with(path, array, &ZarrOptions::default())
    }

    /// Computes the array and writes it to a Zarr store, chunk by chunk on the workers. Where the array's
    /// chunks are not the stored ones (or the shards), it is rechunked first.
    ///
    /// The array is written beside its place, in a directory `.NAME.tilework-HOST-ID`, and takes it when all of it has
    /// been written, with the groups above it. So it may be an expression of what is stored there, and whatever ends
    /// the program, a reader finds what was there before or the new array. What a write that was killed leaves behind is
    /// cleared by the next one to the same place. Where directories cannot be exchanged (network file systems), and
    /// where files that are no part of the array lie in its directory, the old array's files are moved out and the new
    /// ones in: a program that is killed within that moment leaves no array there but both beside it, and the next
    /// write finishes the work.
    ///
    /// In an object store (an URL in place of the path) there are no renames: a new array's chunks are written at their
    /// names and its document last, so that there is no array until then. One that takes the place of another is
    /// written beside it, and copied by the store when it is complete; for that moment neither is there. What a killed
    /// writer leaves, the next one to the same place removes or finishes. One program at a time writes an array: there
    /// are no locks.
    ///
    /// # Errors
    /// [`Error::NotWritten`] for a failed computation, after which the stored array is as it was; [`Error::Format`] for
    /// options that make no sense, an array that is there and not to be replaced, or a store that cannot be written.
    pub fn write_zarr_with(&self, path: impl AsRef<Path>, array: &str, options: &ZarrOptions) -> Result<()> {
        let expr = self.leaf()?;
        let grid = expr.grid();
        let spec = options.spec(self.shape(), A::DTYPE, || chunk_lens(grid))?;
        let path = absolute(path.as_ref())?;
        text(&path)?;
        let target = ZarrTarget { path: path.clone(), array: array.to_owned(), version: options.version };
        let staged = target.begin(&spec, options.if_exists)?;
        if self.is_empty() {
            return Ok(staged.finish()?);
        }
        let unit = spec.shards.as_ref().unwrap_or(&spec.chunks);
        let file = root_of(&staged.path(), options.version)?;
        let written = expr.on_grid(Grid::regular(self.shape(), unit))?.write(file)?;
        session::execute(&[written]).map_err(|why| Error::not_written(&path.join(array), why))?;
        Ok(staged.finish()?)
    }
}

/// The greatest length of chunks along each axis, as stored chunks have it.
fn chunk_lens(grid: &Grid) -> Vec<usize> {
    grid.axes().iter().map(|a| a.chunk_max().max(1)).collect()
}

/// The array at the root of a store, as workers write it.
fn root_of(path: &Path, version: ZarrVersion) -> Result<FileRef> {
    let kind = match version {
        ZarrVersion::V2 => FileKind::Zarr2,
        ZarrVersion::V3 => FileKind::Zarr3,
    };
    Ok(FileRef { kind, path: text(path)?, member: String::new() })
}

/// Says once an array that its elements are those that are stored.
fn warn_of_packing(source: &ArraySource, packing: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let what = name_of(source);
    let format = if let ArraySource::Netcdf { .. } = source { "netcdf" } else { "zarr" };
    if said.insert(what.clone()) {
        eprintln!(
            "tilework: {what} is read as it is stored: its attributes say {packing}, which is not applied; \
             `read_{format}_decoded` does"
        );
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(ArraySource::npy(path).absolute()?.path().to_owned())
}

/// A path as it travels in a program.
fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let got = path.display().to_string();
        tilework_expr::ExprError::Parameter { what: "path", got, expected: "a path in UTF-8" }.into()
    })
}

fn file_ref(source: &ArraySource) -> Result<FileRef> {
    let (kind, member) = match source {
        ArraySource::Npy { .. } => (FileKind::Npy, String::new()),
        ArraySource::Npz { member, .. } => (FileKind::Npz, member.clone()),
        // Reading tells version 2 from 3 by itself.
        ArraySource::Zarr { array, .. } => (FileKind::Zarr3, array.clone()),
        ArraySource::Netcdf { variable, .. } => (FileKind::Netcdf, variable.clone()),
    };
    Ok(FileRef { kind, path: text(source.path())?, member })
}

fn name_of(source: &ArraySource) -> String {
    let path = source.path().display();
    match source {
        ArraySource::Npy { .. } => path.to_string(),
        ArraySource::Npz { member: inner, .. }
        | ArraySource::Zarr { array: inner, .. }
        | ArraySource::Netcdf { variable: inner, .. } => format!("{path}[{inner}]"),
    }
}

/// The chunks that suit a file: whole rows where elements lie one after another, multiples of stored chunks elsewhere.
fn chunks_for(source: &ArraySource, meta: &ArrayMeta) -> Chunks {
    let elements = (AUTO_CHUNK_BYTES / meta.dtype.size()).max(1);
    let in_boxes = match source {
        ArraySource::Zarr { .. } => true,
        ArraySource::Netcdf { .. } => matches!(meta.stored, Stored::Boxes(_)),
        ArraySource::Npy { .. } | ArraySource::Npz { .. } => false,
    };
    if in_boxes {
        let lens = chunks_of_boxes(meta, elements);
        return Chunks::Axes(lens.into_iter().map(|l| AxisChunks::Len(l as isize)).collect());
    }
    chunks_of(&run_grid(&meta.shape, elements))
}

/// The stored chunks, doubled along the shortest axis as long as they hold at most half of `elements`. Shards
/// are read whole where they are small enough.
fn chunks_of_boxes(meta: &ArrayMeta, elements: usize) -> Vec<usize> {
    let len = |chunk: &[usize]| chunk.iter().fold(1usize, |n, &l| n.saturating_mul(l));
    let stored = if len(&meta.chunks) <= elements { &meta.chunks } else { &meta.read_chunks };
    let mut chunk: Vec<usize> = stored.iter().map(|&l| l.max(1)).collect();
    while len(&chunk) <= elements / 2 {
        let open = (0..chunk.len()).filter(|&a| chunk[a] < meta.shape[a]);
        let Some(shortest) = open.min_by_key(|&a| chunk[a]) else { break };
        chunk[shortest] *= 2;
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zarr_is_read_in_multiples_of_its_chunks() {
        let meta = |shape: &[usize], chunks: &[usize], read: &[usize]| ArrayMeta {
            shape: shape.to_vec(),
            dtype: DType::F64,
            chunks: chunks.to_vec(),
            read_chunks: read.to_vec(),
            stored: Stored::Boxes(read.to_vec()),
        };
        let small = meta(&[365, 1000, 1000], &[1, 100, 100], &[1, 100, 100]);
        assert_eq!(chunks_of_boxes(&small, 2 << 20), [128, 100, 100]);
        let large = meta(&[10, 9000, 9000], &[1, 9000, 9000], &[1, 9000, 9000]);
        assert_eq!(chunks_of_boxes(&large, 2 << 20), [1, 9000, 9000]);
        let sharded = meta(&[8000, 8000], &[4000, 4000], &[500, 500]);
        assert_eq!(chunks_of_boxes(&sharded, 2 << 20), [2000, 1000]);
        assert_eq!(chunks_of_boxes(&meta(&[3, 0], &[2, 1], &[2, 1]), 100), [4, 1]);
        assert!(chunks_of_boxes(&meta(&[], &[], &[]), 100).is_empty());
    }
}
