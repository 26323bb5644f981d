//! `.npz` archives: finding a member and the span of the file that holds it.
//!
//! Owns the archive's directory. Must not know what a member holds.

use crate::inflate::Inflater;
use crate::npy::{Bytes, NpyReader, Span};
use crate::objects::{self, Place};
use crate::{FormatError, file};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

type Archive = ZipArchive<BufReader<File>>;

/// The names of the arrays in an `.npz` file, in its order, without `.npy`. Where an archive has both `a` and `a.npy`,
/// these are their names, as NumPy has it.
///
/// # Errors
/// [`FormatError::Missing`], [`FormatError::NotAnArray`] for a file that is no zip archive, [`FormatError::Io`].
pub fn npz_members(path: impl AsRef<Path>) -> Result<Vec<String>, FormatError> {
    let name = path.as_ref().display().to_string();
    let (archive, _) = directory(path.as_ref(), &name)?;
    Ok(names(&archive))
}

fn names(archive: &Archive) -> Vec<String> {
    let short = |name: &str| {
        let short = name.strip_suffix(".npy").unwrap_or(name);
        if archive.index_for_name(short).is_some() { name.to_owned() } else { short.to_owned() }
    };
    archive.file_names().map(short).collect()
}

fn directory(path: &Path, name: &str) -> Result<(Archive, u64), FormatError> {
    if let Some(url) = objects::url_of(path) {
        Place::open(url)?;
        let what = "`.npz` files in object stores, expected `.npy` or Zarr".to_owned();
        return Err(FormatError::Unsupported { path: name.to_owned(), what });
    }
    let (file, len) = file::open_array(path, name)?;
    let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| zip_error(name, e))?;
    Ok((archive, len))
}

fn zip_error(path: &str, error: ZipError) -> FormatError {
    match error {
        ZipError::Io(source) => FormatError::io(path, source),
        other => FormatError::NotAnArray { path: path.to_owned(), reason: other.to_string() },
    }
}

/// Opens one array of an `.npz` file.
pub(crate) fn open(path: &Path, member: &str) -> Result<NpyReader, FormatError> {
    let archive_name = path.display().to_string();
    let (mut archive, file_bytes) = directory(path, &archive_name)?;
    let found = archive.index_for_name(member).or_else(|| archive.index_for_name(&format!("{member}.npy")));
    let Some(index) = found else {
        let available = names(&archive).join(", ");
        return Err(FormatError::MissingMember { path: archive_name, member: member.to_owned(), available });
    };
    let name = format!("{archive_name}[{member}]");
    let entry = archive.by_index_raw(index).map_err(|e| zip_error(&name, e))?;
    let unsupported = |what: String| FormatError::Unsupported { path: name.clone(), what };
    if entry.encrypted() {
        return Err(unsupported("an encrypted member".into()));
    }
    let (start, packed, len, crc) =
        (entry.data_start(), entry.compressed_size(), entry.size(), entry.crc32());
    let method = entry.compression();
    drop(entry);
    let end = start.saturating_add(packed);
    if end > file_bytes {
        return Err(FormatError::Truncated { path: name, expected: end, got: file_bytes });
    }
    let (file, _) = file::open_array(path, &name)?;
    let span = Span { file, start, len: packed };
    let bytes = match method {
        CompressionMethod::STORE if packed == len => Bytes::Plain(span),
        CompressionMethod::STORE => {
            let reason = format!("a stored member of {packed} bytes says it has {len}");
            return Err(FormatError::Corrupt { path: name, reason });
        }
        CompressionMethod::DEFLATE => Bytes::Deflated(Inflater::new(name.clone(), span, len, crc)),
        other => {
            return Err(unsupported(format!("members compressed with {other}, expected stored or deflated")));
        }
    };
    NpyReader::new(name, bytes)
}
