//! The engine of tables that workers of this executable have: what a task reads becomes feeds, what it makes a value.
//!
//! Owns the threads that run tables' tasks, by their runner. Must not know when a task runs, nor where its inputs were.

use crate::pieces::{self, Pieces};
use crate::{functions, planes};
use bytes::Bytes;
use futures::StreamExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tilework_cluster::limits;
use tilework_expr::{DType, TableHow, TableRead};
use tilework_frame::{
    Feed, FrameError, Piece, Room, Runner, RunnerOptions, SpillSpace, Stop, TaskError, TaskInput,
    each_thread_begins_with, install_caller,
};
use tilework_plan::TaskError as Failed;
use tilework_worker::{Engine, EngineTask, Made, Output, Read, install_engine, mark_task_thread};

/// What workers with this engine have: they understand plans of this version.
pub const TAG: &str = "tables:datafusion-55.2";

/// The engine, whose threads start with its first task.
#[derive(Default)]
struct Tables {
    runner: OnceLock<Result<Runner, FrameError>>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(TAG)
    }
}

/// Gives the workers of this process the engine, and this process functions of the user's. They are to start after it.
pub fn install() {
    install_caller(functions::call);
    each_thread_begins_with(mark_task_thread);
    install_engine(Arc::new(Tables::default()));
}

impl Tables {
    /// The runner of this process. Where tasks may put what memory does not hold each is told.
    fn runner(&self) -> Result<&Runner, Failed> {
        let options = || RunnerOptions {
            n_threads: limits::cpus(),
            spill_dir: std::env::temp_dir(),
            spill_bytes_max: 0,
        };
        let runner = self.runner.get_or_init(|| Runner::new(options()));
        runner.as_ref().map_err(|e| Failed::Worker(e.to_string()))
    }
}

/// The worker's disk, with the one count of all that is there.
#[derive(Debug)]
struct Disk(Arc<tilework_worker::SpillSpace>);

/// A worker's disk for queries that its tasks run by themselves.
#[must_use]
pub fn disk(space: Arc<tilework_worker::SpillSpace>) -> Arc<dyn SpillSpace> {
    Arc::new(Disk(space))
}

impl SpillSpace for Disk {
    fn dir(&self) -> &Path {
        self.0.dir()
    }

    fn take(&self, bytes: u64) -> Result<(), String> {
        self.0.take(bytes).map_err(|full| full.to_string())
    }

    fn give_back(&self, bytes: u64) {
        self.0.give_back(bytes);
    }
}

impl Engine for Tables {
    fn tag(&self) -> &str {
        TAG
    }

    fn run(&self, task: EngineTask) -> Made {
        let EngineTask { stage, number, inputs, array, spill, result_bytes, grew, stopped } = task;
        let name = Arc::clone(&stage.name);
        let feeds =
            stage.reads.iter().zip(inputs).map(|(read, values)| feeds(read, number, values)).collect();
        let room = match spill {
            Some(space) => Room { spill: Some(Arc::new(Disk(space))), output_bytes: result_bytes, grew },
            // There is nowhere else for it than in memory, where it is counted.
            None => Room { grew, ..Room::default() },
        };
        let input = TaskInput {
            payload: Bytes::from_owner(Arc::clone(&stage.payload)),
            partition: number,
            feeds,
            grant_bytes: stage.terms.as_ref().map_or(0, |terms| terms.memory_bytes),
            room,
        };
        let (stop, told) = Stop::pair();
        let running = self.runner().map(|runner| runner.run(input, told));
        Box::pin(async move {
            let mut running = running?;
            let made = tokio::select! {
                made = &mut running => made,
                () = stopped => {
                    stop.stop();
                    running.await
                }
            };
            let output = made.map_err(|error| failed(&name, &error))?;
            let Some((dtype, _)) = array else {
                return Ok(Output::Value(Arc::new(Pieces::new(output.pieces))));
            };
            // Not on the threads that carry messages.
            let made = tokio::task::spawn_blocking(move || elements_of(&output.pieces, dtype)).await;
            let made = made.map_err(|e| Failed::Operation(format!("{name}: {e}")))?;
            made.map(Output::Elements).map_err(|error| failed(&name, &error))
        })
    }
}

/// What a task made, as the elements of an array's chunk.
fn elements_of(made: &[Piece], dtype: DType) -> Result<Vec<u8>, TaskError> {
    let batches: Vec<_> = made.iter().map(Piece::made).collect::<Result<_, _>>()?;
    planes::elements(&batches.concat(), dtype)
}

/// What a task reads of one input, feed by feed; none where it does not read it.
fn feeds(read: &TableRead, task: u64, values: Vec<Read>) -> Vec<Feed> {
    if !read.tasks.contains(&task) {
        return Vec::new();
    }
    match read.how {
        TableHow::Each => values.into_iter().map(|value| feed(vec![value])).collect(),
        TableHow::Same | TableHow::Block | TableHow::Whole | TableHow::Runs => vec![feed(values)],
    }
}

/// The pieces of these, one after another; each is looked at when it is asked for.
fn feed(values: Vec<Read>) -> Feed {
    let pieces = |read: Read| -> Vec<Result<_, TaskError>> {
        match pieces_of(read) {
            Ok(pieces) => pieces.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    };
    futures::stream::iter(values.into_iter().flat_map(pieces)).boxed()
}

fn pieces_of(read: Read) -> Result<Vec<Piece>, TaskError> {
    match read {
        Read::Block(block) => pieces::of_block(&block).map(|piece| vec![piece]),
        Read::Value(value) => pieces::of_value(&value),
        Read::Array(chunk) => planes::piece_of_array(&chunk).map(|piece| vec![piece]),
        Read::Kept(kept, block) => match kept.itself().downcast::<Pieces>() {
            Ok(made) => made.read(block),
            Err(_) => Err(TaskError::Corrupt("a value of another engine".to_owned())),
        },
    }
}

/// The end of a task that failed, as the scheduler is told of it: another worker may do what this one could not, the rest
/// is the same everywhere. Who asked for the query finds the error itself in it.
fn failed(stage: &str, error: &TaskError) -> Failed {
    let message = format!("{stage}: {error}");
    Failed::Detailed { message, detail: error.to_bytes(stage), elsewhere: error.is_of_the_worker() }
}
