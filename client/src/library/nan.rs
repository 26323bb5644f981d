//! Reductions that leave NaN out, and those that are made of others: counts, ranges, weighted means.
//!
//! All of it is fused elementwise work and the reductions that there are: nothing here has a function of its own.

use super::{axis_of, number, one_each, undefined};
use crate::array::kinds::on_arrays;
use crate::array::{Array, Array0};
use crate::error::{Result, or_panic};
use ndarray::{Axis, RemoveAxis};
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, Fold, Scalar, UnaryOp};

/// A reduction that leaves NaN out.
#[derive(Clone, Copy)]
enum Nan {
    Sum,
    Prod,
    Min,
    Max,
    Count,
    Mean,
    Var(f64),
    Std(f64),
}

impl Nan {
    fn of(self, expr: &Expr, axes: &[usize]) -> Result<Expr> {
        let dtype = expr.dtype();
        if !dtype.is_float() {
            return Err(undefined("a reduction without NaN", dtype));
        }
        let missing = expr.unary(UnaryOp::IsNan)?;
        let with = |value: f64| -> Result<Expr> { Ok(missing.select(&number(dtype, value)?, expr)?) };
        let count = || -> Result<Expr> {
            Ok(missing.unary(UnaryOp::Not)?.cast(DType::U64)?.reduce(Fold::Sum, axes)?)
        };
        Ok(match self {
            Nan::Sum => with(0.0)?.reduce(Fold::Sum, axes)?,
            Nan::Prod => with(1.0)?.reduce(Fold::Prod, axes)?,
            Nan::Count => count()?,
            Nan::Min => or_nan(with(f64::INFINITY)?.reduce(Fold::Min, axes)?, &count()?)?,
            Nan::Max => or_nan(with(f64::NEG_INFINITY)?.reduce(Fold::Max, axes)?, &count()?)?,
            Nan::Mean => expr.reduce(Fold::NanMean, axes)?,
            Nan::Var(ddof) => expr.reduce(Fold::NanVar { ddof }, axes)?,
            Nan::Std(ddof) => expr.reduce(Fold::NanStd { ddof }, axes)?,
        })
    }
}

/// NaN where nothing was counted.
fn or_nan(found: Expr, count: &Expr) -> Result<Expr> {
    let none = count.binary(BinaryOp::Eq, &Expr::full(&[], &Chunks::Auto, Scalar::new(0u64))?)?;
    Ok(none.select(&number(found.dtype(), f64::NAN)?, &found)?)
}

macro_rules! nan_forms {
    ($($(#[$doc:meta])* $of:literal $nan:expr, ($($p:ident: $t:ty)?) -> $out:ty:
        $axis:ident $try_axis:ident $flat:ident $try_flat:ident;)*) => { $(
        #[doc = concat!($of, " the elements along an axis that are not NaN: a lazy array without the axis.")]
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axis), "`](Self::", stringify!($try_axis), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axis(&self, axis: Axis $(, $p: $t)?) -> Array<$out, D::Smaller>
        where
            D: RemoveAxis,
        {
            or_panic(self.$try_axis(axis $(, $p)?))
        }

        #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range; one without elements, where there is no value of none.
        pub fn $try_axis(&self, axis: Axis $(, $p: $t)?) -> Result<Array<$out, D::Smaller>>
        where
            D: RemoveAxis,
        {
            let expr = self.leaf()?;
            Ok(Array::of_expr($nan.of(&expr, &[axis_of(&expr, axis)?])?))
        }

        #[doc = concat!($of, " all elements that are not NaN: a lazy array without dimensions.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_flat), "`](Self::", stringify!($try_flat), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $flat(&self $(, $p: $t)?) -> Array0<$out> {
            or_panic(self.$try_flat($($p)?))
        }

        #[doc = concat!("[`", stringify!($flat), "`](Self::", stringify!($flat), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// No elements, where there is no value of none.
        pub fn $try_flat(&self $(, $p: $t)?) -> Result<Array0<$out>> {
            let expr = self.leaf()?;
            Ok(Array::of_expr($nan.of(&expr, &(0..expr.ndim()).collect::<Vec<_>>())?))
        }
    )* };
}

on_arrays!({ A: Element + num_traits::Float } {
    nan_forms! {
        /// 0 of none.
        "The sum of" Nan::Sum, () -> A: nansum_axis try_nansum_axis lazy_nansum try_lazy_nansum;
        /// 1 of none.
        "The product of" Nan::Prod, () -> A: nanprod_axis try_nanprod_axis lazy_nanprod try_lazy_nanprod;
        /// NaN of none.
        "The least of" Nan::Min, () -> A: nanmin_axis try_nanmin_axis lazy_nanmin try_lazy_nanmin;
        /// NaN of none.
        "The greatest of" Nan::Max, () -> A: nanmax_axis try_nanmax_axis lazy_nanmax try_lazy_nanmax;
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr2(&[[1.0, f64::NAN], [3.0, 4.0]]);
        /// assert_eq!(x.count_axis(Axis(0)).compute(), ndarray::arr1(&[2, 1]));
        /// assert_eq!(x.nanmean_axis(Axis(0)).compute(), ndarray::arr1(&[2.0, 4.0]));
        /// ```
        "How many there are of" Nan::Count, () -> u64: count_axis try_count_axis lazy_count try_lazy_count;
        /// NaN of none.
        "The mean of" Nan::Mean, () -> A: nanmean_axis try_nanmean_axis lazy_nanmean try_lazy_nanmean;
        /// NaN of no more than `ddof`.
        "The variance, with this `ddof`, of" Nan::Var(ddof), (ddof: f64) -> A:
            nanvar_axis try_nanvar_axis lazy_nanvar try_lazy_nanvar;
        /// NaN of no more than `ddof`.
        "The standard deviation, with this `ddof`, of" Nan::Std(ddof), (ddof: f64) -> A:
            nanstd_axis try_nanstd_axis lazy_nanstd try_lazy_nanstd;
    }

    /// The mean along an axis with a weight for each position: the weighted sum over the sum of the weights. A lazy array
    /// without the axis.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = arr2(&[[1.0, 2.0], [4.0, 8.0]]);
    /// assert_eq!(x.average_axis(Axis(0), &arr1(&[3.0, 1.0])).compute(), ndarray::arr1(&[1.75, 3.5]));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_average_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn average_axis(&self, axis: Axis, weights: &crate::Array1<A>) -> Array<A, D::Smaller>
    where
        D: RemoveAxis,
    {
        or_panic(self.try_average_axis(axis, weights))
    }

    /// [`Array::average_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; another number of weights than of positions.
    pub fn try_average_axis(&self, axis: Axis, weights: &crate::Array1<A>) -> Result<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        let (expr, weights) = (self.leaf()?, weights.leaf()?);
        let axis = axis_of(&expr, axis)?;
        one_each("weights", &weights, (&expr, axis))?;
        let along = (axis + 1..expr.ndim()).try_fold(weights.clone(), |w, _| w.insert_axis(w.ndim()))?;
        let sum = expr.binary(BinaryOp::Mul, &along)?.reduce(Fold::Sum, &[axis])?;
        Ok(Array::of_expr(sum.binary(BinaryOp::Div, &weights.reduce(Fold::Sum, &[0])?)?))
    }
});

on_arrays!({ A: Element + PartialOrd + num_traits::Num } {
    /// The distance from the least to the greatest element along an axis: a lazy array without the axis. NaN if any element
    /// is; that of integers wraps where it is beyond their type.
    ///
    /// # Panics
    /// Where [`Array::try_ptp_axis`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn ptp_axis(&self, axis: Axis) -> Array<A, D::Smaller>
    where
        D: RemoveAxis,
    {
        or_panic(self.try_ptp_axis(axis))
    }

    /// [`Array::ptp_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range, or without elements.
    pub fn try_ptp_axis(&self, axis: Axis) -> Result<Array<A, D::Smaller>>
    where
        D: RemoveAxis,
    {
        let expr = self.leaf()?;
        let axis = axis_of(&expr, axis)?;
        let (least, greatest) = (expr.reduce(Fold::Min, &[axis])?, expr.reduce(Fold::Max, &[axis])?);
        Ok(Array::of_expr(greatest.binary(BinaryOp::Sub, &least)?))
    }
});
