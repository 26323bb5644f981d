//! Views of arrays: slices, single positions of an axis, other orders of axes, repetition. Lazy where the array is.
//!
//! Must not know chunks.

use super::kind::source::Source;
use super::kinds::{on_all, on_all_of};
use super::slice::{at, on_axis, part, parts};
use super::{ArrayBase, ArrayView, RawData};
use crate::error::{Result, or_panic};
use ndarray::{Axis, AxisDescription, Dimension, IntoDimension, Ix1, Ix2, RemoveAxis, Slice, SliceArg};
use tilework_expr::Expr;

/// A view of any kind of array: lazy where that is not computed, else of its elements.
#[track_caller]
pub(super) fn of<'s, A, D: Dimension + 's, E: Dimension>(
    source: &'s (impl Source<A, D> + ?Sized),
    build: impl FnOnce(&Expr) -> Result<Expr>,
    local: impl FnOnce(&'s ndarray::ArrayRef<A, D>) -> ndarray::ArrayView<'s, A, E>,
) -> ArrayView<'s, A, E> {
    if let Some(node) = source.node()
        && !node.is_here()
    {
        let expr = or_panic(build(node.expr()));
        if let Some(view) = ArrayView::lazy(node, expr) {
            return view;
        }
    }
    ArrayView::owned_by(local(source.here()), source.owner())
}

/// The slices that `f` asks for, axis by axis.
pub(super) fn each_axis(expr: &Expr, mut f: impl FnMut(AxisDescription) -> Slice) -> Result<Expr> {
    let shape = expr.shape();
    let strides = super::kind::node::row_major(&shape);
    let describe = |a: usize| AxisDescription { axis: Axis(a), len: shape[a], stride: strides[a] };
    let slices: Vec<_> = (0..shape.len()).map(|a| part(&f(describe(a)).into())).collect();
    Ok(expr.slice(&slices)?)
}

on_all!({ A } {
    /// A view of the whole array.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn view(&self) -> ArrayView<'_, A, D> {
        of(self, |expr| Ok(expr.clone()), |a| a.view())
    }

    /// A view with the axes in reverse order: the transposed matrix.
    #[must_use]
    #[track_caller]
    pub fn t(&self) -> ArrayView<'_, A, D> {
        of(self, |expr| Ok(expr.reversed_axes()?), |a| a.t())
    }

    /// The slice that ndarray's `s![..]` describes.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array2::<i64>::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as i64);
    /// let b = a.slice(s![1..3, ..;2]);
    /// assert_eq!(b, array![[10, 12, 14], [20, 22, 24]]);
    /// assert_eq!(a.slice(s![-1, 1..]).sum(), 31 + 32 + 33 + 34 + 35);
    /// ```
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0, another number of slices than the array has axes.
    #[must_use]
    #[track_caller]
    pub fn slice<I: SliceArg<D>>(&self, info: I) -> ArrayView<'_, A, I::OutDim> {
        if self.is_unknown() {
            let wanted = parts(&info);
            return of(self, |expr| Ok(expr.slice(&wanted)?), |a| a.slice(info));
        }
        ArrayView::owned_by(self.here().slice(info), self.owner())
    }

    /// A view with one axis sliced.
    ///
    /// # Panics
    /// At an axis out of range, positions beyond it, a step of 0.
    #[must_use]
    #[track_caller]
    pub fn slice_axis(&self, axis: Axis, indices: Slice) -> ArrayView<'_, A, D> {
        of(self, |expr| Ok(on_axis(expr, axis, part(&indices.into()))?), |a| a.slice_axis(axis, indices))
    }

    /// A view with every axis sliced as `f` says.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0.
    #[must_use]
    #[track_caller]
    pub fn slice_each_axis<F: FnMut(AxisDescription) -> Slice>(&self, mut f: F) -> ArrayView<'_, A, D> {
        if self.is_unknown() {
            let mut slices = Vec::new();
            let mut build = |expr: &Expr| each_axis(expr, |axis| {
                let slice = f(axis);
                slices.push(slice);
                slice
            });
            let expr = or_panic(build(self.node().expect("it is unknown").expr()));
            return of(self, |_| Ok(expr), |a| a.slice_each_axis(|axis| slices[axis.axis.index()]));
        }
        ArrayView::owned_by(self.here().slice_each_axis(f), self.owner())
    }

    /// A view of one position of an axis, which the view does not have.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[must_use]
    #[track_caller]
    pub fn index_axis(&self, axis: Axis, index: usize) -> ArrayView<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        of(self, |expr| Ok(at(expr, axis, index)?), |a| a.index_axis(axis, index))
    }

    /// A view of the array repeated to a shape by ndarray's rules, or `None` where it does not broadcast to it.
    #[must_use]
    #[track_caller]
    #[allow(clippy::missing_panics_doc, reason = "what broadcasts lazily does so in place")]
    pub fn broadcast<E: IntoDimension>(&self, dim: E) -> Option<ArrayView<'_, A, E::Dim>> {
        let dim = dim.into_dimension();
        if self.is_unknown() {
            let wide = self.node().expect("it is unknown").expr().broadcast_to(dim.slice()).ok()?;
            return Some(of(self, |_| Ok(wide), |a| a.broadcast(dim).expect("it broadcasts")));
        }
        Some(ArrayView::owned_by(self.here().broadcast(dim)?, self.owner()))
    }

    /// A view of the diagonal: the elements whose indices are all equal.
    #[must_use]
    #[track_caller]
    pub fn diag(&self) -> ArrayView<'_, A, Ix1> {
        ArrayView::owned_by(self.here().diag(), self.owner())
    }
});

/// # Lengths, which are known without computing anything
impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The lengths of the axes, in ndarray's form.
    #[must_use]
    #[inline]
    pub fn raw_dim(&self) -> D {
        match self.node() {
            Some(node) => super::dim_of(node.shape()),
            None => self.place().raw_dim(),
        }
    }

    /// The lengths of the axes.
    #[must_use]
    #[inline]
    pub fn shape(&self) -> &[usize] {
        match self.node() {
            Some(node) => node.shape(),
            None => self.place().shape(),
        }
    }

    /// The lengths of the axes as ndarray's pattern: a tuple for a fixed number of dimensions.
    #[must_use]
    #[inline]
    pub fn dim(&self) -> D::Pattern {
        self.raw_dim().into_pattern()
    }

    /// Number of axes.
    #[must_use]
    #[inline]
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// Number of elements.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match self.node() {
            Some(node) => node.expr().len(),
            None => self.place().len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn len_of(&self, axis: Axis) -> usize {
        self.shape()[axis.index()]
    }
}

impl<A, S: RawData<Elem = A>> ArrayBase<S, Ix2, A> {
    /// Number of rows.
    #[must_use]
    #[inline]
    pub fn nrows(&self) -> usize {
        self.shape()[0]
    }

    /// Number of columns.
    #[must_use]
    #[inline]
    pub fn ncols(&self) -> usize {
        self.shape()[1]
    }

    /// Whether there are as many rows as columns.
    #[must_use]
    #[inline]
    pub fn is_square(&self) -> bool {
        self.nrows() == self.ncols()
    }
}

on_all_of!(Ix2, { A } {
    /// A view of one row.
    ///
    /// # Panics
    /// At a position beyond the last row.
    #[must_use]
    #[track_caller]
    pub fn row(&self, index: usize) -> ArrayView<'_, A, Ix1> {
        of(self, |expr| Ok(at(expr, Axis(0), index)?), |a| a.row(index))
    }

    /// A view of one column.
    ///
    /// # Panics
    /// At a position beyond the last column.
    #[must_use]
    #[track_caller]
    pub fn column(&self, index: usize) -> ArrayView<'_, A, Ix1> {
        of(self, |expr| Ok(at(expr, Axis(1), index)?), |a| a.column(index))
    }
});
