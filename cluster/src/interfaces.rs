//! The network addresses of this host, and which of them to tell others.
//!
//! Owns: listing the interfaces and choosing among them by name, address or network. Must not know: ports,
//! sockets, or the routing table. On a cluster the default route leads to the site's login network or
//! nowhere; guessing from it is how a worker announces an address that nobody can reach.

use ipnet::IpNet;
use std::fmt;
use std::io;
use std::net::IpAddr;

/// One address of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface: `eth0`, `ib0`, `lo`.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Whether the interface is switched on and connected.
    pub is_up: bool,
}

/// Why no address could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// The operating system did not list its interfaces.
    #[error("cannot list the network interfaces of this host")]
    List(#[from] io::Error),
    /// Nothing on this host matches.
    #[error("no interface, address or network on this host is {asked:?}; it has {there}")]
    NoMatch {
        /// What was asked for.
        asked: String,
        /// What there is.
        there: Interfaces,
    },
}

/// The addresses of one host, in the system's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces(Vec<Interface>);

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for Interface { name, ip, is_up } in &self.0 {
            write!(f, "{separator}{name} {ip}{}", if *is_up { "" } else { " (down)" })?;
            separator = ", ";
        }
        if self.0.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

impl From<Vec<Interface>> for Interfaces {
    fn from(list: Vec<Interface>) -> Self {
        Self(list)
    }
}

impl Interfaces {
    /// The addresses of this host.
    ///
    /// # Errors
    /// [`InterfaceError::List`].
    pub fn of_this_host() -> Result<Self, InterfaceError> {
        let list = if_addrs::get_if_addrs()?.into_iter();
        Ok(Self(list.map(|i| Interface { ip: i.ip(), is_up: i.is_oper_up(), name: i.name }).collect()))
    }

    /// All addresses listed.
    #[must_use]
    pub fn list(&self) -> &[Interface] {
        &self.0
    }

    /// The addresses to announce, in the order in which others should try them.
    ///
    /// `None`: every IPv4 address of an interface that is up, loopback last. `Some`: a list with commas of
    /// interface names (`ib0`), networks (`10.98.0.0/16`) and addresses (`127.0.0.1`); an interface gives
    /// its IPv4 addresses, or where it has none its IPv6 ones. An address is taken as it is.
    ///
    /// ```
    /// use tilework_cluster::interfaces::{Interface, Interfaces};
    ///
    /// let at = |name: &str, ip: &str| Interface { name: name.into(), ip: ip.parse().unwrap(), is_up: true };
    /// let host = Interfaces::from(vec![at("lo", "127.0.0.1"), at("eth0", "10.98.0.1"), at("ib0", "10.99.0.1")]);
    /// let announced = host.announce(Some("ib0,10.98.0.0/16")).unwrap();
    /// assert_eq!(announced, ["10.99.0.1".parse::<std::net::IpAddr>().unwrap(), "10.98.0.1".parse().unwrap()]);
    /// ```
    ///
    /// # Errors
    /// [`InterfaceError::NoMatch`] for the first part of the list that matches nothing.
    pub fn announce(&self, choice: Option<&str>) -> Result<Vec<IpAddr>, InterfaceError> {
        let mut announced = Vec::new();
        match choice {
            None => {
                let up = |i: &&Interface| i.is_up && i.ip.is_ipv4();
                let (loopback, others): (Vec<_>, Vec<_>) =
                    self.0.iter().filter(up).map(|i| i.ip).partition(IpAddr::is_loopback);
                announced.extend(others.into_iter().chain(loopback));
            }
            Some(choice) => {
                for part in choice.split(',').map(str::trim) {
                    announced.extend(self.choose(part)?);
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        announced.retain(|ip| seen.insert(*ip));
        if announced.is_empty() {
            return Err(self.no_match("an IPv4 interface that is up"));
        }
        Ok(announced)
    }

    fn choose(&self, part: &str) -> Result<Vec<IpAddr>, InterfaceError> {
        if let Ok(ip) = part.parse() {
            return Ok(vec![ip]);
        }
        let up = self.0.iter().filter(|i| i.is_up);
        let found: Vec<IpAddr> = if let Ok(network) = part.parse::<IpNet>() {
            up.map(|i| i.ip).filter(|ip| network.contains(ip)).collect()
        } else {
            // A link-local IPv6 address means nothing without the interface's number on the other host.
            let usable = |ip: &IpAddr| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
            let of_it: Vec<IpAddr> = up.filter(|i| i.name == part).map(|i| i.ip).filter(usable).collect();
            let v4: Vec<IpAddr> = of_it.iter().copied().filter(IpAddr::is_ipv4).collect();
            if v4.is_empty() { of_it } else { v4 }
        };
        if found.is_empty() { Err(self.no_match(part)) } else { Ok(found) }
    }

    fn no_match(&self, asked: &str) -> InterfaceError {
        InterfaceError::NoMatch { asked: asked.to_owned(), there: self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Interfaces {
        let at =
            |name: &str, ip: &str, is_up| Interface { name: name.into(), ip: ip.parse().unwrap(), is_up };
        Interfaces(vec![
            at("lo", "127.0.0.1", true),
            at("lo", "::1", true),
            at("eth0", "10.98.0.1", true),
            at("eth0", "fe80::1", true),
            at("ib0", "10.99.0.1", true),
            at("ib0", "10.99.0.2", true),
            at("eth1", "192.168.1.1", false),
            at("v6", "fd00::7", true),
            at("v6", "fe80::2", true),
        ])
    }

    #[test]
    fn addresses_are_chosen_by_name_address_and_network() {
        let cases: [(Option<&str>, &[&str]); 9] = [
            (None, &["10.98.0.1", "10.99.0.1", "10.99.0.2", "127.0.0.1"]),
            (Some("127.0.0.1"), &["127.0.0.1"]),
            (Some("ib0"), &["10.99.0.1", "10.99.0.2"]),
            (Some("ib0, eth0"), &["10.99.0.1", "10.99.0.2", "10.98.0.1"]),
            (Some("eth0,10.98.0.0/16"), &["10.98.0.1"]),
            (Some("10.99.0.2/32"), &["10.99.0.2"]),
            (Some("0.0.0.0/0"), &["127.0.0.1", "10.98.0.1", "10.99.0.1", "10.99.0.2"]),
            (Some("v6"), &["fd00::7"]),
            (Some("fd00::/8"), &["fd00::7"]),
        ];
        for (choice, expected) in cases {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(host().announce(choice).unwrap(), expected, "{choice:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_error_that_lists_what_is() {
        for choice in ["ib7", "ib0,ib7", "eth1", "172.16.0.0/12", "10.0.0.0/33", ""] {
            let text = host().announce(Some(choice)).unwrap_err().to_string();
            assert!(text.contains(choice.rsplit(',').next().unwrap()), "{text}");
            assert!(text.contains("ib0 10.99.0.1, ib0 10.99.0.2, eth1 192.168.1.1 (down)"), "{text}");
        }
        let text = Interfaces(vec![]).announce(None).unwrap_err().to_string();
        assert!(text.ends_with("it has none"), "{text}");
    }

    #[test]
    fn this_host_has_loopback() {
        let there = Interfaces::of_this_host().unwrap();
        assert!(there.list().iter().any(|i| i.ip == IpAddr::from([127, 0, 0, 1]) && i.is_up), "{there}");
    }
}
