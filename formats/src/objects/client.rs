//! One client a store and process, made from the environment when it is first asked for.
//!
//! Owns how URLs are read. Must not know what is done with objects.

use super::failure::{self, TRIED_FOR};
use super::{runtime, scheme};
use crate::FormatError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use std::collections::HashMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The longest that one request takes, with all that is sent or comes; `AWS_TIMEOUT` and `GOOGLE_TIMEOUT` say another one.
const REQUEST_MAX: &str = "120 seconds";
/// How long a connection is tried; `AWS_CONNECT_TIMEOUT` and `GOOGLE_CONNECT_TIMEOUT` say another time.
const CONNECT_MAX: &str = "5 seconds";

/// Whose stores they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    S3,
    Google,
    Http,
}

/// A store and its client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) kind: Kind,
    /// The store's URL, `s3://bucket`.
    pub(super) url: String,
    pub(super) store: Arc<dyn ObjectStore>,
}

/// The store of an URL, and the path in it.
pub(super) fn open(location: &str) -> Result<(Arc<Client>, Path), FormatError> {
    static OPEN: Mutex<Option<HashMap<String, Arc<Client>>>> = Mutex::new(None);
    let (kind, url, path) = parsed(location)?;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.get_or_insert_default();
    if let Some(client) = open.get(&url) {
        return Ok((client.clone(), path));
    }
    let store = connect(kind, &url).map_err(|e| failure::error(location, &e))?;
    let client = Arc::new(Client { kind, url: url.clone(), store });
    open.insert(url, client.clone());
    Ok((client, path))
}

/// The parts of an URL: whose store, the store's own URL, the path.
fn parsed(location: &str) -> Result<(Kind, String, Path), FormatError> {
    let invalid = |shown: &str, reason: String| FormatError::Invalid { path: shown.to_owned(), reason };
    let named = scheme(location).unwrap_or_default();
    let rest = location.get(named.len() + "://".len()..).unwrap_or_default();
    let (store, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (kind, scheme) = match named.to_ascii_lowercase().as_str() {
        "s3" | "s3a" => (Kind::S3, "s3"),
        "gs" => (Kind::Google, "gs"),
        "http" => (Kind::Http, "http"),
        "https" => (Kind::Http, "https"),
        _ => {
            let reason = "expected an URL of `s3`, `gs`, `http`, `https` or `file`".to_owned();
            return Err(invalid(location, reason));
        }
    };
    // What may be a secret is not shown.
    if let Some((_, host)) = store.rsplit_once('@') {
        let reason =
            "got a user's name in an URL, expected credentials in the environment: an URL is shown and sent";
        return Err(invalid(&format!("{scheme}://{host}/{path}"), reason.to_owned()));
    }
    if store.is_empty() {
        return Err(invalid(location, "got no bucket or host, expected `s3://bucket/key`".to_owned()));
    }
    let path = if kind == Kind::Http {
        if let Some((before, _)) = path.split_once(['?', '#']) {
            let reason = "got an URL with a query, expected one without: an URL is shown and sent".to_owned();
            return Err(invalid(&format!("{scheme}://{store}/{before}"), reason));
        }
        Path::from_url_path(path)
    } else {
        // Keys are said as they are, as the tools of these stores have them.
        Path::parse(path)
    };
    let path = path.map_err(|e| invalid(location, format!("got a key that stores do not take: {e}")))?;
    Ok((kind, format!("{scheme}://{store}"), path))
}

fn connect(kind: Kind, url: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: PAUSE_MAX, ..BackoffConfig::default() },
        retry_timeout: TRIED_FOR,
        ..RetryConfig::default()
    };
    // Connections outlive the runtimes of those who ask.
    let connector = SpawnedReqwestConnector::new(runtime::handle().clone());
    let times = |prefix: &str| {
        let times = [
            ("TIMEOUT", ClientConfigKey::Timeout, REQUEST_MAX),
            ("CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout, CONNECT_MAX),
        ];
        let said = move |name: &str| env::var_os(name).is_some();
        let prefix = prefix.to_owned();
        times
            .into_iter()
            .filter(move |(name, ..)| !said(&format!("{prefix}_{name}")))
            .map(|(_, key, time)| (key, time))
    };
    Ok(match kind {
        Kind::S3 => {
            let builder =
                AmazonS3Builder::from_env().with_url(url).with_retry(retry).with_http_connector(connector);
            let set = |b: AmazonS3Builder, (key, time)| b.with_config(AmazonS3ConfigKey::Client(key), time);
            Arc::new(times("AWS").fold(builder, set).build()?)
        }
        Kind::Google => {
            let builder = GoogleCloudStorageBuilder::from_env()
                .with_url(url)
                .with_retry(retry)
                .with_http_connector(connector);
            let set =
                |b: GoogleCloudStorageBuilder, (key, time)| b.with_config(GoogleConfigKey::Client(key), time);
            Arc::new(times("GOOGLE").fold(builder, set).build()?)
        }
        Kind::Http => {
            let options = ClientOptions::new().with_allow_http(true);
            let builder = HttpBuilder::new().with_url(url).with_client_options(options);
            let builder = builder.with_retry(retry).with_http_connector(connector);
            Arc::new(times("HTTP").fold(builder, |b, (key, time)| b.with_config(key, time)).build()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_is_a_store_and_a_path() {
        let good = [
            ("s3://bucket/a/b.zarr", Kind::S3, "s3://bucket", "a/b.zarr"),
            ("S3A://bucket/a b/c%20?#/", Kind::S3, "s3://bucket", "a b/c%20?#"),
            ("gs://bucket", Kind::Google, "gs://bucket", ""),
            ("http://h:8000/a%20b/c/", Kind::Http, "http://h:8000", "a b/c"),
        ];
        for (location, kind, url, path) in good {
            assert_eq!(parsed(location).unwrap(), (kind, url.to_owned(), Path::parse(path).unwrap()));
        }
        let bad = [
            ("ftp://h/x", "expected an URL of `s3`"),
            ("s3:///x", "got no bucket"),
            ("s3://b/a//b", "empty path segment"),
            ("s3://b/../x", "got a key"),
            ("https://me:secret@h/x", "https://h/x: invalid request: got a user's name"),
            ("https://h/x?sig=secret", "https://h/x: invalid request: got an URL with a query"),
        ];
        for (location, expected) in bad {
            let error = parsed(location).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{error}");
        }
    }
}
