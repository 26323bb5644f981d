//! Functions of two values: what each is for each dtype, and the loops over arrays and single values.

use super::versions;
use crate::complex::{self, narrow, wide};
use std::mem::MaybeUninit;
use tilework_expr::{BinaryOp, Complex, DType};

type C32 = Complex<f32>;
type C64 = Complex<f64>;

/// A loop over `n` elements: destination, first and second argument. `false` where an element has no result
/// (division of an integer by zero).
///
/// # Safety
/// As for [`super::UnaryFn`]; an argument that the loop takes as a single value needs one element only.
pub(crate) type BinaryFn = unsafe fn(usize, *mut u8, *const u8, *const u8) -> bool;

/// The loops of one operation on one dtype.
#[derive(Clone, Copy)]
pub(crate) struct BinaryFns {
    /// Two arrays.
    pub vv: BinaryFn,
    /// An array and a single value.
    pub vs: BinaryFn,
    /// A single value and an array.
    pub sv: BinaryFn,
}

/// One operation on one type.
pub(super) trait Binary<T: Copy> {
    type Out: Copy;
    fn call(a: T, b: T) -> Self::Out;
    /// Whether every one of these second arguments has a result.
    #[inline(always)]
    fn defined(_b: &[T]) -> bool {
        true
    }
    /// Whether there is a shorter way for arguments that are ordinary.
    const HAS_SHORTCUT: bool = false;
    /// Whether an argument is.
    #[inline(always)]
    fn is_ordinary(_x: T) -> bool {
        true
    }
    /// The same value, to the bit, of ordinary arguments.
    #[inline(always)]
    fn shortcut(a: T, b: T) -> Self::Out {
        Self::call(a, b)
    }
}

/// Whether the shorter way may be taken for all of these arguments.
#[inline(always)]
fn short<T: Copy, O: Binary<T>>(a: &[T], b: &[T]) -> bool {
    // Without a branch for each, so that it fills vector registers.
    let all = |xs: &[T]| xs.iter().fold(true, |all, &x| all & O::is_ordinary(x));
    O::HAS_SHORTCUT && all(a) && all(b)
}

/// # Safety
/// As for [`BinaryFn`].
#[inline(always)]
unsafe fn vv_body<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool {
    // SAFETY: promised by the caller.
    let (out, a, b) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<O::Out>>(), n),
            std::slice::from_raw_parts(a.cast::<T>(), n),
            std::slice::from_raw_parts(b.cast::<T>(), n),
        )
    };
    if !O::defined(b) {
        return false;
    }
    if short::<T, O>(a, b) {
        for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
            o.write(O::shortcut(x, y));
        }
        return true;
    }
    for ((o, &x), &y) in out.iter_mut().zip(a).zip(b) {
        o.write(O::call(x, y));
    }
    true
}

/// # Safety
/// As for [`BinaryFn`].
#[inline(always)]
unsafe fn vs_body<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool {
    // SAFETY: promised by the caller.
    let (out, a, b) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<O::Out>>(), n),
            std::slice::from_raw_parts(a.cast::<T>(), n),
            b.cast::<T>().read(),
        )
    };
    if !O::defined(&[b]) {
        return false;
    }
    if short::<T, O>(a, &[b]) {
        for (o, &x) in out.iter_mut().zip(a) {
            o.write(O::shortcut(x, b));
        }
        return true;
    }
    for (o, &x) in out.iter_mut().zip(a) {
        o.write(O::call(x, b));
    }
    true
}

/// # Safety
/// As for [`BinaryFn`].
#[inline(always)]
unsafe fn sv_body<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool {
    // SAFETY: promised by the caller.
    let (out, a, b) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<O::Out>>(), n),
            a.cast::<T>().read(),
            std::slice::from_raw_parts(b.cast::<T>(), n),
        )
    };
    if !O::defined(b) {
        return false;
    }
    if short::<T, O>(&[a], b) {
        for (o, &y) in out.iter_mut().zip(b) {
            o.write(O::shortcut(a, y));
        }
        return true;
    }
    for (o, &y) in out.iter_mut().zip(b) {
        o.write(O::call(a, y));
    }
    true
}

versions! { fn vv<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = vv_body }
versions! { fn vs<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = vs_body }
versions! { fn sv<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = sv_body }

versions! { wide fn vv_wide<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = vv_body }
versions! { wide fn vs_wide<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = vs_body }
versions! { wide fn sv_wide<T: Copy, O: Binary<T>>(n: usize, dst: *mut u8, a: *const u8, b: *const u8) -> bool = sv_body }

fn loops<T: Copy, O: Binary<T>>() -> BinaryFns {
    // Comparisons: to pack their results is most of the work, and AVX-512 has masks for that.
    if size_of::<O::Out>() < size_of::<T>() {
        return BinaryFns { vv: vv_wide::<T, O>(), vs: vs_wide::<T, O>(), sv: sv_wide::<T, O>() };
    }
    BinaryFns { vv: vv::<T, O>(), vs: vs::<T, O>(), sv: sv::<T, O>() }
}

/// `binary!(Op, types, result, |x, y| value)`; the result is a type or `same`; `, nonzero` after it for operations
/// whose second argument must not be zero.
macro_rules! binary {
    (@one $op:ident, $t:ty, same, $x:ident, $y:ident, $e:expr, $($n:ident)?) => {
        binary!(@one $op, $t, $t, $x, $y, $e, $($n)?);
    };
    (@one $op:ident, $t:ty, $r:ty, $x:ident, $y:ident, $e:expr, $($n:ident)?) => {
        impl Binary<$t> for $op {
            type Out = $r;
            #[inline(always)]
            fn call($x: $t, $y: $t) -> $r { $e }
            $(binary!(@$n $t);)?
        }
    };
    (@nonzero $t:ty) => {
        #[inline(always)]
        fn defined(b: &[$t]) -> bool { !b.contains(&0) }
    };
    ($op:ident, int, $r:tt, |$x:ident, $y:ident| $e:expr $(, $n:ident)?) => {
        binary!($op, [i8 i16 i32 i64 u8 u16 u32 u64], $r, |$x, $y| $e $(, $n)?);
    };
    ($op:ident, float, $r:tt, |$x:ident, $y:ident| $e:expr) => { binary!($op, [f32 f64], $r, |$x, $y| $e); };
    ($op:ident, complex, $r:tt, |$x:ident, $y:ident| $e:expr) => {
        binary!($op, [C32 C64], $r, |$x, $y| $e);
    };
    ($op:ident, [$($t:tt)*], $r:tt, |$x:ident, $y:ident| $e:expr) => { $(binary!(@one $op, $t, $r, $x, $y, $e,);)* };
    ($op:ident, [$($t:tt)*], $r:tt, |$x:ident, $y:ident| $e:expr, $n:ident) => {
        $(binary!(@one $op, $t, $r, $x, $y, $e, $n);)*
    };
}

macro_rules! ops { ($($op:ident)*) => { $(pub(super) struct $op;)* } }
ops! { Add Sub Mul Div Rem Pow Min Max Atan2 Hypot Copysign And Or Xor Shl Shr Eq Ne Lt Le Gt Ge }

binary!(Add, int, same, |x, y| x.wrapping_add(y));
binary!(Sub, int, same, |x, y| x.wrapping_sub(y));
binary!(Mul, int, same, |x, y| x.wrapping_mul(y));
// `defined` has refused zeros, so that the branch for them is never taken.
binary!(Div, int, same, |x, y| if y == 0 { 0 } else { x.wrapping_div(y) }, nonzero);
binary!(Rem, int, same, |x, y| if y == 0 { 0 } else { x.wrapping_rem(y) }, nonzero);
binary!(Add, float, same, |x, y| x + y);
binary!(Sub, float, same, |x, y| x - y);
binary!(Mul, float, same, |x, y| x * y);
binary!(Div, float, same, |x, y| x / y);
binary!(Rem, float, same, |x, y| x % y);
binary!(Add, complex, same, |x, y| x + y);
binary!(Sub, complex, same, |x, y| x - y);
binary!(Mul, complex, same, |x, y| x * y);
impl Binary<C64> for Div {
    type Out = C64;
    #[inline(always)]
    fn call(a: C64, b: C64) -> C64 {
        complex::divide(a, b)
    }
    const HAS_SHORTCUT: bool = true;
    #[inline(always)]
    fn is_ordinary(x: C64) -> bool {
        complex::is_ordinary(x)
    }
    #[inline(always)]
    fn shortcut(a: C64, b: C64) -> C64 {
        complex::divide_ordinary(a, b)
    }
}
binary!(Div, [C32], same, |x, y| complex::divide_f32(x, y));
binary!(Pow, float, same, |x, y| x.powf(y));
binary!(Pow, [C64], same, |x, y| complex::pow(x, y));
binary!(Pow, [C32], same, |x, y| narrow(complex::pow(wide(x), wide(y))));
binary!(Min, int, same, |x, y| x.min(y));
binary!(Max, int, same, |x, y| x.max(y));
// As `f64::min` and `max` (a NaN loses), with one fixed answer for zeros of different sign: the second.
binary!(Min, float, same, |x, y| if x < y || y.is_nan() { x } else { y });
binary!(Max, float, same, |x, y| if x > y || y.is_nan() { x } else { y });
binary!(Atan2, float, same, |x, y| x.atan2(y));
binary!(Hypot, float, same, |x, y| x.hypot(y));
binary!(Copysign, float, same, |x, y| x.copysign(y));
binary!(And, int, same, |x, y| x & y);
binary!(Or, int, same, |x, y| x | y);
binary!(Xor, int, same, |x, y| x ^ y);
binary!(And, [bool], same, |x, y| x & y);
binary!(Or, [bool], same, |x, y| x | y);
binary!(Xor, [bool], same, |x, y| x ^ y);
binary!(Shl, int, same, |x, y| x.wrapping_shl(y as u32));
binary!(Shr, int, same, |x, y| x.wrapping_shr(y as u32));

macro_rules! comparisons {
    ($($op:ident $sign:tt)*) => { $(
        binary!($op, int, bool, |x, y| x $sign y);
        binary!($op, float, bool, |x, y| x $sign y);
        binary!($op, [bool], bool, |x, y| x $sign y);
    )* };
}
comparisons! { Eq == Ne != Lt < Le <= Gt > Ge >= }
binary!(Eq, complex, bool, |x, y| x == y);
binary!(Ne, complex, bool, |x, y| x != y);

/// As in [`super::unary`].
macro_rules! pick {
    ($d:expr, $op:ident: $($class:ident)*) => { None$(.or_else(|| pick!(@$class $d, $op)))* };
    (@int $d:expr, $op:ident) => {
        pick!(@of $d, $op, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
    };
    (@float $d:expr, $op:ident) => { pick!(@of $d, $op, F32 f32, F64 f64) };
    (@complex $d:expr, $op:ident) => { pick!(@of $d, $op, C32 C32, C64 C64) };
    (@boolean $d:expr, $op:ident) => { pick!(@of $d, $op, Bool bool) };
    (@of $d:expr, $op:ident, $($v:ident $t:ty),*) => {
        match $d { $(DType::$v => Some(loops::<$t, $op>()),)* _ => None }
    };
}

/// The loops for an operation on elements of dtype `d`, if it takes them.
pub(crate) fn binary(op: BinaryOp, d: DType) -> Option<BinaryFns> {
    use BinaryOp as B;
    match op {
        B::Add => pick!(d, Add: int float complex),
        B::Sub => pick!(d, Sub: int float complex),
        B::Mul => pick!(d, Mul: int float complex),
        B::Div => pick!(d, Div: int float complex),
        B::Rem => pick!(d, Rem: int float),
        B::Pow => pick!(d, Pow: float complex),
        B::Min => pick!(d, Min: int float),
        B::Max => pick!(d, Max: int float),
        B::Atan2 => pick!(d, Atan2: float),
        B::Hypot => pick!(d, Hypot: float),
        B::Copysign => pick!(d, Copysign: float),
        B::And => pick!(d, And: int boolean),
        B::Or => pick!(d, Or: int boolean),
        B::Xor => pick!(d, Xor: int boolean),
        B::Shl => pick!(d, Shl: int),
        B::Shr => pick!(d, Shr: int),
        B::Eq => pick!(d, Eq: int float boolean complex),
        B::Ne => pick!(d, Ne: int float boolean complex),
        B::Lt => pick!(d, Lt: int float boolean),
        B::Le => pick!(d, Le: int float boolean),
        B::Gt => pick!(d, Gt: int float boolean),
        B::Ge => pick!(d, Ge: int float boolean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_exist_exactly_where_expr_allows_the_operation() {
        for op in BinaryOp::ALL {
            for d in DType::ALL {
                assert_eq!(binary(op, d).is_some(), op.result(d).is_some(), "{op:?} {d}");
            }
        }
    }
}
