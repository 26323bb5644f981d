//! How chunks travel between the client and the workers. Never through the scheduler.

use crate::error::Result;
use tilework_expr::{LeaseId, TaskKey, WorkerId};
use tilework_kernels::Chunk;

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
}

/// The way of chunks. Calls block, and may come from several threads at once.
pub(crate) trait DataPlane: Send + Sync {
    /// Hands a literal's chunk to a worker.
    fn put(&self, to: &Holder, upload: Upload) -> Result<()>;
    /// Gets a chunk from its holder; `None` where the holder has it no more or cannot be reached.
    fn get(&self, from: &Holder, key: TaskKey) -> Result<Option<Chunk>>;
    /// How many calls of `get` are worth making at once.
    fn gets_at_once(&self) -> usize;
}
