//! From the feeds of a task to operands: one strided array for each input that a task reads through a view. Where a
//! single feed holds all of it the array is the feed's own memory, else the pieces are copied together.
//!
//! Knows views, boxes and copies. Must not know operations.

use crate::chunk::{Buffer, Plane, row_major};
use crate::copy::{Layout, copy_box_parallel};
use crate::feed::{Feed, KernelError};
use crate::pool::check;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tilework_expr::{DType, Lowered, Work};
use tilework_plan::{
    AxisMap, InputMap, Region, Stage, StageIdx, View, outputs_within, region_len, region_shape,
};

/// What one task works on.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub lowered: &'a Lowered,
    pub stage: StageIdx,
    pub feeds: &'a [Feed],
    pub stop: &'a AtomicBool,
}

/// An input as a strided array over the task's box.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    /// The memory.
    pub plane: Plane,
    /// Elements from the plane's first element to the one at the box's origin.
    pub offset: i64,
    /// Elements from one position to the next along each axis of the box; 0 where the input is repeated.
    pub strides: Vec<i64>,
}

impl Operand {
    /// Where the element at the box's origin is.
    pub(crate) fn ptr(&self) -> *const u8 {
        self.plane.as_ptr().wrapping_offset(self.offset as isize * self.plane.dtype().size() as isize)
    }
}

impl<'a> Task<'a> {
    /// The stage that it is one of.
    pub(crate) fn shape(&self) -> &'a Stage {
        self.lowered.plan.stage(self.stage)
    }

    /// What it does.
    pub(crate) fn work(&self) -> &'a Work {
        self.lowered.work(self.stage)
    }

    /// The dtype of its result.
    pub(crate) fn dtype(&self) -> DType {
        self.work().dtype()
    }

    /// The stage's name, for messages.
    pub(crate) fn name(&self) -> &'static str {
        self.shape().name
    }

    /// The view through which input `slot` is read.
    pub(crate) fn view(&self, slot: usize) -> Result<&'a View, KernelError> {
        match self.shape().inputs.get(slot).map(|i| &i.map) {
            Some(InputMap::View { view, .. }) => Ok(view),
            other => {
                Err(self.bad(slot, format!("got {other:?}, expected an input that is read through a view")))
            }
        }
    }

    pub(crate) fn bad(&self, slot: usize, reason: String) -> KernelError {
        KernelError::BadFeed { slot, reason: format!("{} task: {reason}", self.name()) }
    }

    /// The feeds of input `slot` with their only plane, checked against the input's dtype.
    pub(crate) fn planes(&self, slot: usize) -> Result<Vec<(&'a Region, &'a Plane)>, KernelError> {
        let stage = self.shape();
        let input =
            stage.inputs.get(slot).ok_or_else(|| self.bad(slot, "the stage has no such input".into()))?;
        let dtype = self.lowered.dtype(input.stage);
        let of_slot = self.feeds.iter().filter(|f| f.slot == slot);
        let planes = of_slot.map(|f| self.plane(f, dtype).map(|p| (&f.region, p)));
        let planes: Vec<(&Region, &Plane)> = planes.collect::<Result<_, _>>()?;
        let ndim = self.lowered.plan.stage(input.stage).out_grid.ndim();
        if let Some((r, _)) = planes.iter().find(|(r, _)| r.len() != ndim) {
            return Err(self.bad(slot, format!("got a box of {} axes, expected {ndim}", r.len())));
        }
        Ok(planes)
    }

    fn plane(&self, feed: &'a Feed, dtype: DType) -> Result<&'a Plane, KernelError> {
        let [plane] = feed.chunk.planes.as_slice() else {
            return Err(self.bad(feed.slot, format!("got {} planes, expected one", feed.chunk.planes.len())));
        };
        self.check_plane(feed, plane, dtype)?;
        Ok(plane)
    }

    /// Whether a plane is of this dtype and of its feed's shape.
    pub(crate) fn check_plane(&self, feed: &Feed, plane: &Plane, dtype: DType) -> Result<(), KernelError> {
        let shape = region_shape(&feed.region);
        if plane.dtype() != dtype || plane.shape() != shape {
            let got = format!("got {} of shape {:?}", plane.dtype(), plane.shape());
            return Err(self.bad(feed.slot, format!("{got}, expected {dtype} of shape {shape:?}")));
        }
        Ok(())
    }

    /// Input `slot` over a box that is not empty.
    pub(crate) fn operand(&self, slot: usize, region: &Region) -> Result<Operand, KernelError> {
        let view = self.view(slot)?;
        let image = view.image(region);
        let planes = self.planes(slot)?;
        let whole = planes
            .iter()
            .find(|(r, _)| r.iter().zip(&image).all(|(r, i)| r.start <= i.start && i.end <= r.end));
        match whole {
            Some((covers, plane)) => Ok(borrow(view, region, covers, plane)),
            None => self.gather(slot, view, region, &planes),
        }
    }

    fn gather(
        &self,
        slot: usize,
        view: &View,
        region: &Region,
        planes: &[(&Region, &Plane)],
    ) -> Result<Operand, KernelError> {
        let input = &self.shape().inputs[slot];
        let dtype = self.lowered.dtype(input.stage);
        // The temporary has the input's axes in the input's order, so that rows stay rows.
        let shape: Vec<usize> = view.axes.iter().map(|m| read_len(*m, region)).collect();
        let strides = row_major(&shape);
        let (expected, mut got) = (shape.iter().product::<usize>(), 0);
        if overlap(planes) {
            return Err(self.bad(slot, "got boxes that overlap".into()));
        }
        let mut buffer = Buffer::uninit(expected * dtype.size());
        for (covers, plane) in planes {
            check(self.stop)?;
            let Some(part) = Part::of(view, region, covers, plane, &strides) else { continue };
            got += part.shape.iter().product::<usize>();
            let layout = Layout { shape: &part.shape, from: &part.from, to: &strides };
            let step = dtype.size() as isize;
            // SAFETY: the part lies within the feed's plane and, by `outputs_within`, within the temporary.
            unsafe {
                let src = plane.as_ptr().wrapping_offset(part.src * step);
                copy_box_parallel(
                    dtype.size(),
                    &layout,
                    src,
                    buffer.as_mut_ptr().wrapping_offset(part.dst * step),
                );
            }
        }
        if got != expected {
            return Err(KernelError::MissingInput { stage: self.name(), slot, got, expected });
        }
        // SAFETY: the parts are disjoint (the boxes do not overlap) and together they are the whole.
        let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
        let mut by_axis = vec![0; region.len()];
        for (map, &s) in view.axes.iter().zip(&strides) {
            if let AxisMap::Along { axis, .. } = *map {
                by_axis[axis] = s as i64;
            }
        }
        Ok(Operand { plane: Plane::row_major_at(dtype, shape, buffer, 0), offset: 0, strides: by_axis })
    }
}

/// Whether two of the boxes share a position.
fn overlap(planes: &[(&Region, &Plane)]) -> bool {
    let meet = |a: &Region, b: &Region| a.iter().zip(b).all(|(a, b)| a.start.max(b.start) < a.end.min(b.end));
    planes.iter().enumerate().any(|(i, (a, _))| planes[..i].iter().any(|(b, _)| meet(a, b)))
}

fn read_len(map: AxisMap, region: &[Range<usize>]) -> usize {
    match map {
        AxisMap::Along { axis, .. } => region[axis].len(),
        AxisMap::At(_) => 1,
    }
}

/// The operand that lies in one feed's memory.
fn borrow(view: &View, region: &Region, covers: &Region, plane: &Plane) -> Operand {
    let (mut offset, mut strides) = (0i64, vec![0i64; region.len()]);
    for ((map, r), &s) in view.axes.iter().zip(covers).zip(plane.strides()) {
        let first = match *map {
            AxisMap::At(p) => p,
            AxisMap::Along { axis, start, step } => {
                strides[axis] = (step * s) as i64;
                start.wrapping_add_signed(step * region[axis].start as isize)
            }
        };
        offset += (first - r.start) as i64 * s as i64;
    }
    Operand { plane: plane.clone(), offset, strides }
}

/// What one feed contributes to a gathered operand.
struct Part {
    shape: Vec<usize>,
    from: Vec<isize>,
    src: isize,
    dst: isize,
}

impl Part {
    fn of(view: &View, region: &Region, covers: &Region, plane: &Plane, strides: &[isize]) -> Option<Part> {
        let mut part = Part { shape: Vec::new(), from: Vec::new(), src: 0, dst: 0 };
        for (((map, r), &s), &t) in view.axes.iter().zip(covers).zip(plane.strides()).zip(strides) {
            match *map {
                AxisMap::At(p) => {
                    if !r.contains(&p) {
                        return None;
                    }
                    part.shape.push(1);
                    part.from.push(0);
                    part.src += (p - r.start) as isize * s;
                }
                AxisMap::Along { axis, start, step } => {
                    let out = outputs_within(r.clone(), start, step, region[axis].clone());
                    if out.is_empty() {
                        return None;
                    }
                    let first = start.wrapping_add_signed(step * out.start as isize);
                    part.shape.push(out.len());
                    part.from.push(step * s);
                    part.src += (first - r.start) as isize * s;
                    part.dst += (out.start - region[axis].start) as isize * t;
                }
            }
        }
        Some(part)
    }
}

/// What a box shows of input `slot` along these of its axes: the feed's own memory where that holds just these elements,
/// else a copy.
pub(crate) fn seen(
    task: &Task<'_>,
    slot: usize,
    (axes, region): (&[usize], &Region),
) -> Result<Plane, KernelError> {
    if axes.len() == region.len() && axes.iter().enumerate().all(|(i, a)| i == *a) {
        return materialise(task, slot, region);
    }
    let operand = task.operand(slot, region)?;
    let shape = axes.iter().map(|&a| region[a].len()).collect();
    let strides = axes.iter().map(|&a| operand.strides[a] as isize).collect();
    Ok(operand.plane.restrided(shape, strides, operand.offset as isize).detached())
}

/// Input `slot` over a box as a plane: the feed's own memory where that holds just these elements, else a copy.
pub(crate) fn materialise(task: &Task<'_>, slot: usize, region: &Region) -> Result<Plane, KernelError> {
    let operand = task.operand(slot, region)?;
    let (shape, plane) = (region_shape(region), &operand.plane);
    let strides: Vec<isize> = operand.strides.iter().map(|&s| s as isize).collect();
    let repeats = strides.iter().zip(&shape).any(|(&s, &l)| s == 0 && l > 1);
    if !repeats && plane.buffer().len() == region_len(region) * plane.dtype().size() {
        return Ok(plane.restrided(shape, strides, operand.offset as isize));
    }
    check(task.stop)?;
    let size = plane.dtype().size();
    let mut buffer = Buffer::uninit(region_len(region) * size);
    let to = row_major(&shape);
    let layout = Layout { shape: &shape, from: &strides, to: &to };
    // SAFETY: the operand's elements over the box lie within its plane, and all of the buffer is written.
    let buffer = unsafe {
        copy_box_parallel(size, &layout, operand.ptr(), buffer.as_mut_ptr());
        buffer.assume_init().freeze()
    };
    Ok(Plane::row_major_at(plane.dtype(), shape, Arc::new(buffer), 0))
}
