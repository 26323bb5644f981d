//! Tasks that could not be done: what is tried again, how often, and what ends a job.
//!
//! Knows what went wrong with which task. Must not know how lost chunks are made again.

use crate::event::Hello;
use crate::limits::Bug;
use crate::scheduler::{Scheduler, range_of};
use crate::table::TaskState;
use tilework_expr::{Instruction, JobError, JobId, LeaseId, StageIdx, TaskError, TaskKey, Update, WorkerId};

impl Scheduler {
    pub(crate) fn failed(&mut self, worker: WorkerId, lease: LeaseId, key: TaskKey, error: &TaskError) {
        self.close_one(lease, key);
        self.requeue(key);
        let memory = self.workers[&worker].hello.memory_bytes;
        let trouble = self.trouble.entry(key).or_default();
        match error {
            TaskError::Operation(message) => {
                let message = message.clone();
                self.fail_operation(key, message);
            }
            TaskError::Memory { needed, .. } => {
                trouble.memory_over = trouble.memory_over.max(memory);
                self.fail_for_memory(key, *needed);
            }
            TaskError::Worker(message) => {
                trouble.failures += 1;
                trouble.avoid(worker);
                if trouble.failures >= self.limits.failures_max {
                    let message =
                        format!("{} workers failed to do it, the last one: {message}", trouble.failures);
                    self.fail_operation(key, message);
                }
            }
        }
    }

    /// Ends a job because of one of its tasks.
    pub(crate) fn fail_operation(&mut self, key: TaskKey, message: String) {
        let operation = self.operation(key);
        self.failing.push((key.job, JobError::Operation { operation, chunk: key.chunk.0, message }));
    }

    pub(crate) fn operation(&self, key: TaskKey) -> String {
        self.jobs[&key.job].plan.stage(key.stage).name().to_owned()
    }

    /// A task was not run because an input could not be had from `peer`. That copy is lost where its own holder
    /// says so, or after a number of failures; else the task is tried again, rather elsewhere.
    pub(crate) fn unreachable(
        &mut self,
        worker: WorkerId,
        lease: LeaseId,
        key: TaskKey,
        (input, peer): (TaskKey, WorkerId),
    ) {
        self.close_one(lease, key);
        let limits = (self.limits.unreachable_max, self.limits.transfers_failed_max);
        let holder = match self.jobs.contains_key(&input.job).then(|| self.task(input)) {
            Some(TaskState::Held { holder, .. }) if self.reads(key, input) => Some(holder),
            _ => None,
        };
        let Some(holder) = holder.filter(|h| *h == peer || *h == worker) else { return self.requeue(key) };
        let trouble = self.trouble.entry(key).or_default();
        trouble.transfers_failed += 1;
        trouble.avoid(worker);
        if trouble.transfers_failed >= limits.1 {
            let message = format!("its inputs could not be had in {} attempts", trouble.transfers_failed);
            self.fail_operation(key, message);
        }
        let copy = self.trouble.entry(input).or_default();
        copy.unreachable += 1;
        if holder == worker || copy.unreachable >= limits.0 {
            copy.unreachable = 0;
            self.set(key, TaskState::Waiting { missing: 0 });
            self.tell_of_lost(input);
            self.lose_chunks(vec![input]);
        }
        self.requeue(key);
    }

    /// The holder of a chunk says that it is lost.
    pub(crate) fn lost_by_holder(&mut self, worker: WorkerId, key: TaskKey) {
        let holds = |s: &TaskState| matches!(s, TaskState::Held { holder, .. } if *holder == worker);
        let held = self.exists(key.job, key.stage, key.chunk).then(|| self.task(key)).filter(holds);
        if held.is_some() {
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
            if job.client_holds && job.announced && job.stage(stage).is_output {
                self.update(id, Update::ChunksLost { tasks: range_of(key) });
            }
        }
    }

    /// A client cannot put a literal's chunk to the worker that waits for it: another worker gets the task. The job
    /// fails where its client could reach none of them.
    pub(crate) fn put_failed(&mut self, lease: LeaseId, key: TaskKey, why: &str) {
        let Some(l) = self.leases.get(&lease) else { return };
        let worker = l.worker;
        if !self.is_current(worker, lease, key)
            || !self.jobs[&key.job].is_literal(key.stage)
            || self.limits.plays(Bug::PutFailureIgnored)
        {
            return;
        }
        self.close_one(lease, key);
        self.tell(worker, Instruction::Revoke { lease, tasks: range_of(key) });
        let trouble = self.trouble.entry(key).or_default();
        trouble.avoid(worker);
        let avoid = &trouble.avoid;
        let left = self.workers.iter().any(|(w, s)| !s.leaving && !avoid.contains(w));
        if !left {
            let Hello { name, addresses, .. } = &self.workers[&worker].hello;
            let message = format!("it cannot be put to worker '{name}' at {}: {why}", addresses.join(" "));
            self.fail_operation(key, message);
        }
        self.requeue(key);
    }

    /// Whether a chunk is one that a task reads, by its maker's name.
    fn reads(&mut self, key: TaskKey, input: TaskKey) -> bool {
        self.with_inputs(key, |me, inputs| {
            inputs.iter().any(|&(_, stage, chunk)| me.canonical(TaskKey { stage, chunk, ..key }) == input)
        })
    }

    /// Workers that died while they may have been running these tasks: some tasks kill.
    pub(crate) fn note_deaths(&mut self, suspects: &[TaskKey], why: &str) {
        for key in suspects {
            let trouble = self.trouble.entry(*key).or_default();
            trouble.deaths += 1;
            let deaths = trouble.deaths;
            if deaths >= self.limits.deaths_max {
                let operation = self.operation(*key);
                let last_words = why.to_owned();
                let error = JobError::Deadly { operation, chunk: key.chunk.0, deaths, last_words };
                self.failing.push((key.job, error));
            }
        }
    }
}
