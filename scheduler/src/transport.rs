//! How messages go between the scheduler and the sessions of its process.
//!
//! Owns the choice. Must not know which messages there are.

use tilework_expr::Program;

/// How messages go between the scheduler and the sessions of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// As they are.
    #[default]
    Direct,
    /// Encoded, cut, put together and decoded, as over a network: for tests.
    #[cfg(feature = "grpc")]
    Encoded,
}

#[cfg(feature = "grpc")]
impl Transport {
    /// The message as it arrives.
    pub(crate) fn carry<T>(self, message: T) -> Result<T, String>
    where
        T: tilework_proto::Wire<Message: tilework_proto::fragment::StreamItem>,
    {
        match self {
            Transport::Direct => Ok(message),
            Transport::Encoded => tilework_proto::fragment::through_wire(&message).map_err(|e| e.to_string()),
        }
    }

    /// What tells the bytes of a program, where it is encoded.
    pub(crate) fn encoded_len(self) -> Option<fn(&Program) -> usize> {
        (self == Transport::Encoded).then_some(tilework_proto::encoded_len::<Program>)
    }
}

/// Without the encoding.
#[cfg(not(feature = "grpc"))]
impl Transport {
    pub(crate) fn carry<T>(self, message: T) -> Result<T, String> {
        Ok(message)
    }

    pub(crate) fn encoded_len(self) -> Option<fn(&Program) -> usize> {
        None
    }
}
