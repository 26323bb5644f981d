//! Writing `.npy` files: whole, or box by box in any order and from several threads.
//!
//! Owns the file beside the target, so that a reader sees a finished array or none. Must not know who computes the
//! boxes.

use super::header;
use crate::objects::{self, Place};
use crate::region::{self, Runs};
use crate::{FormatError, beside};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tilework_expr::DType;

/// Writes an array as an `.npy` file; `bytes` are its elements, little-endian, in C order.
///
/// The file appears whole or not at all: it is written beside `path` and renamed.
///
/// # Errors
/// [`FormatError::TooLarge`] and [`FormatError::WrongLength`] where shape and bytes do not fit,
/// [`FormatError::Folder`] and [`FormatError::Io`] from the file system.
///
/// # Examples
/// ```
/// use tilework_expr::DType;
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("a.npy");
/// tilework_formats::write_npy(&path, &[3], DType::U8, &[1, 2, 3])?;
/// let reader = tilework_formats::ArraySource::npy(&path).open()?;
/// let mut last = [0];
/// reader.read(&[2..3], &mut last)?;
/// assert_eq!(last, [3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npy(
    path: impl AsRef<Path>,
    shape: &[usize],
    dtype: DType,
    bytes: &[u8],
) -> Result<(), FormatError> {
    let writer = NpyWriter::create(path, shape, dtype)?;
    let whole: Vec<Range<usize>> = shape.iter().map(|&n| 0..n).collect();
    writer.write(&whole, bytes)?;
    writer.finish()
}

/// Where the finished file will be: `path`, through symbolic links. It must be free or a file's, for a rename would put
/// the file in the place of a device, a pipe or a socket as well.
fn replaceable(path: &Path, name: &str) -> Result<PathBuf, FormatError> {
    let Ok(there) = fs::canonicalize(path) else { return Ok(path.to_owned()) };
    if fs::metadata(&there).is_ok_and(|what| what.is_file()) {
        return Ok(there);
    }
    Err(FormatError::Exists {
        path: name.to_owned(),
        reason: "it is not a file, which could be replaced".into(),
    })
}

/// An `.npy` file that is being written box by box; dropped without [`NpyWriter::finish`] it leaves nothing.
#[derive(Debug)]
pub struct NpyWriter {
    path: PathBuf,
    name: String,
    temporary: PathBuf,
    file: File,
    shape: Vec<usize>,
    dtype: DType,
    data_start: usize,
    data_bytes: usize,
    written: AtomicU64,
}

impl NpyWriter {
    /// Starts a file of this shape and dtype beside `path`, or beside the file that `path` is a symbolic link to. It
    /// has the mode of the file that it will replace, and its owner where this process may give it that. What writers
    /// of this file left behind before is cleared.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] for a shape that cannot be addressed, [`FormatError::Exists`] for a path at which
    /// there is something other than a file, [`FormatError::Folder`] where nothing can be written beside it,
    /// [`FormatError::Io`] from the file system.
    pub fn create(path: impl AsRef<Path>, shape: &[usize], dtype: DType) -> Result<NpyWriter, FormatError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        if let Some(url) = objects::url_of(path) {
            Place::open(url)?;
            let what = "writing `.npy` files to object stores, expected a Zarr array".to_owned();
            return Err(FormatError::Unsupported { path: name, what });
        }
        let local = path.to_str().and_then(objects::local_path);
        let path = replaceable(local.as_deref().map_or(path, Path::new), &name)?;
        let lens: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let (shape, data_bytes) = region::checked_shape(&name, &lens, dtype.size())?;
        let Some(file_name) = path.file_name() else {
            return Err(FormatError::Invalid { path: name, reason: "the path names no file".into() });
        };
        let above = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for left in beside::written_beside(above, file_name) {
            if left.is_file() && beside::abandoned(&left, &left, &left).is_some() {
                // Another writer may have been faster to remove it.
                let _ = fs::remove_file(left);
            }
        }
        let (temporary, file) = beside::create_file(&path)
            .map_err(|source| FormatError::Folder { path: above.display().to_string(), source })?;
        let head = header::write(&shape, dtype);
        let writer = NpyWriter {
            path,
            name,
            temporary,
            file,
            shape,
            dtype,
            data_start: head.len(),
            data_bytes,
            written: AtomicU64::new(0),
        };
        let io = |e| FormatError::io(&writer.name, e);
        if let Ok(old) = fs::metadata(&writer.path) {
            beside::keep_attributes(&writer.file, &old).map_err(io)?;
        }
        writer.file.write_all_at(&head, 0).map_err(io)?;
        writer.file.set_len((head.len() + data_bytes) as u64).map_err(io)?;
        Ok(writer)
    }

    /// Writes one box: its elements, little-endian, in C order. Boxes must not overlap.
    ///
    /// # Errors
    /// [`FormatError::OutOfBounds`], [`FormatError::WrongLength`], or [`FormatError::Io`].
    pub fn write(&self, region: &[Range<usize>], bytes: &[u8]) -> Result<(), FormatError> {
        let itemsize = self.dtype.size();
        let elements = region::check(&self.name, region, &self.shape)?;
        region::check_buffer(&self.name, elements, itemsize, bytes.len())?;
        let runs = Runs::new(&self.shape, region);
        // An empty box has no runs and no bytes; its run length may be 0, which `chunks_exact` refuses.
        let run_bytes = (runs.run_len() * itemsize).max(1);
        for (start, run) in runs.zip(bytes.chunks_exact(run_bytes)) {
            let offset = (self.data_start + start * itemsize) as u64;
            self.file.write_all_at(run, offset).map_err(|e| FormatError::io(&self.name, e))?;
        }
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Puts the finished file in its place, on disk before its name is.
    ///
    /// # Errors
    /// [`FormatError::Incomplete`] where boxes are missing, [`FormatError::Io`] from the file system.
    pub fn finish(self) -> Result<(), FormatError> {
        let (expected, got) = (self.data_bytes as u64, self.written.load(Ordering::Relaxed));
        if expected != got {
            return Err(FormatError::Incomplete { path: self.name.clone(), expected, got });
        }
        let io = |e| FormatError::io(&self.name, e);
        self.file.sync_all().map_err(io)?;
        fs::rename(&self.temporary, &self.path).map_err(io)
    }
}

impl Drop for NpyWriter {
    fn drop(&mut self) {
        // After `finish` the name is gone, which is the usual case; nothing else can be done about a failure.
        let _ = fs::remove_file(&self.temporary);
    }
}
