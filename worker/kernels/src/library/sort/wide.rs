//! Sorting integers of 64 bits in registers of eight, on processors with AVX-512.
//!
//! Quicksort, whose partitions compress each register to its two sides; what is short is sorted in eight registers at once,
//! by a network across them, a transposition, and bitonic merges. (As in Gueron and Krasnov, "Fast quicksort implementation
//! using AVX instructions", 2016, and Blacher et al., "Vectorized and performance-portable quicksort", 2022.)
//!
//! Must not know what the integers stand for.

use std::arch::x86_64::*;

/// Integers in a register.
const LANES: usize = 8;
/// Registers that are sorted at once.
const ROWS: usize = 8;
/// What is sorted in registers.
const SMALL: usize = LANES * ROWS;
/// So few are sorted as fast without.
const FEW: usize = 24;
/// From so many on a pivot is the middle one of [`SMALL`] samples, and else of nine.
const MANY: usize = 4096;

/// Sorts where the processor has the instructions, and says whether it has.
pub(crate) fn sort(keys: &mut [u64]) -> bool {
    if !crate::ops::has_avx512() {
        return false;
    }
    if keys.len() <= FEW {
        keys.sort_unstable();
        return true;
    }
    let mut room = vec![0; keys.len()];
    // Pivots are bad for so long only where somebody has chosen the integers for that.
    let depth = 2 * keys.len().ilog2() + 8;
    // SAFETY: the processor has the instructions.
    unsafe { quick(keys, &mut room, false, depth) };
    true
}

/// Defines functions for processors with these instructions.
macro_rules! wide {
    ($($(#[$how:meta])* fn $name:ident $(<const $n:ident: $k:ty>)? ($($a:ident: $t:ty),*) $(-> $r:ty)? $body:block)*) => { $(
        $(#[$how])*
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        fn $name $(<const $n: $k>)? ($($a: $t),*) $(-> $r)? $body
    )* };
}

wide! {
    /// Sorts what is in `from`; `to` has room for as many, and gets them if that is wanted.
    fn quick(from: &mut [u64], to: &mut [u64], wanted_there: bool, depth: u32) {
        let (mut from, mut to, mut wanted_there, mut depth) = (from, to, wanted_there, depth);
        while from.len() > SMALL {
            if depth == 0 {
                from.sort_unstable();
                if wanted_there {
                    to.copy_from_slice(from);
                }
                return;
            }
            depth -= 1;
            let pivot = pivot(from);
            let mut n = partition::<false>(from, to, pivot);
            if n > 0 {
                quick(&mut to[..n], &mut from[..n], !wanted_there, depth);
            } else {
                // None is less: those that are equal stand where they belong.
                n = partition::<true>(from, to, pivot);
                if !wanted_there {
                    from[..n].fill(pivot);
                }
            }
            // The rest lies on the other side now.
            (from, to) = (&mut std::mem::take(&mut to)[n..], &mut std::mem::take(&mut from)[n..]);
            wanted_there = !wanted_there;
        }
        if wanted_there {
            to.copy_from_slice(from);
            from = to;
        }
        small(from);
    }

    /// One of the integers, about as many of which are less as are greater.
    fn pivot(keys: &[u64]) -> u64 {
        if keys.len() >= MANY {
            let step = keys.len() / SMALL;
            let mut samples: [u64; SMALL] = std::array::from_fn(|i| keys[i * step + step / 2]);
            small(&mut samples);
            return samples[SMALL / 2];
        }
        let step = keys.len() / 9;
        let at = |i: usize| keys[i * step + step / 2];
        let middle = |a: u64, b: u64, c: u64| a.min(b).max(a.max(b).min(c));
        middle(
            middle(at(0), at(1), at(2)),
            middle(at(3), at(4), at(5)),
            middle(at(6), at(7), at(8)),
        )
    }

    /// Puts those first in `to` that are less than the pivot, or not greater, and the others last; says how many came first.
    fn partition<const OR_EQUAL: bool>(from: &[u64], to: &mut [u64], pivot: u64) -> usize {
        let n = from.len();
        assert!(to.len() == n, "room for all");
        let (whole, pivots) = (n - n % LANES, _mm512_set1_epi64(pivot.cast_signed()));
        let (read, write) = (from.as_ptr(), to.as_mut_ptr());
        // What is written lies before the one and from the other on.
        let (mut left, mut right) = (0, n);
        for at in (0..whole).step_by(LANES) {
            // SAFETY: a register is read within `from`. As many as are not read yet, of which there is a register at least, are
            // free between `left` and `right`: so one written at `left` ends within it, and what the mask has of the other.
            unsafe {
                let x = _mm512_loadu_si512(read.add(at).cast());
                let below = if OR_EQUAL {
                    _mm512_cmple_epu64_mask(x, pivots)
                } else {
                    _mm512_cmplt_epu64_mask(x, pivots)
                };
                let n_above = (!below).count_ones() as usize;
                right -= n_above;
                let first = ((1u16 << n_above) - 1) as __mmask8;
                _mm512_storeu_si512(write.add(left).cast(), _mm512_maskz_compress_epi64(below, x));
                _mm512_mask_storeu_epi64(write.add(right).cast(), first, _mm512_maskz_compress_epi64(!below, x));
                left += LANES - n_above;
            }
        }
        for &x in &from[whole..] {
            if x < pivot || OR_EQUAL && x == pivot {
                to[left] = x;
                left += 1;
            } else {
                right -= 1;
                to[right] = x;
            }
        }
        left
    }

    /// Sorts at most [`SMALL`].
    fn small(keys: &mut [u64]) {
        let n = keys.len();
        assert!(n <= SMALL, "as many as registers hold");
        let part = |row: usize| -> __mmask8 {
            let there = n.saturating_sub(row * LANES).min(LANES);
            ((1u16 << there) - 1) as __mmask8
        };
        let greatest = _mm512_set1_epi64(-1);
        let mut rows = [greatest; ROWS];
        for (i, row) in rows.iter_mut().enumerate() {
            let at = keys.as_ptr().wrapping_add(i * LANES);
            // SAFETY: what the mask leaves out is not read, and the rest lies within `keys`.
            *row = unsafe { _mm512_mask_loadu_epi64(greatest, part(i), at.cast()) };
        }
        columns(&mut rows);
        rows = transposed(rows);
        for two in rows.as_chunks_mut::<2>().0 {
            merge(two);
        }
        for four in rows.as_chunks_mut::<4>().0 {
            merge(four);
        }
        merge(&mut rows);
        for (i, row) in rows.iter().enumerate() {
            let at = keys.as_mut_ptr().wrapping_add(i * LANES);
            // SAFETY: what the mask leaves out is not written, and the rest lies within `keys`.
            unsafe { _mm512_mask_storeu_epi64(at.cast(), part(i), *row) };
        }
    }

    /// Sorts each column, by Batcher's network.
    #[inline]
    fn columns(rows: &mut [__m512i; ROWS]) {
        const NETWORK: [(usize, usize); 19] = [
            (0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6),
            (0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6),
        ];
        for (i, j) in NETWORK {
            let (a, b) = (rows[i], rows[j]);
            (rows[i], rows[j]) = (_mm512_min_epu64(a, b), _mm512_max_epu64(a, b));
        }
    }

    /// Columns as rows, in another order.
    #[inline]
    fn transposed(rows: [__m512i; ROWS]) -> [__m512i; ROWS] {
        let [a, b, c, d, e, f, g, h] = rows;
        let even = [
            _mm512_unpacklo_epi64(a, b),
            _mm512_unpacklo_epi64(c, d),
            _mm512_unpacklo_epi64(e, f),
            _mm512_unpacklo_epi64(g, h),
        ];
        let odd = [
            _mm512_unpackhi_epi64(a, b),
            _mm512_unpackhi_epi64(c, d),
            _mm512_unpackhi_epi64(e, f),
            _mm512_unpackhi_epi64(g, h),
        ];
        let ([a, b, c, d], [e, f, g, h]) = (pairs(even), pairs(odd));
        [a, b, c, d, e, f, g, h]
    }

    /// Four rows of four pairs, turned.
    #[inline]
    fn pairs(rows: [__m512i; 4]) -> [__m512i; 4] {
        let [a, b, c, d] = rows;
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let even = (_mm512_shuffle_i64x2::<EVEN>(a, b), _mm512_shuffle_i64x2::<EVEN>(c, d));
        let odd = (_mm512_shuffle_i64x2::<ODD>(a, b), _mm512_shuffle_i64x2::<ODD>(c, d));
        [
            _mm512_shuffle_i64x2::<EVEN>(even.0, even.1),
            _mm512_shuffle_i64x2::<ODD>(even.0, even.1),
            _mm512_shuffle_i64x2::<EVEN>(odd.0, odd.1),
            _mm512_shuffle_i64x2::<ODD>(odd.0, odd.1),
        ]
    }

    /// Merges two halves of registers, each of which is in order.
    #[inline]
    fn merge<const N: usize>(rows: &mut [__m512i; N]) {
        let (given, half) = (*rows, N / 2);
        for i in 0..half {
            let (a, b) = (given[i], reversed(given[N - 1 - i]));
            (rows[i], rows[half + i]) = (_mm512_min_epu64(a, b), _mm512_max_epu64(a, b));
        }
        // Each half rises and falls.
        let mut distance = half / 2;
        while distance > 0 {
            for i in 0..N {
                if i & distance == 0 {
                    let (a, b) = (rows[i], rows[i + distance]);
                    (rows[i], rows[i + distance]) = (_mm512_min_epu64(a, b), _mm512_max_epu64(a, b));
                }
            }
            distance /= 2;
        }
        for row in rows {
            *row = in_order(*row);
        }
    }

    #[inline]
    fn reversed(x: __m512i) -> __m512i {
        _mm512_permutexvar_epi64(_mm512_setr_epi64(7, 6, 5, 4, 3, 2, 1, 0), x)
    }

    /// Sorts a register that rises and falls.
    #[inline]
    fn in_order(x: __m512i) -> __m512i {
        const HALVES: i32 = 0b01_00_11_10;
        let other = _mm512_shuffle_i64x2::<HALVES>(x, x);
        let x = _mm512_mask_max_epu64(_mm512_min_epu64(x, other), 0b1111_0000, x, other);
        let other = _mm512_permutex_epi64::<HALVES>(x);
        let x = _mm512_mask_max_epu64(_mm512_min_epu64(x, other), 0b1100_1100, x, other);
        let other = _mm512_shuffle_epi32::<HALVES>(x);
        _mm512_mask_max_epu64(_mm512_min_epu64(x, other), 0b1010_1010, x, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_as_the_standard_sort_has_them() {
        if !crate::ops::has_avx512() {
            return;
        }
        let mut seed = 7u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            seed ^ seed >> 29
        };
        for n in (0..200).chain([255, 256, 257, 1000, 4095, 4096, 5003, 100_003]) {
            let kinds: [&mut dyn FnMut(usize) -> u64; 9] = [
                &mut |_| draw(),
                &mut |i| i as u64,
                &mut |i| u64::MAX - i as u64,
                &mut |_| 7,
                &mut |i| (i % 3) as u64,
                &mut |i| [u64::MAX, 1 << 63, 0, u64::MAX >> 1][i % 4],
                &mut |i| (i * i % 1013) as u64,
                &mut |i| u64::MAX - (i % 50) as u64,
                // Runs, as merges have them.
                &mut |i| ((i % 97) * 1000 + i / 97) as u64,
            ];
            for (kind, of) in kinds.into_iter().enumerate() {
                let mut got: Vec<u64> = (0..n).map(of).collect();
                let mut want = got.clone();
                want.sort_unstable();
                assert!(sort(&mut got));
                assert_eq!(got, want, "{n} integers of kind {kind}");
            }
        }
    }

    #[test]
    fn pivots_that_are_always_bad_end_too() {
        if !crate::ops::has_avx512() {
            return;
        }
        let mut keys: Vec<u64> = (0..10_000).map(|i| i * 7919 % 10_007).collect();
        let mut want = keys.clone();
        want.sort_unstable();
        let (mut room, given) = (vec![0; keys.len()], keys.clone());
        // SAFETY: the processor has the instructions.
        unsafe { quick(&mut keys, &mut room, false, 2) };
        assert_eq!(keys, want);
        let mut keys = given;
        // SAFETY: the processor has the instructions.
        unsafe { quick(&mut keys, &mut room, true, 2) };
        assert_eq!(room, want);
    }
}
