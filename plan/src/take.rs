//! Chosen positions of an axis, in any order: which chunks of the input a chunk of the result reads, and the other way
//! round.
//!
//! Knows one axis. Must not know the others, nor what is done with the elements.

use crate::grid::AxisGrid;
use std::ops::Range;
use std::sync::Arc;

/// The positions of an axis that are taken, and the chunks that they tie together.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    /// The axis, of the input and of the result.
    pub axis: usize,
    /// For each position of the result, that of the input.
    pub positions: Arc<[usize]>,
    /// For each chunk of the result, the input's chunks that it reads.
    reads: Links,
    /// For each chunk of the input, the result's chunks that read it.
    readers: Links,
}

/// Lists of numbers, one after another.
#[derive(Clone, PartialEq, Debug)]
struct Links {
    /// Where each list begins, and where the last one ends.
    starts: Vec<usize>,
    numbers: Vec<usize>,
}

impl Links {
    /// The second numbers of pairs, which are in order, for each first number below `n`.
    fn new(pairs: &[(usize, usize)], n: usize) -> Links {
        let starts = (0..=n).map(|i| pairs.partition_point(|&(from, _)| from < i)).collect();
        Links { starts, numbers: pairs.iter().map(|&(_, to)| to).collect() }
    }

    fn of(&self, i: usize) -> &[usize] {
        &self.numbers[self.starts[i]..self.starts[i + 1]]
    }
}

impl Taken {
    /// These positions of an axis that is cut as `from`, for a result that is cut as `to`.
    #[must_use]
    pub fn new(axis: usize, positions: Arc<[usize]>, from: &AxisGrid, to: &AxisGrid) -> Taken {
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for chunk in 0..to.n_chunks() {
            let first = pairs.len();
            pairs.extend(positions[to.range(chunk)].iter().map(|&p| (chunk, from.chunk_of(p))));
            pairs[first..].sort_unstable();
        }
        pairs.dedup();
        let reads = Links::new(&pairs, to.n_chunks());
        let mut back: Vec<(usize, usize)> = pairs.into_iter().map(|(to, from)| (from, to)).collect();
        back.sort_unstable();
        let readers = Links::new(&back, from.n_chunks());
        Taken { axis, positions, reads, readers }
    }

    /// The input's chunks along the axis that this chunk of the result reads, rising.
    #[must_use]
    pub fn reads(&self, chunk: usize) -> &[usize] {
        self.reads.of(chunk)
    }

    /// The result's chunks along the axis that read this chunk of the input, rising.
    #[must_use]
    pub fn readers(&self, chunk: usize) -> &[usize] {
        self.readers.of(chunk)
    }

    /// The input's positions for a range of the result's.
    #[must_use]
    pub fn positions_of(&self, range: &Range<usize>) -> &[usize] {
        &self.positions[range.clone()]
    }
}
