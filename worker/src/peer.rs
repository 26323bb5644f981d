//! Chunks of other processes: getting them, and putting literals to them.
//!
//! Owns the connections to chunk services. The bytes of a chunk are copied once, from the network's buffers into the
//! aligned memory that kernels read. Must not know tasks or stores.

use crate::frame::{self, Part, Unframer};
use crate::near;
use crate::peers::{Missed, Peers, Wanted};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tilework_cluster::security::{Identity, TokenAttach};
use tilework_cluster::transport::{ConnectError, connect_once};
use tilework_expr::{DType, LeaseId, Region, TaskKey, WorkerId};
use tilework_kernels::{Chunk, ChunkError, ChunkWriter, Plane};
use tilework_proto::convert::Wire;
use tilework_proto::limits::PLANES_MAX;
use tilework_proto::session::BoxFuture;
use tilework_proto::wire::{self, ChunkHeader};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

/// How long each address of a worker is tried before it counts as unreachable. A worker listens as long as it lives, so
/// one attempt tells; whoever needs the chunk asks again, or is told of another holder.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a transfer may make no progress.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that are kept open.
const CONNECTIONS_MAX: usize = 1024;

pub(crate) const GET_PATH: &str = "/tilework.v1.Chunks/Get";
pub(crate) const PUT_PATH: &str = "/tilework.v1.Chunks/Put";

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The worker cannot be reached.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The worker does not have the chunk, or does not want it.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// No byte came for too long.
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    /// What came is no chunk.
    #[error("a malformed transfer: {0}")]
    Malformed(String),
    /// The chunk is larger than the caller has room for.
    #[error("a chunk of {bytes} bytes, expected at most {limit}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What the caller allows.
        limit: usize,
    },
}

impl From<frame::FrameError> for TransferError {
    fn from(error: frame::FrameError) -> TransferError {
        TransferError::Malformed(error.to_string())
    }
}

impl From<ChunkError> for TransferError {
    fn from(error: ChunkError) -> TransferError {
        TransferError::Malformed(error.to_string())
    }
}

/// A worker, as far as it is known.
#[derive(Debug, Default)]
struct Peer {
    channel: tokio::sync::OnceCell<Channel>,
    /// When the last attempt to connect failed, and why.
    failed: Mutex<Option<(Instant, Arc<ConnectError>)>>,
    /// It cannot read this process' memory.
    is_far: AtomicBool,
}

impl Peer {
    fn failed(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Arc<ConnectError>)>> {
        self.failed.lock().expect("nothing panics while a failure is looked up")
    }
}

type Connections = HashMap<Vec<String>, Arc<Peer>>;

/// A client of the cluster's chunk services. Cheap to clone; connections are kept and shared.
#[derive(Clone, Debug)]
pub struct ChunkClient {
    identity: Arc<Identity>,
    token: TokenAttach,
    connections: Arc<Mutex<Connections>>,
    /// Whether this process can read the memory of others.
    reads_memory: Arc<AtomicBool>,
}

impl ChunkClient {
    /// A client for the workers of this cluster.
    #[must_use]
    pub fn new(identity: &Identity) -> ChunkClient {
        let token = TokenAttach::new(identity);
        let reads_memory = Arc::new(AtomicBool::new(near::here().is_some()));
        ChunkClient { identity: Arc::new(identity.clone()), token, connections: Arc::default(), reads_memory }
    }

    /// The same client, which has every chunk sent over the network, also from processes of this machine.
    #[must_use]
    pub fn over_network(self) -> ChunkClient {
        ChunkClient { reads_memory: Arc::default(), ..self }
    }

    /// Gets a chunk, or the box `region` of it (in the coordinates of the array), of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`TransferError`]; the chunk may be had again.
    pub async fn get(
        &self,
        addresses: &[String],
        key: TaskKey,
        region: Option<&Region>,
        bytes_max: usize,
    ) -> Result<Chunk, TransferError> {
        let bounds = |r: &Region| r.iter().flat_map(|r| [r.start as u64, r.end as u64]).collect();
        let region = region.map(|r| wire::Box { bounds: bounds(r) });
        let mut request = wire::ChunkRequest { key: Some(key.to_wire()), region, host: String::new() };
        if let Some(here) = self.here() {
            request.host = here.into();
            if let Some(chunk) = self.ask(addresses, &request, bytes_max).await? {
                return Ok(chunk);
            }
            request.host.clear();
        }
        let got = self.ask(addresses, &request, bytes_max).await?;
        got.ok_or_else(|| TransferError::Malformed("got a place in memory, expected data".into()))
    }

    /// The name of this machine, where memory of other processes can be read.
    fn here(&self) -> Option<&'static str> {
        near::here().filter(|_| self.reads_memory.load(Ordering::Relaxed))
    }

    /// Asks for a chunk; `None` where it lies in memory that cannot be read.
    async fn ask(
        &self,
        addresses: &[String],
        request: &wire::ChunkRequest,
        bytes_max: usize,
    ) -> Result<Option<Chunk>, TransferError> {
        let asked = Instant::now();
        let message = Body::new(Full::new(frame::message(request)));
        let body = self.call(addresses, GET_PATH, message, &AtomicU64::new(0)).await?;
        let (place, writer, mut body) = match receive(body, bytes_max).await? {
            Received::Chunk(chunk) => return Ok(Some(chunk)),
            Received::Place(place) => (place.header, place.writer, place.body),
        };
        if request.host.is_empty() || place.host != request.host {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || near::read(place.process, &place.memory, writer));
        let chunk = match read.await.map_err(|e| TransferError::Broken(e.to_string()))? {
            Ok(chunk) => chunk,
            Err(error) if near::is_closed(&error) => {
                if self.reads_memory.swap(false, Ordering::Relaxed) {
                    tracing::info!(%error, "chunks of this machine go over the network");
                }
                return Ok(None);
            }
            Err(error) => return Err(TransferError::Broken(error.to_string())),
        };
        // The holder kept the chunk in its place all the while if the call has not ended.
        let held = tokio::time::timeout(Duration::ZERO, body.frame()).await.is_err();
        if !held || asked.elapsed() > near::READ_MAX {
            return Err(TransferError::Broken("the chunk was not kept in its place".into()));
        }
        Ok(Some(chunk))
    }

    /// Puts a literal's chunk to the worker that waits for it under `lease`.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn put(
        &self,
        addresses: &[String],
        lease: LeaseId,
        key: TaskKey,
        chunk: &Chunk,
    ) -> Result<(), TransferError> {
        let readable = chunk.bytes() >= near::BYTES_MIN && chunk.planes.iter().all(near::is_readable);
        if self.here().is_some() && readable && !self.peer(addresses).is_far.load(Ordering::Relaxed) {
            let header = ChunkHeader { lease: lease.0, key: Some(key.to_wire()), ..header_in_memory(chunk) };
            match self.offer(addresses, header, chunk.clone()).await {
                Err(TransferError::Refused(status)) if status.code() == Code::Unimplemented => {
                    self.peer(addresses).is_far.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        let header = ChunkHeader { lease: lease.0, key: Some(key.to_wire()), ..header_of(chunk) };
        let body = ChunkBody::new(header, chunk, None, None);
        let progress = body.progress.clone();
        let reply = self.call(addresses, PUT_PATH, Body::new(body), &progress).await?;
        drain(reply).await
    }

    /// Says where a chunk lies, and keeps it there until the worker has read it.
    async fn offer(
        &self,
        addresses: &[String],
        header: ChunkHeader,
        chunk: Chunk,
    ) -> Result<(), TransferError> {
        let message = Body::new(Full::new(frame::header(header)));
        let kept = Kept(Some(chunk));
        let reply = self.call(addresses, PUT_PATH, message, &AtomicU64::new(0)).await;
        if matches!(reply, Ok(_) | Err(TransferError::Refused(_))) {
            kept.done();
        }
        drain(reply?).await
    }

    /// Sends a request and waits for the reply's headers as long as `progress` grows.
    async fn call(
        &self,
        addresses: &[String],
        path: &str,
        body: Body,
        progress: &AtomicU64,
    ) -> Result<Body, TransferError> {
        let mut channel = self.channel(addresses).await?;
        let mut request = http::Request::post(path)
            .version(http::Version::HTTP_2)
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .body(body)
            .expect("the parts of a request are constants");
        self.token.attach(request.headers_mut());
        let mut sent = std::pin::pin!(async { channel.ready().await?.call(request).await });
        let mut seen = 0;
        let response = loop {
            match tokio::time::timeout(STALL_TIMEOUT, &mut sent).await {
                Ok(Ok(response)) => break response,
                Ok(Err(e)) => {
                    self.forget(addresses);
                    return Err(TransferError::Broken(deepest(&e)));
                }
                Err(_) if progress.load(Ordering::Relaxed) > seen => seen = progress.load(Ordering::Relaxed),
                Err(_) => {
                    self.forget(addresses);
                    return Err(TransferError::Stalled(STALL_TIMEOUT));
                }
            }
        };
        if response.status() != http::StatusCode::OK {
            return Err(TransferError::Broken(format!("HTTP status {}", response.status())));
        }
        check_status(response.headers())?;
        Ok(response.into_body())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connections> {
        self.connections.lock().expect("nothing panics while connections are looked up")
    }

    fn peer(&self, addresses: &[String]) -> Arc<Peer> {
        let mut all = self.lock();
        if all.len() >= CONNECTIONS_MAX && !all.contains_key(addresses) {
            all.retain(|_, peer| peer.channel.get().is_none());
        }
        all.entry(addresses.to_vec()).or_default().clone()
    }

    /// The connection to a worker. Those who want it at once share one attempt, and its failure.
    async fn channel(&self, addresses: &[String]) -> Result<Channel, TransferError> {
        let (asked, peer) = (Instant::now(), self.peer(addresses));
        let attempt = async || {
            if let Some((at, error)) = &*peer.failed()
                && *at >= asked
            {
                return Err(TransferError::Connect(error.clone()));
            }
            connect_once(addresses, &self.identity, CONNECT_TIMEOUT).await.map_err(|error| {
                let error = Arc::new(error);
                *peer.failed() = Some((Instant::now(), error.clone()));
                TransferError::Connect(error)
            })
        };
        let made = peer.channel.get_or_try_init(attempt).await;
        if made.is_err() {
            // Those who wait for it still have it.
            self.lock().retain(|_, p| !Arc::ptr_eq(p, &peer));
        }
        made.cloned()
    }

    /// Closes the connection to a worker once its transfers have ended.
    pub fn forget(&self, addresses: &[String]) {
        self.lock().remove(addresses);
    }
}

impl Peers for ChunkClient {
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>> {
        let client = self.clone();
        Box::pin(async move {
            let Wanted { addresses, key, region, bytes_max, .. } = wanted;
            let got = client.get(&addresses, key, region.as_ref(), bytes_max).await;
            got.map_err(|e| Missed {
                away: matches!(e, TransferError::Connect(_)),
                why: format!("{}: {e}", addresses.join(" ")),
            })
        })
    }

    fn left(&self, _: WorkerId, addresses: &[String]) {
        self.forget(addresses);
    }
}

/// The last cause of an error, which names it best.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// The failure that headers or trailers tell, if they do.
fn check_status(headers: &http::HeaderMap) -> Result<(), TransferError> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(TransferError::Refused(Box::new(status))),
        _ => Ok(()),
    }
}

/// The next bytes of a body; `None` after its trailers.
pub(crate) async fn next_frame(body: &mut Body) -> Result<Option<Bytes>, TransferError> {
    loop {
        let next = tokio::time::timeout(STALL_TIMEOUT, body.frame()).await;
        let Some(frame) = next.map_err(|_| TransferError::Stalled(STALL_TIMEOUT))? else { return Ok(None) };
        match frame.map_err(|e| TransferError::Broken(e.to_string()))?.into_data() {
            Ok(data) => return Ok(Some(data)),
            Err(other) => {
                if let Ok(trailers) = other.into_trailers() {
                    check_status(&trailers)?;
                }
            }
        }
    }
}

/// A chunk that another process may be reading. Dropped before that is known to have ended, it is kept a while.
struct Kept(Option<Chunk>);

impl Kept {
    /// Nobody reads it any more.
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(chunk) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(near::HOLD).await;
                drop(chunk);
            });
        }
    }
}

/// Reads a reply without content to its end.
async fn drain(mut reply: Body) -> Result<(), TransferError> {
    while let Some(piece) = next_frame(&mut reply).await? {
        drop(piece);
    }
    Ok(())
}

/// A chunk in another process' memory.
struct Place {
    header: ChunkHeader,
    /// Room for it.
    writer: ChunkWriter,
    body: Body,
}

/// What came of a request for a chunk.
enum Received {
    Chunk(Chunk),
    /// It lies in another process' memory, and stays there while `body` lives.
    Place(Box<Place>),
}

/// Reads a transfer into a chunk.
async fn receive(mut body: Body, bytes_max: usize) -> Result<Received, TransferError> {
    let (mut unframer, mut writer) = (Unframer::default(), None);
    while let Some(mut bytes) = next_frame(&mut body).await? {
        while let Some(part) = unframer.next(&mut bytes)? {
            match (part, &mut writer) {
                (Part::Data(data), Some(writer)) => ChunkWriter::write(writer, &data)?,
                (part, None) => {
                    let header = part.header()?;
                    let room = destination(&header, bytes_max)?;
                    if !header.memory.is_empty() {
                        return Ok(Received::Place(Box::new(Place { header, writer: room, body })));
                    }
                    writer = Some(room);
                }
                (Part::Message(_), Some(_)) => {
                    return Err(TransferError::Malformed("a second header".into()));
                }
            }
        }
    }
    unframer.finish()?;
    let writer = writer.ok_or_else(|| TransferError::Malformed("no header".into()))?;
    Ok(Received::Chunk(writer.finish()?))
}

/// Memory for the chunk that a header announces. Nothing is allocated above `bytes_max`.
pub(crate) fn destination(header: &ChunkHeader, bytes_max: usize) -> Result<ChunkWriter, TransferError> {
    let malformed = |why: &str| TransferError::Malformed(why.into());
    if header.planes.is_empty() || header.planes.len() > PLANES_MAX {
        return Err(malformed("its number of planes"));
    }
    let dtypes = header.planes.iter().map(|&code| u8::try_from(code).ok().and_then(DType::from_code));
    let dtypes: Vec<DType> =
        dtypes.collect::<Option<_>>().ok_or_else(|| malformed("an unknown element type"))?;
    let itemsize: usize = dtypes.iter().map(|d| d.size()).sum();
    let shape: Vec<usize> = header.shape.iter().map(|&l| l as usize).collect();
    let bytes = shape.iter().try_fold(itemsize, |n, &l| n.checked_mul(l)).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(TransferError::TooLarge { bytes, limit: bytes_max });
    }
    Ok(ChunkWriter::new(&dtypes, &shape)?)
}

/// The header of a chunk that is given away.
pub(crate) fn header_of(chunk: &Chunk) -> ChunkHeader {
    let shape = chunk.planes.first().map_or(&[][..], Plane::shape);
    ChunkHeader {
        planes: chunk.planes.iter().map(|p| u32::from(p.dtype().code())).collect(),
        shape: shape.iter().map(|&l| l as u64).collect(),
        ..ChunkHeader::default()
    }
}

/// The header of a chunk that another process of this machine is to read where it lies.
pub(crate) fn header_in_memory(chunk: &Chunk) -> ChunkHeader {
    ChunkHeader {
        host: near::here().unwrap_or_default().into(),
        process: std::process::id(),
        memory: near::memory_of(chunk),
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

/// A chunk on its way out: the header, then pieces of the chunk's own memory.
pub(crate) struct ChunkBody {
    header: Option<Bytes>,
    planes: std::vec::IntoIter<Bytes>,
    /// What is left of the plane that is being sent.
    plane: Bytes,
    /// The piece whose prefix was sent.
    piece: Option<Bytes>,
    trailers: Option<http::HeaderMap>,
    /// Bytes handed to the network so far.
    progress: Arc<AtomicU64>,
    /// Held while the transfer lasts.
    _permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl ChunkBody {
    /// The body that sends `chunk`. Strided planes are copied first, others are sent as they lie.
    pub(crate) fn new(
        header: ChunkHeader,
        chunk: &Chunk,
        trailers: Option<http::HeaderMap>,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> ChunkBody {
        let planes = chunk.planes.iter().map(|p| Bytes::from_owner(PlaneBytes(p.to_contiguous())));
        ChunkBody {
            header: Some(frame::header(header)),
            planes: planes.collect::<Vec<_>>().into_iter(),
            plane: Bytes::new(),
            piece: None,
            trailers,
            progress: Arc::default(),
            _permit: permit,
        }
    }

    fn next_bytes(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.header.take().or_else(|| self.piece.take()) {
            self.progress.fetch_add(bytes.len() as u64, Ordering::Relaxed);
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

impl http_body::Body for ChunkBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let next = match self.next_bytes() {
            Some(bytes) => Some(http_body::Frame::data(bytes)),
            None => self.trailers.take().map(http_body::Frame::trailers),
        };
        Poll::Ready(next.map(Ok))
    }
}
