//! What can go wrong for the user of arrays: a mistake in the expression, a file, the system, or the cluster.
//!
//! Must not know who finds it.

mod cluster;

use crate::futures::FutureError;
pub use cluster::ClusterError;
use std::path::{Path, PathBuf};
use tilework_expr::{DType, ExprError};
use tilework_plan::{JobError, debug_is_display, quantities};

/// Why an array could not be built or computed, or a task's value not be had.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mistake in the expression: shapes, axes, dtypes, chunks.
    #[error(transparent)]
    Expr(#[from] ExprError),
    /// A mistake in a query on tables, or what became of it.
    #[cfg(feature = "dataframe")]
    #[error(transparent)]
    Frame(#[from] tilework_frame::FrameError),
    /// A file could not be read or written as an array.
    #[error(transparent)]
    Format(#[from] tilework_formats::FormatError),
    /// An array of another dtype than the program asks for.
    #[error("{what} holds {got}, expected {expected}")]
    DType {
        /// What was opened.
        what: String,
        /// Its dtype.
        got: DType,
        /// The wanted dtype.
        expected: DType,
    },
    /// An array of another number of dimensions than the program asks for.
    #[error("{what} has {got} dimensions, expected {expected}")]
    Dimensions {
        /// What was opened.
        what: String,
        /// Its number of dimensions.
        got: usize,
        /// The wanted number.
        expected: usize,
    },
    /// Something of another kind than the program asks for: a value where an array is wanted, or the reverse.
    #[error("{what} is {got}, expected {expected}")]
    Kind {
        /// What was asked for.
        what: String,
        /// What it is.
        got: &'static str,
        /// What was wanted.
        expected: &'static str,
    },
    /// A shape or strides that ndarray refuses.
    #[error(transparent)]
    Shape(#[from] ndarray::ShapeError),
    /// A result larger than the limit of what is gathered into this process.
    #[error(
        "the result has {}, and at most {} are gathered into this process; reduce or slice it first, write it with \
         `write_zarr`, keep it on the workers with `persist`, or raise the limit with `Session::gather_bytes_max`",
        quantities::bytes(*.bytes),
        quantities::bytes(*.limit)
    )]
    TooLargeToGather {
        /// Bytes of the result.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The computation failed.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What was to be written to a file could not be computed; the file is as it was.
    #[error("{why}; nothing was written: {path} is as it was", path = path.display())]
    NotWritten {
        /// The file, or the array in its store.
        path: PathBuf,
        /// Why.
        why: Box<Error>,
    },
    /// The cluster cannot be reached or was lost.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something that the environment, or the program, says of a session's workers.
    #[error("{name} is {got}, expected {expected}")]
    Setting {
        /// The variable, or what it is.
        name: String,
        /// What it says.
        got: String,
        /// What would have been right, in words.
        expected: String,
    },
    /// The system refused what a session needs.
    #[error("cannot {act}: {why}")]
    System {
        /// What, in words.
        act: String,
        /// Why.
        why: String,
    },
    /// A function that does not travel to the workers.
    #[error(transparent)]
    Function(#[from] crate::closures::FunctionError),
    /// An own task, or its value.
    #[error(transparent)]
    Future(#[from] FutureError),
    /// A name under which something is kept, or is not.
    #[error(transparent)]
    Name(#[from] crate::names::NameError),
    /// Something that this program was built without.
    #[error(
        "{what} needs the feature `{feature}` of the crate tilework, which this program was built without"
    )]
    LeftOut {
        /// What was asked for.
        what: &'static str,
        /// The feature to switch on.
        feature: &'static str,
    },
    /// The workers of a session could not be started.
    #[error("cannot start {what} ({path}): {why}", path = path.display())]
    Start {
        /// What.
        what: &'static str,
        /// The executable.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Error {
    /// What is wrong with the cluster, where that is why; also where it is why a file was not written, or a task not
    /// submitted.
    ///
    /// ```
    /// let error = tilework::Session::connect("/nowhere/connection.json").unwrap_err();
    /// # #[cfg(feature = "cluster")]
    /// assert!(matches!(error.cluster(), Some(tilework::ClusterError::ConnectionFile(_))));
    /// ```
    #[must_use]
    pub fn cluster(&self) -> Option<&ClusterError> {
        match self {
            Error::Cluster(error) => Some(error),
            Error::NotWritten { why, .. } => why.cluster(),
            Error::Future(FutureError::NotSent { cluster, .. }) => cluster.as_ref(),
            _ => None,
        }
    }

    /// What a session needs and the system refuses.
    pub(crate) fn system(act: impl Into<String>, why: impl std::fmt::Display) -> Error {
        Error::System { act: act.into(), why: why.to_string() }
    }

    /// What is said of workers and makes no sense.
    pub(crate) fn setting(name: &str, got: impl std::fmt::Display, expected: impl Into<String>) -> Error {
        Error::Setting { name: name.to_owned(), got: got.to_string(), expected: expected.into() }
    }

    pub(crate) fn not_written(path: &Path, why: Error) -> Error {
        Error::NotWritten { path: path.to_owned(), why: Box::new(why) }
    }
}

debug_is_display!(Error);

/// An error and its causes in one line.
#[cfg(feature = "cluster")]
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The result of building or computing an array.
pub type Result<T> = std::result::Result<T, Error>;

/// The value, or ndarray's way of telling a mistake: a panic with the error's text.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("tilework: {error}"),
    }
}
