//! Planes as slices of elements and back, parameters as bytes and back, and arrays around one axis.
//!
//! Owns how parameters are written. Must not know any function.

use crate::chunk::{Buffer, Plane};
use std::ops::Deref;
use std::sync::Arc;
use tilework_expr::{DType, Element};
use tilework_plan::AxisGrid;

/// A function's answer: what it gives, or what is wrong in words.
pub(super) type Answer<T = Plane> = Result<T, String>;

/// The elements of a plane in row-major order. How they lie is found out once: they are looked up one by one.
pub(super) struct Elements<A> {
    values: *const [A],
    /// Has the buffer that they lie in.
    _plane: Plane,
}

impl<A: Element> Elements<A> {
    /// # Errors
    /// The plane is of another dtype.
    pub(super) fn of(plane: &Plane) -> Answer<Elements<A>> {
        let plane = plane.to_contiguous();
        let Some(values) = plane.as_slice() else {
            return Err(format!("got {}, expected {}", plane.dtype(), A::DTYPE));
        };
        Ok(Elements { values, _plane: plane })
    }
}

impl<A: Element> Deref for Elements<A> {
    type Target = [A];
    fn deref(&self) -> &[A] {
        // SAFETY: the plane keeps its buffer, in which the slice was taken and which nobody writes.
        unsafe { &*self.values }
    }
}

/// A vector as a plane of this shape, which has as many elements.
pub(super) fn plane<A: Element>(shape: &[usize], values: Vec<A>) -> Answer {
    let (n, expected) = (values.len(), shape.iter().product::<usize>());
    if n != expected {
        return Err(format!("made {n} elements, expected {expected} of shape {shape:?}"));
    }
    let owner = Arc::new(values);
    // SAFETY: the vector is shared from here on and never written; it lives as long as the buffer.
    let buffer = unsafe { Buffer::foreign(owner.as_ptr().cast(), n * A::DTYPE.size(), owner.clone()) };
    Ok(Plane::row_major_at(A::DTYPE, shape.to_vec(), Arc::new(buffer), 0))
}

/// Bytes as a value: a plane of one axis.
pub(super) fn value(bytes: Vec<u8>) -> Answer {
    plane(&[bytes.len()], bytes)
}

/// Appends elements as they lie in memory.
pub(super) fn put<A: Element>(out: &mut Vec<u8>, values: &[A]) {
    // SAFETY: elements are plain data of just these bytes.
    out.extend_from_slice(unsafe {
        std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
    });
}

/// Elements from bytes that [`put`] has written, wherever they lie.
///
/// # Errors
/// Bytes that are no whole elements.
pub(super) fn elements_of<A: Element>(bytes: &[u8]) -> Answer<Vec<A>> {
    let size = A::DTYPE.size();
    if !bytes.len().is_multiple_of(size) {
        return Err(format!("{} bytes, expected elements of {size}", bytes.len()));
    }
    if A::DTYPE == DType::Bool && bytes.iter().any(|&b| b > 1) {
        return Err("a bool that is neither 0 nor 1".into());
    }
    let n = bytes.len() / size;
    let mut values = Vec::<A>::with_capacity(n);
    // SAFETY: there is room for all bytes, which are elements: any bytes are of a number, bools were looked at.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), values.as_mut_ptr().cast::<u8>(), bytes.len());
        values.set_len(n);
    }
    Ok(values)
}

/// The bytes of a block of an exchange.
pub(super) fn bytes_of(part: &Plane) -> Answer<&[u8]> {
    part.contiguous_bytes().ok_or_else(|| "a block whose bytes lie apart".to_owned())
}

/// What a part has of places and, behind all of those, rows of so many elements for them.
pub(super) fn placed_of<A: Element>(part: &Plane, row: usize) -> Answer<(Vec<u64>, Vec<A>)> {
    let (bytes, size) = (bytes_of(part)?, size_of::<u64>() + row * A::DTYPE.size());
    if !bytes.len().is_multiple_of(size) {
        return Err(format!("{} bytes, expected places and rows of {size} together", bytes.len()));
    }
    let (places, rows) = bytes.split_at(bytes.len() / size * size_of::<u64>());
    Ok((elements_of(places)?, elements_of(rows)?))
}

/// Parameters that are being written.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn number(mut self, value: usize) -> Writer {
        self.0.extend((value as u64).to_le_bytes());
        self
    }

    pub(super) fn dtype(self, dtype: DType) -> Writer {
        self.number(dtype.code().into())
    }

    pub(super) fn float(mut self, value: f64) -> Writer {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn floats(self, values: &[f64]) -> Writer {
        values.iter().fold(self.number(values.len()), |all, v| all.float(*v))
    }

    fn numbers(self, values: &[usize]) -> Writer {
        values.iter().fold(self.number(values.len()), |all, v| all.number(*v))
    }

    /// How an axis is cut: two numbers of a regular one, whatever the number of its chunks.
    pub(super) fn axis(self, axis: &AxisGrid) -> Writer {
        match axis {
            AxisGrid::Regular { len, chunk } => self.number(0).number(*len).number(*chunk),
            AxisGrid::Explicit { .. } => self.number(1).numbers(&axis.chunk_lens()),
        }
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Parameters that are being read.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    fn eight(&mut self) -> Answer<[u8; 8]> {
        let (first, rest) = self.0.split_first_chunk::<8>().ok_or("the parameters are too short")?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Answer<usize> {
        let value = u64::from_le_bytes(self.eight()?);
        usize::try_from(value).map_err(|_| format!("a parameter of {value}"))
    }

    pub(super) fn dtype(&mut self) -> Answer<DType> {
        let code = self.number()?;
        u8::try_from(code).ok().and_then(DType::from_code).ok_or_else(|| format!("element type {code}"))
    }

    pub(super) fn float(&mut self) -> Answer<f64> {
        Ok(f64::from_le_bytes(self.eight()?))
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Answer<T>) -> Answer<Vec<T>> {
        let n = self.number()?;
        if n > self.0.len() / 8 {
            return Err(format!("{n} parameters in {} bytes", self.0.len()));
        }
        (0..n).map(|_| one(self)).collect()
    }

    pub(super) fn floats(&mut self) -> Answer<Vec<f64>> {
        self.list(Self::float)
    }

    pub(super) fn axis(&mut self) -> Answer<AxisGrid> {
        Ok(match self.number()? {
            0 => AxisGrid::regular(self.number()?, self.number()?),
            _ => AxisGrid::explicit(&self.list(Self::number)?),
        })
    }
}

/// An array as it lies around one of its axes: `outer` blocks of `len` rows of `inner` elements.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub outer: usize,
    pub len: usize,
    pub inner: usize,
}

impl Around {
    /// # Errors
    /// There is no such axis.
    pub(super) fn of(shape: &[usize], axis: usize) -> Answer<Around> {
        let len = *shape.get(axis).ok_or_else(|| format!("axis {axis} of {} axes", shape.len()))?;
        let product = |lens: &[usize]| lens.iter().product();
        Ok(Around { outer: product(&shape[..axis]), len, inner: product(&shape[axis + 1..]) })
    }

    /// How many lanes there are along the axis.
    pub(super) fn n_lanes(self) -> usize {
        self.outer * self.inner
    }

    /// Copies a lane into `lane`.
    pub(super) fn read<A: Copy>(self, from: &[A], n: usize, lane: &mut Vec<A>) {
        lane.clear();
        let first = n / self.inner * self.len * self.inner + n % self.inner;
        if self.inner == 1 {
            lane.extend_from_slice(&from[first..first + self.len]);
        } else {
            lane.extend((0..self.len).map(|i| from[first + i * self.inner]));
        }
    }
}

/// Lanes that are copied at once where they lie side by side: as many as share the memory that one of them touches.
const LANES_AT_ONCE: usize = 8;

/// What is made of each lane of an array, which `each` gets with its number and appends to: an array around the same axis,
/// along which it has so many elements.
///
/// # Errors
/// Those of `each`.
pub(super) fn of_lanes<A: Copy, B: Copy>(
    (from, around): (&[A], Around),
    len: usize,
    mut each: impl FnMut(usize, &[A], &mut Vec<B>) -> Answer<()>,
) -> Answer<Vec<B>> {
    let mut made = Vec::with_capacity(around.n_lanes() * len);
    if around.inner == 1 {
        // Each is a row.
        for o in 0..around.outer {
            each(o, &from[o * around.len..][..around.len], &mut made)?;
        }
        return Ok(made);
    }
    let mut lanes: [Vec<A>; LANES_AT_ONCE] = Default::default();
    for o in 0..around.outer {
        let block = &from[o * around.len * around.inner..][..around.len * around.inner];
        for first in (0..around.inner).step_by(LANES_AT_ONCE) {
            let lanes = &mut lanes[..LANES_AT_ONCE.min(around.inner - first)];
            lanes.iter_mut().for_each(Vec::clear);
            for row in block.chunks_exact(around.inner) {
                lanes.iter_mut().zip(&row[first..]).for_each(|(lane, v)| lane.push(*v));
            }
            for (i, lane) in lanes.iter().enumerate() {
                each(o * around.inner + first + i, lane, &mut made)?;
            }
        }
    }
    Ok(from_lanes(Around { len, ..around }, made))
}

/// Lanes of results, which are put together to an array around the same axis, of another length.
fn from_lanes<A: Copy>(around: Around, lanes: Vec<A>) -> Vec<A> {
    let Around { outer, len, inner } = around;
    if len == 1 {
        return lanes;
    }
    let mut all = Vec::with_capacity(lanes.len());
    for o in 0..outer {
        for i in 0..len {
            all.extend((0..inner).map(|k| lanes[(o * inner + k) * len + i]));
        }
    }
    all
}
