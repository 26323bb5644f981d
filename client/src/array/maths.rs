//! Functions of each element: ndarray's for floats, conversions, and those of signed integers and complex
//! numbers.
//!
//! Must not know shapes.

use super::kind::choice::scalar_of;
use super::kind::source::{Source, is_lazy};
use super::kinds::{on_all, on_arrays};
use super::operand::{Operand, not_lazy, scalar};
use super::twins::twins;
use super::{Array, ArrayBase, Data, chunks_of, lazily};
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use num_traits::{Float, Signed};
use tilework_expr::{BinaryOp, Complex, Element, Expr, Fold, UnaryOp};
use tilework_kernels::complex;

/// Methods of one array, none of which can fail. Those of ndarray's are its own at once where the array is small.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $op:ident -> $r:ty)*) => { $(
        $(#[$doc])*
        #[must_use]
        #[track_caller]
        pub fn $name(&self) -> Array<$r, D> {
            lazily::array(self, |expr| Ok(expr.unary(UnaryOp::$op)?), |a| a.$name())
        }
    )* };
}

/// Methods of one array that ndarray does not have, each a function of an element.
macro_rules! own_functions {
    ($($(#[$doc:meta])* $name:ident $op:ident $f:expr => $r:ty)*) => { $(
        $(#[$doc])*
        #[must_use]
        #[track_caller]
        pub fn $name(&self) -> Array<$r, D> {
            lazily::array(self, |expr| Ok(expr.unary(UnaryOp::$op)?), |a| a.mapv($f))
        }
    )* };
}

on_arrays!({ A: Element } {
    twins! {
        /// The elements converted to `B` as by Rust's `as`; to `bool`, whether they are not 0; from `bool`, 0
        /// or 1; to complex numbers, with an imaginary part of 0.
        cast, try_cast [B: Element] (&self) -> Array<B, D>,
        errors "Complex elements to real ones: take `re` or `norm`; a result that is too large.",
        { Array::wrapped(self.leaf()?.cast(B::DTYPE)) }
    }
});

// Each element is what the method of `f32` and `f64` gives, but for `exp`, `ln` (and with it `log`), `sin`, `cos` and
// `tanh` of lazy arrays: these are computed many elements at a time, within one unit in the last place of the exact
// value.
on_all!({ A: 'static + Float } {
    functions! {
        /// Whether each element is NaN.
        is_nan IsNan -> bool
        /// Whether each element is infinite.
        is_infinite IsInfinite -> bool
        /// The largest integer of at most each element.
        floor Floor -> A
        /// The smallest integer of at least each element.
        ceil Ceil -> A
        /// The nearest integer of each element; halves away from 0, where NumPy's go to the even one.
        round Round -> A
        /// The integer part of each element.
        trunc Trunc -> A
        /// The fractional part of each element.
        fract Fract -> A
        /// The absolute value of each element.
        abs Abs -> A
        /// 1 or -1 by the sign of each element, 0 included, which NumPy's `sign` gives 0 for; NaN for NaN.
        signum Signum -> A
        /// The reciprocal of each element.
        recip Recip -> A
        /// The square root of each element.
        sqrt Sqrt -> A
        /// The cubic root of each element.
        cbrt Cbrt -> A
        /// e to the power of each element.
        exp Exp -> A
        /// 2 to the power of each element.
        exp2 Exp2 -> A
        /// e to the power of each element, minus 1, exact for small elements.
        exp_m1 ExpM1 -> A
        /// The natural logarithm of each element.
        ln Ln -> A
        /// The logarithm to base 2 of each element.
        log2 Log2 -> A
        /// The logarithm to base 10 of each element.
        log10 Log10 -> A
        /// The natural logarithm of 1 plus each element, exact for small elements.
        ln_1p Ln1p -> A
        /// The sine of each element, in radians.
        sin Sin -> A
        /// The cosine of each element, in radians.
        cos Cos -> A
        /// The tangent of each element, in radians.
        tan Tan -> A
        /// The arcsine of each element, in radians.
        asin Asin -> A
        /// The arccosine of each element, in radians.
        acos Acos -> A
        /// The arctangent of each element, in radians.
        atan Atan -> A
        /// The hyperbolic sine of each element.
        sinh Sinh -> A
        /// The hyperbolic cosine of each element.
        cosh Cosh -> A
        /// The hyperbolic tangent of each element.
        tanh Tanh -> A
        /// The inverse hyperbolic sine of each element.
        asinh Asinh -> A
        /// The inverse hyperbolic cosine of each element.
        acosh Acosh -> A
        /// The inverse hyperbolic tangent of each element.
        atanh Atanh -> A
        /// Each element, in radians, as degrees.
        to_degrees ToDegrees -> A
        /// Each element, in degrees, as radians.
        to_radians ToRadians -> A
        /// The square of each element.
        pow2 Square -> A
    }

    own_functions! {
        /// Whether each element is neither infinite nor NaN.
        is_finite IsFinite Float::is_finite => bool
    }

    /// Each element to the power of `exponent`, a value or an array that broadcasts with this one.
    ///
    /// # Panics
    /// At shapes that do not broadcast together.
    #[must_use]
    #[track_caller]
    pub fn powf<T: Operand<A, D>>(&self, exponent: T) -> Array<A, T::Dim> {
        with_operand(self, BinaryOp::Pow, exponent, A::powf)
    }

    /// The length of the hypotenuse of right-angled triangles with these sides.
    ///
    /// # Panics
    /// At shapes that do not broadcast together.
    #[must_use]
    #[track_caller]
    pub fn hypot<T: Operand<A, D>>(&self, other: T) -> Array<A, T::Dim> {
        with_operand(self, BinaryOp::Hypot, other, A::hypot)
    }

    /// The angle of each point (`x`, self) from the first axis, in radians.
    ///
    /// # Panics
    /// At shapes that do not broadcast together.
    #[must_use]
    #[track_caller]
    pub fn atan2<T: Operand<A, D>>(&self, x: T) -> Array<A, T::Dim> {
        with_operand(self, BinaryOp::Atan2, x, A::atan2)
    }

    /// Each element with the sign of that of `sign`.
    ///
    /// # Panics
    /// At shapes that do not broadcast together.
    #[must_use]
    #[track_caller]
    pub fn copysign<T: Operand<A, D>>(&self, sign: T) -> Array<A, T::Dim> {
        with_operand(self, BinaryOp::Copysign, sign, A::copysign)
    }

    /// Each element minus `rhs` where that is positive, else 0.
    #[must_use]
    #[track_caller]
    pub fn abs_sub(&self, rhs: A) -> Array<A, D> {
        lazily::array(self, |expr| positive_difference(expr, &rhs, &A::zero()), |a| a.abs_sub(rhs))
    }

    /// The logarithm of each element to a base.
    #[must_use]
    #[track_caller]
    pub fn log(&self, base: A) -> Array<A, D> {
        lazily::array(self, |expr| logarithm(expr, &base.ln()), |a| a.log(base))
    }

    /// Each element to an integer power, by repeated multiplication.
    #[must_use]
    #[track_caller]
    pub fn powi(&self, n: i32) -> Array<A, D> {
        lazily::array(self, |expr| power(expr, n, &A::one()), |a| a.powi(n))
    }

    /// Whether all elements are NaN. (ndarray 0.17.2 says instead whether none is, against its documentation.)
    #[must_use]
    #[track_caller]
    pub fn is_all_nan(&self) -> bool {
        lazily::value(self, |expr| every(expr, UnaryOp::IsNan, Fold::All), |a| a.iter().all(|x| x.is_nan()))
    }

    /// Whether any element is NaN.
    #[must_use]
    #[track_caller]
    pub fn is_any_nan(&self) -> bool {
        lazily::value(self, |expr| every(expr, UnaryOp::IsNan, Fold::Any), |a| a.is_any_nan())
    }

    /// Whether all elements are infinite. (ndarray 0.17.2 says instead whether none is, against its documentation.)
    #[must_use]
    #[track_caller]
    pub fn is_all_infinite(&self) -> bool {
        lazily::value(self, |expr| every(expr, UnaryOp::IsInfinite, Fold::All), |a| a.iter().all(|x| x.is_infinite()))
    }

    /// Whether any element is infinite.
    #[must_use]
    #[track_caller]
    pub fn is_any_infinite(&self) -> bool {
        lazily::value(self, |expr| every(expr, UnaryOp::IsInfinite, Fold::Any), |a| a.is_any_infinite())
    }
});

macro_rules! fallible {
    ($($name:ident $of:ident $op:ident)*) => { $(
        #[doc = concat!("[`", stringify!($of), "`](Self::", stringify!($of), ") that returns what goes wrong, lazily.")]
        ///
        /// # Errors
        /// Shapes that do not broadcast together.
        pub fn $name<T: Operand<A, D>>(&self, rhs: T) -> Result<Array<A, T::Dim>> {
            self.binary(BinaryOp::$op, rhs)
        }
    )* };
}

macro_rules! fallible_questions {
    ($($name:ident $of:ident $op:ident $fold:ident)*) => { $(
        #[doc = concat!("[`", stringify!($of), "`](Self::", stringify!($of), ") that returns what goes wrong.")]
        ///
        /// # Errors
        /// A failed computation.
        pub fn $name(&self) -> Result<bool> {
            lazily::value_of(&every(&self.leaf()?, UnaryOp::$op, Fold::$fold)?)
        }
    )* };
}

on_arrays!({ A: Element + Float } {
    fallible! {
        try_powf powf Pow try_atan2 atan2 Atan2 try_hypot hypot Hypot try_copysign copysign Copysign
    }

    fallible_questions! {
        try_is_all_nan is_all_nan IsNan All
        try_is_any_nan is_any_nan IsNan Any
        try_is_all_infinite is_all_infinite IsInfinite All
        try_is_any_infinite is_any_infinite IsInfinite Any
    }

    /// [`abs_sub`](Self::abs_sub) that returns what goes wrong, lazily.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_abs_sub(&self, rhs: A) -> Result<Array<A, D>> {
        Ok(Array::of_expr(positive_difference(&self.leaf()?, &rhs, &A::zero())?))
    }

    /// [`log`](Self::log) that returns what goes wrong, lazily.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_log(&self, base: A) -> Result<Array<A, D>> {
        Ok(Array::of_expr(logarithm(&self.leaf()?, &base.ln())?))
    }

    /// [`powi`](Self::powi) that returns what goes wrong, lazily.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_powi(&self, n: i32) -> Result<Array<A, D>> {
        Ok(Array::of_expr(power(&self.leaf()?, n, &A::one())?))
    }
});

/// A function of each element and a value or another array's.
#[track_caller]
fn with_operand<A: Float + 'static, D: Dimension, T: Operand<A, D>>(
    source: &(impl Source<A, D> + ?Sized),
    op: BinaryOp,
    operand: T,
    f: impl Fn(A, A) -> A,
) -> Array<A, T::Dim> {
    if let Some(&value) = operand.value()
        && !is_lazy(source)
    {
        let mapped = source.here().mapv(|a| f(a, value));
        return Array::local(mapped.into_dimensionality().expect("a value changes no dimension"));
    }
    or_panic(source.leaf().and_then(|expr| Ok(Array::of_expr(expr.binary(op, &operand.operand()?)?))))
}

fn positive_difference<A>(expr: &Expr, rhs: &A, zero: &A) -> Result<Expr> {
    let (rhs, zero) = (scalar(rhs)?, scalar(zero)?);
    let difference = expr.binary(BinaryOp::Sub, &rhs)?;
    Ok(expr.binary(BinaryOp::Le, &rhs)?.select(&zero, &difference)?)
}

fn logarithm<A>(expr: &Expr, ln_base: &A) -> Result<Expr> {
    Ok(expr.unary(UnaryOp::Ln)?.binary(BinaryOp::Div, &scalar(ln_base)?)?)
}

/// Whether all or any elements are so.
fn every(expr: &Expr, op: UnaryOp, fold: Fold) -> Result<Expr> {
    Ok(expr.unary(op)?.reduce(fold, &(0..expr.ndim()).collect::<Vec<_>>())?)
}

/// `base` to the power of `n` by squaring, in the order of the compiler's `powi`: the same bits.
fn power<A>(base: &Expr, n: i32, one: &A) -> Result<Expr> {
    let mut result: Option<Expr> = None;
    let (mut square, mut left) = (base.clone(), n.unsigned_abs());
    while left > 0 {
        if left % 2 == 1 {
            result = Some(match result {
                Some(product) => product.binary(BinaryOp::Mul, &square)?,
                None => square.clone(),
            });
        }
        left /= 2;
        if left > 0 {
            square = square.binary(BinaryOp::Mul, &square)?;
        }
    }
    match result {
        None => {
            let one = scalar_of(one).ok_or_else(not_lazy::<A>)?;
            Ok(Expr::full(&base.shape(), &chunks_of(base.grid()), one)?)
        }
        Some(product) if n < 0 => Ok(scalar(one)?.binary(BinaryOp::Div, &product)?),
        Some(product) => Ok(product),
    }
}

/// Functions that ndarray has for floats alone, for arrays of signed integers.
pub trait SignedMath {
    /// The absolute value of each element; the least integer, which has none, stays.
    #[must_use]
    fn abs(&self) -> Self;
    /// 1, 0 or -1 by the sign of each element.
    #[must_use]
    fn signum(&self) -> Self;
}

impl<A: Element + Signed, D: Dimension> SignedMath for Array<A, D> {
    #[track_caller]
    fn abs(&self) -> Self {
        or_panic(self.leaf().and_then(|expr| Array::wrapped(expr.unary(UnaryOp::Abs))))
    }
    #[track_caller]
    fn signum(&self) -> Self {
        or_panic(self.leaf().and_then(|expr| Array::wrapped(expr.unary(UnaryOp::Signum))))
    }
}

/// The real element types that complex ones are made of: `f32` and `f64`.
pub trait Real: Element + Float {
    /// The complex type of two of these.
    type Complex: Element;
    /// The quotient of two complex numbers, wherever it is one.
    #[doc(hidden)]
    fn divided(a: Complex<Self>, b: Complex<Self>) -> Complex<Self>;
}

impl Real for f32 {
    type Complex = Complex<f32>;
    #[inline]
    fn divided(a: Complex<f32>, b: Complex<f32>) -> Complex<f32> {
        complex::divide_f32(a, b)
    }
}

impl Real for f64 {
    type Complex = Complex<f64>;
    #[inline]
    fn divided(a: Complex<f64>, b: Complex<f64>) -> Complex<f64> {
        complex::divide(a, b)
    }
}

/// # Complex numbers
impl<T: Real, S: Data<Elem = Complex<T>>, D: Dimension> ArrayBase<S, D, Complex<T>>
where
    Complex<T>: Element,
{
    own_functions! {
        /// The real part of each element.
        re Re |z| z.re => T
        /// The imaginary part of each element.
        im Im |z| z.im => T
        /// The distance of each element from 0.
        norm Norm Complex::norm => T
        /// The angle of each element, in radians.
        arg Arg Complex::arg => T
        /// The complex conjugate of each element.
        conj Conj |z| z.conj() => Complex<T>
    }
}

/// Functions that ndarray has for floats alone, for arrays of complex numbers: the principal values. Each gives the result
/// wherever it is a number: nothing on the way overflows or vanishes where it does not, and neither does a quotient
/// `&a / &b`. `Complex<f32>` is computed in `f64` and then rounded.
///
/// ```
/// use tilework::prelude::*;
/// use tilework::{Complex, ComplexMath};
///
/// let z = arr1(&[Complex::new(800.0, 0.0)]);
/// assert_eq!(z.tanh()[0], Complex::new(1.0, 0.0));
/// let big = arr1(&[Complex::new(1e200, 1e200)]);
/// assert_eq!((&big / &big)[0], Complex::new(1.0, 0.0));
/// ```
pub trait ComplexMath {
    /// The square root of each element.
    #[must_use]
    fn sqrt(&self) -> Self;
    /// e to the power of each element.
    #[must_use]
    fn exp(&self) -> Self;
    /// The natural logarithm of each element.
    #[must_use]
    fn ln(&self) -> Self;
    /// The sine of each element.
    #[must_use]
    fn sin(&self) -> Self;
    /// The cosine of each element.
    #[must_use]
    fn cos(&self) -> Self;
    /// The tangent of each element.
    #[must_use]
    fn tan(&self) -> Self;
    /// The hyperbolic sine of each element.
    #[must_use]
    fn sinh(&self) -> Self;
    /// The hyperbolic cosine of each element.
    #[must_use]
    fn cosh(&self) -> Self;
    /// The hyperbolic tangent of each element.
    #[must_use]
    fn tanh(&self) -> Self;
    /// The reciprocal of each element.
    #[must_use]
    fn recip(&self) -> Self;
    /// The square of each element.
    #[must_use]
    fn pow2(&self) -> Self;
}

macro_rules! complex_maths {
    ($($name:ident $op:ident)*) => {
        impl<T: Real, D: Dimension> ComplexMath for Array<Complex<T>, D>
        where
            Complex<T>: Element,
        {
            $(#[track_caller]
            fn $name(&self) -> Self {
                or_panic(self.leaf().and_then(|expr| Array::wrapped(expr.unary(UnaryOp::$op))))
            })*
        }
    };
}
complex_maths! { sqrt Sqrt exp Exp ln Ln sin Sin cos Cos tan Tan sinh Sinh cosh Cosh tanh Tanh recip Recip pow2 Square }
