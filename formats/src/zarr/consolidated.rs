//! Consolidated metadata: a group's copy of the documents below it, kept as they are.
//!
//! Owns the two forms: `.zmetadata` of version 2, and within `zarr.json` of version 3. Must not know why a document
//! changed.

use super::metadata::{self, BARE, V2_DOCUMENTS, V3_DOCUMENT};
use super::store::open_file;
use crate::beside;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

const V2_COPIES: &str = ".zmetadata";

/// Brings the copies that the group at `group` has of the nodes on the way to `inner` (`a/b`) up to date, if it has
/// any.
pub(crate) fn update(group: &Path, inner: &str) -> io::Result<()> {
    // One writer at a time: each writes the whole document. Where there are no locks, the last one wins.
    let lock = File::open(group)?;
    let _ = lock.lock();
    let nodes: Vec<&str> =
        inner.char_indices().filter(|&(_, c)| c == '/').map(|(at, _)| &inner[..at]).chain([inner]).collect();
    change(group, V2_COPIES, |document| {
        let copies = document.get_mut("metadata")?.as_object_mut()?;
        for node in &nodes {
            for file in V2_DOCUMENTS {
                put(copies, format!("{node}/{file}"), read(&group.join(node), file));
            }
        }
        Some(())
    })?;
    change(group, V3_DOCUMENT, |document| {
        let copies = document.get_mut("consolidated_metadata")?.get_mut("metadata")?.as_object_mut()?;
        for node in &nodes {
            put(copies, (*node).to_owned(), read(&group.join(node), V3_DOCUMENT));
        }
        Some(())
    })
}

/// Puts a copy of a document there; what cannot be read stays as it is.
fn put(copies: &mut Map<String, Value>, key: String, document: io::Result<Option<Value>>) {
    match document {
        Ok(Some(document)) => copies.insert(key, document),
        Ok(None) => copies.remove(&key),
        Err(_) => None,
    };
}

fn read(dir: &Path, file: &str) -> io::Result<Option<Value>> {
    let Some((mut file, _)) = open_file(&dir.join(file))? else { return Ok(None) };
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(metadata::parse(&text, BARE)?))
}

/// Writes a document again if `f` finds something to change in it.
fn change(dir: &Path, file: &str, f: impl FnOnce(&mut Value) -> Option<()>) -> io::Result<()> {
    let path = dir.join(file);
    // What cannot be understood has no copies that could be found.
    let Ok(Some(before)) = read(dir, file) else { return Ok(()) };
    let mut after = before.clone();
    if f(&mut after).is_none() || after == before {
        return Ok(());
    }
    let (part, written) = beside::create_file(&path)?;
    let placed = fs::write(&part, metadata::text(&after))
        .and_then(|()| beside::keep_attributes(&written, &fs::metadata(&path)?))
        .and_then(|()| fs::rename(&part, &path));
    if placed.is_err() {
        let _ = fs::remove_file(part);
    }
    placed
}
