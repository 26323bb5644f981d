//! What a task takes of memory: its result, its inputs and its temporaries. Bytes that no memory has room for are as many
//! as a number can be.
//!
//! Knows which kernels copy what. Must not know workers or how memory is given out.

use crate::boxes::Positions;
use crate::grid::{AxisGrid, ChunkIdx, Region, region_len};
use crate::need::Need;
use crate::stage::{CONTRACT_PIECE_MIN, InputMap, Origin, Plan, Scratch, Stage, Temporaries};
use crate::task::StageIdx;
use crate::view::{AxisMap, View};
use std::ops::Range;

/// Tasks whose reading is added up one by one; of more, so many are looked at and the sum is scaled.
const READERS_COUNTED_MAX: u64 = 20_000;

impl Stage {
    /// Bytes of a chunk of this stage that is as long along each axis as any.
    #[must_use]
    pub fn chunk_bytes_max(&self) -> u64 {
        let axes = self.out_grid.axes().iter();
        axes.map(AxisGrid::chunk_max).fold(self.element_bytes, usize::saturating_mul) as u64
    }
}

impl Plan {
    /// Bytes of a task's result.
    #[must_use]
    pub fn out_bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        match self.stage(stage).element_bytes {
            0 => 0,
            element => region_len(&self.out_region(stage, chunk)) as u64 * element as u64,
        }
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
        let is_part = part > 0 && part < whole.div_ceil(2);
        is_part.then(|| (region, (part as u64).saturating_mul(from.element_bytes as u64)))
    }

    /// Bytes of a task's temporaries, given its inputs as [`Plan::inputs_of`] lists them: an input that is read
    /// through a view and lies in several chunks is brought together first, unless it is the result itself; a function
    /// of blocks gets a copy of what is not a chunk by itself, or a block with its halo, and may give one as large.
    /// What such a function allocates besides is known as far as it, or whoever submits it, has said so.
    #[must_use]
    pub fn scratch_bytes(
        &self,
        stage: StageIdx,
        chunk: ChunkIdx,
        inputs: &[(usize, StageIdx, ChunkIdx)],
    ) -> u64 {
        let declared = self.stage(stage).terms().memory_bytes;
        self.temporaries(stage, chunk, inputs).saturating_add(declared)
    }

    fn temporaries(&self, stage: StageIdx, chunk: ChunkIdx, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let s = self.stage(stage);
        let gathers = match s.scratch {
            Scratch::None => false,
            Scratch::Gathered => true,
            Scratch::Product => gathers_product(s, chunk, inputs.len()),
            Scratch::Blocks(own) => {
                let blocks = self.block_bytes(s, chunk, inputs);
                return blocks.saturating_add(self.own_bytes((stage, chunk), own, inputs));
            }
            Scratch::Arguments => return self.array_bytes(inputs),
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

    /// Bytes of those of a task's inputs that are chunks of arrays, and not values.
    fn array_bytes(&self, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let arrays = inputs.iter().filter(|(_, of, _)| !self.stage(*of).is_measured());
        arrays.map(|&(_, of, chunk)| self.out_bytes(of, chunk)).fold(0, u64::saturating_add)
    }

    /// Bytes that those of a stage's tasks read which are needed, all together: of chunks of other stages, or of a file.
    /// Exact up to 20,000 tasks, and above that from as many of them.
    ///
    /// # Panics
    /// If there is no such stage.
    #[must_use]
    pub fn bytes_read(&self, stage: StageIdx, need: &Need) -> u64 {
        let mut inputs = Vec::new();
        over_tasks(need, |chunk| {
            inputs.clear();
            self.inputs_of(stage, chunk, &mut inputs);
            let bytes = |&(slot, from, of): &(usize, StageIdx, ChunkIdx)| match self.read_box(
                (stage, chunk),
                slot,
                (from, of),
            ) {
                Some(part) => region_len(&part) as u64 * self.stage(from).element_bytes as u64,
                None if self.stage(from).is_barrier() => self.block_share(stage, self.bytes_behind(from)),
                None => self.out_bytes(from, of),
            };
            inputs.iter().map(bytes).fold(self.file_bytes(stage, chunk), u64::saturating_add)
        })
    }

    /// Bytes that a task reads from a file, decoded: of stored chunks, all that it must decode.
    ///
    /// # Panics
    /// If there is no such stage.
    #[must_use]
    pub fn file_bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        let s = self.stage(stage);
        match &s.origin {
            Origin::File(extent) => extent.bytes(&s.out_grid.region(chunk), s.element_bytes),
            _ => 0,
        }
    }

    /// Bytes that those of a stage's tasks make which are needed, all together; exact as [`Plan::bytes_read`] is.
    ///
    /// # Panics
    /// If there is no such stage.
    #[must_use]
    pub fn bytes_made(&self, stage: StageIdx, need: &Need) -> u64 {
        over_tasks(need, |chunk| self.out_bytes(stage, chunk))
    }

    /// Bytes of the blocks that a function is given and gives, beyond the chunks that they are.
    fn block_bytes(&self, s: &Stage, chunk: ChunkIdx, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let of_slot = |slot: usize| {
            let mut of = inputs.iter().filter(|(of, ..)| *of == slot);
            let (first, more) = (of.next(), of.next().is_some());
            first.map_or(0, |&(_, from, c)| self.slot_bytes((s, chunk), slot, (from, c), more))
        };
        (0..s.inputs.len()).map(of_slot).fold(0, u64::saturating_add)
    }

    /// Bytes that a function of blocks says that it takes besides.
    fn own_bytes(
        &self,
        (stage, chunk): (StageIdx, ChunkIdx),
        own: Temporaries,
        inputs: &[(usize, StageIdx, ChunkIdx)],
    ) -> u64 {
        if own == Temporaries::NONE {
            return 0;
        }
        let s = self.stage(stage);
        let read = (0..s.inputs.len()).filter_map(|slot| {
            let &(_, from, _) = inputs.iter().find(|(of, ..)| *of == slot)?;
            match &s.inputs[slot].map {
                InputMap::View { view, .. } => Some(given_len(view, &s.grid.region(chunk))),
                InputMap::Boxes(read) => {
                    Some(self.padded_len((s, &s.grid.coords(chunk)), read, self.stage(from)).1)
                }
                _ => None,
            }
        });
        let read = read.fold(0, u64::saturating_add);
        let made = if s.is_measured() { 0 } else { region_len(&self.out_region(stage, chunk)) as u64 };
        read.saturating_mul(own.per_read.into())
            .saturating_add(made.saturating_mul(own.per_made.into()))
            .saturating_add(own.fixed)
    }

    /// The same of one input, which the task reads `first` of, and perhaps more.
    fn slot_bytes(
        &self,
        (s, chunk): (&Stage, ChunkIdx),
        slot: usize,
        first: (StageIdx, ChunkIdx),
        more: bool,
    ) -> u64 {
        let (size, from) = (self.input_size(s, slot), self.stage(first.0));
        // A client's chunk may be a part of larger memory, and is then copied.
        let in_place = |read: u64| {
            !more && !from.is_upload() && region_len(&self.out_region(first.0, first.1)) as u64 == read
        };
        match &s.inputs[slot].map {
            InputMap::View { view, .. } => {
                let region = s.grid.region(chunk);
                let (read, given) = (view_len(view, &region), given_len(view, &region));
                let gathered = if more { read.saturating_mul(size) } else { 0 };
                let as_it_lies = read == given && (more || in_place(given));
                if as_it_lies { gathered } else { gathered.saturating_add(given.saturating_mul(size)) }
            }
            InputMap::Boxes(read) => {
                let coords = s.grid.coords(chunk);
                let (own, padded) = self.padded_len((s, &coords), read, from);
                let gives = if padded == own { 0 } else { s.element_bytes as u64 };
                if padded == own && in_place(own) { 0 } else { padded.saturating_mul(size + gives) }
            }
            InputMap::Group { .. }
            | InputMap::Flat
            | InputMap::Take(_)
            | InputMap::Listed(_)
            | InputMap::Blocks => 0,
        }
    }

    /// Elements of a block, without and with what is around it.
    fn padded_len(&self, (s, coords): (&Stage, &[usize]), read: &[Positions], from: &Stage) -> (u64, u64) {
        let along = |(p, axis): (&Positions, &AxisGrid)| match *p {
            Positions::Near { axis: of, reach } => {
                let own = s.grid.axes()[of].range(coords[of]);
                let padded = if own.is_empty() { 0 } else { reach.padded_len(&own, axis.len()) };
                (own.len() as u64, padded as u64)
            }
            Positions::Number { .. } => (1, 1),
            Positions::All | Positions::Nothing => (axis.len() as u64, axis.len() as u64),
        };
        let lens = read.iter().zip(from.out_grid.axes()).map(along);
        lens.fold((1, 1), |(own, padded), (o, p)| (o.saturating_mul(own), p.saturating_mul(padded)))
    }

    /// Bytes of an element of an input.
    fn input_size(&self, s: &Stage, slot: usize) -> u64 {
        self.stage(s.inputs[slot].stage).element_bytes as u64
    }
}

/// The sum of `bytes` over the tasks that are needed of a stage; of many, over some and scaled.
fn over_tasks(need: &Need, bytes: impl FnMut(ChunkIdx) -> u64) -> u64 {
    let n = need.n_tasks();
    let step = n.div_ceil(READERS_COUNTED_MAX).max(1);
    let sum: u128 = (0..n).step_by(step as usize).map(|i| need.nth(i)).map(bytes).map(u128::from).sum();
    let counted = u128::from(n.div_ceil(step).max(1));
    u64::try_from(sum * u128::from(n) / counted).unwrap_or(u64::MAX)
}

/// Elements that a box shows of an input through a view, repeated ones once.
fn view_len(view: &View, region: &[Range<usize>]) -> u64 {
    let len = |map: &AxisMap| match *map {
        AxisMap::At(_) => 1,
        AxisMap::Along { axis, .. } => region[axis].len() as u64,
    };
    view.axes.iter().map(len).product()
}

/// Elements that a box shows of an input through a view, repeated ones as often as they are.
fn given_len(view: &View, region: &[Range<usize>]) -> u64 {
    let seen =
        |axis: usize| view.axes.iter().any(|m| matches!(*m, AxisMap::Along { axis: a, .. } if a == axis));
    let repeated = (0..region.len()).filter(|&axis| !seen(axis)).map(|axis| region[axis].len() as u64);
    repeated.fold(view_len(view, region), u64::saturating_mul)
}

/// Whether a task of a matrix product brings its inputs together first: they are cut into short pieces.
fn gathers_product(stage: &Stage, chunk: ChunkIdx, n_inputs: usize) -> bool {
    let inner = stage.grid.region(chunk)[2].len();
    n_inputs > 2 && inner / n_inputs < CONTRACT_PIECE_MIN
}
