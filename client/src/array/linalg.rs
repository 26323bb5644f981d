//! Products of matrices and vectors.
//!
//! Must not know how they are computed.

use super::{Array, Array0};
use crate::error::{Result, or_panic};
use ndarray::{Dimension, Ix1, Ix2, IxDyn, LinalgScalar};
use tilework_expr::Element;

/// The product of arrays, as ndarray's trait of this name.
pub trait Dot<Rhs: ?Sized> {
    /// An array, or the element for two vectors.
    type Output;

    /// The product; see [`Array::dot`].
    ///
    /// # Errors
    /// Inner lengths that differ; a failed computation for two vectors.
    fn try_dot(&self, rhs: &Rhs) -> Result<Self::Output>;
}

macro_rules! dot {
    ($($left:ty, $right:ty => $output:ty;)*) => { $(
        impl<A: Element + LinalgScalar> Dot<Array<A, $right>> for Array<A, $left> {
            type Output = Array<A, $output>;
            fn try_dot(&self, rhs: &Array<A, $right>) -> Result<Self::Output> {
                Array::wrapped(self.expr.dot(&rhs.expr))
            }
        }
    )* };
}
dot! { Ix2, Ix2 => Ix2; Ix2, Ix1 => Ix1; Ix1, Ix2 => Ix1; IxDyn, IxDyn => IxDyn; }

impl<A: Element + LinalgScalar> Dot<Array<A, Ix1>> for Array<A, Ix1> {
    type Output = A;
    fn try_dot(&self, rhs: &Array<A, Ix1>) -> Result<A> {
        self.try_lazy_dot(rhs)?.try_into_scalar()
    }
}

/// # Products
impl<A: Element, D: Dimension> Array<A, D> {
    /// The product of two matrices, of a matrix and a vector in either order, or, computed, of two vectors.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array2::<f64>::eye_chunked(100, 30) * 2.0;
    /// let x = Array1::linspace(0.0, 99.0, 100);
    /// let y = a.dot(&x);
    /// assert_eq!(y.max(), 198.0);
    /// assert_eq!(x.dot(&x), 328_350.0);
    /// ```
    ///
    /// # Panics
    /// If inner lengths differ; for two vectors where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn dot<Rhs: ?Sized>(&self, rhs: &Rhs) -> <Self as Dot<Rhs>>::Output
    where
        Self: Dot<Rhs>,
    {
        or_panic(Dot::try_dot(self, rhs))
    }

    /// [`Array::dot`] that returns what goes wrong.
    ///
    /// # Errors
    /// Inner lengths that differ; a failed computation for two vectors.
    pub fn try_dot<Rhs: ?Sized>(&self, rhs: &Rhs) -> Result<<Self as Dot<Rhs>>::Output>
    where
        Self: Dot<Rhs>,
    {
        Dot::try_dot(self, rhs)
    }
}

impl<A: Element + LinalgScalar> Array<A, Ix1> {
    /// The product of two vectors, as an array without dimensions: several are computed in one run by
    /// [`compute_all`](crate::compute_all).
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    #[track_caller]
    pub fn lazy_dot(&self, rhs: &Array<A, Ix1>) -> Array0<A> {
        or_panic(self.try_lazy_dot(rhs))
    }

    /// [`Array::lazy_dot`] that returns what goes wrong.
    ///
    /// # Errors
    /// Lengths that differ.
    pub fn try_lazy_dot(&self, rhs: &Array<A, Ix1>) -> Result<Array0<A>> {
        Array::wrapped(self.expr.dot(&rhs.expr))
    }
}
