//! Internal to tilework: wire messages, the only place where wire and domain meet, and the two ends of an open
//! connection.
//!
//! Owns the generated types ([`wire`]), their conversion to and from the domain ([`convert`]), what travels on each
//! stream ([`message`]), how large messages are cut ([`fragment`]), what is remembered of a session for the case that its
//! connection breaks ([`replay`]) and the bounded queues that every transport
//! hands out ([`session`]). Must not know sockets, stores or decisions: generated types stay in here and in the
//! services' signatures.

#[cfg(feature = "wire")]
pub mod convert;
#[cfg(feature = "wire")]
pub mod fragment;
pub mod inlined;
pub mod limits;
pub mod message;
pub mod names;
#[cfg(feature = "wire")]
pub mod pump;
pub mod replay;
#[cfg(feature = "wire")]
pub mod resume;
pub mod session;

/// The generated types, clients and servers of `proto/tilework/v1/*.proto`.
#[cfg(feature = "wire")]
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[allow(clippy::missing_errors_doc, clippy::too_many_lines, reason = "generated")]
pub mod wire {
    include!("gen/tilework.v1.rs");
}

#[cfg(feature = "wire")]
pub use convert::{DecodeError, Wire, decode, encode, encoded_len};
#[cfg(feature = "wire")]
pub use fragment::{Assembler, split};
pub use inlined::Inlined;
pub use limits::TooLarge;
pub use message::{FromClient, FromWorker, ToClient, ToWorker};
pub use names::{NameAnswer, NameError, NameRequest, Named};
pub use session::{ClientLink, ClientSession, LinkError, WorkerLink, WorkerSession};
