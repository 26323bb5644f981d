//! Which objects an URL means: one, those below it, or those that a pattern means, with what they are now. Must not know
//! what is in them.

use super::Object;
use super::door::Door;
use super::refused::Refused;
use crate::api::{Result, nearest};
use crate::error::FrameError;
use crate::names::{GLOB, ends, is_hidden};
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error, ObjectMeta, ObjectStoreExt};
use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use std::time::Duration;
use tilework_formats::FormatError;

/// How long names are looked for that are most like one that is not there.
const NEAREST_TIME_MAX: Duration = Duration::from_secs(2);
/// What directories of objects that are being written are called, and something more.
pub(super) const PARTS: &str = "_tilework-";
/// The name of what says that all objects of a table are there.
pub(super) const COMPLETE: &str = "_SUCCESS";

/// The objects that an URL means, in the order of their names: one, those directly below it whose names end so, or those
/// that match. Names that begin with a dot or an underscore are left out of those below.
pub(crate) fn found(url: &str, ending: &str) -> Result<Vec<Object>> {
    let (before, pattern) = split(url);
    let door = Door::open(before)?;
    let Some(pattern) = pattern else {
        return match head(&door)? {
            Some(meta) => Ok(vec![Object { url: door.url.clone(), meta }]),
            None => directly_below(&door, ending),
        };
    };
    let pattern =
        if door.path.as_ref().is_empty() { pattern.to_owned() } else { format!("{}/{pattern}", door.path) };
    let pattern = Pattern::new(&pattern).map_err(|e| FrameError::argument("path", e.to_string()))?;
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
    let matches = |meta: &ObjectMeta| {
        let key = meta.location.as_ref();
        let is_ours = |name: &str| name.starts_with(PARTS) || name == COMPLETE;
        pattern.matches_with(key, options) && !key.split('/').any(is_ours)
    };
    let objects = named(&door, all_below(&door)?.into_iter().filter(matches));
    if objects.is_empty() {
        Err(FrameError::NoFile { path: url.to_owned(), nearest: Vec::new() })
    } else {
        Ok(objects)
    }
}

/// All objects below an URL whose names end so, in the order of their names, and the URL.
pub(crate) fn found_below(url: &str, ending: &str) -> Result<(String, Vec<Object>)> {
    let door = Door::open(url)?;
    let below = door.path.as_ref().len();
    let seen = |meta: &ObjectMeta| {
        let name = &meta.location.as_ref()[below..];
        let mut names = name.split('/').filter(|name| !name.is_empty()).rev();
        names.next().is_some_and(|name| !is_hidden(name, false) && ends(name, ending))
            && !names.any(|name| is_hidden(name, true))
    };
    let objects = named(&door, all_below(&door)?.into_iter().filter(seen));
    if objects.is_empty() { Err(none(&door)) } else { Ok((door.url, objects)) }
}

/// The URL before a pattern, and the pattern.
fn split(url: &str) -> (&str, Option<&str>) {
    let key = url.find("://").map_or(0, |at| at + 3);
    let key = url[key..].find('/').map_or(url.len(), |at| key + at + 1);
    let is_http = url.starts_with("http");
    // What is behind a question mark in the URL of a server is no pattern.
    let found = url[key..].find(|c| GLOB.contains(&c) && !(is_http && c == '?'));
    match found {
        Some(at) => {
            let cut = url[..key + at].rfind('/').map_or(0, |at| at + 1);
            (&url[..cut], Some(&url[cut..]))
        }
        None => (url, None),
    }
}

/// What an object is now; none if there is none.
fn head(door: &Door) -> Result<Option<ObjectMeta>> {
    if door.path.as_ref().is_empty() {
        return Ok(None);
    }
    match door.ask(|store, path| async move { store.head(&path).await }) {
        Ok(meta) => Ok(Some(meta)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(door.refused(&error).into()),
    }
}

fn directly_below(door: &Door, ending: &str) -> Result<Vec<Object>> {
    if !door.can_list {
        return Err(none(door));
    }
    let listed = door.ask(|store, path| async move { store.list_with_delimiter(Some(&path)).await });
    let listed = listed.map_err(|e| door.refused(&e))?;
    let seen = |meta: &ObjectMeta| {
        let name = meta.location.filename().unwrap_or_default();
        !is_hidden(name, false) && ends(name, ending)
    };
    let objects = named(door, listed.objects.into_iter().filter(seen));
    if objects.is_empty() { Err(none(door)) } else { Ok(objects) }
}

/// All objects below a place.
pub(super) fn all_below(door: &Door) -> Result<Vec<ObjectMeta>> {
    if !door.can_list {
        return Err(Refused::from(FormatError::NoListing { path: door.url.clone() }).into());
    }
    let listed = door.ask(|store, path| async move { store.list(Some(&path)).try_collect::<Vec<_>>().await });
    Ok(listed.map_err(|e| door.refused(&e))?)
}

fn named(door: &Door, found: impl Iterator<Item = ObjectMeta>) -> Vec<Object> {
    let mut objects: Vec<Object> =
        found.map(|meta| Object { url: door.url_of(&meta.location), meta }).collect();
    // As paths are: name by name.
    objects.sort_by(|a, b| a.meta.location.parts().cmp(b.meta.location.parts()));
    objects
}

/// The error of an URL where nothing is, with what is beside it.
fn none(door: &Door) -> FrameError {
    let path = door.url.clone();
    let Some(name) = door.path.filename().filter(|_| door.can_list) else {
        return FrameError::NoFile { path, nearest: Vec::new() };
    };
    let mut beside = door.path.parts().collect::<Vec<_>>();
    beside.pop();
    let beside = Path::from_iter(beside);
    let listed = door.ask(|store, _| async move {
        let listed = tokio::time::timeout(NEAREST_TIME_MAX, store.list_with_delimiter(Some(&beside))).await;
        Ok(listed.ok().and_then(std::result::Result::ok))
    });
    let listed = listed.ok().flatten();
    let of = |path: &Path| path.filename().map(str::to_owned);
    let names = listed.map(|listed| {
        let objects = listed.objects.iter().filter_map(|meta| of(&meta.location));
        objects.chain(listed.common_prefixes.iter().filter_map(of)).collect::<Vec<_>>()
    });
    let names = names.unwrap_or_default();
    FrameError::NoFile { path, nearest: nearest(name, names.iter().map(String::as_str)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_begins_after_the_last_directory_that_has_none() {
        let cases = [
            ("s3://b/t/x.parquet", "s3://b/t/x.parquet", None),
            ("s3://b/t/*.parquet", "s3://b/t/", Some("*.parquet")),
            ("s3://b/y=?/a/*.csv", "s3://b/", Some("y=?/a/*.csv")),
            ("s3://b", "s3://b", None),
            ("http://h/t/x.parquet?sig=1", "http://h/t/x.parquet?sig=1", None),
            ("http://h/t/[ab].parquet", "http://h/t/", Some("[ab].parquet")),
        ];
        for (url, before, pattern) in cases {
            assert_eq!(split(url), (before, pattern), "{url}");
        }
    }
}
