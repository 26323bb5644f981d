//! In the place of `role`, in builds without the feature `cluster`: no process can be a worker of a cluster.

use crate::error::Result;

/// Does nothing: a program without the feature `cluster` is never started to be a worker.
pub fn init() {}

/// Nothing takes roles here.
#[allow(clippy::unnecessary_wraps, reason = "with the feature `cluster` it may fail")]
pub(crate) fn is_ours() -> Result<()> {
    Ok(())
}
