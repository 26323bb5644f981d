//! The limits of what travels, each with its unit. Nothing here depends on anything.

/// A message is larger than what may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message of {bytes} bytes is above the limit of {limit}")]
pub struct TooLarge {
    /// Its bytes.
    pub bytes: usize,
    /// What is allowed.
    pub limit: usize,
}

/// The largest message on a stream, in bytes: tonic's default. Larger ones are cut into fragments.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// The largest piece of a message that is cut, in bytes.
pub const FRAGMENT_BYTES_MAX: usize = 1 << 20;
/// The largest message that is put together from fragments, in bytes.
pub const ASSEMBLED_BYTES_MAX: usize = 64 << 20;
/// The most nodes of a program.
pub const NODES_MAX: usize = 1 << 20;
/// The most positions of an axis that are listed one by one.
pub const POSITIONS_MAX: usize = 1 << 24;
/// The most chunks of a grid.
pub const CHUNKS_MAX: u64 = 1 << 48;
/// The longest text (a path, an error, a name), in bytes. Longer messages of errors are cut when they are sent.
pub const TEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of an error as those read it who know the work.
pub const DETAIL_BYTES_MAX: usize = 64 << 10;
/// The most addresses of a worker.
pub const ADDRESSES_MAX: usize = 64;
/// Ranges of results that a client lets go of with one message.
pub const LET_GO_MAX: usize = 4096;
/// The most planes of a chunk.
pub const PLANES_MAX: usize = 8;
/// The largest hand-framed message of a chunk's transfer, in bytes.
pub const PIECE_BYTES_MAX: usize = 1 << 20;
