//! Elements in other places, against ndarray and the values that NumPy gives: parts, blocks, diagonals, triangles, windows, and
//! what lies around an array.

use crate::support::{check, mistakes, processes_are_mine};
use ndarray::{Array1 as Local, Array2 as Local2, Array3 as Local3, IxDyn};
use tilework::prelude::*;
use tilework::{Pad, Session, block, tril_indices, triu_indices, try_block};

fn matrix(rows: usize, columns: usize) -> Local2<i64> {
    Local2::from_shape_fn((rows, columns), |(i, j)| (10 * i + j) as i64)
}

const CHUNKS: [[isize; 2]; 4] = [[-1, -1], [2, 3], [1, -1], [3, 1]];

#[test]
fn arrays_are_taken_apart_and_put_together() {
    let x = matrix(4, 6);
    for chunks in CHUNKS {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let lens: Vec<usize> = a.array_split(Axis(1), 4).iter().map(|p| p.ncols()).collect();
        assert_eq!(lens, [2, 2, 1, 1]);
        for (part, range) in a.array_split(Axis(1), [2, 1, 9]).iter().zip([(0, 2), (2, 2), (1, 6), (6, 6)]) {
            check(part, &x.slice(s![.., range.0..range.1]).to_owned());
        }
        check(&a.vsplit(2)[1], &x.slice(s![2.., ..]).to_owned());
        check(&a.hsplit(3)[1], &x.slice(s![.., 2..4]).to_owned());
        check(&a.row(1).to_owned().hsplit(2)[1], &x.slice(s![1, 3..]).to_owned());
        check(
            &a.clone().insert_axis(Axis(0)).dsplit([4])[1],
            &x.slice(s![ndarray::NewAxis, .., 4..]).to_owned(),
        );
        let [left, right] = &a.hsplit([2])[..] else { panic!("two parts") };
        let [a00, a10] = &left.vsplit([1])[..] else { panic!("two parts") };
        let [a01, a11] = &right.vsplit([1])[..] else { panic!("two parts") };
        check(&block(&[&[a00, a01], &[a10, a11]]), &x);
    }
    let line = arr1(&[1, 2, 3]);
    check(&block(&[&[&line, &line]]), &Local::from(vec![1, 2, 3, 1, 2, 3]));
    let square = Array::from(matrix(2, 2));
    mistakes! {
        line.try_array_split(Axis(1), 2), line.array_split(Axis(1), 2) =>
            "axis 1 is out of range for an array of 1 dimensions";
        line.try_array_split(Axis(0), 0), line.array_split(Axis(0), 0) =>
            "number of parts: got 0, expected at least one";
        line.try_split(Axis(0), 2), line.split(Axis(0), 2) =>
            "number of parts: got 2 of 3 positions, expected a number that the length is a multiple of: `array_split` takes any";
        line.try_vsplit(1), line.vsplit(1) => "axis 1 is out of range for an array of 1 dimensions";
        square.try_dsplit(1), square.dsplit(1) => "axis 2 is out of range for an array of 2 dimensions";
        try_block::<i32, ndarray::Ix1>(&[]), block::<i32, ndarray::Ix1>(&[]) => "concatenation of no arrays";
        try_block(&[&[&line], &[&line]]), block(&[&[&line], &[&line]]) =>
            "axis 1 is out of range for an array of 1 dimensions";
        try_block(&[&[&square], &[&square, &square]]), block(&[&[&square], &[&square, &square]]) =>
            "array 1 has shape [2, 4]; along every axis but 0 it must agree with the first, [2, 2]";
    }
}

#[test]
fn diagonals_and_triangles_are_those_of_a_loop() {
    for (rows, columns) in [(5, 5), (4, 7), (7, 3), (1, 1), (0, 3)] {
        let x = matrix(rows, columns);
        for chunks in CHUNKS {
            let a = Array::from(x.clone()).rechunk(&chunks[..]);
            for k in [-8isize, -2, -1, 0, 1, 3, 9] {
                let of = |i: usize, j: usize| j as isize - i as isize;
                let on: Vec<i64> =
                    x.indexed_iter().filter(|((i, j), _)| of(*i, *j) == k).map(|(_, v)| *v).collect();
                check(&a.diagonal(k, (Axis(0), Axis(1))), &Local::from(on.clone()));
                check(&a.diagonal(-k, (Axis(1), Axis(0))), &Local::from(on));
                let ones = Local2::from_shape_fn((rows, columns), |(i, j)| u8::from(of(i, j) <= k));
                check(&Array2::<u8>::tri((rows, columns), k), &ones);
                for upper in [false, true] {
                    let within = |i: usize, j: usize| if upper { of(i, j) >= k } else { of(i, j) <= k };
                    let want: Vec<(u64, u64)> = (0..rows)
                        .flat_map(|i| (0..columns).map(move |j| (i, j)))
                        .filter(|(i, j)| within(*i, *j))
                        .map(|(i, j)| (i as u64, j as u64))
                        .collect();
                    let places = if upper { triu_indices } else { tril_indices };
                    let (i, j) = places((rows, columns), k);
                    let (i, j) = (i.rechunk(3).compute(), j.rechunk(3).compute());
                    assert_eq!(
                        i.into_iter().zip(j).collect::<Vec<_>>(),
                        want,
                        "{rows} {columns} {k} {upper}"
                    );
                }
            }
        }
    }
    let cube = Local3::from_shape_fn((3, 4, 3), |(i, j, k)| Complex::new((i * 10 + j) as f32, k as f32));
    let a = Array::from(cube.clone()).rechunk(&[2, 3, 1][..]);
    let want = Local2::from_shape_fn((4, 3), |(j, d)| cube[[d, j, d]]);
    check(&a.diagonal(0, (Axis(0), Axis(2))), &want);
    let diag = arr1(&[1.5f32, 2.5]);
    check(&Array::from_diag_at(&diag, 1), &ndarray::arr2(&[[0., 1.5, 0.], [0., 0., 2.5], [0., 0., 0.]]));
    check(&Array::from_diag_at(&diag, 0), &ndarray::arr2(&[[1.5, 0.], [0., 2.5]]));
    check(&Array::from_diag_at(&Array1::<i8>::zeros(0), -1), &ndarray::arr2(&[[0]]));
    mistakes! {
        a.try_diagonal(0, (Axis(1), Axis(1))), a.diagonal(0, (Axis(1), Axis(1))) =>
            "axes [1, 1] of an array of 3 dimensions: expected two different ones";
        a.try_diagonal(0, (Axis(0), Axis(3))), a.diagonal(0, (Axis(0), Axis(3))) =>
            "axis 3 is out of range for an array of 3 dimensions";
        Array2::<u8>::try_tri((usize::MAX, 2), 0), Array2::<u8>::tri((usize::MAX, 2), 0) =>
            format!("an array of shape [{}, 2] with 8-byte elements has more bytes than an address can hold", usize::MAX);
        tilework::try_tril_indices((usize::MAX, 4), 9), tril_indices((usize::MAX, 4), 9) =>
            format!("an array of shape [{}, 4] with 8-byte elements has more bytes than an address can hold", usize::MAX);
    }
}

#[test]
fn a_diagonal_reads_the_chunks_it_goes_through() {
    let session = Session::embedded().unwrap();
    let x = Array2::<f64>::in_chunks([100, 100]).ones((10_000, 10_000)).sin();
    let before = session.n_tasks_done();
    let diagonal = x.diagonal(3, (Axis(0), Axis(1))).try_compute_on(&session).unwrap();
    assert_eq!(diagonal.len(), 9_997);
    let n_tasks = session.n_tasks_done() - before;
    assert!(n_tasks <= 600, "{n_tasks} tasks of 10,000 chunks");
}

#[test]
fn kronecker_products_are_ndarrays() {
    let (a, b) = (matrix(3, 2), matrix(2, 5).mapv(|v| v - 7));
    let want = ndarray::linalg::kron(&a, &b);
    for (i, j) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        let (x, y) =
            (Array::from(a.clone()).rechunk(&CHUNKS[i][..]), Array::from(b.clone()).rechunk(&CHUNKS[j][..]));
        check(&x.kron(&y), &want);
    }
    check(&Array::from(a.clone()).kron(&Array2::zeros((0, 2))), &Local2::zeros((0, 4)));
}

#[test]
fn axes_are_moved_and_added_as_numpy_does() {
    let a = Array3::<u8>::zeros((2, 3, 4));
    // numpy.rollaxis(a, axis, start).shape
    for (axis, start, want) in
        [(0, 3, [3, 4, 2]), (2, 0, [4, 2, 3]), (1, 1, [2, 3, 4]), (1, 2, [2, 3, 4]), (2, 1, [2, 4, 3])]
    {
        assert_eq!(a.rollaxis(Axis(axis), start).shape(), want, "{axis} {start}");
    }
    let of = |ndim: usize| Array::from(ndarray::Array::<i32, _>::ones(IxDyn(&[2, 3, 4, 5][..ndim])));
    let shapes = |x: ArrayD<i32>| {
        [x.atleast_1d(), x.atleast_2d(), x.atleast_3d()].map(|y| y.compute().shape().to_vec())
    };
    assert_eq!(shapes(of(0)), [vec![1], vec![1, 1], vec![1, 1, 1]]);
    assert_eq!(shapes(of(1)), [vec![2], vec![1, 2], vec![1, 2, 1]]);
    assert_eq!(shapes(of(2)), [vec![2, 3], vec![2, 3], vec![2, 3, 1]]);
    assert_eq!(shapes(of(4)), [vec![2, 3, 4, 5], vec![2, 3, 4, 5], vec![2, 3, 4, 5]]);
    mistakes! {
        a.try_rollaxis(Axis(3), 0), a.rollaxis(Axis(3), 0) => "axis 3 is out of range for an array of 3 dimensions";
        a.try_rollaxis(Axis(0), 4), a.rollaxis(Axis(0), 4) => "axis 4 is out of range for an array of 3 dimensions";
    }
}

#[test]
fn windows_are_ndarrays() {
    let x = matrix(9, 7).mapv(|v| v as f32);
    for chunks in CHUNKS.into_iter().chain([[4, 4], [1, 1]]) {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for axis in 0..2 {
            for window in [1, 2, 3, x.shape()[axis]] {
                let mut shape = [9, 7, window];
                shape[axis] -= window - 1;
                let want = Local3::from_shape_fn((shape[0], shape[1], window), |(i, j, w)| {
                    if axis == 0 { x[[i + w, j]] } else { x[[i, j + w]] }
                });
                check(&a.sliding_window_view(Axis(axis), window), &want);
            }
        }
    }
    check(&Array2::<u8>::zeros((4, 0)).sliding_window_view(Axis(0), 2), &Local3::zeros((3, 0, 2)));
    // Cut smaller where windows are many times the array.
    let long = Array1::<f64>::in_chunks(1 << 20).ones(1 << 20).sliding_window_view(Axis(0), 1 << 12);
    assert!(long.chunks()[0].iter().all(|len| len * (8 << 12) <= 16 << 20), "{:?}", long.chunks()[0]);
    let a = arr1(&[1, 2, 3]);
    mistakes! {
        a.try_sliding_window_view(Axis(0), 0), a.sliding_window_view(Axis(0), 0) =>
            "positions of a window: got 0 along an axis of length 3, expected at least 1, at most the length";
        a.try_sliding_window_view(Axis(0), 4), a.sliding_window_view(Axis(0), 4) =>
            "positions of a window: got 4 along an axis of length 3, expected at least 1, at most the length";
        a.try_sliding_window_view(Axis(1), 1), a.sliding_window_view(Axis(1), 1) =>
            "axis 1 is out of range for an array of 1 dimensions";
    }
}

#[test]
fn arrays_are_padded_with_what_their_lanes_come_to() {
    // numpy.pad([1, 2, 4, 10], (3, 2), mode)
    for chunk in [1, 3, 4] {
        let a = Array::from_vec_chunked(vec![1i32, 2, 4, 10], chunk);
        let padded = |pad| a.pad(Axis(0), (3, 2), pad).compute().to_vec();
        assert_eq!(padded(Pad::Maximum), [10, 10, 10, 1, 2, 4, 10, 10, 10]);
        assert_eq!(padded(Pad::Minimum), [1, 1, 1, 1, 2, 4, 10, 1, 1]);
        assert_eq!(padded(Pad::Mean), [4, 4, 4, 1, 2, 4, 10, 4, 4]);
        assert_eq!(padded(Pad::Median), [3, 3, 3, 1, 2, 4, 10, 3, 3]);
        assert_eq!(padded(Pad::LinearRamp(-5)), [-5, -3, -1, 1, 2, 4, 10, 2, -5]);
        let a = Array::from_vec_chunked(vec![1.0, 2.0, 4.0, 10.0], chunk);
        let padded = |pad| a.pad(Axis(0), (2, 2), pad).compute().to_vec();
        assert_eq!(padded(Pad::Mean), [4.25, 4.25, 1.0, 2.0, 4.0, 10.0, 4.25, 4.25]);
        assert_eq!(padded(Pad::Median), [3.0, 3.0, 1.0, 2.0, 4.0, 10.0, 3.0, 3.0]);
        assert_eq!(padded(Pad::LinearRamp(0.0)), [0.0, 0.5, 1.0, 2.0, 4.0, 10.0, 5.0, 0.0]);
    }
    let halves = arr1(&[1u8, 2]).pad(Axis(0), (1, 0), Pad::Mean);
    assert_eq!(halves.compute().to_vec(), [2, 1, 2]);
    let x = arr2(&[[1.0f32, f32::NAN], [3.0, 4.0]]).rechunk(&[1, 1][..]);
    let got = x.pad(Axis(1), (1, 0), Pad::Maximum).compute();
    assert!(got[[0, 0]].is_nan() && got[[1, 0]] == 4.0);
    let z = arr1(&[Complex::new(1.0, 2.0)]);
    mistakes! {
        z.try_pad(Axis(0), (1, 0), Pad::Maximum), z.pad(Axis(0), (1, 0), Pad::Maximum) =>
            "max is not defined for elements of Complex64";
        z.try_pad(Axis(0), (1, 0), Pad::LinearRamp(z[0])), z.pad(Axis(0), (1, 0), Pad::LinearRamp(z[0])) =>
            "conversion to f64 is not defined for elements of Complex64";
        Array1::<f64>::zeros(0).try_pad(Axis(0), (1, 0), Pad::Mean) =>
            "elements to pad with: got none along axis 0, expected at least one, but with a constant";
    }
}

#[test]
fn places_are_the_same_on_processes() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let x = Array::from(matrix(23, 17)).rechunk(&[5, 4][..]);
    let diagonal = x.diagonal(-2, (Axis(0), Axis(1)));
    assert_eq!(diagonal.try_compute_on(&session).unwrap(), diagonal.compute());
    let windows = x.sliding_window_view(Axis(0), 6);
    assert_eq!(windows.try_compute_on(&session).unwrap(), windows.compute());
    let (rows, _) = tril_indices((23, 17), 1);
    assert_eq!(rows.try_compute_on(&session).unwrap(), rows.compute());
    Session::close_current();
}
