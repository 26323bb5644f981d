//! What every chunk must contain, by direct recursion.
//!
//! Knows plans. Must not know the cores.

use crate::programs::needed;
use crate::rng::mix;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tilework_plan::{ChunkIdx, JobId, Origin, Plan, StageIdx, TaskKey};

/// Bytes of values are fewer.
pub(crate) const VALUE_BYTES_MAX: u64 = 1500;

/// The plans of all jobs, and the contents of their chunks as far as they were asked for.
#[derive(Default)]
pub(crate) struct Reference {
    plans: BTreeMap<JobId, Arc<Plan>>,
    /// The tasks that outputs depend on.
    needed: BTreeMap<JobId, BTreeSet<(StageIdx, ChunkIdx)>>,
    values: BTreeMap<TaskKey, u64>,
}

impl Reference {
    pub fn insert(&mut self, job: JobId, plan: Arc<Plan>) {
        self.needed.insert(job, needed(&plan));
        self.plans.insert(job, plan);
    }

    /// Whether an output of its job depends on a task.
    pub fn is_needed(&self, key: TaskKey) -> bool {
        self.needed[&key.job].contains(&(key.stage, key.chunk))
    }

    pub fn plan(&self, job: JobId) -> Arc<Plan> {
        self.plans[&job].clone()
    }

    /// A chunk's name by its maker.
    pub fn canonical(&self, key: TaskKey) -> TaskKey {
        match self.plans[&key.job].stage(key.stage).origin {
            Origin::Earlier { job, output } => {
                let stage = self.plans[&job].outputs[output as usize];
                self.canonical(TaskKey { job, stage, chunk: key.chunk })
            }
            _ => key,
        }
    }

    /// Bytes that a chunk has once it is made.
    pub fn bytes(&mut self, key: TaskKey) -> u64 {
        let plan = self.plan(key.job);
        match plan.stage(key.stage).is_measured() {
            true => self.value(key) % VALUE_BYTES_MAX,
            false => plan.out_bytes(key.stage, key.chunk),
        }
    }

    /// Bytes of a block of a chunk that is made of so many.
    pub fn block_bytes(&mut self, key: TaskKey, number: u64) -> u64 {
        let plan = self.plan(key.job);
        let barrier = plan.barrier_of(key.stage).expect("blocks are read behind a barrier");
        let n = plan.readers((barrier, ChunkIdx(0)), 0).n_tasks();
        block(self.value(key), number) % (2 * self.bytes(key) / n + 1)
    }

    /// Whether a task is one of some, or depends on one.
    pub fn depends_on(&self, key: TaskKey, any_of: &BTreeSet<TaskKey>) -> bool {
        let key = self.canonical(key);
        any_of.contains(&key) || self.inputs(key).iter().any(|(_, input)| self.depends_on(*input, any_of))
    }

    /// What a task is fed with, with the position among the stage's inputs.
    pub fn feeds(&self, key: TaskKey) -> Vec<(usize, StageIdx, ChunkIdx)> {
        let mut inputs: Vec<(usize, StageIdx, ChunkIdx)> = Vec::new();
        self.plans[&key.job].feeds_of(key.stage, key.chunk, &mut inputs);
        inputs
    }

    /// The same by their makers' names.
    pub fn inputs(&self, key: TaskKey) -> Vec<(usize, TaskKey)> {
        self.feeds(key)
            .iter()
            .map(|&(slot, stage, chunk)| (slot, self.canonical(TaskKey { job: key.job, stage, chunk })))
            .collect()
    }

    /// What a chunk must contain.
    pub fn value(&mut self, key: TaskKey) -> u64 {
        let key = self.canonical(key);
        if let Some(v) = self.values.get(&key) {
            return *v;
        }
        let plan = self.plan(key.job);
        let mut inputs: Vec<(usize, u64)> = Vec::new();
        for (slot, input) in self.inputs(key) {
            let whole = self.value(input);
            let reads_block = plan.reads_blocks(key.stage, slot);
            inputs.push((slot, if reads_block { block(whole, key.chunk.0) } else { whole }));
        }
        let v = made(key, inputs.into_iter());
        self.values.insert(key, v);
        v
    }
}

/// What a block of a chunk contains.
pub(crate) fn block(whole: u64, number: u64) -> u64 {
    mix(whole ^ mix(number ^ 0x54))
}

/// What a task makes of what it reads.
pub(crate) fn made(key: TaskKey, inputs: impl Iterator<Item = (usize, u64)>) -> u64 {
    let own = mix(mix(key.job.0 ^ 0x51) ^ mix(u64::from(key.stage.0) ^ 0x52) ^ mix(key.chunk.0 ^ 0x53));
    inputs.fold(own, |at, (slot, v)| mix(at ^ mix(v ^ slot as u64)))
}
