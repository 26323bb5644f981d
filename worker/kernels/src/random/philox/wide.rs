//! Words by registers of eight, on processors with AVX-512 and its 52-bit multiplications (IFMA).
//!
//! Must not know anything but the algorithm.

use super::{BATCH, Fill, Keys, MUL, ROUNDS, multiply_one};
use std::arch::x86_64::*;

/// Words in a register.
const LANES: usize = 8;
/// Registers of counters worked on side by side: products take long, and each needs the one before.
const GROUPS: usize = 3;
/// Counters made by the integer unit meanwhile, one a round: it would have nothing to do otherwise.
const SINGLE: usize = ROUNDS - 2;
/// Counters made at a time.
const COUNTERS: usize = GROUPS * LANES + SINGLE;
const _: () = assert!(BATCH.is_multiple_of(4 * COUNTERS));

/// The first counters' distances from the first of all: high and low halves of their products with the multiplier.
static STEPS: [[u64; GROUPS * LANES]; 2] = {
    let (mut steps, mut i) = ([[0; GROUPS * LANES]; 2], 0);
    while i < GROUPS * LANES {
        let product = MUL[0] as u128 * i as u128;
        steps[0][i] = (product >> 64) as u64;
        steps[1][i] = product as u64;
        i += 1;
    }
    steps
};

/// The loop, where this processor has the instructions.
pub(super) fn fill() -> Option<Fill> {
    let has = crate::ops::has_avx512() && std::arch::is_x86_feature_detected!("avx512ifma");
    has.then_some(fill_wide as Fill)
}

/// Defines functions for processors with these instructions.
macro_rules! wide {
    ($($(#[$how:meta])* $v:vis fn $name:ident($($a:ident: $t:ty),*) $(-> $r:ty)? $body:block)*) => { $(
        $(#[$how])*
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512ifma,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
        $v fn $name($($a: $t),*) $(-> $r)? $body
    )* };
}

/// The four words of eight counters, by word.
#[derive(Clone, Copy)]
struct Group([__m512i; 4]);

wide! {
    #[inline]
    fn all(x: u64) -> __m512i {
        _mm512_set1_epi64(x.cast_signed())
    }

    /// High and low half of the products with a constant.
    ///
    /// With `x = 2^52 x1 + x0` and `by = 2^12 c1 + c0` the product is `2^64 x1 c1 + 2^12 x0 c1 + 2^52 x1 c0 + x0 c0`.
    /// All of it is counted in units of `2^12` but for the last term, which is not a multiple of them: it alone is
    /// rounded down, so that the sum is too and its high half is exact. No sum overflows: the second factors of 12
    /// bits are far below `2^12`.
    #[inline]
    fn multiply(by: u64, x: __m512i) -> (__m512i, __m512i) {
        let (c1, c0) = (all(by >> 12), all(by << 52 >> 12));
        let x1 = _mm512_srli_epi64::<52>(x);
        let high = _mm512_madd52hi_epu64(_mm512_mullo_epi64(x1, c1), x, c1);
        let below = _mm512_madd52lo_epu64(_mm512_mullo_epi64(x1, c0), x, c1);
        let below = _mm512_madd52hi_epu64(below, x, c0);
        (_mm512_add_epi64(high, _mm512_srli_epi64::<52>(below)), _mm512_mullo_epi64(x, all(by)))
    }

    /// Counters of a group after two rounds. `first` is the product of the first counter of all with the multiplier:
    /// those of the others differ by constants. See [`Keys::one`] for the other products.
    #[inline]
    fn begin(keys: &Keys, first: (u64, u64), steps: [__m512i; 2]) -> Group {
        let k = &keys.rounds;
        let low = _mm512_add_epi64(all(first.1), steps[1]);
        let carried = _mm512_cmplt_epu64_mask(low, steps[1]);
        let high = _mm512_add_epi64(all(first.0), steps[0]);
        let high = _mm512_mask_add_epi64(high, carried, high, all(1));
        let a = multiply_one(MUL[0], k[0][0]);
        let b = multiply(MUL[1], _mm512_xor_si512(high, all(k[0][1])));
        let x2 = _mm512_xor_si512(low, all(a.0 ^ k[1][1]));
        Group([_mm512_xor_si512(b.0, all(k[1][0])), b.1, x2, all(a.1)])
    }

    #[inline]
    fn round(x: Group, k: [u64; 2]) -> Group {
        const XOR_OF_THREE: i32 = 0x96;
        let Group([x0, x1, x2, x3]) = x;
        let (a, b) = (multiply(MUL[0], x0), multiply(MUL[1], x2));
        let x0 = _mm512_ternarylogic_epi64::<XOR_OF_THREE>(b.0, x1, all(k[0]));
        let x2 = _mm512_ternarylogic_epi64::<XOR_OF_THREE>(a.0, x3, all(k[1]));
        Group([x0, b.1, x2, a.1])
    }

    /// The words counter by counter, two counters a register.
    #[inline]
    fn in_order(x: Group) -> [__m512i; 4] {
        let Group([x0, x1, x2, x3]) = x;
        let (even, odd) = (_mm512_unpacklo_epi64(x0, x1), _mm512_unpackhi_epi64(x0, x1));
        let (even_last, odd_last) = (_mm512_unpacklo_epi64(x2, x3), _mm512_unpackhi_epi64(x2, x3));
        let (near, far) = (_mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15));
        let even = [near, far].map(|which| _mm512_permutex2var_epi64(even, which, even_last));
        let odd = [near, far].map(|which| _mm512_permutex2var_epi64(odd, which, odd_last));
        [
            _mm512_shuffle_i64x2::<0b01_00_01_00>(even[0], odd[0]),
            _mm512_shuffle_i64x2::<0b11_10_11_10>(even[0], odd[0]),
            _mm512_shuffle_i64x2::<0b01_00_01_00>(even[1], odd[1]),
            _mm512_shuffle_i64x2::<0b11_10_11_10>(even[1], odd[1]),
        ]
    }
}

/// # Safety
/// As for [`Fill`], on a processor with these instructions.
#[target_feature(
    enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512ifma,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
)]
unsafe fn fill_wide(keys: &Keys, counter: u64, n: usize, out: *mut u64) {
    for at in (0..n).step_by(COUNTERS) {
        let counter = counter.wrapping_add(at as u64);
        let out = out.wrapping_add(4 * at);
        let first = multiply_one(MUL[0], counter);
        let mut groups = [0, 1, 2].map(|g| {
            // SAFETY: there are as many words for each of the groups.
            let steps =
                STEPS.each_ref().map(|s| unsafe { _mm512_loadu_si512(s.as_ptr().add(LANES * g).cast()) });
            begin(keys, first, steps)
        });
        for (i, k) in keys.rounds[2..].iter().enumerate() {
            let single = GROUPS * LANES + i;
            // SAFETY: `n` counters fit, and so does a whole multiple of `COUNTERS` of them.
            unsafe {
                out.add(4 * single).cast::<[u64; 4]>().write(keys.one(counter.wrapping_add(single as u64)))
            };
            groups = groups.map(|x| round(x, *k));
        }
        for (g, x) in groups.into_iter().enumerate() {
            for (i, words) in in_order(x).into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { _mm512_storeu_si512(out.add(LANES * (4 * g + i)).cast(), words) };
            }
        }
    }
}
