//! Which tasks of a plan its outputs depend on: of a slice of a chain of stencils, a part that grows from stage to
//! stage. It is decided once for each stage, backwards from the outputs, over boxes of chunks and not task by task.
//!
//! Knows plans and geometry. Must not know workers or time.

use crate::deps::flat_range;
use crate::grid::{AxisGrid, ChunkIdx, Grid};
use crate::stage::{InputMap, Plan, Stage};
use crate::view::{AxisMap, View, outputs_within};
use std::ops::Range;

/// Boxes of a stage's chunks beyond which the least box around them takes their place.
const BOXES_MAX: usize = 1024;
/// Boxes that stages of more than one pass on, all together, before each has a single one.
const BOXES_IN_ALL_MAX: usize = 1 << 18;
/// Ranges of chunk numbers of all stages together that are kept where tasks are in no box.
const RANGES_IN_ALL_MAX: u64 = 1 << 18;

/// Ranges along one axis: rising, apart, none empty.
type Spans = Vec<Range<usize>>;
/// Tasks that are, along each axis of their stage's grid, in one of some spans.
type Block = Vec<Spans>;

/// The tasks of a stage that some output depends on.
#[derive(Clone, PartialEq, Debug)]
pub struct Need {
    grid: Grid,
    tasks: Tasks,
}

#[derive(Clone, PartialEq, Debug)]
enum Tasks {
    All,
    Block(Block),
    /// Rising and apart, each with the number of tasks before it.
    Ranges(Vec<(u64, Range<u64>)>),
}

impl Need {
    /// Tasks that are in a box.
    pub(crate) fn of_block(grid: &Grid, block: Block) -> Need {
        let is_empty = block.iter().any(Vec::is_empty);
        let tasks = if is_empty { Tasks::Ranges(Vec::new()) } else { Tasks::Block(block) };
        Need { grid: grid.clone(), tasks }
    }

    /// Tasks whose numbers follow one another.
    pub(crate) fn of_range(grid: &Grid, range: Range<u64>) -> Need {
        let ranges = if range.is_empty() { Vec::new() } else { vec![(0, range)] };
        Need { grid: grid.clone(), tasks: Tasks::Ranges(ranges) }
    }

    /// No tasks.
    pub(crate) fn none(grid: &Grid) -> Need {
        Need::of_range(grid, 0..0)
    }

    /// Whether these are all tasks of the stage.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.tasks == Tasks::All
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, chunk: ChunkIdx) -> bool {
        match &self.tasks {
            Tasks::All => true,
            Tasks::Block(block) => {
                let coords = self.grid.coords(chunk);
                block
                    .iter()
                    .zip(coords)
                    .all(|(spans, c)| span_of(spans, c).is_some_and(|i| spans[i].contains(&c)))
            }
            Tasks::Ranges(ranges) => {
                let at = ranges.partition_point(|(_, r)| r.end <= chunk.0);
                ranges.get(at).is_some_and(|(_, r)| r.contains(&chunk.0))
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn n_tasks(&self) -> u64 {
        match &self.tasks {
            Tasks::All => self.grid.n_chunks(),
            Tasks::Block(block) => block.iter().map(|s| n_of(s) as u64).product(),
            Tasks::Ranges(ranges) => ranges.last().map_or(0, |(before, r)| before + (r.end - r.start)),
        }
    }

    /// The `n`th of them, in the order of their numbers.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn nth(&self, n: u64) -> ChunkIdx {
        assert!(n < self.n_tasks(), "task {n} of {}", self.n_tasks());
        match &self.tasks {
            Tasks::All => ChunkIdx(n),
            Tasks::Block(block) => {
                let mut rest = n;
                let mut coords = vec![0; block.len()];
                for (c, spans) in coords.iter_mut().zip(block).rev() {
                    let of = n_of(spans) as u64;
                    *c = nth_of(spans, (rest % of) as usize);
                    rest /= of;
                }
                self.grid.index(&coords)
            }
            Tasks::Ranges(ranges) => {
                let (before, r) = &ranges[ranges.partition_point(|(before, _)| *before <= n) - 1];
                ChunkIdx(r.start + (n - before))
            }
        }
    }

    /// The numbers of the first of some of them, given by their places in the order of numbers: of one at least, and of
    /// more where they follow one another.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn run(&self, places: Range<u64>) -> Range<u64> {
        let first = self.nth(places.start).0;
        let upto = match &self.tasks {
            Tasks::All => self.grid.n_chunks(),
            Tasks::Block(block) => {
                // Whole axes at the end are run through together with the one before.
                let counts = self.grid.counts();
                let cut = (0..block.len()).rev().find(|&a| n_of(&block[a]) < counts[a]).unwrap_or(0);
                let behind: u64 = counts.iter().skip(cut + 1).map(|&n| n as u64).product();
                let c = (first / behind) as usize % counts.get(cut).copied().unwrap_or(1);
                let span = block.get(cut).and_then(|spans| Some(spans[span_of(spans, c)?].end - c));
                (first / behind + span.unwrap_or(1) as u64) * behind
            }
            Tasks::Ranges(ranges) => {
                ranges[ranges.partition_point(|(before, _)| *before <= places.start) - 1].1.end
            }
        };
        first..upto.min(first + (places.end - places.start))
    }

    /// How many of them have a lower number.
    #[must_use]
    pub fn n_before(&self, chunk: ChunkIdx) -> u64 {
        match &self.tasks {
            _ if chunk.0 >= self.grid.n_chunks() => self.n_tasks(),
            Tasks::All => chunk.0,
            Tasks::Block(block) => {
                let mut inner: Vec<u64> = block.iter().map(|s| n_of(s) as u64).collect();
                for a in (0..inner.len()).rev() {
                    inner[a] *= inner.get(a + 1).copied().unwrap_or(1);
                }
                let mut before = 0;
                for (a, (spans, c)) in block.iter().zip(self.grid.coords(chunk)).enumerate() {
                    before += n_below(spans, c) as u64 * inner.get(a + 1).copied().unwrap_or(1);
                    if !span_of(spans, c).is_some_and(|i| spans[i].contains(&c)) {
                        break;
                    }
                }
                before
            }
            Tasks::Ranges(ranges) => match ranges.partition_point(|(_, r)| r.start <= chunk.0) {
                0 => 0,
                at => {
                    let (before, r) = &ranges[at - 1];
                    before + (chunk.0.min(r.end) - r.start)
                }
            },
        }
    }
}

/// The last span that begins at or before a position.
fn span_of(spans: &[Range<usize>], pos: usize) -> Option<usize> {
    spans.partition_point(|s| s.start <= pos).checked_sub(1)
}

fn n_of(spans: &[Range<usize>]) -> usize {
    spans.iter().map(ExactSizeIterator::len).sum()
}

fn n_below(spans: &[Range<usize>], pos: usize) -> usize {
    spans.iter().take_while(|s| s.start < pos).map(|s| s.end.min(pos) - s.start).sum()
}

fn nth_of(spans: &[Range<usize>], n: usize) -> usize {
    let mut left = n;
    for s in spans {
        if left < s.len() {
            return s.start + left;
        }
        left -= s.len();
    }
    unreachable!("there are so many positions")
}

pub(crate) fn one(span: Range<usize>) -> Spans {
    std::iter::once(span).collect()
}

/// Makes spans of ranges in any order.
pub(crate) fn spans(mut ranges: Vec<Range<usize>>) -> Spans {
    ranges.retain(|r| !r.is_empty());
    ranges.sort_unstable_by_key(|r| r.start);
    let mut all: Spans = Vec::with_capacity(ranges.len());
    for r in ranges {
        match all.last_mut() {
            Some(last) if r.start <= last.end => last.end = last.end.max(r.end),
            _ => all.push(r),
        }
    }
    all
}

impl Plan {
    /// For each stage, the tasks that some output depends on. Where they are so scattered that to tell them apart would
    /// take too long there may be a few more, and with each all that it depends on.
    #[must_use]
    pub fn needs(&self) -> Vec<Need> {
        let n = self.stages.len();
        let mut is_output = vec![false; n];
        self.outputs.iter().for_each(|o| is_output[o.0 as usize] = true);
        let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); n];
        let mut needs = Vec::with_capacity(n);
        let mut left = Left { boxes: BOXES_IN_ALL_MAX, ranges: RANGES_IN_ALL_MAX };
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let whole: Block = stage.grid.axes().iter().map(|a| one(0..a.n_chunks())).collect();
            let own = std::mem::take(&mut blocks[i]);
            let (own, tasks) =
                if is_output[i] { (vec![whole], Tasks::All) } else { left.decide(stage, own, &whole) };
            for input in &stage.inputs {
                let from = self.stage(input.stage);
                let at = &mut blocks[input.stage.0 as usize];
                own.iter().for_each(|block| read((stage, from), &input.map, block, at));
                bound(at);
            }
            needs.push(Need { grid: stage.grid.clone(), tasks });
        }
        needs.reverse();
        needs
    }

    /// Tasks that some output depends on, of all stages.
    #[must_use]
    pub fn n_tasks_needed(&self) -> u64 {
        self.needs().iter().map(Need::n_tasks).fold(0, u64::saturating_add)
    }
}

/// What may still be looked at and kept.
struct Left {
    boxes: usize,
    ranges: u64,
}

impl Left {
    /// The tasks of a stage that are in some boxes; the boxes as they are passed on.
    fn decide(&mut self, stage: &Stage, mut blocks: Vec<Block>, whole: &Block) -> (Vec<Block>, Tasks) {
        united(&mut blocks);
        if blocks.len() > 1 {
            let n_ranges = |b: &Block| match b.split_last() {
                Some((last, outer)) => {
                    outer.iter().map(|s| n_of(s) as u64).product::<u64>() * last.len() as u64
                }
                None => 1,
            };
            let n: u64 = blocks.iter().map(n_ranges).fold(0, u64::saturating_add);
            let passed_on = blocks.len() * stage.inputs.len();
            if n <= self.ranges && passed_on <= self.boxes {
                self.ranges -= n;
                self.boxes -= passed_on;
                let ranges = numbers(&stage.grid, &blocks);
                let all = ranges.last().is_some_and(|(b, r)| b + r.end - r.start == stage.grid.n_chunks());
                return if all { (vec![whole.clone()], Tasks::All) } else { (blocks, Tasks::Ranges(ranges)) };
            }
            blocks = vec![hull(&blocks)];
        }
        let tasks = match blocks.first() {
            None => Tasks::Ranges(Vec::new()),
            Some(block) if block == whole => Tasks::All,
            Some(block) => Tasks::Block(block.clone()),
        };
        (blocks, tasks)
    }
}

/// Brings boxes together where there are more than are kept.
fn bound(blocks: &mut Vec<Block>) {
    if blocks.len() > BOXES_MAX {
        united(blocks);
        if blocks.len() > BOXES_MAX / 2 {
            *blocks = vec![hull(blocks)];
        }
    }
}

/// Makes one of boxes that differ along one axis at most.
fn united(blocks: &mut Vec<Block>) {
    let ndim = blocks.first().map_or(0, Vec::len);
    for axis in 0..ndim.max(1) {
        if blocks.len() < 2 {
            return;
        }
        let key = |b: &Block| -> Vec<Vec<(usize, usize)>> {
            let of = |s: &Spans| s.iter().map(|r| (r.start, r.end)).collect();
            b.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, s)| of(s)).collect()
        };
        blocks.sort_by_cached_key(key);
        let mut kept: Vec<Block> = Vec::with_capacity(blocks.len());
        let mut along: Vec<Range<usize>> = Vec::new();
        for block in blocks.drain(..) {
            match kept.last_mut() {
                Some(last) if key(last) == key(&block) => {
                    along.extend(block.get(axis).cloned().unwrap_or_default());
                }
                _ => {
                    close(kept.last_mut(), axis, &mut along);
                    along = block.get(axis).cloned().unwrap_or_default();
                    kept.push(block);
                }
            }
        }
        close(kept.last_mut(), axis, &mut along);
        *blocks = kept;
    }
}

fn close(block: Option<&mut Block>, axis: usize, along: &mut Vec<Range<usize>>) {
    if let Some(of) = block.and_then(|b| b.get_mut(axis)) {
        *of = spans(std::mem::take(along));
    }
}

/// The least box that holds some.
fn hull(blocks: &[Block]) -> Block {
    let ndim = blocks.first().map_or(0, Vec::len);
    (0..ndim).map(|a| spans(blocks.iter().flat_map(|b| b[a].iter().cloned()).collect())).collect()
}

/// The chunk numbers in some boxes.
fn numbers(grid: &Grid, blocks: &[Block]) -> Vec<(u64, Range<u64>)> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        for_rows(grid, block, |r| ranges.push(r));
    }
    ranges.sort_unstable_by_key(|r| r.start);
    let mut all: Vec<(u64, Range<u64>)> = Vec::with_capacity(ranges.len());
    for r in ranges {
        match all.last_mut() {
            Some((_, last)) if r.start <= last.end => last.end = last.end.max(r.end),
            last => {
                let before = last.map_or(0, |(before, l)| *before + (l.end - l.start));
                all.push((before, r));
            }
        }
    }
    all
}

/// Calls `f` with the chunk numbers of a box, row by row.
fn for_rows(grid: &Grid, block: &Block, mut f: impl FnMut(Range<u64>)) {
    let Some((last, outer)) = block.split_last() else { return f(0..1) };
    let n: u64 = outer.iter().map(|s| n_of(s) as u64).product();
    for row in 0..n {
        let mut rest = row;
        let mut coords = vec![0; block.len()];
        for (c, spans) in coords.iter_mut().zip(outer).rev() {
            let of = n_of(spans) as u64;
            *c = nth_of(spans, (rest % of) as usize);
            rest /= of;
        }
        let first = grid.index(&coords).0;
        last.iter().for_each(|s| f(first + s.start as u64..first + s.end as u64));
    }
}

/// Appends the boxes of chunks of `from` that the tasks of a box of `to` read.
fn read((to, from): (&Stage, &Stage), map: &InputMap, block: &Block, out: &mut Vec<Block>) {
    let filled = || -> Option<Block> {
        let axes = block.iter().zip(to.grid.axes()).map(|(s, axis)| filled(s, axis));
        Some(axes.collect::<Block>()).filter(|b| b.iter().all(|s| !s.is_empty()))
    };
    let read = match map {
        InputMap::View { view, clip } => filled().and_then(|mut block| {
            if let Some((axis, r)) = clip {
                block[*axis] = within(&block[*axis], to.grid.axes()[*axis].chunks_touching(r.clone()));
            }
            through(view, (&to.grid, &block), &from.out_grid)
        }),
        InputMap::Boxes(read) => {
            let axes = read.iter().zip(from.out_grid.axes());
            Some(axes.map(|(p, of)| p.of_tasks(block, &to.grid, of)).collect())
        }
        InputMap::Group { fanin } => {
            let axes = block.iter().zip(fanin).zip(from.grid.axes());
            let group = |s: &Spans, f: usize, n: usize| {
                spans(s.iter().map(|r| (r.start * f).min(n)..(r.end * f).min(n)).collect())
            };
            out.push(axes.map(|((s, &f), axis)| group(s, f, axis.n_chunks())).collect());
            return;
        }
        InputMap::Flat => return flat((to, from), block, out),
        InputMap::Take(taken) => filled().map(|mut block| {
            let tasks = std::mem::take(&mut block[taken.axis]);
            let chosen = tasks.into_iter().flatten().flat_map(|c| taken.reads(c)).map(|&c| c..c + 1);
            block[taken.axis] = spans(chosen.collect());
            block
        }),
        InputMap::Listed(listed) => {
            let mut read = Vec::new();
            for_rows(&to.grid, block, |tasks| {
                let reads = tasks.flat_map(|task| listed.reads(task as usize));
                read.extend(reads.map(|&c| c..c + 1));
            });
            (!read.is_empty()).then(|| listed_block(&from.out_grid, read))
        }
        InputMap::Blocks => Some(vec![one(0..1)]).filter(|_| block.iter().all(|s| !s.is_empty())),
    };
    out.extend(read.filter(|b| b.iter().all(|s| !s.is_empty())).map(|b| with_folded(from, b)));
}

/// Listed chunks as a box: of one axis they are positions, of others there is one chunk.
pub(crate) fn listed_block(grid: &Grid, chunks: Vec<Range<usize>>) -> Vec<Vec<Range<usize>>> {
    match grid.ndim() {
        1 => vec![spans(chunks)],
        n => vec![one(0..1); n],
    }
}

/// A box over the axes that readers see as one over the stage's own: what is folded is in one chunk.
fn with_folded(from: &Stage, seen: Block) -> Block {
    let mut block = seen;
    for &axis in &from.folded {
        block.insert(axis, one(0..1));
    }
    block
}

/// What of the spans is in a range.
fn within(all: &[Range<usize>], range: Range<usize>) -> Spans {
    spans(all.iter().map(|s| s.start.max(range.start)..s.end.min(range.end)).collect())
}

/// Of the chunks in some spans those that have elements.
fn filled(all: &[Range<usize>], axis: &AxisGrid) -> Spans {
    filled_of(all.to_vec(), axis)
}

pub(crate) fn filled_of(all: Vec<Range<usize>>, axis: &AxisGrid) -> Spans {
    match axis {
        AxisGrid::Regular { len, .. } if *len > 0 => spans(all),
        _ => {
            let chunk = |c: usize| if axis.range(c).is_empty() { c..c } else { c..c + 1 };
            spans(spans(all).into_iter().flatten().map(chunk).collect())
        }
    }
}

/// The positions of the chunks in some spans.
fn positions<'a>(all: &'a [Range<usize>], axis: &'a AxisGrid) -> impl Iterator<Item = Range<usize>> + 'a {
    all.iter().map(|s| axis.range(s.start).start..axis.range(s.end - 1).end)
}

/// The chunks that a box of chunks with elements reads through a view.
fn through(view: &View, (grid, block): (&Grid, &Block), of: &Grid) -> Option<Block> {
    if block.iter().any(Vec::is_empty) {
        return None;
    }
    let axes = view.axes.iter().zip(of.axes()).map(|(map, of)| match *map {
        AxisMap::At(p) => {
            let c = of.chunk_of(p);
            one(c..c + 1)
        }
        AxisMap::Along { axis, start, step } => {
            let read = positions(&block[axis], &grid.axes()[axis]);
            filled_of(read.flat_map(|r| strided(of, start, step, r)).collect(), of)
        }
    });
    Some(axes.collect())
}

/// The chunks that hold an element which `out` reads through `start + step * i`.
fn strided(of: &AxisGrid, start: usize, step: isize, out: Range<usize>) -> Vec<Range<usize>> {
    let at = |i: usize| start.wrapping_add_signed(step * i as isize);
    let (first, last) = (at(out.start), at(out.end - 1));
    let touched = of.chunks_touching(first.min(last)..first.max(last) + 1);
    match of {
        AxisGrid::Regular { chunk, .. } if step.unsigned_abs() <= *chunk => vec![touched],
        _ if step.unsigned_abs() == 1 => vec![touched],
        _ => touched
            .filter(|&c| !outputs_within(of.range(c), start, step, out.clone()).is_empty())
            .map(|c| c..c + 1)
            .collect(),
    }
}

/// Rows of a box that are looked at one by one where an array is reshaped.
const ROWS_MAX: u64 = 4096;

/// Appends the boxes of chunks of `from` that share a row-major position with a box of `to`; chunks of both are runs.
fn flat((to, from): (&Stage, &Stage), block: &Block, out: &mut Vec<Block>) {
    if to.grid.axes().iter().any(AxisGrid::is_empty) {
        return;
    }
    let mut rows: Vec<Range<u64>> = Vec::new();
    let n_rows: u64 = block.iter().rev().skip(1).map(|s| n_of(s) as u64).product();
    let end = |f: fn(&Spans) -> usize| to.grid.index(&block.iter().map(f).collect::<Vec<_>>()).0;
    if n_rows <= ROWS_MAX {
        for_rows(&to.grid, block, |r| rows.push(r));
    } else {
        rows.push(end(|s| s[0].start)..end(|s| s[s.len() - 1].end - 1) + 1);
    }
    let mut read: Vec<Range<usize>> = Vec::new();
    for r in rows {
        let positions = r.clone().map(|c| flat_range(&to.grid, ChunkIdx(c))).find(|p| !p.is_empty());
        let last = r.rev().map(|c| flat_range(&to.grid, ChunkIdx(c))).find(|p| !p.is_empty());
        if let Some((first, last)) = positions.zip(last) {
            let chunks = crate::deps::chunks_of_run(first.start..last.end, &from.out_grid);
            read.push(chunks.start as usize..chunks.end as usize);
        }
    }
    let counts = from.out_grid.counts();
    for r in spans(read) {
        boxes(&counts, r, &mut Vec::new(), &mut |b| out.push(with_folded(from, b)));
    }
}

/// Calls `f` with boxes that make up a range of row-major numbers.
fn boxes(counts: &[usize], range: Range<usize>, before: &mut Block, f: &mut impl FnMut(Block)) {
    let Some((_, rest)) = counts.split_first() else { return f(before.clone()) };
    let inner: usize = rest.iter().product();
    let mut in_row = |row: usize, part: Range<usize>| {
        before.push(one(row..row + 1));
        boxes(rest, part, before, f);
        before.pop();
    };
    let (first, last) = (range.start / inner, (range.end - 1) / inner);
    let (head, tail) = (range.start % inner, (range.end - 1) % inner + 1);
    if first == last && (head, tail) != (0, inner) {
        return in_row(first, head..tail);
    }
    let full = first + usize::from(head > 0)..last + usize::from(tail == inner);
    if head > 0 {
        in_row(first, head..inner);
    }
    if tail < inner {
        in_row(last, 0..tail);
    }
    if !full.is_empty() {
        let whole = rest.iter().map(|&n| one(0..n));
        f(before.iter().cloned().chain([one(full)]).chain(whole).collect());
    }
}
