//! The chunk service: gives chunks to workers and clients, takes literals from clients.
//!
//! Owns the limits of what goes on at once and the check of the token. A chunk goes out from its own memory, without
//! a copy. Must not know tasks.

use crate::WorkerHandle;
use crate::frame::{self, Framed, Unframer};
use crate::grant::{self, Grant};
use crate::handle::{PutError, Putter};
use crate::near::{self, Place};
use crate::outgoing::{ChunkBody, HeldBody, header_of};
use crate::peer::{self, GET_PATH, INTRODUCE_PATH, PUT_PATH, Room, TransferError};
use crate::peers::Shelf;
use bytes::Bytes;
use prost::Message;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tilework_cluster::listen::Bound;
use tilework_cluster::security::{Identity, TokenCheck};
use tilework_cluster::transport::server_builder;
use tilework_kernels::Chunk;
use tilework_plan::{LeaseId, Part, Region, TaskKey};
use tilework_proto::convert::Wire;
use tilework_proto::session::BoxFuture;
use tilework_proto::wire::{ChunkRequest, Introduction, PutDone};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;

/// Chunks that go out at once; more requests wait.
const GETS_MAX: usize = 256;
/// Chunks that come in at once; more wait.
const PUTS_MAX: usize = 16;
/// How long a client waits for room before its chunk is taken, at most.
const PUT_WAIT_MAX: Duration = Duration::from_secs(5);
/// A chunk of which nothing comes for so long lets others come in.
const SLOT_SILENCE: Duration = Duration::from_millis(100);
/// One that comes for so long waits until others that wait have had their turn.
const SLOT_TURN: Duration = Duration::from_secs(1);
/// Bytes of a request for a chunk.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Strided boxes above this many bytes are copied on a blocking thread.
const COPY_INLINE_BYTES_MAX: usize = 256 << 10;

/// The chunk service of one worker.
#[derive(Clone, Debug)]
pub struct ChunkService {
    shelf: Shelf,
    putter: Putter,
    check: TokenCheck,
    gets: Arc<Semaphore>,
    puts: Arc<Semaphore>,
    underway: Underway,
    put_bytes_max: usize,
}

impl NamedService for ChunkService {
    const NAME: &'static str = "tilework.v1.Chunks";
}

impl ChunkService {
    /// The service of `worker`. A chunk that is put may have `put_bytes_max` bytes.
    #[must_use]
    pub fn new(worker: &WorkerHandle, identity: &Identity, put_bytes_max: usize) -> ChunkService {
        let putter = worker.putter();
        ChunkService {
            shelf: putter.shared.shelf(),
            putter,
            check: TokenCheck::new(identity),
            gets: Arc::new(Semaphore::new(GETS_MAX)),
            puts: Arc::new(Semaphore::new(PUTS_MAX)),
            underway: Underway::default(),
            put_bytes_max,
        }
    }

    async fn answer(self, request: http::Request<Body>) -> Result<Body, Status> {
        self.check.check(request.headers(), request.extensions())?;
        match request.uri().path() {
            GET_PATH => self.get(request.into_body()).await,
            PUT_PATH => self.put(request.into_body()).await,
            INTRODUCE_PATH => Ok(introduction()),
            other => Err(Status::unimplemented(format!("no method {other}"))),
        }
    }

    async fn get(self, body: Body) -> Result<Body, Status> {
        let Asked { key, part, host, nonce } = request_of(body).await?;
        let slot = self.gets.acquire_owned().await.expect("the semaphore is never closed");
        let shelf = self.shelf;
        let (mut chunk, uncounted) = shelf.get(key, part.as_ref()).await.map_err(Status::not_found)?;
        let near = chunk.bytes() >= near::BYTES_MIN && near::here().is_some_and(|here| here == host);
        if near
            && chunk.planes.iter().all(near::is_readable)
            && let Some(grant) = Grant::of(&chunk, &nonce)
        {
            return Ok(Body::new(HeldBody::new(chunk, grant, uncounted)));
        }
        let is_large = chunk.bytes() > COPY_INLINE_BYTES_MAX;
        if is_large && chunk.planes.iter().any(|p| !p.is_contiguous()) {
            let copied = tokio::task::spawn_blocking(move || Chunk {
                planes: chunk.planes.iter().map(tilework_kernels::Plane::to_contiguous).collect(),
            });
            chunk = copied.await.map_err(|e| Status::internal(e.to_string()))?;
        }
        Ok(Body::new(ChunkBody::new(header_of(&chunk), &chunk, Some(trailers())).watched(slot, uncounted)))
    }

    async fn put(self, body: Body) -> Result<Body, Status> {
        let mut incoming = Incoming { body, unframer: Unframer::default(), bytes: Bytes::new() };
        let first = incoming.next().await?.ok_or_else(|| Status::invalid_argument("no header came"))?;
        let Announced { lease, key, room, place } = Announced::of(first, self.put_bytes_max)?;
        // Who has no lease gets no memory and holds up nobody; nor does who has one and sends nothing.
        self.putter.expects(lease, key, &room.dtypes, &room.shape).await.map_err(refused_put)?;
        let (_entry, replaced) = self.underway.enter((lease, key));
        let take = async {
            if self.putter.shared.spill_bytes > 0 {
                // A disk that gives no room is for others to find.
                let less = self.shelf.store.below(self.put_bytes_max as u64);
                let _ = tokio::time::timeout(PUT_WAIT_MAX, less).await;
            }
            let mut slot = Slot::of(self.puts.clone()).await;
            let mut writer = room.writer().map_err(|e| status_of(&e))?;
            let Some(place) = place else {
                while let Some(part) = slot.during(incoming.next()).await? {
                    let Framed::Data(data) = part else {
                        return Err(Status::invalid_argument("a second header"));
                    };
                    writer.write(&data).map_err(refused)?;
                }
                return writer.finish().map_err(refused);
            };
            let read = tokio::task::spawn_blocking(move || near::read(&place, writer));
            let read = read.await.map_err(|e| Status::internal(e.to_string()))?;
            read.map_err(|e| Status::unimplemented(format!("cannot read the client's memory: {e}")))
        };
        let chunk = tokio::select! {
            taken = take => taken?,
            () = replaced => return Err(Status::aborted("the chunk is put again by another call")),
        };
        self.putter.put(lease, key, chunk, false).await.map_err(refused_put)?;
        Ok(Body::new(Reply { message: Some(frame::message(&PutDone {})), trailers: Some(trailers()) }))
    }
}

/// What a client must know to have its memory read: how it is told that it is on this machine, and by what this process
/// knows what it has been granted.
fn introduction() -> Body {
    let known = near::here().zip(grant::nonce());
    let introduction = known.map_or_else(Introduction::default, |(host, nonce)| Introduction {
        host: host.to_owned(),
        nonce: Bytes::from_static(nonce),
    });
    Body::new(Reply { message: Some(frame::message(&introduction)), trailers: Some(trailers()) })
}

/// The parts of a body, as they come.
struct Incoming {
    body: Body,
    unframer: Unframer,
    /// What has come and is not taken apart yet.
    bytes: Bytes,
}

impl Incoming {
    /// The next one; none at the end.
    async fn next(&mut self) -> Result<Option<Framed>, Status> {
        loop {
            if let Some(part) = self.unframer.next(&mut self.bytes)? {
                return Ok(Some(part));
            }
            match peer::next_frame(&mut self.body).await.map_err(|e| status_of(&e))? {
                Some(bytes) => self.bytes = bytes,
                None => return self.unframer.finish().map(|()| None).map_err(Status::from),
            }
        }
    }
}

/// A place among the chunks that come in, lent as long as something comes: a client that was stopped keeps nobody else
/// from being served, and a slow one takes turns with the others.
struct Slot {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    since: Instant,
}

impl Slot {
    async fn of(all: Arc<Semaphore>) -> Slot {
        let mut slot = Slot { all, held: None, since: Instant::now() };
        slot.take().await;
        slot
    }

    async fn take(&mut self) {
        if self.held.is_none() {
            let taken = Arc::clone(&self.all).acquire_owned().await;
            self.held = Some(taken.expect("the semaphore is never closed"));
            self.since = Instant::now();
        }
    }

    /// Waits for the next part with the slot, or, where that takes long, without.
    async fn during<T>(&mut self, part: impl Future<Output = T>) -> T {
        if self.since.elapsed() > SLOT_TURN {
            self.held = None;
        }
        self.take().await;
        let mut part = std::pin::pin!(part);
        if let Ok(part) = tokio::time::timeout(SLOT_SILENCE, &mut part).await {
            return part;
        }
        self.held = None;
        let part = part.await;
        self.take().await;
        part
    }
}

/// The chunks that are being put. One that is put again under the same lease, by a client that gave the first attempt up,
/// takes its place.
#[derive(Clone, Debug, Default)]
struct Underway(Arc<Mutex<Calls>>);

/// The latest call for each chunk, by its number, and what tells it that there is a later one.
type Calls = HashMap<(LeaseId, TaskKey), (u64, oneshot::Sender<()>)>;

impl Underway {
    /// One more; the future completes when another takes its place.
    fn enter(&self, key: (LeaseId, TaskKey)) -> (Entry, impl Future<Output = ()> + use<>) {
        let (replace, replaced) = oneshot::channel();
        let mut all = self.lock();
        let number = all.get(&key).map_or(0, |(n, _)| n + 1);
        all.insert(key, (number, replace));
        let entry = Entry { all: self.clone(), key, number };
        (entry, async { drop(replaced.await) })
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk that is being put.
struct Entry {
    all: Underway,
    key: (LeaseId, TaskKey),
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if all.get(&self.key).is_some_and(|(n, _)| *n == self.number) {
            all.remove(&self.key);
        }
    }
}

/// What a put announces.
struct Announced {
    lease: LeaseId,
    key: TaskKey,
    room: Room,
    /// Where it lies, if it does not come over the network.
    place: Option<Place>,
}

impl Announced {
    fn of(part: Framed, bytes_max: usize) -> Result<Announced, Status> {
        let mut header = part.header()?;
        let key = header.key.take().ok_or_else(|| Status::invalid_argument("no key"))?;
        let key = TaskKey::from_wire(key).map_err(refused)?;
        let room = Room::of(&header, bytes_max).map_err(|e| status_of(&e))?;
        let place = Place::of(&mut header);
        if place.as_ref().is_some_and(|place| near::here() != Some(&place.host)) {
            return Err(Status::unimplemented("the client's memory is not on this machine"));
        }
        Ok(Announced { lease: LeaseId(header.lease), key, room, place })
    }
}

fn refused_put(error: PutError) -> Status {
    match error {
        PutError::Refused(why) => Status::failed_precondition(why),
        PutError::Ended => Status::unavailable(error.to_string()),
    }
}

/// What a request asks for.
struct Asked {
    key: TaskKey,
    part: Option<Part>,
    /// From where.
    host: String,
    /// What a grant for the asker begins with.
    nonce: Bytes,
}

async fn request_of(mut body: Body) -> Result<Asked, Status> {
    let (mut unframer, mut seen, mut found) = (Unframer::default(), 0, None);
    while let Some(mut bytes) = peer::next_frame(&mut body).await.map_err(|e| status_of(&e))? {
        seen += bytes.len();
        if seen > REQUEST_BYTES_MAX {
            return Err(Status::invalid_argument(format!("a request above {REQUEST_BYTES_MAX} bytes")));
        }
        while let Some(part) = unframer.next(&mut bytes)? {
            match part {
                Framed::Message(message) => found = Some(message),
                Framed::Data(_) => return Err(Status::invalid_argument("got data, expected a request")),
            }
        }
    }
    unframer.finish()?;
    let found = found.ok_or_else(|| Status::invalid_argument("no request came"))?;
    let request = ChunkRequest::decode(found).map_err(refused)?;
    let key = request.key.ok_or_else(|| Status::invalid_argument("no key"))?;
    let part = match (request.region, request.block) {
        (None, None) => None,
        (Some(region), None) => Some(Part::Box(region_of(&region.bounds)?)),
        (None, Some(number)) => Some(Part::Block(number)),
        (Some(_), Some(_)) => return Err(Status::invalid_argument("a box and a block of one chunk")),
    };
    Ok(Asked {
        key: TaskKey::from_wire(key).map_err(refused)?,
        part,
        host: request.host,
        nonce: request.nonce,
    })
}

fn region_of(bounds: &[u64]) -> Result<Region, Status> {
    let pairs = bounds.chunks(2).map(|pair| match *pair {
        [start, end] if start <= end => Ok(start as usize..end as usize),
        _ => Err(Status::invalid_argument("a box is a start and an end for each axis")),
    });
    pairs.collect()
}

fn refused(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn status_of(error: &TransferError) -> Status {
    match error {
        TransferError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
        TransferError::Stalled(_) => Status::deadline_exceeded(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}

fn trailers() -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    trailers
}

/// One message and the trailers.
struct Reply {
    message: Option<Bytes>,
    trailers: Option<http::HeaderMap>,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(http_body::Frame::data);
        Poll::Ready(message.or_else(|| self.trailers.take().map(http_body::Frame::trailers)).map(Ok))
    }
}

impl tower::Service<http::Request<Body>> for ChunkService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(match service.answer(request).await {
                Ok(body) => {
                    let mut response = http::Response::new(body);
                    let grpc = http::HeaderValue::from_static("application/grpc");
                    response.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
                    response
                }
                Err(status) => status.into_http(),
            })
        })
    }
}

/// Serves a worker's chunks on this socket until `shutdown` completes.
///
/// # Errors
/// If the identity cannot be used for TLS, or the socket not at all.
pub async fn serve_chunks(
    bound: Bound,
    identity: &Identity,
    service: ChunkService,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let incoming = bound.into_incoming()?;
    Ok(server_builder(identity)?
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await?)
}

/// Why chunks could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The identity cannot be used for TLS.
    #[error("cannot serve chunks: {0}")]
    Identity(#[from] tilework_cluster::transport::ConnectError),
    /// The socket cannot be used.
    #[error("cannot serve chunks: {0}")]
    Socket(#[from] tilework_cluster::listen::BindError),
    /// The server failed.
    #[error("the chunk server failed")]
    Server(#[from] tonic::transport::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn a_slot_is_lent_as_long_as_something_comes() {
        let all = Arc::new(Semaphore::new(1));
        let mut silent = Slot::of(all.clone()).await;
        let waiting = tokio::spawn(async move { silent.during(pending::<()>()).await });
        // The only slot is had although who had it first still waits.
        let mut other = Slot::of(all.clone()).await;
        assert_eq!(other.during(ready(7)).await, 7);
        assert_eq!(all.available_permits(), 0);
        waiting.abort();
        drop(other);
        assert_eq!(all.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_has_had_its_turn_waits_behind_the_others() {
        let all = Arc::new(Semaphore::new(1));
        let mut long = Slot::of(all.clone()).await;
        let mut next = std::pin::pin!(Slot::of(all.clone()));
        assert!(now(next.as_mut()).is_none());
        long.since = Instant::now().checked_sub(2 * SLOT_TURN).unwrap();
        let mut part = std::pin::pin!(long.during(ready(())));
        assert!(now(part.as_mut()).is_none(), "it goes on although another waits");
        drop(now(next.as_mut()).expect("the other has its turn"));
        assert!(now(part.as_mut()).is_some());
    }

    #[tokio::test]
    async fn a_chunk_that_is_put_again_replaces_the_first_attempt() {
        let underway = Underway::default();
        let task = |chunk| TaskKey {
            job: tilework_plan::JobId(1),
            stage: tilework_plan::StageIdx(0),
            chunk: tilework_plan::ChunkIdx(chunk),
        };
        let (first, replaced) = underway.enter((LeaseId(7), task(1)));
        let (other, mine) = underway.enter((LeaseId(7), task(2)));
        // The scheduler may have asked twice; then both are answered.
        let (later, too) = underway.enter((LeaseId(8), task(2)));
        let (second, _) = underway.enter((LeaseId(7), task(1)));
        replaced.await;
        drop(first);
        assert_eq!(underway.lock().len(), 3);
        assert!(now(std::pin::pin!(mine)).is_none() && now(std::pin::pin!(too)).is_none());
        drop(later);
        drop((second, other));
        assert!(underway.lock().is_empty());
    }

    /// What a future gives when it is asked once.
    fn now<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}
