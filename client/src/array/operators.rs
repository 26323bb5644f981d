//! Rust's operators on arrays: owned and borrowed arrays and single values on either side, assignment,
//! negation.
//!
//! Must not know what an operator computes.

use super::operand::Operand;
use super::{Array, scalar};
use crate::error::{Result, or_panic};
use ndarray::{DimMax, Dimension};
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul,
    MulAssign, Neg, Not, Rem, RemAssign, Shl, ShlAssign, Shr, ShrAssign, Sub, SubAssign,
};
use tilework_expr::{BinaryOp, Complex, Element, UnaryOp};

/// An operator between arrays, with a value on the right, and its assigning form.
macro_rules! operator {
    ($op:ident $method:ident, $assign:ident $assign_method:ident, $code:ident) => {
        operator!(@arrays $op $method $code [Array<A, D>] [Array<A, E>]);
        operator!(@arrays $op $method $code [Array<A, D>] [&Array<A, E>]);
        operator!(@arrays $op $method $code [&Array<A, D>] [Array<A, E>]);
        operator!(@arrays $op $method $code [&Array<A, D>] [&Array<A, E>]);
        operator!(@value $op $method $code [Array<A, D>]);
        operator!(@value $op $method $code [&Array<A, D>]);
        operator!(@assign $op $code $assign $assign_method [E] [Array<A, E>] |b| Ok(b.expr));
        operator!(@assign $op $code $assign $assign_method [E] [&Array<A, E>] |b| Ok(b.expr.clone()));
        operator!(@assign $op $code $assign $assign_method [] [A] |b| scalar(b));
    };
    (@arrays $op:ident $method:ident $code:ident [$left:ty] [$right:ty]) => {
        impl<A, D, E> $op<$right> for $left
        where
            A: Element + $op<Output = A>,
            D: Dimension + DimMax<E>,
            E: Dimension,
        {
            type Output = Array<A, <D as DimMax<E>>::Output>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                or_panic(self.binary(BinaryOp::$code, rhs))
            }
        }
    };
    (@value $op:ident $method:ident $code:ident [$left:ty]) => {
        impl<A: Element + $op<Output = A>, D: Dimension> $op<A> for $left {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self, rhs: A) -> Self::Output {
                or_panic(self.binary(BinaryOp::$code, rhs))
            }
        }
    };
    (@assign $op:ident $code:ident $assign:ident $method:ident [$($e:ident)?] [$right:ty] |$b:ident| $expr:expr) => {
        impl<A: Element + $op<Output = A>, D: Dimension $(, $e: Dimension)?> $assign<$right> for Array<A, D> {
            #[track_caller]
            fn $method(&mut self, $b: $right) {
                *self = or_panic($expr.and_then(|rhs| self.assigned(BinaryOp::$code, &rhs)));
            }
        }
    };
}

/// An operator with a value of a concrete type on the left.
macro_rules! value_on_left {
    ($($op:ident $method:ident $code:ident [$($t:ty)*])*) => { $($(
        value_on_left!(@one $op $method $code $t, Array<$t, D>);
        value_on_left!(@one $op $method $code $t, &Array<$t, D>);
    )*)* };
    (@one $op:ident $method:ident $code:ident $t:ty, $right:ty) => {
        impl<D: Dimension> $op<$right> for $t {
            type Output = Array<$t, D>;
            #[track_caller]
            fn $method(self, rhs: $right) -> Self::Output {
                or_panic(scalar(self).and_then(|left| Array::wrapped(left.binary(BinaryOp::$code, &rhs.expr))))
            }
        }
    };
}

macro_rules! of_one {
    ($op:ident $method:ident $($left:ty),*) => { $(
        impl<A: Element + $op<Output = A>, D: Dimension> $op for $left {
            type Output = Array<A, D>;
            #[track_caller]
            fn $method(self) -> Self::Output {
                self.unary(UnaryOp::$op)
            }
        }
    )* };
}

operator!(Add add, AddAssign add_assign, Add);
operator!(Sub sub, SubAssign sub_assign, Sub);
operator!(Mul mul, MulAssign mul_assign, Mul);
operator!(Div div, DivAssign div_assign, Div);
operator!(Rem rem, RemAssign rem_assign, Rem);
operator!(BitAnd bitand, BitAndAssign bitand_assign, And);
operator!(BitOr bitor, BitOrAssign bitor_assign, Or);
operator!(BitXor bitxor, BitXorAssign bitxor_assign, Xor);
operator!(Shl shl, ShlAssign shl_assign, Shl);
operator!(Shr shr, ShrAssign shr_assign, Shr);
of_one!(Neg neg Array<A, D>, &Array<A, D>);
of_one!(Not not Array<A, D>, &Array<A, D>);

value_on_left! {
    Add add Add [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64>]
    Sub sub Sub [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64>]
    Mul mul Mul [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64>]
    Div div Div [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 Complex<f32> Complex<f64>]
    Rem rem Rem [i8 i16 i32 i64 u8 u16 u32 u64 f32 f64]
    BitAnd bitand And [bool i8 i16 i32 i64 u8 u16 u32 u64]
    BitOr bitor Or [bool i8 i16 i32 i64 u8 u16 u32 u64]
    BitXor bitxor Xor [bool i8 i16 i32 i64 u8 u16 u32 u64]
    Shl shl Shl [i8 i16 i32 i64 u8 u16 u32 u64]
    Shr shr Shr [i8 i16 i32 i64 u8 u16 u32 u64]
}

/// The operators as methods that return what goes wrong.
macro_rules! fallible {
    ($($name:ident $op:ident $code:ident $sign:literal)*) => { $(
        #[doc = concat!("`self ", $sign, " rhs` for each pair of elements, broadcasting both to their common shape.")]
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

/// # Operators that return what goes wrong
impl<A: Element, D: Dimension> Array<A, D> {
    fallible! {
        try_add Add Add "+" try_sub Sub Sub "-" try_mul Mul Mul "*" try_div Div Div "/" try_rem Rem Rem "%"
        try_bitand BitAnd And "&" try_bitor BitOr Or "|" try_bitxor BitXor Xor "^" try_shl Shl Shl "<<" try_shr Shr Shr ">>"
    }

    /// The operation with `rhs` broadcast to this array's shape, which stays.
    fn assigned(&self, op: BinaryOp, rhs: &tilework_expr::Expr) -> Result<Self> {
        Self::wrapped(self.expr.binary(op, &rhs.broadcast_to(&self.shape())?))
    }

    /// Adds `alpha` times `rhs`, broadcast to this array's shape, as ndarray's `scaled_add`.
    ///
    /// # Panics
    /// If `rhs` does not broadcast to this array's shape.
    #[track_caller]
    pub fn scaled_add<E: Dimension>(&mut self, alpha: A, rhs: &Array<A, E>)
    where
        A: Add<Output = A> + Mul<Output = A>,
    {
        let scaled = scalar(alpha).and_then(|alpha| Ok(alpha.binary(BinaryOp::Mul, &rhs.expr)?));
        *self = or_panic(scaled.and_then(|scaled| self.assigned(BinaryOp::Add, &scaled)));
    }

    /// Makes every element that of `rhs`, broadcast to this array's shape, as ndarray's `assign`. Other
    /// arrays that were made of this one keep the old elements.
    ///
    /// # Panics
    /// If `rhs` does not broadcast to this array's shape.
    #[track_caller]
    pub fn assign<E: Dimension>(&mut self, rhs: &Array<A, E>) {
        *self = or_panic(rhs.try_broadcast_as(self.raw_dim()));
    }

    /// Makes every element `value`. Other arrays that were made of this one keep the old elements.
    pub fn fill(&mut self, value: A) {
        let filled = scalar(value)
            .and_then(|v| Self::wrapped(v.broadcast_to(&self.shape())?.on_grid(self.expr.grid().clone())));
        *self = or_panic(filled);
    }
}
