//! Chunks in memory: immutable shared buffers, strided planes over them, and a writer that fills a chunk from the
//! pieces in which it arrives.
//!
//! Owns the check that a plane stays within its buffer. Must not know arithmetic.

mod buffer;
mod writer;

pub use buffer::{Buffer, BufferMut, FreedShare, UninitBuffer};
pub use writer::ChunkWriter;

use crate::copy::{Layout, copy_box};
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::{DType, Element};

/// Why bytes do not make a chunk.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// The chunk's size does not fit into the address space.
    #[error("a chunk of shape {0:?} is larger than the address space")]
    TooLarge(Vec<usize>),
    /// The number of bytes is not the chunk's size.
    #[error("got {got} bytes for a chunk of {expected}")]
    Length {
        /// Bytes given (so far).
        got: usize,
        /// Bytes of the chunk.
        expected: usize,
    },
    /// A plane reaches outside of its buffer.
    #[error(
        "a plane of shape {shape:?} and strides {strides:?} at byte {offset} leaves its buffer of {len} bytes"
    )]
    Bounds {
        /// The plane's shape.
        shape: Vec<usize>,
        /// Its strides in elements.
        strides: Vec<isize>,
        /// Where its first element should be.
        offset: usize,
        /// Bytes in the buffer.
        len: usize,
    },
    /// An element of a plane is not aligned as its type must be.
    #[error("a plane of {dtype} starts at an address that is not a multiple of {align}")]
    Alignment {
        /// The plane's dtype.
        dtype: DType,
        /// What the address should be a multiple of.
        align: usize,
    },
    /// A byte of a `bool` plane is neither 0 nor 1.
    #[error("a bool is stored as {0}, expected 0 or 1")]
    Bool(u8),
}

/// One strided array of one dtype over a shared buffer. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Plane {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<isize>,
    buffer: Arc<Buffer>,
    offset: usize,
}

/// The strides, in elements, of a row-major array of this shape.
#[must_use]
pub(crate) fn row_major(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = 1isize;
    for (s, &l) in strides.iter_mut().zip(shape).rev() {
        *s = step;
        step = step.saturating_mul(l.max(1) as isize);
    }
    strides
}

pub(crate) fn align_of(dtype: DType) -> usize {
    tilework_expr::with_dtype!(dtype, T => std::mem::align_of::<T>())
}

/// Elements of a shape, if that many elements of `size` bytes can exist.
fn checked_len(shape: &[usize], size: usize) -> Result<usize, ChunkError> {
    let len = shape.iter().try_fold(1usize, |n, &l| n.checked_mul(l));
    match len.and_then(|n| n.checked_mul(size)) {
        Some(bytes) if bytes <= isize::MAX as usize / 2 => Ok(bytes / size),
        _ => Err(ChunkError::TooLarge(shape.to_vec())),
    }
}

impl Plane {
    /// A plane whose element `i` lies `offset + sum(strides[a] * i[a]) * dtype.size()` bytes into the buffer.
    ///
    /// # Errors
    /// If an element lies outside of the buffer or is not aligned, or a `bool` is neither 0 nor 1.
    pub fn new(
        dtype: DType,
        shape: Vec<usize>,
        strides: Vec<isize>,
        buffer: Arc<Buffer>,
        offset: usize,
    ) -> Result<Plane, ChunkError> {
        let len = checked_len(&shape, dtype.size())?;
        let plane = Plane { dtype, shape, strides, buffer, offset };
        if len == 0 {
            return Ok(Plane { offset: 0, ..plane });
        }
        if !plane.in_bounds() {
            let Plane { shape, strides, buffer, .. } = plane;
            return Err(ChunkError::Bounds { shape, strides, offset, len: buffer.len() });
        }
        let align = align_of(dtype);
        if !(plane.buffer.as_ptr() as usize + offset).is_multiple_of(align) {
            return Err(ChunkError::Alignment { dtype, align });
        }
        if dtype == DType::Bool {
            let as_bytes = Plane { dtype: DType::U8, ..plane.clone() }.to_contiguous();
            if let Some(&bad) = as_bytes.contiguous_bytes().unwrap_or(&[]).iter().find(|&&b| b > 1) {
                return Err(ChunkError::Bool(bad));
            }
        }
        Ok(plane)
    }

    fn in_bounds(&self) -> bool {
        if self.strides.len() != self.shape.len() {
            return false;
        }
        let (mut low, mut high) = (self.offset as i128, self.offset as i128);
        for (&s, &l) in self.strides.iter().zip(&self.shape) {
            let reach = s as i128 * (l as i128 - 1) * self.dtype.size() as i128;
            if reach < 0 { low += reach } else { high += reach }
        }
        low >= 0 && high + self.dtype.size() as i128 <= self.buffer.len() as i128
    }

    /// A row-major plane at `offset` bytes into a buffer that is known to hold it (and valid bools).
    pub(crate) fn row_major_at(dtype: DType, shape: Vec<usize>, buffer: Arc<Buffer>, offset: usize) -> Plane {
        let strides = row_major(&shape);
        let plane = Plane { dtype, shape, strides, buffer, offset };
        debug_assert!(plane.is_empty() || plane.in_bounds());
        plane
    }

    /// The same memory seen with another shape and other strides, `offset` elements on. The caller knows that
    /// this stays within the plane.
    pub(crate) fn restrided(&self, shape: Vec<usize>, strides: Vec<isize>, offset: isize) -> Plane {
        let offset = self.offset.wrapping_add_signed(offset * self.dtype.size() as isize);
        let plane = Plane { dtype: self.dtype, shape, strides, buffer: self.buffer.clone(), offset };
        debug_assert!(plane.is_empty() || plane.in_bounds());
        if plane.is_empty() { Plane { offset: 0, ..plane } } else { plane }
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Elements from one position to the next along each axis.
    #[must_use]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The memory.
    #[must_use]
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// Bytes from the buffer's start to the first element.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Bytes of the elements (of which strided planes may share a larger buffer).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * self.dtype.size()
    }

    /// Where the first element is; the others lie by the strides from it, within the buffer.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.buffer.as_ptr().wrapping_add(self.offset)
    }

    /// Whether the elements follow one another in row-major order.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1isize;
        self.is_empty()
            || self.shape.iter().zip(&self.strides).rev().all(|(&l, &s)| {
                let fits = l == 1 || s == step;
                step *= l as isize;
                fits
            })
    }

    /// The elements' bytes in row-major order, where they lie so.
    #[must_use]
    pub fn contiguous_bytes(&self) -> Option<&[u8]> {
        self.is_contiguous().then(|| &self.buffer.as_slice()[self.offset..self.offset + self.bytes()])
    }

    /// The elements in row-major order, where they lie so and are of this type.
    #[must_use]
    pub fn as_slice<A: Element>(&self) -> Option<&[A]> {
        if A::DTYPE != self.dtype {
            return None;
        }
        let bytes = self.contiguous_bytes()?;
        if bytes.is_empty() {
            return Some(&[]);
        }
        // SAFETY: the bytes are whole, aligned elements of A (checked when the plane was made), bools are 0 or 1.
        Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), self.len()) })
    }

    /// The same elements in row-major order: this plane if it is so already, else a copy.
    #[must_use]
    pub fn to_contiguous(&self) -> Plane {
        if self.is_contiguous() { self.clone() } else { self.copied() }
    }

    /// The same elements in a buffer of at most twice their bytes: this plane if its own is no larger, else a copy.
    #[must_use]
    pub fn detached(&self) -> Plane {
        if self.buffer.len() <= 2 * self.bytes() { self.clone() } else { self.copied() }
    }

    fn copied(&self) -> Plane {
        let mut buffer = Buffer::uninit(self.bytes());
        let strides = row_major(&self.shape);
        let layout = Layout { shape: &self.shape, from: &self.strides, to: &strides };
        // SAFETY: the plane lies within its buffer, the new buffer has room for every element and gets them all.
        let buffer = unsafe {
            copy_box(self.dtype.size(), &layout, self.as_ptr(), buffer.as_mut_ptr());
            buffer.assume_init().freeze()
        };
        Plane::row_major_at(self.dtype, self.shape.clone(), Arc::new(buffer), 0)
    }

    /// The part of the plane in a box. Shares the bytes.
    ///
    /// # Panics
    /// If the box has another number of axes or leaves the plane.
    #[must_use]
    pub fn slice(&self, region: &[Range<usize>]) -> Plane {
        assert_eq!(region.len(), self.shape.len(), "a box has as many axes as its plane");
        let mut offset = 0;
        for ((r, &l), &s) in region.iter().zip(&self.shape).zip(&self.strides) {
            assert!(r.start <= r.end && r.end <= l, "{r:?} leaves an axis of length {l}");
            offset += s * r.start as isize;
        }
        self.restrided(region.iter().map(ExactSizeIterator::len).collect(), self.strides.clone(), offset)
    }
}

/// The value of one task: one plane, or several for partial states. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The planes, of equal shape.
    pub planes: Vec<Plane>,
}

impl Chunk {
    /// Bytes of the elements of all planes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.planes.iter().map(Plane::bytes).sum()
    }

    /// The part of every plane in a box. Shares the bytes.
    ///
    /// # Panics
    /// If the box leaves the chunk.
    #[must_use]
    pub fn slice(&self, region: &[Range<usize>]) -> Chunk {
        Chunk { planes: self.planes.iter().map(|p| p.slice(region)).collect() }
    }

    /// A chunk whose planes follow one another in `bytes`, each in row-major order.
    ///
    /// # Errors
    /// If the number of bytes is not that of the planes.
    pub fn from_bytes(dtypes: &[DType], shape: &[usize], bytes: &[u8]) -> Result<Chunk, ChunkError> {
        let mut writer = ChunkWriter::new(dtypes, shape)?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// A chunk of one row-major plane that is the whole of `buffer`, without a copy.
    ///
    /// # Errors
    /// If the number of bytes is not that of the plane, or a `bool` is neither 0 nor 1.
    pub fn from_buffer(dtype: DType, shape: &[usize], buffer: Buffer) -> Result<Chunk, ChunkError> {
        let expected = checked_len(shape, dtype.size())? * dtype.size();
        if buffer.len() != expected {
            return Err(ChunkError::Length { got: buffer.len(), expected });
        }
        let plane = Plane::new(dtype, shape.to_vec(), row_major(shape), Arc::new(buffer), 0)?;
        Ok(Chunk { planes: vec![plane] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iota(shape: &[usize]) -> Plane {
        let n: usize = shape.iter().product();
        let bytes: Vec<u8> = (0..n).flat_map(|i| (i as f64).to_le_bytes()).collect();
        Chunk::from_bytes(&[DType::F64], shape, &bytes).unwrap().planes.remove(0)
    }

    #[test]
    fn slices_share_and_copies_do_not() {
        let p = iota(&[3, 4]);
        assert_eq!(p.buffer().as_ptr() as usize % 64, 0);
        let s = p.slice(&[1..3, 1..3]);
        assert!(Arc::ptr_eq(s.buffer(), p.buffer()));
        assert_eq!(s.as_slice::<f64>(), None);
        assert_eq!(s.to_contiguous().as_slice::<f64>(), Some(&[5.0, 6.0, 9.0, 10.0][..]));
        let flipped = Plane::new(DType::F64, vec![4, 3], vec![1, -4], p.buffer().clone(), 64).unwrap();
        assert_eq!(&flipped.to_contiguous().as_slice::<f64>().unwrap()[..4], [8.0, 4.0, 0.0, 9.0]);
        assert_eq!(p.slice(&[1..1, 0..4]).bytes(), 0);
    }

    #[test]
    fn planes_stay_in_their_buffer() {
        let buffer = iota(&[4]).buffer().clone();
        let plane = |shape: &[usize], strides: &[isize], offset| {
            Plane::new(DType::F64, shape.to_vec(), strides.to_vec(), buffer.clone(), offset)
        };
        assert!(plane(&[4], &[1], 0).is_ok());
        assert!(matches!(plane(&[5], &[1], 0), Err(ChunkError::Bounds { .. })));
        assert!(matches!(plane(&[2], &[-1], 0), Err(ChunkError::Bounds { .. })));
        assert!(matches!(plane(&[2], &[1], 4), Err(ChunkError::Alignment { .. })));
        assert!(matches!(plane(&[usize::MAX, 2], &[0, 0], 0), Err(ChunkError::TooLarge(_))));
        let bytes = Arc::new(Buffer::copy_of(&[0, 1, 2]));
        assert!(matches!(Plane::new(DType::Bool, vec![3], vec![1], bytes, 0), Err(ChunkError::Bool(2))));
    }

    #[test]
    fn writers_take_any_pieces_and_the_exact_number_of_bytes() {
        let bytes: Vec<u8> = (0..27).collect();
        for piece in [1, 2, 7, 27] {
            let mut w = ChunkWriter::new(&[DType::Bool, DType::U64], &[3]).unwrap();
            for b in bytes.chunks(piece) {
                w.write(b).unwrap();
            }
            assert!(w.write(&[1]).is_err());
            let chunk = w.finish().unwrap();
            assert_eq!(chunk.planes[0].as_slice::<bool>().unwrap(), [false, true, true]);
            assert_eq!(chunk.planes[1].contiguous_bytes().unwrap(), &bytes[3..]);
            assert_eq!(chunk.bytes(), 27);
        }
        assert!(ChunkWriter::new(&[DType::F64], &[2]).unwrap().finish().is_err());
        assert!(ChunkWriter::new(&[DType::F64], &[0]).unwrap().finish().is_ok());
        assert!(ChunkWriter::new(&[DType::F64], &[usize::MAX, 9]).is_err());
    }

    #[test]
    fn freed_buffers_serve_again_up_to_the_bound() {
        for len in [5 << 20, 300 << 10] {
            freed_buffers_serve_again(len);
        }
    }

    fn freed_buffers_serve_again(len: usize) {
        let mut share = FreedShare::default();
        share.set(3 * len);
        let places: Vec<*const u8> =
            (0..4).map(|_| Buffer::zeroed(len).freeze()).map(|b| b.as_ptr()).collect();
        let again = Buffer::uninit(len);
        assert_eq!(again.len(), len);
        let mut again = again;
        assert!(places.contains(&again.as_mut_ptr().cast_const()));
        assert_ne!(Buffer::uninit(len + 1).as_mut_ptr().cast_const(), again.as_mut_ptr().cast_const());
        // SAFETY: the buffer's own bytes.
        unsafe { again.as_mut_ptr().write_bytes(7, len) };
        drop(again);
        assert!(
            Buffer::zeroed(len).as_mut_slice().iter().all(|&b| b == 0),
            "a buffer that serves again is cleared"
        );
        drop(share);
        assert!(Buffer::zeroed(len).as_mut_slice().iter().all(|&b| b == 0));
    }

    #[test]
    fn foreign_memory_lives_as_long_as_its_planes() {
        let owner: Arc<Vec<i32>> = Arc::new(vec![1, 2, 3]);
        // SAFETY: the vector is shared and never written.
        let buffer = unsafe { Buffer::foreign(owner.as_ptr().cast(), 12, owner.clone()) };
        let chunk = Chunk::from_buffer(DType::I32, &[3], buffer).unwrap();
        assert_eq!(Arc::strong_count(&owner), 2);
        assert_eq!(chunk.planes[0].as_slice::<i32>(), Some(&[1, 2, 3][..]));
        drop(chunk);
        assert_eq!(Arc::strong_count(&owner), 1);
    }
}
