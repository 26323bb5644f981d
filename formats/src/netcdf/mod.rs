//! NetCDF files, of the classic formats and of version 4, and HDF5 files, which those of version 4 are: read by boxes.
//!
//! `hdf5-reader` finds headers, groups and chunks in HDF5 files and undoes their filters. Which chunks a box needs, the
//! classic formats and everything that lies in a file as it is are read here.
//!
//! Owns what kind of file it is, and the reader of one array. Must not write.

mod attributes;
mod chunked;
mod classic;
mod group;
mod hdf5;
mod kinds;
mod lzf;
mod plain;
mod scales;

pub use group::netcdf_group;

use crate::{ArrayInfo, ArrayMeta, FormatError, elements, file, objects};
use chunked::Chunked;
use classic::Classic;
use hdf5::Hdf5;
use plain::Plain;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tilework_plan::Steps;

/// What the classic formats begin with, before the number of their version.
const CLASSIC: &[u8; 3] = b"CDF";
/// What HDF5 begins with, at position 0 or at a power of two from 512 on.
const HDF5: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// Where HDF5 may begin first, behind what is another program's.
const USER_BLOCK_BYTES_MIN: u64 = 512;

/// A file that was opened.
enum Opened {
    Classic(Classic),
    Hdf5(Box<Hdf5>),
}

impl Opened {
    fn of(path: &Path) -> Result<Opened, FormatError> {
        let name = path.display().to_string();
        if let Some(url) = objects::url_of(path) {
            let what = "NetCDF and HDF5 files in object stores, expected a file of this machine".to_owned();
            return Err(FormatError::Unsupported { path: url.to_owned(), what });
        }
        let (file, len) = file::open_array(path, &name)?;
        let begins = |at: u64, with: &[u8]| {
            let mut bytes = vec![0; with.len()];
            file.read_exact_at(&mut bytes, at).is_ok() && bytes == with
        };
        if begins(0, CLASSIC) {
            return Ok(Opened::Classic(Classic::open(&name, file, len)?));
        }
        let places = std::iter::successors(Some(USER_BLOCK_BYTES_MIN), |at| at.checked_mul(2));
        if std::iter::once(0).chain(places.take_while(|at| *at < len)).any(|at| begins(at, HDF5)) {
            return Ok(Opened::Hdf5(Box::new(Hdf5::open(&name, file, len)?)));
        }
        let reason = "got neither NetCDF nor HDF5 at its beginning, expected one of them".to_owned();
        Err(FormatError::NotAnArray { path: name, reason })
    }
}

/// Where the elements are.
enum Elements {
    Plain(Plain),
    Chunked(Chunked),
}

/// An open array of a NetCDF or HDF5 file.
pub(crate) struct NetcdfReader {
    pub(crate) path: String,
    pub(crate) meta: ArrayMeta,
    pub(crate) info: ArrayInfo,
    order: elements::ByteOrder,
    elements: Elements,
}

impl std::fmt::Debug for NetcdfReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetcdfReader")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl NetcdfReader {
    /// Reads what the file says of the array, and no element.
    pub(crate) fn open(path: &Path, variable: &str) -> Result<NetcdfReader, FormatError> {
        guarded(&path.display().to_string(), || match Opened::of(path)? {
            Opened::Classic(file) => file.variable(variable),
            Opened::Hdf5(file) => file.variable(variable),
        })
    }

    /// Reads a box whose bounds and buffer size were checked.
    pub(crate) fn read(&self, region: &[Range<usize>], out: &mut [u8]) -> Result<(), FormatError> {
        self.read_steps(&region.iter().map(Steps::all).collect::<Vec<_>>(), out)
    }

    /// Reads positions whose bounds and buffer size were checked.
    pub(crate) fn read_steps(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        if out.is_empty() {
            return Ok(());
        }
        match &self.elements {
            Elements::Plain(plain) => plain.read(&self.path, steps, out)?,
            Elements::Chunked(chunked) => guarded(&self.path, || chunked.read(&self.path, steps, out))?,
        }
        elements::normalise(out, self.meta.dtype, self.order);
        Ok(())
    }
}

/// What a library that panics at a damaged file has come to is an error of the file.
fn guarded<T>(path: &str, f: impl FnOnce() -> Result<T, FormatError>) -> Result<T, FormatError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(corrupt(path, "the reader gave up")))
}

fn corrupt(path: &str, reason: impl Into<String>) -> FormatError {
    FormatError::Corrupt { path: path.to_owned(), reason: reason.into() }
}

/// The error of an array that is not there, with the names that are nearest to what was asked for.
fn missing(path: &str, variable: &str, names: Vec<String>) -> FormatError {
    let mut names: Vec<(usize, String)> =
        names.into_iter().map(|name| (strsim::levenshtein(variable, &name), name)).collect();
    names.sort();
    let n = names.len();
    let mut available: Vec<String> =
        names.into_iter().take(NEAREST_MAX).map(|(_, name)| format!("`{name}`")).collect();
    if n > NEAREST_MAX {
        available.push(format!("{} more", n - NEAREST_MAX));
    }
    let available = if n == 0 { "nothing".to_owned() } else { available.join(", ") };
    FormatError::MissingVariable { path: path.to_owned(), variable: variable.to_owned(), available }
}

/// So many names are told where one is not there.
const NEAREST_MAX: usize = 5;

/// The parts of an array's path within a file.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Reads bytes of a file that was long enough when it was opened.
fn read_at(path: &str, file: &File, buffer: &mut [u8], at: u64) -> Result<(), FormatError> {
    file.read_exact_at(buffer, at).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => FormatError::Truncated {
            path: path.to_owned(),
            expected: at + buffer.len() as u64,
            got: file.metadata().map_or(0, |m| m.len()),
        },
        _ => FormatError::io(path, e),
    })
}
