//! A session's messages on the streams that carry it, one connection after another: decode and put together, encode and
//! cut; where a connection breaks, what was under way comes again over the next. Both ends of every stream use this.
//!
//! Owns the stall limit, and what each end says when a connection is there. Must not know which messages there are, nor
//! how connections are made.

use crate::convert::{DecodeError, Wire};
use crate::fragment::{Assembler, Item, StreamItem, split};
use crate::limits::TooLarge;
use crate::replay::{CountError, Received, Sent};
use crate::session::LinkError;
use std::error::Error as _;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tonic::{Code, Status, Streaming};

/// Encoded messages of one stream that wait for the network.
pub const OUTBOUND_MAX: usize = 8;
/// How long the other side may take none of its messages before the stream is given up.
pub const OUTBOUND_STALL_MAX: Duration = Duration::from_secs(60);
/// How long the other end may take to end its stream once this end has nothing to say any more.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// The secret name of a session: who has it can resume the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub [u8; 16]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// What either end says first on a connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resumption {
    /// The session; from the end that opens absent for a new one.
    pub session: Option<SessionKey>,
    /// How many messages of the session this end has received.
    pub received: u64,
    /// From the end that opens: its process, as `tilework_cluster::who::process` names it; empty where it cannot be told.
    pub process: String,
    /// From the scheduler: how long the session may be without a connection.
    pub away_max: Duration,
    /// From the end that opens: the number of this attempt to carry the session on. One that comes after a later one,
    /// because it was under way for long and given up, is not taken.
    pub attempt: u64,
}

impl LinkError {
    /// What a status says of the connection to a scheduler. `cause` finds the words for one that came from nobody: a
    /// connection that broke.
    #[must_use]
    pub fn of_status(addresses: &str, status: &Status, cause: impl Fn(&Status) -> String) -> LinkError {
        match status.code() {
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::Unimplemented => LinkError::refused(addresses, status.message()),
            _ => LinkError::unreachable(addresses, cause(status)),
        }
    }

    /// What the end of a session's connection says of the scheduler. `cause` finds the words for a connection that broke, or
    /// was closed.
    #[must_use]
    pub fn of_end(addresses: &str, end: WayEnd, cause: impl Fn(Option<&Status>) -> String) -> LinkError {
        match end {
            WayEnd::Broken(status) | WayEnd::Refused(status) => {
                LinkError::of_status(addresses, &status, |s| cause(Some(s)))
            }
            WayEnd::Malformed(e) => LinkError::refused(addresses, e),
            WayEnd::TooLarge(e) => e.into(),
            WayEnd::Closed => LinkError::unreachable(addresses, cause(None)),
            WayEnd::Stuck => LinkError::unreachable(addresses, "it takes no message"),
        }
    }
}

/// A connection that carries a session: what comes, where what goes is put, and how that becomes an item of the stream.
#[derive(Debug)]
pub struct Way<I: Wire, O: Wire, X> {
    /// What comes.
    pub stream: Streaming<I::Message>,
    /// What goes.
    pub out: mpsc::Sender<X>,
    /// Makes a message an item of `out`.
    pub wrap: fn(O::Message) -> X,
    /// Makes the reason why this end ends the session an item of `out`, where streams have a place for that.
    pub refuse: Option<fn(Status) -> X>,
    /// How many messages of the session the other end says that it has received.
    pub received_there: u64,
}

impl<I: Wire, O: Wire> Way<I, O, O::Message>
where
    I::Message: StreamItem,
{
    /// The connection of the end that opened it, and what the other end says first.
    ///
    /// # Errors
    /// What the stream's end is where it says nothing.
    pub async fn opened(
        mut stream: Streaming<I::Message>,
        out: mpsc::Sender<O::Message>,
    ) -> Result<(Self, Resumption), WayEnd> {
        let opened = opened(&mut stream).await?;
        let received_there = opened.received;
        Ok((Way { stream, out, wrap: |m| m, refuse: None, received_there }, opened))
    }
}

/// Why a connection carries nothing any more.
#[derive(Debug)]
pub enum WayEnd {
    /// The connection broke: the session can be resumed.
    Broken(Status),
    /// The other end has ended the session, or this end has and all was sent.
    Closed,
    /// The other end has ended the session, and says why.
    Refused(Status),
    /// What came makes no sense.
    Malformed(DecodeError),
    /// The other side takes nothing from the stream.
    Stuck,
    /// A message is too large to be sent.
    TooLarge(TooLarge),
}

/// What becomes of each message that comes.
type Heard<I> = Box<dyn Fn(I) -> I + Send + Sync>;

/// One end of a session: its queues, and what is remembered for the next connection.
pub struct Line<I, O> {
    incoming: mpsc::Sender<I>,
    heard: Heard<I>,
    outgoing: mpsc::Receiver<O>,
    /// Whether nobody has more to send.
    is_finished: bool,
    memory: Mutex<Memory<O>>,
}

impl<I, O> fmt::Debug for Line<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("is_finished", &self.is_finished).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Memory<O> {
    sent: Sent<O>,
    received: Received,
    /// A count that is to be acknowledged.
    due: Option<u64>,
}

impl<I: Wire, O: Wire> Line<I, O>
where
    I::Message: StreamItem,
    O::Message: StreamItem,
{
    /// The end of a new session; what comes goes into `incoming`, what goes is taken out of `outgoing`.
    #[must_use]
    pub fn new(incoming: mpsc::Sender<I>, outgoing: mpsc::Receiver<O>) -> Line<I, O> {
        let memory = Memory { sent: Sent::default(), received: Received::default(), due: None };
        let heard = Box::new(|message| message);
        Line { incoming, heard, outgoing, is_finished: false, memory: Mutex::new(memory) }
    }

    /// The same, where each message that comes passes through `heard`.
    #[must_use]
    pub fn heard_through(self, heard: impl Fn(I) -> I + Send + Sync + 'static) -> Line<I, O> {
        Line { heard: Box::new(heard), ..self }
    }

    /// How many messages of the session have come.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.memory().received.said()
    }

    /// Completes when nobody waits for what comes any more: this end of the session is over. Until then what is to go is
    /// kept for the next connection.
    pub async fn unwanted(&mut self) {
        let incoming = self.incoming.clone();
        tokio::select! {
            () = incoming.closed() => {}
            () = self.hold() => {}
        }
    }

    /// Keeps what is to go for the next connection, as long as there is none: whoever sends must not be held up. Never
    /// completes, and may be dropped at any time.
    async fn hold(&mut self) {
        while !self.is_finished && !self.memory().sent.is_full() {
            match self.outgoing.recv().await {
                Some(message) => self.memory().sent.push(message),
                None => self.is_finished = true,
            }
        }
        std::future::pending::<()>().await;
    }

    /// How many messages have come, and how many of this end's are known to have.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let memory = self.memory();
        (memory.received.count(), memory.sent.n_acknowledged())
    }

    /// The last message for this end, from nobody on the other.
    pub async fn end_with(self, message: I) {
        // Err: nobody waits for it.
        let _ = self.incoming.send(message).await;
    }

    /// Hands a message on to this end as one of the other's, if there is room.
    pub fn hand_in(&self, message: I) {
        // Full or closed: the end of the queue says enough.
        let _ = self.incoming.try_send(message);
    }

    fn memory(&self) -> MutexGuard<'_, Memory<O>> {
        locked(&self.memory)
    }

    /// Carries the session over a connection until that ends. What the other end did not receive over the one before
    /// goes first. May be dropped at any time, and the session then goes on over another connection.
    pub async fn carry<X>(&mut self, way: Way<I, O, X>) -> WayEnd {
        let Way { stream, out, wrap, refuse, received_there } = way;
        let refused = |end: WayEnd| {
            if let (Some(refuse), Some(status)) = (refuse, end.status()) {
                // Full or closed: the stream ends either way.
                let _ = out.try_send(refuse(status));
            }
            end
        };
        let replay = match self.replay(received_there) {
            Ok(replay) => replay,
            Err(e) => return refused(WayEnd::Malformed(e)),
        };
        let (due, room) = (Notify::new(), Notify::new());
        let Line { incoming, heard, outgoing, is_finished, memory } = self;
        let inward = pump_in(stream, (incoming, heard), memory, (&due, &room));
        let outward = async {
            for message in replay {
                send_all(message, &out, wrap).await?;
            }
            pump_out((outgoing, is_finished), (&out, wrap), memory, (&due, &room)).await
        };
        tokio::pin!(inward);
        let ended = tokio::select! {
            end = &mut inward => return refused(end),
            ended = outward => ended,
        };
        match ended {
            Err(OutEnd::TooLarge(e)) => refused(WayEnd::TooLarge(e)),
            // The other end may have said why it takes nothing more.
            Err(OutEnd::Closed) => {
                timeout_or(inward, WayEnd::Broken(Status::unavailable("the stream is closed"))).await
            }
            Err(OutEnd::Stuck) => WayEnd::Stuck,
            Ok(()) => {
                drop(out);
                timeout_or(inward, WayEnd::Closed).await
            }
        }
    }

    /// What the other end has not received, encoded once more.
    fn replay(&self, received_there: u64) -> Result<Vec<Encoded<O::Message>>, DecodeError> {
        let mut memory = self.memory();
        // What was to be acknowledged is said by the count that opens a connection.
        memory.due = None;
        let left = memory.sent.after(received_there).map_err(impossible)?;
        Ok(left.map(split).collect())
    }
}

impl WayEnd {
    /// What the other end is told where it was not the one that ended the session.
    fn status(&self) -> Option<Status> {
        match self {
            WayEnd::Malformed(e) => Some(Status::invalid_argument(e.to_string())),
            WayEnd::TooLarge(e) => Some(Status::resource_exhausted(e.to_string())),
            _ => None,
        }
    }
}

/// The items of a message.
type Encoded<M> = Result<Vec<M>, TooLarge>;

async fn timeout_or(inward: impl Future<Output = WayEnd>, otherwise: WayEnd) -> WayEnd {
    tokio::time::timeout(GOODBYE_MAX, inward).await.unwrap_or(otherwise)
}

fn impossible(error: CountError) -> DecodeError {
    DecodeError::Invalid { what: "messages received", why: error.to_string() }
}

fn locked<O>(memory: &Mutex<Memory<O>>) -> MutexGuard<'_, Memory<O>> {
    // Nothing that holds it can leave it half changed.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decodes what comes into `queue`, until the stream ends; what nobody waits for is dropped.
async fn pump_in<I: Wire, O>(
    mut stream: Streaming<I::Message>,
    (queue, heard): (&mpsc::Sender<I>, &Heard<I>),
    memory: &Mutex<Memory<O>>,
    (due, room): (&Notify, &Notify),
) -> WayEnd
where
    I::Message: StreamItem,
{
    let mut assembler = Assembler::<I>::default();
    let mut bytes = 0;
    loop {
        let item = match stream.message().await {
            Ok(Some(message)) => message.into_item(),
            Ok(None) => return WayEnd::Closed,
            Err(status) => return of_status(status),
        };
        if let Item::Received(count) = item {
            if let Err(e) = locked(memory).sent.acknowledged(count) {
                return WayEnd::Malformed(impossible(e));
            }
            room.notify_one();
            continue;
        }
        if let Item::Fragment(fragment) = &item {
            bytes += fragment.data.len() as u64;
        }
        match assembler.push(item) {
            Ok(None) => {}
            Ok(Some(value)) => {
                // Err: the session is over at this end, and the other will hear of it.
                let _ = queue.send(heard(value)).await;
                let mut memory = locked(memory);
                let count = memory.received.one_more(std::mem::take(&mut bytes));
                if count.is_some() {
                    memory.due = count;
                    due.notify_one();
                }
            }
            Err(e) => return WayEnd::Malformed(e),
        }
    }
}

/// What the end of a stream by a status is: the other end's word, or a connection that broke.
#[must_use]
pub fn of_status(status: Status) -> WayEnd {
    // One that the other end let go of looks alike, and is then not to be gone on with.
    let from_connection = status.source().is_some();
    if from_connection { WayEnd::Broken(status) } else { WayEnd::Refused(status) }
}

/// Why no more messages can go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutEnd {
    /// The stream is closed.
    Closed,
    /// The other side takes nothing from the stream.
    Stuck,
    /// A message is too large to be sent.
    TooLarge(TooLarge),
}

/// Where encoded messages go, and what makes one an item of it.
type Outlet<'a, M, X> = (&'a mpsc::Sender<X>, fn(M) -> X);

/// Encodes what comes out of the queue, and acknowledges what came in, until the queue's senders are gone.
async fn pump_out<O: Wire, X>(
    (queue, is_finished): (&mut mpsc::Receiver<O>, &mut bool),
    (out, wrap): Outlet<'_, O::Message, X>,
    memory: &Mutex<Memory<O>>,
    (due, room): (&Notify, &Notify),
) -> Result<(), OutEnd>
where
    O::Message: StreamItem,
{
    while !*is_finished {
        let is_full = locked(memory).sent.is_full();
        let next = tokio::select! {
            next = queue.recv(), if !is_full => next,
            () = room.notified(), if is_full => continue,
            () = due.notified() => {
                let count = locked(memory).due.take();
                if let Some(count) = count {
                    send_one(O::Message::of_item(Item::Received(count)), out, wrap).await?;
                }
                continue;
            }
            () = out.closed() => return Err(OutEnd::Closed),
        };
        let Some(value) = next else {
            *is_finished = true;
            break;
        };
        let pieces = split(&value);
        locked(memory).sent.push(value);
        send_all(pieces, out, wrap).await?;
    }
    Ok(())
}

/// Encodes one message into `out`.
///
/// # Errors
/// [`OutEnd`].
pub async fn send<T: Wire, X>(
    value: &T,
    out: &mpsc::Sender<X>,
    wrap: fn(T::Message) -> X,
) -> Result<(), OutEnd>
where
    T::Message: StreamItem,
{
    send_all(split(value), out, wrap).await
}

/// Says which session a connection carries; first on each, from either end.
///
/// # Errors
/// [`OutEnd::Closed`], [`OutEnd::Stuck`].
pub async fn open<M: StreamItem, X>(
    first: &Resumption,
    out: &mpsc::Sender<X>,
    wrap: fn(M) -> X,
) -> Result<(), OutEnd> {
    send_one(M::of_item(Item::Resumption(first.to_wire())), out, wrap).await
}

/// What the other end says first on a connection.
///
/// # Errors
/// What a stream's end is that comes before.
pub async fn opened<M: StreamItem>(stream: &mut Streaming<M>) -> Result<Resumption, WayEnd> {
    match stream.message().await {
        Ok(Some(first)) => match first.into_item() {
            Item::Resumption(first) => Resumption::from_wire(first).map_err(WayEnd::Malformed),
            _ => {
                let (got, expected) = ("another message", "the session that the connection carries");
                Err(WayEnd::Malformed(DecodeError::Unexpected { got, expected }))
            }
        },
        Ok(None) => Err(WayEnd::Closed),
        Err(status) => Err(of_status(status)),
    }
}

async fn send_all<M, X>(pieces: Encoded<M>, out: &mpsc::Sender<X>, wrap: fn(M) -> X) -> Result<(), OutEnd> {
    for piece in pieces.map_err(OutEnd::TooLarge)? {
        send_one(piece, out, wrap).await?;
    }
    Ok(())
}

async fn send_one<M, X>(piece: M, out: &mpsc::Sender<X>, wrap: fn(M) -> X) -> Result<(), OutEnd> {
    use mpsc::error::SendTimeoutError;
    out.send_timeout(wrap(piece), OUTBOUND_STALL_MAX).await.map_err(|e| match e {
        SendTimeoutError::Closed(_) => OutEnd::Closed,
        SendTimeoutError::Timeout(_) => OutEnd::Stuck,
    })
}
