//! Arrays and views from slices, vectors and ndarray's arrays, and back; what else ndarray's types implement.
//!
//! Must not know operations.

use super::kind::source::Source;
use super::write::here;
use super::{
    ArcArray, Array, ArrayBase, ArrayRef, ArrayView, ArrayViewMut, CowArray, Data, DataMut, DataOwned,
};
use ndarray::{Dimension, Ix1, Ix2, ShapeError, StrideShape};
use std::hash::{Hash, Hasher};

/// Whatever [`ArrayView`] can be made of, in place of [`ndarray::AsArray`].
pub trait AsArray<'a, A: 'a, D: Dimension = Ix1>: Into<ArrayView<'a, A, D>> {}

impl<'a, A: 'a, D: Dimension, T: Into<ArrayView<'a, A, D>>> AsArray<'a, A, D> for T {}

/// Takes the array over; lazily shared where it is used by expressions.
impl<A, D: Dimension> From<ndarray::Array<A, D>> for Array<A, D> {
    fn from(array: ndarray::Array<A, D>) -> Self {
        Array::local(array)
    }
}

/// Copies the elements.
impl<A: Clone, D: Dimension> From<ndarray::ArrayView<'_, A, D>> for Array<A, D> {
    fn from(view: ndarray::ArrayView<'_, A, D>) -> Self {
        Array::local(view.to_owned())
    }
}

/// Copies the elements.
impl<A: Clone, D: Dimension> From<&ndarray::Array<A, D>> for Array<A, D> {
    fn from(array: &ndarray::Array<A, D>) -> Self {
        Array::local(array.to_owned())
    }
}

/// Copies the elements, or shares the expression.
impl<A: Clone, S: Data<Elem = A>, D: Dimension> From<&ArrayBase<S, D, A>> for Array<A, D> {
    fn from(array: &ArrayBase<S, D, A>) -> Self {
        array.to_owned()
    }
}

/// Copies the elements.
impl<A: Clone, D: Dimension> From<&ArrayRef<A, D>> for Array<A, D> {
    fn from(array: &ArrayRef<A, D>) -> Self {
        array.to_owned()
    }
}

/// Computes what is lazy; panics where that fails.
impl<A, D: Dimension> From<Array<A, D>> for ndarray::Array<A, D> {
    fn from(array: Array<A, D>) -> Self {
        array.into_ndarray()
    }
}

impl<A: Clone, D: Dimension> From<CowArray<'_, A, D>> for Array<A, D> {
    fn from(array: CowArray<'_, A, D>) -> Self {
        array.into_owned()
    }
}

impl<A: Clone, D: Dimension> From<ArcArray<A, D>> for Array<A, D> {
    fn from(array: ArcArray<A, D>) -> Self {
        array.into_owned()
    }
}

impl<A, S: DataOwned<Elem = A>> From<Vec<A>> for ArrayBase<S, Ix1, A> {
    fn from(values: Vec<A>) -> Self {
        Self::from_vec(values)
    }
}

impl<A, S: DataOwned<Elem = A>> From<Box<[A]>> for ArrayBase<S, Ix1, A> {
    fn from(values: Box<[A]>) -> Self {
        Self::from_vec(values.into_vec())
    }
}

impl<A, S: DataOwned<Elem = A>> FromIterator<A> for ArrayBase<S, Ix1, A> {
    fn from_iter<I: IntoIterator<Item = A>>(values: I) -> Self {
        Self::from_vec(values.into_iter().collect())
    }
}

impl<A: Clone> From<&[A]> for Array<A, Ix1> {
    fn from(values: &[A]) -> Self {
        Array::local(values.to_vec().into())
    }
}

impl<A, const N: usize> From<[A; N]> for Array<A, Ix1> {
    fn from(values: [A; N]) -> Self {
        Array::local(Vec::from(values).into())
    }
}

impl<A: Clone, const M: usize, const N: usize> From<[[A; N]; M]> for Array<A, Ix2> {
    fn from(rows: [[A; N]; M]) -> Self {
        Array::local(Vec::from(rows).into())
    }
}

macro_rules! from_nested {
    ($($dim:ident $nested:ty: $($n:ident)*;)*) => { $(
        impl<A, $(const $n: usize),*> From<Vec<$nested>> for Array<A, ndarray::$dim> {
            fn from(values: Vec<$nested>) -> Self {
                Array::local(values.into())
            }
        }
        impl<A, $(const $n: usize),*> From<Vec<$nested>> for ArcArray<A, ndarray::$dim> {
            fn from(values: Vec<$nested>) -> Self {
                Array::from(values).into()
            }
        }
    )* };
}
from_nested! {
    Ix2 [A; N]: N;
    Ix3 [[A; N]; M]: N M;
    Ix4 [[[A; N]; M]; L]: N M L;
    Ix5 [[[[A; N]; M]; L]; K]: N M L K;
    Ix6 [[[[[A; N]; M]; L]; K]; J]: N M L K J;
}

impl<A: Default, S: DataOwned<Elem = A>, D: Dimension> Default for ArrayBase<S, D, A> {
    fn default() -> Self {
        S::of_owned(Array::local(ndarray::Array::default(D::default())))
    }
}

macro_rules! views_of {
    ($([$($g:tt)*] $kind:ty;)*) => { $(
        impl<'r, A, D: Dimension, $($g)*> From<&'r $kind> for ArrayView<'r, A, D> {
            #[track_caller]
            fn from(array: &'r $kind) -> Self {
                array.view()
            }
        }
        impl<'r, A, D: Dimension, $($g)*> From<&'r &$kind> for ArrayView<'r, A, D> {
            #[track_caller]
            fn from(array: &'r &$kind) -> Self {
                array.view()
            }
        }
        impl<'r, A, D: Dimension, $($g)*> From<&'r $kind> for ndarray::ArrayView<'r, A, D> {
            #[track_caller]
            fn from(array: &'r $kind) -> Self {
                array.here().view()
            }
        }
        /// As ndarray's arrays of equal elements are hashed.
        impl<A: Hash, D: Dimension, $($g)*> Hash for $kind {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.here().hash(state);
            }
        }
    )* };
}
views_of! {
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}

macro_rules! writable_views_of {
    ($([$($g:tt)*] $kind:ty;)*) => { $(
        impl<'r, A, D: Dimension, $($g)*> From<&'r mut $kind> for ArrayViewMut<'r, A, D> {
            #[track_caller]
            fn from(array: &'r mut $kind) -> Self {
                array.view_mut()
            }
        }
        impl<'r, A, D: Dimension, $($g)*> From<&'r mut $kind> for ndarray::ArrayViewMut<'r, A, D> {
            #[track_caller]
            fn from(array: &'r mut $kind) -> Self {
                here(array).view_mut()
            }
        }
    )* };
}
writable_views_of! {
    [S: DataMut<Elem = A>] ArrayBase<S, D, A>;
    [] ArrayRef<A, D>;
}

impl<'r, A, S: ndarray::Data<Elem = A>, D: Dimension> From<&'r ndarray::ArrayBase<S, D>>
    for ArrayView<'r, A, D>
{
    fn from(array: &'r ndarray::ArrayBase<S, D>) -> Self {
        ArrayView::local(array.view())
    }
}

impl<'a, A, D: Dimension> From<ndarray::ArrayView<'a, A, D>> for ArrayView<'a, A, D> {
    fn from(view: ndarray::ArrayView<'a, A, D>) -> Self {
        ArrayView::local(view)
    }
}

impl<'a, A, D: Dimension> From<ArrayView<'a, A, D>> for ndarray::ArrayView<'a, A, D> {
    #[track_caller]
    fn from(view: ArrayView<'a, A, D>) -> Self {
        view.into_ndarray()
    }
}

impl<'a, A, D: Dimension> From<ndarray::ArrayViewMut<'a, A, D>> for ArrayViewMut<'a, A, D> {
    fn from(view: ndarray::ArrayViewMut<'a, A, D>) -> Self {
        ArrayViewMut::local(view)
    }
}

impl<'a, A, D: Dimension> From<ArrayViewMut<'a, A, D>> for ndarray::ArrayViewMut<'a, A, D> {
    fn from(view: ArrayViewMut<'a, A, D>) -> Self {
        view.into_ndarray()
    }
}

impl<'r, A, S: ndarray::DataMut<Elem = A>, D: Dimension> From<&'r mut ndarray::ArrayBase<S, D>>
    for ArrayViewMut<'r, A, D>
{
    fn from(array: &'r mut ndarray::ArrayBase<S, D>) -> Self {
        ArrayViewMut::local(array.view_mut())
    }
}

macro_rules! views_of_slices {
    ($($(const $n:ident)? $slice:ty;)*) => { $(
        impl<'a, A, $(const $n: usize)?> From<&'a $slice> for ArrayView<'a, A, Ix1> {
            fn from(values: &'a $slice) -> Self {
                ArrayView::local(values.into())
            }
        }

        impl<'a, A, $(const $n: usize)?> From<&'a mut $slice> for ArrayViewMut<'a, A, Ix1> {
            fn from(values: &'a mut $slice) -> Self {
                ArrayViewMut::local(values.into())
            }
        }
    )* };
}
views_of_slices! { [A]; Vec<A>; Box<[A]>; const N [A; N]; }

macro_rules! views_of_references {
    ($($(const $n:ident)? $slice:ty;)*) => { $(
        impl<'a, A, $(const $n: usize)?> From<&'a &'a $slice> for ArrayView<'a, A, Ix1> {
            fn from(values: &'a &'a $slice) -> Self {
                ArrayView::local((*values).into())
            }
        }
    )* };
}
views_of_references! { [A]; Vec<A>; const N [A; N]; }

impl<'a, A, const M: usize, const N: usize> From<&'a [[A; N]; M]> for ArrayView<'a, A, Ix2> {
    fn from(rows: &'a [[A; N]; M]) -> Self {
        ArrayView::local(rows.into())
    }
}

impl<'a, A, const N: usize> From<&'a [[A; N]]> for ArrayView<'a, A, Ix2> {
    fn from(rows: &'a [[A; N]]) -> Self {
        ArrayView::local(rows.into())
    }
}

impl<'a, A, const M: usize, const N: usize> From<&'a mut [[A; N]; M]> for ArrayViewMut<'a, A, Ix2> {
    fn from(rows: &'a mut [[A; N]; M]) -> Self {
        ArrayViewMut::local(rows.into())
    }
}

impl<'a, A, const N: usize> From<&'a mut [[A; N]]> for ArrayViewMut<'a, A, Ix2> {
    fn from(rows: &'a mut [[A; N]]) -> Self {
        ArrayViewMut::local(rows.into())
    }
}

impl<'a, A, D: Dimension> ArrayView<'a, A, D> {
    /// A view of the elements of a slice, in row-major order (column-major with `.f()`, or by the strides of the
    /// shape).
    ///
    /// # Errors
    /// A shape with another number of elements, or strides that leave the slice.
    pub fn from_shape<Sh: Into<StrideShape<D>>>(shape: Sh, values: &'a [A]) -> Result<Self, ShapeError> {
        Ok(ArrayView::local(ndarray::ArrayView::from_shape(shape, values)?))
    }

    /// A view of elements by their address.
    ///
    /// # Safety
    /// As for [`ndarray::ArrayView::from_shape_ptr`].
    pub unsafe fn from_shape_ptr<Sh: Into<StrideShape<D>>>(shape: Sh, first: *const A) -> Self {
        // SAFETY: by the caller's word.
        ArrayView::local(unsafe { ndarray::ArrayView::from_shape_ptr(shape, first) })
    }
}

impl<'a, A, D: Dimension> ArrayViewMut<'a, A, D> {
    /// A writable view of the elements of a slice, in row-major order (column-major with `.f()`, or by the strides of
    /// the shape).
    ///
    /// # Errors
    /// A shape with another number of elements, or strides that leave the slice.
    pub fn from_shape<Sh: Into<StrideShape<D>>>(shape: Sh, values: &'a mut [A]) -> Result<Self, ShapeError> {
        Ok(ArrayViewMut::local(ndarray::ArrayViewMut::from_shape(shape, values)?))
    }

    /// A writable view of elements by their address.
    ///
    /// # Safety
    /// As for [`ndarray::ArrayViewMut::from_shape_ptr`].
    pub unsafe fn from_shape_ptr<Sh: Into<StrideShape<D>>>(shape: Sh, first: *mut A) -> Self {
        // SAFETY: by the caller's word.
        ArrayViewMut::local(unsafe { ndarray::ArrayViewMut::from_shape_ptr(shape, first) })
    }
}
