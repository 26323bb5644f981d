//! Tasks that fail alone: own tasks of the user's, each of which gives a value that others may do without. One that fails
//! fails those that read its result, and not its job; the client is told of each result as it comes to exist or fails.
//!
//! Knows what failed and why, and what the client was not told. Must not know why tasks fail.

use crate::holdings::push_holding;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{ChunkIdx, Holding, JobError, JobId, StageIdx, TaskKey, TaskRange, Update, WorkerId};

/// What is known of a job's tasks one by one.
#[derive(Default)]
pub(crate) struct Singles {
    /// Why tasks have failed.
    failed: BTreeMap<(StageIdx, u64), Arc<JobError>>,
    /// Results of outputs that came to exist, and the client was not told.
    made: BTreeMap<StageIdx, Vec<Holding>>,
    /// Tasks of outputs that failed, and the client was not told.
    untold: Vec<(StageIdx, Range<u64>, Arc<JobError>)>,
}

impl Singles {
    /// Why a task has failed.
    pub fn why(&self, stage: StageIdx, chunk: ChunkIdx) -> Option<&Arc<JobError>> {
        self.failed.get(&(stage, chunk.0))
    }

    /// What came to exist is told of in another way.
    pub fn forget_made(&mut self) {
        self.made.clear();
    }

    fn fail(&mut self, (stage, chunk): (StageIdx, ChunkIdx), why: &Arc<JobError>, is_output: bool) {
        self.failed.insert((stage, chunk.0), why.clone());
        if !is_output {
            return;
        }
        self.untold.push((stage, chunk.0..chunk.0 + 1, why.clone()));
    }
}

impl Scheduler {
    /// Ends a job because of one of its tasks, or that task and those that read its result where it fails alone.
    pub(crate) fn fail_task(&mut self, key: TaskKey, error: JobError) {
        if self.jobs[&key.job].plan.stage(key.stage).fails_alone {
            self.fail_alone(key, &Arc::new(error));
        } else {
            self.failing.push((key.job, error));
        }
    }

    /// A task that is not done fails, and with it those that wait for its result, in this job and in others.
    fn fail_alone(&mut self, key: TaskKey, why: &Arc<JobError>) {
        let mut failing = vec![key];
        while let Some(key) = failing.pop() {
            if !self.jobs[&key.job].plan.stage(key.stage).fails_alone {
                // Of an array, nothing can do without it.
                if !self.task(key).is_done() && !self.limits.plays(Bug::ArrayAwaitsFailed) {
                    self.failing.push((key.job, (**why).clone()));
                }
                continue;
            }
            match self.task(key) {
                // Whoever has it has its inputs, or will say that it does not get them.
                TaskState::Leased { .. } | TaskState::Failed => continue,
                TaskState::Ready { worker } => self.dequeue(key, worker),
                TaskState::Held { .. } | TaskState::Released => continue,
                TaskState::Untouched | TaskState::Waiting { .. } => {}
            }
            self.retry_records.remove(&key);
            self.set(key, TaskState::Failed);
            let job = self.jobs.get_mut(&key.job).expect("the job of a task");
            let is_output = job.stage(key.stage).is_output;
            job.singles.fail((key.stage, key.chunk), why, is_output);
            if is_output {
                self.unsettled.insert(key.job);
                self.untold.insert(key.job);
            }
            if !self.limits.plays(Bug::FailedReadersKept) && !self.reviving.contains(&key) {
                self.read_inputs(key);
            }
            self.with_consumers(key, |_, consumers| {
                failing.extend(consumers.iter().map(|&(stage, chunk)| TaskKey { stage, chunk, ..key }));
            });
            if self.limits.plays(Bug::FailureStaysInJob) {
                continue;
            }
            let aliases = self.jobs[&key.job].stage(key.stage).aliases.iter();
            let waits = |alias: &TaskKey| matches!(self.task(*alias), TaskState::Waiting { .. });
            let named = aliases.map(|&(job, stage)| TaskKey { job, stage, chunk: key.chunk });
            failing.extend(named.filter(waits));
        }
    }

    /// Fails a task that can never run because something that it reads has failed; whether it did.
    pub(crate) fn fail_with_inputs(&mut self, key: TaskKey) -> bool {
        let plan = &self.jobs[&key.job].plan;
        let stage = plan.stage(key.stage);
        // What an array is made of may fail alone too.
        let of = stage.inputs.first().map(|input| plan.stage(input.stage));
        if !stage.fails_alone && !of.is_some_and(|of| of.fails_alone) {
            return false;
        }
        let why = match self.jobs[&key.job].is_alias(key.stage) {
            true => self.why_failed(key),
            false => self.with_inputs(key, |me, inputs| {
                inputs.iter().find_map(|&(_, stage, chunk)| me.why_failed(TaskKey { stage, chunk, ..key }))
            }),
        };
        why.inspect(|why| self.fail_alone(key, why)).is_some()
    }

    /// Why a task has failed, here or where its result is really made.
    fn why_failed(&self, key: TaskKey) -> Option<Arc<JobError>> {
        let made = self.canonical(key);
        let why = |key: TaskKey| {
            let job = self.jobs.get(&key.job)?;
            let has_failed = job.state(key.stage, key.chunk) == TaskState::Failed;
            job.singles.why(key.stage, key.chunk).filter(|_| has_failed).cloned()
        };
        why(key).or_else(|| why(made))
    }

    /// A result came to exist: the client is told where it is told of each.
    pub(crate) fn note_made(&mut self, key: TaskKey, holder: WorkerId) {
        let job = self.jobs.get_mut(&key.job).expect("the job of a task");
        if job.stage(key.stage).is_output && job.plan.stage(key.stage).fails_alone && job.client_phase.holds()
        {
            push_holding(job.singles.made.entry(key.stage).or_default(), key, holder);
            self.untold.insert(key.job);
        }
    }

    /// Whether a job's client is told of each of its results.
    pub(crate) fn tells_each(&self, id: JobId) -> bool {
        let job = &self.jobs[&id];
        job.plan.outputs.iter().any(|o| job.plan.stage(*o).fails_alone)
    }

    /// Tells clients which results came to exist, and which will not.
    pub(crate) fn tell_of_singles(&mut self) {
        while let Some(id) = self.untold.pop_first() {
            self.tell_of_failed(id);
            let Some(job) = self.jobs.get_mut(&id).filter(|j| j.client_phase.holds()) else { continue };
            let made = std::mem::take(&mut job.singles.made);
            if made.is_empty() {
                continue;
            }
            // What was lost since is made again, and told then.
            let job = &self.jobs[&id];
            let is_there = |h: &Holding| {
                let TaskRange { stage, chunks, .. } = h.chunks.clone();
                let held = |c| job.state(stage, c).holder() == Some(h.worker);
                // What the client has let go of has come to exist all the same, and may be gone.
                let failed = |c| job.state(stage, c) == TaskState::Failed;
                chunks.map(ChunkIdx).all(|c| held(c) || (job.let_go.has(stage, c) && !failed(c)))
            };
            let of = |o: &StageIdx| -> Vec<Holding> {
                made.get(o).into_iter().flatten().filter(|h| is_there(h)).cloned().collect()
            };
            let outputs: Vec<Vec<Holding>> = job.plan.outputs.iter().map(of).collect();
            let holders: BTreeSet<WorkerId> = outputs.iter().flatten().map(|h| h.worker).collect();
            let address = |w: &WorkerId| Some((*w, self.workers.get(w)?.hello.addresses.clone()));
            let addresses = holders.iter().filter_map(address).collect();
            self.update(id, Update::Made { outputs, addresses });
        }
    }

    /// All of a job's results are told of now; those that will not come before.
    pub(crate) fn tell_of_failed(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let mut untold = std::mem::take(&mut job.singles.untold);
        if !job.client_phase.holds() {
            return;
        }
        // Those that fail with one that they read do so in any order, and are told of together.
        untold.sort_unstable_by_key(|(stage, values, _)| (*stage, values.start));
        untold.dedup_by(|(stage, values, why), (before, upto, reason)| {
            let is_next = stage == before && values.start == upto.end && Arc::ptr_eq(why, reason);
            upto.end = if is_next { values.end } else { upto.end };
            is_next
        });
        for (stage, values, why) in untold {
            let outputs = self.jobs[&id].plan.outputs.clone();
            for (output, _) in (0..).zip(outputs).filter(|(_, o)| *o == stage) {
                let error = (*why).clone();
                self.update(id, Update::TasksFailed { output, values: values.clone(), error });
            }
        }
    }
}
