//! The groups on the way to a node in an object store, and their documents.
//!
//! Owns what is written above a node. Must not know chunks.

use crate::FormatError;
use crate::objects::{self, Place};
use crate::spec::ZarrVersion;
use crate::zarr::consolidated;
use crate::zarr::dir::Dir;
use crate::zarr::metadata::{self, Node};
use crate::zarr::place::group_document;
use crate::zarr::store;
use std::io;
use std::path::Path;

/// The places that lead to a node.
#[derive(Debug)]
pub(crate) struct Places {
    /// From the store's own to the node's.
    places: Vec<Place>,
    /// The node's name in each of the places above it: of `a/b` in the store's `a/b`, in the next one `b`.
    below: Vec<String>,
}

impl Places {
    /// Of the node at the path `inner` in the store at `root`; `None` where that is a path of files.
    pub(crate) fn of(root: &Path, inner: &str) -> Result<Option<Places>, FormatError> {
        let Some(url) = objects::url_of(root) else { return Ok(None) };
        let store = Place::open(url)?;
        let names: Vec<&str> = store::parts(inner).collect();
        let at = |level: usize| store.join(&names[..level].join("/"));
        let places = (0..=names.len()).map(at).collect::<Result<Vec<_>, _>>()?;
        let below = (0..names.len()).map(|level| names[level..].join("/")).collect();
        Ok(Some(Places { places, below }))
    }

    /// The node's own place.
    pub(crate) fn own(&self) -> &Place {
        self.places.last().expect("the store's place is one")
    }

    /// Those of the groups above.
    fn above(&self) -> &[Place] {
        &self.places[..self.places.len() - 1]
    }

    /// Checks that the store is written to at all.
    pub(crate) fn check_writable(&self, name: &str) -> Result<(), FormatError> {
        if self.own().can_write() { Ok(()) } else { Err(FormatError::read_only(name)) }
    }

    /// Checks that there are groups of one version above the node, or nothing; says what is in its own place.
    pub(crate) fn check_above(&self, version: ZarrVersion, name: &str) -> Result<Node, FormatError> {
        for (place, below) in self.above().iter().zip(&self.below) {
            let exists = |what: String| {
                let reason = format!("`{}` above `{below}` is {what}", place.url());
                Err(FormatError::Exists { path: name.to_owned(), reason })
            };
            match Dir::Objects(place.clone()).node(name)? {
                Node::Array(_) => return exists("an array, expected a group".to_owned()),
                Node::Group(of) if of != version => {
                    return exists(format!("of another zarr version, expected {version:?}"));
                }
                Node::Group(_) | Node::Nothing => {}
            }
        }
        Dir::Objects(self.own().clone()).node(name)
    }

    /// Makes groups of the places above the node that are nothing yet.
    pub(crate) fn make_groups(&self, version: ZarrVersion, name: &str) -> Result<(), FormatError> {
        let (file, document) = group_document(version);
        for place in self.above() {
            if let Node::Nothing = Dir::Objects(place.clone()).node(name)? {
                // Who has been faster has made the same one.
                let _ = place.join(file)?.put_new(metadata::text(&document))?;
            }
        }
        Ok(())
    }

    /// Tells the groups above that hold copies of what is below them.
    pub(crate) fn consolidate(&self) -> io::Result<()> {
        for (place, below) in self.above().iter().zip(&self.below) {
            consolidated::update(&Dir::Objects(place.clone()), below)?;
        }
        Ok(())
    }
}
