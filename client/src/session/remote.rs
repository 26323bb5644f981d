//! Sessions on a cluster that is named by a connection file.

use super::data::{Answer, Asked, DataPlane, Holder, Taker, Upload};
use super::jobs::Jobs;
use super::line::Reconnect;
use super::processes::Processes;
use super::{Place, Session, WorkerSize, Workers};
use crate::error::{ClusterError, Error, Result, chain};
use crate::role;
use std::collections::VecDeque;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tilework_cluster::connection::{ConnectionError, ConnectionFile};
use tilework_plan::{Tags, TaskKey, WorkerId};
use tilework_proto::ClientSession;
use tilework_scheduler::{WorkerSummary, remote};
use tilework_worker::{ChunkClient, TransferError};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long the scheduler is tried.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// How long one that was there is tried when the connection to it was lost.
const RECONNECT_MAX: Duration = Duration::from_secs(3);
/// How long a connection may take to end with its session.
const GOODBYE_MAX: Duration = Duration::from_millis(200);
/// Pause between two looks at how many workers have joined.
const JOIN_PAUSE: Duration = Duration::from_millis(20);
/// Workers of which is remembered that they are gone: what was begun with earlier ones has ended since.
const LOST_MAX: usize = 1024;
/// Threads of the runtime that carries messages and chunks.
const MESSAGE_THREADS: usize = 2;

/// The runtime of a session; calls from outside wait on a channel, so that they may come from any thread.
pub(super) struct Io {
    runtime: Option<Runtime>,
    /// Of each connection to the scheduler, what closes when it has ended.
    connections: Mutex<Vec<mpsc::Receiver<()>>>,
}

impl Io {
    pub(super) fn start() -> Result<Io> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(MESSAGE_THREADS)
            .thread_name("tilework-messages")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|e| Error::system("start a runtime", e))?;
        Ok(Io { runtime: Some(runtime), connections: Mutex::default() })
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
        self.runtime().spawn(async move {
            // Err: whoever waited is gone.
            let _ = done.send(future.await);
        });
        loop {
            match result.recv_timeout(JOIN_PAUSE) {
                Ok(output) => return Ok(output),
                Err(RecvTimeoutError::Timeout) => check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "the session's runtime has ended".to_owned();
                    return Err(ClusterError::Ended(why).into());
                }
            }
        }
    }
}

impl Io {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a session has its runtime until it is dropped")
    }

    /// A connection to the scheduler of a file.
    fn connected(&self, file: ConnectionFile, within: Duration) -> Result<ClientSession> {
        let session = self.run(async move { remote::session(&file, within).await })?;
        let mut session = session.map_err(ClusterError::from)?;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|c| c.try_recv() != Err(TryRecvError::Disconnected));
        connections.extend(session.carried.take());
        Ok(session)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // So that the scheduler need not wait for somebody who will not come back.
        let until = Instant::now() + GOODBYE_MAX;
        for connection in self.connections.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // Err: it has ended, or takes too long.
            let _ = connection.recv_timeout(until.saturating_duration_since(Instant::now()));
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Network {
    chunks: ChunkClient,
    io: Arc<Io>,
    /// The workers that ended last.
    lost: watch::Sender<VecDeque<WorkerId>>,
}

/// Completes when a worker is known to be gone.
async fn gone(mut lost: watch::Receiver<VecDeque<WorkerId>>, worker: WorkerId) {
    if lost.wait_for(|all| all.contains(&worker)).await.is_err() {
        // The session ends, and what waits with it.
        std::future::pending::<()>().await;
    }
}

impl DataPlane for Network {
    fn put(&self, to: &Holder, upload: Upload) -> std::result::Result<(), String> {
        let (chunks, addresses, worker) = (self.chunks.clone(), to.addresses.clone(), to.worker);
        let lost = self.lost.subscribe();
        let put = async move {
            tokio::select! {
                put = chunks.put(&addresses, upload.lease, upload.key, &upload.chunk) => {
                    put.map_err(|e| e.to_string())
                }
                () = gone(lost, worker) => Err("it is gone".to_owned()),
            }
        };
        self.io.run(put).map_err(|ended| ended.to_string())?
    }

    fn get(&self, from: &Holder, key: TaskKey, taker: Taker) -> Asked {
        let (chunks, addresses) = (self.chunks.clone(), from.addresses.clone());
        let task = self.io.runtime().spawn(async move {
            let got = chunks.get(&addresses, key, None, isize::MAX as usize).await;
            taker(match got {
                Ok(chunk) => Answer::Chunk(chunk),
                Err(e @ (TransferError::Malformed(_) | TransferError::TooLarge { .. })) => {
                    let error = format!("a chunk from {}: {e}", addresses.join(" "));
                    Answer::Wrong(ClusterError::Malformed(error))
                }
                Err(e) => Answer::Nothing(e.to_string()),
            });
        });
        Asked::by(task.abort_handle())
    }

    fn is_lost(&self, worker: WorkerId) -> bool {
        self.lost.borrow().contains(&worker)
    }

    fn lost(&self, worker: WorkerId) {
        self.lost.send_if_modified(|all| {
            let new = !all.contains(&worker);
            if new {
                all.truncate(LOST_MAX - 1);
                all.push_front(worker);
            }
            new
        });
    }
}

/// Connects to the cluster of a file that is there.
pub(super) fn connect(path: &Path, backing: Box<dyn Send + Sync>) -> Result<Session> {
    role::is_ours()?;
    let file = ConnectionFile::read(path).map_err(|e| no_file(&e))?;
    open(file, Io::start()?, Of::Cluster(path), backing)
}

/// What is wrong with a connection file.
fn no_file(error: &ConnectionError) -> ClusterError {
    let why = chain(error);
    match error {
        ConnectionError::WaitedTooLong { .. } => ClusterError::Late(why),
        _ => ClusterError::ConnectionFile(why),
    }
}

/// Waits for the file of a cluster of this executable that is starting, and for `n` workers.
pub(super) async fn joined(path: PathBuf, n: usize, timeout: Duration) -> Result<ConnectionFile> {
    let started = Instant::now();
    let file = ConnectionFile::wait(&path, timeout).await.map_err(|e| no_file(&e))?;
    loop {
        let state = remote::state(&file, timeout.saturating_sub(started.elapsed())).await;
        let late = started.elapsed() > timeout;
        match state.map(|s| s.workers.len()) {
            Ok(found) if found >= n => return Ok(file),
            Err(e) if late => return Err(ClusterError::Late(e.to_string()).into()),
            Ok(found) if late => {
                let waited = timeout.as_secs();
                let why = format!("{found} of {n} workers have joined after {waited} s");
                return Err(ClusterError::Late(why).into());
            }
            _ => tokio::time::sleep(JOIN_PAUSE).await,
        }
    }
}

/// Whose scheduler and workers they are.
pub(super) enum Of<'a> {
    /// The session's own.
    Processes(Arc<Processes>, Vec<Tags>),
    /// Those that the connection file at this path names.
    Cluster(&'a Path),
}

pub(super) fn open(
    file: ConnectionFile,
    io: Io,
    of: Of<'_>,
    backing: Box<dyn Send + Sync>,
) -> Result<Session> {
    let ((place, tags), processes, path) = match of {
        Of::Processes(processes, tags) => ((Place::OwnProcesses, Some(tags)), Some(processes), None),
        Of::Cluster(path) => ((Place::Cluster, None), None, Some(path.to_owned())),
    };
    let io = Arc::new(io);
    let roster = Roster { file, io: Arc::clone(&io) };
    let workers = roster.workers()?;
    let client = io.connected(roster.file.clone(), CONNECT_MAX)?;
    let chunks = ChunkClient::new(&roster.file.identity());
    let data: Arc<dyn DataPlane> =
        Arc::new(Network { chunks, io: Arc::clone(&io), lost: watch::channel(VecDeque::new()).0 });
    let reconnect = reconnect(roster.file.clone(), path, Arc::clone(&io));
    let jobs = Jobs::start(client, Arc::clone(&data), processes.clone(), Some(reconnect))?;
    if let Some(processes) = processes {
        processes.look_after(Arc::downgrade(&jobs))?;
    }
    // Dropped in this order: the processes of the session, then the runtime.
    let backing = Box::new((backing, io));
    Ok(Session::new(jobs, data, place, Workers { at_start: workers, roster: Some(roster), tags }, backing))
}

/// Connects to the same scheduler again; says so where the connection file, if there is one, names another by now.
fn reconnect(file: ConnectionFile, path: Option<PathBuf>, io: Arc<Io>) -> Reconnect {
    Box::new(move || {
        io.connected(file.clone(), RECONNECT_MAX).map_err(|error| {
            let other = |path: &&PathBuf| {
                ConnectionFile::read(path).is_ok_and(|there| there.cluster_id != file.cluster_id)
            };
            let hint = path.as_ref().filter(other).map(|path| {
                format!("; {} names another scheduler by now: connect to that one", path.display())
            });
            format!("{error}{}", hint.unwrap_or_default())
        })
    })
}

/// Who works on a cluster, as its scheduler knows.
pub(super) struct Roster {
    file: ConnectionFile,
    io: Arc<Io>,
}

impl Roster {
    /// The workers that there are now.
    pub(super) fn workers(&self) -> Result<Vec<WorkerSize>> {
        let size = |w: WorkerSummary| WorkerSize {
            threads: w.threads,
            memory_bytes: w.memory_bytes,
            spill_bytes: w.spill_bytes,
        };
        Ok(self.summaries()?.into_iter().map(size).collect())
    }

    /// The build whose functions each of them can call; absent where that is any.
    pub(super) fn builds(&self) -> Result<Vec<Option<String>>> {
        Ok(self.summaries()?.into_iter().map(|w| w.build).collect())
    }

    fn summaries(&self) -> Result<Vec<WorkerSummary>> {
        let seen = self.file.clone();
        let state = self.io.run(async move { remote::state(&seen, CONNECT_MAX).await })?;
        Ok(state.map_err(ClusterError::from)?.workers)
    }
}
