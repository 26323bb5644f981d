//! Results of a job that its client has let go of one by one, while it keeps the job: each goes as soon as nothing reads
//! it, as what is no output does. What is needed again nevertheless is made again.
//!
//! Knows which those are. Must not know why they are wanted no more.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use std::collections::BTreeMap;
use std::ops::Range;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey};

/// Results that were let go of.
#[derive(Default)]
pub(crate) struct LetGo {
    /// The outputs that a stage is.
    outputs: BTreeMap<StageIdx, Vec<u32>>,
    /// For each output where ranges of them begin and end: none touches another.
    ranges: BTreeMap<u32, BTreeMap<u64, u64>>,
    /// Those that were kept for other jobs that read this one.
    kept: Vec<(StageIdx, ChunkIdx)>,
}

impl LetGo {
    /// Some chunks of an output, of all outputs of the job.
    fn insert(&mut self, output: u32, chunks: Range<u64>, all: &[StageIdx]) {
        if self.outputs.is_empty() {
            for (output, &stage) in (0..).zip(all) {
                self.outputs.entry(stage).or_default().push(output);
            }
        }
        let ranges = self.ranges.entry(output).or_default();
        let Range { mut start, mut end } = chunks;
        while let Some((&a, &b)) = ranges.range(..=end).next_back().filter(|(_, b)| **b >= start) {
            ranges.remove(&a);
            (start, end) = (start.min(a), end.max(b));
        }
        ranges.insert(start, end);
    }

    /// Whether one is among them, of all outputs that its stage is: equal batches are one stage.
    pub fn has(&self, stage: StageIdx, chunk: ChunkIdx) -> bool {
        let of_output = |output: &u32| {
            let ranges = self.ranges.get(output);
            let before = ranges.and_then(|ranges| ranges.range(..=chunk.0).next_back());
            before.is_some_and(|(_, end)| *end > chunk.0)
        };
        self.outputs.get(&stage).is_some_and(|outputs| outputs.iter().all(of_output))
    }
}

impl Scheduler {
    /// The client asks for these results of a job no more: outputs, and which of their chunks.
    pub(crate) fn let_go_of(&mut self, id: JobId, values: &[(u32, Range<u64>)]) {
        let held = self.jobs.get(&id).filter(|j| j.client_phase.holds());
        let Some(plan) = held.map(|job| job.plan.clone()) else { return };
        for (output, chunks) in values {
            let stage = plan.outputs.get(*output as usize).copied();
            let alone = |s: &StageIdx| plan.stage(*s).fails_alone && !plan.stage(*s).is_alias();
            let Some(stage) = stage.filter(alone) else { continue };
            let n = plan.n_tasks(stage);
            let chunks = chunks.start.min(n)..chunks.end.min(n);
            if chunks.is_empty() {
                continue;
            }
            let job = self.jobs.get_mut(&id).expect("it was just there");
            job.let_go.insert(*output, chunks.clone(), &plan.outputs);
            for chunk in chunks.map(ChunkIdx) {
                self.let_go_of_one(TaskKey { job: id, stage, chunk });
            }
        }
    }

    fn let_go_of_one(&mut self, key: TaskKey) {
        let unread = matches!(self.task(key), TaskState::Held { pending: 0, .. });
        if unread && !self.is_publishing(key) && !self.limits.plays(Bug::LetGoKept) {
            self.release_unless_kept(key);
        }
    }

    /// Whether an output's chunk is kept, though no task of its job reads it.
    pub(crate) fn is_kept(&self, key: TaskKey) -> bool {
        let job = &self.jobs[&key.job];
        let is_output = job.stage(key.stage).is_output && job.wanted();
        is_output && (job.n_readers > 0 || job.is_published || !job.let_go.has(key.stage, key.chunk))
    }

    /// A chunk is kept that would go, had nobody else to do with its job.
    pub(crate) fn note_kept(&mut self, key: TaskKey) {
        let job = self.jobs.get_mut(&key.job).expect("the job of a chunk");
        if job.let_go.has(key.stage, key.chunk) {
            job.let_go.kept.push((key.stage, key.chunk));
        }
    }

    /// No other job reads this one now.
    pub(crate) fn let_go_of_kept(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id).filter(|j| j.n_readers == 0 && !j.is_published) else {
            return;
        };
        for (stage, chunk) in std::mem::take(&mut job.let_go.kept) {
            self.let_go_of_one(TaskKey { job: id, stage, chunk });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut let_go = LetGo::default();
        let all = [StageIdx(1)];
        for (chunks, n) in [(4..6, 1), (8..9, 2), (0..1, 3), (6..8, 2), (5..7, 2), (1..4, 1), (20..30, 2)] {
            let_go.insert(0, chunks, &all);
            assert_eq!(let_go.ranges[&0].len(), n);
        }
        let_go.insert(0, 19..40, &all);
        assert_eq!(let_go.ranges[&0], BTreeMap::from([(0, 9), (19, 40)]));
        let has = |chunk| let_go.has(StageIdx(1), ChunkIdx(chunk));
        assert_eq!([0, 8, 9, 18, 19, 39, 40].map(has), [true, true, false, false, true, true, false]);
        assert!(!let_go.has(StageIdx(0), ChunkIdx(0)));
    }

    #[test]
    fn a_stage_that_is_two_outputs_is_let_go_of_as_both() {
        let mut let_go = LetGo::default();
        let all = [StageIdx(1), StageIdx(2), StageIdx(1)];
        let_go.insert(0, 0..4, &all);
        let_go.insert(2, 2..6, &all);
        let has = |stage, chunk| let_go.has(StageIdx(stage), ChunkIdx(chunk));
        assert_eq!([1, 2, 3, 4].map(|chunk| has(1, chunk)), [false, true, true, false]);
        assert!(!has(2, 2));
    }
}
