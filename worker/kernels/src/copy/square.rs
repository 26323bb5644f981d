//! The transpose of one small square through registers.
//!
//! Knows element sizes. Must not know boxes.

/// Side of a square.
pub(super) const MICRO: usize = 8;

/// Transposes a square: row `i` of the source (rows that many elements apart) becomes column `i` of the destination.
pub(super) type Fn<T> = unsafe fn(*const T, isize, *mut T, isize);

/// The fastest way on this processor.
pub(super) fn pick<T: Copy>() -> Option<Fn<T>> {
    #[cfg(target_arch = "x86_64")]
    if crate::ops::has_avx2() {
        match size_of::<T>() {
            8 => return Some(eight_bytes::<T>),
            4 => return Some(four_bytes::<T>),
            _ => {}
        }
    }
    Some(any::<T>)
}

/// # Safety
/// A square of [`MICRO`] elements on either side.
unsafe fn any<T: Copy>(src: *const T, from: isize, dst: *mut T, to: isize) {
    // SAFETY: eight rows of eight elements on either side.
    unsafe {
        let rows: [[T; MICRO]; MICRO] =
            std::array::from_fn(|i| src.offset(i as isize * from).cast::<[T; MICRO]>().read());
        let columns: [[T; MICRO]; MICRO] = std::array::from_fn(|j| std::array::from_fn(|i| rows[i][j]));
        for (j, column) in columns.into_iter().enumerate() {
            dst.offset(j as isize * to).cast::<[T; MICRO]>().write(column);
        }
    }
}

/// # Safety
/// As for [`any`], for elements of 8 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn eight_bytes<T: Copy>(src: *const T, from: isize, dst: *mut T, to: isize) {
    use std::arch::x86_64::*;
    let (src, dst) = (src.cast::<f64>(), dst.cast::<f64>());
    // SAFETY: four squares of four by four within the square; loads and stores need no alignment.
    unsafe {
        for half in [0isize, 4] {
            for part in [0isize, 4] {
                let row = |i: isize| _mm256_loadu_pd(src.offset((part + i) * from + half));
                let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
                let (lo01, hi01) = (_mm256_unpacklo_pd(r0, r1), _mm256_unpackhi_pd(r0, r1));
                let (lo23, hi23) = (_mm256_unpacklo_pd(r2, r3), _mm256_unpackhi_pd(r2, r3));
                let put = |j: isize, v: __m256d| _mm256_storeu_pd(dst.offset((half + j) * to + part), v);
                put(0, _mm256_permute2f128_pd::<0x20>(lo01, lo23));
                put(1, _mm256_permute2f128_pd::<0x20>(hi01, hi23));
                put(2, _mm256_permute2f128_pd::<0x31>(lo01, lo23));
                put(3, _mm256_permute2f128_pd::<0x31>(hi01, hi23));
            }
        }
    }
}

/// # Safety
/// As for [`any`], for elements of 4 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn four_bytes<T: Copy>(src: *const T, from: isize, dst: *mut T, to: isize) {
    use std::arch::x86_64::*;
    let (src, dst) = (src.cast::<f32>(), dst.cast::<f32>());
    // SAFETY: eight rows of eight elements on either side; loads and stores need no alignment.
    unsafe {
        // Rows 0..4 in the low halves and 4..8 in the high ones: first columns 0..4, then 4..8.
        for half in [0isize, 4] {
            let pair = |i: isize| {
                let low = _mm_loadu_ps(src.offset(i * from + half));
                let high = _mm_loadu_ps(src.offset((i + 4) * from + half));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
            };
            let (r0, r1, r2, r3) = (pair(0), pair(1), pair(2), pair(3));
            let (a, b) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
            let (c, d) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
            let put = |j: isize, v: __m256| _mm256_storeu_ps(dst.offset((half + j) * to), v);
            put(0, _mm256_shuffle_ps::<0x44>(a, c));
            put(1, _mm256_shuffle_ps::<0xee>(a, c));
            put(2, _mm256_shuffle_ps::<0x44>(b, d));
            put(3, _mm256_shuffle_ps::<0xee>(b, d));
        }
    }
}
