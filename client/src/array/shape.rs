//! The same elements in another shape, in another order of axes, in other chunks, under another type of
//! dimension.
//!
//! Must not know element types.

use super::kind::choice::default_chunks;
use super::kind::source::Source;
use super::kinds::{on_all, on_arrays};
use super::twins::twins;
use super::{Array, ArrayView, CowArray};
use crate::error::{Error, Result, or_panic};
use ndarray::{Axis, Dimension, ErrorKind, IntoDimension, Ix0, Ix1, Order, RemoveAxis, ShapeArg, ShapeError};
use tilework_expr::{Chunks, Element, Expr};
use tilework_plan::Grid;

on_arrays!({ A: Element } {
    /// The lengths of the chunks along each axis; of an array in this process, those that an expression which reads
    /// it has.
    #[must_use]
    pub fn chunks(&self) -> Vec<Vec<usize>> {
        let shape = self.shape();
        let grid = match self.node() {
            Some(node) => node.expr().grid().clone(),
            // An array of more dimensions than expressions have is in one piece.
            None => default_chunks(shape).grid(shape, A::DTYPE).unwrap_or_else(|_| Grid::whole(shape)),
        };
        grid.axes().iter().map(tilework_plan::AxisGrid::chunk_lens).collect()
    }

    twins! {
        /// The same elements in other chunks: a length for all axes (`1000`), lengths per axis (`[1000, -1]`,
        /// where -1 is the whole axis), or [`Chunks`].
        ///
        /// Sources are better made in the wanted chunks (`zeros_chunked`, ..): this copies.
        rechunk, try_rechunk [] (&self, chunks: impl Into<Chunks>) -> Array<A, D>,
        errors "Chunks that do not fit the shape.",
        { Array::wrapped(self.leaf()?.rechunk(&chunks.into())) }
    }

    /// The same elements in another shape, lazily, or what goes wrong: in row-major order, or column-major with
    /// `(shape, ndarray::Order::ColumnMajor)`.
    ///
    /// # Errors
    /// A shape with another number of elements.
    pub fn try_reshape<E: ShapeArg>(&self, shape: E) -> Result<Array<A, E::Dim>> {
        let (dim, order) = shape.into_shape_and_order();
        Ok(Array::of_expr(reshaped(&self.leaf()?, dim.slice(), order.unwrap_or(Order::RowMajor))?))
    }

    /// [`permuted_axes`](Self::permuted_axes) that returns what goes wrong, as an array of its own.
    ///
    /// # Errors
    /// `axes` that are not each axis once.
    pub fn try_permuted_axes<T: IntoDimension<Dim = D>>(&self, axes: T) -> Result<Array<A, D>> {
        Array::wrapped(self.leaf()?.permute(axes.into_dimension().slice()))
    }

    /// [`insert_axis`](Self::insert_axis) that returns what goes wrong, as an array of its own.
    ///
    /// # Errors
    /// An axis greater than the number of dimensions.
    pub fn try_insert_axis(&self, axis: Axis) -> Result<Array<A, D::Larger>> {
        Array::wrapped(self.leaf()?.insert_axis(axis.index()))
    }

    /// [`remove_axis`](Self::remove_axis) that returns what goes wrong, as an array of its own.
    ///
    /// # Errors
    /// An axis out of range or of length 0.
    pub fn try_remove_axis(&self, axis: Axis) -> Result<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        self.try_index_axis(axis, 0)
    }

    /// [`broadcast`](Self::broadcast) that returns what goes wrong, as an array of its own.
    ///
    /// # Errors
    /// A shape that the array does not broadcast to, or that is too large.
    pub fn try_broadcast<E: IntoDimension>(&self, dim: E) -> Result<Array<A, E::Dim>> {
        Array::wrapped(self.leaf()?.broadcast_to(dim.into_dimension().slice()))
    }

    /// [`into_dimensionality`](Self::into_dimensionality) of a copy, that says how many dimensions there are.
    ///
    /// # Errors
    /// [`Error::Dimensions`] where the array has another number of dimensions.
    pub fn try_into_dimensionality<D2: Dimension>(&self) -> Result<Array<A, D2>> {
        match D2::NDIM {
            Some(expected) if expected != self.ndim() => {
                Err(Error::Dimensions { what: "the array".into(), got: self.ndim(), expected })
            }
            _ => Ok(Array::of_expr(self.leaf()?)),
        }
    }
});

on_all!({ A } {
    /// The same elements in another shape, as a view where that is possible: in row-major order, or column-major
    /// with `(shape, ndarray::Order::ColumnMajor)`.
    ///
    /// # Errors
    /// A shape with another number of elements.
    pub fn to_shape<E: ShapeArg>(&self, shape: E) -> std::result::Result<CowArray<'_, A, E::Dim>, ShapeError>
    where
        A: Clone,
    {
        if !self.is_unknown() {
            return Ok(CowArray::local(self.here().to_shape(shape)?));
        }
        let (dim, order) = shape.into_shape_and_order();
        let wanted = dim.slice().iter().try_fold(1usize, |n, &l| n.checked_mul(l));
        if wanted != Some(self.len()) {
            return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
        }
        let leaf = or_panic(Source::leaf(self));
        Ok(Array::of_expr(or_panic(reshaped(&leaf, dim.slice(), order.unwrap_or(Order::RowMajor)))).into())
    }

    /// The elements in row-major order, in one dimension.
    #[must_use]
    #[track_caller]
    pub fn flatten(&self) -> CowArray<'_, A, Ix1>
    where
        A: Clone,
    {
        self.flatten_with_order(Order::RowMajor)
    }

    /// The elements in row-major or column-major order, in one dimension.
    #[must_use]
    #[track_caller]
    #[allow(clippy::missing_panics_doc, reason = "there are as many elements")]
    pub fn flatten_with_order(&self, order: Order) -> CowArray<'_, A, Ix1>
    where
        A: Clone,
    {
        self.to_shape((self.len(), order)).expect("as many elements")
    }

    /// The array in row-major order in memory: itself where it is, else a copy.
    #[must_use]
    #[track_caller]
    pub fn as_standard_layout(&self) -> CowArray<'_, A, D>
    where
        A: Clone,
    {
        CowArray::local(self.here().as_standard_layout())
    }

    /// The array for one's own: shares the expression of a lazy one, copies the elements of others.
    #[must_use]
    #[track_caller]
    pub fn to_owned(&self) -> Array<A, D>
    where
        A: Clone,
    {
        match self.node() {
            Some(node) if !node.is_here() => Array::of_expr(node.expr().clone()),
            _ => Array::local(self.here().to_owned()),
        }
    }
});

macro_rules! reshapes {
    ($($kind:ty),*) => { $(
        impl<A: Element, D: Dimension> $kind {
            /// The same elements in another shape, lazily: in row-major order, or column-major with
            /// `(shape, ndarray::Order::ColumnMajor)`.
            ///
            /// # Panics
            /// At a shape with another number of elements.
            #[must_use]
            #[track_caller]
            pub fn reshape<E: ShapeArg>(&self, shape: E) -> Array<A, E::Dim> {
                or_panic(self.try_reshape(shape))
            }
        }
    )* };
}
// The method of shared arrays is ndarray's, and of another meaning.
reshapes!(Array<A, D>, ArrayView<'_, A, D>);

pub(super) fn reshaped(expr: &Expr, shape: &[usize], order: Order) -> Result<Expr> {
    if order == Order::ColumnMajor {
        let backwards: Vec<usize> = shape.iter().rev().copied().collect();
        return Ok(expr.reversed_axes()?.reshape(&backwards)?.reversed_axes()?);
    }
    Ok(expr.reshape(shape)?)
}

impl<A> Array<A, Ix0> {
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
        Ok(self.try_into_ndarray()?.into_scalar())
    }
}
