//! Discrete Fourier transforms along one axis: of axes that fit into a task in one stage, of longer ones in two shorter
//! transforms with factors between them.
//!
//! Owns which of both it is, and of which stages a long one is made. Must not know norms, or what lengths were asked for.

use super::{axis_of, cut, moved, same, stage, with_axis};
use crate::error::{Error, Result};
use ndarray::Axis;
use tilework_expr::{AUTO_CHUNK_BYTES, BinaryOp, Chunks, DType, Expr, Scalar, SliceArg, UnaryOp};
use tilework_kernels::library::fft::{Kind, Lanes, chirp};
use tilework_plan::AxisGrid;

/// A transform along an axis, whose result is multiplied with a scale. An axis in several chunks is brought into one task
/// where it has at most so many bytes, or no more than the array's largest chunk.
#[derive(Clone, Copy)]
pub(crate) struct Transform {
    pub(crate) axis: usize,
    pub(crate) inverse: bool,
    pub(crate) scale: f64,
    pub(crate) lane_bytes_max: usize,
}

impl Transform {
    pub(crate) fn along(axis: usize, inverse: bool, scale: f64) -> Transform {
        Transform { axis, inverse, scale, lane_bytes_max: AUTO_CHUNK_BYTES }
    }

    /// Whether a task takes the whole of a lane.
    fn fits(self, expr: &Expr) -> bool {
        let (len, size) = (expr.shape()[self.axis], expr.dtype().size());
        let chunk = expr.grid().chunk_len_max() * size;
        expr.grid().axes()[self.axis].n_chunks() == 1
            || len.saturating_mul(size) <= chunk.max(self.lane_bytes_max)
    }

    fn kind(self) -> Kind {
        if self.inverse { Kind::Inverse } else { Kind::Forward }
    }

    fn in_a_task(self, expr: &Expr, kind: Kind, twisted: Option<usize>) -> Result<Expr> {
        if cfg!(not(feature = "fft")) {
            return Err(Error::LeftOut { what: "a Fourier transform", feature: "fft" });
        }
        let input = expr.whole_along(self.axis)?;
        let len = match kind {
            Kind::RealForward => expr.shape()[self.axis] / 2 + 1,
            Kind::RealInverse(n) => n,
            Kind::Forward | Kind::Inverse => expr.shape()[self.axis],
        };
        let own = Lanes { axis: self.axis, kind, scale: self.scale, twisted }.of(expr.dtype());
        let out = with_axis(input.grid(), self.axis, AxisGrid::whole(len));
        stage(own, &[(&input, same(expr.ndim()))], input.grid(), &out)
    }

    /// Of complex elements, to as many.
    pub(crate) fn complex(self, expr: &Expr) -> Result<Expr> {
        let n = expr.shape()[self.axis];
        if n == 0 || expr.is_empty() || self.fits(expr) {
            return self.in_a_task(expr, self.kind(), None);
        }
        let last = expr.ndim() - 1;
        let lanes = moved(expr, Axis(self.axis), Axis(last))?;
        let made = match factor_of(n) {
            1 => self.by_convolution(&lanes)?,
            first => self.by_steps(&lanes, first)?,
        };
        Ok(moved(&made, Axis(last), Axis(self.axis))?.on_grid(expr.grid().clone())?)
    }

    /// Lanes along the last axis as tables of `first` rows: transforms of the columns, factors, transforms of the rows, and
    /// the result is in the order of the columns (Bailey, "FFTs in external or hierarchical memory", Journal of
    /// Supercomputing 4, 1990).
    fn by_steps(self, lanes: &Expr, first: usize) -> Result<Expr> {
        let (last, shape) = (lanes.ndim() - 1, lanes.shape());
        let n = shape[last];
        let mut tables = shape.clone();
        tables.splice(last.., [first, n / first]);
        let columns = Transform { axis: last, ..self };
        let columns = columns.in_a_task(&lanes.reshape(&tables)?, self.kind(), Some(n))?;
        let rows = Transform { axis: last + 1, scale: 1.0, ..self }.complex(&columns)?;
        let mut turned: Vec<usize> = (0..last + 2).collect();
        turned.swap(last, last + 1);
        Ok(rows.permute(&turned)?.reshape(&shape)?)
    }

    /// Lanes along the last axis of a length without factors, by a convolution with a chirp, whose transforms are of a power
    /// of two (Bluestein 1970).
    fn by_convolution(self, lanes: &Expr) -> Result<Expr> {
        let (last, dtype) = (lanes.ndim() - 1, lanes.dtype());
        let n = lanes.shape()[last];
        let m = (2 * n - 1).next_power_of_two();
        let wave = |len: usize, wrapped: bool| -> Result<Expr> {
            let grid = Chunks::Auto.grid(&[len], DType::C64)?;
            stage(chirp(n, self.inverse, wrapped), &[], &grid, &grid)
        };
        let chirp = wave(n, false)?;
        let of = |axis, inverse, scale| Transform { axis, inverse, scale, ..self };
        let wide = lanes.cast(DType::C64)?.binary(BinaryOp::Mul, &chirp)?;
        let found = of(last, false, 1.0).complex(&fitted(&wide, last, m)?)?;
        let answer = of(0, false, 1.0).complex(&wave(m, true)?)?;
        let product = found.binary(BinaryOp::Mul, &answer)?;
        let back = of(last, true, self.scale / m as f64).complex(&product)?;
        let made = fitted(&back, last, n)?.binary(BinaryOp::Mul, &chirp)?;
        Ok(made.cast(dtype)?)
    }

    /// Of real elements, to the first half.
    pub(crate) fn real(self, expr: &Expr) -> Result<Expr> {
        let n = expr.shape()[self.axis];
        let complex = if expr.dtype() == DType::F32 { DType::C32 } else { DType::C64 };
        if expr.is_empty() || self.fits(expr) {
            return self.in_a_task(expr, Kind::RealForward, None);
        }
        fitted(&self.complex(&expr.cast(complex)?)?, self.axis, n / 2 + 1)
    }

    /// Of the first half, which there is, to so many real elements.
    pub(crate) fn real_inverse(self, expr: &Expr, n: usize) -> Result<Expr> {
        if expr.is_empty() || self.fits(expr) {
            return self.in_a_task(expr, Kind::RealInverse(n), None);
        }
        // What was left out is the mirror image, conjugated.
        let end = n.div_ceil(2) as isize;
        let rest = cut(expr, self.axis, SliceArg::Range { start: 1, end: Some(end), step: 1 })?;
        let mirrored = cut(&rest, self.axis, SliceArg::Range { start: 0, end: None, step: -1 })?;
        let all = Expr::concatenate(self.axis, &[expr.clone(), mirrored.unary(UnaryOp::Conj)?])?;
        Ok(self.complex(&all)?.unary(UnaryOp::Re)?)
    }
}

/// The greatest factor of a length up to its square root: 1 of a prime number.
fn factor_of(n: usize) -> usize {
    (1..=n.isqrt()).rev().find(|f| n.is_multiple_of(*f)).unwrap_or(1)
}

/// An axis cut off, or with zeros behind it, so that it has this length.
pub(crate) fn fitted(expr: &Expr, axis: usize, len: usize) -> Result<Expr> {
    let axis = axis_of(expr, Axis(axis))?;
    let mut shape = expr.shape();
    if shape[axis] >= len {
        return cut(expr, axis, SliceArg::Range { start: 0, end: Some(len as isize), step: 1 });
    }
    shape[axis] = len - shape[axis];
    let zeros = Expr::full(&shape, &Chunks::Auto, Scalar::from_bits(expr.dtype(), 0))?;
    Ok(Expr::concatenate(axis, &[expr.clone(), zeros])?)
}

#[cfg(test)]
mod tests {
    use super::super::draws::words;
    use super::*;
    use crate::ArrayD;
    use ndarray::IxDyn;
    use tilework_expr::Complex;

    fn numbers(shape: &[usize]) -> ndarray::ArrayD<Complex<f64>> {
        let n: usize = shape.iter().product();
        let draws = words(7).take(2 * n).map(|word| (word >> 40) as f64 / f64::from(1 << 24) - 0.5);
        let draws: Vec<f64> = draws.collect();
        let numbers = draws.chunks(2).map(|z| Complex::new(z[0], z[1])).collect();
        ndarray::ArrayD::from_shape_vec(IxDyn(shape), numbers).unwrap()
    }

    fn made(expr: Result<Expr>) -> ndarray::ArrayD<Complex<f64>> {
        ArrayD::of_expr(expr.unwrap()).compute()
    }

    #[track_caller]
    fn close(got: &ndarray::ArrayD<Complex<f64>>, want: &ndarray::ArrayD<Complex<f64>>) {
        assert_eq!(got.shape(), want.shape());
        let worst = got.iter().zip(want).map(|(a, b)| (a - b).norm()).fold(0.0, f64::max);
        let n = want.len() as f64;
        assert!(worst < 1e-15 * n.sqrt() * (2.0 + n.log2()), "{worst} of {n}");
    }

    /// Lanes that no task has are those that one has, whatever their length, along any axis, in both directions.
    #[test]
    #[cfg(feature = "fft")]
    fn long_lanes_are_transformed_as_short_ones() {
        for (shape, axis, chunks) in [
            (vec![12], 0, vec![5]),
            (vec![64], 0, vec![7]),
            (vec![1000], 0, vec![300]),
            (vec![97], 0, vec![10]),
            (vec![2 * 101], 0, vec![50]),
            (vec![7], 0, vec![1]),
            (vec![2], 0, vec![1]),
            (vec![30, 4], 0, vec![4, 3]),
            (vec![3, 36], 1, vec![2, 5]),
            (vec![2, 31, 3], 1, vec![1, 6, 3]),
        ] {
            let x = numbers(&shape);
            let lens: Vec<isize> = chunks.iter().map(|&c| c as isize).collect();
            let array = crate::Array::from(x.clone()).rechunk(&lens[..]);
            let expr = array.leaf().unwrap();
            for inverse in [false, true] {
                let long = Transform { lane_bytes_max: 0, ..Transform::along(axis, inverse, 0.5) };
                let got = long.complex(&expr).unwrap();
                assert_eq!(got.grid(), expr.grid());
                close(&made(Ok(got)), &made(Transform::along(axis, inverse, 0.5).complex(&expr)));
            }
        }
    }

    #[test]
    #[cfg(feature = "fft")]
    fn long_real_lanes_are_halves() {
        for n in [12usize, 35, 37, 64] {
            let x = numbers(&[n]).mapv(|z| z.re);
            let array = crate::Array::from(x.clone()).rechunk(5);
            let expr = array.leaf().unwrap();
            let long = Transform { lane_bytes_max: 0, ..Transform::along(0, false, 1.0) };
            let half = long.real(&expr).unwrap();
            close(&made(Ok(half.clone())), &made(Transform::along(0, false, 1.0).real(&expr)));
            let back =
                Transform { inverse: true, scale: 1.0 / n as f64, ..long }.real_inverse(&half, n).unwrap();
            let back: ndarray::ArrayD<f64> = ArrayD::of_expr(back).compute();
            assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-14), "{n}");
        }
    }

    #[test]
    #[cfg(not(feature = "fft"))]
    fn what_is_left_out_names_the_feature() {
        let array = crate::Array::from(numbers(&[4]));
        let refused = Transform::along(0, false, 1.0).complex(&array.leaf().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("`fft`"), "{refused}");
        drop(made(array.leaf()));
    }

    #[test]
    fn lengths_are_cut_near_their_root() {
        assert_eq!([12, 64, 97, 202, 1].map(factor_of), [3, 8, 1, 2, 1]);
    }
}
