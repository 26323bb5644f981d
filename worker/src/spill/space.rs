//! What a worker may have on its disk: one directory and one count, of chunks and of what tasks put there by themselves.
//!
//! Owns the count. Must not know what is written, nor why.

use super::place::Room;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tilework_plan::quantities::bytes;

/// The disk of a worker. Shared by all that writes there.
#[derive(Debug)]
pub struct SpillSpace {
    room: Room,
    used_bytes: AtomicU64,
}

/// There may be no more on the disk.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{} were to be written to {}, where {} of the {} that may be there are taken",
    bytes(*asked_bytes), dir.display(), bytes(*used_bytes), bytes(*limit_bytes)
)]
pub struct SpaceFull {
    /// The directory.
    pub dir: PathBuf,
    /// Bytes that are there.
    pub used_bytes: u64,
    /// Bytes that may be there.
    pub limit_bytes: u64,
    /// Bytes that were to come.
    pub asked_bytes: u64,
}

impl From<SpaceFull> for io::Error {
    fn from(error: SpaceFull) -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, error)
    }
}

impl SpillSpace {
    pub(crate) fn new(room: Room) -> SpillSpace {
        SpillSpace { room, used_bytes: AtomicU64::new(0) }
    }

    /// Where files go. They have no names there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.room.dir
    }

    /// Bytes that may be there.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.room.bytes
    }

    /// Bytes that are there.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, which are then given back one day.
    ///
    /// # Errors
    /// [`SpaceFull`] where there may not be so many more.
    pub fn take(&self, asked_bytes: u64) -> Result<(), SpaceFull> {
        let limit_bytes = self.room.bytes;
        let more = |used: u64| used.checked_add(asked_bytes).filter(|bytes| *bytes <= limit_bytes);
        let taken = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|used_bytes| {
            let dir = self.room.dir.clone();
            SpaceFull { dir, used_bytes, limit_bytes, asked_bytes }
        })
    }

    /// Gives so many bytes back.
    pub fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_writes_finds_what_others_have_written() {
        let space = SpillSpace::new(Room { dir: "/spill".into(), bytes: 100 });
        space.take(60).unwrap();
        let full = space.take(41).unwrap_err();
        assert_eq!((full.used_bytes, full.limit_bytes, full.asked_bytes), (60, 100, 41));
        let text = full.to_string();
        assert!(
            text.contains("41 B") && text.contains("/spill") && text.contains("60 B of the 100 B"),
            "{text}"
        );
        space.take(40).unwrap();
        space.give_back(60);
        assert_eq!(space.used_bytes(), 40);
        assert_eq!(io::Error::from(full).kind(), io::ErrorKind::StorageFull);
    }
}
