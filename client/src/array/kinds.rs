//! How a method is written once for all kinds of arrays and for what they are by reference.
//!
//! Knows syntax. Must not know any method.

/// `on_arrays!({ bounds } { methods })`: inherent methods of arrays, that read them.
macro_rules! on_arrays {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<S: $crate::array::Data<Elem = A>, D: ndarray::Dimension, $($bounds)*>
            $crate::array::ArrayBase<S, D, A> $body
    };
}

/// `on_all!({ bounds } { methods })`: inherent methods of arrays and references to elements, that read them.
macro_rules! on_all {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<S: $crate::array::Data<Elem = A>, D: ndarray::Dimension, $($bounds)*>
            $crate::array::ArrayBase<S, D, A> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayRef<A, D> $body
    };
}

/// As `on_all`, for arrays of one dimension type.
macro_rules! on_all_of {
    ($dim:ty, { $($bounds:tt)* } $body:tt) => {
        impl<S: $crate::array::Data<Elem = A>, $($bounds)*> $crate::array::ArrayBase<S, $dim, A> $body
        impl<$($bounds)*> $crate::array::ArrayRef<A, $dim> $body
    };
}

/// `on_writable!({ bounds } { methods })`: inherent methods of arrays and references to elements, that write them.
macro_rules! on_writable {
    ({ $($bounds:tt)* } $body:tt) => {
        impl<S: $crate::array::DataMut<Elem = A>, D: ndarray::Dimension, $($bounds)*>
            $crate::array::ArrayBase<S, D, A> $body
        impl<D: ndarray::Dimension, $($bounds)*> $crate::array::ArrayRef<A, D> $body
    };
}

/// As `on_writable`, for arrays of one dimension type.
macro_rules! on_writable_of {
    ($dim:ty, { $($bounds:tt)* } $body:tt) => {
        impl<S: $crate::array::DataMut<Elem = A>, $($bounds)*> $crate::array::ArrayBase<S, $dim, A> $body
        impl<$($bounds)*> $crate::array::ArrayRef<A, $dim> $body
    };
}

pub(crate) use {on_all, on_all_of, on_arrays, on_writable, on_writable_of};
