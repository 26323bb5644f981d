//! Parts of arrays in object stores: the touched chunks are written below a directory of the writer's own, and copied
//! into the array by the store when all of them are there; the new shape is said last.
//!
//! Before the first chunk is copied, what is to be done is written down, by which the next writer finishes it. There are
//! no locks: those who write boxes of whole chunks may be at work at once, all others one at a time.
//!
//! Owns these steps. Must not know which chunks a part touches.

use super::staged::remove;
use super::{Places, of_writer, unfinished};
use crate::FormatError;
use crate::beside::QUIET_MAX;
use crate::objects::Place;
use crate::spec::ZarrVersion;
use crate::zarr::dir::Dir;
use crate::zarr::metadata::{self, Node, array_document};
use crate::zarr::moves::{Moves, set_shape};
use crate::zarr::read::ZarrReader;
use crate::zarr::swap::NEW;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is to be copied, in a writer's directory whose chunks are all there.
const MOVES: &str = "moves";

/// A part that is being written. Dropped before it is placed it leaves the array as it was.
#[derive(Debug)]
pub(crate) struct PartObjects {
    places: Places,
    /// The writer's own directory.
    own: Place,
    version: ZarrVersion,
    is_kept: bool,
}

impl Drop for PartObjects {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left now is removed by a later writer.
            let _ = remove(&self.own);
        }
    }
}

/// Whether a writer's directory says what is to be copied.
pub(crate) fn has_begun(own: &Place) -> Result<bool, FormatError> {
    Ok(own.join(MOVES)?.size()?.is_some())
}

/// Does the copies of a writer that has gone, unless the array is another one by now.
pub(crate) fn resume(own: &Place, array: &Place, name: &str) -> Result<(), FormatError> {
    let failed = |source| FormatError::io(own.url(), source);
    let Some(text) = own.join(MOVES)?.get()? else { return Ok(()) };
    let moves = serde_json::from_slice(&text).map_err(io::Error::from).and_then(|d| Moves::of(&d));
    let moves = moves.map_err(failed)?;
    let Node::Array(now) = Dir::Objects(array.clone()).node(name)? else { return Ok(()) };
    if !moves.are_for(&now) {
        return Ok(());
    }
    let new = own.join(NEW)?;
    let open = |at: &Place| ZarrReader::open(Path::new(at.url()), "");
    let (from, to) = (open(&new)?, open(array)?);
    let there: HashSet<String> = new.list()?.into_iter().map(|object| object.name).collect();
    // Of what has the fill value alone there is no object: its place is cleared.
    let (mut copies, mut cleared) = (Vec::new(), Vec::new());
    for (of_part, of_array) in moves.pairs() {
        let (key, at) = (from.array.chunk_key(&of_part), to.array.chunk_key(&of_array));
        if there.contains(key.as_str()) {
            copies.push((new.join(key.as_str())?, array.join(at.as_str())?));
        } else {
            cleared.push(at.as_str().to_owned());
        }
    }
    Place::copy_many(copies)?;
    array.delete_all(&cleared)?;
    if moves.shape() != to.meta.shape {
        set_shape(&Dir::Objects(array.clone()), now.version, moves.shape()).map_err(failed)?;
    }
    own.join(MOVES)?.delete()
}

impl PartObjects {
    /// Finishes what earlier writers of parts have begun, and removes what they left long ago. What others write now
    /// is left alone.
    pub(crate) fn recover(places: &Places, name: &str) -> Result<(), FormatError> {
        places.check_writable(name)?;
        let array = places.own();
        for own in unfinished(array)? {
            if has_begun(&own)? {
                resume(&own, array, name)?;
                remove(&own)?;
                continue;
            }
            let changed = own.list()?.into_iter().map(|object| object.modified).max();
            let age = changed.and_then(|at| SystemTime::now().duration_since(at).ok());
            if age.is_some_and(|age| age > QUIET_MAX) && !super::staged::is_complete(&own)? {
                remove(&own)?;
            }
        }
        Ok(())
    }

    /// Makes the array of the touched chunks, with this document.
    pub(crate) fn begin(
        places: Places,
        version: ZarrVersion,
        document: &serde_json::Value,
    ) -> Result<PartObjects, FormatError> {
        let own = of_writer(places.own())?;
        let part = PartObjects { places, own, version, is_kept: false };
        part.own.join(NEW)?.join(array_document(version))?.put(metadata::text(document))?;
        Ok(part)
    }

    /// The URL that the touched chunks are written at.
    pub(crate) fn path(&self) -> PathBuf {
        format!("{}/{NEW}", self.own.url()).into()
    }

    /// The array's place.
    pub(crate) fn array(&self) -> &Place {
        self.places.own()
    }

    /// Puts the chunks into the array, and says its shape if that becomes another one.
    pub(crate) fn place(
        &mut self,
        moves: Option<Moves>,
        shape: Option<&Vec<usize>>,
        name: &str,
    ) -> Result<(), FormatError> {
        let array = self.places.own();
        let Some(moves) = moves else {
            let Some(shape) = shape else { return Ok(()) };
            let said = set_shape(&Dir::Objects(array.clone()), self.version, shape);
            return said.map_err(|source| FormatError::io(name, source));
        };
        self.own.join(MOVES)?.put(moves.document().to_string())?;
        resume(&self.own, array, name).map_err(|error| {
            self.is_kept = true;
            let (path, kept) = (name.to_owned(), self.own.url().to_owned());
            FormatError::Interrupted { path, kept, source: io::Error::other(error) }
        })
    }

    pub(crate) fn consolidate(&self) -> io::Result<()> {
        self.places.consolidate()
    }
}
