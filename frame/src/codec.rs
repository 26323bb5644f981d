//! Plans of stages as bytes: DataFusion's protobuf with our own nodes, and what it has no fields for set again when plans
//! are read. Must not know how plans are cut or run.

use crate::csv::{CsvExec, CsvNode};
use crate::error::{FrameError, TaskError};
use crate::place::PlaceExec;
use crate::read::{Exprs, Facts, ReadExec};
use crate::stage::How;
use bytes::Bytes;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_proto_converter, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_exprs, parse_physical_sort_exprs, parse_protobuf_partitioning,
};
use datafusion_proto::physical_plan::to_proto::{
    serialize_partitioning, serialize_physical_exprs, serialize_physical_sort_exprs,
};
use datafusion_proto::physical_plan::{
    DefaultPhysicalProtoConverter, PhysicalExtensionCodec, PhysicalPlanDecodeContext,
    PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use prost::{Message, Oneof};
use std::sync::Arc;

/// Partitions of a stage that are believed.
const PARTITIONS_MAX: u32 = 1 << 20;

/// A node of ours on the wire.
#[derive(Clone, PartialEq, Message)]
struct OwnNode {
    #[prost(oneof = "Own", tags = "1, 2, 3")]
    own: Option<Own>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Own {
    #[prost(message, tag = "1", boxed)]
    Read(Box<ReadNode>),
    #[prost(message, tag = "2")]
    Place(PlaceNode),
    #[prost(message, tag = "3", boxed)]
    Csv(Box<CsvNode>),
}

/// Rows with their places on the wire.
#[derive(Clone, PartialEq, Message)]
struct PlaceNode {}

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
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let node = OwnNode::decode(bytes).map_err(|e| internal_datafusion_err!("no node of ours: {e}"))?;
        match node.own {
            Some(Own::Read(node)) => self.read(&node, context, converter),
            Some(Own::Place(_)) => match inputs {
                [input] => Ok(Arc::new(PlaceExec::new(input.clone()))),
                _ => internal_err!("places in {} tables", inputs.len()),
            },
            Some(Own::Csv(node)) => Ok(Arc::new(CsvExec::new(*node)?)),
            None => internal_err!("a node of no kind"),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let own = if let Some(read) = node.downcast_ref::<ReadExec>() {
            Own::Read(Box::new(self.read_node(read, converter)?))
        } else if node.is::<PlaceExec>() {
            Own::Place(PlaceNode {})
        } else if let Some(csv) = node.downcast_ref::<CsvExec>() {
            Own::Csv(Box::new(csv.node.clone()))
        } else {
            return internal_err!("{} has no form as bytes", node.name());
        };
        OwnNode { own: Some(own) }.encode(bytes).map_err(|e| internal_datafusion_err!("{e}"))
    }
}

impl Codec {
    fn read(
        &self,
        node: &ReadNode,
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
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

    fn read_node(
        &self,
        read: &ReadExec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<ReadNode> {
        let facts = &read.facts;
        let exprs = |exprs: &Exprs| serialize_physical_exprs(exprs, self, converter);
        let sorted = |o: &LexOrdering| {
            serialize_physical_sort_exprs(o.iter().cloned(), self, converter).map(|exprs| SortList { exprs })
        };
        let number = |n: usize| u32::try_from(n).map_err(|_| internal_datafusion_err!("{n} is too many"));
        Ok(ReadNode {
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
        })
    }
}

/// Makes sums, differences and products that do not fit their type errors, where DataFusion lets them wrap; the wire has
/// no field for it.
struct Checking;

impl PhysicalProtoConverterExtension for Checking {
    fn proto_to_execution_plan(
        &self,
        proto: &protobuf::PhysicalPlanNode,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.default_proto_to_execution_plan(proto, context)
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        DefaultPhysicalProtoConverter {}.execution_plan_to_proto(plan, codec)
    }

    fn proto_to_physical_expr(
        &self,
        proto: &protobuf::PhysicalExprNode,
        schema: &Schema,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(checked(self.default_proto_to_physical_expr(proto, schema, context)?))
    }

    fn physical_expr_to_proto(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        DefaultPhysicalProtoConverter {}.physical_expr_to_proto(expr, codec)
    }
}

/// The expression with errors for what does not fit. A chain of one operator is decoded at once.
fn checked(expr: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let op = expr.downcast_ref::<BinaryExpr>().map(|binary| *binary.op());
    let Some(op @ (Operator::Plus | Operator::Minus | Operator::Multiply)) = op else { return expr };
    let (mut chain, mut first) = (Vec::new(), expr);
    while let Some(binary) = first.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == op) {
        chain.push(binary.right().clone());
        first = binary.left().clone();
    }
    chain
        .into_iter()
        .rev()
        .fold(first, |left, right| Arc::new(BinaryExpr::new(left, op, right).with_fail_on_overflow(true)))
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
    let plan =
        physical_plan_from_bytes_with_proto_converter(bytes, context, &Codec, &Checking).and_then(steady);
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
