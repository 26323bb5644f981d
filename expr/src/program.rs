//! An array-level program: what a client sends. Its size does not depend on the number of chunks.
//!
//! Knows nodes and their order. Must not know how the operations are carried out.

use crate::dtype::DType;
use crate::op::Op;
use tilework_plan::{AxisGrid, Grid};

/// A node's place in its program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct NodeIdx(pub u32);

/// One array of a program.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    /// How it is made.
    pub op: Op,
    /// What it is made of; each stands earlier in the program.
    pub inputs: Vec<NodeIdx>,
    /// Shape and chunks.
    pub grid: Grid,
    /// Element type.
    pub dtype: DType,
}

/// Nodes in an order in which inputs come first, and those whose values are wanted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Program {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The wanted ones, in the order the client asked for.
    pub outputs: Vec<NodeIdx>,
}

impl Program {
    /// The node at `idx`.
    ///
    /// # Panics
    /// If the program has no such node.
    #[must_use]
    pub fn node(&self, idx: NodeIdx) -> &Node {
        &self.nodes[idx.0 as usize]
    }

    /// What planning it takes time for: operations, their inputs, and chunks whose lengths are listed. No more than `most`
    /// are counted.
    #[must_use]
    pub fn planning_effort(&self, most: usize) -> usize {
        let listed = |axis: &AxisGrid| match axis {
            AxisGrid::Regular { .. } => 0,
            AxisGrid::Explicit { bounds } => bounds.len(),
        };
        let mut effort = 0;
        for node in &self.nodes {
            let called = match &node.op {
                Op::Calls(calls) => calls.len() + calls.args.len(),
                _ => 0,
            };
            effort += 1 + called + node.inputs.len();
            effort += node.grid.axes().iter().map(listed).sum::<usize>();
            if effort >= most {
                return most;
            }
        }
        effort
    }
}
