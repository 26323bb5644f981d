//! A client's connection to a scheduler in another process, and that of those who look at a cluster or steer it.
//!
//! Owns the client's pumps between streams and queues. Must not know chunks.

use crate::ClusterState;
use crate::handle::this_client;
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::TokenAttach;
use tilework_cluster::transport::{Cause, connect};
use tilework_plan::{ClientId, JobNumber};
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{InEnd, OUTBOUND_MAX, pump_in, pump_out};
use tilework_proto::session::{REQUEST_QUEUE_MAX, UPDATE_QUEUE_MAX};
use tilework_proto::wire::scheduler_client::SchedulerClient;
use tilework_proto::{
    ClientLink, ClientSession, FromClient, LinkError, NameError, NameRequest, ToClient, Wire, wire,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tracing::debug;

type Client = SchedulerClient<InterceptedService<Channel, TokenAttach>>;

/// A scheduler, as errors name it.
#[derive(Clone, Debug)]
struct At(String);

impl At {
    fn of(file: &ConnectionFile) -> At {
        At(file.addresses.join(" or "))
    }

    fn error(&self, status: &Status) -> LinkError {
        LinkError::of_status(&self.0, status, |s| Cause::of_loss(s).to_string())
    }

    fn unreachable(&self, cause: impl std::fmt::Display) -> LinkError {
        LinkError::unreachable(&self.0, cause)
    }
}

async fn client_of(file: &ConnectionFile, timeout: Duration) -> Result<Client, LinkError> {
    let identity = file.identity();
    let channel = connect(&file.addresses, &identity, timeout).await.map_err(|e| {
        if e.may_pass() { At::of(file).unreachable(e.cause()) } else { LinkError::Refused(e.to_string()) }
    })?;
    Ok(SchedulerClient::with_interceptor(channel, TokenAttach::new(&identity))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
}

/// Opens a client's session with the cluster of a connection file. The pumps run on the current runtime.
///
/// # Errors
/// [`LinkError::Unreachable`] after `timeout`, [`LinkError::Refused`] for a wrong token, another release or a foreign
/// certificate.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn session(file: &ConnectionFile, timeout: Duration) -> Result<ClientSession, LinkError> {
    let at = At::of(file);
    let mut client = client_of(file, timeout).await?;
    let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
    let response = client.session(ReceiverStream::new(outbound)).await.map_err(|s| at.error(&s))?;
    let mut inbound = response.into_inner();
    let number = tokio::time::timeout(timeout, welcome(&mut inbound, &at)).await;
    let number = number.map_err(|_| at.unreachable("no welcome came"))??;
    let (requests, to_send) = mpsc::channel(REQUEST_QUEUE_MAX);
    let (received, updates) = mpsc::channel(UPDATE_QUEUE_MAX);
    tokio::spawn(send_requests(to_send, out));
    tokio::spawn(receive_updates(inbound, received, at));
    let link = ClientLink::new(number, requests, Some(tilework_proto::encoded_len));
    link.introduce(this_client());
    Ok(ClientSession { link, updates })
}

/// Takes a name away from what is kept under it on the cluster of a connection file; the outer error is about the
/// cluster, the inner one about the name.
///
/// # Errors
/// As [`session`]; [`LinkError::Closed`] where the scheduler ends meanwhile.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn unpublish(
    file: &ConnectionFile,
    name: &str,
    timeout: Duration,
) -> Result<Result<(), NameError>, LinkError> {
    let ClientSession { link, mut updates } = session(file, timeout).await?;
    link.ask(0, NameRequest::Unpublish(name.to_owned())).await?;
    loop {
        match updates.recv().await {
            Some(ToClient::Named { answer, .. }) => return Ok(answer.map(drop)),
            Some(ToClient::Closing(why)) => return Err(LinkError::Unreachable(why)),
            Some(_) => {}
            None => return Err(LinkError::Closed),
        }
    }
}

/// The cluster of a connection file as it is now.
///
/// # Errors
/// As [`session`].
pub async fn state(file: &ConnectionFile, timeout: Duration) -> Result<ClusterState, LinkError> {
    Monitor::connect(file, timeout).await?.state().await
}

/// A connection of those who look at a cluster, or steer it.
#[derive(Clone, Debug)]
pub struct Monitor {
    client: Client,
    at: At,
}

impl Monitor {
    /// Connects to the scheduler of a connection file.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] after `timeout`, [`LinkError::Refused`] for a foreign certificate.
    pub async fn connect(file: &ConnectionFile, timeout: Duration) -> Result<Monitor, LinkError> {
        Ok(Monitor { client: client_of(file, timeout).await?, at: At::of(file) })
    }

    /// The cluster as it is now.
    ///
    /// # Errors
    /// [`LinkError::Refused`] for a wrong token, [`LinkError::Unreachable`] where the scheduler is gone.
    pub async fn state(&mut self) -> Result<ClusterState, LinkError> {
        let reply = self.client.state(wire::StateRequest {}).await.map_err(|s| self.at.error(&s))?;
        ClusterState::from_wire(reply.into_inner()).map_err(|e| LinkError::refused(&self.at.0, e))
    }

    /// Ends a job, whoever submitted it; `by` says in words who asks, and its client is told. Whether there was such a job.
    ///
    /// # Errors
    /// As [`Monitor::state`].
    pub async fn cancel(&mut self, number: JobNumber, by: &str) -> Result<bool, LinkError> {
        let request = wire::CancelRequest { number: number.0, by: by.to_owned() };
        let reply = self.client.cancel(request).await.map_err(|s| self.at.error(&s))?;
        Ok(reply.into_inner().found)
    }

    /// Ends the scheduler, and with it the cluster; `by` says in words who asks. It may go on for a moment after this
    /// returns: see [`Monitor::ended`].
    ///
    /// # Errors
    /// As [`Monitor::state`].
    pub async fn stop(&mut self, by: &str) -> Result<(), LinkError> {
        let request = wire::StopRequest { by: by.to_owned() };
        self.client.stop(request).await.map_err(|s| self.at.error(&s))?;
        Ok(())
    }

    /// Waits until the scheduler answers no more.
    pub async fn ended(&mut self) {
        const PAUSE: Duration = Duration::from_millis(20);
        while self.state().await.is_ok() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn welcome(inbound: &mut Streaming<wire::ClientUpdate>, at: &At) -> Result<ClientId, LinkError> {
    let first = inbound.next().await.ok_or_else(|| at.unreachable(Cause::Closed))?;
    match ToClient::from_wire(first.map_err(|s| at.error(&s))?) {
        Ok(ToClient::Welcome(client)) => Ok(client),
        Ok(_) => Err(LinkError::refused(&at.0, "got another message, expected a welcome")),
        Err(e) => Err(LinkError::refused(&at.0, e)),
    }
}

async fn send_requests(mut requests: mpsc::Receiver<FromClient>, out: mpsc::Sender<wire::ClientMessage>) {
    let end = pump_out(&mut requests, &out, |m| m).await;
    debug!(?end, "no more requests");
}

/// Hands on what comes; last, why no more does, in a sentence that names the scheduler.
async fn receive_updates(inbound: Streaming<wire::ClientUpdate>, updates: mpsc::Sender<ToClient>, at: At) {
    let (received, mut waiting) = mpsc::channel(1);
    let pump = async move { pump_in(inbound, &received).await };
    let hand_on = async {
        while let Some(message) = waiting.recv().await {
            if let ToClient::Closing(why) = message {
                return Some(why);
            }
            if updates.send(message).await.is_err() {
                break;
            }
        }
        // The pump ends where nobody waits for more.
        drop(waiting);
        None
    };
    let why = match tokio::join!(pump, hand_on) {
        (_, Some(said)) => at.unreachable(said),
        (InEnd::Broken(status), None) => at.error(&status),
        (InEnd::Malformed(e), None) => LinkError::refused(&at.0, e),
        (InEnd::Closed, None) => at.unreachable(Cause::Closed),
        (InEnd::Unwanted, None) => return,
    };
    // Err: the client is gone.
    let _ = updates.send(ToClient::Closing(why.to_string())).await;
}
