//! Files that lie in an object store (S3, Google's) or on an HTTP server, by their URL.
//!
//! A location is a text: a path, or an URL. A [`Place`] is what an URL names, with the client of its store, which there
//! is once a process. Who may read and write is said by the environment of each process (`AWS_ACCESS_KEY_ID`,
//! `GOOGLE_SERVICE_ACCOUNT` and their like, as the crate `object_store` takes them), so that no secret is ever part of
//! an URL, a plan or a message.
//!
//! Calls block, and may be made on any thread, of an async runtime too: requests run on a small runtime of this
//! module's own, and callers wait.
//!
//! Owns URLs, clients of stores and what their errors mean. Must not know formats.

mod asked;
#[cfg(feature = "object-store")]
mod client;
#[cfg(feature = "object-store")]
mod failure;
#[cfg(not(feature = "object-store"))]
mod left_out;
#[cfg(feature = "object-store")]
mod place;
#[cfg(feature = "object-store")]
mod runtime;

pub use asked::{Listed, Object, Part};
#[cfg(feature = "object-store")]
pub use failure::error;
#[cfg(not(feature = "object-store"))]
pub use left_out::{Place, Version, begin};
#[cfg(feature = "object-store")]
pub use place::{Place, Version};
#[cfg(feature = "object-store")]
pub use runtime::begin;

use std::borrow::Cow;
use std::path::Path;

/// What URLs of files of this machine begin with.
const LOCAL: &str = "file://";

/// Whether a location is an URL of something that is no file of this machine: `s3://bucket/key`.
#[must_use]
pub fn is_url(location: &str) -> bool {
    scheme(location).is_some() && !location.starts_with(LOCAL)
}

/// The URL that a path is, if it is one.
#[must_use]
pub fn url_of(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| is_url(text))
}

/// The path that a location is, if it is one: `/data/x` of `file:///data/x`, and all that is no URL.
#[must_use]
pub fn local_path(location: &str) -> Option<Cow<'_, str>> {
    match location.strip_prefix(LOCAL) {
        Some(url) => Some(decoded(url.strip_prefix("localhost").unwrap_or(url))),
        None => (!is_url(location)).then_some(Cow::Borrowed(location)),
    }
}

/// What stands before `://`.
fn scheme(location: &str) -> Option<&str> {
    let (scheme, _) = location.split_once("://")?;
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_letter)).then_some(scheme)
}

/// The text that `%20` and its like in it stand for; what does not become text stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    String::from_utf8(percent_decoded(text)).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The bytes that a text stands for in which `%20` is a space, and so on; other `%` stand for themselves.
#[must_use]
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|d| first == b'%' && d.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in ["s3://bucket/key", "gs://b", "http://host:80/x", "https://h/x", "az://c/x", "S3://b/x"] {
            assert!(is_url(url) && local_path(url).is_none(), "{url}");
        }
        for path in ["/data/x.zarr", "x", "", "a:b", "/odd://name", "a b://c", "s3:/bucket"] {
            assert_eq!((is_url(path), local_path(path).as_deref()), (false, Some(path)));
        }
        let local = [
            ("file:///data/x", "/data/x"),
            ("file://localhost/x%20y", "/x y"),
            ("file:///a%zz", "/a%zz"),
            ("file:///a%+1", "/a%+1"),
        ];
        for (url, path) in local {
            assert_eq!((is_url(url), local_path(url).as_deref()), (false, Some(path)));
        }
    }
}
