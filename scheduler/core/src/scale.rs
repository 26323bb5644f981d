//! Programs of a hundred thousand operations, run to their end: no event takes time that grows with the ways through a
//! program, or with the product of its stages and outputs. And parts of deep chains, of which only what they depend on
//! is computed.

use crate::{Action, Event, Limits, Prepared, Scheduler};
use std::collections::BTreeSet;
use std::sync::Arc;
use tilework_expr::{
    BinaryOp, Boundary, Calls, Chunks, DType, Expr, Fold, Halo, Kernel, Lowered, Program, SliceArg, UnaryOp,
};
use tilework_plan::{ChunkIdx, Instruction, JobId, Report, StageIdx, Update, WorkerId};
use tilework_plan::{ClientId, Hello};

/// Operations of the deepest program, about.
const N: usize = 100_000;
/// Operations of the others.
const SOME: usize = 24_000;

fn literal(shape: &[usize], chunk: isize, id: u64) -> Expr {
    Expr::literal(shape, &Chunks::from(chunk), DType::F64, id, Arc::new(())).unwrap()
}

fn sweep(e: &Expr) -> Expr {
    let (build, name) = ("1f".into(), "f".into());
    let kernel =
        Kernel { offset: 64, build, name, params: vec![], inputs: vec![DType::F64], output: DType::F64 };
    e.map_overlap(kernel, &vec![Halo::even(1, Boundary::Reflect); e.ndim()]).unwrap()
}

fn sweeps(start: Expr, n: usize) -> Expr {
    (0..n).fold(start, |e, _| sweep(&e))
}

fn add(a: &Expr, b: &Expr) -> Expr {
    a.binary(BinaryOp::Add, b).unwrap()
}

fn part(e: &Expr, upto: isize) -> Expr {
    e.slice(&vec![SliceArg::Range { start: 0, end: Some(upto), step: 1 }; e.ndim()]).unwrap()
}

/// Runs a program on some workers, each of which does what it is told at once; how many tasks were done.
fn run(outputs: &[Expr], n_workers: u32) -> u64 {
    run_watched(outputs, (n_workers, Limits::default()), |_, _| {})
}

/// The same, where somebody looks after each event.
fn run_watched(
    outputs: &[Expr],
    (n_workers, limits): (u32, Limits),
    mut look: impl FnMut(&mut Scheduler, &mut Vec<Action>),
) -> u64 {
    let mut scheduler = Scheduler::new(limits);
    let mut actions = Vec::new();
    for w in 0..n_workers {
        let hello = Hello {
            name: format!("w{w}"),
            incarnation: 1,
            threads: 2,
            memory_bytes: 1 << 40,
            spill_bytes: 0,
            addresses: Vec::new(),
            build: None,
            tags: tilework_plan::Tags::new(),
        };
        scheduler.handle(0, Event::WorkerJoined { worker: WorkerId(w), hello }, &mut actions);
    }
    let lowered = Lowered::of(&Program::new(outputs)).unwrap();
    let prepared = Prepared::of(JobId(1), lowered.plan);
    let submitted = Event::JobSubmitted { job: JobId(1), client: ClientId(1), prepared };
    scheduler.handle(1, submitted, &mut actions);
    let (mut done, mut now_us) = (None, 1);
    while done.is_none() {
        if actions.is_empty() {
            assert_eq!(scheduler.next_wake_us(), Some(now_us), "nothing is done");
            scheduler.handle(now_us, Event::Tick, &mut actions);
            look(&mut scheduler, &mut actions);
        }
        let mut events = Vec::new();
        for action in actions.drain(..) {
            match action {
                Action::Tell { worker, instructions } => {
                    let reports: Vec<Report> = instructions.into_iter().filter_map(answer).collect();
                    events.push(Event::WorkerReported { worker, reports });
                }
                Action::Update { update: Update::Done { figures, .. }, .. } => done = Some(figures.n_tasks),
                Action::Update { update: Update::Failed(error), .. } => panic!("{error}"),
                _ => {}
            }
        }
        for event in events {
            now_us += 1;
            scheduler.handle(now_us, event, &mut actions);
            look(&mut scheduler, &mut actions);
        }
    }
    scheduler.check();
    scheduler.handle(now_us, Event::JobReleased { job: JobId(1) }, &mut actions);
    assert!(scheduler.state(0).jobs.is_empty());
    done.unwrap()
}

fn answer(instruction: Instruction) -> Option<Report> {
    match instruction {
        Instruction::Lease { lease, tasks, .. } => {
            Some(Report::Done { lease, tasks, busy_us: 100, bytes_fetched: 0, sizes: vec![] })
        }
        Instruction::Revoke { lease, tasks } => Some(Report::Returned { lease, tasks }),
        _ => None,
    }
}

/// The tasks that the outputs depend on, found from the outputs task by task.
fn n_needed(outputs: &[Expr]) -> u64 {
    let plan = Lowered::of(&Program::new(outputs)).unwrap().plan;
    let tasks = |s: StageIdx| (0..plan.n_tasks(s)).map(move |c| (s, ChunkIdx(c)));
    let mut stack: Vec<(StageIdx, ChunkIdx)> = plan.outputs.iter().flat_map(|s| tasks(*s)).collect();
    let (mut found, mut inputs) = (BTreeSet::new(), Vec::new());
    while let Some((s, c)) = stack.pop() {
        if found.insert((s, c)) {
            plan.inputs_of(s, c, &mut inputs);
            stack.extend(inputs.drain(..).map(|(_, s, c)| (s, c)));
        }
    }
    found.len() as u64
}

/// So many values, each of a block for each of some calls that take them.
fn exchange(n_values: usize, n_takers: usize) -> Expr {
    let (build, name) = ("1f".into(), "f".into());
    let kernel = Kernel { offset: 64, build, name, params: vec![], inputs: vec![], output: DType::U8 };
    let calls = |n: usize, gives, takes| Calls {
        kernel: Arc::new(kernel.clone()),
        params: Arc::from([]),
        ends: vec![0; n].into(),
        args: Arc::from([]),
        arg_ends: vec![0; n].into(),
        line: None,
        terms: None,
        gives,
        takes,
    };
    let values = Expr::calls(calls(n_values, n_takers as u32, false), &[]).unwrap();
    Expr::calls(calls(n_takers, 0, true), &[values]).unwrap()
}

#[test]
fn values_and_those_who_read_a_block_of_each() {
    // As edges between each and each, these would be hundreds of millions.
    assert_eq!(run(&[exchange(20_000, 20_000)], 3), 40_000);
    assert_eq!(run(&[exchange(100_000, 3)], 3), 100_003);
    assert_eq!(run(&[exchange(3, 100_000)], 3), 100_003);
}

#[test]
fn values_that_are_lost_while_blocks_of_them_are_read() {
    let mut lost = false;
    let n_done = run_watched(&[exchange(20_000, 20_000)], (3, Limits::default()), |s, actions| {
        let done = |s: &Scheduler| s.jobs.values().map(|job| job.progress().0).sum::<u64>();
        if !lost && done(s) > 25_000 {
            lost = true;
            let why = "it was killed".to_owned();
            s.handle(s.now_us, Event::WorkerLost { worker: WorkerId(1), why }, actions);
        }
    });
    // A third of the values, and of what was made of them.
    assert!((45_000..60_000).contains(&n_done), "{n_done} tasks were done");
}

#[test]
fn a_part_of_a_chain_of_stencils_computes_what_it_depends_on() {
    let plane = || literal(&[800, 800], 50, 1);
    for outputs in [
        vec![part(&sweeps(plane(), 7), 50)],
        vec![part(&sweeps(plane(), 7), 50), part(&sweeps(plane(), 3), 200)],
        vec![part(&sweeps(literal(&[4000], 50, 1), 40), 10)],
    ] {
        let n = n_needed(&outputs);
        for n_workers in [1, 3] {
            assert_eq!(run(&outputs, n_workers), n);
        }
        let all = Lowered::of(&Program::new(&outputs)).unwrap().plan.n_tasks_in_all();
        assert!(n < all / 2, "{n} of {all}");
    }
}

#[test]
fn a_corner_of_millions_of_chunks() {
    // One chunk more along each axis with each sweep.
    let swept = sweeps(literal(&[5000, 5000], 1, 1), 10);
    assert_eq!(run(&[part(&swept, 1)], 2), 1 + (1..=11).map(|n| n * n).sum::<u64>());
}

#[test]
fn a_deep_chain_and_a_part_of_it() {
    assert_eq!(run(&[sweeps(literal(&[8], 4, 1), SOME)], 2), 2 * (SOME as u64 + 1));
    assert_eq!(run(&[part(&sweeps(literal(&[8], 4, 1), N), 1)], 2), 1 + 1 + 2 * N as u64);
}

#[test]
fn many_roots_meet_in_a_tree() {
    let leaf =
        |i: usize| literal(&[4], 2, i as u64).unary(UnaryOp::Exp).unwrap().reduce_all(Fold::Sum).unwrap();
    let mut level: Vec<Expr> = (0..SOME / 4).map(leaf).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|p| if let [a, b] = p { add(a, b) } else { p[0].clone() }).collect();
    }
    assert!(run(&level, 3) > SOME as u64);
}

#[test]
fn many_outputs_of_one_array_and_of_many() {
    let x = literal(&[8], 4, 1);
    let scaled = |i: usize| {
        let by = Expr::full(&[], &Chunks::Auto, tilework_expr::Scalar::new(i as f64)).unwrap();
        x.binary(BinaryOp::Mul, &by).unwrap()
    };
    let outputs: Vec<Expr> = (0..SOME / 3).map(scaled).collect();
    assert_eq!(run(&outputs, 2), 2 * (SOME as u64 / 3 + 1));
    let outputs: Vec<Expr> = (0..SOME / 3).map(|i| literal(&[8], 4, i as u64)).collect();
    assert_eq!(run(&outputs, 3), 2 * (SOME as u64 / 3));
}

#[test]
fn ladders_with_stages_between() {
    let mut e = literal(&[8], 4, 1);
    for _ in 0..SOME / 8 {
        let swept = sweep(&e);
        let mean = e.reduce_all(Fold::Mean).unwrap();
        e = add(&swept, &e.binary(BinaryOp::Sub, &mean).unwrap());
    }
    assert!(run(&[part(&e, 3), e.reduce_all(Fold::Max).unwrap()], 2) > SOME as u64 / 2);
}

#[test]
fn the_readers_of_a_chunk_are_told_bit_by_bit() {
    let (n, publish_max) = (20_000, 300);
    let x = literal(&[n], 1, 1);
    let mean = x.reduce_all(Fold::Mean).unwrap().broadcast_to(&[n]).unwrap();
    let spread = x.binary(BinaryOp::Sub, &mean).unwrap().reduce_all(Fold::Max).unwrap();
    let waiting = |s: &Scheduler| {
        let stages = s.jobs.values().flat_map(|job| &job.stages);
        stages.map(|stage| stage.table.counts().waiting).sum::<u64>()
    };
    let (mut before, mut most_waiting, mut most_told) = (0, 0, 0);
    // No reader of the mean is ready before it is there, and then they are, a few with each event.
    let limits = Limits { publish_max, outstanding_max: 64, ..Limits::default() };
    run_watched(&[spread], (3, limits), |s, _| {
        let now = waiting(s);
        most_told = most_told.max(before - now.min(before));
        most_waiting = most_waiting.max(now);
        before = now;
    });
    assert!(most_waiting >= n as u64, "{most_waiting} tasks waited for the mean");
    assert!(most_told <= publish_max + 64, "{most_told} tasks were told in one event");
}

#[test]
fn what_is_refused_and_what_nobody_touches_take_no_time() {
    // A chunk that is made of a million.
    let many = Expr::full(&[1 << 20], &Chunks::from(1), tilework_expr::Scalar::new(1.0)).unwrap();
    let one = sweep(&many).rechunk(&Chunks::from(-1)).unwrap();
    let lowered = Lowered::of(&Program::new(&[sweep(&one)])).unwrap();
    let prepared = Prepared::of(JobId(1), lowered.plan);
    let mut actions = Vec::new();
    let mut scheduler = Scheduler::new(Limits::default());
    scheduler.handle(0, Event::JobSubmitted { job: JobId(1), client: ClientId(1), prepared }, &mut actions);
    let failed = actions.iter().find_map(|a| match a {
        Action::Update { update: Update::Failed(why), .. } => Some(why.to_string()),
        _ => None,
    });
    let text = failed.expect("it is refused");
    assert!(text.contains("one chunk of it is made of 1048576 chunks, and at most 131072 can be"), "{text}");
    // A corner of hundreds of stages of four billion chunks each.
    let deep = sweeps(literal(&[1 << 32], 1, 1), 200);
    assert_eq!(run(&[part(&deep, 1)], 2), 1 + (1..=201).sum::<u64>());
}

#[test]
fn a_picture_of_a_large_plan_shows_what_is_under_way() {
    let outputs: Vec<Expr> = (0..SOME / 4).map(|i| sweep(&literal(&[2], 1, i as u64))).collect();
    let mut most = (0, 0);
    run_watched(&outputs, (2, Limits::default()), |s, _| {
        let state = s.state(1);
        let Some(job) = state.jobs.first() else { return };
        assert!(job.stages.len() <= 256 && job.stages.iter().all(|stage| stage.leased > 0), "{job:?}");
        assert_eq!(job.n_stages, SOME as u64 / 2);
        most = (most.0.max(job.stages.len()), most.1.max(job.leased));
    });
    assert!(most.0 > 1 && most.1 > 1, "{most:?} stages and tasks were under way at most");
}
