//! Diagonals and triangles of matrices, by comparing row and column numbers.
//!
//! Must not know products.

use super::kind::source::Source;
use super::kinds::on_all;
use super::operand::scalar;
use super::{Array, ArrayBase, DataOwned, chunks_of, lazily};
use crate::error::Result;
use ndarray::{Ix1, Ix2};
use num_traits::Zero;
use tilework_expr::{BinaryOp, Element, Expr};
use tilework_plan::Grid;

impl<A, S: DataOwned<Elem = A>> ArrayBase<S, Ix2, A> {
    /// The matrix with these elements on its diagonal and zeros elsewhere; lazily in the vector's chunks along both
    /// axes.
    ///
    /// # Panics
    /// At a matrix that is too large.
    #[must_use]
    #[track_caller]
    pub fn from_diag(diag: &(impl Source<A, Ix1> + ?Sized)) -> Self
    where
        A: Clone + Zero,
    {
        let n = diag.lens()[0];
        let large = n.saturating_mul(n).saturating_mul(size_of::<A>()) > super::eager_bytes_max();
        let eager = |d: &ndarray::ArrayRef<A, Ix1>| ndarray::Array2::from_diag(&d.view());
        if S::IS_DESCRIBED && large && !diag.wants_lazy() && super::kind::choice::dtype_of::<A>().is_some() {
            let expr = diag.leaf().and_then(|e| on_diagonal(&e, &A::zero()));
            return S::of_owned(Array::of_expr(crate::error::or_panic(expr)));
        }
        S::of_owned(lazily::array(diag, |expr| on_diagonal(expr, &A::zero()), eager))
    }
}

impl<A: Element + Zero> Array<A, Ix2> {
    /// [`Array::from_diag`] that returns what goes wrong, lazily.
    ///
    /// # Errors
    /// A matrix that is too large.
    pub fn try_from_diag(diag: &Array<A, Ix1>) -> Result<Self> {
        Ok(Self::of_expr(on_diagonal(&diag.leaf()?, &A::zero())?))
    }
}

fn on_diagonal<A>(diag: &Expr, zero: &A) -> Result<Expr> {
    let [rows, columns] = positions(&diag.grid().select(&[0, 0]))?;
    let on_diagonal = rows.binary(BinaryOp::Eq, &columns)?;
    Ok(on_diagonal.select(diag, &scalar(zero)?)?)
}

on_all!({ A } {
    /// The upper triangle of each matrix of the last two axes, from the `k`-th diagonal on (0 is the main
    /// one, 1 the one above), with zeros below. Arrays of fewer than two dimensions stay.
    #[must_use]
    #[track_caller]
    pub fn triu(&self, k: isize) -> Array<A, D>
    where
        A: Clone + Zero,
    {
        lazily::array(self, |expr| triangle(expr, BinaryOp::Ge, k, &A::zero()), |a| a.triu(k))
    }

    /// The lower triangle of each matrix of the last two axes, up to the `k`-th diagonal (0 is the main one,
    /// -1 the one below), with zeros above. Arrays of fewer than two dimensions stay.
    #[must_use]
    #[track_caller]
    pub fn tril(&self, k: isize) -> Array<A, D>
    where
        A: Clone + Zero,
    {
        lazily::array(self, |expr| triangle(expr, BinaryOp::Le, k, &A::zero()), |a| a.tril(k))
    }
});

/// The elements whose column number compares so with `k` more than their row number, zeros elsewhere.
fn triangle<A>(expr: &Expr, side: BinaryOp, k: isize, zero: &A) -> Result<Expr> {
    let n = expr.ndim();
    if n <= 1 {
        return Ok(expr.clone());
    }
    let matrix = expr.grid().select(&[n - 2, n - 1]);
    let lens = matrix.shape();
    // Beyond the corners all diagonals are alike; so the sum below cannot overflow.
    let k = k.clamp(-(lens[0] as isize), lens[1] as isize) as i64;
    let [rows, columns] = positions(&matrix)?;
    let kept = columns.binary(side, &rows.binary(BinaryOp::Add, &scalar(&k)?)?)?;
    Ok(kept.select(expr, &scalar(zero)?)?)
}

/// The row and the column number of each element of a matrix.
fn positions(grid: &Grid) -> Result<[Expr; 2]> {
    let (shape, chunks) = (grid.shape(), chunks_of(grid));
    Ok([Expr::index(&shape, &chunks, 0)?, Expr::index(&shape, &chunks, 1)?])
}
