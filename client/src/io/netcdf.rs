//! NetCDF and HDF5 files: their arrays, and what is said of them.
//!
//! Must not know how files are laid out.

use super::many::{concatenated, matching};
use super::{Json, Map, Scalar, absolute};
use crate::array::{Array, Real};
use crate::error::Result;
use ndarray::{Axis, Dimension, RemoveAxis};
use std::path::{Path, PathBuf};
use tilework_expr::{Chunks, DType, Element};
use tilework_formats::{ArrayInfo, ArrayMeta, ArraySource, FormatError, NetcdfGroup, netcdf_group};

/// # Reading NetCDF and HDF5 files
impl<A: Element, D: Dimension> Array<A, D> {
    /// An array of a NetCDF file (of version 4, or one of the classic formats) or of an HDF5 file: `variable` is its name,
    /// `group/name` where it is in a group. In chunks that are multiples of the stored ones; whole rows where elements
    /// lie one after another. The file's headers are read at once, its elements by the workers when a computation needs
    /// them. Needs the feature `netcdf`.
    ///
    /// The elements are those that are stored; those that were never written are the file's fill value. Where attributes
    /// say that they are packed (`scale_factor`, `add_offset`, `_FillValue`), which xarray would undo, a warning says so,
    /// once an array. Enumerations are the integers that they are stored as, but h5py's truth values are `bool`, and its
    /// complex numbers complex ones.
    ///
    /// ```
    /// # fn main() -> tilework::Result<()> {
    /// # #[cfg(feature = "netcdf")] {
    /// use tilework::prelude::*;
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/july.nc");
    /// // `path` is that of a file with three days of temperatures at two stations, as integers.
    /// let stored = Array2::<i16>::read_netcdf(path, "t")?;
    /// assert_eq!(stored.row(0).to_owned().compute(), ndarray::arr1(&[24, 29]));
    /// // The numbers that they stand for; a missing one is NaN.
    /// let t = Array2::<f64>::read_netcdf_decoded(path, "t")?;
    /// assert_eq!(t.row(0).to_owned().compute(), ndarray::arr1(&[285.0, 287.5]));
    /// assert!(t.compute()[(2, 1)].is_nan());
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) for a file that cannot be read, an array that it does not have (with the
    /// names that are nearest), elements of other types (strings, structures, lists), filters that are not undone
    /// (Blosc, Zstandard), an URL, and a build without the feature; [`Error::DType`](crate::Error::DType) for other
    /// elements, [`Error::Dimensions`](crate::Error::Dimensions) for another number of dimensions.
    pub fn read_netcdf(path: impl AsRef<Path>, variable: &str) -> Result<Self> {
        Self::read(ArraySource::netcdf(path.as_ref(), variable), None)
    }

    /// [`Array::read_netcdf`] in the given chunks. Chunks that cut stored ones make them be read several times.
    ///
    /// # Errors
    /// As [`Array::read_netcdf`]; chunks that do not fit the shape.
    pub fn read_netcdf_chunked(
        path: impl AsRef<Path>,
        variable: &str,
        chunks: impl Into<Chunks>,
    ) -> Result<Self> {
        Self::read(ArraySource::netcdf(path.as_ref(), variable), Some(chunks.into()))
    }
}

/// # Reading packed elements of NetCDF and HDF5 files
impl<A: Real, D: Dimension> Array<A, D> {
    /// [`Array::read_netcdf`] with what the attributes say of the elements applied, by the conventions of CF, as xarray
    /// does: missing elements (`_FillValue`, `missing_value`) are NaN, all others are multiplied by `scale_factor`,
    /// and `add_offset` is added; `_Unsigned` says how their bits are read. The elements may be stored as any real type.
    /// Times are numbers still, of what the attribute `units` says.
    ///
    /// # Errors
    /// As [`Array::read_netcdf`], and for attributes that make no sense: a factor that is 0 or no number, a missing
    /// element that is none of the stored type; [`Error::Expr`](crate::Error::Expr) where complex elements are stored.
    pub fn read_netcdf_decoded(path: impl AsRef<Path>, variable: &str) -> Result<Self> {
        Self::decoded(ArraySource::netcdf(path.as_ref(), variable), None)
    }

    /// [`Array::read_netcdf_decoded`] in the given chunks.
    ///
    /// # Errors
    /// As [`Array::read_netcdf_decoded`]; chunks that do not fit the shape.
    pub fn read_netcdf_decoded_chunked(
        path: impl AsRef<Path>,
        variable: &str,
        chunks: impl Into<Chunks>,
    ) -> Result<Self> {
        Self::decoded(ArraySource::netcdf(path.as_ref(), variable), Some(chunks.into()))
    }
}

/// # Reading many NetCDF and HDF5 files
impl<A: Element, D: RemoveAxis> Array<A, D> {
    /// An array of all files whose paths a pattern matches, one after another along an axis, as [`Array::read_glob`]:
    /// `read_netcdf_glob("data/*.nc", "t", Axis(0))`.
    ///
    /// # Errors
    /// As [`Array::read_netcdf`] and [`Array::read_glob`].
    pub fn read_netcdf_glob(pattern: impl AsRef<Path>, variable: &str, axis: Axis) -> Result<Self> {
        let paths = matching(pattern.as_ref())?;
        concatenated(paths.into_iter().map(|path| Ok(ArraySource::netcdf(path, variable))).collect(), axis)
    }
}

/// A group of a NetCDF or HDF5 file, the file's root first of all: what it had when it was opened.
///
/// ```
/// # fn main() -> tilework::Result<()> {
/// # #[cfg(feature = "netcdf")] {
/// use tilework::io::NetcdfFile;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/july.nc");
/// let file = NetcdfFile::open(path)?;
/// assert_eq!(file.variables(), ["t", "time"]);
/// assert_eq!(file.attributes()["title"], "three days of July");
///
/// let t = file.variable("t")?;
/// assert_eq!((t.shape(), t.axis_names()), (&[3, 2][..], vec![Some("time"), Some("station")]));
/// assert_eq!(t.packing().unwrap(), "scale_factor = 0.5, add_offset = 273.0, _FillValue = -1");
/// assert_eq!(file.variable("time")?.attributes()["units"], "days since 2026-07-01");
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct NetcdfFile {
    path: PathBuf,
    name: String,
    group: NetcdfGroup,
}

impl NetcdfFile {
    /// The root of the file at `path`. Needs the feature `netcdf`.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) for what is no such file, or cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<NetcdfFile> {
        let path = absolute(path.as_ref())?;
        Ok(NetcdfFile { group: netcdf_group(&path, "")?, path, name: String::new() })
    }

    /// The group `name` below this one, which may be several steps away: `a/b`.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where there is none, with the names that are nearest.
    pub fn group(&self, name: &str) -> Result<NetcdfFile> {
        let name = self.below(name);
        Ok(NetcdfFile { path: self.path.clone(), group: netcdf_group(&self.path, &name)?, name })
    }

    fn below(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}/{name}", self.name) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The group's path within the file, `""` for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the groups right below it, in order.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.group.groups
    }

    /// The names of the arrays right below it, in the file's order or by name.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        self.group.variables.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The array `name` below it, which may be several steps away: `a/b`.
    ///
    /// # Errors
    /// As [`NetcdfVariable::open`].
    pub fn variable(&self, name: &str) -> Result<NetcdfVariable> {
        NetcdfVariable::open(&self.path, &self.below(name))
    }

    /// What is said of the group; what is neither text nor number is left out.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Json> {
        &self.group.attributes
    }
}

/// An array of a NetCDF or HDF5 file: what the file said when it was opened. Its elements are read by
/// [`read`](Self::read). [`NetcdfFile`] has an example.
#[derive(Clone, PartialEq, Debug)]
pub struct NetcdfVariable {
    path: PathBuf,
    name: String,
    meta: ArrayMeta,
    info: ArrayInfo,
    attributes: Map<String, Json>,
}

impl NetcdfVariable {
    /// The array `variable` of the file at `path`, `group/name` where it is in a group. Needs the feature `netcdf`.
    ///
    /// # Errors
    /// As [`Array::read_netcdf`].
    pub fn open(path: impl AsRef<Path>, variable: &str) -> Result<NetcdfVariable> {
        let path = absolute(path.as_ref())?;
        let reader = ArraySource::netcdf(&path, variable).open()?;
        let missing = || FormatError::Missing { path: path.display().to_string() };
        let info = reader.info().cloned().ok_or_else(missing)?;
        let attributes = info.attributes()?;
        Ok(NetcdfVariable { path, name: variable.to_owned(), meta: reader.meta().clone(), info, attributes })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path within the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.meta.shape
    }

    /// The type of its elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.meta.dtype
    }

    /// The lengths of the stored chunks; its shape where elements lie one after another.
    #[must_use]
    pub fn chunks(&self) -> &[usize] {
        &self.meta.chunks
    }

    /// The axes' names, one each, or none at all: of NetCDF's dimensions, of HDF5's scales and labels.
    #[must_use]
    pub fn axis_names(&self) -> Vec<Option<&str>> {
        self.info.dims.iter().map(Option::as_deref).collect()
    }

    /// The element that was never written; `None` in the classic formats, which have none such.
    #[must_use]
    pub fn fill_value(&self) -> Option<Scalar> {
        self.info.fill_value
    }

    /// What the attributes say is still to be done with the elements, in words: `scale_factor = 0.1`. `None` where they
    /// say nothing.
    #[must_use]
    pub fn packing(&self) -> Option<String> {
        self.info.packed()
    }

    /// What is said of it; what is neither text nor number is left out.
    #[must_use]
    pub fn attributes(&self) -> &Map<String, Json> {
        &self.attributes
    }

    /// Its elements, as they are stored: [`Array::read_netcdf`].
    ///
    /// # Errors
    /// As there.
    pub fn read<A: Element, D: Dimension>(&self) -> Result<Array<A, D>> {
        Array::read_netcdf(&self.path, &self.name)
    }

    /// What its elements stand for: [`Array::read_netcdf_decoded`].
    ///
    /// # Errors
    /// As there.
    pub fn read_decoded<A: Real, D: Dimension>(&self) -> Result<Array<A, D>> {
        Array::read_netcdf_decoded(&self.path, &self.name)
    }
}

#[cfg(all(test, not(feature = "netcdf")))]
mod tests {
    use crate::prelude::*;
    use tilework_expr::{Chunks, DType, Expr, FileKind, FileRef};
    use tilework_plan::Stored;

    #[test]
    fn what_is_left_out_names_the_feature_in_the_program_and_on_workers() {
        let expected = "/a.nc: NetCDF and HDF5 files need the feature `netcdf` of the crate tilework (of a worker, of \
                        tilework-cli), which this program was built without";
        let here = Array1::<f64>::read_netcdf("/a.nc", "t").unwrap_err();
        assert_eq!(here.to_string(), expected);
        // A program that was built with it has planned this.
        let file = FileRef { kind: FileKind::Netcdf, path: "/a.nc".into(), member: "t".into() };
        let read = Expr::read((file, Stored::Rows), &[3], &Chunks::Auto, DType::F64).unwrap();
        let there = Array1::<f64>::of_expr(read).try_compute().unwrap_err().to_string();
        assert!(there.contains(expected), "{there}");
    }
}
