//! Random elements as functions of a key and of the element's number: the distributions on top of raw words.
//!
//! Owns which bits element `e` of a stream has: they are made of raw word `e` alone, so that any cut of an array into
//! chunks and any order give the same array. Must not know programs or chunks.

mod philox;
pub(crate) mod samplers;

use crate::math::{self, horner};
use crate::ops::versions;
use philox::{BATCH, Philox};
use std::mem::MaybeUninit;
use tilework_expr::{DType, Dist};

/// A stream of random elements of one dtype.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    words: Philox,
    dist: Dist,
    dtype: DType,
}

impl Stream {
    /// The stream, if the distribution has elements of this dtype.
    pub(crate) fn new(key: u64, dist: Dist, dtype: DType) -> Option<Stream> {
        let fits = match dist {
            Dist::Uniform { .. } | Dist::Normal { .. } => dtype.is_float(),
            Dist::Integers { .. } => dtype.is_int(),
        };
        fits.then(|| Stream { words: Philox::new(key), dist, dtype })
    }

    /// Elements `start + i * step` for `i` in `0..n`.
    ///
    /// # Safety
    /// `dst` has room for `n` elements, aligned for them.
    pub(crate) unsafe fn fill(&self, start: i64, step: i64, n: usize, dst: *mut u8) {
        let (mut room, mut at) = ([MaybeUninit::<u64>::uninit(); BATCH], 0);
        while at < n {
            let start = start.wrapping_add(step.wrapping_mul(at as i64)) as u64;
            let made = if step == 1 {
                self.words.neighbours(start, n - at, &mut room)
            } else {
                let count = BATCH.min(n - at);
                self.words.stepped(start, step, count, &mut room);
                0..count
            };
            // SAFETY: these words were written; `dst` has room for `n` elements.
            unsafe {
                let raw = std::slice::from_raw_parts(room.as_ptr().add(made.start).cast::<u64>(), made.len());
                self.shape(raw, dst.add(at * self.dtype.size()));
            }
            at += made.len();
        }
    }

    /// Makes an element of each word.
    ///
    /// # Safety
    /// `dst` has room for as many elements.
    unsafe fn shape(&self, raw: &[u64], dst: *mut u8) {
        let n = raw.len();
        // SAFETY: promised by the caller; the loops are chosen for this processor.
        unsafe {
            match (self.dist, self.dtype) {
                (Dist::Uniform { low, high }, DType::F32) => {
                    uniform_f32()(n, raw.as_ptr(), dst, low as f32, high as f32)
                }
                (Dist::Uniform { low, high }, _) => uniform_f64()(n, raw.as_ptr(), dst, low, high),
                (Dist::Normal { mean, std }, DType::F32) => {
                    let mut wide = [0f64; BATCH];
                    normal()(n, raw.as_ptr(), wide.as_mut_ptr().cast(), mean, std);
                    let out = std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<f32>>(), n);
                    out.iter_mut().zip(&wide).for_each(|(o, &x)| _ = o.write(x as f32));
                }
                (Dist::Normal { mean, std }, _) => normal()(n, raw.as_ptr(), dst, mean, std),
                (Dist::Integers { low, high }, d) => integers(raw, low, high, d, dst),
            }
        }
    }
}

/// # Safety
/// `n` words at `raw`, room for `n` elements at `dst`.
#[inline(always)]
unsafe fn uniform_f64_body(n: usize, raw: *const u64, dst: *mut u8, low: f64, high: f64) {
    // The greatest value below `high`: rounding of the scaled value may reach it.
    let top = if low < high { high.next_down() } else { low };
    for i in 0..n {
        // SAFETY: promised by the caller.
        unsafe {
            let u = (raw.add(i).read() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
            let x = low + (high - low) * u;
            dst.cast::<f64>().add(i).write(if x < top { x } else { top });
        }
    }
}

/// # Safety
/// As for [`uniform_f64_body`].
#[inline(always)]
unsafe fn uniform_f32_body(n: usize, raw: *const u64, dst: *mut u8, low: f32, high: f32) {
    let top = if low < high { high.next_down() } else { low };
    for i in 0..n {
        // SAFETY: promised by the caller.
        unsafe {
            let u = (raw.add(i).read() >> 40) as i32 as f32 * (1.0 / (1u32 << 24) as f32);
            let x = low + (high - low) * u;
            dst.cast::<f32>().add(i).write(if x < top { x } else { top });
        }
    }
}

versions! { wide fn uniform_f64<>(n: usize, raw: *const u64, dst: *mut u8, low: f64, high: f64) = uniform_f64_body }
versions! { wide fn uniform_f32<>(n: usize, raw: *const u64, dst: *mut u8, low: f32, high: f32) = uniform_f32_body }

/// Lemire's multiply-high of each word with the range, without rejection: a value's probability differs from
/// `1 / range` by less than `2^-64`, the bias of any event by less than `range * 2^-64`.
///
/// # Safety
/// Room for as many elements at `dst`.
unsafe fn integers(raw: &[u64], low: i128, high: i128, dtype: DType, dst: *mut u8) {
    macro_rules! loops {
        ($($d:ident $t:ty),*) => {
            match dtype {
                $(DType::$d => {
                    let range = high.saturating_sub(low).clamp(1, 1 << 64) as u128;
                    for (i, &w) in raw.iter().enumerate() {
                        let above = ((u128::from(w) * range) >> 64) as u64;
                        // SAFETY: promised by the caller.
                        unsafe { dst.cast::<$t>().add(i).write((low as u64).wrapping_add(above) as $t) };
                    }
                })*
                _ => unreachable!("checked when the stream was made"),
            }
        };
    }
    loops!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64);
}

/// The middle of the inverse normal distribution function: `q = u - 0.5`, `|q| <= 0.425`.
#[inline(always)]
fn quantile_middle(q: f64) -> f64 {
    let r = (-q).mul_add(q, 0.180_625);
    let num = horner(
        [
            2_509.080_928_730_122_7,
            33_430.575_583_588_13,
            67_265.770_927_008_7,
            45_921.953_931_549_87,
            13_731.693_765_509_46,
            1_971.590_950_306_551_3,
            133.141_667_891_784_38,
            3.387_132_872_796_366_5,
        ],
        r,
    );
    let den = horner(
        [
            5_226.495_278_852_545,
            28_729.085_735_721_943,
            39_307.895_800_092_71,
            21_213.794_301_586_597,
            5_394.196_021_424_751,
            687.187_007_492_057_9,
            42.313_330_701_600_91,
            1.0,
        ],
        r,
    );
    q * num / den
}

/// The tails: `r = sqrt(-ln(min(u, 1 - u)))`.
#[inline(always)]
fn quantile_tail(r: f64) -> f64 {
    let near = r - 1.6;
    let near_num = horner(
        [
            7.745_450_142_783_414e-4,
            2.272_384_498_926_918_4e-2,
            2.417_807_251_774_506e-1,
            1.270_458_252_452_368_4,
            3.647_848_324_763_204_5,
            5.769_497_221_460_691,
            4.630_337_846_156_546,
            1.423_437_110_749_683_5,
        ],
        near,
    );
    let near_den = horner(
        [
            1.050_750_071_644_416_9e-9,
            5.475_938_084_995_345e-4,
            1.519_866_656_361_645_7e-2,
            1.481_039_764_274_800_8e-1,
            6.897_673_349_851e-1,
            1.676_384_830_183_803_8,
            2.053_191_626_637_759,
            1.0,
        ],
        near,
    );
    let far = r - 5.0;
    let far_num = horner(
        [
            2.010_334_399_292_288_1e-7,
            2.711_555_568_743_487_6e-5,
            1.242_660_947_388_078_4e-3,
            2.653_218_952_657_612_4e-2,
            2.965_605_718_285_048_7e-1,
            1.784_826_539_917_291_3,
            5.463_784_911_164_114,
            6.657_904_643_501_103,
        ],
        far,
    );
    let far_den = horner(
        [
            2.044_263_103_389_939_8e-15,
            1.421_511_758_316_446e-7,
            1.846_318_317_510_054_7e-5,
            7.868_691_311_456_133e-4,
            1.487_536_129_085_061_5e-2,
            1.369_298_809_227_358e-1,
            5.998_322_065_558_88e-1,
            1.0,
        ],
        far,
    );
    if r <= 5.0 { near_num / near_den } else { far_num / far_den }
}

/// Normal elements by the inverse of the distribution function: algorithm AS 241, PPND16 (Wichura, "The percentage
/// points of the normal distribution", Applied Statistics 37, 1988), relative accuracy about 1e-16. `u` has 52 bits
/// and is never 0 or 1, so that the greatest deviation is 8.2 standard deviations.
///
/// # Safety
/// As for [`uniform_f64_body`].
#[inline(always)]
unsafe fn normal_body(n: usize, raw: *const u64, dst: *mut u8, mean: f64, std: f64) {
    const SCALE: f64 = 1.0 / (1u64 << 52) as f64;
    // SAFETY: promised by the caller.
    let raw = unsafe { std::slice::from_raw_parts(raw, n) };
    let (mut q, mut z, mut tails) = ([0f64; BATCH], [0f64; BATCH], [0u16; BATCH]);
    for i in 0..n {
        q[i] = ((raw[i] >> 12) as f64 + 0.5) * SCALE - 0.5;
        z[i] = quantile_middle(q[i]);
    }
    let mut n_tails = 0;
    for (i, q) in q[..n].iter().enumerate() {
        tails[n_tails] = i as u16;
        n_tails += usize::from(q.abs() > 0.425);
    }
    let mut r = [1f64; BATCH];
    for (r, &i) in r.iter_mut().zip(&tails[..n_tails]) {
        *r = 0.5 - q[i as usize].abs();
    }
    // Whole vectors: what is left over has r = 1, of which the logarithm is 0.
    let padded = n_tails.next_multiple_of(8);
    let mut log = [0f64; BATCH];
    math::ln_f64(&r[..padded], math::as_uninit(&mut log[..padded]));
    for (r, l) in r[..padded].iter_mut().zip(&log) {
        *r = quantile_tail((-l).sqrt());
    }
    for (r, &i) in r.iter().zip(&tails[..n_tails]) {
        z[i as usize] = r.copysign(q[i as usize]);
    }
    for (i, z) in z[..n].iter().enumerate() {
        // SAFETY: promised by the caller.
        unsafe { dst.cast::<f64>().add(i).write(mean + std * z) };
    }
}

versions! { wide fn normal<>(n: usize, raw: *const u64, dst: *mut u8, mean: f64, std: f64) = normal_body }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // 52 bits of u in the top of a word; expected values from Wichura's paper and from 50-digit arithmetic.
        let normal_of = |u: f64| {
            let word = ((u * 2f64.powi(52)).floor() as u64) << 12;
            let mut out = [0f64];
            // SAFETY: one word, room for one element.
            unsafe { normal()(1, &raw const word, out.as_mut_ptr().cast(), 0.0, 1.0) };
            out[0]
        };
        for (u, z) in [
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-10, -6.361_340_902_404_056),
            (0.975, 1.959_963_984_540_054),
            (0.5, 0.0),
        ] {
            // u itself is cut to 52 bits, which moves far tails.
            assert!((normal_of(u) - z).abs() < 1e-7 * (1.0 - z).abs(), "{u}: {} {z}", normal_of(u));
        }
    }
}
