//! Reductions against ndarray's.

use crate::support::{check, check_near};
use ndarray::{Array2 as Nd2, Array3 as Nd3, array as nd};
use tilework::prelude::*;
use tilework::{Complex, compute_all};

fn cube() -> (Array3<f64>, Nd3<f64>) {
    let b = Nd3::from_shape_fn((5, 6, 7), |(i, j, k)| ((i * 31 + j * 17 + k * 5) % 23) as f64 - 9.0);
    (Array::from_ndarray(b.clone(), [2, 4, 3]), b)
}

#[test]
fn of_all_elements() {
    let (a, b) = cube();
    assert_eq!(a.sum(), b.sum());
    assert_eq!(a.mean(), b.mean());
    assert_eq!(a.min(), -9.0);
    assert_eq!(a.max(), 13.0);
    for ddof in [0.0, 1.0, 2.5] {
        assert!((a.var(ddof) - b.var(ddof)).abs() < 1e-12 * b.var(ddof));
        assert!((a.std(ddof) - b.std(ddof)).abs() < 1e-12 * b.std(ddof));
    }
    assert_eq!((&a + 10.0).slice(s![0, 0, ..]).product(), (&b + 10.0).slice(s![0, 0, ..]).product());
    let z = a.cast::<Complex<f64>>() * Complex::new(0.0, 1.0);
    assert_eq!(z.sum(), Complex::new(0.0, b.sum()));
    assert_eq!(arr1(&[7, 8]).mean(), Some(7));
    assert_eq!(Array1::from_vec_chunked(vec![200u8, 100], -1).sum(), 44);
}

#[test]
fn along_axes() {
    let (a, b) = cube();
    for axis in (0..3).map(Axis) {
        check(&a.sum_axis(axis), &b.sum_axis(axis));
        check_near(&a.mean_axis(axis).unwrap(), &b.mean_axis(axis).unwrap());
        check_near(&a.var_axis(axis, 1.0), &b.var_axis(axis, 1.0));
        check_near(&a.std_axis(axis, 0.0), &b.std_axis(axis, 0.0));
        check(&a.min_axis(axis), &b.map_axis(axis, |l| l.fold(f64::INFINITY, |x, y| x.min(*y))));
        check(&a.max_axis(axis), &b.map_axis(axis, |l| l.fold(f64::NEG_INFINITY, |x, y| x.max(*y))));
        let positive = a.greater(8.0);
        check(&positive.any_axis(axis), &b.map_axis(axis, |l| l.iter().any(|&x| x > 8.0)));
        check(&positive.all_axis(axis), &b.map_axis(axis, |l| l.iter().all(|&x| x > 8.0)));
    }
    let small = a.slice(s![..3, ..2, ..]);
    check(&small.product_axis(Axis(0)), &b.slice(ndarray::s![..3, ..2, ..]).product_axis(Axis(0)));
    check(&a.sum_axes(&[Axis(2), Axis(0)]), &b.sum_axis(Axis(2)).sum_axis(Axis(0)).into_dyn());
    check(&a.max_axes(&[]), &b.clone().into_dyn());
    check_near(
        &a.mean_axes(&[Axis(0), Axis(1)]).unwrap(),
        &b.mean_axis(Axis(0)).unwrap().mean_axis(Axis(0)).unwrap().into_dyn(),
    );
}

#[test]
fn positions() {
    let b = nd![[4, 1, 1], [9, 2, 9]];
    for chunks in [1, 2, 3] {
        let a = Array::from_ndarray(b.clone(), chunks);
        assert_eq!(a.argmin(), (0, 1));
        assert_eq!(a.argmax(), (1, 0));
        check(&a.argmin_axis(Axis(0)), &nd![0u64, 0, 0]);
        check(&a.argmax_axis(Axis(1)), &nd![0u64, 0]);
        assert_eq!(a.lazy_argmax().into_scalar(), 3);
        assert_eq!(a.into_dyn().argmax(), IxDyn(&[1, 0]));
    }
    assert_eq!(arr0(5.0).argmin(), ());
    assert_eq!(arr1(&[1.0, f64::NAN, 0.0]).argmin(), 1);
}

#[test]
fn nothing_to_reduce() {
    let a = Array2::<f64>::zeros((0, 3));
    assert_eq!((a.sum(), a.product(), a.mean()), (0.0, 1.0, None));
    check(&a.sum_axis(Axis(0)), &nd![0.0, 0.0, 0.0]);
    check(&a.sum_axis(Axis(1)), &ndarray::Array1::zeros(0));
    assert!(a.mean_axis(Axis(0)).is_none());
    check(&a.mean_axis(Axis(1)).unwrap(), &ndarray::Array1::zeros(0));
    assert!(a.mean_axes(&[Axis(0)]).is_none());
    assert!(a.var(0.0).is_nan());
    check(&a.var_axis(Axis(0), 0.0), &Nd2::<f64>::zeros((0, 3)).var_axis(Axis(0), 0.0));
    let none = a.greater(0.0);
    assert!(!none.any() && none.all());
    assert!(a.try_min().unwrap_err().to_string().contains("there are no elements"));
    assert!(a.try_argmax().is_err() && a.try_max_axis(Axis(0)).is_err());
    assert_eq!(a.max_axis(Axis(1)).shape(), [0]);
}

#[test]
fn several_in_one_run() {
    let (a, b) = cube();
    let (sum, max, all, lines) =
        compute_all(&(&a.lazy_sum(), &a.lazy_max(), &a.less(100.0).lazy_all(), &a.sum_axis(Axis(1))));
    assert_eq!((sum[()], max[()], all[()]), (b.sum(), 13.0, true));
    assert_eq!(lines, b.sum_axis(Axis(1)));
}

#[test]
fn products_of_matrices_and_vectors() {
    let b = Nd2::from_shape_fn((9, 7), |(i, j)| (i as f64 - 3.0) * (j as f64 + 0.5));
    let c = Nd2::from_shape_fn((7, 5), |(i, j)| ((i * 3 + j) % 5) as f64);
    let (x, y) = (c.column(1).to_owned(), b.column(2).to_owned());
    let (a, d) = (Array::from_ndarray(b.clone(), [4, 3]), Array::from_ndarray(c.clone(), [2, 3]));
    let (u, v) = (Array::from_ndarray(x.clone(), 3), Array::from_ndarray(y.clone(), 2));
    check_near(&a.dot(&d), &b.dot(&c));
    check_near(&d.t().dot(&a.t()), &c.t().dot(&b.t()));
    check_near(&a.dot(&u), &b.dot(&x));
    check_near(&v.dot(&a), &y.dot(&b));
    assert_eq!(u.dot(&u), x.dot(&x));
    assert_eq!(u.lazy_dot(&u).into_scalar(), x.dot(&x));
    check_near(&a.clone().into_dyn().dot(&d.clone().into_dyn()), &b.dot(&c).into_dyn());
    let (m, n) = (nd![[1, 2], [3, 4]], nd![[5, 6], [7, 8]]);
    check(&Array::from(m.clone()).dot(&Array::from(n.clone())), &m.dot(&n));
    assert!(a.try_dot(&a).unwrap_err().to_string().contains("[9, 7] and [9, 7]"));
    assert!(u.try_dot(&v).is_err());
}

/// Small arrays, large ones and expressions have the same sums, means and variances, beside exact values.
#[test]
fn exact_values_at_any_size() {
    fn close(what: &str, got: impl Into<f64>, exact: f64, error: f64) {
        let got = got.into();
        assert!((got - exact).abs() <= error * exact.abs(), "{what}: {got:e} instead of {exact:e}");
    }
    for n in [3usize, 99, 3000, 30_000, 300_000] {
        let far: Vec<f64> = (0..n).map(|i| 1e15 + (i % 3) as f64).collect();
        let near: Vec<f32> = (0..n).map(|i| 1e7 + (i % 3) as f32).collect();
        let tenths = vec![0.1f32; n];
        let sum = (f64::from(0.1f32) * n as f64) as f32;
        for chunks in [0, 1000] {
            // Local arrays as they are, and in chunks.
            let of = |v: &[f64]| if chunks == 0 { arr1(v) } else { arr1(v).rechunk(chunks) };
            let of_f32 = |v: &[f32]| if chunks == 0 { arr1(v) } else { arr1(v).rechunk(chunks) };
            let (a, b, c) = (of(&far), of_f32(&near), of_f32(&tenths));
            assert_eq!(a.is_lazy(), chunks > 0);
            let what = format!("{n} elements in chunks of {chunks}");
            close(&what, a.var(0.0), 2.0 / 3.0, 1e-13);
            close(&what, a.std(1.0), (2.0 / 3.0 * n as f64 / (n - 1) as f64).sqrt(), 1e-13);
            close(&what, a.mean().unwrap(), 1e15 + 1.0, 5e-16);
            close(&what, b.var(0.0), 2.0 / 3.0, 1e-7);
            close(&what, b.mean().unwrap(), 1e7 + 1.0, 0.0);
            assert_eq!((c.sum(), c.mean()), (sum, Some(0.1)), "{what}");
        }
    }
}

/// The same along axes, of elements in row-major and in column-major order and with gaps between them.
#[test]
fn exact_values_along_axes() {
    for n in [1usize, 3, 50, 700, 20_000] {
        let b = Nd2::from_shape_fn((n, 4), |(i, _)| 1e15 + (i % 3) as f64);
        let of = |i: usize| (i % 3) as i64;
        let (sum, squares) = (0..n).fold((0, 0), |(s, q), i| (s + of(i), q + of(i) * of(i)));
        let exact = (n as i64 * squares - sum * sum) as f64 / (n * n) as f64;
        let turned = b.t().as_standard_layout().into_owned().reversed_axes();
        let wide = Nd3::from_shape_fn((2, n, 2), |(_, i, k)| b[[i, k]] as f32 - 1e15);
        for b in [b.clone(), turned] {
            let a = Array::from(b);
            assert!(!a.is_lazy());
            for x in [a.view(), a.slice(s![.., ..;2]), a.rechunk([n.div_ceil(2) as isize, 3]).view()] {
                for var in x.var_axis(Axis(0), 0.0) {
                    assert!((var - exact).abs() <= 1e-13 * exact, "{n}: {var} instead of {exact}");
                }
                assert!(x.std_axis(Axis(1), 1.0).iter().all(|&std| std == 0.0));
                let mean = 1e15 + sum as f64 / n as f64;
                assert!(x.mean_axis(Axis(0)).unwrap().iter().all(|m| (m - mean).abs() <= 5e-16 * mean));
            }
        }
        let a = Array::from(wide);
        for axis in [0, 1, 2] {
            check(&a.sum_axis(Axis(axis)), &a.rechunk(7).sum_axis(Axis(axis)).compute());
            check(&a.view().permuted_axes([2, 0, 1]).mean_axis(Axis(axis)).unwrap(), &{
                a.rechunk(7).permuted_axes([2, 0, 1]).mean_axis(Axis(axis)).unwrap().compute()
            });
        }
    }
}

/// Sums and means of integers in wider types, eager and lazy; and means that do not wrap in their own.
#[test]
fn integers_in_wider_types() {
    let nd = Nd2::from_shape_fn((150, 20), |(i, j)| 200u8 + ((i + j) % 3) as u8);
    let exact: i64 = nd.iter().map(|&x| i64::from(x)).sum();
    let columns = nd.mapv(i64::from).sum_axis(ndarray::Axis(0));
    for a in [Array::from(nd.clone()), Array::from_ndarray(nd.clone(), 7)] {
        assert_eq!((a.sum_as::<i64>(), a.sum_as::<u32>()), (exact, exact as u32));
        // That of a local array is ndarray's, which panics in debug builds.
        assert!(!a.is_lazy() || a.sum() == exact as u8);
        assert_eq!(a.mean(), Some((exact / 3000) as u8));
        assert_eq!(a.mean_as::<f64>(), Some(exact as f64 / 3000.0));
        check(&a.sum_axis_as::<i64>(Axis(0)), &columns);
        check(&a.sum_axes_as::<i64>(&[Axis(0)]), &columns.clone().into_dyn());
        check(&a.mean_axis_as::<f64>(Axis(0)).unwrap(), &columns.mapv(|s| s as f64 / 150.0));
        check(&a.mean_axis(Axis(0)).unwrap(), &columns.mapv(|s| (s / 150) as u8));
        assert_eq!(a.slice(s![0, ..3]).product_as::<u64>(), 200 * 201 * 202);
        let (sum, mean) = compute_all(&(&a.lazy_sum_as::<i64>(), &a.lazy_mean_as::<f32>()));
        assert_eq!((sum[()], mean[()]), (exact, (exact as f64 / 3000.0) as f32));
        assert_eq!((a.greater(200).sum_as::<u64>(), a.try_sum_as::<u64>().unwrap()), (2000, exact as u64));
    }
    let many = Array2::<u16>::in_chunks([100, -1]).from_elem((1000, 3), 3000);
    check(&many.mean_axis(Axis(0)).unwrap(), &nd![3000u16, 3000, 3000]);
    assert_eq!(Array1::<i32>::in_chunks(100_000).from_elem(3_000_000, 1000).mean(), Some(1000));
    assert_eq!(
        Array1::<u64>::in_chunks(100).from_elem(1000, 132_542_363_533_234_561).mean(),
        Some(132_542_363_533_234_561)
    );
    assert_eq!(Array1::<u8>::in_chunks(100).from_elem(200, 200).mean(), Some(200));
    // In this process too, of types that do not travel, and rounded towards 0.
    assert_eq!(arr1(&[usize::MAX, usize::MAX]).mean(), Some(usize::MAX));
    assert_eq!(arr1(&[-3i8, -4]).mean(), Some(-3));
    assert_eq!(arr1(&[127i8; 300]).mean(), Some(127));
    let none = Array1::<u8>::zeros(0);
    assert_eq!((none.mean_as::<f64>(), none.sum_as::<i64>(), none.product_as::<i64>()), (None, 0, 1));
    let axis = crate::support::quietly(|| many.sum_axis_as::<i64>(Axis(2)));
    assert!(axis.is_err() && many.try_sum_axis_as::<i64>(Axis(2)).is_err());
}
