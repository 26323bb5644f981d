//! Opening files that are to be read: at once, whatever is at the path.
//!
//! Owns telling files from what looks like them. Must not know formats.

use crate::FormatError;
use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// A FIFO without a writer must not be waited for.
pub(crate) const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// What is at a path.
pub(crate) enum Found {
    /// A file, with its length in bytes.
    File(File, u64),
    /// Something else.
    Other(&'static str),
}

/// Opens what is at a path.
pub(crate) fn open(path: &Path) -> io::Result<Found> {
    let opened = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => file,
        // A socket cannot be opened at all.
        Err(e) => match path.metadata() {
            Ok(info) if !info.is_file() && !info.is_dir() => return Ok(Found::Other(kind(info.file_type()))),
            _ => return Err(e),
        },
    };
    let info = file.metadata()?;
    Ok(if info.is_file() { Found::File(file, info.len()) } else { Found::Other(kind(info.file_type())) })
}

/// Opens the file of an array; `name` is what errors call it.
pub(crate) fn open_array(path: &Path, name: &str) -> Result<(File, u64), FormatError> {
    match open(path).map_err(|e| FormatError::io(name, e))? {
        Found::File(file, len) => Ok((file, len)),
        Found::Other(what) => Err(FormatError::NotAnArray {
            path: name.to_owned(),
            reason: format!("got {what}, expected a file"),
        }),
    }
}

/// The name of a directory, among what is no file.
pub(crate) const DIRECTORY: &str = "a directory";

fn kind(of: FileType) -> &'static str {
    match of {
        t if t.is_dir() => DIRECTORY,
        t if t.is_fifo() => "a named pipe",
        t if t.is_socket() => "a socket",
        _ => "a device",
    }
}
