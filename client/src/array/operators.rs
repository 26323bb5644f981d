//! Rust's operators on arrays: ours and ndarray's, owned or borrowed, and single values on either side; assignment;
//! negation.
//!
//! Must not know what an operator computes.

use super::kind::choice::{dtype_of, same};
use super::kind::source::{Source, is_lazy as is_lazy_source};
use super::kinds::on_arrays;
use super::maths::Real;
use super::operand::{Operand, scalar};
use super::write::here;
use super::{Array, ArrayBase, ArrayRef, Data, DataMut, DataOwned, lazily};
use crate::error::Result;
use ndarray::{DimMax, Dimension, Zip};
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul,
    MulAssign, Neg, Not, Rem, RemAssign, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign,
};
use tilework_expr::{BinaryOp, Complex, DType, Element, Expr, UnaryOp};

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

/// An operator on two elements as expressions compute it: as Rust's, but for quotients of complex numbers, which
/// overflow and vanish on the way in that of num-complex.
#[inline]
fn exact<A, B, C>(op: BinaryOp, f: impl Fn(A, B) -> C) -> impl Fn(A, B) -> C {
    let division = division::<A, B, C>(op);
    move |a, b| match division {
        Some(divide) => divide(&a, &b),
        None => f(a, b),
    }
}

/// [`exact`], in the place of the first element.
#[inline]
fn exact_assign<A, B>(op: BinaryOp, f: impl Fn(&mut A, &B)) -> impl Fn(&mut A, &B) {
    let division = division::<A, B, A>(op);
    move |a, b| match division {
        Some(divide) => *a = divide(a, b),
        None => f(a, b),
    }
}

/// How two complex numbers are divided, if that is what is to be done.
#[inline]
fn division<A, B, C>(op: BinaryOp) -> Option<fn(&A, &B) -> C> {
    let dtype = dtype_of::<A>().filter(|d| d.is_complex() && op == BinaryOp::Div)?;
    if dtype_of::<B>() != Some(dtype) || dtype_of::<C>() != Some(dtype) {
        return None;
    }
    Some(if dtype == DType::C64 { quotient::<A, B, C, f64> } else { quotient::<A, B, C, f32> })
}

/// The quotient of two complex numbers whose types are `Complex<T>` by another name.
fn quotient<A, B, C, T: Real>(a: &A, b: &B) -> C
where
    Complex<T>: Element,
{
    let complex = "`division` has found a complex type";
    let (a, b) = (same::<A, Complex<T>>(a).expect(complex), same::<B, Complex<T>>(b).expect(complex));
    let q = T::divided(a, b);
    // SAFETY: `division` has found that `C` is that type too.
    unsafe { std::mem::transmute_copy::<Complex<T>, C>(&q) }
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
    Array::local(each_pair(left.here(), right.here(), exact(op, f)))
}

/// `f` of each pair of elements, broadcasting both to their common shape.
#[track_caller]
fn each_pair<A: Clone, B: Clone, C, D, E>(
    left: &ndarray::ArrayRef<A, D>,
    right: &ndarray::ArrayRef<B, E>,
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
fn into_left<A, B, S, D, E>(
    op: BinaryOp,
    mut left: ArrayBase<S, D, A>,
    right: &(impl Source<B, E> + ?Sized),
    f: impl Fn(A, B) -> A,
) -> ArrayBase<S, <D as DimMax<E>>::Output, A>
where
    A: Clone,
    B: Clone,
    S: DataOwned<Elem = A> + DataMut,
    D: Dimension + DimMax<E>,
    E: Dimension,
{
    if is_lazy::<A, B, A, D, E>(&left, right)
        && let Some(expr) = lazy(op, &left, right)
    {
        return S::of_owned(Array::of_expr(expr));
    }
    let (right, f) = (right.here(), exact(op, f));
    let Some(wide) = right.broadcast(left.raw_dim()) else {
        return S::of_owned(Array::local(each_pair(left.here(), right, f)));
    };
    here(&mut left).zip_mut_with(&wide, |x, y| *x = f(x.clone(), y.clone()));
    left.into_dimensionality().expect("an array that another broadcasts to has as many axes as the result")
}

/// An owned right operand, whose memory the result takes where it can.
#[track_caller]
fn into_right<A, B, S, D, E>(
    op: BinaryOp,
    left: &(impl Source<A, D> + ?Sized),
    mut right: ArrayBase<S, E, B>,
    f: impl Fn(A, B) -> B,
) -> ArrayBase<S, <E as DimMax<D>>::Output, B>
where
    A: Clone,
    B: Clone,
    S: DataOwned<Elem = B> + DataMut,
    D: Dimension,
    E: Dimension + DimMax<D>,
{
    if is_lazy::<A, B, B, D, E>(left, &right)
        && let Some(expr) = lazy(op, left, &right)
    {
        return S::of_owned(Array::of_expr(expr));
    }
    let (left, f) = (left.here(), exact(op, f));
    let Some(wide) = left.broadcast(right.raw_dim()) else {
        return S::of_owned(Array::local(each_pair(right.here(), left, |y, x| f(x, y))));
    };
    here(&mut right).zip_mut_with(&wide, |y, x| *y = f(x.clone(), y.clone()));
    right.into_dimensionality().expect("an array that another broadcasts to has as many axes as the result")
}

/// An owned array and a value, in the array's memory where it has any.
#[track_caller]
fn into_with_value<A, B, S, D>(
    op: BinaryOp,
    mut array: ArrayBase<S, D, A>,
    value: &B,
    value_first: bool,
    mut f: impl FnMut(A) -> A,
) -> ArrayBase<S, D, A>
where
    A: Clone,
    S: DataOwned<Elem = A> + DataMut,
    D: Dimension,
{
    if let Some(result) = with_value(op, &array, value, value_first) {
        return S::of_owned(result);
    }
    here(&mut array).map_inplace(|x| *x = f(x.clone()));
    array
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

/// Writes an operator's implementations: those of ndarray's for our arrays, and between ours and ndarray's.
macro_rules! operator {
    ($($op:ident $method:ident, $assign:ident $assign_method:ident, $code:ident;)*) => { $(
        operator!(@new $op $method $code [S: Data<Elem = A>, T: Data<Elem = B>] &ArrayBase<S, D, A>, &ArrayBase<T, E, B>);
        operator!(@new $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>, &ArrayRef<B, E>);
        operator!(@new $op $method $code [T: Data<Elem = B>] &ArrayRef<A, D>, &ArrayBase<T, E, B>);
        operator!(@new $op $method $code [] &ArrayRef<A, D>, &ArrayRef<B, E>);
        operator!(@new $op $method $code [S: Data<Elem = A>, T: ndarray::Data<Elem = B>] &ArrayBase<S, D, A>, &ndarray::ArrayBase<T, E>);
        operator!(@new $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>, &ndarray::ArrayRef<B, E>);
        operator!(@new $op $method $code [S: ndarray::Data<Elem = A>, T: Data<Elem = B>] &ndarray::ArrayBase<S, D>, &ArrayBase<T, E, B>);
        operator!(@new $op $method $code [T: Data<Elem = B>] &ndarray::ArrayRef<A, D>, &ArrayBase<T, E, B>);
        operator!(@new $op $method $code [S: ndarray::DataOwned<Elem = A> + ndarray::DataMut, T: Data<Elem = B>] ndarray::ArrayBase<S, D>, &ArrayBase<T, E, B>);
        operator!(@new $op $method $code [S: ndarray::DataOwned<Elem = A> + ndarray::DataMut, T: Data<Elem = B>] ndarray::ArrayBase<S, D>, ArrayBase<T, E, B>);
        operator!(@owned_left $op $method $code [T: Data<Elem = B>] ArrayBase<T, E, B>);
        operator!(@owned_left $op $method $code [T: Data<Elem = B>] &ArrayBase<T, E, B>);
        operator!(@owned_left $op $method $code [] &ArrayRef<B, E>);
        operator!(@owned_left $op $method $code [T: ndarray::Data<Elem = B>] ndarray::ArrayBase<T, E>);
        operator!(@owned_left $op $method $code [T: ndarray::Data<Elem = B>] &ndarray::ArrayBase<T, E>);
        operator!(@owned_left $op $method $code [] &ndarray::ArrayRef<B, E>);
        operator!(@owned_right $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>);
        operator!(@owned_right $op $method $code [] &ArrayRef<A, D>);
        operator!(@owned_right $op $method $code [S: ndarray::Data<Elem = A>] &ndarray::ArrayBase<S, D>);
        operator!(@owned_right $op $method $code [] &ndarray::ArrayRef<A, D>);
        operator!(@value $op $method $code [S: Data<Elem = A>] &ArrayBase<S, D, A>);
        operator!(@value $op $method $code [] &ArrayRef<A, D>);
        impl<A, B, S, D> $op<B> for ArrayBase<S, D, A>
        where
            A: Clone + $op<B, Output = A>,
            B: ScalarOperand,
            S: DataOwned<Elem = A> + DataMut,
            D: Dimension,
        {
            type Output = Self;
            #[track_caller]
            fn $method(self, rhs: B) -> Self {
                let f = exact(BinaryOp::$code, <A as $op<B>>::$method);
                into_with_value(BinaryOp::$code, self, &rhs, false, |x| f(x, rhs.clone()))
            }
        }
        operator!(@assign $assign $assign_method $code [S: DataMut<Elem = A>,] ArrayBase<S, D, A>);
        operator!(@assign $assign $assign_method $code [] ArrayRef<A, D>);
    )* };
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
                new(BinaryOp::$code, &self, &rhs, A::$method)
            }
        }
    };
    (@owned_left $op:ident $method:ident $code:ident [$($g:tt)*] $right:ty) => {
        impl<A, B, S, D, E, $($g)*> $op<$right> for ArrayBase<S, D, A>
        where
            A: Clone + $op<B, Output = A>,
            B: Clone,
            S: DataOwned<Elem = A> + DataMut,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = ArrayBase<S, <D as DimMax<E>>::Output, A>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                into_left(BinaryOp::$code, self, &rhs, A::$method)
            }
        }
    };
    (@owned_right $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        impl<A, B, D, E, T, $($g)*> $op<ArrayBase<T, E, B>> for $left
        where
            A: Clone + $op<B, Output = B>,
            B: Clone,
            T: DataOwned<Elem = B> + DataMut,
            D: Dimension,
            E: Dimension + DimMax<D>,
        {
            type Output = ArrayBase<T, <E as DimMax<D>>::Output, B>;
            #[track_caller]
            fn $method(self, rhs: ArrayBase<T, E, B>) -> Self::Output {
                into_right(BinaryOp::$code, self, rhs, A::$method)
            }
        }
    };
    (@value $op:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        impl<A: Clone + $op<B, Output = A>, B: ScalarOperand, D: Dimension, $($g)*> $op<B> for $left {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self, rhs: B) -> Array<A, D> {
                let f = exact(BinaryOp::$code, <A as $op<B>>::$method);
                with_value(BinaryOp::$code, self, &rhs, false)
                    .unwrap_or_else(|| Array::local(self.here().map(|x| f(x.clone(), rhs.clone()))))
            }
        }
    };
    (@assign $assign:ident $method:ident $code:ident [$($g:tt)*] $left:ty) => {
        operator!(@assign_array $assign $method $code [$($g)* T: Data<Elem = B>] $left, &ArrayBase<T, E, B>);
        operator!(@assign_array $assign $method $code [$($g)* T: Data<Elem = B>] $left, ArrayBase<T, E, B>);
        operator!(@assign_array $assign $method $code [$($g)*] $left, &ArrayRef<B, E>);
        operator!(@assign_array $assign $method $code [$($g)* T: ndarray::Data<Elem = B>] $left, &ndarray::ArrayBase<T, E>);
        operator!(@assign_array $assign $method $code [$($g)*] $left, &ndarray::ArrayRef<B, E>);
        impl<A: ScalarOperand + $assign<A>, D: Dimension, $($g)*> $assign<A> for $left {
            #[track_caller]
            fn $method(&mut self, rhs: A) {
                let f = exact_assign(BinaryOp::$code, |x: &mut A, y: &A| x.$method(y.clone()));
                self.write_value(BinaryOp::$code, &rhs, f);
            }
        }
    };
    (@assign_array $assign:ident $method:ident $code:ident [$($g:tt)*] $left:ty, $right:ty) => {
        impl<A, B, D, E, $($g)*> $assign<$right> for $left
        where
            A: Clone + $assign<B>,
            B: Clone,
            D: Dimension,
            E: Dimension,
        {
            #[track_caller]
            fn $method(&mut self, rhs: $right) {
                let f = exact_assign(BinaryOp::$code, |x: &mut A, y: &B| x.$method(y.clone()));
                self.write_with(
                    &rhs,
                    |left, right| Ok(left.binary(BinaryOp::$code, &right.broadcast_to(&left.shape())?)?),
                    |left, right| left.zip_mut_with(right, f),
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
        value_on_left!(@one [S: Data<Elem = $t>] $op $method $code $t, &ArrayBase<S, D, $t>);
        value_on_left!(@one [] $op $method $code $t, &ArrayRef<$t, D>);
        impl<S: DataOwned<Elem = $t> + DataMut, D: Dimension> $op<ArrayBase<S, D, $t>> for $t {
            type Output = ArrayBase<S, D, $t>;
            #[track_caller]
            fn $method(self, rhs: ArrayBase<S, D, $t>) -> Self::Output {
                let f = exact(BinaryOp::$code, <$t as $op<$t>>::$method);
                into_with_value(BinaryOp::$code, rhs, &self, true, |y| f(self, y))
            }
        }
    )*)* };
    (@one [$($g:tt)*] $op:ident $method:ident $code:ident $t:ty, $right:ty) => {
        impl<D: Dimension, $($g)*> $op<$right> for $t {
            type Output = Array<$t, D>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                let f = exact(BinaryOp::$code, <$t as $op<$t>>::$method);
                with_value(BinaryOp::$code, rhs, &self, true)
                    .unwrap_or_else(|| Array::local(rhs.here().mapv(|y| f(self, y))))
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
        of_one!(@reference [S: Data<Elem = A>] $op $method ArrayBase<S, D, A>);
        of_one!(@reference [] $op $method ArrayRef<A, D>);
        impl<A, S, D> $op for ArrayBase<S, D, A>
        where
            A: Clone + $op<Output = A>,
            S: DataOwned<Elem = A> + DataMut,
            D: Dimension,
        {
            type Output = Self;
            #[track_caller]
            fn $method(mut self) -> Self {
                if self.wants_lazy() && dtype_of::<A>().is_some() {
                    let build = || Ok(self.leaf()?.unary(UnaryOp::$op)?);
                    if let Some(expr) = lazily::or_ndarray(build()) {
                        return S::of_owned(Array::of_expr(expr));
                    }
                }
                here(&mut self).map_inplace(|x| *x = x.clone().$method());
                self
            }
        }
    )* };
    (@reference [$($g:tt)*] $op:ident $method:ident $array:ty) => {
        impl<'a, A, D: Dimension, $($g)*> $op for &'a $array
        where
            &'a A: 'a + $op<Output = A>,
        {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self) -> Self::Output {
                if is_lazy_source(self)
                    && let Some(expr) = lazily::or_ndarray(self.leaf().and_then(|e| Ok(e.unary(UnaryOp::$op)?)))
                {
                    return Array::of_expr(expr);
                }
                Array::local(self.here().map(|x| x.$method()))
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

on_arrays!({ A: Element } {
    fallible! {
        try_add Add Add "+" try_sub Sub Sub "-" try_mul Mul Mul "*" try_div Div Div "/" try_rem Rem Rem "%"
        try_bitand BitAnd And "&" try_bitor BitOr Or "|" try_bitxor BitXor Xor "^" try_shl Shl Shl "<<" try_shr Shr Shr ">>"
    }
});
