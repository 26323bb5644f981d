//! What this worker knows of jobs: their plans, and the leases under which literals may be put.
//!
//! Owns waiting for either to become known: a client may be faster than the scheduler's stream. Must not know chunks.

use crate::inline;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tilework_expr::Lowered;
use tilework_plan::{Instruction, JobId, LeaseId, Region, Stage, StageIdx, TaskKey, TaskRange};
use tokio::sync::Notify;

/// How long a put waits for the lease that it names.
const LEASE_WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
struct Known {
    plans: HashMap<JobId, Arc<Lowered>>,
    /// Of jobs that have some, the stages whose results travel beside the report of them.
    inlined: HashMap<JobId, HashSet<StageIdx>>,
    /// Leases of literals.
    literals: HashMap<LeaseId, TaskRange>,
}

/// Plans and literals' leases.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    known: RwLock<Known>,
    grown: Notify,
}

impl Plans {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().expect("nothing panics while plans are looked up")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().expect("nothing panics while plans are looked up")
    }

    /// A job that the scheduler is about to speak of was planned.
    pub(crate) fn define(&self, job: JobId, lowered: Arc<Lowered>) {
        let stages = inline::stages(&lowered.plan);
        let mut known = self.write();
        known.plans.insert(job, lowered);
        if !stages.is_empty() {
            known.inlined.insert(job, stages);
        }
    }

    /// Learns from what the scheduler said.
    pub(crate) fn learn(&self, instruction: &Instruction) {
        match instruction {
            Instruction::Lease { lease, tasks, .. } => {
                let job = self.of(tasks.job);
                let stage = job.as_ref().and_then(|job| job.plan.stages.get(tasks.stage.0 as usize));
                if stage.is_some_and(Stage::is_upload) {
                    self.write().literals.insert(*lease, tasks.clone());
                    self.grown.notify_waiters();
                }
            }
            Instruction::Forget(job) => {
                let mut known = self.write();
                known.plans.remove(job);
                known.inlined.remove(job);
                known.literals.retain(|_, tasks| tasks.job != *job);
            }
            _ => {}
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.write() = Known::default();
    }

    /// The plan of a job, and what its tasks do.
    pub(crate) fn of(&self, job: JobId) -> Option<Arc<Lowered>> {
        self.read().plans.get(&job).cloned()
    }

    /// Whether results of some tasks travel beside the report of them, and if so, whether they are values.
    pub(crate) fn inlines(&self, tasks: &TaskRange) -> Option<bool> {
        let known = self.read();
        let travel = known.inlined.get(&tasks.job)?.contains(&tasks.stage);
        let plan = travel.then(|| known.plans.get(&tasks.job))??;
        Some(plan.plan.stage(tasks.stage).is_measured())
    }

    /// The box of a chunk in the coordinates of its array.
    pub(crate) fn out_region(&self, key: TaskKey) -> Option<Region> {
        let plan = &self.of(key.job)?.plan;
        let exists = (key.stage.0 as usize) < plan.stages.len() && key.chunk.0 < plan.n_tasks(key.stage);
        exists.then(|| plan.out_region(key.stage, key.chunk))
    }

    fn literal(&self, lease: LeaseId, key: TaskKey) -> Option<Result<Arc<Lowered>, String>> {
        let known = self.read();
        let tasks = known.literals.get(&lease)?;
        let inside = tasks.job == key.job && tasks.stage == key.stage && tasks.chunks.contains(&key.chunk.0);
        let plan = known.plans.get(&key.job).filter(|_| inside);
        Some(plan.cloned().ok_or_else(|| format!("lease {} has no chunk {}", lease.0, key.chunk.0)))
    }

    /// The plan of the literal chunk that is put under this lease; waits until the lease is known.
    ///
    /// # Errors
    /// In words, where there is no such lease or the chunk is not of it.
    pub(crate) async fn literal_plan(&self, lease: LeaseId, key: TaskKey) -> Result<Arc<Lowered>, String> {
        let known = async {
            loop {
                let grown = self.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                if let Some(found) = self.literal(lease, key) {
                    return found;
                }
                grown.await;
            }
        };
        let waited = tokio::time::timeout(LEASE_WAIT_MAX, known).await;
        waited.unwrap_or_else(|_| Err(format!("no lease {} of a literal here", lease.0)))
    }
}
