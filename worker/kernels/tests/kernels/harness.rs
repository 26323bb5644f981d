//! Runs whole programs through `execute`, one task after another.

use ndarray::{ArrayD, IxDyn};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tilework_expr::{Chunks, DType, Element, Expr, Lowered, Op, Program};
use tilework_kernels::{Buffer, Chunk, Feed, KernelError, Plane, execute};
use tilework_plan::{ChunkIdx, Origin, Plan, Region, StageIdx, region_shape};

/// How chunks lie in memory when tasks read them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lay {
    /// Row-major, each in its own buffer.
    Rows,
    /// Literals as slices of one array; other chunks as their tasks made them.
    Shared,
    /// Column-major with every axis reversed and stretched.
    Odd,
    /// Only the part that the task reads, as if fetched.
    Parts,
}

pub const LAYS: [Lay; 4] = [Lay::Rows, Lay::Shared, Lay::Odd, Lay::Parts];

pub static POOLS: LazyLock<Vec<ThreadPool>> =
    LazyLock::new(|| [1, 2, 5].map(|n| ThreadPoolBuilder::new().num_threads(n).build().unwrap()).into());

/// An array as a plane in row-major order.
pub fn plane_of<A: Element>(array: &ArrayD<A>) -> Plane {
    let bytes: Vec<u8> =
        array.iter().flat_map(|x| x.to_bits().to_le_bytes()[..A::DTYPE.size()].to_vec()).collect();
    Chunk::from_bytes(&[A::DTYPE], array.shape(), &bytes).unwrap().planes.remove(0)
}

/// An array as an expression in these chunks.
pub fn literal<A: Element>(array: &ArrayD<A>, chunks: &Chunks) -> Expr {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    Expr::literal(array.shape(), chunks, A::DTYPE, id, Arc::new(plane_of(array))).unwrap()
}

pub fn array_of<A: Element>(plane: &Plane) -> ArrayD<A> {
    let plane = plane.to_contiguous();
    ArrayD::from_shape_vec(IxDyn(plane.shape()), plane.as_slice::<A>().unwrap().to_vec()).unwrap()
}

fn odd(plane: &Plane) -> Plane {
    // Every axis gets twice its room, the first axis is the fastest, all run backwards.
    let size = plane.dtype().size();
    let (mut strides, mut step) = (Vec::new(), 2isize);
    for &l in plane.shape() {
        strides.push(-step);
        step *= 2 * l.max(1) as isize;
    }
    let mut buffer = Buffer::zeroed(step as usize * size);
    let first: isize = strides.iter().zip(plane.shape()).map(|(s, &l)| -s * (l.max(1) as isize - 1)).sum();
    let dense = plane.to_contiguous();
    let bytes = dense.contiguous_bytes().unwrap();
    for i in 0..plane.len() {
        let (mut rest, mut at) = (i, first);
        for (s, &l) in strides.iter().zip(plane.shape()).rev() {
            at += s * (rest % l) as isize;
            rest /= l;
        }
        let at = at as usize * size;
        buffer.as_mut_slice()[at..at + size].copy_from_slice(&bytes[i * size..(i + 1) * size]);
    }
    let buffer = Arc::new(buffer.freeze());
    Plane::new(plane.dtype(), plane.shape().to_vec(), strides, buffer, first as usize * size).unwrap()
}

fn relaid(chunk: &Chunk, lay: Lay) -> Chunk {
    let planes = chunk.planes.iter();
    Chunk {
        planes: match lay {
            Lay::Rows | Lay::Parts => planes.map(Plane::to_contiguous).collect(),
            Lay::Shared => planes.cloned().collect(),
            Lay::Odd => planes.map(odd).collect(),
        },
    }
}

/// The feeds of a task.
fn feeds(
    plan: &Plan,
    stage: StageIdx,
    chunk: ChunkIdx,
    made: &HashMap<(StageIdx, ChunkIdx), Chunk>,
    lay: Lay,
) -> Vec<Feed> {
    let mut inputs = Vec::new();
    plan.inputs_of(stage, chunk, &mut inputs);
    let feed = |(slot, from, idx): (usize, StageIdx, ChunkIdx)| {
        let region = plan.out_region(from, idx);
        let chunk_of = &made[&(from, idx)];
        let read = plan.read_box((stage, chunk), slot, (from, idx));
        if let Some(part) = read.filter(|_| lay == Lay::Parts) {
            let within: Region =
                part.iter().zip(&region).map(|(p, r)| p.start - r.start..p.end - r.start).collect();
            let chunk = relaid(&chunk_of.slice(&within), lay);
            return Feed { slot, chunk_idx: idx, region: part, chunk };
        }
        Feed { slot, chunk_idx: idx, region, chunk: relaid(chunk_of, lay) }
    };
    inputs.into_iter().map(feed).collect()
}

/// Computes an expression.
pub fn run(expr: &Expr, lay: Lay, pool: &ThreadPool) -> Result<Plane, KernelError> {
    let mut sources: HashMap<u64, Plane> = HashMap::new();
    Expr::visit(std::slice::from_ref(expr), |e| {
        if let (Op::Literal { id }, Some(data)) = (e.op(), e.attachment()) {
            sources.insert(*id, data.downcast_ref::<Plane>().unwrap().clone());
        }
    });
    let lowered = Lowered::of(&Program::new(std::slice::from_ref(expr))).unwrap();
    let plan = &*lowered.plan;
    let mut made: HashMap<(StageIdx, ChunkIdx), Chunk> = HashMap::new();
    let stop = AtomicBool::new(false);
    for (i, (s, work)) in plan.stages.iter().zip(&lowered.works).enumerate() {
        let stage = StageIdx(i as u32);
        for c in 0..plan.n_tasks(stage) {
            let idx = ChunkIdx(c);
            let chunk = match &s.origin {
                Origin::Client { id } => Chunk { planes: vec![sources[id].slice(&s.grid.region(idx))] },
                _ => {
                    let feeds = feeds(plan, stage, idx, &made, lay);
                    pool.install(|| execute(&lowered, stage, idx, &feeds, &stop))?
                }
            };
            let shape = region_shape(&plan.out_region(stage, idx));
            assert_eq!(chunk.planes.len(), work.planes.len(), "{}", s.name);
            for (plane, &d) in chunk.planes.iter().zip(&work.planes) {
                assert_eq!((plane.shape(), plane.dtype()), (shape.as_slice(), d), "{}", s.name);
            }
            assert_eq!(chunk.bytes() as u64, plan.out_bytes(stage, idx));
            made.insert((stage, idx), chunk);
        }
    }
    Ok(assemble(&lowered, plan.outputs[0], &made))
}

/// All chunks of a stage as one plane.
fn assemble(lowered: &Lowered, stage: StageIdx, made: &HashMap<(StageIdx, ChunkIdx), Chunk>) -> Plane {
    let grid = &lowered.plan.stage(stage).out_grid;
    let (shape, d) = (grid.shape(), lowered.dtype(stage));
    let mut bytes = vec![0u8; shape.iter().product::<usize>() * d.size()];
    for c in 0..grid.n_chunks() {
        let region = grid.region(ChunkIdx(c));
        let plane = made[&(stage, ChunkIdx(c))].planes[0].to_contiguous();
        let (src, lens) = (plane.contiguous_bytes().unwrap(), region_shape(&region));
        for i in 0..plane.len() {
            let (mut rest, mut at, mut step) = (i, 0, 1);
            for a in (0..lens.len()).rev() {
                at += (rest % lens[a] + region[a].start) * step;
                rest /= lens[a];
                step *= shape[a];
            }
            bytes[at * d.size()..][..d.size()].copy_from_slice(&src[i * d.size()..][..d.size()]);
        }
    }
    Chunk::from_bytes(&[d], &shape, &bytes).unwrap().planes.remove(0)
}

/// The value of an expression, which must be the same in every layout and under every pool.
pub fn value<A: Element>(expr: &Expr) -> ArrayD<A> {
    assert_eq!(expr.dtype(), A::DTYPE);
    let first = run(expr, Lay::Rows, &POOLS[0]).unwrap();
    for lay in LAYS {
        for pool in POOLS.iter() {
            let again = run(expr, lay, pool).unwrap();
            let n = pool.current_num_threads();
            let same = again.contiguous_bytes() == first.contiguous_bytes();
            assert!(same, "other bits with {lay:?} under {n} threads: {expr:?}");
        }
    }
    array_of(&first)
}

/// Whether an expression has exactly this value (NaN equals NaN).
pub fn check<A: Element>(expr: &Expr, expected: &ArrayD<A>) {
    let got = value::<A>(expr);
    assert_eq!(got.shape(), expected.shape(), "{expr:?}");
    for ((at, x), y) in got.indexed_iter().zip(expected) {
        #[allow(clippy::eq_op, reason = "NaN differs from itself")]
        let equal = x == y || (x != x && y != y);
        assert!(equal, "{expr:?} at {at:?}: got {x:?}, expected {y:?}");
    }
}

/// Whether an expression of floats has this value up to a relative error.
pub fn check_near(expr: &Expr, expected: &ArrayD<f64>, relative: f64) {
    let got: ArrayD<f64> = match expr.dtype() {
        DType::F32 => value::<f32>(expr).mapv(f64::from),
        _ => value::<f64>(expr),
    };
    assert_eq!(got.shape(), expected.shape(), "{expr:?}");
    for ((at, &x), &y) in got.indexed_iter().zip(expected) {
        let near = (x - y).abs() <= relative * y.abs().max(1e-300) || x == y || (x.is_nan() && y.is_nan());
        assert!(near, "{expr:?} at {at:?}: got {x:e}, expected {y:e}");
    }
}

/// Numbers that look random, from a seed.
pub fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// An array of small integers of any type.
pub fn digits<A: Element>(shape: &[usize], seed: u64) -> ArrayD<A> {
    let mut next = noise(seed);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        let x = (next() >> 33) % 19;
        tilework_expr::with_dtype!(A::DTYPE, T => A::from_bits(small::<T>(x)))
    })
}

fn small<T: Element>(x: u64) -> u128 {
    match T::DTYPE {
        DType::Bool => u128::from(x & 1),
        DType::F32 => u128::from((x as f32 - 7.0).to_bits()),
        DType::F64 => u128::from((x as f64 - 7.0).to_bits()),
        DType::C32 => u128::from((x as f32).to_bits()) | u128::from((3.0 - x as f32).to_bits()) << 32,
        DType::C64 => u128::from((x as f64).to_bits()) | u128::from((3.0 - x as f64).to_bits()) << 64,
        d if d.size() == 1 || !matches!(d, DType::I16 | DType::I32 | DType::I64) => u128::from(x),
        d => T::from_bits((x as i128 - 7) as u128 & ((1 << (8 * d.size())) - 1)).to_bits(),
    }
}

/// An array of floats in -1..1.
pub fn floats(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut next = noise(seed);
    ArrayD::from_shape_simple_fn(IxDyn(shape), || (next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
}
