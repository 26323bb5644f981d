//! Writing to arrays: assignment of arrays and values, and writable views.
//!
//! Must not know operators' meaning.

use super::kind::choice::dtype_of;
use super::kind::source::Source;
use super::kinds::{on_writable, on_writable_of};
use super::operand::scalar;
use super::{Array, ArrayBase, ArrayRef, ArrayViewMut, DataMut, lazily};
use crate::error::{Result, or_panic};
use ndarray::{
    Axis, AxisDescription, Dimension, Ix1, Ix2, MathCell, MultiSliceArg, RemoveAxis, Slice, SliceArg,
};
use tilework_expr::{BinaryOp, Expr};

impl<A, S: DataMut<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// Changes the array by another one: to an expression where one of them is lazy or large, else in place.
    #[track_caller]
    pub(super) fn write_with<B, E: Dimension>(
        &mut self,
        rhs: &(impl Source<B, E> + ?Sized),
        build: impl FnOnce(&Expr, &Expr) -> Result<Expr>,
        local: impl FnOnce(&mut ndarray::ArrayRef<A, D>, &ndarray::ArrayRef<B, E>),
    ) {
        // A local array is changed where it is, however large it and a local operand are: no temporary is needed.
        let lazy = S::IS_REPLACED && (self.is_unknown() || rhs.is_unknown() && rhs.wants_lazy());
        if lazy && dtype_of::<A>().is_some() && dtype_of::<A>() == dtype_of::<B>() {
            let expr = self.leaf().and_then(|left| build(&left, &rhs.leaf()?));
            if let Some(expr) = lazily::or_ndarray(expr) {
                return S::replace(self, Array::of_expr(expr));
            }
        }
        local(here(self), rhs.here());
    }

    /// Changes the array by a value.
    #[track_caller]
    pub(super) fn write_value(&mut self, op: BinaryOp, value: &A, mut f: impl FnMut(&mut A, &A)) {
        if S::IS_REPLACED && self.is_unknown() && dtype_of::<A>().is_some() {
            let expr = self.leaf().and_then(|left| Ok(left.binary(op, &scalar(value)?)?));
            if let Some(expr) = lazily::or_ndarray(expr) {
                return S::replace(self, Array::of_expr(expr));
            }
        }
        here(self).map_inplace(|x| f(x, value));
    }

    /// Makes every element that of `rhs`, broadcast to this array's shape. Other arrays that were made of this one
    /// keep the old elements.
    ///
    /// # Panics
    /// If `rhs` does not broadcast to this array's shape.
    #[track_caller]
    pub fn assign<E: Dimension>(&mut self, rhs: &(impl Source<A, E> + ?Sized))
    where
        A: Clone,
    {
        let lazy = rhs.is_unknown() || self.is_unknown() && dtype_of::<A>().is_some();
        if S::IS_REPLACED && lazy {
            let shape = self.shape().to_vec();
            let expr = rhs.leaf().and_then(|expr| Ok(expr.broadcast_to(&shape)?));
            return S::replace(self, Array::of_expr(or_panic(expr)));
        }
        here(self).assign(rhs.here());
    }

    /// Makes every element `value`. Other arrays that were made of this one keep the old elements.
    #[track_caller]
    pub fn fill(&mut self, value: A)
    where
        A: Clone,
    {
        if S::IS_REPLACED
            && let Some(node) = self.node()
            && !node.is_here()
        {
            let grid = node.expr().grid().clone();
            let filled = scalar(&value).and_then(|v| Ok(v.broadcast_to(&grid.shape())?.on_grid(grid)?));
            return S::replace(self, Array::of_expr(or_panic(filled)));
        }
        here(self).fill(value);
    }
}

/// Its elements are written where they are.
impl<A, D: Dimension> ArrayRef<A, D> {
    #[track_caller]
    pub(super) fn write_with<B, E: Dimension>(
        &mut self,
        rhs: &(impl Source<B, E> + ?Sized),
        _: impl FnOnce(&Expr, &Expr) -> Result<Expr>,
        local: impl FnOnce(&mut ndarray::ArrayRef<A, D>, &ndarray::ArrayRef<B, E>),
    ) {
        local(self, rhs.here());
    }

    pub(super) fn write_value(&mut self, _: BinaryOp, value: &A, mut f: impl FnMut(&mut A, &A)) {
        self.map_inplace(|x| f(x, value));
    }

    /// Makes every element that of `rhs`, broadcast to this array's shape.
    ///
    /// # Panics
    /// If `rhs` does not broadcast to this array's shape.
    #[track_caller]
    pub fn assign<E: Dimension>(&mut self, rhs: &(impl Source<A, E> + ?Sized))
    where
        A: Clone,
    {
        here(self).assign(rhs.here());
    }
}

on_writable!({ A } {
    /// A writable view of the whole array.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn view_mut(&mut self) -> ArrayViewMut<'_, A, D> {
        ArrayViewMut::local(here(self).view_mut())
    }

    /// A writable view of the slice that ndarray's `s![..]` describes.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0, another number of slices than the array has axes.
    #[must_use]
    #[track_caller]
    pub fn slice_mut<I: SliceArg<D>>(&mut self, info: I) -> ArrayViewMut<'_, A, I::OutDim> {
        ArrayViewMut::local(here(self).slice_mut(info))
    }

    /// Several writable views of slices that do not overlap.
    ///
    /// # Panics
    /// At slices that overlap; where [`slice_mut`](Self::slice_mut) panics.
    #[track_caller]
    pub fn multi_slice_mut<'s, M>(&'s mut self, info: M) -> <M::Output as super::iterate::IntoOurs>::Ours
    where
        M: MultiSliceArg<'s, A, D>,
        M::Output: super::iterate::IntoOurs,
    {
        super::iterate::IntoOurs::into_ours(here(self).multi_slice_mut(info))
    }

    /// A writable view with one axis sliced.
    ///
    /// # Panics
    /// At an axis out of range, positions beyond it, a step of 0.
    #[must_use]
    #[track_caller]
    pub fn slice_axis_mut(&mut self, axis: Axis, indices: Slice) -> ArrayViewMut<'_, A, D> {
        ArrayViewMut::local(here(self).slice_axis_mut(axis, indices))
    }

    /// A writable view with every axis sliced as `f` says.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0.
    #[must_use]
    #[track_caller]
    pub fn slice_each_axis_mut<F: FnMut(AxisDescription) -> Slice>(&mut self, f: F) -> ArrayViewMut<'_, A, D> {
        ArrayViewMut::local(here(self).slice_each_axis_mut(f))
    }

    /// A writable view of one position of an axis, which the view does not have.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[must_use]
    #[track_caller]
    pub fn index_axis_mut(&mut self, axis: Axis, index: usize) -> ArrayViewMut<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        ArrayViewMut::local(here(self).index_axis_mut(axis, index))
    }

    /// A writable view of the diagonal: the elements whose indices are all equal.
    #[must_use]
    #[track_caller]
    pub fn diag_mut(&mut self) -> ArrayViewMut<'_, A, Ix1> {
        ArrayViewMut::local(here(self).diag_mut())
    }

    /// A view whose elements can be written through shared references.
    #[must_use]
    #[track_caller]
    pub fn cell_view(&mut self) -> super::ArrayView<'_, MathCell<A>, D> {
        super::ArrayView::local(here(self).cell_view())
    }
});

on_writable_of!(Ix2, { A } {
    /// A writable view of one row.
    ///
    /// # Panics
    /// At a position beyond the last row.
    #[must_use]
    #[track_caller]
    pub fn row_mut(&mut self, index: usize) -> ArrayViewMut<'_, A, Ix1> {
        ArrayViewMut::local(here(self).row_mut(index))
    }

    /// A writable view of one column.
    ///
    /// # Panics
    /// At a position beyond the last column.
    #[must_use]
    #[track_caller]
    pub fn column_mut(&mut self, index: usize) -> ArrayViewMut<'_, A, Ix1> {
        ArrayViewMut::local(here(self).column_mut(index))
    }
});

/// The elements of any kind of array, for writing.
#[inline]
#[track_caller]
pub(super) fn here<A, D>(array: &mut ndarray::ArrayRef<A, D>) -> &mut ndarray::ArrayRef<A, D> {
    array
}
