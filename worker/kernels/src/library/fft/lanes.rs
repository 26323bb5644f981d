//! Transforms of the lanes of a block, one after another.
//!
//! Must not know how one is computed (`tilework_transforms`), nor where blocks come from.

use super::{Kind, Lanes};
use crate::chunk::Plane;
use crate::library::elements::{Answer, Around, Elements, Reader, plane};
use crate::native::BlockCall;
use num_complex::Complex;
use std::f64::consts::PI;
use std::ops::Range;
use tilework_expr::{DType, Element};
use tilework_transforms::Planned;

/// Elements that lanes are made of.
trait Real: Planned + Element {
    fn of(x: f64) -> Self;
    fn narrowed(z: Complex<f64>) -> Complex<Self>;
    fn widened(z: Complex<Self>) -> Complex<f64>;
}

impl Real for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn narrowed(z: Complex<f64>) -> Complex<f32> {
        Complex::new(z.re as f32, z.im as f32)
    }
    fn widened(z: Complex<f32>) -> Complex<f64> {
        Complex::new(z.re.into(), z.im.into())
    }
}

impl Real for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn narrowed(z: Complex<f64>) -> Complex<f64> {
        z
    }
    fn widened(z: Complex<f64>) -> Complex<f64> {
        z
    }
}

impl Lanes {
    fn read(params: &[u8]) -> Answer<Lanes> {
        let mut reader = Reader(params);
        let (axis, code, len) = (reader.number()?, reader.number()?, reader.number()?);
        let kind = match code {
            0 => Kind::Forward,
            1 => Kind::Inverse,
            2 => Kind::RealForward,
            3 => Kind::RealInverse(len),
            _ => return Err(format!("transform {code}, expected at most 3")),
        };
        let (scale, n) = (reader.float()?, reader.number()?);
        Ok(Lanes { axis, kind, scale, twisted: Some(n).filter(|n| *n > 0) })
    }
}

/// The roots of unity of an order, as products of two that are in tables of the square root of as many.
struct Roots {
    low: Vec<Complex<f64>>,
    high: Vec<Complex<f64>>,
    bits: u32,
}

impl Roots {
    fn new(n: usize, inverse: bool) -> Roots {
        let bits = n.max(1).ilog2().div_ceil(2);
        let sign = if inverse { 2.0 } else { -2.0 };
        let of = |step: usize, count: usize| {
            (0..count).map(|i| Complex::cis(sign * PI * ((i * step) as f64 / n as f64))).collect()
        };
        Roots { low: of(1, 1 << bits), high: of(1 << bits, (n >> bits) + 1), bits }
    }

    /// The root to the power of `k`, which is below the order.
    fn at(&self, k: usize) -> Complex<f64> {
        self.low[k & ((1 << self.bits) - 1)] * self.high[k >> self.bits]
    }
}

/// Lanes that lie across memory and are copied together, so that whole cache lines are read, and the elements that they have
/// together at most.
const WIDTH: usize = 16;
const TOGETHER: usize = 1 << 18;

/// What is made of each lane along an axis: `each` gets its number, its elements, which it may overwrite, and the place of
/// so many results.
fn lanes<A: Copy + Default, B: Copy + Default>(
    (from, around): (&[A], Around),
    len: usize,
    mut each: impl FnMut(usize, &mut [A], &mut [B]) -> Answer<()>,
) -> Answer<Vec<B>> {
    let Around { outer, len: n, inner } = around;
    let mut made = vec![B::default(); outer * len * inner];
    if inner == 1 {
        let mut lane = vec![A::default(); n];
        for (o, (x, out)) in from.chunks_exact(n).zip(made.chunks_exact_mut(len)).enumerate() {
            lane.copy_from_slice(x);
            each(o, &mut lane, out)?;
        }
        return Ok(made);
    }
    let width = (TOGETHER / n.max(len).max(1)).clamp(1, WIDTH).min(inner.max(1));
    let (mut lane, mut out) = (vec![A::default(); n * width], vec![B::default(); len * width]);
    for o in 0..outer {
        for k in (0..inner).step_by(width) {
            let some = width.min(inner - k);
            for i in 0..n {
                let row = &from[(o * n + i) * inner + k..][..some];
                row.iter().enumerate().for_each(|(j, x)| lane[j * n + i] = *x);
            }
            for j in 0..some {
                each(o * inner + k + j, &mut lane[j * n..][..n], &mut out[j * len..][..len])?;
            }
            for i in 0..len {
                let row = &mut made[(o * len + i) * inner + k..][..some];
                row.iter_mut().enumerate().for_each(|(j, x)| *x = out[j * len + i]);
            }
        }
    }
    Ok(made)
}

pub(in crate::library) fn fft(call: &BlockCall<'_>) -> Answer<Plane> {
    match call.block(0)?.dtype() {
        DType::C32 | DType::F32 => transformed::<f32>(call),
        DType::C64 | DType::F64 => transformed::<f64>(call),
        other => Err(format!("a transform of {other}")),
    }
}

fn transformed<T: Real>(call: &BlockCall<'_>) -> Answer<Plane>
where
    Complex<T>: Element,
{
    let of = Lanes::read(call.params)?;
    let (block, shape) = (call.block(0)?, call.shape());
    let around = Around::of(block.shape(), of.axis)?;
    let len = *shape.get(of.axis).ok_or("a result without the axis")?;
    if around.n_lanes() == 0 || around.len == 0 || len == 0 {
        return match of.kind {
            Kind::RealInverse(_) => plane::<T>(&shape, Vec::new()),
            _ => plane::<Complex<T>>(&shape, Vec::new()),
        };
    }
    match of.kind {
        Kind::Forward | Kind::Inverse => {
            let x = Elements::<Complex<T>>::of(block)?;
            let last = call.place.region.last().cloned().unwrap_or(0..0);
            plane(&shape, complex(&x, around, of, last)?)
        }
        Kind::RealForward => plane(&shape, halved(&Elements::<T>::of(block)?, around, of.scale)?),
        Kind::RealInverse(n) => {
            if around.len != n / 2 + 1 {
                return Err(format!("{} numbers for {n} real ones, expected {}", around.len, n / 2 + 1));
            }
            plane(&shape, restored(&Elements::<Complex<T>>::of(block)?, (around, n), of.scale)?)
        }
    }
}

/// Complex lanes, of which the last axis of the block has these positions.
fn complex<T: Real>(
    x: &[Complex<T>],
    around: Around,
    of: Lanes,
    last: Range<usize>,
) -> Answer<Vec<Complex<T>>>
where
    Complex<T>: Element,
{
    let (len, inverse, factor) = (around.len, of.kind == Kind::Inverse, T::of(of.scale));
    if of.twisted.is_some_and(|n| (len - 1).saturating_mul(last.end.saturating_sub(1)) >= n) {
        return Err(format!("factors of {:?} for {len} by {}", of.twisted, last.end));
    }
    let roots = of.twisted.map(|n| Roots::new(n, inverse));
    let plan = T::complex(len, inverse);
    let mut scratch = vec![Complex::<T>::default(); plan.get_outofplace_scratch_len()];
    lanes((x, around), len, |n, lane, out| {
        plan.process_outofplace_with_scratch(lane, out, &mut scratch);
        if let Some(roots) = &roots {
            let j = last.start + n % last.len();
            for (k, z) in out.iter_mut().enumerate() {
                *z = T::narrowed(T::widened(*z) * roots.at(j * k));
            }
        }
        if of.scale != 1.0 {
            out.iter_mut().for_each(|z| *z = z.scale(factor));
        }
        Ok(())
    })
}

/// The first half of the transforms of real lanes.
fn halved<T: Real>(x: &[T], around: Around, scale: f64) -> Answer<Vec<Complex<T>>>
where
    Complex<T>: Element,
{
    let (n, factor) = (around.len, T::of(scale));
    let plan = T::halved(n);
    let mut scratch = plan.make_scratch_vec();
    lanes((x, around), n / 2 + 1, |_, lane, out| {
        let done = plan.process_with_scratch(lane, out, &mut scratch);
        out.iter_mut().for_each(|z| *z = z.scale(factor));
        done.map_err(|why| why.to_string())
    })
}

/// Real lanes of `n` elements from the first half of their transforms.
fn restored<T: Real>(x: &[Complex<T>], (around, n): (Around, usize), scale: f64) -> Answer<Vec<T>>
where
    Complex<T>: Element,
{
    let factor = T::of(scale);
    let plan = T::restored(n);
    let mut scratch = plan.make_scratch_vec();
    lanes((x, around), n, |_, lane: &mut [Complex<T>], out| {
        // What comes of real numbers is real there; as in NumPy, nothing else is looked at.
        lane[0].im = T::of(0.0);
        if n.is_multiple_of(2) {
            lane[n / 2].im = T::of(0.0);
        }
        let done = plan.process_with_scratch(lane, out, &mut scratch);
        out.iter_mut().for_each(|x| *x = *x * factor);
        done.map_err(|why| why.to_string())
    })
}
