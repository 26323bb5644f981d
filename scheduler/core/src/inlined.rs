//! Small results travel with the news of them: which of those that came beside a worker's report go on beside what a
//! client is told. Their contents pass by at the edge, and nothing of them is kept.
//!
//! Knows names alone. Must not know what results are.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use std::ops::Range;
use tilework_plan::{Holding, TaskRange, Update, WorkerId};

impl Scheduler {
    /// Of the results that came beside a report of `worker`'s, those that an update names as that worker's: their places
    /// in `came`, and which chunks. `came` rises, and nothing is in it twice.
    #[must_use]
    pub fn passes_on(
        &self,
        update: &Update,
        worker: WorkerId,
        came: &[TaskRange],
    ) -> Vec<(usize, Range<u64>)> {
        let (Update::Made { outputs, .. } | Update::Done { outputs, .. }) = update else {
            return Vec::new();
        };
        if self.limits.plays(Bug::LateResultPassedOn) {
            let all = came.iter().map(|tasks| tasks.chunks.clone());
            return all.enumerate().collect();
        }
        let mut passed = Vec::new();
        for Holding { chunks: named, .. } in outputs.iter().flatten().filter(|h| h.worker == worker) {
            let before = |t: &TaskRange| {
                (t.job, t.stage, t.chunks.end) <= (named.job, named.stage, named.chunks.start)
            };
            let first = came.partition_point(before);
            let of = |t: &TaskRange| {
                (t.job, t.stage) == (named.job, named.stage) && t.chunks.start < named.chunks.end
            };
            for (i, tasks) in came.iter().enumerate().skip(first).take_while(|(_, t)| of(t)) {
                let (a, b) = (&tasks.chunks, &named.chunks);
                passed.push((i, a.start.max(b.start)..a.end.min(b.end)));
            }
        }
        // A stage may be several outputs.
        passed.sort_unstable_by_key(|(i, chunks)| (*i, chunks.start));
        passed.dedup();
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use tilework_plan::{JobId, StageIdx};

    fn tasks(job: u64, stage: u32, chunks: Range<u64>) -> TaskRange {
        TaskRange { job: JobId(job), stage: StageIdx(stage), chunks }
    }

    #[test]
    fn what_is_named_as_the_workers_own_goes_on() {
        let (one, other) = (WorkerId(1), WorkerId(2));
        let came = [tasks(1, 0, 0..4), tasks(1, 2, 0..3), tasks(1, 2, 5..9), tasks(2, 2, 0..9)];
        let holding = |chunks, worker| Holding { chunks, worker };
        let of_stage = vec![
            holding(tasks(1, 2, 0..2), one),
            holding(tasks(1, 2, 2..3), other),
            holding(tasks(1, 2, 3..7), one),
            holding(tasks(1, 2, 8..9), one),
        ];
        let outputs = vec![of_stage.clone(), of_stage, vec![holding(tasks(1, 3, 0..9), one)]];
        let update = Update::Made { outputs, addresses: Vec::new() };
        let scheduler = Scheduler::new(Limits::default());
        assert_eq!(scheduler.passes_on(&update, one, &came), [(1, 0..2), (2, 5..7), (2, 8..9)]);
        assert_eq!(scheduler.passes_on(&update, other, &came), [(1, 2..3)]);
        assert!(scheduler.passes_on(&Update::Lost { worker: one }, one, &came).is_empty());
    }
}
