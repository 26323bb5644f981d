//! Sums, means and variances beside exact values, which are computed in integers: numbers for which adding up in the
//! elements' own type, or squares of distances from a mean of 53 bits, would be far off.

use crate::harness::{Lay, POOLS, array_of, check, check_near, floats, literal, run, value};
use crate::views::chunks;
use ndarray::{ArrayD, IxDyn};
use std::sync::atomic::AtomicBool;
use tilework_expr::{DType, Element, Expr, Fold, Lowered, Program};
use tilework_kernels::{Chunk, Feed, execute};
use tilework_plan::ChunkIdx;

const VAR: Fold = Fold::Var { ddof: 0.0 };

/// How one long line of elements is folded: as rows or columns of a box, in one chunk or several.
fn boxes<A: Element>(line: &[A]) -> Vec<(String, Expr, Vec<usize>)> {
    let n = line.len();
    let of = |shape: &[usize]| ArrayD::from_shape_vec(IxDyn(shape), line.to_vec()).unwrap();
    let mut all = Vec::new();
    let one = of(&[n]);
    for cut in [n, n / 3 + 1, 1000, 77] {
        all.push((format!("in chunks of {cut}"), literal(&one, &chunks(&[cut])), vec![0]));
    }
    // The line is each column of the first, each row of the second.
    let columns = ArrayD::from_shape_fn(IxDyn(&[n, 3]), |at| line[at[0]]);
    for cut in [n, 700] {
        all.push((format!("columns, {cut}"), literal(&columns, &chunks(&[cut, 2])), vec![0]));
        let rows = literal(&columns.t().to_owned(), &chunks(&[2, cut]));
        all.push((format!("rows, {cut}"), rows, vec![1]));
        let read_across = literal(&columns, &chunks(&[cut, 3])).reversed_axes().unwrap();
        all.push((format!("transposed, {cut}"), read_across, vec![1]));
    }
    let wide = ArrayD::from_shape_fn(IxDyn(&[n, 40]), |at| line[at[0]]);
    all.push(("40 columns".into(), literal(&wide, &chunks(&[n / 2, 33])), vec![0]));
    let square = of(&[n / 100, 100]);
    all.push(("all of a matrix".into(), literal(&square, &chunks(&[n / 250, 30])), vec![0, 1]));
    all
}

/// Checks a fold of the line in every arrangement against an exact value.
fn folds<A: Element + Into<f64>>(line: &[A], fold: Fold, exact: f64, error: f64) {
    for (name, expr, axes) in boxes(line) {
        let folded = expr.reduce(fold, &axes).unwrap();
        for got in array_of::<A>(&run(&folded, Lay::Shared, &POOLS[1]).unwrap()) {
            let off = (got.into() - exact).abs();
            assert!(off <= error * exact.abs(), "{fold:?} {name}: {:e} instead of {exact:e}", got.into());
        }
    }
}

/// `n` numbers that repeat `0, 1, 2` or another pattern from `far` on, and the variance of the pattern.
fn far_from_zero(far: f64, pattern: &[i64], n: usize) -> (Vec<f64>, f64) {
    let line: Vec<f64> = (0..n).map(|i| far + pattern[i % pattern.len()] as f64).collect();
    let of = |i: usize| pattern[i % pattern.len()];
    let (sum, squares) = (0..n).fold((0i64, 0i64), |(s, q), i| (s + of(i), q + of(i) * of(i)));
    // n * squares - sum^2 is exact.
    let exact = (n as i64 * squares - sum * sum) as f64 / (n as f64 * n as f64);
    (line, exact)
}

#[test]
fn variances_of_numbers_that_are_large_against_their_distances() {
    for (far, pattern) in [
        (1e15, vec![0, 1, 2]),
        (-1e15, vec![0, 1, 2]),
        (4e15, vec![0, 1, 0, 0, 1]),
        (1e12, vec![0, 1, 5, -3]),
        (1e9, vec![7, -7, 3]),
        (0.0, vec![0, 1, 2]),
        (1e15, vec![0, 100_000, 3]),
    ] {
        let (line, exact) = far_from_zero(far, &pattern, 30_000);
        folds(&line, VAR, exact, 1e-13);
        folds(&line, Fold::Std { ddof: 0.0 }, exact.sqrt(), 1e-13);
        let ddof = 7.5;
        folds(&line, Fold::Var { ddof }, exact * (30_000.0 / (30_000.0 - ddof)), 1e-13);
    }
    // A mean that drifts from chunk to chunk: distances of chunks from each other are most of the variance.
    let line: Vec<f64> = (0..30_000).map(|i| 1e15 + f64::from(i)).collect();
    folds(&line, VAR, (3e4f64.powi(2) - 1.0) / 12.0, 1e-13);
}

#[test]
fn variances_of_f32_are_those_of_exact_arithmetic() {
    for far in [1e7f32, -1e7, 3.0] {
        let line: Vec<f32> = (0..30_000).map(|i| far + (i % 3) as f32).collect();
        folds(&line, VAR, 2.0 / 3.0, 1e-7);
        folds(&line, Fold::Std { ddof: 1.0 }, (2.0f64 / 3.0 * 3e4 / 29_999.0).sqrt(), 1e-7);
    }
    // Squares that an f32 cannot hold.
    let line: Vec<f32> = (0..3000).map(|i| if i % 2 == 0 { 1e30 } else { -1e30 }).collect();
    folds(&line, Fold::Std { ddof: 0.0 }, f64::from(1e30f32), 1e-7);
}

#[test]
fn sums_and_means_of_f32_are_those_of_exact_arithmetic() {
    let tenth = vec![0.1f32; 300_000];
    let exact = f64::from(0.1f32) * 3e5;
    folds(&tenth, Fold::Sum, f64::from(exact as f32), 0.0);
    folds(&tenth, Fold::Mean, f64::from(0.1f32), 0.0);
    // Most of the sum cancels.
    let line: Vec<f32> = (0..30_000).map(|i| [1e8f32, 1.0, -1e8][i % 3]).collect();
    folds(&line, Fold::Sum, 10_000.0, 0.0);
    folds(&line, Fold::Mean, f64::from(1.0f32 / 3.0), 1e-7);
    // The sum is beyond an f32, the mean is not.
    let line = vec![3e38f32; 1000];
    folds(&line, Fold::Mean, f64::from(3e38f32), 0.0);
    // So are the products of the first two, and of the last two.
    let four = [1e30f32, 1e30, 1e-30, 1e-30];
    let exact = four.iter().map(|&x| f64::from(x)).product::<f64>() as f32;
    for cut in [1, 2, 4] {
        let e = literal(&ArrayD::from_shape_vec(IxDyn(&[4]), four.to_vec()).unwrap(), &chunks(&[cut]));
        check(&e.reduce_all(Fold::Prod).unwrap(), &ArrayD::from_elem(IxDyn(&[]), exact));
    }
}

#[test]
fn sums_of_f64_are_pairwise_and_variances_do_not_cancel() {
    let n = 300_000;
    let tenth = vec![0.1f64; n];
    // 0.1 is 3602879701896397 / 2^55.
    let exact = 3_602_879_701_896_397_i128 * n as i128;
    folds(&tenth, Fold::Sum, exact as f64 / 2f64.powi(55), 1e-15);
    folds(&tenth, Fold::Mean, 0.1, 1e-15);
    let (line, _) = far_from_zero(1e15, &[0, 1, 2], 30_000);
    folds(&line, Fold::Mean, 1e15 + 1.0, 5e-16);
    let far = floats(&[2000, 40], 3).mapv(|x| ((x * 4096.0).round() / 4096.0) + 1e9);
    let near = far.mapv(|x| x - 1e9);
    let of = |a: &ArrayD<f64>, axes: &[usize]| literal(a, &chunks(&[500, 40])).reduce(VAR, axes).unwrap();
    // The numbers near 1e9 are the others shifted, exactly.
    for axes in [vec![0], vec![1], vec![0, 1]] {
        check_near(&of(&far, &axes), &value::<f64>(&of(&near, &axes)), 1e-14);
    }
}

#[test]
fn means_of_integers_do_not_wrap() {
    fn means<A: Element + Into<i128> + TryFrom<i128>>(line: &[A]) {
        let sum: i128 = line.iter().map(|&x| x.into()).sum();
        let Ok(exact) = A::try_from(sum / line.len() as i128) else { panic!("a mean between elements") };
        for (name, expr, axes) in boxes(line) {
            let mean = expr.reduce(Fold::Mean, &axes).unwrap();
            for got in array_of::<A>(&run(&mean, Lay::Shared, &POOLS[1]).unwrap()) {
                assert_eq!(got.into(), exact.into(), "{} {name}", A::DTYPE);
            }
        }
    }
    macro_rules! ends {
        ($($t:ident)*) => { $(
            means(&vec![$t::MAX; 4000]);
            means(&vec![$t::MIN; 4000]);
            means(&(0..4000).map(|i| [$t::MIN, $t::MAX, $t::MAX - 3, 5][i * i % 4]).collect::<Vec<_>>());
        )* };
    }
    ends!(i8 i16 i32 i64 u8 u16 u32 u64);
    means(&vec![200u8; 300]);
    means(&vec![132_542_363_533_234_561u64; 1000]);
    let x: ArrayD<i32> = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![1, -2, 4, -5]).unwrap();
    let e = literal(&x, &chunks(&[1, 2]));
    check(&e.reduce(Fold::Mean, &[0]).unwrap(), &ArrayD::from_shape_vec(IxDyn(&[2]), vec![2, -3]).unwrap());
}

/// Partial matrix products are of the elements' dtype, but added up as all sums are.
#[test]
fn partial_products_of_f32_are_added_up_in_f64() {
    let parts = [1e8f32, 1.0, -1e8];
    let e = literal(&ArrayD::from_elem(IxDyn(&[3]), 0f32), &chunks(&[1]));
    let mut lowered = Lowered::of(&Program::new(&[e.reduce_all(Fold::Sum).unwrap()])).unwrap();
    let plan = lowered.plan.clone();
    let combine = plan.outputs[0];
    let from = plan.stage(combine).inputs[0].stage;
    assert_eq!(lowered.work(from).planes, [DType::F64]);
    lowered.works[from.0 as usize].planes = vec![DType::F32];
    let feeds = parts.iter().zip(0..).map(|(x, c)| Feed {
        slot: 0,
        chunk_idx: ChunkIdx(c),
        region: plan.out_region(from, ChunkIdx(c)),
        chunk: Chunk::from_bytes(&[DType::F32], &[], &x.to_le_bytes()).unwrap(),
    });
    let feeds: Vec<Feed> = feeds.collect();
    let sum = execute(&lowered, combine, ChunkIdx(0), &feeds, &AtomicBool::new(false)).unwrap();
    assert_eq!(sum.planes[0].as_slice::<f32>(), Some(&[1.0][..]));
}
