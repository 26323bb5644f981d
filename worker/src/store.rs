//! The chunks that this worker holds: those made or put here, and those brought here for a task; in memory, on the disk, or
//! both.
//!
//! Owns the map and the count of its bytes; what an engine has made stays as it made it until somebody else wants it. Must
//! not know why a chunk is here or when it goes.

use crate::engine::Kept;
use crate::spill::Spilled;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tilework_kernels::Chunk;
use tilework_plan::{Part, TaskKey, TaskRange};
use tilework_worker_core::{Source, SpillId};
use tokio::sync::Notify;

/// One connection to the scheduler: what was begun under an earlier one is not kept under a later one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Epoch(u64);

/// What there is of a chunk.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Its elements.
    Chunk(Chunk),
    /// A value as the engine that made it keeps it.
    Kept(Arc<dyn Kept>),
}

impl From<Chunk> for Content {
    fn from(chunk: Chunk) -> Content {
        Content::Chunk(chunk)
    }
}

impl Content {
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Content::Chunk(chunk) => chunk.bytes() as u64,
            Content::Kept(kept) => kept.bytes(),
        }
    }

    /// What it has when it is written, about.
    pub(crate) fn written_bytes(&self) -> u64 {
        match self {
            Content::Chunk(chunk) => chunk.bytes() as u64,
            Content::Kept(kept) => kept.written_bytes(),
        }
    }

    /// The elements; those of a value that an engine keeps are written first, which may take a while.
    ///
    /// # Errors
    /// In words, where they cannot be written.
    pub(crate) fn into_chunk(self) -> Result<Chunk, String> {
        match self {
            Content::Chunk(chunk) => Ok(chunk),
            Content::Kept(kept) => kept.written(),
        }
    }
}

/// A chunk, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub content: Content,
    /// Which part they are; the whole chunk where absent.
    pub part: Option<Part>,
}

impl Stored {
    fn bytes(&self) -> u64 {
        self.content.bytes()
    }
}

/// A chunk, wherever it is.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// In memory.
    Here(Stored),
    /// On the disk.
    OnDisk(Arc<Spilled>),
}

/// Where a chunk is.
#[derive(Debug, Default)]
struct Entry {
    here: Option<Stored>,
    on_disk: Option<Arc<Spilled>>,
    /// The write to the disk that is under way.
    writing: Option<SpillId>,
}

#[derive(Debug, Default)]
struct Inner {
    chunks: HashMap<Source, Entry>,
    /// Bytes in memory.
    bytes: u64,
    epoch: Epoch,
}

/// The chunks here. A chunk that is read stays alive after it was removed.
#[derive(Debug, Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
    /// Told when chunks leave memory.
    less: Notify,
}

impl Store {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while the store is locked")
    }

    /// The present epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Keeps a chunk that was begun in `epoch`, in place of what was there; says whether it was kept.
    pub(crate) fn insert(&self, epoch: Epoch, source: Source, stored: Stored) -> bool {
        let mut inner = self.lock();
        if inner.epoch != epoch {
            return false;
        }
        inner.bytes += stored.bytes();
        let entry = Entry { here: Some(stored), ..Entry::default() };
        let replaced = inner.chunks.insert(source, entry);
        inner.bytes -= replaced.as_ref().and_then(|e| e.here.as_ref()).map_or(0, Stored::bytes);
        drop(inner);
        drop(replaced); // memory is returned to the system outside of the lock
        true
    }

    /// The same of a chunk that comes from outside: what is in memory already stays, as it is the same.
    pub(crate) fn put(&self, epoch: Epoch, key: TaskKey, chunk: Chunk) -> bool {
        let mut inner = self.lock();
        if inner.epoch != epoch {
            return false;
        }
        let entry = inner.chunks.entry(Source::Held(key)).or_default();
        if entry.here.is_none() {
            let stored = Stored { content: chunk.into(), part: None };
            let bytes = stored.bytes();
            entry.here = Some(stored);
            inner.bytes += bytes;
        }
        true
    }

    /// The chunk, if it is in memory.
    pub(crate) fn get(&self, source: &Source) -> Option<Stored> {
        self.lock().chunks.get(source)?.here.clone()
    }

    /// Looks at those of some tasks' chunks that are in memory, by their numbers.
    pub(crate) fn read_held(&self, tasks: &TaskRange, mut look: impl FnMut(u64, &Stored)) {
        let inner = self.lock();
        for key in tasks.keys() {
            let entry = inner.chunks.get(&Source::Held(key));
            if let Some(stored) = entry.and_then(|e| e.here.as_ref()) {
                look(key.chunk.0, stored);
            }
        }
    }

    /// The chunk, wherever it is.
    pub(crate) fn find(&self, source: &Source) -> Option<Found> {
        let inner = self.lock();
        let entry = inner.chunks.get(source)?;
        let here = entry.here.clone().map(Found::Here);
        here.or_else(|| entry.on_disk.clone().map(Found::OnDisk))
    }

    /// A chunk in memory that is to be written to the disk.
    pub(crate) fn begin_write(&self, key: TaskKey, spill: SpillId) -> Option<Content> {
        let mut inner = self.lock();
        let entry = inner.chunks.get_mut(&Source::Held(key))?;
        let stored = entry.here.clone()?;
        entry.writing = Some(spill);
        Some(stored.content)
    }

    /// It was written: that is kept, if the chunk is still the one whose write that was.
    pub(crate) fn end_write(&self, key: TaskKey, spill: SpillId, spilled: Spilled) {
        let spilled = Arc::new(spilled);
        let mut inner = self.lock();
        let entry = inner.chunks.get_mut(&Source::Held(key));
        if let Some(entry) = entry.filter(|e| e.writing == Some(spill)) {
            entry.writing = None;
            let replaced = entry.on_disk.replace(spilled.clone());
            drop(inner);
            drop(replaced);
        }
    }

    /// Drops from memory a chunk that is on the disk.
    pub(crate) fn unload(&self, key: TaskKey) {
        let mut inner = self.lock();
        let entry = inner.chunks.get_mut(&Source::Held(key)).filter(|e| e.on_disk.is_some());
        let left = entry.and_then(|e| e.here.take());
        inner.bytes -= left.as_ref().map_or(0, Stored::bytes);
        drop(inner);
        drop(left);
        self.less.notify_waiters();
    }

    /// Drops a chunk.
    pub(crate) fn remove(&self, source: &Source) {
        let mut inner = self.lock();
        let removed = inner.chunks.remove(source);
        inner.bytes -= removed.as_ref().and_then(|e| e.here.as_ref()).map_or(0, Stored::bytes);
        drop(inner);
        drop(removed);
        self.less.notify_waiters();
    }

    /// Drops everything and begins the next epoch.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        let removed = std::mem::take(&mut inner.chunks);
        inner.bytes = 0;
        inner.epoch.0 += 1;
        drop(inner);
        drop(removed);
        self.less.notify_waiters();
    }

    /// Bytes of all chunks in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Waits until there are fewer bytes in memory than these.
    #[cfg(feature = "grpc")]
    pub(crate) async fn below(&self, bytes: u64) {
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            less.as_mut().enable();
            if self.bytes() < bytes {
                return;
            }
            less.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::{Disk, Spill, open};
    use tilework_expr::DType;
    use tilework_plan::{ChunkIdx, JobId, StageIdx};
    use tilework_worker_core::FetchId;

    const KEY: TaskKey = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(0) };

    fn bytes(n: usize) -> Stored {
        let chunk = Chunk::from_bytes(&[DType::U8], &[n], &vec![1; n]).unwrap();
        Stored { content: chunk.into(), part: None }
    }

    #[test]
    fn bytes_are_counted_once_and_a_late_chunk_is_not_kept() {
        let store = Store::default();
        let (held, fetched) = (Source::Held(KEY), Source::Fetched(FetchId(1)));
        let epoch = store.epoch();
        assert!(store.insert(epoch, held, bytes(10)));
        assert!(store.insert(epoch, held, bytes(7)));
        assert!(store.insert(epoch, fetched, bytes(5)));
        assert!(store.put(epoch, KEY, bytes(9).content.into_chunk().unwrap()));
        assert_eq!(store.bytes(), 12);
        store.remove(&held);
        store.remove(&held);
        assert_eq!(store.bytes(), 5);
        store.clear();
        assert!(store.get(&fetched).is_none());
        assert!(
            !store.insert(epoch, held, bytes(10))
                && !store.put(epoch, KEY, bytes(9).content.into_chunk().unwrap())
        );
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_chunk_leaves_memory_when_it_is_on_the_disk_and_a_late_write_is_not_taken_for_another_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let room = open(&Spill { dir: Some(dir.path().to_owned()), limit: None }).unwrap().unwrap();
        let (store, disk) = (Store::default(), Disk::new(room));
        let epoch = store.epoch();
        let write = |n| {
            let content = store.begin_write(KEY, SpillId(n)).unwrap();
            disk.write(&content.into_chunk().unwrap()).unwrap()
        };
        store.insert(epoch, Source::Held(KEY), bytes(10));
        let late = write(1);
        store.insert(epoch, Source::Held(KEY), bytes(20));
        store.end_write(KEY, SpillId(1), late);
        store.unload(KEY);
        assert_eq!(store.bytes(), 20, "it is nowhere else");
        let written = write(2);
        store.end_write(KEY, SpillId(2), written);
        store.unload(KEY);
        assert_eq!(store.bytes(), 0);
        let Some(Found::OnDisk(spilled)) = store.find(&Source::Held(KEY)) else {
            panic!("it is on the disk")
        };
        assert_eq!(spilled.read(None).unwrap().bytes(), 20);
        store.remove(&Source::Held(KEY));
        assert!(store.find(&Source::Held(KEY)).is_none());
    }
}
