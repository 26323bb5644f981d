//! `Array<A, D>`: an expression with ndarray's type parameters, and how it becomes values.
//!
//! Knows expressions and sessions. Must not know how a session runs a program.

mod compare;
mod compute;
mod construct;
mod display;
mod join;
mod linalg;
mod local;
mod maths;
mod matrices;
mod operand;
mod operators;
mod reduce;
mod shape;
mod slice;
mod twins;

use crate::error::Result;
use ndarray::{Dimension, ShapeBuilder};
use std::marker::PhantomData;
use tilework_expr::{AxisChunks, AxisGrid, Chunks, Element, Expr, Grid, Scalar};

pub use compare::{try_where, where_};
pub use compute::{ComputeAll, compute_all, try_compute_all};
pub use join::{concatenate, stack};
pub use linalg::Dot;
pub(crate) use local::plane_of_array;
pub use local::{arr0, arr1, arr2};
pub use maths::{ComplexMath, Real, SignedMath};
pub use operand::Operand;

/// A lazy n-dimensional array with elements of `A` and ndarray's dimension type `D`.
///
/// Operations that return arrays build expressions; nothing is computed until a method asks for values.
/// Clones share the expression.
pub struct Array<A, D> {
    expr: Expr,
    types: PhantomData<fn() -> (A, D)>,
}

impl<A, D> Clone for Array<A, D> {
    fn clone(&self) -> Self {
        Array { expr: self.expr.clone(), types: PhantomData }
    }
}

/// An array without dimensions.
pub type Array0<A> = Array<A, ndarray::Ix0>;
/// An array of one dimension.
pub type Array1<A> = Array<A, ndarray::Ix1>;
/// An array of two dimensions.
pub type Array2<A> = Array<A, ndarray::Ix2>;
/// An array of three dimensions.
pub type Array3<A> = Array<A, ndarray::Ix3>;
/// An array of four dimensions.
pub type Array4<A> = Array<A, ndarray::Ix4>;
/// An array of five dimensions.
pub type Array5<A> = Array<A, ndarray::Ix5>;
/// An array of six dimensions.
pub type Array6<A> = Array<A, ndarray::Ix6>;
/// An array whose number of dimensions is known at run time.
pub type ArrayD<A> = Array<A, ndarray::IxDyn>;

impl<A: Element, D: Dimension> Array<A, D> {
    /// Wraps an expression whose dtype and number of dimensions the caller knows to be those of the types.
    pub(crate) fn wrap(expr: Expr) -> Self {
        debug_assert_eq!(expr.dtype(), A::DTYPE);
        debug_assert!(D::NDIM.is_none_or(|n| n == expr.ndim()), "{expr:?}");
        Array { expr, types: PhantomData }
    }

    /// Wraps the result of building an expression.
    pub(crate) fn wrapped(expr: std::result::Result<Expr, tilework_expr::ExprError>) -> Result<Self> {
        Ok(Self::wrap(expr?))
    }

    /// The expression behind the array.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The lengths of the axes, in ndarray's form.
    #[must_use]
    pub fn raw_dim(&self) -> D {
        dim_of(&self.expr.shape())
    }

    /// The lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.expr.shape()
    }

    /// The lengths of the axes as ndarray's pattern: a tuple for a fixed number of dimensions.
    #[must_use]
    pub fn dim(&self) -> D::Pattern {
        self.raw_dim().into_pattern()
    }

    /// Number of axes.
    #[must_use]
    pub fn ndim(&self) -> usize {
        self.expr.ndim()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expr.len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expr.is_empty()
    }

    /// The length of an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    pub fn len_of(&self, axis: ndarray::Axis) -> usize {
        self.expr.shape()[axis.index()]
    }

    /// The lengths of the chunks along each axis.
    #[must_use]
    pub fn chunks(&self) -> Vec<Vec<usize>> {
        self.expr.grid().axes().iter().map(tilework_expr::AxisGrid::chunk_lens).collect()
    }
}

/// A shape as ndarray's dimension.
pub(crate) fn dim_of<D: Dimension>(shape: &[usize]) -> D {
    let mut dim = D::zeros(shape.len());
    for (d, &l) in dim.slice_mut().iter_mut().zip(shape) {
        *d = l;
    }
    dim
}

/// What ndarray takes for a shape, as lengths. The order of elements in memory is ours to choose.
pub(crate) fn shape_of<Sh: ShapeBuilder>(shape: Sh) -> Vec<usize> {
    shape.into_shape_with_order().raw_dim().slice().to_vec()
}

/// A grid as chunks to ask for.
pub(crate) fn chunks_of(grid: &Grid) -> Chunks {
    let axes = grid.axes().iter().map(|axis| match axis {
        AxisGrid::Regular { chunk, .. } => AxisChunks::Len(*chunk as isize),
        AxisGrid::Explicit { .. } => AxisChunks::Lens(axis.chunk_lens()),
    });
    Chunks::Axes(axes.collect())
}

/// One value, as an expression that broadcasts with any.
pub(crate) fn scalar<A: Element>(value: A) -> Result<Expr> {
    Ok(Expr::full(&[], &Chunks::Auto, Scalar::new(value))?)
}
