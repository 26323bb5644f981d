//! An array that is written beside its place in a store until it is complete.
//!
//! Owns the directories from the store to the array, and the writer's container. Must not know how chunks are encoded.

use super::dir::Dir;
use super::metadata::{self, Documents, Node, V3_DOCUMENT, array_document};
use super::read::ZarrReader;
use super::store::{self, PARTS};
use super::{ArrayWriter, consolidated, swap};
use crate::spec::{IfExists, ZarrVersion};
use crate::{FormatError, beside};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The directories that lead to an array, symbolic links resolved.
#[derive(Debug)]
pub(crate) struct Levels {
    /// The outermost that is missing or the store's, to the array's own.
    dirs: Vec<PathBuf>,
    /// Which one is the store's.
    store: usize,
}

fn io_error(path: &Path, source: io::Error) -> FormatError {
    FormatError::Io { path: path.display().to_string(), source }
}

/// Whether something is at a path, which may be a link to nothing.
fn is_there(path: &Path) -> Result<bool, FormatError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io_error(path, e)),
    }
}

impl Levels {
    /// Of the array at the path `array` in the store at `root`; `name` is what errors call it.
    pub(crate) fn of(root: &Path, array: &str, name: &str) -> Result<Levels, FormatError> {
        let root = std::path::absolute(root).map_err(|e| FormatError::Io { path: name.into(), source: e })?;
        let mut missing = Vec::new();
        let mut there = root.as_path();
        while !is_there(there)? {
            let (Some(above), Some(name)) = (there.parent(), there.file_name()) else { break };
            missing.push(name.to_owned());
            there = above;
        }
        let mut at = directory(there, name)?;
        let mut dirs = if missing.is_empty() { vec![at.clone()] } else { Vec::new() };
        for part in missing.into_iter().rev() {
            at.push(part);
            dirs.push(at.clone());
        }
        let store = dirs.len() - 1;
        for part in store::parts(array) {
            at.push(part);
            if is_there(&at)? {
                at = directory(&at, name)?;
            }
            dirs.push(at.clone());
        }
        Ok(Levels { dirs, store })
    }

    /// The array's own directory.
    pub(crate) fn array(&self) -> &Path {
        self.dirs.last().expect("the store's directory is one")
    }

    /// How many of the directories are there, from the outermost.
    fn n_there(&self) -> usize {
        self.dirs.iter().take_while(|dir| dir.is_dir()).count()
    }

    /// The array's path in the store from one level, `a/b`.
    fn path_below(&self, level: usize) -> String {
        let names =
            self.dirs[level + 1..].iter().map(|d| d.file_name().unwrap_or_default().to_string_lossy());
        names.collect::<Vec<_>>().join("/")
    }

    /// Finishes or clears what earlier writers left behind.
    pub(crate) fn recover(&self) {
        let mut changed = false;
        for dir in &self.dirs {
            let Some(name) = dir.file_name() else { continue };
            for within in [dir.parent(), Some(dir.as_path())].into_iter().flatten() {
                for container in beside::written_beside(within, name) {
                    changed |= container.is_dir() && swap::recover(&container, dir);
                }
            }
        }
        if changed {
            // It is written again when the array is.
            let _ = self.consolidate();
        }
    }

    /// Checks that there are groups of one version above the array, or nothing; says what is in its own place.
    pub(crate) fn check_above(&self, version: ZarrVersion, name: &str) -> Result<Node, FormatError> {
        for (level, dir) in self.dirs.iter().enumerate().skip(self.store) {
            let node = metadata::node(dir, name)?;
            if level + 1 == self.dirs.len() {
                return Ok(node);
            }
            let inner = self.path_below(self.store);
            let above: Vec<&str> = inner.split('/').take(level - self.store).collect();
            let exists = |reason: &str| {
                let reason = format!("`/{}` above it is {reason}", above.join("/"));
                Err(FormatError::Exists { path: name.to_owned(), reason })
            };
            match node {
                Node::Array(_) => return exists("an array, expected a group"),
                Node::Group(_) if !dir.join(group_document(version).0).is_file() => {
                    return exists(&format!("of another zarr version, expected {version:?}"));
                }
                _ => {}
            }
        }
        Ok(Node::Nothing)
    }

    /// Makes groups of the directories above the array that are there and nothing yet.
    fn make_groups(&self, version: ZarrVersion, container: &Path) -> io::Result<()> {
        let (file, document) = group_document(version);
        for dir in &self.dirs[self.store..self.dirs.len() - 1] {
            let unmarked = ![V3_DOCUMENT, ".zgroup", ".zarray"].into_iter().any(|d| dir.join(d).exists());
            if dir.is_dir() && unmarked {
                let part = container.join(PARTS).join(beside::unique());
                fs::write(&part, metadata::text(&document))?;
                match swap::to_free_place(&part, &dir.join(file)) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The directories of the groups above and of the node, from the store's.
    pub(crate) fn nodes(&self) -> &[PathBuf] {
        &self.dirs[self.store..]
    }

    /// Tells the groups above that hold copies of what is below them.
    pub(crate) fn consolidate(&self) -> io::Result<()> {
        for (level, dir) in self.dirs.iter().enumerate().take(self.dirs.len() - 1).skip(self.store) {
            consolidated::update(&Dir::Files(dir.clone()), &self.path_below(level))?;
        }
        Ok(())
    }
}

/// A directory, by its path without links.
fn directory(path: &Path, name: &str) -> Result<PathBuf, FormatError> {
    let resolved = match fs::canonicalize(path) {
        Ok(resolved) => resolved,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let reason = format!("`{}` is a symbolic link to nothing", path.display());
            return Err(FormatError::Exists { path: name.to_owned(), reason });
        }
        Err(e) => return Err(io_error(path, e)),
    };
    if resolved.is_dir() {
        return Ok(resolved);
    }
    let reason = format!("`{}` is a file, expected a directory or nothing", path.display());
    Err(FormatError::Exists { path: name.to_owned(), reason })
}

/// The document of a group that nothing is said of, and its name.
pub(crate) fn group_document(version: ZarrVersion) -> (&'static str, Value) {
    match version {
        ZarrVersion::V2 => (".zgroup", json!({"zarr_format": 2})),
        ZarrVersion::V3 => (V3_DOCUMENT, json!({"zarr_format": 3, "node_type": "group", "attributes": {}})),
    }
}

/// An array that is being written beside its place. Dropped without [`finish`](StagedFiles::finish) it leaves what was
/// there.
#[derive(Debug)]
pub(crate) struct StagedFiles {
    name: String,
    levels: Levels,
    version: ZarrVersion,
    if_exists: IfExists,
    container: Container,
}

/// A directory in which an array, or a part of one, is written.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) at: PathBuf,
    /// Which level `new` within it will be.
    first: usize,
    /// Kept locked as long as the container is written.
    _lock: File,
    /// Something was moved that must not be removed.
    pub(crate) is_kept: bool,
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left now is cleared by the next writer.
            let _ = swap::remove(&self.at);
        }
    }
}

impl Container {
    /// Makes one where `new` can be renamed to the first of the levels that is missing, or to the array's.
    pub(crate) fn make(levels: &Levels) -> Result<Container, FormatError> {
        let n_there = levels.n_there();
        let first = n_there.min(levels.dirs.len() - 1);
        let dir = &levels.dirs[first];
        let name = dir.file_name().unwrap_or(OsStr::new("root"));
        let about = beside::about(
            levels.array(),
            &format!(
                "process {} of this host, which keeps this file locked.\n\
                 If it has ended, the next write of the array clears this directory up.\n",
                std::process::id()
            ),
        );
        let make = |within: &Path| {
            let (at, lock) = beside::create_dir(within, name, &about)?;
            let container = Container { at, first, _lock: lock, is_kept: false };
            fs::create_dir(container.at.join(PARTS))?;
            Ok(container)
        };
        let is_there = first < n_there;
        let beside = dir.parent().unwrap_or(dir);
        let device = |path: &Path| path.metadata().map(|m| m.dev()).ok();
        if is_there && device(beside) != device(dir) {
            return make(dir).map_err(|source| folder(dir, source));
        }
        make(beside).or_else(|error: io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if is_there => {
                make(dir).map_err(|source| folder(dir, source))
            }
            _ => Err(folder(beside, error)),
        })
    }

    /// Where one level is while it is written.
    fn level(&self, levels: &Levels, level: usize) -> PathBuf {
        let mut at = self.at.join(swap::NEW);
        at.extend(levels.dirs[self.first + 1..=level].iter().filter_map(|dir| dir.file_name()));
        at
    }
}

fn folder(path: &Path, source: io::Error) -> FormatError {
    FormatError::Folder { path: path.display().to_string(), source }
}

impl StagedFiles {
    pub(super) fn begin(
        name: String,
        levels: Levels,
        documents: &Documents,
        if_exists: IfExists,
    ) -> Result<StagedFiles, FormatError> {
        let container = Container::make(&levels)?;
        let version = documents.version;
        let staged = StagedFiles { name, levels, version, if_exists, container };
        let array = staged.path();
        staged.prepare(&array, documents).map_err(|e| folder(&array, e))?;
        Ok(staged)
    }

    /// Makes the directories and their documents.
    fn prepare(&self, array: &Path, documents: &Documents) -> io::Result<()> {
        fs::create_dir_all(array)?;
        let (file, group) = group_document(self.version);
        for level in self.levels.store.max(self.container.first)..self.levels.dirs.len() - 1 {
            fs::write(self.container.level(&self.levels, level).join(file), metadata::text(&group))?;
        }
        fs::write(array.join(array_document(self.version)), metadata::text(&documents.array))?;
        if let Some(attributes) = &documents.attributes {
            // Of version 2.
            fs::write(array.join(".zattrs"), metadata::text(attributes))?;
        }
        match fs::metadata(self.levels.array()) {
            Ok(old) => beside::keep_attributes(&File::open(array)?, &old),
            Err(_) => Ok(()),
        }
    }

    /// The directory that the array is written in.
    pub(crate) fn path(&self) -> PathBuf {
        self.container.level(&self.levels, self.levels.dirs.len() - 1)
    }

    pub(crate) fn writer(&self) -> Result<ArrayWriter, FormatError> {
        Ok(ArrayWriter::new(ZarrReader::open(&self.path(), "")?))
    }

    pub(crate) fn finish(mut self) -> Result<(), FormatError> {
        let io = |e| FormatError::Io { path: self.name.clone(), source: e };
        if self.levels.array().is_dir() {
            // What is there is removed then: let the new data be on the disk first.
            let dir = File::open(&self.container.at).map_err(io)?;
            rustix::fs::syncfs(dir).map_err(|e| io(e.into()))?;
        }
        self.levels.make_groups(self.version, &self.container.at).map_err(io)?;
        self.install()?;
        self.levels.consolidate().map_err(|source| {
            let path =
                format!("{}, which is in its place, but not so in a group's copy of its metadata", self.name);
            FormatError::Io { path, source }
        })
    }

    fn install(&mut self) -> Result<(), FormatError> {
        let io = |e| FormatError::Io { path: self.name.clone(), source: e };
        for level in self.container.first..self.levels.dirs.len() {
            let from = self.container.level(&self.levels, level);
            match swap::to_free_place(&from, &self.levels.dirs[level]) {
                // Somebody else has been faster, or it is an array that is to be replaced.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                placed => return placed.map_err(io),
            }
        }
        self.levels.make_groups(self.version, &self.container.at).map_err(io)?;
        let array = self.levels.array();
        match (metadata::node(array, &self.name)?, self.if_exists) {
            (Node::Array(_), IfExists::Fail) => {
                let reason = "an array, which has come meanwhile and was not to be replaced".into();
                return Err(FormatError::Exists { path: self.name.clone(), reason });
            }
            (Node::Group(_), _) => {
                let reason = "a group, which is never replaced by an array".into();
                return Err(FormatError::Exists { path: self.name.clone(), reason });
            }
            _ => {}
        }
        if self.container.first + 1 < self.levels.dirs.len() {
            // The directories above have come meanwhile: the array is all that is to be placed.
            let nearer = Container::make(&self.levels)?;
            let from = self.path();
            fs::rename(from, nearer.at.join(swap::NEW)).map_err(io)?;
            self.container = nearer;
        }
        match swap::replace(&self.container.at, array) {
            Ok(is_cleared) => {
                self.container.is_kept = !is_cleared;
                Ok(())
            }
            Err(source) => {
                self.container.is_kept = true;
                let (path, kept) = (self.name.clone(), self.container.at.display().to_string());
                Err(FormatError::Interrupted { path, kept, source })
            }
        }
    }
}
