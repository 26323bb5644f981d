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
