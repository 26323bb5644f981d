//! Two operations in one loop, the second on the first one's result: where memory is waited for, the operands of both
//! are read side by side, and what is between them stays in a register.
//!
//! The bits are those of the two loops: products and sums are rounded one by one.

use super::binary::{Add, Binary, Mul, Sub};
use super::versions;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use tilework_expr::{BinaryOp, DType};

/// A loop over `n` elements, at least 1, of `(a first b) second c`: destination, `a`, `b`, `c`.
///
/// # Safety
/// As for [`super::UnaryFn`]; an argument that the loop takes as a single value needs one element only.
pub(crate) type PairFn = unsafe fn(usize, *mut u8, *const u8, *const u8, *const u8);

/// The loops of one pair of operations on one dtype: by whether `b` is a single value, then by whether `c` is.
pub(crate) type PairFns = [[PairFn; 2]; 2];

/// Two operations on one type.
trait Two<T> {
    fn call(a: T, b: T, c: T) -> T;
}

/// `(a F b) S c`
struct Then<F, S>(PhantomData<(F, S)>);
/// `c S (a F b)`
struct After<F, S>(PhantomData<(F, S)>);

impl<T: Copy, F: Binary<T, Out = T>, S: Binary<T, Out = T>> Two<T> for Then<F, S> {
    #[inline(always)]
    fn call(a: T, b: T, c: T) -> T {
        S::call(F::call(a, b), c)
    }
}

impl<T: Copy, F: Binary<T, Out = T>, S: Binary<T, Out = T>> Two<T> for After<F, S> {
    #[inline(always)]
    fn call(a: T, b: T, c: T) -> T {
        S::call(c, F::call(a, b))
    }
}

/// How an argument is given.
trait Given {
    const SINGLE: bool;
}
struct Array;
struct Single;
impl Given for Array {
    const SINGLE: bool = false;
}
impl Given for Single {
    const SINGLE: bool = true;
}

/// # Safety
/// As for [`PairFn`].
#[inline(always)]
unsafe fn pair_body<T: Copy, O: Two<T>, B: Given, C: Given>(
    n: usize,
    dst: *mut u8,
    a: *const u8,
    b: *const u8,
    c: *const u8,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let out = std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<T>>(), n);
        let a = std::slice::from_raw_parts(a.cast::<T>(), n);
        let b = std::slice::from_raw_parts(b.cast::<T>(), if B::SINGLE { 1 } else { n });
        let c = std::slice::from_raw_parts(c.cast::<T>(), if C::SINGLE { 1 } else { n });
        let (b0, c0) = (b[0], c[0]);
        for (i, (o, &x)) in out.iter_mut().zip(a).enumerate() {
            let y = if B::SINGLE { b0 } else { *b.get_unchecked(i) };
            let z = if C::SINGLE { c0 } else { *c.get_unchecked(i) };
            o.write(O::call(x, y, z));
        }
    }
}

versions! { fn pair<T: Copy, O: Two<T>, B: Given, C: Given>(
    n: usize, dst: *mut u8, a: *const u8, b: *const u8, c: *const u8
) = pair_body }

fn loops<T: Copy, O: Two<T>>() -> PairFns {
    [
        [pair::<T, O, Array, Array>(), pair::<T, O, Array, Single>()],
        [pair::<T, O, Single, Array>(), pair::<T, O, Single, Single>()],
    ]
}

fn second<T: Copy, F: Binary<T, Out = T>>(op: BinaryOp, after: bool) -> Option<PairFns>
where
    Add: Binary<T, Out = T>,
    Sub: Binary<T, Out = T>,
    Mul: Binary<T, Out = T>,
{
    Some(match (op, after) {
        (BinaryOp::Add, false) => loops::<T, Then<F, Add>>(),
        (BinaryOp::Add, true) => loops::<T, After<F, Add>>(),
        (BinaryOp::Sub, false) => loops::<T, Then<F, Sub>>(),
        (BinaryOp::Sub, true) => loops::<T, After<F, Sub>>(),
        (BinaryOp::Mul, false) => loops::<T, Then<F, Mul>>(),
        (BinaryOp::Mul, true) => loops::<T, After<F, Mul>>(),
        _ => return None,
    })
}

/// The loops for a first operation and a second one whose first argument (or second, with `after`) is the first one's
/// result, on elements of dtype `d`, if there are any.
pub(crate) fn pair_fns(first: BinaryOp, then: BinaryOp, after: bool, d: DType) -> Option<PairFns> {
    macro_rules! on {
        ($t:ty) => {
            match first {
                BinaryOp::Add => second::<$t, Add>(then, after),
                BinaryOp::Sub => second::<$t, Sub>(then, after),
                BinaryOp::Mul => second::<$t, Mul>(then, after),
                _ => None,
            }
        };
    }
    match d {
        DType::F64 => on!(f64),
        DType::F32 => on!(f32),
        _ => None,
    }
}
