//! From expressions to values: computing one array or several in one run, and keeping results on the workers. Must not know
//! where the workers are.

use super::Array;
use super::kind::node::in_shape;
use super::kind::source::Source;
use super::kinds::on_arrays;
use crate::error::{Result, or_panic};
use crate::session::{self, Session};
use ndarray::Dimension;
use tilework_expr::{Element, Expr};
use tilework_kernels::Chunk;

on_arrays!({ A: Element } {
    /// Computes the array on the current session and returns it as ndarray's; copies the elements where they are
    /// here already.
    ///
    /// # Errors
    /// A failed or lost computation; a result above the session's limit for gathering.
    pub fn try_compute(&self) -> Result<ndarray::Array<A, D>> {
        if !self.is_unknown() {
            return Ok(self.here().to_owned());
        }
        let expr = Source::leaf(self)?;
        Ok(assemble(&expr, session::run(std::slice::from_ref(&expr))?.remove(0)))
    }

    /// Computes the array on the current session and returns it as ndarray's.
    ///
    /// # Panics
    /// Where `try_compute` returns an error.
    #[must_use]
    #[track_caller]
    pub fn compute(&self) -> ndarray::Array<A, D> {
        or_panic(self.try_compute())
    }

    /// Computes the array on a session.
    ///
    /// # Errors
    /// As `try_compute`.
    pub fn try_compute_on(&self, session: &Session) -> Result<ndarray::Array<A, D>> {
        let expr = Source::leaf(self)?;
        let mut chunks = session.run(std::slice::from_ref(&expr))?;
        Ok(assemble(&expr, chunks.remove(0)))
    }

    /// Computes the array and keeps its chunks on the workers; the returned array reads them there, or fetches them
    /// where it is computed on another session. They are dropped when the last array that uses them is.
    ///
    /// # Errors
    /// A failed or lost computation.
    pub fn try_persist(&self) -> Result<Array<A, D>> {
        let mut held = session::persist(&[Source::leaf(self)?])?;
        Ok(Array::of_expr(held.remove(0)))
    }

    /// Computes the array on a session and keeps its chunks on the workers there.
    ///
    /// # Errors
    /// As `try_persist`.
    pub fn try_persist_on(&self, session: &Session) -> Result<Array<A, D>> {
        let mut held = session.persist(&[Source::leaf(self)?])?;
        Ok(Array::of_expr(held.remove(0)))
    }

    /// Computes the array and keeps its chunks on the workers.
    ///
    /// # Panics
    /// Where `try_persist` returns an error.
    #[must_use]
    #[track_caller]
    pub fn persist(&self) -> Array<A, D> {
        or_panic(self.try_persist())
    }
});

/// Puts the chunks of a result, in order, into one ndarray array.
fn assemble<A: Element, D: Dimension>(expr: &Expr, chunks: Vec<Chunk>) -> ndarray::Array<A, D> {
    in_shape(expr, crate::session::gather::values::<A>(expr.grid(), chunks))
}

/// Arrays that are computed together: a tuple of up to eight references to arrays, or a slice of arrays.
pub trait ComputeAll {
    /// ndarray's arrays in the same arrangement.
    type Output;
    /// Arrays of the workers in the same arrangement.
    type Persisted;
    /// The expressions in order.
    ///
    /// # Errors
    /// An array that has none: one of too many dimensions.
    fn exprs(&self) -> Result<Vec<Expr>>;
    /// The values in the same arrangement.
    ///
    /// # Errors
    /// A result that is not what its expression says.
    fn gather(&self, chunks: Vec<Vec<Chunk>>) -> Result<Self::Output>;
    /// Arrays of expressions that stand for them, in order, in the same arrangement.
    fn held(&self, exprs: Vec<Expr>) -> Self::Persisted;
}

impl<A: Element, D: Dimension> ComputeAll for [Array<A, D>] {
    type Output = Vec<ndarray::Array<A, D>>;
    type Persisted = Vec<Array<A, D>>;
    fn exprs(&self) -> Result<Vec<Expr>> {
        self.iter().map(Array::leaf).collect()
    }
    fn gather(&self, chunks: Vec<Vec<Chunk>>) -> Result<Self::Output> {
        self.iter().zip(chunks).map(|(a, c)| Ok(assemble(&a.leaf()?, c))).collect()
    }
    fn held(&self, exprs: Vec<Expr>) -> Self::Persisted {
        exprs.into_iter().map(Array::of_expr).collect()
    }
}

impl<A: Element, D: Dimension> ComputeAll for Vec<Array<A, D>> {
    type Output = Vec<ndarray::Array<A, D>>;
    type Persisted = Vec<Array<A, D>>;
    fn exprs(&self) -> Result<Vec<Expr>> {
        self.as_slice().exprs()
    }
    fn gather(&self, chunks: Vec<Vec<Chunk>>) -> Result<Self::Output> {
        self.as_slice().gather(chunks)
    }
    fn held(&self, exprs: Vec<Expr>) -> Self::Persisted {
        self.as_slice().held(exprs)
    }
}

macro_rules! compute_all_tuple {
    ($($a:ident $d:ident $i:tt),+) => {
        impl<$($a: Element, $d: Dimension),+> ComputeAll for ($(&Array<$a, $d>,)+) {
            type Output = ($(ndarray::Array<$a, $d>,)+);
            type Persisted = ($(Array<$a, $d>,)+);
            fn exprs(&self) -> Result<Vec<Expr>> {
                Ok(vec![$(self.$i.leaf()?),+])
            }
            fn gather(&self, chunks: Vec<Vec<Chunk>>) -> Result<Self::Output> {
                let mut chunks = chunks.into_iter();
                Ok(($(assemble(&self.$i.leaf()?, chunks.next().unwrap_or_default()),)+))
            }
            fn held(&self, exprs: Vec<Expr>) -> Self::Persisted {
                let mut exprs = exprs.into_iter();
                ($(Array::<$a, $d>::of_expr(exprs.next().expect("as many as there are arrays")),)+)
            }
        }
    };
}
compute_all_tuple!(A0 D0 0);
compute_all_tuple!(A0 D0 0, A1 D1 1);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2, A3 D3 3);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2, A3 D3 3, A4 D4 4);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2, A3 D3 3, A4 D4 4, A5 D5 5);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2, A3 D3 3, A4 D4 4, A5 D5 5, A6 D6 6);
compute_all_tuple!(A0 D0 0, A1 D1 1, A2 D2 2, A3 D3 3, A4 D4 4, A5 D5 5, A6 D6 6, A7 D7 7);

/// Computes several arrays in one run on the current session; what they share is computed once. The results are ndarray's,
/// in this process; [`try_persist_all`] leaves them on the workers.
///
/// # Errors
/// As [`Array::try_compute`].
pub fn try_compute_all<T: ComputeAll + ?Sized>(arrays: &T) -> Result<T::Output> {
    let chunks = session::run(&arrays.exprs()?)?;
    arrays.gather(chunks)
}

/// Computes several arrays in one run on the current session; what they share is computed once. The results are ndarray's,
/// in this process; [`persist_all`] leaves them on the workers, for programs that go on with them.
///
/// # Panics
/// Where [`try_compute_all`] returns an error.
#[track_caller]
pub fn compute_all<T: ComputeAll + ?Sized>(arrays: &T) -> T::Output {
    or_panic(try_compute_all(arrays))
}

/// Computes several arrays in one run and keeps their chunks on the workers, as [`Array::try_persist`] does of one; what
/// they share is computed once.
///
/// # Errors
/// As [`Array::try_persist`].
pub fn try_persist_all<T: ComputeAll + ?Sized>(arrays: &T) -> Result<T::Persisted> {
    Ok(arrays.held(session::persist(&arrays.exprs()?)?))
}

/// Computes several arrays in one run and keeps their chunks on the workers, as [`Array::persist`] does of one; what they
/// share is computed once. So the coupled variables of a solver are computed, step by step:
///
/// ```
/// use tilework::prelude::*;
///
/// let mut x: Array1<f64> = Array::in_chunks(250).linspace(-1.0, 1.0, 1000);
/// let mut v: Array1<f64> = Array::in_chunks(250).zeros(1000);
/// for _ in 0..10 {
///     v = &v - &(&x * 0.01);
///     x = &x + &(&v * 0.01);
///     (x, v) = persist_all(&(&x, &v));
/// }
/// assert!(x.sum().abs() < 1e-12 && v.dot(&v) > 0.0);
/// ```
///
/// # Panics
/// Where [`try_persist_all`] returns an error.
#[must_use]
#[track_caller]
pub fn persist_all<T: ComputeAll + ?Sized>(arrays: &T) -> T::Persisted {
    or_panic(try_persist_all(arrays))
}
