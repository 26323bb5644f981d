//! Slices, orders of axes, shapes.

use crate::support::check;
use ndarray::{Array3 as Nd3, Order, Slice};
use tilework::prelude::*;

fn cube() -> (Array3<i32>, Nd3<i32>) {
    let b = Nd3::from_shape_fn((4, 5, 6), |(i, j, k)| (100 * i + 10 * j + k) as i32);
    (Array::from_ndarray(b.clone(), [2, 2, 4]), b)
}

#[test]
#[allow(clippy::reversed_empty_ranges, reason = "ndarray takes them as empty, and so do we")]
fn slices() {
    let (a, b) = cube();
    macro_rules! same {
        ($($info:expr;)*) => { $( check(&a.slice($info), &b.slice($info).to_owned()); )* };
    }
    same! {
        s![.., .., ..];
        s![1..3, .., 2..];
        s![-1, ..-1, ..;2];
        s![.., ..;-1, 1..6;-2];
        s![2, 3, 4];
        s![NewAxis, .., 0, NewAxis, 5];
        s![3..1, .., ..];
        s![4.., 5..5, ..];
    }
    let info = ndarray::SliceInfo::<_, IxDyn, IxDyn>::try_from(s![1.., 2, ..].as_ref().to_vec()).unwrap();
    check(&a.clone().into_dyn().slice(&info), &b.clone().into_dyn().slice(&info).to_owned());
    check(&a.slice_move(s![1, .., ..]), &b.slice_move(s![1, .., ..]));
}

#[test]
fn parts_of_axes() {
    let (a, b) = cube();
    check(
        &a.slice_axis(Axis(2), Slice::new(1, None, 2)),
        &b.slice_axis(Axis(2), Slice::new(1, None, 2)).to_owned(),
    );
    let inner = |n: usize| Slice::new(1, Some(n as isize - 1), 1);
    check(&a.slice_each_axis(|axis| inner(axis.len)), &b.slice_each_axis(|axis| inner(axis.len)).to_owned());
    check(&a.index_axis(Axis(1), 3), &b.index_axis(Axis(1), 3).to_owned());
    check(&a.clone().remove_axis(Axis(0)), &b.index_axis(Axis(0), 0).to_owned());
    for indices in [vec![], vec![3], vec![0, 1, 2, 4], vec![4, 3, 2], vec![1, 1, 1], vec![4, 0, 2, 2, 3]] {
        check(&a.select(Axis(1), &indices), &b.select(Axis(1), &indices));
    }
    for at in 0..=5 {
        let (first, rest) = a.try_split_at(Axis(1), at).unwrap();
        let (want_first, want_rest) = b.view().split_at(Axis(1), at);
        check(&first, &want_first.to_owned());
        check(&rest, &want_rest.to_owned());
    }
    for (ours, theirs) in a.axis_iter(Axis(2)).zip(b.axis_iter(Axis(2))) {
        check(&ours, &theirs.to_owned());
    }
    assert_eq!((a.outer_iter().len(), a.axis_iter(Axis(2)).len()), (4, 6));
    let (m, n) = (a.index_axis(Axis(0), 1), b.index_axis(Axis(0), 1));
    check(&m.row(2), &n.row(2).to_owned());
    check(&m.column(5), &n.column(5).to_owned());
    assert_eq!((m.nrows(), m.ncols(), m.is_square()), (5, 6, false));
}

#[test]
fn differences_of_neighbours() {
    let (a, b) = cube();
    for n in 0..3 {
        check(&a.diff(n, Axis(1)), &b.diff(n, Axis(1)));
    }
    assert!(a.try_diff(4, Axis(0)).is_err());
}

#[test]
fn orders_of_axes() {
    let (a, b) = cube();
    check(&a.t(), &b.t().to_owned());
    check(&a.clone().reversed_axes(), &b.clone().reversed_axes());
    check(
        &a.clone().permuted_axes([1, 2, 0]),
        &b.clone().permuted_axes([1, 2, 0]).as_standard_layout().to_owned(),
    );
    check(&a.clone().insert_axis(Axis(3)), &b.clone().insert_axis(Axis(3)));
    let (mut c, mut d) = (a.clone(), b.clone());
    c.swap_axes(0, 2);
    d.swap_axes(0, 2);
    c.invert_axis(Axis(1));
    d.invert_axis(Axis(1));
    check(&c, &d);
    check(&a, &b);
}

#[test]
fn shapes() {
    let (a, b) = cube();
    check(&a.reshape((6, 20)), &b.to_shape((6, 20)).unwrap().to_owned());
    check(&a.to_shape(120).unwrap(), &b.to_shape(120).unwrap().to_owned());
    let columns = ((8, 15), Order::ColumnMajor);
    check(&a.to_shape(columns).unwrap(), &b.to_shape(columns).unwrap().to_owned());
    check(&a.t().into_shape_with_order((2, 60)).unwrap(), &b.t().to_shape((2, 60)).unwrap().to_owned());
    check(&a.flatten(), &b.flatten().to_owned());
    check(&a.flatten_with_order(Order::ColumnMajor), &b.flatten_with_order(Order::ColumnMajor).to_owned());
    check(&a.clone().into_flat(), &b.into_flat());
    assert!(Array2::<f64>::zeros((0, 3)).reshape((3, 0, 7)).compute().is_empty());
}

#[test]
fn repetition() {
    let b = ndarray::array![[1], [2], [3]];
    let a = Array::from_ndarray(b.clone(), 2);
    check(&a.broadcast((2, 3, 4)).unwrap(), &b.broadcast((2, 3, 4)).unwrap().to_owned());
    assert!(a.broadcast((3, 3, 3, 1)).is_some() && a.broadcast(3).is_none() && a.broadcast((4, 4)).is_none());
    check(&a.broadcast((3, 0)).unwrap(), &b.broadcast((3, 0)).unwrap().to_owned());
}

#[test]
fn new_chunks_hold_the_same_elements() {
    let (a, b) = cube();
    for chunks in [1, 3, -1] {
        check(&a.rechunk(chunks), &b);
    }
    let odd = a.slice(s![1.., ..;-1, ..]).rechunk([3, 2, 5]);
    assert_eq!(odd.chunks(), [vec![3], vec![2, 2, 1], vec![5, 1]]);
    check(&odd, &b.slice(s![1.., ..;-1, ..]).to_owned());
}

#[test]
fn dimension_types() {
    let (a, b) = cube();
    let d = a.clone().into_dyn();
    check(&d, &b.clone().into_dyn());
    check(&d.clone().into_dimensionality::<Ix3>().unwrap(), &b);
    let error = d.try_into_dimensionality::<Ix2>().unwrap_err().to_string();
    assert_eq!(error, "the array has 3 dimensions, expected 2");
    assert_eq!(a.dim(), (4, 5, 6));
    assert_eq!(a.raw_dim(), b.raw_dim());
}
