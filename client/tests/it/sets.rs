//! Arrays as sets, and histograms, against naive forms and NumPy's values.

use crate::support::{check, line, mistakes, numbers, processes_are_mine};
use ndarray::{Array1 as Local, Array2 as Local2};
use std::collections::BTreeSet;
use tilework::prelude::*;
use tilework::{Bins, Session, histogramdd, histogramdd_weighted, try_histogramdd, try_histogramdd_weighted};

#[test]
fn sets_are_those_of_the_standard_library() {
    for (n, m) in [(0, 0), (0, 3), (5, 0), (40, 30), (200, 10)] {
        let (a, b) = (numbers(n, 25, 1), numbers(m, 30, 2));
        let (x, y): (BTreeSet<i64>, BTreeSet<i64>) =
            (a.iter().copied().collect(), b.iter().copied().collect());
        for chunk in [1, 7, 300] {
            let (a, b) = (line(&a, chunk), line(&b, 4));
            check(&a.union1d(&b), &x.union(&y).copied().collect::<Local<_>>());
            check(&a.intersect1d(&b), &x.intersection(&y).copied().collect::<Local<_>>());
            check(&a.setdiff1d(&b), &x.difference(&y).copied().collect::<Local<_>>());
            check(&a.setxor1d(&b), &x.symmetric_difference(&y).copied().collect::<Local<_>>());
            let (values, first) = a.unique_index();
            let (values, first, all) = (values.compute(), first.compute(), a.compute());
            assert_eq!(values.to_vec(), x.iter().copied().collect::<Vec<_>>());
            for (v, at) in values.iter().zip(&first) {
                assert_eq!(all.iter().position(|other| other == v), Some(*at as usize));
            }
        }
    }
    let nan = f64::NAN;
    let (a, b) = (line(&[nan, 1.0, -0.0, nan], 2), arr2(&[[nan, 2.0], [0.0, 5.0]]));
    check(&a.union1d(&b), &ndarray::arr1(&[-0.0, 1.0, 2.0, 5.0, nan]));
    check(&Array::from(a.intersect1d(&b).compute().mapv(f64::abs)), &ndarray::arr1(&[0.0, nan]));
    check(&a.setdiff1d(&b), &ndarray::arr1(&[1.0]));
    check(&a.setxor1d(&b), &ndarray::arr1(&[1.0, 2.0, 5.0]));
}

#[test]
fn one_element_is_where_it_is_in_order() {
    let x = Local2::from_shape_vec((6, 9), numbers(54, 20, 3)).unwrap();
    let a = Array::from(x.clone()).rechunk(&[2, 4][..]);
    for kth in [0isize, 4, -1] {
        let at = kth.rem_euclid(9) as usize;
        let found = a.take_along_axis(Axis(1), &a.argpartition(Axis(1), kth)).compute();
        for (row, all) in found.rows().into_iter().zip(x.rows()) {
            let mut sorted = all.to_vec();
            sorted.sort();
            assert_eq!(row[at], sorted[at]);
            assert!(row.iter().take(at).all(|v| *v <= row[at]) && row.iter().skip(at).all(|v| *v >= row[at]));
        }
    }
    mistakes! {
        a.try_argpartition(Axis(1), 9), a.argpartition(Axis(1), 9) =>
            "slice 9 of axis 1, which has length 9: positions within the axis";
        a.try_argpartition(Axis(2), 0), a.argpartition(Axis(2), 0) => "axis 2 is out of range for an array of 2 dimensions";
    }
}

#[test]
fn points_are_counted_in_bins_of_several_axes() {
    let (x, y, z): (Vec<f64>, Vec<f64>, Vec<f64>) = (
        numbers(300, 60, 4).iter().map(|d| *d as f64 / 10.0).collect(),
        numbers(300, 40, 5).iter().map(|d| if *d == 7 { f64::NAN } else { *d as f64 / 10.0 }).collect(),
        numbers(300, 30, 6).iter().map(|d| *d as f64 / 10.0).collect(),
    );
    let edges = [&[0.5, 1.0, 4.0, 5.5][..], &[0.0, 2.0, 3.0][..], &[-1.0, 1.5, 2.9][..]];
    let bin = |edges: &[f64], v: f64| match edges.iter().rposition(|e| *e <= v) {
        Some(at) if at + 1 < edges.len() => Some(at),
        Some(at) if v == edges[at] => Some(at - 1),
        _ => None,
    };
    let (mut counts, mut sums) =
        (ndarray::Array3::<u64>::zeros((3, 2, 2)), ndarray::Array3::<f64>::zeros((3, 2, 2)));
    let weights: Vec<f64> = numbers(300, 9, 7).iter().map(|d| *d as f64).collect();
    for i in 0..300 {
        if let (Some(a), Some(b), Some(c)) = (bin(edges[0], x[i]), bin(edges[1], y[i]), bin(edges[2], z[i])) {
            counts[[a, b, c]] += 1;
            sums[[a, b, c]] += weights[i];
        }
    }
    for chunk in [1, 40, 300] {
        let (x, y, z) = (line(&x, chunk), line(&y, 17), line(&z, 300));
        check(&histogramdd(&[&x, &y, &z], &edges), &counts.clone().into_dyn());
        check(&histogramdd_weighted(&[&x, &y, &z], &edges, &line(&weights, 9)), &sums.clone().into_dyn());
        let flat = x.histogram2d(&z, (edges[0], edges[2]));
        assert_eq!(flat.sum(), x.histogram2d(&z, (edges[0], &[-1.0, 2.9])).sum());
        check(&histogramdd(&[&x], &[edges[0]]), &x.histogram(edges[0]).compute().into_dyn());
    }
    let ints = arr2(&[[1i32, 2], [3, 3]]);
    check(&ints.histogram2d(&ints, (&[1.0, 3.0], &[2.0, 3.0])), &ndarray::arr2(&[[3]]));
    let (x, two) = (arr1(&[1.0, 2.0, 3.0]), arr1(&[1.0, 2.0]));
    mistakes! {
        try_histogramdd(&[&x, &two], &[&[0.0, 1.0], &[0.0, 1.0]]), histogramdd(&[&x, &two], &[&[0.0, 1.0], &[0.0, 1.0]]) =>
            "shapes [3] and [2] cannot be broadcast together";
        try_histogramdd(&[&x], &[&[1.0, 0.0]]), histogramdd(&[&x], &[&[1.0, 0.0]]) =>
            "edges of a histogram: got [1.0, 0.0], expected two or more, rising and finite";
        try_histogramdd(&[&x], &[]), histogramdd(&[&x], &[]) =>
            "arrays of coordinates: got 1 with edges of 0, expected one for each list of edges, at most 7";
        try_histogramdd::<f64, ndarray::Ix1>(&[], &[]) => "histogramdd of no arrays";
        try_histogramdd_weighted(&[&x], &[&[0.0, 1.0]], &two), histogramdd_weighted(&[&x], &[&[0.0, 1.0]], &two) =>
            "shapes [3] and [2] cannot be broadcast together";
    }
}

#[test]
fn bins_are_numpys() {
    // Of 0, 1, .., 99: numpy.histogram_bin_edges(x, bins=..)
    let x: Vec<f64> = (0..100).map(f64::from).collect();
    for chunk in [7, 100] {
        let a = line(&x, chunk);
        for (bins, n) in [
            (Bins::Count(3), 3),
            (Bins::Sqrt, 10),
            (Bins::Sturges, 8),
            (Bins::Rice, 10),
            (Bins::Scott, 5),
            (Bins::FreedmanDiaconis, 5),
            (Bins::Auto, 8),
        ] {
            let edges = a.histogram_bin_edges(bins);
            assert_eq!((edges.len(), edges[0], edges[n]), (n + 1, 0.0, 99.0), "{bins:?}");
            assert_eq!(a.histogram(&edges).sum(), 100);
        }
    }
    assert_eq!(arr1(&[2u8, 2]).histogram_bin_edges(Bins::Count(2)), [1.5, 2.0, 2.5]);
    assert_eq!(Array1::<f32>::zeros(0).histogram_bin_edges(Bins::Auto), [0.0, 1.0]);
    // Of integers no bin is narrower than 1.
    assert_eq!(arr1(&[0, 1, 2, 3, 3, 3, 3, 3, 3, 3]).histogram_bin_edges(Bins::Sturges).len(), 4);
    let (odd, z) = (arr1(&[1.0, f64::NAN]), arr1(&[Complex::new(0.0, 1.0)]));
    mistakes! {
        odd.try_histogram_bin_edges(Bins::Auto), odd.histogram_bin_edges(Bins::Auto) =>
            "range of a histogram: got NaN to NaN, expected finite elements: `histogram` takes edges, and leaves out others";
        odd.try_histogram_bin_edges(Bins::Count(0)), odd.histogram_bin_edges(Bins::Count(0)) =>
            "number of bins: got 0, expected at least one";
        z.try_histogram_bin_edges(Bins::Auto), z.histogram_bin_edges(Bins::Auto) =>
            "a histogram is not defined for elements of Complex64";
    }
}

#[test]
fn sets_are_the_same_on_processes() {
    let _mine = processes_are_mine();
    let (a, b) = (line(&numbers(300, 90, 8), 40), line(&numbers(200, 120, 9), 33));
    let of = || {
        (
            a.setdiff1d(&b).compute(),
            a.intersect1d(&b).compute(),
            a.unique_index().1.compute(),
            a.histogram2d(&a, (&[0.0, 50.0], &[0.0, 9.0])).compute(),
        )
    };
    let here = of();
    let session = Session::processes(2).expect("processes");
    assert_eq!(of(), here);
    drop(session);
    Session::close_current();
}
