//! Runs one task: reads its stage's plan, feeds it, gives it exactly its grant of memory and a disk for the rest, and
//! returns its pieces. Tasks run on threads of their own, which start with the first of them. Must not know who has what
//! they read, or when they run.

use crate::blocks::Piece;
use crate::codec;
use crate::error::{FrameError, TaskError};
use crate::plans::Plans;
use crate::pool::GrantPool;
use crate::read::Feeds;
use crate::session;
use crate::spill::{SpillDir, SpillSpace, TaskSpill};
use crate::write::PieceWriter;
use bytes::Bytes;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, displayable};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Runs of sorted rows that are merged at once when they come back from the disk.
const MERGE_FAN_IN_MAX: usize = 16;
/// What each sort of a task sets aside of its grant for merging what it put to the disk, at most,
const MERGE_BYTES_MAX: usize = 2 << 20;
/// and which part of the grant all sorts of a task set aside so, at most.
const MERGE_PART: usize = 3;
/// The stack of a task's thread: plans and expressions are read and run by recursion. What is not used takes no memory.
const STACK_BYTES: usize = 128 << 20;
/// How much the threads of tasks give way to those that talk to others.
const NICE: i32 = 5;

/// Pieces in the order in which a task reads them.
pub type Feed = BoxStream<'static, Result<Piece, TaskError>>;

/// What a task is run with.
pub struct TaskInput {
    /// What its stage does.
    pub payload: Bytes,
    /// Which of its stage's tasks it is.
    pub partition: u64,
    /// The feeds of each slot, as [`StageGraph::feeds`](crate::StageGraph::feeds) lists them.
    pub feeds: Vec<Vec<Feed>>,
    /// Bytes that it may hold.
    pub grant_bytes: u64,
    /// What it may take beside.
    pub room: Room,
}

/// What a task may take beside its grant. None of it shows in what the task makes.
pub struct Room {
    /// The disk for what its memory does not hold; that of the runner where absent.
    pub spill: Option<Arc<dyn SpillSpace>>,
    /// Bytes of its output that it may have in memory before it puts them to the disk.
    pub output_bytes: u64,
    /// Hears now and then how many bytes of memory its output takes.
    pub grew: Box<dyn Fn(u64) + Send + Sync>,
}

impl Default for Room {
    fn default() -> Room {
        Room { spill: None, output_bytes: u64::MAX, grew: Box::new(|_| ()) }
    }
}

/// What a task made.
#[derive(Debug, Clone)]
pub struct TaskOutput {
    /// One piece for each partition of those who read its stage.
    pub pieces: Vec<Piece>,
    /// The most that it held of its grant.
    pub peak_bytes: u64,
    /// What it wrote to the disk and read again.
    pub spilled_bytes: u64,
}

impl TaskOutput {
    /// Rows of all pieces.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.pieces.iter().map(Piece::rows).sum()
    }

    /// Bytes of all pieces' values.
    #[must_use]
    pub fn value_bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::value_bytes).sum()
    }

    /// A checksum of all rows, their order and their division into pieces: the same for each run of the task, however its
    /// pieces are kept.
    ///
    /// # Errors
    /// If columns are of types that cannot be written.
    pub fn checksum(&self) -> Result<u64, TaskError> {
        self.pieces.iter().try_fold(0, |sum, piece| Ok(crate::digest::mixed(sum ^ piece.checksum()?)))
    }
}

/// How tasks run here.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Threads that tasks run on; 0 for the thread that asks, within its runtime.
    pub n_threads: usize,
    /// Where tasks put what their grant does not hold. It must exist; files in it have no names.
    pub spill_dir: PathBuf,
    /// Bytes that all tasks may have there at once.
    pub spill_bytes_max: u64,
}

/// Runs tasks. One for a process.
pub struct Runner {
    shared: Arc<Shared>,
    n_threads: usize,
    runtime: Mutex<Option<Runtime>>,
}

/// What all tasks of a runner have in common.
struct Shared {
    config: SessionConfig,
    functions: Arc<TaskContext>,
    stores: Arc<dyn ObjectStoreRegistry>,
    spill: Arc<dyn SpillSpace>,
    plans: Plans,
}

/// Tells a task to stop.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<bool>);

/// Hears that a task is to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl StopHandle {
    /// Tells whoever has the other end. The task ends as soon as the operator at work gives its thread back.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Both ends.
    #[must_use]
    pub fn pair() -> (StopHandle, Stop) {
        let (send, receive) = watch::channel(false);
        (StopHandle(send), Stop(receive))
    }

    /// Nobody tells.
    #[must_use]
    pub fn never() -> Stop {
        Stop::pair().1
    }

    async fn told(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Runner {
    /// A runner, whose threads start with its first task.
    ///
    /// # Errors
    /// [`FrameError::Option`] if DataFusion no longer knows an option that results depend on.
    pub fn new(options: RunnerOptions) -> Result<Runner, FrameError> {
        let config = session::config(1)?;
        let context = session::context(config.clone());
        let spill = SpillDir {
            dir: options.spill_dir,
            bytes_max: options.spill_bytes_max,
            used_bytes: AtomicU64::new(0),
        };
        let shared = Shared {
            config,
            functions: context.task_ctx(),
            stores: context.runtime_env().object_store_registry.clone(),
            spill: Arc::new(spill),
            plans: Plans::default(),
        };
        Ok(Runner { shared: Arc::new(shared), n_threads: options.n_threads, runtime: Mutex::new(None) })
    }

    /// Runs a task to its end. Dropping the future ends it too; who must know when its thread is free tells it to stop
    /// and waits.
    ///
    /// The future's error says whose it is: the grant's, the feed's, the disk's, the data's.
    pub fn run(&self, task: TaskInput, stop: Stop) -> BoxFuture<'static, Result<TaskOutput, TaskError>> {
        let shared = self.shared.clone();
        if self.n_threads == 0 {
            let here = AssertUnwindSafe(execute(shared, task, stop)).catch_unwind();
            return here.map(|ended| ended.unwrap_or_else(|panic| Err(panic_error(&*panic)))).boxed();
        }
        let threads = self.threads();
        async move {
            let threads = threads.map_err(|e| TaskError::Threads(Arc::new(e)))?;
            let mut running = Aborted(threads.spawn(execute(shared, task, stop)));
            match (&mut running.0).await {
                Ok(ended) => ended,
                Err(error) => Err(panicked(error)),
            }
        }
        .boxed()
    }

    /// How often a plan was decoded here, and how many bytes of plans that were in all.
    #[must_use]
    pub fn plans_decoded(&self) -> (u64, u64) {
        self.shared.plans.decoded()
    }

    /// The operators of a stage as its tasks will run them, for people.
    ///
    /// # Errors
    /// [`TaskError::Payload`] if the bytes are no plan.
    pub fn shown(&self, payload: &[u8]) -> Result<String, TaskError> {
        let plan = codec::decode(payload, &self.shared.functions)?;
        Ok(displayable(plan.as_ref()).indent(false).to_string())
    }

    fn threads(&self) -> io::Result<Handle> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.as_ref() {
            return Ok(runtime.handle().clone());
        }
        let started = Builder::new_multi_thread()
            .worker_threads(self.n_threads)
            .thread_name("tilework-frame")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(|| {
                begin_thread();
                // Of this thread alone. Without it others wait longer, and nothing is wrong.
                let _ = rustix::process::nice(NICE);
            })
            .enable_all()
            .build()?;
        Ok(runtime.insert(started).handle().clone())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Not waited for: who drops a runner may be one of another runtime's threads.
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

static BEGIN: OnceLock<fn()> = OnceLock::new();

/// Has each thread that runs tasks of queries, or waits for those that a task asked for, begin with this: what users' functions
/// do there is done by a task. The first word counts.
pub fn each_thread_begins_with(begin: fn()) {
    let _ = BEGIN.set(begin);
}

pub(crate) fn begin_thread() {
    if let Some(begin) = BEGIN.get() {
        begin();
    }
}

/// A task that ends with who waits for it.
struct Aborted(tokio::task::JoinHandle<Result<TaskOutput, TaskError>>);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panicked(error: tokio::task::JoinError) -> TaskError {
    match error.try_into_panic() {
        Err(_) => TaskError::Stopped,
        Ok(panic) => panic_error(&*panic),
    }
}

fn panic_error(panic: &(dyn std::any::Any + Send)) -> TaskError {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    TaskError::Panic(text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_else(|| "no text".to_owned()))
}

async fn execute(shared: Arc<Shared>, task: TaskInput, mut stop: Stop) -> Result<TaskOutput, TaskError> {
    let pool = Arc::new(GrantPool::new(usize::try_from(task.grant_bytes).unwrap_or(usize::MAX)));
    let room = task.room;
    let spill = Arc::new(TaskSpill::new(room.spill.clone().unwrap_or_else(|| shared.spill.clone())));
    let plan = shared.plans.of(&task.payload, &shared.functions)?;
    let (body, division) = divided(&plan);
    let merge_bytes = pool.grant_bytes() / MERGE_PART / n_sorts(body).max(1);
    let context = shared.context((&pool, merge_bytes.min(MERGE_BYTES_MAX)), &spill, task.feeds)?;
    let partition = usize::try_from(task.partition).unwrap_or(usize::MAX);
    let n = body.output_partitioning().partition_count();
    if partition >= n {
        return Err(TaskError::Payload(format!("a stage of {n} tasks has no task {partition}")));
    }
    let work = async {
        let mut writer = PieceWriter::new(body.schema(), division, (&room, &spill))?;
        let mut rows = body.execute(partition, context.clone())?;
        while let Some(batch) = rows.next().await {
            writer.write(batch?)?;
        }
        writer.finish()
    };
    let pieces = tokio::select! {
        biased;
        () = stop.told() => return Err(TaskError::Stopped),
        done = work => done.map_err(|error| told_apart(error, &pool))?,
    };
    Ok(TaskOutput { pieces, peak_bytes: pool.peak_bytes(), spilled_bytes: spill.written_bytes() })
}

/// What a stage's plan computes, and how its rows are divided: by the exchange at its root if it has one.
fn divided(plan: &Arc<dyn ExecutionPlan>) -> (&Arc<dyn ExecutionPlan>, Option<&Partitioning>) {
    match plan.downcast_ref::<RepartitionExec>() {
        Some(exchange) => (exchange.input(), Some(exchange.partitioning())),
        None => (plan, None),
    }
}

/// The sorts of a plan, which all hold memory at once.
fn n_sorts(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let below: usize = plan.children().into_iter().map(n_sorts).sum();
    below + usize::from(plan.downcast_ref::<SortExec>().is_some())
}

impl Shared {
    fn context(
        &self,
        (pool, merge_bytes): (&Arc<GrantPool>, usize),
        spill: &Arc<TaskSpill>,
        feeds: Vec<Vec<Feed>>,
    ) -> Result<Arc<TaskContext>, TaskError> {
        let disk = DiskManager::builder()
            .with_mode(DiskManagerMode::Custom(spill.clone()))
            .with_max_spill_merge_fan_in(MERGE_FAN_IN_MAX);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(pool.clone())
            .with_disk_manager_builder(disk)
            .with_object_store_registry(self.stores.clone())
            .build_arc()
            .map_err(|e| TaskError::Payload(e.strip_backtrace()))?;
        let config = self.config.clone().with_sort_spill_reservation_bytes(merge_bytes);
        let config = config.with_extension(Arc::new(Feeds::new(feeds)));
        // Functions are looked up when a plan is decoded, and not when it runs.
        let (id, none) = (self.functions.session_id(), HashMap::new());
        let context =
            TaskContext::new(None, id, config, none, HashMap::new(), HashMap::new(), HashMap::new(), runtime);
        Ok(Arc::new(context))
    }
}

/// An error of DataFusion's as one of ours, by its type and never by its text.
fn told_apart(error: DataFusionError, pool: &GrantPool) -> TaskError {
    if let Some(ours) = TaskError::found_in(&error) {
        return ours;
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(reason) => pool.error(reason.clone()),
        DataFusionError::ExecutionJoin(join) if join.is_panic() => TaskError::Panic(join.to_string()),
        _ => TaskError::data(error),
    }
}
