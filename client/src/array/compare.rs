//! Comparisons of elements, and the choice between two arrays by a condition.
//!
//! Must not know how shapes broadcast.

use super::kind::choice::{dtype_of, text_of};
use super::kind::source::Source;
use super::kinds::{on_all, on_arrays};
use super::operand::{Operand, scalar};
use super::twins::twins;
use super::{Array, ArrayBase, ArrayRef, Data, lazily};
use crate::error::{Result, or_panic};
use crate::library::extreme;
use ndarray::Dimension;
use tilework_expr::{BinaryOp, Element, Expr, Fold};

on_arrays!({ A: Element } {
    twins! {
        /// Whether elements are equal to those of `rhs`, an array that broadcasts with this one or a value.
        /// NaN is equal to nothing.
        equal, try_equal [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Eq, rhs) }

        /// Whether elements differ from those of `rhs`, an array that broadcasts with this one or a value.
        not_equal, try_not_equal [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Ne, rhs) }

        /// Whether elements are less than those of `rhs`, an array that broadcasts with this one or a value.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let a = arr1(&[1.0, 5.0, 3.0]);
        /// let small = a.less(4.0);
        /// assert_eq!(tilework::where_(&small, &a, 0.0).compute(), ndarray::array![1.0, 0.0, 3.0]);
        /// ```
        less, try_less [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Lt, rhs) }

        /// Whether elements are at most those of `rhs`, an array that broadcasts with this one or a value.
        less_equal, try_less_equal [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Le, rhs) }

        /// Whether elements are greater than those of `rhs`, an array that broadcasts with this one or a
        /// value.
        greater, try_greater [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Gt, rhs) }

        /// Whether elements are at least those of `rhs`, an array that broadcasts with this one or a value.
        greater_equal, try_greater_equal [T: Operand<A, D>] (&self, rhs: T) -> Array<bool, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Ge, rhs) }

        /// The smaller of each pair of elements, NaN where one of them is, as NumPy's `minimum`. [`fmin`](Self::fmin) gives the
        /// number then, as `f64::min` does.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let (a, b) = (arr1(&[1.0, f64::NAN]), arr1(&[3.0, 2.0]));
        /// assert!(a.minimum(&b).compute()[1].is_nan());
        /// assert_eq!(a.fmin(&b).compute(), ndarray::arr1(&[1.0, 2.0]));
        /// ```
        minimum, try_minimum [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { Ok(Array::of_expr(extreme(&self.leaf()?, &rhs.operand()?, false)?)) }

        /// The greater of each pair of elements, NaN where one of them is, as NumPy's `maximum`. [`fmax`](Self::fmax) gives the
        /// number then, as `f64::max` does.
        maximum, try_maximum [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { Ok(Array::of_expr(extreme(&self.leaf()?, &rhs.operand()?, true)?)) }
    }

    /// [`clamp`](Self::clamp) that returns what goes wrong.
    ///
    /// # Errors
    /// `min` greater than `max`, or one of them NaN.
    pub fn try_clamp(&self, min: A, max: A) -> Result<Array<A, D>>
    where
        A: PartialOrd,
    {
        Ok(Array::of_expr(clamped(&self.leaf()?, &min, &max)?))
    }
});

on_all!({ A } {
    /// Each element, but at least `min` and at most `max`. NaN stays, as in NumPy's `clip`.
    ///
    /// # Panics
    /// If `min` is greater than `max`, or one of them NaN.
    #[must_use]
    #[track_caller]
    pub fn clamp(&self, min: A, max: A) -> Array<A, D>
    where
        A: 'static + PartialOrd + Clone,
    {
        lazily::array(self, |expr| clamped(expr, &min, &max), |a| a.clamp(min.clone(), max.clone()))
    }
});

fn clamped<A: PartialOrd>(expr: &Expr, min: &A, max: &A) -> Result<Expr> {
    let (low, high) = (scalar(min)?, scalar(max)?);
    // Written so that NaN is refused too.
    if !matches!(min.partial_cmp(max), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
        let got = format!("{} to {}", text_of(min), text_of(max));
        let expected = "a minimum of at most the maximum";
        return Err(tilework_expr::ExprError::Parameter { what: "clamp", got, expected }.into());
    }
    let (below, above) = (expr.binary(BinaryOp::Lt, &low)?, expr.binary(BinaryOp::Gt, &high)?);
    Ok(below.select(&low, &above.select(&high, expr)?)?)
}

/// Elements of `yes` where `condition` is true, else of `no`; all three broadcast. NumPy's `where`.
///
/// # Panics
/// Where [`try_where`] returns an error.
#[must_use]
#[track_caller]
pub fn where_<A, D, T, U>(condition: &Array<bool, D>, yes: T, no: U) -> Array<A, U::Dim>
where
    A: Element,
    D: Dimension,
    T: Operand<A, D>,
    U: Operand<A, T::Dim>,
{
    or_panic(try_where(condition, yes, no))
}

/// [`where_`] that returns what goes wrong.
///
/// # Errors
/// Shapes that do not broadcast together.
pub fn try_where<A, D, T, U>(condition: &Array<bool, D>, yes: T, no: U) -> Result<Array<A, U::Dim>>
where
    A: Element,
    D: Dimension,
    T: Operand<A, D>,
    U: Operand<A, T::Dim>,
{
    Array::wrapped(condition.leaf()?.select(&yes.operand()?, &no.operand()?))
}

/// Whether shapes and all elements are equal.
///
/// Elements of one type alone are compared: were two allowed, the type of `Array::zeros(2)` in `a == Array::zeros(2)`
/// would be ambiguous wherever a crate in the program compares numbers with types of its own.
fn all_equal<A: PartialEq, D: Dimension>(
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<A, D> + ?Sized),
) -> bool {
    if left.lens() != right.lens() {
        return false;
    }
    if dtype_of::<A>().is_some() && (left.wants_lazy() || right.wants_lazy()) {
        let same = left.leaf().and_then(|l| Ok(l.binary(BinaryOp::Eq, &right.leaf()?)?));
        if let Some(same) = lazily::or_ndarray(same) {
            let axes: Vec<usize> = (0..same.ndim()).collect();
            return or_panic(
                same.reduce(Fold::All, &axes).map_err(Into::into).and_then(|e| lazily::value_of(&e)),
            );
        }
    }
    left.here() == right.here()
}

macro_rules! equal {
    ($([$($g:tt)*] $left:ty, $right:ty;)*) => { $(
        equal!(@one [$($g)*] $left, $right);
        equal!(@one [$($g)*] &$left, $right);
        equal!(@one [$($g)*] $left, &$right);
    )* };
    (@one [$($g:tt)*] $left:ty, $right:ty) => {
        /// Whether shapes and all elements are equal. Computes what is lazy; panics where that fails.
        impl<A: PartialEq, D: Dimension, $($g)*> PartialEq<$right> for $left {
            #[track_caller]
            fn eq(&self, other: &$right) -> bool {
                all_equal(self, other)
            }
        }
    };
}

equal! {
    [S: Data<Elem = A>, T: Data<Elem = A>] ArrayBase<S, D, A>, ArrayBase<T, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, ArrayRef<A, D>;
    [S: Data<Elem = A>] ArrayRef<A, D>, ArrayBase<S, D, A>;
    [] ArrayRef<A, D>, ArrayRef<A, D>;
    [S: Data<Elem = A>, T: ndarray::Data<Elem = A>] ArrayBase<S, D, A>, ndarray::ArrayBase<T, D>;
    [S: Data<Elem = A>, T: ndarray::Data<Elem = A>] ndarray::ArrayBase<T, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, ndarray::ArrayRef<A, D>;
    [S: Data<Elem = A>] ndarray::ArrayRef<A, D>, ArrayBase<S, D, A>;
    [T: ndarray::Data<Elem = A>] ArrayRef<A, D>, ndarray::ArrayBase<T, D>;
    [T: ndarray::Data<Elem = A>] ndarray::ArrayBase<T, D>, ArrayRef<A, D>;
}

impl<A: Eq, S: Data<Elem = A>, D: Dimension> Eq for ArrayBase<S, D, A> {}

impl<A: Eq, D: Dimension> Eq for ArrayRef<A, D> {}
