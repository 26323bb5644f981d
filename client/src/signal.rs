//! Convolutions and filters, by the names of NumPy and SciPy: lazy arrays of the elements' dtype, whatever the chunks.
//!
//! [`convolve`] and [`correlate`] are NumPy's, of arrays of one axis; `fftconvolve` (feature `fft`) is `scipy.signal`'s, of any
//! number of axes; [`correlate_windows`], [`gaussian_filter`] and [`median_filter`] are `scipy.ndimage`'s. All but
//! `fftconvolve` look at windows: a task reads its chunk and what its windows reach beyond it, and the bits do not depend on
//! the chunks. Windows reach no farther than an axis is long.

use crate::array::twins::function_twins;
use crate::array::{Array, Array1, ArrayBase, Data};
use crate::error::Result;
use crate::library::filter;
use ndarray::{Dimension, Ix1};
use num_traits::{Float, Num};
use tilework_expr::{Boundary, Element, Expr, SliceArg, UnaryOp};

pub use crate::library::filter::Convolution;

/// The reverse of an array of one axis, conjugated where it is complex.
fn reversed(expr: &Expr) -> Result<Expr> {
    let back = expr.slice(&[SliceArg::Range { start: 0, end: None, step: -1 }])?;
    if expr.dtype().is_complex() { Ok(back.unary(UnaryOp::Conj)?) } else { Ok(back) }
}

function_twins! {
    /// The sums of products of one array's elements with the other's in reverse order, at each place of one along the other:
    /// `numpy.convolve`. Each task reads the whole of the shorter array, and takes as many steps as there are elements in it
    /// for each of its own: of long ones take `fftconvolve`.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::signal::{Convolution, convolve};
    ///
    /// let x = Array::from_vec_chunked(vec![1, 2, 3, 4], 2);
    /// let y = convolve(&x, &arr1(&[1, 1]), Convolution::Valid);
    /// assert_eq!(y.compute(), ndarray::arr1(&[3, 5, 7]));
    /// ```
    convolve try_convolve [S: Data<Elem = A>, T: Data<Elem = A>, A: Element + Num]
        (a: &ArrayBase<S, Ix1, A>, b: &ArrayBase<T, Ix1, A>, part: Convolution) -> Array1<A>,
    errors "An array without elements." {
        Ok(Array::of_expr(filter::convolved(&a.leaf()?, &b.leaf()?, part)?))
    }

    /// The sums of products of one array's elements with the other's, conjugated, at each place of the second along the first:
    /// `numpy.correlate`. Costs are those of [`convolve`].
    correlate try_correlate [S: Data<Elem = A>, T: Data<Elem = A>, A: Element + Num]
        (a: &ArrayBase<S, Ix1, A>, b: &ArrayBase<T, Ix1, A>, part: Convolution) -> Array1<A>,
    errors "An array without elements." {
        let (a, b) = (a.leaf()?, reversed(&b.leaf()?)?);
        if a.len() >= b.len() || part != Convolution::Same {
            return Ok(Array::of_expr(filter::convolved(&a, &b, part)?));
        }
        // The middle is counted from the other end where the first is the shorter one.
        let full = filter::convolved(&a, &b, Convolution::Full)?;
        let start = a.len() / 2;
        let end = Some((start + b.len()) as isize);
        Ok(Array::of_expr(full.slice(&[SliceArg::Range { start: start as isize, end, step: 1 }])?))
    }

    /// The sum of each element's window, weighted: `scipy.ndimage.correlate`, of a lazy array of the same shape. An element is
    /// in the middle of its window, of an even length behind it; the boundary says what lies beyond the edges.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::{Boundary, signal};
    ///
    /// let x: Array2<f64> = random::in_chunks(7).uniform((20, 20), 0.0..1.0, 7);
    /// let laplace = arr2(&[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]);
    /// let y = signal::correlate_windows(&x, &laplace, Boundary::Nearest);
    /// assert_eq!(y.shape(), [20, 20]);
    /// ```
    correlate_windows try_correlate_windows
        [S: Data<Elem = A>, T: Data<Elem = A>, A: Element + Num, D: Dimension]
        (x: &ArrayBase<S, D, A>, weights: &ArrayBase<T, D, A>, boundary: Boundary) -> Array<A, D>,
    errors "Weights of another number of axes, or without elements; windows that reach farther than an axis is long; no \
        boundary, one of another dtype, or a mirror image for windows of an even length." {
        Ok(Array::of_expr(filter::correlated(&x.leaf()?, &weights.leaf()?, boundary)?))
    }

    /// Smoothed by a bell curve with a standard deviation for each axis, in positions, cut off at four of them:
    /// `scipy.ndimage.gaussian_filter`. Axes with a deviation of 0 are left as they are.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::{Boundary, signal};
    ///
    /// let x: Array2<f64> = random::in_chunks(30).standard_normal((100, 100), 7);
    /// let y = signal::gaussian_filter(&x, &[2.0, 2.0], Boundary::Reflect);
    /// assert!(y.std(0.0) < 0.25);
    /// ```
    gaussian_filter try_gaussian_filter [S: Data<Elem = A>, A: Element + Float, D: Dimension]
        (x: &ArrayBase<S, D, A>, deviations: &[f64], boundary: Boundary) -> Array<A, D>,
    errors "Deviations that are not one for each axis, or not from 0 to 1000000; windows that reach farther than an axis is \
        long; no boundary, or one of another dtype." {
        Ok(Array::of_expr(filter::gaussian(&x.leaf()?, deviations, boundary)?))
    }

    /// The median of each element's window: `scipy.ndimage.median_filter`, of a lazy array of the same shape. Of an even number
    /// of elements it is the greater of the two in the middle; NaN is the greatest.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::{Boundary, signal};
    ///
    /// let x = Array::from_vec_chunked(vec![1, 1, 9, 1, 2, 2], 4);
    /// let y = signal::median_filter(&x, &[3], Boundary::Nearest);
    /// assert_eq!(y.compute(), ndarray::arr1(&[1, 1, 1, 2, 2, 2]));
    /// ```
    median_filter try_median_filter [S: Data<Elem = A>, A: Element + Num + PartialOrd, D: Dimension]
        (x: &ArrayBase<S, D, A>, window: &[usize], boundary: Boundary) -> Array<A, D>,
    errors "A window that is not a length of at least 1 for each axis; one that reaches farther than an axis is long; no \
        boundary, one of another dtype, or a mirror image for windows of an even length." {
        Ok(Array::of_expr(filter::medians(&x.leaf()?, window, boundary)?))
    }
}

function_twins! {
    /// The convolution of two arrays of as many axes by their Fourier transforms: `scipy.signal.fftconvolve`, of floats and
    /// complex numbers. Its middle has the shape of the first array. Takes `n log n` steps whatever the lengths; errors are
    /// relative to the largest elements. See [`fft`](crate::fft) for chunks and bits.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::signal::{Convolution, convolve, fftconvolve};
    ///
    /// let x: Array1<f64> = random::in_chunks(100).standard_normal(1000, 7);
    /// let y: Array1<f64> = random::in_chunks(100).standard_normal(300, 8);
    /// let both = fftconvolve(&x, &y, Convolution::Full) - convolve(&x, &y, Convolution::Full);
    /// assert!(both.abs().max() < 1e-11);
    /// ```
    fftconvolve try_fftconvolve [S: Data<Elem = A>, T: Data<Elem = A>, A: crate::fft::Fourier, D: Dimension]
        (a: &ArrayBase<S, D, A>, b: &ArrayBase<T, D, A>, part: Convolution) -> Array<A, D>,
    errors "Arrays of different numbers of axes, or without elements; elements that are neither floats nor complex; for the \
        part of complete overlap a second array that is longer along an axis." {
        Ok(Array::of_expr(crate::fft::convolved(&a.leaf()?, &b.leaf()?, part)?))
    }
}
