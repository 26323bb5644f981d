//! What a task takes of memory: its result, its inputs and its temporaries. Bytes that no memory has room for are as many
//! as a number can be.
//!
//! Knows which kernels copy what. Must not know workers or how memory is given out.

use crate::grid::{AxisGrid, ChunkIdx, Region, region_len};
use crate::kernel::Halo;
use crate::plan::{CONTRACT_PIECE_MIN, InputMap, Plan, Stage, StageKind};
use crate::task::StageIdx;
use crate::view::{AxisMap, View};
use std::ops::Range;

impl Stage {
    /// Bytes of a chunk of this stage that is as long along each axis as any.
    #[must_use]
    pub fn chunk_bytes_max(&self) -> u64 {
        let element = self.planes.iter().map(|d| d.size()).sum();
        self.out_grid.axes().iter().map(AxisGrid::chunk_max).fold(element, usize::saturating_mul) as u64
    }
}

impl Plan {
    /// Elements of a task's result, in each of its planes.
    #[must_use]
    pub fn out_len(&self, stage: StageIdx, chunk: ChunkIdx) -> usize {
        match self.stage(stage).kind {
            StageKind::Write(_) => 0,
            _ => region_len(&self.out_region(stage, chunk)),
        }
    }

    /// Bytes of a task's result.
    #[must_use]
    pub fn out_bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        let element: usize = self.stage(stage).planes.iter().map(|d| d.size()).sum();
        self.out_len(stage, chunk) as u64 * element as u64
    }

    /// Bytes of a task's result, of what is fetched of the chunks that it reads where those are elsewhere, and of its
    /// temporaries: what must be in memory while it runs, on whatever worker.
    #[must_use]
    pub fn task_bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        let mut inputs = Vec::new();
        self.inputs_of(stage, chunk, &mut inputs);
        let bytes = |&(slot, s, c): &(usize, StageIdx, ChunkIdx)| {
            self.fetch_box((stage, chunk), slot, (s, c))
                .map_or_else(|| self.out_bytes(s, c), |(_, bytes)| bytes)
        };
        let read = inputs.iter().map(bytes).fold(0, u64::saturating_add);
        read.saturating_add(self.out_bytes(stage, chunk))
            .saturating_add(self.scratch_bytes(stage, chunk, &inputs))
    }

    /// The box that is fetched of an input's chunk, in the coordinates of the input's `out_grid`, and its bytes, where a
    /// task reads less than half of it; else the chunk is fetched whole, and is there for other tasks too.
    #[must_use]
    pub fn fetch_box(
        &self,
        task: (StageIdx, ChunkIdx),
        slot: usize,
        of: (StageIdx, ChunkIdx),
    ) -> Option<(Region, u64)> {
        let region = self.read_box(task, slot, of)?;
        let from = self.stage(of.0);
        let (part, whole) = (region_len(&region), region_len(&from.out_grid.region(of.1)));
        let element: usize = from.planes.iter().map(|d| d.size()).sum();
        let is_part = part > 0 && part < whole.div_ceil(2);
        is_part.then(|| (region, (part as u64).saturating_mul(element as u64)))
    }

    /// Bytes of a task's temporaries, given its inputs as [`Plan::inputs_of`] lists them: an input that is read
    /// through a view and lies in several chunks is brought together first, unless it is the result itself; a function
    /// of blocks gets a copy of what is not a chunk by itself, or a block with its halo, and may give one as large.
    /// What such a function allocates besides is not known.
    #[must_use]
    pub fn scratch_bytes(
        &self,
        stage: StageIdx,
        chunk: ChunkIdx,
        inputs: &[(usize, StageIdx, ChunkIdx)],
    ) -> u64 {
        let s = self.stage(stage);
        let gathers = match &s.kind {
            StageKind::Map(program) => program.values.len() > 1,
            StageKind::Reduce { .. } => true,
            StageKind::Contract => gathers_product(s, chunk, inputs.len()),
            StageKind::Blocks(_) | StageKind::FoldAxis { .. } => {
                return self.block_bytes(s, chunk, inputs);
            }
            _ => false,
        };
        if !gathers || inputs.len() < 2 {
            return 0;
        }
        let region = s.grid.region(chunk);
        let bytes = |slot: usize| match &s.inputs[slot].map {
            InputMap::View { view, .. } if inputs.iter().filter(|(of, ..)| *of == slot).nth(1).is_some() => {
                view_len(view, &region).saturating_mul(self.input_size(s, slot))
            }
            _ => 0,
        };
        (0..s.inputs.len()).map(bytes).fold(0, u64::saturating_add)
    }

    /// Bytes of the blocks that a user's function is given and gives, beyond the chunks that they are.
    fn block_bytes(&self, s: &Stage, chunk: ChunkIdx, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let region = s.grid.region(chunk);
        let len = region_len(&region) as u64;
        let Some(first) = s.inputs.first().filter(|_| len > 0) else { return 0 };
        let size = self.input_size(s, 0);
        match &first.map {
            InputMap::Halo(halo) => {
                let shape = s.grid.shape();
                let padded = padded_len(halo, &region, &shape);
                let gives = if padded == len { 0 } else { s.dtype().size() as u64 };
                padded.saturating_mul(size + gives)
            }
            InputMap::View { view, .. } => {
                let read = view_len(view, &region);
                let gathered = if inputs.len() > 1 { read * size } else { 0 };
                // A client's chunk may be a part of larger memory, and is then copied.
                let in_place = |&(_, from, c): &(usize, StageIdx, ChunkIdx)| {
                    let literal = matches!(self.stage(from).kind, StageKind::Literal { .. });
                    !literal && self.out_len(from, c) as u64 == len
                };
                let as_it_lies = read == len && (inputs.len() > 1 || inputs.iter().all(in_place));
                if as_it_lies { gathered } else { gathered.saturating_add(len * size) }
            }
            InputMap::Group { .. } | InputMap::Flat | InputMap::Take(_) => 0,
        }
    }

    /// Bytes of an element of an input.
    fn input_size(&self, s: &Stage, slot: usize) -> u64 {
        self.stage(s.inputs[slot].stage).dtype().size() as u64
    }
}

/// Elements that a box shows of an input through a view, repeated ones once.
fn view_len(view: &View, region: &[Range<usize>]) -> u64 {
    let len = |map: &AxisMap| match *map {
        AxisMap::At(_) => 1,
        AxisMap::Along { axis, .. } => region[axis].len() as u64,
    };
    view.axes.iter().map(len).product()
}

/// Elements of a block with its halo.
fn padded_len(halo: &[Halo], region: &[Range<usize>], shape: &[usize]) -> u64 {
    let axes = halo.iter().zip(region).zip(shape);
    axes.map(|((h, r), &len)| h.padded_len(r, len) as u64).fold(1, u64::saturating_mul)
}

/// Whether a task of a matrix product brings its inputs together first: they are cut into short pieces.
fn gathers_product(stage: &Stage, chunk: ChunkIdx, n_inputs: usize) -> bool {
    let inner = stage.grid.region(chunk)[2].len();
    n_inputs > 2 && inner / n_inputs < CONTRACT_PIECE_MIN
}
