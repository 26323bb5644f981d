//! Planning of the programs that the scheduler speaks of: beside the worker's loop where they are large, for that takes as
//! long as thousands of other events.
//!
//! Owns the order: what comes behind a program waits for its plan. Must not know what becomes of plans.

use std::sync::Arc;
use tilework_expr::{Lowered, Program};
use tilework_plan::{Instruction, JobId};
use tokio::task::JoinHandle;

/// Operations, inputs and listed chunks of programs that are planned at once: in less than a millisecond.
const SMALL_MAX: usize = 256;

/// What a job is made of, lowered; else why that cannot be done.
pub(crate) type Made = Result<Arc<Lowered>, String>;

/// Instructions, and what the jobs are made of that they define.
pub(crate) struct PlannedInstructions {
    pub instructions: Vec<Instruction>,
    pub made: Vec<(JobId, Made)>,
}

/// Instructions whose programs are being planned.
pub(crate) struct Planning {
    instructions: Vec<Instruction>,
    jobs: Vec<JobId>,
    made: JoinHandle<Vec<(JobId, Made)>>,
}

/// Plans the programs that instructions define where those are small; else, that has begun.
pub(crate) fn of(
    programs: Vec<(JobId, Arc<Program>)>,
    instructions: Vec<Instruction>,
) -> Result<PlannedInstructions, Planning> {
    let mut left = SMALL_MAX;
    let small = programs.iter().all(|(_, program)| {
        left -= program.planning_effort(left);
        left > 0
    });
    if small {
        return Ok(PlannedInstructions { made: made(programs), instructions });
    }
    let jobs = programs.iter().map(|(job, _)| *job).collect();
    Err(Planning { instructions, jobs, made: tokio::task::spawn_blocking(move || made(programs)) })
}

/// Waits until what is being planned is planned; for ever where that is nothing.
pub(crate) async fn planned(planning: &mut Option<Planning>) -> PlannedInstructions {
    let Some(under_way) = planning else { return std::future::pending().await };
    let made = (&mut under_way.made).await;
    let (instructions, jobs) = planning.take().map(|p| (p.instructions, p.jobs)).unwrap_or_default();
    let failed = |error| {
        let why = format!("it cannot be planned: {error}");
        jobs.into_iter().map(|job| (job, Err(why.clone()))).collect()
    };
    PlannedInstructions { instructions, made: made.unwrap_or_else(failed) }
}

fn made(programs: Vec<(JobId, Arc<Program>)>) -> Vec<(JobId, Made)> {
    let made = |program: &Program| Lowered::of(program).map(Arc::new).map_err(|e| e.to_string());
    programs.into_iter().map(|(job, program)| (job, made(&program))).collect()
}
