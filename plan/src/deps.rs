//! Which tasks a task reads and which read it, computed from its chunk number alone; both directions agree.
//!
//! Knows plans and geometry. Must not know workers, time or kernels.

use crate::boxes;
use crate::grid::{AxisGrid, ChunkIdx, Grid, Region, region_len};
use crate::stage::{Input, InputMap, Plan, Stage};
use crate::task::StageIdx;
use crate::view::{AxisMap, View, chunks_read, outputs_within};
use std::ops::Range;

impl Plan {
    /// The stage at `idx`.
    ///
    /// # Panics
    /// If the plan has no such stage.
    #[must_use]
    pub fn stage(&self, idx: StageIdx) -> &Stage {
        &self.stages[idx.0 as usize]
    }

    /// Tasks of a stage.
    #[must_use]
    pub fn n_tasks(&self, stage: StageIdx) -> u64 {
        self.stage(stage).grid.n_chunks()
    }

    /// Tasks of all stages.
    #[must_use]
    pub fn n_tasks_in_all(&self) -> u64 {
        let stages = (0..self.stages.len() as u32).map(StageIdx);
        stages.map(|s| self.n_tasks(s)).fold(0, u64::saturating_add)
    }

    /// Appends the chunks that a task reads: (position in the stage's inputs, stage, chunk). A task over an empty
    /// box reads nothing. A barrier is one of them, and not what it stands for: see [`Plan::feeds_of`].
    pub fn inputs_of(&self, stage: StageIdx, chunk: ChunkIdx, out: &mut Vec<(usize, StageIdx, ChunkIdx)>) {
        let s = self.stage(stage);
        if s.inputs.is_empty() {
            return;
        }
        let coords = s.grid.coords(chunk);
        for slot in slots_read(s, &coords) {
            let input = &s.inputs[slot];
            let from = self.stage(input.stage);
            let mut push = |c| out.push((slot, input.stage, c));
            match &input.map {
                InputMap::View { view, clip } => {
                    view_inputs((s, from), view, clip.as_ref(), &coords, &mut push)
                }
                InputMap::Boxes(read) => {
                    boxes::chunks_read(read, (&s.grid, &coords), &from.out_grid, &mut push)
                }
                InputMap::Group { fanin } => {
                    let ranges: Vec<Vec<usize>> = (coords.iter().zip(fanin).zip(from.grid.axes()))
                        .map(|((&c, &f), axis)| (c * f..((c + 1) * f).min(axis.n_chunks())).collect())
                        .collect();
                    for_product(&ranges, |at| push(from.grid.index(at)));
                }
                InputMap::Flat => {
                    flat_overlap(&s.grid, chunk, &from.out_grid).for_each(|c| push(ChunkIdx(c)))
                }
                InputMap::Take(taken) if !s.grid.region(chunk).iter().any(Range::is_empty) => {
                    let mut at = coords.clone();
                    for &c in taken.reads(coords[taken.axis]) {
                        at[taken.axis] = c;
                        push(from.out_grid.index(&at));
                    }
                }
                InputMap::Take(_) => {}
                InputMap::Listed(listed) => {
                    listed.reads(chunk.0 as usize).iter().for_each(|&c| push(ChunkIdx(c as u64)));
                }
                InputMap::Blocks => push(ChunkIdx(0)),
            }
        }
    }

    /// How many chunks a task reads, or a few more where it skips some: without listing them.
    #[must_use]
    pub fn n_inputs_at_most(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        let s = self.stage(stage);
        let (coords, region) = (s.grid.coords(chunk), s.grid.region(chunk));
        let is_empty = region.iter().any(Range::is_empty);
        let of_slot = |slot: usize| {
            let input = &s.inputs[slot];
            let from = &self.stage(input.stage).out_grid;
            let touched = |(axis, r): (&AxisGrid, Range<usize>)| axis.chunks_touching(r).len() as u64;
            let product = |n: u64, along: u64| n.saturating_mul(along);
            match &input.map {
                InputMap::Boxes(read) => {
                    let along = |(p, axis): (&boxes::Positions, &AxisGrid)| {
                        let ranges = p.of_task(&s.grid, &coords, axis.len()).into_iter();
                        ranges.map(|r| touched((axis, r))).fold(0, u64::saturating_add)
                    };
                    read.iter().zip(from.axes()).map(along).fold(1, product)
                }
                _ if is_empty => 0,
                InputMap::View { view, .. } => {
                    from.axes().iter().zip(view.image(&region)).map(touched).fold(1, product)
                }
                InputMap::Group { fanin } => fanin.iter().map(|&n| n as u64).fold(1, product),
                InputMap::Flat => {
                    let overlap = flat_overlap(&s.grid, chunk, from);
                    overlap.end - overlap.start
                }
                InputMap::Take(taken) => taken.reads(coords[taken.axis]).len() as u64,
                InputMap::Listed(listed) => listed.reads(chunk.0 as usize).len() as u64,
                InputMap::Blocks => self.n_tasks(self.behind(input.stage)),
            }
        };
        slots_read(s, &coords).map(of_slot).fold(0, u64::saturating_add)
    }

    /// Appends the tasks that read a chunk; one that reads it through several inputs comes once for each.
    pub fn consumers_of(&self, stage: StageIdx, chunk: ChunkIdx, out: &mut Vec<(StageIdx, ChunkIdx)>) {
        let from = self.stage(stage);
        for &(to, slot) in &self.consumers[stage.0 as usize] {
            let s = self.stage(to);
            let mut push = |c| out.push((to, c));
            match &s.inputs[slot].map {
                InputMap::View { view, clip } => {
                    view_consumers((s, from), view, clip.as_ref(), chunk, &mut push)
                }
                InputMap::Boxes(read) => {
                    let block = boxes::readers_of(read, &s.grid, &from.out_grid.region(chunk));
                    if let Some(block) = block {
                        let lists: Vec<Vec<usize>> =
                            block.into_iter().map(|spans| spans.into_iter().flatten().collect()).collect();
                        for_product(&lists, |at| push(s.grid.index(at)));
                    }
                }
                InputMap::Group { fanin } => {
                    let coords = from.grid.coords(chunk);
                    let at: Vec<usize> = coords.iter().zip(fanin).map(|(&c, &f)| c / f).collect();
                    push(s.grid.index(&at));
                }
                InputMap::Flat => {
                    flat_overlap(&from.out_grid, chunk, &s.grid).for_each(|c| push(ChunkIdx(c)))
                }
                InputMap::Take(taken) if !from.out_grid.region(chunk).iter().any(Range::is_empty) => {
                    let mut at = from.out_grid.coords(chunk);
                    for &c in taken.readers(at[taken.axis]) {
                        at[taken.axis] = c;
                        push(s.grid.index(&at));
                    }
                }
                InputMap::Take(_) => {}
                InputMap::Listed(listed) => {
                    listed.readers(chunk.0 as usize).iter().for_each(|&c| push(ChunkIdx(c as u64)));
                }
                InputMap::Blocks => (0..s.grid.n_chunks()).for_each(|c| push(ChunkIdx(c))),
            }
        }
    }

    /// The least box of an input's chunk that holds all that a task reads of it through input `slot`, in the
    /// coordinates of the input's `out_grid`; `None` where it reads the chunk whole.
    #[must_use]
    pub fn read_box(
        &self,
        (stage, chunk): (StageIdx, ChunkIdx),
        slot: usize,
        of: (StageIdx, ChunkIdx),
    ) -> Option<Region> {
        let to = self.stage(stage);
        let all = self.stage(of.0).out_grid.region(of.1);
        match &to.inputs[slot].map {
            InputMap::View { view, .. } => {
                let read = view.image(&to.grid.region(chunk));
                Some(all.iter().zip(&read).map(|(a, b)| overlap(a, b)).collect())
            }
            InputMap::Boxes(read) => {
                let (coords, from) = (to.grid.coords(chunk), self.stage(of.0).out_grid.axes());
                let axes = all.iter().zip(read).zip(from);
                Some(axes.map(|((a, p), axis)| hull(a, &p.of_task(&to.grid, &coords, axis.len()))).collect())
            }
            InputMap::Group { .. }
            | InputMap::Flat
            | InputMap::Take(_)
            | InputMap::Listed(_)
            | InputMap::Blocks => None,
        }
    }

    /// The box of a task's result in the coordinates of `out_grid`; for partial states each folded axis is left out.
    #[must_use]
    pub fn out_region(&self, stage: StageIdx, chunk: ChunkIdx) -> Region {
        let s = self.stage(stage);
        if s.folded.is_empty() {
            return s.out_grid.region(chunk);
        }
        let coords = s.grid.coords(chunk);
        let kept = (0..s.grid.ndim()).filter(|a| !s.folded.contains(a));
        kept.map(|a| s.grid.axes()[a].range(coords[a])).collect()
    }

    /// Whether a stage makes an output of the program.
    #[must_use]
    pub fn is_output(&self, stage: StageIdx) -> bool {
        self.outputs.contains(&stage)
    }
}

/// Calls `f` with every combination of one entry of each list, the last list fastest.
pub fn for_product(lists: &[Vec<usize>], mut f: impl FnMut(&[usize])) {
    if lists.iter().any(Vec::is_empty) {
        return;
    }
    let mut at = vec![0usize; lists.len()];
    let mut coords: Vec<usize> = lists.iter().map(|l| l[0]).collect();
    loop {
        f(&coords);
        let mut axis = lists.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            if at[axis] < lists[axis].len() {
                coords[axis] = lists[axis][at[axis]];
                break;
            }
            at[axis] = 0;
            coords[axis] = lists[axis][0];
        }
    }
}

/// The inputs that a task may read: one part of a concatenation, else any.
fn slots_read(stage: &Stage, coords: &[usize]) -> Range<usize> {
    let part = |input: &Input| match &input.map {
        InputMap::View { clip: Some((axis, r)), .. } => Some((*axis, r.clone())),
        _ => None,
    };
    let Some((axis, _)) = stage.inputs.first().and_then(part) else { return 0..stage.inputs.len() };
    // The parts stand in the order of their positions.
    let at = stage.grid.axes()[axis].range(coords[axis]).start;
    let slot = stage.inputs.partition_point(|input| part(input).is_some_and(|(_, r)| r.end <= at));
    slot..(slot + 1).min(stage.inputs.len())
}

fn view_inputs(
    (to, from): (&Stage, &Stage),
    view: &View,
    clip: Option<&(usize, Range<usize>)>,
    coords: &[usize],
    push: &mut impl FnMut(ChunkIdx),
) {
    let region: Region = to.grid.axes().iter().zip(coords).map(|(a, &c)| a.range(c)).collect();
    if region.iter().any(Range::is_empty) || clip.is_some_and(|(axis, r)| !r.contains(&region[*axis].start)) {
        return;
    }
    let lists: Vec<Vec<usize>> = (view.axes.iter().zip(from.out_grid.axes()))
        .map(|(map, grid)| match *map {
            AxisMap::At(p) => vec![grid.chunk_of(p)],
            AxisMap::Along { axis, start, step } => chunks_read(grid, start, step, region[axis].clone()),
        })
        .collect();
    for_product(&lists, |at| push(from.out_grid.index(at)));
}

/// The box of a stage's task grid whose positions read a chunk through a view; none where it lies beside it.
pub(crate) fn view_outputs(
    (to, from): (&Stage, &Stage),
    view: &View,
    clip: Option<&(usize, Range<usize>)>,
    chunk: ChunkIdx,
) -> Option<Region> {
    let region = from.out_grid.region(chunk);
    let mut within: Vec<Range<usize>> = to.grid.axes().iter().map(|a| 0..a.len()).collect();
    if let Some((axis, r)) = clip {
        within[*axis] = r.clone();
    }
    for (map, r) in view.axes.iter().zip(&region) {
        match *map {
            AxisMap::At(p) if !r.contains(&p) => return None,
            AxisMap::At(_) => {}
            AxisMap::Along { axis, start, step } => {
                within[axis] = outputs_within(r.clone(), start, step, within[axis].clone());
            }
        }
    }
    Some(within)
}

fn view_consumers(
    (to, from): (&Stage, &Stage),
    view: &View,
    clip: Option<&(usize, Range<usize>)>,
    chunk: ChunkIdx,
    push: &mut impl FnMut(ChunkIdx),
) {
    let Some(within) = view_outputs((to, from), view, clip, chunk) else { return };
    let lists: Vec<Vec<usize>> =
        to.grid.axes().iter().zip(within).map(|(a, r)| filled_chunks(a, r)).collect();
    for_product(&lists, |at| push(to.grid.index(at)));
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// The least range that holds what `all` shares with each of the others.
fn hull(all: &Range<usize>, others: &[Range<usize>]) -> Range<usize> {
    let shared = others.iter().map(|r| overlap(all, r)).filter(|r| !r.is_empty());
    shared.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(all.start..all.start)
}

fn filled_chunks(axis: &AxisGrid, range: Range<usize>) -> Vec<usize> {
    axis.chunks_touching(range).filter(|&c| !axis.range(c).is_empty()).collect()
}

/// The row-major positions of a chunk of a grid whose chunks are runs.
#[must_use]
pub fn flat_range(grid: &Grid, chunk: ChunkIdx) -> Range<usize> {
    let region = grid.region(chunk);
    if region.iter().any(Range::is_empty) {
        return 0..0;
    }
    let start = grid.axes().iter().zip(&region).fold(0, |at, (a, r)| at * a.len() + r.start);
    start..start + region_len(&region)
}

/// The chunks of `to` that share a row-major position with `chunk` of `of`; the chunks of both grids are runs.
fn flat_overlap(of: &Grid, chunk: ChunkIdx, to: &Grid) -> Range<u64> {
    chunks_of_run(flat_range(of, chunk), to)
}

/// The chunks, which are runs, that hold one of these row-major positions.
pub(crate) fn chunks_of_run(positions: Range<usize>, grid: &Grid) -> Range<u64> {
    if positions.is_empty() {
        return 0..0;
    }
    let first = partition_point(grid.n_chunks(), |c| flat_range(grid, ChunkIdx(c)).end <= positions.start);
    let end = partition_point(grid.n_chunks(), |c| flat_range(grid, ChunkIdx(c)).start < positions.end);
    first..end
}

fn partition_point(n: u64, pred: impl Fn(u64) -> bool) -> u64 {
    let (mut lo, mut hi) = (0, n);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        if pred(mid) { lo = mid + 1 } else { hi = mid }
    }
    lo
}
