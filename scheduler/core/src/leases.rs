//! Leases: what a worker and a client are told with one, and what follows when tasks of it are answered for.
//!
//! Knows leases and what they are charged for. Must not know which tasks a worker should get.

use crate::holdings::coalesced;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::{Each, Lease};
use std::ops::Range;
use tilework_plan::{
    ChunkIdx, Instruction, JobId, LeaseId, Origin, StageIdx, TaskKey, TaskRange, Update, WorkerId,
};

impl Scheduler {
    /// Leases tasks that are ready and in no queue.
    pub(crate) fn lease(&mut self, worker: WorkerId, job: JobId, stage: StageIdx, chunks: Range<u64>) {
        self.check_urgency(worker, (job, stage));
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        let n = (chunks.end - chunks.start) as u32;
        let mut elsewhere = Vec::new();
        let mut bytes = 0;
        for chunk in chunks.clone() {
            let key = TaskKey { job, stage, chunk: ChunkIdx(chunk) };
            self.set(key, TaskState::Leased { lease });
            bytes += self.jobs[&job].bytes(stage, key.chunk);
            self.inputs_elsewhere(key, worker, &mut elsewhere);
        }
        let put = self.jobs[&job].is_upload(stage).then(|| (job, bytes / u64::from(n.max(1))));
        let priority = self.priority(job, stage);
        let each = Each { est_us: self.est_us(job, stage), put, priority };
        let w = self.workers.get_mut(&worker).expect("a living worker");
        w.take(each, n);
        w.bytes_committed += bytes;
        self.jobs.get_mut(&job).expect("the job of a lease").charge(worker, bytes);
        let granted = Lease { worker, job, stage, chunks: chunks.clone(), open: n, each, fixed: false };
        self.open_lease(lease, granted);
        self.note_load(worker);
        self.define(worker, job);
        self.tell_holders(worker, job, stage);
        let tasks = TaskRange { job, stage, chunks };
        let elsewhere = coalesced(elsewhere);
        self.tell(worker, Instruction::Lease { lease, tasks: tasks.clone(), elsewhere, priority });
        if let Origin::Client { id } = self.jobs[&job].plan.stage(stage).origin {
            let addresses = self.workers[&worker].hello.addresses.clone();
            self.update(job, Update::Upload { lease, tasks, literal: id, worker, addresses });
        }
    }

    fn inputs_elsewhere(&mut self, key: TaskKey, worker: WorkerId, out: &mut Vec<(TaskKey, WorkerId)>) {
        self.with_inputs(key, |me, inputs| {
            for &(_, stage, chunk) in inputs {
                let made = me.canonical(TaskKey { stage, chunk, ..key });
                // Who has what a barrier stands for is told once for all tasks.
                if let Some(holder) = me.task(made).holder().filter(|holder| *holder != worker) {
                    out.push((made, holder));
                }
            }
        });
    }

    /// `n` tasks of a lease were answered for.
    pub(crate) fn worker_answered(&mut self, worker: WorkerId, each: Each, n: u32) {
        if let Some(w) = self.workers.get_mut(&worker) {
            w.answer(each, n);
            self.to_fill.insert(worker);
            self.note_load(worker);
        }
    }

    /// One task of a lease ends without a chunk.
    pub(crate) fn close_one(&mut self, lease: LeaseId, key: TaskKey) {
        let Some(worker) = self.leases.get(&lease).map(|l| l.worker) else { return };
        if !self.limits.plays(Bug::CreditLeaked) {
            self.uncharge(worker, key.job, key.stage, key.chunk);
        }
        self.answer(lease, 1);
    }

    /// `n` tasks of a lease were answered for.
    pub(crate) fn answer(&mut self, lease: LeaseId, n: u32) {
        let Some(l) = self.leases.get_mut(&lease) else { return };
        l.open -= n;
        let (worker, each, closed) = (l.worker, l.each, l.open == 0);
        if closed {
            self.close_lease(lease);
            self.end_revoke(worker, lease);
        }
        self.worker_answered(worker, each, n);
    }

    /// A worker has nothing (more) to give back of a lease; returns who waits for it.
    pub(crate) fn end_revoke(&mut self, worker: WorkerId, lease: LeaseId) -> Option<WorkerId> {
        let w = self.workers.get_mut(&worker)?;
        let (_, thief) = w.revoking.take_if(|(l, _)| *l == lease)?;
        self.note_load(worker);
        Some(thief)
    }
}
