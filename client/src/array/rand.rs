//! Arrays of random elements from distributions of the crate `rand`, with the names and signatures of `ndarray-rand`.
//!
//! They are made at once, in this process; [`crate::random`] has lazy ones.

use super::Array;
use ::rand::Rng;
use ::rand::distr::Distribution;
use ndarray::{Dimension, ShapeBuilder};

/// # Random elements
impl<A, D: Dimension> Array<A, D> {
    /// An array of `shape` with elements of this distribution, drawn by the thread's generator.
    #[must_use]
    pub fn random<Sh, IdS>(shape: Sh, distribution: IdS) -> Self
    where
        IdS: Distribution<A>,
        Sh: ShapeBuilder<Dim = D>,
    {
        Self::random_using(shape, distribution, &mut ::rand::rng())
    }

    /// An array of `shape` with elements of this distribution, drawn by `rng`.
    #[must_use]
    pub fn random_using<Sh, IdS, R>(shape: Sh, distribution: IdS, rng: &mut R) -> Self
    where
        IdS: Distribution<A>,
        R: Rng + ?Sized,
        Sh: ShapeBuilder<Dim = D>,
    {
        Self::from_shape_simple_fn(shape, || distribution.sample(rng))
    }
}
