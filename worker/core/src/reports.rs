//! What is told to the scheduler, gathered so that short tasks cost little, and told at once where somebody waits.
//!
//! Knows what was done and not told. Must not know why it was done.

use crate::event::Action;
use crate::limits::Limits;
use crate::worker::Worker;
use std::collections::BTreeMap;
use tilework_plan::{ChunkIdx, JobId, LeaseId, Report, TaskKey, TaskRange};

/// A task that is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Done {
    /// The lease that the report answers.
    pub lease: LeaseId,
    pub key: TaskKey,
    /// Time in kernels.
    pub busy_us: u64,
    /// Bytes that were fetched for it.
    pub bytes_fetched: u64,
    /// Bytes of its chunk, where those were not known before.
    pub bytes: Option<u64>,
}

impl Done {
    /// A task whose chunk was here already, or was put here.
    pub fn at_once(lease: LeaseId, key: TaskKey, bytes: Option<u64>) -> Done {
        Done { lease, key, busy_us: 0, bytes_fetched: 0, bytes }
    }
}

/// Reports that were not sent.
#[derive(Default, Debug)]
pub(crate) struct Outgoing {
    done: Vec<Done>,
    /// When the first of `done` came.
    since_us: u64,
    others: Vec<Report>,
    /// Bytes of each job's chunks that were written to the disk.
    spilled: BTreeMap<JobId, u64>,
    /// When a sign of life is due.
    alive_at_us: u64,
}

impl Outgoing {
    /// A task is done.
    pub fn done(&mut self, done: Done, now_us: u64) {
        if self.done.is_empty() {
            self.since_us = now_us;
        }
        self.done.push(done);
    }

    /// A chunk was written to the disk.
    pub fn spilled(&mut self, job: JobId, bytes: u64) {
        *self.spilled.entry(job).or_default() += bytes;
    }

    pub fn other(&mut self, report: Report) {
        self.others.push(report);
    }

    /// What was done for a job that is over interests nobody.
    pub fn forget(&mut self, job: JobId) {
        self.done.retain(|d| d.key.job != job);
        self.spilled.remove(&job);
    }

    pub fn clear(&mut self) {
        self.done.clear();
        self.others.clear();
        self.spilled.clear();
    }

    /// When something has to be told at the latest.
    pub fn wake_us(&self, limits: &Limits) -> u64 {
        if self.done.is_empty() {
            self.alive_at_us
        } else {
            self.alive_at_us.min(self.since_us + limits.flush_us)
        }
    }

    fn is_due(&self, now_us: u64, limits: &Limits, needs_work: bool) -> bool {
        let full = self.done.len() >= limits.batch_max;
        let late = now_us >= self.since_us + limits.flush_us;
        !self.others.is_empty()
            || now_us >= self.alive_at_us
            || (!self.done.is_empty() && (needs_work || full || late))
    }

    /// Everything that was done, as ranges, then the rest.
    fn take(&mut self) -> Vec<Report> {
        self.done.sort_unstable();
        let spilled = std::mem::take(&mut self.spilled).into_iter();
        let mut reports: Vec<Report> = spilled.map(|(job, bytes)| Report::Spilled { job, bytes }).collect();
        for Done { lease, key, busy_us, bytes_fetched, bytes } in self.done.drain(..) {
            match reports.last_mut() {
                Some(Report::Done { lease: l, tasks: r, busy_us: busy, bytes_fetched: fetched, sizes })
                    if (*l, r.job, r.stage) == (lease, key.job, key.stage) && r.chunks.end == key.chunk.0 =>
                {
                    r.chunks.end += 1;
                    *busy += busy_us;
                    *fetched += bytes_fetched;
                    sizes.extend(bytes);
                }
                _ => {
                    let sizes = bytes.into_iter().collect();
                    reports.push(Report::Done { lease, tasks: one(key), busy_us, bytes_fetched, sizes });
                }
            }
        }
        reports.append(&mut self.others);
        reports
    }
}

fn one(key: TaskKey) -> TaskRange {
    let ChunkIdx(c) = key.chunk;
    TaskRange { job: key.job, stage: key.stage, chunks: c..c + 1 }
}

impl Worker {
    /// Bytes of a chunk that is here, where those were not known before it was made.
    pub(crate) fn measured_bytes(&self, key: TaskKey) -> Option<u64> {
        let plan = self.jobs.get(&key.job)?.plan.as_ref().ok()?;
        self.store.bytes_of(key).filter(|_| plan.stage(key.stage).is_measured())
    }

    /// Tells the scheduler what is due.
    pub(crate) fn report(&mut self, out: &mut Vec<Action>) {
        let needs_work = self.n_running < self.limits.threads;
        if !self.outgoing.is_due(self.now_us, &self.limits, needs_work) {
            return;
        }
        let mut reports = self.outgoing.take();
        if self.now_us >= self.outgoing.alive_at_us {
            self.outgoing.alive_at_us = self.now_us + self.limits.alive_us;
            let (bytes_held, bytes_on_disk) = (self.store.bytes_used(), self.store.bytes_on_disk);
            // What its process has, the driver knows.
            reports.push(Report::Alive { bytes_held, bytes_on_disk, bytes_resident: 0 });
            reports.extend(self.threads.news());
        }
        out.push(Action::Report(reports));
    }
}
