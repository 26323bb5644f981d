//! Random arrays: what they do not depend on, and their moments.

use tilework::prelude::*;
use tilework::random;

#[test]
fn any_chunks_give_the_same_elements() {
    let whole: Array3<f64> = random::in_chunks(-1).standard_normal((7, 8, 9), 5);
    let want = whole.compute();
    for chunks in [1, 3, 8] {
        let cut: Array3<f64> = random::in_chunks(chunks).standard_normal((7, 8, 9), 5);
        assert_eq!(cut.compute(), want);
    }
    let part: Array3<f64> = random::standard_normal((7, 8, 9), 5);
    assert_eq!(part.slice(s![2.., .., 3]).compute(), want.slice(s![2.., .., 3]));
    assert_ne!(random::standard_normal::<f64, _>((7, 8, 9), 6).compute(), want);
}

#[test]
fn distributions_have_their_moments() {
    let n = 200_000;
    let u: Array1<f64> = random::in_chunks(30_000).uniform(n, -1.0..3.0, 1);
    assert!(u.min() >= -1.0 && u.max() < 3.0);
    assert!((u.mean().unwrap() - 1.0).abs() < 0.02 && (u.var(0.0) - 16.0 / 12.0).abs() < 0.02);
    let g: Array1<f32> = random::in_chunks(30_000).normal(n, 5.0, 2.0, 1);
    assert!((g.mean().unwrap() - 5.0).abs() < 0.03 && (g.std(0.0) - 2.0).abs() < 0.03);
    let i: Array1<u8> = random::in_chunks(30_000).integers(n, 10..14, 1);
    for value in 10u8..14 {
        let count = i.equal(value).cast::<i64>().sum();
        assert!((count - 50_000).abs() < 1500, "{value}: {count}");
    }
    let wide: Array1<i64> = random::integers(n, i64::MIN..i64::MAX, 1);
    assert!(wide.min() < i64::MIN / 2 && wide.max() > i64::MAX / 2);
}

#[test]
fn senseless_distributions_are_refused() {
    let text = |e: tilework::Error| e.to_string();
    assert!(text(random::try_uniform::<f64, _>(3, 1.0..0.0, 1).unwrap_err()).contains("low <= high"));
    assert!(random::try_uniform::<f64, _>(3, f64::NAN..0.0, 1).is_err());
    assert!(text(random::try_normal::<f64, _>(3, 0.0, -1.0, 1).unwrap_err()).contains("standard deviation"));
    assert!(text(random::try_integers::<u8, _>(3, 4..4, 1).unwrap_err()).contains("low < high"));
    assert!(random::in_chunks(0).try_integers::<u8, _>(3, 4..5, 1).is_err());
}

/// The greatest distance between the distribution of a sample and its distribution function: of 20,000 elements it is beyond
/// 0.0138 for one seed in a thousand.
fn distance(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let gaps = sample.iter().enumerate().map(|(i, x)| {
        let p = cdf(*x);
        (p - i as f64 / n).max((i + 1) as f64 / n - p)
    });
    gaps.fold(0.0, f64::max)
}

const N: usize = 20_000;

/// The regularized lower incomplete gamma function, by its series.
fn gamma_p(a: f64, x: f64) -> f64 {
    // The gamma function of multiples of one half.
    let gamma = |a: f64| {
        let start = if a.fract() == 0.0 { (1.0, 1.0) } else { (0.5, std::f64::consts::PI.sqrt()) };
        let (mut at, mut value) = start;
        while at < a {
            value *= at;
            at += 1.0;
        }
        value
    };
    let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
    while term > 1e-17 * sum {
        n += 1.0;
        term *= x / n;
        sum += term;
    }
    sum * (a * x.ln() - x).exp() / gamma(a)
}

#[test]
fn continuous_samples_have_their_distribution() {
    let made = random::in_chunks(3000);
    let check = |what: &str, sample: Array1<f64>, cdf: &dyn Fn(f64) -> f64| {
        let d = distance(sample.compute().to_vec(), cdf);
        assert!(d < 0.0138, "{what}: {d}");
    };
    check("exponential", made.exponential(N, 2.0, 1), &|x| 1.0 - (-x / 2.0).exp());
    check("weibull", made.weibull(N, 1.7, 2), &|x| 1.0 - (-x.powf(1.7)).exp());
    check("gamma 2.5", made.gamma(N, 2.5, 3.0, 3), &|x| gamma_p(2.5, x / 3.0));
    check("gamma 0.5", made.gamma(N, 0.5, 1.0, 4), &|x| gamma_p(0.5, x));
    check("chisquare", made.chisquare(N, 3.0, 5), &|x| gamma_p(1.5, x / 2.0));
    check("beta 2 1", made.beta(N, 2.0, 1.0, 6), &|x| x * x);
    check("beta 1 3", made.beta(N, 1.0, 3.0, 7), &|x| 1.0 - (1.0 - x).powi(3));
    check("beta .5 .5", made.beta(N, 0.5, 0.5, 8), &|x| x.sqrt().asin() / std::f64::consts::FRAC_PI_2);
    // Half of the normal distribution is chi-squared with one degree of freedom.
    let squares = made.lognormal(N, 1.0, 0.5, 9).mapv(|x: f64| ((x.ln() - 1.0) / 0.5).powi(2));
    check("lognormal", squares, &|x| gamma_p(0.5, x / 2.0));
    let narrow: Array1<f32> = made.gamma(N, 2.5, 3.0, 3);
    assert_eq!(narrow.compute(), made.gamma::<f64, _>(N, 2.5, 3.0, 3).compute().mapv(|x| x as f32));
}

/// Pearson's statistic of counts in 21 bins, the last of which has the rest: beyond 45.3 for one seed in a thousand.
fn chi_squared(sample: &[i64], first: i64, p: impl Fn(i64) -> f64) -> f64 {
    let mut counts = [0.0; 21];
    for x in sample {
        counts[(x - first).clamp(0, 20) as usize] += 1.0;
    }
    let mut expected: Vec<f64> = (first..first + 20).map(&p).collect();
    expected[0] = (0..=first).map(&p).sum();
    expected.push(1.0 - expected.iter().sum::<f64>());
    let n = sample.len() as f64;
    let terms = counts.iter().zip(&expected).filter(|(_, p)| **p > 1e-9);
    terms.map(|(count, p)| (count - n * p).powi(2) / (n * p)).sum()
}

#[test]
fn counts_have_their_distribution() {
    let made = random::in_chunks(3000);
    let check = |what: &str, sample: Array1<i64>, first: i64, p: &dyn Fn(i64) -> f64| {
        let x = chi_squared(&sample.compute().to_vec(), first, p);
        assert!(x < 45.3, "{what}: {x}");
    };
    let factorial = |k: i64| (1..=k).map(|i| i as f64).product::<f64>();
    let poisson = |mean: f64| move |k: i64| mean.powi(k as i32) * (-mean).exp() / factorial(k);
    check("poisson 4", made.poisson(N, 4.0, 1), 0, &poisson(4.0));
    check("poisson 20", made.poisson(N, 20.0, 2), 10, &poisson(20.0));
    let binomial = |n: i64, p: f64| {
        move |k: i64| {
            let ways = (1..=k).map(|i| (n - k + i) as f64 / i as f64).product::<f64>();
            ways * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32)
        }
    };
    check("binomial 15 .3", made.binomial(N, 15, 0.3, 3), 0, &binomial(15, 0.3));
    check("binomial 60 .3", made.binomial(N, 60, 0.3, 4), 8, &binomial(60, 0.3));
    check("binomial 40 .7", made.binomial(N, 40, 0.7, 5), 18, &binomial(40, 0.7));
    check("geometric", made.geometric(N, 0.2, 6), 1, &|k| {
        if k < 1 { 0.0 } else { 0.2 * 0.8f64.powi(k as i32 - 1) }
    });
    let many: Array1<f64> = made.poisson::<i64, _>(N, 1e12, 7).cast();
    let (mean, var) = (many.mean().unwrap(), many.var(0.0));
    assert!((mean - 1e12).abs() < 4e6 / 141.0 * 3.3 && (var / 1e12 - 1.0).abs() < 0.04, "{mean} {var}");
    let all: Array1<u8> = made.binomial(10, 200, 1.0, 1);
    assert_eq!(all.compute().to_vec(), [200; 10]);
    assert_eq!(made.geometric::<u8, _>(10, 1.0, 1).compute().to_vec(), [1; 10]);
    assert_eq!(made.poisson::<u8, _>(10, 0.0, 1).compute().to_vec(), [0; 10]);
}

#[test]
fn any_chunks_give_the_same_samples() {
    let made = |chunks: isize| {
        let made = random::in_chunks(chunks);
        let floats: Array3<f64> = made.gamma((7, 8, 9), 0.3, 1.0, 5);
        let counts: Array3<u16> = made.poisson((7, 8, 9), 30.0, 5);
        let beta: Array3<f32> = made.beta((7, 8, 9), 0.3, 2.0, 5);
        let trials: Array3<i32> = made.geometric((7, 8, 9), 0.01, 5);
        (floats.compute(), counts.compute(), beta.compute(), trials.compute())
    };
    let want = made(-1);
    for chunks in [1, 3, 8] {
        assert_eq!(made(chunks), want);
    }
    assert_eq!(random::gamma::<f64, _>((), 0.3, 1.0, 5).compute()[()], want.0[[0, 0, 0]]);
    assert_eq!(random::gamma::<f64, _>((3, 0), 0.3, 1.0, 5).compute().shape(), [3, 0]);
}

#[test]
fn choices_have_their_weights() {
    let values = arr1(&[10i32, 20, 30, 40]);
    let count = |x: &Array1<i32>, value: i32| x.equal(value).cast::<i64>().sum();
    let even = random::choice(N, &values, 3);
    for value in [10, 20, 30, 40] {
        assert!((count(&even, value) - 5000).abs() < 250);
    }
    let uneven = random::choice_weighted(N, &values, &[1.0, 0.0, 2.0, 1.0], 3);
    assert_eq!(count(&uneven, 20), 0);
    assert!((count(&uneven, 30) - 10_000).abs() < 300 && (count(&uneven, 40) - 5000).abs() < 250);
    // The first of a choice without repetition is as one with it; all come if all are asked for.
    let mut first = [0i32; 4];
    for seed in 0..400 {
        let chosen = random::choice_distinct_weighted(3, &values, &[1.0, 0.0, 2.0, 1.0], seed).compute();
        first[(chosen[0] / 10 - 1) as usize] += 1;
        let mut all = chosen.to_vec();
        all.sort_unstable();
        assert_eq!(all, [10, 30, 40]);
    }
    assert!((first[0] - 100).abs() < 40 && (first[2] - 200).abs() < 45, "{first:?}");
    let text = |e: tilework::Error| e.to_string();
    assert!(text(random::try_choice_distinct(5, &values, 1).unwrap_err()).contains("5 of 4"));
    assert!(text(random::try_choice_weighted(5, &values, &[1.0], 1).unwrap_err()).contains("1 for 4 values"));
    for bad in [[0.0; 4], [1.0, -1.0, 1.0, 1.0], [f64::NAN; 4], [f64::MAX; 4]] {
        assert!(random::try_choice_weighted(5, &values, &bad, 1).is_err());
    }
    let few = [1.0, 0.0, 0.0, 1.0];
    let refused = random::try_choice_distinct_weighted(3, &values, &few, 1).unwrap_err();
    assert!(text(refused).contains("3 of 2 that have a weight"));
    assert!(random::try_choice(5, &Array1::<i32>::zeros(0), 1).is_err());
    assert_eq!(random::choice_distinct(0, &values, 1).compute().len(), 0);
}

#[test]
fn orders_are_even_and_shuffles_keep_rows() {
    // All 6 orders of 3, 1200 times: beyond 20.5 for one set of seeds in a thousand.
    let mut counts = std::collections::HashMap::new();
    for seed in 0..1200 {
        *counts.entry(random::permutation(3, seed).compute().to_vec()).or_insert(0) += 1;
    }
    let x: f64 = counts.values().map(|&n| f64::from(n - 200).powi(2) / 200.0).sum();
    assert!(counts.len() == 6 && x < 20.5, "{counts:?}");
    assert_eq!(random::permutation(0, 1).compute().len(), 0);
    assert_eq!(random::permutation(1, 1).compute().to_vec(), [0]);

    let rows = ndarray::Array3::from_shape_fn((11, 6, 5), |(i, j, k)| (100 * i + 10 * j + k) as i32);
    for axis in 0..3 {
        let want = random::shuffle(&Array::from(rows.clone()), Axis(axis), 9).compute();
        assert_ne!(want, rows);
        let mut of_first: Vec<_> = want.axis_iter(Axis(axis)).map(|row| row.to_owned()).collect();
        of_first.sort_by_key(|row| *row.first().unwrap());
        assert!(of_first.iter().zip(rows.axis_iter(Axis(axis))).all(|(a, b)| a == b));
        for chunks in [[4, 3, 2], [1, 6, 5], [11, 1, 4]] {
            let cut = Array::from(rows.clone()).rechunk(&chunks[..]);
            assert_eq!(random::shuffle(&cut, Axis(axis), 9).compute(), want, "{axis} {chunks:?}");
        }
    }
    let line = Array::from_iter(0..500u16);
    let want = random::shuffle(&line, Axis(0), 1).compute();
    let mut sorted = want.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..500).collect::<Vec<u16>>());
    assert_eq!(random::shuffle(&line.rechunk(70), Axis(0), 1).compute(), want);
    let lens = Chunks::Axes(vec![AxisChunks::Lens(vec![3, 450, 47])]);
    assert_eq!(random::shuffle(&line.rechunk(lens), Axis(0), 1).compute(), want);
    assert_eq!(random::shuffle(&Array2::<f32>::zeros((0, 3)), Axis(1), 1).compute().shape(), [0, 3]);
    assert!(random::try_shuffle(&line, Axis(1), 1).unwrap_err().to_string().contains("axis 1"));
}

#[test]
fn samples_with_senseless_parameters_are_refused() {
    let text = |e: tilework::Error| e.to_string();
    assert!(text(random::try_exponential(3, -1.0, 1).unwrap_err()).contains("a scale of -1"));
    assert!(random::try_lognormal(3, f64::INFINITY, 1.0, 1).is_err());
    assert!(random::try_lognormal(3, 0.0, -1.0, 1).is_err());
    assert!(text(random::try_gamma(3, 0.0, 1.0, 1).unwrap_err()).contains("a shape of 0"));
    assert!(random::try_gamma(3, 1.0, f64::NAN, 1).is_err());
    assert!(random::try_beta(3, 1.0f32, -1.0, 1).is_err());
    assert!(text(random::try_chisquare(3, -2.0, 1).unwrap_err()).contains("-2 degrees"));
    assert!(random::try_weibull(3, 0.0, 1).is_err());
    assert!(text(random::try_binomial::<u8, _>(3, 256, 0.5, 1).unwrap_err()).contains("256 trials"));
    assert!(text(random::try_binomial::<i64, _>(3, 2, 1.5, 1).unwrap_err()).contains("from 0 to 1"));
    assert!(random::try_binomial::<i64, _>(3, 1 << 53, 0.5, 1).is_err());
    assert!(text(random::try_poisson::<u8, _>(3, 200.0, 1).unwrap_err()).contains("a mean of 200"));
    assert!(random::try_poisson::<i64, _>(3, f64::NAN, 1).is_err());
    assert!(random::try_geometric::<i64, _>(3, 0.0, 1).is_err());
    assert!(text(random::try_geometric::<u8, _>(3, 0.01, 1).unwrap_err()).contains("a probability of 0.01"));
    assert!(random::in_chunks(0).try_gamma(3, 1.0, 1.0, 1).is_err());
}

#[test]
fn processes_give_the_same_samples() {
    let _mine = crate::support::processes_are_mine();
    let session = tilework::Session::processes(2).unwrap();
    let made = random::in_chunks(40);
    let gamma: Array1<f64> = made.gamma(300, 0.4, 2.0, 3);
    let counts: Array1<i64> = made.binomial(300, 1000, 0.3, 3);
    let shuffled = random::shuffle(&gamma, Axis(0), 5);
    assert_eq!(gamma.try_compute_on(&session).unwrap(), gamma.compute());
    assert_eq!(counts.try_compute_on(&session).unwrap(), counts.compute());
    assert_eq!(shuffled.try_compute_on(&session).unwrap(), shuffled.compute());
}
