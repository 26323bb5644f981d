//! Triangles, diagonals and Kronecker products.
//!
//! Knows of which stages they are made. Must not know how a diagonal is gone along.

use super::{axis_of, cut, stage};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array1, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Ix1, Ix2, RemoveAxis};
use num_traits::{One, Zero};
use tilework_expr::{Along, BinaryOp, Chunks, DType, Element, Expr, ExprError, Read, Scalar, SliceArg};
use tilework_kernels::library::places::{self, Triangle};
use tilework_plan::{AxisGrid, Grid};

/// Pieces that a diagonal is put together from at most: of more, all chunks are made, and those on it are read.
const PIECES_MAX: usize = 1024;

/// The diagonal along two axes, the `k`-th above the main one: the other axes, then the diagonal.
pub(super) fn diagonal(expr: &Expr, k: isize, axes: (Axis, Axis)) -> Result<Expr> {
    let (a, b) = (axis_of(expr, axes.0)?, axis_of(expr, axes.1)?);
    if a == b {
        let expected = "two different ones";
        return Err(ExprError::Axes { axes: vec![a, b], ndim: expr.ndim(), expected }.into());
    }
    let (rows, columns) = (expr.shape()[a], expr.shape()[b]);
    let (row, column) = (k.min(0).unsigned_abs().min(rows), k.max(0).unsigned_abs().min(columns));
    let len = (rows - row).min(columns - column);
    let part = |expr: &Expr, axis: usize, at: usize| -> Result<Expr> {
        if at == 0 && expr.shape()[axis] == len {
            return Ok(expr.clone());
        }
        cut(expr, axis, SliceArg::Range { start: at as isize, end: Some((at + len) as isize), step: 1 })
    };
    let square = part(&part(expr, a, row)?, b, column)?;
    // Of two ways to cut the diagonal the finer one: no task reads more then than one chunk has along either axis.
    let (by_rows, by_columns) = (&square.grid().axes()[a], &square.grid().axes()[b]);
    let along = if by_rows.chunk_max() <= by_columns.chunk_max() { by_rows } else { by_columns };
    let lens = along.chunk_lens();
    if !(2..=PIECES_MAX).contains(&lens.len()) {
        return of_square(&square, (a, b), along);
    }
    // Each piece by itself, so that nothing beside the diagonal is computed.
    let starts = lens.iter().scan(0, |end, len| Some(std::mem::replace(end, *end + len)));
    let piece = |(start, len): (usize, &usize)| -> Result<Expr> {
        let range = SliceArg::Range { start: start as isize, end: Some((start + len) as isize), step: 1 };
        of_square(&cut(&cut(&square, a, range)?, b, range)?, (a, b), &AxisGrid::whole(*len))
    };
    let pieces = starts.zip(&lens).filter(|(_, len)| **len > 0).map(piece).collect::<Result<Vec<_>>>()?;
    Ok(Expr::concatenate(expr.ndim() - 2, &pieces)?)
}

/// The main diagonal along two axes that are as long, cut so.
fn of_square(square: &Expr, (a, b): (usize, usize), along: &AxisGrid) -> Result<Expr> {
    let others: Vec<usize> = (0..square.ndim()).filter(|axis| *axis != a && *axis != b).collect();
    let mut space: Vec<_> = others.iter().map(|axis| square.grid().axes()[*axis].clone()).collect();
    space.push(along.clone());
    let at = |axis: usize| others.iter().position(|o| *o == axis).unwrap_or(others.len());
    let read = Read::Box((0..square.ndim()).map(|axis| Along::same(at(axis))).collect());
    let space = Grid::new(space);
    stage(places::diagonal(square.dtype(), (a, b)), &[(square, read)], &space, &space)
}

/// A matrix with these elements on its `k`-th diagonal, zeros elsewhere.
fn on_diagonal<A: Element + Zero>(diag: &Array1<A>, k: isize) -> Result<Expr> {
    let square = Array::try_from_diag(diag)?.leaf()?;
    let (n, by) = (square.shape()[0], k.unsigned_abs());
    if by == 0 {
        return Ok(square);
    }
    let too_large = || ExprError::TooLarge { shape: vec![n, n, by], itemsize: A::DTYPE.size() };
    let all = n.checked_add(by).ok_or_else(too_large)?;
    let zeros = |shape: &[usize]| Expr::full(shape, &Chunks::Auto, Scalar::new(A::zero()));
    let (beside, below) = (zeros(&[n, by])?, zeros(&[by, all])?);
    Ok(if k > 0 {
        Expr::concatenate(0, &[Expr::concatenate(1, &[beside, square])?, below])?
    } else {
        Expr::concatenate(0, &[below, Expr::concatenate(1, &[square, beside])?])?
    })
}

/// Whether each place of a matrix is not above the `k`-th diagonal.
fn lower(shape: &[usize; 2], k: isize) -> Result<Expr> {
    // Beyond the corners all diagonals are alike; so the sum below cannot overflow.
    let k = k.clamp(-(shape[0].min(1 << 62) as isize), shape[1].min(1 << 62) as isize);
    let (rows, columns) = (Expr::index(shape, &Chunks::Auto, 0)?, Expr::index(shape, &Chunks::Auto, 1)?);
    let k = Expr::full(&[], &Chunks::Auto, Scalar::new(k as i64))?;
    Ok(columns.binary(BinaryOp::Le, &rows.binary(BinaryOp::Add, &k)?)?)
}

/// Each element of the first with all of the second.
fn kronecker(a: &Expr, b: &Expr) -> Result<Expr> {
    let (n, m) = (a.shape(), b.shape());
    let times = |axis: usize| {
        let shape = vec![n[axis], m[axis]];
        n[axis].checked_mul(m[axis]).ok_or(ExprError::TooLarge { shape, itemsize: a.dtype().size() })
    };
    let shape = [times(0)?, times(1)?];
    let (a, b) = (a.insert_axis(1)?.insert_axis(3)?, b.insert_axis(0)?.insert_axis(2)?);
    Ok(a.binary(BinaryOp::Mul, &b)?.reshape(&shape)?)
}

on_arrays!({ A: Element } {
    twins! {
        /// The elements along the diagonal of two axes, the `k`-th above the main one, or below it where that is negative: a
        /// lazy array of the other axes in their order, and the diagonal behind them. Of a matrix, as NumPy's `diag`. Of
        /// up to 1024 chunks along the diagonal nothing beside them is computed.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1, 2, 3], [4, 5, 6]]);
        /// assert_eq!(x.diagonal(0, (Axis(0), Axis(1))).compute(), ndarray::arr1(&[1, 5]));
        /// assert_eq!(x.diagonal(1, (Axis(0), Axis(1))).compute(), ndarray::arr1(&[2, 6]));
        /// ```
        diagonal, try_diagonal [] (&self, k: isize, axes: (Axis, Axis)) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range; twice the same.",
        { Ok(Array::of_expr(diagonal(&self.leaf()?, k, axes)?)) }
    }
});

impl<A: Element + num_traits::Num, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    twins! {
        /// The Kronecker product with another matrix, as a lazy one: [`linalg::kron`](crate::linalg::kron) computes it in
        /// this process.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1, 2]]);
        /// assert_eq!(x.kron(&arr2(&[[1], [10]])).compute(), ndarray::arr2(&[[1, 2], [10, 20]]));
        /// ```
        kron, try_kron [] (&self, other: &Array<A, Ix2>) -> Array<A, Ix2>,
        errors "A product that is too large.",
        { Ok(Array::of_expr(kronecker(&self.leaf()?, &other.leaf()?)?)) }
    }
}

impl<A: Element + Zero + One> Array<A, Ix2> {
    /// The matrix of this shape with ones up to the `k`-th diagonal (0 is the main one, 1 the one above) and zeros beyond it,
    /// as a lazy array: NumPy's `tri`.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// assert_eq!(Array2::<u8>::tri((2, 3), 0).compute(), ndarray::arr2(&[[1, 0, 0], [1, 1, 0]]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_tri`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn tri(shape: (usize, usize), k: isize) -> Array<A, Ix2> {
        or_panic(Array::try_tri(shape, k))
    }

    /// [`Array::tri`] that returns what goes wrong.
    ///
    /// # Errors
    /// A shape that is too large.
    pub fn try_tri(shape: (usize, usize), k: isize) -> Result<Array<A, Ix2>> {
        Ok(Array::of_expr(lower(&[shape.0, shape.1], k)?.cast(A::DTYPE)?))
    }

    /// The square matrix with these elements on its `k`-th diagonal (0 is the main one, 1 the one above, -1 the one below)
    /// and zeros elsewhere, as a lazy array: NumPy's `diag` of an array of one axis.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_diag_at(&arr1(&[7, 8]), -1);
    /// assert_eq!(x.compute(), ndarray::arr2(&[[0, 0, 0], [7, 0, 0], [0, 8, 0]]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_from_diag_at`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn from_diag_at(diag: &Array<A, Ix1>, k: isize) -> Array<A, Ix2> {
        or_panic(Array::try_from_diag_at(diag, k))
    }

    /// [`Array::from_diag_at`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is too large.
    pub fn try_from_diag_at(diag: &Array<A, Ix1>, k: isize) -> Result<Array<A, Ix2>> {
        Ok(Array::of_expr(on_diagonal(diag, k)?))
    }
}

fn places_of(shape: (usize, usize), k: isize, upper: bool) -> Result<(Array1<u64>, Array1<u64>)> {
    let k = k.clamp(-(shape.0.min(1 << 62) as isize), shape.1.min(1 << 62) as isize) as i64;
    let triangle = Triangle { rows: shape.0, columns: shape.1, k, upper };
    let too_large = || ExprError::TooLarge { shape: vec![shape.0, shape.1], itemsize: 8 };
    let n = triangle.count().ok_or_else(too_large)?;
    let grid = Chunks::Auto.grid(&[n], DType::U64)?;
    let of = |columns: bool| -> Result<Array1<u64>> {
        Ok(Array::of_expr(stage(triangle.places(columns), &[], &grid, &grid)?))
    };
    Ok((of(false)?, of(true)?))
}

/// The row and column numbers of the elements of a matrix of this shape up to its `k`-th diagonal, in row-major order, as
/// lazy arrays of one axis: NumPy's `tril_indices`. They are computed where they are needed, chunk by chunk.
///
/// ```
/// let (rows, columns) = tilework::tril_indices((2, 3), 0);
/// assert_eq!(rows.compute(), ndarray::arr1(&[0, 1, 1]));
/// assert_eq!(columns.compute(), ndarray::arr1(&[0, 0, 1]));
/// ```
///
/// # Panics
/// Where [`try_tril_indices`] returns an error.
#[must_use]
#[track_caller]
pub fn tril_indices(shape: (usize, usize), k: isize) -> (Array1<u64>, Array1<u64>) {
    or_panic(try_tril_indices(shape, k))
}

/// [`tril_indices`] that returns what goes wrong.
///
/// # Errors
/// More places than can be counted.
pub fn try_tril_indices(shape: (usize, usize), k: isize) -> Result<(Array1<u64>, Array1<u64>)> {
    places_of(shape, k, false)
}

/// As [`tril_indices`], of the elements from the `k`-th diagonal on: NumPy's `triu_indices`.
///
/// # Panics
/// Where [`try_triu_indices`] returns an error.
#[must_use]
#[track_caller]
pub fn triu_indices(shape: (usize, usize), k: isize) -> (Array1<u64>, Array1<u64>) {
    or_panic(try_triu_indices(shape, k))
}

/// [`triu_indices`] that returns what goes wrong.
///
/// # Errors
/// More places than can be counted.
pub fn try_triu_indices(shape: (usize, usize), k: isize) -> Result<(Array1<u64>, Array1<u64>)> {
    places_of(shape, k, true)
}
