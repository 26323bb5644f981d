//! Where the documents of a node lie: in a directory, or in objects whose names begin alike.
//!
//! Owns reading them in either. Must not know what they say, nor how they are written.

use super::change;
use super::metadata::{self, DOCUMENT_BYTES_MAX, FILES, Node};
use super::remote;
use super::store;
use crate::objects::{self, Part, Place};
use crate::{FormatError, beside};
use bytes::Bytes;
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a node, or what stands for one.
#[derive(Clone, Debug)]
pub(crate) enum Dir {
    Files(PathBuf),
    Objects(Place),
}

impl Dir {
    /// Of the node at the path `inner` of a store.
    pub(crate) fn of(root: &Path, inner: &str) -> Result<Dir, FormatError> {
        let Some(url) = objects::url_of(root) else { return Ok(Dir::Files(store::array_dir(root, inner)?)) };
        store::check_parts(root, inner)?;
        let names: Vec<&str> = store::parts(inner).collect();
        Ok(Dir::Objects(Place::open(url)?.join(&names.join("/"))?))
    }

    /// What it is; `name` is what errors call it.
    pub(crate) fn node(&self, name: &str) -> Result<Node, FormatError> {
        match self {
            Dir::Files(dir) => metadata::node(dir, name),
            Dir::Objects(place) => node_at(place, name),
        }
    }

    /// One document of it, `None` where there is none.
    pub(crate) fn read(&self, file: &str, name: &str) -> Result<Option<Value>, FormatError> {
        match self {
            Dir::Files(dir) => metadata::read(dir, file, name),
            Dir::Objects(place) => {
                let text = place.join(file)?.get_at_most(DOCUMENT_BYTES_MAX)?;
                text.map(|text| metadata::document(&text, file, name)).transpose()
            }
        }
    }

    /// One document as it is to be written again, with the numbers that are none marked as [`metadata::text`] wants them.
    pub(crate) fn read_marked(&self, file: &str) -> io::Result<Option<Value>> {
        match self {
            Dir::Files(dir) => change::read(dir, file),
            Dir::Objects(place) => remote::read_marked(place, file),
        }
    }

    /// Writes a document again if `f` changes it. What cannot be read is an error, and left as it is; [`Value::Null`] is
    /// what `f` gets where there is none.
    pub(crate) fn change<E: From<io::Error>>(
        &self,
        file: &str,
        f: impl FnMut(&mut Value) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Dir::Files(dir) => change::change(dir, file, f),
            Dir::Objects(place) => remote::change(place, file, f),
        }
    }

    /// The directory `name` in it, which may be several steps away.
    pub(crate) fn join(&self, name: &str) -> Result<Dir, FormatError> {
        Ok(match self {
            Dir::Files(dir) if name.is_empty() => Dir::Files(dir.clone()),
            Dir::Files(dir) => Dir::Files(dir.join(name)),
            Dir::Objects(place) => Dir::Objects(place.join(name)?),
        })
    }

    /// What a writer has left here, or is still writing.
    pub(crate) fn left_behind(&self) -> Option<String> {
        match self {
            Dir::Files(dir) => {
                let name = dir.file_name()?;
                let within = [Some(dir.as_path()), dir.parent()].into_iter().flatten();
                let left = within.flat_map(|within| beside::written_beside(within, name)).next();
                left.map(|at| at.display().to_string())
            }
            Dir::Objects(place) => {
                let left = remote::unfinished(place).ok()?.into_iter().next()?;
                Some(left.url().to_owned())
            }
        }
    }

    /// The names of the directories right in it that may be nodes.
    pub(crate) fn below(&self) -> Result<Vec<String>, FormatError> {
        let mut names = match self {
            Dir::Files(dir) => {
                let io = |source| FormatError::Io { path: dir.display().to_string(), source };
                let mut names = Vec::new();
                for entry in fs::read_dir(dir).map_err(io)? {
                    let entry = entry.map_err(io)?;
                    // A name that is no text is none of Zarr's.
                    if let Ok(name) = entry.file_name().into_string()
                        && entry.path().is_dir()
                    {
                        names.push(name);
                    }
                }
                names
            }
            Dir::Objects(place) => place.list_dirs()?.dirs,
        };
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }
}

/// What the objects below a place are.
fn node_at(place: &Place, name: &str) -> Result<Node, FormatError> {
    let node = nodes_at(std::slice::from_ref(place), name)?.pop();
    node.expect("one for each place")
}

/// What the objects below some places are: all documents are asked for at once. Where a store does not say which objects
/// there are not, what it refuses is not there if there is something else.
pub(crate) fn nodes_at(places: &[Place], name: &str) -> Result<Vec<Result<Node, FormatError>>, FormatError> {
    let documents = places.iter().flat_map(|place| FILES.iter().map(|file| place.join(file)));
    let wanted = documents.map(|at| Ok((at?, Part::Whole))).collect::<Result<Vec<_>, FormatError>>()?;
    let mut got = Place::get_many(wanted, DOCUMENT_BYTES_MAX).into_iter();
    Ok(places.iter().map(|_| node_of(got.by_ref().take(FILES.len()), name)).collect())
}

fn node_of(
    got: impl Iterator<Item = Result<Option<Bytes>, FormatError>>,
    name: &str,
) -> Result<Node, FormatError> {
    let (mut texts, mut refused) = (Vec::new(), None);
    for got in got {
        texts.push(got.unwrap_or_else(|error| {
            refused.get_or_insert(error);
            None
        }));
    }
    let node = metadata::node_of(|at| {
        let text = texts.get(at).and_then(Option::as_ref);
        text.map(|text| metadata::document(text, FILES[at], name)).transpose()
    })?;
    match (&node, refused) {
        (Node::Array(_) | Node::Group(_), Some(FormatError::Denied { .. })) | (_, None) => Ok(node),
        (_, Some(error)) => Err(error),
    }
}
