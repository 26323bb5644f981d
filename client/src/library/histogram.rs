//! Histograms of points, and edges of bins by the rules of the trade.
//!
//! Knows of which stages they are made. Must not know how points are counted.

use super::count::{check_edges, like, summed};
use super::undefined;
use crate::array::kinds::on_arrays;
use crate::array::twins::twins;
use crate::array::{Array, Array2, ArrayD, try_compute_all};
use crate::error::{Error, Result, or_panic};
use ndarray::Dimension;
use num_traits::Num;
use tilework_expr::{DType, Element, Expr, ExprError, Fold};
use tilework_kernels::library::histogram;

/// How many bins a histogram has: so many, or what a rule makes of the elements. The rules are NumPy's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bins {
    /// So many.
    Count(usize),
    /// The square root of the number of elements.
    Sqrt,
    /// One more than its logarithm to base 2 (Sturges 1926).
    Sturges,
    /// Twice its third root.
    Rice,
    /// By the standard deviation (Scott 1979).
    Scott,
    /// By the distance of the quartiles (Freedman and Diaconis 1981).
    FreedmanDiaconis,
    /// The more of Sturges' and of Freedman and Diaconis'.
    #[default]
    Auto,
}

impl Bins {
    /// The width of a bin, 0 where the rule has none.
    fn width(self, n: f64, span: f64, (std, iqr): (f64, f64)) -> f64 {
        match self {
            Bins::Count(count) => span / count as f64,
            Bins::Sqrt => span / n.sqrt(),
            Bins::Sturges => span / (n.log2() + 1.0),
            Bins::Rice => span / (2.0 * n.cbrt()),
            Bins::Scott => (24.0 * std::f64::consts::PI.sqrt() / n).cbrt() * std,
            Bins::FreedmanDiaconis => 2.0 * iqr / n.cbrt(),
            Bins::Auto => {
                let sturges = Bins::Sturges.width(n, span, (std, iqr));
                match Bins::FreedmanDiaconis.width(n, span, (std, iqr)) {
                    0.0 => sturges,
                    width => width.min(sturges),
                }
            }
        }
    }
}

/// Bins of one histogram at most.
const BINS_MAX: usize = 1 << 24;

fn edges(expr: &Expr, bins: Bins) -> Result<Vec<f64>> {
    let parameter = |what, got: String, expected| Error::from(ExprError::Parameter { what, got, expected });
    if bins == Bins::Count(0) {
        return Err(parameter("number of bins", "0".into(), "at least one"));
    }
    if expr.dtype().is_complex() || expr.dtype() == DType::Bool {
        return Err(undefined("a histogram", expr.dtype()));
    }
    let of = |expr: Expr| -> Result<Array<f64, ndarray::Ix0>> { Ok(Array::of_expr(expr.cast(DType::F64)?)) };
    let (n, mut low, mut high, mut spread) = (expr.len(), 0.0, 1.0, (0.0, 0.0));
    if n > 0 {
        let all: Vec<usize> = (0..expr.ndim()).collect();
        let mut asked = vec![of(expr.reduce(Fold::Min, &all)?)?, of(expr.reduce(Fold::Max, &all)?)?];
        let wide = Array::<f64, ndarray::IxDyn>::of_expr(expr.cast(DType::F64)?);
        match bins {
            Bins::Scott => asked.push(of(wide.leaf()?.reduce(Fold::Std { ddof: 0.0 }, &all)?)?),
            Bins::FreedmanDiaconis | Bins::Auto => {
                let rule = super::Interpolation::Linear;
                asked.extend([wide.try_quantile_flat(0.25, rule)?, wide.try_quantile_flat(0.75, rule)?]);
            }
            _ => {}
        }
        let found: Vec<f64> = try_compute_all(&asked)?.into_iter().map(ndarray::Array::into_scalar).collect();
        (low, high) = (found[0], found[1]);
        spread = match found[2..] {
            [std] => (std, 0.0),
            [first, third] => (0.0, third - first),
            _ => spread,
        };
    }
    if !(low.is_finite() && high.is_finite()) {
        let expected = "finite elements: `histogram` takes edges, and leaves out others";
        return Err(parameter("range of a histogram", format!("{low} to {high}"), expected));
    }
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let mut width = bins.width(n.max(1) as f64, high - low, spread);
    if expr.dtype().is_int() && !matches!(bins, Bins::Count(_)) {
        // No bins between neighbouring integers.
        width = width.max(1.0);
    }
    let count = match bins {
        Bins::Count(count) => count,
        _ if n == 0 || width <= 0.0 => 1,
        _ => ((high - low) / width).ceil() as usize,
    };
    if count > BINS_MAX {
        return Err(parameter("number of bins", count.to_string(), "at most 2^24"));
    }
    let edge = |i: usize| if i == count { high } else { low + (high - low) * (i as f64 / count as f64) };
    Ok((0..=count).map(edge).collect())
}

on_arrays!({ A: Element } {
    twins! {
        /// Edges of bins that are as wide as each other, from the least to the greatest element, for
        /// [`histogram`](Self::histogram): NumPy's `histogram_bin_edges`. One run finds out what the rule needs.
        ///
        /// ```
        /// use tilework::prelude::*;
        /// use tilework::Bins;
        ///
        /// let x = arr1(&[0.0, 1.0, 1.5, 4.0]);
        /// let edges = x.histogram_bin_edges(Bins::Count(4));
        /// assert_eq!(edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
        /// assert_eq!(x.histogram(&edges).compute(), ndarray::arr1(&[1, 2, 0, 1]));
        /// ```
        histogram_bin_edges, try_histogram_bin_edges [] (&self, bins: crate::Bins) -> Vec<f64>,
        errors "No bins, or more than 2^24; elements that are infinite or NaN; complex elements or `bool`; a failed run.",
        { edges(&self.leaf()?, bins) }
    }
});

fn counted<A: Element, D: Dimension>(
    points: &[&Array<A, D>],
    edges: &[&[f64]],
    weights: Option<&Array<f64, D>>,
) -> Result<Expr> {
    if points.is_empty() {
        return Err(ExprError::NoArrays { op: "histogramdd" }.into());
    }
    if points.len() != edges.len() || points.len() > POINT_AXES_MAX {
        let got = format!("{} with edges of {}", points.len(), edges.len());
        let expected = "one for each list of edges, at most 7";
        return Err(ExprError::Parameter { what: "arrays of coordinates", got, expected }.into());
    }
    edges.iter().try_for_each(|edges| check_edges(edges))?;
    let lens: Vec<usize> = edges.iter().map(|edges| edges.len() - 1).collect();
    let n = lens.iter().try_fold(1usize, |n, &len| n.checked_mul(len)).filter(|n| *n <= BINS_MAX);
    let too_many = || {
        let got = format!("{lens:?}");
        ExprError::Parameter { what: "bins along each axis", got, expected: "at most 2^24 together" }
    };
    let n = n.ok_or_else(too_many)?;
    let first = points[0].leaf()?;
    let coordinates = points.iter().map(|x| like(&x.leaf()?.cast(DType::F64)?, &first));
    let mut inputs = coordinates.collect::<Result<Vec<_>>>()?;
    if let Some(weights) = weights {
        inputs.push(like(&weights.leaf()?, &first)?);
    }
    let own = histogram::points(edges, weights.is_some());
    let found = summed(own, &inputs.iter().collect::<Vec<_>>(), n)?;
    Ok(found.reshape(&lens)?)
}

/// Axes of points: the bins of more could not be counted.
const POINT_AXES_MAX: usize = 7;

/// How many points lie in each bin of a grid: each axis has an array of coordinates, all of one shape, and edges that rise. A
/// bin has its lower edges, the last ones their upper edges too; a point beyond them, or with NaN, is in none. A lazy array of
/// as many axes. A task holds the counts of all bins, and there are as many of those as chunks.
///
/// ```
/// use tilework::prelude::*;
///
/// let (x, y) = (arr1(&[0.5, 1.5, 1.5]), arr1(&[0.5, 0.5, 9.0]));
/// let counts = tilework::histogramdd(&[&x, &y], &[&[0.0, 1.0, 2.0], &[0.0, 1.0]]);
/// assert_eq!(counts.compute(), ndarray::arr2(&[[1], [1]]).into_dyn());
/// ```
///
/// # Panics
/// Where [`try_histogramdd`] returns an error.
#[must_use]
#[track_caller]
pub fn histogramdd<A: Element + Num, D: Dimension>(points: &[&Array<A, D>], edges: &[&[f64]]) -> ArrayD<u64> {
    or_panic(try_histogramdd(points, edges))
}

/// [`histogramdd`] that returns what goes wrong.
///
/// # Errors
/// No arrays, more than 7, or another number than of lists of edges; fewer than two edges, or edges that do not rise; more than
/// 2^24 bins; coordinates of other shapes; complex elements.
pub fn try_histogramdd<A: Element + Num, D: Dimension>(
    points: &[&Array<A, D>],
    edges: &[&[f64]],
) -> Result<ArrayD<u64>> {
    Ok(Array::of_expr(counted(points, edges, None)?))
}

/// As [`histogramdd`], with the sums of the points' weights in place of their number.
///
/// # Panics
/// Where [`try_histogramdd_weighted`] returns an error.
#[must_use]
#[track_caller]
pub fn histogramdd_weighted<A: Element + Num, D: Dimension>(
    points: &[&Array<A, D>],
    edges: &[&[f64]],
    weights: &Array<f64, D>,
) -> ArrayD<f64> {
    or_panic(try_histogramdd_weighted(points, edges, weights))
}

/// [`histogramdd_weighted`] that returns what goes wrong.
///
/// # Errors
/// As [`try_histogramdd`]; weights of another shape.
pub fn try_histogramdd_weighted<A: Element + Num, D: Dimension>(
    points: &[&Array<A, D>],
    edges: &[&[f64]],
    weights: &Array<f64, D>,
) -> Result<ArrayD<f64>> {
    Ok(Array::of_expr(counted(points, edges, Some(weights))?))
}

on_arrays!({ A: Element + Num } {
    twins! {
        /// How many points lie in each bin of a matrix, with these elements as their coordinates along the rows, and those of
        /// `y` along the columns: [`histogramdd`] of two axes. A lazy array.
        histogram2d, try_histogram2d [] (&self, y: &Array<A, D>, edges: (&[f64], &[f64])) -> Array2<u64>,
        errors "Fewer than two edges, or edges that do not rise; more than 2^24 bins; coordinates of another shape; complex elements.",
        {
            let x = Array::<A, D>::of_expr(self.leaf()?);
            Ok(Array::of_expr(counted(&[&x, y], &[edges.0, edges.1], None)?))
        }
    }
});
