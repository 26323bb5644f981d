//! Arrays of random elements.
//!
//! Element `i` of an array depends on the seed, the distribution and `i` alone: the array is the same in any
//! chunks, on any number of workers, and after any failure. Two arrays that are to be independent need
//! different seeds.

#![allow(
    deprecated,
    reason = "the older forms, which take the chunks as one argument of many, are the ones that do it"
)]

use crate::array::{Array, shape_of};
use crate::error::{Result, or_panic};
use ndarray::ShapeBuilder;
use num_traits::{Float, PrimInt};
use std::ops::Range;
use tilework_expr::{Chunks, Dist, Element, Expr};

/// Writes the four forms of a distribution.
macro_rules! distributions {
    ($($(#[$doc:meta])* $plain:ident, $chunked:ident, $try_plain:ident, $try_chunked:ident
        ($($p:ident: $t:ty),*) [$bound:ident] errors $errors:literal, $dist:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// In automatic chunks.
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_plain), "`] returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<A: Element + $bound, Sh: ShapeBuilder>(shape: Sh, $($p: $t,)* seed: u64) -> Array<A, Sh::Dim> {
            or_panic($try_chunked(shape, Chunks::Auto, $($p,)* seed))
        }

        #[doc = concat!("The older form of [`in_chunks(chunks).", stringify!($plain), "(..)`](InChunks::", stringify!($plain), ").")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_chunked), "`] returns an error.")]
        #[must_use]
        #[track_caller]
        #[deprecated(note = "chunks beside other numbers are misread: use `in_chunks(chunks)` and the method without `_chunked`")]
        pub fn $chunked<A: Element + $bound, Sh: ShapeBuilder>(
            shape: Sh,
            chunks: impl Into<Chunks>,
            $($p: $t,)*
            seed: u64,
        ) -> Array<A, Sh::Dim> {
            or_panic($try_chunked(shape, chunks, $($p,)* seed))
        }

        #[doc = concat!("[`", stringify!($plain), "`] that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_plain<A: Element + $bound, Sh: ShapeBuilder>(
            shape: Sh,
            $($p: $t,)*
            seed: u64,
        ) -> Result<Array<A, Sh::Dim>> {
            $try_chunked(shape, Chunks::Auto, $($p,)* seed)
        }

        #[doc = concat!("[`", stringify!($chunked), "`] that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        pub fn $try_chunked<A: Element + $bound, Sh: ShapeBuilder>(
            shape: Sh,
            chunks: impl Into<Chunks>,
            $($p: $t,)*
            seed: u64,
        ) -> Result<Array<A, Sh::Dim>> {
            Array::wrapped(Expr::random(&shape_of(shape), &chunks.into(), A::DTYPE, seed, $dist))
        }
    )*

    impl InChunks { $(
        #[doc = concat!("[`", stringify!($plain), "`] in these chunks.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_plain), "`](InChunks::", stringify!($try_plain), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<A: Element + $bound, Sh: ShapeBuilder>(
            &self,
            shape: Sh,
            $($p: $t,)*
            seed: u64,
        ) -> Array<A, Sh::Dim> {
            or_panic(self.$try_plain(shape, $($p,)* seed))
        }

        #[doc = concat!("[`", stringify!($try_plain), "`] in these chunks.")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        pub fn $try_plain<A: Element + $bound, Sh: ShapeBuilder>(
            &self,
            shape: Sh,
            $($p: $t,)*
            seed: u64,
        ) -> Result<Array<A, Sh::Dim>> {
            $try_chunked(shape, self.0.clone(), $($p,)* seed)
        }
    )* }};
}

/// Makes random arrays in these chunks: [`in_chunks`].
#[derive(Clone, Debug)]
pub struct InChunks(Chunks);

/// Random arrays in the given chunks, whatever [`Chunks`] is made of.
///
/// ```
/// use tilework::prelude::*;
/// use tilework::random;
///
/// let a: Array2<f64> = random::in_chunks(10).uniform((40, 50), 0.0..1.0, 7);
/// let b: Array2<f64> = random::in_chunks([40, 25]).uniform((40, 50), 0.0..1.0, 7);
/// assert_eq!(a.compute(), b.compute());
/// ```
pub fn in_chunks(chunks: impl Into<Chunks>) -> InChunks {
    InChunks(chunks.into())
}

distributions! {
    /// Floats that are uniform in a range.
    ///
    /// ```
    /// use tilework::prelude::*;
    /// use tilework::random;
    ///
    /// let a: Array2<f64> = random::in_chunks(10).uniform((40, 50), 0.0..1.0, 7);
    /// let b: Array2<f64> = random::in_chunks([40, 25]).uniform((40, 50), 0.0..1.0, 7);
    /// assert_eq!(a.compute(), b.compute());
    /// assert!(a.min() >= 0.0 && a.max() < 1.0);
    /// ```
    uniform, uniform_chunked, try_uniform, try_uniform_chunked (range: Range<A>) [Float]
    errors "Bounds that are not finite, or the lower above the upper; a shape that is too large.",
    Dist::Uniform { low: as_f64(range.start), high: as_f64(range.end) };

    /// Floats of the normal distribution with mean 0 and standard deviation 1.
    standard_normal, standard_normal_chunked, try_standard_normal, try_standard_normal_chunked () [Float]
    errors "A shape that is too large.",
    Dist::Normal { mean: 0.0, std: 1.0 };

    /// Floats of the normal distribution with this mean and standard deviation.
    normal, normal_chunked, try_normal, try_normal_chunked (mean: A, std: A) [Float]
    errors "A mean that is not finite, a standard deviation below 0 or not finite; a shape that is too large.",
    Dist::Normal { mean: as_f64(mean), std: as_f64(std) };

    /// Integers that are uniform in a range, its end excluded.
    integers, integers_chunked, try_integers, try_integers_chunked (range: Range<A>) [PrimInt]
    errors "An empty range; a shape that is too large.",
    Dist::Integers { low: as_i128(range.start), high: as_i128(range.end) };
}

fn as_f64<A: Float>(a: A) -> f64 {
    a.to_f64().expect("a float of at most 64 bits")
}

fn as_i128<A: PrimInt>(a: A) -> i128 {
    a.to_i128().expect("an integer of at most 64 bits")
}
