//! What an array's second half can be: traits with ndarray's names and bounds, for functions that are generic in them.
//!
//! Owns what a kind of array has to say. Nobody else implements them. Must not know operations.

use super::base::{ArrayBase, Parts};
use super::memory::Owner;
use super::node::Node;
use super::{ArcArray, Array};
use crate::error::Result;
use ndarray::Dimension;
use std::mem::MaybeUninit;
use std::sync::Arc;
use tilework_expr::Expr;

pub(super) mod sealed {
    /// Keeps others from implementing the traits here.
    pub trait Sealed {}
}

/// Whose the elements of an array are, in place of [`ndarray::RawData`].
pub trait RawData: Sized + sealed::Sealed {
    /// The type of the elements.
    type Elem;

    /// The expression and its values, where the array is lazy.
    #[doc(hidden)]
    #[inline]
    fn node(&self) -> Option<&Node> {
        None
    }
    /// Whoever owns the elements, for expressions to share them; the array hands them over where there is nobody yet.
    #[doc(hidden)]
    fn owner(&self) -> Option<&Arc<Owner>> {
        None
    }
    /// [`owner`](RawData::owner), where views are to know it: not of small arrays.
    #[doc(hidden)]
    #[inline]
    fn owner_for_views(&self) -> Option<&Arc<Owner>> {
        None
    }
    /// That of a lazy array with another expression, made of this one's. `None` where the elements are better looked at
    /// in place.
    #[doc(hidden)]
    fn rebuilt<D: Dimension>(&self, _: Expr) -> Option<Self> {
        None
    }
    /// Brings the elements here. Where that fails, nothing has changed.
    #[doc(hidden)]
    #[inline]
    fn settle<D>(&mut self, _: &mut Parts<Self::Elem, D>) -> Result<()> {
        Ok(())
    }
}

/// Elements that may be written, in place of [`ndarray::RawDataMut`].
pub trait RawDataMut: RawData {
    /// Whether the array may become an expression.
    #[doc(hidden)]
    const IS_REPLACED: bool = false;

    /// Brings the elements here and makes them this array's alone. Panics where that fails; then nothing has changed.
    #[doc(hidden)]
    fn ensure_unique<D: Dimension>(&mut self, parts: &mut Parts<Self::Elem, D>);
    /// Whether nobody else has the elements.
    #[doc(hidden)]
    fn is_unique(&mut self) -> bool;
    /// Puts another array in the place of this one, where it may be an expression.
    #[doc(hidden)]
    fn replace<D: Dimension>(_: &mut ArrayBase<Self, D, Self::Elem>, _: Array<Self::Elem, D>) {
        unreachable!("this kind of array is no expression")
    }
}

/// What can be cloned, in place of [`ndarray::RawDataClone`].
pub trait RawDataClone: RawData {
    #[doc(hidden)]
    fn cloned<D: Dimension>(&self, parts: &Parts<Self::Elem, D>) -> (Self, Parts<Self::Elem, D>);
}

/// Elements that may be read, in place of [`ndarray::Data`].
pub trait Data: RawData {
    #[doc(hidden)]
    fn into_owned<D: Dimension>(array: ArrayBase<Self, D, Self::Elem>) -> Array<Self::Elem, D>
    where
        Self::Elem: Clone;
    #[doc(hidden)]
    #[allow(clippy::type_complexity, reason = "an array or another, as ndarray's")]
    fn try_into_owned_nocopy<D: Dimension>(
        array: ArrayBase<Self, D, Self::Elem>,
    ) -> std::result::Result<Array<Self::Elem, D>, ArrayBase<Self, D, Self::Elem>> {
        Err(array)
    }
    #[doc(hidden)]
    fn to_shared<D: Dimension>(array: &ArrayBase<Self, D, Self::Elem>) -> ArcArray<Self::Elem, D>
    where
        Self::Elem: Clone,
    {
        ArcArray::from(array.to_owned())
    }
}

/// Elements that may be read and written, in place of [`ndarray::DataMut`].
pub trait DataMut: Data + RawDataMut {}

/// Elements that an array owns or shares, so that it can be made of nothing, in place of [`ndarray::DataOwned`].
pub trait DataOwned: Data {
    /// The same for elements that are yet to be written.
    type MaybeUninit: DataOwned<Elem = MaybeUninit<Self::Elem>> + RawDataSubst<Self::Elem, Output = Self>;
    /// Whether a large array may be made as an expression.
    #[doc(hidden)]
    const IS_DESCRIBED: bool = true;
    #[doc(hidden)]
    fn of_owned<D: Dimension>(array: Array<Self::Elem, D>) -> ArrayBase<Self, D, Self::Elem>;
    #[doc(hidden)]
    fn into_shared<D: Dimension>(array: ArrayBase<Self, D, Self::Elem>) -> ArcArray<Self::Elem, D>
    where
        Self::Elem: Clone,
    {
        ArcArray::from(Self::into_owned(array))
    }
}

/// Elements that clones share, in place of [`ndarray::DataShared`].
pub trait DataShared: Clone + Data + RawDataClone {}

/// The same for elements of another type, in place of [`ndarray::RawDataSubst`].
pub trait RawDataSubst<A>: RawData {
    /// That of elements of `A`.
    type Output: RawData<Elem = A>;
    /// The same elements as those of another type.
    ///
    /// # Safety
    /// They are of that type, too, and the types are of the same size and alignment.
    #[doc(hidden)]
    unsafe fn data_subst(self) -> Self::Output;
}
