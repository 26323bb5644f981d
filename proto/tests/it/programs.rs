//! Random programs that are well formed, made from numbers: each step of the numbers adds a node.

use proptest::prelude::*;
use std::sync::Arc;
use tilework_expr::{
    Along, BinaryOp, BlockFunction, Blocks, Boundary, Calls, DType, Dist, Expr, FileKind, FileRef, Fold,
    Front, Gives, Halo, Kernel, Node, NodeIdx, Op, OwnFunction, Program, Read, Scalar, TableHow, TableRead,
    TableStage, UnaryOp, Values, run_grid,
};
use tilework_plan::{AxisGrid, AxisMap, Grid, Stored, Temporaries, Terms, View};
use tilework_proto::{decode, encode};

/// Numbers drawn from one number.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn axis(&mut self) -> AxisGrid {
        match self.below(3) {
            0 => AxisGrid::explicit(&(0..1 + self.below(4)).map(|_| self.below(5)).collect::<Vec<_>>()),
            1 => AxisGrid::regular(self.below(1 << 20), 1000 + self.below(1000)),
            _ => AxisGrid::regular(self.below(9), 1 + self.below(4)),
        }
    }

    fn grid(&mut self) -> Grid {
        if self.below(4) == 0 {
            let square = self.axis();
            return Grid::new(vec![square.clone(), square]);
        }
        Grid::new((0..self.below(4)).map(|_| self.axis()).collect())
    }

    fn dtype(&mut self) -> DType {
        DType::ALL[self.below(DType::ALL.len())]
    }

    fn kernel(&mut self, inputs: Vec<DType>, output: DType) -> Kernel {
        let params = vec![9; self.below(20)];
        let build = format!("{:x}", self.0);
        Kernel { offset: self.0 as i64, build, name: "é::{{closure}}".into(), params, inputs, output }
    }

    fn halo(&mut self, len: usize, dtype: DType) -> Halo {
        let boundary = match self.below(5) {
            0 => Boundary::None,
            1 => Boundary::Periodic,
            2 => Boundary::Reflect,
            3 => Boundary::Nearest,
            _ => Boundary::Constant(Scalar::from_bits(dtype, u128::from(self.0))),
        };
        Halo { before: self.below(len + 1), after: self.below(len + 1), boundary }
    }

    fn file(&mut self) -> FileRef {
        let kind =
            [FileKind::Npy, FileKind::Npz, FileKind::Zarr2, FileKind::Zarr3, FileKind::Netcdf][self.below(5)];
        FileRef { kind, path: format!("/data/{}", self.below(100)), member: "é".repeat(self.below(3)) }
    }
}

/// A node without inputs.
fn source(draw: &mut Draw) -> Node {
    let (grid, dtype) = (draw.grid(), draw.dtype());
    if draw.below(8) == 0 {
        return values(draw);
    }
    let (op, dtype) = match draw.below(6) {
        0 => {
            let bits = u128::from(draw.0) << 64 | u128::from(draw.0 ^ 7);
            (Op::Full(Scalar::from_bits(dtype, bits)), dtype)
        }
        1 if grid.ndim() > 0 => (Op::Index { axis: draw.below(grid.ndim()) }, DType::I64),
        2 => {
            let (dist, dtype) = match draw.below(3) {
                0 => (Dist::Uniform { low: -1.5, high: f64::MAX }, DType::F32),
                1 => (Dist::Normal { mean: 0.0, std: 1e-9 }, DType::F64),
                _ => (Dist::Integers { low: -(1 << 63), high: draw.below(1 << 40) as i128 }, DType::I64),
            };
            (Op::Random { key: draw.0, dist }, dtype)
        }
        3 => (Op::Literal { id: draw.0 }, dtype),
        4 => (Op::Held { job: draw.0, output: draw.below(9) as u32 }, dtype),
        _ => {
            let boxes = grid.axes().iter().map(|_| 1 + draw.below(5)).collect();
            let stored = [Stored::Boxes(boxes), Stored::Rows, Stored::Columns][draw.below(3)].clone();
            (Op::Read(draw.file(), stored), dtype)
        }
    };
    Node { op, inputs: vec![], grid, dtype }
}

/// A node that reads earlier ones, where the drawn operation takes the drawn input.
fn operation(draw: &mut Draw, nodes: &[Node]) -> Option<Node> {
    let at = draw.below(nodes.len());
    let (idx, input) = (NodeIdx(at as u32), &nodes[at]);
    let Node { grid, dtype, .. } = input.clone();
    if matches!(input.op, Op::Calls(_) | Op::Values(_) | Op::Table(_)) {
        let n = grid.n_chunks();
        return Some(match draw.below(4) {
            0 => from_value(draw, idx, n),
            1 => table(draw, idx, n),
            _ => calls(draw, idx, n),
        });
    }
    let node = |op, inputs, grid, dtype| Some(Node { op, inputs, grid, dtype });
    match draw.below(16) {
        0 => {
            let op = UnaryOp::ALL[draw.below(UnaryOp::ALL.len())];
            node(Op::Unary(op), vec![idx], grid, op.result(dtype)?)
        }
        1 => {
            let op = BinaryOp::ALL[draw.below(BinaryOp::ALL.len())];
            node(Op::Binary(op), vec![idx, idx], grid, op.result(dtype)?)
        }
        2 => node(Op::Cast, vec![idx], grid, if dtype.is_complex() { DType::C64 } else { draw.dtype() }),
        3 if dtype == DType::Bool => node(Op::Select, vec![idx, idx, idx], grid, dtype),
        4 => {
            let flip = |(axis, g): (usize, &AxisGrid)| match g.len() {
                0 => AxisMap::same(axis),
                n => AxisMap::Along { axis, start: n - 1, step: -1 },
            };
            let view = View { axes: grid.axes().iter().enumerate().map(flip).collect() };
            node(Op::View(view), vec![idx], grid, dtype)
        }
        5 => node(Op::Rechunk, vec![idx], Grid::whole(&grid.shape()), dtype),
        6 if grid.shape().iter().product::<usize>() < 1 << 30 => {
            let len: usize = grid.shape().iter().product();
            node(Op::Reshape, vec![idx], run_grid(&[len], 1 << 10), dtype)
        }
        7 if grid.ndim() > 0 && grid.axes()[0].n_chunks() < 64 => {
            let axis = grid.axes()[0].clone();
            let twice: Vec<usize> = [axis.chunk_lens(), axis.chunk_lens()].concat();
            let mut axes = grid.axes().to_vec();
            axes[0] = AxisGrid::explicit(&twice);
            node(Op::Concat { axis: 0 }, vec![idx, idx], Grid::new(axes), dtype)
        }
        8 => {
            let fold =
                [Fold::Sum, Fold::Max, Fold::Any, Fold::Std { ddof: 1.0 }, Fold::ArgMin][draw.below(5)];
            let axes: Vec<usize> = (0..grid.ndim()).filter(|_| draw.below(2) == 0).collect();
            let kept: Vec<usize> = (0..grid.ndim()).filter(|a| !axes.contains(a)).collect();
            node(Op::Reduce { fold, axes }, vec![idx], grid.select(&kept), fold.result(dtype)?)
        }
        9 if grid.ndim() == 2 && grid.shape()[0] == grid.shape()[1] => {
            let out = Grid::new(vec![grid.axes()[0].clone(), grid.axes()[1].clone()]);
            node(Op::MatMul, vec![idx, idx], out, dtype)
        }
        which @ 10..14 => own_function(draw, which, (idx, &grid, dtype)),
        14 if grid.ndim() > 0 && !grid.axes()[0].is_empty() => {
            let positions: Arc<[usize]> =
                (0..draw.below(40)).map(|_| draw.below(grid.axes()[0].len())).collect();
            let mut axes = grid.axes().to_vec();
            axes[0] = AxisGrid::regular(positions.len(), 1 + draw.below(9));
            node(Op::Take { axis: 0, positions }, vec![idx], Grid::new(axes), dtype)
        }
        _ => node(Op::Write(draw.file()), vec![idx], grid, dtype),
    }
}

/// Values of the client, or of an earlier job.
fn values(draw: &mut Draw) -> Node {
    let of = match draw.below(2) {
        0 => Values::Client { id: draw.0 },
        _ => Values::Job { job: draw.0, output: draw.below(9) as u32 },
    };
    let grid = Grid::new(vec![AxisGrid::regular(1 + draw.below(5), 1)]);
    Node { op: Op::Values(of), inputs: vec![], grid, dtype: DType::U8 }
}

/// How tasks are to be run.
fn terms(draw: &mut Draw) -> Terms {
    let limit_us = (draw.below(2) == 0).then_some(draw.0);
    let tags = ["gpu", "big"].into_iter().filter(|_| draw.below(2) == 0).map(Arc::from).collect();
    let (memory_bytes, priority) = (draw.below(1 << 40) as u64, draw.below(99) as i32 - 49);
    Terms { retries: draw.below(9) as u32, limit_us, tags, memory_bytes, priority }
}

/// An array of one of `n` values.
fn from_value(draw: &mut Draw, idx: NodeIdx, n: u64) -> Node {
    let dtype = draw.dtype();
    let calls = Calls {
        kernel: Arc::new(Kernel { params: vec![], ..draw.kernel(vec![], dtype) }),
        params: Arc::from([1]),
        ends: Arc::from([1]),
        args: Arc::from([(0, draw.below(n as usize) as u64)]),
        arg_ends: Arc::from([1]),
        line: Some("src/main.rs:1:2".into()),
        terms: None,
        gives: 0,
        takes: false,
    };
    let grid = Grid::new((0..draw.below(3)).map(|_| AxisGrid::whole(1 + draw.below(9))).collect());
    Node { op: Op::FromValue(Arc::new(calls)), inputs: vec![idx], grid, dtype }
}

/// A stage of a query that reads `n` values.
fn table(draw: &mut Draw, idx: NodeIdx, n: u64) -> Node {
    let how = TableHow::ALL[draw.below(5)];
    let n_tasks = if how == TableHow::Same { n } else { 1 + draw.below(5) as u64 };
    let ends: Vec<u64> = (1..=n_tasks).map(|task| task * n / n_tasks).collect();
    let read = if how == TableHow::Runs { TableRead::runs(ends) } else { TableRead::of(how, 0..n_tasks) };
    let stage = TableStage {
        payload: Arc::from([draw.below(256) as u8, 1]),
        gives: 1 + draw.below(5) as u32,
        reads: [read].into(),
        bytes_guess: draw.below(1 << 30) as u64,
        name: "scan".into(),
        terms: (draw.below(2) == 0).then(|| Arc::new(terms(draw))),
        kernel: (draw.below(2) == 0).then(|| Arc::new(draw.kernel(vec![], DType::U8))),
    };
    let grid = Grid::new(vec![AxisGrid::regular(n_tasks as usize, 1)]);
    Node { op: Op::Table(Arc::new(stage)), inputs: vec![idx], grid, dtype: DType::U8 }
}

/// Calls that read some of `n` values.
fn calls(draw: &mut Draw, idx: NodeIdx, n: u64) -> Node {
    let n_calls = 1 + draw.below(5);
    let (mut args, mut arg_ends, mut params, mut ends) = (vec![], vec![], vec![], vec![]);
    for _ in 0..n_calls {
        args.extend((0..draw.below(4)).map(|_| (0, draw.below(n as usize) as u64)));
        arg_ends.push(args.len() as u64);
        params.extend(vec![7; draw.below(4)]);
        ends.push(params.len() as u64);
    }
    let kernel = Arc::new(Kernel { params: vec![], ..draw.kernel(vec![], DType::U8) });
    let calls = Calls {
        kernel,
        params: params.into(),
        ends: ends.into(),
        args: args.into(),
        arg_ends: arg_ends.into(),
        line: (draw.below(2) == 0).then(|| "src/main.rs:1:2".into()),
        terms: (draw.below(2) == 0).then(|| Arc::new(terms(draw))),
        gives: 0,
        takes: false,
    };
    let grid = Grid::new(vec![AxisGrid::regular(n_calls, 1)]);
    Node { op: Op::Calls(Arc::new(calls)), inputs: vec![idx], grid, dtype: DType::U8 }
}

/// A node that calls a function of the user's.
fn own_function(draw: &mut Draw, which: usize, (idx, grid, dtype): (NodeIdx, &Grid, DType)) -> Option<Node> {
    let node = |op, inputs, grid, dtype| Some(Node { op, inputs, grid, dtype });
    match which {
        10 => {
            let out = draw.dtype();
            let kernel = draw.kernel(vec![dtype; 3], out);
            node(Op::Apply(Arc::new(kernel)), vec![idx, idx, idx], grid.clone(), out)
        }
        11 => {
            let own = OwnFunction {
                name: "é".repeat(draw.below(9)),
                params: vec![7; draw.below(30)],
                inputs: vec![dtype],
                output: DType::F32,
                temporaries: Temporaries {
                    per_read: draw.below(99) as u32,
                    per_made: draw.below(99) as u32,
                    fixed: draw.0,
                },
            };
            let halo = |draw: &mut Draw, l| Along::Near { axis: 0, halo: draw.halo(l, dtype) };
            let number = |a: &AxisGrid| a.n_chunks() <= a.len();
            let (along, axis) = match grid.axes() {
                [] => (vec![], vec![]),
                [a] if number(a) && draw.below(2) == 0 => (vec![Along::Number { axis: 0 }], vec![a.clone()]),
                [a] => (vec![halo(draw, a.len())], vec![a.clone()]),
                [a, rest @ ..] => {
                    let all = std::iter::once(halo(draw, a.len())).chain(rest.iter().map(|_| Along::All));
                    (all.collect(), vec![a.clone()])
                }
            };
            let longer = |a: &AxisGrid| AxisGrid::regular(a.n_chunks() * 3, 3);
            let out = Grid::new(axis.iter().map(longer).collect());
            let function = BlockFunction::Own(Arc::new(own));
            let blocks =
                Blocks { function, reads: vec![Read::Box(along)], space: Grid::new(axis), gives: None };
            node(Op::Blocks(Arc::new(blocks)), vec![idx], out, DType::F32)
        }
        12 => {
            let kernel = Arc::new(draw.kernel(vec![dtype], DType::C64));
            let near = |(axis, &l): (usize, &usize)| Along::Near { axis, halo: draw.halo(l, dtype) };
            let read = Read::Box(grid.shape().iter().enumerate().map(near).collect());
            let function = BlockFunction::User(kernel, Front::ALL[draw.below(Front::ALL.len())]);
            let blocks = Blocks { function, reads: vec![read], space: grid.clone(), gives: None };
            node(Op::Blocks(Arc::new(blocks)), vec![idx], grid.clone(), DType::C64)
        }
        _ if grid.ndim() == 1 => {
            let kernel = Arc::new(draw.kernel(vec![dtype], DType::U8));
            let blocks = Blocks {
                function: BlockFunction::User(kernel, Front::Blockwise),
                reads: vec![Read::Box(vec![Along::same(0)])],
                space: grid.clone(),
                gives: Some(Gives { n: 1 + draw.below(9) as u32, bytes_guess: draw.0 }),
            };
            let values = Grid::new(vec![AxisGrid::regular(grid.n_chunks() as usize, 1)]);
            node(Op::Blocks(Arc::new(blocks)), vec![idx], values, DType::U8)
        }
        _ => None,
    }
}

pub fn program_of(seed: u64, n: usize) -> Program {
    let mut draw = Draw(seed);
    let mut program = Program::default();
    for _ in 0..n {
        let node = if program.nodes.is_empty() || draw.below(3) == 0 {
            source(&mut draw)
        } else {
            operation(&mut draw, &program.nodes).unwrap_or_else(|| source(&mut draw))
        };
        program.nodes.push(node);
        // Not every drawn operation fits its input; those that do not are left out.
        if program.check().is_err() {
            program.nodes.pop();
        }
    }
    let n = program.nodes.len();
    program.outputs = (0..draw.below(4).min(n)).map(|_| NodeIdx(draw.below(n) as u32)).collect();
    // What is exchanged is no output.
    let is_exchanged =
        |o: &NodeIdx| matches!(&program.node(*o).op, Op::Blocks(blocks) if blocks.gives.is_some());
    let wanted: Vec<NodeIdx> = program.outputs.iter().copied().filter(|o| !is_exchanged(o)).collect();
    program.outputs = wanted;
    program
}

pub fn programs() -> impl Strategy<Value = Arc<Program>> {
    (any::<u64>(), 0usize..24).prop_map(|(seed, n)| Arc::new(program_of(seed, n)))
}

#[test]
fn calls_that_give_and_take_blocks_round_trip() {
    let mut draw = Draw(7);
    let kernel = Arc::new(Kernel { params: vec![], ..draw.kernel(vec![], DType::U8) });
    let calls = |n: usize, gives, takes| Calls {
        kernel: kernel.clone(),
        params: [].into(),
        ends: vec![0; n].into(),
        args: [].into(),
        arg_ends: vec![0; n].into(),
        line: None,
        terms: None,
        gives,
        takes,
    };
    let values = Expr::calls(calls(4, 5, false), &[]).unwrap();
    let between = Expr::calls(calls(5, 2, true), &[values]).unwrap();
    let program = Program::new(&[Expr::calls(calls(2, 0, true), &[between]).unwrap()]);
    assert_eq!(decode::<Program>(&encode(&program)).unwrap(), program);
    // What is not given cannot be taken, whoever says so.
    let outputs = program.nodes.len() as u32 - 2;
    let cut = Program { outputs: vec![NodeIdx(outputs)], ..program };
    assert!(decode::<Program>(&encode(&cut)).unwrap_err().to_string().contains("read by calls alone"));
}

proptest! {
    #[test]
    fn programs_round_trip(program in programs()) {
        prop_assert_eq!(&decode::<Program>(&encode(&*program)).unwrap(), &*program);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Program>(&bytes);
    }

    #[test]
    fn damaged_programs_never_panic(seed in any::<u64>(), at in any::<u64>(), byte in any::<u8>()) {
        let mut bytes = encode(&program_of(seed, 12));
        if !bytes.is_empty() {
            let at = (at % bytes.len() as u64) as usize;
            bytes[at] = byte;
            if let Ok(program) = decode::<Program>(&bytes) {
                // What is accepted can be planned, or refused with a reason.
                let _ = tilework_expr::Lowered::of(&program);
            }
        }
    }
}

#[test]
fn every_operation_is_among_the_random_programs() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        for node in program_of(seed, 24).nodes {
            let name = format!("{:?}", node.op);
            seen.insert(name.split(['(', ' ', '{']).next().unwrap().to_owned());
        }
    }
    let n_ops = 24;
    assert_eq!(seen.len(), n_ops, "{seen:?}");
}

#[test]
fn the_size_of_a_program_is_that_of_its_operations() {
    let program = |chunks: usize| {
        let grid = Grid::regular(&[100_000, 10_000], &[100_000 / chunks, 10_000]);
        let node = |op, inputs: &[u32]| Node {
            op,
            inputs: inputs.iter().map(|&i| NodeIdx(i)).collect(),
            grid: grid.clone(),
            dtype: DType::F64,
        };
        let read = |id| node(Op::Literal { id }, &[]);
        let nodes = vec![read(0), read(1), node(Op::Binary(BinaryOp::Add), &[0, 1])];
        encode(&Program { nodes, outputs: vec![NodeIdx(2)] }).len()
    };
    assert!(program(10) < 60 && program(10_000) < 60, "{} {}", program(10), program(10_000));
}
