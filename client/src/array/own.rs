//! From one kind of array to another: owned, shared; and what only one kind can do.
//!
//! Must not know operations.

use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, Data, DataMut, DataOwned, RawDataSubst};
use ndarray::{
    Axis, Dimension, IntoDimension, Ix0, Ix1, Ix2, IxDyn, Order, RemoveAxis, ShapeArg, ShapeError,
};
use std::mem::MaybeUninit;
use tilework_expr::Complex;

type Shaped<T> = std::result::Result<T, ShapeError>;

/// # Other kinds
impl<A, S: Data<Elem = A>, D: Dimension> ArrayBase<S, D, A> {
    /// The array for one's own: copies the elements where others have them too, shares an expression.
    #[must_use]
    #[track_caller]
    pub fn into_owned(self) -> Array<A, D>
    where
        A: Clone,
    {
        S::into_owned(self)
    }

    /// The array for one's own, where that needs no copy.
    ///
    /// # Errors
    /// The array itself, where others have its elements.
    pub fn try_into_owned_nocopy(self) -> std::result::Result<Array<A, D>, Self> {
        S::try_into_owned_nocopy(self)
    }

    /// The array so that clones share its elements; a copy where it is not shared yet. A lazy array is computed.
    #[must_use]
    #[track_caller]
    pub fn to_shared(&self) -> ArcArray<A, D>
    where
        A: Clone,
    {
        S::to_shared(self)
    }

    /// The array so that clones share its elements. A lazy array is computed.
    #[must_use]
    #[track_caller]
    pub fn into_shared(self) -> ArcArray<A, D>
    where
        A: Clone,
        S: DataOwned,
    {
        S::into_shared(self)
    }

    /// Whether nobody else has the elements.
    pub fn is_unique(&mut self) -> bool
    where
        S: DataMut,
    {
        self.data().is_unique()
    }

    /// The elements in row-major order, in one dimension.
    #[must_use]
    #[track_caller]
    #[allow(clippy::missing_panics_doc, reason = "there are as many elements")]
    pub fn into_flat(self) -> ArrayBase<S, Ix1, A>
    where
        A: Clone,
        S: DataOwned,
    {
        let len = self.len();
        self.into_shape_clone(len).expect("as many elements")
    }

    /// The elements in another shape, in row-major or the given order, copied where they lie in another.
    ///
    /// # Errors
    /// A shape with another number of elements.
    #[track_caller]
    pub fn into_shape_clone<E: ShapeArg>(self, shape: E) -> Shaped<ArrayBase<S, E::Dim, A>>
    where
        A: Clone,
        S: DataOwned,
    {
        if self.is_lazy() {
            return self.into_shape_with_order(shape);
        }
        let (dim, order) = shape.into_shape_and_order();
        let order = order.unwrap_or(Order::RowMajor);
        let place = self.place().clone();
        if place.into_shape_with_order((dim.clone(), order)).is_ok() {
            return self.into_shape_with_order((dim, order));
        }
        let owned = self.into_owned().into_ndarray();
        Ok(S::of_owned(Array::local(owned.into_shape_clone((dim, order))?)))
    }
}

/// Of other kinds, `reshape` is the lazy method of ours.
impl<A, D: Dimension> ArcArray<A, D> {
    /// The elements in another shape.
    ///
    /// # Panics
    /// At a shape with another number of elements.
    #[must_use]
    #[track_caller]
    #[deprecated(note = "ndarray deprecates it: use `.into_shape_with_order()` or `.to_shape()`")]
    pub fn reshape<E: IntoDimension>(&self, shape: E) -> ArcArray<A, E::Dim>
    where
        A: Clone,
    {
        let shape = shape.into_dimension();
        let from = self.shape().to_vec();
        self.clone().into_shape_clone(shape.clone()).unwrap_or_else(|error| {
            panic!("tilework: cannot reshape {from:?} to {:?}: {error}", shape.slice())
        })
    }
}

/// # What only owned arrays can do
impl<A, D: Dimension> Array<A, D> {
    /// Puts `array` behind the last position of an axis. A lazy array is computed.
    ///
    /// # Errors
    /// Lengths that differ along another axis.
    ///
    /// # Panics
    /// At an axis out of range.
    #[track_caller]
    pub fn append(&mut self, axis: Axis, array: ArrayView<'_, A, D>) -> Shaped<()>
    where
        A: Clone,
        D: RemoveAxis,
    {
        self.as_ndarray(|a| a.append(axis, array.into_ndarray()))
    }

    /// Puts `array` as one more position behind the last of an axis. A lazy array is computed.
    ///
    /// # Errors
    /// Lengths that differ.
    ///
    /// # Panics
    /// At an axis out of range.
    #[track_caller]
    pub fn push(&mut self, axis: Axis, array: ArrayView<'_, A, D::Smaller>) -> Shaped<()>
    where
        A: Clone,
        D: RemoveAxis,
    {
        self.as_ndarray(|a| a.push(axis, array.into_ndarray()))
    }

    /// Makes room in memory for so many more positions of an axis. A lazy array is computed.
    ///
    /// # Errors
    /// Too many positions.
    ///
    /// # Panics
    /// At an axis out of range.
    #[track_caller]
    pub fn reserve(&mut self, axis: Axis, additional: usize) -> Shaped<()>
    where
        D: RemoveAxis,
    {
        self.as_ndarray(|a| a.reserve(axis, additional))
    }

    /// The elements in the order in which they lie in memory. Computes the array.
    #[must_use]
    #[track_caller]
    #[deprecated(note = "ndarray deprecates it: use `.into_raw_vec_and_offset()`")]
    pub fn into_raw_vec(self) -> Vec<A> {
        self.into_raw_vec_and_offset().0
    }

    /// Moves the elements into `new_array`, whose old ones are dropped.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn move_into<'v, AM>(self, new_array: AM)
    where
        AM: Into<ArrayViewMut<'v, A, D>>,
        A: 'v,
    {
        self.into_ndarray().move_into(new_array.into().into_ndarray());
    }

    /// Moves the elements into `new_array`, which has none.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn move_into_uninit<'v, AM>(self, new_array: AM)
    where
        AM: Into<ArrayViewMut<'v, MaybeUninit<A>, D>>,
        A: 'v,
    {
        self.into_ndarray().move_into_uninit(new_array.into().into_ndarray());
    }
}

impl<A> Array<A, Ix2> {
    /// Puts `row` behind the last row. A lazy array is computed.
    ///
    /// # Errors
    /// Another length than the rows have.
    #[track_caller]
    pub fn push_row(&mut self, row: ArrayView<'_, A, Ix1>) -> Shaped<()>
    where
        A: Clone,
    {
        self.as_ndarray(|a| a.push_row(row.into_ndarray()))
    }

    /// Puts `column` behind the last column. A lazy array is computed.
    ///
    /// # Errors
    /// Another length than the columns have.
    #[track_caller]
    pub fn push_column(&mut self, column: ArrayView<'_, A, Ix1>) -> Shaped<()>
    where
        A: Clone,
    {
        self.as_ndarray(|a| a.push_column(column.into_ndarray()))
    }

    /// Makes room in memory for so many more rows. A lazy array is computed.
    ///
    /// # Errors
    /// Too many rows.
    #[track_caller]
    pub fn reserve_rows(&mut self, additional: usize) -> Shaped<()> {
        self.as_ndarray(|a| a.reserve_rows(additional))
    }

    /// Makes room in memory for so many more columns. A lazy array is computed.
    ///
    /// # Errors
    /// Too many columns.
    #[track_caller]
    pub fn reserve_columns(&mut self, additional: usize) -> Shaped<()> {
        self.as_ndarray(|a| a.reserve_columns(additional))
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// The elements as a slice that lives as long as the array, if they are in row-major order without gaps.
    #[must_use]
    #[track_caller]
    pub fn to_slice(&self) -> Option<&'a [A]> {
        self.clone().into_ndarray().to_slice()
    }

    /// The elements as a slice that lives as long as the array, in the order in which they lie in memory, if there are
    /// no gaps.
    #[must_use]
    #[track_caller]
    pub fn to_slice_memory_order(&self) -> Option<&'a [A]> {
        self.clone().into_ndarray().to_slice_memory_order()
    }
}

impl<A, S, D: Dimension> ArrayBase<S, D, MaybeUninit<A>>
where
    S: RawDataSubst<A, Elem = MaybeUninit<A>>,
{
    /// The array with its elements taken for written.
    ///
    /// # Safety
    /// All elements must have been written.
    #[must_use]
    pub unsafe fn assume_init(self) -> ArrayBase<S::Output, D, A> {
        // SAFETY: by the caller's word.
        unsafe { self.substituted() }
    }
}

impl<'a, A> ArrayViewMut<'a, A, Ix0> {
    /// A writable reference to the one element.
    #[must_use]
    pub fn into_scalar(self) -> &'a mut A {
        self.into_ndarray().into_scalar()
    }
}

impl<'a, A> ArrayView<'a, A, Ix0> {
    /// A reference to the one element.
    #[must_use]
    #[track_caller]
    pub fn into_scalar(self) -> &'a A {
        self.into_ndarray().into_scalar()
    }
}

macro_rules! split_complex {
    ($($kind:ident)*) => { $(
        impl<'a, T, D: Dimension> $kind<'a, Complex<T>, D> {
            /// The views of the real and of the imaginary parts.
            #[must_use]
            #[track_caller]
            pub fn split_complex(self) -> Complex<$kind<'a, T, D>> {
                let Complex { re, im } = self.into_ndarray().split_complex();
                Complex { re: $kind::local(re), im: $kind::local(im) }
            }
        }
    )* };
}
split_complex! { ArrayView ArrayViewMut }

impl<A, S: Data<Elem = A>> ArrayBase<S, IxDyn, A> {
    /// The array without its axes of length 1.
    #[must_use]
    #[track_caller]
    pub fn squeeze(mut self) -> Self {
        for axis in (0..self.ndim()).rev() {
            if self.shape()[axis] == 1 {
                self.index_axis_inplace(Axis(axis), 0);
            }
        }
        self
    }
}
