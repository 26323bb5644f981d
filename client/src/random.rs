//! Arrays of random elements.
//!
//! Element `i` of an array depends on the seed, the distribution and `i` alone: the array is the same in any
//! chunks, on any number of workers, and after any failure. Two arrays that are to be independent need
//! different seeds.

#![allow(
    deprecated,
    reason = "the older forms, which take the chunks as one argument of many, are the ones that do it"
)]

mod chosen;
mod drawn;

pub use chosen::{
    choice, choice_distinct, choice_distinct_weighted, choice_weighted, permutation, shuffle, try_choice,
    try_choice_distinct, try_choice_distinct_weighted, try_choice_weighted, try_permutation, try_shuffle,
};
pub use drawn::{
    beta, binomial, chisquare, exponential, gamma, geometric, integers, lognormal, normal, poisson,
    standard_normal, try_beta, try_binomial, try_chisquare, try_exponential, try_gamma, try_geometric,
    try_integers, try_lognormal, try_normal, try_poisson, try_standard_normal, try_uniform, try_weibull,
    uniform, weibull,
};

use crate::array::Array;
use crate::error::{Result, or_panic};
use ndarray::ShapeBuilder;
use num_traits::{Float, PrimInt};
use std::ops::Range;
use tilework_expr::{Chunks, Element};

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

/// Writes the older forms of distributions, which take the chunks as one argument of many.
macro_rules! older_forms {
    ($($chunked:ident $try_chunked:ident of $plain:ident $try_plain:ident ($($p:ident: $t:ty),*) [$bound:ident];)*) => {$(
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

        #[doc = concat!("[`", stringify!($chunked), "`] that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("Where [`InChunks::", stringify!($try_plain), "`] returns one.")]
        pub fn $try_chunked<A: Element + $bound, Sh: ShapeBuilder>(
            shape: Sh,
            chunks: impl Into<Chunks>,
            $($p: $t,)*
            seed: u64,
        ) -> Result<Array<A, Sh::Dim>> {
            in_chunks(chunks).$try_plain(shape, $($p,)* seed)
        }
    )*};
}

older_forms! {
    uniform_chunked try_uniform_chunked of uniform try_uniform (range: Range<A>) [Float];
    standard_normal_chunked try_standard_normal_chunked of standard_normal try_standard_normal () [Float];
    normal_chunked try_normal_chunked of normal try_normal (mean: A, std: A) [Float];
    integers_chunked try_integers_chunked of integers try_integers (range: Range<A>) [PrimInt];
}
