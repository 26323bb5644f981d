//! Who comes to a port: how many strangers there may be at once, how long each may take to show that it belongs to the
//! cluster, and what happens where the process runs out of descriptors.
//!
//! Owns: counting connections, closing those of strangers, and resting. Must not know: tokens, TLS, or services; who is
//! no stranger is told by [`Visitor::admit`].
//!
//! A port that takes whoever comes is closed to everybody once a stranger has opened as many connections as the process
//! may have descriptors. So strangers have a share of them; one more turns out the one that came first. Whoever has the
//! token shows it within milliseconds, long before as many others have come.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpIncoming};
use tracing::warn;

use crate::limits;

/// How long a connection may take from its beginning to its first request with the token.
pub const FIRST_REQUEST_MAX: Duration = Duration::from_secs(10);
/// How much longer it may take: after a pause of this process, what has arrived meanwhile is read first.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);
/// The most connections of strangers.
const STRANGERS_MAX: usize = 512;
/// One of so many connections may be a stranger's.
const STRANGERS_PART: usize = 4;
/// One of so many descriptors is kept for files and for connections to others.
const KEPT_PART: u64 = 4;
/// The first rest after the system gave no descriptor.
const REST_MIN: Duration = Duration::from_millis(20);
/// The longest such rest.
const REST_MAX: Duration = Duration::from_secs(1);
/// Least time between two lines of the log about strangers.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// What helps.
const RAISE: &str = "raise the limit of descriptors of this process (ulimit -Hn)";

/// How many may come, and how long they may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Connections at once. One more is taken before it is known who it is.
    pub connections_max: usize,
    /// Those among them that have not shown the token.
    pub strangers_max: usize,
    /// How long one may take to show it.
    pub first_request_max: Duration,
}

impl Room {
    /// What a process with so many descriptors has room for.
    ///
    /// ```
    /// let room = tilework_cluster::door::Room::of(1024);
    /// assert_eq!((room.connections_max, room.strangers_max), (768, 192));
    /// ```
    #[must_use]
    pub fn of(descriptors_max: u64) -> Room {
        let connections =
            usize::try_from(descriptors_max - descriptors_max / KEPT_PART).unwrap_or(usize::MAX);
        let connections_max = connections.max(STRANGERS_PART);
        let strangers_max = (connections_max / STRANGERS_PART).min(STRANGERS_MAX);
        Room { connections_max, strangers_max, first_request_max: FIRST_REQUEST_MAX }
    }

    /// What this process has room for.
    #[must_use]
    pub fn of_this_process() -> Room {
        Room::of(limits::descriptors_max())
    }
}

/// The connections of one port.
#[derive(Debug)]
struct Door {
    room: Room,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Connections that are open, whoever's.
    n_open: usize,
    /// Those of strangers, in the order in which they came.
    strangers: BTreeMap<u64, Arc<Guest>>,
    n_came: u64,
    /// Who waits for one to leave.
    waiting: Option<Waker>,
    /// Strangers that were turned out since the log's last line on it.
    n_turned_out: u64,
    told: Option<Instant>,
    /// When the log last said that all connections are of those with the token.
    told_full: Option<Instant>,
}

impl Door {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one in. Strangers that are too many leave, those that came first.
    fn enter(self: &Arc<Self>) -> Visitor {
        let mut inside = self.lock();
        let number = inside.n_came;
        inside.n_came += 1;
        inside.n_open += 1;
        let guest = Arc::new(Guest { number, is_known: AtomicBool::new(false), here: Mutex::default() });
        inside.strangers.insert(number, Arc::clone(&guest));
        let too_many = inside.n_open > self.room.connections_max && inside.strangers.len() > 1;
        if too_many || inside.strangers.len() > self.room.strangers_max {
            inside.turn_one_out("more came than there is room for");
        }
        Visitor { door: Arc::clone(self), guest }
    }

    /// Whether one more may come, for whom another may have to leave; if not, the task is woken when somebody has left.
    fn has_room(&self, context: &Context<'_>) -> bool {
        let mut inside = self.lock();
        if inside.n_open <= self.room.connections_max {
            return true;
        }
        inside.waiting = Some(context.waker().clone());
        if inside.strangers.len() <= 1 && inside.told_full.is_none_or(|at| at.elapsed() >= LINE_INTERVAL) {
            inside.told_full = Some(Instant::now());
            let n = inside.n_open;
            warn!(n, "as many connections are open as there is room for, and more wait: {RAISE}");
        }
        false
    }

    /// The system has no descriptor left: so half of the strangers leave.
    fn make_room(&self) {
        let mut inside = self.lock();
        for _ in 0..inside.strangers.len().div_ceil(2) {
            inside.turn_one_out("the process has no descriptors left");
        }
    }
}

impl Inside {
    fn turn_one_out(&mut self, why: &str) {
        if let Some((_, guest)) = self.strangers.pop_first() {
            guest.turn_out();
            self.tell(why);
        }
    }

    /// Says that strangers were turned out; the first at once, then all of a minute in a line.
    fn tell(&mut self, why: &str) {
        self.n_turned_out += 1;
        if self.told.is_none_or(|at| at.elapsed() >= LINE_INTERVAL) {
            let n = std::mem::take(&mut self.n_turned_out);
            self.told = Some(Instant::now());
            warn!(n, why, "connections that did not show the cluster's token were closed");
        }
    }
}

/// What a stranger's connection waits with.
#[derive(Debug, Default)]
struct Here {
    turned_out: bool,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Guest {
    number: u64,
    is_known: AtomicBool,
    here: Mutex<Here>,
}

impl Guest {
    fn lock(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_out(&self) {
        let mut here = self.lock();
        here.turned_out = true;
        let waker = here.waker.take();
        drop(here);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was turned out; if not, the task is woken when it is.
    fn is_turned_out(&self, context: &Context<'_>) -> bool {
        let mut here = self.lock();
        if !here.waker.as_ref().is_some_and(|w| w.will_wake(context.waker())) {
            here.waker = Some(context.waker().clone());
        }
        here.turned_out
    }
}

/// Whose connection it is: among the extensions of each request that comes over it.
#[derive(Clone, Debug)]
pub struct Visitor {
    door: Arc<Door>,
    guest: Arc<Guest>,
}

impl Visitor {
    /// It belongs to the cluster: it has shown the token.
    pub fn admit(&self) {
        if !self.guest.is_known.load(Ordering::Acquire) {
            // One that was turned out already stays so.
            self.door.lock().strangers.remove(&self.guest.number);
            self.guest.is_known.store(true, Ordering::Release);
        }
    }
}

/// One connection. As long as it is a stranger's, it ends when its time is over or it is turned out.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    visitor: Visitor,
    /// Runs as long as it is a stranger's.
    clock: Option<Pin<Box<Sleep>>>,
    is_late: bool,
}

impl Connection {
    /// An error where the connection has to end.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(clock) = &mut self.clock else { return Ok(()) };
        let guest = &self.visitor.guest;
        if guest.is_turned_out(context) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if guest.is_known.load(Ordering::Acquire) {
            self.clock = None;
            return Ok(());
        }
        while clock.as_mut().poll(context).is_ready() {
            if self.is_late {
                self.visitor.door.lock().tell("no request with the token came in time");
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.is_late = true;
            clock.as_mut().reset(tokio::time::Instant::now() + FIRST_REQUEST_GRACE);
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut inside = self.visitor.door.lock();
        inside.strangers.remove(&self.visitor.guest.number);
        inside.n_open -= 1;
        let waiting = inside.waiting.take();
        drop(inside);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Visitor;

    fn connect_info(&self) -> Visitor {
        self.visitor.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A stranger that never takes the last bytes does not keep the connection either.
        self.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The connections of a port as they come, for `serve_with_incoming`.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpIncoming,
    door: Arc<Door>,
    /// Under way where the system gave no descriptor.
    rest: Option<Pin<Box<Sleep>>>,
    next_rest: Duration,
}

impl Incoming {
    /// Those that come to `listener`.
    #[must_use]
    pub fn new(listener: TcpIncoming, room: Room) -> Incoming {
        let door = Arc::new(Door { room, inside: Mutex::default() });
        Incoming { listener, door, rest: None, next_rest: REST_MIN }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(context));
                self.rest = None;
            }
            if !self.door.has_room(context) {
                return Poll::Pending;
            }
            match ready!(Pin::new(&mut self.listener).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Ok(stream)) => {
                    self.next_rest = REST_MIN;
                    let visitor = self.door.enter();
                    let clock = Box::pin(tokio::time::sleep(self.door.room.first_request_max));
                    let connection = Connection { stream, visitor, clock: Some(clock), is_late: false };
                    return Poll::Ready(Some(Ok(connection)));
                }
                Some(Err(error)) if is_of_one_connection(&error) => {}
                // Asked again at once, the system would say the same at once.
                Some(Err(error)) => {
                    if self.next_rest == REST_MIN {
                        warn!(%error, "no connection can be taken for now: {RAISE}");
                    }
                    self.door.make_room();
                    self.rest = Some(Box::pin(tokio::time::sleep(self.next_rest)));
                    self.next_rest = (self.next_rest * 2).min(REST_MAX);
                }
            }
        }
    }
}

/// Whether it concerns the connection that was to be taken alone, and not the next.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
