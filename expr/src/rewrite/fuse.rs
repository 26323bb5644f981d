//! The fused program of a stage: the values that it evaluates, each once.
//!
//! Knows what is evaluated in which order. Must not know why.

use super::stages::{Seen, Stages};
use super::views::ViewIdx;
use crate::fused::{Def, Fused, Value, ValueIdx};
use crate::op::Op;
use crate::program::{Node, NodeIdx, Program};
use crate::{DType, Scalar};
use std::collections::HashMap;
use tilework_plan::{AxisMap, Input, InputMap, StageIdx, View};

/// Writes down the values of one stage.
pub(super) struct Fuser<'a> {
    program: &'a Program,
    stages: &'a mut Stages,
    /// Axes of the stage's space.
    ndim: usize,
    values: Vec<Value>,
    inputs: Vec<Input>,
    /// Where each value was written down: by what it is of, and by how it is made.
    by_seen: HashMap<Seen, ValueIdx>,
    by_value: HashMap<Value, ValueIdx>,
    slots: HashMap<(StageIdx, ViewIdx), usize>,
}

impl<'a> Fuser<'a> {
    pub fn new(program: &'a Program, stages: &'a mut Stages, ndim: usize) -> Fuser<'a> {
        Fuser {
            program,
            stages,
            ndim,
            values: Vec::new(),
            inputs: Vec::new(),
            by_seen: HashMap::new(),
            by_value: HashMap::new(),
            slots: HashMap::new(),
        }
    }

    /// What a stage evaluates, inputs first, the result last; `stage_of` knows the stages made so far.
    pub fn fuse(mut self, seen: &[Seen], stage_of: &[Option<StageIdx>]) -> (Fused, Vec<Input>) {
        let mut last = None;
        for &(node, view) in seen {
            let value = match stage_of[node.0 as usize] {
                Some(stage) => self.input(stage, view, self.program.node(node).dtype),
                None => self.evaluate(node, view),
            };
            self.by_seen.insert((node, view), value);
            last = Some(value);
        }
        // The result is the last value, but where an equal one was made before.
        if let Some(last) = last.filter(|v| v.0 as usize + 1 != self.values.len()) {
            self.values.push(self.values[last.0 as usize].clone());
        }
        (Fused { values: self.values }, self.inputs)
    }

    fn input(&mut self, stage: StageIdx, view: ViewIdx, dtype: DType) -> ValueIdx {
        let next = self.inputs.len();
        let slot = *self.slots.entry((stage, view)).or_insert(next);
        if slot == next {
            let view = self.stages.view(view).clone();
            self.inputs.push(Input { stage, map: InputMap::View { view, clip: None } });
        }
        self.value(Def::Input { slot }, dtype)
    }

    fn evaluate(&mut self, idx: NodeIdx, view: ViewIdx) -> ValueIdx {
        let node = self.program.node(idx);
        let args: Vec<ValueIdx> = node.inputs.iter().map(|&i| self.argument(node, i, view)).collect();
        let def = match &node.op {
            Op::View(_) | Op::Rechunk => return args[0],
            Op::Full(s) => Def::Const(*s),
            Op::Index { axis } => index(self.stages.view(view).axes[*axis], self.ndim),
            Op::Random { key, dist } => {
                let (start, steps) = linear(&node.grid.shape(), self.stages.view(view), self.ndim);
                Def::Random { key: *key, dist: *dist, start, steps }
            }
            Op::Unary(u) => Def::Unary(*u, args[0]),
            Op::Binary(b) => Def::Binary(*b, args[0], args[1]),
            Op::Cast => Def::Cast(args[0]),
            Op::Select => Def::Select(args[0], args[1], args[2]),
            Op::Apply(kernel) => Def::Apply(kernel.clone(), args),
            Op::Literal { .. }
            | Op::Read(..)
            | Op::Take { .. }
            | Op::Held { .. }
            | Op::Blocks(_)
            | Op::Reshape
            | Op::Concat { .. }
            | Op::Reduce { .. }
            | Op::MatMul
            | Op::Write(_)
            | Op::Calls(_)
            | Op::FromValue(_)
            | Op::Table(_)
            | Op::Values(_) => unreachable!("these have a stage, which comes before those that read it"),
        };
        self.value(def, node.dtype)
    }

    /// The value of an input of a node that is seen through `view`.
    fn argument(&mut self, node: &Node, input: NodeIdx, view: ViewIdx) -> ValueIdx {
        self.by_seen[&self.stages.input_of(node, input, view)]
    }

    fn value(&mut self, def: Def, dtype: DType) -> ValueIdx {
        let value = Value { def, dtype };
        let next = ValueIdx(self.values.len() as u32);
        let at = *self.by_value.entry(value.clone()).or_insert(next);
        if at == next {
            self.values.push(value);
        }
        at
    }
}

/// The index along an axis that is read so.
fn index(map: AxisMap, ndim: usize) -> Def {
    match map {
        AxisMap::At(p) => Def::Const(Scalar::new(p as i64)),
        AxisMap::Along { axis, start, step } => {
            let mut steps = vec![0; ndim];
            steps[axis] = step as i64;
            Def::Index { start: start as i64, steps }
        }
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
