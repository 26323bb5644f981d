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

/// A message of a stream: whole, or a fragment of one.
pub trait Fragmented: Message + Default {
    /// The message that is this fragment.
    fn of_fragment(fragment: wire::Fragment) -> Self;
    /// The fragment that this message is, or the message that it is in whole.
    ///
    /// # Errors
    /// The message itself, where it is whole.
    fn into_fragment(self) -> Result<wire::Fragment, Self>;
}

macro_rules! fragmented {
    ($($message:ident, $kind:ident);*) => {$(
        impl Fragmented for wire::$message {
            fn of_fragment(fragment: wire::Fragment) -> Self {
                wire::$message { kind: Some(wire::$kind::Kind::Fragment(fragment)) }
            }
            fn into_fragment(self) -> Result<wire::Fragment, Self> {
                match self.kind {
                    Some(wire::$kind::Kind::Fragment(fragment)) => Ok(fragment),
                    kind => Err(wire::$message { kind }),
                }
            }
        }
    )*};
}
fragmented!(ClientMessage, client_message; ClientUpdate, client_update; WorkerMessage, worker_message;
    SchedulerMessage, scheduler_message);

/// The messages that say `value`, in the order in which they must be sent.
///
/// # Errors
/// [`TooLarge`] above [`ASSEMBLED_BYTES_MAX`].
pub fn split<T: Wire>(value: &T) -> Result<Vec<T::Message>, TooLarge>
where
    T::Message: Fragmented,
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
        pieces.push(T::Message::of_fragment(wire::Fragment { data, last: encoded.is_empty() }));
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
    T::Message: Fragmented,
{
    /// Takes the stream's next message and returns what is complete with it.
    ///
    /// # Errors
    /// [`DecodeError`] where it makes no sense; the stream is then of no more use.
    pub fn push(&mut self, message: T::Message) -> Result<Option<T>, DecodeError> {
        match message.into_fragment() {
            Err(_) if !self.buffer.is_empty() => {
                Err(DecodeError::Unexpected { got: "a whole message", expected: "the rest of a cut one" })
            }
            Err(whole) => Ok(Some(T::from_wire(whole)?)),
            Ok(fragment) => {
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
    }
}

/// What comes out at the other end when `value` is sent: encoded, cut, put together and decoded.
///
/// # Errors
/// [`DecodeError`] where it does not arrive.
pub fn through_wire<T: Wire>(value: &T) -> Result<T, DecodeError>
where
    T::Message: Fragmented,
{
    let too_large = |e: TooLarge| DecodeError::TooLarge {
        what: "bytes of a message",
        got: e.bytes as u64,
        limit: e.limit as u64,
    };
    let mut assembler = Assembler::<T>::default();
    for message in split(value).map_err(too_large)? {
        let received = T::Message::decode(message.encode_to_vec().as_slice())?;
        if let Some(value) = assembler.push(received)? {
            return Ok(value);
        }
    }
    Err(DecodeError::Missing("the end of a cut message"))
}
