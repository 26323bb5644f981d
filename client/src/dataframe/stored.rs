//! What sessions have that queries read: partitions that were kept, as expressions of their values, and columns that are
//! arrays. Must not know how queries are planned.

use crate::literal::Literal;
use crate::session::{self, brought};
use std::fmt;
use std::sync::{Arc, OnceLock};
use tilework_expr::Expr;
use tilework_frame::{FrameError, Piece, Stored};
use tilework_kernels::Chunk;
use tilework_plan::ChunkIdx;
use tilework_worker_tables::{of_value, piece_of_array};

/// The partitions of a table that a session's workers keep.
pub(super) struct OnWorkers {
    /// Their values. What is attached to it keeps them, and brings them here.
    pub(super) values: Expr,
    brought: Arc<Literal>,
}

impl OnWorkers {
    /// Of values that a session keeps.
    ///
    /// # Errors
    /// Others.
    pub(super) fn new(values: Expr) -> Result<OnWorkers, FrameError> {
        let brought = brought(&values).ok_or_else(|| FrameError::executor("values that nobody keeps"))?;
        Ok(OnWorkers { values, brought })
    }
}

impl fmt::Debug for OnWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnWorkers({} partitions)", self.n_partitions())
    }
}

impl Stored for OnWorkers {
    fn n_partitions(&self) -> usize {
        self.values.grid().n_chunks() as usize
    }

    fn piece(&self, partition: usize) -> Result<Piece, FrameError> {
        let chunk = ChunkIdx(partition as u64);
        let region = self.values.grid().region(chunk);
        let value = self.brought.chunk(chunk, &region).map_err(FrameError::executor)?;
        let pieces = of_value(&value.planes[0]).map_err(|error| task_failed(partition, error))?;
        let one = pieces.into_iter().next();
        one.ok_or_else(|| FrameError::executor("a partition that is kept is of no rows and no piece"))
    }
}

/// A column whose partitions are the chunks of an array of one axis.
pub(super) struct ArrayColumn {
    pub(super) array: Expr,
    /// Its chunks, where this process computed it for a query that runs here.
    here: OnceLock<Vec<Chunk>>,
}

impl ArrayColumn {
    pub(super) fn new(array: Expr) -> ArrayColumn {
        ArrayColumn { array, here: OnceLock::new() }
    }
}

impl fmt::Debug for ArrayColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArrayColumn({} chunks)", self.n_partitions())
    }
}

impl Stored for ArrayColumn {
    fn n_partitions(&self) -> usize {
        self.array.grid().n_chunks() as usize
    }

    fn piece(&self, partition: usize) -> Result<Piece, FrameError> {
        if self.here.get().is_none() {
            let mut made = session::run(std::slice::from_ref(&self.array)).map_err(FrameError::executor)?;
            // Err: another thread has them.
            let _ = self.here.set(made.remove(0));
        }
        let chunks = self.here.get().map_or(&[][..], Vec::as_slice);
        let chunk = chunks.get(partition).ok_or_else(|| FrameError::executor("an array without a chunk"))?;
        piece_of_array(&chunk.planes[0]).map_err(|error| task_failed(partition, error))
    }
}

fn task_failed(partition: usize, error: tilework_frame::TaskError) -> FrameError {
    FrameError::Task { stage: "rows that are kept".to_owned(), task: partition as u64, error }
}
