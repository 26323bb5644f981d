//! Views, to read and to write: of elements in this process, or of a lazy array, which then is a lazy slice of it.
//!
//! Must not know operations.

use super::Array;
use super::base::{ArrayBase, Parts, elements_of_mut, no_elements};
use super::data::sealed::Sealed;
use super::data::{Data, DataMut, DataShared, RawData, RawDataClone, RawDataMut, RawDataSubst};
use super::memory::Owner;
use super::node::Node;
use crate::error::{Result, or_panic};
use ndarray::Dimension;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
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
/// let a = Array2::<f64>::in_chunks(100).ones((1000, 1000));
/// let row = a.row(17);
/// assert_eq!(row.len(), 1000); // computes nothing
/// assert_eq!(row.sum(), 1000.0); // computes one row
/// ```
pub type ArrayView<'a, A, D> = ArrayBase<ViewRepr<&'a A>, D, A>;

/// A writable view of an array that lives for `'a`, in place of [`ndarray::ArrayViewMut`]. An array that is viewed so
/// is local.
pub type ArrayViewMut<'a, A, D> = ArrayBase<ViewRepr<&'a mut A>, D, A>;

/// Elements that are borrowed, in place of [`ndarray::ViewRepr`].
#[derive(Clone, Copy)]
pub struct ViewRepr<A> {
    of: Of,
    life: PhantomData<A>,
}

/// What a view looks at; it lives at least as long as the view.
#[derive(Clone, Copy)]
enum Of {
    /// Elements in this process, and who owns them if that is known.
    Elements(Option<NonNull<Arc<Owner>>>),
    /// An expression with elements of the view's type, which is one of those that travel.
    Expression(NonNull<Node>),
}

// SAFETY: owners and nodes may be read by any thread; whether elements may, `A` says.
unsafe impl<A: Sync> Send for ViewRepr<&A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for ViewRepr<&A> {}
// SAFETY: as above.
unsafe impl<A: Send> Send for ViewRepr<&mut A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for ViewRepr<&mut A> {}

impl<A> ViewRepr<A> {
    #[inline]
    const fn of_elements(owner: Option<NonNull<Arc<Owner>>>) -> Self {
        ViewRepr { of: Of::Elements(owner), life: PhantomData }
    }
}

impl<'a, A> ViewRepr<&'a A> {
    fn of_node(node: &'a Node) -> Self {
        ViewRepr { of: Of::Expression(NonNull::from(node)), life: PhantomData }
    }

    #[inline]
    fn expression(&self) -> Option<&'a Node> {
        match self.of {
            Of::Elements(_) => None,
            // SAFETY: the node lives as long as the array that is viewed, which is borrowed for `'a`.
            Of::Expression(node) => Some(unsafe { node.as_ref() }),
        }
    }
}

impl<A> Sealed for ViewRepr<&A> {}

impl<A> RawData for ViewRepr<&A> {
    type Elem = A;

    #[inline]
    fn node(&self) -> Option<&Node> {
        self.expression()
    }
    fn owner(&self) -> Option<&Arc<Owner>> {
        match self.of {
            // SAFETY: the owner belongs to the array that is viewed, which is borrowed as long as this lives.
            Of::Elements(owner) => owner.map(|owner| unsafe { owner.as_ref() }),
            Of::Expression(_) => None,
        }
    }
    #[inline]
    fn owner_for_views(&self) -> Option<&Arc<Owner>> {
        self.owner()
    }
    fn rebuilt<D: Dimension>(&self, expr: Expr) -> Option<Self> {
        self.expression()?.slice::<A, D>(expr).map(ViewRepr::of_node)
    }
    fn settle<D>(&mut self, parts: &mut Parts<A, D>) -> Result<()> {
        if let Some(node) = self.expression() {
            // SAFETY: an array's node is made for its types.
            *parts = unsafe { node.try_into_parts() }?;
            *self = ViewRepr::of_elements(None);
        }
        Ok(())
    }
}

impl<A> RawDataClone for ViewRepr<&A> {
    #[inline]
    fn cloned<D: Dimension>(&self, parts: &Parts<A, D>) -> (Self, Parts<A, D>) {
        (*self, parts.clone())
    }
}

impl<A> Data for ViewRepr<&A> {
    fn into_owned<D: Dimension>(array: ArrayBase<Self, D, A>) -> Array<A, D>
    where
        A: Clone,
    {
        array.to_owned()
    }
}

impl<A> DataShared for ViewRepr<&A> {}

impl<'a, A: 'a, B: 'a> RawDataSubst<B> for ViewRepr<&'a A> {
    type Output = ViewRepr<&'a B>;
    unsafe fn data_subst(self) -> ViewRepr<&'a B> {
        ViewRepr::of_elements(None)
    }
}

impl<A> Sealed for ViewRepr<&mut A> {}

impl<A> RawData for ViewRepr<&mut A> {
    type Elem = A;
}

impl<A> RawDataMut for ViewRepr<&mut A> {
    #[inline]
    fn ensure_unique<D: Dimension>(&mut self, _: &mut Parts<A, D>) {}
    fn is_unique(&mut self) -> bool {
        true
    }
}

impl<A> Data for ViewRepr<&mut A> {
    fn into_owned<D: Dimension>(array: ArrayBase<Self, D, A>) -> Array<A, D>
    where
        A: Clone,
    {
        array.to_owned()
    }
}

impl<A> DataMut for ViewRepr<&mut A> {}

impl<'a, A: 'a, B: 'a> RawDataSubst<B> for ViewRepr<&'a mut A> {
    type Output = ViewRepr<&'a mut B>;
    unsafe fn data_subst(self) -> ViewRepr<&'a mut B> {
        ViewRepr::of_elements(None)
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// A view of elements in this process.
    #[inline]
    pub(crate) fn local(view: ndarray::ArrayView<'a, A, D>) -> Self {
        Self::owned_by(view, None)
    }

    /// A view of elements in this process that belong to `owner`.
    #[inline]
    pub(crate) fn owned_by(view: ndarray::ArrayView<'a, A, D>, owner: Option<&'a Arc<Owner>>) -> Self {
        ArrayBase { parts: view.raw_view(), data: ViewRepr::of_elements(owner.map(NonNull::from)) }
    }

    /// A view of `expr`, which is a view of what `of` is the node of; `None` where the elements are better looked at
    /// in place.
    pub(crate) fn lazy(of: &'a Node, expr: Expr) -> Option<Self> {
        Some(ArrayBase { parts: no_elements(), data: ViewRepr::of_node(of.slice::<A, D>(expr)?) })
    }

    /// ndarray's view, computed if need be; a lazy view's values are kept as long as its array.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_into_ndarray(mut self) -> Result<ndarray::ArrayView<'a, A, D>> {
        self.settle()?;
        // SAFETY: the elements are there for `'a`.
        Ok(unsafe { self.parts.deref_into_view() })
    }

    /// ndarray's view, computed if need be.
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::ArrayView<'a, A, D> {
        match self.data.of {
            // SAFETY: the elements are there for `'a`.
            Of::Elements(_) => unsafe { self.parts.deref_into_view() },
            Of::Expression(_) => or_panic(self.try_into_ndarray()),
        }
    }
}

impl<'a, A, D> ArrayView<'a, A, D> {
    /// A view of elements in this process, for constants.
    pub(crate) const fn constant(view: ndarray::ArrayView<'a, A, D>) -> Self {
        union Either<X, Y> {
            view: ManuallyDrop<X>,
            parts: ManuallyDrop<Y>,
        }
        const {
            assert!(size_of::<ndarray::ArrayView<'a, A, D>>() == size_of::<Parts<A, D>>());
        }
        let either = Either { view: ManuallyDrop::new(view) };
        // SAFETY: both are ndarray's `ArrayBase` of the same `A` and `D`, and differ in a field without a size alone,
        // which has no place in the layout. (ndarray's own conversion is not for constants.)
        let parts = ManuallyDrop::into_inner(unsafe { either.parts });
        ArrayBase { parts, data: ViewRepr::of_elements(None) }
    }

    /// Who owns the elements, if that is known.
    pub(crate) fn owner(&self) -> Option<&'a Arc<Owner>> {
        match self.data.of {
            // SAFETY: the owner belongs to the array that is viewed, which is borrowed for `'a`.
            Of::Elements(owner) => owner.map(|owner| unsafe { owner.as_ref() }),
            Of::Expression(_) => None,
        }
    }
}

impl<'a, A, D: Dimension> ArrayViewMut<'a, A, D> {
    /// ndarray's view as ours.
    #[inline]
    pub(crate) fn local(view: ndarray::ArrayViewMut<'a, A, D>) -> Self {
        ArrayBase { parts: view.raw_view(), data: ViewRepr::of_elements(None) }
    }

    /// ndarray's view.
    #[inline]
    #[must_use]
    pub fn into_ndarray(mut self) -> ndarray::ArrayViewMut<'a, A, D> {
        // SAFETY: the elements are there for `'a`, and this view alone may look at them.
        unsafe { elements_of_mut(&mut self.parts).raw_view_mut().deref_into_view_mut() }
    }
}
