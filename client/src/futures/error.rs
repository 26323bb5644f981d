//! What can go wrong with own tasks and their values, beside what can with arrays. Must not know who finds it.

use crate::error::ClusterError;
use tilework_plan::debug_is_display;

/// Why there is no value of an own task.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FutureError {
    /// The task itself failed: it panicked, or gave an error, or its result cannot be written.
    #[error("call {call} of its batch failed: {message}")]
    Failed {
        /// Which call: of a `map` the item's number, counted from 0.
        call: u64,
        /// The function, and what went wrong.
        message: String,
    },
    /// An argument that serde cannot write.
    #[error("{what} cannot be written: {why}")]
    Serialise {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
    /// A result that serde cannot read as the type that the future is of.
    #[error("a result cannot be read as {expected}: {why}")]
    Deserialise {
        /// The type.
        expected: &'static str,
        /// Why.
        why: String,
    },
    /// What cannot be asked for when a task is submitted.
    #[error("{what} of a task: got {got}, expected {expected}")]
    Asked {
        /// What was asked for.
        what: &'static str,
        /// Given.
        got: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// What cannot be asked for of a shuffle.
    #[error("{what} of a shuffle: got {got}, expected {expected}")]
    Shuffle {
        /// What was asked for.
        what: &'static str,
        /// Given.
        got: usize,
        /// What would have been right.
        expected: &'static str,
    },
    /// A tag that no worker has, in a session that no other worker will join.
    #[error("no worker of this session has {needed}, and no other will join it: {there}")]
    NoTag {
        /// What is asked for, in words.
        needed: String,
        /// What there is, in words.
        there: String,
    },
    /// A future of another session among the arguments.
    #[error(
        "a future of another session is an argument: its value is not among this session's workers; get it with \
         `result` and pass that"
    )]
    OtherSession,
    /// The future was cancelled.
    #[error("the future was cancelled")]
    Cancelled,
    /// A task waits for a future that its session is to make.
    #[error(
        "a task must not wait for a future that was made outside of it: all of the workers' threads might, and none be left \
         to make it; pass the future as an argument"
    )]
    WithinTask,
    /// It could not be sent to the scheduler.
    #[error("the task could not be submitted: {why}")]
    NotSent {
        /// Why.
        why: String,
        /// What is wrong with the cluster, where that is why.
        cluster: Option<ClusterError>,
    },
}

debug_is_display!(FutureError);
