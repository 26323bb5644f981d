//! The connection to the scheduler: over which a job goes out, why there is none, and how it is made again for the next.
//!
//! A lost connection costs the jobs that were under way, for the scheduler has released them; whoever runs the next one
//! finds a new connection. Must not know jobs.

use crate::error::{ClusterError, Result};
use tilework_proto::{ClientLink, ClientSession};

/// Makes a connection that was lost again, or says why it cannot.
pub(super) type Reconnect = Box<dyn Fn() -> std::result::Result<ClientSession, String> + Send + Sync>;

/// A connection.
pub(super) struct Line {
    pub(super) link: ClientLink,
    /// Which of the session's connections it is.
    number: u64,
    /// Why it is no more.
    lost: Option<ClusterError>,
    reconnect: Option<Reconnect>,
}

impl Line {
    /// The first connection of a session. It is the only one where there is nothing to be lost, within one process.
    pub(super) fn new(link: ClientLink, reconnect: Option<Reconnect>) -> Line {
        Line { link, number: 0, lost: None, reconnect }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Notes that connection `number` is no more; says whether it was there until now.
    pub(super) fn lose(&mut self, number: u64, why: &ClusterError) -> bool {
        let new = self.number == number && self.lost.is_none();
        if new {
            self.lost = Some(why.clone());
        }
        new
    }

    /// Where there is no connection any more, another one, to be listened to.
    ///
    /// # Errors
    /// Why the connection was lost, and why it cannot be made again.
    pub(super) fn renew(&mut self) -> Result<Option<ClientSession>> {
        let Some(why) = &self.lost else { return Ok(None) };
        let Some(reconnect) = &self.reconnect else { return Err(why.clone().into()) };
        let again = |e| ClusterError::Lost(format!("{why}; it cannot be reached again: {e}"));
        let session = reconnect().map_err(again)?;
        self.link = session.link.clone();
        self.number += 1;
        self.lost = None;
        Ok(Some(session))
    }
}
