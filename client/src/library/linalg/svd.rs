//! Singular values and vectors, and what they tell of a matrix.
//!
//! Knows that a matrix comes to a square one by QR, which one task holds. Must not know how that one is decomposed.

use super::qr::{both, qr};
use super::stages::{ALL, adjoint, check_square, columns, gathered, lens, real, rows, step, whole};
use super::{Field, constant};
use crate::array::{Array, Array0, Array1, Array2, ArrayBase, Data};
use crate::error::{Result, or_panic};
use ndarray::Ix2;
use tilework_expr::{BinaryOp, Chunks, DType, Dist, Expr, ExprError, Fold, SliceArg};
use tilework_kernels::library::linalg::Step;

/// Columns that a random sketch has beyond those that are asked for.
const OVERSAMPLED: usize = 10;

/// U, the singular values, and Vᴴ.
pub type SvdOf<A> = (Array2<A>, Array1<<A as Field>::Real>, Array2<A>);

/// The same as expressions.
struct Svd {
    u: Expr,
    s: Expr,
    vt: Expr,
}

fn row(expr: &Expr, i: usize) -> Result<Expr> {
    Ok(expr.slice(&[SliceArg::At(i as isize), SliceArg::Range { start: 0, end: None, step: 1 }])?)
}

fn svd(a: &Expr) -> Result<Svd> {
    let (m, n) = lens(a);
    if m < n {
        let Svd { u, s, vt } = svd(&adjoint(a)?)?;
        return Ok(Svd { u: adjoint(&vt)?, s, vt: adjoint(&u)? });
    }
    if n == 0 {
        let empty = |shape: &[usize]| constant(shape, a.dtype(), 0.0);
        return Ok(Svd { u: empty(&[m, 0])?, s: real(&empty(&[0])?)?, vt: empty(&[0, 0])? });
    }
    let (q, square) = match m == n {
        true => (None, a.clone()),
        false => {
            let made = qr(a, true)?;
            (made.q, made.r)
        }
    };
    let (grid, out) = ([whole(n), whole(n)], [whole(2 * n + 1), whole(n)]);
    let packed = step((Step::Svd, &[]), &[(&gathered(&square)?, &[ALL; 2])], (&grid, &out))?;
    let u = rows(&packed, 0..n)?;
    let u = q.map_or(Ok(u.clone()), |q| q.dot(&u))?;
    Ok(Svd { u, s: real(&row(&packed, n)?)?, vt: rows(&packed, n + 1..2 * n + 1)? })
}

/// The singular values alone.
pub(super) fn values(a: &Expr) -> Result<Expr> {
    let (m, n) = lens(a);
    if m < n {
        return values(&adjoint(a)?);
    }
    if n == 0 {
        return real(&constant(&[0], a.dtype(), 0.0)?);
    }
    let square = if m == n { a.clone() } else { qr(a, false)?.r };
    let (grid, out) = ([whole(n), whole(n)], [whole(1), whole(n)]);
    let made = step((Step::SvdValues, &[]), &[(&gathered(&square)?, &[ALL; 2])], (&grid, &out))?;
    real(&row(&made, 0)?)
}

/// The first singular values and vectors, by a random sketch of the range: Halko, Martinsson and Tropp (2011), 4.4 and 5.1.
fn compressed(a: &Expr, k: usize, (n_iterations, seed): (usize, u64)) -> Result<Svd> {
    let ((m, n), dtype) = (lens(a), a.dtype());
    if k == 0 || k > m.min(n) {
        let (what, got) = ("number of singular values", format!("{k} of a matrix of {m} by {n}"));
        return Err(ExprError::Parameter { what, got, expected: "from 1 to the lesser length" }.into());
    }
    let width = (k + OVERSAMPLED).min(m.min(n));
    let real = if matches!(dtype, DType::F32 | DType::C32) { DType::F32 } else { DType::F64 };
    let normal = Dist::Normal { mean: 0.0, std: 1.0 };
    let sketch = Expr::random(&[n, width], &Chunks::Auto, real, seed, normal)?.cast(dtype)?;
    let range = |of: Expr| -> Result<Expr> { Ok(both(&of)?.0) };
    let mut q = range(a.dot(&sketch)?)?;
    let other = adjoint(a)?;
    for _ in 0..n_iterations {
        q = range(a.dot(&range(other.dot(&q)?)?)?)?;
    }
    let Svd { u, s, vt } = svd(&adjoint(&q)?.dot(a)?)?;
    let s = s.slice(&[SliceArg::Range { start: 0, end: Some(k as isize), step: 1 }])?;
    Ok(Svd { u: q.dot(&columns(&u, 0..k)?)?, s, vt: rows(&vt, 0..k)? })
}

/// The singular value below which others are taken for 0: so much of the greatest one.
fn threshold(s: &Expr, share: f64) -> Result<Expr> {
    let share = constant(&[], s.dtype(), share)?;
    Ok(s.reduce(Fold::Max, &[0])?.binary(BinaryOp::Mul, &share)?)
}

/// What of the greatest singular value is taken for 0 where nothing is said, as NumPy has it.
fn share(a: &Expr) -> f64 {
    let (m, n) = lens(a);
    let unit =
        if matches!(a.dtype(), DType::F32 | DType::C32) { f64::from(f32::EPSILON) } else { f64::EPSILON };
    m.max(n) as f64 * unit
}

fn pinv(a: &Expr, share: f64) -> Result<Expr> {
    let (m, n) = lens(a);
    if share.is_nan() || share < 0.0 {
        let (what, got) = ("the share of the greatest singular value", share.to_string());
        return Err(ExprError::Parameter { what, got, expected: "0 or more" }.into());
    }
    if m.min(n) == 0 {
        return constant(&[n, m], a.dtype(), 0.0);
    }
    let Svd { u, s, vt } = svd(a)?;
    let (zero, one) = (constant(&[], s.dtype(), 0.0)?, constant(&[], s.dtype(), 1.0)?);
    let counts = s.binary(BinaryOp::Gt, &threshold(&s, share)?)?;
    let inverse = counts.select(&one.binary(BinaryOp::Div, &s)?, &zero)?.cast(a.dtype())?;
    Ok(adjoint(&vt)?.binary(BinaryOp::Mul, &inverse)?.dot(&adjoint(&u)?)?)
}

fn rank(a: &Expr) -> Result<Expr> {
    if a.is_empty() {
        return constant(&[], DType::U64, 0.0);
    }
    let s = values(a)?;
    let counts = s.binary(BinaryOp::Gt, &threshold(&s, share(a))?)?;
    Ok(counts.cast(DType::U64)?.reduce(Fold::Sum, &[0])?)
}

impl<A: Field, S: Data<Elem = A>> ArrayBase<S, Ix2, A> {
    /// U, the singular values and Vᴴ, lazily: this matrix is `u · diag(s) · vt`, of as many columns, values and rows as its lesser
    /// length k. The values are falling.
    ///
    /// A matrix that is not square is brought to a square one by QR first, as [`Array::qr`] makes it, so that it may have any
    /// number of rows (or of columns). One task holds that square of k by k, and 12 times its bytes beside it: where no worker
    /// has that memory, the computation says so. Elements that are not finite are an error of the computation.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a: Array2<f64> = random::in_chunks([100, 4]).normal((500, 4), 0.0, 1.0, 1);
    /// let (u, s, vt) = a.svd();
    /// assert!((&a - &(&u * &s).dot(&vt)).abs().max() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_svd`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn svd(&self) -> SvdOf<A> {
        or_panic(self.try_svd())
    }

    /// [`Array::svd`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_svd(&self) -> Result<SvdOf<A>> {
        let Svd { u, s, vt } = svd(&self.leaf()?)?;
        Ok((Array::of_expr(u), Array::of_expr(s), Array::of_expr(vt)))
    }

    /// The singular values alone, lazily, falling; as [`Array::svd`], with 8 times the square's bytes.
    ///
    /// # Panics
    /// Where [`Array::try_svdvals`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn svdvals(&self) -> Array1<A::Real> {
        or_panic(self.try_svdvals())
    }

    /// [`Array::svdvals`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_svdvals(&self) -> Result<Array1<A::Real>> {
        Ok(Array::of_expr(values(&self.leaf()?)?))
    }

    /// The `k` greatest singular values with their vectors, lazily, by random projection: `n_power_iter` times more passes over
    /// the matrix make it sharper, and the seed says which projection. No task holds more than some chunks and k + 10 columns.
    ///
    /// With σ the first singular value that is left out, l = k + 10 columns of the projection, and m the matrix's lesser length,
    /// the expected distance of the matrix from what U, s and Vᴴ of all l make is at most
    /// (1 + 4·√(l·m) / 9)^(1 / (2·`n_power_iter` + 1)) · σ (Halko, Martinsson and Tropp, 2011, 10.6 and 10.10).
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x: Array2<f64> = random::in_chunks([100, 3]).normal((400, 3), 0.0, 1.0, 1);
    /// let y: Array2<f64> = random::in_chunks([3, 100]).normal((3, 300), 0.0, 1.0, 2);
    /// let a = x.dot(&y);
    /// let (u, s, vt) = a.svd_compressed(3, 1, 42);
    /// assert!((&a - &(&u * &s).dot(&vt)).abs().max() < 1e-10);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_svd_compressed`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn svd_compressed(&self, k: usize, n_power_iter: usize, seed: u64) -> SvdOf<A> {
        or_panic(self.try_svd_compressed(k, n_power_iter, seed))
    }

    /// [`Array::svd_compressed`] that returns what goes wrong.
    ///
    /// # Errors
    /// A `k` of 0, or beyond the lesser length.
    pub fn try_svd_compressed(&self, k: usize, n_power_iter: usize, seed: u64) -> Result<SvdOf<A>> {
        let Svd { u, s, vt } = compressed(&self.leaf()?, k, (n_power_iter, seed))?;
        Ok((Array::of_expr(u), Array::of_expr(s), Array::of_expr(vt)))
    }

    /// The pseudo-inverse, lazily, of Moore and Penrose: singular values of at most this share of the greatest one are taken for
    /// 0; without one, of the greater length times the rounding unit, as NumPy has it.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[2.0f64, 0.0], [0.0, 0.0], [0.0, 4.0]]);
    /// let p = a.pinv(None).compute();
    /// assert!((p - ndarray::arr2(&[[0.5, 0.0, 0.0], [0.0, 0.0, 0.25]])).iter().all(|d| d.abs() < 1e-15));
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_pinv`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn pinv(&self, rcond: Option<f64>) -> Array2<A> {
        or_panic(self.try_pinv(rcond))
    }

    /// [`Array::pinv`] that returns what goes wrong.
    ///
    /// # Errors
    /// A share that is negative or NaN.
    pub fn try_pinv(&self, rcond: Option<f64>) -> Result<Array2<A>> {
        let a = self.leaf()?;
        Ok(Array::of_expr(pinv(&a, rcond.unwrap_or_else(|| share(&a)))?))
    }

    /// How many singular values are greater than the greatest one times the greater length times the rounding unit: a lazy array
    /// without dimensions.
    ///
    /// # Panics
    /// Where [`Array::try_matrix_rank`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn matrix_rank(&self) -> Array0<u64> {
        or_panic(self.try_matrix_rank())
    }

    /// [`Array::matrix_rank`] that returns what goes wrong.
    ///
    /// # Errors
    /// None in practice.
    pub fn try_matrix_rank(&self) -> Result<Array0<u64>> {
        Ok(Array::of_expr(rank(&self.leaf()?)?))
    }

    /// The condition: the greatest singular value over the least one, infinity of a singular matrix. A lazy array without
    /// dimensions.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[10.0f64, 0.0], [0.0, 2.0]]);
    /// assert!((a.cond().sum() - 5.0).abs() < 1e-14);
    /// assert_eq!(a.matrix_rank().sum(), 2);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_cond`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn cond(&self) -> Array0<A::Real> {
        or_panic(self.try_cond())
    }

    /// [`Array::cond`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix without elements.
    pub fn try_cond(&self) -> Result<Array0<A::Real>> {
        let s = values(&self.leaf()?)?;
        let (most, least) = (s.reduce(Fold::Max, &[0])?, s.reduce(Fold::Min, &[0])?);
        Ok(Array::of_expr(most.binary(BinaryOp::Div, &least)?))
    }

    /// The eigenvalues, rising, and an eigenvector in each column, lazily, of a matrix that is its own adjoint: only its lower
    /// triangle is looked at.
    ///
    /// One task holds the whole matrix, whatever its chunks, and 8 times its bytes beside it, and works on one thread: where no
    /// worker has that memory, the computation says so. Elements that are not finite are an error of the computation.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = arr2(&[[2.0f64, 1.0], [1.0, 2.0]]);
    /// let (values, vectors) = a.eigh();
    /// assert!((values.compute() - ndarray::arr1(&[1.0, 3.0])).iter().all(|d| d.abs() < 1e-14));
    /// assert!((a.dot(&vectors) - &vectors * &values).abs().max() < 1e-14);
    /// ```
    ///
    /// # Panics
    /// Where [`Array::try_eigh`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn eigh(&self) -> (Array1<A::Real>, Array2<A>) {
        or_panic(self.try_eigh())
    }

    /// [`Array::eigh`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_eigh(&self) -> Result<(Array1<A::Real>, Array2<A>)> {
        let (values, vectors) = eigen(&self.leaf()?, Step::Eigh)?;
        Ok((Array::of_expr(values), Array::of_expr(vectors)))
    }

    /// The eigenvalues alone, rising: as [`Array::eigh`], with 4 times the matrix's bytes.
    ///
    /// # Panics
    /// Where [`Array::try_eigvalsh`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn eigvalsh(&self) -> Array1<A::Real> {
        or_panic(self.try_eigvalsh())
    }

    /// [`Array::eigvalsh`] that returns what goes wrong.
    ///
    /// # Errors
    /// A matrix that is not square.
    pub fn try_eigvalsh(&self) -> Result<Array1<A::Real>> {
        Ok(Array::of_expr(eigen(&self.leaf()?, Step::EighValues)?.0))
    }
}

/// Eigenvalues, and vectors if the step gives them.
fn eigen(a: &Expr, how: Step) -> Result<(Expr, Expr)> {
    let n = check_square("the matrix of eigenvalues", a)?;
    if n == 0 {
        return Ok((real(&constant(&[0], a.dtype(), 0.0)?)?, a.clone()));
    }
    let n_rows = if how == Step::Eigh { n + 1 } else { 1 };
    let (grid, out) = ([whole(n), whole(n)], [whole(n_rows), whole(n)]);
    let made = step((how, &[]), &[(&gathered(a)?, &[ALL; 2])], (&grid, &out))?;
    Ok((real(&row(&made, 0)?)?, rows(&made, 1..n_rows)?))
}
