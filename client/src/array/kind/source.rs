//! What all kinds of arrays, ours and ndarray's, are to an operation: elements here, or an expression.
//!
//! Must not know operations.

use super::choice::{dtype_of, eager_bytes_max};
use super::memory::{Owner, literal};
use super::node::{Node, copied};
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, CowArray};
use crate::array::kind::choice::default_chunks;
use crate::error::Result;
use ndarray::{ArrayRef, Data, Dimension};
use std::sync::Arc;
use tilework_expr::Expr;

/// Arrays and views that operations take: [`Array`], [`ArrayView`], [`ArrayViewMut`], [`CowArray`], [`ArcArray`],
/// [`ArrayBase`], ndarray's arrays, and references to them. Nobody else implements it.
pub trait Source<A, D: Dimension>: sealed::Sealed {
    /// The elements in this process; computes what is lazy.
    #[doc(hidden)]
    fn here(&self) -> &ArrayRef<A, D>;
    /// The expression and its values, where the array is lazy.
    #[doc(hidden)]
    fn node(&self) -> Option<&Node> {
        None
    }
    /// Whoever owns the elements, if it is known.
    #[doc(hidden)]
    fn owner(&self) -> Option<&Arc<Owner>> {
        None
    }
    /// What is built on the array reads it through this. The element type travels.
    #[doc(hidden)]
    fn leaf(&self) -> Result<Expr> {
        if let Some(node) = self.node() {
            return Ok(node.leaf());
        }
        let here = self.here();
        match self.owner() {
            Some(owner) => literal(
                owner,
                here.as_ptr().cast(),
                (here.shape(), here.strides()),
                &default_chunks(here.shape()),
            ),
            None => copied(here),
        }
    }
    /// Whether the array is an expression that was not computed yet.
    #[doc(hidden)]
    #[inline]
    fn is_unknown(&self) -> bool {
        self.node().is_some_and(|node| !node.is_here())
    }
    /// Whether an operation on this array is to be lazy, if it can be.
    #[doc(hidden)]
    #[inline]
    fn wants_lazy(&self) -> bool {
        match self.node() {
            Some(node) => !node.is_here() || node.expr().len() * size_of::<A>() > eager_bytes_max(),
            None => self.here().len() * size_of::<A>() > eager_bytes_max(),
        }
    }
    /// The lengths of the axes. Computes nothing.
    #[doc(hidden)]
    fn lens(&self) -> D {
        match self.node() {
            Some(node) => crate::array::dim_of(&node.expr().shape()),
            None => self.here().raw_dim(),
        }
    }
}

mod sealed {
    use super::*;
    pub trait Sealed {}
    impl<A, D> Sealed for Array<A, D> {}
    impl<A, D> Sealed for ArrayView<'_, A, D> {}
    impl<A, D> Sealed for ArrayViewMut<'_, A, D> {}
    impl<A, D> Sealed for CowArray<'_, A, D> {}
    impl<A, D> Sealed for ArcArray<A, D> {}
    impl<A, S: Data<Elem = A>, D> Sealed for ArrayBase<S, D, A> {}
    impl<S: Data, D> Sealed for ndarray::ArrayBase<S, D> {}
    impl<A, D> Sealed for ArrayRef<A, D> {}
    impl<T: Sealed + ?Sized> Sealed for &T {}
    impl<T: Sealed + ?Sized> Sealed for &mut T {}
}

/// Whether an operation on this source that gives elements of `B` is lazy.
#[inline]
pub(crate) fn is_lazy<A, D: Dimension>(source: &(impl Source<A, D> + ?Sized)) -> bool {
    source.wants_lazy() && dtype_of::<A>().is_some()
}

impl<A, D: Dimension> Source<A, D> for Array<A, D> {
    #[inline]
    #[track_caller]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
    #[inline]
    fn node(&self) -> Option<&Node> {
        self.node().map(|node| &**node)
    }
    fn leaf(&self) -> Result<Expr> {
        self.leaf()
    }
    fn owner(&self) -> Option<&Arc<Owner>> {
        self.owner_if_large()
    }
}

impl<A, D: Dimension> Source<A, D> for ArrayView<'_, A, D> {
    #[inline]
    #[track_caller]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
    #[inline]
    fn node(&self) -> Option<&Node> {
        self.node()
    }
    fn owner(&self) -> Option<&Arc<Owner>> {
        self.owner()
    }
}

impl<A, D: Dimension> Source<A, D> for ArrayViewMut<'_, A, D> {
    #[inline]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
}

impl<A, D: Dimension> Source<A, D> for CowArray<'_, A, D> {
    #[inline]
    #[track_caller]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
    #[inline]
    fn node(&self) -> Option<&Node> {
        self.node()
    }
}

impl<A, D: Dimension> Source<A, D> for ArcArray<A, D> {
    #[inline]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
}

/// An operation on it alone is ndarray's: its elements are not shared, and a lazy one would copy them first.
impl<A, S: Data<Elem = A>, D: Dimension> Source<A, D> for ArrayBase<S, D, A> {
    #[inline]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
    #[inline]
    fn wants_lazy(&self) -> bool {
        false
    }
}

impl<A, S: Data<Elem = A>, D: Dimension> Source<A, D> for ndarray::ArrayBase<S, D> {
    #[inline]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
}

impl<A, D: Dimension> Source<A, D> for ArrayRef<A, D> {
    #[inline]
    fn here(&self) -> &ArrayRef<A, D> {
        self
    }
}

macro_rules! by_reference {
    ($($reference:ty),*) => { $(
        impl<A, D: Dimension, T: Source<A, D> + ?Sized> Source<A, D> for $reference {
            #[inline]
            #[track_caller]
            fn here(&self) -> &ArrayRef<A, D> {
                (**self).here()
            }
            #[inline]
            fn node(&self) -> Option<&Node> {
                (**self).node()
            }
            fn leaf(&self) -> Result<Expr> {
                (**self).leaf()
            }
            fn owner(&self) -> Option<&Arc<Owner>> {
                (**self).owner()
            }
            #[inline]
            fn wants_lazy(&self) -> bool {
                (**self).wants_lazy()
            }
        }
    )* };
}
by_reference!(&T, &mut T);
