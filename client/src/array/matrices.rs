//! Diagonals and triangles of matrices, by comparing row and column numbers.
//!
//! Must not know products.

use super::{Array, chunks_of, scalar};
use crate::error::{Result, or_panic};
use ndarray::{Dimension, Ix1, Ix2};
use num_traits::Zero;
use tilework_expr::{BinaryOp, Element, Expr, Grid};

impl<A: Element + Zero> Array<A, Ix2> {
    /// The matrix with these elements on its diagonal and zeros elsewhere, in the vector's chunks along both
    /// axes.
    ///
    /// # Panics
    /// Where [`Array::try_from_diag`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_diag(diag: &Array<A, Ix1>) -> Self {
        or_panic(Self::try_from_diag(diag))
    }

    /// [`Array::from_diag`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is too large.
    pub fn try_from_diag(diag: &Array<A, Ix1>) -> Result<Self> {
        let [rows, columns] = positions(&diag.expr.grid().select(&[0, 0]))?;
        let on_diagonal = rows.binary(BinaryOp::Eq, &columns)?;
        Self::wrapped(on_diagonal.select(&diag.expr, &scalar(A::zero())?))
    }
}

/// # Triangles
impl<A: Element + Zero, D: Dimension> Array<A, D> {
    /// The upper triangle of each matrix of the last two axes, from the `k`-th diagonal on (0 is the main
    /// one, 1 the one above), with zeros below. Arrays of fewer than two dimensions stay.
    #[must_use]
    #[track_caller]
    pub fn triu(&self, k: isize) -> Self {
        or_panic(self.triangle(BinaryOp::Ge, k))
    }

    /// The lower triangle of each matrix of the last two axes, up to the `k`-th diagonal (0 is the main one,
    /// -1 the one below), with zeros above. Arrays of fewer than two dimensions stay.
    #[must_use]
    #[track_caller]
    pub fn tril(&self, k: isize) -> Self {
        or_panic(self.triangle(BinaryOp::Le, k))
    }

    /// The elements whose column number compares so with `k` more than their row number, zeros elsewhere.
    fn triangle(&self, side: BinaryOp, k: isize) -> Result<Self> {
        let n = self.ndim();
        if n <= 1 {
            return Ok(self.clone());
        }
        let matrix = self.expr.grid().select(&[n - 2, n - 1]);
        let lens = matrix.shape();
        // Beyond the corners all diagonals are alike; so the sum below cannot overflow.
        let k = k.clamp(-(lens[0] as isize), lens[1] as isize) as i64;
        let [rows, columns] = positions(&matrix)?;
        let kept = columns.binary(side, &rows.binary(BinaryOp::Add, &scalar(k)?)?)?;
        Self::wrapped(kept.select(&self.expr, &scalar(A::zero())?))
    }
}

/// The row and the column number of each element of a matrix.
fn positions(grid: &Grid) -> Result<[Expr; 2]> {
    let (shape, chunks) = (grid.shape(), chunks_of(grid));
    Ok([Expr::index(&shape, &chunks, 0)?, Expr::index(&shape, &chunks, 1)?])
}
