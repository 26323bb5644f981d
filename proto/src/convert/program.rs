//! Programs, nodes, operations, grids and views.
//!
//! Every distinct axis of a program is sent once; a regular one is two numbers whatever the number of its chunks.

use super::blocks::{blocks_from_wire, blocks_to_wire};
use super::{DecodeError, Wire, bounded, cut, dtype, of_code, position, required, tags, text};
use crate::limits::{CHUNKS_MAX, NODES_MAX, POSITIONS_MAX};
use crate::wire::{self, node, random, values};
use std::collections::HashMap;
use std::sync::Arc;
use tilework_expr::{
    BinaryOp, Calls, Dist, FileKind, FileRef, Fold, Kernel, NDIM_MAX, Node, NodeIdx, Op, Program, Scalar,
    TableHow, TableRead, TableStage, UnaryOp, Values,
};
use tilework_plan::{AxisGrid, AxisMap, Grid, Stored, Terms, View};

/// A file format's place is its wire code.
const FILE_KINDS: [FileKind; 5] =
    [FileKind::Npy, FileKind::Npz, FileKind::Zarr2, FileKind::Zarr3, FileKind::Netcdf];
/// Wire codes of folds.
const FOLDS: u32 = 14;
/// Bounds of random integers lie within this distance of 0: no dtype holds more.
const INTEGER_MAX: i128 = 1 << 64;

impl Wire for Program {
    type Message = wire::Program;

    fn to_wire(&self) -> wire::Program {
        let mut axes = Vec::new();
        let mut seen: HashMap<&AxisGrid, u32> = HashMap::new();
        let nodes = self.nodes.iter().map(|node| wire::Node {
            inputs: node.inputs.iter().map(|i| i.0).collect(),
            axes: (node.grid.axes().iter())
                .map(|axis| {
                    *seen.entry(axis).or_insert_with(|| {
                        axes.push(axis.to_wire());
                        axes.len() as u32 - 1
                    })
                })
                .collect(),
            dtype: u32::from(node.dtype.code()),
            op: Some(op_to_wire(&node.op, &node.grid)),
        });
        let nodes = nodes.collect();
        wire::Program { nodes, outputs: self.outputs.iter().map(|o| o.0).collect(), axes }
    }

    fn from_wire(message: wire::Program) -> Result<Program, DecodeError> {
        bounded("nodes", message.nodes.len(), NODES_MAX)?;
        bounded("outputs", message.outputs.len(), NODES_MAX)?;
        let axes = super::all_from_wire::<AxisGrid>(message.axes)?;
        let nodes = message.nodes.into_iter().map(|n| node_from_wire(n, &axes)).collect::<Result<_, _>>()?;
        let program = Program { nodes, outputs: message.outputs.into_iter().map(NodeIdx).collect() };
        program.check()?;
        Ok(program)
    }
}

fn node_from_wire(message: wire::Node, axes: &[AxisGrid]) -> Result<Node, DecodeError> {
    bounded("inputs", message.inputs.len(), NODES_MAX)?;
    bounded("axes", message.axes.len(), NDIM_MAX)?;
    let of_node = message.axes.iter().map(|&a| {
        let too_large =
            DecodeError::TooLarge { what: "axis number", got: a.into(), limit: axes.len() as u64 };
        axes.get(a as usize).cloned().ok_or(too_large)
    });
    let grid = Grid::new(of_node.collect::<Result<_, _>>()?);
    let chunks = grid.axes().iter().try_fold(1u64, |n, a| n.checked_mul(a.n_chunks() as u64));
    if chunks.is_none_or(|n| n > CHUNKS_MAX) {
        let got = chunks.unwrap_or(u64::MAX);
        return Err(DecodeError::TooLarge { what: "chunks of one array", got, limit: CHUNKS_MAX });
    }
    Ok(Node {
        op: op_from_wire(message.op.ok_or(DecodeError::Missing("operation"))?, &grid)?,
        inputs: message.inputs.into_iter().map(NodeIdx).collect(),
        grid,
        dtype: dtype(message.dtype)?,
    })
}

impl Wire for AxisGrid {
    type Message = wire::Axis;

    fn to_wire(&self) -> wire::Axis {
        match self {
            AxisGrid::Regular { len, chunk } => {
                wire::Axis { len: *len as u64, chunk: *chunk as u64, lens: Vec::new() }
            }
            AxisGrid::Explicit { bounds } => wire::Axis {
                len: 0,
                chunk: 0,
                lens: bounds.windows(2).map(|w| (w[1] - w[0]) as u64).collect(),
            },
        }
    }

    fn from_wire(message: wire::Axis) -> Result<AxisGrid, DecodeError> {
        let wire::Axis { len, chunk, lens } = message;
        let invalid = |why: String| DecodeError::Invalid { what: "axis", why };
        if chunk > 0 {
            if !lens.is_empty() {
                return Err(invalid("both regular and cut by hand".into()));
            }
            if chunk > len.max(1) {
                return Err(invalid(format!("chunks of {chunk} along an axis of {len}")));
            }
            return Ok(AxisGrid::Regular { len: position("axis", len)?, chunk: position("chunk", chunk)? });
        }
        if len > 0 || lens.is_empty() {
            return Err(invalid("no chunks".into()));
        }
        let mut bounds = Vec::with_capacity(lens.len() + 1);
        bounds.push(0);
        let mut end = 0u64;
        for len in lens {
            end = end.checked_add(len).ok_or_else(|| invalid("its length overflows".into()))?;
            bounds.push(position("axis", end)?);
        }
        Ok(AxisGrid::Explicit { bounds: bounds.into() })
    }
}

impl Wire for Scalar {
    type Message = wire::Scalar;

    fn to_wire(&self) -> wire::Scalar {
        let bits = self.bits();
        wire::Scalar { dtype: self.dtype().code().into(), low: bits as u64, high: (bits >> 64) as u64 }
    }

    fn from_wire(message: wire::Scalar) -> Result<Scalar, DecodeError> {
        let bits = u128::from(message.low) | u128::from(message.high) << 64;
        Ok(Scalar::from_bits(dtype(message.dtype)?, bits))
    }
}

impl Wire for FileRef {
    type Message = wire::File;

    fn to_wire(&self) -> wire::File {
        let kind = FILE_KINDS.iter().position(|k| *k == self.kind).expect("every kind is listed") as u32;
        wire::File { kind, path: self.path.clone(), member: self.member.clone() }
    }

    fn from_wire(message: wire::File) -> Result<FileRef, DecodeError> {
        Ok(FileRef {
            kind: of_code("file format", &FILE_KINDS, message.kind)?,
            path: text("path", message.path)?,
            member: text("member", message.member)?,
        })
    }
}

impl Wire for View {
    type Message = wire::View;

    fn to_wire(&self) -> wire::View {
        let axes = self.axes.iter().map(|m| match *m {
            AxisMap::At(p) => wire::AxisMap { axis: 0, start: p as i64, step: 0 },
            AxisMap::Along { axis, start, step } => {
                wire::AxisMap { axis: axis as u32, start: start as i64, step: step as i64 }
            }
        });
        wire::View { axes: axes.collect() }
    }

    fn from_wire(message: wire::View) -> Result<View, DecodeError> {
        bounded("axes of a view", message.axes.len(), NDIM_MAX)?;
        let axes = message.axes.iter().map(|m| match m.step {
            0 => Ok(AxisMap::At(position("index", m.start as u64)?)),
            step => {
                bounded("axis", m.axis as usize, NDIM_MAX)?;
                Ok(AxisMap::Along { axis: m.axis as usize, start: m.start as usize, step: step as isize })
            }
        });
        Ok(View { axes: axes.collect::<Result<_, DecodeError>>()? })
    }
}

impl Wire for Dist {
    type Message = wire::Random;

    fn to_wire(&self) -> wire::Random {
        let dist = match *self {
            Dist::Uniform { low, high } => random::Dist::Uniform(wire::Floats { first: low, second: high }),
            Dist::Normal { mean, std } => random::Dist::Normal(wire::Floats { first: mean, second: std }),
            Dist::Integers { low, high } => random::Dist::Integers(wire::Integers {
                low_low: low as u64,
                low_high: (low >> 64) as u64,
                high_low: high as u64,
                high_high: (high >> 64) as u64,
            }),
        };
        wire::Random { key: 0, dist: Some(dist) }
    }

    fn from_wire(message: wire::Random) -> Result<Dist, DecodeError> {
        match message.dist.ok_or(DecodeError::Missing("distribution"))? {
            random::Dist::Uniform(p) => Ok(Dist::Uniform { low: p.first, high: p.second }),
            random::Dist::Normal(p) => Ok(Dist::Normal { mean: p.first, std: p.second }),
            random::Dist::Integers(i) => {
                let join = |low: u64, high: u64| (u128::from(low) | u128::from(high) << 64) as i128;
                let (low, high) = (join(i.low_low, i.low_high), join(i.high_low, i.high_high));
                if low < -INTEGER_MAX || high > INTEGER_MAX || low > high {
                    let why = format!("{low}..{high} is no range of any integer type");
                    return Err(DecodeError::Invalid { what: "random integers", why });
                }
                Ok(Dist::Integers { low, high })
            }
        }
    }
}

fn read_to_wire(file: &FileRef, stored: &Stored) -> wire::Read {
    let (code, lens) = match stored {
        Stored::Boxes(lens) => (0, lens.iter().map(|&l| l as u64).collect()),
        Stored::Rows => (1, Vec::new()),
        Stored::Columns => (2, Vec::new()),
    };
    wire::Read { file: Some(file.to_wire()), stored: code, lens }
}

fn read_from_wire(message: wire::Read) -> Result<Op, DecodeError> {
    bounded("lengths of stored boxes", message.lens.len(), NDIM_MAX)?;
    let lens = message.lens.into_iter().map(|l| position("length of a stored box", l));
    let stored = match message.stored {
        0 => Stored::Boxes(lens.collect::<Result<_, _>>()?),
        1 => Stored::Rows,
        2 => Stored::Columns,
        got => return Err(DecodeError::Code { what: "way of storing", got: got.into(), codes: 3 }),
    };
    Ok(Op::Read(required(message.file, "file")?, stored))
}

fn reduce_to_wire(fold: Fold, axes: &[usize]) -> wire::Reduce {
    let (code, ddof) = match fold {
        Fold::Sum => (0, 0.0),
        Fold::Prod => (1, 0.0),
        Fold::Min => (2, 0.0),
        Fold::Max => (3, 0.0),
        Fold::Any => (4, 0.0),
        Fold::All => (5, 0.0),
        Fold::Mean => (6, 0.0),
        Fold::Var { ddof } => (7, ddof),
        Fold::Std { ddof } => (8, ddof),
        Fold::ArgMin => (9, 0.0),
        Fold::ArgMax => (10, 0.0),
        Fold::NanMean => (11, 0.0),
        Fold::NanVar { ddof } => (12, ddof),
        Fold::NanStd { ddof } => (13, ddof),
    };
    wire::Reduce { fold: code, ddof, axes: axes.iter().map(|&a| a as u32).collect() }
}

fn reduce_from_wire(message: wire::Reduce) -> Result<Op, DecodeError> {
    let ddof = message.ddof;
    let fold = match message.fold {
        0 => Fold::Sum,
        1 => Fold::Prod,
        2 => Fold::Min,
        3 => Fold::Max,
        4 => Fold::Any,
        5 => Fold::All,
        6 => Fold::Mean,
        7 => Fold::Var { ddof },
        8 => Fold::Std { ddof },
        9 => Fold::ArgMin,
        10 => Fold::ArgMax,
        11 => Fold::NanMean,
        12 => Fold::NanVar { ddof },
        13 => Fold::NanStd { ddof },
        got => return Err(DecodeError::Code { what: "fold", got: got.into(), codes: FOLDS as usize }),
    };
    bounded("axes of a reduction", message.axes.len(), NDIM_MAX)?;
    Ok(Op::Reduce { fold, axes: message.axes.into_iter().map(|a| a as usize).collect() })
}

impl Wire for Terms {
    type Message = wire::Terms;

    fn to_wire(&self) -> wire::Terms {
        let Terms { retries, limit_us, tags, memory_bytes, priority } = self;
        let tags = tags.iter().map(|tag| tag.to_string()).collect();
        let (retries, memory_bytes, priority) = (*retries, *memory_bytes, *priority);
        wire::Terms { retries, limit_us: *limit_us, tags, memory_bytes, priority }
    }

    fn from_wire(message: wire::Terms) -> Result<Terms, DecodeError> {
        let wire::Terms { retries, limit_us, tags: named, memory_bytes, priority } = message;
        Ok(Terms { retries, limit_us, tags: tags(named)?, memory_bytes, priority })
    }
}

fn calls_to_wire(calls: &Calls) -> wire::Calls {
    let Calls { kernel, params, ends, args, arg_ends, line, terms, gives, takes } = calls;
    wire::Calls {
        function: Some(kernel.to_wire()),
        params: params.to_vec().into(),
        ends: ends.to_vec(),
        arg_inputs: args.iter().map(|(input, _)| *input).collect(),
        arg_values: args.iter().map(|(_, value)| *value).collect(),
        arg_ends: arg_ends.to_vec(),
        line: line.as_deref().map(cut),
        terms: terms.as_deref().map(Wire::to_wire),
        gives: *gives,
        takes: *takes,
    }
}

fn calls_from_wire(message: wire::Calls) -> Result<Arc<Calls>, DecodeError> {
    let wire::Calls { function, params, ends, arg_inputs, arg_values, arg_ends, line, .. } = message;
    let wire::Calls { terms, gives, takes, .. } = message;
    if arg_inputs.len() != arg_values.len() {
        let why = format!("{} inputs of {} values", arg_inputs.len(), arg_values.len());
        return Err(DecodeError::Invalid { what: "calls", why });
    }
    Ok(Arc::new(Calls {
        kernel: Arc::new(required(function, "function")?),
        params: params.as_ref().into(),
        ends: ends.into(),
        args: arg_inputs.into_iter().zip(arg_values).collect(),
        arg_ends: arg_ends.into(),
        line: line.map(|line| text("line", line)).transpose()?.map(Into::into),
        terms: terms.map(Terms::from_wire).transpose()?.map(Arc::new),
        gives,
        takes,
    }))
}

fn table_to_wire(table: &TableStage) -> wire::Table {
    let TableStage { payload, gives, reads, bytes_guess, name, terms, kernel } = table;
    let read = |TableRead { how, tasks, ends }: &TableRead| wire::TableRead {
        how: *how as u32,
        start: tasks.start,
        end: tasks.end,
        ends: ends.to_vec(),
    };
    wire::Table {
        payload: payload.to_vec().into(),
        gives: *gives,
        reads: reads.iter().map(read).collect(),
        bytes_guess: *bytes_guess,
        name: cut(name),
        terms: terms.as_deref().map(Wire::to_wire),
        function: kernel.as_deref().map(Wire::to_wire),
    }
}

fn table_from_wire(message: wire::Table) -> Result<Arc<TableStage>, DecodeError> {
    let wire::Table { payload, gives, reads, bytes_guess, name, terms, function } = message;
    let read = |wire::TableRead { how, start, end, ends }| {
        let how = of_code("way to read a table", &TableHow::ALL, how)?;
        Ok(TableRead { how, tasks: start..end, ends: ends.into() })
    };
    Ok(Arc::new(TableStage {
        payload: payload.as_ref().into(),
        gives,
        reads: reads.into_iter().map(read).collect::<Result<_, DecodeError>>()?,
        bytes_guess,
        name: text("name", name)?.into(),
        terms: terms.map(Terms::from_wire).transpose()?.map(Arc::new),
        kernel: function.map(Kernel::from_wire).transpose()?.map(Arc::new),
    }))
}

fn values_to_wire(values: &Values) -> wire::Values {
    let of = match values {
        Values::Client { id } => values::Of::Client(*id),
        Values::Job { job, output } => values::Of::Held(wire::Held { job: *job, output: *output }),
    };
    wire::Values { of: Some(of) }
}

fn values_from_wire(message: &wire::Values) -> Result<Op, DecodeError> {
    Ok(Op::Values(match message.of.as_ref().ok_or(DecodeError::Missing("values"))? {
        values::Of::Client(id) => Values::Client { id: *id },
        values::Of::Held(held) => Values::Job { job: held.job, output: held.output },
    }))
}

fn op_to_wire(op: &Op, grid: &Grid) -> node::Op {
    match op {
        Op::Full(s) => node::Op::Full(s.to_wire()),
        Op::Index { axis } => node::Op::Index(*axis as u32),
        Op::Random { key, dist } => node::Op::Random(wire::Random { key: *key, ..dist.to_wire() }),
        Op::Literal { id } => node::Op::Literal(*id),
        Op::Read(file, stored) => node::Op::Read(read_to_wire(file, stored)),
        Op::Held { job, output } => node::Op::Held(wire::Held { job: *job, output: *output }),
        Op::Unary(u) => node::Op::Unary(*u as u32),
        Op::Binary(b) => node::Op::Binary(*b as u32),
        Op::Cast => node::Op::Cast(wire::Empty {}),
        Op::Select => node::Op::Select(wire::Empty {}),
        Op::View(view) => node::Op::View(view.to_wire()),
        Op::Rechunk => node::Op::Rechunk(wire::Empty {}),
        Op::Reshape => node::Op::Reshape(wire::Empty {}),
        Op::Concat { axis } => node::Op::Concat(*axis as u32),
        Op::Take { axis, positions } => node::Op::Take(wire::Take {
            axis: *axis as u32,
            positions: positions.iter().map(|&p| p as u64).collect(),
        }),
        Op::Reduce { fold, axes } => node::Op::Reduce(reduce_to_wire(*fold, axes)),
        Op::MatMul => node::Op::Matmul(wire::Empty {}),
        Op::Write(file) => node::Op::Write(file.to_wire()),
        Op::Calls(calls) => node::Op::Calls(calls_to_wire(calls)),
        Op::Values(values) => node::Op::Values(values_to_wire(values)),
        Op::FromValue(calls) => node::Op::FromValue(calls_to_wire(calls)),
        Op::Table(table) => node::Op::Table(table_to_wire(table)),
        Op::Apply(kernel) => node::Op::Apply(kernel.to_wire()),
        Op::Blocks(blocks) => node::Op::Blocks(blocks_to_wire(blocks, grid)),
    }
}

fn op_from_wire(op: node::Op, grid: &Grid) -> Result<Op, DecodeError> {
    Ok(match op {
        node::Op::Full(s) => Op::Full(Scalar::from_wire(s)?),
        node::Op::Index(axis) => Op::Index { axis: axis as usize },
        node::Op::Random(r) => Op::Random { key: r.key, dist: required(Some(r), "distribution")? },
        node::Op::Literal(id) => Op::Literal { id },
        node::Op::Read(read) => read_from_wire(read)?,
        node::Op::Held(h) => Op::Held { job: h.job, output: h.output },
        node::Op::Unary(code) => Op::Unary(of_code("unary operation", &UnaryOp::ALL, code)?),
        node::Op::Binary(code) => Op::Binary(of_code("binary operation", &BinaryOp::ALL, code)?),
        node::Op::Cast(_) => Op::Cast,
        node::Op::Select(_) => Op::Select,
        node::Op::View(view) => Op::View(View::from_wire(view)?),
        node::Op::Rechunk(_) => Op::Rechunk,
        node::Op::Reshape(_) => Op::Reshape,
        node::Op::Concat(axis) => Op::Concat { axis: axis as usize },
        node::Op::Take(t) => {
            bounded("positions of an axis", t.positions.len(), POSITIONS_MAX)?;
            let positions = t.positions.into_iter().map(|p| position("position", p));
            Op::Take { axis: t.axis as usize, positions: positions.collect::<Result<_, _>>()? }
        }
        node::Op::Reduce(r) => reduce_from_wire(r)?,
        node::Op::Matmul(_) => Op::MatMul,
        node::Op::Write(file) => Op::Write(FileRef::from_wire(file)?),
        node::Op::Calls(calls) => Op::Calls(calls_from_wire(calls)?),
        node::Op::FromValue(calls) => Op::FromValue(calls_from_wire(calls)?),
        node::Op::Table(table) => Op::Table(table_from_wire(table)?),
        node::Op::Values(values) => values_from_wire(&values)?,
        node::Op::Apply(kernel) => Op::Apply(Arc::new(Kernel::from_wire(kernel)?)),
        node::Op::Blocks(blocks) => Op::Blocks(blocks_from_wire(blocks, grid)?),
    })
}
