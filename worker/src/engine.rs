//! An engine that the executable brings along, for stages that workers know nothing of but which task reads what: those of
//! queries on tables. What it is said to need is a tag that its workers have, so that tasks go only where there is one.
//!
//! Owns which engine this process has. Must not know what it does.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tilework_expr::{DType, Lowered, StageKind, TableStage};
use tilework_kernels::{Chunk, Plane, panic_text};
use tilework_plan::{ChunkIdx, Tags, TaskError, TaskKey, region_shape};

use crate::crew::Running;
use crate::spill::SpillSpace;
use crate::store::Content;

/// What a task makes.
#[derive(Clone, Debug)]
pub enum Output {
    /// A value that is made of blocks.
    Value(Arc<dyn Kept>),
    /// The elements of an array's chunk, row-major.
    Elements(Vec<u8>),
}

/// A task as it is run.
pub type Made = Pin<Box<dyn Future<Output = Result<Output, TaskError>> + Send>>;

/// A value as the engine that made it keeps it, while it stays in this process. It is written when it leaves it, or its memory.
pub trait Kept: fmt::Debug + Send + Sync {
    /// Bytes of memory that it takes.
    fn bytes(&self) -> u64;

    /// Bytes that it has when it is written, about: more where a part of it is on the disk.
    fn written_bytes(&self) -> u64 {
        self.bytes()
    }

    /// The blocks that it is made of.
    fn n_blocks(&self) -> u64;

    /// All of it as engines elsewhere read it: one plane of bytes.
    ///
    /// # Errors
    /// In words, where it cannot be written.
    fn written(&self) -> Result<Chunk, String>;

    /// The same of one block.
    ///
    /// # Errors
    /// As [`written`](Kept::written); a block that it does not have.
    fn block(&self, number: u64) -> Result<Chunk, String>;

    /// Itself, for the engine to find what it has made.
    fn itself(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Hears how many bytes of memory a task's result takes so far.
pub type Grew = Box<dyn Fn(u64) + Send + Sync>;

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
    /// The elements that it makes, of this shape; a value where absent.
    pub array: Option<(DType, Vec<usize>)>,
    /// Where it may put what its memory does not hold; nowhere where absent.
    pub spill: Option<Arc<SpillSpace>>,
    /// Bytes of its result that it may have in memory before it puts the rest there.
    pub result_bytes: u64,
    /// To be told now and then of what the result takes.
    pub grew: Grew,
    /// Tells when it is to stop.
    pub stopped: Stopped,
}

/// What a task reads.
#[derive(Clone, Debug)]
pub enum Read {
    /// A value, which is made of blocks.
    Value(Plane),
    /// One block of a value.
    Block(Plane),
    /// A chunk of an array.
    Array(Plane),
    /// A value as the engine keeps it, or one block of it.
    Kept(Arc<dyn Kept>, Option<u64>),
}

/// One thing that a task reads: of which input of its stage, which of that one's values, and what.
#[derive(Clone, Debug)]
pub(crate) struct Fed {
    pub slot: usize,
    pub chunk_idx: ChunkIdx,
    pub read: Read,
}

impl Read {
    /// A value, or one block of it.
    pub(crate) fn of(content: Content, block: Option<u64>) -> Result<Read, String> {
        match (content, block) {
            (Content::Kept(kept), block) => Ok(Read::Kept(kept, block)),
            (Content::Chunk(chunk), None) => only(chunk).map(Read::Value),
            (Content::Chunk(chunk), Some(number)) => {
                Read::of_part(chunk.block(number).map_err(|e| e.to_string())?)
            }
        }
    }

    /// A chunk of an array.
    pub(crate) fn of_array(content: Content) -> Result<Read, String> {
        match content {
            Content::Chunk(chunk) => only(chunk).map(Read::Array),
            Content::Kept(_) => Err("a value that an engine keeps, expected a chunk of an array".to_owned()),
        }
    }

    /// What was fetched of a value: a block.
    pub(crate) fn of_part(chunk: Chunk) -> Result<Read, String> {
        only(chunk).map(Read::Block)
    }
}

/// The plane of a chunk that has one.
fn only(chunk: Chunk) -> Result<Plane, String> {
    let n = chunk.planes.len();
    <[Plane; 1]>::try_from(chunk.planes)
        .map(|[plane]| plane)
        .map_err(|_| format!("got {n} planes, expected one"))
}

/// What a task may take beside its memory, and how it is told to stop.
pub(crate) struct Room {
    pub spill: Option<Arc<SpillSpace>>,
    pub result_bytes: u64,
    pub grew: Grew,
    pub running: Arc<Running>,
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
    fed: Vec<Fed>,
    room: Room,
) -> (Result<Option<Content>, TaskError>, u64) {
    room.running.begin();
    let started = Instant::now();
    // A panic in it ends this task alone.
    let made = tokio::spawn(async move {
        let Some(engine) = ENGINE.get() else {
            return Err(TaskError::Worker("this worker has no engine for tables".into()));
        };
        let task = task_of(&lowered, task, fed, room).map_err(TaskError::Worker)?;
        let (gives, array) = (u64::from(task.stage.gives), task.array.clone());
        match (engine.run(task).await?, array) {
            (Output::Value(made), None) => match made.n_blocks() {
                n if n == gives => Ok(Content::Kept(made)),
                n => Err(wrong(format!("{n} blocks, expected {gives}"))),
            },
            (Output::Elements(bytes), Some((dtype, shape))) => {
                // Not on the threads that carry messages.
                let made = tokio::task::spawn_blocking(move || chunk(dtype, &shape, &bytes));
                made.await.unwrap_or_else(|error| Err(panicked(error))).map(Content::Chunk)
            }
            (Output::Value(_), Some(_)) => Err(wrong("a value, expected a chunk of an array".into())),
            (Output::Elements(_), None) => Err(wrong("elements, expected a value".into())),
        }
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

fn task_of(lowered: &Lowered, task: TaskKey, fed: Vec<Fed>, room: Room) -> Result<EngineTask, String> {
    let StageKind::Table(stage) = &lowered.work(task.stage).kind else {
        return Err("a task of no query on tables".into());
    };
    let plan = &lowered.plan;
    let mut inputs = vec![Vec::new(); plan.stage(task.stage).inputs.len()];
    for Fed { slot, chunk_idx, read } in fed {
        inputs[slot].push((chunk_idx, read));
    }
    let in_order = |mut read: Vec<(ChunkIdx, Read)>| {
        read.sort_by_key(|(chunk, _)| *chunk);
        read.into_iter().map(|(_, read)| read).collect()
    };
    let inputs = inputs.into_iter().map(in_order).collect();
    let Room { spill, result_bytes, grew, running } = room;
    let stopped = Box::pin(async move { running.stopped().await });
    let region = || region_shape(&plan.stage(task.stage).out_grid.region(task.chunk));
    let array = (stage.gives == 0).then(|| (lowered.dtype(task.stage), region()));
    let number = task.chunk.0;
    Ok(EngineTask { stage: stage.clone(), number, inputs, array, spill, result_bytes, grew, stopped })
}

fn wrong(why: String) -> TaskError {
    TaskError::Operation(format!("what the engine of tables made: {why}"))
}

/// The chunk whose elements the engine has made.
fn chunk(dtype: DType, shape: &[usize], bytes: &[u8]) -> Result<Chunk, TaskError> {
    Chunk::from_bytes(&[dtype], shape, bytes).map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::{Expr, Program, TableStage};
    use tilework_plan::{JobId, StageIdx};

    /// A value of two blocks.
    #[derive(Debug)]
    struct Two;

    impl Kept for Two {
        fn bytes(&self) -> u64 {
            16
        }

        fn n_blocks(&self) -> u64 {
            2
        }

        fn written(&self) -> Result<Chunk, String> {
            Err("nobody reads it".to_owned())
        }

        fn block(&self, _: u64) -> Result<Chunk, String> {
            self.written()
        }

        fn itself(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
            self
        }
    }

    #[derive(Debug)]
    struct Odd;

    impl Engine for Odd {
        fn tag(&self) -> &str {
            "odd"
        }

        fn run(&self, task: EngineTask) -> Made {
            assert!(task.number != 1, "task {} on purpose", task.number);
            (task.grew)(16);
            Box::pin(async { Ok(Output::Value(Arc::new(Two))) })
        }
    }

    fn run(gives: u32, number: u64) -> Result<Option<Content>, TaskError> {
        install_engine(Arc::new(Odd));
        let (reads, name) = (Arc::from([]), "scan".into());
        let stage = TableStage {
            payload: Arc::from([]),
            gives,
            reads,
            bytes_guess: 1,
            name,
            terms: None,
            kernel: None,
        };
        let lowered = Lowered::of(&Program::new(&[Expr::table(stage, 2, &[]).unwrap()])).unwrap();
        let task = TaskKey { job: JobId(0), stage: StageIdx(0), chunk: ChunkIdx(number) };
        let room = Room { spill: None, result_bytes: 1, grew: Box::new(|_| ()), running: Arc::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(perform((Arc::new(lowered), task), Vec::new(), room)).0
    }

    #[test]
    fn what_was_made_is_of_as_many_blocks_as_the_stage_gives() {
        assert_eq!(run(2, 0).unwrap().unwrap().bytes(), 16);
        let wrong = run(3, 0).unwrap_err();
        assert!(
            matches!(&wrong, TaskError::Operation(why) if why.contains("2 blocks, expected 3")),
            "{wrong:?}"
        );
    }

    #[test]
    fn an_engine_that_panics_fails_its_task() {
        let why = "panic in a task of tables: task 1 on purpose".to_owned();
        assert_eq!(run(2, 1).unwrap_err(), TaskError::Operation(why));
    }
}
