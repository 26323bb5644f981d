//! Iterators over arrays: ndarray's, whose views are ours.
//!
//! Must not know which array they come from.

mod into;

use super::kind::source::Source;
use super::kinds::{on_all, on_writable};
use super::write::here;
use super::{ArrayBase, ArrayView, ArrayViewMut, Data};
use ndarray::{Axis, Dimension, IntoDimension, IntoNdProducer, RemoveAxis};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// ndarray's iterators over arrays; those that give views are wrapped, so that the views are ours.
pub mod iter {
    use super::{Ours, Producer};
    pub use ndarray::iter::{
        Axes, IndexedIter, IndexedIterMut, Indices, IndicesIter, IntoIter, Iter, IterMut,
    };

    macro_rules! wrapped {
        ($($wrapper:ident: $($name:ident)*;)*) => { $($(
            #[doc = concat!("[`ndarray::iter::", stringify!($name), "`] with our views.")]
            pub type $name<'a, A, D> = $wrapper<ndarray::iter::$name<'a, A, D>>;
        )*)* };
    }
    wrapped! {
        Ours: AxisIter AxisIterMut AxisChunksIter AxisChunksIterMut LanesIter LanesIterMut ExactChunksIter
            ExactChunksIterMut;
        Producer: Lanes LanesMut ExactChunks ExactChunksMut Windows AxisWindows;
    }
}

impl IntoOurs for () {
    type Ours = ();
    fn into_ours(self) {}
}

/// What becomes ours: ndarray's views, and tuples of them.
pub trait IntoOurs {
    /// Our type for it.
    type Ours;
    /// The same as ours.
    fn into_ours(self) -> Self::Ours;
}

impl<'a, A, D: Dimension> IntoOurs for ndarray::ArrayView<'a, A, D> {
    type Ours = ArrayView<'a, A, D>;
    #[inline]
    fn into_ours(self) -> Self::Ours {
        ArrayView::local(self)
    }
}

impl<'a, A, D: Dimension> IntoOurs for ndarray::ArrayViewMut<'a, A, D> {
    type Ours = ArrayViewMut<'a, A, D>;
    #[inline]
    fn into_ours(self) -> Self::Ours {
        ArrayViewMut::local(self)
    }
}

macro_rules! tuples {
    ($(($($t:ident)*))*) => { $(
        #[allow(non_snake_case, reason = "named after their types")]
        impl<$($t: IntoOurs),*> IntoOurs for ($($t,)*) {
            type Ours = ($($t::Ours,)*);
            fn into_ours(self) -> Self::Ours {
                let ($($t,)*) = self;
                ($($t.into_ours(),)*)
            }
        }
    )* };
}
tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

impl<T: IntoOurs, const N: usize> IntoOurs for [T; N] {
    type Ours = [T::Ours; N];
    fn into_ours(self) -> Self::Ours {
        self.map(T::into_ours)
    }
}

/// One of ndarray's iterators over views, which gives our views.
#[derive(Clone, Debug)]
pub struct Ours<I>(pub(super) I);

impl<I: Iterator<Item: IntoOurs>> Iterator for Ours<I> {
    type Item = <I::Item as IntoOurs>::Ours;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(IntoOurs::into_ours)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
    fn nth(&mut self, n: usize) -> Option<Self::Item> {
        self.0.nth(n).map(IntoOurs::into_ours)
    }
}

impl<I: DoubleEndedIterator<Item: IntoOurs>> DoubleEndedIterator for Ours<I> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(IntoOurs::into_ours)
    }
}

impl<I: ExactSizeIterator<Item: IntoOurs>> ExactSizeIterator for Ours<I> {
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<I: ndarray::NdProducer> IntoNdProducer for Ours<I> {
    type Item = I::Item;
    type Dim = I::Dim;
    type Output = I;
    fn into_producer(self) -> I {
        self.0
    }
}

/// Makes our view of one of ndarray's, as a function that parallel iterators map by.
type Wrap<T> = fn(T) -> <T as IntoOurs>::Ours;

macro_rules! parallel {
    ($($name:ident [$($bound:tt)*])*) => { $(
        impl<'a, A: $($bound)*, D: Dimension> IntoParallelIterator for Ours<ndarray::iter::$name<'a, A, D>> {
            type Item = <<ndarray::iter::$name<'a, A, D> as Iterator>::Item as IntoOurs>::Ours;
            type Iter = rayon::iter::Map<
                ndarray::parallel::Parallel<ndarray::iter::$name<'a, A, D>>,
                Wrap<<ndarray::iter::$name<'a, A, D> as Iterator>::Item>,
            >;
            fn into_par_iter(self) -> Self::Iter {
                let wrap: Wrap<<ndarray::iter::$name<'a, A, D> as Iterator>::Item> = IntoOurs::into_ours;
                self.0.into_par_iter().map(wrap)
            }
        }
    )* };
}
parallel! { AxisIter [Sync] AxisIterMut [Send + Sync] AxisChunksIter [Sync] AxisChunksIterMut [Send + Sync] }

impl<A, D: Dimension> Ours<ndarray::iter::AxisIter<'_, A, D>> {
    /// The iterator before a position, and the rest.
    ///
    /// # Panics
    /// At a position beyond the end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(index);
        (Ours(before), Ours(after))
    }
}

impl<A, D: Dimension> Ours<ndarray::iter::AxisChunksIter<'_, A, D>> {
    /// The iterator before a position, and the rest.
    ///
    /// # Panics
    /// At a position beyond the end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(index);
        (Ours(before), Ours(after))
    }
}

impl<A, D: Dimension> Ours<ndarray::iter::AxisChunksIterMut<'_, A, D>> {
    /// The iterator before a position, and the rest.
    ///
    /// # Panics
    /// At a position beyond the end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(index);
        (Ours(before), Ours(after))
    }
}

impl<A, D: Dimension> Ours<ndarray::iter::AxisIterMut<'_, A, D>> {
    /// The iterator before a position, and the rest.
    ///
    /// # Panics
    /// At a position beyond the end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(index);
        (Ours(before), Ours(after))
    }
}

/// One of ndarray's producers of views, which gives our views: an operand of [`Zip`](crate::Zip), and iterable.
#[derive(Clone, Debug)]
pub struct Producer<P>(pub(super) P);

impl<P: IntoIterator<Item: IntoOurs>> IntoIterator for Producer<P> {
    type Item = <P::Item as IntoOurs>::Ours;
    type IntoIter = Ours<P::IntoIter>;
    fn into_iter(self) -> Self::IntoIter {
        Ours(self.0.into_iter())
    }
}

impl<P: ndarray::NdProducer> Producer<P> {
    /// The numbers of views along each axis.
    #[must_use]
    pub fn raw_dim(&self) -> P::Dim {
        self.0.raw_dim()
    }

    /// The producer before a position of an axis, and the rest.
    ///
    /// # Panics
    /// If the axis is out of range; at a position beyond its end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, axis: Axis, index: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at(axis, index);
        (Producer(before), Producer(after))
    }
}

impl<P: ndarray::NdProducer> IntoNdProducer for Producer<P> {
    type Item = P::Item;
    type Dim = P::Dim;
    type Output = P;
    fn into_producer(self) -> P {
        self.0
    }
}

/// All indices of an array, in row-major order, as ndarray's function of this name.
#[must_use]
pub fn indices_of<S: Data, D: Dimension>(array: &ArrayBase<S, D>) -> ndarray::iter::Indices<D> {
    ndarray::indices(array.raw_dim())
}

on_all!({ A } {
    /// Views of all rows: the lanes of the last axis.
    #[track_caller]
    pub fn rows(&self) -> iter::Lanes<'_, A, D::Smaller> {
        Producer(self.here().rows())
    }

    /// Views of all columns: the lanes of the first axis.
    #[track_caller]
    pub fn columns(&self) -> iter::Lanes<'_, A, D::Smaller> {
        Producer(self.here().columns())
    }

    /// Views of all one-dimensional lanes of an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn lanes(&self, axis: Axis) -> iter::Lanes<'_, A, D::Smaller> {
        Producer(self.here().lanes(axis))
    }

    /// Views of each position of the first axis, in order. A lazy array is computed;
    /// `try_axis_iter` gives lazy arrays instead.
    ///
    /// # Panics
    /// If the array has no axes.
    #[track_caller]
    pub fn outer_iter(&self) -> iter::AxisIter<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.here().outer_iter())
    }

    /// Views of each position of an axis, in order. A lazy array is computed;
    /// `try_axis_iter` gives lazy arrays instead.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn axis_iter(&self, axis: Axis) -> iter::AxisIter<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.here().axis_iter(axis))
    }

    /// Views of `size` positions of an axis at a time, in order; the last may have fewer.
    ///
    /// # Panics
    /// If the axis is out of range; at a size of 0.
    #[track_caller]
    pub fn axis_chunks_iter(&self, axis: Axis, size: usize) -> iter::AxisChunksIter<'_, A, D> {
        Ours(self.here().axis_chunks_iter(axis, size))
    }

    /// Views of blocks of exactly this shape; what is left over at the ends of axes is left out.
    ///
    /// # Panics
    /// At another number of axes, and at lengths of 0.
    #[track_caller]
    pub fn exact_chunks<E: IntoDimension<Dim = D>>(&self, chunk_size: E) -> iter::ExactChunks<'_, A, D> {
        Producer(self.here().exact_chunks(chunk_size))
    }

    /// Views of all windows of this shape.
    ///
    /// # Panics
    /// At another number of axes, and at lengths of 0.
    #[track_caller]
    pub fn windows<E: IntoDimension<Dim = D>>(&self, window_size: E) -> iter::Windows<'_, A, D> {
        Producer(self.here().windows(window_size))
    }

    /// Views of the windows of this shape that start at multiples of `stride`.
    ///
    /// # Panics
    /// At another number of axes, and at lengths or strides of 0.
    #[track_caller]
    pub fn windows_with_stride<E: IntoDimension<Dim = D>>(
        &self,
        window_size: E,
        stride: E,
    ) -> iter::Windows<'_, A, D> {
        Producer(self.here().windows_with_stride(window_size, stride))
    }

    /// Views of all windows of this length along an axis.
    ///
    /// # Panics
    /// If the axis is out of range; at a length of 0 or above the axis'.
    #[track_caller]
    pub fn axis_windows(&self, axis: Axis, window_size: usize) -> iter::AxisWindows<'_, A, D> {
        Producer(self.here().axis_windows(axis, window_size))
    }

    /// Views of the windows of this length along an axis that start at multiples of `stride_size`.
    ///
    /// # Panics
    /// If the axis is out of range; at a length of 0 or above the axis', and at a stride of 0.
    #[track_caller]
    pub fn axis_windows_with_stride(
        &self,
        axis: Axis,
        window_size: usize,
        stride_size: usize,
    ) -> iter::AxisWindows<'_, A, D> {
        Producer(self.here().axis_windows_with_stride(axis, window_size, stride_size))
    }
});

on_writable!({ A } {
    /// Writable views of all rows: the lanes of the last axis.
    #[track_caller]
    pub fn rows_mut(&mut self) -> iter::LanesMut<'_, A, D::Smaller> {
        Producer(here(self).rows_mut())
    }

    /// Writable views of all columns: the lanes of the first axis.
    #[track_caller]
    pub fn columns_mut(&mut self) -> iter::LanesMut<'_, A, D::Smaller> {
        Producer(here(self).columns_mut())
    }

    /// Writable views of all one-dimensional lanes of an axis.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn lanes_mut(&mut self, axis: Axis) -> iter::LanesMut<'_, A, D::Smaller> {
        Producer(here(self).lanes_mut(axis))
    }

    /// Writable views of each position of the first axis, in order.
    ///
    /// # Panics
    /// If the array has no axes.
    #[track_caller]
    pub fn outer_iter_mut(&mut self) -> iter::AxisIterMut<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(here(self).outer_iter_mut())
    }

    /// Writable views of each position of an axis, in order.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn axis_iter_mut(&mut self, axis: Axis) -> iter::AxisIterMut<'_, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(here(self).axis_iter_mut(axis))
    }

    /// Writable views of `size` positions of an axis at a time, in order; the last may have fewer.
    ///
    /// # Panics
    /// If the axis is out of range; at a size of 0.
    #[track_caller]
    pub fn axis_chunks_iter_mut(&mut self, axis: Axis, size: usize) -> iter::AxisChunksIterMut<'_, A, D> {
        Ours(here(self).axis_chunks_iter_mut(axis, size))
    }

    /// Writable views of blocks of exactly this shape; what is left over at the ends of axes is left out.
    ///
    /// # Panics
    /// At another number of axes, and at lengths of 0.
    #[track_caller]
    pub fn exact_chunks_mut<E: IntoDimension<Dim = D>>(
        &mut self,
        chunk_size: E,
    ) -> iter::ExactChunksMut<'_, A, D> {
        Producer(here(self).exact_chunks_mut(chunk_size))
    }
});
