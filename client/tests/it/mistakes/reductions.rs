//! Reductions: axes that are not there or given twice, nothing to reduce, degrees of freedom, integers and NaN.

use crate::support::{check, check_near, mistakes, quietly, same};
use ndarray::{Array1 as Nd1, Array2 as Nd2};
use tilework::prelude::*;

const FAR: Axis = Axis(usize::MAX);

fn beyond(axis: usize) -> String {
    format!("axis {axis} is out of range for an array of 2 dimensions")
}

#[test]
fn axes_that_are_not_there_or_given_twice() {
    let a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let b = a.greater(0.0);
    let twice = [Axis(0), Axis(0)];
    let each_once = "axes [0, 0] of an array of 2 dimensions: expected each axis at most once";
    macro_rules! folds {
        ($($array:ident $try_axis:ident $axis:ident $try_axes:ident $axes:ident ($($p:expr)?);)*) => { $(
            mistakes! {
                $array.$try_axis(Axis(2) $(, $p)?), $array.$axis(Axis(2) $(, $p)?) => beyond(2);
                $array.view().$try_axis(FAR $(, $p)?), $array.view().$axis(FAR $(, $p)?) => beyond(usize::MAX);
                $array.$try_axes(&[Axis(0), Axis(5)] $(, $p)?), $array.$axes(&[Axis(0), Axis(5)] $(, $p)?) => beyond(5);
                $array.$try_axes(&twice $(, $p)?), $array.$axes(&twice $(, $p)?) => each_once;
            }
        )* };
    }
    folds! {
        a try_sum_axis sum_axis try_sum_axes sum_axes ();
        a try_product_axis product_axis try_product_axes product_axes ();
        a try_min_axis min_axis try_min_axes min_axes ();
        a try_max_axis max_axis try_max_axes max_axes ();
        a try_mean_axis mean_axis try_mean_axes mean_axes ();
        a try_var_axis var_axis try_var_axes var_axes (0.0);
        a try_std_axis std_axis try_std_axes std_axes (1.0);
        b try_any_axis any_axis try_any_axes any_axes ();
        b try_all_axis all_axis try_all_axes all_axes ();
    }
    mistakes! {
        a.try_argmin_axis(Axis(2)), a.argmin_axis(Axis(2)) => beyond(2);
        a.try_argmax_axis(FAR), a.argmax_axis(FAR) => beyond(usize::MAX);
        a.try_fold_axis(FAR, 0.0, |v, x| v + x), a.fold_axis(FAR, 0.0, |v, x| v + x) => beyond(usize::MAX);
        a.try_fold_axis_with(Axis(2), 0.0, (), |v, x, ()| v + x), a.fold_axis_with(Axis(2), 0.0, (), |v, x, ()| v + x)
            => beyond(2);
    }
}

#[test]
fn degrees_of_freedom() {
    let a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let below = |got: &str| format!("ddof: got {got}, expected a number of at least 0");
    let above =
        |got: &str| format!("ddof: got {got}, expected at most the number of elements that are reduced");
    mistakes! {
        a.try_var(-1.0), a.var(-1.0) => below("-1");
        a.try_var(13.0), a.var(13.0) => above("13");
        a.try_std(inf), a.std(inf) => above("inf");
        a.try_std(nan), a.lazy_std(nan) => below("NaN");
        a.try_lazy_var(12.5), a.lazy_var(12.5) => above("12.5");
        a.try_var_axis(Axis(0), 3.5), a.var_axis(Axis(0), 3.5) => above("3.5");
        a.try_std_axis(Axis(1), -inf), a.std_axis(Axis(1), -inf) => below("-inf");
        a.try_var_axes(&[Axis(1)], 5.0), a.var_axes(&[Axis(1)], 5.0) => above("5");
        a.try_std_axes(&[], 2.0), a.std_axes(&[], 2.0) => above("2");
    }
    // As many as there are elements: no number, or infinitely many, as in ndarray.
    let b = Nd2::from_shape_fn((3, 4), |(i, j)| (i * j) as f64);
    let a = Array::from_ndarray(b.clone(), 2);
    check(&a.var_axis(Axis(0), 3.0), &b.var_axis(Axis(0), 3.0));
    assert!(same(a.var(12.0), b.var(12.0)) && a.var(nan).is_nan() && a.std_axis(Axis(0), nan).is_nan().all());
}

#[test]
fn of_no_elements() {
    let none = |fold: &str, shape: &[usize], axes: &[usize]| {
        format!("{fold} of an array of shape {shape:?} along axes {axes:?}: there are no elements")
    };
    let empty = Array2::<i32>::in_chunks(2).zeros((0, 3));
    mistakes! {
        empty.try_min(), empty.min() => none("min", &[0, 3], &[0, 1]);
        empty.try_max(), empty.max() => none("max", &[0, 3], &[0, 1]);
        empty.try_lazy_min(), empty.lazy_min() => none("min", &[0, 3], &[0, 1]);
        empty.try_max_axis(Axis(0)), empty.max_axis(Axis(0)) => none("max", &[0, 3], &[0]);
        empty.try_min_axes(&[Axis(1), Axis(0)]), empty.min_axes(&[Axis(1), Axis(0)]) => none("min", &[0, 3], &[0, 1]);
        empty.try_argmin(), empty.argmin() => none("argmin", &[0, 3], &[0, 1]);
        empty.try_argmax(), empty.argmax() => none("argmax", &[0, 3], &[0, 1]);
        empty.try_lazy_argmax(), empty.lazy_argmax() => none("argmax", &[0, 3], &[0, 1]);
        empty.try_argmax_axis(Axis(0)), empty.argmax_axis(Axis(0)) => none("argmax", &[0, 3], &[0]);
        empty.try_lazy_mean(), empty.lazy_mean() => none("mean", &[0, 3], &[0, 1]);
    }
    assert_eq!((empty.mean(), empty.try_mean().unwrap()), (None, None));
    assert!(empty.mean_axis(Axis(0)).is_none() && empty.mean_axes(&[Axis(0)]).is_none());
    assert!(
        empty.try_mean_axis(Axis(0)).unwrap().is_none() && empty.try_mean_axes(&[Axis(0)]).unwrap().is_none()
    );
    assert_eq!((empty.sum(), empty.product()), (0, 1));
    // The least of none in each of no columns.
    assert_eq!(empty.min_axis(Axis(1)).compute().len(), 0);
    assert_eq!(empty.argmin_axis(Axis(1)).compute().len(), 0);
    let bools = empty.equal(0);
    assert_eq!((bools.any(), bools.all()), (false, true));
    check(&bools.any_axis(Axis(0)), &Nd1::from_elem(3, false));
    check(&bools.all_axis(Axis(0)), &Nd1::from_elem(3, true));
    let (ours, theirs) = (Array2::<f64>::in_chunks(1).zeros((0, 3)), Nd2::<f64>::zeros((0, 3)));
    check(&ours.sum_axis(Axis(0)), &theirs.sum_axis(Axis(0)));
    check(&ours.var_axis(Axis(0), 0.0), &theirs.var_axis(Axis(0), 0.0));
    check(&ours.product_axis(Axis(1)), &theirs.product_axis(Axis(1)));
    assert!(same(ours.var(0.0), theirs.var(0.0)) && same(ours.std(0.0), theirs.std(0.0)));
    check(&ours.dot(&Array2::in_chunks(1).zeros((3, 0))), &theirs.dot(&Nd2::zeros((3, 0))));
    check(&Array2::<f64>::in_chunks(1).zeros((2, 0)).dot(&ours), &Nd2::zeros((2, 3)));
}

#[test]
fn nan_and_integers_that_overflow() {
    let nan = f64::NAN;
    let b = Nd1::from(vec![1.0, nan, -3.0, f64::INFINITY]);
    for chunks in [1, 2, -1] {
        let a = Array::from_ndarray(b.clone(), chunks);
        assert!(a.min().is_nan() && a.max().is_nan() && a.sum().is_nan() && a.mean().unwrap().is_nan());
        assert!(a.var(0.0).is_nan() && a.product().is_nan());
        assert_eq!((a.argmin(), a.argmax()), (1, 1));
        // Integers wrap, as in ndarray's release builds.
        let a = Array::from_vec_chunked(vec![i64::MAX, 1, 1], chunks);
        assert_eq!((a.sum(), a.product()), (i64::MIN + 1, i64::MAX));
        let a = Array::from_vec_chunked(vec![200u8, 100, 2], chunks);
        assert_eq!((a.sum(), a.product(), a.mean()), (46, 64, Some(100)));
    }
    check_near(
        &Array1::from_vec_chunked(vec![1e300, -1e300], 1).insert_axis(Axis(0)).sum_axis(Axis(0)),
        &nd(&[1e300, -1e300]),
    );
    // Means do not, and there may be more elements than one can be: ndarray cannot divide by their number.
    let (a, b) = (Array2::<i8>::in_chunks(50).ones((2, 128)), Array1::<u16>::in_chunks(-1).ones(65_536));
    assert_eq!((a.mean(), a.try_mean().unwrap(), a.lazy_mean().into_scalar()), (Some(1), Some(1), 1));
    assert_eq!((b.mean(), a.mean_axes(&[Axis(0), Axis(1)]).unwrap().sum()), (Some(1), 1));
    check(&a.mean_axis(Axis(1)).unwrap(), &Nd1::from(vec![1i8, 1]));
    let small = Array::from(Nd2::<i8>::ones((2, 128)));
    assert!(!small.is_lazy() && quietly(|| Nd2::<i8>::ones((2, 128)).mean()).is_err());
    assert_eq!((small.mean(), small.mean_axis(Axis(1)).unwrap()[1]), (Some(1), 1));
}

fn nd(values: &[f64]) -> Nd1<f64> {
    Nd1::from(values.to_vec())
}
