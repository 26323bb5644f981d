//! Arrays put after one another or on top of one another.

use crate::check::{LISTED_CHUNKS_MAX, checked_bytes};
use crate::error::ExprError;
use crate::graph::Expr;
use crate::grid::{AxisGrid, Grid};
use crate::op::Op;

impl Expr {
    /// The arrays one after another along `axis`.
    ///
    /// # Errors
    /// [`ExprError::NoArrays`], [`ExprError::AxisOutOfRange`], [`ExprError::Concat`] where shapes differ along another
    /// axis, [`ExprError::MixedDTypes`].
    pub fn concatenate(axis: usize, arrays: &[Expr]) -> Result<Expr, ExprError> {
        let first = arrays.first().ok_or(ExprError::NoArrays { op: "concatenation" })?;
        if axis >= first.ndim() {
            return Err(ExprError::AxisOutOfRange { axis, ndim: first.ndim() });
        }
        for (at, a) in arrays.iter().enumerate() {
            let (got, want) = (a.shape(), first.shape());
            let same = got.len() == want.len() && (0..want.len()).all(|i| i == axis || got[i] == want[i]);
            if !same {
                return Err(ExprError::Concat { at, axis, got, first: want });
            }
            if a.dtype() != first.dtype() {
                let (left, right) = (first.dtype(), a.dtype());
                return Err(ExprError::MixedDTypes { op: "concatenation".into(), left, right });
            }
        }
        if arrays.len() == 1 {
            return Ok(first.clone());
        }
        // In numbers that hold the sum of lengths, which the grid below takes for granted.
        let mut shape = first.shape();
        shape[axis] = arrays.iter().map(|a| a.shape()[axis]).fold(0, usize::saturating_add);
        checked_bytes(&shape, first.dtype())?;
        let n_chunks = arrays.iter().map(|a| a.grid().axes()[axis].n_chunks()).fold(0, usize::saturating_add);
        if n_chunks > LISTED_CHUNKS_MAX {
            let (what, got) = ("number of chunks along the axis of a concatenation", n_chunks.to_string());
            return Err(ExprError::Parameter { what, got, expected: "at most 2^24; make them larger" });
        }
        let lens: Vec<usize> =
            arrays.iter().flat_map(|a| a.grid().axes()[axis].chunk_lens()).filter(|&l| l > 0).collect();
        let mut axes = first.grid().axes().to_vec();
        axes[axis] = if lens.is_empty() { AxisGrid::whole(0) } else { AxisGrid::explicit(&lens) };
        // The explicit boundaries hold every part's start: regular ones do too, for they are the same boundaries.
        Expr::make(Op::Concat { axis }, arrays.to_vec(), Grid::new(axes), first.dtype())
    }

    /// The arrays as the slices of a new axis.
    ///
    /// # Errors
    /// As [`Expr::concatenate`]; the new axis may stand behind the last.
    pub fn stack(axis: usize, arrays: &[Expr]) -> Result<Expr, ExprError> {
        let first = arrays.first().ok_or(ExprError::NoArrays { op: "stacking" })?;
        if let Some((at, a)) = arrays.iter().enumerate().find(|(_, a)| a.shape() != first.shape()) {
            return Err(ExprError::Concat { at, axis, got: a.shape(), first: first.shape() });
        }
        let arrays = arrays.iter().map(|a| a.insert_axis(axis)).collect::<Result<Vec<_>, _>>()?;
        Expr::concatenate(axis, &arrays)
    }
}
