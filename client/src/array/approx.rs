//! Approximate equality, as ndarray has it: `assert_abs_diff_eq!` and its like compare arrays of ours.

use super::kind::source::Source;
use super::{ArrayBase, ArrayRef, Data};
use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use ndarray::{Dimension, Zip};

/// Whether shapes are equal and `f` holds for all pairs of elements.
fn all<A, D: Dimension>(
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<A, D> + ?Sized),
    f: impl Fn(&A, &A) -> bool,
) -> bool {
    left.lens() == right.lens() && Zip::from(left.here()).and(right.here()).all(f)
}

// One implementation for each type on the left, as ndarray has: from it, the type on the right is inferred.
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
    [S: Data<Elem = A>, T: Data<Elem = A>] ArrayBase<S, D, A>, ArrayBase<T, D, A>;
    [] ArrayRef<A, D>, ArrayRef<A, D>;
}
