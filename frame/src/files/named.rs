//! Which files paths mean: files of this machine, by paths and `file://`, and objects, by URLs. Must not know formats.

use super::File;
use crate::api::Result;
use crate::error::FrameError;
use crate::names::{GLOB, ends, is_hidden};
use crate::objects::{found, found_below};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use tilework_formats::objects::{is_url, local_path};

/// All files below a directory whose names end so, in the order of their paths, and the directory.
pub(crate) fn files_below(path: &str, ending: &str) -> Result<(PathBuf, Vec<File>)> {
    if is_url(path) {
        let (root, objects) = found_below(path, ending)?;
        return Ok((PathBuf::from(root), objects.iter().map(File::of).collect()));
    }
    let path = &*local_path(path).unwrap_or_default();
    let root = std::path::absolute(path).map_err(|e| FrameError::file(path, e))?;
    if !root.is_dir() {
        return Err(FrameError::no_file(path));
    }
    let (mut found, mut dirs) = (Vec::new(), vec![root.clone()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|e| FrameError::file(&dir, e))? {
            let path = entry.map_err(|e| FrameError::file(&dir, e))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_dir = path.is_dir();
            match is_hidden(&name, is_dir) {
                true => {}
                false if is_dir => dirs.push(path),
                false if ends(&name, ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(FrameError::no_file(path));
    }
    Ok((root, found.into_iter().map(File::Here).collect()))
}

/// The files that paths or patterns mean, one path's after another's, each in the order of their names: a file, those in a
/// directory whose names end so, or those that match. Names that begin with a dot or an underscore are left out of
/// directories.
pub(crate) fn files(paths: &[String], ending: &str) -> Result<Vec<File>> {
    let (mut all, mut names) = (Vec::new(), HashSet::new());
    for path in paths {
        let found: Vec<File> = if is_url(path) {
            found(path, ending)?.iter().map(File::of).collect()
        } else {
            files_here(&local_path(path).unwrap_or_default(), ending)?
        };
        if !found.iter().all(|file| names.insert(file.path().to_owned())) {
            let reason = format!("{path} means a file that another path means too");
            return Err(FrameError::argument("paths", reason));
        }
        all.extend(found);
    }
    if all.is_empty() { Err(FrameError::argument("paths", "no path is said")) } else { Ok(all) }
}

fn files_here(path: &str, ending: &str) -> Result<Vec<File>> {
    let hidden = |file: &Path| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        is_hidden(&name, false)
    };
    let given = Path::new(path);
    let mut files: Vec<PathBuf> = if given.is_file() {
        vec![given.to_owned()]
    } else if given.is_dir() {
        let entries = std::fs::read_dir(given).map_err(|e| FrameError::file(given, e))?;
        let entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(|e| FrameError::file(given, e))?;
        let ends = |file: &PathBuf| file.is_file() && ends(&file.to_string_lossy(), ending) && !hidden(file);
        entries.into_iter().map(|entry| entry.path()).filter(ends).collect()
    } else if path.contains(GLOB) {
        let found = glob::glob(path).map_err(|e| FrameError::argument("path", e.to_string()))?;
        let found = found.collect::<std::result::Result<Vec<_>, _>>();
        let found = found.map_err(|e| FrameError::file(e.path(), std::io::Error::from(e.error().kind())))?;
        found.into_iter().filter(|file| file.is_file()).collect()
    } else {
        Vec::new()
    };
    files.sort();
    if files.is_empty() {
        return Err(FrameError::no_file(path));
    }
    let absolute =
        |file: &PathBuf| std::path::absolute(file).map(File::Here).map_err(|e| FrameError::file(file, e));
    files.iter().map(absolute).collect()
}
