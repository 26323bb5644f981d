//! Internal to tilework: the client's state machine: which chunk of a result is asked of whom, when it is asked for
//! again, and when that is given up.
//!
//! Everything that can happen is an [`Event`], everything that it asks for is an [`Action`]; time is an argument.
//! Knows names of chunks and workers. Must not know transports, runtimes, clocks or chunk contents.

mod event;
mod gather;
mod limits;

#[cfg(test)]
mod tests;

pub use event::{Action, Event, GetId};
pub use gather::Gather;
#[doc(hidden)]
pub use limits::Bug;
pub use limits::Limits;
