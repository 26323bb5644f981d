//! Statistics of variables that are the rows of a matrix, with the names of `ndarray-stats`.
//!
//! Must not know how products are computed.

use super::kinds::on_all_of;
use super::operand::scalar;
use super::{Array, lazily, operators};
use crate::error::Result;
use ndarray::{Axis, Ix2};
use num_traits::{Float, FromPrimitive};
use tilework_expr::{BinaryOp, ExprError};

on_all_of!(Ix2, { A: 'static + Float + FromPrimitive } {
    /// The covariances of the rows, each a variable with an observation in every column: the products of their
    /// distances from their means, added up and divided by `n - ddof`. Lazily where the matrix is lazy or large. A NaN
    /// makes the covariances of its row NaN, as in NumPy.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let a = array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]];
    /// assert_eq!(a.cov(1.0).unwrap(), array![[4.0, 4.0], [4.0, 4.0]]);
    /// ```
    ///
    /// # Errors
    /// No rows or no columns.
    ///
    /// # Panics
    /// If `ddof` is below 0 or not below the number of columns.
    #[track_caller]
    pub fn cov(&self, ddof: A) -> Result<Array<A, Ix2>> {
        let shape = self.shape().to_vec();
        let n = A::from_usize(shape[1]).expect("a float for every length");
        if shape.contains(&0) {
            return Err(ExprError::NoElements { fold: "covariance".into(), shape, axes: vec![1] }.into());
        }
        assert!(ddof >= A::zero() && ddof < n, "`ddof` must be at least 0 and below the number of columns");
        let mean = self.mean_axis(Axis(1)).expect("there are columns").insert_axis(Axis(1));
        let distance = operators::new(BinaryOp::Sub, self, &mean, A::sub);
        let divisor = n - ddof;
        let divide = |expr: &tilework_expr::Expr| Ok(expr.binary(BinaryOp::Div, &scalar(&divisor)?)?);
        Ok(lazily::array(&distance.dot(&distance.t()), divide, |a| a.mapv(|x| x / divisor)))
    }
});
