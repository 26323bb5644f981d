//! A simulated cluster: the scheduler's and the workers' state machines under one virtual clock, with random
//! programs, random delays and every fault that the cluster is to survive. One number, the seed, decides all of it.
//!
//! Contents of chunks are numbers that depend on what the task was and on what it read, so that a wrong or missing
//! input shows in every result. Knows both cores by their events and actions. Must not know transports or kernels.

mod chaos;
mod client;
mod driver;
mod ending;
mod faults;
mod lines;
mod node;
mod pauses;
mod programs;
mod reference;
mod rng;
mod setup;
mod world;

pub use faults::{Fault, FaultCounts};
pub use setup::Planted;
pub use world::{Outcome, run};
