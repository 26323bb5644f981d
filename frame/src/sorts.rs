//! Sorts that somebody needs. DataFusion drops a sort above which no operator asks for an order; some of ours have a result
//! that depends on the order of rows, whatever it is, and there is no way to ask for that. Must not know how plans are cut.

use crate::divide::DivideExec;
use crate::map::MapExec;
use crate::place::PlaceExec;
use crate::sink::SinkExec;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_expr::{Distribution, OrderingRequirements};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};
use std::sync::Arc;

/// Says above such a sort that its order is needed, as DataFusion says it of a query's last one, by a node that goes with
/// that one. The first of the rules, for the others drop sorts.
#[derive(Debug)]
pub(crate) struct KeepSorts;

fn depends_on_order(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<PlaceExec>() || plan.is::<MapExec>() || plan.is::<DivideExec>() || plan.is::<SinkExec>()
}

/// The plan with the order needed of the sorts whose order its rows have.
fn kept(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        let order = OrderingRequirements::from(sort.expr().clone());
        let whole = if sort.preserve_partitioning() {
            Distribution::UnspecifiedDistribution
        } else {
            Distribution::SinglePartition
        };
        let fetch = sort.fetch();
        return Ok(Arc::new(OutputRequirementExec::new(plan, Some(order), whole, fetch)));
    }
    if plan.is::<OutputRequirementExec>() {
        return Ok(plan);
    }
    let passes_on = plan.maintains_input_order();
    let children = plan.children().into_iter().cloned().zip(passes_on);
    let children = children.map(|(child, passes_on)| if passes_on { kept(child) } else { Ok(child) });
    let children = children.collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(plan, children)
}

impl PhysicalOptimizerRule for KeepSorts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if !depends_on_order(node.as_ref()) {
                return Ok(Transformed::no(node));
            }
            let children = node.children().into_iter().cloned().map(kept).collect::<Result<Vec<_>>>()?;
            Ok(Transformed::yes(replace_children_if_necessary(node, children)?))
        })
        .data()
    }

    fn name(&self) -> &str {
        "keep_sorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
