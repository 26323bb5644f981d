//! From program to plan: which nodes get a stage of their own, and the fused program of each stage.
//!
//! Elementwise chains, sources, views and new chunkings are evaluated inside the stage that uses them; slices are
//! thereby pushed down to what is sliced. Unused nodes never appear and equal nodes are shared.
//! Knows programs and plans. Must not know workers or time.

use crate::error::ExprError;
use crate::fused::{Def, Fused, Value, ValueIdx};
use crate::grid::{AxisGrid, Grid};
use crate::op::{Fold, Op};
use crate::plan::{Input, InputMap, Plan, Stage, StageKind};
use crate::program::{Node, NodeIdx, Program};
use crate::runs::run_grid_like;
use crate::stored::Reading;
use crate::take::Taken;
use crate::task::StageIdx;
use crate::view::{AxisMap, View};
use crate::{DType, Scalar};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Values that a fused program may have before it is cut by a stage.
const FUSED_VALUES_MAX: usize = 400;
/// Stages that may each evaluate the same cheap chain before it gets a stage of its own.
const COPIES_MAX: usize = 3;
/// Values of a chain that is cheap enough to be evaluated in several stages.
const COPY_VALUES_MAX: usize = 8;
/// States that one task folds together.
const COMBINE_FANIN: usize = 32;
/// Bytes of inputs that one task of a matrix product reads before its inner axis is cut.
const CONTRACT_INPUT_BYTES_MAX: usize = 512 << 20;

impl Plan {
    /// Lowers a program.
    ///
    /// # Errors
    /// If the program is not well formed: inputs out of order, shapes or dtypes that do not fit the operations.
    pub fn of(program: &Program) -> Result<Plan, ExprError> {
        program.check()?;
        let program = &program.shared();
        let staged = choose_stages(program);
        let mut rewriter =
            Rewriter { program, staged, stage_of: vec![None; program.nodes.len()], plan: Plan::default() };
        for i in 0..program.nodes.len() {
            if rewriter.staged[i] {
                let stage = rewriter.emit(NodeIdx(i as u32));
                rewriter.stage_of[i] = Some(stage);
            }
        }
        // Every output was given a stage, so none is lost here.
        rewriter.plan.outputs =
            program.outputs.iter().filter_map(|o| rewriter.stage_of[o.0 as usize]).collect();
        crate::narrow::narrow(&mut rewriter.plan);
        rewriter.plan.link();
        Ok(rewriter.plan)
    }
}

/// How a node takes part in stages.
fn is_inline(op: &Op) -> bool {
    matches!(
        op,
        Op::Full(_)
            | Op::Index { .. }
            | Op::Random { .. }
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Cast
            | Op::Select
            | Op::Apply(_)
            | Op::View(_)
            | Op::Rechunk
    )
}

/// Whether an operation evaluates its inputs itself (else they must be stages, seen through views at most).
fn evaluates_inputs(op: &Op) -> bool {
    is_inline(op) || matches!(op, Op::Reduce { .. } | Op::Reshape)
}

/// Marks the live nodes that get a stage.
#[allow(clippy::needless_range_loop, reason = "walks users before inputs, both by position")]
fn choose_stages(program: &Program) -> Vec<bool> {
    let n = program.nodes.len();
    let mut live = vec![false; n];
    let mut staged = vec![false; n];
    // The stages that would evaluate each node; `None` within means the node's own.
    let mut roots: Vec<Vec<usize>> = vec![Vec::new(); n];
    for o in &program.outputs {
        live[o.0 as usize] = true;
        staged[o.0 as usize] = true;
    }
    let size = inline_sizes(program);
    for i in (0..n).rev() {
        if !live[i] {
            continue;
        }
        let node = &program.nodes[i];
        staged[i] |= !is_inline(&node.op) || !may_copy(program, i, &roots[i], size[i]);
        let at: Vec<usize> = if staged[i] { vec![i] } else { std::mem::take(&mut roots[i]) };
        for input in &node.inputs {
            let j = input.0 as usize;
            live[j] = true;
            let repeats = matches!(&node.op, Op::View(v) if repeats(v, node));
            let read_as_chunks = match &node.op {
                Op::Write(_) | Op::Take { .. } => true,
                Op::MapOverlap { .. } => !is_rechunked_stage(program, j),
                op => !evaluates_inputs(op) && !is_view_chain(program, j),
            };
            staged[j] |= read_as_chunks || repeats && !is_cheap_leaf(program, j);
            for r in &at {
                if !roots[j].contains(r) {
                    roots[j].push(*r);
                }
            }
        }
    }
    staged
}

/// Whether node `i`, evaluated in the stages `roots`, may be evaluated in each of them.
fn may_copy(program: &Program, i: usize, roots: &[usize], size: usize) -> bool {
    if size > FUSED_VALUES_MAX {
        return false;
    }
    roots.len() <= 1
        || is_view_chain(program, i)
        || roots.len() <= COPIES_MAX && size <= COPY_VALUES_MAX && !costly(program, i)
}

fn costly(program: &Program, i: usize) -> bool {
    let node = &program.nodes[i];
    let own = match &node.op {
        Op::Unary(u) => u.is_costly(),
        Op::Binary(b) => b.is_costly(),
        // Nobody knows what it costs.
        Op::Apply(_) => true,
        _ => false,
    };
    own || is_inline(&node.op) && node.inputs.iter().any(|j| costly(program, j.0 as usize))
}

/// Values that evaluating each node in place takes, at most.
fn inline_sizes(program: &Program) -> Vec<usize> {
    let mut size = vec![1usize; program.nodes.len()];
    for (i, node) in program.nodes.iter().enumerate() {
        if is_inline(&node.op) {
            // A node that is too large gets a stage, so that whoever uses it adds one input.
            let of = |j: &NodeIdx| Some(size[j.0 as usize]).filter(|&s| s <= FUSED_VALUES_MAX).unwrap_or(1);
            size[i] = 1 + node.inputs.iter().map(of).sum::<usize>();
        }
    }
    size
}

/// Views and new chunkings of something that has a stage, or of a source that costs nothing.
fn is_view_chain(program: &Program, i: usize) -> bool {
    let node = &program.nodes[i];
    match &node.op {
        Op::View(_) | Op::Rechunk => is_view_chain(program, node.inputs[0].0 as usize),
        op => !is_inline(op),
    }
}

/// New chunkings of something that has a stage.
fn is_rechunked_stage(program: &Program, i: usize) -> bool {
    let node = &program.nodes[i];
    match &node.op {
        Op::Rechunk => is_rechunked_stage(program, node.inputs[0].0 as usize),
        op => !is_inline(op),
    }
}

fn is_cheap_leaf(program: &Program, i: usize) -> bool {
    let node = &program.nodes[i];
    match &node.op {
        Op::Full(_) | Op::Index { .. } => true,
        Op::View(_) | Op::Rechunk => is_cheap_leaf(program, node.inputs[0].0 as usize),
        op => !is_inline(op),
    }
}

/// Whether a view reads elements of its input more than once.
fn repeats(view: &View, node: &Node) -> bool {
    let read: usize = (view.axes.iter())
        .map(|m| match *m {
            AxisMap::Along { axis, .. } => node.grid.axes()[axis].len(),
            AxisMap::At(_) => 1,
        })
        .product();
    let out: usize = node.grid.axes().iter().map(AxisGrid::len).product();
    out > read
}

struct Rewriter<'a> {
    program: &'a Program,
    staged: Vec<bool>,
    stage_of: Vec<Option<StageIdx>>,
    plan: Plan,
}

impl Rewriter<'_> {
    fn push(&mut self, stage: Stage) -> StageIdx {
        self.plan.stages.push(stage);
        StageIdx(self.plan.stages.len() as u32 - 1)
    }

    fn emit(&mut self, idx: NodeIdx) -> StageIdx {
        let node = self.program.node(idx).clone();
        let source = |kind| Stage {
            kind,
            grid: node.grid.clone(),
            out_grid: node.grid.clone(),
            inputs: Vec::new(),
            planes: vec![node.dtype],
        };
        match &node.op {
            Op::Literal { id } => self.push(source(StageKind::Literal { id: *id })),
            Op::Read(file, stored) => {
                let reading = Reading::whole(file.clone(), stored.clone(), &node.grid);
                self.push(source(StageKind::Read(reading)))
            }
            Op::Held { job, output } => self.push(source(StageKind::Held { job: *job, output: *output })),
            Op::Reduce { fold, axes } => self.emit_reduce(&node, *fold, axes),
            Op::MatMul => self.emit_matmul(&node),
            Op::Reshape => self.emit_reshape(&node),
            Op::Concat { axis } => self.emit_concat(&node, *axis),
            Op::Take { axis, positions } => {
                let of = &self.program.node(node.inputs[0]).grid.axes()[*axis];
                let taken = Taken::new(*axis, positions.clone(), of, &node.grid.axes()[*axis]);
                let input = Input { map: InputMap::Take(Arc::new(taken)), ..self.input_itself(&node) };
                self.push(Stage { inputs: vec![input], ..source(StageKind::Take) })
            }
            Op::Write(file) => {
                let input = self.input_itself(&node);
                self.push(Stage { inputs: vec![input], ..source(StageKind::Write(file.clone())) })
            }
            Op::MapBlocks(kernel) => {
                let input = self.input_itself(&node);
                self.push(Stage { inputs: vec![input], ..source(StageKind::Blocks(kernel.clone())) })
            }
            Op::MapOverlap { kernel, halo } => {
                let input = Input { map: InputMap::Halo(halo.clone()), ..self.input_itself(&node) };
                self.push(Stage { inputs: vec![input], ..source(StageKind::Blocks(kernel.clone())) })
            }
            Op::FoldAxis { kernel, axis } => {
                let input = self.input_itself(&node);
                let kind = StageKind::FoldAxis { kernel: kernel.clone(), axes: [*axis] };
                let grid = self.program.node(node.inputs[0]).grid.clone();
                self.push(Stage { inputs: vec![input], grid, ..source(kind) })
            }
            _ => self.emit_map(idx, &node.grid),
        }
    }

    fn emit_map(&mut self, idx: NodeIdx, grid: &Grid) -> StageIdx {
        let (program, inputs) = self.fuse(idx, grid.ndim());
        let planes = vec![program.dtype()];
        self.push(Stage {
            kind: StageKind::Map(program),
            grid: grid.clone(),
            out_grid: grid.clone(),
            inputs,
            planes,
        })
    }

    fn fuse(&self, idx: NodeIdx, ndim: usize) -> (Fused, Vec<Input>) {
        let mut builder =
            Fuser { rewriter: self, ndim, values: Vec::new(), inputs: Vec::new(), memo: BTreeMap::new() };
        let view = View::identity(ndim);
        let last = builder.lower(idx, &view);
        let mut values = builder.values;
        // The result is the last value by construction, but for a root that is shared within its own program.
        if last.0 as usize + 1 != values.len() {
            let value = values[last.0 as usize].clone();
            values.push(value);
        }
        (Fused { values }, builder.inputs)
    }

    fn emit_reduce(&mut self, node: &Node, fold: Fold, axes: &[usize]) -> StageIdx {
        let input = node.inputs[0];
        let of = self.program.node(input).grid.clone();
        let (program, inputs) = self.fuse(input, of.ndim());
        let dtype = program.dtype();
        let finish = axes.iter().all(|&a| of.axes()[a].n_chunks() == 1);
        let planes = if finish { vec![node.dtype] } else { fold.state(dtype) };
        let kind = StageKind::Reduce { program, fold, axes: axes.to_vec(), finish };
        let kept: Vec<usize> = (0..of.ndim()).filter(|a| !axes.contains(a)).collect();
        let out_grid = of.select(&kept);
        let stage = self.push(Stage { kind, grid: of.clone(), out_grid, inputs, planes });
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
            let fanin = combine_fanin(&grid, axes);
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
            from =
                self.push(Stage { kind, grid: next.clone(), out_grid: next.select(&kept), inputs, planes });
            if finish {
                return from;
            }
            for (s, f) in span.iter_mut().zip(&fanin) {
                *s *= f;
            }
            grid = next;
        }
    }

    fn emit_matmul(&mut self, node: &Node) -> StageIdx {
        let (a, b) = (self.program.node(node.inputs[0]), self.program.node(node.inputs[1]));
        let (rows, cols) = (node.grid.axes()[0].clone(), node.grid.axes()[1].clone());
        let inner = inner_grid(&a.grid.axes()[1], rows.chunk_max() + cols.chunk_max(), node.dtype.size());
        debug_assert_eq!(a.grid.axes()[1].len(), b.grid.axes()[0].len());
        let left = View { axes: vec![AxisMap::same(0), AxisMap::same(2)] };
        let right = View { axes: vec![AxisMap::same(2), AxisMap::same(1)] };
        let inputs = vec![self.viewed(node.inputs[0], left, None), self.viewed(node.inputs[1], right, None)];
        let partial = inner.n_chunks() > 1;
        let grid = Grid::new(vec![rows, cols, inner]);
        let out_grid = grid.select(&[0, 1]);
        let stage =
            self.push(Stage { kind: StageKind::Contract, grid, out_grid, inputs, planes: vec![node.dtype] });
        if partial { self.emit_combine(stage, (Fold::Sum, node.dtype), &[2], node.dtype) } else { stage }
    }

    fn emit_reshape(&mut self, node: &Node) -> StageIdx {
        let input = node.inputs[0];
        let from = match self.stage_of[input.0 as usize] {
            Some(s) if crate::runs::is_run_grid(&self.plan.stage(s).out_grid) => s,
            _ => {
                let grid = run_grid_like(&self.program.node(input).grid);
                self.emit_map(input, &grid)
            }
        };
        let inputs = vec![Input { stage: from, map: InputMap::Flat }];
        let grid = node.grid.clone();
        self.push(Stage {
            kind: StageKind::Reshape,
            out_grid: grid.clone(),
            grid,
            inputs,
            planes: vec![node.dtype],
        })
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
                inputs.push(self.viewed(input, view, Some((axis, at..at + len))));
            }
            at += len;
        }
        let grid = node.grid.clone();
        self.push(Stage {
            kind: StageKind::Concat,
            out_grid: grid.clone(),
            grid,
            inputs,
            planes: vec![node.dtype],
        })
    }

    /// The only input of a node, as it is, on whatever grid its stage has.
    fn input_itself(&self, node: &Node) -> Input {
        let ndim = self.program.node(node.inputs[0]).grid.ndim();
        self.viewed(node.inputs[0], View::identity(ndim), None)
    }

    /// The stage behind `idx`, seen through the views between and then `view`.
    fn viewed(&self, idx: NodeIdx, view: View, clip: Option<(usize, std::ops::Range<usize>)>) -> Input {
        let (mut idx, mut view) = (idx, view);
        loop {
            if let Some(stage) = self.stage_of[idx.0 as usize] {
                return Input { stage, map: InputMap::View { view, clip } };
            }
            let node = self.program.node(idx);
            if let Op::View(v) = &node.op {
                view = v.after(&view);
            }
            idx = node.inputs[0];
        }
    }
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

/// How many states along each axis one task folds: as many as possible along the last axes first.
fn combine_fanin(grid: &Grid, axes: &[usize]) -> Vec<usize> {
    let mut fanin = vec![1; grid.ndim()];
    let mut left = COMBINE_FANIN;
    for &a in axes.iter().rev() {
        fanin[a] = grid.axes()[a].n_chunks().min(left);
        left /= fanin[a];
        if left < 2 {
            break;
        }
    }
    fanin
}

struct Fuser<'a> {
    rewriter: &'a Rewriter<'a>,
    ndim: usize,
    values: Vec<Value>,
    inputs: Vec<Input>,
    memo: BTreeMap<(NodeIdx, String), ValueIdx>,
}

impl Fuser<'_> {
    fn lower(&mut self, idx: NodeIdx, view: &View) -> ValueIdx {
        let key = (idx, format!("{view:?}"));
        if let Some(&v) = self.memo.get(&key) {
            return v;
        }
        let v = self.lower_new(idx, view);
        self.memo.insert(key, v);
        v
    }

    fn lower_new(&mut self, idx: NodeIdx, view: &View) -> ValueIdx {
        let node = self.rewriter.program.node(idx);
        if let Some(stage) = self.rewriter.stage_of[idx.0 as usize] {
            let input = Input { stage, map: InputMap::View { view: view.clone(), clip: None } };
            let slot = self.inputs.iter().position(|i| *i == input).unwrap_or_else(|| {
                self.inputs.push(input);
                self.inputs.len() - 1
            });
            return self.value(Def::Input { slot }, node.dtype);
        }
        match &node.op {
            Op::Full(s) => self.value(Def::Const(*s), node.dtype),
            Op::Index { axis } => {
                let def = match view.axes[*axis] {
                    AxisMap::At(p) => Def::Const(Scalar::new(p as i64)),
                    AxisMap::Along { axis: along, start, step } => {
                        let mut steps = vec![0; self.ndim];
                        steps[along] = step as i64;
                        Def::Index { start: start as i64, steps }
                    }
                };
                self.value(def, DType::I64)
            }
            Op::Random { key, dist } => {
                let (start, steps) = linear(&node.grid.shape(), view, self.ndim);
                self.value(Def::Random { key: *key, dist: *dist, start, steps }, node.dtype)
            }
            Op::View(v) => self.lower(node.inputs[0], &v.after(view)),
            Op::Rechunk => self.lower(node.inputs[0], view),
            op => {
                let args: Vec<ValueIdx> = node.inputs.iter().map(|&i| self.lower(i, view)).collect();
                let def = match op {
                    Op::Unary(u) => Def::Unary(*u, args[0]),
                    Op::Binary(b) => Def::Binary(*b, args[0], args[1]),
                    Op::Cast => Def::Cast(args[0]),
                    Op::Select => Def::Select(args[0], args[1], args[2]),
                    Op::Apply(kernel) => Def::Apply(kernel.clone(), args),
                    _ => unreachable!("only inline operations are lowered into a fused program"),
                };
                self.value(def, node.dtype)
            }
        }
    }

    fn value(&mut self, def: Def, dtype: DType) -> ValueIdx {
        let value = Value { def, dtype };
        let at = self.values.iter().position(|v| *v == value).unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        });
        ValueIdx(at as u32)
    }
}

/// The row-major position, in an array of `shape`, of what each iteration point reads.
fn linear(shape: &[usize], view: &View, ndim: usize) -> (i64, Vec<i64>) {
    let mut stride = 1i64;
    let mut start = 0i64;
    let mut steps = vec![0i64; ndim];
    for (map, &len) in view.axes.iter().zip(shape).rev() {
        match *map {
            AxisMap::At(p) => start += stride * p as i64,
            AxisMap::Along { axis, start: s, step } => {
                start += stride * s as i64;
                steps[axis] += stride * step as i64;
            }
        }
        stride *= len as i64;
    }
    (start, steps)
}
