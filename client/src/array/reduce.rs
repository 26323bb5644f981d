//! Reductions: of all elements to a value, lazily to an array without dimensions, and along axes.
//!
//! Must not know in which order elements are folded.

use super::here;
use super::kind::source::Source;
use super::kinds::{on_all, on_arrays};
use super::{Array, Array0, ArrayBase, ArrayD, Data, dim_of, lazily};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Dimension, RemoveAxis};
use num_traits::{Float, FromPrimitive, One, Zero};
use std::ops::{Add, Div, Mul};
use tilework_expr::{Element, Expr, ExprError, Fold};

/// The seven lazy and fallible forms of a reduction that has a value of `$r` for every array.
macro_rules! reductions {
    ($($(#[$doc:meta])* $of:literal $errors:literal ($($p:ident: $pt:ty)?) $fold:expr => $r:ty:
        $all:ident $try_all:ident $lazy:ident $try_lazy:ident $axis:ident $try_axis:ident $axes:ident $try_axes:ident)*) => {$(
        #[doc = concat!("[`", stringify!($all), "`](Self::", stringify!($all), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!($errors, " A failed computation.")]
        pub fn $try_all(&self $(, $p: $pt)?) -> Result<$r> {
            lazily::value_of(&fold(&self.leaf()?, $fold, &every_axis(self.ndim()))?)
        }

        #[doc = concat!($of, " all elements, as an array without dimensions: several are computed in one run by ",
            "[`compute_all`](crate::compute_all).")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_lazy), "`](Self::", stringify!($try_lazy), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $lazy(&self $(, $p: $pt)?) -> Array0<$r> {
            or_panic(self.$try_lazy($($p)?))
        }

        #[doc = concat!("[`", stringify!($lazy), "`](Self::", stringify!($lazy), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_lazy(&self $(, $p: $pt)?) -> Result<Array0<$r>> {
            Ok(Array::of_expr(fold(&self.leaf()?, $fold, &every_axis(self.ndim()))?))
        }

        #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("An axis out of range. ", $errors)]
        pub fn $try_axis(&self, axis: Axis $(, $p: $pt)?) -> Result<Array<$r, D::Smaller>>
        where
            D: RemoveAxis,
        {
            Ok(Array::of_expr(fold(&self.leaf()?, $fold, &[axis])?))
        }

        #[doc = concat!($of, " the elements along several axes, which the result does not have.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axes), "`](Self::", stringify!($try_axes), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axes(&self, axes: &[Axis] $(, $p: $pt)?) -> ArrayD<$r> {
            or_panic(self.$try_axes(axes $(, $p)?))
        }

        #[doc = concat!("[`", stringify!($axes), "`](Self::", stringify!($axes), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("An axis out of range or given twice. ", $errors)]
        pub fn $try_axes(&self, axes: &[Axis] $(, $p: $pt)?) -> Result<ArrayD<$r>> {
            Ok(Array::of_expr(fold(&self.leaf()?, $fold, axes)?))
        }
    )*};
}

/// The two forms of a reduction that ndarray does not have.
macro_rules! own_reductions {
    ($($(#[$doc:meta])* $of:literal => $r:ty: $all:ident $try_all:ident $axis:ident $try_axis:ident)*) => {$(
        #[doc = concat!($of, " all elements. Computes it.")]
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_all), "`](Self::", stringify!($try_all), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $all(&self) -> $r {
            or_panic(self.$try_all())
        }

        #[doc = concat!($of, " the elements along an axis, which the result does not have.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axis), "`](Self::", stringify!($try_axis), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axis(&self, axis: Axis) -> Array<$r, D::Smaller>
        where
            D: RemoveAxis,
        {
            or_panic(self.$try_axis(axis))
        }
    )*};
}

pub(super) fn every_axis(ndim: usize) -> Vec<Axis> {
    (0..ndim).map(Axis).collect()
}

pub(super) fn fold(expr: &Expr, fold: Fold, axes: &[Axis]) -> Result<Expr> {
    let axes: Vec<usize> = axes.iter().map(|a| a.index()).collect();
    let reduced = expr.reduce(fold, &axes)?;
    if let Fold::Var { ddof } | Fold::Std { ddof } = fold {
        let n: usize = axes.iter().map(|&a| expr.shape()[a]).product();
        if ddof > n as f64 {
            let expected = "at most the number of elements that are reduced";
            return Err(ExprError::Parameter { what: "ddof", got: ddof.to_string(), expected }.into());
        }
    }
    Ok(reduced)
}

on_arrays!({ A: Element + Add<Output = A> + Zero } {
    reductions! {
        "The sum of" "None in practice." () Fold::Sum => A:
        sum try_sum lazy_sum try_lazy_sum sum_axis try_sum_axis sum_axes try_sum_axes
    }
});

on_arrays!({ A: Element + Mul<Output = A> + One } {
    reductions! {
        "The product of" "None in practice." () Fold::Prod => A:
        product try_product lazy_product try_lazy_product product_axis try_product_axis product_axes try_product_axes
    }
});

on_arrays!({ A: Element + PartialOrd } {
    reductions! {
        "The least of" "No elements." () Fold::Min => A:
        min try_min lazy_min try_lazy_min min_axis try_min_axis min_axes try_min_axes

        "The greatest of" "No elements." () Fold::Max => A:
        max try_max lazy_max try_lazy_max max_axis try_max_axis max_axes try_max_axes
    }

    own_reductions! {
        /// NaN if any element is NaN, as NumPy's `min`. That of `ndarray-stats` returns an error then, and its
        /// `min_skipnan` the least of the others; so does `fold` with [`f64::min`].
        "The least of" => A: min try_min min_axis try_min_axis

        /// NaN if any element is NaN, as NumPy's `max`. That of `ndarray-stats` returns an error then, and its
        /// `max_skipnan` the greatest of the others; so does `fold` with [`f64::max`].
        "The greatest of" => A: max try_max max_axis try_max_axis
    }
});

/// # Conditions
impl<S: Data<Elem = bool>, D: Dimension> ArrayBase<S, D, bool> {
    reductions! {
        "The logical or of" "None in practice." () Fold::Any => bool:
        any try_any lazy_any try_lazy_any any_axis try_any_axis any_axes try_any_axes

        "The logical and of" "None in practice." () Fold::All => bool:
        all try_all lazy_all try_lazy_all all_axis try_all_axis all_axes try_all_axes
    }

    own_reductions! {
        /// `false` for no elements.
        "The logical or of" => bool: any try_any any_axis try_any_axis

        /// `true` for no elements.
        "The logical and of" => bool: all try_all all_axis try_all_axis
    }
}

on_arrays!({ A: Element + Float + FromPrimitive } {
    reductions! {
        "The variance of" "`ddof` below 0, above the number of elements, or NaN." (ddof: A)
        Fold::Var { ddof: as_f64(ddof) } => A:
        var try_var lazy_var try_lazy_var var_axis try_var_axis var_axes try_var_axes

        "The standard deviation of" "`ddof` below 0, above the number of elements, or NaN." (ddof: A)
        Fold::Std { ddof: as_f64(ddof) } => A:
        std try_std lazy_std try_lazy_std std_axis try_std_axis std_axes try_std_axes
    }
});

fn as_f64<A: Float>(a: A) -> f64 {
    a.to_f64().expect("a float of at most 64 bits")
}

on_arrays!({ A: Element + FromPrimitive + Add<Output = A> + Div<Output = A> + Zero } {
    /// [`Array::mean`] that returns what goes wrong.
    ///
    /// # Errors
    /// A failed computation.
    pub fn try_mean(&self) -> Result<Option<A>> {
        if self.is_empty() {
            return Ok(None);
        }
        let mean = fold(&self.leaf()?, Fold::Mean, &every_axis(self.ndim()))?;
        Ok(Some(lazily::value_of(&mean)?))
    }

    /// The mean of all elements, as an array without dimensions: several are computed in one run by
    /// [`compute_all`](crate::compute_all).
    ///
    /// # Panics
    /// Where [`Array::try_lazy_mean`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn lazy_mean(&self) -> Array0<A> {
        or_panic(self.try_lazy_mean())
    }

    /// [`Array::lazy_mean`] that returns what goes wrong.
    ///
    /// # Errors
    /// No elements.
    pub fn try_lazy_mean(&self) -> Result<Array0<A>> {
        Ok(Array::of_expr(fold(&self.leaf()?, Fold::Mean, &every_axis(self.ndim()))?))
    }

    /// [`Array::mean_axis`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_mean_axis(&self, axis: Axis) -> Result<Option<Array<A, D::Smaller>>>
    where
        D: RemoveAxis,
    {
        if self.shape().get(axis.index()) == Some(&0) {
            return Ok(None);
        }
        Ok(Some(Array::of_expr(fold(&self.leaf()?, Fold::Mean, &[axis])?)))
    }

    /// The mean of the elements along several axes, which the result does not have, or `None` where there are
    /// none.
    ///
    /// # Panics
    /// Where [`Array::try_mean_axes`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn mean_axes(&self, axes: &[Axis]) -> Option<ArrayD<A>> {
        or_panic(self.try_mean_axes(axes))
    }

    /// [`Array::mean_axes`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range or given twice.
    pub fn try_mean_axes(&self, axes: &[Axis]) -> Result<Option<ArrayD<A>>> {
        match fold(&self.leaf()?, Fold::Mean, axes) {
            Err(crate::Error::Expr(ExprError::NoElements { .. })) => Ok(None),
            mean => Ok(Some(Array::of_expr(mean?))),
        }
    }
});

/// Least and greatest elements' positions.
macro_rules! positions {
    ($($which:literal $fold:ident $all:ident $try_all:ident $lazy:ident $try_lazy:ident $axis:ident $try_axis:ident)*) => {$(
        #[doc = concat!("The index of the first ", $which, " element in row-major order. Computes it: see [`",
            stringify!($lazy), "`](Self::", stringify!($lazy), ").")]
        ///
        #[doc = concat!("If any element is NaN, it is the index of the first NaN, as of NumPy's `", stringify!($all),
            "`; that of `ndarray-stats` returns an error then.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_all), "`](Self::", stringify!($try_all), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $all(&self) -> D::Pattern {
            or_panic(self.$try_all())
        }

        #[doc = concat!("[`", stringify!($all), "`](Self::", stringify!($all), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// No elements. A failed computation.
        pub fn $try_all(&self) -> Result<D::Pattern> {
            let position: u64 = lazily::value_of(&fold(&self.leaf()?, Fold::$fold, &every_axis(self.ndim()))?)?;
            Ok(index_at::<D>(position as usize, self.lens().slice()).into_pattern())
        }

        #[doc = concat!("The row-major position of the first ", $which, " element, or of the first NaN, as an array ",
            "without dimensions.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_lazy), "`](Self::", stringify!($try_lazy), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $lazy(&self) -> Array0<u64> {
            or_panic(self.$try_lazy())
        }

        #[doc = concat!("[`", stringify!($lazy), "`](Self::", stringify!($lazy), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// No elements.
        pub fn $try_lazy(&self) -> Result<Array0<u64>> {
            Ok(Array::of_expr(fold(&self.leaf()?, Fold::$fold, &every_axis(self.ndim()))?))
        }

        #[doc = concat!("The positions of the first ", $which, " elements along an axis, or of the first NaN, which the ",
            "result does not have.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_axis), "`](Self::", stringify!($try_axis), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $axis(&self, axis: Axis) -> Array<u64, D::Smaller>
        where
            D: RemoveAxis,
        {
            or_panic(self.$try_axis(axis))
        }

        #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// An axis out of range or of length 0.
        pub fn $try_axis(&self, axis: Axis) -> Result<Array<u64, D::Smaller>>
        where
            D: RemoveAxis,
        {
            Ok(Array::of_expr(fold(&self.leaf()?, Fold::$fold, &[axis])?))
        }
    )*};
}

on_arrays!({ A: Element + PartialOrd } {
    positions! {
        "least" ArgMin argmin try_argmin lazy_argmin try_lazy_argmin argmin_axis try_argmin_axis
        "greatest" ArgMax argmax try_argmax lazy_argmax try_lazy_argmax argmax_axis try_argmax_axis
    }
});

on_all!({ A } {
    /// The sum of all elements.
    ///
    /// Integers are added in their own type, as in ndarray, and wrap where the sum is beyond it (small local arrays
    /// panic in debug builds, as ndarray's do); of small integers and of bools take
    /// [`sum_as::<i64>()`](Self::sum_as). Floats are added pairwise, in an order that depends on the chunks alone,
    /// those of `f32` in `f64`. The sum of a NaN and anything is NaN, as in NumPy.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let bytes = Array1::from(vec![200u8; 300]);
    /// assert_eq!(bytes.sum_as::<i64>(), 60_000);
    /// let tenths = Array1::<f32>::from_elem(10_000_000, 0.1);
    /// assert_eq!(tenths.sum(), 1_000_000.0);
    ///
    /// let a = Array2::<f64>::in_chunks(100).ones((300, 200));
    /// assert_eq!(a.sum(), 60_000.0);
    /// assert_eq!(a.sum_axis(Axis(0)).dim(), 200);
    /// let (sum, max) = tilework::compute_all(&(&a.lazy_sum(), &a.lazy_max()));
    /// assert_eq!((sum[()], max[()]), (60_000.0, 1.0));
    /// ```
    ///
    /// # Panics
    /// Where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn sum(&self) -> A
    where
        A: Clone + Add<Output = A> + Zero,
    {
        whole(self, Fold::Sum, |a| a.sum())
    }

    /// The product of all elements; 1 for none. Integers wrap as in [`sum`](Self::sum): of small ones take
    /// [`product_as::<i64>()`](Self::product_as). Floats of `f32` are multiplied in `f64`.
    ///
    /// # Panics
    /// Where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn product(&self) -> A
    where
        A: Clone + Mul<Output = A> + One,
    {
        whole(self, Fold::Prod, |a| a.product())
    }

    /// The mean of all elements, or `None` where there are none.
    ///
    /// That of integers is their exact sum divided by their number and rounded towards 0, as integer division does; it
    /// does not wrap. With a fraction it is [`mean_as::<f64>()`](Self::mean_as). Floats of `f32` are added in `f64`; a
    /// NaN makes the mean NaN, as in NumPy.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = array![200u8, 201, 201];
    /// assert_eq!(a.mean_as::<f64>(), Some(602.0 / 3.0));
    /// assert_eq!(a.mean(), Some(200));
    /// ```
    ///
    /// # Panics
    /// Where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn mean(&self) -> Option<A>
    where
        A: Clone + FromPrimitive + Add<Output = A> + Div<Output = A> + Zero,
    {
        if self.is_empty() {
            return None;
        }
        Some(whole(self, Fold::Mean, |a| a.mean().expect("not empty")))
    }

    /// The variance of all elements: the squares of the distances from the mean, added up and divided by `n - ddof`.
    /// It is computed in `f64`, about a mean that is carried with its rounding error, so that numbers that are large
    /// against their distances lose nothing. A NaN makes it NaN, as in NumPy.
    ///
    /// # Panics
    /// If `ddof` is below 0 or above the number of elements; where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn var(&self, ddof: A) -> A
    where
        A: Float + FromPrimitive,
    {
        // ndarray gives NaN for it.
        if ddof.is_nan() {
            return ddof;
        }
        whole(self, Fold::Var { ddof: as_f64(ddof) }, |a| a.var(ddof))
    }

    /// The standard deviation of all elements, with the divisor `n - ddof`.
    ///
    /// # Panics
    /// If `ddof` is below 0 or above the number of elements; where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn std(&self, ddof: A) -> A
    where
        A: Float + FromPrimitive,
    {
        if ddof.is_nan() {
            return ddof;
        }
        whole(self, Fold::Std { ddof: as_f64(ddof) }, |a| a.std(ddof))
    }

    /// The sums along an axis, which the result does not have; see [`sum`](Self::sum) and, for small integers,
    /// [`sum_axis_as`](Self::sum_axis_as).
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn sum_axis(&self, axis: Axis) -> Array<A, D::Smaller>
    where
        A: Clone + Zero + Add<Output = A>,
        D: RemoveAxis,
    {
        along(self, Fold::Sum, axis, |a| a.sum_axis(axis))
    }

    /// The products along an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn product_axis(&self, axis: Axis) -> Array<A, D::Smaller>
    where
        A: Clone + One + Mul<Output = A>,
        D: RemoveAxis,
    {
        along(self, Fold::Prod, axis, |a| a.product_axis(axis))
    }

    /// The means along an axis, which the result does not have, or `None` where its length is 0; those of integers do
    /// not wrap, see [`mean`](Self::mean), and have fractions as [`mean_axis_as::<f64>`](Self::mean_axis_as).
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn mean_axis(&self, axis: Axis) -> Option<Array<A, D::Smaller>>
    where
        A: Clone + Zero + FromPrimitive + Add<Output = A> + Div<Output = A>,
        D: RemoveAxis,
    {
        if self.lens().slice().get(axis.index()) == Some(&0) {
            return None;
        }
        Some(along(self, Fold::Mean, axis, |a| a.mean_axis(axis).expect("a length above 0")))
    }

    /// The variances along an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range; if `ddof` is below 0 or above its length.
    #[must_use]
    #[track_caller]
    pub fn var_axis(&self, axis: Axis, ddof: A) -> Array<A, D::Smaller>
    where
        A: Float + FromPrimitive,
        D: RemoveAxis,
    {
        if ddof.is_nan() {
            let _within = self.len_of(axis);
            return Array::from_elem(self.lens().remove_axis(axis), ddof);
        }
        along(self, Fold::Var { ddof: as_f64(ddof) }, axis, |a| a.var_axis(axis, ddof))
    }

    /// The standard deviations along an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range; if `ddof` is below 0 or above its length.
    #[must_use]
    #[track_caller]
    pub fn std_axis(&self, axis: Axis, ddof: A) -> Array<A, D::Smaller>
    where
        A: Float + FromPrimitive,
        D: RemoveAxis,
    {
        if ddof.is_nan() {
            let _within = self.len_of(axis);
            return Array::from_elem(self.lens().remove_axis(axis), ddof);
        }
        along(self, Fold::Std { ddof: as_f64(ddof) }, axis, |a| a.std_axis(axis, ddof))
    }
});

#[track_caller]
fn whole<A, D: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    kind: Fold,
    eager: impl FnOnce(&ndarray::ArrayRef<A, D>) -> A,
) -> A {
    let build = |expr: &Expr| fold(expr, kind, &every_axis(expr.ndim()));
    lazily::value(source, build, |a| here::whole(kind, a).unwrap_or_else(|| eager(a)))
}

#[track_caller]
fn along<A, D: RemoveAxis>(
    source: &(impl Source<A, D> + ?Sized),
    kind: Fold,
    axis: Axis,
    eager: impl FnOnce(&ndarray::ArrayRef<A, D>) -> ndarray::Array<A, D::Smaller>,
) -> Array<A, D::Smaller> {
    let build = |expr: &Expr| fold(expr, kind, &[axis]);
    lazily::array(source, build, |a| here::along(kind, a, axis).unwrap_or_else(|| eager(a)))
}

/// The index at a row-major position.
fn index_at<D: Dimension>(position: usize, shape: &[usize]) -> D {
    let mut rest = position;
    let mut index = vec![0; shape.len()];
    for (i, &len) in index.iter_mut().zip(shape).rev() {
        *i = rest % len;
        rest /= len;
    }
    dim_of(&index)
}
