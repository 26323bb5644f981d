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
use tilework_kernels::{Chunk, Feed, Plane, n_blocks, panic_text};
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
) -> (Result<Option<Chunk>, TaskError>, u64) {
    running.begin();
    let started = Instant::now();
    // A panic in it ends this task alone.
    let made = tokio::spawn(async move {
        let Some(engine) = ENGINE.get() else {
            return Err(TaskError::Worker("this worker has no engine for tables".into()));
        };
        let task = task_of(&lowered, task, &feeds, running).map_err(TaskError::Worker)?;
        // What it reads goes when it has done with it.
        drop(feeds);
        let gives = task.stage.gives;
        let made = engine.run(EngineTask { spill, ..task }).await?;
        // Not on the threads that carry messages.
        let value = tokio::task::spawn_blocking(move || value(&made, gives));
        value.await.unwrap_or_else(|error| Err(panicked(error)))
    });
    let result = made.await.unwrap_or_else(|error| Err(panicked(error)));
    (result.map(Some), started.elapsed().as_micros() as u64)
}

fn panicked(error: tokio::task::JoinError) -> TaskError {
    match error.try_into_panic() {
        Ok(panic) => TaskError::Operation(format!("panic in a task of tables: {}", panic_text(&*panic))),
        Err(error) => TaskError::Worker(error.to_string()),
    }
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

/// The value that the engine has made, if it is of as many blocks as the stage gives.
fn value(bytes: &[u8], gives: u32) -> Result<Chunk, TaskError> {
    let wrong = |why: String| TaskError::Operation(format!("what the engine of tables made: {why}"));
    let chunk = Chunk::from_bytes(&[DType::U8], &[bytes.len()], bytes).map_err(|e| wrong(e.to_string()))?;
    match n_blocks(&chunk.planes[0]) {
        Ok(n) if n == u64::from(gives) => Ok(chunk),
        Ok(n) => Err(wrong(format!("{n} blocks, expected {gives}"))),
        Err(e) => Err(wrong(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_kernels::BlockWriter;

    #[test]
    fn what_was_made_is_of_as_many_blocks_as_the_stage_gives() {
        let mut writer = BlockWriter::new(2);
        (0..2).for_each(|_| writer.end());
        let made = writer.finish();
        assert_eq!(value(&made, 2).unwrap().bytes(), made.len());
        assert!(
            matches!(value(&made, 3), Err(TaskError::Operation(why)) if why.contains("2 blocks, expected 3"))
        );
        assert!(matches!(value(b"no blocks", 1), Err(TaskError::Operation(_))));
    }

    #[derive(Debug)]
    struct Panics;

    impl Engine for Panics {
        fn tag(&self) -> &str {
            "panics"
        }

        fn run(&self, task: EngineTask) -> Made {
            panic!("task {} on purpose", task.number)
        }
    }

    #[tokio::test]
    async fn an_engine_that_panics_fails_its_task() {
        use tilework_expr::{Expr, Program};
        use tilework_plan::{ChunkIdx, JobId, StageIdx};

        install_engine(Arc::new(Panics));
        let stage = TableStage {
            payload: Arc::from([]),
            gives: 1,
            reads: Arc::from([]),
            bytes_guess: 1,
            name: "scan".into(),
            terms: None,
        };
        let lowered = Lowered::of(&Program::new(&[Expr::table(stage, 2, &[]).unwrap()])).unwrap();
        let task = TaskKey { job: JobId(0), stage: StageIdx(0), chunk: ChunkIdx(1) };
        let (made, _) = perform((Arc::new(lowered), task), Vec::new(), (None, Arc::default())).await;
        let why = "panic in a task of tables: task 1 on purpose".to_owned();
        assert_eq!(made.unwrap_err(), TaskError::Operation(why));
        assert!(with_engine(&Tags::new()).contains("panics"));
    }
}
