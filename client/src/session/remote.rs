//! Sessions on a cluster that is named by a connection file.

use super::data::{DataPlane, Holder, Upload};
use super::jobs::Jobs;
use super::processes::chain;
use super::{Place, Session, WorkerSize, Workers};
use crate::error::{Error, Result};
use crate::role;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use tilework_cluster::connection::ConnectionFile;
use tilework_expr::TaskKey;
use tilework_kernels::Chunk;
use tilework_scheduler::{WorkerSummary, remote};
use tilework_worker::{ChunkClient, TransferError};
use tokio::runtime::Runtime;

/// How long the scheduler is tried.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// Pause between two looks at how many workers have joined.
const JOIN_PAUSE: Duration = Duration::from_millis(20);
/// Chunks that are gathered at once.
const GETS_AT_ONCE: usize = 8;
/// Threads of the runtime that carries messages and chunks.
const MESSAGE_THREADS: usize = 2;

/// The runtime of a session; calls from outside wait on a channel, so that they may come from any thread.
pub(super) struct Io(Option<Runtime>);

impl Io {
    pub(super) fn start() -> Result<Io> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(MESSAGE_THREADS)
            .thread_name("tilework-messages")
            .enable_all()
            .build();
        Ok(Io(Some(runtime.map_err(|e| Error::Cluster(format!("cannot start a runtime: {e}")))?)))
    }

    fn run<F>(&self, future: F) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.run_while(future, || Ok(()))
    }

    /// What a future gives, as long as `check` finds nothing wrong; it is called now and then meanwhile.
    pub(super) fn run_while<F>(&self, future: F, mut check: impl FnMut() -> Result<()>) -> Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (done, result) = mpsc::sync_channel(1);
        let runtime = self.0.as_ref().expect("a session has its runtime until it is dropped");
        runtime.spawn(async move {
            // Err: whoever waited is gone.
            let _ = done.send(future.await);
        });
        loop {
            match result.recv_timeout(JOIN_PAUSE) {
                Ok(output) => return Ok(output),
                Err(RecvTimeoutError::Timeout) => check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Cluster("the session's runtime has ended".into()));
                }
            }
        }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Network {
    chunks: ChunkClient,
    io: Arc<Io>,
}

impl DataPlane for Network {
    fn put(&self, to: &Holder, upload: Upload) -> Result<()> {
        let (chunks, addresses) = (self.chunks.clone(), to.addresses.clone());
        let put = async move { chunks.put(&addresses, upload.lease, upload.key, &upload.chunk).await };
        self.io
            .run(put)?
            .map_err(|e| Error::Cluster(format!("cannot put a chunk to {}: {e}", to.addresses.join(" "))))
    }

    fn get(&self, from: &Holder, key: TaskKey) -> Result<Option<Chunk>> {
        let (chunks, addresses) = (self.chunks.clone(), from.addresses.clone());
        let got = self.io.run(async move { chunks.get(&addresses, key, None, isize::MAX as usize).await })?;
        match got {
            Ok(chunk) => Ok(Some(chunk)),
            Err(e @ (TransferError::Malformed(_) | TransferError::TooLarge { .. })) => {
                Err(Error::Cluster(format!("a chunk from {}: {e}", from.addresses.join(" "))))
            }
            Err(_) => Ok(None),
        }
    }

    fn gets_at_once(&self) -> usize {
        GETS_AT_ONCE
    }
}

/// Connects to the cluster of a file that is there.
pub(super) fn connect(path: &Path, backing: Box<dyn Send + Sync>) -> Result<Session> {
    role::is_ours()?;
    let file = ConnectionFile::read(path).map_err(|e| Error::Cluster(chain(&e)))?;
    open(file, Io::start()?, Place::Cluster, backing)
}

/// Waits for the file of a cluster that is starting and for `n` workers.
pub(super) async fn joined(path: PathBuf, n: usize, timeout: Duration) -> Result<ConnectionFile> {
    let started = Instant::now();
    let file = ConnectionFile::wait(&path, timeout).await.map_err(|e| Error::Cluster(chain(&e)))?;
    loop {
        let state = remote::state(&file, timeout.saturating_sub(started.elapsed())).await;
        let late = started.elapsed() > timeout;
        match state.map(|s| s.workers.len()) {
            Ok(found) if found >= n => return Ok(file),
            Err(e) if late => return Err(Error::Cluster(e.to_string())),
            Ok(found) if late => {
                let waited = timeout.as_secs();
                return Err(Error::Cluster(format!("{found} of {n} workers have joined after {waited} s")));
            }
            _ => tokio::time::sleep(JOIN_PAUSE).await,
        }
    }
}

pub(super) fn open(
    file: ConnectionFile,
    io: Io,
    place: Place,
    backing: Box<dyn Send + Sync>,
) -> Result<Session> {
    let io = Arc::new(io);
    let roster = Roster { file, io: Arc::clone(&io) };
    let workers = roster.workers()?;
    let seen = roster.file.clone();
    let client = io.run(async move { remote::session(&seen, CONNECT_MAX).await })?;
    let client = client.map_err(|e| Error::Cluster(chain(&e)))?;
    let chunks = ChunkClient::new(&roster.file.identity());
    let data: Arc<dyn DataPlane> = Arc::new(Network { chunks, io: Arc::clone(&io) });
    let jobs = Jobs::start(client, Arc::clone(&data))?;
    // Dropped in this order: the processes of the session, then the runtime.
    let backing = Box::new((backing, io));
    Ok(Session::new(jobs, data, place, Workers { at_start: workers, roster: Some(roster) }, backing))
}

/// Who works on a cluster, as its scheduler knows.
pub(super) struct Roster {
    file: ConnectionFile,
    io: Arc<Io>,
}

impl Roster {
    /// The workers that there are now.
    pub(super) fn workers(&self) -> Result<Vec<WorkerSize>> {
        let size = |w: WorkerSummary| WorkerSize { threads: w.threads, memory_bytes: w.memory_bytes };
        Ok(self.summaries()?.into_iter().map(size).collect())
    }

    /// The build whose functions each of them can call; absent where that is any.
    pub(super) fn builds(&self) -> Result<Vec<Option<String>>> {
        Ok(self.summaries()?.into_iter().map(|w| w.build).collect())
    }

    fn summaries(&self) -> Result<Vec<WorkerSummary>> {
        let seen = self.file.clone();
        let state = self.io.run(async move { remote::state(&seen, CONNECT_MAX).await })?;
        Ok(state.map_err(|e| Error::Cluster(chain(&e)))?.workers)
    }
}
