//! Functions of the user's on each element, lane or position. They run in this process; the functions at the end of
//! this file are where they would be sent elsewhere.
//!
//! Must not know what the functions do.

use super::kind::source::Source;
use super::kinds::{on_all, on_writable};
use super::write::here;
use super::{ArcArray, Array, ArrayView, ArrayViewMut, CowArray};
use ndarray::{ArrayRef, Axis, Dimension, Ix1, RemoveAxis};
use std::ops::{Mul, MulAssign};

on_all!({ A } {
    /// The array of what `f` gives for a reference to each element.
    #[track_caller]
    pub fn map<'r, B, F>(&'r self, f: F) -> Array<B, D>
    where
        F: FnMut(&'r A) -> B,
        A: 'r,
    {
        Array::local(self.here().map(f))
    }

    /// The array of what `f` gives for each element.
    #[track_caller]
    pub fn mapv<B, F>(&self, f: F) -> Array<B, D>
    where
        F: FnMut(A) -> B,
        A: Clone,
    {
        mapped(self, f)
    }

    /// The array of what `f` gives for a view of each lane of an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn map_axis<'r, B, F>(&'r self, axis: Axis, mut mapping: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(ArrayView<'r, A, Ix1>) -> B,
        A: 'r,
    {
        Array::local(self.here().map_axis(axis, |lane| mapping(ArrayView::local(lane))))
    }

    /// Folds along an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn fold_axis<B, F>(&self, axis: Axis, init: B, fold: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(&B, &A) -> B,
        B: Clone,
    {
        Array::local(self.here().fold_axis(axis, init, fold))
    }

    /// The products of each element and all before it along an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[must_use]
    #[track_caller]
    pub fn cumprod(&self, axis: Axis) -> Array<A, D>
    where
        A: Clone + Mul<Output = A> + MulAssign,
        D: RemoveAxis,
    {
        Array::local(self.here().cumprod(axis))
    }

    /// The lanes of an axis with their elements arranged so that the `kth` is where sorting would put it, smaller ones
    /// before it and greater ones behind it.
    ///
    /// # Panics
    /// If the axis or the position is out of range.
    #[must_use]
    #[track_caller]
    pub fn partition(&self, kth: usize, axis: Axis) -> Array<A, D>
    where
        A: Clone + Ord + num_traits::Zero,
    {
        Array::local(self.here().partition(kth, axis))
    }
});

on_writable!({ A } {
    /// The array of what `f` gives for a writable reference to each element.
    #[track_caller]
    pub fn map_mut<'r, B, F>(&'r mut self, f: F) -> Array<B, D>
    where
        F: FnMut(&'r mut A) -> B,
        A: 'r,
    {
        Array::local(here(self).map_mut(f))
    }

    /// The array of what `f` gives for a writable view of each lane of an axis, which the result does not have.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn map_axis_mut<'r, B, F>(&'r mut self, axis: Axis, mut mapping: F) -> Array<B, D::Smaller>
    where
        D: RemoveAxis,
        F: FnMut(ArrayViewMut<'r, A, Ix1>) -> B,
        A: 'r,
    {
        Array::local(here(self).map_axis_mut(axis, |lane| mapping(ArrayViewMut::local(lane))))
    }
});

macro_rules! into {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A: Clone, D: Dimension> $kind<$($lt,)? A, D> {
            /// The array with what `f` gives for each element in its place.
            #[must_use]
            #[track_caller]
            pub fn mapv_into<F: FnMut(A) -> A>(self, f: F) -> Self {
                $kind::local(self.into_ndarray().mapv_into(f))
            }

            /// The array of what `f` gives for each element, in the memory of this one where the type is the same.
            #[must_use]
            #[track_caller]
            pub fn mapv_into_any<B: 'static, F: FnMut(A) -> B>(self, f: F) -> Array<B, D>
            where
                A: 'static,
            {
                Array::local(self.into_ndarray().mapv_into_any(f))
            }
        }
    )* };
}
into! { [] Array ['a] ArrayViewMut ['a] CowArray [] ArcArray }

/// What `f` gives for each element: every `mapv` comes through here.
#[track_caller]
fn mapped<A: Clone, B, D: Dimension>(
    source: &(impl Source<A, D> + ?Sized),
    f: impl FnMut(A) -> B,
) -> Array<B, D> {
    let here: &ArrayRef<A, D> = source.here();
    Array::local(here.mapv(f))
}
