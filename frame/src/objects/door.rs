//! The way to a store: its client, and requests that a thread waits for. The only place that a build without object stores
//! does otherwise.

use super::refused::Refused;
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error, ObjectStore};
use std::sync::Arc;
use tilework_formats::objects::begin;

/// A store, and a path in it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
    /// The URL of both, without a `/` at its end.
    pub url: String,
    /// The URL of the store.
    pub store_url: String,
    pub can_list: bool,
    pub can_write: bool,
}

impl Door {
    /// What an URL names. Asks nobody.
    pub(crate) fn open(url: &str) -> Result<Door, Refused> {
        opened(url).map_err(Refused::from)
    }

    /// The URL of a path in the store.
    pub(crate) fn url_of(&self, path: &Path) -> String {
        format!("{}/{path}", self.store_url)
    }

    /// What the failure of a request about the place means.
    pub(crate) fn refused(&self, error: &Error) -> Refused {
        Refused::of(&self.url, error)
    }

    /// Asks the store and waits, on any thread.
    pub(crate) fn ask<T: Send + 'static, F>(
        &self,
        request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let answer = begin(request(self.store.clone(), self.path.clone()));
        answer.recv().unwrap_or_else(|_| {
            Err(Error::NotImplemented {
                operation: "a request that ended without an answer".to_owned(),
                implementer: self.store_url.clone(),
            })
        })
    }
}

#[cfg(feature = "object-store")]
fn opened(url: &str) -> Result<Door, tilework_formats::FormatError> {
    let place = tilework_formats::objects::Place::open(url)?;
    Ok(Door {
        store: place.store(),
        path: place.path().clone(),
        url: place.url().to_owned(),
        store_url: place.store_url().to_owned(),
        can_list: place.can_list(),
        can_write: place.can_write(),
    })
}

#[cfg(not(feature = "object-store"))]
fn opened(url: &str) -> Result<Door, tilework_formats::FormatError> {
    let place = tilework_formats::objects::Place::open(url)?;
    Err(tilework_formats::FormatError::ObjectsLeftOut { path: place.url().to_owned() })
}

/// What the failure of a request means.
#[cfg(feature = "object-store")]
pub(super) fn meaning(url: &str, error: &Error) -> tilework_formats::FormatError {
    tilework_formats::objects::error(url, error)
}

#[cfg(not(feature = "object-store"))]
pub(super) fn meaning(url: &str, _: &Error) -> tilework_formats::FormatError {
    tilework_formats::FormatError::ObjectsLeftOut { path: url.to_owned() }
}

#[cfg(all(test, not(feature = "object-store")))]
mod tests {
    use super::*;
    use crate::error::FrameError;

    #[test]
    fn object_stores_that_were_left_out_say_so() {
        let error = FrameError::from(Door::open("s3://bucket/x.parquet").unwrap_err());
        assert!(matches!(error, FrameError::Store(_)), "{error}");
        assert!(error.to_string().contains("need the feature `object-store`"), "{error}");
    }
}
