//! The moves of touched chunks into the array that they are a part of.
//!
//! They are written down before the first one, and each can be done again, so that whoever finds them finishes them.
//!
//! Owns what is written down, and the moves of files. Must not know which chunks a part touches.

use super::change;
use super::dir::Dir;
use super::metadata::{self, Documents, Node, array_document};
use super::place::Container;
use super::read::ZarrReader;
use super::store::PARTS;
use super::swap::NEW;
use crate::spec::ZarrVersion;
use crate::{FormatError, beside};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use tilework_plan::{ChunkIdx, Grid};

/// What is to be moved, in a container whose chunks are all there.
const MOVES: &str = "moves";

/// What is to be moved, as it is written down: each step can be done again.
#[derive(Debug)]
pub(crate) struct Moves {
    /// The index in the array of the first chunk.
    pub(super) first: Vec<usize>,
    pub(super) counts: Vec<usize>,
    /// The array's document, less attributes.
    pub(super) before: Value,
    /// The shape that the array will have.
    pub(super) shape: Vec<usize>,
}

impl Moves {
    pub(crate) fn document(&self) -> Value {
        json!({"first": self.first, "counts": self.counts, "before": self.before, "shape": self.shape})
    }

    pub(crate) fn of(document: &Value) -> io::Result<Moves> {
        let lens =
            |name: &str| -> io::Result<Vec<usize>> { Ok(serde_json::from_value(document[name].clone())?) };
        let (first, counts, shape) = (lens("first")?, lens("counts")?, lens("shape")?);
        Ok(Moves { first, counts, before: document["before"].clone(), shape })
    }

    /// The shape that the array will have.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether an array is still the one that they are for: else its new shape is said already, or another one has come.
    pub(crate) fn are_for(&self, now: &Documents) -> bool {
        without_attributes(&now.array) == self.before
    }

    /// The indices of chunks among those that were written, and in the array.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Vec<u64>, Vec<u64>)> + '_ {
        indices(&self.counts).map(|index| {
            let to = shifted(&index, &self.first);
            (index, to)
        })
    }
}

/// Moves files into an array, and says its shape if that becomes another one.
pub(super) fn move_files(
    (target, container): (&Path, &mut Container),
    moves: Option<Moves>,
    shape: Option<&Vec<usize>>,
    version: ZarrVersion,
    name: &str,
) -> Result<(), FormatError> {
    let io = |source| FormatError::Io { path: name.to_owned(), source };
    match (moves, shape) {
        (Some(moves), _) => {
            say_moves(&moves, container, target).map_err(io)?;
            resume(&container.at, target).map_err(|source| {
                container.is_kept = true;
                let (path, kept) = (name.to_owned(), container.at.display().to_string());
                FormatError::Interrupted { path, kept, source }
            })
        }
        (None, Some(shape)) => set_shape(&Dir::Files(target.to_owned()), version, shape).map_err(io),
        (None, None) => Ok(()),
    }
}

/// Writes down what is to be moved, with all chunks on the disk.
fn say_moves(moves: &Moves, container: &Container, target: &Path) -> io::Result<()> {
    let new = open(&container.at.join(NEW))?;
    let old = open(target)?;
    // Of what has the fill value alone there is no file: its place is cleared.
    let mut cleared = Vec::new();
    for (number, (from, to)) in moves.pairs().enumerate() {
        let file = new.array.storage().files().path(&new.array.chunk_key(&from));
        if !file.exists() && old.array.storage().files().path(&old.array.chunk_key(&to)).exists() {
            cleared.push(number);
        }
    }
    let mut document = moves.document();
    document["cleared"] = json!(cleared);
    let part = container.at.join(PARTS).join(beside::unique());
    fs::write(&part, document.to_string())?;
    rustix::fs::syncfs(File::open(&container.at)?)?;
    fs::rename(part, container.at.join(MOVES))
}

/// Whether moves have begun in a container.
pub(crate) fn has_begun(container: &Path) -> bool {
    container.join(MOVES).exists()
}

/// Does the moves of a writer that has gone, unless the array is another one by now, or others write it.
pub(crate) fn recover(container: &Path, target: &Path) -> io::Result<()> {
    let Some(_alone) = change::try_lock_array(target)? else { return Err(io::ErrorKind::WouldBlock.into()) };
    let moves = Moves::of(&said(container)?)?;
    let Ok(Node::Array(documents)) = metadata::node(target, "") else { return Ok(()) };
    if moves.are_for(&documents) { resume(container, target) } else { Ok(()) }
}

fn said(container: &Path) -> io::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(container.join(MOVES))?)?)
}

/// Moves the chunks that are not in the array yet, and says its shape.
fn resume(container: &Path, target: &Path) -> io::Result<()> {
    let said = said(container)?;
    let moves = Moves::of(&said)?;
    let cleared: Vec<usize> = serde_json::from_value(said["cleared"].clone())?;
    let (new, old) = (open(&container.join(NEW))?, open(target)?);
    let mut cleared = cleared.into_iter().peekable();
    for (number, (from, to)) in moves.pairs().enumerate() {
        let to = old.array.storage().files().path(&old.array.chunk_key(&to));
        if cleared.next_if_eq(&number).is_some() {
            remove_if_there(&to)?;
        } else {
            let from = new.array.storage().files().path(&new.array.chunk_key(&from));
            old.array.storage().files().take(&from, &to)?;
        }
    }
    if moves.shape != old.meta.shape {
        // The shape is never on the disk before the elements are.
        rustix::fs::syncfs(File::open(target)?)?;
        set_shape(&Dir::Files(target.to_owned()), old.version, &moves.shape)?;
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

/// Says another shape of an array.
pub(crate) fn set_shape(dir: &Dir, version: ZarrVersion, shape: &[usize]) -> io::Result<()> {
    dir.change(array_document(version), |document| {
        let Some(document) = document.as_object_mut() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the array's document is no JSON object"));
        };
        document.insert("shape".into(), json!(shape));
        Ok(())
    })
}

pub(super) fn without_attributes(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(document) = document.as_object_mut() {
        document.remove("attributes");
    }
    document
}

pub(super) fn in_words(document: &Value) -> String {
    if document.is_null() {
        return "no array".to_owned();
    }
    let dtype = if document["data_type"].is_null() { &document["dtype"] } else { &document["data_type"] };
    format!("an array of shape {} and type {dtype}", document["shape"])
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
    use crate::zarr::ZarrPart;
    use crate::{IfExists, ZarrSpec, ZarrTarget};
    use tilework_expr::DType;

    #[test]
    fn chunks_are_gone_through_the_last_axis_fastest() {
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
        let at = part.container().at.clone();
        let dead = at.with_file_name("dead");
        fs::rename(&at, &dead).unwrap();
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
                say_moves(&part.moves(), part.container(), &dir.path().join("x")).unwrap();
                let (new, old) = (open(&part.path()).unwrap(), open(&dir.path().join("x")).unwrap());
                for i in 0..u64::min(n_moved, 2) {
                    let storage = old.array.storage();
                    let store = storage.files();
                    let from = new.array.storage().files().path(&new.array.chunk_key(&[i]));
                    store.take(&from, &store.path(&old.array.chunk_key(&[i + 2]))).unwrap();
                }
                if n_moved == 4 {
                    set_shape(&Dir::Files(dir.path().join("x")), version, &[9]).unwrap();
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
        say_moves(&part.moves(), part.container(), &dir.path().join("x")).unwrap();
        killed(part);
        // Another program, which clears nothing, makes it longer.
        set_shape(&Dir::Files(dir.path().join("x")), ZarrVersion::V3, &[6]).unwrap();
        drop(ZarrPart::region(dir.path(), "x", DType::U8, &[0..2]).unwrap());
        assert_eq!(elements(&target), [0; 6]);
    }
}
