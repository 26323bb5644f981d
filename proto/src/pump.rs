//! Moving messages between a session's queues and the streams of a connection: decode and put together, encode and
//! cut. Both ends of every stream use these two functions.
//!
//! Owns the stall limit. Must not know which messages there are.

use crate::convert::{DecodeError, Wire};
use crate::fragment::{Assembler, Fragmented, split};
use crate::limits::TooLarge;
use crate::session::LinkError;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

/// Encoded messages of one stream that wait for the network.
pub const OUTBOUND_MAX: usize = 8;
/// How long the other side may take none of its messages before the stream is given up.
pub const OUTBOUND_STALL_MAX: Duration = Duration::from_secs(60);

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
}

/// Why no more messages come in.
#[derive(Debug)]
pub enum InEnd {
    /// The other side closed the stream.
    Closed,
    /// The stream broke.
    Broken(Status),
    /// What came makes no sense.
    Malformed(DecodeError),
    /// The queue's receiver is gone.
    Unwanted,
}

/// Why no more messages go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutEnd {
    /// The queue's senders are gone.
    Finished,
    /// The stream is closed, or the other side takes nothing from it.
    Stuck,
    /// A message is too large to be sent.
    TooLarge(TooLarge),
}

/// Decodes what comes into `queue`, until either ends. The caller keeps `queue`, to say why it ended.
pub async fn pump_in<T: Wire>(mut stream: Streaming<T::Message>, queue: &mpsc::Sender<T>) -> InEnd
where
    T::Message: Fragmented,
{
    let mut assembler = Assembler::<T>::default();
    loop {
        let next = tokio::select! {
            next = stream.message() => next,
            () = queue.closed() => return InEnd::Unwanted,
        };
        let message = match next {
            Ok(Some(message)) => message,
            Ok(None) => return InEnd::Closed,
            Err(status) => return InEnd::Broken(status),
        };
        match assembler.push(message) {
            Ok(None) => {}
            Ok(Some(value)) => {
                if queue.send(value).await.is_err() {
                    return InEnd::Unwanted;
                }
            }
            Err(e) => return InEnd::Malformed(e),
        }
    }
}

/// Encodes what comes out of `queue`, until it or `out` ends. `wrap` makes a message the stream's item.
pub async fn pump_out<T: Wire, I>(
    queue: &mut mpsc::Receiver<T>,
    out: &mpsc::Sender<I>,
    wrap: fn(T::Message) -> I,
) -> OutEnd
where
    T::Message: Fragmented,
{
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            () = out.closed() => return OutEnd::Stuck,
        };
        let Some(value) = next else { return OutEnd::Finished };
        if let Err(end) = send(&value, out, wrap).await {
            return end;
        }
    }
}

/// Encodes one message into `out`.
///
/// # Errors
/// [`OutEnd::Stuck`], [`OutEnd::TooLarge`].
pub async fn send<T: Wire, I>(
    value: &T,
    out: &mpsc::Sender<I>,
    wrap: fn(T::Message) -> I,
) -> Result<(), OutEnd>
where
    T::Message: Fragmented,
{
    for message in split(value).map_err(OutEnd::TooLarge)? {
        out.send_timeout(wrap(message), OUTBOUND_STALL_MAX).await.map_err(|_| OutEnd::Stuck)?;
    }
    Ok(())
}
