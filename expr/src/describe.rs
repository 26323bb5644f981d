//! Stages in words: what a plan does, for people.
//!
//! Knows plans. Must not know where they run or how they are laid out on a page.

use crate::UnaryOp;
use crate::blocks::{Along, BlockFunction, Blocks, Read};
use crate::dtype::DType;
use crate::fused::{Def, Fused, ValueIdx};
use crate::kernel::Kernel;
use crate::lowered::{Lowered, StageKind};
use crate::op::{BinaryOp, Dist, FileRef, Fold};
use std::fmt::{self, Debug};
use tilework_plan::{AxisMap, Input, InputMap, Origin, Scratch, Stage, StageIdx, View};

/// Characters of a fused program's formula; a longer one is cut.
const FORMULA_CHARS_MAX: usize = 72;
/// Characters at which writing a formula ends: programs share values, so that a formula may be far larger than they.
const WRITTEN_CHARS_MAX: usize = 2000;
/// Values within one another that are written: what is further within is three dots.
const WRITTEN_DEPTH_MAX: u8 = 100;
/// How a formula ends whose results are brought together by other stages.
const OF_EACH_CHUNK: &str = " of each chunk";

impl Lowered {
    /// What a stage does, as a formula; `#3` is stage 3.
    ///
    /// # Panics
    /// If there is no such stage.
    #[must_use]
    pub fn describe(&self, stage: StageIdx) -> String {
        let (s, work) = (self.plan.stage(stage), self.work(stage));
        let first = || s.inputs.first().map(|i| self.input(s, i)).unwrap_or_default();
        match &work.kind {
            StageKind::Literal => format!("array of the client, {}", work.dtype()),
            StageKind::Read(file) => match &s.origin {
                Origin::File(extent) if !extent.is_whole() => format!("read a part of {}", place(file)),
                _ => format!("read {}", place(file)),
            },
            StageKind::Held => "held by the workers".to_owned(),
            StageKind::Map(program) if program.is_passthrough() => first(),
            StageKind::Map(program) => self.formula(s, program),
            StageKind::Reduce { program, fold, axes, finish } => {
                let part = if *finish { "" } else { OF_EACH_CHUNK };
                format!("{}({}){}{part}", fold_name(*fold), self.formula(s, program), over(axes))
            }
            StageKind::Combine { fold, axes, finish, .. } => {
                let part = if *finish { "" } else { ", in groups" };
                format!("{} of partial results {}{}{part}", fold_name(*fold), first(), over(axes))
            }
            StageKind::Contract => {
                let inputs: Vec<String> = s.inputs.iter().map(|i| self.input(s, i)).collect();
                format!("matrix product {}", inputs.join(" · "))
            }
            StageKind::Reshape => format!("reshape({})", first()),
            StageKind::Concat => {
                let inputs: Vec<String> = s.inputs.iter().map(|i| format!("#{}", i.stage.0)).collect();
                cut(format!("concatenate({})", inputs.join(", ")))
            }
            StageKind::Take => match &s.inputs[0].map {
                InputMap::Take(taken) => {
                    format!("select({}, {} positions of axis {})", first(), taken.positions.len(), taken.axis)
                }
                _ => first(),
            },
            StageKind::Blocks(blocks) => self.blocks(s, blocks),
            StageKind::Write(file) => format!("write {} to {}", first(), place(file)),
            StageKind::Calls(calls) => {
                let behind = |input: &Input| self.plan.behind(input.stage).0;
                let block = if calls.takes { "a block of each of " } else { "" };
                let inputs: Vec<String> = s.inputs.iter().map(|i| format!("{block}#{}", behind(i))).collect();
                cut(format!("{}({})", function_name(&calls.kernel), inputs.join(", ")))
            }
            StageKind::FromValue(_) => format!("from_future({})", first()),
            StageKind::Table(stage) => {
                let behind = |input: &Input| format!("#{}", self.plan.behind(input.stage).0);
                let inputs: Vec<String> = s.inputs.iter().map(behind).collect();
                cut(format!("{}({})", stage.name, inputs.join(", ")))
            }
            StageKind::Values if s.is_alias() => "held by the workers".to_owned(),
            StageKind::Values => "values of the client".to_owned(),
            StageKind::Barrier => format!("all of {}", first()),
        }
    }

    fn blocks(&self, s: &Stage, blocks: &Blocks) -> String {
        let behind = |input: &Input| match input.map {
            InputMap::Blocks => format!("a block of each of #{}", self.plan.behind(input.stage).0),
            _ => self.input(s, input),
        };
        let mut words: Vec<String> = s.inputs.iter().map(behind).collect();
        let mut folded = Vec::new();
        if let [Read::Box(along)] = &blocks.reads[..] {
            if along.iter().any(|a| a.halo().is_some()) {
                let depth = |a: &Along| match a.halo() {
                    Some(h) if h.before != h.after => format!("{}+{}", h.before, h.after),
                    h => h.map_or(0, |h| h.before).to_string(),
                };
                words.push(format!("depth [{}]", along.iter().map(depth).collect::<Vec<_>>().join(", ")));
            }
            folded = (0..along.len()).filter(|&a| along[a] == Along::All).collect();
        }
        match &blocks.function {
            BlockFunction::User(kernel, front) => {
                words.push(function_name(kernel));
                cut(format!("{}({}){}", front.name(), words.join(", "), over(&folded)))
            }
            BlockFunction::Own(own) => cut(format!("{}({}){}", own.name, words.join(", "), over(&folded))),
        }
    }

    /// What the plan is for, in a line: the operation that makes its first output, and how many others there are.
    #[must_use]
    pub fn title(&self) -> String {
        let Some(&output) = self.plan.outputs.first() else { return "nothing".to_owned() };
        let mut at = output;
        // The tree of partial results says less than what it is over.
        while let StageKind::Combine { .. } = self.work(at).kind {
            let Some(input) = self.plan.stage(at).inputs.first() else { break };
            at = input.stage;
        }
        let what = self.describe(at);
        let what = what.strip_suffix(OF_EACH_CHUNK).unwrap_or(&what);
        match self.plan.outputs.len() - 1 {
            0 => what.to_owned(),
            more => format!("{what} and {more} more"),
        }
    }

    /// An input as it is read: `#3`, or what is done to it on the way.
    fn input(&self, to: &Stage, input: &Input) -> String {
        let name = format!("#{}", input.stage.0);
        let from = self.plan.stage(input.stage);
        match &input.map {
            InputMap::View { view, .. } if view.is_identity(to.grid.ndim()) => {
                if from.out_grid == to.grid {
                    name
                } else {
                    format!("rechunk({name})")
                }
            }
            InputMap::View { .. } if to.scratch == Scratch::Product => name,
            InputMap::View { view, .. } => format!("{}({name})", view_name(view, to, from)),
            InputMap::Boxes(_)
            | InputMap::Group { .. }
            | InputMap::Flat
            | InputMap::Take(_)
            | InputMap::Listed(_)
            | InputMap::Blocks => name,
        }
    }

    fn formula(&self, stage: &Stage, program: &Fused) -> String {
        let mut text = String::new();
        let last = ValueIdx(program.values.len() as u32 - 1);
        Writer { lowered: self, stage, program, depth: 0 }.write(last, 0, &mut text);
        cut(text)
    }
}

/// Writes a fused program as a formula.
struct Writer<'a> {
    lowered: &'a Lowered,
    stage: &'a Stage,
    program: &'a Fused,
    /// How far within the formula a value is written.
    depth: u8,
}

impl Writer<'_> {
    /// Writes a value for a place that binds as strongly as `binding`.
    fn write(&mut self, at: ValueIdx, binding: u8, out: &mut String) {
        if out.len() > WRITTEN_CHARS_MAX {
            return;
        }
        if self.depth == WRITTEN_DEPTH_MAX {
            return out.push('…');
        }
        self.depth += 1;
        self.write_value(at, binding, out);
        self.depth -= 1;
    }

    fn write_value(&mut self, at: ValueIdx, binding: u8, out: &mut String) {
        let value = self.program.value(at);
        match &value.def {
            Def::Input { slot } => out.push_str(&self.lowered.input(self.stage, &self.stage.inputs[*slot])),
            Def::Const(c) if matches!(c.dtype(), DType::F64 | DType::I64) => {
                out.push_str(&c.as_f64().to_string());
            }
            Def::Const(c) => out.push_str(&format!("{c:?}")),
            Def::Index { .. } => out.push_str("index"),
            Def::Random { dist, .. } => out.push_str(&dist.to_string()),
            Def::Unary(UnaryOp::Neg, a) => {
                out.push('-');
                self.write(*a, 9, out);
            }
            Def::Unary(op, a) => self.call(&snake(op), &[*a], out),
            Def::Binary(op, a, b) => match infix(*op) {
                Some((sign, strength)) => {
                    let brackets = strength < binding;
                    out.push_str(if brackets { "(" } else { "" });
                    self.write(*a, strength, out);
                    out.push_str(&format!(" {sign} "));
                    self.write(*b, strength + 1, out);
                    out.push_str(if brackets { ")" } else { "" });
                }
                None => self.call(&snake(op), &[*a, *b], out),
            },
            Def::Cast(a) => self.call(&value.dtype.to_string(), &[*a], out),
            Def::Select(a, b, c) => self.call("where", &[*a, *b, *c], out),
            Def::Apply(kernel, args) => self.call(&function_name(kernel), args, out),
        }
    }

    fn call(&mut self, name: &str, args: &[ValueIdx], out: &mut String) {
        out.push_str(name);
        out.push('(');
        for (i, arg) in args.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            self.write(*arg, 0, out);
        }
        out.push(')');
    }
}

/// An operator's sign and how strongly it binds, as in Rust.
fn infix(op: BinaryOp) -> Option<(&'static str, u8)> {
    Some(match op {
        BinaryOp::Add => ("+", 7),
        BinaryOp::Sub => ("-", 7),
        BinaryOp::Mul => ("*", 8),
        BinaryOp::Div => ("/", 8),
        BinaryOp::Rem => ("%", 8),
        BinaryOp::Shl => ("<<", 6),
        BinaryOp::Shr => (">>", 6),
        BinaryOp::And => ("&", 5),
        BinaryOp::Xor => ("^", 4),
        BinaryOp::Or => ("|", 3),
        BinaryOp::Eq => ("==", 2),
        BinaryOp::Ne => ("!=", 2),
        BinaryOp::Lt => ("<", 2),
        BinaryOp::Le => ("<=", 2),
        BinaryOp::Gt => (">", 2),
        BinaryOp::Ge => (">=", 2),
        _ => return None,
    })
}

fn view_name(view: &View, to: &Stage, from: &Stage) -> &'static str {
    let sliced = view.axes.iter().zip(from.out_grid.axes()).any(|(map, grid)| match *map {
        AxisMap::At(_) => grid.len() != 1,
        AxisMap::Along { axis, start, step } => {
            (start, step) != (0, 1) || to.grid.axes()[axis].len() != grid.len()
        }
    });
    let fed = view.axes.iter().filter(|m| matches!(m, AxisMap::Along { .. })).count();
    match (sliced, fed < to.grid.ndim()) {
        (true, _) => "slice",
        (false, true) => "broadcast",
        (false, false) => "transpose",
    }
}

impl fmt::Display for Dist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dist::Uniform { low, high } => write!(f, "uniform({low}..{high})"),
            Dist::Normal { mean, std } => write!(f, "normal({mean}, {std})"),
            Dist::Integers { low, high } => write!(f, "integers({low}..{high})"),
        }
    }
}

impl fmt::Display for UnaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&snake(self))
    }
}

/// An operator's sign, else the function's name.
impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match infix(*self) {
            Some((sign, _)) => f.write_str(sign),
            None => f.write_str(&snake(self)),
        }
    }
}

fn fold_name(fold: Fold) -> String {
    match fold {
        Fold::Var { ddof } | Fold::Std { ddof } => {
            let name = if matches!(fold, Fold::Var { .. }) { "var" } else { "std" };
            if ddof == 0.0 { name.to_owned() } else { format!("{name} (ddof {ddof})") }
        }
        _ => snake(&fold).replace('_', ""),
    }
}

fn over(axes: &[usize]) -> String {
    let numbers: Vec<String> = axes.iter().map(usize::to_string).collect();
    match axes {
        [] => String::new(),
        [_] => format!(" over axis {}", numbers[0]),
        _ => format!(" over axes {}", numbers.join(", ")),
    }
}

fn place(file: &FileRef) -> String {
    if file.member.is_empty() { file.path.clone() } else { format!("{}: {}", file.path, file.member) }
}

/// The last parts of a function's type, which name it.
fn function_name(kernel: &Kernel) -> String {
    let path = kernel.name.split('<').next().unwrap_or_default();
    let parts: Vec<&str> = path.split("::").collect();
    parts[parts.len().saturating_sub(2)..].join("::")
}

/// A variant's name as a function's.
fn snake(op: &impl Debug) -> String {
    let mut name = String::new();
    for c in format!("{op:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

fn cut(text: String) -> String {
    match text.char_indices().nth(FORMULA_CHARS_MAX) {
        Some((at, _)) => format!("{} …", text[..at].trim_end()),
        None => text,
    }
}
