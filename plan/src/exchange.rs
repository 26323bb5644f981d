//! All-to-all edges: each of M results is made of P blocks, and each of P tasks reads the block of its own number of every
//! one of them. Between the two stages stands a barrier, a stage of one chunk that nobody makes: it reads all M results and
//! is read by all P tasks, so that there are M + P edges and not M times P. What a task is fed with is found behind it.
//!
//! Knows plans. Must not know who has which result, nor how a result's blocks lie in it.

use crate::grid::{ChunkIdx, Grid, Region};
use crate::stage::{Input, InputMap, Origin, Plan, Stage};
use crate::task::StageIdx;

/// A part of a chunk that somebody reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A box of it, in the coordinates of its array.
    Box(Region),
    /// A block of a result that is made of blocks, by its number.
    Block(u64),
}

impl Stage {
    /// A barrier for all chunks of a stage that has one axis, which stands at `of` in its plan and has this grid.
    #[must_use]
    pub fn barrier(of: StageIdx, grid: &Grid, fails_alone: bool) -> Stage {
        let one = Grid::new(vec![crate::grid::AxisGrid::regular(1, 1)]);
        let input = Input { stage: of, map: InputMap::Group { fanin: grid.counts() } };
        Stage { inputs: vec![input], fails_alone, ..Stage::source("barrier", Origin::Barrier, &one, 0) }
    }

    /// Whether its tasks read blocks of what a barrier stands for.
    #[must_use]
    pub fn reads_blocks(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.map, InputMap::Blocks))
    }
}

impl Plan {
    /// The stage whose chunks a task is fed with that reads this one: what a barrier stands for, or the stage itself.
    ///
    /// # Panics
    /// If the plan has no such stage.
    #[must_use]
    pub fn behind(&self, stage: StageIdx) -> StageIdx {
        let s = self.stage(stage);
        match s.inputs.first().filter(|_| s.is_barrier()) {
            Some(input) => input.stage,
            None => stage,
        }
    }

    /// The barrier that stands for the chunks of a stage.
    #[must_use]
    pub fn barrier_of(&self, stage: StageIdx) -> Option<StageIdx> {
        let readers = self.consumers[stage.0 as usize].iter();
        readers.map(|(to, _)| *to).find(|to| self.stage(*to).is_barrier())
    }

    /// Whether tasks of a stage read blocks through an input.
    ///
    /// # Panics
    /// If the plan has no such stage, or this no such input.
    #[must_use]
    pub fn reads_blocks(&self, stage: StageIdx, slot: usize) -> bool {
        matches!(self.stage(stage).inputs[slot].map, InputMap::Blocks)
    }

    /// Appends what a task is fed with, one by one: what it reads, and in the place of a barrier all chunks that it stands
    /// for, in the order of their numbers.
    pub fn feeds_of(&self, stage: StageIdx, chunk: ChunkIdx, out: &mut Vec<(usize, StageIdx, ChunkIdx)>) {
        let first = out.len();
        self.inputs_of(stage, chunk, out);
        if !self.stage(stage).reads_blocks() {
            return;
        }
        let read = out.split_off(first);
        for (slot, from, chunk) in read {
            match self.behind(from) {
                of if of == from => out.push((slot, from, chunk)),
                of => out.extend((0..self.n_tasks(of)).map(|c| (slot, of, ChunkIdx(c)))),
            }
        }
    }

    /// Of so many bytes of results that are made of a block for each task of a stage, those of one task's blocks, on the
    /// average.
    #[must_use]
    pub fn block_share(&self, stage: StageIdx, bytes: u64) -> u64 {
        bytes.div_ceil(self.n_tasks(stage).max(1))
    }

    /// Bytes of all that a barrier stands for, as far as they are known before they are made.
    #[must_use]
    pub(crate) fn bytes_behind(&self, barrier: StageIdx) -> u64 {
        let of = self.behind(barrier);
        self.stage(of).chunk_bytes_max().saturating_mul(self.n_tasks(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::AxisGrid;

    /// Three results of five blocks each, and one more that is read as it is.
    fn plan() -> Plan {
        let grid = |n| Grid::new(vec![AxisGrid::regular(n, 1)]);
        let source = |n| Stage::source("made", Origin::Computed, &grid(n), 100);
        let other = Input { stage: StageIdx(0), map: InputMap::Flat };
        let blocks = Input { stage: StageIdx(2), map: InputMap::Blocks };
        let reader = Stage { inputs: vec![other, blocks], ..source(5) };
        let stages = vec![source(5), source(3), Stage::barrier(StageIdx(1), &grid(3), true), reader];
        let mut plan = Plan { stages, outputs: vec![StageIdx(3)], consumers: Vec::new() };
        plan.link();
        plan
    }

    #[test]
    fn edges_are_as_many_as_tasks_and_feeds_are_found_behind_the_barrier() {
        let plan = plan();
        let (made, barrier, reader) = (StageIdx(1), StageIdx(2), StageIdx(3));
        let (mut read, mut fed, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        plan.inputs_of(reader, ChunkIdx(4), &mut read);
        assert_eq!(read, [(0, StageIdx(0), ChunkIdx(4)), (1, barrier, ChunkIdx(0))]);
        plan.feeds_of(reader, ChunkIdx(4), &mut fed);
        let behind = |c| (1, made, ChunkIdx(c));
        assert_eq!(fed, [(0, StageIdx(0), ChunkIdx(4)), behind(0), behind(1), behind(2)]);
        plan.consumers_of(made, ChunkIdx(2), &mut readers);
        assert_eq!(readers, [(barrier, ChunkIdx(0))]);
        readers.clear();
        plan.consumers_of(barrier, ChunkIdx(0), &mut readers);
        assert_eq!(readers, [0, 1, 2, 3, 4].map(|c| (reader, ChunkIdx(c))));
        assert_eq!(plan.readers((barrier, ChunkIdx(0)), 0).n_tasks(), 5);
        assert_eq!((plan.readers_max(made), plan.readers_max(barrier)), (1, 5));
        assert_eq!((plan.barrier_of(made), plan.barrier_of(barrier)), (Some(barrier), None));
        assert_eq!((plan.behind(barrier), plan.behind(reader)), (made, reader));
        assert!(plan.needs().iter().all(crate::need::Need::is_all));
        assert_eq!(plan.n_inputs_at_most(reader, ChunkIdx(0)), 4);
        // A fifth of each of three results, and one of its own.
        assert_eq!(plan.bytes_read(reader, &plan.needs()[3]), 5 * (60 + 100));
    }

    #[test]
    fn what_nobody_needs_needs_no_results() {
        let grid = |n| Grid::new(vec![AxisGrid::regular(n, 1)]);
        let source = |n| Stage::source("made", Origin::Computed, &grid(n), 100);
        let blocks = Input { stage: StageIdx(1), map: InputMap::Blocks };
        let stages = vec![
            source(3),
            Stage::barrier(StageIdx(0), &grid(3), true),
            Stage { inputs: vec![blocks], ..source(5) },
            source(1),
        ];
        let mut plan = Plan { stages, outputs: vec![StageIdx(3)], consumers: Vec::new() };
        plan.link();
        let needed: Vec<u64> = plan.needs().iter().map(crate::need::Need::n_tasks).collect();
        assert_eq!(needed, [0, 0, 0, 1]);
    }
}
