//! Coordinates of a grid from those of its axes.
//!
//! Must not know chunks: the results are views of arrays in this process.

use super::iterate::IntoOurs;
use super::kind::source::Source;
use super::{ArrayBase, ArrayRef, Data};
use ndarray::{Ix1, MeshIndex};

/// Two to six arrays of one dimension that [`meshgrid`] takes, as references in a tuple.
pub trait Meshgrid {
    /// As many views, each with as many dimensions as there are arrays.
    type Output;
    #[doc(hidden)]
    fn meshgrid(self, indexing: MeshIndex) -> Self::Output;
}

macro_rules! grids {
    ($(($($life:lifetime $s:ident $i:tt)*) $view:ident)*) => { $(
        impl<$($life,)* A: $($life +)*, $($s: Data<Elem = A>),*> Meshgrid for ($(&$life ArrayBase<$s, Ix1, A>,)*) {
            type Output = ($(super::$view<$life, A>,)*);
            #[track_caller]
            fn meshgrid(self, indexing: MeshIndex) -> Self::Output {
                ndarray::meshgrid(($(self.$i.here(),)*), indexing).into_ours()
            }
        }

        impl<$($life,)* A: $($life +)*> Meshgrid for ($(&$life ArrayRef<A, Ix1>,)*) {
            type Output = ($(super::$view<$life, A>,)*);
            fn meshgrid(self, indexing: MeshIndex) -> Self::Output {
                ndarray::meshgrid(($(self.$i.here(),)*), indexing).into_ours()
            }
        }
    )* };
}
grids! {
    ('a S0 0 'b S1 1) ArrayView2
    ('a S0 0 'b S1 1 'c S2 2) ArrayView3
    ('a S0 0 'b S1 1 'c S2 2 'd S3 3) ArrayView4
    ('a S0 0 'b S1 1 'c S2 2 'd S3 3 'e S4 4) ArrayView5
    ('a S0 0 'b S1 1 'c S2 2 'd S3 3 'e S4 4 'f S5 5) ArrayView6
}

/// The coordinates of all points of a grid, one array for each axis, from the coordinates along the axes.
///
/// ```
/// use tilework::{MeshIndex, array, meshgrid};
///
/// let (down, across) = (array![1, 2], array![3, 4, 5]);
/// let (x, y) = meshgrid((&down, &across), MeshIndex::IJ);
/// assert_eq!(x, array![[1, 1, 1], [2, 2, 2]]);
/// assert_eq!(y, array![[3, 4, 5], [3, 4, 5]]);
/// ```
#[must_use]
#[track_caller]
pub fn meshgrid<T: Meshgrid>(arrays: T, indexing: MeshIndex) -> T::Output {
    arrays.meshgrid(indexing)
}
