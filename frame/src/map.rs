//! A function of the user's of each partition: all of its rows at once, which the task's grant must hold. Must not know how
//! functions are found.

use crate::error::TaskError;
use crate::function::Function;
use crate::operator::{one_input, one_input_node, ordered_by_input};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a function gives for each partition of a table: rows of this schema.
pub(crate) fn mapped(input: LogicalPlan, function: Function, schema: SchemaRef) -> Result<LogicalPlan> {
    let known = Arc::new(DFSchema::try_from(schema.clone())?);
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(MapNode { input, function, schema, known }) }))
}

/// Calls the function in a logical plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapNode {
    input: LogicalPlan,
    pub function: Function,
    pub schema: SchemaRef,
    known: DFSchemaRef,
}

impl Hash for MapNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.function.hash(state);
    }
}

ordered_by_input!(MapNode);

impl UserDefinedLogicalNodeCore for MapNode {
    fn name(&self) -> &str {
        "MapPartitions"
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.known
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "MapPartitions: {}", self.function.name)
    }

    one_input_node!(|this: &MapNode, input| Ok(MapNode { input, ..this.clone() }));
}

/// Calls the function in a task.
#[derive(Debug)]
pub(crate) struct MapExec {
    input: Arc<dyn ExecutionPlan>,
    pub function: Function,
    properties: Arc<PlanProperties>,
}

impl MapExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, function: Function, schema: SchemaRef) -> MapExec {
        let from = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_expr::Partitioning::UnknownPartitioning(
                input.output_partitioning().partition_count(),
            ),
            from.emission_type,
            from.boundedness,
        );
        MapExec { input, function, properties: Arc::new(properties) }
    }
}

impl DisplayAs for MapExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "MapExec: {} ({})", self.function.name, self.function.line)
    }
}

impl ExecutionPlan for MapExec {
    fn name(&self) -> &str {
        "MapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|map: &MapExec, input| MapExec::new(input, map.function.clone(), map.schema()));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut rows = self.input.execute(partition, context.clone())?;
        let (takes, gives, function) = (self.input.schema(), self.schema(), self.function.clone());
        let schema = gives.clone();
        let made = async move {
            let held = MemoryConsumer::new("map_partitions").register(context.memory_pool());
            let mut batches = Vec::new();
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                // As it came, and once more as a part of all rows.
                held.try_grow(2 * crate::source::bytes_of(&batch))?;
                batches.push(batch);
            }
            let all = concat_batches(&takes, &batches)?;
            drop(batches);
            let made: RecordBatch = function.call(&all).map_err(TaskError::into_datafusion)?;
            fitting(&made, &gives, &function).map_err(TaskError::into_datafusion)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(made))))
    }
}

/// What a function gave, if it is of the columns that it was to give.
fn fitting(
    made: &RecordBatch,
    schema: &SchemaRef,
    function: &Function,
) -> std::result::Result<RecordBatch, TaskError> {
    let shown = |schema: &SchemaRef| {
        let columns = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type()));
        columns.collect::<Vec<_>>().join(", ")
    };
    let got = made.schema();
    let same = got.fields().len() == schema.fields().len()
        && got.fields().iter().zip(schema.fields()).all(|(a, b)| a.name() == b.name());
    let fits = same.then(|| RecordBatch::try_new(schema.clone(), made.columns().to_vec()).ok()).flatten();
    fits.ok_or_else(|| {
        let why = format!("{} gave columns {}; expected {}", function.name, shown(&got), shown(schema));
        TaskError::Function { line: function.line.to_string(), why }
    })
}
