//! Functions of the user's: of elements, of chunks, of chunks with their neighbours, along an axis, of the index.

use super::elementwise::together;
use crate::blocks::{Along, BlockFunction, Blocks, Front, Read};
use crate::chunks::{AUTO_CHUNK_BYTES, Chunks};
use crate::dtype::DType;
use crate::error::ExprError;
use crate::graph::{Attachment, Expr};
use crate::kernel::{Halo, Kernel};
use crate::op::Op;
use std::sync::Arc;
use tilework_plan::Grid;

impl Expr {
    /// A function of the elements of arrays of one shape.
    ///
    /// # Errors
    /// [`ExprError::NoArrays`], [`ExprError::Broadcast`] where the shapes differ, [`ExprError::MixedDTypes`] where an
    /// array has another dtype than the function takes.
    pub fn apply(kernel: Kernel, arrays: &[Expr]) -> Result<Expr, ExprError> {
        let first = arrays.first().ok_or(ExprError::NoArrays { op: "a function of elements" })?;
        if let Some(other) = arrays.iter().find(|a| a.shape() != first.shape()) {
            return Err(ExprError::Broadcast { left: first.shape(), right: other.shape() });
        }
        takes(&kernel, arrays)?;
        let (inputs, grid) = together(&arrays.iter().collect::<Vec<_>>())?;
        let output = kernel.output;
        Expr::make(Op::Apply(Arc::new(kernel)), inputs, grid, output)
    }

    /// The array whose elements are a function of their index, which it takes as one `i64` for each axis. `instead` is
    /// for the client to use in its place ([`crate::Program::replacing`]).
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a shape that is too large.
    pub fn from_index(
        kernel: Kernel,
        shape: &[usize],
        chunks: &Chunks,
        instead: Attachment,
    ) -> Result<Expr, ExprError> {
        let grid = chunks.grid(shape, kernel.output)?;
        let index = |axis| Expr::make(Op::Index { axis }, vec![], grid.clone(), DType::I64);
        let inputs = (0..shape.len()).map(index).collect::<Result<Vec<_>, _>>()?;
        takes(&kernel, &inputs)?;
        let dtype = kernel.output;
        let of_index = Expr::make(Op::Apply(Arc::new(kernel)), inputs, grid, dtype)?;
        Ok(of_index.with(instead))
    }

    /// A function of each chunk, which gives the chunk of the result.
    ///
    /// # Errors
    /// [`ExprError::MixedDTypes`] where the array has another dtype than the function takes.
    pub fn map_blocks(&self, kernel: Kernel) -> Result<Expr, ExprError> {
        self.near(kernel, &vec![Halo::NONE; self.ndim()], Front::MapBlocks)
    }

    /// A function of each chunk with the elements around it.
    ///
    /// # Errors
    /// [`ExprError::Axes`] for another number of halos than of axes; [`ExprError::Parameter`] for a depth beyond the
    /// length of its axis; [`ExprError::MixedDTypes`] where a boundary's value or the array has another dtype.
    pub fn map_overlap(&self, kernel: Kernel, halo: &[Halo]) -> Result<Expr, ExprError> {
        self.near(kernel, halo, Front::MapOverlap)
    }

    fn near(&self, kernel: Kernel, halo: &[Halo], front: Front) -> Result<Expr, ExprError> {
        takes(&kernel, std::slice::from_ref(self))?;
        let read = Read::Box(self.around(halo)?);
        let function = BlockFunction::User(Arc::new(kernel), front);
        let blocks = Blocks { function, reads: vec![read], space: self.grid().clone(), gives: None };
        Expr::of_blocks(blocks, std::slice::from_ref(self), self.grid())
    }

    /// How the array is read by chunks of its own grid with what is around them.
    ///
    /// # Errors
    /// As [`Expr::map_overlap`].
    pub fn around(&self, halo: &[Halo]) -> Result<Vec<Along>, ExprError> {
        if halo.len() != self.ndim() {
            let (axes, ndim) = ((0..halo.len()).collect(), self.ndim());
            return Err(ExprError::Axes { axes, ndim, expected: "one halo for each axis" });
        }
        let one = |(axis, halo): (usize, &Halo)| Ok(Along::Near { axis, halo: halo.along(axis, self)? });
        halo.iter().enumerate().map(one).collect()
    }

    /// A function that folds an axis in the order of its positions. Where the axis is in several chunks it is put into
    /// one, and the other axes are cut so that chunks keep about their size.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`]; [`ExprError::MixedDTypes`] where the array has another dtype than the function
    /// takes.
    pub fn fold_axis(&self, kernel: Kernel, axis: usize) -> Result<Expr, ExprError> {
        takes(&kernel, std::slice::from_ref(self))?;
        self.without(BlockFunction::User(Arc::new(kernel), Front::FoldAxis), axis)
    }

    /// What a function makes of whole lanes along an axis, one element each; the axis is put into one chunk.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`].
    pub fn without(&self, function: BlockFunction, axis: usize) -> Result<Expr, ExprError> {
        let input = self.whole_along(axis)?;
        let kept: Vec<usize> = (0..self.ndim()).filter(|&a| a != axis).collect();
        let grid = input.grid().select(&kept);
        let along = |a: usize| match a.cmp(&axis) {
            std::cmp::Ordering::Less => Along::same(a),
            std::cmp::Ordering::Equal => Along::All,
            std::cmp::Ordering::Greater => Along::same(a - 1),
        };
        let reads = vec![Read::Box((0..self.ndim()).map(along).collect())];
        Expr::of_blocks(Blocks { function, reads, space: grid.clone(), gives: None }, &[input], &grid)
    }

    /// The array with one axis in a single chunk: itself, where it is so; else the other axes are cut so that chunks keep
    /// about their size.
    ///
    /// # Errors
    /// [`ExprError::AxisOutOfRange`].
    pub fn whole_along(&self, axis: usize) -> Result<Expr, ExprError> {
        let ndim = self.ndim();
        if axis >= ndim {
            return Err(ExprError::AxisOutOfRange { axis, ndim });
        }
        if self.grid().axes()[axis].n_chunks() == 1 {
            return Ok(self.clone());
        }
        let size = self.dtype().size();
        let target = (self.grid().chunk_len_max() * size).max(AUTO_CHUNK_BYTES.min(self.len() * size)).max(1);
        let along = self.shape()[axis] * size;
        let rest: Vec<usize> = (0..self.ndim()).filter(|&a| a != axis).map(|a| self.shape()[a]).collect();
        let others = Chunks::Bytes((target / along.max(1)).max(1) * size).grid(&rest, self.dtype())?;
        let mut axes = others.axes().to_vec();
        axes.insert(axis, tilework_plan::AxisGrid::whole(self.shape()[axis]));
        self.on_grid(Grid::new(axes))
    }
}

/// Checks the arrays' dtypes against those that a function takes.
fn takes(kernel: &Kernel, arrays: &[Expr]) -> Result<(), ExprError> {
    let (got, expected) = (arrays.iter().map(Expr::dtype), kernel.inputs.iter().copied());
    if let Some((left, right)) = got.zip(expected).find(|(g, e)| g != e) {
        return Err(ExprError::MixedDTypes { op: kernel.name.clone(), left, right });
    }
    if arrays.len() != kernel.inputs.len() {
        let got = format!("{} arrays", arrays.len());
        return Err(ExprError::Parameter {
            what: "arguments of a function",
            got,
            expected: "as many as it takes",
        });
    }
    Ok(())
}
