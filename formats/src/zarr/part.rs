//! Parts of an array that is there: a box of it is written, or what comes behind the end of an axis.
//!
//! What is written are whole stored chunks, or shards: those that the part touches, with the old elements of those at
//! its edges. They are written beside the array, as an array of their own, and moved into it when all of them are
//! there; the new shape is said last. So whoever dies before that leaves the array as it was, and a part may be an
//! expression of the array. Before the first chunk is moved, what is to be done stands in a file of its own, by which
//! the next writer finishes it: each step can be done again.
//!
//! Chunks at the edges have elements of others too. Who writes some has the array for itself until it is done; those who
//! write whole chunks alone do so side by side.
//!
//! In an object store the store copies them, and there are no locks: one writer at a time is what the caller sees to.
//!
//! Owns which chunks a part touches, and their way into the array. Must not know how chunks are encoded, nor where
//! their elements come from.

use super::change::{self, Share};
use super::dir::Dir;
use super::metadata::{self, Documents, Node, array_document};
use super::moves::{Moves, in_words, move_files, without_attributes};
use super::place::{Container, Levels};
use super::read::ZarrReader;
use super::remote::{PartObjects, Places};
use super::store;
use super::swap::NEW;
use crate::spec::ZarrVersion;
use crate::{ArrayMeta, FormatError, region};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::DType;

/// How often a look at the array is tried again that others have changed since.
const LOOKS_MAX: usize = 8;

/// Which part of an array is written.
#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    /// A box of it.
    Region(Vec<Range<usize>>),
    /// Behind the end of an axis, an array of this shape.
    Append(usize, Vec<usize>),
}

/// The whole chunks that a part touches.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Plan {
    /// Their elements, within the array's new shape.
    hull: Vec<Range<usize>>,
    /// The elements that are written.
    written: Vec<Range<usize>>,
    /// The shape that the array will have.
    shape: Vec<usize>,
    /// Whether chunks have elements that are not written.
    has_edges: bool,
}

impl Plan {
    fn of(path: &str, what: &What, meta: &ArrayMeta) -> Result<Plan, FormatError> {
        let mut shape = meta.shape.clone();
        let written = match what {
            What::Region(written) => {
                region::check(path, written, &shape)?;
                written.clone()
            }
            What::Append(axis, appended) => {
                let (axis, path) = (*axis, path.to_owned());
                if axis >= shape.len() {
                    let reason = format!("got axis {axis}, expected one of the {} of the array", shape.len());
                    return Err(FormatError::Invalid { path, reason });
                }
                let mut expected = shape.clone();
                expected[axis] = appended.get(axis).copied().unwrap_or_default();
                if *appended != expected {
                    return Err(FormatError::WrongShape { path, expected, got: appended.clone() });
                }
                let end = shape[axis].saturating_add(appended[axis]);
                let mut written: Vec<_> = shape.iter().map(|&len| 0..len).collect();
                written[axis] = shape[axis]..end;
                shape[axis] = end;
                let lens: Vec<u64> = shape.iter().map(|&len| len as u64).collect();
                region::checked_shape(&path, &lens, meta.dtype.size())?;
                written
            }
        };
        let axes = written.iter().zip(&meta.chunks).zip(&shape);
        let hull: Vec<Range<usize>> = axes
            .map(|((r, &chunk), &len)| match chunk.max(1) {
                _ if r.is_empty() => r.start..r.start,
                chunk => r.start / chunk * chunk..r.end.next_multiple_of(chunk).min(len),
            })
            .collect();
        Ok(Plan { has_edges: hull != written, hull, written, shape })
    }

    fn is_empty(&self) -> bool {
        self.hull.iter().any(Range::is_empty)
    }
}

/// A part of an array that is being written beside it. Dropped without [`finish`](ZarrPart::finish) it leaves the array
/// as it was.
#[derive(Debug)]
pub struct ZarrPart {
    name: String,
    beside: Beside,
    meta: ArrayMeta,
    plan: Plan,
    /// The array's document, less attributes.
    before: Value,
    version: ZarrVersion,
}

/// Where the touched chunks are until they are moved.
#[derive(Debug)]
enum Beside {
    Files {
        levels: Levels,
        container: Container,
        /// Keeps those away who would write the same chunks.
        _lock: File,
    },
    Objects(PartObjects),
}

impl ZarrPart {
    /// Starts writing a box of the array at the path `array` of the store at `root`, which has elements of this type.
    /// Waits for others who write chunks that it shares with them; in an object store, which has no locks, it does not.
    ///
    /// # Errors
    /// Those of [`ArraySource::open`](crate::ArraySource::open); [`FormatError::WrongDType`],
    /// [`FormatError::OutOfBounds`], [`FormatError::Unsupported`] for chunks of unequal lengths,
    /// [`FormatError::Folder`] and [`FormatError::Io`] from the file system.
    pub fn region(
        root: &Path,
        array: &str,
        dtype: DType,
        region: &[Range<usize>],
    ) -> Result<ZarrPart, FormatError> {
        ZarrPart::begin((root, array), dtype, &What::Region(region.to_vec()))
    }

    /// Starts writing an array of this shape behind the end of an axis.
    ///
    /// # Errors
    /// Those of [`ZarrPart::region`]; [`FormatError::WrongShape`] where another axis has another length,
    /// [`FormatError::Invalid`] for an axis that the array does not have, [`FormatError::TooLarge`].
    pub fn append(
        root: &Path,
        array: &str,
        dtype: DType,
        (axis, shape): (usize, &[usize]),
    ) -> Result<ZarrPart, FormatError> {
        ZarrPart::begin((root, array), dtype, &What::Append(axis, shape.to_vec()))
    }

    fn begin((root, array): (&Path, &str), dtype: DType, what: &What) -> Result<ZarrPart, FormatError> {
        let name = store::display_name(root, array);
        if let Some(places) = Places::of(root, array)? {
            PartObjects::recover(&places, &name)?;
            let (plan, meta, documents) = look((root, array), &name, dtype, what)?;
            let document = of_chunks(&documents, &plan);
            let beside = Beside::Objects(PartObjects::begin(places, documents.version, &document)?);
            return Ok(ZarrPart::new(name, beside, (plan, meta, &documents)));
        }
        let dir = store::array_dir(root, array)?;
        if let Node::Nothing = metadata::node(&dir, &name)? {
            // An interrupted write may have left it out of its place.
            Levels::of(root, array, &name)?.recover();
        }
        let levels = Levels::of(root, array, &name)?;
        levels.recover();
        let look = || look((root, array), &name, dtype, what);
        let io = |source| FormatError::Io { path: name.clone(), source };
        let appends = matches!(what, What::Append(..));
        let mut alone = look()?.0.has_edges || appends;
        for _ in 0..LOOKS_MAX {
            let share = if alone { Share::Nobody } else { Share::WholeChunks };
            let lock = change::lock_array(levels.array(), share).map_err(io)?;
            let (plan, meta, documents) = look()?;
            if plan.has_edges && !alone {
                // Others have changed its shape or its chunks meanwhile.
                alone = true;
                continue;
            }
            let container = Container::make(&levels)?;
            let dir = container.at.join(NEW);
            let document = metadata::text(&of_chunks(&documents, &plan));
            let written = fs::create_dir(&dir)
                .and_then(|()| fs::write(dir.join(array_document(documents.version)), document));
            written.map_err(|source| FormatError::Folder { path: dir.display().to_string(), source })?;
            let beside = Beside::Files { levels, container, _lock: lock };
            return Ok(ZarrPart::new(name, beside, (plan, meta, &documents)));
        }
        Err(io(io::ErrorKind::ResourceBusy.into()))
    }

    fn new(name: String, beside: Beside, (plan, meta, documents): (Plan, ArrayMeta, &Documents)) -> ZarrPart {
        let (before, version) = (without_attributes(&documents.array), documents.version);
        ZarrPart { name, beside, meta, plan, before, version }
    }

    /// The directory, or URL, that the touched chunks are written in, a store of its own: at its root an array of the shape of
    /// [`hull`](ZarrPart::hull), of which each chunk must be written once.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.beside {
            Beside::Files { container, .. } => container.at.join(NEW),
            Beside::Objects(objects) => objects.path(),
        }
    }

    /// The array as it is: its chunks are the unit of writing.
    #[must_use]
    pub fn meta(&self) -> &ArrayMeta {
        &self.meta
    }

    /// The version of the format.
    #[must_use]
    pub fn version(&self) -> ZarrVersion {
        self.version
    }

    /// The box of the chunks that are touched. Elements of it that are not [written](ZarrPart::written) are the array's
    /// own.
    #[must_use]
    pub fn hull(&self) -> &[Range<usize>] {
        &self.plan.hull
    }

    /// The box that is written.
    #[must_use]
    pub fn written(&self) -> &[Range<usize>] {
        &self.plan.written
    }

    /// A writer of the chunks that are touched.
    ///
    /// # Errors
    /// [`FormatError::Io`] where they have been removed.
    pub fn writer(&self) -> Result<super::ArrayWriter, FormatError> {
        Ok(super::ArrayWriter::new(ZarrReader::open(&self.path(), "")?))
    }

    /// Puts the chunks into the array, and then says its new shape. Chunks that were not written have the fill value
    /// alone. Whoever reads a box meanwhile may find new chunks beside old ones; what was appended is seen at once.
    ///
    /// # Errors
    /// [`FormatError::Changed`] where another array has taken its place; [`FormatError::Interrupted`] where the chunks
    /// could be moved in part only, which the next write finishes; [`FormatError::Io`] from the file system.
    pub fn finish(mut self) -> Result<(), FormatError> {
        let array = match &self.beside {
            Beside::Files { levels, .. } => Dir::Files(levels.array().to_owned()),
            Beside::Objects(objects) => Dir::Objects(objects.array().clone()),
        };
        let now = match array.node(&self.name)? {
            Node::Array(documents) => without_attributes(&documents.array),
            _ => Value::Null,
        };
        if now != self.before {
            return Err(FormatError::Changed {
                path: self.name.clone(),
                got: in_words(&now),
                expected: in_words(&self.before),
            });
        }
        let moves = (!self.plan.is_empty()).then(|| self.moves());
        let (name, shape) =
            (self.name.clone(), (self.plan.shape != self.meta.shape).then_some(&self.plan.shape));
        let told = match &mut self.beside {
            Beside::Files { levels, container, .. } => {
                move_files((levels.array(), container), moves, shape, self.version, &name)?;
                levels.consolidate()
            }
            Beside::Objects(objects) => {
                objects.place(moves, shape, &name)?;
                objects.consolidate()
            }
        };
        told.map_err(|source| {
            let path = format!("{name}, which is written, but not so in a group's copy of its metadata");
            FormatError::Io { path, source }
        })
    }

    #[cfg(test)]
    pub(super) fn container(&self) -> &Container {
        match &self.beside {
            Beside::Files { container, .. } => container,
            Beside::Objects(_) => unreachable!("it is a part of files"),
        }
    }

    /// What is to be moved: from the array of touched chunks to the array itself.
    pub(super) fn moves(&self) -> Moves {
        let chunks = self.plan.hull.iter().zip(&self.meta.chunks);
        Moves {
            first: chunks.clone().map(|(r, chunk)| r.start / chunk).collect(),
            counts: chunks.map(|(r, chunk)| r.len().div_ceil(*chunk)).collect(),
            before: self.before.clone(),
            shape: self.plan.shape.clone(),
        }
    }
}

/// What is there, and what it becomes by writing a part.
fn look(
    (root, array): (&Path, &str),
    name: &str,
    dtype: DType,
    what: &What,
) -> Result<(Plan, ArrayMeta, Documents), FormatError> {
    let reader = ZarrReader::open(root, array)?;
    if reader.meta.dtype != dtype {
        return Err(FormatError::WrongDType {
            path: name.to_owned(),
            expected: dtype,
            got: reader.meta.dtype,
        });
    }
    let dir = Dir::of(root, array)?;
    let documents = match dir.node(name)? {
        Node::Array(documents) => documents,
        other => return Err(metadata::no_array(&dir, name, &other)),
    };
    check_grid(name, &documents)?;
    let plan = Plan::of(name, what, &reader.meta)?;
    Ok((plan, reader.meta, documents))
}

/// The document of the array of the touched chunks.
fn of_chunks(documents: &Documents, plan: &Plan) -> Value {
    let mut document = documents.array.clone();
    let lens: Vec<usize> = plan.hull.iter().map(Range::len).collect();
    document["shape"] = json!(lens);
    document
}

/// Chunks are found by dividing.
fn check_grid(path: &str, documents: &Documents) -> Result<(), FormatError> {
    let grid = &documents.array["chunk_grid"];
    let name = grid.as_str().or_else(|| grid["name"].as_str());
    if documents.version == ZarrVersion::V2 || name == Some("regular") {
        return Ok(());
    }
    let what = format!("writing a part of an array with a chunk grid `{}`", name.unwrap_or("unknown"));
    Err(FormatError::Unsupported { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::Stored;

    #[test]
    fn a_part_is_of_whole_chunks() {
        let meta = ArrayMeta {
            shape: vec![10, 7],
            dtype: DType::U8,
            chunks: vec![4, 3],
            read_chunks: vec![4, 3],
            stored: Stored::Boxes(vec![4, 3]),
        };
        let plan = |what| Plan::of("x", &what, &meta);
        let region = |r: &[Range<usize>]| plan(What::Region(r.to_vec())).unwrap();
        let edges = region(&[5..6, 2..4]);
        assert_eq!((edges.hull, edges.has_edges), (vec![4..8, 0..6], true));
        // The last chunk ends where the array does.
        let whole = region(&[4..10, 6..7]);
        assert_eq!((whole.hull, whole.has_edges), (vec![4..10, 6..7], false));
        assert!(region(&[5..5, 0..3]).is_empty());
        assert!(plan(What::Region(vec![5..11, 0..1])).is_err());
        let append = |shape: &[usize]| plan(What::Append(0, shape.to_vec()));
        let behind = append(&[3, 7]).unwrap();
        assert_eq!((behind.hull, behind.written), (vec![8..13, 0..7], vec![10..13, 0..7]));
        assert_eq!((behind.shape, behind.has_edges), (vec![13, 7], true));
        assert!(append(&[0, 7]).unwrap().is_empty());
        let error = append(&[3, 8]).unwrap_err().to_string();
        assert_eq!(error, "x: got shape [3, 8], expected [3, 7]");
        let error = plan(What::Append(2, vec![3, 7])).unwrap_err().to_string();
        assert!(error.ends_with("got axis 2, expected one of the 2 of the array"), "{error}");
        assert!(append(&[usize::MAX, 7]).is_err());
    }
}
