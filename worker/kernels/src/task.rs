//! The entry point: one task of a plan, its inputs, and why it could not be done.
//!
//! Owns the dispatch over kinds of stages. Must not know how any of them computes.

use crate::calls::{array_of, call};
use crate::chunk::{Chunk, ChunkError};
use crate::contract::contract;
use crate::gather::Task;
use crate::halo::{blocks, fold_axis};
use crate::map::map;
use crate::pool::check;
use crate::reduce::{combine, reduce};
use crate::reshape::{concat, reshape};
use crate::take::take;
use std::any::Any;
use std::sync::atomic::AtomicBool;
use tilework_expr::{Lowered, StageKind};
use tilework_plan::{ChunkIdx, Region, StageIdx};

/// One input of a task: a chunk of the stage that `slot` reads, or a part of one.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Position in the stage's list of inputs.
    pub slot: usize,
    /// The chunk's number in the grid of the input's stage.
    pub chunk_idx: ChunkIdx,
    /// The box that `chunk` covers, in the coordinates of the input stage's `out_grid`.
    pub region: Region,
    /// The elements.
    pub chunk: Chunk,
}

/// Why a task could not be computed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KernelError {
    /// The task was told to stop.
    #[error("stopped")]
    Stopped,
    /// The feeds do not cover what the task reads.
    #[error("input {slot} of a {stage} task: got {got} of the {expected} elements that it reads")]
    MissingInput {
        /// The kind of stage.
        stage: &'static str,
        /// Position in the stage's list of inputs.
        slot: usize,
        /// Elements found in the feeds.
        got: usize,
        /// Elements that the task reads.
        expected: usize,
    },
    /// A feed is not what the plan says: its shape, dtype or number of planes.
    #[error("input {slot}: {reason}")]
    BadFeed {
        /// Position in the stage's list of inputs.
        slot: usize,
        /// Got and expected.
        reason: String,
    },
    /// Tasks of this kind are not computed here (reading, writing, literals).
    #[error("a {0} task has no kernel")]
    NoKernel(&'static str),
    /// The operation itself failed; doing it again elsewhere gives the same.
    #[error("{0}")]
    Operation(String),
    /// A chunk could not be made.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
}

/// The message of a panic that was caught, as whoever asked for the task is told it.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

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
        StageKind::Blocks(kernel) => blocks(&task, kernel, (&s.grid.region(chunk), None)),
        StageKind::Overlap { kernel, halo } => blocks(&task, kernel, (&s.grid.region(chunk), Some(halo))),
        StageKind::FoldAxis { kernel, axes: [axis] } => fold_axis(&task, kernel, *axis, chunk),
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
