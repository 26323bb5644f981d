//! Elements by their index. A local array gives them as ndarray does; a lazy one is computed, once.

use super::kind::choice::is_bounded;
use super::kind::source::Source;
use super::{ArcArray, Array, ArrayView, ArrayViewMut, CowArray};
use ndarray::{Dimension, IndexLonger, NdIndex};
use std::ops::{Index, IndexMut};

macro_rules! index {
    ($($kind:ty),*) => { $(
        impl<A, D: Dimension, I: NdIndex<D>> Index<I> for $kind {
            type Output = A;
            #[inline]
            #[track_caller]
            fn index(&self, index: I) -> &A {
                &(**self)[index]
            }
        }
    )* };
}
index!(ArrayViewMut<'_, A, D>, CowArray<'_, A, D>, ArcArray<A, D>);

/// Of arrays that may be lazy: an index within the bounds of what is here is found without asking whether the array is,
/// for of a lazy one nothing is.
macro_rules! index_maybe_lazy {
    ($($kind:ty),*) => { $(
        impl<A, D: Dimension, I: NdIndex<D>> Index<I> for $kind {
            type Output = A;
            #[inline]
            #[track_caller]
            fn index(&self, index: I) -> &A {
                if is_bounded::<D>() && !std::mem::needs_drop::<I>() {
                    // SAFETY: an index without a destructor is plain data.
                    let copy = unsafe { std::ptr::read(&raw const index) };
                    if let Some(element) = self.bounded().get(copy) {
                        return element;
                    }
                }
                elsewhere(self, index)
            }
        }
    )* };
}
index_maybe_lazy!(Array<A, D>, ArrayView<'_, A, D>);

/// The element of an array that is lazy or has no axes, or of an index out of bounds.
#[cold]
#[track_caller]
fn elsewhere<'r, A, D: Dimension + 'r, I: NdIndex<D>>(array: &'r impl Source<A, D>, index: I) -> &'r A {
    &array.here()[index]
}

macro_rules! index_mut {
    ($([$kind:ty] [$($bound:ident)?])*) => { $(
        impl<A: $($bound)?, D: Dimension, I: NdIndex<D>> IndexMut<I> for $kind {
            #[inline]
            #[track_caller]
            fn index_mut(&mut self, index: I) -> &mut A {
                &mut (**self)[index]
            }
        }
    )* };
}
index_mut! {
    [Array<A, D>] []
    [ArrayViewMut<'_, A, D>] []
    [CowArray<'_, A, D>] [Clone]
    [ArcArray<A, D>] [Clone]
}

impl<'a, A, D: Dimension, I: NdIndex<D>> IndexLonger<I> for &ArrayView<'a, A, D> {
    type Output = &'a A;

    #[track_caller]
    fn index(self, index: I) -> &'a A {
        IndexLonger::index(&***self, index)
    }

    fn get(self, index: I) -> Option<&'a A> {
        IndexLonger::get(&***self, index)
    }

    unsafe fn uget(self, index: I) -> &'a A {
        // SAFETY: by the caller's word.
        unsafe { IndexLonger::uget(&***self, index) }
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
