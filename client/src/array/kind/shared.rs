//! The array that clones share and copy when they write.
//!
//! Must not know operations.

use super::Array;
use super::base::{ArrayBase, Parts, elements_of};
use super::data::sealed::Sealed;
use super::data::{Data, DataMut, DataOwned, DataShared, RawData, RawDataClone, RawDataMut, RawDataSubst};
use super::owned::OwnedRepr;
use ndarray::Dimension;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// An array whose clones share its elements until they write, in place of [`ndarray::ArcArray`]. It is local.
pub type ArcArray<A, D> = ArrayBase<OwnedArcRepr<A>, D, A>;

/// A vector of elements that arrays share, in place of [`ndarray::OwnedArcRepr`]. No expression has its elements.
pub struct OwnedArcRepr<A>(Arc<OwnedRepr<A>>);

impl<A> Clone for OwnedArcRepr<A> {
    fn clone(&self) -> Self {
        OwnedArcRepr(Arc::clone(&self.0))
    }
}

impl<A> Sealed for OwnedArcRepr<A> {}

impl<A> RawData for OwnedArcRepr<A> {
    type Elem = A;
}

impl<A: Clone> RawDataMut for OwnedArcRepr<A> {
    fn ensure_unique<D: Dimension>(&mut self, parts: &mut Parts<A, D>) {
        if Arc::get_mut(&mut self.0).is_some() {
            return;
        }
        let (copy, place) = if parts.len() <= self.0.len() / 2 {
            // SAFETY: the elements are in the vector that this shares, and nobody writes them.
            let part = Array::local(unsafe { elements_of(parts) }.to_owned());
            (part.data, part.parts)
        } else {
            self.0.copied(parts)
        };
        (*self, *parts) = (OwnedArcRepr(Arc::new(copy)), place);
    }
    fn is_unique(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some()
    }
}

impl<A> RawDataClone for OwnedArcRepr<A> {
    fn cloned<D: Dimension>(&self, parts: &Parts<A, D>) -> (Self, Parts<A, D>) {
        (self.clone(), parts.clone())
    }
}

impl<A> Data for OwnedArcRepr<A> {
    fn into_owned<D: Dimension>(mut array: ArcArray<A, D>) -> Array<A, D>
    where
        A: Clone,
    {
        array.data.ensure_unique(&mut array.parts);
        Self::try_into_owned_nocopy(array).unwrap_or_else(|shared| shared.to_owned())
    }
    fn try_into_owned_nocopy<D: Dimension>(
        array: ArcArray<A, D>,
    ) -> std::result::Result<Array<A, D>, ArcArray<A, D>> {
        let parts = array.parts;
        match Arc::try_unwrap(array.data.0) {
            Ok(data) => Ok(ArrayBase { parts, data }),
            Err(theirs) => Err(ArrayBase { parts, data: OwnedArcRepr(theirs) }),
        }
    }
    fn to_shared<D: Dimension>(array: &ArcArray<A, D>) -> ArcArray<A, D> {
        array.clone()
    }
}

impl<A: Clone> DataMut for OwnedArcRepr<A> {}

impl<A> DataOwned for OwnedArcRepr<A> {
    type MaybeUninit = OwnedArcRepr<MaybeUninit<A>>;
    const IS_DESCRIBED: bool = false;
    fn of_owned<D: Dimension>(array: Array<A, D>) -> ArcArray<A, D> {
        array.into()
    }
    fn into_shared<D: Dimension>(array: ArcArray<A, D>) -> ArcArray<A, D> {
        array
    }
}

impl<A> DataShared for OwnedArcRepr<A> {}

impl<A, B> RawDataSubst<B> for OwnedArcRepr<A> {
    type Output = OwnedArcRepr<B>;
    unsafe fn data_subst(self) -> OwnedArcRepr<B> {
        // SAFETY: the layout of a representation does not depend on the type of its elements, which are of `B`, too, by
        // the caller's word; nobody else has them as an owner, for no expression has them.
        OwnedArcRepr(unsafe { Arc::from_raw(Arc::into_raw(self.0).cast::<OwnedRepr<B>>()) })
    }
}

impl<A, D: Dimension> ArcArray<A, D> {
    /// ndarray's array as ours; its elements are copied where others have them.
    pub(crate) fn local(array: ndarray::ArcArray<A, D>) -> Self
    where
        A: Clone,
    {
        Array::local(array.into_owned()).into()
    }

    /// ndarray's array; the elements are copied where others have them.
    #[must_use]
    pub fn into_ndarray(self) -> ndarray::ArcArray<A, D>
    where
        A: Clone,
    {
        OwnedArcRepr::into_owned(self).into_ndarray().into()
    }
}

/// A lazy array is computed.
impl<A, D: Dimension> From<Array<A, D>> for ArcArray<A, D> {
    #[track_caller]
    fn from(mut array: Array<A, D>) -> Self {
        array.data.ensure_unique(&mut array.parts);
        ArrayBase { parts: array.parts, data: OwnedArcRepr(Arc::new(array.data)) }
    }
}

impl<A, D: Dimension> From<ndarray::Array<A, D>> for ArcArray<A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        Array::local(array).into()
    }
}

impl<A: Clone, D: Dimension> From<ndarray::ArcArray<A, D>> for ArcArray<A, D> {
    fn from(array: ndarray::ArcArray<A, D>) -> Self {
        ArcArray::local(array)
    }
}
