//! Arrays and views from slices, vectors and ndarray's arrays, and back; what else ndarray's types implement.
//!
//! Must not know operations.

use super::kind::source::Source;
use super::write::here;
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, CowArray};
use ndarray::{
    ArrayRef, Data, DataMut, DataOwned, Dimension, Ix1, Ix2, LayoutRef, RawRef, ShapeError, StrideShape,
};
use std::borrow::Borrow;
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

/// Copies the elements.
impl<A: Clone, S: Data<Elem = A>, D: Dimension> From<&ArrayBase<S, D, A>> for Array<A, D> {
    fn from(array: &ArrayBase<S, D, A>) -> Self {
        array.to_owned()
    }
}

impl<A, S: DataOwned<Elem = A>, D: Dimension> From<ArrayBase<S, D, A>> for Array<A, D>
where
    A: Clone,
{
    fn from(array: ArrayBase<S, D, A>) -> Self {
        Array::local(array.into_ndarray().into_owned())
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
        Array::local(array.into_ndarray().into_owned())
    }
}

macro_rules! owned_from {
    ($($kind:ident)*) => { $(
        impl<A> From<Vec<A>> for $kind<A, Ix1> {
            fn from(values: Vec<A>) -> Self {
                $kind::local(values.into())
            }
        }
        impl<A> From<Box<[A]>> for $kind<A, Ix1> {
            fn from(values: Box<[A]>) -> Self {
                $kind::local(values.into())
            }
        }
        impl<A> FromIterator<A> for $kind<A, Ix1> {
            fn from_iter<I: IntoIterator<Item = A>>(values: I) -> Self {
                $kind::local(values.into_iter().collect())
            }
        }
    )* };
}
owned_from! { Array ArcArray }

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
                ArcArray::local(ndarray::Array::from(values).into())
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

impl<A, D: Dimension> Default for Array<A, D>
where
    A: Default,
{
    fn default() -> Self {
        Array::local(ndarray::Array::default(D::default()))
    }
}

impl<A: Default, D: Dimension> Default for ArcArray<A, D> {
    fn default() -> Self {
        ArcArray::local(ndarray::ArcArray::default(D::default()))
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
    [] Array<A, D>;
    [] ArrayView<'_, A, D>;
    [] ArrayViewMut<'_, A, D>;
    [] CowArray<'_, A, D>;
    [] ArcArray<A, D>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>;
}

macro_rules! references_to {
    ($($kind:ty),*) => { $(
        impl<A, D: Dimension> AsRef<ArrayRef<A, D>> for $kind {
            #[track_caller]
            fn as_ref(&self) -> &ArrayRef<A, D> {
                self.here()
            }
        }
        impl<A, D: Dimension> AsRef<RawRef<A, D>> for $kind {
            #[track_caller]
            fn as_ref(&self) -> &RawRef<A, D> {
                self.here()
            }
        }
        impl<A, D: Dimension> AsRef<LayoutRef<A, D>> for $kind {
            #[track_caller]
            fn as_ref(&self) -> &LayoutRef<A, D> {
                self.here()
            }
        }
        impl<A, D: Dimension> Borrow<ArrayRef<A, D>> for $kind {
            #[track_caller]
            fn borrow(&self) -> &ArrayRef<A, D> {
                self.here()
            }
        }
    )* };
}
references_to!(Array<A, D>, ArrayView<'_, A, D>, ArrayViewMut<'_, A, D>, CowArray<'_, A, D>, ArcArray<A, D>);

macro_rules! writable_views_of {
    ($([$kind:ty] [$($bound:ident)?] [$($g:tt)*])*) => { $(
        impl<'r, A: $($bound)?, D: Dimension, $($g)*> From<&'r mut $kind> for ArrayViewMut<'r, A, D> {
            #[track_caller]
            fn from(array: &'r mut $kind) -> Self {
                array.view_mut()
            }
        }
        impl<'r, A: $($bound)?, D: Dimension, $($g)*> From<&'r mut $kind> for ndarray::ArrayViewMut<'r, A, D> {
            #[track_caller]
            fn from(array: &'r mut $kind) -> Self {
                here(array).view_mut()
            }
        }
    )* };
}
writable_views_of! {
    [Array<A, D>] [] []
    [ArrayViewMut<'_, A, D>] [] []
    [CowArray<'_, A, D>] [Clone] []
    [ArcArray<A, D>] [Clone] []
    [ArrayBase<S, D, A>] [] [S: DataMut<Elem = A>]
}

macro_rules! writable_references_to {
    ($([$kind:ty] [$($bound:ident)?])*) => { $(
        impl<A: $($bound)?, D: Dimension> AsMut<ArrayRef<A, D>> for $kind {
            #[track_caller]
            fn as_mut(&mut self) -> &mut ArrayRef<A, D> {
                here(self)
            }
        }
        impl<A: $($bound)?, D: Dimension> AsMut<LayoutRef<A, D>> for $kind {
            #[track_caller]
            fn as_mut(&mut self) -> &mut LayoutRef<A, D> {
                here(self)
            }
        }
    )* };
}
writable_references_to! {
    [Array<A, D>] []
    [ArrayViewMut<'_, A, D>] []
    [CowArray<'_, A, D>] [Clone]
    [ArcArray<A, D>] [Clone]
}

impl<'r, A, S: Data<Elem = A>, D: Dimension> From<&'r ndarray::ArrayBase<S, D>> for ArrayView<'r, A, D> {
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

impl<'r, A, S: DataMut<Elem = A>, D: Dimension> From<&'r mut ndarray::ArrayBase<S, D>>
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
