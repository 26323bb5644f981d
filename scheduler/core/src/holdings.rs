//! Who has which chunks, as ranges.
//!
//! Knows names alone. Must not know why anybody is told.

use tilework_plan::{Holding, TaskKey, TaskRange, WorkerId};

/// Appends a chunk and its holder, to the last range where it continues that.
pub(crate) fn push_holding(list: &mut Vec<Holding>, key: TaskKey, worker: WorkerId) {
    match list.last_mut() {
        Some(h)
            if h.worker == worker
                && (h.chunks.job, h.chunks.stage, h.chunks.chunks.end)
                    == (key.job, key.stage, key.chunk.0) =>
        {
            h.chunks.chunks.end += 1;
        }
        _ => {
            let chunks = TaskRange { job: key.job, stage: key.stage, chunks: key.chunk.0..key.chunk.0 + 1 };
            list.push(Holding { chunks, worker });
        }
    }
}

/// Chunks and their holders as ranges, each chunk once.
pub(crate) fn coalesced(mut elsewhere: Vec<(TaskKey, WorkerId)>) -> Vec<Holding> {
    elsewhere.sort_unstable();
    elsewhere.dedup();
    let mut list = Vec::new();
    elsewhere.into_iter().for_each(|(key, worker)| push_holding(&mut list, key, worker));
    list
}
