//! Methods that take an array and give one of the same kind: other shapes, orders of axes, types of dimension,
//! slices; and the same in place.
//!
//! Must not know element types, nor whose the elements are.

use super::kind::Parts;
use super::shape::reshaped;
use super::slice::{at, on_axis, part, parts};
use super::views::each_axis;
use super::{ArrayBase, ArrayView, RawData};
use crate::error::{Result, or_panic};
use ndarray::{
    Axis, AxisDescription, Dimension, ErrorKind, IntoDimension, Ix1, IxDyn, LayoutRef, Order, RemoveAxis,
    ShapeArg, ShapeError, Slice, SliceArg,
};
use tilework_expr::{Expr, SliceArg as Part};

type Shaped<T> = std::result::Result<T, ShapeError>;

impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The same elements in other places: an expression where the array is lazy, else by ndarray's method.
    #[track_caller]
    fn moved<E: Dimension>(
        self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(Parts<A, D>) -> Parts<A, E>,
    ) -> ArrayBase<S, E, A> {
        or_panic(self.try_moved(build, |parts| Ok(local(parts))))
            .unwrap_or_else(|_| unreachable!("never wrong"))
    }

    fn try_moved<E: Dimension>(
        mut self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(Parts<A, D>) -> Shaped<Parts<A, E>>,
    ) -> Result<Shaped<ArrayBase<S, E, A>>> {
        if let Some(node) = self.node()
            && !node.is_here()
            && let Some(array) = self.rebuilt(build(node.expr())?)
        {
            return Ok(Ok(array));
        }
        self.settle()?;
        Ok(self.placed(local))
    }

    /// The same in place.
    fn change(
        &mut self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(&mut LayoutRef<A, D>),
    ) -> Result<()> {
        if let Some(node) = self.node()
            && !node.is_here()
            && let Some(array) = self.rebuilt(build(node.expr())?)
        {
            *self = array;
            return Ok(());
        }
        self.settle()?;
        local(self.as_mut());
        Ok(())
    }
}

/// # Other shapes and parts, of the same kind
impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The array with its number of dimensions known at run time.
    #[must_use]
    #[track_caller]
    pub fn into_dyn(self) -> ArrayBase<S, IxDyn, A> {
        self.moved(|expr| Ok(expr.clone()), Parts::into_dyn)
    }

    /// The array with its number of dimensions in the type.
    ///
    /// # Errors
    /// An array of another number of dimensions.
    #[track_caller]
    pub fn into_dimensionality<D2: Dimension>(self) -> Shaped<ArrayBase<S, D2, A>> {
        if D2::NDIM.is_some_and(|n| n != self.ndim()) {
            return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
        }
        or_panic(self.try_moved(|expr| Ok(expr.clone()), Parts::into_dimensionality))
    }

    /// The slice that ndarray's `s![..]` describes.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0, another number of slices than the array has axes.
    #[must_use]
    #[track_caller]
    pub fn slice_move<I: SliceArg<D>>(self, info: I) -> ArrayBase<S, I::OutDim, A> {
        if !self.is_lazy() {
            return self.moved(|expr| Ok(expr.clone()), |a| a.slice_move(info));
        }
        let wanted = parts(&info);
        self.moved(|expr| Ok(expr.slice(&wanted)?), |a| a.slice_move(info))
    }

    /// The array with one axis sliced.
    ///
    /// # Panics
    /// At an axis out of range, positions beyond it, a step of 0.
    #[must_use]
    #[track_caller]
    pub fn slice_axis_move(self, axis: Axis, indices: Slice) -> Self {
        self.moved(
            |expr| Ok(on_axis(expr, axis, part(&indices.into()))?),
            |a| a.slice_axis_move(axis, indices),
        )
    }

    /// The array at one position of an axis, which the result does not have.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[must_use]
    #[track_caller]
    pub fn index_axis_move(self, axis: Axis, index: usize) -> ArrayBase<S, D::Smaller, A>
    where
        D: RemoveAxis,
    {
        self.moved(|expr| Ok(at(expr, axis, index)?), |a| a.index_axis_move(axis, index))
    }

    /// The array without an axis, at its first position.
    ///
    /// # Panics
    /// At an axis out of range or of length 0.
    #[must_use]
    #[track_caller]
    pub fn remove_axis(self, axis: Axis) -> ArrayBase<S, D::Smaller, A>
    where
        D: RemoveAxis,
    {
        self.moved(|expr| Ok(at(expr, axis, 0)?), |a| a.remove_axis(axis))
    }

    /// A new axis of length 1 before `axis`.
    ///
    /// # Panics
    /// At an axis greater than the number of dimensions.
    #[must_use]
    #[track_caller]
    pub fn insert_axis(self, axis: Axis) -> ArrayBase<S, D::Larger, A> {
        self.moved(|expr| Ok(expr.insert_axis(axis.index())?), |a| a.insert_axis(axis))
    }

    /// The axes in reverse order.
    #[must_use]
    #[track_caller]
    pub fn reversed_axes(self) -> Self {
        self.moved(|expr| Ok(expr.reversed_axes()?), Parts::reversed_axes)
    }

    /// The axes in the given order: axis `i` of the result is axis `axes[i]` of this array.
    ///
    /// # Panics
    /// At `axes` that are not each axis once.
    #[must_use]
    #[track_caller]
    pub fn permuted_axes<T: IntoDimension<Dim = D>>(self, axes: T) -> Self {
        let axes = axes.into_dimension();
        let wanted = axes.clone();
        self.moved(|expr| Ok(expr.permute(wanted.slice())?), |a| a.permuted_axes(axes))
    }

    /// The diagonal: the elements whose indices are all equal.
    #[must_use]
    #[track_caller]
    pub fn into_diag(mut self) -> ArrayBase<S, Ix1, A> {
        or_panic(self.settle());
        self.moved(|expr| Ok(expr.clone()), Parts::into_diag)
    }

    /// The same elements in another shape: in row-major order, or column-major with
    /// `(shape, ndarray::Order::ColumnMajor)`.
    ///
    /// # Errors
    /// A shape with another number of elements; elements in this process that lie in another order.
    #[track_caller]
    pub fn into_shape_with_order<E: ShapeArg>(self, shape: E) -> Shaped<ArrayBase<S, E::Dim, A>> {
        let (dim, order) = shape.into_shape_and_order();
        let order = order.unwrap_or(Order::RowMajor);
        if self.is_lazy() {
            let wanted = dim.slice().iter().try_fold(1usize, |n, &l| n.checked_mul(l));
            if wanted != Some(self.len()) {
                return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
            }
        }
        let wanted = dim.clone();
        or_panic(self.try_moved(
            |expr| reshaped(expr, wanted.slice(), order),
            |a| a.into_shape_with_order((dim, order)),
        ))
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// As [`into_shape_with_order`](Self::into_shape_with_order).
    #[track_caller]
    #[deprecated(note = "ndarray deprecates it: use `.into_shape_with_order()` or `.to_shape()`")]
    pub fn into_shape<E: IntoDimension>(mut self, shape: E) -> Shaped<ArrayBase<S, E::Dim, A>> {
        if self.is_lazy() {
            return self.into_shape_with_order(shape.into_dimension());
        }
        or_panic(self.settle());
        #[allow(deprecated, reason = "the method of the same name")]
        self.placed(|a| a.into_shape(shape))
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// The view before a position of an axis, and the rest.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond its end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, axis: Axis, index: usize) -> (Self, Self) {
        if self.is_lazy() {
            let len = self.shape().get(axis.index()).copied();
            assert!(
                len.is_some_and(|len| index <= len),
                "cannot split at {index}: {axis:?} of {:?}",
                self.shape()
            );
            let before = self.clone().slice_axis_move(axis, Slice::from(..index));
            return (before, self.slice_axis_move(axis, Slice::from(index..)));
        }
        let owner = self.owner();
        let (before, after) = self.into_ndarray().split_at(axis, index);
        (ArrayView::owned_by(before, owner), ArrayView::owned_by(after, owner))
    }

    /// A view that lives shorter.
    #[must_use]
    pub fn reborrow<'b>(self) -> ArrayView<'b, A, D>
    where
        'a: 'b,
    {
        self
    }
}

/// # In place
impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// Exchanges two axes.
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn swap_axes(&mut self, ax: usize, bx: usize) {
        or_panic(self.change(|expr| swapped(expr, ax, bx), |a| a.swap_axes(ax, bx)));
    }

    /// [`swap_axes`](Self::swap_axes) that returns what goes wrong, and then changes nothing.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_swap_axes(&mut self, ax: usize, bx: usize) -> Result<()> {
        super::slice::axis_len(self.shape(), Axis(ax))?;
        super::slice::axis_len(self.shape(), Axis(bx))?;
        self.change(|expr| swapped(expr, ax, bx), |a| a.swap_axes(ax, bx))
    }

    /// Reverses the order of the elements along an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn invert_axis(&mut self, axis: Axis) {
        or_panic(self.change(|expr| inverted(expr, axis), |a| a.invert_axis(axis)));
    }

    /// [`invert_axis`](Self::invert_axis) that returns what goes wrong, and then changes nothing.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_invert_axis(&mut self, axis: Axis) -> Result<()> {
        super::slice::axis_len(self.shape(), axis)?;
        self.change(|expr| inverted(expr, axis), |a| a.invert_axis(axis))
    }

    /// Slices the array, without leaving out axes: a position of one is a slice of length 1.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0, a new axis, another number of slices than the array has axes.
    #[track_caller]
    pub fn slice_collapse<I: SliceArg<D>>(&mut self, info: I) {
        or_panic(self.settle());
        or_panic(self.change(|expr| Ok(expr.clone()), |a| a.slice_collapse(info)));
    }

    /// Slices one axis.
    ///
    /// # Panics
    /// At an axis out of range, positions beyond it, a step of 0.
    #[track_caller]
    pub fn slice_axis_inplace(&mut self, axis: Axis, indices: Slice) {
        or_panic(self.change(
            |expr| Ok(on_axis(expr, axis, part(&indices.into()))?),
            |a| a.slice_axis_inplace(axis, indices),
        ));
    }

    /// Slices every axis as `f` says.
    ///
    /// # Panics
    /// At positions beyond an axis, a step of 0.
    #[track_caller]
    pub fn slice_each_axis_inplace<F: FnMut(AxisDescription) -> Slice>(&mut self, f: F) {
        let f = std::cell::RefCell::new(f);
        let call = |axis| (f.borrow_mut())(axis);
        or_panic(self.change(|expr| each_axis(expr, call), |a| a.slice_each_axis_inplace(call)));
    }

    /// Leaves one position of an axis, whose length then is 1.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[track_caller]
    pub fn collapse_axis(&mut self, axis: Axis, index: usize) {
        let part = isize::try_from(index).map_or(Part::At(isize::MAX), |i| Part::Range {
            start: i,
            end: Some(i + 1),
            step: 1,
        });
        or_panic(self.change(
            |expr| {
                at(expr, axis, index)?;
                Ok(on_axis(expr, axis, part)?)
            },
            |a| a.collapse_axis(axis, index),
        ));
    }

    /// Puts the axis `take` into `into`, where their elements lie so that it can be; its length then is 1. Computes the
    /// array.
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn merge_axes(&mut self, take: Axis, into: Axis) -> bool {
        or_panic(self.settle());
        let layout: &mut LayoutRef<A, D> = self.as_mut();
        layout.merge_axes(take, into)
    }

    /// Puts the axes in the given order: axis `i` is then what was axis `axes[i]`.
    ///
    /// # Panics
    /// At `axes` that are not each axis once.
    #[track_caller]
    pub fn permute_axes<T: IntoDimension<Dim = D>>(&mut self, axes: T) {
        let axes = axes.into_dimension();
        self.turn(|array| array.permuted_axes(axes));
    }

    /// Puts the axes in reverse order.
    #[track_caller]
    pub fn reverse_axes(&mut self) {
        self.turn(Parts::reversed_axes);
    }

    /// Puts what `f` makes of the place of the elements into its place.
    #[track_caller]
    fn turn(&mut self, f: impl FnOnce(Parts<A, D>) -> Parts<A, D>) {
        or_panic(self.settle());
        self.replace_place(f);
    }
}

/// # In place, of arrays whose number of dimensions is known at run time
impl<A, S: RawData<Elem = A>> ArrayBase<S, IxDyn, A> {
    /// Puts a new axis of length 1 before `axis`.
    ///
    /// # Panics
    /// At an axis greater than the number of dimensions.
    #[track_caller]
    pub fn insert_axis_inplace(&mut self, axis: Axis) {
        or_panic(self.change(|expr| Ok(expr.insert_axis(axis.index())?), |a| a.insert_axis_inplace(axis)));
    }

    /// Leaves one position of an axis, which the array then does not have.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond it.
    #[track_caller]
    pub fn index_axis_inplace(&mut self, axis: Axis, index: usize) {
        or_panic(self.change(|expr| Ok(at(expr, axis, index)?), |a| a.index_axis_inplace(axis, index)));
    }
}

/// # Where the elements lie
///
/// Of a lazy array, where its values lie once they are computed, which is done here.
impl<A, S: RawData<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The steps between neighbours along each axis, in elements.
    #[must_use]
    #[track_caller]
    pub fn strides(&self) -> &[isize] {
        self.as_layout_ref().strides()
    }

    /// The step between neighbours along an axis, in elements.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn stride_of(&self, axis: Axis) -> isize {
        self.as_layout_ref().stride_of(axis)
    }

    /// The axes with their lengths and strides.
    #[track_caller]
    pub fn axes(&self) -> ndarray::iter::Axes<'_, D> {
        self.as_layout_ref().axes()
    }

    /// The axis with the greatest stride.
    #[must_use]
    #[track_caller]
    pub fn max_stride_axis(&self) -> Axis {
        self.as_layout_ref().max_stride_axis()
    }

    /// Whether the elements are in row-major order without gaps.
    #[must_use]
    #[track_caller]
    pub fn is_standard_layout(&self) -> bool {
        self.as_layout_ref().is_standard_layout()
    }

    /// The address of the first element.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn as_ptr(&self) -> *const A {
        self.as_raw_ref().as_ptr()
    }

    /// The address of an element, or `None` at an index out of bounds.
    #[must_use]
    #[track_caller]
    pub fn get_ptr<I: ndarray::NdIndex<D>>(&self, index: I) -> Option<*const A> {
        self.as_raw_ref().get_ptr(index)
    }

    /// The place of the elements, without their lifetime.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn raw_view(&self) -> ndarray::RawArrayView<A, D> {
        self.as_raw_ref().raw_view()
    }
}

/// # References to parts of it
impl<A, S: RawData<Elem = A>, D> ArrayBase<S, D, A> {
    /// A reference to lengths and strides.
    #[must_use]
    #[track_caller]
    pub fn as_layout_ref(&self) -> &LayoutRef<A, D> {
        self.as_ref()
    }

    /// A reference to lengths and strides, to change them.
    #[must_use]
    #[track_caller]
    pub fn as_layout_ref_mut(&mut self) -> &mut LayoutRef<A, D> {
        self.as_mut()
    }

    /// A reference to the place of the elements.
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn as_raw_ref(&self) -> &ndarray::RawRef<A, D> {
        self.as_ref()
    }

    /// A reference to the place of the elements, to change it.
    #[must_use]
    #[track_caller]
    pub fn as_raw_ref_mut(&mut self) -> &mut ndarray::RawRef<A, D>
    where
        S: super::RawDataMut,
        D: Dimension,
    {
        self.as_mut()
    }
}

fn swapped(expr: &Expr, ax: usize, bx: usize) -> Result<Expr> {
    super::slice::axis_len(&expr.shape(), Axis(ax))?;
    super::slice::axis_len(&expr.shape(), Axis(bx))?;
    let mut axes: Vec<usize> = (0..expr.ndim()).collect();
    axes.swap(ax, bx);
    Ok(expr.permute(&axes)?)
}

fn inverted(expr: &Expr, axis: Axis) -> Result<Expr> {
    Ok(on_axis(expr, axis, Part::Range { start: 0, end: None, step: -1 })?)
}
