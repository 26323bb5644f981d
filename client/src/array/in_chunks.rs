//! Constructors in chunks of one's own: the chunks stand by themselves, not beside the numbers that describe the array.
//!
//! Must not know how arrays are made.

#![allow(
    deprecated,
    reason = "the older forms, which take the chunks as one argument of many, are the ones that do it"
)]

use super::Array;
use crate::error::{Result, or_panic};
use ndarray::{Dimension, Ix1, Ix2, ShapeBuilder, StrideShape};
use num_traits::{Float, One, PrimInt, Zero};
use std::marker::PhantomData;
use tilework_expr::{Chunks, Element};

/// Makes arrays in these chunks, lazily: [`Array::in_chunks`].
#[derive(Clone, Debug)]
pub struct InChunks<A, D> {
    chunks: Chunks,
    of: PhantomData<fn() -> (A, D)>,
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// Constructors of arrays in the given chunks: a length for every axis, `[1000, -1]` for 1000 rows and all columns,
    /// or whatever [`Chunks`] is made of. The arrays are lazy whatever their size.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = Array2::<f64>::in_chunks(100).zeros((200, 300));
    /// assert_eq!(a.chunks(), [vec![100, 100], vec![100, 100, 100]]);
    /// let b = Array2::<f64>::in_chunks([50, -1]).from_elem((200, 300), 1.5);
    /// assert_eq!(b.chunks(), [vec![50; 4], vec![300]]);
    /// let c = Array::in_chunks(4).arange(0, 10, 1);
    /// assert_eq!((c.chunks(), c.sum()), (vec![vec![4, 4, 2]], 45));
    /// let d = Array2::in_chunks(10).from_shape_fn((20, 20), |(i, j)| (i * j) as f64);
    /// assert_eq!(d.max(), 361.0);
    /// ```
    pub fn in_chunks(chunks: impl Into<Chunks>) -> InChunks<A, D> {
        InChunks { chunks: chunks.into(), of: PhantomData }
    }
}

macro_rules! in_chunks {
    ($dim:ty; $($(#[$doc:meta])* $plain:ident $chunked:ident $try_plain:ident $try_chunked:ident [$($g:tt)*]
        ($($a:ident: $t:ty),*) ($($b:ident: $u:ty),*) $(where { $($w:tt)* })? errors $errors:literal;)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_plain), "`](Self::", stringify!($try_plain), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<$($g)*>(&self, $($a: $t,)* $($b: $u,)*) -> Array<A, $dim> $(where $($w)*)? {
            or_panic(self.$try_plain($($a,)* $($b,)*))
        }

        #[doc = concat!("[`", stringify!($plain), "`](Self::", stringify!($plain), ") that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        #[track_caller]
        pub fn $try_plain<$($g)*>(&self, $($a: $t,)* $($b: $u,)*) -> Result<Array<A, $dim>> $(where $($w)*)? {
            Array::$try_chunked($($a,)* self.chunks.clone(), $($b,)*)
        }
    )* };
}

impl<A: Element, D: Dimension> InChunks<A, D> {
    in_chunks! { D;
        /// An array of `shape` filled with zeros.
        zeros zeros_chunked try_zeros try_zeros_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: Zero } errors "A shape that is too large.";

        /// An array of `shape` filled with ones.
        ones ones_chunked try_ones try_ones_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: One } errors "A shape that is too large.";

        /// An array of `shape` filled with the type's default value.
        default default_chunked try_default try_default_chunked [Sh] (shape: Sh) ()
        where { Sh: ShapeBuilder<Dim = D>, A: Default } errors "A shape that is too large.";

        /// An array of `shape` filled with `elem`.
        from_elem from_elem_chunked try_from_elem try_from_elem_chunked [Sh] (shape: Sh) (elem: A)
        where { Sh: ShapeBuilder<Dim = D> } errors "A shape that is too large.";

        /// An array of `shape` whose element at `index` is `f(index)`.
        ///
        /// `f` runs chunk by chunk, when a computation needs the chunk, from several threads, and again where a chunk was
        /// lost: it must give the same value each time. One that captures nothing runs on the workers, fused with the
        /// operations that follow, where they are processes of this program: on embedded sessions, those of
        /// [`Session::processes`](crate::Session::processes), and clusters of `tilework worker --program`. Otherwise it
        /// runs in this process, which sends the workers what it gives, after one warning for the line.
        from_shape_fn from_shape_fn_chunked try_from_shape_fn try_from_shape_fn_chunked [Sh, F] (shape: Sh) (f: F)
        where { Sh: ShapeBuilder<Dim = D>, D: 'static, F: Fn(D::Pattern) -> A + Send + Sync + 'static }
        errors "A shape that is too large.";
    }

    /// [`Array::from_shape_vec`] in these chunks.
    ///
    /// # Errors
    /// As [`Array::from_shape_vec`]; chunks that do not fit the shape.
    pub fn from_shape_vec<Sh: Into<StrideShape<D>>>(&self, shape: Sh, values: Vec<A>) -> Result<Array<A, D>> {
        Array::from_shape_vec_chunked(shape, self.chunks.clone(), values)
    }
}

impl<A: Element> InChunks<A, Ix1> {
    in_chunks! { Ix1;
        /// `n` evenly spaced elements from `start` to `end`, both included; the last is `end` itself.
        linspace linspace_chunked try_linspace try_linspace_chunked [] (start: A, end: A, n: usize) ()
        where { A: Float } errors "A length that is too large.";

        /// The elements from `start` to `end`, `end` excluded, in steps of `step`. By rounding, `end` may be included.
        range range_chunked try_range try_range_chunked [] (start: A, end: A, step: A) ()
        where { A: Float }
        errors "A length that is negative, infinite or too large, as where the sign of the step is wrong.";

        /// `n` elements from `base.powf(start)` to `base.powf(end)` with evenly spaced exponents; for a negative base,
        /// the negatives of those of `-base`.
        logspace logspace_chunked try_logspace try_logspace_chunked [] (base: A, start: A, end: A, n: usize) ()
        where { A: Float } errors "A length that is too large.";

        /// The integers from `start` to `end`, `end` excluded, in steps of `step`, which may be negative.
        arange arange_chunked try_arange try_arange_chunked [] (start: A, end: A, step: A) ()
        where { A: PrimInt } errors "A step of 0.";
    }
}

impl<A: Element> InChunks<A, Ix2> {
    in_chunks! { Ix2;
        /// The `n` by `n` matrix with ones on its diagonal and zeros elsewhere.
        eye eye_chunked try_eye try_eye_chunked [] (n: usize) ()
        where { A: Zero + One } errors "A matrix that is too large.";

        /// The `n` by `n` matrix with `elem` on its diagonal and zeros elsewhere.
        from_diag_elem from_diag_elem_chunked try_from_diag_elem try_from_diag_elem_chunked [] (n: usize) (elem: A)
        where { A: Zero } errors "A matrix that is too large.";
    }
}
