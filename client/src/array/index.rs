//! Elements by their index. A local array gives them as ndarray does; a lazy one is computed, once.

use super::kind::choice::is_bounded;
use super::write::here;
use super::{ArrayBase, ArrayView, ArrayViewMut, Data, DataMut};
use crate::error::or_panic;
use ndarray::{Dimension, IndexLonger, NdIndex};
use std::ops::{Index, IndexMut};

/// An index within the bounds of what is here is found without asking whether the array is lazy, for of a lazy one
/// nothing is.
impl<A, S: Data<Elem = A>, D: Dimension, I: NdIndex<D>> Index<I> for ArrayBase<S, D, A> {
    type Output = A;
    #[inline]
    #[track_caller]
    fn index(&self, index: I) -> &A {
        if is_bounded::<D>() && !std::mem::needs_drop::<I>() {
            // SAFETY: an index without a destructor is plain data.
            let copy = unsafe { std::ptr::read(&raw const index) };
            if let Some(element) = self.elements().get(copy) {
                return element;
            }
        } else if self.node().is_none() {
            return &self.elements()[index];
        }
        elsewhere(self, index)
    }
}

/// The element of a lazy array, or of an index out of bounds.
#[cold]
#[track_caller]
fn elsewhere<A, S: Data<Elem = A>, D: Dimension, I: NdIndex<D>>(array: &ArrayBase<S, D, A>, index: I) -> &A {
    &or_panic(array.try_layout())[index]
}

impl<A, S: DataMut<Elem = A>, D: Dimension, I: NdIndex<D>> IndexMut<I> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn index_mut(&mut self, index: I) -> &mut A {
        &mut here(self)[index]
    }
}

impl<'a, A, D: Dimension, I: NdIndex<D>> IndexLonger<I> for &ArrayView<'a, A, D> {
    type Output = &'a A;

    #[track_caller]
    fn index(self, index: I) -> &'a A {
        IndexLonger::index(&(*self).clone().into_ndarray(), index)
    }

    fn get(self, index: I) -> Option<&'a A> {
        IndexLonger::get(&(*self).clone().into_ndarray(), index)
    }

    unsafe fn uget(self, index: I) -> &'a A {
        // SAFETY: by the caller's word.
        unsafe { IndexLonger::uget(&(*self).clone().into_ndarray(), index) }
    }
}

impl<'a, A, D: Dimension, I: NdIndex<D>> IndexLonger<I> for ArrayViewMut<'a, A, D> {
    type Output = &'a mut A;

    #[track_caller]
    fn index(self, index: I) -> &'a mut A {
        IndexLonger::index(self.into_ndarray(), index)
    }

    fn get(self, index: I) -> Option<&'a mut A> {
        IndexLonger::get(self.into_ndarray(), index)
    }

    unsafe fn uget(self, index: I) -> &'a mut A {
        // SAFETY: by the caller's word.
        unsafe { IndexLonger::uget(self.into_ndarray(), index) }
    }
}
