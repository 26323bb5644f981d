//! Objects of stores, `s3://bucket/key`, as files of tables: which ones an URL means, read as they were when they were
//! found, and written so that nobody sees half of one. Plans name them by URLs; each process opens stores by its own
//! environment. Must not know formats, nor how queries are planned.

mod door;
mod found;
mod pinned;
mod reader;
mod refused;
mod stores;
mod target;
mod upload;
mod wire;

pub(crate) use door::Door;
pub(crate) use found::{found, found_below};
pub(crate) use pinned::{Pin, Pinned, PinnedExec, Pins, pinned};
pub(crate) use reader::ObjectReader;
pub(crate) use refused::Refused;
pub(crate) use stores::Stores;
pub(crate) use target::ObjectTarget;
pub(crate) use upload::Upload;
pub(crate) use wire::PinnedNode;

use datafusion::object_store::ObjectMeta;

/// An object, as it was when it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub url: String,
    /// Where it is in its store, and what it was.
    pub meta: ObjectMeta,
}
