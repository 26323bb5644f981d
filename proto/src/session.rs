//! The two ends of an open connection to the scheduler, whatever carries it: bounded queues of domain messages.
//!
//! Owns their types, their bounds, and the trait by which a worker opens one. Must not know transports; those are
//! the scheduler's handle (in process) and the gRPC links.

use crate::limits::{ASSEMBLED_BYTES_MAX, TooLarge};
use crate::names::NameRequest;
use crate::{FromClient, FromWorker, ToClient, ToWorker};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tilework_expr::Program;
use tilework_plan::{ClientHello, ClientId, Hello, JobId, LeaseId, TaskKey, WorkerId};
use tokio::sync::mpsc;

/// Messages of one worker that wait for the scheduler; the worker then waits too.
pub const REPORT_QUEUE_MAX: usize = 256;
/// Messages that wait for one worker. One that lets more pile up is disconnected.
pub const INSTRUCTION_QUEUE_MAX: usize = 4096;
/// Requests of one client that wait for the scheduler; the client then waits too.
pub const REQUEST_QUEUE_MAX: usize = 64;
/// Messages that wait for one client. One that lets more pile up for [`BEHIND_MAX`] is disconnected.
pub const UPDATE_QUEUE_MAX: usize = 1024;
/// Messages that wait for one client at all: one event may bring as many as there are jobs, or tasks that fail.
pub const UPDATE_BURST_MAX: usize = 1 << 18;
/// How long a client may be behind with its messages.
pub const BEHIND_MAX: Duration = Duration::from_secs(10);

/// A future that a trait's method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why there is no connection to the scheduler.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    /// The scheduler cannot be reached now; it may be later. In a sentence: [`LinkError::unreachable`].
    #[error("{0}")]
    Unreachable(String),
    /// The scheduler does not want this connection, or what answers is another's; trying again gives the same. In a
    /// sentence: [`LinkError::refused`].
    #[error("{0}")]
    Refused(String),
    /// Another scheduler has taken the place of the one that was looked for.
    #[error("the connection file names another scheduler by now")]
    Replaced,
    /// The connection is closed.
    #[error("the connection to the scheduler is closed")]
    Closed,
    /// The message is too large to be sent.
    #[error("the program is too large: {0}")]
    TooLarge(#[from] TooLarge),
}

impl LinkError {
    /// The scheduler at these addresses is gone, or cannot be reached.
    #[must_use]
    pub fn unreachable(addresses: &str, cause: impl fmt::Display) -> LinkError {
        LinkError::Unreachable(format!("the scheduler at {addresses} ended or cannot be reached ({cause})"))
    }

    /// The scheduler at these addresses does not want the connection.
    #[must_use]
    pub fn refused(addresses: &str, why: impl fmt::Display) -> LinkError {
        LinkError::Refused(format!("the scheduler at {addresses} refused the connection: {why}"))
    }
}

/// A worker's open connection. Dropping it closes it.
#[derive(Debug)]
pub struct WorkerSession {
    /// The number that the scheduler gave the worker.
    pub worker: WorkerId,
    /// To the scheduler.
    pub to_scheduler: mpsc::Sender<FromWorker>,
    /// From the scheduler; ends where the connection does.
    pub from_scheduler: mpsc::Receiver<ToWorker>,
}

/// A way by which a worker reaches the scheduler, again and again if need be.
pub trait WorkerLink: Send + Sync + 'static {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] where another try may succeed, [`LinkError::Refused`] where none will,
    /// [`LinkError::Replaced`] where one of another link may.
    fn open(&self, hello: Hello) -> BoxFuture<'_, Result<WorkerSession, LinkError>>;
}

/// A client's open connection. When both halves are dropped it closes, and the client's jobs are released.
#[derive(Debug)]
pub struct ClientSession {
    /// Submits and releases. Cheap to clone.
    pub link: ClientLink,
    /// News of the jobs ([`ToClient::Update`]); ends where the connection does, with [`ToClient::Closing`] where the
    /// scheduler had a reason.
    pub updates: mpsc::Receiver<ToClient>,
    /// Closes when nothing is under way any more and the scheduler knows that the session is over; absent within one
    /// process.
    pub carried: Option<std::sync::mpsc::Receiver<()>>,
}

/// The sending half of a client's connection.
#[derive(Clone, Debug)]
pub struct ClientLink {
    client: ClientId,
    next: Arc<AtomicU32>,
    requests: mpsc::Sender<FromClient>,
    encoded_len: Option<fn(&Program) -> usize>,
}

impl ClientLink {
    /// The sending half for the client of this number. Where messages are encoded on their way, and so limited in
    /// size, `encoded_len` tells the bytes of a program.
    #[must_use]
    pub fn new(
        client: ClientId,
        requests: mpsc::Sender<FromClient>,
        encoded_len: Option<fn(&Program) -> usize>,
    ) -> ClientLink {
        ClientLink { client, next: Arc::new(AtomicU32::new(0)), requests, encoded_len }
    }

    /// The client's number.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Submits a program and returns the number of its job; news of it follow in [`ClientSession::updates`].
    ///
    /// # Errors
    /// [`LinkError::Closed`], [`LinkError::TooLarge`].
    pub async fn submit(&self, program: Arc<Program>) -> Result<JobId, LinkError> {
        let request = self.request(program)?;
        let FromClient::Submit { job, .. } = request else { unreachable!("request() makes a Submit") };
        self.requests.send(request).await.map_err(|_| LinkError::Closed)?;
        Ok(job)
    }

    /// [`ClientLink::submit`] for callers outside of a runtime.
    ///
    /// # Errors
    /// As [`ClientLink::submit`].
    ///
    /// # Panics
    /// Within an asynchronous task.
    pub fn submit_blocking(&self, program: Arc<Program>) -> Result<JobId, LinkError> {
        let request = self.request(program)?;
        let FromClient::Submit { job, .. } = request else { unreachable!("request() makes a Submit") };
        self.requests.blocking_send(request).map_err(|_| LinkError::Closed)?;
        Ok(job)
    }

    /// Says who the client is. To be said before anything else, while the queue is empty.
    pub fn introduce(&self, hello: ClientHello) {
        // Err: the connection is closed, or the queue full, which it is not at first.
        let _ = self.requests.try_send(FromClient::Hello(hello));
    }

    fn request(&self, program: Arc<Program>) -> Result<FromClient, LinkError> {
        let bytes = self.encoded_len.map_or(0, |encoded_len| encoded_len(&program));
        if bytes > ASSEMBLED_BYTES_MAX {
            return Err(TooLarge { bytes, limit: ASSEMBLED_BYTES_MAX }.into());
        }
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(FromClient::Submit { job: job_of(self.client, n), program })
    }

    /// Says that the outputs of a job are needed no more; a job that runs is cancelled.
    ///
    /// # Errors
    /// [`LinkError::Closed`].
    pub async fn release(&self, job: JobId) -> Result<(), LinkError> {
        self.requests.send(FromClient::Release(job)).await.map_err(|_| LinkError::Closed)
    }

    /// Says that some results of a job are needed no more: outputs, and which of their chunks. Does not wait, and hands them
    /// back where the queue is full.
    ///
    /// # Errors
    /// The results, to be let go of later.
    pub fn try_let_go(
        &self,
        job: JobId,
        results: Vec<(u32, Range<u64>)>,
    ) -> Result<(), Vec<(u32, Range<u64>)>> {
        match self.requests.try_send(FromClient::LetGo { job, results }) {
            Err(mpsc::error::TrySendError::Full(FromClient::LetGo { results, .. })) => Err(results),
            _ => Ok(()),
        }
    }

    /// Says that a literal's chunk could not be put to the worker that waits for it.
    ///
    /// # Errors
    /// [`LinkError::Closed`].
    pub async fn put_failed(&self, lease: LeaseId, task: TaskKey, why: String) -> Result<(), LinkError> {
        let failed = FromClient::PutFailed { lease, task, why };
        self.requests.send(failed).await.map_err(|_| LinkError::Closed)
    }

    /// Asks about results that are kept under a name; the answer repeats `ticket` ([`ToClient::Named`]).
    ///
    /// # Errors
    /// [`LinkError::Closed`].
    pub async fn ask(&self, ticket: u64, request: NameRequest) -> Result<(), LinkError> {
        self.requests.send(FromClient::Named { ticket, request }).await.map_err(|_| LinkError::Closed)
    }

    /// [`ClientLink::release`] for destructors: does not wait, and hands the job back where the queue is full.
    ///
    /// # Errors
    /// The job, to be released later.
    pub fn try_release(&self, job: JobId) -> Result<(), JobId> {
        match self.requests.try_send(FromClient::Release(job)) {
            Err(mpsc::error::TrySendError::Full(_)) => Err(job),
            _ => Ok(()),
        }
    }
}

/// The number of a client's `n`-th job.
#[must_use]
pub fn job_of(client: ClientId, n: u32) -> JobId {
    JobId(client.0 << 32 | u64::from(n))
}

/// The client that a job's number names, and which of its jobs it is.
#[must_use]
pub fn client_of(job: JobId) -> (ClientId, u32) {
    (ClientId(job.0 >> 32), job.0 as u32)
}
