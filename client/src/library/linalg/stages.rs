//! Stages of factorisations: blocks of matrices by ranges of rows and columns, adjoints, identities, and tasks that say what
//! they take of memory.
//!
//! Must not know any factorisation.

use super::super::stage;
use super::constant;
use crate::array::chunks_of;
use crate::error::Result;
use std::ops::Range;
use tilework_expr::{Along, BinaryOp, DType, Expr, ExprError, Read, SliceArg, UnaryOp};
use tilework_kernels::library::linalg::Step;
use tilework_plan::{AxisGrid, Grid};

/// The most bytes of a block of whole columns, or of a square, that one task holds for a factorisation in several tasks. It takes
/// a few times as much.
pub(super) const TASK_BYTES: usize = 128 << 20;

/// An input of a step, and which of its positions a task reads.
pub(super) type Input<'a> = (&'a Expr, &'a [Along]);

/// All of an axis.
pub(super) const ALL: Along = Along::All;

/// The positions of the task's own rows.
pub(super) fn own(axis: usize) -> Along {
    Along::same(axis)
}

/// A stage of tasks that each do a step, over a space, of which each chunk makes one of the result.
pub(super) fn step(
    (step, params): (Step, &[usize]),
    inputs: &[Input<'_>],
    (space, out): (&[AxisGrid], &[AxisGrid]),
) -> Result<Expr> {
    let dtype = inputs[0].0.dtype();
    let inputs: Vec<(&Expr, Read)> =
        inputs.iter().map(|(e, along)| (*e, Read::Box(along.to_vec()))).collect();
    stage(step.of(dtype, params), &inputs, &Grid::new(space.to_vec()), &Grid::new(out.to_vec()))
}

/// The lengths of a matrix.
pub(super) fn lens(expr: &Expr) -> (usize, usize) {
    (expr.shape()[0], expr.shape()[1])
}

/// An axis in one chunk.
pub(super) fn whole(len: usize) -> AxisGrid {
    AxisGrid::whole(len)
}

/// A matrix in one chunk.
pub(super) fn gathered(expr: &Expr) -> Result<Expr> {
    Ok(expr.on_grid(Grid::whole(&expr.shape()))?)
}

/// Some rows and columns.
pub(super) fn part(expr: &Expr, rows: Range<usize>, columns: Range<usize>) -> Result<Expr> {
    let range =
        |r: Range<usize>| SliceArg::Range { start: r.start as isize, end: Some(r.end as isize), step: 1 };
    Ok(expr.slice(&[range(rows), range(columns)])?)
}

/// Some rows.
pub(super) fn rows(expr: &Expr, range: Range<usize>) -> Result<Expr> {
    part(expr, range, 0..expr.shape()[1])
}

/// Some columns.
pub(super) fn columns(expr: &Expr, range: Range<usize>) -> Result<Expr> {
    part(expr, 0..expr.shape()[0], range)
}

/// The transpose of the conjugate.
pub(super) fn adjoint(expr: &Expr) -> Result<Expr> {
    let transpose = expr.permute(&[1, 0])?;
    Ok(if expr.dtype().is_complex() { transpose.unary(UnaryOp::Conj)? } else { transpose })
}

/// The real part.
pub(super) fn real(expr: &Expr) -> Result<Expr> {
    Ok(if expr.dtype().is_complex() { expr.unary(UnaryOp::Re)? } else { expr.clone() })
}

/// Arrays side by side, but for those without elements.
pub(super) fn beside(axis: usize, parts: &[Expr]) -> Result<Expr> {
    let some: Vec<Expr> = parts.iter().filter(|p| p.shape()[axis] > 0).cloned().collect();
    Ok(Expr::concatenate(axis, if some.is_empty() { parts } else { &some })?)
}

/// Where the row number compares so with the column number, the elements, and zeros elsewhere.
pub(super) fn triangle(expr: &Expr, side: BinaryOp) -> Result<Expr> {
    let (shape, chunks) = (expr.shape(), chunks_of(expr.grid()));
    let [i, j] = [Expr::index(&shape, &chunks, 0)?, Expr::index(&shape, &chunks, 1)?];
    Ok(i.binary(side, &j)?.select(expr, &constant(&[], expr.dtype(), 0.0)?)?)
}

/// The identity in these chunks.
pub(super) fn identity(grid: &Grid, dtype: DType) -> Result<Expr> {
    let (shape, chunks) = (grid.shape(), chunks_of(grid));
    let [i, j] = [Expr::index(&shape, &chunks, 0)?, Expr::index(&shape, &chunks, 1)?];
    Ok(i.binary(BinaryOp::Eq, &j)?.cast(dtype)?)
}

/// Columns in blocks of their chunks, or of fewer where those have too many bytes; a block ends at `end`.
pub(super) fn column_blocks(expr: &Expr, end: usize) -> Vec<usize> {
    let most = (TASK_BYTES / (expr.shape()[0].max(1) * expr.dtype().size())).max(1);
    let axis = &expr.grid().axes()[1];
    let cuts = (0..axis.n_chunks()).flat_map(|i| {
        let range = axis.range(i);
        let middle = end.clamp(range.start, range.end);
        [range.start..middle, middle..range.end]
    });
    let pieces = cuts.flat_map(|r| {
        // In equal parts.
        let n = r.len().div_ceil(most).max(1);
        let len = r.len().div_ceil(n).max(1);
        r.clone().step_by(len).map(move |start| len.min(r.end - start)).collect::<Vec<_>>()
    });
    pieces.filter(|len| *len > 0).collect()
}

/// Whether a matrix is square.
pub(super) fn check_square(op: &'static str, expr: &Expr) -> Result<usize> {
    let (m, n) = lens(expr);
    if m == n {
        return Ok(n);
    }
    let got = format!("{m} by {n}");
    Err(ExprError::Parameter { what: op, got, expected: "a square one" }.into())
}

/// A right-hand side as a matrix of as many rows as `n`, and whether it was a vector.
pub(super) fn right_side(expr: &Expr, n: usize) -> Result<(Expr, bool)> {
    let shape = expr.shape();
    if shape.len() > 2 || shape.first() != Some(&n) {
        let (what, got) = ("the right side of a system", format!("shape {shape:?} for {n} rows"));
        return Err(
            ExprError::Parameter { what, got, expected: "a vector or a matrix of as many rows" }.into()
        );
    }
    Ok(if shape.len() == 1 { (expr.insert_axis(1)?, true) } else { (expr.clone(), false) })
}

/// A solution as the right-hand side was.
pub(super) fn as_it_was(solution: Expr, is_vector: bool) -> Result<Expr> {
    let all = SliceArg::Range { start: 0, end: None, step: 1 };
    Ok(if is_vector { solution.slice(&[all, SliceArg::At(0)])? } else { solution })
}
