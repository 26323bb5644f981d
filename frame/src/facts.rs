//! What is known of partitions that another stage made, as a row of numbers for each: rows, bytes and, where that is asked
//! for, what is missing in each column. Rows and bytes are told beside pieces, so that these are not decoded for them. Must
//! not know what it is asked for.

use crate::error::{FrameError, TaskError};
use crate::operator::leaf;
use crate::read::Feeds;
use crate::stored::Facts;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;

/// The columns of facts before those of missing values.
const FIRST: [&str; 2] = ["rows", "bytes"];

/// Makes the facts of what a slot is fed with.
#[derive(Debug)]
pub(crate) struct FactsExec {
    /// The columns of what is read, if it is decoded to count what is missing.
    pub of: Option<SchemaRef>,
    properties: Arc<PlanProperties>,
}

/// The columns of facts about so many.
pub(crate) fn facts_schema(n_counted: usize) -> SchemaRef {
    let counted = (0..n_counted).map(|i| format!("nulls_{i}"));
    let names = FIRST.iter().map(|name| (*name).to_owned()).chain(counted);
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::UInt64, false)).collect::<Vec<_>>()))
}

impl FactsExec {
    pub(crate) fn new(of: Option<SchemaRef>, n_partitions: usize) -> FactsExec {
        let n_counted = of.as_ref().map_or(0, |schema| schema.fields().len());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(facts_schema(n_counted)),
            Partitioning::UnknownPartitioning(n_partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        FactsExec { of, properties: Arc::new(properties) }
    }

    pub(crate) fn n_partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

/// How many values are missing in each column of these batches, of which there are so many.
pub(crate) fn nulls_in(batches: &[RecordBatch], n_columns: usize) -> Vec<u64> {
    let nulls = |i: usize| batches.iter().map(|b| b.column(i).logical_null_count() as u64).sum();
    (0..n_columns).map(nulls).collect()
}

/// The facts that a task made.
///
/// # Errors
/// Rows that are none of facts.
pub(crate) fn read_facts(batches: &[RecordBatch]) -> std::result::Result<Facts, FrameError> {
    let wrong = || FrameError::executor("facts of a partition that are none");
    let [batch] = batches else { return Err(wrong()) };
    let numbers = batch.columns().iter().map(|column| {
        let column = column.as_primitive_opt::<UInt64Type>().filter(|column| column.len() == 1);
        column.map(|column| column.value(0)).ok_or_else(wrong)
    });
    let numbers: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
    let (&[rows, bytes], nulls) = numbers.split_first_chunk().ok_or_else(wrong)?;
    Ok(Facts { rows, bytes, nulls: nulls.to_vec() })
}

impl DisplayAs for FactsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FactsExec: partitions={}", self.n_partitions())
    }
}

impl ExecutionPlan for FactsExec {
    fn name(&self) -> &str {
        "FactsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    leaf!();

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let feeds = context.session_config().get_extension::<Feeds>();
        let feeds = feeds.ok_or_else(|| exec_datafusion_err!("facts outside of a task"))?;
        let mut feed = feeds.take(0, 0).map_err(TaskError::into_datafusion)?;
        let (schema, of) = (self.schema(), self.of.clone());
        let made = schema.clone();
        let row = async move {
            let mut facts = vec![0u64; made.fields().len()];
            while let Some(piece) = feed.next().await {
                let piece = piece.map_err(TaskError::into_datafusion)?;
                facts[0] += piece.rows();
                facts[1] += piece.value_bytes();
                let Some(of) = &of else { continue };
                let batches = piece.batches(of).map_err(TaskError::into_datafusion)?;
                let nulls = nulls_in(&batches, of.fields().len());
                facts[FIRST.len()..].iter_mut().zip(nulls).for_each(|(all, more)| *all += more);
            }
            let column = |n: u64| Arc::new(UInt64Array::from(vec![n])) as ArrayRef;
            Ok(RecordBatch::try_new(made, facts.into_iter().map(column).collect())?)
        };
        let row = futures::stream::once(row);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, row)))
    }
}
