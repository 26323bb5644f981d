//! Distributions: uniform and normal ones, which expressions have, and those that are made of them by formulas, which are
//! fused with what follows, or by draws of their own number.
//!
//! Owns what parameters make sense. Must not know how draws are made.

use super::InChunks;
use crate::array::{Array, shape_of};
use crate::error::{Result, or_panic};
use crate::library::{number, stage};
use ndarray::ShapeBuilder;
use num_traits::{Float, PrimInt};
use std::ops::Range;
use tilework_expr::{BinaryOp, Chunks, DType, Dist, Element, Expr, ExprError, UnaryOp};
use tilework_kernels::library::random::{Sampler, samples};

/// Where random elements go.
struct Target<'a> {
    shape: &'a [usize],
    chunks: &'a Chunks,
    seed: u64,
}

/// The least parameter of gamma and beta variates whose logarithms are numbers.
const SHAPE_MIN: f64 = 1e-300;

impl Target<'_> {
    fn of(&self, dtype: DType, dist: Dist) -> Result<Expr> {
        Ok(Expr::random(self.shape, self.chunks, dtype, self.seed, dist)?)
    }

    fn base(&self, dist: Dist) -> Result<Expr> {
        self.of(DType::F64, dist)
    }

    /// `ln u` for `u` that is uniform above 0 and up to 1.
    fn ln_uniform(&self) -> Result<Expr> {
        let u = self.base(Dist::Uniform { low: 0.0, high: 1.0 })?;
        Ok(number(DType::F64, 1.0)?.binary(BinaryOp::Sub, &u)?.unary(UnaryOp::Ln)?)
    }

    fn sampled(&self, of: Sampler) -> Result<Expr> {
        let grid = self.chunks.grid(self.shape, DType::F64)?;
        stage(samples(self.seed, of), &[], &grid, &grid)
    }

    /// Elements of mean `scale`, by the inverse of the distribution function.
    fn exponential(&self, scale: f64) -> Result<Expr> {
        check(scale >= 0.0 && scale.is_finite(), || format!("a scale of {scale}"), "finite, 0 or more")?;
        times(&self.ln_uniform()?, -scale)
    }

    fn lognormal(&self, mean: f64, sigma: f64) -> Result<Expr> {
        let normal = self.base(Dist::Normal { mean, std: sigma })?;
        Ok(normal.unary(UnaryOp::Exp)?)
    }

    fn weibull(&self, shape: f64) -> Result<Expr> {
        check(shape > 0.0 && shape.is_finite(), || format!("a shape of {shape}"), "finite and above 0")?;
        let logs = self.exponential(1.0)?.unary(UnaryOp::Ln)?;
        Ok(times(&logs, 1.0 / shape)?.unary(UnaryOp::Exp)?)
    }

    fn gamma(&self, shape: f64, scale: f64) -> Result<Expr> {
        let fits = is_shape(shape) && scale >= 0.0 && scale.is_finite();
        let got = || format!("a shape of {shape} and a scale of {scale}");
        check(fits, got, "a finite shape of at least 1e-300 and a finite scale of 0 or more")?;
        self.sampled(Sampler::Gamma { shape, scale })
    }

    fn chisquare(&self, degrees: f64) -> Result<Expr> {
        let (got, expected) = (|| format!("{degrees} degrees of freedom"), "finite, at least 1e-299");
        check(is_shape(degrees / 2.0), got, expected)?;
        self.gamma(degrees / 2.0, 2.0)
    }

    fn beta(&self, a: f64, b: f64) -> Result<Expr> {
        let got = || format!("shapes of {a} and {b}");
        check(is_shape(a) && is_shape(b), got, "finite ones of at least 1e-300")?;
        self.sampled(Sampler::Beta { a, b })
    }

    /// How many trials it takes, by the inverse of the distribution function.
    fn geometric(&self, p: f64, max: f64) -> Result<Expr> {
        check_probability(p)?;
        // The least `u` is 2^-53.
        let most = ((f64::EPSILON / 2.0).ln() / (-p).ln_1p()).floor() + 1.0;
        let got = || format!("a probability of {p}, which takes up to {most} trials");
        check(most <= max, got, "numbers that the element type has, and a probability above 0")?;
        let trials = times(&self.ln_uniform()?, 1.0 / (-p).ln_1p())?.unary(UnaryOp::Floor)?;
        Ok(trials.binary(BinaryOp::Add, &number(DType::F64, 1.0)?)?)
    }

    fn binomial(&self, n: u64, p: f64, max: f64) -> Result<Expr> {
        check_probability(p)?;
        let n_max = max.min(((1u64 << 53) - 1) as f64);
        let got = || format!("{n} trials");
        check(n as f64 <= n_max, got, "no more than the element type can count, and less than 2^53")?;
        self.sampled(Sampler::Binomial { n: n as f64, p })
    }

    fn poisson(&self, mean: f64, max: f64) -> Result<Expr> {
        let fits = mean >= 0.0 && mean <= (1u64 << 52) as f64;
        check(fits, || format!("a mean of {mean}"), "from 0 to 2^52")?;
        // Beyond 12 standard deviations there is less than 1e-30 of it.
        let got = || format!("a mean of {mean}, for numbers up to {max}");
        check(
            mean + 12.0 * mean.sqrt() + 40.0 <= max,
            got,
            "12 standard deviations and 40 below the greatest",
        )?;
        self.sampled(Sampler::Poisson { mean })
    }
}

fn as_f64<A: Float>(a: A) -> f64 {
    a.to_f64().expect("a float of at most 64 bits")
}

fn as_i128<A: PrimInt>(a: A) -> i128 {
    a.to_i128().expect("an integer of at most 64 bits")
}

fn is_shape(x: f64) -> bool {
    x.is_finite() && x >= SHAPE_MIN
}

fn times(expr: &Expr, by: f64) -> Result<Expr> {
    Ok(expr.binary(BinaryOp::Mul, &number(DType::F64, by)?)?)
}

fn check_probability(p: f64) -> Result<()> {
    check((0.0..=1.0).contains(&p), || format!("a probability of {p}"), "from 0 to 1")
}

fn check(fits: bool, got: impl FnOnce() -> String, expected: &'static str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(ExprError::Parameter { what: "random distribution", got: got(), expected }.into())
}

/// The greatest number of an integer type.
fn greatest<A: PrimInt>() -> f64 {
    A::max_value().to_f64().expect("an integer of at most 64 bits")
}

/// Writes the forms of a distribution that a method of [`Target`] makes.
macro_rules! drawn {
    ($($(#[$doc:meta])* $plain:ident $try_plain:ident ($($p:ident: $t:ty),*) [$bound:ident]
        errors $errors:literal |$target:ident| $make:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// In automatic chunks.
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_plain), "`] returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $plain<A: Element + $bound, Sh: ShapeBuilder>(shape: Sh, $($p: $t,)* seed: u64) -> Array<A, Sh::Dim> {
            or_panic($try_plain(shape, $($p,)* seed))
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
            super::in_chunks(Chunks::Auto).$try_plain(shape, $($p,)* seed)
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

        #[doc = concat!("[`", stringify!($plain), "`] in these chunks.")]
        ///
        /// # Errors
        #[doc = concat!("Chunks that do not fit the shape. ", $errors)]
        pub fn $try_plain<A: Element + $bound, Sh: ShapeBuilder>(
            &self,
            shape: Sh,
            $($p: $t,)*
            seed: u64,
        ) -> Result<Array<A, Sh::Dim>> {
            let shape = shape_of(shape);
            let $target = Target { shape: &shape, chunks: &self.0, seed };
            let made: Result<Expr> = $make;
            Ok(Array::of_expr(made?.cast(A::DTYPE)?))
        }
    )* }};
}

drawn! {
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
    uniform try_uniform (range: Range<A>) [Float]
    errors "Bounds that are not finite, or the lower above the upper; a shape that is too large."
    |target| target.of(A::DTYPE, Dist::Uniform { low: as_f64(range.start), high: as_f64(range.end) });

    /// Floats of the normal distribution with mean 0 and standard deviation 1.
    standard_normal try_standard_normal () [Float]
    errors "A shape that is too large."
    |target| target.of(A::DTYPE, Dist::Normal { mean: 0.0, std: 1.0 });

    /// Floats of the normal distribution with this mean and standard deviation.
    normal try_normal (mean: A, std: A) [Float]
    errors "A mean that is not finite, a standard deviation below 0 or not finite; a shape that is too large."
    |target| target.of(A::DTYPE, Dist::Normal { mean: as_f64(mean), std: as_f64(std) });

    /// Integers that are uniform in a range, its end excluded.
    integers try_integers (range: Range<A>) [PrimInt]
    errors "An empty range; a shape that is too large."
    |target| target.of(A::DTYPE, Dist::Integers { low: as_i128(range.start), high: as_i128(range.end) });

    /// Floats of the exponential distribution with this mean, by the inverse of its distribution function.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let waits: Array1<f64> = random::exponential(100_000, 2.0, 7);
    /// assert!(waits.min() >= 0.0 && (waits.mean().unwrap() - 2.0).abs() < 0.05);
    /// ```
    exponential try_exponential (scale: A) [Float]
    errors "A scale below 0 or not finite; a shape that is too large."
    |target| target.exponential(as_f64(scale));

    /// Floats whose logarithms are normal with this mean and standard deviation.
    lognormal try_lognormal (mean: A, sigma: A) [Float]
    errors "A mean that is not finite, a standard deviation below 0 or not finite; a shape that is too large."
    |target| target.lognormal(as_f64(mean), as_f64(sigma));

    /// Floats of the Weibull distribution of this shape and scale 1, by the inverse of its distribution function.
    weibull try_weibull (shape_parameter: A) [Float]
    errors "A shape parameter that is 0, below or not finite; a shape that is too large."
    |target| target.weibull(as_f64(shape_parameter));

    /// Floats of the gamma distribution with this shape and scale: mean `shape * scale` (Marsaglia and Tsang 2000).
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a: Array1<f64> = random::in_chunks(10).gamma(50, 0.5, 2.0, 7);
    /// let b: Array1<f64> = random::in_chunks(50).gamma(50, 0.5, 2.0, 7);
    /// assert_eq!(a.compute(), b.compute());
    /// ```
    gamma try_gamma (shape_parameter: A, scale: A) [Float]
    errors "A shape parameter below 1e-300 or not finite, a scale below 0 or not finite; a shape that is too large."
    |target| target.gamma(as_f64(shape_parameter), as_f64(scale));

    /// Floats of the chi-squared distribution with so many degrees of freedom: twice those of [`gamma`] of half as many.
    chisquare try_chisquare (degrees: A) [Float]
    errors "Degrees of freedom that are 0, below or not finite; a shape that is too large."
    |target| target.chisquare(as_f64(degrees));

    /// Floats of the beta distribution with these shapes, from 0 to 1: the share of one of two elements of [`gamma`].
    beta try_beta (a: A, b: A) [Float]
    errors "Shape parameters below 1e-300 or not finite; a shape that is too large."
    |target| target.beta(as_f64(a), as_f64(b));

    /// Integers: how many of `n` trials succeed, each with probability `p` (Hörmann 1993; for means below 10 by adding up
    /// probabilities).
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let heads: Array1<u32> = random::binomial(1000, 100, 0.5, 7);
    /// assert!(heads.min() > 20 && heads.max() < 80);
    /// ```
    binomial try_binomial (n: u64, p: f64) [PrimInt]
    errors "A probability beyond 0 to 1; more trials than the element type can count, or 2^53; a shape that is too large."
    |target| target.binomial(n, p, greatest::<A>());

    /// Integers of the Poisson distribution with this mean (Hörmann 1993; for means below 10 by adding up probabilities).
    poisson try_poisson (mean: f64) [PrimInt]
    errors "A mean below 0, above 2^52 or not a number, or less than 12 standard deviations and 40 below the greatest number \
        of the element type; a shape that is too large."
    |target| target.poisson(mean, greatest::<A>());

    /// Integers: how many trials it takes until one succeeds, each with probability `p`, by the inverse of the distribution
    /// function.
    geometric try_geometric (p: f64) [PrimInt]
    errors "A probability that is 0, or beyond 0 to 1; one so small that the element type cannot count the trials; a shape \
        that is too large."
    |target| target.geometric(p, greatest::<A>());
}
