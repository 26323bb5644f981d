//! Internal to tilework: the scheduler's state machine: which task runs where, what is dropped when, and what is made
//! again after a loss.
//!
//! Everything that can happen is an [`Event`], everything that it asks for is an [`Action`]; time is an argument.
//! Knows plans, workers by name and limits. Must not know transports, runtimes, clocks or chunk contents.

mod agenda;
mod alone;
mod announcing;
mod attempts;
mod blocks;
mod check;
mod clock;
mod dispatch;
mod event;
mod exchange;
mod failures;
mod holdings;
mod idle;
mod index;
mod inlined;
mod job;
mod knowing;
mod lacking;
mod leases;
mod letting_go;
mod lifecycle;
mod limits;
mod makers;
mod memory;
mod named;
mod order;
mod pace;
mod phase;
mod place;
mod prepared;
mod priority;
mod publishing;
mod readiness;
mod recovery;
mod reports;
mod roots;
#[cfg(test)]
mod scale;
mod scheduler;
mod single;
mod state;
mod suspects;
mod table;
mod ways;
mod withdrawing;
mod worker;

#[cfg(test)]
mod tests;

pub use event::{Action, Event, JobEnd};
#[doc(hidden)]
pub use limits::Bug;
pub use limits::Limits;
pub use prepared::Prepared;
pub use scheduler::{Leftovers, Scheduler};
