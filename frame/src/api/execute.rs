//! Who runs planned queries, and the planning of them from code that waits for nothing: on a thread of its own with a
//! stack for deep plans. Must not know what is asked for.

use crate::error::FrameError;
use crate::facts::nulls_in;
use crate::local::{Keep, Ran, run_local, run_on};
use crate::plan::{PlanOptions, Planned, Planner};
use crate::run::{Runner, RunnerOptions, begin_thread};
use crate::source::MemoryTable;
use crate::spill::SpillSpace;
use crate::stored::{Facts, Kept};
use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

/// The stack of a thread that plans: plans and expressions are walked by recursion. What is not used takes no memory.
const STACK_BYTES: usize = 256 << 20;
/// Bytes that tasks here may have on the disk at once.
const SPILL_BYTES_MAX: u64 = 64 << 30;

/// Runs planned queries.
///
/// A table belongs to one: a session, or [`LocalExecute`], which runs tasks in this process.
pub trait Execute: Send + Sync {
    /// Runs a query to its end and returns the rows of its result, partition by partition, in their order.
    ///
    /// # Errors
    /// [`FrameError::Task`] where a task failed in this process; what failed elsewhere, in words, as
    /// [`FrameError::Executor`].
    fn run(&self, planned: &Planned) -> Result<Vec<Vec<RecordBatch>>, FrameError>;

    /// The same, with what that took, where that is known.
    ///
    /// # Errors
    /// As [`run`](Execute::run).
    fn run_measured(
        &self,
        planned: &Planned,
    ) -> Result<(Vec<Vec<RecordBatch>>, Option<RunFigures>), FrameError> {
        self.run(planned).map(|rows| (rows, None))
    }

    /// Runs queries to their ends and keeps their rows where they were made; what they have in common is made once. Of each
    /// partition it is known what it holds; missing values are counted where that is asked for.
    ///
    /// # Errors
    /// As [`run`](Execute::run).
    fn keep(&self, queries: &[Planned], count_nulls: bool) -> Result<Vec<Kept>, FrameError>;

    /// How queries for it are planned.
    fn planning(&self) -> Planning {
        Planning::default()
    }
}

/// What a run of a query took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunFigures {
    /// Tasks that were done, those that had to be done again included.
    pub n_tasks: u64,
    /// Bytes of tables in memory that were handed to the workers.
    pub bytes_put: u64,
    /// Bytes that workers fetched from one another.
    pub bytes_moved: u64,
    /// Bytes of results that workers wrote to their disks for want of memory.
    pub bytes_spilled: u64,
    /// The most bytes that results of tasks took at once, on all workers together.
    pub bytes_held_max: u64,
    /// Time in tasks, all together, microseconds.
    pub busy_us: u64,
    /// Time from the submission until all rows existed, microseconds.
    pub elapsed_us: u64,
}

/// What may be said of how queries are planned; the rest is set by the data, and by nothing of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planning {
    /// Into how many partitions rows are divided; by default about 32 of at least 2 MiB each, and more of 128 MiB where
    /// there is more than 4 GiB.
    pub n_partitions: Option<NonZeroUsize>,
    /// Whether joins hash one side; else they sort both, which needs less memory.
    pub prefer_hash_join: bool,
    /// The largest side of a join, in bytes, that every task of the other side gets whole; 0 for never.
    pub broadcast_bytes_max: usize,
}

impl Default for Planning {
    fn default() -> Planning {
        let PlanOptions { prefer_hash_join, broadcast_bytes_max, .. } = PlanOptions::default();
        Planning { n_partitions: None, prefer_hash_join, broadcast_bytes_max }
    }
}

/// Runs queries in this process, on threads of its own.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let df = from_columns(&on, [("x", values([1, 2, 3]))])?;
/// assert_eq!(df.shape()?, (3, 1));
/// # Ok::<(), FrameError>(())
/// ```
pub struct LocalExecute {
    runner: Runner,
    n_at_once: usize,
    planning: Planning,
}

impl LocalExecute {
    /// One with a thread for each processor that spills to the system's directory for temporary files.
    ///
    /// # Errors
    /// [`FrameError::Option`] if DataFusion no longer knows an option that results depend on.
    pub fn start() -> Result<Arc<dyn Execute>, FrameError> {
        let n_threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let spill_dir = std::env::temp_dir();
        let options = RunnerOptions { n_threads, spill_dir, spill_bytes_max: SPILL_BYTES_MAX };
        LocalExecute::with(options, Planning::default())
    }

    /// The one of this process, which starts when it is asked for first.
    ///
    /// # Errors
    /// As [`start`](LocalExecute::start).
    pub fn shared() -> Result<Arc<dyn Execute>, FrameError> {
        static SHARED: OnceLock<Arc<dyn Execute>> = OnceLock::new();
        if let Some(shared) = SHARED.get() {
            return Ok(shared.clone());
        }
        let started = LocalExecute::start()?;
        Ok(SHARED.get_or_init(|| started).clone())
    }

    /// One that runs and plans like this.
    ///
    /// # Errors
    /// [`FrameError::Option`] if DataFusion no longer knows an option that results depend on.
    pub fn with(options: RunnerOptions, planning: Planning) -> Result<Arc<dyn Execute>, FrameError> {
        let n_at_once = options.n_threads;
        Ok(Arc::new(LocalExecute { runner: Runner::new(options)?, n_at_once, planning }))
    }
}

impl Execute for LocalExecute {
    fn run(&self, planned: &Planned) -> Result<Vec<Vec<RecordBatch>>, FrameError> {
        Ok(self.run_measured(planned)?.0)
    }

    fn run_measured(
        &self,
        planned: &Planned,
    ) -> Result<(Vec<Vec<RecordBatch>>, Option<RunFigures>), FrameError> {
        let (graph, schema) = (&planned.graph, &planned.schema);
        let started = std::time::Instant::now();
        let ran = apart(run_local(graph, schema, &self.runner, Keep::Batches, self.n_at_once))??;
        let figures = RunFigures {
            n_tasks: graph.stages.iter().map(|stage| stage.n_tasks).sum(),
            bytes_spilled: ran.spilled_bytes,
            elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            ..RunFigures::default()
        };
        Ok((ran.partitions, Some(figures)))
    }

    fn keep(&self, queries: &[Planned], count_nulls: bool) -> Result<Vec<Kept>, FrameError> {
        kept_by(queries, count_nulls, |query| {
            apart(run_local(&query.graph, &query.schema, &self.runner, Keep::Batches, self.n_at_once))?
        })
    }

    fn planning(&self) -> Planning {
        self.planning.clone()
    }
}

/// Rows that queries make in this process, and what they are.
fn kept_by(
    queries: &[Planned],
    count_nulls: bool,
    run: impl Fn(&Planned) -> Result<Ran, FrameError>,
) -> Result<Vec<Kept>, FrameError> {
    let keep = |query: &Planned| {
        let ran = run(query)?;
        let n_counted = if count_nulls { query.schema.fields().len() } else { 0 };
        let facts = ran.partitions.iter().zip(&ran.sizes).map(|(batches, (rows, bytes))| Facts {
            rows: *rows,
            bytes: *bytes,
            nulls: nulls_in(batches, n_counted),
        });
        let facts = facts.collect();
        let rows = MemoryTable::new(query.schema.clone(), ran.partitions);
        Ok(Kept { schema: query.schema.clone(), rows, facts })
    };
    queries.iter().map(keep).collect()
}

/// Runs a query for a task that asks for it: on one thread, which works while the task's waits, and with the disk of its
/// worker, where it has one.
///
/// # Errors
/// As [`Execute::run`] of [`LocalExecute`].
pub fn run_here(
    planned: &Planned,
    spill: Option<Arc<dyn SpillSpace>>,
) -> Result<Vec<Vec<RecordBatch>>, FrameError> {
    Ok(ran_here(planned, spill)?.partitions)
}

/// The same, where the rows are kept, in this process.
///
/// # Errors
/// As [`Execute::keep`] of [`LocalExecute`].
pub fn keep_here(
    queries: &[Planned],
    count_nulls: bool,
    spill: Option<Arc<dyn SpillSpace>>,
) -> Result<Vec<Kept>, FrameError> {
    kept_by(queries, count_nulls, |query| ran_here(query, spill.clone()))
}

fn ran_here(planned: &Planned, spill: Option<Arc<dyn SpillSpace>>) -> Result<Ran, FrameError> {
    static RUNNER: OnceLock<Result<Runner, FrameError>> = OnceLock::new();
    let options = RunnerOptions { n_threads: 0, spill_dir: std::env::temp_dir(), spill_bytes_max: 0 };
    let runner = RUNNER.get_or_init(|| Runner::new(options)).as_ref().map_err(Clone::clone)?;
    let ran = run_on(&planned.graph, &planned.schema, (runner, spill), (Keep::Batches, 1));
    apart(ran)?
}

/// Runs something on a thread with a large stack, and waits for it.
pub(crate) fn deep<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, FrameError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("tilework-plan".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, run).map_err(|e| FrameError::Thread(Arc::new(e)))?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a future to its end on a thread with a large stack, and waits for it: also where the caller is a runtime's.
pub(crate) fn apart<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, FrameError> {
    let run = || {
        begin_thread();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(runtime.map_err(|e| FrameError::Thread(Arc::new(e)))?.block_on(future))
    };
    deep(run)?
}

/// A query as stages.
pub(crate) fn planned(query: LogicalPlan, options: PlanOptions) -> Result<Planned, FrameError> {
    apart(async move { Planner::new(options)?.plan(query).await })?
}
