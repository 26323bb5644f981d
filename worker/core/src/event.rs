//! Everything that can wake a worker, and everything that it can ask for.

use crate::planned::Planned;
use tilework_plan::{Instruction, JobId, LeaseId, Part, Report, TaskError, TaskKey, WorkerId};

/// One transfer into this worker. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FetchId(pub u64);

/// One write of a chunk to the disk. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct SpillId(pub u64);

/// Where a transfer brings a chunk from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// Another worker.
    Peer(WorkerId),
    /// This worker's disk, to which it was written.
    Disk,
}

/// Where a task finds one input chunk in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Source {
    /// A chunk made or put here.
    Held(TaskKey),
    /// What a transfer brought.
    Fetched(FetchId),
}

/// One input chunk of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feed {
    /// Position in the stage's list of inputs.
    pub slot: usize,
    /// The chunk, named as the job that made it names it.
    pub key: TaskKey,
    /// Where it is.
    pub source: Source,
}

/// Everything that can wake a worker.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The scheduler spoke.
    Told(Vec<Instruction>),
    /// A job that the scheduler is about to speak of was planned.
    Planned {
        /// The job.
        job: JobId,
        /// Its plan.
        planned: Planned,
    },
    /// A client put a literal's chunk here; it is in the store under its key.
    Put {
        /// The lease that the client named.
        lease: LeaseId,
        /// The chunk.
        key: TaskKey,
        /// Its bytes.
        bytes: u64,
        /// Whether the client has the same bytes in this process' memory: to write them to the disk frees nothing.
        borrowed: bool,
    },
    /// A transfer is complete and in the store.
    Fetched {
        /// Which.
        fetch: FetchId,
        /// Bytes that it brought.
        bytes: u64,
    },
    /// A transfer failed: the peer does not have the chunk, or cannot be reached; the disk does not give it back.
    FetchFailed {
        /// Which.
        fetch: FetchId,
        /// Whether there is no connection to the peer; else it answered.
        away: bool,
        /// What is known of the reason.
        why: String,
    },
    /// A task that was started has ended; its chunk, if any, is in the store.
    Finished {
        /// The grant it ran under.
        lease: LeaseId,
        /// The task.
        task: TaskKey,
        /// The bytes of its chunk, where it worked.
        result: Result<u64, TaskError>,
        /// Time in kernels, microseconds.
        busy_us: u64,
    },
    /// The result of a task that runs, whose bytes are known only when it is made, takes so many already.
    Grew {
        /// The grant it runs under.
        lease: LeaseId,
        /// The task.
        task: TaskKey,
        /// Bytes of memory.
        bytes: u64,
    },
    /// A write to the disk has ended. The chunk is in memory all the same, until [`Action::Unload`].
    Spilled {
        /// Which.
        spill: SpillId,
        /// The chunk.
        key: TaskKey,
        /// Whether it worked; else what is known of the reason.
        result: Result<(), String>,
    },
    /// What the disk has of a chunk cannot be read, as somebody found who wanted it from this worker.
    Damaged {
        /// The chunk.
        key: TaskKey,
    },
    /// The tasks that threads have been at for a while, and for how long, microseconds; comes now and then where there are
    /// any, and once when there are none any more.
    Ages(Vec<(LeaseId, TaskKey, u64)>),
    /// The process has so many bytes more than it may have, whoever took them; comes again and again while it has, and once
    /// with 0 when it has not any more.
    Overweight(u64),
    /// The stream to the scheduler broke: stop what runs, forget every job and chunk.
    Disconnected,
    /// Time has passed.
    Tick,
}

/// Everything that a worker can ask its driver for.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Get a chunk, or a part of it, from another worker or the disk.
    Fetch {
        /// The transfer's number.
        fetch: FetchId,
        /// From where.
        from: Whence,
        /// Which chunk.
        key: TaskKey,
        /// Which part; all of it where absent.
        part: Option<Part>,
    },
    /// Run a task; all its inputs are in the store.
    Run {
        /// The grant it runs under.
        lease: LeaseId,
        /// The task.
        task: TaskKey,
        /// Its inputs.
        feeds: Vec<Feed>,
    },
    /// Stop a running task between two blocks; `Finished` still comes.
    Stop(TaskKey),
    /// Write a chunk that is held to the disk; it stays in memory.
    Spill {
        /// The write's number.
        spill: SpillId,
        /// Which chunk.
        key: TaskKey,
    },
    /// Drop from memory a chunk that is on the disk.
    Unload(TaskKey),
    /// Drop a chunk from the store, and from the disk.
    Free(Source),
    /// Tell the scheduler.
    Report(Vec<Report>),
    /// Threads do not come back: leave, and let another process take the place. Why, in words.
    Replace(String),
}
