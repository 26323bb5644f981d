//! Jobs that nobody is there to do: no worker at all, or none that is large enough. A lost worker is no mistake of the
//! user's, and another may come; after a time the client is told what was waited for, and how those that were there ended.
//!
//! Knows who is there and what is under way. Must not know why a task fits nowhere.

use crate::job::Job;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::worker::{ReadyKey, WorkerState};
use tilework_plan::quantities::bytes;
use tilework_plan::{JobError, JobId, TaskKey, WorkerId};

/// Workers of which is remembered how they ended.
const ENDS_MAX: usize = 4;
/// Of the memory that a worker may use, what its process must have for the end of it to look like one for memory, per cent.
const FULL_PERCENT: u64 = 90;

impl Scheduler {
    /// Notes which jobs wait for a worker, and where it is time to judge fails those that have waited too long; whether
    /// there were any.
    pub(crate) fn find_alone(&mut self, judges: bool) -> bool {
        let somebody = self.somebody_stays();
        let resting = self.leases.is_empty() && self.n_ready == 0 && self.publishing.is_empty();
        let resting = resting && self.withdrawing.is_empty();
        let nothing_waits = self.unplaced.is_empty() && self.lacking.is_empty();
        if somebody && !resting && nothing_waits && self.alone.is_empty() {
            return false;
        }
        let waits = |id: &JobId| !somebody || resting || self.fits_nobody(*id) || self.waits_for_tags(*id);
        // What is kept for nobody but under a name can wait: it is made again when somebody comes.
        let asked = |j: &Job| j.client_phase.holds() || j.n_readers > 0;
        let open = self.jobs.iter().filter(|(_, j)| asked(j) && j.is_running());
        let alone: Vec<JobId> = open.map(|(id, _)| *id).filter(waits).collect();
        self.alone.retain(|id, _| alone.contains(id));
        let (now_us, grace_us) = (self.now_us, self.limits.grace_us);
        for id in alone {
            let since_us = *self.alone.entry(id).or_insert(now_us);
            if judges && now_us.saturating_sub(since_us) >= grace_us && !self.limits.plays(Bug::GraceIgnored)
            {
                self.alone.remove(&id);
                let (waiting, ended) = (self.waiting(id), self.how_they_ended());
                let error = JobError::NoWorker { waiting, waited_s: grace_us / 1_000_000, ended };
                self.failing.push((id, error));
            }
        }
        !self.failing.is_empty()
    }

    /// Whether a job has ready tasks, and all of them fit into no worker.
    fn fits_nobody(&self, id: JobId) -> bool {
        let bounds: Vec<_> =
            self.jobs[&id].priorities().into_iter().map(|p| ReadyKey::bounds(id, p)).collect();
        let has_some = |w: &WorkerState| bounds.iter().any(|b| w.ready.range(b.clone()).next().is_some());
        self.unplaced.iter().any(|k| k.job == id)
            && self.jobs[&id].stages.iter().all(|s| s.table.counts().leased == 0)
            && !self.workers.values().any(has_some)
    }

    /// Why a worker was lost, with the memory that it had where that was about as much as it may use: the system kills who
    /// has too much, and nobody else is told.
    pub(crate) fn with_memory(&self, worker: WorkerId, why: String) -> String {
        let full = |w: &&WorkerState| {
            let (has, may) = (u128::from(w.bytes_resident), u128::from(w.hello.memory_bytes));
            has * 100 >= may * u128::from(FULL_PERCENT) && has > 0
        };
        match self.workers.get(&worker).filter(full) {
            Some(w) => format!(
                "{why}; its process had {} when it was last heard of, and may use {}: the system may have killed it for \
                 memory",
                bytes(w.bytes_resident),
                bytes(w.hello.memory_bytes)
            ),
            None => why,
        }
    }

    /// Remembers how a worker ended.
    pub(crate) fn note_worker_end(&mut self, name: String, why: &str) {
        if self.ends.len() == ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back((name, why.to_owned()));
    }

    fn waiting(&mut self, id: JobId) -> String {
        let unplaced = self.unplaced.iter().find(|k| k.job == id).copied();
        let somebody = self.somebody_stays();
        let build = self.jobs[&id].functions_build.as_deref();
        if !self.workers.values().any(|w| !w.leaving && w.hello.calls(build)) && !self.workers.is_empty() {
            return "no worker that is there is the program whose functions it calls".to_owned();
        }
        if let Some(lack) = self.lack_in_words(id, unplaced).filter(|_| somebody) {
            return lack;
        }
        let limit = |key: TaskKey| self.most_memory_for(&self.jobs[&id], key.stage);
        if let Some((key @ TaskKey { stage, chunk, .. }, limit)) = unplaced.and_then(|k| Some((k, limit(k)?)))
        {
            let blocks = self.bytes_of_blocks(key).saturating_mul(2);
            let needed = self.jobs[&id].plan.task_bytes(stage, chunk).saturating_add(blocks);
            let needed = needed.max(self.retry_records.get(&key).map_or(0, |t| t.memory_needed));
            let operation = self.in_words(key);
            return format!(
                "{operation}, chunk {}, needs {}, and the largest worker that is there may use {}",
                chunk.0,
                bytes(needed),
                bytes(limit)
            );
        }
        let (done, total) = self.jobs[&id].progress();
        format!("{done} of {total} tasks are done")
    }

    fn how_they_ended(&self) -> String {
        let ends: Vec<String> = self.ends.iter().map(|(name, why)| format!("'{name}' ({why})")).collect();
        match ends.len() {
            0 => "none has ended".to_owned(),
            _ => format!("the last to end: {}", ends.join(", ")),
        }
    }
}
