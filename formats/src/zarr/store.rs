//! The files of one array, by name, as `zarrs` asks for them.
//!
//! A file appears whole or not at all: it is written at another name and renamed. Names are the file system's own, in
//! any script; what is no file (a pipe, a device) and what is larger than a chunk can be is refused before it is read.
//! Directories are made below the array's own, never that itself: who writes to an array that has gone is told so.
//!
//! Owns files below one directory. Must not know metadata, codecs or elements.

use super::metadata::{V2_DOCUMENTS, V3_DOCUMENT};
use super::remote;
use crate::file::{self, Found};
use crate::{FormatError, beside, objects};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator, InvalidByteRangeError};
use zarrs::storage::{
    Bytes, MaybeBytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError,
    StoreKey, StorePrefix, WritableStorageTraits,
};

/// A store under one directory.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    /// What errors call that: of what is being written, the place that it will take.
    shown: PathBuf,
    /// Where files are written before they get their names; beside them where there is no such directory.
    parts: Option<PathBuf>,
    /// Bytes of the largest file that is read.
    file_bytes_max: AtomicU64,
}

impl Store {
    pub(crate) fn new(root: PathBuf) -> Store {
        let parts = beside::unfinished(&root).map(|at| at.join(PARTS));
        let shown = beside::target_of(&root).unwrap_or_else(|| root.clone());
        Store { root, shown, parts, file_bytes_max: AtomicU64::new(u64::MAX) }
    }

    /// From now on larger files are refused.
    pub(crate) fn limit_file_bytes(&self, max: u64) {
        self.file_bytes_max.store(max, Ordering::Relaxed);
    }

    /// The file that a key names.
    pub(crate) fn path(&self, key: &StoreKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// What errors call the file that a key names.
    pub(crate) fn shown(&self, key: &StoreKey) -> PathBuf {
        self.shown.join(key.as_str())
    }

    fn open(&self, key: &StoreKey) -> Result<Option<(File, u64)>, StorageError> {
        let path = self.path(key);
        let opened = open_file(&path).map_err(|e| failed(&self.shown(key), e))?;
        let Some((file, bytes)) = opened else { return Ok(None) };
        let max = self.file_bytes_max.load(Ordering::Relaxed);
        if bytes > max {
            let why = format!(
                "`{}` has {bytes} bytes, more than a chunk of this array can have",
                self.shown(key).display()
            );
            return Err(StorageError::Other(why));
        }
        Ok(Some((file, bytes)))
    }

    fn make_dirs_to(&self, path: &Path) -> io::Result<()> {
        let below = path.strip_prefix(&self.root).expect("a key is below the root");
        let mut dir = self.root.clone();
        for part in below.parent().into_iter().flatten() {
            dir.push(part);
            match fs::create_dir(&dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames a file to one below this directory; one that is not there has been renamed before.
    pub(crate) fn take(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::rename(from, to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && from.exists() => {
                self.make_dirs_to(to).and_then(|()| fs::rename(from, to))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default();
        let part = match &self.parts {
            Some(parts) => parts.join(beside::unique()),
            None => {
                self.make_dirs_to(path)?;
                path.with_file_name(beside::fresh(name))
            }
        };
        let written = fs::write(&part, bytes).and_then(|()| match fs::rename(&part, path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_dirs_to(path).and_then(|()| fs::rename(&part, path))
            }
            renamed => renamed,
        });
        if written.is_err() {
            // There may be nothing to remove, and the first failure is what matters.
            let _ = fs::remove_file(&part);
        }
        written
    }
}

/// The names on the way from a store to an array: of `a/b`, also with a `/` at either end, `a` and `b`; none of the root.
pub(crate) fn parts(array: &str) -> impl Iterator<Item = &str> {
    let trimmed = array.strip_prefix('/').unwrap_or(array);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    trimmed.split('/').filter(|_| !trimmed.is_empty())
}

/// The name of an array in messages: the store's directory and the path in it.
pub(crate) fn display_name(root: &Path, array: &str) -> String {
    parts(array).fold(root.display().to_string(), |name, part| format!("{name}/{part}"))
}

/// The array that is being written at `root`, if one is, as messages call it.
pub(crate) fn target_of(root: &Path) -> Option<String> {
    match objects::url_of(root) {
        Some(_) => remote::array_of(root).map(|(array, _)| array.display().to_string()),
        None => beside::target_of(root).map(|target| target.display().to_string()),
    }
}

/// Checks that the way to an array stays in its store.
pub(crate) fn check_parts(root: &Path, array: &str) -> Result<(), FormatError> {
    match parts(array).find(|part| matches!(*part, "" | "." | "..") || part.contains(['\\', '\0'])) {
        Some(bad) => Err(FormatError::Invalid {
            path: root.display().to_string(),
            reason: format!(
                "got array path `{array}` with the name `{bad}`, expected names separated by `/`"
            ),
        }),
        None => Ok(()),
    }
}

/// The directory of an array in the store at `root`, which is a directory.
pub(crate) fn array_dir(root: &Path, array: &str) -> Result<PathBuf, FormatError> {
    check_parts(root, array)?;
    let name = root.display().to_string();
    let info = root.metadata().map_err(|e| FormatError::io(&name, e))?;
    if !info.is_dir() {
        let reason = "got a file, expected the directory of a zarr store".to_owned();
        return Err(FormatError::NotAnArray { path: name, reason });
    }
    Ok(parts(array).fold(root.to_owned(), |dir, part| dir.join(part)))
}

/// Checks that new nodes may have the names on the way to an array.
pub(crate) fn check_new_name(root: &Path, array: &str) -> Result<(), FormatError> {
    let is_bad = |part: &str| {
        let reserved = part.starts_with("__") || part == V3_DOCUMENT || V2_DOCUMENTS.contains(&part);
        let unfinished = beside::unfinished(Path::new(part)).is_some();
        matches!(part, "" | "." | "..") || part.contains(['\\', '\0']) || reserved || unfinished
    };
    match parts(array).find(|part| is_bad(part)) {
        Some(bad) => Err(FormatError::Invalid {
            path: root.display().to_string(),
            reason: format!(
                "got array path `{array}` with the name `{bad}`, expected names separated by `/` that zarr does not use"
            ),
        }),
        None => Ok(()),
    }
}

/// The directory of parts within what is being written.
pub(crate) const PARTS: &str = "parts";

/// Opens a file for reading, with its length; `None` where there is none, or a directory.
pub(crate) fn open_file(path: &Path) -> io::Result<Option<(File, u64)>> {
    match file::open(path) {
        Ok(Found::File(file, len)) => Ok(Some((file, len))),
        Ok(Found::Other(file::DIRECTORY)) => Ok(None),
        Ok(Found::Other(what)) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("got {what}, expected a file")))
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

fn failed(path: &Path, error: io::Error) -> StorageError {
    let text = format!("`{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::InvalidInput => StorageError::Other(text),
        kind => StorageError::IOError(Arc::new(io::Error::new(kind, text))),
    }
}

impl ReadableStorageTraits for Store {
    fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let Some((mut file, len)) = self.open(key)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = bytes.try_reserve_exact(len as usize).map_err(io::Error::from);
        let read = read.and_then(|()| file.by_ref().take(len).read_to_end(&mut bytes));
        read.map_err(|e| failed(&self.shown(key), e))?;
        Ok(Some(Bytes::from(bytes)))
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        byte_ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some((file, len)) = self.open(key)? else { return Ok(None) };
        let path = self.shown(key);
        Ok(Some(Box::new(byte_ranges.map(move |range| {
            let (start, end) = match range {
                ByteRange::FromStart(start, None) => (start, len),
                ByteRange::FromStart(start, Some(n)) => (start, start.saturating_add(n)),
                ByteRange::Suffix(n) => (len.wrapping_sub(n), len),
            };
            if start > end || end > len {
                return Err(InvalidByteRangeError::new(range, len).into());
            }
            let mut bytes = vec![0; (end - start) as usize];
            file.read_exact_at(&mut bytes, start).map_err(|e| failed(&path, e))?;
            Ok(Bytes::from(bytes))
        }))))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        Ok(self.open(key)?.map(|(_, len)| len))
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for Store {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        self.write(&self.path(key), &value).map_err(|e| failed(&self.shown(key), e))
    }

    fn set_partial_many<'a>(&'a self, _: &StoreKey, _: OffsetBytesIterator<'a>) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("chunks are written whole".into()))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(failed(&self.shown(key), e))
            }
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, _: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("files are erased one by one".into()))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_paths_stay_in_the_store() {
        let name = |array| display_name(Path::new("/s.zarr"), array);
        for (array, expected) in
            [("", "/s.zarr"), ("/", "/s.zarr"), ("a", "/s.zarr/a"), ("/a/b c/", "/s.zarr/a/b c")]
        {
            assert_eq!(name(array), expected);
        }
        let dir = tempfile::tempdir().unwrap();
        for good in ["", "/", "a", "/a/b c/", "ümlaut", "温度", "a~b", "a%b", "a?b#c", "1", "c"] {
            assert!(
                array_dir(dir.path(), good).is_ok() && check_new_name(dir.path(), good).is_ok(),
                "{good}"
            );
        }
        for bad in ["..", "a/../b", "a//b", ".", "a\\b", "//a"] {
            assert!(array_dir(dir.path(), bad).is_err() && check_new_name(dir.path(), bad).is_err(), "{bad}");
        }
        for bad in ["__x", "a/zarr.json", ".zarray", ".x.tilework-h-1/new"] {
            assert!(check_new_name(dir.path(), bad).is_err(), "{bad}");
        }
    }
}
