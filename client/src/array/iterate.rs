//! Iterators over arrays: ndarray's, whose views are ours.
//!
//! Must not know which array they come from.

use super::kind::source::Source;
use super::kinds::{on_all, on_writable};
use super::write::here;
use super::{ArcArray, Array, ArrayView, ArrayViewMut, CowArray};
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

impl<'a, A, D> IntoOurs for ndarray::ArrayView<'a, A, D> {
    type Ours = ArrayView<'a, A, D>;
    #[inline]
    fn into_ours(self) -> Self::Ours {
        ArrayView::local(self)
    }
}

impl<'a, A, D> IntoOurs for ndarray::ArrayViewMut<'a, A, D> {
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

impl<P: ndarray::NdProducer> IntoNdProducer for Producer<P> {
    type Item = P::Item;
    type Dim = P::Dim;
    type Output = P;
    fn into_producer(self) -> P {
        self.0
    }
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

macro_rules! by_reference {
    ($($kind:ty),*) => { $(
        impl<'r, A, D: Dimension> IntoIterator for &'r $kind {
            type Item = &'r A;
            type IntoIter = ndarray::iter::Iter<'r, A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                self.here().iter()
            }
        }

        impl<'r, A: 'r, D: Dimension> IntoNdProducer for &'r $kind {
            type Item = &'r A;
            type Dim = D;
            type Output = ndarray::ArrayView<'r, A, D>;
            #[track_caller]
            fn into_producer(self) -> Self::Output {
                self.here().view()
            }
        }
    )* };
}
by_reference!(Array<A, D>, ArrayView<'_, A, D>, ArrayViewMut<'_, A, D>, CowArray<'_, A, D>, ArcArray<A, D>);

macro_rules! by_writable_reference {
    ($([$kind:ty] [$($bound:ident)?])*) => { $(
        impl<'r, A: $($bound)?, D: Dimension> IntoIterator for &'r mut $kind {
            type Item = &'r mut A;
            type IntoIter = ndarray::iter::IterMut<'r, A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                here(self).iter_mut()
            }
        }

        impl<'r, A: 'r $(+ $bound)?, D: Dimension> IntoNdProducer for &'r mut $kind {
            type Item = &'r mut A;
            type Dim = D;
            type Output = ndarray::ArrayViewMut<'r, A, D>;
            #[track_caller]
            fn into_producer(self) -> Self::Output {
                here(self).view_mut()
            }
        }
    )* };
}
by_writable_reference! {
    [Array<A, D>] []
    [ArrayViewMut<'_, A, D>] []
    [CowArray<'_, A, D>] [Clone]
    [ArcArray<A, D>] [Clone]
}

impl<A, D: Dimension> IntoIterator for Array<A, D> {
    type Item = A;
    type IntoIter = ndarray::iter::IntoIter<A, D>;
    #[track_caller]
    fn into_iter(self) -> Self::IntoIter {
        self.into_ndarray().into_iter()
    }
}

macro_rules! views_by_value {
    ($($kind:ident $iter:ident [$($m:tt)?])*) => { $(
        impl<'a, A, D: Dimension> IntoIterator for $kind<'a, A, D> {
            type Item = &'a $($m)? A;
            type IntoIter = ndarray::iter::$iter<'a, A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                self.into_ndarray().into_iter()
            }
        }

        impl<'a, A, D: Dimension> IntoNdProducer for $kind<'a, A, D> {
            type Item = &'a $($m)? A;
            type Dim = D;
            type Output = ndarray::$kind<'a, A, D>;
            #[track_caller]
            fn into_producer(self) -> Self::Output {
                self.into_ndarray()
            }
        }
    )* };
}
views_by_value! { ArrayView Iter [] ArrayViewMut IterMut [mut] }

/// # Iterators that live as long as the view's array
impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// Views of each position of the first axis, in order.
    ///
    /// # Panics
    /// If the view has no axes.
    #[track_caller]
    pub fn into_outer_iter(self) -> iter::AxisIter<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_outer_iter())
    }

    /// Views of each position of an axis, in order.
    ///
    /// # Panics
    /// If the axis is out of range.
    #[track_caller]
    pub fn into_axis_iter(self, axis: Axis) -> iter::AxisIter<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_iter(axis))
    }

    /// Views of `chunk_size` positions of an axis at a time, in order; the last may have fewer.
    ///
    /// # Panics
    /// If the axis is out of range; at a size of 0.
    #[track_caller]
    pub fn into_axis_chunks_iter(self, axis: Axis, chunk_size: usize) -> iter::AxisChunksIter<'a, A, D>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_chunks_iter(axis, chunk_size))
    }

    /// The elements with their indices.
    #[track_caller]
    pub fn into_indexed_iter(self) -> ndarray::iter::IndexedIter<'a, A, D> {
        self.into_ndarray().into_indexed_iter()
    }
}

/// # Iterators and parts that live as long as the view's array
impl<'a, A, D: Dimension> ArrayViewMut<'a, A, D> {
    /// Views of each position of the first axis, in order.
    ///
    /// # Panics
    /// If the view has no axes.
    pub fn into_outer_iter(self) -> iter::AxisIter<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_outer_iter())
    }

    /// Views of each position of an axis, in order.
    ///
    /// # Panics
    /// If the axis is out of range.
    pub fn into_axis_iter(self, axis: Axis) -> iter::AxisIter<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_iter(axis))
    }

    /// Views of `chunk_size` positions of an axis at a time, in order; the last may have fewer.
    ///
    /// # Panics
    /// If the axis is out of range; at a size of 0.
    pub fn into_axis_chunks_iter(self, axis: Axis, chunk_size: usize) -> iter::AxisChunksIter<'a, A, D>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_chunks_iter(axis, chunk_size))
    }

    /// The elements with their indices.
    pub fn into_indexed_iter(self) -> ndarray::iter::IndexedIter<'a, A, D> {
        self.into_ndarray().into_indexed_iter()
    }

    /// Writable views of each position of the first axis, in order.
    ///
    /// # Panics
    /// If the view has no axes.
    pub fn into_outer_iter_mut(self) -> iter::AxisIterMut<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_outer_iter_mut())
    }

    /// Writable views of each position of an axis, in order.
    ///
    /// # Panics
    /// If the axis is out of range.
    pub fn into_axis_iter_mut(self, axis: Axis) -> iter::AxisIterMut<'a, A, D::Smaller>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_iter_mut(axis))
    }

    /// Writable views of `chunk_size` positions of an axis at a time, in order; the last may have fewer.
    ///
    /// # Panics
    /// If the axis is out of range; at a size of 0.
    pub fn into_axis_chunks_iter_mut(self, axis: Axis, chunk_size: usize) -> iter::AxisChunksIterMut<'a, A, D>
    where
        D: RemoveAxis,
    {
        Ours(self.into_ndarray().into_axis_chunks_iter_mut(axis, chunk_size))
    }

    /// The elements with their indices, for writing.
    pub fn into_indexed_iter_mut(self) -> ndarray::iter::IndexedIterMut<'a, A, D> {
        self.into_ndarray().into_indexed_iter_mut()
    }

    /// The view before a position of an axis, and the rest.
    ///
    /// # Panics
    /// At an axis out of range, a position beyond its end.
    #[must_use]
    #[track_caller]
    pub fn split_at(self, axis: Axis, index: usize) -> (Self, Self) {
        let (before, after) = self.into_ndarray().split_at(axis, index);
        (ArrayViewMut::local(before), ArrayViewMut::local(after))
    }

    /// A view that lives shorter.
    #[must_use]
    pub fn reborrow<'b>(self) -> ArrayViewMut<'b, A, D>
    where
        'a: 'b,
    {
        ArrayViewMut::local(self.into_ndarray().reborrow())
    }

    /// The elements as a slice, if they are in row-major order without gaps.
    #[must_use]
    pub fn into_slice(self) -> Option<&'a mut [A]> {
        self.into_ndarray().into_slice()
    }

    /// The elements as a slice in the order in which they lie in memory, if there are no gaps.
    #[must_use]
    pub fn into_slice_memory_order(self) -> Option<&'a mut [A]> {
        self.into_ndarray().into_slice_memory_order()
    }

    /// Several writable views of slices that do not overlap.
    ///
    /// # Panics
    /// At slices that overlap; where [`slice_mut`](Self::slice_mut) panics.
    #[track_caller]
    pub fn multi_slice_move<M>(self, info: M) -> <M::Output as IntoOurs>::Ours
    where
        M: ndarray::MultiSliceArg<'a, A, D>,
        M::Output: IntoOurs,
    {
        self.into_ndarray().multi_slice_move(info).into_ours()
    }

    /// A view whose elements can be written through shared references.
    #[must_use]
    pub fn into_cell_view(self) -> ArrayView<'a, ndarray::MathCell<A>, D> {
        ArrayView::local(self.into_ndarray().into_cell_view())
    }
}

macro_rules! parallel_by_reference {
    ($($kind:ty),*) => { $(
        impl<'r, A: Sync, D: Dimension> IntoParallelIterator for &'r $kind {
            type Item = &'r A;
            type Iter = ndarray::parallel::Parallel<ndarray::ArrayView<'r, A, D>>;
            #[track_caller]
            fn into_par_iter(self) -> Self::Iter {
                self.here().view().into_par_iter()
            }
        }
    )* };
}
parallel_by_reference!(Array<A, D>, ArcArray<A, D>);

impl<'r, A: Send + Sync, D: Dimension> IntoParallelIterator for &'r mut Array<A, D> {
    type Item = &'r mut A;
    type Iter = ndarray::parallel::Parallel<ndarray::ArrayViewMut<'r, A, D>>;
    #[track_caller]
    fn into_par_iter(self) -> Self::Iter {
        here(self).view_mut().into_par_iter()
    }
}

impl<'a, A: Sync, D: Dimension> IntoParallelIterator for ArrayView<'a, A, D> {
    type Item = &'a A;
    type Iter = ndarray::parallel::Parallel<ndarray::ArrayView<'a, A, D>>;
    #[track_caller]
    fn into_par_iter(self) -> Self::Iter {
        self.into_ndarray().into_par_iter()
    }
}

impl<'a, A: Send + Sync, D: Dimension> IntoParallelIterator for ArrayViewMut<'a, A, D> {
    type Item = &'a mut A;
    type Iter = ndarray::parallel::Parallel<ndarray::ArrayViewMut<'a, A, D>>;
    fn into_par_iter(self) -> Self::Iter {
        self.into_ndarray().into_par_iter()
    }
}
