//! Kernels against `ndarray` and naive loops: every result is computed from chunks in several layouts and under pools
//! of 1, 2 and 5 threads, and must have the same bits in all of them.

#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod elementwise;
mod errors;
mod exact;
mod functions;
mod harness;
mod products;
mod random;
mod reductions;
mod views;
