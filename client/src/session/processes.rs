//! Sessions on processes of this machine: a scheduler and workers, each this same executable started again.

use super::{Place, Session, WORKERS_MAX, remote};
use crate::error::{Error, Result};
use crate::role::{self, Role};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tilework_cluster::connection;
use tilework_cluster::process::{LocalProcess, Output, Spec};
use tilework_worker::RunConfig;
use tilework_worker::process::{Prints, WorkerProcess};

/// How long the processes may take to come up.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a worker looks for a scheduler that is gone before it ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long they get to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// This executable, even if the file it came from was built anew since.
const SELF: &str = "/proc/self/exe";

/// What ends with the session.
struct Cluster {
    processes: Vec<LocalProcess>,
    dir: PathBuf,
}

impl Cluster {
    /// An error where one of the processes has ended.
    fn ended(&mut self) -> Result<()> {
        for process in &mut self.processes {
            if let Ok(Some(status)) = process.status() {
                let why = format!(
                    "{} of the session ended while it started ({status}); what it said is on standard error. If that \
                     was this program's own `main`, `tilework::init();` must be its first line",
                    process.name()
                );
                return Err(Error::Cluster(why));
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Workers first: they have nothing to hand over, and the scheduler would only look for their chunks.
        self.processes.reverse();
        // A process that does not end is killed; there is nobody to tell.
        let _ = LocalProcess::stop_all(&mut self.processes, STOP_GRACE);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(super) fn start(n: usize) -> Result<Session> {
    if !(1..=WORKERS_MAX).contains(&n) {
        let error = tilework_expr::ExprError::Parameter {
            what: "number of worker processes",
            got: n.to_string(),
            expected: "1 to 256",
        };
        return Err(error.into());
    }
    role::is_ours()?;
    let dir = private_dir()?;
    let mut cluster = Cluster { processes: Vec::with_capacity(n + 1), dir };
    let file = cluster.dir.join("connection.json");
    cluster.processes.push(spawn("scheduler".into(), &Role::Scheduler { file: file.clone() })?);
    let threads = (tilework_cluster::limits::cpus() / n).max(1);
    let memory_bytes = tilework_cluster::limits::memory_bytes() / (n as u64 + 1);
    for i in 0..n {
        let name = format!("worker-{i}");
        let config = RunConfig {
            connection_file: file.clone(),
            wait: START_MAX,
            job: None,
            name: name.clone(),
            listen: "127.0.0.1:0".into(),
            announce: None,
            threads,
            memory_bytes,
            patience: PATIENCE,
        };
        let worker = WorkerProcess { config, prints: Prints::Nothing, log: None };
        cluster.processes.push(spawn(name, &Role::Worker(worker))?);
    }
    let io = remote::Io::start()?;
    let file = io.run_while(remote::joined(file, n, START_MAX), || cluster.ended())??;
    remote::open(file, io, Place::OwnProcesses, Box::new(cluster))
}

fn spawn(name: String, role: &Role) -> Result<LocalProcess> {
    let program = PathBuf::from(SELF);
    let spec = Spec {
        name,
        program: program.clone(),
        env: role.environment(),
        output: Output::Inherit,
        args: vec![],
    };
    LocalProcess::spawn(&spec).map_err(|e| Error::Start {
        what: "a process of the session",
        path: program,
        why: chain(&e),
    })
}

/// A new directory that only this user can enter. Its name was never used before: process numbers come again, and a
/// process that was killed may have left its directory.
fn private_dir() -> Result<PathBuf> {
    let cannot = |path: &Path, e: &dyn std::error::Error| {
        Error::Cluster(format!("cannot use {}: {}", path.display(), chain(e)))
    };
    let base = connection::default_dir().map_err(|e| Error::Cluster(chain(&e)))?;
    let dir = base.join(format!("session-{}-{:016x}", std::process::id(), RandomState::new().hash_one(0)));
    connection::create_private_dir(&base).map_err(|e| cannot(&base, &e))?;
    connection::create_private_dir(&dir).map_err(|e| cannot(&dir, &e))?;
    Ok(dir)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
