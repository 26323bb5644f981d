//! Rows that come one batch after another, so that no more than a partition of them is in this process. Must not know who
//! has the others.

use super::Result;
use super::frame::DataFrame;
use super::rows;
use crate::error::FrameError;
use crate::stored::Kept;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::channel::mpsc::{Receiver, channel};
use futures::{SinkExt, Stream, StreamExt};
use pollster::block_on;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

/// The rows of a query, in their order, as an iterator of batches; [`into_stream`](RowStream::into_stream) makes it one for
/// asynchronous code. Dropping it lets go of the rows that are left.
pub struct RowStream {
    schema: SchemaRef,
    batches: Receiver<Result<RecordBatch>>,
}

impl RowStream {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The same for asynchronous code, on any runtime.
    pub fn into_stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send + Unpin + 'static {
        self.batches
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        block_on(self.batches.next())
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowStream({} columns)", self.schema.fields().len())
    }
}

/// The rows of partitions that are kept, which are brought here one after another by a thread of their own.
fn stream(kept: Kept) -> Result<RowStream> {
    let (mut send, batches) = channel(0);
    let (schema, of) = (kept.schema.clone(), kept.schema);
    let rows = kept.rows;
    let bring = move || {
        for partition in 0..rows.n_partitions() {
            let failed = |error| FrameError::Task { stage: "rows".to_owned(), task: partition as u64, error };
            let batches = rows.piece(partition).and_then(|piece| piece.batches(&of).map_err(failed));
            let batches: Vec<Result<RecordBatch>> = match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            for batch in batches {
                let last = batch.is_err();
                // Err: nobody takes it any more.
                if block_on(send.send(batch)).is_err() || last {
                    return;
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("tilework-rows".to_owned()).spawn(bring);
    thread.map_err(|e| FrameError::Thread(Arc::new(e)))?;
    Ok(RowStream { schema, batches })
}

impl DataFrame {
    /// Runs the query and returns the rows in their order, batch by batch: of the partitions, which stay on the workers, one
    /// is brought into this process after another, when what was before it is taken. The first comes when all are made.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect). What goes wrong on the way here is an item of the stream, and its last.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(0..100_000))])?;
    /// let mut n_rows = 0;
    /// for batch in df.collect_stream()? {
    ///     n_rows += batch?.num_rows();
    /// }
    /// assert_eq!(n_rows, 100_000);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn collect_stream(&self) -> Result<RowStream> {
        stream(self.kept(false)?)
    }

    /// As [`rows`](DataFrame::rows), one after another, with no more than a partition of them in this process.
    ///
    /// # Errors
    /// As [`collect_stream`](DataFrame::collect_stream); a row that is no such value is an item of the iterator.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3])), ("s", values(["a", "b", "c"]))])?;
    /// let rows: Vec<(i64, String)> = df.rows_stream()?.collect::<Result<_, _>>()?;
    /// assert_eq!(rows[2], (3, "c".to_owned()));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn rows_stream<T: DeserializeOwned>(&self) -> Result<impl Iterator<Item = Result<T>> + use<T>> {
        let mut before = 0;
        let of = move |batch: Result<RecordBatch>| -> Vec<Result<T>> {
            let rows = batch.and_then(|batch| {
                let rows = rows::rows_from(&batch, before);
                before += batch.num_rows();
                rows
            });
            rows.map_or_else(|error| vec![Err(error)], |rows| rows.into_iter().map(Ok).collect())
        };
        Ok(self.collect_stream()?.flat_map(of))
    }
}
