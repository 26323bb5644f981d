//! A planned query as an expression: a node for each stage. Must not know who runs it.

use super::stored::{ArrayColumn, OnWorkers};
use crate::error::{Error, Result};
use crate::literal::{Literal, Provider};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use tilework_expr::{DType, Expr, TableHow, TableRead, TableStage};
use tilework_frame::{FrameError, How, Input, Origin, Piece, Source, StageGraph, StagePlan, Stored};
use tilework_kernels::Chunk;
use tilework_plan::{Region, Terms};
use tilework_worker_tables::{TAG, function_of, value};

/// Of what a task may hold, the most that its result is taken to have before it is made: as a part.
const GUESS_PART: u64 = 16;
/// The least.
const GUESS_BYTES_MIN: u64 = 4 << 10;

/// The values of the query's last stage: one for each partition of its result, of one piece each.
pub(super) fn of(graph: &StageGraph) -> Result<Expr> {
    let mut made = Programs::default().stages(graph)?;
    Ok(made.pop().expect("a query has a stage"))
}

/// Queries that are computed together. Stages that do the same with the same are one.
#[derive(Default)]
pub(super) struct Programs {
    /// By what they do, what they read and how many tasks they have.
    stages: HashMap<(TableStage, Vec<usize>, u64), Expr>,
    /// By where they are in memory.
    sources: HashMap<usize, Expr>,
}

impl Programs {
    /// The values of each stage of a query.
    pub(super) fn stages(&mut self, graph: &StageGraph) -> Result<Vec<Expr>> {
        let sources = graph.sources.iter().map(|of| self.source(of)).collect::<Result<Vec<_>>>()?;
        let mut made: Vec<Expr> = Vec::with_capacity(graph.stages.len());
        for stage in &graph.stages {
            let input = |input: &Input| match input.from {
                Origin::Stage(stage) => made[stage].clone(),
                Origin::Source(source) => sources[source].clone(),
            };
            let inputs: Vec<Expr> = stage.inputs.iter().map(input).collect();
            made.push(self.stage(stage, inputs)?);
        }
        Ok(made)
    }

    fn stage(&mut self, stage: &StagePlan, inputs: Vec<Expr>) -> Result<Expr> {
        let n_tasks = usize::try_from(stage.n_tasks).unwrap_or(usize::MAX);
        let key = (node(stage)?, inputs.iter().map(Expr::address).collect(), stage.n_tasks);
        if let Some(known) = self.stages.get(&key) {
            return Ok(known.clone());
        }
        let made = Expr::table(key.0.clone(), n_tasks, &inputs)?;
        self.stages.insert(key, made.clone());
        Ok(made)
    }

    fn source(&mut self, of: &Source) -> Result<Expr> {
        let at = match of {
            Source::Pieces(pieces) => Arc::as_ptr(pieces).cast::<()>().addr(),
            Source::Stored(stored) => Arc::as_ptr(stored).cast::<()>().addr(),
        };
        if let Some(known) = self.sources.get(&at) {
            return Ok(known.clone());
        }
        let made = source(of)?;
        self.sources.insert(at, made.clone());
        Ok(made)
    }
}

/// Rows of this process, written when a worker asks for them.
struct InMemory(Arc<[Piece]>);

/// Partitions that this process brings here when a worker asks for them.
struct Brought(Arc<dyn Stored>);

fn written(piece: Piece) -> Result<Chunk> {
    let failed = |e: &dyn std::fmt::Display| Error::system("write rows for the workers", e);
    let bytes = value(&[piece]).map_err(|e| failed(&e))?;
    Chunk::from_bytes(&[DType::U8], &[bytes.len()], &bytes).map_err(|e| failed(&e))
}

impl Provider for InMemory {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        written(self.0[region[0].start].clone())
    }
}

impl Provider for Brought {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        written(self.0.piece(region[0].start)?)
    }

    fn waits(&self) -> bool {
        true
    }
}

/// What stages read that none of them makes.
fn source(source: &Source) -> Result<Expr> {
    let stored = match source {
        Source::Pieces(pieces) => return values(pieces.len(), InMemory(pieces.clone())),
        Source::Stored(stored) => stored,
    };
    let any: &dyn Any = &**stored;
    if let Some(kept) = any.downcast_ref::<OnWorkers>() {
        return Ok(kept.values.clone());
    }
    if let Some(column) = any.downcast_ref::<ArrayColumn>() {
        return Ok(column.array.clone());
    }
    values(stored.n_partitions(), Brought(Arc::clone(stored)))
}

fn values(n: usize, provider: impl Provider) -> Result<Expr> {
    let (id, attachment) = Literal::attach(provider);
    Ok(Expr::values(n, id, attachment)?)
}

/// What a task's result is taken to have before it is made: so much that a task which reads all of a stage's results could
/// hold them. What a result takes is told while it is made, and known when it is.
fn guess(stage: &StagePlan) -> u64 {
    let all = stage.grant_bytes / 2;
    (all / stage.n_tasks.max(1)).min(stage.grant_bytes / GUESS_PART).max(GUESS_BYTES_MIN)
}

fn node(stage: &StagePlan) -> Result<TableStage> {
    let read = |input: &Input| {
        let how = match input.how {
            How::Same => TableHow::Same,
            How::Piece => TableHow::Block,
            How::Whole => TableHow::Whole,
            How::Each => TableHow::Each,
        };
        TableRead::of(how, input.tasks.clone())
    };
    let kernel = |bytes| function_of(bytes).ok_or_else(|| FrameError::executor("a function without a name"));
    let kernel = stage.function.as_deref().map(kernel).transpose()?;
    Ok(TableStage {
        payload: stage.payload.as_ref().into(),
        gives: u32::try_from(stage.n_pieces).unwrap_or(u32::MAX),
        reads: stage.inputs.iter().map(read).collect(),
        bytes_guess: guess(stage),
        name: stage.name.as_str().into(),
        terms: Some(Arc::new(terms(stage.grant_bytes))),
        kernel: kernel.map(Arc::new),
    })
}

/// How tasks of tables are to be run that may hold so much.
pub(super) fn terms(grant_bytes: u64) -> Terms {
    Terms { tags: [TAG.into()].into(), memory_bytes: grant_bytes, ..Terms::NONE.clone() }
}
