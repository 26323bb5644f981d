//! Internal to tilework: what an array program means: dtypes, shapes, the shared graph that a client builds,
//! the inference that finds its errors, and the rewriting that fuses it into the stages of a plan.
//!
//! Pure: no I/O, no clock, no randomness, no runtime.

mod blocks;
mod build;
mod calls;
mod check;
mod chunks;
mod describe;
mod dtype;
mod error;
mod fused;
mod graph;
mod kernel;
mod lowered;
mod narrow;
mod op;
mod program;
mod rewrite;
mod runs;
mod share;
mod table;

pub use blocks::{Along, BlockFunction, Blocks, Front, Gives, Read};
pub use build::SliceArg;
pub use calls::{Calls, VALUE_BYTES_GUESS, Values};
pub use check::{EDGES_MAX, NDIM_MAX, NODES_MAX, checked_bytes};
pub use chunks::{AUTO_CHUNK_BYTES, AxisChunks, Chunks};
pub use dtype::{DType, Element, Scalar};
pub use error::ExprError;
pub use fused::{Def, Fused, Value, ValueIdx};
pub use graph::{Attachment, Expr};
pub use kernel::{
    ARGUMENTS_MAX, Boundary, Halo, Kernel, OWN_PARAMS_BYTES_MAX, OwnFunction, PARAMS_BYTES_MAX,
};
pub use lowered::{Lowered, StageKind, Work};
pub use num_complex::Complex;
pub use op::{BinaryOp, Dist, FileKind, FileRef, Fold, Op, UnaryOp};
pub use program::{Node, NodeIdx, Program};
pub use runs::{is_run_grid, run_grid, run_grid_like};
pub use table::{TableHow, TableRead, TableStage};
