//! A scheduler, workers and a client in one process, over every transport: what they compute is right, and stays
//! right when something breaks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod compute;
mod faults;
mod holders;
mod spill;
mod support;
mod transfers;
