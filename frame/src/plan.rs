//! Queries into stage graphs: DataFusion parses, plans and optimises, with a number of partitions that the caller says and
//! nothing of the machine; then files' statistics go, which planning needed and tasks do not, and the plan is cut. Must
//! not know how stages run.

use crate::blocks::Piece;
use crate::error::FrameError;
use crate::facts::{FactsExec, facts_schema, read_facts};
use crate::objects::pinned;
use crate::session;
use crate::stage::{How, Input, Origin, StageGraph, StagePlan};
use crate::stored::Facts;
use crate::{codec, logical, medians, split, wire};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How queries are planned. The same options give the same stages on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    /// Into how many partitions rows are divided.
    pub n_partitions: NonZeroUsize,
    /// Whether joins hash one side; else they sort both, which needs less memory.
    pub prefer_hash_join: bool,
    /// Whether medians gather the values of a group; else these are sorted, which needs less memory.
    pub gather_medians: bool,
    /// The largest side of a join, in bytes, that every task of the other side gets whole; 0 for never.
    pub broadcast_bytes_max: usize,
    /// Bytes that each task may hold.
    pub grant_bytes: u64,
    /// Tables cut their files themselves, into partitions of at least so many bytes; 0 for as many as there are
    /// partitions. Else DataFusion cuts them.
    pub scan_bytes_min: Option<u64>,
}

impl Default for PlanOptions {
    fn default() -> PlanOptions {
        PlanOptions {
            n_partitions: NonZeroUsize::MIN,
            prefer_hash_join: true,
            gather_medians: true,
            broadcast_bytes_max: 1 << 20,
            grant_bytes: 64 << 20,
            scan_bytes_min: None,
        }
    }
}

/// Plans queries on tables that it knows.
pub struct Planner {
    context: SessionContext,
    /// What tasks know too; what is registered later is the client's alone.
    known: logical::Known,
    options: PlanOptions,
}

/// A query that is planned.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its stages.
    pub graph: StageGraph,
    /// The columns of its result.
    pub schema: SchemaRef,
    /// The operators of each stage, for people.
    pub stages_shown: Vec<String>,
}

impl Planned {
    /// The query with a stage more, whose tasks make the facts of the partitions of its result; missing values of columns
    /// are counted where that is asked for.
    ///
    /// # Errors
    /// None in practice: the stage has a form as bytes.
    pub fn with_facts(&self, count_nulls: bool) -> Result<StageGraph, FrameError> {
        let mut graph = self.graph.clone();
        let Some(last) = graph.stages.last() else { return Ok(graph) };
        let (n_tasks, grant_bytes) = (last.n_tasks, last.grant_bytes);
        let of = count_nulls.then(|| self.schema.clone());
        let plan: Arc<dyn ExecutionPlan> =
            Arc::new(FactsExec::new(of, usize::try_from(n_tasks).unwrap_or(usize::MAX)));
        let from = Origin::Stage(graph.stages.len() - 1);
        graph.stages.push(StagePlan {
            payload: codec::encode(&plan)?,
            n_tasks,
            n_pieces: 1,
            inputs: vec![Input { from, how: How::Same, tasks: 0..n_tasks }],
            grant_bytes,
            name: "Facts".to_owned(),
            function: None,
        });
        Ok(graph)
    }

    /// What is known of the partitions of its result, by what the tasks made that [`with_facts`](Planned::with_facts) adds:
    /// a piece each.
    ///
    /// # Errors
    /// Pieces that are none of facts.
    pub fn facts(&self, pieces: &[Piece], count_nulls: bool) -> Result<Vec<Facts>, FrameError> {
        let n_counted = if count_nulls { self.schema.fields().len() } else { 0 };
        let schema = facts_schema(n_counted);
        let of = |(task, piece): (usize, &Piece)| {
            let failed = |error| FrameError::Task { stage: "Facts".to_owned(), task: task as u64, error };
            read_facts(&piece.batches(&schema).map_err(failed)?)
        };
        pieces.iter().enumerate().map(of).collect()
    }
}

impl Planner {
    /// A planner that knows no tables.
    ///
    /// # Errors
    /// [`FrameError::Option`] if DataFusion no longer knows an option that results depend on.
    pub fn new(options: PlanOptions) -> Result<Planner, FrameError> {
        let rows_max = options.broadcast_bytes_max / 8;
        let own = [
            ("datafusion.optimizer.prefer_hash_join", options.prefer_hash_join.to_string()),
            (
                "datafusion.optimizer.hash_join_single_partition_threshold",
                options.broadcast_bytes_max.to_string(),
            ),
            ("datafusion.optimizer.hash_join_single_partition_threshold_rows", rows_max.to_string()),
        ];
        let cut = options.scan_bytes_min.map(|bytes| {
            let min = ("datafusion.optimizer.repartition_file_min_size", bytes.to_string());
            [("datafusion.optimizer.repartition_file_scans", "false".to_owned()), min]
        });
        let own: Vec<(&str, &str)> =
            own.iter().chain(cut.iter().flatten()).map(|(name, value)| (*name, value.as_str())).collect();
        let config = session::with(session::config(options.n_partitions.get())?, &own)?;
        let context = session::context(config);
        let known = logical::Known::of(&context.state());
        Ok(Planner { context, known, options })
    }

    /// DataFusion's own context, to register tables in and to make plans with.
    #[must_use]
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The query that a text of SQL asks for, not yet optimised.
    ///
    /// # Errors
    /// [`FrameError::Query`] if the text is wrong, or asks for something else than rows.
    pub async fn sql(&self, text: &str) -> Result<LogicalPlan, FrameError> {
        let only_reads =
            SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        let plan = self.context.state().create_logical_plan(text).await?;
        only_reads.verify_plan(&plan)?;
        Ok(plan)
    }

    /// A query as stages.
    ///
    /// # Errors
    /// [`FrameError::Unsupported`] if it cannot be run as tasks, [`FrameError::Query`] if it is wrong.
    pub async fn plan(&self, query: LogicalPlan) -> Result<Planned, FrameError> {
        let query = logical::prepared(query, &self.known)?;
        let query = if self.options.gather_medians { query } else { medians::sorted(query)? };
        let plan = self.context.state().create_physical_plan(&query).await?;
        let schema = plan.schema();
        let plan = pinned(without_statistics(plan)?)?;
        let cuts = split::split(plan)?;
        let stages = &cuts.stages;
        let stages_shown =
            stages.iter().map(|s| displayable(s.plan.as_ref()).indent(false).to_string()).collect();
        for stage in stages {
            if let Some(what) = wire::unsupported(&stage.plan.schema()) {
                let reason = "values of its type have no form that tasks exchange".to_owned();
                return Err(FrameError::Unsupported { what, reason });
            }
        }
        Ok(Planned { graph: cuts.encoded(self.options.grant_bytes)?, schema, stages_shown })
    }
}

/// The plan without what is known of each file's columns, which would be most of its bytes.
fn without_statistics(plan: Arc<dyn ExecutionPlan>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let scan = node.downcast_ref::<DataSourceExec>();
        let scan = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        // Where files are known to be in order, statistics are what it is known by.
        let Some(scan) = scan.filter(|scan| scan.output_ordering.is_empty()) else {
            return Ok(Transformed::no(node));
        };
        let bare = |group: &FileGroup| {
            let files = group.files().iter().cloned().map(|mut file| {
                file.statistics = None;
                file
            });
            FileGroup::new(files.collect())
        };
        let groups = scan.file_groups.iter().map(bare).collect();
        let unknown = Statistics::new_unknown(scan.file_source().table_schema().table_schema());
        let scan = FileScanConfigBuilder::from(scan.clone())
            .with_file_groups(groups)
            .with_statistics(unknown)
            .build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(scan) as _))
    })
    .data()
}
