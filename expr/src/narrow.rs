//! Files of which a plan reads parts: a part that views show is read by a stage of its own, where that takes less from
//! the file than the chunks in which the array is read.
//!
//! Knows plans, and what reading costs. Must not know how anything is read, nor how stages came about.

use crate::lowered::Work;
use std::collections::{BTreeMap, BTreeSet};
use tilework_plan::{
    AxisGrid, AxisMap, ChunkIdx, Extent, Grid, Input, InputMap, Origin, Plan, Stage, StageIdx, Steps, Stored,
    View, chunks_read, in_boxes,
};

/// Parts of one array that stages of their own read, at most.
const PARTS_MAX: usize = 1024;
/// Chunks that are looked at one by one, along an axis or of all that several views read of an array together.
const CHUNKS_LISTED_MAX: usize = 1 << 16;

/// An input: the stage that has it, and its place among the stage's inputs.
type Slot = (usize, usize);

/// What one or more inputs read of a file.
struct Part {
    steps: Vec<Steps>,
    grid: Grid,
    /// Who reads it, and through which view of the part.
    readers: Vec<(Slot, View)>,
}

/// Puts stages that read parts in the place of those that read whole chunks, where that is less.
pub(crate) fn narrow(plan: &mut Plan, works: &mut Vec<Work>) {
    let is_read = |stage: &Stage| matches!(stage.origin, Origin::File(_));
    if !plan.stages.iter().any(is_read) {
        return;
    }
    let mut readers: BTreeMap<usize, Vec<Slot>> = BTreeMap::new();
    for (i, stage) in plan.stages.iter().enumerate() {
        for (slot, input) in stage.inputs.iter().enumerate() {
            if is_read(plan.stage(input.stage)) {
                readers.entry(input.stage.0 as usize).or_default().push((i, slot));
            }
        }
    }
    let outputs: BTreeSet<usize> = plan.outputs.iter().map(|o| o.0 as usize).collect();
    let mut parts = BTreeMap::new();
    for (at, readers) in readers {
        if !outputs.contains(&at)
            && let Some(of_stage) = parts_of(plan, at, &readers)
        {
            parts.insert(at, of_stage);
        }
    }
    if !parts.is_empty() {
        replace(plan, works, parts);
    }
}

/// The parts of an array that its readers see, if all of them together are less than what they would read of chunks.
fn parts_of(plan: &Plan, at: usize, readers: &[Slot]) -> Option<Vec<Part>> {
    let stage = &plan.stages[at];
    let Origin::File(extent) = &stage.origin else { return None };
    if stage.grid.axes().iter().any(|axis| axis.n_chunks() > CHUNKS_LISTED_MAX) {
        return None;
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut known: BTreeMap<Vec<Steps>, usize> = BTreeMap::new();
    for &(to, slot) in readers {
        let reader = &plan.stages[to];
        let (steps, grid, view) = seen(reader, &reader.inputs[slot])?;
        let next = parts.len();
        let part = *known.entry(steps.clone()).or_insert(next);
        if part == next {
            if next == PARTS_MAX {
                return None;
            }
            parts.push(Part { steps, grid, readers: Vec::new() });
        }
        parts[part].readers.push(((to, slot), view));
    }
    let size = stage.element_bytes;
    let of_parts = parts.iter().map(|p| part_bytes(extent, p, size)).fold(0, u128::saturating_add);
    (of_parts < chunk_bytes(stage, extent, &parts)).then_some(parts)
}

/// The positions of a file that an input shows, the part's grid, and the view through which the part is read; `None`
/// for an input that shows all, or nothing, or in too many chunks.
fn seen(reader: &Stage, input: &Input) -> Option<(Vec<Steps>, Grid, View)> {
    let InputMap::View { view, clip } = &input.map else { return None };
    let (mut steps, mut axes, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for map in &view.axes {
        match *map {
            AxisMap::At(start) => {
                steps.push(Steps { start, step: 1, len: 1 });
                axes.push(AxisGrid::whole(1));
                maps.push(AxisMap::At(0));
            }
            AxisMap::Along { axis, start, step } => {
                let grid = &reader.grid.axes()[axis];
                if grid.n_chunks() > CHUNKS_LISTED_MAX {
                    return None;
                }
                let out = match clip {
                    Some((of, range)) if *of == axis => range.clone(),
                    _ => 0..grid.len(),
                };
                let last = out.len().checked_sub(1)?;
                let at = |i: usize| start.wrapping_add_signed(step.wrapping_mul(i as isize));
                let first = at(out.start).min(at(out.start + last));
                let step_len = if last == 0 { 1 } else { step.unsigned_abs() };
                steps.push(Steps { start: first, step: step_len, len: out.len() });
                let mut lens: Vec<usize> = (grid.chunks_touching(out.clone()))
                    .map(|c| grid.range(c))
                    .map(|r| r.end.min(out.end).saturating_sub(r.start.max(out.start)))
                    .filter(|&l| l > 0)
                    .collect();
                if step > 0 || last == 0 {
                    maps.push(AxisMap::Along { axis, start: 0usize.wrapping_sub(out.start), step: 1 });
                } else {
                    lens.reverse();
                    maps.push(AxisMap::Along { axis, start: last + out.start, step: -1 });
                }
                axes.push(AxisGrid::explicit(&lens));
            }
        }
    }
    Some((steps, Grid::new(axes), View { axes: maps }))
}

/// Bytes that reading a part chunk by chunk takes from the file.
fn part_bytes(extent: &Extent, part: &Part, itemsize: usize) -> u128 {
    let Stored::Boxes(lens) = &extent.stored else {
        return extent.stored.bytes(&extent.shape, &part.steps, itemsize).into();
    };
    // What is read of boxes is a product over the axes, chunk by chunk and so for all chunks.
    let axes = part.steps.iter().zip(part.grid.axes()).zip(lens.iter().zip(&extent.shape));
    let along = |((steps, grid), (&len, &axis_len)): ((&Steps, &AxisGrid), (&usize, &usize))| {
        let chunks = (0..grid.n_chunks()).map(|c| in_boxes(steps.part(&grid.range(c)), len, axis_len));
        chunks.fold(0, u128::saturating_add)
    };
    axes.map(along).fold(itemsize as u128, u128::saturating_mul)
}

/// Bytes that reading the chunks that hold the parts takes from the file; the least that it may be, where there are too
/// many of them to look.
fn chunk_bytes(stage: &Stage, extent: &Extent, parts: &[Part]) -> u128 {
    let (grid, size) = (&stage.grid, stage.element_bytes);
    let of_axis = |(s, axis): (&Steps, &AxisGrid)| chunks_read(axis, s.start, s.step as isize, 0..s.len);
    let touched: Vec<Vec<Vec<usize>>> =
        parts.iter().map(|p| p.steps.iter().zip(grid.axes()).map(of_axis).collect()).collect();
    let n = |lists: &Vec<Vec<usize>>| lists.iter().map(Vec::len).fold(1, usize::saturating_mul);
    if touched.iter().map(n).fold(0, usize::saturating_add) > CHUNKS_LISTED_MAX {
        let elements = |lists: &Vec<Vec<usize>>| {
            let along = |(chunks, axis): (&Vec<usize>, &AxisGrid)| {
                chunks.iter().map(|&c| axis.range(c).len() as u128).sum::<u128>()
            };
            lists.iter().zip(grid.axes()).map(along).fold(size as u128, u128::saturating_mul)
        };
        return touched.iter().map(elements).max().unwrap_or(0);
    }
    let mut chunks: BTreeSet<ChunkIdx> = BTreeSet::new();
    for lists in &touched {
        tilework_plan::for_product(lists, |at| _ = chunks.insert(grid.index(at)));
    }
    chunks.iter().map(|&c| u128::from(extent.bytes(&grid.region(c), size))).sum()
}

/// The plan with these stages' parts in their place.
fn replace(plan: &mut Plan, works: &mut Vec<Work>, mut parts: BTreeMap<usize, Vec<Part>>) {
    let (stages, does) = (std::mem::take(&mut plan.stages), std::mem::take(works));
    let mut now: Vec<StageIdx> = Vec::with_capacity(stages.len());
    let mut redirected: BTreeMap<Slot, (StageIdx, View)> = BTreeMap::new();
    for (i, (mut stage, work)) in stages.into_iter().zip(does).enumerate() {
        let of_stage = parts.remove(&i);
        if let (Some(of_stage), Origin::File(extent)) = (of_stage, &stage.origin) {
            for part in of_stage {
                let at = StageIdx(plan.stages.len() as u32);
                redirected.extend(part.readers.into_iter().map(|(slot, view)| (slot, (at, view))));
                let origin = Origin::File(Extent { steps: part.steps, ..extent.clone() });
                let (grid, out_grid) = (part.grid.clone(), part.grid);
                plan.stages.push(Stage { origin, grid, out_grid, ..stage.clone() });
                works.push(work.clone());
            }
        } else {
            for (slot, input) in stage.inputs.iter_mut().enumerate() {
                match (redirected.remove(&(i, slot)), &mut input.map) {
                    (Some((at, through)), InputMap::View { view, .. }) => {
                        (input.stage, *view) = (at, through);
                    }
                    _ => input.stage = now[input.stage.0 as usize],
                }
            }
            plan.stages.push(stage);
            works.push(work);
        }
        // Nobody reads a stage whose parts are read by others.
        now.push(StageIdx(plan.stages.len() as u32 - 1));
    }
    for output in &mut plan.outputs {
        *output = now[output.0 as usize];
    }
}
