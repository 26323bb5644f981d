//! What can go wrong for the user of arrays: a mistake in the expression, a file, or the cluster.

use std::path::PathBuf;
use tilework_expr::{DType, ExprError, JobError};

/// Why an array could not be built or computed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A mistake in the expression: shapes, axes, dtypes, chunks.
    #[error(transparent)]
    Expr(#[from] ExprError),
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
    /// A shape or strides that ndarray refuses.
    #[error(transparent)]
    Shape(#[from] ndarray::ShapeError),
    /// A result larger than the limit of what is gathered into this process.
    #[error(
        "the result has {bytes} bytes, and at most {limit} are gathered into this process; reduce or slice it first, \
         write it with `write_zarr`, keep it on the workers with `persist`, or raise the limit with \
         `Session::gather_bytes_max`"
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
    /// The cluster cannot be reached or was lost.
    #[error("{0}")]
    Cluster(String),
    /// A function that does not travel to the workers.
    #[error(transparent)]
    Function(#[from] crate::closures::FunctionError),
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
