//! Norms of vectors and matrices.
//!
//! Those that singular values make are of matrices alone, and need the feature `linalg`. All others are fused elementwise work
//! and the reductions that there are.

use super::super::{axis_of, number};
use super::Field;
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array0, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Ix2, RemoveAxis};
use tilework_expr::{BinaryOp, Expr, ExprError, Fold, UnaryOp};

/// A norm of vectors, by NumPy's `ord`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Norm {
    /// How many elements are not 0: `ord=0`.
    Zero,
    /// The sum of the absolute values.
    L1,
    /// The square root of the sum of squares.
    L2,
    /// The p-th root of the sum of p-th powers.
    P(f64),
    /// The greatest absolute value: `ord=inf`.
    Max,
    /// The least absolute value: `ord=-inf`.
    Min,
}

/// A norm of matrices, by NumPy's `ord`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MatrixNorm {
    /// The square root of the sum of squares: `'fro'`.
    Frobenius,
    /// The greatest sum of absolute values of a column: `1`.
    One,
    /// The same of a row: `inf`.
    Inf,
    /// The least sum of absolute values of a column: `-1`.
    MinOne,
    /// The same of a row: `-inf`.
    MinInf,
    /// The greatest singular value: `2`.
    #[cfg(feature = "linalg")]
    Two,
    /// The least singular value: `-2`.
    #[cfg(feature = "linalg")]
    MinTwo,
    /// The sum of the singular values: `'nuc'`.
    #[cfg(feature = "linalg")]
    Nuclear,
}

/// Absolute values.
fn absolute(expr: &Expr) -> Result<Expr> {
    Ok(expr.unary(if expr.dtype().is_complex() { UnaryOp::Norm } else { UnaryOp::Abs })?)
}

fn sum_of_squares(expr: &Expr, axes: &[usize]) -> Result<Expr> {
    let squares = |part: &Expr| part.unary(UnaryOp::Square);
    let all = match expr.dtype().is_complex() {
        true => {
            squares(&expr.unary(UnaryOp::Re)?)?.binary(BinaryOp::Add, &squares(&expr.unary(UnaryOp::Im)?)?)?
        }
        false => squares(expr)?,
    };
    Ok(all.reduce(Fold::Sum, axes)?)
}

impl Norm {
    fn over(self, expr: &Expr, axes: &[usize]) -> Result<Expr> {
        let sum = |e: &Expr| -> Result<Expr> { Ok(e.reduce(Fold::Sum, axes)?) };
        let power =
            |e: &Expr, p: f64| -> Result<Expr> { Ok(e.binary(BinaryOp::Pow, &number(e.dtype(), p)?)?) };
        let size = || absolute(expr);
        match self {
            Norm::P(p) if p.is_nan() || p <= 0.0 || p.is_infinite() => {
                let (what, got) = ("the order of a norm", p.to_string());
                Err(ExprError::Parameter { what, got, expected: "a finite number above 0" }.into())
            }
            Norm::L2 => Ok(sum_of_squares(expr, axes)?.unary(UnaryOp::Sqrt)?),
            Norm::L1 => sum(&size()?),
            Norm::P(p) => power(&sum(&power(&size()?, p)?)?, 1.0 / p),
            Norm::Zero => {
                let size = size()?;
                let is_some = size.binary(BinaryOp::Ne, &number(size.dtype(), 0.0)?)?;
                sum(&is_some.cast(size.dtype())?)
            }
            Norm::Max => Ok(size()?.reduce(Fold::Max, axes)?),
            Norm::Min => Ok(size()?.reduce(Fold::Min, axes)?),
        }
    }
}

impl MatrixNorm {
    fn of(self, expr: &Expr) -> Result<Expr> {
        let sums = |along: usize, then: Fold| -> Result<Expr> {
            Ok(absolute(expr)?.reduce(Fold::Sum, &[along])?.reduce(then, &[0])?)
        };
        match self {
            MatrixNorm::Frobenius => Norm::L2.over(expr, &[0, 1]),
            MatrixNorm::One => sums(0, Fold::Max),
            MatrixNorm::Inf => sums(1, Fold::Max),
            MatrixNorm::MinOne => sums(0, Fold::Min),
            MatrixNorm::MinInf => sums(1, Fold::Min),
            #[cfg(feature = "linalg")]
            MatrixNorm::Two => Ok(super::svd::values(expr)?.reduce(Fold::Max, &[0])?),
            #[cfg(feature = "linalg")]
            MatrixNorm::MinTwo => Ok(super::svd::values(expr)?.reduce(Fold::Min, &[0])?),
            #[cfg(feature = "linalg")]
            MatrixNorm::Nuclear => Ok(super::svd::values(expr)?.reduce(Fold::Sum, &[0])?),
        }
    }
}

on_arrays!({ A: Field } {
    /// A norm of all elements as one vector: a lazy array without dimensions.
    ///
    /// ```
    /// use tilework::linalg::Norm;
    /// use tilework::prelude::*;
    ///
    /// let x = arr1(&[3.0, -4.0]);
    /// assert_eq!(x.vector_norm(Norm::L2).sum(), 5.0);
    /// assert_eq!(x.vector_norm(Norm::Max).sum(), 4.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_vector_norm`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn vector_norm(&self, norm: Norm) -> Array0<A::Real> {
        or_panic(self.try_vector_norm(norm))
    }

    /// [`Array::vector_norm`] that returns what goes wrong.
    ///
    /// # Errors
    /// An order that is not above 0 or not finite; of [`Norm::Max`] and [`Norm::Min`], no elements.
    pub fn try_vector_norm(&self, norm: Norm) -> Result<Array0<A::Real>> {
        let expr = self.leaf()?;
        let axes: Vec<usize> = (0..expr.ndim()).collect();
        Ok(Array::of_expr(norm.over(&expr, &axes)?))
    }

    /// The norms of the vectors along an axis: a lazy array without the axis.
    ///
    /// # Panics
    /// Where [`Array::try_vector_norm_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn vector_norm_axis(&self, axis: Axis, norm: Norm) -> Array<A::Real, D::Smaller>
    where
        D: RemoveAxis,
    {
        or_panic(self.try_vector_norm_axis(axis, norm))
    }

    /// [`Array::vector_norm_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; as [`Array::try_vector_norm`].
    pub fn try_vector_norm_axis(&self, axis: Axis, norm: Norm) -> Result<Array<A::Real, D::Smaller>>
    where
        D: RemoveAxis,
    {
        let expr = self.leaf()?;
        Ok(Array::of_expr(norm.over(&expr, &[axis_of(&expr, axis)?])?))
    }
});

impl<A: Field, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// A norm of a matrix: a lazy array without dimensions.
    ///
    /// ```
    /// use tilework::linalg::MatrixNorm;
    /// use tilework::prelude::*;
    ///
    /// let x = arr2(&[[1.0, -7.0], [2.0, 3.0]]);
    /// assert_eq!(x.matrix_norm(MatrixNorm::One).sum(), 10.0);
    /// assert_eq!(x.matrix_norm(MatrixNorm::Inf).sum(), 8.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_matrix_norm`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn matrix_norm(&self, norm: MatrixNorm) -> Array0<A::Real> {
        or_panic(self.try_matrix_norm(norm))
    }

    /// [`Array::matrix_norm`] that returns what goes wrong.
    ///
    /// # Errors
    /// No elements, but for [`MatrixNorm::Frobenius`], which is 0 then.
    pub fn try_matrix_norm(&self, norm: MatrixNorm) -> Result<Array0<A::Real>> {
        Ok(Array::of_expr(norm.of(&self.leaf()?)?))
    }
}
