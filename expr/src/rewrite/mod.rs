//! From program to plan: which nodes get a stage of their own, and the fused program of each stage.
//!
//! Elementwise chains, sources, views and new chunkings are evaluated inside the stage that uses them; slices are
//! thereby pushed down to what is sliced. Unused nodes never appear and equal nodes are shared. All of it takes time in
//! proportion to nodes and edges (times a logarithm), and no function calls itself for each node of a chain.
//!
//! Knows programs and plans. Must not know workers or time.

mod emit;
mod fuse;
mod sizes;
mod stages;
mod views;

use crate::error::ExprError;
use crate::lowered::Lowered;
use crate::op::Op;
use crate::program::{NodeIdx, Program};
use emit::Emitter;
use stages::Stages;

impl Lowered {
    /// Lowers a program.
    ///
    /// # Errors
    /// If the program is not well formed: inputs out of order, shapes or dtypes that do not fit the operations.
    pub fn of(program: &Program) -> Result<Lowered, ExprError> {
        program.check()?;
        let program = &program.shared();
        let stages = Stages::choose(program);
        let staged: Vec<NodeIdx> =
            (0..program.nodes.len() as u32).map(NodeIdx).filter(|i| stages.is_stage(*i)).collect();
        let mut emitter = Emitter::new(program, stages);
        staged.into_iter().for_each(|i| emitter.emit(i));
        Ok(emitter.finish())
    }
}

/// Whether a node is evaluated within the stage that uses it, unless it is given one of its own.
fn is_inline(op: &Op) -> bool {
    matches!(
        op,
        Op::Full(_)
            | Op::Index { .. }
            | Op::Random { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Cast
            | Op::Select
            | Op::Apply(_)
            | Op::View(_)
            | Op::Rechunk
    )
}

/// Whether a stage of this operation evaluates its inputs itself (else they must be stages, seen through views at most).
fn evaluates_inputs(op: &Op) -> bool {
    is_inline(op) || matches!(op, Op::Reduce { .. } | Op::Reshape)
}
