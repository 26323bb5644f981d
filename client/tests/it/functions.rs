//! Functions of elements that NumPy has, against the values that it gives.

use crate::support::{check, check_steps, mistakes, processes_are_mine};
use ndarray::array as nd;
use tilework::Session;
use tilework::prelude::*;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// In chunks of every length.
fn each(values: &[f64], test: impl Fn(Array1<f64>)) {
    for chunk in [1, 2, values.len()] {
        test(Array::from_vec_chunked(values.to_vec(), chunk));
    }
}

#[test]
fn nan_stays_or_goes() {
    let b = arr1(&[2.0, 1.0, NAN, NAN, 1.0]);
    each(&[1.0, NAN, 3.0, NAN, -0.0], |a| {
        check(&a.minimum(&b), &nd![1.0, NAN, NAN, NAN, -0.0]);
        check(&a.maximum(&b), &nd![2.0, NAN, NAN, NAN, 1.0]);
        check(&a.fmin(&b), &nd![1.0, 1.0, 3.0, NAN, -0.0]);
        check(&a.fmax(2.5), &nd![2.5, 2.5, 3.0, 2.5, 2.5]);
        check(&a.clip(0.5, &arr1(&[0.7, 1.0, 2.0, 1.0, NAN])), &nd![0.7, NAN, 2.0, NAN, NAN]);
    });
    let (a, b) = (arr2(&[[1i16, 5], [9, -3]]), arr1(&[4i16, 2]));
    check(&a.minimum(&b), &nd![[1, 2], [4, -3]]);
    check(&a.fmax(&b), &nd![[4, 5], [9, 2]]);
    // Where the bounds cross it is the upper one.
    check(&arr1(&[1, 5, 9]).clip(6, 3), &nd![3, 3, 3]);
    let long = arr1(&[1i16, 2, 3]);
    mistakes! {
        a.try_minimum(&long), a.minimum(&long) => "shapes [2, 2] and [3] cannot be broadcast together";
        a.try_clip(&long, 3), a.clip(&long, 3) => "shapes [2, 2] and [3] cannot be broadcast together";
        arr1(&[true]).try_fmin(true), arr1(&[true]).fmin(true) => "min is not defined for elements of bool";
    }
}

#[test]
fn quotients_are_rounded_down() {
    // numpy.divmod(a, b)
    let a = [7.0, -7.0, 7.0, -7.0, 1.0, -1.0, 0.3, 0.0, -4.0];
    let b = arr1(&[2.0, 2.0, -2.0, -2.0, INF, INF, 0.1, -3.0, 2.0]);
    each(&a, |a| {
        let (quotient, rest) = a.divmod(&b);
        check(&quotient, &nd![3.0, -4.0, -4.0, 3.0, 0.0, -1.0, 2.0, -0.0, -2.0]);
        check(&rest, &nd![1.0, 1.0, -1.0, -1.0, 1.0, INF, 0.09999999999999998, -0.0, 0.0]);
    });
    check(&arr1(&[1.0, -1.0, 0.0]).floor_divide(0.0), &nd![INF, -INF, NAN]);
    check(&arr1(&[1.0f32, -5.5]).remainder(0.0), &nd![f32::NAN, f32::NAN]);
    let (a, b) = (arr1(&[7i8, -7, 7, -7, -128]), arr1(&[3i8, 3, -3, -3, 5]));
    check(&a.floor_divide(&b), &nd![2, -3, -3, 2, -26]);
    check(&a.remainder(&b), &nd![1, 2, -2, -1, 2]);
    check(&arr1(&[7u8, 255]).divmod(4).0, &nd![1, 63]);
    let z = arr1(&[Complex::new(1.0, 0.0)]);
    mistakes! {
        z.try_remainder(&z), z.remainder(&z) => "% is not defined for elements of Complex64";
    }
}

#[test]
fn sums_of_exponentials_overflow_nowhere() {
    let b = arr1(&[1000.0, 0.0, -INF, -INF, NAN, INF]);
    each(&[1000.0, 1.0, 2.0, -INF, 1.0, INF], |a| {
        let want = nd![1_000.693_147_180_56, 1.313_261_687_518_222_8, 2.0, -INF, NAN, INF];
        check_steps(&a.logaddexp(&b), &want, 2);
        let want = nd![1001.0, 1.584_962_500_721_156_2, 2.0, -INF, NAN, INF];
        check_steps(&a.logaddexp2(&b), &want, 2);
    });
}

#[test]
fn elements_are_near_or_not() {
    let b = arr1(&[1.0 + 1e-6, 2.0, INF, -INF, NAN, INF]);
    each(&[1.0, 2.1, INF, INF, NAN, 1.0], |a| {
        check(&a.isclose(&b, 1e-5, 1e-8), &nd![true, false, true, false, false, false]);
        assert!(!a.allclose(&b, 1e-5, 1e-8));
        assert!(a.slice(s![..2]).to_owned().allclose(&b.slice(s![..2]).to_owned(), 0.2, 0.0));
    });
    assert!(Array1::<f32>::zeros(0).allclose(1.0, 0.0, 0.0));
    assert!(arr2(&[[1.0f32], [2.0]]).allclose(&arr1(&[1.5, 1.6]), 0.0, 0.61));
}

#[test]
fn signs_roundings_and_values_that_are_none() {
    each(&[-1.5, -0.0, 0.0, 2.5, NAN, INF, -INF], |a| {
        check(&a.sign(), &nd![-1.0, 0.0, 0.0, 1.0, NAN, 1.0, -1.0]);
        check(&a.signbit().slice(s![..4]).to_owned(), &nd![true, true, false, false]);
        check(&a.isposinf(), &nd![false, false, false, false, false, true, false]);
        check(&a.isneginf(), &nd![false, false, false, false, false, false, true]);
        check(&a.rint(), &nd![-2.0, -0.0, 0.0, 2.0, NAN, INF, -INF]);
        check(&a.nan_to_num(7.0, None, Some(-9.0)), &nd![-1.5, -0.0, 0.0, 2.5, 7.0, f64::MAX, -9.0]);
    });
    check(&arr1(&[f32::INFINITY]).nan_to_num(0.0, None, None), &nd![f32::MAX]);
    // numpy.rint, numpy.around
    check(&arr1(&[0.5, 1.5, 3.5, -0.5, 4.5]).rint(), &nd![0.0, 2.0, 4.0, -0.0, 4.0]);
    check(&arr1(&[1.005, 2.675, -0.125]).around(2), &nd![1.0, 2.68, -0.12]);
    check(&arr1(&[15.0f32, 25.0, 1e9]).around(-1), &nd![20.0, 20.0, 1e9]);
    // numpy.sinc
    let sinc = arr1(&[0.0, 0.5, 1.5]).sinc();
    check_steps(&sinc, &nd![1.0, std::f64::consts::FRAC_2_PI, -std::f64::consts::FRAC_2_PI / 3.0], 2);
    let z = arr1(&[Complex::new(1.0f32, 0.0), Complex::new(0.0, -2.0), Complex::new(0.0, f32::NAN)]);
    check(&z.isreal(), &nd![true, false, false]);
    check(&z.iscomplex(), &nd![false, true, true]);
}

#[test]
fn floats_are_taken_apart() {
    let a = [6.0, -0.5, 0.0, 5e-324, INF];
    each(&a, |x| {
        let (mantissa, exponent) = x.frexp();
        check(&mantissa, &nd![0.75, -0.5, 0.0, 0.5, INF]);
        check(&exponent, &nd![3, 0, 0, -1073, 0]);
        check(&mantissa.ldexp(&exponent), &nd![6.0, -0.5, 0.0, 5e-324, INF]);
        check(&x.spacing(), &nd![8.881784197001252e-16, -1.1102230246251565e-16, 5e-324, 5e-324, NAN]);
        check(&x.nextafter(INF), &nd![6.0f64.next_up(), (-0.5f64).next_up(), 5e-324, 1e-323, INF]);
    });
    check(&arr2(&[[1.0f32], [2.0]]).ldexp(&arr1(&[-1, 0, 3])), &nd![[0.5, 1.0, 8.0], [1.0, 2.0, 16.0]]);
    // numpy.i0
    check_steps(&arr1(&[0.0, 1.0, -3.0]).i0(), &nd![1.0, 1.2660658777520084, 4.880792585865024], 4);
    let (x, y) = (arr1(&[1.0, 2.0]), arr1(&[1, 2, 3]));
    mistakes! {
        x.try_ldexp(&y), x.ldexp(&y) => "shapes [2] and [3] cannot be broadcast together";
    }
}

#[test]
fn functions_are_the_same_on_processes() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let x: Array2<f64> = tilework::random::in_chunks([3, 4]).uniform((10, 9), -4.0..4.0, 5);
    let results =
        [x.logaddexp(&x.t().to_owned().slice(s![0, ..9]).to_owned()), x.i0(), x.spacing(), x.remainder(0.7)];
    for result in results {
        assert_eq!(result.try_compute_on(&session).unwrap(), result.compute());
    }
    Session::close_current();
}
