//! Tasks that call a function of the user's with a block: a chunk, a chunk with its halo, or a chunk along an axis.
//!
//! Owns how a halo is put around a block. Must not know what the function does.

use crate::chunk::{Buffer, Chunk, Plane, row_major};
use crate::copy::{Layout, copy_box, copy_box_parallel};
use crate::feed::KernelError;
use crate::gather::{Task, materialise};
use crate::native::call_block;
use crate::pool::check;
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::{Boundary, Halo, Kernel, Scalar};
use tilework_plan::{ChunkIdx, Region, region_len, region_shape};

/// Computes a task whose chunk a function makes of the input's box, with what it sees of the neighbours.
pub(crate) fn blocks(
    task: &Task<'_>,
    kernel: &Arc<Kernel>,
    (region, halo): (&Region, Option<&[Halo]>),
) -> Result<Chunk, KernelError> {
    if region_len(region) == 0 {
        return Ok(empty(kernel, region_shape(region)));
    }
    let shape = region_shape(region);
    let Some(halo) = halo else {
        let input = materialise(task, 0, region)?;
        let made = call_block(kernel, &input, 0)?;
        return fits(kernel, made, &[&shape]);
    };
    let shape_of_all = task.shape().grid.shape();
    let input = padded(task, region, halo, &shape_of_all)?;
    let made = call_block(kernel, &input, 0)?;
    let chunk = fits(kernel, made, &[&shape, input.shape()])?;
    if chunk.planes[0].shape() == shape {
        return Ok(chunk);
    }
    let own = halo.iter().zip(region).map(|(h, r)| h.reach().before(r)..h.reach().before(r) + r.len());
    // A copy, so that the halo's memory does not live as long as the chunk.
    Ok(Chunk { planes: vec![chunk.planes[0].slice(&own.collect::<Vec<_>>()).to_contiguous()] })
}

/// Computes a task whose chunk is its input's box with an axis folded by a function.
pub(crate) fn fold_axis(
    task: &Task<'_>,
    kernel: &Arc<Kernel>,
    axis: usize,
    chunk: ChunkIdx,
) -> Result<Chunk, KernelError> {
    let shape = region_shape(&task.lowered.plan.out_region(task.stage, chunk));
    let region = task.shape().grid.region(chunk);
    if shape.contains(&0) {
        return Ok(empty(kernel, shape));
    }
    let input = match region[axis].is_empty() {
        true => {
            let dtype = kernel.inputs[0];
            Plane::row_major_at(dtype, region_shape(&region), Arc::new(Buffer::zeroed(0).freeze()), 0)
        }
        false => materialise(task, 0, &region)?,
    };
    let made = call_block(kernel, &input, axis)?;
    fits(kernel, made, &[&shape])
}

fn empty(kernel: &Kernel, shape: Vec<usize>) -> Chunk {
    let buffer = Arc::new(Buffer::zeroed(0).freeze());
    Chunk { planes: vec![Plane::row_major_at(kernel.output, shape, buffer, 0)] }
}

/// What a function made, if it is of one of the shapes.
fn fits(kernel: &Kernel, made: Plane, shapes: &[&[usize]]) -> Result<Chunk, KernelError> {
    if made.dtype() == kernel.output && shapes.contains(&made.shape()) {
        return Ok(Chunk { planes: vec![made] });
    }
    let expected: Vec<String> = shapes.iter().map(|s| format!("{s:?}")).collect();
    Err(KernelError::Operation(format!(
        "{} gave a block of {} of shape {:?}, expected {} of shape {}",
        kernel.name,
        made.dtype(),
        made.shape(),
        kernel.output,
        expected.join(" or ")
    )))
}

/// A part of a block along one axis: where it is in the block, and where in the array.
#[derive(Clone)]
struct Piece {
    at: usize,
    from: Range<usize>,
}

/// The parts of a block over `range` that are elements of the array.
fn pieces(halo: &Halo, range: &Range<usize>, len: usize) -> Vec<Piece> {
    let [around, before, behind] = halo.reach().within(range, len);
    let start = halo.reach().before(range);
    let end = halo.reach().padded_len(range, len);
    let at = start - (range.start - around.start);
    let all = [
        Piece { at: 0, from: before },
        Piece { at, from: around },
        Piece { at: end - behind.len(), from: behind },
    ];
    all.into_iter().filter(|p| !p.from.is_empty()).collect()
}

/// The only input over a box with its halo.
fn padded(task: &Task<'_>, region: &Region, halo: &[Halo], whole: &[usize]) -> Result<Plane, KernelError> {
    let planes = task.planes(0)?;
    let dtype = task.lowered.dtype(task.shape().inputs[0].stage);
    let (size, axes) = (dtype.size(), halo.iter().zip(region).zip(whole));
    let by_axis: Vec<Vec<Piece>> = axes.clone().map(|((h, r), &l)| pieces(h, r, l)).collect();
    let shape: Vec<usize> = axes.map(|((h, r), &l)| h.reach().padded_len(r, l)).collect();
    let strides = row_major(&shape);
    let inside = by_axis.iter().map(|p| p.iter().map(|p| p.from.len()).sum::<usize>());
    let (expected, mut got) = (inside.product::<usize>(), 0);
    let mut buffer = Buffer::uninit(shape.iter().product::<usize>() * size);
    for (covers, plane) in &planes {
        check(task.stop)?;
        for_each_choice(&by_axis, &mut |choice| {
            let Some(part) = Part::of(choice, covers, plane, &strides) else { return };
            got += part.shape.iter().product::<usize>();
            let layout = Layout { shape: &part.shape, from: plane.strides(), to: &strides };
            let src = plane.as_ptr().wrapping_offset(part.src * size as isize);
            let dst = buffer.as_mut_ptr().wrapping_offset(part.dst * size as isize);
            // SAFETY: the part lies within the feed's plane and, as a part of one piece along each axis, within the
            // block.
            unsafe { copy_box_parallel(size, &layout, src, dst) }
        });
    }
    if got != expected {
        return Err(KernelError::MissingInput { stage: task.name(), slot: 0, got, expected });
    }
    for (axis, h) in halo.iter().enumerate() {
        check(task.stop)?;
        let range = &region[axis];
        let room = Room { shape: &shape, strides: &strides, size, ptr: buffer.as_mut_ptr() };
        // SAFETY: the positions of the axes before this one are filled, those of this one are where there are
        // elements of the array.
        unsafe { room.fill_beyond(axis, h, (range, whole[axis])) }
    }
    // SAFETY: the elements of the array are copied, and what lies beyond them is filled axis by axis.
    let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
    Ok(Plane::row_major_at(dtype, shape, buffer, 0))
}

/// Calls `f` with every choice of one piece along each axis.
fn for_each_choice(by_axis: &[Vec<Piece>], f: &mut impl FnMut(&[&Piece])) {
    fn go<'a>(by_axis: &'a [Vec<Piece>], chosen: &mut Vec<&'a Piece>, f: &mut impl FnMut(&[&Piece])) {
        let Some((first, rest)) = by_axis.split_first() else { return f(chosen) };
        for piece in first {
            chosen.push(piece);
            go(rest, chosen, f);
            chosen.pop();
        }
    }
    go(by_axis, &mut Vec::with_capacity(by_axis.len()), f);
}

/// What one feed has of one piece along each axis.
struct Part {
    shape: Vec<usize>,
    /// Elements from the feed's first.
    src: isize,
    /// Elements from the block's first.
    dst: isize,
}

impl Part {
    fn of(choice: &[&Piece], covers: &Region, plane: &Plane, strides: &[isize]) -> Option<Part> {
        let mut part = Part { shape: Vec::with_capacity(choice.len()), src: 0, dst: 0 };
        for (((piece, r), &s), &t) in choice.iter().zip(covers).zip(plane.strides()).zip(strides) {
            let shared = piece.from.start.max(r.start)..piece.from.end.min(r.end);
            if shared.is_empty() {
                return None;
            }
            part.src += (shared.start - r.start) as isize * s;
            part.dst += (piece.at + shared.start - piece.from.start) as isize * t;
            part.shape.push(shared.len());
        }
        Some(part)
    }
}

/// A block that is being filled.
struct Room<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    size: usize,
    ptr: *mut u8,
}

impl Room<'_> {
    /// Fills what lies beyond the ends of the array along one axis, from what is there.
    ///
    /// # Safety
    /// The block has room for its shape; its positions are filled but for those beyond the ends along this axis and
    /// later ones.
    unsafe fn fill_beyond(&self, axis: usize, halo: &Halo, (range, len): (&Range<usize>, usize)) {
        let (before, d) = (halo.reach().before(range), halo.depth);
        let first = before as isize - range.start as isize;
        for p in 0..self.shape[axis] {
            let at = p as isize - first;
            if (0..len as isize).contains(&at) {
                continue;
            }
            debug_assert!(at.unsigned_abs() <= len + d);
            let from = match halo.boundary {
                Boundary::None | Boundary::Periodic => continue,
                Boundary::Nearest => at.clamp(0, len as isize - 1),
                Boundary::Reflect if at < 0 => -1 - at,
                Boundary::Reflect => 2 * len as isize - 1 - at,
                Boundary::Constant(value) => {
                    // SAFETY: promised by the caller.
                    unsafe { self.fill_slab(axis, p, value) };
                    continue;
                }
            };
            // SAFETY: the depth is at most the axis' length, so that the source is an element of the array within
            // reach of the block.
            unsafe { self.copy_slab(axis, (from + first) as usize, p) }
        }
    }

    /// # Safety
    /// Both positions are within the block.
    unsafe fn copy_slab(&self, axis: usize, from: usize, to: usize) {
        let mut shape = self.shape.to_vec();
        shape[axis] = 1;
        let layout = Layout { shape: &shape, from: self.strides, to: self.strides };
        let at = |p: usize| self.ptr.wrapping_offset(p as isize * self.strides[axis] * self.size as isize);
        // SAFETY: two slabs of the block that share no position.
        unsafe { copy_box(self.size, &layout, at(from), at(to)) }
    }

    /// # Safety
    /// The position is within the block.
    unsafe fn fill_slab(&self, axis: usize, to: usize, value: Scalar) {
        let bits = value.bits();
        let mut shape = self.shape.to_vec();
        shape[axis] = 1;
        let zeros = vec![0; shape.len()];
        let layout = Layout { shape: &shape, from: &zeros, to: self.strides };
        let at = self.ptr.wrapping_offset(to as isize * self.strides[axis] * self.size as isize);
        // SAFETY: every element of the slab is a copy of the one value, whose little-endian bytes come first.
        unsafe { copy_box(self.size, &layout, (&raw const bits).cast(), at) }
    }
}
