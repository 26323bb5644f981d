//! Functions of each element: ndarray's for floats, conversions, and those of signed integers and complex
//! numbers.
//!
//! Must not know shapes.

use super::compare::try_where;
use super::operand::Operand;
use super::twins::twins;
use super::{Array, chunks_of, scalar};
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use num_traits::{Float, Signed};
use tilework_expr::{BinaryOp, Complex, Element, Expr, Scalar, UnaryOp};

/// Methods of one array, none of which can fail.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $op:ident -> $r:ty)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> Array<$r, D> {
            self.unary(UnaryOp::$op)
        }
    )* };
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// A function that the element type has, by the bounds of the caller; `B` is the type that it gives.
    #[track_caller]
    pub(super) fn unary<B: Element>(&self, op: UnaryOp) -> Array<B, D> {
        or_panic(Array::wrapped(self.expr.unary(op)))
    }

    twins! {
        /// The elements converted to `B` as by Rust's `as`; to `bool`, whether they are not 0; from `bool`, 0
        /// or 1; to complex numbers, with an imaginary part of 0.
        cast, try_cast [B: Element] (&self) -> Array<B, D>,
        errors "Complex elements to real ones: take [`re`](Array::re) or [`norm`](Array::norm); a result that is too large.",
        { Array::wrapped(self.expr.cast(B::DTYPE)) }
    }
}

/// # Functions of floats
///
/// Each element is what the method of `f32` and `f64` gives, but for `exp`, `ln` (and with it `log`), `sin`, `cos` and
/// `tanh`: these are computed many elements at a time, within one unit in the last place of the exact value.
impl<A: Element + Float, D: Dimension> Array<A, D> {
    functions! {
        /// Whether each element is NaN.
        is_nan IsNan -> bool
        /// Whether each element is infinite.
        is_infinite IsInfinite -> bool
        /// Whether each element is neither infinite nor NaN.
        is_finite IsFinite -> bool
        /// The largest integer of at most each element.
        floor Floor -> A
        /// The smallest integer of at least each element.
        ceil Ceil -> A
        /// The nearest integer of each element; halves away from 0.
        round Round -> A
        /// The integer part of each element.
        trunc Trunc -> A
        /// The fractional part of each element.
        fract Fract -> A
        /// The absolute value of each element.
        abs Abs -> A
        /// 1 or -1 by the sign of each element, NaN for NaN.
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

    twins! {
        /// Each element to the power of `exponent`, a value or an array that broadcasts with this one.
        powf, try_powf [T: Operand<A, D>] (&self, exponent: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Pow, exponent) }

        /// The angle of each point (`x`, self) from the first axis, in radians.
        atan2, try_atan2 [T: Operand<A, D>] (&self, x: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Atan2, x) }

        /// The length of the hypotenuse of right-angled triangles with these sides.
        hypot, try_hypot [T: Operand<A, D>] (&self, other: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Hypot, other) }

        /// Each element with the sign of that of `sign`.
        copysign, try_copysign [T: Operand<A, D>] (&self, sign: T) -> Array<A, T::Dim>,
        errors "Shapes that do not broadcast together.",
        { self.binary(BinaryOp::Copysign, sign) }

        /// Each element minus `rhs` where that is positive, else 0.
        abs_sub, try_abs_sub [] (&self, rhs: A) -> Array<A, D>,
        errors "None in practice.",
        {
            let difference: Array<A, D> = self.binary(BinaryOp::Sub, rhs)?;
            try_where(&self.try_less_equal(rhs)?, A::zero(), &difference)
        }

        /// The logarithm of each element to a base.
        log, try_log [] (&self, base: A) -> Array<A, D>,
        errors "None in practice.",
        { self.ln().binary(BinaryOp::Div, base.ln()) }

        /// Each element to an integer power, by repeated multiplication.
        powi, try_powi [] (&self, n: i32) -> Array<A, D>,
        errors "None in practice.",
        { Ok(Array::wrap(power(&self.expr, n, A::one())?)) }
    }

    twins! {
        /// Whether all elements are NaN. Computes the array.
        is_all_nan, try_is_all_nan [] (&self) -> bool, errors "A failed computation.", { self.is_nan().try_all() }

        /// Whether any element is NaN. Computes the array.
        is_any_nan, try_is_any_nan [] (&self) -> bool, errors "A failed computation.", { self.is_nan().try_any() }

        /// Whether all elements are infinite. Computes the array.
        is_all_infinite, try_is_all_infinite [] (&self) -> bool,
        errors "A failed computation.", { self.is_infinite().try_all() }

        /// Whether any element is infinite. Computes the array.
        is_any_infinite, try_is_any_infinite [] (&self) -> bool,
        errors "A failed computation.", { self.is_infinite().try_any() }
    }
}

/// `base` to the power of `n` by squaring, in the order of the compiler's `powi`: the same bits.
fn power<A: Element>(base: &Expr, n: i32, one: A) -> Result<Expr> {
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
        None => Ok(Expr::full(&base.shape(), &chunks_of(base.grid()), Scalar::new(one))?),
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
        self.unary(UnaryOp::Abs)
    }
    #[track_caller]
    fn signum(&self) -> Self {
        self.unary(UnaryOp::Signum)
    }
}

/// The real element types that complex ones are made of: `f32` and `f64`.
pub trait Real: Element + Float {
    /// The complex type of two of these.
    type Complex: Element;
}

impl Real for f32 {
    type Complex = Complex<f32>;
}

impl Real for f64 {
    type Complex = Complex<f64>;
}

/// # Complex numbers
impl<T: Real, D: Dimension> Array<Complex<T>, D>
where
    Complex<T>: Element,
{
    functions! {
        /// The real part of each element.
        re Re -> T
        /// The imaginary part of each element.
        im Im -> T
        /// The distance of each element from 0.
        norm Norm -> T
        /// The angle of each element, in radians.
        arg Arg -> T
        /// The complex conjugate of each element.
        conj Conj -> Complex<T>
    }
}

/// Functions that ndarray has for floats alone, for arrays of complex numbers: the principal values.
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
                self.unary(UnaryOp::$op)
            })*
        }
    };
}
complex_maths! { sqrt Sqrt exp Exp ln Ln sin Sin cos Cos tan Tan sinh Sinh cosh Cosh tanh Tanh recip Recip pow2 Square }
