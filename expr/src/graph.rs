//! The graph that a client builds: immutable expressions that share their inputs, checked as they are built.
//!
//! Knows shapes, grids and dtypes. Must not know values, sessions or where anything runs.

use crate::check::checked_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::op::Op;
use crate::program::{Node, NodeIdx, Program};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tilework_plan::{AxisGrid, Grid};

/// One array expression. Cheap to clone; clones are the same expression.
#[derive(Clone)]
pub struct Expr(pub(crate) Arc<ExprNode>);

pub(crate) struct ExprNode {
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Expr>,
    pub(crate) grid: Grid,
    pub(crate) dtype: DType,
    pub(crate) attachment: Option<Attachment>,
}

/// Something of the client's that lives as long as a source does: a literal's data, the guard of a held result, what
/// can take the place of a function of the index.
pub type Attachment = Arc<dyn Any + Send + Sync>;

impl Drop for ExprNode {
    /// Takes long chains apart one by one: the default would recurse as deep as the chain is long.
    fn drop(&mut self) {
        let mut left = std::mem::take(&mut self.inputs);
        while let Some(Expr(node)) = left.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                left.append(&mut node.inputs);
            }
        }
    }
}

impl Expr {
    pub(crate) fn make(op: Op, inputs: Vec<Expr>, grid: Grid, dtype: DType) -> Result<Expr, ExprError> {
        checked_grid(&grid, dtype)?;
        Ok(Expr(Arc::new(ExprNode { op, inputs, grid, dtype, attachment: None })))
    }

    pub(crate) fn source(
        op: Op,
        grid: Grid,
        dtype: DType,
        attachment: Attachment,
    ) -> Result<Expr, ExprError> {
        checked_grid(&grid, dtype)?;
        Ok(Expr(Arc::new(ExprNode { op, inputs: Vec::new(), grid, dtype, attachment: Some(attachment) })))
    }

    /// The same expression with something of the client's tied to it.
    pub(crate) fn with(self, attachment: Attachment) -> Expr {
        let ExprNode { op, inputs, grid, dtype, .. } = &*self.0;
        let (op, inputs, grid) = (op.clone(), inputs.clone(), grid.clone());
        Expr(Arc::new(ExprNode { op, inputs, grid, dtype: *dtype, attachment: Some(attachment) }))
    }

    /// What the client tied to this source: to a literal, a held result, a function of the index.
    #[must_use]
    pub fn attachment(&self) -> Option<&Attachment> {
        self.0.attachment.as_ref()
    }

    /// Calls `f` once for every expression that `outputs` are made of, inputs first.
    pub fn visit(outputs: &[Expr], mut f: impl FnMut(&Expr)) {
        let mut seen = BTreeSet::new();
        let mut stack: Vec<(&Expr, bool)> = outputs.iter().rev().map(|e| (e, false)).collect();
        while let Some((expr, inputs_done)) = stack.pop() {
            if seen.contains(&expr.key()) {
                continue;
            }
            if inputs_done {
                seen.insert(expr.key());
                f(expr);
            } else {
                stack.push((expr, true));
                stack.extend(expr.parts().iter().rev().map(|&i| (i, false)));
            }
        }
    }

    /// The operation that makes it.
    #[must_use]
    pub fn op(&self) -> &Op {
        &self.0.op
    }

    /// What it is made of.
    #[must_use]
    pub fn inputs(&self) -> &[Expr] {
        &self.0.inputs
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.0.grid.shape()
    }

    /// Its chunks.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.0.grid
    }

    /// Its dtype.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// Number of dimensions.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.0.grid.ndim()
    }

    /// Elements in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What tells it from all others that live at the same time.
    #[must_use]
    pub fn address(&self) -> usize {
        self.key()
    }

    /// Whether both are the same expression (not merely equal ones).
    #[must_use]
    pub fn same(&self, other: &Expr) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What it is made of; of a concatenation, groups of its parts stand for the parts.
    fn parts(&self) -> Vec<&Expr> {
        let mut parts: Vec<&Expr> = self.0.inputs.iter().collect();
        if let Op::Concat { .. } = self.0.op {
            let is_group = |e: &Expr| e.0.op == self.0.op;
            while parts.iter().any(|e| is_group(e)) {
                let apart = |e| if is_group(e) { e.0.inputs.iter() } else { std::slice::from_ref(e).iter() };
                parts = parts.into_iter().flat_map(apart).collect();
            }
        }
        parts
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl std::fmt::Debug for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expr({:?}, shape {:?}, {})", self.0.op, self.shape(), self.0.dtype)
    }
}

impl Program {
    /// The program that computes `outputs`; what they share occurs once.
    #[must_use]
    pub fn new(outputs: &[Expr]) -> Program {
        Program::replacing(outputs, |_| None)
    }

    /// The program that computes `outputs`, with sources in place of the expressions for which `replace` gives one.
    #[must_use]
    pub fn replacing(outputs: &[Expr], mut replace: impl FnMut(&Expr) -> Option<Op>) -> Program {
        let mut program = Program::default();
        let mut at: BTreeMap<usize, NodeIdx> = BTreeMap::new();
        Expr::visit(outputs, |expr| {
            let (grid, dtype) = (expr.0.grid.clone(), expr.0.dtype);
            let (op, inputs) = match replace(expr) {
                Some(source) => (source, Vec::new()),
                None => (expr.0.op.clone(), expr.parts().iter().map(|i| at[&i.key()]).collect()),
            };
            match op {
                Op::Concat { axis } => {
                    let of_parts = program.grid_of_parts(axis, &inputs, &grid);
                    let last = program.push(Node { op, inputs, grid: of_parts.clone(), dtype });
                    if of_parts != grid {
                        program.push(Node { op: Op::Rechunk, inputs: vec![last], grid, dtype });
                    }
                }
                _ => _ = program.push(Node { op, inputs, grid, dtype }),
            }
            at.insert(expr.key(), NodeIdx(program.nodes.len() as u32 - 1));
        });
        program.outputs = outputs.iter().map(|o| at[&o.key()]).collect();
        program
    }

    fn push(&mut self, node: Node) -> NodeIdx {
        self.nodes.push(node);
        NodeIdx(self.nodes.len() as u32 - 1)
    }

    /// The grid of a concatenation whose chunks are those of its parts; the other axes are cut as in `like`.
    fn grid_of_parts(&self, axis: usize, parts: &[NodeIdx], like: &Grid) -> Grid {
        let lens = parts.iter().flat_map(|&i| self.node(i).grid.axes()[axis].chunk_lens());
        let lens: Vec<usize> = lens.filter(|&l| l > 0).collect();
        let mut axes = like.axes().to_vec();
        axes[axis] = if lens.is_empty() { AxisGrid::whole(0) } else { AxisGrid::explicit(&lens) };
        Grid::new(axes)
    }
}
