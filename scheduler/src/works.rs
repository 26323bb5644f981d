//! What the jobs are made of: their programs, which travel to the workers that are told of them, and what their stages do,
//! for people. The state machine knows the shape of their plans alone.
//!
//! Owns programs as long as anybody may be told of them. Must not know what becomes of their tasks.

use crate::catalog::Catalog;
use std::collections::BTreeMap;
use std::sync::Arc;
use tilework_expr::{Lowered, Program};
use tilework_plan::{ClusterState, Instruction, JobId, JobNumber};

/// What a job is made of.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub program: Arc<Program>,
    /// The program lowered, where that could be done.
    pub lowered: Option<Arc<Lowered>>,
}

impl Work {
    /// Stages beyond which dropping one takes long.
    const LARGE: usize = 1024;

    /// Whether it is worth to drop it elsewhere.
    pub fn is_large(&self) -> bool {
        self.lowered.as_ref().is_none_or(|lowered| lowered.works.len() > Work::LARGE)
    }
}

/// What all jobs are made of.
#[derive(Debug, Default)]
pub(crate) struct Works {
    jobs: BTreeMap<JobId, Work>,
    numbers: BTreeMap<JobNumber, JobId>,
    number_of: BTreeMap<JobId, JobNumber>,
}

impl Works {
    /// A job is about to be submitted.
    pub fn insert(&mut self, job: JobId, work: Work) {
        self.jobs.insert(job, work);
    }

    /// A job has got its number for people.
    pub fn number(&mut self, job: JobId, number: JobNumber) {
        self.numbers.insert(number, job);
        self.number_of.insert(job, number);
    }

    /// Nobody will be told of a job again.
    pub fn remove(&mut self, job: JobId) -> Option<Work> {
        if let Some(number) = self.number_of.remove(&job) {
            self.numbers.remove(&number);
        }
        self.jobs.remove(&job)
    }

    /// The job that people call by a number.
    pub fn numbered(&self, number: JobNumber) -> Option<JobId> {
        self.numbers.get(&number).copied()
    }

    /// The programs of the jobs that some instructions define.
    pub fn defined(&self, instructions: &[Instruction]) -> Vec<(JobId, Arc<Program>)> {
        let jobs = instructions.iter().filter_map(Instruction::defines);
        jobs.filter_map(|job| Some((job, self.jobs.get(&job)?.program.clone()))).collect()
    }

    /// What a job computes, in a line.
    pub fn title(&self, job: JobId) -> Option<String> {
        self.jobs.get(&job)?.lowered.as_ref().map(|lowered| lowered.title())
    }

    /// Says of each job and stage of a picture what it computes, and under which name it is kept.
    pub fn describe(&self, state: &mut ClusterState, catalog: &Catalog) {
        for job in &mut state.jobs {
            let id = self.numbers.get(&job.number);
            let work = id.and_then(|id| self.jobs.get(id));
            let Some(lowered) = work.and_then(|work| work.lowered.as_ref()) else { continue };
            job.title = match id.and_then(|id| catalog.name_of(*id)) {
                Some(name) => format!("published as '{name}': {}", lowered.title()),
                None => lowered.title(),
            };
            job.stages.iter_mut().for_each(|stage| stage.operation = lowered.describe(stage.stage));
        }
    }
}
