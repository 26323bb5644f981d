//! Planning of the programs that the scheduler speaks of: beside the worker's loop where they are large, for that takes as
//! long as thousands of other events.
//!
//! Owns the order: what comes behind a program waits for its plan. Must not know what becomes of plans.

use std::sync::Arc;
use tilework_expr::{Instruction, JobId, Program};
use tilework_worker_core::Planned;
use tokio::task::JoinHandle;

/// Operations, inputs and listed chunks of programs that are planned at once: in less than a millisecond.
const SMALL_MAX: usize = 256;

/// Instructions, and the plans of the jobs that they define.
pub(crate) struct PlannedInstructions {
    pub instructions: Vec<Instruction>,
    pub planned: Vec<(JobId, Planned)>,
}

/// Instructions whose programs are being planned.
pub(crate) struct Planning {
    instructions: Vec<Instruction>,
    plans: JoinHandle<Vec<(JobId, Planned)>>,
}

/// Plans the programs of instructions where those are small; else, that has begun.
pub(crate) fn of(instructions: Vec<Instruction>) -> Result<PlannedInstructions, Planning> {
    let programs = programs(&instructions);
    let mut left = SMALL_MAX;
    let small = programs.iter().all(|(_, program)| {
        left -= program.planning_effort(left);
        left > 0
    });
    if small {
        return Ok(PlannedInstructions { planned: plans(programs), instructions });
    }
    Err(Planning { instructions, plans: tokio::task::spawn_blocking(move || plans(programs)) })
}

/// Waits until what is being planned is planned; for ever where that is nothing.
pub(crate) async fn planned(planning: &mut Option<Planning>) -> PlannedInstructions {
    let Some(under_way) = planning else { return std::future::pending().await };
    let planned = (&mut under_way.plans).await;
    let instructions = planning.take().map(|p| p.instructions).unwrap_or_default();
    let failed = |error| {
        let why = format!("it cannot be planned: {error}");
        programs(&instructions).into_iter().map(|(job, _)| (job, Planned::failed(why.clone()))).collect()
    };
    let planned = planned.unwrap_or_else(failed);
    PlannedInstructions { instructions, planned }
}

fn programs(instructions: &[Instruction]) -> Vec<(JobId, Arc<Program>)> {
    let defined = instructions.iter().filter_map(|instruction| match instruction {
        Instruction::Define { job, program } => Some((*job, Arc::clone(program))),
        _ => None,
    });
    defined.collect()
}

fn plans(programs: Vec<(JobId, Arc<Program>)>) -> Vec<(JobId, Planned)> {
    programs.into_iter().map(|(job, program)| (job, Planned::of(&program))).collect()
}
