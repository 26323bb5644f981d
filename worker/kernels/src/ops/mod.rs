//! Elementwise kernels: for each operation and dtype, loops over dense blocks of elements.
//!
//! Owns the bit-level meaning of every operation and the choice of instruction set. Must not know programs, chunks
//! or layouts.

mod binary;
mod cast;
mod pair;
mod unary;

pub(crate) use binary::{BinaryFns, binary};
pub(crate) use cast::{SelectFns, cast, fill, select};
pub(crate) use pair::{PairFns, pair_fns};
pub(crate) use unary::unary;

/// A loop over `n` elements: destination, argument.
///
/// # Safety
/// Called with `n` initialised elements of the argument's type and room for `n` of the result's, apart from them.
pub(crate) type UnaryFn = unsafe fn(usize, *mut u8, *const u8);

/// Whether the processor has the instructions that the second version of every loop is compiled for. All versions
/// give the same bits.
#[inline]
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Whether the processor has the instructions that the third version of every loop is compiled for.
#[inline]
pub(crate) fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        has_avx2()
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512cd")
            && std::arch::is_x86_feature_detected!("avx512dq")
            && std::arch::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Defines a function in two versions, one with AVX2 and FMA: `versions!(fn name<T: Bound>(args) -> R = body)` makes
/// `name::<T>()`, which returns the version for this processor of the `inline(always)` function `body`. With `wide`
/// before `fn` there is a third one with AVX-512, for loops that compute much for each element: those that wait for
/// memory or multiply wide integers were measured to be slower with it.
macro_rules! versions {
    (@one $name:ident [$(#[$how:meta])*] <$($g:ident: $bound:path),*>($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:ident) => {
        $(#[$how])*
        unsafe fn $name<$($g: $bound),*>($($a: $t),*) $(-> $r)? {
            // SAFETY: as promised by the caller.
            unsafe { $body::<$($g),*>($($a),*) }
        }
    };
    (@narrow $($f:tt)*) => {
        $crate::ops::versions! { @one base [] $($f)* }
        $crate::ops::versions! { @one avx2 [
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        ] $($f)* }
    };
    (@wide $($f:tt)*) => {
        $crate::ops::versions! { @one avx512 [
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        ] $($f)* }
    };
    (wide fn $pick:ident<$($g:ident: $bound:path),*>($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:ident) => {
        fn $pick<$($g: $bound),*>() -> unsafe fn($($t),*) $(-> $r)? {
            $crate::ops::versions! { @narrow <$($g: $bound),*>($($a: $t),*) $(-> $r)? = $body }
            $crate::ops::versions! { @wide <$($g: $bound),*>($($a: $t),*) $(-> $r)? = $body }
            #[cfg(target_arch = "x86_64")]
            if $crate::ops::has_avx512() {
                return avx512::<$($g),*>;
            }
            #[cfg(target_arch = "x86_64")]
            if $crate::ops::has_avx2() {
                return avx2::<$($g),*>;
            }
            base::<$($g),*>
        }
    };
    (fn $pick:ident<$($g:ident: $bound:path),*>($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:ident) => {
        fn $pick<$($g: $bound),*>() -> unsafe fn($($t),*) $(-> $r)? {
            $crate::ops::versions! { @narrow <$($g: $bound),*>($($a: $t),*) $(-> $r)? = $body }
            #[cfg(target_arch = "x86_64")]
            if $crate::ops::has_avx2() {
                return avx2::<$($g),*>;
            }
            base::<$($g),*>
        }
    };
}
pub(crate) use versions;
