//! Where the results of stages could be made: at which workers their tasks fit, with all that they read made in their reach,
//! and so on down to tasks that read nothing. To have what a task reads made nearer to a worker where that cannot be is in
//! vain: some of it would be made out of reach again, or something that it is made of, and all of it be taken away again
//! for that.
//!
//! Where it is not in vain it ends. What is brought nearer is made by one of those makers, as long as there is one where it is
//! not to be avoided; what that reads is brought nearer to the maker where it has to be, and so on: each round that a task
//! takes brings the stages below it nearer by one, and below those that read nothing there is none.
//!
//! Knows what stages ask for, and who has no way to whom. Must not know what exists where.

use crate::job::Canonical;
use crate::scheduler::Scheduler;
use crate::worker::WorkerState;
use std::collections::{BTreeMap, BTreeSet};
use tilework_plan::{TaskKey, WorkerId};

/// The workers that could make the results of stages, of those stages that were looked at; none are listed where all could.
#[derive(Default)]
pub(crate) struct Makers(BTreeMap<Canonical, Option<BTreeSet<WorkerId>>>);

impl Scheduler {
    /// Looks for the makers of all that a task reads; which stages' results that is.
    pub(crate) fn find_makers(&self, key: TaskKey, makers: &mut Makers) -> Vec<Canonical> {
        let read = self.stages_read((key.job, key.stage));
        let mut open = read.clone();
        while let Some(stage) = open.last().copied() {
            if makers.0.contains_key(&stage) {
                open.pop();
                continue;
            }
            let (before, read) = (open.len(), self.stages_read(stage));
            open.extend(read.iter().filter(|of| !makers.0.contains_key(of)));
            // Else it is come back to when the makers of what it reads are known.
            if open.len() == before {
                makers.0.insert(stage, self.makers_of(stage, &read, makers));
            }
        }
        read
    }

    /// Whether the results of some stages, whose makers were found, could all be made in a worker's reach.
    pub(crate) fn could_be_near(
        &self,
        (id, worker): (WorkerId, &WorkerState),
        stages: &[Canonical],
        makers: &Makers,
    ) -> bool {
        stages
            .iter()
            .filter_map(|of| makers.0.get(of)?.as_ref())
            .all(|makers| makers.contains(&id) || makers.iter().any(|maker| !self.is_cut_off(worker, *maker)))
    }

    /// The stages whose results the tasks of a stage read, by who makes them.
    fn stages_read(&self, (id, stage): Canonical) -> Vec<Canonical> {
        let Some(job) = self.jobs.get(&id) else { return Vec::new() };
        let read = job.plan.stage(stage).inputs.iter().map(|input| job.plan.behind(input.stage));
        read.map(|of| job.stage(of).canonical).collect()
    }

    /// The makers of a stage, where those of what it reads are known; see [`Makers`].
    fn makers_of(&self, stage: Canonical, read: &[Canonical], makers: &Makers) -> Option<BTreeSet<WorkerId>> {
        let job = self.jobs.get(&stage.0)?;
        let need = &job.stage(stage.1).need;
        // That of its first task stands for those of all.
        let bytes = if need.n_tasks() == 0 { 0 } else { job.plan.task_bytes(stage.1, need.nth(0)) };
        let could = |id: WorkerId, w: &WorkerState| {
            let fits = !w.leaving && w.hello.memory_bytes >= bytes && job.stage_for(stage.1, &w.hello);
            fits && self.could_be_near((id, w), read, makers)
        };
        if self.workers.iter().all(|(id, w)| could(*id, w)) {
            return None;
        }
        Some(self.workers.iter().filter(|(id, w)| could(**id, w)).map(|(id, _)| *id).collect())
    }
}
