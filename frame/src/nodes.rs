//! Our own nodes of logical plans as operators of physical ones. Must not know what they do.

use crate::divide::{DivideExec, DivideNode};
use crate::map::{MapExec, MapNode};
use crate::place::{PlaceExec, PlaceNode};
use crate::sink::{SinkExec, SinkNode};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use std::sync::Arc;

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
        let (node, input) = (node.as_any(), || inputs[0].clone());
        Ok(if node.is::<PlaceNode>() {
            Some(Arc::new(PlaceExec::new(input())))
        } else if let Some(divide) = node.downcast_ref::<DivideNode>() {
            Some(Arc::new(DivideExec::new(input(), divide.points.clone())))
        } else if let Some(map) = node.downcast_ref::<MapNode>() {
            Some(Arc::new(MapExec::new(input(), map.function.clone(), map.schema.clone())))
        } else if let Some(sink) = node.downcast_ref::<SinkNode>() {
            Some(Arc::new(SinkExec::new(input(), sink.sink.clone())))
        } else {
            None
        })
    }
}
