//! Files in object stores: a server of S3, and one of plain HTTP, run within this process.
//!
//! The environment of a process says where its stores are, so that all of this is one program.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

mod failures;
#[cfg_attr(not(feature = "dataframe"), allow(dead_code, reason = "tests of tables use the rest"))]
mod server;
#[cfg(feature = "dataframe")]
mod tables;
mod zarr;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by a test that changes the current session.
fn sessions_are_mine() -> MutexGuard<'static, ()> {
    static MINE: Mutex<()> = Mutex::new(());
    MINE.lock().unwrap_or_else(PoisonError::into_inner)
}
