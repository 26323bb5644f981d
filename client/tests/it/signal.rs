//! Convolutions and filters against naive forms, over chunks, element types and edges.

use crate::draws::words;
use crate::support::processes_are_mine;
use ndarray::Array2 as Local2;
use tilework::prelude::*;
use tilework::signal::{self, Convolution};

const PARTS: [Convolution; 3] = [Convolution::Full, Convolution::Same, Convolution::Valid];

fn draws(n: usize, seed: u64) -> Vec<i64> {
    words(seed).take(n).map(|word| (word >> 40) as i64 % 19 - 9).collect()
}

fn full(a: &[i64], b: &[i64]) -> Vec<i64> {
    let mut made = vec![0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            made[i + j] += x * y;
        }
    }
    made
}

fn part(full: &[i64], (n, k): (usize, usize), part: Convolution) -> Vec<i64> {
    let (long, short) = (n.max(k), n.min(k));
    match part {
        Convolution::Full => full.to_vec(),
        Convolution::Same => full[(short - 1) / 2..][..long].to_vec(),
        Convolution::Valid => full[short - 1..][..long - short + 1].to_vec(),
    }
}

#[test]
fn convolutions_are_sums_of_products() {
    for (n, k) in [(1, 1), (5, 1), (12, 3), (12, 4), (7, 7), (3, 10), (40, 9)] {
        let (a, b) = (draws(n, 3), draws(k, 4));
        for chunk in [n, n.div_ceil(3), 1] {
            let (x, y) = (Array::from_vec_chunked(a.clone(), chunk), Array::from_vec_chunked(b.clone(), 2));
            for mode in PARTS {
                let want = part(&full(&a, &b), (n, k), mode);
                assert_eq!(signal::convolve(&x, &y, mode).compute().to_vec(), want, "{n} {k} {mode:?}");
                let narrow = signal::convolve(&x.cast::<f32>(), &y.cast::<f32>(), mode);
                assert_eq!(narrow.cast::<i64>().compute().to_vec(), want);
                let (fx, fy) = (x.cast::<f64>(), y.cast::<f64>());
                if mode == Convolution::Full || n >= k {
                    let fast = signal::fftconvolve(&fx, &fy, mode).compute();
                    assert!(fast.iter().zip(&want).all(|(a, b)| (a - *b as f64).abs() < 1e-9));
                }
            }
        }
    }
}

#[test]
fn correlations_are_numpys() {
    let of = |a: &[i64], b: &[i64], part| {
        signal::correlate(&arr1(a).rechunk(2), &arr1(b), part).compute().to_vec()
    };
    // numpy.correlate(a, b, mode)
    assert_eq!(of(&[1, 2, 3, 4], &[0, 1, 5], Convolution::Full), [5, 11, 17, 23, 4, 0]);
    assert_eq!(of(&[1, 2, 3, 4], &[0, 1, 5], Convolution::Same), [11, 17, 23, 4]);
    assert_eq!(of(&[1, 2, 3, 4], &[0, 1, 5], Convolution::Valid), [17, 23]);
    // Of a shorter first one the middle is counted from the other end: the full one is [4, 23, 17, 11, 5].
    assert_eq!(of(&[1, 5], &[1, 2, 3, 4], Convolution::Same), [23, 17, 11, 5]);
    let i = Complex::new(0.0, 1.0);
    let z = signal::correlate(&arr1(&[i, i]), &arr1(&[i]), Convolution::Full).compute();
    assert_eq!(z.to_vec(), [Complex::new(1.0, 0.0); 2]);
}

/// An element as the boundary has it.
fn at(x: &Local2<i64>, i: isize, j: isize, boundary: Boundary) -> i64 {
    let fold = |i: isize, n: usize| -> Option<usize> {
        let n = n as isize;
        Some(match boundary {
            Boundary::Periodic => i.rem_euclid(n),
            Boundary::Nearest => i.clamp(0, n - 1),
            Boundary::Reflect if i < 0 => -1 - i,
            Boundary::Reflect if i >= n => 2 * n - 1 - i,
            _ if (0..n).contains(&i) => i,
            _ => return None,
        } as usize)
    };
    match (fold(i, x.nrows()), fold(j, x.ncols())) {
        (Some(i), Some(j)) => x[[i, j]],
        _ => 3,
    }
}

const EDGES: [Boundary; 3] = [Boundary::Periodic, Boundary::Nearest, Boundary::Reflect];

#[test]
fn windows_are_summed_and_their_medians_found() {
    let x = Local2::from_shape_vec((9, 11), draws(99, 5)).unwrap();
    for boundary in EDGES.into_iter().chain([Boundary::constant(3i64)]) {
        for (rows, columns) in [(3, 3), (1, 5), (3, 1), (4, 2)] {
            if boundary == Boundary::Reflect && (rows % 2 == 0 || columns % 2 == 0) {
                continue;
            }
            let weights = Local2::from_shape_vec((rows, columns), draws(rows * columns, 6)).unwrap();
            let window = |i: usize, j: usize| {
                let of = |(a, b): (usize, usize)| {
                    let (di, dj) = (a as isize - rows as isize / 2, b as isize - columns as isize / 2);
                    at(&x, i as isize + di, j as isize + dj, boundary)
                };
                ndarray::indices((rows, columns)).into_iter().map(of).collect::<Vec<i64>>()
            };
            let sums = Local2::from_shape_fn((9, 11), |(i, j)| {
                window(i, j).iter().zip(&weights).map(|(x, w)| x * w).sum::<i64>()
            });
            let medians = Local2::from_shape_fn((9, 11), |(i, j)| {
                let mut window = window(i, j);
                window.sort_unstable();
                window[window.len() / 2]
            });
            for chunks in [[9, 11], [4, 3], [1, 11], [2, 1]] {
                let a = Array::from(x.clone()).rechunk(&chunks[..]);
                let got = signal::correlate_windows(&a, &Array::from(weights.clone()), boundary);
                assert_eq!(got.compute(), sums, "{boundary:?} {rows} {columns} {chunks:?}");
                let got = signal::median_filter(&a, &[rows, columns], boundary);
                assert_eq!(got.compute(), medians, "{boundary:?} {rows} {columns} {chunks:?}");
            }
        }
    }
}

#[test]
fn filters_do_not_depend_on_chunks_and_are_scipys() {
    // scipy.ndimage.gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1)
    let x = Array::from_vec_chunked(vec![1.0f64, 2.0, 3.0, 4.0, 5.0], 2);
    let y = signal::gaussian_filter(&x, &[1.0], Boundary::Reflect).compute();
    let want = [1.427_040_95, 2.067_822_03, 3.0, 3.932_177_97, 4.572_959_05];
    assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-7), "{y}");
    let noise: Array2<f64> = random::in_chunks(-1).standard_normal((40, 30), 3);
    let smooth = signal::gaussian_filter(&noise, &[1.5, 0.0], Boundary::Periodic).compute();
    let cut = signal::gaussian_filter(&noise.rechunk(7), &[1.5, 0.0], Boundary::Periodic);
    assert_eq!(cut.compute(), smooth);
    assert!((smooth.sum() - noise.sum()).abs() < 1e-10);
    let narrow = signal::gaussian_filter(&noise.cast::<f32>(), &[1.5, 0.0], Boundary::Periodic).compute();
    assert!(narrow.iter().zip(&smooth).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6));
    let nan = Array::from_vec_chunked(vec![1.0, f64::NAN, 3.0, 4.0], 2);
    let y = signal::median_filter(&nan, &[3], Boundary::Nearest).compute();
    assert_eq!(y.to_vec(), [1.0, 3.0, 4.0, 4.0]);
}

#[test]
fn convolutions_of_several_axes() {
    let (a, b) = (draws(35, 3), draws(6, 4));
    let mut want = Local2::<f64>::zeros((8, 7));
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            want[[i / 5 + j / 3, i % 5 + j % 3]] += (x * y) as f64;
        }
    }
    let of = |v: &[i64], shape| {
        Array::from(Local2::from_shape_vec(shape, v.iter().map(|&x| x as f64).collect()).unwrap())
    };
    let (x, y) = (of(&a, (7, 5)).rechunk(&[3, 2][..]), of(&b, (2, 3)));
    let close = |got: Array2<f64>, want: ndarray::ArrayView2<f64>| {
        let got = got.compute();
        assert_eq!(got.shape(), want.shape());
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-10));
    };
    close(signal::fftconvolve(&x, &y, Convolution::Full), want.view());
    close(signal::fftconvolve(&x, &y, Convolution::Same), want.slice(s![..7, 1..6]));
    close(signal::fftconvolve(&x, &y, Convolution::Valid), want.slice(s![1..7, 2..5]));
    let z = x.cast::<Complex<f64>>();
    close(signal::fftconvolve(&z, &y.cast(), Convolution::Full).re(), want.view());
}

#[test]
fn senseless_filters_are_refused() {
    let text = |e: tilework::Error| e.to_string();
    let (x, none) = (arr1(&[1.0, 2.0, 3.0]), Array1::<f64>::zeros(0));
    assert!(text(signal::try_convolve(&x, &none, Convolution::Full).unwrap_err()).contains("3 and 0"));
    assert!(text(signal::try_fftconvolve(&x, &none, Convolution::Full).unwrap_err()).contains("3 and 0"));
    let longer = arr1(&[0.0; 5]);
    let refused = signal::try_fftconvolve(&x, &longer, Convolution::Valid).unwrap_err();
    assert!(text(refused).contains("[3] and [5]"));
    assert!(
        text(signal::try_median_filter(&x, &[3, 3], Boundary::Nearest).unwrap_err()).contains("2 lengths")
    );
    assert!(text(signal::try_median_filter(&x, &[0], Boundary::Nearest).unwrap_err()).contains("[0]"));
    assert!(
        text(signal::try_median_filter(&x, &[3], Boundary::None).unwrap_err()).contains("beyond the edges")
    );
    assert!(text(signal::try_median_filter(&x, &[4], Boundary::Reflect).unwrap_err()).contains("2 and 1"));
    assert!(
        text(signal::try_median_filter(&x, &[9], Boundary::Nearest).unwrap_err())
            .contains("at most its length")
    );
    assert!(signal::try_median_filter(&x, &[3], Boundary::constant(1i64)).is_err());
    assert!(
        text(signal::try_gaussian_filter(&x, &[1.0; 2], Boundary::Nearest).unwrap_err())
            .contains("2 for 1 axes")
    );
    assert!(
        text(signal::try_gaussian_filter(&x, &[-1.0], Boundary::Nearest).unwrap_err()).contains("got -1")
    );
    assert!(signal::try_gaussian_filter(&x, &[f64::NAN], Boundary::Nearest).is_err());
    let empty = Array2::<f64>::zeros((0, 5));
    assert_eq!(signal::median_filter(&empty, &[3, 3], Boundary::Nearest).compute().shape(), [0, 5]);
    assert_eq!(signal::gaussian_filter(&empty, &[0.5, 0.5], Boundary::Nearest).compute().shape(), [0, 5]);
}

#[test]
fn processes_give_the_same_bits() {
    let _mine = processes_are_mine();
    let session = tilework::Session::processes(2).unwrap();
    let x: Array1<f64> = random::in_chunks(40).standard_normal(300, 3);
    let y: Array1<f64> = random::in_chunks(40).standard_normal(50, 4);
    for made in [
        signal::convolve(&x, &y, Convolution::Same),
        signal::fftconvolve(&x, &y, Convolution::Same),
        signal::gaussian_filter(&x, &[2.0], Boundary::Reflect),
        signal::median_filter(&x, &[5], Boundary::Periodic),
    ] {
        assert_eq!(made.try_compute_on(&session).unwrap(), made.compute());
    }
}
