//! Chunk grids: how an array's index space is cut into boxes, and the numbering of those boxes.
//!
//! Knows positions and chunk numbers. Must not know dtypes, operations or where chunks live.

use std::ops::Range;
use std::sync::Arc;

/// A box of an index space: one half-open range of positions per axis.
pub type Region = Vec<Range<usize>>;

/// The number of elements in a region.
#[must_use]
pub fn region_len(region: &[Range<usize>]) -> usize {
    region.iter().map(ExactSizeIterator::len).product()
}

/// The lengths of a region along each axis.
#[must_use]
pub fn region_shape(region: &[Range<usize>]) -> Vec<usize> {
    region.iter().map(ExactSizeIterator::len).collect()
}

/// A chunk's number in row-major order of its grid.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ChunkIdx(pub u64);

/// How one axis is cut.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AxisGrid {
    /// Chunks of `chunk` positions; the last one may be shorter.
    Regular {
        /// Length of the axis.
        len: usize,
        /// Length of a chunk, at least 1.
        chunk: usize,
    },
    /// Chunk `i` spans `bounds[i]..bounds[i + 1]`; the bounds start at 0 and never fall.
    Explicit {
        /// All boundaries, the first 0 and the last the axis' length.
        bounds: Arc<[usize]>,
    },
}

impl AxisGrid {
    /// An axis of `len` positions in chunks of `chunk` (taken as at least 1).
    #[must_use]
    pub fn regular(len: usize, chunk: usize) -> AxisGrid {
        AxisGrid::Regular { len, chunk: chunk.clamp(1, len.max(1)) }
    }

    /// An axis in one chunk.
    #[must_use]
    pub fn whole(len: usize) -> AxisGrid {
        AxisGrid::regular(len, len)
    }

    /// An axis cut into chunks of these lengths; regular ones are recognised.
    #[must_use]
    pub fn explicit(lens: &[usize]) -> AxisGrid {
        let len: usize = lens.iter().sum();
        let Some((&last, body)) = lens.split_last() else { return AxisGrid::whole(0) };
        let chunk = body.first().copied().unwrap_or(last);
        if body.iter().all(|&l| l == chunk)
            && last <= chunk
            && (last > 0 || lens.len() == 1)
            && (chunk > 0 || len == 0)
        {
            return AxisGrid::regular(len, chunk);
        }
        let mut bounds = Vec::with_capacity(lens.len() + 1);
        bounds.push(0);
        bounds.extend(lens.iter().scan(0, |at, l| {
            *at += l;
            Some(*at)
        }));
        AxisGrid::Explicit { bounds: bounds.into() }
    }

    /// Length of the axis.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            AxisGrid::Regular { len, .. } => *len,
            AxisGrid::Explicit { bounds } => bounds.last().copied().unwrap_or(0),
        }
    }

    /// Whether the axis has no positions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many chunks there are; an empty axis has one empty chunk.
    #[must_use]
    pub fn n_chunks(&self) -> usize {
        match self {
            AxisGrid::Regular { len, chunk } => len.div_ceil(*chunk).max(1),
            AxisGrid::Explicit { bounds } => bounds.len() - 1,
        }
    }

    /// The positions of chunk `i`.
    #[must_use]
    pub fn range(&self, i: usize) -> Range<usize> {
        match self {
            AxisGrid::Regular { len, chunk } => (i * chunk).min(*len)..((i + 1) * chunk).min(*len),
            AxisGrid::Explicit { bounds } => bounds[i]..bounds[i + 1],
        }
    }

    /// The chunk that holds position `pos` (which must be below the length).
    #[must_use]
    pub fn chunk_of(&self, pos: usize) -> usize {
        match self {
            AxisGrid::Regular { chunk, .. } => pos / chunk,
            AxisGrid::Explicit { bounds } => bounds.partition_point(|&b| b <= pos) - 1,
        }
    }

    /// The chunks that share a position with `range`; empty for an empty range.
    #[must_use]
    pub fn chunks_touching(&self, range: Range<usize>) -> Range<usize> {
        if range.is_empty() || self.is_empty() {
            return 0..0;
        }
        self.chunk_of(range.start)..self.chunk_of(range.end.min(self.len()) - 1) + 1
    }

    /// The lengths of all chunks.
    #[must_use]
    pub fn chunk_lens(&self) -> Vec<usize> {
        (0..self.n_chunks()).map(|i| self.range(i).len()).collect()
    }

    /// The axis with each chunk cut in two.
    #[must_use]
    pub fn halved(&self) -> AxisGrid {
        match self {
            AxisGrid::Regular { len, chunk } => AxisGrid::regular(*len, chunk.div_ceil(2)),
            AxisGrid::Explicit { .. } => {
                let halves = self.chunk_lens().into_iter().flat_map(|l| [l.div_ceil(2), l / 2]);
                AxisGrid::explicit(&halves.filter(|&l| l > 0).collect::<Vec<_>>())
            }
        }
    }

    /// The longest chunk's length.
    #[must_use]
    pub fn chunk_max(&self) -> usize {
        match self {
            AxisGrid::Regular { len, chunk } => (*chunk).min(*len),
            AxisGrid::Explicit { .. } => self.chunk_lens().into_iter().max().unwrap_or(0),
        }
    }
}

/// The grid of a whole array: one [`AxisGrid`] per axis. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Grid {
    axes: Arc<[AxisGrid]>,
}

impl Grid {
    /// A grid of these axes.
    #[must_use]
    pub fn new(axes: Vec<AxisGrid>) -> Grid {
        Grid { axes: axes.into() }
    }

    /// The grid of `shape` in regular chunks.
    #[must_use]
    pub fn regular(shape: &[usize], chunks: &[usize]) -> Grid {
        Grid::new(shape.iter().zip(chunks).map(|(&l, &c)| AxisGrid::regular(l, c)).collect())
    }

    /// The grid of `shape` in one chunk.
    #[must_use]
    pub fn whole(shape: &[usize]) -> Grid {
        Grid::regular(shape, shape)
    }

    /// The axes.
    #[must_use]
    pub fn axes(&self) -> &[AxisGrid] {
        &self.axes
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.axes.len()
    }

    /// The array's shape.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(AxisGrid::len).collect()
    }

    /// Chunks along each axis.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        self.axes.iter().map(AxisGrid::n_chunks).collect()
    }

    /// Chunks in all.
    #[must_use]
    pub fn n_chunks(&self) -> u64 {
        self.axes.iter().map(|a| a.n_chunks() as u64).product()
    }

    /// The chunk's number along each axis.
    #[must_use]
    pub fn coords(&self, chunk: ChunkIdx) -> Vec<usize> {
        let mut rest = chunk.0;
        let mut coords = vec![0; self.ndim()];
        for (c, axis) in coords.iter_mut().zip(self.axes.iter()).rev() {
            let n = axis.n_chunks() as u64;
            *c = (rest % n) as usize;
            rest /= n;
        }
        coords
    }

    /// The chunk at these numbers along each axis.
    #[must_use]
    pub fn index(&self, coords: &[usize]) -> ChunkIdx {
        ChunkIdx(self.axes.iter().zip(coords).fold(0, |at, (a, &c)| at * a.n_chunks() as u64 + c as u64))
    }

    /// The box of a chunk.
    #[must_use]
    pub fn region(&self, chunk: ChunkIdx) -> Region {
        self.coords(chunk).iter().zip(self.axes.iter()).map(|(&c, a)| a.range(c)).collect()
    }

    /// The longest chunk's length along each axis.
    #[must_use]
    pub fn chunk_shape_max(&self) -> Vec<usize> {
        self.axes.iter().map(AxisGrid::chunk_max).collect()
    }

    /// Elements in the largest chunk; the greatest number, where there are more.
    #[must_use]
    pub fn chunk_len_max(&self) -> usize {
        self.axes.iter().map(AxisGrid::chunk_max).fold(1, usize::saturating_mul)
    }

    /// The grid with only the given axes, in that order.
    #[must_use]
    pub fn select(&self, axes: &[usize]) -> Grid {
        Grid::new(axes.iter().map(|&a| self.axes[a].clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_lies_in_its_chunk() {
        for axis in
            [AxisGrid::regular(10, 3), AxisGrid::explicit(&[4, 1, 5]), AxisGrid::explicit(&[0, 2, 0, 3])]
        {
            for pos in 0..axis.len() {
                assert!(axis.range(axis.chunk_of(pos)).contains(&pos), "{axis:?} {pos}");
            }
            assert_eq!(axis.chunk_lens().iter().sum::<usize>(), axis.len());
        }
    }

    #[test]
    fn equal_lengths_become_regular() {
        assert_eq!(AxisGrid::explicit(&[3, 3, 1]), AxisGrid::regular(7, 3));
        assert_eq!(AxisGrid::explicit(&[5]), AxisGrid::whole(5));
        assert!(matches!(AxisGrid::explicit(&[1, 3]), AxisGrid::Explicit { .. }));
        for lens in [&[0][..], &[3, 0], &[0, 0], &[0, 3], &[3, 3, 0], &[3, 0, 0], &[3, 3, 2]] {
            assert_eq!(AxisGrid::explicit(lens).chunk_lens(), lens);
        }
        assert_eq!(AxisGrid::whole(0).n_chunks(), 1);
    }

    #[test]
    fn numbering_is_row_major() {
        let g = Grid::regular(&[5, 7], &[2, 3]);
        assert_eq!(g.counts(), [3, 3]);
        for i in 0..g.n_chunks() {
            assert_eq!(g.index(&g.coords(ChunkIdx(i))), ChunkIdx(i));
        }
        assert_eq!(g.region(ChunkIdx(5)), vec![2..4, 6..7]);
        assert_eq!(Grid::new(vec![]).n_chunks(), 1);
    }
}
