//! Cutting messages that are too large for one, and putting them together again.
//!
//! Owns the rule: above [`FRAGMENT_BYTES_MAX`] a message goes as fragments of its encoding, in order, on the same
//! stream; above [`ASSEMBLED_BYTES_MAX`] it does not go at all. Must not know what messages say.

use crate::convert::{DecodeError, Wire};
use crate::limits::{ASSEMBLED_BYTES_MAX, FRAGMENT_BYTES_MAX, TooLarge};
use crate::wire;
use bytes::{Bytes, BytesMut};
use prost::Message;
use std::marker::PhantomData;

/// What an item of a stream is.
#[derive(Debug)]
pub enum Item<M> {
    /// A message.
    Whole(M),
    /// A piece of one.
    Fragment(wire::Fragment),
    /// How many messages of the session have come to the other end.
    Received(u64),
    /// Which session the connection carries.
    Resumption(wire::Resumption),
}

/// The type of a stream's items.
pub trait StreamItem: Message + Default {
    /// The item of the stream that this is.
    fn of_item(item: Item<Self>) -> Self;
    /// What this is.
    fn into_item(self) -> Item<Self>;
}

macro_rules! stream_items {
    ($($message:ident, $kind:ident);*) => {$(
        impl StreamItem for wire::$message {
            fn of_item(item: Item<Self>) -> Self {
                use wire::$kind::Kind;
                let kind = match item {
                    Item::Whole(whole) => return whole,
                    Item::Fragment(fragment) => Kind::Fragment(fragment),
                    Item::Received(count) => Kind::Received(count),
                    Item::Resumption(resumption) => Kind::Resumption(resumption),
                };
                wire::$message { kind: Some(kind) }
            }
            fn into_item(self) -> Item<Self> {
                use wire::$kind::Kind;
                match self.kind {
                    Some(Kind::Fragment(fragment)) => Item::Fragment(fragment),
                    Some(Kind::Received(count)) => Item::Received(count),
                    Some(Kind::Resumption(resumption)) => Item::Resumption(resumption),
                    kind => Item::Whole(wire::$message { kind }),
                }
            }
        }
    )*};
}
stream_items!(ClientMessage, client_message; ClientUpdate, client_update; WorkerMessage, worker_message;
    SchedulerMessage, scheduler_message);

/// The messages that say `value`, in the order in which they must be sent.
///
/// # Errors
/// [`TooLarge`] above [`ASSEMBLED_BYTES_MAX`].
pub fn split<T: Wire>(value: &T) -> Result<Vec<T::Message>, TooLarge>
where
    T::Message: StreamItem,
{
    let message = value.to_wire();
    let bytes = message.encoded_len();
    if bytes > ASSEMBLED_BYTES_MAX {
        return Err(TooLarge { bytes, limit: ASSEMBLED_BYTES_MAX });
    }
    if bytes <= FRAGMENT_BYTES_MAX {
        return Ok(vec![message]);
    }
    let mut encoded = Bytes::from(message.encode_to_vec());
    let mut pieces = Vec::with_capacity(bytes.div_ceil(FRAGMENT_BYTES_MAX));
    while !encoded.is_empty() {
        let data = encoded.split_to(encoded.len().min(FRAGMENT_BYTES_MAX));
        pieces.push(T::Message::of_item(Item::Fragment(wire::Fragment { data, last: encoded.is_empty() })));
    }
    Ok(pieces)
}

/// Puts the messages of one stream together and decodes them.
#[derive(Debug)]
pub struct Assembler<T> {
    buffer: BytesMut,
    of: PhantomData<fn() -> T>,
}

impl<T> Default for Assembler<T> {
    fn default() -> Self {
        Assembler { buffer: BytesMut::new(), of: PhantomData }
    }
}

impl<T: Wire> Assembler<T>
where
    T::Message: StreamItem,
{
    /// Takes the stream's next item and returns the message that is complete with it.
    ///
    /// # Errors
    /// [`DecodeError`] where it makes no sense; the stream is then of no more use.
    pub fn push(&mut self, item: Item<T::Message>) -> Result<Option<T>, DecodeError> {
        let fragment = match item {
            Item::Whole(_) if !self.buffer.is_empty() => {
                let (got, expected) = ("a whole message", "the rest of a cut one");
                return Err(DecodeError::Unexpected { got, expected });
            }
            Item::Whole(whole) => return Ok(Some(T::from_wire(whole)?)),
            Item::Fragment(fragment) => fragment,
            Item::Received(_) | Item::Resumption(_) => {
                let (got, expected) = ("a word on the connection", "a message of the session");
                return Err(DecodeError::Unexpected { got, expected });
            }
        };
        let bytes = self.buffer.len().saturating_add(fragment.data.len());
        if bytes > ASSEMBLED_BYTES_MAX {
            let (got, limit) = (bytes as u64, ASSEMBLED_BYTES_MAX as u64);
            return Err(DecodeError::TooLarge { what: "bytes of a message", got, limit });
        }
        self.buffer.extend_from_slice(&fragment.data);
        if !fragment.last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.buffer).freeze();
        Ok(Some(T::from_wire(T::Message::decode(whole)?)?))
    }
}

/// What comes out at the other end when `value` is sent: encoded, cut, put together and decoded.
///
/// # Errors
/// [`DecodeError`] where it does not arrive.
pub fn through_wire<T: Wire>(value: &T) -> Result<T, DecodeError>
where
    T::Message: StreamItem,
{
    let too_large = |e: TooLarge| DecodeError::TooLarge {
        what: "bytes of a message",
        got: e.bytes as u64,
        limit: e.limit as u64,
    };
    let mut assembler = Assembler::<T>::default();
    for message in split(value).map_err(too_large)? {
        let received = T::Message::decode(message.encode_to_vec().as_slice())?;
        if let Some(value) = assembler.push(received.into_item())? {
            return Ok(value);
        }
    }
    Err(DecodeError::Missing("the end of a cut message"))
}
