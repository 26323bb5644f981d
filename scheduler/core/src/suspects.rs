//! Which of a dead worker's tasks killed it: a worker that dies says nothing of what it had just begun or ended, so that
//! any of what it was granted may have. While that is open, workers are granted no more of the job's functions than they
//! run, and the next death tells; those that ran when it came go one at a time.
//!
//! Knows what was open. Must not know how it comes to be known that a worker is gone.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use std::collections::BTreeMap;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey, WorkerId};

/// Functions of which one may have killed a worker.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    tasks: BTreeMap<TaskKey, Suspect>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    /// Of the worker that died with it.
    incarnation: u64,
    /// Whether it was running then, as far as that can be told.
    ran: bool,
}

impl Suspects {
    /// A task was done, failed, or is not wanted any more.
    pub fn clear(&mut self, key: TaskKey) {
        self.tasks.remove(&key);
    }

    /// A job is over.
    pub fn clear_job(&mut self, id: JobId) {
        self.tasks.retain(|k, _| k.job != id);
    }

    /// A worker that was lost is there: what it ran did not kill it.
    pub fn forgive(&mut self, incarnation: u64) {
        self.tasks.retain(|_, s| s.incarnation != incarnation);
    }

    fn suspect(&mut self, keys: &[TaskKey], suspect: Suspect) {
        for key in keys {
            let known = self.tasks.entry(*key).or_insert(suspect);
            *known = Suspect { ran: known.ran || suspect.ran, ..suspect };
        }
    }

    fn ran(&self, key: &TaskKey) -> bool {
        self.tasks.get(key).is_some_and(|s| s.ran)
    }

    /// Whether a job has any.
    pub fn has(&self, id: JobId) -> bool {
        let first = TaskKey { job: id, stage: StageIdx(0), chunk: ChunkIdx(0) };
        self.tasks.range(first..).next().is_some_and(|(k, _)| k.job == id)
    }

    /// Whether all that it has are tasks that are there, and still open.
    pub fn check(&self, is_open: impl Fn(&TaskKey) -> bool) {
        let stray = self.tasks.keys().find(|key| !is_open(key));
        assert!(stray.is_none(), "{stray:?} is suspected, and not open");
    }
}

impl Scheduler {
    /// Of the open tasks of a worker that died, in the order in which they were granted, those that it was running, as far
    /// as that can be told. Functions come before operations: how those ended may only not have been heard of. Where more
    /// of them were open than it has threads, all are suspected and none was seen.
    pub(crate) fn suspects(&mut self, open: &[TaskKey], threads: usize, incarnation: u64) -> Vec<TaskKey> {
        let is_upload = |k: &TaskKey| self.jobs[&k.job].is_upload(k.stage);
        let open = open.iter().copied().filter(|k| !is_upload(k));
        let (calls, mut others): (Vec<TaskKey>, Vec<TaskKey>) =
            open.partition(|k| self.is_call(k.job, k.stage));
        if calls.is_empty() || self.limits.plays(Bug::FirstOpenBlamed) {
            others.splice(..0, calls);
            others.truncate(threads);
            return others;
        }
        // One alone is told, and nothing is to be found out.
        let ran = calls.len() <= threads;
        if calls.len() > 1 {
            self.suspects.suspect(&calls, Suspect { incarnation, ran });
        }
        if ran { calls } else { Vec::new() }
    }

    fn is_call(&self, job: JobId, stage: StageIdx) -> bool {
        self.jobs[&job].plan.stage(stage).calls.is_some()
    }

    /// How many tasks of a worker's, from `key` on, it may be granted as far as it depends on what killed others.
    pub(crate) fn unsuspected_room(&self, worker: WorkerId, key: TaskKey) -> u64 {
        if !self.suspects.has(key.job) || !self.is_call(key.job, key.stage) {
            return u64::MAX;
        }
        let w = &self.workers[&worker];
        let mut open = 0;
        for lease in &w.leases {
            let l = &self.leases[lease];
            if !self.suspects.has(l.job) || !self.is_call(l.job, l.stage) {
                continue;
            }
            open += u64::from(l.open);
            let first = TaskKey { job: l.job, stage: l.stage, chunk: ChunkIdx(l.chunks.start) };
            if l.chunks.end - l.chunks.start == 1 && self.suspects.ran(&first) {
                // It runs by itself.
                return 0;
            }
        }
        if self.suspects.ran(&key) {
            return u64::from(open == 0);
        }
        let end = TaskKey { chunk: ChunkIdx(u64::MAX), ..key };
        let next = self.suspects.tasks.range(key..=end).find(|(_, s)| s.ran);
        let before_next = next.map_or(u64::MAX, |(k, _)| k.chunk.0 - key.chunk.0);
        w.threads().saturating_sub(open).min(before_next)
    }
}
