//! Planning of the programs that clients submit: beside the scheduler's loop, for a large program takes as long as
//! thousands of other events.
//!
//! Owns how many are planned at once. Must not know what becomes of plans.

use crate::works::Work;
use std::sync::Arc;
use tilework_expr::{Lowered, Program};
use tilework_plan::JobId;
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
    /// A program that is to be submitted as `job`, planned.
    pub(crate) async fn plan(&self, job: JobId, program: Arc<Program>) -> Planned {
        if program.planning_effort(SMALL_MAX) < SMALL_MAX {
            return Planned::of(job, program);
        }
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let planned = tokio::task::spawn_blocking({
            let program = Arc::clone(&program);
            move || Planned::of(job, program)
        });
        let planned = planned.await;
        drop(permit);
        planned.unwrap_or_else(|error| {
            let prepared = Prepared::refused(format!("it cannot be planned: {error}"));
            Planned { work: Work { program, lowered: None }, prepared }
        })
    }
}

/// A program that was planned.
#[derive(Debug)]
pub(crate) struct Planned {
    pub work: Work,
    pub prepared: Prepared,
}

impl Planned {
    fn of(job: JobId, program: Arc<Program>) -> Planned {
        match Lowered::of(&program).map(Arc::new) {
            Ok(lowered) => {
                let prepared = Prepared::of(job, lowered.plan.clone());
                Planned { work: Work { program, lowered: Some(lowered) }, prepared }
            }
            Err(why) => {
                let prepared = Prepared::refused(why.to_string());
                Planned { work: Work { program, lowered: None }, prepared }
            }
        }
    }
}
