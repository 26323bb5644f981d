//! Slices, positions, orders of axes, shapes, joins and products that do not fit.

use crate::support::{check, mistakes, panic_text, quietly};
use ndarray::{Array2 as Nd2, Order, Slice};
use tilework::prelude::*;
use tilework::{AxisChunks, try_concatenate, try_stack};

const HUGE: usize = usize::MAX;

fn lazy() -> Array2<f64> {
    Array2::in_chunks(2).ones((3, 4))
}

fn beyond(axis: usize) -> String {
    format!("axis {axis} is out of range for an array of 2 dimensions")
}

#[test]
fn slices() {
    let a = lazy();
    let of = |given: &str, axis: usize, len: usize, what: &str| {
        format!("slice {given} of axis {axis}, which has length {len}: {what}")
    };
    let (inside, index) = ("positions within the axis", "an index within the axis");
    let slice = |start, end, step| Slice { start, end, step };
    let empty = Array2::<f64>::in_chunks(2).zeros((0, 4));
    let dynamic = |n: usize| ndarray::SliceInfo::<_, IxDyn, IxDyn>::try_from(vec![0.into(); n]).unwrap();
    mistakes! {
        a.try_slice(s![..5, ..]), a.slice(s![..5, ..]) => of("0..5;1", 0, 3, inside);
        a.try_slice(s![.., -5..]), a.slice(s![.., -5..]) => of("-5..;1", 1, 4, inside);
        a.try_slice(s![3, ..]), a.slice(s![3, ..]) => of("3", 0, 3, index);
        a.try_slice(s![.., -5]), a.slice(s![.., -5]) => of("-5", 1, 4, index);
        a.try_slice_axis(Axis(0), slice(0, None, 0)), a.slice_axis(Axis(0), slice(0, None, 0))
            => of("0..;0", 0, 3, "a step that is not 0");
        a.try_slice_axis(Axis(0), slice(isize::MIN, None, 1)), a.slice_axis(Axis(0), slice(isize::MIN, None, 1))
            => of("-9223372036854775808..;1", 0, 3, inside);
        a.try_slice_axis(Axis(1), slice(isize::MAX, None, -1)), a.clone().slice_axis_move(Axis(1), slice(isize::MAX, None, -1))
            => of("9223372036854775807..;-1", 1, 4, inside);
        a.try_slice_axis(Axis(2), slice(0, None, 1)), a.slice_axis(Axis(2), slice(0, None, 1)) => beyond(2);
        a.try_slice_each_axis(|_| slice(0, Some(4), 1)), a.slice_each_axis(|_| slice(0, Some(4), 1))
            => of("0..4;1", 0, 3, inside);
        a.clone().into_dyn().try_slice(dynamic(1)), a.clone().into_dyn().slice_move(dynamic(1))
            => "axes [0] of an array of 2 dimensions: expected one slice for each axis";
        a.try_index_axis(Axis(0), 3), a.index_axis(Axis(0), 3) => of("3", 0, 3, index);
        a.try_index_axis(Axis(0), HUGE), a.clone().index_axis_move(Axis(0), HUGE)
            => of("9223372036854775807", 0, 3, index);
        a.try_index_axis(Axis(9), 0), a.index_axis(Axis(9), 0) => beyond(9);
        empty.try_index_axis(Axis(0), 0), empty.index_axis(Axis(0), 0) => of("0", 0, 0, index);
        empty.try_slice(s![..1, ..]), empty.slice(s![..1, ..]) => of("0..1;1", 0, 0, inside);
        empty.try_row(0), empty.row(0) => of("0", 0, 0, index);
        a.try_row(3), a.row(3) => of("3", 0, 3, index);
        a.try_column(4), a.column(4) => of("4", 1, 4, index);
        a.try_select(Axis(0), &[0, 3]), a.select(Axis(0), &[0, 3]) => of("3", 0, 3, inside);
        a.try_select(Axis(1), &[HUGE]), a.select(Axis(1), &[HUGE]) => of("18446744073709551615", 1, 4, inside);
        a.try_select(Axis(2), &[]), a.select(Axis(2), &[]) => beyond(2);
        a.try_split_at(Axis(1), 5) => of("5", 1, 4, "a position of at most the length");
        a.try_split_at(Axis(2), 0) => beyond(2);
        a.try_axis_iter(Axis(2)) => beyond(2);
        Array1::<u8>::in_chunks(-1).zeros(1 << 40).try_axis_iter(Axis(0))
            => "positions of an axis as arrays of their own: got 1099511627776, expected at most 2^20: take slices of several positions";
        a.try_diff(3, Axis(0)), a.diff(3, Axis(0))
            => "number of differences: got 3 for an axis of length 3, expected fewer than the length";
        a.try_diff(1, Axis(2)), a.diff(1, Axis(2)) => beyond(2);
    }
    let text = panic_text(|| a.view().split_at(Axis(1), 5));
    assert_eq!(text, "cannot split at 5: Axis(1) of [3, 4]");
    // What is allowed at the edges is ndarray's.
    let b = Nd2::<f64>::ones((3, 4));
    for step in [isize::MIN, isize::MAX, -4, 7] {
        check(
            &a.slice_axis(Axis(0), slice(0, None, step)),
            &b.slice_axis(Axis(0), slice(0, None, step)).to_owned(),
        );
        check(
            &a.slice_axis(Axis(0), slice(3, None, step)),
            &b.slice_axis(Axis(0), slice(3, None, step)).to_owned(),
        );
    }
    check(&a.select(Axis(0), &[]), &b.select(Axis(0), &[]));
    check(&empty.slice(s![.., ..;-1]), &Nd2::zeros((0, 4)));
}

#[test]
fn slices_of_more_chunks_than_can_be_listed() {
    let many = Array1::<u8>::in_chunks(1).ones(1 << 31);
    assert_eq!(many.slice(s![5..9]).to_owned().sum(), 4);
    let shifted = many.slice(s![1..;-3]).to_owned();
    assert_eq!((shifted.len(), shifted.slice(s![..2]).to_owned().sum()), ((1usize << 31).div_ceil(3), 2));
    let lens = vec![AxisChunks::Lens(vec![3, 5, 4])];
    let twelve = Array1::from_ndarray(ndarray::Array1::from_iter(0..12), lens);
    assert_eq!(twelve.slice(s![2..11;-2]).to_owned().chunks(), [vec![2, 2, 1]]);
}

#[test]
fn orders_of_axes_and_shapes() {
    let a = lazy();
    let axes = |axes: &str| format!("axes {axes} of an array of 2 dimensions: expected each axis once");
    let reshape = |to: &str, n: &str| {
        format!("an array of shape [3, 4] (12 elements) cannot have shape {to} ({n} elements)")
    };
    let broadcast = |to: &str| format!("an array of shape [3, 4] cannot be broadcast to shape {to}");
    let dynamic = a.clone().into_dyn();
    mistakes! {
        a.try_permuted_axes([0, 0]), a.clone().permuted_axes([0, 0]) => axes("[0, 0]");
        a.try_permuted_axes([0, HUGE]), a.view().permuted_axes([0, HUGE]) => axes("[0, 18446744073709551615]");
        dynamic.try_permuted_axes(vec![0]), dynamic.clone().permuted_axes(vec![0]) => axes("[0]");
        dynamic.try_permuted_axes(vec![0, 1, 2]), dynamic.clone().permuted_axes(vec![0, 1, 2]) => axes("[0, 1, 2]");
        a.try_insert_axis(Axis(3)), a.clone().insert_axis(Axis(3)) => beyond(3);
        a.try_remove_axis(Axis(2)), a.clone().remove_axis(Axis(2)) => beyond(2);
        a.clone().try_swap_axes(0, 2), a.clone().swap_axes(0, 2) => beyond(2);
        a.clone().try_swap_axes(HUGE, 0), a.clone().swap_axes(HUGE, 0) => beyond(HUGE);
        a.clone().try_invert_axis(Axis(2)), a.clone().invert_axis(Axis(2)) => beyond(2);
        a.try_reshape((5, 5)), a.reshape((5, 5)) => reshape("[5, 5]", "25");
        a.try_reshape((HUGE, 2)), a.reshape((HUGE, 2)) => reshape("[18446744073709551615, 2]", "36893488147419103230");
        a.try_reshape(((2, 5), Order::ColumnMajor)), a.reshape(((2, 5), Order::ColumnMajor))
            => "an array of shape [4, 3] (12 elements) cannot have shape [5, 2] (10 elements)";
        a.try_reshape((0, 12)), a.reshape((0, 12)) => reshape("[0, 12]", "0");
        a.try_broadcast(4) => broadcast("[4]");
        a.try_broadcast((4, 3)) => broadcast("[4, 3]");
        a.try_broadcast((HUGE, 3, 4)) => "an array of shape [18446744073709551615, 3, 4] with 8-byte elements has more bytes than an address can hold";
        a.try_into_dimensionality::<Ix3>() => "the array has 2 dimensions, expected 3";
        ArrayD::<u8>::in_chunks(-1).zeros(vec![1; 32]).try_insert_axis(Axis(0))
            => "number of dimensions: got 33, expected at most 32";
    }
    assert!(a.broadcast(4).is_none() && a.to_shape((5, 5)).is_err() && a.to_shape((HUGE, 2)).is_err());
    assert!(a.clone().into_dimensionality::<Ix1>().is_err() && a.clone().into_shape_with_order(13).is_err());
    let mut kept = a.clone();
    assert!(kept.try_swap_axes(0, 2).is_err() && kept.try_invert_axis(Axis(7)).is_err());
    check(&kept, &Nd2::ones((3, 4)));
}

#[test]
fn joins_and_products() {
    let a = lazy();
    let (tall, flat) = (Array2::<f64>::in_chunks(2).ones((3, 5)), Array1::<f64>::in_chunks(2).ones(3));
    let d = |a: &Array2<f64>| a.clone().into_dyn();
    let odd = |at: usize, axis: usize, got: &str, first: &str| {
        format!(
            "array {at} has shape {got}; along every axis but {axis} it must agree with the first, {first}"
        )
    };
    let product =
        |l: &str, r: &str| format!("matrix product of shapes {l} and {r}: inner lengths must be equal");
    let huge = Array1::<u8>::in_chunks(-1).zeros(isize::MAX as usize);
    mistakes! {
        try_concatenate::<f64, Ix2>(Axis(0), &[]) => "concatenation of no arrays";
        try_stack::<f64, Ix2>(Axis(0), &[]) => "stacking of no arrays";
        try_concatenate(Axis(2), &[a.clone()]) => beyond(2);
        try_concatenate(Axis(0), &[a.clone(), tall.clone()]) => odd(1, 0, "[3, 5]", "[3, 4]");
        try_concatenate(Axis(0), &[d(&a), flat.clone().into_dyn()]) => odd(1, 0, "[3]", "[3, 4]");
        try_concatenate(Axis(0), &[huge.clone(), huge.clone(), huge.clone()])
            => "an array of shape [18446744073709551615] with 1-byte elements has more bytes than an address can hold";
        try_stack(Axis(3), &[a.clone()]) => beyond(3);
        try_stack(Axis(0), &[a.clone(), tall.clone()]) => odd(1, 0, "[3, 5]", "[3, 4]");
        a.try_dot(&a), a.dot(&a) => product("[3, 4]", "[3, 4]");
        a.try_dot(&flat), a.dot(&flat) => product("[3, 4]", "[3]");
        flat.try_dot(&a.t().to_owned()), flat.dot(&a.t()) => product("[3]", "[4, 3]");
        flat.try_dot(&Array1::ones(4)), flat.dot(&Array1::ones(4)) => product("[3]", "[4]");
        flat.try_lazy_dot(&Array1::ones(4)), flat.lazy_dot(&Array1::ones(4)) => product("[3]", "[4]");
        d(&a).try_dot(&ArrayD::ones(vec![4, 3, 2])), d(&a).dot(&ArrayD::ones(vec![4, 3, 2]))
            => product("[3, 4]", "[4, 3, 2]");
        d(&a).try_dot(&ArrayD::ones(vec![])) => product("[3, 4]", "[]");
    }
    assert!(
        tilework::concatenate::<f64, Ix2>(Axis(0), &[]).is_err()
            && tilework::stack::<f64, Ix2>(Axis(0), &[]).is_err()
    );
    assert!(
        tilework::concatenate(Axis(2), &[a.view()]).is_err()
            && tilework::stack(Axis(3), &[a.view()]).is_err()
    );
    assert!(tilework::concatenate(Axis(0), &[a.view(), tall.view()]).is_err());
    let mut c = ndarray::Array2::zeros((2, 2));
    let (x, y) = (ndarray::Array2::<f64>::ones((2, 3)), ndarray::Array2::ones((2, 3)));
    assert!(quietly(|| tilework::linalg::general_mat_mul(1.0, &x, &y, 0.0, &mut c)).is_err());
    let mut v = ndarray::Array1::zeros(2);
    assert!(
        quietly(|| tilework::linalg::general_mat_vec_mul(1.0, &x, &ndarray::Array1::ones(2), 0.0, &mut v))
            .is_err()
    );
}

#[test]
fn long_chains_of_views() {
    let mut a = Array1::<f64>::from_vec_chunked((0..20_000).map(f64::from).collect(), 5000);
    for _ in 0..9_000 {
        a = a.slice(s![1..;-1]).to_owned();
    }
    assert_eq!(a.len(), 11_000);
    assert_eq!((&a + 1.0).compute()[0], 4501.0);
}
