//! The place of a table that is written to a store: one object, or those below an URL. Several objects cannot take their
//! places in one step, so they are written below a name that readers leave out, and copied by the store when all are there;
//! `_SUCCESS` comes last. Must not know formats, nor who writes.

use super::door::Door;
use super::found::{COMPLETE, PARTS, all_below};
use super::refused::Refused;
use super::upload::Upload;
use crate::api::Result;
use crate::error::FrameError;
use crate::names::unique;
use chrono::{TimeDelta, Utc};
use datafusion::object_store::path::Path;
use datafusion::object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tilework_formats::FormatError;
use tilework_formats::objects::begin;

/// Bytes of a part of an object that this process writes alone.
const PART_BYTES: usize = 16 << 20;
/// Objects that are copied at a time.
const N_AT_ONCE: usize = 32;
/// How old what is left of a writer must be, in all its objects, for another one to clear it.
const LEFT_AGE: TimeDelta = TimeDelta::days(1);

/// When what was written too late is looked for, each after the one before.
const LATE: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

type Listed = std::result::Result<Vec<ObjectMeta>, Error>;

/// Where a table goes. Dropped before its end it leaves what was there.
#[derive(Debug)]
pub(crate) struct ObjectTarget {
    door: Door,
    overwrite: bool,
    /// Where objects are until all are there, if tasks write several.
    parts: Option<Path>,
    finished: bool,
}

impl ObjectTarget {
    /// One that is free, or may be replaced.
    ///
    /// # Errors
    /// [`FrameError::Exists`]; [`FrameError::Store`] for what cannot be written to.
    pub(crate) fn begin(url: &str, overwrite: bool) -> Result<ObjectTarget> {
        let door = Door::open(url)?;
        if !door.can_write {
            return Err(Refused::from(FormatError::read_only(&door.url)).into());
        }
        if door.path.as_ref().is_empty() {
            let reason = format!("{} is a whole bucket, and a table is something in it", door.url);
            return Err(FrameError::argument("path", reason));
        }
        let target = ObjectTarget { door, overwrite, parts: None, finished: false };
        if !overwrite && target.is_taken()? {
            return Err(FrameError::Exists { path: target.door.url.clone() });
        }
        Ok(target)
    }

    /// The one object.
    pub(crate) fn upload(&self) -> Upload {
        Upload::new(self.door.clone(), PART_BYTES, self.overwrite)
    }

    /// The URL of where tasks write several objects; what writers left there long ago goes.
    pub(crate) fn parts_url(&mut self) -> Result<String> {
        self.clear_left()?;
        let parts = self.door.path.clone().join(format!("{PARTS}{:016x}", unique()));
        Ok(self.door.url_of(self.parts.insert(parts)))
    }

    /// The object is there: what was below its name goes.
    pub(crate) fn finish_only(mut self) -> Result<()> {
        self.finished = true;
        let old = if self.overwrite { self.below()? } else { Vec::new() };
        self.delete(old)
    }

    /// Tasks have written these: they get their places, one by one, and what was there goes.
    pub(crate) fn finish(mut self, names: &[String]) -> Result<()> {
        self.finished = true;
        if !self.overwrite && self.is_taken()? {
            return Err(FrameError::Exists { path: self.door.url.clone() });
        }
        let at = |dir: &Path, name: &String| {
            Path::parse(format!("{dir}/{name}")).map_err(|e| FrameError::argument("path", e.to_string()))
        };
        let parts = self.parts.clone().unwrap_or_default();
        let moves: Vec<(Path, Path)> = names
            .iter()
            .map(|name| Ok((at(&parts, name)?, at(&self.door.path, name)?)))
            .collect::<Result<_>>()?;
        let new: HashSet<Path> = moves.iter().map(|(_, to)| to.clone()).collect();
        let mut old = if self.overwrite { self.below()? } else { Vec::new() };
        let complete = self.door.path.clone().join(COMPLETE);
        self.delete(old.iter().filter(|path| **path == complete).cloned().collect())?;
        let copied = self.door.ask(|store, _| async move {
            let copy = |(from, to): (Path, Path)| {
                let store = store.clone();
                async move { store.copy(&from, &to).await }
            };
            stream::iter(moves).map(copy).buffer_unordered(N_AT_ONCE).try_collect::<Vec<()>>().await
        });
        if let Err(error) = copied {
            if !self.overwrite {
                // Nothing was there before.
                let _ = self.delete(new.into_iter().collect());
            }
            return Err(self.door.refused(&error).into());
        }
        old.retain(|path| !new.contains(path) && *path != complete);
        old.push(self.door.path.clone());
        self.delete(old)?;
        let put = self.door.ask(|store, _| async move { store.put(&complete, PutPayload::default()).await });
        put.map_err(|e| self.door.refused(&e))?;
        Ok(())
    }

    /// Whether something is there, apart from what is being written.
    fn is_taken(&self) -> Result<bool> {
        let found = self.door.ask(|store, path| async move {
            match store.head(&path).await {
                Ok(_) => return Ok(true),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let seen = |meta: &ObjectMeta| std::future::ready(!is_part(&path, &meta.location));
            let mut below = store.list(Some(&path)).try_filter(seen).boxed();
            Ok(below.try_next().await?.is_some())
        });
        Ok(found.map_err(|e| self.door.refused(&e))?)
    }

    /// What is below the place, apart from what is being written.
    fn below(&self) -> Result<Vec<Path>> {
        let all = all_below(&self.door)?.into_iter().map(|meta| meta.location);
        Ok(all.filter(|path| !is_part(&self.door.path, path)).collect())
    }

    /// Clears what writers left that have ended long ago.
    fn clear_left(&self) -> Result<()> {
        let left = self.door.ask(|store, path| async move {
            let mut left = Vec::new();
            for dir in store.list_with_delimiter(Some(&path)).await?.common_prefixes {
                if is_part(&path, &dir) {
                    let listed: Listed = store.list(Some(&dir)).try_collect().await;
                    left.push(listed?);
                }
            }
            Ok(left)
        });
        let left = left.map_err(|e| self.door.refused(&e))?;
        let is_old = |meta: &ObjectMeta| Utc::now() - meta.last_modified > LEFT_AGE;
        let old = left.into_iter().filter(|objects| objects.iter().all(is_old)).flatten();
        self.delete(old.map(|meta| meta.location).collect())
    }

    fn delete(&self, paths: Vec<Path>) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let gone = self.door.ask(|store, _| deleted(store, paths));
        Ok(gone.map_err(|e| self.door.refused(&e))?)
    }
}

impl Drop for ObjectTarget {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        // What is left now is cleared by a later writer.
        let now = parts.clone();
        let _ = self.door.ask(|store, _| cleared(store, now));
        if self.finished {
            return;
        }
        // Tasks that have not heard of the end yet may still end an object.
        let store = self.door.store.clone();
        begin(async move {
            for pause in LATE {
                tokio::time::sleep(pause).await;
                let _ = cleared(store.clone(), parts.clone()).await;
            }
        });
    }
}

/// Removes what is below a path.
async fn cleared(store: Arc<dyn ObjectStore>, below: Path) -> std::result::Result<(), Error> {
    let listed: Listed = store.list(Some(&below)).try_collect().await;
    deleted(store, listed?.into_iter().map(|meta| meta.location).collect()).await
}

/// Whether a path below another one is of what is being written there.
fn is_part(below: &Path, path: &Path) -> bool {
    path.prefix_match(below)
        .and_then(|mut names| names.next())
        .is_some_and(|name| name.as_ref().starts_with(PARTS))
}

/// Removes objects, of which some may not be there.
async fn deleted(store: Arc<dyn ObjectStore>, paths: Vec<Path>) -> std::result::Result<(), Error> {
    let gone = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
    let gone = gone.filter(|one| std::future::ready(!matches!(one, Err(Error::NotFound { .. }))));
    gone.try_for_each(|_| std::future::ready(Ok(()))).await
}
