//! What travels on each stream, as domain types.
//!
//! Owns the four closed lists of what one side can say to the other. Must not know transports.

use crate::inlined::Inlined;
use crate::names::{NameAnswer, NameError, NameRequest};
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::Program;
use tilework_plan::{
    ClientHello, ClientId, Hello, Instruction, JobId, LeaseId, Report, TaskKey, Update, WorkerId,
};

/// From a worker to the scheduler.
#[derive(Clone, PartialEq, Debug)]
pub enum FromWorker {
    /// Who it is. First, and once.
    Hello(Hello),
    /// What it has to report.
    Reports {
        /// In order.
        reports: Vec<Report>,
        /// Small results of tasks that are said to be done.
        inlined: Vec<Inlined>,
    },
    /// It goes: no new tasks.
    Leaving,
    /// Why it is about to die.
    LastWords(String),
}

/// From the scheduler to a worker.
#[derive(Clone, PartialEq, Debug)]
pub enum ToWorker {
    /// Its number. First, and once.
    Welcome(WorkerId),
    /// What to do.
    Instructions {
        /// What the jobs are made of that are defined.
        programs: Vec<(JobId, Arc<Program>)>,
        /// The instructions, in order.
        instructions: Vec<Instruction>,
    },
    /// The scheduler ends the connection with this worker, which may come back, and why. Last.
    Closing(String),
    /// The scheduler does not take this worker as things are (its name is taken), and why. Last.
    Refused(String),
    /// The scheduler has ended, and with it the cluster. Last.
    Ended,
}

/// From a client to the scheduler.
#[derive(Clone, PartialEq, Debug)]
pub enum FromClient {
    /// Who it is, for people. First, and once.
    Hello(ClientHello),
    /// Compute this. The client numbers its jobs itself: its own number in the upper half, rising in the lower.
    Submit {
        /// The job's number.
        job: JobId,
        /// The program.
        program: Arc<Program>,
    },
    /// The outputs of a job are needed no more.
    Release(JobId),
    /// It asks about results that are kept under a name.
    Named {
        /// Its number for this, which the answer repeats.
        ticket: u64,
        /// What it asks.
        request: NameRequest,
    },
    /// Some results of a job are needed no more, while the job is: each of its tasks makes one alone.
    LetGo {
        /// The job.
        job: JobId,
        /// Which of its outputs, and which chunks.
        results: Vec<(u32, Range<u64>)>,
    },
    /// A literal's chunk could not be put to the worker that waits for it, though it was tried again.
    PutFailed {
        /// The grant under which it was asked for.
        lease: LeaseId,
        /// The chunk.
        task: TaskKey,
        /// What is known of the reason.
        why: String,
    },
}

/// From the scheduler to a client.
#[derive(Clone, PartialEq, Debug)]
pub enum ToClient {
    /// Its number. First, and once.
    Welcome(ClientId),
    /// News of one of its jobs.
    Update {
        /// The job.
        job: JobId,
        /// The news.
        update: Update,
        /// Small results among those that the news name.
        inlined: Vec<Inlined>,
    },
    /// What it asked about names.
    Named {
        /// Its number for that.
        ticket: u64,
        /// The answer.
        answer: Result<NameAnswer, NameError>,
    },
    /// The scheduler ends the connection, and why. Last.
    Closing(String),
}
