//! Where operators put what their grant does not hold: files without names in a directory, so that nothing is left of them
//! whatever ends the process, with a bound on their bytes. Must not know of operators.

use crate::error::TaskError;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// A disk that tasks may use, with whoever else is counted there.
pub trait SpillSpace: fmt::Debug + Send + Sync {
    /// The directory. Files in it have no names.
    fn dir(&self) -> &Path;

    /// Takes so many bytes.
    ///
    /// # Errors
    /// Where there may not be so many more: what is there, in words.
    fn take(&self, bytes: u64) -> std::result::Result<(), String>;

    /// Gives so many bytes back.
    fn give_back(&self, bytes: u64);
}

/// A directory with a bound and a count of its own.
#[derive(Debug)]
pub(crate) struct SpillDir {
    pub dir: PathBuf,
    pub bytes_max: u64,
    pub used_bytes: AtomicU64,
}

impl SpillSpace for SpillDir {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn take(&self, bytes: u64) -> std::result::Result<(), String> {
        let limit = self.bytes_max;
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= limit);
        let taken = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|used| {
            let dir = self.dir.display();
            format!("{used} bytes of {limit} in {dir} are taken, {bytes} more were to be written")
        })
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The disk as one task sees it.
#[derive(Debug)]
pub(crate) struct TaskSpill {
    space: Arc<dyn SpillSpace>,
    written_bytes: Arc<AtomicU64>,
}

/// A file without a name, whose space is given back when nobody has it any more.
#[derive(Clone, Debug)]
pub(crate) struct Unnamed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    len: AtomicU64,
    space: Arc<dyn SpillSpace>,
    written_bytes: Arc<AtomicU64>,
}

/// An error of the disk, told apart from those of the user's files by its type.
fn failed(space: &dyn SpillSpace, error: &io::Error) -> TaskError {
    let (dir, reason) = (space.dir().display().to_string(), error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            TaskError::DiskFull { reason: format!("{dir}: {reason}"), dir }
        }
        _ => TaskError::Disk { dir, reason },
    }
}

impl TaskSpill {
    pub(crate) fn new(space: Arc<dyn SpillSpace>) -> TaskSpill {
        TaskSpill { space, written_bytes: Arc::default() }
    }

    /// What the task has written so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// A new file.
    pub(crate) fn file(&self) -> std::result::Result<Unnamed, TaskError> {
        let file = tempfile::tempfile_in(self.space.dir()).map_err(|e| failed(&*self.space, &e))?;
        let (space, written_bytes) = (self.space.clone(), self.written_bytes.clone());
        Ok(Unnamed(Arc::new(Inner { file, len: AtomicU64::new(0), space, written_bytes })))
    }
}

impl TempFileFactory for TaskSpill {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        Ok(Arc::new(self.file().map_err(TaskError::into_datafusion)?))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.space.give_back(*self.len.get_mut());
    }
}

impl Unnamed {
    /// Writes bytes behind those that are there; returns where they begin. One writes at a time.
    pub(crate) fn append(&self, bytes: &[u8]) -> std::result::Result<u64, TaskError> {
        let (file, n) = (&self.0, bytes.len() as u64);
        let dir = || file.space.dir().display().to_string();
        file.space.take(n).map_err(|reason| TaskError::DiskFull { dir: dir(), reason })?;
        let at = file.len.load(Ordering::Acquire);
        if let Err(error) = file.file.write_all_at(bytes, at) {
            file.space.give_back(n);
            return Err(failed(&*file.space, &error));
        }
        file.len.fetch_add(n, Ordering::Release);
        file.written_bytes.fetch_add(n, Ordering::Relaxed);
        Ok(at)
    }

    /// So many bytes from a place on.
    pub(crate) fn read(&self, at: u64, len: u64) -> std::result::Result<Bytes, TaskError> {
        let mut buf = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let read = self.0.file.read_exact_at(&mut buf, at);
        read.map(|()| Bytes::from(buf)).map_err(|e| failed(&*self.0.space, &e))
    }
}

impl SpillFile for Unnamed {
    fn size(&self) -> Option<u64> {
        Some(self.0.len.load(Ordering::Acquire))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let read = |(file, at): (Unnamed, u64)| async move {
            let len = READ_BYTES.min(file.0.len.load(Ordering::Acquire).saturating_sub(at));
            if len == 0 {
                return Ok(None);
            }
            let read = move || file.read(at, len).map(|bytes| (bytes, (file, at + len)));
            let read = tokio::task::spawn_blocking(read)
                .await
                .map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))?;
            read.map(Some).map_err(TaskError::into_datafusion)
        };
        Ok(Box::pin(futures::stream::try_unfold((self.clone(), 0), read)))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(self.clone()))
    }
}

impl io::Write for Unnamed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map(|_| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Unnamed {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use std::io::Write;

    #[test]
    fn what_is_written_is_read_counted_bounded_and_has_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let space = Arc::new(SpillDir {
            dir: dir.path().to_owned(),
            bytes_max: 3 * READ_BYTES,
            used_bytes: AtomicU64::new(0),
        });
        let task = TaskSpill::new(space.clone());
        let file = task.create_temp_file("a sort").unwrap();
        let bytes: Vec<u8> = (0..2 * READ_BYTES + 5).map(|i| i as u8).collect();
        file.open_writer().unwrap().write_all(&bytes).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read: Vec<Bytes> = runtime.block_on(file.read_stream().unwrap().try_collect()).unwrap();
        assert_eq!((read.concat(), read.len()), (bytes, 3));
        let error = file.open_writer().unwrap().write_all(&vec![0; READ_BYTES as usize]).unwrap_err();
        let found = TaskError::found_in(&DataFusionError::IoError(error)).unwrap();
        assert!(
            matches!(&found, TaskError::DiskFull { dir: at, .. } if *at == dir.path().display().to_string()),
            "{found}"
        );
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 2 * READ_BYTES + 5);
        assert_eq!(task.written_bytes(), 2 * READ_BYTES + 5);
        drop(file);
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 0);
    }
}
