//! Own tasks: functions of the user's that workers call, and the values that they give, as futures.
//!
//! A batch of calls of one function is one node of an expression and one stage of a plan, with a task and a value for each
//! call; whatever is true of arrays there (spilling, recovery, release) is true of values. Owns the types of arguments and
//! results, and how they are written. Must not know how values travel.

mod argument;
mod array;
mod bytes;
mod call;
mod clock;
mod current;
mod doors;
mod error;
mod from_future;
mod future;
mod gather;
mod named;
mod queue;
mod shuffle;
mod submit;
mod task;
mod tasks;

pub use argument::{Argument, Arguments};
pub(crate) use clock::Clock;
pub use current::{
    map, map_shuffle, map_with, scatter, scatter_all, submit, tasks, try_map, try_map_shuffle, try_submit,
};
pub use error::FutureError;
pub(crate) use from_future::HeldValue;
pub use from_future::IntoElements;
pub use future::{Awaited, Future};
pub use gather::{AsCompleted, Waited, When, as_completed, gather, wait};
pub(crate) use queue::Desk;
pub use shuffle::part_of;
pub use task::TaskFn;
pub use tasks::Tasks;
