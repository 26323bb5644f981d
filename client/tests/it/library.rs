//! Operations that are made of the library's own functions, against naive forms: over chunks of every length, several element
//! types, NaN, ties, arrays without elements and of one.

use crate::draws::draws;
use ndarray::{Array1 as Local, Array2 as Local2, Axis, IxDyn};
use tilework::prelude::*;
use tilework::{Interpolation, Pad, Quantiles};

/// Floats of all kinds: NaN, both zeros, infinities, ties.
fn floats(n: usize, seed: u64) -> Vec<f64> {
    let special = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, -1.5];
    draws(n, 1000, seed)
        .into_iter()
        .map(|d| special.get(d as usize).copied().unwrap_or_else(|| (d % 97) as f64 / 7.0 - 5.0))
        .collect()
}

/// How arrays of so many elements are cut.
fn cuts(n: usize) -> Vec<Chunks> {
    let some = |chunk: usize| Chunks::from((n / 30).max(chunk) as isize);
    let mut cuts: Vec<Chunks> = vec![Chunks::from(-1), some(7), some(2)];
    if n > 5 {
        cuts.push(Chunks::Axes(vec![AxisChunks::Lens(vec![1, n - 4, 3])]));
    }
    cuts
}

fn cut<A: Element>(values: &[A], chunks: &Chunks) -> Array1<A> {
    Array::from(Local::from(values.to_vec())).rechunk(chunks.clone())
}

fn bits(x: &Local<f64>) -> Vec<u64> {
    x.iter().map(|v| v.to_bits()).collect()
}

const LENGTHS: [usize; 6] = [0, 1, 2, 6, 29, 200];

#[test]
fn scans_are_those_of_a_loop() {
    for n in LENGTHS {
        let ints: Vec<i64> = draws(n, 90, 3).iter().map(|&d| d as i64 - 40).collect();
        let bytes: Vec<u8> = draws(n, 256, 4).iter().map(|&d| d as u8).collect();
        let real: Vec<f64> = draws(n, 64, 5).iter().map(|&d| d as f64 / 8.0 - 3.0).collect();
        let odd = floats(n, 6);
        for chunks in cuts(n) {
            let sums = |s: &mut i64, x: &i64| -> Option<i64> {
                *s += x;
                Some(*s)
            };
            let want: Vec<i64> = ints.iter().scan(0, sums).collect();
            assert_eq!(cut(&ints, &chunks).cumsum(Axis(0)).compute().to_vec(), want, "{n} {chunks:?}");
            let want: Vec<u8> = bytes
                .iter()
                .scan(1u8, |p, x| {
                    *p = p.wrapping_mul(*x);
                    Some(*p)
                })
                .collect();
            assert_eq!(cut(&bytes, &chunks).cumprod_flat().compute().to_vec(), want);
            // Eighths are added exactly, in any order.
            let want: Vec<f64> = real
                .iter()
                .scan(0.0, |s, x| {
                    *s += x;
                    Some(*s)
                })
                .collect();
            assert_eq!(cut(&real, &chunks).cumsum(Axis(0)).compute().to_vec(), want);
            let greatest = |m: &mut f64, x: &f64| {
                *m = if m.is_nan() || x.is_nan() { f64::NAN } else { m.max(*x) };
                Some(*m)
            };
            let want: Vec<f64> = odd.iter().scan(f64::NEG_INFINITY, greatest).collect();
            let got = cut(&odd, &chunks).cummax(Axis(0)).compute();
            assert!(got.iter().zip(&want).all(|(g, w)| g == w || g.is_nan() && w.is_nan()), "{n} {chunks:?}");
            let finite: Vec<f64> =
                odd.iter().map(|x| if x.is_infinite() { 1.0 } else { (x * 7.0).round() }).collect();
            let nansum = |s: &mut f64, x: &f64| {
                *s += if x.is_nan() { 0.0 } else { *x };
                Some(*s)
            };
            let want: Vec<f64> = finite.iter().scan(0.0, nansum).collect();
            assert_eq!(cut(&finite, &chunks).nancumsum(Axis(0)).compute().to_vec(), want);
        }
    }
    assert!(
        Array::from_vec_chunked(vec![true, false], 1)
            .try_cumsum(Axis(0))
            .unwrap_err()
            .to_string()
            .contains("cumsum")
    );
    assert!(arr1(&[1.0]).try_cummin(Axis(1)).unwrap_err().to_string().contains("axis 1"));
}

#[test]
fn scans_go_along_any_axis() {
    let x = Local2::from_shape_vec((13, 9), draws(117, 50, 9)).unwrap().mapv(|d| d as i32);
    for chunks in [[4, 2], [13, 9], [1, 9], [5, 4]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for axis in 0..2 {
            let mut want = x.clone();
            want.accumulate_axis_inplace(Axis(axis), |&before, v| *v += before);
            assert_eq!(a.cumsum(Axis(axis)).compute(), want, "{chunks:?} {axis}");
            let mut want = x.clone();
            want.accumulate_axis_inplace(Axis(axis), |&before, v| *v = before.min(*v));
            assert_eq!(a.cummin(Axis(axis)).compute(), want, "{chunks:?} {axis}");
        }
        let mut sum = 0;
        let want: Vec<i32> = x
            .iter()
            .map(|v| {
                sum += v;
                sum
            })
            .collect();
        assert_eq!(a.cumsum_flat().compute().to_vec(), want);
    }
}

#[test]
fn gradients_and_integrals_are_numpys() {
    // numpy.gradient([1, 2, 4, 7, 11], 0.5), numpy.trapezoid(.., dx=0.5)
    let x = Array::from_vec_chunked(vec![1.0, 2.0, 4.0, 7.0, 11.0], 2);
    assert_eq!(x.gradient(Axis(0), 0.5).compute().to_vec(), [2.0, 3.0, 5.0, 7.0, 8.0]);
    assert_eq!(x.trapezoid(Axis(0), 0.5).sum(), 9.5);
    assert_eq!(x.cumulative_trapezoid(Axis(0), 0.5).compute().to_vec(), [0.75, 2.25, 5.0, 9.5]);
    assert_eq!(arr1(&[1.0, 3.0]).gradient(Axis(0), 1.0).compute().to_vec(), [2.0, 2.0]);
    assert_eq!(Array1::<f64>::zeros(0).trapezoid(Axis(0), 1.0).sum(), 0.0);
    assert_eq!(Array1::<f64>::zeros(1).trapezoid(Axis(0), 1.0).sum(), 0.0);
    assert!(arr1(&[1.0]).try_gradient(Axis(0), 1.0).unwrap_err().to_string().contains("at least 2"));
}

fn sorted_f64(x: &[f64]) -> Vec<(f64, u64)> {
    let mut pairs: Vec<(f64, u64)> = x.iter().copied().zip(0..).collect();
    let order = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    pairs.sort_by(|a, b| order(&a.0, &b.0));
    pairs
}

#[test]
fn sorts_across_chunks_are_stable_sorts() {
    for n in LENGTHS.into_iter().chain([1000]) {
        let x = floats(n, 11);
        let want = sorted_f64(&x);
        let (values, at): (Vec<f64>, Vec<u64>) = want.into_iter().unzip();
        let few: Vec<u8> = draws(n, 3, 12).iter().map(|&d| d as u8).collect();
        let mut order: Vec<u64> = (0..n as u64).collect();
        order.sort_by_key(|&i| few[i as usize]);
        for chunks in cuts(n) {
            let a = cut(&x, &chunks);
            assert_eq!(
                bits(&a.sort(Axis(0)).compute()),
                bits(&Local::from(values.clone())),
                "{n} {chunks:?}"
            );
            assert_eq!(a.argsort(Axis(0)).compute().to_vec(), at, "{n} {chunks:?}");
            assert_eq!(cut(&few, &chunks).argsort_flat().compute().to_vec(), order, "{n} {chunks:?}");
        }
    }
    // In order already, in reverse, and all the same.
    let rising: Vec<i32> = (0..500).collect();
    let falling: Vec<i32> = rising.iter().rev().copied().collect();
    for x in [&rising, &falling] {
        assert_eq!(Array::from_vec_chunked(x.clone(), 60).sort(Axis(0)).compute().to_vec(), rising);
    }
    let same = Array::from_vec_chunked(vec![5u16; 300], 37);
    assert_eq!(same.argsort(Axis(0)).compute().to_vec(), (0..300).collect::<Vec<u64>>());
}

#[test]
fn lanes_are_sorted_along_any_axis() {
    let x = Local2::from_shape_vec((11, 14), draws(154, 20, 21)).unwrap().mapv(|d| d as i16);
    for chunks in [[4, 5], [11, 14], [1, 3]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        for axis in 0..2 {
            let (mut want, mut at) = (x.clone(), x.mapv(u64::from_i16));
            for (mut lane, mut at) in want.lanes_mut(Axis(axis)).into_iter().zip(at.lanes_mut(Axis(axis))) {
                let mut pairs: Vec<(i16, u64)> = lane.iter().copied().zip(0..).collect();
                pairs.sort();
                lane.iter_mut().zip(&pairs).for_each(|(v, p)| *v = p.0);
                at.iter_mut().zip(&pairs).for_each(|(v, p)| *v = p.1);
            }
            assert_eq!(a.sort(Axis(axis)).compute(), want, "{chunks:?} {axis}");
            assert_eq!(a.argsort(Axis(axis)).compute(), at, "{chunks:?} {axis}");
        }
        let mut all: Vec<i16> = x.iter().copied().collect();
        all.sort_unstable();
        assert_eq!(a.sort_flat().compute().to_vec(), all);
    }
}

trait FromI16 {
    fn from_i16(v: i16) -> u64;
}
impl FromI16 for u64 {
    fn from_i16(v: i16) -> u64 {
        v as u64
    }
}

#[test]
fn the_greatest_are_found_across_chunks() {
    let x = floats(200, 31);
    for chunks in cuts(200) {
        let a = cut(&x, &chunks);
        for k in [0isize, 1, 5, 300, -4, -250] {
            let mut pairs: Vec<(f64, u64)> = x.iter().copied().zip(0..).collect();
            let order = |a: f64, b: f64| {
                let by_value = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
                a.is_nan().cmp(&b.is_nan()).then(if k >= 0 { by_value.reverse() } else { by_value })
            };
            pairs.sort_by(|a, b| order(a.0, b.0));
            pairs.truncate(k.unsigned_abs());
            let (values, at): (Vec<f64>, Vec<u64>) = pairs.into_iter().unzip();
            assert_eq!(a.argtopk(Axis(0), k).compute().to_vec(), at, "{k} {chunks:?}");
            let got = a.topk(Axis(0), k).compute();
            assert!(
                got.len() == values.len()
                    && got.iter().zip(&values).all(|(g, w)| g == w || g.is_nan() && w.is_nan())
            );
        }
    }
    let x = arr2(&[[1, 5, 3], [9, 2, 4]]).rechunk(&[1, 1][..]);
    assert_eq!(x.topk(Axis(1), 2).compute(), ndarray::arr2(&[[5, 3], [9, 4]]));
    assert_eq!(x.argtopk(Axis(0), -1).compute(), ndarray::arr2(&[[0, 1, 0]]));
}

#[test]
fn quantiles_are_numpys_by_every_rule() {
    // numpy.quantile([7, 1, 4, 9, 2, 12], q, method=..) for q of 0, 0.1, 0.25, 0.5, 0.6, 1, in NumPy's order of names.
    let x = Array::from_vec_chunked(vec![7.0, 1.0, 4.0, 9.0, 2.0, 12.0], 4);
    let qs = [0.0, 0.1, 0.25, 0.5, 0.6, 1.0];
    for (rule, want) in Interpolation::ALL.into_iter().zip(NUMPY_QUANTILES) {
        let along = x.quantiles_axis(Axis(0), &qs, rule).compute();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-13;
        assert!(along.iter().zip(want).all(|(g, w)| close(*g, w)), "{rule:?} {along} {want:?}");
        for (q, w) in qs.into_iter().zip(want) {
            let flat = x.quantile_flat(q, rule).sum();
            assert!(close(flat, w), "{rule:?} {q}: {flat} {w}");
        }
    }
    let with_nan = Array::from_vec_chunked(vec![3.0f32, f32::NAN, 1.0, 2.0], 2);
    assert!(with_nan.median_flat().sum().is_nan() && with_nan.median_axis(Axis(0)).sum().is_nan());
    assert_eq!((with_nan.nanmedian_flat().sum(), with_nan.nanmedian_axis(Axis(0)).sum()), (2.0, 2.0));
    let m = arr2(&[[1u8, 9, 3], [4, 2, 250]]).rechunk(&[1, 2][..]);
    assert_eq!(m.median_axis(Axis(0)).compute(), ndarray::arr1(&[2.5, 5.5, 126.5]));
    assert_eq!(m.median_flat().sum(), 3.5);
    assert!(m.try_quantile_flat(1.5, Interpolation::Linear).unwrap_err().to_string().contains("from 0 to 1"));
    assert!(Array1::<f64>::zeros(0).try_median_flat().unwrap_err().to_string().contains("at least one"));
    fn output<A: Quantiles>(_: A) -> tilework::DType {
        <A::Output as Element>::DTYPE
    }
    assert_eq!((output(1u8), output(1f32)), (tilework::DType::F64, tilework::DType::F32));
}

const NUMPY_QUANTILES: [[f64; 6]; 13] = [
    [1.0, 1.0, 2.0, 4.0, 7.0, 12.0],
    [1.0, 1.0, 2.0, 5.5, 7.0, 12.0],
    [1.0, 1.0, 2.0, 4.0, 7.0, 12.0],
    [1.0, 1.0, 1.5, 4.0, 5.799999999999999, 12.0],
    [1.0, 1.1, 2.0, 5.5, 7.199999999999999, 12.0],
    [1.0, 1.0, 1.75, 5.5, 7.399999999999999, 12.0],
    [1.0, 1.5, 2.5, 5.5, 7.0, 12.0],
    [1.0, 1.0, 1.9166666666666667, 5.5, 7.266666666666666, 12.0],
    [1.0, 1.0, 1.9375, 5.5, 7.25, 12.0],
    [1.0, 1.0, 2.0, 4.0, 7.0, 12.0],
    [1.0, 2.0, 4.0, 7.0, 7.0, 12.0],
    [1.0, 1.5, 3.0, 5.5, 7.0, 12.0],
    [1.0, 1.0, 2.0, 4.0, 7.0, 12.0],
];

#[test]
fn counts_are_those_of_a_loop() {
    let x: Vec<f64> = floats(300, 41);
    let edges = [-4.0, -1.0, 0.0, 0.5, 3.0, 8.0];
    let bin = |v: f64| match edges.iter().rposition(|e| *e <= v) {
        Some(5) if v == 8.0 => Some(4),
        Some(5) | None => None,
        bin => bin,
    };
    for chunks in cuts(300) {
        let a = cut(&x, &chunks);
        let mut want = [0u64; 5];
        x.iter().filter_map(|v| bin(*v)).for_each(|b| want[b] += 1);
        assert_eq!(a.histogram(&edges).compute().to_vec(), want);
        let weights = Array::from(Local::from(draws(300, 8, 42)).mapv(|d| d as f64));
        let mut sums = [0.0; 5];
        x.iter().zip(weights.compute()).for_each(|(v, w)| {
            if let Some(b) = bin(*v) {
                sums[b] += w
            }
        });
        assert_eq!(a.histogram_weighted(&edges, &weights).compute().to_vec(), sums);
    }
    // More edges than a function's parameters hold.
    let edges: Vec<f64> = (0..200_001).map(|e| f64::from(e) / 2e4 - 5.0).collect();
    let counts = Array1::from_vec_chunked(x.clone(), 70).histogram(&edges).compute();
    assert_eq!(counts.sum(), x.iter().filter(|v| (-5.0..=5.0).contains(*v)).count() as u64);
    let small = draws(200, 6, 43);
    let grid = Local2::from_shape_vec((20, 10), small.clone()).unwrap().mapv(|d| d as u8);
    let mut want = [0u64; 7];
    small.iter().for_each(|d| want[*d as usize] += 1);
    let a = Array::from(grid).rechunk(&[6, 3][..]);
    assert_eq!(a.bincount(7).compute().to_vec(), want);
    assert!(a.bincount(3).try_compute().unwrap_err().to_string().contains("expected numbers from 0 to 2"));
    assert!(a.try_histogram(&[1.0, 1.0]).unwrap_err().to_string().contains("rising"));
}

#[test]
fn masks_choose_and_distinct_elements_are_found() {
    for n in LENGTHS {
        let x = floats(n, 51);
        let mask: Vec<bool> = draws(n, 3, 52).iter().map(|d| *d == 0).collect();
        for chunks in cuts(n) {
            let (a, m) = (cut(&x, &chunks), cut(&mask, &Chunks::from(5)));
            let want: Vec<f64> = x.iter().zip(&mask).filter(|(_, m)| **m).map(|(v, _)| *v).collect();
            assert_eq!(bits(&a.extract(&m).compute()), bits(&Local::from(want)), "{n} {chunks:?}");
            let want: Vec<u64> = (0..).zip(&mask).filter(|(_, m)| **m).map(|(i, _)| i).collect();
            assert_eq!(m.flatnonzero().compute().to_vec(), want);
            let ints: Vec<i32> = draws(n, 9, 53).iter().map(|&d| d as i32).collect();
            let a = cut(&ints, &chunks);
            let (values, counts) = a.unique_counts();
            let mut want = std::collections::BTreeMap::new();
            ints.iter().for_each(|v| *want.entry(*v).or_insert(0u64) += 1);
            assert_eq!(values.compute().to_vec(), want.keys().copied().collect::<Vec<_>>(), "{n} {chunks:?}");
            assert_eq!(counts.compute().to_vec(), want.values().copied().collect::<Vec<_>>());
            let values: Vec<i32> = want.into_keys().collect();
            let inverse: Vec<i32> =
                a.unique_inverse().compute().iter().map(|&i| values[i as usize]).collect();
            assert_eq!(inverse, ints);
        }
    }
    let odd = Array::from_vec_chunked(vec![f64::NAN, 1.0, f64::NAN, -0.0, 0.0], 2);
    assert_eq!(bits(&odd.unique().compute()), bits(&ndarray::arr1(&[-0.0, 1.0, f64::NAN])));
    assert_eq!(odd.isin(&arr1(&[f64::NAN, 0.0])).compute().to_vec(), [false, false, false, true, true]);
    let edges = arr1(&[1, 3, 3, 7]);
    let x = Array::from_vec_chunked(vec![0, 1, 3, 5, 7, 9], 4);
    // numpy.digitize(x, edges), numpy.searchsorted(edges, x)
    assert_eq!(x.digitize(&edges, false).compute().to_vec(), [0, 1, 3, 3, 4, 4]);
    assert_eq!(edges.searchsorted(&x, false).compute().to_vec(), [0, 0, 1, 3, 3, 4]);
    assert!(
        arr1(&[2, 1]).searchsorted(&x, false).try_compute().unwrap_err().to_string().contains("not in order")
    );
    assert!(x.try_extract(&arr1(&[true])).unwrap_err().to_string().contains("[1]"));
    let wide = ndarray::Array::from_elem(IxDyn(&[2, 3]), 4u8);
    assert_eq!(Array::from(wide).unique().compute().to_vec(), [4]);
}

#[test]
fn groups_are_reduced_across_chunks() {
    let x = Local2::from_shape_vec((30, 4), draws(120, 64, 61)).unwrap().mapv(|d| d as f32 / 4.0);
    let labels: Vec<i32> = draws(30, 6, 62).iter().map(|&d| d as i32 - 1).collect();
    for axis in 0..2 {
        let x = if axis == 0 { x.clone() } else { x.t().to_owned() };
        for chunks in [[7, 3], [30, 30], [1, 2]] {
            let a = Array::from(x.clone()).rechunk(
                &[chunks[axis].min(x.nrows()), chunks[1 - axis].min(x.ncols())].map(|c| c as isize)[..],
            );
            let groups = a.group_by(Axis(axis), &cut(&labels, &Chunks::from(4)), 6);
            let (sum, min, max) = (groups.sum().compute(), groups.min().compute(), groups.max().compute());
            let (count, mean, var) =
                (groups.count().compute(), groups.mean().compute(), groups.var(1.0).compute());
            for (k, lane) in x.lanes(Axis(axis)).into_iter().enumerate() {
                for g in 0..6 {
                    let at = if axis == 0 { [g, k] } else { [k, g] };
                    let own = lane.iter().zip(&labels).filter(|(_, l)| **l == g as i32).map(|(v, _)| *v);
                    let own: Local<f32> = own.collect();
                    assert_eq!((count[at], sum[at]), (own.len() as u64, own.sum()), "{chunks:?} {at:?}");
                    assert_eq!(min[at], own.iter().copied().fold(f32::INFINITY, f32::min));
                    assert_eq!(max[at], own.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                    match own.len() {
                        0 => assert!(mean[at].is_nan() && var[at].is_nan()),
                        1 => assert!(mean[at] == own[0] && var[at].is_nan()),
                        n => {
                            let (m, v) = (own.mean().unwrap(), own.mapv(f64::from).var(1.0) as f32);
                            assert!((mean[at] - m).abs() < 1e-5 && (var[at] - v).abs() < 1e-4, "{n} {at:?}");
                        }
                    }
                }
            }
        }
    }
    let a = Array::from_vec_chunked(vec![1, 2, 3], 2);
    assert!(
        a.group_by(Axis(0), &arr1(&[0, 5, 1]), 3)
            .sum()
            .try_compute()
            .unwrap_err()
            .to_string()
            .contains("label 5")
    );
    assert!(a.try_group_by(Axis(0), &arr1(&[0]), 3).unwrap_err().to_string().contains("1 for 3 positions"));
    assert!(a.try_group_by(Axis(0), &arr1(&[0, 0, 0]), 0).unwrap_err().to_string().contains("at least one"));
}

#[test]
fn reductions_leave_nan_out() {
    let x = Local2::from_shape_vec((10, 6), floats(60, 71))
        .unwrap()
        .mapv(|v| if v.is_infinite() { 2.0 } else { v });
    let mut x = x;
    x.column_mut(3).fill(f64::NAN);
    for chunks in [[3, 2], [10, 6]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let lanes: Vec<Local<f64>> = x
            .lanes(Axis(0))
            .into_iter()
            .map(|l| l.iter().copied().filter(|v| !v.is_nan()).collect())
            .collect();
        let close = |got: Local<f64>, want: &dyn Fn(&Local<f64>) -> f64| {
            for (g, lane) in got.iter().zip(&lanes) {
                let w = want(lane);
                assert!(
                    (g - w).abs() <= 1e-12 * w.abs().max(1.0) || g.is_nan() && w.is_nan(),
                    "{g} {w} {chunks:?}"
                );
            }
        };
        close(a.nansum_axis(Axis(0)).compute(), &|l| l.sum());
        close(a.nanprod_axis(Axis(0)).compute(), &|l| l.product());
        close(a.nanmean_axis(Axis(0)).compute(), &|l| l.mean().unwrap_or(f64::NAN));
        close(a.nanmin_axis(Axis(0)).compute(), &|l| l.iter().copied().fold(f64::NAN, f64::min));
        close(a.nanmax_axis(Axis(0)).compute(), &|l| l.iter().copied().fold(f64::NAN, f64::max));
        close(a.nanvar_axis(Axis(0), 1.0).compute(), &|l| if l.len() > 1 { l.var(1.0) } else { f64::NAN });
        close(a.nanstd_axis(Axis(0), 0.0).compute(), &|l| if l.is_empty() { f64::NAN } else { l.std(0.0) });
        let counts: Vec<u64> = lanes.iter().map(|l| l.len() as u64).collect();
        assert_eq!(a.count_axis(Axis(0)).compute().to_vec(), counts);
        assert_eq!(a.lazy_count().sum(), counts.iter().sum::<u64>());
    }
    let x = arr2(&[[1, 5, 3], [9, 2, 4]]).rechunk(&[1, 2][..]);
    assert_eq!(x.ptp_axis(Axis(0)).compute(), ndarray::arr1(&[8, 3, 1]));
    // numpy.average([[1, 2], [3, 6]], axis=1, weights=[3, 1])
    let x = arr2(&[[1.0, 2.0], [3.0, 6.0]]);
    assert_eq!(x.average_axis(Axis(1), &arr1(&[3.0, 1.0])).compute(), ndarray::arr1(&[1.25, 3.75]));
    assert!(
        x.try_average_axis(Axis(1), &arr1(&[1.0])).unwrap_err().to_string().contains("1 for 2 positions")
    );
}

#[test]
fn elements_are_turned_shifted_repeated_and_padded() {
    let x = ndarray::arr2(&[[1, 2, 3], [4, 5, 6]]);
    for chunks in [[1, 2], [2, 3]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        assert_eq!(a.flip(Axis(1)).compute(), x.slice(s![.., ..;-1]));
        assert_eq!(a.roll(Axis(1), 1).compute(), ndarray::arr2(&[[3, 1, 2], [6, 4, 5]]));
        assert_eq!(a.roll(Axis(1), -4).compute(), ndarray::arr2(&[[2, 3, 1], [5, 6, 4]]));
        assert_eq!(a.roll(Axis(0), 2).compute(), x);
        // numpy.rot90(x, k)
        let once = ndarray::arr2(&[[3, 6], [2, 5], [1, 4]]);
        let plane = (Axis(0), Axis(1));
        assert_eq!(a.rot90(1, plane).compute(), once);
        assert_eq!(a.rot90(-3, plane).compute(), once);
        assert_eq!(a.rot90(2, plane).compute(), ndarray::arr2(&[[6, 5, 4], [3, 2, 1]]));
        assert_eq!(a.rot90(3, plane).compute(), ndarray::arr2(&[[4, 1], [5, 2], [6, 3]]));
        assert_eq!(a.repeat(Axis(1), 2).compute(), ndarray::arr2(&[[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]]));
        assert_eq!(a.tile(Axis(1), 2).compute(), ndarray::arr2(&[[1, 2, 3, 1, 2, 3], [4, 5, 6, 4, 5, 6]]));
        assert_eq!(
            (a.repeat(Axis(0), 0).compute().dim(), a.tile(Axis(0), 0).compute().dim()),
            ((0, 3), (0, 3))
        );
        assert_eq!(a.moveaxis(Axis(0), Axis(1)).compute(), x.t());
        let parts: Vec<_> = a.split_axis(Axis(1), 2).iter().map(|p| p.compute()).collect();
        assert_eq!(parts, [x.slice(s![.., ..2]).to_owned(), x.slice(s![.., 2..]).to_owned()]);
    }
    // numpy.pad([1, 2, 3], (5, 4), mode)
    let a = Array::from_vec_chunked(vec![1, 2, 3], 2);
    let padded = |pad| a.pad(Axis(0), (5, 4), pad).compute().to_vec();
    assert_eq!(padded(Pad::Constant(9)), [9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 9]);
    assert_eq!(padded(Pad::Edge), [1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3]);
    assert_eq!(padded(Pad::Reflect), [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]);
    assert_eq!(padded(Pad::Symmetric), [2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1]);
    assert_eq!(padded(Pad::Wrap), [2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
    let one = arr1(&[7]);
    assert_eq!(one.pad(Axis(0), (1, 1), Pad::Reflect).compute().to_vec(), [7, 7, 7]);
    let none = Array1::<i32>::zeros(0);
    assert!(none.try_pad(Axis(0), (1, 0), Pad::Edge).unwrap_err().to_string().contains("none along axis 0"));
    assert_eq!(none.pad(Axis(0), (1, 0), Pad::Constant(3)).compute().to_vec(), [3]);
    assert!(a.try_rot90(1, (Axis(0), Axis(0))).unwrap_err().to_string().contains("two different"));
    assert!(a.try_split_axis(Axis(0), 0).unwrap_err().to_string().contains("at least one"));
}

#[test]
fn the_page_for_people_who_come_from_dask_has_every_name() {
    let page = include_str!("../../../docs/dask.md");
    let missing = DASK.split_whitespace().filter(|name| !page.contains(&format!("| `{name}` | ")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
    // What comes after is of files.
    let names = page.split_once("\n## Zarr").expect("a chapter on Zarr").0;
    let rows = names.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `linalg."));
    assert_eq!(rows.count(), DASK.split_whitespace().count());
}

/// `dask.array.__all__` of Dask 2026.8.0, without types and constants.
const DASK: &str = "abs absolute add all allclose angle any append apply_along_axis apply_gufunc apply_over_axes arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argtopk argwhere around array as_gufunc asanyarray asarray atleast_1d atleast_2d atleast_3d atop average bincount bitwise_and bitwise_not bitwise_or bitwise_xor block blockwise broadcast_arrays broadcast_to cbrt ceil choose clip coarsen compress compute concatenate conj copysign corrcoef cos cosh count_nonzero cov cumprod cumsum deg2rad degrees delete diag diagonal diff digitize divide divmod dot dstack ediff1d einsum empty empty_like equal exp exp2 expand_dims expm1 extract eye fabs fix flatnonzero flip fliplr flipud float_power floor floor_divide fmax fmin fmod frexp from_array from_delayed from_npy_stack from_tiledb from_zarr fromfunction frompyfunc full full_like gradient greater greater_equal gufunc histogram histogram2d histogramdd hstack hypot i0 imag indices insert invert isclose iscomplex isfinite isin isinf isnan isneginf isnull isposinf isreal ldexp left_shift less less_equal linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor map_blocks map_overlap matmul max maximum mean median meshgrid min minimum mod modf moment moveaxis multiply nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative nextafter nonzero not_equal notnull ones ones_like outer overlap pad percentile piecewise positive power prod ptp push quantile rad2deg radians ravel ravel_multi_index real rechunk reciprocal reduction remainder repeat reshape reshape_blockwise result_type right_shift rint roll rollaxis rot90 round searchsorted select shape shuffle sign signbit sin sinc sinh spacing sqrt square squeeze stack std store subtract sum swapaxes take tan tanh tensordot tile to_hdf5 to_npy_stack to_tiledb to_zarr topk trace transpose tri tril tril_indices tril_indices_from triu triu_indices triu_indices_from true_divide trunc unify_chunks union1d unique unravel_index var vdot vstack where zeros zeros_like";

#[test]
fn infinities_are_numbers_and_complex_nan_is_last() {
    let inf = f64::INFINITY;
    let of = |x: &[f64]| Array::from(Local::from(x.to_vec())).rechunk(2);
    assert_eq!(of(&[1.0, 2.0, inf]).median_flat().sum(), 2.0);
    assert_eq!(of(&[1.0, inf]).median_flat().sum(), inf);
    let lanes = Array::from(Local2::from_shape_vec((2, 3), vec![1.0, 2.0, inf, 3.0, inf, inf]).unwrap());
    assert_eq!(lanes.median_axis(Axis(1)).compute(), Local::from(vec![2.0, inf]));
    assert_eq!(lanes.median_axis(Axis(0)).compute(), Local::from(vec![2.0, inf, inf]));
    let mean = of(&[inf, 1.0, 2.0]).group_by(Axis(0), &arr1(&[0, 0, 1]), 2).mean();
    assert_eq!(mean.compute(), Local::from(vec![inf, 2.0]));
    let z = [
        Complex::new(2.0, 1.0),
        Complex::new(1.0, f64::NAN),
        Complex::new(f64::NAN, 0.0),
        Complex::new(0.0, 0.0),
    ];
    let sorted = Array::from(Local::from(z.to_vec())).rechunk(2).sort(Axis(0)).compute();
    assert_eq!((sorted[0], sorted[1]), (z[3], z[0]));
    assert!(sorted[2].is_nan() && sorted[3].is_nan());
}

#[test]
fn what_cannot_be_padded_tiled_or_counted_is_an_error() {
    let x = Array::from(Local::from_iter(0..5_i64)).rechunk(2);
    for much in [usize::MAX, 1 << 40] {
        assert!(
            x.try_pad(Axis(0), (much, 0), Pad::Edge).is_err()
                && x.try_pad(Axis(0), (0, much), Pad::Wrap).is_err()
        );
        assert!(x.try_tile(Axis(0), much).is_err());
    }
    assert_eq!(x.roll(Axis(0), isize::MIN).len(), 5);
}
