//! The view: ndarray's over elements in this process, or a lazy slice of a lazy array.
//!
//! Must not know operations.

use super::base::ArrayBase;
use super::choice::{dtype_of, is_bounded};
use super::memory::Owner;
use super::node::Node;
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use tilework_expr::Expr;

/// A view of an array that lives for `'a`, in place of [`ndarray::ArrayView`].
///
/// A view of a lazy array is lazy: what is built on it computes the slice alone, and nothing is computed until its
/// elements are touched. Views are as cheap to copy as ndarray's.
///
/// ```
/// use tilework::prelude::*;
///
/// let a = Array2::<f64>::ones_chunked((1000, 1000), 100);
/// let row = a.row(17);
/// assert_eq!(row.len(), 1000); // computes nothing
/// assert_eq!(row.sum(), 1000.0); // computes one row
/// ```
pub struct ArrayView<'a, A, D> {
    /// ndarray's view; of a lazy view, one that is not handed out, without elements where it has axes. (The type is
    /// spelt out, for the alias would make this type invariant.)
    view: ndarray::ArrayBase<ndarray::ViewRepr<&'a A>, D, A>,
    of: Of<'a>,
}

/// What a view looks at.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// Elements in this process, and who owns them if that is known.
    Elements(Option<&'a Arc<Owner>>),
    /// An expression with elements of the view's type, which is one of those that travel.
    Expression(&'a Node),
}

impl<A, D: Clone> Clone for ArrayView<'_, A, D> {
    fn clone(&self) -> Self {
        ArrayView { view: self.view.clone(), of: self.of }
    }
}

impl<A, D: Copy> Copy for ArrayView<'_, A, D> {}

impl<'a, A, D> ArrayView<'a, A, D> {
    /// A view of elements in this process.
    #[inline]
    pub(crate) const fn local(view: ndarray::ArrayView<'a, A, D>) -> Self {
        ArrayView { view, of: Of::Elements(None) }
    }

    /// A view of elements in this process that belong to `owner`.
    #[inline]
    pub(crate) const fn owned_by(view: ndarray::ArrayView<'a, A, D>, owner: Option<&'a Arc<Owner>>) -> Self {
        ArrayView { view, of: Of::Elements(owner) }
    }

    /// The node of a lazy view.
    #[inline]
    pub(crate) fn node(&self) -> Option<&'a Node> {
        match self.of {
            Of::Elements(_) => None,
            Of::Expression(node) => Some(node),
        }
    }

    pub(crate) fn owner(&self) -> Option<&'a Arc<Owner>> {
        match self.of {
            Of::Elements(owner) => owner,
            Of::Expression(_) => None,
        }
    }

    /// Whether the view is an expression that was not computed yet.
    #[must_use]
    pub fn is_lazy(&self) -> bool {
        self.node().is_some_and(|node| !node.is_here())
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// A view of `expr`, which is a view of what `of` is the node of; `None` where the elements are better looked at
    /// in place.
    pub(crate) fn lazy(of: &'a Node, expr: Expr) -> Option<Self> {
        assert_eq!(dtype_of::<A>(), Some(expr.dtype()), "{expr:?}");
        debug_assert!(D::NDIM.is_none_or(|n| n == expr.ndim()), "{expr:?}");
        let node = of.slice(expr)?;
        let no_elements = D::zeros(D::NDIM.unwrap_or(1));
        // SAFETY: there are none to look at; where there are no axes, the one is never looked at, for a lazy view's
        // `view` is replaced before it is handed out.
        let view = unsafe { ndarray::ArrayView::from_shape_ptr(no_elements, NonNull::dangling().as_ptr()) };
        Some(ArrayView { view, of: Of::Expression(node) })
    }

    /// ndarray's view, computed if need be; a lazy view's values are kept as long as its array.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_local(&self) -> Result<ndarray::ArrayView<'a, A, D>> {
        match self.node() {
            None => Ok(self.view.clone()),
            // SAFETY: the element type was checked when this was made, and its node is asked for nothing else.
            Some(node) => Ok(unsafe { node.try_view::<A, D>() }?.clone()),
        }
    }

    /// ndarray's view, computed if need be.
    #[inline]
    #[track_caller]
    pub(crate) fn into_nd(self) -> ndarray::ArrayView<'a, A, D> {
        match self.of {
            Of::Elements(_) => self.view,
            Of::Expression(_) => or_panic(self.try_local()),
        }
    }

    /// ndarray's view of a lazy view's values.
    #[cold]
    #[track_caller]
    fn computed(&self) -> &ndarray::ArrayView<'a, A, D> {
        let node = self.node().expect("it is lazy");
        // SAFETY: as in `try_local`.
        or_panic(unsafe { node.try_view::<A, D>() })
    }

    /// ndarray's view; of a lazy view, one without elements.
    #[inline]
    pub(in crate::array) fn bounded(&self) -> &ndarray::ArrayView<'a, A, D> {
        assert!(is_bounded::<D>(), "a lazy one could have an element");
        &self.view
    }
}

/// ndarray's view, to look at other elements of the array through it. A lazy view is computed, once.
///
/// Panics where the computation fails; [`ArrayView::try_local`] returns the error.
impl<'a, A, D: Dimension> DerefMut for ArrayView<'a, A, D> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut Self::Target {
        if let Of::Expression(_) = self.of {
            self.view = self.computed().clone();
        }
        // Another view may be put in this one's place: its owner is not known.
        self.of = Of::Elements(None);
        ArrayBase::of_mut(&mut self.view)
    }
}

/// ndarray's view: what [`ArrayView`] has no method of its own for is done by it. A lazy view is computed, once.
///
/// Panics where the computation fails; [`ArrayView::try_local`] returns the error.
impl<'a, A, D: Dimension> Deref for ArrayView<'a, A, D> {
    type Target = ArrayBase<ndarray::ViewRepr<&'a A>, D, A>;
    #[inline]
    #[track_caller]
    fn deref(&self) -> &Self::Target {
        ArrayBase::of(match self.of {
            Of::Elements(_) => &self.view,
            Of::Expression(_) => self.computed(),
        })
    }
}
