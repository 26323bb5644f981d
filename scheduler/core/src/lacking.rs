//! Tasks that need a worker that has something, a tag, and jobs for which no such worker is there.
//!
//! Knows what workers have and tasks need. Must not know how long a job may wait.

use crate::job::Job;
use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::worker::WorkerState;
use std::collections::BTreeSet;
use tilework_plan::quantities::bytes;
use tilework_plan::{JobId, StageIdx, Tags, TaskKey, tags_in_words};

impl Scheduler {
    /// Memory of the largest worker that is there, can call functions of a build and has all of these, bytes; nothing where
    /// there is none.
    fn most_memory_with(&self, build: Option<&str>, tags: &Tags) -> Option<u64> {
        let may = |w: &&WorkerState| !w.leaving && w.hello.calls(build) && w.hello.has(tags);
        self.workers.values().filter(may).map(|w| w.hello.memory_bytes).max()
    }

    /// The same of the workers that a job's root tasks are for.
    pub(crate) fn most_memory_for_roots(&self, job: &Job) -> Option<u64> {
        self.most_memory_with(job.roots_build.as_deref(), &job.roots_tags)
    }

    /// The same of those that the tasks of a stage are for.
    pub(crate) fn most_memory_for(&self, job: &Job, stage: StageIdx) -> Option<u64> {
        self.most_memory_with(job.build(stage), &job.plan.stage(stage).terms().tags)
    }

    /// Whether nobody is there who may have the root tasks of a job that goes on.
    pub(crate) fn lacks(&self, job: &Job) -> bool {
        job.roots_are_choosy() && job.is_running() && self.most_memory_for_roots(job) < Some(job.roots_memory)
    }

    /// Notes whether nobody is there who may have a job's root tasks for want of what they need.
    pub(crate) fn note_lacking(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if self.lacks(job) {
            self.lacking.insert(id);
        } else {
            self.lacking.remove(&id);
        }
    }

    /// The same for all jobs: workers have come or gone.
    pub(crate) fn note_all_lacking(&mut self) {
        let tagged = self.jobs.iter().filter(|(_, job)| job.roots_are_choosy());
        let tagged: Vec<JobId> = tagged.map(|(id, _)| *id).collect();
        tagged.into_iter().for_each(|id| self.note_lacking(id));
    }

    /// Whether nothing of a job goes on because nobody who is there may have its root tasks.
    pub(crate) fn waits_for_tags(&self, id: JobId) -> bool {
        let stands = |id| self.jobs.get(id).is_some_and(|job| job.n_leased() == 0 && job.roots.n_left() > 0);
        self.lacking.get(&id).is_some_and(stands)
    }

    /// Whether no worker that is there has what a task needs.
    pub(crate) fn nobody_has_tags(&self, key: TaskKey) -> bool {
        let job = &self.jobs[&key.job];
        let needs_some = !job.plan.stage(key.stage).terms().tags.is_empty();
        needs_some && self.most_memory_for(job, key.stage).is_none() && !self.limits.plays(Bug::TagsIgnored)
    }

    /// What a job waits for that no worker has, and what there is, in words; nothing where it is not that. `key` is a task
    /// of it that fits nowhere.
    pub(crate) fn lack_in_words(&self, id: JobId, key: Option<TaskKey>) -> Option<String> {
        let job = &self.jobs[&id];
        let of_task = key.filter(|key| self.nobody_has_tags(*key));
        let tags = match of_task {
            Some(key) => &job.plan.stage(key.stage).terms().tags,
            None if self.lacking.contains(&id) => &job.roots_tags,
            None => return None,
        };
        if let Some(limit) = self.most_memory_with(job.functions_build.as_deref(), tags) {
            return Some(format!(
                "each of its tasks needs {}, and the largest worker that may have them may use {}",
                bytes(job.roots_memory),
                bytes(limit)
            ));
        }
        let what = if tags.len() == 1 { "the tag" } else { "all of the tags" };
        let build = job.functions_build.as_deref();
        let there = self.workers.values().filter(|w| !w.leaving && w.hello.calls(build));
        let lists: BTreeSet<&Tags> = there.map(|w| &w.hello.tags).collect();
        let lists: Vec<String> = lists.into_iter().filter(|t| !t.is_empty()).map(tags_in_words).collect();
        let there = match lists.len() {
            0 => "none has any tag".to_owned(),
            _ => format!("there are workers with {}", lists.join(", with ")),
        };
        Some(format!("no worker that is there has {what} {}; {there}", tags_in_words(tags)))
    }
}
