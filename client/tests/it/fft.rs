//! Fourier transforms against the sum that they are, and against rustfft where that takes too long: over lengths, chunks, axes,
//! element types and norms.

use crate::draws::words;
use crate::support::processes_are_mine;
use ndarray::{Array1 as Local, Array2 as Local2, Array3 as Local3, Axis};
use std::f64::consts::TAU;
use tilework::fft::{self, Fft, Norm};
use tilework::prelude::*;
use tilework_transforms::Planned;

type C = Complex<f64>;

/// Numbers around 0, in no order.
fn draws(n: usize, seed: u64) -> Vec<f64> {
    words(seed).take(n).map(|word| (word >> 40) as f64 / f64::from(1 << 24) - 0.5).collect()
}

fn complex(n: usize) -> Vec<C> {
    draws(2 * n, 5).chunks(2).map(|z| C::new(z[0], z[1])).collect()
}

fn dft(x: &[C], inverse: bool) -> Vec<C> {
    let n = x.len();
    let sign = if inverse { TAU } else { -TAU };
    let root = |k: usize| C::cis(sign * (k % n) as f64 / n as f64);
    (0..n).map(|k| x.iter().enumerate().map(|(j, z)| z * root(j * k)).sum()).collect()
}

#[track_caller]
fn close<'a>(got: impl IntoIterator<Item = &'a C>, want: impl IntoIterator<Item = &'a C>, within: f64) {
    let (got, want): (Vec<&C>, Vec<&C>) = (got.into_iter().collect(), want.into_iter().collect());
    assert_eq!(got.len(), want.len());
    let worst = got.iter().zip(&want).map(|(a, b)| (*a - *b).norm()).fold(0.0, f64::max);
    assert!(worst <= within, "{worst} is more than {within}");
}

#[test]
fn transforms_are_the_sums_that_they_are() {
    for n in [1usize, 2, 3, 4, 5, 8, 12, 17, 30, 97, 128] {
        let x = complex(n);
        let real: Vec<f64> = x.iter().map(|z| z.re).collect();
        let of_real: Vec<C> = real.iter().map(|x| C::new(*x, 0.0)).collect();
        for chunk in [n, n.div_ceil(3), 1.max(n / 5)] {
            let z = Array::from_vec_chunked(x.clone(), chunk);
            let r = Array::from_vec_chunked(real.clone(), chunk);
            let y = fft::fft(&z, Axis(0)).compute();
            close(&y, &dft(&x, false), 1e-13);
            close(&fft::ifft(&Array::from(y), Axis(0)).compute(), &x, 1e-13);
            close(&fft::fft(&r, Axis(0)).compute(), &dft(&of_real, false), 1e-13);
            let half = fft::rfft(&r, Axis(0)).compute();
            close(&half, &dft(&of_real, false)[..n / 2 + 1], 1e-13);
            let back = Fft::new().len(n).irfft(&Array::from(half.clone()).rechunk(3), Axis(0)).compute();
            assert!(back.iter().zip(&real).all(|(a, b)| (a - b).abs() < 1e-13), "{n} {chunk}");
            // A half as it lies, the inverse of a Hermitian transform, and back.
            let half = fft::ihfft(&r, Axis(0));
            let want: Vec<C> = dft(&of_real, false).iter().map(|z| z.conj() / n as f64).collect();
            close(&half.compute(), &want[..n / 2 + 1], 1e-13);
            let back = Fft::new().len(n).hfft(&half, Axis(0)).compute();
            assert!(back.iter().zip(&real).all(|(a, b)| (a - b).abs() < 1e-13), "{n} {chunk}");
        }
    }
}

#[test]
fn numbers_of_numpy() {
    // numpy.fft.hfft([1, 2, 3, 4]), .ihfft([15, -4, 0, -1, 0, -4]), .irfft([1, -1j, -1])
    let h = fft::hfft(&arr1(&[1i32, 2, 3, 4]), Axis(0)).compute();
    let want = [15.0, -4.0, 0.0, -1.0, 0.0, -4.0];
    assert_eq!(h.len(), 6);
    assert!(h.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{h}");
    let i = fft::ihfft(&arr1(&[15i64, -4, 0, -1, 0, -4]), Axis(0)).compute();
    close(&i, &[1.0, 2.0, 3.0, 4.0].map(|x| C::new(x, 0.0)), 1e-12);
    let x = arr1(&[C::new(1.0, 0.0), C::new(0.0, -1.0), C::new(-1.0, 0.0)]);
    let x = fft::irfft(&x, Axis(0)).compute();
    assert!(x.iter().zip([0.0, 1.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-15), "{x}");
    // What is imaginary of the first and the last number is not looked at.
    let odd = arr1(&[C::new(1.0, 5.0), C::new(0.0, -1.0), C::new(-1.0, 7.0)]);
    assert_eq!(fft::irfft(&odd, Axis(0)).compute(), x);
}

#[test]
fn lengths_and_norms_are_numpys() {
    let x = arr1(&[1.0, 2.0, 3.0, 4.0]).rechunk(3);
    let want = |of: &[f64], scale: f64| -> Vec<C> {
        let of: Vec<C> = of.iter().map(|x| C::new(*x, 0.0)).collect();
        dft(&of, false).iter().map(|z| z * scale).collect()
    };
    close(&Fft::new().len(6).fft(&x, Axis(0)).compute(), &want(&[1.0, 2.0, 3.0, 4.0, 0.0, 0.0], 1.0), 1e-14);
    close(&Fft::new().len(3).fft(&x, Axis(0)).compute(), &want(&[1.0, 2.0, 3.0], 1.0), 1e-14);
    close(&Fft::new().norm(Norm::Ortho).fft(&x, Axis(0)).compute(), &want(&[1.0, 2.0, 3.0, 4.0], 0.5), 1e-14);
    close(
        &Fft::new().norm(Norm::Forward).fft(&x, Axis(0)).compute(),
        &want(&[1.0, 2.0, 3.0, 4.0], 0.25),
        1e-14,
    );
    for norm in [Norm::Backward, Norm::Ortho, Norm::Forward] {
        let of = Fft::new().norm(norm);
        let real =
            |y: Array1<f64>| y.compute().iter().zip([1.0, 2.0, 3.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-14);
        assert!(real(of.ifft(&of.fft(&x, Axis(0)), Axis(0)).re()));
        assert!(real(of.irfft(&of.rfft(&x, Axis(0)), Axis(0))));
        assert!(real(of.hfft(&of.ihfft(&x, Axis(0)), Axis(0))));
    }
}

#[test]
fn several_axes_are_one_after_another() {
    let x = Local3::from_shape_vec((4, 6, 5), complex(120)).unwrap();
    let mut want = x.clone();
    for axis in 0..3 {
        for mut lane in want.lanes_mut(Axis(axis)) {
            let made = dft(&lane.to_vec(), false);
            lane.iter_mut().zip(made).for_each(|(z, y)| *z = y);
        }
    }
    let all = [Axis(0), Axis(1), Axis(2)];
    for chunks in [[4, 6, 5], [1, 6, 2], [3, 2, 5], [4, 1, 1]] {
        let a = Array::from(x.clone()).rechunk(&chunks[..]);
        let y = fft::fftn(&a, &all);
        close(&y.compute(), &want, 1e-12);
        close(&fft::ifftn(&y, &all).compute(), &x, 1e-13);
        close(&fft::ifft2(&fft::fft2(&a)).compute(), &x, 1e-13);
        let r = a.re();
        let half = fft::rfftn(&r, &all);
        assert_eq!(half.shape(), [4, 6, 3]);
        let whole = fft::fftn(&r, &all).compute();
        close(&half.compute(), whole.slice(s![.., .., ..3]), 1e-12);
        let back = Fft::new().lens(&[4, 6, 5]).irfftn(&half, &all).compute();
        assert!(back.iter().zip(&x).all(|(a, z)| (a - z.re).abs() < 1e-13));
        let half = fft::rfft2(&r.slice(s![.., .., ..4]));
        let back = fft::irfft2(&half).compute();
        assert!(back.iter().zip(x.slice(s![.., .., ..4])).all(|(a, z)| (a - z.re).abs() < 1e-13));
        let padded = Fft::new().lens(&[8, 3]).fftn(&a, &[Axis(2), Axis(0)]);
        assert_eq!(padded.shape(), [3, 6, 8]);
    }
    close(&fft::fftn(&Array::from(x.clone()), &[]).compute(), &x, 0.0);
}

#[test]
fn elements_of_32_bits_stay_so_and_others_are_converted() {
    let x = Array::from_vec_chunked(vec![1.0f32, 2.0, 4.0], 2);
    let y: Array1<Complex<f32>> = fft::fft(&x, Axis(0));
    assert!((y.compute()[0] - Complex::new(7.0, 0.0)).norm() < 1e-6);
    let half: Array1<Complex<f32>> = fft::rfft(&x, Axis(0));
    let back: Array1<f32> = Fft::new().len(3).irfft(&half, Axis(0));
    assert!(back.compute().iter().zip([1.0, 2.0, 4.0]).all(|(a, b)| (a - b).abs() < 1e-6));
    let y: Array1<C> = fft::fft(&arr1(&[true, false, true]), Axis(0));
    assert!((y.compute()[0] - C::new(2.0, 0.0)).norm() < 1e-15);
    let y: Array1<C> = fft::rfft(&arr1(&[1u8, 200]), Axis(0));
    close(&y.compute(), &[C::new(201.0, 0.0), C::new(-199.0, 0.0)], 1e-13);
    let nan = fft::fft(&arr1(&[1.0, f64::NAN]), Axis(0)).compute();
    assert!(nan.iter().all(|z| z.is_nan()));
}

#[test]
fn axes_that_no_chunk_has_are_transformed_in_steps() {
    // 24 MiB of complex numbers, beyond what one task takes.
    let n = 3 << 20;
    let x: Vec<Complex<f32>> =
        draws(2 * n, 3).chunks(2).map(|z| Complex::new(z[0] as f32, z[1] as f32)).collect();
    let mut want = x.clone();
    f32::complex(n, false).process(&mut want);
    let a = Array::from_vec_chunked(x, 1 << 18);
    let y = fft::fft(&a, Axis(0)).compute();
    let worst = y.iter().zip(&want).map(|(a, b)| (a - b).norm()).fold(0.0, f32::max);
    assert!(worst < 3e-3, "{worst}");
}

#[test]
fn arrays_without_elements_along_other_axes_are_transformed() {
    let none = Array2::<f64>::zeros((0, 4));
    assert_eq!(fft::fft(&none, Axis(1)).compute().shape(), [0, 4]);
    assert_eq!(fft::rfft(&none, Axis(1)).compute().shape(), [0, 3]);
    assert_eq!(fft::irfft(&none, Axis(1)).compute().shape(), [0, 6]);
    let refused = fft::try_fft(&none, Axis(0)).unwrap_err().to_string();
    assert!(refused.contains("none along axis 0"), "{refused}");
    assert_eq!(Fft::new().len(2).fft(&none, Axis(0)).compute(), Local2::<C>::zeros((2, 4)));
}

#[test]
fn frequencies_and_shifts_are_numpys() {
    let of = |x: Array1<f64>| x.compute().to_vec();
    assert_eq!(of(fft::fftfreq(4, 0.25)), [0.0, 1.0, -2.0, -1.0]);
    assert_eq!(of(fft::fftfreq(5, 0.2)), [0.0, 1.0, 2.0, -2.0, -1.0]);
    assert_eq!(of(fft::rfftfreq(5, 0.2)), [0.0, 1.0, 2.0]);
    assert_eq!(of(fft::rfftfreq(4, 0.25)), [0.0, 1.0, 2.0]);
    let x = Array::from(Local2::from_shape_vec((3, 4), (0..12).collect()).unwrap()).rechunk(2);
    let both = [Axis(0), Axis(1)];
    let shifted = fft::fftshift(&x, &both).compute();
    assert_eq!(shifted.row(0).to_vec(), [10, 11, 8, 9]);
    assert_eq!(fft::ifftshift(&Array::from(shifted), &both).compute(), x.compute());
}

#[test]
fn senseless_transforms_are_refused() {
    let text = |e: tilework::Error| e.to_string();
    let x = arr1(&[1.0, 2.0]);
    assert!(text(fft::try_fft(&x, Axis(1)).unwrap_err()).contains("axis 1"));
    assert!(text(Fft::new().len(0).try_fft(&x, Axis(0)).unwrap_err()).contains("got 0"));
    assert!(text(Fft::new().lens(&[2, 2]).try_fft(&x, Axis(0)).unwrap_err()).contains("2 for 1 axes"));
    assert!(text(fft::try_fftn(&x, &[Axis(0), Axis(0)]).unwrap_err()).contains("each axis once"));
    assert!(text(fft::try_rfftn(&x, &[]).unwrap_err()).contains("at least one"));
    assert!(text(fft::try_fft2(&x).unwrap_err()).contains("at least two"));
    assert!(text(fft::try_irfft(&arr1(&[1.0]), Axis(0)).unwrap_err()).contains("at least 2, or a length"));
    let z = arr1(&[C::new(1.0, 0.0)]);
    assert!(text(fft::try_rfft(&z, Axis(0)).unwrap_err()).contains("real elements"));
    assert!(fft::try_ihfft(&z, Axis(0)).is_err());
    for (n, spacing) in [(0, 1.0), (4, 0.0), (4, f64::NAN)] {
        assert!(fft::try_fftfreq(n, spacing).is_err() && fft::try_rfftfreq(n, spacing).is_err());
    }
    assert!(fft::try_fftshift(&x, &[Axis(1)]).is_err());
}

#[test]
fn processes_give_the_same_bits() {
    let _mine = processes_are_mine();
    let session = tilework::Session::processes(2).unwrap();
    let x = Array::from(Local::from(complex(300))).rechunk(40);
    let y = fft::fft(&x, Axis(0));
    assert_eq!(y.try_compute_on(&session).unwrap(), y.compute());
    let x = Array::from(Local2::from_shape_vec((20, 15), draws(300, 9)).unwrap()).rechunk(&[7, 4][..]);
    let y = fft::rfft2(&x);
    assert_eq!(y.try_compute_on(&session).unwrap(), y.compute());
    // In steps, over an exchange.
    let long: Array1<Complex<f32>> = random::in_chunks(1 << 18).standard_normal::<f32, _>(9 << 18, 3).cast();
    let y = fft::fft(&long, Axis(0));
    assert_eq!(y.try_compute_on(&session).unwrap(), y.compute());
}
