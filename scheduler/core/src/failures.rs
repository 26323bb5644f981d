//! Tasks that could not be done: what is tried again, how often, and what ends a job.
//!
//! Knows what went wrong with which task. Must not know how lost chunks are made again.

use crate::attempts::Attempts;
use crate::limits::Bug;
use crate::phase::ClientPhase;
use crate::scheduler::{Scheduler, range_of};
use crate::table::TaskState;
use tilework_plan::{
    Hello, Instruction, JobError, JobId, LeaseId, StageIdx, TaskError, TaskKey, Update, WorkerId,
};

/// What a worker says of an input that it did not get.
pub(crate) struct Missed<'a> {
    /// The chunk, by its maker's name.
    pub input: TaskKey,
    /// Who should have had it.
    pub peer: WorkerId,
    /// Whether there is no connection to that worker.
    pub away: bool,
    pub why: &'a str,
}

impl Scheduler {
    pub(crate) fn failed(&mut self, worker: WorkerId, lease: LeaseId, key: TaskKey, error: &TaskError) {
        self.close_one(lease, key);
        self.requeue(key);
        let memory = self.workers[&worker].hello.memory_bytes;
        let record = self.retry_records.entry(key).or_default();
        match error {
            TaskError::Operation(message) => self.operation_failed(worker, key, (message, &[])),
            TaskError::Detailed { message, detail, elsewhere: false } => {
                self.operation_failed(worker, key, (message, detail));
            }
            TaskError::Memory { needed, .. } => {
                record.memory_over = record.memory_over.max(memory);
                record.memory_needed = record.memory_needed.max(*needed);
                self.fail_for_memory(key, *needed);
            }
            TaskError::Worker(message) => self.worker_failed(worker, key, (message, &[])),
            TaskError::Detailed { message, detail, elsewhere: true } => {
                self.worker_failed(worker, key, (message, detail));
            }
        }
    }

    /// A worker could not do a task: others try, up to a number of them.
    fn worker_failed(&mut self, worker: WorkerId, key: TaskKey, (message, detail): (&str, &[u8])) {
        let failures_max = self.limits.failures_max;
        let record = self.retry_records.entry(key).or_default();
        record.failures += 1;
        record.avoid(worker);
        if record.failures >= failures_max {
            let message = format!("{} workers failed to do it, the last one: {message}", record.failures);
            self.fail_operation(key, message, detail);
        }
    }

    /// A task's operation failed on a worker: it is tried again, rather elsewhere, as often as its job asks for.
    fn operation_failed(&mut self, worker: WorkerId, key: TaskKey, (message, detail): (&str, &[u8])) {
        let retries = match self.jobs[&key.job].plan.stage(key.stage).terms().retries {
            retries if self.limits.plays(Bug::RetriesForgotten) => retries.min(1),
            retries => retries,
        };
        let name = &self.workers[&worker].hello.name;
        let record = self.retry_records.entry(key).or_default();
        record.avoid(worker);
        match record.attempts.failed(retries, name, message) {
            Ok(()) if self.limits.plays(Bug::RetriesUncounted) => record.attempts = Attempts::default(),
            Ok(()) => {}
            Err(why) => self.fail_operation(key, why, detail),
        }
    }

    /// Ends a job because of one of its tasks, which may say why as bytes too.
    pub(crate) fn fail_operation(&mut self, key: TaskKey, message: String, detail: &[u8]) {
        let chunk = key.chunk.0;
        let error = match detail {
            [] => JobError::Operation { operation: self.operation(key), chunk, message },
            detail => {
                let (operation, detail) = (self.operation(key), detail.to_vec());
                JobError::Detailed { operation, chunk, message, detail }
            }
        };
        self.fail_task(key, error);
    }

    /// What a task does, for people.
    pub(crate) fn in_words(&self, key: TaskKey) -> String {
        self.jobs[&key.job].plan.stage(key.stage).in_words()
    }

    pub(crate) fn operation(&self, key: TaskKey) -> String {
        self.jobs[&key.job].plan.stage(key.stage).name.to_owned()
    }

    /// A task was not run because an input could not be had from a peer. That copy is lost where its own holder says
    /// so, or after a number of failures; else the task is tried again, rather elsewhere. Where there is no connection
    /// to the peer, it goes to a worker that has one, or its inputs do.
    pub(crate) fn unreachable(
        &mut self,
        worker: WorkerId,
        lease: LeaseId,
        key: TaskKey,
        missed: &Missed<'_>,
    ) {
        let Missed { input, peer, away, why } = *missed;
        self.close_one(lease, key);
        let holder = self.task(input).holder().filter(|_| self.reads(key, input));
        let Some(holder) = holder.filter(|h| *h == peer || *h == worker) else { return self.requeue(key) };
        self.note_missed(key, worker, (peer, why));
        if away && holder == peer {
            self.cut_off(worker, peer, why);
            return self.requeue(key);
        }
        self.retry_records.entry(key).or_default().avoid(worker);
        let copy = self.retry_records.entry(input).or_default();
        copy.unreachable += 1;
        if holder == worker || copy.unreachable >= self.limits.unreachable_max {
            copy.unreachable = 0;
            self.set(key, TaskState::Waiting { missing: 0 });
            self.tell_of_lost(input);
            self.lose_chunks(vec![input]);
        }
        self.requeue(key);
    }

    /// The holder of a chunk says that it is lost.
    pub(crate) fn lost_by_holder(&mut self, worker: WorkerId, key: TaskKey) {
        let held = self.exists(key.job, key.stage, key.chunk);
        if held && self.task(key).holder() == Some(worker) {
            self.tell_of_lost(key);
            self.lose_chunks(vec![key]);
        }
    }

    /// Clients that may be reading a chunk stop waiting for its holder.
    fn tell_of_lost(&mut self, key: TaskKey) {
        let stage = self.jobs[&key.job].stage(key.stage);
        let own = (key.job, key.stage);
        let named: Vec<(JobId, StageIdx)> = stage.aliases.iter().copied().chain([own]).collect();
        for (id, stage) in named {
            let job = &self.jobs[&id];
            let may_read = match job.client_phase {
                ClientPhase::Told { .. } => true,
                ClientPhase::Waits => self.tells_each(id),
                ClientPhase::Gone { .. } => false,
            };
            if may_read && job.stage(stage).is_output {
                self.update(id, Update::ChunksLost { tasks: range_of(key) });
            }
        }
    }

    /// One more attempt in which a worker could not have the inputs of a task; its job fails after a number of them.
    pub(crate) fn note_missed(&mut self, key: TaskKey, worker: WorkerId, (peer, why): (WorkerId, &str)) {
        let attempts = &mut self.retry_records.entry(key).or_default().transfers_failed;
        *attempts += 1;
        let attempts = *attempts;
        if attempts >= self.limits.transfers_failed_max {
            let message = format!(
                "its inputs could not be had in {attempts} attempts; at last {} could not get one from {}: {why}",
                self.worker_in_words(worker),
                self.worker_in_words(peer)
            );
            self.fail_operation(key, message, &[]);
        }
    }

    /// A client cannot put a chunk to the worker that waits for it: another worker gets the task. The job
    /// fails where its client could reach none of them.
    pub(crate) fn put_failed(&mut self, lease: LeaseId, key: TaskKey, why: &str) {
        let Some(l) = self.leases.get(&lease) else { return };
        let worker = l.worker;
        if !self.is_current(worker, lease, key)
            || !self.jobs[&key.job].is_upload(key.stage)
            || self.limits.plays(Bug::PutFailureIgnored)
        {
            return;
        }
        self.close_one(lease, key);
        self.tell(worker, Instruction::Revoke { lease, tasks: range_of(key) });
        let record = self.retry_records.entry(key).or_default();
        record.avoid(worker);
        let avoid = &record.avoid;
        let left = self.workers.iter().any(|(w, s)| !s.leaving && !avoid.contains(w));
        if !left {
            let message = format!("it cannot be put to {}: {why}", self.worker_in_words(worker));
            self.fail_operation(key, message, &[]);
        }
        self.requeue(key);
    }

    /// A worker's name and addresses.
    fn worker_in_words(&self, worker: WorkerId) -> String {
        match self.workers.get(&worker).map(|w| &w.hello) {
            Some(Hello { name, addresses, .. }) => format!("worker '{name}' at {}", addresses.join(" ")),
            None => format!("worker {}, which is gone", worker.0),
        }
    }

    /// Whether a chunk is one that a task reads, by its maker's name.
    fn reads(&mut self, key: TaskKey, input: TaskKey) -> bool {
        self.with_inputs(key, |me, inputs| {
            inputs.iter().any(|&(_, stage, chunk)| {
                let behind = me.jobs[&key.job].plan.behind(stage);
                let chunk = if behind == stage { chunk } else { input.chunk };
                me.canonical(TaskKey { stage: behind, chunk, ..key }) == input
            })
        })
    }

    /// Workers that died while they may have been running these tasks: some tasks kill.
    pub(crate) fn note_deaths(&mut self, suspects: &[TaskKey], incarnation: u64, why: &str) {
        for key in suspects {
            let deaths = &mut self.retry_records.entry(*key).or_default().deaths;
            deaths.push(incarnation);
            let deaths = deaths.len() as u32;
            if deaths >= self.limits.deaths_max {
                self.fail_as_deadly(*key, deaths, why);
            }
        }
    }

    /// The process of a worker that was lost is there: what it ran did not kill it.
    pub(crate) fn forgive(&mut self, incarnation: u64) {
        if !self.limits.plays(Bug::ReturnIsDeath) {
            self.retry_records.values_mut().for_each(|t| t.deaths.retain(|dead| *dead != incarnation));
            self.suspects.forgive(incarnation);
        }
    }

    /// Workers that fell silent while they may have been running these tasks. Whoever stops or suspends workers does no
    /// wrong to their tasks, so that many more of them are borne than deaths; but a task that stops whoever runs it must
    /// not go round for ever.
    pub(crate) fn note_silence(&mut self, suspects: &[TaskKey], why: &str) {
        for key in suspects {
            let record = self.retry_records.entry(*key).or_default();
            record.silences += 1;
            let silences = record.silences;
            if silences >= self.limits.silences_max {
                self.fail_as_deadly(*key, silences, why);
            }
        }
    }

    fn fail_as_deadly(&mut self, key: TaskKey, deaths: u32, why: &str) {
        let (operation, last_words) = (self.in_words(key), why.to_owned());
        self.fail_task(key, JobError::Deadly { operation, chunk: key.chunk.0, deaths, last_words });
    }
}
