//! The chunk service: gives chunks to workers and clients, takes literals from clients.
//!
//! Owns the limits of what goes on at once and the check of the token. A chunk goes out from its own memory, without
//! a copy. Must not know tasks.

use crate::WorkerHandle;
use crate::frame::{self, Part, Unframer};
use crate::handle::{PutError, Putter};
use crate::near;
use crate::peer::{self, ChunkBody, GET_PATH, PUT_PATH, TransferError, header_of};
use crate::peers::Shelf;
use bytes::Bytes;
use prost::Message;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tilework_cluster::listen::Bound;
use tilework_cluster::security::{Identity, TokenCheck};
use tilework_cluster::transport::server_builder;
use tilework_expr::{LeaseId, Region, TaskKey};
use tilework_kernels::{Chunk, ChunkWriter};
use tilework_proto::convert::Wire;
use tilework_proto::session::BoxFuture;
use tilework_proto::wire::{ChunkRequest, PlaneMemory, PutDone};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;

/// Chunks that go out at once; more requests wait.
const GETS_MAX: usize = 256;
/// Chunks that come in at once; more requests wait.
const PUTS_MAX: usize = 16;
/// How long a client waits for room after its chunk was taken, at most.
const PUT_WAIT_MAX: Duration = Duration::from_secs(5);
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
            put_bytes_max,
        }
    }

    async fn answer(self, request: http::Request<Body>) -> Result<Body, Status> {
        self.check.check(request.headers())?;
        match request.uri().path() {
            GET_PATH => self.get(request.into_body()).await,
            PUT_PATH => self.put(request.into_body()).await,
            other => Err(Status::unimplemented(format!("no method {other}"))),
        }
    }

    async fn get(self, body: Body) -> Result<Body, Status> {
        let Asked { key, region, host } = request_of(body).await?;
        let permit = self.gets.acquire_owned().await.expect("the semaphore is never closed");
        let shelf = self.shelf;
        let mut chunk = shelf.get(key, region.as_ref()).await.map_err(Status::not_found)?;
        let near = chunk.bytes() >= near::BYTES_MIN && near::here().is_some_and(|here| here == host);
        let in_place = |chunk: &Chunk| near && chunk.planes.iter().all(near::is_readable);
        let is_large = chunk.bytes() > COPY_INLINE_BYTES_MAX;
        if !in_place(&chunk) && is_large && chunk.planes.iter().any(|p| !p.is_contiguous()) {
            let copied = tokio::task::spawn_blocking(move || Chunk {
                planes: chunk.planes.iter().map(tilework_kernels::Plane::to_contiguous).collect(),
            });
            chunk = copied.await.map_err(|e| Status::internal(e.to_string()))?;
        }
        if in_place(&chunk) {
            return Ok(Body::new(HeldBody::new(chunk, permit)));
        }
        Ok(Body::new(ChunkBody::new(header_of(&chunk), &chunk, Some(trailers()), Some(permit))))
    }

    async fn put(self, mut body: Body) -> Result<Body, Status> {
        let permit = self.puts.acquire_owned().await.expect("the semaphore is never closed");
        let (mut unframer, mut taking) = (Unframer::default(), None);
        while let Some(mut bytes) = peer::next_frame(&mut body).await.map_err(|e| status_of(&e))? {
            while let Some(part) = unframer.next(&mut bytes)? {
                match (part, &mut taking) {
                    (Part::Data(data), Some(Taking { writer, .. })) => {
                        writer.write(&data).map_err(refused)?
                    }
                    (part, None) => taking = Some(Taking::of(part, self.put_bytes_max)?),
                    (Part::Message(_), Some(_)) => return Err(Status::invalid_argument("a second header")),
                }
            }
        }
        unframer.finish()?;
        let Taking { lease, key, writer, place } =
            taking.ok_or_else(|| Status::invalid_argument("no header came"))?;
        let chunk = match place {
            None => writer.finish().map_err(refused)?,
            Some((process, memory)) => {
                let read = tokio::task::spawn_blocking(move || near::read(process, &memory, writer));
                let read = read.await.map_err(|e| Status::internal(e.to_string()))?;
                read.map_err(|e| Status::unimplemented(format!("cannot read the client's memory: {e}")))?
            }
        };
        self.putter.put(lease, key, chunk, false).await.map_err(|e| match e {
            PutError::Refused(why) => Status::failed_precondition(why),
            PutError::Ended => Status::unavailable(e.to_string()),
        })?;
        if self.putter.shared.spill_bytes > 0 {
            // The client goes on when there is room; a disk that gives none is for others to find.
            let room = self.shelf.store.below(self.put_bytes_max as u64);
            let _ = tokio::time::timeout(PUT_WAIT_MAX, room).await;
        }
        drop(permit);
        Ok(Body::new(Reply { message: Some(frame::message(&PutDone {})), trailers: Some(trailers()) }))
    }
}

/// A literal's chunk on its way in.
struct Taking {
    lease: LeaseId,
    key: TaskKey,
    writer: ChunkWriter,
    /// The process in whose memory it lies and where, if it does not come over the network.
    place: Option<(u32, Vec<PlaneMemory>)>,
}

impl Taking {
    fn of(part: Part, bytes_max: usize) -> Result<Taking, Status> {
        let mut header = part.header()?;
        let key = header.key.take().ok_or_else(|| Status::invalid_argument("no key"))?;
        let key = TaskKey::from_wire(key).map_err(refused)?;
        let writer = peer::destination(&header, bytes_max).map_err(|e| status_of(&e))?;
        let place = (!header.memory.is_empty()).then_some((header.process, header.memory));
        if place.is_some() && near::here().is_none_or(|here| here != header.host) {
            return Err(Status::unimplemented("the client's memory is not on this machine"));
        }
        Ok(Taking { lease: LeaseId(header.lease), key, writer, place })
    }
}

/// What a request asks for.
struct Asked {
    key: TaskKey,
    region: Option<Region>,
    /// From where.
    host: String,
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
                Part::Message(message) => found = Some(message),
                Part::Data(_) => return Err(Status::invalid_argument("got data, expected a request")),
            }
        }
    }
    unframer.finish()?;
    let found = found.ok_or_else(|| Status::invalid_argument("no request came"))?;
    let request = ChunkRequest::decode(found).map_err(refused)?;
    let key = request.key.ok_or_else(|| Status::invalid_argument("no key"))?;
    let region = request.region.map(|b| region_of(&b.bounds)).transpose()?;
    Ok(Asked { key: TaskKey::from_wire(key).map_err(refused)?, region, host: request.host })
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

/// A header that says where a chunk lies; it stays there until the reader ends the call.
struct HeldBody {
    header: Option<Bytes>,
    until: std::pin::Pin<Box<tokio::time::Sleep>>,
    _chunk: Chunk,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl HeldBody {
    fn new(chunk: Chunk, permit: tokio::sync::OwnedSemaphorePermit) -> HeldBody {
        let header = Some(frame::header(peer::header_in_memory(&chunk)));
        HeldBody { header, until: Box::pin(tokio::time::sleep(near::HOLD)), _chunk: chunk, _permit: permit }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if let Some(header) = self.header.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(header))));
        }
        self.until.as_mut().poll(context).map(|()| None)
    }
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
