//! The end of a session that opens connections: where one breaks, another is opened and the session goes on.
//!
//! Owns when that is tried, and for how long. Must not know how connections are made.

use crate::convert::Wire;
use crate::fragment::StreamItem;
use crate::pump::{Line, Resumption, Way, WayEnd};
use crate::session::BoxFuture;
use std::time::{Duration, Instant};
use tonic::Code;

/// The first pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long nobody may listen where the other end did before it is taken for gone.
const REFUSED_MAX: Duration = Duration::from_millis(200);

/// Why a session could not be resumed by an attempt.
#[derive(Debug)]
pub enum NotResumed {
    /// It may be by a later one.
    Later(String),
    /// Nobody listens: the other end is gone, or is just being reached another way.
    Refused(String),
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

/// Since when nothing has come through, and how long to wait until the next attempt.
struct Attempts {
    since: Instant,
    pause: Duration,
}

impl Attempts {
    fn begin() -> Attempts {
        Attempts { since: Instant::now(), pause: Duration::ZERO }
    }

    /// Waits before an attempt; the first is made at once.
    async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
    }
}

/// Carries a session over `way`, which the other end opened with `opened`, and over those that `reopen` makes where a
/// connection breaks, until the session ends; returns why. One that cannot be resumed ends by the break.
pub async fn keep<I: Wire, O: Wire, X>(
    line: &mut Line<I, O>,
    (mut way, opened): (Way<I, O, X>, &Resumption),
    reopen: Reopen<'_, I, O, X>,
) -> WayEnd
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    let (mut attempts, mut progress) = (Attempts::begin(), None);
    loop {
        let status = match line.carry(way).await {
            WayEnd::Broken(status) => status,
            end => return end,
        };
        // A connection over which nothing came through is one more attempt that failed.
        let now = Some(line.progress());
        if std::mem::replace(&mut progress, now) != now {
            attempts = Attempts::begin();
        }
        way = match resumed(line, opened, reopen, &mut attempts).await {
            Ok(way) => way,
            Err(Some(end)) => return end,
            Err(None) => return WayEnd::Broken(status),
        };
    }
}

/// The next connection; without one, why the other end does not want it where it said so.
async fn resumed<I: Wire, O: Wire, X>(
    line: &mut Line<I, O>,
    opened: &Resumption,
    reopen: Reopen<'_, I, O, X>,
    attempts: &mut Attempts,
) -> Result<Way<I, O, X>, Option<WayEnd>>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    loop {
        let left = opened.away_max.saturating_sub(attempts.since.elapsed());
        let first =
            Resumption { session: opened.session, received: line.received(), ..Resumption::default() };
        let attempt = async {
            attempts.pause().await;
            let attempt = tokio::time::timeout(left, reopen(first)).await;
            attempt.unwrap_or_else(|_| Err(NotResumed::Later("no answer came".to_owned())))
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            () = line.unwanted() => return Err(None),
        };
        let elapsed = attempts.since.elapsed();
        match attempt {
            Ok(way) => return Ok(way),
            Err(NotResumed::Later(_)) if elapsed < opened.away_max => {}
            Err(NotResumed::Refused(_)) if elapsed < REFUSED_MAX.min(opened.away_max) => {}
            Err(NotResumed::Never(WayEnd::Refused(status))) if status.code() != Code::NotFound => {
                return Err(Some(WayEnd::Refused(status)));
            }
            Err(NotResumed::Never(end @ WayEnd::Malformed(_))) => return Err(Some(end)),
            // That the other end is gone, or knows the session no more, is told by the break.
            Err(_) => return Err(None),
        }
    }
}
