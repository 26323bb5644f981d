//! How long the longest event holds the scheduler's loop, whatever a client sends: programs of the most operations and
//! edges that a run may have, and of ten million chunks, submitted, run to their end or cancelled on the way, looked at
//! and released. Prints for each the longest event of each kind, milliseconds of processor time.
//!
//! Knows the scheduler's core. Must not know workers' insides: these do at once what they are told.

use std::collections::BTreeMap;
use std::sync::Arc;
use tilework_expr::{
    BinaryOp, Boundary, Chunks, DType, EDGES_MAX, Expr, FileKind, FileRef, Fold, Halo, Kernel, Lowered,
    NODES_MAX, Program, Scalar,
};
use tilework_plan::{ClientId, Hello, Instruction, JobId, Report, Stored, Update, WorkerId};
use tilework_scheduler_core::{Action, Event, Limits, Prepared, Scheduler};

/// Workers of the cluster.
const WORKERS: u32 = 16;
/// Chunks of the largest arrays.
const CHUNKS: usize = 10_000_000;

/// What is done with a job.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It runs to its end and is released.
    Released,
    /// It is cancelled after so many tasks.
    Cancelled(u64),
}

/// The outputs of a program of a size.
type Outputs = fn(usize) -> Vec<Expr>;

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let n = NODES_MAX;
    let cases: [(&str, Outputs, usize); 8] = [
        ("chain of stencils", |n| vec![(1..n).fold(literal(&[8], 4, 0), |e, _| sweep(&e))], n),
        ("one stencil each of many arrays", |n| (0..n / 2).map(|i| sweep(&literal(&[8], 4, i))).collect(), n),
        ("many outputs", |n| (0..n).map(|i| literal(&[8], 4, i)).collect(), n),
        ("edges", edges, n),
        ("sum", |n| vec![chunks("a", n).reduce_all(Fold::Sum).expect("a sum")], CHUNKS),
        ("sum of products", |n| vec![product(n).reduce_all(Fold::Sum).expect("a sum")], CHUNKS),
        ("kept", |n| vec![chunks("a", n)], CHUNKS),
        ("deviation from the mean", |n| vec![spread(n)], CHUNKS),
    ];
    for (name, outputs, n) in cases.into_iter().filter(|(name, ..)| only.is_empty() || *name == only) {
        for end in [End::Released, End::Cancelled(n as u64 / 2)] {
            measure(name, Arc::new(Program::new(&outputs(n))), end);
        }
    }
}

fn literal(shape: &[usize], chunk: isize, id: usize) -> Expr {
    Expr::literal(shape, &Chunks::from(chunk), DType::F64, id as u64, Arc::new(())).expect("a good shape")
}

fn sweep(e: &Expr) -> Expr {
    let (build, name) = ("1f".into(), "f".into());
    let kernel =
        Kernel { offset: 8, build, name, params: vec![], inputs: vec![DType::F64], output: DType::F64 };
    e.map_overlap(kernel, &vec![Halo::even(1, Boundary::Reflect); e.ndim()]).expect("a halo")
}

/// Arrays that are each put together of as many others as edges allow, two operations each.
fn edges(n: usize) -> Vec<Expr> {
    let n = n / 10 * 4;
    let each = EDGES_MAX / n - 1;
    let parts: Vec<Expr> = (0..each).map(|i| literal(&[8], 4, i)).collect();
    let joined = (0..n).map(|i| {
        let mut parts = parts.clone();
        parts.rotate_left(i % each);
        parts[0] = Expr::full(&[1 + i / each], &Chunks::Auto, Scalar::new(0.5f64)).expect("a good shape");
        Expr::concatenate(0, &parts).expect("lines")
    });
    joined.collect()
}

/// `n` stored chunks.
fn chunks(name: &str, n: usize) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
    Expr::read((file, Stored::Rows), &[n], &Chunks::from(1), DType::F64).expect("a good shape")
}

fn product(n: usize) -> Expr {
    chunks("a", n).binary(BinaryOp::Mul, &chunks("b", n)).expect("equal shapes")
}

fn spread(n: usize) -> Expr {
    let x = chunks("a", n);
    let mean = x.reduce_all(Fold::Mean).expect("a mean").broadcast_to(&[n]).expect("a scalar");
    x.binary(BinaryOp::Sub, &mean).expect("equal shapes").reduce_all(Fold::Max).expect("a maximum")
}

/// The longest events, microseconds, by what they are.
#[derive(Default)]
struct Longest(BTreeMap<&'static str, u64>);

impl Longest {
    fn time<T>(&mut self, what: &'static str, f: impl FnOnce() -> T) -> T {
        let before = cpu_us();
        let made = f();
        let us = cpu_us() - before;
        let most = self.0.entry(what).or_default();
        *most = us.max(*most);
        made
    }
}

fn measure(name: &str, program: Arc<Program>, end: End) {
    let mut longest = Longest::default();
    let mut scheduler = Scheduler::new(Limits { silence_max_us: None, ..Limits::default() });
    let mut actions = Vec::new();
    for w in 0..WORKERS {
        let (name, addresses) = (format!("w{w}"), Vec::new());
        let hello = Hello {
            name,
            incarnation: 1,
            threads: 8,
            memory_bytes: 1 << 40,
            spill_bytes: 0,
            addresses,
            build: None,
            tags: tilework_plan::Tags::new(),
        };
        scheduler.handle(0, Event::WorkerJoined { worker: WorkerId(w), hello }, &mut actions);
    }
    let (job, client) = (JobId(1), ClientId(1));
    let (mut now_us, mut tasks, mut over) = (1, 0, false);
    let prepared = longest.time("planned (not in the loop)", || {
        let lowered = Lowered::of(&program).expect("built expressions can be planned");
        Prepared::of(job, lowered.plan)
    });
    let submitted = Event::JobSubmitted { job, client, prepared };
    longest.time("submitted", || scheduler.handle(1, submitted, &mut actions));
    let mut last = "released";
    while !over {
        while actions.is_empty() {
            assert!(scheduler.next_wake_us().is_some(), "{name}: nothing is done after {tasks} tasks");
            longest.time("tick", || scheduler.handle(now_us, Event::Tick, &mut actions));
        }
        let mut events = Vec::new();
        for action in actions.drain(..) {
            match action {
                Action::Tell { worker, instructions } => {
                    let reports: Vec<Report> =
                        instructions.into_iter().filter_map(|i| answer(i, &mut tasks)).collect();
                    events.push(Event::WorkerReported { worker, reports });
                }
                Action::Update { update: Update::Done { .. }, .. } => over = true,
                Action::Update { update: Update::Failed(why), .. } => panic!("{name}: {why}"),
                _ => {}
            }
        }
        for event in events {
            now_us += 1;
            longest.time("reported", || scheduler.handle(now_us, event, &mut actions));
            if tasks.is_multiple_of(1 << 16) {
                longest.time("state", || scheduler.state(now_us));
            }
        }
        if let End::Cancelled(after) = end
            && tasks >= after
        {
            let cancelled = Event::JobCancelled { job, by: "somebody".to_owned() };
            longest.time("cancelled", || scheduler.handle(now_us, cancelled, &mut actions));
            (over, last) = (true, "client lost");
        }
    }
    longest.time("state", || scheduler.state(now_us));
    let mut leftovers = vec![scheduler.take_leftovers()];
    longest.time(last, || scheduler.handle(now_us, Event::ClientLost { client }, &mut actions));
    leftovers.push(scheduler.take_leftovers());
    longest.time("dropped (not in the loop)", || drop(leftovers));
    let ms: Vec<String> =
        longest.0.iter().map(|(what, us)| format!("{what} {:.1}", *us as f64 / 1000.0)).collect();
    println!("{name:<34}{tasks:>9} tasks, longest in ms: {}", ms.join(", "));
}

fn answer(instruction: Instruction, tasks: &mut u64) -> Option<Report> {
    match instruction {
        Instruction::Lease { lease, tasks: of, .. } => {
            *tasks += of.chunks.end - of.chunks.start;
            Some(Report::Done { lease, tasks: of, busy_us: 100, bytes_fetched: 0, sizes: vec![] })
        }
        Instruction::Revoke { lease, tasks } => Some(Report::Returned { lease, tasks }),
        _ => None,
    }
}

/// Time that this thread was on a processor, microseconds, by Linux's count.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1000
}
