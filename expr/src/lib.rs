//! Internal to tilework: what an array program means: dtypes, shapes, chunk grids, the shared graph that a client
//! builds, the inference that finds its errors, the rewriting that fuses it into stages, and the functions that lower
//! one task at a time.
//!
//! Pure: no I/O, no clock, no randomness, no runtime.

mod build;
mod check;
mod chunks;
mod deps;
mod describe;
mod dtype;
mod error;
mod fused;
mod graph;
mod grid;
mod kernel;
mod memory;
mod narrow;
mod need;
mod op;
mod plan;
mod program;
pub mod quantities;
mod readers;
mod rewrite;
mod runs;
mod share;
mod stored;
mod take;
mod task;
mod view;

pub use build::SliceArg;
pub use check::{EDGES_MAX, NDIM_MAX, NODES_MAX, checked_bytes};
pub use chunks::{AUTO_CHUNK_BYTES, AxisChunks, Chunks};
pub use deps::flat_range;
pub use dtype::{DType, Element, Scalar};
pub use error::ExprError;
pub use fused::{Def, Fused, Value, ValueIdx};
pub use graph::{Attachment, Expr};
pub use grid::{AxisGrid, ChunkIdx, Grid, Region, region_len, region_shape};
pub use kernel::{ARGUMENTS_MAX, Boundary, Halo, Kernel, PARAMS_BYTES_MAX};
pub use need::Need;
pub use num_complex::Complex;
pub use op::{BinaryOp, Dist, FileKind, FileRef, Fold, Op, UnaryOp};
pub use plan::{CONTRACT_PIECE_MIN, Input, InputMap, Plan, Stage, StageKind};
pub use program::{Node, NodeIdx, Program};
pub use runs::{is_run_grid, run_grid, run_grid_like};
pub use stored::{GAP_BYTES_MAX, Reading, Steps, Stored};
pub use take::Taken;
pub use task::{
    Figures, Holding, Instruction, JobError, JobId, LeaseId, Report, StageIdx, TaskError, TaskKey, TaskRange,
    Update, WorkerId,
};
pub use view::{AxisMap, View, chunks_read, outputs_within};
