//! The scheduler's limits, each with its unit, in one place.
//!
//! Knows numbers. Must not know how they are enforced.

/// Bounds and intervals of a [`Scheduler`](crate::Scheduler).
#[derive(Clone, Debug)]
pub struct Limits {
    /// A worker that says nothing for this long is taken for dead, microseconds; never where absent (one process).
    pub silence_max_us: Option<u64>,
    /// How long a job may wait without any worker that could do what is left of it, microseconds.
    pub grace_us: u64,
    /// Workers that may die while they run one task before its job fails.
    pub deaths_max: u32,
    /// Workers that may fall silent while they run one task before its job fails.
    pub silences_max: u32,
    /// Failures of workers to do one task before its job fails.
    pub failures_max: u32,
    /// Failed transfers of one chunk from a living worker before that copy is taken for lost.
    pub unreachable_max: u32,
    /// Failed transfers towards one task before its job fails.
    pub transfers_failed_max: u32,
    /// Tasks that a worker has at least, for each of its threads.
    pub outstanding_min_per_thread: u32,
    /// Tasks that a worker has at most.
    pub outstanding_max: u32,
    /// Work that a worker has ahead, for each of its threads, microseconds.
    pub queue_us: u64,
    /// How long a task of a stage is taken to run before one was measured, microseconds.
    pub task_us_guess: u64,
    /// Work that a worker must have ahead, for each of its threads, before tasks leave it for an idle one,
    /// microseconds.
    pub steal_us_min: u64,
    /// Held chunks of earlier jobs are put to use only while fewer tasks than this wait for a worker.
    pub ready_max: usize,
    /// The share of a worker's memory that results may fill before roots wait, per cent.
    pub root_memory_percent: u64,
    /// Speed of transfers that placement reckons with, bytes a microsecond.
    pub bytes_per_us: u64,
    /// Time that a transfer costs however small it is, microseconds.
    pub transfer_us: u64,
    /// Readers of chunks that are told with one event, and inputs that are looked at for them, where a chunk may have more
    /// readers than that: the time that others wait.
    pub publish_max: u64,
    /// Chunks of outputs that are looked at with one event, to tell the client who has them.
    pub announce_max: u64,
    /// Least time between two reports of a job's progress, microseconds.
    pub progress_interval_us: u64,
    /// A fault to play, for the test that the simulator finds it.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub planted: Option<Bug>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            silence_max_us: Some(3_000_000),
            grace_us: 30_000_000,
            deaths_max: 3,
            silences_max: 20,
            failures_max: 3,
            unreachable_max: 3,
            transfers_failed_max: 50,
            outstanding_min_per_thread: 2,
            outstanding_max: 4096,
            queue_us: 75_000,
            task_us_guess: 10_000,
            steal_us_min: 10_000,
            ready_max: 4096,
            root_memory_percent: 60,
            bytes_per_us: 1000,
            transfer_us: 300,
            publish_max: 5_000,
            announce_max: 250_000,
            progress_interval_us: 100_000,
            #[cfg(any(test, feature = "planted-bugs"))]
            planted: None,
        }
    }
}

impl Limits {
    /// The share of a worker's memory that results may fill at all, per cent: the rest is for what tasks read from
    /// elsewhere and need while they run.
    pub(crate) const HELD_MEMORY_PERCENT: u64 = 90;

    /// The limits of a session within one process: nobody can fall silent.
    #[must_use]
    pub fn in_process() -> Limits {
        Limits { silence_max_us: None, ..Limits::default() }
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

/// Faults that were made, or could easily be made, in a scheduler like this one. The simulator must find each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(any(test, feature = "planted-bugs")), allow(dead_code, reason = "played in tests only"))]
pub enum Bug {
    /// A result that came beside a late report goes on to the client.
    LateResultPassedOn,
    /// A result that its client has let go of stays.
    LetGoKept,
    /// A result that its client has let go of, and that another job read then, stays when that has ended.
    LetGoForgotten,
    /// What was charged for a result by a guess is not put right when its bytes are known.
    MeasureForgotten,
    /// A task that fails because something that it reads has failed keeps what else it reads.
    FailedReadersKept,
    /// A task that fails alone is waited for by other jobs.
    FailureStaysInJob,
    /// A lost chunk does not count as missing again for the tasks that wait for it.
    MissingNotRestored,
    /// A chunk is dropped when all but one of its readers are done.
    ReleasedTooEarly,
    /// A report is taken whatever lease it answers.
    StaleReportAccepted,
    /// Done reports are counted again when they come again.
    DuplicateReportCounted,
    /// A lost output of a finished job is not made again.
    LostOutputForgotten,
    /// What a worker gives back is dropped on the floor.
    ReturnedTasksLost,
    /// The memory that a task was to take stays charged when it ends without a chunk.
    CreditLeaked,
    /// A chunk that a dead worker held, and whose inputs were dropped, is made again without them.
    InputsNotResurrected,
    /// The tasks that waited on the scheduler for a worker that died stay there.
    ReadyTasksStranded,
    /// A late copy that nobody needs is left where it is.
    StaleCopyKept,
    /// A silent worker is never given up.
    SilenceIgnored,
    /// A chunk that was made again while a job was over is not announced to its client.
    RemadeOutputUnannounced,
    /// What reads a chunk is computed though no output depends on it.
    UnneededReadersRun,
    /// The jobs that read a cancelled one are left to wait for its chunks.
    CancelledReadersLeft,
    /// A chunk that its client cannot put to a living worker is waited for there.
    PutFailureIgnored,
    /// Jobs that nobody is there to do are waited with for ever.
    GraceIgnored,
    /// A task is taken to need all of the chunks of which it reads a part.
    WholeInputsCounted,
    /// A chunk of which some readers were told, and which those have read, is dropped before the others are told.
    PublicationForgotten,
    /// The time in which the scheduler itself was stopped counts as silence of the workers.
    PauseTakenForSilence,
    /// Workers are judged by their silence while what they said is yet to be read.
    JudgedUnheard,
    /// A worker that fell silent counts as killed by what it ran.
    SilenceIsDeath,
    /// A worker whose connection broke counts as killed by what it ran though it comes back.
    ReturnIsDeath,
    /// Tasks go on being sent where their inputs cannot be had.
    CutOffIgnored,
    /// A task that may be tried again several times is tried again once.
    RetriesForgotten,
    /// Failed attempts at a task are not counted.
    RetriesUncounted,
    /// Tasks that need a worker that has something go to any.
    TagsIgnored,
    /// A client is told where its outputs are though one of them was lost while they were looked for.
    AnnouncementGoesOn,
    /// A task that has not heard yet that an input is gone is taken for ready when it has the others.
    LossUnheard,
    /// Chunks that clients are to put count as work that a worker has.
    PutsFillTheQueue,
    /// What is published goes with its client.
    PublicationIgnored,
    /// What is published no more is kept.
    PublicationKept,
    /// A barrier stays open when one of its results is lost.
    BarrierStaysOpen,
    /// Results that are read by blocks go when the first of their readers is done.
    ReleasedWithFirstReader,
    /// A worker that knew who has results that are read by blocks is not told when they are elsewhere.
    HoldersNotToldAnew,
    /// Workers are told who had such results before some were lost and made again.
    OldHoldersTold,
    /// Of what a worker that died had been granted, what it was granted first counts as what killed it.
    FirstOpenBlamed,
    /// What stands in a worker's queue goes before roots that are more urgent.
    PriorityIgnored,
    /// What an urgent job waits for of other jobs is no more urgent for it.
    PriorityStaysInJob,
    /// An array that is made of a value that has failed waits for it.
    ArrayAwaitsFailed,
}
