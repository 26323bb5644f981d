//! The owned array: a vector, whose memory expressions may share, or an expression.
//!
//! Owns copy on write. Must not know operations.

use super::base::{ArrayBase, Parts, forwards, invert_backwards, no_elements, parts_at};
use super::choice::{EAGER_BYTES_MAX, dtype_of};
use super::data::sealed::Sealed;
use super::data::{Data, DataMut, DataOwned, RawData, RawDataClone, RawDataMut, RawDataSubst};
use super::memory::Owner;
use super::node::Node;
use crate::error::{Result, or_panic};
use ndarray::{Dimension, ShapeBuilder};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};
use tilework_expr::Expr;

/// An n-dimensional array that owns its elements, in place of [`ndarray::Array`].
///
/// Clones share values and expressions; a change to one does not show in the others.
///
/// ```
/// use tilework::prelude::*;
///
/// let mut a = array![[1.0, 2.0], [3.0, 4.0]];
/// let b = Array2::<f64>::in_chunks(1).ones((2, 2)) + &a; // lazy: its left operand is
/// a[[0, 0]] = 50.0;
/// assert_eq!(b.row(0).to_vec(), [2.0, 3.0]);
/// assert_eq!(b.iter().sum::<f64>(), 14.0);
/// ```
pub type Array<A, D> = ArrayBase<OwnedRepr<A>, D, A>;

/// A vector of elements, or an expression, in place of [`ndarray::OwnedRepr`].
// The layout does not depend on the element type: see `RawDataSubst` of the shared array.
#[repr(C)]
pub struct OwnedRepr<A> {
    /// The parts of a vector. Where its elements have an owner, they are its: they are plain data, are not written, and
    /// are not freed with this. Of an expression, those of an empty one.
    start: NonNull<A>,
    len: usize,
    capacity: usize,
    /// What there is beside the elements: nothing for small arrays. It is behind a pointer so that a shared reference
    /// to an array is one to memory that does not change.
    more: Option<Box<More>>,
}

enum More {
    /// The owner that expressions share, once one needs the elements.
    Owner(OnceLock<Arc<Owner>>),
    /// The expression of a lazy array, with elements of `A`, which is one of the types that travel.
    Lazy(Arc<Node>),
}

/// Arrays of fewer bytes have no place for an owner: an expression copies their elements.
const SHARED_BYTES_MIN: usize = 1 << 14;

// SAFETY: it owns a vector, or shares plain data that nobody writes.
unsafe impl<A: Send> Send for OwnedRepr<A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for OwnedRepr<A> {}

impl<A> Drop for OwnedRepr<A> {
    fn drop(&mut self) {
        let theirs = match self.more.as_deref() {
            None => false,
            Some(More::Owner(owner)) => owner.get().is_some(),
            Some(More::Lazy(_)) => true,
        };
        if !theirs {
            // SAFETY: the parts of a vector that is this one's own; they are not used again.
            drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), self.len, self.capacity) });
        }
    }
}

impl<A> OwnedRepr<A> {
    #[inline]
    fn of_vec(values: Vec<A>) -> Self {
        let is_large = values.len() * size_of::<A>() >= SHARED_BYTES_MIN;
        let mut this = OwnedRepr { start: NonNull::dangling(), len: 0, capacity: 0, more: None };
        this.hold(values);
        if is_large {
            this.more = Self::place_of_owner();
        }
        this
    }

    /// Makes a vector's parts this one's; those before it are forgotten.
    #[inline]
    fn hold(&mut self, values: Vec<A>) {
        let mut values = ManuallyDrop::new(values);
        (self.len, self.capacity) = (values.len(), values.capacity());
        // SAFETY: a vector's address is not null.
        self.start = unsafe { NonNull::new_unchecked(values.as_mut_ptr()) };
    }

    #[cold]
    fn place_of_owner() -> Option<Box<More>> {
        dtype_of::<A>().is_some().then(|| Box::new(More::Owner(OnceLock::new())))
    }

    fn lazy(node: Arc<Node>) -> Self {
        let more = Some(Box::new(More::Lazy(node)));
        OwnedRepr { start: NonNull::dangling(), len: 0, capacity: 0, more }
    }

    /// How many elements of the vector there are before this address.
    fn position_of(&self, first: *const A) -> usize {
        let bytes = (first as usize).wrapping_sub(self.start.as_ptr() as usize);
        bytes.checked_div(size_of::<A>()).unwrap_or(0)
    }

    /// The elements of a local array.
    fn as_slice(&self) -> &[A] {
        // SAFETY: the parts of a vector, its own or its owner's; empty ones of an expression.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The number of elements of the vector.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The vector of a local array: a copy where others have it too.
    fn into_vec(self) -> Vec<A> {
        let mut this = ManuallyDrop::new(self);
        let owner = match this.more.take().map(|more| *more) {
            Some(More::Owner(owner)) => owner.into_inner(),
            Some(More::Lazy(_)) => return Vec::new(),
            None => None,
        };
        match owner.map(Arc::try_unwrap) {
            // SAFETY: the parts of a vector that is this one's own; they are not used again.
            None => unsafe { Vec::from_raw_parts(this.start.as_ptr(), this.len, this.capacity) },
            Some(Ok(owner)) => owner.into_vec(),
            Some(Err(theirs)) => theirs.to_vec(),
        }
    }

    /// A copy of the vector, and the same place within it.
    pub(super) fn copied<D: Dimension>(&self, parts: &Parts<A, D>) -> (Self, Parts<A, D>)
    where
        A: Clone,
    {
        self.beside(parts, self.as_slice().to_vec())
    }

    /// Another vector of as many elements, and the same place within it.
    fn beside<D: Dimension>(&self, parts: &Parts<A, D>, values: Vec<A>) -> (Self, Parts<A, D>) {
        let copy = OwnedRepr::of_vec(values);
        let parts = parts_at(self.moved(parts, copy.start), parts.raw_dim(), Some(parts.strides()));
        (copy, parts)
    }

    /// The address of the first element, were the vector at `start`.
    fn moved<D: Dimension>(&self, parts: &Parts<A, D>, start: NonNull<A>) -> *const A {
        start.as_ptr().wrapping_add(self.position_of(parts.as_ptr())).cast_const()
    }

    /// Whether the elements are here and nobody else's, so that they can be written.
    #[inline]
    fn is_writable(&mut self) -> bool {
        match self.more.as_deref_mut() {
            None => true,
            Some(More::Owner(owner)) => owner.get_mut().is_none(),
            Some(More::Lazy(_)) => false,
        }
    }

    /// Makes the elements this array's alone: computes a lazy array, copies what is shared.
    #[cold]
    #[track_caller]
    fn make_writable<D: Dimension>(&mut self, parts: &mut Parts<A, D>) {
        or_panic(self.settle(parts));
        let Some(More::Owner(place)) = self.more.as_deref_mut() else { return };
        match place.take().map(Arc::try_unwrap) {
            None => {}
            // This has the vector's parts still.
            Some(Ok(owner)) => std::mem::forget(owner.into_vec::<A>()),
            Some(Err(theirs)) => {
                let first = self.position_of(parts.as_ptr());
                self.hold(theirs.to_vec());
                let first = self.start.as_ptr().wrapping_add(first).cast_const();
                *parts = parts_at(first, parts.raw_dim(), Some(parts.strides()));
            }
        }
    }
}

impl<A> Sealed for OwnedRepr<A> {}

impl<A> RawData for OwnedRepr<A> {
    type Elem = A;

    #[inline]
    fn node(&self) -> Option<&Node> {
        match self.more.as_deref() {
            Some(More::Lazy(node)) => Some(node),
            _ => None,
        }
    }

    /// It takes the elements over on the first call. `None` where the array has no place for one.
    fn owner(&self) -> Option<&Arc<Owner>> {
        let Some(More::Owner(owner)) = self.more.as_deref() else { return None };
        // From here on this neither frees the elements nor writes them.
        let make = || Arc::new(Owner::of_parts(self.start.as_ptr(), self.len, self.capacity));
        Some(owner.get_or_init(make))
    }

    #[inline]
    fn owner_for_views(&self) -> Option<&Arc<Owner>> {
        if self.more.is_some() && self.len * size_of::<A>() > super::choice::eager_bytes_max() {
            self.owner()
        } else {
            None
        }
    }

    fn rebuilt<D: Dimension>(&self, expr: Expr) -> Option<Self> {
        Some(OwnedRepr::lazy(Arc::new(Node::new::<A, D>(expr))))
    }

    /// Without a copy where nobody else looks at the values.
    fn settle<D>(&mut self, parts: &mut Parts<A, D>) -> Result<()> {
        let Some(More::Lazy(node)) = self.more.as_deref_mut() else { return Ok(()) };
        // Computed where it still is, so that a failure leaves the array as it was.
        node.try_values()?;
        let fresh = Arc::new(node.anew());
        let owner = match Arc::try_unwrap(std::mem::replace(node, Arc::clone(&fresh))) {
            Ok(node) => node.into_values(),
            Err(node) => Some(Arc::clone(node.try_values()?)),
        };
        let values = match owner.map(Arc::try_unwrap) {
            Some(Ok(owner)) => owner.into_vec::<A>(),
            Some(Err(theirs)) => theirs.to_vec::<A>(),
            None => unreachable!("computed above"),
        };
        *self = OwnedRepr::of_vec(values);
        // SAFETY: an array's node is made for its types.
        *parts = unsafe { fresh.parts_in(self.start.as_ptr()) };
        Ok(())
    }
}

impl<A> RawDataMut for OwnedRepr<A> {
    const IS_REPLACED: bool = true;

    #[inline]
    #[track_caller]
    fn ensure_unique<D: Dimension>(&mut self, parts: &mut Parts<A, D>) {
        if !self.is_writable() {
            self.make_writable(parts);
        }
    }
    fn is_unique(&mut self) -> bool {
        true
    }
    fn replace<D: Dimension>(array: &mut Array<A, D>, by: Array<A, D>) {
        *array = by;
    }
}

impl<A: Clone> RawDataClone for OwnedRepr<A> {
    fn cloned<D: Dimension>(&self, parts: &Parts<A, D>) -> (Self, Parts<A, D>) {
        if let Some(More::Lazy(node)) = self.more.as_deref() {
            return (OwnedRepr::lazy(Arc::clone(node)), parts.clone());
        }
        let is_large = self.len * size_of::<A>() > EAGER_BYTES_MAX;
        match if is_large { self.owner() } else { None } {
            // The elements are the owner's, and nobody writes them.
            Some(owner) => {
                let more = Some(Box::new(More::Owner(OnceLock::from(Arc::clone(owner)))));
                let OwnedRepr { start, len, capacity, .. } = *self;
                (OwnedRepr { start, len, capacity, more }, parts.clone())
            }
            None => self.copied(parts),
        }
    }
}

impl<A> Data for OwnedRepr<A> {
    fn into_owned<D: Dimension>(array: Array<A, D>) -> Array<A, D> {
        array
    }
    fn try_into_owned_nocopy<D: Dimension>(
        array: Array<A, D>,
    ) -> std::result::Result<Array<A, D>, Array<A, D>> {
        Ok(array)
    }
}

impl<A> DataMut for OwnedRepr<A> {}

impl<A> DataOwned for OwnedRepr<A> {
    type MaybeUninit = OwnedRepr<MaybeUninit<A>>;
    #[inline]
    fn of_owned<D: Dimension>(array: Array<A, D>) -> Array<A, D> {
        array
    }
}

impl<A, B> RawDataSubst<B> for OwnedRepr<A> {
    type Output = OwnedRepr<B>;
    unsafe fn data_subst(self) -> OwnedRepr<B> {
        let mut values = ManuallyDrop::new(self.into_vec());
        let (start, len, capacity) = (values.as_mut_ptr().cast::<B>(), values.len(), values.capacity());
        // SAFETY: the parts of a vector whose elements are of `B`, too, by the caller's word.
        OwnedRepr::of_vec(unsafe { Vec::from_raw_parts(start, len, capacity) })
    }
}

impl<A, D: Dimension> Array<A, D> {
    /// ndarray's array as ours.
    #[inline]
    pub(crate) fn local(array: ndarray::Array<A, D>) -> Self {
        let parts = array.raw_view();
        let data = OwnedRepr::of_vec(array.into_raw_vec_and_offset().0);
        ArrayBase { parts, data }
    }

    /// A lazy array. The expression's dtype is that of `A`, and it has the dimensions of `D`.
    pub(crate) fn of_expr(expr: Expr) -> Self {
        ArrayBase { parts: no_elements(), data: OwnedRepr::lazy(Arc::new(Node::new::<A, D>(expr))) }
    }

    /// The vector with the elements, which position of it has the first, and lengths and strides; computed if need be.
    fn try_into_memory(mut self) -> Result<(Vec<A>, usize, Parts<A, D>)> {
        self.settle()?;
        let ArrayBase { parts, data } = self;
        let first = data.position_of(parts.as_ptr());
        Ok((data.into_vec(), first, parts))
    }

    /// ndarray's array, computed if need be.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_into_ndarray(self) -> Result<ndarray::Array<A, D>> {
        let (mut values, first, parts) = self.try_into_memory()?;
        let (dim, strides) = (parts.raw_dim(), parts.strides());
        if dim.size() == 0 {
            let none = D::zeros(dim.ndim());
            // SAFETY: strides of 0 fit any vector where there are no elements.
            return Ok(unsafe { ndarray::Array::from_shape_vec_unchecked(dim.strides(none), values) });
        }
        let (lowest, forwards) = forwards(&dim, strides);
        if size_of::<A>() != 0 {
            // ndarray takes arrays that start with the vector alone.
            values.drain(..first.wrapping_add_signed(lowest));
        }
        // SAFETY: the elements of an owned array lie in its vector, each once, and now from its start on.
        let mut array = unsafe { ndarray::Array::from_shape_vec_unchecked(dim.strides(forwards), values) };
        invert_backwards(strides, |axis| array.invert_axis(axis));
        Ok(array)
    }

    /// The elements in the order in which they lie in memory, and the position of the first among them, `None` where
    /// there are none. Computes the array.
    ///
    /// # Panics
    /// Where the computation fails.
    #[must_use]
    #[track_caller]
    pub fn into_raw_vec_and_offset(self) -> (Vec<A>, Option<usize>) {
        let (values, first, parts) = or_panic(self.try_into_memory());
        if parts.is_empty() {
            return (values, None);
        }
        let (lowest, _) = forwards(&parts.raw_dim(), parts.strides());
        // Elements without a size have no address to tell them by: they count from the lowest.
        (values, Some(if size_of::<A>() == 0 { lowest.unsigned_abs() } else { first }))
    }

    /// ndarray's array, computed if need be.
    ///
    /// # Panics
    /// Where [`Array::try_into_ndarray`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::Array<A, D> {
        or_panic(self.try_into_ndarray())
    }

    /// Changes the array as ndarray's owned array.
    #[track_caller]
    pub(in crate::array) fn as_ndarray<T>(&mut self, f: impl FnOnce(&mut ndarray::Array<A, D>) -> T) -> T {
        // What cannot be computed is found while the array is what it was.
        self.data.ensure_unique(&mut self.parts);
        let nothing = ArrayBase { parts: no_elements(), data: OwnedRepr::of_vec(Vec::new()) };
        let mut array = std::mem::replace(self, nothing).into_ndarray();
        let result = f(&mut array);
        *self = Array::local(array);
        result
    }
}
