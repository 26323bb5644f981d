//! A planned query as an expression: a node for each stage. Must not know who runs it.

use crate::error::{Error, Result};
use crate::literal::{Literal, Provider};
use std::sync::Arc;
use tilework_expr::{DType, Expr, TableHow, TableRead, TableStage};
use tilework_frame::{How, Input, Origin, Piece, StageGraph, StagePlan};
use tilework_kernels::Chunk;
use tilework_plan::{Region, Terms};
use tilework_worker_tables::{TAG, value};

/// Of what a task may hold, the part that its result is taken to have before it is made.
const GUESS_PART: u64 = 16;

/// The values of the query's last stage: one for each partition of its result, of one piece each.
pub(super) fn of(graph: &StageGraph) -> Result<Expr> {
    let sources = graph.sources.iter().map(|partitions| source(partitions)).collect::<Result<Vec<_>>>()?;
    let mut made: Vec<Expr> = Vec::with_capacity(graph.stages.len());
    for stage in &graph.stages {
        let input = |input: &Input| match input.from {
            Origin::Stage(stage) => made[stage].clone(),
            Origin::Source(source) => sources[source].clone(),
        };
        let inputs: Vec<Expr> = stage.inputs.iter().map(input).collect();
        let n_tasks = usize::try_from(stage.n_tasks).unwrap_or(usize::MAX);
        made.push(Expr::table(node(stage), n_tasks, &inputs)?);
    }
    Ok(made.pop().expect("a query has a stage"))
}

/// Rows of this process, written when a worker asks for them.
struct InMemory(Vec<Piece>);

impl Provider for InMemory {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        let failed = |e: &dyn std::fmt::Display| Error::system("write rows for the workers", e);
        let bytes = value(std::slice::from_ref(&self.0[region[0].start])).map_err(|e| failed(&e))?;
        Chunk::from_bytes(&[DType::U8], &[bytes.len()], &bytes).map_err(|e| failed(&e))
    }
}

fn source(partitions: &[Piece]) -> Result<Expr> {
    let (id, attachment) = Literal::attach(InMemory(partitions.to_owned()));
    Ok(Expr::values(partitions.len(), id, attachment)?)
}

fn node(stage: &StagePlan) -> TableStage {
    let read = |input: &Input| {
        let how = match input.how {
            How::Same => TableHow::Same,
            How::Piece => TableHow::Block,
            How::Whole => TableHow::Whole,
            How::Each => TableHow::Each,
        };
        TableRead { how, tasks: input.tasks.clone() }
    };
    let terms = Terms { tags: [TAG.into()].into(), memory_bytes: stage.grant_bytes, ..Terms::NONE.clone() };
    TableStage {
        payload: stage.payload.as_ref().into(),
        gives: u32::try_from(stage.n_pieces).unwrap_or(u32::MAX),
        reads: stage.inputs.iter().map(read).collect(),
        bytes_guess: stage.grant_bytes / GUESS_PART,
        name: stage.name.as_str().into(),
        terms: Some(Arc::new(terms)),
    }
}
