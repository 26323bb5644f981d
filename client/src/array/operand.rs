//! What may stand on the right of an elementwise operation: arrays of any shape that broadcasts, and single
//! values.
//!
//! Must not know operations.

use super::kind::choice::scalar_of;
use super::kind::source::Source;
use super::kinds::on_arrays;
use super::{Array, ArrayBase, ArrayRef, Data};
use crate::error::{Error, Result};
use ndarray::{DimMax, Dimension};
use tilework_expr::{BinaryOp, Chunks, Element, Expr, ExprError};

/// The second operand of an elementwise operation on an array with elements of `A` and dimension `D`: an
/// array (or view, or a reference to one) that broadcasts with it, or a single value.
pub trait Operand<A, D: Dimension> {
    /// The dimension of the result.
    type Dim: Dimension;

    /// The operand as an expression.
    ///
    /// # Errors
    /// Elements of a type that has no lazy form.
    fn operand(self) -> Result<Expr>;

    /// The operand, if it is a single value.
    fn value(&self) -> Option<&A> {
        None
    }
}

/// A value as an expression that broadcasts with any.
pub(super) fn scalar<A>(value: &A) -> Result<Expr> {
    let value = scalar_of(value).ok_or_else(|| not_lazy::<A>())?;
    Ok(Expr::full(&[], &Chunks::Auto, value)?)
}

/// That a lazy operation was asked of elements that have none.
pub(super) fn not_lazy<A>() -> Error {
    let got = std::any::type_name::<A>().to_owned();
    let expected = "an element type that travels (see `DType`)";
    ExprError::Parameter { what: "element type", got, expected }.into()
}

impl<A, D: Dimension> Operand<A, D> for A {
    type Dim = D;
    fn operand(self) -> Result<Expr> {
        scalar(&self)
    }
    fn value(&self) -> Option<&A> {
        Some(self)
    }
}

macro_rules! operands {
    ($([$($g:tt)*] $array:ty;)*) => { $(
        impl<A, D: Dimension + DimMax<E>, E: Dimension, $($g)*> Operand<A, D> for $array {
            type Dim = <D as DimMax<E>>::Output;
            fn operand(self) -> Result<Expr> {
                super::kind::choice::dtype_of::<A>().ok_or_else(|| not_lazy::<A>())?;
                Source::leaf(&self)
            }
        }
    )* };
}
operands! {
    [S: Data<Elem = A>] &ArrayBase<S, E, A>;
    [S: Data<Elem = A>] ArrayBase<S, E, A>;
    [] &ArrayRef<A, E>;
}

on_arrays!({ A: Element } {
    /// An operation on each pair of elements; `B` is the element type that it gives for `A`.
    pub(super) fn binary<B: Element, T: Operand<A, D>>(
        &self,
        op: BinaryOp,
        rhs: T,
    ) -> Result<Array<B, T::Dim>> {
        Array::wrapped(Source::leaf(self)?.binary(op, &rhs.operand()?))
    }
});
