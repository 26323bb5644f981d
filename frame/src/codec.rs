//! Plans of stages as bytes: DataFusion's protobuf with our own nodes, and what it has no fields for set again when plans
//! are read. Must not know how plans are cut or run.

use crate::beside::BesideExec;
use crate::csv::{CsvExec, CsvNode};
use crate::error::{FrameError, TaskError};
use crate::facts::FactsExec;
use crate::forget::ForgetExec;
use crate::format::Format;
use crate::function::{Function, MAP_ELEMENTS, MapElements};
use crate::hive::{Constants, ConstantsExec};
use crate::map::MapExec;
use crate::objects::{PinnedExec, PinnedNode};
use crate::place::PlaceExec;
use crate::ranges::{BoundsExec, RangeExec, SampleExec};
use crate::read::{Exprs, Facts, ReadExec};
use crate::sink::{Sink, SinkExec};
use crate::stage::How;
use bytes::Bytes;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{ScalarValue, internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Operator, ScalarUDF};
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_proto_converter, physical_plan_to_bytes_with_proto_converter,
};
use datafusion_proto::physical_plan::from_proto::{
    parse_physical_exprs, parse_physical_sort_exprs, parse_protobuf_partitioning,
};
use datafusion_proto::physical_plan::to_proto::{
    serialize_partitioning, serialize_physical_expr_with_converter, serialize_physical_exprs,
    serialize_physical_sort_exprs,
};
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use datafusion_proto::protobuf::physical_expr_node::ExprType;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use prost::{Message, Oneof};
use std::cell::Cell;
use std::sync::Arc;

/// Partitions of a stage that are believed.
const PARTITIONS_MAX: u32 = 1 << 20;

/// A node of ours on the wire.
#[derive(Clone, PartialEq, Message)]
struct OwnNode {
    #[prost(oneof = "Own", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
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
    #[prost(message, tag = "4")]
    Beside(ColumnsNode),
    #[prost(message, tag = "5")]
    Facts(FactsNode),
    #[prost(message, tag = "6", boxed)]
    Map(Box<MapNode>),
    #[prost(message, tag = "7", boxed)]
    Sink(Box<SinkNode>),
    #[prost(message, tag = "8", boxed)]
    Constants(Box<ConstantsNode>),
    #[prost(message, tag = "9", boxed)]
    Sample(Box<SortList>),
    #[prost(message, tag = "10")]
    Bounds(BoundsNode),
    #[prost(message, tag = "11", boxed)]
    Range(Box<SortList>),
    #[prost(message, tag = "12")]
    Forget(ForgetNode),
    #[prost(message, tag = "13")]
    Pinned(PinnedNode),
}

/// The bounds of ranges on the wire.
#[derive(Clone, PartialEq, Message)]
struct BoundsNode {
    #[prost(uint32, tag = "1")]
    n_ranges: u32,
}

/// A function of the user's on the wire.
#[derive(Clone, PartialEq, Message)]
struct FunctionNode {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    line: String,
}

impl FunctionNode {
    fn of(function: &Function) -> FunctionNode {
        let Function { bytes, name, line } = function;
        FunctionNode { bytes: bytes.to_vec().into(), name: name.to_string(), line: line.to_string() }
    }

    fn function(node: Option<&FunctionNode>) -> Result<Function> {
        let Some(FunctionNode { bytes, name, line }) = node else { return internal_err!("no function") };
        Ok(Function { bytes: bytes.as_ref().into(), name: name.as_str().into(), line: line.as_str().into() })
    }
}

/// A function of partitions on the wire.
#[derive(Clone, PartialEq, Message)]
struct MapNode {
    #[prost(message, optional, tag = "1")]
    function: Option<FunctionNode>,
    #[prost(message, optional, tag = "2")]
    schema: Option<protobuf::Schema>,
}

/// A function of elements on the wire: the types that it takes and gives are a schema's.
#[derive(Clone, PartialEq, Message)]
struct ElementsNode {
    #[prost(message, optional, tag = "1")]
    function: Option<FunctionNode>,
    #[prost(message, optional, tag = "2")]
    types: Option<protobuf::Schema>,
}

/// A writer on the wire.
#[derive(Clone, PartialEq, Message)]
struct SinkNode {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(uint32, tag = "2")]
    separator: u32,
    #[prost(string, tag = "3")]
    dir: String,
    #[prost(string, tag = "4")]
    parts: String,
    #[prost(string, repeated, tag = "5")]
    keys: Vec<String>,
}

impl SinkNode {
    fn of(sink: &Sink) -> SinkNode {
        let (format, separator) = match sink.format {
            Format::Parquet => (0, 0),
            Format::Csv(separator) => (1, separator.into()),
            Format::Json => (2, 0),
            Format::Ipc => (3, 0),
        };
        let Sink { dir, parts, keys, .. } = sink.clone();
        SinkNode { format, separator, dir, parts, keys }
    }

    fn sink(self) -> Result<Sink> {
        let SinkNode { format, separator, dir, parts, keys } = self;
        let format = match (format, u8::try_from(separator)) {
            (0, _) => Format::Parquet,
            (1, Ok(separator)) => Format::Csv(separator),
            (2, _) => Format::Json,
            (3, _) => Format::Ipc,
            _ => return internal_err!("no format {format}"),
        };
        Ok(Sink { format, dir, parts, keys })
    }
}

/// Columns of directories on the wire.
#[derive(Clone, PartialEq, Message)]
struct ConstantsNode {
    #[prost(message, optional, tag = "1")]
    fields: Option<protobuf::Schema>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<ValuesNode>,
    #[prost(uint32, repeated, tag = "3")]
    of_partition: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct ValuesNode {
    #[prost(message, repeated, tag = "1")]
    values: Vec<protobuf::ScalarValue>,
}

impl ConstantsNode {
    fn of(constants: &Constants) -> Result<ConstantsNode> {
        let Constants { fields, values, of_partition } = constants;
        let value = |value: &ScalarValue| Ok(value.try_into()?);
        let group = |values: &Vec<ScalarValue>| {
            values.iter().map(value).collect::<Result<_>>().map(|values| ValuesNode { values })
        };
        Ok(ConstantsNode {
            fields: Some((&Schema::new(fields.clone())).try_into()?),
            values: values.iter().map(group).collect::<Result<_>>()?,
            of_partition: of_partition.clone(),
        })
    }

    fn constants(self) -> Result<Constants> {
        let fields = schema_of(self.fields.as_ref())?;
        let value = |value: &protobuf::ScalarValue| Ok(ScalarValue::try_from(value)?);
        let group = |group: &ValuesNode| group.values.iter().map(value).collect::<Result<Vec<_>>>();
        Ok(Constants {
            fields: fields.fields().iter().map(|field| field.as_ref().clone()).collect(),
            values: self.values.iter().map(group).collect::<Result<_>>()?,
            of_partition: self.of_partition,
        })
    }
}

/// Columns on the wire.
#[derive(Clone, PartialEq, Message)]
struct ColumnsNode {
    #[prost(message, optional, tag = "1")]
    schema: Option<protobuf::Schema>,
}

/// Facts on the wire.
#[derive(Clone, PartialEq, Message)]
struct FactsNode {
    #[prost(message, optional, tag = "1")]
    of: Option<protobuf::Schema>,
    #[prost(uint32, tag = "2")]
    n_partitions: u32,
}

/// Rows with their places on the wire.
#[derive(Clone, PartialEq, Message)]
struct PlaceNode {}

/// Rows of which nothing is known on the wire.
#[derive(Clone, PartialEq, Message)]
struct ForgetNode {}

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
            Some(Own::Place(_)) => Ok(Arc::new(PlaceExec::new(only(inputs)?))),
            Some(Own::Pinned(node)) => Ok(Arc::new(PinnedExec::new(only(inputs)?, Arc::new(node.pins())))),
            Some(Own::Forget(_)) => Ok(Arc::new(ForgetExec::new(only(inputs)?))),
            Some(Own::Csv(node)) => Ok(Arc::new(CsvExec::new(*node)?)),
            Some(Own::Beside(node)) if !inputs.is_empty() => {
                Ok(Arc::new(BesideExec::new(schema_of(node.schema.as_ref())?, inputs.to_vec())))
            }
            Some(Own::Beside(_)) => internal_err!("no columns to be put beside one another"),
            Some(Own::Facts(node)) => {
                let of = node.of.as_ref().map(|of| schema_of(Some(of))).transpose()?;
                Ok(Arc::new(FactsExec::new(of, n_believed(node.n_partitions)?)))
            }
            Some(Own::Map(node)) => {
                let function = FunctionNode::function(node.function.as_ref())?;
                let schema = schema_of(node.schema.as_ref())?;
                Ok(Arc::new(MapExec::new(only(inputs)?, function, schema)))
            }
            Some(Own::Sink(node)) => Ok(Arc::new(SinkExec::new(only(inputs)?, node.sink()?))),
            Some(Own::Constants(node)) => {
                Ok(Arc::new(ConstantsExec::new(only(inputs)?, Arc::new(node.constants()?))))
            }
            Some(Own::Sample(list)) => {
                let rows = only(inputs)?;
                let order = self.order(&list, &rows.schema(), context, converter)?;
                Ok(Arc::new(SampleExec::new(rows, order)))
            }
            Some(Own::Bounds(node)) => {
                Ok(Arc::new(BoundsExec::new(only(inputs)?, n_believed(node.n_ranges)?)))
            }
            Some(Own::Range(list)) => {
                let [rows, bounds] = inputs else {
                    return internal_err!("{} inputs of ranges", inputs.len());
                };
                let order = self.order(&list, &rows.schema(), context, converter)?;
                Ok(Arc::new(RangeExec::new(rows.clone(), bounds.clone(), order)))
            }
            None => internal_err!("a node of no kind"),
        }
    }

    fn try_encode_udf(&self, function: &ScalarUDF, bytes: &mut Vec<u8>) -> Result<()> {
        // Others are known by their names.
        let Some(MapElements { function, takes, gives, .. }) = MapElements::of(function) else {
            return Ok(());
        };
        let types = [("takes", takes), ("gives", gives)];
        let types = types.map(|(name, data_type)| Field::new(name, data_type.clone(), true));
        let types = Some((&Schema::new(types.to_vec())).try_into()?);
        let node = ElementsNode { function: Some(FunctionNode::of(function)), types };
        node.encode(bytes).map_err(|e| internal_datafusion_err!("{e}"))
    }

    fn try_decode_udf(&self, name: &str, bytes: &[u8]) -> Result<Arc<ScalarUDF>> {
        if name != MAP_ELEMENTS {
            return internal_err!("there is no function {name}");
        }
        let node = ElementsNode::decode(bytes).map_err(|e| internal_datafusion_err!("no function: {e}"))?;
        let types = schema_of(node.types.as_ref())?;
        let [takes, gives] = types.fields().as_ref() else { return internal_err!("a function of no types") };
        let (takes, gives) = (takes.data_type().clone(), gives.data_type().clone());
        let function = FunctionNode::function(node.function.as_ref())?;
        Ok(Arc::new(ScalarUDF::from(MapElements::new(function, takes, gives))))
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
        } else if let Some(pinned) = node.downcast_ref::<PinnedExec>() {
            Own::Pinned(PinnedNode::of(&pinned.pins))
        } else if node.is::<ForgetExec>() {
            Own::Forget(ForgetNode {})
        } else if let Some(csv) = node.downcast_ref::<CsvExec>() {
            Own::Csv(Box::new(csv.node.clone()))
        } else if let Some(map) = node.downcast_ref::<MapExec>() {
            let function = Some(FunctionNode::of(&map.function));
            let schema = Some(map.schema().as_ref().try_into()?);
            Own::Map(Box::new(MapNode { function, schema }))
        } else if let Some(sink) = node.downcast_ref::<SinkExec>() {
            Own::Sink(Box::new(SinkNode::of(&sink.sink)))
        } else if let Some(constants) = node.downcast_ref::<ConstantsExec>() {
            Own::Constants(Box::new(ConstantsNode::of(&constants.constants)?))
        } else if let Some(sample) = node.downcast_ref::<SampleExec>() {
            Own::Sample(Box::new(self.sort_list(&sample.order, converter)?))
        } else if let Some(bounds) = node.downcast_ref::<BoundsExec>() {
            Own::Bounds(BoundsNode { n_ranges: number(bounds.n_ranges)? })
        } else if let Some(range) = node.downcast_ref::<RangeExec>() {
            Own::Range(Box::new(self.sort_list(&range.order, converter)?))
        } else if node.is::<BesideExec>() {
            Own::Beside(ColumnsNode { schema: Some(node.schema().as_ref().try_into()?) })
        } else if let Some(facts) = node.downcast_ref::<FactsExec>() {
            let of = facts.of.as_ref().map(|of| of.as_ref().try_into()).transpose()?;
            Own::Facts(FactsNode { of, n_partitions: number(facts.n_partitions())? })
        } else {
            return internal_err!("{} has no form as bytes", node.name());
        };
        OwnNode { own: Some(own) }.encode(bytes).map_err(|e| internal_datafusion_err!("{e}"))
    }
}

impl Codec {
    /// An order of what has these columns.
    fn order(
        &self,
        list: &SortList,
        schema: &Schema,
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<LexOrdering> {
        let decoding = PhysicalPlanDecodeContext::new(context, self);
        let keys = parse_physical_sort_exprs(&list.exprs, &decoding, schema, converter)?;
        LexOrdering::new(keys).ok_or_else(|| internal_datafusion_err!("an order by nothing"))
    }

    fn sort_list(
        &self,
        order: &LexOrdering,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<SortList> {
        serialize_physical_sort_exprs(order.iter().cloned(), self, converter).map(|exprs| SortList { exprs })
    }

    fn read(
        &self,
        node: &ReadNode,
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let how =
            WAYS.get(node.how as usize).ok_or_else(|| internal_datafusion_err!("no way {}", node.how))?;
        let n_partitions = n_believed(node.n_partitions)?;
        let schema = schema_of(node.schema.as_ref())?;
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
        Ok(Arc::new(ReadExec::new(node.slot as usize, *how, n_partitions, schema, facts)?))
    }

    fn read_node(
        &self,
        read: &ReadExec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<ReadNode> {
        let facts = &read.facts;
        let exprs = |exprs: &Exprs| serialize_physical_exprs(exprs, self, converter);
        let sorted = |order: &LexOrdering| self.sort_list(order, converter);
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

/// The only input of an operator.
fn only(inputs: &[Arc<dyn ExecutionPlan>]) -> Result<Arc<dyn ExecutionPlan>> {
    match inputs {
        [input] => Ok(input.clone()),
        _ => internal_err!("{} inputs, expected one", inputs.len()),
    }
}

fn number(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| internal_datafusion_err!("{n} is too many"))
}

/// A number of partitions that is believed.
fn n_believed(n: u32) -> Result<usize> {
    if (1..=PARTITIONS_MAX).contains(&n) {
        Ok(n as usize)
    } else {
        internal_err!("a reader of {n} partitions")
    }
}

fn schema_of(message: Option<&protobuf::Schema>) -> Result<SchemaRef> {
    let message = message.ok_or_else(|| internal_datafusion_err!("an operator without a schema"))?;
    Ok(Arc::new(Schema::try_from(message)?))
}

/// Reads and writes what DataFusion's protobuf does not: how deep expressions and plans are nested, of which protobuf reads
/// a hundred messages, and which sums, differences and products are errors where they do not fit, for which it has no
/// field.
#[derive(Default)]
struct Converter {
    /// How deep what is written is nested, since bytes were begun.
    depth: Cell<u32>,
}

/// What an extension begins with that is an expression or a plan as bytes.
const NESTED: &[u8] = b"tilework nested";
/// Expressions or plans within each other before bytes are begun: each is two or three messages.
const NESTED_DEPTH: u32 = 8;

impl Converter {
    /// Writes what is nested one level deeper; whether that is to be bytes of its own.
    fn deeper<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<(T, bool)> {
        let depth = self.depth.get() + 1;
        let begins = depth >= NESTED_DEPTH;
        self.depth.set(if begins { 0 } else { depth });
        let written = write();
        self.depth.set(depth - 1);
        Ok((written?, begins))
    }
}

fn nested(message: &impl Message) -> Vec<u8> {
    let mut bytes = NESTED.to_vec();
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes
}

fn within<T: Message + Default>(bytes: &[u8]) -> Option<Result<T>> {
    let bytes = bytes.strip_prefix(NESTED)?;
    Some(T::decode(bytes).map_err(|e| internal_datafusion_err!("nothing nested: {e}")))
}

impl PhysicalProtoConverterExtension for Converter {
    fn proto_to_execution_plan(
        &self,
        proto: &protobuf::PhysicalPlanNode,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(PhysicalPlanType::Extension(extension)) = &proto.physical_plan_type
            && let Some(plan) = within(&extension.node)
        {
            return self.proto_to_execution_plan(&plan?, context);
        }
        self.default_proto_to_execution_plan(proto, context)
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalPlanNode> {
        let write =
            || protobuf::PhysicalPlanNode::try_from_physical_plan_with_converter(plan.clone(), codec, self);
        let (node, begins) = self.deeper(write)?;
        if !begins {
            return Ok(node);
        }
        let extension = protobuf::PhysicalExtensionNode { node: nested(&node), inputs: Vec::new() };
        let physical_plan_type = Some(PhysicalPlanType::Extension(extension));
        Ok(protobuf::PhysicalPlanNode { physical_plan_type })
    }

    fn proto_to_physical_expr(
        &self,
        proto: &protobuf::PhysicalExprNode,
        schema: &Schema,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        if let Some(ExprType::Extension(extension)) = &proto.expr_type
            && let Some(expr) = within(&extension.expr)
        {
            return self.proto_to_physical_expr(&expr?, schema, context);
        }
        Ok(checked(self.default_proto_to_physical_expr(proto, schema, context)?))
    }

    fn physical_expr_to_proto(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<protobuf::PhysicalExprNode> {
        let (node, begins) = self.deeper(|| serialize_physical_expr_with_converter(expr, codec, self))?;
        if !begins {
            return Ok(node);
        }
        let extension = protobuf::PhysicalExtensionExprNode { expr: nested(&node), inputs: Vec::new() };
        Ok(protobuf::PhysicalExprNode {
            expr_type: Some(ExprType::Extension(extension)),
            ..Default::default()
        })
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
    physical_plan_to_bytes_with_proto_converter(plan.clone(), &Codec, &Converter::default()).map_err(|e| {
        FrameError::Unsupported { what: format!("the plan {}", plan.name()), reason: e.strip_backtrace() }
    })
}

/// The plan that bytes stand for, each time a new one: plans keep state while they run.
pub(crate) fn decode(
    bytes: &[u8],
    context: &TaskContext,
) -> std::result::Result<Arc<dyn ExecutionPlan>, TaskError> {
    let plan = physical_plan_from_bytes_with_proto_converter(bytes, context, &Codec, &Converter::default());
    let plan = plan.and_then(steady);
    plan.map_err(|e| TaskError::Payload(e.strip_backtrace()))
}

/// Merges take equal rows from the first input that has them, so that partitions that are in order stay so. By default
/// they take turns, and the wire has no field that says otherwise.
pub(crate) fn steady(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        Ok(match node.downcast_ref::<SortPreservingMergeExec>() {
            Some(merge) => Transformed::yes(Arc::new(merge.clone().with_round_robin_repartition(false)) as _),
            None => Transformed::no(node),
        })
    })
    .data()
}
