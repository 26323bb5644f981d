//! The array that is a view or owned: ndarray's, or an expression.
//!
//! Must not know operations.

use super::node::Node;
use super::{Array, ArrayView};
use ndarray::Dimension;
use std::ops::{Deref, DerefMut};

/// An array that is a view that lives for `'a`, or owned, in place of [`ndarray::CowArray`].
///
/// A lazy one is owned: it shares the expression.
pub struct CowArray<'a, A, D>(Repr<'a, A, D>);

enum Repr<'a, A, D> {
    Local(ndarray::ArrayBase<ndarray::CowRepr<'a, A>, D, A>),
    Lazy(Array<A, D>),
}

impl<'a, A, D> CowArray<'a, A, D> {
    #[inline]
    pub(crate) const fn local(array: ndarray::CowArray<'a, A, D>) -> Self {
        CowArray(Repr::Local(array))
    }

    /// The node of a lazy array.
    #[inline]
    pub(crate) fn node(&self) -> Option<&Node> {
        match &self.0 {
            Repr::Local(_) => None,
            Repr::Lazy(array) => array.node().map(|node| &**node),
        }
    }

    /// Whether the array is an expression that was not computed yet.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.node().is_some_and(|node| !node.is_here())
    }
}

impl<'a, A, D: Dimension> CowArray<'a, A, D> {
    /// Whether this is a view of elements in this process.
    #[must_use]
    pub fn is_view(&self) -> bool {
        matches!(&self.0, Repr::Local(array) if array.is_view())
    }

    /// Whether the elements, or the expression, are this array's own.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        !self.is_view()
    }

    /// The array for one's own; copies a view's elements.
    #[must_use]
    pub fn into_owned(self) -> Array<A, D>
    where
        A: Clone,
    {
        match self.0 {
            Repr::Local(array) => Array::local(array.into_owned()),
            Repr::Lazy(array) => array,
        }
    }

    /// ndarray's array, computed if need be.
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::CowArray<'a, A, D> {
        match self.0 {
            Repr::Local(array) => array,
            Repr::Lazy(array) => array.into_ndarray().into(),
        }
    }
}

impl<A: Clone, D: Dimension> Clone for CowArray<'_, A, D> {
    fn clone(&self) -> Self {
        CowArray(match &self.0 {
            Repr::Local(array) => Repr::Local(array.clone()),
            Repr::Lazy(array) => Repr::Lazy(array.clone()),
        })
    }
}

impl<A, D: Dimension> Deref for CowArray<'_, A, D> {
    type Target = ndarray::ArrayRef<A, D>;
    #[inline]
    #[track_caller]
    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Repr::Local(array) => array,
            Repr::Lazy(array) => array,
        }
    }
}

impl<A: Clone, D: Dimension> DerefMut for CowArray<'_, A, D> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.0 {
            Repr::Local(array) => array,
            Repr::Lazy(array) => array,
        }
    }
}

impl<A, D: Dimension> From<Array<A, D>> for CowArray<'_, A, D> {
    fn from(array: Array<A, D>) -> Self {
        CowArray(if array.is_lazy() { Repr::Lazy(array) } else { Repr::Local(array.into_ndarray().into()) })
    }
}

impl<A, D: Dimension> From<ndarray::Array<A, D>> for CowArray<'_, A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        CowArray::local(array.into())
    }
}

impl<'a, A, D: Dimension> From<ArrayView<'a, A, D>> for CowArray<'a, A, D> {
    fn from(view: ArrayView<'a, A, D>) -> Self {
        match view.node() {
            Some(node) if !node.is_here() => CowArray(Repr::Lazy(Array::of_expr(node.expr().clone()))),
            _ => CowArray::local(view.into_nd().into()),
        }
    }
}

impl<'a, A, D: Dimension> From<ndarray::ArrayView<'a, A, D>> for CowArray<'a, A, D> {
    fn from(view: ndarray::ArrayView<'a, A, D>) -> Self {
        CowArray::local(view.into())
    }
}

impl<'a, A, D: Dimension> From<&'a Array<A, D>> for CowArray<'a, A, D> {
    fn from(array: &'a Array<A, D>) -> Self {
        CowArray::from(array.view())
    }
}

impl<'a, A, S: AsRef<[A]> + ?Sized> From<&'a S> for CowArray<'a, A, ndarray::Ix1> {
    fn from(slice: &'a S) -> Self {
        CowArray::local(slice.into())
    }
}
