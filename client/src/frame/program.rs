//! A planned query as an expression: a node for each stage. Must not know who runs it.

use super::engine::TAG;
use crate::error::Result;
use std::sync::Arc;
use tilework_expr::{Expr, TableHow, TableRead, TableStage};
use tilework_frame::{How, Input, StageGraph, StagePlan};
use tilework_plan::Terms;

/// Of what a task may hold, the part that its result is taken to have before it is made.
const GUESS_PART: u64 = 16;

/// The values of the query's last stage: one for each partition of its result, of one piece each.
pub(super) fn of(graph: &StageGraph) -> Result<Expr> {
    let mut made: Vec<Expr> = Vec::with_capacity(graph.stages.len());
    for stage in &graph.stages {
        let inputs: Vec<Expr> = stage.inputs.iter().map(|input| made[input.stage].clone()).collect();
        let n_tasks = usize::try_from(stage.n_tasks).unwrap_or(usize::MAX);
        made.push(Expr::table(node(stage), n_tasks, &inputs)?);
    }
    Ok(made.pop().expect("a query has a stage"))
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
