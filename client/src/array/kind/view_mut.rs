//! The writable view: ndarray's, whose operations give our arrays.
//!
//! Must not know operations.

use super::base::ArrayBase;
use ndarray::Dimension;
use std::ops::{Deref, DerefMut};

/// A writable view of an array that lives for `'a`, in place of [`ndarray::ArrayViewMut`]. An array that is viewed so
/// is local.
pub struct ArrayViewMut<'a, A, D>(ndarray::ArrayBase<ndarray::ViewRepr<&'a mut A>, D, A>);

impl<'a, A, D> ArrayViewMut<'a, A, D> {
    /// Whether the array is an expression that was not computed yet: it never is.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) const fn local(view: ndarray::ArrayViewMut<'a, A, D>) -> Self {
        ArrayViewMut(view)
    }

    /// ndarray's view.
    #[inline]
    #[must_use]
    pub fn into_ndarray(self) -> ndarray::ArrayViewMut<'a, A, D> {
        self.0
    }
}

impl<'a, A, D: Dimension> Deref for ArrayViewMut<'a, A, D> {
    type Target = ArrayBase<ndarray::ViewRepr<&'a mut A>, D, A>;
    #[inline]
    fn deref(&self) -> &Self::Target {
        ArrayBase::of(&self.0)
    }
}

impl<A, D: Dimension> DerefMut for ArrayViewMut<'_, A, D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        ArrayBase::of_mut(&mut self.0)
    }
}
