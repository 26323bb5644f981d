//! Which nodes get a stage of their own, and which values each stage evaluates, through which views.
//!
//! Nodes are walked from the outputs to the sources, so that whoever reads a node has asked for it before it is looked
//! at. A node that several stages ask for, or one stage through several views, is evaluated by each where that costs
//! less than writing it once and reading it back; else it becomes a stage.
//!
//! Knows what is asked of each node. Must not know how values and stages are written down.

use super::sizes::Sizes;
use super::views::{ViewIdx, Views};
use super::{evaluates_inputs, is_inline};
use crate::blocks::Read;
use crate::op::Op;
use crate::program::{Node, NodeIdx, Program};
use tilework_plan::{AxisGrid, AxisMap, View};

/// Values made for the sake of one alone beyond which that one gets a stage.
const FUSED_VALUES_MAX: usize = 400;
/// Values of a fused program beyond which it is cut, where so much is shared within it that none of its values has as
/// many for itself.
const PROGRAM_VALUES_MAX: usize = 1000;
/// Times that a cheap value is evaluated, by several stages or at several places, before it gets a stage.
const COPIES_MAX: usize = 3;
/// Values made for the sake of one that is cheap enough to be evaluated several times.
const COPY_VALUES_MAX: usize = 8;

/// A node as it is evaluated in some stage: through that view, from the stage's space to the node's.
pub(super) type Seen = (NodeIdx, ViewIdx);

/// What is evaluated where.
pub(super) struct Stages {
    staged: Vec<bool>,
    /// For each stage, by its node, what its fused program evaluates or reads: users first.
    evaluated: Vec<Vec<Seen>>,
    views: Views,
    /// For views and new chunkings that cost nothing, what is seen through them, and how.
    through: Vec<Option<Seen>>,
}

impl Stages {
    /// Decides for all nodes.
    pub fn choose(program: &Program) -> Stages {
        let shape = Shape::of(program);
        let sizes = Sizes::of(program, (&shape.live, &shape.staged), FUSED_VALUES_MAX);
        let n = program.nodes.len();
        let mut views = Views::default();
        let through = shape.through(program, &mut views);
        let stages = Stages { staged: shape.staged, evaluated: vec![Vec::new(); n], views, through };
        let mut walk = Walk { program, stages, asked: vec![Vec::new(); n] };
        for i in (0..n).rev().filter(|&i| shape.live[i]) {
            walk.visit(NodeIdx(i as u32), &sizes, shape.free[i]);
        }
        walk.stages
    }

    pub fn is_stage(&self, node: NodeIdx) -> bool {
        self.staged[node.0 as usize]
    }

    /// The view of a number.
    pub fn view(&self, view: ViewIdx) -> &View {
        self.views.get(view)
    }

    /// Takes what the fused program of a stage evaluates and reads: inputs first, a node's views side by side.
    pub fn take_evaluated(&mut self, stage: NodeIdx) -> Vec<Seen> {
        let mut seen = std::mem::take(&mut self.evaluated[stage.0 as usize]);
        seen.reverse();
        seen
    }

    /// What is behind a node of `ndim` axes, and the view from it to that.
    pub fn behind_itself(&mut self, node: NodeIdx, ndim: usize) -> Seen {
        let identity = self.views.identity(ndim);
        self.behind(node, identity)
    }

    /// What is really seen of a node: the one behind views that cost nothing.
    fn behind(&mut self, node: NodeIdx, view: ViewIdx) -> Seen {
        match self.through[node.0 as usize] {
            Some((base, inner)) => (base, self.views.after(inner, view)),
            None => (node, view),
        }
    }

    /// An input of a node that is seen through `view`.
    pub fn input_of(&mut self, node: &Node, input: NodeIdx, view: ViewIdx) -> Seen {
        let view = match &node.op {
            Op::View(v) => {
                let inner = self.views.number(v);
                self.views.after(inner, view)
            }
            _ => view,
        };
        self.behind(input, view)
    }
}

/// What is known of each node before it is known who evaluates it.
struct Shape {
    live: Vec<bool>,
    /// What gets a stage whoever uses it.
    staged: Vec<bool>,
    /// What can be evaluated anywhere at no cost: constants, indices and views of these or of a stage.
    free: Vec<bool>,
}

impl Shape {
    #[allow(clippy::needless_range_loop, reason = "looks at inputs by position")]
    fn of(program: &Program) -> Shape {
        let n = program.nodes.len();
        let mut live = vec![false; n];
        let mut staged: Vec<bool> = program.nodes.iter().map(|node| !is_inline(&node.op)).collect();
        for o in &program.outputs {
            live[o.0 as usize] = true;
            staged[o.0 as usize] = true;
        }
        let chain = chains(program, &staged, |op| matches!(op, Op::View(_) | Op::Rechunk));
        let rechunked = chains(program, &staged, |op| matches!(op, Op::Rechunk));
        let mut free = chain.clone();
        for (i, node) in program.nodes.iter().enumerate() {
            free[i] |= match &node.op {
                Op::Full(_) | Op::Index { .. } => true,
                Op::View(_) | Op::Rechunk => free[node.inputs[0].0 as usize],
                _ => false,
            };
        }
        for i in (0..n).rev() {
            if !live[i] {
                continue;
            }
            let node = &program.nodes[i];
            let repeated = matches!(&node.op, Op::View(v) if repeats(v, node));
            for (slot, j) in node.inputs.iter().map(|j| j.0 as usize).enumerate() {
                live[j] = true;
                let read_as_chunks = match &node.op {
                    Op::Write(_) | Op::Take { .. } | Op::Calls(_) | Op::Table(_) => true,
                    Op::Blocks(blocks) if blocks.reads[slot] == Read::Block => true,
                    Op::Blocks(blocks) if blocks.view_of(slot).is_none() => !rechunked[j],
                    op => !evaluates_inputs(op) && !chain[j],
                };
                staged[j] |= read_as_chunks || repeated && !free[j];
                // What a call reads as one chunk is not made by one task.
                if let (Op::Calls(_), Op::Rechunk) = (&node.op, &program.nodes[j].op) {
                    let of = program.nodes[j].inputs[0].0 as usize;
                    staged[of] |= !free[of];
                }
            }
        }
        // What nobody uses gets none: its inputs were not looked at.
        staged.iter_mut().zip(&live).for_each(|(staged, live)| *staged &= live);
        Shape { live, staged, free }
    }

    /// For each view or new chunking that is free and no stage itself, what is behind it and all others like it.
    fn through(&self, program: &Program, views: &mut Views) -> Vec<Option<Seen>> {
        let mut through: Vec<Option<Seen>> = Vec::with_capacity(program.nodes.len());
        for (i, node) in program.nodes.iter().enumerate() {
            let own = match &node.op {
                _ if !self.live[i] || !self.free[i] || self.staged[i] => None,
                Op::View(v) => Some(views.number(v)),
                Op::Rechunk => Some(views.identity(node.grid.ndim())),
                _ => None,
            };
            through.push(own.map(|own| match through[node.inputs[0].0 as usize] {
                Some((base, inner)) => (base, views.after(inner, own)),
                None => (node.inputs[0], own),
            }));
        }
        through
    }
}

/// Which nodes are stages, or such operations on one, one after another.
fn chains(program: &Program, staged: &[bool], is_link: impl Fn(&Op) -> bool) -> Vec<bool> {
    let mut chain = staged.to_vec();
    for (i, node) in program.nodes.iter().enumerate() {
        chain[i] |= is_link(&node.op) && chain[node.inputs[0].0 as usize];
    }
    chain
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

/// The walk from users to inputs.
struct Walk<'a> {
    program: &'a Program,
    stages: Stages,
    /// What was asked for of each node that was not visited: by which stage, through which view.
    asked: Vec<Vec<(NodeIdx, ViewIdx)>>,
}

impl Walk<'_> {
    /// Decides about a node, all users of which were visited, and asks for its inputs.
    fn visit(&mut self, i: NodeIdx, sizes: &Sizes, free: bool) {
        let at = i.0 as usize;
        let node = &self.program.nodes[at];
        let mut asked = std::mem::take(&mut self.asked[at]);
        asked.sort_unstable();
        asked.dedup();
        let copied = || free || may_copy(asked.len(), sizes.values[at], sizes.costly[at]);
        self.stages.staged[at] |= !copied() || !free && self.is_full(&asked);
        for &(stage, view) in &asked {
            self.stages.evaluated[stage.0 as usize].push((i, view));
        }
        if !self.stages.staged[at] {
            for (stage, view) in asked {
                self.ask_for_inputs(node, stage, view);
            }
        } else if evaluates_inputs(&node.op) {
            let space = match &node.op {
                Op::Reduce { .. } | Op::Reshape => &self.program.node(node.inputs[0]).grid,
                _ => &node.grid,
            };
            let identity = self.stages.views.identity(space.ndim());
            if is_inline(&node.op) {
                self.stages.evaluated[at].push((i, identity));
            }
            self.ask_for_inputs(node, i, identity);
        }
    }

    fn ask_for_inputs(&mut self, node: &Node, stage: NodeIdx, view: ViewIdx) {
        for &input in &node.inputs {
            let (input, view) = self.stages.input_of(node, input, view);
            self.asked[input.0 as usize].push((stage, view));
        }
    }

    /// Whether the program of a stage that asks has no room left.
    fn is_full(&self, asked: &[(NodeIdx, ViewIdx)]) -> bool {
        asked.iter().any(|(stage, _)| self.stages.evaluated[stage.0 as usize].len() >= PROGRAM_VALUES_MAX)
    }
}

/// Whether a value that is asked for so many times is evaluated as often.
fn may_copy(times: usize, values: usize, costly: bool) -> bool {
    if times > 1 {
        times <= COPIES_MAX && values <= COPY_VALUES_MAX && !costly
    } else {
        values <= FUSED_VALUES_MAX
    }
}
