//! The place of each row in its table, as a column: partition and position in one number, so that rows keep their order
//! when they are sorted by it. It is not counted over partitions, so nobody waits for anybody. Must not know what needs it.

use crate::operator::without_expressions;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalSortExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::StreamExt;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The column's name.
pub(crate) const PLACE: &str = "__place";
/// Bits of a row's position in its partition.
const POSITION_BITS: u32 = 40;

/// The table with one more column, of the rows' places.
pub(crate) fn placed(input: LogicalPlan) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(PlaceNode::new(input)?) }))
}

/// Adds the column in a logical plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlaceNode {
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

impl PartialOrd for PlaceNode {
    fn partial_cmp(&self, other: &PlaceNode) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}

impl UserDefinedLogicalNodeCore for PlaceNode {
    fn name(&self) -> &str {
        "Place"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Place")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<PlaceNode> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => PlaceNode::new(input),
            _ => internal_err!("rows have places in one table"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let n = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|column| *column < n).collect()])
    }
}

/// Plans our own nodes.
#[derive(Debug)]
pub(crate) struct OwnNodes;

#[async_trait]
impl ExtensionPlanner for OwnNodes {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match node.as_any().downcast_ref::<PlaceNode>() {
            Some(_) => Ok(Some(Arc::new(PlaceExec::new(inputs[0].clone())))),
            None => Ok(None),
        }
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

    /// Places are those before rows are sorted: a sort above must not move below.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    without_expressions!();

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(PlaceExec::new(input))),
            _ => internal_err!("rows have places in one table"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = self.schema();
        let mut next = (partition as u64) << POSITION_BITS;
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
