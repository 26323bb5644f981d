//! More positions around an array, in each of NumPy's ways.
//!
//! All of it is chosen positions, reductions and arrays put after one another: nothing here has a function of its own.

use super::select::median_along;
use super::{axis_of, cut, even};
use crate::array::Array;
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::error::Result;
use ndarray::Axis;
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, ExprError, Fold, Scalar, SliceArg, UnaryOp};

/// What lies around an array that is made larger: for an axis with elements `a b c d` and a width of 2.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pad<A> {
    /// This value: `x x | a b c d | x x`.
    Constant(A),
    /// The last element: `a a | a b c d | d d`.
    Edge,
    /// The mirror image without the edge: `c b | a b c d | c b`.
    Reflect,
    /// The mirror image with the edge: `b a | a b c d | d c`.
    Symmetric,
    /// The other end: `c d | a b c d | a b`.
    Wrap,
    /// Even steps from the edge to this value, which is the last: integers are rounded down. Not of complex elements.
    LinearRamp(A),
    /// The greatest element of each lane, NaN where any is.
    Maximum,
    /// The least element of each lane, NaN where any is.
    Minimum,
    /// The mean of each lane; of integers the nearest, of two that are as near the even one.
    Mean,
    /// The median of each lane; of integers the nearest, of two that are as near the even one.
    Median,
}

/// Positions that are padded with others, which are listed.
const PADDED_MAX: usize = 1 << 28;

impl<A: Element> Pad<A> {
    /// The position of an axis of `len`, which is not 0, that a position beyond its ends has the element of; where there is
    /// one.
    fn position(&self, at: isize, len: usize) -> Option<usize> {
        let n = len as isize;
        let mirrored = |period: isize, last: isize| {
            let at = at.rem_euclid(period.max(1));
            if at < n { at } else { last - at }
        };
        Some(match self {
            Pad::Edge => at.clamp(0, n - 1),
            Pad::Wrap => at.rem_euclid(n),
            Pad::Symmetric => mirrored(2 * n, 2 * n - 1),
            Pad::Reflect => mirrored(2 * n - 2, 2 * n - 2),
            _ => return None,
        } as usize)
    }

    /// What lies before and behind an axis with elements.
    fn around(self, expr: &Expr, axis: usize, (before, after): (usize, usize)) -> Result<[Expr; 2]> {
        let shape = |n: usize| {
            let mut shape = expr.shape();
            shape[axis] = n;
            shape
        };
        let of_lanes = |one: Expr| -> Result<[Expr; 2]> {
            let one = one.insert_axis(axis)?;
            Ok([one.broadcast_to(&shape(before))?, one.broadcast_to(&shape(after))?])
        };
        match self {
            Pad::Constant(value) => {
                let full = |n: usize| Expr::full(&shape(n), &Chunks::Auto, Scalar::new(value));
                Ok([full(before)?, full(after)?])
            }
            Pad::Maximum => of_lanes(expr.reduce(Fold::Max, &[axis])?),
            Pad::Minimum => of_lanes(expr.reduce(Fold::Min, &[axis])?),
            Pad::Mean if expr.dtype().is_int() => {
                of_lanes(even(&expr.cast(DType::F64)?.reduce(Fold::Mean, &[axis])?)?.cast(A::DTYPE)?)
            }
            Pad::Mean => of_lanes(expr.reduce(Fold::Mean, &[axis])?),
            Pad::Median if expr.dtype().is_int() => {
                of_lanes(even(&median_along(expr, axis)?)?.cast(A::DTYPE)?)
            }
            Pad::Median => of_lanes(median_along(expr, axis)?),
            Pad::LinearRamp(end) => {
                let at = |at| cut(expr, axis, SliceArg::Range { start: at, end: None, step: 1 });
                let first = cut(expr, axis, SliceArg::Range { start: 0, end: Some(1), step: 1 })?;
                let behind = ramp(&at(-1)?, axis, after, end)?;
                let turned = cut(&behind, axis, SliceArg::Range { start: 0, end: None, step: -1 })?;
                Ok([ramp(&first, axis, before, end)?, turned])
            }
            Pad::Edge | Pad::Reflect | Pad::Symmetric | Pad::Wrap => {
                let len = expr.shape()[axis];
                let of = |all: std::ops::Range<isize>| -> Result<Expr> {
                    Ok(expr.take(axis, &all.filter_map(|at| self.position(at, len)).collect::<Vec<_>>())?)
                };
                let n = len as isize;
                Ok([of(-(before as isize)..0)?, of(n..n + after as isize)?])
            }
        }
    }
}

/// So many even steps from a value towards an edge, which they do not reach.
fn ramp<A: Element>(edge: &Expr, axis: usize, n: usize, end: A) -> Result<Expr> {
    let mut lens = vec![1; edge.ndim()];
    lens[axis] = n;
    let wide = |value: f64| Expr::full(&[], &Chunks::Auto, Scalar::new(value));
    let end = Expr::full(&[], &Chunks::Auto, Scalar::new(end))?.cast(DType::F64)?;
    let step =
        edge.cast(DType::F64)?.binary(BinaryOp::Sub, &end)?.binary(BinaryOp::Div, &wide(n.max(1) as f64)?)?;
    let at = Expr::index(&lens, &Chunks::Auto, axis)?.cast(DType::F64)?;
    let ramp = at.binary(BinaryOp::Mul, &step)?.binary(BinaryOp::Add, &end)?;
    let ramp = if A::DTYPE.is_int() { ramp.unary(UnaryOp::Floor)? } else { ramp };
    Ok(ramp.cast(A::DTYPE)?)
}

fn padded<A: Element>(expr: &Expr, axis: Axis, (before, after): (usize, usize), pad: Pad<A>) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    let len = expr.shape()[axis];
    let most = if pad.position(0, 1).is_none() { isize::MAX as usize } else { PADDED_MAX };
    if before.checked_add(after).is_none_or(|n| n > most) {
        let (what, got) = ("positions to pad", format!("{before} and {after} around {len}"));
        return Err(ExprError::Parameter { what, got, expected: "no more than 268435456" }.into());
    }
    if before + after == 0 {
        return Ok(expr.clone());
    }
    if len == 0 && !matches!(pad, Pad::Constant(_)) {
        let got = format!("none along axis {axis}");
        let expected = "at least one, but with a constant";
        return Err(ExprError::Parameter { what: "elements to pad with", got, expected }.into());
    }
    let [first, last] = pad.around(expr, axis, (before, after))?;
    let mut parts = vec![first, expr.clone(), last];
    parts.retain(|part| part.shape()[axis] > 0);
    Ok(Expr::concatenate(axis, &parts)?)
}

on_arrays!({ A: Element } {
    twins! {
        /// More positions before and behind those of an axis, with what [`Pad`](crate::Pad) says: a lazy array of the same
        /// dtype.
        ///
        /// ```
        /// use tilework::Pad;
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 2, 3]);
        /// assert_eq!(x.pad(Axis(0), (2, 1), Pad::Constant(0)).compute(), ndarray::arr1(&[0, 0, 1, 2, 3, 0]));
        /// assert_eq!(x.pad(Axis(0), (1, 2), Pad::Reflect).compute(), ndarray::arr1(&[2, 1, 2, 3, 2, 1]));
        /// assert_eq!(x.pad(Axis(0), (0, 2), Pad::Maximum).compute(), ndarray::arr1(&[1, 2, 3, 3, 3]));
        /// ```
        pad, try_pad [] (&self, axis: Axis, widths: (usize, usize), pad: Pad<A>) -> Array<A, D>,
        errors "An axis out of range, or without elements but with a constant; more positions than can be; elements that do not \
            have what they are padded with.",
        { Ok(Array::of_expr(padded(&self.leaf()?, axis, widths, pad)?)) }
    }
});
