//! The plan: stages of tasks, and which chunks of one stage a chunk of another reads. A task's inputs and
//! consumers are functions of its chunk number; nothing is stored per chunk.
//!
//! Knows geometry. Must not know workers, time or kernels.

use crate::dtype::DType;
use crate::fused::Fused;
use crate::grid::Grid;
use crate::kernel::{Halo, Kernel};
use crate::op::{FileRef, Fold};
use crate::stored::Reading;
use crate::take::Taken;
use crate::task::StageIdx;
use crate::view::View;
use std::ops::Range;
use std::sync::Arc;

/// Mean length of the pieces of a matrix product's inner axis below which its inputs are brought together first.
pub const CONTRACT_PIECE_MIN: usize = 64;

/// What the tasks of a stage do.
#[derive(Clone, PartialEq, Debug)]
pub enum StageKind {
    /// Chunks come from the client.
    Literal {
        /// The client's name for it.
        id: u64,
    },
    /// Chunks are read from a file.
    Read(Reading),
    /// Chunks are those of an earlier job's output.
    Held {
        /// The job.
        job: u64,
        /// Which of the job's outputs.
        output: u32,
    },
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
    /// A function of the user's of the box of the only input, with its halo where it is read with one.
    Blocks(Arc<Kernel>),
    /// A function of the user's that folds an axis, in the order of its positions.
    FoldAxis {
        /// The function.
        kernel: Arc<Kernel>,
        /// The only axis folded; it is in one chunk.
        axes: [usize; 1],
    },
    /// The input's chunk is written to a file.
    Write(FileRef),
}

/// Which chunks of an input a task reads.
#[derive(Clone, PartialEq, Debug)]
pub enum InputMap {
    /// Those that its box touches through a view.
    View {
        /// From the stage's grid to the input's.
        view: View,
        /// Only for tasks whose box lies in this range of this axis (the parts of a concatenation).
        clip: Option<(usize, Range<usize>)>,
    },
    /// Those that its box touches with a halo of neighbours; the shapes are equal.
    Halo(Vec<Halo>),
    /// Blocks of neighbours: `fanin[a]` along axis `a` of the input's task grid.
    Group {
        /// Inputs along each axis.
        fanin: Vec<usize>,
    },
    /// Those that share a row-major position.
    Flat,
    /// Those that hold one of the listed positions of an axis; the other axes are cut alike.
    Take(Arc<Taken>),
}

/// An input of a stage.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// The stage that makes it.
    pub stage: StageIdx,
    /// Which of its chunks.
    pub map: InputMap,
}

/// One operation over all chunks of its grid.
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// What its tasks do.
    pub kind: StageKind,
    /// One task a chunk. For reductions this is the space that is folded, not the result's.
    pub grid: Grid,
    /// The grid that consumers see: `grid` without the folded axes.
    pub out_grid: Grid,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// The dtypes of the result's planes, one but for partial states.
    pub planes: Vec<DType>,
}

/// A lowered program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The stages; inputs come first.
    pub stages: Vec<Stage>,
    /// The stage of each output, in the program's order.
    pub outputs: Vec<StageIdx>,
    /// For each stage, who reads it: (consumer, position in the consumer's inputs).
    pub consumers: Vec<Vec<(StageIdx, usize)>>,
}
