//! Who runs planned queries, and the planning of them from code that waits for nothing: on a thread of its own with a
//! stack for deep plans. Must not know what is asked for.

use crate::error::FrameError;
use crate::local::{Keep, run_local};
use crate::plan::{PlanOptions, Planned, Planner};
use crate::run::{Runner, RunnerOptions};
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

    /// How queries for it are planned.
    fn planning(&self) -> Planning {
        Planning::default()
    }
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
        let (graph, schema) = (&planned.graph, &planned.schema);
        let ran = apart(run_local(graph, schema, &self.runner, Keep::Batches, self.n_at_once))??;
        Ok(ran.partitions)
    }

    fn planning(&self) -> Planning {
        self.planning.clone()
    }
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(runtime.map_err(|e| FrameError::Thread(Arc::new(e)))?.block_on(future))
    };
    deep(run)?
}

/// A query as stages.
pub(crate) fn planned(query: LogicalPlan, options: PlanOptions) -> Result<Planned, FrameError> {
    apart(async move { Planner::new(options)?.plan(query).await })?
}
