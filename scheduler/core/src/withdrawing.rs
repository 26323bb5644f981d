//! Chunks that very many tasks were to read, and that are lost: their readers hear of it bit by bit, a number with each
//! event, as they heard of the chunk.
//!
//! Until a reader hears of it, the chunk may not count among those that it misses. So what it misses is counted afresh
//! when it hears of the loss, when it hears of the chunk again, and before it is taken for ready.
//!
//! Knows which readers were reached. Must not know where tasks run.

use crate::limits::Bug;
use crate::publishing::{Publication, Step};
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::ReadyKey;
use std::collections::BTreeSet;
use tilework_plan::{ChunkIdx, Need, StageIdx, TaskKey, WorkerId};

impl Scheduler {
    /// Whether a chunk has so many readers that they hear of it, and of its loss, bit by bit.
    pub(crate) fn has_many_readers(&self, key: TaskKey) -> bool {
        self.jobs[&key.job].stage(key.stage).readers_max > self.limits.publish_max
    }

    /// Begins to tell the readers of a chunk that it exists no more. Those that are ready hear of it at once.
    pub(crate) fn begin_withdrawing(&mut self, key: TaskKey) {
        self.publishing.remove(&key);
        for (reader, worker) in self.ready_readers(key) {
            self.dequeue(reader, worker);
            self.requeue(reader);
        }
        self.withdrawing.insert(key, Publication::new());
    }

    /// The readers of a chunk that are ready, and in whose queue they stand.
    fn ready_readers(&self, key: TaskKey) -> Vec<(TaskKey, Option<WorkerId>)> {
        let plan = &self.jobs[&key.job].plan;
        let inputs = plan.consumers[key.stage.0 as usize].iter().enumerate();
        let readers: Vec<(StageIdx, Need)> =
            inputs.map(|(nth, (to, _))| (*to, plan.readers((key.stage, key.chunk), nth))).collect();
        let reads = |stage: StageIdx, chunk: ChunkIdx| {
            readers.iter().any(|(to, need)| *to == stage && need.contains(chunk))
        };
        let job = &self.jobs[&key.job];
        let priorities: BTreeSet<i32> = readers.iter().map(|(to, _)| job.stage(*to).priority).collect();
        let mut queued = Vec::new();
        for (id, w) in &self.workers {
            let mine = priorities.iter().flat_map(|p| w.ready.range(ReadyKey::bounds(key.job, *p)));
            let mine = mine.map(|place| place.task()).filter(|k| reads(k.stage, k.chunk));
            queued.extend(mine.map(|k| (k, Some(*id))));
        }
        let is_ready = |k: &&TaskKey| self.task(**k) == TaskState::Ready { worker: None };
        let unplaced = self.unplaced.iter().filter(|k| k.job == key.job && reads(k.stage, k.chunk));
        queued.extend(unplaced.filter(is_ready).map(|k| (*k, None)));
        queued
    }

    /// Tells some readers of lost chunks that these are gone.
    pub(crate) fn withdraw_some(&mut self) {
        let mut left = self.limits.publish_max;
        while left > 0
            && let Some((key, mut withdrawal)) = self.withdrawing.pop_first()
        {
            let plan = self.jobs[&key.job].plan.clone();
            let mut over = false;
            while left > 0 && !over {
                left -= 1;
                match withdrawal.next(&plan, (key.stage, key.chunk)) {
                    Step::Reader(stage, chunk) => {
                        withdrawal.advance();
                        let reader = TaskKey { stage, chunk, ..key };
                        if matches!(self.task(reader), TaskState::Waiting { .. }) {
                            self.requeue(reader);
                        }
                    }
                    Step::Looked => {}
                    Step::Over => over = true,
                }
            }
            if !over {
                self.withdrawing.insert(key, withdrawal);
            }
        }
    }

    /// One of the inputs that a task waits for exists, of `missing`.
    pub(crate) fn misses_one_less(&mut self, reader: TaskKey, missing: u32) {
        match missing {
            1 if self.withdrawing.is_empty() || self.limits.plays(Bug::LossUnheard) => self.ready(reader),
            // It may not have heard that another is gone.
            1 => self.requeue(reader),
            _ => self.set(reader, TaskState::Waiting { missing: missing.saturating_sub(1) }),
        }
    }
}
