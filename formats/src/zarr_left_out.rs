//! In the place of `zarr`, in builds without the feature: whoever asks for a Zarr array is told which feature it takes.

use crate::{ArrayMeta, FormatError, IfExists, ZarrSpec, ZarrTarget};
use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;

fn left_out(path: &Path) -> FormatError {
    FormatError::LeftOut { path: path.display().to_string() }
}

/// An array that is open for reading, of which there is none.
#[derive(Debug)]
pub(crate) struct ZarrReader {
    pub(crate) path: String,
    pub(crate) meta: ArrayMeta,
    none: Infallible,
}

impl ZarrReader {
    pub(crate) fn open(root: &Path, _array: &str) -> Result<ZarrReader, FormatError> {
        Err(left_out(root))
    }

    pub(crate) fn read(&self, _region: &[Range<usize>], _out: &mut [u8]) -> Result<(), FormatError> {
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

impl ZarrTarget {
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
