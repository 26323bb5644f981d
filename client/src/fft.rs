//! Discrete Fourier transforms, by the names of `numpy.fft`: lazy arrays of complex numbers, `Complex<f32>` of elements of 32
//! bits and `Complex<f64>` of all others, and real ones back.
//!
//! Functions take an array and an axis, or several; [`Fft`] has the same as methods and says what NumPy's `n`, `s` and `norm`
//! say:
//!
//! ```
//! use tilework::fft::{self, Fft, Norm};
//! use tilework::prelude::*;
//!
//! let x = arr1(&[1.0f64, 2.0, 3.0, 4.0]);
//! let y = fft::fft(&x, Axis(0)).compute();
//! assert!((y[1] - Complex::new(-2.0, 2.0)).norm() < 1e-15);
//! let back = fft::ifft(&Array::from(y), Axis(0)).re();
//! assert!((back - &x).abs().max() < 1e-15);
//!
//! let padded = Fft::new().len(8).norm(Norm::Ortho).rfft(&x, Axis(0));
//! assert_eq!(padded.shape(), [5]);
//! ```
//!
//! # Chunks
//! An axis in one chunk is transformed in one stage. An axis in several is put into one and others are cut in its place, as
//! long as a lane has no more than 16 MiB or what the array's largest chunk has; so is an array of one axis then. Of longer
//! ones no task has a whole lane: a length with factors is transformed as a table, columns first, then rows, in chunks that
//! are exchanged in between, and one without factors by a convolution, which takes about ten times as long. An array that
//! is transformed so keeps its chunks. Real transforms of such lanes are computed as complex ones.
//!
//! # Bits
//! Results do not depend on workers, threads or losses. They may differ in their last bits from one chunking to another, for
//! lanes that are put together differently, and from one kind of processor to another, for a library computes within lanes
//! that uses what vector instructions there are. Errors are a few units in the last place of the largest element, and grow
//! with the logarithm of the length.

use crate::array::twins::function_twins;
use crate::array::{Array, Array1, ArrayBase, Data};
use crate::error::{Result, or_panic};
use crate::library::filter::{Convolution, part_of};
use crate::library::fourier::{Transform, fitted};
use crate::library::wrong;
use crate::library::{axis_of, number, shifted, undefined};
use ndarray::{Axis, Dimension};
use tilework_expr::{BinaryOp, Chunks, Complex, DType, Element, Expr, ExprError, Scalar, UnaryOp};

/// Elements that are transformed, and the types of what comes of it.
pub trait Fourier: Element {
    /// `Complex<f32>` of `f32` and `Complex<f32>`, else `Complex<f64>`.
    type Complex: Element;
    /// `f32` of `f32` and `Complex<f32>`, else `f64`.
    type Real: Element;
}

macro_rules! fourier {
    ($real:ty: $($t:ty)*) => { $(impl Fourier for $t { type Complex = Complex<$real>; type Real = $real; })* };
}
fourier! { f64: bool i8 i16 i32 i64 u8 u16 u32 u64 f64 Complex<f64> }
fourier! { f32: f32 Complex<f32> }

/// What results are divided by; `n` is the number of elements that are transformed together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Norm {
    /// Forward transforms by nothing, inverse ones by `n`.
    #[default]
    Backward,
    /// Both by the square root of `n`.
    Ortho,
    /// Forward transforms by `n`, inverse ones by nothing.
    Forward,
}

impl Norm {
    fn scale(self, n: usize, inverse: bool) -> f64 {
        match (self, inverse) {
            (Norm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            (Norm::Backward, true) | (Norm::Forward, false) => 1.0 / n as f64,
            (Norm::Backward, false) | (Norm::Forward, true) => 1.0,
        }
    }

    /// That of a transform which is the other direction's.
    fn swapped(self) -> Norm {
        match self {
            Norm::Backward => Norm::Forward,
            Norm::Ortho => Norm::Ortho,
            Norm::Forward => Norm::Backward,
        }
    }
}

/// Transforms of other lengths than the array has, or with another [`Norm`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fft {
    lens: Option<Vec<usize>>,
    norm: Norm,
}

/// What a transform gives: all numbers, the first half of them, or real ones from that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Complex,
    Half,
    Real,
}

impl Fft {
    /// Those of the array's lengths, with [`Norm::Backward`].
    #[must_use]
    pub fn new() -> Fft {
        Fft::default()
    }

    /// The length along the axis, NumPy's `n`: more is cut off, zeros fill what is missing. Of a transform that gives real
    /// elements it is the length of the result, which otherwise is twice that of the array, less 2.
    #[must_use]
    pub fn len(self, n: usize) -> Fft {
        self.lens(&[n])
    }

    /// A length for each axis, NumPy's `s`.
    #[must_use]
    pub fn lens(self, lens: &[usize]) -> Fft {
        Fft { lens: Some(lens.to_vec()), ..self }
    }

    /// What results are divided by.
    #[must_use]
    pub fn norm(self, norm: Norm) -> Fft {
        Fft { norm, ..self }
    }

    /// The length along each axis that is transformed.
    fn lens_of(&self, expr: &Expr, axes: &[usize], form: Form) -> Result<Vec<usize>> {
        if let Some(lens) = &self.lens {
            if lens.len() != axes.len() {
                let got = format!("{} for {} axes", lens.len(), axes.len());
                return Err(wrong("lengths of a transform", got, "one for each axis"));
            }
            if lens.contains(&0) {
                return Err(wrong("length of a transform", "0".into(), "at least 1"));
            }
            return Ok(lens.clone());
        }
        let mut lens: Vec<usize> = axes.iter().map(|&a| expr.shape()[a]).collect();
        if let Some(at) = lens.iter().position(|n| *n == 0) {
            let got = format!("none along axis {}", axes[at]);
            return Err(wrong("elements to transform", got, "at least one"));
        }
        if let (Form::Real, Some(last)) = (form, lens.last_mut()) {
            if *last == 1 {
                return Err(wrong(
                    "elements to transform to real ones",
                    "1".into(),
                    "at least 2, or a length",
                ));
            }
            *last = 2 * (*last - 1);
        }
        Ok(lens)
    }

    /// Along these axes; the last of them is the one of which there is a half.
    fn made(&self, expr: &Expr, axes: &[Axis], inverse: bool, form: Form) -> Result<Expr> {
        let axes = axes.iter().map(|&axis| axis_of(expr, axis)).collect::<Result<Vec<usize>>>()?;
        let mut seen = axes.clone();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() < axes.len() || axes.is_empty() && form != Form::Complex {
            return Err(ExprError::Axes {
                axes,
                ndim: expr.ndim(),
                expected: "each axis once, at least one",
            }
            .into());
        }
        let lens = self.lens_of(expr, &axes, form)?;
        let of = |i: usize| Transform::along(axes[i], inverse, self.norm.scale(lens[i], inverse));
        let complex = complex_of(expr.dtype());
        let mut made = expr.clone();
        let mut rest = axes.len();
        if form == Form::Half {
            if expr.dtype().is_complex() {
                return Err(undefined("a transform of real elements", expr.dtype()));
            }
            rest -= 1;
            let real = if complex == DType::C32 { DType::F32 } else { DType::F64 };
            made = of(rest).real(&fitted(&expr.cast(real)?, axes[rest], lens[rest])?)?;
        } else {
            rest -= usize::from(form == Form::Real);
            made = made.cast(complex)?;
        }
        for i in (0..rest).rev() {
            made = of(i).complex(&fitted(&made, axes[i], lens[i])?)?;
        }
        if form == Form::Real {
            let half = fitted(&made, axes[rest], lens[rest] / 2 + 1)?;
            made = of(rest).real_inverse(&half, lens[rest])?;
        }
        Ok(made)
    }

    /// A Hermitian transform is a real one in the other direction, of conjugated elements.
    fn hermitian(&self, expr: &Expr, axis: Axis, inverse: bool) -> Result<Expr> {
        let swapped = Fft { norm: self.norm.swapped(), ..self.clone() };
        if inverse {
            return Ok(swapped.made(expr, &[axis], false, Form::Half)?.unary(UnaryOp::Conj)?);
        }
        let conjugated = expr.cast(complex_of(expr.dtype()))?.unary(UnaryOp::Conj)?;
        swapped.made(&conjugated, &[axis], true, Form::Real)
    }
}

fn complex_of(dtype: DType) -> DType {
    if matches!(dtype, DType::F32 | DType::C32) { DType::C32 } else { DType::C64 }
}

/// The last two axes.
fn last_two(expr: &Expr) -> Result<Vec<Axis>> {
    match expr.ndim() {
        ndim @ 2.. => Ok(vec![Axis(ndim - 2), Axis(ndim - 1)]),
        ndim => Err(ExprError::Axes { axes: Vec::new(), ndim, expected: "at least two" }.into()),
    }
}

/// Writes a transform as a function, as a method of [`Fft`], and the twins of both that return what goes wrong.
macro_rules! transforms {
    ($($(#[$doc:meta])* $name:ident $try_name:ident ($($p:ident: $t:ty),*) -> $out:ident
        errors $errors:literal |$fft:ident, $expr:ident| $make:expr;)*) => { $(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $name<S: Data<Elem = A>, A: Fourier, D: Dimension>(
            x: &ArrayBase<S, D, A>,
            $($p: $t),*
        ) -> Array<A::$out, D> {
            or_panic($try_name(x, $($p),*))
        }

        #[doc = concat!("[`", stringify!($name), "`] that returns what goes wrong.")]
        ///
        /// # Errors
        #[doc = $errors]
        pub fn $try_name<S: Data<Elem = A>, A: Fourier, D: Dimension>(
            x: &ArrayBase<S, D, A>,
            $($p: $t),*
        ) -> Result<Array<A::$out, D>> {
            Fft::new().$try_name(x, $($p),*)
        }
    )*

    impl Fft { $(
        #[doc = concat!("[`", stringify!($name), "`](fn@", stringify!($name), ") of these lengths, with this norm.")]
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`](Fft::", stringify!($try_name), ") returns an error.")]
        #[must_use]
        #[track_caller]
        pub fn $name<S: Data<Elem = A>, A: Fourier, D: Dimension>(
            &self,
            x: &ArrayBase<S, D, A>,
            $($p: $t),*
        ) -> Array<A::$out, D> {
            or_panic(self.$try_name(x, $($p),*))
        }

        #[doc = concat!("[`", stringify!($name), "`](fn@", stringify!($name), ") of these lengths, with this norm.")]
        ///
        /// # Errors
        #[doc = concat!($errors, " Lengths that are 0, or not one for each axis.")]
        pub fn $try_name<S: Data<Elem = A>, A: Fourier, D: Dimension>(
            &self,
            x: &ArrayBase<S, D, A>,
            $($p: $t),*
        ) -> Result<Array<A::$out, D>> {
            let ($fft, $expr) = (self, &x.leaf()?);
            let made: Result<Expr> = $make;
            Ok(Array::of_expr(made?))
        }
    )* } };
}

transforms! {
    /// The transform along an axis: `y[k]` is the sum of `x[j] exp(-2πi jk/n)` over all `j`. A lazy array of the same shape.
    fft try_fft (axis: Axis) -> Complex
    errors "An axis out of range, or without elements."
    |fft, x| fft.made(x, &[axis], false, Form::Complex);

    /// The inverse of [`fft()`]: a lazy array of the same shape.
    ifft try_ifft (axis: Axis) -> Complex
    errors "An axis out of range, or without elements."
    |fft, x| fft.made(x, &[axis], true, Form::Complex);

    /// The first `n / 2 + 1` numbers of the transform of `n` real elements, of which the rest are the mirror image,
    /// conjugated: a lazy array of as many along the axis.
    ///
    /// ```
    /// use tilework::fft;
    /// use tilework::prelude::*;
    ///
    /// let x = Array2::<f32>::ones((4, 6));
    /// let y = fft::rfft(&x, Axis(1)).compute();
    /// assert_eq!((y.shape(), y[[2, 0]]), (&[4, 4][..], Complex::new(6.0f32, 0.0)));
    /// ```
    rfft try_rfft (axis: Axis) -> Complex
    errors "An axis out of range, or without elements; complex elements."
    |fft, x| fft.made(x, &[axis], false, Form::Half);

    /// The inverse of [`rfft()`]: real elements, as many as [`Fft::len`] says, else an even number of them.
    ///
    /// ```
    /// use tilework::fft::{self, Fft};
    /// use tilework::prelude::*;
    ///
    /// let x = arr1(&[3.0f64, 1.0, 2.0]);
    /// let back = Fft::new().len(3).irfft(&fft::rfft(&x, Axis(0)), Axis(0));
    /// assert!((back - x).abs().max() < 1e-15);
    /// ```
    irfft try_irfft (axis: Axis) -> Real
    errors "An axis out of range, or without elements; of one element without a length."
    |fft, x| fft.made(x, &[axis], true, Form::Real);

    /// The transform of elements whose second half is the mirror image of the first, conjugated, of which the array has the
    /// first: real elements, as many as [`Fft::len`] says, else an even number of them.
    hfft try_hfft (axis: Axis) -> Real
    errors "An axis out of range, or without elements; of one element without a length."
    |fft, x| fft.hermitian(x, axis, false);

    /// The inverse of [`hfft()`]: the first `n / 2 + 1` numbers.
    ihfft try_ihfft (axis: Axis) -> Complex
    errors "An axis out of range, or without elements; complex elements."
    |fft, x| fft.hermitian(x, axis, true);

    /// [`fft()`] along several axes.
    fftn try_fftn (axes: &[Axis]) -> Complex
    errors "Axes out of range, without elements or named twice."
    |fft, x| fft.made(x, axes, false, Form::Complex);

    /// [`ifft()`] along several axes.
    ifftn try_ifftn (axes: &[Axis]) -> Complex
    errors "Axes out of range, without elements or named twice."
    |fft, x| fft.made(x, axes, true, Form::Complex);

    /// [`rfft()`] along the last of several axes, and [`fft()`] along the others.
    rfftn try_rfftn (axes: &[Axis]) -> Complex
    errors "No axes; axes out of range, without elements or named twice; complex elements."
    |fft, x| fft.made(x, axes, false, Form::Half);

    /// [`ifft()`] along all but the last of several axes, and then [`irfft()`] along that.
    irfftn try_irfftn (axes: &[Axis]) -> Real
    errors "No axes; axes out of range, without elements or named twice; a last axis of one element without a length."
    |fft, x| fft.made(x, axes, true, Form::Real);

    /// [`fftn`] along the last two axes.
    ///
    /// ```
    /// use tilework::fft;
    /// use tilework::prelude::*;
    ///
    /// let x: Array2<f64> = random::in_chunks(10).standard_normal((30, 25), 7);
    /// let back = fft::ifft2(&fft::fft2(&x)).re();
    /// assert!((back - x).abs().max() < 1e-12);
    /// ```
    fft2 try_fft2 () -> Complex
    errors "Fewer than two axes; axes without elements."
    |fft, x| fft.made(x, &last_two(x)?, false, Form::Complex);

    /// [`ifftn`] along the last two axes.
    ifft2 try_ifft2 () -> Complex
    errors "Fewer than two axes; axes without elements."
    |fft, x| fft.made(x, &last_two(x)?, true, Form::Complex);

    /// [`rfftn`] along the last two axes.
    rfft2 try_rfft2 () -> Complex
    errors "Fewer than two axes; axes without elements; complex elements."
    |fft, x| fft.made(x, &last_two(x)?, false, Form::Half);

    /// [`irfftn`] along the last two axes.
    irfft2 try_irfft2 () -> Real
    errors "Fewer than two axes; axes without elements; a last axis of one element without a length."
    |fft, x| fft.made(x, &last_two(x)?, true, Form::Real);
}

function_twins! {
    /// The frequency 0 moved to the middle of each of these axes: a lazy array of the same shape.
    ///
    /// ```
    /// use tilework::fft;
    /// use tilework::prelude::*;
    ///
    /// let f = fft::fftshift(&fft::fftfreq(5, 0.2), &[Axis(0)]);
    /// assert_eq!(f.compute(), ndarray::arr1(&[-2.0, -1.0, 0.0, 1.0, 2.0]));
    /// ```
    fftshift try_fftshift [S: Data<Elem = A>, A: Element, D: Dimension]
        (x: &ArrayBase<S, D, A>, axes: &[Axis]) -> Array<A, D>,
    errors "An axis out of range." {
        let half = |n: usize| (n / 2) as isize;
        Ok(Array::of_expr(shifted(&x.leaf()?, axes, half)?))
    }

    /// The inverse of [`fftshift`].
    ifftshift try_ifftshift [S: Data<Elem = A>, A: Element, D: Dimension]
        (x: &ArrayBase<S, D, A>, axes: &[Axis]) -> Array<A, D>,
    errors "An axis out of range." {
        let half = |n: usize| -((n / 2) as isize);
        Ok(Array::of_expr(shifted(&x.leaf()?, axes, half)?))
    }

    /// The frequencies of a transform of `n` elements that are `spacing` apart, in cycles per unit of it: from 0 up, then the
    /// negative ones. A lazy array of one axis.
    fftfreq try_fftfreq [] (n: usize, spacing: f64) -> Array1<f64>,
    errors "No elements, or a spacing of 0 or that is not finite." {
        check_spacing(n, spacing)?;
        let at = Expr::index(&[n], &Chunks::Auto, 0)?;
        let scalar = |x: i64| Expr::full(&[], &Chunks::Auto, Scalar::new(x));
        let first = at.binary(BinaryOp::Lt, &scalar(n.div_ceil(2) as i64)?)?;
        let signed = first.select(&at, &at.binary(BinaryOp::Sub, &scalar(n as i64)?)?)?;
        Ok(Array::of_expr(frequencies(&signed, n, spacing)?))
    }

    /// The frequencies of [`rfft()`] of `n` elements: those that are 0 or above, `n / 2 + 1` of them.
    rfftfreq try_rfftfreq [] (n: usize, spacing: f64) -> Array1<f64>,
    errors "No elements, or a spacing of 0 or that is not finite." {
        check_spacing(n, spacing)?;
        let at = Expr::index(&[n / 2 + 1], &Chunks::Auto, 0)?;
        Ok(Array::of_expr(frequencies(&at, n, spacing)?))
    }
}

fn check_spacing(n: usize, spacing: f64) -> Result<()> {
    if n > 0 && spacing.is_finite() && spacing != 0.0 {
        return Ok(());
    }
    Err(wrong(
        "frequencies",
        format!("of {n} elements, {spacing} apart"),
        "at least one, finite and not 0 apart",
    ))
}

fn frequencies(at: &Expr, n: usize, spacing: f64) -> Result<Expr> {
    let unit = number(DType::F64, 1.0 / (n as f64 * spacing))?;
    Ok(at.cast(DType::F64)?.binary(BinaryOp::Mul, &unit)?)
}

/// The least length from `n` on that has no prime factors but 2, 3 and 5.
fn good_len(n: usize) -> usize {
    let is_good = |mut n: usize| {
        for f in [2, 3, 5] {
            while n.is_multiple_of(f) {
                n /= f;
            }
        }
        n == 1
    };
    (n.max(1)..).find(|n| is_good(*n)).unwrap_or(n)
}

/// A part of the convolution of two arrays, whose middle has the shape of the first.
pub(crate) fn convolved(a: &Expr, b: &Expr, part: Convolution) -> Result<Expr> {
    let dtype = a.dtype();
    if !dtype.is_float() && !dtype.is_complex() {
        return Err(undefined("a convolution by transforms", dtype));
    }
    if a.ndim() != b.ndim() {
        return Err(wrong(
            "axes of a convolution",
            format!("{} and {}", a.ndim(), b.ndim()),
            "as many of each",
        ));
    }
    if a.is_empty() || b.is_empty() {
        let got = format!("{} and {}", a.len(), b.len());
        return Err(wrong("elements of a convolution", got, "at least one of each"));
    }
    let shapes: Vec<(usize, usize)> = a.shape().into_iter().zip(b.shape()).collect();
    if part == Convolution::Valid && shapes.iter().any(|(a, b)| a < b) {
        let got = format!("shapes {:?} and {:?}", a.shape(), b.shape());
        return Err(wrong(
            "arrays that are to overlap completely",
            got,
            "a second one that is nowhere longer",
        ));
    }
    if a.ndim() == 0 {
        return Ok(a.binary(BinaryOp::Mul, b)?);
    }
    let lens: Vec<usize> = shapes.iter().map(|(a, b)| good_len(a + b - 1)).collect();
    let axes: Vec<Axis> = (0..a.ndim()).map(Axis).collect();
    let fft = Fft::new().lens(&lens);
    let (there, back) =
        if dtype.is_float() { (Form::Half, Form::Real) } else { (Form::Complex, Form::Complex) };
    let product =
        fft.made(a, &axes, false, there)?.binary(BinaryOp::Mul, &fft.made(b, &axes, false, there)?)?;
    let all = fft.made(&product, &axes, true, back)?;
    part_of(&all, part, &shapes)
}
