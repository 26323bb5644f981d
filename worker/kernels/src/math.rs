//! Elementary functions over slices.
//!
//! Must not know programs or chunks.

use std::mem::MaybeUninit;

/// A slice to be written again as one to be written for the first time.
pub(crate) fn as_uninit<T: Copy>(slice: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: same layout; the callee only writes.
    unsafe { &mut *(std::ptr::from_mut(slice) as *mut [MaybeUninit<T>]) }
}

/// Natural logarithms.
#[inline(always)]
pub(crate) fn ln_f64(a: &[f64], out: &mut [MaybeUninit<f64>]) {
    for (o, x) in out.iter_mut().zip(a) {
        o.write(x.ln());
    }
}
