//! The whole life of a worker process: wait for the connection file, bind, connect, serve chunks, leave.
//!
//! Owns that order. Must not know command lines; signals come as a future.

use crate::driver::WorkerError;
use crate::handle::{Config, StartError, WorkerHandle};
use crate::heap::{give_freed_memory_back, is_all_of_a_worker};
use crate::link::GrpcLink;
use crate::near;
use crate::peer::ChunkClient;
use crate::serve::{ChunkService, ServeError, serve_chunks};
use crate::spill::Spill;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tilework_cluster::connection::{ConnectionError, ConnectionFile};
use tilework_cluster::interfaces::{InterfaceError, Interfaces};
use tilework_cluster::listen::{BindError, bind};
use tilework_kernels::native::build_id;
use tilework_plan::{Tags, WorkerId};
use tilework_proto::LinkError;
use tracing::{info, warn};

/// How long open transfers may take to end when the worker has left.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a worker process needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunConfig {
    /// The connection file of the cluster.
    pub connection_file: PathBuf,
    /// How long to wait for that file.
    pub wait: Duration,
    /// The Slurm job and restart that the file must be of; any where absent.
    pub job: Option<(String, u32)>,
    /// Its name, unique among the living.
    pub name: String,
    /// Where its chunk service listens, `host:port`, as [`tilework_cluster::listen::Listen`] reads it.
    pub listen: String,
    /// Which addresses to announce, as [`Interfaces::announce`] reads it; those that it listens on where absent.
    pub announce: Option<String>,
    /// Threads that compute.
    pub threads: usize,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Where chunks go that this memory does not hold.
    pub spill: Spill,
    /// What it has that some tasks need.
    pub tags: Tags,
    /// How long it tries to reach a scheduler that is gone before it ends.
    pub patience: Duration,
    /// How long a task may run before its job fails; any time where absent.
    pub task_limit: Option<Duration>,
    /// How long a task may go on after it was told to stop before another process takes the worker's place; any time
    /// where absent. For as long, and for a minute at most, a worker that is told to end waits for the tasks that it runs.
    pub stop_limit: Option<Duration>,
}

/// Why a worker process ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The connection file.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// It could not listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It does not know the addresses to announce.
    #[error(transparent)]
    Announce(#[from] InterfaceError),
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The scheduler is gone or did not want it.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// Runs a worker until `shutdown` completes, when it says goodbye first, or until the scheduler is gone and no other has
/// taken its place. `ready` is called when it is connected for the first time.
///
/// # Errors
/// [`RunError`].
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn run(
    config: RunConfig,
    ready: impl FnOnce(WorkerId) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    tokio::pin!(shutdown);
    near::allow_siblings();
    give_freed_memory_back(config.memory_bytes);
    is_all_of_a_worker();
    tilework_cluster::limits::raise_descriptors_max();
    let of_job = |file: &ConnectionFile| match &config.job {
        Some((job, restart)) => file.is_of_job(Some(job), *restart),
        None => true,
    };
    let mut ready = Some(ready);
    loop {
        let file = tokio::select! {
            file = ConnectionFile::wait_for(&config.connection_file, config.wait, of_job) => file?,
            () = &mut shutdown => return Ok(()),
        };
        match serve(&config, file, &mut ready, shutdown.as_mut()).await {
            Err(RunError::Worker(WorkerError::Link(LinkError::Replaced))) => {
                warn!("another scheduler has written the connection file; joining that one");
            }
            ended => return ended,
        }
    }
}

/// Works for the scheduler of one file.
async fn serve(
    config: &RunConfig,
    file: ConnectionFile,
    ready: &mut Option<impl FnOnce(WorkerId) + Send>,
    shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), RunError> {
    let bound = bind(&config.listen)?;
    let addresses = match &config.announce {
        None => bound.addresses().to_vec(),
        Some(choice) => {
            let ips = Interfaces::of_this_host()?.announce(Some(choice))?;
            ips.iter().map(|&ip| SocketAddr::new(ip, bound.port()).to_string()).collect()
        }
    };
    info!(name = config.name, ?addresses, "the worker listens");
    let identity = file.identity();
    let of_worker = Config {
        name: config.name.clone(),
        threads: config.threads,
        memory_bytes: config.memory_bytes,
        spill: config.spill.clone(),
        addresses,
        patience: config.patience,
        // Where the system does not tell it, no function can be called.
        build: Some(build_id().unwrap_or_default().to_owned()),
        tags: config.tags.clone(),
        task_limit: config.task_limit,
        stop_limit: config.stop_limit,
    };
    let link = GrpcLink::new(file).read_from(config.connection_file.clone());
    let peers = Arc::new(ChunkClient::new(&identity));
    let worker = WorkerHandle::start(&of_worker, Arc::new(link), peers)?;
    let bytes_max = usize::try_from(config.memory_bytes).unwrap_or(usize::MAX);
    let service = ChunkService::new(&worker, &identity, bytes_max);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = serve_chunks(bound, &identity, service, async { drop(stopped.await) });
    tokio::pin!(server);
    let life = live(&worker, ready, shutdown);
    tokio::pin!(life);
    let end = tokio::select! {
        end = &mut life => end,
        served = &mut server => {
            worker.stop().await;
            return Ok(served?);
        }
    };
    drop(stop);
    // Whoever still keeps a connection open loses it with the process.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, server).await;
    Ok(end?)
}

async fn live(
    worker: &WorkerHandle,
    ready: &mut Option<impl FnOnce(WorkerId) + Send>,
    mut shutdown: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), WorkerError> {
    tokio::select! {
        joined = worker.joined() => {
            let worker = joined?;
            if let Some(ready) = ready.take() {
                ready(worker);
            }
        }
        () = &mut shutdown => {
            worker.stop().await;
            return Ok(());
        }
    }
    tokio::select! {
        ended = worker.closed() => ended,
        () = &mut shutdown => worker.leave().await,
    }
}
