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
use std::io;
use std::path::Path;

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

/// The names of what writers have left, or write, right below a place.
pub(crate) fn unfinished(place: &Place) -> Result<Vec<String>, FormatError> {
    let mut dirs = place.list_dirs()?.dirs;
    dirs.retain(|name| beside::unfinished(Path::new(name)).is_some());
    Ok(dirs)
}
