//! Elementwise kernels: for each operation and dtype, loops over dense blocks of elements.
//!
//! Owns the bit-level meaning of every operation and the choice of instruction set. Must not know programs, chunks
//! or layouts.

mod binary;
mod cast;
mod unary;

pub(crate) use binary::{BinaryFns, binary};
pub(crate) use cast::{SelectFns, cast, fill, select};
pub(crate) use unary::unary;

/// A loop over `n` elements: destination, argument.
///
/// # Safety
/// Called with `n` initialised elements of the argument's type and room for `n` of the result's, apart from them.
pub(crate) type UnaryFn = unsafe fn(usize, *mut u8, *const u8);

/// Whether the processor has the instructions that the second version of every loop is compiled for. Both versions
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

/// Defines a function in two versions, one with AVX2 and FMA: `versions!(pick = pub fn name<T: Bound>(args) -> R by body)`
/// makes `name::<T>()`, which returns the version for this processor of the `inline(always)` function `body`.
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis fn $pick:ident<$($g:ident: $bound:path),*>($($a:ident: $t:ty),*) $(-> $r:ty)? = $body:ident) => {
        $(#[$doc])*
        $vis fn $pick<$($g: $bound),*>() -> unsafe fn($($t),*) $(-> $r)? {
            unsafe fn base<$($g: $bound),*>($($a: $t),*) $(-> $r)? {
                // SAFETY: as promised by the caller.
                unsafe { $body::<$($g),*>($($a),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            unsafe fn avx2<$($g: $bound),*>($($a: $t),*) $(-> $r)? {
                // SAFETY: as promised by the caller.
                unsafe { $body::<$($g),*>($($a),*) }
            }
            #[cfg(target_arch = "x86_64")]
            if $crate::ops::has_avx2() {
                return avx2::<$($g),*>;
            }
            base::<$($g),*>
        }
    };
}
pub(crate) use versions;
