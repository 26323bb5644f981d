//! Distributions whose elements take a number of draws that nobody knows beforehand. Element `e` has a stream of words of its
//! own, so that however many it takes, no other element changes.
//!
//! Owns how an element is made of its words. Must not know arrays or chunks. Functions are those of the crate `libm`, so
//! that what is accepted, and with it every bit, is the same on every machine.

use super::philox::Philox;
use super::{quantile_middle, quantile_tail};
use libm::{exp, floor, log, log1p, sqrt};

/// A distribution, and its parameters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Sampler {
    /// Of this shape, times the scale.
    Gamma {
        /// At least 1e-300.
        shape: f64,
        /// Times it.
        scale: f64,
    },
    /// Of these shapes, at least 1e-300.
    Beta {
        /// The first.
        a: f64,
        /// The second.
        b: f64,
    },
    /// How many of `n` succeed, each with probability `p`.
    Binomial {
        /// A whole number below 2^53.
        n: f64,
        /// From 0 to 1.
        p: f64,
    },
    /// Of this mean, at most 2^52.
    Poisson {
        /// The mean.
        mean: f64,
    },
}

/// The mean from which counts are drawn by rejection and no more by adding up probabilities.
const REJECTION_FROM: f64 = 10.0;

/// The words of one element.
struct Words<'a> {
    of: &'a Philox,
    element: u64,
    block: u64,
    held: [u64; 4],
    at: usize,
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        if self.at == 4 {
            // The stream of arrays' own words has 0 in the place of this 1: they never meet.
            self.held = self.of.counter([self.block, self.element, 1, 0]);
            (self.block, self.at) = (self.block + 1, 0);
        }
        self.at += 1;
        self.held[self.at - 1]
    }

    /// Uniform between 0 and 1, neither of which it is.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// Of mean 0 and deviation 1, by the inverse of the distribution function.
    fn normal(&mut self) -> f64 {
        let u = self.uniform();
        let q = u - 0.5;
        if q.abs() <= 0.425 {
            return quantile_middle(q);
        }
        quantile_tail(sqrt(-log(0.5 - q.abs()))).copysign(q)
    }
}

/// Elements of a distribution, each a function of a key and of its number.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    words: Philox,
    of: Sampler,
}

impl Samples {
    pub(crate) fn new(key: u64, of: Sampler) -> Samples {
        Samples { words: Philox::new(key), of }
    }

    /// Element `e`.
    pub(crate) fn element(&self, e: u64) -> f64 {
        let mut words = Words { of: &self.words, element: e, block: 0, held: [0; 4], at: 4 };
        match self.of {
            Sampler::Gamma { shape, scale } => {
                let (value, boost) = gamma(shape, &mut words);
                scale * value * exp(boost)
            }
            Sampler::Beta { a, b } => {
                let ((x, x_boost), (y, y_boost)) = (gamma(a, &mut words), gamma(b, &mut words));
                // By logarithms, for both may be less than the least number.
                1.0 / (1.0 + exp((log(y) + y_boost) - (log(x) + x_boost)))
            }
            Sampler::Binomial { n, p } if p > 0.5 => n - binomial(n, 1.0 - p, &mut words),
            Sampler::Binomial { n, p } => binomial(n, p, &mut words),
            Sampler::Poisson { mean } => poisson(mean, &mut words),
        }
    }
}

/// A gamma variate of scale 1 and the logarithm of what it is still to be multiplied with, which is 0 but for shapes below 1
/// (Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 2000).
fn gamma(shape: f64, words: &mut Words<'_>) -> (f64, f64) {
    let (shape, boost) = if shape < 1.0 { (shape + 1.0, log(words.uniform()) / shape) } else { (shape, 0.0) };
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / sqrt(9.0 * d);
    loop {
        let x = words.normal();
        let t = c * x;
        if t <= -1.0 {
            continue;
        }
        let u = words.uniform();
        // d - d v + d ln v with v = (1 + t)^3, without the cancellation.
        let slack = d * (3.0 * log1p(t) - t * (3.0 + t * (3.0 + t)));
        if log(u) < 0.5 * x * x + slack {
            return (d * (1.0 + t) * (1.0 + t) * (1.0 + t), boost);
        }
    }
}

/// The first number up to which probabilities add up to more than a uniform number, where `next` gives the ratio of the
/// probability of a number to that of the one before it.
fn inverse(first: f64, words: &mut Words<'_>, next: impl Fn(f64) -> f64) -> f64 {
    let (mut left, mut p, mut k) = (words.uniform(), first, 0.0);
    while left >= p && p > f64::MIN_POSITIVE {
        left -= p;
        k += 1.0;
        p *= next(k);
    }
    k
}

/// For means of 10 and more PTRS (Hörmann, "The transformed rejection method for generating Poisson random variables",
/// Insurance: Mathematics and Economics 12, 1993).
fn poisson(mean: f64, words: &mut Words<'_>) -> f64 {
    if mean < REJECTION_FROM {
        return inverse(exp(-mean), words, |k| mean / k);
    }
    let b = 0.931 + 2.53 * sqrt(mean);
    let a = -0.059 + 0.024_83 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let (u, v) = (words.uniform() - 0.5, words.uniform());
        let us = 0.5 - u.abs();
        let k = floor((2.0 * a / us + b) * u + mean + 0.43);
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if k < 0.0 || us < 0.013 && v > us {
            continue;
        }
        if log(v * inverse_alpha / (a / (us * us) + b)) <= ln_poisson(k, mean) {
            return k;
        }
    }
}

/// For means of 10 and more BTRS (Hörmann, "The generation of binomial random variates", Journal of Statistical Computation
/// and Simulation 46, 1993). `p` is at most one half.
fn binomial(n: f64, p: f64, words: &mut Words<'_>) -> f64 {
    let q = 1.0 - p;
    if n * p < REJECTION_FROM {
        return inverse(exp(n * log1p(-p)), words, |k| (n - k + 1.0) / k * (p / q));
    }
    let deviation = sqrt(n * p * q);
    let b = 1.15 + 2.53 * deviation;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let squeeze = 0.92 - 4.2 / b;
    let alpha = (2.83 + 5.1 / b) * deviation;
    let at_mode = ln_binomial(floor((n + 1.0) * p), n, p);
    loop {
        let (u, v) = (words.uniform() - 0.5, words.uniform());
        let us = 0.5 - u.abs();
        let k = floor((2.0 * a / us + b) * u + n * p + 0.5);
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if k < 0.0 || k > n {
            continue;
        }
        if log(v * alpha / (a / (us * us) + b)) <= ln_binomial(k, n, p) - at_mode {
            return k;
        }
    }
}

/// The logarithm of a Poisson probability, to full precision for any mean (this and the next three after Loader, "Fast and
/// accurate computation of binomial probabilities", 2000).
fn ln_poisson(k: f64, mean: f64) -> f64 {
    if k == 0.0 {
        return -mean;
    }
    -rest_of_stirling(k) - deviance(k, mean) - 0.5 * log(std::f64::consts::TAU * k)
}

fn ln_binomial(k: f64, n: f64, p: f64) -> f64 {
    if k == 0.0 {
        return n * log1p(-p);
    }
    let others = n - k;
    if others == 0.0 {
        return n * log(p);
    }
    let rests = rest_of_stirling(n) - rest_of_stirling(k) - rest_of_stirling(others);
    rests - deviance(k, n * p) - deviance(others, n * (1.0 - p))
        + 0.5 * log(n / (std::f64::consts::TAU * k * others))
}

/// What Stirling's formula for `ln n!` lacks, of a whole number above 0.
fn rest_of_stirling(n: f64) -> f64 {
    if n < 16.0 {
        // Factorials up to 15 are exact.
        let factorial: f64 = (2..=n as u32).map(f64::from).product();
        return log(factorial) - (n + 0.5) * log(n) + n - 0.5 * log(std::f64::consts::TAU);
    }
    let r = 1.0 / (n * n);
    (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / n
}

/// `x ln(x / mean) + mean - x`.
fn deviance(x: f64, mean: f64) -> f64 {
    if (x - mean).abs() >= 0.1 * (x + mean) {
        return x * log(x / mean) + mean - x;
    }
    let v = (x - mean) / (x + mean);
    let (mut sum, mut term, mut j) = ((x - mean) * v, 2.0 * x * v, 1.0);
    loop {
        term *= v * v;
        j += 2.0;
        let next = sum + term / j;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_formula() {
        for mean in [0.5, 12.0, 30.0] {
            let mut p = exp(-mean);
            for k in 0..60 {
                assert!((exp(ln_poisson(f64::from(k), mean)) - p).abs() <= 1e-13 * p, "{k} of {mean}");
                p *= mean / f64::from(k + 1);
            }
        }
        for (n, p) in [(40, 0.3), (7, 0.5), (100, 0.01)] {
            let mut chance = libm::pow(1.0 - p, f64::from(n));
            for k in 0..=n {
                let got = exp(ln_binomial(f64::from(k), f64::from(n), p));
                assert!((got - chance).abs() <= 1e-12 * chance, "{k} of {n}: {got} {chance}");
                chance *= f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p);
            }
        }
        // At a mean of 2^50 the mode has 1 / sqrt(tau mean).
        let mean = (1u64 << 50) as f64;
        let mode = exp(ln_poisson(mean, mean)) * sqrt(std::f64::consts::TAU * mean);
        assert!((mode - 1.0).abs() < 1e-12);
    }

    #[test]
    fn an_element_is_a_function_of_the_key_and_its_number() {
        let of = |key| Samples::new(key, Sampler::Gamma { shape: 0.7, scale: 2.0 });
        assert_eq!(of(3).element(1 << 40), of(3).element(1 << 40));
        assert_ne!(of(3).element(7), of(3).element(8));
        assert_ne!(of(3).element(7), of(4).element(7));
    }

    #[test]
    fn extreme_parameters_end() {
        for of in [
            Sampler::Gamma { shape: 1e-300, scale: 1.0 },
            Sampler::Gamma { shape: 1e300, scale: 1.0 },
            Sampler::Beta { a: 1e-300, b: 1e-300 },
            Sampler::Beta { a: 1e300, b: 1e-300 },
            Sampler::Binomial { n: 0.0, p: 0.5 },
            Sampler::Binomial { n: ((1u64 << 53) - 1) as f64, p: 0.5 },
            Sampler::Binomial { n: ((1u64 << 53) - 1) as f64, p: 1e-16 },
            Sampler::Binomial { n: 100.0, p: 1.0 },
            Sampler::Poisson { mean: 0.0 },
            Sampler::Poisson { mean: (1u64 << 52) as f64 },
        ] {
            for e in 0..200 {
                let x = Samples::new(1, of).element(e);
                assert!(x.is_finite() && x >= 0.0, "{of:?}: {x}");
            }
        }
    }
}
