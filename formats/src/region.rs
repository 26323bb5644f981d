//! Boxes: one range per axis, their sizes, and the contiguous runs that they are made of in a C-order array.
//!
//! Owns index arithmetic and its overflow checks. Must not know files, formats or element types.

use crate::FormatError;
use std::iter::Peekable;
use std::ops::Range;
use tilework_plan::{GAP_BYTES_MAX, Steps};

/// The bytes of an array of this shape, in `usize` and with every length in `usize`.
pub(crate) fn checked_shape(
    path: &str,
    shape: &[u64],
    itemsize: usize,
) -> Result<(Vec<usize>, usize), FormatError> {
    let too_large = || FormatError::TooLarge { path: path.to_owned(), shape: shape.to_vec(), itemsize };
    let lens = shape.iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>();
    let lens = lens.map_err(|_| too_large())?;
    let bytes = n_bytes(&lens, itemsize).ok_or_else(too_large)?;
    Ok((lens, bytes))
}

/// Bytes of an array, `None` above `isize::MAX`. Axes of length 0 count as 1 against the limit, so that
/// no partial product overflows either.
pub(crate) fn n_bytes(shape: &[usize], itemsize: usize) -> Option<usize> {
    let bound = shape.iter().try_fold(itemsize, |product, &n| product.checked_mul(n.max(1)))?;
    if bound > isize::MAX as usize {
        return None;
    }
    Some(if shape.contains(&0) { 0 } else { bound })
}

/// Checks a box against a shape and returns the number of its elements.
pub(crate) fn check(path: &str, region: &[Range<usize>], shape: &[usize]) -> Result<usize, FormatError> {
    let inside =
        region.len() == shape.len() && region.iter().zip(shape).all(|(r, &n)| r.start <= r.end && r.end <= n);
    if !inside {
        return Err(FormatError::OutOfBounds {
            path: path.to_owned(),
            region: region.to_vec(),
            shape: shape.to_vec(),
        });
    }
    // A box within a shape whose byte size was checked cannot overflow.
    Ok(region.iter().map(Range::len).product())
}

/// Checks that a buffer has `elements * itemsize` bytes.
pub(crate) fn check_buffer(
    path: &str,
    elements: usize,
    itemsize: usize,
    got: usize,
) -> Result<(), FormatError> {
    let expected = elements * itemsize;
    if expected == got {
        return Ok(());
    }
    Err(FormatError::WrongLength { path: path.to_owned(), expected, got })
}

/// The contiguous runs of a box in a C-order array: their first element's offset, ascending.
/// All runs have the same length, [`Runs::run_len`]. An empty box has no runs.
pub(crate) struct Runs {
    run_len: usize,
    /// Per outer axis: positions, and elements from one to the next.
    outer: Vec<(usize, usize)>,
    at: Vec<usize>,
    next: Option<usize>,
}

impl Runs {
    /// The runs of `region` (already checked) in an array of `shape`.
    pub(crate) fn new(shape: &[usize], region: &[Range<usize>]) -> Runs {
        Runs::of_steps(shape, &region.iter().map(Steps::all).collect::<Vec<_>>())
    }

    /// The runs of evenly spaced positions (already checked) in an array of `shape`.
    pub(crate) fn of_steps(shape: &[usize], steps: &[Steps]) -> Runs {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis].max(1);
        }
        // The run's axis is the last one that is not taken whole.
        let run_axis = (0..shape.len()).rev().find(|&k| steps[k].len != shape[k]).unwrap_or(0);
        let apart = |k: usize| steps[k].step > 1 && steps[k].len > 1;
        // Positions that lie apart are runs of their own.
        let (run_len, n_outer) = match steps.get(run_axis) {
            None => (1, 0),
            Some(_) if apart(run_axis) => (strides[run_axis], run_axis + 1),
            Some(s) => (s.len * strides[run_axis], run_axis),
        };
        let outer: Vec<_> = (0..n_outer).map(|k| (steps[k].len, strides[k] * steps[k].step)).collect();
        let empty = steps.iter().any(|s| s.len == 0);
        let first = steps.iter().zip(&strides).map(|(s, stride)| s.start * stride).sum();
        Runs { run_len, at: vec![0; outer.len()], outer, next: (!empty).then_some(first) }
    }

    /// Elements of one run.
    pub(crate) fn run_len(&self) -> usize {
        self.run_len
    }
}

impl Iterator for Runs {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let current = self.next?;
        let mut offset = current;
        self.next = None;
        for (k, &(len, stride)) in self.outer.iter().enumerate().rev() {
            self.at[k] += 1;
            if self.at[k] < len {
                self.next = Some(offset + stride);
                break;
            }
            self.at[k] = 0;
            offset -= (len - 1) * stride;
        }
        Some(current)
    }
}

/// The most that is read in one call of several runs.
pub(crate) const BLOCK_BYTES_MAX: usize = 1024 * 1024;

/// Runs put together that lie near each other, to be read in one call with what is between them.
pub(crate) struct Near<I: Iterator<Item = usize>> {
    runs: Peekable<I>,
    /// Elements of a run.
    pub(crate) run: usize,
    itemsize: usize,
    starts: Vec<usize>,
}

impl Near<Runs> {
    pub(crate) fn of(runs: Runs, itemsize: usize) -> Near<Runs> {
        let run = runs.run_len();
        Near::new(runs, run, itemsize)
    }
}

impl<I: Iterator<Item = usize>> Near<I> {
    /// Runs of so many elements that begin at these, ascending.
    pub(crate) fn new(runs: I, run: usize, itemsize: usize) -> Near<I> {
        Near { runs: runs.peekable(), run, itemsize, starts: Vec::new() }
    }

    /// The first elements of the next runs, at least of one.
    pub(crate) fn next(&mut self) -> Option<&[usize]> {
        let (run, itemsize) = (self.run, self.itemsize);
        let first = self.runs.next()?;
        self.starts.clear();
        self.starts.push(first);
        let mut end = first + run;
        while let Some(next) = self.runs.next_if(|next| {
            (next - end) * itemsize <= GAP_BYTES_MAX && (next + run - first) * itemsize <= BLOCK_BYTES_MAX
        }) {
            self.starts.push(next);
            end = next + run;
        }
        Some(&self.starts)
    }

    /// Reads all runs, one after another, into `out`; `read` fills a buffer from an element on.
    pub(crate) fn gather(
        mut self,
        mut out: &mut [u8],
        mut read: impl FnMut(&mut [u8], usize) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let (itemsize, bytes) = (self.itemsize, self.run * self.itemsize);
        let mut block = Vec::new();
        while let Some(starts) = self.next() {
            let (taken, rest) = out.split_at_mut(starts.len() * bytes);
            out = rest;
            let (first, last) = (starts[0], starts[starts.len() - 1]);
            if starts.len() == 1 {
                read(taken, first)?;
                continue;
            }
            block.resize((last - first) * itemsize + bytes, 0);
            read(&mut block, first)?;
            for (piece, start) in taken.chunks_exact_mut(bytes).zip(starts) {
                let at = (start - first) * itemsize;
                piece.copy_from_slice(&block[at..at + bytes]);
            }
        }
        Ok(())
    }
}

/// Copies positions out of their hull, which is in C order in `hull`, to the places of the `numbers` among all `steps`
/// that `out` has room for, in C order too.
#[cfg(feature = "zarr")]
pub(crate) fn take_steps(
    hull: &[u8],
    here: &[Steps],
    (out, steps, numbers): (&mut [u8], &[Steps], &[Range<usize>]),
    itemsize: usize,
) {
    let hull_shape: Vec<usize> = here.iter().map(|s| s.hull().len()).collect();
    let from: Vec<Steps> = here.iter().map(|s| Steps { start: 0, ..*s }).collect();
    let out_shape: Vec<usize> = steps.iter().map(|s| s.len).collect();
    let to: Vec<Steps> = numbers.iter().map(Steps::all).collect();
    copy((hull, &hull_shape, &from), (out, &out_shape, &to), itemsize);
}

/// Copies positions of an array in C order to those of another one, of which there are as many along each axis.
#[cfg(any(feature = "netcdf", feature = "zarr"))]
pub(crate) fn copy(
    (source, from_shape, from): (&[u8], &[usize], &[Steps]),
    (out, to_shape, to): (&mut [u8], &[usize], &[Steps]),
    itemsize: usize,
) {
    let (from, to) = (Runs::of_steps(from_shape, from), Runs::of_steps(to_shape, to));
    // The shorter of both kinds of runs divides the longer one: both end at whole positions of an axis.
    let run = from.run_len().min(to.run_len());
    let pieces = |runs: Runs| {
        let n = runs.run_len() / run;
        runs.flat_map(move |start| (0..n).map(move |i| (start + i * run) * itemsize))
    };
    for (from, to) in pieces(from).zip(pieces(to)) {
        out[to..to + run * itemsize].copy_from_slice(&source[from..from + run * itemsize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(shape: &[usize], region: &[Range<usize>]) -> (usize, Vec<usize>) {
        let runs = Runs::new(shape, region);
        (runs.run_len(), runs.collect())
    }

    #[test]
    fn runs_follow_c_order_and_join_whole_axes() {
        assert_eq!(offsets(&[4, 5], &[1..3, 2..4]), (2, vec![7, 12]));
        assert_eq!(offsets(&[4, 5], &[1..3, 0..5]), (10, vec![5]));
        assert_eq!(offsets(&[2, 3, 4], &[0..2, 1..2, 0..4]), (4, vec![4, 16]));
        assert_eq!(offsets(&[2, 3, 4], &[0..2, 0..2, 3..4]), (1, vec![3, 7, 15, 19]));
        assert_eq!(offsets(&[7], &[2..5]), (3, vec![2]));
        let steps = |start, step, len| Steps { start, step, len };
        let apart = |shape: &[usize], s: &[Steps]| {
            let runs = Runs::of_steps(shape, s);
            (runs.run_len(), runs.collect::<Vec<_>>())
        };
        assert_eq!(apart(&[4, 5], &[steps(1, 2, 2), steps(0, 1, 5)]), (5, vec![5, 15]));
        assert_eq!(apart(&[4, 5], &[steps(1, 2, 2), steps(1, 2, 2)]), (1, vec![6, 8, 16, 18]));
        assert_eq!(apart(&[6, 5], &[steps(1, 2, 2), steps(1, 1, 2)]), (2, vec![6, 16]));
        assert_eq!(apart(&[5], &[steps(4, 1, 1)]), (1, vec![4]));
        assert_eq!(offsets(&[], &[]), (1, vec![0]));
        assert_eq!(offsets(&[3, 3], &[1..1, 0..3]).1, Vec::<usize>::new());
        assert_eq!(offsets(&[0, 3], &[0..0, 0..3]).1, Vec::<usize>::new());
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(n_bytes(&[2, 3], 8), Some(48));
        assert_eq!(n_bytes(&[], 8), Some(8));
        assert_eq!(n_bytes(&[0, 3], 8), Some(0));
        assert_eq!(n_bytes(&[usize::MAX, 2], 8), None);
        assert_eq!(n_bytes(&[0, usize::MAX, 2], 8), None);
        assert!(checked_shape("x", &[1 << 40, 1 << 40], 1).is_err());
        assert!(check("x", &[0..3], &[2]).is_err());
        assert!(check("x", &[0..1], &[2, 2]).is_err());
        assert_eq!(check("x", &[0..1, 0..2], &[2, 2]).unwrap(), 2);
    }
}
