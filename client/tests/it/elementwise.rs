//! Functions of each element and operators: the same bits as ndarray's.

use crate::support::{check, check_near, check_steps, quietly};
use ndarray::{Array1 as Nd1, Array2 as Nd2, array as nd};
use tilework::prelude::*;
use tilework::{Complex, where_};

/// Values at which functions differ if they differ anywhere.
fn values() -> Vec<f64> {
    let mut v: Vec<f64> = (-200..200).map(|i| f64::from(i) * 0.037 + 0.001).collect();
    v.extend([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e300, -1e300, 1e-310, f64::MAX, f64::EPSILON]);
    v.extend([f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 3.0f64.sqrt(), 700.0, -700.0]);
    v
}

macro_rules! functions {
    ($ours:ident, $theirs:ident: $($name:ident)*) => { $(
        check(&$ours.$name(), &$theirs.$name());
    )* };
}

/// Every function of floats: the same bits, but for those that are computed many elements at a time.
macro_rules! all_functions {
    ($ours:ident, $theirs:ident) => {
        functions!($ours, $theirs: is_nan is_infinite floor ceil round trunc fract abs signum recip sqrt cbrt exp2 exp_m1);
        functions!($ours, $theirs: log2 log10 ln_1p tan asin acos atan sinh cosh asinh acosh atanh to_degrees to_radians);
        functions!($ours, $theirs: pow2);
        check_steps(&$ours.exp(), &$theirs.exp(), 1);
        check_steps(&$ours.ln(), &$theirs.ln(), 1);
        check_steps(&$ours.sin(), &$theirs.sin(), 1);
        check_steps(&$ours.cos(), &$theirs.cos(), 1);
        check_steps(&$ours.tanh(), &$theirs.tanh(), 2);
    };
}

#[test]
fn functions_of_floats() {
    let b = Nd1::from(values());
    let a = Array1::from_vec_chunked(values(), 50);
    all_functions!(a, b);
    let (b, a) = (b.mapv(|x| x as f32), a.cast::<f32>());
    check(&a, &b);
    all_functions!(a, b);
    check(&a.is_finite(), &b.mapv(f32::is_finite));
}

#[test]
fn functions_with_a_value() {
    let b = Nd1::from(values());
    let a = Array1::from_vec_chunked(values(), 50);
    for y in [2.0, 0.5, -1.5, 0.0, f64::NAN, f64::INFINITY] {
        check(&a.powf(y), &b.powf(y));
        check(&a.hypot(y), &b.hypot(y));
        check_steps(&a.log(y), &b.log(y), 2);
        check(&a.abs_sub(y), &b.abs_sub(y));
        check(&a.atan2(y), &b.mapv(|x| x.atan2(y)));
        check(&a.copysign(y), &b.mapv(|x| x.copysign(y)));
    }
    check(&a.clamp(-1.0, 2.5), &b.clamp(-1.0, 2.5));
    for n in [0, 1, 2, 3, 4, 5, 7, 10, 31, -1, -2, -3, -13] {
        check(&a.powi(n), &b.powi(std::hint::black_box(n)));
    }
    let n = nd![3, -4, 0, 7];
    check(&Array1::from(n.clone()).clamp(-1, 3), &n.clamp(-1, 3));
}

#[test]
fn questions_about_all_elements() {
    let a = arr1(&[1.0, f64::NAN]);
    assert!(a.is_any_nan() && !a.is_all_nan() && !a.is_any_infinite());
    assert!(a.slice(s![1..]).is_all_nan());
    assert!((a / 0.0).slice(s![..1]).is_all_infinite());
}

#[test]
fn integers_and_complex_numbers() {
    let a = arr1(&[3i32, -4, 0, i32::MIN]);
    check(&a.abs(), &nd![3, 4, 0, i32::MIN]);
    check(&a.signum(), &nd![1, -1, 0, -1]);
    let values = [Complex::new(3.0, 4.0), Complex::new(-1.0, 0.0), Complex::new(0.5, -2.0)];
    let (c, b) = (arr1(&values), Nd1::from(values.to_vec()));
    check(&c.re(), &b.mapv(|z| z.re));
    check(&c.im(), &b.mapv(|z| z.im));
    check(&c.norm(), &b.mapv(Complex::norm));
    check(&c.arg(), &b.mapv(Complex::arg));
    check(&c.conj(), &b.mapv(|z| z.conj()));
    check_near(&c.sqrt().re(), &nd![2.0, 0.0, 1.131_713_924_277_869_4]);
    check_near(&c.sqrt().im(), &nd![1.0, 1.0, -0.883_615_530_875_513_3]);
    check(&c.exp(), &b.mapv(Complex::exp));
    check(&c.ln(), &b.mapv(Complex::ln));
    check(&c.sin(), &b.mapv(Complex::sin));
    let (ours, theirs) = (c.tanh(), b.mapv(Complex::tanh));
    assert!(ours.iter().zip(&theirs).all(|(x, y)| (x - y).norm() <= 1e-15 * y.norm()), "{ours} {theirs}");
    check(&c.pow2(), &b.mapv(|z| z * z));
    check(&(&c * Complex::new(0.0, 1.0) - &c), &(&b * Complex::new(0.0, 1.0) - &b));
    check(&c.equal(&c.conj()), &nd![false, true, false]);
}

/// Quotients and functions whose results are ordinary numbers, though squares on the way are not: of arrays in this
/// process and lazily, of both precisions, by every operator.
#[test]
fn complex_results_that_exist_are_given() {
    let c = Complex::<f64>::new;
    let cases = [
        (c(1e201, 1e201), c(1e200, 1e200), c(10.0, 0.0)),
        (c(1.0, 0.0), c(0.0, 1e200), c(0.0, -1e-200)),
        (c(1e-200, 0.0), c(1e-200, 0.0), c(1.0, 0.0)),
        (c(1e-320, 1e-320), c(1e-320, 0.0), c(1.0, 1.0)),
    ];
    for (x, y, want) in cases {
        let near = |of: Complex<f64>| assert!((of - want).norm() <= 1e-12 * want.norm(), "{x} / {y}: {of}");
        let (a, b) = (arr1(&[x, x]), arr1(&[y, y]));
        assert!(!a.is_lazy());
        let (lazy_a, lazy_b) = (a.rechunk(1), b.rechunk(1));
        let mut in_place = (a.clone(), a.clone());
        in_place.0 /= &b;
        in_place.1 /= y;
        let eager = [&a / &b, a.clone() / &b, &a / b.clone(), &a / y, a.clone() / y, x / &b, x / b.clone()];
        let with_theirs = [Nd1::from(vec![x]) / b.slice(s![..1]), &a.slice(s![..1]) / &Nd1::from(vec![y])];
        with_theirs.iter().for_each(|of| near(of[0]));
        for of in eager.into_iter().chain([in_place.0, in_place.1]) {
            assert!(!of.is_lazy());
            near(of[1]);
            check(&(&lazy_a / &lazy_b), &of.into_ndarray());
        }
    }
    let one = |re: f64, im: f64| arr0(c(re, im));
    assert_eq!(one(800.0, 0.0).tanh()[()], c(1.0, 0.0));
    assert_eq!(one(0.0, 1e-200).recip()[()], c(0.0, -1e200));
    assert!((one(3e200, 4e200).norm()[()] - 5e200).abs() <= 1e185);
    assert_eq!(one(1e308, 1e308).ln()[()].re, 1e308f64.ln() + 0.5 * 2f64.ln());
    assert_eq!(one(0.0, 800.0).sin()[()].re, 0.0);
    let f = Complex::<f32>::new;
    assert_eq!((&arr1(&[f(1e30, 1e30)]) / &arr1(&[f(1e29, 1e29)]))[0], f(10.0, 0.0));
    assert_eq!(arr1(&[f(1e-30, 0.0)]).recip()[0], f(1e30, 0.0));
    assert_eq!(arr1(&[f(100.0, 0.0)]).tanh()[0], f(1.0, 0.0));
}

#[test]
fn conversions() {
    let b = Nd1::from(vec![0.0, -1.5, 300.7, 1e20, f64::NAN, -0.2]);
    let a = Array1::from(b.clone());
    check(&a.cast::<u8>(), &b.mapv(|x| x as u8));
    check(&a.cast::<i64>(), &b.mapv(|x| x as i64));
    check(&a.cast::<f32>(), &b.mapv(|x| x as f32));
    check(&a.cast::<bool>(), &b.mapv(|x| x != 0.0));
    check(&a.cast::<bool>().cast::<f64>(), &b.mapv(|x| f64::from(u8::from(x != 0.0))));
    check(&a.cast::<Complex<f64>>(), &b.mapv(|x| Complex::new(x, 0.0)));
}

#[test]
fn operators_in_every_arrangement() {
    let f = |(i, j): (usize, usize)| (i * 7 + j * 3) as f64 - 11.5;
    let (b, c) = (Nd2::from_shape_fn((4, 5), f), Nd1::from_shape_fn(5, |i| i as f64 + 0.5));
    let (a, d) = (Array::from_ndarray(b.clone(), 2), Array::from_ndarray(c.clone(), 3));
    macro_rules! arrangements {
        ($($op:tt)*) => { $(
            let want = &b $op &c;
            check(&(&a $op &d), &want);
            check(&(a.clone() $op &d), &want);
            check(&(&a $op d.clone()), &want);
            check(&(a.clone() $op d.clone()), &want);
            check(&(&a $op 3.0), &(&b $op 3.0));
            check(&(a.clone() $op 3.0), &(&b $op 3.0));
            check(&(3.0 $op &a), &(3.0 $op &b));
            check(&(3.0 $op a.clone()), &(3.0 $op &b));
        )* };
    }
    arrangements!(+ - * / %);
    check(&-&a, &-&b);
    check(&-a, &-b);
}

#[test]
fn integer_and_bool_operators() {
    let (b, c) = (nd![6u8, 255, 13, 0], nd![3u8, 7, 2, 1]);
    let (a, d) = (Array::from_ndarray(b.clone(), 3), Array::from_ndarray(c.clone(), 2));
    macro_rules! both {
        ($($op:tt)*) => { $(
            check(&(&a $op &d), &(&b $op &c));
            check(&(2u8 $op &d), &c.mapv(|y| 2u8 $op y));
            check(&(&a $op 2u8), &b.mapv(|x| x $op 2u8));
        )* };
    }
    both!(& | ^ << >> / %);
    check(&(&a + &d), &b.iter().zip(&c).map(|(x, y)| x.wrapping_add(*y)).collect());
    check(&!&a, &!&b);
    let (yes, no) = (a.greater(10u8), d.less_equal(2u8));
    let (t, f) = (b.mapv(|x| x > 10), c.mapv(|x| x <= 2));
    check(&(&yes & &no), &(&t & &f));
    check(&(&yes | &no), &(&t | &f));
    check(&(&yes ^ &no), &(&t ^ &f));
    check(&(!yes ^ true), &t);
}

#[test]
fn broadcasting_as_ndarray() {
    let shapes: [&[usize]; 7] = [&[], &[1], &[4], &[3, 1], &[3, 4], &[2, 1, 4], &[0, 1, 1]];
    let fill = |shape: &[usize]| {
        let mut n = 0.0;
        ndarray::ArrayD::from_shape_simple_fn(shape, || {
            n += 1.25;
            n
        })
    };
    for left in shapes {
        for right in shapes {
            let (b, c) = (fill(left), fill(right));
            let (a, d) = (Array::from_ndarray(b.clone(), 2), Array::from_ndarray(c.clone(), 3));
            match quietly(|| &b * &c) {
                Ok(want) => check(&(&a * &d), &want),
                Err(_) => assert!(a.try_mul(&d).is_err(), "{left:?} {right:?}"),
            }
        }
    }
    let (column, row) = (Array2::<i32>::ones((3, 1)), Array1::<i32>::ones(4));
    assert_eq!((&column + &row).dim(), (3, 4));
    assert_eq!((&row + &column).dim(), (3, 4));
}

#[test]
fn assignment_leaves_other_arrays_alone() {
    let mut a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let before = a.clone();
    let doubled = &a * 2.0;
    a += &Array1::linspace(0.0, 3.0, 4);
    a *= 3.0;
    a -= arr0(1.0);
    let row = nd![2.0, 5.0, 8.0, 11.0];
    check(&a, &row.broadcast((3, 4)).unwrap().to_owned());
    check(&before, &Nd2::ones((3, 4)));
    check(&doubled, &(Nd2::ones((3, 4)) * 2.0));
    assert_eq!(a.chunks(), before.chunks());
    a.scaled_add(0.5, &arr1(&[2.0, 4.0, 6.0, 8.0]));
    check(&a, &(&row + nd![1.0, 2.0, 3.0, 4.0]).broadcast((3, 4)).unwrap().to_owned());
    a.fill(7.0);
    check(&a, &Nd2::from_elem((3, 4), 7.0));
    a.assign(&arr1(&[1.0, 2.0, 3.0, 4.0]));
    check(&a, &nd![1.0, 2.0, 3.0, 4.0].broadcast((3, 4)).unwrap().to_owned());
    let mut bits = arr1(&[1u8, 2, 3]);
    bits <<= 1;
    bits |= 1;
    bits ^= arr1(&[0u8, 1, 0]);
    check(&bits, &nd![3u8, 4, 7]);
}

#[test]
fn comparisons_and_choice() {
    let (b, c) = (nd![1.0, f64::NAN, 3.0, -0.0], nd![1.0, f64::NAN, 2.0, 0.0]);
    let (a, d) = (Array::from_ndarray(b.clone(), 2), Array::from_ndarray(c.clone(), 3));
    check(&a.equal(&d), &nd![true, false, false, true]);
    check(&a.not_equal(&d), &nd![false, true, true, false]);
    check(&a.less(2.0), &nd![true, false, false, true]);
    check(&a.less_equal(&d), &nd![true, false, false, true]);
    check(&a.greater(&d), &nd![false, false, true, false]);
    check(&a.greater_equal(1.0), &nd![true, false, true, false]);
    check(&a.fmax(2.0), &nd![2.0, 2.0, 3.0, 2.0]);
    check(&a.fmin(arr1(&[0.5])), &nd![0.5, 0.5, 0.5, -0.0]);
    check(&where_(&a.is_nan(), 0.0, &a), &nd![1.0, 0.0, 3.0, -0.0]);
    let rows = where_(&Array2::from(vec![[true], [false]]), &a, &d * 10.0);
    check(&rows, &nd![[1.0, f64::NAN, 3.0, -0.0], [10.0, f64::NAN, 20.0, 0.0]]);
    check(&where_(&arr1(&[true, false]), 1u8, 2u8), &nd![1u8, 2]);
}

#[test]
fn equality_is_of_shapes_and_values() {
    let a = arr1(&[1, 2, 3]);
    assert!(a == Array1::arange(1, 4, 1));
    assert!(a != Array1::arange(1, 5, 1));
    assert!(a != arr1(&[1, 2, 4]));
    assert!(a == nd![1, 2, 3] && nd![1, 2, 3] == a);
}

#[test]
fn text_of_arrays() {
    let a = Array2::<f32>::in_chunks([2, 4]).ones((3, 5));
    assert_eq!(a.describe(), "Array(shape [3, 5], f32, chunks [2, 4], 4 chunks)");
    let b = tilework::concatenate!(Axis(0), a.slice(s![..1, ..]), a);
    assert_eq!(b.describe(), "Array(shape [4, 5], f32, chunks [3 of at most 2, 4], 6 chunks)");
    // Computes the array, which is local to what comes after.
    assert_eq!(format!("{:.1}", a.slice(s![..2, ..2])), "[[1.0, 1.0],\n [1.0, 1.0]]");
}
