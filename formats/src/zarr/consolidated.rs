//! Consolidated metadata: a group's copy of the documents below it, kept as they are.
//!
//! Owns the two forms: `.zmetadata` of version 2, and within `zarr.json` of version 3. Must not know why a document
//! changed.

use super::dir::Dir;
use super::metadata::{V2_DOCUMENTS, V3_DOCUMENT};
use serde_json::{Map, Value};
use std::fs::File;
use std::io;

/// The document of version 2 that has copies of others.
pub(crate) const V2_COPIES: &str = ".zmetadata";

/// Brings the copies that the group at `group` has of the nodes on the way to `inner` (`a/b`, or `""` for the group's
/// own) up to date, if it has any.
pub(crate) fn update(group: &Dir, inner: &str) -> io::Result<()> {
    // One writer at a time: a copy that is read before another one's change must not be written after it.
    let lock = if let Dir::Files(dir) = group { Some(File::open(dir)?) } else { None };
    let _ = lock.as_ref().map(File::lock);
    let read = |node: &str, file: &str| group.join(node).map_err(io::Error::other)?.read_marked(file);
    let nodes: Vec<&str> =
        inner.char_indices().filter(|&(_, c)| c == '/').map(|(at, _)| &inner[..at]).chain([inner]).collect();
    update_document(group, V2_COPIES, |document| {
        let copies = document.get_mut("metadata")?.as_object_mut()?;
        for node in &nodes {
            for file in V2_DOCUMENTS {
                let key = if node.is_empty() { file.to_owned() } else { format!("{node}/{file}") };
                put(copies, key, read(node, file));
            }
        }
        Some(())
    })?;
    update_document(group, V3_DOCUMENT, |document| {
        let copies = document.get_mut("consolidated_metadata")?.get_mut("metadata")?.as_object_mut()?;
        // Its own attributes stand beside the copies.
        for node in nodes.iter().filter(|node| !node.is_empty()) {
            put(copies, (*node).to_owned(), read(node, V3_DOCUMENT));
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

/// Writes a document again if `f` finds copies in it to change.
fn update_document(dir: &Dir, file: &str, f: impl Fn(&mut Value) -> Option<()>) -> io::Result<()> {
    // What cannot be understood has no copies that could be found.
    let Ok(Some(_)) = dir.read_marked(file) else { return Ok(()) };
    dir.change(file, |document| {
        // Where it finds none it has changed nothing.
        let _ = f(document);
        Ok(())
    })
}
