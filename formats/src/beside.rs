//! What is written beside its target until it is complete, and takes its place then.
//!
//! Until then it is called `.NAME.tilework-HOST-ID`, where `NAME` is the target's name. Its writer keeps a file of it
//! locked for as long as it lives; the system takes the lock back when the process ends, however it ends. So the next
//! writer of the same target finds what was left behind and can tell it from what is still being written, where
//! process numbers repeat too. A lock of another host may be invisible here: what bears another host's name, or
//! cannot be locked at all, counts as left behind once nothing in it has changed for a day.
//!
//! Owns these names, locks and ages. Must not know formats.

use crate::file::NONBLOCK;
#[cfg(feature = "zarr")]
use crate::file::{self, Found};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Between the target's name and the writer's.
const MARK: &str = ".tilework-";
/// Longer names are shortened, for file names have 255 bytes at most.
const NAME_BYTES_MAX: usize = 150;
/// The most bytes of a host's name within a name.
const HOST_BYTES_MAX: usize = 64;
/// Without a lock that can be relied on, what has not changed for so long has no writer any more.
pub(crate) const QUIET_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The most bytes of the text of a lock that are read.
#[cfg(feature = "zarr")]
const ABOUT_BYTES_MAX: u64 = 16 * 1024;
/// How often a new name is tried where somebody else is at the same one.
const TRIES_MAX: usize = 16;

/// The start of the names of all that is written beside `name`.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    if name.len() <= NAME_BYTES_MAX {
        prefix.push(name);
    } else {
        prefix.push(format!("{:08x}", crc32fast::hash(name.as_bytes())));
    }
    prefix.push(MARK);
    prefix
}

/// This host's name as it stands in a file's name.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let plain = host.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' });
        plain.take(HOST_BYTES_MAX).collect()
    })
}

/// Digits that nobody else has.
pub(crate) fn unique() -> String {
    // Random keys of this process, which a child that was forked has too, and a number that changes with each call.
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let call = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{:016x}", KEYS.get_or_init(RandomState::new).hash_one(call))
}

/// A name for something new beside `name` that nobody else has.
pub(crate) fn fresh(name: &OsStr) -> OsString {
    let mut fresh = prefix(name);
    fresh.push(format!("{}-{}", host(), unique()));
    fresh
}

/// All that is written, or was left, beside `name` in `dir`. None where the directory cannot be read.
pub(crate) fn written_beside(dir: &Path, name: &OsStr) -> Vec<PathBuf> {
    let prefix = prefix(name);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let ours = entries.filter(|e| e.file_name().as_bytes().starts_with(prefix.as_bytes()));
    ours.map(|e| e.path()).collect()
}

/// The part of a path that is, or leads into, something that is being written.
pub(crate) fn unfinished(path: &Path) -> Option<PathBuf> {
    let mut part = PathBuf::new();
    for component in path.components() {
        part.push(component);
        if let Component::Normal(name) = component
            && name.as_bytes().starts_with(b".")
            && name.as_bytes().windows(MARK.len()).any(|w| w == MARK.as_bytes())
        {
            return Some(part);
        }
    }
    None
}

/// Locks a file for its writer. Where the file system has no locks it goes without; where another one was faster to
/// take it for left behind, the file is that one's.
fn claim(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(false),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file.metadata()?.nlink() > 0),
    }
}

/// Makes a locked file at a fresh name beside `path`.
pub(crate) fn create_file(path: &Path) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    for _ in 0..TRIES_MAX {
        let at = path.with_file_name(fresh(name));
        let file = OpenOptions::new().write(true).create_new(true).open(&at)?;
        if claim(&file)? {
            return Ok((at, file));
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "every new file was taken for one left behind"))
}

/// Makes a directory at a fresh name in `dir`, for what will be `name`, with a locked file `lock` in it that says
/// `about`.
pub(crate) fn create_dir(dir: &Path, name: &OsStr, about: &str) -> io::Result<(PathBuf, File)> {
    for _ in 0..TRIES_MAX {
        let at = dir.join(fresh(name));
        fs::create_dir(&at)?;
        let lock = OpenOptions::new().write(true).create_new(true).open(at.join(LOCK));
        if let Ok(lock) = &lock
            && claim(lock)?
        {
            io::Write::write_all(&mut { lock }, about.as_bytes())?;
            return Ok((at, lock.try_clone()?));
        }
        if let Err(error) = lock
            && error.kind() != io::ErrorKind::NotFound
        {
            let _ = fs::remove_dir(&at);
            return Err(error);
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "every new directory was taken for one left behind"))
}

/// Renames `from` to a place that is free, or says [`io::ErrorKind::AlreadyExists`].
pub(crate) fn to_free_place(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            // No such rename here. A directory takes the place of an empty one alone.
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to).map_err(|e| match e.kind() {
                io::ErrorKind::DirectoryNotEmpty => io::ErrorKind::AlreadyExists.into(),
                _ => e,
            })
        }
        renamed => renamed.map_err(io::Error::from),
    }
}

/// Gives what takes a place the mode and the owner of what had it, as far as this process may.
pub(crate) fn keep_attributes(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    let mut mode = old.mode() & 0o7777;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        // Another user's: what is granted to its owner and group is not to be ours by surprise.
        let _ = fchown(file, None, Some(old.gid()));
        mode &= 0o777;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// The file within a directory that its writer keeps locked.
pub(crate) const LOCK: &str = "lock";

/// Between the target and who writes it, in the text of a lock.
const ABOUT: &str = "` is being written here by ";

/// The text of a lock: what is written, and by whom.
pub(crate) fn about(target: &Path, by: &str) -> String {
    format!("`{}{ABOUT}{by}", target.display())
}

/// What is written at a path that is, or leads into, a directory that is being written: its target, for people.
#[cfg(feature = "zarr")]
pub(crate) fn target_of(path: &Path) -> Option<PathBuf> {
    let lock = unfinished(path)?.join(LOCK);
    let Found::File(file, _) = file::open(&lock).ok()? else { return None };
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, ABOUT_BYTES_MAX), &mut text).ok()?;
    Some(text.strip_prefix('`')?.split_once(ABOUT)?.0.into())
}

/// The right to clear something that was left behind, as long as it lives.
#[derive(Debug)]
pub(crate) struct Abandoned {
    _lock: Option<File>,
}

/// Whether nobody writes `at` any more: `lock` is the file that its writer would hold, `pulse` what changes with each
/// write.
pub(crate) fn abandoned(at: &Path, lock: &Path, pulse: &Path) -> Option<Abandoned> {
    let quiet = || {
        let changed = fs::metadata(pulse).or_else(|_| fs::metadata(at)).and_then(|m| m.modified());
        changed.is_ok_and(|t| SystemTime::now().duration_since(t).is_ok_and(|age| age > QUIET_MAX))
    };
    let open = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCK).open(lock);
    let file = match open {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return quiet().then_some(Abandoned { _lock: None }),
        Err(_) => return None,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        Ok(()) if is_here(at) || quiet() => Some(Abandoned { _lock: Some(file) }),
        Ok(()) => None,
        Err(TryLockError::Error(_)) => quiet().then_some(Abandoned { _lock: None }),
    }
}

/// Whether the writer was a process of this host.
fn is_here(at: &Path) -> bool {
    let name = at.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let writer = name.rsplit_once(MARK).map_or("", |(_, writer)| writer);
    writer.rsplit_once('-').is_some_and(|(of, _)| of == host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_told_from_what_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.npy");
        let (at, file) = create_file(&target).unwrap();
        let name = target.file_name().unwrap();
        assert_eq!(written_beside(dir.path(), name), std::slice::from_ref(&at));
        assert!(written_beside(dir.path(), OsStr::new("a.np")).is_empty());
        assert!(abandoned(&at, &at, &at).is_none(), "its writer lives");
        drop(file);
        assert!(abandoned(&at, &at, &at).is_some(), "its writer has gone");
        // The same of another host: its lock may not be seen here.
        let elsewhere = dir.path().join(".a.npy.tilework-no_such_host-0123456789abcdef");
        fs::write(&elsewhere, "").unwrap();
        assert!(abandoned(&elsewhere, &elsewhere, &elsewhere).is_none());
        let old = File::options().write(true).open(&elsewhere).unwrap();
        old.set_modified(SystemTime::now() - 2 * QUIET_MAX).unwrap();
        assert!(abandoned(&elsewhere, &elsewhere, &elsewhere).is_some());
    }

    #[test]
    fn names_say_what_is_unfinished() {
        let long = "x".repeat(255);
        assert!(fresh(OsStr::new(&long)).len() < 255);
        let at = Path::new("/data/s.zarr").join(fresh(OsStr::new("x"))).join("new");
        assert_eq!(unfinished(&at).as_deref(), at.parent());
        for done in ["/data/s.zarr/x", "/data/a.tilework-b", "/data/.x"] {
            assert_eq!(unfinished(Path::new(done)), None, "{done}");
        }
    }
}
