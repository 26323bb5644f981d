//! Internal to tilework: the worker's state machine: what to fetch, what to run, what to keep and what to drop.
//!
//! Everything that can happen is an [`Event`], everything that it asks for is an [`Action`]; time is an argument.
//! Knows plans, keys, sizes and limits. Must not know transports, runtimes, clocks, kernels or chunk contents.

mod check;
mod event;
mod exchange;
mod instructions;
mod limits;
mod pages;
mod planned;
mod queue;
mod reports;
mod running;
mod spill;
mod store;
mod stuck;
mod tasks;
mod weight;
mod worker;

#[cfg(test)]
mod tests;

pub use event::*;
#[doc(hidden)]
pub use limits::Bug;
pub use limits::Limits;
pub use planned::Planned;
pub use worker::{Worker, WorkerUse};
