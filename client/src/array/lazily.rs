//! From an operation's operands to its result: ndarray's own operation at once, or an expression.
//!
//! Must not know which operation it is.

use super::Array;
use super::kind::choice::dtype_of;
use super::kind::node::computed;
use super::kind::source::{Source, is_lazy};
use crate::error::{Error, Result, or_panic};
use ndarray::Dimension;
use tilework_expr::{Expr, ExprError};

/// An expression, or `None` where the element type does not have the operation (then ndarray does it). Panics at the
/// user's mistakes.
#[track_caller]
pub(super) fn or_ndarray(built: Result<Expr>) -> Option<Expr> {
    match built {
        Ok(expr) => Some(expr),
        Err(Error::Expr(ExprError::Undefined { .. } | ExprError::MixedDTypes { .. })) => None,
        Err(error) => or_panic(Err(error)),
    }
}

/// The result of an operation on one array: lazy where that is to be, else what ndarray's gives.
#[track_caller]
pub(super) fn array<A, D: Dimension, B, E: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    build: impl FnOnce(&Expr) -> Result<Expr>,
    eager: impl FnOnce(&ndarray::ArrayRef<A, D>) -> ndarray::Array<B, E>,
) -> Array<B, E> {
    if is_lazy(source) && dtype_of::<B>().is_some() {
        let leaf = or_panic(source.leaf());
        if let Some(expr) = or_ndarray(build(&leaf))
            && dtype_of::<B>() == Some(expr.dtype())
        {
            return Array::of_expr(expr);
        }
    }
    Array::local(eager(source.here()))
}

/// The value of a reduction of all elements: computed on the session where the array is lazy or large, else by
/// ndarray.
#[track_caller]
pub(super) fn value<A, D: Dimension, B>(
    source: &(impl Source<A, D> + ?Sized),
    build: impl FnOnce(&Expr) -> Result<Expr>,
    eager: impl FnOnce(&ndarray::ArrayRef<A, D>) -> B,
) -> B {
    if is_lazy(source) && dtype_of::<B>().is_some() {
        let leaf = or_panic(source.leaf());
        if let Some(expr) = or_ndarray(build(&leaf))
            && dtype_of::<B>() == Some(expr.dtype())
        {
            return or_panic(value_of(&expr));
        }
    }
    eager(source.here())
}

/// Computes an expression without dimensions.
pub(super) fn value_of<B>(expr: &Expr) -> Result<B> {
    let mut values = computed(expr)?.into_vec::<B>();
    Ok(values.pop().expect("an array without dimensions has one element"))
}
