//! Operations of the library's own on arrays that are larger than a worker's memory, or in more chunks than one task looks at:
//! the same as in one piece, with the same bits in every session.

use crate::draws::draws;
use ndarray::{Array1 as Local, Axis};
use tilework::prelude::*;
use tilework::{EmbeddedOptions, Session};

fn workers(n: usize, mib: u64) -> Session {
    Session::embedded_with(&EmbeddedOptions {
        workers: n,
        threads_per_worker: Some(1),
        memory_bytes_per_worker: Some(mib << 20),
    })
    .expect("an embedded session")
}

#[test]
fn many_sorted_elements_are_looked_up_by_ranges() {
    let n = 200_000;
    let mut sorted: Vec<i64> = draws(n, 50_000, 5).iter().map(|d| 2 * *d as i64).collect();
    sorted.sort_unstable();
    // One value fills several chunks.
    let often = sorted[70_000];
    sorted[70_000..130_000].fill(often);
    let values: Vec<i64> = draws(6000, 100_004, 6).iter().map(|d| *d as i64 - 2).collect();
    let values: Vec<i64> = values.into_iter().chain([sorted[70_000], sorted[70_000] - 1, i64::MAX]).collect();
    let a = Array1::from_vec_chunked(sorted.clone(), 9_000);
    for chunk in [6003, 700] {
        let v = Array1::from_vec_chunked(values.clone(), chunk);
        let below: Vec<u64> = values.iter().map(|v| sorted.partition_point(|s| s < v) as u64).collect();
        let upto: Vec<u64> = values.iter().map(|v| sorted.partition_point(|s| s <= v) as u64).collect();
        assert_eq!(a.searchsorted(&v, false).compute().to_vec(), below);
        assert_eq!(a.searchsorted(&v, true).compute().to_vec(), upto);
        assert_eq!(v.digitize(&a, true).compute().to_vec(), below);
        let there: Vec<bool> = below.iter().zip(&upto).map(|(b, u)| u > b).collect();
        assert_eq!(v.isin(&a).compute().to_vec(), there);
        let grid = ndarray::Array2::from_shape_vec((3, 2001), values.clone()).unwrap();
        let at = a.searchsorted(&Array::from(grid).rechunk(&[2, 500][..]), false).compute();
        assert_eq!((at.dim(), at.iter().copied().collect::<Vec<_>>()), ((3, 2001), below));
    }
    let mut wrong = sorted;
    wrong.swap(100, 199_000);
    let v = Array1::from_vec_chunked(vec![1_i64, 2], 1);
    let error = Array1::from_vec_chunked(wrong, 9_000).searchsorted(&v, false).try_compute().unwrap_err();
    assert!(error.to_string().contains("not in order"), "{error}");
    // Each element's place among the distinct ones, which are many.
    let x: Vec<u64> = draws(150_000, 1 << 31, 8);
    let a = Array1::from_vec_chunked(x.clone(), 8000);
    let (distinct, at) = (a.unique().compute(), a.unique_inverse().compute());
    assert!(distinct.len() * 8 > 1 << 20 && at.iter().zip(&x).all(|(i, v)| distinct[*i as usize] == *v));
}

/// Ten times as much as a worker has memory for.
#[test]
fn sorts_medians_and_groups_are_larger_than_memory() {
    let (mib, n) = (6_u64, 7_900_000);
    let x = tilework::random::in_chunks(1 << 15).uniform(n, 0.0..1.0, 11) as Array1<f64>;
    assert!(n as u64 * 8 >= 10 * (mib << 20));
    let small = workers(1, mib);
    let sorted = x.sort(Axis(0));
    let diff = &sorted.slice(s![1..]) - &sorted.slice(s![..-1]);
    let (least, sum) = (diff.min_axis(Axis(0)), sorted.sum_axis(Axis(0)));
    let on = |session: &Session, a: &Array0<f64>| a.try_compute_on(session).expect("a result").into_scalar();
    assert!(on(&small, &least) >= 0.0);
    assert!((on(&small, &sum) - n as f64 / 2.0).abs() < 5_000.0);
    let median = on(&small, &x.median_flat());
    assert!((median - 0.5).abs() < 1e-3);
    assert_eq!(on(&workers(2, 512), &x.nanmedian_flat()).to_bits(), median.to_bits());
}

#[test]
fn the_same_bits_in_processes_as_in_this_one() {
    let x = tilework::random::in_chunks(300).uniform(20_000, -1.0..1.0, 3) as Array1<f64>;
    let labels = x.mapv(|v| ((v * 500.0) as i64).rem_euclid(400) - 1).rechunk(700);
    let groups = x.group_by(Axis(0), &labels, 400);
    let results = [groups.mean(), groups.var(0.0), x.sort(Axis(0)), x.cumsum(Axis(0))];
    let medians = [x.median_flat(), x.nanmedian_flat()];
    let at = x.argsort(Axis(0));
    let session = Session::processes(2).expect("two processes");
    let bits = |a: Local<f64>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for a in &results {
        assert_eq!(bits(a.try_compute_on(&session).expect("a result")), bits(a.compute()));
    }
    for a in &medians {
        let there = a.try_compute_on(&session).expect("a result").into_scalar();
        assert_eq!(there.to_bits(), a.compute().into_scalar().to_bits());
    }
    assert_eq!(at.try_compute_on(&session).expect("a result"), at.compute());
}
