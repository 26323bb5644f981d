//! One object that is written as its bytes come: in parts, which nobody sees before all are there. Dropped before its end it
//! leaves nothing. Must not know what is in it.

use super::door::Door;
use crate::format::Target;
use datafusion::object_store::{Error, MultipartUpload, ObjectStoreExt, PutMode, PutPayload};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tilework_formats::objects::begin;

/// How long whoever drops an upload waits for its parts to be gone.
const ABORT_TIME_MAX: Duration = Duration::from_secs(10);

/// An object that is being written. While it is, two parts of it are in memory at most.
pub(crate) struct Upload {
    door: Door,
    part_bytes: usize,
    /// Whether what is there is replaced.
    overwrite: bool,
    /// The part that grows.
    part: Vec<u8>,
    open: Option<Box<dyn MultipartUpload>>,
    /// The part that is under way, with its bytes.
    sent: Option<(Receiver<Result<(), Error>>, usize)>,
    /// Bytes of both.
    held: Arc<AtomicUsize>,
    /// Bytes that were written, for whoever counts them.
    n_bytes: Arc<AtomicU64>,
}

impl Upload {
    /// To a place, in parts of so many bytes, of which stores take 10,000 at most, and 5 MiB at least.
    pub(crate) fn new(door: Door, part_bytes: usize, overwrite: bool) -> Upload {
        let (part, held, n_bytes) = (Vec::new(), Arc::default(), Arc::default());
        Upload { door, part_bytes, overwrite, part, open: None, sent: None, held, n_bytes }
    }

    /// How many bytes were written, now and later.
    pub(crate) fn counted(&self) -> Arc<AtomicU64> {
        self.n_bytes.clone()
    }

    fn io(&self, error: &Error) -> io::Error {
        self.door.refused(error).into_io()
    }

    /// Waits for the part that is under way.
    fn wait(&mut self) -> io::Result<()> {
        let Some((sent, _)) = self.sent.take() else { return Ok(()) };
        sent.recv().map_err(io::Error::other)?.map_err(|e| self.io(&e))
    }

    fn send(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            let open = self.door.ask(|store, path| async move { store.put_multipart(&path).await });
            self.open = Some(open.map_err(|e| self.io(&e))?);
        }
        self.wait()?;
        let (n, part) = (self.part.len(), PutPayload::from(std::mem::take(&mut self.part)));
        self.sent = self.open.as_mut().map(|open| (begin(open.put_part(part)), n));
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.capacity() == 0 {
            // What is not written to takes no memory.
            self.part.reserve_exact(self.part_bytes);
        }
        let n = bytes.len().min(self.part_bytes - self.part.len());
        self.part.extend_from_slice(&bytes[..n]);
        self.n_bytes.fetch_add(n as u64, Ordering::Relaxed);
        if self.part.len() == self.part_bytes {
            self.send()?;
        }
        let under_way = self.sent.as_ref().map_or(0, |(_, n)| *n);
        self.held.store(self.part.len() + under_way, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Upload {
    fn held(&self) -> Arc<AtomicUsize> {
        self.held.clone()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.open.is_none() {
            let whole = PutPayload::from(std::mem::take(&mut self.part));
            let mode = if self.overwrite { PutMode::Overwrite } else { PutMode::Create };
            let put = move |store: Arc<dyn datafusion::object_store::ObjectStore>, path| async move {
                store.put_opts(&path, whole, mode.into()).await
            };
            return self.door.ask(put).map(drop).map_err(|e| self.io(&e));
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        self.wait()?;
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let ended = begin(async move {
            let ended = open.complete().await;
            if ended.is_err() {
                let _ = open.abort().await;
            }
            ended.map(drop)
        });
        ended.recv().map_err(io::Error::other)?.map_err(|e| self.io(&e))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let _ = self.wait();
        // What cannot be removed is the store's to clear.
        let gone = begin(async move { drop(open.abort().await) });
        let _ = gone.recv_timeout(ABORT_TIME_MAX);
    }
}

#[cfg(all(test, feature = "object-store"))]
mod tests {
    use super::*;
    use datafusion::object_store::ObjectStore;
    use datafusion::object_store::memory::InMemory;
    use datafusion::object_store::path::Path;

    fn door(name: &str) -> Door {
        Door {
            store: Arc::new(InMemory::new()),
            path: Path::from(name),
            url: format!("s3://bucket/{name}"),
            store_url: "s3://bucket".to_owned(),
            can_list: true,
            can_write: true,
        }
    }

    fn there(door: &Door) -> Option<Vec<u8>> {
        let read = door.ask(|store: Arc<dyn ObjectStore>, path| async move {
            store.get_opts(&path, Default::default()).await?.bytes().await
        });
        read.ok().map(|bytes| bytes.to_vec())
    }

    #[test]
    fn an_object_is_there_when_it_is_ended_and_else_not_at_all() {
        let text: Vec<u8> = (0..=255).collect();
        // Of one part, of several and a half, of several, and of none.
        for n in [7, 250, 200, 0] {
            let door = door("x");
            for overwrite in [false, true] {
                let mut upload = Box::new(Upload::new(door.clone(), 100, overwrite));
                let sent = upload.counted();
                text[..n].chunks(33).for_each(|bytes| upload.write_all(bytes).unwrap());
                assert_eq!(there(&door).is_some(), overwrite);
                upload.finish().unwrap();
                assert_eq!(there(&door).as_deref(), Some(&text[..n]));
                assert_eq!(sent.load(Ordering::Relaxed), n as u64);
            }
        }
        let door = door("y");
        let mut upload = Upload::new(door.clone(), 100, true);
        upload.write_all(&text).unwrap();
        drop(upload);
        assert!(there(&door).is_none());
    }

    #[test]
    fn an_object_that_has_come_meanwhile_is_kept() {
        let door = door("x");
        let [mut first, mut second] = [(); 2].map(|()| Box::new(Upload::new(door.clone(), 100, false)));
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        first.finish().unwrap();
        let error = second.finish().unwrap_err().to_string();
        assert!(error.contains("s3://bucket/x") && error.contains("exist"), "{error}");
        assert_eq!(there(&door).as_deref(), Some(b"first".as_slice()));
    }
}
