//! Programs so small that handing them to a worker would take far longer than they do: in a session of this process the
//! thread that asks computes them itself, by the same plan and kernels, and so to the same bits. It waits for no other
//! thread: it may be one of rayon's, or hold a lock that those wait for.
//!
//! Owns how small is small. Must not know the scheduler.

use super::jobs::{Literals, panicked};
use crate::error::Result;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use tilework_expr::{ChunkIdx, JobId, Node, Op, Plan, Program, StageIdx, StageKind, TaskKey};
use tilework_kernels::{Chunk, Feed, execute};

/// Bytes of all arrays of a program together, if there are not fewer that are computed eagerly. Kernels share no work
/// among threads over so few elements.
pub(super) const BYTES_MAX: u64 = 64 << 10;
/// Arrays of a program, those that are fused into others included.
const NODES_MAX: usize = 64;
/// Tasks of its plan.
const TASKS_MAX: u64 = 4;

/// The chunks of each output and how many tasks were done, or `None` where the program is not for this, or fails: then
/// the session says how.
///
/// # Errors
/// A function that makes the elements of a literal, and panics.
pub(super) fn compute(program: &Program, literals: &Literals) -> Result<Option<(Vec<Vec<Chunk>>, u64)>> {
    if !is_small(program) {
        return Ok(None);
    }
    let Some(plan) = Plan::of(program).ok().filter(|p| p.n_tasks_in_all() <= TASKS_MAX) else {
        return Ok(None);
    };
    let mut run = Run { plan: &plan, literals, made: BTreeMap::new() };
    let mut outputs = Vec::with_capacity(plan.outputs.len());
    for &stage in &plan.outputs {
        let mut chunks = Vec::new();
        for chunk in (0..plan.n_tasks(stage)).map(ChunkIdx) {
            let Some(made) = run.chunk(stage, chunk)? else { return Ok(None) };
            chunks.push(made);
        }
        outputs.push(chunks);
    }
    Ok(Some((outputs, run.made.len() as u64)))
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

/// The chunks that were made so far. Only those that an output needs are, as on a worker.
struct Run<'a> {
    plan: &'a Plan,
    literals: &'a Literals,
    made: BTreeMap<(StageIdx, ChunkIdx), Chunk>,
}

impl Run<'_> {
    /// A chunk, after those that it is made of; `None` where it cannot be made.
    fn chunk(&mut self, stage: StageIdx, chunk: ChunkIdx) -> Result<Option<Chunk>> {
        if let Some(made) = self.made.get(&(stage, chunk)) {
            return Ok(Some(made.clone()));
        }
        let made = match self.plan.stage(stage).kind {
            StageKind::Literal { id } => self.literal(stage, chunk, id)?,
            _ => self.task(stage, chunk)?,
        };
        if let Some(made) = &made {
            self.made.insert((stage, chunk), made.clone());
        }
        Ok(made)
    }

    fn literal(&self, stage: StageIdx, chunk: ChunkIdx, id: u64) -> Result<Option<Chunk>> {
        let Some((_, literal)) = self.literals.iter().find(|(of, _)| *of == id) else { return Ok(None) };
        let make = || literal.0.chunk(&self.plan.out_region(stage, chunk));
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(made) => Ok(Some(made)),
            Err(panic) => Err(panicked(TaskKey { job: JobId(0), stage, chunk }, panic.as_ref()).into()),
        }
    }

    fn task(&mut self, stage: StageIdx, chunk: ChunkIdx) -> Result<Option<Chunk>> {
        let mut inputs = Vec::new();
        self.plan.inputs_of(stage, chunk, &mut inputs);
        let mut feeds = Vec::with_capacity(inputs.len());
        for (slot, from, chunk_idx) in inputs {
            let Some(chunk) = self.chunk(from, chunk_idx)? else { return Ok(None) };
            feeds.push(Feed { slot, chunk_idx, region: self.plan.out_region(from, chunk_idx), chunk });
        }
        let run = || execute(self.plan, stage, chunk, &feeds, &AtomicBool::new(false));
        Ok(catch_unwind(AssertUnwindSafe(run)).ok().and_then(std::result::Result::ok))
    }
}
