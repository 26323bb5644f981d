//! Whether a program is well formed: the same rules whether its nodes were built here or came over the wire.
//!
//! Knows what each operation asks of its inputs. Must not know stages.

use crate::calls::check_values;
use crate::dtype::DType;
use crate::error::ExprError;
use crate::kernel::{ARGUMENTS_MAX, Kernel, PARAMS_BYTES_MAX};
use crate::op::{Dist, Op};
use crate::program::{Node, Program};
use crate::runs::is_run_grid;
use crate::table::PROGRAM_PAIRS_MAX;
use tilework_plan::{AxisGrid, AxisMap, Grid, Stored, View};

/// Dimensions that an array may have.
pub const NDIM_MAX: usize = 32;

/// Chunks that an array may have: beyond this, chunk numbers alone would fill memory.
pub const CHUNKS_MAX: u64 = 1 << 32;

/// Chunks that one axis may have where their lengths are listed one by one.
pub const LISTED_CHUNKS_MAX: usize = 1 << 24;

/// Operations that a program may have: more would take longer to plan than everybody else should wait.
pub const NODES_MAX: usize = 1 << 17;

/// Inputs that all operations of a program may have together.
pub const EDGES_MAX: usize = 1 << 20;

/// Checks that an array of this grid can exist.
///
/// # Errors
/// [`ExprError::TooLarge`] for too many bytes; [`ExprError::Parameter`] for too many dimensions or chunks.
pub fn checked_grid(grid: &Grid, dtype: DType) -> Result<(), ExprError> {
    checked_bytes(&grid.shape(), dtype)?;
    if grid.ndim() > NDIM_MAX {
        let got = grid.ndim().to_string();
        return Err(ExprError::Parameter { what: "number of dimensions", got, expected: "at most 32" });
    }
    let count = grid.axes().iter().try_fold(1u64, |n, a| n.checked_mul(a.n_chunks() as u64));
    match count.filter(|&n| n <= CHUNKS_MAX) {
        Some(_) => Ok(()),
        None => {
            let got = format!("{:?} along the axes", grid.counts());
            Err(ExprError::Parameter {
                what: "number of chunks",
                got,
                expected: "at most 2^32; make them larger",
            })
        }
    }
}

/// Bytes of an array of `shape`, or the error that there are too many.
///
/// # Errors
/// [`ExprError::TooLarge`] where shape × itemsize overflows `isize`.
pub fn checked_bytes(shape: &[usize], dtype: DType) -> Result<usize, ExprError> {
    let mut nonzero = shape.iter().copied().filter(|&l| l > 0);
    nonzero
        .try_fold(dtype.size(), usize::checked_mul)
        .filter(|&n| n <= isize::MAX as usize)
        .map(|n| if shape.contains(&0) { 0 } else { n })
        .ok_or(ExprError::TooLarge { shape: shape.to_vec(), itemsize: dtype.size() })
}

impl Program {
    /// Checks every node against its inputs.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ExprError> {
        self.check_size()?;
        let mut n_pairs = 0u64;
        for (i, node) in self.nodes.iter().enumerate() {
            let bad = |why: String| ExprError::Program { node: i as u32, why };
            if node.inputs.iter().any(|j| j.0 as usize >= i) {
                return Err(bad("an input does not come before it".into()));
            }
            if node.grid.ndim() > NDIM_MAX {
                return Err(bad(format!("{} dimensions, at most {NDIM_MAX}", node.grid.ndim())));
            }
            checked_grid(&node.grid, node.dtype)?;
            let inputs: Vec<&Node> = node.inputs.iter().map(|&j| self.node(j)).collect();
            let reads_values = |of: &Op| match (&node.op, of) {
                // Whose they are, each checks itself.
                (Op::Blocks(_), _) => true,
                (Op::Calls(_) | Op::FromValue(_) | Op::Table(_), of) => !matches!(of, Op::Blocks(_)),
                _ => false,
            };
            if inputs.iter().any(|n| n.op.gives_values() && !reads_values(&n.op)) {
                return Err(bad("values are read by calls and tables alone".into()));
            }
            if inputs.iter().any(|n| matches!(n.op, Op::Write(_))) {
                return Err(bad("a written array has no elements to read".into()));
            }
            check_node(node, &inputs).map_err(bad)?;
            if let Op::Table(stage) = &node.op {
                n_pairs = n_pairs.saturating_add(stage.n_pairs(inputs.iter().map(|input| &input.grid)));
                if n_pairs > PROGRAM_PAIRS_MAX {
                    return Err(bad("tables read 16777216 values in all at most".into()));
                }
            }
        }
        for o in &self.outputs {
            let why = match self.nodes.get(o.0 as usize).map(|node| &node.op) {
                None => "an output that does not exist",
                Some(Op::Calls(calls)) if calls.gives > 0 => "values of blocks are read by calls alone",
                Some(Op::Blocks(blocks)) if blocks.gives.is_some() => {
                    "values of blocks are read by tasks alone"
                }
                Some(_) => continue,
            };
            return Err(ExprError::Program { node: o.0, why: why.into() });
        }
        Ok(())
    }
}

impl Program {
    fn check_size(&self) -> Result<(), ExprError> {
        let n_edges: usize = self.nodes.iter().map(|n| n.inputs.len()).sum();
        let (what, got, expected) = match (self.nodes.len(), n_edges) {
            (n, _) if n > NODES_MAX => (
                "number of operations in one run",
                n,
                "at most 131072; compute or persist a part of them first",
            ),
            (_, n) if n > EDGES_MAX => (
                "number of inputs of all operations in one run",
                n,
                "at most 1048576; compute or persist a part of them first",
            ),
            _ => return Ok(()),
        };
        Err(ExprError::Parameter { what, got: got.to_string(), expected })
    }
}

fn check_node(node: &Node, inputs: &[&Node]) -> Result<(), String> {
    let n_inputs = match &node.op {
        Op::Full(_)
        | Op::Index { .. }
        | Op::Random { .. }
        | Op::Literal { .. }
        | Op::Read(..)
        | Op::Held { .. }
        | Op::Values(_) => 0,
        Op::Binary(_) | Op::MatMul => 2,
        Op::Select => 3,
        Op::Concat { .. } => inputs.len().max(1),
        Op::Apply(kernel) => kernel.inputs.len(),
        Op::Calls(_) | Op::Table(_) | Op::Blocks(_) => inputs.len(),
        _ => 1,
    };
    if inputs.len() != n_inputs {
        return Err(format!("{} inputs, expected {n_inputs}", inputs.len()));
    }
    let read = || inputs.iter().map(|n| (&n.op, &n.grid)).collect::<Vec<_>>();
    match &node.op {
        Op::Calls(calls) => return calls.check((&node.grid, node.dtype), &read()),
        Op::FromValue(calls) => return calls.check_array((&node.grid, node.dtype), &read()),
        Op::Table(stage) => return stage.check((&node.grid, node.dtype), &read()),
        Op::Blocks(blocks) => {
            let read: Vec<_> = inputs.iter().map(|n| (&n.op, &n.grid, n.dtype)).collect();
            return blocks.check((&node.grid, node.dtype), &read);
        }
        _ => {}
    }
    if let Some(kernel) = node.op.kernel() {
        check_kernel(kernel, node, inputs)?;
    }
    match &node.op {
        Op::Full(s) if s.dtype() != node.dtype => {
            Err(format!("a {} value, expected {}", s.dtype(), node.dtype))
        }
        Op::Index { axis } if *axis >= node.grid.ndim() || node.dtype != DType::I64 => {
            Err("a bad index source".into())
        }
        Op::Random { dist, .. } => check_dist(*dist, node.dtype),
        Op::Read(_, Stored::Boxes(lens)) if lens.len() != node.grid.ndim() || lens.contains(&0) => {
            Err(format!("stored in boxes of {lens:?}, expected a length for each axis"))
        }
        Op::Full(_) | Op::Index { .. } | Op::Literal { .. } | Op::Read(..) | Op::Held { .. } => Ok(()),
        Op::Values(_) => check_values(node),
        Op::Unary(_) | Op::Binary(_) | Op::Cast | Op::Select | Op::Apply(_) => {
            check_elementwise(node, inputs)
        }
        Op::View(view) => check_view(view, &inputs[0].grid, &node.grid, node.dtype == inputs[0].dtype),
        _ => check_shaped(node, inputs),
    }
}

fn check_dist(dist: Dist, dtype: DType) -> Result<(), String> {
    let fits = match dist {
        Dist::Uniform { .. } | Dist::Normal { .. } => dtype.is_float(),
        Dist::Integers { low, high } => dtype.is_int() && low < high && high - low <= 1 << 64,
    };
    if fits { Ok(()) } else { Err(format!("{dist:?} has no elements of {dtype}")) }
}

fn check_elementwise(node: &Node, inputs: &[&Node]) -> Result<(), String> {
    let shape = node.grid.shape();
    if let Some(bad) = inputs.iter().find(|n| n.grid.shape() != shape) {
        return Err(format!("an input of shape {:?}, expected {shape:?}", bad.grid.shape()));
    }
    let Some(d) = inputs.first().map(|n| n.dtype) else { return Ok(()) };
    let fits = match &node.op {
        Op::Apply(_) => true,
        Op::Unary(op) => op.result(d) == Some(node.dtype),
        Op::Binary(op) => inputs[1].dtype == d && op.result(d) == Some(node.dtype),
        Op::Cast => !d.is_complex() || node.dtype.is_complex(),
        _ => d == DType::Bool && inputs[1].dtype == node.dtype && inputs[2].dtype == node.dtype,
    };
    if fits { Ok(()) } else { Err(format!("{:?} of {d} giving {} does not exist", node.op, node.dtype)) }
}

fn check_kernel(kernel: &Kernel, node: &Node, inputs: &[&Node]) -> Result<(), String> {
    let given = inputs.iter().map(|n| n.dtype);
    if !given.eq(kernel.inputs.iter().copied()) || kernel.output != node.dtype {
        let got: Vec<DType> = inputs.iter().map(|n| n.dtype).collect();
        let (name, takes, gives) = (&kernel.name, &kernel.inputs, kernel.output);
        return Err(format!("{name} of {got:?} giving {}, expected {takes:?} giving {gives}", node.dtype));
    }
    if inputs.len() > ARGUMENTS_MAX {
        return Err(format!("{} arguments, at most {ARGUMENTS_MAX}", inputs.len()));
    }
    match kernel.params.len() {
        n if n > PARAMS_BYTES_MAX => Err(format!("{n} bytes of parameters, at most {PARAMS_BYTES_MAX}")),
        _ => Ok(()),
    }
}

fn check_view(view: &View, input: &Grid, out: &Grid, same_dtype: bool) -> Result<(), String> {
    let mut used = vec![false; out.ndim()];
    if !same_dtype || view.axes.len() != input.ndim() {
        return Err("a view of another array".into());
    }
    for (map, axis) in view.axes.iter().zip(input.axes()) {
        let inside = match *map {
            AxisMap::At(p) => p < axis.len() || out.shape().contains(&0),
            AxisMap::Along { axis: a, start, step } => {
                let Some(used) = used.get_mut(a).filter(|u| !**u) else {
                    return Err(format!("output axis {a} is missing or feeds two input axes"));
                };
                *used = true;
                let n = out.axes()[a].len();
                let last = start as i128 + step as i128 * n.saturating_sub(1) as i128;
                step != 0 && (n == 0 || start < axis.len() && (0..axis.len() as i128).contains(&last))
            }
        };
        if !inside {
            return Err(format!("{map:?} leaves an axis of length {}", axis.len()));
        }
    }
    Ok(())
}

fn check_shaped(node: &Node, inputs: &[&Node]) -> Result<(), String> {
    let (grid, first) = (&node.grid, inputs[0]);
    let fits = match &node.op {
        Op::Rechunk => grid.shape() == first.grid.shape() && node.dtype == first.dtype,
        Op::Write(_) => *grid == first.grid && node.dtype == first.dtype,
        Op::Reshape => {
            let same = grid.shape().iter().product::<usize>() == first.grid.shape().iter().product();
            same && is_run_grid(grid) && node.dtype == first.dtype
        }
        Op::Reduce { fold, axes } => {
            let rising = axes.windows(2).all(|w| w[0] < w[1]) && axes.iter().all(|&a| a < first.grid.ndim());
            let empty = axes.iter().any(|&a| rising && first.grid.axes()[a].is_empty());
            let kept: Vec<usize> = (0..first.grid.ndim()).filter(|a| !axes.contains(a)).collect();
            rising
                && !(empty && fold.needs_elements() && !node.dtype.is_float())
                && fold.result(first.dtype) == Some(node.dtype)
                && *grid == first.grid.select(&kept)
        }
        Op::MatMul => {
            let (a, b) = (&first.grid, &inputs[1].grid);
            let dtypes =
                first.dtype == node.dtype && inputs[1].dtype == node.dtype && node.dtype != DType::Bool;
            let inner = a.ndim() == 2 && b.ndim() == 2 && a.axes()[1].len() == b.axes()[0].len();
            dtypes && inner && *grid == Grid::new(vec![a.axes()[0].clone(), b.axes()[1].clone()])
        }
        Op::Concat { axis } => concat_fits(node, inputs, *axis),
        Op::Take { axis, positions } => {
            take_fits(grid, &first.grid, *axis, positions) && node.dtype == first.dtype
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("{:?} does not fit its inputs", node.op)) }
}

fn concat_fits(node: &Node, inputs: &[&Node], axis: usize) -> bool {
    let shape = node.grid.shape();
    if axis >= shape.len() {
        return false;
    }
    let mut at = 0;
    for input in inputs {
        let other = input.grid.shape();
        let same = other.len() == shape.len() && (0..shape.len()).all(|a| a == axis || other[a] == shape[a]);
        if !same || input.dtype != node.dtype || !is_bound(&node.grid.axes()[axis], at) {
            return false;
        }
        at += other[axis];
    }
    at == shape[axis]
}

/// Whether `out` has these positions of an axis of `of`, and the other axes as they are.
fn take_fits(out: &Grid, of: &Grid, axis: usize, positions: &[usize]) -> bool {
    let (n, len) = (out.ndim(), of.axes().get(axis).map_or(0, AxisGrid::len));
    axis < n
        && n == of.ndim()
        && (0..n).all(|a| a == axis || out.axes()[a] == of.axes()[a])
        && out.axes()[axis].len() == positions.len()
        && positions.iter().all(|&p| p < len)
}

/// Whether a chunk starts at `pos` (or the axis ends there).
fn is_bound(axis: &AxisGrid, pos: usize) -> bool {
    pos >= axis.len() || axis.range(axis.chunk_of(pos)).start == pos
}
