//! Elementwise operations, with ndarray's broadcasting.

use crate::chunks::bounded_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::op::{BinaryOp, Op, UnaryOp};
use tilework_plan::{AxisGrid, Grid, View};

impl Expr {
    /// A function of each element.
    ///
    /// # Errors
    /// [`ExprError::Undefined`] where the dtype does not have it.
    pub fn unary(&self, op: UnaryOp) -> Result<Expr, ExprError> {
        let dtype = op
            .result(self.dtype())
            .ok_or(ExprError::Undefined { op: op.to_string(), dtype: self.dtype() })?;
        Expr::make(Op::Unary(op), vec![self.clone()], self.grid().clone(), dtype)
    }

    /// A function of each pair of elements, broadcasting both operands to their common shape.
    ///
    /// # Errors
    /// [`ExprError::Broadcast`], [`ExprError::MixedDTypes`], [`ExprError::Undefined`].
    pub fn binary(&self, op: BinaryOp, other: &Expr) -> Result<Expr, ExprError> {
        let (left, right) = (self.dtype(), other.dtype());
        if left != right {
            return Err(ExprError::MixedDTypes { op: op.to_string(), left, right });
        }
        let dtype = op.result(left).ok_or(ExprError::Undefined { op: op.to_string(), dtype: left })?;
        let (inputs, grid) = together(&[self, other])?;
        Expr::make(Op::Binary(op), inputs, grid, dtype)
    }

    /// The elements converted to `dtype` by Rust's `as` (to bool: unequal zero; real to complex: imaginary part 0).
    ///
    /// # Errors
    /// [`ExprError::Undefined`] from complex to real: take `re` or `norm`.
    pub fn cast(&self, dtype: DType) -> Result<Expr, ExprError> {
        if dtype == self.dtype() {
            return Ok(self.clone());
        }
        if self.dtype().is_complex() && !dtype.is_complex() {
            return Err(ExprError::Undefined { op: format!("conversion to {dtype}"), dtype: self.dtype() });
        }
        let grid = bounded_grid(self.grid().clone(), dtype, &[self]);
        Expr::make(Op::Cast, vec![self.clone()], grid, dtype)
    }

    /// Elements of `yes` where this is true, else of `no`; all three broadcast.
    ///
    /// # Errors
    /// [`ExprError::Broadcast`], [`ExprError::MixedDTypes`]; [`ExprError::Undefined`] where this is not `bool`.
    pub fn select(&self, yes: &Expr, no: &Expr) -> Result<Expr, ExprError> {
        if self.dtype() != DType::Bool {
            return Err(ExprError::Undefined { op: "a condition".into(), dtype: self.dtype() });
        }
        if yes.dtype() != no.dtype() {
            return Err(ExprError::MixedDTypes { op: "select".into(), left: yes.dtype(), right: no.dtype() });
        }
        let (inputs, grid) = together(&[self, yes, no])?;
        Expr::make(Op::Select, inputs, grid, yes.dtype())
    }

    /// The array repeated to `shape` by ndarray's rules.
    ///
    /// # Errors
    /// [`ExprError::BroadcastTo`].
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Expr, ExprError> {
        let from = self.shape();
        let fits = from.len() <= shape.len()
            && from.iter().rev().zip(shape.iter().rev()).all(|(&f, &t)| f == t || f == 1);
        if !fits {
            return Err(ExprError::BroadcastTo { from, to: shape.to_vec() });
        }
        let shift = shape.len() - from.len();
        let axes = shape.iter().enumerate().map(|(a, &l)| match a.checked_sub(shift) {
            Some(f) if from[f] == l => self.grid().axes()[f].clone(),
            _ => AxisGrid::whole(l),
        });
        self.broadcast_on(&bounded_grid(Grid::new(axes.collect()), self.dtype(), &[self]))
    }

    fn broadcast_on(&self, grid: &Grid) -> Result<Expr, ExprError> {
        let (from, to) = (self.shape(), grid.shape());
        if from == to {
            return Ok(self.clone());
        }
        Expr::make(Op::View(View::broadcast(&from, &to)), vec![self.clone()], grid.clone(), self.dtype())
    }
}

/// Broadcasts the operands to their common shape; the grid is theirs where they agree, else, along each axis, that
/// of the operand with the most elements which has the axis.
pub(super) fn together(operands: &[&Expr]) -> Result<(Vec<Expr>, Grid), ExprError> {
    let mut shape: Vec<usize> = operands[0].shape();
    for o in &operands[1..] {
        shape = broadcast_shapes(&shape, &o.shape())?;
    }
    let mut by_size: Vec<&&Expr> = operands.iter().collect();
    by_size.sort_by_key(|e| std::cmp::Reverse(e.len()));
    let axis_grid = |a: usize| {
        let of = |e: &Expr| {
            let own = (a + e.ndim()).checked_sub(shape.len())?;
            Some(e.grid().axes()[own].clone()).filter(|g| g.len() == shape[a])
        };
        by_size.iter().find_map(|e| of(e)).unwrap_or_else(|| AxisGrid::whole(shape[a]))
    };
    let natural = Grid::new((0..shape.len()).map(axis_grid).collect());
    let widest = operands.iter().map(|e| e.dtype()).max_by_key(|d| d.size()).unwrap_or(DType::F64);
    let grid = bounded_grid(natural, widest, operands);
    let inputs = operands.iter().map(|e| e.broadcast_on(&grid)).collect::<Result<Vec<_>, _>>()?;
    Ok((inputs, grid))
}

/// The shape that two shapes broadcast to.
fn broadcast_shapes(left: &[usize], right: &[usize]) -> Result<Vec<usize>, ExprError> {
    let error = || ExprError::Broadcast { left: left.to_vec(), right: right.to_vec() };
    let n = left.len().max(right.len());
    let at = |s: &[usize], a: usize| (a + s.len()).checked_sub(n).map_or(1, |i| s[i]);
    (0..n)
        .map(|a| match (at(left, a), at(right, a)) {
            (l, r) if l == r || r == 1 => Ok(l),
            (1, r) => Ok(r),
            _ => Err(error()),
        })
        .collect()
}
