//! What follows from a chunk coming to exist, and from a task being done: readers become ready, inputs are dropped.
//!
//! Knows the counts of missing inputs and pending readers. Must not know where tasks run.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey, WorkerId};

impl Scheduler {
    /// A task was done and its chunk is at `holder`.
    pub(crate) fn complete(&mut self, key: TaskKey, holder: WorkerId, bytes: Option<u64>) {
        if let Some(bytes) = bytes.filter(|_| self.jobs[&key.job].plan.stage(key.stage).is_measured()) {
            self.measure(key, holder, bytes);
        }
        self.set(key, TaskState::Held { holder: Some(holder), pending: 0 });
        self.note_made(key, holder);
        if !self.retry_records.is_empty() {
            self.retry_records.remove(&key);
        }
        if self.jobs[&key.job].stage(key.stage).is_output {
            self.unsettled.insert(key.job);
        }
        self.read_inputs(key);
        self.publish(key);
        for i in 0..self.jobs.get(&key.job).map_or(0, |j| j.stage(key.stage).aliases.len()) {
            let (job, stage) = self.jobs[&key.job].stage(key.stage).aliases[i];
            let alias = TaskKey { job, stage, chunk: key.chunk };
            if matches!(self.task(alias), TaskState::Waiting { .. }) {
                self.promote(alias);
            }
        }
    }

    /// The bytes of a result are known: what was charged for it was a guess.
    fn measure(&mut self, key: TaskKey, holder: WorkerId, bytes: u64) {
        let job = self.jobs.get_mut(&key.job).expect("the job of a chunk");
        let before = job.measure(key.stage, key.chunk, bytes);
        job.charge(holder, bytes);
        job.uncharge(holder, before);
        if let Some(w) = self.workers.get_mut(&holder) {
            w.bytes_committed = w.bytes_committed + bytes - before;
            if self.limits.plays(Bug::MeasureForgotten) {
                w.bytes_committed = w.bytes_committed + before - bytes;
            }
        }
    }

    /// The chunk of another job that this record stands for exists.
    pub(crate) fn promote(&mut self, alias: TaskKey) {
        self.set(alias, TaskState::Held { holder: None, pending: 0 });
        if self.jobs[&alias.job].stage(alias.stage).is_output {
            self.unsettled.insert(alias.job);
        }
        self.publish(alias);
    }

    /// A task needs its inputs no more.
    pub(crate) fn read_inputs(&mut self, key: TaskKey) {
        self.with_inputs(key, |me, inputs| {
            for &(slot, stage, chunk) in inputs {
                let input = TaskKey { stage, chunk, ..key };
                if me.sees(input, (key.stage, slot, key.chunk)) {
                    me.read_once(input);
                }
            }
        });
    }

    /// One reading of a chunk is done.
    fn read_once(&mut self, input: TaskKey) {
        let TaskState::Held { holder, pending } = self.task(input) else { return };
        let pending = match self.limits.plays(Bug::ReleasedWithFirstReader) && self.is_barrier(input) {
            true => 0,
            false => pending.saturating_sub(1),
        };
        self.set(input, TaskState::Held { holder, pending });
        if (pending == 0 || (pending == 1 && self.limits.plays(Bug::ReleasedTooEarly)))
            && !self.is_publishing(input)
        {
            self.release_unless_kept(input);
        }
    }

    /// Tells the readers of a chunk that it exists, and counts those that are yet to read it.
    fn publish(&mut self, key: TaskKey) {
        if self.begin_publishing(key) {
            return;
        }
        let pending = self.with_consumers(key, |me, consumers| {
            let mut pending = 0;
            for &(stage, chunk) in consumers {
                let reader = TaskKey { stage, chunk, ..key };
                let state = me.task(reader);
                pending += u32::from(!me.has_read(reader, state));
                let missing = match state {
                    TaskState::Untouched => me.missing_inputs(reader, Some(key)),
                    TaskState::Waiting { missing } => missing,
                    _ => continue,
                };
                me.misses_one_less(reader, missing);
            }
            pending
        });
        if let TaskState::Held { holder, .. } = self.task(key) {
            self.set(key, TaskState::Held { holder, pending });
        }
        if pending == 0 {
            self.release_unless_kept(key);
        }
    }

    /// The inputs of a task that do not exist; `but` counts as one of them.
    pub(crate) fn missing_inputs(&mut self, key: TaskKey, but: Option<TaskKey>) -> u32 {
        self.with_inputs(key, |me, inputs| {
            let job = &me.jobs[&key.job];
            let missing = |&&(slot, s, c): &&(usize, StageIdx, ChunkIdx)| {
                let input = TaskKey { job: key.job, stage: s, chunk: c };
                but == Some(input)
                    || match me.publishing.is_empty() {
                        true => !job.state(s, c).is_held(),
                        false => !me.sees(input, (key.stage, slot, key.chunk)),
                    }
            };
            inputs.iter().filter(missing).count() as u32
        })
    }

    /// All inputs of a task exist, or all results that a barrier stands for.
    pub(crate) fn ready(&mut self, key: TaskKey) {
        let Some(job) = self.jobs.get_mut(&key.job) else { return };
        job.set(key.stage, key.chunk, TaskState::Ready { worker: None });
        match job.stage(key.stage).is_barrier {
            true => self.opening.push(key),
            false => {
                self.unplaced.push(key);
                self.may_place = true;
            }
        }
    }

    pub(crate) fn release_unless_kept(&mut self, key: TaskKey) {
        self.publishing.remove(&key);
        if self.is_kept(key) {
            return self.note_kept(key);
        }
        if let TaskState::Held { holder, .. } = self.task(key) {
            self.set(key, TaskState::Released);
            if let Some(holder) = holder {
                self.uncharge(holder, key.job, key.stage, key.chunk);
                self.drops.push((holder, key));
            } else if self.is_barrier(key) {
                // What it stands for was read as long as it was.
                self.read_inputs(key);
                self.forget_holders(key);
            }
        }
    }

    /// A worker's memory is charged for a result no more.
    pub(crate) fn uncharge(&mut self, worker: WorkerId, job: JobId, stage: StageIdx, chunk: ChunkIdx) {
        let job = self.jobs.get_mut(&job).expect("the job of a chunk");
        let bytes = job.bytes(stage, chunk);
        job.uncharge(worker, bytes);
        if let Some(w) = self.workers.get_mut(&worker) {
            w.bytes_committed -= bytes;
            self.to_fill.insert(worker);
            self.shrink_beyond(worker);
        }
    }
}
