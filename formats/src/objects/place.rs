//! One object, or what lies below one name, and what can be done with it.
//!
//! Must not know formats, nor how requests are sent.

use super::client::{self, Client, Kind};
use super::runtime::block_on;
use super::{Listed, Object, Part, failure};
use crate::FormatError;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion,
};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

/// Objects of more bytes are sent in parts, each with a time of its own.
const PART_BYTES: usize = 32 << 20;
/// Parts of one object that are sent at a time.
const N_PARTS: usize = 4;
/// Requests of one call that run at a time.
const N_REQUESTS: usize = 32;

/// What an URL names in an object store: an object, or the start of the names of several.
#[derive(Clone, Debug)]
pub struct Place {
    client: Arc<Client>,
    path: Path,
    url: String,
}

impl Part {
    fn range(self) -> Option<GetRange> {
        match self {
            Part::Whole => None,
            Part::Range(Range { start, end: u64::MAX }) => Some(GetRange::Offset(start)),
            Part::Range(range) => Some(GetRange::Bounded(range)),
            Part::Last(n) => Some(GetRange::Suffix(n)),
        }
    }

    /// The bytes of a whole object that are meant.
    fn of(&self, whole: &Bytes) -> Bytes {
        let len = whole.len();
        let at = |n: u64| usize::try_from(n).map_or(len, |n| n.min(len));
        match self {
            Part::Whole => whole.clone(),
            Part::Range(range) => whole.slice(at(range.start)..at(range.end.max(range.start))),
            Part::Last(n) => whole.slice(len - at(*n)..),
        }
    }
}

/// Which content of an object was read, so that it is replaced if it is still that.
#[derive(Clone, Debug)]
pub struct Version(UpdateVersion);

impl Place {
    /// The place that an URL names: `s3://bucket/key`, `gs://bucket/key`, `https://host/path`. Asks nobody; where the
    /// store is and who may use it is taken from the environment when a process first names the store, and kept.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] for an URL of another kind, and for one with a user's name or a query, which could be
    /// secrets; [`FormatError::Object`] for an environment that makes no sense.
    pub fn open(location: &str) -> Result<Place, FormatError> {
        let (client, path) = client::open(location)?;
        Ok(Place::new(client, path))
    }

    fn new(client: Arc<Client>, path: Path) -> Place {
        let url = match path.as_ref() {
            "" => client.url.clone(),
            path if client.kind == Kind::Http => format!("{}/{}", client.url, encoded(path)),
            path => format!("{}/{path}", client.url),
        };
        Place { client, path, url }
    }

    /// The URL, without a `/` at its end, to be shown and sent.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the store: `s3://bucket`, `https://host`.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.client.url
    }

    /// The path within the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's client. Its requests run on threads of their own, whoever waits for them; only pauses between tries
    /// need a runtime of tokio's where they are awaited.
    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.client.store.clone()
    }

    /// Whether the store says which objects it has.
    #[must_use]
    pub fn can_list(&self) -> bool {
        self.client.kind != Kind::Http
    }

    /// Whether objects are written here; files of HTTP servers are not.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.client.kind != Kind::Http
    }

    /// The place `name` below this one, which may be several names: `a/b`. Itself, where there is none.
    ///
    /// # Errors
    /// [`FormatError::Invalid`] for names that stores do not take: `..`, `a//b`.
    pub fn join(&self, name: &str) -> Result<Place, FormatError> {
        let separator = if self.path.as_ref().is_empty() || name.is_empty() { "" } else { "/" };
        let path =
            Path::parse(format!("{}{separator}{name}", self.path)).map_err(|e| FormatError::Invalid {
                path: self.url.clone(),
                reason: format!("got the name `{name}`, which stores do not take: {e}"),
            })?;
        Ok(Place::new(self.client.clone(), path))
    }

    /// The whole object; `None` where there is none.
    ///
    /// # Errors
    /// [`FormatError::Denied`], [`FormatError::NoBucket`], [`FormatError::Unreachable`], [`FormatError::Object`].
    pub fn get(&self) -> Result<Option<Bytes>, FormatError> {
        self.found(|store, path| async move { store.get(&path).await?.bytes().await })
    }

    /// The whole object, unless it has more bytes than this.
    ///
    /// # Errors
    /// As [`Place::get`]; [`FormatError::Object`] for a larger one.
    pub fn get_at_most(&self, bytes_max: u64) -> Result<Option<Bytes>, FormatError> {
        let place = self.clone();
        block_on(async move { place.part(Part::Whole, bytes_max).await })
    }

    /// Bytes of many objects, asked for together, in their order; `None` of those that are not there. One failure does
    /// not stop the others.
    #[must_use]
    pub fn get_many(wanted: Vec<(Place, Part)>, bytes_max: u64) -> Vec<Result<Option<Bytes>, FormatError>> {
        let get = move |(place, part): (Place, Part)| async move { place.part(part, bytes_max).await };
        block_on(async move { stream::iter(wanted).map(get).buffered(N_REQUESTS).collect().await })
    }

    /// Bytes of one object; at most so many.
    async fn part(&self, part: Part, bytes_max: u64) -> Result<Option<Bytes>, FormatError> {
        let store = &self.client.store;
        let got = async {
            let options = GetOptions::new().with_range(part.clone().range());
            let answer = match store.get_opts(&self.path, options).await {
                // Then all of it is sent, and the rest is not kept.
                Err(e) if part != Part::Whole && self.client.kind == Kind::Http && failure::no_ranges(&e) => {
                    let whole = store.get_opts(&self.path, GetOptions::new()).await?.bytes().await?;
                    return Ok(Ok(part.of(&whole)));
                }
                answer => answer?,
            };
            let size = answer.range.end - answer.range.start;
            if size > bytes_max { Ok(Err(size)) } else { answer.bytes().await.map(Ok) }
        };
        match self.or_none(got.await)? {
            Some(Err(size)) => Err(FormatError::Object {
                path: self.url.clone(),
                reason: format!("got {size} bytes, expected at most {bytes_max}"),
            }),
            Some(Ok(bytes)) => Ok(Some(bytes)),
            None => Ok(None),
        }
    }

    /// The whole object, and which content it is.
    ///
    /// # Errors
    /// As [`Place::get`].
    pub fn get_version(&self) -> Result<Option<(Bytes, Version)>, FormatError> {
        self.found(|store, path| async move {
            let answer = store.get(&path).await?;
            let version =
                UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
            Ok((answer.bytes().await?, Version(version)))
        })
    }

    /// Writes the whole object if it is still the one that was read, and says whether it was. Where a store has no such
    /// writes, the last writer wins.
    ///
    /// # Errors
    /// As [`Place::put`].
    pub fn put_version(&self, bytes: impl Into<Bytes>, version: Version) -> Result<bool, FormatError> {
        self.check_writable()?;
        let payload = PutPayload::from(bytes.into());
        self.ask(|store, path| async move {
            let mode = PutMode::Update(version.0);
            match store.put_opts(&path, payload.clone(), mode.into()).await {
                Err(Error::NotImplemented { .. }) => store.put(&path, payload).await.map(|_| true),
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotFound { .. }) => {
                    Ok(false)
                }
                put => put.map(|_| true),
            }
        })
    }

    /// Makes copies of objects of one store, many at a time, without their bytes coming here.
    ///
    /// # Errors
    /// As [`Place::put`]; [`FormatError::Missing`] for one that is not there.
    pub fn copy_many(copies: Vec<(Place, Place)>) -> Result<(), FormatError> {
        let copy = |(from, to): (Place, Place)| async move {
            to.check_writable()?;
            let copied = from.client.store.copy(&from.path, &to.path).await;
            copied.map_err(|e| failure::error(&from.url, &e))
        };
        let copied = async move { stream::iter(copies).map(copy).buffered(N_REQUESTS).try_collect().await };
        block_on(copied).map(|_: Vec<()>| ())
    }

    /// The object's length in bytes; `None` where there is none.
    ///
    /// # Errors
    /// As [`Place::get`].
    pub fn size(&self) -> Result<Option<u64>, FormatError> {
        self.found(|store, path| async move { Ok(store.head(&path).await?.size) })
    }

    /// Writes the whole object: readers find what was there before or all of it.
    ///
    /// # Errors
    /// As [`Place::get`]; [`FormatError::Unsupported`] for an HTTP server.
    pub fn put(&self, bytes: impl Into<Bytes>) -> Result<(), FormatError> {
        self.check_writable()?;
        let bytes = bytes.into();
        self.ask(|store, path| async move {
            match bytes.len() {
                0..=PART_BYTES => store.put(&path, PutPayload::from(bytes)).await.map(drop),
                _ => put_parts(&*store, &path, bytes).await,
            }
        })
    }

    /// Writes an object where there is none, and says whether there was none. Where a store has no such writes, it is
    /// looked for first.
    ///
    /// # Errors
    /// As [`Place::put`].
    pub fn put_new(&self, bytes: impl Into<Bytes>) -> Result<bool, FormatError> {
        self.check_writable()?;
        let payload = PutPayload::from(bytes.into());
        self.ask(|store, path| async move {
            match store.put_opts(&path, payload.clone(), PutMode::Create.into()).await {
                Err(Error::NotImplemented { .. }) => match store.head(&path).await {
                    Ok(_) => Ok(false),
                    Err(Error::NotFound { .. }) => store.put(&path, payload).await.map(|_| true),
                    Err(error) => Err(error),
                },
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
                put => put.map(|_| true),
            }
        })
    }

    /// Removes the object, if there is one.
    ///
    /// # Errors
    /// As [`Place::put`].
    pub fn delete(&self) -> Result<(), FormatError> {
        self.check_writable()?;
        self.found(|store, path| async move { store.delete(&path).await }).map(drop)
    }

    /// Removes objects by their names below this place, many a request.
    ///
    /// # Errors
    /// As [`Place::put`].
    pub fn delete_all(&self, names: &[String]) -> Result<(), FormatError> {
        self.check_writable()?;
        let paths: Vec<Path> =
            names.iter().map(|name| Ok(self.join(name)?.path)).collect::<Result<_, FormatError>>()?;
        self.ask(|store, _| async move {
            let gone = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
            // One that had gone already is no failure.
            let gone = gone.filter(|one| std::future::ready(!matches!(one, Err(Error::NotFound { .. }))));
            gone.try_for_each(|_| std::future::ready(Ok(()))).await
        })
    }

    /// All objects below this place, at any depth, sorted by name. None where nothing lies there.
    ///
    /// # Errors
    /// As [`Place::get`]; [`FormatError::NoListing`] for an HTTP server.
    pub fn list(&self) -> Result<Vec<Object>, FormatError> {
        self.check_listable()?;
        let found: Vec<ObjectMeta> =
            self.ask(|store, path| async move { store.list(Some(&path)).try_collect().await })?;
        Ok(self.objects(&found))
    }

    /// What lies directly below this place.
    ///
    /// # Errors
    /// As [`Place::list`].
    pub fn list_dirs(&self) -> Result<Listed, FormatError> {
        self.check_listable()?;
        let found = self.ask(|store, path| async move { store.list_with_delimiter(Some(&path)).await })?;
        let mut dirs: Vec<String> = found.common_prefixes.iter().filter_map(|p| self.below(p)).collect();
        dirs.sort_unstable();
        Ok(Listed { dirs, objects: self.objects(&found.objects) })
    }

    fn objects(&self, found: &[ObjectMeta]) -> Vec<Object> {
        let object = |meta: &ObjectMeta| {
            Some(Object {
                name: self.below(&meta.location)?,
                size: meta.size,
                modified: meta.last_modified.into(),
            })
        };
        let mut objects: Vec<Object> = found.iter().filter_map(object).collect();
        objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        objects
    }

    /// The name of a path below this place.
    fn below(&self, path: &Path) -> Option<String> {
        let (at, path) = (self.path.as_ref(), path.as_ref());
        let name = if at.is_empty() { path } else { path.strip_prefix(at)?.strip_prefix('/')? };
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Runs a request on the runtime of all requests.
    fn ask<T, F>(&self, request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F) -> Result<T, FormatError>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        block_on(request(self.store(), self.path.clone())).map_err(|e| failure::error(&self.url, &e))
    }

    /// The same, where there may be no object.
    fn found<T, F>(
        &self,
        request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F,
    ) -> Result<Option<T>, FormatError>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        self.or_none(block_on(request(self.store(), self.path.clone())))
    }

    fn or_none<T>(&self, answer: object_store::Result<T>) -> Result<Option<T>, FormatError> {
        match answer.map_err(|e| failure::error(&self.url, &e)) {
            Err(FormatError::Missing { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn check_writable(&self) -> Result<(), FormatError> {
        match self.can_write() {
            true => Ok(()),
            false => Err(FormatError::read_only(&self.url)),
        }
    }

    fn check_listable(&self) -> Result<(), FormatError> {
        match self.can_list() {
            true => Ok(()),
            false => Err(FormatError::NoListing { path: self.url.clone() }),
        }
    }
}

/// A path as an URL of HTTP has it, so that it can be read again.
fn encoded(path: &str) -> String {
    let text = |c: char| match c {
        '%' | '?' | '#' | ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => {
            format!("%{:02X}", c as u32)
        }
        c => c.to_string(),
    };
    path.chars().map(text).collect()
}

/// Sends a large object in parts; it appears when the last one is there.
async fn put_parts(store: &dyn ObjectStore, path: &Path, bytes: Bytes) -> object_store::Result<()> {
    let mut upload = store.put_multipart(path).await?;
    let starts = (0..bytes.len()).step_by(PART_BYTES);
    let part = |start: usize| bytes.slice(start..bytes.len().min(start + PART_BYTES));
    let sent: Vec<_> = starts.map(|start| upload.put_part(part(start).into())).collect();
    let sent: object_store::Result<Vec<()>> = stream::iter(sent).buffered(N_PARTS).try_collect().await;
    match sent {
        Ok(_) => upload.complete().await.map(drop),
        Err(error) => {
            // What cannot be removed is the store's to clear; the first failure is what matters.
            let _ = upload.abort().await;
            Err(error)
        }
    }
}
