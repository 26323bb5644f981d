//! Partitions that whoever runs queries has: what was kept of an earlier query, or columns that are arrays. A table of
//! them is read where they lie, and what is known of them is exact. Must not know who has them.

use crate::beside::BesideExec;
use crate::blocks::Piece;
use crate::error::FrameError;
use crate::source::{Rows, SourceExec};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Partitions that a query reads and does not make, for whoever runs it to find.
pub trait Stored: Any + fmt::Debug + Send + Sync {
    /// How many there are.
    fn n_partitions(&self) -> usize;

    /// One of them, brought into this process.
    ///
    /// # Errors
    /// What whoever has it says.
    fn piece(&self, partition: usize) -> std::result::Result<Piece, FrameError>;
}

/// What is known of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Rows.
    pub rows: u64,
    /// Bytes of its values.
    pub bytes: u64,
    /// Values of each column that are missing, where that was asked for.
    pub nulls: Vec<u64>,
}

/// The rows of a query that are kept where they were made.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its partitions. They are let go of when the last clone is dropped.
    pub rows: Arc<dyn Stored>,
    /// What is known of each.
    pub facts: Vec<Facts>,
}

/// How stored partitions hold a table.
#[derive(Debug, Clone)]
enum Layout {
    /// All columns together.
    Rows(Arc<dyn Stored>),
    /// Each column by itself. There is at least one.
    Columns(Vec<Arc<dyn Stored>>),
}

/// A table of stored partitions.
#[derive(Debug)]
pub(crate) struct StoredTable {
    schema: SchemaRef,
    layout: Layout,
    facts: Vec<Facts>,
}

impl StoredTable {
    pub(crate) fn of_rows(kept: Kept) -> StoredTable {
        StoredTable { schema: kept.schema, layout: Layout::Rows(kept.rows), facts: kept.facts }
    }

    /// Of columns that are stored alike, at least one.
    pub(crate) fn of_columns(
        schema: SchemaRef,
        columns: Vec<Arc<dyn Stored>>,
        facts: Vec<Facts>,
    ) -> StoredTable {
        StoredTable { schema, layout: Layout::Columns(columns), facts }
    }

    /// What its rows take.
    pub(crate) fn bytes(&self) -> u64 {
        self.facts.iter().map(|f| f.bytes).sum()
    }

    fn statistics_of(&self, n_columns: usize) -> Statistics {
        let n_rows = self.facts.iter().map(|f| f.rows as usize).sum();
        let share = n_columns.max(1) * self.bytes() as usize / self.schema.fields().len().max(1);
        Statistics {
            num_rows: Precision::Exact(n_rows),
            total_byte_size: Precision::Inexact(share),
            column_statistics: vec![ColumnStatistics::new_unknown(); n_columns],
        }
    }

    fn source(&self, rows: &Arc<dyn Stored>, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        let statistics = self.statistics_of(schema.fields().len());
        Arc::new(SourceExec::new(Rows::Stored(rows.clone()), schema, statistics))
    }
}

#[async_trait]
impl TableProvider for StoredTable {
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
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let columns = match &self.layout {
            Layout::Rows(rows) => {
                let source = self.source(rows, self.schema.clone());
                return if *wanted == all { Ok(source) } else { projected(source, wanted) };
            }
            Layout::Columns(columns) => columns,
        };
        // Of no columns there would be no rows to count.
        let read: &[usize] = if wanted.is_empty() { &[0] } else { wanted };
        let column = |i: &usize| {
            let schema = Arc::new(Schema::new(vec![self.schema.field(*i).clone()]));
            self.source(&columns[*i], schema)
        };
        let beside: Arc<dyn ExecutionPlan> = match read {
            [one] => column(one),
            _ => Arc::new(BesideExec::new(
                project_schema(&self.schema, Some(&read.to_vec()))?,
                read.iter().map(column).collect(),
            )),
        };
        if wanted.is_empty() { projected(beside, wanted) } else { Ok(beside) }
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics_of(self.schema.fields().len()))
    }
}

/// These columns of a plan.
pub(crate) fn projected(plan: Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let column = |i: &usize| {
        let name = schema.field(*i).name();
        (Arc::new(Column::new(name, *i)) as Arc<dyn PhysicalExpr>, name.clone())
    };
    Ok(Arc::new(ProjectionExec::try_new(columns.iter().map(column).collect::<Vec<_>>(), plan)?))
}
