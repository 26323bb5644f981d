//! Parts of Zarr arrays that are there: a box of one is written, or what comes behind the end of an axis.
//!
//! Knows which elements stored chunks take from the array and which from what is written. Must not know how chunks get
//! into the array.

use super::{absolute, file_ref, root_of};
use crate::array::{Array, parts_of};
use crate::error::{Error, Result};
use crate::session;
use ndarray::{Axis, Dimension, SliceArg as Slices};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tilework_expr::{AxisChunks, Chunks, Element, Expr, ExprError, SliceArg};
use tilework_formats::{ArraySource, FormatError, ZarrPart};
use tilework_plan::Grid;

/// # Writing parts of files
impl<A: Element, D: Dimension> Array<A, D> {
    /// Computes the array and writes it to a Zarr array that is there, behind the end of an axis: the other axes must
    /// have its lengths, and elements its type. `array` is its path within the store, `""` for the root. Its metadata
    /// stay what they are, but for the length.
    ///
    /// What is written are whole stored chunks, or shards, by one task each. Where the old end lies within one, it is
    /// written again with the old elements in it. All are written beside the array and moved into it when all of them
    /// are there; the new length is said last, so that a reader finds the array as it was or with all that was
    /// appended, whatever ends the program, and the array may be an expression of the one that it is appended to. What a
    /// write that was killed leaves behind is cleared, or finished if its chunks were being moved, by the next one.
    ///
    /// One program at a time appends to an array: another one waits, where the file system has locks. In an object store
    /// there are none.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// # fn main() -> tilework::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = dir.path();
    /// arr2(&[[1, 2], [3, 4]]).write_zarr(store, "x")?;
    /// arr2(&[[5, 6]]).append_zarr(store, "x", Axis(0))?;
    /// let x = Array2::<i32>::read_zarr(store, "x")?;
    /// assert_eq!(x.compute(), ndarray::arr2(&[[1, 2], [3, 4], [5, 6]]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotWritten`] for a failed computation, after which the stored array is as it was; [`Error::Format`] where
    /// there is no array, or one of another type, number of axes or lengths, and for a store that cannot be written.
    pub fn append_zarr(&self, path: impl AsRef<Path>, array: &str, axis: Axis) -> Result<()> {
        let new = self.leaf()?;
        let path = absolute(path.as_ref())?;
        let part = ZarrPart::append(&path, array, A::DTYPE, (axis.index(), self.shape()))?;
        write(part, &new, (path, array))
    }

    /// Computes the array and writes it to a box of a Zarr array that is there, which ndarray's `s![..]` describes: of
    /// its shape, with steps of 1. `array` is its path within the store, `""` for the root.
    ///
    /// What is written are whole stored chunks, or shards, by one task each. Where the box cuts some, they are written
    /// with the array's own elements beside the new ones; this costs reading them, so that boxes of whole chunks are
    /// the better ones. All are written beside the array and moved into it when all of them are there: a computation
    /// that fails, or a program that is killed meanwhile, leaves the array as it was, and the array may be an expression of
    /// the one that it is written to. Who is killed while chunks are moved leaves new ones beside old ones; the next
    /// write to the array finishes the work.
    ///
    /// Several programs may write boxes of an array at the same time, each its own: those of whole chunks side by side,
    /// one that cuts chunks alone, for which others wait, where the file system has locks. In an object store there are
    /// none: only boxes of whole chunks may be written at the same time there.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// # fn main() -> tilework::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = dir.path();
    /// Array2::<i32>::zeros((2, 3)).write_zarr(store, "x")?;
    /// arr2(&[[1, 2]]).write_zarr_region(store, "x", s![1..2, 1..])?;
    /// let x = Array2::<i32>::read_zarr(store, "x")?;
    /// assert_eq!(x.compute(), ndarray::arr2(&[[0, 0, 0], [0, 1, 2]]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotWritten`] for a failed computation, after which the stored array is as it was; [`Error::Format`] where
    /// there is no array, one of another type, a box that reaches beyond it or has another shape than this array, and for
    /// a store that cannot be written; [`Error::Expr`] for a box that is none: steps, positions in place of ranges.
    pub fn write_zarr_region<I>(&self, path: impl AsRef<Path>, array: &str, region: I) -> Result<()>
    where
        I: Slices<D, OutDim = D>,
    {
        let new = self.leaf()?;
        let path = absolute(path.as_ref())?;
        let source = ArraySource::zarr(&path, array);
        let shape = source.open()?.meta().shape.clone();
        let region = ranges(&parts_of(&region), &shape)?;
        let part = ZarrPart::region(&path, array, A::DTYPE, &region)?;
        let expected: Vec<usize> = region.iter().map(Range::len).collect();
        if self.shape() != expected {
            let (path, got) = (path.join(array).display().to_string(), self.shape().to_vec());
            return Err(FormatError::WrongShape { path, expected, got }.into());
        }
        write(part, &new, (path, array))
    }
}

/// The box that slices describe.
fn ranges(parts: &[SliceArg], shape: &[usize]) -> Result<Vec<Range<usize>>> {
    let wrong =
        |got: String, expected| Error::from(ExprError::Parameter { what: "region to write", got, expected });
    if parts.len() != shape.len() {
        let got = format!("{} ranges for {} axes", parts.len(), shape.len());
        return Err(wrong(got, "a range for each axis"));
    }
    let range = |(part, &len): (&SliceArg, &usize)| match *part {
        SliceArg::Range { start, end, step: 1 } => {
            let at = |i: isize| if i < 0 { len.checked_add_signed(i) } else { Some(i as usize) };
            let got = || format!("{start}..{} of {len}", end.map_or(String::new(), |end| end.to_string()));
            let expected = "positions from the start, or at most the length from the end";
            let start = at(start).ok_or_else(|| wrong(got(), expected))?;
            let end = end.map_or(Some(len), at).ok_or_else(|| wrong(got(), expected))?;
            Ok(start..end.max(start))
        }
        SliceArg::Range { step, .. } => Err(wrong(format!("a step of {step}"), "steps of 1")),
        SliceArg::At(at) => Err(wrong(format!("position {at}"), "ranges: `1..2` in place of `1`")),
        SliceArg::NewAxis => Err(wrong("a new axis".into(), "a range for each axis of the array")),
    };
    parts.iter().zip(shape).map(range).collect()
}

/// Writes the chunks that a part touches, and puts them into the array.
fn write(part: ZarrPart, new: &Expr, (path, array): (PathBuf, &str)) -> Result<()> {
    if part.hull().iter().all(|range| !range.is_empty()) {
        let chunks = touched(&part, new, &path, array)?;
        let written = chunks.write(root_of(&part.path(), part.version())?)?;
        session::execute(&[written]).map_err(|why| Error::not_written(&path.join(array), why))?;
    }
    Ok(part.finish()?)
}

/// The chunks that a part touches, one a task: the new elements between the array's own.
fn touched(part: &ZarrPart, new: &Expr, path: &Path, array: &str) -> Result<Expr> {
    let (hull, written, meta) = (part.hull(), part.written(), part.meta());
    let file = file_ref(&ArraySource::zarr(path, array))?;
    let lens = meta.read_chunks.iter().map(|&len| AxisChunks::Len(len.max(1) as isize));
    let chunks = Chunks::Axes(lens.collect());
    let old = Expr::read((file, meta.stored.clone()), &meta.shape, &chunks, meta.dtype)?;
    let mut all = new.clone();
    for axis in (0..hull.len()).rev() {
        let beside = |range: Range<usize>| -> Result<Option<Expr>> {
            if range.is_empty() {
                return Ok(None);
            }
            let parts = (0..hull.len()).map(|a| match a.cmp(&axis) {
                std::cmp::Ordering::Less => slice(&written[a]),
                std::cmp::Ordering::Equal => slice(&range),
                std::cmp::Ordering::Greater => slice(&hull[a]),
            });
            Ok(Some(old.slice(&parts.collect::<Vec<_>>())?))
        };
        let before = beside(hull[axis].start..written[axis].start)?;
        let behind = beside(written[axis].end..hull[axis].end)?;
        let parts: Vec<Expr> = before.into_iter().chain([all]).chain(behind).collect();
        all = Expr::concatenate(axis, &parts)?;
    }
    let shape: Vec<usize> = hull.iter().map(Range::len).collect();
    Ok(all.on_grid(Grid::regular(&shape, &meta.chunks))?)
}

fn slice(range: &Range<usize>) -> SliceArg {
    SliceArg::Range { start: range.start as isize, end: Some(range.end as isize), step: 1 }
}
