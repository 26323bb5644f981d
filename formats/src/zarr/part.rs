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
//! Owns which chunks a part touches, and their way into the array. Must not know how chunks are encoded, nor where
//! their elements come from.

use super::change::{self, Share, change};
use super::dir::Dir;
use super::metadata::{self, Documents, Node, array_document};
use super::place::{Container, Levels};
use super::read::ZarrReader;
use super::store::{self, PARTS};
use super::swap::NEW;
use crate::objects::{self, Place};
use crate::spec::ZarrVersion;
use crate::{ArrayMeta, FormatError, beside, region};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::DType;
use tilework_plan::{ChunkIdx, Grid};

/// What is to be moved, in a container whose chunks are all there.
const MOVES: &str = "moves";
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
    levels: Levels,
    container: Container,
    meta: ArrayMeta,
    plan: Plan,
    /// The array's document, less attributes.
    before: Value,
    version: ZarrVersion,
    /// Keeps those away who would write the same chunks.
    _lock: File,
}

impl ZarrPart {
    /// Starts writing a box of the array at the path `array` of the store at `root`, which has elements of this type.
    /// Waits for others who write chunks that it shares with them.
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
        if let Some(url) = objects::url_of(root) {
            Place::open(url)?;
            let what = "appending to arrays in object stores and writing boxes of them, for there are no locks and no \
                        renames; write the whole array in place of it";
            return Err(FormatError::Unsupported { path: name, what: what.to_owned() });
        }
        let dir = store::array_dir(root, array)?;
        if let Node::Nothing = metadata::node(&dir, &name)? {
            // An interrupted write may have left it out of its place.
            Levels::of(root, array, &name)?.recover();
        }
        let levels = Levels::of(root, array, &name)?;
        levels.recover();
        let look = || -> Result<_, FormatError> {
            let reader = ZarrReader::open(root, array)?;
            if reader.meta.dtype != dtype {
                return Err(FormatError::WrongDType {
                    path: name.clone(),
                    expected: dtype,
                    got: reader.meta.dtype,
                });
            }
            let documents = match metadata::node(levels.array(), &name)? {
                Node::Array(documents) => documents,
                other => {
                    let dir = Dir::Files(levels.array().to_owned());
                    return Err(metadata::no_array(&dir, &name, &other));
                }
            };
            check_grid(&name, &documents)?;
            let plan = Plan::of(&name, what, &reader.meta)?;
            Ok((plan, reader.meta, documents))
        };
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
            let version = documents.version;
            let before = without_attributes(&documents.array);
            let part = ZarrPart { name, levels, container, meta, plan, before, version, _lock: lock };
            part.prepare(&documents)
                .map_err(|source| FormatError::Folder { path: part.path().display().to_string(), source })?;
            return Ok(part);
        }
        Err(io(io::ErrorKind::ResourceBusy.into()))
    }

    /// Makes the array of the chunks that are touched.
    fn prepare(&self, documents: &Documents) -> io::Result<()> {
        let dir = self.path();
        fs::create_dir(&dir)?;
        let mut document = documents.array.clone();
        let lens: Vec<usize> = self.plan.hull.iter().map(Range::len).collect();
        document["shape"] = json!(lens);
        fs::write(dir.join(array_document(self.version)), metadata::text(&document))
    }

    /// The directory that the touched chunks are written in, a store of its own: at its root an array of the shape of
    /// [`hull`](ZarrPart::hull), of which each chunk must be written once.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.container.at.join(NEW)
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
        let io = |source| FormatError::Io { path: self.name.clone(), source };
        let target = self.levels.array().to_owned();
        let now = match metadata::node(&target, &self.name)? {
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
        if !self.plan.is_empty() {
            self.say_moves(&target).map_err(io)?;
            if let Err(source) = resume(&self.container.at, &target) {
                self.container.is_kept = true;
                let (path, kept) = (self.name.clone(), self.container.at.display().to_string());
                return Err(FormatError::Interrupted { path, kept, source });
            }
        } else if self.plan.shape != self.meta.shape {
            set_shape(&target, self.version, &self.plan.shape).map_err(io)?;
        }
        self.levels.consolidate().map_err(|source| {
            let path =
                format!("{}, which is written, but not so in a group's copy of its metadata", self.name);
            FormatError::Io { path, source }
        })
    }

    /// Writes down what is to be moved, with all chunks on the disk.
    fn say_moves(&self, target: &Path) -> io::Result<()> {
        let new = open(&self.path())?;
        let old = open(target)?;
        let chunks = self.plan.hull.iter().zip(&self.meta.chunks);
        let first: Vec<usize> = chunks.clone().map(|(r, chunk)| r.start / chunk).collect();
        let counts: Vec<usize> = chunks.map(|(r, chunk)| r.len().div_ceil(*chunk)).collect();
        // Of what has the fill value alone there is no file: its place is cleared.
        let mut cleared = Vec::new();
        for (number, index) in indices(&counts).enumerate() {
            let file = new.array.storage().files().path(&new.array.chunk_key(&index));
            if !file.exists()
                && old.array.storage().files().path(&old.array.chunk_key(&shifted(&index, &first))).exists()
            {
                cleared.push(number);
            }
        }
        let moves = json!({
            "first": first,
            "counts": counts,
            "cleared": cleared,
            "before": self.before,
            "shape": self.plan.shape,
        });
        let part = self.container.at.join(PARTS).join(beside::unique());
        fs::write(&part, moves.to_string())?;
        rustix::fs::syncfs(File::open(&self.container.at)?)?;
        fs::rename(part, self.container.at.join(MOVES))
    }
}

/// Whether moves have begun in a container.
pub(crate) fn has_begun(container: &Path) -> bool {
    container.join(MOVES).exists()
}

/// Does the moves of a writer that has gone, unless the array is another one by now, or others write it.
pub(crate) fn recover(container: &Path, target: &Path) -> io::Result<()> {
    let Some(_alone) = change::try_lock_array(target)? else { return Err(io::ErrorKind::WouldBlock.into()) };
    let moves = moves(container)?;
    let Ok(Node::Array(documents)) = metadata::node(target, "") else { return Ok(()) };
    let now = without_attributes(&documents.array);
    // Else the new shape is said already, or another array has come.
    if now == moves["before"] { resume(container, target) } else { Ok(()) }
}

fn moves(container: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(container.join(MOVES))?)?)
}

/// Moves the chunks that are not in the array yet, and says its shape.
fn resume(container: &Path, target: &Path) -> io::Result<()> {
    let moves = moves(container)?;
    let lens = |name: &str| -> io::Result<Vec<usize>> { Ok(serde_json::from_value(moves[name].clone())?) };
    let (first, counts, cleared) = (lens("first")?, lens("counts")?, lens("cleared")?);
    let (new, old) = (open(&container.join(NEW))?, open(target)?);
    let mut cleared = cleared.into_iter().peekable();
    for (number, index) in indices(&counts).enumerate() {
        let to = old.array.storage().files().path(&old.array.chunk_key(&shifted(&index, &first)));
        if cleared.next_if_eq(&number).is_some() {
            remove_if_there(&to)?;
        } else {
            old.array
                .storage()
                .files()
                .take(&new.array.storage().files().path(&new.array.chunk_key(&index)), &to)?;
        }
    }
    let shape = lens("shape")?;
    if shape != old.meta.shape {
        // The shape is never on the disk before the elements are.
        rustix::fs::syncfs(File::open(target)?)?;
        set_shape(target, old.info.version, &shape)?;
    }
    // What is moved is not moved again, where this ends before the container is gone.
    fs::remove_file(container.join(MOVES))
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The array that lies in a directory.
fn open(dir: &Path) -> io::Result<ZarrReader> {
    ZarrReader::open(dir, "").map_err(|error| io::Error::other(error.to_string()))
}

fn set_shape(dir: &Path, version: ZarrVersion, shape: &[usize]) -> io::Result<()> {
    change(dir, array_document(version), |document| {
        let Some(document) = document.as_object_mut() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the array's document is no JSON object"));
        };
        document.insert("shape".into(), json!(shape));
        Ok(())
    })
}

fn without_attributes(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(document) = document.as_object_mut() {
        document.remove("attributes");
    }
    document
}

fn in_words(document: &Value) -> String {
    if document.is_null() {
        return "no array".to_owned();
    }
    let dtype = if document["data_type"].is_null() { &document["dtype"] } else { &document["data_type"] };
    format!("an array of shape {} and type {dtype}", document["shape"])
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

fn shifted(index: &[u64], first: &[usize]) -> Vec<u64> {
    index.iter().zip(first).map(|(i, &first)| i + first as u64).collect()
}

/// All indices of a grid, the last axis fastest.
fn indices(counts: &[usize]) -> impl Iterator<Item = Vec<u64>> + use<> {
    let grid = Grid::regular(counts, &vec![1; counts.len()]);
    (0..grid.n_chunks()).map(move |number| grid.coords(ChunkIdx(number)).iter().map(|&i| i as u64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IfExists, ZarrSpec, ZarrTarget};
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
        assert_eq!(indices(&[2, 2]).collect::<Vec<_>>(), [[0, 0], [0, 1], [1, 0], [1, 1]]);
        assert_eq!(indices(&[]).count(), 1);
    }
    /// The elements of an array of bytes of one axis.
    fn elements(target: &ZarrTarget) -> Vec<u8> {
        let reader = ZarrReader::open(&target.path, &target.array).unwrap();
        let mut elements = vec![0xaa; reader.meta.shape[0]];
        reader.read(&[0..elements.len()], &mut elements).unwrap();
        elements
    }

    /// Leaves a part as its writer does that is killed: what it has written lies there, and nobody holds its lock.
    fn killed(part: ZarrPart) {
        let dead = part.container.at.with_file_name("dead");
        fs::rename(&part.container.at, &dead).unwrap();
        let at = part.container.at.clone();
        drop(part);
        fs::rename(dead, at).unwrap();
    }

    #[test]
    fn moves_of_a_writer_that_was_killed_are_finished_by_the_next_one() {
        for version in [ZarrVersion::V2, ZarrVersion::V3] {
            for n_moved in 0..=4 {
                let dir = tempfile::tempdir().unwrap();
                let target = ZarrTarget { path: dir.path().to_owned(), array: "x".into(), version };
                target.create(&ZarrSpec::new(&[5], DType::U8, &[2]), IfExists::Fail).unwrap();
                let append = |n: usize| ZarrPart::append(dir.path(), "x", DType::U8, (0, &[n])).unwrap();
                let part = append(4);
                let writer = part.writer().unwrap();
                // Chunks 2, 3 and 4: old and new elements, new ones, one of the fill value alone.
                writer.write_chunk(&[0..2], &[0, 1]).unwrap();
                writer.write_chunk(&[2..4], &[2, 3]).unwrap();
                writer.write_chunk(&[4..5], &[0]).unwrap();
                part.say_moves(&dir.path().join("x")).unwrap();
                let (new, old) = (open(&part.path()).unwrap(), open(&dir.path().join("x")).unwrap());
                for i in 0..u64::min(n_moved, 2) {
                    let storage = old.array.storage();
                let store = storage.files();
                    let from = new.array.storage().files().path(&new.array.chunk_key(&[i]));
                    store.take(&from, &store.path(&old.array.chunk_key(&[i + 2]))).unwrap();
                }
                if n_moved == 4 {
                    set_shape(&dir.path().join("x"), version, &[9]).unwrap();
                    assert_eq!(elements(&target), [0, 0, 0, 0, 0, 1, 2, 3, 0]);
                } else {
                    assert_eq!(elements(&target), [0; 5], "the old array, {n_moved} chunks moved");
                }
                killed(part);
                let next = append(1);
                assert_eq!(elements(&target), [0, 0, 0, 0, 0, 1, 2, 3, 0], "{version:?} {n_moved}");
                next.writer().unwrap().write_chunk(&[0..2], &[0, 7]).unwrap();
                next.finish().unwrap();
                assert_eq!(elements(&target), [0, 0, 0, 0, 0, 1, 2, 3, 0, 7]);
                assert_eq!(
                    fs::read_dir(dir.path())
                        .unwrap()
                        .filter(|e| {
                            e.as_ref().unwrap().file_name().to_string_lossy().contains("tilework")
                        })
                        .count(),
                    0
                );
            }
        }
    }

    #[test]
    fn moves_of_a_dead_writer_are_not_done_to_another_array() {
        let dir = tempfile::tempdir().unwrap();
        let target = ZarrTarget { path: dir.path().to_owned(), array: "x".into(), version: ZarrVersion::V3 };
        let create =
            |n: usize| target.create(&ZarrSpec::new(&[n], DType::U8, &[2]), IfExists::Replace).unwrap();
        create(4);
        let part = ZarrPart::append(dir.path(), "x", DType::U8, (0, &[2])).unwrap();
        part.writer().unwrap().write_chunk(&[0..2], &[1, 2]).unwrap();
        part.say_moves(&dir.path().join("x")).unwrap();
        killed(part);
        // Another program, which clears nothing, makes it longer.
        set_shape(&dir.path().join("x"), ZarrVersion::V3, &[6]).unwrap();
        drop(ZarrPart::region(dir.path(), "x", DType::U8, &[0..2]).unwrap());
        assert_eq!(elements(&target), [0; 6]);
    }
}
