//! Sessions on the scheduler's side, which outlive their connections: one whose connection broke waits for the next,
//! until it is known that nobody will come.
//!
//! Owns the table of sessions by their secret names, and how long one waits. Must not know what is said.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tilework_cluster::security::random_bytes;
use tilework_cluster::who;
use tilework_proto::Wire;
use tilework_proto::fragment::StreamItem;
use tilework_proto::pump::{Line, Resumption, SessionKey, Way, WayEnd, open};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use tracing::{debug, info};

/// The first pause between two looks whether a process is still there.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(5);
/// The longest.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long one address may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the scheduler sends over a connection.
type Out<O> = mpsc::Sender<Result<<O as Wire>::Message, Status>>;

/// A connection that has come for a session.
pub(crate) struct Arrival<I: Wire, O: Wire> {
    pub stream: Streaming<I::Message>,
    pub out: Out<O>,
    /// How many of the scheduler's messages its other end has received.
    pub received_there: u64,
}

impl<I: Wire, O: Wire> Arrival<I, O>
where
    O::Message: StreamItem,
{
    /// Ends it, and says why.
    pub(crate) fn refuse(self, status: Status) {
        // Full or closed: the stream ends either way.
        let _ = self.out.try_send(Err(status));
    }

    /// Says which session it is; the connection then carries it.
    async fn welcomed(self, first: Resumption) -> Way<I, O, Result<O::Message, Status>> {
        let Arrival { stream, out, received_there } = self;
        // Err: it is gone already, which shows as soon as it carries something.
        let _ = open(&first, &out, Ok).await;
        Way { stream, out, wrap: Ok, refuse: Some(Err), received_there }
    }
}

type Table<I, O> = BTreeMap<SessionKey, Door<I, O>>;

/// Where connections of a session come in.
struct Door<I: Wire, O: Wire> {
    arrive: mpsc::Sender<Arrival<I, O>>,
    /// The last attempt of the other end that came.
    attempt: u64,
}

/// The sessions of one kind.
pub(crate) struct Sessions<I: Wire, O: Wire> {
    table: Arc<Mutex<Table<I, O>>>,
    /// How long one may be without a connection.
    away_max: Duration,
}

impl<I: Wire, O: Wire> Clone for Sessions<I, O> {
    fn clone(&self) -> Self {
        Sessions { table: Arc::clone(&self.table), away_max: self.away_max }
    }
}

impl<I: Wire, O: Wire> Sessions<I, O> {
    fn table(&self) -> MutexGuard<'_, Table<I, O>> {
        // Nothing that holds it can leave it half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session whose other end can come back, as long as this lives.
pub(crate) struct Entry<I: Wire, O: Wire> {
    sessions: Sessions<I, O>,
    key: SessionKey,
    arrivals: mpsc::Receiver<Arrival<I, O>>,
}

impl<I: Wire, O: Wire> Drop for Entry<I, O> {
    fn drop(&mut self) {
        self.sessions.table().remove(&self.key);
    }
}

/// By what it is known that a session's other end will not come back.
pub(crate) struct Life {
    /// Its process, in its own words.
    process: String,
    /// Where it listens as long as it lives.
    addresses: Vec<String>,
    /// Whether somebody could be reached there while it was known to live: what is refused then tells something.
    was_reached: Arc<AtomicBool>,
    /// How long it may be away at most; where absent somebody else says when it is over.
    away_max: Option<Duration>,
}

impl<I: Wire, O: Wire> Sessions<I, O>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    /// None yet; each may be without a connection for `away_max`.
    pub(crate) fn new(away_max: Duration) -> Sessions<I, O> {
        Sessions { table: Arc::default(), away_max }
    }

    /// A new session.
    ///
    /// # Errors
    /// A status where the operating system gives no random bytes.
    pub(crate) fn enter(&self) -> Result<Entry<I, O>, Status> {
        let key = SessionKey(random_bytes().map_err(|e| Status::internal(e.to_string()))?);
        let (arrive, arrivals) = mpsc::channel(1);
        self.table().insert(key, Door { arrive, attempt: 0 });
        Ok(Entry { sessions: self.clone(), key, arrivals })
    }

    /// Hands a connection, by the number of the other end's attempt, to the session that it came for, or says that there is
    /// none.
    pub(crate) async fn resume(&self, (key, attempt): (SessionKey, u64), arrival: Arrival<I, O>) {
        let session = match self.table().get_mut(&key) {
            // It was given up, and took longer than the one after it, which must not end for it.
            Some(door) if attempt <= door.attempt => {
                return arrival.refuse(Status::aborted("a later connection carries the session"));
            }
            Some(door) => {
                door.attempt = attempt;
                Some(door.arrive.clone())
            }
            None => None,
        };
        let left = match session {
            Some(session) => session.send(arrival).await.err().map(|e| e.0),
            None => Some(arrival),
        };
        if let Some(arrival) = left {
            arrival.refuse(Status::not_found("the session is over"));
        }
    }
}

impl<I: Wire, O: Wire> Entry<I, O>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    /// What is said first on a connection of the session.
    fn word(&self, received: u64) -> Resumption {
        let away_max = self.sessions.away_max;
        Resumption { session: Some(self.key), received, away_max, ..Resumption::default() }
    }

    /// Carries the session over its first connection, on which `welcome` follows the first word, and those that come
    /// later; returns how the last one ended.
    pub(crate) async fn live(
        mut self,
        line: &mut Line<I, O>,
        first: Arrival<I, O>,
        welcome: &O,
        life: &Life,
    ) -> WayEnd {
        let mut way = first.welcomed(self.word(0)).await;
        if tilework_proto::pump::send(welcome, &way.out, Ok).await.is_err() {
            return WayEnd::Stuck;
        }
        loop {
            let arrived = tokio::select! {
                end = line.carry(way) => match end {
                    WayEnd::Broken(status) => match self.awaited(line, life).await {
                        Some(arrival) => arrival,
                        None => return WayEnd::Broken(status),
                    },
                    end => return end,
                },
                // The other end knows of a break that did not show here.
                Some(arrival) = self.arrivals.recv() => arrival,
            };
            info!("a session goes on over another connection");
            way = arrived.welcomed(self.word(line.received())).await;
        }
    }

    /// The next connection, if one comes.
    async fn awaited(&mut self, line: &mut Line<I, O>, life: &Life) -> Option<Arrival<I, O>> {
        debug!("a session's connection broke");
        tokio::select! {
            arrival = self.arrivals.recv() => arrival,
            () = line.unwanted() => None,
            () = life.ended() => None,
        }
    }
}

impl Life {
    /// The life of who says this of itself, which may be away for `away_max`.
    pub(crate) fn of(process: String, addresses: Vec<String>, away_max: Option<Duration>) -> Life {
        let was_reached = Arc::<AtomicBool>::default();
        let (found, there) = (Arc::clone(&was_reached), addresses.clone());
        tokio::spawn(async move {
            for address in there {
                if let Ok(Ok(_)) = tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await {
                    return found.store(true, Ordering::Relaxed);
                }
            }
        });
        Life { process, addresses, was_reached, away_max }
    }

    /// Completes when it is known to be over, or the time is.
    async fn ended(&self) {
        // Its own pauses are counted, so that a scheduler that was stopped itself takes nobody for gone.
        let (mut away, mut pause) = (Duration::ZERO, LOOK_PAUSE_MIN);
        loop {
            let gone = who::has_ended(&self.process) == Some(true) || self.refuses().await;
            if gone || self.away_max.is_some_and(|max| away >= max) {
                return;
            }
            tokio::time::sleep(pause).await;
            away += pause;
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    /// Whether it listens at none of its addresses any more.
    async fn refuses(&self) -> bool {
        if !self.was_reached.load(Ordering::Relaxed) {
            return false;
        }
        for address in &self.addresses {
            match tokio::time::timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Err(e)) if e.kind() == ErrorKind::ConnectionRefused => {}
                // It listens, or it cannot be told.
                _ => return false,
            }
        }
        !self.addresses.is_empty()
    }
}
