//! How a file holds an array, which of its positions a task reads, and how many bytes that takes from the file.
//!
//! Knows positions and lengths. Must not know formats, nor how anything is read.

use crate::grid::Grid;
use std::ops::Range;

/// Bytes between two pieces of a file that are read along with both: less than another request would cost.
pub const GAP_BYTES_MAX: usize = 4 << 10;

/// How a file holds an array's elements, as far as it matters to what reading a part of them costs.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stored {
    /// In boxes of these lengths, one for each axis; whoever needs an element of one decodes all of it.
    Boxes(Vec<usize>),
    /// One by one in row-major order; any of them can be read without the others.
    Rows,
    /// The same in column-major order.
    Columns,
}

/// Evenly spaced positions along one axis.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Steps {
    /// The first one.
    pub start: usize,
    /// From each to the next, at least 1.
    pub step: usize,
    /// How many.
    pub len: usize,
}

impl Steps {
    /// All positions of a range.
    #[must_use]
    pub fn all(range: &Range<usize>) -> Steps {
        Steps { start: range.start, step: 1, len: range.len() }
    }

    /// The least range that holds them.
    #[must_use]
    pub fn hull(&self) -> Range<usize> {
        match self.len {
            0 => self.start..self.start,
            n => self.start..self.start + (n - 1) * self.step + 1,
        }
    }

    /// Those numbered so among these.
    #[must_use]
    pub fn part(&self, numbers: &Range<usize>) -> Steps {
        Steps { start: self.start + self.step * numbers.start, step: self.step, len: numbers.len() }
    }
}

impl Stored {
    /// Bytes that reading these positions of an array of `shape` takes from the file, decoded.
    #[must_use]
    pub fn bytes(&self, shape: &[usize], steps: &[Steps], itemsize: usize) -> u64 {
        let elements = match self {
            Stored::Boxes(lens) => {
                let axes = steps.iter().zip(lens).zip(shape);
                axes.map(|((s, &l), &n)| in_boxes(*s, l, n)).fold(1, u128::saturating_mul)
            }
            Stored::Rows => in_runs(steps.iter().zip(shape).rev(), itemsize),
            Stored::Columns => in_runs(steps.iter().zip(shape), itemsize),
        };
        u64::try_from(elements.saturating_mul(itemsize as u128)).unwrap_or(u64::MAX)
    }
}

/// How many positions of an axis of `axis_len` lie in boxes of `len` that hold one of these.
#[must_use]
pub fn in_boxes(steps: Steps, len: usize, axis_len: usize) -> u128 {
    let (hull, len) = (steps.hull(), len.max(1));
    if hull.is_empty() {
        return 0;
    }
    let last = (hull.end - 1) / len;
    let end_of_last = last.saturating_add(1).saturating_mul(len).min(axis_len);
    if steps.step <= len {
        // Every box in between holds one too.
        return (end_of_last - hull.start / len * len) as u128;
    }
    (steps.len - 1) as u128 * len as u128 + (end_of_last - last * len) as u128
}

/// Elements read of an array that lies in one run, whose axes come from the innermost on.
fn in_runs<'a>(axes: impl Iterator<Item = (&'a Steps, &'a usize)>, itemsize: usize) -> u128 {
    // Elements read, and from the first to the last of them, of what lies within the axes so far.
    let (mut read, mut extent, mut stride) = (1u128, 1u128, 1u128);
    for (steps, &len) in axes {
        let (n, apart) = (steps.len as u128, stride.saturating_mul(steps.step as u128));
        if n == 0 {
            return 0;
        }
        let gap = apart.saturating_sub(extent);
        read = read.saturating_mul(n);
        if gap.saturating_mul(itemsize as u128) <= GAP_BYTES_MAX as u128 {
            read = read.saturating_add(gap * (n - 1));
        }
        extent = extent.saturating_add(apart.saturating_mul(n - 1));
        stride = stride.saturating_mul(len.max(1) as u128);
    }
    read
}

/// What the tasks of a stage read of a file: evenly spaced positions along each axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// How the file holds it.
    pub stored: Stored,
    /// The shape of the array in the file.
    pub shape: Vec<usize>,
    /// The positions along each axis.
    pub steps: Vec<Steps>,
}

impl Extent {
    /// All of an array on this grid.
    #[must_use]
    pub fn whole(stored: Stored, grid: &Grid) -> Extent {
        let shape = grid.shape();
        let steps = shape.iter().map(|&len| Steps::all(&(0..len))).collect();
        Extent { stored, shape, steps }
    }

    /// Whether nothing of the array is left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.steps.iter().zip(&self.shape).all(|(s, &len)| s.len == len)
    }

    /// The positions in the file that a box of the stage's is made of.
    #[must_use]
    pub fn steps_of(&self, region: &[Range<usize>]) -> Vec<Steps> {
        self.steps.iter().zip(region).map(|(s, r)| s.part(r)).collect()
    }

    /// Bytes that reading a box of the stage's takes from the file.
    #[must_use]
    pub fn bytes(&self, region: &[Range<usize>], itemsize: usize) -> u64 {
        self.stored.bytes(&self.shape, &self.steps_of(region), itemsize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(start: usize, step: usize, len: usize) -> Steps {
        Steps { start, step, len }
    }

    #[test]
    fn boxes_are_counted_as_they_are_touched() {
        for (axis_len, len) in [(100, 7), (100, 1), (20, 20), (9, 50), (64, 8)] {
            for s in [steps(0, 1, 9), steps(3, 2, 3), steps(1, 7, 2), steps(2, 3, 0), steps(0, 8, 2)] {
                let mut touched = vec![false; axis_len];
                for p in (0..s.len).map(|i| s.start + i * s.step) {
                    touched[p / len * len..(p / len * len + len).min(axis_len)].fill(true);
                }
                let want = touched.iter().filter(|&&t| t).count();
                assert_eq!(in_boxes(s, len, axis_len), want as u128, "{s:?} in {len} of {axis_len}");
            }
        }
    }

    #[test]
    fn of_a_run_what_lies_apart_is_left_out() {
        let bytes = |stored: Stored, s: &[Steps]| stored.bytes(&[1000, 2000], s, 8);
        let all = |n| steps(0, 1, n);
        assert_eq!(bytes(Stored::Rows, &[all(1000), all(2000)]), 16_000_000);
        assert_eq!(bytes(Stored::Rows, &[steps(5, 1, 1), all(2000)]), 16_000);
        assert_eq!(bytes(Stored::Rows, &[all(1000), steps(5, 1, 1)]), 8000);
        assert_eq!(bytes(Stored::Columns, &[all(1000), steps(5, 1, 1)]), 8000);
        assert_eq!(bytes(Stored::Columns, &[steps(0, 2, 500), steps(5, 1, 1)]), 7992);
        assert_eq!(bytes(Stored::Rows, &[steps(0, 100, 10), steps(0, 1000, 2)]), 160);
        // Narrow rows are nearer to each other than a request is worth.
        assert_eq!(Stored::Rows.bytes(&[1000, 4], &[all(1000), steps(1, 1, 1)], 8), 999 * 32 + 8);
    }
}
