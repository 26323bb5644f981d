//! Which of a dead worker's tasks killed it: a worker that dies says nothing of what it had just begun or ended, so that
//! any of what it was granted may have. While that is open nobody is granted more of functions than it runs, and the next
//! death tells.
//!
//! Knows what was open. Must not know how it comes to be known that a worker is gone.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use std::collections::BTreeSet;
use tilework_plan::{JobId, TaskKey};

/// Tasks of which one may have killed a worker.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    tasks: BTreeSet<TaskKey>,
    /// Of those, the ones that ran when a worker died.
    ran: BTreeSet<TaskKey>,
}

impl Suspects {
    /// A task was done, failed, or is not wanted any more.
    pub fn clear(&mut self, key: TaskKey) {
        if !self.tasks.is_empty() {
            self.tasks.remove(&key);
            self.ran.remove(&key);
        }
    }

    /// A job is over.
    pub fn clear_job(&mut self, id: JobId) {
        self.tasks.retain(|k| k.job != id);
        self.ran.retain(|k| k.job != id);
    }

    /// How many tasks a worker of so many threads may have at once; absent where any number.
    pub fn at_once(&self, threads: u64) -> Option<u64> {
        match (self.tasks.is_empty(), self.ran.is_empty()) {
            (true, _) => None,
            // Each for as long as it takes until all ran: all threads are in use.
            (false, true) => Some(threads),
            // One of those that run beside one another: each by itself.
            (false, false) => Some(1),
        }
    }

    /// Whether all that it has are tasks that are there, and still open.
    pub fn check(&self, is_open: impl Fn(&TaskKey) -> bool) {
        assert!(self.ran.is_subset(&self.tasks), "{:?} ran and are no suspects", self.ran);
        let stray = self.tasks.iter().find(|key| !is_open(key));
        assert!(stray.is_none(), "{stray:?} is suspected, and not open");
    }
}

impl Scheduler {
    /// Of the open tasks of a worker that died, in the order in which they were granted, those that it was running, as far
    /// as that can be told. Functions come before operations: how those ended may only not have been heard of. Where more
    /// was open than it has threads, its functions are suspected and none was seen.
    pub(crate) fn suspects(&mut self, open: &[TaskKey], threads: usize) -> Vec<TaskKey> {
        let is_literal = |k: &TaskKey| self.jobs[&k.job].is_literal(k.stage);
        let is_call = |k: &TaskKey| self.jobs[&k.job].plan.stage(k.stage).calls.is_some();
        let open = open.iter().copied().filter(|k| !is_literal(k));
        let (calls, mut others): (Vec<TaskKey>, Vec<TaskKey>) = open.partition(is_call);
        let all_ran = calls.len() + others.len() <= threads;
        if calls.is_empty() || self.limits.plays(Bug::FirstOpenBlamed) {
            others.splice(..0, calls);
            others.truncate(threads);
            return others;
        }
        if all_ran && self.suspects.tasks.is_empty() {
            return calls;
        }
        self.suspects.tasks.extend(calls.iter().copied());
        if !all_ran {
            return Vec::new();
        }
        self.suspects.ran.extend(calls.iter().copied());
        calls
    }
}
