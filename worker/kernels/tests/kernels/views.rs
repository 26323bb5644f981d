//! Slices, permutations, broadcasts, new chunkings, reshapes and concatenations: elements keep their bits.

use crate::harness::{check, digits, literal};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use proptest::prelude::*;
use tilework_expr::{AxisChunks, BinaryOp, Chunks, Complex, DType, Element, Expr, SliceArg, with_dtype};

pub fn chunks(lens: &[usize]) -> Chunks {
    Chunks::Axes(lens.iter().map(|&l| AxisChunks::Len(l.max(1) as isize)).collect())
}

/// One step of a chain of views: which kind, and numbers to choose its parameters by.
type Step = (u8, usize, usize, usize);

fn apply<A: Element>(array: &ArrayD<A>, expr: &Expr, step: Step) -> (ArrayD<A>, Expr) {
    let (kind, a, b, c) = step;
    let ndim = array.ndim();
    match kind {
        0 if ndim > 0 => {
            let axis = a % ndim;
            let len = array.shape()[axis];
            let (start, end) = ((b % (len + 1)).min(c % (len + 1)), (b % (len + 1)).max(c % (len + 1)));
            let width = [1, -1, 2, -3][a / ndim % 4];
            let sliced = array
                .slice_axis(Axis(axis), Slice::new(start as isize, Some(end as isize), width))
                .to_owned();
            let all = SliceArg::Range { start: 0, end: None, step: 1 };
            let mut args = vec![all; ndim];
            args[axis] = SliceArg::Range { start: start as isize, end: Some(end as isize), step: width };
            (sliced, expr.slice(&args).unwrap())
        }
        1 if ndim > 0 => {
            let mut order: Vec<usize> = (0..ndim).collect();
            order.rotate_left(a % ndim);
            order.swap(b % ndim, c % ndim);
            (
                array.clone().permuted_axes(IxDyn(&order)).as_standard_layout().to_owned(),
                expr.permute(&order).unwrap(),
            )
        }
        2 if ndim < 4 => {
            let mut shape = array.shape().to_vec();
            shape.insert(0, 1 + a % 4);
            (array.broadcast(IxDyn(&shape)).unwrap().to_owned(), expr.broadcast_to(&shape).unwrap())
        }
        3 if ndim > 0 && array.shape()[a % ndim] > 0 => {
            let (axis, at) = (a % ndim, b % array.shape()[a % ndim]);
            let mut args = vec![SliceArg::Range { start: 0, end: None, step: 1 }; ndim];
            args[axis] = SliceArg::At(at as isize);
            (array.index_axis(Axis(axis), at).to_owned(), expr.slice(&args).unwrap())
        }
        7 if ndim > 0 && array.shape()[a % ndim] > 0 => {
            let (axis, len) = (a % ndim, array.shape()[a % ndim]);
            let positions: Vec<usize> = (0..b % 12).map(|i| (i * c + i * i) % len).collect();
            (array.select(Axis(axis), &positions), expr.take(axis, &positions).unwrap())
        }
        4 => {
            let lens: Vec<usize> = (0..ndim).map(|i| 1 + [a, b, c, a + b][i % 4] % 6).collect();
            (array.clone(), expr.rechunk(&chunks(&lens)).unwrap())
        }
        5 => {
            let n = array.len();
            let first = (1..=n.max(1)).filter(|d| n.is_multiple_of(*d)).nth(a % 4).unwrap_or(1);
            let shape = [first, n / first];
            (array.to_shape(IxDyn(&shape)).unwrap().to_owned(), expr.reshape(&shape).unwrap())
        }
        6 if ndim > 0 => {
            let axis = a % ndim;
            let both = ndarray::concatenate(Axis(axis), &[array.view(), array.view()]).unwrap();
            (both, Expr::concatenate(axis, &[expr.clone(), expr.clone()]).unwrap())
        }
        _ => (array.clone(), expr.clone()),
    }
}

fn chain<A: Element>(shape: &[usize], cut: &[usize], steps: &[Step]) {
    let mut array: ArrayD<A> = digits(shape, 3);
    let mut expr = literal(&array, &chunks(&cut[..shape.len()]));
    for &step in steps {
        (array, expr) = apply(&array, &expr, step);
    }
    check(&expr, &array);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn chains_of_views_are_ndarrays(
        shape in prop::collection::vec(0usize..9, 0..4),
        cut in prop::collection::vec(1usize..6, 3),
        steps in prop::collection::vec((0u8..8, 0usize..100, 0usize..100, 0usize..100), 1..4),
        dtype in prop::sample::select(vec![DType::Bool, DType::I16, DType::F32, DType::U64, DType::C64]),
    ) {
        with_dtype!(dtype, T => chain::<T>(&shape, &cut, &steps));
    }

    #[test]
    fn operands_in_different_views_meet(
        rows in 1usize..40, cols in 1usize..40, cut in prop::collection::vec(1usize..20, 4), flip: bool,
    ) {
        let x: ArrayD<f64> = digits(&[rows, cols], 1);
        let y: ArrayD<f64> = digits(&[cols, rows], 2);
        let z: ArrayD<f64> = digits(&[cols], 5);
        let (ex, ey) = (literal(&x, &chunks(&cut[..2])), literal(&y, &chunks(&cut[2..])));
        let ez = literal(&z, &chunks(&cut[..1])).broadcast_to(&[rows, cols]).unwrap();
        let (mut t, mut et) = (y.reversed_axes(), ey.reversed_axes().unwrap());
        if flip {
            t.invert_axis(Axis(1));
            let all = SliceArg::Range { start: 0, end: None, step: 1 };
            et = et.slice(&[all, SliceArg::Range { start: 0, end: None, step: -1 }]).unwrap();
        }
        let et = et.rechunk(&chunks(&cut[..2])).unwrap();
        let sum = ex.binary(BinaryOp::Add, &et).unwrap();
        check(&sum, &(&x + &t));
        let ez = ez.rechunk(&chunks(&cut[..2])).unwrap();
        check(&sum.binary(BinaryOp::Mul, &ez).unwrap(), &((&x + &t) * &z));
    }
}

#[test]
fn large_transposes_and_short_rows() {
    let x: ArrayD<f64> = digits(&[300, 520], 1);
    let y: ArrayD<f64> = digits(&[520, 300], 2);
    let (ex, ey) = (literal(&x, &chunks(&[300, 520])), literal(&y, &chunks(&[520, 300])));
    let sum = ex.binary(BinaryOp::Sub, &ey.reversed_axes().unwrap()).unwrap();
    check(&sum, &(&x - &y.t()));
    let long: ArrayD<f32> = digits(&[70_000, 3], 4);
    let row: ArrayD<f32> = digits(&[3], 5);
    let e = literal(&long, &chunks(&[70_000, 3]));
    let r = literal(&row, &chunks(&[3])).broadcast_to(&[70_000, 3]).unwrap();
    check(&e.binary(BinaryOp::Mul, &r.rechunk(&chunks(&[70_000, 3])).unwrap()).unwrap(), &(&long * &row));
    let wide: ArrayD<Complex<f32>> = digits(&[2, 150_000], 4);
    let e = literal(&wide, &chunks(&[2, 150_000]));
    check(&e.binary(BinaryOp::Add, &e).unwrap(), &(&wide + &wide));
}
