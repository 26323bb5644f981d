//! The whole life of a scheduler process: bind, write the connection file, serve, remove the file.
//!
//! Owns that order. Must not know command lines; signals come as a future.

use crate::grpc::{ServeError, serve};
use crate::remote::Monitor;
use crate::{Limits, SchedulerHandle};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tilework_cluster::connection::{ConnectionError, ConnectionFile, Turn};
use tilework_cluster::interfaces::{InterfaceError, Interfaces};
use tilework_cluster::listen::{BindError, bind};
use tilework_cluster::who::Who;
use tracing::{debug, info, warn};

/// How long a scheduler that wrote the connection file before is looked for.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long others that start may take to find out that they must not, or to put an end to the one that runs.
const TURN_WAIT_MAX: Duration = Duration::from_secs(35);
/// The pause between two looks whether they have.
const TURN_PAUSE: Duration = Duration::from_millis(20);

/// What a scheduler process needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the connection file is written.
    pub connection_file: PathBuf,
    /// Where to listen, `host:port`, as [`tilework_cluster::listen::Listen`] reads it.
    pub listen: String,
    /// Which addresses to put into the connection file, as [`Interfaces::announce`] reads it; those that it listens
    /// on where absent.
    pub announce: Option<String>,
    /// The Slurm job that this runs in.
    pub job: Option<String>,
    /// How often that job was requeued.
    pub restart_count: u32,
    /// Whether a scheduler that already serves this connection file is stopped; else this one does not start.
    pub replace: bool,
    /// The state machine's limits.
    pub limits: Limits,
}

/// Why a scheduler process ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It does not know the addresses to announce.
    #[error(transparent)]
    Announce(#[from] InterfaceError),
    /// The connection file could not be made.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// Another scheduler serves the connection file.
    #[error(
        "a scheduler already serves {path}, at {at}: stop it first, name another connection file for this one, or let it \
         take over", path = path.display()
    )]
    Running {
        /// The connection file.
        path: PathBuf,
        /// The other's addresses.
        at: String,
    },
    /// The other scheduler did not stop.
    #[error("the scheduler that serves {path} was to be replaced: {why}", path = path.display())]
    NotReplaced {
        /// The connection file.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// It could not serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs a scheduler until `shutdown` completes or it is asked to stop. `ready` is called when the connection file is written.
///
/// # Errors
/// [`RunError`]; the connection file is removed then too.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn run(
    config: Config,
    ready: impl FnOnce(&ConnectionFile) + Send,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    tilework_cluster::limits::raise_descriptors_max();
    let turn = turn(&config.connection_file).await;
    make_way(&config.connection_file, config.replace).await?;
    let bound = bind(&config.listen)?;
    let addresses = match &config.announce {
        None => bound.addresses().to_vec(),
        Some(choice) => {
            let ips = Interfaces::of_this_host()?.announce(Some(choice))?;
            ips.iter().map(|&ip| std::net::SocketAddr::new(ip, bound.port()).to_string()).collect()
        }
    };
    let file = ConnectionFile::create(addresses, config.job.clone(), config.restart_count)?;
    let handle = SchedulerHandle::start(config.limits);
    file.write(&config.connection_file)?;
    drop(turn);
    info!(addresses = ?file.addresses, cluster = file.cluster_id, "the scheduler listens");
    ready(&file);
    let served = serve(bound, &file.identity(), handle, shutdown).await;
    if let Err(e) = file.remove_if_ours(&config.connection_file) {
        warn!(error = %e, "the connection file stays");
    }
    Ok(served?)
}

/// Waits until no other that starts looks at the connection file, or for so long that none can be at it any more.
async fn turn(path: &Path) -> Option<Turn> {
    let started = Instant::now();
    loop {
        match Turn::try_take(path) {
            Ok(None) if started.elapsed() < TURN_WAIT_MAX => tokio::time::sleep(TURN_PAUSE).await,
            Ok(turn) => return turn,
            Err(error) => {
                debug!(%error, "there are no turns at the connection file");
                return None;
            }
        }
    }
}

/// Sees to it that no other scheduler serves the connection file: whoever waits for one would find either.
async fn make_way(path: &Path, replace: bool) -> Result<(), RunError> {
    let Ok(file) = ConnectionFile::read(path) else { return Ok(()) };
    // A file whose scheduler does not answer is left over.
    let Ok(mut other) = Monitor::connect(&file, LOOK_TIMEOUT).await else { return Ok(()) };
    if other.state().await.is_err() {
        return Ok(());
    }
    if !replace {
        return Err(RunError::Running { path: path.into(), at: file.addresses.join(" or ") });
    }
    let failed = |why: String| RunError::NotReplaced { path: path.into(), why };
    let by = format!("the scheduler that takes its place, of {}", Who::this_process());
    other.stop(&by).await.map_err(|e| failed(e.to_string()))?;
    let ended = tokio::time::timeout(STOP_TIMEOUT, other.ended()).await;
    ended.map_err(|_| failed(format!("it did not end within {} s", STOP_TIMEOUT.as_secs())))
}
