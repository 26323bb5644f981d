//! Planning of the programs that clients submit: beside the scheduler's loop, for a large program takes as long as
//! thousands of other events.
//!
//! Owns how many are planned at once. Must not know what becomes of plans.

use std::sync::Arc;
use tilework_expr::{JobId, Program};
use tilework_scheduler_core::Prepared;
use tokio::sync::Semaphore;

/// Large programs that are planned at once: each takes memory, and a processor.
const AT_ONCE_MAX: usize = 2;
/// Operations, inputs and listed chunks of a program that is planned where it arrives: in less than a millisecond.
const SMALL_MAX: usize = 256;

/// Plans programs. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    permits: Arc<Semaphore>,
}

impl Default for Planner {
    fn default() -> Self {
        Planner { permits: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

impl Planner {
    /// A program with its plan.
    pub(crate) async fn prepare(&self, job: JobId, program: Arc<Program>) -> Prepared {
        if program.planning_effort(SMALL_MAX) < SMALL_MAX {
            return Prepared::of(job, program);
        }
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let planned = Arc::clone(&program);
        let prepared = tokio::task::spawn_blocking(move || Prepared::of(job, planned)).await;
        drop(permit);
        prepared.unwrap_or_else(|error| Prepared::refused(program, format!("it cannot be planned: {error}")))
    }
}
