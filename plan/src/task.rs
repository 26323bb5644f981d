//! The names of jobs, stages, tasks and leases, and what a scheduler and a worker say to one another about them.
//!
//! Plain data. Must not know how either side decides, nor how these travel.

use crate::grid::ChunkIdx;
use crate::quantities::{bytes, count};
use std::ops::Range;

/// One submitted program. Never used twice by a scheduler.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One life of a worker process. A worker that comes back has another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct WorkerId(pub u32);

/// A stage's place in its plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct StageIdx(pub u32);

/// One task, and the chunk that it makes: an operation and a chunk number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TaskKey {
    /// The job.
    pub job: JobId,
    /// The operation.
    pub stage: StageIdx,
    /// The chunk.
    pub chunk: ChunkIdx,
}

/// Neighbouring tasks of one stage.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TaskRange {
    /// The job.
    pub job: JobId,
    /// The operation.
    pub stage: StageIdx,
    /// The chunk numbers.
    pub chunks: Range<u64>,
}

impl TaskRange {
    /// The tasks one by one.
    pub fn keys(&self) -> impl Iterator<Item = TaskKey> + use<> {
        let (job, stage) = (self.job, self.stage);
        self.chunks.clone().map(move |c| TaskKey { job, stage, chunk: ChunkIdx(c) })
    }
}

/// One grant of tasks to one worker; the attempt number that every report carries. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// Chunks and a worker that holds them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The chunks, named as the job that made them names them (`Held` stages are resolved).
    pub chunks: TaskRange,
    /// Who has them.
    pub worker: WorkerId,
}

/// What a scheduler tells a worker.
#[derive(Clone, PartialEq, Debug)]
pub enum Instruction {
    /// A job that is spoken of from now on. What it is made of travels beside this; the worker derives the same plan from
    /// that as the scheduler.
    Define(JobId),
    /// Run these tasks. All inputs exist: on this worker, or as `elsewhere` says, or where blocks are read, as
    /// [`Instruction::Holders`] has said. Tasks of a literal stage are not
    /// run: the client puts their chunks here under this lease.
    Lease {
        /// The grant.
        lease: LeaseId,
        /// The tasks.
        tasks: TaskRange,
        /// Where inputs are that this worker does not hold.
        elsewhere: Vec<Holding>,
        /// How urgent they are: those of a higher priority go before others that wait.
        priority: i32,
    },
    /// Results of a stage of which tasks read blocks are here from now on, instead of wherever they were. That is said once
    /// for all such tasks, before the first of them, and again of results that were made again.
    Holders {
        /// The job.
        job: JobId,
        /// The stage.
        stage: StageIdx,
        /// Bytes of all results of it together.
        bytes: u64,
        /// Who has them.
        holders: Vec<Holding>,
    },
    /// Give back what has not been started of these tasks.
    Revoke {
        /// The grant.
        lease: LeaseId,
        /// The tasks.
        tasks: TaskRange,
    },
    /// These chunks are needed no more.
    Drop(TaskRange),
    /// The job is over: stop its tasks and drop all its chunks.
    Forget(JobId),
    /// Another worker, and where its chunk service listens (tried in order).
    Peer {
        /// The worker.
        worker: WorkerId,
        /// `host:port`.
        addresses: Vec<String>,
    },
    /// That worker is gone.
    PeerGone(WorkerId),
}

impl Instruction {
    /// The job that it defines.
    #[must_use]
    pub fn defines(&self) -> Option<JobId> {
        match self {
            Instruction::Define(job) => Some(*job),
            _ => None,
        }
    }
}

/// Why a task could not be done.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TaskError {
    /// The operation itself failed (a missing file, a bad value, a panic in a kernel): running it again elsewhere
    /// gives the same.
    Operation(String),
    /// The task needs more memory than this worker may use.
    Memory {
        /// Bytes that the task needs.
        needed: u64,
        /// Bytes that the worker may use.
        limit: u64,
    },
    /// The worker could not do it, another might (a full disk, a lost file handle).
    Worker(String),
    /// As one of the others, with what only those read who know the work: the error itself, as bytes.
    Detailed {
        /// What went wrong, in words.
        message: String,
        /// The error as bytes.
        detail: Vec<u8>,
        /// Whether another worker might do it; else running it again gives the same.
        elsewhere: bool,
    },
}

/// What a worker tells the scheduler.
#[derive(Clone, PartialEq, Debug)]
pub enum Report {
    /// These tasks are done and this worker holds their chunks.
    Done {
        /// The grant it answers.
        lease: LeaseId,
        /// The tasks.
        tasks: TaskRange,
        /// Time they took in kernels, all together, microseconds.
        busy_us: u64,
        /// Bytes that were fetched from other workers for them.
        bytes_fetched: u64,
        /// Bytes of each of their results, where those were not known before.
        sizes: Vec<u64>,
    },
    /// A task failed.
    Failed {
        /// The grant it answers.
        lease: LeaseId,
        /// The task.
        task: TaskKey,
        /// Why.
        error: TaskError,
    },
    /// An input could not be had from the worker that should hold it; the task was not run.
    Unreachable {
        /// The grant it answers.
        lease: LeaseId,
        /// The task.
        task: TaskKey,
        /// The chunk that is missing, named as the job that made it names it.
        input: TaskKey,
        /// Who should have had it.
        peer: WorkerId,
        /// Whether there is no connection to it; else it answered, and did not have the chunk.
        away: bool,
        /// What is known of the reason.
        why: String,
    },
    /// These tasks were not started and will not be: the answer to [`Instruction::Revoke`].
    Returned {
        /// The grant it answers.
        lease: LeaseId,
        /// The tasks.
        tasks: TaskRange,
    },
    /// A sign of life.
    Alive {
        /// Bytes of chunks in memory.
        bytes_held: u64,
        /// Bytes of chunks on the disk.
        bytes_on_disk: u64,
        /// Bytes of memory that its process has; 0 where that is not known.
        bytes_resident: u64,
    },
    /// A chunk that this worker held is lost: its disk does not give it back.
    Lost {
        /// The chunk.
        task: TaskKey,
    },
    /// Chunks of a job were written to the disk.
    Spilled {
        /// The job.
        job: JobId,
        /// Their bytes.
        bytes: u64,
    },
    /// What threads are at that do not come back, where there are any or just were.
    Threads {
        /// Threads that go on with tasks that they were told to stop.
        stuck: u32,
        /// How long the task that runs longest has been running, microseconds.
        longest_us: u64,
    },
}

/// What a job took, or is expected to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Tasks that were done, those that had to be done again included.
    pub n_tasks: u64,
    /// Bytes of chunks that were read from files.
    pub bytes_read: u64,
    /// Bytes of chunks that the client put on workers.
    pub bytes_put: u64,
    /// Bytes that workers fetched from one another.
    pub bytes_moved: u64,
    /// The most bytes that the job's chunks took at once on all workers together; not what tasks use while they run,
    /// nor chunks of earlier jobs.
    pub bytes_held_max: u64,
    /// Bytes of chunks that workers wrote to their disks for want of memory.
    pub bytes_spilled: u64,
    /// Time in kernels, all tasks together, microseconds.
    pub busy_us: u64,
    /// Time from the submission until all outputs existed, microseconds.
    pub elapsed_us: u64,
}

/// What a scheduler tells the client that submitted a job.
#[derive(Clone, PartialEq, Debug)]
pub enum Update {
    /// How far the job is.
    Progress {
        /// Tasks done.
        done: u64,
        /// Tasks in all.
        total: u64,
    },
    /// Put these chunks of a literal to that worker, under that lease.
    Upload {
        /// The grant.
        lease: LeaseId,
        /// The chunks.
        tasks: TaskRange,
        /// The literal's name in the program.
        literal: u64,
        /// The worker.
        worker: WorkerId,
        /// Where its chunk service listens (tried in order).
        addresses: Vec<String>,
    },
    /// All outputs exist, but for those that have failed alone. Comes again, with new holders, where chunks were lost and made again.
    Done {
        /// For each output, in the program's order: its chunks (with the stage that made them) and their holders.
        outputs: Vec<Vec<Holding>>,
        /// The holders' addresses.
        addresses: Vec<(WorkerId, Vec<String>)>,
        /// What the job took so far.
        figures: Figures,
    },
    /// Results of outputs whose tasks fail alone came to exist since that was last said. Comes again for what was lost and
    /// made again.
    Made {
        /// For each output, in the program's order: its chunks (with the stage that made them) and their holders.
        outputs: Vec<Vec<Holding>>,
        /// The holders' addresses.
        addresses: Vec<(WorkerId, Vec<String>)>,
    },
    /// Results of outputs whose tasks fail alone will not come.
    TasksFailed {
        /// Which output.
        output: u32,
        /// Their numbers.
        values: Range<u64>,
        /// Why: of the first task that failed, where these are of tasks that read what it should have made.
        error: JobError,
    },
    /// A worker is gone. What was to be put to it or is to be had from it will be elsewhere: another `Upload` or `Done`
    /// says where.
    Lost {
        /// The worker.
        worker: WorkerId,
    },
    /// Chunks of outputs are lost, and no worker with them: they are made again, and another `Done` follows.
    ChunksLost {
        /// The chunks, by their maker's name.
        tasks: TaskRange,
    },
    /// The job ended without its outputs.
    Failed(JobError),
}

/// Why a job failed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A task's operation failed.
    #[error("{operation}, chunk {chunk}: {message}")]
    Operation {
        /// The stage in words.
        operation: String,
        /// The chunk's number.
        chunk: u64,
        /// What went wrong.
        message: String,
    },
    /// A task's operation failed, and says why to those who know the work.
    #[error("{operation}, chunk {chunk}: {message}")]
    Detailed {
        /// The stage in words.
        operation: String,
        /// The chunk's number.
        chunk: u64,
        /// What went wrong.
        message: String,
        /// The error as bytes.
        detail: Vec<u8>,
    },
    /// A chunk does not fit into any worker.
    #[error("{operation}: {}", too_large(*.needed, *.limit, *.fits))]
    Memory {
        /// The stage in words.
        operation: String,
        /// Bytes that the task needs.
        needed: u64,
        /// Bytes that the largest worker may use.
        limit: u64,
        /// Elements of a chunk that would fit; 0 for what is not made of elements.
        fits: u64,
    },
    /// A task was running on several workers when they died.
    #[error(
        "{operation}, chunk {chunk}: {deaths} workers died while they ran it; the last one: {last_words}"
    )]
    Deadly {
        /// The stage in words.
        operation: String,
        /// The chunk's number.
        chunk: u64,
        /// How many.
        deaths: u32,
        /// What was known of the last death.
        last_words: String,
    },
    /// What the job has to keep does not fit into the workers' memory together.
    #[error(
        "the workers' memory is full: {} of their {} are held by chunks that are still needed, and {operation} needs {} \
         more; give the workers more memory or add workers, write the result to a Zarr store or reduce it instead of \
         keeping it, or drop arrays that are persisted",
        bytes(*.held),
        bytes(*.limit),
        bytes(*.needed)
    )]
    Full {
        /// The stage that cannot go on, in words.
        operation: String,
        /// Bytes that its next task needs.
        needed: u64,
        /// Bytes that are held.
        held: u64,
        /// Bytes that all workers together may use.
        limit: u64,
    },
    /// No worker, or none that could take what is left, was there for too long.
    #[error("no worker for {waited_s} s: {waiting}; {ended}")]
    NoWorker {
        /// What waits, in words.
        waiting: String,
        /// For how long, seconds.
        waited_s: u64,
        /// How the workers that were there ended, in words.
        ended: String,
    },
    /// The program calls functions of its own, and no worker has them.
    #[error(
        "the function {function} is part of the program's own executable (build {build}), and none of the workers, of \
         which there are {workers}, is that program: start workers with `tilework worker --program ./my_program` \
         (tilework.sbatch does so by itself), or trace the function with `map_expr`, which runs on any worker"
    )]
    Foreign {
        /// The function's type.
        function: String,
        /// The executable that it is part of.
        build: String,
        /// How many workers there are.
        workers: u32,
    },
    /// The program itself was refused.
    #[error("the program was refused: {0}")]
    Program(String),
    /// The job was cancelled.
    #[error("the job was cancelled by {by}")]
    Cancelled {
        /// Who did it, in words.
        by: String,
    },
}

crate::debug_is_display!(JobError);

/// What is too large for any worker, in words.
fn too_large(needed: u64, limit: u64, fits: u64) -> String {
    let (needed, limit) = (bytes(needed), bytes(limit));
    match fits {
        0 => format!("one task needs {needed}, and the largest worker may use {limit}"),
        fits => format!(
            "one chunk's task needs {needed}, and the largest worker may use {limit}; chunks of at most {} elements would \
             fit",
            count(fits)
        ),
    }
}
