//! Sessions inside this process: scheduler and workers on a small runtime of their own, no port, no copies.

use super::data::{Answer, Asked, DataPlane, Holder, Taker, Upload};
use super::jobs::Jobs;
use super::wait::wait_for;
use super::{EmbeddedOptions, Place, Session, WorkerSize, Workers, size};
use crate::error::{Error, Result};
use crate::role;
use std::sync::Arc;
use tilework_cluster::limits;
use tilework_plan::{TaskKey, WorkerId};
use tilework_scheduler::{Limits, SchedulerHandle};
use tilework_worker::{Config, LocalPeers, WorkerHandle};
use tokio::runtime::Runtime;

/// Threads of the runtime that carries messages; the workers' pools compute.
const MESSAGE_THREADS: usize = 1;

/// The memory of the workers of this process.
struct Local {
    workers: Vec<WorkerHandle>,
    /// For the timers of what is waited for here.
    runtime: tokio::runtime::Handle,
}

impl Local {
    fn find(&self, worker: WorkerId) -> Option<&WorkerHandle> {
        self.workers.iter().find(|w| w.worker_id() == Some(worker))
    }
}

impl DataPlane for Local {
    fn put(&self, to: &Holder, upload: Upload) -> std::result::Result<(), String> {
        let gone = || format!("worker {} of this process has ended", to.worker.0);
        let worker = self.find(to.worker).ok_or_else(gone)?;
        let _entered = self.runtime.enter();
        let put = worker.put_local((upload.lease, upload.key), upload.chunk, upload.borrowed);
        wait_for(put).map_err(|e| e.to_string())
    }

    fn get(&self, from: &Holder, key: TaskKey, taker: Taker) -> Asked {
        let found = self.find(from.worker).ok_or_else(|| "it has ended".to_owned());
        let chunk = found.and_then(|w| w.get_local(key).ok_or_else(|| "it does not have it".to_owned()));
        taker(chunk.map_or_else(Answer::Nothing, Answer::Chunk));
        Asked::answered()
    }

    fn lost(&self, _: WorkerId) {}

    fn is_lost(&self, worker: WorkerId) -> bool {
        self.find(worker).is_none()
    }
}

/// Ends with the session.
struct Running(Option<Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Not waited for: the last clone of a session may be dropped anywhere, within a runtime too.
            runtime.shutdown_background();
        }
    }
}

pub(super) fn start(options: &EmbeddedOptions) -> Result<Session> {
    role::is_ours()?;
    #[cfg(feature = "dataframe")]
    crate::dataframe::install();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(MESSAGE_THREADS)
        .thread_name("tilework-messages")
        .enable_all()
        .build()
        .map_err(|e| Error::system("start a runtime", e))?;
    let n = options.workers;
    let threads = options.threads_per_worker.unwrap_or_else(|| (limits::cpus() / n).max(1));
    let told = options.memory_bytes_per_worker.map_or_else(size::memory_bytes, |bytes| Ok(Some(bytes)))?;
    if let Some(bytes) = told {
        tilework_worker::give_freed_memory_back(bytes.saturating_mul(n as u64));
    }
    let memory_bytes = told.unwrap_or_else(|| limits::memory_bytes() / n as u64);
    let (spill, tags) = (size::spill()?, size::tags()?);
    let failed = |e: &dyn std::error::Error| Error::system("start an embedded session", e);

    let _entered = runtime.enter();
    let scheduler = SchedulerHandle::start(Limits { silence_max_us: None, ..Limits::default() });
    let peers = Arc::new(LocalPeers::default());
    let mut workers = Vec::with_capacity(n);
    for i in 0..n {
        let (spill, tags) = (spill.clone(), tags.clone());
        let local = Config::local(format!("embedded-{i}"), threads, memory_bytes);
        let config = Config { spill, tags, ..local };
        let worker = WorkerHandle::start(&config, Arc::new(scheduler.clone()), Arc::clone(&peers) as _);
        workers.push(worker.map_err(|e| failed(&e))?);
    }
    for worker in &workers {
        wait_for(worker.joined()).map_err(|e| failed(&e))?;
    }
    let spill_bytes = workers.iter().map(WorkerHandle::spill_bytes).min().unwrap_or(0);
    let size = WorkerSize { threads: threads as u32, memory_bytes, spill_bytes };
    let client = wait_for(scheduler.client()).map_err(|e| failed(&e))?;
    let data: Arc<dyn DataPlane> = Arc::new(Local { workers, runtime: runtime.handle().clone() });
    let jobs = Jobs::start(client, Arc::clone(&data), None, None)?;
    drop(_entered);
    let backing = Box::new((scheduler, Running(Some(runtime))));
    let workers = Workers { at_start: vec![size; n], roster: None, tags: Some(vec![tags]) };
    Ok(Session::new(jobs, data, Place::Here, workers, backing))
}
