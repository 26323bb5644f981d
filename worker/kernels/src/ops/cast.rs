//! Conversions between dtypes, choice between two values, and repetition of one.

use super::{UnaryFn, versions};
use std::mem::MaybeUninit;
use tilework_expr::{Complex, DType, with_dtype};

/// Conversion of one type to another, by Rust's `as`.
trait To<R>: Copy {
    fn to(self) -> R;
}

macro_rules! number_to {
    ($($from:ident)*; $to:tt) => { $(number_to!(@ $from, $to);)* };
    (@ $from:ident, [$($to:ident)*]) => {
        $(impl To<$to> for $from {
            #[inline(always)]
            fn to(self) -> $to { self as $to }
        })*
        impl To<bool> for $from {
            #[inline(always)]
            fn to(self) -> bool { self != 0 as $from }
        }
        impl To<$from> for bool {
            #[inline(always)]
            fn to(self) -> $from { self as u8 as $from }
        }
        number_to!(@complex $from, f32);
        number_to!(@complex $from, f64);
    };
    (@complex $from:ident, $f:ident) => {
        impl To<Complex<$f>> for $from {
            #[inline(always)]
            fn to(self) -> Complex<$f> { Complex::new(self as $f, 0.0) }
        }
        /// The real part, as NumPy does.
        impl To<$from> for Complex<$f> {
            #[inline(always)]
            fn to(self) -> $from { self.re as $from }
        }
    };
}
number_to!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64; [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64]);

impl To<bool> for bool {
    #[inline(always)]
    fn to(self) -> bool {
        self
    }
}

macro_rules! complex_to {
    ($($from:ident $to:ident),*) => { $(
        impl To<Complex<$to>> for Complex<$from> {
            #[inline(always)]
            fn to(self) -> Complex<$to> { Complex::new(self.re as $to, self.im as $to) }
        }
    )* };
}
complex_to!(f32 f32, f32 f64, f64 f32, f64 f64);

macro_rules! complex_and_bool {
    ($($f:ident)*) => { $(
        impl To<bool> for Complex<$f> {
            #[inline(always)]
            fn to(self) -> bool { self.re != 0.0 || self.im != 0.0 }
        }
        impl To<Complex<$f>> for bool {
            #[inline(always)]
            fn to(self) -> Complex<$f> { Complex::new(self as u8 as $f, 0.0) }
        }
    )* };
}
complex_and_bool!(f32 f64);

/// # Safety
/// As for [`UnaryFn`].
#[inline(always)]
unsafe fn cast_body<R: Copy, T: To<R>>(n: usize, dst: *mut u8, a: *const u8) {
    // SAFETY: promised by the caller.
    let (out, a) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<R>>(), n),
            std::slice::from_raw_parts(a.cast::<T>(), n),
        )
    };
    for (o, &x) in out.iter_mut().zip(a) {
        o.write(x.to());
    }
}

versions! { fn cast_loop<R: Copy, T: To<R>>(n: usize, dst: *mut u8, a: *const u8) = cast_body }
versions! { wide fn cast_wide<R: Copy, T: To<R>>(n: usize, dst: *mut u8, a: *const u8) = cast_body }

/// The loop that converts elements of one dtype to another.
pub(crate) fn cast(from: DType, to: DType) -> UnaryFn {
    // Between sizes, to pack or to spread the elements is most of the work.
    with_dtype!(from, T => with_dtype!(to, R => {
        if size_of::<T>() == size_of::<R>() { cast_loop::<R, T>() } else { cast_wide::<R, T>() }
    }))
}

/// A loop over `n` elements: destination, condition, value where true, value where false.
///
/// # Safety
/// As for [`UnaryFn`]; the condition is of bools.
pub(crate) type SelectFn = unsafe fn(usize, *mut u8, *const u8, *const u8, *const u8);

/// The loops of a choice, by whether the second and third argument are single values: `[second][third]`.
pub(crate) type SelectFns = [[SelectFn; 2]; 2];

/// One argument of a choice.
trait Arg<T: Copy> {
    /// # Safety
    /// `i` is below the number of elements at `p`.
    unsafe fn at(p: *const T, i: usize) -> T;
}
struct Each;
struct Single;
impl<T: Copy> Arg<T> for Each {
    #[inline(always)]
    unsafe fn at(p: *const T, i: usize) -> T {
        // SAFETY: promised by the caller.
        unsafe { p.add(i).read() }
    }
}
impl<T: Copy> Arg<T> for Single {
    #[inline(always)]
    unsafe fn at(p: *const T, _: usize) -> T {
        // SAFETY: one element is always there.
        unsafe { p.read() }
    }
}

/// # Safety
/// As for [`SelectFn`].
#[inline(always)]
unsafe fn select_body<T: Copy, A: Arg<T>, B: Arg<T>>(
    n: usize,
    dst: *mut u8,
    c: *const u8,
    a: *const u8,
    b: *const u8,
) {
    // SAFETY: promised by the caller.
    unsafe {
        let out = std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<T>>(), n);
        let c = std::slice::from_raw_parts(c.cast::<bool>(), n);
        for (i, (o, &c)) in out.iter_mut().zip(c).enumerate() {
            let (x, y) = (A::at(a.cast(), i), B::at(b.cast(), i));
            o.write(if c { x } else { y });
        }
    }
}

versions! {
    fn select_loop<T: Copy, A: Arg<T>, B: Arg<T>>(n: usize, dst: *mut u8, c: *const u8, a: *const u8, b: *const u8)
        = select_body
}

/// The loops that choose between elements of this dtype.
pub(crate) fn select(d: DType) -> SelectFns {
    fn all<T: Copy>() -> SelectFns {
        [
            [select_loop::<T, Each, Each>(), select_loop::<T, Each, Single>()],
            [select_loop::<T, Single, Each>(), select_loop::<T, Single, Single>()],
        ]
    }
    match d.size() {
        1 => all::<u8>(),
        2 => all::<u16>(),
        4 => all::<u32>(),
        8 if d == DType::C32 => all::<[u32; 2]>(),
        8 => all::<u64>(),
        _ => all::<[u64; 2]>(),
    }
}

/// Writes `n` copies of the element of `size` bytes at `src`.
///
/// # Safety
/// `src` is an element and `dst` has room for `n`, aligned for its type.
pub(crate) unsafe fn fill(size: usize, n: usize, dst: *mut u8, src: *const u8) {
    /// # Safety
    /// As for [`fill`].
    unsafe fn typed<T: Copy>(n: usize, dst: *mut u8, src: *const u8) {
        // SAFETY: promised by the caller.
        unsafe {
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<T>>(), n)
                .fill(src.cast::<MaybeUninit<T>>().read())
        }
    }
    // SAFETY: promised by the caller; arrays of bytes where the alignment is not known.
    unsafe {
        match size {
            1 => typed::<u8>(n, dst, src),
            2 => typed::<u16>(n, dst, src),
            4 => typed::<u32>(n, dst, src),
            8 => typed::<[u32; 2]>(n, dst, src),
            _ => typed::<[u32; 4]>(n, dst, src),
        }
    }
}
