//! Arrays that are being written, into files or objects.
//!
//! Must not know how either takes its place.

use super::ArrayWriter;
use super::place::StagedFiles;
use super::remote::StagedObjects;
use crate::FormatError;
use std::path::PathBuf;

/// An array that is being written beside its place, or, into an object store where there is none, without a document.
/// Dropped without [`finish`](ZarrStaged::finish) it leaves what was there.
#[derive(Debug)]
pub struct ZarrStaged(pub(super) Staged);

#[derive(Debug)]
pub(super) enum Staged {
    Files(StagedFiles),
    Objects(StagedObjects),
}

impl ZarrStaged {
    /// The directory, or URL, that the array is written in, a store of its own with the array at its root, for whoever
    /// writes chunks of it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.0 {
            Staged::Files(files) => files.path(),
            Staged::Objects(objects) => objects.path(),
        }
    }

    /// A writer of its chunks.
    ///
    /// # Errors
    /// [`FormatError::Io`] where it has been removed, those of requests to an object store.
    pub fn writer(&self) -> Result<ArrayWriter, FormatError> {
        match &self.0 {
            Staged::Files(files) => files.writer(),
            Staged::Objects(objects) => objects.writer(),
        }
    }

    /// Puts the array in its place: a reader finds what was there before or the whole new array; of an object store, for
    /// a moment, none where one is replaced. Chunks that were not written are zero.
    ///
    /// # Errors
    /// [`FormatError::Exists`] where something has come there that is not to be replaced, [`FormatError::Interrupted`]
    /// where the array could be moved in part only, [`FormatError::Io`] from the file system, those of requests to an
    /// object store.
    pub fn finish(self) -> Result<(), FormatError> {
        match self.0 {
            Staged::Files(files) => files.finish(),
            Staged::Objects(objects) => objects.finish(),
        }
    }
}
