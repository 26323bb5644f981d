//! Chosen positions of an axis, in any order: which chunks of the input a chunk of the result reads, and the other way
//! round.
//!
//! Knows one axis. Must not know the others, nor what is done with the elements.

use crate::grid::AxisGrid;
use crate::listed::Listed;
use std::ops::Range;
use std::sync::Arc;

/// The positions of an axis that are taken, and the chunks that they tie together.
#[derive(Clone, PartialEq, Debug)]
pub struct Taken {
    /// The axis, of the input and of the result.
    pub axis: usize,
    /// For each position of the result, that of the input.
    pub positions: Arc<[usize]>,
    /// The input's chunks along the axis that each chunk of the result reads.
    chunks: Listed,
}

impl Taken {
    /// These positions of an axis that is cut as `from`, for a result that is cut as `to`.
    #[must_use]
    pub fn new(axis: usize, positions: Arc<[usize]>, from: &AxisGrid, to: &AxisGrid) -> Taken {
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for chunk in 0..to.n_chunks() {
            pairs.extend(positions[to.range(chunk)].iter().map(|&p| (chunk, from.chunk_of(p))));
        }
        let chunks = Listed::new(pairs, (to.n_chunks(), from.n_chunks()));
        Taken { axis, positions, chunks }
    }

    /// The input's chunks along the axis that this chunk of the result reads, rising.
    #[must_use]
    pub fn reads(&self, chunk: usize) -> &[usize] {
        self.chunks.reads(chunk)
    }

    /// The result's chunks along the axis that read this chunk of the input, rising.
    #[must_use]
    pub fn readers(&self, chunk: usize) -> &[usize] {
        self.chunks.readers(chunk)
    }

    /// The input's positions for a range of the result's.
    #[must_use]
    pub fn positions_of(&self, range: &Range<usize>) -> &[usize] {
        &self.positions[range.clone()]
    }
}
