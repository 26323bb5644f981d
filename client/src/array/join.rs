//! Arrays put after one another or on top of one another.
//!
//! Must not know shapes.

use super::Array;
use crate::error::Result;
use ndarray::{Axis, Dimension, RemoveAxis};
use tilework_expr::{Element, Expr};

/// The arrays one after another along an axis.
///
/// # Errors
/// No arrays, an axis out of range, lengths that differ along another axis.
pub fn concatenate<A, D>(axis: Axis, arrays: &[Array<A, D>]) -> Result<Array<A, D>>
where
    A: Element,
    D: RemoveAxis,
{
    Array::wrapped(Expr::concatenate(axis.index(), &exprs(arrays)))
}

/// The arrays as the positions of a new axis.
///
/// # Errors
/// No arrays, an axis greater than the number of dimensions, shapes that differ.
pub fn stack<A, D>(axis: Axis, arrays: &[Array<A, D>]) -> Result<Array<A, D::Larger>>
where
    A: Element,
    D: Dimension,
{
    Array::wrapped(Expr::stack(axis.index(), &exprs(arrays)))
}

fn exprs<A: Element, D: Dimension>(arrays: &[Array<A, D>]) -> Vec<Expr> {
    arrays.iter().map(|a| a.expr.clone()).collect()
}

/// [`concatenate()`](fn@crate::concatenate) of arrays or references to arrays, which panics where that
/// returns an error.
///
/// ```
/// use tilework::prelude::*;
///
/// let (a, b) = (arr1(&[1, 2]), arr1(&[3]));
/// assert_eq!(tilework::concatenate!(Axis(0), a, b).compute(), ndarray::array![1, 2, 3]);
/// assert_eq!(tilework::stack!(Axis(0), a, a).dim(), (2, 2));
/// ```
#[macro_export]
macro_rules! concatenate {
    ($axis:expr, $($array:expr),+ $(,)?) => {
        match $crate::concatenate($axis, &[$($crate::Array::clone(&$array)),+]) {
            Ok(array) => array,
            Err(error) => panic!("tilework: {error}"),
        }
    };
}

/// [`stack()`](fn@crate::stack) of arrays or references to arrays, which panics where that returns an error.
#[macro_export]
macro_rules! stack {
    ($axis:expr, $($array:expr),+ $(,)?) => {
        match $crate::stack($axis, &[$($crate::Array::clone(&$array)),+]) {
            Ok(array) => array,
            Err(error) => panic!("tilework: {error}"),
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
