//! A store of named byte strings under one directory, for blocking callers.
//!
//! The store is `object_store`'s, so that another kind of store is a change of [`open`] alone. It is async, so
//! each call is driven to its end here: the calling thread sleeps while a small private runtime does the I/O.
//! That works wherever it is called from, inside another runtime's task too (where tokio's own `block_on`
//! would panic), though there it holds up that runtime's thread.
//!
//! Owns paths within a store and the bridge from async to blocking. Must not know arrays.

use crate::FormatError;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use tokio::runtime::{Builder, Handle, Runtime};
use zarrs::storage::storage_adapter::async_to_sync::{AsyncToSyncBlockOn, AsyncToSyncStorageAdapter};
use zarrs_object_store::AsyncObjectStore;

/// The most reads and writes that are under way at once in one process.
const IO_THREADS_MAX: usize = 64;

/// A blocking store.
pub(crate) type Store = AsyncToSyncStorageAdapter<AsyncObjectStore<Arc<dyn ObjectStore>>, BlockOn>;

/// What becomes of a directory whose last file is erased.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmptyDirs {
    /// It stays: another task may be about to write into it.
    Keep,
    /// It goes, so that its name is free for a file.
    Remove,
}

/// Opens the store under a directory that exists.
pub(crate) fn open(root: &Path, empty_dirs: EmptyDirs) -> Result<Arc<Store>, FormatError> {
    let name = root.display().to_string();
    let info = root.metadata().map_err(|e| FormatError::io(&name, e))?;
    if !info.is_dir() {
        let reason = "got a file, expected the directory of a zarr store".to_owned();
        return Err(FormatError::NotAnArray { path: name, reason });
    }
    let local = LocalFileSystem::new_with_prefix(root)
        .map_err(|e| FormatError::Io { path: name.clone(), source: io::Error::other(e) })?;
    let handle = runtime().map_err(|source| FormatError::Io { path: name, source })?;
    let local = local.with_automatic_cleanup(empty_dirs == EmptyDirs::Remove);
    let store: Arc<dyn ObjectStore> = Arc::new(local);
    Ok(Arc::new(Store::new(Arc::new(AsyncObjectStore::new(store)), BlockOn(handle))))
}

/// The path of an array within its store as Zarr spells it: `/` or `/a/b`.
pub(crate) fn node_path(root: &Path, array: &str) -> Result<String, FormatError> {
    let trimmed = array.strip_prefix('/').unwrap_or(array);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let plain = |part: &str| {
        let stored = object_store::path::Path::from(part);
        !matches!(part, "" | "." | "..") && !part.starts_with("__") && stored.as_ref() == part
    };
    if !trimmed.is_empty() && !trimmed.split('/').all(plain) {
        return Err(FormatError::Invalid {
            path: root.display().to_string(),
            reason: format!("got array path `{array}`, expected plain names separated by `/`"),
        });
    }
    Ok(format!("/{trimmed}"))
}

/// The name of an array in messages: the store's directory and the path in it.
pub(crate) fn display_name(root: &Path, node: &str) -> String {
    if node == "/" { root.display().to_string() } else { format!("{}{node}", root.display()) }
}

fn runtime() -> io::Result<Handle> {
    // One for the process, started by the first store: its threads sleep unless there is I/O.
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(IO_THREADS_MAX)
        .thread_name("tilework-formats-io")
        .build()?;
    // Where two threads came here at once, one runtime is dropped again. Dropping is not allowed inside
    // another runtime's task, unless it is left to end in the background.
    if let Err(spare) = RUNTIME.set(runtime) {
        spare.shutdown_background();
    }
    Ok(RUNTIME.get().expect("set above").handle().clone())
}

/// Drives a future from a blocking thread.
pub(crate) struct BlockOn(Handle);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl AsyncToSyncBlockOn for BlockOn {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.0.enter();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_paths_stay_in_the_store() {
        let path = |array| node_path(Path::new("/tmp/x.zarr"), array).ok();
        for (array, expected) in [("", "/"), ("/", "/"), ("a", "/a"), ("/a/b c/", "/a/b c")] {
            assert_eq!(path(array).as_deref(), Some(expected));
        }
        for bad in ["..", "a/../b", "a//b", ".", "a%b", "a\\b", "__x", "//a", "a?b"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
