//! What neighbouring elements come to, moments, and own reductions, against naive forms and the values of NumPy and SciPy.

use crate::support::{check, check_near, line, mistakes, processes_are_mine};
use ndarray::Array2 as Local2;
use tilework::Session;
use tilework::prelude::*;

/// Numbers in no order.
fn matrix(rows: usize, columns: usize) -> Local2<f64> {
    Local2::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 61) % 101) as f64 / 8.0 - 4.0)
}

const CHUNKS: [[isize; 2]; 4] = [[-1, -1], [2, 3], [1, -1], [5, 1]];

#[test]
fn windows_come_to_what_a_loop_gives() {
    let x = matrix(17, 12);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for (axis, window) in [(0, 1), (0, 4), (0, 17), (1, 5), (1, 12)] {
            let of = |f: &dyn Fn(ndarray::ArrayView1<f64>) -> f64| {
                let mut shape = x.raw_dim();
                shape[axis] -= window - 1;
                Local2::from_shape_fn(shape, |(i, j)| match axis {
                    0 => f(x.slice(s![i..i + window, j])),
                    _ => f(x.slice(s![i, j..j + window])),
                })
            };
            let rolling = a.rolling(Axis(axis), window);
            // Eighths are added exactly, in any order.
            check(&rolling.sum(), &of(&|w| w.sum()));
            check(&rolling.min(), &of(&|w| w.fold(f64::INFINITY, |m, v| m.min(*v))));
            check(&rolling.max(), &of(&|w| w.fold(f64::NEG_INFINITY, |m, v| m.max(*v))));
            check_near(&rolling.mean(), &of(&|w| w.mean().unwrap()));
            check_near(&rolling.var(0.0), &of(&|w| w.var(0.0)));
            if window > 1 {
                check_near(&rolling.std(1.0), &of(&|w| w.std(1.0)));
            } else {
                assert!(rolling.var(1.0).is_all_nan());
            }
        }
    }
    // The same bits whatever the chunks, and no digits lost to what was large.
    let mut rough: Vec<f64> = (0..300).map(|i| (i as f64).sin()).collect();
    rough[100] = 1e18;
    let of = |chunk| line(&rough, chunk).rolling(Axis(0), 7).sum().compute();
    for chunk in [1, 13, 64] {
        assert_eq!(of(chunk), of(300), "{chunk}");
    }
    // Added up in another order, which a large element before the window has no part in.
    assert!((of(64)[101] - rough[101..108].iter().sum::<f64>()).abs() < 1e-14);
    let nan = line(&[1.0, f64::NAN, 2.0, 3.0], 3).rolling(Axis(0), 2);
    check(&nan.max(), &ndarray::arr1(&[f64::NAN, f64::NAN, 3.0]));
    check(&line(&[200u8, 100, 7], 2).rolling(Axis(0), 2).sum(), &ndarray::arr1(&[44, 107]));
    check(&line(&[1i16, 2, 4], 2).rolling(Axis(0), 2).mean(), &ndarray::arr1(&[1.5, 3.0]));
    check(&line(&[1f32, 2.0, 5.0], 2).rolling(Axis(0), 3).var(1.0), &ndarray::arr1(&[13f32 / 3.0]));
    check(&Array2::<f32>::zeros((3, 0)).rolling(Axis(0), 2).sum(), &Local2::zeros((2, 0)));
    let a = arr1(&[1, 2]);
    mistakes! {
        a.try_rolling(Axis(0), 3), a.rolling(Axis(0), 3) =>
            "positions of a window: got 3 along an axis of length 2, expected at least 1, at most the length";
        a.try_rolling(Axis(1), 1), a.rolling(Axis(1), 1) => "axis 1 is out of range for an array of 1 dimensions";
    }
}

#[test]
fn boxes_come_to_what_a_loop_gives() {
    let x = matrix(12, 10);
    for chunks in CHUNKS.into_iter().chain([[4, 4]]) {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for (n, m) in [(1, 1), (2, 5), (3, 1), (12, 10), (1, 2)] {
            let of = |f: &dyn Fn(ndarray::ArrayView2<f64>) -> f64| {
                Local2::from_shape_fn((12 / n, 10 / m), |(i, j)| {
                    f(x.slice(s![i * n..(i + 1) * n, j * m..(j + 1) * m]))
                })
            };
            let boxes = a.coarsen(&[(Axis(0), n), (Axis(1), m)]);
            check(&boxes.sum(), &of(&|w| w.sum()));
            check(&boxes.min(), &of(&|w| w.fold(f64::INFINITY, |m, v| m.min(*v))));
            check(&boxes.max(), &of(&|w| w.fold(f64::NEG_INFINITY, |m, v| m.max(*v))));
            check_near(&boxes.mean(), &of(&|w| w.mean().unwrap()));
            check_near(&boxes.std(0.0), &of(&|w| w.std(0.0)));
        }
    }
    check(&Array2::<i32>::zeros((0, 4)).coarsen(&[(Axis(0), 3), (Axis(1), 2)]).sum(), &Local2::zeros((0, 2)));
    check(&line(&[1i64, 2, 3, 4], 3).coarsen(&[(Axis(0), 2)]).max(), &ndarray::arr1(&[2, 4]));
    let a = arr1(&[1, 2, 3]);
    mistakes! {
        a.try_coarsen(&[(Axis(0), 2)]), a.coarsen(&[(Axis(0), 2)]) =>
            "length of a box: got 2 along an axis of length 3, expected one that the length is a multiple of";
        a.try_coarsen(&[(Axis(0), 0)]), a.coarsen(&[(Axis(0), 0)]) =>
            "length of a box: got 0 along an axis of length 3, expected one that the length is a multiple of";
        a.try_coarsen(&[(Axis(1), 1)]), a.coarsen(&[(Axis(1), 1)]) =>
            "axis 1 is out of range for an array of 1 dimensions";
    }
}

#[test]
fn moments_are_scipys() {
    let x = [2.0, 8.0, 0.0, 4.0, 1.0, 9.0, 9.0, 0.0];
    for chunk in [1, 3, 8] {
        let a = line(&x, chunk);
        let near = |got: Array0<f64>, want: f64| {
            let got = got.into_scalar();
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} {want}");
        };
        // scipy.stats.moment, skew, kurtosis
        near(a.moment_axis(Axis(0), 0), 1.0);
        near(a.lazy_moment(1), 0.0);
        near(a.moment_axis(Axis(0), 2), 13.859375);
        near(a.lazy_skew(false), 0.2650554122698573);
        near(a.skew_axis(Axis(0), true), 0.3305821804079746);
        near(a.lazy_kurtosis(false), -1.6660010752838508);
        near(a.kurtosis_axis(Axis(0), true), -2.098602258096087);
    }
    let a = Array::from(matrix(9, 4)).rechunk(&[2, 3][..]);
    let columns = a.skew_axis(Axis(0), false).compute();
    for (j, skew) in columns.iter().enumerate() {
        assert!((skew - a.column(j).to_owned().lazy_skew(false).into_scalar()).abs() < 1e-12);
    }
    assert!(line(&[2.0f32, 2.0], 1).lazy_skew(false).into_scalar().is_nan());
    let a = arr2(&[[1.0, 2.0, 4.0, 3.0], [0.5, 1.0, 8.0, 3.0], [2.0, -1.0, 0.0, 5.0]]).rechunk(&[2, 3][..]);
    let got = a.corrcoef().compute();
    let x: Local2<f64> = a.compute();
    for i in 0..3 {
        for j in 0..3 {
            let (u, v) = (x.row(i), x.row(j));
            let (u, v) = (&u - u.mean().unwrap(), &v - v.mean().unwrap());
            let by_hand: f64 = u.dot(&v) / (u.dot(&u) * v.dot(&v)).sqrt();
            assert!((got[[i, j]] - by_hand).abs() < 1e-12, "{got} {i} {j}");
        }
    }
    let none = Array1::<f64>::zeros(0);
    mistakes! {
        none.try_lazy_skew(false), none.lazy_skew(false) =>
            "mean of an array of shape [0] along axes [0]: there are no elements";
        none.try_moment_axis(Axis(1), 2), none.moment_axis(Axis(1), 2) =>
            "axis 1 is out of range for an array of 1 dimensions";
    }
}

#[test]
fn extremes_are_found_without_nan() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = ndarray::arr2(&[[nan, 3.0, 3.0, -1.0], [nan, -inf, -inf, nan], [2.0, inf, nan, inf]]);
    for chunks in [[-1isize, -1], [1, 1], [2, 3]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        check(&a.nanargmax_axis(Axis(1)), &ndarray::arr1(&[1, 1, 1]));
        check(&a.nanargmin_axis(Axis(1)), &ndarray::arr1(&[3, 1, 0]));
        check(&a.nanargmax_axis(Axis(0)), &ndarray::arr1(&[2, 2, 0, 2]));
        assert_eq!((a.lazy_nanargmax().into_scalar(), a.lazy_nanargmin().into_scalar()), (9, 5));
    }
    let none = arr2(&[[nan, nan], [1.0, nan]]).nanargmin_axis(Axis(1)).try_compute().unwrap_err().to_string();
    assert!(none.contains("a lane of nothing but NaN"), "{none}");
    assert!(Array1::<f64>::zeros(0).try_lazy_nanargmax().unwrap_err().to_string().contains("no elements"));
}

#[test]
fn the_last_number_is_pushed_on() {
    let nan = f64::NAN;
    let x = [nan, 1.0, nan, nan, nan, 5.0, nan];
    for chunk in [1, 2, 3, 7] {
        let a = line(&x, chunk);
        check(&a.ffill(Axis(0), None), &ndarray::arr1(&[nan, 1.0, 1.0, 1.0, 1.0, 5.0, 5.0]));
        check(&a.ffill(Axis(0), Some(2)), &ndarray::arr1(&[nan, 1.0, 1.0, 1.0, nan, 5.0, 5.0]));
        check(&a.ffill(Axis(0), Some(0)), &ndarray::arr1(&x));
    }
    let a = arr2(&[[1f32, f32::NAN], [f32::NAN, 2.0]]).rechunk(&[1, 1][..]);
    check(&a.ffill(Axis(0), None), &ndarray::arr2(&[[1.0, f32::NAN], [1.0, 2.0]]));
    mistakes! { a.try_ffill(Axis(2), None), a.ffill(Axis(2), None) => "axis 2 is out of range for an array of 2 dimensions"; }
}

#[test]
fn coordinates_lie_in_bins() {
    let x = matrix(20, 3);
    let at: Vec<f32> = (0..20).map(|i| (i * 7 % 20) as f32 / 2.0).collect();
    let edges = [1.0, 2.5, 3.0, 9.0];
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let bins = a.resample(Axis(0), &line(&at, 6), &edges);
        let want = Local2::from_shape_fn((3, 3), |(bin, j)| {
            (0..20).filter(|i| (edges[bin]..edges[bin + 1]).contains(&at[*i])).map(|i| x[[i, j]]).sum()
        });
        check(&bins.sum(), &want);
    }
    let (a, days) = (Array::from(x), arr1(&[1, 2]));
    mistakes! {
        a.try_resample(Axis(0), &days, &[0, 1]), drop(a.resample(Axis(0), &days, &[0, 1])) =>
            "coordinates: got 2 for 20 positions, expected one for each position of the axis";
        arr1(&[1.0, 2.0]).try_resample(Axis(0), &days, &[1, 1]) => "edges of bins: got [1, 1], expected two or more, rising";
        arr1(&[1.0, 2.0]).try_resample(Axis(0), &arr1(&[0.0, 1.0]), &[0.0, f64::NAN]) =>
            "edges of bins: got [0.0, NaN], expected two or more, rising";
    }
}

#[test]
fn neighbours_are_the_same_on_processes() {
    let _mine = processes_are_mine();
    let x: Array2<f32> = tilework::random::in_chunks([7, 5]).uniform((40, 30), -4.0..4.0, 5);
    let of = || {
        let rolling = x.rolling(Axis(0), 9);
        (
            rolling.sum().compute(),
            rolling.var(0.0).compute(),
            x.coarsen(&[(Axis(1), 6)]).mean().compute(),
            x.lazy_kurtosis(true).compute(),
        )
    };
    let here = of();
    let session = Session::processes(2).expect("processes");
    assert_eq!(of(), here);
    drop(session);
    Session::close_current();
}
