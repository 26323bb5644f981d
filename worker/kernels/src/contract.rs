//! Matrix products: blocks of the result over threads, the inner axis in fixed order over the chunks that the task
//! reads, without bringing a whole row or column of chunks together first.
//!
//! Every element is summed in the same order whatever the number of threads, the layout of the inputs and the sizes
//! of the processor's caches: panels of [`PANEL`] positions one after another, cut where chunks of an input end.
//!
//! Owns that order. Must not know how a panel's product is computed.

mod panel;

use crate::chunk::{Buffer, Chunk, Plane};
use crate::feed::KernelError;
use crate::gather::{Operand, Task};
use crate::map::even;
use crate::pool::{SendPtr, check, for_each};
use panel::PanelFn;
pub(crate) use panel::{Matrix, panel_fn};
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{AxisMap, CONTRACT_PIECE_MIN, ChunkIdx, Region, View, outputs_within, region_shape};

/// Inner positions that are summed before they are added to the result: as many as the product crate packs at once
/// on any processor.
pub(crate) const PANEL: usize = 512;
/// Rows and columns of a block of the result that one thread computes.
const SIDE: usize = 512;

/// A part of one input: the positions along the result's axis and along the inner axis that it has, and where.
struct Piece {
    outer: Range<usize>,
    inner: Range<usize>,
    /// The element at the first of both.
    matrix: Matrix,
}

/// One input.
struct Side {
    slot: usize,
    pieces: Vec<Piece>,
    /// Keeps a gathered input alive.
    _held: Option<Operand>,
}

/// Computes a matrix product task.
pub(crate) fn contract(task: &Task<'_>, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let stage = task.shape();
    let region = stage.grid.region(chunk);
    let dtype = task.dtype();
    let lens = region_shape(&region);
    let &[rows, cols, inner] = lens.as_slice() else {
        return Err(KernelError::Operation(format!("a matrix product over {} axes, expected 3", lens.len())));
    };
    let wrap = |buffer| Plane::row_major_at(dtype, vec![rows, cols], Arc::new(buffer), 0);
    if rows * cols * inner == 0 {
        let zeros = Buffer::zeroed(rows * cols * dtype.size()).freeze();
        return Ok(Chunk { planes: vec![wrap(zeros)] });
    }
    let f = panel_fn(dtype).ok_or_else(|| KernelError::Operation(format!("a matrix product of {dtype}")))?;
    let mut sides = [Side::of(task, 0, &region)?, Side::of(task, 1, &region)?];
    let mut inner_cuts = cuts(sides.iter().flat_map(|s| &s.pieces).map(|p| &p.inner), &region[2]);
    if inner_cuts.len() > 2 && inner / (inner_cuts.len() - 1) < CONTRACT_PIECE_MIN {
        sides = [Side::gathered(task, 0, &region)?, Side::gathered(task, 1, &region)?];
        inner_cuts = vec![region[2].start, region[2].end];
    }
    for (axis, side) in sides.iter().enumerate() {
        side.check_cover(task, &region[axis], &region[2])?;
    }
    let mut buffer = Buffer::uninit(rows * cols * dtype.size());
    let product = Product {
        sides: &sides,
        panels: inner_cuts.windows(2).flat_map(|w| panels(w[0]..w[1])).collect(),
        f,
        size: dtype.size(),
        region: &region,
        cols,
        out: SendPtr::new(buffer.as_mut_ptr()),
    };
    let blocks = product.blocks();
    let elements = rows * inner + inner * cols + rows * cols;
    for_each(blocks.len(), elements, |i| product.block(task, &blocks[i].0, &blocks[i].1))?;
    // SAFETY: the blocks cover the result, and each was written from its first panel on.
    Ok(Chunk { planes: vec![wrap(unsafe { buffer.assume_init().freeze() })] })
}

/// The ends of all ranges, rising, with those of `whole`.
fn cuts<'a>(ranges: impl Iterator<Item = &'a Range<usize>>, whole: &Range<usize>) -> Vec<usize> {
    let mut cuts: Vec<usize> =
        ranges.flat_map(|r| [r.start, r.end]).chain([whole.start, whole.end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// A range in panels.
fn panels(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let width = even(range.len(), PANEL, 8);
    range.clone().step_by(width).map(move |k| k..(k + width).min(range.end))
}

impl Side {
    /// The parts of input `slot` (0 by rows, 1 by columns) that the feeds have.
    fn of(task: &Task<'_>, slot: usize, region: &Region) -> Result<Side, KernelError> {
        let view = task.view(slot)?;
        let planes = task.planes(slot)?;
        let pieces =
            planes.iter().filter_map(|(covers, plane)| Piece::of((slot, view), region, covers, plane));
        Ok(Side { slot, pieces: pieces.collect(), _held: None })
    }

    /// The whole of input `slot` in one piece.
    fn gathered(task: &Task<'_>, slot: usize, region: &Region) -> Result<Side, KernelError> {
        let operand = task.operand(slot, region)?;
        let matrix = Matrix {
            ptr: operand.ptr(),
            outer: operand.strides[slot] as isize,
            inner: operand.strides[2] as isize,
        };
        let piece = Piece { outer: region[slot].clone(), inner: region[2].clone(), matrix };
        Ok(Side { slot, pieces: vec![piece], _held: Some(operand) })
    }

    /// Whether every position is in exactly one piece.
    fn check_cover(
        &self,
        task: &Task<'_>,
        outer: &Range<usize>,
        inner: &Range<usize>,
    ) -> Result<(), KernelError> {
        let got = self.pieces.iter().map(|p| p.outer.len() * p.inner.len()).sum();
        let expected = outer.len() * inner.len();
        let meet = |a: &Range<usize>, b: &Range<usize>| a.start.max(b.start) < a.end.min(b.end);
        let twice = |(i, a): (usize, &Piece)| {
            self.pieces[..i].iter().any(|b| meet(&a.outer, &b.outer) && meet(&a.inner, &b.inner))
        };
        if got != expected || self.pieces.iter().enumerate().any(twice) {
            return Err(KernelError::MissingInput { stage: task.name(), slot: self.slot, got, expected });
        }
        Ok(())
    }

    /// The matrix that starts at this position.
    fn at(&self, outer: usize, inner: usize, size: usize) -> Matrix {
        let piece = self.pieces.iter().find(|p| p.outer.contains(&outer) && p.inner.contains(&inner));
        let p = piece.expect("the pieces cover the task's box");
        let offset = p.matrix.outer * (outer - p.outer.start) as isize
            + p.matrix.inner * (inner - p.inner.start) as isize;
        Matrix { ptr: p.matrix.ptr.wrapping_offset(offset * size as isize), ..p.matrix }
    }
}

impl Piece {
    fn of((slot, view): (usize, &View), region: &Region, covers: &Region, plane: &Plane) -> Option<Piece> {
        let mut ranges = region.clone();
        let mut strides = [0isize; 3];
        let mut offset = 0;
        for ((map, r), &s) in view.axes.iter().zip(covers).zip(plane.strides()) {
            let first = match *map {
                AxisMap::At(p) => p,
                AxisMap::Along { axis, start, step } => {
                    ranges[axis] = outputs_within(r.clone(), start, step, ranges[axis].clone());
                    strides[axis] = step * s;
                    start.wrapping_add_signed(step * ranges[axis].start as isize)
                }
            };
            if !r.contains(&first) || ranges.iter().any(Range::is_empty) {
                return None;
            }
            offset += (first - r.start) as isize * s;
        }
        let ptr = plane.as_ptr().wrapping_offset(offset * plane.dtype().size() as isize);
        let matrix = Matrix { ptr, outer: strides[slot], inner: strides[2] };
        Some(Piece { outer: ranges[slot].clone(), inner: ranges[2].clone(), matrix })
    }
}

/// One task's product.
struct Product<'a> {
    sides: &'a [Side; 2],
    /// The inner axis in the order in which it is summed.
    panels: Vec<Range<usize>>,
    f: PanelFn,
    size: usize,
    region: &'a Region,
    cols: usize,
    out: SendPtr,
}

// SAFETY: the matrices lie in shared, immutable memory that the task's feeds keep.
unsafe impl Sync for Product<'_> {}

impl Product<'_> {
    /// Blocks of the result, none of which crosses an end of a piece.
    fn blocks(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let along = |axis: usize| -> Vec<Range<usize>> {
            let cuts = cuts(self.sides[axis].pieces.iter().map(|p| &p.outer), &self.region[axis]);
            let cut = |w: &[usize]| {
                let (start, end) = (w[0], w[1]);
                let width = even(end - start, SIDE, 8);
                (start..end).step_by(width).map(move |i| i..(i + width).min(end))
            };
            cuts.windows(2).flat_map(cut).collect()
        };
        let cols = along(1);
        along(0).into_iter().flat_map(|r| cols.iter().map(move |c| (r.clone(), c.clone()))).collect()
    }

    fn block(&self, task: &Task<'_>, rows: &Range<usize>, cols: &Range<usize>) -> Result<(), KernelError> {
        let (r, c) = (rows.start - self.region[0].start, cols.start - self.region[1].start);
        let out = self.out.add((r * self.cols + c) * self.size);
        for (i, k) in self.panels.iter().enumerate() {
            check(task.stop)?;
            let a = self.sides[0].at(rows.start, k.start, self.size);
            let b = self.sides[1].at(cols.start, k.start, self.size);
            // SAFETY: the block and the panel lie within one piece of each input (blocks and panels end where pieces
            // do), and no other thread writes this block.
            unsafe { (self.f)((rows.len(), cols.len(), k.len()), (a, b), (out, self.cols), i > 0) };
        }
        Ok(())
    }
}
