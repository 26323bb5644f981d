//! Equal nodes of a program made one.
//!
//! Knows when nodes are equal. Must not know what they do.

use crate::dtype::DType;
use crate::op::Op;
use crate::program::{Node, NodeIdx, Program};
use std::collections::HashMap;
use tilework_plan::AxisGrid;

/// What tells one node from another; axes by their numbers.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    op: &'a Op,
    inputs: Vec<NodeIdx>,
    axes: Vec<u32>,
    dtype: DType,
}

/// The distinct axes of a program. Most nodes have the axes of their inputs: those are told by where their bounds lie,
/// however many there are.
#[derive(Default)]
struct Axes<'a> {
    by_place: HashMap<*const usize, u32>,
    by_value: HashMap<&'a AxisGrid, u32>,
}

impl<'a> Axes<'a> {
    fn number(&mut self, axis: &'a AxisGrid) -> u32 {
        let next = self.by_value.len() as u32;
        match axis {
            AxisGrid::Regular { .. } => *self.by_value.entry(axis).or_insert(next),
            AxisGrid::Explicit { bounds } => *(self.by_place.entry(bounds.as_ptr()))
                .or_insert_with(|| *self.by_value.entry(axis).or_insert(next)),
        }
    }
}

impl Program {
    /// The same program with equal nodes made one.
    #[must_use]
    pub fn shared(&self) -> Program {
        let mut seen: HashMap<Key, NodeIdx> = HashMap::with_capacity(self.nodes.len());
        let mut axes = Axes::default();
        let mut at: Vec<NodeIdx> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<NodeIdx> = node.inputs.iter().map(|i| at[i.0 as usize]).collect();
            let key = Key {
                op: &node.op,
                inputs: inputs.clone(),
                axes: node.grid.axes().iter().map(|a| axes.number(a)).collect(),
                dtype: node.dtype,
            };
            let next = NodeIdx(nodes.len() as u32);
            // A call may do something that two calls do twice.
            let is_call = matches!(node.op, Op::Calls(_));
            let idx = if is_call { next } else { *seen.entry(key).or_insert(next) };
            if idx == next {
                nodes.push(Node { inputs, ..node.clone() });
            }
            at.push(idx);
        }
        Program { nodes, outputs: self.outputs.iter().map(|o| at[o.0 as usize]).collect() }
    }
}
