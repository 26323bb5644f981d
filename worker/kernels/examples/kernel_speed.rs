//! How fast the kernels are beside a plain read of the same memory: 4 chunks of 2000 x 2000 `f64` on 2 threads.
//!
//! `cargo run --release -p tilework-kernels --example kernel_speed [part of a name]`

use rayon::prelude::*;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use tilework_expr::{
    AxisChunks, BinaryOp, Chunks, Complex, DType, Dist, Expr, Fold, Lowered, Program, Scalar, SliceArg,
    UnaryOp,
};
use tilework_kernels::{Chunk, Feed, execute, here};
use tilework_plan::{ChunkIdx, Origin, StageIdx};

const SIDE: usize = 2000;
const CHUNKS: usize = 4;

/// Seconds that the threads of this process have run, all together: unlike the clock it does not count the time in
/// which other processes had the processors.
fn busy() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let ns = |t: std::fs::DirEntry| -> Option<f64> {
        std::fs::read_to_string(t.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(ns).sum::<f64>() / 1e9
}

/// Runs every stage after the sources, chunks in parallel, and times it.
fn run(name: &str, expr: &Expr, bytes: f64, flops: f64) {
    if std::env::args().nth(1).is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let lowered = Lowered::of(&Program::new(std::slice::from_ref(expr))).expect("a program");
    let plan = &*lowered.plan;
    let mut made: Vec<Vec<Chunk>> = Vec::new();
    let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        made.clear();
        let (mut spent, mut worked) = (0.0, 0.0);
        for (i, s) in plan.stages.iter().enumerate() {
            let stage = StageIdx(i as u32);
            let tasks = 0..plan.n_tasks(stage);
            if let Origin::Client { id } = s.origin {
                let made_of = (id, lowered.dtype(stage));
                made.push(tasks.map(|c| literal_chunk(made_of, c, &s.grid.region(ChunkIdx(c)))).collect());
                continue;
            }
            let (start, before) = (Instant::now(), busy());
            let chunks = tasks.into_par_iter().map(|c| task(&lowered, stage, ChunkIdx(c), &made)).collect();
            spent += start.elapsed().as_secs_f64();
            worked += busy() - before;
            made.push(chunks);
        }
        best = best.min(spent);
        least = least.min(worked);
    }
    let rate =
        if flops > 0.0 { format!("{:7.2} GF/s a busy thread", flops / least / 1e9) } else { String::new() };
    let rates = format!("{:8.2} ms {:7.2} GB/s", best * 1e3, bytes / best / 1e9);
    println!(
        "{name:34} {rates}   busy {:8.2} ms {:6.2} GB/s a thread {rate}",
        least * 1e3,
        bytes / least / 1e9
    );
}

fn task(lowered: &Lowered, stage: StageIdx, chunk: ChunkIdx, made: &[Vec<Chunk>]) -> Chunk {
    let mut inputs = Vec::new();
    let plan = &lowered.plan;
    plan.inputs_of(stage, chunk, &mut inputs);
    let feed = |(slot, from, idx): (usize, StageIdx, ChunkIdx)| Feed {
        slot,
        chunk_idx: idx,
        region: plan.out_region(from, idx),
        chunk: made[from.0 as usize][idx.0 as usize].clone(),
    };
    let feeds: Vec<Feed> = inputs.into_iter().map(feed).collect();
    execute(lowered, stage, chunk, &feeds, &AtomicBool::new(false)).expect("a task")
}

/// Chunks of literals are made once and kept.
fn literal_chunk((id, dtype): (u64, DType), chunk: u64, region: &[std::ops::Range<usize>]) -> Chunk {
    static MADE: std::sync::Mutex<Vec<((u64, u64), Chunk)>> = std::sync::Mutex::new(Vec::new());
    let mut made = MADE.lock().expect("no one panicked");
    if let Some((_, c)) = made.iter().find(|(k, _)| *k == (id, chunk)) {
        return c.clone();
    }
    let shape: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
    let n: usize = shape.iter().product();
    let bytes: Vec<u8> =
        (0..n).into_par_iter().flat_map_iter(|i| bytes_of(dtype, (i * 7919 + id as usize) % 1999)).collect();
    let c = Chunk::from_bytes(&[dtype], &shape, &bytes).expect("a chunk");
    made.push(((id, chunk), c.clone()));
    c
}

/// One of 1999 elements: floats in -1..1, integers as large as they may be.
fn bytes_of(dtype: DType, n: usize) -> Vec<u8> {
    let float = n as f64 / 999.0 - 1.0;
    match dtype {
        DType::F64 => float.to_le_bytes().to_vec(),
        DType::F32 => (float as f32).to_le_bytes().to_vec(),
        _ => (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..dtype.size()].to_vec(),
    }
}

/// Nanoseconds of processor time that a call takes.
fn nanoseconds<R>(mut f: impl FnMut() -> R) -> f64 {
    let (mut best, mut n) = (f64::INFINITY, 1);
    for _ in 0..7 {
        let spent = loop {
            let before = busy();
            (0..n).for_each(|_| drop(black_box(f())));
            let spent = busy() - before;
            if spent > 5e-3 {
                break spent;
            }
            n *= 2;
        };
        best = best.min(spent / f64::from(n) * 1e9);
    }
    best
}

/// Reductions without a task, beside ndarray's.
fn at_once() {
    if std::env::args().nth(1).is_some_and(|only| !"at once".contains(&only)) {
        return;
    }
    let var = Fold::Var { ddof: 0.0 };
    println!("{:34} {:>12} {:>12}", "at once, ns a call", "here", "ndarray");
    let show = |name: String, ours: f64, theirs: f64| println!("{name:34} {ours:12.1} {theirs:12.1}");
    for n in [3usize, 100, 1000, 100_000] {
        let a: ndarray::Array1<f64> = (0..n).map(|i| (i % 7) as f64).collect();
        let b = a.mapv(|x| x as f32);
        let (x, y) = (a.as_slice().expect("one line"), b.as_slice().expect("one line"));
        let sum = nanoseconds(|| here::whole(Fold::Sum, black_box(x), &[n]));
        show(format!("sum of {n} f64"), sum, nanoseconds(|| black_box(&a).sum()));
        let sum = nanoseconds(|| here::whole(Fold::Sum, black_box(y), &[n]));
        show(format!("sum of {n} f32"), sum, nanoseconds(|| black_box(&b).sum()));
        let of = nanoseconds(|| here::whole(var, black_box(x), &[n]));
        show(format!("variance of {n} f64"), of, nanoseconds(|| black_box(&a).var(0.0)));
    }
    for (rows, cols) in [(3, 3), (1000, 3), (3, 1000), (300, 300)] {
        let a = ndarray::Array2::from_shape_fn((rows, cols), |(i, j)| ((i + j) % 7) as f64);
        let x = a.as_slice().expect("row-major");
        for (axis, lens) in [(0, (1, rows, cols)), (1, (rows, cols, 1))] {
            let at = ndarray::Axis(axis);
            let sum = nanoseconds(|| here::lanes(Fold::Sum, black_box(x), lens));
            let theirs = nanoseconds(|| black_box(&a).sum_axis(at));
            show(format!("sum of {rows} x {cols} f64 axis {axis}"), sum, theirs);
            let of = nanoseconds(|| here::lanes(var, black_box(x), lens));
            let theirs = nanoseconds(|| black_box(&a).var_axis(at, 0.0));
            show(format!("variance of {rows} x {cols} f64 axis {axis}"), of, theirs);
        }
    }
}

fn plain_read(bytes: f64) {
    let data: Vec<f64> = (0..CHUNKS * SIDE * SIDE).map(|i| i as f64).collect();
    let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        let (start, before) = (Instant::now(), busy());
        let total: u64 = data.par_chunks(SIDE * SIDE / 4).map(xor).reduce(|| 0, |a, b| a ^ b);
        black_box(total);
        best = best.min(start.elapsed().as_secs_f64());
        least = least.min(busy() - before);
    }
    let rates = format!("{:8.2} ms {:7.2} GB/s", best * 1e3, bytes / best / 1e9);
    let name = "plain read (xor of all words)";
    println!("{name:34} {rates}   busy {:8.2} ms {:6.2} GB/s a thread", least * 1e3, bytes / least / 1e9);
}

fn xor(part: &[f64]) -> u64 {
    let mut lanes = [0u64; 32];
    for group in part.as_chunks::<32>().0 {
        for l in 0..32 {
            lanes[l] ^= group[l].to_bits();
        }
    }
    lanes.into_iter().fold(0, |a, b| a ^ b)
}

fn source(id: u64, shape: &[usize], cut: &[usize]) -> Expr {
    source_of(DType::F64, id, shape, cut)
}

fn source_of(dtype: DType, id: u64, shape: &[usize], cut: &[usize]) -> Expr {
    let cut = Chunks::Axes(cut.iter().map(|&c| AxisChunks::Len(c as isize)).collect());
    Expr::literal(shape, &cut, dtype, id, Arc::new(())).expect("a literal")
}

/// Folds of elements whose states are of another type.
fn other_dtypes() {
    let (shape, cut) = ([CHUNKS * SIDE, SIDE], [SIDE, SIDE]);
    for (id, dtype) in [(7, DType::F32), (8, DType::I32), (9, DType::U8), (10, DType::I64)] {
        let (x, bytes) = (source_of(dtype, id, &shape, &cut), (shape[0] * shape[1] * dtype.size()) as f64);
        for fold in [Fold::Sum, Fold::Mean, Fold::Std { ddof: 0.0 }] {
            let Ok(all) = x.reduce_all(fold) else { continue };
            let name = format!("{dtype} {}", format!("{fold:?}").split(' ').next().unwrap_or_default());
            run(&name, &all, bytes, 0.0);
            run(&format!("{name} axis 0"), &x.reduce(fold, &[0]).expect("a fold"), bytes, 0.0);
            run(&format!("{name} axis 1"), &x.reduce(fold, &[1]).expect("a fold"), bytes, 0.0);
        }
    }
}

/// Means and deviations of what is no NaN, beside a sum and a count that each read the array.
fn without_nan() {
    let shape = [CHUNKS * SIDE, SIDE];
    let (x, bytes) = (source(11, &shape, &[SIDE, SIDE]), (shape[0] * shape[1] * 8) as f64);
    for axes in [&[0][..], &[1], &[0, 1]] {
        let missing = x.unary(UnaryOp::IsNan).expect("floats");
        let sum = missing.select(&full(&x, 0.0), &x).and_then(|x| x.reduce(Fold::Sum, axes)).expect("a sum");
        let count = missing.unary(UnaryOp::Not).and_then(|x| x.cast(DType::U64)?.reduce(Fold::Sum, axes));
        let count = count.and_then(|n| n.cast(DType::F64)).expect("a count");
        run(&format!("sum and count of numbers {axes:?}"), &op(BinaryOp::Div, &sum, &count), bytes, 0.0);
        for (name, fold) in [("nanmean", Fold::NanMean), ("nanstd", Fold::NanStd { ddof: 0.0 })] {
            run(&format!("{name} {axes:?}"), &x.reduce(fold, axes).expect("a fold"), bytes, 0.0);
        }
    }
}

fn full(like: &Expr, value: f64) -> Expr {
    let lens = like.grid().axes().iter().map(|a| AxisChunks::Lens(a.chunk_lens())).collect();
    Expr::full(&like.shape(), &Chunks::Axes(lens), Scalar::new(value)).expect("a value")
}

fn op(op: BinaryOp, a: &Expr, b: &Expr) -> Expr {
    a.binary(op, b).expect("two operands")
}

fn main() {
    let mut freed = tilework_kernels::FreedShare::default();
    freed.set(1 << 30);
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().expect("one pool");
    let tall = (SIDE * CHUNKS * SIDE * 8) as f64;
    plain_read(tall);
    at_once();
    let x = source(1, &[CHUNKS * SIDE, SIDE], &[SIDE, SIDE]);
    let y = source(2, &[CHUNKS * SIDE, SIDE], &[SIDE, SIDE]);
    let sum = |e: &Expr| e.reduce_all(Fold::Sum).expect("a sum");
    run("sum", &sum(&x), tall, 0.0);
    run("sum axis 0", &x.reduce(Fold::Sum, &[0]).expect("a sum"), tall, 0.0);
    run("sum axis 1", &x.reduce(Fold::Sum, &[1]).expect("a sum"), tall, 0.0);
    run("max", &x.reduce_all(Fold::Max).expect("a maximum"), tall, 0.0);
    run("argmin axis 0", &x.reduce(Fold::ArgMin, &[0]).expect("a position"), tall, 0.0);
    let axpy = op(BinaryOp::Add, &op(BinaryOp::Mul, &x, &full(&x, 2.5)), &y);
    run("2.5 * x + y", &axpy, 3.0 * tall, 0.0);
    run("(2.5 * x + y).sum()", &sum(&axpy), 2.0 * tall, 0.0);
    let sin = x.unary(UnaryOp::Sin).expect("a function");
    let yy = op(BinaryOp::Mul, &y, &y);
    let fused = op(BinaryOp::Add, &op(BinaryOp::Mul, &sin, &full(&x, 2.0)), &yy);
    let fused = op(BinaryOp::Sub, &fused, &op(BinaryOp::Mul, &x, &full(&x, 0.5)));
    run("(sin(x)*2 + y*y - 0.5*x).sum()", &sum(&fused), 2.0 * tall, 0.0);
    for u in [UnaryOp::Exp, UnaryOp::Ln, UnaryOp::Cos, UnaryOp::Tanh] {
        run(&format!("{u:?}(x).sum()"), &sum(&x.unary(u).expect("a function")), tall, 0.0);
    }
    run("std axis 0", &x.reduce(Fold::Std { ddof: 0.0 }, &[0]).expect("a deviation"), tall, 0.0);
    run("std axis 1", &x.reduce(Fold::Std { ddof: 0.0 }, &[1]).expect("a deviation"), tall, 0.0);
    let sq = source(3, &[2 * SIDE, 2 * SIDE], &[SIDE, SIDE]);
    let both = op(BinaryOp::Add, &sq, &sq.reversed_axes().expect("a transpose"));
    run("(x + x.T).mean(axis 0)", &both.reduce(Fold::Mean, &[0]).expect("a mean"), 2.0 * tall, 0.0);
    run("x + x.T", &both, 3.0 * tall, 0.0);
    let range = |start, end, step| SliceArg::Range { start, end, step };
    let sliced = sq.slice(&[range(0, None, 3), range(100, Some(-100), 2)]).expect("a slice");
    run("x[::3, 100:-100:2].sum()", &sum(&sliced), tall / 3.0, 0.0);
    let (a, b) = (source(5, &[SIDE, SIDE], &[SIDE, SIDE]), source(6, &[SIDE, SIDE], &[SIDE, SIDE]));
    let cube = 2.0 * (SIDE as f64).powi(3);
    other_dtypes();
    without_nan();
    let z = x.cast(DType::C64).expect("a cast");
    let one = Expr::full(&[], &Chunks::Auto, Scalar::new(Complex::new(1.5, 0.5))).expect("a value");
    let quotient = op(BinaryOp::Div, &one, &z.binary(BinaryOp::Add, &one).expect("a sum"));
    run("(c / (x + c)).sum(), complex", &sum(&quotient), tall, 0.0);
    run("matrix product 2000^3", &a.dot(&b).expect("a product"), 3.0 * tall / 4.0, cube);
    run(
        "matrix product 2000^3, a.T",
        &a.reversed_axes().expect("a transpose").dot(&b).expect("a product"),
        3.0 * tall / 4.0,
        cube,
    );
    let cut = Chunks::Every(AxisChunks::Len(SIDE as isize));
    let random = |d| Expr::random(&[CHUNKS * SIDE, SIDE], &cut, DType::F64, 1, d).expect("random");
    run("uniform", &random(Dist::Uniform { low: 0.0, high: 1.0 }), tall, 0.0);
    run("normal", &random(Dist::Normal { mean: 0.0, std: 1.0 }), tall, 0.0);
}
