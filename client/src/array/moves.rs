//! Methods that take an array and give one of the same kind: other shapes, orders of axes, types of dimension,
//! slices.
//!
//! Must not know element types.

use super::shape::reshaped;
use super::slice::{at, on_axis, part, parts};
use super::{ArcArray, Array, ArrayView, ArrayViewMut, CowArray};
use crate::error::{Result, or_panic};
use ndarray::{
    Axis, Dimension, ErrorKind, IntoDimension, Ix1, IxDyn, Order, RemoveAxis, ShapeArg, ShapeError, Slice,
    SliceArg,
};
use tilework_expr::{Expr, SliceArg as Part};

impl<A, D: Dimension> Array<A, D> {
    #[track_caller]
    fn moved<E: Dimension>(
        self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(ndarray::Array<A, D>) -> ndarray::Array<A, E>,
    ) -> Array<A, E> {
        match self.node() {
            Some(node) if !node.is_here() => Array::of_expr(or_panic(build(node.expr()))),
            _ => Array::local(local(self.into_ndarray())),
        }
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    #[track_caller]
    fn moved<E: Dimension>(
        self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(ndarray::ArrayView<'a, A, D>) -> ndarray::ArrayView<'a, A, E>,
    ) -> ArrayView<'a, A, E> {
        if let Some(node) = self.node()
            && !node.is_here()
        {
            let expr = or_panic(build(node.expr()));
            if let Some(view) = ArrayView::lazy(node, expr) {
                return view;
            }
        }
        let owner = self.owner();
        ArrayView::owned_by(local(self.into_nd()), owner)
    }
}

macro_rules! moved_locally {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A, D: Dimension> $kind<$($lt,)? A, D> {
            #[track_caller]
            fn moved<E: Dimension>(
                self,
                _: impl FnOnce(&Expr) -> Result<Expr>,
                local: impl FnOnce(ndarray::$kind<$($lt,)? A, D>) -> ndarray::$kind<$($lt,)? A, E>,
            ) -> $kind<$($lt,)? A, E> {
                $kind::local(local(self.into_ndarray()))
            }
        }
    )* };
}
moved_locally! { ['a] ArrayViewMut ['a] CowArray [] ArcArray }

macro_rules! moves {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        /// # Other shapes and parts, of the same kind
        impl<$($lt,)? A, D: Dimension> $kind<$($lt,)? A, D> {
            /// The array with its number of dimensions known at run time.
            #[must_use]
            #[track_caller]
            pub fn into_dyn(self) -> $kind<$($lt,)? A, IxDyn> {
                self.moved(|expr| Ok(expr.clone()), |a| a.into_dyn())
            }

            /// The array with its number of dimensions in the type.
            ///
            /// # Errors
            /// An array of another number of dimensions.
            pub fn into_dimensionality<D2: Dimension>(
                self,
            ) -> std::result::Result<$kind<$($lt,)? A, D2>, ShapeError> {
                if D2::NDIM.is_some_and(|n| n != self.ndim()) {
                    return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
                }
                Ok(self.moved(
                    |expr| Ok(expr.clone()),
                    |a| a.into_dimensionality().expect("the number of dimensions was checked"),
                ))
            }

            /// The slice that ndarray's `s![..]` describes.
            ///
            /// # Panics
            /// At positions beyond an axis, a step of 0, another number of slices than the array has axes.
            #[must_use]
            #[track_caller]
            pub fn slice_move<I: SliceArg<D>>(self, info: I) -> $kind<$($lt,)? A, I::OutDim> {
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
            pub fn index_axis_move(self, axis: Axis, index: usize) -> $kind<$($lt,)? A, D::Smaller>
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
            pub fn remove_axis(self, axis: Axis) -> $kind<$($lt,)? A, D::Smaller>
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
            pub fn insert_axis(self, axis: Axis) -> $kind<$($lt,)? A, D::Larger> {
                self.moved(|expr| Ok(expr.insert_axis(axis.index())?), |a| a.insert_axis(axis))
            }

            /// The axes in reverse order.
            #[must_use]
            #[track_caller]
            pub fn reversed_axes(self) -> Self {
                self.moved(|expr| Ok(expr.reversed_axes()?), |a| a.reversed_axes())
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
            pub fn into_diag(self) -> $kind<$($lt,)? A, Ix1> {
                $kind::local(ndarray::ArrayBase::into_diag(self.into_ndarray()))
            }

            /// The same elements in another shape: in row-major order, or column-major with
            /// `(shape, ndarray::Order::ColumnMajor)`.
            ///
            /// # Errors
            /// A shape with another number of elements; elements in this process that lie in another order.
            pub fn into_shape_with_order<E: ShapeArg>(
                self,
                shape: E,
            ) -> std::result::Result<$kind<$($lt,)? A, E::Dim>, ShapeError> {
                if !self.is_lazy() {
                    return Ok($kind::local(self.into_ndarray().into_shape_with_order(shape)?));
                }
                let (dim, order) = shape.into_shape_and_order();
                let wanted = dim.slice().iter().try_fold(1usize, |n, &l| n.checked_mul(l));
                if wanted != Some(self.len()) {
                    return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
                }
                let order = order.unwrap_or(Order::RowMajor);
                let local = dim.clone();
                Ok(self.moved(
                    |expr| reshaped(expr, dim.slice(), order),
                    |a| a.into_shape_with_order((local, order)).expect("computed elements are in order"),
                ))
            }

            /// The same elements in another shape.
            ///
            /// # Errors
            /// As [`into_shape_with_order`](Self::into_shape_with_order).
            #[deprecated(note = "ndarray deprecates it: use `.into_shape_with_order()` or `.to_shape()`")]
            pub fn into_shape<E: IntoDimension>(
                self,
                shape: E,
            ) -> std::result::Result<$kind<$($lt,)? A, E::Dim>, ShapeError> {
                if self.is_lazy() {
                    return self.into_shape_with_order(shape.into_dimension());
                }
                #[allow(deprecated, reason = "the method of the same name")]
                Ok($kind::local(self.into_ndarray().into_shape(shape)?))
            }
        }
    )* };
}
moves! { [] Array ['a] ArrayView ['a] ArrayViewMut ['a] CowArray [] ArcArray }

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// ndarray's view, computed if need be.
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::ArrayView<'a, A, D> {
        self.into_nd()
    }

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
            let range = |start, end| Part::Range { start, end, step: 1 };
            let at = index as isize;
            let cut = |view: Self, part: Part, slice: Slice| {
                view.moved(|expr| Ok(on_axis(expr, axis, part)?), |a| a.slice_axis_move(axis, slice))
            };
            let before = cut(self.clone(), range(0, Some(at)), Slice::new(0, Some(at), 1));
            return (before, cut(self, range(at, None), Slice::new(at, None, 1)));
        }
        let owner = self.owner();
        let (before, after) = self.into_nd().split_at(axis, index);
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
impl<A, D: Dimension> Array<A, D> {
    #[track_caller]
    fn change(
        &mut self,
        build: impl FnOnce(&Expr) -> Result<Expr>,
        local: impl FnOnce(&mut ndarray::Array<A, D>),
    ) -> Result<()> {
        match self.node() {
            Some(node) if !node.is_here() => *self = Array::of_expr(build(node.expr())?),
            _ => local(self),
        }
        Ok(())
    }

    /// Exchanges two axes.
    ///
    /// # Panics
    /// If an axis is out of range.
    #[track_caller]
    pub fn swap_axes(&mut self, ax: usize, bx: usize) {
        or_panic(self.change(|expr| swapped(expr, ax, bx), |a| a.swap_axes(ax, bx)));
    }

    /// [`Array::swap_axes`] that returns what goes wrong, and then changes nothing.
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

    /// [`Array::invert_axis`] that returns what goes wrong, and then changes nothing.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_invert_axis(&mut self, axis: Axis) -> Result<()> {
        super::slice::axis_len(self.shape(), axis)?;
        self.change(|expr| inverted(expr, axis), |a| a.invert_axis(axis))
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
