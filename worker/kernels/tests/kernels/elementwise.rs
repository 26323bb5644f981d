//! Every elementwise operation on every dtype against the scalar methods and operators.

use crate::harness::{check, literal, value};
use crate::views::chunks;
use ndarray::{ArrayD, Axis, IxDyn};
use tilework_expr::{BinaryOp, Complex, DType, Element, Expr, Scalar, UnaryOp, with_dtype};
use tilework_kernels::complex;

const N: usize = 2500;

/// Values of all kinds: small, large, negative, zero, infinite, not numbers.
fn samples<A: Element>(seed: u64) -> ArrayD<A> {
    let mut next = crate::harness::noise(seed);
    let special =
        [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, 1e-310];
    ArrayD::from_shape_fn(IxDyn(&[N]), |i| {
        let mut float = || match i[0].checked_sub(200) {
            None => special[next() as usize % special.len()],
            Some(i) => (next() as i64 as f64) * 10f64.powi(i as i32 % 40 - 30),
        };
        let bits = match A::DTYPE {
            DType::F32 => Element::to_bits(float() as f32),
            DType::F64 => Element::to_bits(float()),
            DType::C32 => Complex::new(float() as f32, float() as f32).to_bits(),
            DType::C64 => Complex::new(float(), float()).to_bits(),
            DType::Bool => u128::from(next() >> 40 & 1),
            _ => u128::from(if i[0] % 3 == 0 { next() } else { next() % 40 }),
        };
        A::from_bits(bits)
    })
}

fn lit<A: Element>(array: &ArrayD<A>) -> Expr {
    literal(array, &chunks(&[1700]))
}

fn unary<A: Element, R: Element>(op: UnaryOp, f: impl Fn(A) -> R) {
    let x = samples::<A>(1);
    check(&lit(&x).unary(op).unwrap(), &x.mapv(f));
}

fn binary<A: Element, R: Element>(op: BinaryOp, f: impl Fn(A, A) -> R) {
    let (x, y) = (samples::<A>(1), samples::<A>(2));
    let one = y[[301]];
    let pair = |x: &ArrayD<A>, y: &ArrayD<A>| ArrayD::from_shape_fn(IxDyn(&[N]), |i| f(x[&i], y[&i]));
    let full = Expr::full(&[N], &chunks(&[1700]), Scalar::new(one)).unwrap();
    let same = ArrayD::from_elem(IxDyn(&[N]), one);
    check(&lit(&x).binary(op, &lit(&y)).unwrap(), &pair(&x, &y));
    check(&lit(&x).binary(op, &full).unwrap(), &pair(&x, &same));
    check(&full.binary(op, &lit(&y)).unwrap(), &pair(&same, &y));
}

macro_rules! float_unary {
    ($($t:ident)*) => { $({
        use UnaryOp::*;
        let methods: [(UnaryOp, fn($t) -> $t); 32] = [
            (Neg, |x| -x), (Abs, $t::abs), (Signum, $t::signum), (Sqrt, $t::sqrt), (Cbrt, $t::cbrt), (Exp2, $t::exp2),
            (ExpM1, $t::exp_m1), (Log2, $t::log2), (Log10, $t::log10), (Ln1p, $t::ln_1p), (Tan, $t::tan),
            (Asin, $t::asin), (Acos, $t::acos), (Atan, $t::atan), (Sinh, $t::sinh), (Cosh, $t::cosh),
            (Asinh, $t::asinh), (Acosh, $t::acosh), (Atanh, $t::atanh), (Floor, $t::floor), (Ceil, $t::ceil),
            (Round, $t::round), (Trunc, $t::trunc), (Fract, $t::fract), (Recip, $t::recip), (Square, |x| x * x),
            (ToDegrees, $t::to_degrees), (ToRadians, $t::to_radians), (Abs, $t::abs), (Neg, |x| -x),
            (Signum, $t::signum), (Sqrt, $t::sqrt),
        ];
        for (op, f) in methods {
            unary::<$t, $t>(op, f);
        }
        unary::<$t, bool>(IsNan, $t::is_nan);
        unary::<$t, bool>(IsFinite, $t::is_finite);
        unary::<$t, bool>(IsInfinite, $t::is_infinite);
    })* };
}

macro_rules! float_binary {
    ($($t:ident)*) => { $({
        use BinaryOp::*;
        binary::<$t, $t>(Add, |x, y| x + y);
        binary::<$t, $t>(Sub, |x, y| x - y);
        binary::<$t, $t>(Mul, |x, y| x * y);
        binary::<$t, $t>(Div, |x, y| x / y);
        binary::<$t, $t>(Rem, |x, y| x % y);
        binary::<$t, $t>(Pow, $t::powf);
        binary::<$t, $t>(Min, $t::min);
        binary::<$t, $t>(Max, $t::max);
        binary::<$t, $t>(Atan2, $t::atan2);
        binary::<$t, $t>(Hypot, $t::hypot);
        binary::<$t, $t>(Copysign, $t::copysign);
    })* };
}

macro_rules! ordered_binary {
    ($($t:ident)*) => { $({
        use BinaryOp::*;
        binary::<$t, bool>(Eq, |x, y| x == y);
        binary::<$t, bool>(Ne, |x, y| x != y);
        binary::<$t, bool>(Lt, |x, y| x < y);
        binary::<$t, bool>(Le, |x, y| x <= y);
        binary::<$t, bool>(Gt, |x, y| x > y);
        binary::<$t, bool>(Ge, |x, y| x >= y);
    })* };
}

macro_rules! int_binary {
    ($($t:ident)*) => { $({
        use BinaryOp::*;
        binary::<$t, $t>(Add, $t::wrapping_add);
        binary::<$t, $t>(Sub, $t::wrapping_sub);
        binary::<$t, $t>(Mul, $t::wrapping_mul);
        binary::<$t, $t>(Min, Ord::min);
        binary::<$t, $t>(Max, Ord::max);
        binary::<$t, $t>(And, |x, y| x & y);
        binary::<$t, $t>(Or, |x, y| x | y);
        binary::<$t, $t>(Xor, |x, y| x ^ y);
        binary::<$t, $t>(Shl, |x, y| x.wrapping_shl(y as u32));
        binary::<$t, $t>(Shr, |x, y| x.wrapping_shr(y as u32));
        unary::<$t, $t>(UnaryOp::Not, |x| !x);
        unary::<$t, $t>(UnaryOp::Square, |x| x.wrapping_mul(x));
    })* };
}

macro_rules! signed_unary {
    ($($t:ident)*) => { $({
        unary::<$t, $t>(UnaryOp::Neg, $t::wrapping_neg);
        unary::<$t, $t>(UnaryOp::Abs, $t::wrapping_abs);
        unary::<$t, $t>(UnaryOp::Signum, $t::signum);
    })* };
}

#[test]
fn floats_are_the_scalar_methods() {
    float_unary!(f32 f64);
    float_binary!(f32 f64);
}

#[test]
fn integers_wrap() {
    int_binary!(i8 i16 i32 i64 u8 u16 u32 u64);
    signed_unary!(i8 i16 i32 i64);
}

#[test]
fn comparisons_and_logic() {
    ordered_binary!(bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
    binary::<bool, bool>(BinaryOp::And, |x, y| x & y);
    binary::<bool, bool>(BinaryOp::Or, |x, y| x | y);
    binary::<bool, bool>(BinaryOp::Xor, |x, y| x ^ y);
    unary::<bool, bool>(UnaryOp::Not, |x| !x);
}

#[test]
fn complex_numbers() {
    type C = Complex<f64>;
    type One = fn(C) -> C;
    type Two = fn(C, C) -> C;
    let methods: [(UnaryOp, One); 12] = [
        (UnaryOp::Neg, |x| -x),
        (UnaryOp::Square, |x| x * x),
        (UnaryOp::Sqrt, complex::sqrt),
        (UnaryOp::Exp, complex::exp),
        (UnaryOp::Ln, complex::ln),
        (UnaryOp::Sin, complex::sin),
        (UnaryOp::Cos, complex::cos),
        (UnaryOp::Tan, complex::tan),
        (UnaryOp::Sinh, complex::sinh),
        (UnaryOp::Tanh, complex::tanh),
        (UnaryOp::Recip, complex::reciprocal),
        (UnaryOp::Conj, |x| x.conj()),
    ];
    let x = samples::<C>(1);
    for (op, f) in methods {
        // A complex NaN equals nothing: compare by parts.
        let got = value::<C>(&lit(&x).unary(op).unwrap());
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        for (&x, &g) in x.iter().zip(&got) {
            let e = f(x);
            assert!(same(g.re, e.re) && same(g.im, e.im), "{op:?} {x}: {g} {e}");
        }
    }
    unary::<Complex<f32>, f32>(UnaryOp::Re, |x| x.re);
    unary::<C, f64>(UnaryOp::Im, |x| x.im);
    unary::<C, f64>(UnaryOp::Norm, |x| x.norm());
    unary::<C, f64>(UnaryOp::Arg, |x| x.arg());
    unary::<C, bool>(UnaryOp::IsNan, |x| x.is_nan());
    binary::<C, bool>(BinaryOp::Eq, |x, y| x == y);
    let (a, b) = (samples::<C>(1), samples::<C>(2));
    let pairs: [(BinaryOp, Two); 5] = [
        (BinaryOp::Add, |x, y| x + y),
        (BinaryOp::Sub, |x, y| x - y),
        (BinaryOp::Mul, |x, y| x * y),
        (BinaryOp::Div, complex::divide),
        (BinaryOp::Pow, complex::pow),
    ];
    let ordinary = |c: C| [c.re, c.im].iter().all(|p| (1e-70..1e70).contains(&p.abs()));
    let mut n_ordinary = 0;
    for (op, f) in pairs {
        let got = value::<C>(&lit(&a).binary(op, &lit(&b)).unwrap());
        for ((&x, &y), &g) in a.iter().zip(&b).zip(&got) {
            let e = f(x, y);
            let bits = |c: C| [c.re, c.im].map(|p| if p.is_nan() { f64::NAN.to_bits() } else { p.to_bits() });
            assert_eq!(bits(g), bits(e), "{op:?} {x} {y}");
            if op == BinaryOp::Div && ordinary(x) && ordinary(y) {
                assert_eq!(bits(g), bits(x / y), "{x} / {y}");
                n_ordinary += 1;
            }
        }
    }
    assert!(n_ordinary > N / 2);
}

/// `as` by way of the widest types.
fn convert(x: Scalar, to: DType) -> Scalar {
    let from = x.dtype();
    let int = |x: Scalar| with_dtype!(from, T => widen::<T>(x));
    match to {
        DType::Bool => Scalar::new(match from {
            d if d.is_float() || d.is_complex() => x.as_f64() != 0.0,
            _ => int(x) != 0,
        }),
        DType::F32 if from == DType::F64 => Scalar::new(x.as_f64() as f32),
        DType::F32 if from == DType::F32 => x,
        DType::F32 => Scalar::new(int(x) as f32),
        DType::F64 => Scalar::new(x.as_f64()),
        DType::C32 => Scalar::new(Complex::new(convert(x, DType::F32).get::<f32>().unwrap(), 0.0)),
        DType::C64 => Scalar::new(Complex::new(x.as_f64(), 0.0)),
        _ if from.is_float() => {
            let x = x.as_f64();
            match to {
                DType::I8 => Scalar::new(x as i8),
                DType::I16 => Scalar::new(x as i16),
                DType::I32 => Scalar::new(x as i32),
                DType::I64 => Scalar::new(x as i64),
                DType::U8 => Scalar::new(x as u8),
                DType::U16 => Scalar::new(x as u16),
                DType::U32 => Scalar::new(x as u32),
                _ => Scalar::new(x as u64),
            }
        }
        _ => Scalar::from_bits(to, int(x) as u128),
    }
}

fn widen<T: Element>(x: Scalar) -> i128 {
    let bits = x.bits() as i128;
    let signed = matches!(T::DTYPE, DType::I8 | DType::I16 | DType::I32 | DType::I64);
    let shift = 128 - 8 * T::DTYPE.size();
    if signed { bits << shift >> shift } else { bits }
}

#[test]
fn casts_are_as() {
    for from in DType::ALL.into_iter().filter(|d| !d.is_complex()) {
        for to in DType::ALL {
            with_dtype!(from, T => with_dtype!(to, R => {
                let x = samples::<T>(5);
                check(&lit(&x).cast(to).unwrap(), &x.mapv(|x| convert(Scalar::new(x), to).get::<R>().unwrap()));
            }));
        }
    }
}

#[test]
fn choices() {
    let c = samples::<bool>(1);
    for d in DType::ALL.into_iter().filter(|d| !d.is_float() && !d.is_complex()) {
        with_dtype!(d, T => {
            let (x, y) = (samples::<T>(2), samples::<T>(3));
            let pick = |c: &ArrayD<bool>, x: &ArrayD<T>, y: &ArrayD<T>| {
                ArrayD::from_shape_fn(IxDyn(&[N]), |i| if c[&i] { x[&i] } else { y[&i] })
            };
            let full = |v: Scalar| Expr::full(&[N], &chunks(&[1700]), v).unwrap();
            let one = ArrayD::from_elem(IxDyn(&[N]), y[[5]]);
            let f = full(Scalar::new(y[[5]]));
            check(&lit(&c).select(&lit(&x), &lit(&y)).unwrap(), &pick(&c, &x, &y));
            check(&lit(&c).select(&lit(&x), &f).unwrap(), &pick(&c, &x, &one));
            check(&lit(&c).select(&f, &lit(&y)).unwrap(), &pick(&c, &one, &y));
            check(&full(Scalar::new(true)).select(&lit(&x), &f).unwrap(), &x);
        });
    }
}

#[test]
fn operands_that_come_late_in_a_chain_are_not_overwritten() {
    let shape = [50, 60];
    let x = ArrayD::from_shape_fn(IxDyn(&shape), |i| (i[0] * 60 + i[1]) as f64 / 7.0);
    let cut = chunks(&[40, 50]);
    let a = literal(&x, &cut);
    let (mut chain, mut want) = (a.unary(UnaryOp::Square).unwrap(), &x * &x);
    for axis in 0..2 {
        // Made from the position, and read across the rows: both lie in registers that computed values must not take.
        let index = Expr::index(&shape, &cut, axis).unwrap().cast(DType::F64).unwrap();
        let across = literal(&x.t().to_owned().into_dyn(), &chunks(&[50, 40])).reversed_axes().unwrap();
        chain = chain.binary(BinaryOp::Add, &index).unwrap().unary(UnaryOp::Sqrt).unwrap();
        chain = chain.binary(BinaryOp::Mul, &across).unwrap();
        want = ArrayD::from_shape_fn(IxDyn(&shape), |i| (want[&i] + i[axis] as f64).sqrt() * x[&i]);
    }
    check(&chain, &want);
}

/// An operand of `(a first b) then c`: an array, one value for all, or a row that is repeated.
fn operand(how: usize, seed: u64) -> (Expr, ArrayD<f64>) {
    let values = samples::<f64>(seed).into_shape_with_order(IxDyn(&[N / 4, 4])).unwrap();
    match how {
        0 => (literal(&values, &chunks(&[400, 4])), values),
        1 => {
            let one = values[[5, 1]];
            let full = Expr::full(&[N / 4, 4], &chunks(&[700, 4]), Scalar::new(one)).unwrap();
            (full, ArrayD::from_elem(values.raw_dim(), one))
        }
        _ => {
            let column = values.slice_axis(Axis(1), (2..3).into()).to_owned();
            let all = column.broadcast(values.raw_dim()).unwrap().to_owned();
            (literal(&column, &chunks(&[400, 1])).broadcast_to(&[N / 4, 4]).unwrap(), all)
        }
    }
}

#[test]
fn two_operations_in_one_loop_are_rounded_one_by_one() {
    type Op = (BinaryOp, fn(f64, f64) -> f64);
    let ops: [Op; 4] = [
        (BinaryOp::Add, |x, y| x + y),
        (BinaryOp::Sub, |x, y| x - y),
        (BinaryOp::Mul, |x, y| x * y),
        (BinaryOp::Div, |x, y| x / y),
    ];
    for hows in 0..27 {
        let [(a, x), (b, y), (c, z)] =
            [hows / 9, hows / 3 % 3, hows % 3].map(|how| operand(how, 1 + how as u64));
        for (first, f) in ops {
            for (then, g) in ops {
                let inner = a.binary(first, &b).unwrap();
                let expected = |after: bool| {
                    ndarray::Zip::from(&x)
                        .and(&y)
                        .and(&z)
                        .map_collect(|&x, &y, &z| if after { g(z, f(x, y)) } else { g(f(x, y), z) })
                };
                check(&inner.binary(then, &c).unwrap(), &expected(false));
                check(&c.binary(then, &inner).unwrap(), &expected(true));
                // What two others read is computed once; and what the pair reads is still there when it is.
                let both = inner.binary(then, &c).unwrap().binary(BinaryOp::Add, &inner).unwrap();
                let sum = ndarray::Zip::from(&expected(false))
                    .and(&x)
                    .and(&y)
                    .map_collect(|&e, &x, &y| e + f(x, y));
                check(&both, &sum);
            }
        }
    }
}
