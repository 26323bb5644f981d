//! The destination of a chunk that arrives from elsewhere.
//!
//! Must not know where from.

use super::buffer::{ALIGN_BYTES, Buffer, UninitBuffer};
use super::{Chunk, ChunkError, Plane, checked_len};
use std::sync::Arc;
use tilework_expr::DType;

/// The destination of a chunk that arrives in pieces: planes one after another, each in row-major order. Every byte
/// of a `bool` plane becomes 0 or 1.
#[derive(Debug)]
pub struct ChunkWriter {
    buffer: UninitBuffer,
    shape: Vec<usize>,
    /// Per plane: its dtype and where it starts in the buffer.
    planes: Vec<(DType, usize)>,
    len: usize,
    plane: usize,
    /// Bytes written of the current plane.
    within: usize,
    written: usize,
}

impl ChunkWriter {
    /// A destination for planes of these dtypes and this shape.
    ///
    /// # Errors
    /// If the chunk does not fit into the address space.
    pub fn new(dtypes: &[DType], shape: &[usize]) -> Result<ChunkWriter, ChunkError> {
        let (mut planes, mut room, mut expected) = (Vec::new(), 0usize, 0usize);
        let len = checked_len(shape, 1)?;
        for &dtype in dtypes {
            let bytes = checked_len(shape, dtype.size())? * dtype.size();
            planes.push((dtype, room));
            let next = room.checked_add(bytes).and_then(|n| n.checked_next_multiple_of(ALIGN_BYTES));
            room = next
                .filter(|&n| n < isize::MAX as usize)
                .ok_or_else(|| ChunkError::TooLarge(shape.to_vec()))?;
            expected += bytes;
        }
        if dtypes.len() <= 1 {
            room = expected;
        }
        let buffer = Buffer::uninit(room);
        let writer =
            ChunkWriter { buffer, shape: shape.to_vec(), planes, len, plane: 0, within: 0, written: 0 };
        Ok(writer)
    }

    /// The chunk's shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of an element of each plane.
    #[must_use]
    pub fn item_sizes(&self) -> Vec<usize> {
        self.planes.iter().map(|(d, _)| d.size()).collect()
    }

    /// Bytes of the whole chunk.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.planes.iter().map(|(d, _)| d.size() * self.len).sum()
    }

    /// Bytes still to be written.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.expected() - self.written
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If there are more bytes than the chunk has; none of them is then taken.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), ChunkError> {
        if bytes.len() > self.remaining() {
            return Err(ChunkError::Length {
                got: self.written.saturating_add(bytes.len()),
                expected: self.expected(),
            });
        }
        while !bytes.is_empty() {
            let (dtype, start) = self.planes[self.plane];
            let room = dtype.size() * self.len - self.within;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            // SAFETY: `within + now.len()` is at most the plane's size, and each plane lies within the buffer.
            unsafe {
                let to = self.buffer.as_mut_ptr().add(start + self.within);
                if dtype == DType::Bool {
                    now.iter().enumerate().for_each(|(i, &b)| to.add(i).write(u8::from(b != 0)));
                } else {
                    std::ptr::copy_nonoverlapping(now.as_ptr(), to, now.len());
                }
            }
            self.within += now.len();
            self.written += now.len();
            bytes = later;
            if now.len() == room {
                self.plane += 1;
                self.within = 0;
            }
        }
        Ok(())
    }

    /// Fills a chunk of which nothing has come: `read` gets the number of each plane, where its bytes go and how many
    /// they are.
    ///
    /// # Errors
    /// What `read` returns.
    ///
    /// # Panics
    /// If something was written before.
    ///
    /// # Safety
    /// Where `read` returns `Ok` it has written all the plane's bytes.
    pub unsafe fn fill<E>(
        mut self,
        mut read: impl FnMut(usize, *mut u8, usize) -> Result<(), E>,
    ) -> Result<Chunk, E> {
        assert_eq!(self.written, 0, "a chunk is filled at once or in pieces");
        for i in 0..self.planes.len() {
            let (dtype, start) = self.planes[i];
            let bytes = dtype.size() * self.len;
            // SAFETY: each plane lies within the buffer.
            let to = unsafe { self.buffer.as_mut_ptr().add(start) };
            read(i, to, bytes)?;
            if dtype == DType::Bool {
                // SAFETY: the bytes were written, as the caller promised.
                unsafe { std::slice::from_raw_parts_mut(to, bytes) }
                    .iter_mut()
                    .for_each(|b| *b = u8::from(*b != 0));
            }
        }
        self.written = self.expected();
        Ok(self.finish().expect("all planes were filled"))
    }

    /// The chunk, when all its bytes have come.
    ///
    /// # Errors
    /// If bytes are missing.
    pub fn finish(mut self) -> Result<Chunk, ChunkError> {
        if self.remaining() > 0 {
            return Err(ChunkError::Length { got: self.written, expected: self.expected() });
        }
        let mut gap = 0;
        for &(dtype, start) in self.planes.iter().chain(&[(DType::U8, self.buffer.len())]) {
            // SAFETY: the bytes between planes lie within the buffer; with them all bytes are written.
            unsafe { self.buffer.as_mut_ptr().add(gap).write_bytes(0, start.saturating_sub(gap)) };
            gap = (start + dtype.size() * self.len).min(self.buffer.len());
        }
        // SAFETY: the planes are written (nothing remains), and so are the gaps between them.
        let buffer = Arc::new(unsafe { self.buffer.assume_init().freeze() });
        let plane =
            |&(d, start): &(DType, usize)| Plane::row_major_at(d, self.shape.clone(), buffer.clone(), start);
        Ok(Chunk { planes: self.planes.iter().map(plane).collect() })
    }
}
