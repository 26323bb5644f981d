//! What all kinds of arrays, ours and ndarray's, are to an operation: elements here, or an expression.
//!
//! Must not know operations.

use super::choice::{default_chunks, dtype_of, eager_bytes_max};
use super::memory::{Owner, literal};
use super::node::{Node, copied};
use super::{ArrayBase, ArrayRef, Data};
use crate::error::Result;
use ndarray::Dimension;
use std::sync::Arc;
use tilework_expr::Expr;

/// Arrays and views that operations take: [`ArrayBase`], which is every array of ours, [`ArrayRef`], ndarray's arrays,
/// and references to them. Nobody else implements it.
pub trait Source<A, D: Dimension>: sealed::Sealed {
    /// The elements in this process; computes what is lazy.
    #[doc(hidden)]
    fn here(&self) -> &ndarray::ArrayRef<A, D>;
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
        literal_of(self.here(), self.owner())
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
    impl<A, S: Data<Elem = A>, D> Sealed for ArrayBase<S, D, A> {}
    impl<A, D> Sealed for ArrayRef<A, D> {}
    impl<S: ndarray::Data, D> Sealed for ndarray::ArrayBase<S, D> {}
    impl<A, D> Sealed for ndarray::ArrayRef<A, D> {}
    impl<T: Sealed + ?Sized> Sealed for &T {}
    impl<T: Sealed + ?Sized> Sealed for &mut T {}
}

/// Whether an operation on this source that gives elements of `B` is lazy.
#[inline]
pub(crate) fn is_lazy<A, D: Dimension>(source: &(impl Source<A, D> + ?Sized)) -> bool {
    source.wants_lazy() && dtype_of::<A>().is_some()
}

impl<A, S: Data<Elem = A>, D: Dimension> Source<A, D> for ArrayBase<S, D, A> {
    #[inline]
    #[track_caller]
    fn here(&self) -> &ndarray::ArrayRef<A, D> {
        self
    }
    #[inline]
    fn node(&self) -> Option<&Node> {
        self.node()
    }
    fn owner(&self) -> Option<&Arc<Owner>> {
        self.data.owner_for_views()
    }
    fn leaf(&self) -> Result<Expr> {
        self.leaf()
    }
}

/// What is built on this array reads it through this.
impl<A, S: Data<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The element type travels.
    pub(crate) fn leaf(&self) -> Result<Expr> {
        match self.node() {
            Some(node) => Ok(node.leaf()),
            None => literal_of(self.elements(), self.data.owner()),
        }
    }
}

/// The elements of an array in this process as an expression: without a copy where their owner is known.
fn literal_of<A, D: Dimension>(here: &ndarray::ArrayRef<A, D>, owner: Option<&Arc<Owner>>) -> Result<Expr> {
    let Some(owner) = owner else { return copied(here) };
    let (shape, strides) = (here.shape(), here.strides());
    literal(owner, here.as_ptr().cast(), (shape, strides), &default_chunks(shape))
}

/// An operation on it alone is ndarray's: its elements are not shared, and a lazy one would copy them first.
impl<A, D: Dimension> Source<A, D> for ArrayRef<A, D> {
    #[inline]
    fn here(&self) -> &ndarray::ArrayRef<A, D> {
        self
    }
    #[inline]
    fn wants_lazy(&self) -> bool {
        false
    }
}

impl<A, S: ndarray::Data<Elem = A>, D: Dimension> Source<A, D> for ndarray::ArrayBase<S, D> {
    #[inline]
    fn here(&self) -> &ndarray::ArrayRef<A, D> {
        self
    }
}

impl<A, D: Dimension> Source<A, D> for ndarray::ArrayRef<A, D> {
    #[inline]
    fn here(&self) -> &ndarray::ArrayRef<A, D> {
        self
    }
}

macro_rules! by_reference {
    ($($reference:ty),*) => { $(
        impl<A, D: Dimension, T: Source<A, D> + ?Sized> Source<A, D> for $reference {
            #[inline]
            #[track_caller]
            fn here(&self) -> &ndarray::ArrayRef<A, D> {
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
