//! Cuts a physical plan at its exchanges into stages whose tasks run one by one: what lies below an exchange, a broadcast
//! or a merge of partitions becomes a stage of its own, and a reader takes its place. Operators whose partitions share
//! state within a process become one task, or are refused. Must not know how tasks run.

use crate::codec;
use crate::divide::DivideExec;
use crate::error::FrameError;
use crate::function::MapElements;
use crate::map::MapExec;
use crate::ranges::{BoundsExec, RangeExec, SampleExec, can_be_keys, without_range};
use crate::read::{Exprs, Facts, ReadExec};
use crate::sink::SinkExec;
use crate::source::{Rows, SourceExec};
use crate::stage::{How, Input, Origin, StageGraph, StagePlan};
use bytes::Bytes;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_expr::{AcrossPartitions, Partitioning, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary};
use std::ops::Range;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;
type Result<T> = std::result::Result<T, FrameError>;

/// Operators of a stage that its name lists.
const NAMED_MAX: usize = 4;
/// Operators that run all partitions of a process together, or are no part of a query that runs as tasks.
const REFUSED: [(&str, &str); 6] = [
    ("RecursiveQueryExec", "each step reads all of the one before"),
    ("WorkTableExec", "each step reads all of the one before"),
    ("ScalarSubqueryExec", "its value is shared within a process"),
    ("SymmetricHashJoinExec", "it is for streams without end"),
    ("AnalyzeExec", "it runs a plan in one process"),
    ("DataSinkExec", "it writes from one task"),
];

/// A stage that is cut: a plan whose root, if it is a repartition, says how its output is divided.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub plan: Plan,
    inputs: Vec<Input>,
}

/// A plan that is cut.
pub(crate) struct Cuts {
    /// The stages in an order in which they can run, the last of which makes the result.
    pub stages: Vec<Cut>,
    /// What they read that no stage makes.
    sources: Vec<Rows>,
}

/// Cuts a plan.
///
/// # Errors
/// [`FrameError::Unsupported`] names an operator that cannot run partition by partition.
pub(crate) fn split(plan: Plan) -> Result<Cuts> {
    let mut splitter = Splitter { stages: Vec::new(), reads: Vec::new(), sources: Vec::new() };
    let root = splitter.root(&plan)?;
    splitter.stages.push(root);
    let stages = splitter.stages.iter().map(|plan| Cut::of(plan, &splitter.reads)).collect::<Result<_>>()?;
    Ok(Cuts { stages, sources: splitter.sources })
}

impl Cuts {
    /// The stages as plain data.
    pub(crate) fn encoded(&self, grant_bytes: u64) -> Result<StageGraph> {
        let stages = self.stages.iter().map(|stage| stage.encoded(grant_bytes)).collect::<Result<_>>()?;
        let sources = self.sources.iter().map(Rows::source).collect::<Result<_>>()?;
        Ok(StageGraph { stages, sources })
    }
}

fn n_partitions(plan: &Plan) -> usize {
    plan.output_partitioning().partition_count()
}

/// How a join treats its left side where it is not divided as the right one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftSide {
    /// All right partitions read it, and nothing else is shared.
    Read,
    /// Its rows are given by the join too, once all right partitions have marked theirs.
    Marked,
}

/// The treatment of the left side by a join that collects it.
fn collected(plan: &Plan) -> Option<LeftSide> {
    let (kind, null_aware) = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        if *join.partition_mode() == PartitionMode::Partitioned {
            // A null on one side decides what all partitions of the other give.
            return join.null_aware.then_some(LeftSide::Marked);
        }
        (*join.join_type(), join.null_aware)
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        (*join.join_type(), false)
    } else if plan.is::<CrossJoinExec>() {
        (JoinType::Inner, false)
    } else {
        return None;
    };
    let marks = matches!(
        kind,
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    );
    Some(if marks || null_aware { LeftSide::Marked } else { LeftSide::Read })
}

struct Splitter {
    /// The plans of stages. Readers in them have numbers.
    stages: Vec<Plan>,
    /// What each reader reads.
    reads: Vec<Origin>,
    sources: Vec<Rows>,
}

/// The merge of sorted partitions that a plan is, where these are better divided by ranges of the keys than merged in one
/// task: where they are not rows of groups, which are few more often than not, and not merely the first of them.
fn ranged(plan: &Plan) -> Option<&SortPreservingMergeExec> {
    let merge = plan.downcast_ref::<SortPreservingMergeExec>().filter(|merge| merge.fetch().is_none())?;
    let mut below = merge.input();
    while let Some(projection) = below.downcast_ref::<ProjectionExec>() {
        below = projection.input();
    }
    let sort = below.downcast_ref::<SortExec>().filter(|sort| sort.fetch().is_none())?;
    let many = n_partitions(sort.input()) > 1 && can_be_keys(sort.expr(), &sort.input().schema());
    (many && !groups(sort.input())).then_some(merge)
}

/// Whether rows are made of groups of others.
fn groups(plan: &Plan) -> bool {
    plan.is::<AggregateExec>() || plan.children().into_iter().any(groups)
}

impl Splitter {
    /// The plan of the result, whose partitions are read in their order: what only brings them together is left out.
    fn root(&mut self, plan: &Plan) -> Result<Plan> {
        if let Some(gathering) = plan.downcast_ref::<CoalescePartitionsExec>().filter(|c| c.fetch().is_none())
        {
            return self.split(gathering.input());
        }
        if let Some(merge) = ranged(plan) {
            return self.ranges(merge.input());
        }
        let of_rows = plan.is::<ProjectionExec>() || plan.is::<FilterExec>() || plan.is::<SinkExec>();
        match plan.children().as_slice() {
            [child] if of_rows => {
                let child = self.root(child)?;
                Ok(replace_children_if_necessary(plan.clone(), vec![child])?)
            }
            _ => self.split(plan),
        }
    }

    /// The sorted rows that a plan gives, as partitions that follow one another: samples of all say where these begin, each
    /// task divides its rows by that, and each partition is sorted.
    fn ranges(&mut self, plan: &Plan) -> Result<Plan> {
        let Some(sort) = plan.downcast_ref::<SortExec>() else {
            let children = plan.children().into_iter().map(|child| self.ranges(child));
            return Ok(replace_children_if_necessary(plan.clone(), children.collect::<Result<_>>()?)?);
        };
        let child = self.split(sort.input())?;
        let (order, n) = (sort.expr().clone(), n_partitions(&child));
        let rows = self.cut(child, How::Same, None)?;
        let sample = Arc::new(SampleExec::new(rows.clone(), order.clone()));
        let samples = self.cut(sample, How::Whole, None)?;
        let bounds = self.cut(Arc::new(BoundsExec::new(samples, n)), How::Whole, None)?;
        let range = RangeExec::new(rows, bounds, order.clone());
        let divided = range.partitioning(n)?;
        let read = self.cut(Arc::new(range), How::Piece, Some(divided))?;
        Ok(Arc::new(SortExec::new(order, without_range(read)?).with_preserve_partitioning(true)))
    }

    fn split(&mut self, plan: &Plan) -> Result<Plan> {
        if let Some((name, reason)) = REFUSED.iter().find(|(name, _)| *name == plan.name()) {
            return Err(FrameError::Unsupported { what: (*name).to_owned(), reason: (*reason).to_owned() });
        }
        if let Some(rows) = plan.downcast_ref::<SourceExec>() {
            return self.source(rows);
        }
        if let Some(merge) = ranged(plan) {
            let sorted = self.ranges(merge.input())?;
            let read = self.cut(sorted, How::Whole, None)?;
            return Ok(match read.downcast_ref::<ReadExec>() {
                Some(read) => Arc::new(read.with_order(merge.expr().clone())?),
                None => read,
            });
        }
        let mut children = Vec::with_capacity(plan.children().len());
        for child in plan.children() {
            children.push(self.split(child)?);
        }
        if let Some(exchange) = plan.downcast_ref::<RepartitionExec>() {
            return self.exchange(exchange, children.remove(0));
        }
        if let Some(divide) = plan.downcast_ref::<DivideExec>() {
            let child = children.remove(0);
            return match divide.partitioning()? {
                Some(divided) => self.cut(child, How::Piece, Some(divided)),
                None => self.gathered(child, None),
            };
        }
        if let Some(gathering) = plan.downcast_ref::<CoalescePartitionsExec>() {
            return self.gathered(children.remove(0), gathering.fetch());
        }
        if plan.is::<UnionExec>() {
            let n = children.iter().map(n_partitions).sum();
            for child in &mut children {
                // All tasks of a stage read an exchange, or none.
                if n_partitions(child) < n && reads_exchange(child) {
                    *child = self.cut(child.clone(), How::Same, None)?;
                }
            }
        }
        if plan.is::<SortPreservingMergeExec>() && n_partitions(&children[0]) > 1 {
            children[0] = self.cut(children[0].clone(), How::Each, None)?;
        }
        if let Some(left) = collected(plan) {
            if left == LeftSide::Marked {
                children[1] = self.gathered(children[1].clone(), None)?;
            }
            if n_partitions(&children[0]) > 1 || n_partitions(&children[1]) > 1 {
                children[0] = self.cut(children[0].clone(), How::Whole, None)?;
            }
        }
        Ok(replace_children_if_necessary(plan.clone(), children)?)
    }

    /// What reads rows that are divided anew. Round robin only evens out what runs in parallel: partitions stay as they
    /// are.
    fn exchange(&mut self, exchange: &RepartitionExec, child: Plan) -> Result<Plan> {
        let divided = match exchange.partitioning() {
            divided @ (Partitioning::Hash(_, _) | Partitioning::Range(_)) => divided.clone(),
            Partitioning::RoundRobinBatch(_) | Partitioning::UnknownPartitioning(_) => return Ok(child),
        };
        let sorted = exchange.properties().output_ordering().filter(|_| exchange.preserve_order()).cloned();
        let read = if n_partitions(&child) == 1 && divided.partition_count() == 1 {
            child
        } else {
            self.cut(child, How::Piece, Some(divided))?
        };
        Ok(match sorted {
            Some(order) => Arc::new(SortExec::new(order, read).with_preserve_partitioning(true)),
            None => read,
        })
    }

    /// All rows as one partition, in the order of the partitions, or the first of them.
    fn gathered(&mut self, child: Plan, fetch: Option<usize>) -> Result<Plan> {
        let many = n_partitions(&child) > 1;
        let child: Plan = match fetch {
            Some(fetch) if many => Arc::new(LocalLimitExec::new(child, fetch)),
            _ => child,
        };
        let read = if many { self.cut(child, How::Whole, None)? } else { child };
        Ok(match fetch {
            Some(_) => Arc::new(GlobalLimitExec::new(read, 0, fetch)),
            None => read,
        })
    }

    /// What reads rows that no stage makes. Those that read the same share them.
    fn source(&mut self, rows: &SourceExec) -> Result<Plan> {
        let at = self.sources.iter().position(|known| known.are(&rows.rows)).unwrap_or_else(|| {
            self.sources.push(rows.rows.clone());
            self.sources.len() - 1
        });
        let n = rows.properties().partitioning.partition_count();
        let slot = self.reads(Origin::Source(at));
        Ok(Arc::new(ReadExec::new(slot, How::Same, n, rows.schema(), Facts::default())?))
    }

    /// The number of a new reader.
    fn reads(&mut self, from: Origin) -> usize {
        self.reads.push(from);
        self.reads.len() - 1
    }

    /// Makes a stage of a plan, and returns what reads it.
    fn cut(&mut self, plan: Plan, how: How, divided: Option<Partitioning>) -> Result<Plan> {
        let n = n_partitions(&plan);
        let n_read = match how {
            How::Piece => divided.as_ref().map_or(1, Partitioning::partition_count),
            How::Whole => 1,
            How::Same | How::Each => n,
        };
        let keeps_order = matches!(how, How::Same | How::Each) || (how == How::Whole && n == 1);
        let facts = facts(&plan, keeps_order, divided.clone());
        let schema = plan.schema();
        let bare = plan.downcast_ref::<ReadExec>().filter(|read| divided.is_none() && read.how == How::Same);
        if let Some(from @ Origin::Source(_)) = bare.map(|read| self.reads[read.slot]) {
            // A stage that only handed on what is there.
            return Ok(Arc::new(ReadExec::new(self.reads(from), how, n_read, schema, facts)?));
        }
        let stage: Plan = match divided {
            Some(divided) => Arc::new(RepartitionExec::try_new(plan, divided)?),
            None => plan,
        };
        self.stages.push(stage);
        let slot = self.reads(Origin::Stage(self.stages.len() - 1));
        Ok(Arc::new(ReadExec::new(slot, how, n_read, schema, facts)?))
    }
}

/// Whether the tasks of a plan read pieces of others' output.
fn reads_exchange(plan: &Plan) -> bool {
    match plan.downcast_ref::<ReadExec>() {
        Some(read) => read.how == How::Piece,
        None => plan.children().into_iter().any(reads_exchange),
    }
}

/// What an exchange keeps of what is known of a plan's rows.
fn facts(plan: &Plan, keeps_order: bool, divided: Option<Partitioning>) -> Facts {
    let known = plan.equivalence_properties();
    let uniform =
        known.constants().into_iter().filter(|c| matches!(c.across_partitions, AcrossPartitions::Uniform(_)));
    let classes = known.eq_group().iter().map(|class| class.iter().cloned().collect::<Exprs>());
    Facts {
        divided,
        constants: uniform.map(|c| c.expr).collect(),
        equal: classes.filter(|class| class.len() > 1).collect(),
        sorted: if keeps_order { known.oeq_class().iter().cloned().collect() } else { Vec::new() },
    }
}

/// Which partitions of an operator the tasks of its stage run.
#[derive(Debug, Clone)]
enum Asked {
    /// Each of these tasks the partition of its place among them.
    Own(Range<usize>),
    /// Each of these tasks the only one.
    Only(Range<usize>),
    /// This task all of them.
    All(usize),
}

impl Cut {
    /// Gives the readers of a stage's plan, of which it is known what they read, their slots.
    fn of(plan: &Plan, reads: &[Origin]) -> Result<Cut> {
        let mut inputs = Vec::new();
        let body = plan.downcast_ref::<RepartitionExec>().map_or(plan, RepartitionExec::input);
        find_inputs(body, Asked::Own(0..n_partitions(body)), &mut inputs)?;
        let slotted = plan.clone().transform_up(|node| {
            let Some(read) = node.downcast_ref::<ReadExec>() else { return Ok(Transformed::no(node)) };
            let slot = inputs.iter().position(|input| input.read == read.slot).unwrap_or(usize::MAX);
            Ok(Transformed::yes(Arc::new(read.with_slot(slot)) as Plan))
        });
        let slotted: DataFusionResult<Plan> = slotted.data();
        let slotted = slotted?;
        let input = |found: Found| Input { from: reads[found.read], how: found.how, tasks: found.tasks };
        Ok(Cut { plan: slotted, inputs: inputs.into_iter().map(input).collect() })
    }

    /// The stage as plain data.
    fn encoded(&self, grant_bytes: u64) -> Result<StagePlan> {
        let divided = self.plan.downcast_ref::<RepartitionExec>();
        let body = divided.map_or(&self.plan, RepartitionExec::input);
        Ok(StagePlan {
            payload: codec::encode(&self.plan)?,
            n_tasks: n_partitions(body) as u64,
            n_pieces: divided.map_or(1, |d| d.partitioning().partition_count()) as u64,
            inputs: self.inputs.clone(),
            grant_bytes,
            name: name(body),
            function: function_in(&self.plan)?,
        })
    }
}

/// What names a function of the user's that a plan calls, if it calls any.
fn function_in(plan: &Plan) -> Result<Option<Bytes>> {
    let mut found: Option<Arc<[u8]>> = None;
    plan.apply(|node| {
        if let Some(map) = node.downcast_ref::<MapExec>() {
            found = Some(map.function.bytes.clone());
        }
        node.apply_expressions(&mut |expr| {
            expr.apply(|e| {
                let call = e.downcast_ref::<ScalarFunctionExpr>();
                if let Some(map) = call.and_then(|call| MapElements::of(call.fun())) {
                    found = Some(map.function.bytes.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found.map(Bytes::from_owner))
}

/// A reader, which tasks read through it and how.
struct Found {
    read: usize,
    how: How,
    tasks: Range<u64>,
}

/// Finds what the tasks read below an operator.
fn find_inputs(plan: &Plan, asked: Asked, inputs: &mut Vec<Found>) -> Result<()> {
    if let Some(read) = plan.downcast_ref::<ReadExec>() {
        let tasks = match (&asked, read.how) {
            (Asked::All(task), How::Each) => *task..task + 1,
            (Asked::Own(tasks), How::Same | How::Piece | How::Whole) => tasks.clone(),
            (Asked::Only(tasks), How::Whole) => tasks.clone(),
            _ => return Err(partitions_differ(plan)),
        };
        let tasks = tasks.start as u64..tasks.end as u64;
        inputs.push(Found { read: read.slot, how: read.how, tasks });
        return Ok(());
    }
    if plan.is::<UnionExec>() {
        let Asked::Own(tasks) = asked else { return Err(partitions_differ(plan)) };
        let mut start = tasks.start;
        for child in plan.children() {
            let end = start + n_partitions(child);
            find_inputs(child, Asked::Own(start..end), inputs)?;
            start = end;
        }
        return Ok(());
    }
    let (collects, ranges) = (collected(plan).is_some(), plan.is::<RangeExec>());
    for (i, child) in plan.children().into_iter().enumerate() {
        let asked = match &asked {
            Asked::Own(tasks) if n_partitions(child) == tasks.len() => asked.clone(),
            Asked::Own(tasks) if collects && i == 0 && n_partitions(child) == 1 => Asked::Only(tasks.clone()),
            Asked::Own(tasks) if ranges && i == 1 => Asked::Only(tasks.clone()),
            Asked::Own(tasks) if plan.is::<SortPreservingMergeExec>() && tasks.len() == 1 => {
                Asked::All(tasks.start)
            }
            Asked::Only(_) if n_partitions(child) == 1 => asked.clone(),
            _ => return Err(partitions_differ(plan)),
        };
        find_inputs(child, asked, inputs)?;
    }
    Ok(())
}

fn partitions_differ(plan: &Plan) -> FrameError {
    let reason = "its partitions are not those of what it reads".to_owned();
    FrameError::Unsupported { what: plan.name().to_owned(), reason }
}

/// The operators that the rows come through, the last first.
fn name(plan: &Plan) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut at = Some(plan);
    while let Some(node) = at {
        let name = node.name().trim_end_matches("Exec");
        if !matches!(name, "Cooperative" | "Pinned" | "Projection") && names.last() != Some(&name) {
            names.push(name);
        }
        at = node.children().into_iter().last();
    }
    if names.len() > NAMED_MAX {
        names.drain(NAMED_MAX - 1..names.len() - 1);
    }
    names.join(" of ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{Keep, run_local};
    use crate::run::{Runner, RunnerOptions};
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::common::{ScalarValue, SplitPoint};
    use datafusion::execution::context::SessionContext;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, RangePartitioning};

    /// The keys of each partition, where those of `values` are divided like this.
    async fn divided(values: &str, divided: impl Fn(&Plan) -> Partitioning) -> (StageGraph, Vec<Vec<i64>>) {
        let context = SessionContext::new();
        let plan = context.sql(values).await.unwrap().create_physical_plan().await.unwrap();
        let schema = plan.schema();
        let partitioning = divided(&plan);
        let cut = split(Arc::new(RepartitionExec::try_new(plan, partitioning).unwrap())).unwrap();
        let graph = cut.encoded(1 << 20).unwrap();
        assert_eq!(graph.wrong(), None);
        let options = RunnerOptions { n_threads: 1, spill_dir: std::env::temp_dir(), spill_bytes_max: 0 };
        let runner = Runner::new(options).unwrap();
        let ran = run_local(&graph, &schema, &runner, Keep::Encoded, 1).await.unwrap();
        let keys = |batches: &Vec<_>| {
            let columns = batches.iter().map(|b: &datafusion::arrow::array::RecordBatch| b.column(0).clone());
            columns.flat_map(|c| c.as_primitive::<Int64Type>().values().to_vec()).collect()
        };
        (graph, ran.partitions.iter().map(keys).collect())
    }

    #[tokio::test]
    async fn exchanges_divide_by_values_and_round_robin_is_left_out() {
        let values = "values (3), (25), (10), (9), (12), (30), (3)";
        let by_ranges = |plan: &Plan| {
            let key = PhysicalSortExpr::new_default(col("column1", &plan.schema()).unwrap());
            let points = [10, 30].map(|k| SplitPoint::new(vec![ScalarValue::Int64(Some(k))])).to_vec();
            Partitioning::Range(RangePartitioning::try_new(LexOrdering::new([key]).unwrap(), points).unwrap())
        };
        let (graph, keys) = divided(values, by_ranges).await;
        assert_eq!(keys, [vec![3, 9, 3], vec![25, 10, 12], vec![30]]);
        assert_eq!((graph.stages[0].n_tasks, graph.stages[0].n_pieces, graph.stages[1].n_tasks), (1, 3, 3));
        assert_eq!(graph.stages[1].inputs, [Input { from: Origin::Stage(0), how: How::Piece, tasks: 0..3 }]);

        let by_hash = |plan: &Plan| Partitioning::Hash(vec![col("column1", &plan.schema()).unwrap()], 2);
        let (graph, keys) = divided(values, by_hash).await;
        assert_eq!((graph.stages.len(), keys.len(), keys.concat().len()), (2, 2, 7));
        assert!(keys[0].iter().all(|key| !keys[1].contains(key)));

        let (graph, keys) = divided(values, |_| Partitioning::RoundRobinBatch(4)).await;
        assert_eq!((graph.stages.len(), keys.concat()), (1, vec![3, 25, 10, 9, 12, 30, 3]));
    }
}
