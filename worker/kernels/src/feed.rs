//! What a task is computed from, and why it could not be: the words between whoever dispatches tasks and the kernels.
//!
//! Must not know how anything is computed.

use crate::chunk::{Chunk, ChunkError};
use std::any::Any;
use tilework_plan::{ChunkIdx, Region};

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
