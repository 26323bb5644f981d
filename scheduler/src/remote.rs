//! A client's connection to a scheduler in another process.
//!
//! Owns the client's pumps between streams and queues. Must not know chunks.

use crate::ClusterState;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::{Cause, ConnectError, connect};
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{InEnd, OUTBOUND_MAX, pump_in, pump_out};
use tilework_proto::session::{REQUEST_QUEUE_MAX, UPDATE_QUEUE_MAX};
use tilework_proto::wire::scheduler_client::SchedulerClient;
use tilework_proto::{ClientLink, ClientSession, FromClient, LinkError, ToClient, Wire, wire};
use tilework_scheduler_core::ClientId;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tracing::debug;

type Client = SchedulerClient<InterceptedService<Channel, TokenAttach>>;

async fn client_of(file: &ConnectionFile, timeout: Duration) -> Result<Client, LinkError> {
    let identity = file.identity();
    let channel = connect(&file.addresses, &identity, timeout).await;
    let channel = channel.map_err(|e| of_connect(&e))?;
    Ok(SchedulerClient::with_interceptor(channel, TokenAttach::new(&identity))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
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

/// Opens a client's session with the cluster of a connection file. The pumps run on the current runtime.
///
/// # Errors
/// [`LinkError::Unreachable`] after `timeout`, [`LinkError::Refused`] for a wrong token.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn session(file: &ConnectionFile, timeout: Duration) -> Result<ClientSession, LinkError> {
    let mut client = client_of(file, timeout).await?;
    let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
    let response =
        client.session(ReceiverStream::new(outbound)).await.map_err(|s| LinkError::of_status(&s))?;
    let mut inbound = response.into_inner();
    let number = tokio::time::timeout(timeout, welcome(&mut inbound)).await;
    let number = number.map_err(|_| LinkError::Unreachable("no welcome came".into()))??;
    let (requests, to_send) = mpsc::channel(REQUEST_QUEUE_MAX);
    let (received, updates) = mpsc::channel(UPDATE_QUEUE_MAX);
    tokio::spawn(send_requests(to_send, out));
    tokio::spawn(receive_updates(inbound, received));
    Ok(ClientSession { link: ClientLink::new(number, requests, Some(tilework_proto::encoded_len)), updates })
}

/// The cluster of a connection file as it is now.
///
/// # Errors
/// As [`session`].
pub async fn state(file: &ConnectionFile, timeout: Duration) -> Result<ClusterState, LinkError> {
    Monitor::connect(file, timeout).await?.state().await
}

/// A connection that only looks.
#[derive(Clone, Debug)]
pub struct Monitor {
    client: Client,
}

impl Monitor {
    /// Connects to the scheduler of a connection file.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] after `timeout`.
    pub async fn connect(file: &ConnectionFile, timeout: Duration) -> Result<Monitor, LinkError> {
        Ok(Monitor { client: client_of(file, timeout).await? })
    }

    /// The cluster as it is now.
    ///
    /// # Errors
    /// [`LinkError::Refused`] for a wrong token, [`LinkError::Unreachable`] where the scheduler is gone.
    pub async fn state(&mut self) -> Result<ClusterState, LinkError> {
        let reply = self.client.state(wire::StateRequest {}).await.map_err(|s| LinkError::of_status(&s))?;
        ClusterState::from_wire(reply.into_inner()).map_err(|e| LinkError::Refused(e.to_string()))
    }
}

async fn welcome(inbound: &mut Streaming<wire::ClientUpdate>) -> Result<ClientId, LinkError> {
    let first = inbound.next().await.ok_or(LinkError::Closed)?.map_err(|s| LinkError::of_status(&s))?;
    match ToClient::from_wire(first) {
        Ok(ToClient::Welcome(client)) => Ok(client),
        Ok(_) => Err(LinkError::Refused("got another message, expected a welcome".into())),
        Err(e) => Err(LinkError::Refused(e.to_string())),
    }
}

async fn send_requests(mut requests: mpsc::Receiver<FromClient>, out: mpsc::Sender<wire::ClientMessage>) {
    let end = pump_out(&mut requests, &out, |m| m).await;
    debug!(?end, "no more requests");
}

async fn receive_updates(inbound: Streaming<wire::ClientUpdate>, updates: mpsc::Sender<ToClient>) {
    let why = match pump_in(inbound, &updates).await {
        InEnd::Broken(status) => status.message().to_owned(),
        InEnd::Malformed(e) => e.to_string(),
        InEnd::Closed | InEnd::Unwanted => return,
    };
    // Err: the client is gone.
    let _ = updates.send(ToClient::Closing(why)).await;
}
