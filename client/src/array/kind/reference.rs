//! The elements of an array in this process, whoever has them: what every array is by reference.
//!
//! Must not know operations.

use super::Array;
use ndarray::{Dimension, LayoutRef, RawRef};
use std::borrow::ToOwned;
use std::ops::{Deref, DerefMut};

/// The elements of an array, in place of [`ndarray::ArrayRef`]: every array dereferences to it, so that functions over
/// `&ArrayRef<A, D>` take them all, and views and arrays that are made of it are ours.
///
/// Its elements are here: a lazy array is computed when it is passed as one. What a function does with it alone runs
/// in this process, as in ndarray; what large results are used for is lazy again.
///
/// ```
/// use tilework::prelude::*;
///
/// fn norm(x: &ArrayRef<f64, Ix1>) -> f64 {
///     x.dot(x).sqrt()
/// }
///
/// let a = array![[3.0, 4.0], [6.0, 8.0]];
/// assert_eq!(norm(&a.row(0)) + norm(&array![3.0]), 8.0);
/// ```
#[repr(transparent)]
pub struct ArrayRef<A, D>(ndarray::ArrayRef<A, D>);

impl<A, D> ArrayRef<A, D> {
    /// ndarray's reference as ours.
    #[inline]
    pub(crate) fn of(array: &ndarray::ArrayRef<A, D>) -> &Self {
        // SAFETY: the one field of a transparent struct has its layout.
        unsafe { &*(std::ptr::from_ref(array) as *const Self) }
    }

    /// ndarray's reference as ours, for writing.
    #[inline]
    pub(crate) fn of_mut(array: &mut ndarray::ArrayRef<A, D>) -> &mut Self {
        // SAFETY: the one field of a transparent struct has its layout.
        unsafe { &mut *(std::ptr::from_mut(array) as *mut Self) }
    }
}

/// ndarray's reference: what [`ArrayRef`] has no method of its own for is done by it.
impl<A, D> Deref for ArrayRef<A, D> {
    type Target = ndarray::ArrayRef<A, D>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<A, D> DerefMut for ArrayRef<A, D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

macro_rules! references {
    ($($to:ident)*) => { $(
        impl<A, D> AsRef<$to<A, D>> for ArrayRef<A, D> {
            #[inline]
            fn as_ref(&self) -> &$to<A, D> {
                self
            }
        }
        impl<A, D> AsMut<$to<A, D>> for ArrayRef<A, D> {
            #[inline]
            fn as_mut(&mut self) -> &mut $to<A, D> {
                self
            }
        }
    )* };
}
references! { RawRef LayoutRef }

impl<A, D> AsRef<ndarray::ArrayRef<A, D>> for ArrayRef<A, D> {
    #[inline]
    fn as_ref(&self) -> &ndarray::ArrayRef<A, D> {
        self
    }
}

impl<A: Clone, D: Dimension> ToOwned for ArrayRef<A, D> {
    type Owned = Array<A, D>;
    fn to_owned(&self) -> Array<A, D> {
        Array::local(self.0.to_owned())
    }
    fn clone_into(&self, target: &mut Array<A, D>) {
        target.zip_mut_with(self, A::clone_from);
    }
}

macro_rules! aliases {
    ($($name:ident $dim:ident $text:literal;)*) => { $(
        #[doc = concat!("The elements of an array of ", $text, ".")]
        pub type $name<A> = ArrayRef<A, ndarray::$dim>;
    )* };
}
aliases! {
    ArrayRef0 Ix0 "no dimensions";
    ArrayRef1 Ix1 "one dimension";
    ArrayRef2 Ix2 "two dimensions";
    ArrayRef3 Ix3 "three dimensions";
    ArrayRef4 Ix4 "four dimensions";
    ArrayRef5 Ix5 "five dimensions";
    ArrayRef6 Ix6 "six dimensions";
    ArrayRefD IxDyn "as many dimensions as are known at run time";
}
