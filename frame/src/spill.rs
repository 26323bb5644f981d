//! Where operators put what their grant does not hold: files without names in a directory, so that nothing is left of them
//! whatever ends the process, with a bound on their bytes. Must not know of operators.

use crate::error::{DiskFull, SpillIo};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// The disk of all tasks of a runner.
#[derive(Debug)]
pub(crate) struct SpillSpace {
    pub dir: PathBuf,
    pub bytes_max: u64,
    pub used_bytes: AtomicU64,
}

/// The disk as one task sees it.
pub(crate) struct TaskSpill {
    space: Arc<SpillSpace>,
    written_bytes: Arc<AtomicU64>,
}

/// A file without a name.
#[derive(Clone)]
struct Unnamed(Arc<Inner>);

struct Inner {
    file: File,
    len: AtomicU64,
    space: Arc<SpillSpace>,
    written_bytes: Arc<AtomicU64>,
}

fn failed(error: io::Error) -> SpillIo {
    SpillIo(Arc::new(error))
}

impl TaskSpill {
    pub(crate) fn new(space: Arc<SpillSpace>) -> TaskSpill {
        TaskSpill { space, written_bytes: Arc::default() }
    }

    /// What the task has written so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }
}

impl TempFileFactory for TaskSpill {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let file = tempfile::tempfile_in(&self.space.dir)
            .map_err(|e| DataFusionError::External(Box::new(failed(e))))?;
        let (space, written_bytes) = (self.space.clone(), self.written_bytes.clone());
        Ok(Arc::new(Unnamed(Arc::new(Inner { file, len: AtomicU64::new(0), space, written_bytes }))))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.space.used_bytes.fetch_sub(*self.len.get_mut(), Ordering::Relaxed);
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
            let read = move || {
                let mut buf = vec![0; len as usize];
                file.0.file.read_exact_at(&mut buf, at).map(|()| (Bytes::from(buf), (file, at + len)))
            };
            let read = tokio::task::spawn_blocking(read)
                .await
                .map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))?;
            read.map(Some).map_err(|e| DataFusionError::External(Box::new(failed(e))))
        };
        Ok(Box::pin(futures::stream::try_unfold((self.clone(), 0), read)))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(self.clone()))
    }
}

impl io::Write for Unnamed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, asked_bytes) = (&self.0, bytes.len() as u64);
        let used_bytes = file.space.used_bytes.fetch_add(asked_bytes, Ordering::Relaxed);
        let limit_bytes = file.space.bytes_max;
        let written = match used_bytes.saturating_add(asked_bytes) > limit_bytes {
            true => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                DiskFull { used_bytes, limit_bytes, asked_bytes },
            )),
            false => file.file.write_all_at(bytes, file.len.load(Ordering::Acquire)),
        };
        match written {
            Ok(()) => {
                file.len.fetch_add(asked_bytes, Ordering::Release);
                file.written_bytes.fetch_add(asked_bytes, Ordering::Relaxed);
                Ok(bytes.len())
            }
            Err(error) => {
                file.space.used_bytes.fetch_sub(asked_bytes, Ordering::Relaxed);
                Err(io::Error::other(failed(error)))
            }
        }
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
        let space = Arc::new(SpillSpace {
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
        assert!(error.get_ref().unwrap().is::<SpillIo>(), "{error}");
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 2 * READ_BYTES + 5);
        assert_eq!(task.written_bytes(), 2 * READ_BYTES + 5);
        drop(file);
        assert_eq!(space.used_bytes.load(Ordering::Relaxed), 0);
    }
}
