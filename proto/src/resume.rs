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
    Later,
    /// Nobody listens: the other end is gone, or is just being reached another way.
    Refused,
    /// It never will be.
    Never(WayEnd),
}

impl NotResumed {
    /// What an attempt says that got as far as a connection.
    #[must_use]
    pub fn of(end: WayEnd) -> NotResumed {
        match end {
            WayEnd::Broken(_) => NotResumed::Later,
            end => NotResumed::Never(end),
        }
    }

    /// What an attempt says that did not: whether another one may, and whether nobody listens.
    #[must_use]
    pub fn unreached(may_pass: bool, is_refusal: bool) -> NotResumed {
        match (may_pass, is_refusal) {
            (true, true) => NotResumed::Refused,
            (true, false) => NotResumed::Later,
            (false, _) => NotResumed::Never(WayEnd::Closed),
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
    let (mut attempts, mut progress, mut n_opened) = (Attempts::begin(), None, 0);
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
        way = match resumed(line, opened, reopen, (&mut attempts, &mut n_opened)).await {
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
    (attempts, n_opened): (&mut Attempts, &mut u64),
) -> Result<Way<I, O, X>, Option<WayEnd>>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    loop {
        let left = opened.away_max.saturating_sub(attempts.since.elapsed());
        *n_opened += 1;
        let first = Resumption {
            session: opened.session,
            received: line.received(),
            attempt: *n_opened,
            ..Resumption::default()
        };
        let attempt = async {
            attempts.pause().await;
            let attempt = tokio::time::timeout(left, reopen(first)).await;
            attempt.unwrap_or_else(|_| Err(NotResumed::Later))
        };
        let attempt = tokio::select! {
            attempt = attempt => attempt,
            () = line.unwanted() => return Err(None),
        };
        let elapsed = attempts.since.elapsed();
        match attempt {
            Ok(way) => return Ok(way),
            Err(NotResumed::Later) if elapsed < opened.away_max => {}
            Err(NotResumed::Refused) if elapsed < REFUSED_MAX.min(opened.away_max) => {}
            Err(NotResumed::Never(WayEnd::Refused(status))) if status.code() != Code::NotFound => {
                return Err(Some(WayEnd::Refused(status)));
            }
            Err(NotResumed::Never(end @ WayEnd::Malformed(_))) => return Err(Some(end)),
            // That the other end is gone, or knows the session no more, is told by the break.
            Err(_) => return Err(None),
        }
    }
}
