//! Plans of stages as bytes: DataFusion's protobuf with our own nodes, and what it has no fields for set again when plans
//! are read. Must not know how plans are cut or run.

use crate::error::{FrameError, TaskError};
use crate::read::{Exprs, Facts, ReadExec};
use crate::stage::How;
use bytes::Bytes;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::LexOrdering;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_exprs, parse_physical_sort_exprs, parse_protobuf_partitioning,
};
use datafusion_proto::physical_plan::to_proto::{
    serialize_partitioning, serialize_physical_exprs, serialize_physical_sort_exprs,
};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use prost::Message;
use std::sync::Arc;

/// Partitions of a stage that are believed.
const PARTITIONS_MAX: u32 = 1 << 20;

/// A reader on the wire.
#[derive(Clone, PartialEq, Message)]
struct ReadNode {
    #[prost(uint32, tag = "1")]
    slot: u32,
    #[prost(uint32, tag = "2")]
    how: u32,
    #[prost(uint32, tag = "3")]
    n_partitions: u32,
    #[prost(message, optional, tag = "4")]
    schema: Option<protobuf::Schema>,
    #[prost(message, optional, tag = "5")]
    divided: Option<protobuf::Partitioning>,
    #[prost(message, repeated, tag = "6")]
    constants: Vec<protobuf::PhysicalExprNode>,
    #[prost(message, repeated, tag = "7")]
    equal: Vec<ExprList>,
    #[prost(message, repeated, tag = "8")]
    sorted: Vec<SortList>,
}

#[derive(Clone, PartialEq, Message)]
struct ExprList {
    #[prost(message, repeated, tag = "1")]
    exprs: Vec<protobuf::PhysicalExprNode>,
}

#[derive(Clone, PartialEq, Message)]
struct SortList {
    #[prost(message, repeated, tag = "1")]
    exprs: Vec<protobuf::PhysicalSortExprNode>,
}

/// The ways of reading in the order of their numbers.
const WAYS: [How; 4] = [How::Same, How::Piece, How::Whole, How::Each];

#[derive(Debug)]
struct Codec;

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        _: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let node = ReadNode::decode(bytes).map_err(|e| internal_datafusion_err!("not a reader: {e}"))?;
        let how =
            WAYS.get(node.how as usize).ok_or_else(|| internal_datafusion_err!("no way {}", node.how))?;
        if !(1..=PARTITIONS_MAX).contains(&node.n_partitions) {
            return internal_err!("a reader of {} partitions", node.n_partitions);
        }
        let schema =
            node.schema.as_ref().ok_or_else(|| internal_datafusion_err!("a reader without a schema"))?;
        let schema: SchemaRef = Arc::new(Schema::try_from(schema)?);
        let decoding = PhysicalPlanDecodeContext::new(context, self);
        let exprs = |exprs: &[protobuf::PhysicalExprNode]| -> Result<Exprs> {
            parse_physical_exprs(exprs, &decoding, &schema, converter)
        };
        let sorted = |list: &SortList| -> Result<Option<LexOrdering>> {
            Ok(LexOrdering::new(parse_physical_sort_exprs(&list.exprs, &decoding, &schema, converter)?))
        };
        let facts = Facts {
            divided: parse_protobuf_partitioning(node.divided.as_ref(), &decoding, &schema, converter)?,
            constants: exprs(&node.constants)?,
            equal: node.equal.iter().map(|list| exprs(&list.exprs)).collect::<Result<_>>()?,
            sorted: node.sorted.iter().filter_map(|list| sorted(list).transpose()).collect::<Result<_>>()?,
        };
        Ok(Arc::new(ReadExec::new(node.slot as usize, *how, node.n_partitions as usize, schema, facts)?))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(read) = node.downcast_ref::<ReadExec>() else {
            return internal_err!("{} has no form as bytes", node.name());
        };
        let facts = &read.facts;
        let exprs = |exprs: &Exprs| serialize_physical_exprs(exprs, self, converter);
        let sorted = |o: &LexOrdering| {
            serialize_physical_sort_exprs(o.iter().cloned(), self, converter).map(|exprs| SortList { exprs })
        };
        let number = |n: usize| u32::try_from(n).map_err(|_| internal_datafusion_err!("{n} is too many"));
        let node = ReadNode {
            slot: number(read.slot)?,
            how: WAYS.iter().position(|way| *way == read.how).map_or(0, |n| n as u32),
            n_partitions: number(read.n_partitions())?,
            schema: Some(read.schema().as_ref().try_into()?),
            divided: facts
                .divided
                .as_ref()
                .map(|p| serialize_partitioning(p, self, converter))
                .transpose()?,
            constants: exprs(&facts.constants)?,
            equal: facts
                .equal
                .iter()
                .map(|class| exprs(class).map(|exprs| ExprList { exprs }))
                .collect::<Result<_>>()?,
            sorted: facts.sorted.iter().map(sorted).collect::<Result<_>>()?,
        };
        node.encode(bytes).map_err(|e| internal_datafusion_err!("{e}"))
    }
}

/// A stage's plan as bytes.
pub(crate) fn encode(plan: &Arc<dyn ExecutionPlan>) -> std::result::Result<Bytes, FrameError> {
    physical_plan_to_bytes_with_extension_codec(plan.clone(), &Codec).map_err(|e| FrameError::Unsupported {
        what: format!("the plan {}", plan.name()),
        reason: e.strip_backtrace(),
    })
}

/// The plan that bytes stand for, each time a new one: plans keep state while they run.
pub(crate) fn decode(
    bytes: &[u8],
    context: &TaskContext,
) -> std::result::Result<Arc<dyn ExecutionPlan>, TaskError> {
    let plan = physical_plan_from_bytes_with_extension_codec(bytes, context, &Codec).and_then(steady);
    plan.map_err(|e| TaskError::Payload(e.strip_backtrace()))
}

/// Merges take equal rows from the first input that has them, so that partitions that are in order stay so. By default
/// they take turns, and the wire has no field that says otherwise.
fn steady(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(match node.downcast_ref::<SortPreservingMergeExec>() {
            Some(merge) => Transformed::yes(Arc::new(merge.clone().with_round_robin_repartition(false)) as _),
            None => Transformed::no(node),
        })
    })
    .data()
}
