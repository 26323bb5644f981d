//! How chunks travel between the client and the workers, not through the scheduler; those that come with the news are here.

use crate::error::ClusterError;
use tilework_kernels::Chunk;
use tilework_plan::{LeaseId, TaskKey, WorkerId};

/// A worker and the addresses of its chunk service.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) worker: WorkerId,
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "it is in this process then"))]
    pub(crate) addresses: Vec<String>,
}

/// A chunk on its way to a worker.
pub(crate) struct Upload {
    pub(crate) lease: LeaseId,
    pub(crate) key: TaskKey,
    pub(crate) chunk: Chunk,
    /// Whether its bytes are this process' all the same.
    pub(crate) borrowed: bool,
}

/// What came of asking for a chunk.
pub(crate) enum Answer {
    /// The chunk.
    Chunk(Chunk),
    /// The holder cannot be reached, or does not have it (any more); why, in words.
    Nothing(String),
    /// What came is no chunk.
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "it is in this process then"))]
    Wrong(ClusterError),
}

/// Takes an answer; it may be called on any thread, and once at most.
pub(crate) type Taker = Box<dyn FnOnce(Answer) + Send>;

/// A request under way; nothing more comes of it once it is dropped.
pub(crate) struct Asked(Option<tokio::task::AbortHandle>);

impl Asked {
    /// A request that was answered at once.
    pub(crate) fn answered() -> Asked {
        Asked(None)
    }

    /// A request that a task of a runtime sees to.
    #[cfg(feature = "cluster")]
    pub(crate) fn by(task: tokio::task::AbortHandle) -> Asked {
        Asked(Some(task))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The way of chunks. Calls may come from several threads at once.
pub(crate) trait DataPlane: Send + Sync {
    /// Hands a literal's chunk to a worker. Blocks until it has it, or is known to be gone.
    ///
    /// # Errors
    /// Why it does not have it, in words for the scheduler.
    fn put(&self, to: &Holder, upload: Upload) -> Result<(), String>;
    /// Asks a holder for a chunk. Does not block.
    fn get(&self, from: &Holder, key: TaskKey, taker: Taker) -> Asked;
    /// A worker is gone: what is under way to it or from it ends.
    fn lost(&self, worker: WorkerId);
    /// Whether that is known of a worker.
    fn is_lost(&self, worker: WorkerId) -> bool;
}
