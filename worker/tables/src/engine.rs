//! The engine of tables that workers of this executable have: what a task reads becomes feeds, what it makes a value.
//!
//! Owns the threads that run tables' tasks, by their runner. Must not know when a task runs, nor where its inputs were.

use crate::pieces;
use bytes::Bytes;
use futures::StreamExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tilework_cluster::limits;
use tilework_expr::{TableHow, TableRead};
use tilework_frame::{Feed, FrameError, Runner, RunnerOptions, Stop, TaskError, TaskInput};
use tilework_plan::TaskError as Failed;
use tilework_worker::{Engine, EngineTask, Made, Read, install_engine};

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

/// Gives the workers of this process the engine. They are to start after it.
pub fn install() {
    install_engine(Arc::new(Tables::default()));
}

impl Tables {
    /// The runner of this process; where tasks may put what memory does not hold is what the first of them was told.
    fn runner(&self, spill: Option<(PathBuf, u64)>) -> Result<&Runner, Failed> {
        let (spill_dir, spill_bytes_max) = spill.unwrap_or_else(|| (std::env::temp_dir(), 0));
        let options = RunnerOptions { n_threads: limits::cpus(), spill_dir, spill_bytes_max };
        let runner = self.runner.get_or_init(|| Runner::new(options));
        runner.as_ref().map_err(|e| Failed::Worker(e.to_string()))
    }
}

impl Engine for Tables {
    fn tag(&self) -> &str {
        TAG
    }

    fn run(&self, task: EngineTask) -> Made {
        let EngineTask { stage, number, inputs, spill, stopped } = task;
        let name = Arc::clone(&stage.name);
        let feeds =
            stage.reads.iter().zip(inputs).map(|(read, values)| feeds(read, number, values)).collect();
        let input = TaskInput {
            payload: Bytes::from_owner(Arc::clone(&stage.payload)),
            partition: number,
            feeds,
            grant_bytes: stage.terms.as_ref().map_or(0, |terms| terms.memory_bytes),
        };
        let (stop, told) = Stop::pair();
        let running = self.runner(spill).map(|runner| runner.run(input, told));
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
            // Not on the threads that carry messages.
            let value = tokio::task::spawn_blocking(move || pieces::value(&output.pieces)).await;
            let value = value.map_err(|e| Failed::Operation(format!("{name}: {e}")))?;
            value.map_err(|error| failed(&name, &error))
        })
    }
}

/// What a task reads of one input, feed by feed; none where it does not read it.
fn feeds(read: &TableRead, task: u64, values: Vec<Read>) -> Vec<Feed> {
    if !read.tasks.contains(&task) {
        return Vec::new();
    }
    match read.how {
        TableHow::Each => values.into_iter().map(|value| feed(vec![value])).collect(),
        TableHow::Same | TableHow::Block | TableHow::Whole => vec![feed(values)],
    }
}

/// The pieces of these, one after another; each is looked at when it is asked for.
fn feed(values: Vec<Read>) -> Feed {
    let pieces = |read: Read| -> Vec<Result<_, TaskError>> {
        let pieces = match &read {
            Read::Block(block) => pieces::of_block(block).map(|piece| vec![piece]),
            Read::Value(value) => pieces::of_value(value),
        };
        match pieces {
            Ok(pieces) => pieces.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    };
    futures::stream::iter(values.into_iter().flat_map(pieces)).boxed()
}

/// The end of a task that failed, as the scheduler is told of it: another worker may do what this one could not, the rest
/// is the same everywhere.
fn failed(stage: &str, error: &TaskError) -> Failed {
    let words = format!("{stage}: {error}");
    match error {
        TaskError::Feed(_) | TaskError::Corrupt(_) | TaskError::Disk(_) | TaskError::Threads(_) => {
            Failed::Worker(words)
        }
        _ => Failed::Operation(words),
    }
}
