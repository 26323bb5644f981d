//! Elementwise tasks: a fused program over a box, written to a new chunk.
//!
//! Owns how the box is cut into pieces for threads and blocks. Must not know how a block is computed.

use crate::chunk::{Buffer, Chunk, Plane};
use crate::feed::KernelError;
use crate::gather::{Task, materialise};
use crate::pool::{SendPtr, check, for_each, with_scratch};
use crate::program::{BLOCK, Bound, Program};
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::{Def, Fused};
use tilework_plan::{Region, region_len, region_shape};

/// Elements that one thread computes between two looks at the stop flag.
pub(crate) const PIECE: usize = 64 << 10;
/// Rows of a piece whose operands are read across the rows: two cache lines of `f64` in each column.
const STAGED_ROWS: usize = 16;
/// The most elements of such a piece.
const STAGED_PIECE: usize = 256 << 10;

/// The part of the space that one thread computes at a time, at least one row or a part of one.
pub(crate) fn piece_len(program: &Program, cols: usize) -> usize {
    if program.is_staged() { (cols * STAGED_ROWS).clamp(PIECE, STAGED_PIECE) } else { PIECE }
}

/// Cuts `0..len` into pieces of at most `most`, as equal as whole multiples of `unit` allow.
pub(crate) fn even(len: usize, most: usize, unit: usize) -> usize {
    let n = len.div_ceil(most).max(1);
    len.div_ceil(n).next_multiple_of(unit).min(most)
}

/// Computes an elementwise task.
pub(crate) fn map(task: &Task<'_>, fused: &Fused, region: &Region) -> Result<Chunk, KernelError> {
    let (shape, dtype) = (region_shape(region), fused.dtype());
    if region_len(region) == 0 {
        let empty = Plane::row_major_at(dtype, shape, Arc::new(Buffer::zeroed(0).freeze()), 0);
        return Ok(Chunk { planes: vec![empty] });
    }
    if let [value] = fused.values.as_slice()
        && let Def::Input { slot } = value.def
    {
        return Ok(Chunk { planes: vec![materialise(task, slot, region)?] });
    }
    let bound = Bound::new(task, fused, region)?;
    let split = row_axes(&bound, &shape);
    let axes: Vec<usize> = (0..shape.len()).collect();
    let program = bound.arrange(&axes[..split], &axes[split..])?;
    let rows: usize = shape[..split].iter().product();
    let cols: usize = shape[split..].iter().product();
    let mut buffer = Buffer::uninit(rows * cols * dtype.size());
    let out = Output { ptr: SendPtr::new(buffer.as_mut_ptr()), size: dtype.size(), cols };
    let piece = piece_len(&program, cols);
    let (piece_rows, piece_cols) = ((piece / cols).clamp(1, rows), even(cols, piece, BLOCK));
    let across = cols.div_ceil(piece_cols);
    let pieces = rows.div_ceil(piece_rows) * across;
    for_each(pieces, rows * cols, |i| {
        let (r, c) = (i / across * piece_rows, i % across * piece_cols);
        check(task.stop)?;
        out.piece(&program, r..(r + piece_rows).min(rows), c..(c + piece_cols).min(cols))
    })?;
    // SAFETY: the pieces cover all rows and columns, and each was written.
    let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
    Ok(Chunk { planes: vec![Plane::row_major_at(dtype, shape, buffer, 0)] })
}

/// How many leading axes are rows: the others are as one axis to every operand.
fn row_axes(bound: &Bound<'_>, shape: &[usize]) -> usize {
    let mut split = shape.len().saturating_sub(1);
    let mut inner = split;
    // `inner` is the nearest axis to the right of `split - 1` that is longer than one.
    while split > 0 {
        let outer = split - 1;
        let joins = |s: &[i64]| s[outer] == s[inner] * shape[inner] as i64;
        if shape[inner] == 1 {
            inner = outer;
        } else if shape[outer] != 1 {
            if !bound.strides().all(joins) {
                break;
            }
            inner = outer;
        }
        split = outer;
    }
    split
}

/// Where the result goes.
struct Output {
    ptr: SendPtr,
    size: usize,
    cols: usize,
}

impl Output {
    fn piece(&self, program: &Program, rows: Range<usize>, cols: Range<usize>) -> Result<(), KernelError> {
        with_scratch(program.scratch_bytes(rows.len() * cols.len()), |scratch| {
            // SAFETY: the scratch is ours for the call and as large as asked for.
            let mut run = unsafe { program.run(rows.clone(), cols.clone(), scratch) };
            let at = |row: usize, col: usize| self.ptr.add((row * self.cols + col) * self.size);
            if cols.len() * 2 <= BLOCK && cols.len() == self.cols {
                for row in rows.clone().step_by(BLOCK / cols.len()) {
                    let end = (row + BLOCK / cols.len()).min(rows.end);
                    // SAFETY: the block is in the run, and its place in the result is this piece's own.
                    unsafe { run.block(row..end, cols.clone(), at(row, cols.start))? };
                }
                return Ok(());
            }
            let width = even(cols.len(), BLOCK, 16);
            for row in rows.clone() {
                for col in cols.clone().step_by(width) {
                    let end = (col + width).min(cols.end);
                    // SAFETY: as above.
                    unsafe { run.block(row..row + 1, col..end, at(row, col))? };
                }
            }
            Ok(())
        })
    }
}
