//! Functions of the blocks of several arrays: letters, lengths, places, neighbours; and what does not fit.

use ndarray::{Array1 as Local, Array2 as Local2, Array3 as Local3};
use std::sync::atomic::{AtomicUsize, Ordering};
use tilework::prelude::*;
use tilework::{apply_gufunc, blockwise};

fn numbers(shape: (usize, usize)) -> Local2<i64> {
    Local2::from_shape_fn(shape, |(i, j)| (i * 31 + j * 17) as i64 % 23 - 9)
}

#[test]
fn several_arrays_of_any_chunks_are_seen_block_by_block() {
    let (x, y) = (numbers((10, 6)), numbers((10, 6)).mapv(|v| v as f64 / 2.0));
    let row = Local::from_shape_fn(6, |j| j as i32);
    for (cx, cy, cr) in [([4, 3], [3, 6], 2), ([10, 6], [1, 1], 6), ([3, 2], [10, 2], 4)] {
        let (a, b) = (Array::from(x.clone()).rechunk(&cx[..]), Array::from(y.clone()).rechunk(&cy[..]));
        let r = Array::from(row.clone()).rechunk(cr);
        let want = Local2::from_shape_fn((10, 6), |at| x[at] as f64 * y[at] + f64::from(row[at.1]));
        let got = blockwise((&a, &b, &r)).map(|a, b, r| {
            let mut out = a.mapv(|v| v as f64) * b;
            out += &r.mapv(f64::from);
            out
        });
        assert_eq!(got.compute(), want, "{cx:?} {cy:?} {cr}");
        let got = blockwise((&a, &b)).map_with(3.0, |a, b, k| &a.mapv(|v| v as f64) + &(&b * *k));
        assert_eq!(got.compute(), x.mapv(|v| v as f64) + &y * 3.0);
        // Through views: a transposed and a sliced array.
        let (t, s) = (a.t().to_owned(), b.slice(s![..;-1, ..]).to_owned());
        let got = blockwise((&t, &s)).letters("ji,ij->ij").map(|t, s| &t.t().mapv(|v| v as f64) - &s);
        assert_eq!(got.compute(), x.mapv(|v| v as f64) - y.slice(s![..;-1, ..]));
    }
}

#[test]
fn letters_drop_add_and_contract_axes() {
    let (x, y) = (numbers((9, 7)), numbers((7, 5)));
    let (a, b) = (Array::from(x.clone()).rechunk(&[4, 3][..]), Array::from(y.clone()).rechunk(&[2, 2][..]));
    let product = blockwise((&a, &b)).letters("ij,jk->ik").map(|x, y| x.dot(&y));
    assert_eq!(product.compute(), x.dot(&y));
    let sums = blockwise((&a,)).letters("ij->i").map(|x| x.sum_axis(ndarray::Axis(1)));
    assert_eq!(sums.compute(), x.sum_axis(ndarray::Axis(1)));
    let powers = blockwise((&a,))
        .letters("ij->kij")
        .size('k', 3)
        .map(|x| Local3::from_shape_fn((3, x.nrows(), x.ncols()), |(k, i, j)| x[[i, j]].pow(k as u32)));
    assert_eq!(powers.compute(), Local3::from_shape_fn((3, 9, 7), |(k, i, j)| x[[i, j]].pow(k as u32)));
    let new = blockwise((&a,)).letters("ij->ki").sizes('k', [2, 1]).map_at(|at, x| {
        let (first, n) = (at.ranges()[0].start, at.block_shape()[0]);
        Local2::from_shape_fn((n, x.nrows()), |(k, i)| x.row(i).sum() * (first + k) as i64)
    });
    assert_eq!(new.compute(), Local2::from_shape_fn((3, 9), |(k, i)| x.row(i).sum() * k as i64));
    let halved =
        blockwise((&a,)).letters("ij->ij").sizes('i', [2, 2, 1]).map(|x| x.slice(s![..;2, ..]).to_owned());
    let want = ndarray::concatenate![
        ndarray::Axis(0),
        x.slice(s![..4;2, ..]),
        x.slice(s![4..8;2, ..]),
        x.slice(s![8.., ..])
    ];
    assert_eq!(halved.compute(), want);
    // An axis of length 1 is repeated.
    let column = Array::from(x.slice(s![.., ..1]).to_owned()).rechunk(&[2, 1][..]);
    let got = blockwise((&a, &column)).map(|x, c| &x + &c);
    assert_eq!(got.compute(), &x + &x.slice(s![.., ..1]));
}

#[test]
fn places_say_where_a_block_is() {
    let x = Array2::<f64>::in_chunks([3, 2]).zeros((7, 5));
    let got = blockwise((&x,)).map_at(|at, x| {
        assert_eq!((at.counts(), at.shape(), at.ranges()), (&[3, 3][..], &[7, 5][..], at.reads()));
        assert_eq!(at.block_shape(), x.shape());
        Local2::from_elem(x.raw_dim(), (at.index()[0] * 10 + at.index()[1]) as i32)
    });
    assert_eq!(got.compute(), Local2::from_shape_fn((7, 5), |(i, j)| (i / 3 * 10 + j / 2) as i32));
    let got = blockwise((&x,))
        .map_at_with(7, |at, x, k: &i32| Local2::from_elem(x.raw_dim(), at.index()[0] as i32 * k));
    assert_eq!(got.compute(), Local2::from_shape_fn((7, 5), |(i, _)| (i / 3 * 7) as i32));
    let made = Array2::from_block_fn((7, 5), &[3, 2][..], 1000i64, |at, k| {
        let (rows, columns) = (at.ranges()[0].clone(), at.ranges()[1].clone());
        Local2::from_shape_fn((rows.len(), columns.len()), |(i, j)| {
            k + ((rows.start + i) * 10 + columns.start + j) as i64
        })
    });
    assert_eq!(made.compute(), Local2::from_shape_fn((7, 5), |(i, j)| 1000 + (i * 10 + j) as i64));
}

#[test]
fn neighbours_of_several_arrays_are_seen_to_any_depth_on_either_side() {
    let (x, y) = (numbers((12, 5)), numbers((12, 5)).mapv(|v| v * 3));
    let (a, b) = (Array::from(x.clone()).rechunk(&[5, 2][..]), Array::from(y.clone()).rechunk(&[4, 5][..]));
    // Two rows before and one behind, in a ring.
    let got = blockwise((&a, &b)).overlap([(2, 1), (0, 0)], Boundary::Periodic).map(|x, y| {
        let n = x.nrows() - 3;
        let row = |i: usize| &(&x.row(i) + &x.row(i + 1)) - &(&y.row(i + 2) * &y.row(i + 3));
        Local2::from_shape_fn((n, x.ncols()), |(i, j)| row(i)[j])
    });
    let at = |m: &Local2<i64>, i: isize, j: usize| m[[i.rem_euclid(12) as usize, j]];
    let want = Local2::from_shape_fn((12, 5), |(i, j)| {
        let i = i as isize;
        at(&x, i - 2, j) + at(&x, i - 1, j) - at(&y, i, j) * at(&y, i + 1, j)
    });
    assert_eq!(got.compute(), want);
    // One array, by the method; what is given with its neighbours is cut.
    let last = a.map_overlap((1, 0), Boundary::constant(100i64), |x| {
        let mut out = x.to_owned();
        (1..x.nrows()).for_each(|i| (1..x.ncols()).for_each(|j| out[[i, j]] = x[[i - 1, j - 1]]));
        out
    });
    let before = |i: usize, j: usize| if i == 0 || j == 0 { 100 } else { x[[i - 1, j - 1]] };
    assert_eq!(last.compute(), Local2::from_shape_fn((12, 5), |(i, j)| before(i, j)));
}

#[test]
fn functions_of_several_results_are_called_once_a_block() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let x = numbers((10, 6));
    for cx in [[10, 6], [3, 2], [1, 6]] {
        let a = Array::from(x.clone()).rechunk(&cx[..]);
        CALLS.store(0, Ordering::Relaxed);
        let (most, sorted, even) =
            apply_gufunc("(i)->(),(i),(j)", (&a,)).size('j', 2).map_many_with(3, |x, k| {
                CALLS.fetch_add(1, Ordering::Relaxed);
                let mut sorted = x.mapv(|v| v as f32);
                sorted
                    .rows_mut()
                    .into_iter()
                    .for_each(|mut row| row.as_slice_mut().unwrap().sort_by(f32::total_cmp));
                let even = Local2::from_shape_fn((x.nrows(), 2), |(i, j)| x[[i, j]] % k == 0);
                (x.map_axis(ndarray::Axis(1), |row| *row.iter().max().unwrap()), sorted, even)
            });
        let (most, sorted, even) = tilework::compute_all(&(&most, &sorted, &even));
        assert_eq!(CALLS.load(Ordering::Relaxed), 10usize.div_ceil(cx[0] as usize));
        assert_eq!(most, x.map_axis(ndarray::Axis(1), |row| *row.iter().max().unwrap()));
        let mut want = x.mapv(|v| v as f32);
        want.rows_mut().into_iter().for_each(|mut row| row.as_slice_mut().unwrap().sort_by(f32::total_cmp));
        assert_eq!(sorted, want);
        assert_eq!(even, Local2::from_shape_fn((10, 2), |(i, j)| x[[i, j]] % 3 == 0));
    }
    // Of all axes there is one call; along the loop's axes arrays broadcast; and of no elements there is nothing.
    let a = Array::from(x.clone()).rechunk(&[3, 4][..]);
    let row = Array::from(x.row(0).to_owned()).rechunk(2);
    let (least, sum) = apply_gufunc("(i,j)->(),()", (&a,)).map_many(|x| {
        (ndarray::arr0(*x.iter().min().unwrap()), ndarray::arr0(x.iter().map(|v| *v as f64).sum::<f64>()))
    });
    assert_eq!((least.sum(), sum.sum()), (*x.iter().min().unwrap(), x.iter().sum::<i64>() as f64));
    let (sum, by) = apply_gufunc("(),()->(),()", (&a, &row)).map_many(|x, r| (&x + &r, &x * &r));
    assert_eq!((sum.compute(), by.compute()), (&x + &x.row(0), &x * &x.row(0)));
    for shape in [(0, 6), (10, 0)] {
        let none = Array2::<i64>::zeros(shape);
        let (n, same) = apply_gufunc("(i)->(),(i)", (&none,))
            .map_many(|x| (x.map_axis(ndarray::Axis(1), |row| row.len() as u8), x.to_owned()));
        let want = Local::from_elem(shape.0, shape.1 as u8);
        assert_eq!((n.compute(), same.compute()), (want, Local2::zeros(shape)));
    }
}

#[test]
fn several_results_that_do_not_fit_are_named() {
    let x = Array2::<f64>::in_chunks(2).ones((4, 3));
    let text = |signature: &str| {
        let many =
            apply_gufunc(signature, (&x,)).try_map_many(|x| (x.sum_axis(ndarray::Axis(1)), x.to_owned()));
        many.err().unwrap().to_string()
    };
    assert!(text("(i)->()").contains("1 in \"(i)->()\" for 2"), "{}", text("(i)->()"));
    assert!(text("(i)->(),()").contains("2 axes, where"), "{}", text("(i)->(),()"));
    assert!(text("(i)->(),(z)").contains("none for 'z'"), "{}", text("(i)->(),(z)"));
    assert!(text("(i)->()(i)").contains("each a letter"), "{}", text("(i)->()(i)"));
    let one = apply_gufunc("(i)->(),(i)", (&x,)).try_map(|x| x.sum_axis(ndarray::Axis(1))).unwrap_err();
    assert!(one.to_string().contains("map_many"), "{one}");
    let plain = blockwise((&x,)).try_map_many(|x| (x.to_owned(), x.to_owned())).err().unwrap().to_string();
    assert!(plain.contains("apply_gufunc"), "{plain}");
    let (sums, wrong) = apply_gufunc("(i)->(),(i)", (&x,))
        .map_many(|x| (x.sum_axis(ndarray::Axis(1)), x.slice(s![.., 1..]).to_owned()));
    let error = wrong.try_compute().unwrap_err().to_string();
    assert!(error.contains("result 1 is a block of shape [2, 2], expected [2, 3]"), "{error}");
    assert!(sums.try_compute().is_err());
}

#[test]
fn what_does_not_fit_is_named() {
    let (x, y) = (Array2::<f64>::in_chunks(2).zeros((4, 3)), Array1::<f64>::in_chunks(2).zeros(5));
    let text = |r: tilework::Result<Array2<f64>>| r.unwrap_err().to_string();
    let sum = |b: tilework::Blockwise<(&Array2<f64>, &Array1<f64>)>| text(b.try_map(|x, y| &x + &y));
    assert!(sum(blockwise((&x, &y))).contains("lengths 3 and 5"), "{}", sum(blockwise((&x, &y))));
    assert!(sum(blockwise((&x, &y)).letters("ij->ij")).contains("a letter for each axis"));
    assert!(sum(blockwise((&x, &y)).letters("ij,k")).contains("ij,jk->ik"));
    assert!(sum(blockwise((&x, &y)).letters("ij,k->ii")).contains("each letter of the result once"));
    assert!(sum(blockwise((&x, &y)).letters("ij,k->iz")).contains("none for 'z'"));
    assert!(sum(blockwise((&x, &y)).letters("ij,k->ijk")).contains("2 axes"));
    assert!(sum(blockwise((&x, &y)).letters("ij,k->ij").sizes('i', [1, 2, 3])).contains("3 for 'i'"));
    assert!(
        sum(blockwise((&x, &y)).letters("ij,k->ij").overlap(9, Boundary::Nearest)).contains("got 9 along")
    );
    let k = 2.0;
    let captured = blockwise((&x,)).try_map(move |x| &x * k).unwrap_err().to_string();
    assert!(captured.contains("captures 8 bytes"), "{captured}");
    let wrong = blockwise((&x,)).map(|x| x.t().to_owned()).try_compute().unwrap_err().to_string();
    assert!(wrong.contains("of shape [1, 2], expected f64 of shape [2, 1]"), "{wrong}");
    // Without elements there are no blocks.
    let none = Array2::<f64>::zeros((0, 3));
    assert_eq!(
        blockwise((&none,)).overlap(2, Boundary::Nearest).map(|x| x.to_owned()).compute().dim(),
        (0, 3)
    );
    let sums = blockwise((&none,)).letters("ij->j").map(|x| x.sum_axis(ndarray::Axis(0)));
    assert_eq!(sums.compute(), ndarray::arr1(&[0.0; 3]));
}

#[test]
fn workers_of_this_program_call_them_too() {
    let _mine = crate::support::processes_are_mine();
    let session = tilework::Session::processes(2).unwrap();
    let x = numbers((40, 12));
    let a = Array::from(x.clone()).rechunk(&[7, 5][..]);
    let product = blockwise((&a, &a)).letters("ij,kj->ik").map(|x, y| x.dot(&y.t()));
    assert_eq!(product.try_compute_on(&session).unwrap(), x.dot(&x.t()));
    let (n, same) = apply_gufunc("(i)->(),(i)", (&a,))
        .map_many(|x| (x.map_axis(ndarray::Axis(1), |row| row.len() as u8), x.to_owned()));
    assert_eq!(n.try_compute_on(&session).unwrap(), Local::from_elem(40, 12));
    assert_eq!(same.try_compute_on(&session).unwrap(), x);
    assert_eq!(a.cumsum_flat().try_compute_on(&session).unwrap().to_vec(), {
        let mut sum = 0;
        x.iter()
            .map(|v| {
                sum += v;
                sum
            })
            .collect::<Vec<i64>>()
    });
    let mut sorted: Vec<i64> = x.iter().copied().collect();
    sorted.sort_unstable();
    assert_eq!(a.sort_flat().try_compute_on(&session).unwrap().to_vec(), sorted);
}

#[test]
fn margins_are_cut_off_in_the_order_of_the_result_and_mirrors_reach_as_far_on_either_side() {
    let x = Array::from(numbers((4, 4))).rechunk(&[2, 2][..]);
    // A block of the shape of the input's, margins and all, in another order: it is not taken for one of the result's.
    let turned = blockwise((&x,)).letters("ij->ji").overlap(1, Boundary::None).map(|b| b.t().to_owned());
    let error = turned.try_compute().unwrap_err().to_string();
    assert!(error.contains("expected i64 of shape"), "{error}");
    let x = Array::from(Local::from_iter(0..10_i64)).rechunk(1);
    for depths in [(5, 0), (0, 5)] {
        let lopsided = blockwise((&x,)).overlap(depths, Boundary::Reflect).try_map(|b| b.to_owned());
        let error = lopsided.unwrap_err().to_string();
        assert!(error.contains("as much before as behind"), "{error}");
    }
    let even = blockwise((&x,)).overlap(5, Boundary::Reflect).map(|b| Local::from_elem(1, b.sum()));
    assert_eq!(even.compute()[0], 4 + 3 + 2 + 1 + (1 + 2 + 3 + 4 + 5));
    let y = Array::from(numbers((4, 5))).rechunk(&[2, 2][..]);
    let wrong = blockwise((&x.slice(s![..8]).to_owned().into_shape_with_order((2, 4)).unwrap(), &y))
        .letters("ij,ki->kj")
        .try_map(|_, b| b.to_owned());
    assert!(wrong.unwrap_err().to_string().contains("for i"));
}

#[test]
fn core_dimensions_are_given_whole() {
    use tilework::apply_gufunc;
    let x = ndarray::Array3::from_shape_fn((3, 4, 6), |(i, j, k)| (i * 24 + j * 6 + k) as f64);
    let y = ndarray::Array2::from_shape_fn((4, 6), |(j, k)| (j + 10 * k) as f64);
    for chunks in [[1, 2, 4], [3, 4, 6], [2, 3, 1]] {
        let (a, b) =
            (Array::from(x.clone()).rechunk(&chunks[..]), Array::from(y.clone()).rechunk(&[3, 2][..]));
        let dots = apply_gufunc("(i), (i) -> ()", (&a, &b)).map(|a, b| (&a * &b).sum_axis(ndarray::Axis(2)));
        assert_eq!(dots.compute(), (&x * &y).sum_axis(ndarray::Axis(2)));
        let reversed = apply_gufunc("(i,j)->(j,i)", (&a,)).map(|a| a.permuted_axes([0, 2, 1]).to_owned());
        assert_eq!(reversed.compute(), x.clone().permuted_axes([0, 2, 1]));
        let ends = a.apply_along_axis(Axis(2), 2, |lane| {
            ndarray::arr1(&[lane[0] as i32, lane[lane.len() - 1] as i32])
        });
        assert_eq!(ends.compute(), x.slice(s![.., .., ..;5]).mapv(|v| v as i32));
        let sorted = a.apply_along_axis(Axis(0), 3, |lane| lane.iter().rev().copied().collect());
        assert_eq!(sorted.compute(), x.slice(s![..;-1, .., ..]));
    }
    let a = Array::from(y);
    let text =
        |signature: &str| apply_gufunc(signature, (&a,)).try_map(|a| a.to_owned()).unwrap_err().to_string();
    assert_eq!(text("i->i"), "core dimensions: got i->i, expected as in \"(i,j),(j)->(i)\", each a letter");
    assert!(
        text("(i,j,k)->()").contains("expected a group for each array, of no more letters than it has axes")
    );
    assert!(text("(i),(j)->()").contains("a group for each array"));
    let wrong = a.apply_along_axis(Axis(1), 2, |lane| lane.to_owned()).try_compute().unwrap_err().to_string();
    assert!(wrong.contains("gave 6 elements of a lane, expected 2"), "{wrong}");
    let beyond = a.try_apply_along_axis(Axis(2), 1, |lane| lane.to_owned()).unwrap_err().to_string();
    assert_eq!(beyond, "axis 2 is out of range for an array of 2 dimensions");
}
