//! The stores that queries of this process read: files of this machine, and whatever store an URL names, opened when it is
//! first asked for. Must not know what is read.

use super::door::Door;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::object_store::ObjectStore;
use std::sync::Arc;
use tilework_formats::objects::is_url;
use url::Url;

/// Those that were registered, and those that URLs name.
#[derive(Debug, Default)]
pub(crate) struct Stores(DefaultObjectStoreRegistry);

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.0.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.0.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.0.get_store(url).or_else(|error| match is_url(url.as_str()) {
            true => {
                let opened = Door::open(url.as_str()).map_err(|e| DataFusionError::External(Box::new(e)))?;
                Ok(opened.store)
            }
            false => Err(error),
        })
    }
}

/// One store, whatever is asked for.
#[derive(Debug)]
pub(super) struct Only(pub Arc<dyn ObjectStore>);

impl ObjectStoreRegistry for Only {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _: &Url) -> Result<Arc<dyn ObjectStore>> {
        Ok(self.0.clone())
    }
}
