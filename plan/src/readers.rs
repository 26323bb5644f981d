//! The tasks that read a chunk, without listing them: one may be read by millions.
//!
//! Knows plans and geometry. Must not know workers or time.

use crate::boxes::{self, Positions};
use crate::deps::{chunks_of_run, flat_range, view_outputs};
use crate::grid::{AxisGrid, ChunkIdx};
use crate::need::{self, Need};
use crate::stage::{InputMap, Plan, Stage};
use crate::task::StageIdx;
use crate::view::{AxisMap, View};
use std::ops::Range;

impl Plan {
    /// The tasks that read a chunk through the `nth` of the inputs that [`Plan::consumers`] lists for its stage, in the
    /// order of [`Plan::consumers_of`].
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn readers(&self, (stage, chunk): (StageIdx, ChunkIdx), nth: usize) -> Need {
        let (to, slot) = self.consumers[stage.0 as usize][nth];
        let (to, from) = (self.stage(to), self.stage(stage));
        match &to.inputs[slot].map {
            InputMap::View { view, clip } => view_readers((to, from), view, clip.as_ref(), chunk),
            InputMap::Boxes(read) => {
                let block = boxes::readers_of(read, &to.grid, &from.out_grid.region(chunk));
                block.map_or_else(|| Need::none(&to.grid), |block| Need::of_block(&to.grid, block))
            }
            InputMap::Group { fanin } => {
                let coords = from.grid.coords(chunk);
                Need::of_block(
                    &to.grid,
                    coords.iter().zip(fanin).map(|(&c, &f)| need::one(c / f..c / f + 1)).collect(),
                )
            }
            InputMap::Flat => {
                Need::of_range(&to.grid, chunks_of_run(flat_range(&from.out_grid, chunk), &to.grid))
            }
            InputMap::Take(taken) => {
                let at = from.out_grid.coords(chunk);
                let mut block: Vec<Vec<Range<usize>>> = at.iter().map(|&c| need::one(c..c + 1)).collect();
                let readers = taken.readers(at[taken.axis]).iter().map(|&c| c..c + 1);
                block[taken.axis] = need::spans(readers.collect());
                match from.out_grid.region(chunk).iter().any(Range::is_empty) {
                    true => Need::none(&to.grid),
                    false => Need::of_block(&to.grid, block),
                }
            }
            InputMap::Listed(listed) => {
                let readers: Vec<Range<usize>> =
                    listed.readers(chunk.0 as usize).iter().map(|&c| c..c + 1).collect();
                match readers.is_empty() {
                    true => Need::none(&to.grid),
                    false => Need::of_block(&to.grid, need::listed_block(&to.grid, readers)),
                }
            }
            InputMap::Blocks => Need::of_range(&to.grid, 0..to.grid.n_chunks()),
        }
    }

    /// How many tasks read any one chunk of a stage at most, or more than that: a chunk that is read through several
    /// inputs counts once for each.
    #[must_use]
    pub fn readers_max(&self, stage: StageIdx) -> u64 {
        let from = self.stage(stage);
        let of_input = |&(to, slot): &(StageIdx, usize)| {
            let to = self.stage(to);
            let along = |axis: usize, positions: usize| {
                let axis = &to.grid.axes()[axis];
                match axis {
                    AxisGrid::Regular { chunk, .. } => axis.n_chunks().min(positions / chunk + 4) as u64,
                    AxisGrid::Explicit { .. } => axis.n_chunks() as u64,
                }
            };
            let chunk_max = |axis: usize| from.out_grid.axes()[axis].chunk_max();
            let product = |n: u64, along: u64| n.saturating_mul(along);
            match &to.inputs[slot].map {
                InputMap::View { view, .. } => {
                    let mut seen: Vec<u64> = to.grid.axes().iter().map(|a| a.n_chunks() as u64).collect();
                    for (of, map) in view.axes.iter().enumerate() {
                        if let AxisMap::Along { axis, step, .. } = *map {
                            seen[axis] = along(axis, chunk_max(of) / step.unsigned_abs().max(1) + 1);
                        }
                    }
                    seen.into_iter().fold(1, product)
                }
                InputMap::Boxes(read) => {
                    let mut seen: Vec<u64> = to.grid.axes().iter().map(|a| a.n_chunks() as u64).collect();
                    for (of, positions) in read.iter().enumerate() {
                        match *positions {
                            Positions::Near { axis, reach } => {
                                let within = reach.before.saturating_add(reach.after);
                                seen[axis] =
                                    seen[axis].min(along(axis, chunk_max(of).saturating_add(within)));
                            }
                            Positions::Number { axis } => seen[axis] = seen[axis].min(chunk_max(of) as u64),
                            Positions::All | Positions::Nothing => {}
                        }
                    }
                    seen.into_iter().fold(1, product)
                }
                InputMap::Group { .. } => 1,
                InputMap::Flat => to.grid.n_chunks(),
                InputMap::Take(taken) => to.grid.axes()[taken.axis].n_chunks() as u64,
                InputMap::Listed(listed) => listed.readers_max() as u64,
                InputMap::Blocks => to.grid.n_chunks(),
            }
        };
        self.consumers[stage.0 as usize].iter().map(of_input).fold(0, u64::saturating_add)
    }
}

fn view_readers(
    (to, from): (&Stage, &Stage),
    view: &View,
    clip: Option<&(usize, Range<usize>)>,
    chunk: ChunkIdx,
) -> Need {
    let Some(within) = view_outputs((to, from), view, clip, chunk) else { return Need::none(&to.grid) };
    let axes = to.grid.axes().iter().zip(within);
    let filled = axes.map(|(axis, r)| need::filled_of(need::one(axis.chunks_touching(r)), axis));
    Need::of_block(&to.grid, filled.collect())
}
