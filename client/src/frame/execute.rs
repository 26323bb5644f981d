//! Queries run on sessions. Must not know what they are made of.

use super::program;
use crate::error::Result;
use crate::session::Session;
use tilework_frame::arrow::array::RecordBatch;
use tilework_frame::{FrameError, Planned, TaskError};
use tilework_worker_tables::of_value;

/// The rows of a query, partition by partition, computed on a session.
pub(crate) fn execute(planned: &Planned, session: &Session) -> Result<Vec<Vec<RecordBatch>>> {
    let values = session.run(&[program::of(&planned.graph)?])?;
    let stage = planned.graph.stages.last().map_or_else(String::new, |stage| stage.name.clone());
    let failed = |task: usize| {
        let stage = stage.clone();
        move |error: TaskError| FrameError::Task { stage, task: task as u64, error }
    };
    let partition = |(task, value): (usize, &tilework_kernels::Chunk)| {
        let rows = value.planes.iter().map(of_value).collect::<std::result::Result<Vec<_>, _>>();
        let pieces = rows.map_err(failed(task))?.into_iter().flatten();
        let batches =
            pieces.map(|piece| piece.batches(&planned.schema)).collect::<std::result::Result<Vec<_>, _>>();
        Ok(batches.map_err(failed(task))?.into_iter().flatten().collect())
    };
    values.iter().flatten().enumerate().map(partition).collect()
}
