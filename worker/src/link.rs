//! The worker's way to a scheduler in another process.
//!
//! Owns the worker's half of the `Worker` service. Must not know what is said.

use std::path::PathBuf;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::{Cause, connect, connect_once};
use tilework_cluster::who::process;
use tilework_plan::Hello;
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{Line, OUTBOUND_MAX, Resumption, Way, WayEnd, of_status, open, opened, send};
use tilework_proto::resume::{NotResumed, keep};
use tilework_proto::session::{BoxFuture, INSTRUCTION_QUEUE_MAX, REPORT_QUEUE_MAX};
use tilework_proto::wire::WorkerMessage;
use tilework_proto::wire::worker_client::WorkerClient;
use tilework_proto::{FromWorker, LinkError, ToWorker, Wire, WorkerLink, WorkerSession};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use tracing::debug;

/// How long one try to reach the scheduler may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it may go by until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long each of the scheduler's addresses may take to answer when a session is resumed.
const REACH_TIMEOUT: Duration = Duration::from_millis(500);

type WorkerWay = Way<ToWorker, FromWorker, WorkerMessage>;

/// Connects to the scheduler of a connection file.
#[derive(Clone, Debug)]
pub struct GrpcLink {
    file: ConnectionFile,
    /// Where it was read.
    path: Option<PathBuf>,
}

impl GrpcLink {
    /// A link to the scheduler of this file.
    #[must_use]
    pub fn new(file: ConnectionFile) -> GrpcLink {
        GrpcLink { file, path: None }
    }

    /// The same link, which looks at the file again when the scheduler does not answer: another may have written it since.
    #[must_use]
    pub fn read_from(self, path: PathBuf) -> GrpcLink {
        GrpcLink { path: Some(path), ..self }
    }

    fn is_replaced(&self) -> bool {
        let there = self.path.as_ref().map(|path| ConnectionFile::read(path));
        there.is_some_and(|there| there.is_ok_and(|there| there.cluster_id != self.file.cluster_id))
    }

    /// What a connection's end says of the scheduler.
    fn error(&self, end: WayEnd) -> LinkError {
        let at = self.file.addresses.join(" or ");
        match end {
            WayEnd::Broken(s) | WayEnd::Refused(s) => {
                LinkError::of_status(&at, &s, |s| Cause::of_loss(s).to_string())
            }
            WayEnd::Malformed(e) => LinkError::refused(&at, e),
            WayEnd::TooLarge(e) => e.into(),
            WayEnd::Closed => LinkError::unreachable(&at, Cause::Closed),
            WayEnd::Stuck => LinkError::unreachable(&at, "it takes no message"),
        }
    }

    /// Opens a connection for a session, a new one where it comes with a hello; returns what the scheduler says of it, too.
    async fn way(
        &self,
        channel: Channel,
        first: &Resumption,
        hello: Option<Hello>,
    ) -> Result<(WorkerWay, Resumption), WayEnd> {
        let mut client = WorkerClient::with_interceptor(channel, TokenAttach::new(&self.file.identity()))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
        // Err: not with room in the queue.
        let _ = open(first, &out, |m| m).await;
        if let Some(hello) = hello {
            let said = send(&FromWorker::Hello(hello), &out, |m| m).await;
            said.map_err(|_| WayEnd::Stuck)?;
        }
        let response = client.attach(ReceiverStream::new(outbound)).await.map_err(of_status)?;
        let mut stream = response.into_inner();
        let opened = opened(&mut stream).await?;
        let received_there = opened.received;
        Ok((Way { stream, out, wrap: |m| m, refuse: None, received_there }, opened))
    }

    async fn connect(&self, hello: Hello) -> Result<WorkerSession, LinkError> {
        let at = self.file.addresses.join(" or ");
        let channel = connect(&self.file.addresses, &self.file.identity(), CONNECT_TIMEOUT).await;
        let channel = channel.map_err(|e| {
            if e.may_pass() {
                LinkError::unreachable(&at, e.cause())
            } else {
                LinkError::Refused(e.to_string())
            }
        })?;
        let first = Resumption { process: process().unwrap_or_default(), ..Resumption::default() };
        let way = self.way(channel, &first, Some(hello)).await;
        let (mut way, opened) = way.map_err(|end| self.error(end))?;
        let welcome = way.stream.message().await.map_err(|s| self.error(of_status(s)))?;
        let welcome = welcome.ok_or_else(|| LinkError::unreachable(&at, Cause::Closed))?;
        let worker = match ToWorker::from_wire(welcome) {
            Ok(ToWorker::Welcome(worker)) => worker,
            Ok(_) => return Err(LinkError::refused(&at, "got another message, expected a welcome")),
            Err(e) => return Err(LinkError::refused(&at, e)),
        };
        let (to_scheduler, reports) = mpsc::channel(REPORT_QUEUE_MAX);
        let (instructions, from_scheduler) = mpsc::channel(INSTRUCTION_QUEUE_MAX);
        tokio::spawn(self.clone().carry(Line::new(instructions, reports), way, opened));
        Ok(WorkerSession { worker, to_scheduler, from_scheduler })
    }

    /// Carries a session to its end, over another connection where one breaks.
    async fn carry(self, mut line: Line<ToWorker, FromWorker>, first: WorkerWay, opened: Resumption) {
        let reopen = |first: Resumption| -> BoxFuture<'_, Result<WorkerWay, NotResumed>> {
            let link = &self;
            Box::pin(async move {
                let channel = link.reached().await?;
                link.way(channel, &first, None).await.map(|(way, _)| way).map_err(NotResumed::of)
            })
        };
        let end = keep(&mut line, (first, &opened), &reopen).await;
        debug!(?end, "the session has ended");
        if let WayEnd::Malformed(error) = end {
            line.end_with(ToWorker::Closing(error.to_string())).await;
        }
    }

    /// A connection to the scheduler, if it can be reached at once: it listens as long as it lives.
    async fn reached(&self) -> Result<Channel, NotResumed> {
        let channel = connect_once(&self.file.addresses, &self.file.identity(), REACH_TIMEOUT).await;
        channel.map_err(|e| match e.may_pass() {
            true if e.is_refusal() => NotResumed::Refused(e.cause()),
            true => NotResumed::Later(e.cause()),
            false => NotResumed::Never(WayEnd::Broken(Status::unavailable(e.cause()))),
        })
    }
}

impl WorkerLink for GrpcLink {
    fn open(&self, hello: Hello) -> BoxFuture<'_, Result<WorkerSession, LinkError>> {
        Box::pin(async move {
            let opened = tokio::time::timeout(OPEN_TIMEOUT, self.connect(hello)).await;
            let opened = opened.unwrap_or_else(|_| {
                let at = self.file.addresses.join(" or ");
                Err(LinkError::unreachable(&at, format_args!("no welcome in {OPEN_TIMEOUT:?}")))
            });
            if opened.is_err() && self.is_replaced() { Err(LinkError::Replaced) } else { opened }
        })
    }
}
