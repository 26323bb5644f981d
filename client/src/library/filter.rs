//! Functions of what is around each element: of which positions a task reads around its chunk.
//!
//! Knows windows and edges. Must not know how their sums are computed.

use super::{axis_of, cut, stage, wrong};
use crate::error::Result;
use ndarray::Axis;
use tilework_expr::{Along, Boundary, Chunks, DType, Expr, ExprError, Halo, Read, Scalar, SliceArg};
use tilework_kernels::library::filter;

/// Which part of a convolution is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Convolution {
    /// All of it: wherever both overlap, `n + k - 1` elements.
    Full,
    /// Its middle, as long as the longer one.
    Same,
    /// Where both overlap completely, `n - k + 1` elements of the longer and the shorter one.
    Valid,
}

/// What a task reads of an array for windows that reach so far before and after each position.
fn around(expr: &Expr, reach: &[(usize, usize)], boundary: Boundary) -> Result<Read> {
    let axes = reach.iter().enumerate().map(|(axis, &(before, after))| {
        let halo = Halo { before, after, boundary }.along(axis, expr)?;
        Ok(Along::Near { axis, halo })
    });
    Ok(Read::Box(axes.collect::<Result<_>>()?))
}

/// What windows of these lengths reach around the position in their middle.
fn reach_of(window: &[usize], boundary: Boundary) -> Result<Vec<(usize, usize)>> {
    if window.contains(&0) {
        return Err(wrong("shape of a window", format!("{window:?}"), "at least one along each axis"));
    }
    if boundary == Boundary::None {
        return Err(wrong("boundary of a window", "none".into(), "what lies beyond the edges"));
    }
    Ok(window.iter().map(|n| (n / 2, n - 1 - n / 2)).collect())
}

/// The weighted sums of windows.
pub(crate) fn correlated(expr: &Expr, weights: &Expr, boundary: Boundary) -> Result<Expr> {
    if weights.ndim() != expr.ndim() {
        let got = format!("{} for an array of {}", weights.ndim(), expr.ndim());
        return Err(wrong("axes of weights", got, "as many"));
    }
    let reach = reach_of(&weights.shape(), boundary)?;
    with_reach(expr, weights, (&reach, boundary))
}

fn with_reach(expr: &Expr, weights: &Expr, (reach, boundary): (&[(usize, usize)], Boundary)) -> Result<Expr> {
    if expr.dtype() == DType::Bool {
        return Err(super::undefined("a weighted sum", DType::Bool));
    }
    let all = Read::Box(vec![Along::All; weights.ndim()]);
    let inputs = [(expr, around(expr, reach, boundary)?), (weights, all)];
    stage(filter::correlate(expr.dtype()), &inputs, expr.grid(), expr.grid())
}

/// The medians of windows of this shape.
pub(crate) fn medians(expr: &Expr, window: &[usize], boundary: Boundary) -> Result<Expr> {
    if window.len() != expr.ndim() {
        let got = format!("{} lengths for {} axes", window.len(), expr.ndim());
        return Err(wrong("shape of a window", got, "one for each axis"));
    }
    let reach = reach_of(window, boundary)?;
    let inputs = [(expr, around(expr, &reach, boundary)?)];
    stage(filter::medians(expr.dtype()), &inputs, expr.grid(), expr.grid())
}

/// Axis by axis, the sums weighted by a bell curve that is cut off at four deviations.
pub(crate) fn gaussian(expr: &Expr, deviations: &[f64], boundary: Boundary) -> Result<Expr> {
    if deviations.len() != expr.ndim() {
        let got = format!("{} for {} axes", deviations.len(), expr.ndim());
        return Err(wrong("deviations of a gaussian filter", got, "one for each axis"));
    }
    let mut made = expr.clone();
    for (axis, &deviation) in deviations.iter().enumerate() {
        if !(0.0..=1e6).contains(&deviation) {
            let got = deviation.to_string();
            return Err(wrong("deviation of a gaussian filter", got, "from 0 to 1000000 positions"));
        }
        let radius = (4.0 * deviation + 0.5) as usize;
        if radius == 0 {
            continue;
        }
        let bell = |i: usize| (-0.5 * ((i as f64 - radius as f64) / deviation).powi(2)).exp();
        let bells: Vec<f64> = (0..=2 * radius).map(bell).collect();
        let sum: f64 = bells.iter().sum();
        let weights = ndarray::Array1::from_iter(bells.iter().map(|b| b / sum));
        let mut shape = vec![1; expr.ndim()];
        shape[axis] = weights.len();
        let weights = crate::Array1::<f64>::from(weights).leaf()?.cast(expr.dtype())?.reshape(&shape)?;
        made = correlated(&made, &weights, boundary)?;
    }
    Ok(made)
}

/// The convolution of two arrays of one axis, directly: each task reads the whole of the shorter one.
pub(crate) fn convolved(a: &Expr, b: &Expr, part: Convolution) -> Result<Expr> {
    if a.dtype() != b.dtype() {
        let (left, right) = (a.dtype(), b.dtype());
        return Err(ExprError::MixedDTypes { op: "a convolution".into(), left, right }.into());
    }
    if a.is_empty() || b.is_empty() {
        return Err(wrong(
            "elements of a convolution",
            format!("{} and {}", a.len(), b.len()),
            "at least one of each",
        ));
    }
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let k = short.len();
    let backwards = cut(short, 0, SliceArg::Range { start: 0, end: None, step: -1 })?;
    let zero = Scalar::from_bits(long.dtype(), 0);
    let end = Expr::full(&[k - 1], &Chunks::Auto, zero)?;
    let padded = if k == 1 { long.clone() } else { Expr::concatenate(0, &[long.clone(), end])? };
    let full = with_reach(&padded, &backwards, (&[(k - 1, 0)], Boundary::Constant(zero)))?;
    part_of(&full, part, &[(long.len(), k)])
}

/// A part of a full convolution; along each axis of a longer and a shorter array of these lengths.
pub(crate) fn part_of(full: &Expr, part: Convolution, lens: &[(usize, usize)]) -> Result<Expr> {
    let mut made = full.clone();
    for (axis, &(long, short)) in lens.iter().enumerate() {
        let (start, len) = match part {
            Convolution::Full => (0, long + short - 1),
            Convolution::Same => ((short - 1) / 2, long),
            Convolution::Valid => (short - 1, long - short + 1),
        };
        let axis = axis_of(&made, Axis(axis))?;
        let range = SliceArg::Range { start: start as isize, end: Some((start + len) as isize), step: 1 };
        made = cut(&made, axis, range)?;
    }
    Ok(made)
}
