//! Random arrays: the reference words, independence of chunks, and moments.

use crate::harness::{check, value};
use crate::views::chunks;
use ndarray::ArrayD;
use tilework_expr::{Chunks, DType, Dist, Expr, SliceArg};

fn random(shape: &[usize], cut: &[usize], d: DType, key: u64, dist: Dist) -> Expr {
    Expr::random(shape, &chunks(cut), d, key, dist).unwrap()
}

#[test]
fn words_are_those_of_philox() {
    let all = Dist::Integers { low: 0, high: 1 << 64 };
    let words = value::<u64>(&random(&[4], &[3], DType::U64, 0, all));
    let expected = [0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b];
    assert_eq!(words.as_slice().unwrap(), expected);
    let u = value::<f64>(&random(&[4], &[4], DType::F64, 0, Dist::Uniform { low: 0.0, high: 1.0 }));
    assert_eq!(u[[1]], (expected[1] >> 11) as f64 / (1u64 << 53) as f64);
    let u = value::<f32>(&random(&[4], &[4], DType::F32, 0, Dist::Uniform { low: -1.0, high: 1.0 }));
    assert_eq!(u[[2]], -1.0 + 2.0 * ((expected[2] >> 40) as f32 / (1 << 24) as f32));
}

#[test]
fn chunks_and_views_do_not_change_elements() {
    let dists = [
        (DType::F64, Dist::Uniform { low: -2.0, high: 5.0 }),
        (DType::F32, Dist::Normal { mean: 1.0, std: 2.0 }),
        (DType::F64, Dist::Normal { mean: 0.0, std: 1.0 }),
        (DType::I16, Dist::Integers { low: -5, high: 40 }),
    ];
    for (d, dist) in dists {
        tilework_expr::with_dtype!(d, T => {
            let whole: ArrayD<T> = value(&random(&[37, 53], &[37, 53], d, 9, dist));
            let e = random(&[37, 53], &[10, 7], d, 9, dist);
            check(&e, &whole);
            check(&e.reversed_axes().unwrap(), &whole.clone().reversed_axes().as_standard_layout().to_owned());
            let args = [
                SliceArg::Range { start: 3, end: Some(30), step: -2 },
                SliceArg::Range { start: 1, end: None, step: 5 },
            ];
            let sliced = whole.slice(ndarray::s![3..30;-2, 1..;5]).to_owned().into_dyn();
            check(&e.slice(&args).unwrap(), &sliced);
        });
    }
}

#[test]
fn moments_and_bounds() {
    let n = 400_000usize;
    let sample = |dist| {
        let e = Expr::random(&[n], &Chunks::Auto, DType::F64, 7, dist).unwrap();
        value::<f64>(&e).into_raw_vec_and_offset().0
    };
    let mean = |x: &[f64]| x.iter().sum::<f64>() / n as f64;
    let u = sample(Dist::Uniform { low: 2.0, high: 4.0 });
    assert!(u.iter().all(|x| (2.0..4.0).contains(x)));
    assert!((mean(&u) - 3.0).abs() < 0.005);
    let z = sample(Dist::Normal { mean: 0.0, std: 1.0 });
    let moment = |p: i32| mean(&z.iter().map(|x| x.powi(p)).collect::<Vec<_>>());
    for (p, expected, error) in [(1, 0.0, 0.01), (2, 1.0, 0.02), (3, 0.0, 0.04), (4, 3.0, 0.1)] {
        assert!((moment(p) - expected).abs() < error, "moment {p}: {}", moment(p));
    }
    let within = |k: f64| z.iter().filter(|x| x.abs() < k).count() as f64 / n as f64;
    for (k, share) in [(1.0, 0.682_689), (2.0, 0.954_5), (3.0, 0.997_3)] {
        assert!((within(k) - share).abs() < 0.003, "{k}: {}", within(k));
    }
    let e = Expr::random(&[n], &Chunks::Auto, DType::I8, 7, Dist::Integers { low: -3, high: 4 }).unwrap();
    let mut counts = [0usize; 7];
    value::<i8>(&e).iter().for_each(|&x| counts[(x + 3) as usize] += 1);
    assert!(counts.iter().all(|&c| (c as f64 - n as f64 / 7.0).abs() < 1500.0), "{counts:?}");
}
