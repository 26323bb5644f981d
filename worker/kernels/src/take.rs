//! Tasks whose chunk is chosen positions of an axis, in any order.
//!
//! Knows boxes and copies. Must not know arithmetic.

use crate::chunk::{Buffer, Chunk, Plane, row_major};
use crate::copy::{Layout, copy_box};
use crate::feed::KernelError;
use crate::gather::Task;
use crate::pool::check;
use std::collections::BTreeMap;
use std::sync::Arc;
use tilework_plan::{ChunkIdx, InputMap, Region, region_len, region_shape};

/// Copies between two looks at whether the task is to stop.
const COPIES_UNCHECKED: usize = 1024;

/// Computes a task that takes positions of an axis.
pub(crate) fn take(task: &Task<'_>, chunk: ChunkIdx) -> Result<Chunk, KernelError> {
    let stage = task.shape();
    let Some(InputMap::Take(taken)) = stage.inputs.first().map(|i| &i.map) else {
        return Err(task.bad(0, "expected an input of which positions are taken".into()));
    };
    let (region, axis, dtype) = (stage.grid.region(chunk), taken.axis, task.dtype());
    let (shape, size) = (region_shape(&region), dtype.size());
    let strides = row_major(&shape);
    let expected = region_len(&region);
    let mut buffer = Buffer::uninit(expected * size);
    let sources: BTreeMap<usize, (&Region, &Plane)> =
        task.planes(0)?.into_iter().map(|(covers, plane)| (covers[axis].start, (covers, plane))).collect();
    let positions = if expected == 0 { &[] } else { taken.positions_of(&region[axis]) };
    let across = expected / positions.len().max(1);
    let mut at = 0;
    while at < positions.len() {
        if at.is_multiple_of(COPIES_UNCHECKED) {
            check(task.stop)?;
        }
        let missing =
            || KernelError::MissingInput { stage: task.name(), slot: 0, got: at * across, expected };
        let first = positions[at];
        let (_, &(covers, plane)) = sources.range(..=first).next_back().ok_or_else(missing)?;
        let beside = (0..shape.len()).all(|a| a == axis || covers[a] == region[a]);
        if !beside || !covers[axis].contains(&first) || plane.dtype() != dtype {
            return Err(missing());
        }
        // Evenly spaced positions of one chunk are copied together.
        let step = positions.get(at + 1).map_or(1, |&p| p as isize - first as isize);
        let even = |i: usize| first.wrapping_add_signed(step * i as isize);
        let run = (positions[at..].iter().enumerate())
            .take_while(|&(i, &p)| p == even(i) && covers[axis].contains(&p))
            .count();
        let (mut part, mut from) = (shape.clone(), plane.strides().to_vec());
        part[axis] = run;
        from[axis] *= step;
        let layout = Layout { shape: &part, from: &from, to: &strides };
        let src = (first - covers[axis].start) as isize * plane.strides()[axis] * size as isize;
        // SAFETY: the positions lie within the plane's box, which has the result's lengths along the other axes, and
        // their places among the result's within the buffer.
        unsafe {
            let dst = buffer.as_mut_ptr().add(at * strides[axis] as usize * size);
            copy_box(size, &layout, plane.as_ptr().wrapping_offset(src), dst);
        }
        at += run;
    }
    // SAFETY: the runs follow one another from the first position to the last, over whole other axes.
    let buffer = Arc::new(unsafe { buffer.assume_init().freeze() });
    Ok(Chunk { planes: vec![Plane::row_major_at(dtype, shape, buffer, 0)] })
}
