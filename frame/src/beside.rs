//! Columns that are read one by one, side by side again: partitions of as many rows each. Must not know where they come
//! from.

use crate::operator::{with_new_children, without_expressions};
use crate::session::BATCH_ROWS;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{internal_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;

/// Puts the columns of its children beside one another. There is at least one, and all have as many partitions.
#[derive(Debug)]
pub(crate) struct BesideExec {
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl BesideExec {
    pub(crate) fn new(schema: SchemaRef, children: Vec<Arc<dyn ExecutionPlan>>) -> BesideExec {
        let n = children.first().map_or(1, |child| child.output_partitioning().partition_count());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(n),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        BesideExec { children, properties: Arc::new(properties) }
    }
}

impl DisplayAs for BesideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "BesideExec: columns={}", self.schema().fields().len())
    }
}

impl ExecutionPlan for BesideExec {
    fn name(&self) -> &str {
        "BesideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_expressions!();

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true; self.children.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children.len()]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.len() != self.children.len() {
            return internal_err!("{} columns, expected {}", children.len(), self.children.len());
        }
        Ok(Arc::new(BesideExec::new(self.schema(), children)))
    }

    with_new_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let sides = self
            .children
            .iter()
            .map(|child| Ok(Side { rows: child.execute(partition, context.clone())?, left: None }));
        let sides = sides.collect::<Result<Vec<Side>>>()?;
        let schema = self.schema();
        let rows = futures::stream::try_unfold((sides, schema.clone()), |(mut sides, schema)| async move {
            Ok(next(&mut sides, &schema).await?.map(|batch| (batch, (sides, schema))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// A child and what was read of it and not given yet.
struct Side {
    rows: SendableRecordBatchStream,
    left: Option<RecordBatch>,
}

/// The next rows of all sides.
async fn next(sides: &mut [Side], schema: &SchemaRef) -> Result<Option<RecordBatch>> {
    for side in sides.iter_mut() {
        while side.left.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match side.rows.next().await {
                Some(batch) => side.left = Some(batch?),
                None => {
                    side.left = None;
                    break;
                }
            }
        }
    }
    let ended = sides.iter().filter(|side| side.left.is_none()).count();
    if ended == sides.len() {
        return Ok(None);
    }
    if ended > 0 {
        return plan_err!("columns of one table have different lengths");
    }
    let left = sides.iter().filter_map(|side| side.left.as_ref().map(RecordBatch::num_rows));
    let n = left.min().unwrap_or(0).min(BATCH_ROWS);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for side in sides {
        let Some(batch) = side.left.take() else { continue };
        columns.extend(batch.slice(0, n).columns().iter().cloned());
        side.left = Some(batch.slice(n, batch.num_rows() - n));
    }
    Ok(Some(RecordBatch::try_new(schema.clone(), columns)?))
}
