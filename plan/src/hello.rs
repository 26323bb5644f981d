//! What workers and clients say of themselves.
//!
//! Plain data. Must not know how it is used.

use crate::terms::Tags;
use std::fmt;

/// One connection of a client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// What a worker says of itself when it joins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Its name, unique among the living.
    pub name: String,
    /// A random number drawn by the process at its start: tells a returning worker from another of that name.
    pub incarnation: u64,
    /// Threads that run tasks.
    pub threads: u32,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Bytes of chunks that it may write to its disk where they do not fit into memory; 0 where none.
    pub spill_bytes: u64,
    /// Where its chunk service listens, `host:port`, tried in order.
    pub addresses: Vec<String>,
    /// The build whose functions it can call; absent where it can call any, or where that does not matter.
    pub build: Option<String>,
    /// What it has that some tasks need.
    pub tags: Tags,
}

impl Hello {
    /// Whether it has all of these.
    #[must_use]
    pub fn has(&self, tags: &Tags) -> bool {
        tags.is_subset(&self.tags)
    }

    /// Whether tasks that call functions of a build may go to such a worker.
    #[must_use]
    pub fn calls(&self, build: Option<&str>) -> bool {
        build.is_none_or(|build| self.build.as_deref().is_none_or(|own| own == build))
    }
}

/// What a client says of itself, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientHello {
    /// The name of its program.
    pub program: String,
    /// Its process there.
    pub pid: u32,
    /// The user that it runs as.
    pub user: String,
    /// Its host.
    pub host: String,
}

impl fmt::Display for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientHello { program, pid, user, host } = self;
        write!(f, "{program} (pid {pid}) of {user} on {host}")
    }
}

/// A job's number for people: 1, 2, 3, in the order of submission.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct JobNumber(pub u64);
