//! Reductions in a wider type than the elements': sums of small integers that do not wrap, means with a fraction.
//!
//! Must not know in which order elements are folded.

use super::kind::source::Source;
use super::kinds::{on_all, on_arrays};
use super::reduce::{every_axis, fold};
use super::{Array, Array0, ArrayD, here, lazily};
use crate::error::{Result, or_panic};
use ndarray::{Axis, Dimension, RemoveAxis};
use tilework_expr::{Complex, Element, Expr, ExprError, Fold};

/// Element types that [`sum_as`](crate::Array::sum_as) and its like convert to `B` before they fold: `B` has all values
/// of the type, or, being a float, the nearest to each. `bool` is 0 or 1.
pub trait Widen<B: Element>: Element {}

macro_rules! widen {
    ($($from:ident: $($to:ty)*;)*) => { $($(impl Widen<$to> for $from {})*)* };
}
type C32 = Complex<f32>;
type C64 = Complex<f64>;
widen! {
    bool: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 C32 C64;
    i8: i8 i16 i32 i64 f32 f64 C32 C64;
    i16: i16 i32 i64 f32 f64 C32 C64;
    i32: i32 i64 f32 f64 C32 C64;
    i64: i64 f32 f64 C32 C64;
    u8: u8 u16 u32 u64 i16 i32 i64 f32 f64 C32 C64;
    u16: u16 u32 u64 i32 i64 f32 f64 C32 C64;
    u32: u32 u64 i64 f32 f64 C32 C64;
    u64: u64 f32 f64 C32 C64;
    f32: f32 f64 C32 C64;
    f64: f64 C64;
    C32: C32 C64;
    C64: C64;
}

/// A fold of elements that are converted first; the conversion is part of the same pass.
fn folded<B: Element>(expr: &Expr, kind: Fold, axes: &[Axis]) -> Result<Expr> {
    fold(&expr.cast(B::DTYPE)?, kind, axes)
}

macro_rules! widened {
    ($($of:literal $fold:expr, $like:ident, $first:literal:
        $all:ident $try_all:ident $lazy:ident $try_lazy:ident $axis:ident $try_axis:ident $axes:ident $try_axes:ident;)*) => {
        on_all!({ A: Element } { $(
            #[doc = concat!($of, " all elements, which are converted to `B` first, in the same pass: as [`", stringify!($like),
                "`](Self::", stringify!($like), ") of `cast::<B>()`. ", $first)]
            ///
            /// # Panics
            /// Where the computation fails.
            #[must_use]
            #[track_caller]
            pub fn $all<B: Element>(&self) -> B
            where
                A: Widen<B>,
            {
                whole_as(self, $fold)
            }

            #[doc = concat!($of, " the elements along an axis, which the result does not have, converted to `B` first.")]
            ///
            /// # Panics
            /// If the axis is out of range.
            #[must_use]
            #[track_caller]
            pub fn $axis<B: Element>(&self, axis: Axis) -> Array<B, D::Smaller>
            where
                A: Widen<B>,
                D: RemoveAxis,
            {
                axis_as(self, $fold, axis)
            }
        )* });

        on_arrays!({ A: Element } { $(
            #[doc = concat!("[`", stringify!($all), "`](Self::", stringify!($all), ") that returns what goes wrong.")]
            ///
            /// # Errors
            /// A failed computation.
            pub fn $try_all<B: Element>(&self) -> Result<B>
            where
                A: Widen<B>,
            {
                lazily::value_of(&folded::<B>(&self.leaf()?, $fold, &every_axis(self.ndim()))?)
            }

            #[doc = concat!("[`", stringify!($all), "`](Self::", stringify!($all), ") as an array without dimensions: several ",
                "are computed in one run by [`compute_all`](crate::compute_all).")]
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($try_lazy), "`](Self::", stringify!($try_lazy), ") returns an error.")]
            #[must_use]
            #[track_caller]
            pub fn $lazy<B: Element>(&self) -> Array0<B>
            where
                A: Widen<B>,
            {
                or_panic(self.$try_lazy())
            }

            #[doc = concat!("[`", stringify!($lazy), "`](Self::", stringify!($lazy), ") that returns what goes wrong.")]
            ///
            /// # Errors
            /// None in practice.
            pub fn $try_lazy<B: Element>(&self) -> Result<Array0<B>>
            where
                A: Widen<B>,
            {
                Ok(Array::of_expr(folded::<B>(&self.leaf()?, $fold, &every_axis(self.ndim()))?))
            }

            #[doc = concat!("[`", stringify!($axis), "`](Self::", stringify!($axis), ") that returns what goes wrong, lazily.")]
            ///
            /// # Errors
            /// An axis out of range.
            pub fn $try_axis<B: Element>(&self, axis: Axis) -> Result<Array<B, D::Smaller>>
            where
                A: Widen<B>,
                D: RemoveAxis,
            {
                Ok(Array::of_expr(folded::<B>(&self.leaf()?, $fold, &[axis])?))
            }

            #[doc = concat!($of, " the elements along several axes, which the result does not have, converted to `B` first.")]
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($try_axes), "`](Self::", stringify!($try_axes), ") returns an error.")]
            #[must_use]
            #[track_caller]
            pub fn $axes<B: Element>(&self, axes: &[Axis]) -> ArrayD<B>
            where
                A: Widen<B>,
            {
                or_panic(self.$try_axes(axes))
            }

            #[doc = concat!("[`", stringify!($axes), "`](Self::", stringify!($axes), ") that returns what goes wrong.")]
            ///
            /// # Errors
            /// An axis out of range or given twice.
            pub fn $try_axes<B: Element>(&self, axes: &[Axis]) -> Result<ArrayD<B>>
            where
                A: Widen<B>,
            {
                Ok(Array::of_expr(folded::<B>(&self.leaf()?, $fold, axes)?))
            }
        )* });
    };
}

widened! {
    "The sum of" Fold::Sum, sum, "`bytes.sum_as::<i64>()` does not wrap; of conditions it counts those that are true.":
    sum_as try_sum_as lazy_sum_as try_lazy_sum_as sum_axis_as try_sum_axis_as sum_axes_as try_sum_axes_as;

    "The product of" Fold::Prod, product, "1 for none.":
    product_as try_product_as lazy_product_as try_lazy_product_as
    product_axis_as try_product_axis_as product_axes_as try_product_axes_as;
}

#[track_caller]
fn whole_as<A: Widen<B>, B: Element, D: Dimension>(source: &(impl Source<A, D> + ?Sized), kind: Fold) -> B {
    let build = |expr: &Expr| folded::<B>(expr, kind, &every_axis(expr.ndim()));
    let here =
        |a: &ndarray::ArrayRef<A, D>| here::whole_as(kind, a).expect("a fold of any number of elements");
    lazily::value(source, build, here)
}

#[track_caller]
fn axis_as<A: Widen<B>, B: Element, D: RemoveAxis>(
    source: &(impl Source<A, D> + ?Sized),
    kind: Fold,
    axis: Axis,
) -> Array<B, D::Smaller> {
    let ndim = source.lens().ndim();
    if axis.index() >= ndim {
        return or_panic(Err(ExprError::AxisOutOfRange { axis: axis.index(), ndim }.into()));
    }
    let build = |expr: &Expr| folded::<B>(expr, kind, &[axis]);
    lazily::array(source, build, |a| here::along_as(kind, a, axis))
}

on_all!({ A: Element } {
    /// The mean of all elements, which are converted to `B` first, in the same pass; `None` where there are none.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// assert_eq!(array![1u8, 2].mean_as::<f64>(), Some(1.5));
    /// assert_eq!(array![true, false, true, true].mean_as::<f64>(), Some(0.75));
    /// ```
    ///
    /// # Panics
    /// Where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn mean_as<B: Element>(&self) -> Option<B>
    where
        A: Widen<B>,
    {
        if self.is_empty() { None } else { Some(whole_as(self, Fold::Mean)) }
    }

    /// The means along an axis, which the result does not have, of elements that are converted to `B` first; `None`
    /// where its length is 0.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn mean_axis_as<B: Element>(&self, axis: Axis) -> Option<Array<B, D::Smaller>>
    where
        A: Widen<B>,
        D: RemoveAxis,
    {
        let none = self.lens().slice().get(axis.index()) == Some(&0);
        if none { None } else { Some(axis_as(self, Fold::Mean, axis)) }
    }
});

on_arrays!({ A: Element } {
    /// [`mean_as`](Self::mean_as) that returns what goes wrong.
    ///
    /// # Errors
    /// A failed computation.
    pub fn try_mean_as<B: Element>(&self) -> Result<Option<B>>
    where
        A: Widen<B>,
    {
        if self.is_empty() {
            return Ok(None);
        }
        Ok(Some(lazily::value_of(&folded::<B>(&self.leaf()?, Fold::Mean, &every_axis(self.ndim()))?)?))
    }

    /// [`mean_as`](Self::mean_as) as an array without dimensions: several are computed in one run by
    /// [`compute_all`](crate::compute_all).
    ///
    /// # Panics
    /// If there are no elements.
    #[must_use]
    #[track_caller]
    pub fn lazy_mean_as<B: Element>(&self) -> Array0<B>
    where
        A: Widen<B>,
    {
        or_panic(self.try_lazy_mean_as())
    }

    /// [`lazy_mean_as`](Self::lazy_mean_as) that returns what goes wrong.
    ///
    /// # Errors
    /// No elements.
    pub fn try_lazy_mean_as<B: Element>(&self) -> Result<Array0<B>>
    where
        A: Widen<B>,
    {
        Ok(Array::of_expr(folded::<B>(&self.leaf()?, Fold::Mean, &every_axis(self.ndim()))?))
    }

    /// [`mean_axis_as`](Self::mean_axis_as) that returns what goes wrong, lazily.
    ///
    /// # Errors
    /// An axis out of range.
    pub fn try_mean_axis_as<B: Element>(&self, axis: Axis) -> Result<Option<Array<B, D::Smaller>>>
    where
        A: Widen<B>,
        D: RemoveAxis,
    {
        if self.shape().get(axis.index()) == Some(&0) {
            return Ok(None);
        }
        Ok(Some(Array::of_expr(folded::<B>(&self.leaf()?, Fold::Mean, &[axis])?)))
    }
});
