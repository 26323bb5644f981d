//! Reductions and scans of the user's own, against naive forms.

use crate::support::{check, panic_text};
use ndarray::{Array1 as Nd1, Array2 as Nd2, Array3 as Nd3, Axis as Ax};
use tilework::prelude::*;
use tilework::{Error, FunctionError, Session};

fn cube(shape: (usize, usize, usize)) -> Nd3<f64> {
    Nd3::from_shape_fn(shape, |(i, j, k)| ((i * 31 + j * 17 + k * 7) % 23) as f64 - 9.0)
}

const CHUNKS: [[isize; 3]; 4] = [[1, 1, 1], [2, 3, 4], [4, 5, 2], [7, 5, 6]];

/// A sum and a count over some axes, of integers that floats hold: the order does not matter.
fn mean_over<D: ndarray::Dimension>(x: &Array3<f64>, axes: &[usize]) -> Array<f64, D> {
    let axes: Vec<Ax> = axes.iter().map(|a| Ax(*a)).collect();
    let bits = axes.iter().fold(0u8, |bits, a| bits | 1 << a.index());
    x.reduce_with(
        &axes,
        bits,
        (
            |_, block, bits| {
                let folded = (0..3).filter(|a| bits >> a & 1 == 1).rev();
                let start = block.mapv(|x| (x, 1u32)).into_dyn();
                let all = folded
                    .fold(start, |all, a| all.fold_axis(Ax(a), (0.0, 0), |s, x| (s.0 + x.0, s.1 + x.1)));
                all.into_dimensionality::<D>().expect("as many axes")
            },
            |a, b, _| (a.0 + b.0, a.1 + b.1),
            |(sum, n), _| sum / f64::from(*n),
        ),
    )
}

#[test]
fn reductions_are_over_any_axes_of_any_chunks() {
    let b = cube((7, 5, 6));
    for chunks in CHUNKS {
        let a = Array::from(b.clone()).rechunk(&chunks[..]);
        check(&mean_over::<Ix2>(&a, &[0]), &b.mean_axis(Ax(0)).unwrap());
        check(&mean_over::<Ix2>(&a, &[2]), &b.mean_axis(Ax(2)).unwrap());
        let two = b.sum_axis(Ax(2)).sum_axis(Ax(0)) / 42.0;
        check(&mean_over::<Ix1>(&a, &[2, 0]), &two);
        check(&mean_over::<Ix0>(&a, &[0, 1, 2]), &ndarray::arr0(b.sum() / 210.0));
        check(&mean_over::<IxDyn>(&a, &[]), &b.clone().into_dyn());
        check(&mean_over::<Ix1>(&a.slice(s![.., ..;-1, 1..]).to_owned(), &[0, 2]), &{
            let b = b.slice(s![.., ..;-1, 1..]).to_owned();
            b.sum_axis(Ax(2)).sum_axis(Ax(0)) / 35.0
        });
    }
}

/// Texts would not commute: neighbours are joined in order, whatever the number of levels.
#[test]
fn states_are_joined_in_order_by_levels() {
    for (n, chunk) in [(1, 1), (32, 1), (33, 1), (1100, 1), (1100, 7)] {
        let x = Array::from_vec_chunked((0..n as u64).collect(), chunk);
        // First, last, number of elements, and whether each begins where the one before ends.
        let runs = x.reduce_with(
            &[Axis(0)],
            (),
            (
                |_, block: ndarray::ArrayView1<'_, u64>, ()| {
                    ndarray::arr0((block[0], block[block.len() - 1], block.len() as u64, true))
                },
                |a, b, ()| (a.0, b.1, a.2 + b.2, a.3 && b.3 && a.1 + 1 == b.0),
                |(first, last, n, good), ()| if *good && *first == 0 && *last + 1 == *n { *n } else { 0 },
            ),
        );
        assert_eq!(runs.compute()[()], n as u64, "{n} by {chunk}");
    }
}

#[test]
fn a_chunk_knows_its_place_and_a_state_may_be_an_array() {
    let b = cube((7, 5, 6));
    for chunks in CHUNKS {
        let a = Array::from(b.clone()).rechunk(&chunks[..]);
        // The row-major position of the first greatest element.
        let at = a.reduce_with(
            &[Axis(0), Axis(1), Axis(2)],
            (),
            (
                |place, block, ()| {
                    let (first, shape) = (place.ranges(), place.shape());
                    assert_eq!((place.block_shape(), place.reads()), (block.shape().to_vec(), first));
                    let flat = |at: [usize; 3]| {
                        at.iter().enumerate().fold(0, |p, (i, x)| p * shape[i] + first[i].start + x)
                    };
                    let all = block.indexed_iter().map(|((i, j, k), x)| (*x, flat([i, j, k])));
                    let best = all.reduce(|a, b| if b.0 > a.0 || b.0 == a.0 && b.1 < a.1 { b } else { a });
                    ndarray::arr0(best.unwrap())
                },
                |a, b, ()| if b.0 > a.0 || b.0 == a.0 && b.1 < a.1 { *b } else { *a },
                |best, ()| best.1 as u64,
            ),
        );
        let want = b.iter().enumerate().fold((0, f64::MIN), |m, (i, x)| if *x > m.1 { (i, *x) } else { m });
        assert_eq!(at.compute()[()], want.0 as u64);
        // A histogram of each row, of which the fullest bin is asked for.
        let bins = a.reduce_with(
            &[Axis(1), Axis(2)],
            -9.0,
            (
                |_, block, least| {
                    let counts = block.outer_iter().map(|row| {
                        let mut counts = [0u16; 23];
                        row.iter().for_each(|x| counts[(x - least) as usize] += 1);
                        counts
                    });
                    counts.collect::<Nd1<_>>()
                },
                |a, b, _| std::array::from_fn(|i| a[i] + b[i]),
                |counts, _| *counts.iter().max().unwrap() as i32,
            ),
        );
        let most = |row: ndarray::ArrayView2<'_, f64>| {
            (-9..14).map(|v| row.iter().filter(|x| **x == f64::from(v)).count() as i32).max().unwrap()
        };
        check(&bins, &b.outer_iter().map(most).collect::<Nd1<i32>>());
    }
}

#[test]
fn of_no_elements_there_is_what_a_block_of_none_comes_to() {
    let count = |x: &Array2<i8>, axis| {
        x.reduce_with(
            &[Axis(axis)],
            axis as u8,
            (
                |_, block, axis| block.fold_axis(Ax(usize::from(*axis)), 0u64, |n, _| n + 1),
                |a, b, _| a + b,
                |n, _| *n,
            ),
        )
    };
    let none = Array2::<i8>::zeros((0, 3));
    check(&count(&none, 0), &Nd1::zeros(3));
    check(&count(&none, 1), &Nd1::zeros(0));
    check(&count(&Array2::<i8>::zeros((1, 1)), 0), &ndarray::arr1(&[1]));
    let nan = Array::from_vec_chunked(vec![f32::NAN, 1.0, f32::NAN, 2.0], 3);
    let numbers = nan.reduce_with(
        &[Axis(0)],
        (),
        (
            |_, block, ()| ndarray::arr0(block.iter().filter(|x| !x.is_nan()).count() as u64),
            |a, b, ()| a + b,
            |n, ()| *n,
        ),
    );
    assert_eq!(numbers.compute()[()], 2);
    let none = Array1::<f64>::zeros(0);
    let sums = none.scan_with(
        Axis(0),
        (),
        (|block, ()| ndarray::arr0(block.sum()), |a, b, ()| a + b, |block, _, ()| block.to_owned()),
    );
    assert_eq!(sums.compute().len(), 0);
}

/// `f(x) = a x + b`, composed: not commutative.
fn composed(x: &Array2<i64>, axis: usize) -> Array2<i64> {
    x.scan_with(
        Axis(axis),
        axis,
        (
            |block, axis| {
                block.fold_axis(Ax(*axis), (1i64, 0i64), |(a, b), x| {
                    (a.wrapping_mul(3), b.wrapping_mul(3).wrapping_add(*x))
                })
            },
            |p, q, _| (p.0.wrapping_mul(q.0), p.1.wrapping_mul(q.0).wrapping_add(q.1)),
            |block, before, axis| {
                let mut value = match before {
                    Some(before) => before.mapv(|(_, b)| b),
                    None => block.fold_axis(Ax(*axis), 0, |_, _| 0),
                };
                let mut out = block.to_owned();
                for mut line in out.axis_iter_mut(Ax(*axis)) {
                    value.zip_mut_with(&line, |v, x| *v = v.wrapping_mul(3).wrapping_add(*x));
                    line.assign(&value);
                }
                out
            },
        ),
    )
}

fn composed_here(x: &Nd2<i64>, axis: usize) -> Nd2<i64> {
    let mut out = x.clone();
    for mut lane in out.lanes_mut(Ax(axis)) {
        let mut value = 0i64;
        lane.iter_mut().for_each(|x| {
            value = value.wrapping_mul(3).wrapping_add(*x);
            *x = value;
        });
    }
    out
}

#[test]
fn scans_carry_what_lies_before_each_block() {
    let b = Nd2::from_shape_fn((50, 13), |(i, j)| (i * 7 + j * 5) as i64 % 11 - 4);
    for chunks in [[50, 13], [1, 1], [7, 4], [50, 2], [3, 13]] {
        let a = Array::from(b.clone()).rechunk(&chunks[..]);
        for axis in [0, 1] {
            let ours = composed(&a, axis);
            assert_eq!(ours.chunks(), a.chunks());
            check(&ours, &composed_here(&b, axis));
        }
    }
    // Another element type, with NaN: the number of numbers so far.
    let x = Array::from_vec_chunked(vec![1.0f32, f32::NAN, 2.0, f32::NAN, f32::NAN, 3.0], 2);
    let so_far = x.scan_with(
        Axis(0),
        (),
        (
            |block, ()| ndarray::arr0(block.iter().filter(|x| !x.is_nan()).count() as u16),
            |a, b, ()| a + b,
            |block, before, ()| {
                let mut n = before.map_or(0, |n| n[()]);
                block.mapv(|x| {
                    n += u16::from(!x.is_nan());
                    n
                })
            },
        ),
    );
    check(&so_far, &ndarray::arr1(&[1, 1, 2, 2, 2, 3]));
}

#[test]
fn what_does_not_fit_is_told() {
    let x = Array2::<f64>::in_chunks([2, 2]).ones((4, 3));
    let sums = |axes: &[Axis]| {
        x.try_reduce_with::<_, _, f64, _, _, _, _>(
            axes,
            (),
            (|_, block, ()| block.sum_axis(Ax(0)), |a, b, ()| a + b, |s, ()| *s),
        )
    };
    let text = sums(&[Axis(2)]).unwrap_err().to_string();
    assert!(text.contains("axis 2") && text.contains('2'), "{text}");
    let text = sums(&[Axis(0), Axis(0)]).unwrap_err().to_string();
    assert!(text.contains("each axis at most once"), "{text}");
    let text = sums(&[Axis(0), Axis(1)]).unwrap_err().to_string();
    assert!(text.contains("1 axes, expected as many axes as are kept"), "{text}");
    let text = sums(&[Axis(1)]).unwrap().try_compute().unwrap_err().to_string();
    assert!(text.contains("reduce_with") && text.contains("states of shape"), "{text}");
    let stateless = x.try_reduce_with(
        &[Axis(0)],
        (),
        (
            |_, block: ndarray::ArrayView2<'_, f64>, ()| block.fold_axis(Ax(0), (), |_, _| ()),
            |_, _, ()| (),
            |_, ()| 1u8,
        ),
    );
    let text = stateless.unwrap_err().to_string();
    assert!(text.contains("() of 0 bytes, expected values of one size"), "{text}");
    let k = 2.0;
    let captures = x.try_scan_with(
        Axis(0),
        (),
        (|block, ()| block.sum_axis(Ax(0)), move |a, b, ()| a + b * k, |block, _, ()| block.to_owned()),
    );
    assert!(matches!(captures, Err(Error::Function(FunctionError::Captures { bytes: 8, .. }))));
    let short = x.scan_with(
        Axis(0),
        (),
        (
            |block, ()| block.sum_axis(Ax(0)),
            |a, b, ()| a + b,
            |block, _, ()| block.slice(s![1.., ..]).to_owned(),
        ),
    );
    let text = short.try_compute().unwrap_err().to_string();
    assert!(text.contains("scan_with") && text.contains("gave a block of f64 of shape"), "{text}");
    let text = panic_text(|| composed(&Array2::<i64>::zeros((2, 2)), 2));
    assert!(text.contains("axis 2"), "{text}");
}

#[test]
fn processes_give_the_same_bits() {
    let _mine = crate::support::processes_are_mine();
    let session = Session::processes(2).unwrap();
    let b = Nd2::from_shape_fn((97, 20), |(i, j)| 1.0 / (1.0 + (i * 20 + j) as f64));
    let a = Array::from(b).rechunk(&[2, 7][..]);
    let sums = a.reduce_with(
        &[Axis(0)],
        2,
        (
            |_, block, power| block.fold_axis(Ax(0), 0.0, |s, x: &f64| s + x.powi(*power)),
            |a, b, _| a + b,
            |s, _| s.sqrt(),
        ),
    );
    assert_eq!(sums.try_compute_on(&session).unwrap(), sums.compute());
    let scanned = a.scan_with(
        Axis(0),
        0.5,
        (
            |block, k| block.fold_axis(Ax(0), 0.0, |s, x: &f64| s + x * k),
            |a, b, _| a + b,
            |block, before, k| {
                let mut sum = before.map_or(Nd1::zeros(block.ncols()), |b| b.to_owned());
                let mut out = block.to_owned();
                for mut row in out.rows_mut() {
                    sum.zip_mut_with(&row, |s, x| *s += x * k);
                    row.assign(&sum);
                }
                out
            },
        ),
    );
    assert_eq!(scanned.try_compute_on(&session).unwrap(), scanned.compute());
    let holes = a.mapv(|x: f64| if ((x * 1e6) as u64).is_multiple_of(3) { f64::NAN } else { x });
    for (ours, here) in [
        (holes.nanmean_axis(Axis(0)), holes.nanmean_axis(Axis(0))),
        (holes.nanstd_axis(Axis(1), 1.0), holes.nanstd_axis(Axis(1), 1.0)),
    ] {
        assert_eq!(ours.try_compute_on(&session).unwrap(), here.compute());
    }
}
