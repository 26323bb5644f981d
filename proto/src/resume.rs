//! The end of a session that opens connections: where one breaks, another is opened and the session goes on.
//!
//! Owns when that is tried, and for how long. Must not know how connections are made.

use crate::convert::Wire;
use crate::fragment::StreamItem;
use crate::pump::{Line, Resumption, Way, WayEnd};
use crate::session::BoxFuture;
use std::time::{Duration, Instant};
use tonic::Code;

/// The first pause between two attempts; the first attempt is made at once.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Why a session could not be resumed by an attempt.
#[derive(Debug)]
pub enum NotResumed {
    /// It may be by a later one.
    Later(String),
    /// It never will be.
    Never(WayEnd),
}

impl NotResumed {
    /// What an attempt says that got as far as a connection.
    #[must_use]
    pub fn of(end: WayEnd) -> NotResumed {
        match end {
            WayEnd::Broken(status) => NotResumed::Later(status.message().to_owned()),
            end => NotResumed::Never(end),
        }
    }
}

/// Opens a connection for the session that a word names, which is the first on it, and returns the other end's.
pub type Reopen<'a, I, O, X> =
    &'a (dyn Fn(Resumption) -> BoxFuture<'a, Result<Way<I, O, X>, NotResumed>> + Sync);

/// Carries a session over `way`, which the other end opened with `opened`, and over those that `reopen` makes where a
/// connection breaks, until the session ends; returns why. One that cannot be resumed ends by the first break.
pub async fn keep<I: Wire, O: Wire, X>(
    line: &mut Line<I, O>,
    (mut way, opened): (Way<I, O, X>, &Resumption),
    reopen: Reopen<'_, I, O, X>,
) -> WayEnd
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    loop {
        let status = match line.carry(way).await {
            WayEnd::Broken(status) => status,
            end => return end,
        };
        way = match resumed(line, opened, reopen).await {
            Ok(way) => way,
            Err(Some(end)) => return end,
            Err(None) => return WayEnd::Broken(status),
        };
    }
}

/// The next connection; without one, why the other end does not want it where it said so.
async fn resumed<I: Wire, O: Wire, X>(
    line: &Line<I, O>,
    opened: &Resumption,
    reopen: Reopen<'_, I, O, X>,
) -> Result<Way<I, O, X>, Option<WayEnd>>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    let (since, mut pause) = (Instant::now(), PAUSE_MIN);
    loop {
        let first =
            Resumption { session: opened.session, received: line.received(), ..Resumption::default() };
        let attempt = tokio::select! {
            attempt = reopen(first) => attempt,
            () = line.unwanted() => return Err(None),
        };
        match attempt {
            Ok(way) => return Ok(way),
            Err(NotResumed::Later(_)) if since.elapsed() + pause < opened.away_max => {}
            // That the other end is gone, or knows the session no more, is told by the break.
            Err(NotResumed::Later(_) | NotResumed::Never(WayEnd::Broken(_) | WayEnd::Closed)) => {
                return Err(None);
            }
            Err(NotResumed::Never(WayEnd::Refused(status))) if status.code() == Code::NotFound => {
                return Err(None);
            }
            Err(NotResumed::Never(end)) => return Err(Some(end)),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
