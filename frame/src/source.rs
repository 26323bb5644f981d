//! Tables in memory: rows in partitions, each a piece that tasks read as they read what others made. They do not travel
//! within plans. Must not know how plans are cut or who hands pieces out.

use crate::blocks::Piece;
use crate::digest::Sizes;
use crate::error::{FrameError, TaskError};
use crate::operator::leaf;
use crate::session::BATCH_ROWS;
use crate::stage::Source;
use crate::stored::Stored;
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics, exec_err, project_schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The pieces of columns, by which ones they are.
type PiecesOf = HashMap<Option<Vec<usize>>, Arc<[Piece]>>;

/// Rows of a schema, in partitions.
pub(crate) struct MemoryTable {
    schema: SchemaRef,
    partitions: Vec<Vec<RecordBatch>>,
    bytes: u64,
    /// The pieces of the columns that queries asked for.
    pieces: Mutex<PiecesOf>,
    me: Weak<MemoryTable>,
}

impl MemoryTable {
    /// Batches of this schema, at least one partition of them.
    pub(crate) fn new(schema: SchemaRef, mut partitions: Vec<Vec<RecordBatch>>) -> Arc<MemoryTable> {
        if partitions.is_empty() {
            partitions.push(Vec::new());
        }
        let bytes = partitions.iter().flatten().map(|batch| bytes_of(batch) as u64).sum();
        let partitions =
            partitions.into_iter().map(|batches| batches.iter().flat_map(cut).collect()).collect();
        let pieces = Mutex::new(HashMap::new());
        Arc::new_cyclic(|me| MemoryTable { schema, partitions, bytes, pieces, me: me.clone() })
    }

    /// What its rows take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// These columns, or all, of each partition.
    pub(crate) fn pieces(
        &self,
        columns: Option<&Vec<usize>>,
    ) -> std::result::Result<Arc<[Piece]>, FrameError> {
        let mut made = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pieces) = made.get(&columns.cloned()) {
            return Ok(pieces.clone());
        }
        let schema = project_schema(&self.schema, columns)?;
        let piece = |batches: &Vec<RecordBatch>| -> std::result::Result<Piece, FrameError> {
            let projected = |batch: &RecordBatch| match columns {
                Some(columns) => batch.project(columns),
                None => Ok(batch.clone()),
            };
            let batches: Vec<_> = batches
                .iter()
                .map(projected)
                .collect::<std::result::Result<_, _>>()
                .map_err(|e| FrameError::Query(Arc::new(e.into())))?;
            let size = Sizes::of(&schema, &batches).map_err(|error: TaskError| FrameError::Unsupported {
                what: "a table in memory".to_owned(),
                reason: error.to_string(),
            })?;
            Ok(Piece::of(schema.clone(), batches, size))
        };
        let pieces: Arc<[Piece]> =
            self.partitions.iter().map(piece).collect::<std::result::Result<_, FrameError>>()?;
        made.insert(columns.cloned(), pieces.clone());
        Ok(pieces)
    }

    fn statistics_of(&self, columns: Option<&Vec<usize>>) -> Statistics {
        let n_rows = self.partitions.iter().flatten().map(RecordBatch::num_rows).sum();
        let n_columns = columns.map_or(self.schema.fields().len(), Vec::len);
        let share = n_columns.max(1) * self.bytes as usize / self.schema.fields().len().max(1);
        Statistics {
            num_rows: Precision::Exact(n_rows),
            total_byte_size: Precision::Inexact(share),
            column_statistics: vec![ColumnStatistics::new_unknown(); n_columns],
        }
    }
}

/// The batch in parts of as many rows as tasks work on at a time: operators take memory for a whole batch at once.
fn cut(batch: &RecordBatch) -> Vec<RecordBatch> {
    let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
    starts.map(|at| batch.slice(at, BATCH_ROWS.min(batch.num_rows() - at))).collect()
}

/// What the rows of a batch take, without what their buffers hold of other rows.
pub(crate) fn bytes_of(batch: &RecordBatch) -> usize {
    let slices = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    slices.map(|size| size.unwrap_or(0)).sum()
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTable({} partitions, {} bytes)", self.partitions.len(), self.bytes)
    }
}

#[async_trait]
impl TableProvider for MemoryTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(table) = self.me.upgrade() else { return exec_err!("a table that is gone") };
        let schema = project_schema(&self.schema, projection)?;
        let statistics = self.statistics_of(projection);
        Ok(Arc::new(SourceExec::new(Rows::Memory(table, projection.cloned()), schema, statistics)))
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics_of(None))
    }
}

/// Rows that no stage makes.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// These columns of a table in memory, or all.
    Memory(Arc<MemoryTable>, Option<Vec<usize>>),
    /// What whoever runs the query has.
    Stored(Arc<dyn Stored>),
}

impl Rows {
    /// Whether they are the same ones.
    pub(crate) fn are(&self, other: &Rows) -> bool {
        match (self, other) {
            (Rows::Memory(a, of_a), Rows::Memory(b, of_b)) => Arc::ptr_eq(a, b) && of_a == of_b,
            (Rows::Stored(a), Rows::Stored(b)) => std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)),
            _ => false,
        }
    }

    /// Them, for a graph.
    pub(crate) fn source(&self) -> std::result::Result<Source, FrameError> {
        Ok(match self {
            Rows::Memory(table, columns) => Source::Pieces(table.pieces(columns.as_ref())?),
            Rows::Stored(stored) => Source::Stored(stored.clone()),
        })
    }

    fn n_partitions(&self) -> usize {
        match self {
            Rows::Memory(table, _) => table.partitions.len(),
            Rows::Stored(stored) => stored.n_partitions(),
        }
    }

    fn piece(&self, partition: usize) -> std::result::Result<Piece, FrameError> {
        match self {
            Rows::Memory(table, columns) => Ok(table.pieces(columns.as_ref())?[partition].clone()),
            Rows::Stored(stored) => stored.piece(partition),
        }
    }
}

/// What is kept of a query in this process.
impl Stored for MemoryTable {
    fn n_partitions(&self) -> usize {
        self.partitions.len()
    }

    fn piece(&self, partition: usize) -> std::result::Result<Piece, FrameError> {
        Ok(self.pieces(None)?[partition].clone())
    }
}

/// Stands for rows that no stage makes until a plan is cut.
#[derive(Debug)]
pub(crate) struct SourceExec {
    pub rows: Rows,
    statistics: Statistics,
    properties: Arc<PlanProperties>,
}

impl SourceExec {
    pub(crate) fn new(rows: Rows, schema: SchemaRef, statistics: Statistics) -> SourceExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(rows.n_partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        SourceExec { rows, statistics, properties: Arc::new(properties) }
    }
}

impl DisplayAs for SourceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SourceExec: partitions={}", self.rows.n_partitions())
    }
}

impl ExecutionPlan for SourceExec {
    fn name(&self) -> &str {
        "SourceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    leaf!();

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(match partition {
            None => self.statistics.clone(),
            Some(_) => Statistics::new_unknown(&self.schema()),
        }))
    }

    /// For plans that DataFusion runs in one process; those that are cut have a reader in its place.
    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let piece = self.rows.piece(partition).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let batches = piece.batches(&self.schema()).map_err(TaskError::into_datafusion)?;
        let rows = futures::stream::iter(batches.into_iter().map(Ok));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
