//! All queries of TPC-H and queries of TPC-DS on sessions of several kinds, and with workers that die in the middle.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

mod faults;
mod sessions;
mod tpcds;
