//! What can go wrong with an array file, said so that the reader of the message can act on it.
//!
//! Owns the one error type of this crate. Must not know which operation of a program asked for the file.

use std::io;
use std::ops::Range;
use thiserror::Error;
use tilework_expr::DType;
use tilework_plan::debug_is_display;

/// A failure to open, read or write an array file; `path` is the file, with the member or the array inside it.
#[derive(Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There is nothing at the path.
    #[error("{path}: no such file, store or array")]
    Missing {
        /// Where it was looked for.
        path: String,
    },
    /// An `.npz` file has no member of that name.
    #[error("{path}: no member `{member}`, expected one of: {available}")]
    MissingMember {
        /// The archive.
        path: String,
        /// The name asked for.
        member: String,
        /// The names that the archive has.
        available: String,
    },
    /// A NetCDF or HDF5 file has no array, or group, of that name.
    #[error("{path}: there is no `{variable}`; there is: {available}")]
    MissingVariable {
        /// The file.
        path: String,
        /// The name asked for.
        variable: String,
        /// The names that are nearest to it.
        available: String,
    },
    /// The file is shorter than its own header says.
    #[error("{path}: truncated: got {got} bytes, expected {expected}")]
    Truncated {
        /// The file.
        path: String,
        /// Bytes that the header promises.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The file is no array of the format that was asked for.
    #[error("{path}: not a readable array: {reason}")]
    NotAnArray {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes contradict their own checksum or encoding.
    #[error("{path}: corrupt: {reason}")]
    Corrupt {
        /// The file.
        path: String,
        /// What does not fit.
        reason: String,
    },
    /// Elements of a type that arrays here cannot have.
    #[error(
        "{path}: unsupported element type {got}, expected bool, an 8 to 64 bit integer, a 32 or 64 bit float or a complex number of these"
    )]
    UnsupportedDType {
        /// The file.
        path: String,
        /// The type as the file spells it.
        got: String,
    },
    /// A feature of the format that is not read or written here.
    #[error("{path}: unsupported: {what}")]
    Unsupported {
        /// The file.
        path: String,
        /// The feature.
        what: String,
    },
    /// The elements have another type than the caller needs.
    #[error("{path}: holds {got}, expected {expected}")]
    WrongDType {
        /// The file.
        path: String,
        /// The type the caller needs.
        expected: DType,
        /// The type in the file.
        got: DType,
    },
    /// The shape is another one than the caller needs.
    #[error("{path}: got shape {got:?}, expected {expected:?}")]
    WrongShape {
        /// The file.
        path: String,
        /// The shape the caller needs.
        expected: Vec<usize>,
        /// The shape in the file.
        got: Vec<usize>,
    },
    /// The number of axes is another one than the caller needs.
    #[error("{path}: got {got} axes, expected {expected}")]
    WrongRank {
        /// The file.
        path: String,
        /// The number of axes the caller needs.
        expected: usize,
        /// The number of axes in the file.
        got: usize,
    },
    /// Shape times element size does not fit in memory addresses.
    #[error("{path}: shape {shape:?} of {itemsize}-byte elements is too large to address")]
    TooLarge {
        /// The file.
        path: String,
        /// The shape.
        shape: Vec<u64>,
        /// Bytes of one element.
        itemsize: usize,
    },
    /// The box reaches outside the array.
    #[error("{path}: box {region:?} is outside shape {shape:?}")]
    OutOfBounds {
        /// The file.
        path: String,
        /// The box asked for.
        region: Vec<Range<usize>>,
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// The box to write is not exactly one storage chunk (or shard).
    #[error("{path}: box {region:?} is not one whole chunk of {chunks:?} (cut at the array's end)")]
    Unaligned {
        /// The array.
        path: String,
        /// The box that was to be written.
        region: Vec<Range<usize>>,
        /// The shape of the smallest unit that can be written.
        chunks: Vec<usize>,
    },
    /// The caller's buffer does not have the size of the box.
    #[error("{path}: got a buffer of {got} bytes, expected {expected}")]
    WrongLength {
        /// The file.
        path: String,
        /// Bytes of the box.
        expected: usize,
        /// Bytes of the buffer.
        got: usize,
    },
    /// A file was finished before all of its elements were written.
    #[error("{path}: incomplete: got {got} bytes of data, expected {expected}")]
    Incomplete {
        /// The file.
        path: String,
        /// Bytes of the whole array.
        expected: u64,
        /// Bytes that were written.
        got: u64,
    },
    /// There is a node of another kind where a group was asked for.
    #[error("{path}: got {got}, expected a group of a zarr store")]
    NotAGroup {
        /// Where it was looked for.
        path: String,
        /// What is there.
        got: &'static str,
    },
    /// An attribute that does not say what it must.
    #[error("{path}: attribute `{name}` is {got}, expected {expected}")]
    Attribute {
        /// The array or group.
        path: String,
        /// The attribute's name.
        name: String,
        /// What it says.
        got: String,
        /// What it would have to say, in words.
        expected: String,
    },
    /// The attributes of a node are not a JSON object.
    #[error("{path}: the attributes are {got}, expected a JSON object")]
    Attributes {
        /// The array or group.
        path: String,
        /// What they are.
        got: String,
    },
    /// An array has become another one while a part of it was written.
    #[error(
        "{path}: got {got}, expected {expected}: it has changed since the write began, and is left as it is"
    )]
    Changed {
        /// The array.
        path: String,
        /// What it is now.
        got: String,
        /// What it was.
        expected: String,
    },
    /// Something is there already and was not to be replaced.
    #[error("{path}: exists already: {reason}")]
    Exists {
        /// Where.
        path: String,
        /// What is there and why it is left alone.
        reason: String,
    },
    /// What the caller asked to be written makes no sense.
    #[error("{path}: invalid request: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// Got and expected.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A folder that is to be written into cannot be.
    #[error("{path}: cannot write into this folder: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The new array could not be put in the place of the old one. Nothing of either is lost.
    #[error(
        "{path}: putting the new array in its place was interrupted: {source}; the old and the new data are in \
         `{kept}`, and the next write there finishes it"
    )]
    Interrupted {
        /// The array.
        path: String,
        /// The directory that holds what is not in its place.
        kept: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Zarr, in a build that has left it out.
    #[error(
        "{path}: Zarr stores need the feature `zarr` of the crate tilework, which this program was built without"
    )]
    LeftOut {
        /// The store.
        path: String,
    },
    /// A NetCDF or HDF5 file, in a build that has left them out.
    #[error(
        "{path}: NetCDF and HDF5 files need the feature `netcdf` of the crate tilework (of a worker, of tilework-cli), \
         which this program was built without"
    )]
    NetcdfLeftOut {
        /// The file.
        path: String,
    },
    /// An object store, in a build that has left them out.
    #[error(
        "{path}: object stores need the feature `object-store` of the crate tilework (of a worker, of tilework-cli), \
         which this program was built without"
    )]
    ObjectsLeftOut {
        /// The URL.
        path: String,
    },
    /// An object store does not let this process in.
    #[error("{path}: no permission: {reason}")]
    Denied {
        /// The URL.
        path: String,
        /// What the server said, and where credentials were looked for.
        reason: String,
    },
    /// There is no bucket of that name.
    #[error(
        "{path}: there is no such bucket where this process looks for it (region and endpoint are of its environment)"
    )]
    NoBucket {
        /// The URL.
        path: String,
    },
    /// The server of an object store does not answer.
    #[error("{path}: the server cannot be reached: {reason}")]
    Unreachable {
        /// The URL.
        path: String,
        /// The last try's failure.
        reason: String,
    },
    /// What has to be listed lies where nothing is.
    #[error(
        "{path}: HTTP servers do not list what they have: name what is to be read, or read a store with consolidated \
         metadata"
    )]
    NoListing {
        /// The URL.
        path: String,
    },
    /// A request to an object store failed.
    #[error("{path}: object store: {reason}")]
    Object {
        /// The URL.
        path: String,
        /// The store's error.
        reason: String,
    },
    /// A Zarr store or codec failed.
    #[error("{path}: zarr: {reason}")]
    Zarr {
        /// The array.
        path: String,
        /// The library's error.
        reason: String,
    },
}

debug_is_display!(FormatError);

impl FormatError {
    /// An error of the operating system at `path`; "not found" becomes [`FormatError::Missing`].
    pub(crate) fn io(path: &str, source: io::Error) -> FormatError {
        let path = path.to_owned();
        if let Some(error) = source.get_ref().and_then(|e| e.downcast_ref::<FormatError>()?.again()) {
            return error;
        }
        match source.kind() {
            io::ErrorKind::NotFound => FormatError::Missing { path },
            _ => FormatError::Io { path, source },
        }
    }

    /// The error of whoever writes where objects are read alone: at `path`, or what errors call it.
    #[must_use]
    pub fn read_only(path: &str) -> FormatError {
        let what = "writing to an HTTP server, expected `s3://` or `gs://`".to_owned();
        FormatError::Unsupported { path: path.to_owned(), what }
    }

    /// The same error once more, of those that an object store's answer becomes; it may have come through a library
    /// that keeps it.
    pub(crate) fn again(&self) -> Option<FormatError> {
        macro_rules! again {
            ($($kind:ident { $($field:ident),* })*) => {
                match self {
                    $(FormatError::$kind { $($field),* } => {
                        Some(FormatError::$kind { $($field: $field.clone()),* })
                    })*
                    _ => None,
                }
            };
        }
        again! {
            Missing { path }
            NoBucket { path }
            NoListing { path }
            ObjectsLeftOut { path }
            Denied { path, reason }
            Unreachable { path, reason }
            Object { path, reason }
            Exists { path, reason }
            Invalid { path, reason }
            NotAnArray { path, reason }
            Unsupported { path, what }
        }
    }
}
