//! In the place of `zarr`, in builds without the feature: whoever asks for a Zarr array is told which feature it takes.

use crate::{
    ArrayInfo, ArrayMeta, FormatError, IfExists, ZarrKind, ZarrNode, ZarrSpec, ZarrTarget, ZarrVersion,
};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::DType;
use tilework_plan::Steps;

fn left_out(path: &Path) -> FormatError {
    FormatError::LeftOut { path: path.display().to_string() }
}

/// An array that is open for reading, of which there is none.
#[derive(Debug)]
pub(crate) struct ZarrReader {
    pub(crate) path: String,
    pub(crate) meta: ArrayMeta,
    pub(crate) info: ArrayInfo,
    none: Infallible,
}

impl ZarrReader {
    pub(crate) fn open(root: &Path, _array: &str) -> Result<ZarrReader, FormatError> {
        Err(left_out(root))
    }

    pub(crate) fn read(&self, _region: &[Range<usize>], _out: &mut [u8]) -> Result<(), FormatError> {
        match self.none {}
    }

    pub(crate) fn read_steps(&self, _steps: &[Steps], _out: &mut [u8]) -> Result<(), FormatError> {
        match self.none {}
    }
}

/// An array that is being filled, of which there is none in builds without the feature `zarr`.
#[derive(Debug)]
pub struct ArrayWriter(Infallible);

impl ArrayWriter {
    /// Shape, dtype and chunks of the array.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        match self.0 {}
    }

    /// Writes one chunk.
    ///
    /// # Errors
    /// None: there is no array to write to.
    pub fn write_chunk(&self, _region: &[Range<usize>], _bytes: &[u8]) -> Result<(), FormatError> {
        match self.0 {}
    }
}

/// An array that is being written beside its place, of which there is none in builds without the feature `zarr`.
#[derive(Debug)]
pub struct ZarrStaged(Infallible);

impl ZarrStaged {
    /// The directory that the array is written in.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.0 {}
    }

    /// A writer of its chunks.
    ///
    /// # Errors
    /// None: there is no array to write to.
    pub fn writer(&self) -> Result<ArrayWriter, FormatError> {
        match self.0 {}
    }

    /// Puts the array in its place.
    ///
    /// # Errors
    /// None: there is no array to put.
    pub fn finish(self) -> Result<(), FormatError> {
        match self.0 {}
    }
}

impl ZarrTarget {
    /// Would start writing the array beside its place.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn begin(&self, _spec: &ZarrSpec, _if_exists: IfExists) -> Result<ZarrStaged, FormatError> {
        Err(left_out(&self.path))
    }

    /// Would write the array's metadata.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn create(&self, _spec: &ZarrSpec, _if_exists: IfExists) -> Result<(), FormatError> {
        Err(left_out(&self.path))
    }

    /// Would open the array for writing.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn open(&self) -> Result<ArrayWriter, FormatError> {
        Err(left_out(&self.path))
    }
}

/// A part of an array that is being written, of which there is none in builds without the feature `zarr`.
#[derive(Debug)]
pub struct ZarrPart(Infallible);

impl ZarrPart {
    /// Would start writing a box of an array.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn region(
        root: &Path,
        _array: &str,
        _dtype: DType,
        _region: &[Range<usize>],
    ) -> Result<ZarrPart, FormatError> {
        Err(left_out(root))
    }

    /// Would start writing behind the end of an axis.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn append(
        root: &Path,
        _array: &str,
        _dtype: DType,
        _appended: (usize, &[usize]),
    ) -> Result<ZarrPart, FormatError> {
        Err(left_out(root))
    }

    /// The directory that chunks are written in.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.0 {}
    }

    /// The array as it is.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        match self.0 {}
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> ZarrVersion {
        match self.0 {}
    }

    /// The box of the chunks that are touched.
    #[must_use]
    pub fn hull(&self) -> &[Range<usize>] {
        match self.0 {}
    }

    /// The box that is written.
    #[must_use]
    pub fn written(&self) -> &[Range<usize>] {
        match self.0 {}
    }

    /// A writer of chunks.
    ///
    /// # Errors
    /// None: there is no array to write to.
    pub fn writer(&self) -> Result<ArrayWriter, FormatError> {
        match self.0 {}
    }

    /// Puts the chunks into the array.
    ///
    /// # Errors
    /// None: there is no array.
    pub fn finish(self) -> Result<(), FormatError> {
        match self.0 {}
    }
}

impl ZarrNode {
    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(&self.inner).display().to_string()
    }

    /// Would say what it is.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn kind(&self) -> Result<(ZarrKind, ZarrVersion), FormatError> {
        Err(left_out(&self.path))
    }

    /// Would list the nodes below.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn members(&self) -> Result<Vec<(String, ZarrKind)>, FormatError> {
        Err(left_out(&self.path))
    }

    /// Would make a group.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn create_group(
        &self,
        _version: ZarrVersion,
        _attributes: &Map<String, Value>,
    ) -> Result<(), FormatError> {
        Err(left_out(&self.path))
    }

    /// Would say what is said of it.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn attributes(&self) -> Result<Map<String, Value>, FormatError> {
        Err(left_out(&self.path))
    }

    /// Would change what is said of it.
    ///
    /// # Errors
    /// [`FormatError::LeftOut`].
    pub fn change_attributes(&self, _f: impl FnMut(&mut Map<String, Value>)) -> Result<(), FormatError> {
        Err(left_out(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use crate::{ArraySource, IfExists, ZarrSpec, ZarrTarget, ZarrVersion};
    use tilework_expr::DType;

    #[test]
    fn what_is_left_out_names_the_feature_that_it_takes() {
        let target = ZarrTarget { path: "a.zarr".into(), array: "x".into(), version: ZarrVersion::V3 };
        for error in [
            ArraySource::zarr("a.zarr", "x").open().unwrap_err(),
            target.begin(&ZarrSpec::new(&[4], DType::U8, &[2]), IfExists::Fail).unwrap_err(),
            target.create(&ZarrSpec::new(&[4], DType::U8, &[2]), IfExists::Fail).unwrap_err(),
            target.open().unwrap_err(),
        ] {
            let expected = "a.zarr: Zarr stores need the feature `zarr` of the crate tilework, which this program was \
                            built without";
            assert_eq!(error.to_string(), expected);
        }
    }
}
