//! What the environment says of the workers that a session starts by itself: their memory, where chunks go that it does not
//! hold, and what they have that some tasks need.
//!
//! Owns the names of the variables. Must not know workers.

use crate::error::{Error, Result};
use std::path::PathBuf;
use tilework_plan::quantities::bytes_in;
use tilework_plan::{TAG_IN_WORDS, Tags, tags_of};
use tilework_worker::Spill;

/// Bytes that each worker's chunks and tasks may take.
const MEMORY: &str = "TILEWORK_MEMORY";
/// The directory for chunks that memory does not hold.
const SPILL_DIR: &str = "TILEWORK_SPILL_DIR";
/// Bytes of chunks of each worker that may be there.
const SPILL_LIMIT: &str = "TILEWORK_SPILL_LIMIT";

/// What workers have that some tasks need.
const TAGS: &str = "TILEWORK_TAGS";

fn size(name: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let bytes = text.to_str().and_then(bytes_in);
    let wrong = || Error::setting(name, text.display(), "a size as in 4GiB");
    bytes.ok_or_else(wrong).map(Some)
}

/// The memory of each worker, where the environment says it.
pub(super) fn memory_bytes() -> Result<Option<u64>> {
    match size(MEMORY)? {
        Some(0) => Err(Error::setting(MEMORY, 0, "a size as in 4GiB")),
        bytes => Ok(bytes),
    }
}

/// Where each worker's chunks go that memory does not hold.
pub(super) fn spill() -> Result<Spill> {
    let dir = std::env::var_os(SPILL_DIR).filter(|dir| !dir.is_empty());
    Ok(Spill { dir: dir.map(PathBuf::from), limit: size(SPILL_LIMIT)? })
}

/// A list of tags that is none.
pub(super) fn wrong_tags(name: &str, list: impl std::fmt::Display) -> Error {
    Error::setting(name, list, format!("a list as in gpu,big: {TAG_IN_WORDS}"))
}

/// The tags of all workers.
pub(super) fn tags() -> Result<Tags> {
    let list = std::env::var_os(TAGS).unwrap_or_default();
    list.to_str().and_then(tags_of).ok_or_else(|| wrong_tags(TAGS, list.display()))
}
