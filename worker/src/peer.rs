//! Chunks of other processes: getting them, and putting literals to them.
//!
//! Owns the connections to chunk services. The bytes of a chunk are copied once, from the network's buffers into the
//! aligned memory that kernels read. Must not know tasks or stores.

use crate::frame::{self, Framed, Unframer};
use crate::grant::{self, Grant};
use crate::near::{self, Place};
use crate::outgoing::{ChunkBody, header_in_memory, header_of};
use crate::peers::{Missed, Peers, Wanted};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use prost::Message;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tilework_cluster::security::{Identity, TokenAttach};
use tilework_cluster::transport::{ConnectError, connect_once};
use tilework_expr::DType;
use tilework_kernels::{Chunk, ChunkError, ChunkWriter};
use tilework_plan::{LeaseId, Part, Region, TaskKey};
use tilework_proto::convert::Wire;
use tilework_proto::limits::PLANES_MAX;
use tilework_proto::session::BoxFuture;
use tilework_proto::wire::{self, ChunkHeader, IntroduceRequest, Introduction};
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
pub(crate) const INTRODUCE_PATH: &str = "/tilework.v1.Chunks/Introduce";

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
    /// Its machine, and what a grant for it begins with.
    introduced: tokio::sync::OnceCell<Introduction>,
    /// It cannot read this process' memory, or this process its.
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

    /// Gets a chunk, or a part of it, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`TransferError`]; the chunk may be had again.
    pub async fn get(
        &self,
        addresses: &[String],
        key: TaskKey,
        part: Option<&Part>,
        bytes_max: usize,
    ) -> Result<Chunk, TransferError> {
        let bounds = |r: &Region| r.iter().flat_map(|r| [r.start as u64, r.end as u64]).collect();
        let (region, block) = match part {
            None => (None, None),
            Some(Part::Box(region)) => (Some(wire::Box { bounds: bounds(region) }), None),
            Some(Part::Block(number)) => (None, Some(*number)),
        };
        let key = Some(key.to_wire());
        let mut request = wire::ChunkRequest { key, region, block, ..wire::ChunkRequest::default() };
        if let (Some(here), Some(nonce)) = (self.here(addresses), grant::nonce()) {
            request.host = here.into();
            request.nonce = Bytes::from_static(nonce);
            if let Some(chunk) = self.ask(addresses, &request, bytes_max).await? {
                return Ok(chunk);
            }
            request.host.clear();
            request.nonce.clear();
        }
        let got = self.ask(addresses, &request, bytes_max).await?;
        got.ok_or_else(|| TransferError::Malformed("got a place in memory, expected data".into()))
    }

    /// The name of this machine, where memory of other processes can be read, and that worker's is not known not to be.
    fn here(&self, addresses: &[String]) -> Option<&'static str> {
        let is_far = || self.lock().get(addresses).is_some_and(|p| p.is_far.load(Ordering::Relaxed));
        near::here().filter(|_| self.reads_memory.load(Ordering::Relaxed) && !is_far())
    }

    /// From now on everything goes over the network to that worker, and from it.
    fn is_far(&self, addresses: &[String], why: &dyn std::fmt::Display) {
        let peer = self.lock().get(addresses).cloned();
        if peer.is_some_and(|p| !p.is_far.swap(true, Ordering::Relaxed)) {
            tracing::info!(?addresses, %why, "chunks of this worker go over the network");
        }
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
        let Placed { place, writer, mut body } = match receive(body, bytes_max).await? {
            Received::Chunk(chunk) => return Ok(Some(chunk)),
            Received::Placed(placed) => *placed,
        };
        if request.host.is_empty() || place.host != request.host {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || near::read(&place, writer));
        let chunk = match read.await.map_err(|e| TransferError::Broken(e.to_string()))? {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.is_far(addresses, &error);
                return Ok(None);
            }
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
        if readable && let Some(grant) = self.grant(addresses, chunk).await? {
            let header =
                ChunkHeader { lease: lease.0, key: Some(key.to_wire()), ..header_in_memory(chunk, &grant) };
            match self.offer(addresses, header, Kept(Some((chunk.clone(), grant)))).await {
                Err(TransferError::Refused(status)) if status.code() == Code::Unimplemented => {
                    self.is_far(addresses, &status.message());
                }
                other => return other,
            }
        }
        let header = ChunkHeader { lease: lease.0, key: Some(key.to_wire()), ..header_of(chunk) };
        let body = ChunkBody::new(header, chunk, None);
        let progress = body.progress.clone();
        let reply = self.call(addresses, PUT_PATH, Body::new(body), &progress).await?;
        drain(reply).await
    }

    /// Lets a worker read a chunk in its place; none where it cannot.
    async fn grant(&self, addresses: &[String], chunk: &Chunk) -> Result<Option<Grant>, TransferError> {
        let Some(here) = self.here(addresses) else { return Ok(None) };
        let waiting = Waiting { all: &self.connections, peer: self.peer(addresses) };
        let ask = async || {
            let message = Body::new(Full::new(frame::message(&IntroduceRequest {})));
            let reply = self.call(addresses, INTRODUCE_PATH, message, &AtomicU64::new(0)).await?;
            introduction(reply).await
        };
        let worker = waiting.peer.introduced.get_or_try_init(ask).await?;
        if worker.host == here {
            return Ok(Grant::of(chunk, &worker.nonce));
        }
        self.is_far(addresses, &"it is on another machine");
        Ok(None)
    }

    /// Says where a chunk lies, and keeps it there until the worker has read it.
    async fn offer(
        &self,
        addresses: &[String],
        header: ChunkHeader,
        kept: Kept,
    ) -> Result<(), TransferError> {
        let message = Body::new(Full::new(frame::header(header)));
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
            // Those that somebody waits for stay; transfers under way have their channel.
            all.retain(|_, peer| Arc::strong_count(peer) > 1);
        }
        all.entry(addresses.to_vec()).or_default().clone()
    }

    /// The connection to a worker. Those who want it at once share one attempt, and its failure.
    async fn channel(&self, addresses: &[String]) -> Result<Channel, TransferError> {
        let (asked, waiting) =
            (Instant::now(), Waiting { all: &self.connections, peer: self.peer(addresses) });
        let peer = &waiting.peer;
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
        peer.channel.get_or_try_init(attempt).await.cloned()
    }

    /// Closes the connection to a worker once its transfers have ended.
    pub fn forget(&self, addresses: &[String]) {
        self.lock().remove(addresses);
    }
}

/// One who waits for a connection. The last to go, also one who is told to, takes it off the map if it was not made.
struct Waiting<'a> {
    all: &'a Mutex<Connections>,
    peer: Arc<Peer>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.peer.channel.get().is_none() {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            // The map's, and this one's.
            if Arc::strong_count(&self.peer) <= 2 {
                all.retain(|_, p| !Arc::ptr_eq(p, &self.peer));
            }
        }
    }
}

impl Peers for ChunkClient {
    fn get(&self, wanted: Wanted) -> BoxFuture<'static, Result<Chunk, Missed>> {
        let client = self.clone();
        Box::pin(async move {
            let Wanted { addresses, key, part, bytes_max, .. } = wanted;
            let got = client.get(&addresses, key, part.as_ref(), bytes_max).await;
            got.map_err(|e| Missed {
                away: matches!(e, TransferError::Connect(_)),
                why: format!("{}: {e}", addresses.join(" ")),
            })
        })
    }

    fn let_go(&self, addresses: &[String]) {
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
struct Kept(Option<(Chunk, Grant)>);

impl Kept {
    /// Nobody reads it any more.
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(kept) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(near::HOLD).await;
                drop(kept);
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

/// What a worker says of itself.
async fn introduction(mut reply: Body) -> Result<Introduction, TransferError> {
    let (mut unframer, mut found) = (Unframer::default(), None);
    while let Some(mut bytes) = next_frame(&mut reply).await? {
        while let Some(part) = unframer.next(&mut bytes)? {
            match part {
                Framed::Message(message) if found.is_none() => found = Some(message),
                _ => return Err(TransferError::Malformed("more than an introduction".into())),
            }
        }
    }
    let found = found.ok_or_else(|| TransferError::Malformed("no introduction".into()))?;
    Introduction::decode(found).map_err(|e| TransferError::Malformed(e.to_string()))
}

/// A chunk in another process' memory.
struct Placed {
    place: Place,
    /// Room for it.
    writer: ChunkWriter,
    body: Body,
}

/// What came of a request for a chunk.
enum Received {
    Chunk(Chunk),
    /// It lies in another process' memory, and stays there while `body` lives.
    Placed(Box<Placed>),
}

/// Reads a transfer into a chunk.
async fn receive(mut body: Body, bytes_max: usize) -> Result<Received, TransferError> {
    let (mut unframer, mut writer) = (Unframer::default(), None);
    while let Some(mut bytes) = next_frame(&mut body).await? {
        while let Some(part) = unframer.next(&mut bytes)? {
            match (part, &mut writer) {
                (Framed::Data(data), Some(writer)) => ChunkWriter::write(writer, &data)?,
                (part, None) => {
                    let mut header = part.header()?;
                    let room = Room::of(&header, bytes_max)?.writer()?;
                    if let Some(place) = Place::of(&mut header) {
                        return Ok(Received::Placed(Box::new(Placed { place, writer: room, body })));
                    }
                    writer = Some(room);
                }
                (Framed::Message(_), Some(_)) => {
                    return Err(TransferError::Malformed("a second header".into()));
                }
            }
        }
    }
    unframer.finish()?;
    let writer = writer.ok_or_else(|| TransferError::Malformed("no header".into()))?;
    Ok(Received::Chunk(writer.finish()?))
}

/// What a header announces.
pub(crate) struct Room {
    pub(crate) dtypes: Vec<DType>,
    pub(crate) shape: Vec<usize>,
}

impl Room {
    /// Nothing is allocated, and nothing above `bytes_max` can be.
    pub(crate) fn of(header: &ChunkHeader, bytes_max: usize) -> Result<Room, TransferError> {
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
        Ok(Room { dtypes, shape })
    }

    /// Memory for it.
    pub(crate) fn writer(&self) -> Result<ChunkWriter, TransferError> {
        Ok(ChunkWriter::new(&self.dtypes, &self.shape)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::{ChunkIdx, JobId, StageIdx};

    #[tokio::test]
    async fn connections_that_were_not_made_do_not_stay() {
        let client = ChunkClient::new(&Identity::create().unwrap());
        let key = TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(0) };
        // One that takes connections and never says a word, and one where nothing listens.
        let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = vec![closed.local_addr().unwrap().to_string()];
        let mute_at = vec![mute.local_addr().unwrap().to_string()];
        let chunk = Chunk::from_bytes(&[DType::U8], &[100_000], &[1; 100_000]).unwrap();
        assert!(client.get(&closed, key, None, 1).await.is_err());
        assert!(client.put(&closed, LeaseId(1), key, &chunk).await.is_err());
        assert!(client.lock().is_empty());
        // Nor do those that somebody gave up waiting for.
        let attempt = |put: bool| {
            let (client, addresses, chunk) = (client.clone(), mute_at.clone(), chunk.clone());
            tokio::spawn(async move {
                if put {
                    client.put(&addresses, LeaseId(1), key, &chunk).await.is_err()
                } else {
                    client.get(&addresses, key, None, 1).await.is_err()
                }
            })
        };
        let attempts = [attempt(false), attempt(true), attempt(false)];
        let _held = mute.accept().await.unwrap();
        assert_eq!(client.lock().len(), 1);
        for attempt in attempts {
            attempt.abort();
            assert!(attempt.await.is_err());
        }
        assert!(client.lock().is_empty());
    }
}
