//! Mistakes: the text that users see, at the line of their mistake, and no panic from any `try_` method.

use crate::support::panic_text;
use ndarray::{Order, Slice};
use tilework::prelude::*;
use tilework::random;
use tilework::{AxisChunks, Complex, try_where};

#[test]
fn texts_name_what_was_given_and_expected() {
    let a = Array2::<f64>::in_chunks(-1).zeros((3, 4));
    let v = Array1::<f64>::zeros(3);
    let texts = [
        (panic_text(|| &a + &v), "tilework: shapes [3, 4] and [3] cannot be broadcast together"),
        (panic_text(|| a.sum_axis(Axis(2))), "tilework: axis 2 is out of range for an array of 2 dimensions"),
        (
            panic_text(|| a.dot(&a)),
            "tilework: matrix product of shapes [3, 4] and [3, 4]: inner lengths must be equal",
        ),
        (
            panic_text(|| a.reshape((5, 5))),
            "tilework: an array of shape [3, 4] (12 elements) cannot have shape [5, 5] (25 elements)",
        ),
        (
            panic_text(|| a.slice(s![..5, ..])),
            "tilework: slice 0..5;1 of axis 0, which has length 3: positions within the axis",
        ),
        (
            panic_text(|| a.row(3)),
            "tilework: slice 3 of axis 0, which has length 3: an index within the axis",
        ),
        (
            panic_text(|| Array2::<f64>::in_chunks(0).zeros((3, 4))),
            "tilework: chunks 0 for shape [3, 4]: lengths of at least 1, or -1 for the whole axis",
        ),
        (
            panic_text(|| a.clamp(2.0, 1.0)),
            "tilework: clamp: got 2.0 to 1.0, expected a minimum of at most the maximum",
        ),
        (
            panic_text(|| a.var(13.0)),
            "tilework: ddof: got 13, expected at most the number of elements that are reduced",
        ),
        (
            panic_text(|| Array1::range(0.0, 1.0, -0.5)),
            "tilework: range: got 0.0 to 1.0 in steps of -0.5, expected a step that leads from the first to the second",
        ),
        (
            panic_text(|| arr1(&[Complex::new(1.0, 0.0)]).cast::<f64>()),
            "tilework: conversion to f64 is not defined for elements of Complex64",
        ),
    ];
    for (got, want) in texts {
        assert_eq!(got, want);
    }
    let text = panic_text(|| {
        let mut a = a.clone();
        a += &Array2::<f64>::ones((6, 4));
    });
    assert_eq!(text, "tilework: an array of shape [6, 4] cannot be broadcast to shape [3, 4]");
}

#[test]
fn senseless_chunks_and_shapes() {
    let shape = (4, 6);
    assert!(Array2::<f64>::in_chunks(-2).try_zeros(shape).is_err());
    assert!(Array2::<f64>::in_chunks([2, 2, 2]).try_zeros(shape).is_err());
    assert!(Array2::<f64>::in_chunks(Chunks::Bytes(0)).try_zeros(shape).is_err());
    let lens = vec![AxisChunks::Lens(vec![3, 2]), AxisChunks::Whole];
    assert!(Array2::<f64>::in_chunks(lens).try_zeros(shape).is_err());
    assert!(Array2::<f64>::try_zeros((usize::MAX, 2)).is_err());
    assert!(Array2::<f64>::try_ones((usize::MAX / 2, usize::MAX / 2)).is_err());
    assert!(Array2::<f64>::try_from_shape_fn((1 << 40, 1 << 40), |_| 0.0).is_err());
    assert!(Array2::<u8>::try_eye(usize::MAX).is_err());
    assert!(Array1::try_linspace(0.0, 1.0, usize::MAX).is_err());
    assert!(Array1::try_range(0.0, f64::INFINITY, 1.0).is_err());
    assert!(Array1::try_range(0.0, 1.0, 0.0).is_err());
    assert!(Array1::try_range(0.0, f64::NAN, 1.0).is_err());
    assert!(Array1::try_arange(0, 1, 0).is_err());
    assert!(random::try_uniform::<f64, _>(usize::MAX, 0.0..1.0, 1).is_err());
    let huge = Array1::<u8>::in_chunks(-1).try_zeros(isize::MAX as usize).unwrap();
    assert!(huge.try_cast::<f64>().is_err());
    assert!(huge.try_broadcast((3, isize::MAX as usize)).is_err());
    assert!(tilework::try_concatenate(Axis(0), &[huge.clone(), huge.clone()]).is_err());
}

#[test]
fn try_methods_do_not_panic() {
    let a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let far = Axis(usize::MAX);
    assert!(a.try_add(&Array1::zeros(5)).is_err() && a.try_powf(&Array1::zeros(5)).is_err());
    assert!(a.try_less(&Array1::zeros(5)).is_err());
    assert!(try_where(&Array1::<bool>::default(5), &a, 0.0).is_err());
    assert!(a.try_sum_axis(far).is_err() && a.try_mean_axis(far).is_err() && a.try_argmin_axis(far).is_err());
    assert!(a.try_sum_axes(&[Axis(0), Axis(0)]).is_err() && a.try_mean_axes(&[far]).is_err());
    for ddof in [-1.0, f64::NAN, f64::INFINITY, 12.5] {
        assert!(a.try_var(ddof).is_err() && a.try_std_axis(Axis(0), ddof).is_err());
    }
    for (start, end, step) in
        [(isize::MIN, None, 1), (isize::MAX, None, 1), (0, Some(isize::MIN), 1), (0, None, 0)]
    {
        assert!(a.try_slice_axis(Axis(0), Slice { start, end, step }).is_err());
    }
    let steps =
        [isize::MIN, isize::MAX].map(|step| a.try_slice_axis(Axis(0), Slice { start: 0, end: None, step }));
    assert!(steps.into_iter().all(|r| r.unwrap().compute().dim() == (1, 4)));
    assert!(a.try_slice_axis(far, Slice::from(..)).is_err());
    assert!(a.try_index_axis(Axis(0), usize::MAX).is_err() && a.try_index_axis(far, 0).is_err());
    assert!(a.try_select(Axis(0), &[0, 3]).is_err() && a.try_select(far, &[]).is_err());
    assert!(a.try_split_at(Axis(1), 5).is_err() && a.try_axis_iter(far).is_err());
    assert!(a.try_diff(3, Axis(0)).is_err() && a.try_diff(1, far).is_err());
    assert!(a.try_permuted_axes([0, 0]).is_err() && a.try_permuted_axes([0, usize::MAX]).is_err());
    assert!(a.try_insert_axis(Axis(3)).is_err() && a.try_remove_axis(Axis(2)).is_err());
    let mut b = a.clone();
    assert!(b.try_swap_axes(0, 2).is_err() && b.try_invert_axis(far).is_err());
    assert_eq!(b.dim(), (3, 4));
    assert!(a.try_reshape((usize::MAX, usize::MAX)).is_err());
    assert!(a.to_shape((13, Order::ColumnMajor)).is_err() && a.try_broadcast((4, 3)).is_err());
    assert!(a.try_rechunk(0).is_err() && a.try_rechunk([1, 2, 3]).is_err());
    assert!(a.try_clamp(f64::NAN, 1.0).is_err());
    let empty = Array1::<i32>::zeros(0);
    assert!(empty.try_min().is_err() && empty.try_lazy_argmax().is_err() && empty.try_lazy_mean().is_err());
    assert_eq!(empty.try_mean().unwrap(), None);
    let slices = ndarray::SliceInfo::<Vec<_>, IxDyn, IxDyn>::try_from(vec![0.into(); 2]).unwrap();
    assert!(Array1::<i32>::zeros(3).into_dyn().try_slice(slices).is_err());
}

#[test]
fn failed_computations_say_where() {
    let a = Array1::from_vec_chunked(vec![1, 2, 3], -1) / arr1(&[1, 0, 1]);
    let error = a.try_compute().unwrap_err().to_string();
    assert!(error.contains("zero"), "{error}");
    assert!(a.try_sum().is_err());
    assert!(format!("{a}").starts_with("Array(shape [3], i32, chunks [3], 1 chunk): "));
}
