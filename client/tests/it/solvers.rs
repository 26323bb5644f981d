//! Iterations in which values are used more than once, as in every solver with coupled variables, with several results
//! in one run: they are planned, explained and computed, to the bits of a plain loop.

use tilework::prelude::*;
use tilework::{Boundary, compute_all, explain_all};

/// What solvers do to their variables: to numbers, and to arrays of them.
trait Variable: Clone {
    fn add(&self, other: &Self) -> Self;
    fn sub(&self, other: &Self) -> Self;
    fn mul(&self, other: &Self) -> Self;
    fn times(&self, by: f64) -> Self;
    fn less_of(&self, all: f64) -> Self;
}

impl Variable for f64 {
    fn add(&self, other: &f64) -> f64 {
        self + other
    }
    fn sub(&self, other: &f64) -> f64 {
        self - other
    }
    fn mul(&self, other: &f64) -> f64 {
        self * other
    }
    fn times(&self, by: f64) -> f64 {
        self * by
    }
    fn less_of(&self, all: f64) -> f64 {
        all - self
    }
}

impl Variable for Array1<f64> {
    fn add(&self, other: &Self) -> Self {
        self + other
    }
    fn sub(&self, other: &Self) -> Self {
        self - other
    }
    fn mul(&self, other: &Self) -> Self {
        self * other
    }
    fn times(&self, by: f64) -> Self {
        self * by
    }
    fn less_of(&self, all: f64) -> Self {
        all - self
    }
}

/// Where elements start: no two alike.
fn starts(from: f64) -> Vec<f64> {
    (0..1000).map(|i| from + f64::from(i) * 1e-3).collect()
}

fn array(elements: &[f64]) -> Array1<f64> {
    Array1::from_ndarray(ndarray::Array1::from_vec(elements.to_vec()), 250)
}

/// Runs a solver of `N` variables on arrays and on numbers; the plan has at most so many stages.
fn check<const N: usize>(
    solve: fn(usize, [f64; N]) -> [f64; N],
    lazily: fn(usize, [Array1<f64>; N]) -> [Array1<f64>; N],
    (steps, stages_max): (usize, usize),
) {
    let from: [Vec<f64>; N] = std::array::from_fn(|i| starts(i as f64 * 0.5));
    let end = lazily(steps, std::array::from_fn(|i| array(&from[i])));
    let plan = explain_all(&end[..]);
    assert!(plan.stages().len() <= stages_max, "{}", plan.stages().len());
    assert!(plan.to_string().contains("plan"));
    let planned: u64 = plan.stages().iter().map(|s| s.n_tasks).sum();
    assert_eq!(plan.forecast().expect("a forecast").n_tasks, planned);
    let computed = compute_all(&end[..]);
    for at in [0, 1, 249, 250, 999] {
        let want = solve(steps, std::array::from_fn(|i| from[i][at]));
        let got: [f64; N] = std::array::from_fn(|i| computed[i][at]);
        assert_eq!(got.map(f64::to_bits), want.map(f64::to_bits), "element {at}: {got:?} {want:?}");
    }
}

/// The equations of Lorenz, by Runge and Kutta's method.
fn lorenz<V: Variable>(steps: usize, start: [V; 3]) -> [V; 3] {
    let slope = |v: &[V; 3]| {
        [
            v[1].sub(&v[0]).times(10.0),
            v[0].mul(&v[2].less_of(28.0)).sub(&v[1]),
            v[0].mul(&v[1]).sub(&v[2].times(8.0 / 3.0)),
        ]
    };
    let along = |v: &[V; 3], k: &[V; 3], h: f64| std::array::from_fn(|i| v[i].add(&k[i].times(h)));
    let h = 0.01;
    (0..steps).fold(start, |v, _| {
        let k1 = slope(&v);
        let k2 = slope(&along(&v, &k1, h / 2.0));
        let k3 = slope(&along(&v, &k2, h / 2.0));
        let k4 = slope(&along(&v, &k3, h));
        std::array::from_fn(|i| {
            let inner = k2[i].add(&k3[i]).times(2.0);
            v[i].add(&k1[i].add(&k4[i]).add(&inner).times(h / 6.0))
        })
    })
}

/// An oscillator, by Adams and Bashforth's method of second order.
fn oscillator<V: Variable>(steps: usize, start: [V; 2]) -> [V; 2] {
    let slope = |v: &[V; 2]| [v[1].clone(), v[0].times(-1.0)];
    let mut before = slope(&start);
    (0..steps).fold(start, |v, _| {
        let now = slope(&v);
        let next =
            std::array::from_fn(|i| v[i].add(&now[i].times(1.5).sub(&before[i].times(0.5)).times(0.01)));
        before = now;
        next
    })
}

/// A sum of Chebyshev polynomials, and the last one of them.
fn chebyshev<V: Variable>(steps: usize, [x, start]: [V; 2]) -> [V; 2] {
    let (mut t, mut next, mut sum) = (start, x.clone(), x.clone());
    for k in 0..steps {
        let after = x.mul(&next).times(2.0).sub(&t);
        sum = sum.add(&after.times(1.0 / (k + 2) as f64));
        (t, next) = (next, after);
    }
    [sum, next]
}

/// A moving mean and variance of frames, with exponential weights.
fn moving<V: Variable>(steps: usize, [mean, var]: [V; 2]) -> [V; 2] {
    (0..steps).fold([mean, var], |[mean, var], i| {
        let d = mean.less_of(i as f64);
        [mean.add(&d.times(0.1)), var.add(&d.mul(&d).times(0.1)).times(0.9)]
    })
}

#[test]
fn coupled_variables_are_solved_to_the_bits_of_a_loop() {
    check(lorenz, lorenz, (20, 3 + 4 * 20));
    check(oscillator, oscillator, (100, 20));
    check(chebyshev, chebyshev, (100, 20));
    check(moving, moving, (60, 10));
}

#[test]
fn what_is_kept_after_each_step_is_not_computed_again() {
    let from: [Vec<f64>; 3] = std::array::from_fn(|i| starts(i as f64 * 0.5));
    let mut kept: [Array1<f64>; 3] = std::array::from_fn(|i| array(&from[i]));
    let stages = |v: &[Array1<f64>; 3]| explain_all(&lorenz(1, v.clone())[..]).stages().len();
    let first = stages(&kept);
    for _ in 0..10 {
        kept = persist_all(&lorenz(1, kept)[..]).try_into().expect("three arrays");
        assert_eq!(stages(&kept), first);
    }
    let (x, y, z) = persist_all(&(&kept[0], &(&kept[1] * 2.0), &kept[2].lazy_sum()));
    assert_eq!((x.to_vec(), y.to_vec()), (kept[0].to_vec(), (&kept[1] * 2.0).to_vec()));
    assert_eq!(z.compute()[()], kept[2].sum());
    let want = lorenz(10, std::array::from_fn(|i| from[i][500]));
    assert_eq!(kept.map(|v| v[500].to_bits()), want.map(f64::to_bits));
}

#[test]
fn sums_of_sums_are_planned_once_each() {
    let fibonacci = |n: usize| {
        let (mut a, mut b) =
            (Array1::<u64>::in_chunks(100).zeros(1000), Array1::<u64>::in_chunks(100).ones(1000));
        let (mut c, mut d) = (0u64, 1u64);
        for _ in 0..n {
            (a, b) = (b.clone(), &a + &b);
            (c, d) = (d, c.wrapping_add(d));
        }
        (a, c)
    };
    for n in [94, 110, 200] {
        let (a, want) = fibonacci(n);
        assert_eq!(a.max(), want, "{n}");
        let (least, greatest) = compute_all(&(&a.lazy_min(), &a.lazy_max()));
        assert_eq!([least[()], greatest[()]], [want; 2], "{n}");
    }
    let doubled = (0..41).fold(Array1::<u64>::in_chunks(100).ones(1000), |a, _| &a + &a);
    let (least, greatest) = compute_all(&(&doubled.lazy_min(), &doubled.lazy_max()));
    assert_eq!([least[()], greatest[()]], [1 << 41; 2]);
}

#[test]
fn a_long_chain_is_computed_and_dropped_without_recursion() {
    let start: Array1<f64> = array(&starts(1.0));
    let end = (0..20_000).fold(start, |a, i| if i % 2 == 0 { -&a } else { &a + 1.0 });
    assert!(end.explain().stages().len() < 100);
    let want = (0..20_000).fold(1.5, |a: f64, i| if i % 2 == 0 { -a } else { a + 1.0 });
    assert_eq!(end.to_vec()[500], want);
}

#[test]
fn a_part_of_an_array_after_many_sweeps_takes_what_it_depends_on() {
    let n = 160;
    let start = ndarray::Array2::from_shape_fn((n, n), |(i, j)| (i * 31 % 17) as f64 + (j * 7 % 5) as f64);
    let sweep = |u: ndarray::ArrayView2<'_, f64>| {
        let inner =
            |i: usize, j: usize| u[[i, j + 1]] + u[[i + 2, j + 1]] + u[[i + 1, j]] + u[[i + 1, j + 2]];
        ndarray::Array2::from_shape_fn((u.nrows() - 2, u.ncols() - 2), |(i, j)| inner(i, j) * 0.25)
    };
    let mut swept = Array2::from_ndarray(start.clone(), 10);
    let mut want = start;
    for _ in 0..7 {
        swept = swept.map_overlap(1, Boundary::Nearest, sweep);
        let near = |i: usize| i.saturating_sub(1).min(n - 1);
        let padded = ndarray::Array2::from_shape_fn((n + 2, n + 2), |(i, j)| want[[near(i), near(j)]]);
        want = sweep(padded.view());
    }
    let corner = swept.slice(s![..10, ..10]);
    let plan = corner.explain();
    // One chunk more along each axis with each sweep, from the last one back.
    let tasks: Vec<u64> = plan.stages().iter().map(|s| s.n_tasks).collect();
    assert_eq!(tasks, [64, 49, 36, 25, 16, 9, 4, 1, 1], "{plan}");
    // On a session of its own: other tests close the current one, which then forgets.
    let session = tilework::Session::embedded().unwrap();
    assert_eq!(corner.to_owned().try_compute_on(&session).unwrap(), want.slice(s![..10, ..10]));
    let ran = corner.try_explain_on(&session).unwrap();
    assert_eq!(ran.run().map(|run| run.n_tasks), Some(tasks.iter().sum()));
}
