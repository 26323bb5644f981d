//! Folds over every choice of axes against naive loops.

use crate::harness::{check, check_near, digits, floats, literal};
use crate::views::chunks;
use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;
use tilework_expr::{BinaryOp, Complex, Element, Expr, Fold, Scalar, UnaryOp};

/// For each kept position, the folded elements in row-major order.
fn lanes<A: Clone>(array: &ArrayD<A>, axes: &[usize]) -> ArrayD<Vec<A>> {
    let kept: Vec<usize> = (0..array.ndim()).filter(|a| !axes.contains(a)).collect();
    let shape: Vec<usize> = kept.iter().map(|&a| array.shape()[a]).collect();
    let mut out = ArrayD::from_elem(IxDyn(&shape), Vec::new());
    for (at, x) in array.indexed_iter() {
        let key: Vec<usize> = kept.iter().map(|&a| at[a]).collect();
        out[IxDyn(&key)].push(x.clone());
    }
    out
}

fn axes_of(mask: usize, ndim: usize) -> Vec<usize> {
    (0..ndim).filter(|a| mask >> a & 1 == 1).collect()
}

fn exact<A: Element>(
    (array, expr): (&ArrayD<A>, &Expr),
    axes: &[usize],
    fold: Fold,
    f: impl Fn(A, A) -> A,
    start: A,
) {
    let expected = lanes(array, axes).mapv(|l| l.into_iter().fold(start, &f));
    check(&expr.reduce(fold, axes).unwrap(), &expected);
}

fn position<A: Element + PartialOrd>(lane: &[A], greatest: bool) -> u64 {
    let mut best = 0;
    for (i, x) in lane.iter().enumerate() {
        let b = &lane[best];
        #[allow(clippy::eq_op, reason = "NaN differs from itself")]
        let better = b == b && (x != x || if greatest { x > b } else { x < b });
        if better {
            best = i;
        }
    }
    best as u64
}

fn check_positions<A: Element + PartialOrd>(array: &ArrayD<A>, expr: &Expr, axes: &[usize]) {
    let l = lanes(array, axes);
    check(&expr.reduce(Fold::ArgMin, axes).unwrap(), &l.mapv(|l| position(&l, false)));
    check(&expr.reduce(Fold::ArgMax, axes).unwrap(), &l.mapv(|l| position(&l, true)));
}

fn variance(lane: &[f64], ddof: f64) -> f64 {
    let n = lane.len() as f64;
    let mean = lane.iter().sum::<f64>() / n;
    lane.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - ddof).max(0.0)
}

fn all_folds(shape: &[usize], cut: &[usize], axes: &[usize]) {
    let n: usize = axes.iter().map(|&a| shape[a]).product();
    let cut = chunks(&cut[..shape.len()]);
    let i: ArrayD<i64> = digits(shape, 1);
    let e = literal(&i, &cut);
    exact((&i, &e), axes, Fold::Sum, i64::wrapping_add, 0);
    exact((&i, &e), axes, Fold::Prod, i64::wrapping_mul, 1);
    let u: ArrayD<u8> = digits(shape, 2);
    let eu = literal(&u, &cut);
    exact((&u, &eu), axes, Fold::Sum, u8::wrapping_add, 0);
    let c: ArrayD<Complex<f32>> = digits(shape, 4);
    exact((&c, &literal(&c, &cut)), axes, Fold::Sum, |a, b| a + b, Complex::ZERO);
    let b = i.mapv(|x| x > 8);
    let eb = literal(&b, &cut);
    exact((&b, &eb), axes, Fold::Any, |a, b| a | b, false);
    exact((&b, &eb), axes, Fold::All, |a, b| a & b, true);
    // Small integers are summed exactly in any order.
    let f: ArrayD<f64> = digits(shape, 5);
    exact((&f, &literal(&f, &cut)), axes, Fold::Sum, |a, b| a + b, 0.0);
    let x = floats(shape, 6).mapv(|x| x + 0.5);
    let ex = literal(&x, &cut);
    let l = lanes(&x, axes);
    check_near(&ex.reduce(Fold::Var { ddof: 0.0 }, axes).unwrap(), &l.mapv(|l| variance(&l, 0.0)), 1e-12);
    check_near(
        &ex.reduce(Fold::Std { ddof: 1.0 }, axes).unwrap(),
        &l.mapv(|l| variance(&l, 1.0).sqrt()),
        1e-12,
    );
    let holes = ndarray::Zip::from(&x)
        .and(&f)
        .map_collect(|&x, &f| if f % 3.0 == 0.0 { f64::NAN } else { x.abs() + 1.0 });
    let eh = literal(&holes, &cut);
    let numbers = |of: &dyn Fn(&[f64]) -> f64| {
        lanes(&holes, axes).mapv(|l| of(&l.into_iter().filter(|x| !x.is_nan()).collect::<Vec<_>>()))
    };
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    check_near(&eh.reduce(Fold::NanMean, axes).unwrap(), &numbers(&mean), 1e-12);
    let var = |l: &[f64]| if l.len() > 1 { variance(l, 1.0) } else { f64::NAN };
    check_near(&eh.reduce(Fold::NanVar { ddof: 1.0 }, axes).unwrap(), &numbers(&var), 1e-12);
    let std = |l: &[f64]| if l.is_empty() { f64::NAN } else { variance(l, 0.0).sqrt() };
    check_near(&eh.reduce(Fold::NanStd { ddof: 0.0 }, axes).unwrap(), &numbers(&std), 1e-12);
    if n == 0 {
        return;
    }
    let mean = |l: Vec<f64>| l.iter().sum::<f64>() / n as f64;
    let scaled = x.mapv(|x| x.abs() + 1.0);
    check_near(
        &literal(&scaled, &cut).reduce(Fold::Mean, axes).unwrap(),
        &lanes(&scaled, axes).mapv(mean),
        1e-13,
    );
    check(&eu.reduce(Fold::Max, axes).unwrap(), &lanes(&u, axes).mapv(|l| l.into_iter().max().unwrap()));
    exact((&i, &e), axes, Fold::Min, i64::min, i64::MAX);
    exact((&x, &ex), axes, Fold::Max, f64::max, f64::NEG_INFINITY);
    check_positions(&i, &e, axes);
    check_positions(&b, &eb, axes);
    check_positions(&x, &ex, axes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn small_boxes(
        shape in prop::collection::vec(0usize..7, 1..5),
        cut in prop::collection::vec(1usize..5, 4),
        mask in 0usize..16,
    ) {
        all_folds(&shape, &cut, &axes_of(mask, shape.len()));
    }
}

#[test]
fn long_and_lopsided_boxes() {
    for (shape, cut, masks) in [
        (vec![70, 1500], vec![70, 1500], vec![1, 2, 3]),
        (vec![1500, 70], vec![600, 33], vec![1, 2, 3]),
        (vec![5000, 3], vec![5000, 3], vec![1, 2, 3]),
        (vec![3, 5000], vec![2, 1777], vec![1, 2, 3]),
        (vec![30, 40, 50], vec![30, 40, 50], vec![1, 2, 4, 5, 6, 3]),
        (vec![2, 300, 40], vec![2, 200, 40], vec![2, 5]),
        (vec![9, 4, 7, 200], vec![5, 4, 7, 150], vec![5, 10, 6, 9]),
        (vec![2100], vec![2100], vec![1]),
        (vec![90_000], vec![70_000], vec![1]),
        (vec![2500, 2, 2], vec![2500, 2, 2], vec![2, 1, 6]),
    ] {
        for mask in masks {
            all_folds(&shape, &cut, &axes_of(mask, shape.len()));
        }
    }
}

#[test]
fn programs_are_folded_without_a_temporary() {
    let x = floats(&[400, 300], 1);
    let e = literal(&x, &chunks(&[250, 300]));
    let t = e.reversed_axes().unwrap().rechunk(&chunks(&[300, 250])).unwrap();
    let sq = t.unary(UnaryOp::Square).unwrap();
    let two = Expr::full(&[300, 400], &chunks(&[300, 250]), Scalar::new(2.0f64)).unwrap();
    let y = sq.binary(BinaryOp::Mul, &two).unwrap().binary(BinaryOp::Add, &t).unwrap();
    let expected = x.t().mapv(|x| x * x * 2.0 + x + 3.0);
    let three = Expr::full(&[300, 400], &chunks(&[300, 250]), Scalar::new(3.0f64)).unwrap();
    let y = y.binary(BinaryOp::Add, &three).unwrap();
    check_near(&y.reduce(Fold::Sum, &[0]).unwrap(), &expected.sum_axis(Axis(0)).into_dyn(), 1e-13);
    check_near(&y.reduce(Fold::Mean, &[1]).unwrap(), &expected.mean_axis(Axis(1)).unwrap().into_dyn(), 1e-13);
    check_near(&y.reduce_all(Fold::Sum).unwrap(), &ArrayD::from_elem(IxDyn(&[]), expected.sum()), 1e-13);
    // A program whose block is one value for all.
    check(&two.reduce_all(Fold::Sum).unwrap(), &ArrayD::from_elem(IxDyn(&[]), 240_000.0));
    check::<f64>(&two.reduce(Fold::Var { ddof: 0.0 }, &[0]).unwrap(), &ArrayD::zeros(IxDyn(&[400])));
    let kept =
        literal(&x.index_axis(Axis(1), 0).to_owned(), &chunks(&[400])).broadcast_to(&[500, 400]).unwrap();
    let kept = kept.rechunk(&chunks(&[500, 400])).unwrap();
    check_near(&kept.reduce(Fold::Mean, &[0]).unwrap(), &x.index_axis(Axis(1), 0).to_owned(), 1e-13);
}

#[test]
fn nan_is_the_least_and_the_greatest() {
    let mut x = floats(&[50, 60], 1);
    x[[20, 30]] = f64::NAN;
    x[[40, 30]] = f64::NAN;
    let e = literal(&x, &chunks(&[16, 60]));
    for axes in [vec![0], vec![1], vec![0, 1]] {
        check_positions(&x, &e, &axes);
        let pick = |greatest| lanes(&x, &axes).mapv(|l| l[position(&l, greatest) as usize]);
        check(&e.reduce(Fold::Min, &axes).unwrap(), &pick(false));
        check(&e.reduce(Fold::Max, &axes).unwrap(), &pick(true));
    }
}

#[test]
fn too_few_elements_for_a_variance() {
    let one = ArrayD::from_elem(IxDyn(&[1, 3]), 2.5);
    let e = literal(&one, &chunks(&[1, 2]));
    check(&e.reduce(Fold::Var { ddof: 1.0 }, &[0]).unwrap(), &ArrayD::from_elem(IxDyn(&[3]), f64::NAN));
    let two = ArrayD::from_shape_vec(IxDyn(&[2]), vec![1.0, 2.0]).unwrap();
    let e = literal(&two, &chunks(&[1]));
    check(&e.reduce(Fold::Std { ddof: 3.0 }, &[0]).unwrap(), &ArrayD::from_elem(IxDyn(&[]), f64::INFINITY));
}
