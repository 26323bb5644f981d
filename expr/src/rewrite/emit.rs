//! The stages of a plan, written down one after another: inputs first.
//!
//! Knows what each operation becomes. Must not know which nodes get a stage, nor how fused programs are written.

use super::fuse::Fuser;
use super::stages::Stages;
use crate::DType;
use crate::blocks::{Blocks, Read};
use crate::calls::{Calls, VALUE_BYTES_GUESS, Values};
use crate::fused::Fused;
use crate::lowered::{Lowered, StageKind, Work};
use crate::narrow::narrow;
use crate::op::{Fold, Op};
use crate::program::{Node, NodeIdx, Program};
use crate::runs::{is_run_grid, run_grid_like};
use crate::table::TableStage;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{
    AxisGrid, AxisMap, Extent, Function, Grid, Input, InputMap, JobId, Origin, Plan, Scratch, Sizes, Stage,
    StageIdx, Taken, View,
};

/// States that one task folds together.
const COMBINE_FANIN: usize = 32;
/// Bytes of states that one task folds together, where more than two are folded: states of whole chunks (a mean over
/// years of every day and place) would be gigabytes.
const COMBINE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of inputs that one task of a matrix product reads before its inner axis is cut.
const CONTRACT_INPUT_BYTES_MAX: usize = 512 << 20;

/// A plan that is being written.
pub(super) struct Emitter<'a> {
    program: &'a Program,
    stages: Stages,
    stage_of: Vec<Option<StageIdx>>,
    plan: Plan,
    works: Vec<Work>,
    /// Of stages whose results are read by blocks, the barriers that stand for them.
    barriers: HashMap<StageIdx, StageIdx>,
}

impl<'a> Emitter<'a> {
    pub fn new(program: &'a Program, stages: Stages) -> Emitter<'a> {
        let stage_of = vec![None; program.nodes.len()];
        let (plan, works, barriers) = (Plan::default(), Vec::new(), HashMap::new());
        Emitter { program, stages, stage_of, plan, works, barriers }
    }

    /// The lowered program, when all stages were written.
    pub fn finish(mut self) -> Lowered {
        // Every output was given a stage, so none is lost here.
        self.plan.outputs = self.program.outputs.iter().filter_map(|o| self.stage_of[o.0 as usize]).collect();
        narrow(&mut self.plan, &mut self.works);
        self.plan.link();
        Lowered { plan: Arc::new(self.plan), works: self.works }
    }

    /// Writes the stages of a node; those of the nodes before it are there.
    pub fn emit(&mut self, idx: NodeIdx) {
        let stage = self.emit_node(idx);
        self.stage_of[idx.0 as usize] = Some(stage);
    }

    /// Writes a stage of such a shape that does this; what follows from what it does is filled in.
    fn push(&mut self, shape: Stage, work: Work) -> StageIdx {
        let (line, terms) = match &work.kind {
            StageKind::Calls(calls) | StageKind::FromValue(calls) => {
                (calls.line.clone(), calls.terms.clone())
            }
            StageKind::Table(stage) => (None, stage.terms.clone()),
            _ => (None, None),
        };
        let calls = work.kernel().map(|kernel| Arc::new(Function { line, ..Function::from(&**kernel) }));
        let fails_alone = matches!(work.kind, StageKind::Calls(_) | StageKind::Values) || shape.fails_alone;
        let is_values = work.kind.gives_values();
        let element_bytes = match &work.kind {
            StageKind::Write(_) | StageKind::Barrier => 0,
            StageKind::Calls(_) | StageKind::Values => VALUE_BYTES_GUESS,
            StageKind::Table(stage) if is_values => usize::try_from(stage.bytes_guess).unwrap_or(usize::MAX),
            StageKind::Blocks(blocks) => match blocks.gives {
                Some(gives) => usize::try_from(gives.bytes_guess).unwrap_or(usize::MAX),
                None => work.dtype().size(),
            },
            _ => work.planes.iter().map(|d| d.size()).sum(),
        };
        let (scratch, remade) = (scratch(&work.kind), is_remade(&work.kind));
        self.plan.stages.push(Stage {
            name: work.kind.name(),
            element_bytes,
            sizes: if is_values { Sizes::Measured } else { Sizes::Exact },
            fails_alone,
            scratch,
            remade,
            calls,
            terms,
            ..shape
        });
        self.works.push(work);
        StageIdx(self.plan.stages.len() as u32 - 1)
    }

    /// Writes a stage over the grid of its node.
    fn push_on(&mut self, node: &Node, (origin, inputs): (Origin, Vec<Input>), kind: StageKind) -> StageIdx {
        let shape = Stage { inputs, ..Stage::source("", origin, &node.grid, 0) };
        self.push(shape, Work { kind, planes: vec![node.dtype] })
    }

    fn emit_node(&mut self, idx: NodeIdx) -> StageIdx {
        let program = self.program;
        let node = program.node(idx);
        match &node.op {
            Op::Literal { id } => {
                self.push_on(node, (Origin::Client { id: *id }, Vec::new()), StageKind::Literal)
            }
            Op::Read(file, stored) => {
                let origin = Origin::File(Extent::whole(stored.clone(), &node.grid));
                self.push_on(node, (origin, Vec::new()), StageKind::Read(file.clone()))
            }
            Op::Held { job, output } => {
                let origin = Origin::Earlier { job: JobId(*job), output: *output };
                self.push_on(node, (origin, Vec::new()), StageKind::Held)
            }
            Op::Calls(calls) => self.emit_calls(node, calls, StageKind::Calls(calls.clone())),
            Op::FromValue(calls) => self.emit_calls(node, calls, StageKind::FromValue(calls.clone())),
            Op::Table(stage) => self.emit_table(node, stage),
            Op::Values(Values::Client { id }) => {
                self.push_on(node, (Origin::Client { id: *id }, Vec::new()), StageKind::Values)
            }
            Op::Values(Values::Job { job, output }) => {
                let origin = Origin::Earlier { job: JobId(*job), output: *output };
                self.push_on(node, (origin, Vec::new()), StageKind::Values)
            }
            Op::Reduce { fold, axes } => self.emit_reduce(idx, *fold, axes),
            Op::MatMul => self.emit_matmul(node),
            Op::Reshape => self.emit_reshape(idx),
            Op::Concat { axis } => self.emit_concat(node, *axis),
            Op::Take { axis, positions } => {
                let of = &self.program.node(node.inputs[0]).grid.axes()[*axis];
                let taken = Taken::new(*axis, positions.clone(), of, &node.grid.axes()[*axis]);
                let input = Input { map: InputMap::Take(Arc::new(taken)), ..self.input_itself(node) };
                self.push_on(node, (Origin::Computed, vec![input]), StageKind::Take)
            }
            Op::Write(file) => self.emit_of_input(node, StageKind::Write(file.clone())),
            Op::Blocks(blocks) => self.emit_blocks(node, blocks),
            Op::Full(_)
            | Op::Index { .. }
            | Op::Random { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Cast
            | Op::Select
            | Op::Apply(_)
            | Op::View(_)
            | Op::Rechunk => self.emit_map(idx, &node.grid),
        }
    }

    /// Writes a stage whose tasks read the chunks of the node's input as they are.
    fn emit_of_input(&mut self, node: &Node, kind: StageKind) -> StageIdx {
        let input = self.input_itself(node);
        self.push_on(node, (Origin::Computed, vec![input]), kind)
    }

    fn emit_map(&mut self, idx: NodeIdx, grid: &Grid) -> StageIdx {
        let (program, inputs) = self.fuse(idx, grid.ndim());
        let planes = vec![program.dtype()];
        let shape = Stage { inputs, ..Stage::source("", Origin::Computed, grid, 0) };
        self.push(shape, Work { kind: StageKind::Map(program), planes })
    }

    /// The fused program of a node's stage, over a space of `ndim` axes.
    fn fuse(&mut self, idx: NodeIdx, ndim: usize) -> (Fused, Vec<Input>) {
        let seen = self.stages.take_evaluated(idx);
        Fuser::new(self.program, &mut self.stages, ndim).fuse(&seen, &self.stage_of)
    }

    fn emit_reduce(&mut self, idx: NodeIdx, fold: Fold, axes: &[usize]) -> StageIdx {
        let node = self.program.node(idx);
        let of = self.program.node(node.inputs[0]).grid.clone();
        let (program, inputs) = self.fuse(idx, of.ndim());
        let dtype = program.dtype();
        let finish = axes.iter().all(|&a| of.axes()[a].n_chunks() == 1);
        let planes = if finish { vec![node.dtype] } else { fold.state(dtype) };
        let kind = StageKind::Reduce { program, fold, axes: axes.to_vec(), finish };
        let kept: Vec<usize> = (0..of.ndim()).filter(|a| !axes.contains(a)).collect();
        let shape = Stage {
            out_grid: of.select(&kept),
            folded: axes.to_vec(),
            inputs,
            ..Stage::source("", Origin::Computed, &of, 0)
        };
        let stage = self.push(shape, Work { kind, planes });
        if finish { stage } else { self.emit_combine(stage, (fold, dtype), axes, node.dtype) }
    }

    fn emit_combine(
        &mut self,
        from: StageIdx,
        (fold, dtype): (Fold, DType),
        axes: &[usize],
        out: DType,
    ) -> StageIdx {
        let of = self.plan.stage(from).grid.clone();
        let kept: Vec<usize> = (0..of.ndim()).filter(|a| !axes.contains(a)).collect();
        let (mut from, mut grid, mut span) = (from, of.clone(), vec![1; of.ndim()]);
        loop {
            let fanin = combine_fanin(&grid, axes, self.combine_most(from));
            let next = (0..grid.ndim()).map(|a| {
                let n = grid.axes()[a].n_chunks().div_ceil(fanin[a]);
                if axes.contains(&a) { AxisGrid::regular(n, 1) } else { grid.axes()[a].clone() }
            });
            let next = Grid::new(next.collect());
            let finish = axes.iter().all(|&a| next.axes()[a].n_chunks() == 1);
            let planes = if finish { vec![out] } else { fold.state(dtype) };
            let kind = StageKind::Combine {
                fold,
                dtype,
                axes: axes.to_vec(),
                span: span.clone(),
                of: of.clone(),
                finish,
            };
            let inputs = vec![Input { stage: from, map: InputMap::Group { fanin: fanin.clone() } }];
            let shape = Stage {
                out_grid: next.select(&kept),
                folded: axes.to_vec(),
                inputs,
                ..Stage::source("", Origin::Computed, &next, 0)
            };
            from = self.push(shape, Work { kind, planes });
            if finish {
                return from;
            }
            for (s, f) in span.iter_mut().zip(&fanin) {
                *s *= f;
            }
            grid = next;
        }
    }

    /// States of a stage's chunks that one task may fold together.
    fn combine_most(&self, of: StageIdx) -> usize {
        let bytes = self.plan.stage(of).chunk_bytes_max().max(1);
        ((COMBINE_BYTES_MAX / bytes) as usize).clamp(2, COMBINE_FANIN)
    }

    fn emit_matmul(&mut self, node: &Node) -> StageIdx {
        let (a, b) = (self.program.node(node.inputs[0]), self.program.node(node.inputs[1]));
        let (rows, cols) = (node.grid.axes()[0].clone(), node.grid.axes()[1].clone());
        let inner = inner_grid(&a.grid.axes()[1], rows.chunk_max() + cols.chunk_max(), node.dtype.size());
        debug_assert_eq!(a.grid.axes()[1].len(), b.grid.axes()[0].len());
        let left = View { axes: vec![AxisMap::same(0), AxisMap::same(2)] };
        let right = View { axes: vec![AxisMap::same(2), AxisMap::same(1)] };
        let inputs =
            vec![self.viewed(node.inputs[0], &left, None), self.viewed(node.inputs[1], &right, None)];
        let partial = inner.n_chunks() > 1;
        let grid = Grid::new(vec![rows, cols, inner]);
        let shape = Stage {
            out_grid: grid.select(&[0, 1]),
            folded: vec![2],
            inputs,
            ..Stage::source("", Origin::Computed, &grid, 0)
        };
        let stage = self.push(shape, Work { kind: StageKind::Contract, planes: vec![node.dtype] });
        if partial { self.emit_combine(stage, (Fold::Sum, node.dtype), &[2], node.dtype) } else { stage }
    }

    fn emit_reshape(&mut self, idx: NodeIdx) -> StageIdx {
        let node = self.program.node(idx);
        let input = node.inputs[0];
        let from = match self.stage_of[input.0 as usize] {
            Some(s) if is_run_grid(&self.plan.stage(s).out_grid) => s,
            _ => {
                let grid = run_grid_like(&self.program.node(input).grid);
                self.emit_map(idx, &grid)
            }
        };
        let inputs = vec![Input { stage: from, map: InputMap::Flat }];
        self.push_on(node, (Origin::Computed, inputs), StageKind::Reshape)
    }

    fn emit_concat(&mut self, node: &Node, axis: usize) -> StageIdx {
        let ndim = node.grid.ndim();
        let mut at = 0;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let len = self.program.node(input).grid.axes()[axis].len();
            let mut view = View::identity(ndim);
            view.axes[axis] = AxisMap::Along { axis, start: 0usize.wrapping_sub(at), step: 1 };
            if len > 0 {
                inputs.push(self.viewed(input, &view, Some((axis, at..at + len))));
            }
            at += len;
        }
        self.push_on(node, (Origin::Computed, inputs), StageKind::Concat)
    }

    fn emit_calls(&mut self, node: &Node, calls: &Calls, kind: StageKind) -> StageIdx {
        if calls.takes {
            let inputs = node.inputs.iter().map(|of| self.blocks_of(*of)).collect();
            return self.push_on(node, (Origin::Computed, inputs), kind);
        }
        let n_values = |of: &NodeIdx| self.program.node(*of).grid.n_chunks() as usize;
        let listed = calls.reads(&node.inputs.iter().map(n_values).collect::<Vec<_>>());
        let stage = |of: &NodeIdx| self.stage_of[of.0 as usize].expect("what calls read has a stage");
        let inputs = node.inputs.iter().zip(listed);
        let input = |(of, listed)| Input { stage: stage(of), map: InputMap::Listed(Arc::new(listed)) };
        let inputs = inputs.map(input).collect();
        self.push_on(node, (Origin::Computed, inputs), kind)
    }

    fn emit_blocks(&mut self, node: &Node, blocks: &Arc<Blocks>) -> StageIdx {
        let inputs = node.inputs.iter().enumerate().map(|(slot, &of)| {
            let Read::Box(along) = &blocks.reads[slot] else { return self.blocks_of(of) };
            match blocks.view_of(slot) {
                Some(view) => self.viewed(of, &view, None),
                None => {
                    let axes = self.program.node(of).grid.axes();
                    let read = along.iter().zip(axes).map(|(a, axis)| a.positions(axis.len()));
                    let map = InputMap::Boxes(read.collect());
                    Input { map, ..self.viewed(of, &View::identity(axes.len()), None) }
                }
            }
        });
        let inputs = inputs.collect();
        let source = Stage::source("", Origin::Computed, &blocks.space, 0);
        let shape = Stage { inputs, out_grid: node.grid.clone(), ..source };
        self.push(shape, Work { kind: StageKind::Blocks(blocks.clone()), planes: vec![node.dtype] })
    }

    fn emit_table(&mut self, node: &Node, table: &Arc<TableStage>) -> StageIdx {
        let n_tasks = node.grid.n_chunks() as usize;
        let input = |(slot, of): (usize, &NodeIdx)| {
            let n_values = self.program.node(*of).grid.n_chunks() as usize;
            let stage = self.stage_of[of.0 as usize].expect("what tables read has a stage");
            table.whole(slot, stage, (n_tasks, n_values)).unwrap_or_else(|| self.blocks_of(*of))
        };
        let inputs = node.inputs.iter().enumerate().map(input).collect();
        self.push_on(node, (Origin::Computed, inputs), StageKind::Table(table.clone()))
    }

    /// The blocks of a node's values, behind a barrier that all who read them share.
    fn blocks_of(&mut self, of: NodeIdx) -> Input {
        let of = self.stage_of[of.0 as usize].expect("values have a stage");
        let known = self.barriers.get(&of).copied();
        let stage = known.unwrap_or_else(|| {
            let (grid, alone) = (&self.plan.stage(of).out_grid, self.plan.stage(of).fails_alone);
            let barrier = Stage::barrier(of, grid, alone);
            self.push(barrier, Work { kind: StageKind::Barrier, planes: vec![DType::U8] })
        });
        self.barriers.insert(of, stage);
        Input { stage, map: InputMap::Blocks }
    }

    /// The only input of a node, as it is, on whatever grid its stage has.
    fn input_itself(&mut self, node: &Node) -> Input {
        let ndim = self.program.node(node.inputs[0]).grid.ndim();
        self.viewed(node.inputs[0], &View::identity(ndim), None)
    }

    /// The stage behind a node, seen through the views between and then `view`.
    fn viewed(&mut self, idx: NodeIdx, view: &View, clip: Option<(usize, Range<usize>)>) -> Input {
        let (base, inner) = self.stages.behind_itself(idx, self.program.node(idx).grid.ndim());
        let stage = self.stage_of[base.0 as usize].expect("what is read as chunks has a stage");
        let view = self.stages.view(inner).after(view);
        Input { stage, map: InputMap::View { view, clip } }
    }
}

/// What a task of such a stage takes of memory besides.
fn scratch(kind: &StageKind) -> Scratch {
    match kind {
        StageKind::Map(program) if program.values.len() > 1 => Scratch::Gathered,
        StageKind::Reduce { .. } => Scratch::Gathered,
        StageKind::Contract => Scratch::Product,
        StageKind::Blocks(blocks) => Scratch::Blocks(blocks.function.temporaries()),
        StageKind::Calls(_) => Scratch::Arguments,
        StageKind::Map(_)
        | StageKind::Literal
        | StageKind::Read(_)
        | StageKind::Held
        | StageKind::Combine { .. }
        | StageKind::Reshape
        | StageKind::Concat
        | StageKind::Take
        | StageKind::Values
        | StageKind::Barrier
        | StageKind::FromValue(_)
        | StageKind::Table(_)
        | StageKind::Write(_) => Scratch::None,
    }
}

/// Whether chunks of such a stage, where it reads nothing, cost no more to make again than to write and read them.
fn is_remade(kind: &StageKind) -> bool {
    matches!(kind, StageKind::Literal | StageKind::Read(_) | StageKind::Map(_))
}

/// The inner axis of a matrix product, cut so that one task's inputs stay within bounds.
fn inner_grid(axis: &AxisGrid, outer: usize, itemsize: usize) -> AxisGrid {
    let per_position = outer.saturating_mul(itemsize).max(1);
    let fits = (CONTRACT_INPUT_BYTES_MAX / per_position).max(axis.chunk_max().max(1));
    let mut lens: Vec<usize> = Vec::new();
    for len in axis.chunk_lens() {
        match lens.last_mut() {
            Some(last) if *last + len <= fits => *last += len,
            _ => lens.push(len),
        }
    }
    AxisGrid::explicit(&lens)
}

/// How many states along each axis one task folds, so many at most: as many as possible along the last axes first.
fn combine_fanin(grid: &Grid, axes: &[usize], most: usize) -> Vec<usize> {
    let mut fanin = vec![1; grid.ndim()];
    let mut left = most;
    for &a in axes.iter().rev() {
        fanin[a] = grid.axes()[a].n_chunks().min(left);
        left /= fanin[a];
        if left < 2 {
            break;
        }
    }
    fanin
}
