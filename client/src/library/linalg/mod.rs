//! Linear algebra: products and norms, which are made of what there is, and factorisations of matrices in chunks, whose
//! functions a worker has that is built with the feature `linalg`.
//!
//! Owns which elements have it and the checks of shapes that all of it shares. Must not know how blocks are factored.

mod einsum;
#[cfg(feature = "linalg")]
mod factor;
mod norm;
mod products;
#[cfg(feature = "linalg")]
mod qr;
#[cfg(feature = "linalg")]
mod solve;
#[cfg(feature = "linalg")]
mod stages;
#[cfg(feature = "linalg")]
mod svd;

pub use einsum::{Operands, einsum, try_einsum};
pub use norm::{MatrixNorm, Norm};
#[cfg(feature = "linalg")]
pub use solve::{LeastSquares, Triangle};
#[cfg(feature = "linalg")]
pub use svd::SvdOf;

use crate::array::{Array, Real};
use crate::error::{Error, Result};
use ndarray::{Dimension, LinalgScalar};
use tilework_expr::{Chunks, Complex, DType, Element, Expr, Scalar};

/// Elements of matrices that are factored: `f32`, `f64`, and complex numbers of both.
pub trait Field: Element + LinalgScalar {
    /// What norms and singular values are: `f32` or `f64`.
    type Real: Real;
}

macro_rules! fields {
    ($($t:ty)*) => { $(
        impl Field for $t {
            type Real = $t;
        }
        impl Field for Complex<$t> {
            type Real = $t;
        }
    )* };
}
fields! { f32 f64 }

/// An array of one number, of any dtype that has it.
fn constant(shape: &[usize], dtype: DType, value: f64) -> Result<Expr> {
    Ok(Expr::full(shape, &Chunks::Auto, Scalar::new(value))?.cast(dtype)?)
}

/// An expression as an array of the dimensions that its type says.
fn of_dims<A: Element, D: Dimension>(what: &str, expr: Expr) -> Result<Array<A, D>> {
    match D::NDIM {
        Some(expected) if expected != expr.ndim() => {
            Err(Error::Dimensions { what: what.to_owned(), got: expr.ndim(), expected })
        }
        _ => Ok(Array::of_expr(expr)),
    }
}
