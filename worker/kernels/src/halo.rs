//! Blocks of an input that are no chunks as they lie: with a halo, of whole axes, of single positions.
//!
//! Owns how such a block is put together, and how what lies beyond an array's edges is filled. Must not know what is done
//! with it.

use crate::chunk::{Buffer, Plane, row_major};
use crate::copy::{Layout, copy_box, copy_box_parallel};
use crate::feed::KernelError;
use crate::gather::Task;
use crate::pool::check;
use std::ops::Range;
use std::sync::Arc;
use tilework_expr::{Along, Boundary, DType, Halo, Scalar};
use tilework_plan::{Grid, Region};

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

/// What a block has along one axis of its input.
struct Extent {
    /// The parts that are elements of the array.
    pieces: Vec<Piece>,
    /// How long it is.
    len: usize,
    /// What is to be filled beyond the array's ends, around these positions of an axis of that length.
    beyond: Option<(Halo, Range<usize>, usize)>,
}

impl Extent {
    /// Of the task at `coords` of the space, along an axis of `len`.
    fn of(along: &Along, (space, coords): (&Grid, &[usize]), len: usize) -> Extent {
        let own = match *along {
            Along::Near { axis, .. } => space.axes()[axis].range(coords[axis]),
            Along::Number { axis } => coords[axis]..coords[axis] + 1,
            Along::All => 0..len,
        };
        match along.halo().filter(|_| !own.is_empty()) {
            Some(halo) => Extent {
                pieces: pieces(&halo, &own, len),
                len: halo.reach().padded_len(&own, len),
                beyond: Some((halo, own, len)),
            },
            None => Extent { len: own.len(), pieces: vec![Piece { at: 0, from: own }], beyond: None },
        }
    }
}

/// How many positions of a block come before those of its chunk, and how many those are, along each axis that has such.
pub(crate) fn inner(along: &[Along], (space, coords): (&Grid, &[usize])) -> Option<Region> {
    let one = |along: &Along| match *along {
        Along::Near { axis, halo } => {
            let own = space.axes()[axis].range(coords[axis]);
            let start = halo.reach().before(&own);
            Some(start..start + own.len())
        }
        Along::Number { .. } | Along::All => None,
    };
    along.iter().map(one).collect()
}

/// The box of an input that a task reads, whose place among the tasks is `at`.
pub(crate) fn block(
    task: &Task<'_>,
    slot: usize,
    along: &[Along],
    at: (&Grid, &[usize]),
) -> Result<Plane, KernelError> {
    let from = task.shape().inputs[slot].stage;
    let (grid, dtype) = (&task.lowered.plan.stage(from).out_grid, task.lowered.dtype(from));
    let extents: Vec<Extent> =
        along.iter().zip(grid.axes()).map(|(a, x)| Extent::of(a, at, x.len())).collect();
    let shape: Vec<usize> = extents.iter().map(|e| e.len).collect();
    if shape.contains(&0) {
        return Ok(Plane::row_major_at(dtype, shape, Arc::new(Buffer::zeroed(0).freeze()), 0));
    }
    let planes = task.planes(slot)?;
    // What lies in one chunk, with nothing around it, is read where it lies.
    if let [(covers, plane)] = planes.as_slice()
        && extents.iter().all(|e| e.beyond.is_none())
        && extents
            .iter()
            .zip(covers.iter())
            .all(|(e, r)| r.start <= e.pieces[0].from.start && e.pieces[0].from.end <= r.end)
    {
        let part: Region = extents
            .iter()
            .zip(covers.iter())
            .map(|(e, r)| e.pieces[0].from.start - r.start..e.pieces[0].from.end - r.start)
            .collect();
        return Ok(plane.slice(&part));
    }
    padded(task, slot, (extents, shape, dtype), &planes)
}

/// The parts of a block, copied together, with what lies beyond the array's edges.
fn padded(
    task: &Task<'_>,
    slot: usize,
    (extents, shape, dtype): (Vec<Extent>, Vec<usize>, DType),
    planes: &[(&Region, &Plane)],
) -> Result<Plane, KernelError> {
    let (size, strides) = (dtype.size(), row_major(&shape));
    let inside = extents.iter().map(|e| e.pieces.iter().map(|p| p.from.len()).sum::<usize>());
    let (expected, mut got) = (inside.product::<usize>(), 0);
    let mut buffer = Buffer::uninit(shape.iter().product::<usize>() * size);
    for (covers, plane) in planes {
        check(task.stop)?;
        for_each_choice(&extents, &mut |choice| {
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
        return Err(KernelError::MissingInput { stage: task.name(), slot, got, expected });
    }
    for (axis, extent) in extents.iter().enumerate() {
        let Some((halo, range, len)) = &extent.beyond else { continue };
        check(task.stop)?;
        let room = Room { shape: &shape, strides: &strides, size, ptr: buffer.as_mut_ptr() };
        // SAFETY: the positions of the axes before this one are filled, those of this one are where there are
        // elements of the array.
        unsafe { room.fill_beyond(axis, halo, (range, *len)) }
    }
    // SAFETY: the elements of the array are copied, and what lies beyond them is filled axis by axis.
    let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
    Ok(Plane::row_major_at(dtype, shape, buffer, 0))
}

/// Calls `f` with every choice of one piece along each axis.
fn for_each_choice(by_axis: &[Extent], f: &mut impl FnMut(&[&Piece])) {
    fn go<'a>(by_axis: &'a [Extent], chosen: &mut Vec<&'a Piece>, f: &mut impl FnMut(&[&Piece])) {
        let Some((first, rest)) = by_axis.split_first() else { return f(chosen) };
        for piece in &first.pieces {
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
        let before = halo.reach().before(range);
        let first = before as isize - range.start as isize;
        for p in 0..self.shape[axis] {
            let at = p as isize - first;
            if (0..len as isize).contains(&at) {
                continue;
            }
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
            // SAFETY: the depth is at most the axis' length, and where there is a mirror image as much is read on either
            // side (`Halo::mirrors`, which is checked with the program): the source is an element of the array within
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
