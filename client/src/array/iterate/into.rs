//! What iterators, producers and parallel iterators arrays turn into, by reference and by value.
//!
//! Must not know the wrappers' own methods.

use super::{IntoOurs, Ours, iter};
use crate::array::kind::source::Source;
use crate::array::write::here;
use crate::array::{ArcArray, Array, ArrayBase, ArrayRef, ArrayView, ArrayViewMut, CowArray, Data, DataMut};
use ndarray::{Axis, Dimension, IntoNdProducer, RemoveAxis};
use rayon::iter::IntoParallelIterator;

macro_rules! by_reference {
    ($([$($g:tt)*] $kind:ty;)*) => { $(
        impl<'r, A, D: Dimension, $($g)*> IntoIterator for &'r $kind {
            type Item = &'r A;
            type IntoIter = ndarray::iter::Iter<'r, A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                self.here().iter()
            }
        }

        impl<'r, A: 'r, D: Dimension, $($g)*> IntoNdProducer for &'r $kind {
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
by_reference! {
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}

macro_rules! by_writable_reference {
    ($([$($g:tt)*] $kind:ty;)*) => { $(
        impl<'r, A, D: Dimension, $($g)*> IntoIterator for &'r mut $kind {
            type Item = &'r mut A;
            type IntoIter = ndarray::iter::IterMut<'r, A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                here(self).iter_mut()
            }
        }

        impl<'r, A: 'r, D: Dimension, $($g)*> IntoNdProducer for &'r mut $kind {
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
    [S: DataMut<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}

macro_rules! by_value {
    ($($kind:ty [$($bound:ident)?];)*) => { $(
        impl<A: $($bound)?, D: Dimension> IntoIterator for $kind {
            type Item = A;
            type IntoIter = ndarray::iter::IntoIter<A, D>;
            #[track_caller]
            fn into_iter(self) -> Self::IntoIter {
                Array::from(self).into_ndarray().into_iter()
            }
        }
    )* };
}
by_value! {
    Array<A, D> [];
    ArcArray<A, D> [Clone];
    CowArray<'_, A, D> [Clone];
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

macro_rules! parallel_by_writable_reference {
    ($($kind:ty [$($bound:ident)?];)*) => { $(
        impl<'r, A: Send + Sync $(+ $bound)?, D: Dimension> IntoParallelIterator for &'r mut $kind {
            type Item = &'r mut A;
            type Iter = ndarray::parallel::Parallel<ndarray::ArrayViewMut<'r, A, D>>;
            #[track_caller]
            fn into_par_iter(self) -> Self::Iter {
                here(self).view_mut().into_par_iter()
            }
        }
    )* };
}
parallel_by_writable_reference! {
    Array<A, D> [];
    ArcArray<A, D> [Clone];
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
