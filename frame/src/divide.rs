//! Rows divided anew by their places, in partitions of given lengths, in their order. Nobody asks for it but whoever knows
//! the lengths of partitions. Must not know how stages are cut.

use crate::operator::{one_input, one_input_node, ordered_by_input};
use crate::place::PLACE;
use datafusion::common::{DFSchemaRef, ScalarValue, SplitPoint, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalSortExpr, RangePartitioning,
};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::Arc;

/// The rows of a table with their places, with one more partition than there are points: a partition begins at the row of
/// each.
pub(crate) fn divided(input: LogicalPlan, points: Vec<u64>) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(DivideNode { input, points }) })
}

/// Divides in a logical plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DivideNode {
    input: LogicalPlan,
    pub points: Vec<u64>,
}

ordered_by_input!(DivideNode);

impl UserDefinedLogicalNodeCore for DivideNode {
    fn name(&self) -> &str {
        "Divide"
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Divide: {} partitions", self.points.len() + 1)
    }

    one_input_node!(|this: &DivideNode, input| Ok(DivideNode { input, ..this.clone() }));
}

/// Stands for the exchange until a plan is cut.
#[derive(Debug)]
pub(crate) struct DivideExec {
    input: Arc<dyn ExecutionPlan>,
    points: Vec<u64>,
    properties: Arc<PlanProperties>,
}

impl DivideExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, points: Vec<u64>) -> DivideExec {
        let from = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(points.len() + 1),
            from.emission_type,
            from.boundedness,
        );
        DivideExec { input, points, properties: Arc::new(properties) }
    }

    /// How rows are divided; not at all if there are no points.
    pub(crate) fn partitioning(&self) -> Result<Option<Partitioning>> {
        let place = PhysicalSortExpr::new_default(col(PLACE, &self.schema())?);
        let Some(order) = LexOrdering::new([place]).filter(|_| !self.points.is_empty()) else {
            return Ok(None);
        };
        let point = |place: &u64| SplitPoint::new(vec![ScalarValue::UInt64(Some(*place))]);
        let range = RangePartitioning::try_new(order, self.points.iter().map(point).collect())?;
        Ok(Some(Partitioning::Range(range)))
    }
}

impl DisplayAs for DivideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "DivideExec: partitions={}", self.points.len() + 1)
    }
}

impl ExecutionPlan for DivideExec {
    fn name(&self) -> &str {
        "DivideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|divide: &DivideExec, input| DivideExec::new(input, divide.points.clone()));

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("an exchange is no task")
    }
}
