//! Everything that can wake the scheduler, and everything that it can ask for.

use crate::prepared::Prepared;
use std::ops::Range;
use tilework_plan::{
    ClientHello, ClientId, Figures, Hello, Instruction, JobError, JobId, JobNumber, LeaseId, Report, TaskKey,
    Update, WorkerId,
};

/// How a job ended for its client.
#[derive(Clone, PartialEq, Debug)]
pub enum JobEnd {
    /// All outputs exist.
    Computed,
    /// It failed, or was cancelled.
    Failed(JobError),
    /// Its client let go of it while it ran.
    Released,
    /// Its client was lost while it ran.
    ClientLost,
}

/// Everything that can wake the scheduler.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A worker connected. `worker` is a number never used before.
    WorkerJoined {
        /// Its number.
        worker: WorkerId,
        /// What it says of itself.
        hello: Hello,
    },
    /// A worker reported.
    WorkerReported {
        /// Who.
        worker: WorkerId,
        /// What, in the order it was sent.
        reports: Vec<Report>,
    },
    /// A worker's connection closed.
    WorkerLost {
        /// Who.
        worker: WorkerId,
        /// What is known of the reason.
        why: String,
    },
    /// A worker says goodbye: no new tasks, hand its unique chunks on, then disconnect it.
    WorkerLeaving {
        /// Who.
        worker: WorkerId,
    },
    /// A client submitted something that was planned. `job` is a number never used before.
    JobSubmitted {
        /// Its number.
        job: JobId,
        /// Who submitted it.
        client: ClientId,
        /// Its plan.
        prepared: Prepared,
    },
    /// The client needs the job's outputs no more (also ends a job that runs).
    JobReleased {
        /// The job.
        job: JobId,
    },
    /// The client asks for some results of a job no more, each of which its tasks make alone; it keeps the job.
    ResultsLetGo {
        /// The job.
        job: JobId,
        /// Which of its outputs, and which chunks.
        results: Vec<(u32, Range<u64>)>,
    },
    /// Somebody who may, and is not its client, ends a job. Those that read it end with it.
    JobCancelled {
        /// The job.
        job: JobId,
        /// Who, in words.
        by: String,
    },
    /// The outputs of a job are kept under a name, whatever becomes of its client. See [`Scheduler::can_be_published`].
    ///
    /// [`Scheduler::can_be_published`]: crate::Scheduler::can_be_published
    JobPublished {
        /// The job.
        job: JobId,
    },
    /// The outputs of a job are kept under a name no more.
    JobUnpublished {
        /// The job.
        job: JobId,
    },
    /// A client could not put a chunk to the worker that waits for it, though it tried again.
    PutFailed {
        /// The lease under which it was asked for.
        lease: LeaseId,
        /// The chunk.
        task: TaskKey,
        /// What the client knows of the reason.
        why: String,
    },
    /// A client connected. `client` is a number never used before.
    ClientJoined {
        /// Its number.
        client: ClientId,
        /// What it says of itself.
        hello: ClientHello,
    },
    /// A client's connection closed: its jobs are released.
    ClientLost {
        /// Who.
        client: ClientId,
    },
    /// Time has passed, and all that had come was handled: whoever was to be heard of by now was.
    Tick,
}

/// Everything that the scheduler can ask its driver for.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Tell a worker.
    Tell {
        /// Whom.
        worker: WorkerId,
        /// What, in this order.
        instructions: Vec<Instruction>,
    },
    /// Tell the client that submitted a job.
    Update {
        /// The job.
        job: JobId,
        /// What.
        update: Update,
    },
    /// Close a worker's connection and say why (it was silent too long, it has left): it was one of the workers, and may
    /// come back.
    Disconnect {
        /// Whom.
        worker: WorkerId,
        /// Why, in words for its log.
        why: String,
    },
    /// Close the connection of a worker that cannot be one of them as things are, and say why (another one has its name).
    Refuse {
        /// Whom.
        worker: WorkerId,
        /// Why, in words for its log.
        why: String,
    },
    /// What was published cannot be had any more.
    Unpublished {
        /// The job.
        job: JobId,
        /// Why.
        why: JobError,
    },
    /// Nobody will be told of this job again: what it is made of can go.
    Forget(JobId),
    /// For the log: a job was submitted.
    Began {
        /// The job, as long as it exists.
        job: JobId,
        /// Its number for people.
        number: JobNumber,
        /// Who submitted it.
        client: ClientId,
        /// Tasks in all.
        n_tasks: u64,
    },
    /// For the log: a job ended for its client. Comes again where a job fails whose outputs did exist.
    Ended {
        /// Its number for people.
        number: JobNumber,
        /// Who submitted it.
        client: ClientId,
        /// How.
        end: JobEnd,
        /// What it took.
        figures: Figures,
    },
}
