//! Comparisons of elements, and the choice between two arrays by a condition.
//!
//! Must not know how shapes broadcast.

use super::Array;
use super::operand::Operand;
use super::twins::twins;
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use tilework_expr::{BinaryOp, Element};

/// # Comparisons of elements
impl<A: Element, D: Dimension> Array<A, D> {
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

        /// The smaller of each pair of elements; of a NaN and a number the number, as `f64::min`.
        minimum, try_minimum [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { self.binary(BinaryOp::Min, rhs) }

        /// The greater of each pair of elements; of a NaN and a number the number, as `f64::max`.
        maximum, try_maximum [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim> where { A: PartialOrd },
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { self.binary(BinaryOp::Max, rhs) }

        /// Each element, but at least `min` and at most `max`. NaN stays.
        clamp, try_clamp [] (&self, min: A, max: A) -> Array<A, D> where { A: PartialOrd },
        errors "`min` greater than `max`, or one of them NaN.",
        {
            // Written so that NaN is refused too.
            if !matches!(min.partial_cmp(&max), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
                let got = format!("{min:?} to {max:?}");
                let expected = "a minimum of at most the maximum";
                return Err(tilework_expr::ExprError::Parameter { what: "clamp", got, expected }.into());
            }
            let (below, above) = (self.try_less(min)?, self.try_greater(max)?);
            try_where(&below, min, &try_where(&above, max, self)?)
        }
    }
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
    Array::wrapped(condition.expr.select(&yes.operand()?, &no.operand()?))
}

/// Whether shapes and all elements are equal. Computes both arrays.
///
/// Panics where the computation fails.
impl<A: Element, D: Dimension> PartialEq for Array<A, D> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && or_panic(self.try_equal(other).and_then(|same| same.try_all()))
    }
}

/// Whether shapes and all elements are equal. Computes the array.
///
/// Panics where the computation fails.
impl<A: Element, D: Dimension> PartialEq<ndarray::Array<A, D>> for Array<A, D> {
    #[track_caller]
    fn eq(&self, other: &ndarray::Array<A, D>) -> bool {
        self.shape() == other.shape() && self.compute() == *other
    }
}

/// Whether shapes and all elements are equal. Computes the array.
///
/// Panics where the computation fails.
impl<A: Element, D: Dimension> PartialEq<Array<A, D>> for ndarray::Array<A, D> {
    #[track_caller]
    fn eq(&self, other: &Array<A, D>) -> bool {
        other == self
    }
}
