//! Why an object was not read or written, so that it is known again under whatever wraps it. Must not know who asked.

use super::door::meaning;
use crate::error::{DataError, FrameError};
use datafusion::object_store::Error;
use std::sync::Arc;
use tilework_formats::FormatError;

/// Why not.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    /// What the store, or the way to it, says.
    #[error("{0}")]
    Store(#[source] Arc<FormatError>),
    /// It is no more what it was when the table was made.
    #[error("{url} has changed since the table was made")]
    Changed { url: String },
}

impl Refused {
    /// What the failure of a request means.
    pub(super) fn of(url: &str, error: &Error) -> Refused {
        Refused::in_chain(error).unwrap_or_else(|| meaning(url, error).into())
    }

    /// One of ours under whatever wraps it.
    pub(crate) fn in_chain(error: &(dyn std::error::Error + 'static)) -> Option<Refused> {
        let mut at = Some(error);
        while let Some(error) = at {
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(ours) = error.downcast_ref::<Refused>() {
                return Some(ours.clone());
            }
            if let Some(ours) = inner.and_then(|inner| inner.downcast_ref::<Refused>()) {
                return Some(ours.clone());
            }
            at = error.source();
        }
        None
    }

    /// As an error of a store, for code that knows no others.
    pub(super) fn into_store_error(self) -> Error {
        Error::Generic { store: "objects", source: Box::new(self) }
    }

    pub(crate) fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }
}

impl From<FormatError> for Refused {
    fn from(error: FormatError) -> Refused {
        Refused::Store(Arc::new(error))
    }
}

impl From<Refused> for FrameError {
    fn from(refused: Refused) -> FrameError {
        match refused {
            Refused::Store(error) => match &*error {
                FormatError::Missing { path } => {
                    FrameError::NoFile { path: path.clone(), nearest: Vec::new() }
                }
                FormatError::Exists { path, .. } => FrameError::Exists { path: path.clone() },
                _ => FrameError::Store(error),
            },
            Refused::Changed { url } => FrameError::Changed { path: url },
        }
    }
}

impl From<Refused> for DataError {
    fn from(refused: Refused) -> DataError {
        let error = match refused {
            Refused::Store(error) => error,
            Refused::Changed { url } => return DataError::Changed { path: url },
        };
        match &*error {
            FormatError::Missing { path } => DataError::NoFile { path: path.clone() },
            FormatError::Denied { path, reason } => {
                DataError::Denied { path: path.clone(), reason: reason.clone() }
            }
            FormatError::Unreachable { path, reason } => {
                DataError::Unreachable { path: path.clone(), reason: reason.clone() }
            }
            other => DataError::File(other.to_string()),
        }
    }
}
