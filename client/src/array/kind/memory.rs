//! Elements in memory that an array and the expressions made of it share.
//!
//! Owns the vector behind them. Must not know arrays' kinds.

use super::choice::dtype_of;
use crate::error::Result;
use crate::literal::{Literal, Provider};
use std::sync::Arc;
use tilework_expr::{Chunks, DType, Element, Expr, with_dtype};
use tilework_kernels::{Buffer, Chunk, Plane};
use tilework_plan::Region;

/// A vector of elements of a dtype, its type forgotten.
pub struct Owner {
    start: *mut u8,
    len: usize,
    capacity: usize,
    dtype: DType,
}

// SAFETY: elements are plain data that any thread may read; nobody writes through an owner.
unsafe impl Send for Owner {}
// SAFETY: as above.
unsafe impl Sync for Owner {}

impl Owner {
    pub(crate) fn of<A: Element>(values: Vec<A>) -> Owner {
        let mut values = std::mem::ManuallyDrop::new(values);
        let (len, capacity) = (values.len(), values.capacity());
        Owner { start: values.as_mut_ptr().cast(), len, capacity, dtype: A::DTYPE }
    }

    /// The owner of a vector of `A`, which is known to travel.
    pub(crate) fn of_any<A>(values: Vec<A>) -> Owner {
        let mut values = std::mem::ManuallyDrop::new(values);
        Owner::of_parts(values.as_mut_ptr(), values.len(), values.capacity())
    }

    /// The memory as a buffer, without a copy.
    pub(crate) fn buffer(self: Arc<Self>) -> Buffer {
        // SAFETY: the owner's elements are initialised plain data that is neither moved nor written.
        unsafe { Buffer::foreign(self.start, self.bytes(), self as _) }
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// The owner of a vector of `A`, which is known to travel, by its parts.
    pub(crate) fn of_parts<A>(start: *mut A, len: usize, capacity: usize) -> Owner {
        let dtype = dtype_of::<A>().expect("the element type travels");
        Owner { start: start.cast(), len, capacity, dtype }
    }

    pub(crate) fn start_bytes(&self) -> *const u8 {
        self.start
    }

    /// The vector back.
    pub(crate) fn into_vec<A>(self) -> Vec<A> {
        assert_eq!(dtype_of::<A>(), Some(self.dtype), "elements of the owner's type");
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: these are the parts of a vector of this element type, which is forgotten here.
        unsafe { Vec::from_raw_parts(this.start.cast(), this.len, this.capacity) }
    }

    /// A copy of the elements.
    pub(crate) fn to_vec<A>(&self) -> Vec<A> {
        assert_eq!(dtype_of::<A>(), Some(self.dtype), "elements of the owner's type");
        let mut values = Vec::<A>::with_capacity(self.len);
        // SAFETY: `len` initialised elements of plain data, copied into room for as many.
        unsafe {
            std::ptr::copy_nonoverlapping(self.start.cast::<A>(), values.as_mut_ptr(), self.len);
            values.set_len(self.len);
        }
        values
    }

    fn bytes(&self) -> usize {
        self.len * self.dtype.size()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        with_dtype!(self.dtype, T => {
            // SAFETY: these are the parts of a vector of this element type.
            drop(unsafe { Vec::<T>::from_raw_parts(self.start.cast(), self.len, self.capacity) });
        });
    }
}

/// An array in memory; the chunks share its bytes.
struct Memory(Chunk);

impl Provider for Memory {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        Ok(self.0.slice(region))
    }

    fn lends(&self) -> bool {
        true
    }
}

/// The strided elements within an owner's memory as an expression, without a copy. `first` is the address of
/// the first element.
pub(crate) fn literal(
    owner: &Arc<Owner>,
    first: *const u8,
    (shape, strides): (&[usize], &[isize]),
    chunks: &Chunks,
) -> Result<Expr> {
    let buffer = Arc::clone(owner).buffer();
    let offset = if owner.len == 0 { 0 } else { (first as usize).wrapping_sub(owner.start as usize) };
    let plane = Plane::new(owner.dtype, shape.to_vec(), strides.to_vec(), Arc::new(buffer), offset);
    let chunk = Chunk { planes: vec![plane.expect("an array lies within its own memory")] };
    provided(shape, chunks, owner.dtype, Memory(chunk))
}

/// An expression whose chunks the provider makes.
pub(crate) fn provided(
    shape: &[usize],
    chunks: &Chunks,
    dtype: DType,
    provider: impl Provider,
) -> Result<Expr> {
    let (id, data) = Literal::attach(provider);
    Ok(Expr::literal(shape, chunks, dtype, id, data)?)
}
