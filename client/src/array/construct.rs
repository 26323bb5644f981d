//! Arrays that are described by a few numbers: one value, ranges, the identity. Their chunks are made where
//! they are needed.
//!
//! Must not know memory.

use super::{Array, chunks_of, scalar, shape_of};
use crate::error::{Error, Result, or_panic};
use ndarray::{Dimension, Ix1, Ix2, ShapeBuilder};
use num_traits::{Float, One, PrimInt, Zero};
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, ExprError, Scalar};

/// Writes the four forms of a constructor: ndarray's, the one with chunks, and both without panics. The
/// chunks stand between the two lists of arguments.
macro_rules! constructors {
    ($($(#[$doc:meta])* $plain:ident, $chunked:ident, $try_plain:ident, $try_chunked:ident [$($g:tt)*]
        ($($a:ident: $t:ty),*) ($($b:ident: $u:ty),*) $(where { $($w:tt)* })? errors $errors:literal,
        |$chunks:ident| $body:block)*) => {$(
        $(#[$doc])*
        /// In automatic chunks.
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_plain), "`](Self::", stringify!($try_plain), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<$($g)*>($($a: $t,)* $($b: $u,)*) -> Self $(where $($w)*)? {
            or_panic(Self::$try_chunked($($a,)* Chunks::Auto, $($b,)*))
        }

        #[doc = concat!("[`", stringify!($plain), "`](Self::", stringify!($plain), ") in the given chunks.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_chunked), "`](Self::", stringify!($try_chunked), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $chunked<$($g)*>($($a: $t,)* chunks: impl Into<Chunks>, $($b: $u,)*) -> Self $(where $($w)*)? {
            or_panic(Self::$try_chunked($($a,)* chunks, $($b,)*))
        }

        #[doc = concat!("[`", stringify!($plain), "`](Self::", stringify!($plain), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_plain<$($g)*>($($a: $t,)* $($b: $u,)*) -> Result<Self> $(where $($w)*)? {
            Self::$try_chunked($($a,)* Chunks::Auto, $($b,)*)
        }

        #[doc = concat!("[`", stringify!($chunked), "`](Self::", stringify!($chunked), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        pub fn $try_chunked<$($g)*>($($a: $t,)* chunks: impl Into<Chunks>, $($b: $u,)*) -> Result<Self> $(where $($w)*)? {
            let $chunks: Chunks = chunks.into();
            $body
        }
    )*};
}

impl<A: Element, D: Dimension> Array<A, D> {
    constructors! {
        /// An array of `shape` filled with zeros.
        ///
        /// ```
        /// use tilework::prelude::*;
        ///
        /// let a = Array2::<f64>::zeros_chunked((200, 300), 100);
        /// assert_eq!(a.dim(), (200, 300));
        /// assert_eq!(a.chunks(), [vec![100, 100], vec![100, 100, 100]]);
        /// let b = Array2::<f64>::zeros_chunked((200, 300), [50, -1]);
        /// assert_eq!(b.chunks(), [vec![50; 4], vec![300]]);
        /// ```
        zeros, zeros_chunked, try_zeros, try_zeros_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: Zero }
        errors "A shape that is too large.",
        |chunks| { Self::full(shape, &chunks, A::zero()) }

        /// An array of `shape` filled with ones.
        ones, ones_chunked, try_ones, try_ones_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: One }
        errors "A shape that is too large.",
        |chunks| { Self::full(shape, &chunks, A::one()) }

        /// An array of `shape` filled with the type's default value.
        default, default_chunked, try_default, try_default_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: Default }
        errors "A shape that is too large.",
        |chunks| { Self::full(shape, &chunks, A::default()) }

        /// An array of `shape` filled with `elem`.
        from_elem, from_elem_chunked, try_from_elem, try_from_elem_chunked [Sh] (shape: Sh) (elem: A)
        where { Sh: ShapeBuilder<Dim = D> }
        errors "A shape that is too large.",
        |chunks| { Self::full(shape, &chunks, elem) }
    }

    fn full<Sh: ShapeBuilder<Dim = D>>(shape: Sh, chunks: &Chunks, value: A) -> Result<Self> {
        Self::wrapped(Expr::full(&shape_of(shape), chunks, Scalar::new(value)))
    }
}

impl<A: Element> Array<A, Ix1> {
    constructors! {
        /// `n` evenly spaced elements from `start` to `end`, both included, by ndarray's formula.
        linspace, linspace_chunked, try_linspace, try_linspace_chunked [] (start: A, end: A, n: usize) ()
        where { A: Float }
        errors "A length that is too large.",
        |chunks| { Ok(Self::wrap(evenly(start, end, n, &chunks)?)) }

        /// The elements from `start` to `end`, `end` excluded, in steps of `step`. By rounding, `end` may be
        /// included.
        range, range_chunked, try_range, try_range_chunked [] (start: A, end: A, step: A) ()
        where { A: Float }
        errors "A length that is negative, infinite or too large, as where the sign of the step is wrong.",
        |chunks| {
            let n = ((end - start) / step).ceil().to_usize();
            let error = || wrong_range(&[start, end, step], "a step that leads from the first to the second");
            Ok(Self::wrap(ramp(n.ok_or_else(error)?, &chunks, start, step)?))
        }

        /// `n` elements from `base.powf(start)` to `base.powf(end)` with evenly spaced exponents; for a
        /// negative base, the negatives of those of `-base`.
        logspace, logspace_chunked, try_logspace, try_logspace_chunked [] (base: A, start: A, end: A, n: usize) ()
        where { A: Float }
        errors "A length that is too large.",
        |chunks| {
            let exponents = evenly(start, end, n, &chunks)?;
            let powers = scalar(base.abs())?.binary(BinaryOp::Pow, &exponents)?;
            Self::wrapped(powers.binary(BinaryOp::Mul, &scalar(base.signum())?))
        }

        /// The integers from `start` to `end`, `end` excluded, in steps of `step`, which may be negative.
        arange, arange_chunked, try_arange, try_arange_chunked [] (start: A, end: A, step: A) ()
        where { A: PrimInt }
        errors "A step of 0.",
        |chunks| {
            let (from, to, by) = (wide(start), wide(end), wide(step));
            if by == 0 {
                return Err(wrong_range(&[start, end, step], "a step that is not 0"));
            }
            let n = ((to - from + by - by.signum()) / by).max(0);
            Ok(Self::wrap(ramp(usize::try_from(n).unwrap_or(usize::MAX), &chunks, start, step)?))
        }
    }
}

impl<A: Element> Array<A, Ix2> {
    constructors! {
        /// The `n` by `n` matrix with ones on its diagonal and zeros elsewhere.
        eye, eye_chunked, try_eye, try_eye_chunked [] (n: usize) ()
        where { A: Zero + One }
        errors "A matrix that is too large.",
        |chunks| { Self::wrapped(diagonal(n, &chunks, A::DTYPE)?.cast(A::DTYPE)) }

        /// The `n` by `n` matrix with `elem` on its diagonal and zeros elsewhere.
        from_diag_elem, from_diag_elem_chunked, try_from_diag_elem, try_from_diag_elem_chunked [] (n: usize) (elem: A)
        where { A: Zero }
        errors "A matrix that is too large.",
        |chunks| { Self::wrapped(diagonal(n, &chunks, A::DTYPE)?.select(&scalar(elem)?, &scalar(A::zero())?)) }
    }
}

fn wide<A: PrimInt>(a: A) -> i128 {
    a.to_i128().expect("an integer of at most 64 bits")
}

/// The elements' own indices along an axis, on the grid that an array of `dtype` would have.
fn index(shape: &[usize], chunks: &Chunks, axis: usize, dtype: DType) -> Result<Expr> {
    let grid = chunks.grid(shape, dtype)?;
    Ok(Expr::index(shape, &chunks_of(&grid), axis)?)
}

/// `start + step * i`, as ndarray computes it.
fn ramp<A: Element>(n: usize, chunks: &Chunks, start: A, step: A) -> Result<Expr> {
    let steps = index(&[n], chunks, 0, A::DTYPE)?.cast(A::DTYPE)?.binary(BinaryOp::Mul, &scalar(step)?)?;
    Ok(scalar(start)?.binary(BinaryOp::Add, &steps)?)
}

/// The first `n` of evenly spaced floats that end at `end`.
fn evenly<A: Element + Float>(start: A, end: A, n: usize, chunks: &Chunks) -> Result<Expr> {
    let n_steps = A::from(n.saturating_sub(1)).expect("a float for every integer");
    let step = if n > 1 { (end - start) / n_steps } else { A::zero() };
    ramp(n, chunks, start, step)
}

fn diagonal(n: usize, chunks: &Chunks, dtype: DType) -> Result<Expr> {
    let rows = index(&[n, n], chunks, 0, dtype)?;
    Ok(rows.binary(BinaryOp::Eq, &index(&[n, n], chunks, 1, dtype)?)?)
}

fn wrong_range<A: Element>(given: &[A; 3], expected: &'static str) -> Error {
    let [start, end, step] = given;
    let got = format!("{start:?} to {end:?} in steps of {step:?}");
    ExprError::Parameter { what: "range", got, expected }.into()
}
