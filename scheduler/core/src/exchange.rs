//! Results that are read by blocks, each by every task of another stage. Their barrier is a record like that of any chunk,
//! which nobody makes: it exists while all of the results do. So M results and P tasks that read blocks of them are M + P
//! edges: a result that comes or goes is told to the barrier, and the barrier's coming or going to its readers, as that of
//! any chunk of many. The results are read as long as the barrier is, and go when it goes.
//!
//! Who has which result is told to each worker that is given such tasks, once for all of them, and again what changed when
//! results were lost and made again. What is fetched is then the worker's to find out.
//!
//! Knows barriers, and who has the results behind them. Must not know when tasks are ready, nor where they run.

use crate::holdings::push_holding;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use tilework_plan::{ChunkIdx, Holding, InputMap, Instruction, JobId, Plan, StageIdx, TaskKey, WorkerId};

/// Ranges of results that are told with one instruction, at most.
const HOLDINGS_MAX: usize = 4096;
/// Workers with results that are looked at for one task that reads blocks.
const HOLDERS_LOOKED_AT_MAX: usize = 8;

/// What is known of the results of a stage that are read by blocks.
#[derive(Clone)]
pub(crate) struct Exchange {
    /// What stands for all of them.
    barrier: StageIdx,
    /// How many there are at each worker, and their bytes.
    at: BTreeMap<WorkerId, (u64, u64)>,
    /// Bytes of all that exist.
    bytes: u64,
    /// How often all of them existed, after some did not.
    round: u32,
    /// Those that came to exist again since the first time, and with which time they did.
    again: BTreeMap<u64, u32>,
    /// Who has them, this time.
    all: Vec<Holding>,
}

impl Exchange {
    /// Of a stage's results before any is made; none where they are not read by blocks.
    pub fn of(plan: &Plan, stage: StageIdx) -> Option<Exchange> {
        plan.barrier_of(stage).map(Exchange::behind)
    }

    fn behind(barrier: StageIdx) -> Exchange {
        Exchange { barrier, at: BTreeMap::new(), bytes: 0, round: 0, again: BTreeMap::new(), all: Vec::new() }
    }

    /// None of the results is there any more, nor any worker that was told of them.
    pub fn clear(&mut self) {
        *self = Exchange::behind(self.barrier);
    }

    /// A result came to exist at a worker.
    pub fn came(&mut self, chunk: ChunkIdx, worker: WorkerId, bytes: u64) {
        let at = self.at.entry(worker).or_default();
        *at = (at.0 + 1, at.1 + bytes);
        self.bytes += bytes;
        if self.round > 0 {
            self.again.insert(chunk.0, self.round + 1);
        }
    }

    /// One exists no more.
    pub fn went(&mut self, worker: WorkerId, bytes: u64) {
        self.bytes -= bytes;
        let Some(at) = self.at.get_mut(&worker) else { return };
        *at = (at.0 - 1, at.1 - bytes);
        if at.0 == 0 {
            self.at.remove(&worker);
        }
    }

    /// Bytes of all results that exist.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of those that a worker has.
    pub fn bytes_at(&self, worker: WorkerId) -> u64 {
        self.at.get(&worker).map_or(0, |(_, bytes)| *bytes)
    }

    /// Whether a worker has some.
    pub fn is_at(&self, worker: WorkerId) -> bool {
        self.at.contains_key(&worker)
    }

    /// Some of the workers that have results: all where they are few, else others for each task.
    pub fn some_holders(&self, task: ChunkIdx) -> impl Iterator<Item = WorkerId> + '_ {
        let first = self.at.keys().next().map_or(0, |w| w.0);
        let span = self.at.keys().next_back().map_or(0, |w| w.0 - first);
        let turn = task.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let from = WorkerId(first + ((u64::from(span) * turn) >> 32) as u32);
        let behind = self.at.range((Included(from), Unbounded));
        let before = self.at.range((Unbounded, Excluded(from)));
        behind.chain(before).map(|(w, _)| *w).take(HOLDERS_LOOKED_AT_MAX)
    }

    /// Whether the tallies are those of these results, for checks.
    pub fn check(&self, held: impl Iterator<Item = (WorkerId, u64)>) {
        let mut at: BTreeMap<WorkerId, (u64, u64)> = BTreeMap::new();
        for (worker, bytes) in held {
            let at = at.entry(worker).or_default();
            *at = (at.0 + 1, at.1 + bytes);
        }
        assert_eq!(
            self.bytes,
            at.values().map(|(_, bytes)| bytes).sum::<u64>(),
            "bytes that are read by blocks"
        );
        assert_eq!(self.at, at, "results that are read by blocks, worker by worker");
    }
}

impl Scheduler {
    /// Whether a record stands for all results of a stage.
    pub(crate) fn is_barrier(&self, key: TaskKey) -> bool {
        self.jobs.get(&key.job).is_some_and(|job| job.stage(key.stage).is_barrier)
    }

    /// Whether a task, or a barrier, will read what it reads no more.
    pub(crate) fn has_read(&self, key: TaskKey, state: TaskState) -> bool {
        state.is_done() && !(state.is_held() && self.is_barrier(key))
    }

    /// All results of some barriers exist: that is told to those who read them. Whether there were any.
    pub(crate) fn open_barriers(&mut self) -> bool {
        let any = !self.opening.is_empty();
        while let Some(key) = self.opening.pop() {
            // One of the results may be lost meanwhile, and the barrier may not have heard of it.
            if self.task(key) != (TaskState::Ready { worker: None }) {
                continue;
            }
            let missing = if self.withdrawing.is_empty() { 0 } else { self.missing_inputs(key, None) };
            match missing {
                0 => {
                    self.note_holders(key);
                    self.promote(key);
                }
                missing => self.set(key, TaskState::Waiting { missing }),
            }
        }
        any
    }

    /// Notes who has the results of a barrier that opens.
    fn note_holders(&mut self, barrier: TaskKey) {
        let stale = self.limits.plays(Bug::OldHoldersTold);
        let Some(job) = self.jobs.get_mut(&barrier.job) else { return };
        let of = job.plan.behind(barrier.stage);
        let stage = &mut job.stages[of.0 as usize];
        let Some(exchange) = &mut stage.exchange else { return };
        exchange.round += 1;
        if stale && exchange.round > 1 {
            return;
        }
        exchange.all.clear();
        for (chunk, state) in stage.table.live() {
            let key = TaskKey { job: barrier.job, stage: of, chunk: ChunkIdx(chunk) };
            if let Some(holder) = state.holder() {
                push_holding(&mut exchange.all, key, holder);
            }
        }
    }

    /// A barrier is read no more; who has the results will be noted anew if it opens again.
    pub(crate) fn forget_holders(&mut self, barrier: TaskKey) {
        let Some(job) = self.jobs.get_mut(&barrier.job) else { return };
        let of = job.plan.behind(barrier.stage);
        if let Some(exchange) = &mut job.stages[of.0 as usize].exchange {
            exchange.all = Vec::new();
        }
    }

    /// Some chunks exist no more: nor do the barriers that stand for them, which are to be told of it as their readers are.
    pub(crate) fn close_barriers(&mut self, gone: &[TaskKey]) -> Vec<TaskKey> {
        let mut closed = Vec::new();
        if self.limits.plays(Bug::BarrierStaysOpen) {
            return closed;
        }
        for key in gone {
            let Some(exchange) = &self.jobs[&key.job].stage(key.stage).exchange else { continue };
            let barrier = TaskKey { stage: exchange.barrier, chunk: ChunkIdx(0), ..*key };
            if self.task(barrier).is_held() {
                self.set(barrier, TaskState::Waiting { missing: 0 });
                closed.push(barrier);
            }
        }
        closed
    }

    /// Tells a worker who has the results of which tasks of a stage read blocks, unless it knows.
    pub(crate) fn tell_holders(&mut self, worker: WorkerId, id: JobId, stage: StageIdx) {
        if !self.jobs[&id].stage(stage).reads_blocks {
            return;
        }
        let plan = &self.jobs[&id].plan;
        let read = plan.stage(stage).inputs.iter().filter(|input| matches!(input.map, InputMap::Blocks));
        let read: Vec<StageIdx> = read.map(|input| plan.behind(input.stage)).collect();
        for of in read {
            let Some(exchange) = &self.jobs[&id].stage(of).exchange else { continue };
            let w = self.workers.get_mut(&worker).expect("a living worker");
            let holders = match w.told.insert((id, of), exchange.round) {
                Some(round) if round == exchange.round => continue,
                Some(_) if self.limits.plays(Bug::HoldersNotToldAnew) => continue,
                Some(round) if !self.limits.plays(Bug::OldHoldersTold) => self.holders_since((id, of), round),
                _ => exchange.all.clone(),
            };
            let exchange = self.jobs[&id].stage(of).exchange.as_ref().expect("it was just there");
            let bytes = exchange.bytes;
            for holders in holders.chunks(HOLDINGS_MAX) {
                self.tell(
                    worker,
                    Instruction::Holders { job: id, stage: of, bytes, holders: holders.to_vec() },
                );
            }
        }
    }
}

impl Scheduler {
    /// Who has those results of a stage that were made again after a time at which all existed.
    fn holders_since(&self, (job, stage): (JobId, StageIdx), round: u32) -> Vec<Holding> {
        let mut holders = Vec::new();
        let exchange = &self.jobs[&job].stage(stage).exchange;
        let again = exchange.iter().flat_map(|exchange| exchange.again.iter()).filter(|(_, at)| **at > round);
        for (&chunk, _) in again {
            let key = TaskKey { job, stage, chunk: ChunkIdx(chunk) };
            if let Some(holder) = self.task(key).holder() {
                push_holding(&mut holders, key, holder);
            }
        }
        holders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn exchange(workers: impl Iterator<Item = u32>) -> Exchange {
        let mut exchange = Exchange::behind(StageIdx(1));
        workers.for_each(|w| exchange.came(ChunkIdx(u64::from(w)), WorkerId(w), 10));
        exchange
    }

    #[test]
    fn all_of_few_holders_are_looked_at_and_of_many_others_for_each_task() {
        let few = exchange(3..7);
        for task in 0..20 {
            let mut found: Vec<u32> = few.some_holders(ChunkIdx(task)).map(|w| w.0).collect();
            found.sort_unstable();
            assert_eq!(found, [3, 4, 5, 6]);
        }
        let many = exchange(0..1000);
        let mut seen = BTreeSet::new();
        for task in 0..1000 {
            let found: Vec<WorkerId> = many.some_holders(ChunkIdx(task)).collect();
            assert_eq!(found.len(), HOLDERS_LOOKED_AT_MAX);
            seen.extend(found);
        }
        assert!(seen.len() > 900, "{} of 1000 workers are ever looked at", seen.len());
        assert_eq!(exchange(0..0).some_holders(ChunkIdx(1)).count(), 0);
    }

    #[test]
    fn tallies_follow_what_comes_and_goes() {
        let mut of = exchange([1, 2, 2].into_iter());
        of.check([(WorkerId(1), 10), (WorkerId(2), 10), (WorkerId(2), 10)].into_iter());
        of.went(WorkerId(1), 10);
        of.went(WorkerId(2), 10);
        assert_eq!((of.bytes(), of.bytes_at(WorkerId(2)), of.is_at(WorkerId(1))), (10, 10, false));
        of.check([(WorkerId(2), 10)].into_iter());
    }
}
