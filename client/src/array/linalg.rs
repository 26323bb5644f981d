//! Products of matrices and vectors.
//!
//! Must not know how they are computed.

use super::kind::choice::dtype_of;
use super::kind::source::Source;
use super::kinds::{on_all_of, on_writable};
use super::{Array, Array0, ArrayBase, ArrayRef, Data, lazily};
use crate::error::{Result, or_panic};
use ndarray::linalg::Dot as NdDot;
use ndarray::{Dimension, Ix0, Ix1, Ix2, IxDyn, LinalgScalar};
use tilework_expr::{BinaryOp, Element, Expr};

/// The product of arrays, as ndarray's trait of this name.
pub trait Dot<Rhs: ?Sized> {
    /// An array, or the element for two vectors.
    type Output;

    /// The product of two matrices, of a matrix and a vector in either order, or, computed, of two vectors.
    ///
    /// # Panics
    /// If inner lengths differ; for two vectors where the computation fails.
    fn dot(&self, rhs: &Rhs) -> Self::Output;
}

/// The product of two arrays whose product is an array.
#[track_caller]
fn product<A, L: Dimension, R: Dimension, O: Dimension>(
    left: &(impl Source<A, L> + ?Sized),
    right: &(impl Source<A, R> + ?Sized),
) -> Array<A, O>
where
    A: LinalgScalar,
    ndarray::ArrayRef<A, L>: NdDot<ndarray::ArrayRef<A, R>, Output = ndarray::Array<A, O>>,
{
    if let Some(expr) = lazy_product(left, right) {
        return Array::of_expr(expr);
    }
    Array::local(NdDot::dot(left.here(), right.here()))
}

/// The product of two vectors.
#[track_caller]
fn inner_product<A: LinalgScalar>(
    left: &(impl Source<A, Ix1> + ?Sized),
    right: &(impl Source<A, Ix1> + ?Sized),
) -> A {
    match lazy_product(left, right) {
        Some(expr) => or_panic(lazily::value_of(&expr)),
        None => left.here().dot(right.here()),
    }
}

#[track_caller]
fn lazy_product<A, L: Dimension, R: Dimension>(
    left: &(impl Source<A, L> + ?Sized),
    right: &(impl Source<A, R> + ?Sized),
) -> Option<Expr> {
    let lazy = dtype_of::<A>().is_some() && (left.wants_lazy() || right.wants_lazy());
    let build = || Ok(left.leaf()?.dot(&right.leaf()?)?);
    if lazy { lazily::or_ndarray(build()) } else { None }
}

macro_rules! dots {
    ($($left:ident $right:ident $how:ident $out:ty;)*) => { $(
        dots!(@left [S: Data<Elem = A>,] ArrayBase<S, $left, A>, $right $how $out);
        dots!(@left [] ArrayRef<A, $left>, $right $how $out);
        dots!(@ours [S: ndarray::Data<Elem = A>,] ndarray::ArrayBase<S, $left>, $right $how $out);
        dots!(@ours [] ndarray::ArrayRef<A, $left>, $right $how $out);
    )* };
    (@left [$($g:tt)*] $left:ty, $right:ident $how:ident $out:ty) => {
        dots!(@ours [$($g)*] $left, $right $how $out);
        dots!(@one [$($g)* T: ndarray::Data<Elem = A>] $left, ndarray::ArrayBase<T, $right>, $how $out);
        dots!(@one [$($g)*] $left, ndarray::ArrayRef<A, $right>, $how $out);
    };
    (@ours [$($g:tt)*] $left:ty, $right:ident $how:ident $out:ty) => {
        dots!(@one [$($g)* T: Data<Elem = A>] $left, ArrayBase<T, $right, A>, $how $out);
        dots!(@one [$($g)*] $left, ArrayRef<A, $right>, $how $out);
    };
    (@one [$($g:tt)*] $left:ty, $right:ty, $how:ident $out:ty) => {
        impl<A: LinalgScalar, $($g)*> Dot<$right> for $left {
            type Output = $out;
            #[track_caller]
            fn dot(&self, rhs: &$right) -> $out {
                $how(self, rhs)
            }
        }
    };
}

/// ndarray's own trait, by which the method of its arrays takes ours.
macro_rules! dots_of_theirs {
    ($($left:ident $right:ident $out:ty;)*) => { $(
        dots_of_theirs!(@one [S: Data<Elem = A>] $left, ArrayBase<S, $right, A>, $out);
        dots_of_theirs!(@one [] $left, ArrayRef<A, $right>, $out);
    )* };
    (@one [$($g:tt)*] $left:ident, $right:ty, $out:ty) => {
        impl<A: LinalgScalar, $($g)*> NdDot<$right> for ndarray::ArrayRef<A, $left> {
            type Output = $out;
            #[track_caller]
            fn dot(&self, rhs: &$right) -> $out {
                Dot::dot(self, rhs)
            }
        }
    };
}
dots_of_theirs! {
    Ix2 Ix2 Array<A, Ix2>;
    Ix2 Ix1 Array<A, Ix1>;
    Ix1 Ix2 Array<A, Ix1>;
    IxDyn IxDyn Array<A, IxDyn>;
    Ix1 Ix1 A;
}
dots! {
    Ix2 Ix2 product Array<A, Ix2>;
    Ix2 Ix1 product Array<A, Ix1>;
    Ix1 Ix2 product Array<A, Ix1>;
    IxDyn IxDyn product Array<A, IxDyn>;
    Ix1 Ix1 inner_product A;
}

macro_rules! dot_method {
    ($($dim:ident)*) => { $(
        on_all_of!($dim, { A } {
            /// The product of two matrices, of a matrix and a vector in either order, or, computed, of two vectors.
            ///
            /// ```
            /// use tilework::prelude::*;
            ///
            /// let a = Array2::<f64>::in_chunks(30).eye(100) * 2.0;
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
                Dot::dot(self, rhs)
            }
        });
    )* };
}
dot_method! { Ix1 Ix2 IxDyn }

/// # Products that return what goes wrong
impl<A: Element, D: Dimension> Array<A, D> {
    /// [`Array::dot`] that returns what goes wrong, lazily: an array without dimensions for two vectors.
    ///
    /// # Errors
    /// Inner lengths that differ, and operands of other dimensions than products have.
    pub fn try_dot<E: Dimension>(&self, rhs: &Array<A, E>) -> Result<Array<A, <D as DotDim<E>>::Output>>
    where
        D: DotDim<E>,
        A: LinalgScalar,
    {
        Array::wrapped(self.leaf()?.dot(&rhs.leaf()?))
    }
}

/// The dimension of a product.
pub trait DotDim<E> {
    /// The dimension.
    type Output: Dimension;
}

macro_rules! dot_dims {
    ($($left:ident $right:ident $out:ident;)*) => { $(
        impl DotDim<$right> for $left {
            type Output = $out;
        }
    )* };
}
dot_dims! { Ix2 Ix2 Ix2; Ix2 Ix1 Ix1; Ix1 Ix2 Ix1; IxDyn IxDyn IxDyn; Ix1 Ix1 Ix0; }

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
        Array::wrapped(self.leaf()?.dot(&rhs.leaf()?))
    }
}

/// Makes `c` `alpha` times the product of `a` and `b`, plus `beta` times `c`; in this process, as ndarray's function.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
pub fn general_mat_mul<A: LinalgScalar>(
    alpha: A,
    a: &ndarray::ArrayRef2<A>,
    b: &ndarray::ArrayRef2<A>,
    beta: A,
    c: &mut ndarray::ArrayRef2<A>,
) {
    ndarray::linalg::general_mat_mul(alpha, a, b, beta, c);
}

/// Makes `y` `alpha` times the product of `a` and `x`, plus `beta` times `y`; in this process, as ndarray's function.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
pub fn general_mat_vec_mul<A: LinalgScalar>(
    alpha: A,
    a: &ndarray::ArrayRef2<A>,
    x: &ndarray::ArrayRef1<A>,
    beta: A,
    y: &mut ndarray::ArrayRef1<A>,
) {
    ndarray::linalg::general_mat_vec_mul(alpha, a, x, beta, y);
}

/// The Kronecker product of two matrices; in this process, as ndarray's function.
#[must_use]
#[track_caller]
pub fn kron<A: LinalgScalar>(a: &ndarray::ArrayRef2<A>, b: &ndarray::ArrayRef2<A>) -> Array<A, Ix2> {
    Array::local(ndarray::linalg::kron(a, b))
}

on_writable!({ A } {
    /// Adds `alpha` times `rhs`, broadcast to this array's shape.
    ///
    /// # Panics
    /// If `rhs` does not broadcast to this array's shape.
    #[track_caller]
    pub fn scaled_add<E: Dimension>(&mut self, alpha: A, rhs: &(impl Source<A, E> + ?Sized))
    where
        A: LinalgScalar,
    {
        let lazy = |left: &Expr, right: &Expr| {
            let scaled = super::operand::scalar(&alpha)?.binary(BinaryOp::Mul, right)?;
            Ok(left.binary(BinaryOp::Add, &scaled.broadcast_to(&left.shape())?)?)
        };
        self.write_with(rhs, lazy, |a, b| a.scaled_add(alpha, b));
    }
});
