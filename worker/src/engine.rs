//! An engine that the executable brings along, for stages that workers know nothing of but which task reads what: those of
//! queries on tables. What it is said to need is a tag that its workers have, so that tasks go only where there is one.
//!
//! Owns which engine this process has. Must not know what it does.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tilework_expr::{DType, Lowered, StageKind, TableStage};
use tilework_kernels::{Chunk, Feed, Plane};
use tilework_plan::{Tags, TaskError, TaskKey};

use crate::crew::Running;

/// Bytes that a task makes: a value that is made of blocks.
pub type Made = Pin<Box<dyn Future<Output = Result<Vec<u8>, TaskError>> + Send>>;

/// Completes when a task is to stop.
pub type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks of queries on tables, on threads of its own.
pub trait Engine: fmt::Debug + Send + Sync {
    /// What its workers have, as a tag. Tasks for it ask for that.
    fn tag(&self) -> &str;

    /// Runs one. How many run at a time is the worker's to decide, over all kinds of tasks.
    fn run(&self, task: EngineTask) -> Made;
}

/// One task of a query on tables.
pub struct EngineTask {
    /// The stage, of which it does one partition.
    pub stage: Arc<TableStage>,
    /// Which of the stage's tasks it is.
    pub number: u64,
    /// For each input of the stage what it reads, in the order of the tasks that made it.
    pub inputs: Vec<Vec<Read>>,
    /// Where it may put what its memory does not hold, and how many bytes all tasks may have there; nowhere where absent.
    pub spill: Option<(PathBuf, u64)>,
    /// Tells when it is to stop.
    pub stopped: Stopped,
}

/// Bytes that a task reads.
#[derive(Clone, Debug)]
pub enum Read {
    /// A value, which is made of blocks.
    Value(Plane),
    /// One block of a value.
    Block(Plane),
}

static ENGINE: OnceLock<Arc<dyn Engine>> = OnceLock::new();

/// Gives the workers of this process an engine, before they start. The first one stays.
pub fn install_engine(engine: Arc<dyn Engine>) {
    // Err: there is one.
    let _ = ENGINE.set(engine);
}

/// The tags of a worker of this process: what it was told, and what its engine is.
pub(crate) fn with_engine(told: &Tags) -> Tags {
    let engine = ENGINE.get().map(|engine| Arc::from(engine.tag()));
    told.iter().cloned().chain(engine).collect()
}

/// Whether a stage's tasks are done by an engine.
pub(crate) fn serves(kind: &StageKind) -> bool {
    matches!(kind, StageKind::Table(_))
}

/// Runs a task, and says how long it took, microseconds.
pub(crate) async fn perform(
    (lowered, task): (Arc<Lowered>, TaskKey),
    feeds: Vec<Feed>,
    (spill, running): (Option<(PathBuf, u64)>, Arc<Running>),
) -> (Result<Chunk, TaskError>, u64) {
    running.begin();
    let started = Instant::now();
    let result = match ENGINE.get() {
        Some(engine) => match task_of(&lowered, task, &feeds, running) {
            Ok(task) => {
                let task = EngineTask { spill, ..task };
                // What it reads goes when it has done with it.
                drop(feeds);
                engine.run(task).await.and_then(value)
            }
            Err(why) => Err(TaskError::Worker(why)),
        },
        None => Err(TaskError::Worker("this worker has no engine for tables".into())),
    };
    (result, started.elapsed().as_micros() as u64)
}

fn task_of(
    lowered: &Lowered,
    task: TaskKey,
    feeds: &[Feed],
    running: Arc<Running>,
) -> Result<EngineTask, String> {
    let StageKind::Table(stage) = &lowered.work(task.stage).kind else {
        return Err("a task of no query on tables".into());
    };
    let plan = &lowered.plan;
    let mut inputs = vec![Vec::new(); plan.stage(task.stage).inputs.len()];
    for feed in feeds {
        let [plane] = feed.chunk.planes.as_slice() else {
            return Err(format!(
                "input {}: got {} planes, expected bytes",
                feed.slot,
                feed.chunk.planes.len()
            ));
        };
        let read = match plan.reads_blocks(task.stage, feed.slot) {
            true => Read::Block(plane.clone()),
            false => Read::Value(plane.clone()),
        };
        inputs[feed.slot].push((feed.chunk_idx, read));
    }
    let in_order = |mut read: Vec<_>| {
        read.sort_by_key(|(chunk, _)| *chunk);
        read.into_iter().map(|(_, read)| read).collect()
    };
    let inputs = inputs.into_iter().map(in_order).collect();
    let stopped = Box::pin(async move { running.stopped().await });
    Ok(EngineTask { stage: stage.clone(), number: task.chunk.0, inputs, spill: None, stopped })
}

fn value(bytes: Vec<u8>) -> Result<Chunk, TaskError> {
    let chunk = Chunk::from_bytes(&[DType::U8], &[bytes.len()], &bytes);
    chunk.map_err(|e| TaskError::Operation(e.to_string()))
}
