//! Plans of programs: both directions of every dependency agree, and chains are fused as promised.

#![allow(clippy::unwrap_used, reason = "a test helper that panics is a failed test")]

#[path = "plan/calls.rs"]
mod calls;
#[path = "plan/scale.rs"]
mod scale;
#[path = "plan/tables.rs"]
mod tables;

use proptest::prelude::*;
use std::sync::Arc;
use tilework_expr::{
    Along, BinaryOp, BlockFunction, Blocks, Boundary, Chunks, DType, Dist, Expr, ExprError, FileKind,
    FileRef, Fold, Gives, Halo, Kernel, Lowered, Op, OwnFunction, Program, Read, Scalar, SliceArg, StageKind,
    UnaryOp,
};
use tilework_plan::{
    AxisGrid, ChunkIdx, Extent, Grid, Origin, Plan, Stage, StageIdx, Steps, Stored, Temporaries,
};

fn literal(shape: &[usize], chunks: &[isize], id: u64) -> Expr {
    Expr::literal(shape, &Chunks::from(chunks), DType::F64, id, std::sync::Arc::new(())).expect("a literal")
}

fn read(shape: &[usize], chunks: &[isize], stored: Stored) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: "f".into(), member: String::new() };
    Expr::read((file, stored), shape, &Chunks::from(chunks), DType::F64).expect("a file")
}

/// A function of so many floats.
fn kernel(n_inputs: usize) -> Kernel {
    let (build, name) = ("1f".into(), "f".into());
    let inputs = vec![DType::F64; n_inputs];
    Kernel { offset: 64, build, name, params: vec![7], inputs, output: DType::F64 }
}

/// Halos of depths up to that of the axes, with changing boundaries.
fn halo(shape: &[usize], n: usize) -> Vec<Halo> {
    let boundary = |i: usize| match i % 5 {
        0 => Boundary::Periodic,
        1 => Boundary::None,
        2 => Boundary::Reflect,
        3 => Boundary::Nearest,
        _ => Boundary::Constant(Scalar::new(1.5)),
    };
    shape.iter().enumerate().map(|(a, l)| Halo::even((n + a) % (l + 1), boundary(n + a))).collect()
}

/// As deep a periodic halo on each axis.
fn halo_of(depth: usize, ndim: usize) -> Vec<Halo> {
    vec![Halo::even(depth, Boundary::Periodic); ndim]
}

fn lowered(outputs: &[Expr]) -> Lowered {
    Lowered::of(&Program::new(outputs)).expect("a plan")
}

fn plan(outputs: &[Expr]) -> Arc<Plan> {
    lowered(outputs).plan
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.stages.iter().map(|stage| stage.name).collect()
}

/// For every task: each input names it as a consumer, as often as it is read, and the other way round.
fn check_both_directions(plan: &Plan) {
    let mut forward: Vec<((StageIdx, ChunkIdx), (StageIdx, ChunkIdx))> = Vec::new();
    let mut backward = forward.clone();
    for s in (0..plan.stages.len() as u32).map(StageIdx) {
        for c in (0..plan.n_tasks(s)).map(ChunkIdx) {
            let mut inputs = Vec::new();
            plan.inputs_of(s, c, &mut inputs);
            for (_, from, chunk) in inputs {
                assert!(from < s && chunk.0 < plan.n_tasks(from), "{plan:#?}");
                forward.push(((from, chunk), (s, c)));
            }
            let mut consumers = Vec::new();
            plan.consumers_of(s, c, &mut consumers);
            backward.extend(consumers.into_iter().map(|to| ((s, c), to)));
        }
    }
    forward.sort_unstable();
    backward.sort_unstable();
    assert_eq!(forward, backward, "{plan:#?}");
}

/// What is needed of each stage is what is found from the outputs task by task, in every way of asking.
fn check_needs(plan: &Plan) {
    let tasks = |s: StageIdx| (0..plan.n_tasks(s)).map(move |c| (s, ChunkIdx(c)));
    let mut stack: Vec<(StageIdx, ChunkIdx)> = plan.outputs.iter().flat_map(|s| tasks(*s)).collect();
    let mut found = std::collections::BTreeSet::new();
    while let Some((s, c)) = stack.pop() {
        if found.insert((s, c)) {
            let mut inputs = Vec::new();
            plan.inputs_of(s, c, &mut inputs);
            stack.extend(inputs.into_iter().map(|(_, s, c)| (s, c)));
        }
    }
    for (s, need) in (0..).map(StageIdx).zip(plan.needs()) {
        let want: Vec<u64> = tasks(s).filter(|t| found.contains(t)).map(|t| t.1.0).collect();
        let got: Vec<u64> = tasks(s).filter(|t| need.contains(t.1)).map(|t| t.1.0).collect();
        assert_eq!(got, want, "{s:?} of {plan:#?}");
        assert_eq!(
            (need.n_tasks(), need.is_all()),
            (want.len() as u64, want.len() as u64 == plan.n_tasks(s))
        );
        assert_eq!((0..need.n_tasks()).map(|n| need.nth(n).0).collect::<Vec<_>>(), want);
        for c in 0..=plan.n_tasks(s) {
            let before = want.iter().filter(|w| **w < c).count() as u64;
            assert_eq!(need.n_before(ChunkIdx(c)), before, "{c} of {need:?}");
        }
        for at in 0..want.len() as u64 {
            let run = need.run(at..want.len() as u64);
            let follow = want[at as usize..].iter().zip(run.start..).take_while(|(w, c)| **w == *c);
            let n = run.end - run.start;
            assert!(
                run.start == want[at as usize] && (1..=follow.count() as u64).contains(&n),
                "{run:?} of {need:?}"
            );
        }
    }
}

#[test]
fn a_chain_into_a_sum_is_one_stage_and_its_tree() {
    let x = literal(&[100, 100], &[10, 10], 1);
    let y = literal(&[100, 100], &[10, 10], 2);
    let two = Expr::full(&[], &Chunks::Auto, Scalar::new(2.0)).unwrap();
    let e = x.unary(UnaryOp::Sin).unwrap().binary(BinaryOp::Mul, &two).unwrap();
    let e = e.binary(BinaryOp::Add, &y.binary(BinaryOp::Mul, &y).unwrap()).unwrap();
    let plan = plan(&[e.reduce_all(Fold::Sum).unwrap()]);
    assert_eq!(kinds(&plan), ["literal", "literal", "reduce", "combine", "combine"]);
    check_both_directions(&plan);
}

#[test]
fn what_a_task_brings_together_counts_as_its_memory() {
    let x = literal(&[40, 40], &[20, 20], 1);
    let y = literal(&[40, 40], &[20, 20], 2);
    let shifted = x.slice(&[SliceArg::Range { start: 10, end: Some(30), step: 1 }; 2]).unwrap();
    let same = y.slice(&[SliceArg::Range { start: 20, end: Some(40), step: 1 }; 2]).unwrap();
    let sum = shifted.binary(BinaryOp::Add, &same).unwrap();
    let chunks = |e: &Expr| e.rechunk(&Chunks::from(&[20isize, 20][..])).unwrap();
    let scratch = |e: &Expr, stage: u32| {
        let plan = plan(std::slice::from_ref(e));
        let mut inputs = Vec::new();
        plan.inputs_of(StageIdx(stage), ChunkIdx(0), &mut inputs);
        let bytes = plan.scratch_bytes(StageIdx(stage), ChunkIdx(0), &inputs);
        let out = plan.out_bytes(StageIdx(stage), ChunkIdx(0));
        let read = plan.task_bytes(StageIdx(stage), ChunkIdx(0)) - out - bytes;
        (inputs.len(), bytes, read)
    };
    // Four chunks of x meet in the task's box, a quarter of each, and are copied together; the one of y is read where it
    // lies.
    let box_bytes = 20 * 20 * 8;
    assert_eq!(scratch(&chunks(&sum), 2), (5, box_bytes, 2 * box_bytes));
    // A mere copy is written to the result at once.
    assert_eq!(scratch(&chunks(&shifted), 1), (4, 0, box_bytes));
    // Columns of rows: of each row what is in the column, however many there are. Where half of a chunk is read, it is
    // fetched whole.
    for (n, whole) in [(40_usize, 1), (4, 1), (2, 2)] {
        let rows = literal(&[40, 40], &[40 / n as isize, 40], 1);
        let columns = rows.rechunk(&Chunks::from(&[40isize, 40 / n as isize][..])).unwrap();
        assert_eq!(scratch(&columns, 1), (n, 0, whole * 40 * (40 / n as u64) * 8), "{n}");
    }
}

#[test]
fn blocks_and_their_halos_count_as_a_tasks_memory() {
    let scratch = |e: &Expr, chunk: u64| {
        let plan = plan(std::slice::from_ref(e));
        let (stage, mut inputs) = (*plan.outputs.first().unwrap(), Vec::new());
        plan.inputs_of(stage, ChunkIdx(chunk), &mut inputs);
        plan.scratch_bytes(stage, ChunkIdx(chunk), &inputs)
    };
    let x = literal(&[40, 40], &[10, 40], 1);
    let made = x.unary(UnaryOp::Exp).unwrap();
    let part = x.slice(&[SliceArg::Range { start: 0, end: None, step: 2 }; 2]).unwrap();
    let cut = part.rechunk(&Chunks::from(&[5isize, 20][..])).unwrap();
    let across = x.rechunk(&Chunks::from(&[20isize, 40][..])).unwrap();
    let blocks = |e: &Expr| scratch(&e.map_blocks(kernel(1)).unwrap(), 0);
    // A chunk that was made is read where it lies; one of the client's may be a part of larger memory; parts of
    // chunks, and what lies in several, are copied.
    assert_eq!((blocks(&made), blocks(&x)), (0, 10 * 40 * 8));
    assert_eq!((blocks(&cut), blocks(&across)), (5 * 20 * 8, 20 * 40 * 8));
    let mean = made.reduce(Fold::Mean, &[0]).unwrap().broadcast_to(&[30, 40]).unwrap();
    assert_eq!(blocks(&mean), 30 * 40 * 8);
    assert_eq!(scratch(&made.fold_axis(kernel(1), 1).unwrap(), 0), 0);
    let halo = |depth, boundary| [Halo::even(depth, boundary), Halo::NONE];
    let overlap = |depth, boundary| made.map_overlap(kernel(1), &halo(depth, boundary)).unwrap();
    // The block that is given, and one as large that may be returned.
    assert_eq!(scratch(&overlap(3, Boundary::None), 0), 13 * 40 * (8 + 8));
    assert_eq!(scratch(&overlap(3, Boundary::Periodic), 1), 16 * 40 * (8 + 8));
    assert_eq!(scratch(&overlap(0, Boundary::None), 1), 0);
    // More than any memory has, where a number of bytes would not hold it.
    let cube = Expr::full(&[1 << 20; 3], &Chunks::from(-1), Scalar::new(0u8)).unwrap();
    let deep = vec![Halo::even(1 << 20, Boundary::Nearest); 3];
    let takes_bytes = Kernel { inputs: vec![DType::U8], output: DType::U8, ..kernel(1) };
    assert_eq!(scratch(&cube.map_overlap(takes_bytes, &deep).unwrap(), 0), u64::MAX);
}

#[test]
fn what_a_function_says_that_it_takes_counts_as_a_tasks_memory() {
    let own_of = |n, temporaries| OwnFunction {
        name: "f".into(),
        params: Vec::new(),
        inputs: vec![DType::F64; n],
        output: DType::F64,
        temporaries,
    };
    let stage = |own: OwnFunction, inputs: &[&Expr], reads: Vec<Read>, gives| {
        let output = if gives { DType::U8 } else { DType::F64 };
        let function = BlockFunction::Own(Arc::new(OwnFunction { output, ..own }));
        let inputs: Vec<Expr> = inputs.iter().map(|e| (*e).clone()).collect();
        let space = inputs[0].grid().clone();
        let gives = gives.then_some(Gives { n: 2, bytes_guess: 1000 });
        let made = Expr::of_blocks(Blocks { function, reads, space: space.clone(), gives }, &inputs, &space);
        let made = made.unwrap();
        let plan = match gives {
            None => plan(&[made]),
            // Values are read by somebody.
            Some(_) => {
                let two = Grid::new(vec![AxisGrid::regular(2, 1)]);
                let takes = OwnFunction { inputs: vec![DType::U8], ..own_of(1, Temporaries::NONE) };
                let function = BlockFunction::Own(Arc::new(takes));
                let blocks = Blocks { function, reads: vec![Read::Block], space: two.clone(), gives: None };
                plan(&[Expr::of_blocks(blocks, &[made], &two).unwrap()])
            }
        };
        let at = kinds(&plan).iter().position(|name| *name == "library").unwrap();
        let (stage, mut inputs) = (StageIdx(at as u32), Vec::new());
        plan.inputs_of(stage, ChunkIdx(0), &mut inputs);
        (plan.scratch_bytes(stage, ChunkIdx(0), &inputs), plan.task_bytes(stage, ChunkIdx(0)))
    };
    let x = literal(&[40], &[10], 1).unary(UnaryOp::Exp).unwrap();
    let y = literal(&[30], &[30], 2).unary(UnaryOp::Exp).unwrap();
    let (same, all) = (Read::Box(vec![Along::same(0)]), Read::Box(vec![Along::All]));
    let says = Temporaries { per_read: 3, per_made: 5, fixed: 7 };
    assert_eq!(stage(own_of(1, Temporaries::NONE), &[&x], vec![same.clone()], false), (0, 160));
    assert_eq!(stage(own_of(1, says), &[&x], vec![same.clone()], false), (3 * 10 + 5 * 10 + 7, 160 + 87));
    // Of a second input all is read, which is one chunk that is read in place.
    let both = stage(own_of(2, says), &[&x, &y], vec![same.clone(), all], false);
    assert_eq!(both, (3 * (10 + 30) + 5 * 10 + 7, 160 + 30 * 8 + 177));
    // A value has no elements that are known beforehand.
    assert_eq!(stage(own_of(1, says), &[&x], vec![same.clone()], true).0, 3 * 10 + 7);
    // Of a slice counts what is read.
    let part = x.slice(&[SliceArg::Range { start: 0, end: None, step: 2 }]).unwrap();
    assert_eq!(stage(own_of(1, says), &[&part], vec![same.clone()], false).0, 3 * 5 + 5 * 5 + 7);
    let most = Temporaries { per_read: u32::MAX, per_made: 0, fixed: u64::MAX };
    assert_eq!(stage(own_of(1, most), &[&x], vec![same], false), (u64::MAX, u64::MAX));
}

#[test]
fn slices_and_transposes_are_read_in_place() {
    let x = literal(&[90, 90], &[20, 30], 1);
    let t = x.reversed_axes().unwrap();
    let s = x.binary(BinaryOp::Add, &t).unwrap();
    let s = s.slice(&[
        SliceArg::Range { start: 0, end: None, step: 3 },
        SliceArg::Range { start: 10, end: Some(-10), step: -2 },
    ]);
    let plan = plan(&[s.unwrap().reduce(Fold::Max, &[0]).unwrap()]);
    assert_eq!(kinds(&plan), ["literal", "reduce", "combine"]);
    check_both_directions(&plan);
}

#[test]
fn what_no_output_depends_on_has_no_stage() {
    let x = literal(&[8], &[2], 1);
    let turned = x.unary(UnaryOp::Neg).unwrap().slice(&[SliceArg::Range { start: 0, end: None, step: -1 }]);
    let joined = Expr::concatenate(0, &[turned.unwrap(), x.clone()]).unwrap();
    let blocks = joined.map_blocks(kernel(1)).unwrap();
    let mut program = Program::new(&[x, blocks]);
    program.outputs.truncate(1);
    assert_eq!(Lowered::of(&program).unwrap().works.len(), 1);
}

#[test]
fn an_axis_without_elements_that_is_folded_is_not_read() {
    let x = literal(&[0, 3], &[1, 2], 1);
    for first in [0, 1] {
        let folded = x.fold_axis(kernel(1), first).unwrap().fold_axis(kernel(1), 0).unwrap();
        let plan = plan(&[folded]);
        check_both_directions(&plan);
        check_needs(&plan);
    }
}

#[test]
fn equal_and_dead_nodes_are_shared_and_dropped() {
    let x = literal(&[8], &[4], 1);
    let a = x.unary(UnaryOp::Exp).unwrap();
    let b = x.unary(UnaryOp::Exp).unwrap();
    let _dead = a.unary(UnaryOp::Ln).unwrap();
    let sum = a.binary(BinaryOp::Add, &b).unwrap();
    let lowered = lowered(std::slice::from_ref(&sum));
    let StageKind::Map(p) = &lowered.works[1].kind else { panic!("{lowered:?}") };
    assert_eq!((lowered.works.len(), p.values.len()), (2, 3));
}

fn readings(plan: &Plan) -> Vec<&Extent> {
    fn extent(stage: &Stage) -> Option<&Extent> {
        match &stage.origin {
            Origin::File(extent) => Some(extent),
            _ => None,
        }
    }
    plan.stages.iter().filter_map(extent).collect()
}

#[test]
fn a_slice_reads_from_the_file_what_it_needs() {
    let all = SliceArg::Range { start: 0, end: None, step: 1 };
    let range = |start, end, step| SliceArg::Range { start, end: Some(end), step };
    let bytes = |p: &Plan| -> u64 {
        let reads = (0..p.stages.len() as u32).map(StageIdx);
        let of = |s| (0..p.n_tasks(s)).map(move |c| (s, ChunkIdx(c)));
        reads.flat_map(of).map(|(s, c)| p.file_bytes(s, c)).sum()
    };
    // A store of 10,000 small chunks, read in one.
    let store = read(&[2000, 2000], &[2560, 2560], Stored::Boxes(vec![20, 20]));
    for (args, want) in [
        (vec![SliceArg::At(17), SliceArg::At(3)], 20 * 20 * 8),
        (vec![SliceArg::At(17), all], 20 * 2000 * 8),
        (vec![range(0, 2000, -100), range(5, 6, 1)], 20 * 20 * 20 * 8),
        (vec![range(1900, 2000, 1), all], 100 * 2000 * 8),
    ] {
        let slice = store.slice(&args).unwrap();
        // Whatever is computed of it on the way.
        let of = slice.unary(UnaryOp::Exp).unwrap().reduce_all(Fold::Sum).unwrap();
        for e in [slice, of] {
            let p = plan(&[e]);
            assert_eq!(bytes(&p), want, "{args:?}");
            check_both_directions(&p);
        }
    }
    // The slice of a formula is the formula of the slice.
    let e = store.unary(UnaryOp::Neg).unwrap().slice(&[SliceArg::At(0), all]).unwrap();
    assert_eq!(bytes(&plan(&[e])), 20 * 2000 * 8);
    // More chunks than are looked at one by one.
    let fine = read(&[1 << 31], &[1], Stored::Rows);
    let p = plan(&[fine.slice(&[range(5, 1 << 30, 1)]).unwrap().reduce_all(Fold::Sum).unwrap()]);
    assert!(readings(&p)[0].is_whole());
    let columns = read(&[10_000, 10_000], &[200, 10_000], Stored::Columns);
    let p = plan(&[columns.slice(&[all, SliceArg::At(5)]).unwrap()]);
    assert_eq!((bytes(&p), readings(&p)[0].steps[1]), (80_000, Steps { start: 5, step: 1, len: 1 }));
}

#[test]
fn what_several_read_of_a_file_is_read_once() {
    let x = read(&[100, 100], &[10, 100], Stored::Boxes(vec![10, 10]));
    let row = |i| x.slice(&[SliceArg::At(i), SliceArg::Range { start: 0, end: None, step: 1 }]).unwrap();
    let whole = |outputs: &[Expr]| {
        let p = plan(outputs);
        check_both_directions(&p);
        readings(&p).iter().map(|r| r.is_whole()).collect::<Vec<_>>()
    };
    // Each row takes a tenth of the chunk's stored boxes whole.
    assert_eq!(whole(&[x.binary(BinaryOp::Sub, &row(3)).unwrap()]), [true]);
    assert_eq!(whole(&[x.clone(), row(3)]), [true]);
    assert_eq!(whole(&[Expr::stack(0, &(0..100).map(row).collect::<Vec<_>>()).unwrap()]), [true]);
    let x = read(&[100, 100], &[50, 100], Stored::Boxes(vec![10, 10]));
    let row = |i| x.slice(&[SliceArg::At(i), SliceArg::Range { start: 0, end: None, step: 1 }]).unwrap();
    assert_eq!(whole(&[row(3), row(77)]), [false, false]);
    // One part, however it is seen.
    let back = row(3).slice(&[SliceArg::Range { start: 0, end: None, step: -1 }]).unwrap();
    assert_eq!(whole(&[row(3).binary(BinaryOp::Add, &back).unwrap()]), [false]);
    // Ten rows of one stored box would decode it ten times.
    assert_eq!(whole(&(0..10).map(row).collect::<Vec<_>>()), [true]);
}

#[test]
fn costly_chains_with_two_users_are_computed_once() {
    let x = literal(&[8, 8], &[4, 4], 1);
    let e = x.unary(UnaryOp::Exp).unwrap();
    let both = [e.reduce_all(Fold::Sum).unwrap(), e.reduce(Fold::Max, &[1]).unwrap()];
    let p = plan(&both);
    assert_eq!(kinds(&p), ["literal", "elementwise", "reduce", "combine", "reduce", "combine"]);
    let cheap = x.binary(BinaryOp::Mul, &x).unwrap();
    let p = plan(&[cheap.reduce_all(Fold::Sum).unwrap(), cheap.reduce(Fold::Max, &[1]).unwrap()]);
    assert_eq!(kinds(&p), ["literal", "reduce", "combine", "reduce", "combine"]);
}

#[test]
fn a_long_chain_is_cut_and_dropped_without_recursion() {
    let mut e =
        Expr::random(&[4], &Chunks::Auto, DType::F64, 1, Dist::Uniform { low: 0.0, high: 1.0 }).unwrap();
    for _ in 0..2_000 {
        e = e.unary(UnaryOp::Neg).unwrap();
    }
    assert!((5..12).contains(&plan(std::slice::from_ref(&e)).stages.len()));
    for _ in 0..200_000 {
        e = e.unary(UnaryOp::Neg).unwrap();
    }
    drop(e);
}

#[test]
fn a_repeated_chain_is_computed_before_it_is_repeated() {
    let v = literal(&[50], &[10], 1).unary(UnaryOp::Sqrt).unwrap();
    let m = literal(&[40, 50], &[10, 10], 2);
    let plan = plan(&[m.binary(BinaryOp::Mul, &v).unwrap()]);
    assert_eq!(kinds(&plan), ["literal", "literal", "elementwise", "elementwise"]);
    check_both_directions(&plan);
}

#[test]
fn mistakes_name_what_was_given() {
    let a = literal(&[3, 4], &[2, 2], 1);
    let b = literal(&[5, 4], &[2, 2], 2);
    let text = |r: Result<Expr, ExprError>| r.unwrap_err().to_string();
    assert_eq!(text(a.binary(BinaryOp::Add, &b)), "shapes [3, 4] and [5, 4] cannot be broadcast together");
    assert_eq!(text(a.reduce(Fold::Sum, &[2])), "axis 2 is out of range for an array of 2 dimensions");
    assert!(text(a.dot(&b)).contains("inner lengths"));
    assert!(text(a.reshape(&[5])).contains("12 elements"));
    assert!(text(a.slice(&[SliceArg::At(3), SliceArg::At(0)])).contains("length 3"));
    assert!(text(a.cast(DType::Bool).unwrap().reduce_all(Fold::Sum)).contains("sum is not defined"));
    let deep = vec![Halo::even(4, Boundary::None); 2];
    assert!(text(a.map_overlap(kernel(1), &deep)).contains("got 4 along an axis of length 3"));
    assert!(text(a.map_overlap(kernel(1), &[])).contains("one halo for each axis"));
    assert!(text(a.fold_axis(kernel(1), 2)).contains("axis 2"));
    assert!(text(Expr::apply(kernel(2), &[a.clone(), b.clone()])).contains("[3, 4] and [5, 4]"));
    assert!(text(Expr::apply(kernel(2), std::slice::from_ref(&a))).contains("1 arrays"));
    assert!(text(a.cast(DType::F32).unwrap().map_blocks(kernel(1))).contains("f: the operands are"));
    let empty = literal(&[0, 4], &[1, 4], 3);
    assert!(text(empty.reduce_all(Fold::Max)).contains("no elements"));
    assert!(Expr::full(&[usize::MAX / 2, 3], &Chunks::Auto, Scalar::new(1.0)).is_err());
}

#[test]
fn functions_of_elements_are_fused_and_of_blocks_are_not() {
    let x = literal(&[60, 40], &[10, 10], 1);
    let y = literal(&[60, 40], &[20, 20], 2);
    let f = Expr::apply(kernel(2), &[x.unary(UnaryOp::Neg).unwrap(), y]).unwrap();
    let sum = f.unary(UnaryOp::Exp).unwrap().reduce_all(Fold::Sum).unwrap();
    let p = plan(std::slice::from_ref(&sum));
    assert_eq!(kinds(&p), ["literal", "literal", "reduce", "combine"]);
    let at =
        Expr::from_index(kernel_of_index(2), &[60, 40], &Chunks::from(10), std::sync::Arc::new(())).unwrap();
    let p = plan(&[at.slice(&[SliceArg::At(3), SliceArg::Range { start: 5, end: None, step: -2 }]).unwrap()]);
    assert_eq!(kinds(&p), ["elementwise"]);
    let own =
        Program::replacing(std::slice::from_ref(&at), |e| e.attachment().map(|_| Op::Literal { id: 3 }));
    assert_eq!(kinds(&Lowered::of(&own).unwrap().plan), ["literal"]);
    let blocks = x.unary(UnaryOp::Neg).unwrap().map_blocks(kernel(1)).unwrap();
    let p = plan(&[blocks
        .rechunk(&Chunks::from(7))
        .unwrap()
        .map_overlap(kernel(1), &halo(&[60, 40], 5))
        .unwrap()]);
    assert_eq!(kinds(&p), ["literal", "elementwise", "map_blocks", "map_overlap"]);
    check_both_directions(&p);
    let p = plan(&[x.fold_axis(kernel(1), 0).unwrap()]);
    assert_eq!(kinds(&p), ["literal", "fold_axis"]);
    check_both_directions(&p);
}

fn kernel_of_index(ndim: usize) -> Kernel {
    Kernel { inputs: vec![DType::I64; ndim], ..kernel(0) }
}

#[test]
fn a_halo_reads_the_nearest_of_the_neighbours() {
    let x = literal(&[40, 40], &[10, 20], 1);
    let ring = Halo::even(2, Boundary::Periodic);
    let p = plan(&[x.map_overlap(kernel(1), &[ring, Halo::NONE]).unwrap()]);
    let mut inputs = Vec::new();
    p.inputs_of(StageIdx(1), ChunkIdx(1), &mut inputs);
    let boxes = inputs.iter().map(|&(slot, s, c)| p.read_box((StageIdx(1), ChunkIdx(1)), slot, (s, c)));
    let boxes: Vec<_> = inputs.iter().map(|i| i.2.0).zip(boxes.flatten()).collect();
    assert_eq!(boxes, [(1, vec![0..10, 20..40]), (3, vec![10..12, 20..40]), (7, vec![38..40, 20..40])]);
}

/// A random step from one expression to the next.
fn step(e: &Expr, which: u8, n: usize) -> Expr {
    let ndim = e.ndim();
    let shape = e.shape();
    let axis = if ndim == 0 { 0 } else { n % ndim };
    let next = match which {
        0 => e.reversed_axes(),
        1 if ndim > 0 => {
            let args = (0..ndim).map(|a| {
                let start = (n % (shape[a] + 1)).min(shape[a]) as isize / 2;
                SliceArg::Range { start, end: None, step: [1, 2, -1, -3][(n + a) % 4] }
            });
            e.slice(&args.collect::<Vec<_>>())
        }
        2 => e.rechunk(&Chunks::Every(tilework_expr::AxisChunks::Len(1 + n as isize % 5))),
        3 => e.reshape(&[e.len()]),
        4 if ndim > 1 => e.reduce(Fold::Sum, &[axis]),
        5 => e.binary(
            BinaryOp::Add,
            &e.slice(&vec![SliceArg::Range { start: 0, end: None, step: -1 }; ndim]).unwrap(),
        ),
        6 if ndim > 0 => Expr::concatenate(axis, &[e.clone(), e.unary(UnaryOp::Neg).unwrap(), e.clone()]),
        7 if ndim < 4 => e.insert_axis(n % (ndim + 1)),
        8 if ndim == 2 => e.dot(&e.reversed_axes().unwrap()),
        9 if ndim > 0 && shape[axis] > 0 => e.reduce(Fold::ArgMax, &[axis]).and_then(|a| a.cast(DType::F64)),
        10 => e.broadcast_to(&[vec![2], shape.clone()].concat()),
        11 => Expr::apply(kernel(2), &[e.clone(), e.reversed_axes().unwrap().reversed_axes().unwrap()]),
        12 => e.map_blocks(kernel(1)),
        13 => e.map_overlap(kernel(1), &halo(&shape, n)),
        14 if ndim > 0 => e.fold_axis(kernel(1), axis),
        15 if ndim > 0 && shape[axis] > 0 => {
            e.take(axis, &(0..n).map(|i| i * i * 7 % shape[axis]).collect::<Vec<_>>())
        }
        _ => e.unary(UnaryOp::Exp),
    };
    next.expect("a valid step")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn both_directions_agree(
        rows in 0usize..14, cols in 1usize..14, ch in 1isize..7, cw in 1isize..7,
        stored in 0usize..4, steps in prop::collection::vec((0u8..17, 0usize..20), 0..6),
    ) {
        let mut e = match stored {
            0 => literal(&[rows, cols], &[ch, cw], 1),
            1 => read(&[rows, cols], &[ch, cw], Stored::Rows),
            2 => read(&[rows, cols], &[ch, cw], Stored::Columns),
            _ => read(&[rows, cols], &[ch, cw], Stored::Boxes(vec![2, 3])),
        };
        for (which, n) in steps {
            if e.len() < 400 {
                e = step(&e, which, n);
            }
        }
        let program = Program::new(&[e.clone(), e]);
        let plan = Lowered::of(&program).expect("a plan").plan;
        check_both_directions(&plan);
        check_needs(&plan);
    }

    #[test]
    fn corners_need_what_they_depend_on(
        rows in 1usize..20, cols in 1usize..20, ch in 1isize..6, cw in 1isize..6,
        steps in prop::collection::vec((0u8..16, 0usize..20), 0..6),
        corners in prop::collection::vec((0usize..3, 0usize..3), 1..4),
    ) {
        let mut e = literal(&[rows, cols], &[ch, cw], 1);
        for (which, n) in steps {
            if e.len() < 800 {
                e = step(&e, which, n);
            }
        }
        let corner = |(i, j): (usize, usize)| {
            let near = |len: usize, at: usize| {
                let start = at * len.saturating_sub(1) / 2;
                SliceArg::Range { start: start as isize, end: Some((start + 1).min(len) as isize), step: 1 }
            };
            let part = e.shape().into_iter().enumerate().map(|(a, len)| near(len, if a % 2 == 0 { i } else { j }));
            e.slice(&part.collect::<Vec<_>>()).expect("a valid slice")
        };
        let plan = plan(&corners.into_iter().map(corner).collect::<Vec<_>>());
        check_needs(&plan);
    }
}
