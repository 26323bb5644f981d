//! Random small programs: maps, reductions, transposes, products, joins, overlapping views, results of earlier jobs.
//!
//! Knows the expression builders. Must not know the cores.

use crate::rng::Rng;
use std::collections::BTreeSet;
use std::sync::Arc;
use tilework_expr::{
    Along, AxisChunks, BinaryOp, BlockFunction, Blocks, Boundary, Calls, Chunks, DType, Dist, Expr, FileKind,
    FileRef, Fold, Gives, Halo, Kernel, Lowered, OwnFunction, Program, Read, SliceArg, TableHow, TableRead,
    TableStage, UnaryOp,
};
use tilework_plan::{AxisGrid, ChunkIdx, Grid, Plan, StageIdx, Stored, Temporaries, Terms};

/// How long programs let tasks run where they say it, microseconds: none takes that long that ends at all, even if its
/// worker is stopped meanwhile for a time that it does not see.
const OWN_LIMIT_US: u64 = 6_000_000;

/// What some workers have, and some tasks need.
pub(crate) const TAG: &str = "big";

/// Tasks of a program, at most.
const TASKS_MAX: u64 = 70;

/// An output of an earlier job.
#[derive(Clone)]
pub(crate) struct Earlier {
    pub job: u64,
    pub output: u32,
    pub grid: Grid,
    pub dtype: DType,
    /// Whether it has values.
    pub has_values: bool,
}

/// A random program, lowered.
pub(crate) fn random(rng: &mut Rng, earlier: &[Earlier]) -> Lowered {
    loop {
        let outputs = expressions(rng, earlier);
        let program = Program::new(&outputs);
        let lowered = Lowered::of(&program).expect("built expressions can be planned");
        let plan = &lowered.plan;
        let tasks: u64 = plan.stages.iter().map(|s| s.grid.n_chunks()).sum();
        if (1..=TASKS_MAX).contains(&tasks) {
            check_needs(plan);
            return lowered;
        }
    }
}

/// What is needed of each stage is what is found task by task.
fn check_needs(plan: &Plan) {
    let found = needed(plan);
    check_readers(plan);
    for (s, need) in (0..).map(StageIdx).zip(plan.needs()) {
        for c in (0..plan.n_tasks(s)).map(ChunkIdx) {
            assert_eq!(need.contains(c), found.contains(&(s, c)), "{s:?} {c:?} of {plan:#?}");
        }
    }
}

/// The readers of each chunk are those that are listed.
fn check_readers(plan: &Plan) {
    for stage in (0..plan.stages.len() as u32).map(StageIdx) {
        for chunk in (0..plan.n_tasks(stage)).map(ChunkIdx) {
            let mut listed = Vec::new();
            plan.consumers_of(stage, chunk, &mut listed);
            let inputs = plan.consumers[stage.0 as usize].iter().enumerate();
            let found = inputs.flat_map(|(nth, (to, _))| {
                let readers = plan.readers((stage, chunk), nth);
                (0..readers.n_tasks()).map(move |n| (*to, readers.nth(n))).collect::<Vec<_>>()
            });
            assert!(listed.iter().copied().eq(found), "{stage:?} {chunk:?} of {plan:#?}");
            assert!(listed.len() as u64 <= plan.readers_max(stage), "{stage:?} {chunk:?} of {plan:#?}");
        }
    }
}

/// The tasks that the outputs of a plan depend on, found from the outputs task by task.
pub(crate) fn needed(plan: &Plan) -> BTreeSet<(StageIdx, ChunkIdx)> {
    let all = |s: StageIdx| (0..plan.n_tasks(s)).map(move |c| (s, ChunkIdx(c)));
    let mut stack: Vec<(StageIdx, ChunkIdx)> = plan.outputs.iter().flat_map(|s| all(*s)).collect();
    let (mut found, mut inputs) = (BTreeSet::new(), Vec::new());
    while let Some((stage, chunk)) = stack.pop() {
        if found.insert((stage, chunk)) {
            plan.inputs_of(stage, chunk, &mut inputs);
            stack.extend(inputs.drain(..).map(|(_, s, c)| (s, c)));
        }
    }
    found
}

fn expressions(rng: &mut Rng, earlier: &[Earlier]) -> Vec<Expr> {
    let mut pool: Vec<Expr> = Vec::new();
    for id in 0..rng.within(1, 2) {
        pool.push(source(rng, id));
    }
    for e in earlier.iter().filter(|e| !e.has_values) {
        if rng.one_in(2) || pool.is_empty() {
            let held = Expr::held(e.job, e.output, e.grid.clone(), e.dtype, Arc::new(()));
            pool.push(held.expect("a held output can be named"));
        }
    }
    for _ in 0..rng.within(0, 6) {
        let a = rng.pick(&pool).clone();
        let b = rng.pick(&pool).clone();
        if let Some(made) = operation(rng, &a, &b) {
            pool.push(made);
        }
    }
    let n = if rng.one_in(3) { 2 } else { 1 };
    let mut outputs: Vec<Expr> = pool.iter().rev().take(n).cloned().collect();
    let values = values(rng, earlier, &pool);
    if !values.is_empty() {
        let n = rng.within(1, 2) as usize;
        let mut arrays = if rng.one_in(3) { outputs } else { Vec::new() };
        if rng.one_in(3) {
            arrays.extend(from_value(rng, &values));
        }
        outputs = values.into_iter().rev().take(n).chain(arrays).collect();
    }
    if rng.one_in(6) {
        outputs.push(query(rng, earlier));
    }
    if rng.one_in(12) {
        outputs.push(outputs[0].clone());
    }
    outputs
}

/// Batches of calls, some of which read what others give; none more often than not.
fn values(rng: &mut Rng, earlier: &[Earlier], arrays: &[Expr]) -> Vec<Expr> {
    let mut pool: Vec<Expr> = Vec::new();
    if !rng.one_in(3) {
        return pool;
    }
    if rng.one_in(2) {
        let n = rng.within(1, 4) as usize;
        pool.push(Expr::values(n, 100, Arc::new(())).expect("a few values"));
    }
    for e in earlier.iter().filter(|e| e.has_values) {
        if rng.one_in(2) {
            let n = e.grid.n_chunks() as usize;
            pool.push(Expr::held_values(e.job, e.output, n, Arc::new(())).expect("values that were there"));
        }
    }
    for _ in 0..rng.within(1, 4) {
        let of = (&*pool, arrays);
        let made = if rng.one_in(3) { exchange(rng, of) } else { batch(rng, of, 0) };
        pool.push(made);
    }
    pool
}

/// The stages of a query on tables: what each reads is divided among its tasks, or read by all of them, or both.
fn query(rng: &mut Rng, earlier: &[Earlier]) -> Expr {
    let mut pool: Vec<Expr> =
        vec![Expr::values(rng.within(1, 4) as usize, 200, Arc::new(())).expect("a few values")];
    for e in earlier.iter().filter(|e| e.has_values) {
        let n = e.grid.n_chunks() as usize;
        pool.push(Expr::held_values(e.job, e.output, n, Arc::new(())).expect("values that were there"));
    }
    let mut last = table(rng, &pool, 1);
    for _ in 0..rng.within(1, 3) {
        let n_tasks = rng.within(1, 6);
        let mut inputs = Vec::new();
        if rng.one_in(2) {
            inputs.push((table(rng, &pool, n_tasks as u32), TableHow::Block));
        }
        if rng.one_in(3) {
            inputs.push((table(rng, &pool, n_tasks as u32), TableHow::Block));
        }
        if inputs.is_empty() || rng.one_in(2) {
            let how = if rng.one_in(2) { TableHow::Whole } else { TableHow::Each };
            inputs.push((rng.pick(&pool).clone(), how));
        }
        last = stage(rng, (n_tasks, 1), inputs);
        pool.push(last.clone());
    }
    last
}

/// A stage that reads what there is partition by partition, or nothing, and gives so many blocks.
fn table(rng: &mut Rng, pool: &[Expr], gives: u32) -> Expr {
    match rng.below(3) {
        0 => {
            let n_tasks = rng.within(1, 6);
            stage(rng, (n_tasks, gives), Vec::new())
        }
        _ => {
            let of = rng.pick(pool).clone();
            let n = of.grid().n_chunks();
            stage(rng, (n, gives), vec![(of, TableHow::Same)])
        }
    }
}

fn stage(rng: &mut Rng, (n_tasks, gives): (u64, u32), inputs: Vec<(Expr, TableHow)>) -> Expr {
    let read = |how: &TableHow| {
        // Some of a union's partitions read one side of it.
        let some = !matches!(how, TableHow::Block | TableHow::Same);
        let start = if some { n_tasks / 2 } else { 0 };
        TableRead::of(*how, start..n_tasks)
    };
    let made = TableStage {
        payload: Arc::from([]),
        gives,
        reads: inputs.iter().map(|(_, how)| read(how)).collect(),
        bytes_guess: 256,
        name: "simulated".into(),
        terms: rng.one_in(2).then(|| Arc::new(terms(rng))),
        kernel: None,
    };
    let inputs: Vec<Expr> = inputs.into_iter().map(|(expr, _)| expr).collect();
    Expr::table(made, n_tasks as usize, &inputs).expect("a stage of what is there")
}

/// How many calls a batch has. Some have many, who hear of what they read bit by bit.
fn n_calls(rng: &mut Rng) -> u64 {
    if rng.one_in(5) { rng.within(8, 30) } else { rng.within(1, 8) }
}

/// Calls that read some of what there is, and give values of so many blocks.
fn batch(rng: &mut Rng, (pool, arrays): (&[Expr], &[Expr]), gives: u32) -> Expr {
    let n_inputs = rng.within(0, 2.min(pool.len() as u64)) as usize;
    let mut inputs: Vec<Expr> = (0..n_inputs).map(|_| rng.pick(pool).clone()).collect();
    // Some read an array, which comes as one chunk.
    if rng.one_in(4) {
        let whole = rng.pick(arrays).rechunk(&Chunks::Every(AxisChunks::Whole));
        inputs.extend(whole.ok().filter(|array| !array.is_empty()));
    }
    let (mut args, mut arg_ends) = (Vec::new(), Vec::new());
    for _ in 0..n_calls(rng) {
        for (i, input) in (0..).zip(&inputs) {
            for _ in 0..rng.below(4) {
                args.push((i, rng.below(input.grid().n_chunks())));
            }
        }
        arg_ends.push(args.len() as u64);
    }
    let calls = Calls { args: args.into(), gives, ..plain_calls(rng, arg_ends) };
    Expr::calls(calls, &inputs).expect("calls of what is there")
}

/// Calls each of which takes a block of all that one or two batches give; now and then those give what others take.
fn exchange(rng: &mut Rng, pool: (&[Expr], &[Expr])) -> Expr {
    let n = n_calls(rng);
    let mut inputs = vec![batch(rng, pool, n as u32)];
    if rng.one_in(4) {
        let second = if rng.one_in(2) { batch(rng, pool, n as u32) } else { inputs[0].clone() };
        inputs.push(second);
    }
    let takes = |rng: &mut Rng, n: u64| Calls { takes: true, ..plain_calls(rng, vec![0; n as usize]) };
    if rng.one_in(4) {
        let m = n_calls(rng);
        let calls = Calls { gives: m as u32, ..takes(rng, n) };
        inputs = vec![Expr::calls(calls, &inputs).expect("calls of what is there")];
        return Expr::calls(takes(rng, m), &inputs).expect("calls of what is there");
    }
    Expr::calls(takes(rng, n), &inputs).expect("calls of what is there")
}

/// Calls that read no values, as many as there are ends of what each reads.
fn plain_calls(rng: &mut Rng, arg_ends: Vec<u64>) -> Calls {
    Calls {
        kernel: Arc::new(Kernel { inputs: vec![], output: DType::U8, ..function() }),
        params: Arc::from([]),
        ends: vec![0; arg_ends.len()].into(),
        args: Arc::from([]),
        arg_ends: arg_ends.into(),
        line: None,
        terms: rng.one_in(2).then(|| Arc::new(terms(rng))),
        gives: 0,
        takes: false,
    }
}

/// An array that is made of a value, and perhaps something of it.
fn from_value(rng: &mut Rng, values: &[Expr]) -> Option<Expr> {
    let values = rng.pick(values);
    let kernel = Kernel { inputs: vec![], ..function() };
    let calls = Calls {
        kernel: Arc::new(kernel),
        params: Arc::from([]),
        ends: Arc::from([0]),
        args: Arc::from([(0, rng.below(values.grid().n_chunks()))]),
        arg_ends: Arc::from([1]),
        line: None,
        terms: None,
        gives: 0,
        takes: false,
    };
    let shape: Vec<usize> = (0..rng.within(1, 2)).map(|_| rng.within(1, 9) as usize).collect();
    let array = Expr::from_value(calls, values, &shape, DType::F64).ok()?;
    match rng.below(3) {
        0 => array.rechunk(&Chunks::Every(AxisChunks::Len(2))).ok(),
        1 => array.reduce_all(Fold::Sum).ok(),
        _ => Some(array),
    }
}

/// How tasks are to be run.
fn terms(rng: &mut Rng) -> Terms {
    let limit_us = rng.one_in(2).then_some(OWN_LIMIT_US);
    let memory_bytes = if rng.one_in(3) { rng.within(1, 2000) } else { 0 };
    let tags = [TAG].into_iter().filter(|_| rng.one_in(3)).map(Arc::from).collect();
    let priority = if rng.one_in(2) { rng.below(5) as i32 - 2 } else { 0 };
    Terms { retries: rng.below(4) as u32, limit_us, tags, memory_bytes, priority }
}

fn source(rng: &mut Rng, id: u64) -> Expr {
    let ndim = rng.within(1, 2) as usize;
    let shape: Vec<usize> =
        (0..ndim).map(|_| rng.within(1, if ndim == 1 { 90 } else { 12 }) as usize).collect();
    let axes = shape.iter().map(|&l| axis_chunks(rng, l)).collect();
    let mut chunks = Chunks::Axes(axes);
    let mut shape = shape;
    if rng.one_in(60) {
        shape[0] = 0;
        chunks = Chunks::Every(AxisChunks::Whole);
    }
    let dtype = DType::F64;
    let made = match rng.below(4) {
        0 => Expr::random(&shape, &chunks, dtype, 1, Dist::Uniform { low: 0.0, high: 1.0 }),
        1 => Expr::literal(&shape, &chunks, dtype, id, Arc::new(())),
        _ => {
            let file = FileRef { kind: FileKind::Npy, path: format!("file{id}"), member: String::new() };
            let boxes = shape.iter().map(|_| 1 + id as usize % 4).collect();
            let stored = if id.is_multiple_of(2) { Stored::Rows } else { Stored::Boxes(boxes) };
            Expr::read((file, stored), &shape, &chunks, dtype)
        }
    };
    made.expect("a source of a good shape")
}

fn axis_chunks(rng: &mut Rng, len: usize) -> AxisChunks {
    if rng.one_in(5) && len >= 3 {
        let first = rng.within(1, len as u64 - 2) as usize;
        let second = rng.within(1, (len - first) as u64 - 1) as usize;
        return AxisChunks::Lens(vec![first, second, len - first - second]);
    }
    AxisChunks::Len(rng.within(1, len.div_ceil(2).max(1) as u64) as isize)
}

/// A function of one array, which nobody here calls.
fn function() -> Kernel {
    let (build, name) = ("51".into(), "simulated".into());
    Kernel { offset: 8, build, name, params: vec![], inputs: vec![DType::F64], output: DType::F64 }
}

fn halo(rng: &mut Rng, shape: &[usize]) -> Vec<Halo> {
    let one = |&len: &usize| {
        let boundary = *rng.pick(&[Boundary::None, Boundary::Periodic, Boundary::Reflect]);
        let depth = |rng: &mut Rng| rng.within(0, 2.min(len as u64)) as usize;
        Halo { before: depth(rng), after: depth(rng), boundary }
    };
    shape.iter().map(one).collect()
}

/// A function of the library's own, which nobody here calls.
fn own(n_inputs: usize, output: DType) -> BlockFunction {
    let inputs = vec![DType::F64; n_inputs];
    let temporaries = Temporaries { per_read: 3, per_made: 5, fixed: 7 };
    let (name, params) = ("simulated".into(), Vec::new());
    BlockFunction::Own(Arc::new(OwnFunction { name, params, inputs, output, temporaries }))
}

/// What each chunk comes to, what all before each come to, and the chunks with that.
fn scanned(a: &Expr, axis: usize) -> Option<Expr> {
    let grid = a.grid();
    let n = grid.axes()[axis].n_chunks();
    let cut = |axis_grid: AxisGrid| {
        let mut axes = grid.axes().to_vec();
        axes[axis] = axis_grid;
        Grid::new(axes)
    };
    let read = |along: Along| {
        Read::Box((0..a.ndim()).map(|b| if b == axis { along } else { Along::same(b) }).collect())
    };
    let stage = |inputs: &[Expr], reads: Vec<Read>, space: &Grid, out: &Grid| {
        let function = own(inputs.len(), DType::F64);
        Expr::of_blocks(Blocks { function, reads, space: space.clone(), gives: None }, inputs, out).ok()
    };
    let (each, together) = (cut(AxisGrid::regular(n, 1)), cut(AxisGrid::whole(n)));
    let totals = stage(std::slice::from_ref(a), vec![read(Along::same(axis))], grid, &each)?;
    let carries = stage(&[totals], vec![read(Along::All)], &together, &together)?;
    let reads = vec![read(Along::same(axis)), read(Along::Number { axis })];
    stage(&[a.clone(), carries], reads, grid, grid)
}

/// Chunks of one axis that are cut, exchanged and put together to chunks of other lengths.
fn exchanged(rng: &mut Rng, a: &Expr) -> Option<Expr> {
    let line = a.reshape(&[a.len()]).ok()?;
    let out = Grid::new(vec![AxisGrid::regular(line.len(), rng.within(1, 9) as usize)]);
    let gives = Some(Gives { n: out.n_chunks() as u32, bytes_guess: 64 });
    let space = line.grid().clone();
    let parts =
        Blocks { function: own(1, DType::U8), reads: vec![Read::Box(vec![Along::same(0)])], space, gives };
    let parts = Expr::of_blocks(parts, std::slice::from_ref(&line), line.grid()).ok()?;
    let function = BlockFunction::Own(Arc::new(OwnFunction {
        name: "simulated".into(),
        params: Vec::new(),
        inputs: vec![DType::U8],
        output: DType::F64,
        temporaries: Temporaries::NONE,
    }));
    let merge = Blocks { function, reads: vec![Read::Block], space: out.clone(), gives: None };
    Expr::of_blocks(merge, &[parts], &out).ok()
}

/// A part of an array after some sweeps, each of which sees the neighbours of the one before.
fn part_of_sweeps(rng: &mut Rng, a: &Expr) -> Option<Expr> {
    let mut swept = a.clone();
    for _ in 0..rng.within(2, 4) {
        swept = swept.map_overlap(function(), &halo(rng, &a.shape())).ok()?;
    }
    let part = a.shape().into_iter().map(|len| {
        let start = rng.below(len as u64 + 1) as isize;
        let end = start + rng.within(0, 2.min(len as u64 - start as u64)) as isize;
        SliceArg::Range { start, end: Some(end), step: 1 }
    });
    swept.slice(&part.collect::<Vec<_>>()).ok()
}

fn operation(rng: &mut Rng, a: &Expr, b: &Expr) -> Option<Expr> {
    let ndim = a.ndim();
    match rng.below(14) {
        0 => a.unary(UnaryOp::Exp).ok(),
        1 | 2 => a.binary(BinaryOp::Add, b).ok(),
        3 => a.reversed_axes().ok()?.binary(BinaryOp::Mul, b).ok(),
        4 => {
            let axes: Vec<AxisChunks> = a.shape().iter().map(|&l| axis_chunks(rng, l)).collect();
            a.rechunk(&Chunks::Axes(axes)).ok()
        }
        5 if ndim > 0 => a.reduce(Fold::Sum, &[rng.below(ndim as u64) as usize]).ok(),
        6 => a.reduce_all(if rng.one_in(2) { Fold::Sum } else { Fold::Var { ddof: 0.0 } }).ok(),
        7 => a.dot(b).or_else(|_| a.dot(&b.reversed_axes()?)).ok(),
        8 if ndim > 0 => Expr::concatenate(rng.below(ndim as u64) as usize, &[a.clone(), b.clone()]).ok(),
        9 => a.reshape(&[a.len()]).ok(),
        10 if ndim > 0 && a.shape()[0] >= 2 => {
            let sliced = |start, end, step| {
                let mut args = vec![SliceArg::Range { start: 0, end: None, step: 1 }; ndim];
                args[0] = SliceArg::Range { start, end, step };
                a.slice(&args)
            };
            match rng.below(3) {
                0 => sliced(1, None, 1).ok()?.binary(BinaryOp::Sub, &sliced(0, Some(-1), 1).ok()?).ok(),
                1 => sliced(0, None, -1).ok(),
                _ => {
                    sliced(rng.below(a.shape()[0] as u64 - 1) as isize, None, rng.within(1, 3) as isize).ok()
                }
            }
        }
        12 if ndim > 0 && rng.one_in(3) => part_of_sweeps(rng, a),
        12 => a.map_overlap(function(), &halo(rng, &a.shape())).ok(),
        13 if ndim > 0 => match rng.below(5) {
            3 => scanned(a, rng.below(ndim as u64) as usize),
            4 => exchanged(rng, a),
            0 => a.fold_axis(function(), rng.below(ndim as u64) as usize).ok(),
            1 => a.map_blocks(function()).ok(),
            _ => Expr::apply(function(), std::slice::from_ref(a)).ok(),
        },
        // Something that has to be fetched whole by everybody, and read again after a reduction.
        11 if ndim > 0 => {
            let mean = a.reduce_all(Fold::Sum).ok()?.broadcast_to(&a.shape()).ok()?;
            a.binary(BinaryOp::Sub, &mean).ok()
        }
        _ => None,
    }
}
