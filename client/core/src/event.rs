//! Everything that can happen while a result is gathered, and everything that is asked for.

use std::fmt;
use tilework_plan::{Holding, TaskKey, TaskRange, WorkerId};

/// One request for a chunk. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct GetId(pub u64);

/// Everything that can happen while a result is gathered.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The scheduler said, perhaps again, where all chunks of all outputs are.
    Located(Vec<Vec<Holding>>),
    /// A chunk is wanted, or still is, and the scheduler has said where it is now.
    Wanted {
        /// The output.
        output: usize,
        /// The chunk, as its holder calls it; its number is that of the output's.
        key: TaskKey,
        /// The holder.
        from: WorkerId,
    },
    /// A chunk is wanted no more: it came in another way, or nobody waits for it.
    Unwanted {
        /// The output.
        output: usize,
        /// The chunk's number.
        chunk: u64,
    },
    /// The scheduler said that a worker is gone. Where it held a chunk, another `Located` follows.
    Lost(WorkerId),
    /// The scheduler said that these chunks are lost, by their makers' names. Another `Located` follows.
    ChunksLost(TaskRange),
    /// A request brought its chunk.
    Got(GetId),
    /// A request failed: the worker cannot be reached, or does not have the chunk.
    Failed {
        /// Which.
        get: GetId,
        /// What is known of the reason.
        why: String,
    },
    /// Time has passed.
    Tick,
}

/// Everything that gathering asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Ask a worker for a chunk.
    Get {
        /// The request's number.
        get: GetId,
        /// The output.
        output: usize,
        /// The chunk, as its holder calls it; its number is that of the output's.
        key: TaskKey,
        /// The worker.
        from: WorkerId,
    },
    /// Nothing more is expected of a request.
    Stop(GetId),
    /// Every chunk is here.
    Complete,
    /// A worker that is there for the scheduler has given nothing for too long. Where chunks are wanted one by one, those
    /// that it is to have are so no more.
    GiveUp {
        /// The worker.
        from: WorkerId,
        /// A chunk that it is to have.
        key: TaskKey,
        /// For how long it was tried, microseconds.
        tried_us: u64,
        /// What is known of the reason.
        why: String,
    },
}

impl fmt::Display for GetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}", self.0)
    }
}
