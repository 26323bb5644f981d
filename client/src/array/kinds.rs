//! How a method is written once for several kinds of arrays.
//!
//! Knows syntax. Must not know any method.

/// `on_both!({ bounds } { methods })`: inherent methods of owned arrays and of views.
macro_rules! on_both {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::Array<A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayView<'_, A, D> $body
    };
}

/// `on_all!({ bounds } { methods })`: inherent methods of every kind of array, that read it.
macro_rules! on_all {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::Array<A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayView<'_, A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayViewMut<'_, A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::CowArray<'_, A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArcArray<A, D> $body
        impl<S: ndarray::Data<Elem = A>, D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayBase<S, D, A> $body
    };
}

/// As `on_all`, for arrays of one dimension type.
macro_rules! on_all_of {
    ($dim:ty, { $($bounds:tt)* } $body:tt) => {
        impl<$($bounds)*> $crate::array::Array<A, $dim> $body
        impl<$($bounds)*> $crate::array::ArrayView<'_, A, $dim> $body
        impl<$($bounds)*> $crate::array::ArrayViewMut<'_, A, $dim> $body
        impl<$($bounds)*> $crate::array::CowArray<'_, A, $dim> $body
        impl<$($bounds)*> $crate::array::ArcArray<A, $dim> $body
        impl<S: ndarray::Data<Elem = A>, $($bounds)*> $crate::array::ArrayBase<S, $dim, A> $body
    };
}

/// `on_writable!({ bounds } { methods })`: inherent methods of every kind of array, that write it.
macro_rules! on_writable {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::Array<A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayViewMut<'_, A, D> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::CowArray<'_, A, D> where A: Clone $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArcArray<A, D> where A: Clone $body
        impl<S: ndarray::DataMut<Elem = A>, D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayBase<S, D, A> $body
    };
}

/// As `on_writable`, for arrays of one dimension type.
macro_rules! on_writable_of {
    ($dim:ty, { $($bounds:tt)* } $body:tt) => {
        impl<$($bounds)*> $crate::array::Array<A, $dim> $body
        impl<$($bounds)*> $crate::array::ArrayViewMut<'_, A, $dim> $body
        impl<$($bounds)*> $crate::array::CowArray<'_, A, $dim> where A: Clone $body
        impl<$($bounds)*> $crate::array::ArcArray<A, $dim> where A: Clone $body
        impl<S: ndarray::DataMut<Elem = A>, $($bounds)*> $crate::array::ArrayBase<S, $dim, A> $body
    };
}

pub(crate) use {on_all, on_all_of, on_both, on_writable, on_writable_of};
