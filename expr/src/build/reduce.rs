//! Reductions and the matrix product.

use crate::chunks::bounded_grid;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::Expr;
use crate::op::{BinaryOp, Fold, Op};
use tilework_plan::Grid;

impl Expr {
    /// A fold over `axes` (in any order), which the result does not have.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`], [`ExprError::Axes`] for an axis given twice, [`ExprError::Undefined`] where the
    /// dtype does not have the fold, [`ExprError::NoElements`] for the least, greatest or mean of nothing,
    /// [`ExprError::Parameter`] for a negative or NaN ddof.
    pub fn reduce(&self, fold: Fold, axes: &[usize]) -> Result<Expr, ExprError> {
        let ndim = self.ndim();
        if let Some(&axis) = axes.iter().find(|&&a| a >= ndim) {
            return Err(ExprError::AxisOutOfRange { axis, ndim });
        }
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted.windows(2).any(|w| w[0] == w[1]) {
            return Err(ExprError::Axes { axes: axes.to_vec(), ndim, expected: "each axis at most once" });
        }
        if let Some(ddof) = fold.ddof()
            && (ddof.is_nan() || ddof < 0.0)
        {
            return Err(ExprError::Parameter {
                what: "ddof",
                got: ddof.to_string(),
                expected: "a number of at least 0",
            });
        }
        let undefined = ExprError::Undefined { op: fold_name(fold).into(), dtype: self.dtype() };
        let dtype = fold.result(self.dtype()).ok_or(undefined)?;
        let shape = self.shape();
        if fold.needs_elements() && sorted.iter().any(|&a| shape[a] == 0) {
            return Err(ExprError::NoElements { fold: fold_name(fold).into(), shape, axes: sorted });
        }
        let kept: Vec<usize> = (0..ndim).filter(|a| !sorted.contains(a)).collect();
        let grid = self.grid().select(&kept);
        Expr::make(Op::Reduce { fold, axes: sorted }, vec![self.clone()], grid, dtype)
    }

    /// A fold over all axes; the result has no dimensions.
    ///
    /// # Errors
    /// As [`Expr::reduce`].
    pub fn reduce_all(&self, fold: Fold) -> Result<Expr, ExprError> {
        self.reduce(fold, &(0..self.ndim()).collect::<Vec<_>>())
    }

    /// ndarray's `dot`: matrix product of two matrices, of a matrix and a vector in either order, inner product of
    /// two vectors.
    ///
    /// # Errors
    /// [`ExprError::MatMul`] where the inner lengths differ or an operand has no or more than 2 dimensions,
    /// [`ExprError::MixedDTypes`], [`ExprError::Undefined`] for bool.
    pub fn dot(&self, other: &Expr) -> Result<Expr, ExprError> {
        let (left, right) = (self.shape(), other.shape());
        let error = || ExprError::MatMul { left: left.clone(), right: right.clone() };
        if self.dtype() != other.dtype() {
            return Err(ExprError::MixedDTypes {
                op: "dot".into(),
                left: self.dtype(),
                right: other.dtype(),
            });
        }
        if self.dtype() == DType::Bool {
            return Err(ExprError::Undefined { op: "dot".into(), dtype: DType::Bool });
        }
        let inner = (left.last(), right.first());
        if left.is_empty() || right.is_empty() || left.len() > 2 || right.len() > 2 || inner.0 != inner.1 {
            return Err(error());
        }
        match (left.len(), right.len()) {
            (2, 2) => {
                let grid = Grid::new(vec![self.grid().axes()[0].clone(), other.grid().axes()[1].clone()]);
                let grid = bounded_grid(grid, self.dtype(), &[self, other]);
                let [rows, columns] = [0, 1].map(|a| grid.axes()[a].clone());
                let left = self.on_grid(Grid::new(vec![rows, self.grid().axes()[1].clone()]))?;
                let right = other.on_grid(Grid::new(vec![other.grid().axes()[0].clone(), columns]))?;
                Expr::make(Op::MatMul, vec![left, right], grid, self.dtype())
            }
            (_, 1) => self.binary(BinaryOp::Mul, other)?.reduce(Fold::Sum, &[left.len() - 1]),
            _ => self.insert_axis(1)?.binary(BinaryOp::Mul, other)?.reduce(Fold::Sum, &[0]),
        }
    }
}

fn fold_name(fold: Fold) -> &'static str {
    match fold {
        Fold::Sum => "sum",
        Fold::Prod => "product",
        Fold::Min => "min",
        Fold::Max => "max",
        Fold::Any => "any",
        Fold::All => "all",
        Fold::Mean => "mean",
        Fold::Var { .. } => "var",
        Fold::Std { .. } => "std",
        Fold::NanMean => "nanmean",
        Fold::NanVar { .. } => "nanvar",
        Fold::NanStd { .. } => "nanstd",
        Fold::ArgMin => "argmin",
        Fold::ArgMax => "argmax",
    }
}
