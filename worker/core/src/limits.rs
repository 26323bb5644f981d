//! The worker's limits, each with its unit, in one place.
//!
//! Knows numbers. Must not know how they are enforced.

/// Bounds and intervals of a [`Worker`](crate::Worker).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Tasks that run at a time.
    pub threads: u32,
    /// Bytes that chunks and tasks may take together.
    pub memory_bytes: u64,
    /// Bytes of chunks that may be on the disk; nothing is written there where 0.
    pub spill_bytes: u64,
    /// Chunks of fewer bytes are not written to the disk.
    pub spill_bytes_min: u64,
    /// How long nothing is written after a write has failed, microseconds.
    pub spill_pause_us: u64,
    /// Transfers into this worker at a time.
    pub fetches_max: usize,
    /// Tasks that are handed to the driver at a time, for each thread, where they are short.
    pub backlog_per_thread: u32,
    /// Work that is handed to the driver at a time, for each thread, microseconds.
    pub backlog_us: u64,
    /// Tasks that are done and not yet reported, at most.
    pub batch_max: usize,
    /// How long a task that is done may wait to be reported, microseconds.
    pub flush_us: u64,
    /// Time between two signs of life, microseconds.
    pub alive_us: u64,
    /// How long a task may run before its job fails, microseconds; for ever where absent.
    pub task_us_max: Option<u64>,
    /// How long a task may go on after it was told to stop before the worker has itself replaced, microseconds; for ever
    /// where absent.
    pub stop_us_max: Option<u64>,
    /// A fault to play, for the test that the simulator finds it.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub planted: Option<Bug>,
}

impl Limits {
    /// The usual limits for so many threads and so much memory, and for tasks that may take any time.
    #[must_use]
    pub fn new(threads: u32, memory_bytes: u64) -> Limits {
        Limits {
            threads,
            memory_bytes,
            spill_bytes: 0,
            spill_bytes_min: 4096,
            spill_pause_us: 5_000_000,
            fetches_max: 32,
            backlog_per_thread: 64,
            backlog_us: 1000,
            batch_max: 1024,
            flush_us: 2000,
            alive_us: 500_000,
            task_us_max: None,
            stop_us_max: None,
            #[cfg(any(test, feature = "planted-bugs"))]
            planted: None,
        }
    }

    /// Whether a planted fault is to be played.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(crate) fn plays(&self, bug: Bug) -> bool {
        self.planted == Some(bug)
    }

    /// Whether a planted fault is to be played: never in a build that ships.
    #[cfg(not(any(test, feature = "planted-bugs")))]
    pub(crate) fn plays(&self, _: Bug) -> bool {
        false
    }
}

/// Faults that were made, or could easily be made, in a worker like this one. The simulator must find each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Tasks that are given back are not reported.
    RevokeLosesTasks,
    /// A fetched chunk is freed while a task uses it.
    CacheFreedInUse,
    /// A dropped chunk is freed while a task uses it.
    DropFreesInUse,
    /// The memory of a task that could not run stays charged.
    CreditLeaked,
    /// A failed transfer is not reported.
    FetchFailureSwallowed,
    /// Transfers from a worker that is gone are waited for.
    PeerGoneIgnored,
    /// A chunk that is put before its lease arrives is thrown away.
    EarlyPutLost,
    /// The chunk of a task that was stopped stays in the store.
    StoppedChunkKept,
    /// Tasks are admitted whatever memory is left.
    MemoryIgnored,
    /// A chunk that was written to the disk leaves memory while a task uses it.
    UnloadedInUse,
    /// A write that has ended is taken for that of another chunk of the same name.
    LateSpillBelieved,
    /// A chunk whose write failed is taken for one that is being written for ever.
    SpillFailureForgotten,
    /// A chunk on the disk that cannot be read is not reported.
    DamageSwallowed,
    /// A task is taken to need all of the chunks of which it reads a part.
    WholeInputsCounted,
    /// A task that runs for too long is waited for.
    OverrunIgnored,
    /// How long a job lets its tasks run is not looked at.
    OwnLimitIgnored,
    /// What tasks were said to take of memory is not kept for them.
    DeclaredIgnored,
    /// Threads that do not come back are waited for.
    StuckIgnored,
    /// Of a result that is made of blocks, the block of the next task is fetched.
    NextBlockFetched,
    /// Who had a result of which blocks are read is believed to have it still when another is said to.
    OldHolderKept,
    /// Of the tasks that wait for a thread, those of the earliest job go first, whatever their priority.
    PriorityIgnored,
    /// Tasks begin whatever memory the process has.
    OverweightForgotten,
}
