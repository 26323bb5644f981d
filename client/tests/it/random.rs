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
