//! Arrays put together.

use crate::support::check;
use ndarray::array as nd;
use tilework::prelude::*;

#[test]
fn one_after_another_and_on_top() {
    let (b, c) = (nd![[1, 2], [3, 4]], nd![[5, 6]]);
    let (a, d) = (Array::from_ndarray(b.clone(), 1), Array::from(c.clone()));
    check(&tilework::concatenate!(Axis(0), a, d, a), &ndarray::concatenate!(Axis(0), b, c, b));
    check(&tilework::concatenate!(Axis(1), &a, a.t()), &ndarray::concatenate!(Axis(1), b, b.t()));
    for axis in (0..3).map(Axis) {
        check(&tilework::stack!(axis, a, a.t()), &ndarray::stack!(axis, b, b.t()));
    }
    check(&tilework::stack!(Axis(1), arr1(&[1, 2])), &nd![[1], [2]]);
    check(&tilework::try_concatenate(Axis(0), &[d.slice(s![..0, ..]).to_owned(), d]).unwrap(), &c);
}

#[test]
fn what_does_not_fit_is_named() {
    let (a, b) = (Array2::<f64>::zeros((2, 3)), Array2::<f64>::zeros((2, 4)));
    let text = |r: tilework::Result<_>| r.map(|a: Array2<f64>| a.dim()).unwrap_err().to_string();
    let error = text(tilework::try_concatenate(Axis(0), &[a.clone(), b.clone()]));
    assert!(error.contains("array 1 has shape [2, 4]") && error.contains("[2, 3]"), "{error}");
    assert!(
        text(tilework::try_concatenate(Axis(2), &[a.clone(), b.clone()])).contains("axis 2 is out of range")
    );
    assert!(text(tilework::try_concatenate(Axis(0), &[])).contains("of no arrays"));
    assert!(tilework::try_stack(Axis(0), &[a.clone(), b]).is_err());
    assert!(tilework::try_stack(Axis(3), &[a]).is_err());
}

#[test]
fn what_is_put_together_step_by_step_is_put_together_once() {
    let one = Array1::<i64>::in_chunks(10).arange(0, 10, 1);
    let mut all = one.clone();
    for _ in 1..5000 {
        all = tilework::try_concatenate(Axis(0), &[all, one.clone()]).unwrap();
    }
    let tasks = |a: &Array1<i64>| a.explain().stages().iter().map(|s| s.n_tasks).sum::<u64>();
    assert!(tasks(&all) < 5400, "{}", all.explain());
    assert_eq!(all.sum(), 45 * 5000);
    check(&all.slice(s![49_985..]).to_owned(), &nd![5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

    let mut expected: Vec<i64> = (0..1000).collect();
    let mut turned = Array1::<i64>::in_chunks(300).arange(0, 1000, 1);
    for _ in 0..700 {
        let (end, rest) = (turned.slice(s![999..]).to_owned(), turned.slice(s![..999]).to_owned());
        turned = tilework::try_concatenate(Axis(0), &[end, rest]).unwrap();
        expected.rotate_right(1);
    }
    assert!(tasks(&turned) < 12, "{}", turned.explain());
    check(&turned, &expected.clone().into());

    for i in 0..700 {
        let at = i * 13 % turned.len();
        let (before, after) = (turned.slice(s![..at]).to_owned(), turned.slice(s![at..]).to_owned());
        turned =
            tilework::try_concatenate(Axis(0), &[before, one.slice(s![3..5]).to_owned(), after]).unwrap();
        expected.splice(at..at, [3, 4]);
    }
    assert!(turned.chunks()[0].len() <= 256 && tasks(&turned) < 6000, "{}", turned.explain());
    check(&turned, &expected.into());
}

#[test]
fn rows_are_stacked_one_by_one() {
    let row = |i: i64| Array1::<i64>::in_chunks(4).arange(i, i + 7, 1);
    let mut table = row(0).insert_axis(Axis(0));
    let mut lists = vec![table.clone()];
    for i in 1..600 {
        let next = row(i).insert_axis(Axis(0));
        table = tilework::try_concatenate(Axis(0), &[table, next.clone()]).unwrap();
        lists.push(next);
    }
    let expected = ndarray::Array2::from_shape_fn((600, 7), |(i, j)| (i + j) as i64);
    check(&table, &expected);
    check(&tilework::try_concatenate(Axis(0), &lists).unwrap(), &expected);
    check(&tilework::try_stack(Axis(0), &(0..600).map(row).collect::<Vec<_>>()).unwrap(), &expected);
    // Across the chunks of the other axis, and back.
    let wide = tilework::try_concatenate(Axis(1), &[table.clone(), table.clone()]).unwrap();
    check(
        &wide.slice(s![.., 3..11;2]).to_owned(),
        &ndarray::concatenate![Axis(1), expected, expected].slice(ndarray::s![.., 3..11;2]).to_owned(),
    );
}

#[test]
fn scattered_rows_are_one_operation() {
    let b = ndarray::Array2::from_shape_fn((3000, 5), |(i, j)| (i * 10 + j) as i32);
    let a = Array::from_ndarray(b.clone(), [400, 2]);
    // Every row once, in an order without runs; and a few of them many times.
    let shuffled: Vec<usize> = (0..3000).map(|i| i * 1231 % 3000).collect();
    let repeated: Vec<usize> = (0..5000).map(|i| i * i % 17).collect();
    for positions in [shuffled, repeated, vec![], vec![2999]] {
        check(&a.select(Axis(0), &positions), &b.select(ndarray::Axis(0), &positions));
        check(&a.t().select(Axis(1), &positions), &b.t().select(ndarray::Axis(1), &positions));
    }
    let large = Array2::<f32>::in_chunks([50_000, -1]).ones((1_000_000, 100));
    let positions: Vec<usize> = (0..500_000).map(|i| i * 7919 % 1_000_000).collect();
    let some = large.select(Axis(0), &positions);
    let n_tasks: u64 = some.explain().stages().iter().map(|s| s.n_tasks).sum();
    assert_eq!(n_tasks, 20 + 10, "{}", some.explain());
    let wrong = large.try_select(Axis(0), &[3, 1_000_000]).unwrap_err().to_string();
    assert!(wrong.contains("1000000") && wrong.contains("positions within the axis"), "{wrong}");
}
