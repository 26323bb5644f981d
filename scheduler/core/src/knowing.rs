//! Which jobs workers know: they are told of one before the first of its tasks, and when nobody will need it again.
//!
//! Knows who was told. Must not know what a job is made of.

use crate::scheduler::Scheduler;
use tilework_plan::{Instruction, JobId, WorkerId};

impl Scheduler {
    /// Makes sure that a worker knows a job, and before it the jobs that it reads: it needs their plans to tell
    /// whose chunks those are, and is told when they are over only if it knows them.
    pub(crate) fn define(&mut self, worker: WorkerId, id: JobId) {
        let (known, refs) = (&self.workers[&worker].defined, &self.jobs[&id].refs);
        if known.contains(&id) && refs.iter().all(|r| known.contains(r)) {
            return;
        }
        let mut stack = vec![id];
        stack.extend(refs);
        while let Some(&top) = stack.last() {
            let known = &self.workers[&worker].defined;
            let before: Vec<JobId> =
                self.jobs[&top].refs.iter().filter(|r| !known.contains(r)).copied().collect();
            if known.contains(&top) || before.is_empty() {
                stack.pop();
                if self.workers.get_mut(&worker).is_some_and(|w| w.defined.insert(top)) {
                    self.tell(worker, Instruction::Define(top));
                }
            } else {
                stack.extend(before);
            }
        }
    }

    /// Tells the workers that know of a job that it is over.
    pub(crate) fn forget(&mut self, id: JobId) {
        let told: Vec<WorkerId> = self.workers.keys().copied().collect();
        for w in told {
            if self.workers.get_mut(&w).is_some_and(|s| s.forget(id)) {
                self.tell(w, Instruction::Forget(id));
            }
        }
    }
}
