//! Root tasks handed out: which job's and which of its root stages come next for a worker, how many of them, and those that
//! stand for results of earlier jobs.
//!
//! Knows blocks of roots and memory credit. Must not know queues.

use crate::blocks::Run;
use crate::priority::Took;
use crate::scheduler::Scheduler;
use std::cmp::Reverse;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Range;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey, WorkerId};

impl Scheduler {
    /// Gives a worker the next root tasks of the first job that has any in its block, or puts results of earlier jobs
    /// to use. What is less urgent than roots for which it has no room now waits with them. `force` passes over memory
    /// credit for one; `above` is the priority of what it would be given else.
    pub(crate) fn lease_roots(&mut self, worker: WorkerId, (force, above): (bool, Option<i32>)) -> Took {
        let (mut from, mut full) = (Unbounded, None);
        while let Some(at) = self.index.rooted.range((from, Unbounded)).next().copied() {
            let (Reverse(priority), id) = at;
            if full.is_some_and(|full| priority < full) || above.is_some_and(|above| priority <= above) {
                break;
            }
            from = Excluded(at);
            let job = self.jobs.get(&id).filter(|j| j.roots.n_left() > 0);
            let Some(job) = job else {
                self.index.rooted.remove(&at);
                continue;
            };
            if !job.roots_for(&self.workers[&worker].hello) || (force && self.awaits_puts(id)) {
                continue;
            }
            self.share_out(id);
            let goes_before = self.goes_before(priority, above);
            if goes_before {
                self.jobs.get_mut(&id).expect("a job with roots").roots.steal(worker);
            }
            if self.lease_roots_of(id, worker, force) {
                return Took::Some;
            }
            if goes_before && self.has_no_room_for_roots(worker, id) {
                full = Some(priority);
            }
        }
        if full.is_some() { Took::Full } else { Took::Nothing }
    }

    /// Gives each worker its block of a job's roots, unless that was done.
    pub(crate) fn share_out(&mut self, id: JobId) {
        let job = &self.jobs[&id];
        if !job.roots.unshared() {
            return;
        }
        let takers = self.workers.iter().filter(|(_, w)| !w.leaving && job.roots_for(&w.hello));
        let takers: Vec<(WorkerId, u64)> = takers.map(|(id, w)| (*id, u64::from(w.hello.threads))).collect();
        self.jobs.get_mut(&id).expect("a job with roots").roots.share_out(&takers);
    }

    fn lease_roots_of(&mut self, id: JobId, worker: WorkerId, force: bool) -> bool {
        let mut passed_over = false;
        loop {
            let job = &self.jobs[&id];
            // Where all that was left of its block was passed over, there may be more in others'.
            let Some(run) = job.roots.next(worker, u64::MAX) else { return passed_over };
            let root = job.roots.root(run.root);
            let (stage, mixed) = (root.stage, root.mixed);
            let mut chunks = job.root_chunks(&run);
            if mixed && run.again.is_none() {
                // Some of these are no roots: those at the front are passed over.
                let room = self.room(worker, (self.est_us(id, stage), self.priority(id, stage))).max(1);
                let mut end = chunks.start;
                while end < chunks.end && end - chunks.start < room && self.is_root_task(id, stage, end) {
                    end += 1;
                }
                if end == chunks.start {
                    self.take_roots(worker, id, &run, 1);
                    passed_over = true;
                    continue;
                }
                chunks.end = end;
            }
            return self.lease_root_run(worker, (id, &run), chunks, force);
        }
    }

    /// Whether a task at a root cursor reads nothing.
    fn is_root_task(&mut self, job: JobId, stage: StageIdx, chunk: u64) -> bool {
        self.with_inputs(TaskKey { job, stage, chunk: ChunkIdx(chunk) }, |_, inputs| inputs.is_empty())
    }

    fn take_roots(&mut self, worker: WorkerId, id: JobId, run: &Run, n: u64) {
        self.jobs.get_mut(&id).expect("a job with roots").roots.take(worker, run, n);
    }

    /// Leases the first of some root tasks, as many as there is room and memory for; whether any.
    fn lease_root_run(
        &mut self,
        worker: WorkerId,
        (id, run): (JobId, &Run),
        chunks: Range<u64>,
        force: bool,
    ) -> bool {
        let stage = self.jobs[&id].roots.root(run.root).stage;
        if self.jobs[&id].is_alias(stage) {
            return self.read_aliases(worker, (id, run), chunks);
        }
        let first = TaskKey { job: id, stage, chunk: ChunkIdx(chunks.start) };
        let is_put = self.jobs[&id].is_upload(stage);
        let room = match is_put {
            true => self.room_for_puts(worker, first),
            false => self.room(worker, (self.est_us(id, stage), self.priority(id, stage))),
        };
        let room = room.max(u64::from(force)).min(self.unsuspected_room(worker, first));
        let Some(fair) = self.fair_share(worker, id, room.max(1)) else { return false };
        // What fits nowhere will not fit when others' chunks are gone.
        if force && !self.fits(first, worker) {
            return false;
        }
        let credit = if force { self.credit_when_stuck(worker, first) } else { self.credit(worker, first) };
        let n = (chunks.end - chunks.start).min(fair).min(credit).min(room);
        if n == 0 || !self.fits(first, worker) {
            return false;
        }
        self.take_roots(worker, id, run, n);
        self.lease(worker, id, stage, chunks.start..chunks.start + n);
        if !is_put {
            // What is put gives it nothing to do.
            self.idle.remove(&worker);
        }
        true
    }

    /// Puts some results of an earlier job to use, while not too many tasks are ready.
    fn read_aliases(&mut self, worker: WorkerId, (id, run): (JobId, &Run), chunks: Range<u64>) -> bool {
        if self.n_ready >= self.limits.ready_max {
            return false;
        }
        let Some(fair) = self.fair_share(worker, id, (self.limits.ready_max as u64 / 16).max(1)) else {
            return false;
        };
        let n = (chunks.end - chunks.start).min(fair);
        let stage = self.jobs[&id].roots.root(run.root).stage;
        self.take_roots(worker, id, run, n);
        for chunk in chunks.start..chunks.start + n {
            self.read_alias(TaskKey { job: id, stage, chunk: ChunkIdx(chunk) });
        }
        true
    }

    /// How many tasks of the next root stage to take where `room` are to be taken of all that go in step.
    fn fair_share(&self, worker: WorkerId, id: JobId, room: u64) -> Option<u64> {
        let run = self.jobs[&id].roots.next(worker, room)?;
        Some(run.tasks.end - run.tasks.start)
    }

    /// Whether a root's result fits into a worker; the job fails where it fits into none.
    fn fits(&mut self, key: TaskKey, worker: WorkerId) -> bool {
        let plan = &self.jobs[&key.job].plan;
        let needed =
            plan.out_bytes(key.stage, key.chunk).saturating_add(plan.stage(key.stage).terms().memory_bytes);
        self.fail_root_for_memory(key, needed);
        self.workers[&worker].hello.memory_bytes >= needed
    }
}
