//! Files that tables are read from: of this machine, or objects of a store. Which ones a path means, their text from a place
//! on, and the table of those that DataFusion decodes. Must not know what asks for them.

mod named;
mod schemas;
mod table;

pub(crate) use named::{files, files_below};
pub(crate) use table::{FilesTable, files_table};

use crate::objects::{Object, ObjectReader, Pin, Refused};
use flate2::read::MultiGzDecoder;
use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that a table is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum File {
    Here(PathBuf),
    /// An object, by its URL, and what it was when it was found.
    There(String, Pin),
}

/// What is read from any place on.
pub(crate) trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

impl File {
    pub(crate) fn of(object: &Object) -> File {
        File::There(object.url.clone(), Pin::of(&object.meta))
    }

    /// Its path, or its URL as one, for its names.
    pub(crate) fn path(&self) -> &Path {
        match self {
            File::Here(path) => path,
            File::There(url, _) => Path::new(url),
        }
    }

    /// Whether its name says that it is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.path().extension().is_some_and(|extension| extension == "gz")
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        match self {
            File::Here(path) => Ok(fs::metadata(path)?.len()),
            File::There(_, pin) => Ok(pin.bytes),
        }
    }

    /// To be read a little here and there.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Seekable>> {
        Ok(match self {
            File::Here(path) => Box::new(fs::File::open(path)?),
            File::There(url, pin) => {
                Box::new(ObjectReader::open(url, pin.clone()).map_err(Refused::into_io)?)
            }
        })
    }

    /// Its text from one place in it on; nobody reads beyond another one, unless it is compressed.
    pub(crate) fn text(&self, start: u64, end: u64) -> io::Result<Box<dyn Read + Send>> {
        if self.is_compressed() {
            let mut text = MultiGzDecoder::new(BufReader::new(self.stream(0, u64::MAX)?));
            io::copy(&mut text.by_ref().take(start), &mut io::sink())?;
            return Ok(Box::new(text));
        }
        self.stream(start, end)
    }

    /// Its bytes from one place in it on.
    fn stream(&self, start: u64, end: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            File::Here(path) => {
                let mut file = fs::File::open(path)?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(file)
            }
            File::There(url, pin) => {
                Box::new(ObjectReader::stream(url, pin.clone(), start, end).map_err(Refused::into_io)?)
            }
        })
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}
