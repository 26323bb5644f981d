//! What each type has of the calls of random programs: operations of elements and of arrays, and what is right for calls
//! whose results have other types.

use super::{Call, pairs};
use crate::support::same;
use crate::values::{F32, F64, Fault, equal, exactly, factors, first_of, lanes, one, ran};
use ndarray::{ArrayD as NdD, Axis, Slice};
use num_traits::{AsPrimitive, FromPrimitive, One, Zero};
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Rem, Sub};
use tilework::prelude::*;
use tilework::{Complex, Element, Error, try_where};

/// What any type needs for the calls.
pub trait Value: Element + Debug + PartialEq {
    /// Values at the ends of the type and around 0.
    fn special(i: usize) -> Self;
    /// One of five operations of two elements, arithmetic as in release builds; `None` where there is no result.
    fn paired(op: u8, a: Self, b: Self) -> Option<Self>;
    /// The same of arrays.
    fn pair(op: u8, a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>>;
    /// A function of an element.
    fn twice(self) -> Self;
    /// One of two elements, by what they are compared with.
    fn chosen(a: Self, b: Self) -> Self;
    /// The same of arrays.
    fn choose(a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>>;
    /// The array within bounds, for types that have an order.
    fn clamp(a: &ArrayD<Self>, _low: Self, _high: Self) -> tilework::Result<ArrayD<Self>> {
        Ok(a.clone())
    }
    /// An element within bounds; `None` for bounds in the wrong order.
    fn clamped(x: Self, _low: Self, _high: Self) -> Option<Self> {
        Some(x)
    }
    /// Calls whose results have other types: what is wrong with them, errors and panics aside.
    fn asked(call: &Call, of: &Asked<'_, Self>) -> Option<Result<(), Fault>>;
    /// Whether building such a call is an error, where that depends on the shape alone.
    fn refused(call: &Call, shape: &[usize]) -> Option<bool>;
    /// Whether every operation has a result.
    const TOTAL: bool = true;
}

/// What a call is asked of: the array and its elements where all have a value, and the other array.
pub struct Asked<'a, A> {
    pub a: &'a ArrayD<A>,
    pub known: Option<&'a NdD<A>>,
    pub other: &'a ArrayD<A>,
    pub other_known: &'a NdD<A>,
}

impl<A: Value> Asked<'_, A> {
    /// What a reduction along axes is made of.
    fn lanes(&self, axes: &[usize]) -> Option<NdD<Vec<A>>> {
        self.known.map(|b| lanes(b, axes))
    }

    /// What an operation of each element is made of.
    fn each(&self) -> Option<NdD<Vec<A>>> {
        self.lanes(&[])
    }

    /// The differences of neighbours, as often as asked for.
    fn differences(&self, n: usize, axis: usize) -> Option<NdD<Vec<A>>> {
        let mut b = self.known?.clone();
        for _ in 0..n {
            let (left, right) =
                (b.slice_axis(Axis(axis), Slice::from(..-1)), b.slice_axis(Axis(axis), Slice::from(1..)));
            let minus = |x: &A, y: &A| A::paired(1, *x, *y).expect("a difference");
            b = ndarray::Zip::from(&right).and(&left).map_collect(minus);
        }
        Some(lanes(&b, &[]))
    }

    fn all_equal(&self, axis: usize) -> Result<(), Fault> {
        let equal = self.a.try_equal(self.a).and_then(|e| e.try_all_axis(Axis(axis)));
        #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
        ran(equal, || self.lanes(&[axis]), |got, xs| got == xs.iter().all(|x| x == x))
    }

    fn any_different(&self, axes: &[usize]) -> Result<(), Fault> {
        let all: Vec<Axis> = axes.iter().copied().map(Axis).collect();
        let different = self.a.try_not_equal(self.a).and_then(|e| e.try_any_axes(&all));
        #[allow(clippy::eq_op, reason = "only NaN differs from itself")]
        ran(different, || self.lanes(axes), |got, xs| got == xs.iter().any(|x| x != x))
    }
}

/// What integers and floats have beside.
pub trait Number:
    Value
    + PartialOrd
    + Zero
    + One
    + FromPrimitive
    + ndarray::LinalgScalar
    + Rem<Output = Self>
    + AsPrimitive<i8>
    + AsPrimitive<u64>
    + AsPrimitive<f32>
    + AsPrimitive<f64>
{
    /// Whether this may be the sum of the terms, divided by their number if a mean is asked for.
    fn is_sum(self, terms: &[Self], mean: bool) -> bool;
    /// Whether this may be the sum of the products.
    fn is_dot(self, pairs: &[(Self, Self)]) -> bool;
    /// Whether this may be the product.
    fn is_product(self, factors: &[Self]) -> bool;
    /// The variance along an axis, or its root, for floats.
    fn spread(of: &Asked<'_, Self>, ddof: f64, root: bool, axis: usize) -> Option<Result<(), Fault>>;
}

/// What [`Value`] asks for of integers and floats.
macro_rules! ordered {
    () => {
        fn pair(op: u8, a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>> {
            match op {
                0 => a.try_add(b),
                1 => a.try_sub(b),
                2 => a.try_mul(b),
                3 => a.try_div(b),
                _ => a.try_rem(b),
            }
        }
        fn twice(self) -> Self {
            if self > Self::one() { Self::one() } else { self }
        }
        fn chosen(a: Self, b: Self) -> Self {
            if a < b { a } else { b }
        }
        fn choose(a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>> {
            try_where(&a.try_less(b)?, a, b)
        }
        fn clamp(a: &ArrayD<Self>, low: Self, high: Self) -> tilework::Result<ArrayD<Self>> {
            a.try_clamp(low, high)
        }
        fn clamped(x: Self, low: Self, high: Self) -> Option<Self> {
            let least = if x < low { low } else { x };
            (low <= high).then_some(if least > high { high } else { least })
        }
        fn asked(call: &Call, of: &Asked<'_, Self>) -> Option<Result<(), Fault>> {
            asked(call, of)
        }
        fn refused(call: &Call, shape: &[usize]) -> Option<bool> {
            refused(call, shape)
        }
    };
}

macro_rules! integers {
    ($($t:ident)*) => { $(
        impl Value for $t {
            fn special(i: usize) -> $t {
                [0, 1, 2, 3, $t::MAX, $t::MIN, 7, (0 as $t).wrapping_sub(1)][i % 8]
            }
            fn paired(op: u8, a: $t, b: $t) -> Option<$t> {
                match op {
                    0 => Some(a.wrapping_add(b)),
                    1 => Some(a.wrapping_sub(b)),
                    2 => Some(a.wrapping_mul(b)),
                    3 => (b != 0).then(|| a.wrapping_div(b)),
                    _ => (b != 0).then(|| a.wrapping_rem(b)),
                }
            }
            ordered!();
            const TOTAL: bool = false;
        }
        impl Number for $t {
            fn is_sum(self, terms: &[$t], mean: bool) -> bool {
                if mean {
                    let sum: i128 = terms.iter().map(|&x| i128::from(x)).sum();
                    return i128::from(self) == sum / terms.len() as i128;
                }
                self == terms.iter().fold(0 as $t, |sum, x| sum.wrapping_add(*x))
            }
            fn is_dot(self, pairs: &[($t, $t)]) -> bool {
                self == pairs.iter().fold(0 as $t, |sum, (x, y)| sum.wrapping_add(x.wrapping_mul(*y)))
            }
            fn is_product(self, factors: &[$t]) -> bool {
                self == factors.iter().fold(1 as $t, |product, x| product.wrapping_mul(*x))
            }
            fn spread(_: &Asked<'_, $t>, _: f64, _: bool, _: usize) -> Option<Result<(), Fault>> {
                None
            }
        }
    )* };
}
integers! { i8 u8 i16 u16 i32 u32 i64 u64 }

macro_rules! floats {
    ($($t:ident $limits:ident)*) => { $(
        impl Value for $t {
            fn special(i: usize) -> $t {
                [0.0, 1.0, -2.5, 3.0, $t::NAN, $t::INFINITY, -0.0, $t::MIN_POSITIVE, $t::NEG_INFINITY, 1e30, 0.1][i % 11]
            }
            fn paired(op: u8, a: $t, b: $t) -> Option<$t> {
                Some(match op {
                    0 => Add::add(a, b),
                    1 => Sub::sub(a, b),
                    2 => Mul::mul(a, b),
                    3 => Div::div(a, b),
                    _ => Rem::rem(a, b),
                })
            }
            ordered!();
        }
        impl Number for $t {
            fn is_sum(self, terms: &[$t], mean: bool) -> bool {
                let by = if mean { terms.len() as f64 } else { 1.0 };
                $limits.is_sum(self.into(), &wide(terms), by)
            }
            fn is_dot(self, pairs: &[($t, $t)]) -> bool {
                $limits.is_dot(self.into(), &pairs.iter().map(|&(x, y)| (x.into(), y.into())).collect::<Vec<_>>())
            }
            fn is_product(self, factors: &[$t]) -> bool {
                $limits.is_product(self.into(), &wide(factors))
            }
            fn spread(of: &Asked<'_, $t>, ddof: f64, root: bool, axis: usize) -> Option<Result<(), Fault>> {
                let (at, by) = (Axis(axis), ddof as $t);
                let ours = if root { of.a.try_std_axis(at, by) } else { of.a.try_var_axis(at, by) };
                let fits = of.a.shape().get(axis).is_some_and(|n| ddof <= *n as f64);
                if ours.is_ok() != fits {
                    return Some(Err(Fault::Wrong(format!("gives {:?}", ours.map(|a| a.describe())))));
                }
                let right = |got: $t, xs: &[$t]| $limits.is_spread(got.into(), &wide(xs), ddof, root);
                Some(ran(ours, || of.lanes(&[axis]), right))
            }
        }
    )* };
}
floats! { f32 F32 f64 F64 }

fn wide<A: Into<f64> + Copy>(values: &[A]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

impl Value for bool {
    fn special(i: usize) -> bool {
        i.is_multiple_of(3)
    }
    fn paired(op: u8, a: bool, b: bool) -> Option<bool> {
        Some(match op {
            0 | 3 => a & b,
            1 => a ^ b,
            _ => a | b,
        })
    }
    fn pair(op: u8, a: &ArrayD<bool>, b: &ArrayD<bool>) -> tilework::Result<ArrayD<bool>> {
        match op {
            0 | 3 => a.try_bitand(b),
            1 => a.try_bitxor(b),
            _ => a.try_bitor(b),
        }
    }
    fn twice(self) -> bool {
        !self
    }
    fn chosen(a: bool, b: bool) -> bool {
        if !a & b { a } else { b }
    }
    fn choose(a: &ArrayD<bool>, b: &ArrayD<bool>) -> tilework::Result<ArrayD<bool>> {
        try_where(&a.try_less(b)?, a, b)
    }
    fn asked(call: &Call, of: &Asked<'_, bool>) -> Option<Result<(), Fault>> {
        let a = of.a;
        Some(match call {
            Call::Least(_) => ran(Ok(!a), || of.each(), |got, x| got != x[0]),
            Call::Cast(to) => match to % 4 {
                0 => ran(a.try_cast::<u8>(), || of.each(), |got, x| got == u8::from(x[0])),
                1 => ran(a.try_cast::<i64>(), || of.each(), |got, x| got == i64::from(x[0])),
                2 => ran(a.try_cast::<f32>(), || of.each(), |got, x| got == f32::from(u8::from(x[0]))),
                _ => ran(
                    a.try_cast::<Complex<f64>>(),
                    || of.each(),
                    |got, x| got == Complex::from(f64::from(u8::from(x[0]))),
                ),
            },
            Call::Fold(kind, axis) => match kind % 4 {
                0 => ran(
                    a.try_all_axis(Axis(*axis)),
                    || of.lanes(&[*axis]),
                    |got, x| got == x.iter().all(|x| *x),
                ),
                1 => ran(
                    a.try_any_axis(Axis(*axis)),
                    || of.lanes(&[*axis]),
                    |got, x| got == x.iter().any(|x| *x),
                ),
                2 => {
                    let counts = a.try_cast::<u64>().and_then(|a| a.try_sum_axis(Axis(*axis)));
                    ran(
                        counts,
                        || of.lanes(&[*axis]),
                        |got, x| got == x.iter().filter(|x| **x).count() as u64,
                    )
                }
                _ => of.all_equal(*axis),
            },
            Call::Folds(kind, axes) => {
                let all: Vec<Axis> = axes.iter().copied().map(Axis).collect();
                match kind % 3 {
                    0 => ran(a.try_all_axes(&all), || of.lanes(axes), |got, x| got == x.iter().all(|x| *x)),
                    1 => ran(a.try_any_axes(&all), || of.lanes(axes), |got, x| got == x.iter().any(|x| *x)),
                    _ => of.any_different(axes),
                }
            }
            Call::Whole(kind) => match kind % 2 {
                0 => one(a.try_all(), of.known, |got, x| *got == x.iter().all(|x| *x)),
                _ => one(a.try_any(), of.known, |got, x| *got == x.iter().any(|x| *x)),
            },
            Call::Spread(..) | Call::Diff(..) | Call::Dot(_) => Ok(()),
            _ => return None,
        })
    }
    fn refused(call: &Call, shape: &[usize]) -> Option<bool> {
        match call {
            Call::Least(_) | Call::Cast(_) => Some(false),
            // Nothing needs elements.
            Call::Fold(_, axis) => refused(&Call::Fold(0, *axis), shape),
            Call::Folds(_, axes) => refused(&Call::Folds(0, axes.clone()), shape),
            _ => None,
        }
    }
}

macro_rules! complex {
    ($($t:ident $limits:ident)*) => { $(
        impl Value for Complex<$t> {
            fn special(i: usize) -> Self {
                // Mostly small numbers: one infinite part makes the next product NaN.
                let part = |i: usize| if i.is_multiple_of(7) { $t::special(i / 7) } else { (i % 7) as $t * 0.75 - 2.0 };
                Complex::new(part(i), part(i * 5 + 3))
            }
            fn paired(op: u8, a: Self, b: Self) -> Option<Self> {
                Some(match op {
                    0 => a + b,
                    1 => a - b,
                    2 => a * b,
                    _ => {
                        let wide = |z: Self| Complex::new(f64::from(z.re), f64::from(z.im));
                        let q = quotient(wide(a), wide(b));
                        Complex::new(q.re as $t, q.im as $t)
                    }
                })
            }
            fn pair(op: u8, a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>> {
                match op {
                    0 => a.try_add(b),
                    1 => a.try_sub(b),
                    2 => a.try_mul(b),
                    _ => a.try_div(b),
                }
            }
            fn twice(self) -> Self {
                Complex::new(self.im, self.re)
            }
            fn chosen(a: Self, b: Self) -> Self {
                if a == b { b } else { a }
            }
            fn choose(a: &ArrayD<Self>, b: &ArrayD<Self>) -> tilework::Result<ArrayD<Self>> {
                try_where(&a.try_equal(b)?, b, a)
            }
            fn asked(call: &Call, of: &Asked<'_, Self>) -> Option<Result<(), Fault>> {
                let to_f64 = |z: Self| Complex::new(f64::from(z.re), f64::from(z.im));
                let wide = |zs: &[Self]| zs.iter().map(|&z| to_f64(z)).collect::<Vec<_>>();
                let is_sum = |got: Self, zs: &[Self]| $limits.is_complex_sum(to_f64(got), &wide(zs), 1.0);
                let is_mean =
                    |got: Self, zs: &[Self]| $limits.is_complex_sum(to_f64(got), &wide(zs), zs.len() as f64);
                let is_product = |got: Self, zs: &[Self]| $limits.is_complex_product(to_f64(got), &wide(zs));
                let is_dot = |got: Self, pairs: &[(Self, Self)]| {
                    let pairs: Vec<_> = pairs.iter().map(|&(x, y)| (to_f64(x), to_f64(y))).collect();
                    $limits.is_complex_dot(to_f64(got), &pairs)
                };
                let a = of.a;
                Some(match call {
                    Call::Least(kind) => match kind % 3 {
                        0 => ran(Ok(-a), || of.each(), |got, z| same(got, -z[0])),
                        1 => ran(Ok(a.re()), || of.each(), |got, z| same(got, z[0].re)),
                        _ => ran(Ok(a.conj()), || of.each(), |got, z| same(got, z[0].conj())),
                    },
                    Call::Cast(to) => match to % 3 {
                        0 => ran(a.try_cast::<Complex<f32>>(), || of.each(), |got, z| {
                            same(got, Complex::new(z[0].re as f32, z[0].im as f32))
                        }),
                        1 => ran(a.try_cast::<Complex<f64>>(), || of.each(), |got, z| same(got, to_f64(z[0]))),
                        _ => ran(a.try_not_equal(Self::zero()), || of.each(), |got, z| got == (z[0] != Self::zero())),
                    },
                    Call::Diff(n, axis) => {
                        ran(a.try_diff(*n, Axis(*axis)), || of.differences(*n, *axis), exactly)
                    }
                    Call::Dot(_) => product(of, is_dot)?,
                    Call::Fold(kind, axis) => match kind % 4 {
                        0 => ran(a.try_sum_axis(Axis(*axis)), || of.lanes(&[*axis]), is_sum),
                        1 => ran(a.try_product_axis(Axis(*axis)), || of.lanes(&[*axis]), is_product),
                        2 => mean(a.try_mean_axis(Axis(*axis)), || of.lanes(&[*axis]), is_mean),
                        _ => of.all_equal(*axis),
                    },
                    Call::Folds(kind, axes) => {
                        let all: Vec<Axis> = axes.iter().copied().map(Axis).collect();
                        match kind % 3 {
                            0 => ran(a.try_sum_axes(&all), || of.lanes(axes), is_sum),
                            1 => ran(a.try_product_axes(&all), || of.lanes(axes), is_product),
                            _ => of.any_different(axes),
                        }
                    }
                    Call::Whole(kind) => match kind % 2 {
                        0 => one(a.try_sum(), of.known, |got, zs| is_sum(*got, zs)),
                        _ => one(a.try_product(), of.known, |got, zs| is_product(*got, zs)),
                    },
                    Call::Spread(..) => Ok(()),
                    _ => return None,
                })
            }
            fn refused(call: &Call, shape: &[usize]) -> Option<bool> {
                match call {
                    Call::Least(_) | Call::Cast(_) => Some(false),
                    Call::Fold(_, axis) => refused(&Call::Fold(0, *axis), shape),
                    Call::Folds(_, axes) => refused(&Call::Folds(0, axes.clone()), shape),
                    _ => refused(call, shape),
                }
            }
        }
    )* };
}
complex! { f32 F32 f64 F64 }

/// num-complex's quotient of numbers that are brought to a size at which nothing overflows or vanishes on the way; nothing
/// where a number is divided by infinity.
fn quotient(a: Complex<f64>, b: Complex<f64>) -> Complex<f64> {
    if b.re.is_infinite() || b.im.is_infinite() {
        let unit = |x: f64| f64::from(u8::from(x.is_infinite())).copysign(x);
        let (x, y) = (unit(b.re), unit(b.im));
        return Complex::new(0.0 * (a.re * x + a.im * y), 0.0 * (a.im * x - a.re * y));
    }
    let by = |z: Complex<f64>| match z.re.abs().max(z.im.abs()) {
        size if size > 1e100 => 2f64.powi(-600),
        size if size < 1e-100 => 2f64.powi(600),
        _ => 1.0,
    };
    (a * by(a)) / (b * by(b)) * by(b) / by(a)
}

/// A mean, which there is none of no elements.
fn mean<A: Debug, B: Element + Debug>(
    ours: tilework::Result<Option<ArrayD<B>>>,
    theirs: impl FnOnce() -> Option<NdD<Vec<A>>>,
    right: impl Fn(B, &[A]) -> bool,
) -> Result<(), Fault> {
    match ours? {
        Some(ours) => ran(Ok(ours), theirs, right),
        None if theirs().is_none_or(|all| all.iter().all(Vec::is_empty)) => Ok(()),
        None => Err(Fault::Wrong("gives nothing".into())),
    }
}

/// A matrix product, which is an error for shapes that have none.
fn product<A: Value + ndarray::LinalgScalar>(
    of: &Asked<'_, A>,
    right: impl Fn(A, &[(A, A)]) -> bool,
) -> Option<Result<(), Fault>> {
    let empty = NdD::from_elem(of.a.shape(), A::zero());
    let theirs = factors(of.known.unwrap_or(&empty), of.other_known);
    Some(match (of.a.try_dot(of.other), theirs) {
        (Err(Error::Expr(_)), None) => Ok(()),
        (ours, Some(theirs)) => ran(ours, || of.known.map(|_| theirs), right),
        (ours, None) => Err(Fault::Wrong(format!("gives {:?}, but no product", ours.map(|a| a.describe())))),
    })
}

/// What is wrong with calls of numbers whose results have other types.
fn asked<A: Number>(call: &Call, of: &Asked<'_, A>) -> Option<Result<(), Fault>> {
    let (a, least) = (of.a, |x: &A, y: &A| x < y);
    let greatest = |x: &A, y: &A| x > y;
    Some(match call {
        Call::Least(_) => {
            let ours = a.try_fmin(of.other).and_then(|x| x.try_fmax(of.other));
            let pair = |x: A, y: A| Some((x, y));
            let theirs = || together(of.known?, of.other_known, pair);
            match ours {
                Err(Error::Expr(_)) if theirs().is_none() => Ok(()),
                ours => ran(ours, theirs, |got, xy| equal(&got, &between(xy[0].0, xy[0].1))),
            }
        }
        Call::Cast(to) => match to % 5 {
            0 => ran(a.try_cast::<i8>(), || of.each(), |got, x| exactly(got, &[x[0].as_()])),
            1 => ran(a.try_cast::<u64>(), || of.each(), |got, x| exactly(got, &[x[0].as_()])),
            2 => ran(a.try_cast::<bool>(), || of.each(), |got, x| got == (x[0] != A::zero())),
            3 => ran(a.try_cast::<f32>(), || of.each(), |got, x| same(got, x[0].as_())),
            _ => ran(
                a.try_cast::<Complex<f64>>(),
                || of.each(),
                |got, x| same(got, Complex::new(x[0].as_(), 0.0)),
            ),
        },
        Call::Diff(n, axis) => ran(a.try_diff(*n, Axis(*axis)), || of.differences(*n, *axis), exactly),
        Call::Dot(_) => product(of, A::is_dot)?,
        Call::Fold(kind, axis) => {
            let (at, lanes) = (Axis(*axis), || of.lanes(&[*axis]));
            match kind % 8 {
                0 => ran(a.try_sum_axis(at), lanes, |got, x| got.is_sum(x, false)),
                1 => ran(a.try_product_axis(at), lanes, A::is_product),
                2 => ran(a.try_min_axis(at), lanes, |got, x| equal(&got, &x[first_of(x, least)])),
                3 => ran(a.try_max_axis(at), lanes, |got, x| equal(&got, &x[first_of(x, greatest)])),
                4 => ran(a.try_argmin_axis(at), lanes, |got, x| got == first_of(x, least) as u64),
                5 => ran(a.try_argmax_axis(at), lanes, |got, x| got == first_of(x, greatest) as u64),
                6 => mean(a.try_mean_axis(at), lanes, |got: A, x| got.is_sum(x, true)),
                _ => of.all_equal(*axis),
            }
        }
        Call::Folds(kind, axes) => {
            let (all, lanes) = (axes.iter().copied().map(Axis).collect::<Vec<_>>(), || of.lanes(axes));
            match kind % 4 {
                0 => ran(a.try_sum_axes(&all), lanes, |got, x| got.is_sum(x, false)),
                1 => ran(a.try_min_axes(&all), lanes, |got, x| equal(&got, &x[first_of(x, least)])),
                2 => of.any_different(axes),
                _ => mean(a.try_mean_axes(&all), lanes, |got: A, x| got.is_sum(x, true)),
            }
        }
        Call::Spread(kind, axis) => {
            A::spread(of, DDOFS[usize::from(kind / 2) % DDOFS.len()], kind % 2 == 1, *axis).unwrap_or(Ok(()))
        }
        Call::Whole(kind) => match kind % 6 {
            0 => one(a.try_sum(), of.known, |got, x| got.is_sum(x, false)),
            1 => one(a.try_product(), of.known, |got, x| got.is_product(x)),
            2 => one(a.try_min(), of.known, |got, x| equal(got, &x[first_of(x, least)])),
            3 => one(a.try_argmax(), of.known, |got, x| {
                let flat = got.slice().iter().zip(a.shape()).fold(0, |at, (i, len)| at * len + i);
                flat == first_of(x, greatest)
            }),
            4 => one(a.try_mean(), of.known, |got, x| match got {
                Some(mean) => mean.is_sum(x, true),
                None => x.is_empty(),
            }),
            _ => a.try_axis_iter(Axis(0)).map(drop).map_err(Fault::from),
        },
        _ => return None,
    })
}

/// Delta degrees of freedom of variances.
const DDOFS: [f64; 4] = [0.0, 1.0, 0.5, 3.0];

/// Pairs of elements of arrays that broadcast together.
fn together<A: Value>(
    a: &NdD<A>,
    b: &NdD<A>,
    f: impl Fn(A, A) -> Option<(A, A)>,
) -> Option<NdD<Vec<(A, A)>>> {
    let (left, right) = (
        pairs(&a.mapv(Some), &b.mapv(Some), |x, _| Some(x))?,
        pairs(&a.mapv(Some), &b.mapv(Some), |_, y| Some(y))?,
    );
    let both = |x: &Option<A>, y: &Option<A>| vec![f(x.expect("known"), y.expect("known")).expect("both")];
    Some(ndarray::Zip::from(&left).and(&right).map_collect(both))
}

/// The greater of `y` and the lesser of both; of a NaN and a number the number.
#[allow(clippy::eq_op, reason = "only NaN differs from itself")]
fn between<A: PartialOrd + Copy>(x: A, y: A) -> A {
    let either = |x: A, y: A, first: bool| if x != x || y == y && !first { y } else { x };
    let lesser = either(x, y, x < y || y != y);
    either(lesser, y, lesser > y || y != y)
}

/// Whether building the call is an error, where that depends on the shape alone.
fn refused(call: &Call, shape: &[usize]) -> Option<bool> {
    let missing = |axis: &usize| *axis >= shape.len();
    Some(match call {
        Call::Cast(_) => false,
        Call::Diff(n, axis) => missing(axis) || *n > 0 && *n >= shape[*axis],
        Call::Dot(_) => false,
        Call::Fold(kind, axis) => {
            let needs = matches!(kind % 8, 2..=5);
            missing(axis) || needs && shape[*axis] == 0
        }
        Call::Folds(kind, axes) => {
            let mut once = axes.clone();
            once.sort_unstable();
            once.dedup();
            let wrong = once.len() < axes.len() || axes.iter().any(missing);
            wrong || kind % 4 == 1 && axes.iter().any(|&a| shape[a] == 0)
        }
        _ => return None,
    })
}
