//! A chunk on its way out: its own memory in pieces, or the place where it lies.
//!
//! Owns what is not sent yet, and gives it up where the other side takes nothing for too long. Must not know calls or
//! connections.

use crate::frame;
use crate::grant::Grant;
use crate::near;
use crate::peer::STALL_TIMEOUT;
use crate::peers::Room;
use bytes::Bytes;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tilework_kernels::{Chunk, Plane};
use tilework_proto::wire::ChunkHeader;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

/// How often it is looked whether the other side takes anything. One that takes nothing for so long keeps nobody else
/// from being served.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The header of a chunk that is given away.
pub(crate) fn header_of(chunk: &Chunk) -> ChunkHeader {
    let shape = chunk.planes.first().map_or(&[][..], Plane::shape);
    ChunkHeader {
        planes: chunk.planes.iter().map(|p| u32::from(p.dtype().code())).collect(),
        shape: shape.iter().map(|&l| l as u64).collect(),
        ..ChunkHeader::default()
    }
}

/// The header of a chunk that another process of this machine is to read where it lies, as it has been granted.
pub(crate) fn header_in_memory(chunk: &Chunk, grant: &Grant) -> ChunkHeader {
    ChunkHeader {
        host: near::here().unwrap_or_default().into(),
        process: std::process::id(),
        memory: near::memory_of(chunk),
        grant: grant.address(),
        ..header_of(chunk)
    }
}

/// A plane's memory as the network sees it.
struct PlaneBytes(Plane);

impl AsRef<[u8]> for PlaneBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.contiguous_bytes().expect("the plane was made contiguous")
    }
}

/// What is not sent yet.
#[derive(Default)]
struct Left {
    header: Option<Bytes>,
    planes: std::vec::IntoIter<Bytes>,
    /// What is left of the plane that is being sent.
    plane: Bytes,
    /// The piece whose prefix was sent.
    piece: Option<Bytes>,
    /// Held as long as something is taken.
    slot: Option<OwnedSemaphorePermit>,
    /// The memory of the chunk, where nobody else has counted it.
    uncounted: Option<Room>,
    given_up: bool,
}

impl Left {
    fn next_bytes(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.header.take().or_else(|| self.piece.take()) {
            return Some(bytes);
        }
        while self.plane.is_empty() {
            self.plane = self.planes.next()?;
        }
        let piece = self.plane.split_to(self.plane.len().min(frame::DATA_BYTES_MAX));
        let prefix = frame::data_prefix(piece.len());
        self.piece = Some(piece);
        Some(prefix)
    }
}

fn lock(left: &Mutex<Left>) -> MutexGuard<'_, Left> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other side took nothing for too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the chunk was not taken")]
pub(crate) struct NotTaken;

/// A chunk on its way out: the header, then pieces of the chunk's own memory.
pub(crate) struct ChunkBody {
    left: Arc<Mutex<Left>>,
    trailers: Option<http::HeaderMap>,
    /// Bytes handed to the network so far.
    pub(crate) progress: Arc<AtomicU64>,
    watcher: Option<AbortHandle>,
}

impl ChunkBody {
    /// The body that sends `chunk`. Strided planes are copied first, others are sent as they lie.
    pub(crate) fn new(header: ChunkHeader, chunk: &Chunk, trailers: Option<http::HeaderMap>) -> ChunkBody {
        let planes = chunk.planes.iter().map(|p| Bytes::from_owner(PlaneBytes(p.to_contiguous())));
        let planes = planes.collect::<Vec<_>>().into_iter();
        let left = Left { header: Some(frame::header(header)), planes, ..Left::default() };
        ChunkBody { left: Arc::new(Mutex::new(left)), trailers, progress: Arc::default(), watcher: None }
    }

    /// The same, which lets others have `slot` while nothing is taken of it, and is given up after [`STALL_TIMEOUT`].
    pub(crate) fn watched(mut self, slot: OwnedSemaphorePermit, uncounted: Option<Room>) -> ChunkBody {
        {
            let mut left = lock(&self.left);
            (left.slot, left.uncounted) = (Some(slot), uncounted);
        }
        let watcher = tokio::spawn(watch(Arc::downgrade(&self.left), self.progress.clone()));
        self.watcher = Some(watcher.abort_handle());
        self
    }
}

/// Looks whether anything is taken. The body itself is not asked for more while the other side has no room.
async fn watch(left: Weak<Mutex<Left>>, progress: Arc<AtomicU64>) {
    let (mut seen, mut silent) = (progress.load(Ordering::Relaxed), Duration::ZERO);
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = progress.load(Ordering::Relaxed);
        if now != seen {
            (seen, silent) = (now, Duration::ZERO);
            continue;
        }
        silent += LOOK_INTERVAL;
        let Some(left) = left.upgrade() else { return };
        let mut left = lock(&left);
        left.slot = None;
        if silent >= STALL_TIMEOUT {
            *left = Left { given_up: true, ..Left::default() };
            return;
        }
    }
}

impl Drop for ChunkBody {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
    }
}

impl http_body::Body for ChunkBody {
    type Data = Bytes;
    type Error = NotTaken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, NotTaken>>> {
        let mut left = lock(&self.left);
        if left.given_up {
            return Poll::Ready(Some(Err(NotTaken)));
        }
        let next = left.next_bytes();
        drop(left);
        Poll::Ready(match next {
            Some(bytes) => {
                self.progress.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(http_body::Frame::data(bytes)))
            }
            None => self.trailers.take().map(|t| Ok(http_body::Frame::trailers(t))),
        })
    }
}

/// A header that says where a chunk lies; it stays there, and may be read, until the reader ends the call.
pub(crate) struct HeldBody {
    header: Option<Bytes>,
    until: Pin<Box<tokio::time::Sleep>>,
    _chunk: Chunk,
    _grant: Grant,
    _uncounted: Option<Room>,
}

impl HeldBody {
    pub(crate) fn new(chunk: Chunk, grant: Grant, uncounted: Option<Room>) -> HeldBody {
        let header = Some(frame::header(header_in_memory(&chunk, &grant)));
        let until = Box::pin(tokio::time::sleep(near::HOLD));
        HeldBody { header, until, _chunk: chunk, _grant: grant, _uncounted: uncounted }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if let Some(header) = self.header.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(header))));
        }
        self.until.as_mut().poll(context).map(|()| None)
    }
}
