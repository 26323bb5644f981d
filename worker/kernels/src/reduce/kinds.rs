//! The folds that keep an element: extremes and their positions, any and all; and what all folds share: operations,
//! and the order in which a row is folded.
//!
//! Owns what a fold means element by element. Must not know chunks or threads.

use super::fold::{Finish, FoldOf, LANES};
use std::marker::PhantomData;
use tilework_expr::Complex;

/// An operation that folds elements into one of their own type.
pub(crate) trait Operation<T> {
    /// The value of no elements.
    const IDENTITY: T;
    /// The value of both.
    fn of(a: T, b: T) -> T;
}

/// Addition; integers wrap.
pub(crate) struct Sum;
/// Multiplication; integers wrap.
pub(crate) struct Product;
/// The lesser; NaN before all.
pub(crate) struct Least;
/// The greater; NaN before all.
pub(crate) struct Greatest;
/// Whether any is true.
pub(crate) struct AnyOf;
/// Whether all are true.
pub(crate) struct AllOf;

macro_rules! operation {
    ($op:ident, $t:ty, $identity:expr, |$a:ident, $b:ident| $e:expr) => {
        impl Operation<$t> for $op {
            const IDENTITY: $t = $identity;
            #[inline(always)]
            fn of($a: $t, $b: $t) -> $t {
                $e
            }
        }
    };
}
macro_rules! int_operations { ($($t:ident)*) => { $(
    operation!(Sum, $t, 0, |a, b| a.wrapping_add(b));
    operation!(Product, $t, 1, |a, b| a.wrapping_mul(b));
    operation!(Least, $t, $t::MAX, |a, b| if b < a { b } else { a });
    operation!(Greatest, $t, $t::MIN, |a, b| if b > a { b } else { a });
)* }; }
int_operations!(i8 i16 i32 i64 u8 u16 u32 u64);
macro_rules! float_operations { ($($t:ident)*) => { $(
    operation!(Sum, $t, 0.0, |a, b| a + b);
    operation!(Product, $t, 1.0, |a, b| a * b);
    operation!(Least, $t, $t::INFINITY, |a, b| if b < a || (b.is_nan() && !a.is_nan()) { b } else { a });
    operation!(Greatest, $t, $t::NEG_INFINITY, |a, b| if b > a || (b.is_nan() && !a.is_nan()) { b } else { a });
    operation!(Sum, Complex<$t>, Complex { re: 0.0, im: 0.0 }, |a, b| a + b);
    operation!(Product, Complex<$t>, Complex { re: 1.0, im: 0.0 }, |a, b| a * b);
)* }; }
float_operations!(f32 f64);
operation!(Least, bool, true, |a, b| a & b);
operation!(Greatest, bool, false, |a, b| a | b);
operation!(AnyOf, bool, false, |a, b| a | b);
operation!(AllOf, bool, true, |a, b| a & b);

/// Folds a row in [`LANES`] interleaved parts and then those by halves; short rows from first to last.
#[inline(always)]
pub(crate) fn fold_row<T: Copy, S: Copy>(
    row: &[T],
    start: S,
    with: impl Fn(S, T) -> S,
    join: impl Fn(S, S) -> S,
) -> S {
    if row.len() < LANES {
        return row.iter().fold(start, |s, &x| with(s, x));
    }
    let mut lanes = [start; LANES];
    let (groups, rest) = row.as_chunks::<LANES>();
    for group in groups {
        for l in 0..LANES {
            lanes[l] = with(lanes[l], group[l]);
        }
    }
    for (l, &x) in lanes.iter_mut().zip(rest) {
        *l = with(*l, x);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] = join(lanes[l], lanes[l + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// A fold whose state is a value of the elements' type.
pub(crate) struct Monoid<O>(PhantomData<O>);

impl<T: Copy, O: Operation<T>> FoldOf<T> for Monoid<O> {
    type State = T;
    #[inline(always)]
    fn identity() -> T {
        O::IDENTITY
    }
    #[inline(always)]
    fn row(row: &[T]) -> T {
        fold_row(row, O::IDENTITY, O::of, O::of)
    }
    #[inline(always)]
    fn with(state: T, x: T, _: u64) -> T {
        O::of(state, x)
    }
    #[inline(always)]
    fn merge(x: T, y: T, _: u64, _: u64) -> T {
        O::of(x, y)
    }
}

/// A fold whose result is its state.
pub(crate) struct Keep<F>(PhantomData<F>);

impl<T: Copy, O: Operation<T>> FoldOf<T> for Keep<Monoid<O>> {
    type State = T;
    #[inline(always)]
    fn identity() -> T {
        Monoid::<O>::identity()
    }
    #[inline(always)]
    fn row(row: &[T]) -> T {
        Monoid::<O>::row(row)
    }
    #[inline(always)]
    fn with(state: T, x: T, position: u64) -> T {
        Monoid::<O>::with(state, x, position)
    }
    #[inline(always)]
    fn merge(x: T, y: T, a: u64, b: u64) -> T {
        Monoid::<O>::merge(x, y, a, b)
    }
}

/// Whether the fold of no elements is an error: extremes have no neutral value that is an element.
trait Neutral {
    const HAS: bool;
}
macro_rules! neutral { ($($o:ident $has:literal)*) => { $(impl Neutral for $o { const HAS: bool = $has; })* }; }
neutral!(AnyOf true AllOf true Least false Greatest false);

#[allow(private_bounds, reason = "the trait is this file's own bookkeeping")]
impl<T: Copy, O: Operation<T> + Neutral> Finish<T> for Keep<Monoid<O>> {
    type Out = T;
    fn finish(state: T, n: u64, _: f64) -> Option<T> {
        (n > 0 || O::HAS).then_some(state)
    }
}

/// A position; the greatest `u64` stands for none.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
#[repr(transparent)]
pub(crate) struct Position(u64);

impl Position {
    const NONE: Position = Position(u64::MAX);
    pub(crate) fn shift(&mut self, by: u64) {
        if *self != Position::NONE {
            self.0 += by;
        }
    }
}

/// The first extreme element and its position.
pub(crate) struct ArgFold<O>(PhantomData<O>);

/// Whether the fold of `a` and `b` is `b` and not `a`.
#[inline(always)]
fn beats<T: Copy + PartialEq, O: Operation<T>>(b: T, a: T) -> bool {
    #[allow(clippy::eq_op, reason = "NaN differs from itself")]
    let (a_nan, b_nan) = (a != a, b != b);
    !a_nan && (b_nan || (a != b && O::of(a, b) == b))
}

impl<T: Copy + PartialEq, O: Operation<T>> FoldOf<T> for ArgFold<O> {
    type State = (T, Position);
    #[inline(always)]
    fn identity() -> Self::State {
        (O::IDENTITY, Position::NONE)
    }
    #[inline(always)]
    fn row(row: &[T]) -> Self::State {
        let best = fold_row(row, O::IDENTITY, O::of, O::of);
        #[allow(clippy::eq_op, reason = "NaN differs from itself")]
        let found =
            if best != best { row.iter().position(|x| x != x) } else { row.iter().position(|x| *x == best) };
        found.map_or_else(Self::identity, |i| (row[i], Position(i as u64)))
    }
    #[inline(always)]
    fn with(state: Self::State, x: T, position: u64) -> Self::State {
        let new = state.1 == Position::NONE || beats::<T, O>(x, state.0);
        (if new { x } else { state.0 }, if new { Position(position) } else { state.1 })
    }
    #[inline(always)]
    fn merge(x: Self::State, y: Self::State, _: u64, _: u64) -> Self::State {
        let later = x.1 == Position::NONE || beats::<T, O>(y.0, x.0);
        let tied = !beats::<T, O>(x.0, y.0) && y.1 < x.1;
        if y.1 != Position::NONE && (later || tied) { y } else { x }
    }
}

impl<T: Copy + PartialEq, O: Operation<T>> Finish<T> for ArgFold<O> {
    type Out = u64;
    fn finish(state: Self::State, n: u64, _: f64) -> Option<u64> {
        (n > 0).then_some(state.1.0)
    }
}
