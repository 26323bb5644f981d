//! From one kind of array to another: owned, shared; and what only one kind can do.
//!
//! Must not know operations.

use super::{ArcArray, Array, ArrayView, ArrayViewMut, CowArray};

use ndarray::{Axis, Dimension, Ix0, Ix1, Ix2, RemoveAxis, ShapeArg, ShapeBuilder, ShapeError, StrideShape};
use num_traits::{One, Zero};
use std::mem::MaybeUninit;
use tilework_expr::Complex;

type Shaped<T> = std::result::Result<T, ShapeError>;

impl<A, D: Dimension> Array<A, D> {
    /// The array itself.
    #[must_use]
    pub fn into_owned(self) -> Self
    where
        A: Clone,
    {
        self
    }

    /// The array itself.
    ///
    /// # Errors
    /// None.
    pub fn try_into_owned_nocopy(self) -> std::result::Result<Self, Self> {
        Ok(self)
    }

    /// The array so that clones share its elements. A lazy array is computed.
    #[must_use]
    #[track_caller]
    pub fn into_shared(self) -> ArcArray<A, D> {
        self.into()
    }

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
        (**self).append(axis, array.into_ndarray())
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
        (**self).push(axis, array.into_ndarray())
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
        (**self).push_row(row.into_ndarray())
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
        (**self).push_column(column.into_ndarray())
    }
}

macro_rules! into_owned {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A, D: Dimension> $kind<$($lt,)? A, D> {
            /// The array for one's own: copies the elements where others have them too.
            #[must_use]
            #[track_caller]
            pub fn into_owned(self) -> Array<A, D>
            where
                A: Clone,
            {
                Array::local(self.into_ndarray().into_owned())
            }
        }
    )* };
}
into_owned! { ['a] ArrayViewMut [] ArcArray }

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// The array for one's own: shares the expression of a lazy view, copies the elements of others.
    #[must_use]
    #[track_caller]
    pub fn into_owned(self) -> Array<A, D>
    where
        A: Clone,
    {
        self.to_owned()
    }

    /// The elements as a slice that lives as long as the array, if they are in row-major order without gaps.
    #[must_use]
    #[track_caller]
    pub fn to_slice(&self) -> Option<&'a [A]> {
        self.clone().into_ndarray().to_slice()
    }
}

macro_rules! try_into_owned {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A, D: Dimension> $kind<$($lt,)? A, D> {
            /// The array for one's own, where that needs no copy.
            ///
            /// # Errors
            /// The array itself, where others have its elements.
            pub fn try_into_owned_nocopy(self) -> std::result::Result<Array<A, D>, Self> {
                self.into_ndarray().try_into_owned_nocopy().map(Array::local).map_err($kind::local)
            }
        }
    )* };
}
try_into_owned! { ['a] ArrayView ['a] ArrayViewMut ['a] CowArray [] ArcArray }

impl<A, D: Dimension> ArcArray<A, D> {
    /// The array itself.
    #[must_use]
    pub fn into_shared(self) -> Self {
        self
    }

    /// The elements in another shape, in row-major or the given order, copied where they lie in another.
    ///
    /// # Errors
    /// A shape with another number of elements.
    pub fn into_shape_clone<E: ShapeArg>(self, shape: E) -> Shaped<ArcArray<A, E::Dim>>
    where
        A: Clone,
    {
        Ok(ArcArray::local(self.into_ndarray().into_shape_clone(shape)?))
    }

    /// The elements in row-major order, in one dimension.
    #[must_use]
    pub fn into_flat(self) -> ArcArray<A, Ix1>
    where
        A: Clone,
    {
        ArcArray::local(self.into_ndarray().into_flat())
    }

    /// The elements in another shape.
    ///
    /// # Panics
    /// At a shape with another number of elements.
    #[must_use]
    #[track_caller]
    #[deprecated(note = "ndarray deprecates it: use `.into_shape_with_order()` or `.to_shape()`")]
    pub fn reshape<E: ndarray::IntoDimension>(&self, shape: E) -> ArcArray<A, E::Dim>
    where
        A: Clone,
    {
        #[allow(deprecated, reason = "the method of the same name")]
        ArcArray::local((**self).reshape(shape))
    }
}

macro_rules! shared_constructors {
    ($($(#[$doc:meta])* $name:ident [$($bound:tt)*] ($($x:ident: $t:ty),*);)*) => {
        impl<A, D: Dimension> ArcArray<A, D> { $(
            $(#[$doc])*
            ///
            /// # Panics
            /// At a shape that is too large.
            #[must_use]
            #[track_caller]
            pub fn $name<Sh: ShapeBuilder<Dim = D>>(shape: Sh, $($x: $t),*) -> Self
            where
                A: $($bound)*,
            {
                ArcArray::local(ndarray::ArcArray::$name(shape, $($x),*))
            }
        )* }
    };
}
shared_constructors! {
    /// An array of `shape` filled with zeros.
    zeros [Clone + Zero] ();
    /// An array of `shape` filled with ones.
    ones [Clone + One] ();
    /// An array of `shape` filled with the type's default value.
    default [Default] ();
    /// An array of `shape` filled with `elem`.
    from_elem [Clone] (elem: A);
    /// An array of `shape` whose element at `index` is `f(index)`.
    from_shape_fn [Sized] (f: impl FnMut(D::Pattern) -> A);
    /// An array of `shape` whose elements are what `f` gives, called in the order in which they lie in memory.
    from_shape_simple_fn [Sized] (f: impl FnMut() -> A);
}

impl<A, D: Dimension> ArcArray<A, D> {
    /// An array of `shape` with the elements of `values` in the order that the shape says.
    ///
    /// # Errors
    /// A shape with another number of elements, or strides that leave the vector.
    pub fn from_shape_vec<Sh: Into<StrideShape<D>>>(shape: Sh, values: Vec<A>) -> Shaped<Self> {
        Ok(ArcArray::local(ndarray::ArcArray::from_shape_vec(shape, values)?))
    }

    /// [`ArcArray::from_shape_vec`] without its checks.
    ///
    /// # Safety
    /// As for [`ndarray::ArrayBase::from_shape_vec_unchecked`].
    #[must_use]
    pub unsafe fn from_shape_vec_unchecked<Sh: Into<StrideShape<D>>>(shape: Sh, values: Vec<A>) -> Self {
        // SAFETY: by the caller's word.
        ArcArray::local(unsafe { ndarray::ArcArray::from_shape_vec_unchecked(shape, values) })
    }

    /// An array of `shape` whose elements are yet to be written.
    #[must_use]
    pub fn uninit<Sh: ShapeBuilder<Dim = D>>(shape: Sh) -> ArcArray<MaybeUninit<A>, D> {
        ArcArray::local(ndarray::ArcArray::uninit(shape))
    }
}

impl<A> ArcArray<A, Ix1> {
    /// An array with the elements of `values`, whose memory it takes over.
    #[must_use]
    pub fn from_vec(values: Vec<A>) -> Self {
        ArcArray::local(ndarray::ArcArray::from_vec(values))
    }

    /// An array with the elements of an iterator.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "ndarray has both")]
    pub fn from_iter<I: IntoIterator<Item = A>>(values: I) -> Self {
        ArcArray::local(ndarray::ArcArray::from_iter(values))
    }
}

macro_rules! assume_init {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A, D: Dimension> $kind<$($lt,)? MaybeUninit<A>, D> {
            /// The array with its elements taken for written.
            ///
            /// # Safety
            /// All elements must have been written.
            #[must_use]
            pub unsafe fn assume_init(self) -> $kind<$($lt,)? A, D> {
                // SAFETY: by the caller's word.
                $kind::local(unsafe { self.into_ndarray().assume_init() })
            }
        }
    )* };
}
assume_init! { [] Array ['a] ArrayView ['a] ArrayViewMut [] ArcArray }

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

/// The union of an array's squeezed forms: without the axes of length 1.
macro_rules! squeeze {
    ($([$($lt:lifetime)?] $kind:ident)*) => { $(
        impl<$($lt,)? A> $kind<$($lt,)? A, ndarray::IxDyn> {
            /// The array without its axes of length 1.
            #[must_use]
            #[track_caller]
            pub fn squeeze(self) -> Self {
                $kind::local(self.into_ndarray().squeeze())
            }
        }
    )* };
}
squeeze! { [] Array ['a] ArrayView ['a] ArrayViewMut ['a] CowArray [] ArcArray }
