//! The whole life of a scheduler process: bind, write the connection file, serve, remove the file.
//!
//! Owns that order. Must not know command lines; signals come as a future.

use crate::grpc::{ServeError, serve};
use crate::{Limits, SchedulerHandle};
use std::future::Future;
use std::path::PathBuf;
use tilework_cluster::connection::{ConnectionError, ConnectionFile};
use tilework_cluster::interfaces::{InterfaceError, Interfaces};
use tilework_cluster::listen::{BindError, bind};
use tracing::{info, warn};

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
    /// It could not serve.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs a scheduler until `shutdown` completes. `ready` is called when the connection file is written.
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
    info!(addresses = ?file.addresses, cluster = file.cluster_id, "the scheduler listens");
    ready(&file);
    let served = serve(bound, &file.identity(), handle, shutdown).await;
    if let Err(e) = file.remove_if_ours(&config.connection_file) {
        warn!(error = %e, "the connection file stays");
    }
    Ok(served?)
}
