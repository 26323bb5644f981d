//! The handle of a running scheduler: opens sessions, in process and for the services.
//!
//! Owns the numbering of workers and clients. Must not know gRPC.

use crate::Transport;
use crate::driver::{self, Post};
use crate::planner::Planner;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(feature = "grpc")]
use std::time::Duration;
use tilework_cluster::who::Who;
use tilework_plan::{ClientHello, ClientId, ClusterState, Hello, JobNumber, WorkerId};
use tilework_proto::session::{
    BoxFuture, INSTRUCTION_QUEUE_MAX, REPORT_QUEUE_MAX, REQUEST_QUEUE_MAX, UPDATE_BURST_MAX,
};
use tilework_proto::{ClientLink, ClientSession, FromClient, LinkError, ToClient, WorkerLink, WorkerSession};
use tilework_scheduler_core::{Limits, Scheduler};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Posts that wait for the scheduler; whoever posts then waits too.
const INBOX_MAX: usize = 1024;

/// The scheduler does not run any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the scheduler has stopped")]
pub struct StoppedError;

/// A running scheduler. Cheap to clone; it stops when all clones are dropped, or at [`SchedulerHandle::stop`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use tilework_scheduler::{Limits, SchedulerHandle};
///
/// let scheduler = SchedulerHandle::start(Limits::default());
/// let client = scheduler.client().await.unwrap();
/// assert!(scheduler.state().await.unwrap().workers.is_empty());
/// # drop(client);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct SchedulerHandle {
    inbox: mpsc::Sender<Post>,
    numbers: Arc<Numbers>,
    transport: Transport,
    planner: Planner,
    #[cfg(feature = "grpc")]
    silence_max: Duration,
    /// Where the scheduler runs; sessions may live on other runtimes, and end with them.
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Numbers {
    workers: AtomicU32,
    clients: AtomicU64,
}

impl SchedulerHandle {
    /// Starts a scheduler on the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(limits: Limits) -> SchedulerHandle {
        SchedulerHandle::start_with(limits, Transport::Direct)
    }

    /// [`SchedulerHandle::start`] with a choice of how messages go within this process.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start_with(limits: Limits, transport: Transport) -> SchedulerHandle {
        let (inbox, posts) = mpsc::channel(INBOX_MAX);
        let runtime = Handle::current();
        #[cfg(feature = "grpc")]
        let silence_max = limits.silence_max_us.map_or(Duration::MAX, Duration::from_micros);
        runtime.spawn(driver::drive(Scheduler::new(limits), posts, transport));
        SchedulerHandle {
            inbox,
            numbers: Arc::default(),
            transport,
            planner: Planner::default(),
            #[cfg(feature = "grpc")]
            silence_max,
            runtime,
        }
    }

    /// How long a worker or a client may be silent before it is taken for gone.
    #[cfg(feature = "grpc")]
    pub(crate) fn silence_max(&self) -> Duration {
        self.silence_max
    }

    /// Connects a worker. Dropping the session is the loss of the worker.
    ///
    /// # Errors
    /// [`StoppedError`].
    pub async fn attach(&self, hello: Hello) -> Result<WorkerSession, StoppedError> {
        let worker = WorkerId(self.numbers.workers.fetch_add(1, Ordering::Relaxed) + 1);
        let (to_scheduler, reports) = mpsc::channel(REPORT_QUEUE_MAX);
        let (instructions, from_scheduler) = mpsc::channel(INSTRUCTION_QUEUE_MAX);
        let (line, cut) = oneshot::channel();
        self.post(Post::Attach { worker, hello, instructions, line }).await?;
        self.runtime.spawn(driver::forward_worker(worker, reports, self.inbox.downgrade(), cut));
        Ok(WorkerSession { worker, to_scheduler, from_scheduler })
    }

    /// Connects a client of this process. Dropping both halves of the session releases the client's jobs.
    ///
    /// # Errors
    /// [`StoppedError`].
    pub async fn client(&self) -> Result<ClientSession, StoppedError> {
        let (client, requests, updates) = self.client_queues().await?;
        let link = ClientLink::new(client, requests, self.transport.encoded_len());
        link.introduce(this_client());
        Ok(ClientSession { link, updates, carried: None })
    }

    /// A client's session as bare queues.
    pub(crate) async fn client_queues(
        &self,
    ) -> Result<(ClientId, mpsc::Sender<FromClient>, mpsc::Receiver<ToClient>), StoppedError> {
        let client = ClientId(self.numbers.clients.fetch_add(1, Ordering::Relaxed) + 1);
        let (to_scheduler, requests) = mpsc::channel(REQUEST_QUEUE_MAX);
        let (updates, from_scheduler) = mpsc::channel(UPDATE_BURST_MAX);
        let (line, cut) = oneshot::channel();
        self.post(Post::Connect { client, updates, line }).await?;
        let way = driver::ClientWay { client, transport: self.transport, planner: self.planner.clone() };
        self.runtime.spawn(driver::forward_client(way, requests, self.inbox.downgrade(), cut));
        Ok((client, to_scheduler, from_scheduler))
    }

    /// The cluster as it is now.
    ///
    /// # Errors
    /// [`StoppedError`].
    pub async fn state(&self) -> Result<ClusterState, StoppedError> {
        let (reply, state) = oneshot::channel();
        self.post(Post::State(reply)).await?;
        state.await.map_err(|_| StoppedError)
    }

    /// Ends a job, whoever submitted it; `by` says in words who asks. Whether there is such a job.
    ///
    /// # Errors
    /// [`StoppedError`].
    pub async fn cancel(&self, number: JobNumber, by: String) -> Result<bool, StoppedError> {
        let (reply, found) = oneshot::channel();
        self.post(Post::Cancel { number, by, reply }).await?;
        found.await.map_err(|_| StoppedError)
    }

    /// Ends all sessions and the scheduler. Returns when it has ended.
    pub async fn stop(&self) {
        self.stop_for(None).await;
    }

    /// [`SchedulerHandle::stop`] by the wish of somebody, in words, whom clients are told of.
    pub(crate) async fn stop_for(&self, by: Option<String>) {
        if self.post(Post::Stop { by }).await.is_ok() {
            self.ended().await;
        }
    }

    /// Waits until the scheduler has ended.
    pub async fn ended(&self) {
        self.inbox.closed().await;
    }

    async fn post(&self, post: Post) -> Result<(), StoppedError> {
        self.inbox.send(post).await.map_err(|_| StoppedError)
    }
}

impl WorkerLink for SchedulerHandle {
    fn open(&self, hello: Hello) -> BoxFuture<'_, Result<WorkerSession, LinkError>> {
        Box::pin(async move { self.attach(hello).await.map_err(|e| LinkError::Refused(e.to_string())) })
    }
}

/// What this process says of itself as a client.
pub(crate) fn this_client() -> ClientHello {
    let Who { program, pid, user, host } = Who::this_process();
    ClientHello { program, pid, user, host }
}
