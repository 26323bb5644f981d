//! The entry point: one task of a plan.
//!
//! Owns the dispatch over kinds of stages. Must not know how any of them computes.

use crate::calls::{array_of, call};
use crate::chunk::Chunk;
use crate::contract::contract;
use crate::feed::{Feed, KernelError};
use crate::functions::blocks;
use crate::gather::Task;
use crate::map::map;
use crate::pool::check;
use crate::reduce::{combine, reduce};
use crate::reshape::{concat, reshape};
use crate::take::take;
use std::sync::atomic::AtomicBool;
use tilework_expr::{Lowered, StageKind};
use tilework_plan::{ChunkIdx, StageIdx};

/// Computes one task. Uses the threads of the rayon pool that it is called on; the result's bits do not depend on
/// how many there are.
///
/// # Errors
/// If `stop` is set, if the feeds do not cover what the task reads, or if the operation fails (division of integers
/// by zero).
///
/// # Panics
/// If the plan has no such stage.
pub fn execute(
    lowered: &Lowered,
    stage: StageIdx,
    chunk: ChunkIdx,
    feeds: &[Feed],
    stop: &AtomicBool,
) -> Result<Chunk, KernelError> {
    let task = Task { lowered, stage, feeds, stop };
    check(stop)?;
    let (s, kind) = (task.shape(), &lowered.work(stage).kind);
    match kind {
        StageKind::Map(fused) => map(&task, fused, &s.grid.region(chunk)),
        StageKind::Reduce { program, fold, axes, finish } => {
            reduce(&task, program, *fold, axes, (chunk, *finish))
        }
        StageKind::Combine { .. } => combine(&task, chunk),
        StageKind::Contract => contract(&task, chunk),
        StageKind::Reshape => reshape(&task, chunk),
        StageKind::Concat => concat(&task, chunk),
        StageKind::Take => take(&task, chunk),
        StageKind::Blocks(of) => blocks(&task, of, chunk),
        StageKind::Calls(calls) => call(&task, calls, chunk),
        StageKind::FromValue(calls) => array_of(&task, calls, chunk),
        StageKind::Literal
        | StageKind::Read(_)
        | StageKind::Held
        | StageKind::Values
        | StageKind::Barrier
        | StageKind::Table(_)
        | StageKind::Write(_) => Err(KernelError::NoKernel(s.name)),
    }
}
