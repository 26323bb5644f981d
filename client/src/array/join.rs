//! Arrays put after one another or on top of one another.
//!
//! Must not know shapes.

use super::kind::choice::dtype_of;
use super::kind::source::Source;
use super::{Array, ArrayView, lazily};
use crate::error::Result;
use ndarray::{Axis, Dimension, RemoveAxis, ShapeError};
use tilework_expr::{Element, Expr};

/// The arrays one after another along an axis.
///
/// ```
/// use tilework::prelude::*;
///
/// let (a, b) = (arr1(&[1, 2]), arr1(&[3]));
/// assert_eq!(tilework::concatenate(Axis(0), &[a.view(), b.view()]), Ok(array![1, 2, 3]));
/// ```
///
/// # Errors
/// No arrays, an axis out of range, lengths that differ along another axis.
pub fn concatenate<A, D>(
    axis: Axis,
    arrays: &[ArrayView<'_, A, D>],
) -> std::result::Result<Array<A, D>, ShapeError>
where
    A: Clone,
    D: RemoveAxis,
{
    if wants_lazy(arrays) && fit(arrays, Some(axis)) {
        let joined = exprs(arrays).and_then(|exprs| Ok(Expr::concatenate(axis.index(), &exprs)?));
        if let Some(expr) = lazily::or_ndarray(joined) {
            return Ok(Array::of_expr(expr));
        }
    }
    let here: Vec<_> = arrays.iter().map(|a| a.clone().into_ndarray()).collect();
    Ok(Array::local(ndarray::concatenate(axis, &here)?))
}

/// The arrays as the positions of a new axis.
///
/// # Errors
/// No arrays, an axis greater than the number of dimensions, shapes that differ.
pub fn stack<A, D>(
    axis: Axis,
    arrays: &[ArrayView<'_, A, D>],
) -> std::result::Result<Array<A, D::Larger>, ShapeError>
where
    A: Clone,
    D: Dimension,
    D::Larger: RemoveAxis,
{
    if wants_lazy(arrays) && axis.index() <= arrays[0].ndim() && fit(arrays, None) {
        let joined = exprs(arrays).and_then(|exprs| Ok(Expr::stack(axis.index(), &exprs)?));
        if let Some(expr) = lazily::or_ndarray(joined) {
            return Ok(Array::of_expr(expr));
        }
    }
    let here: Vec<_> = arrays.iter().map(|a| a.clone().into_ndarray()).collect();
    Ok(Array::local(ndarray::stack(axis, &here)?))
}

/// [`concatenate()`] of arrays, lazily, with an error that says what does not fit.
///
/// # Errors
/// No arrays, an axis out of range, lengths that differ along another axis.
pub fn try_concatenate<A: Element, D: RemoveAxis>(axis: Axis, arrays: &[Array<A, D>]) -> Result<Array<A, D>> {
    Array::wrapped(Expr::concatenate(axis.index(), &exprs(arrays)?))
}

/// [`stack()`] of arrays, lazily, with an error that says what does not fit.
///
/// # Errors
/// No arrays, an axis greater than the number of dimensions, shapes that differ.
pub fn try_stack<A: Element, D: Dimension>(
    axis: Axis,
    arrays: &[Array<A, D>],
) -> Result<Array<A, D::Larger>> {
    Array::wrapped(Expr::stack(axis.index(), &exprs(arrays)?))
}

fn wants_lazy<A, D: Dimension>(arrays: &[ArrayView<'_, A, D>]) -> bool {
    dtype_of::<A>().is_some() && arrays.iter().any(Source::wants_lazy)
}

/// Whether the shapes are equal, but for one axis: what does not fit is ndarray's to refuse.
fn fit<A, D: Dimension>(arrays: &[ArrayView<'_, A, D>], but: Option<Axis>) -> bool {
    let first = arrays[0].shape();
    let same = |shape: &[usize]| {
        shape.len() == first.len() && (0..first.len()).all(|a| but == Some(Axis(a)) || shape[a] == first[a])
    };
    but.is_none_or(|axis| axis.index() < first.len()) && arrays.iter().all(|a| same(a.shape()))
}

fn exprs<A, D: Dimension>(arrays: &[impl Source<A, D>]) -> Result<Vec<Expr>> {
    arrays.iter().map(Source::leaf).collect()
}

/// [`concatenate()`](fn@crate::concatenate) of arrays, views or references to them, which panics where that
/// returns an error.
///
/// ```
/// use tilework::prelude::*;
///
/// let (a, b) = (arr1(&[1, 2]), arr1(&[3]));
/// assert_eq!(tilework::concatenate!(Axis(0), a, b), array![1, 2, 3]);
/// assert_eq!(tilework::stack!(Axis(0), a, a).dim(), (2, 2));
/// ```
#[macro_export]
macro_rules! concatenate {
    ($axis:expr, $($array:expr),+ $(,)?) => {
        match $crate::concatenate($axis, &[$($crate::ArrayView::from(&$array)),+]) {
            Ok(array) => array,
            Err(error) => panic!("{error}"),
        }
    };
}

/// [`stack()`](fn@crate::stack) of arrays, views or references to them, which panics where that returns an error.
#[macro_export]
macro_rules! stack {
    ($axis:expr, $($array:expr),+ $(,)?) => {
        match $crate::stack($axis, &[$($crate::ArrayView::from(&$array)),+]) {
            Ok(array) => array,
            Err(error) => panic!("{error}"),
        }
    };
}

/// An array with the given elements, written as for ndarray's `array!`.
#[macro_export]
macro_rules! array {
    ($($elements:tt)*) => {
        $crate::Array::from($crate::ndarray::array![$($elements)*])
    };
}
