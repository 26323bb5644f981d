//! Tasks that move elements and compute nothing: new shapes of the same row-major run, and parts of concatenations.
//!
//! Knows runs and boxes. Must not know arithmetic.

use crate::chunk::{Buffer, Chunk, Plane, row_major};
use crate::feed::KernelError;
use crate::gather::{Task, materialise};
use crate::pool::{SendPtr, check, for_each};
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{ChunkIdx, Region, flat_range, region_len, region_shape};

/// Bytes that one thread copies at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Computes a task that reads the row-major run of its chunk from the runs of others.
pub(crate) fn reshape(task: &Task<'_>, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let stage = task.shape();
    let want = flat_range(&stage.grid, chunk);
    let shape = region_shape(&stage.grid.region(chunk));
    let dtype = task.dtype();
    let Some(input) = stage.inputs.first() else { return Err(task.bad(0, "the stage has no input".into())) };
    let from_shape = task.lowered.plan.stage(input.stage).out_grid.shape();
    let planes = task.planes(0)?;
    let size = dtype.size();
    if let [(covers, plane)] = planes.as_slice()
        && plane.dtype() == dtype
        && plane.is_contiguous()
        && runs(covers, &from_shape).as_slice() == [(want.start, want.len())]
    {
        let plane = plane.restrided(shape.clone(), row_major(&shape), 0);
        return Ok(Chunk { planes: vec![plane] });
    }
    let mut buffer = Buffer::uninit(want.len() * size);
    let out = SendPtr::new(buffer.as_mut_ptr());
    let mut copied: Vec<Range<usize>> = Vec::new();
    for (covers, plane) in &planes {
        check(task.stop)?;
        if plane.dtype() != dtype {
            return Err(task.bad(0, format!("got {}, expected {dtype}", plane.dtype())));
        }
        let plane = plane.to_contiguous();
        let bytes = plane.contiguous_bytes().unwrap_or(&[]);
        let mut at = 0;
        for (start, len) in runs(covers, &from_shape) {
            let part = start.max(want.start)..(start + len).min(want.end);
            if !part.is_empty() {
                let src = &bytes[(at + part.start - start) * size..][..part.len() * size];
                let place = out.offset(((part.start - want.start) * size) as isize);
                for_each(src.len().div_ceil(PIECE_BYTES), part.len(), |i| {
                    let piece = &src[i * PIECE_BYTES..((i + 1) * PIECE_BYTES).min(src.len())];
                    let place = place.add(i * PIECE_BYTES);
                    // SAFETY: the part lies within the run that the buffer is made for; pieces do not overlap.
                    unsafe { std::ptr::copy_nonoverlapping(piece.as_ptr(), place, piece.len()) };
                    Ok(())
                })?;
                copied.push(part);
            }
            at += len;
        }
    }
    copied.sort_unstable_by_key(|r| r.start);
    let covered = copied.iter().fold(want.start, |at, r| if r.start <= at { at.max(r.end) } else { at });
    if covered != want.end {
        let (got, expected) = (covered - want.start, want.len());
        return Err(KernelError::MissingInput { stage: task.name(), slot: 0, got, expected });
    }
    // SAFETY: the copied parts cover the run without a gap.
    let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
    Ok(Chunk { planes: vec![Plane::row_major_at(dtype, shape, buffer, 0)] })
}

/// The row-major runs (start, length) that a box of an array consists of, in order.
fn runs(region: &Region, shape: &[usize]) -> Vec<(usize, usize)> {
    let strides = row_major(shape);
    // Axes from `split` on are whole, so that they and the one before make one run.
    let whole = |a: usize| region[a] == (0..shape[a]);
    let mut split = region.len();
    while split > 0 && whole(split - 1) {
        split -= 1;
    }
    let outer = split.saturating_sub(1);
    let len = region_len(&region[outer..]);
    let first: usize = region.iter().zip(&strides).map(|(r, &s)| r.start * s as usize).sum();
    let mut starts = vec![first];
    for a in (0..outer).rev() {
        let step = strides[a] as usize;
        starts = (0..region[a].len()).flat_map(|i| starts.iter().map(move |s| s + i * step)).collect();
    }
    if region_len(region) == 0 { Vec::new() } else { starts.into_iter().map(|s| (s, len)).collect() }
}

/// Computes a task whose chunk is a part of one of the inputs.
pub(crate) fn concat(task: &Task<'_>, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let stage = task.shape();
    let region = stage.grid.region(chunk);
    let shape = region_shape(&region);
    if region_len(&region) == 0 {
        let empty = Plane::row_major_at(task.dtype(), shape, Arc::new(Buffer::zeroed(0).freeze()), 0);
        return Ok(Chunk { planes: vec![empty] });
    }
    let Some(feed) = task.feeds.first() else {
        let expected = region_len(&region);
        return Err(KernelError::MissingInput { stage: task.name(), slot: 0, got: 0, expected });
    };
    let plane = materialise(task, feed.slot, &region)?;
    if plane.dtype() != task.dtype() {
        return Err(task.bad(feed.slot, format!("got {}, expected {}", plane.dtype(), task.dtype())));
    }
    Ok(Chunk { planes: vec![plane] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_runs() {
        assert_eq!(runs(&vec![1..3, 0..4], &[5, 4]), [(4, 8)]);
        assert_eq!(runs(&vec![1..3, 1..3], &[5, 4]), [(5, 2), (9, 2)]);
        assert_eq!(runs(&vec![2..3, 1..2, 0..7], &[3, 4, 7]), [(63, 7)]);
        assert_eq!(runs(&vec![0..2, 1..2, 0..1], &[2, 2, 2]), [(2, 1), (6, 1)]);
        assert_eq!(runs(&vec![], &[]), [(0, 1)]);
        assert_eq!(runs(&vec![0..0, 0..2], &[3, 2]), []);
    }
}
