//! Rows of which nothing is known, for groups of several sets of keys (`rollup`, `cube`, `grouping sets`). DataFusion takes
//! a column that a filter fixes for fixed in their result too, where it is missing in the groups of the sets without it:
//! rows are not sorted by it, and groups that are found in turns are given in parts. Must not know how plans are cut.

use crate::operator::one_input;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    replace_children_if_necessary,
};
use std::fmt;
use std::sync::Arc;

/// Hands rows on.
#[derive(Debug)]
pub(crate) struct ForgetExec {
    pub input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetExec {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> ForgetExec {
        let from = input.properties();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.output_partitioning().clone(),
            from.emission_type,
            from.boundedness,
        );
        ForgetExec { input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for ForgetExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ForgetExec")
    }
}

impl ExecutionPlan for ForgetExec {
    fn name(&self) -> &str {
        "ForgetExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    one_input!(|_forget: &ForgetExec, input| ForgetExec::new(input));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

/// Puts it before the groups. The first of the rules, for the others act on what is known.
#[derive(Debug)]
pub(crate) struct ForgetBeforeSets;

impl PhysicalOptimizerRule for ForgetBeforeSets {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let groups = node.downcast_ref::<AggregateExec>();
            let of_sets = groups.filter(|groups| groups.group_expr().has_grouping_set());
            let Some(groups) = of_sets.filter(|groups| !groups.input().is::<ForgetExec>()) else {
                return Ok(Transformed::no(node));
            };
            let input = Arc::new(ForgetExec::new(groups.input().clone()));
            Ok(Transformed::yes(replace_children_if_necessary(node, vec![input])?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "forget_before_sets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
