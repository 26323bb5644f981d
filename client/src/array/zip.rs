//! Several arrays element by element: ndarray's `Zip`, whose views and results are ours.
//!
//! Must not know which arrays.

use super::{Array, ArrayView, ArrayViewMut};
use ndarray::iter::{
    AxisIter, AxisIterMut, AxisWindows, ExactChunks, ExactChunksMut, Indices, Lanes, LanesMut, Windows,
};
use ndarray::{AssignElem, Dimension, FoldWhile, IntoNdProducer, Ix1};

/// What [`Zip`] takes, in place of [`ndarray::NdProducer`]: its items, with our views in place of ndarray's.
pub trait NdProducer: ndarray::NdProducer {
    /// What the functions of a [`Zip`] are given.
    type Given;
    /// An item as it is given.
    fn given(item: <Self as ndarray::NdProducer>::Item) -> Self::Given;
}

macro_rules! plain {
    ($([$($g:tt)*] $producer:ty => $item:ty;)*) => { $(
        impl<$($g)*> NdProducer for $producer {
            type Given = $item;
            #[inline(always)]
            fn given(item: Self::Item) -> $item {
                item
            }
        }
    )* };
}
plain! {
    ['a, A, D: Dimension] ndarray::ArrayView<'a, A, D> => &'a A;
    ['a, A, D: Dimension] ndarray::ArrayViewMut<'a, A, D> => &'a mut A;
    [A, D: Dimension] ndarray::RawArrayView<A, D> => *const A;
    [A, D: Dimension] ndarray::RawArrayViewMut<A, D> => *mut A;
    [D: Dimension + Copy] Indices<D> => D::Pattern;
}

macro_rules! views {
    ($($producer:ident $view:ident $dim:ty;)*) => { $(
        impl<'a, A, D: Dimension> NdProducer for $producer<'a, A, D> {
            type Given = $view<'a, A, $dim>;
            #[inline(always)]
            fn given(item: Self::Item) -> Self::Given {
                $view::local(item)
            }
        }
    )* };
}
views! {
    AxisIter ArrayView D;
    AxisIterMut ArrayViewMut D;
    Lanes ArrayView Ix1;
    LanesMut ArrayViewMut Ix1;
    ExactChunks ArrayView D;
    ExactChunksMut ArrayViewMut D;
    Windows ArrayView D;
    AxisWindows ArrayView D;
}

/// Several arrays of one shape, element by element, in place of [`ndarray::Zip`]. It works in this process; lazy
/// operands are computed.
///
/// ```
/// use tilework::prelude::*;
/// use tilework::Zip;
///
/// let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], Array2::<f64>::ones((2, 2)));
/// let c: Array2<f64> = Zip::from(&a).and(&b).map_collect(|x, y| x - y);
/// let d: Array1<f64> = Zip::from(c.rows()).map_collect(|row| row.sum());
/// assert_eq!(d, array![1.0, 5.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Zip<Parts, D: Dimension>(ndarray::Zip<Parts, D>);

impl<P: NdProducer<Dim = D>, D: Dimension> Zip<(P,), D> {
    /// A zip of one operand.
    #[track_caller]
    pub fn from<IP>(p: IP) -> Self
    where
        IP: IntoNdProducer<Dim = D, Output = P, Item = P::Item>,
    {
        Zip(ndarray::Zip::from(p))
    }
}

impl<P: NdProducer<Dim = D>, D: Dimension + Copy> Zip<(Indices<D>, P), D> {
    /// A zip of the indices of an operand, and the operand.
    #[track_caller]
    pub fn indexed<IP>(p: IP) -> Self
    where
        IP: IntoNdProducer<Dim = D, Output = P, Item = P::Item>,
    {
        Zip(ndarray::Zip::indexed(p))
    }
}

impl<Parts, D: Dimension> Zip<Parts, D> {
    /// The number of elements.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size()
    }
}

macro_rules! zips {
    ($(($($p:ident $x:ident)*))*) => { $(
        impl<D: Dimension, $($p: NdProducer<Dim = D>),*> Zip<($($p,)*), D> {
            /// Calls `function` for each element of all operands.
            pub fn for_each<F: FnMut($($p::Given),*)>(self, mut function: F) {
                self.0.for_each(|$($x),*| function($($p::given($x)),*));
            }

            /// Folds over the elements of all operands.
            pub fn fold<F, Acc>(self, acc: Acc, mut function: F) -> Acc
            where
                F: FnMut(Acc, $($p::Given),*) -> Acc,
            {
                self.0.fold(acc, |acc, $($x),*| function(acc, $($p::given($x)),*))
            }

            /// Folds over the elements of all operands until `function` says that it is done.
            pub fn fold_while<F, Acc>(self, acc: Acc, mut function: F) -> FoldWhile<Acc>
            where
                F: FnMut(Acc, $($p::Given),*) -> FoldWhile<Acc>,
            {
                self.0.fold_while(acc, |acc, $($x),*| function(acc, $($p::given($x)),*))
            }

            /// Whether the predicate holds for all elements; stops at the first for which it does not.
            pub fn all<F: FnMut($($p::Given),*) -> bool>(self, mut predicate: F) -> bool {
                self.0.all(|$($x),*| predicate($($p::given($x)),*))
            }

            /// Whether the predicate holds for any element; stops at the first for which it does.
            pub fn any<F: FnMut($($p::Given),*) -> bool>(self, mut predicate: F) -> bool {
                self.0.any(|$($x),*| predicate($($p::given($x)),*))
            }

            /// Two zips that together have the elements of this one.
            ///
            /// # Panics
            /// At fewer than two elements.
            #[must_use]
            pub fn split(self) -> (Self, Self) {
                let (first, second) = self.0.split();
                (Zip(first), Zip(second))
            }
        }

        impl<D: Dimension, $($p: NdProducer<Dim = D> + Send),*> Zip<($($p,)*), D>
        where
            $($p::Item: Send,)*
        {
            /// [`for_each`](Self::for_each) on the threads of rayon.
            pub fn par_for_each<F>(self, function: F)
            where
                F: Fn($($p::Given),*) + Sync + Send,
            {
                self.0.par_for_each(|$($x),*| function($($p::given($x)),*));
            }
        }
    )* };
}
/// What all but the zips of most operands have.
macro_rules! shorter_zips {
    ($(($($p:ident $x:ident)*))*) => { $(
        impl<D: Dimension, $($p: NdProducer<Dim = D>),*> Zip<($($p,)*), D> {
            /// The zip with one operand more.
            ///
            /// # Panics
            /// If its shape is another one.
            #[track_caller]
            pub fn and<P>(self, p: P) -> Zip<($($p,)* P::Output,), D>
            where
                P: IntoNdProducer<Dim = D>,
            {
                Zip(self.0.and(p))
            }

            /// The zip with one operand more, which is broadcast to the shape of the others.
            ///
            /// # Panics
            /// If it does not broadcast to that shape.
            #[track_caller]
            pub fn and_broadcast<'a, P, D2, Elem>(
                self,
                p: P,
            ) -> Zip<($($p,)* ndarray::ArrayView<'a, Elem, D>,), D>
            where
                P: IntoNdProducer<Dim = D2, Output = ndarray::ArrayView<'a, Elem, D2>, Item = &'a Elem>,
                D2: Dimension,
            {
                Zip(self.0.and_broadcast(p))
            }

            /// An array of what `f` gives for each element.
            #[must_use]
            pub fn map_collect<R>(self, mut f: impl FnMut($($p::Given),*) -> R) -> Array<R, D> {
                Array::local(self.0.map_collect(|$($x),*| f($($p::given($x)),*)))
            }

            /// Writes what `f` gives for each element into `into`.
            ///
            /// # Panics
            /// If the shape of `into` is another one.
            #[track_caller]
            pub fn map_assign_into<R, Q>(self, into: Q, mut f: impl FnMut($($p::Given),*) -> R)
            where
                Q: IntoNdProducer<Dim = D>,
                Q::Item: AssignElem<R>,
            {
                self.0.map_assign_into(into, |$($x),*| f($($p::given($x)),*));
            }
        }

        impl<D: Dimension, $($p: NdProducer<Dim = D> + Send),*> Zip<($($p,)*), D>
        where
            $($p::Item: Send,)*
        {
            /// Folds over parts of the operands on the threads of rayon, and then over what that gives.
            pub fn par_fold<ID, F, R, T>(self, identity: ID, fold: F, reduce: R) -> T
            where
                ID: Fn() -> T + Send + Sync + Clone,
                F: Fn(T, $($p::Given),*) -> T + Send + Sync,
                R: Fn(T, T) -> T + Send + Sync,
                T: Send,
            {
                self.0.par_fold(identity, |acc, $($x),*| fold(acc, $($p::given($x)),*), reduce)
            }

            /// [`map_collect`](Self::map_collect) on the threads of rayon.
            #[must_use]
            pub fn par_map_collect<R: Send>(self, f: impl Fn($($p::Given),*) -> R + Sync + Send) -> Array<R, D> {
                Array::local(self.0.par_map_collect(|$($x),*| f($($p::given($x)),*)))
            }

            /// [`map_assign_into`](Self::map_assign_into) on the threads of rayon.
            ///
            /// # Panics
            /// If the shape of `into` is another one.
            #[track_caller]
            pub fn par_map_assign_into<R, Q>(self, into: Q, f: impl Fn($($p::Given),*) -> R + Sync + Send)
            where
                R: Send,
                Q: IntoNdProducer<Dim = D>,
                Q::Item: AssignElem<R> + Send,
                Q::Output: Send,
            {
                self.0.par_map_assign_into(into, |$($x),*| f($($p::given($x)),*));
            }
        }
    )* };
}
zips! {
    (P1 a) (P1 a P2 b) (P1 a P2 b P3 c) (P1 a P2 b P3 c P4 d) (P1 a P2 b P3 c P4 d P5 e)
    (P1 a P2 b P3 c P4 d P5 e P6 f)
}
shorter_zips! { (P1 a) (P1 a P2 b) (P1 a P2 b P3 c) (P1 a P2 b P3 c P4 d) (P1 a P2 b P3 c P4 d P5 e) }
