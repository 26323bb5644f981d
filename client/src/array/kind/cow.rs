//! The array that is a view or owned.
//!
//! Must not know operations.

use super::base::{ArrayBase, Parts};
use super::data::sealed::Sealed;
use super::data::{Data, DataMut, DataOwned, RawData, RawDataClone, RawDataMut, RawDataSubst};
use super::memory::Owner;
use super::node::Node;
use super::owned::OwnedRepr;
use super::view::ViewRepr;
use super::{Array, ArrayView};
use crate::error::Result;
use ndarray::Dimension;
use std::mem::MaybeUninit;
use std::sync::Arc;
use tilework_expr::Expr;

/// An array that is a view that lives for `'a`, or owned, in place of [`ndarray::CowArray`].
pub type CowArray<'a, A, D> = ArrayBase<CowRepr<'a, A>, D, A>;

/// Elements that are borrowed or owned, in place of [`ndarray::CowRepr`].
pub enum CowRepr<'a, A> {
    /// Borrowed elements.
    View(ViewRepr<&'a A>),
    /// Owned elements.
    Owned(OwnedRepr<A>),
}

impl<A> CowRepr<'_, A> {
    /// Whether the elements are borrowed.
    #[must_use]
    pub fn is_view(&self) -> bool {
        matches!(self, CowRepr::View(_))
    }

    /// Whether the elements are owned.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        !self.is_view()
    }
}

impl<A> Sealed for CowRepr<'_, A> {}

impl<A> RawData for CowRepr<'_, A> {
    type Elem = A;

    #[inline]
    fn node(&self) -> Option<&Node> {
        match self {
            CowRepr::View(view) => view.node(),
            CowRepr::Owned(owned) => owned.node(),
        }
    }
    fn owner(&self) -> Option<&Arc<Owner>> {
        match self {
            CowRepr::View(view) => view.owner(),
            CowRepr::Owned(owned) => owned.owner(),
        }
    }
    fn owner_for_views(&self) -> Option<&Arc<Owner>> {
        match self {
            CowRepr::View(view) => view.owner_for_views(),
            CowRepr::Owned(owned) => owned.owner_for_views(),
        }
    }
    fn rebuilt<D: Dimension>(&self, expr: Expr) -> Option<Self> {
        match self {
            CowRepr::View(view) => view.rebuilt::<D>(expr).map(CowRepr::View),
            CowRepr::Owned(owned) => owned.rebuilt::<D>(expr).map(CowRepr::Owned),
        }
    }
    fn settle<D>(&mut self, parts: &mut Parts<A, D>) -> Result<()> {
        match self {
            CowRepr::View(view) => view.settle(parts),
            CowRepr::Owned(owned) => owned.settle(parts),
        }
    }
}

impl<A: Clone> RawDataMut for CowRepr<'_, A> {
    const IS_REPLACED: bool = true;

    #[inline]
    #[track_caller]
    fn ensure_unique<D: Dimension>(&mut self, parts: &mut Parts<A, D>) {
        if let CowRepr::View(view) = self {
            let owned = ArrayBase { parts: parts.clone(), data: *view }.to_owned();
            (*parts, *self) = (owned.parts, CowRepr::Owned(owned.data));
        }
        if let CowRepr::Owned(owned) = self {
            owned.ensure_unique(parts);
        }
    }
    fn is_unique(&mut self) -> bool {
        self.is_owned()
    }
    fn replace<D: Dimension>(array: &mut ArrayBase<Self, D, A>, by: Array<A, D>) {
        *array = by.into();
    }
}

impl<A: Clone> RawDataClone for CowRepr<'_, A> {
    fn cloned<D: Dimension>(&self, parts: &Parts<A, D>) -> (Self, Parts<A, D>) {
        match self {
            CowRepr::View(view) => (CowRepr::View(*view), parts.clone()),
            CowRepr::Owned(owned) => {
                let (owned, parts) = owned.cloned(parts);
                (CowRepr::Owned(owned), parts)
            }
        }
    }
}

impl<A> Data for CowRepr<'_, A> {
    fn into_owned<D: Dimension>(array: ArrayBase<Self, D, A>) -> Array<A, D>
    where
        A: Clone,
    {
        Self::try_into_owned_nocopy(array).unwrap_or_else(|view| view.to_owned())
    }
    fn try_into_owned_nocopy<D: Dimension>(
        array: ArrayBase<Self, D, A>,
    ) -> std::result::Result<Array<A, D>, ArrayBase<Self, D, A>> {
        let parts = array.parts;
        match array.data {
            CowRepr::Owned(data) => Ok(ArrayBase { parts, data }),
            view @ CowRepr::View(_) => Err(ArrayBase { parts, data: view }),
        }
    }
}

impl<A: Clone> DataMut for CowRepr<'_, A> {}

impl<'a, A> DataOwned for CowRepr<'a, A> {
    type MaybeUninit = CowRepr<'a, MaybeUninit<A>>;
    fn of_owned<D: Dimension>(array: Array<A, D>) -> CowArray<'a, A, D> {
        array.into()
    }
}

impl<'a, A: 'a, B: 'a> RawDataSubst<B> for CowRepr<'a, A> {
    type Output = CowRepr<'a, B>;
    unsafe fn data_subst(self) -> CowRepr<'a, B> {
        match self {
            // SAFETY: by the caller's word.
            CowRepr::View(view) => CowRepr::View(unsafe { view.data_subst() }),
            // SAFETY: by the caller's word.
            CowRepr::Owned(owned) => CowRepr::Owned(unsafe { owned.data_subst() }),
        }
    }
}

impl<'a, A, D: Dimension> CowArray<'a, A, D> {
    /// ndarray's array as ours.
    pub(crate) fn local(array: ndarray::CowArray<'a, A, D>) -> Self {
        if array.is_view() {
            // SAFETY: a view's elements are there for `'a`.
            let view: ndarray::ArrayView<'a, A, D> = unsafe { array.raw_view().deref_into_view() };
            return ArrayView::local(view).into();
        }
        let owned = array.try_into_owned_nocopy().map(Array::local);
        owned.unwrap_or_else(|_| unreachable!("it is no view")).into()
    }

    /// Whether this is a view.
    #[must_use]
    pub fn is_view(&self) -> bool {
        self.data.is_view()
    }

    /// Whether the elements, or the expression, are this array's own.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.data.is_owned()
    }

    /// ndarray's array, computed if need be.
    #[must_use]
    #[track_caller]
    pub fn into_ndarray(self) -> ndarray::CowArray<'a, A, D> {
        let parts = self.parts;
        match self.data {
            CowRepr::View(data) => ArrayBase { parts, data }.into_ndarray().into(),
            CowRepr::Owned(data) => ArrayBase { parts, data }.into_ndarray().into(),
        }
    }
}

impl<A, D: Dimension> From<Array<A, D>> for CowArray<'_, A, D> {
    fn from(array: Array<A, D>) -> Self {
        ArrayBase { parts: array.parts, data: CowRepr::Owned(array.data) }
    }
}

impl<A, D: Dimension> From<ndarray::Array<A, D>> for CowArray<'_, A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        Array::local(array).into()
    }
}

impl<'a, A, D: Dimension> From<ArrayView<'a, A, D>> for CowArray<'a, A, D> {
    fn from(view: ArrayView<'a, A, D>) -> Self {
        ArrayBase { parts: view.parts, data: CowRepr::View(view.data) }
    }
}

impl<'a, A, D: Dimension> From<ndarray::ArrayView<'a, A, D>> for CowArray<'a, A, D> {
    fn from(view: ndarray::ArrayView<'a, A, D>) -> Self {
        ArrayView::local(view).into()
    }
}

impl<'a, A, S: Data<Elem = A>, D: Dimension> From<&'a ArrayBase<S, D, A>> for CowArray<'a, A, D> {
    fn from(array: &'a ArrayBase<S, D, A>) -> Self {
        array.view().into()
    }
}

impl<'a, A, S: AsRef<[A]> + ?Sized> From<&'a S> for CowArray<'a, A, ndarray::Ix1> {
    fn from(slice: &'a S) -> Self {
        ArrayView::local(ndarray::aview1(slice.as_ref())).into()
    }
}
