//! A lowered program: the shape of its plan, and what the tasks of each stage do.
//!
//! Knows operations on chunks. Must not know workers, time or how kernels are run.

use crate::blocks::{BlockFunction, Blocks};
use crate::calls::Calls;
use crate::dtype::DType;
use crate::fused::{Def, Fused};
use crate::kernel::Kernel;
use crate::op::{FileRef, Fold};
use crate::table::TableStage;
use std::sync::Arc;
use tilework_plan::{Function, Grid, Plan, StageIdx};

/// What the tasks of a stage do.
#[derive(Clone, PartialEq, Debug)]
pub enum StageKind {
    /// Chunks come from the client.
    Literal,
    /// Chunks are read from a file.
    Read(FileRef),
    /// Chunks are those of an earlier job's output.
    Held,
    /// A fused program over the chunk's box.
    Map(Fused),
    /// A fused program over the chunk's box, folded along axes.
    Reduce {
        /// The program.
        program: Fused,
        /// The fold.
        fold: Fold,
        /// The axes folded, rising.
        axes: Vec<usize>,
        /// Whether this makes the final values (else a partial state).
        finish: bool,
    },
    /// Partial states folded together along axes.
    Combine {
        /// The fold.
        fold: Fold,
        /// The dtype of the folded elements.
        dtype: DType,
        /// The axes folded, rising.
        axes: Vec<usize>,
        /// For each axis of the grid, the chunks of the reduced array (`of`) that one input state spans.
        span: Vec<usize>,
        /// The grid of the array that is reduced.
        of: Grid,
        /// Whether this makes the final values.
        finish: bool,
    },
    /// A matrix product over the box (rows, columns, inner): input 0 is read at (row, inner), input 1 at
    /// (inner, column). Partial products over the third axis are summed by `Combine`.
    Contract,
    /// The same elements in row-major order; both grids cut along one axis only, so that a chunk is one run.
    Reshape,
    /// The chunk is a part of one of the inputs.
    Concat,
    /// Listed positions of an axis of the only input.
    Take,
    /// A function of boxes of the inputs, or of blocks that were exchanged.
    Blocks(Arc<Blocks>),
    /// The input's chunk is written to a file.
    Write(FileRef),
    /// A function of the user's is called with values.
    Calls(Arc<Calls>),
    /// Values come from the client, or from an earlier job.
    Values,
    /// Nothing: the only chunk stands for all values that it reads.
    Barrier,
    /// An array is made of a value.
    FromValue(Arc<Calls>),
    /// A stage of a query on tables.
    Table(Arc<TableStage>),
}

/// What the tasks of a stage do, and what they leave.
#[derive(Clone, PartialEq, Debug)]
pub struct Work {
    /// The operation.
    pub kind: StageKind,
    /// The dtypes of the result's planes, one but for partial states.
    pub planes: Vec<DType>,
}

impl Work {
    /// The dtype of the result (its first plane).
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.planes[0]
    }

    /// A function of the user's that it calls; any, for all of a program's are of one executable.
    #[must_use]
    pub fn kernel(&self) -> Option<&Arc<Kernel>> {
        match &self.kind {
            StageKind::Map(program) | StageKind::Reduce { program, .. } => {
                program.values.iter().find_map(|value| match &value.def {
                    Def::Apply(kernel, _) => Some(kernel),
                    _ => None,
                })
            }
            StageKind::Calls(calls) | StageKind::FromValue(calls) => Some(&calls.kernel),
            StageKind::Table(stage) => stage.kernel.as_ref(),
            StageKind::Blocks(blocks) => match &blocks.function {
                BlockFunction::User(kernel, _) => Some(kernel),
                BlockFunction::Own(_) => None,
            },
            StageKind::Literal
            | StageKind::Read(_)
            | StageKind::Held
            | StageKind::Combine { .. }
            | StageKind::Contract
            | StageKind::Reshape
            | StageKind::Concat
            | StageKind::Take
            | StageKind::Values
            | StageKind::Barrier
            | StageKind::Write(_) => None,
        }
    }
}

impl StageKind {
    /// Whether its tasks give values, and not chunks of an array.
    #[must_use]
    pub fn gives_values(&self) -> bool {
        match self {
            StageKind::Calls(_) | StageKind::Values => true,
            StageKind::Table(stage) => stage.gives > 0,
            StageKind::Blocks(blocks) => blocks.gives.is_some(),
            _ => false,
        }
    }

    /// The operation in a word, for messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            StageKind::Literal => "literal",
            StageKind::Read(_) => "read",
            StageKind::Held => "held",
            StageKind::Map(p) if p.is_passthrough() => "rechunk",
            StageKind::Map(_) => "elementwise",
            StageKind::Reduce { .. } => "reduce",
            StageKind::Combine { .. } => "combine",
            StageKind::Contract => "matrix product",
            StageKind::Reshape => "reshape",
            StageKind::Concat => "concatenate",
            StageKind::Take => "select",
            StageKind::Blocks(blocks) => blocks.name(),
            StageKind::Write(_) => "write",
            StageKind::Calls(_) => "call",
            StageKind::Values => "values",
            StageKind::Barrier => "barrier",
            StageKind::FromValue(_) => "from_future",
            StageKind::Table(_) => "table",
        }
    }
}

impl From<&Kernel> for Function {
    fn from(kernel: &Kernel) -> Function {
        Function { name: kernel.name.as_str().into(), build: kernel.build.as_str().into(), line: None }
    }
}

/// A lowered program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lowered {
    /// The shape of its plan: all that a scheduler and a worker need to decide.
    pub plan: Arc<Plan>,
    /// What the tasks of each of the plan's stages do.
    pub works: Vec<Work>,
}

impl Lowered {
    /// What the tasks of a stage do.
    ///
    /// # Panics
    /// If the plan has no such stage.
    #[must_use]
    pub fn work(&self, stage: StageIdx) -> &Work {
        &self.works[stage.0 as usize]
    }

    /// The dtype of a stage's result (its first plane).
    ///
    /// # Panics
    /// If the plan has no such stage.
    #[must_use]
    pub fn dtype(&self, stage: StageIdx) -> DType {
        self.work(stage).dtype()
    }
}
