//! Takes a task's rows and makes its pieces of them: one, or one for each partition of who reads them. Must not know what
//! becomes of pieces.

use crate::blocks::{Piece, compact};
use crate::digest::Digest;
use crate::error::TaskError;
use crate::session::BATCH_ROWS;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::BatchCoalescer;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::Partitioning;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::BatchPartitioner;

/// The pieces of a task that runs.
pub(crate) struct PieceWriter {
    schema: SchemaRef,
    parts: Vec<Part>,
    divider: Option<BatchPartitioner>,
}

/// A piece that grows.
struct Part {
    /// Joins the few rows that a batch has for one partition of many; a batch that is not divided goes as it is.
    joined: Option<BatchCoalescer>,
    batches: Vec<RecordBatch>,
    digest: Digest,
}

impl PieceWriter {
    /// For rows of this schema, which are divided if there is a partitioning.
    pub(crate) fn new(schema: SchemaRef, division: Option<&Partitioning>) -> Result<PieceWriter> {
        let divider =
            division.map(|p| BatchPartitioner::try_new(p.clone(), Time::default(), 0, 1)).transpose()?;
        let n_pieces = division.map_or(1, Partitioning::partition_count);
        let part = || Part {
            joined: divider.is_some().then(|| BatchCoalescer::new(schema.clone(), BATCH_ROWS)),
            batches: Vec::new(),
            digest: Digest::new(&schema),
        };
        let parts = (0..n_pieces).map(|_| part()).collect();
        Ok(PieceWriter { schema, parts, divider })
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let parts = &mut self.parts;
        match &mut self.divider {
            None => parts[0].add(batch),
            Some(divider) => divider.partition(batch, |i, batch| {
                let joined = parts[i].joined.as_mut().expect("a divided piece joins its batches");
                joined.push_batch(batch)?;
                parts[i].take_completed()
            }),
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<Piece>> {
        let schema = self.schema;
        let piece = |mut part: Part| -> Result<Piece> {
            if let Some(joined) = &mut part.joined {
                joined.finish_buffered_batch()?;
                part.take_completed()?;
            }
            Ok(Piece::of(schema.clone(), part.batches, part.digest.finish()))
        };
        self.parts.into_iter().map(piece).collect()
    }
}

impl Part {
    fn take_completed(&mut self) -> Result<()> {
        while let Some(batch) = self.joined.as_mut().and_then(BatchCoalescer::next_completed_batch) {
            self.add(batch)?;
        }
        Ok(())
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        let add = |part: &mut Part, batch| -> std::result::Result<(), TaskError> {
            let batch = compact(batch)?;
            part.digest.add(&batch)?;
            part.batches.push(batch);
            Ok(())
        };
        add(self, batch).map_err(|e: TaskError| -> DataFusionError { e.into_datafusion() })
    }
}
