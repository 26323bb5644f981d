//! Functions of one value: what each is for each dtype, and the loops.

use super::{UnaryFn, versions};
use crate::complex::{self, narrow, wide};
use crate::math;
use std::mem::MaybeUninit;
use tilework_expr::{Complex, DType, UnaryOp};

type C32 = Complex<f32>;
type C64 = Complex<f64>;

/// One operation on one type.
trait Unary<T: Copy> {
    type Out: Copy;
    fn call(a: T) -> Self::Out;
    /// A whole block; where an operation has a vectorised version it stands here.
    #[inline(always)]
    fn block(a: &[T], out: &mut [MaybeUninit<Self::Out>]) {
        for (o, &x) in out.iter_mut().zip(a) {
            o.write(Self::call(x));
        }
    }
}

/// # Safety
/// As for [`UnaryFn`].
#[inline(always)]
unsafe fn body<T: Copy, O: Unary<T>>(n: usize, dst: *mut u8, a: *const u8) {
    // SAFETY: promised by the caller.
    let (out, a) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<O::Out>>(), n),
            std::slice::from_raw_parts(a.cast(), n),
        )
    };
    O::block(a, out);
}

versions! { wide fn version<T: Copy, O: Unary<T>>(n: usize, dst: *mut u8, a: *const u8) = body }

/// `unary!(Op, types, result, |x| value)`; the result is a type or `same`.
macro_rules! unary {
    (@one $op:ident, $t:ty, same, $x:ident, $e:expr) => { unary!(@one $op, $t, $t, $x, $e); };
    (@one $op:ident, $t:ty, $r:ty, $x:ident, $e:expr) => {
        impl Unary<$t> for $op {
            type Out = $r;
            #[inline(always)]
            fn call($x: $t) -> $r { $e }
        }
    };
    ($op:ident, signed, $r:tt, |$x:ident| $e:expr) => { unary!($op, [i8 i16 i32 i64], $r, |$x| $e); };
    ($op:ident, unsigned, $r:tt, |$x:ident| $e:expr) => { unary!($op, [u8 u16 u32 u64], $r, |$x| $e); };
    ($op:ident, float, $r:tt, |$x:ident| $e:expr) => { unary!($op, [f32 f64], $r, |$x| $e); };
    ($op:ident, complex, $r:tt, |$x:ident| $e:expr) => { unary!($op, [C32 C64], $r, |$x| $e); };
    ($op:ident, [$($t:tt)*], $r:tt, |$x:ident| $e:expr) => { $(unary!(@one $op, $t, $r, $x, $e);)* };
}

macro_rules! ops { ($($op:ident)*) => { $(struct $op;)* } }
ops! {
    Neg Not Abs Signum Sqrt Cbrt Exp Exp2 ExpM1 Ln Log2 Log10 Ln1p Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh
    Acosh Atanh Floor Ceil Round Trunc Fract Recip Square ToDegrees ToRadians IsNan IsFinite IsInfinite Re Im Conj
    Norm Arg
}

unary!(Neg, signed, same, |x| x.wrapping_neg());
unary!(Neg, float, same, |x| -x);
unary!(Neg, complex, same, |x| -x);
unary!(Not, signed, same, |x| !x);
unary!(Not, unsigned, same, |x| !x);
unary!(Not, [bool], same, |x| !x);
unary!(Abs, signed, same, |x| x.wrapping_abs());
unary!(Abs, float, same, |x| x.abs());
unary!(Signum, signed, same, |x| x.signum());
unary!(Signum, float, same, |x| x.signum());
unary!(Square, signed, same, |x| x.wrapping_mul(x));
unary!(Square, unsigned, same, |x| x.wrapping_mul(x));
unary!(Square, float, same, |x| x * x);
unary!(Square, complex, same, |x| x * x);

macro_rules! float_methods {
    ($($op:ident $method:ident)*) => { $(unary!($op, float, same, |x| x.$method());)* };
}
float_methods! {
    Sqrt sqrt  Cbrt cbrt  Exp2 exp2  ExpM1 exp_m1  Log2 log2  Log10 log10  Ln1p ln_1p
      Tan tan  Asin asin  Acos acos  Atan atan  Sinh sinh  Cosh cosh    Asinh asinh  Acosh acosh
    Atanh atanh  Floor floor  Ceil ceil  Round round  Trunc trunc  Fract fract  Recip recip  ToDegrees to_degrees
    ToRadians to_radians
}

/// Functions with a loop of their own for whole blocks.
macro_rules! float_blocks {
    ($($op:ident $method:ident $f32:ident $f64:ident;)*) => { $(
        float_blocks!(@ $op, f32, $method, $f32);
        float_blocks!(@ $op, f64, $method, $f64);
    )* };
    (@ $op:ident, $t:ident, $method:ident, $block:ident) => {
        impl Unary<$t> for $op {
            type Out = $t;
            #[inline(always)]
            fn call(x: $t) -> $t { x.$method() }
            #[inline(always)]
            fn block(a: &[$t], out: &mut [MaybeUninit<$t>]) { math::$block(a, out) }
        }
    };
}
float_blocks! {
    Exp exp exp_f32 exp_f64;
    Ln ln ln_f32 ln_f64;
    Sin sin sin_f32 sin_f64;
    Cos cos cos_f32 cos_f64;
    Tanh tanh tanh_f32 tanh_f64;
}
unary!(IsNan, float, bool, |x| x.is_nan());
unary!(IsFinite, float, bool, |x| x.is_finite());
unary!(IsInfinite, float, bool, |x| x.is_infinite());

macro_rules! complex_functions {
    ($($op:ident $f:ident)*) => { $(
        unary!($op, [C64], same, |x| complex::$f(x));
        unary!($op, [C32], same, |x| narrow(complex::$f(wide(x))));
    )* };
}
complex_functions! {
    Sqrt sqrt  Exp exp  Ln ln  Sin sin  Cos cos  Tan tan  Sinh sinh  Cosh cosh  Tanh tanh  Recip reciprocal
}
unary!(Conj, complex, same, |x| x.conj());
unary!(IsNan, complex, bool, |x| x.is_nan());
unary!(IsFinite, complex, bool, |x| x.is_finite());
unary!(IsInfinite, complex, bool, |x| x.is_infinite());
unary!(Re, [C32], f32, |x| x.re);
unary!(Re, [C64], f64, |x| x.re);
unary!(Im, [C32], f32, |x| x.im);
unary!(Im, [C64], f64, |x| x.im);
unary!(Norm, [C32], f32, |x| x.norm());
unary!(Norm, [C64], f64, |x| x.norm());
unary!(Arg, [C32], f32, |x| x.arg());
unary!(Arg, [C64], f64, |x| x.arg());

/// The dtypes that a lookup covers: `pick!(d, Op: signed float)` is the loop for dtype `d`, if `d` is among them.
macro_rules! pick {
    ($d:expr, $op:ident: $($class:ident)*) => { None$(.or_else(|| pick!(@$class $d, $op)))* };
    (@signed $d:expr, $op:ident) => { pick!(@of $d, $op, I8 i8, I16 i16, I32 i32, I64 i64) };
    (@unsigned $d:expr, $op:ident) => { pick!(@of $d, $op, U8 u8, U16 u16, U32 u32, U64 u64) };
    (@float $d:expr, $op:ident) => { pick!(@of $d, $op, F32 f32, F64 f64) };
    (@complex $d:expr, $op:ident) => { pick!(@of $d, $op, C32 C32, C64 C64) };
    (@boolean $d:expr, $op:ident) => { pick!(@of $d, $op, Bool bool) };
    (@of $d:expr, $op:ident, $($v:ident $t:ty),*) => {
        match $d { $(DType::$v => Some(version::<$t, $op>() as UnaryFn),)* _ => None }
    };
}

/// The loop for an operation on elements of dtype `d`, if it takes them.
pub(crate) fn unary(op: UnaryOp, d: DType) -> Option<UnaryFn> {
    use UnaryOp as U;
    match op {
        U::Neg => pick!(d, Neg: signed float complex),
        U::Not => pick!(d, Not: signed unsigned boolean),
        U::Abs => pick!(d, Abs: signed float),
        U::Signum => pick!(d, Signum: signed float),
        U::Square => pick!(d, Square: signed unsigned float complex),
        U::Sqrt => pick!(d, Sqrt: float complex),
        U::Exp => pick!(d, Exp: float complex),
        U::Ln => pick!(d, Ln: float complex),
        U::Sin => pick!(d, Sin: float complex),
        U::Cos => pick!(d, Cos: float complex),
        U::Tan => pick!(d, Tan: float complex),
        U::Sinh => pick!(d, Sinh: float complex),
        U::Cosh => pick!(d, Cosh: float complex),
        U::Tanh => pick!(d, Tanh: float complex),
        U::Recip => pick!(d, Recip: float complex),
        U::IsNan => pick!(d, IsNan: float complex),
        U::IsFinite => pick!(d, IsFinite: float complex),
        U::IsInfinite => pick!(d, IsInfinite: float complex),
        U::Re => pick!(d, Re: complex),
        U::Im => pick!(d, Im: complex),
        U::Conj => pick!(d, Conj: complex),
        U::Norm => pick!(d, Norm: complex),
        U::Arg => pick!(d, Arg: complex),
        _ => float_only(op, d),
    }
}

fn float_only(op: UnaryOp, d: DType) -> Option<UnaryFn> {
    use UnaryOp as U;
    match op {
        U::Cbrt => pick!(d, Cbrt: float),
        U::Exp2 => pick!(d, Exp2: float),
        U::ExpM1 => pick!(d, ExpM1: float),
        U::Log2 => pick!(d, Log2: float),
        U::Log10 => pick!(d, Log10: float),
        U::Ln1p => pick!(d, Ln1p: float),
        U::Asin => pick!(d, Asin: float),
        U::Acos => pick!(d, Acos: float),
        U::Atan => pick!(d, Atan: float),
        U::Asinh => pick!(d, Asinh: float),
        U::Acosh => pick!(d, Acosh: float),
        U::Atanh => pick!(d, Atanh: float),
        U::Floor => pick!(d, Floor: float),
        U::Ceil => pick!(d, Ceil: float),
        U::Round => pick!(d, Round: float),
        U::Trunc => pick!(d, Trunc: float),
        U::Fract => pick!(d, Fract: float),
        U::ToDegrees => pick!(d, ToDegrees: float),
        U::ToRadians => pick!(d, ToRadians: float),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_exist_exactly_where_expr_allows_the_operation() {
        for op in UnaryOp::ALL {
            for d in DType::ALL {
                assert_eq!(unary(op, d).is_some(), op.result(d).is_some(), "{op:?} {d}");
            }
        }
    }
}
