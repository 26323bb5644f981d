//! Moments and what is made of them, positions of extremes without NaN, bins along an axis, and the last number before each
//! element.
//!
//! All of it is made of reductions, scans and groups that there are: nothing here has a function of its own.

use super::group::GroupBy;
use super::matrix::diagonal;
use super::select::Quantiles;
use super::{axis_of, number, one_each, same, stage};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array0, Array1, Array2, ArrayBase, Data};
use crate::error::Result;
use ndarray::{Axis, Ix2, RemoveAxis};
use num_traits::{Float, FromPrimitive};
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, ExprError, Fold, Scalar, UnaryOp};
use tilework_kernels::library::pick;
use tilework_kernels::library::scan::Scan;

fn wide(value: f64) -> Result<Expr> {
    number(DType::F64, value)
}

/// The distances of elements from their means along some axes, in 64 bits.
fn away(expr: &Expr, axes: &[usize]) -> Result<Expr> {
    let x = expr.cast(DType::F64)?;
    let mean = x.reduce(Fold::Mean, axes)?;
    let mean = axes.iter().try_fold(mean, |mean, &axis| mean.insert_axis(axis))?;
    Ok(x.binary(BinaryOp::Sub, &mean)?)
}

/// The mean of a power of distances.
fn central(away: &Expr, order: u32, axes: &[usize]) -> Result<Expr> {
    let mut power = wide(1.0)?;
    let (mut square, mut left) = (away.clone(), order);
    while left > 0 {
        if left % 2 == 1 {
            power = power.binary(BinaryOp::Mul, &square)?;
        }
        left /= 2;
        if left > 0 {
            square = square.binary(BinaryOp::Mul, &square)?;
        }
    }
    Ok(power.broadcast_to(&away.shape())?.reduce(Fold::Mean, axes)?)
}

/// What is asked for of central moments.
#[derive(Clone, Copy)]
enum Moment {
    Of(u32),
    Skew { unbiased: bool },
    Kurtosis { unbiased: bool },
}

impl Moment {
    fn of(self, expr: &Expr, axes: &[usize]) -> Result<Expr> {
        let away = away(expr, axes)?;
        let n = axes.iter().map(|&axis| expr.shape()[axis] as f64).product::<f64>();
        let moment = |order| central(&away, order, axes);
        let found = match self {
            Moment::Of(order) => moment(order)?,
            Moment::Skew { unbiased } => {
                let two = moment(2)?;
                let deviation = two.unary(UnaryOp::Sqrt)?.binary(BinaryOp::Mul, &two)?;
                let skew = moment(3)?.binary(BinaryOp::Div, &deviation)?;
                match unbiased {
                    true => skew.binary(BinaryOp::Mul, &wide((n * (n - 1.0)).sqrt() / (n - 2.0))?)?,
                    false => skew,
                }
            }
            Moment::Kurtosis { unbiased } => {
                let ratio = moment(4)?.binary(BinaryOp::Div, &moment(2)?.unary(UnaryOp::Square)?)?;
                let (by, less) = match unbiased {
                    true => {
                        let below = (n - 2.0) * (n - 3.0);
                        ((n * n - 1.0) / below, 3.0 * (n - 1.0) * (n - 1.0) / below)
                    }
                    false => (1.0, 3.0),
                };
                ratio.binary(BinaryOp::Mul, &wide(by)?)?.binary(BinaryOp::Sub, &wide(less)?)?
            }
        };
        Ok(found.cast(expr.dtype())?)
    }
}

fn all_axes(expr: &Expr) -> Vec<usize> {
    (0..expr.ndim()).collect()
}

/// The position of the first least or greatest number among some axes.
fn nan_extreme(expr: &Expr, axes: &[usize], greatest: bool) -> Result<Expr> {
    let there = expr.unary(UnaryOp::IsNan)?.unary(UnaryOp::Not)?;
    let bound = number(expr.dtype(), if greatest { f64::NEG_INFINITY } else { f64::INFINITY })?;
    let filled = there.select(expr, &bound)?;
    let (arg, extreme) = if greatest { (Fold::ArgMax, Fold::Max) } else { (Fold::ArgMin, Fold::Min) };
    // Where nothing is beyond the bound, the first number is it.
    let first = there.cast(DType::U8)?.reduce(Fold::ArgMax, axes)?;
    let at_bound = filled.reduce(extreme, axes)?.binary(BinaryOp::Eq, &bound)?;
    let at = at_bound.select(&first, &filled.reduce(arg, axes)?)?;
    let count = there.cast(DType::U64)?.reduce(Fold::Sum, axes)?.on_grid(at.grid().clone())?;
    let inputs = [(&at, same(at.ndim())), (&count, same(at.ndim()))];
    stage(pick::some(), &inputs, at.grid(), at.grid())
}

/// Of each element that is NaN the last number before it along an axis, if that is near enough.
fn pushed<A: Element, D: ndarray::Dimension>(
    x: &Array<A, D>,
    axis: Axis,
    limit: Option<usize>,
) -> Result<Expr> {
    let expr = x.leaf()?;
    let at = axis_of(&expr, axis)?;
    let missing = match expr.dtype().is_float() {
        true => expr.unary(UnaryOp::IsNan)?,
        false => return Ok(expr),
    };
    let position = Expr::index(&expr.shape(), &Chunks::Auto, at)?.on_grid(expr.grid().clone())?;
    let zero = Expr::full(&[], &Chunks::Auto, Scalar::new(0i64))?;
    let last = super::scan::scanned(&missing.select(&zero, &position)?, Scan::Max, axis)?;
    let found = x.try_take_along_axis(axis, &Array::<i64, D>::of_expr(last.clone()))?.leaf()?;
    let Some(limit) = limit else { return Ok(found) };
    let limit = Expr::full(&[], &Chunks::Auto, Scalar::new(i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let far = position.binary(BinaryOp::Sub, &last)?.binary(BinaryOp::Gt, &limit)?;
    Ok(far.select(&number(expr.dtype(), f64::NAN)?, &found)?)
}

/// The number of the bin between edges that each coordinate lies in: with its lower edge, without its upper one; of none -1.
fn bins<C: Element>(coordinates: &Array1<C>, edges: &[C]) -> Result<Array1<i64>> {
    let n = edges.len() as i64;
    let above = coordinates.try_digitize(&Array1::from(edges.to_vec()), false)?.leaf()?.cast(DType::I64)?;
    let integer = |i: i64| Expr::full(&[], &Chunks::Auto, Scalar::new(i));
    let within = above.binary(BinaryOp::Lt, &integer(n)?)?;
    Ok(Array::of_expr(within.select(&above.binary(BinaryOp::Sub, &integer(1)?)?, &integer(-1)?)?))
}

on_arrays!({ A: Element + Float } {
    twins! {
        /// The central moment of an order along an axis: the mean of that power of the distances from the mean. A lazy array
        /// without the axis.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1.0, 2.0, 6.0]);
        /// assert_eq!(x.moment_axis(Axis(0), 3).sum(), 6.0);
        /// ```
        moment_axis, try_moment_axis [] (&self, axis: Axis, order: u32) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, or without elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Of(order).of(&expr, &[axis_of(&expr, axis)?])?)) }

        /// The central moment of an order of all elements: a lazy array without dimensions.
        lazy_moment, try_lazy_moment [] (&self, order: u32) -> Array0<A>,
        errors "No elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Of(order).of(&expr, &all_axes(&expr))?)) }

        /// The skewness along an axis: the third central moment by the standard deviation to the third power; `unbiased`
        /// takes away the bias of a sample, of more than two. NaN where all elements are equal. A lazy array without the
        /// axis.
        skew_axis, try_skew_axis [] (&self, axis: Axis, unbiased: bool) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, or without elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Skew { unbiased }.of(&expr, &[axis_of(&expr, axis)?])?)) }

        /// The skewness of all elements, for which see [`skew_axis`](Self::skew_axis): a lazy array without dimensions.
        lazy_skew, try_lazy_skew [] (&self, unbiased: bool) -> Array0<A>,
        errors "No elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Skew { unbiased }.of(&expr, &all_axes(&expr))?)) }

        /// The kurtosis along an axis, 0 of a normal distribution (Fisher's; Pearson's is 3 more): the fourth central moment
        /// by the square of the variance, less 3; `unbiased` takes away the bias of a sample, of more than three. NaN where
        /// all elements are equal. A lazy array without the axis.
        kurtosis_axis, try_kurtosis_axis [] (&self, axis: Axis, unbiased: bool) -> Array<A, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, or without elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Kurtosis { unbiased }.of(&expr, &[axis_of(&expr, axis)?])?)) }

        /// The kurtosis of all elements, for which see [`kurtosis_axis`](Self::kurtosis_axis): a lazy array without
        /// dimensions.
        lazy_kurtosis, try_lazy_kurtosis [] (&self, unbiased: bool) -> Array0<A>,
        errors "No elements.",
        { let expr = self.leaf()?; Ok(Array::of_expr(Moment::Kurtosis { unbiased }.of(&expr, &all_axes(&expr))?)) }

        /// The position along an axis of the first greatest element that is not NaN: a lazy array without the axis.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1.0, f64::NAN, 3.0], [f64::NAN, -2.0, -5.0]]);
        /// assert_eq!(x.nanargmax_axis(Axis(1)).compute(), ndarray::arr1(&[2, 1]));
        /// ```
        nanargmax_axis, try_nanargmax_axis [] (&self, axis: Axis) -> Array<u64, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, or without elements. The computation fails where all elements of a lane are NaN.",
        { let expr = self.leaf()?; Ok(Array::of_expr(nan_extreme(&expr, &[axis_of(&expr, axis)?], true)?)) }

        /// The position along an axis of the first least element that is not NaN: a lazy array without the axis.
        nanargmin_axis, try_nanargmin_axis [] (&self, axis: Axis) -> Array<u64, D::Smaller> where { D: RemoveAxis },
        errors "An axis out of range, or without elements. The computation fails where all elements of a lane are NaN.",
        { let expr = self.leaf()?; Ok(Array::of_expr(nan_extreme(&expr, &[axis_of(&expr, axis)?], false)?)) }

        /// The row-major position of the first greatest element that is not NaN: a lazy array without dimensions.
        lazy_nanargmax, try_lazy_nanargmax [] (&self) -> Array0<u64>,
        errors "No elements. The computation fails where all are NaN.",
        { let expr = self.leaf()?; Ok(Array::of_expr(nan_extreme(&expr, &all_axes(&expr), true)?)) }

        /// The row-major position of the first least element that is not NaN: a lazy array without dimensions.
        lazy_nanargmin, try_lazy_nanargmin [] (&self) -> Array0<u64>,
        errors "No elements. The computation fails where all are NaN.",
        { let expr = self.leaf()?; Ok(Array::of_expr(nan_extreme(&expr, &all_axes(&expr), false)?)) }

        /// Each element, and in place of NaN the last number before it along an axis, where there is one no more than `limit`
        /// positions away: Dask's `push`, pandas' `ffill`. A lazy array of the same shape; of arrays of several axes a task
        /// has whole lanes.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = Array::from_vec_chunked(vec![1.0, f64::NAN, f64::NAN, 4.0], 2);
        /// assert_eq!(x.ffill(Axis(0), None).compute(), ndarray::arr1(&[1.0, 1.0, 1.0, 4.0]));
        /// assert!(x.ffill(Axis(0), Some(1)).compute()[2].is_nan());
        /// ```
        ffill, try_ffill [] (&self, axis: Axis, limit: Option<usize>) -> Array<A, D>,
        errors "An axis out of range.",
        { Ok(Array::of_expr(pushed(&Array::<A, D>::of_expr(self.leaf()?), axis, limit)?)) }
    }
});

impl<A: Element + Float + FromPrimitive, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    twins! {
        /// The correlations of the rows, each a variable with an observation in every column: their covariances by their
        /// standard deviations. A lazy array; NaN of a row whose elements are equal.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1.0, 2.0, 3.0], [5.0, 3.0, 1.0]]);
        /// assert!(x.corrcoef().allclose(&arr2(&[[1.0, -1.0], [-1.0, 1.0]]), 0.0, 1e-15));
        /// ```
        corrcoef, try_corrcoef [] (&self) -> Array2<A>,
        errors "No rows or no columns.",
        {
            let cov = self.cov(A::zero())?.leaf()?;
            let std = diagonal(&cov, 0, (Axis(0), Axis(1)))?.unary(UnaryOp::Sqrt)?;
            let found = cov.binary(BinaryOp::Div, &std.insert_axis(1)?)?.binary(BinaryOp::Div, &std)?;
            // Rounding takes none beyond what a correlation can be.
            let one = number(A::DTYPE, 1.0)?;
            let found = super::extreme(&super::extreme(&found, &one, false)?, &number(A::DTYPE, -1.0)?, true)?;
            Ok(Array::of_expr(found))
        }
    }
}

on_arrays!({ A: Quantiles } {
    twins! {
        /// The positions of an axis by bins of their coordinates: position `i` is in bin `k` where
        /// `edges[k] <= coordinates[i] < edges[k + 1]`, and in none elsewhere. What it is reduced by then takes one pass, as
        /// [`group_by`](Self::group_by) has it: climatologists' `resample` and `groupby_bins`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1.0, 3.0, 10.0, 20.0]);
        /// let hours = arr1(&[0.5, 3.0, 7.0, 30.0]);
        /// let by_six_hours = x.resample(Axis(0), &hours, &[0.0, 6.0, 12.0]);
        /// assert_eq!(by_six_hours.mean().compute(), ndarray::arr1(&[2.0, 10.0]));
        /// ```
        resample, try_resample [C: Element + PartialOrd] (&self, axis: Axis, coordinates: &Array1<C>, edges: &[C]) -> GroupBy<A, D>,
        errors "An axis out of range; another number of coordinates than of positions; fewer than two edges, or edges that do not rise.",
        {
            let expr = self.leaf()?;
            one_each("coordinates", &coordinates.leaf()?, (&expr, axis_of(&expr, axis)?))?;
            if edges.len() < 2 || edges.windows(2).any(|pair| !matches!(pair[0].partial_cmp(&pair[1]), Some(std::cmp::Ordering::Less))) {
                let got = format!("{edges:?}").chars().take(80).collect();
                return Err(ExprError::Parameter { what: "edges of bins", got, expected: "two or more, rising" }.into());
            }
            self.try_group_by(axis, &bins(coordinates, edges)?, edges.len() - 1)
        }
    }
});
