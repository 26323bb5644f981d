//! Results of which tasks read blocks: who has which, as it was told for all such tasks at once, and what a block is taken to
//! have before it is fetched.
//!
//! Knows ranges of results and their holders. Must not know where blocks are kept here, nor how they travel.

use crate::limits::{Bug, Limits};
use crate::worker::{Job, Worker};
use std::collections::BTreeMap;
use std::ops::Range;
use tilework_plan::{ChunkIdx, Holding, JobId, Plan, StageIdx, TaskKey, WorkerId};

/// Who has the results of a stage.
#[derive(Default, Debug)]
pub(crate) struct Holders {
    /// Where ranges begin, where they end, and who has them: none touches another.
    ranges: BTreeMap<u64, (u64, WorkerId)>,
    /// Bytes of all results together.
    bytes: u64,
}

impl Holders {
    /// Some results are there now.
    fn note(&mut self, chunks: Range<u64>, worker: WorkerId) {
        let Range { start, end } = chunks;
        if start >= end {
            return;
        }
        // What was known of them before is cut off, or in two.
        if let Some((&from, &(upto, other))) = self.ranges.range(..start).next_back()
            && upto > start
        {
            self.ranges.insert(from, (start, other));
            if upto > end {
                self.ranges.insert(end, (upto, other));
            }
        }
        while let Some((&from, &(upto, other))) = self.ranges.range(start..end).next() {
            self.ranges.remove(&from);
            if upto > end {
                self.ranges.insert(end, (upto, other));
            }
        }
        self.ranges.insert(start, (end, worker));
    }

    fn find(&self, chunk: ChunkIdx) -> Option<WorkerId> {
        let (_, (end, worker)) = self.ranges.range(..=chunk.0).next_back()?;
        (chunk.0 < *end).then_some(*worker)
    }
}

impl Job {
    /// Who has a result of which tasks read blocks.
    pub fn holder(&self, stage: StageIdx, chunk: ChunkIdx) -> Option<WorkerId> {
        self.holders.get(&stage).and_then(|holders| holders.find(chunk))
    }

    /// Bytes of what a task is fed with of a chunk through an input of its stage: of a block those that it has on the
    /// average, else all of the chunk.
    pub fn fed_bytes(
        &self,
        plan: &Plan,
        (reader, slot): (StageIdx, usize),
        (stage, chunk): (StageIdx, ChunkIdx),
    ) -> u64 {
        if !self.reads_blocks[reader.0 as usize] || !plan.reads_blocks(reader, slot) {
            return self.bytes(plan, stage, chunk);
        }
        let bytes = self.holders.get(&stage).map_or(0, |holders| holders.bytes);
        plan.block_share(reader, bytes).div_ceil(plan.n_tasks(stage).max(1))
    }
}

impl Worker {
    /// It was told who has results of which tasks read blocks.
    pub(crate) fn told_holders(&mut self, (id, stage): (JobId, StageIdx), bytes: u64, holders: Vec<Holding>) {
        let keeps = |limits: &Limits| limits.plays(Bug::OldHolderKept);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let known = job.holders.entry(stage).or_default();
        known.bytes = bytes;
        for Holding { chunks, worker } in holders {
            let keeps = keeps(&self.limits) && known.find(ChunkIdx(chunks.chunks.start)).is_some();
            if (chunks.job, chunks.stage) == (id, stage) && !keeps {
                known.note(chunks.chunks, worker);
            }
        }
    }

    /// The block that a task is fed with through an input of its stage, where it reads blocks.
    pub(crate) fn block_of(&self, plan: &Plan, task: TaskKey, slot: usize) -> Option<u64> {
        if !plan.reads_blocks(task.stage, slot) {
            return None;
        }
        let block = task.chunk.0;
        let next = self.limits.plays(Bug::NextBlockFetched);
        Some(if next { (block + 1) % plan.n_tasks(task.stage) } else { block })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_last_holds() {
        let (mut holders, mut plain) = (Holders::default(), [None; 40]);
        assert_eq!(holders.find(ChunkIdx(0)), None);
        for i in 0..200u64 {
            let (start, len) = (i * 7 % 33, 1 + i * 5 % 8);
            let end = (start + len).min(40);
            holders.note(start..end, WorkerId(i as u32 % 9));
            plain[start as usize..end as usize].fill(Some(WorkerId(i as u32 % 9)));
            for (c, want) in (0..).zip(plain) {
                assert_eq!(holders.find(ChunkIdx(c)), want, "{c} after {i}");
            }
            let ends: Vec<(u64, u64)> = holders.ranges.iter().map(|(s, (e, _))| (*s, *e)).collect();
            assert!(ends.windows(2).all(|w| w[0].1 <= w[1].0), "{ends:?}");
        }
    }
}
