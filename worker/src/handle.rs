//! The handle of a running worker: starts it, feeds it literals, reads its chunks, ends it.
//!
//! Owns the worker's queues. Must not know gRPC.

use crate::driver::{self, Post, Setup, Shared, WorkerError};
use crate::engine::with_engine;
use crate::peers::{Peers, Uncounted};
use crate::pool::Pool;
use crate::spill::{self, Disk, Spill, SpillError};
use std::sync::Arc;
use std::time::Duration;
use tilework_expr::DType;
use tilework_kernels::{Chunk, Plane};
use tilework_plan::{Hello, LeaseId, Tags, TaskKey, WorkerId, region_shape};
use tilework_proto::WorkerLink;
use tilework_worker_core::{Event, Limits, Worker};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Posts that wait for the driver; whoever posts then waits too.
const INBOX_MAX: usize = 4096;

/// What a worker needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, unique among the living.
    pub name: String,
    /// Threads that compute.
    pub threads: usize,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Where chunks go that this memory does not hold.
    pub spill: Spill,
    /// Where its chunk service listens, `host:port`; none where it has none.
    pub addresses: Vec<String>,
    /// How long it tries to reach a scheduler that is gone before it ends.
    pub patience: Duration,
    /// The build whose functions it can call, where programs may be of another one; absent where they cannot.
    pub build: Option<String>,
    /// What it has that some tasks need.
    pub tags: Tags,
    /// How long a task may run before its job fails; any time where absent.
    pub task_limit: Option<Duration>,
    /// How long a task may go on after it was told to stop before the worker ends with [`WorkerError::Stuck`], to be
    /// replaced; any time where absent.
    pub stop_limit: Option<Duration>,
}

impl Config {
    /// A worker of this process, without a port, whose tasks may take any time: no other process could take its place.
    #[must_use]
    pub fn local(name: impl Into<String>, threads: usize, memory_bytes: u64) -> Config {
        let name = name.into();
        let (addresses, patience) = (Vec::new(), Duration::ZERO);
        let (task_limit, stop_limit) = (None, None);
        let spill = Spill::default();
        Config {
            name,
            threads,
            memory_bytes,
            spill,
            addresses,
            patience,
            build: None,
            tags: Tags::new(),
            task_limit,
            stop_limit,
        }
    }
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The threads that compute.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// How many.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
    /// The directory for chunks that memory does not hold.
    #[error(transparent)]
    Spill(#[from] SpillError),
}

/// Why a chunk was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PutError {
    /// It is not what the lease is for.
    #[error("{0}")]
    Refused(String),
    /// The worker has ended.
    #[error("the worker has ended")]
    Ended,
}

/// A running worker. Cheap to clone; it ends when all clones are dropped, at [`WorkerHandle::stop`], or when the
/// scheduler is gone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use tilework_scheduler::{Limits, SchedulerHandle};
/// use tilework_worker::{Config, LocalPeers, WorkerHandle};
///
/// let scheduler = SchedulerHandle::start(Limits::default());
/// let (link, peers) = (Arc::new(scheduler.clone()), Arc::new(LocalPeers::default()));
/// let worker = WorkerHandle::start(&Config::local("w", 2, 1 << 30), link, peers).unwrap();
/// let number = worker.joined().await.unwrap();
/// assert_eq!(scheduler.state().await.unwrap().workers[0].worker, number);
/// worker.leave().await.unwrap();
/// assert!(scheduler.state().await.unwrap().workers.is_empty());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct WorkerHandle {
    inbox: mpsc::Sender<Post>,
    shared: Arc<Shared>,
    ended: watch::Receiver<Option<Result<(), WorkerError>>>,
    task: Arc<tokio::task::AbortHandle>,
}

impl WorkerHandle {
    /// Starts a worker on the current runtime. It connects by itself; see [`WorkerHandle::joined`].
    ///
    /// # Errors
    /// [`StartError`] where the system gives no threads, or a directory that was named cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        config: &Config,
        link: Arc<dyn WorkerLink>,
        peers: Arc<dyn Peers>,
    ) -> Result<WorkerHandle, StartError> {
        let threads = config.threads.max(1);
        let disk = spill::open(&config.spill)?.map(Disk::new);
        let space = disk.as_ref().map(|disk| Arc::clone(disk.space()));
        let spill_bytes = space.as_ref().map_or(0, |space| space.limit_bytes());
        let pool = Pool::new(threads, space).map_err(|source| StartError::Threads { threads, source })?;
        let hello = Hello {
            name: config.name.clone(),
            incarnation: incarnation(),
            threads: threads as u32,
            memory_bytes: config.memory_bytes,
            spill_bytes,
            addresses: config.addresses.clone(),
            build: config.build.clone(),
            tags: with_engine(&config.tags),
        };
        let (inbox, posts) = mpsc::channel(INBOX_MAX);
        let shared = Arc::new(Shared {
            store: Arc::default(),
            plans: Arc::default(),
            number: watch::channel(None).0,
            inbox: inbox.downgrade(),
            uncounted: Uncounted::of(config.memory_bytes),
            spill_bytes,
        });
        let us = |limit: Duration| u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let limits = Limits {
            spill_bytes,
            task_us_max: config.task_limit.map(us),
            stop_us_max: config.stop_limit.map(us),
            ..Limits::new(threads as u32, config.memory_bytes)
        };
        let setup = Setup {
            core: Worker::new(limits),
            hello,
            link,
            peers,
            pool,
            shared: shared.clone(),
            disk,
            patience: config.patience,
            leave: config.stop_limit.map_or(driver::LEAVE_TIMEOUT, |limit| limit.min(driver::LEAVE_TIMEOUT)),
        };
        let (ending, ended) = watch::channel(None);
        let driver: JoinHandle<()> = tokio::spawn({
            let inbox = inbox.downgrade();
            async move {
                let end = driver::drive(setup, inbox, posts).await;
                ending.send_replace(Some(end));
            }
        });
        Ok(WorkerHandle { inbox, shared, ended, task: Arc::new(driver.abort_handle()) })
    }

    /// The number that the scheduler gave it; `None` while it is not connected. It has another after a reconnect.
    #[must_use]
    pub fn worker_id(&self) -> Option<WorkerId> {
        *self.shared.number.borrow()
    }

    /// Waits until it is connected, and returns its number.
    ///
    /// # Errors
    /// [`WorkerError`] where it ended instead.
    pub async fn joined(&self) -> Result<WorkerId, WorkerError> {
        let mut number = self.shared.number.subscribe();
        let mut ended = self.ended.clone();
        tokio::select! {
            found = number.wait_for(Option::is_some) => {
                if let Ok(Some(worker)) = found.as_deref() {
                    return Ok(*worker);
                }
            }
            _ = ended.wait_for(Option::is_some) => {}
        }
        self.closed().await?;
        Err(WorkerError::Dismissed("it was stopped".into()))
    }

    /// Bytes of chunks that it may write to its disk.
    #[must_use]
    pub fn spill_bytes(&self) -> u64 {
        self.shared.spill_bytes
    }

    /// Bytes of the chunks that it holds in memory.
    #[must_use]
    pub fn bytes_held(&self) -> u64 {
        self.shared.store.bytes()
    }

    /// The chunk, if this worker holds it: results are gathered from workers of this process without a port. It is read
    /// on this thread where it is on the disk.
    #[must_use]
    pub fn get_local(&self, key: TaskKey) -> Option<Chunk> {
        self.shared.shelf().get_blocking(key).ok()
    }

    /// Puts a literal's chunk here, for the lease that the scheduler named to the client. Shares the bytes: whether they
    /// are `borrowed`, so that the client has them all the same, or count here, the client says.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn put_local(
        &self,
        (lease, key): (LeaseId, TaskKey),
        chunk: Chunk,
        borrowed: bool,
    ) -> Result<(), PutError> {
        self.putter().put(lease, key, chunk, borrowed).await
    }

    pub(crate) fn putter(&self) -> Putter {
        Putter { inbox: self.inbox.downgrade(), shared: self.shared.clone() }
    }

    /// Says goodbye to the scheduler and ends when it lets the worker go. Waits until it has ended.
    ///
    /// # Errors
    /// [`WorkerError`] where it ended for another reason.
    pub async fn leave(&self) -> Result<(), WorkerError> {
        // Err: it has ended already.
        let _ = self.inbox.send(Post::Leave).await;
        self.closed().await
    }

    /// Ends the worker; the scheduler sees its connection close. Waits until it has ended.
    pub async fn stop(&self) {
        // Err: it has ended already.
        let _ = self.inbox.send(Post::Stop).await;
        let _ = self.closed().await;
    }

    /// Ends the worker at once, as if its process had been killed.
    pub fn kill(&self) {
        self.task.abort();
    }

    /// Waits until the worker has ended, and says why.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub async fn closed(&self) -> Result<(), WorkerError> {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await;
        // Err: the driver was killed, or its runtime is gone.
        end.map_or(Ok(()), |end| end.clone().unwrap_or(Ok(())))
    }
}

/// Takes literals' chunks, in process and from the chunk service.
#[derive(Clone, Debug)]
pub(crate) struct Putter {
    inbox: mpsc::WeakSender<Post>,
    pub shared: Arc<Shared>,
}

impl Putter {
    /// Checks that the lease wants a chunk of these planes; waits until the lease is known.
    pub(crate) async fn expects(
        &self,
        lease: LeaseId,
        key: TaskKey,
        dtypes: &[DType],
        shape: &[usize],
    ) -> Result<(), PutError> {
        // One that has ended in order has forgotten its leases, and none will come.
        if self.inbox.upgrade().is_none_or(|inbox| inbox.is_closed()) {
            return Err(PutError::Ended);
        }
        let job = self.shared.plans.literal_plan(lease, key).await.map_err(PutError::Refused)?;
        let expected = region_shape(&job.plan.out_region(key.stage, key.chunk));
        let planes = &job.work(key.stage).planes;
        // A value has any number of bytes.
        let is_value = job.plan.stage(key.stage).is_measured() && shape.len() == expected.len();
        if dtypes == *planes && (is_value || shape == expected) {
            return Ok(());
        }
        let why =
            format!("got planes {dtypes:?} of shape {shape:?}, expected {planes:?} of shape {expected:?}");
        Err(PutError::Refused(why))
    }

    /// Takes a chunk, if the lease wants it; `borrowed` bytes are the client's.
    pub(crate) async fn put(
        &self,
        lease: LeaseId,
        key: TaskKey,
        chunk: Chunk,
        borrowed: bool,
    ) -> Result<(), PutError> {
        let epoch = self.shared.store.epoch();
        let dtypes: Vec<_> = chunk.planes.iter().map(Plane::dtype).collect();
        let shape = chunk.planes.first().map_or(&[][..], Plane::shape);
        if chunk.planes.iter().any(|p| p.shape() != shape) {
            return Err(PutError::Refused("its planes are of different shapes".into()));
        }
        self.expects(lease, key, &dtypes, shape).await?;
        let bytes = chunk.bytes() as u64;
        if !self.shared.store.put(epoch, key, chunk) {
            return Err(PutError::Refused("the worker lost its scheduler".into()));
        }
        let inbox = self.inbox.upgrade().ok_or(PutError::Ended)?;
        let put = Post::Events(vec![Event::Put { lease, key, bytes, borrowed }]);
        inbox.send(put).await.map_err(|_| PutError::Ended)
    }
}

/// A number that tells this life of the process from every other.
fn incarnation() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library's seeds come from the operating system.
    RandomState::new().hash_one(std::process::id())
}
