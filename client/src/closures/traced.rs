//! Traced functions: a value that stands for any element of an array and records what is done with it as an
//! expression.
//!
//! Owns the recordings of the functions that are being traced. Must not know how expressions are computed.

use crate::array::{Array, ArrayD, Real};
use crate::error::{Result, or_panic};
use ndarray::IxDyn;
use num_traits::Float;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{
    Add, AddAssign, BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Div, DivAssign, Mul,
    MulAssign, Neg, Not, Rem, RemAssign, Shl, Shr, Sub, SubAssign,
};
use tilework_expr::{BinaryOp, Chunks, Complex, Element, Expr, Scalar, UnaryOp};

/// Stands for any element of an array within a function that is traced ([`Array::map_expr`]).
///
/// It is copied as a number is. Operators take another such value or a number; floats have the methods that `f32` and
/// `f64` have; comparisons (`gt`, `le`, `eq`, ...) give a `Traced<bool>`, which chooses by
/// [`select`](Traced::select) and is combined by `&`, `|`, `^` and `!`. There is no `if` on it: the function is called
/// once, for all elements.
///
/// ```
/// use std::ops::{Add, Mul};
/// use tilework::prelude::*;
///
/// fn polynomial<T: Copy + Add<Output = T> + Mul<Output = T>>(x: T) -> T {
///     x * x + x
/// }
///
/// let x = arr1(&[1.0, 2.0]);
/// assert_eq!(x.map_expr(polynomial).compute(), ndarray::arr1(&[2.0, 6.0]));
/// ```
pub struct Traced<A> {
    trace: u64,
    at: usize,
    /// Not to be sent to other threads: the recording is this thread's.
    element: PhantomData<*const A>,
}

impl<A> Clone for Traced<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Traced<A> {}

impl<A> fmt::Debug for Traced<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Traced({})", self.at)
    }
}

/// What was recorded for one function that is being traced.
struct Recording {
    trace: u64,
    exprs: Vec<Expr>,
}

thread_local! {
    /// Innermost last; every trace of the thread has another number.
    static RECORDINGS: RefCell<(u64, Vec<Recording>)> = const { RefCell::new((0, Vec::new())) };
}

/// Ends a recording, also where the function panics.
struct Recorder(u64);

impl Recorder {
    fn start() -> Recorder {
        RECORDINGS.with_borrow_mut(|(last, all)| {
            *last += 1;
            all.push(Recording { trace: *last, exprs: Vec::new() });
            Recorder(*last)
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        RECORDINGS.with_borrow_mut(|(_, all)| all.retain(|r| r.trace != self.0));
    }
}

/// The array of what a traced function gives for the elements of an array.
pub(super) fn trace<A: Element, B: Element>(
    array: &Expr,
    f: impl FnOnce(Traced<A>) -> Traced<B>,
) -> Result<Expr> {
    let recorder = Recorder::start();
    let result = f(Traced::record(array.clone(), recorder.0)).expr();
    if result.shape() == array.shape() {
        return Ok(result);
    }
    // Nothing in it depends on the element.
    Ok(result.broadcast_to(&array.shape())?.on_grid(array.grid().clone())?)
}

impl<A: Element> Traced<A> {
    fn record(expr: Expr, trace: u64) -> Traced<A> {
        debug_assert_eq!(expr.dtype(), A::DTYPE);
        RECORDINGS.with_borrow_mut(|(_, all)| {
            let recording = all.iter_mut().find(|r| r.trace == trace);
            let recording = recording.expect("a value is recorded while its function is traced");
            recording.exprs.push(expr);
            Traced { trace, at: recording.exprs.len() - 1, element: PhantomData }
        })
    }

    fn expr(self) -> Expr {
        RECORDINGS.with_borrow(|(_, all)| {
            let recording = all.iter().find(|r| r.trace == self.trace);
            let recording =
                recording.unwrap_or_else(|| panic!("tilework: a traced value outlives its function"));
            recording.exprs[self.at].clone()
        })
    }

    /// A number, the same for all elements.
    ///
    /// # Panics
    /// Outside of a function that is traced.
    #[must_use]
    pub fn constant(value: A) -> Traced<A> {
        let trace = RECORDINGS.with_borrow(|(_, all)| all.last().map(|r| r.trace));
        let trace =
            trace.unwrap_or_else(|| panic!("tilework: a traced constant outside of a traced function"));
        let expr = Expr::full(&[], &Chunks::Auto, Scalar::new(value));
        Traced::record(or_panic(expr.map_err(Into::into)), trace)
    }

    /// An operation that the element type has, by the bounds of the caller.
    fn unary<B: Element>(self, op: UnaryOp) -> Traced<B> {
        self.by(|expr| Ok(expr.unary(op)?))
    }

    fn binary<B: Element>(self, op: BinaryOp, other: Traced<A>) -> Traced<B> {
        let other = other.expr();
        self.by(|expr| Ok(expr.binary(op, &other)?))
    }

    fn by<B: Element>(self, f: impl FnOnce(Expr) -> Result<Expr>) -> Traced<B> {
        Traced::record(or_panic(f(self.expr())), self.trace)
    }

    /// What a method of arrays gives.
    fn method<B: Element>(self, f: impl FnOnce(ArrayD<A>) -> ArrayD<B>) -> Traced<B> {
        self.by(|expr| Ok(f(Array::<A, IxDyn>::of_expr(expr)).expr()))
    }

    /// The element converted to `B` as by Rust's `as`; to `bool`, whether it is not 0.
    ///
    /// # Panics
    /// From complex to real elements.
    #[must_use]
    pub fn cast<B: Element>(self) -> Traced<B> {
        self.by(|expr| Ok(expr.cast(B::DTYPE)?))
    }
}

impl<A: Element> From<A> for Traced<A> {
    fn from(value: A) -> Self {
        Traced::constant(value)
    }
}

macro_rules! operators {
    ($($op:ident $method:ident $code:ident [$($t:ty)*])*) => { $(
        impl<A: Element + $op<Output = A>> $op for Traced<A> {
            type Output = Self;
            fn $method(self, rhs: Self) -> Self {
                self.binary(BinaryOp::$code, rhs)
            }
        }
        impl<A: Element + $op<Output = A>> $op<A> for Traced<A> {
            type Output = Self;
            fn $method(self, rhs: A) -> Self {
                self.binary(BinaryOp::$code, rhs.into())
            }
        }
        impl<A: Element + $op<Output = A>> $op<&A> for Traced<A> {
            type Output = Self;
            fn $method(self, rhs: &A) -> Self {
                self.binary(BinaryOp::$code, (*rhs).into())
            }
        }
        $(impl $op<Traced<$t>> for $t {
            type Output = Traced<$t>;
            fn $method(self, rhs: Traced<$t>) -> Traced<$t> {
                Traced::from(self).binary(BinaryOp::$code, rhs)
            }
        })*
    )* };
}
operators! {
    Add add Add [f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 Complex<f32> Complex<f64>]
    Sub sub Sub [f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 Complex<f32> Complex<f64>]
    Mul mul Mul [f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 Complex<f32> Complex<f64>]
    Div div Div [f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 Complex<f32> Complex<f64>]
    Rem rem Rem [f32 f64 i8 i16 i32 i64 u8 u16 u32 u64]
    BitAnd bitand And [bool i8 i16 i32 i64 u8 u16 u32 u64]
    BitOr bitor Or [bool i8 i16 i32 i64 u8 u16 u32 u64]
    BitXor bitxor Xor [bool i8 i16 i32 i64 u8 u16 u32 u64]
    Shl shl Shl [i8 i16 i32 i64 u8 u16 u32 u64]
    Shr shr Shr [i8 i16 i32 i64 u8 u16 u32 u64]
}

macro_rules! assigning {
    ($($assign:ident $method:ident $op:ident $of:ident)*) => { $(
        impl<A: Element, T> $assign<T> for Traced<A>
        where
            Traced<A>: $op<T, Output = Traced<A>>,
        {
            fn $method(&mut self, rhs: T) {
                *self = (*self).$of(rhs);
            }
        }
    )* };
}
assigning! {
    AddAssign add_assign Add add
    SubAssign sub_assign Sub sub
    MulAssign mul_assign Mul mul
    DivAssign div_assign Div div
    RemAssign rem_assign Rem rem
    BitAndAssign bitand_assign BitAnd bitand
    BitOrAssign bitor_assign BitOr bitor
    BitXorAssign bitxor_assign BitXor bitxor
}

impl<A: Element + Neg<Output = A>> Neg for Traced<A> {
    type Output = Self;
    fn neg(self) -> Self {
        self.unary(UnaryOp::Neg)
    }
}

impl<A: Element + Not<Output = A>> Not for Traced<A> {
    type Output = Self;
    fn not(self) -> Self {
        self.unary(UnaryOp::Not)
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $code:ident)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, other: impl Into<Traced<A>>) -> Traced<bool> {
            self.binary(BinaryOp::$code, other.into())
        }
    )* };
}

/// # Comparison
#[allow(clippy::should_implement_trait, reason = "the traits would give one `bool` for all elements")]
impl<A: Element> Traced<A> {
    comparisons! {
        /// Whether it equals `other`.
        eq Eq
        /// Whether it does not equal `other`.
        ne Ne
    }
}

/// # Order
impl<A: Element + PartialOrd> Traced<A> {
    comparisons! {
        /// Whether it is less than `other`.
        lt Lt
        /// Whether it is at most `other`.
        le Le
        /// Whether it is greater than `other`.
        gt Gt
        /// Whether it is at least `other`.
        ge Ge
    }
}

impl Traced<bool> {
    /// `yes` where it is true, else `no`.
    #[must_use]
    pub fn select<B: Element>(self, yes: Traced<B>, no: impl Into<Traced<B>>) -> Traced<B> {
        let (yes, no) = (yes.expr(), no.into().expr());
        self.by(|condition| Ok(condition.select(&yes, &no)?))
    }
}

macro_rules! functions {
    ($($name:ident $op:ident -> $r:ty)*) => { $(
        #[doc = concat!("The method `", stringify!($name), "` of floats.")]
        #[must_use]
        pub fn $name(self) -> Traced<$r> {
            self.unary(UnaryOp::$op)
        }
    )* };
}

macro_rules! functions_of_two {
    ($($name:ident $op:ident)*) => { $(
        #[doc = concat!("The method `", stringify!($name), "` of floats.")]
        #[must_use]
        pub fn $name(self, other: impl Into<Traced<A>>) -> Traced<A> {
            self.binary(BinaryOp::$op, other.into())
        }
    )* };
}

/// # Functions of floats
impl<A: Element + Float> Traced<A> {
    functions! {
        is_nan IsNan -> bool
        is_infinite IsInfinite -> bool
        is_finite IsFinite -> bool
        floor Floor -> A
        ceil Ceil -> A
        round Round -> A
        trunc Trunc -> A
        fract Fract -> A
        abs Abs -> A
        signum Signum -> A
        recip Recip -> A
        sqrt Sqrt -> A
        cbrt Cbrt -> A
        exp Exp -> A
        exp2 Exp2 -> A
        exp_m1 ExpM1 -> A
        ln Ln -> A
        log2 Log2 -> A
        log10 Log10 -> A
        ln_1p Ln1p -> A
        sin Sin -> A
        cos Cos -> A
        tan Tan -> A
        asin Asin -> A
        acos Acos -> A
        atan Atan -> A
        sinh Sinh -> A
        cosh Cosh -> A
        tanh Tanh -> A
        asinh Asinh -> A
        acosh Acosh -> A
        atanh Atanh -> A
        to_degrees ToDegrees -> A
        to_radians ToRadians -> A
    }

    functions_of_two! {
        powf Pow
        atan2 Atan2
        hypot Hypot
        copysign Copysign
        min Min
        max Max
    }

    /// To an integer power, by repeated multiplication.
    #[must_use]
    pub fn powi(self, n: i32) -> Traced<A> {
        self.method(|a| a.powi(n))
    }
}

/// # Complex numbers
impl<T: Real> Traced<Complex<T>>
where
    Complex<T>: Element,
{
    /// The real part.
    #[must_use]
    pub fn re(self) -> Traced<T> {
        self.unary(UnaryOp::Re)
    }

    /// The imaginary part.
    #[must_use]
    pub fn im(self) -> Traced<T> {
        self.unary(UnaryOp::Im)
    }

    /// The distance from 0.
    #[must_use]
    pub fn norm(self) -> Traced<T> {
        self.unary(UnaryOp::Norm)
    }

    /// The complex conjugate.
    #[must_use]
    pub fn conj(self) -> Self {
        self.unary(UnaryOp::Conj)
    }
}
