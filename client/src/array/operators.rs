//! Rust's operators on arrays: every kind of ours and ndarray's, owned or borrowed, and single values on either side;
//! assignment; negation.
//!
//! Must not know what an operator computes.

use super::kind::choice::dtype_of;
use super::kind::source::Source;
use super::kinds::on_both;
use super::operand::{Operand, scalar};
use super::{ArcArray, Array, ArrayBase, ArrayView, ArrayViewMut, CowArray, lazily};
use crate::error::Result;
use ndarray::{ArrayRef, Data, DataMut, DataOwned, DimMax, Dimension, Zip};
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul,
    MulAssign, Neg, Not, Rem, RemAssign, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign,
};
use tilework_expr::{BinaryOp, Complex, Element, Expr, UnaryOp};

/// Single values that may stand on the right of an operator whose left side is an array, in place of
/// [`ndarray::ScalarOperand`].
pub trait ScalarOperand: ndarray::ScalarOperand {}

macro_rules! scalar_operands {
    ($($t:ty)*) => { $( impl ScalarOperand for $t {} )* };
}
scalar_operands! { bool i8 u8 i16 u16 i32 u32 i64 u64 i128 u128 isize usize f32 f64 Complex<f32> Complex<f64> }

/// Whether two operands and their result are of one type that travels, and one of them is lazy or large.
#[inline]
fn is_lazy<A, B, C, D: Dimension, E: Dimension>(
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<B, E> + ?Sized),
) -> bool {
    (left.wants_lazy() || right.wants_lazy())
        && dtype_of::<A>().is_some()
        && dtype_of::<A>() == dtype_of::<B>()
        && dtype_of::<A>() == dtype_of::<C>()
}

#[track_caller]
fn lazy<A, B, D: Dimension, E: Dimension>(
    op: BinaryOp,
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<B, E> + ?Sized),
) -> Option<Expr> {
    let build = || Ok(left.leaf()?.binary(op, &right.leaf()?)?);
    lazily::or_ndarray(build())
}

/// Two borrowed operands: a new array.
#[track_caller]
pub(super) fn new<A, B, C, D, E>(
    op: BinaryOp,
    left: &(impl Source<A, D> + ?Sized),
    right: &(impl Source<B, E> + ?Sized),
    f: impl Fn(A, B) -> C,
) -> Array<C, <D as DimMax<E>>::Output>
where
    A: Clone,
    B: Clone,
    D: Dimension + DimMax<E>,
    E: Dimension,
{
    if is_lazy::<A, B, C, D, E>(left, right)
        && let Some(expr) = lazy(op, left, right)
    {
        return Array::of_expr(expr);
    }
    Array::local(each_pair(left.here(), right.here(), f))
}

/// `f` of each pair of elements, broadcasting both to their common shape.
#[track_caller]
fn each_pair<A: Clone, B: Clone, C, D, E>(
    left: &ArrayRef<A, D>,
    right: &ArrayRef<B, E>,
    f: impl Fn(A, B) -> C,
) -> ndarray::Array<C, <D as DimMax<E>>::Output>
where
    D: Dimension + DimMax<E>,
    E: Dimension,
{
    let apply = |x: &A, y: &B| f(x.clone(), y.clone());
    if left.shape() == right.shape() {
        let same = "equal shapes have as many axes as the larger dimension type";
        let left = left.view().into_dimensionality().expect(same);
        let right = right.view().into_dimensionality().expect(same);
        return Zip::from(left).and(right).map_collect(apply);
    }
    let shape: <D as DimMax<E>>::Output = common(left.shape(), right.shape());
    let fits = "both broadcast to their common shape";
    let left = left.broadcast(shape.clone()).expect(fits);
    let right = right.broadcast(shape).expect(fits);
    Zip::from(left).and(right).map_collect(apply)
}

/// The shape that two shapes broadcast to.
#[track_caller]
fn common<D: Dimension>(left: &[usize], right: &[usize]) -> D {
    let n = left.len().max(right.len());
    let at = |s: &[usize], a: usize| (a + s.len()).checked_sub(n).map_or(1, |i| s[i]);
    let lens: Vec<usize> = (0..n)
        .map(|a| match (at(left, a), at(right, a)) {
            (l, r) if l == r || r == 1 => l,
            (1, r) => r,
            _ => panic!("tilework: shapes {left:?} and {right:?} cannot be broadcast together"),
        })
        .collect();
    super::dim_of(&lens)
}

/// An owned left operand, whose memory the result takes where it can.
#[track_caller]
fn into_left<A, B, D, E>(
    op: BinaryOp,
    left: Array<A, D>,
    right: &(impl Source<B, E> + ?Sized),
    f: impl Fn(A, B) -> A,
) -> Array<A, <D as DimMax<E>>::Output>
where
    A: Clone,
    B: Clone,
    D: Dimension + DimMax<E>,
    E: Dimension,
{
    if is_lazy::<A, B, A, D, E>(&left, right)
        && let Some(expr) = lazy(op, &left, right)
    {
        return Array::of_expr(expr);
    }
    let right = right.here();
    if left.shape() != right.shape() {
        return Array::local(each_pair(&**left, right, f));
    }
    let mut out = left.into_ndarray();
    let right = right.broadcast(out.raw_dim()).expect("equal shapes");
    out.zip_mut_with(&right, |x, y| *x = f(x.clone(), y.clone()));
    Array::local(
        out.into_dimensionality().expect("equal shapes have as many axes as the larger dimension type"),
    )
}

/// An owned right operand, whose memory the result takes where it can.
#[track_caller]
fn into_right<A, B, D, E>(
    op: BinaryOp,
    left: &(impl Source<A, D> + ?Sized),
    right: Array<B, E>,
    f: impl Fn(A, B) -> B,
) -> Array<B, <E as DimMax<D>>::Output>
where
    A: Clone,
    B: Clone,
    D: Dimension,
    E: Dimension + DimMax<D>,
{
    if is_lazy::<A, B, B, D, E>(left, &right)
        && let Some(expr) = lazy(op, left, &right)
    {
        return Array::of_expr(expr);
    }
    let left = left.here();
    if right.shape() != left.shape() {
        return Array::local(each_pair(&**right, left, |y, x| f(x, y)));
    }
    let mut out = right.into_ndarray();
    let left = left.broadcast(out.raw_dim()).expect("equal shapes");
    out.zip_mut_with(&left, |y, x| *y = f(x.clone(), y.clone()));
    Array::local(
        out.into_dimensionality().expect("equal shapes have as many axes as the larger dimension type"),
    )
}

/// An array and a value of whatever type.
#[track_caller]
fn with_value<A, B, D: Dimension>(
    op: BinaryOp,
    array: &(impl Source<A, D> + ?Sized),
    value: &B,
    value_first: bool,
) -> Option<Array<A, D>> {
    if !array.wants_lazy() || dtype_of::<A>().is_none() || dtype_of::<A>() != dtype_of::<B>() {
        return None;
    }
    let build = || {
        let (array, value) = (array.leaf()?, scalar(value)?);
        Ok(if value_first { value.binary(op, &array)? } else { array.binary(op, &value)? })
    };
    lazily::or_ndarray(build()).map(Array::of_expr)
}

/// Writes an operator's implementations. Every implementation names its kinds, for one that is general in them would
/// overlap others.
macro_rules! operator {
    ($($op:ident $method:ident, $assign:ident $assign_method:ident, $code:ident;)*) => { $(
        operator!(@left $op $method $code [] Array<A, D>);
        operator!(@left $op $method $code [] ArrayView<'_, A, D>);
        operator!(@left $op $method $code [] ArrayViewMut<'_, A, D>);
        operator!(@left $op $method $code [] CowArray<'_, A, D>);
        operator!(@left $op $method $code [] ArcArray<A, D>);
        operator!(@left $op $method $code [S: Data<Elem = A>,] ArrayBase<S, D, A>);
        operator!(@new $op $method $code [S: Data<Elem = A>, T: Data<Elem = B>] &ArrayBase<S, D, A>, &ndarray::ArrayBase<T, E>);
        operator!(@new $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>, &ArrayRef<B, E>);
        operator!(@new $op $method $code [S: Data<Elem = B>] &Array<A, D>, &ndarray::ArrayBase<S, E>);
        operator!(@new $op $method $code [S: Data<Elem = B>] &ArrayView<'_, A, D>, &ndarray::ArrayBase<S, E>);
        operator!(@theirs $op $method $code [S: Data<Elem = A>,] &ndarray::ArrayBase<S, D>);
        operator!(@theirs $op $method $code [] &ArrayRef<A, D>);
        operator!(@new $op $method $code [] &Array<A, D>, &ArrayRef<B, E>);
        operator!(@new $op $method $code [] &ArrayView<'_, A, D>, &ArrayRef<B, E>);
        operator!(@owned_left $op $method $code [] Array<B, E>);
        operator!(@owned_left $op $method $code [] ArrayView<'_, B, E>);
        operator!(@owned_left $op $method $code [] ArrayViewMut<'_, B, E>);
        operator!(@owned_left $op $method $code [] CowArray<'_, B, E>);
        operator!(@owned_left $op $method $code [] ArcArray<B, E>);
        operator!(@owned_left $op $method $code [S: Data<Elem = B>] ArrayBase<S, E, B>);
        operator!(@owned_left $op $method $code [S: Data<Elem = B>] ndarray::ArrayBase<S, E>);
        operator!(@owned_left_one $op $method $code [] &ArrayRef<B, E>);
        operator!(@owned_right $op $method $code [] &Array<A, D>);
        operator!(@owned_right $op $method $code [] &ArrayView<'_, A, D>);
        operator!(@owned_right $op $method $code [] &ArrayViewMut<'_, A, D>);
        operator!(@owned_right $op $method $code [] &CowArray<'_, A, D>);
        operator!(@owned_right $op $method $code [] &ArcArray<A, D>);
        operator!(@owned_right $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>);
        operator!(@owned_right $op $method $code [S: Data<Elem = A>] &ndarray::ArrayBase<S, D>);
        operator!(@owned_right $op $method $code [] &ArrayRef<A, D>);
        operator!(@shared $op $method $code);
        operator!(@value $op $method $code);
        operator!(@assign [] $op $method $assign $assign_method $code Array<A, D>);
        operator!(@assign [] $op $method $assign $assign_method $code ArrayViewMut<'_, A, D>);
        operator!(@assign [] $op $method $assign $assign_method $code ArcArray<A, D>);
        operator!(@assign [] $op $method $assign $assign_method $code CowArray<'_, A, D>);
        operator!(@assign [S: DataMut<Elem = A>,] $op $method $assign $assign_method $code ArrayBase<S, D, A>);
    )* };
    (@left $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        operator!(@new $op $method $code [$($g)*] &$left, &Array<B, E>);
        operator!(@new $op $method $code [$($g)*] &$left, &ArrayView<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] &$left, &ArrayViewMut<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] &$left, &CowArray<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] &$left, &ArcArray<B, E>);
        operator!(@new $op $method $code [$($g)* T: Data<Elem = B>] &$left, &ArrayBase<T, E, B>);
        impl<A: Clone + $op<B, Output = A>, B: ScalarOperand, D: Dimension, $($g)*> $op<B> for &$left {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self, rhs: B) -> Array<A, D> {
                with_value(BinaryOp::$code, self, &rhs, false)
                    .unwrap_or_else(|| Array::local(self.here().map(|x| x.clone().$method(rhs.clone()))))
            }
        }
    };
    (@theirs $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        operator!(@new $op $method $code [$($g)*] $left, &Array<B, E>);
        operator!(@new $op $method $code [$($g)*] $left, &ArrayView<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] $left, &ArrayViewMut<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] $left, &CowArray<'_, B, E>);
        operator!(@new $op $method $code [$($g)*] $left, &ArcArray<B, E>);
        operator!(@new $op $method $code [$($g)* T: Data<Elem = B>] $left, &ArrayBase<T, E, B>);
    };
    (@new $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty, $right:ty) => {
        impl<A, B, D, E, $($g)*> $op<$right> for $left
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = Array<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                new(BinaryOp::$code, self, rhs, A::$method)
            }
        }
    };
    (@owned_left $op:ident $method:ident $code:ident [$($g:tt)*] $right:ty) => {
        operator!(@owned_left_one $op $method $code [$($g)*] $right);
        operator!(@owned_left_one $op $method $code [$($g)*] &$right);
    };
    (@owned_left_one $op:ident $method:ident $code:ident [$($g:tt)*] $right:ty) => {
        impl<A, B, D, E, $($g)*> $op<$right> for Array<A, D>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = Array<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                into_left(BinaryOp::$code, self, &rhs, A::$method)
            }
        }
        impl<A, B, D, E, $($g)*> $op<$right> for ArcArray<A, D>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = ArcArray<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                new(BinaryOp::$code, &self, &rhs, A::$method).into_shared()
            }
        }
        impl<'c, A, B, D, E, $($g)*> $op<$right> for CowArray<'c, A, D>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = CowArray<'c, A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                into_left(BinaryOp::$code, self.into_owned(), &rhs, A::$method).into()
            }
        }
    };
    (@owned_right $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        impl<A, B, D, E, $($g)*> $op<Array<B, E>> for $left
        where
            A: Clone + $op<B, Output = B>,
            B: Clone,
            D: Dimension,
            E: Dimension + DimMax<D>,
        {
            type Output = Array<B, <E as DimMax<D>>::Output>;
            #[track_caller]
            fn $method(self, rhs: Array<B, E>) -> Self::Output {
                into_right(BinaryOp::$code, self, rhs, A::$method)
            }
        }
        impl<A, B, D, E, $($g)*> $op<ArcArray<B, E>> for $left
        where
            A: Clone + $op<B, Output = B>,
            B: Clone,
            D: Dimension,
            E: Dimension + DimMax<D>,
        {
            type Output = ArcArray<B, <E as DimMax<D>>::Output>;
            #[track_caller]
            fn $method(self, rhs: ArcArray<B, E>) -> Self::Output {
                into_right(BinaryOp::$code, self, rhs.to_owned(), A::$method).into_shared()
            }
        }
    };
    (@shared $op:ident $method:ident $code:ident) => {
        /// ndarray's owned array on the left.
        impl<A, B, D, E, S> $op<&Array<B, E>> for ndarray::ArrayBase<S, D>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
            S: DataOwned<Elem = A> + DataMut,
        {
            type Output = Array<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: &Array<B, E>) -> Self::Output {
                new(BinaryOp::$code, &self, rhs, A::$method)
            }
        }
        impl<A, B, D, E, S> $op<Array<B, E>> for ndarray::ArrayBase<S, D>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            D: Dimension + DimMax<E>,
            E: Dimension,
            S: DataOwned<Elem = A> + DataMut,
        {
            type Output = Array<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: Array<B, E>) -> Self::Output {
                new(BinaryOp::$code, &self, &rhs, A::$method)
            }
        }
    };
    (@value $op:ident $method:ident $code:ident) => {
        impl<A: Clone + $op<B, Output = A>, B: ScalarOperand, D: Dimension> $op<B> for Array<A, D> {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self, rhs: B) -> Array<A, D> {
                with_value(BinaryOp::$code, &self, &rhs, false).unwrap_or_else(|| {
                    let mut out = self.into_ndarray();
                    out.map_inplace(|x| *x = x.clone().$method(rhs.clone()));
                    Array::local(out)
                })
            }
        }
        impl<A: Clone + $op<B, Output = A>, B: ScalarOperand, D: Dimension> $op<B> for ArcArray<A, D> {
            type Output = ArcArray<A, D>;
            #[track_caller]
            fn $method(self, rhs: B) -> ArcArray<A, D> {
                (&self).$method(rhs).into_shared()
            }
        }
        impl<'c, A: Clone + $op<B, Output = A>, B: ScalarOperand, D: Dimension> $op<B> for CowArray<'c, A, D> {
            type Output = CowArray<'c, A, D>;
            #[track_caller]
            fn $method(self, rhs: B) -> Self {
                self.into_owned().$method(rhs).into()
            }
        }
    };
    (@assign [$($g:tt)*] $op:ident $method:ident $assign:ident $assign_method:ident $code:ident $left:ty) => {
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &Array<B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, Array<B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &ArrayView<'_, B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, ArrayView<'_, B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &ArrayViewMut<'_, B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &CowArray<'_, B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &ArcArray<B, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)* T: Data<Elem = B>] $left, &ndarray::ArrayBase<T, E>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)* T: Data<Elem = B>] $left, &ArrayBase<T, E, B>);
        operator!(@assign_array $op $method $assign $assign_method $code [$($g)*] $left, &ArrayRef<B, E>);
        impl<A: Clone + ScalarOperand + $assign<A>, D: Dimension, $($g)*> $assign<A> for $left {
            #[track_caller]
            fn $assign_method(&mut self, rhs: A) {
                self.write_value(BinaryOp::$code, &rhs, |x, y| x.$assign_method(y.clone()));
            }
        }
    };
    (@assign_array $op:ident $method:ident $assign:ident $assign_method:ident $code:ident [$($g:tt)*] $left:ty, $right:ty) => {
        impl<A: Clone + $assign<B>, B: Clone, D: Dimension, E: Dimension, $($g)*> $assign<$right> for $left {
            #[track_caller]
            fn $assign_method(&mut self, rhs: $right) {
                self.write_with(
                    &rhs,
                    |left, right| Ok(left.binary(BinaryOp::$code, &right.broadcast_to(&left.shape())?)?),
                    |left, right| left.zip_mut_with(right, |x, y| x.$assign_method(y.clone())),
                );
            }
        }
    };
}
operator! {
    Add add, AddAssign add_assign, Add;
    Sub sub, SubAssign sub_assign, Sub;
    Mul mul, MulAssign mul_assign, Mul;
    Div div, DivAssign div_assign, Div;
    Rem rem, RemAssign rem_assign, Rem;
    BitAnd bitand, BitAndAssign bitand_assign, And;
    BitOr bitor, BitOrAssign bitor_assign, Or;
    BitXor bitxor, BitXorAssign bitxor_assign, Xor;
    Shl shl, ShlAssign shl_assign, Shl;
    Shr shr, ShrAssign shr_assign, Shr;
}

/// An operator with a value of a concrete type on the left.
macro_rules! value_on_left {
    ($($op:ident $method:ident $code:ident [$($t:ty)*])*) => { $($(
        value_on_left!(@one [] $op $method $code $t, &Array<$t, D>);
        value_on_left!(@one [] $op $method $code $t, &ArrayView<'_, $t, D>);
        value_on_left!(@one [] $op $method $code $t, &ArrayViewMut<'_, $t, D>);
        value_on_left!(@one [] $op $method $code $t, &CowArray<'_, $t, D>);
        value_on_left!(@one [] $op $method $code $t, &ArcArray<$t, D>);
        value_on_left!(@one [S: Data<Elem = $t>] $op $method $code $t, &ArrayBase<S, D, $t>);
        impl<D: Dimension> $op<Array<$t, D>> for $t {
            type Output = Array<$t, D>;
            #[track_caller]
            fn $method(self, rhs: Array<$t, D>) -> Self::Output {
                with_value(BinaryOp::$code, &rhs, &self, true).unwrap_or_else(|| {
                    let mut out = rhs.into_ndarray();
                    out.map_inplace(|y| *y = self.$method(*y));
                    Array::local(out)
                })
            }
        }
        impl<D: Dimension> $op<ArcArray<$t, D>> for $t {
            type Output = ArcArray<$t, D>;
            #[track_caller]
            fn $method(self, rhs: ArcArray<$t, D>) -> Self::Output {
                self.$method(&rhs).into_shared()
            }
        }
    )*)* };
    (@one [$($g:tt)*] $op:ident $method:ident $code:ident $t:ty, $right:ty) => {
        impl<D: Dimension, $($g)*> $op<$right> for $t {
            type Output = Array<$t, D>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                with_value(BinaryOp::$code, rhs, &self, true)
                    .unwrap_or_else(|| Array::local(rhs.here().mapv(|y| self.$method(y))))
            }
        }
    };
}
value_on_left! {
    Add add Add [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize f32 f64 Complex<f32> Complex<f64>]
    Sub sub Sub [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize f32 f64 Complex<f32> Complex<f64>]
    Mul mul Mul [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize f32 f64 Complex<f32> Complex<f64>]
    Div div Div [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize f32 f64 Complex<f32> Complex<f64>]
    Rem rem Rem [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize f32 f64]
    BitAnd bitand And [bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize]
    BitOr bitor Or [bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize]
    BitXor bitxor Xor [bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize]
    Shl shl Shl [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize]
    Shr shr Shr [i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 isize usize]
}

macro_rules! of_one {
    ($($op:ident $method:ident)*) => { $(
        of_one!(@reference [] $op $method &Array<A, D>);
        of_one!(@reference [] $op $method &ArrayView<'_, A, D>);
        of_one!(@reference [] $op $method &ArrayViewMut<'_, A, D>);
        of_one!(@reference [] $op $method &CowArray<'_, A, D>);
        of_one!(@reference [] $op $method &ArcArray<A, D>);
        of_one!(@reference [S: Data<Elem = A>] $op $method &ArrayBase<S, D, A>);
        impl<A: Clone + $op<Output = A>, D: Dimension> $op for Array<A, D> {
            type Output = Self;
            #[track_caller]
            fn $method(self) -> Self {
                if self.wants_lazy() && dtype_of::<A>().is_some() {
                    let build = || Ok(self.leaf()?.unary(UnaryOp::$op)?);
                    if let Some(expr) = lazily::or_ndarray(build()) {
                        return Array::of_expr(expr);
                    }
                }
                Array::local(self.into_ndarray().$method())
            }
        }
        impl<A: Clone + $op<Output = A>, D: Dimension> $op for ArcArray<A, D> {
            type Output = Self;
            fn $method(self) -> Self {
                ArcArray::local(self.into_ndarray().$method())
            }
        }
    )* };
    (@reference [$($g:tt)*] $op:ident $method:ident $array:ty) => {
        impl<A: Clone, D: Dimension, $($g)*> $op for $array
        where
            for<'x> &'x A: $op<Output = A>,
        {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self) -> Self::Output {
                lazily::array(self, |expr| Ok(expr.unary(UnaryOp::$op)?), |a| a.map(|x| x.$method()))
            }
        }
    };
}
of_one! { Neg neg Not not }

/// The operators as methods that return what goes wrong.
macro_rules! fallible {
    ($($name:ident $op:ident $code:ident $sign:literal)*) => { $(
        #[doc = concat!("`self ", $sign, " rhs` for each pair of elements, broadcasting both to their common shape; lazily.")]
        ///
        /// # Errors
        /// Shapes that do not broadcast together.
        pub fn $name<T: Operand<A, D>>(&self, rhs: T) -> Result<Array<A, T::Dim>>
        where
            A: $op<Output = A>,
        {
            self.binary(BinaryOp::$code, rhs)
        }
    )* };
}

on_both!({ A: Element } {
    fallible! {
        try_add Add Add "+" try_sub Sub Sub "-" try_mul Mul Mul "*" try_div Div Div "/" try_rem Rem Rem "%"
        try_bitand BitAnd And "&" try_bitor BitOr Or "|" try_bitxor BitXor Xor "^" try_shl Shl Shl "<<" try_shr Shr Shr ">>"
    }
});
