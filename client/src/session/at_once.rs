//! Programs so small that handing them to a worker would take far longer than they do: in a session of this process the
//! thread that asks computes them itself, by the same plan and kernels, and so to the same bits.
//!
//! Owns how small is small. Must not know the scheduler.

use super::jobs::{Literals, panicked};
use crate::error::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use tilework_expr::{ChunkIdx, JobId, Node, Op, Plan, Program, StageIdx, StageKind, TaskKey};
use tilework_kernels::{Chunk, Feed, execute};

/// Bytes of all arrays of a program together, if there are not fewer that are computed eagerly.
pub(super) const BYTES_MAX: u64 = 256 << 10;
/// Arrays of a program, those that are fused into others included.
const NODES_MAX: usize = 64;
/// Tasks of its plan.
const TASKS_MAX: u64 = 4;

/// The chunks of each output, or `None` where the program is not for this, or fails: then the session says how.
///
/// # Errors
/// A function that makes the elements of a literal, and panics.
pub(super) fn compute(program: &Program, literals: &Literals) -> Result<Option<(Vec<Vec<Chunk>>, u64)>> {
    if !is_small(program) {
        return Ok(None);
    }
    let Some(plan) = Plan::of(program).ok().filter(|p| n_tasks(p) <= TASKS_MAX) else { return Ok(None) };
    let mut made: Vec<Vec<Chunk>> = Vec::with_capacity(plan.stages.len());
    for at in (0..plan.stages.len() as u32).map(StageIdx) {
        let mut chunks = Vec::new();
        for chunk in (0..plan.n_tasks(at)).map(ChunkIdx) {
            let result = match plan.stage(at).kind {
                StageKind::Literal { id } => literal(&plan, (at, chunk), id, literals)?,
                _ => task(&plan, (at, chunk), &made),
            };
            let Some(result) = result else { return Ok(None) };
            chunks.push(result);
        }
        made.push(chunks);
    }
    let outputs = plan.outputs.iter().map(|s| made[s.0 as usize].clone()).collect();
    Ok(Some((outputs, n_tasks(&plan))))
}

/// Whether all of it is small, and calls nothing of the user's and no file.
fn is_small(program: &Program) -> bool {
    let within = |node: &Node| {
        !matches!(node.op, Op::Read(_) | Op::Write(_) | Op::Held { .. }) && node.op.kernel().is_none()
    };
    let bytes = |node: &Node| {
        let lens = node.grid.axes().iter().map(tilework_expr::AxisGrid::len);
        lens.fold(node.dtype.size() as u64, |n, len| n.saturating_mul(len as u64))
    };
    let limit = BYTES_MAX.min(crate::array::eager_bytes_max() as u64);
    program.nodes.len() <= NODES_MAX
        && program.nodes.iter().all(within)
        && program.nodes.iter().map(bytes).fold(0, u64::saturating_add) <= limit
}

fn n_tasks(plan: &Plan) -> u64 {
    (0..plan.stages.len() as u32).map(|s| plan.n_tasks(StageIdx(s))).fold(0, u64::saturating_add)
}

fn literal(
    plan: &Plan,
    (stage, chunk): (StageIdx, ChunkIdx),
    id: u64,
    literals: &Literals,
) -> Result<Option<Chunk>> {
    let Some((_, literal)) = literals.iter().find(|(of, _)| *of == id) else { return Ok(None) };
    let make = || literal.0.chunk(&plan.out_region(stage, chunk));
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(made) => Ok(Some(made)),
        Err(panic) => Err(panicked(TaskKey { job: JobId(0), stage, chunk }, panic.as_ref()).into()),
    }
}

fn task(plan: &Plan, (stage, chunk): (StageIdx, ChunkIdx), made: &[Vec<Chunk>]) -> Option<Chunk> {
    let mut inputs = Vec::new();
    plan.inputs_of(stage, chunk, &mut inputs);
    let feeds: Vec<Feed> = (inputs.into_iter())
        .map(|(slot, from, chunk_idx)| Feed {
            slot,
            chunk_idx,
            region: plan.out_region(from, chunk_idx),
            chunk: made[from.0 as usize][chunk_idx.0 as usize].clone(),
        })
        .collect();
    let run = || execute(plan, stage, chunk, &feeds, &AtomicBool::new(false));
    catch_unwind(AssertUnwindSafe(run)).ok()?.ok()
}
