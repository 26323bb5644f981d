//! A client's connection to a scheduler in another process, and that of those who look at a cluster or steer it.
//!
//! Owns the client's half of the `Scheduler` service. Must not know chunks.

use crate::ClusterState;
use crate::handle::this_client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::security::{Identity, TokenAttach};
use tilework_cluster::transport::{Cause, connect, connect_once};
use tilework_cluster::who::process;
use tilework_plan::{ClientId, JobNumber};
use tilework_proto::limits::MESSAGE_BYTES_MAX;
use tilework_proto::pump::{Line, OUTBOUND_MAX, Resumption, Way, WayEnd, of_status, open, opened};
use tilework_proto::resume::{NotResumed, keep};
use tilework_proto::session::{BoxFuture, REQUEST_QUEUE_MAX, UPDATE_QUEUE_MAX};
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
type ClientWay = Way<ToClient, FromClient, wire::ClientMessage>;

/// How long each of the scheduler's addresses may take to answer when a session is resumed.
const REACH_TIMEOUT: Duration = Duration::from_millis(500);

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

    /// Why a session has ended, or could not begin.
    fn ended(&self, end: WayEnd) -> LinkError {
        match end {
            WayEnd::Broken(status) | WayEnd::Refused(status) => self.error(&status),
            WayEnd::Malformed(e) => LinkError::refused(&self.0, e),
            WayEnd::TooLarge(e) => e.into(),
            WayEnd::Closed => self.unreachable(Cause::Closed),
            WayEnd::Stuck => self.unreachable("it takes no message"),
        }
    }
}

async fn client_of(file: &ConnectionFile, timeout: Duration) -> Result<Client, LinkError> {
    let identity = file.identity();
    let channel = connect(&file.addresses, &identity, timeout).await.map_err(|e| {
        if e.may_pass() { At::of(file).unreachable(e.cause()) } else { LinkError::Refused(e.to_string()) }
    })?;
    Ok(client_over(channel, &identity))
}

fn client_over(channel: Channel, identity: &Identity) -> Client {
    SchedulerClient::with_interceptor(channel, TokenAttach::new(identity))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Opens a client's session with the cluster of a connection file. It is carried on the current runtime, over another
/// connection where one breaks.
///
/// # Errors
/// [`LinkError::Unreachable`] after `timeout`, [`LinkError::Refused`] for a wrong token, another release or a foreign
/// certificate.
///
/// # Panics
/// Outside of a tokio runtime.
pub async fn session(file: &ConnectionFile, timeout: Duration) -> Result<ClientSession, LinkError> {
    let at = At::of(file);
    let client = client_of(file, timeout).await?;
    let first = Resumption { process: process().unwrap_or_default(), ..Resumption::default() };
    let open = async {
        let (mut way, opened) = way(client, &first).await.map_err(|end| at.ended(end))?;
        Ok::<_, LinkError>((welcome(&mut way.stream, &at).await?, way, opened))
    };
    let opened = tokio::time::timeout(timeout, open).await;
    let (number, way, opened) = opened.map_err(|_| at.unreachable("no welcome came"))??;
    let (requests, to_send) = mpsc::channel(REQUEST_QUEUE_MAX);
    let (received, updates) = mpsc::channel(UPDATE_QUEUE_MAX);
    let (carries, carried) = std::sync::mpsc::channel();
    let carry = carry(Line::new(received, to_send), (way, opened), file.clone());
    tokio::spawn(async move {
        carry.await;
        drop::<std::sync::mpsc::Sender<()>>(carries);
    });
    let link = ClientLink::new(number, requests, Some(tilework_proto::encoded_len));
    link.introduce(this_client());
    Ok(ClientSession { link, updates, carried: Some(carried) })
}

/// Opens a connection for a session; returns what the scheduler says of it, too.
async fn way(mut client: Client, first: &Resumption) -> Result<(ClientWay, Resumption), WayEnd> {
    let (out, outbound) = mpsc::channel(OUTBOUND_MAX);
    // Err: not with room in the queue.
    let _ = open(first, &out, |m| m).await;
    let response = client.session(ReceiverStream::new(outbound)).await.map_err(of_status)?;
    let mut stream = response.into_inner();
    let opened = opened(&mut stream).await?;
    let received_there = opened.received;
    Ok((Way { stream, out, wrap: |m| m, refuse: None, received_there }, opened))
}

/// Carries a session to its end; last, says why it has ended, in a sentence that names the scheduler.
async fn carry(
    line: Line<ToClient, FromClient>,
    (first, opened): (ClientWay, Resumption),
    file: ConnectionFile,
) {
    let reopen = |first: Resumption| -> BoxFuture<'_, Result<ClientWay, NotResumed>> {
        let file = &file;
        Box::pin(async move {
            let client = reached(file).await?;
            way(client, &first).await.map(|(way, _)| way).map_err(NotResumed::of)
        })
    };
    let (at, said) = (At::of(&file), Arc::<AtomicBool>::default());
    let mut line = line.heard_through({
        let (at, said) = (at.clone(), Arc::clone(&said));
        move |message| match message {
            ToClient::Closing(why) => {
                said.store(true, Ordering::Relaxed);
                ToClient::Closing(at.unreachable(why).to_string())
            }
            message => message,
        }
    });
    let end = keep(&mut line, (first, &opened), &reopen).await;
    debug!(?end, "the session has ended");
    if !said.load(Ordering::Relaxed) {
        line.end_with(ToClient::Closing(at.ended(end).to_string())).await;
    }
}

/// The scheduler of a file, if it can be reached at once: it listens as long as it lives.
async fn reached(file: &ConnectionFile) -> Result<Client, NotResumed> {
    let identity = file.identity();
    let channel = connect_once(&file.addresses, &identity, REACH_TIMEOUT).await;
    let channel = channel.map_err(|e| match e.may_pass() {
        true if e.is_refusal() => NotResumed::Refused(e.cause()),
        true => NotResumed::Later(e.cause()),
        false => NotResumed::Never(WayEnd::Broken(Status::unavailable(e.cause()))),
    })?;
    Ok(client_over(channel, &identity))
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
    let ClientSession { link, mut updates, .. } = session(file, timeout).await?;
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
