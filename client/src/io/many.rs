//! Many files as one array: one after another along an axis.
//!
//! Owns which files a pattern or a directory means, and their order. Must not know formats.

use super::{name_of, warn_of_packing};
use crate::array::Array;
use crate::error::{Error, Result};
use ndarray::{Axis, RemoveAxis};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use tilework_expr::{Element, Expr, ExprError};
use tilework_formats::{
    ArrayReader, ArraySource, FormatError, ZarrKind, ZarrNode, netcdf_group, npz_members, objects,
};

/// # Reading many files
impl<A: Element, D: RemoveAxis> Array<A, D> {
    /// The arrays of all files whose paths a pattern matches, one after another along an axis, lazily: `*` stands for
    /// any part of a name, `?` for one character, `[0-9]` for one of some, `**` for any number of directories.
    ///
    /// Files are `.npy`, `.npz` with one member, directories of Zarr arrays: `runs/*.zarr/temperature`, and NetCDF and HDF5
    /// files (`.nc`, `.nc4`, `.cdf`, `.h5`, `.hdf5`, `.he5`) with one array that is not the coordinates along an axis;
    /// [`Array::read_netcdf_glob`] reads one of several. They come in the order of their paths, in which numbers count as
    /// such (`part-9.npy` before `part-10.npy`), and must have the same lengths but along the axis.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// # fn main() -> tilework::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// for day in 8..=11 {
    ///     Array1::from_elem(2, day).write_npy(dir.path().join(format!("day-{day}.npy")))?;
    /// }
    /// let all = Array1::<i32>::read_glob(dir.path().join("day-*.npy"), Axis(0))?;
    /// assert_eq!(all.compute(), ndarray::arr1(&[8, 8, 9, 9, 10, 10, 11, 11]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Expr`] for a pattern that makes no sense and an axis out of range; [`Error::Format`] where nothing
    /// matches, for a file that cannot be read, and for one of another shape; [`Error::DType`], [`Error::Dimensions`].
    pub fn read_glob(pattern: impl AsRef<Path>, axis: Axis) -> Result<Self> {
        Self::read_files(matching(pattern.as_ref())?, axis)
    }

    /// The arrays of all files of a directory (`.npy`, `.npz` with one member, Zarr arrays, NetCDF and HDF5), as
    /// [`Array::read_glob`]. What has a name that begins with a point, or is a file of another kind, is left out.
    ///
    /// # Errors
    /// As [`Array::read_glob`]; a directory without any such file.
    pub fn read_dir(path: impl AsRef<Path>, axis: Axis) -> Result<Self> {
        Self::read_files(files_of(path.as_ref())?, axis)
    }

    /// The arrays of these files, in this order, as [`Array::read_glob`]. Of URLs of object stores, those that do not end
    /// in `.npy` are Zarr arrays.
    ///
    /// # Errors
    /// As [`Array::read_glob`].
    pub fn read_files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, axis: Axis) -> Result<Self> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        concatenated(paths.par_iter().map(|path| source_of(path)).collect(), axis)
    }
}

/// The arrays of files, one after another along an axis.
pub(super) fn concatenated<A: Element, D: RemoveAxis>(
    sources: Vec<Result<ArraySource>>,
    axis: Axis,
) -> Result<Array<A, D>> {
    // Side by side: on a network file system each takes a while, and most of that is waiting.
    let opened: Vec<(Array<A, D>, ArraySource, Option<String>)> =
        sources.into_par_iter().map(|source| opened(source?)).collect::<Result<_>>()?;
    if let Some((_, first, _)) = opened.first() {
        let shape = opened[0].0.shape();
        for (array, source, _) in &opened {
            let mut expected = shape.to_vec();
            if let Some(len) = expected.get_mut(axis.index()) {
                *len = array.shape().get(axis.index()).copied().unwrap_or_default();
            }
            if array.shape() != expected {
                let path = format!("{}, behind {},", name_of(source), name_of(first));
                return Err(FormatError::WrongShape { path, expected, got: array.shape().to_vec() }.into());
            }
        }
    }
    if let Some((_, source, Some(packed))) = opened.iter().find(|(_, _, packed)| packed.is_some()) {
        warn_of_packing(source, packed);
    }
    let exprs = opened.iter().map(|(array, ..)| array.leaf()).collect::<Result<Vec<_>>>()?;
    Array::wrapped(Expr::concatenate(axis.index(), &exprs))
}

/// The array of one file, and what is said of its elements.
fn opened<A: Element, D: RemoveAxis>(
    source: ArraySource,
) -> Result<(Array<A, D>, ArraySource, Option<String>)> {
    let source = source.absolute()?;
    let reader: ArrayReader = source.open()?;
    let packed = reader.info().and_then(|info| info.packed());
    Ok((Array::of_reader(&source, &reader, None)?, source, packed))
}

/// What NetCDF and HDF5 files end in.
const NETCDF: [&str; 6] = ["nc", "nc4", "cdf", "h5", "hdf5", "he5"];

/// What kind of file is at a path.
fn source_of(path: &Path) -> Result<ArraySource> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => {
            let mut members = npz_members(path)?;
            match (members.pop(), members.is_empty()) {
                (Some(only), true) => Ok(ArraySource::npz(path, only)),
                (last, _) => {
                    members.extend(last);
                    let got = format!("{} with {} arrays", path.display(), members.len());
                    let expected = "an .npz file with one: read others by `read_npz`";
                    Err(ExprError::Parameter { what: "file to read", got, expected }.into())
                }
            }
        }
        Some(extension) if NETCDF.contains(&extension) && !path.is_dir() => {
            let mut variables = netcdf_group(path, "")?.variables;
            variables.retain(|(_, is_axis)| !is_axis);
            match (variables.pop(), variables.is_empty()) {
                (Some((only, _)), true) => Ok(ArraySource::netcdf(path, only)),
                (last, _) => {
                    let n = variables.len() + usize::from(last.is_some());
                    let got = format!("{} with {n} arrays", path.display());
                    let expected = "a NetCDF or HDF5 file with one: read others by `read_netcdf_glob`";
                    Err(ExprError::Parameter { what: "file to read", got, expected }.into())
                }
            }
        }
        extension if path.is_dir() || objects::url_of(path).is_some() && extension != Some("npy") => {
            Ok(ArraySource::zarr(path, ""))
        }
        _ => Ok(ArraySource::npy(path)),
    }
}

/// The files whose paths a pattern matches, in order.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    check_files(pattern)?;
    let text = pattern.to_str().ok_or_else(|| {
        let (what, got) = ("pattern", pattern.display().to_string());
        Error::from(ExprError::Parameter { what, got, expected: "a pattern in UTF-8" })
    })?;
    let options = glob::MatchOptions {
        // `*` does not mean what is hidden, among it what is being written.
        require_literal_leading_dot: true,
        require_literal_separator: true,
        case_sensitive: true,
    };
    let found = glob::glob_with(text, options).map_err(|why| {
        let got = format!("{text} ({why})");
        Error::from(ExprError::Parameter { what: "pattern", got, expected: "`*`, `?`, `[..]` and `**`" })
    })?;
    let found = found.map(|path| {
        path.map_err(|error| {
            let at = error.path().to_owned();
            unreadable(&at, error.into())
        })
    });
    in_order(found.collect::<Result<_>>()?, pattern)
}

/// The files of a directory that are arrays, in order.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    check_files(dir)?;
    let entries = std::fs::read_dir(dir).map_err(|e| unreadable(dir, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| unreadable(dir, e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_array = match path.extension().and_then(|e| e.to_str()) {
            _ if hidden => false,
            _ if path.is_dir() => {
                matches!(ZarrNode::new(&path, "").kind(), Ok((ZarrKind::Array, _)))
            }
            Some(extension) => ["npy", "npz"].contains(&extension) || NETCDF.contains(&extension),
            None => false,
        };
        if is_array {
            found.push(path);
        }
    }
    in_order(found, dir)
}

/// Patterns and directories are those of files.
fn check_files(path: &Path) -> Result<()> {
    let Some(url) = objects::url_of(path) else { return Ok(()) };
    let what = "arrays by a pattern or a directory's name in object stores; `read_files` takes their URLs"
        .to_owned();
    Err(FormatError::Unsupported { path: url.to_owned(), what }.into())
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    let path = path.display().to_string();
    match source.kind() {
        io::ErrorKind::NotFound => FormatError::Missing { path }.into(),
        _ => FormatError::Io { path, source }.into(),
    }
}

fn in_order(mut found: Vec<PathBuf>, sought: &Path) -> Result<Vec<PathBuf>> {
    if found.is_empty() {
        return Err(FormatError::Missing { path: sought.display().to_string() }.into());
    }
    found.sort_by(|a, b| natural(a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes()));
    Ok(found)
}

/// The order of names in which runs of digits count as numbers.
fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(l), Some(r)) = (left.first(), right.first()) {
        let by = if l.is_ascii_digit() && r.is_ascii_digit() {
            let ((m, rest_of_left), (n, rest_of_right)) = (number(left), number(right));
            (left, right) = (rest_of_left, rest_of_right);
            m.len().cmp(&n.len()).then(m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            l.cmp(r)
        };
        if by.is_ne() {
            return by;
        }
    }
    // Equal but for zeros before a number.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits at the start of a name without zeros before them, and what follows.
fn number(name: &[u8]) -> (&[u8], &[u8]) {
    let end = name.iter().position(|c| !c.is_ascii_digit()).unwrap_or(name.len());
    let (digits, rest) = name.split_at(end);
    let zeros = digits.iter().take_while(|c| **c == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let sorted =
            ["a", "a-1", "a-2", "a-2b", "a-09", "a-9", "a-10", "a-10/x", "a-11", "b", "b1c2", "b1c10"];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.sort_by(|a, b| natural(a.as_bytes(), b.as_bytes()));
        assert_eq!(shuffled, sorted);
        let long = ["x-99999999999999999999999999998", "x-99999999999999999999999999999"];
        assert_eq!(natural(long[0].as_bytes(), long[1].as_bytes()), Ordering::Less);
    }
}
