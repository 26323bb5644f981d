//! Programs that the thread that asks computes itself, by the same plan and kernels as a worker, and so to the same
//! bits: those so small that handing them to a worker would take far longer than they do, and those that a task asks
//! for. It waits for no other thread: it may be one of rayon's, or hold a lock that those wait for; and a thread that
//! runs a task would wait for others that do the same.
//!
//! Owns how small is small, and what is kept how long. Must not know the scheduler.

use super::planned::{Literals, Planned};
use crate::error::Result;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tilework_expr::{Lowered, Node, Op};
use tilework_kernels::{Chunk, Feed, alone};
use tilework_plan::{ChunkIdx, JobError, JobId, Origin, Plan, StageIdx, TaskError, TaskKey};
use tilework_worker::Sources;

/// Bytes of all arrays of a program together, if there are not fewer that are computed eagerly. Kernels share no work
/// among threads over so few elements.
pub(super) const BYTES_MAX: u64 = 64 << 10;
/// Arrays of a program, those that are fused into others included.
const NODES_MAX: usize = 64;
/// Tasks of its plan.
const TASKS_MAX: u64 = 4;

/// Whether a program is worth no worker: all of it is small, and it calls nothing of the user's and no file.
pub(super) fn is_small(planned: &Planned) -> bool {
    let nodes = &planned.program.nodes;
    let within = |node: &Node| {
        let elsewhere = matches!(node.op, Op::Read(..) | Op::Write(_) | Op::Held { .. } | Op::Table(_));
        !elsewhere && node.op.kernel().is_none()
    };
    let bytes = |node: &Node| {
        let lens = node.grid.axes().iter().map(tilework_plan::AxisGrid::len);
        lens.fold(node.dtype.size() as u64, |n, len| n.saturating_mul(len as u64))
    };
    let limit = BYTES_MAX.min(crate::array::eager_bytes_max() as u64);
    nodes.len() <= NODES_MAX
        && planned.lowered.plan.n_tasks_in_all() <= TASKS_MAX
        && nodes.iter().all(within)
        && nodes.iter().map(bytes).fold(0, u64::saturating_add) <= limit
}

/// The chunks of each output and how many tasks were done. What a task made is dropped when all that read it are done.
///
/// # Errors
/// The first task that fails, one that makes the elements of a literal included.
pub(super) fn compute(planned: &Planned) -> Result<(Vec<Vec<Chunk>>, u64)> {
    let Planned { lowered, literals, .. } = planned;
    let plan = &*lowered.plan;
    let mut run = Run { lowered, plan, literals, files: Sources::new(1), tasks: BTreeMap::new() };
    let order = run.order();
    let n_tasks = order.len() as u64;
    alone(|| order.into_iter().try_for_each(|(task, inputs)| run.make(task, inputs)))?;
    let chunks = |stage| (0..plan.n_tasks(stage)).map(move |c| (stage, ChunkIdx(c)));
    let outputs = plan.outputs.iter().map(|&stage| chunks(stage).map(|task| run.read(task)).collect());
    Ok((outputs.collect(), n_tasks))
}

/// A task, which is named by what it makes.
type At = (StageIdx, ChunkIdx);

/// What a task reads, as [`Plan::feeds_of`] says it.
type Inputs = Vec<(usize, StageIdx, ChunkIdx)>;

struct Task {
    /// Tasks and outputs that are still to read what it makes.
    n_readers: usize,
    made: Option<Chunk>,
}

struct Run<'a> {
    lowered: &'a Lowered,
    plan: &'a Plan,
    literals: &'a Literals,
    files: Sources,
    /// Those that an output needs, as on a worker.
    tasks: BTreeMap<At, Task>,
}

impl Run<'_> {
    /// The tasks that the outputs need: each comes after its inputs, and as late as may be, so that little is held at a
    /// time.
    fn order(&mut self) -> Vec<(At, Inputs)> {
        let chunks = |stage| (0..self.plan.n_tasks(stage)).map(move |c| (stage, ChunkIdx(c)));
        let outputs = self.plan.outputs.iter().flat_map(|&stage| chunks(stage));
        let mut stack: Vec<(At, Option<Inputs>)> = outputs.map(|task| (task, None)).collect();
        stack.reverse();
        let mut order = Vec::new();
        while let Some((at, inputs)) = stack.pop() {
            if let Some(inputs) = inputs {
                order.push((at, inputs));
                continue;
            }
            // Each reader has put it on the stack once.
            match self.tasks.entry(at) {
                Entry::Occupied(task) => task.into_mut().n_readers += 1,
                Entry::Vacant(task) => {
                    task.insert(Task { n_readers: 1, made: None });
                    let mut inputs = Vec::new();
                    self.plan.feeds_of(at.0, at.1, &mut inputs);
                    let before: Vec<_> =
                        inputs.iter().rev().map(|&(_, from, chunk)| ((from, chunk), None)).collect();
                    stack.push((at, Some(inputs)));
                    stack.extend(before);
                }
            }
        }
        order
    }

    /// Does a task, after those that it reads.
    fn make(&mut self, at: At, inputs: Inputs) -> Result<()> {
        let (stage, chunk) = at;
        let feed = |(slot, from, chunk_idx)| {
            let (region, mut made) = (self.plan.out_region(from, chunk_idx), self.read((from, chunk_idx)));
            if self.plan.reads_blocks(stage, slot) {
                let block = made.block(chunk.0).map_err(|e| TaskError::Operation(e.to_string()));
                made = block.map_err(|error| self.failed(at, error))?;
            }
            Ok(Feed { slot, chunk_idx, region, chunk: made })
        };
        let feeds = inputs.into_iter().map(feed).collect::<Result<Vec<_>>>()?;
        let made = match self.plan.stage(stage).origin {
            Origin::Client { id } => self.literal(at, id)?,
            _ => {
                let key = TaskKey { job: JobId(0), stage, chunk };
                self.files.perform_here(self.lowered, key, &feeds).map_err(|error| self.failed(at, error))?
            }
        };
        self.task(at).made = Some(made);
        Ok(())
    }

    fn task(&mut self, at: At) -> &mut Task {
        self.tasks.get_mut(&at).expect("an output or another task needs it")
    }

    fn literal(&self, (stage, chunk): At, id: u64) -> Result<Chunk> {
        let literal = self.literals.iter().find(|l| l.id == id);
        let literal = literal.expect("a program comes with its literals");
        Ok(literal.chunk(chunk, &self.plan.out_region(stage, chunk))?)
    }

    /// What a task has made, which is forgotten with its last reader.
    fn read(&mut self, at: At) -> Chunk {
        let task = self.task(at);
        task.n_readers -= 1;
        let made = if task.n_readers == 0 { task.made.take() } else { task.made.clone() };
        made.expect("a task comes after its inputs")
    }

    /// As the scheduler says it.
    fn failed(&self, (stage, chunk): At, error: TaskError) -> JobError {
        let operation = self.plan.stage(stage).name.to_owned();
        let message = match error {
            TaskError::Operation(message)
            | TaskError::Worker(message)
            | TaskError::Detailed { message, .. } => message,
            TaskError::Memory { needed, limit } => format!("it needs {needed} bytes of {limit}"),
        };
        JobError::Operation { operation, chunk: chunk.0, message }
    }
}
