//! The scheduler's services over TLS: they decode, post and send.
//!
//! Owns the pumps between streams and sessions. Must not decide anything; every request needs the cluster's token.

use crate::SchedulerHandle;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tilework_cluster::listen::{BindError, Bound};
use tilework_cluster::security::{Identity, TokenCheck};
use tilework_cluster::transport::{Cause, ConnectError, server_builder};
use tilework_plan::{Hello, JobNumber};
use tilework_proto::fragment::Fragmented;
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{InEnd, OUTBOUND_MAX, OutEnd, pump_in, pump_out, send};
use tilework_proto::wire::{self, scheduler_server, worker_server};
use tilework_proto::{DecodeError, FromClient, FromWorker, ToClient, ToWorker, Wire, WorkerSession};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info};

/// How long a new worker may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of the words in which somebody says who asks.
const WHO_CHARS_MAX: usize = 200;
/// How long the open streams may take to end when the server stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The identity cannot be used for TLS.
    #[error("cannot serve: {0}")]
    Identity(#[from] ConnectError),
    /// The socket cannot be used.
    #[error("cannot serve: {0}")]
    Socket(#[from] BindError),
    /// The server failed.
    #[error("the server failed")]
    Server(#[from] tonic::transport::Error),
    /// The operating system refused.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
}

/// Serves the scheduler on this socket until `shutdown` completes or somebody asks it to stop; then stops the scheduler
/// and returns when its connections are closed.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    bound: Bound,
    identity: &Identity,
    handle: SchedulerHandle,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let check = TokenCheck::new(identity);
    let clients = scheduler_server::SchedulerServer::new(Service { handle: handle.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let workers = worker_server::WorkerServer::new(Service { handle: handle.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let (stopped, on_stop) = tokio::sync::oneshot::channel::<()>();
    let server = server_builder(identity)?
        .add_service(InterceptedService::new(clients, check.clone()))
        .add_service(InterceptedService::new(workers, check))
        .serve_with_incoming_shutdown(bound.into_incoming()?, async { drop(on_stop.await) });
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = shutdown => {}
        () = handle.ended() => {}
    }
    // The sessions end with the scheduler, the streams with the sessions, the server with the streams.
    handle.stop().await;
    drop(stopped);
    match tokio::time::timeout(CLOSE_TIMEOUT, server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => Ok(()), // somebody keeps a connection open; it ends with the server
    }
}

struct Service {
    handle: SchedulerHandle,
}

type OutStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

#[tonic::async_trait]
impl scheduler_server::Scheduler for Service {
    type SessionStream = OutStream<wire::ClientUpdate>;

    async fn session(
        &self,
        request: Request<Streaming<wire::ClientMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let queues = self.handle.client_queues().await.map_err(|e| Status::unavailable(e.to_string()))?;
        let (client, requests, updates) = queues;
        let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
        tokio::spawn(async move {
            if send(&ToClient::Welcome(client), &out, Ok).await.is_ok() {
                pump((request.into_inner(), requests), (updates, out), |_| None::<FromClient>).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }

    async fn state(&self, _: Request<wire::StateRequest>) -> Result<Response<wire::ClusterState>, Status> {
        let state = self.handle.state().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(Response::new(state.to_wire()))
    }

    async fn cancel(
        &self,
        request: Request<wire::CancelRequest>,
    ) -> Result<Response<wire::CancelReply>, Status> {
        let wire::CancelRequest { number, by } = request.into_inner();
        let found = self.handle.cancel(JobNumber(number), words(by)).await;
        let found = found.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(Response::new(wire::CancelReply { found }))
    }

    async fn stop(&self, request: Request<wire::StopRequest>) -> Result<Response<wire::StopReply>, Status> {
        let by = words(request.into_inner().by);
        info!("stopped by {by}");
        let handle = self.handle.clone();
        // The answer goes out before the server ends.
        tokio::spawn(async move { handle.stop_for(Some(by)).await });
        Ok(Response::new(wire::StopReply {}))
    }
}

#[tonic::async_trait]
impl worker_server::Worker for Service {
    type AttachStream = OutStream<wire::SchedulerMessage>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::WorkerMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut inbound = request.into_inner();
        let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let hello = match first_hello(&mut inbound).await {
                Ok(hello) => hello,
                Err(status) => return drop(out.send(Err(status)).await),
            };
            let session = match handle.attach(hello).await {
                Ok(session) => session,
                Err(e) => return drop(out.send(Err(Status::unavailable(e.to_string()))).await),
            };
            let WorkerSession { worker, to_scheduler, from_scheduler } = session;
            if send(&ToWorker::Welcome(worker), &out, Ok).await.is_ok() {
                let last_words =
                    |status: &Status| Some(FromWorker::LastWords(Cause::of_loss(status).to_string()));
                pump((inbound, to_scheduler), (from_scheduler, out), last_words).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }
}

async fn first_hello(inbound: &mut Streaming<wire::WorkerMessage>) -> Result<Hello, Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.next());
    let first = first.await.map_err(|_| Status::deadline_exceeded("no hello came"))?;
    let message = first.ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))??;
    match FromWorker::from_wire(message) {
        Ok(FromWorker::Hello(hello)) => Ok(hello),
        Ok(_) => Err(Status::invalid_argument("got another message, expected a hello")),
        Err(e) => Err(refused(&e)),
    }
}

/// Who asks, as others are told it.
fn words(by: String) -> String {
    let short: String = by.chars().filter(|c| !c.is_control()).take(WHO_CHARS_MAX).collect();
    if short.is_empty() { "somebody".to_owned() } else { short }
}

fn refused(error: &DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Moves messages both ways until either way ends; what is queued for the peer still goes out when the session ends.
/// Where the stream breaks, `last_words` makes the message that says so.
async fn pump<I: Wire, O: Wire>(
    (stream, requests): (Streaming<I::Message>, mpsc::Sender<I>),
    (mut replies, out): (mpsc::Receiver<O>, mpsc::Sender<Result<O::Message, Status>>),
    last_words: impl FnOnce(&Status) -> Option<I>,
) where
    I::Message: Fragmented,
    O::Message: Fragmented,
{
    let status = tokio::select! {
        end = pump_in(stream, &requests) => match end {
            InEnd::Malformed(e) => Some(refused(&e)),
            InEnd::Unwanted => {
                pump_out(&mut replies, &out, Ok).await;
                None
            }
            InEnd::Broken(status) => {
                debug!(%status, "a stream broke");
                if let Some(words) = last_words(&status) {
                    // Full or closed: the end of the queue says enough.
                    let _ = requests.try_send(words);
                }
                return;
            }
            InEnd::Closed => None,
        },
        end = pump_out(&mut replies, &out, Ok) => match end {
            OutEnd::TooLarge(e) => Some(Status::resource_exhausted(e.to_string())),
            OutEnd::Stuck | OutEnd::Finished => None,
        },
    };
    if let Some(status) = status {
        // Full or closed: the stream ends either way.
        let _ = out.try_send(Err(status));
    }
}
