//! The other workers as a worker sees them: one trait, in process and over the network.
//!
//! Owns where a chunk of another worker comes from. Must not know why it is wanted.

use crate::store::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tilework_expr::{ChunkIdx, Region, TaskKey, WorkerId};
use tilework_kernels::Chunk;
use tilework_proto::session::BoxFuture;
use tilework_worker_core::Source;

/// What is asked of another worker.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted {
    /// Who has it.
    pub from: WorkerId,
    /// Where that worker's chunk service listens.
    pub addresses: Vec<String>,
    /// The chunk.
    pub key: TaskKey,
    /// The box of it, in the coordinates of the array; all of it where absent.
    pub region: Option<Region>,
    /// The most bytes that may come.
    pub bytes_max: usize,
}

/// The memory of one worker of this process, for the others in it.
#[derive(Clone, Debug)]
pub struct Shelf {
    pub(crate) store: Arc<Store>,
    pub(crate) plans: Arc<crate::plans::Plans>,
}

impl Shelf {
    /// The chunk, or the box of it, if it is here. Shares the bytes.
    ///
    /// # Errors
    /// In words, where it is not, or the box leaves it.
    pub(crate) fn get(&self, key: TaskKey, region: Option<&Region>) -> Result<Chunk, String> {
        let stored = self.store.get(&Source::Held(key)).ok_or_else(|| absent(key))?;
        let Some(region) = region else { return Ok(stored.chunk) };
        let of = match stored.region {
            Some(of) => of,
            None => self.plans.out_region(key).ok_or_else(|| absent(key))?,
        };
        let inside = region.len() == of.len()
            && region
                .iter()
                .zip(&of)
                .all(|(r, of)| of.start <= r.start && r.start <= r.end && r.end <= of.end);
        if !inside {
            return Err(format!("box {region:?} leaves the chunk's, {of:?}"));
        }
        let relative: Region =
            region.iter().zip(&of).map(|(r, of)| r.start - of.start..r.end - of.start).collect();
        Ok(stored.chunk.slice(&relative))
    }
}

fn absent(TaskKey { job, stage, chunk: ChunkIdx(chunk) }: TaskKey) -> String {
    format!("no chunk {chunk} of stage {} of job {} here", stage.0, job.0)
}

/// Why a chunk did not come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Whether there is no connection to that worker; else it answered.
    pub away: bool,
    /// The reason in words, with the worker's addresses.
    pub why: String,
}

/// A way to the chunks of other workers.
pub trait Peers: Send + Sync + 'static {
    /// Gets a chunk.
    ///
    /// # Errors
    /// [`Missed`].
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>>;

    /// This worker got that number from the scheduler, and these are its chunks.
    fn joined(&self, worker: WorkerId, shelf: Shelf) {
        let _ = (worker, shelf);
    }

    /// That worker, this one or another, is gone.
    fn left(&self, worker: WorkerId, addresses: &[String]) {
        let _ = (worker, addresses);
    }
}

/// The workers of one process, which read each other's memory.
#[derive(Debug, Default)]
pub struct LocalPeers {
    shelves: Mutex<HashMap<WorkerId, Shelf>>,
}

impl LocalPeers {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WorkerId, Shelf>> {
        self.shelves.lock().expect("nothing panics while shelves are looked up")
    }
}

impl Peers for LocalPeers {
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>> {
        let shelf = self.lock().get(&wanted.from).cloned();
        let got = match shelf {
            Some(shelf) => shelf.get(wanted.key, wanted.region.as_ref()),
            None => Err(format!("no worker {} in this process", wanted.from.0)),
        };
        Box::pin(std::future::ready(got.map_err(|why| Missed { away: false, why })))
    }

    fn joined(&self, worker: WorkerId, shelf: Shelf) {
        self.lock().insert(worker, shelf);
    }

    fn left(&self, worker: WorkerId, _: &[String]) {
        self.lock().remove(&worker);
    }
}
