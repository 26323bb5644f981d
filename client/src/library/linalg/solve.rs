//! Systems of linear equations, and what solving them gives: inverses, determinants, powers, least squares.
//!
//! Knows of which stages they are made. Must not know how a triangle is solved.

use super::factor::lu;
use super::qr::both;
use super::stages::{
    ALL, adjoint, as_it_was, beside, check_square, identity, lens, own, part, real, right_side, rows, step,
    whole,
};
use super::{Field, constant};
use crate::array::{Array, Array0, Array2, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::{Dimension, Ix2, RemoveAxis};
use tilework_expr::{BinaryOp, Expr, Fold, SliceArg, UnaryOp};
use tilework_kernels::library::linalg::Step;
use tilework_plan::Grid;

/// Which triangle of a matrix is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Triangle {
    /// The lower one.
    Lower,
    /// The upper one.
    Upper,
    /// The lower one with ones on its diagonal, whatever stands there.
    UnitLower,
    /// The upper one with ones on its diagonal, whatever stands there.
    UnitUpper,
}

/// The X of T·X = B: chunk of rows by chunk of rows, each of which is then taken from those that are left.
pub(super) fn triangular(t: &Expr, b: &Expr, which: Triangle) -> Result<Expr> {
    let n = check_square("a triangular matrix", t)?;
    if n == 0 || b.is_empty() {
        return Ok(b.clone());
    }
    let lower = matches!(which, Triangle::Lower | Triangle::UnitLower);
    let unit = usize::from(matches!(which, Triangle::UnitLower | Triangle::UnitUpper));
    let cut = t.grid().axes()[0].clone();
    let t = t.on_grid(Grid::new(vec![cut.clone(), cut.clone()]))?;
    let side = b.grid().axes()[1].clone();
    let mut rest = b.on_grid(Grid::new(vec![cut.clone(), side.clone()]))?;
    let mut made = Vec::new();
    let blocks = (0..cut.n_chunks()).map(|i| cut.range(if lower { i } else { cut.n_chunks() - 1 - i }));
    for range in blocks {
        // What is left begins at this block, or ends with it.
        let (here, others) = match lower {
            true => (0..range.len(), range.len()..n - range.start),
            false => (range.clone(), 0..range.start),
        };
        let of = if lower { range.end..n } else { 0..range.start };
        let (corner, block) = (part(&t, range.clone(), range.clone())?, rows(&rest, here)?);
        let grid = [whole(range.len()), side.clone()];
        let inputs = [(&corner, &[ALL; 2][..]), (&block, &[ALL, own(1)])];
        let params = [usize::from(lower), unit, range.start];
        let x = step((Step::SolveTriangle, &params), &inputs, (&grid, &grid))?;
        if !of.is_empty() {
            let (left, column) = (rows(&rest, others)?, part(&t, of, range)?);
            let axes = left.grid().axes().to_vec();
            let inputs = [(&left, &[own(0), own(1)][..]), (&column, &[own(0), ALL]), (&x, &[ALL, own(1)])];
            rest = step((Step::LessProduct, &[]), &inputs, (&axes, &axes))?;
        }
        made.push(x);
    }
    if !lower {
        made.reverse();
    }
    beside(0, &made)
}

/// The X of A·X = B.
pub(super) fn solve(a: &Expr, b: &Expr) -> Result<Expr> {
    let n = check_square("the matrix of a system", a)?;
    if n == 0 || b.is_empty() {
        return Ok(b.clone());
    }
    let made = lu(a, Some(b))?;
    triangular(&made.upper()?, &beside(0, &made.beside)?, Triangle::Upper)
}

pub(super) fn inverse(a: &Expr) -> Result<Expr> {
    check_square("the matrix of an inverse", a)?;
    let mut axes = a.grid().axes().to_vec();
    axes.reverse();
    solve(a, &identity(&Grid::new(axes), a.dtype())?)
}

/// The power of a matrix, by squares.
fn power(a: &Expr, n: i32) -> Result<Expr> {
    check_square("the matrix of a power", a)?;
    let (mut left, mut square) = (n.unsigned_abs(), if n < 0 { inverse(a)? } else { a.clone() });
    let mut made: Option<Expr> = None;
    while left > 0 {
        if left & 1 == 1 {
            made = Some(match made {
                None => square.clone(),
                Some(made) => made.dot(&square)?,
            });
        }
        left >>= 1;
        if left > 0 {
            square = square.dot(&square)?;
        }
    }
    made.map_or_else(|| identity(a.grid(), a.dtype()), Ok)
}

/// One of the three numbers of each block's determinant, folded.
fn of_determinants(a: &Expr, (column, fold, empty): (usize, Fold, f64)) -> Result<Expr> {
    let n = check_square("the matrix of a determinant", a)?;
    if n == 0 {
        return constant(&[], a.dtype(), empty);
    }
    let all = SliceArg::Range { start: 0, end: None, step: 1 };
    let each = lu(a, None)?.determinants()?.slice(&[all, SliceArg::At(column as isize)])?;
    Ok(each.reduce(fold, &[0])?)
}

/// The solution of least squares of a matrix of full rank; where it has more columns than rows the shortest solution.
fn least_squares(a: &Expr, b: &Expr) -> Result<Expr> {
    let (m, n) = lens(a);
    if m.min(n) == 0 {
        return constant(&[n, b.shape()[1]], a.dtype(), 0.0);
    }
    if m >= n {
        let (q, r) = both(a)?;
        return triangular(&r, &adjoint(&q)?.dot(b)?, Triangle::Upper);
    }
    let (q, r) = both(&adjoint(a)?)?;
    Ok(q.dot(&triangular(&adjoint(&r)?, b, Triangle::Lower)?)?)
}

/// What [`Array::lstsq`] finds.
#[derive(Clone, Debug)]
pub struct LeastSquares<X, R> {
    /// The solution: a vector, or a column for each one of the right side.
    pub solution: X,
    /// The sums of squares of what remains: a number, or one for each column.
    pub residuals: R,
}

impl<A: Field, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// The X of T·X = B, lazily, for one of this matrix's triangles as T: of the rest of it nothing is looked at. B is a vector or
    /// a matrix. No task holds more than a few chunks.
    ///
    /// ```
    /// use tilework::linalg::Triangle;
    /// use tilework::prelude::*;
    ///
    /// let t = arr2(&[[2.0, 0.0], [1.0, 4.0]]).rechunk(1);
    /// let x = t.solve_triangular(Triangle::Lower, &arr1(&[2.0, 9.0]));
    /// assert_eq!(x.compute(), ndarray::arr1(&[1.0, 2.0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_solve_triangular`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn solve_triangular<T: Data<Elem = A>, E: Dimension>(
        &self,
        which: Triangle,
        b: &ArrayBase<T, E, A>,
    ) -> Array<A, E> {
        or_panic(self.try_solve_triangular(which, b))
    }

    /// [`Array::solve_triangular`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square; a right side of another number of rows, or of more than two dimensions. A 0 on the
    /// diagonal is an error of the computation.
    pub fn try_solve_triangular<T: Data<Elem = A>, E: Dimension>(
        &self,
        which: Triangle,
        b: &ArrayBase<T, E, A>,
    ) -> Result<Array<A, E>> {
        let a = self.leaf()?;
        let (b, is_vector) = right_side(&b.leaf()?, a.shape()[0])?;
        Ok(Array::of_expr(as_it_was(triangular(&a, &b, which)?, is_vector)?))
    }

    /// The X of A·X = B, lazily, for this square matrix A and a vector or matrix B: by LU with partial pivoting, as
    /// [`Array::lu`] makes it, of which L is not put together.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[0.0, 2.0], [4.0, 4.0]]).rechunk(1);
    /// assert_eq!(a.solve(&arr1(&[2.0, 8.0])).compute(), ndarray::arr1(&[1.0, 1.0]));
    /// let singular = arr2(&[[1.0, 1.0], [1.0, 1.0]]);
    /// let error = singular.solve(&arr1(&[2.0, 8.0])).try_compute().unwrap_err();
    /// assert!(error.to_string().contains("singular"));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_solve`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn solve<T: Data<Elem = A>, E: Dimension>(&self, b: &ArrayBase<T, E, A>) -> Array<A, E> {
        or_panic(self.try_solve(b))
    }

    /// [`Array::solve`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square; a right side of another number of rows, or of more than two dimensions. Of a singular
    /// matrix, in which a pivot is 0, the computation fails.
    pub fn try_solve<T: Data<Elem = A>, E: Dimension>(&self, b: &ArrayBase<T, E, A>) -> Result<Array<A, E>> {
        let a = self.leaf()?;
        let (b, is_vector) = right_side(&b.leaf()?, a.shape()[0])?;
        Ok(Array::of_expr(as_it_was(solve(&a, &b)?, is_vector)?))
    }

    /// The inverse, lazily: what [`Array::solve`] gives for the identity. To solve a system, `solve` is faster and more accurate.
    ///
    /// # Panics
    /// Where [`Array::try_inv`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn inv(&self) -> Array2<A> {
        or_panic(self.try_inv())
    }

    /// [`Array::inv`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square. Of a singular one the computation fails.
    pub fn try_inv(&self) -> Result<Array2<A>> {
        Ok(Array::of_expr(inverse(&self.leaf()?)?))
    }

    /// The determinant, lazily, by LU: 0 of a singular matrix, 1 of one without rows. It may be beyond what a number holds, where
    /// [`Array::slogdet`] is not.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[0.0f64, 2.0], [3.0, 1.0]]).rechunk(1);
    /// assert_eq!(a.det().sum(), -6.0);
    /// let (sign, logarithm) = a.slogdet();
    /// assert_eq!(sign.sum(), -1.0);
    /// assert!((logarithm.sum() - 6.0f64.ln()).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_det`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn det(&self) -> Array0<A> {
        or_panic(self.try_det())
    }

    /// [`Array::det`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_det(&self) -> Result<Array0<A>> {
        Ok(Array::of_expr(of_determinants(&self.leaf()?, (2, Fold::Prod, 1.0))?))
    }

    /// The sign of the determinant, of complex elements a number of absolute value 1, and the logarithm of its absolute value:
    /// 0 and negative infinity of a singular matrix.
    ///
    /// # Panics
    /// Where [`Array::try_slogdet`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn slogdet(&self) -> (Array0<A>, Array0<A::Real>) {
        or_panic(self.try_slogdet())
    }

    /// [`Array::slogdet`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_slogdet(&self) -> Result<(Array0<A>, Array0<A::Real>)> {
        let a = self.leaf()?;
        let sign = of_determinants(&a, (0, Fold::Prod, 1.0))?;
        let logarithm = real(&of_determinants(&a, (1, Fold::Sum, 0.0))?)?;
        Ok((Array::of_expr(sign), Array::of_expr(logarithm)))
    }

    /// The matrix to the power of `n`, lazily: the identity for 0, the inverse's power for negative ones. About 2·log₂ n products.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[1.0, 1.0], [1.0, 0.0]]);
    /// assert_eq!(a.matrix_power(10).compute()[[0, 1]], 55.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_matrix_power`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn matrix_power(&self, n: i32) -> Array2<A> {
        or_panic(self.try_matrix_power(n))
    }

    /// [`Array::matrix_power`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_matrix_power(&self, n: i32) -> Result<Array2<A>> {
        Ok(Array::of_expr(power(&self.leaf()?, n)?))
    }

    /// The X for which the sum of squares of A·X − B is least, lazily, for this matrix A of full rank and a vector or matrix B; of
    /// a matrix of more columns than rows the shortest X. By QR, as [`Array::qr`] makes it. Where A is not of full rank, a 0 on
    /// R's diagonal is an error, and [`Array::pinv`] is what to take.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// // A line through points.
    /// let a = arr2(&[[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]).rechunk((2, 2));
    /// let line = a.lstsq(&arr1(&[1.0, 3.0, 5.0]));
    /// assert!((line.solution.compute()[1] - 2.0f64).abs() < 1e-14);
    /// assert!(line.residuals.sum() < 1e-28);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_lstsq`] returns an error.
    #[track_caller]
    pub fn lstsq<T: Data<Elem = A>, E: RemoveAxis>(
        &self,
        b: &ArrayBase<T, E, A>,
    ) -> LeastSquares<Array<A, E>, Array<A::Real, E::Smaller>> {
        or_panic(self.try_lstsq(b))
    }

    /// [`Array::lstsq`] that returns what goes wrong.
    ///
    /// # Errors
    /// A right side of another number of rows, or of more than two dimensions.
    #[allow(clippy::type_complexity, reason = "the types say what is found")]
    pub fn try_lstsq<T: Data<Elem = A>, E: RemoveAxis>(
        &self,
        b: &ArrayBase<T, E, A>,
    ) -> Result<LeastSquares<Array<A, E>, Array<A::Real, E::Smaller>>> {
        let a = self.leaf()?;
        let (b, is_vector) = right_side(&b.leaf()?, a.shape()[0])?;
        let x = least_squares(&a, &b)?;
        let away = b.binary(BinaryOp::Sub, &a.dot(&x)?)?;
        let size = if a.dtype().is_complex() { away.unary(UnaryOp::Norm)? } else { away };
        let sums = size.unary(UnaryOp::Square)?.reduce(Fold::Sum, &[0])?;
        let sums = if is_vector { sums.slice(&[SliceArg::At(0)])? } else { sums };
        let solution = Array::of_expr(as_it_was(x, is_vector)?);
        Ok(LeastSquares { solution, residuals: Array::of_expr(sums) })
    }
}
