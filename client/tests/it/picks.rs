//! Chosen elements and elements put at some places, against naive forms and NumPy's values: over chunks of every length, lists,
//! lazy positions and masks.

use crate::support::{check, line, mistakes, numbers, processes_are_mine};
use ndarray::{Array1 as Local, Array2 as Local2, Array3 as Local3, IxDyn};
use std::collections::BTreeSet;
use tilework::prelude::*;
use tilework::{Session, choose, ravel_multi_index, select, try_choose, try_ravel_multi_index, try_select};

/// Numbers that tell places apart.
fn counted<D: Dimension>(lens: D) -> ndarray::Array<f32, D> {
    let mut at = 0.0;
    ndarray::Array::from_shape_simple_fn(lens, || {
        at -= 1.0;
        at
    })
}

fn matrix(rows: usize, columns: usize) -> Local2<f32> {
    Local2::from_shape_fn((rows, columns), |(i, j)| (10 * i + j) as f32)
}

const CHUNKS: [[isize; 2]; 4] = [[-1, -1], [2, 3], [1, -1], [3, 1]];

#[test]
fn many_positions_of_one_axis_are_gathered() {
    let n = 20_000;
    let x = Local::from_iter((0..n).map(|i| (i * 31 % 1009) as f64));
    let at: Vec<usize> = (0..9000).map(|i| i * 7919 % n).collect();
    let want = x.select(ndarray::Axis(0), &at);
    let from_the_end: Vec<isize> = at.iter().map(|i| *i as isize - n as isize).collect();
    for chunk in [-1, 777, 5000] {
        let a = Array::from(x.clone()).rechunk([chunk]);
        check(&a.take(Axis(0), from_the_end.clone()), &want);
        let lazy = line(&at.iter().map(|i| *i as u32).collect::<Vec<_>>(), 1000);
        check(&a.take(Axis(0), &lazy), &want);
        let beyond: Vec<isize> = (0..9000).map(|i| i + n as isize - 8999).collect();
        let error = a.try_take(Axis(0), beyond).unwrap_err();
        assert!(error.to_string().contains("slice 20000 of axis 0, which has length 20000"), "{error}");
    }
}

#[test]
fn positions_of_axes_are_taken_each_for_itself() {
    let x = matrix(7, 5);
    let (rows, columns) = ([-1isize, 0, 3, 3, -7], [4isize, 1, -2]);
    let (at_rows, at_columns) = ([6, 0, 3, 3, 0], [4, 1, 3]);
    let mask = [true, false, false, true, true, false, true];
    let by_mask = x.select(ndarray::Axis(0), &[0, 3, 4, 6]);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        check(&a.take(Axis(0), rows), &x.select(ndarray::Axis(0), &at_rows));
        check(&a.take(Axis(1), &line(&[4u8, 1, 3], 2)), &x.select(ndarray::Axis(1), &at_columns));
        check(&a.compress(Axis(0), &line(&mask, 4)), &by_mask);
        check(&a.take(Axis(0), &line(&[false; 7], 2)), &x.slice(s![..0, ..]).to_owned());
        check(
            &a.take(Axis(0), &line(&[false, true, false, false, false, false, false], 2)),
            &x.slice(s![1..2, ..]).to_owned(),
        );
        let both = a.select_axes(vec![(Axis(1), columns.into()), (Axis(0), (&line(&mask, 3)).into())]);
        check(&both, &by_mask.select(ndarray::Axis(1), &at_columns));
        check(&a.select_axes(vec![]), &x);
        // Positions that are the result of something.
        let order = line(&numbers(7, 90, 3), 2).argsort(Axis(0));
        let want: Vec<usize> = order.compute().iter().map(|i| *i as usize).collect();
        check(&a.take(Axis(0), &order), &x.select(ndarray::Axis(0), &want));
    }
    let a = Array::from(x);
    mistakes! {
        a.try_take(Axis(2), [0]), a.take(Axis(2), [0]) => "axis 2 is out of range for an array of 2 dimensions";
        a.try_take(Axis(0), [7]), a.take(Axis(0), [7]) =>
            "slice 7 of axis 0, which has length 7: positions within the axis";
        a.try_take(Axis(0), &arr1(&[-8i16])), a.take(Axis(0), &arr1(&[-8i16])) =>
            "slice -8 of axis 0, which has length 7: positions within the axis";
        a.try_take(Axis(0), &arr1(&[u64::MAX])), a.take(Axis(0), &arr1(&[u64::MAX])) =>
            format!("slice {} of axis 0, which has length 7: positions within the axis", i64::MAX);
        a.try_take(Axis(0), [isize::MIN]) =>
            format!("slice {} of axis 0, which has length 7: positions within the axis", isize::MIN);
        a.try_compress(Axis(1), &arr1(&mask)), a.compress(Axis(1), &arr1(&mask)) =>
            "elements of a mask: got 7 for 5 positions, expected one for each position of the axis";
        a.try_select_axes(vec![(Axis(0), [0].into()), (Axis(0), [1].into())]) =>
            "axes [0, 0] of an array of 2 dimensions: expected different ones";
    }
}

#[test]
fn lazy_positions_are_found_out_in_one_run() {
    let session = Session::embedded().unwrap();
    let _mine = processes_are_mine();
    let x = Array2::<f64>::in_chunks([10, 10]).ones((40, 40));
    let (mask, at) = (line(&[true; 40], 10), line(&[3i64; 8], 2));
    let before = session.n_tasks_done();
    let chosen = x.select_axes(vec![(Axis(0), (&mask).into()), (Axis(1), (&at).into())]);
    assert_eq!(chosen.dim(), (40, 8));
    assert_eq!(session.n_tasks_done(), before, "it runs on the current session alone");
}

#[test]
fn points_are_gathered_across_chunks() {
    for (n, m) in [(1, 1), (50, 7), (50, 200), (3, 1000)] {
        let x: Vec<i64> = numbers(n, 1 << 30, 7);
        let at: Vec<i64> =
            numbers(m, n as u64, 8).iter().map(|i| if i % 3 == 0 { i - n as i64 } else { *i }).collect();
        let want: Local<i64> = at.iter().map(|i| x[i.rem_euclid(n as i64) as usize]).collect();
        for (chunk, theirs) in [(n, m), (7, 9), (1, m), (n, 1.max(m / 40)), (4, 100)] {
            check(&line(&x, chunk).vindex(&[&line(&at, theirs)]), &want);
            check(&line(&x, chunk).take_along_axis(Axis(0), &line(&at, theirs)), &want);
        }
    }
    let x = Local3::from_shape_fn((4, 5, 6), |(i, j, k)| Complex::new((i * 10 + j) as f64, k as f64));
    let i = Local2::from_shape_vec((3, 4), numbers(12, 4, 1)).unwrap();
    let j = Local2::from_shape_vec((3, 4), numbers(12, 5, 2)).unwrap().mapv(|j| j - 5);
    let k = Local2::from_shape_vec((1, 4), numbers(4, 6, 3)).unwrap();
    let want =
        Local2::from_shape_fn((3, 4), |at| x[[i[at] as usize, (j[at] + 5) as usize, k[(0, at.1)] as usize]]);
    for chunks in [[2, 2, 2], [4, 5, 6], [1, 3, 6]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let [i, j, k] = [&i, &j, &k].map(|at| Array::from(at.clone()).rechunk(2));
        check(&a.vindex(&[&i, &j, &k]), &want);
    }
    let a = line(&[true, false, true], 2);
    check(&a.vindex(&[&line(&[2u32, 2], 1)]), &ndarray::arr1(&[true, true]));
    check(&a.vindex(&[&Array1::<i32>::zeros(0)]), &Local::from(Vec::<bool>::new()));
    let none = Array1::<f64>::zeros(0);
    let beyond = a.vindex(&[&arr1(&[0, 3])]).try_compute().unwrap_err().to_string();
    assert!(beyond.contains("got position 3, expected one of 3"), "{beyond}");
    mistakes! {
        a.try_vindex::<i32, ndarray::Ix1>(&[]), a.vindex::<i32, ndarray::Ix1>(&[]) =>
            "arrays of positions: got 0 for 1 axes, expected one for each axis";
        none.try_vindex(&[&arr1(&[0])]), none.vindex(&[&arr1(&[0])]) =>
            "slice 1 positions of axis 0, which has length 0: positions within the axis";
        Array2::<u8>::zeros((2, 2)).try_vindex(&[&arr1(&[0, 1, 1]), &arr1(&[0, 1])]) =>
            "shapes [3] and [2] cannot be broadcast together";
    }
}

#[test]
fn lanes_are_taken_by_positions_of_their_own() {
    let x = matrix(6, 8);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for axis in 0..2 {
            let mut lens = [6, 8];
            lens[axis] = 11;
            let at =
                Local2::from_shape_vec(lens, numbers(lens[0] * lens[1], x.shape()[axis] as u64, 5)).unwrap();
            let want = Local2::from_shape_fn(lens, |(i, j)| {
                let p = at[[i, j]] as usize;
                if axis == 0 { x[[p, j]] } else { x[[i, p]] }
            });
            let negative = at.mapv(|p| p - x.shape()[axis] as i64);
            for at in [at, negative] {
                check(&a.take_along_axis(Axis(axis), &Array::from(at).rechunk(&[4, 3][..])), &want);
            }
        }
        let order = a.argsort(Axis(1));
        check(&a.take_along_axis(Axis(1), &order), &a.sort(Axis(1)).compute());
    }
    let (a, at) = (Array::from(x), Array2::<i64>::zeros((5, 2)));
    mistakes! {
        a.try_take_along_axis(Axis(1), &at), a.take_along_axis(Axis(1), &at) =>
            "shapes [6, 8] and [5, 2] cannot be broadcast together";
        a.try_take_along_axis(Axis(2), &at), a.take_along_axis(Axis(2), &at) =>
            "axis 2 is out of range for an array of 2 dimensions";
    }
}

#[test]
fn places_that_are_not_zero_are_found() {
    for shape in [vec![13], vec![5, 7], vec![3, 4, 5], vec![0, 3]] {
        let n: usize = shape.iter().product();
        let x = ndarray::Array::from_shape_vec(IxDyn(&shape), numbers(n, 3, 4)).unwrap();
        let want: Vec<Vec<u64>> = x
            .indexed_iter()
            .filter(|(_, v)| **v != 0)
            .map(|(at, _)| (0..shape.len()).map(|a| at[a] as u64).collect())
            .collect();
        for chunk in [2, 100] {
            let a = Array::from(x.clone()).rechunk(chunk);
            for (axis, at) in a.nonzero().into_iter().enumerate() {
                assert_eq!(
                    at.compute().to_vec(),
                    want.iter().map(|p| p[axis]).collect::<Vec<_>>(),
                    "{shape:?}"
                );
            }
            let rows: Vec<Vec<u64>> = a.argwhere().compute().rows().into_iter().map(|r| r.to_vec()).collect();
            assert_eq!(rows, want);
        }
    }
    let z = arr1(&[Complex::new(0.0f32, 1.0), Complex::new(0.0, -0.0), Complex::new(f32::NAN, 0.0)]);
    check(&z.nonzero()[0], &ndarray::arr1(&[0, 2]));
    check(&arr1(&[true, false]).nonzero()[0], &ndarray::arr1(&[0]));
}

#[test]
fn row_major_positions_go_both_ways() {
    let at = numbers(40, 60, 6);
    let a = line(&at, 7);
    let parts = a.unravel_index(&[3, 4, 5]);
    for (axis, (behind, len)) in [(20, 3), (5, 4), (1, 5)].into_iter().enumerate() {
        check(&parts[axis], &at.iter().map(|i| (i / behind % len) as u64).collect::<Local<u64>>());
    }
    let want = at.iter().map(|i| *i as u64).collect::<Local<u64>>();
    check(&ravel_multi_index(&[&parts[0], &parts[1], &parts[2]], &[3, 4, 5]), &want);
    let beyond = arr1(&[60]).unravel_index(&[3, 4, 5])[0].try_compute().unwrap_err().to_string();
    assert!(beyond.contains("got position 60, expected one of 60"), "{beyond}");
    mistakes! {
        a.try_unravel_index(&[usize::MAX, 2]), a.unravel_index(&[usize::MAX, 2]) =>
            format!("an array of shape [{}, 2] with 1-byte elements has more bytes than an address can hold", usize::MAX);
        try_ravel_multi_index(&[&a], &[3, 4]), ravel_multi_index(&[&a], &[3, 4]) =>
            "arrays of positions: got 1 for 2 axes, expected one for each axis";
        try_ravel_multi_index::<i64, ndarray::Ix1>(&[], &[]) => "ravel_multi_index of no arrays";
    }
}

#[test]
fn arrays_are_chosen_between() {
    let (x, y, z) = (line(&[1, 2, 3, 4], 3), line(&[10, 20, 30, 40], 2), arr1(&[100]));
    check(&choose(&line(&[0u8, 2, 1, 0], 2), &[&x, &y, &z]), &ndarray::arr1(&[1, 100, 30, 4]));
    check(&choose(&arr1(&[-1, 0]), &[&z]), &ndarray::arr1(&[100, 100]));
    let beyond = choose(&arr1(&[1, 2]), &[&z, &z]).try_compute().unwrap_err().to_string();
    assert!(beyond.contains("got position 2, expected one of 2"), "{beyond}");
    let (small, large) = (x.less(2), x.greater(1));
    check(&select(&[&small, &large], &[&x, &y], 0), &ndarray::arr1(&[1, 20, 30, 40]));
    check(&select(&[&small], &[&z], -7), &ndarray::arr1(&[100, -7, -7, -7]));
    mistakes! {
        try_choose::<i32, i32, ndarray::Ix1>(&x, &[]), choose::<i32, i32, ndarray::Ix1>(&x, &[]) => "choose of no arrays";
        try_select(&[&small], &[&x, &y], 0), select(&[&small], &[&x, &y], 0) =>
            "conditions: got 1 for 2 arrays, expected one for each array";
        try_select::<i32, ndarray::Ix1>(&[], &[], 0) =>
            "conditions: got 0 for 0 arrays, expected one for each array";
    }
}

#[test]
fn slices_are_assigned_as_ndarray_does() {
    let x = matrix(7, 6);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        macro_rules! assigned {
            ($($slice:expr),*) => { $(
                let mut want = x.clone();
                let lens = want.slice($slice).raw_dim();
                let values = counted(lens);
                want.slice_mut($slice).assign(&values);
                let got = a.with_slice($slice, &Array::from(values).rechunk(2));
                check(&got, &want);
                assert_eq!(got.chunks(), a.chunks());
                let mut want = x.clone();
                want.slice_mut($slice).fill(0.5);
                check(&a.with_slice($slice, 0.5), &want);
            )* };
        }
        assigned!(s![.., ..], s![1..3, 2..], s![2, ..], s![-1, 1..;2], s![..;3, ..;-1], s![1..6;-2, 5]);
        assigned!(s![6..;4, ..], s![..;-7, ..;-4], s![3..3, ..], s![.., 5..;-9], s![2, 3]);
        check(&a, &x);
    }
    let a = Array::from(x);
    mistakes! {
        a.try_with_slice(s![8.., ..], 0.0), a.with_slice(s![8.., ..], 0.0) =>
            "slice 8..;1 of axis 0, which has length 7: positions within the axis";
        a.try_with_slice(s![..2, ..2], &arr1(&[1.0, 2.0, 3.0])), a.with_slice(s![..2, ..2], &arr1(&[1.0, 2.0, 3.0])) =>
            "an array of shape [3] cannot be broadcast to shape [2, 2]";
        a.try_with_slice(s![.., ndarray::NewAxis, ..], 0.0) =>
            "slice to assign to: got a new axis, expected slices and positions: the values may have fewer axes";
    }
}

#[test]
fn masks_positions_and_points_are_assigned() {
    let x = matrix(7, 6);
    let mask = x.mapv(|v| v as i32 % 3 == 0);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let m = Array::from(mask.clone()).rechunk(4);
        let filled = a.with_mask(&m, -1.0);
        check(&filled, &Local2::from_shape_fn((7, 6), |at| if mask[at] { -1.0 } else { x[at] }));
        assert_eq!(filled.chunks(), a.chunks());
        check(
            &a.with_mask(&m, &arr1(&[0.5; 6])),
            &Local2::from_shape_fn((7, 6), |at| if mask[at] { 0.5 } else { x[at] }),
        );
        let n = mask.iter().filter(|m| **m).count();
        let values: Vec<f32> = (0..n).map(|i| -(i as f32)).collect();
        let mut next = values.iter();
        let want = Local2::from_shape_fn((7, 6), |at| if mask[at] { *next.next().unwrap() } else { x[at] });
        check(&a.with_masked(&m, &line(&values, 4)), &want);
        let (mut want, rows) = (x.clone(), matrix(3, 6) * -1.0);
        for (row, at) in [(0, 6), (1, 2), (2, 6)] {
            want.row_mut(at).assign(&rows.row(row));
        }
        check(&a.with_positions(Axis(0), [-1, 2, 6], &Array::from(rows)), &want);
        let mut want = x.clone();
        want.column_mut(1).fill(9.0);
        check(&a.with_positions(Axis(1), &line(&[1i64], 1), 9.0), &want);
        check(&a.with_positions(Axis(1), [], 9.0), &x);
        // Of several values for one point it is the last.
        let at = numbers(60, 42, 9);
        let values: Vec<f32> = (0..60).map(|i| i as f32 / 2.0).collect();
        let mut want = x.clone();
        at.iter().zip(&values).for_each(|(at, v)| want[[*at as usize / 6, *at as usize % 6]] = *v);
        for theirs in [60, 7, 1] {
            check(&a.put(&line(&at, theirs), &line(&values, 11)), &want);
            let points = line(&at, theirs).unravel_index(&[7, 6]);
            check(&a.with_points(&[&points[0], &points[1]], &line(&values, 5)), &want);
        }
        check(
            &a.put(&arr1(&[-1]), &arr1(&[3.0])).row(6).to_owned().slice(s![5..]).to_owned(),
            &ndarray::arr1(&[3.0]),
        );
    }
    let (a, m) = (Array::from(x), Array::from(mask));
    let beyond = a.put(&arr1(&[42]), &arr1(&[0.0])).try_compute().unwrap_err().to_string();
    assert!(beyond.contains("got position 42, expected one of 42"), "{beyond}");
    let (two, line) = (arr1(&[1.0, 2.0]), Array1::<bool>::from_elem(4, true));
    mistakes! {
        a.try_with_masked(&m, &two), a.with_masked(&m, &two) =>
            "values to put: got 2 for 14, expected one for each place where the mask is true, or one for all";
        a.try_put(&arr1(&[1, 2, 3]), &two), a.put(&arr1(&[1, 2, 3]), &two) =>
            "values to put: got 2 for 3, expected one for each position, or one for all";
        a.try_with_positions(Axis(0), [0], &two), a.with_positions(Axis(0), [0], &two) =>
            "an array of shape [2] cannot be broadcast to shape [1, 6]";
        two.try_with_mask(&line, 0.0), two.with_mask(&line, 0.0) =>
            "an array of shape [4] cannot be broadcast to shape [2]";
        two.try_with_masked(&line, &two), two.with_masked(&line, &two) => "shapes [2] and [4] cannot be broadcast together";
    }
}

#[test]
fn positions_are_put_in_and_left_out() {
    let x = matrix(9, 4);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        check(&a.delete(Axis(0), [2, -1, 2]), &x.select(ndarray::Axis(0), &[0, 1, 3, 4, 5, 6, 7]));
        check(
            &a.delete(Axis(1), &line(&[true, false, true, false], 3)),
            &x.select(ndarray::Axis(1), &[1, 3]),
        );
        check(&a.delete(Axis(1), [0, 1, 2, 3]), &x.slice(s![.., ..0]).to_owned());
        check(&a.delete(Axis(1), []), &x);
        // numpy.insert(x, positions, values, axis)
        let rows = [matrix(2, 4) - 50.0, matrix(2, 4) + 50.0];
        let row = |i: usize| rows[0].row(i);
        let want =
            ndarray::concatenate![ndarray::Axis(0), x.slice(s![..3, ..]), rows[0], x.slice(s![3.., ..])];
        check(&a.insert(Axis(0), &[3], &Array::from(rows[0].clone())), &want);
        let one = |i: usize| row(i).insert_axis(ndarray::Axis(0));
        let want = ndarray::concatenate![
            ndarray::Axis(0),
            x.slice(s![..1, ..]),
            one(1),
            x.slice(s![1.., ..]),
            one(0)
        ];
        check(&a.insert(Axis(0), &[9, -8], &Array::from(rows[0].clone())), &want);
        let want = ndarray::concatenate![
            ndarray::Axis(1),
            x.slice(s![.., ..2]),
            Local2::from_elem((9, 2), 5.0),
            x.slice(s![.., 2..])
        ];
        check(&a.insert(Axis(1), &[2, 2], 5.0), &want);
    }
    // More than are cut apart.
    let long: Vec<i64> = (0..1000).collect();
    let odd: Vec<isize> = (0..1000).filter(|i| i % 2 == 1).collect();
    let want: BTreeSet<i64> = long.iter().copied().filter(|i| i % 2 == 0).collect();
    check(&line(&long, 64).delete(Axis(0), odd.clone()), &want.into_iter().collect::<Local<i64>>());
    let want: Local<i64> =
        long.iter().flat_map(|i| if i % 2 == 1 { vec![-1, *i] } else { vec![*i] }).collect();
    check(&line(&long, 64).insert(Axis(0), &odd, -1), &want);
    let a = arr1(&[1, 2]);
    mistakes! {
        a.try_delete(Axis(0), [2]), a.delete(Axis(0), [2]) =>
            "slice 2 of axis 0, which has length 2: positions within the axis";
        a.try_insert(Axis(0), &[3], 0), a.insert(Axis(0), &[3], 0) =>
            "slice 3 of axis 0, which has length 2: positions within the axis";
        a.try_insert(Axis(1), &[0], 0), a.insert(Axis(1), &[0], 0) =>
            "axis 1 is out of range for an array of 1 dimensions";
        a.try_insert(Axis(0), &[0, 1, 2], &a), a.insert(Axis(0), &[0, 1, 2], &a) =>
            "an array of shape [2] cannot be broadcast to shape [3]";
    }
}

#[test]
fn picks_are_the_same_on_processes() {
    let _mine = processes_are_mine();
    let x: Array2<f64> = tilework::random::in_chunks([7, 5]).uniform((40, 30), -4.0..4.0, 5);
    let at = line(&numbers(500, 1200, 2), 60).unravel_index(&[40, 30]);
    let of = || {
        let found = x.vindex(&[&at[0], &at[1]]).compute();
        let put = x.with_points(&[&at[0], &at[1]], &line(&vec![1.5; 500], 70)).compute();
        let mask = x.mean_axis(Axis(1)).unwrap().greater(0.0);
        (found, put, x.compress(Axis(0), &mask).compute(), x.argwhere().compute())
    };
    let here = of();
    let session = Session::processes(2).expect("processes");
    assert_eq!(of(), here);
    drop(session);
    Session::close_current();
}
