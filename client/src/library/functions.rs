//! Functions of elements that NumPy has beside those that Rust's numbers have.
//!
//! Most are fused elementwise work. Must not know how bits of floats are taken apart.

use super::{even, number, same, stage};
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, ArrayBase, Data, Operand};
use crate::error::Result;
use crate::{Complex, Real};
use ndarray::Dimension;
use num_traits::{Float, Num};
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, Fold, Scalar, UnaryOp};
use tilework_kernels::library::floats::FloatFunction;

use BinaryOp::{Add, And, Copysign, Div, Eq, Gt, Le, Lt, Mul, Ne, Or, Rem, Sub, Xor};

/// The lesser or the greater of each pair, NaN where one of them is.
pub(crate) fn extreme(a: &Expr, b: &Expr, greatest: bool) -> Result<Expr> {
    let op = if greatest { BinaryOp::Max } else { BinaryOp::Min };
    if !a.dtype().is_float() {
        return Ok(a.binary(op, b)?);
    }
    // What is not before the other is the other, which may be NaN.
    let before = a.binary(if greatest { BinaryOp::Ge } else { Le }, b)?;
    Ok(before.binary(Or, &a.unary(UnaryOp::IsNan)?)?.select(a, b)?)
}

/// `ln(exp(a) + exp(b))`, or the same to base 2.
fn log_add(a: &Expr, b: &Expr, base2: bool) -> Result<Expr> {
    let dtype = a.dtype();
    let exp = if base2 { UnaryOp::Exp2 } else { UnaryOp::Exp };
    let away = a.binary(Sub, b)?;
    // Of the lesser against the greater; NaN stays.
    let share = away.unary(UnaryOp::Abs)?.unary(UnaryOp::Neg)?.unary(exp)?.unary(UnaryOp::Ln1p)?;
    let share = match base2 {
        true => share.binary(Div, &number(dtype, std::f64::consts::LN_2)?)?,
        false => share,
    };
    let sum = extreme(a, b, true)?.binary(Add, &share)?;
    // Two infinities of one sign are no distance apart.
    let one = number(dtype, if base2 { 1.0 } else { std::f64::consts::LN_2 })?;
    Ok(a.binary(Eq, b)?.select(&a.binary(Add, &one)?, &sum)?)
}

/// The quotient rounded down, and what is left, which has the sign of the divisor.
fn floored(a: &Expr, b: &Expr) -> Result<(Expr, Expr)> {
    let dtype = a.dtype();
    let zero = Expr::full(&[], &Chunks::Auto, Scalar::from_bits(dtype, 0))?;
    let left = a.binary(Rem, b)?;
    let signs = b.binary(Lt, &zero)?.binary(Xor, &left.binary(Lt, &zero)?)?;
    let is_over = left.binary(Ne, &zero)?.binary(And, &signs)?;
    let quotient = |exact: Expr| -> Result<Expr> { Ok(exact.binary(Sub, &is_over.cast(dtype)?)?) };
    let rest = is_over.select(&left.binary(Add, b)?, &left)?;
    if !dtype.is_float() {
        return Ok((quotient(a.binary(Div, b)?)?, rest));
    }
    let exact = quotient(a.binary(Sub, &left)?.binary(Div, b)?)?;
    // The division was of a multiple: what it is away from an integer is rounding.
    let floor = exact.unary(UnaryOp::Floor)?;
    let up = exact.binary(Sub, &floor)?.binary(Gt, &number(dtype, 0.5)?)?;
    let near = up.select(&floor.binary(Add, &number(dtype, 1.0)?)?, &floor)?;
    let ratio = a.binary(Div, b)?;
    let none = zero.binary(Copysign, &ratio)?;
    let near = exact.binary(Eq, &zero)?.select(&none, &near)?;
    let near = b.binary(Eq, &zero)?.select(&ratio, &near)?;
    let rest = rest.binary(Eq, &zero)?.select(&zero.binary(Copysign, b)?, &rest)?;
    Ok((near, rest))
}

fn close(a: &Expr, b: &Expr, (rtol, atol): (f64, f64)) -> Result<Expr> {
    let dtype = a.dtype();
    let bound =
        number(dtype, rtol)?.binary(Mul, &b.unary(UnaryOp::Abs)?)?.binary(Add, &number(dtype, atol)?)?;
    let near = a.binary(Sub, b)?.unary(UnaryOp::Abs)?.binary(Le, &bound)?;
    let near = near.binary(And, &b.unary(UnaryOp::IsFinite)?)?;
    Ok(near.binary(Or, &a.binary(Eq, b)?)?)
}

/// A function of bits, of one array or of two on the grid of their common shape.
fn of_bits(function: FloatFunction, a: &Expr, b: Option<&Expr>) -> Result<Expr> {
    let own = function.of(a.dtype());
    let Some(b) = b else {
        return stage(own, &[(a, same(a.ndim()))], a.grid(), a.grid());
    };
    let together = a.binary(Eq, &b.cast(a.dtype())?)?;
    let (shape, grid) = (together.shape(), together.grid());
    let on = |expr: &Expr| -> Result<Expr> { Ok(expr.broadcast_to(&shape)?.on_grid(grid.clone())?) };
    let (a, b) = (on(a)?, on(b)?);
    stage(own, &[(&a, same(shape.len())), (&b, same(shape.len()))], grid, grid)
}

fn finite(expr: &Expr, nan: f64, infinities: (Option<f64>, Option<f64>)) -> Result<Expr> {
    let dtype = expr.dtype();
    let most = if dtype == DType::F32 { f64::from(f32::MAX) } else { f64::MAX };
    let (above, below) = (infinities.0.unwrap_or(most), infinities.1.unwrap_or(-most));
    let is = |infinity: f64| -> Result<Expr> { Ok(expr.binary(Eq, &number(dtype, infinity)?)?) };
    let found = is(f64::INFINITY)?.select(&number(dtype, above)?, expr)?;
    let found = is(f64::NEG_INFINITY)?.select(&number(dtype, below)?, &found)?;
    Ok(expr.unary(UnaryOp::IsNan)?.select(&number(dtype, nan)?, &found)?)
}

/// Rounded to so many decimals, or to a power of ten where that is negative.
fn rounded(expr: &Expr, decimals: i32) -> Result<Expr> {
    let by = number(expr.dtype(), 10f64.powi(decimals.saturating_abs()))?;
    let (there, back) = if decimals < 0 { (Div, Mul) } else { (Mul, Div) };
    match decimals {
        0 => even(expr),
        _ => Ok(even(&expr.binary(there, &by)?)?.binary(back, &by)?),
    }
}

fn sinc(expr: &Expr) -> Result<Expr> {
    let (dtype, zero) = (expr.dtype(), number(expr.dtype(), 0.0)?);
    let x = expr.binary(Mul, &number(dtype, std::f64::consts::PI)?)?;
    let ratio = x.unary(UnaryOp::Sin)?.binary(Div, &x)?;
    Ok(expr.binary(Eq, &zero)?.select(&number(dtype, 1.0)?, &ratio)?)
}

on_arrays!({ A: Element + Num } {
    twins! {
        /// The quotient of each pair of elements, rounded down, where `&a / &b` of integers is rounded towards 0: NumPy's
        /// `floor_divide`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let (a, b) = (arr1(&[7, -7]), arr1(&[2, 2]));
        /// let (quotient, rest) = a.divmod(&b);
        /// assert_eq!(quotient.compute(), ndarray::arr1(&[3, -4]));
        /// assert_eq!(rest.compute(), ndarray::arr1(&[1, 1]));
        /// ```
        floor_divide, try_floor_divide [T: Operand<A, D>] (&self, divisor: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together; complex elements. The computation fails where an integer is divided by 0.",
        { Ok(Array::of_expr(floored(&self.leaf()?, &divisor.operand()?)?.0)) }

        /// What is left of each element by [`floor_divide`](Self::floor_divide): its sign is that of the divisor, where
        /// that of `&a % &b` is the sign of `a`. NumPy's `remainder` and `mod`.
        remainder, try_remainder [T: Operand<A, D>] (&self, divisor: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together; complex elements. The computation fails where an integer is divided by 0.",
        { Ok(Array::of_expr(floored(&self.leaf()?, &divisor.operand()?)?.1)) }

        /// [`floor_divide`](Self::floor_divide) and [`remainder`](Self::remainder).
        divmod, try_divmod [T: Operand<A, D>] (&self, divisor: T) -> (Array<A, T::Dim>, Array<A, T::Dim>),
        errors "Shapes that do not broadcast together; complex elements. The computation fails where an integer is divided by 0.",
        {
            let (quotient, rest) = floored(&self.leaf()?, &divisor.operand()?)?;
            Ok((Array::of_expr(quotient), Array::of_expr(rest)))
        }
    }
});

on_arrays!({ A: Element + PartialOrd } {
    twins! {
        /// The smaller of each pair of elements; of a NaN and a number the number, as `f64::min` and NumPy's `fmin`.
        /// [`minimum`](Self::minimum) gives NaN.
        fmin, try_fmin [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { Array::wrapped(self.leaf()?.binary(BinaryOp::Min, &rhs.operand()?)) }

        /// The greater of each pair of elements; of a NaN and a number the number, as `f64::max` and NumPy's `fmax`.
        /// [`maximum`](Self::maximum) gives NaN.
        fmax, try_fmax [T: Operand<A, D>] (&self, rhs: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together; elements of `bool`.",
        { Array::wrapped(self.leaf()?.binary(BinaryOp::Max, &rhs.operand()?)) }

        /// Each element, but at least that of `low` and at most that of `high`, arrays that broadcast or values: NumPy's
        /// `clip`. NaN in any of them stays; where `low` is above `high` it is `high`. [`clamp`](Self::clamp) refuses
        /// those, and is ndarray's.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1, 5, 9]);
        /// assert_eq!(x.clip(2, &arr1(&[3, 7, 8])).compute(), ndarray::arr1(&[2, 5, 8]));
        /// ```
        clip, try_clip [T: Operand<A, D>, U: Operand<A, T::Dim>] (&self, low: T, high: U) -> Array<A, U::Dim>,
        errors "Shapes that do not broadcast together; elements of `bool`.",
        {
            let above = extreme(&self.leaf()?, &low.operand()?, true)?;
            Ok(Array::of_expr(extreme(&above, &high.operand()?, false)?))
        }
    }
});

on_arrays!({ A: Element + Float } {
    twins! {
        /// The logarithm of the sum of the exponentials of each pair of elements, which nothing overflows on the way to:
        /// NumPy's `logaddexp`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1000.0, 0.0]);
        /// let sum = x.logaddexp(&x).compute();
        /// assert_eq!(sum, ndarray::arr1(&[1000.0 + 2f64.ln(), 2f64.ln()]));
        /// ```
        logaddexp, try_logaddexp [T: Operand<A, D>] (&self, other: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { Ok(Array::of_expr(log_add(&self.leaf()?, &other.operand()?, false)?)) }

        /// As [`logaddexp`](Self::logaddexp), to base 2.
        logaddexp2, try_logaddexp2 [T: Operand<A, D>] (&self, other: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { Ok(Array::of_expr(log_add(&self.leaf()?, &other.operand()?, true)?)) }

        /// Whether elements are so near to those of `other`: `|a - b| <= atol + rtol * |b|`, or both the same infinity.
        /// NaN is near to nothing. NumPy takes an `rtol` of `1e-5` and an `atol` of `1e-8`.
        isclose, try_isclose [T: Operand<A, D>] (&self, other: T, rtol: f64, atol: f64) -> Array<bool, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { Ok(Array::of_expr(close(&self.leaf()?, &other.operand()?, (rtol, atol))?)) }

        /// Whether all elements are near to those of `other`, as [`isclose`](Self::isclose) has it. Computes it.
        allclose, try_allclose [T: Operand<A, D>] (&self, other: T, rtol: f64, atol: f64) -> bool,
        errors "Shapes that do not broadcast together; a failed computation.",
        {
            let near = close(&self.leaf()?, &other.operand()?, (rtol, atol))?;
            let all = near.reduce(Fold::All, &(0..near.ndim()).collect::<Vec<_>>())?;
            Array::<bool, ndarray::Ix0>::of_expr(all).try_into_scalar()
        }

        /// Whether each element's sign is negative, as that of `-0.0` is.
        signbit, try_signbit [] (&self) -> Array<bool, D>,
        errors "None in practice.",
        {
            let expr = self.leaf()?;
            let sign = number(A::DTYPE, 1.0)?.binary(Copysign, &expr)?;
            Array::wrapped(sign.binary(Lt, &number(A::DTYPE, 0.0)?))
        }

        /// 1, 0 or -1 by the sign of each element, 0 of both zeros; NaN for NaN. [`signum`](Self::signum), which is
        /// ndarray's, is 1 and -1 for zeros.
        sign, try_sign [] (&self) -> Array<A, D>,
        errors "None in practice.",
        {
            let (expr, zero) = (self.leaf()?, number(A::DTYPE, 0.0)?);
            Array::wrapped(expr.binary(Eq, &zero)?.select(&zero, &expr.unary(UnaryOp::Signum)?))
        }

        /// Whether each element is positive infinity.
        isposinf, try_isposinf [] (&self) -> Array<bool, D>,
        errors "None in practice.",
        { Array::wrapped(self.leaf()?.binary(Eq, &number(A::DTYPE, f64::INFINITY)?)) }

        /// Whether each element is negative infinity.
        isneginf, try_isneginf [] (&self) -> Array<bool, D>,
        errors "None in practice.",
        { Array::wrapped(self.leaf()?.binary(Eq, &number(A::DTYPE, f64::NEG_INFINITY)?)) }

        /// `sin(πx) / (πx)` of each element, 1 of 0.
        sinc, try_sinc [] (&self) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(sinc(&self.leaf()?)?)) }

        /// The nearest integer of each element, of two that are as near the even one: NumPy's `rint` and `round`.
        /// [`round`](Self::round), which is ndarray's, takes halves away from 0.
        rint, try_rint [] (&self) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(even(&self.leaf()?)?)) }

        /// Each element rounded to so many decimals, or to a power of ten where that is negative; halves to even: NumPy's
        /// `around`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[1.25, 1.75, 250.0]);
        /// assert_eq!(x.around(1).compute(), ndarray::arr1(&[1.2, 1.8, 250.0]));
        /// assert_eq!(x.around(-2).compute(), ndarray::arr1(&[0.0, 0.0, 200.0]));
        /// ```
        around, try_around [] (&self, decimals: i32) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(rounded(&self.leaf()?, decimals)?)) }

        /// Each element, but `nan` for NaN, and for infinities the values given, or the greatest and the least number of
        /// the type: NumPy's `nan_to_num`.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let x = arr1(&[f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY]);
        /// assert_eq!(x.nan_to_num(0.0, Some(9.0), None).compute(), ndarray::arr1(&[0.0, 1.0, 9.0, f64::MIN]));
        /// ```
        nan_to_num, try_nan_to_num [] (&self, nan: f64, infinity: Option<f64>, negative_infinity: Option<f64>) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(finite(&self.leaf()?, nan, (infinity, negative_infinity))?)) }

        /// The float next to each element towards that of `to`.
        nextafter, try_nextafter [T: Operand<A, D>] (&self, to: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { Ok(Array::of_expr(of_bits(FloatFunction::NextAfter, &self.leaf()?, Some(&to.operand()?))?)) }

        /// The distance from each element to the next float away from 0, with the sign of the element.
        spacing, try_spacing [] (&self) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(of_bits(FloatFunction::Spacing, &self.leaf()?, None)?)) }

        /// Mantissas, from a half to 1, and exponents: `x` is `mantissa * 2^exponent`. Of 0, infinities and NaN the mantissa is
        /// the element, and the exponent 0.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let (mantissa, exponent) = arr1(&[6.0, -0.5]).frexp();
        /// assert_eq!(mantissa.compute(), ndarray::arr1(&[0.75, -0.5]));
        /// assert_eq!(exponent.compute(), ndarray::arr1(&[3, 0]));
        /// ```
        frexp, try_frexp [] (&self) -> (Array<A, D>, Array<i32, D>),
        errors "None in practice.",
        {
            let expr = self.leaf()?;
            let part = |function| of_bits(function, &expr, None);
            Ok((Array::of_expr(part(FloatFunction::Mantissa)?), Array::of_expr(part(FloatFunction::Exponent)?)))
        }

        /// Each element times 2 to the power of an integer, rounded once.
        ldexp, try_ldexp [T: Operand<i32, D>] (&self, exponent: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { Ok(Array::of_expr(of_bits(FloatFunction::Ldexp, &self.leaf()?, Some(&exponent.operand()?))?)) }

        /// The modified Bessel function of the first kind and order 0 of each element, to a few units in the last place.
        i0, try_i0 [] (&self) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::of_expr(of_bits(FloatFunction::I0, &self.leaf()?, None)?)) }
    }
});

impl<T: Real, S: Data<Elem = Complex<T>>, D: Dimension> ArrayBase<S, D, Complex<T>>
where
    Complex<T>: Element,
{
    twins! {
        /// Whether each element has no imaginary part: it is 0.
        isreal, try_isreal [] (&self) -> Array<bool, D>,
        errors "None in practice.",
        { Array::wrapped(self.leaf()?.unary(UnaryOp::Im)?.binary(Eq, &number(T::DTYPE, 0.0)?)) }

        /// Whether each element has an imaginary part that is not 0.
        iscomplex, try_iscomplex [] (&self) -> Array<bool, D>,
        errors "None in practice.",
        { Array::wrapped(self.leaf()?.unary(UnaryOp::Im)?.binary(Ne, &number(T::DTYPE, 0.0)?)) }
    }
}
