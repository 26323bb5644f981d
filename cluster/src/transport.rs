//! The settings that both ends of every connection share, and finding the end that answers.
//!
//! Owns: HTTP/2 sizes, keepalives, TLS on every port, trying a list of addresses, and saying why none
//! answered. Must not know: which services run over a connection.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint, Server};

use crate::security::{self, Identity};

/// The largest HTTP/2 frame. The default of 16 KiB costs a third of the CPU time of a transfer.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;
/// How much one stream may send before the receiver says that it took some of it.
pub const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// The same for all streams of one connection together.
pub const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// The most requests at once on one connection; a client waits with the next.
pub const STREAMS_MAX: u32 = 1024;
/// How often a silent connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long it may take to answer that.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a TLS handshake may take before the server gives the connection up.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one address is tried before the next: one that swallows packets must not use up the time.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first pause after all addresses failed.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause after all addresses failed.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There was nothing to try.
    #[error("no address to connect to")]
    NoAddress,
    /// An address is no address.
    #[error("{address:?} is not an address, expected host:port")]
    Address {
        /// What was given.
        address: String,
    },
    /// The identity's certificate or key cannot be used.
    #[error("cannot use the cluster's certificate")]
    Tls(#[source] tonic::transport::Error),
    /// No address answered as this cluster's.
    #[error("could not connect to the cluster, tried for {tried_for:.1?}: {}", Attempts(.attempts))]
    Unreachable {
        /// How long it was tried.
        tried_for: Duration,
        /// Each address and the last cause there.
        attempts: Vec<Attempt>,
    },
}

impl ConnectError {
    /// Whether trying again later can help: a server that is not the cluster's will not become so.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { attempts, .. } => attempts.iter().any(|a| a.cause.may_pass()),
            _ => false,
        }
    }

    /// Whether nobody listens at any of the addresses: who listens as long as it lives does not live.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Unreachable { attempts, .. } => attempts.iter().all(|a| a.cause == Cause::Refused),
            _ => false,
        }
    }

    /// The error for a sentence that names the addresses already.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Unreachable { tried_for, attempts } => match &attempts[..] {
                [only] => format!("{}; tried for {tried_for:.1?}", only.cause),
                all => format!("{}; tried for {tried_for:.1?}", Attempts(all)),
            },
            other => other.to_string(),
        }
    }
}

/// One address and why there is no connection to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `host:port`.
    pub address: String,
    /// Why not.
    pub cause: Cause,
}

/// Why there is no connection to one address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Nobody listens there.
    #[error("connection refused (nothing listens there)")]
    Refused,
    /// Nothing came back: the wrong network, a firewall, or a host that is down.
    #[error("timed out (no answer in {0:.1?}: another network, a firewall, or the host is down)")]
    TimedOut(Duration),
    /// Somebody else's server, or that of an earlier run.
    #[error(
        "its certificate is not this cluster's (another cluster listens there, or the connection file is stale)"
    )]
    ForeignCertificate,
    /// A server, but none that speaks TLS as ours do.
    #[error("what listens there is not a tilework server ({0})")]
    NotOurProtocol(String),
    /// There was a connection, and the other side closed it.
    #[error("the connection was closed: its process ended or was killed")]
    Closed,
    /// There was a connection, and nothing came over it any more.
    #[error("no answer for {0:.0?}: its host is down, or the network")]
    Silent(Duration),
    /// Anything else, in the words of the system.
    #[error("{0}")]
    Other(String),
}

impl Cause {
    /// Whether trying again can help.
    fn may_pass(&self) -> bool {
        !matches!(self, Self::ForeignCertificate)
    }

    /// The cause at the bottom of tonic's error.
    fn of(error: &(dyn StdError + 'static), tried_for: Duration) -> Self {
        let mut words = Vec::new();
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(found) = Self::of_one(error, tried_for) {
                return found;
            }
            let said = error.to_string();
            // Many layers only repeat the one below.
            if words.last() != Some(&said) {
                words.push(said);
            }
            at = error.source();
        }
        Self::Other(words.join(": "))
    }

    /// Why a connection that there was is no more, by what was said to a call on it.
    #[must_use]
    pub fn of_loss(error: &(dyn StdError + 'static)) -> Self {
        let mut at = Some(error);
        let mut said = String::new();
        while let Some(error) = at {
            if let Some(found) = Self::of_one(error, ATTEMPT_TIMEOUT) {
                // There was a handshake long ago.
                return if matches!(found, Self::NotOurProtocol(_)) { Self::Closed } else { found };
            }
            // HTTP/2's errors do not give the system's error that is within them, but say it.
            said = error.to_string();
            let lower = said.to_lowercase();
            let says = |words: &[&str]| words.iter().any(|w| lower.contains(w));
            if says(&["keep-alive timed out", "keepalive timed out"]) {
                return Self::Silent(KEEPALIVE_TIMEOUT);
            }
            if says(&[
                "broken pipe",
                "reset by peer",
                "connection reset",
                "end of file",
                "eof",
                "not a result of an error",
            ]) {
                return Self::Closed;
            }
            at = error.source();
        }
        Self::Other(said)
    }

    fn of_one(error: &(dyn StdError + 'static), tried_for: Duration) -> Option<Self> {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidCertificate(_) => Self::ForeignCertificate,
                other => Self::NotOurProtocol(other.to_string()),
            });
        }
        let system = error.downcast_ref::<io::Error>()?;
        // io::Error's source() skips the error inside it.
        if let Some(inside) = system.get_ref()
            && let Some(found) = Self::of_one(inside, tried_for)
        {
            return Some(found);
        }
        match system.kind() {
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::TimedOut => Some(Self::TimedOut(tried_for)),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                Some(Self::NotOurProtocol("it closed the connection during the TLS handshake".to_owned()))
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted | io::ErrorKind::NotConnected => {
                Some(Self::Closed)
            }
            _ => None,
        }
    }
}

/// Shows the attempts on one line.
struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Attempt { address, cause }) in self.0.iter().enumerate() {
            write!(f, "{}{address}: {cause}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// A server with this cluster's TLS and sizes, ready for its services.
///
/// Serve it with [`crate::listen::Bound::into_incoming`], which sets the sockets' options, and put a
/// [`crate::security::TokenCheck`] before every service.
///
/// # Errors
/// [`ConnectError::Tls`] if the identity's certificate or key is not one.
pub fn server_builder(identity: &Identity) -> Result<Server, ConnectError> {
    Ok(Server::builder()
        .tls_config(security::server_tls(identity))
        .map_err(ConnectError::Tls)?
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT)))
}

/// The settings of a connection to one address, `host:port`, of this cluster.
///
/// # Errors
/// [`ConnectError::Address`], [`ConnectError::Tls`].
pub fn endpoint(address: &str, identity: &Identity) -> Result<Endpoint, ConnectError> {
    let not_one = || ConnectError::Address { address: address.to_owned() };
    let authority: http::uri::Authority = address.parse().map_err(|_| not_one())?;
    if authority.port_u16().is_none() || authority.as_str().contains('@') {
        return Err(not_one());
    }
    Ok(Endpoint::from_shared(format!("https://{authority}"))
        .map_err(|_| not_one())?
        .tls_config(security::client_tls(identity))
        .map_err(ConnectError::Tls)?
        .connect_timeout(ATTEMPT_TIMEOUT)
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEPALIVE_INTERVAL))
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// Connects to the first of these addresses that answers with this cluster's certificate.
///
/// They are tried in order, again and again with growing pauses, until `timeout`; at once it gives up only
/// where every address answers with a foreign certificate. The channel reconnects by itself, to the address
/// that answered.
///
/// # Errors
/// [`ConnectError::Unreachable`] with every address and why not; [`ConnectError::NoAddress`],
/// [`ConnectError::Address`] and [`ConnectError::Tls`] without trying.
pub async fn connect(
    addresses: &[String],
    identity: &Identity,
    timeout: Duration,
) -> Result<Channel, ConnectError> {
    let endpoints = endpoints(addresses, identity)?;
    let started = Instant::now();
    let mut pause = RETRY_PAUSE_MIN;
    let mut attempts: Vec<Attempt> = Vec::with_capacity(endpoints.len());
    loop {
        for (i, endpoint) in endpoints.iter().enumerate() {
            // What is left is shared among the addresses that are left in this round.
            let left = timeout.saturating_sub(started.elapsed());
            let share = left / u32::try_from(endpoints.len() - i).unwrap_or(u32::MAX);
            let cause = match attempt(endpoint, share.min(ATTEMPT_TIMEOUT)).await {
                Ok(channel) => return Ok(channel),
                Err(cause) => cause,
            };
            match attempts.get_mut(i) {
                None => attempts.push(Attempt { address: addresses[i].clone(), cause }),
                // A hurried last look says nothing that the one before did not know better.
                Some(_) if matches!(cause, Cause::TimedOut(within) if within < ATTEMPT_TIMEOUT) => {}
                Some(before) => before.cause = cause,
            }
        }
        let tried_for = started.elapsed();
        if tried_for + pause >= timeout || !attempts.iter().any(|a| a.cause.may_pass()) {
            return Err(ConnectError::Unreachable { tried_for, attempts });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

/// Connects to the first of these addresses that answers with this cluster's certificate, each tried once and for at
/// most `each`: for a server that listens as long as it lives, so that a refusal tells that it does not.
///
/// # Errors
/// As [`connect`].
pub async fn connect_once(
    addresses: &[String],
    identity: &Identity,
    each: Duration,
) -> Result<Channel, ConnectError> {
    let started = Instant::now();
    let mut attempts = Vec::with_capacity(addresses.len());
    for (endpoint, address) in endpoints(addresses, identity)?.iter().zip(addresses) {
        match attempt(endpoint, each).await {
            Ok(channel) => return Ok(channel),
            Err(cause) => attempts.push(Attempt { address: address.clone(), cause }),
        }
    }
    Err(ConnectError::Unreachable { tried_for: started.elapsed(), attempts })
}

fn endpoints(addresses: &[String], identity: &Identity) -> Result<Vec<Endpoint>, ConnectError> {
    if addresses.is_empty() {
        return Err(ConnectError::NoAddress);
    }
    addresses.iter().map(|address| endpoint(address, identity)).collect()
}

async fn attempt(endpoint: &Endpoint, within: Duration) -> Result<Channel, Cause> {
    match tokio::time::timeout(within, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(Cause::of(&error, within)),
        Err(_) => Err(Cause::TimedOut(within)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port() {
        let identity = Identity::create().unwrap();
        for good in ["127.0.0.1:9000", "[::1]:9000", "node7.cluster:9000"] {
            let made = endpoint(good, &identity).unwrap();
            assert_eq!(made.uri().to_string(), format!("https://{good}/"));
        }
        for bad in ["", "node7", "node7:", "node7:x", "https://node7:1", "a@node7:1", "node7:1/path"] {
            let text = endpoint(bad, &identity).unwrap_err().to_string();
            assert_eq!(text, format!("{bad:?} is not an address, expected host:port"));
        }
    }

    #[test]
    fn a_lost_connection_is_put_into_words() {
        #[derive(Debug, thiserror::Error)]
        #[error("h2 protocol error: error reading a body from connection")]
        struct Layer(#[source] Box<dyn StdError + Send + Sync>);
        for (below, expected) in [
            ("stream closed because of a broken pipe", Cause::Closed),
            ("connection error received: not a result of an error", Cause::Closed),
            ("keep-alive timed out", Cause::Silent(KEEPALIVE_TIMEOUT)),
            ("disk on fire", Cause::Other("disk on fire".into())),
        ] {
            assert_eq!(Cause::of_loss(&Layer(below.into())), expected);
        }
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof]
        {
            assert_eq!(Cause::of_loss(&Layer(Box::new(io::Error::from(kind)))), Cause::Closed, "{kind:?}");
        }
    }

    #[test]
    fn the_cause_is_found_below_the_layers() {
        #[derive(Debug, thiserror::Error)]
        #[error("transport error")]
        struct Layer(#[source] Box<dyn StdError + Send + Sync>);
        let second = Duration::from_secs(1);
        let issuer = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let cases: [(io::Error, Cause); 5] = [
            (io::ErrorKind::ConnectionRefused.into(), Cause::Refused),
            (io::ErrorKind::TimedOut.into(), Cause::TimedOut(second)),
            (io::Error::new(io::ErrorKind::InvalidData, issuer), Cause::ForeignCertificate),
            (
                io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"),
                Cause::NotOurProtocol("it closed the connection during the TLS handshake".into()),
            ),
            (io::Error::other("disk on fire"), Cause::Other("transport error: disk on fire".into())),
        ];
        for (error, expected) in cases {
            let layered = Layer(Box::new(Layer(Box::new(error))));
            assert_eq!(Cause::of(&layered, second), expected);
        }
    }
}
