//! An array that is being written into an object store.
//!
//! Where nothing is, its chunks are written at their names, and its document into a directory of the writer's own,
//! `.tilework/.NAME.tilework-HOST-ID`, below them; the document's own place is taken last. Where an array is, all of the new one
//! is written into that directory. When it is complete, a mark says so, the old document and chunks are removed, the
//! new ones copied by the store, and the document last. Who finds the mark finishes the work; who finds no mark, and no
//! array, removes what is there. There are no locks: one writer at a time is what the caller sees to.
//!
//! Owns these steps. Must not know how chunks are encoded.

use super::{Places, of_writer, part, unfinished};
use crate::FormatError;
use crate::objects::Place;
use crate::spec::{IfExists, ZarrVersion};
use crate::zarr::ArrayWriter;
use crate::zarr::dir::Dir;
use crate::zarr::metadata::{self, Documents, Node, V2_DOCUMENTS, V3_DOCUMENT, array_document};
use crate::zarr::read::ZarrReader;
use crate::zarr::swap::{NEW, is_chunk_name};
use std::path::PathBuf;

/// Exists from when all of a new array is there until it is in its place.
const COMPLETE: &str = "complete";

/// An array that is being written. Dropped without [`finish`](StagedObjects::finish) it leaves what was there.
#[derive(Debug)]
pub(crate) struct StagedObjects {
    name: String,
    places: Places,
    version: ZarrVersion,
    if_exists: IfExists,
    /// The writer's own directory.
    own: Place,
    /// Whether chunks are written at their names.
    is_direct: bool,
    is_done: bool,
}

impl Drop for StagedObjects {
    fn drop(&mut self) {
        if !self.is_done {
            // What is left now is removed by the next writer.
            let _ = self.give_up();
        }
    }
}

/// Finishes or removes what earlier writers of the array at a place have left, and says whether the array is another
/// one now.
fn recover(array: &Place, name: &str) -> Result<bool, FormatError> {
    let mut changed = false;
    for own in unfinished(array)? {
        if part::has_begun(&own)? {
            part::resume(&own, array, name)?;
            changed = true;
        }
        // Else it is in its place, or another one is, or the old one had not been touched.
        if is_complete(&own)?
            && let Node::Nothing = Dir::Objects(array.clone()).node(name)?
        {
            put_in_place(&own, array)?;
            changed = true;
        }
        remove(&own)?;
    }
    Ok(changed)
}

/// Whether a writer's directory has all of a new array.
pub(super) fn is_complete(own: &Place) -> Result<bool, FormatError> {
    Ok(own.join(COMPLETE)?.size()?.is_some())
}

/// Removes the chunks of an array at a place that has no document.
fn remove_chunks(array: &Place) -> Result<(), FormatError> {
    let names = array.list()?.into_iter().map(|object| object.name);
    array.delete_all(&names.filter(|name| is_chunk_name(name)).collect::<Vec<_>>())
}

/// Removes all that lies below a place; the mark first, so that nobody takes the rest for an array.
pub(super) fn remove(own: &Place) -> Result<(), FormatError> {
    own.join(COMPLETE)?.delete()?;
    let names: Vec<String> = own.list()?.into_iter().map(|object| object.name).collect();
    own.delete_all(&names)
}

/// Puts the array of a writer's directory into its place, from whatever step an earlier call came to.
fn put_in_place(own: &Place, array: &Place) -> Result<(), FormatError> {
    let new = own.join(NEW)?;
    // What makes it an array goes first, and comes last.
    let documents = || V2_DOCUMENTS.iter().chain([&V3_DOCUMENT]).copied();
    for document in documents().rev() {
        array.join(document)?.delete()?;
    }
    remove_chunks(array)?;
    let pair = |name: &str| Ok((new.join(name)?, array.join(name)?));
    let names: Vec<String> = new.list()?.into_iter().map(|object| object.name).collect();
    let (said, chunks): (Vec<_>, Vec<_>) = names.iter().partition(|name| documents().any(|d| **name == d));
    Place::copy_many(chunks.iter().map(|name| pair(name)).collect::<Result<_, FormatError>>()?)?;
    for document in documents().filter(|document| said.iter().any(|name| name == document)) {
        Place::copy_many(vec![pair(document)?])?;
    }
    Ok(())
}

impl StagedObjects {
    /// What is there, after what earlier writers have left is finished or removed.
    pub(crate) fn look(places: &Places, version: ZarrVersion, name: &str) -> Result<Node, FormatError> {
        places.check_writable(name)?;
        if recover(places.own(), name)? {
            // It is written again when the array is.
            let _ = places.consolidate();
        }
        places.check_above(version, name)
    }

    pub(crate) fn begin(
        (name, places): (String, Places),
        documents: &Documents,
        if_exists: IfExists,
        there: &Node,
    ) -> Result<StagedObjects, FormatError> {
        let array = places.own();
        let is_direct = matches!(there, Node::Nothing);
        if is_direct {
            remove_chunks(array)?;
        }
        let own = of_writer(array)?;
        let version = documents.version;
        let staged = StagedObjects { name, places, version, if_exists, own, is_direct, is_done: false };
        let at = staged.documents()?;
        at.join(array_document(version))?.put(metadata::text(&documents.array))?;
        if let Some(attributes) = &documents.attributes {
            at.join(V2_DOCUMENTS[0])?.put(metadata::text(attributes))?;
        }
        Ok(staged)
    }

    /// Where the documents lie until the array is in its place.
    fn documents(&self) -> Result<Place, FormatError> {
        if self.is_direct { Ok(self.own.clone()) } else { self.own.join(NEW) }
    }

    /// The URL that the array is written at.
    pub(crate) fn path(&self) -> PathBuf {
        let url = self.own.url();
        if self.is_direct { url.into() } else { format!("{url}/{NEW}").into() }
    }

    pub(crate) fn writer(&self) -> Result<ArrayWriter, FormatError> {
        Ok(ArrayWriter::new(ZarrReader::open(&self.path(), "")?))
    }

    pub(crate) fn finish(mut self) -> Result<(), FormatError> {
        self.places.make_groups(self.version, &self.name)?;
        if self.is_direct {
            self.place_documents()?
        } else {
            self.replace()?
        }
        self.is_done = true;
        // What cannot be removed is removed by the next writer.
        let _ = remove(&self.own);
        self.places.consolidate().map_err(|source| {
            let path =
                format!("{}, which is in its place, but not so in a group's copy of its metadata", self.name);
            match FormatError::io(&path, source) {
                FormatError::Io { source, .. } => FormatError::Io { path, source },
                other => other,
            }
        })
    }

    /// Makes an array of the chunks that are in their places.
    fn place_documents(&mut self) -> Result<(), FormatError> {
        let array = self.places.own();
        let from = self.documents()?;
        if self.version == ZarrVersion::V2 {
            // Another writer's may be there, which came no further.
            match from.join(V2_DOCUMENTS[0])?.get()? {
                Some(text) => array.join(V2_DOCUMENTS[0])?.put(text)?,
                None => array.join(V2_DOCUMENTS[0])?.delete()?,
            }
        }
        let document = array_document(self.version);
        let gone = || FormatError::Missing { path: from.url().to_owned() };
        let text = from.join(document)?.get()?.ok_or_else(gone)?;
        if array.join(document)?.put_new(text)? {
            return Ok(());
        }
        // Its chunks may be anybody's: they are left alone.
        self.is_done = true;
        let _ = remove(&self.own);
        let reason = "a node, which has come meanwhile: two writers were at work at once".to_owned();
        Err(FormatError::Exists { path: self.name.clone(), reason })
    }

    /// Puts the array in the place of the one that is there.
    fn replace(&mut self) -> Result<(), FormatError> {
        let array = self.places.own().clone();
        match (Dir::Objects(array.clone()).node(&self.name)?, self.if_exists) {
            (Node::Group(_), _) => {
                let reason = "a group, which is never replaced by an array".to_owned();
                return Err(FormatError::Exists { path: self.name.clone(), reason });
            }
            (Node::Array(_), IfExists::Fail) => {
                let reason = "an array, which has come meanwhile and was not to be replaced".to_owned();
                return Err(FormatError::Exists { path: self.name.clone(), reason });
            }
            _ => {}
        }
        self.own.join(COMPLETE)?.put(self.name.clone())?;
        // From here on it is all that there is of the array.
        self.is_done = true;
        put_in_place(&self.own, &array)
    }

    /// Removes what was written.
    fn give_up(&self) -> Result<(), FormatError> {
        if self.is_direct
            && let Node::Nothing = Dir::Objects(self.places.own().clone()).node(&self.name)?
        {
            remove_chunks(self.places.own())?;
        }
        remove(&self.own)
    }
}
