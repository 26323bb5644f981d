//! Products of arrays along chosen axes, of many matrices at once, of all pairs of elements; and traces.
//!
//! All but traces are sums over letters. Must not know how those are taken apart.

use super::super::{axis_of, stage, undefined};
use super::einsum::contracted;
use super::of_dims;
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array0, Array2, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Dimension, Ix1, Ix2};
use tilework_expr::{Along, Element, Expr, ExprError, Fold, Read, SliceArg};
use tilework_kernels::library::einsum::trace;
use tilework_plan::{AxisGrid, Grid};

/// Letters for so many axes.
fn letters(n: usize) -> Vec<u8> {
    (0..n as u8).collect()
}

/// The sum of products over pairs of axes.
fn tensordot(left: &Expr, right: &Expr, axes: (&[Axis], &[Axis])) -> Result<Expr> {
    if axes.0.len() != axes.1.len() {
        let got = format!("{} and {}", axes.0.len(), axes.1.len());
        let (what, expected) = ("numbers of axes of a tensordot", "as many of one array as of the other");
        return Err(ExprError::Parameter { what, got, expected }.into());
    }
    let of = |expr: &Expr, axes: &[Axis]| -> Result<Vec<usize>> {
        let axes = axes.iter().map(|&a| axis_of(expr, a)).collect::<Result<Vec<_>>>()?;
        match axes.iter().enumerate().find(|(i, a)| axes[..*i].contains(a)) {
            Some(_) => {
                Err(ExprError::Axes { axes, ndim: expr.ndim(), expected: "each axis at most once" }.into())
            }
            None => Ok(axes),
        }
    };
    let (of_left, of_right) = (of(left, axes.0)?, of(right, axes.1)?);
    let (shape, other) = (left.shape(), right.shape());
    if of_left.iter().zip(&of_right).any(|(&a, &b)| shape[a] != other[b]) {
        let got = format!("axes {of_left:?} of shape {shape:?} and {of_right:?} of {other:?}");
        let (what, expected) = ("lengths of a tensordot's axes", "equal ones");
        return Err(ExprError::Parameter { what, got, expected }.into());
    }
    let first = letters(left.ndim());
    let place = |axis: usize| of_right.iter().position(|&b| b == axis).map(|at| of_left[at]);
    let second: Vec<u8> =
        (0..right.ndim()).map(|axis| place(axis).unwrap_or(left.ndim() + axis) as u8).collect();
    let both = |l: &&u8| !(first.contains(l) && second.contains(l));
    let out: Vec<u8> = first.iter().chain(&second).filter(both).copied().collect();
    contracted(&[left.clone(), right.clone()], &[first.clone(), second.clone()], &out)
}

/// The products of the matrices of the last two axes; the axes before are broadcast.
fn matmul(left: &Expr, right: &Expr) -> Result<Expr> {
    let (shape, other) = (left.shape(), right.shape());
    let wrong = || ExprError::MatMul { left: shape.clone(), right: other.clone() };
    let (n, m) = (shape.len(), other.len());
    if n < 2 || m < 2 || shape[n - 1] != other[m - 2] {
        return Err(wrong().into());
    }
    let n_batch = (n - 2).max(m - 2);
    let (row, inner, column) = (n_batch as u8, n_batch as u8 + 1, n_batch as u8 + 2);
    // An axis of 1 beside a longer one is left out, and the letter is the other's alone.
    let batch = |lens: &[usize], others: &[usize]| -> Result<(Vec<SliceArg>, Vec<u8>)> {
        let (mut args, mut batch) = (Vec::new(), Vec::new());
        for (axis, &len) in lens.iter().enumerate() {
            let letter = n_batch - lens.len() + axis;
            let opposite = (letter + others.len()).checked_sub(n_batch).map_or(1, |at| others[at]);
            match (len, opposite) {
                (a, b) if a == b || b == 1 => {
                    args.push(SliceArg::Range { start: 0, end: None, step: 1 });
                    batch.push(letter as u8);
                }
                (1, _) => args.push(SliceArg::At(0)),
                _ => return Err(ExprError::Broadcast { left: shape.clone(), right: other.clone() }.into()),
            }
        }
        args.extend([SliceArg::Range { start: 0, end: None, step: 1 }; 2]);
        Ok((args, batch))
    };
    let (a, b) = (batch(&shape[..n - 2], &other[..m - 2])?, batch(&other[..m - 2], &shape[..n - 2])?);
    let arrays = [left.slice(&a.0)?, right.slice(&b.0)?];
    let terms = [[&a.1[..], &[row, inner]].concat(), [&b.1[..], &[inner, column]].concat()];
    contracted(&arrays, &terms, &[&letters(n_batch)[..], &[row, column]].concat())
}

/// The sum of a matrix's diagonal: one task for each chunk of rows, which reads a square of them.
fn trace_of(expr: &Expr) -> Result<Expr> {
    let dtype = expr.dtype();
    if dtype == tilework_expr::DType::Bool {
        return Err(undefined("trace", dtype));
    }
    let n = expr.shape()[0].min(expr.shape()[1]);
    let all = SliceArg::Range { start: 0, end: Some(n as isize), step: 1 };
    let square = expr.slice(&[all, all])?;
    let rows = square.grid().axes()[0].clone();
    let sums = Grid::new(vec![AxisGrid::regular(rows.n_chunks(), 1)]);
    if n == 0 {
        return Ok(square.reduce(Fold::Sum, &[0, 1])?);
    }
    let read = Read::Box(vec![Along::same(0), Along::same(0)]);
    let parts = stage(trace(dtype), &[(&square, read)], &Grid::new(vec![rows]), &sums)?;
    let sum = parts.reduce(Fold::Sum, &[0])?;
    if sum.dtype() == dtype { Ok(sum) } else { Ok(sum.cast(dtype)?) }
}

on_arrays!({ A: Element } {
    /// The sum of products over pairs of axes, the i-th of `axes.0` with the i-th of `axes.1`: a lazy array of the other axes
    /// of this array and then those of the other one. Without axes all pairs of elements are multiplied. The dimensions are
    /// those of the type that is asked for.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array3::<f64>::in_chunks(2).ones((3, 4, 5));
    /// let b = Array3::<f64>::in_chunks(3).ones((4, 3, 2));
    /// let c: Array2<f64> = a.tensordot(&b, (&[Axis(0), Axis(1)], &[Axis(1), Axis(0)]));
    /// assert_eq!(c.compute(), ndarray::Array2::from_elem((5, 2), 12.0));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_tensordot`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn tensordot<T: Data<Elem = A>, D2: Dimension, E: Dimension>(
        &self,
        other: &ArrayBase<T, D2, A>,
        axes: (&[Axis], &[Axis]),
    ) -> Array<A, E> {
        or_panic(self.try_tensordot(other, axes))
    }

    /// [`Array::tensordot`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range, or twice; another number of axes of one array than of the other; lengths that differ; elements of
    /// `bool`; another number of dimensions than the type has.
    pub fn try_tensordot<T: Data<Elem = A>, D2: Dimension, E: Dimension>(
        &self,
        other: &ArrayBase<T, D2, A>,
        axes: (&[Axis], &[Axis]),
    ) -> Result<Array<A, E>> {
        of_dims("the result of tensordot", tensordot(&self.leaf()?, &other.leaf()?, axes)?)
    }

    /// The products of the matrices of the last two axes, lazily; the axes before them count the matrices, and are broadcast as
    /// NumPy's are.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array3::<f64>::in_chunks(2).ones((7, 3, 4));
    /// let b = Array3::<f64>::in_chunks(3).ones((7, 4, 2));
    /// assert_eq!(a.matmul(&b).compute(), ndarray::Array3::from_elem((7, 3, 2), 4.0));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_matmul`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn matmul<T: Data<Elem = A>>(&self, other: &ArrayBase<T, D, A>) -> Array<A, D> {
        or_panic(self.try_matmul(other))
    }

    /// [`Array::matmul`] that returns what goes wrong.
    ///
    /// # Errors
    /// Inner lengths that differ; fewer than two dimensions; leading axes that no broadcasting brings together; elements of
    /// `bool`.
    pub fn try_matmul<T: Data<Elem = A>>(&self, other: &ArrayBase<T, D, A>) -> Result<Array<A, D>> {
        of_dims("the result of matmul", matmul(&self.leaf()?, &other.leaf()?)?)
    }
});

impl<A: Element, S: Data<Elem = A>> ArrayBase<S, Ix1, A> {
    /// The products of all pairs of elements of two vectors: a lazy matrix with a row for each element of this one.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let m = arr1(&[1, 2, 3]).outer(&arr1(&[10, 100]));
    /// assert_eq!(m.compute(), ndarray::arr2(&[[10, 100], [20, 200], [30, 300]]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_outer`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn outer<T: Data<Elem = A>>(&self, other: &ArrayBase<T, Ix1, A>) -> Array2<A> {
        or_panic(self.try_outer(other))
    }

    /// [`Array::outer`] that returns what goes wrong.
    ///
    /// # Errors
    /// Elements of `bool`; a matrix that is too large.
    pub fn try_outer<T: Data<Elem = A>>(&self, other: &ArrayBase<T, Ix1, A>) -> Result<Array2<A>> {
        let (left, right) = (self.leaf()?, other.leaf()?);
        Ok(Array::of_expr(contracted(&[left, right], &[vec![0], vec![1]], &[0, 1])?))
    }
}

impl<A: Element, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// The sum of the diagonal, lazily, without dimensions; of the chunks beside the diagonal nothing is read. Floats of 32
    /// bits are added up in 64; integers wrap.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array2::<f64>::in_chunks(30).eye(100);
    /// assert_eq!(x.trace().sum(), 100.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_trace`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn trace(&self) -> Array0<A> {
        or_panic(self.try_trace())
    }

    /// [`Array::trace`] that returns what goes wrong.
    ///
    /// # Errors
    /// Elements of `bool`.
    pub fn try_trace(&self) -> Result<Array0<A>> {
        Ok(Array::of_expr(trace_of(&self.leaf()?)?))
    }
}
