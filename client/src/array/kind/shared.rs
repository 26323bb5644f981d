//! The array that clones share and copy when they write: ndarray's, whose operations give our arrays.
//!
//! Must not know operations.

use super::Array;
use super::base::ArrayBase;
use ndarray::Dimension;
use std::ops::{Deref, DerefMut};

/// An array whose clones share its elements until they write, in place of [`ndarray::ArcArray`]. It is local.
pub struct ArcArray<A, D>(ndarray::ArrayBase<ndarray::OwnedArcRepr<A>, D, A>);

impl<A, D> ArcArray<A, D> {
    /// Whether the array is an expression that was not computed yet: it never is.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) const fn local(array: ndarray::ArcArray<A, D>) -> Self {
        ArcArray(array)
    }

    /// ndarray's array.
    #[inline]
    #[must_use]
    pub fn into_ndarray(self) -> ndarray::ArcArray<A, D> {
        self.0
    }
}

impl<A, D: Clone> Clone for ArcArray<A, D> {
    fn clone(&self) -> Self {
        ArcArray(self.0.clone())
    }
}

impl<A, D: Dimension> Deref for ArcArray<A, D> {
    type Target = ArrayBase<ndarray::OwnedArcRepr<A>, D, A>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        ArrayBase::of(&self.0)
    }
}

impl<A: Clone, D: Dimension> DerefMut for ArcArray<A, D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        ArrayBase::of_mut(&mut self.0)
    }
}

impl<A, D: Dimension> From<Array<A, D>> for ArcArray<A, D> {
    fn from(array: Array<A, D>) -> Self {
        ArcArray(array.into_ndarray().into())
    }
}

impl<A, D: Dimension> From<ndarray::Array<A, D>> for ArcArray<A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        ArcArray(array.into())
    }
}

impl<A, D: Dimension> From<ndarray::ArcArray<A, D>> for ArcArray<A, D> {
    fn from(array: ndarray::ArcArray<A, D>) -> Self {
        ArcArray(array)
    }
}
