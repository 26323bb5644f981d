//! Approximate equality, as ndarray has it: `assert_abs_diff_eq!` and its like compare arrays of ours.

use super::kind::source::Source;
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, CowArray};
use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use ndarray::{Data, Dimension, Zip};

/// Whether shapes are equal and `f` holds for all pairs of elements.
fn all<A, D: Dimension>(
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<A, D> + ?Sized),
    f: impl Fn(&A, &A) -> bool,
) -> bool {
    left.lens() == right.lens() && Zip::from(left.here()).and(right.here()).all(f)
}

macro_rules! approximately {
    ($([$($g:tt)*] $left:ty, $right:ty;)*) => { $(
        impl<A: AbsDiffEq<Epsilon: Clone>, D: Dimension, $($g)*> AbsDiffEq<$right> for $left {
            type Epsilon = A::Epsilon;
            fn default_epsilon() -> A::Epsilon {
                A::default_epsilon()
            }
            fn abs_diff_eq(&self, other: &$right, epsilon: A::Epsilon) -> bool {
                all(self, other, |a, b| A::abs_diff_eq(a, b, epsilon.clone()))
            }
        }

        impl<A: RelativeEq<Epsilon: Clone>, D: Dimension, $($g)*> RelativeEq<$right> for $left {
            fn default_max_relative() -> A::Epsilon {
                A::default_max_relative()
            }
            fn relative_eq(&self, other: &$right, epsilon: A::Epsilon, max_relative: A::Epsilon) -> bool {
                all(self, other, |a, b| A::relative_eq(a, b, epsilon.clone(), max_relative.clone()))
            }
        }

        impl<A: UlpsEq<Epsilon: Clone>, D: Dimension, $($g)*> UlpsEq<$right> for $left {
            fn default_max_ulps() -> u32 {
                A::default_max_ulps()
            }
            fn ulps_eq(&self, other: &$right, epsilon: A::Epsilon, max_ulps: u32) -> bool {
                all(self, other, |a, b| A::ulps_eq(a, b, epsilon.clone(), max_ulps))
            }
        }
    )* };
}
approximately! {
    [] Array<A, D>, Array<A, D>;
    [] Array<A, D>, ArrayView<'_, A, D>;
    [] Array<A, D>, ArrayViewMut<'_, A, D>;
    [] Array<A, D>, CowArray<'_, A, D>;
    [] Array<A, D>, ArcArray<A, D>;
    [] ArrayView<'_, A, D>, Array<A, D>;
    [] ArrayView<'_, A, D>, ArrayView<'_, A, D>;
    [] ArrayView<'_, A, D>, ArrayViewMut<'_, A, D>;
    [] ArrayView<'_, A, D>, CowArray<'_, A, D>;
    [] ArrayView<'_, A, D>, ArcArray<A, D>;
    [] ArrayViewMut<'_, A, D>, Array<A, D>;
    [] ArrayViewMut<'_, A, D>, ArrayView<'_, A, D>;
    [] ArrayViewMut<'_, A, D>, ArrayViewMut<'_, A, D>;
    [] ArrayViewMut<'_, A, D>, CowArray<'_, A, D>;
    [] ArrayViewMut<'_, A, D>, ArcArray<A, D>;
    [] CowArray<'_, A, D>, Array<A, D>;
    [] CowArray<'_, A, D>, ArrayView<'_, A, D>;
    [] CowArray<'_, A, D>, ArrayViewMut<'_, A, D>;
    [] CowArray<'_, A, D>, CowArray<'_, A, D>;
    [] CowArray<'_, A, D>, ArcArray<A, D>;
    [] ArcArray<A, D>, Array<A, D>;
    [] ArcArray<A, D>, ArrayView<'_, A, D>;
    [] ArcArray<A, D>, ArrayViewMut<'_, A, D>;
    [] ArcArray<A, D>, CowArray<'_, A, D>;
    [] ArcArray<A, D>, ArcArray<A, D>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, Array<A, D>;
    [S: Data<Elem = A>] Array<A, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, ArrayView<'_, A, D>;
    [S: Data<Elem = A>] ArrayView<'_, A, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, ArrayViewMut<'_, A, D>;
    [S: Data<Elem = A>] ArrayViewMut<'_, A, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, CowArray<'_, A, D>;
    [S: Data<Elem = A>] CowArray<'_, A, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>] ArrayBase<S, D, A>, ArcArray<A, D>;
    [S: Data<Elem = A>] ArcArray<A, D>, ArrayBase<S, D, A>;
    [S: Data<Elem = A>, T: Data<Elem = A>] ArrayBase<S, D, A>, ArrayBase<T, D, A>;
}
