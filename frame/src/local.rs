//! Runs a whole query in this process, stage by stage, in the order in which a cluster would: the same tasks are fed with
//! the same pieces in the same order, and give the same bits. Must not know how queries are planned.

use crate::blocks::Piece;
use crate::error::{FrameError, TaskError};
use crate::run::{Feed, Room, Runner, Stop, TaskInput, TaskOutput};
use crate::spill::SpillSpace;
use crate::stage::{Origin, Source, StageGraph};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// Of what a task may hold, the part that its output may have in memory where there is a disk for the rest.
const OUTPUT_PART: u64 = 4;

/// How pieces are kept between stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As they are.
    Batches,
    /// As bytes, as where each task runs in another process.
    Encoded,
}

/// A query while it runs: what its tasks have made so far and others still read.
pub struct Local<'a> {
    graph: &'a StageGraph,
    keep: Keep,
    /// By stage, task and piece.
    made: Vec<Vec<Vec<Piece>>>,
}

/// What became of a query.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The rows of its result, partition by partition.
    pub partitions: Vec<Vec<RecordBatch>>,
    /// Rows and bytes of the values of each partition.
    pub sizes: Vec<(u64, u64)>,
    /// What tasks wrote to the disk and read again.
    pub spilled_bytes: u64,
}

impl<'a> Local<'a> {
    /// A query of which nothing was run.
    #[must_use]
    pub fn new(graph: &'a StageGraph, keep: Keep) -> Local<'a> {
        Local { graph, keep, made: vec![Vec::new(); graph.stages.len()] }
    }

    /// What a task is to be run with. What it reads was made.
    ///
    /// # Panics
    /// If there is no such task.
    #[must_use]
    pub fn input(&self, stage: usize, task: u64) -> TaskInput {
        let plan = &self.graph.stages[stage];
        let piece = |slot: usize, (task, piece): (u64, u64)| {
            let missing = || TaskError::Payload(format!("slot {slot}: task {task} has not run"));
            let from = match plan.inputs[slot].from {
                Origin::Stage(from) => {
                    self.made[from].get(task as usize).and_then(|all| all.get(piece as usize))
                }
                Origin::Source(from) => match &self.graph.sources[from] {
                    Source::Pieces(pieces) => pieces.get(task as usize),
                    Source::Stored(stored) => {
                        return stored.piece(task as usize).map_err(|e| TaskError::Feed(Arc::new(e)));
                    }
                },
            };
            from.cloned().ok_or_else(missing)
        };
        let feed = |slot: usize, read: Vec<(u64, u64)>| -> Feed {
            let pieces: Vec<_> = read.into_iter().map(|at| piece(slot, at)).collect();
            futures::stream::iter(pieces).boxed()
        };
        let slot = |slot: usize| {
            let feeds = self.graph.feeds(stage, slot, task);
            feeds.into_iter().map(|read| feed(slot, read)).collect()
        };
        let feeds = (0..plan.inputs.len()).map(slot).collect();
        let (payload, grant_bytes) = (plan.payload.clone(), plan.grant_bytes);
        TaskInput { payload, partition: task, feeds, grant_bytes, room: Room::default() }
    }

    /// Keeps what the tasks of a stage made, and lets go of what nobody reads after it.
    ///
    /// # Errors
    /// If pieces are to be kept as bytes and have columns that cannot be.
    ///
    /// # Panics
    /// If there is no such stage.
    pub fn made(&mut self, stage: usize, outputs: Vec<TaskOutput>) -> Result<(), TaskError> {
        let kept = |piece: Piece| match self.keep {
            Keep::Batches => Ok(piece),
            Keep::Encoded => {
                let bytes = piece.encoded()?;
                Ok(Piece::from_encoded(bytes, piece.rows(), piece.value_bytes(), piece.checksum()?))
            }
        };
        let task = |output: TaskOutput| output.pieces.into_iter().map(kept).collect();
        self.made[stage] = outputs.into_iter().map(task).collect::<Result<_, TaskError>>()?;
        for (read, made) in self.made.iter_mut().enumerate().take(stage) {
            if self.graph.last_reader(read).is_none_or(|last| last <= stage) {
                made.clear();
            }
        }
        Ok(())
    }
}

/// Runs a query, so many tasks at a time.
///
/// # Errors
/// The first failure of a task, with its stage and number; what else ran is stopped.
pub async fn run_local(
    graph: &StageGraph,
    schema: &SchemaRef,
    runner: &Runner,
    keep: Keep,
    n_at_once: usize,
) -> Result<Ran, FrameError> {
    run_on(graph, schema, (runner, None), (keep, n_at_once)).await
}

/// The same, with a disk other than the runner's where there is one.
pub(crate) async fn run_on(
    graph: &StageGraph,
    schema: &SchemaRef,
    (runner, spill): (&Runner, Option<Arc<dyn SpillSpace>>),
    (keep, n_at_once): (Keep, usize),
) -> Result<Ran, FrameError> {
    let mut local = Local::new(graph, keep);
    let mut spilled_bytes = 0;
    let failed = |stage: usize, task: u64| {
        let name = graph.stages[stage].name.clone();
        move |error| FrameError::Task { stage: name, task, error }
    };
    for (stage, plan) in graph.stages.iter().enumerate() {
        let run = |task: u64| {
            let mut input = local.input(stage, task);
            if let Some(space) = &spill {
                let output_bytes = plan.grant_bytes / OUTPUT_PART;
                input.room = Room { spill: Some(space.clone()), output_bytes, ..Room::default() };
            }
            let ran = runner.run(input, Stop::never());
            let failed = failed(stage, task);
            async move { ran.await.map_err(failed) }
        };
        let tasks: Vec<_> = (0..plan.n_tasks).map(run).collect();
        let ran = futures::stream::iter(tasks).buffered(n_at_once.max(1));
        let outputs: Vec<TaskOutput> = ran.try_collect().await?;
        spilled_bytes += outputs.iter().map(|output| output.spilled_bytes).sum::<u64>();
        local.made(stage, outputs).map_err(failed(stage, 0))?;
    }
    let (mut partitions, mut sizes) = (Vec::new(), Vec::new());
    for (task, pieces) in local.made.pop().unwrap_or_default().iter().enumerate() {
        let batches = pieces.iter().map(|piece| piece.batches(schema)).collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(failed(graph.stages.len() - 1, task as u64))?;
        partitions.push(batches.into_iter().flatten().collect());
        sizes.push((pieces.iter().map(Piece::rows).sum(), pieces.iter().map(Piece::value_bytes).sum()));
    }
    Ok(Ran { partitions, sizes, spilled_bytes })
}
