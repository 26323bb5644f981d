//! The same elements in another shape, in another order of axes, in other chunks, under another type of
//! dimension.
//!
//! Must not know element types.

use super::slice::{axis_len, on_axis};
use super::twins::twins;
use super::{Array, ArrayD};
use crate::error::{Error, Result, or_panic};
use ndarray::{Axis, Dimension, IntoDimension, Ix0, Ix1, Order, RemoveAxis, ShapeArg};
use tilework_expr::{Chunks, Element, Expr, SliceArg as Part};

/// # Chunks
impl<A: Element, D: Dimension> Array<A, D> {
    twins! {
        /// The same elements in other chunks: a length for all axes (`1000`), lengths per axis (`[1000, -1]`,
        /// where -1 is the whole axis), or [`Chunks`].
        ///
        /// Sources are better made in the wanted chunks (`zeros_chunked`, ..): this copies.
        rechunk, try_rechunk [] (&self, chunks: impl Into<Chunks>) -> Self,
        errors "Chunks that do not fit the shape.",
        { Self::wrapped(self.expr.rechunk(&chunks.into())) }
    }
}

/// # Order of axes
impl<A: Element, D: Dimension> Array<A, D> {
    /// The axes in reverse order: the transposed matrix.
    #[must_use]
    #[track_caller]
    pub fn t(&self) -> Self {
        or_panic(Self::wrapped(self.expr.reversed_axes()))
    }

    /// The axes in reverse order.
    #[must_use]
    #[track_caller]
    pub fn reversed_axes(self) -> Self {
        self.t()
    }

    twins! {
        /// The axes in the given order: axis `i` of the result is axis `axes[i]` of this array.
        permuted_axes, try_permuted_axes [T: IntoDimension<Dim = D>] (&self, axes: T) -> Self,
        errors "`axes` that are not each axis once.",
        { Self::wrapped(self.expr.permute(axes.into_dimension().slice())) }

        /// A new axis of length 1 before `axis`.
        insert_axis, try_insert_axis [] (&self, axis: Axis) -> Array<A, D::Larger>,
        errors "An axis greater than the number of dimensions.",
        { Array::wrapped(self.expr.insert_axis(axis.index())) }

        /// The array without an axis, at its first position.
        remove_axis, try_remove_axis [] (&self, axis: Axis) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range or of length 0.",
        { self.try_index_axis(axis, 0) }
    }

    /// Exchanges two axes.
    ///
    /// # Panics
    /// Where [`Array::try_swap_axes`] returns an error.
    #[track_caller]
    pub fn swap_axes(&mut self, ax: usize, bx: usize) {
        or_panic(self.try_swap_axes(ax, bx));
    }

    /// [`Array::swap_axes`] that returns what goes wrong, and then changes nothing.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_swap_axes(&mut self, ax: usize, bx: usize) -> Result<()> {
        axis_len(&self.expr, Axis(ax))?;
        axis_len(&self.expr, Axis(bx))?;
        let mut axes: Vec<usize> = (0..self.ndim()).collect();
        axes.swap(ax, bx);
        *self = Self::wrapped(self.expr.permute(&axes))?;
        Ok(())
    }

    /// Reverses the order of the elements along an axis.
    ///
    /// # Panics
    /// Where [`Array::try_invert_axis`] returns an error.
    #[track_caller]
    pub fn invert_axis(&mut self, axis: Axis) {
        or_panic(self.try_invert_axis(axis));
    }

    /// [`Array::invert_axis`] that returns what goes wrong, and then changes nothing.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_invert_axis(&mut self, axis: Axis) -> Result<()> {
        *self = Self::wrapped(on_axis(&self.expr, axis, Part::Range { start: 0, end: None, step: -1 }))?;
        Ok(())
    }
}

/// # Shape
impl<A: Element, D: Dimension> Array<A, D> {
    /// The array repeated to a shape by ndarray's rules, or `None` where it does not broadcast to it.
    #[must_use]
    pub fn broadcast<E: IntoDimension>(&self, dim: E) -> Option<Array<A, E::Dim>> {
        self.try_broadcast(dim).ok()
    }

    /// [`Array::broadcast`] that returns what goes wrong.
    ///
    /// # Errors
    /// A shape that the array does not broadcast to, or that is too large.
    pub fn try_broadcast<E: IntoDimension>(&self, dim: E) -> Result<Array<A, E::Dim>> {
        self.try_broadcast_as(dim.into_dimension())
    }

    pub(super) fn try_broadcast_as<E: Dimension>(&self, dim: E) -> Result<Array<A, E>> {
        Array::wrapped(self.expr.broadcast_to(dim.slice()))
    }

    twins! {
        /// The same elements in another shape: in row-major order, or column-major with
        /// `(shape, ndarray::Order::ColumnMajor)`.
        reshape, try_reshape [E: ShapeArg] (&self, shape: E) -> Array<A, E::Dim>,
        errors "A shape with another number of elements.",
        {
            let (dim, order) = shape.into_shape_and_order();
            Ok(Array::wrap(reshaped(&self.expr, dim.slice(), order.unwrap_or(Order::RowMajor))?))
        }
    }

    /// The same elements in another shape, as [`Array::reshape`].
    ///
    /// # Errors
    /// A shape with another number of elements.
    pub fn to_shape<E: ShapeArg>(&self, shape: E) -> Result<Array<A, E::Dim>> {
        self.try_reshape(shape)
    }

    /// The same elements in another shape, as [`Array::reshape`].
    ///
    /// # Errors
    /// A shape with another number of elements.
    pub fn into_shape_with_order<E: ShapeArg>(self, shape: E) -> Result<Array<A, E::Dim>> {
        self.try_reshape(shape)
    }

    /// The elements in row-major order, in one dimension.
    #[must_use]
    #[track_caller]
    pub fn flatten(&self) -> Array<A, Ix1> {
        self.reshape(self.len())
    }

    /// The elements in row-major or column-major order, in one dimension.
    #[must_use]
    #[track_caller]
    pub fn flatten_with_order(&self, order: Order) -> Array<A, Ix1> {
        self.reshape((self.len(), order))
    }

    /// The elements in row-major order, in one dimension.
    #[must_use]
    #[track_caller]
    pub fn into_flat(self) -> Array<A, Ix1> {
        self.flatten()
    }
}

fn reshaped(expr: &Expr, shape: &[usize], order: Order) -> Result<Expr> {
    if order == Order::ColumnMajor {
        let backwards: Vec<usize> = shape.iter().rev().copied().collect();
        return Ok(expr.reversed_axes()?.reshape(&backwards)?.reversed_axes()?);
    }
    Ok(expr.reshape(shape)?)
}

/// # Dimension types
impl<A: Element, D: Dimension> Array<A, D> {
    /// The array with its number of dimensions known at run time.
    #[must_use]
    pub fn into_dyn(self) -> ArrayD<A> {
        Array::wrap(self.expr)
    }

    /// The array with its number of dimensions in the type.
    ///
    /// # Errors
    /// [`Error::Dimensions`] where the array has another number of dimensions.
    pub fn into_dimensionality<D2: Dimension>(self) -> Result<Array<A, D2>> {
        match D2::NDIM {
            Some(expected) if expected != self.ndim() => {
                Err(Error::Dimensions { what: "the array".into(), got: self.ndim(), expected })
            }
            _ => Ok(Array::wrap(self.expr)),
        }
    }

    /// The array itself: for code that is written for ndarray's owned and borrowed arrays.
    #[must_use]
    pub fn view(&self) -> Self {
        self.clone()
    }

    /// The array itself: for code that is written for ndarray's owned and borrowed arrays.
    #[must_use]
    pub fn to_owned(&self) -> Self {
        self.clone()
    }

    /// The array itself: for code that is written for ndarray's owned and borrowed arrays.
    #[must_use]
    pub fn into_owned(self) -> Self {
        self
    }
}

impl<A: Element> Array<A, Ix0> {
    /// The one element. Computes it.
    ///
    /// # Panics
    /// Where [`Array::try_into_scalar`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn into_scalar(self) -> A {
        or_panic(self.try_into_scalar())
    }

    /// [`Array::into_scalar`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed computation.
    pub fn try_into_scalar(self) -> Result<A> {
        Ok(self.try_compute()?.into_scalar())
    }
}
