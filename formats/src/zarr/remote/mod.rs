//! Zarr in object stores: there are no directories, no renames and no locks.
//!
//! A document, and a chunk, is one object, which is replaced whole. So an array comes into being with its document,
//! which is written after its chunks; one that takes the place of another is written beside it and copied there, by
//! the store itself, while neither has a document. Documents are changed if they are still what was read.
//!
//! Owns all that differs from files. Must not know URLs, nor how requests are sent.

pub(crate) mod ahead;
mod chunks;
mod levels;
mod members;
mod part;
mod staged;

pub(crate) use chunks::{Objects, Sharding};
pub(crate) use levels::Places;
pub(crate) use members::members;
pub(crate) use part::PartObjects;
pub(crate) use staged::StagedObjects;

use super::metadata::{self, BARE, DOCUMENT_BYTES_MAX};
use crate::objects::Place;
use crate::{FormatError, beside};
use serde_json::Value;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// One document as it is to be written again, with the numbers that are none marked as [`metadata::text`] wants them.
pub(crate) fn read_marked(dir: &Place, file: &str) -> io::Result<Option<Value>> {
    let text = dir.join(file).and_then(|at| at.get_at_most(DOCUMENT_BYTES_MAX)).map_err(io::Error::other)?;
    Ok(text.map(|text| metadata::parse(&text, BARE)).transpose()?)
}

/// Writes a document again if `f` changes it, as the one of files does. Another one's change in between is not lost:
/// `f` is asked again.
pub(crate) fn change<E: From<io::Error>>(
    dir: &Place,
    file: &str,
    mut f: impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    let at = dir.join(file).map_err(io::Error::other)?;
    loop {
        let found = at.get_version().map_err(io::Error::other)?;
        let text = found.as_ref().map(|(text, _)| metadata::parse(text, BARE).map_err(io::Error::from));
        let before = text.transpose()?.unwrap_or_default();
        let mut after = before.clone();
        f(&mut after)?;
        if after == before {
            return Ok(());
        }
        let text = metadata::text(&after);
        let written = match found {
            Some((_, version)) => at.put_version(text, version),
            None => at.put_new(text),
        };
        if written.map_err(io::Error::other)? {
            return Ok(());
        }
    }
}

/// In it are the directories of those who write an array, apart from its chunks: these may be many, and are not listed.
const WRITERS: &str = ".tilework";

/// The directories of those who write the array at a place, or have left it unfinished.
pub(crate) fn unfinished(array: &Place) -> Result<Vec<Place>, FormatError> {
    let writers = array.join(WRITERS)?;
    writers.list_dirs()?.dirs.iter().map(|name| writers.join(name)).collect()
}

/// A directory for somebody who writes the array at a place.
fn of_writer(array: &Place) -> Result<Place, FormatError> {
    let name = array.url().rsplit('/').next().unwrap_or_default();
    array.join(WRITERS)?.join(&beside::fresh(OsStr::new(name)).to_string_lossy())
}

/// The URL of the array whose writer's directory an URL is, or leads into; and whether it is that itself.
pub(crate) fn array_of(url: &Path) -> Option<(PathBuf, bool)> {
    let own = beside::unfinished(url)?;
    // The same path, which as a part of the URL still is one.
    let own = url.ancestors().find(|at| *at == own)?;
    Some((own.parent()?.parent()?.to_owned(), own == url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_urls_lead_back_to_the_array() {
        let own = "s3://bucket/s.zarr/x/.tilework/.x.tilework-host-1";
        for (url, is_own) in [(own.to_owned(), true), (format!("{own}/new"), false)] {
            let (array, own) = array_of(Path::new(&url)).unwrap();
            assert_eq!((array.to_str().unwrap(), own), ("s3://bucket/s.zarr/x", is_own));
        }
        assert_eq!(array_of(Path::new("s3://bucket/s.zarr/x")), None);
    }
}
