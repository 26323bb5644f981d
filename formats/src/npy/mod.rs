//! `.npy` data, in a file or an object of its own or as a member of an `.npz`: only the bytes of the box are read.
//!
//! Owns the layout of elements after the header. Must not know Zarr or archives' directories.

pub(crate) mod header;
mod remote;
mod writer;

pub use writer::{NpyWriter, write_npy};

use crate::elements;
use crate::inflate::Inflater;
use crate::region::{BLOCK_BYTES_MAX, Near, Runs};
use crate::{ArrayMeta, FormatError, file, objects};
use header::{HEADER_BYTES_MAX, Header, PREFIX_BYTES};
use remote::{Blocks, Remote};
use std::fs::File;
use std::io;
use std::iter;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tilework_expr::run_grid;
use tilework_plan::{Steps, Stored};

/// Bytes of a deflated array that are counted as read together: marks to start from are no nearer to each other.
const DEFLATED_BYTES: usize = 1024 * 1024;

/// A span of a file that holds one whole `.npy` image.
#[derive(Debug)]
pub(crate) struct Span {
    pub file: File,
    pub start: u64,
    pub len: u64,
}

/// Where the bytes of an `.npy` image come from.
#[derive(Debug)]
pub(crate) enum Bytes {
    Plain(Span),
    Object(Remote),
    Deflated(Inflater),
}

impl Bytes {
    fn len(&self) -> u64 {
        match self {
            Bytes::Plain(span) => span.len,
            Bytes::Object(object) => object.len,
            Bytes::Deflated(inflater) => inflater.len(),
        }
    }

    /// Starts the reading of one box: offsets must then ascend. `coming` are the blocks that will be read.
    fn begin<'a>(&'a self, coming: impl Iterator<Item = Range<u64>> + 'a) -> Cursor<'a> {
        match self {
            Bytes::Plain(span) => Cursor::Plain(span),
            Bytes::Object(object) => Cursor::Object(Blocks::new(object, Box::new(coming))),
            Bytes::Deflated(inflater) => Cursor::Deflated(inflater.session()),
        }
    }
}

enum Cursor<'a> {
    Plain(&'a Span),
    Object(Blocks<'a>),
    Deflated(crate::inflate::Session<'a>),
}

impl Cursor<'_> {
    fn read(&mut self, path: &str, buf: &mut [u8], offset: u64) -> Result<(), FormatError> {
        match self {
            Cursor::Plain(span) => {
                // Only a file that shrank after it was opened ends early here.
                span.file.read_exact_at(buf, span.start + offset).map_err(|e| match e.kind() {
                    io::ErrorKind::UnexpectedEof => FormatError::Truncated {
                        path: path.to_owned(),
                        expected: span.start + offset + buf.len() as u64,
                        got: span.file.metadata().map_or(0, |m| m.len()),
                    },
                    _ => FormatError::io(path, e),
                })
            }
            Cursor::Object(blocks) => blocks.read(buf, offset),
            Cursor::Deflated(session) => session.read(buf, offset),
        }
    }
}

/// An open `.npy` image.
#[derive(Debug)]
pub(crate) struct NpyReader {
    path: String,
    bytes: Bytes,
    header: Header,
    meta: ArrayMeta,
}

/// Opens an `.npy` file.
pub(crate) fn open(path: &Path) -> Result<NpyReader, FormatError> {
    let name = path.display().to_string();
    if let Some(url) = objects::url_of(path) {
        return NpyReader::new(name, Bytes::Object(Remote::open(url)?));
    }
    let (file, len) = file::open_array(path, &name)?;
    NpyReader::new(name, Bytes::Plain(Span { file, start: 0, len }))
}

impl NpyReader {
    /// Reads the header and checks that the data it promises is there.
    pub(crate) fn new(path: String, bytes: Bytes) -> Result<NpyReader, FormatError> {
        let mut cursor = bytes.begin(std::iter::empty());
        let mut head = vec![0; bytes.len().min(PREFIX_BYTES as u64) as usize];
        cursor.read(&path, &mut head, 0)?;
        let data_start = header::data_start(&path, &head)?;
        debug_assert!(data_start <= PREFIX_BYTES + HEADER_BYTES_MAX);
        let got = head.len();
        head.resize(bytes.len().min(data_start.max(got) as u64) as usize, 0);
        cursor.read(&path, &mut head[got..], got as u64)?;
        drop(cursor);
        let header = header::parse(&path, &head)?;
        let expected = header.data_start as u64 + header.data_bytes as u64;
        if bytes.len() < expected {
            return Err(FormatError::Truncated { path, expected, got: bytes.len() });
        }
        let whole = header.shape.clone();
        let meta = ArrayMeta {
            shape: whole.clone(),
            dtype: header.dtype,
            chunks: whole.clone(),
            read_chunks: whole,
            stored: stored(&bytes, &header),
        };
        Ok(NpyReader { path, bytes, header, meta })
    }

    pub(crate) fn meta(&self) -> &ArrayMeta {
        &self.meta
    }

    /// Reads positions whose bounds and buffer size were checked.
    pub(crate) fn read(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        if self.header.fortran {
            self.read_fortran(steps, out)?
        } else {
            self.read_c(steps, out)?
        }
        elements::normalise(out, self.header.dtype, self.header.order);
        Ok(())
    }

    /// Bytes from the image's start to the element with this index in file order.
    fn offset(&self, element: usize) -> u64 {
        (self.header.data_start + element * self.header.dtype.size()) as u64
    }

    /// The bytes that are read for some runs, a single one in pieces of so many elements.
    fn blocks(&self, mut near: Near<Runs>, piece_max: usize) -> impl Iterator<Item = Range<u64>> + '_ {
        let blocks = iter::from_fn(move || {
            let starts = near.next()?;
            let (first, n) = (starts[0], starts.len());
            Some((first, starts[n - 1] + near.run, if n == 1 { piece_max } else { usize::MAX }))
        });
        blocks.flat_map(move |(first, end, piece)| {
            let mut at = first;
            iter::from_fn(move || {
                let start = at;
                at = at.saturating_add(piece).min(end);
                (start < end).then(|| self.offset(start)..self.offset(at))
            })
        })
    }

    fn read_c(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let itemsize = self.header.dtype.size();
        let near = || Near::of(Runs::of_steps(&self.header.shape, steps), itemsize);
        let mut cursor = self.bytes.begin(self.blocks(near(), usize::MAX));
        near().gather(out, |to, first| cursor.read(&self.path, to, self.offset(first)))
    }

    /// A Fortran-order file is a C-order file of the reversed axes; its elements are scattered into `out`.
    fn read_fortran(&self, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let itemsize = self.header.dtype.size();
        let shape: Vec<usize> = self.header.shape.iter().rev().copied().collect();
        let reversed: Vec<Steps> = steps.iter().rev().copied().collect();
        let mut scatter = Scatter::new(steps);
        let piece_max = BLOCK_BYTES_MAX / itemsize;
        let near = || Near::of(Runs::of_steps(&shape, &reversed), itemsize);
        let mut cursor = self.bytes.begin(self.blocks(near(), piece_max));
        let mut near = near();
        let (run, mut block) = (near.run, Vec::new());
        while let Some(starts) = near.next() {
            let (first, last) = (starts[0], starts[starts.len() - 1]);
            if starts.len() > 1 {
                block.resize((last + run - first) * itemsize, 0);
                cursor.read(&self.path, &mut block, self.offset(first))?;
                for start in starts {
                    scatter.put(&block[(start - first) * itemsize..][..run * itemsize], itemsize, out);
                }
                continue;
            }
            for done in (0..run).step_by(piece_max) {
                let piece = (run - done).min(piece_max);
                block.resize(piece * itemsize, 0);
                cursor.read(&self.path, &mut block, self.offset(first + done))?;
                scatter.put(&block, itemsize, out);
            }
        }
        Ok(())
    }
}

/// How the elements after the header are stored.
fn stored(bytes: &Bytes, header: &Header) -> Stored {
    match (bytes, header.fortran) {
        (Bytes::Plain(_) | Bytes::Object(_), false) => Stored::Rows,
        (Bytes::Plain(_) | Bytes::Object(_), true) => Stored::Columns,
        (Bytes::Deflated(_), fortran) => {
            let elements = DEFLATED_BYTES / header.dtype.size();
            let reversed = |shape: &[usize]| shape.iter().rev().copied().collect::<Vec<_>>();
            let shape = if fortran { reversed(&header.shape) } else { header.shape.clone() };
            let lens: Vec<usize> =
                run_grid(&shape, elements).chunk_shape_max().iter().map(|&l| l.max(1)).collect();
            Stored::Boxes(if fortran { reversed(&lens) } else { lens })
        }
    }
}

/// Walks a box in Fortran order and knows each element's place in C order.
struct Scatter {
    /// Per axis, first axis first: length, stride in the box.
    axes: Vec<(usize, usize)>,
    at: Vec<usize>,
    place: usize,
}

impl Scatter {
    fn new(steps: &[Steps]) -> Scatter {
        let mut axes: Vec<_> = steps.iter().map(|s| (s.len, 1)).collect();
        for k in (1..axes.len()).rev() {
            axes[k - 1].1 = axes[k].1 * axes[k].0;
        }
        Scatter { at: vec![0; axes.len()], axes, place: 0 }
    }

    fn put(&mut self, block: &[u8], itemsize: usize, out: &mut [u8]) {
        for element in block.chunks_exact(itemsize) {
            let at = self.place * itemsize;
            out[at..at + itemsize].copy_from_slice(element);
            for (at, &(len, stride)) in self.at.iter_mut().zip(&self.axes) {
                *at += 1;
                self.place += stride;
                if *at < len {
                    break;
                }
                self.place -= len * stride;
                *at = 0;
            }
        }
    }
}
