//! An object as a file that is read from any place on: in blocks, the next of which comes while one is read. Each answer is
//! looked at: the object is what it was when it was found. Must not know what is in it.

use super::door::Door;
use super::pinned::Pin;
use super::refused::Refused;
use bytes::Bytes;
use datafusion::object_store::{Error, GetOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::mpsc::Receiver;
use tilework_formats::objects::begin;

/// Bytes of a request where much is read: enough that the way there and back is a small part of its time.
const BLOCK_BYTES: u64 = 4 << 20;
/// Bytes of a request where little is.
const SMALL_BYTES: u64 = 256 << 10;

/// An answer that is under way.
type Answer = Receiver<Result<Bytes, Refused>>;

/// An object that is read.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    door: Door,
    pin: Pin,
    at: u64,
    /// Where nobody reads on.
    end: u64,
    /// Bytes that are here, from this place on.
    block: (u64, Bytes),
    /// Those that come, from this place on.
    ahead: Option<(u64, Answer)>,
    /// Whether much is read: large blocks, ahead of time.
    streams: bool,
}

impl ObjectReader {
    /// One that reads a little here and there.
    pub(crate) fn open(url: &str, pin: Pin) -> Result<ObjectReader, Refused> {
        let (door, end) = (Door::open(url)?, pin.bytes);
        Ok(ObjectReader { door, pin, at: 0, end, block: (0, Bytes::new()), ahead: None, streams: false })
    }

    /// One that reads from one place on, and not beyond another one.
    pub(crate) fn stream(url: &str, pin: Pin, start: u64, end: u64) -> Result<ObjectReader, Refused> {
        let end = end.min(pin.bytes);
        Ok(ObjectReader { at: start, end, streams: true, ..ObjectReader::open(url, pin)? })
    }

    fn ask(&self, from: u64) -> Answer {
        let block_bytes = if self.streams { BLOCK_BYTES } else { SMALL_BYTES };
        let range = from..self.end.min(from + block_bytes);
        let (door, pin) = (self.door.clone(), self.pin.clone());
        begin(async move {
            let refused = |error: Error| door.refused(&error);
            let options = GetOptions::new().with_range(Some(range));
            let got = door.store.get_opts(&door.path, options).await.map_err(refused)?;
            if !pin.is(&got.meta) {
                return Err(Refused::Changed { url: door.url.clone() });
            }
            got.bytes().await.map_err(refused)
        })
    }

    /// The bytes from the reader's place on: none at the end.
    fn here(&mut self) -> io::Result<Bytes> {
        let (from, bytes) = &self.block;
        if let Some(behind) = self.at.checked_sub(*from).filter(|behind| *behind < bytes.len() as u64) {
            return Ok(bytes.slice(behind as usize..));
        }
        if self.at >= self.end {
            return Ok(Bytes::new());
        }
        let answer = match self.ahead.take() {
            Some((from, answer)) if from == self.at => answer,
            _ => self.ask(self.at),
        };
        let bytes = answer.recv().map_err(io::Error::other)?.map_err(Refused::into_io)?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let next = self.at + bytes.len() as u64;
        self.block = (self.at, bytes.clone());
        if self.streams && next < self.end {
            self.ahead = Some((next, self.ask(next)));
        }
        Ok(bytes)
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let here = self.here()?;
        let n = here.len().min(buffer.len());
        buffer[..n].copy_from_slice(&here[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.pin.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
