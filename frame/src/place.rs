//! The place of each row in its table, as a column: partition and position in one number, so that rows keep their order
//! when they are sorted by it. It is not counted over partitions, so nobody waits for anybody. Must not know what needs it.

use crate::operator::{one_input, one_input_node, ordered_by_input};
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The column's name.
pub(crate) const PLACE: &str = "__place";
/// Bits of a row's position in its partition.
const POSITION_BITS: u32 = 40;

/// The place of a row.
pub(crate) fn place_of(partition: usize, position: u64) -> u64 {
    ((partition as u64) << POSITION_BITS) + position
}

/// The table with one more column, of the rows' places.
pub(crate) fn placed(input: LogicalPlan) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(PlaceNode::new(input)?) }))
}

/// Adds the column in a logical plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceNode {
    input: LogicalPlan,
    schema: DFSchemaRef,
}

fn place_field() -> Field {
    Field::new(PLACE, DataType::UInt64, false)
}

impl PlaceNode {
    fn new(input: LogicalPlan) -> Result<PlaceNode> {
        let place = DFSchema::from_unqualified_fields(vec![place_field()].into(), Default::default())?;
        let schema = Arc::new(input.schema().join(&place)?);
        Ok(PlaceNode { input, schema })
    }
}

impl Hash for PlaceNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
    }
}

ordered_by_input!(PlaceNode);

impl UserDefinedLogicalNodeCore for PlaceNode {
    fn name(&self) -> &str {
        "Place"
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Place")
    }

    one_input_node!(|_this: &PlaceNode, input| PlaceNode::new(input));

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let n = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|column| *column < n).collect()])
    }
}

/// Adds the column in a task.
#[derive(Debug)]
pub(crate) struct PlaceExec {
    pub input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl PlaceExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> PlaceExec {
        let mut fields: Vec<_> = input.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(place_field()));
        let schema: SchemaRef =
            Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
        let from = input.properties();
        let place = PhysicalSortExpr::new(
            Arc::new(Column::new(PLACE, schema.fields().len() - 1)),
            SortOptions { descending: false, nulls_first: false },
        );
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [[place]]),
            input.output_partitioning().clone(),
            from.emission_type,
            from.boundedness,
        );
        PlaceExec { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PlaceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "PlaceExec")
    }
}

impl ExecutionPlan for PlaceExec {
    fn name(&self) -> &str {
        "PlaceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    // Places are those before rows are sorted: a sort above must not move below.
    one_input!(|_place: &PlaceExec, input| PlaceExec::new(input));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = self.schema();
        let mut next = place_of(partition, 0);
        let with_place = schema.clone();
        let placed = rows.map(move |batch| {
            let batch = batch?;
            let end = next + batch.num_rows() as u64;
            let places: ArrayRef = Arc::new(UInt64Array::from_iter_values(next..end));
            next = end;
            let mut columns = batch.columns().to_vec();
            columns.push(places);
            Ok(RecordBatch::try_new(with_place.clone(), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, placed)))
    }
}
