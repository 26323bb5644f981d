//! Running sums, products and extremes, differences and integrals along an axis.
//!
//! Knows of which stages they are made: two passes over the chunks, without a chain from chunk to chunk.

use super::{axis_of, cut, flat, number, same, same_but, stage, undefined, with_axis};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array1};
use crate::error::{Result, or_panic};
use ndarray::{Axis, RemoveAxis};
use tilework_expr::{Along, BinaryOp, Element, Expr, ExprError, Fold, SliceArg};
use tilework_kernels::library::scan::Scan;
use tilework_plan::AxisGrid;

/// The running results along an axis.
pub(crate) fn scanned(expr: &Expr, scan: Scan, axis: Axis) -> Result<Expr> {
    let (axis, dtype, ndim) = (axis_of(expr, axis)?, expr.dtype(), expr.ndim());
    if !scan.takes(dtype) {
        return Err(undefined(name(scan), dtype));
    }
    let grid = expr.grid();
    let n_chunks = grid.axes()[axis].n_chunks();
    if n_chunks == 1 || expr.is_empty() {
        return stage(scan.along(axis, dtype, false), &[(expr, same(ndim))], grid, grid);
    }
    let one_each = with_axis(grid, axis, AxisGrid::regular(n_chunks, 1));
    let totals = stage(scan.totals(axis, dtype), &[(expr, same(ndim))], grid, &one_each)?;
    let together = with_axis(grid, axis, AxisGrid::whole(n_chunks));
    let all = same_but(ndim, axis, Along::All);
    let carries = stage(scan.carries(axis, dtype), &[(&totals, all)], &together, &together)?;
    let own = same_but(ndim, axis, Along::Number { axis });
    stage(scan.along(axis, dtype, true), &[(expr, same(ndim)), (&carries, own)], grid, grid)
}

fn name(scan: Scan) -> &'static str {
    match scan {
        Scan::Sum => "cumsum",
        Scan::Prod => "cumprod",
        Scan::NanSum => "nancumsum",
        Scan::NanProd => "nancumprod",
        Scan::Max => "cummax",
        Scan::Min => "cummin",
    }
}

/// The forms of a scan: along an axis and flat, each with its twin that returns what goes wrong.
macro_rules! scans {
    ($($(#[$doc:meta])* $scan:ident $of:literal: $axis:ident $try_axis:ident $flat:ident $try_flat:ident)*) => { $(
        scans! { @axis $(#[$doc])* $of: $axis $try_axis }
        scans! { @rest $scan $of: $axis $try_axis $flat $try_flat }
    )* };
    (@axis $(#[$doc:meta])* $of:literal: $axis:ident $try_axis:ident) => {
        #[doc = concat!($of, " the elements up to each one along an axis, as a lazy array of the same shape and dtype.")]
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axis), "`](Self::", stringify!($try_axis), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axis(&self, axis: Axis) -> Array<A, D> {
            or_panic(self.$try_axis(axis))
        }
    };
    (@rest $scan:ident $of:literal: $axis:ident $try_axis:ident $flat:ident $try_flat:ident) => {
        #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range; elements that do not have it.
        pub fn $try_axis(&self, axis: Axis) -> Result<Array<A, D>> {
            Ok(Array::of_expr(scanned(&self.leaf()?, Scan::$scan, axis)?))
        }

        #[doc = concat!($of, " the elements up to each one in row-major order, as a lazy array of one axis.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_flat), "`](Self::", stringify!($try_flat), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $flat(&self) -> Array1<A> {
            or_panic(self.$try_flat())
        }

        #[doc = concat!("[`", stringify!($flat), "`](Self::", stringify!($flat), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// Elements that do not have it.
        pub fn $try_flat(&self) -> Result<Array1<A>> {
            Ok(Array::of_expr(scanned(&flat(&self.leaf()?)?, Scan::$scan, Axis(0))?))
        }
    };
}

on_arrays!({ A: Element } {
    scans! {
        /// Floats of 32 bits are added up in 64; integers wrap.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array::from_vec_chunked(vec![1, 2, 3, 4, 5], 2);
        /// assert_eq!(x.cumsum(Axis(0)).compute(), ndarray::arr1(&[1, 3, 6, 10, 15]));
        /// ```
        Sum "The sum of": cumsum try_cumsum cumsum_flat try_cumsum_flat

        /// NaN adds nothing.
        NanSum "The sum of": nancumsum try_nancumsum nancumsum_flat try_nancumsum_flat

        /// NaN is left out.
        NanProd "The product of": nancumprod try_nancumprod nancumprod_flat try_nancumprod_flat

        /// NaN from the first NaN on, as NumPy's `maximum.accumulate`.
        Max "The greatest of": cummax try_cummax cummax_flat try_cummax_flat

        /// NaN from the first NaN on, as NumPy's `minimum.accumulate`.
        Min "The least of": cummin try_cummin cummin_flat try_cummin_flat
    }
    scans! { @rest Prod "The product of": cumprod try_cumprod cumprod_flat try_cumprod_flat }
});

/// A part of an axis, from a start to an end that is counted from the end where it is negative.
fn part(expr: &Expr, axis: usize, start: isize, end: Option<isize>) -> Result<Expr> {
    cut(expr, axis, SliceArg::Range { start, end, step: 1 })
}

fn at_least(expr: &Expr, axis: usize, n: usize, what: &'static str) -> Result<()> {
    let len = expr.shape()[axis];
    if len >= n {
        return Ok(());
    }
    let got = format!("{len} along axis {axis}");
    Err(ExprError::Parameter { what, got, expected: "at least 2" }.into())
}

/// Central differences within, one-sided ones at the ends.
fn gradient(expr: &Expr, axis: Axis, spacing: f64) -> Result<Expr> {
    let axis = axis_of(expr, axis)?;
    at_least(expr, axis, 2, "elements of a gradient")?;
    let by =
        |e: Expr, step: f64| -> Result<Expr> { Ok(e.binary(BinaryOp::Div, &number(expr.dtype(), step)?)?) };
    let steps = |a: &Expr, b: &Expr, step| by(b.binary(BinaryOp::Sub, a)?, step);
    let first = steps(&part(expr, axis, 0, Some(1))?, &part(expr, axis, 1, Some(2))?, spacing)?;
    let last = steps(&part(expr, axis, -2, Some(-1))?, &part(expr, axis, -1, None)?, spacing)?;
    let inner = steps(&part(expr, axis, 0, Some(-2))?, &part(expr, axis, 2, None)?, 2.0 * spacing)?;
    let parts = if expr.shape()[axis] > 2 { vec![first, inner, last] } else { vec![first, last] };
    Ok(Expr::concatenate(axis, &parts)?)
}

/// What lies under each pair of neighbours along an axis, where they are so far apart.
fn trapezoids(expr: &Expr, axis: usize, spacing: f64) -> Result<Expr> {
    if expr.shape()[axis] < 2 {
        return part(expr, axis, 0, Some(0));
    }
    let sum = part(expr, axis, 1, None)?.binary(BinaryOp::Add, &part(expr, axis, 0, Some(-1))?)?;
    Ok(sum.binary(BinaryOp::Mul, &number(expr.dtype(), spacing / 2.0)?)?)
}

on_arrays!({ A: Element + num_traits::Float } {
    /// The gradient along an axis, of elements that are `spacing` apart, as NumPy's: central differences, at the ends those
    /// to the only neighbour. A lazy array of the same shape.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = arr1(&[1.0, 2.0, 4.0, 7.0]);
    /// assert_eq!(x.gradient(Axis(0), 1.0).compute(), ndarray::arr1(&[1.0, 1.5, 2.5, 3.0]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_gradient`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn gradient(&self, axis: Axis, spacing: f64) -> Array<A, D> {
        or_panic(self.try_gradient(axis, spacing))
    }

    /// [`Array::gradient`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range, or of fewer than two elements.
    pub fn try_gradient(&self, axis: Axis, spacing: f64) -> Result<Array<A, D>> {
        Ok(Array::of_expr(gradient(&self.leaf()?, axis, spacing)?))
    }

    /// The integral along an axis by the trapezoidal rule, of elements that are `spacing` apart: a lazy array without that
    /// axis, 0 for fewer than two elements.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// assert_eq!(arr1(&[1.0, 2.0, 4.0]).trapezoid(Axis(0), 2.0).sum(), 9.0);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_trapezoid`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn trapezoid(&self, axis: Axis, spacing: f64) -> Array<A, D::Smaller>
    where
        D: RemoveAxis,
    {
        or_panic(self.try_trapezoid(axis, spacing))
    }

    /// [`Array::trapezoid`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_trapezoid(&self, axis: Axis, spacing: f64) -> Result<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        let expr = self.leaf()?;
        let axis = axis_of(&expr, axis)?;
        Ok(Array::of_expr(trapezoids(&expr, axis, spacing)?.reduce(Fold::Sum, &[axis])?))
    }

    /// The integrals along an axis from its start to each element but the first, by the trapezoidal rule: a lazy array with
    /// one element fewer along the axis, with none of none.
    ///
    /// # Panics
    /// Where [`Array::try_cumulative_trapezoid`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn cumulative_trapezoid(&self, axis: Axis, spacing: f64) -> Array<A, D> {
        or_panic(self.try_cumulative_trapezoid(axis, spacing))
    }

    /// [`Array::cumulative_trapezoid`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_cumulative_trapezoid(&self, axis: Axis, spacing: f64) -> Result<Array<A, D>> {
        let expr = self.leaf()?;
        let of = trapezoids(&expr, axis_of(&expr, axis)?, spacing)?;
        Ok(Array::of_expr(scanned(&of, Scan::Sum, axis)?))
    }
});
