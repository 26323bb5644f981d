//! A directory that is filled beside its place by any number of writers, and takes the place when all have done.
//!
//! Its container, which one process makes and keeps locked, holds `new`, the directory, and `parts`, for files that are not
//! finished. Where something is in the place, the two directories are exchanged, which is one step; where that cannot be,
//! the old one is moved to `old` first. Whoever finds a container whose process has ended clears it, and finishes an
//! exchange that was interrupted.
//!
//! Owns these steps. Must not know what is written.

use crate::beside::{self, LOCK, to_free_place};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const NEW: &str = "new";
const OLD: &str = "old";
const PARTS: &str = "parts";
/// How often the removal of a container is tried that others may still write to.
const REMOVALS_MAX: usize = 8;

/// A directory that is being written beside its place. Dropped without [`finish`](StagedDir::finish) it leaves what was
/// there.
#[derive(Debug)]
pub struct StagedDir {
    target: PathBuf,
    container: PathBuf,
    _lock: File,
}

impl StagedDir {
    /// Begins one, and clears what earlier writers of the same place left behind.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a path without a name; what the file system says.
    ///
    /// ```
    /// use tilework_formats::StagedDir;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let target = dir.path().join("table");
    /// let staged = StagedDir::begin(&target)?;
    /// std::fs::write(staged.path().join("part-0"), "rows")?;
    /// assert!(!target.exists());
    /// staged.finish(false)?;
    /// assert_eq!(std::fs::read_to_string(target.join("part-0"))?, "rows");
    /// assert_eq!(std::fs::read_dir(dir.path())?.count(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn begin(target: &Path) -> io::Result<StagedDir> {
        let target = std::path::absolute(target)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        for left in beside::written_beside(parent, name) {
            recover(&left, &target);
        }
        let process = format!("process {} of this host, which keeps this file locked.\n", std::process::id());
        let (container, lock) = beside::create_dir(parent, name, &beside::about(&target, &process))?;
        let staged = StagedDir { target, container, _lock: lock };
        fs::create_dir(staged.container.join(NEW))?;
        fs::create_dir(staged.container.join(PARTS))?;
        Ok(staged)
    }

    /// The directory, for whoever writes to it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.container.join(NEW)
    }

    /// Where files are written that will be renamed to their names in [`path`](StagedDir::path): so nobody finds half of one
    /// there.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.container.join(PARTS)
    }

    /// Puts the directory in its place: a reader finds what was there before, or the whole new one.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] where something is there and is not to be replaced; what the file system says.
    pub fn finish(self, overwrite: bool) -> io::Result<()> {
        // What is there is removed then: let the new data be on the disk first.
        rustix::fs::syncfs(File::open(&self.container)?)?;
        let (new, target) = (self.path(), &self.target);
        match to_free_place(&new, target) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && overwrite => self.replace()?,
            placed => placed?,
        }
        File::open(target.parent().unwrap_or(target))?.sync_all()
    }

    /// Puts one file of the directory in its place, as [`finish`](StagedDir::finish) does the directory.
    ///
    /// # Errors
    /// As there.
    pub fn finish_only(self, file: impl AsRef<Path>, overwrite: bool) -> io::Result<()> {
        let (new, target) = (self.path().join(file), &self.target);
        File::open(&new)?.sync_all()?;
        if overwrite {
            match fs::rename(&new, target) {
                Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
                    fs::rename(target, self.container.join(OLD))?;
                    to_free_place(&new, target)?;
                }
                renamed => renamed?,
            }
        } else {
            to_free_place(&new, target)?;
        }
        File::open(target.parent().unwrap_or(target))?.sync_all()
    }

    fn replace(&self) -> io::Result<()> {
        let (new, target) = (self.path(), &self.target);
        if renameat_with(CWD, &new, CWD, target, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
        fs::rename(target, self.container.join(OLD))?;
        to_free_place(&new, target)
    }
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        // What is left now is cleared by the next writer.
        let _ = remove(&self.container);
    }
}

/// Finishes or clears what an earlier writer of a place left behind.
fn recover(container: &Path, target: &Path) {
    if !container.is_dir() {
        return;
    }
    let (lock, pulse) = (container.join(LOCK), container.join(PARTS));
    let Some(_ours) = beside::abandoned(container, &lock, &pulse) else { return };
    // It was moved away, and what takes its place was complete.
    if container.join(OLD).exists() && to_free_place(&container.join(NEW), target).is_err() {
        let _ = to_free_place(&container.join(OLD), target);
    }
    let _ = remove(container);
}

/// Removes a container. Tasks that have not heard of its end may still make files in it.
fn remove(container: &Path) -> io::Result<()> {
    let mut removed = Ok(());
    for _ in 0..REMOVALS_MAX {
        removed = fs::remove_dir_all(container);
        match &removed {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            _ => break,
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        entries.collect()
    }

    #[test]
    fn what_is_there_is_replaced_when_that_is_said_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        for (text, overwrite) in [("one", false), ("two", true)] {
            let staged = StagedDir::begin(&target).unwrap();
            fs::write(staged.path().join("part"), text).unwrap();
            staged.finish(overwrite).unwrap();
            assert_eq!(fs::read_to_string(target.join("part")).unwrap(), text);
        }
        let staged = StagedDir::begin(&target).unwrap();
        fs::write(staged.path().join("part"), "three").unwrap();
        assert_eq!(staged.finish(false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(target.join("part")).unwrap(), "two");
        drop(StagedDir::begin(&target).unwrap());
        assert_eq!(names(dir.path()), ["t"]);
        let staged = StagedDir::begin(&dir.path().join("one")).unwrap();
        fs::write(staged.path().join("x"), "rows").unwrap();
        staged.finish_only("x", false).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("one")).unwrap(), "rows");
        let again = StagedDir::begin(&dir.path().join("one")).unwrap();
        fs::write(again.path().join("x"), "others").unwrap();
        assert_eq!(again.finish_only("x", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        // A file is replaced as a directory is.
        let file = dir.path().join("f");
        fs::write(&file, "old").unwrap();
        StagedDir::begin(&file).unwrap().finish(true).unwrap();
        assert!(file.is_dir());
    }

    #[test]
    fn what_a_writer_that_died_left_is_cleared_by_the_next_one_of_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        let left = |target: &Path, what: &[&str]| {
            let staged = StagedDir::begin(target).unwrap();
            for what in what {
                fs::create_dir_all(staged.container.join(what)).unwrap();
            }
            let container = staged.container.clone();
            // Its process ends: the lock goes, and nothing is removed.
            let StagedDir { .. } = &staged;
            let lock = staged._lock.try_clone().unwrap();
            std::mem::forget(staged);
            lock.unlock().unwrap();
            container
        };
        let dead = left(&target, &[]);
        // Another place's is let be, and so is one whose writer lives.
        let other = left(&dir.path().join("other"), &[]);
        let lives = StagedDir::begin(&target).unwrap();
        assert!(!dead.exists() && other.exists());
        drop(StagedDir::begin(&target).unwrap());
        assert!(lives.path().is_dir());
        drop(lives);
        // One that was interrupted between its two moves.
        left(&target, &["old/was", "new/is"]);
        drop(StagedDir::begin(&target).unwrap());
        assert_eq!(names(&target), ["is"]);
    }
}
