//! What workers say, checked against the leases it answers: a report whose lease is not the task's own is late,
//! and changes nothing.
//!
//! Knows leases. Must not know how failures are dealt with, nor what follows from a task being done.

use crate::clock::Term;
use crate::failures::Missed;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use tilework_plan::{ChunkIdx, JobId, LeaseId, Report, StageIdx, TaskKey, TaskRange, WorkerId};

impl Scheduler {
    pub(crate) fn reported(&mut self, worker: WorkerId, reports: &[Report]) {
        let now_us = self.now_us;
        let Some(w) = self.workers.get_mut(&worker) else { return };
        w.last_heard_us = now_us;
        w.term = Term::new(now_us);
        self.to_fill.insert(worker);
        for report in reports {
            match report {
                Report::Alive { bytes_held, bytes_on_disk, bytes_resident } => {
                    if let Some(w) = self.workers.get_mut(&worker) {
                        w.bytes_reported = (*bytes_held, *bytes_on_disk);
                        w.bytes_resident = *bytes_resident;
                    }
                }
                Report::Done { lease, tasks, busy_us, bytes_fetched, sizes } => {
                    if let Some(job) = self.jobs.get_mut(&tasks.job) {
                        let figures = &mut job.figures;
                        figures.bytes_moved = figures.bytes_moved.saturating_add(*bytes_fetched);
                        figures.busy_us = figures.busy_us.saturating_add(*busy_us);
                    }
                    self.done(worker, (*lease, tasks), *busy_us, sizes);
                }
                Report::Returned { lease, tasks } => self.returned(worker, *lease, tasks),
                Report::Failed { lease, task, error } => {
                    if self.is_current(worker, *lease, *task) {
                        self.failed(worker, *lease, *task, error);
                    }
                }
                Report::Spilled { job, bytes } => {
                    if let Some(job) = self.jobs.get_mut(job) {
                        job.figures.bytes_spilled = job.figures.bytes_spilled.saturating_add(*bytes);
                    }
                }
                Report::Lost { task } => self.lost_by_holder(worker, *task),
                Report::Unreachable { lease, task, input, peer, away, why } => {
                    if self.is_current(worker, *lease, *task) {
                        let missed = Missed { input: *input, peer: *peer, away: *away, why };
                        self.unreachable(worker, *lease, *task, &missed);
                    }
                }
                Report::Threads { stuck, longest_us } => {
                    if let Some(w) = self.workers.get_mut(&worker) {
                        (w.stuck, w.longest_us) = (*stuck, *longest_us);
                    }
                }
            }
        }
    }

    /// Whether a worker has a task under a lease.
    pub(crate) fn is_current(&self, worker: WorkerId, lease: LeaseId, key: TaskKey) -> bool {
        let same = |l: &crate::worker::Lease| (l.worker, l.job, l.stage) == (worker, key.job, key.stage);
        self.leases.get(&lease).is_some_and(same)
            && self.exists(key.job, key.stage, key.chunk)
            && self.task(key) == TaskState::Leased { lease }
    }

    pub(crate) fn exists(&self, job: JobId, stage: StageIdx, chunk: ChunkIdx) -> bool {
        let stage = self.jobs.get(&job).and_then(|j| j.stages.get(stage.0 as usize));
        stage.is_some_and(|s| chunk.0 < s.table.n_tasks())
    }

    fn done(&mut self, worker: WorkerId, (lease, tasks): (LeaseId, &TaskRange), busy_us: u64, sizes: &[u64]) {
        let mut n = 0;
        for (i, key) in tasks.keys().enumerate() {
            let bytes = sizes.get(i).copied();
            if !self.exists(key.job, key.stage, key.chunk) {
                return;
            }
            if self.is_current(worker, lease, key) {
                self.complete(key, worker, bytes);
                n += 1;
            } else {
                self.late(worker, key, bytes);
            }
        }
        if n > 0 {
            self.answer(lease, n);
            self.measured(tasks, busy_us);
            self.report_progress(tasks.job);
        }
    }

    /// A chunk came to exist under a lease that is not the task's: it is dropped there unless it is needed there.
    fn late(&mut self, worker: WorkerId, key: TaskKey, bytes: Option<u64>) {
        match self.task(key) {
            TaskState::Held { holder, .. } if holder == Some(worker) => {
                if self.limits.plays(Bug::DuplicateReportCounted) {
                    self.read_inputs(key);
                }
            }
            TaskState::Leased { lease } if self.leases[&lease].worker == worker => {}
            TaskState::Leased { lease } if self.limits.plays(Bug::StaleReportAccepted) => {
                self.complete(key, worker, bytes);
                self.answer(lease, 1);
            }
            _ if self.limits.plays(Bug::StaleCopyKept) => {}
            _ => self.drops.push((worker, key)),
        }
    }

    fn measured(&mut self, tasks: &TaskRange, busy_us: u64) {
        let each = busy_us / (tasks.chunks.end - tasks.chunks.start).max(1);
        if let Some(job) = self.jobs.get_mut(&tasks.job) {
            let stage = &mut job.stages[tasks.stage.0 as usize];
            let mean = if stage.mean_us == 0 { each } else { (3 * stage.mean_us + each) / 4 };
            stage.mean_us = mean.max(1);
        }
    }

    fn returned(&mut self, worker: WorkerId, lease: LeaseId, tasks: &TaskRange) {
        let thief = self.end_revoke(worker, lease);
        if let Some(l) = self.leases.get_mut(&lease).filter(|l| l.worker == worker) {
            l.fixed = true;
        }
        for key in tasks.keys() {
            if !self.exists(key.job, key.stage, key.chunk) {
                return;
            }
            if !self.is_current(worker, lease, key) {
                continue;
            }
            self.close_one(lease, key);
            if self.limits.plays(Bug::ReturnedTasksLost) {
                self.set(key, TaskState::Waiting { missing: 1 });
                continue;
            }
            self.requeue(key);
            let Some(thief) = thief.filter(|t| self.workers.get(t).is_some_and(|w| !w.leaving)) else {
                continue;
            };
            if self.task(key) == (TaskState::Ready { worker: None }) && self.may_go(key, thief) {
                self.enqueue(key, thief);
            }
        }
    }

    /// A task that was leased or queued stands where its inputs allow; one that has failed with them meanwhile stays so.
    pub(crate) fn requeue(&mut self, key: TaskKey) {
        if self.task(key) == TaskState::Failed {
            return;
        }
        match self.missing_inputs(key, None) {
            0 => self.ready(key),
            missing => {
                self.set(key, TaskState::Waiting { missing });
                self.fail_with_inputs(key);
            }
        }
    }
}
