//! Functions of complex numbers that give the result wherever it is a number: nothing on the way overflows or vanishes
//! where the result does not. Where those of the crate `num-complex` do so too, quotients, reciprocals, exponentials,
//! logarithms, sines and their like have its bits.
//!
//! Functions of `Complex<f32>` are computed in `f64` and then rounded.
//!
//! Sources: Priest, "Efficient scaling for complex division", ACM TOMS 30, 2004 (scaling by powers of two, which rounds
//! nothing); Baudin and Smith, "A robust complex division in Scilab", arXiv:1210.4539, 2012 (its difficult cases are in
//! the tests); C17, annex G (what is divided by infinity); Kahan, "Branch cuts for complex elementary functions", in
//! "The state of the art in numerical analysis", 1987 (square root and hyperbolic tangent).
//!
//! Must not know arrays or loops.

use tilework_expr::Complex;

type C64 = Complex<f64>;
type C32 = Complex<f32>;

/// Beyond this `e^x` is too large, or soon will be.
const EXP_MAX: f64 = 709.0;
/// Beyond this tanh is 1 but for less than half a unit in the last place.
const TANH_MAX: f64 = 22.0;
/// Logarithms of numbers whose exponents are beyond this are those of scaled numbers.
const LN_EXPONENT_MAX: i64 = 1000;

/// `2^k` for `k` from -1022 to 1023.
#[inline(always)]
fn power(k: i64) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The exponent of the larger part, within what [`power`] takes with either sign.
#[inline(always)]
fn exponent(z: C64) -> i64 {
    let of = |x: f64| (x.to_bits() >> 52 & 0x7ff) as i64;
    of(z.re).max(of(z.im)).clamp(1, 2045) - 1023
}

#[inline(always)]
fn scaled(z: C64, by: f64) -> C64 {
    C64::new(z.re * by, z.im * by)
}

/// A quotient.
#[inline(always)]
pub fn divide(a: C64, b: C64) -> C64 {
    let (of_a, of_b) = (exponent(a), exponent(b));
    let (x, y) = (scaled(a, power(-of_a)), scaled(b, power(-of_b)));
    let norm = y.re * y.re + y.im * y.im;
    let re = (x.re * y.re + x.im * y.im) / norm;
    let im = (x.im * y.re - x.re * y.im) / norm;
    if re.is_nan() && im.is_nan() && (b.re.is_infinite() || b.im.is_infinite()) {
        return divided_by_infinity(a, b);
    }
    // In two steps, of which the first overflows only where the result does.
    let k = of_a - of_b;
    let half = k >> 1;
    let (first, second) = (power(half), power(k - half));
    C64::new(re * first * second, im * first * second)
}

/// The least and the greatest size of a part that is not 0 with which [`divide`] scales for nothing.
const ORDINARY: std::ops::RangeInclusive<f64> = 1e-70..=1e70;

/// Whether a number is such that quotients of it and its like need no scaling.
#[inline(always)]
pub(crate) fn is_ordinary(z: C64) -> bool {
    let part = |x: f64| (x == 0.0) | ((x.abs() >= *ORDINARY.start()) & (x.abs() <= *ORDINARY.end()));
    part(z.re) & part(z.im)
}

/// A quotient of ordinary numbers, to the bits of [`divide`].
#[inline(always)]
pub(crate) fn divide_ordinary(a: C64, b: C64) -> C64 {
    let norm = b.re * b.re + b.im * b.im;
    C64::new((a.re * b.re + a.im * b.im) / norm, (a.im * b.re - a.re * b.im) / norm)
}

#[cold]
fn divided_by_infinity(a: C64, b: C64) -> C64 {
    let unit = |x: f64| f64::from(u8::from(x.is_infinite())).copysign(x);
    let (x, y) = (unit(b.re), unit(b.im));
    C64::new(0.0 * (a.re * x + a.im * y), 0.0 * (a.im * x - a.re * y))
}

/// A reciprocal.
#[inline(always)]
pub fn reciprocal(z: C64) -> C64 {
    let k = exponent(z);
    let y = scaled(z, power(-k));
    let norm = y.re * y.re + y.im * y.im;
    if norm == f64::INFINITY {
        return C64::new(0f64.copysign(z.re), -0f64.copysign(z.im));
    }
    scaled(C64::new(y.re / norm, -y.im / norm), power(-k))
}

/// The square root with a real part that is not negative.
#[inline]
pub fn sqrt(z: C64) -> C64 {
    if z.re == 0.0 && z.im == 0.0 {
        return C64::new(0.0, z.im);
    }
    if z.im.is_infinite() {
        return C64::new(f64::INFINITY, z.im);
    }
    if z.re.is_infinite() {
        #[allow(clippy::eq_op, reason = "zero, or NaN where it is none")]
        let none = z.im - z.im;
        return if z.re < 0.0 {
            C64::new(none.abs(), z.re.abs().copysign(z.im))
        } else {
            C64::new(z.re, none.copysign(z.im))
        };
    }
    let k = exponent(z) & !1;
    let y = scaled(z, power(-k));
    let larger = ((y.re.abs() + y.re.hypot(y.im)) * 0.5).sqrt();
    let smaller = y.im.abs() / (2.0 * larger);
    let (re, im) = if y.re < 0.0 { (smaller, larger) } else { (larger, smaller) };
    scaled(C64::new(re, im.copysign(z.im)), power(k / 2))
}

/// `x * e^of`, which may be a number where `e^of` is not.
#[inline]
fn grown(x: f64, of: f64) -> f64 {
    // Nothing but 0 is left a number by so large a factor.
    let part = (of.min(4.0 * 700.0) * 0.25).exp();
    x * part * part * part * part
}

/// An exponential.
#[inline]
pub fn exp(z: C64) -> C64 {
    if z.re > EXP_MAX && z.im.is_finite() {
        return C64::new(grown(z.im.cos(), z.re), grown(z.im.sin(), z.re));
    }
    z.exp()
}

/// The principal natural logarithm.
#[inline]
pub fn ln(z: C64) -> C64 {
    let k = exponent(z);
    if k.abs() <= LN_EXPONENT_MAX {
        return z.ln();
    }
    let y = scaled(z, power(-k));
    C64::new(y.re.hypot(y.im).ln() + k as f64 * std::f64::consts::LN_2, z.im.atan2(z.re))
}

/// A hyperbolic sine.
#[inline]
pub fn sinh(z: C64) -> C64 {
    if z.re.abs() > EXP_MAX && z.im.is_finite() {
        let by = z.re.abs();
        return C64::new(grown(0.5f64.copysign(z.re) * z.im.cos(), by), grown(0.5 * z.im.sin(), by));
    }
    z.sinh()
}

/// A hyperbolic cosine.
#[inline]
pub fn cosh(z: C64) -> C64 {
    if z.re.abs() > EXP_MAX && z.im.is_finite() {
        let by = z.re.abs();
        return C64::new(grown(0.5 * z.im.cos(), by), grown(0.5f64.copysign(z.re) * z.im.sin(), by));
    }
    z.cosh()
}

/// A sine.
#[inline]
pub fn sin(z: C64) -> C64 {
    if z.im.abs() <= EXP_MAX {
        return z.sin();
    }
    // sin z = -i sinh(iz)
    let w = sinh(C64::new(-z.im, z.re));
    C64::new(w.im, -w.re)
}

/// A cosine.
#[inline]
pub fn cos(z: C64) -> C64 {
    if z.im.abs() <= EXP_MAX {
        return z.cos();
    }
    cosh(C64::new(-z.im, z.re))
}

/// A hyperbolic tangent.
#[inline]
pub fn tanh(z: C64) -> C64 {
    let C64 { re, im } = z;
    if re.abs() > TANH_MAX && im.is_finite() {
        return C64::new(1f64.copysign(re), 4.0 * im.sin() * im.cos() * (-2.0 * re.abs()).exp());
    }
    if re.is_infinite() {
        return C64::new(1f64.copysign(re), 0.0);
    }
    let (t, s) = (im.tan(), re.sinh());
    let beta = 1.0 + t * t;
    let by = 1.0 + beta * s * s;
    C64::new(beta * (1.0 + s * s).sqrt() * s / by, t / by)
}

/// A tangent.
#[inline]
pub fn tan(z: C64) -> C64 {
    // tan z = -i tanh(iz)
    let w = tanh(C64::new(-z.im, z.re));
    C64::new(w.im, -w.re)
}

/// A number to the power of another.
#[inline]
pub fn pow(base: C64, exponent: C64) -> C64 {
    if exponent == C64::new(0.0, 0.0) {
        return C64::new(1.0, 0.0);
    }
    exp(exponent * ln(base))
}

/// The number in `f64`.
#[inline(always)]
pub(crate) fn wide(z: C32) -> C64 {
    C64::new(z.re.into(), z.im.into())
}

/// The nearest number in `f32`.
#[inline(always)]
pub(crate) fn narrow(z: C64) -> C32 {
    C32::new(z.re as f32, z.im as f32)
}

/// A quotient of numbers in `f32`, all of which are ordinary in `f64`.
#[inline(always)]
pub fn divide_f32(a: C32, b: C32) -> C32 {
    if b.re.is_infinite() || b.im.is_infinite() {
        return narrow(divide(wide(a), wide(b)));
    }
    narrow(divide_ordinary(wide(a), wide(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(re: f64, im: f64) -> C64 {
        C64::new(re, im)
    }

    /// Equal but for some units in the last place of each part.
    fn near(a: C64, b: C64, units: f64) -> bool {
        let part = |x: f64, y: f64| {
            x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= units * f64::EPSILON * y.abs()
        };
        part(a.re, b.re) && part(a.im, b.im)
    }

    fn noise() -> impl Iterator<Item = f64> {
        let mut state = 1u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
    }

    #[test]
    fn quotients_that_exist_are_given() {
        let two = |k: i32| 2f64.powi(k);
        for (a, b, q) in [
            (c(1e201, 1e201), c(1e200, 1e200), c(10.0, 0.0)),
            (c(1.0, 0.0), c(0.0, 1e200), c(0.0, -1e-200)),
            (c(1e-200, 0.0), c(1e-200, 0.0), c(1.0, 0.0)),
            (c(5e-324, 5e-324), c(5e-324, 0.0), c(1.0, 1.0)),
            (c(f64::MAX, f64::MAX), c(f64::MAX, f64::MAX), c(1.0, 0.0)),
            (c(f64::MAX, 0.0), c(0.0, f64::MAX), c(0.0, -1.0)),
            (c(f64::MAX, f64::MAX), c(2.0, 2.0), c(f64::MAX / 2.0, 0.0)),
            (c(1.0, 1.0), c(f64::INFINITY, 1.0), c(0.0, 0.0)),
            (c(1.0, -1.0), c(f64::NEG_INFINITY, f64::INFINITY), c(-0.0, 0.0)),
            // Table of Baudin and Smith; the fifth is difficult for Smith's method, the last ones for theirs.
            (c(1.0, 1.0), c(1.0, two(1023)), c(two(-1023), -two(-1023))),
            (c(1.0, 1.0), c(two(-1023), two(-1023)), c(two(1023), 0.0)),
            (c(two(1023), two(-1023)), c(two(677), two(-677)), c(two(346), -two(-1008))),
            (c(two(1023), two(1023)), c(1.0, 1.0), c(two(1023), 0.0)),
            (c(two(1020), two(-844)), c(two(656), two(-780)), c(two(364), -two(-1072))),
            (c(two(-71), two(1021)), c(two(1001), two(-323)), c(two(-1072), two(20))),
        ] {
            let got = divide(a, b);
            // Within the error of the number, of which a part that is far smaller may have none of its digits.
            let off = scaled(got, power(-exponent(q))) - scaled(q, power(-exponent(q)));
            assert!(off.norm() <= 4.0 * f64::EPSILON, "{a} / {b}: {got}, expected {q}");
        }
        assert!(divide(c(1.0, 2.0), c(0.0, 0.0)).is_nan() && divide(c(f64::NAN, 0.0), c(1.0, 1.0)).is_nan());
        for (z, of) in [
            (c(1e-320, 0.0), c(f64::INFINITY, -0.0)),
            (c(0.0, 1e200), c(0.0, -1e-200)),
            (c(3e-308, 4e-308), c(3.0 / 25.0 * 1e308, -4.0 / 25.0 * 1e308)),
            (c(f64::NEG_INFINITY, 1.0), c(0.0, 0.0)),
            (c(1e308, -1e308), c(5e-309, 5e-309)),
        ] {
            assert!(near(reciprocal(z), of, 4.0), "1 / {z}: {}, expected {of}", reciprocal(z));
        }
        assert!(divide_f32(C32::new(1e-30, 1e-30), C32::new(1e-30, 1e-30)) == C32::new(1.0, 0.0));
    }

    #[test]
    fn ordinary_quotients_have_the_bits_of_num_complex() {
        let bits = |z: C64| (z.re.to_bits(), z.im.to_bits());
        let mut x = noise();
        let mut next = |k: i32| x.next().unwrap() * 2f64.powi(k);
        for i in 0..20_000i32 {
            let (a, b) = (c(next(i % 90 - 40), next(i % 70 - 40)), c(next(i % 50 - 20), next(i % 60 - 40)));
            assert_eq!(bits(divide(a, b)), bits(a / b), "{a} / {b}");
            assert!(is_ordinary(a) && is_ordinary(b));
            assert_eq!(bits(divide_ordinary(a, b)), bits(a / b), "{a} / {b}");
            assert_eq!(bits(reciprocal(b)), bits(b.inv()), "1 / {b}");
        }
    }

    /// At the ends of what is ordinary, where parts differ as much as they may.
    #[test]
    fn ordinary_quotients_are_those_that_are_scaled() {
        let parts = [0.0, 1e-70, -3e-70, 0.1, -7.0, 1e70, -7e69];
        let all: Vec<C64> = parts.iter().flat_map(|&re| parts.map(|im| c(re, im))).collect();
        for &a in &all {
            for &b in &all {
                let (x, y) = (divide(a, b), divide_ordinary(a, b));
                assert!(
                    is_ordinary(a) && x.re == y.re && x.im == y.im || x.is_nan() && y.is_nan(),
                    "{a} / {b}"
                );
            }
        }
        assert!(!is_ordinary(c(1.0, 1e71)) && !is_ordinary(c(9e-71, 1.0)) && !is_ordinary(c(f64::NAN, 0.0)));
    }

    #[test]
    fn functions_that_exist_are_given() {
        let inf = f64::INFINITY;
        let half_pi = std::f64::consts::FRAC_PI_2;
        for (name, got, want) in [
            ("tanh", tanh(c(800.0, 0.0)), c(1.0, 0.0)),
            ("tanh", tanh(c(-800.0, 1.0)), c(-1.0, 0.0)),
            ("tanh", tanh(c(1e-10, half_pi)), c(9_999_999_999.996_25, 6_123.233_995_734_469)),
            ("tanh", tanh(c(inf, 3.0)), c(1.0, 0.0)),
            ("tan", tan(c(0.0, -800.0)), c(0.0, -1.0)),
            ("exp", exp(c(710.0, 1e-300)), c(inf, 223_399_476.616_171_1)),
            ("exp", exp(c(1000.0, 0.0)), c(inf, 0.0)),
            ("sinh", sinh(c(-1000.0, 0.0)), c(-inf, 0.0)),
            ("cosh", cosh(c(1000.0, 0.0)), c(inf, 0.0)),
            ("sin", sin(c(0.0, 1000.0)), c(0.0, inf)),
            ("cos", cos(c(0.0, -1000.0)), c(inf, 0.0)),
            ("ln", ln(c(1.5e308, 1.5e308)), c(709.948_247_340_554_2, half_pi / 2.0)),
            ("ln", ln(c(5e-324, 5e-324)), c(-744.093_498_331_101_3, half_pi / 2.0)),
            ("sqrt", sqrt(c(-4.0, -0.0)), c(0.0, -2.0)),
            ("sqrt", sqrt(c(3.0, 4.0)), c(2.0, 1.0)),
            ("sqrt", sqrt(c(-1e10, 1e-10)), c(5e-16, 1e5)),
            ("sqrt", sqrt(c(0.0, f64::MAX)), c((f64::MAX / 2.0).sqrt(), (f64::MAX / 2.0).sqrt())),
            ("sqrt", sqrt(c(1e308, 1e308)), c(1.098_684_113_467_81e154, 4.550_898_605_622_273e153)),
            ("sqrt", sqrt(c(5e-324, 0.0)), c(5e-324f64.sqrt(), 0.0)),
            ("sqrt", sqrt(c(-inf, 2.0)), c(0.0, inf)),
            ("pow", pow(c(1e200, 0.0), c(-1.0, 0.0)), c(1e-200, -0.0)),
            ("pow", pow(c(0.0, 0.0), c(2.0, 0.0)), c(0.0, 0.0)),
        ] {
            let error = if name == "pow" { 1e4 } else { 16.0 };
            let tiny = |x: f64, y: f64| y == 0.0 && x.abs() < 1e-300;
            let near = near(got, want, error)
                || tiny(got.im, want.im) && near(c(got.re, 0.0), c(want.re, 0.0), error);
            assert!(near, "{name}: {got}, expected {want}");
        }
    }

    #[test]
    fn ordinary_functions_are_those_of_num_complex_or_near_them() {
        let mut x = noise();
        let bits = |z: C64| (z.re.to_bits(), z.im.to_bits());
        for _ in 0..20_000 {
            let z = c(x.next().unwrap() * 8.0, x.next().unwrap() * 8.0);
            for (of, num) in [(exp(z), z.exp()), (ln(z), z.ln()), (sin(z), z.sin()), (cosh(z), z.cosh())] {
                assert_eq!(bits(of), bits(num), "{z}");
            }
            let close = |a: C64, b: C64, z: C64| {
                assert!((a - b).norm() <= 1e-12 * b.norm(), "{z}: {a}, num-complex {b}");
            };
            close(sqrt(z), z.sqrt(), z);
            close(sqrt(z) * sqrt(z), z, z);
            // Near a pole num-complex loses digits.
            if z.tanh().norm() < 1e2 && z.tan().norm() < 1e2 {
                close(tanh(z), z.tanh(), z);
                close(tan(z), z.tan(), z);
            }
        }
    }
}
