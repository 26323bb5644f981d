//! Tables on sessions of every kind, and mistakes. The queries of TPC-H, and workers that die in them, stand in `benches`,
//! which has their data.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

mod arrays;
mod functions;
mod kept;
mod memory;
mod mistakes;
mod sessions;
mod times;
mod writes;
