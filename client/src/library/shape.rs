//! The same elements in other places: turned, shifted, repeated.
//!
//! All of it is slices, chosen positions and arrays put after one another: nothing here has a function of its own.

use super::{axis_of, cut};
use crate::array::kinds::on_arrays;
use crate::array::{Array, ArrayD};
use crate::error::{Result, or_panic};
use ndarray::{Axis, RemoveAxis};
use tilework_expr::{Element, Expr, ExprError, SliceArg};

fn range(expr: &Expr, axis: usize, (start, end, step): (isize, Option<isize>, isize)) -> Result<Expr> {
    cut(expr, axis, SliceArg::Range { start, end, step })
}

fn flipped(expr: &Expr, axis: Axis) -> Result<Expr> {
    range(expr, axis_of(expr, axis)?, (0, None, -1))
}

fn rolled(expr: &Expr, axis: Axis, by: isize) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let len = expr.shape()[axis];
    let first = if len == 0 { 0 } else { by.wrapping_neg().rem_euclid(len as isize) };
    if first == 0 {
        return Ok(expr.clone());
    }
    let (end, start) = (range(expr, axis, (first, None, 1))?, range(expr, axis, (0, Some(first), 1))?);
    Ok(Expr::concatenate(axis, &[end, start])?)
}

/// Rolled along each of some axes, by what is made of its length.
pub(crate) fn shifted(expr: &Expr, axes: &[Axis], by: impl Fn(usize) -> isize) -> Result<Expr> {
    axes.iter().try_fold(expr.clone(), |made, &axis| {
        let len = made.shape()[axis_of(&made, axis)?];
        rolled(&made, axis, by(len))
    })
}

fn turned(expr: &Expr, times: isize, axes: (Axis, Axis)) -> Result<Expr> {
    let (a, b) = (axis_of(expr, axes.0)?, axis_of(expr, axes.1)?);
    if a == b {
        let expected = "two different ones";
        return Err(ExprError::Axes { axes: vec![a, b], ndim: expr.ndim(), expected }.into());
    }
    let mut order: Vec<usize> = (0..expr.ndim()).collect();
    order.swap(a, b);
    Ok(match times.rem_euclid(4) {
        0 => expr.clone(),
        1 => flipped(expr, axes.1)?.permute(&order)?,
        2 => flipped(&flipped(expr, axes.0)?, axes.1)?,
        _ => flipped(&expr.permute(&order)?, axes.1)?,
    })
}

fn repeated(expr: &Expr, axis: Axis, times: usize) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let (mut many, mut shape) = (expr.shape(), expr.shape());
    shape[axis] = shape[axis].checked_mul(times).ok_or_else(|| too_many(many[axis], times))?;
    many.insert(axis + 1, times);
    Ok(expr.insert_axis(axis + 1)?.broadcast_to(&many)?.reshape(&shape)?)
}

fn too_many(len: usize, times: usize) -> crate::Error {
    let got = format!("{times} times {len} positions");
    ExprError::Parameter { what: "repetitions", got, expected: "no more than can be counted" }.into()
}

fn tiled(expr: &Expr, axis: Axis, times: usize) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    if times == 0 {
        return range(expr, axis, (0, Some(0), 1));
    }
    if times > TILES_MAX {
        return Err(too_many(expr.shape()[axis], times));
    }
    Ok(Expr::concatenate(axis, &vec![expr.clone(); times])?)
}

/// How often an array may stand beside itself.
const TILES_MAX: usize = 1 << 20;

/// An axis in another place among the others.
pub(crate) fn moved(expr: &Expr, from: Axis, to: Axis) -> Result<Expr> {
    let (from, to) = (axis_of(expr, from)?, axis_of(expr, to)?);
    let mut order: Vec<usize> = (0..expr.ndim()).filter(|a| *a != from).collect();
    order.insert(to, from);
    Ok(expr.permute(&order)?)
}

/// An axis moved before another one, or behind the last.
fn rolled_before(expr: &Expr, axis: Axis, start: usize) -> Result<Expr> {
    let from = axis_of(expr, axis)?;
    if start > expr.ndim() {
        return Err(ExprError::AxisOutOfRange { axis: start, ndim: expr.ndim() }.into());
    }
    moved(expr, axis, Axis(start - usize::from(start > from)))
}

/// With axes of length 1 so that there are at least so many, as NumPy puts them.
fn at_least(expr: &Expr, n: usize) -> Result<Expr> {
    Ok(match (expr.ndim(), n) {
        (0, _) => expr.reshape(&vec![1; n])?,
        (1, 2) => expr.insert_axis(0)?,
        (1, 3) => expr.insert_axis(0)?.insert_axis(2)?,
        (2, 3) => expr.insert_axis(2)?,
        _ => expr.clone(),
    })
}

macro_rules! twins {
    ($($(#[$doc:meta])* $name:ident $try_name:ident ($($p:ident: $t:ty),*) errors $errors:literal $build:expr;)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`](Self::", stringify!($try_name), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $name(&self, $($p: $t),*) -> Array<A, D> {
            or_panic(self.$try_name($($p),*))
        }

        #[doc = concat!("[`", stringify!($name), "`](Self::", stringify!($name), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_name(&self, $($p: $t),*) -> Result<Array<A, D>> {
            let build: fn(&Expr, $($t),*) -> Result<Expr> = $build;
            Ok(Array::of_expr(build(&self.leaf()?, $($p),*)?))
        }
    )* };
}

on_arrays!({ A: Element } {
    twins! {
        /// The elements of an axis in reverse order, as a lazy array.
        flip try_flip(axis: Axis) errors "An axis out of range." flipped;

        /// The elements moved along an axis by so many positions, forward or back; what leaves at one end comes in at the
        /// other. A lazy array of the same shape.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// assert_eq!(arr1(&[1, 2, 3, 4]).roll(Axis(0), 1).compute(), ndarray::arr1(&[4, 1, 2, 3]));
        /// ```
        roll try_roll(axis: Axis, by: isize) errors "An axis out of range." rolled;

        /// The array turned so many times by a right angle in the plane of two axes, from the first towards the second, as
        /// NumPy's `rot90`. A lazy array.
        rot90 try_rot90(times: isize, axes: (Axis, Axis)) errors "An axis out of range; twice the same." turned;

        /// Each position of an axis so many times, one after another: a lazy array, as long as many times along the axis.
        repeat try_repeat(axis: Axis, times: usize) errors "An axis out of range; more positions than can be." repeated;

        /// All positions of an axis so many times, one after another: a lazy array, as long as many times along the axis.
        tile try_tile(axis: Axis, times: usize) errors "An axis out of range; more positions than can be." tiled;

        /// An axis moved to another place, the others in their order: a lazy array.
        moveaxis try_moveaxis(from: Axis, to: Axis) errors "An axis out of range." moved;

        /// An axis moved before axis `start`, or behind the last where that is their number, the others in their order: a lazy
        /// array.
        rollaxis try_rollaxis(axis: Axis, start: usize) errors "An axis out of range." rolled_before;
    }
});

on_arrays!({ A: Element } {
    super::twins! {
        /// With an axis of length 1, where there is none: a lazy array.
        atleast_1d, try_atleast_1d [] (&self) -> ArrayD<A>,
        errors "None in practice.",
        { Ok(Array::of_expr(at_least(&self.leaf()?, 1)?)) }

        /// With axes of length 1 before the others, so that there are two at least: a lazy array.
        atleast_2d, try_atleast_2d [] (&self) -> ArrayD<A>,
        errors "None in practice.",
        { Ok(Array::of_expr(at_least(&self.leaf()?, 2)?)) }

        /// With axes of length 1, so that there are three at least: of `n` elements `1 x n x 1`, of `m x n` `m x n x 1`, as
        /// NumPy's. A lazy array.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// assert_eq!(arr1(&[1, 2]).atleast_3d().shape(), [1, 2, 1]);
        /// ```
        atleast_3d, try_atleast_3d [] (&self) -> ArrayD<A>,
        errors "None in practice.",
        { Ok(Array::of_expr(at_least(&self.leaf()?, 3)?)) }
    }
});

on_arrays!({ A: Element } {
    /// The array in parts along an axis, so many of them, the first ones one longer where it does not come out even.
    ///
    /// # Panics
    /// Where [`Array::try_split_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn split_axis(&self, axis: Axis, n: usize) -> Vec<Array<A, D>>
    where
        D: RemoveAxis,
    {
        or_panic(self.try_split_axis(axis, n))
    }

    /// [`Array::split_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; no parts.
    pub fn try_split_axis(&self, axis: Axis, n: usize) -> Result<Vec<Array<A, D>>> {
        let expr = self.leaf()?;
        let axis = axis_of(&expr, axis)?;
        if n == 0 {
            let expected = "at least one";
            return Err(ExprError::Parameter { what: "number of parts", got: "0".into(), expected }.into());
        }
        let (len, mut at, mut parts) = (expr.shape()[axis], 0, Vec::with_capacity(n.min(1 << 16)));
        for i in 0..n {
            let end = at + len / n + usize::from(i < len % n);
            parts.push(Array::of_expr(range(&expr, axis, (at as isize, Some(end as isize), 1))?));
            at = end;
        }
        Ok(parts)
    }
});
