//! The worker's way to a scheduler in another process.
//!
//! Owns the worker's half of the `Worker` service. Must not know what is said.

use std::path::PathBuf;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::{Cause, connect};
use tilework_plan::Hello;
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{InEnd, OUTBOUND_MAX, pump_in, pump_out, send};
use tilework_proto::session::{BoxFuture, INSTRUCTION_QUEUE_MAX, REPORT_QUEUE_MAX};
use tilework_proto::wire::worker_client::WorkerClient;
use tilework_proto::{FromWorker, LinkError, ToWorker, Wire, WorkerLink, WorkerSession};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::debug;

/// How long one try to reach the scheduler may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it may go by until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

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

    async fn connect(&self, hello: Hello) -> Result<WorkerSession, LinkError> {
        let identity = self.file.identity();
        let at = self.file.addresses.join(" or ");
        let of_status = |s: Status| LinkError::of_status(&at, &s, |s| Cause::of_loss(s).to_string());
        let channel = connect(&self.file.addresses, &identity, CONNECT_TIMEOUT).await.map_err(|e| {
            if e.may_pass() {
                LinkError::unreachable(&at, e.cause())
            } else {
                LinkError::Refused(e.to_string())
            }
        })?;
        let mut client = WorkerClient::with_interceptor(channel, TokenAttach::new(&identity))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
        let hello = send(&FromWorker::Hello(hello), &out, |m| m).await;
        hello.map_err(|_| LinkError::unreachable(&at, "it takes no message"))?;
        let response = client.attach(ReceiverStream::new(outbound)).await.map_err(of_status)?;
        let mut inbound = response.into_inner();
        let first = inbound.message().await.map_err(of_status)?;
        let first = first.ok_or_else(|| LinkError::unreachable(&at, Cause::Closed))?;
        let worker = match ToWorker::from_wire(first) {
            Ok(ToWorker::Welcome(worker)) => worker,
            Ok(_) => return Err(LinkError::refused(&at, "got another message, expected a welcome")),
            Err(e) => return Err(LinkError::refused(&at, e)),
        };
        let (to_scheduler, mut reports) = mpsc::channel(REPORT_QUEUE_MAX);
        let (instructions, from_scheduler) = mpsc::channel(INSTRUCTION_QUEUE_MAX);
        tokio::spawn(async move {
            let end = pump_out(&mut reports, &out, |m| m).await;
            debug!(?end, "no more reports");
        });
        tokio::spawn(async move {
            if let InEnd::Malformed(error) = pump_in(inbound, &instructions).await {
                // Err: the worker is gone.
                let _ = instructions.send(ToWorker::Closing(error.to_string())).await;
            }
        });
        Ok(WorkerSession { worker, to_scheduler, from_scheduler })
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
