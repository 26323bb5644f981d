//! The kinds of array files behind one reader.
//!
//! Owns the names of arrays on disk, as plain data, and the checks that every format shares. Must not know
//! how any format is laid out.

use crate::netcdf::NetcdfReader;
use crate::npy::{self, NpyReader};
use crate::zarr::ZarrReader;
use crate::{ArrayInfo, FormatError, beside, npz, objects, region};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::DType;
use tilework_plan::{Steps, Stored};

/// Where an array is stored: plain data, so that it can travel and be opened by whoever reads the array.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ArraySource {
    /// An `.npy` file.
    Npy {
        /// The file.
        path: PathBuf,
    },
    /// One array of an `.npz` file.
    Npz {
        /// The file.
        path: PathBuf,
        /// The array's name, without `.npy`.
        member: String,
    },
    /// An array of a Zarr store, of version 2 or 3.
    Zarr {
        /// The store's directory.
        path: PathBuf,
        /// The array's path within the store, `""` for the root.
        array: String,
    },
    /// An array of a NetCDF or HDF5 file.
    Netcdf {
        /// The file.
        path: PathBuf,
        /// The array's path within the file: its name, with those of the groups that it is in.
        variable: String,
    },
}

/// What is known of an array before any element is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArrayMeta {
    /// The shape.
    pub shape: Vec<usize>,
    /// The element type.
    pub dtype: DType,
    /// The shape of one stored file: a chunk, or a shard where there are shards; the whole array for `.npy`.
    pub chunks: Vec<usize>,
    /// The smallest box that is decoded at once: differs from `chunks` where a shard has chunks within.
    pub read_chunks: Vec<usize>,
    /// How the elements are stored, as far as it matters to what reading a part of them costs.
    pub stored: Stored,
}

impl ArraySource {
    /// The array of an `.npy` file.
    #[must_use]
    pub fn npy(path: impl Into<PathBuf>) -> ArraySource {
        ArraySource::Npy { path: path.into() }
    }

    /// The array `member` of an `.npz` file.
    #[must_use]
    pub fn npz(path: impl Into<PathBuf>, member: impl Into<String>) -> ArraySource {
        ArraySource::Npz { path: path.into(), member: member.into() }
    }

    /// The array at the path `array` of a Zarr store.
    #[must_use]
    pub fn zarr(path: impl Into<PathBuf>, array: impl Into<String>) -> ArraySource {
        ArraySource::Zarr { path: path.into(), array: array.into() }
    }

    /// The array `variable` of a NetCDF or HDF5 file, `group/name` where it is in a group.
    #[must_use]
    pub fn netcdf(path: impl Into<PathBuf>, variable: impl Into<String>) -> ArraySource {
        ArraySource::Netcdf { path: path.into(), variable: variable.into() }
    }

    /// The file or the store's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            ArraySource::Npy { path }
            | ArraySource::Npz { path, .. }
            | ArraySource::Zarr { path, .. }
            | ArraySource::Netcdf { path, .. } => path,
        }
    }

    /// The same source with its path made absolute, for a reader in another working directory: an URL of a file of this
    /// machine becomes its path, and any other stays what it is, less a `/` at its end.
    ///
    /// # Errors
    /// [`FormatError::Io`] where the path is empty or the working directory is gone.
    pub fn absolute(mut self) -> Result<ArraySource, FormatError> {
        let path = match &mut self {
            ArraySource::Npy { path }
            | ArraySource::Npz { path, .. }
            | ArraySource::Zarr { path, .. }
            | ArraySource::Netcdf { path, .. } => path,
        };
        if let Some(url) = objects::url_of(path) {
            *path = url.trim_end_matches('/').into();
            return Ok(self);
        }
        if let Some(local) = path.to_str().and_then(objects::local_path) {
            *path = PathBuf::from(local.into_owned());
        }
        *path = std::path::absolute(&*path).map_err(|e| FormatError::io(&path.display().to_string(), e))?;
        Ok(self)
    }

    /// Reads the array's shape and dtype, checks them, and makes it ready for reading.
    ///
    /// # Errors
    /// [`FormatError::Missing`], [`FormatError::MissingMember`], [`FormatError::MissingVariable`], [`FormatError::Truncated`],
    /// [`FormatError::NotAnArray`], [`FormatError::Corrupt`], [`FormatError::UnsupportedDType`],
    /// [`FormatError::Unsupported`], [`FormatError::TooLarge`], [`FormatError::Invalid`] (an array path that
    /// leaves the store), [`FormatError::Io`] or [`FormatError::Zarr`].
    pub fn open(&self) -> Result<ArrayReader, FormatError> {
        let at = match self {
            ArraySource::Npy { path } | ArraySource::Npz { path, .. } | ArraySource::Netcdf { path, .. } => {
                path.clone()
            }
            ArraySource::Zarr { path, array } => path.join(array.trim_start_matches('/')),
        };
        if let Some(unfinished) = beside::unfinished(&at) {
            return Err(FormatError::NotAnArray {
                path: at.display().to_string(),
                reason: format!(
                    "`{}` is being written, or was left behind by a write that was interrupted",
                    unfinished.display()
                ),
            });
        }
        let (name, inner) = match self {
            ArraySource::Npy { path } => (path.display().to_string(), Inner::Npy(Box::new(npy::open(path)?))),
            ArraySource::Npz { path, member } => {
                (format!("{}[{member}]", path.display()), Inner::Npy(Box::new(npz::open(path, member)?)))
            }
            ArraySource::Zarr { path, array } => {
                let reader = ZarrReader::open(path, array)?;
                (reader.path.clone(), Inner::Zarr(Box::new(reader)))
            }
            ArraySource::Netcdf { path, variable } => {
                let reader = NetcdfReader::open(path, variable)?;
                (reader.path.clone(), Inner::Netcdf(Box::new(reader)))
            }
        };
        Ok(ArrayReader { name, inner })
    }
}

#[derive(Debug)]
enum Inner {
    Npy(Box<NpyReader>),
    Zarr(Box<ZarrReader>),
    Netcdf(Box<NetcdfReader>),
}

/// An open array. Reading blocks; several threads may read at once.
#[derive(Debug)]
pub struct ArrayReader {
    name: String,
    inner: Inner,
}

impl ArrayReader {
    /// Shape, dtype and chunks.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        match &self.inner {
            Inner::Npy(reader) => reader.meta(),
            Inner::Zarr(reader) => &reader.meta,
            Inner::Netcdf(reader) => &reader.meta,
        }
    }

    /// What a Zarr store, or a NetCDF or HDF5 file, says beside that; `None` of other files.
    #[must_use]
    pub fn info(&self) -> Option<&ArrayInfo> {
        match &self.inner {
            Inner::Npy(_) => None,
            Inner::Zarr(reader) => Some(&reader.info),
            Inner::Netcdf(reader) => Some(&reader.info),
        }
    }

    /// Checks the dtype and the number of axes against what the caller needs.
    ///
    /// # Errors
    /// [`FormatError::WrongDType`] or [`FormatError::WrongRank`].
    pub fn expect(&self, dtype: DType, n_axes: usize) -> Result<(), FormatError> {
        let (path, meta) = (self.name.clone(), self.meta());
        if meta.dtype != dtype {
            return Err(FormatError::WrongDType { path, expected: dtype, got: meta.dtype });
        }
        if meta.shape.len() != n_axes {
            return Err(FormatError::WrongRank { path, expected: n_axes, got: meta.shape.len() });
        }
        Ok(())
    }

    /// Reads the box `region` (one range per axis) into `out`: little-endian elements in C order, `bool` as
    /// 0 or 1. On an error `out` holds anything.
    ///
    /// What is read beside the box: nothing of an `.npy` or a stored `.npz` member, except gaps of at most
    /// 4 KiB; for a deflated member everything from the last mark before it (see below); for Zarr, and for NetCDF
    /// and HDF5 where they are chunked, the chunks that the box touches, each of which is held decoded while it is
    /// copied.
    ///
    /// A deflated member can only be decoded forwards. Reading it by rows decodes it once. Any other order
    /// starts at marks that earlier reads left every MiB or more, about 22 MiB of them at most.
    ///
    /// # Errors
    /// [`FormatError::OutOfBounds`], [`FormatError::WrongLength`], [`FormatError::Truncated`] and
    /// [`FormatError::Io`] for a file that changed, [`FormatError::Corrupt`] and [`FormatError::Zarr`] for data
    /// that cannot be decoded.
    pub fn read(&self, region: &[Range<usize>], out: &mut [u8]) -> Result<(), FormatError> {
        let meta = self.meta();
        let elements = region::check(&self.name, region, &meta.shape)?;
        region::check_buffer(&self.name, elements, meta.dtype.size(), out.len())?;
        match &self.inner {
            Inner::Npy(reader) => reader.read(&region.iter().map(Steps::all).collect::<Vec<_>>(), out),
            Inner::Zarr(reader) => reader.read(region, out),
            Inner::Netcdf(reader) => reader.read(region, out),
        }
    }

    /// Reads evenly spaced positions (one entry per axis) into `out`, as [`ArrayReader::read`] does a box. Of what
    /// lies between them, what is near enough is read along, and stored chunks without any of them are not.
    ///
    /// # Errors
    /// As [`ArrayReader::read`].
    pub fn read_steps(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let hull: Vec<Range<usize>> = steps.iter().map(Steps::hull).collect();
        let meta = self.meta();
        region::check(&self.name, &hull, &meta.shape)?;
        let elements = steps.iter().map(|s| s.len).product();
        region::check_buffer(&self.name, elements, meta.dtype.size(), out.len())?;
        match &self.inner {
            Inner::Npy(reader) => reader.read(steps, out),
            Inner::Zarr(reader) => reader.read_steps(steps, out),
            Inner::Netcdf(reader) => reader.read_steps(steps, out),
        }
    }
}
