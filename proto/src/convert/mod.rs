//! Wire to domain and back. Decoding validates: what it returns may be indexed, allocated and planned without
//! further checks, and no bytes make it panic.
//!
//! Owns [`Wire`] and [`DecodeError`]. Must not know streams.

mod blocks;
mod inlined;
mod kernel;
mod names;
mod program;
mod report;
mod state;
mod stream;
mod task;
mod update;

use crate::limits::{ADDRESSES_MAX, DETAIL_BYTES_MAX, TEXT_BYTES_MAX};
use prost::Message;
use tilework_expr::{DType, ExprError};
use tilework_plan::{TAG_IN_WORDS, TAGS_MAX, Tags, is_tag};

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are no protobuf message of the kind.
    #[error("malformed message: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Something that every such message has is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A code that stands for nothing.
    #[error("{what}: got code {got}, expected one below {codes}")]
    Code {
        /// What it should stand for.
        what: &'static str,
        /// The code.
        got: u64,
        /// How many codes there are.
        codes: usize,
    },
    /// A number, a count or a length that is too large.
    #[error("{what}: got {got}, expected at most {limit}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// Given.
        got: u64,
        /// Allowed.
        limit: u64,
    },
    /// A value that contradicts another one.
    #[error("{what}: {why}")]
    Invalid {
        /// Which.
        what: &'static str,
        /// Got and expected.
        why: String,
    },
    /// A program that breaks a rule of programs.
    #[error(transparent)]
    Program(#[from] ExprError),
    /// A message of this kind has no place here.
    #[error("got {got}, expected {expected}")]
    Unexpected {
        /// Its kind.
        got: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
}

/// A domain type that travels.
pub trait Wire: Sized {
    /// Its generated type.
    type Message: Message + Default;

    /// The message that says it.
    fn to_wire(&self) -> Self::Message;

    /// What the message says.
    ///
    /// # Errors
    /// [`DecodeError`] where it says nothing that makes sense.
    fn from_wire(message: Self::Message) -> Result<Self, DecodeError>;
}

/// The bytes that say `value`.
#[must_use]
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    value.to_wire().encode_to_vec()
}

/// How many bytes say `value`.
#[must_use]
pub fn encoded_len<T: Wire>(value: &T) -> usize {
    value.to_wire().encoded_len()
}

/// What the bytes say.
///
/// ```
/// use tilework_plan::JobError;
///
/// let bytes = tilework_proto::encode(&JobError::Program("it is empty".into()));
/// let error = tilework_proto::decode::<JobError>(&bytes).unwrap();
/// assert_eq!(error.to_string(), "the program was refused: it is empty");
/// ```
///
/// # Errors
/// [`DecodeError`] where they say nothing that makes sense.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::from_wire(T::Message::decode(bytes)?)
}

/// What a field that must be there says.
fn required<T: Wire>(field: Option<T::Message>, name: &'static str) -> Result<T, DecodeError> {
    T::from_wire(field.ok_or(DecodeError::Missing(name))?)
}

fn all_to_wire<T: Wire>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(Wire::to_wire).collect()
}

fn all_from_wire<T: Wire>(messages: Vec<T::Message>) -> Result<Vec<T>, DecodeError> {
    messages.into_iter().map(T::from_wire).collect()
}

fn bounded(what: &'static str, got: usize, limit: usize) -> Result<(), DecodeError> {
    if got > limit {
        return Err(DecodeError::TooLarge { what, got: got as u64, limit: limit as u64 });
    }
    Ok(())
}

fn text(what: &'static str, given: String) -> Result<String, DecodeError> {
    bounded(what, given.len(), TEXT_BYTES_MAX)?;
    Ok(given)
}

/// An error as bytes, as only those read it who know the work.
fn detail(given: bytes::Bytes) -> Result<Vec<u8>, DecodeError> {
    bounded("an error as bytes", given.len(), DETAIL_BYTES_MAX)?;
    Ok(given.into())
}

/// The text of an error, cut to what is accepted on the other side.
fn cut(given: &str) -> String {
    let mut end = given.len().min(TEXT_BYTES_MAX);
    while !given.is_char_boundary(end) {
        end -= 1;
    }
    given[..end].to_owned()
}

fn addresses(given: Vec<String>) -> Result<Vec<String>, DecodeError> {
    bounded("addresses", given.len(), ADDRESSES_MAX)?;
    given.into_iter().map(|a| text("address", a)).collect()
}

fn tags(given: Vec<String>) -> Result<Tags, DecodeError> {
    bounded("tags", given.len(), TAGS_MAX)?;
    let tag = |text: String| match is_tag(&text) {
        true => Ok(text.into()),
        false => Err(DecodeError::Invalid { what: "tag", why: format!("{text:?}, expected {TAG_IN_WORDS}") }),
    };
    given.into_iter().map(tag).collect()
}

fn position(what: &'static str, given: u64) -> Result<usize, DecodeError> {
    let limit = isize::MAX as u64;
    if given > limit {
        return Err(DecodeError::TooLarge { what, got: given, limit });
    }
    Ok(given as usize)
}

/// The entry of a closed list that a code stands for.
fn of_code<T: Copy>(what: &'static str, all: &[T], code: u32) -> Result<T, DecodeError> {
    all.get(code as usize).copied().ok_or(DecodeError::Code { what, got: u64::from(code), codes: all.len() })
}

pub(crate) fn dtype(code: u32) -> Result<DType, DecodeError> {
    of_code("element type", &DType::ALL, code)
}
