//! How a finished array takes the place of what is there, and what is done about one that was interrupted.
//!
//! A container is a directory that one writer made: `new` is the array that it writes, `parts` its unfinished files,
//! `lock` its lock. Where the place is free, `new` is renamed to it. Where an array is there, the two directories are
//! exchanged, which is one step: a reader sees the old array or the new one. Where directories cannot be exchanged
//! (network file systems, mount points, somebody works in the directory or keeps files in it), the entries are moved:
//! the old documents to `old` first, so that nobody sees a mixture, then its chunks; `new` becomes `ready`; its chunks
//! move in, its documents last. Each step can be done again, so whoever finds the container finishes the work, unless
//! there is an array in the place: the old one that had not been touched, or one that somebody has written since.
//!
//! Owns the steps. Must not know who writes, nor what documents say.

use super::metadata::{V2_DOCUMENTS, V3_DOCUMENT};
use super::moves;
use super::store::PARTS;
pub(crate) use crate::beside::to_free_place;
use crate::beside::{self, LOCK};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The array that is being written.
pub(crate) const NEW: &str = "new";
const READY: &str = "ready";
const OLD: &str = "old";
/// Exists from before an exchange: `new` may hold what was in the place, files that are no part of the array too.
const EXCHANGED: &str = "exchanged";

/// Puts the container's array in the place of the one at `target`. Says whether the container is gone with all that was
/// there before: what cannot be removed, or is somebody's and cannot go back, is left to the next writer.
pub(crate) fn replace(container: &Path, target: &Path) -> io::Result<bool> {
    // One writer at a time, where there are locks.
    let dir = File::open(target)?;
    let _ = dir.lock();
    if !(is_alone(target) && exchange(container, target)) {
        move_entries(container, target)?;
    }
    Ok(settle_container(container, target).is_ok())
}

/// Whether a directory has what makes it an array.
fn is_array(dir: &Path) -> bool {
    [V3_DOCUMENT, ".zarray"].into_iter().any(|document| dir.join(document).exists())
}

/// Whether the directory is an array's and nobody else's.
fn is_alone(target: &Path) -> bool {
    let worked_in = std::env::current_dir().is_ok_and(|dir| dir.starts_with(target));
    let Ok(mut entries) = fs::read_dir(target) else { return false };
    !worked_in && is_array(target) && entries.all(|e| e.is_ok_and(|e| is_part_name(&e.file_name())))
}

/// Exchanges two directories; `false` where that cannot be, and nothing has happened.
fn exchange(container: &Path, target: &Path) -> bool {
    let mark = container.join(EXCHANGED);
    let exchanged = fs::write(&mark, "").is_ok()
        && renameat_with(CWD, container.join(NEW), CWD, target, RenameFlags::EXCHANGE).is_ok();
    if !exchanged {
        let _ = fs::remove_file(mark);
    }
    exchanged
}

/// Moves the old entries out and the new ones in, from whatever step an earlier call came to.
fn move_entries(container: &Path, target: &Path) -> io::Result<()> {
    let [new, ready, old] = [NEW, READY, OLD].map(|name| container.join(name));
    if !ready.exists() {
        make_dir(&old)?;
        for document in documents().rev() {
            rename_if_there(&target.join(document), &old.join(document))?;
        }
        for name in names(target)? {
            if is_part_name(&name) {
                fs::rename(target.join(&name), old.join(&name))?;
            }
        }
        fs::rename(&new, &ready)?;
    }
    for name in names(&ready)? {
        if !documents().any(|d| name == *d) {
            fs::rename(ready.join(&name), target.join(&name))?;
        }
    }
    for document in documents() {
        rename_if_there(&ready.join(document), &target.join(document))?;
    }
    fs::remove_dir(ready)
}

/// Removes a container whose work is done, or whose writer has gone; work that was begun is finished first.
fn settle_container(container: &Path, target: &Path) -> io::Result<()> {
    let is = |name: &str| container.join(name).exists();
    if moves::has_begun(container) {
        moves::recover(container, target)?;
    }
    if (is(READY) || is(OLD) && is(NEW)) && !is_array(target) {
        move_entries(container, target)?;
    }
    if is(EXCHANGED) {
        settle(&container.join(NEW), "", target)?;
    }
    if is(OLD) {
        settle(&container.join(OLD), "", target)?;
    }
    remove(container)
}

/// Clears what is left of a writer that has gone, and says whether it had come so far as to change the array.
pub(crate) fn recover(container: &Path, target: &Path) -> bool {
    let Some(_abandoned) = beside::abandoned(container, &container.join(LOCK), &container.join(PARTS)) else {
        return false;
    };
    let had_begun = moves::has_begun(container)
        || [READY, OLD, EXCHANGED].into_iter().any(|name| container.join(name).exists());
    // It stays where it cannot be cleared, with all that is in it.
    let _ = settle_container(container, target);
    had_begun
}

/// Removes a container and what its own writer put there.
pub(crate) fn remove(container: &Path) -> io::Result<()> {
    /// Others may be putting files there, which have not heard yet that nobody wants them.
    const TRIES_MAX: usize = 5;
    let mut tries = 1;
    loop {
        match fs::remove_dir_all(container) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if tries < TRIES_MAX => tries += 1,
            removed => return removed,
        }
    }
}

/// Removes an array's documents and chunks from below `dir`; files that are neither go to their place in `target`.
fn settle(dir: &Path, key: &str, target: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (name, from) = (entry.file_name(), entry.path());
        let below = name.to_str().map(|n| if key.is_empty() { n.to_owned() } else { format!("{key}/{n}") });
        if entry.file_type()?.is_dir() {
            // No part of an array has a name that is not text.
            settle(&from, &below.unwrap_or_else(|| "?".into()), &target.join(&name))?;
        } else if below.is_some_and(|key| documents().any(|d| key == *d) || is_chunk_name(&key)) {
            fs::remove_file(from)?;
        } else {
            fs::create_dir_all(target)?;
            to_free_place(&from, &target.join(&name))?;
        }
    }
    fs::remove_dir(dir)
}

fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn rename_if_there(from: &PathBuf, to: &PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The documents of both versions; what makes a directory an array comes last.
fn documents() -> impl DoubleEndedIterator<Item = &'static &'static str> {
    V2_DOCUMENTS.iter().chain([&V3_DOCUMENT])
}

/// Whether an entry of an array's directory is one of its documents, or a chunk, or the start of chunks' names.
fn is_part_name(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| documents().any(|d| name == *d) || is_chunk_name(name))
}

/// Whether a key below an array names one of its chunks: `c/0/1`, `c.0.1`, `c`, `0.1` or `0/1`.
pub(crate) fn is_chunk_name(key: &str) -> bool {
    let index = key.strip_prefix("c/").or_else(|| key.strip_prefix("c.")).unwrap_or(key);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    key == "c" || index.split(['.', '/']).all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_told_from_other_files() {
        for yes in ["c", "c/0", "c.0.1", "c/10/2", "0.0", "3", "4/5/6"] {
            assert!(is_chunk_name(yes), "{yes}");
        }
        for no in ["", "README.md", "c/", "c/x", "0.0.txt", "zarr.json", ".zarray", "child/c/0", "0..1"] {
            assert!(!is_chunk_name(no), "{no}");
        }
    }

    /// Everything below a directory, with the files' text.
    fn tree(dir: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut open = vec![dir.to_owned()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
                    found.push((name, fs::read_to_string(entry.path()).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    fn put(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    const BEFORE: [(&str, &str); 4] =
        [("c/0", "old"), ("c/1", "old"), ("notes/c/1", "mine"), ("zarr.json", "old")];
    const AFTER: [(&str, &str); 4] =
        [("c/0", "new"), ("c/2", "new"), ("notes/c/1", "mine"), ("zarr.json", "new")];

    /// An array with a file of somebody's below it, and a finished one in a container beside it.
    fn scene(dir: &Path) -> (PathBuf, PathBuf) {
        let (target, container) = (dir.join("x"), dir.join(".x.tilework-nobody-0"));
        put(&target, &BEFORE);
        put(&container.join(NEW), &[("zarr.json", "new"), ("c/0", "new"), ("c/2", "new")]);
        fs::create_dir(container.join(PARTS)).unwrap();
        (target, container)
    }

    #[test]
    fn what_is_no_part_of_the_array_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (target, container) = scene(dir.path());
        assert!(replace(&container, &target).unwrap());
        assert_eq!(tree(&target), owned(&AFTER));
        assert!(!container.exists());
        // Somebody's file that came between the look and the exchange.
        let dir = tempfile::tempdir().unwrap();
        let (target, container) = scene(dir.path());
        assert!(exchange(&container, &target));
        fs::write(target.join("notes"), "another's").unwrap();
        assert!(settle_container(&container, &target).is_err(), "the place of the notes is taken");
        assert_eq!(fs::read_to_string(container.join("new/notes/c/1")).unwrap(), "mine");
        fs::remove_file(target.join("notes")).unwrap();
        settle_container(&container, &target).unwrap();
        assert_eq!(tree(&target), owned(&AFTER));
        assert!(!container.exists());
    }

    #[test]
    fn a_container_may_lie_within_the_array() {
        let dir = tempfile::tempdir().unwrap();
        let (target, beside) = scene(dir.path());
        let container = target.join(".x.tilework-nobody-0");
        fs::rename(beside, &container).unwrap();
        assert!(!exchange(&container, &target), "a directory cannot be exchanged with what is within it");
        assert!(replace(&container, &target).unwrap());
        assert_eq!(tree(&target), owned(&AFTER));
        assert!(!container.exists());
    }

    #[test]
    fn an_array_of_its_own_is_exchanged_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let (target, container) = scene(dir.path());
        assert!(!is_alone(&target), "somebody's file is there");
        fs::remove_dir_all(target.join("notes")).unwrap();
        assert!(is_alone(&target));
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(container.join(NEW)).unwrap().ino();
        assert!(replace(&container, &target).unwrap());
        assert_eq!(fs::metadata(&target).unwrap().ino(), inode);
        assert_eq!(tree(dir.path()), owned(&[("x/c/0", "new"), ("x/c/2", "new"), ("x/zarr.json", "new")]));
    }

    #[test]
    fn moves_are_finished_from_every_step() {
        let steps: [fn(&Path, &Path); 7] = [
            |c, _| fs::create_dir(c.join(OLD)).unwrap(),
            |c, t| fs::rename(t.join("zarr.json"), c.join("old/zarr.json")).unwrap(),
            |c, t| fs::rename(t.join("c"), c.join("old/c")).unwrap(),
            |c, _| fs::rename(c.join(NEW), c.join(READY)).unwrap(),
            |c, t| fs::rename(c.join("ready/c"), t.join("c")).unwrap(),
            |c, t| fs::rename(c.join("ready/zarr.json"), t.join("zarr.json")).unwrap(),
            |c, _| fs::remove_dir(c.join(READY)).unwrap(),
        ];
        for done in 1..=steps.len() {
            let dir = tempfile::tempdir().unwrap();
            let (target, container) = scene(dir.path());
            for step in &steps[..done] {
                step(&container, &target);
            }
            let text = fs::read_to_string(target.join("zarr.json")).unwrap_or_default();
            let chunks: Vec<_> =
                tree(&target).into_iter().filter(|(name, _)| name.starts_with("c/")).collect();
            assert!(text.is_empty() || chunks.iter().all(|(_, chunk)| *chunk == text), "a mixture at {done}");
            settle_container(&container, &target).unwrap();
            let after = if done == 1 { owned(&BEFORE) } else { owned(&AFTER) };
            assert_eq!(tree(&target), after, "{done} steps");
            assert!(!container.exists());

            // The same where somebody has written the array since.
            let dir = tempfile::tempdir().unwrap();
            let (target, container) = scene(dir.path());
            for step in &steps[..done] {
                step(&container, &target);
            }
            let later = [("zarr.json", "later"), ("c/0", "later")];
            let _ = fs::remove_dir_all(target.join("c"));
            put(&target, &later);
            settle_container(&container, &target).unwrap();
            let after = [("c/0", "later"), ("notes/c/1", "mine"), ("zarr.json", "later")];
            assert_eq!(tree(&target), owned(&after), "{done} steps, and a later array");
            assert!(!container.exists());
        }
    }
}
