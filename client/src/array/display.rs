//! Arrays as text: `{:?}` describes the array without computing it, `{}` computes and prints the values.

use super::Array;
use ndarray::Dimension;
use std::fmt;
use tilework_expr::{AxisGrid, Element};

/// Describes shape, element type and chunks. Computes nothing.
impl<A: Element, D: Dimension> fmt::Debug for Array<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array(shape {:?}, {}, chunks [", self.shape(), A::DTYPE)?;
        for (i, axis) in self.expr.grid().axes().iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match axis {
                AxisGrid::Regular { chunk, .. } => write!(f, "{comma}{}", (*chunk).min(axis.len()))?,
                AxisGrid::Explicit { .. } => {
                    write!(f, "{comma}{} of at most {}", axis.n_chunks(), axis.chunk_max())?;
                }
            }
        }
        let n = self.expr.grid().n_chunks();
        write!(f, "], {n} chunk{})", if n == 1 { "" } else { "s" })
    }
}

/// Computes the array and prints its values as ndarray does; where that fails, the description and the error.
impl<A: Element + fmt::Display, D: Dimension> fmt::Display for Array<A, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_compute() {
            Ok(values) => values.fmt(f),
            Err(error) => write!(f, "{self:?}: {error}"),
        }
    }
}
