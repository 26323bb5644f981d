//! Documents that are changed where they lie, by one writer at a time, and each appears whole.
//!
//! Owns the locks: of a document for as long as it is changed, of an array's directory for as long as parts of it are
//! written. Where the file system has none, the last writer wins. Must not know what documents say.

use super::metadata::{self, BARE};
use super::store::open_file;
use crate::beside::{self, to_free_place};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One document, with the numbers that are none marked as [`metadata::text`] wants them; `None` where there is none.
pub(crate) fn read(dir: &Path, file: &str) -> io::Result<Option<Value>> {
    let Some((mut file, _)) = open_file(&dir.join(file))? else { return Ok(None) };
    parsed(&mut file).map(Some)
}

fn parsed(file: &mut File) -> io::Result<Value> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(metadata::parse(&text, BARE)?)
}

/// Writes a document again if `f` changes it. What cannot be read is an error, and left as it is; [`Value::Null`] is
/// what `f` gets where there is none.
pub(crate) fn change<E: From<io::Error>>(
    dir: &Path,
    file: &str,
    mut f: impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    let path = dir.join(file);
    loop {
        let mut locked = locked_document(&path)?;
        let before = locked.as_mut().map(parsed).transpose()?.unwrap_or_default();
        let mut after = before.clone();
        f(&mut after)?;
        if after == before {
            return Ok(());
        }
        match write(&path, locked.as_ref(), &after) {
            // Somebody else has made one meanwhile.
            Err(e) if locked.is_none() && e.kind() == io::ErrorKind::AlreadyExists => {}
            written => return Ok(written?),
        }
    }
}

/// Writes a document in the place of another one, or in one that is free.
fn write(path: &Path, old: Option<&File>, document: &Value) -> io::Result<()> {
    let (part, written) = beside::create_file(path)?;
    let text = fs::write(&part, metadata::text(document)).and_then(|()| written.sync_all());
    let placed = text.and_then(|()| match old {
        Some(old) => {
            beside::keep_attributes(&written, &old.metadata()?)?;
            fs::rename(&part, path)
        }
        None => to_free_place(&part, path),
    });
    if placed.is_err() {
        // There may be nothing to remove, and the first failure is what matters.
        let _ = fs::remove_file(part);
    }
    placed
}

/// Writes a document where there is none, and says whether there was none.
pub(crate) fn write_new(path: &Path, document: &Value) -> io::Result<bool> {
    match write(path, None, document) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        written => written.map(|()| true),
    }
}

/// Whether a file is still what lies at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let id = |info: fs::Metadata| (info.dev(), info.ino());
    match fs::metadata(path) {
        Ok(now) => Ok(id(now) == id(file.metadata()?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// A document that nobody else changes as long as it is open.
fn locked_document(path: &Path) -> io::Result<Option<File>> {
    loop {
        let Some((file, _)) = open_file(path)? else { return Ok(None) };
        if file.lock().is_err() || is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

/// Who may write parts of an array beside the one that holds this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Share {
    /// Others who write whole chunks.
    WholeChunks,
    /// Nobody.
    Nobody,
}

/// The right to write parts of the array at `dir`, as long as it lives. Waits for others.
pub(crate) fn lock_array(dir: &Path, share: Share) -> io::Result<File> {
    loop {
        let file = File::open(dir)?;
        let locked = match share {
            Share::WholeChunks => file.lock_shared(),
            Share::Nobody => file.lock(),
        };
        // Another array may have taken its place meanwhile.
        if locked.is_err() || is_at(&file, dir)? {
            return Ok(file);
        }
    }
}

/// The same without waiting: `None` where others write.
pub(crate) fn try_lock_array(dir: &Path) -> io::Result<Option<File>> {
    let file = File::open(dir)?;
    Ok(match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => None,
        _ => Some(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn writers_of_one_document_wait_for_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let add = |document: &mut Value| -> io::Result<()> {
            let n = document["n"].as_u64().unwrap_or_default();
            *document = json!({"n": n + 1});
            Ok(())
        };
        change(dir.path(), "d", add).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| change(dir.path(), "d", add).unwrap()));
            }
        });
        assert_eq!(read(dir.path(), "d").unwrap(), Some(json!({"n": 201})));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // What cannot be understood is not replaced.
        fs::write(dir.path().join("d"), "{").unwrap();
        assert!(change(dir.path(), "d", add).is_err());
        assert_eq!(fs::read_to_string(dir.path().join("d")).unwrap(), "{");
    }

    #[test]
    fn whole_chunks_are_written_side_by_side_and_parts_of_them_alone() {
        let dir = tempfile::tempdir().unwrap();
        let one = lock_array(dir.path(), Share::WholeChunks).unwrap();
        let other = lock_array(dir.path(), Share::WholeChunks).unwrap();
        assert!(try_lock_array(dir.path()).unwrap().is_none());
        drop((one, other));
        let alone = lock_array(dir.path(), Share::Nobody).unwrap();
        assert!(try_lock_array(dir.path()).unwrap().is_none());
        drop(alone);
        assert!(try_lock_array(dir.path()).unwrap().is_some());
    }
}
