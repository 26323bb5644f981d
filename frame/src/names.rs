//! Names of files and objects that tables are read from and written to: which ones are looked at, and those that nobody else
//! has. Must not know where they are.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// What a pattern has in it that a name has not.
pub(crate) const GLOB: [char; 3] = ['*', '?', '['];

/// Whether a file of this name is of a kind, compressed or not.
pub(crate) fn ends(name: &str, ending: &str) -> bool {
    name.trim_end_matches(".gz").ends_with(ending)
}

/// Whether who looks for files leaves this name out. A directory of values of a column may begin as the column does.
pub(crate) fn is_hidden(name: &str, is_dir: bool) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !(is_dir && name.contains('=')))
}

/// A number that no other writer, and no other attempt of a task, has.
pub(crate) fn unique() -> u64 {
    RandomState::new().hash_one((std::process::id(), SystemTime::now()))
}
