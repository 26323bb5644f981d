//! What may stand on the right of an elementwise operation: arrays of any shape that broadcasts, and single
//! values.
//!
//! Must not know operations.

use super::{Array, scalar};
use crate::error::Result;
use ndarray::{DimMax, Dimension};
use tilework_expr::{BinaryOp, Element, Expr};

/// The second operand of an elementwise operation on an array with elements of `A` and dimension `D`: an
/// array (or a reference to one) that broadcasts with it, or a single value.
pub trait Operand<A: Element, D: Dimension> {
    /// The dimension of the result.
    type Dim: Dimension;

    /// The operand as an expression.
    ///
    /// # Errors
    /// None in practice.
    fn operand(self) -> Result<Expr>;
}

impl<A: Element, D: Dimension> Operand<A, D> for A {
    type Dim = D;
    fn operand(self) -> Result<Expr> {
        scalar(self)
    }
}

impl<A: Element, D: Dimension + DimMax<E>, E: Dimension> Operand<A, D> for &Array<A, E> {
    type Dim = <D as DimMax<E>>::Output;
    fn operand(self) -> Result<Expr> {
        Ok(self.expr.clone())
    }
}

impl<A: Element, D: Dimension + DimMax<E>, E: Dimension> Operand<A, D> for Array<A, E> {
    type Dim = <D as DimMax<E>>::Output;
    fn operand(self) -> Result<Expr> {
        Ok(self.expr)
    }
}

impl<A: Element, D: Dimension> Array<A, D> {
    /// An operation on each pair of elements; `B` is the element type that it gives for `A`.
    pub(super) fn binary<B: Element, T: Operand<A, D>>(
        &self,
        op: BinaryOp,
        rhs: T,
    ) -> Result<Array<B, T::Dim>> {
        Array::wrapped(self.expr.binary(op, &rhs.operand()?))
    }
}
