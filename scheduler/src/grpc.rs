//! The scheduler's services over TLS: they decode, post and send.
//!
//! Owns what a new connection must say. Must not decide anything; every request needs the cluster's token.

use crate::SchedulerHandle;
use crate::sessions::{Arrival, Entry, Life, Sessions};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tilework_cluster::listen::{BindError, Bound};
use tilework_cluster::security::{Identity, TokenCheck};
use tilework_cluster::transport::{Cause, ConnectError, server_builder};
use tilework_plan::{ClientId, Hello, JobNumber};
use tilework_proto::fragment::StreamItem;
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{Line, OUTBOUND_MAX, Resumption, SessionKey, WayEnd, opened};
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
    let service = Service::new(&handle);
    let clients = scheduler_server::SchedulerServer::new(service.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let workers = worker_server::WorkerServer::new(service)
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

#[derive(Clone)]
struct Service {
    handle: SchedulerHandle,
    clients: Sessions<FromClient, ToClient>,
    workers: Sessions<FromWorker, ToWorker>,
}

impl Service {
    fn new(handle: &SchedulerHandle) -> Service {
        let away_max = handle.silence_max();
        let (clients, workers) = (Sessions::new(away_max), Sessions::new(away_max));
        Service { handle: handle.clone(), clients, workers }
    }

    /// A client's connection: what it says first, and what follows from that.
    async fn client(&self, mut arrival: Arrival<FromClient, ToClient>) {
        match self.client_opens(&mut arrival).await {
            Err(status) => arrival.refuse(status),
            Ok(Opens::Again(key, attempt)) => self.clients.resume((key, attempt), arrival).await,
            Ok(Opens::New { entry, process, opened: (client, requests, updates) }) => {
                let life = Life::of(process, Vec::new(), Some(self.handle.silence_max()));
                let mut line = Line::new(requests, updates);
                let end = entry.live(&mut line, arrival, &ToClient::Welcome(client), &life).await;
                debug!(?end, client = client.0, "a client's session ended");
            }
        }
    }

    async fn client_opens(
        &self,
        arrival: &mut Arrival<FromClient, ToClient>,
    ) -> Result<Opens<FromClient, ToClient, ClientQueues>, Status> {
        let first = within(first_word(arrival)).await?;
        if let Some(key) = first.session {
            return Ok(Opens::Again(key, first.attempt));
        }
        let opened = self.handle.client_queues().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(Opens::New { entry: self.clients.enter()?, process: first.process, opened })
    }

    /// A worker's connection: what it says first, and what follows from that.
    async fn worker(&self, mut arrival: Arrival<FromWorker, ToWorker>) {
        match self.worker_opens(&mut arrival).await {
            Err(status) => arrival.refuse(status),
            Ok(Opens::Again(key, attempt)) => self.workers.resume((key, attempt), arrival).await,
            Ok(Opens::New { entry, process, opened: (session, addresses) }) => {
                // Where nothing is heard of it, the state machine decides.
                let life = Life::of(process, addresses, None);
                let WorkerSession { worker, to_scheduler, from_scheduler } = session;
                let mut line = Line::new(to_scheduler, from_scheduler);
                let end = entry.live(&mut line, arrival, &ToWorker::Welcome(worker), &life).await;
                debug!(?end, worker = worker.0, "a worker's session ended");
                if let WayEnd::Broken(status) = end {
                    line.hand_in(FromWorker::LastWords(Cause::of_loss(&status).to_string()));
                }
            }
        }
    }

    async fn worker_opens(
        &self,
        arrival: &mut Arrival<FromWorker, ToWorker>,
    ) -> Result<Opens<FromWorker, ToWorker, (WorkerSession, Vec<String>)>, Status> {
        let first = within(first_word(arrival)).await?;
        if let Some(key) = first.session {
            return Ok(Opens::Again(key, first.attempt));
        }
        let hello = within(first_hello(&mut arrival.stream)).await?;
        let (entry, addresses) = (self.workers.enter()?, hello.addresses.clone());
        let session = self.handle.attach(hello).await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(Opens::New { entry, process: first.process, opened: (session, addresses) })
    }
}

type ClientQueues = (ClientId, mpsc::Sender<FromClient>, mpsc::Receiver<ToClient>);

/// What a connection is for.
enum Opens<I: Wire, O: Wire, S> {
    /// A new session.
    New {
        entry: Entry<I, O>,
        /// Of the process at its other end, in its own words.
        process: String,
        opened: S,
    },
    /// One that is there, and the number of this attempt to go on with it.
    Again(SessionKey, u64),
}

/// What a new connection says in time.
async fn within<T>(said: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let said = tokio::time::timeout(HELLO_TIMEOUT, said).await;
    said.map_err(|_| Status::deadline_exceeded("no hello came"))?
}

async fn first_word<I: Wire, O: Wire>(arrival: &mut Arrival<I, O>) -> Result<Resumption, Status>
where
    I::Message: StreamItem,
{
    let first = opened(&mut arrival.stream).await.map_err(|end| match end {
        WayEnd::Malformed(e) => refused(&e),
        _ => Status::invalid_argument("the stream ended before a hello"),
    })?;
    arrival.received_there = first.received;
    Ok(first)
}

/// Answers a connection by the stream that `live` fills.
fn answer<I: Wire, O: Wire, F>(
    stream: Streaming<I::Message>,
    live: impl FnOnce(Arrival<I, O>) -> F,
) -> Response<OutStream<O::Message>>
where
    O::Message: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
    tokio::spawn(live(Arrival { stream, out, received_there: 0 }));
    Response::new(Box::pin(ReceiverStream::new(outbound)))
}

type OutStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

#[tonic::async_trait]
impl scheduler_server::Scheduler for Service {
    type SessionStream = OutStream<wire::ClientUpdate>;

    async fn session(
        &self,
        request: Request<Streaming<wire::ClientMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let service = self.clone();
        Ok(answer(request.into_inner(), move |arrival| async move { service.client(arrival).await }))
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
        let service = self.clone();
        Ok(answer(request.into_inner(), move |arrival| async move { service.worker(arrival).await }))
    }
}

async fn first_hello(inbound: &mut Streaming<wire::WorkerMessage>) -> Result<Hello, Status> {
    let first = inbound.next().await;
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
