//! What functions that are generic in the kind of array take: ndarray's generic array, whose operations give ours.
//!
//! Must not know operations.

use ndarray::{ArrayRef, Data, DataMut, Dimension, LayoutRef, RawData, RawDataClone, RawDataMut, RawRef};
use std::borrow::{Borrow, BorrowMut};
use std::ops::{Deref, DerefMut};

/// The elements of an array in this process, whoever owns them, in place of [`ndarray::ArrayBase`]: a reference to an
/// [`Array`](crate::Array), [`ArrayView`](crate::ArrayView), [`ArrayViewMut`](crate::ArrayViewMut) or
/// [`ArcArray`](crate::ArcArray) is one to this too, so that functions written for `&ArrayBase<S, D>`, and traits
/// implemented for `ArrayBase<S, D>`, take them all. It is a reference to [`ndarray::ArrayBase`] in its turn.
///
/// Its elements are here: a lazy array is computed when it is passed as one. What large results are used for is lazy
/// again.
///
/// ```
/// use ndarray::Data;
/// use tilework::prelude::*;
///
/// fn centred<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix2>) -> Array2<f64> {
///     x - &x.mean_axis(Axis(0)).unwrap()
/// }
///
/// let a = array![[1.0, 2.0], [3.0, 6.0]];
/// assert_eq!(centred(&a), array![[-1.0, -2.0], [1.0, 2.0]]);
/// assert_eq!(centred(&a.slice(s![.., ..1])), array![[-1.0], [1.0]]);
/// ```
#[repr(transparent)]
pub struct ArrayBase<S: RawData<Elem = A>, D, A = <S as RawData>::Elem>(ndarray::ArrayBase<S, D, A>);

impl<S: RawData<Elem = A>, D, A> ArrayBase<S, D, A> {
    /// ndarray's array as ours.
    #[inline]
    pub(crate) const fn of(array: &ndarray::ArrayBase<S, D, A>) -> &Self {
        // SAFETY: the one field of a transparent struct has its layout.
        unsafe { &*std::ptr::from_ref(array).cast() }
    }

    /// ndarray's array as ours, for writing.
    #[inline]
    pub(crate) const fn of_mut(array: &mut ndarray::ArrayBase<S, D, A>) -> &mut Self {
        // SAFETY: the one field of a transparent struct has its layout.
        unsafe { &mut *std::ptr::from_mut(array).cast() }
    }

    /// Whether the array is an expression that was not computed yet: it never is.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        false
    }

    /// ndarray's array.
    #[must_use]
    pub fn into_ndarray(self) -> ndarray::ArrayBase<S, D, A> {
        self.0
    }
}

impl<S: RawDataClone<Elem = A>, D: Clone, A> Clone for ArrayBase<S, D, A> {
    fn clone(&self) -> Self {
        ArrayBase(self.0.clone())
    }
}

impl<S: RawDataClone<Elem = A> + Copy, D: Copy, A> Copy for ArrayBase<S, D, A> {}

/// ndarray's array: what [`ArrayBase`] has no method of its own for is done by it.
impl<S: RawData<Elem = A>, D, A> Deref for ArrayBase<S, D, A> {
    type Target = ndarray::ArrayBase<S, D, A>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: RawData<Elem = A>, D, A> DerefMut for ArrayBase<S, D, A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// The bounds are ndarray's, so that functions with no others take it.
macro_rules! references {
    ($($as_ref:ident $method:ident [$data:ident $($dim:ident)?] [$($m:tt)?] $to:ident;)*) => { $(
        impl<A, S: $data<Elem = A>, D: $($dim)?> $as_ref<$to<A, D>> for ArrayBase<S, D, A> {
            #[inline]
            fn $method(& $($m)? self) -> & $($m)? $to<A, D> {
                self.0.$method()
            }
        }
    )* };
}
references! {
    AsRef as_ref [RawData] [] RawRef;
    AsRef as_ref [RawData] [] LayoutRef;
    AsMut as_mut [RawDataMut Dimension] [mut] RawRef;
    AsMut as_mut [RawData] [mut] LayoutRef;
    Borrow borrow [Data] [] ArrayRef;
    BorrowMut borrow_mut [DataMut Dimension] [mut] ArrayRef;
}

impl<A, S: Data<Elem = A>, D> AsRef<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    fn as_ref(&self) -> &ArrayRef<A, D> {
        &self.0
    }
}

impl<A, S: DataMut<Elem = A>, D: Dimension> AsMut<ArrayRef<A, D>> for ArrayBase<S, D, A> {
    #[inline]
    fn as_mut(&mut self) -> &mut ArrayRef<A, D> {
        &mut self.0
    }
}
