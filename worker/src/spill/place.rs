//! Where chunks may be written, and how many bytes of them.
//!
//! Owns the choice of the directory and what is said of a bad one. Must not know chunks.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Of the space that is free, what is left to others, as a part.
const LEFT_PART: u64 = 10;
/// Directories that are tried where none is named: those of variables, then this one.
const VARIABLES: [&str; 2] = ["SLURM_TMPDIR", "TMPDIR"];
const DEFAULT: &str = "/tmp";

/// Whether, where and how much a worker may write to a disk where memory does not hold its chunks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spill {
    /// The directory; `$SLURM_TMPDIR`, `$TMPDIR` or `/tmp` where absent.
    pub dir: Option<PathBuf>,
    /// Bytes at most, 0 for nothing; nine tenths of what is free there at the start where absent.
    pub limit: Option<u64>,
}

/// Why a worker cannot write where it was told to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write chunks to {}: {source}", dir.display())]
pub struct SpillError {
    /// The directory.
    pub dir: PathBuf,
    /// The cause.
    pub source: io::Error,
}

/// A directory that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    pub dir: PathBuf,
    /// Bytes at most.
    pub bytes: u64,
}

impl Room {
    /// What went wrong there.
    pub fn in_words(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.dir.display())
    }
}

/// Kinds of file systems that are no disk of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Disk,
    Memory,
    Network(&'static str),
}

/// Finds where chunks may go; nowhere where that is not wished, or where there is only memory.
///
/// # Errors
/// Where a directory was named and cannot be used. One that was not named is passed over, with a warning.
pub(crate) fn open(spill: &Spill) -> Result<Option<Room>, SpillError> {
    if spill.limit == Some(0) {
        return Ok(None);
    }
    if let Some(dir) = &spill.dir {
        let (kind, free) = try_out(dir).map_err(|source| SpillError { dir: dir.clone(), source })?;
        match kind {
            Kind::Disk => {}
            Kind::Memory => {
                tracing::warn!(dir = %dir.display(), "chunks that leave memory go to a file system in memory")
            }
            Kind::Network(name) => {
                tracing::warn!(dir = %dir.display(), "chunks that leave memory go over the network ({name}): name a local disk");
            }
        }
        return Ok(Some(Room { dir: dir.clone(), bytes: spill.limit.unwrap_or(free - free / LEFT_PART) }));
    }
    let named = VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    for dir in named.chain([PathBuf::from(DEFAULT)]) {
        match try_out(&dir) {
            Ok((Kind::Disk, free)) => {
                return Ok(Some(Room { dir, bytes: spill.limit.unwrap_or(free - free / LEFT_PART) }));
            }
            Ok((kind, _)) => tracing::debug!(dir = %dir.display(), ?kind, "not taken for chunks"),
            Err(error) => tracing::warn!(dir = %dir.display(), %error, "chunks cannot be written there"),
        }
    }
    Ok(None)
}

/// What kind of file system it is and the bytes free there, if files can be made.
fn try_out(dir: &Path) -> io::Result<(Kind, u64)> {
    let file = tempfile::tempfile_in(dir)?;
    let free = rustix::fs::fstatvfs(&file)?;
    Ok((kind_of(&file)?, free.f_bavail.saturating_mul(free.f_frsize)))
}

#[cfg(target_os = "linux")]
fn kind_of(file: &File) -> io::Result<Kind> {
    Ok(match rustix::fs::fstatfs(file)?.f_type as u32 {
        // The numbers are those of statfs(2) and of the file systems' own headers.
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        0x0000_6969 => Kind::Network("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x0000_517b => Kind::Network("SMB"),
        0x0bd0_0bd0 => Kind::Network("Lustre"),
        0x4750_4653 => Kind::Network("GPFS"),
        0x1983_0326 => Kind::Network("BeeGFS"),
        0x00c3_6400 => Kind::Network("Ceph"),
        _ => Kind::Disk,
    })
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_: &File) -> io::Result<Kind> {
    Ok(Kind::Disk)
}

/// Gives the space of a part of a file back, where the file system can; else it goes with the file.
pub(crate) fn give_back(file: &File, start: u64, bytes: u64) {
    #[cfg(target_os = "linux")]
    if bytes > 0 {
        use rustix::fs::FallocateFlags;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Err: it cannot.
        let _ = rustix::fs::fallocate(file, flags, start, bytes);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |dir: PathBuf| Spill { dir: Some(dir), limit: None };
        let missing = open(&at(dir.path().join("missing"))).unwrap_err().to_string();
        assert!(missing.contains("missing: No such file or directory"), "{missing}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(open(&at(file)).unwrap_err().to_string().contains("Not a directory"));
        let room = open(&at(dir.path().to_owned())).unwrap().unwrap();
        assert!(room.bytes > 0);
        let some = Spill { limit: Some(1000), ..at(dir.path().to_owned()) };
        assert_eq!(open(&some).unwrap().unwrap().bytes, 1000);
        assert_eq!(open(&Spill { limit: Some(0), ..some }).unwrap(), None);
    }
}
