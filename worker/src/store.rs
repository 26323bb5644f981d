//! The chunks that this worker holds: those made or put here, and those brought here for a task.
//!
//! Owns the map and the count of its bytes. Must not know why a chunk is here or when it goes.

use std::collections::HashMap;
use std::sync::Mutex;
use tilework_expr::Region;
use tilework_kernels::Chunk;
use tilework_worker_core::Source;

/// One connection to the scheduler: what was begun under an earlier one is not kept under a later one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Epoch(u64);

/// A chunk, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The elements.
    pub chunk: Chunk,
    /// The box that they cover, in the coordinates of the array; the whole chunk's where absent.
    pub region: Option<Region>,
}

#[derive(Debug, Default)]
struct Inner {
    chunks: HashMap<Source, Stored>,
    bytes: u64,
    epoch: Epoch,
}

/// The chunks in memory. A chunk that is read stays alive after it was removed.
#[derive(Debug, Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
}

impl Store {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while the store is locked")
    }

    /// The present epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Keeps a chunk that was begun in `epoch`; says whether it was.
    pub(crate) fn insert(&self, epoch: Epoch, source: Source, stored: Stored) -> bool {
        let bytes = stored.chunk.bytes() as u64;
        let mut inner = self.lock();
        if inner.epoch != epoch {
            return false;
        }
        inner.bytes += bytes;
        let replaced = inner.chunks.insert(source, stored);
        inner.bytes -= replaced.as_ref().map_or(0, |s| s.chunk.bytes() as u64);
        drop(inner);
        drop(replaced); // memory is returned to the system outside of the lock
        true
    }

    /// The chunk, if it is here.
    pub(crate) fn get(&self, source: &Source) -> Option<Stored> {
        self.lock().chunks.get(source).cloned()
    }

    /// Drops a chunk.
    pub(crate) fn remove(&self, source: &Source) {
        let mut inner = self.lock();
        let removed = inner.chunks.remove(source);
        inner.bytes -= removed.as_ref().map_or(0, |s| s.chunk.bytes() as u64);
        drop(inner);
    }

    /// Drops everything and begins the next epoch.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        let removed = std::mem::take(&mut inner.chunks);
        inner.bytes = 0;
        inner.epoch.0 += 1;
        drop(inner);
        drop(removed);
    }

    /// Bytes of all chunks here.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::{ChunkIdx, DType, JobId, StageIdx, TaskKey};
    use tilework_worker_core::FetchId;

    fn bytes(n: usize) -> Stored {
        let chunk = Chunk::from_bytes(&[DType::U8], &[n], &vec![1; n]).unwrap();
        Stored { chunk, region: None }
    }

    #[test]
    fn bytes_are_counted_once_and_a_late_chunk_is_not_kept() {
        let store = Store::default();
        let key = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(0) };
        let (held, fetched) = (Source::Held(key), Source::Fetched(FetchId(1)));
        let epoch = store.epoch();
        assert!(store.insert(epoch, held, bytes(10)));
        assert!(store.insert(epoch, held, bytes(7)));
        assert!(store.insert(epoch, fetched, bytes(5)));
        assert_eq!(store.bytes(), 12);
        store.remove(&held);
        store.remove(&held);
        assert_eq!(store.bytes(), 5);
        store.clear();
        assert!(store.get(&fetched).is_none());
        assert!(!store.insert(epoch, held, bytes(10)));
        assert_eq!(store.bytes(), 0);
    }
}
