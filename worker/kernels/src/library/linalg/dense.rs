//! Blocks as dense matrices: elements that matrices are factored of, and matrices column by column.
//!
//! Must not know any factorisation.

use crate::chunk::Plane;
use crate::library::elements::{Answer, Elements, plane};
use faer::traits::ComplexField;
use faer::{MatMut, MatRef};
use std::ops::{Add, Mul, Neg, Sub};
use tilework_expr::{Complex, Element};

/// An element that matrices are factored of.
pub(super) trait Dense:
    Element
    + ComplexField
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
{
    /// The number as one of these.
    fn number(value: f64) -> Self;
    fn conjugate(self) -> Self;
    /// The square of the absolute value.
    fn square(self) -> f64;
    fn size(self) -> f64;
    fn over(self, divisor: Self) -> Self;
    fn real(self) -> f64;
    /// Whether it is neither infinite nor NaN, nor a part of it.
    fn is_normal_number(self) -> bool;
    /// A number of absolute value 1 in its direction; 1 of 0.
    fn direction(self) -> Self {
        let size = self.size();
        if size == 0.0 { Self::number(1.0) } else { self.over(Self::number(size)) }
    }
}

macro_rules! dense {
    ($($t:ident)*) => { $(
        impl Dense for $t {
            fn number(value: f64) -> $t { value as $t }
            fn conjugate(self) -> $t { self }
            fn square(self) -> f64 { f64::from(self) * f64::from(self) }
            fn size(self) -> f64 { f64::from(self.abs()) }
            fn over(self, divisor: $t) -> $t { self / divisor }
            fn real(self) -> f64 { f64::from(self) }
            fn is_normal_number(self) -> bool { self.is_finite() }
        }
        impl Dense for Complex<$t> {
            fn number(value: f64) -> Self { Complex { re: value as $t, im: 0.0 } }
            fn conjugate(self) -> Self { self.conj() }
            fn square(self) -> f64 { self.re.square() + self.im.square() }
            fn size(self) -> f64 { f64::from(self.re.hypot(self.im)) }
            fn over(self, divisor: Self) -> Self { self / divisor }
            fn real(self) -> f64 { f64::from(self.re) }
            fn is_normal_number(self) -> bool { self.re.is_finite() && self.im.is_finite() }
        }
    )* };
}
dense! { f32 f64 }

/// Runs a block with the type of elements of a dtype.
macro_rules! with_dense {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            tilework_expr::DType::F32 => {
                type $t = f32;
                $body
            }
            tilework_expr::DType::F64 => {
                type $t = f64;
                $body
            }
            tilework_expr::DType::C32 => {
                type $t = tilework_expr::Complex<f32>;
                $body
            }
            tilework_expr::DType::C64 => {
                type $t = tilework_expr::Complex<f64>;
                $body
            }
            dtype => Err(format!("elements of {dtype}, expected floats or complex numbers")),
        }
    };
}
pub(super) use with_dense;

/// Rows and columns of a block.
pub(super) fn lens(block: &Plane) -> Answer<(usize, usize)> {
    match *block.shape() {
        [rows, columns] => Ok((rows, columns)),
        // Matrices one upon the other.
        [n, rows, columns] => Ok((n * rows, columns)),
        ref shape => Err(format!("a block of {} dimensions, expected a matrix", shape.len())),
    }
}

/// The elements of a block row by row.
pub(super) struct Rows<A> {
    pub(super) values: Elements<A>,
    pub(super) n: (usize, usize),
}

impl<A: Dense> Rows<A> {
    pub(super) fn of(block: &Plane) -> Answer<Rows<A>> {
        Ok(Rows { values: Elements::of(block)?, n: lens(block)? })
    }

    pub(super) fn mat(&self) -> MatRef<'_, A> {
        MatRef::from_row_major_slice(&self.values, self.n.0, self.n.1)
    }

    pub(super) fn row(&self, i: usize) -> &[A] {
        &self.values[i * self.n.1..(i + 1) * self.n.1]
    }
}

/// A matrix that is written row by row.
pub(super) fn row_major<A: Dense>(values: &mut [A], (rows, columns): (usize, usize)) -> MatMut<'_, A> {
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

/// A matrix column by column.
pub(super) struct Columns<A> {
    pub(super) values: Vec<A>,
    pub(super) n: (usize, usize),
}

/// Rows and columns that are brought from one order into the other together: their elements stay in the nearest cache.
const TILE: usize = 32;

/// Calls `each` for every row and column, square by square.
fn tiled((rows, columns): (usize, usize), mut each: impl FnMut(usize, usize)) {
    for i in (0..rows).step_by(TILE) {
        for j in (0..columns).step_by(TILE) {
            for r in i..rows.min(i + TILE) {
                (j..columns.min(j + TILE)).for_each(|c| each(r, c));
            }
        }
    }
}

impl<A: Dense> Columns<A> {
    pub(super) fn zeros(n: (usize, usize)) -> Columns<A> {
        Columns { values: vec![A::default(); n.0 * n.1], n }
    }

    pub(super) fn of(block: &Plane) -> Answer<Columns<A>> {
        let rows = Rows::<A>::of(block)?;
        Ok(Columns::zeros(rows.n).with_rows(&rows, 0))
    }

    /// With the rows of a block from this row on, as far as there are rows.
    pub(super) fn with_rows(mut self, from: &Rows<A>, first: usize) -> Columns<A> {
        let n = self.n.0;
        let fits = (from.n.0.min(n - first), from.n.1);
        tiled(fits, |i, j| self.values[j * n + first + i] = from.values[i * from.n.1 + j]);
        self
    }

    pub(super) fn mat(&self) -> MatRef<'_, A> {
        MatRef::from_column_major_slice(&self.values, self.n.0, self.n.1)
    }

    pub(super) fn mat_mut(&mut self) -> MatMut<'_, A> {
        MatMut::from_column_major_slice_mut(&mut self.values, self.n.0, self.n.1)
    }

    pub(super) fn at(&self, i: usize, j: usize) -> A {
        self.values[j * self.n.0 + i]
    }

    /// Writes it row by row from this row of a row-major matrix on, that has as many columns or more.
    pub(super) fn write(&self, out: &mut [A], width: usize, first: usize) {
        tiled(self.n, |i, j| out[(first + i) * width + j] = self.values[j * self.n.0 + i]);
    }

    /// As a block of this shape, of as many rows and columns.
    pub(super) fn block(&self, shape: &[usize]) -> Answer {
        let mut out = vec![A::default(); self.n.0 * self.n.1];
        self.write(&mut out, self.n.1, 0);
        plane(shape, out)
    }
}
