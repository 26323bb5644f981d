//! What a value made of many must be, from the elements alone. Integers and conditions are exact. The order in which
//! floats are added or multiplied is not ndarray's, so theirs is right within the error that any order may have:
//! `2 ε (n + 4)` times the sum of the absolute terms, or of the product; where a part of them may overflow or vanish in
//! one order and not in another, any value is.

use crate::support::same;
use ndarray::{ArrayD as NdD, Axis};
use std::fmt::Debug;
use tilework::prelude::*;
use tilework::{Complex, Element, Error};

/// What was found of a call.
pub enum Fault {
    /// It is an error to build.
    Refused(Error),
    /// Its run is one.
    Failed(Error),
    /// It gives something else.
    Wrong(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Job(_) => Fault::Failed(error),
            _ => Fault::Refused(error),
        }
    }
}

/// Computes `ours`. Each of its elements must be right for the elements that it is made of, where those are known.
pub fn ran<A: Debug, B: Element + Debug>(
    ours: tilework::Result<ArrayD<B>>,
    theirs: impl FnOnce() -> Option<NdD<Vec<A>>>,
    right: impl Fn(B, &[A]) -> bool,
) -> Result<(), Fault> {
    let ours = ours?;
    let got = ours.try_compute();
    let Some(theirs) = theirs() else { return Ok(()) };
    let got = got?;
    if got.shape() != theirs.shape() {
        return Err(Fault::Wrong(format!("has shape {:?}, expected {:?}", got.shape(), theirs.shape())));
    }
    match got.iter().zip(&theirs).find(|(got, of)| !right(**got, of)) {
        Some((got, of)) => Err(Fault::Wrong(format!("gives {got:?} for {of:?}"))),
        None => Ok(()),
    }
}

/// The same of a value of all elements.
pub fn one<A: Clone + Debug, B: Debug>(
    got: tilework::Result<B>,
    all: Option<&NdD<A>>,
    right: impl Fn(&B, &[A]) -> bool,
) -> Result<(), Fault> {
    let got = got?;
    let Some(all) = all else { return Ok(()) };
    let all: Vec<A> = all.iter().cloned().collect();
    if right(&got, &all) { Ok(()) } else { Err(Fault::Wrong(format!("gives {got:?} for {all:?}"))) }
}

/// The elements along some axes, in row-major order, for each position along the others.
pub fn lanes<A: Clone>(a: &NdD<A>, axes: &[usize]) -> NdD<Vec<A>> {
    let mut order: Vec<usize> = (0..a.ndim()).collect();
    order.sort_by_key(|axis| axes.contains(axis));
    let kept = a.ndim() - axes.len();
    let view = a.view().permuted_axes(order);
    let shape = view.shape()[..kept].to_vec();
    NdD::from_shape_fn(shape, |at| {
        let lane = (0..kept).fold(view.clone(), |lane, axis| lane.index_axis_move(Axis(0), at[axis]));
        lane.iter().cloned().collect()
    })
}

/// The pairs of elements that a matrix product multiplies; `None` for shapes that have none.
pub fn factors<A: Copy>(a: &NdD<A>, b: &NdD<A>) -> Option<NdD<Vec<(A, A)>>> {
    if !matches!((a.ndim(), b.ndim()), (1 | 2, 1 | 2)) || a.shape().last() != b.shape().first() {
        return None;
    }
    let n = b.shape()[0];
    let shape = [&a.shape()[..a.ndim() - 1], &b.shape()[1..]].concat();
    let rows = a.ndim() - 1;
    Some(NdD::from_shape_fn(shape, |at| {
        let pair = |k: usize| {
            let left = if rows == 1 { a[[at[0], k]] } else { a[[k]] };
            let right = if b.ndim() == 2 { b[[k, at[rows]]] } else { b[[k]] };
            (left, right)
        };
        (0..n).map(pair).collect()
    }))
}

/// The float type in which something was computed.
#[derive(Clone, Copy)]
pub struct Float {
    epsilon: f64,
    max: f64,
    least: f64,
}

pub const F32: Float =
    Float { epsilon: f32::EPSILON as f64, max: f32::MAX as f64, least: f32::MIN_POSITIVE as f64 };
pub const F64: Float = Float { epsilon: f64::EPSILON, max: f64::MAX, least: f64::MIN_POSITIVE };

impl Float {
    fn error(self, n: usize, size: f64) -> f64 {
        (n + 4) as f64 * (2.0 * self.epsilon * size + self.least)
    }

    /// Whether this may be the sum of the terms, divided by `by`.
    pub fn is_sum(self, got: f64, terms: &[f64], by: f64) -> bool {
        if terms.iter().any(|x| x.is_nan()) {
            return got.is_nan();
        }
        let size: f64 = terms.iter().filter(|x| x.is_finite()).map(|x| x.abs()).sum();
        if size > self.max / 4.0 {
            return true;
        }
        match (terms.contains(&f64::INFINITY), terms.contains(&f64::NEG_INFINITY)) {
            (true, true) => got.is_nan(),
            (true, false) => got == f64::INFINITY,
            (false, true) => got == f64::NEG_INFINITY,
            (false, false) => {
                (got * by - terms.iter().sum::<f64>()).abs() <= by * self.error(terms.len(), size / by)
            }
        }
    }

    /// Whether this may be the sum of products.
    pub fn is_dot(self, got: f64, pairs: &[(f64, f64)]) -> bool {
        let finite = |&(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
        let overflows = pairs.iter().any(|p| finite(p) && (p.0 * p.1).abs() > self.max / 4.0);
        overflows || self.is_sum(got, &pairs.iter().map(|(x, y)| x * y).collect::<Vec<_>>(), 1.0)
    }

    /// Whether this may be the product of the factors.
    pub fn is_product(self, got: f64, factors: &[f64]) -> bool {
        if factors.iter().any(|x| x.is_nan()) {
            return got.is_nan();
        }
        let sizes = || factors.iter().map(|x| x.abs()).filter(|x| *x > 0.0 && x.is_finite());
        let (grown, shrunk): (f64, f64) =
            (sizes().map(|x| x.max(1.0)).product(), sizes().map(|x| x.min(1.0)).product());
        if grown > self.max / 4.0 || shrunk < self.least * 4.0 {
            return true;
        }
        let exact: f64 = factors.iter().product();
        if exact.is_finite() {
            (got - exact).abs() <= self.error(factors.len(), exact.abs())
        } else {
            got == exact || got.is_nan() && exact.is_nan()
        }
    }

    /// Whether this may be the variance of the values, or its root.
    pub fn is_spread(self, got: f64, values: &[f64], ddof: f64, root: bool) -> bool {
        let squares: f64 = values.iter().map(|x| x * x).sum();
        if values.iter().any(|x| !x.is_finite()) {
            return got.is_nan();
        }
        if squares > self.max / 8.0 {
            return true;
        }
        let (n, by) = (values.len() as f64, values.len() as f64 - ddof);
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let exact: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let error = 2.0 * self.error(values.len(), squares);
        if by == 0.0 {
            // Rounding decides between 0 / 0 and more; one value has no distance from its mean.
            return match values.len() {
                0 | 1 => got.is_nan(),
                _ => exact <= error || got == f64::INFINITY,
            };
        }
        let variance = if root { got * got } else { got };
        got >= 0.0 && (variance * by - exact).abs() <= error.max(by * self.least)
    }

    /// As [`Float::is_sum`], for both parts of complex terms.
    pub fn is_complex_sum(self, got: Complex<f64>, terms: &[Complex<f64>], by: f64) -> bool {
        let part = |f: fn(&Complex<f64>) -> f64| terms.iter().map(f).collect::<Vec<_>>();
        let finite = terms.iter().all(|z| z.is_finite());
        // Dividing by a complex number mixes the parts, and infinity times 0 is NaN.
        by != 1.0 && !finite
            || self.is_sum(got.re, &part(|z| z.re), by) && self.is_sum(got.im, &part(|z| z.im), by)
    }

    /// As [`Float::is_dot`], for complex factors. Of what is infinite, matrix products, ndarray's too, make NaN where they
    /// multiply the sum by 1.
    pub fn is_complex_dot(self, got: Complex<f64>, pairs: &[(Complex<f64>, Complex<f64>)]) -> bool {
        if pairs.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return !got.is_finite();
        }
        let re: Vec<_> = pairs.iter().flat_map(|(x, y)| [(x.re, y.re), (-x.im, y.im)]).collect();
        let im: Vec<_> = pairs.iter().flat_map(|(x, y)| [(x.re, y.im), (x.im, y.re)]).collect();
        let overflows = re.iter().chain(&im).any(|(x, y)| (x * y).abs() > self.max / 16.0);
        overflows || self.is_dot(got.re, &re) && self.is_dot(got.im, &im)
    }

    /// As [`Float::is_product`], for complex factors that are finite.
    pub fn is_complex_product(self, got: Complex<f64>, factors: &[Complex<f64>]) -> bool {
        let grown: f64 = factors.iter().map(|z| z.norm().max(1.0)).product();
        let shrunk: f64 = factors.iter().map(|z| z.norm().min(1.0)).product();
        if factors.iter().any(|z| !z.is_finite()) || grown > self.max / 8.0 || shrunk < self.least * 8.0 {
            return true;
        }
        let exact: Complex<f64> = factors.iter().product();
        (got - exact).norm() <= 4.0 * self.error(factors.len(), exact.norm())
    }
}

/// Whether a value is one of these, up to the sign of a zero; one NaN is as good as another.
#[allow(clippy::eq_op, reason = "only NaN differs from itself")]
pub fn equal<A: PartialEq>(a: &A, b: &A) -> bool {
    a == b || a != a && b != b
}

/// The elements that a reduction keeps one of: the position of the first that goes before all others, a NaN before any.
#[allow(clippy::eq_op, reason = "only NaN differs from itself")]
pub fn first_of<A: PartialOrd>(all: &[A], before: impl Fn(&A, &A) -> bool) -> usize {
    let nan = all.iter().position(|x| x != x);
    nan.unwrap_or_else(|| {
        (1..all.len()).fold(0, |first, i| if before(&all[i], &all[first]) { i } else { first })
    })
}

/// Whether it is exactly the one value.
pub fn exactly<A: Element>(got: A, want: &[A]) -> bool {
    want.len() == 1 && same(got, want[0])
}

#[test]
fn what_is_wrong_is_told() {
    let terms = [1.0, -3.0, 1e10];
    assert!(F64.is_sum(1e10 - 2.0, &terms, 1.0) && !F64.is_sum(1e10 - 2.1, &terms, 1.0));
    assert!(F32.is_sum(1e10 + 500.0, &terms, 1.0) && !F32.is_sum(1e10 + 1e5, &terms, 1.0));
    assert!(F64.is_sum(0.5, &[1.0, 1.0], 4.0) && !F64.is_sum(0.6, &[1.0, 1.0], 4.0));
    assert!(F64.is_product(-6.0, &[2.0, -3.0]) && !F64.is_product(6.0, &[2.0, -3.0]));
    assert!(F64.is_product(f64::NAN, &[0.0, f64::INFINITY]) && !F64.is_product(0.0, &[0.0, f64::INFINITY]));
    assert!(F64.is_spread(2.0, &[1.0, 3.0], 1.0, false) && !F64.is_spread(1.0, &[1.0, 3.0], 1.0, false));
    assert!(F64.is_spread(1.0, &[1.0, 3.0], 0.0, true) && !F64.is_spread(-1.0, &[1.0, 3.0], 0.0, true));
    let i = Complex::new(0.0, 1.0);
    assert!(F64.is_complex_dot(-i, &[(i, i), (i * i, i), (Complex::new(1.0, 0.0), Complex::new(1.0, 0.0))]));
    assert!(!F64.is_complex_product(i, &[i, i]) && F64.is_complex_product(i * i, &[i, i]));
    assert_eq!(first_of(&[3, 1, 1], |x, y| x < y), 1);
    assert_eq!(first_of(&[3.0, f64::NAN, 1.0], |x, y| x > y), 1);
}
