//! Arrays that are described by a few numbers: one value, ranges, the identity. Their chunks are made where
//! they are needed.
//!
//! Must not know memory.

use super::kind::choice::{default_chunks, dtype_of, eager_bytes_max, scalar_of};
use super::lazily;
use super::operand::scalar;
use super::{Array, ArrayBase, DataOwned, chunks_of, shape_of};
use crate::error::{Error, Result, or_panic};
use ndarray::{Dimension, Ix1, Ix2, ShapeBuilder};
use num_traits::{Float, One, PrimInt, Zero};
use tilework_expr::{BinaryOp, Chunks, DType, Element, Expr, ExprError, Scalar};

/// Writes the three lazy forms of a constructor: with chunks, and without panics. The chunks stand between the two
/// lists of arguments.
macro_rules! constructors {
    ($($(#[$doc:meta])* $plain:ident, $chunked:ident, $try_plain:ident, $try_chunked:ident [$($g:tt)*]
        ($($a:ident: $t:ty),*) ($($b:ident: $u:ty),*) $(where { $($w:tt)* })? errors $errors:literal,
        |$chunks:ident| $body:block)*) => {$(
        #[doc = concat!("The older form of [`in_chunks(chunks).", stringify!($plain), "(..)`](super::InChunks::", stringify!($plain), ").")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_chunked), "`](Self::", stringify!($try_chunked), ") returns an error.")]
        #[must_use]
        #[track_caller]
        #[deprecated(note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`")]
        #[allow(deprecated, reason = "its twin is of the older form too")]
        pub fn $chunked<$($g)*>($($a: $t,)* chunks: impl Into<Chunks>, $($b: $u,)*) -> Self $(where $($w)*)? {
            or_panic(Self::$try_chunked($($a,)* chunks, $($b,)*))
        }

        $(#[$doc])*
        ///
        /// That returns what goes wrong, lazily.
        ///
        /// # Errors
        #[doc = $errors]
        #[allow(deprecated, reason = "the older form is the one that does it")]
        pub fn $try_plain<$($g)*>($($a: $t,)* $($b: $u,)*) -> Result<Self> $(where $($w)*)? {
            Self::$try_chunked($($a,)* Chunks::Auto, $($b,)*)
        }

        #[doc = concat!("The older form of [`in_chunks(chunks).", stringify!($try_plain), "(..)`](super::InChunks::", stringify!($try_plain), ").")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        #[deprecated(note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`")]
        pub fn $try_chunked<$($g)*>($($a: $t,)* chunks: impl Into<Chunks>, $($b: $u,)*) -> Result<Self> $(where $($w)*)? {
            let $chunks: Chunks = chunks.into();
            $body
        }
    )*};
}

impl<A: Element, D: Dimension> Array<A, D> {
    constructors! {
        /// An array of `shape` filled with zeros.
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
        /// `n` evenly spaced elements from `start` to `end`, both included: by ndarray's formula, but that the last is
        /// `end` itself, as NumPy's.
        linspace, linspace_chunked, try_linspace, try_linspace_chunked [] (start: A, end: A, n: usize) ()
        where { A: Float }
        errors "A length that is too large.",
        |chunks| { Ok(Self::of_expr(evenly(start, end, n, &chunks)?)) }

        /// The elements from `start` to `end`, `end` excluded, in steps of `step`. By rounding, `end` may be
        /// included.
        range, range_chunked, try_range, try_range_chunked [] (start: A, end: A, step: A) ()
        where { A: Float }
        errors "A length that is negative, infinite or too large, as where the sign of the step is wrong.",
        |chunks| {
            let n = ((end - start) / step).ceil().to_usize();
            let error = || wrong_range(&[start, end, step], "a step that leads from the first to the second");
            Ok(Self::of_expr(ramp(n.ok_or_else(error)?, &chunks, start, step)?))
        }

        /// `n` elements from `base.powf(start)` to `base.powf(end)` with evenly spaced exponents; for a
        /// negative base, the negatives of those of `-base`.
        logspace, logspace_chunked, try_logspace, try_logspace_chunked [] (base: A, start: A, end: A, n: usize) ()
        where { A: Float }
        errors "A length that is too large.",
        |chunks| {
            Ok(Self::of_expr(powers(base, start, end, n, &chunks)?))
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
            Ok(Self::of_expr(ramp(usize::try_from(n).unwrap_or(usize::MAX), &chunks, start, step)?))
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
        |chunks| { Self::wrapped(diagonal(n, &chunks, A::DTYPE)?.select(&scalar(&elem)?, &scalar(&A::zero())?)) }
    }
}

/// Whether an array of this shape is described instead of filled: its elements travel, and it is large.
pub(super) fn is_large<A>(shape: &[usize]) -> bool {
    let len = shape.iter().fold(1usize, |n, &l| n.saturating_mul(l));
    len.saturating_mul(size_of::<A>()) > eager_bytes_max() && dtype_of::<A>().is_some()
}

/// An array filled with one value: an expression where it is large.
#[track_caller]
fn filled<A, S: DataOwned<Elem = A>, D: Dimension, Sh: ShapeBuilder<Dim = D>>(
    shape: Sh,
    value: impl Fn() -> A,
    eager: impl FnOnce(ndarray::Shape<D>) -> ndarray::Array<A, D>,
) -> ArrayBase<S, D, A> {
    let shape = shape.into_shape_with_order();
    let lens = shape.raw_dim().slice();
    if S::IS_DESCRIBED
        && is_large::<A>(lens)
        && let Some(scalar) = scalar_of(&value())
    {
        match Expr::full(lens, &default_chunks(lens), scalar) {
            Ok(expr) if is_row_major(&shape) => return S::of_owned(Array::of_expr(expr)),
            Err(error @ ExprError::TooLarge { .. }) => return or_panic(Err(error.into())),
            // More dimensions than expressions have: ndarray's.
            _ => {}
        }
    }
    S::of_owned(Array::local(eager(shape)))
}

/// Whether elements of a shape, of which there are not too many, are to lie in row-major order: those of a computed
/// expression do.
pub(super) fn is_row_major<D: Dimension>(shape: &ndarray::Shape<D>) -> bool {
    // SAFETY: elements without a size have no memory, which any address that is not null stands for.
    let array = unsafe {
        ndarray::ArrayView::<(), D>::from_shape_ptr(shape.clone(), std::ptr::NonNull::dangling().as_ptr())
    };
    array.is_standard_layout()
}

/// An array that an expression describes where it is large; too large a shape is ndarray's to refuse.
#[track_caller]
fn described<A, S: DataOwned<Elem = A>, D: Dimension>(
    shape: &[usize],
    build: impl FnOnce() -> Result<Expr>,
    eager: impl FnOnce() -> ndarray::Array<A, D>,
) -> ArrayBase<S, D, A> {
    if S::IS_DESCRIBED
        && is_large::<A>(shape)
        && let Some(expr) = lazily::or_ndarray(build())
    {
        return S::of_owned(Array::of_expr(expr));
    }
    S::of_owned(Array::local(eager()))
}

/// # Filled arrays
impl<A, S: DataOwned<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// An array of `shape` filled with zeros; a large one is lazy.
    ///
    /// # Panics
    /// At a shape that is too large.
    #[must_use]
    #[track_caller]
    pub fn zeros<Sh: ShapeBuilder<Dim = D>>(shape: Sh) -> Self
    where
        A: Clone + Zero,
    {
        filled(shape, A::zero, ndarray::Array::zeros)
    }

    /// An array of `shape` filled with ones; a large one is lazy.
    ///
    /// # Panics
    /// At a shape that is too large.
    #[must_use]
    #[track_caller]
    pub fn ones<Sh: ShapeBuilder<Dim = D>>(shape: Sh) -> Self
    where
        A: Clone + One,
    {
        filled(shape, A::one, ndarray::Array::ones)
    }

    /// An array of `shape` filled with the type's default value; a large one is lazy.
    ///
    /// # Panics
    /// At a shape that is too large.
    #[must_use]
    #[track_caller]
    pub fn default<Sh: ShapeBuilder<Dim = D>>(shape: Sh) -> Self
    where
        A: Default,
    {
        filled(shape, A::default, ndarray::Array::default)
    }

    /// An array of `shape` filled with `elem`; a large one is lazy.
    ///
    /// # Panics
    /// At a shape that is too large.
    #[must_use]
    #[track_caller]
    pub fn from_elem<Sh: ShapeBuilder<Dim = D>>(shape: Sh, elem: A) -> Self
    where
        A: Clone,
    {
        let eager = |shape| ndarray::Array::from_elem(shape, elem.clone());
        filled(shape, || elem.clone(), eager)
    }
}

/// # Ranges
impl<A, S: DataOwned<Elem = A>> ArrayBase<S, Ix1, A> {
    /// `n` evenly spaced elements from `start` to `end`, both included; a large array is lazy. The last element is
    /// `end` itself, as NumPy's; ndarray's may be off by rounding.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array::linspace(0.1, 0.7, 7);
    /// assert_eq!((a[0], a[6]), (0.1, 0.7));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn linspace(start: A, end: A, n: usize) -> Self
    where
        A: Float,
    {
        described(&[n], || evenly(start, end, n, &default_chunks(&[n])), || evenly_here(start, end, n))
    }

    /// The elements from `start` to `end`, `end` excluded, in steps of `step`; a large array is lazy. By rounding,
    /// `end` may be included.
    ///
    /// # Panics
    /// At a length that is negative, infinite or too large, as where the sign of the step is wrong.
    #[must_use]
    #[track_caller]
    pub fn range(start: A, end: A, step: A) -> Self
    where
        A: Float,
    {
        let Some(n) = ((end - start) / step).ceil().to_usize() else {
            let text = super::kind::choice::text_of::<A>;
            let got = format!("{} to {} in steps of {}", text(&start), text(&end), text(&step));
            let expected = "a step that leads from the first to the second";
            return or_panic(Err(ExprError::Parameter { what: "range", got, expected }.into()));
        };
        described(
            &[n],
            || ramp(n, &default_chunks(&[n]), start, step),
            || ndarray::Array::range(start, end, step),
        )
    }

    /// `n` elements from `base.powf(start)` to `base.powf(end)` with evenly spaced exponents; a large array is lazy.
    /// For a negative base, the negatives of those of `-base`.
    #[must_use]
    #[track_caller]
    pub fn logspace(base: A, start: A, end: A, n: usize) -> Self
    where
        A: Float,
    {
        let (by, sign) = (base.abs(), base.signum());
        let eager = || evenly_here(start, end, n).mapv_into(|exponent| sign * by.powf(exponent));
        let lazy = || powers(base, start, end, n, &default_chunks(&[n]));
        described(&[n], lazy, eager)
    }

    /// `n` elements from `start` to `end`, both included, each the same multiple of the one before; `None` where one
    /// of the ends is 0 or their signs differ. The first and the last element are `start` and `end` themselves, as
    /// NumPy's; ndarray's may be off by rounding.
    #[must_use]
    pub fn geomspace(start: A, end: A, n: usize) -> Option<Self>
    where
        A: Float,
    {
        let mut elements = ndarray::Array::geomspace(start, end, n)?;
        if n > 1 {
            elements[n - 1] = end;
        }
        if n > 0 {
            elements[0] = start;
        }
        Some(S::of_owned(Array::local(elements)))
    }
}

impl<A: Element> Array<A, Ix1> {
    /// The integers from `start` to `end`, `end` excluded, in steps of `step`, which may be negative; lazily, in
    /// automatic chunks.
    ///
    /// # Panics
    /// At a step of 0.
    #[must_use]
    #[track_caller]
    pub fn arange(start: A, end: A, step: A) -> Self
    where
        A: PrimInt,
    {
        or_panic(Self::try_arange(start, end, step))
    }
}

/// # Diagonal matrices
impl<A, S: DataOwned<Elem = A>> ArrayBase<S, Ix2, A> {
    /// The `n` by `n` matrix with ones on its diagonal and zeros elsewhere; a large one is lazy.
    ///
    /// # Panics
    /// At a matrix that is too large.
    #[must_use]
    #[track_caller]
    pub fn eye(n: usize) -> Self
    where
        A: Clone + Zero + One,
    {
        Self::from_diag_elem(n, A::one())
    }

    /// The `n` by `n` matrix with `elem` on its diagonal and zeros elsewhere; a large one is lazy.
    ///
    /// # Panics
    /// At a matrix that is too large.
    #[must_use]
    #[track_caller]
    pub fn from_diag_elem(n: usize, elem: A) -> Self
    where
        A: Clone + Zero,
    {
        let build = || {
            let dtype = dtype_of::<A>().expect("a large array is lazy only where its elements travel");
            Ok(diagonal(n, &default_chunks(&[n, n]), dtype)?.select(&scalar(&elem)?, &scalar(&A::zero())?)?)
        };
        described(&[n, n], build, || ndarray::Array::from_diag_elem(n, elem.clone()))
    }
}

fn powers<A: Float>(base: A, start: A, end: A, n: usize, chunks: &Chunks) -> Result<Expr> {
    let powers = scalar(&base.abs())?.binary(BinaryOp::Pow, &evenly(start, end, n, chunks)?)?;
    Ok(powers.binary(BinaryOp::Mul, &scalar(&base.signum())?)?)
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
fn ramp<A>(n: usize, chunks: &Chunks, start: A, step: A) -> Result<Expr> {
    let dtype = dtype_of::<A>().ok_or_else(super::operand::not_lazy::<A>)?;
    let steps = index(&[n], chunks, 0, dtype)?.cast(dtype)?.binary(BinaryOp::Mul, &scalar(&step)?)?;
    Ok(scalar(&start)?.binary(BinaryOp::Add, &steps)?)
}

/// The distance of `n` evenly spaced floats.
fn step<A: Float>(start: A, end: A, n: usize) -> A {
    let n_steps = A::from(n.saturating_sub(1)).expect("a float for every integer");
    if n > 1 { (end - start) / n_steps } else { A::zero() }
}

/// `n` evenly spaced floats of which the last is `end`, in an expression.
fn evenly<A: Float>(start: A, end: A, n: usize, chunks: &Chunks) -> Result<Expr> {
    let step = step(start, end, n);
    let elements = ramp(n, chunks, start, step)?;
    let last = n.saturating_sub(1);
    let rounded = start + step * A::from(last).expect("a float for every integer");
    let dtype = elements.dtype();
    if n < 2 || rounded == end {
        return Ok(elements);
    }
    let is_last = index(&[n], chunks, 0, dtype)?.binary(BinaryOp::Eq, &scalar(&(last as i64))?)?;
    Ok(is_last.select(&scalar(&end)?, &elements)?)
}

/// The same elements in memory.
fn evenly_here<A: Float>(start: A, end: A, n: usize) -> ndarray::Array1<A> {
    let mut elements = ndarray::Array::linspace(start, end, n);
    if n > 1 {
        elements[n - 1] = end;
    }
    elements
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
