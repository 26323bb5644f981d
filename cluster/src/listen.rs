//! Where a server listens: the words a user says it with, the socket, and the addresses to announce.
//!
//! Owns: parsing `eth0:9000-9100`, finding a free port, and the accepted sockets' settings. Must not know:
//! TLS, HTTP/2, or which service will listen.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::str::FromStr;

use tonic::transport::server::TcpIncoming;

use crate::door::{Incoming, Room};
use crate::interfaces::{InterfaceError, Interfaces};

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The text does not say where.
    #[error(
        "cannot listen on {given:?}: {why}; expected HOST:PORT or HOST:LOW-HIGH, where HOST is *, an interface, an address or a network"
    )]
    Syntax {
        /// What was given.
        given: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No address of this host was meant.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// None of the ports could be had.
    #[error("cannot listen on {ip} port {}", Ports(.ports))]
    Ports {
        /// The address.
        ip: IpAddr,
        /// The ports that were tried.
        ports: RangeInclusive<u16>,
        /// What the operating system said to the last.
        source: io::Error,
    },
    /// A socket that listens could not be used.
    #[error("cannot use the listening socket")]
    Io(#[from] io::Error),
}

/// Shows one port or a range of them.
struct Ports<'a>(&'a RangeInclusive<u16>);

impl fmt::Display for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.start(), self.0.end()) {
            (low, high) if low == high => write!(f, "{low}"),
            (low, high) => write!(f, "{low} to {high}"),
        }
    }
}

/// Where to listen, as a user says it: `*:0`, `ib0:9000`, `10.98.0.0/16:9000-9100`, `[::1]:0`, `eth0,ib0:0`.
///
/// ```
/// let listen: tilework_cluster::listen::Listen = "ib0:9000-9100".parse().unwrap();
/// assert_eq!(listen.hosts.as_deref(), Some("ib0"));
/// assert_eq!(listen.ports, 9000..=9100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What [`Interfaces::announce`] takes; `None` is every address of the host.
    pub hosts: Option<String>,
    /// The ports to try in order; `0..=0` is any free one.
    pub ports: RangeInclusive<u16>,
}

impl FromStr for Listen {
    type Err = BindError;

    fn from_str(given: &str) -> Result<Self, BindError> {
        let syntax = |why| BindError::Syntax { given: given.to_owned(), why };
        let (host, ports) = if let Some(rest) = given.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| syntax("the bracket is not closed"))?;
            (host, rest.strip_prefix(':').ok_or_else(|| syntax("no port after the bracket"))?)
        } else {
            given.rsplit_once(':').ok_or_else(|| syntax("no port"))?
        };
        if host.contains(':') && !given.starts_with('[') {
            return Err(syntax("an IPv6 address needs brackets"));
        }
        let (low, high) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().map_err(|_| syntax("a port is a number from 0 to 65535"));
        let (low, high) = (port(low)?, port(high)?);
        if low > high || (low == 0 && high != 0) {
            return Err(syntax("the port range is empty or begins at 0"));
        }
        let hosts = match host {
            "" => return Err(syntax("no host")),
            "*" | "0.0.0.0" => None,
            "localhost" => Some(Ipv4Addr::LOCALHOST.to_string()),
            hosts => Some(hosts.to_owned()),
        };
        Ok(Self { hosts, ports: low..=high })
    }
}

/// A socket that listens, and where others find it.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    port: u16,
    addresses: Vec<String>,
    room: Option<Room>,
}

impl Bound {
    /// `host:port`, in the order in which others should try them: the connection file's addresses.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket, not blocking: `tokio::net::TcpListener::from_std` takes it.
    #[must_use]
    pub fn into_std(self) -> TcpListener {
        self.listener
    }

    /// The same socket with room for so many connections, in place of as many as this process has room for.
    #[must_use]
    pub fn with_room(self, room: Room) -> Bound {
        Bound { room: Some(room), ..self }
    }

    /// The connections, for `serve_with_incoming`.
    ///
    /// That method ignores the socket options of tonic's server builder, so they are set here: without
    /// `TCP_NODELAY` small messages wait for each other.
    ///
    /// # Errors
    /// [`BindError::Io`] if the runtime cannot take the socket.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn into_incoming(self) -> Result<Incoming, BindError> {
        let room = self.room.unwrap_or_else(Room::of_this_process);
        let listener = TcpIncoming::from(tokio::net::TcpListener::from_std(self.listener)?)
            .with_nodelay(Some(true))
            .with_keepalive(Some(crate::transport::KEEPALIVE_INTERVAL));
        Ok(Incoming::new(listener, room))
    }
}

/// Listens where `listen` says.
///
/// One address is bound alone; a choice of several binds them all (`0.0.0.0`) and announces those chosen.
///
/// # Errors
/// [`BindError`].
pub fn bind(listen: &str) -> Result<Bound, BindError> {
    bind_on(&listen.parse()?, &Interfaces::of_this_host()?)
}

/// As [`bind`], on a host with these interfaces.
///
/// # Errors
/// [`BindError`].
pub fn bind_on(listen: &Listen, interfaces: &Interfaces) -> Result<Bound, BindError> {
    let announced = interfaces.announce(listen.hosts.as_deref())?;
    let ip = match announced.as_slice() {
        [one] if listen.hosts.is_some() => *one,
        several if several.iter().all(IpAddr::is_ipv4) => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = bind_first(ip, &listen.ports)?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let addresses = announced.into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect();
    Ok(Bound { listener, port, addresses, room: None })
}

fn bind_first(ip: IpAddr, ports: &RangeInclusive<u16>) -> Result<TcpListener, BindError> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports.clone() {
        match TcpListener::bind((ip, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(BindError::Ports { ip, ports: ports.clone(), source: last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen_is_parsed() {
        let cases: [(&str, Option<&str>, RangeInclusive<u16>); 7] = [
            ("*:0", None, 0..=0),
            ("0.0.0.0:9000", None, 9000..=9000),
            ("localhost:0", Some("127.0.0.1"), 0..=0),
            ("ib0:9000-9100", Some("ib0"), 9000..=9100),
            ("ib0,10.98.0.0/16:9000", Some("ib0,10.98.0.0/16"), 9000..=9000),
            ("[::1]:7", Some("::1"), 7..=7),
            ("[fd00::/8]:7", Some("fd00::/8"), 7..=7),
        ];
        for (given, hosts, ports) in cases {
            let listen: Listen = given.parse().unwrap();
            assert_eq!((listen.hosts.as_deref(), listen.ports), (hosts, ports), "{given}");
        }
    }

    #[test]
    fn what_says_no_place_is_refused() {
        for given in
            ["", "ib0", ":9000", "ib0:", "ib0:x", "ib0:70000", "ib0:9-8", "ib0:0-9", "::1:9", "[::1]", "[::1"]
        {
            let text = given.parse::<Listen>().unwrap_err().to_string();
            assert!(text.starts_with(&format!("cannot listen on {given:?}: ")), "{text}");
        }
    }

    #[test]
    fn any_port_is_announced_with_every_address() {
        let bound = bind("*:0").unwrap();
        let expected: Vec<String> = Interfaces::of_this_host()
            .unwrap()
            .announce(None)
            .unwrap()
            .iter()
            .map(|ip| format!("{ip}:{}", bound.port()))
            .collect();
        assert_ne!(bound.port(), 0);
        assert_eq!(bound.addresses(), expected);
    }

    #[test]
    fn a_taken_port_is_passed_over_and_a_full_range_is_an_error() {
        let taken = bind("127.0.0.1:0").unwrap();
        let port = taken.port();
        assert_eq!(taken.addresses(), [format!("127.0.0.1:{port}")]);
        let text = bind(&format!("127.0.0.1:{port}")).unwrap_err().to_string();
        assert!(text == format!("cannot listen on 127.0.0.1 port {port}"), "{text}");
        // The next may be taken by somebody else; then the range is full, and that is said.
        match bind(&format!("127.0.0.1:{port}-{}", port.saturating_add(1))) {
            Ok(bound) => assert_eq!(bound.port(), port + 1),
            Err(error) => assert!(error.to_string().contains(" to "), "{error}"),
        }
    }

    #[test]
    fn an_unknown_interface_is_named() {
        let text = bind("nosuch0:0").unwrap_err().to_string();
        assert!(text.contains("\"nosuch0\"") && text.contains("127.0.0.1"), "{text}");
    }
}
