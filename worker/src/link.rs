//! The worker's way to a scheduler in another process.
//!
//! Owns the worker's half of the `Worker` service. Must not know what is said.

use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::{Cause, ConnectError, connect};
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{InEnd, OUTBOUND_MAX, pump_in, pump_out, send};
use tilework_proto::session::{BoxFuture, INSTRUCTION_QUEUE_MAX, REPORT_QUEUE_MAX};
use tilework_proto::wire::worker_client::WorkerClient;
use tilework_proto::{FromWorker, LinkError, ToWorker, Wire, WorkerLink, WorkerSession};
use tilework_scheduler_core::Hello;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::debug;

/// How long one try to reach the scheduler may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it may go by until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects to the scheduler of a connection file.
#[derive(Clone, Debug)]
pub struct GrpcLink {
    file: ConnectionFile,
}

impl GrpcLink {
    /// A link to the scheduler of this file.
    #[must_use]
    pub fn new(file: ConnectionFile) -> GrpcLink {
        GrpcLink { file }
    }

    async fn connect(&self, hello: Hello) -> Result<WorkerSession, LinkError> {
        let identity = self.file.identity();
        let channel = connect(&self.file.addresses, &identity, CONNECT_TIMEOUT).await;
        let channel = channel.map_err(|e| of_connect(&e))?;
        let mut client = WorkerClient::with_interceptor(channel, TokenAttach::new(&identity))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
        let hello = send(&FromWorker::Hello(hello), &out, |m| m).await;
        hello.map_err(|e| LinkError::Refused(format!("the hello cannot be sent: {e:?}")))?;
        let response =
            client.attach(ReceiverStream::new(outbound)).await.map_err(|s| LinkError::of_status(&s))?;
        let mut inbound = response.into_inner();
        let first = inbound.message().await.map_err(|s| LinkError::of_status(&s))?;
        let first = first.ok_or_else(|| LinkError::Unreachable("it closed the stream at once".into()))?;
        let worker = match ToWorker::from_wire(first) {
            Ok(ToWorker::Welcome(worker)) => worker,
            Ok(_) => return Err(LinkError::Refused("got another message, expected a welcome".into())),
            Err(e) => return Err(LinkError::Refused(e.to_string())),
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
            opened.unwrap_or_else(|_| Err(LinkError::Unreachable(format!("no welcome in {OPEN_TIMEOUT:?}"))))
        })
    }
}

/// A server that is not the cluster's will not become so.
fn of_connect(error: &ConnectError) -> LinkError {
    match error {
        ConnectError::Unreachable { attempts, .. }
            if !attempts.iter().all(|a| a.cause == Cause::ForeignCertificate) =>
        {
            LinkError::Unreachable(error.to_string())
        }
        _ => LinkError::Refused(error.to_string()),
    }
}
