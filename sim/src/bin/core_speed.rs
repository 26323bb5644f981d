//! What the cores cost: `ones().sum()` over a million chunks, through the scheduler's core and the cores of two
//! workers, without transports or kernels. Prints the time a task and the memory at its peak.
//!
//! Knows both cores. Must not know faults.

use std::collections::VecDeque;
use std::sync::Arc;
use tilework_expr::{BinaryOp, Chunks, DType, Expr, FileKind, FileRef, Fold, Lowered, Program, Scalar};
use tilework_plan::{ClientId, Hello, Instruction, JobId, Plan, Stored, Update, WorkerId};
use tilework_scheduler_core as scheduler;
use tilework_worker_core as worker;

const CHUNKS: usize = 1_000_000;
const THREADS: u32 = 8;
/// What a task is said to take, microseconds.
const BUSY_US: u64 = 5;

fn main() {
    let ones = Expr::full(&[CHUNKS], &chunk_len(1), Scalar::new(1.0f64)).expect("a good shape");
    time("ones().sum()", &[ones.reduce_all(Fold::Sum).expect("a sum")]);
    let read = |name: &str| {
        let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
        Expr::read((file, Stored::Rows), &[CHUNKS / 4], &chunk_len(1), DType::F64).expect("a good shape")
    };
    let sum = read("a").binary(BinaryOp::Add, &read("b")).expect("equal shapes");
    time("(read(a) + read(b)) kept, 1/4", &[sum]);
}

fn chunk_len(n: isize) -> Chunks {
    Chunks::Axes(vec![tilework_expr::AxisChunks::Len(n)])
}

struct Cluster {
    scheduler: scheduler::Scheduler,
    workers: Vec<worker::Worker>,
    to_scheduler: VecDeque<scheduler::Event>,
    to_workers: VecDeque<(usize, worker::Event)>,
    now_us: u64,
    tasks: u64,
    events: u64,
    done: bool,
    plan: Arc<Plan>,
}

fn time(name: &str, outputs: &[Expr]) {
    let mut c = Cluster {
        scheduler: scheduler::Scheduler::new(scheduler::Limits::in_process()),
        workers: (0..2).map(|_| worker::Worker::new(worker::Limits::new(THREADS, 1 << 34))).collect(),
        to_scheduler: VecDeque::new(),
        to_workers: VecDeque::new(),
        now_us: 0,
        tasks: 0,
        events: 0,
        done: false,
        plan: Lowered::of(&Program::new(outputs)).expect("built expressions can be planned").plan,
    };
    for w in 0..2 {
        let hello = Hello {
            name: format!("w{w}"),
            incarnation: w,
            threads: THREADS,
            memory_bytes: 1 << 34,
            spill_bytes: 0,
            addresses: Vec::new(),
            build: None,
            tags: tilework_plan::Tags::new(),
        };
        c.to_scheduler.push_back(scheduler::Event::WorkerJoined { worker: WorkerId(w as u32), hello });
    }
    let client = ClientId(0);
    let prepared = scheduler::Prepared::of(JobId(0), c.plan.clone());
    c.to_scheduler.push_back(scheduler::Event::JobSubmitted { job: JobId(0), client, prepared });
    let start = cpu_seconds();
    c.play();
    let seconds = cpu_seconds() - start;
    assert!(c.done, "the job ended");
    let each = seconds * 1e6 / c.tasks as f64;
    println!(
        "{name:<32} {} tasks, {} events, {seconds:.2} s of CPU, {each:.2} us/task, peak memory {} MiB",
        c.tasks,
        c.events,
        peak_mib()
    );
}

impl Cluster {
    fn play(&mut self) {
        let (mut from_worker, mut from_scheduler) = (Vec::new(), Vec::new());
        loop {
            self.now_us += 1;
            if let Some((w, event)) = self.to_workers.pop_front() {
                self.workers[w].handle(self.now_us, event, &mut from_worker);
                self.events += 1;
                from_worker.drain(..).for_each(|a| self.worker_acts(w, a));
            } else if let Some(event) = self.to_scheduler.pop_front() {
                self.scheduler.handle(self.now_us, event, &mut from_scheduler);
                self.events += 1;
                from_scheduler.drain(..).for_each(|a| self.scheduler_acts(a));
            } else {
                return;
            }
        }
    }

    fn worker_acts(&mut self, w: usize, action: worker::Action) {
        match action {
            worker::Action::Run { lease, task, .. } => {
                self.tasks += 1;
                let event = worker::Event::Finished { lease, task, result: Ok(0), busy_us: BUSY_US };
                self.to_workers.push_back((w, event));
            }
            worker::Action::Fetch { fetch, .. } => {
                self.to_workers.push_back((w, worker::Event::Fetched { fetch, bytes: 0 }))
            }
            worker::Action::Report(reports) => {
                let worker = WorkerId(w as u32);
                self.to_scheduler.push_back(scheduler::Event::WorkerReported { worker, reports });
            }
            // Nothing is stopped, and there is memory for all.
            worker::Action::Free(_)
            | worker::Action::Stop(_)
            | worker::Action::Replace(_)
            | worker::Action::Spill { .. }
            | worker::Action::Unload(_) => {}
        }
    }

    fn scheduler_acts(&mut self, action: scheduler::Action) {
        match action {
            scheduler::Action::Tell { worker, instructions } => {
                let w = worker.0 as usize;
                for job in instructions.iter().filter_map(Instruction::defines) {
                    let planned = worker::Planned::of(self.plan.clone());
                    self.to_workers.push_back((w, worker::Event::Planned { job, planned }));
                }
                self.to_workers.push_back((w, worker::Event::Told(instructions)));
            }
            scheduler::Action::Update { update: Update::Done { .. }, .. } => self.done = true,
            scheduler::Action::Update { update: Update::Failed(why), .. } => panic!("{why}"),
            _ => {}
        }
    }
}

/// Time that this process was on a CPU, by Linux's count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// The most memory that this process had, by Linux's count.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}
