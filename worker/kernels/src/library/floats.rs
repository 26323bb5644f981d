//! Functions of single floats that need their bits, or a series: neighbours, distances to them, mantissas and exponents, a
//! Bessel function.

use super::elements::{Answer, Elements, Reader, Writer, plane};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatFunction {
    /// The float next to the first towards the second.
    NextAfter,
    /// The distance to the next float away from zero.
    Spacing,
    /// The mantissa, from a half to 1.
    Mantissa,
    /// The exponent of 2 that belongs to the mantissa, as `i32`.
    Exponent,
    /// The first times 2 to the power of the second, an `i32`.
    Ldexp,
    /// The modified Bessel function of the first kind and order 0.
    I0,
}

const ALL: [FloatFunction; 6] = {
    use FloatFunction::*;
    [NextAfter, Spacing, Mantissa, Exponent, Ldexp, I0]
};

impl FloatFunction {
    /// The function of elements of a float's dtype.
    #[must_use]
    pub fn of(self, dtype: DType) -> OwnFunction {
        let inputs = match self {
            FloatFunction::NextAfter => vec![dtype, dtype],
            FloatFunction::Ldexp => vec![dtype, DType::I32],
            _ => vec![dtype],
        };
        let output = if self == FloatFunction::Exponent { DType::I32 } else { dtype };
        OwnFunction {
            name: "float".into(),
            params: Writer::default().number(self as usize).done(),
            inputs,
            output,
            temporaries: Temporaries::NONE,
        }
    }
}

pub(super) fn float_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let code = Reader(call.params).number()?;
    let function = *ALL.get(code).ok_or_else(|| format!("function {code} of floats"))?;
    match call.block(0)?.dtype() {
        DType::F32 => run::<f32>(call, function),
        DType::F64 => run::<f64>(call, function),
        dtype => Err(format!("elements of {dtype} are not taken")),
    }
}

fn run<F: Float>(call: &BlockCall<'_>, function: FloatFunction) -> Answer<Plane> {
    let (x, shape) = (Elements::<F>::of(call.block(0)?)?, call.shape());
    let each = |f: fn(F) -> F| plane(&shape, x.iter().map(|x| f(*x)).collect());
    match function {
        FloatFunction::NextAfter => {
            let to = Elements::<F>::of(call.block(1)?)?;
            plane(&shape, x.iter().zip(to.iter()).map(|(x, to)| x.next_to(*to)).collect())
        }
        FloatFunction::Ldexp => {
            let by = Elements::<i32>::of(call.block(1)?)?;
            plane(&shape, x.iter().zip(by.iter()).map(|(x, by)| x.scaled(*by)).collect())
        }
        FloatFunction::Spacing => each(F::spacing),
        FloatFunction::I0 => each(|x| F::of(i0(x.wide()))),
        FloatFunction::Mantissa => each(|x| x.parts().0),
        FloatFunction::Exponent => plane(&shape, x.iter().map(|x| x.parts().1).collect()),
    }
}

/// The two float types.
trait Float: tilework_expr::Element {
    fn next_to(self, to: Self) -> Self;
    fn spacing(self) -> Self;
    /// Mantissa and exponent.
    fn parts(self) -> (Self, i32);
    fn scaled(self, by: i32) -> Self;
    fn wide(self) -> f64;
    fn of(wide: f64) -> Self;
}

macro_rules! floats {
    ($($t:ident)*) => { $(
        impl Float for $t {
            fn next_to(self, to: $t) -> $t {
                match self.partial_cmp(&to) {
                    None => $t::NAN,
                    Some(std::cmp::Ordering::Equal) => to,
                    Some(std::cmp::Ordering::Less) => self.next_up(),
                    Some(std::cmp::Ordering::Greater) => self.next_down(),
                }
            }
            fn spacing(self) -> $t {
                if self.is_sign_negative() { self.next_down() - self } else { self.next_up() - self }
            }
            fn parts(self) -> ($t, i32) {
                if self == 0.0 || !self.is_finite() {
                    return (self, 0);
                }
                const MANTISSA: u32 = $t::MANTISSA_DIGITS - 1;
                const BIAS: i32 = $t::MAX_EXP - 2;
                // What has no leading one gets it.
                let (x, less) = match self.is_subnormal() {
                    true => (self * (1u64 << MANTISSA) as $t, MANTISSA as i32),
                    false => (self, 0),
                };
                let exponent = (x.abs().to_bits() >> MANTISSA) as i32 - BIAS;
                let cleared = x.to_bits() & !($t::INFINITY.to_bits());
                ($t::from_bits(cleared | (0.5 as $t).to_bits()), exponent - less)
            }
            fn scaled(self, by: i32) -> $t {
                let (mantissa, exponent) = self.parts();
                if mantissa == 0.0 || !mantissa.is_finite() {
                    return self;
                }
                let to = exponent.saturating_add(by);
                let two = |n: i32| -> $t { (2.0 as $t).powi(n) };
                match to {
                    to if to > $t::MAX_EXP => mantissa * $t::INFINITY,
                    // One multiplication rounds: the others are exact.
                    to if to < $t::MIN_EXP => {
                        let below = ($t::MIN_EXP - to).min($t::MANTISSA_DIGITS as i32 + 2);
                        mantissa * two($t::MIN_EXP) * two(-below)
                    }
                    to => mantissa * two(to - 1) * 2.0,
                }
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn of(wide: f64) -> $t {
                wide as $t
            }
        }
    )* };
}
floats! { f32 f64 }

/// From here on the expansion for large arguments is exact to the last places.
const I0_LARGE: f64 = 30.0;

/// The power series, all of whose terms are positive, and for large arguments the asymptotic expansion: Abramowitz and
/// Stegun 9.6.12 and 9.7.1.
fn i0(x: f64) -> f64 {
    let x = x.abs();
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    let (mut term, mut sum, mut k) = (1.0f64, 1.0, 1.0);
    if x < I0_LARGE {
        let quarter = x * x / 4.0;
        while term > sum * f64::EPSILON / 8.0 {
            term *= quarter / (k * k);
            sum += term;
            k += 1.0;
        }
        return sum;
    }
    while term > sum * f64::EPSILON / 8.0 {
        term *= (2.0 * k - 1.0) * (2.0 * k - 1.0) / (8.0 * k * x);
        sum += term;
        k += 1.0;
    }
    // In two factors, so that what can be written is.
    let root = (x / 2.0).exp();
    root * (root / (2.0 * std::f64::consts::PI * x).sqrt() * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_taken_apart_and_put_together() {
        for x in [1.0, -0.75, 3.0e300, f64::MIN_POSITIVE, 5e-324, -1e-310, f64::MAX] {
            let (mantissa, exponent) = x.parts();
            assert!((0.5..1.0).contains(&mantissa.abs()), "{x} {mantissa}");
            assert_eq!(mantissa.scaled(exponent), x);
            assert_eq!(x.scaled(0), x);
        }
        assert_eq!((8.0f32.parts(), 0.0f32.parts()), ((0.5, 4), (0.0, 0)));
        assert_eq!((1.0.scaled(1024), (-1.0).scaled(i32::MIN)), (f64::INFINITY, -0.0));
        // Halfway between two subnormal floats, and a bit above: rounded once.
        assert_eq!((3.0f64.scaled(-1075), (1.0 + f64::EPSILON).scaled(-1075)), (1e-323, 5e-324));
        assert_eq!(1.0f64.scaled(-1075), 0.0);
        assert_eq!((1.0f64.next_to(2.0), 0.0f64.next_to(-1.0)), (1.0 + f64::EPSILON, -5e-324));
        assert!(f64::NAN.next_to(1.0).is_nan() && f64::INFINITY.spacing().is_nan());
        assert_eq!((1.0.spacing(), (-1.0).spacing()), (f64::EPSILON, -f64::EPSILON));
    }

    #[test]
    fn the_bessel_function_is_that_of_the_tables() {
        // Abramowitz and Stegun, table 9.8 and 9.10, and Wolfram's value at 100.
        for (x, want) in [
            (0.0, 1.0),
            (1.0, 1.266_065_877_752_008_4),
            (5.0, 27.239_871_823_604_442),
            (-10.0, 2_815.716_628_466_254),
            (100.0, 1.073_751_707_131_073_8e42),
        ] {
            assert!((i0(x) / want - 1.0).abs() < 4e-16 * 8.0, "{x}: {}", i0(x));
        }
        // The two ways meet.
        let (below, above) = (i0(I0_LARGE.next_down()), i0(I0_LARGE));
        assert!((above / below - 1.0).abs() < 1e-14, "{below} {above}");
        assert!(i0(712.0).is_finite() && i0(800.0) == f64::INFINITY);
    }
}
