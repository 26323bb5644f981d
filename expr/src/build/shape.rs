//! New chunks and new shapes.

use crate::chunks::{AUTO_CHUNK_BYTES, Chunks};
use crate::error::ExprError;
use crate::graph::Expr;
use crate::op::Op;
use crate::runs::run_grid;
use tilework_plan::Grid;

impl Expr {
    /// The same elements in other chunks.
    ///
    /// # Errors
    /// Chunks that do not fit the shape.
    pub fn rechunk(&self, chunks: &Chunks) -> Result<Expr, ExprError> {
        self.on_grid(chunks.grid(&self.shape(), self.dtype())?)
    }

    /// The same elements on a grid of the same shape.
    ///
    /// # Errors
    /// [`ExprError::Reshape`] where the grid has another shape.
    pub fn on_grid(&self, grid: Grid) -> Result<Expr, ExprError> {
        if grid.shape() != self.shape() {
            return Err(ExprError::Reshape { from: self.shape(), to: grid.shape() });
        }
        if grid == *self.grid() {
            return Ok(self.clone());
        }
        Expr::make(Op::Rechunk, vec![self.clone()], grid, self.dtype())
    }

    /// The same elements, in row-major order, in another shape.
    ///
    /// # Errors
    /// [`ExprError::Reshape`] where the shapes have different numbers of elements.
    pub fn reshape(&self, shape: &[usize]) -> Result<Expr, ExprError> {
        let count = |s: &[usize]| s.iter().try_fold(1usize, |n, &l| n.checked_mul(l));
        if shape.contains(&0) != self.is_empty() || !self.is_empty() && count(shape) != Some(self.len()) {
            return Err(ExprError::Reshape { from: self.shape(), to: shape.to_vec() });
        }
        if shape == self.shape() {
            return Ok(self.clone());
        }
        let len = self.grid().chunk_len_max().min(AUTO_CHUNK_BYTES / self.dtype().size());
        Expr::make(Op::Reshape, vec![self.clone()], run_grid(shape, len), self.dtype())
    }
}
