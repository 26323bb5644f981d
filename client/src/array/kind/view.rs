//! The view: ndarray's over elements in this process, or a lazy slice of a lazy array.
//!
//! Must not know operations.

use super::base::ArrayBase;
use super::choice::dtype_of;
use super::memory::Owner;
use super::node::Node;
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
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
    repr: Repr<'a, A, D>,
}

enum Repr<'a, A, D> {
    /// ndarray's view, and who owns the elements if that is known. (Its type is spelt out, for the alias would make
    /// this type invariant.)
    Local(ndarray::ArrayBase<ndarray::ViewRepr<&'a A>, D, A>, Option<&'a Arc<Owner>>),
    Lazy(Lazy<'a, A, D>),
}

/// An expression with elements of `A`, which is one of the types that travel.
struct Lazy<'a, A, D> {
    node: &'a Node,
    types: PhantomData<(&'a A, D)>,
}

impl<A, D> Clone for Lazy<'_, A, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, D> Copy for Lazy<'_, A, D> {}

impl<A, D: Clone> Clone for ArrayView<'_, A, D> {
    fn clone(&self) -> Self {
        let repr = match &self.repr {
            Repr::Local(view, owner) => Repr::Local(view.clone(), *owner),
            Repr::Lazy(lazy) => Repr::Lazy(*lazy),
        };
        ArrayView { repr }
    }
}

impl<A, D: Copy> Copy for ArrayView<'_, A, D> {}
impl<A, D: Copy> Copy for Repr<'_, A, D> {}
impl<A, D: Clone> Clone for Repr<'_, A, D> {
    fn clone(&self) -> Self {
        match self {
            Repr::Local(view, owner) => Repr::Local(view.clone(), *owner),
            Repr::Lazy(lazy) => Repr::Lazy(*lazy),
        }
    }
}

impl<'a, A, D> ArrayView<'a, A, D> {
    /// A view of elements in this process.
    #[inline]
    pub(crate) const fn local(view: ndarray::ArrayView<'a, A, D>) -> Self {
        ArrayView { repr: Repr::Local(view, None) }
    }

    /// A view of elements in this process that belong to `owner`.
    #[inline]
    pub(crate) const fn owned_by(view: ndarray::ArrayView<'a, A, D>, owner: Option<&'a Arc<Owner>>) -> Self {
        ArrayView { repr: Repr::Local(view, owner) }
    }

    /// The node of a lazy view.
    #[inline]
    pub(crate) fn node(&self) -> Option<&'a Node> {
        match &self.repr {
            Repr::Local(..) => None,
            Repr::Lazy(lazy) => Some(lazy.node),
        }
    }

    pub(crate) fn owner(&self) -> Option<&'a Arc<Owner>> {
        match &self.repr {
            Repr::Local(_, owner) => *owner,
            Repr::Lazy(_) => None,
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
        Some(ArrayView { repr: Repr::Lazy(Lazy { node, types: PhantomData }) })
    }

    /// ndarray's view, computed if need be; a lazy view's values are kept as long as its array.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_local(&self) -> Result<ndarray::ArrayView<'a, A, D>> {
        match &self.repr {
            Repr::Local(view, _) => Ok(view.clone()),
            Repr::Lazy(lazy) => Ok(lazy.try_view()?.clone()),
        }
    }

    /// ndarray's view, computed if need be.
    #[inline]
    #[track_caller]
    pub(crate) fn into_nd(self) -> ndarray::ArrayView<'a, A, D> {
        match self.repr {
            Repr::Local(view, _) => view,
            Repr::Lazy(lazy) => or_panic(lazy.try_view()).clone(),
        }
    }
}

impl<'a, A, D: Dimension> Lazy<'a, A, D> {
    fn try_view(&self) -> Result<&ndarray::ArrayView<'a, A, D>> {
        // SAFETY: the element type was checked when this was made, and its node is asked for nothing else.
        unsafe { self.node.try_view::<A, D>() }
    }
}

/// ndarray's view, to look at other elements of the array through it. A lazy view is computed, once.
///
/// Panics where the computation fails; [`ArrayView::try_local`] returns the error.
impl<'a, A, D: Dimension> DerefMut for ArrayView<'a, A, D> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut Self::Target {
        if let Repr::Lazy(lazy) = &self.repr {
            self.repr = Repr::Local(or_panic(lazy.try_view()).clone(), None);
        }
        match &mut self.repr {
            Repr::Local(view, owner) => {
                // Another view may be put in this one's place.
                *owner = None;
                ArrayBase::of_mut(view)
            }
            Repr::Lazy(_) => unreachable!("made local above"),
        }
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
        ArrayBase::of(match &self.repr {
            Repr::Local(view, _) => view,
            Repr::Lazy(lazy) => or_panic(lazy.try_view()),
        })
    }
}
