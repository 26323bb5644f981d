//! Edges to boxes of positions: for each axis of an input, which of its positions a task reads, given by the place of the
//! task's chunk along some axis of its own grid. However the input is cut, the chunks that hold these positions are read.
//!
//! Knows positions and chunk numbers. Must not know what is done with what is read.

use crate::deps::for_product;
use crate::grid::{AxisGrid, ChunkIdx, Grid};
use crate::need::{filled_of, one, spans};
use crate::reach::Reach;
use std::ops::Range;

/// Which positions of an axis of an input a task reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Positions {
    /// Those of the task's chunk along an axis of its grid, which is as long as the input's, and those around it.
    Near {
        /// The axis of the task's grid.
        axis: usize,
        /// How far around.
        reach: Reach,
    },
    /// The one position that is the number of the task's chunk along an axis of its grid.
    Number {
        /// The axis of the task's grid.
        axis: usize,
    },
    /// All.
    All,
    /// None: those of an axis that has none. A stage with such an input has tasks that read nothing of it.
    Nothing,
}

impl Positions {
    /// The axis of the task's grid that they follow.
    #[must_use]
    pub fn axis(&self) -> Option<usize> {
        match *self {
            Positions::Near { axis, .. } | Positions::Number { axis } => Some(axis),
            Positions::All | Positions::Nothing => None,
        }
    }

    /// What the task at `coords` of a grid reads of an axis of `len`. The ranges may overlap, and some may be empty.
    #[must_use]
    pub fn of_task(&self, grid: &Grid, coords: &[usize], len: usize) -> [Range<usize>; 3] {
        match *self {
            Positions::Near { axis, reach } => {
                let own = grid.axes()[axis].range(coords[axis]);
                if own.is_empty() { [0..0, 0..0, 0..0] } else { reach.within(&own, len) }
            }
            Positions::Number { axis } => [coords[axis].min(len)..(coords[axis] + 1).min(len), 0..0, 0..0],
            Positions::All => [0..len, 0..0, 0..0],
            Positions::Nothing => [0..0, 0..0, 0..0],
        }
    }

    /// The chunks of an input's axis that tasks in some spans of chunks read.
    pub(crate) fn of_tasks(
        &self,
        tasks: &[Vec<Range<usize>>],
        to: &Grid,
        from: &AxisGrid,
    ) -> Vec<Range<usize>> {
        let read = match *self {
            Positions::Near { axis, reach } => {
                let grid = &to.axes()[axis];
                let filled = filled_of(tasks[axis].clone(), grid);
                let own = filled.iter().map(|s| grid.range(s.start).start..grid.range(s.end - 1).end);
                own.flat_map(|r| reach.within(&r, grid.len())).map(|r| from.chunks_touching(r)).collect()
            }
            Positions::Number { axis } => {
                tasks[axis].iter().map(|s| from.chunks_touching(s.clone())).collect()
            }
            Positions::All => one(0..from.n_chunks()),
            Positions::Nothing => Vec::new(),
        };
        filled_of(read, from)
    }

    /// The chunks of the task's axis whose tasks read one of the positions in `range`, which is not empty.
    fn readers(&self, to: &Grid, range: &Range<usize>) -> Option<(usize, Vec<Range<usize>>)> {
        match *self {
            Positions::Near { axis, reach } => {
                let grid = &to.axes()[axis];
                let read = reach.mirrored().within(range, grid.len());
                Some((axis, filled_of(read.into_iter().map(|r| grid.chunks_touching(r)).collect(), grid)))
            }
            Positions::Number { axis } => {
                let n = to.axes()[axis].n_chunks();
                Some((axis, one(range.start.min(n)..range.end.min(n))))
            }
            Positions::All | Positions::Nothing => None,
        }
    }
}

/// Calls `push` with the chunks of an input of this grid that a task reads.
pub(crate) fn chunks_read(
    read: &[Positions],
    (to, coords): (&Grid, &[usize]),
    from: &Grid,
    push: &mut impl FnMut(ChunkIdx),
) {
    let along = |(positions, axis): (&Positions, &AxisGrid)| -> Vec<usize> {
        let ranges = positions.of_task(to, coords, axis.len());
        filled_of(ranges.into_iter().map(|r| axis.chunks_touching(r)).collect(), axis)
            .into_iter()
            .flatten()
            .collect()
    };
    let lists: Vec<Vec<usize>> = read.iter().zip(from.axes()).map(along).collect();
    for_product(&lists, |at| push(from.index(at)));
}

/// The tasks that read a chunk of this box, as spans along each axis of their grid; none read one that holds nothing, which
/// spans along no axes would not say.
pub(crate) fn readers_of(
    read: &[Positions],
    to: &Grid,
    region: &[Range<usize>],
) -> Option<Vec<Vec<Range<usize>>>> {
    if region.iter().any(Range::is_empty) {
        return None;
    }
    let mut block: Vec<Vec<Range<usize>>> = to.axes().iter().map(|axis| one(0..axis.n_chunks())).collect();
    for (positions, range) in read.iter().zip(region) {
        if let Some((axis, tasks)) = positions.readers(to, range) {
            block[axis] = common(&block[axis], &tasks);
        }
    }
    Some(block)
}

/// What is in both of two lists of spans.
fn common(a: &[Range<usize>], b: &[Range<usize>]) -> Vec<Range<usize>> {
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| a.start.max(b.start)..a.end.min(b.end)));
    spans(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::Edge;

    /// Both directions, and tasks taken together, say the same.
    #[test]
    fn both_directions_agree() {
        let reach = Reach { before: 1, after: 3, edge: Edge::Wrapped };
        let to = Grid::new(vec![AxisGrid::explicit(&[2, 0, 3, 2]), AxisGrid::regular(6, 2)]);
        let from =
            Grid::new(vec![AxisGrid::regular(7, 3), AxisGrid::explicit(&[1, 3]), AxisGrid::regular(6, 6)]);
        let near = Positions::Near { axis: 0, reach };
        let reads = [
            [near, Positions::Number { axis: 0 }, Positions::All],
            [near, Positions::All, Positions::Near { axis: 1, reach: Reach::NONE }],
            [Positions::All, Positions::Number { axis: 1 }, Positions::Near { axis: 1, reach }],
        ];
        for read in reads {
            assert!(agree(&read, &to, &from) > 0);
        }
        // One task of no axes, and an axis that has no positions.
        let (to, none) = (Grid::new(Vec::new()), AxisGrid::regular(0, 1));
        assert_eq!(agree(&[Positions::Nothing], &to, &Grid::new(vec![none])), 0);
        assert_eq!(agree(&[Positions::All], &to, &Grid::new(vec![AxisGrid::explicit(&[2, 0, 1])])), 2);
    }

    /// How many pairs of a task and a chunk there are, which is the same in each direction.
    fn agree(read: &[Positions], to: &Grid, from: &Grid) -> usize {
        let mut pairs = Vec::new();
        for task in 0..to.n_chunks() {
            let coords = to.coords(ChunkIdx(task));
            chunks_read(read, (to, &coords), from, &mut |c| pairs.push((task, c.0)));
            let alone: Vec<Vec<Range<usize>>> = coords.iter().map(|&c| one(c..c + 1)).collect();
            let together = read.iter().zip(from.axes()).map(|(p, axis)| p.of_tasks(&alone, to, axis));
            let n: usize = together.map(|s| s.iter().map(ExactSizeIterator::len).sum::<usize>()).product();
            assert_eq!(pairs.iter().filter(|(t, _)| *t == task).count(), n);
        }
        let mut back = Vec::new();
        for chunk in 0..from.n_chunks() {
            let block = readers_of(read, to, &from.region(ChunkIdx(chunk)));
            let lists =
                block.map(|block| block.into_iter().map(|s| s.into_iter().flatten().collect()).collect());
            for_product(&lists.unwrap_or_else(|| vec![Vec::new()]), |at| back.push((to.index(at).0, chunk)));
        }
        back.sort_unstable();
        assert_eq!(pairs, back, "{read:?}");
        pairs.len()
    }
}
