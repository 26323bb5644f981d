//! Programs of a hundred thousand nodes that share in every way: each is checked, planned, described and dropped, which
//! would not end were time to grow with the ways through a graph, and overflow the stack were a function to call itself
//! for each node of a chain. What the plans are made of is bounded by the nodes.

use super::{halo_of, kernel, literal, plan};
use std::sync::Arc;
use tilework_expr::{
    BinaryOp, Calls, Chunks, DType, Dist, EDGES_MAX, Expr, ExprError, Fold, Kernel, Lowered, NODES_MAX,
    Program, Scalar, SliceArg, StageKind, UnaryOp,
};
use tilework_plan::{ChunkIdx, Plan, StageIdx};

/// Nodes of the largest program of each kind, about.
const N: usize = 100_000;
/// Nodes of others of the kind.
const SOME: usize = 12_000;

fn line(id: u64) -> Expr {
    literal(&[8], &[4], id)
}

fn add(a: &Expr, b: &Expr) -> Expr {
    a.binary(BinaryOp::Add, b).unwrap()
}

fn mul(a: &Expr, b: &Expr) -> Expr {
    a.binary(BinaryOp::Mul, b).unwrap()
}

fn neg(a: &Expr) -> Expr {
    a.unary(UnaryOp::Neg).unwrap()
}

fn sum(a: &Expr) -> Expr {
    a.reduce_all(Fold::Sum).unwrap()
}

fn flip(a: &Expr) -> Expr {
    a.slice(&vec![SliceArg::Range { start: 0, end: None, step: -1 }; a.ndim()]).unwrap()
}

/// `n` steps from `start`.
fn repeat<T>(start: T, n: usize, step: impl Fn(T) -> T) -> T {
    (0..n).fold(start, |at, _| step(at))
}

/// Values of all fused programs together, and the most of one.
fn values(lowered: &Lowered) -> (usize, usize) {
    let of = |kind: &StageKind| match kind {
        StageKind::Map(p) | StageKind::Reduce { program: p, .. } => p.values.len(),
        _ => 0,
    };
    let each = || lowered.works.iter().map(|work| of(&work.kind));
    (each().sum(), each().max().unwrap_or(0))
}

/// Does to a program what is done to every one, and returns its plan and how many nodes it has.
fn planned(outputs: Vec<Expr>) -> (Arc<Plan>, usize) {
    let program = Program::new(&outputs);
    drop(outputs);
    program.check().unwrap();
    let n_nodes = program.nodes.len();
    assert!(n_nodes > SOME / 2, "{n_nodes} nodes");
    let lowered = Lowered::of(&program).unwrap();
    let plan = lowered.plan.clone();
    let words: usize = (0..plan.stages.len() as u32).map(|s| lowered.describe(StageIdx(s)).len()).sum();
    assert!(words < 200 * plan.stages.len());
    let needs = plan.needs();
    assert!(plan.outputs.iter().all(|o| needs[o.0 as usize].is_all()));
    let (all, most) = values(&lowered);
    assert!(all <= 4 * n_nodes && most <= 1300, "{n_nodes} nodes: {all} values, {most} in one program");
    (plan, n_nodes)
}

/// Stages that compute something.
fn n_computing(plan: &Plan) -> usize {
    plan.stages.iter().filter(|s| !s.inputs.is_empty()).count()
}

#[test]
fn chains() {
    let (plan, _) = planned(vec![repeat(line(1), N, |e| neg(&e))]);
    assert!((240..=260).contains(&n_computing(&plan)), "{}", n_computing(&plan));
    // Views and new chunkings of one another are one view.
    let turned = repeat(literal(&[8, 6], &[4, 3], 1), SOME, |e| e.reversed_axes().unwrap());
    let (plan, _) = planned(vec![turned.clone(), sum(&turned)]);
    assert_eq!(n_computing(&plan), 3);
    let cut = repeat(line(1), SOME / 2, |e| e.rechunk(&3.into()).unwrap().rechunk(&4.into()).unwrap());
    let (plan, _) = planned(vec![sum(&cut), cut]);
    assert_eq!(n_computing(&plan), 3);
    let (plan, _) = planned(vec![repeat(line(1), SOME / 2, |e| flip(&neg(&e)))]);
    assert!(n_computing(&plan) < 40);
}

#[test]
fn the_end_of_a_long_chain_of_views_has_many_readers() {
    let turned = repeat(literal(&[4, 4], &[2, 2], 1), N / 4, |e| e.reversed_axes().unwrap());
    let parts: Vec<Expr> = (0..N / 4)
        .map(|i| mul(&turned, &Expr::full(&[], &Chunks::Auto, Scalar::new(i as f64)).unwrap()))
        .collect();
    let (plan, _) = planned(vec![Expr::concatenate(0, &parts).unwrap()]);
    // The parts, and their chunks brought together.
    assert_eq!(n_computing(&plan), N / 4 + 2);
}

fn calls(args: Vec<(u32, u64)>, arg_ends: Vec<u64>, inputs: &[Expr]) -> Expr {
    let kernel = Arc::new(Kernel { params: vec![], output: DType::U8, ..kernel(0) });
    let ends: Arc<[u64]> = vec![0; arg_ends.len()].into();
    let calls = Calls {
        kernel,
        line: None,
        terms: None,
        params: [].into(),
        ends,
        args: args.into(),
        arg_ends: arg_ends.into(),
        gives: 0,
        takes: false,
    };
    Expr::calls(calls, inputs).unwrap()
}

/// Calls each of which takes a block of every value of some others.
fn takers(n: usize, gives: u32, inputs: &[Expr]) -> Result<Expr, ExprError> {
    let kernel = Arc::new(Kernel { params: vec![], output: DType::U8, ..kernel(0) });
    let (ends, arg_ends) = (vec![0; n].into(), vec![0; n].into());
    let (params, args) = ([].into(), [].into());
    let (line, terms) = (None, None);
    let takes = !inputs.is_empty();
    Expr::calls(Calls { kernel, line, terms, params, ends, args, arg_ends, gives, takes }, inputs)
}

#[test]
fn calls_that_take_a_block_of_each_value() {
    let values = takers(N, SOME as u32, &[]).unwrap();
    let again = takers(SOME, 3, &[values.clone(), values.clone()]).unwrap();
    let program = Program::new(&[takers(3, 0, std::slice::from_ref(&again)).unwrap()]);
    program.check().unwrap();
    let plan = Lowered::of(&program).unwrap().plan;
    // Each batch, and between two of them one barrier, whoever reads it.
    let n_tasks: Vec<u64> = (0..5).map(|s| plan.n_tasks(StageIdx(s))).collect();
    assert_eq!(n_tasks, [N as u64, 1, SOME as u64, 1, 3]);
    assert_eq!(plan.stage(StageIdx(2)).inputs.len(), 2);
    let (mut read, mut fed) = (Vec::new(), Vec::new());
    plan.inputs_of(StageIdx(2), ChunkIdx(7), &mut read);
    plan.feeds_of(StageIdx(2), ChunkIdx(7), &mut fed);
    assert_eq!((read.len(), fed.len()), (2, 2 * N));
    // What does not fit is refused.
    let why = |made: Result<Expr, ExprError>| made.unwrap_err().to_string();
    let plain = calls(vec![], vec![0; 3], &[]);
    assert!(why(takers(3, 0, &[plain])).contains("values of 0 blocks, expected 3"));
    assert!(why(takers(4, 0, std::slice::from_ref(&again))).contains("values of 3 blocks, expected 4"));
    assert!(Program::new(&[again]).check().unwrap_err().to_string().contains("read by calls alone"));
}

#[test]
fn chains_of_calls() {
    let first = calls(vec![], vec![0], &[]);
    let (plan, _) = planned(vec![repeat(first, N, |e| calls(vec![(0, 0)], vec![1], &[e]))]);
    assert_eq!(n_computing(&plan), N);
    // One call that reads as many inputs, and as many calls of one that reads one value each.
    let ones: Vec<Expr> = (0..N as u64).map(|_| calls(vec![], vec![0], &[])).collect();
    let all = calls((0..N as u32).map(|i| (i, 0)).collect(), vec![N as u64], &ones);
    let (plan, _) = planned(vec![all]);
    let mut read = Vec::new();
    plan.inputs_of(StageIdx(N as u32), ChunkIdx(0), &mut read);
    assert_eq!(read.len(), N);
    let many = calls(vec![], vec![0; N], &[]);
    let of_each = (0..SOME as u64).map(|i| calls(vec![(0, i)], vec![1], std::slice::from_ref(&many)));
    let (plan, _) = planned(of_each.collect());
    assert_eq!(n_computing(&plan), SOME);
}

#[test]
fn ladders() {
    let fibonacci = |n: usize| repeat((line(1), line(2)), n, |(a, b)| (b.clone(), add(&a, &b)));
    let (plan, _) = planned(vec![fibonacci(N).0]);
    assert!(n_computing(&plan) < N / 200, "{}", n_computing(&plan));
    // The last one is made once, not for each that reads it.
    let last = fibonacci(SOME).0;
    let (plan, _) = planned(vec![sum(&last), last.reduce_all(Fold::Max).unwrap()]);
    assert!(n_computing(&plan) < SOME / 200, "{}", n_computing(&plan));
    let (a, b) = fibonacci(N);
    let (plan, _) = planned(vec![a, b]);
    assert!(n_computing(&plan) < N / 200, "{}", n_computing(&plan));
    // Three variables that each depend on all.
    let coupled = repeat([line(1), line(2), line(3)], SOME / 6, |v| {
        std::array::from_fn(|i| add(&v[i], &mul(&v[(i + 1) % 3], &v[(i + 2) % 3])))
    });
    let (plan, _) = planned(coupled.to_vec());
    assert!(n_computing(&plan) < SOME / 50, "{}", n_computing(&plan));
    let doubled = repeat(line(1), SOME, |e| add(&e, &e));
    let (plan, _) = planned(vec![sum(&doubled), doubled.reduce_all(Fold::Max).unwrap()]);
    assert!(n_computing(&plan) < SOME / 200, "{}", n_computing(&plan));
}

#[test]
fn ladders_of_views() {
    let x = literal(&[8, 8], &[4, 4], 1);
    let (plan, _) = planned(vec![repeat(x.clone(), N / 3, |e| add(&e, &e.reversed_axes().unwrap()))]);
    assert!(n_computing(&plan) <= N / 3);
    let (plan, _) =
        planned(vec![repeat(x.clone(), SOME / 3, |e| add(&flip(&e), &e.rechunk(&3.into()).unwrap()))]);
    assert!(n_computing(&plan) <= SOME / 3);
    // A slice of each, read by two.
    let first =
        |e: &Expr| e.slice(&[SliceArg::At(0), SliceArg::Range { start: 0, end: None, step: 1 }]).unwrap();
    let (plan, _) = planned(vec![repeat(x, SOME / 4, |e| {
        let row = first(&e);
        mul(&add(&e, &row), &row)
    })]);
    assert!(n_computing(&plan) <= SOME / 2, "{}", n_computing(&plan));
}

#[test]
fn diamonds() {
    let diamond = |e: Expr| add(&neg(&e), &mul(&e, &e));
    let (plan, _) = planned(vec![repeat(line(1), N / 3, diamond)]);
    assert!(n_computing(&plan) < N / 200, "{}", n_computing(&plan));
    let costly = |e: Expr| mul(&e.unary(UnaryOp::Exp).unwrap(), &neg(&e));
    let end = repeat(line(1), SOME / 3, costly);
    let (plan, _) = planned(vec![sum(&end), end]);
    assert!(n_computing(&plan) < SOME / 200, "{}", n_computing(&plan));
    // Of halves of the one before, each turned: as they are they would be halves of the first one.
    let halves = |e: Expr| {
        let part = |start, end| e.slice(&[SliceArg::Range { start, end, step: -1 }]).unwrap();
        Expr::concatenate(0, &[part(4, None), part(0, Some(4))]).unwrap()
    };
    let (plan, _) = planned(vec![repeat(line(1), SOME / 3, halves)]);
    assert_eq!(n_computing(&plan), SOME / 3);
}

#[test]
fn trees() {
    let leaf = |i: usize| {
        let dist = Dist::Uniform { low: 0.0, high: 1.0 };
        Expr::random(&[8], &4.into(), DType::F64, i as u64, dist).unwrap()
    };
    let mut level: Vec<Expr> = (0..N / 2).map(leaf).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|p| if let [a, b] = p { add(a, b) } else { p[0].clone() }).collect();
    }
    let (plan, _) = planned(level);
    assert!(plan.stages.len() < N / 100, "{}", plan.stages.len());
    let comb = (1..SOME / 2).fold(leaf(0), |e, i| add(&leaf(i), &e));
    let (plan, _) = planned(vec![comb]);
    assert!(plan.stages.len() < SOME / 100, "{}", plan.stages.len());
    let comb = (1..SOME / 2).fold(leaf(0), |e, i| add(&e, &leaf(i)));
    let (plan, _) = planned(vec![comb]);
    assert!(plan.stages.len() < SOME / 100, "{}", plan.stages.len());
}

#[test]
fn fans() {
    let x = line(1);
    let made = mul(&x.unary(UnaryOp::Exp).unwrap(), &x);
    let scaled = |i: usize| mul(&made, &Expr::full(&[], &Chunks::Auto, Scalar::new(i as f64)).unwrap());
    let sums: Vec<Expr> = (0..N / 4).map(|i| sum(&scaled(i))).collect();
    // What all read is made once.
    let lowered = Lowered::of(&Program::new(&sums)).unwrap();
    assert_eq!(values(&lowered).0, 3 + 3 * (N / 4));
    planned(sums);
    let (plan, _) =
        planned(vec![Expr::concatenate(0, &(0..SOME / 4).map(scaled).collect::<Vec<_>>()).unwrap()]);
    // The parts, and their chunks brought together.
    assert_eq!(n_computing(&plan), 1 + SOME / 4 + 2);
    let outputs: Vec<Expr> = (0..SOME / 4).map(scaled).collect();
    let (plan, _) = planned([outputs.clone(), outputs].concat());
    assert_eq!(plan.outputs.len(), SOME / 2);
}

#[test]
fn stages_between() {
    let centred = |e: Expr| {
        let mean = e.reduce_all(Fold::Mean).unwrap();
        e.binary(BinaryOp::Sub, &mean).unwrap()
    };
    let (plan, _) = planned(vec![repeat(line(1), SOME / 3, centred)]);
    assert!(n_computing(&plan) <= SOME);
    let swept = |e: Expr| e.map_overlap(kernel(1), &halo_of(1, 1)).unwrap();
    let end = repeat(line(1), N, swept);
    let part = end.slice(&[SliceArg::Range { start: 1, end: Some(3), step: 1 }]).unwrap();
    let (plan, _) = planned(vec![part]);
    assert_eq!(n_computing(&plan), N + 1);
    let both = repeat(line(1), SOME / 3, |e| add(&swept(e.clone()), &neg(&e)));
    let (plan, _) = planned(vec![both]);
    assert!(n_computing(&plan) <= SOME);
    let blocks = repeat(line(1), SOME / 3, |e| {
        let made = e.map_blocks(kernel(1)).unwrap();
        add(&made, &made.rechunk(&3.into()).unwrap())
    });
    let (plan, _) = planned(vec![blocks]);
    assert!(n_computing(&plan) <= N);
}

#[test]
fn scattered_parts_need_what_they_depend_on() {
    let x = literal(&[400, 400], &[1, 1], 1).map_overlap(kernel(1), &halo_of(0, 2)).unwrap();
    for n in [900, 30_000] {
        let places: Vec<(usize, usize)> = (0..n).map(|i| (i * 7919 % 397, i * 104_729 % 389)).collect();
        let at = |&(i, j): &(usize, usize)| {
            x.slice(&[SliceArg::At(i as isize), SliceArg::At(j as isize)]).unwrap()
        };
        let plan = plan(&places.iter().map(at).collect::<Vec<_>>());
        let needs = plan.needs();
        let distinct: std::collections::BTreeSet<_> = places.iter().collect();
        assert!(
            places.iter().all(|&(i, j)| needs[1].contains(tilework_plan::ChunkIdx((i * 400 + j) as u64)))
        );
        // Of some, exactly those; of very many, not more than the least box around them.
        let most = if n < 1000 { distinct.len() as u64 } else { 397 * 389 };
        assert!((distinct.len() as u64..=most).contains(&needs[1].n_tasks()), "{}", needs[1].n_tasks());
        assert_eq!(needs[0], needs[1]);
    }
    // Boxes along a diagonal, twice as many with every step.
    let part = |e: &Expr, start: isize, end: Option<isize>| {
        e.slice(&[SliceArg::Range { start, end, step: 1 }; 2]).unwrap().map_blocks(kernel(1)).unwrap()
    };
    let end =
        repeat(literal(&[400, 400], &[3, 3], 1), 60, |e| add(&part(&e, 3, None), &part(&e, 0, Some(-3))));
    let needs = plan(&[part(&end, 0, Some(1))]).needs();
    assert!((61..=61 * 61).contains(&needs[0].n_tasks()), "{}", needs[0].n_tasks());
}

#[test]
fn what_is_too_large_to_be_planned_is_refused() {
    let one = Expr::full(&[], &Chunks::Auto, Scalar::new(1.0)).unwrap();
    let program = Program::new(std::slice::from_ref(&one));
    let many = Program { nodes: vec![program.nodes[0].clone(); NODES_MAX + 1], ..program };
    let text = Lowered::of(&many).unwrap_err().to_string();
    assert!(text.contains("131073") && text.contains("persist a part"), "{text}");
    // As many inputs, of few operations.
    let mut joined = Program::new(&[Expr::concatenate(0, &[line(1), line(2)]).unwrap()]);
    joined.nodes[2].inputs = vec![joined.nodes[2].inputs[0]; EDGES_MAX + 1];
    let text = joined.check().unwrap_err().to_string();
    assert!(text.contains("1048577") && text.contains("persist a part"), "{text}");
}

#[test]
fn the_variables_of_a_solver_are_stages_and_little_else() {
    // The equations of Lorenz, by Runge and Kutta's method.
    let of = |x: f64| Expr::full(&[], &Chunks::Auto, Scalar::new(x)).unwrap();
    let sub = |a: &Expr, b: &Expr| a.binary(BinaryOp::Sub, b).unwrap();
    let slope = |v: &[Expr; 3]| {
        [
            mul(&sub(&v[1], &v[0]), &of(10.0)),
            sub(&mul(&v[0], &sub(&of(28.0), &v[2])), &v[1]),
            sub(&mul(&v[0], &v[1]), &mul(&v[2], &of(8.0 / 3.0))),
        ]
    };
    let along = |v: &[Expr; 3], k: &[Expr; 3], h: f64| -> [Expr; 3] {
        std::array::from_fn(|i| add(&v[i], &mul(&k[i], &of(h))))
    };
    let h = 0.01;
    let step = |v: [Expr; 3]| {
        let k1 = slope(&v);
        let k2 = slope(&along(&v, &k1, h / 2.0));
        let k3 = slope(&along(&v, &k2, h / 2.0));
        let k4 = slope(&along(&v, &k3, h));
        std::array::from_fn(|i| {
            let inner = mul(&add(&k2[i], &k3[i]), &of(2.0));
            add(&v[i], &mul(&add(&add(&k1[i], &k4[i]), &inner), &of(h / 6.0)))
        })
    };
    let steps = 20;
    let end = repeat([line(1), line(2), line(3)], steps, step);
    let plan = plan(&end);
    assert!(n_computing(&plan) <= 4 * steps, "{}", n_computing(&plan));
    let (plan, n_nodes) = planned(repeat([line(1), line(2), line(3)], N / 110, step).to_vec());
    assert!(n_computing(&plan) < n_nodes / 15, "{} for {n_nodes}", n_computing(&plan));
}
